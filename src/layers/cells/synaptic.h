/* SPDX-License-Identifier: Apache-2.0
 * synaptic.h - LIF with a synaptic current (CUBA): snnTorch's Synaptic, SpikingJelly's CUBALIF, Norse's LIF and LI,
 * lava-dl's CUBA, sinabs' LIF with tau_syn.
 *
 *   charge  I = alpha I + X
 *           H = beta V + kappa I + (1 - beta) rest      kappa = 1, or (1 - beta) with decay_input; times alpha with
 *                                                       decay_current (sinabs: the current has decayed when it acts)
 *           with old_current (LSNN) H takes the current of the step before
 *   settle  as LIF
 * With the spike of the step before (snnTorch): H - threshold r, or the whole of H reset by r, its current included.
 * Norse stores the current after its decay, alpha I. */
#ifndef SNN_CELL_SYNAPTIC_H
#define SNN_CELL_SYNAPTIC_H

#include "layers/cells/cell.h"

enum { synaptic_STATES = 2, synaptic_COEFS = 7, synaptic_KEEPS = 1, synaptic_READS_V = 0, synaptic_READS_X = 0 };
enum { SYN_ALPHA, SYN_BETA, SYN_THETA, SYN_TO, SYN_REST, SYN_FLOOR, SYN_START };
enum { SYN_V, SYN_I }; /* states: the membrane first, in all cells */
enum { SYN_DECAY_INPUT = 1, SYN_DECAY_CURRENT = 2, SYN_OLD_CURRENT = 4 };
enum { synaptic_V_OF = -1, synaptic_X_OF = -1 };
enum {
    synaptic_FIRES = 1 << SNN_FIRES_ONCE | 1 << SNN_FIRES_NEVER,
    synaptic_LEARNS = 1 << SYN_ALPHA | 1 << SYN_BETA,
    synaptic_OVER = SYN_THETA,
    synaptic_EACH = 0
};
#define synaptic_IDLE(o) 0u
#define synaptic_USUAL(X) X(ONCE, NOT, 0) X(ONCE, NOT, SYN_DECAY_INPUT) X(ONCE, NEXT, 0) X(NEVER, NOT, 0)

SNN_HD void synaptic_start(const real *c, unsigned o, real *v) {
    (void)o;
    v[SYN_V] = c[SYN_START], v[SYN_I] = 0;
}

SNN_HD real synaptic_gain(const real *c, unsigned o) {
    return (o & SYN_DECAY_INPUT ? 1 - c[SYN_BETA] : 1) * (o & SYN_DECAY_CURRENT ? c[SYN_ALPHA] : 1);
}

SNN_HD void synaptic_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real old = v[SYN_I];
    v[SYN_I] = c[SYN_ALPHA] * old + x;
    const real u = c[SYN_BETA] * v[SYN_V] + synaptic_gain(c, o) * (o & SYN_OLD_CURRENT ? old : v[SYN_I]) +
                   (1 - c[SYN_BETA]) * c[SYN_REST];
    v[SYN_V] = cell_reset(reset, u, r, c[SYN_THETA], c[SYN_TO]);
}

SNN_HD real synaptic_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[SYN_V] - c[SYN_THETA];
}

SNN_HD void synaptic_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x, (void)s;
    v[SYN_V] = cell_reset(reset, v[SYN_V], r, c[SYN_THETA], c[SYN_TO]);
    if (o & CELL_HAS_FLOOR) v[SYN_V] = v[SYN_V] > c[SYN_FLOOR] ? v[SYN_V] : c[SYN_FLOOR];
}

SNN_HD void synaptic_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r,
                                    real *g, real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)s, (void)gs, (void)gx;
    if (o & CELL_HAS_FLOOR) {
        const real v = cell_reset(reset, h[SYN_V], r, c[SYN_THETA], c[SYN_TO]);
        gc[SYN_FLOOR] += v > c[SYN_FLOOR] ? 0 : g[SYN_V];
        g[SYN_V] = v > c[SYN_FLOOR] ? g[SYN_V] : 0;
    }
    g[SYN_V] =
        cell_reset_adjoint(reset, h[SYN_V], r, c[SYN_THETA], c[SYN_TO], g[SYN_V], gr, &gc[SYN_THETA], &gc[SYN_TO]);
}

SNN_HD void synaptic_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                                    real gz, real *g, real *gx, real *gc) {
    (void)x;
    const real alpha = c[SYN_ALPHA], beta = c[SYN_BETA], gain = synaptic_gain(c, o);
    const real current = o & SYN_OLD_CURRENT ? v[SYN_I] : h[SYN_I];
    const real u = beta * v[SYN_V] + gain * current + (1 - beta) * c[SYN_REST];
    real unused = 0;
    gc[SYN_THETA] -= gz;
    const real gu =
        cell_reset_adjoint(reset, u, r, c[SYN_THETA], c[SYN_TO], g[SYN_V] + gz, &unused, &gc[SYN_THETA], &gc[SYN_TO]);
    real gi = g[SYN_I];
    gc[SYN_BETA] += gu * (v[SYN_V] - c[SYN_REST]);
    gc[SYN_REST] += gu * (1 - beta);
    if (o & SYN_DECAY_INPUT) gc[SYN_BETA] -= gu * current * (o & SYN_DECAY_CURRENT ? alpha : 1);
    if (o & SYN_DECAY_CURRENT) gc[SYN_ALPHA] += gu * current * (o & SYN_DECAY_INPUT ? 1 - beta : 1);
    if (!(o & SYN_OLD_CURRENT)) gi += gain * gu;
    gc[SYN_ALPHA] += gi * v[SYN_I];
    *gx += gi;
    g[SYN_V] = beta * gu;
    g[SYN_I] = alpha * gi + (o & SYN_OLD_CURRENT ? gain * gu : 0);
}

#endif
