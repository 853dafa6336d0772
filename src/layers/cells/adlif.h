/* SPDX-License-Identifier: Apache-2.0
 * adlif.h - adaptive LIF of Bittar and Garner (Frontiers in Neuroscience 2022, sparch): a current that follows the
 * membrane and the spikes is taken from the input.
 *
 *   charge  W = beta W + a U + b S            U, S of the step before
 *           U = alpha (U - threshold S) + (1 - alpha) (X - W)
 *   settle  S = s
 * Stable for alpha in [exp(-1/5), exp(-1/25)], beta in [exp(-1/30), exp(-1/120)], a in [-1, 1], b in [0, 2], to which
 * their program clamps what it learns. The reset is inside of the leak and carries gradient. */
#ifndef SNN_CELL_ADLIF_H
#define SNN_CELL_ADLIF_H

#include "layers/cells/cell.h"

enum { adlif_STATES = 3, adlif_COEFS = 5, adlif_KEEPS = 1, adlif_READS_V = 0, adlif_READS_X = 0 };
enum { ADLIF_ALPHA, ADLIF_BETA, ADLIF_A, ADLIF_B, ADLIF_THETA };
enum { ADLIF_U, ADLIF_W, ADLIF_S };
enum { adlif_V_OF = -1, adlif_X_OF = -1 };
enum { adlif_FIRES = 1 << SNN_FIRES_ONCE, adlif_LEARNS = 15, adlif_OVER = ADLIF_THETA, adlif_EACH = 0 };
#define adlif_IDLE(o) 0u
#define adlif_USUAL(X) X(ONCE, NOT, 0)

SNN_HD void adlif_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[ADLIF_U] = v[ADLIF_W] = v[ADLIF_S] = 0;
}

SNN_HD void adlif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)reset, (void)o, (void)r;
    v[ADLIF_W] = c[ADLIF_BETA] * v[ADLIF_W] + c[ADLIF_A] * v[ADLIF_U] + c[ADLIF_B] * v[ADLIF_S];
    v[ADLIF_U] = c[ADLIF_ALPHA] * (v[ADLIF_U] - c[ADLIF_THETA] * v[ADLIF_S]) + (1 - c[ADLIF_ALPHA]) * (x - v[ADLIF_W]);
}

SNN_HD real adlif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[ADLIF_U] - c[ADLIF_THETA];
}

SNN_HD void adlif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)r;
    v[ADLIF_S] = s;
}

SNN_HD void adlif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                 real *gs, real *gr, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)x, (void)s, (void)r, (void)gr, (void)gx, (void)gc;
    *gs += g[ADLIF_S];
    g[ADLIF_S] = 0;
}

SNN_HD void adlif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                 real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)o, (void)r;
    const real alpha = c[ADLIF_ALPHA], gu = g[ADLIF_U] + gz, gw = g[ADLIF_W] - (1 - alpha) * gu;
    gc[ADLIF_THETA] -= gz + alpha * v[ADLIF_S] * gu;
    gc[ADLIF_ALPHA] += gu * (v[ADLIF_U] - c[ADLIF_THETA] * v[ADLIF_S] - x + h[ADLIF_W]);
    gc[ADLIF_BETA] += gw * v[ADLIF_W], gc[ADLIF_A] += gw * v[ADLIF_U], gc[ADLIF_B] += gw * v[ADLIF_S];
    *gx += (1 - alpha) * gu;
    g[ADLIF_U] = alpha * gu + c[ADLIF_A] * gw;
    g[ADLIF_S] = c[ADLIF_B] * gw - alpha * c[ADLIF_THETA] * gu;
    g[ADLIF_W] = c[ADLIF_BETA] * gw;
}

#endif
