/* SPDX-License-Identifier: Apache-2.0
 * cell.h - how a neuron is written down, and what all of them share.
 *
 * A cell NAME has NAME_STATES states and NAME_COEFS coefficients c, and for one neuron and one step the functions
 * below. `o` are its option bits, `reset` is one of enum snn_reset; both are known where the functions are inlined.
 *   start    V        at rest; a coefficient that is the target of resets is 0 where they go to zero or subtract
 * A step is
 *   charge   V -> H   from the input x; r: the spike of the step before where it resets now (snnTorch), else 0
 *   over     z        how far the membrane is over its threshold; the spike is s = [z >= 0] (or >)
 *   settle   H -> V   s: the spike as others see it, r: the spike that resets (gradient may be cut there)
 * and each has an adjoint that takes the gradient of its results and adds to those of its arguments; g (NAME_STATES) is
 * changed in place, from that of the states after to that of the states before. gc (NAME_COEFS) gathers over steps.
 * One coefficient, which the charge alone reads, may differ from step to step (`stepped` of its shape).
 * H is what a scan keeps. What is added to gradients that nobody wants costs nothing: it is not computed.
 * NAME_KEEPS: bits of the states whose H the adjoints read when no coefficient is learned; NAME_READS_V: the adjoint of
 * the charge reads V even then (it is not linear), which is made from H of the step before, by the states of KEEPS
 * alone; NAME_READS_X: likewise the input, or V is made from it. NAME_V_OF, NAME_X_OF: bits of the coefficients whose
 * gradients read V, or the input; -1: all.
 * For the CPU, where a loop is made for what is usual, and others for all else:
 *   NAME_FIRES     bits of enum snn_firing with which a step is one pass; with others it is taken in parts
 *   NAME_IDLE(o)   bits of the states that stay 0 with these options: equations leave them alone, loops do too
 *   NAME_USUAL(X)  X(kind of firing, delay, option bits) of its models: a choice in a loop costs time
 *   NAME_LEARNS    bits of the coefficients that are usually learned: others' gradients are not summed with them
 *   NAME_EACH      each neuron usually has coefficients of its own
 *   NAME_OVER      `over` is the first state less this coefficient; -1: it is more than that */
#ifndef SNN_CELL_EQUATIONS_H
#define SNN_CELL_EQUATIONS_H

#include "core/real.h"
#include "core/rmath.h"

enum snn_reset { SNN_RESET_ZERO, SNN_RESET_SUBTRACT, SNN_RESET_NONE, SNN_RESET_VALUE };
/* What comes out of a neuron whose membrane is z over its threshold. */
enum snn_firing {
    SNN_FIRES_ONCE,   /* s = [z >= 0] */
    SNN_FIRES_LEVELS, /* s = sum over k < levels of [z - k spacing >= 0]: several spikes a step, an integer */
    SNN_FIRES_SIGNED, /* s = [z >= 0] - [-z - 2 spacing >= 0]: ternary, with -threshold at the other side */
    /* s = how many k >= 0 have z - k spacing >= 0, without end; the surrogate sees z alone, and is periodic where that
     * is meant (sinabs' MultiSpike) */
    SNN_FIRES_COUNTED,
    SNN_FIRES_ROUNDED, /* s = the whole number nearest to z/spacing + 1, from 0 to levels; straight through in between
                        */
    SNN_FIRES_GRADED,  /* s = (z/spacing + 1) [z >= 0]: all of the membrane, in thresholds */
    SNN_FIRES_CHANGES, /* s = e where |e| >= spacing, e = z + spacing: sigma-delta; straight through */
    SNN_FIRES_NEVER    /* z itself: readouts */
};

enum { CELL_HAS_FLOOR = 128 }; /* option bit of cells whose membrane may have a least value; bits below are their own */

/* The membrane after a reset by r: to `to` (zero, value), by theta (subtract), or none. */
SNN_HD real cell_reset(int reset, real h, real r, real theta, real to) {
    return reset == SNN_RESET_SUBTRACT ? h - theta * r : reset == SNN_RESET_NONE ? h : (1 - r) * h + r * to;
}

/* Its adjoint: the gradient of h from that of the result. */
SNN_HD real cell_reset_adjoint(int reset, real h, real r, real theta, real to, real g, real *gr, real *gtheta,
                               real *gto) {
    if (reset == SNN_RESET_NONE) return g;
    if (reset == SNN_RESET_SUBTRACT) {
        *gr -= theta * g, *gtheta -= r * g;
        return g;
    }
    *gr += (to - h) * g, *gto += r * g;
    return (1 - r) * g;
}

SNN_HD real cell_logistic(real x) { return 1 / (1 + r_exp(-x)); }

/* Several spikes a step, z over the threshold (enum snn_firing): how many k >= 0 have k spacing <= z, or < z with
 * `strict`. per: 1 / spacing, which may be a little off. */
SNN_HD real cell_counts(int strict, real z, real spacing, real per) {
    const real n = r_floor(z * per), here = n * spacing, next = (n + 1) * spacing;
    const real less = (strict ? here >= z : here > z) ? 1 : 0, more = (strict ? next < z : next <= z) ? 1 : 0;
    return (strict ? z > 0 : z >= 0) ? n + 1 - less + more : 0;
}

/* All of the membrane at a spike, in spacings, and its derivative; slope: of the step. */
SNN_HD real cell_graded(real step, real z, real per) { return step * (z * per + 1); }
SNN_HD real cell_graded_slope(real step, real slope, real z, real per) { return step * per + slope * (z * per + 1); }

/* e = z + spacing, where it is more than a spacing away from 0. */
SNN_HD real cell_changes(int strict, real z, real spacing) {
    const real e = z + spacing, size = r_abs(e);
    return (strict ? size > spacing : size >= spacing) ? e : 0;
}

/* z/spacing + 1 within 0 and `most`, and the nearest whole number to it (a half to the even one). */
SNN_HD real cell_within(real z, real per, real most) {
    const real fits = z * per + 1;
    return fits < 0 ? 0 : fits > most ? most : fits;
}
SNN_HD real cell_within_slope(real z, real per, real most) {
    const real fits = z * per + 1;
    return fits >= 0 && fits <= most ? per : 0;
}

/* The least number above 0. */
#ifdef SNN_DOUBLE
#define CELL_ABOVE_0 4.9406564584124654e-324
#else
#define CELL_ABOVE_0 1.40129846e-45f
#endif

/* What comes out at z, and its slope where that is no surrogate's. */
SNN_HD real cell_fires(int firing, int strict, real z, real spacing, real most) {
    switch (firing) {
    case SNN_FIRES_ROUNDED:
        return r_round(cell_within(z, 1 / spacing, most));
    case SNN_FIRES_CHANGES:
        return cell_changes(strict, z, spacing);
    case SNN_FIRES_NEVER:
        return z;
    default: /* one comparison: two that are joined cost a loop a third more */
        return z >= (strict ? CELL_ABOVE_0 : 0) ? 1 : 0;
    }
}
SNN_HD real cell_fires_slope(int firing, real z, real spacing, real most) {
    return firing == SNN_FIRES_ROUNDED ? cell_within_slope(z, 1 / spacing, most) : 1;
}

#endif
