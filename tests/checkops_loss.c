/* SPDX-License-Identifier: Apache-2.0
 * checkops_loss.c - losses and their gradients (autograd/loss.h): every `over` with every kind, and the filter. */
#include "checkops.h"

#include "autograd/loss.h"

enum { OVERS = SNN_OVER_FIRST_SPIKE + 1, KINDS = SNN_LOSS_TIME + 1 };

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

/* The class weights of a term, or NULL. */
static const double *weights_of(const struct snn_loss_call *call, const struct snn_loss_term *term) {
    ptrdiff_t i = term - call->loss->term;
    return term->weighted ? call->class_weight + i * call->C : NULL;
}

static wide steps_from_end(wide t, int32_t n) { return t < 0 ? t + n : t; }

/* What class c is compared with, y being its share. */
static wide target_of(const struct snn_loss_term *term, wide y, int32_t steps) {
    wide correct = (wide)term->correct, incorrect = (wide)term->incorrect;
    if (term->kind == SNN_LOSS_TIME)
        return steps_from_end(y * steps_from_end(correct, steps) + (1 - y) * steps_from_end(incorrect, steps), steps);
    double rate = (double)(y * correct + (1 - y) * incorrect);
    if (term->kind == SNN_LOSS_MSE_COUNT) return floor(rate * steps);
    return isnan(term->target) ? rate : term->target;
}

/* l(z) of sample b (in step t, should it have a target for each), and dl/dz into g. */
static wide loss_of(const struct snn_loss_call *call, const struct snn_loss_term *term, const wide *z, int32_t t,
                    int32_t b, int32_t steps, wide *g) {
    int32_t C = call->C;
    const double *w = weights_of(call, term);
    wide loss = 0, sum = 0, rates = 0, smooth = (wide)term->label_smoothing, mass = 0, classes = 0;
    for (int32_t c = 0; c < C; ++c) {
        wide y = share_of(call, t, b, c);
        sum += expl(z[c]), rates += (z[c] > 0 ? z[c] : 0) + (wide)term->eps;
        mass += (w ? w[c] : 1) * (y * (1 - smooth) + smooth / C), classes += w ? w[c] * y : 0;
    }
    wide over = (w ? classes : 1) / (term->sum ? 1 : C);
    for (int32_t c = 0; c < C; ++c) {
        wide y = share_of(call, t, b, c), q = (w ? w[c] : 1) * (y * (1 - smooth) + smooth / C);
        wide d = z[c] - target_of(term, y, steps);
        switch (term->kind) {
        case SNN_LOSS_CE:
            loss -= q * logl(expl(z[c]) / sum);
            g[c] = mass * expl(z[c]) / sum - q;
            break;
        case SNN_LOSS_SHARE:
            loss -= q * logl(((z[c] > 0 ? z[c] : 0) + (wide)term->eps) / rates);
            g[c] = z[c] > 0 ? mass / rates - q / (z[c] + (wide)term->eps) : 0;
            break;
        case SNN_LOSS_BCE: {
            wide p = 1 / (1 + expl(-(z[c] - (wide)term->theta) / (wide)term->alpha)),
                 half = y * (1 - smooth) + smooth / 2;
            loss -= over * (half * logl(p) + (1 - half) * log1pl(-p));
            g[c] = over * (p - half) / (wide)term->alpha;
            break;
        }
        case SNN_LOSS_TIME:
            if (fabsl(d) < (wide)term->tolerance) d = 0;
            loss += over * d * d / steps / steps;
            g[c] = 2 * over * d / steps / steps;
            break;
        case SNN_LOSS_SMOOTH_L1: {
            wide beta = (wide)term->beta;
            bool near = fabsl(d) < beta;
            loss += over * (near ? d * d / (2 * beta) : fabsl(d) - beta / 2);
            g[c] = over * (near ? d / beta : d > 0 ? 1 : -1);
            break;
        }
        default: {
            wide count = term->kind == SNN_LOSS_MSE_COUNT ? steps : 1;
            loss += over * d * d / count;
            g[c] = 2 * over * d / count;
        }
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
    for (int32_t c = 0; c < C && term->over == SNN_OVER_FIRST_SPIKE; ++c) {
        first[c] = n - 1;
        for (int32_t t = n - 1; t >= 0; --t)
            if (call->output[((ptrdiff_t)t * call->B + b) * C + c] > 0) first[c] = t;
        real o = call->output[((ptrdiff_t)first[c] * call->B + b) * C + c];
        wide time = (o > 0 ? first[c] + 1 : n - 1) - (wide)o;
        z[c] = term->inverse == SNN_TIME_NEGATE       ? -time
               : term->inverse != SNN_TIME_RECIPROCAL ? time
               : time < 0                             ? 1 - time
                                                      : 1 / (time + 1);
    }
    wide loss = loss_of(call, term, z, 0, b, n, gz) * (wide)term->weight;
    for (int32_t c = 0; c < C && term->over == SNN_OVER_FIRST_SPIKE; ++c)
        gz[c] *= term->inverse == SNN_TIME_NEGATE       ? 1
                 : term->inverse != SNN_TIME_RECIPROCAL ? -1
                 : z[c] > 1                             ? 1
                                                        : z[c] * z[c];
    for (int32_t t = 0; t < n; ++t) {
        const real *o = call->output + ((ptrdiff_t)t * call->B + b) * C;
        softmax(o, C, p);
        for (int32_t c = 0; c < C; ++c) {
            struct ops_sum *to = &g[((ptrdiff_t)t * call->B + b) * C + c];
            if (term->over == SNN_OVER_SOFTMAX_SUM) /* dp[j]/do[c] = p[c] ([j = c] - p[j]) */
                for (int32_t j = 0; j < C; ++j) ops_term(to, weight * gz[j] * p[c] * ((j == c) - p[j]));
            else if (term->over == SNN_OVER_MEAN) ops_term(to, weight * gz[c] / n);
            else if (term->over == SNN_OVER_SUM || (term->over == SNN_OVER_LAST && t == n - 1) ||
                     ((term->over == SNN_OVER_MAX || term->over == SNN_OVER_FIRST_SPIKE) && t == first[c]))
                ops_term(to, weight * gz[c]);
        }
    }
    return loss;
}

/* A term on filtered outputs: every square and its derivative by themselves. */
static wide filtered_loss(const struct snn_loss_call *call, const struct snn_loss_term *term, int32_t b, int32_t n,
                          struct ops_sum *g) {
    int32_t C = call->C;
    const double *w = weights_of(call, term);
    wide loss = 0, decay = expl(-1 / (wide)term->tau), f = w ? 0 : 1;
    for (int32_t c = 0; w && c < C; ++c) f += w[c] * share_of(call, 0, b, c);
    f *= (wide)term->weight / (term->sum ? 1 : (wide)C * n);
    for (int32_t c = 0; c < C; ++c) {
        wide e = 0;
        for (int32_t t = 0; t < n; ++t) {
            double y = (double)share_of(call, t, b, c), rate = y * term->correct + (1 - y) * term->incorrect;
            wide target = term->numbers ? y : floor((t + 1) * rate) - floor(t * rate),
                 x = call->output[((ptrdiff_t)t * call->B + b) * C + c] - target;
            e = decay * e + x;
            loss += f * e * e;
            for (int32_t k = 0; k < n; ++k) { /* the kernel adds up exponentials of both directions */
                struct ops_sum *to = &g[((ptrdiff_t)k * call->B + b) * C + c];
                wide each = 2 * f * (wide)*call->scale * powl(decay, t > k ? t - k : k - t);
                if (k <= t) ops_term(to, each * e);
                to->terms += 2 * fabsl(each * x) / (1 - decay * decay);
            }
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

/* option: bit 0 lengths, bit 1 totals, bit 2 no gradient, bit 3 errors of the last steps alone; targets: 0 labels, 1
 * shares, 2 shares for every step, whose rows are those of a larger batch */
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
    double *weights = ops_input(ops, (ptrdiff_t)loss->terms * call->C, sizeof *weights);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)loss->terms * call->C; ++i) weights[i] = 2 * ops_unit(ops);
    call->class_weight = weights;
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
            const struct snn_loss_term *term = &call->loss->term[i];
            ops_term(&sample[b], (term->over == SNN_OVER_STEP       ? stepwise_loss
                                  : term->over == SNN_OVER_FILTERED ? filtered_loss
                                                                    : reduced_loss)(call, term, b, steps, g));
            sample[b].n += (ptrdiff_t)call->T * call->C,
                sample[b].terms += fabs(loss->term[i].weight) * 10; /* logits: up to 5 in size */
        }
    if (option & 8) call->t0 = 1, call->last = 3;
    for (int32_t b = 0; call->last && b < call->B; ++b)
        for (int32_t t = 0; t < call->T && t + call->t0 < (call->total ? total[b] : call->steps) - call->last; ++t)
            for (int32_t c = 0; c < call->C; ++c) g[((ptrdiff_t)t * call->B + b) * call->C + c] = (struct ops_sum){0};
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

/* Numbers of a term other than the defaults, where it asks for any. */
static const struct snn_loss_term usual = {
    .weight = 1.5, .target = NAN, .correct = 1, .beta = 1, .alpha = 1, .eps = 1e-3, .tau = 2.5};
static struct snn_loss_term term_of(int kind, int over, int variant) {
    struct snn_loss_term term = usual;
    term.kind = kind, term.over = over, term.inverse = variant, term.sum = variant == 1, term.weighted = variant == 2;
    if (variant) term.label_smoothing = 0.1, term.correct = 0.8, term.incorrect = 0.15, term.beta = 0.4;
    if (variant) term.alpha = 1.7, term.theta = 0.3, term.eps = 0.05, term.tolerance = 1.5, term.tau = 0.8;
    if (variant == 2) term.target = 0.7, term.tau = 40;
    if (kind == SNN_LOSS_TIME) term.correct = variant, term.incorrect = -1 - variant;
    return term;
}

static void check_evaluate(struct ops *ops) {
    for (int k = 0; k < (OVERS + 1) * KINDS * OPS_COUNT(shapes); ++k) {
        int over = k % (OVERS + 1), kind = k / (OVERS + 1) % KINDS, shape = k / (OVERS + 1) / KINDS;
        if (over == SNN_OVER_FILTERED && kind != SNN_LOSS_MSE) continue;
        for (int variant = 0; variant < 3; ++variant) {
            struct snn_loss loss = {.terms = 1, .term = {term_of(kind, over, variant)}};
            char what[64];
            snprintf(what, sizeof what, "over %d, kind %d, variant %d", over, kind, variant);
            int most = over == SNN_OVER_STEP || over == SNN_OVER_FILTERED ? 3 : 2;
            for (int targets = 0; targets < most; ++targets) {
                loss.term[0].numbers = targets == 2;
                loss_case(ops, shape, &loss, what, (int)ops_below(ops, 16), targets);
            }
        }
    }
    for (int round = 0; round < 3; ++round) { /* filters beside others: whose gradients other threads write */
        struct snn_loss all = {.terms = SNN_LOSS_TERMS};
        for (int i = 0; i < SNN_LOSS_TERMS; ++i) {
            int over = (2 * i + 3 * round) % (OVERS + 1);
            all.term[i] = term_of(over == SNN_OVER_FILTERED ? SNN_LOSS_MSE : (i + 2 * round) % KINDS, over, i % 3);
            all.term[i].weight = 0.5 - i;
        }
        for (int k = 0; k < 8 * OPS_COUNT(shapes); ++k) loss_case(ops, k / 8, &all, "four terms", k % 8, k % 2);
    }
}

static void call_add_losses(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct loss *l = argument;
    (void)ops;
    device->loss->add_losses(device, l->call.B, l->losses, l->sum);
}

static void check_add_losses(struct ops *ops) {
    static const int32_t samples[] = {1, 2, 31, 256, 257, 1000};
    for (int i = 0; i < OPS_COUNT(samples); ++i) {
        struct loss l = {.call.B = samples[i]};
        ops_begin(ops, "%d samples", (int)samples[i]);
        double *losses = ops_input(ops, samples[i], sizeof *losses);
        struct ops_sum *sum = ops_memory(ops, 1, sizeof *sum);
        l.sum = ops_output(ops, 1, sizeof *l.sum), l.losses = losses;
        ops_term(sum, *l.sum = 0.75);
        for (int32_t b = 0; b < samples[i]; ++b) ops_term(sum, losses[b] = ops_unit(ops));
        ops_expect_double_sums(ops, l.sum, sum, DBL_EPSILON);
        ops_run(ops, call_add_losses, &l);
    }
}

/* The batch in calls of `each` steps; lengths (calls, B). */
struct parts {
    struct loss of;
    int32_t each;
    bool alone; /* one call, without scores that go on */
    const int32_t *length;
};

static void call_count_correct(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct parts *p = argument;
    struct snn_loss_call call = p->of.call;
    void *scratch = ops_scratch(ops, (size_t)snn_loss_scratch(device->threads, call.C) * sizeof(double));
    double *running = p->alone ? NULL : ops_scratch(ops, (size_t)call.B * (size_t)call.C * sizeof *running);
    for (int32_t t0 = 0, i = 0; t0 < call.steps; t0 += p->each, ++i) {
        call.t0 = t0, call.T = call.steps - t0 < p->each ? call.steps - t0 : p->each;
        call.output = p->of.call.output + (ptrdiff_t)t0 * call.B * call.C;
        if (p->length) call.length = p->length + (ptrdiff_t)i * call.B;
        device->loss->count_correct(device, &call, p->of.how, running, p->of.correct, scratch);
    }
}

/* What the first `steps` outputs of sample b are drawn together to. */
static void scores_of(const struct snn_loss_call *call, int how, int32_t b, int32_t steps, double *scores) {
    for (int32_t c = 0; c < call->C; ++c) {
        double sum = 0, most = -HUGE_VAL, last = 0, first = -HUGE_VAL;
        for (int32_t t = 0; t < steps; ++t) {
            const real *o = call->output + ((ptrdiff_t)t * call->B + b) * call->C;
            double top = o[0], all = 0;
            for (int32_t k = 1; k < call->C; ++k) top = fmax(top, o[k]);
            for (int32_t k = 0; k < call->C; ++k) all += exp(o[k] - top);
            sum += how == SNN_DECIDE_SOFTMAX_SUM ? exp(o[c] - top) / all : o[c];
            most = fmax(most, o[c]), last = o[c];
            if (o[c] > 0 && first == -HUGE_VAL) first = -t;
        }
        scores[c] = how == SNN_DECIDE_MAX           ? most
                    : how == SNN_DECIDE_LAST        ? last
                    : how == SNN_DECIDE_FIRST_SPIKE ? first
                    : how == SNN_DECIDE_MEAN        ? sum / steps
                                                    : sum;
    }
}

/* each: steps of a call; 0: all. Outputs are multiples of 1/4, so that every score but a
 * softmax is exact and ties are frequent; what a softmax gives is a sum in the order of the steps. */
static void decide_case(struct ops *ops, int how, int shape, int32_t each, bool lengths) {
    struct parts p = {.of = {.how = how, .loss = {.terms = 1}}, .each = each ? each : shapes[shape].T, .alone = !each};
    struct snn_loss_call *call = &p.of.call;
    *call = (struct snn_loss_call){.loss = &p.of.loss, .T = shapes[shape].T, .steps = shapes[shape].T};
    call->B = shapes[shape].B, call->C = shapes[shape].C;
    ops_begin(ops, "decide %s, T %d in calls of %d, B %d, C %d, lengths %d", snn_decide_names[how], call->T, (int)each,
              call->B, call->C, lengths);
    ptrdiff_t n = (ptrdiff_t)call->T * call->B * call->C, calls = (call->T - 1) / p.each + 1;
    real *output = ops_input(ops, n, sizeof *output);
    int32_t *label = ops_input(ops, call->B, sizeof *label), *total = ops_input(ops, call->B, sizeof *total);
    int32_t *length = ops_input(ops, calls * call->B, sizeof *length);
    for (ptrdiff_t i = 0; i < n; ++i) output[i] = (real)((int)ops_below(ops, 9) - 3) / 4;
    int64_t *correct = ops_memory(ops, 1, sizeof *correct);
    double *scores = ops_memory(ops, call->C, sizeof *scores);
    struct ops_sum *sums = ops_memory(ops, (ptrdiff_t)call->B * call->C, sizeof *sums);
    p.of.correct = ops_output(ops, 1, sizeof *p.of.correct);
    *p.of.correct = *correct = 41;
    call->output = output, call->label = label;
    for (int32_t b = 0; b < call->B; ++b) {
        total[b] = lengths ? 1 + (int32_t)ops_below(ops, (uint32_t)call->T) : call->T;
        for (int32_t i = 0; i < calls; ++i) {
            int32_t left = total[b] - i * p.each;
            length[i * call->B + b] = left < 0 ? 0 : left < p.each ? left : p.each;
        }
        scores_of(call, how, b, total[b], scores);
        int32_t choice = 0;
        for (int32_t c = 1; c < call->C; ++c) choice = scores[c] > scores[choice] ? c : choice;
        label[b] = ops_below(ops, 2) ? choice : (int32_t)ops_below(ops, (uint32_t)call->C);
        *correct += label[b] == choice;
    }
    if (lengths) call->total = total, p.length = length;
    ops_expect(ops, p.of.correct, correct);
    ops_run(ops, call_count_correct, &p);
}

static void check_count_correct(struct ops *ops) {
    for (int how = 0; how <= SNN_DECIDE_FIRST_SPIKE; ++how)
        for (int shape = 0; shape < OPS_COUNT(shapes); ++shape)
            for (int32_t each = 0; each < 4; ++each)
                for (int lengths = 0; lengths < 2; ++lengths) decide_case(ops, how, shape, each, lengths);
}

#define CASES(X) X(evaluate) X(add_losses) X(count_correct)
#define OPS_ENTRY_(name) OPS_ROW(snn_loss_kernels, name)
OPS_TABLE(snn_loss_kernels, CASES)
OPS_TCASE(loss)
