/* SPDX-License-Identifier: Apache-2.0
 * regular.c - regularisers by name. */
#include "autograd/regular.h"

#include <fnmatch.h>
#include <stddef.h>

#include "core/status.h"

static const char *const distance_names[] = {"l1", "l2", "huber", NULL};
static const char *const of_names[] = {"neuron", "channel", "layer", NULL};
static const char *const unit_names[] = {"count", "rate", NULL};
static const char *const reduction_names[] = {"mean", "sum", NULL};

#define ACTIVITY(field) offsetof(struct snn_activity_term, field)
#define WEIGHTS(field) offsetof(struct snn_weight_term, field)
#define LAYERS                                                                                                         \
    { "layers", SNN_TEXT, ACTIVITY(layers), "\"*\"", 0, 0, NULL, "spiking layers, by pattern of path or name" }
#define OF(value)                                                                                                      \
    { "per", SNN_CHOICE, ACTIVITY(of), value, 0, 0, of_names, "whose mean activity is looked at" }
#define UNIT(value)                                                                                                    \
    { "unit", SNN_CHOICE, ACTIVITY(rate), value, 0, 0, unit_names, "spikes of a sample, or spikes a step" }
#define REDUCTION(value)                                                                                               \
    { "reduction", SNN_CHOICE, ACTIVITY(sum), value, 0, 0, reduction_names, "over neurons, channels" }
#define DISTANCE(value)                                                                                                \
    { "norm", SNN_CHOICE, ACTIVITY(distance), value, 0, 0, distance_names, "of the difference" }
#define WEIGHT(field)                                                                                                  \
    { "weight", SNN_REAL, field, "1", 0, 1e6, NULL, "factor of this term" }
#define BOUND(name, value, help)                                                                                       \
    { name, SNN_REAL, ACTIVITY(bound), value, 0, 1e9, NULL, help }

static const struct snn_key rate_keys[] = {
    SNN_KEY_NAME,
    BOUND("target", "0", "activity that costs nothing"),
    OF("neuron"),
    UNIT("rate"),
    REDUCTION("mean"),
    LAYERS,
    WEIGHT(ACTIVITY(weight)),
    {0},
};
static const struct snn_key upper_keys[] = {
    SNN_KEY_NAME,
    BOUND("bound", NULL, "activity up to which nothing is paid"),
    OF("layer"),
    UNIT("count"),
    DISTANCE("l2"),
    REDUCTION("mean"),
    LAYERS,
    WEIGHT(ACTIVITY(weight)),
    {0},
};
static const struct snn_key lower_keys[] = {
    SNN_KEY_NAME,
    BOUND("bound", NULL, "activity from which on nothing is paid"),
    OF("neuron"),
    UNIT("count"),
    DISTANCE("l2"),
    REDUCTION("mean"),
    LAYERS,
    WEIGHT(ACTIVITY(weight)),
    {0},
};
static const struct snn_key synops_keys[] = {
    SNN_KEY_NAME, {"target", SNN_REAL, ACTIVITY(bound), NULL, 1e-9, 1e15, NULL, "synaptic operations a sample"},
    LAYERS,       WEIGHT(ACTIVITY(weight)),
    {0},
};
#define MATCH(pattern)                                                                                                 \
    {"match", SNN_TEXT, WEIGHTS(match), pattern, 0, 0, NULL, "parameters, by pattern of their names"}, {               \
        "reduction", SNN_CHOICE, WEIGHTS(sum), "mean", 0, 0, reduction_names, "over the numbers of a parameter"        \
    }
static const struct snn_key weight_keys[] = {SNN_KEY_NAME, MATCH("\"*.weight\""), WEIGHT(WEIGHTS(weight)), {0}};
static const struct snn_key periodic_keys[] = {
    SNN_KEY_NAME,
    {"frequency", SNN_REAL, WEIGHTS(frequency), "20", 1e-3, 1e3, NULL, "omega: that of the layers"},
    MATCH("\"*.biper.weight\""),
    WEIGHT(WEIGHTS(weight)),
    {0},
};

const struct snn_regular_listing snn_regular_list[] = {
    {"rate_l1",
     "l1_rate_sparsity",
     "regulariser: mean over neurons of |rate - target|",
     rate_keys,
     false,
     {.distance = SNN_DISTANCE_L1},
     {0}},
    {"rate_l2",
     NULL,
     "regulariser: mean over neurons of (rate - target)^2",
     rate_keys,
     false,
     {.distance = SNN_DISTANCE_L2},
     {0}},
    {"upper_bound",
     "sparsity_reg",
     "regulariser: max(0, x - bound)^2, x the mean spike count of a layer (of its neurons: per: neuron)",
     upper_keys,
     false,
     {.side = SNN_SIDE_ABOVE},
     {0}},
    {"lower_bound",
     "silence_reg",
     "regulariser: mean over neurons of max(0, bound - x)^2, x the spike count (of a layer: per: layer)",
     lower_keys,
     false,
     {.side = SNN_SIDE_BELOW},
     {0}},
    {"synops",
     "SynOpLoss",
     "regulariser: ((S - target) / target)^2, S = spikes times fan-out over the layers (sinabs)",
     synops_keys,
     false,
     {.distance = SNN_DISTANCE_L2, .of = SNN_OF_NETWORK, .sum = 1},
     {0}},
    {"weight_l1",
     NULL,
     "regulariser: mean of |w| of each parameter, summed over them",
     weight_keys,
     true,
     {0},
     {.kind = SNN_WEIGHT_L1}},
    {"weight_l2",
     NULL,
     "regulariser: mean of w^2 of each parameter, summed over them",
     weight_keys,
     true,
     {0},
     {.kind = SNN_WEIGHT_L2}},
    {"periodic",
     NULL,
     "regulariser: mean of sin^2(omega w) of each parameter, summed over them (BiPer)",
     periodic_keys,
     true,
     {0},
     {.kind = SNN_WEIGHT_PERIODIC}},
    {0},
};

int snn_regular_read(struct snn_conf *node, int which, struct snn_regular *out) {
    const struct snn_regular_listing *l = &snn_regular_list[which];
    if (l->of_weights) {
        if (out->weights == SNN_WEIGHT_TERMS)
            return snn_conf_error(node, "a loss has at most %d terms over weights", SNN_WEIGHT_TERMS);
        struct snn_weight_term *term = &out->weight[out->weights++];
        *term = l->weight, term->config = node;
        return snn_conf_read(node, l->keys, term);
    }
    if (out->activities == SNN_ACTIVITY_TERMS)
        return snn_conf_error(node, "a loss has at most %d terms over activity", SNN_ACTIVITY_TERMS);
    struct snn_activity_term *term = &out->activity[out->activities++];
    *term = l->activity, term->config = node;
    return snn_conf_read(node, l->keys, term);
}

/* |x| of what is never negative is a sum over spikes, so that the parts of a recording may be looked at one by one. Its
 * slope is not: in a part without spikes it is that of |x| at 0, which is 0. */
bool snn_regular_is_stepwise(const struct snn_regular *regular) {
    for (int i = 0; i < regular->activities; ++i) {
        const struct snn_activity_term *term = &regular->activity[i];
        if (term->distance != SNN_DISTANCE_L1 || term->bound != 0 || term->of == SNN_OF_NETWORK) return false;
    }
    return true;
}

unsigned snn_regular_of_layer(const struct snn_regular *regular, const char *path, const char *title) {
    unsigned terms = 0;
    for (int i = 0; i < regular->activities; ++i)
        if (!fnmatch(regular->activity[i].layers, path, 0) || !fnmatch(regular->activity[i].layers, title, 0))
            terms |= 1u << i;
    return terms;
}
