/* SPDX-License-Identifier: Apache-2.0
 * clif.h - complementary LIF (Huang et al., ICML 2024): a second potential that remembers spikes deepens the reset, and
 * is a second way for the gradient to go back in time.
 *
 *   charge  H = beta V + kappa X              kappa = 1, or (1 - beta) with decay_input
 *   settle  M = M s((1 - beta) H) + s         s(): logistic; 1 - beta = 1/tau
 *           V = H - r (threshold + s(M)) */
#ifndef SNN_CELL_CLIF_H
#define SNN_CELL_CLIF_H

#include "layers/cells/cell.h"

enum { clif_STATES = 2, clif_COEFS = 2, clif_KEEPS = 3, clif_READS_V = 0, clif_READS_X = 0 };
enum { CLIF_BETA, CLIF_THETA };
enum { CLIF_V, CLIF_M };
enum { CLIF_DECAY_INPUT = 1 };
enum { clif_V_OF = -1, clif_X_OF = -1 };
enum { clif_FIRES = 1 << SNN_FIRES_ONCE, clif_LEARNS = 1 << CLIF_BETA, clif_OVER = CLIF_THETA, clif_EACH = 0 };
#define clif_IDLE(o) 0u
#define clif_USUAL(X) X(ONCE, NOT, 0) X(ONCE, NOT, CLIF_DECAY_INPUT)

SNN_HD void clif_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[CLIF_V] = v[CLIF_M] = 0;
}

SNN_HD void clif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)reset, (void)r;
    v[CLIF_V] = c[CLIF_BETA] * v[CLIF_V] + (o & CLIF_DECAY_INPUT ? 1 - c[CLIF_BETA] : 1) * x;
}

SNN_HD real clif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[CLIF_V] - c[CLIF_THETA];
}

SNN_HD void clif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)o, (void)x;
    v[CLIF_M] = v[CLIF_M] * cell_logistic((1 - c[CLIF_BETA]) * v[CLIF_V]) + s;
    if (reset != SNN_RESET_NONE) v[CLIF_V] -= r * (c[CLIF_THETA] + cell_logistic(v[CLIF_M]));
}

SNN_HD void clif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                real *gs, real *gr, real *gx, real *gc) {
    (void)o, (void)x, (void)gx;
    const real leak = 1 - c[CLIF_BETA], keep = cell_logistic(leak * h[CLIF_V]);
    real gm = g[CLIF_M];
    if (reset != SNN_RESET_NONE) {
        const real depth = cell_logistic(h[CLIF_M] * keep + s);
        *gr -= (c[CLIF_THETA] + depth) * g[CLIF_V], gc[CLIF_THETA] -= r * g[CLIF_V];
        gm -= r * depth * (1 - depth) * g[CLIF_V];
    }
    const real gkeep = gm * h[CLIF_M] * keep * (1 - keep);
    *gs += gm;
    gc[CLIF_BETA] -= gkeep * h[CLIF_V];
    g[CLIF_V] += gkeep * leak, g[CLIF_M] = gm * keep;
}

SNN_HD void clif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)h, (void)r;
    const real beta = c[CLIF_BETA], gu = g[CLIF_V] + gz;
    gc[CLIF_THETA] -= gz;
    gc[CLIF_BETA] += gu * (v[CLIF_V] - (o & CLIF_DECAY_INPUT ? x : 0));
    *gx += gu * (o & CLIF_DECAY_INPUT ? 1 - beta : 1);
    g[CLIF_V] = beta * gu;
}

#endif
