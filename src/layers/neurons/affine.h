/* SPDX-License-Identifier: Apache-2.0
 * affine.h - the algebra of the LIF family: IF, LIF, PLIF, leaky, leaky integrator.
 *
 * One step, in this order:
 *   charge  H = lambda V + kappa X + drive
 *   fire    S = [H >= theta] (or >)
 *   reset   V = (1-S) H + S v_reset   (value, zero) | H - theta S   (subtract) | H   (none)
 * With reset_delay (snnTorch) the spike of step t resets at t+1: V = H, and with R = [V >= theta], detached,
 *   charge  H = lambda ((1-R) V + R v_reset) + kappa X + drive | lambda V - theta R + kappa X + drive | as none
 * Coefficients of the members: src/layers/neuron_models.c. Sources: SpikingJelly's neuron.py and snnTorch's leaky.py
 * define the conventions; PLIF is Fang et al., ICCV 2021.
 *
 * Adjoint, with gS from the layers above, gV from the next step, sg = sigma'(H - theta):
 *   value, zero  gH = gV (1-S) + gS sg  [+ gV (v_reset - H) sg unless detached]
 *   subtract     gH = gV + gS sg        [- theta gV sg        unless detached]
 *   none         gH = gV + gS sg
 *   gX = kappa gH,  gV of the previous step = lambda gH,  glambda = gH V,  gkappa = gH X,  gdrive = gH */
#ifndef SNN_AFFINE_H
#define SNN_AFFINE_H

#include "core/real.h"

enum snn_reset { SNN_RESET_ZERO, SNN_RESET_SUBTRACT, SNN_RESET_NONE, SNN_RESET_VALUE };

struct snn_affine { /* coefficients, in device memory: a step may be replayed with others */
    real lambda, kappa, drive, theta, v_reset;
};

SNN_HD real affine_charge(const struct snn_affine *k, real v, real x) {
    return k->lambda * v + k->kappa * x + k->drive;
}

SNN_HD real affine_fire(const struct snn_affine *k, int strict, real h) {
    return strict ? h > k->theta : h >= k->theta;
}

/* V after the step, from H and the spike that resets. */
SNN_HD real affine_reset(const struct snn_affine *k, enum snn_reset reset, real h, real s) {
    switch (reset) {
    case SNN_RESET_SUBTRACT:
        return h - k->theta * s;
    case SNN_RESET_NONE:
        return h;
    default:
        return s == 0 ? h : s == 1 ? k->v_reset : (1 - s) * h + s * k->v_reset;
    }
}

/* H with the reset of the spike before (r = [v fires]). */
SNN_HD real affine_charge_delayed(const struct snn_affine *k, enum snn_reset reset, real v, real x, real r) {
    switch (reset) {
    case SNN_RESET_SUBTRACT:
        return k->lambda * v + k->kappa * x + k->drive - k->theta * r;
    case SNN_RESET_NONE:
        return affine_charge(k, v, x);
    default:
        return affine_charge(k, r != 0 ? k->v_reset : v, x);
    }
}

/* gH. `detached`: no gradient through the spike that resets. */
SNN_HD real affine_adjoint(const struct snn_affine *k, enum snn_reset reset, int detached, real h, real s, real sg,
                           real gs, real gv) {
    switch (reset) {
    case SNN_RESET_SUBTRACT:
        return gv + (detached ? gs : gs - k->theta * gv) * sg;
    case SNN_RESET_NONE:
        return gv + gs * sg;
    default:
        return gv * (1 - s) + (detached ? gs : gs + gv * (k->v_reset - h)) * sg;
    }
}

#endif
