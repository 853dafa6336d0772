/* SPDX-License-Identifier: Apache-2.0
 * loss_cpu.c - losses and their gradients on the CPU, in double: a thread owns whole samples. */
#include <math.h>
#include <string.h>

#include "autograd/loss_point.h"
#include "core/isa.h"

/* The shares of the softmax, and log sum exp(z). */
static double softmax(const double *z, int32_t C, double *p) {
    double top = z[0], sum = 0;
    for (int32_t c = 1; c < C; ++c) top = z[c] > top ? z[c] : top;
    for (int32_t c = 0; c < C; ++c) sum += p[c] = exp(z[c] - top);
    for (int32_t c = 0; c < C; ++c) p[c] /= sum;
    return top + log(sum);
}

struct answer { /* what the outputs of a sample, or of one of its steps, are compared with */
    int32_t label;
    const float *y; /* (C), or NULL: the label */
};

static double share_of(struct answer answer, int32_t c) { return answer.y ? (double)answer.y[c] : c == answer.label; }

static double sum_of_rates(const struct snn_loss_term *term, const double *z, int32_t C) {
    double sum = 0;
    for (int32_t c = 0; c < C; ++c) sum += snn_point_rate(term, z[c]);
    return sum;
}

/* With class weights w: what the answer's classes weigh. */
static double weight_of(const struct snn_loss_term *term, const double *w, int32_t C, struct answer answer) {
    double sum = 0;
    for (int32_t c = 0; c < C; ++c) sum += w[c] * snn_point_mass(term, share_of(answer, c), C);
    return sum;
}

/* l(z) and dl/dz (into g), of a sample with that many steps; w (C) or NULL. */
static double row_loss(const struct snn_loss_term *term, const double *z, int32_t C, struct answer answer,
                       const double *w, int32_t steps, double *g) {
    struct snn_point row = {.weight = w ? weight_of(term, w, C, answer) : 1, .C = C, .steps = steps};
    if (term->kind == SNN_LOSS_CE) row.norm = softmax(z, C, g);
    if (term->kind == SNN_LOSS_SHARE) row.norm = sum_of_rates(term, z, C);
    double loss = 0;
    for (int32_t c = 0; c < C; ++c)
        loss += snn_point_loss(term, z[c], term->kind == SNN_LOSS_CE ? g[c] : 0, share_of(answer, c), w ? w[c] : 1, row,
                               &g[c]);
    return loss;
}

struct sample { /* one sample's outputs and their gradient: step t at [t * stride] */
    const real *o;
    real *g;
    ptrdiff_t stride, y_stride; /* y_stride: as stride, of the targets; 0: one for all steps */
    int32_t C, length, total;
    struct answer answer; /* of step 0 */
    const double *w;      /* class weights of the present term, or NULL */
    double scale;         /* of the gradient */
};

static struct answer answer_of(const struct sample *s, int32_t t) {
    struct answer answer = s->answer;
    if (answer.y) answer.y += t * s->y_stride;
    return answer;
}

static double over_steps(const struct snn_loss_term *term, const struct sample *s, double *z, double *gz) {
    double loss = 0;
    for (int32_t t = 0; t < s->length; ++t) {
        for (int32_t c = 0; c < s->C; ++c) z[c] = s->o[t * s->stride + c];
        loss += row_loss(term, z, s->C, answer_of(s, t), s->w, s->total, gz) / s->total;
        for (int32_t c = 0; s->g && c < s->C; ++c)
            s->g[t * s->stride + c] += (real)(s->scale * term->weight * gz[c] / s->total);
    }
    return loss;
}

/* What the filter's input is compared with: a train of the class's rate, or numbers. */
static double target_at(const struct snn_loss_term *term, const struct sample *s, int32_t t, int32_t c) {
    double y = share_of(answer_of(s, t), c);
    return term->numbers ? y : snn_point_train(y * term->correct + (1 - y) * term->incorrect, t);
}

/* e[t] = d e[t-1] + x[t], x = o - target, and the sum of their squares. Its derivative with respect to x[t] needs no
 * memory of e: with b[t] = d b[t+1] + x[t] and n steps it is
 *   2 sum_k>=t d^(k-t) e[k] = 2 / (1 - d^2) (e[t] + b[t] - x[t] - d^(n-t) d e[n-1]). */
static double over_filtered(const struct snn_loss_term *term, const struct sample *s) {
    int32_t n = s->length;
    double decay = exp(-1 / term->tau), loss = 0, weight = s->w ? weight_of(term, s->w, s->C, s->answer) : 1;
    double f = weight * (term->sum ? 1 : 1.0 / ((double)s->C * n)),
           k = 2 * f * s->scale * term->weight / (1 - decay * decay);
    for (int32_t c = 0; c < s->C; ++c) {
        double e = 0, b = 0, tail = 1;
        for (int32_t t = 0; t < n; ++t) {
            e = decay * e + s->o[t * s->stride + c] - target_at(term, s, t, c);
            loss += f * e * e;
            if (s->g) s->g[t * s->stride + c] += (real)(k * e);
        }
        for (int32_t t = n - 1; s->g && t >= 0; --t) { /* b is still d b[t+1] when it is added */
            tail *= decay;
            s->g[t * s->stride + c] += (real)(k * (b - tail * decay * e));
            b = decay * (b + s->o[t * s->stride + c] - target_at(term, s, t, c));
        }
    }
    return loss;
}

/* Step f of the first spike, or the last one, and its time f + [fires] - o[f]. */
static double first_spike(const struct sample *s, int32_t c, int32_t *f) {
    int32_t t = 0;
    while (t < s->length && !(s->o[t * s->stride + c] > 0)) ++t;
    bool fires = t < s->length;
    *f = fires ? t : s->length - 1;
    return *f + fires - (double)s->o[*f * s->stride + c];
}

static double over_reduced(const struct snn_loss_term *term, const struct sample *s, double *z, double *gz, double *p) {
    int32_t n = s->length, last = n - 1;
    for (int32_t c = 0; c < s->C; ++c) z[c] = term->over == SNN_OVER_MAX ? s->o[c] : 0;
    if (term->over == SNN_OVER_FIRST_SPIKE) {
        for (int32_t c = 0, f; c < s->C; ++c) z[c] = snn_point_of_time(term->inverse, first_spike(s, c, &f));
        n = 0; /* has looked at all steps */
    }
    for (int32_t t = term->over == SNN_OVER_LAST ? last : 0; t < n; ++t) {
        const real *o = s->o + t * s->stride;
        if (term->over == SNN_OVER_SOFTMAX_SUM) {
            for (int32_t c = 0; c < s->C; ++c) gz[c] = o[c];
            softmax(gz, s->C, p);
        }
        for (int32_t c = 0; c < s->C; ++c) {
            if (term->over == SNN_OVER_MAX) z[c] = o[c] > z[c] ? o[c] : z[c];
            else z[c] += term->over == SNN_OVER_SOFTMAX_SUM ? p[c] : o[c];
        }
    }
    for (int32_t c = 0; c < s->C && term->over == SNN_OVER_MEAN; ++c) z[c] /= n;
    double loss = row_loss(term, z, s->C, s->answer, s->w, s->length, gz), k = s->scale * term->weight;
    if (!s->g) return loss;
    for (int32_t c = 0, f; term->over == SNN_OVER_FIRST_SPIKE && c < s->C; ++c) {
        first_spike(s, c, &f);
        s->g[f * s->stride + c] += (real)(k * gz[c] * snn_point_of_time_slope(term->inverse, z[c]));
    }
    for (int32_t t = 0; t < n; ++t) {
        const real *o = s->o + t * s->stride;
        real *g = s->g + t * s->stride;
        switch (term->over) {
        case SNN_OVER_SOFTMAX_SUM: {
            double dot = 0;
            for (int32_t c = 0; c < s->C; ++c) z[c] = o[c];
            softmax(z, s->C, p);
            for (int32_t c = 0; c < s->C; ++c) dot += p[c] * gz[c];
            for (int32_t c = 0; c < s->C; ++c) g[c] += (real)(k * p[c] * (gz[c] - dot));
            break;
        }
        case SNN_OVER_MAX: /* to the first step that has the maximum */
            for (int32_t c = 0; c < s->C; ++c)
                if (o[c] == z[c] && !isnan(gz[c])) g[c] += (real)(k * gz[c]), gz[c] = NAN;
            break;
        case SNN_OVER_LAST:
            for (int32_t c = 0; t == last && c < s->C; ++c) g[c] += (real)(k * gz[c]);
            break;
        default:
            for (int32_t c = 0; c < s->C; ++c) g[c] += (real)(k * gz[c] / (term->over == SNN_OVER_MEAN ? n : 1));
        }
    }
    return loss;
}

static void evaluate(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss, real *gradient,
                     double *scratch) {
    if (gradient) memset(gradient, 0, (size_t)call->T * (size_t)call->B * (size_t)call->C * sizeof *gradient);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t lane = 0; lane < device->threads; ++lane)
        for (int32_t b = (int32_t)((int64_t)lane * call->B / device->threads);
             b < (int64_t)(lane + 1) * call->B / device->threads; ++b) {
            double *z = scratch + (ptrdiff_t)lane * 3 * call->C, *gz = z + call->C, *p = gz + call->C;
            struct sample s = {.o = call->output + (ptrdiff_t)b * call->C,
                               .g = gradient ? gradient + (ptrdiff_t)b * call->C : NULL,
                               .stride = (ptrdiff_t)call->B * call->C,
                               .y_stride = (ptrdiff_t)call->target_stride * call->C,
                               .C = call->C,
                               .length = call->length ? call->length[b] : call->T,
                               .total = call->total ? call->total[b] : call->steps,
                               .answer = {call->label[b], call->target ? call->target + (ptrdiff_t)b * call->C : NULL},
                               .scale = call->scale ? *call->scale : 1};
            sample_loss[b] = 0;
            for (int i = 0; i < call->loss->terms && s.length > 0; ++i) {
                const struct snn_loss_term *term = &call->loss->term[i];
                s.w = term->weighted ? call->class_weight + (ptrdiff_t)i * call->C : NULL;
                sample_loss[b] += term->weight * (term->over == SNN_OVER_STEP       ? over_steps(term, &s, z, gz)
                                                  : term->over == SNN_OVER_FILTERED ? over_filtered(term, &s)
                                                                                    : over_reduced(term, &s, z, gz, p));
            }
            const int32_t silent = call->last ? s.total - call->last - call->t0 : 0; /* steps without errors */
            for (int32_t t = 0; s.g && t < silent && t < call->T; ++t)
                memset(s.g + t * s.stride, 0, (size_t)s.C * sizeof *s.g);
        }
}

static void add_losses(struct snn_device *device, int32_t B, const double *sample_loss, double *loss) {
    (void)device;
    double sum = 0;
    for (int32_t b = 0; b < B; ++b) sum += sample_loss[b];
    *loss += sum;
}

static void count_correct(struct snn_device *device, const struct snn_loss_call *call, enum snn_decide how,
                          double *running, int64_t *correct, double *scratch) {
    (void)device;
    bool ends = call->t0 + call->T == call->steps;
    for (int32_t b = 0; b < call->B; ++b) {
        double *scores = running ? running + (ptrdiff_t)b * call->C : scratch;
        int32_t n = call->length ? call->length[b] : call->T;
        if (call->t0 == 0) snn_decide_start(how, call->C, scores);
        for (int32_t t = 0; t < n; ++t)
            snn_decide_step(how, call->t0 + t, call->C, call->output + ((ptrdiff_t)t * call->B + b) * call->C, scores);
        if (!ends) continue;
        snn_decide_end(how, call->total ? call->total[b] : call->steps, call->C, scores);
        *correct += snn_first_largest(scores, call->C) == call->label[b];
    }
}

extern const struct snn_loss_kernels SNN_ISA(snn_loss_cpu);
const struct snn_loss_kernels SNN_ISA(snn_loss_cpu) = {
    .evaluate = evaluate, .add_losses = add_losses, .count_correct = count_correct};
