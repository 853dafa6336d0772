/* SPDX-License-Identifier: Apache-2.0
 * alpha.h - snnTorch's Alpha: the response to a spike is the difference of two exponentials.
 *
 *   charge  E = alpha E + X,  N = beta N - X,  V = tau (E + N),  tau = ln alpha / (ln beta - ln alpha) + 1, alpha >
 * beta and with the spike of the step before, r: zero      E, N and V are 0 subtract  E = E - threshold r,  N = (beta N
 * - X) (1 - r),  V = V + (the N before) r */
#ifndef SNN_CELL_ALPHA_H
#define SNN_CELL_ALPHA_H

#include "layers/cells/cell.h"

enum { alpha_STATES = 3, alpha_COEFS = 5, alpha_KEEPS = 1, alpha_READS_V = 0, alpha_READS_X = 0 };
enum { ALPHA_ALPHA, ALPHA_BETA, ALPHA_TAU, ALPHA_THETA, ALPHA_TO };
enum { ALPHA_V, ALPHA_E, ALPHA_N };
enum { alpha_V_OF = -1, alpha_X_OF = -1 };
enum { alpha_FIRES = 1 << SNN_FIRES_ONCE, alpha_LEARNS = 0, alpha_OVER = ALPHA_THETA, alpha_EACH = 0 };
#define alpha_IDLE(o) 0u
#define alpha_USUAL(X) X(ONCE, NEXT, 0)

SNN_HD void alpha_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[ALPHA_V] = v[ALPHA_E] = v[ALPHA_N] = 0;
}

SNN_HD void alpha_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real e = c[ALPHA_ALPHA] * v[ALPHA_E] + x, before = v[ALPHA_N], n = c[ALPHA_BETA] * before - x;
    const real u = c[ALPHA_TAU] * (e + n);
    (void)o;
    if (reset == SNN_RESET_SUBTRACT) {
        v[ALPHA_E] = e - c[ALPHA_THETA] * r, v[ALPHA_N] = n * (1 - r), v[ALPHA_V] = u + before * r;
    } else {
        const real stays = reset == SNN_RESET_NONE ? 1 : 1 - r;
        v[ALPHA_E] = e * stays, v[ALPHA_N] = n * stays, v[ALPHA_V] = u * stays;
    }
}

SNN_HD real alpha_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[ALPHA_V] - c[ALPHA_THETA];
}

SNN_HD void alpha_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)s, (void)r, (void)v;
}

SNN_HD void alpha_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                 real *gs, real *gr, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)x, (void)s, (void)r, (void)g, (void)gs, (void)gr, (void)gx, (void)gc;
}

SNN_HD void alpha_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                 real gz, real *g, real *gx, real *gc) {
    const real e = c[ALPHA_ALPHA] * v[ALPHA_E] + x, n = c[ALPHA_BETA] * v[ALPHA_N] - x;
    const int subtracts = reset == SNN_RESET_SUBTRACT;
    const real stays = reset == SNN_RESET_NONE ? 1 : 1 - r, gv = g[ALPHA_V] + gz, gu = subtracts ? gv : gv * stays;
    (void)o, (void)h;
    gc[ALPHA_THETA] -= gz + (subtracts ? r * g[ALPHA_E] : 0);
    gc[ALPHA_TAU] += gu * (e + n);
    const real ge = (subtracts ? g[ALPHA_E] : g[ALPHA_E] * stays) + c[ALPHA_TAU] * gu;
    const real gn = g[ALPHA_N] * stays + c[ALPHA_TAU] * gu;
    gc[ALPHA_ALPHA] += ge * v[ALPHA_E], gc[ALPHA_BETA] += gn * v[ALPHA_N];
    *gx += ge - gn;
    g[ALPHA_V] = 0, g[ALPHA_E] = c[ALPHA_ALPHA] * ge;
    g[ALPHA_N] = c[ALPHA_BETA] * gn + (subtracts ? r * gv : 0);
}

#endif
