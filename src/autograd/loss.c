/* SPDX-License-Identifier: Apache-2.0
 * loss.c - losses by name, and the read-out of a class. */
#include "autograd/loss.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/loss_point.h"
#include "core/status.h"

static const char *const over_names[] = {"mean", "sum", "step", "last", "max", "softmax_sum", NULL};
static const char *const target_words[] = {"one_hot", NULL};
static const char *const inverse_names[] = {"negate", "reciprocal", NULL};
static const char *const reduction_names[] = {"mean", "sum", NULL};

#define TERM(field) offsetof(struct snn_loss_term, field)
#define OVER(value)                                                                                                    \
    { "over", SNN_CHOICE, TERM(over), value, 0, 0, over_names, "how the steps are drawn together" }
#define SMOOTHING(value)                                                                                               \
    {                                                                                                                  \
        "label_smoothing", SNN_REAL, TERM(label_smoothing), value, 0, 1, NULL,                                         \
            "share of the target given to all classes alike"                                                           \
    }
#define REDUCTION(value)                                                                                               \
    { "reduction", SNN_CHOICE, TERM(sum), value, 0, 0, reduction_names, "over the outputs" }
#define CORRECT(value, low, high, help)                                                                                \
    { "correct", SNN_REAL, TERM(correct), value, low, high, NULL, help }
#define INCORRECT(value, low, high, help)                                                                              \
    { "incorrect", SNN_REAL, TERM(incorrect), value, low, high, NULL, help }
#define TARGET                                                                                                         \
    {"target", SNN_REAL, TERM(target), "one_hot", -1e6, 1e6, target_words, "one_hot, or one number for every class"},  \
        CORRECT("1", -1e6, 1e6, "one_hot: target of the true class"),                                                  \
        INCORRECT("0", -1e6, 1e6, "one_hot: target of the other classes")
#define COMMON                                                                                                         \
    {"class_weights",                                                                                                  \
     SNN_NODE,                                                                                                         \
     TERM(class_weights),                                                                                              \
     "none",                                                                                                           \
     0,                                                                                                                \
     0,                                                                                                                \
     NULL,                                                                                                             \
     "a number a class that its samples count with, or balanced: samples / (classes * samples of the class)"},         \
        {"weight", SNN_REAL, TERM(weight), "1", 0, 1e6, NULL, "factor of this term"}, {                                \
        0                                                                                                              \
    }

static const struct snn_key ce_keys[] = {SNN_KEY_NAME, OVER("mean"), SMOOTHING("0"), COMMON};
static const struct snn_key ce_fixed_keys[] = {SNN_KEY_NAME, SMOOTHING("0"), COMMON};
static const struct snn_key integral_keys[] = {SNN_KEY_NAME, SMOOTHING("0.3"), COMMON};
static const struct snn_key ce_temporal_keys[] = {
    SNN_KEY_NAME,
    {"inverse", SNN_CHOICE, TERM(inverse), "negate", 0, 0, inverse_names, "of the time t: -t, or 1 / (t + 1)"},
    SMOOTHING("0"),
    COMMON,
};
static const struct snn_key spike_max_keys[] = {
    SNN_KEY_NAME,
    {"eps", SNN_REAL, TERM(eps), "1e-3", 1e-12, 1, NULL,
     "added to every rate: what a silent output has (lava adds 1e-6 to their sum, and a silent one costs infinity)"},
    SMOOTHING("0"),
    COMMON,
};
#define SIGMOID                                                                                                        \
    {"alpha", SNN_REAL, TERM(alpha), "1", 1e-6, 1e6, NULL, "temperature"}, {                                           \
        "theta", SNN_REAL, TERM(theta), "0", -1e6, 1e6, NULL, "what z is compared with"                                \
    }
static const struct snn_key bce_keys[] = {
    SNN_KEY_NAME,
    OVER("mean"),
    SIGMOID,
    REDUCTION("mean"),
    {"label_smoothing", SNN_REAL, TERM(label_smoothing), "0", 0, 1, NULL, "how far targets move to 1/2"},
    COMMON,
};
static const struct snn_key spike_moid_keys[] = {SNN_KEY_NAME, SIGMOID, REDUCTION("sum"), COMMON};
static const struct snn_key mse_keys[] = {SNN_KEY_NAME, OVER("mean"), TARGET, REDUCTION("mean"), COMMON};
static const struct snn_key smooth_l1_keys[] = {
    SNN_KEY_NAME,
    OVER("mean"),
    {"beta", SNN_REAL, TERM(beta), "1", 1e-9, 1e6, NULL, "up to this difference it is a square"},
    TARGET,
    REDUCTION("mean"),
    COMMON,
};
static const struct snn_key mse_count_keys[] = {
    SNN_KEY_NAME,
    CORRECT("0.8", 0, 1, "share of the steps in which the true class should spike"),
    INCORRECT("0.2", 0, 1, "and the other classes"),
    COMMON,
};
static const struct snn_key mse_membrane_keys[] = {
    SNN_KEY_NAME,
    CORRECT("1", -1e6, 1e6, "membrane target of the true class at every step"),
    INCORRECT("0", -1e6, 1e6, "and of the other classes"),
    COMMON,
};
static const struct snn_key mse_temporal_keys[] = {
    SNN_KEY_NAME,
    CORRECT("0", -1e6, 1e6, "step of the true class's first spike; below 0 from the end, -1: the last"),
    INCORRECT("-1", -1e6, 1e6, "and of the other classes'"),
    {"tolerance", SNN_REAL, TERM(tolerance), "0", 0, 1e6, NULL, "a spike fewer steps away from its target is right"},
    COMMON,
};
static const struct snn_key spike_rate_keys[] = {
    SNN_KEY_NAME,
    CORRECT("0.2", 0, 1, "rate of the true class, in spikes a step"),
    INCORRECT("0.03", 0, 1, "and of the other classes"),
    REDUCTION("sum"),
    COMMON,
};
static const struct snn_key spike_time_keys[] = {
    SNN_KEY_NAME,
    {"tau", SNN_REAL, TERM(tau), "5", 1e-3, 1e3, NULL, "of the filter, in steps"},
    CORRECT("0.2", 0, 1, "spikes a step, evenly spaced, of the true class's train"),
    INCORRECT("0.03", 0, 1, "and of the other classes'"),
    {"reduction", SNN_CHOICE, TERM(sum), "sum", 0, 0, reduction_names, "over steps and outputs"},
    COMMON,
};
struct tet {
    struct snn_loss_term term;
    double lambda;
};
static const struct snn_key tet_keys[] = {
    SNN_KEY_NAME,
    {"lambda", SNN_REAL, offsetof(struct tet, lambda), "0.05", 0, 1, NULL, "share of the MSE term"},
    {"target", SNN_REAL, TERM(target), "1", -1e6, 1e6, target_words,
     "of the MSE term: one number for every class, or one_hot"},
    SMOOTHING("0"),
    COMMON,
};

#define PLAIN .target = NAN, .correct = 1, .beta = 1, .alpha = 1, .eps = 1, .inverse = SNN_TIME_AS_IT_IS
const struct snn_loss_listing snn_loss_list[] = {
    {"ce", "CrossEntropyLoss", "-log softmax(z)[label], z = mean over steps of o", ce_keys, SNN_LOSS_CE, {PLAIN}},
    {"mse", "MSELoss", "mean over classes of (z - target)^2; learns numbers too", mse_keys, SNN_LOSS_MSE, {PLAIN}},
    {"mse_count",
     "mse_count_loss",
     "mean over classes of (spike count - floor(rate * T))^2 / T",
     mse_count_keys,
     SNN_LOSS_MSE_COUNT,
     {PLAIN, .over = SNN_OVER_SUM}},
    {"mse_membrane",
     "mse_membrane_loss",
     "mean over steps and classes of (o - target)^2; learns numbers too",
     mse_membrane_keys,
     SNN_LOSS_MSE,
     {PLAIN, .over = SNN_OVER_STEP}},
    {"tet",
     "temporal_efficient_training_cross_entropy",
     "mean over steps of (1-lambda) ce + lambda mse (Deng et al., ICLR 2022)",
     tet_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_STEP}},
    {"ce_rate",
     "ce_rate_loss",
     "ce of every step, mean over steps: ce {over: step}",
     ce_fixed_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_STEP}},
    {"ce_count",
     "ce_count_loss",
     "ce of the spike counts: ce {over: sum}",
     ce_fixed_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_SUM}},
    {"ce_max_membrane",
     "ce_max_membrane_loss",
     "ce of the largest membranes: ce {over: max}",
     ce_fixed_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_MAX}},
    {"ce_temporal",
     "ce_temporal_loss",
     "ce of -t, t the step of each output's first spike (the last step where there is none; dt/do = -1 there)",
     ce_temporal_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_FIRST_SPIKE}},
    {"mse_temporal",
     "mse_temporal_loss",
     "mean over classes of ((t - target) / T)^2, t as in ce_temporal; learns times in steps too",
     mse_temporal_keys,
     SNN_LOSS_TIME,
     {PLAIN, .over = SNN_OVER_FIRST_SPIKE}},
    {"integral_ce",
     "integral_crossentropy",
     "ce of the sum over steps, label smoothing 0.3 (Spyx)",
     integral_keys,
     SNN_LOSS_CE,
     {PLAIN, .over = SNN_OVER_SUM}},
    {"bce",
     "BCEWithLogitsLoss",
     "mean over classes of log(1 + exp(x)) - target x, x = (z - theta) / alpha; learns shares from 0 to 1 too",
     bce_keys,
     SNN_LOSS_BCE,
     {PLAIN}},
    {"smooth_l1",
     "SmoothL1Loss",
     "mean over classes of d^2 / (2 beta) where |d| < beta, else |d| - beta/2; d = z - target; learns numbers too",
     smooth_l1_keys,
     SNN_LOSS_SMOOTH_L1,
     {PLAIN}},
    {"spike_rate", "SpikeRate", "sum over classes of (rate - target)^2 (lava)", spike_rate_keys, SNN_LOSS_MSE, {PLAIN}},
    {"spike_max",
     "SpikeMax",
     "-log(r[label] / sum of r), r = rate + eps (lava, mode probability; its softmax is ce)",
     spike_max_keys,
     SNN_LOSS_SHARE,
     {PLAIN}},
    {"spike_moid", "SpikeMoid", "sum over classes of bce of the rates (lava)", spike_moid_keys, SNN_LOSS_BCE, {PLAIN}},
    {"spike_time",
     "SpikeTime",
     "sum over steps and classes of e^2, e[t] = exp(-1/tau) e[t-1] + o[t] - target[t] (van Rossum; lava)",
     spike_time_keys,
     SNN_LOSS_MSE,
     {PLAIN, .over = SNN_OVER_FILTERED}},
    {0},
};

static bool is_word(const struct snn_conf *node, const char *word) {
    return node->kind == SNN_CONF_SCALAR && !strcmp(node->text, word);
}

/* `class_weights` is none, balanced, or a list of numbers. */
static int settle_class_weights(struct snn_loss_term *term) {
    const struct snn_conf *node = term->class_weights;
    if (is_word(node, "none")) term->class_weights = NULL;
    term->weighted = term->class_weights != NULL;
    if (!term->weighted || is_word(node, "balanced")) return SNN_OK;
    if (node->kind != SNN_CONF_LIST)
        return snn_conf_error(node, "expected none, balanced, or a list with a number for every class");
    for (const struct snn_conf *item = node->first; item; item = item->next) {
        char *end;
        double w = item->kind == SNN_CONF_SCALAR ? strtod(item->text, &end) : NAN;
        if (!(w >= 0 && w <= 1e6) || !item->text[0] || *end)
            return snn_conf_error(item, "expected a class weight from 0 to 1e+06");
    }
    return SNN_OK;
}

static int add_term(struct snn_conf *at, struct snn_loss *loss, struct snn_loss_term term) {
    if (loss->terms == SNN_LOSS_TERMS) return snn_conf_error(at, "a loss has at most %d terms", SNN_LOSS_TERMS);
    loss->term[loss->terms++] = term;
    return SNN_OK;
}

enum { LOSSES = sizeof snn_loss_list / sizeof *snn_loss_list - 1, MOST_NAMES = 96 };

/* A loss, or behind them a regulariser, by its name or its alias; the config then has the name. */
static int find(struct snn_conf *node) {
    const char *names[MOST_NAMES + 1] = {0}, *name[MOST_NAMES];
    int n = 0, known[MOST_NAMES];
    for (int alias = 0; alias < 2; ++alias) {
        for (int i = 0; i < LOSSES; ++i, ++n)
            name[n] = snn_loss_list[i].name, known[n] = i, names[n] = alias ? snn_loss_list[i].alias : name[n];
        for (int i = 0; snn_regular_list[i].name; ++i) {
            const char *word = alias ? snn_regular_list[i].alias : snn_regular_list[i].name;
            SNN_CHECK(n < MOST_NAMES, "more losses than there is room for");
            if (word) name[n] = snn_regular_list[i].name, known[n] = LOSSES + i, names[n++] = word;
        }
    }
    int which = snn_conf_variant(node, "a loss", names);
    SNN_TRY(which);
    if (strcmp(names[which], name[which])) SNN_TRY(snn_conf_assign(snn_conf_get(node, "name"), name[which]));
    return known[which];
}

static int read_term(struct snn_conf *node, struct snn_loss *loss) {
    int which = find(node);
    SNN_TRY(which);
    if (which >= LOSSES) return snn_regular_read(node, which - LOSSES, &loss->regular);
    const struct snn_loss_listing *listing = &snn_loss_list[which];
    struct tet read = {.term = listing->start};
    struct snn_loss_term *term = &read.term;
    SNN_TRY(snn_conf_read(node, listing->keys, &read));
    term->kind = listing->kind, term->listing = listing;
    SNN_TRY(settle_class_weights(term));
    if (listing->keys != tet_keys) return add_term(node, loss, *term);
    struct snn_loss_term mse = *term;
    mse.kind = SNN_LOSS_MSE, mse.label_smoothing = 0, mse.weight *= read.lambda;
    term->target = NAN, term->weight *= 1 - read.lambda;
    SNN_TRY(add_term(node, loss, *term));
    return read.lambda > 0 ? add_term(node, loss, mse) : SNN_OK;
}

int snn_loss_read(struct snn_conf *node, struct snn_loss *out) {
    *out = (struct snn_loss){0};
    if (node->kind != SNN_CONF_LIST) SNN_TRY(read_term(node, out));
    struct snn_conf *item = node->kind == SNN_CONF_LIST ? node->first : NULL;
    for (; item; item = item->next) SNN_TRY(read_term(item, out));
    if (!out->terms && (out->regular.activities || out->regular.weights))
        return snn_conf_error(node,
                              "a regulariser needs a loss beside it: expected a list, [ce, {name: rate_l1, ...}]");
    return out->terms ? SNN_OK : snn_conf_error(node, "a loss needs at least one term");
}

bool snn_loss_is_stepwise(const struct snn_loss *loss) {
    for (int i = 0; i < loss->terms; ++i)
        if (loss->term[i].over != SNN_OVER_STEP) return false;
    return snn_regular_is_stepwise(&loss->regular);
}

/* What a key has when nobody says otherwise; a term without it never differs. */
static double default_of(const struct snn_loss_listing *listing, const char *key, double start) {
    for (const struct snn_key *k = listing->keys; k->name; ++k)
        if (!strcmp(k->name, key)) return k->type == SNN_REAL && k->choices ? NAN : strtod(k->value, NULL);
    return start;
}

/* The targets of a data set are numbers: they stand for themselves. */
static int learn_numbers(struct snn_loss_term *term, const struct snn_conf *node) {
    bool can = term->kind == SNN_LOSS_MSE || term->kind == SNN_LOSS_SMOOTH_L1 || term->kind == SNN_LOSS_BCE ||
               term->kind == SNN_LOSS_TIME;
    if (!can || term->listing->keys == tet_keys)
        return snn_conf_error(node, "the data set has numbers to learn, not classes: expected mse or mse_membrane (or "
                                    "smooth_l1, bce, mse_temporal or spike_time");
    if (!isnan(term->target) || term->correct != default_of(term->listing, "correct", term->listing->start.correct) ||
        term->incorrect != default_of(term->listing, "incorrect", term->listing->start.incorrect))
        return snn_conf_error(node, "target, correct and incorrect are for classes, and the data set has numbers "
                                    "to learn");
    if (term->over == SNN_OVER_SOFTMAX_SUM)
        return snn_conf_error(node, "over: softmax_sum is for classes, and the data set has numbers to learn");
    if (term->weighted) return snn_conf_error(term->class_weights, "the data set has no classes to weigh");
    term->correct = 1, term->incorrect = 0, term->numbers = true;
    return SNN_OK;
}

int snn_loss_check_targets(struct snn_loss *loss, const struct snn_conf *node, bool regression, bool target_steps) {
    for (int i = 0; regression && i < loss->terms; ++i) SNN_TRY(learn_numbers(&loss->term[i], node));
    for (int i = 0; target_steps && i < loss->terms; ++i)
        if (loss->term[i].over != SNN_OVER_STEP && loss->term[i].over != SNN_OVER_FILTERED)
            return snn_conf_error(node, "the data set has a target for every step: expected over: step, mse_membrane, "
                                        "or spike_time");
    return SNN_OK;
}

bool snn_loss_is_mse(const struct snn_loss *loss) {
    const struct snn_loss_term *term = &loss->term[0];
    return loss->terms == 1 && term->kind == SNN_LOSS_MSE && term->over != SNN_OVER_FILTERED && term->weight == 1 &&
           !term->sum;
}

/* ---- class weights ---- */

int snn_loss_check_classes(const struct snn_loss *loss, int32_t classes) {
    for (int i = 0; i < loss->terms; ++i) {
        const struct snn_conf *node = loss->term[i].class_weights;
        if (node && node->kind == SNN_CONF_LIST && node->count != classes)
            return snn_conf_error(node, "expected a number for every class, %d, got %d", (int)classes, node->count);
    }
    return SNN_OK;
}

bool snn_loss_wants_balance(const struct snn_loss *loss) {
    for (int i = 0; i < loss->terms; ++i)
        if (loss->term[i].weighted && loss->term[i].class_weights->kind != SNN_CONF_LIST) return true;
    return false;
}

int snn_loss_balance(struct snn_loss *loss, int32_t classes, const int64_t *samples) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return snn_error(SNN_EFAIL, "out of memory");
    double all = 0;
    for (int32_t c = 0; c < classes; ++c) all += (double)samples[c];
    for (int32_t c = 0; c < classes; ++c) /* a class without samples has nothing to weigh */
        fprintf(out, "%s%.9g", c ? ", " : "[", samples[c] ? all / ((double)classes * (double)samples[c]) : 1);
    fprintf(out, "]");
    int rc = fclose(out) ? snn_error(SNN_EFAIL, "out of memory") : SNN_OK;
    for (int i = 0; rc >= 0 && i < loss->terms; ++i) {
        struct snn_conf *node = loss->term[i].class_weights;
        if (node && node->kind != SNN_CONF_LIST) rc = snn_conf_assign(node, text);
    }
    free(text);
    return rc;
}

bool snn_loss_class_weights(const struct snn_loss *loss, int32_t C, double *weights) {
    bool any = false;
    for (int i = 0; i < loss->terms; ++i) {
        const struct snn_conf *node = loss->term[i].class_weights;
        bool listed = node && node->kind == SNN_CONF_LIST;
        for (int32_t c = 0; weights && c < C; ++c) weights[(ptrdiff_t)i * C + c] = 1;
        const struct snn_conf *item = listed ? node->first : NULL;
        for (int32_t c = 0; weights && item && c < C; ++c, item = item->next)
            weights[(ptrdiff_t)i * C + c] = strtod(item->text, NULL);
        any = any || loss->term[i].weighted;
    }
    return any;
}

/* ---- reading a class out ---- */

enum snn_decide snn_loss_decide(const struct snn_loss *loss) {
    static const enum snn_decide how[] = {
        [SNN_OVER_MEAN] = SNN_DECIDE_MEAN,     [SNN_OVER_SUM] = SNN_DECIDE_SUM,
        [SNN_OVER_STEP] = SNN_DECIDE_MEAN,     [SNN_OVER_LAST] = SNN_DECIDE_LAST,
        [SNN_OVER_MAX] = SNN_DECIDE_MAX,       [SNN_OVER_SOFTMAX_SUM] = SNN_DECIDE_SOFTMAX_SUM,
        [SNN_OVER_FILTERED] = SNN_DECIDE_MEAN, [SNN_OVER_FIRST_SPIKE] = SNN_DECIDE_FIRST_SPIKE};
    return how[loss->term[0].over];
}

const char *const snn_decide_names[] = {"mean", "sum", "max", "last", "softmax_sum", "first_spike", NULL};

void snn_decide_start(enum snn_decide how, int32_t C, double *scores) {
    for (int32_t c = 0; c < C; ++c) scores[c] = snn_point_score(how);
}

void snn_decide_step(enum snn_decide how, int32_t t, int32_t C, const real *o, double *scores) {
    double top = o[0], sum = 0;
    for (int32_t c = 1; c < C && how == SNN_DECIDE_SOFTMAX_SUM; ++c) top = o[c] > top ? o[c] : top;
    for (int32_t c = 0; c < C && how == SNN_DECIDE_SOFTMAX_SUM; ++c) sum += exp(o[c] - top);
    for (int32_t c = 0; c < C; ++c) {
        double x = how == SNN_DECIDE_SOFTMAX_SUM ? exp(o[c] - top) / sum : o[c];
        scores[c] = snn_point_score_step(how, scores[c], x, t);
    }
}

void snn_decide_end(enum snn_decide how, int32_t steps, int32_t C, double *scores) {
    for (int32_t c = 0; c < C; ++c) scores[c] = snn_point_score_end(how, scores[c], steps);
}

int32_t snn_first_largest(const double *scores, int32_t n) {
    int32_t best = 0;
    for (int32_t c = 1; c < n; ++c)
        if (scores[c] > scores[best]) best = c;
    return best;
}
