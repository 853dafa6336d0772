/* SPDX-License-Identifier: Apache-2.0
 * surrogates.h - surrogate gradients: what stands for the derivative of the step function.
 *
 * Each is a pair: the derivative sg_NAME(x) used in training, and a smooth step NAME_step(x) of which it is the exact
 * derivative; the gradient check puts the smooth step in the place of the spike. x = membrane - threshold; p: the
 * parameters, in the order of the list. The step's constant is that of the framework where it has one. To add one: two
 * functions and a line in SNN_SURROGATES; what is another's with other numbers is a line in surrogates.c instead.
 *
 * Where a framework lets the shape follow the threshold, that is a parameter `threshold`, by default `auto`: the
 * neuron's own. */
#ifndef SNN_SURROGATES_H
#define SNN_SURROGATES_H

#include <math.h>

#include "core/real.h"
#include "core/rmath.h"

enum { SNN_SURROGATE_PARAMS = 5 };

/* X(name, help, parameters), each of them P(place, name, default, range, help) with a range of surrogates.c. */
#define SNN_SURROGATES(X)                                                                                              \
    X(sigmoid, "a s(ax)(1-s(ax)), s logistic; alpha 4 in SpikingJelly, whose default it is, 25 in snnTorch",           \
      P(0, "alpha", 4, SHAPE, "a, slope"))                                                                             \
    X(atan, "(a/2)/(1+(pi a x/2)^2); snnTorch's default", P(0, "alpha", 2, SHAPE, "a, slope"))                         \
    X(fast_sigmoid, "1/(1+k|x|)^2 (Zenke & Ganguli 2018, snnTorch); slope 100 in spytorch and S-TLLR, 10 in DECOLLE",  \
      P(0, "slope", 25, SHAPE, "k"))                                                                                   \
    X(triangle, "max(0, a-a^2|x|) (SpikingJelly, STBP, SLTT); esser has height and width",                             \
      P(0, "alpha", 1, SHAPE, "a, height and 1/width"))                                                                \
    X(rect, "a for |x| < 1/(2a), else 0 (Wu et al. 2018)", P(0, "alpha", 1, SHAPE, "a, height and 1/width"))           \
    X(gaussian, "c N(x; mu, sigma), a normal density (sinabs, Yin et al. 2020)",                                       \
      P(0, "sigma", 0.5, SHAPE, "width") P(1, "mu", 0, NUMBER, "centre") P(2, "grad_scale", 1, SHAPE, "c"))            \
    X(sine, "(w/2) cos(wx) for |x| <= pi/(2w), else 0", P(0, "omega", 1.5707963267948966, SHAPE, "w, rate"))           \
    X(erf, "(a/sqrt(pi)) exp(-(ax)^2) (SpikingJelly)", P(0, "alpha", 2, SHAPE, "a, slope"))                            \
    X(soft_sign, "a/(2(1+a|x|)^2) (SpikingJelly)", P(0, "alpha", 2, SHAPE, "a, slope"))                                \
    X(super_spike,                                                                                                     \
      "a/(1+|x|)^2 (SpikingJelly; Norse's `super`, whose alpha is ignored): for spytorch's 1/(1+100|x|)^2 take "       \
      "fast_sigmoid",                                                                                                  \
      P(0, "alpha", 1, SHAPE, "a, an amplitude, not a slope"))                                                         \
    X(piecewise_exp, "(a/2) exp(-a|x|) (SpikingJelly)", P(0, "alpha", 1, SHAPE, "a, slope"))                           \
    X(slayer, "c(a/2) exp(-a|x|) (SLAYER, SE-adLIF)",                                                                  \
      P(0, "alpha", 5, SHAPE, "a, slope") P(1, "scale", 0.4, SHAPE, "c"))                                              \
    X(piecewise_leaky_relu, "1/(2w) for |x| < w, else c (SpikingJelly)",                                               \
      P(0, "w", 1, SHAPE, "half the width") P(1, "c", 0.01, SHARE, "outside"))                                         \
    X(nonzero_sign_log_abs, "1/(1/a+|x|) (SpikingJelly)", P(0, "alpha", 1, SHAPE, "a, height"))                        \
    X(s2nn, "x < 0: a s(ax)(1-s(ax)), s logistic; else b/(1+x) (SpikingJelly)",                                        \
      P(0, "alpha", 4, SHAPE, "a, slope below the threshold") P(1, "beta", 1, SHARE, "b, height above"))               \
    X(q_pseudo_spike, "(1+2|x|/(a-1))^-a (SpikingJelly)", P(0, "alpha", 2, ABOVE_ONE, "a, how fast the tail falls"))   \
    X(leaky_k_relu,                                                                                                    \
      "k for x >= 0, else leak (SpikingJelly); straight through with both 1; snnTorch's `triangular` of a threshold "  \
      "is leak: threshold, k: -threshold",                                                                             \
      P(0, "leak", 0, NUMBER, "below the threshold") P(1, "k", 1, NUMBER, "above"))                                    \
    X(log_tailed_relu, "a for x <= 0, 1 for x <= 1, else 1/x (SpikingJelly)",                                          \
      P(0, "alpha", 0, NUMBER, "a, below the threshold"))                                                              \
    X(fake_numerical_gradient, "min(1/|x|, a) (SpikingJelly)", P(0, "alpha", 0.3, SHAPE, "a, height"))                 \
    X(squarewave_fourier,                                                                                              \
      "(4/T) sum of cos((2i-1) 2 pi x/T) for i < n (SpikingJelly): periodic, negative for T/4 < |x| < 3T/4; sine is "  \
      "bounded",                                                                                                       \
      P(0, "n", 2, TERMS, "one more than the series has terms") P(1, "T_period", 8, SHAPE, "T, period"))               \
    X(heaviside, "1 for x > 0, else 0 (snnTorch)")                                                                     \
    X(spike_rate_escape, "k exp(-b|x-1|), highest a unit above the threshold (snnTorch)",                              \
      P(0, "beta", 1, SHAPE, "b") P(1, "slope", 25, SHAPE, "k, height"))                                               \
    X(sfs, "1/(1+k|x|)^2 for x > B, else 0 (snnTorch's SFS, sparse fast sigmoid)",                                     \
      P(0, "slope", 25, SHAPE, "k") P(1, "B", 1, NUMBER, "where it begins, above the threshold"))                      \
    X(tanh, "1 - tanh(kx)^2, of height 1 (Norse)", P(0, "alpha", 100, SHAPE, "k, slope"))                              \
    X(heavi_erfc, "(2/sqrt(pi)) exp(-(kx)^2) (Norse)", P(0, "alpha", 100, SHAPE, "k, slope"))                          \
    X(circ, "a^3/(a^2+x^2)^(3/2) (Norse)", P(0, "alpha", 100, SHAPE, "a, width"))                                      \
    X(esser, "(g/h) max(0, 1-|x/h|), h threshold (Esser et al. 2016, e-prop; Norse's `triangle` with h 1)",            \
      P(0, "gamma", 0.3, SHAPE, "g, height at threshold 1; `alpha` in Norse") P(1, "threshold", auto, OWN, "h"))       \
    X(multi_gaussian,                                                                                                  \
      "c((1+h) N(x; mu, sigma) - h N(x; sigma, s sigma) - h N(x; -sigma, s sigma)); negative at its sides (Yin et "    \
      "al. "                                                                                                           \
      "2021: c 0.5, sinabs: 1)",                                                                                       \
      P(0, "sigma", 0.5, SHAPE, "width") P(1, "h", 0.15, SHARE, "height of the lobes")                                 \
          P(2, "s", 6, SHAPE, "width of the lobes, of sigma") P(3, "grad_scale", 1, SHAPE, "c")                        \
              P(4, "mu", 0, NUMBER, "centre of the middle one"))                                                       \
    X(single_exponential, "c/(wh) exp(-|x|/(wh)), h threshold (sinabs)",                                               \
      P(0, "grad_width", 0.5, SHAPE, "w") P(1, "grad_scale", 1, SHAPE, "c") P(2, "threshold", auto, OWN, "h"))         \
    X(periodic_exponential,                                                                                            \
      "c exp(-|x|/w) below the threshold h; above, c exp(-2h|y|/w), y = x/h less the nearest integer (sinabs)",        \
      P(0, "grad_width", 0.5, SHAPE, "w") P(1, "grad_scale", 1, SHAPE, "c") P(2, "threshold", auto, OWN, "h"))         \
    X(heaviside_window, "1/h for x >= -window, else 0, h threshold (sinabs' Heaviside)",                               \
      P(0, "window", 1, NUMBER, "how far below the threshold it begins") P(1, "threshold", auto, OWN, "h"))            \
    X(lava, "r/(2q) exp(-|x|/q), q = 100 tau_grad threshold, r = 0.1 scale_grad (lava-dl's CUBA and ALIF)",            \
      P(0, "tau_grad", 1, SHAPE, "width, times 100") P(1, "scale_grad", 1, SHAPE, "height, times 0.1")                 \
          P(2, "threshold", auto, OWN, "times the width"))

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

/* N(x; 0, sigma) times what stands before it, and its integral from minus infinity. */
SNN_HD real normal_density(real x, real sigma, real times) {
    real rate = 1 / sigma, z = x * rate;
    return r_exp(-z * z / 2) * (times * (real)0.3989422804014327 * rate);
}
SNN_HD real normal_share(real x, real sigma) { return (real)0.5 * erfc(-x / (sigma * (real)1.4142135623730951)); }

SNN_HD real sg_gaussian(real x, const real *p) { return normal_density(x - p[1], p[0], p[2]); }
SNN_HD real step_gaussian(real x, const real *p) { return p[2] * normal_share(x - p[1], p[0]); }

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

SNN_HD real sg_piecewise_leaky_relu(real x, const real *p) { return r_abs(x) < p[0] ? 1 / (2 * p[0]) : p[1]; }
SNN_HD real step_piecewise_leaky_relu(real x, const real *p) {
    real z = x < -p[0] ? -p[0] : x > p[0] ? p[0] : x;
    return z / (2 * p[0]) + (real)0.5 + p[1] * (x - z);
}

SNN_HD real sg_nonzero_sign_log_abs(real x, const real *p) { return 1 / (1 / p[0] + r_abs(x)); }
SNN_HD real step_nonzero_sign_log_abs(real x, const real *p) {
    real y = log1p(p[0] * r_abs(x));
    return x < 0 ? -y : y;
}

SNN_HD real sg_s2nn(real x, const real *p) {
    real below = sg_sigmoid(x, p), above = p[1] / (1 + r_abs(x));
    return x < 0 ? below : above;
}
SNN_HD real step_s2nn(real x, const real *p) { return x < 0 ? step_sigmoid(x, p) : (real)0.5 + p[1] * (real)log1p(x); }

SNN_HD real sg_q_pseudo_spike(real x, const real *p) {
    return r_exp(-p[0] * r_log(1 + 2 / (p[0] - 1) * r_abs(x))); /* a power */
}
SNN_HD real step_q_pseudo_spike(real x, const real *p) {
    real tail = (real)0.5 * pow(1 + 2 / (p[0] - 1) * r_abs(x), 1 - p[0]);
    return x < 0 ? tail : 1 - tail;
}

SNN_HD real sg_leaky_k_relu(real x, const real *p) { return x >= 0 ? p[1] : p[0]; }
SNN_HD real step_leaky_k_relu(real x, const real *p) { return x * sg_leaky_k_relu(x, p); }

SNN_HD real sg_log_tailed_relu(real x, const real *p) {
    real tail = 1 / x;
    return x <= 0 ? p[0] : x <= 1 ? 1 : tail;
}
SNN_HD real step_log_tailed_relu(real x, const real *p) { return x <= 0 ? p[0] * x : x <= 1 ? x : 1 + log(x); }

SNN_HD real sg_fake_numerical_gradient(real x, const real *p) {
    real tail = 1 / r_abs(x);
    return tail < p[0] ? tail : p[0];
}
SNN_HD real step_fake_numerical_gradient(real x, const real *p) {
    real z = p[0] * r_abs(x), y = z <= 1 ? z : 1 + log(z);
    return (real)0.5 + (x < 0 ? -y : y);
}

/* The sum is sin(2m z)/(2 sin z), m = n-1, z = 2 pi x/T: no loop. Its sign turns with half a period, so that z comes to
 * the first quarter, where only 0 has to be told apart. */
SNN_HD real sg_squarewave_fourier(real x, const real *p) {
    real m = p[0] - 1, turns = x * (1 / p[1]);
    turns = turns < -4e6f ? -4e6f : turns > 4e6f ? 4e6f : turns;
    real far = r_abs(turns - r_round(turns)), near = far > (real)0.25 ? (real)0.5 - far : far;
    real many = 2 * m * near, left = many - r_round(many), size = r_abs(left);
    real top = r_sin_quarter(2 * SNN_PI * (size > (real)0.25 ? (real)0.5 - size : size));
    real sum = (left < 0 ? -top : top) / (2 * r_sin_quarter(2 * SNN_PI * near));
    sum = near < (real)1e-7 ? m : sum;
    return 4 / p[1] * (far > (real)0.25 ? -sum : sum);
}
SNN_HD real step_squarewave_fourier(real x, const real *p) {
    real sum = 0;
    for (int i = 1; (real)i < p[0]; ++i)
        sum += (real)sin((real)(2 * i - 1) * (2 * SNN_PI / p[1]) * x) / (real)(2 * i - 1);
    return (real)0.5 + 2 / SNN_PI * sum;
}

SNN_HD real sg_heaviside(real x, const real *p) {
    (void)p;
    return x > 0 ? 1 : 0;
}
SNN_HD real step_heaviside(real x, const real *p) {
    (void)p;
    return x > 0 ? x : 0;
}

SNN_HD real sg_spike_rate_escape(real x, const real *p) { return p[1] * r_exp(-p[0] * r_abs(x - 1)); }
SNN_HD real step_spike_rate_escape(real x, const real *p) { return 2 * p[1] / p[0] * step_piecewise_exp(x - 1, p); }

SNN_HD real sg_sfs(real x, const real *p) {
    real y = sg_fast_sigmoid(x, p);
    return x > p[1] ? y : 0;
}
SNN_HD real step_sfs(real x, const real *p) {
    return x > p[1] ? step_fast_sigmoid(x, p) - step_fast_sigmoid(p[1], p) : 0;
}

SNN_HD real sg_tanh(real x, const real *p) {
    real e = r_exp(-2 * r_abs(p[0] * x));
    return 4 * e / ((1 + e) * (1 + e));
}
SNN_HD real step_tanh(real x, const real *p) { return (real)0.5 + (real)tanh(p[0] * x) / p[0]; }

SNN_HD real sg_heavi_erfc(real x, const real *p) {
    real z = p[0] * x;
    return r_exp(-z * z) * (real)1.1283791670955126;
}
SNN_HD real step_heavi_erfc(real x, const real *p) { return 2 / p[0] * step_erf(x, p); }

SNN_HD real sg_circ(real x, const real *p) {
    real z = x * (1 / p[0]), y = 1 / (1 + z * z);
    return y * r_sqrt(y);
}
SNN_HD real step_circ(real x, const real *p) {
    real z = x / p[0];
    return (real)0.5 + x / r_sqrt(1 + z * z);
}

SNN_HD real sg_esser(real x, const real *p) {
    real rate = 1 / p[1], z = 1 - rate * r_abs(x);
    return z > 0 ? p[0] * rate * z : 0;
}
SNN_HD real step_esser(real x, const real *p) {
    real rate = 1 / p[1];
    return p[0] * step_triangle(x, &rate);
}

SNN_HD real sg_multi_gaussian(real x, const real *p) {
    real broad = p[2] * p[0], lobe = p[1] * p[3];
    return normal_density(x - p[4], p[0], (1 + p[1]) * p[3]) -
           (normal_density(x - p[0], broad, lobe) + normal_density(x + p[0], broad, lobe));
}
SNN_HD real step_multi_gaussian(real x, const real *p) {
    real broad = p[2] * p[0];
    return p[3] * ((1 + p[1]) * normal_share(x - p[4], p[0]) -
                   p[1] * (normal_share(x - p[0], broad) + normal_share(x + p[0], broad)));
}

SNN_HD real sg_single_exponential(real x, const real *p) {
    real rate = 1 / (p[0] * p[2]);
    return p[1] * rate * r_exp(-rate * r_abs(x));
}
SNN_HD real step_single_exponential(real x, const real *p) {
    real rate = 1 / (p[0] * p[2]);
    return 2 * p[1] * step_piecewise_exp(x, &rate);
}

/* The nearest multiple of the threshold to x, over the threshold. */
SNN_HD real nearest_period(real x, const real *p) {
    real periods = x * (1 / p[2]);
    return r_round(periods < -4e6f ? -4e6f : periods > 4e6f ? 4e6f : periods);
}
SNN_HD real sg_periodic_exponential(real x, const real *p) {
    real above = 2 * r_abs(x - p[2] * nearest_period(x, p));
    return p[1] * r_exp(-1 / p[0] * (x < 0 ? -x : above));
}
SNN_HD real step_periodic_exponential(real x, const real *p) {
    if (x < 0) return p[1] * p[0] * (real)exp(x / p[0]);
    real k = nearest_period(x, p), z = 2 * (x - p[2] * k) / p[0], part = -(real)expm1(-r_abs(z)) / 2;
    return p[1] * p[0] * (1 - k * (real)expm1(-p[2] / p[0]) + (z < 0 ? -part : part));
}

SNN_HD real sg_heaviside_window(real x, const real *p) { return x >= -p[0] ? 1 / p[1] : 0; }
SNN_HD real step_heaviside_window(real x, const real *p) { return x >= -p[0] ? (x + p[0]) / p[1] : 0; }

SNN_HD real sg_lava(real x, const real *p) {
    real rate = (real)0.01 / (p[0] * p[2]);
    return (real)0.05 * p[1] * rate * r_exp(-rate * r_abs(x));
}
SNN_HD real step_lava(real x, const real *p) {
    real rate = (real)0.01 / (p[0] * p[2]);
    return (real)0.1 * p[1] * step_piecewise_exp(x, &rate);
}

enum snn_surrogate {
#define X(name, ...) SNN_SURROGATE_##name,
    SNN_SURROGATES(X)
#undef X
        SNN_SURROGATE_COUNT
};

#endif
