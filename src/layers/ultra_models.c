/* SPDX-License-Identifier: Apache-2.0
 * ultra_models.c - the table of UltraLIF's family, and reading a layer of it from a config. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/status.h"
#include "layers/layer.h"
#include "layers/ultra.h"

static const char *const form_names[] = {"paper", "code", NULL};
static const char *const membrane_names[] = {"maximum", "linear", NULL};
static const char *const leak_names[] = {"sigmoid", "log", NULL};
static const char *const offset_names[] = {"log_tau", "eps_log_tau", NULL};
static const char *const learn_names[] = {"exp", "softplus", "none", NULL};
static const char *const reset_names[] = {"value", "subtract", "excess", NULL};
static const char *const none[] = {"none", NULL};
static const char *const by_form[] = {"form", NULL};

#define AT(field) offsetof(struct snn_ultra_options, field)
#define FORM(value, help)                                                                                              \
    { "form", SNN_CHOICE, AT(form), value, 0, 0, form_names, help }
#define TAU                                                                                                            \
    { "tau", SNN_REAL, AT(tau), "0.9", 0, 1, NULL, "what is left of the membrane after a step, between 0 and 1" }
#define MAXIMUM                                                                                                        \
    {"membrane", SNN_CHOICE, AT(membrane),   "maximum",                                                                \
     0,          0,          membrane_names, "U = LSE(V + log tau, X), or U = tau V + X: a LIF with soft spikes"},     \
    {                                                                                                                  \
        "leak_offset", SNN_CHOICE, AT(leak_offset), "log_tau", 0, 0, offset_names,                                     \
            "added to V in the maximum: log tau (the paper), or eps log tau (of which the linear LIF is an exact "     \
            "image)"                                                                                                   \
    }
#define LEAK                                                                                                           \
    { "leak", SNN_CHOICE, AT(leak), "sigmoid", 0, 0, leak_names, "tau is learned: tau = sigmoid(w), or w = log tau" }
#define COMMON                                                                                                         \
    {"epsilon", SNN_REAL, AT(epsilon), "1", 1e-6, 1e6, NULL, "temperature; the start where it is learned"},            \
        {"learn_epsilon",                                                                                              \
         SNN_CHOICE,                                                                                                   \
         AT(learn_epsilon),                                                                                            \
         "exp",                                                                                                        \
         0,                                                                                                            \
         0,                                                                                                            \
         learn_names,                                                                                                  \
         "epsilon = clamp(exp(rho), epsilon_min, epsilon_max), epsilon_min + softplus(rho), or as it is (and "         \
         "anneal)"},                                                                                                   \
        {"epsilon_min", SNN_REAL, AT(epsilon_min), "0.1", 1e-6, 1e6, NULL, "a learned epsilon is not below"},          \
        {"epsilon_max", SNN_REAL, AT(epsilon_max), "20", 1e-6, 1e6, NULL, "nor above, with learn_epsilon: exp"},       \
        {"threshold", SNN_REAL, AT(threshold), "form",                                                                 \
         -1e6,        1e6,      by_form,       "the spike is 1/2 here; the paper's form has 0.5, the code's 0"},       \
        {"learn_threshold", SNN_BOOL, AT(learn_threshold), "false", 0, 0, NULL, "the threshold is learned"},           \
        {"reset",     SNN_CHOICE,                                                                                      \
         AT(reset),   "value",                                                                                         \
         0,           0,                                                                                               \
         reset_names, "V = U (1-S) + v_reset S, V = U - threshold S, or V = U - (LSE(U, threshold) - threshold)"},     \
        {"v_reset", SNN_REAL, AT(v_reset), "0", -1e6, 1e6, NULL, "reset: value goes here"},                            \
        {"learn_reset", SNN_BOOL, AT(learn_reset), "false", 0, 0, NULL, "v_reset is learned"},                         \
        {"slope", SNN_REAL, AT(slope), "none",                                                                         \
         1e-6,    1e6,      none,      "of the spike, S = sigmoid(slope (U - threshold)); none: 1/epsilon"},           \
    {                                                                                                                  \
        "learn_slope", SNN_BOOL, AT(learn_slope), "false", 0, 0, NULL, "slope = clamp(exp(w), 0.1, 50) is learned"     \
    }
#define LIF_FORM FORM("paper", "the code's has a threshold of 0")
#define DLIF_FORM(value)                                                                                               \
    FORM(value, "paper: LSE of the neighbours' V, then X is added, no leak; code: tau V + X, and the LSE of the "      \
                "neighbours' drives the spike")

static const struct snn_key lif_keys[] = {LIF_FORM, TAU, MAXIMUM, COMMON, {0}},
                            plif_keys[] = {LIF_FORM, TAU, LEAK, MAXIMUM, COMMON, {0}},
                            dlif_keys[] = {DLIF_FORM("paper"), TAU, COMMON, {0}},
                            dplif_keys[] = {DLIF_FORM("code"), TAU, LEAK, COMMON, {0}};

const struct snn_ultra_model snn_ultra_models[] = {
    {"ultralif",
     "soft spikes of a max-plus membrane: U = LSE_eps(V + log tau, X), S = sigmoid((U - threshold)/eps), one function "
     "forward and backward (arXiv 2602.11206)",
     lif_keys, false, false},
    {"ultraplif", "ultralif whose tau is learned", plif_keys, false, true},
    {"ultradlif",
     "ultralif whose membranes spread to the neighbours of the last axis, in a ring (arXiv 2602.11206, Definition 4.2)",
     dlif_keys, true, false},
    {"ultradplif", "ultradlif whose tau is learned: of the released code alone, as the paper's form has no leak",
     dplif_keys, true, true},
    {0},
};

enum snn_ultra_charge snn_ultra_charge_of(const struct snn_ultra_options *o) {
    if (snn_ultra_models[o->model].couples) return o->form ? SNN_ULTRA_SPREAD : SNN_ULTRA_DILATE;
    return o->membrane ? SNN_ULTRA_LINEAR : SNN_ULTRA_MAXIMUM;
}

/* A key that says something although nothing reads it. */
static int check_use(struct snn_conf *node, const char *key, bool used, const char *where) {
    return used ? SNN_OK : snn_conf_error(snn_conf_get(node, key), "takes effect with %s only", where);
}

static int check_epsilon(struct snn_conf *node, const struct snn_ultra_options *o) {
    const struct snn_conf *at = snn_conf_get(node, "epsilon");
    if (o->learn_epsilon == SNN_ULTRA_EXP && o->epsilon_min >= o->epsilon_max)
        return snn_conf_error(snn_conf_get(node, "epsilon_max"), "expected more than epsilon_min, %g, got %g",
                              o->epsilon_min, o->epsilon_max);
    if (o->learn_epsilon == SNN_ULTRA_EXP && (o->epsilon < o->epsilon_min || o->epsilon > o->epsilon_max))
        return snn_conf_error(at, "learned with exp, expected epsilon_min to epsilon_max, %g to %g, got %g",
                              o->epsilon_min, o->epsilon_max, o->epsilon);
    if (o->learn_epsilon == SNN_ULTRA_SOFTPLUS && o->epsilon <= o->epsilon_min)
        return snn_conf_error(at, "learned with softplus, expected more than epsilon_min, %g, got %g", o->epsilon_min,
                              o->epsilon);
    return SNN_OK;
}

int snn_ultra_read(struct snn_conf *node, int model, struct snn_ultra_options *out) {
    const struct snn_ultra_model *m = &snn_ultra_models[model];
    *out = (struct snn_ultra_options){.model = model};
    SNN_TRY(snn_conf_read(node, m->keys, out));
    enum snn_ultra_charge charge = snn_ultra_charge_of(out);
    if (!(out->tau > 0 && out->tau < 1))
        return snn_conf_error(snn_conf_get(node, "tau"), "expected a number between 0 and 1, both excluded, got %g",
                              out->tau);
    if (m->learns && charge == SNN_ULTRA_DILATE)
        return snn_conf_error(snn_conf_get(node, "form"), "the paper's form has no leak to learn: expected code");
    SNN_TRY(check_epsilon(node, out));
    SNN_TRY(check_use(node, "tau", out->tau == 0.9 || charge != SNN_ULTRA_DILATE, "form: code"));
    SNN_TRY(check_use(node, "leak_offset", !out->leak_offset || charge == SNN_ULTRA_MAXIMUM, "membrane: maximum"));
    SNN_TRY(check_use(node, "v_reset", out->v_reset == 0 || out->reset == SNN_ULTRA_VALUE, "reset: value"));
    SNN_TRY(check_use(node, "learn_reset", !out->learn_reset || out->reset == SNN_ULTRA_VALUE, "reset: value"));
    SNN_TRY(check_use(node, "learn_slope", !out->learn_slope || !isnan(out->slope), "a slope of its own"));
    if (out->learn_slope && (out->slope < SNN_ULTRA_FLATTEST || out->slope > SNN_ULTRA_STEEPEST))
        return snn_conf_error(snn_conf_get(node, "slope"), "learned, expected %g to %g, got %g", SNN_ULTRA_FLATTEST,
                              SNN_ULTRA_STEEPEST, out->slope);
    if (isnan(out->threshold)) out->threshold = out->form ? 0 : 0.5;
    return SNN_OK;
}

void snn_ultra_movable(const struct snn_ultra_options *o, struct snn_key out[SNN_ULTRA_KEYS]) {
    const struct snn_ultra_model *m = &snn_ultra_models[o->model];
    int n = 0;
    for (const struct snn_key *key = m->keys; key->name; ++key) {
        SNN_CHECK(n < SNN_ULTRA_KEYS - 1, "room for the keys of %s", m->name);
        bool learned = (key->field == AT(tau) && m->learns) ||
                       (key->field == AT(epsilon) && o->learn_epsilon != SNN_ULTRA_FIXED) ||
                       (key->field == AT(threshold) && o->learn_threshold) ||
                       (key->field == AT(v_reset) && o->learn_reset) || (key->field == AT(slope) && o->learn_slope);
        if (!learned) out[n++] = *key;
    }
    out[n] = (struct snn_key){0};
}
