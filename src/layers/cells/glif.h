/* SPDX-License-Identifier: Apache-2.0
 * glif.h - gated LIF (Yao et al., NeurIPS 2022; SpikingJelly's GatedLIFNode): gates choose between an exponential and a
 * linear leak, a plain and a conducted input, and a proportional and a subtracted reset.
 *
 *   charge  I = X (1 - beta (1 - conduct_t))                    conduct differs from step to step
 *           H = k V (1 - gamma S) - (1 - alpha) leak + I - (1 - gamma) drop S,   k = 1 - alpha (1 - tau)
 *   settle  S = s, V = H
 * Gates and all other numbers are s(w) of what is learned. The spike of the step before is not detached. */
#ifndef SNN_CELL_GLIF_H
#define SNN_CELL_GLIF_H

#include "layers/cells/cell.h"

enum { glif_STATES = 2, glif_COEFS = 8, glif_KEEPS = 1, glif_READS_V = 1, glif_READS_X = 0 };
enum { GLIF_ALPHA, GLIF_BETA, GLIF_GAMMA, GLIF_TAU, GLIF_THETA, GLIF_LEAK, GLIF_DROP, GLIF_CONDUCT };
enum { GLIF_V, GLIF_S };
enum { glif_V_OF = -1, glif_X_OF = -1 };
enum { glif_FIRES = 1 << SNN_FIRES_ONCE, glif_LEARNS = 0, glif_OVER = GLIF_THETA, glif_EACH = 0 };
#define glif_IDLE(o) 0u
#define glif_USUAL(X) X(ONCE, NOT, 0)

SNN_HD void glif_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[GLIF_V] = v[GLIF_S] = 0;
}

SNN_HD void glif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real k = 1 - c[GLIF_ALPHA] * (1 - c[GLIF_TAU]), s = v[GLIF_S];
    (void)reset, (void)o, (void)r;
    v[GLIF_V] = k * v[GLIF_V] * (1 - c[GLIF_GAMMA] * s) - (1 - c[GLIF_ALPHA]) * c[GLIF_LEAK] +
                x * (1 - c[GLIF_BETA] * (1 - c[GLIF_CONDUCT])) - (1 - c[GLIF_GAMMA]) * c[GLIF_DROP] * s;
}

SNN_HD real glif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[GLIF_V] - c[GLIF_THETA];
}

SNN_HD void glif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)r;
    v[GLIF_S] = s;
}

SNN_HD void glif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                real *gs, real *gr, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)x, (void)s, (void)r, (void)gr, (void)gx, (void)gc;
    *gs += g[GLIF_S];
    g[GLIF_S] = 0;
}

SNN_HD void glif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)o, (void)h, (void)r;
    const real alpha = c[GLIF_ALPHA], beta = c[GLIF_BETA], gamma = c[GLIF_GAMMA], s = v[GLIF_S];
    const real k = 1 - alpha * (1 - c[GLIF_TAU]), left = v[GLIF_V] * (1 - gamma * s), gv = g[GLIF_V] + gz;
    gc[GLIF_THETA] -= gz;
    gc[GLIF_ALPHA] += gv * (c[GLIF_LEAK] - (1 - c[GLIF_TAU]) * left), gc[GLIF_TAU] += gv * alpha * left;
    gc[GLIF_LEAK] -= gv * (1 - alpha);
    gc[GLIF_BETA] -= gv * x * (1 - c[GLIF_CONDUCT]), gc[GLIF_CONDUCT] += gv * x * beta;
    gc[GLIF_GAMMA] += gv * (c[GLIF_DROP] - k * v[GLIF_V]) * s, gc[GLIF_DROP] -= gv * (1 - gamma) * s;
    *gx += gv * (1 - beta * (1 - c[GLIF_CONDUCT]));
    g[GLIF_V] = gv * k * (1 - gamma * s);
    g[GLIF_S] = -gv * (k * v[GLIF_V] * gamma + (1 - gamma) * c[GLIF_DROP]);
}

#endif
