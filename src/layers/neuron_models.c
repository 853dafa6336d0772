/* SPDX-License-Identifier: Apache-2.0
 * neuron_models.c - the tables of neurons and surrogates, and reading them from a config. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/status.h"
#include "layers/neuron.h"

/* ---- surrogates ---- */

#define X(name, alias, p0, d0, p1, d1, help) #name,
const char *const snn_surrogate_names[] = {SNN_SURROGATES(X) NULL};
#undef X
#define X(name, alias, p0, d0, p1, d1, help) alias,
const char *const snn_surrogate_aliases[] = {SNN_SURROGATES(X) NULL};
#undef X
#define X(name, alias, p0, d0, p1, d1, help) help,
const char *const snn_surrogate_helps[] = {SNN_SURROGATES(X) NULL};
#undef X

#define PARAMETER(i, name, value)                                                                                      \
    {                                                                                                                  \
        name, SNN_REAL, offsetof(struct snn_surrogate_options, p) + (i) * sizeof(double), #value, 1e-3, 1e4, NULL,     \
            "shape"                                                                                                    \
    }
#define X(name, alias, p0, d0, p1, d1, help)                                                                           \
    static const struct snn_key keys_##name[] = {SNN_KEY_NAME, PARAMETER(0, p0, d0), PARAMETER(1, p1, d1), {0}};
SNN_SURROGATES(X)
#undef X
#define X(name, ...) keys_##name,
static const struct snn_key *const surrogate_keys[] = {SNN_SURROGATES(X)};
#undef X

const struct snn_key *snn_surrogate_keys(int which) { return surrogate_keys[which]; }

int snn_surrogate_read(struct snn_conf *node, struct snn_surrogate_options *out) {
    /* A framework's own name is taken for ours where only one has it. */
    struct snn_conf *name = node->kind == SNN_CONF_MAP ? snn_conf_get(node, "name") : node;
    for (int i = 0; name && name->kind == SNN_CONF_SCALAR && i < SNN_SURROGATE_COUNT; ++i)
        if (!strcmp(name->text, snn_surrogate_aliases[i])) SNN_TRY(snn_conf_assign(name, snn_surrogate_names[i]));
    out->which = snn_conf_variant(node, "a surrogate", snn_surrogate_names);
    SNN_TRY(out->which);
    return snn_conf_read(node, surrogate_keys[out->which], out);
}

/* ---- neurons ---- */

static const char *const decay_names[] = {"euler", "exp", NULL};
static const char *const fire_names[] = {"ge", "gt", NULL};
static const char *const reset_names[] = {"zero", "subtract", "none", "value", NULL};
static const char *const none[] = {"none", NULL};

#define AT(field) offsetof(struct snn_neuron_options, field)
#define TAU                                                                                                            \
    { "tau", SNN_TIME, AT(tau), "2.0", 0, 1e6, NULL, "membrane time constant, in steps or with a unit (20 ms)" }
#define BETA                                                                                                           \
    { "beta", SNN_REAL, AT(beta), "none", 0, 1, none, "decay a step, instead of tau: V keeps beta" }
#define DECAY                                                                                                          \
    { "decay", SNN_CHOICE, AT(decay), "euler", 0, 0, decay_names, "how tau becomes a factor: 1 - 1/tau or exp(-1/tau)" }
#define DECAY_INPUT                                                                                                    \
    { "decay_input", SNN_BOOL, AT(decay_input), "false", 0, 0, NULL, "scale the input by 1 - decay" }
#define FIRING                                                                                                          \
    {"threshold", SNN_REAL, AT(threshold), "1.0", -1e6, 1e6, NULL, "fires at this membrane"},                           \
        {"fire", SNN_CHOICE, AT(fire), "ge", 0, 0, fire_names, "spike when H >= threshold (ge) or H > threshold (gt)"}, \
        {"reset", SNN_CHOICE, AT(reset),   "zero",                                                                      \
         0,       0,          reset_names, "after a spike: V = 0, V = H - threshold, V = H, or V = v_reset"},           \
        {"v_reset", SNN_REAL, AT(v_reset), "0", -1e6, 1e6, NULL, "reset: value goes here, and decay goes towards it"},  \
    {                                                                                                                   \
        "detach_reset", SNN_BOOL, AT(detach_reset), "true", 0, 0, NULL, "no gradient through the spike that resets"     \
    }
#define DELAY                                                                                                          \
    { "reset_delay", SNN_BOOL, AT(reset_delay), "false", 0, 0, NULL, "reset one step later (snnTorch's convention)" }
#define SURROGATE                                                                                                      \
    { "surrogate", SNN_NODE, AT(surrogate_node), "atan", 0, 0, NULL, "surrogate gradient: NAME or {name, parameters}" }

static const struct snn_key if_keys[] = {FIRING, DELAY, SURROGATE, {0}};
static const struct snn_key lif_keys[] = {TAU, BETA, DECAY, DECAY_INPUT, FIRING, DELAY, SURROGATE, {0}};
static const struct snn_key plif_keys[] = {TAU, DECAY_INPUT, FIRING, SURROGATE, {0}};
static const struct snn_key li_keys[] = {TAU, BETA, DECAY, DECAY_INPUT, {0}};

const struct snn_neuron_model snn_neuron_models[] = {
    {"if", "IFNode", "integrate and fire: H = V + X", if_keys, true, false},
    {"lif", "LIFNode", "leaky integrate and fire: H = V - (V - v_reset)/tau + X (X/tau with decay_input)", lif_keys,
     true, false},
    {"plif", "ParametricLIFNode", "LIF whose 1/tau = sigmoid(w) is learned (Fang et al., ICCV 2021)", plif_keys, true,
     true},
    {"li", "LI", "leaky integrator, does not spike: its membrane is the output (readout)", li_keys, false, false},
    {0},
};

int snn_neuron_read(struct snn_conf *node, int model, double step_seconds, struct snn_neuron_options *out) {
    const struct snn_neuron_model *m = &snn_neuron_models[model];
    *out = (struct snn_neuron_options){
        .model = model, .tau = {2, false}, .beta = NAN, .threshold = 1, .step_seconds = step_seconds};
    SNN_TRY(snn_conf_read(node, m->keys, out));
    struct snn_conf *tau = snn_conf_get(node, "tau");
    if (tau && out->tau.seconds && step_seconds <= 0)
        return snn_conf_error(
            tau, "a time constant with a unit needs bins of known duration (data.bin.by: duration); give it in steps");
    double steps = out->tau.value / (out->tau.seconds ? step_seconds : 1);
    if (tau && isnan(out->beta) && out->decay == 0 && steps < 1)
        return snn_conf_error(tau, "expected at least 1 step with decay: euler, got %g steps", steps);
    if (tau && isnan(out->beta) && steps <= 0) return snn_conf_error(tau, "expected a time constant above 0");
    if (m->learns && steps <= 1) return snn_conf_error(tau, "expected more than 1 step: w = -ln(tau - 1)");
    if (out->reset != SNN_RESET_VALUE && out->v_reset != 0)
        return snn_conf_error(snn_conf_get(node, "v_reset"), "takes effect with reset: value only");
    if (m->spikes) SNN_TRY(snn_surrogate_read(out->surrogate_node, &out->surrogate));
    return SNN_OK;
}
