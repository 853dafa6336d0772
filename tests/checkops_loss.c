/* SPDX-License-Identifier: Apache-2.0
 * checkops_loss.c - losses and their gradients (autograd/loss.h): every `over` with every kind. */
#include "checkops.h"

#include "autograd/loss.h"

enum { OVERS = SNN_OVER_SOFTMAX_SUM + 1, KINDS = SNN_LOSS_MSE_COUNT + 1 };

struct loss {
    struct snn_loss loss;
    struct snn_loss_call call;
    double *sample_loss;
    real *gradient;
    int how;
    const double *losses;
    double *sum;
    int64_t *correct;
};

static void call_evaluate(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct loss *l = argument;
    void *scratch = ops_scratch(ops, (size_t)snn_loss_scratch(device->threads, l->call.C) * sizeof(double));
    device->loss->evaluate(device, &l->call, l->sample_loss, l->gradient, scratch);
}

/* Class c's share of what sample b is compared with in step t. */
static wide share_of(const struct snn_loss_call *call, int32_t t, int32_t b, int32_t c) {
    if (!call->target) return c == call->label[b];
    return call->target[((ptrdiff_t)t * call->target_stride + b) * call->C + c];
}

/* l(z) of sample b (in step t, should it have a target for each), and dl/dz into g. */
static wide loss_of(const struct snn_loss_call *call, const struct snn_loss_term *term, const wide *z, int32_t t,
                    int32_t b, int32_t steps, wide *g) {
    int32_t C = call->C;
    wide loss = 0, sum = 0;
    for (int32_t c = 0; c < C; ++c) sum += expl(z[c]);
    for (int32_t c = 0; c < C; ++c) {
        wide y = share_of(call, t, b, c);
        if (term->kind == SNN_LOSS_CE) {
            wide q = (wide)term->label_smoothing / C + y * (1 - (wide)term->label_smoothing);
            loss -= q * logl(expl(z[c]) / sum);
            g[c] = expl(z[c]) / sum - q;
        } else {
            double rate = (double)(y * (wide)term->correct + (1 - y) * (wide)term->incorrect);
            bool count = term->kind == SNN_LOSS_MSE_COUNT;
            wide target = count                 ? floor(rate * steps)
                          : isnan(term->target) ? rate
                                                : term->target,
                 over = (wide)C * (count ? steps : 1);
            loss += (z[c] - target) * (z[c] - target) / over;
            g[c] = 2 * (z[c] - target) / over;
        }
    }
    return loss;
}

/* One step's share of z, and the step that a maximum comes from. */
static void softmax(const real *o, int32_t C, wide *p) {
    wide sum = 0;
    for (int32_t c = 0; c < C; ++c) sum += p[c] = expl((wide)o[c]);
    for (int32_t c = 0; c < C; ++c) p[c] /= sum;
}

enum { MOST_CLASSES = 128 };

/* Loss of a term on sample b, drawn together over its n steps; gradients are added to g (T,B,C). */
static wide reduced_loss(const struct snn_loss_call *call, const struct snn_loss_term *term, int32_t b, int32_t n,
                         struct ops_sum *g) {
    int32_t C = call->C, first[MOST_CLASSES] = {0};
    wide z[MOST_CLASSES], gz[MOST_CLASSES], p[MOST_CLASSES], weight = (wide)term->weight * (wide)*call->scale;
    for (int32_t c = 0; c < C; ++c) z[c] = term->over == SNN_OVER_MAX ? call->output[b * C + c] : 0;
    for (int32_t t = 0; t < n; ++t) {
        const real *o = call->output + ((ptrdiff_t)t * call->B + b) * C;
        softmax(o, C, p);
        for (int32_t c = 0; c < C; ++c) {
            if (term->over == SNN_OVER_MEAN) z[c] += (wide)o[c] / n;
            else if (term->over == SNN_OVER_SUM) z[c] += o[c];
            else if (term->over == SNN_OVER_SOFTMAX_SUM) z[c] += p[c];
            else if (term->over == SNN_OVER_LAST && t == n - 1) z[c] = o[c];
            else if (term->over == SNN_OVER_MAX && o[c] > z[c]) z[c] = o[c], first[c] = t;
        }
    }
    wide loss = loss_of(call, term, z, 0, b, n, gz) * (wide)term->weight;
    for (int32_t t = 0; t < n; ++t) {
        const real *o = call->output + ((ptrdiff_t)t * call->B + b) * C;
        softmax(o, C, p);
        for (int32_t c = 0; c < C; ++c) {
            struct ops_sum *to = &g[((ptrdiff_t)t * call->B + b) * C + c];
            if (term->over == SNN_OVER_SOFTMAX_SUM) /* dp[j]/do[c] = p[c] ([j = c] - p[j]) */
                for (int32_t j = 0; j < C; ++j) ops_term(to, weight * gz[j] * p[c] * ((j == c) - p[j]));
            else if (term->over == SNN_OVER_MEAN) ops_term(to, weight * gz[c] / n);
            else if (term->over == SNN_OVER_SUM || (term->over == SNN_OVER_LAST && t == n - 1) ||
                     (term->over == SNN_OVER_MAX && t == first[c]))
                ops_term(to, weight * gz[c]);
        }
    }
    return loss;
}

static wide stepwise_loss(const struct snn_loss_call *call, const struct snn_loss_term *term, int32_t b, int32_t n,
                          struct ops_sum *g) {
    int32_t C = call->C, total = call->total ? call->total[b] : call->steps;
    wide z[MOST_CLASSES], gz[MOST_CLASSES], loss = 0;
    for (int32_t t = 0; t < n; ++t) {
        ptrdiff_t at = ((ptrdiff_t)t * call->B + b) * C;
        for (int32_t c = 0; c < C; ++c) z[c] = call->output[at + c];
        loss += loss_of(call, term, z, t, b, total, gz) * (wide)term->weight / total;
        for (int32_t c = 0; c < C; ++c) ops_term(&g[at + c], (wide)term->weight * (wide)*call->scale * gz[c] / total);
    }
    return loss;
}

static const struct {
    int32_t T, B, C;
} shapes[] = {{1, 1, 1}, {1, 1, 10}, {4, 3, 10}, {7, 5, 2}, {3, 2, 127}, {5, 1, 17}};

/* option: bit 0 lengths, bit 1 totals, bit 2 no gradient; targets: 0 labels, 1 shares, 2 shares for every step, whose
 * rows are those of a larger batch */
static void loss_case(struct ops *ops, int shape, const struct snn_loss *loss, const char *what, int option,
                      int targets) {
    struct loss l = {.loss = *loss};
    struct snn_loss_call *call = &l.call;
    *call = (struct snn_loss_call){.T = shapes[shape].T, .B = shapes[shape].B, .C = shapes[shape].C};
    ops_begin(ops, "%s, T %d, B %d, C %d, option %d, targets %d", what, call->T, call->B, call->C, option, targets);
    ptrdiff_t n = (ptrdiff_t)call->T * call->B * call->C;
    real *output = ops_reals(ops, n);
    for (ptrdiff_t i = 0; i < n; ++i)
        output[i] = (real)(ops_below(ops, 3) ? 5 * output[i] : (double)ops_below(ops, 3)); /* with ties over time */
    int32_t *label = ops_input(ops, call->B, sizeof *label), *length = ops_input(ops, call->B, sizeof *length);
    int32_t *total = ops_input(ops, call->B, sizeof *total);
    for (int32_t b = 0; b < call->B; ++b) {
        label[b] = (int32_t)ops_below(ops, (uint32_t)call->C);
        length[b] = (int32_t)ops_below(ops, (uint32_t)call->T + 1), total[b] = call->T + (int32_t)ops_below(ops, 4);
    }
    call->loss = &l.loss, call->output = output, call->label = label, call->steps = call->T + 2;
    if (targets) {
        call->target_stride = targets == 2 ? call->B + 2 : 0;
        ptrdiff_t rows = targets == 2 ? (ptrdiff_t)call->T * call->target_stride : call->B;
        float *target = ops_input(ops, rows * call->C, sizeof *target);
        for (ptrdiff_t r = 0; r < rows; ++r) {
            float *y = target + r * call->C, left = 1; /* multiples of 1/64 that sum to 1 */
            for (int32_t c = 0; c < call->C; ++c) {
                y[c] = c == call->C - 1 ? left : (float)ops_below(ops, (uint32_t)(left * 64) + 1) / 64;
                left -= y[c];
            }
        }
        call->target = target;
    }
    double *scale = ops_input(ops, 1, sizeof *scale);
    *scale = 1.0 / 3, call->scale = scale;
    call->length = option & 1 ? length : NULL, call->total = option & 2 ? total : NULL;
    struct ops_sum *g = ops_memory(ops, n, sizeof *g), *sample = ops_memory(ops, call->B, sizeof *sample);
    for (int32_t b = 0; b < call->B; ++b)
        for (int i = 0; i < loss->terms; ++i) {
            int32_t steps = call->length ? length[b] : call->T;
            if (steps == 0) continue;
            ops_term(&sample[b], (loss->term[i].over == SNN_OVER_STEP ? stepwise_loss : reduced_loss)(
                                     call, &loss->term[i], b, steps, g));
            sample[b].n += (ptrdiff_t)call->T * call->C,
                sample[b].terms += fabs(loss->term[i].weight) * 10; /* logits: up to 5 in size */
        }
    l.sample_loss = ops_output(ops, call->B, sizeof *l.sample_loss);
    ops_expect_double_sums(ops, l.sample_loss, sample, DBL_EPSILON);
    if (!(option & 4)) {
        l.gradient = ops_output(ops, n, sizeof *l.gradient);
        for (ptrdiff_t i = 0; i < n; ++i)
            g[i].terms += g[i].n ? 1 : 0; /* of an exponent of up to 35 before its exponential is taken */
        ops_expect_sums(ops, l.gradient, g);
    }
    ops_run(ops, call_evaluate, &l);
}

static void check_evaluate(struct ops *ops) {
    for (int k = 0; k < OVERS * KINDS * OPS_COUNT(shapes); ++k) {
        int over = k % OVERS, kind = k / OVERS % KINDS, shape = k / OVERS / KINDS;
        for (int variant = 0; variant < 3; ++variant) {
            struct snn_loss loss = {.terms = 1};
            loss.term[0] =
                (struct snn_loss_term){.kind = kind, .over = over, .weight = 1.5, .target = NAN, .correct = 1};
            if (variant) loss.term[0].label_smoothing = 0.1, loss.term[0].correct = 0.8, loss.term[0].incorrect = 0.15;
            if (variant == 2) loss.term[0].target = 0.7;
            char what[64];
            snprintf(what, sizeof what, "over %d, kind %d, variant %d", over, kind, variant);
            for (int targets = 0; targets < (over == SNN_OVER_STEP ? 3 : 2); ++targets)
                loss_case(ops, shape, &loss, what, (int)ops_below(ops, 8), targets);
        }
    }
    struct snn_loss all = {.terms = SNN_LOSS_TERMS};
    for (int i = 0; i < SNN_LOSS_TERMS; ++i)
        all.term[i] = (struct snn_loss_term){
            .kind = i % KINDS, .over = (2 * i) % OVERS, .weight = 0.5 - i, .target = NAN, .correct = 1};
    for (int k = 0; k < 8 * OPS_COUNT(shapes); ++k) loss_case(ops, k / 8, &all, "four terms", k % 8, k % 2);
}

static void call_tally(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct loss *l = argument;
    void *scratch = ops_scratch(ops, (size_t)snn_loss_scratch(device->threads, l->call.C) * sizeof(double));
    device->loss->tally(device, &l->call, l->how, l->losses, l->sum, l->correct, scratch);
}

/* Outputs are multiples of 1/4, so that every score but a softmax is exact and ties are frequent. */
static void tally_case(struct ops *ops, int how, int shape, bool cut, bool labelled) {
    struct loss l = {.how = how, .loss = {.terms = 1}};
    struct snn_loss_call *call = &l.call;
    *call = (struct snn_loss_call){
        .loss = &l.loss, .T = shapes[shape].T, .B = shapes[shape].B, .C = shapes[shape].C, .steps = shapes[shape].T};
    ops_begin(ops, "decide %s, T %d, B %d, C %d, lengths %d, labels %d", snn_decide_names[how], call->T, call->B,
              call->C, cut, labelled);
    ptrdiff_t n = (ptrdiff_t)call->T * call->B * call->C;
    real *output = ops_input(ops, n, sizeof *output);
    int32_t *label = ops_input(ops, call->B, sizeof *label), *length = ops_input(ops, call->B, sizeof *length);
    double *losses = ops_input(ops, call->B, sizeof *losses);
    for (ptrdiff_t i = 0; i < n; ++i) output[i] = (real)((int)ops_below(ops, 9) - 3) / 4;
    struct ops_sum *sum = ops_memory(ops, 1, sizeof *sum);
    int64_t *correct = ops_memory(ops, 1, sizeof *correct);
    double *scores = ops_memory(ops, call->C, sizeof *scores);
    l.sum = ops_output(ops, 1, sizeof *l.sum), l.correct = labelled ? ops_output(ops, 1, sizeof *l.correct) : NULL;
    *l.sum = 0.75, *correct = 41;
    if (labelled) *l.correct = 41;
    ops_term(sum, 0.75);
    for (int32_t b = 0; b < call->B; ++b) {
        length[b] = (int32_t)ops_below(ops, (uint32_t)call->T + 1), losses[b] = ops_unit(ops);
        snn_decide_scores(how, cut ? length[b] : call->T, call->B, call->C, b, output, scores);
        int32_t choice = snn_first_largest(scores, call->C);
        label[b] = ops_below(ops, 2) ? choice : (int32_t)ops_below(ops, (uint32_t)call->C);
        *correct += label[b] == choice;
        ops_term(sum, losses[b]);
    }
    call->output = output, call->label = label, call->length = cut ? length : NULL;
    l.losses = losses;
    ops_expect_double_sums(ops, l.sum, sum, DBL_EPSILON);
    if (labelled) ops_expect(ops, l.correct, correct);
    ops_run(ops, call_tally, &l);
}

static void check_tally(struct ops *ops) {
    for (int how = 0; how <= SNN_DECIDE_FIRST_SPIKE; ++how)
        for (int shape = 0; shape < OPS_COUNT(shapes); ++shape)
            for (int cut = 0; cut < 2; ++cut)
                for (int labelled = 0; labelled < 2; ++labelled) tally_case(ops, how, shape, cut, labelled);
}

#define CASES(X) X(evaluate) X(tally)
#define OPS_ENTRY_(name) OPS_ROW(snn_loss_kernels, name)
OPS_TABLE(snn_loss_kernels, CASES)
OPS_TCASE(loss)
