/* SPDX-License-Identifier: Apache-2.0
 * lif.h - the LIF family with one state: IF, LIF, PLIF, leaky, Lapicque, LIFBox, leaky integrator.
 *
 *   charge  H = beta V + kappa X + (1 - beta) rest          kappa times (1 - beta) with decay_input
 *   settle  V = (1-r) H + r v_reset | H - threshold r | H    then V = max(V, floor) where there is a floor
 * With the spike of the step before (snnTorch)
 *   charge  H = beta (V reset by r) + ...   | beta V - threshold r + ...
 *           H = (beta V + kappa X) reset by r   with drops_input (Lapicque, recurrent leaky)
 * Sources: SpikingJelly's neuron.py, snnTorch's leaky.py and lapicque.py, Norse's lif_box.py, sinabs' lif.py; PLIF is
 * Fang et al., ICCV 2021. */
#ifndef SNN_CELL_LIF_H
#define SNN_CELL_LIF_H

#include "layers/cells/cell.h"

enum { lif_STATES = 1, lif_COEFS = 7, lif_KEEPS = 1, lif_READS_V = 0, lif_READS_X = 0 };
enum { LIF_BETA, LIF_KAPPA, LIF_THETA, LIF_TO, LIF_REST, LIF_FLOOR, LIF_START };
enum { LIF_DECAY_INPUT = 1, LIF_DROPS_INPUT = 2 };
enum { lif_V_OF = 1 << LIF_BETA, lif_X_OF = 1 << LIF_BETA | 1 << LIF_KAPPA };
enum {
    lif_FIRES = 1 << SNN_FIRES_ONCE | 1 << SNN_FIRES_NEVER | 1 << SNN_FIRES_ROUNDED,
    lif_LEARNS = 1 << LIF_BETA,
    lif_OVER = LIF_THETA,
    lif_EACH = 0
};
#define lif_IDLE(o) 0u
#define lif_USUAL(X)                                                                                                   \
    X(ONCE, NOT, 0)                                                                                                    \
    X(ONCE, NOT, LIF_DECAY_INPUT)                                                                                      \
    X(ONCE, NEXT, 0) X(ONCE, NOT, LIF_DROPS_INPUT) X(NEVER, NOT, 0) X(ROUNDED, NOT, CELL_HAS_FLOOR)

SNN_HD void lif_start(const real *c, unsigned o, real *v) {
    (void)o;
    v[0] = c[LIF_START];
}

SNN_HD real lif_input(const real *c, unsigned o, real x) {
    return (o & LIF_DECAY_INPUT ? 1 - c[LIF_BETA] : 1) * c[LIF_KAPPA] * x;
}

SNN_HD void lif_charge(const real *c, int reset, unsigned o, real x, real r, real *v) {
    const real beta = c[LIF_BETA], in = lif_input(c, o, x) + (1 - beta) * c[LIF_REST];
    if (o & LIF_DROPS_INPUT) v[0] = cell_reset(reset, beta * v[0] + in, r, c[LIF_THETA], c[LIF_TO]);
    else if (reset == SNN_RESET_SUBTRACT) v[0] = beta * v[0] + in - c[LIF_THETA] * r;
    else v[0] = beta * cell_reset(reset, v[0], r, 0, c[LIF_TO]) + in;
}

SNN_HD real lif_over(const real *c, unsigned o, const real *h) {
    (void)o;
    return h[0] - c[LIF_THETA];
}

SNN_HD void lif_settle(const real *c, int reset, unsigned o, real x, real s, real r, real *v) {
    (void)x, (void)s;
    v[0] = cell_reset(reset, v[0], r, c[LIF_THETA], c[LIF_TO]);
    if (o & CELL_HAS_FLOOR) v[0] = v[0] > c[LIF_FLOOR] ? v[0] : c[LIF_FLOOR];
}

SNN_HD void lif_settle_adjoint(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                               real *gs, real *gr, real *gx, real *gc) {
    (void)x, (void)s, (void)gs, (void)gx;
    if (o & CELL_HAS_FLOOR) {
        const real v = cell_reset(reset, h[0], r, c[LIF_THETA], c[LIF_TO]);
        gc[LIF_FLOOR] += v > c[LIF_FLOOR] ? 0 : g[0];
        g[0] = v > c[LIF_FLOOR] ? g[0] : 0;
    }
    g[0] = cell_reset_adjoint(reset, h[0], r, c[LIF_THETA], c[LIF_TO], g[0], gr, &gc[LIF_THETA], &gc[LIF_TO]);
}

/* gz: gradient of `over`; v: the state before the step. */
SNN_HD void lif_charge_adjoint(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r,
                               real gz, real *g, real *gx, real *gc) {
    (void)h;
    real unused = 0, gin = g[0] + gz, gv = 0;
    const real beta = c[LIF_BETA], scale = o & LIF_DECAY_INPUT ? 1 - beta : 1;
    gc[LIF_THETA] -= gz;
    if (o & LIF_DROPS_INPUT) {
        const real u = beta * v[0] + scale * c[LIF_KAPPA] * x + (1 - beta) * c[LIF_REST];
        gin = cell_reset_adjoint(reset, u, r, c[LIF_THETA], c[LIF_TO], gin, &unused, &gc[LIF_THETA], &gc[LIF_TO]);
        gc[LIF_BETA] += gin * v[0], gv = beta * gin;
    } else if (reset == SNN_RESET_SUBTRACT) {
        gc[LIF_THETA] -= r * gin, gc[LIF_BETA] += gin * v[0], gv = beta * gin;
    } else {
        gc[LIF_BETA] += gin * cell_reset(reset, v[0], r, 0, c[LIF_TO]);
        gv = cell_reset_adjoint(reset, v[0], r, 0, c[LIF_TO], beta * gin, &unused, &unused, &gc[LIF_TO]);
    }
    gc[LIF_BETA] -= gin * (c[LIF_REST] + (o & LIF_DECAY_INPUT ? c[LIF_KAPPA] * x : 0));
    gc[LIF_REST] += gin * (1 - beta);
    gc[LIF_KAPPA] += gin * scale * x;
    *gx += gin * scale * c[LIF_KAPPA];
    g[0] = gv;
}

#endif
