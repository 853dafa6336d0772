/* SPDX-License-Identifier: Apache-2.0
 * seadlif.h - adaptive LIF of Baronig et al. (2024): symplectic Euler, or Euler forward.
 *
 *   charge  U = alpha V + (1 - alpha) (X - W)
 *   settle  V = U (1 - r)
 *           W = beta W + (1 - beta) q (a V + b s)      symplectic: V and s of this step
 * With euler_forward W takes V and S of the step before, which the charge then does. The reset is detached in their
 * program; tau_u in [5, 25] and tau_w in [60, 300] steps, a in [0, 1], b in [0, 2], q = 120. */
#ifndef SNN_CELL_SEADLIF_H
#define SNN_CELL_SEADLIF_H

#include "layers/cells/cell.h"

enum { seadlif_STATES = 3, seadlif_COEFS = 7, seadlif_KEEPS = 1, seadlif_READS_V = 0, seadlif_READS_X = 0 };
enum { SEADLIF_ALPHA, SEADLIF_BETA, SEADLIF_A, SEADLIF_B, SEADLIF_Q, SEADLIF_THETA, SEADLIF_TO };
enum { SEADLIF_V, SEADLIF_W, SEADLIF_S };
enum { SEADLIF_EULER_FORWARD = 1 };
enum { seadlif_V_OF = -1, seadlif_X_OF = -1 };
enum { seadlif_FIRES = 1 << SNN_FIRES_ONCE, seadlif_LEARNS = 15, seadlif_OVER = SEADLIF_THETA, seadlif_EACH = 0 };
#define seadlif_IDLE(o) 0u
#define seadlif_USUAL(X) X(ONCE, NOT, 0) X(ONCE, NOT, SEADLIF_EULER_FORWARD)

SNN_HD void seadlif_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[SEADLIF_V] = v[SEADLIF_W] = v[SEADLIF_S] = 0;
}

SNN_HD void seadlif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real drives = c[SEADLIF_A] * v[SEADLIF_V] + c[SEADLIF_B] * v[SEADLIF_S], w = v[SEADLIF_W];
    (void)reset, (void)r;
    v[SEADLIF_V] = c[SEADLIF_ALPHA] * v[SEADLIF_V] + (1 - c[SEADLIF_ALPHA]) * (x - w);
    if (o & SEADLIF_EULER_FORWARD) v[SEADLIF_W] = c[SEADLIF_BETA] * w + (1 - c[SEADLIF_BETA]) * c[SEADLIF_Q] * drives;
}

SNN_HD real seadlif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[SEADLIF_V] - c[SEADLIF_THETA];
}

SNN_HD void seadlif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x;
    v[SEADLIF_V] = cell_reset(reset, v[SEADLIF_V], r, c[SEADLIF_THETA], c[SEADLIF_TO]);
    if (!(o & SEADLIF_EULER_FORWARD))
        v[SEADLIF_W] = c[SEADLIF_BETA] * v[SEADLIF_W] +
                       (1 - c[SEADLIF_BETA]) * c[SEADLIF_Q] * (c[SEADLIF_A] * v[SEADLIF_V] + c[SEADLIF_B] * s);
    v[SEADLIF_S] = s;
}

SNN_HD void seadlif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                   real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)gx;
    const real beta = c[SEADLIF_BETA], gw = g[SEADLIF_W], scale = (1 - beta) * c[SEADLIF_Q];
    *gs += g[SEADLIF_S];
    g[SEADLIF_S] = 0;
    if (!(o & SEADLIF_EULER_FORWARD)) {
        const real v = cell_reset(reset, h[SEADLIF_V], r, c[SEADLIF_THETA], c[SEADLIF_TO]);
        const real drives = c[SEADLIF_A] * v + c[SEADLIF_B] * s;
        gc[SEADLIF_BETA] += gw * (h[SEADLIF_W] - c[SEADLIF_Q] * drives);
        gc[SEADLIF_Q] += gw * (1 - beta) * drives;
        gc[SEADLIF_A] += gw * scale * v, gc[SEADLIF_B] += gw * scale * s;
        g[SEADLIF_V] += gw * scale * c[SEADLIF_A];
        *gs += gw * scale * c[SEADLIF_B];
        g[SEADLIF_W] = beta * gw;
    }
    g[SEADLIF_V] = cell_reset_adjoint(reset, h[SEADLIF_V], r, c[SEADLIF_THETA], c[SEADLIF_TO], g[SEADLIF_V], gr,
                                      &gc[SEADLIF_THETA], &gc[SEADLIF_TO]);
}

SNN_HD void seadlif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                   real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)h, (void)r;
    const real alpha = c[SEADLIF_ALPHA], beta = c[SEADLIF_BETA], gu = g[SEADLIF_V] + gz, gw = g[SEADLIF_W];
    gc[SEADLIF_THETA] -= gz;
    gc[SEADLIF_ALPHA] += gu * (v[SEADLIF_V] - x + v[SEADLIF_W]);
    *gx += (1 - alpha) * gu;
    g[SEADLIF_V] = alpha * gu;
    g[SEADLIF_W] = gw - (1 - alpha) * gu;
    if (!(o & SEADLIF_EULER_FORWARD)) return;
    const real drives = c[SEADLIF_A] * v[SEADLIF_V] + c[SEADLIF_B] * v[SEADLIF_S], scale = (1 - beta) * c[SEADLIF_Q];
    gc[SEADLIF_BETA] += gw * (v[SEADLIF_W] - c[SEADLIF_Q] * drives);
    gc[SEADLIF_Q] += gw * (1 - beta) * drives;
    gc[SEADLIF_A] += gw * scale * v[SEADLIF_V], gc[SEADLIF_B] += gw * scale * v[SEADLIF_S];
    g[SEADLIF_V] += gw * scale * c[SEADLIF_A];
    g[SEADLIF_S] += gw * scale * c[SEADLIF_B];
    g[SEADLIF_W] = beta * gw - (1 - alpha) * gu;
}

#endif
