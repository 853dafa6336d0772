/* SPDX-License-Identifier: Apache-2.0
 * ultra.h - the algebra of UltraLIF and UltraDLIF (arXiv 2602.11206): neurons over the soft maximum
 *
 *   LSE(x_1..x_n) = eps log sum exp(x_i / eps),   max <= LSE <= max + eps log n,   dLSE/dx = softmax(x / eps),
 *   dLSE/deps = H, the entropy of that softmax in nats
 *
 * One step, in this order, with the neighbours of a unit in a ring:
 *   charge  maximum  U = LSE(V + offset, X)         offset = log tau, or eps log tau     UltraLIF
 *           linear   U = tau V + X                                                       soft LIF
 *           dilate   U = LSE(V left, V, V right) + X                                     UltraDLIF, the paper's form
 *           spread   U = tau V + X, and what fires is M = LSE(U left, U, U right)        UltraDLIF, the released code's
 *   fire    S = sigmoid(slope (M - theta))          M = U but for spread; slope = 1/eps, or a number of its own
 *   reset   value     V = U (1-S) + v_reset S
 *           subtract  V = U - theta S
 *           excess    V = U - (LSE(M, theta) - theta), which tends to min(U, theta): the only one that never expands
 * V is 0 at first. `hard` is the limit of eps to 0: max for LSE and [M >= theta] for S.
 *
 * Adjoint, with gS from the layers above, gV from the next step, q = S (1-S), w = sigmoid((M - theta) / eps):
 *   value     gS' = gS + gV (v_reset - U)   gU = gV (1-S)   gM = gS' q slope
 *   subtract  gS' = gS - gV theta           gU = gV         gM = gS' q slope
 *   excess    gS' = gS                      gU = gV         gM = gS' q slope - gV w
 *   gU += gM (spread: the sum over the three that read it of their weight times their gM)
 *   maximum   gV = gU p, gX = gU (1-p) with p the weight of V + offset;  linear, spread  gV = tau gU, gX = gU
 *   dilate    gV = the sum over the three that read it of their weight times their gU, gX = gU
 * and sums for the parameters, over units, samples and steps (enum snn_ultra_sum).
 *
 * Weights come from the smaller side's exponential, never as 1 - p, so that nothing cancels and all of it has the right
 * limits; the entropy log(1+e) + u e/(1+e) has no 0 log 0. */
#ifndef SNN_ULTRA_ALGEBRA_H
#define SNN_ULTRA_ALGEBRA_H

#include "core/rmath.h"

enum snn_ultra_charge { SNN_ULTRA_MAXIMUM, SNN_ULTRA_LINEAR, SNN_ULTRA_DILATE, SNN_ULTRA_SPREAD };
enum snn_ultra_reset { SNN_ULTRA_VALUE, SNN_ULTRA_SUBTRACT, SNN_ULTRA_EXCESS };

struct snn_ultra { /* what the kernels reckon with, in device memory: parameters and annealing move it */
    real tau, offset;
    real eps, rate; /* rate = 1 / eps */
    real theta, v_reset, slope;
};

enum snn_ultra_sum {                     /* of the gradient with respect to */
                     SNN_ULTRA_SUM_LEAK, /* maximum: the offset; linear, spread: tau */
                     SNN_ULTRA_SUM_EPS,  /* eps, the slope held */
                     SNN_ULTRA_SUM_THETA,
                     SNN_ULTRA_SUM_RESET, /* v_reset */
                     SNN_ULTRA_SUM_SLOPE,
                     SNN_ULTRA_SUMS
};

/* ---- the soft maximum ---- */

struct snn_two { /* of a and b */
    real soft, a, b, entropy;
};
SNN_HD struct snn_two ultra_two(const struct snn_ultra *k, real a, real b) {
    struct snn_two out;
    real u = (a >= b ? a - b : b - a) * k->rate, e = r_exp(-u), large = 1 / (1 + e), small = e * large,
         log_sum = r_log1p(e);
    out.soft = (a >= b ? a : b) + k->eps * log_sum;
    out.a = a >= b ? large : small, out.b = a >= b ? small : large;
    out.entropy = log_sum + u * small;
    return out;
}

struct snn_three { /* of the left neighbour, the unit itself and the right one */
    real soft, left, own, right, entropy;
};
SNN_HD struct snn_three ultra_three(const struct snn_ultra *k, real l, real c, real r) {
    struct snn_three out;
    real low = l < c ? l : c, high = l < c ? c : l, top = r > high ? r : high, rest = r > high ? high : r,
         middle = rest > low ? rest : low, bottom = rest > low ? low : rest;
    real u = (top - middle) * k->rate, w = (top - bottom) * k->rate, e = r_exp(-u), f = r_exp(-w);
    real log_sum = r_log1p(e + f), share = 1 / (1 + (e + f));
    out.soft = top + k->eps * log_sum;
    out.left = (l == top ? 1 : l == middle ? e : f) * share;
    out.own = (c == top ? 1 : c == middle ? e : f) * share;
    out.right = (r == top ? 1 : r == middle ? e : f) * share;
    out.entropy = log_sum + (e * u + f * w) * share;
    return out;
}

SNN_HD real ultra_largest(real l, real c, real r) {
    real high = l < c ? c : l;
    return r > high ? r : high;
}

/* ---- fire and reset ---- */

struct snn_ultra_spike {
    real s, rest, q, z; /* rest = 1 - s, q = s (1 - s), z = slope (m - theta) */
};
SNN_HD struct snn_ultra_spike ultra_fire(const struct snn_ultra *k, real m) {
    struct snn_ultra_spike out;
    real z = k->slope * (m - k->theta), e = r_exp(-(z >= 0 ? z : -z)), large = 1 / (1 + e), small = e * large;
    out.s = z >= 0 ? large : small, out.rest = z >= 0 ? small : large, out.q = small * large, out.z = z;
    return out;
}

SNN_HD real ultra_reset(const struct snn_ultra *k, enum snn_ultra_reset reset, real u, real m,
                        const struct snn_ultra_spike *spike) {
    if (reset == SNN_ULTRA_VALUE) return u * spike->rest + k->v_reset * spike->s;
    if (reset == SNN_ULTRA_SUBTRACT) return u - k->theta * spike->s;
    struct snn_two over = ultra_two(k, m, k->theta);
    return u - (over.soft - k->theta);
}

/* The hard limit of both. */
SNN_HD real ultra_fire_hard(const struct snn_ultra *k, real m) { return m >= k->theta ? (real)1 : (real)0; }
SNN_HD real ultra_reset_hard(const struct snn_ultra *k, enum snn_ultra_reset reset, real u, real m, real s) {
    if (reset == SNN_ULTRA_VALUE) return s != 0 ? k->v_reset : u;
    if (reset == SNN_ULTRA_SUBTRACT) return s != 0 ? u - k->theta : u;
    return s != 0 ? u - (m - k->theta) : u;
}

struct snn_ultra_adjoint { /* gradients: of M, of U beside M, and terms of the sums */
    real m, u, eps, theta, v_reset, slope;
};
SNN_HD struct snn_ultra_adjoint ultra_adjoint(const struct snn_ultra *k, enum snn_ultra_reset reset, real u, real m,
                                              const struct snn_ultra_spike *spike, real gs, real gv) {
    struct snn_ultra_adjoint out;
    real gs_all = reset == SNN_ULTRA_VALUE      ? gs + gv * (k->v_reset - u)
                  : reset == SNN_ULTRA_SUBTRACT ? gs - gv * k->theta
                                                : gs;
    real gq = gs_all * spike->q;
    out.m = gq * k->slope, out.u = gv, out.eps = 0, out.v_reset = 0;
    out.theta = -out.m;
    out.slope = gq * (m - k->theta);
    if (reset == SNN_ULTRA_VALUE) out.u = gv * spike->rest, out.v_reset = gv * spike->s;
    if (reset == SNN_ULTRA_SUBTRACT) out.theta -= gv * spike->s;
    if (reset == SNN_ULTRA_EXCESS) {
        struct snn_two over = ultra_two(k, m, k->theta);
        out.m -= gv * over.a, out.theta = -out.m, out.eps = -(gv * over.entropy);
    }
    return out;
}

#endif
