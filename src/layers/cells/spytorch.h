/* SPDX-License-Identifier: Apache-2.0
 * spytorch.h - the current-based LIF of Zenke's SpyTorch: it fires on the membrane as the step before left it, so that
 * an input reaches the membrane one step later and is heard two steps later.
 *
 *   over    U - threshold
 *   settle  U = (beta U + I) (1 - r),  I = alpha I + X */
#ifndef SNN_CELL_SPYTORCH_H
#define SNN_CELL_SPYTORCH_H

#include "layers/cells/cell.h"

enum { spytorch_STATES = 2, spytorch_COEFS = 4, spytorch_KEEPS = 3, spytorch_READS_V = 0, spytorch_READS_X = 0 };
enum { SPY_ALPHA, SPY_BETA, SPY_THETA, SPY_TO };
enum { SPY_U, SPY_I };
enum { spytorch_V_OF = -1, spytorch_X_OF = -1 };
enum {
    spytorch_FIRES = 1 << SNN_FIRES_ONCE,
    spytorch_LEARNS = 1 << SPY_ALPHA | 1 << SPY_BETA,
    spytorch_OVER = SPY_THETA,
    spytorch_EACH = 0
};
#define spytorch_IDLE(o) 0u
#define spytorch_USUAL(X) X(ONCE, NOT, 0)

SNN_HD void spytorch_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[SPY_U] = v[SPY_I] = 0;
}
SNN_HD void spytorch_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)r, (void)v;
}
SNN_HD real spytorch_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[SPY_U] - c[SPY_THETA];
}
SNN_HD void spytorch_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)o, (void)s;
    v[SPY_U] = cell_reset(reset, c[SPY_BETA] * v[SPY_U] + v[SPY_I], r, c[SPY_THETA], c[SPY_TO]);
    v[SPY_I] = c[SPY_ALPHA] * v[SPY_I] + x;
}
SNN_HD void spytorch_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r,
                                    real *g, real *gs, real *gr, real *gx, real *gc) {
    const real u = c[SPY_BETA] * h[SPY_U] + h[SPY_I], gi = g[SPY_I];
    (void)o, (void)x, (void)s, (void)gs;
    const real gu = cell_reset_adjoint(reset, u, r, c[SPY_THETA], c[SPY_TO], g[SPY_U], gr, &gc[SPY_THETA], &gc[SPY_TO]);
    gc[SPY_BETA] += gu * h[SPY_U], gc[SPY_ALPHA] += gi * h[SPY_I];
    *gx += gi;
    g[SPY_U] = c[SPY_BETA] * gu, g[SPY_I] = c[SPY_ALPHA] * gi + gu;
}
SNN_HD void spytorch_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                    real gz, real *g, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)v, (void)x, (void)r, (void)gx;
    g[SPY_U] += gz, gc[SPY_THETA] -= gz;
}

#endif
