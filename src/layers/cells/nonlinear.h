/* SPDX-License-Identifier: Apache-2.0
 * nonlinear.h - membranes that run away by themselves: quadratic and exponential integrate and fire, and with an
 * adaptation current: SpikingJelly's QIF, EIF and Izhikevich, Norse's LIFEx, AdEx and Izhikevich.
 *
 *   charge  I = alpha I + X                                               where there is a current, else X itself
 *           H = V + k (F(V) + gain I - W),   F quadratic: a0 (V - rest)(V - critical) + bias
 *                                            F exponential: rest - V + sharp exp((V - critical) / sharp)
 *           W = W + kw (a (V or H - rest) - W)      where it adapts, else W = 0
 *                                                   of the membrane before the charge, or after it with new_membrane
 *   settle  V = H reset by r,  W = W + b s
 * k: share of a step. The exponential is cut off at 20, where every membrane has fired. */
#ifndef SNN_CELL_NONLINEAR_H
#define SNN_CELL_NONLINEAR_H

#include "layers/cells/cell.h"

enum { nonlinear_STATES = 3, nonlinear_COEFS = 12, nonlinear_KEEPS = 1, nonlinear_READS_V = 1, nonlinear_READS_X = 0 };
enum { NL_K, NL_ALPHA, NL_A0, NL_REST, NL_CRITICAL, NL_BIAS, NL_SHARP, NL_KW, NL_A, NL_B, NL_THETA, NL_TO };
enum { NL_V, NL_I, NL_W };
enum {
    NL_EXPONENTIAL = 1,
    NL_NEW_MEMBRANE = 2,
    NL_STARTS_AT_REST = 4,
    NL_RECOVERED = 8,
    NL_HAS_CURRENT = 16,
    NL_ADAPTS = 32
};
enum { nonlinear_V_OF = -1, nonlinear_X_OF = -1 };
enum { nonlinear_FIRES = 1 << SNN_FIRES_ONCE, nonlinear_LEARNS = 0, nonlinear_OVER = NL_THETA, nonlinear_EACH = 0 };
#define nonlinear_IDLE(o) (((o)&NL_HAS_CURRENT ? 0u : 1u << NL_I) | ((o)&NL_ADAPTS ? 0u : 1u << NL_W))
#define nonlinear_USUAL(X)                                                                                             \
    X(ONCE, NOT, 0)                                                                                                    \
    X(ONCE, NOT, NL_EXPONENTIAL)                                                                                       \
    X(ONCE, NOT, NL_NEW_MEMBRANE | NL_ADAPTS)                                                                          \
    X(ONCE, NOT, NL_RECOVERED | NL_ADAPTS)                                                                             \
    X(ONCE, NOT, NL_EXPONENTIAL | NL_STARTS_AT_REST | NL_HAS_CURRENT)                                                  \
    X(ONCE, NOT, NL_EXPONENTIAL | NL_STARTS_AT_REST | NL_HAS_CURRENT | NL_ADAPTS)

SNN_HD void nonlinear_start(const real *c, unsigned o, real *v) {
    v[NL_V] = o & NL_STARTS_AT_REST ? c[NL_REST] : c[NL_TO], v[NL_I] = 0;
    v[NL_W] = o & NL_RECOVERED ? c[NL_A] * (v[NL_V] - c[NL_REST]) : 0;
}

/* F(V) and its slope; e: the exponential. */
SNN_HD real nonlinear_force(const real *c, unsigned o, real v, real *slope, real *e) {
    if (o & NL_EXPONENTIAL) {
        const real z = (v - c[NL_CRITICAL]) * (1 / c[NL_SHARP]), grown = r_exp_to_20(z);
        *e = grown;
        *slope = (z < 20 ? grown : 0) - 1;
        return c[NL_REST] - v + c[NL_SHARP] * grown;
    }
    *e = 0;
    *slope = c[NL_A0] * (2 * v - c[NL_REST] - c[NL_CRITICAL]);
    return c[NL_A0] * (v - c[NL_REST]) * (v - c[NL_CRITICAL]) + c[NL_BIAS];
}

SNN_HD void nonlinear_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    real slope, e, current = x;
    const real old = v[NL_V], force = nonlinear_force(c, o, old, &slope, &e);
    (void)reset, (void)r;
    if (o & NL_HAS_CURRENT) current = v[NL_I] = c[NL_ALPHA] * v[NL_I] + x;
    v[NL_V] = old + c[NL_K] * (force + current - (o & NL_ADAPTS ? v[NL_W] : 0));
    if (o & NL_ADAPTS) v[NL_W] += c[NL_KW] * (c[NL_A] * ((o & NL_NEW_MEMBRANE ? v[NL_V] : old) - c[NL_REST]) - v[NL_W]);
}

SNN_HD real nonlinear_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[NL_V] - c[NL_THETA];
}

SNN_HD void nonlinear_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x;
    v[NL_V] = cell_reset(reset, v[NL_V], r, c[NL_THETA], c[NL_TO]);
    if (o & NL_ADAPTS) v[NL_W] += c[NL_B] * s;
}

SNN_HD void nonlinear_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r,
                                     real *g, real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)gx;
    if (o & NL_ADAPTS) *gs += c[NL_B] * g[NL_W], gc[NL_B] += s * g[NL_W];
    g[NL_V] = cell_reset_adjoint(reset, h[NL_V], r, c[NL_THETA], c[NL_TO], g[NL_V], gr, &gc[NL_THETA], &gc[NL_TO]);
}

SNN_HD void nonlinear_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                     real gz, real *g, real *gx, real *gc) {
    real slope, e;
    const real old = v[NL_V], force = nonlinear_force(c, o, old, &slope, &e), k = c[NL_K];
    (void)reset, (void)r;
    real gv = g[NL_V] + gz, gold = 0;
    gc[NL_THETA] -= gz;
    if (o & NL_ADAPTS) {
        const real gw = g[NL_W], from = (o & NL_NEW_MEMBRANE ? h[NL_V] : old) - c[NL_REST];
        gc[NL_KW] += gw * (c[NL_A] * from - v[NL_W]), gc[NL_A] += gw * c[NL_KW] * from;
        gc[NL_REST] -= gw * c[NL_KW] * c[NL_A];
        if (o & NL_NEW_MEMBRANE) gv += gw * c[NL_KW] * c[NL_A];
        else gold += gw * c[NL_KW] * c[NL_A];
        g[NL_W] = gw * (1 - c[NL_KW]) - gv * k;
    }
    gold += gv * (1 + k * slope);
    gc[NL_K] += gv * (force + (o & NL_HAS_CURRENT ? h[NL_I] : x) - (o & NL_ADAPTS ? v[NL_W] : 0));
    if (o & NL_EXPONENTIAL) {
        const real z = (old - c[NL_CRITICAL]) * (1 / c[NL_SHARP]);
        gc[NL_REST] += gv * k;
        gc[NL_SHARP] += gv * k * (z < 20 ? e * (1 - z) : e);
        gc[NL_CRITICAL] -= gv * k * (z < 20 ? e : 0);
    } else {
        gc[NL_A0] += gv * k * (old - c[NL_REST]) * (old - c[NL_CRITICAL]), gc[NL_BIAS] += gv * k;
        gc[NL_REST] -= gv * k * c[NL_A0] * (old - c[NL_CRITICAL]);
        gc[NL_CRITICAL] -= gv * k * c[NL_A0] * (old - c[NL_REST]);
    }
    real gi = gv * k;
    if (o & NL_HAS_CURRENT) {
        gi += g[NL_I];
        gc[NL_ALPHA] += gi * v[NL_I];
        g[NL_I] = c[NL_ALPHA] * gi;
    }
    *gx += gi;
    g[NL_V] = gold;
}

#endif
