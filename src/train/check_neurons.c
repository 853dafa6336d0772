/* SPDX-License-Identifier: Apache-2.0
 * check_neurons.c - gradients of every neuron and surrogate, by the tables alone: whatever keys a model has are tried.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/check_parts.h"

static const struct snn_key *key_of(const struct snn_neuron_model *m, const char *name) {
    for (const struct snn_key *k = m->keys; k->name; ++k)
        if (!strcmp(k->name, name)) return k;
    return NULL;
}

/* linear, the neuron with these keys, and a readout that sees every step. */
static void try_keys(struct snn_check_suite *s, const struct snn_neuron_model *m, const char *keys, bool lengths) {
    char model[700];
    const char *threshold = key_of(m, "threshold") && !strstr(keys, "threshold") ? "threshold: 0.7, " : "";
    const char *steps = key_of(m, "steps") ? "steps: 7, " : "";
    snprintf(model, sizeof model,
             m->spikes ? "[linear: 5, %s: {%s%s%s}, linear: 3]" : "[linear: 5, lif, linear: 4, %s: {%s%s%s}]", m->name,
             steps, threshold, keys);
    snn_check_flat(s, model, lengths);
}

/* The ways to reset that a key alone may act under. */
static const char *const resets[] = {"reset: zero", "reset: subtract", "reset: none", "reset: value, v_reset: -0.2"};

static void check_resets(struct snn_check_suite *s, const struct snn_neuron_model *m) {
    char keys[300];
    int delays = key_of(m, "reset_delay") ? 3 : 1;
    for (int r = 0; r < 4; ++r)
        for (int delay = 0; delay < delays; ++delay)
            for (int k = 0; k < 4; ++k) {
                static const char *const words[] = {"", ", reset_delay: true", ", reset_delay: twice"};
                snprintf(keys, sizeof keys, "%s, detach_reset: %s, fire: %s%s", resets[r], k & 1 ? "true" : "false",
                         k & 2 ? "gt" : "ge", words[delay]);
                try_keys(s, m, keys, false);
            }
}

/* One key at a time, and what it needs beside it. */
static void check_key(struct snn_check_suite *s, const struct snn_neuron_model *m, const struct snn_key *k,
                      const char *beside) {
    char keys[500];
    if (k->type == SNN_BOOL && strncmp(k->name, "detach", 6)) { /* what is cut is no gradient */
        snprintf(keys, sizeof keys, "%s%s: %s", beside, k->name, !strcmp(k->value, "true") ? "false" : "true");
        try_keys(s, m, keys, false);
        for (const struct snn_key *other = m->keys; other < k; ++other) { /* and pairs of them */
            if (other->type != SNN_BOOL || !strncmp(other->name, "detach", 6)) continue;
            snprintf(keys, sizeof keys, "%s%s: %s, %s: true", beside, k->name,
                     !strcmp(k->value, "true") ? "false" : "true", other->name);
            try_keys(s, m, keys, false);
        }
    } else if (k->type == SNN_TIME) {
        const struct snn_key *factor = k[1].type == SNN_REAL && k[1].choices ? k + 1 : NULL; /* it may have a range */
        double tau = factor && factor->min > 0 ? -1 / log((factor->min + factor->max) / 2) : 3.5;
        snprintf(keys, sizeof keys, "%s%s: %g", beside, k->name, tau);
        try_keys(s, m, keys, true);
        snprintf(keys, sizeof keys, "%s%s: %g, decay: exp", beside, k->name, tau);
        if (key_of(m, "decay")) try_keys(s, m, keys, false);
    } else if (k->type == SNN_REAL && k->choices) { /* none, or a word: a number instead */
        double value = k->max <= 1 && k->min >= 0  ? k->min > 0 ? (k->min + k->max) / 2 : 0.8
                       : !strcmp(k->name, "v_min") ? -0.1
                                                   : 0.3;
        snprintf(keys, sizeof keys, "%s%s: %g", beside, k->name, value);
        try_keys(s, m, keys, false);
    }
}

/* All coefficients that have a value, learned in every form. */
static void check_learning(struct snn_check_suite *s, const struct snn_neuron_model *m, const char *beside) {
    static const char *const as[] = {"value", "logistic", "tau"}, *const per[] = {"layer", "channel", "neuron"};
    char names[300] = "", keys[600];
    if (!key_of(m, "learn")) return;
    for (const struct snn_key *k = m->keys; k->name; ++k) {
        size_t number = offsetof(struct snn_neuron_options, number), field = k->field;
        bool coefficient = k->type == SNN_REAL && field >= number && field < number + sizeof(double) * SNN_CELL_COEFS;
        if (!coefficient || !strcmp(k->name, "v_reset") || strstr(k->name, "_start")) continue;
        bool of_tau = k->choices && k > m->keys && k[-1].type == SNN_TIME && !k[-1].choices;
        if (k->choices && !of_tau) continue; /* without a value unless it is given */
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", *names ? ", " : "", k->name);
    }
    for (int a = 0; a < 3; ++a)
        for (int p = 0; p < 3; ++p) {
            if (a && !key_of(m, "decay")) continue;
            snprintf(keys, sizeof keys, "%slearn: [%s]%s%s, per: %s%s", beside, names, a ? ", learn_as: " : "",
                     a ? as[a] : "", per[p], a == 2 && p == 1 ? ", decay: exp" : "");
            try_keys(s, m, keys, false);
        }
    if (key_of(m, "v_min")) {
        snprintf(keys, sizeof keys, "%slearn: [%s, v_min], v_min: -0.1, per: channel", beside, names);
        try_keys(s, m, keys, false);
    }
    if (key_of(m, "reset_delay"))
        for (int delay = 0; delay < 2; ++delay) {
            snprintf(keys, sizeof keys, "%slearn: [%s], reset_delay: %s", beside, names, delay ? "true" : "twice");
            try_keys(s, m, keys, false);
        }
}

static void check_model(struct snn_check_suite *s, const struct snn_neuron_model *m) {
    static const char *const besides[] = {"", "reset: subtract, detach_reset: false, ",
                                          "reset: value, v_reset: -0.2, detach_reset: false, "};
    char keys[300];
    bool resets_at_all = key_of(m, "reset");
    if (key_of(m, "fire") && !resets_at_all) try_keys(s, m, "fire: ge", true);
    for (int per = 0; per < 3 && key_of(m, "per") && !key_of(m, "learn"); ++per) {
        static const char *const words[] = {"per: layer", "per: channel", "per: neuron"};
        try_keys(s, m, words[per], true);
    }
    if (resets_at_all) check_resets(s, m);
    for (int b = 0; b < (resets_at_all ? 3 : 1); ++b) {
        for (const struct snn_key *k = m->keys; k->name; ++k) check_key(s, m, k, besides[b]);
        check_learning(s, m, besides[b]);
        if (!key_of(m, "recurrent")) continue;
        snprintf(keys, sizeof keys, "%srecurrent: true", besides[b]);
        try_keys(s, m, keys, true);
        snprintf(keys, sizeof keys, "%srecurrent: {bias: true, diagonal: false}", besides[b]);
        try_keys(s, m, keys, false);
        snprintf(keys, sizeof keys, "%srecurrent: {kind: one}", besides[b]);
        try_keys(s, m, keys, true);
        if (key_of(m, "learn")) {
            snprintf(keys, sizeof keys, "%srecurrent: {kind: one}, learn: [threshold], per: neuron", besides[b]);
            try_keys(s, m, keys, false);
            snprintf(keys, sizeof keys, "%srecurrent: true, learn: [threshold], per: neuron", besides[b]);
            try_keys(s, m, keys, false);
        }
    }
    if (!key_of(m, "spikes")) return;
    static const char *const spikes[] = {
        "signed",  "several, levels: 3, spacing: 0.4", "counted", "counted, spacing: 0.3",
        "rounded", "rounded, levels: 2, spacing: 0.2", "graded",  "graded, spacing: 0.4"};
    for (int b = 0; b < 16; ++b) {
        snprintf(keys, sizeof keys, "reset: subtract, detach_reset: %s, spikes: %s", b & 1 ? "true" : "false",
                 spikes[b / 2]);
        try_keys(s, m, keys, false);
    }
}

/* A surrogate with other numbers than its defaults, as flow text: "{name: gaussian, sigma: 0.7, ...}". */
static void moved_surrogate(int which, char *text, size_t size) {
    int n = snprintf(text, size, "{name: %s", snn_surrogate_names[which]);
    for (const struct snn_key *key = snn_surrogate_keys(which) + 1; key->name; ++key) {
        double value = strtod(key->value, NULL); /* auto: 0 */
        value = key->type == SNN_INT ? value + 3 : key->choices ? 0.8 : value * 1.3 + 0.05;
        n += snprintf(text + n, size - (size_t)n, ", %s: %g", key->name, value);
    }
    snprintf(text + n, size - (size_t)n, "}");
}

void snn_check_neurons(struct snn_check_suite *s) {
    char keys[400], moved[200];
    for (const struct snn_neuron_model *m = snn_neuron_models; m->name; ++m) check_model(s, m);
    for (int i = 0; i < SNN_SURROGATE_COUNT; ++i)
        for (int k = 0; k < 6; ++k) {
            moved_surrogate(i, moved, sizeof moved);
            snprintf(keys, sizeof keys, "surrogate: %s, reset: subtract, detach_reset: %s%s",
                     k & 1 ? moved : snn_surrogate_names[i], k / 2 == 1 ? "true" : "false",
                     k / 2 == 2 ? ", spikes: several" : "");
            try_keys(s, &snn_neuron_models[1], keys, false);
        }
}
