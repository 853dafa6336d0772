/* SPDX-License-Identifier: Apache-2.0
 * rf.h - resonate and fire (Izhikevich 2001): a complex state that turns and leaks, z = re + i im.
 *
 *   charge  re = a re - w im + k X,  im = w re + a im      of the old re and im
 *           a = (1 - d) sqrt(1 - omega^2), w = (1 - d) omega: turned by an angle whose sine is omega (lava-dl's RF)
 *           a = sqrt(1 - omega^2) - d - dt Q, w = omega with balanced (Higuchi et al., ICML 2024): sqrt(1 - omega^2) is
 *           what sustains an oscillation of Euler's rule (their p(omega)); omega and d are per step, dt of theirs
 *   over    re - threshold, - Q too with balanced;  im - threshold with imaginary
 *   settle  Q = gamma Q + s with balanced, which does not reset; with imaginary re = 0, im = threshold at a spike
 * The plain one is not reset either, as in lava-dl. */
#ifndef SNN_CELL_RF_H
#define SNN_CELL_RF_H

#include "layers/cells/cell.h"

enum { rf_STATES = 3, rf_COEFS = 6, rf_KEEPS = 7, rf_READS_V = 1, rf_READS_X = 0 };
enum { RF_OMEGA, RF_DAMPING, RF_GAIN, RF_DT, RF_GAMMA, RF_THETA };
enum { RF_RE, RF_IM, RF_Q };
enum { RF_IMAGINARY = 1, RF_BALANCED = 2 };
enum { rf_V_OF = -1, rf_X_OF = -1 };
enum { rf_FIRES = 1 << SNN_FIRES_ONCE, rf_LEARNS = 1 << RF_OMEGA | 1 << RF_DAMPING, rf_OVER = -1, rf_EACH = 1 };
#define rf_IDLE(o) ((o)&RF_BALANCED ? 0u : 1u << RF_Q)
#define rf_USUAL(X) X(ONCE, NOT, 0) X(ONCE, NOT, RF_BALANCED)

SNN_HD void rf_start(const real *c, unsigned o, real *v) {
    (void)c, (void)o;
    v[RF_RE] = v[RF_IM] = v[RF_Q] = 0;
}

SNN_HD void rf_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real omega = c[RF_OMEGA], root = r_sqrt(1 - omega * omega), kept = 1 - c[RF_DAMPING];
    const real a = o & RF_BALANCED ? root - c[RF_DAMPING] - c[RF_DT] * v[RF_Q] : kept * root;
    const real w = o & RF_BALANCED ? omega : kept * omega, re = v[RF_RE], im = v[RF_IM];
    (void)reset, (void)r;
    v[RF_RE] = a * re - w * im + c[RF_GAIN] * x;
    v[RF_IM] = w * re + a * im;
}

SNN_HD real rf_over(const real *c, unsigned o, const real *h) {
    if (o & RF_IMAGINARY) return h[RF_IM] - c[RF_THETA];
    return h[RF_RE] - c[RF_THETA] - (o & RF_BALANCED ? h[RF_Q] : 0);
}

SNN_HD void rf_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x;
    if (o & RF_BALANCED) v[RF_Q] = c[RF_GAMMA] * v[RF_Q] + s;
    if (o & RF_IMAGINARY && reset != SNN_RESET_NONE) {
        v[RF_RE] = (1 - r) * v[RF_RE];
        v[RF_IM] = (1 - r) * v[RF_IM] + r * c[RF_THETA];
    }
}

SNN_HD void rf_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                              real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)s, (void)gx;
    if (o & RF_BALANCED) {
        *gs += g[RF_Q], gc[RF_GAMMA] += g[RF_Q] * h[RF_Q];
        g[RF_Q] = c[RF_GAMMA] * g[RF_Q];
    }
    if (o & RF_IMAGINARY && reset != SNN_RESET_NONE) {
        *gr += (c[RF_THETA] - h[RF_IM]) * g[RF_IM] - h[RF_RE] * g[RF_RE], gc[RF_THETA] += r * g[RF_IM];
        g[RF_RE] *= 1 - r, g[RF_IM] *= 1 - r;
    }
}

SNN_HD void rf_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                              real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)h, (void)r;
    const real omega = c[RF_OMEGA], root = r_sqrt(1 - omega * omega), kept = 1 - c[RF_DAMPING];
    const real a = o & RF_BALANCED ? root - c[RF_DAMPING] - c[RF_DT] * v[RF_Q] : kept * root;
    const real w = o & RF_BALANCED ? omega : kept * omega;
    const real gre = g[RF_RE] + (o & RF_IMAGINARY ? 0 : gz), gim = g[RF_IM] + (o & RF_IMAGINARY ? gz : 0);
    const real ga = gre * v[RF_RE] + gim * v[RF_IM], gw = gim * v[RF_RE] - gre * v[RF_IM];
    gc[RF_THETA] -= gz;
    gc[RF_GAIN] += gre * x;
    *gx += gre * c[RF_GAIN];
    if (o & RF_BALANCED) {
        gc[RF_DAMPING] -= ga, gc[RF_DT] -= ga * v[RF_Q];
        gc[RF_OMEGA] += gw - ga * omega / root;
        g[RF_Q] -= c[RF_DT] * ga + (o & RF_IMAGINARY ? 0 : gz);
    } else {
        gc[RF_DAMPING] -= ga * root + gw * omega;
        gc[RF_OMEGA] += kept * (gw - ga * omega / root);
    }
    g[RF_RE] = a * gre + w * gim, g[RF_IM] = a * gim - w * gre;
}

#endif
