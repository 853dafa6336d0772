/* SPDX-License-Identifier: Apache-2.0
 * delays.h - what layers whose synapses have delays have in common: their keys and parameters (autograd/delay.h). */
#ifndef SNN_DELAYS_H
#define SNN_DELAYS_H

#include "layers/layer.h"

struct snn_delays {
    struct snn_delay_options of;
    long long count;
    bool learn, learn_sigma;
    struct snn_conf *init, *position;
};
extern const char *const snn_half[];
/* Keys into the struct snn_delays `f` of a layer's options; `versions`: words, the first as in enum snn_delay_version.
 */
#define SNN_DELAYS_KEYS(type, f, versions)                                                                             \
    {                                                                                                                  \
        "count",                                                                                                       \
        SNN_INT,                                                                                                       \
        offsetof(type, f.count),                                                                                       \
        "1",                                                                                                           \
        1,                                                                                                             \
        64,                                                                                                            \
        NULL,                                                                                                          \
        "elements (a weight and a delay each) of a synapse"},                                                          \
        {"version",                                                                                                    \
         SNN_CHOICE,                                                                                                   \
         offsetof(type, f.of.version),                                                                                 \
         "gauss",                                                                                                      \
         0,                                                                                                            \
         0,                                                                                                            \
         versions,                                                                                                     \
         "shape of an element: a bell, a triangle as wide as sigma + 1, one of width 1, or two taps"},                 \
        {"sigma",                                                                                                      \
         SNN_REAL,                                                                                                     \
         offsetof(type, f.of.sigma),                                                                                   \
         "half",                                                                                                       \
         0,                                                                                                            \
         1e6,                                                                                                          \
         snn_half,                                                                                                     \
         "width of elements, may be annealed; half: of the steps with gauss, 0 with max"},                             \
        {"learn_sigma",                                                                                                \
         SNN_BOOL,                                                                                                     \
         offsetof(type, f.learn_sigma),                                                                                \
         "false",                                                                                                      \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "a width for every element, which is learned"},                                                               \
        {"learn",                                                                                                      \
         SNN_BOOL,                                                                                                     \
         offsetof(type, f.learn),                                                                                      \
         "true",                                                                                                       \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "false: positions stay as drawn, rounded to whole steps"},                                                    \
        {"round",                                                                                                      \
         SNN_BOOL,                                                                                                     \
         offsetof(type, f.of.round),                                                                                   \
         "true",                                                                                                       \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "evaluate with positions rounded to whole steps"},                                                            \
        {"init",                                                                                                       \
         SNN_NODE,                                                                                                     \
         offsetof(type, f.init),                                                                                       \
         "kaiming_uniform",                                                                                            \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "initial weights: NAME or {name, parameters}"},                                                               \
    {                                                                                                                  \
        "position", SNN_NODE, offsetof(type, f.position), "snn_delays", 0, 0, NULL,                                    \
            "initial positions: NAME or {name, parameters}"                                                            \
    }

/* Are the keys of the time axis right? `taps`: the key of a kernel of so many steps. */
int snn_delays_judge(const struct snn_builder *b, struct snn_conf *node, const struct snn_delays *d, const char *key,
                     long long taps);
struct snn_delay_params {
    struct snn_param *weight, *position, *width; /* width NULL: the options' sigma */
};
struct snn_delay_dims { /* (out, in/groups, ..., count); positions and widths may have an axis of 1 before that */
    int nd;
    const int32_t *dim;
};
/* Declare weight, position and, if it is learned, sigma; `keys` and `options`: what `d` was read by, for `anneal`. */
int snn_delays_params(struct snn_builder *b, struct snn_conf *node, const struct snn_key *keys, void *options,
                      struct snn_delays *d, const struct snn_delay_shape *s, struct snn_delay_dims weight,
                      struct snn_delay_dims position, int32_t fan_out, struct snn_delay_params *p);

#endif
