/* SPDX-License-Identifier: Apache-2.0
 * loss_point.h - one number of l(z) and its derivative: the element-wise part of every loss, which both backends share;
 * and one number of what the steps are drawn together to, to read a class out.
 *
 * What concerns all outputs of a row (a softmax's sum, the weight of its class) is worked out by the caller first. */
#ifndef SNN_LOSS_POINT_H
#define SNN_LOSS_POINT_H

#include <math.h>

#include "autograd/loss.h"

struct snn_point { /* of a row */
    double norm;   /* ce: log sum exp(z); share: sum of the rates; others: 0 */
    double weight; /* with class weights: sum of w q (ce, share) or of w y; else 1 */
    int32_t C, steps;
};

/* The target's share of an output: label smoothing moves some of it to all outputs alike (of bce: to a half). */
SNN_HD double snn_point_share(const struct snn_loss_term *term, double y, int32_t C) {
    double even = term->kind == SNN_LOSS_BCE ? 0.5 : 1.0 / C;
    return term->label_smoothing * even + (1 - term->label_smoothing) * y;
}

/* A rate that `share` may take the logarithm of. */
SNN_HD double snn_point_rate(const struct snn_loss_term *term, double z) { return (z > 0 ? z : 0) + term->eps; }

/* What class weights are weighed with. */
SNN_HD double snn_point_mass(const struct snn_loss_term *term, double y, int32_t C) {
    bool by_class = term->kind == SNN_LOSS_CE || term->kind == SNN_LOSS_SHARE;
    return by_class ? snn_point_share(term, y, C) : y;
}

/* A step of a sample of n; those below 0 count from its end. */
SNN_HD double snn_point_time(double t, int32_t n) { return t < 0 ? t + n : t; }

/* What output z, whose target is y and whose class weighs w, adds to l; dl/dz into *g. p: of ce, its share of the
 * softmax.
 */
SNN_HD double snn_point_loss(const struct snn_loss_term *term, double z, double p, double y, double w,
                             struct snn_point row, double *g) {
    double q = snn_point_share(term, y, row.C), f = row.weight * (term->sum ? 1 : 1.0 / row.C), target, d;
    switch (term->kind) {
    case SNN_LOSS_CE: /* -w q log softmax(z) */
        *g = row.weight * p - w * q;
        return q > 0 ? w * q * (row.norm - z) : 0;
    case SNN_LOSS_SHARE: /* -w q log(r / sum r), r = max(z, 0) + eps */
        d = snn_point_rate(term, z);
        *g = z > 0 ? row.weight / row.norm - w * q / d : 0;
        return q > 0 ? w * q * (log(row.norm) - log(d)) : 0;
    case SNN_LOSS_BCE: /* log(1 + exp(x)) - q x, x = (z - theta) / alpha */
        d = (z - term->theta) / term->alpha;
        *g = f * (1 / (1 + exp(-d)) - q) / term->alpha;
        return f * ((d > 0 ? d : 0) + log1p(exp(-fabs(d))) - q * d);
    case SNN_LOSS_TIME: /* ((z - target) / n)^2 where they are `tolerance` steps or more apart */
        target = y * snn_point_time(term->correct, row.steps) + (1 - y) * snn_point_time(term->incorrect, row.steps);
        d = z - snn_point_time(target, row.steps);
        d = fabs(d) < term->tolerance ? 0 : d / row.steps;
        *g = 2 * f * d / row.steps;
        return f * d * d;
    default:
        break;
    }
    target = y * term->correct + (1 - y) * term->incorrect;
    if (term->kind == SNN_LOSS_MSE_COUNT) target = floor(target * row.steps), f /= row.steps;
    else if (!isnan(term->target)) target = term->target;
    d = z - target;
    if (term->kind == SNN_LOSS_SMOOTH_L1 && fabs(d) < term->beta) { /* d^2 / (2 beta), beyond: |d| - beta/2 */
        *g = f * d / term->beta;
        return f * 0.5 * d * d / term->beta;
    }
    if (term->kind == SNN_LOSS_SMOOTH_L1) {
        *g = d > 0 ? f : -f;
        return f * (fabs(d) - 0.5 * term->beta);
    }
    *g = 2 * f * d;
    return f * d * d;
}

/* What the time of the first spike is turned into before l sees it. Outputs above 1 may bring times below 0: the
 * reciprocal goes on in a straight line there. */
SNN_HD double snn_point_of_time(int inverse, double t) {
    if (inverse == SNN_TIME_RECIPROCAL) return t >= 0 ? 1 / (t + 1) : 1 - t;
    return inverse == SNN_TIME_NEGATE ? -t : t;
}
/* Its derivative with respect to the output at that step, of which the time is taken to fall by one: dt/do = -1. */
SNN_HD double snn_point_of_time_slope(int inverse, double z) {
    if (inverse == SNN_TIME_RECIPROCAL) return z > 1 ? 1 : z * z;
    return inverse == SNN_TIME_NEGATE ? 1 : -1;
}

/* Evenly spaced spikes: step t of a train with `rate` spikes a step. */
SNN_HD double snn_point_train(double rate, int32_t t) { return floor((t + 1) * rate) - floor(t * rate); }

/* The score of an output: it starts, takes the steps one by one in their order, and ends. There is no other way to it,
 * so that steps may come in parts: the bits are the same. */
SNN_HD double snn_point_score(enum snn_decide how) {
    return how == SNN_DECIDE_MAX || how == SNN_DECIDE_FIRST_SPIKE ? -HUGE_VAL : 0;
}
/* x of step t: the output, of softmax_sum its share of the softmax. A first spike is minus its step. */
SNN_HD double snn_point_score_step(enum snn_decide how, double score, double x, int32_t t) {
    switch (how) {
    case SNN_DECIDE_MAX:
        return x > score ? x : score;
    case SNN_DECIDE_LAST:
        return x;
    case SNN_DECIDE_FIRST_SPIKE:
        return score == -HUGE_VAL && x > 0 ? -t : score;
    default:
        return score + x;
    }
}
SNN_HD double snn_point_score_end(enum snn_decide how, double score, int32_t steps) {
    return how == SNN_DECIDE_MEAN ? score / steps : score;
}

#endif
