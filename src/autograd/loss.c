/* SPDX-License-Identifier: Apache-2.0
 * loss.c - losses by name, and the read-out of a class. */
#include "autograd/loss.h"

#include <math.h>
#include <stddef.h>

#include "core/status.h"

static const char *const over_names[] = {"mean", "sum", "step", "last", "max", "softmax_sum", NULL};
static const char *const target_words[] = {"one_hot", NULL};
static const char *const loss_names[] = {"ce", "mse", "mse_count", "mse_membrane", "tet", NULL};

#define OVER(value)                                                                                                    \
    {                                                                                                                  \
        "over", SNN_CHOICE, offsetof(struct snn_loss_term, over), value, 0, 0, over_names,                             \
            "how the steps are drawn together"                                                                         \
    }
#define WEIGHT                                                                                                         \
    { "weight", SNN_REAL, offsetof(struct snn_loss_term, weight), "1", 0, 1e6, NULL, "factor of this term" }

static const struct snn_key ce_keys[] = {
    SNN_KEY_NAME,
    OVER("mean"),
    {"label_smoothing", SNN_REAL, offsetof(struct snn_loss_term, label_smoothing), "0", 0, 1, NULL,
     "share of the target given to all classes alike"},
    WEIGHT,
    {0},
};
static const struct snn_key mse_keys[] = {
    SNN_KEY_NAME,
    OVER("mean"),
    {"target", SNN_REAL, offsetof(struct snn_loss_term, target), "one_hot", -1e6, 1e6, target_words,
     "one_hot, or one number for every class"},
    {"correct", SNN_REAL, offsetof(struct snn_loss_term, correct), "1", -1e6, 1e6, NULL,
     "one_hot: target of the true class"},
    {"incorrect", SNN_REAL, offsetof(struct snn_loss_term, incorrect), "0", -1e6, 1e6, NULL,
     "one_hot: target of the other classes"},
    WEIGHT,
    {0},
};
static const struct snn_key mse_count_keys[] = {
    SNN_KEY_NAME,
    {"correct", SNN_REAL, offsetof(struct snn_loss_term, correct), "0.8", 0, 1, NULL,
     "share of the steps in which the true class should spike"},
    {"incorrect", SNN_REAL, offsetof(struct snn_loss_term, incorrect), "0.2", 0, 1, NULL, "and the other classes"},
    WEIGHT,
    {0},
};
static const struct snn_key mse_membrane_keys[] = {
    SNN_KEY_NAME,
    {"correct", SNN_REAL, offsetof(struct snn_loss_term, correct), "1", -1e6, 1e6, NULL,
     "membrane target of the true class at every step"},
    {"incorrect", SNN_REAL, offsetof(struct snn_loss_term, incorrect), "0", -1e6, 1e6, NULL,
     "and of the other classes"},
    WEIGHT,
    {0},
};
struct tet {
    double lambda, target, weight;
};
static const struct snn_key tet_keys[] = {
    SNN_KEY_NAME,
    {"lambda", SNN_REAL, offsetof(struct tet, lambda), "0.05", 0, 1, NULL, "share of the MSE term"},
    {"target", SNN_REAL, offsetof(struct tet, target), "1", -1e6, 1e6, target_words,
     "of the MSE term: one number for every class, or one_hot"},
    {"weight", SNN_REAL, offsetof(struct tet, weight), "1", 0, 1e6, NULL, "factor of this term"},
    {0},
};

const struct snn_loss_listing snn_loss_list[] = {
    {"ce", "cross entropy of softmax(z)", ce_keys},
    {"mse", "mean over classes of (z - target)^2; learns numbers too", mse_keys},
    {"mse_count", "mean over classes of (spike count - target)^2 / T (snnTorch)", mse_count_keys},
    {"mse_membrane", "mean over steps and classes of (o - target)^2 (snnTorch); learns numbers too", mse_membrane_keys},
    {"tet", "mean over steps of (1-lambda) ce + lambda mse (Deng et al., ICLR 2022)", tet_keys},
    {0},
};

static int add_term(struct snn_conf *at, struct snn_loss *loss, struct snn_loss_term term) {
    if (loss->terms == SNN_LOSS_TERMS) return snn_conf_error(at, "a loss has at most %d terms", SNN_LOSS_TERMS);
    loss->term[loss->terms++] = term;
    return SNN_OK;
}

static int read_term(struct snn_conf *node, struct snn_loss *loss) {
    int which = snn_conf_variant(node, "a loss", loss_names);
    SNN_TRY(which);
    struct snn_loss_term term = {.weight = 1, .target = NAN, .correct = 1};
    if (which == 4) {
        struct tet tet;
        SNN_TRY(snn_conf_read(node, tet_keys, &tet));
        term.over = SNN_OVER_STEP;
        term.kind = SNN_LOSS_CE, term.weight = tet.weight * (1 - tet.lambda);
        SNN_TRY(add_term(node, loss, term));
        term.kind = SNN_LOSS_MSE, term.weight = tet.weight * tet.lambda, term.target = tet.target;
        return tet.lambda > 0 ? add_term(node, loss, term) : SNN_OK;
    }
    SNN_TRY(snn_conf_read(node, snn_loss_list[which].keys, &term));
    static const enum snn_loss_kind kinds[] = {SNN_LOSS_CE, SNN_LOSS_MSE, SNN_LOSS_MSE_COUNT, SNN_LOSS_MSE};
    term.kind = kinds[which];
    if (which == 2) term.over = SNN_OVER_SUM;
    if (which == 3) term.over = SNN_OVER_STEP;
    return add_term(node, loss, term);
}

int snn_loss_read(struct snn_conf *node, struct snn_loss *out) {
    *out = (struct snn_loss){0};
    if (node->kind != SNN_CONF_LIST) return read_term(node, out);
    for (struct snn_conf *item = node->first; item; item = item->next) SNN_TRY(read_term(item, out));
    return out->terms ? SNN_OK : snn_conf_error(node, "a loss needs at least one term");
}

bool snn_loss_is_stepwise(const struct snn_loss *loss) {
    for (int i = 0; i < loss->terms; ++i)
        if (loss->term[i].over != SNN_OVER_STEP) return false;
    return true;
}

int snn_loss_check_targets(const struct snn_loss *loss, const struct snn_conf *node, bool regression,
                           bool target_steps) {
    for (int i = 0; regression && i < loss->terms; ++i) {
        const struct snn_loss_term *term = &loss->term[i];
        if (term->kind != SNN_LOSS_MSE)
            return snn_conf_error(node, "the data set has numbers to learn, not classes: expected mse or mse_membrane");
        if (!isnan(term->target) || term->correct != 1 || term->incorrect != 0)
            return snn_conf_error(node, "target, correct and incorrect are for classes, and the data set has numbers "
                                        "to learn");
        if (term->over == SNN_OVER_SOFTMAX_SUM)
            return snn_conf_error(node, "over: softmax_sum is for classes, and the data set has numbers to learn");
    }
    if (target_steps && !snn_loss_is_stepwise(loss))
        return snn_conf_error(node, "the data set has a target for every step: expected over: step, or mse_membrane");
    return SNN_OK;
}

bool snn_loss_is_mse(const struct snn_loss *loss) {
    return loss->terms == 1 && loss->term[0].kind == SNN_LOSS_MSE && loss->term[0].weight == 1;
}

const char *const snn_decide_names[] = {"mean", "sum", "max", "last", "softmax_sum", "first_spike", NULL};

void snn_decide_scores(enum snn_decide how, int32_t steps, int32_t B, int32_t C, int32_t b, const real *output,
                       double *scores) {
    for (int32_t c = 0; c < C; ++c) scores[c] = how == SNN_DECIDE_MAX || how == SNN_DECIDE_FIRST_SPIKE ? -HUGE_VAL : 0;
    for (int32_t t = how == SNN_DECIDE_LAST && steps ? steps - 1 : 0; t < steps; ++t) {
        const real *o = output + ((ptrdiff_t)t * B + b) * C;
        double top = o[0], sum = 0;
        for (int32_t c = 1; c < C && how == SNN_DECIDE_SOFTMAX_SUM; ++c) top = o[c] > top ? o[c] : top;
        for (int32_t c = 0; c < C && how == SNN_DECIDE_SOFTMAX_SUM; ++c) sum += exp(o[c] - top);
        for (int32_t c = 0; c < C; ++c) {
            if (how == SNN_DECIDE_MAX) scores[c] = o[c] > scores[c] ? o[c] : scores[c];
            else if (how == SNN_DECIDE_FIRST_SPIKE) scores[c] = scores[c] == -HUGE_VAL && o[c] > 0 ? -t : scores[c];
            else scores[c] += how == SNN_DECIDE_SOFTMAX_SUM ? exp(o[c] - top) / sum : o[c];
        }
    }
    for (int32_t c = 0; c < C && how == SNN_DECIDE_MEAN; ++c) scores[c] /= steps;
}

int32_t snn_first_largest(const double *scores, int32_t n) {
    int32_t best = 0;
    for (int32_t c = 1; c < n; ++c)
        if (scores[c] > scores[best]) best = c;
    return best;
}
