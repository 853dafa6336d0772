/* SPDX-License-Identifier: Apache-2.0
 * surrogates.h - surrogate gradients: what stands for the derivative of the step function.
 *
 * Each is a pair: the derivative sg_NAME(x) used in training, and a smooth step NAME_step(x) of which it is the exact
 * derivative; the gradient check puts the smooth step in the place of the spike. x = membrane - threshold; p: the
 * parameters, in the order of the list. To add one: two functions and a line in SNN_SURROGATES. */
#ifndef SNN_SURROGATES_H
#define SNN_SURROGATES_H

#include <math.h>

#include "core/real.h"
#include "core/rmath.h"

enum { SNN_SURROGATE_PARAMS = 2 };

/* X(name, alias, parameter 0, default, parameter 1 or NULL, default, help) */
#define SNN_SURROGATES(X)                                                                                              \
    X(sigmoid, "Sigmoid", "alpha", 4, NULL, 0, "a s(ax)(1-s(ax)), s logistic; SpikingJelly's default")                 \
    X(atan, "ATan", "alpha", 2, NULL, 0, "(a/2)/(1+(pi a x/2)^2); snnTorch's default")                                 \
    X(fast_sigmoid, "FastSigmoid", "slope", 25, NULL, 0, "1/(1+k|x|)^2 (snnTorch; Zenke & Ganguli 2018)")              \
    X(triangle, "piecewise_quadratic", "alpha", 1, NULL, 0, "max(0, a-a^2|x|) (SpikingJelly, STBP, SLTT)")             \
    X(rect, "Rect", "alpha", 1, NULL, 0, "a for |x| < 1/(2a), else 0 (Wu et al. 2018)")                                \
    X(gaussian, "Gaussian", "sigma", 0.5, NULL, 0, "normal density of width sigma (sinabs, Yin et al.)")               \
    X(sine, "Sine", "omega", 1.5707963267948966, NULL, 0, "(w/2) cos(wx) for |x| <= pi/(2w), else 0")                  \
    X(erf, "Erf", "alpha", 2, NULL, 0, "(a/sqrt(pi)) exp(-(ax)^2) (SpikingJelly)")                                     \
    X(soft_sign, "SoftSign", "alpha", 2, NULL, 0, "a/(2(1+a|x|)^2) (SpikingJelly)")                                    \
    X(super_spike, "SuperSpike", "alpha", 1, NULL, 0,                                                                  \
      "a/(1+|x|)^2: a is an amplitude, not a slope (SpikingJelly, Norse)")                                             \
    X(piecewise_exp, "PiecewiseExp", "alpha", 1, NULL, 0, "(a/2) exp(-a|x|) (SpikingJelly)")                           \
    X(slayer, "Slayer", "alpha", 5, "scale", 0.4, "c(a/2) exp(-a|x|) (SLAYER, SE-adLIF)")

#define SNN_PI ((real)3.14159265358979323846)

SNN_HD real sg_sigmoid(real x, const real *p) {
    real e = r_exp(-r_abs(p[0] * x)); /* symmetric, and cannot overflow */
    return p[0] * e / ((1 + e) * (1 + e));
}
SNN_HD real step_sigmoid(real x, const real *p) { return (real)1 / (1 + exp(-p[0] * x)); }

SNN_HD real sg_atan(real x, const real *p) {
    real z = SNN_PI / 2 * p[0] * x;
    return p[0] / 2 / (1 + z * z);
}
SNN_HD real step_atan(real x, const real *p) { return atan(SNN_PI / 2 * p[0] * x) / SNN_PI + (real)0.5; }

SNN_HD real sg_fast_sigmoid(real x, const real *p) {
    real z = 1 + p[0] * r_abs(x);
    return 1 / (z * z);
}
SNN_HD real step_fast_sigmoid(real x, const real *p) { return x / (1 + p[0] * r_abs(x)) + (real)0.5; }

SNN_HD real sg_triangle(real x, const real *p) {
    real z = p[0] - p[0] * p[0] * r_abs(x);
    return z > 0 ? z : 0;
}
SNN_HD real step_triangle(real x, const real *p) {
    real z = p[0] * x;
    return z < -1 ? 0 : z > 1 ? 1 : (real)0.5 + z - (real)0.5 * z * r_abs(z);
}

SNN_HD real sg_rect(real x, const real *p) { return r_abs(x) < 1 / (2 * p[0]) ? p[0] : 0; }
SNN_HD real step_rect(real x, const real *p) {
    real z = p[0] * x + (real)0.5;
    return z < 0 ? 0 : z > 1 ? 1 : z;
}

SNN_HD real sg_gaussian(real x, const real *p) {
    real z = x / p[0];
    return r_exp(-z * z / 2) * ((real)0.3989422804014327 / p[0]);
}
SNN_HD real step_gaussian(real x, const real *p) { return (real)0.5 * erfc(-x / (p[0] * (real)1.4142135623730951)); }

SNN_HD real sg_sine(real x, const real *p) {
    real z = p[0] * x;
    z = z < -SNN_PI / 2 ? -SNN_PI / 2 : z > SNN_PI / 2 ? SNN_PI / 2 : z;
    real c = p[0] / 2 * r_cos_quarter(z);
    return c > 0 && r_abs(p[0] * x) < SNN_PI / 2 ? c : 0;
}
SNN_HD real step_sine(real x, const real *p) {
    real z = p[0] * x;
    return z < -SNN_PI / 2 ? 0 : z > SNN_PI / 2 ? 1 : (real)0.5 * (1 + sin(z));
}

SNN_HD real sg_erf(real x, const real *p) {
    real z = p[0] * x;
    return r_exp(-z * z) * (p[0] * (real)0.5641895835477563);
}
SNN_HD real step_erf(real x, const real *p) { return (real)0.5 * erfc(-p[0] * x); }

SNN_HD real sg_soft_sign(real x, const real *p) {
    real z = 1 + p[0] * r_abs(x);
    return p[0] / (2 * z * z);
}
SNN_HD real step_soft_sign(real x, const real *p) { return (real)0.5 * (1 + p[0] * x / (1 + p[0] * r_abs(x))); }

SNN_HD real sg_super_spike(real x, const real *p) {
    real z = 1 + r_abs(x);
    return p[0] / (z * z);
}
SNN_HD real step_super_spike(real x, const real *p) { return p[0] * x / (1 + r_abs(x)) + (real)0.5; }

SNN_HD real sg_piecewise_exp(real x, const real *p) { return p[0] / 2 * r_exp(-p[0] * r_abs(x)); }
SNN_HD real step_piecewise_exp(real x, const real *p) {
    real e = (real)0.5 * exp(-p[0] * r_abs(x));
    return x < 0 ? e : 1 - e;
}

SNN_HD real sg_slayer(real x, const real *p) { return p[1] * sg_piecewise_exp(x, p); }
SNN_HD real step_slayer(real x, const real *p) { return p[1] * step_piecewise_exp(x, p); }

enum snn_surrogate {
#define X(name, ...) SNN_SURROGATE_##name,
    SNN_SURROGATES(X)
#undef X
        SNN_SURROGATE_COUNT
};

#endif
