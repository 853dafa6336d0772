/* SPDX-License-Identifier: Apache-2.0
 * filter.h - SpikingJelly's synapse filter: a trace whose leak is switched off by a spike. It does not fire.
 *
 *   charge  Y = Y - (1 - X) Y / tau + X                  rate = 1 / tau */
#ifndef SNN_CELL_FILTER_H
#define SNN_CELL_FILTER_H

#include "layers/cells/cell.h"

enum { filter_STATES = 1, filter_COEFS = 1, filter_KEEPS = 1, filter_READS_V = 1, filter_READS_X = 1 };
enum { FILTER_RATE };
enum { filter_V_OF = -1, filter_X_OF = -1 };
enum { filter_FIRES = 1 << SNN_FIRES_NEVER, filter_LEARNS = 0, filter_OVER = -1, filter_EACH = 0 };
#define filter_IDLE(o) 0u
#define filter_USUAL(X) X(NEVER, NOT, 0)
SNN_HD void filter_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[0] = 0;
}
SNN_HD void filter_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)reset, (void)o, (void)r;
    v[0] = v[0] - (1 - x) * v[0] * c[FILTER_RATE] + x;
}
SNN_HD real filter_over(const real *c, unsigned o, const real *h) {
    (void)c, (void)o;
    return h[0];
}
SNN_HD void filter_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)s, (void)r, (void)v;
}
SNN_HD void filter_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                  real *gs, real *gr, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)x, (void)s, (void)r, (void)g, (void)gs, (void)gr, (void)gx, (void)gc;
}
SNN_HD void filter_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                  real gz, real *g, real *gx, real *gc) {
    const real gy = g[0] + gz;
    (void)reset, (void)o, (void)h, (void)r;
    gc[FILTER_RATE] -= gy * (1 - x) * v[0];
    *gx += gy * (1 + v[0] * c[FILTER_RATE]);
    g[0] = gy * (1 - (1 - x) * c[FILTER_RATE]);
}

#endif
