/* SPDX-License-Identifier: Apache-2.0
 * alif.h - LIF with an adaptive threshold: sinabs' ALIF; Norse's LSNN; Yin, Corradi and Bohte (2021).
 *
 *   charge  I = alpha I + X
 *           H = beta V + gain I + (1 - beta) rest    gain: alpha with decay_current, (1 - beta) with decay_input; with
 *                                                    old_current the current of the step before
 *           with threshold_decays (Norse) B = rho B + (1 - rho) threshold, and B is the whole threshold
 *   over    H - TH, TH = threshold + scale B          or H / TH - 1 with relative (sinabs: surrogates in units of TH)
 *   settle  V = H reset by r; subtract takes TH
 *           B = rho B + (1 - rho) s                   or B + scale r with threshold_decays
 * With late_subtract (Yin) TH is taken in the next step, after the threshold has moved:
 *   charge  B = rho B + (1 - rho) S,  H = beta V + ... - TH S,  and settle S = s
 * Sources: sinabs' alif.py, Norse's lsnn.py (whose documented formulas are not what runs), Yin's program. */
#ifndef SNN_CELL_ALIF_H
#define SNN_CELL_ALIF_H

#include "layers/cells/cell.h"

enum { alif_STATES = 4, alif_COEFS = 9, alif_KEEPS = 5, alif_READS_V = 1, alif_READS_X = 0 };
enum { ALIF_ALPHA, ALIF_BETA, ALIF_RHO, ALIF_SCALE, ALIF_THETA, ALIF_TO, ALIF_REST, ALIF_B0, ALIF_START };
enum { ALIF_V, ALIF_I, ALIF_B, ALIF_S };
enum { alif_V_OF = -1, alif_X_OF = -1 };
enum { alif_FIRES = 1 << SNN_FIRES_ONCE, alif_LEARNS = 0, alif_OVER = -1, alif_EACH = 0 };
#define alif_IDLE(o) 0u
#define alif_USUAL(X)                                                                                                  \
    X(ONCE, NOT, ALIF_DECAY_INPUT)                                                                                     \
    X(ONCE, NOT, ALIF_LATE_SUBTRACT | ALIF_DECAY_INPUT)                                                                \
    X(ONCE, NOT, ALIF_THRESHOLD_DECAYS | ALIF_OLD_CURRENT | ALIF_DECAY_INPUT)
enum {
    ALIF_DECAY_INPUT = 1,
    ALIF_DECAY_CURRENT = 2,
    ALIF_OLD_CURRENT = 4,
    ALIF_RELATIVE = 8,
    ALIF_THRESHOLD_DECAYS = 16,
    ALIF_LATE_SUBTRACT = 32,
    ALIF_DETACH_THRESHOLD = 64 /* no gradient to the threshold through what fires (sinabs) */
};

SNN_HD void alif_start(const real *c, unsigned o, real *v) {
    (void)o;
    v[ALIF_V] = c[ALIF_START], v[ALIF_I] = v[ALIF_S] = 0, v[ALIF_B] = c[ALIF_B0];
}

SNN_HD real alif_gain(const real *c, unsigned o) {
    return (o & ALIF_DECAY_INPUT ? 1 - c[ALIF_BETA] : 1) * (o & ALIF_DECAY_CURRENT ? c[ALIF_ALPHA] : 1);
}

SNN_HD real alif_threshold(const real *c, unsigned o, real b) {
    return o & ALIF_THRESHOLD_DECAYS ? b : c[ALIF_THETA] + c[ALIF_SCALE] * b;
}

SNN_HD void alif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real old = v[ALIF_I];
    (void)reset, (void)r;
    v[ALIF_I] = c[ALIF_ALPHA] * old + x;
    v[ALIF_V] = c[ALIF_BETA] * v[ALIF_V] + alif_gain(c, o) * (o & ALIF_OLD_CURRENT ? old : v[ALIF_I]) +
                (1 - c[ALIF_BETA]) * c[ALIF_REST];
    if (o & ALIF_THRESHOLD_DECAYS) v[ALIF_B] = c[ALIF_RHO] * v[ALIF_B] + (1 - c[ALIF_RHO]) * c[ALIF_THETA];
    if (o & ALIF_LATE_SUBTRACT) {
        v[ALIF_B] = c[ALIF_RHO] * v[ALIF_B] + (1 - c[ALIF_RHO]) * v[ALIF_S];
        v[ALIF_V] -= alif_threshold(c, o, v[ALIF_B]) * v[ALIF_S];
    }
}

SNN_HD real alif_over(const real *c, unsigned o, const real *h) {
    const real th = alif_threshold(c, o, h[ALIF_B]);
    return o & ALIF_RELATIVE ? h[ALIF_V] / th - 1 : h[ALIF_V] - th;
}

SNN_HD void alif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x;
    if (o & ALIF_LATE_SUBTRACT) {
        v[ALIF_S] = s;
        return;
    }
    v[ALIF_V] = cell_reset(reset, v[ALIF_V], r, alif_threshold(c, o, v[ALIF_B]), c[ALIF_TO]);
    v[ALIF_B] =
        o & ALIF_THRESHOLD_DECAYS ? v[ALIF_B] + c[ALIF_SCALE] * r : c[ALIF_RHO] * v[ALIF_B] + (1 - c[ALIF_RHO]) * s;
    v[ALIF_S] = 0;
}

/* Gradient of a threshold to what it is made of. */
SNN_HD void alif_threshold_adjoint(const real *c, unsigned o, real b, real gth, real *gb, real *gc) {
    if (o & ALIF_THRESHOLD_DECAYS) {
        *gb += gth;
        return;
    }
    gc[ALIF_THETA] += gth, gc[ALIF_SCALE] += gth * b;
    *gb += gth * c[ALIF_SCALE];
}

SNN_HD void alif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                                real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)gx;
    if (o & ALIF_LATE_SUBTRACT) {
        *gs += g[ALIF_S];
        g[ALIF_S] = 0;
        return;
    }
    real gth = 0, gb = g[ALIF_B];
    g[ALIF_S] = 0;
    if (o & ALIF_THRESHOLD_DECAYS) {
        *gr += c[ALIF_SCALE] * gb, gc[ALIF_SCALE] += r * gb;
    } else {
        *gs += (1 - c[ALIF_RHO]) * gb, gc[ALIF_RHO] += (h[ALIF_B] - s) * gb;
        gb *= c[ALIF_RHO];
    }
    g[ALIF_V] = cell_reset_adjoint(reset, h[ALIF_V], r, alif_threshold(c, o, h[ALIF_B]), c[ALIF_TO], g[ALIF_V], gr,
                                   &gth, &gc[ALIF_TO]);
    alif_threshold_adjoint(c, o, h[ALIF_B], gth, &gb, gc);
    g[ALIF_B] = gb;
}

SNN_HD void alif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                real gz, real *g, real *gx, real *gc) {
    (void)reset, (void)x, (void)r;
    const real alpha = c[ALIF_ALPHA], beta = c[ALIF_BETA], gain = alif_gain(c, o), th = alif_threshold(c, o, h[ALIF_B]);
    const real current = o & ALIF_OLD_CURRENT ? v[ALIF_I] : h[ALIF_I];
    real gb = g[ALIF_B], gi = g[ALIF_I], gv = g[ALIF_V], gspike = g[ALIF_S];
    gv += o & ALIF_RELATIVE ? gz / th : gz;
    if (!(o & ALIF_DETACH_THRESHOLD))
        alif_threshold_adjoint(c, o, h[ALIF_B], o & ALIF_RELATIVE ? -gz * h[ALIF_V] / (th * th) : -gz, &gb, gc);
    if (o & ALIF_LATE_SUBTRACT) {
        alif_threshold_adjoint(c, o, h[ALIF_B], -gv * v[ALIF_S], &gb, gc);
        gspike += (1 - c[ALIF_RHO]) * gb - th * gv;
        gc[ALIF_RHO] += gb * (v[ALIF_B] - v[ALIF_S]);
        gb *= c[ALIF_RHO];
    }
    if (o & ALIF_THRESHOLD_DECAYS) {
        gc[ALIF_RHO] += gb * (v[ALIF_B] - c[ALIF_THETA]), gc[ALIF_THETA] += gb * (1 - c[ALIF_RHO]);
        gb *= c[ALIF_RHO];
    }
    gc[ALIF_BETA] += gv * (v[ALIF_V] - c[ALIF_REST]), gc[ALIF_REST] += gv * (1 - beta);
    if (o & ALIF_DECAY_INPUT) gc[ALIF_BETA] -= gv * current * (o & ALIF_DECAY_CURRENT ? alpha : 1);
    if (o & ALIF_DECAY_CURRENT) gc[ALIF_ALPHA] += gv * current * (o & ALIF_DECAY_INPUT ? 1 - beta : 1);
    if (!(o & ALIF_OLD_CURRENT)) gi += gain * gv;
    gc[ALIF_ALPHA] += gi * v[ALIF_I];
    *gx += gi;
    g[ALIF_V] = beta * gv, g[ALIF_B] = gb, g[ALIF_S] = gspike;
    g[ALIF_I] = alpha * gi + (o & ALIF_OLD_CURRENT ? gain * gv : 0);
}

#endif
