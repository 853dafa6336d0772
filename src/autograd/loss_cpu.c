/* SPDX-License-Identifier: Apache-2.0
 * loss_cpu.c - losses and their gradients on the CPU, in double: a thread owns whole samples. */
#include <math.h>
#include <string.h>

#include "autograd/loss.h"
#include "core/isa.h"

static void softmax(const double *z, int32_t C, double *p) {
    double top = z[0], sum = 0;
    for (int32_t c = 1; c < C; ++c) top = z[c] > top ? z[c] : top;
    for (int32_t c = 0; c < C; ++c) sum += p[c] = exp(z[c] - top);
    for (int32_t c = 0; c < C; ++c) p[c] /= sum;
}

struct answer { /* what the outputs of a sample, or of one of its steps, are compared with */
    int32_t label;
    const float *y; /* (C), or NULL: the label */
};

static double share_of(struct answer answer, int32_t c) { return answer.y ? (double)answer.y[c] : c == answer.label; }

/* l(z) and dl/dz (into g). `steps` scales the targets of mse_count. */
static double point_loss(const struct snn_loss_term *term, const double *z, int32_t C, struct answer answer,
                         int32_t steps, double *g) {
    double loss = 0;
    if (term->kind == SNN_LOSS_CE) {
        double top = z[0], sum = 0, eps = term->label_smoothing;
        for (int32_t c = 1; c < C; ++c) top = z[c] > top ? z[c] : top;
        for (int32_t c = 0; c < C; ++c) sum += exp(z[c] - top);
        double log_sum = top + log(sum);
        for (int32_t c = 0; c < C; ++c) {
            double q = eps / C + (1 - eps) * share_of(answer, c);
            if (q > 0) loss += q * (log_sum - z[c]);
            g[c] = exp(z[c] - log_sum) - q;
        }
        return loss;
    }
    double over_steps = term->kind == SNN_LOSS_MSE_COUNT ? 1.0 / steps : 1;
    for (int32_t c = 0; c < C; ++c) {
        double y = share_of(answer, c), target = y * term->correct + (1 - y) * term->incorrect;
        if (term->kind == SNN_LOSS_MSE_COUNT) target = floor(target * steps);
        else if (!isnan(term->target)) target = term->target;
        loss += (z[c] - target) * (z[c] - target) / C * over_steps;
        g[c] = 2 * (z[c] - target) / C * over_steps;
    }
    return loss;
}

struct sample { /* one sample's outputs and their gradient: step t at [t * stride] */
    const real *o;
    real *g;
    ptrdiff_t stride, y_stride; /* y_stride: as stride, of the targets; 0: one for all steps */
    int32_t C, length, total;
    struct answer answer; /* of step 0 */
    double scale;         /* of the gradient */
};

static double over_steps(const struct snn_loss_term *term, const struct sample *s, double *z, double *gz) {
    double loss = 0;
    for (int32_t t = 0; t < s->length; ++t) {
        struct answer answer = s->answer;
        if (answer.y) answer.y += t * s->y_stride;
        for (int32_t c = 0; c < s->C; ++c) z[c] = s->o[t * s->stride + c];
        loss += point_loss(term, z, s->C, answer, s->total, gz) / s->total;
        for (int32_t c = 0; s->g && c < s->C; ++c)
            s->g[t * s->stride + c] += (real)(s->scale * term->weight * gz[c] / s->total);
    }
    return loss;
}

static double over_reduced(const struct snn_loss_term *term, const struct sample *s, double *z, double *gz, double *p) {
    int32_t n = s->length, last = n - 1;
    for (int32_t c = 0; c < s->C; ++c) z[c] = term->over == SNN_OVER_MAX ? s->o[c] : 0;
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
    double loss = point_loss(term, z, s->C, s->answer, n, gz), k = s->scale * term->weight;
    if (!s->g) return loss;
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
                sample_loss[b] += term->weight * (term->over == SNN_OVER_STEP ? over_steps(term, &s, z, gz)
                                                                              : over_reduced(term, &s, z, gz, p));
            }
        }
}

static void tally(struct snn_device *device, const struct snn_loss_call *call, enum snn_decide how,
                  const double *sample_loss, double *loss, int64_t *correct, double *scratch) {
    (void)device;
    double sum = 0;
    for (int32_t b = 0; b < call->B; ++b) {
        sum += sample_loss[b];
        if (!correct) continue;
        snn_decide_scores(how, call->length ? call->length[b] : call->T, call->B, call->C, b, call->output, scratch);
        *correct += snn_first_largest(scratch, call->C) == call->label[b];
    }
    *loss += sum;
}

extern const struct snn_loss_kernels SNN_ISA(snn_loss_cpu);
const struct snn_loss_kernels SNN_ISA(snn_loss_cpu) = {.evaluate = evaluate, .tally = tally};
