/* SPDX-License-Identifier: Apache-2.0
 * surrogates.c - the table of surrogates, what others call them, and reading one from a config. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/status.h"
#include "layers/neuron.h"

#define X(name, ...) #name,
const char *const snn_surrogate_names[] = {SNN_SURROGATES(X) NULL};
#undef X
#define X(name, help, ...) help,
const char *const snn_surrogate_helps[] = {SNN_SURROGATES(X) NULL};
#undef X

/* ---- parameters ---- */

static const char *const own[] = {"auto", NULL};

/* Type, field and range, words. */
#define REAL(i) SNN_REAL, offsetof(struct snn_surrogate_options, p) + (i) * sizeof(double)
#define INTEGER(i) SNN_INT, offsetof(struct snn_surrogate_options, n) + (i) * sizeof(long long)
#define KEY(name, field, value, low, high, words, help)                                                                \
    { name, field, #value, low, high, words, help }
#define SHAPE(i, name, value, help) KEY(name, REAL(i), value, 1e-3, 1e4, NULL, help)
#define ABOVE_ONE(i, name, value, help) KEY(name, REAL(i), value, 1.001, 1e4, NULL, help)
#define SHARE(i, name, value, help) KEY(name, REAL(i), value, 0, 1e4, NULL, help)
#define NUMBER(i, name, value, help) KEY(name, REAL(i), value, -1e4, 1e4, NULL, help)
#define TERMS(i, name, value, help) KEY(name, INTEGER(i), value, 2, 100, NULL, help)
#define OWN(i, name, value, help)                                                                                      \
    KEY(name, REAL(i), value, SMALLEST_THRESHOLD, 1e4, own, help ", a number or auto: that of the neuron")
#define SMALLEST_THRESHOLD 1e-3

#define P(i, name, value, range, help) range(i, name, value, help),
#define X(name, help, ...) static const struct snn_key keys_##name[] = {SNN_KEY_NAME, __VA_ARGS__{0}};
SNN_SURROGATES(X)
#undef X
#define X(name, ...) keys_##name,
static const struct snn_key *const surrogate_keys[] = {SNN_SURROGATES(X)};
#undef X

const struct snn_key *snn_surrogate_keys(int which) { return surrogate_keys[which]; }

/* ---- other names ---- */

/* X(name, ours, numbers that differ from ours). FRAMEWORK.NAME always says what it is; NAME alone where only one
 * framework has it and none of ours is called so. */
#define BOTH(X, framework, name, ...) X(framework "." name, __VA_ARGS__) X(name, __VA_ARGS__)
#define ALIASES(X)                                                                                                     \
    BOTH(X, "spikingjelly", "Sigmoid", sigmoid)                                                                        \
    X("snntorch.sigmoid", sigmoid, {"alpha", "25"})                                                                    \
    X("stllr.sigmoid", sigmoid)                                                                                        \
    BOTH(X, "spikingjelly", "ATan", atan)                                                                              \
    X("snntorch.atan", atan)                                                                                           \
    X("snntorch.fast_sigmoid", fast_sigmoid)                                                                           \
    X("FastSigmoid", fast_sigmoid)                                                                                     \
    BOTH(X, "spytorch", "SurrGradSpike", fast_sigmoid, {"slope", "100"})                                               \
    X("stllr.fast_sigmoid", fast_sigmoid, {"slope", "100"})                                                            \
    X("decolle.fast_sigmoid", fast_sigmoid, {"slope", "10"})                                                           \
    BOTH(X, "spikingjelly", "PiecewiseQuadratic", triangle)                                                            \
    X("piecewise_quadratic", triangle)                                                                                 \
    BOTH(X, "spikingjelly", "Rect", rect)                                                                              \
    X("sparch.boxcar", rect)                                                                                           \
    X("stbp.rectangle", rect)                                                                                          \
    BOTH(X, "sinabs", "Gaussian", gaussian)                                                                            \
    X("yin.gaussian", gaussian)                                                                                        \
    X("Sine", sine)                                                                                                    \
    BOTH(X, "spikingjelly", "Erf", erf)                                                                                \
    BOTH(X, "spikingjelly", "SoftSign", soft_sign)                                                                     \
    BOTH(X, "spikingjelly", "SuperSpike", super_spike)                                                                 \
    X("norse.super", super_spike)                                                                                      \
    BOTH(X, "spikingjelly", "PiecewiseExp", piecewise_exp)                                                             \
    X("Slayer", slayer)                                                                                                \
    X("se_adlif.slayer", slayer)                                                                                       \
    BOTH(X, "spikingjelly", "PiecewiseLeakyReLU", piecewise_leaky_relu)                                                \
    BOTH(X, "spikingjelly", "NonzeroSignLogAbs", nonzero_sign_log_abs)                                                 \
    BOTH(X, "spikingjelly", "S2NN", s2nn)                                                                              \
    BOTH(X, "spikingjelly", "QPseudoSpike", q_pseudo_spike)                                                            \
    BOTH(X, "spikingjelly", "LeakyKReLU", leaky_k_relu)                                                                \
    BOTH(X, "spikingjelly", "DeterministicPass", leaky_k_relu, {"leak", "1"}, {"k", "1"})                              \
    X("deterministic_pass", leaky_k_relu, {"leak", "1"}, {"k", "1"})                                                   \
    BOTH(X, "snntorch", "straight_through_estimator", leaky_k_relu, {"leak", "1"}, {"k", "1"})                         \
    X("ste", leaky_k_relu, {"leak", "1"}, {"k", "1"})                                                                  \
    BOTH(X, "snntorch", "triangular", leaky_k_relu, {"leak", "1"}, {"k", "-1"})                                        \
    BOTH(X, "snntorch", "LSO", leaky_k_relu, {"leak", "0.1"})                                                          \
    BOTH(X, "spikingjelly", "LogTailedReLU", log_tailed_relu)                                                          \
    BOTH(X, "spikingjelly", "FakeNumericalGradient", fake_numerical_gradient)                                          \
    BOTH(X, "spikingjelly", "SquarewaveFourierSeries", squarewave_fourier)                                             \
    X("snntorch.heaviside", heaviside)                                                                                 \
    X("snntorch.spike_rate_escape", spike_rate_escape)                                                                 \
    BOTH(X, "snntorch", "SFS", sfs)                                                                                    \
    X("norse.tanh", tanh)                                                                                              \
    X("norse.heavi_erfc", heavi_erfc)                                                                                  \
    X("norse.circ", circ)                                                                                              \
    X("eprop.pseudo_derivative", esser)                                                                                \
    X("norse.triangle", esser, {"threshold", "1"})                                                                     \
    X("stllr.triangle", esser, {"threshold", "1"})                                                                     \
    BOTH(X, "sinabs", "MultiGaussian", multi_gaussian)                                                                 \
    X("yin.multi_gaussian", multi_gaussian, {"grad_scale", "0.5"})                                                     \
    BOTH(X, "sinabs", "SingleExponential", single_exponential)                                                         \
    BOTH(X, "sinabs", "PeriodicExponential", periodic_exponential)                                                     \
    X("sinabs.Heaviside", heaviside_window)                                                                            \
    X("lava.cuba", lava)                                                                                               \
    X("lava.alif", lava)

#define X(name, ours, ...) {name, SNN_SURROGATE_##ours, {__VA_ARGS__}},
const struct snn_surrogate_alias snn_surrogate_aliases[] = {ALIASES(X){0}};
#undef X
#define X(name, ...) #name,
#define ALIAS(name, ...) name,
static const char *const words[] = {SNN_SURROGATES(X) ALIASES(ALIAS) NULL};
#undef X

/* ---- reading ---- */

int snn_surrogate_read(struct snn_conf *node, double threshold, struct snn_surrogate_options *out) {
    int word = snn_conf_variant(node, "a surrogate", words);
    SNN_TRY(word);
    out->which = word;
    if (word >= SNN_SURROGATE_COUNT) { /* the resolved config has our name, and the numbers that theirs stands for */
        const struct snn_surrogate_alias *alias = &snn_surrogate_aliases[word - SNN_SURROGATE_COUNT];
        out->which = alias->which;
        SNN_TRY(snn_conf_assign(snn_conf_get(node, "name"), snn_surrogate_names[alias->which]));
        for (int i = 0; i < 3 && alias->set[i].key; ++i)
            if (!snn_conf_get(node, alias->set[i].key))
                SNN_TRY(snn_conf_put(node, alias->set[i].key, alias->set[i].value, NULL));
    }
    SNN_TRY(snn_conf_read(node, surrogate_keys[out->which], out));
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i)
        if (isnan(out->p[i]) && threshold < SMALLEST_THRESHOLD)
            return snn_conf_error(
                node, "%s needs a threshold of at least %g, that of the neuron is %g; expected threshold: a number",
                snn_surrogate_names[out->which], SMALLEST_THRESHOLD, threshold);
    return SNN_OK;
}

void snn_surrogate_numbers(const struct snn_surrogate_options *o, double threshold, real *p) {
    const struct snn_key *key = surrogate_keys[o->which] + 1; /* behind the name */
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) {
        p[i] = 0;
        if (!key->name) continue;
        double own_threshold = fmax(threshold, SMALLEST_THRESHOLD); /* it may be annealed */
        p[i] = (real)(key->type == SNN_INT ? (double)o->n[i] : isnan(o->p[i]) ? own_threshold : o->p[i]);
        ++key;
    }
}
