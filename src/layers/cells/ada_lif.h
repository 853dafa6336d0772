/* SPDX-License-Identifier: Apache-2.0
 * ada_lif.h - LIF with a synaptic current and another that spikes add to and that is taken off: Norse's ada_lif_step.
 *
 *   charge  H = beta V + (1 - beta) (I - B + rest),  I = alpha I + X,  B = rho B      H takes the old I and B
 *   settle  V = H - (threshold - to) r               a reset that goes to `to` from the threshold, by subtraction
 *           B = B + scale s
 * Its comments have the sign of B and the reset otherwise; this is what runs. */
#ifndef SNN_CELL_ADA_LIF_H
#define SNN_CELL_ADA_LIF_H

#include "layers/cells/cell.h"

enum { ada_lif_STATES = 3, ada_lif_COEFS = 9, ada_lif_KEEPS = 1, ada_lif_READS_V = 0, ada_lif_READS_X = 0 };
enum { ADA_ALPHA, ADA_BETA, ADA_RHO, ADA_SCALE, ADA_THETA, ADA_TO, ADA_REST, ADA_B0, ADA_START };
enum { ADA_V, ADA_I, ADA_B };
enum { ada_lif_V_OF = -1, ada_lif_X_OF = -1 };
enum { ada_lif_FIRES = 1 << SNN_FIRES_ONCE, ada_lif_LEARNS = 0, ada_lif_OVER = ADA_THETA, ada_lif_EACH = 0 };
#define ada_lif_IDLE(o) 0u
#define ada_lif_USUAL(X) X(ONCE, NOT, 0)

SNN_HD void ada_lif_start(const real *c, unsigned o, real *v) {
    (void)o;
    v[ADA_V] = c[ADA_START], v[ADA_I] = 0, v[ADA_B] = c[ADA_B0];
}

SNN_HD void ada_lif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real beta = c[ADA_BETA];
    (void)reset, (void)o, (void)r;
    v[ADA_V] = beta * v[ADA_V] + (1 - beta) * (v[ADA_I] - v[ADA_B] + c[ADA_REST]);
    v[ADA_I] = c[ADA_ALPHA] * v[ADA_I] + x;
    v[ADA_B] = c[ADA_RHO] * v[ADA_B];
}

SNN_HD real ada_lif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[ADA_V] - c[ADA_THETA];
}

SNN_HD void ada_lif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)o, (void)x;
    if (reset != SNN_RESET_NONE) v[ADA_V] -= (c[ADA_THETA] - c[ADA_TO]) * r;
    v[ADA_B] += c[ADA_SCALE] * s;
}

SNN_HD void ada_lif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                   real *gs, real *gr, real *gx, real *gc) {
    (void)o, (void)h, (void)x, (void)gx;
    *gs += c[ADA_SCALE] * g[ADA_B], gc[ADA_SCALE] += s * g[ADA_B];
    if (reset == SNN_RESET_NONE) return;
    *gr -= (c[ADA_THETA] - c[ADA_TO]) * g[ADA_V];
    gc[ADA_THETA] -= r * g[ADA_V], gc[ADA_TO] += r * g[ADA_V];
}

SNN_HD void ada_lif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                   real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)o, (void)h, (void)x, (void)r;
    const real beta = c[ADA_BETA], gv = g[ADA_V] + gz, gi = g[ADA_I], gb = g[ADA_B];
    gc[ADA_THETA] -= gz;
    gc[ADA_BETA] += gv * (v[ADA_V] - (v[ADA_I] - v[ADA_B] + c[ADA_REST])), gc[ADA_REST] += gv * (1 - beta);
    gc[ADA_ALPHA] += gi * v[ADA_I], gc[ADA_RHO] += gb * v[ADA_B];
    *gx += gi;
    g[ADA_V] = beta * gv;
    g[ADA_I] = c[ADA_ALPHA] * gi + (1 - beta) * gv;
    g[ADA_B] = c[ADA_RHO] * gb - (1 - beta) * gv;
}

#endif
