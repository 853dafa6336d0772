/* SPDX-License-Identifier: Apache-2.0
 * layer_parallel.c - parallel spiking neurons (Fang et al., NeurIPS 2023; SpikingJelly's psn.py): the membrane is a
 * learned sum over steps, nothing is reset, so there is no state and no loop over time.
 *
 *   psn          H = W X + b        W (steps,steps), b a step
 *   masked_psn   H = (M W) X + b    M: 1 on the band of the present step and k-1 before it, 1 - lambda elsewhere
 *   sliding_psn  H[t] = sum over i < k of w[i] X[t - k+1 + i] + b
 *
 * and s = [H >= 0]. They fire as a LIF does that keeps nothing (beta 0), with all of its surrogates. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/status.h"
#include "layers/layer.h"

struct parallel_options {
    struct snn_neuron_options fires; /* what is done with the membrane */
    struct snn_band_options band;
    long long steps;
    struct snn_conf *init;
};
#define AT(field) offsetof(struct parallel_options, field)

static const char *const fire_names[] = {"ge", "gt", NULL};
static const char *const spikes_names[] = {"once", "several", "signed", NULL};
#define THRESHOLDS                                                                                                     \
    { "fire", SNN_CHOICE, AT(fires.fire), "ge", 0, 0, fire_names, "spike when H >= 0 (ge) or H > 0 (gt)" }
#define SPIKES                                                                                                         \
    {"spikes", SNN_CHOICE, AT(fires.spikes), "once",                                                                   \
     0,        0,          spikes_names,     "0 or 1; several a step, up to `levels`; or -1, 0 and 1"},                \
        {"levels", SNN_INT, AT(fires.levels), "4", 2, 64, NULL, "most spikes of a step, for spikes: several"}, {       \
        "spacing", SNN_REAL, AT(fires.spacing), "1", 1e-6, 1e6, NULL,                                                  \
            "of the membrane between one spike and the next, for spikes: several or signed"                            \
    }
#define SURROGATE                                                                                                      \
    { "surrogate", SNN_NODE, AT(fires.surrogate_node), "atan", 0, 0, NULL, "surrogate gradient: NAME or {name, keys}" }

const struct snn_key snn_psn_keys[] = {
    SNN_STEPS_KEY(struct parallel_options), THRESHOLDS, SPIKES, SNN_INIT_KEY(struct parallel_options), SURROGATE, {0},
};
const struct snn_key snn_masked_psn_keys[] = {
    {"k", SNN_INT, AT(band.k), NULL, 1, 1 << 16, NULL, "order: steps that a step sees when lambda is 1"},
    {"lambda", SNN_REAL, AT(band.lambda), "0", 0, 1, NULL,
     "0: it sees all steps, 1: the present one and k-1 before it; anneal it from 0 to 1"},
    SNN_STEPS_KEY(struct parallel_options),
    THRESHOLDS,
    SPIKES,
    SNN_INIT_KEY(struct parallel_options),
    SURROGATE,
    {0},
};
const struct snn_key snn_sliding_psn_keys[] = {
    {"k", SNN_INT, AT(band.k), NULL, 1, 255, NULL, "order: steps that a step sees, the present one among them"},
    THRESHOLDS,
    SPIKES,
    {"init", SNN_NODE, AT(init), "halving", 0, 0, NULL,
     "initial weights: halving (1, 1/2, 1/4, ... into the past), NAME or {name, parameters}"},
    SURROGATE,
    {0},
};

enum { MOST_STEPS = 4096 };

static int build_sliding(struct snn_builder *b, const struct parallel_options *o) {
    int32_t k = (int32_t)o->band.k, one = 1, row[2] = {1, (int32_t)b->x->units};
    struct snn_tape *tape = &b->model->tape;
    struct snn_tensor *x = snn_every_step(tape, b->path, b->x);
    struct snn_param *w = snn_builder_param(b, "weight", false, 1, &k),
                     *bias = snn_builder_param(b, "bias", false, 1, &one);
    if (o->init->kind == SNN_CONF_SCALAR && !strcmp(o->init->text, "halving")) w->fill = 1, w->ratio = 0.5;
    else SNN_TRY(snn_init_read(o->init, k, 1, w));
    bias->fill = -1;
    x = snn_temporal_conv(tape, b->path, snn_tape_view(tape, x, 2, row), 1, w, bias); /* one channel */
    b->x = snn_tape_view(tape, x, b->x->nd, b->x->dim);
    return SNN_OK;
}

static int build_mixed(struct snn_builder *b, struct snn_conf *node, int variant, struct parallel_options *o) {
    SNN_TRY(snn_builder_steps(b, node, &o->steps));
    if (o->steps > MOST_STEPS)
        return snn_conf_error(node, "its weights are steps x steps: expected at most %d steps, got %lld", MOST_STEPS,
                              o->steps);
    if (variant == SNN_PSN_MASKED && o->band.k > o->steps)
        return snn_conf_error(snn_conf_get(node, "k"), "expected at most the %lld steps, got %lld", o->steps,
                              o->band.k);
    int32_t T = (int32_t)o->steps, dim[2] = {T, T};
    struct snn_tape *tape = &b->model->tape;
    struct snn_param *w = snn_builder_param(b, "weight", false, 2, dim),
                     *bias = snn_builder_param(b, "bias", false, 1, dim);
    SNN_TRY(snn_init_read(o->init, T, T, w));
    bias->fill = -1;
    struct snn_tensor *made = variant == SNN_PSN_MASKED ? snn_weight_band(tape, b->path, w, &o->band) : NULL;
    b->x = snn_steps(tape, b->path, b->x, made, w, bias);
    return SNN_OK;
}

int snn_build_parallel(struct snn_builder *b, struct snn_conf *node, int variant) {
    static const struct snn_key *const keys[] = {snn_psn_keys, snn_masked_psn_keys, snn_sliding_psn_keys};
    struct parallel_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, keys[variant], o));
    SNN_TRY(snn_firing_read(b, 1, &o->fires)); /* the bias begins as -1: a threshold of 1 */
    snn_builder_bind(b, node, keys[variant], o);
    SNN_TRY(variant == SNN_PSN_SLIDING ? build_sliding(b, o) : build_mixed(b, node, variant, o));
    b->x = snn_neuron(&b->model->tape, b->path, b->x, &o->fires, NULL);
    return SNN_OK;
}
