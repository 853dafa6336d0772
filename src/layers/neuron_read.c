/* SPDX-License-Identifier: Apache-2.0
 * neuron_read.c - a neuron from a config: what is given for its model's keys (neuron_models.c), the coefficients that
 * come of it, and how those of them that are learned are parametrised. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "layers/cells/all.h"
#include "layers/layer.h"

#define AT(field) offsetof(struct snn_neuron_options, field)

enum { AS_VALUE, AS_LOGISTIC, AS_TAU }; /* as_names of neuron_models.c */

/* ---- coefficients ---- */

/* The key that fills coefficient j, or its time constant. */
static const struct snn_key *key_of(const struct snn_neuron_model *m, size_t field) {
    for (const struct snn_key *k = m->keys; k->name; ++k)
        if (k->field == field) return k;
    return NULL;
}
static const struct snn_key *number_key(const struct snn_neuron_model *m, int j) {
    return key_of(m, AT(number) + (size_t)j * sizeof(double));
}
static const struct snn_key *tau_key(const struct snn_neuron_model *m, int j) {
    return key_of(m, AT(tau) + (size_t)j * sizeof(struct snn_time));
}

/* Is the value of another key taken where this one is not given? */
static bool takes(const struct snn_key *key, const char *from) {
    return key && key->choices && !strcmp(key->choices[0], from);
}

static double steps_of(const struct snn_neuron_options *o, int j) {
    return o->tau[j].value / (o->tau[j].seconds ? o->step_seconds : 1);
}

double snn_neuron_number(const struct snn_neuron_options *o, int j) {
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    const struct snn_cell_shape *shape = &snn_cell_shapes[m->cell];
    const struct snn_key *key = number_key(m, j);
    double derived = m->derive ? m->derive(o, j) : NAN;
    if (!isnan(derived)) return derived;
    if (j == shape->to) return o->reset == SNN_RESET_VALUE ? o->number[j] : 0;
    if (!isnan(o->number[j])) return o->number[j];
    if (tau_key(m, j) && o->tau[j].value < 0) return 0; /* none */
    if (tau_key(m, j)) return o->decay ? exp(-1 / steps_of(o, j)) : 1 - 1 / steps_of(o, j);
    if (takes(key, "v_reset")) return snn_neuron_number(o, shape->to);
    if (takes(key, "v_rest")) return snn_neuron_number(o, shape->rest);
    return -INFINITY; /* there is no floor */
}

const char *snn_neuron_param_name(const struct snn_neuron_options *o, int j, char buffer[64]) {
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    const struct snn_key *key = number_key(m, j), *tau = tau_key(m, j);
    if (m->learned & 1u << j && tau) snprintf(buffer, 64, "w");
    else if (tau && o->learn_as == AS_TAU) snprintf(buffer, 64, "%s", tau->name);
    else snprintf(buffer, 64, tau && o->learn_as == AS_LOGISTIC ? "%s_w" : "%s", key->name);
    return buffer;
}

double snn_neuron_learned(const struct snn_neuron_options *o, int j, struct snn_coef_learned *how) {
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    const struct snn_key *key = number_key(m, j), *tau = tau_key(m, j);
    double value = snn_neuron_number(o, j);
    *how = (struct snn_coef_learned){.form = SNN_COEF_CLAMPED, .low = key ? key->min : 0, .high = key ? key->max : 1};
    if (m->cell == SNN_CELL_filter || m->cell == SNN_CELL_glif) {
        how->form = SNN_COEF_LOGISTIC;
        return -log(1 / value - 1);
    }
    if (!tau) return value;
    if (m->learned & 1u << j || o->learn_as == AS_LOGISTIC) {
        how->form = SNN_COEF_REST;
        return log(1 / value - 1);
    }
    if (o->learn_as == AS_VALUE) return value;
    how->form = o->decay ? SNN_COEF_EXP : SNN_COEF_EULER;
    how->low = o->decay ? 1e-3 : 1;
    return o->decay ? -1 / log(value) : 1 / (1 - value);
}

/* ---- reading ---- */

static int read_decays(struct snn_conf *node, const struct snn_neuron_model *m, const struct snn_neuron_options *o) {
    for (int j = 0; j < snn_cell_shapes[m->cell].coefs; ++j) {
        const struct snn_key *key = tau_key(m, j);
        if (!key || !isnan(o->number[j]) || o->tau[j].value < 0) continue;
        const struct snn_conf *tau = snn_conf_get(node, key->name);
        if (o->tau[j].seconds && o->step_seconds <= 0)
            return snn_conf_error(tau, "a time constant with a unit needs bins of known duration (data.bin.by: "
                                       "duration); give it in steps");
        double steps = steps_of(o, j);
        if (o->decay == 0 && steps < 1)
            return snn_conf_error(tau, "expected at least 1 step with decay: euler, got %g steps", steps);
        if (steps <= 0) return snn_conf_error(tau, "expected a time constant above 0");
        if (m->learned & 1u << j && steps <= 1)
            return snn_conf_error(tau, "expected more than 1 step: w = -ln(tau - 1)");
        const struct snn_key *factor = number_key(m, j);
        double value = factor ? snn_neuron_number(o, j) : 0;
        if (factor && (value < factor->min || value > factor->max))
            return snn_conf_error(tau, "keeps %.5g a step, expected %g to %g: outside of it %s is not stable", value,
                                  factor->min, factor->max, m->name);
    }
    return SNN_OK;
}

/* Where a membrane starts is not learned. */
static bool is_start(const char *key) {
    size_t n = strlen(key);
    return n > 6 && !strcmp(key + n - 6, "_start");
}

/* `learn: [beta, threshold]` to bits; a decay goes by either of its keys. */
static int read_learned(struct snn_neuron_options *o, const struct snn_neuron_model *m) {
    o->learned = m->learned;
    if (!o->learn) return SNN_OK;
    if (o->learn->kind == SNN_CONF_MAP) return snn_conf_error(o->learn, "expected a list of keys, [beta, threshold]");
    const char *names[2 * SNN_CELL_COEFS + 1];
    int index[2 * SNN_CELL_COEFS + 1], count = 0;
    for (int j = 0; j < snn_cell_shapes[m->cell].coefs; ++j) {
        const struct snn_key *keys[2] = {number_key(m, j), tau_key(m, j)};
        for (int k = 0; k < 2; ++k)
            if (keys[k] && !is_start(keys[k]->name)) names[count] = keys[k]->name, index[count++] = j;
    }
    names[count] = NULL;
    struct snn_conf *item = o->learn->kind == SNN_CONF_LIST ? o->learn->first : o->learn;
    for (; item; item = o->learn->kind == SNN_CONF_LIST ? item->next : NULL) {
        int found = -1;
        for (int k = 0; k < count && item->kind == SNN_CONF_SCALAR; ++k)
            if (!strcmp(names[k], item->text)) found = index[k];
        if (found < 0) {
            const char *near = item->kind == SNN_CONF_SCALAR ? snn_nearest(item->text, names) : NULL;
            return near ? snn_conf_error(item, "expected a number of %s, got '%s' (did you mean '%s'?)", m->name,
                                         item->text, near)
                        : snn_conf_error(item, "expected a number of %s: one of its keys that decay or are numbers",
                                         m->name);
        }
        if (!isfinite(snn_neuron_number(o, found)))
            return snn_conf_error(item, "has no value to be learned from: give %s", names[found]);
        double value = snn_neuron_number(o, found);
        if (tau_key(m, found) && o->learn_as != AS_VALUE && (value <= 0 || value >= 1))
            return snn_conf_error(item, "a decay of %g cannot be learned %s: it has to be between 0 and 1", value,
                                  o->learn_as == AS_TAU ? "as tau" : "as logistic");
        o->learned |= 1u << found;
    }
    return SNN_OK;
}

static const char *const kind_names[] = {"all", "one", NULL};
static const struct snn_key recurrence_keys[] = {
    {"kind", SNN_CHOICE, offsetof(struct snn_recurrence, kind), "all", 0, 0, kind_names,
     "whom a neuron hears: all of the layer, or itself alone, through a weight of its own (snnTorch's one-to-one)"},
    {"bias", SNN_BOOL, offsetof(struct snn_recurrence, bias), "false", 0, 0, NULL, "add a learned bias"},
    {"diagonal", SNN_BOOL, offsetof(struct snn_recurrence, diagonal), "true", 0, 0, NULL,
     "a neuron hears itself too; false: that weight stays 0"},
    {"init", SNN_NODE, offsetof(struct snn_recurrence, init), "kaiming_uniform", 0, 0, NULL,
     "initial weights: NAME or {name, parameters}"},
    {0}};

static int read_recurrence(struct snn_neuron_options *o) {
    struct snn_conf *node = o->recurrent_node;
    o->recurrent = (struct snn_recurrence){.diagonal = true};
    if (!node || (node->kind == SNN_CONF_SCALAR && !strcmp(node->text, "false"))) return SNN_OK;
    if (node->kind == SNN_CONF_SCALAR && !strcmp(node->text, "true")) SNN_TRY(snn_conf_assign(node, "{}"));
    if (node->kind != SNN_CONF_MAP) return snn_conf_error(node, "expected true, false or {kind, bias, diagonal, init}");
    SNN_TRY(snn_conf_read(node, recurrence_keys, &o->recurrent));
    o->recurrent.which = o->recurrent.kind ? SNN_HEARS_ITSELF : SNN_HEARS_ALL;
    if (o->recurrent.kind && o->recurrent.bias)
        return snn_conf_error(snn_conf_get(node, "bias"), "takes effect with kind: all only");
    if (o->recurrent.kind && !o->recurrent.diagonal)
        return snn_conf_error(snn_conf_get(node, "diagonal"),
                              "expected true: with kind: one a neuron hears nobody else");
    return SNN_OK;
}

int snn_neuron_read(struct snn_conf *node, int model, double step_seconds, struct snn_neuron_options *out) {
    const struct snn_neuron_model *m = &snn_neuron_models[model];
    const struct snn_cell_shape *shape = &snn_cell_shapes[m->cell];
    *out = (struct snn_neuron_options){.model = model, .step_seconds = step_seconds, .spacing = NAN, .noise = NAN};
    memcpy(out->number, m->fixed, sizeof out->number);
    SNN_TRY(snn_conf_read(node, m->keys, out));
    if (m->delay) out->delay = m->delay;
    if (!key_of(m, AT(reset))) out->reset = m->reset;
    if (m->firing) out->spikes = m->firing;
    SNN_TRY(read_decays(node, m, out));
    if (m->cell == SNN_CELL_alpha && out->number[ALPHA_ALPHA] <= out->number[ALPHA_BETA])
        return snn_conf_error(snn_conf_get(node, "alpha"), "expected a number above beta, %g", out->number[ALPHA_BETA]);
    if (!strcmp(m->name, "lapicque") && !(snn_neuron_number(out, LIF_BETA) >= 0))
        return snn_conf_error(snn_conf_get(node, "time_step"), "expected at most R C = %g, got %g",
                              out->part[0] * out->part[1], out->part[2]);
    if (m->spikes) {
        const struct snn_key *to = shape->to >= 0 ? number_key(m, shape->to) : NULL;
        bool given = to && key_of(m, AT(reset)) && !strcmp(to->name, "v_reset") &&
                     out->number[shape->to] != strtod(to->value, NULL);
        if (given && out->reset != SNN_RESET_VALUE)
            return snn_conf_error(snn_conf_get(node, "v_reset"), "takes effect with reset: value only");
        if (out->spikes != SNN_FIRES_ONCE && !m->firing && out->reset != SNN_RESET_SUBTRACT &&
            out->reset != SNN_RESET_NONE)
            return snn_conf_error(snn_conf_get(node, "spikes"),
                                  "other spikes than 0 and 1 need reset: subtract (or none): each takes one threshold");
        if (out->spikes != SNN_FIRES_ONCE && isnan(out->spacing) && out->number[shape->theta] <= 0)
            return snn_conf_error(snn_conf_get(node, "threshold"), "expected a number above 0 with such spikes");
        if (out->noise > 0 && (out->spikes != SNN_FIRES_ONCE || out->delay))
            return snn_conf_error(snn_conf_get(node, "noise"),
                                  out->delay ? "does not go together with a reset one step later (reset_delay)"
                                             : "expected spikes: once with noise");
        if (out->surrogate_node)
            SNN_TRY(snn_surrogate_read(out->surrogate_node, shape->theta < 0 ? 1 : out->number[shape->theta],
                                       &out->surrogate));
    } else {
        out->spikes = SNN_FIRES_NEVER, out->reset = SNN_RESET_NONE;
    }
    SNN_TRY(read_learned(out, m));
    return read_recurrence(out);
}
