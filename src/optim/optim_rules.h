/* SPDX-License-Identifier: Apache-2.0
 * optim_rules.h - what an optimiser does to one number, for the C compiler and for nvcc.
 *
 * A rule takes a weight w, its gradient g, the weight's own state s[] and the scalars k[] of this step, updates s[] and
 * returns the new weight. Whatever is the same for all weights (bias corrections, powers of beta) is worked out once a
 * step on the host, in double (rules.c). A rule with another number of states is another rule here, so that no loop
 * over weights carries a condition. Formulas: PyTorch 2, torch.optim. */
#ifndef SNN_OPTIM_RULES_H
#define SNN_OPTIM_RULES_H

#include "core/rmath.h"

/* X(name, states a weight) */
#define SNN_OPTIM_RULES(X)                                                                                             \
    X(sgd, 0)                                                                                                          \
    X(sgd_momentum, 1)                                                                                                 \
    X(adam, 2)                                                                                                         \
    X(adam_amsgrad, 3)                                                                                                 \
    X(nadam, 2)                                                                                                        \
    X(radam, 2)                                                                                                        \
    X(adamax, 2)                                                                                                       \
    X(rmsprop, 1)                                                                                                      \
    X(rmsprop_centered, 2)                                                                                             \
    X(rmsprop_momentum, 2)                                                                                             \
    X(rmsprop_centered_momentum, 3)                                                                                    \
    X(adagrad, 1)                                                                                                      \
    X(adadelta, 2)

enum snn_optim_rule {
#define SNN_OPTIM_RULE_ENUM(name, states) SNN_RULE_##name,
    SNN_OPTIM_RULES(SNN_OPTIM_RULE_ENUM)
#undef SNN_OPTIM_RULE_ENUM
        SNN_RULE_COUNT
};

/* The scalars: places in k[]. */
enum snn_optim_scalar {
    SNN_K_RATE,   /* step size; bias correction of the first moment included */
    SNN_K_L2,     /* weight decay as part of the gradient: g += L2 w */
    SNN_K_SHRINK, /* weight decay beside the gradient: w *= SHRINK; 1 for none */
    SNN_K_EPS,
    SNN_K_KEEP1, /* first moment or momentum: m = KEEP1 m + TAKE1 g */
    SNN_K_TAKE1,
    SNN_K_KEEP2, /* second moment: v = KEEP2 v + TAKE2 g^2 */
    SNN_K_TAKE2,
    SNN_K_ROOT2, /* 1 / sqrt(1 - beta2^t): bias correction of sqrt(v) */
    SNN_K_GRAD,  /* Nesterov: direction = GRAD g + MEAN m */
    SNN_K_MEAN,
    SNN_K_PLAIN, /* RAdam: step size without division by sqrt(v) */
    SNN_K_START, /* Adagrad: what the sum starts from, in the first step; then 0 */
    SNN_K_COUNT
};

SNN_HD real snn_rule_max(real a, real b) { return a > b ? a : b; }

SNN_HD real snn_rule_sgd(real w, real g, real *s, const real *k) {
    (void)s;
    return w - k[SNN_K_RATE] * (g + k[SNN_K_L2] * w);
}

SNN_HD real snn_rule_sgd_momentum(real w, real g, real *s, const real *k) {
    g += k[SNN_K_L2] * w;
    s[0] = k[SNN_K_KEEP1] * s[0] + k[SNN_K_TAKE1] * g;
    return w - k[SNN_K_RATE] * (k[SNN_K_GRAD] * g + k[SNN_K_MEAN] * s[0]);
}

/* The two moments of the Adam family: s[0] = m, s[1] = v. */
SNN_HD void snn_rule_moments(real g, real *s, const real *k) {
    s[0] = k[SNN_K_KEEP1] * s[0] + k[SNN_K_TAKE1] * g;
    s[1] = k[SNN_K_KEEP2] * s[1] + k[SNN_K_TAKE2] * (g * g);
}

SNN_HD real snn_rule_adam(real w, real g, real *s, const real *k) {
    snn_rule_moments(g + k[SNN_K_L2] * w, s, k);
    return k[SNN_K_SHRINK] * w - k[SNN_K_RATE] * s[0] / (r_sqrt(s[1]) * k[SNN_K_ROOT2] + k[SNN_K_EPS]);
}

SNN_HD real snn_rule_adam_amsgrad(real w, real g, real *s, const real *k) {
    snn_rule_moments(g + k[SNN_K_L2] * w, s, k);
    s[2] = snn_rule_max(s[2], s[1]);
    return k[SNN_K_SHRINK] * w - k[SNN_K_RATE] * s[0] / (r_sqrt(s[2]) * k[SNN_K_ROOT2] + k[SNN_K_EPS]);
}

SNN_HD real snn_rule_nadam(real w, real g, real *s, const real *k) {
    g += k[SNN_K_L2] * w;
    snn_rule_moments(g, s, k);
    return w -
           k[SNN_K_RATE] * (k[SNN_K_GRAD] * g + k[SNN_K_MEAN] * s[0]) / (r_sqrt(s[1]) * k[SNN_K_ROOT2] + k[SNN_K_EPS]);
}

/* While the variance is not to be trusted RATE is 0, afterwards PLAIN is. */
SNN_HD real snn_rule_radam(real w, real g, real *s, const real *k) {
    snn_rule_moments(g + k[SNN_K_L2] * w, s, k);
    return w - s[0] * (k[SNN_K_PLAIN] + k[SNN_K_RATE] / (r_sqrt(s[1]) + k[SNN_K_EPS]));
}

SNN_HD real snn_rule_adamax(real w, real g, real *s, const real *k) {
    g += k[SNN_K_L2] * w;
    s[0] = k[SNN_K_KEEP1] * s[0] + k[SNN_K_TAKE1] * g;
    s[1] = snn_rule_max(k[SNN_K_KEEP2] * s[1], (g < 0 ? -g : g) + k[SNN_K_EPS]);
    return w - k[SNN_K_RATE] * s[0] / s[1];
}

/* g over the root of its mean square: s[0]. */
SNN_HD real snn_rule_over_rms(real g, real *s, const real *k) {
    s[0] = k[SNN_K_KEEP2] * s[0] + k[SNN_K_TAKE2] * (g * g);
    return g / (r_sqrt(s[0]) + k[SNN_K_EPS]);
}

/* g over its standard deviation: mean square s[0], mean s[1]. A variance that rounding makes negative is 0. */
SNN_HD real snn_rule_over_deviation(real g, real *s, const real *k) {
    s[0] = k[SNN_K_KEEP2] * s[0] + k[SNN_K_TAKE2] * (g * g);
    s[1] = k[SNN_K_KEEP2] * s[1] + k[SNN_K_TAKE2] * g;
    return g / (r_sqrt(snn_rule_max(s[0] - s[1] * s[1], 0)) + k[SNN_K_EPS]);
}

SNN_HD real snn_rule_rmsprop(real w, real g, real *s, const real *k) {
    return w - k[SNN_K_RATE] * snn_rule_over_rms(g + k[SNN_K_L2] * w, s, k);
}

SNN_HD real snn_rule_rmsprop_centered(real w, real g, real *s, const real *k) {
    return w - k[SNN_K_RATE] * snn_rule_over_deviation(g + k[SNN_K_L2] * w, s, k);
}

SNN_HD real snn_rule_rmsprop_momentum(real w, real g, real *s, const real *k) {
    s[1] = k[SNN_K_KEEP1] * s[1] + snn_rule_over_rms(g + k[SNN_K_L2] * w, s, k);
    return w - k[SNN_K_RATE] * s[1];
}

SNN_HD real snn_rule_rmsprop_centered_momentum(real w, real g, real *s, const real *k) {
    s[2] = k[SNN_K_KEEP1] * s[2] + snn_rule_over_deviation(g + k[SNN_K_L2] * w, s, k);
    return w - k[SNN_K_RATE] * s[2];
}

SNN_HD real snn_rule_adagrad(real w, real g, real *s, const real *k) {
    g += k[SNN_K_L2] * w;
    s[0] = (s[0] + k[SNN_K_START]) + g * g;
    return w - k[SNN_K_RATE] * g / (r_sqrt(s[0]) + k[SNN_K_EPS]);
}

/* Mean square of the gradient s[0], of the steps s[1]. */
SNN_HD real snn_rule_adadelta(real w, real g, real *s, const real *k) {
    g += k[SNN_K_L2] * w;
    s[0] = k[SNN_K_KEEP2] * s[0] + k[SNN_K_TAKE2] * (g * g);
    real delta = r_sqrt(s[1] + k[SNN_K_EPS]) / r_sqrt(s[0] + k[SNN_K_EPS]) * g;
    s[1] = k[SNN_K_KEEP2] * s[1] + k[SNN_K_TAKE2] * (delta * delta);
    return w - k[SNN_K_RATE] * delta;
}

#endif
