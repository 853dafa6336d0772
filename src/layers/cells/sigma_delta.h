/* SPDX-License-Identifier: Apache-2.0
 * sigma_delta.h - sigma-delta (lava-dl): it adds up what it hears, which are changes, and says how its activation has
 * changed since it last said so, where that is more than a threshold (SNN_FIRES_CHANGES).
 *
 *   charge  A = A + X,  H = max(A, 0) - R      or A - R with linear; A = X with plain, which hears values: delta alone
 *   settle  R = R + s                          what the others have been told so far */
#ifndef SNN_CELL_SIGMA_DELTA_H
#define SNN_CELL_SIGMA_DELTA_H

#include "layers/cells/cell.h"

enum { sigma_delta_STATES = 3, sigma_delta_COEFS = 1, sigma_delta_KEEPS = 3, sigma_delta_READS_V = 0 };
enum { sigma_delta_READS_X = 0, sigma_delta_V_OF = -1, sigma_delta_X_OF = -1 };
enum { SD_THETA };
enum { SD_H, SD_A, SD_R };
enum { SD_LINEAR = 1, SD_PLAIN = 2 };
enum {
    sigma_delta_FIRES = 1 << SNN_FIRES_CHANGES,
    sigma_delta_LEARNS = 0,
    sigma_delta_OVER = SD_THETA,
    sigma_delta_EACH = 0
};
#define sigma_delta_IDLE(o) 0u
#define sigma_delta_USUAL(X) X(CHANGES, NOT, 0) X(CHANGES, NOT, SD_LINEAR) X(CHANGES, NOT, SD_LINEAR | SD_PLAIN)
SNN_HD void sigma_delta_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[SD_H] = v[SD_A] = v[SD_R] = 0;
}

SNN_HD void sigma_delta_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    (void)c, (void)reset, (void)r;
    v[SD_A] = o & SD_PLAIN ? x : v[SD_A] + x;
    v[SD_H] = (o & SD_LINEAR || v[SD_A] > 0 ? v[SD_A] : 0) - v[SD_R];
}

SNN_HD real sigma_delta_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[SD_H] - c[SD_THETA];
}

SNN_HD void sigma_delta_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)c, (void)reset, (void)o, (void)x, (void)r;
    v[SD_R] += s;
}

SNN_HD void sigma_delta_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r,
                                       real *g, real *gs, real *gr, real *gx, real *gc) {
    (void)c, (void)reset, (void)o, (void)h, (void)x, (void)s, (void)r, (void)gr, (void)gx, (void)gc;
    *gs += g[SD_R];
}

SNN_HD void sigma_delta_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x,
                                       real r, real gz, real *g, real *gx, real *gc) {
    (void)c, (void)reset, (void)v, (void)x, (void)r;
    const real gh = g[SD_H] + gz;
    gc[SD_THETA] -= gz;
    g[SD_A] = o & SD_LINEAR || h[SD_A] > 0 ? g[SD_A] + gh : g[SD_A];
    g[SD_R] -= gh;
    *gx += g[SD_A];
    if (o & SD_PLAIN) g[SD_A] = 0;
    g[SD_H] = 0;
}

#endif
