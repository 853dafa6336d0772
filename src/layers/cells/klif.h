/* SPDX-License-Identifier: Apache-2.0
 * klif.h - KLIF (Jiang and Zhang 2023): the membrane is scaled by a learned k and rectified before it fires.
 *
 *   charge  H = beta V + kappa X + (1 - beta) rest,   kappa = 1, or (1 - beta) with decay_input
 *   over    F - threshold,  F = max(k H, 0)
 *   settle  V = F reset by r; with scale_reset what is left of F is divided by k again (subtract: all of it) */
#ifndef SNN_CELL_KLIF_H
#define SNN_CELL_KLIF_H

#include "layers/cells/cell.h"

enum { klif_STATES = 1, klif_COEFS = 5, klif_KEEPS = 1, klif_READS_V = 0, klif_READS_X = 0 };
enum { KLIF_BETA, KLIF_K, KLIF_THETA, KLIF_TO, KLIF_REST };
enum { KLIF_DECAY_INPUT = 1, KLIF_SCALE_RESET = 2 };
enum { klif_V_OF = 1 << KLIF_BETA, klif_X_OF = 1 << KLIF_BETA };
enum { klif_FIRES = 1 << SNN_FIRES_ONCE, klif_LEARNS = 1 << KLIF_K, klif_OVER = -1, klif_EACH = 0 };
#define klif_IDLE(o) 0u
#define klif_USUAL(X) X(ONCE, NOT, 0) X(ONCE, NOT, KLIF_DECAY_INPUT)

SNN_HD void klif_start(const real *c, unsigned o, real *v) {
    (void)o;
    v[0] = c[KLIF_REST];
}

SNN_HD void klif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)reset, (void)r;
    v[0] = c[KLIF_BETA] * v[0] + (o & KLIF_DECAY_INPUT ? 1 - c[KLIF_BETA] : 1) * x + (1 - c[KLIF_BETA]) * c[KLIF_REST];
}

SNN_HD real klif_lifted(const real *c, real h) {
    const real f = c[KLIF_K] * h;
    return f > 0 ? f : 0;
}

SNN_HD real klif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return klif_lifted(c, h[0]) - c[KLIF_THETA];
}

SNN_HD void klif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    const real f = klif_lifted(c, v[0]), scale = o & KLIF_SCALE_RESET ? 1 / c[KLIF_K] : 1;
    (void)x, (void)s;
    v[0] = reset == SNN_RESET_SUBTRACT ? cell_reset(reset, f, r, c[KLIF_THETA], 0) * scale
                                       : cell_reset(reset, f * scale, r, c[KLIF_THETA], c[KLIF_TO]);
}

/* The gradient of F to H and k. */
SNN_HD real klif_lifted_adjoint(const real *c, real h, real gf, real *gc) {
    const real inside = c[KLIF_K] * h > 0 ? gf : 0;
    gc[KLIF_K] += inside * h;
    return inside * c[KLIF_K];
}

SNN_HD void klif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)s, (void)gs, (void)gx;
    const real f = klif_lifted(c, h[0]), scale = o & KLIF_SCALE_RESET ? 1 / c[KLIF_K] : 1;
    real gf;
    if (reset == SNN_RESET_SUBTRACT) {
        if (o & KLIF_SCALE_RESET) gc[KLIF_K] -= g[0] * (f - c[KLIF_THETA] * r) * scale * scale;
        gf = cell_reset_adjoint(reset, f, r, c[KLIF_THETA], 0, g[0] * scale, gr, &gc[KLIF_THETA], &gc[KLIF_TO]);
    } else {
        gf =
            cell_reset_adjoint(reset, f * scale, r, c[KLIF_THETA], c[KLIF_TO], g[0], gr, &gc[KLIF_THETA], &gc[KLIF_TO]);
        if (o & KLIF_SCALE_RESET) gc[KLIF_K] -= gf * f * scale * scale;
        gf *= scale;
    }
    g[0] = gf; /* of F; the charge takes it on to H, with that of `over` */
}

SNN_HD void klif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)r;
    const real beta = c[KLIF_BETA], gh = klif_lifted_adjoint(c, h[0], g[0] + gz, gc);
    gc[KLIF_THETA] -= gz;
    gc[KLIF_BETA] += gh * (v[0] - c[KLIF_REST] - (o & KLIF_DECAY_INPUT ? x : 0));
    gc[KLIF_REST] += gh * (1 - beta);
    *gx += gh * (o & KLIF_DECAY_INPUT ? 1 - beta : 1);
    g[0] = beta * gh;
}

#endif
