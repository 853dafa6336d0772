/* SPDX-License-Identifier: Apache-2.0
 * layer.h - from the items of `model:` to nodes of the tape.
 *
 * A layer is a line in the table of layers.c: its keys, and a function that reads them, checks the shape it is given,
 * declares parameters and records its operations. */
#ifndef SNN_LAYER_H
#define SNN_LAYER_H

#include "autograd/loss.h"
#include "autograd/ops.h"
#include "core/config.h"
#include "layers/neuron.h"
#include "layers/ultra.h"

struct snn_bound { /* numbers of a layer that may be annealed */
    char *path;    /* in the config: "model.2.lif" */
    const struct snn_key *keys;
    void *options;
};

struct snn_layer { /* one built layer, for tables and metrics */
    char *path;    /* "model.2.lif"; copies made by `repeat` are numbered: "model.2.repeat.0.body.1.lif" */
    char *title;   /* `name:` if given, else the path */
    const char *type;
    struct snn_tensor *out;
    int first_node, nodes;
    ptrdiff_t parameters;
};

struct snn_watched {       /* a layer that terms over activity look at */
    struct snn_node *node; /* snn_watch */
    unsigned terms;        /* bits: which */
    bool written;          /* its slopes, by an earlier term of the present cut */
    double fan_out;        /* weights that a spike meets, on average over the layer's neurons */
};

struct snn_model {
    struct snn_params params;
    struct snn_tape tape;
    struct snn_layer *layer;
    struct snn_bound *bound;
    struct snn_watched *watched;
    void **owned; /* option structs */
    int layers, bounds, watches, owned_count, layer_room, bound_room, watched_room, owned_room;
    bool soft; /* some neuron's spikes are numbers, unless the model was built hard */
};

struct snn_model_input {
    int32_t C, H, W;     /* one step of one sample; H = W = 1 with C units for flat data */
    bool is_static;      /* the same frame at every step */
    bool is_sparse;      /* events */
    bool wants_grad;     /* of the loss with respect to the input (the gradient check asks for it) */
    double step_seconds; /* 0: bins have no known duration */
    bool hard;           /* neurons whose spikes are numbers in training give ones and zeros: for evaluation alone */
    int32_t steps;       /* of every sample; 0: not known before the data is read */
    const struct snn_loss *loss; /* whose terms over activity are recorded behind the layers they name; NULL: none */
    bool every_step;             /* what does not depend on time is worked out at every step all the same */
    struct snn_conf *psi;        /* a surrogate that all spiking layers get in the place of their own; NULL: none */
};

/* Build from the `model` list. SNN_EUSAGE errors are located in the config. `classes` > 0: the output must have that
 * many units. */
int snn_model_build(struct snn_conf *list, const struct snn_model_input *input, int32_t classes, struct snn_model *out);
void snn_model_free(struct snn_model *model);
/* Mark parameters whose name matches one of the patterns (`*` wildcards) as frozen. */
int snn_model_freeze(struct snn_model *model, struct snn_conf *patterns);
/* The numbers at a config path ("model.0.delay.sigma"), one a copy of the layer: calls `each` with a pointer to every
 * one. Returns how many. */
int snn_model_numbers(struct snn_model *model, const char *path, void (*each)(void *payload, double *number),
                      void *payload);
/* The key that such a number was read by, with its range; NULL: there is none. */
const struct snn_key *snn_model_number_key(const struct snn_model *model, const char *path);

/* ---- for layers ---- */

struct snn_builder {
    struct snn_model *model;
    struct snn_tensor *x; /* what the next layer reads */
    char path[512];       /* of the layer being built; parameters are named below it */
    double step_seconds;
    bool hard;     /* of snn_model_input */
    int32_t steps; /* as in the input */
    const struct snn_loss *loss;
    struct snn_conf *psi;
    uint32_t dropouts, noises; /* number the random streams */
};

struct snn_layer_ops {
    /* `alias`: other names, with blanks between. One that ends in 1d, 2d or 3d asks for that many axes after the
     * channels. */
    const char *name, *alias, *help;
    const struct snn_key *keys; /* the first key takes the value of the short form `NAME: VALUE` */
    /* `node` is the layer's map; `variant` the table's */
    int (*build)(struct snn_builder *b, struct snn_conf *node, int variant);
    int variant;
};
extern const struct snn_layer_ops snn_layers[]; /* ended by a NULL name */
/* Spiking layers that are more than one scan. */
extern const struct snn_layer_ops snn_composed_neurons[]; /* likewise */

/* Zeroed memory that lives as long as the model. */
void *snn_builder_options(struct snn_builder *b, size_t size);
/* Let `keys` of `options` be reached by `anneal` under the path of `node`. */
void snn_builder_bind(struct snn_builder *b, const struct snn_conf *node, const struct snn_key *keys, void *options);
/* Declare a parameter PATH.name. */
struct snn_param *snn_builder_param(struct snn_builder *b, const char *name, bool buffer, int nd, const int32_t *dim);
/* Build `list` from x, below PATH.`part`; b->x is what comes out. */
int snn_build_part(struct snn_builder *b, struct snn_conf *list, const char *part, struct snn_tensor *x);
/* Build the items of a list one after another; paths go on from b->path. */
int snn_build_list(struct snn_builder *b, struct snn_conf *list);

int snn_build_linear(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_biper(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_conv(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_axonal(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_delay(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_conv_delays(struct snn_builder *b, struct snn_conf *node, int variant);
enum { SNN_POOL_AVERAGE, SNN_POOL_MAX, SNN_POOL_SUM }; /* variants of snn_build_pool */
int snn_build_pool(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_adaptivepool(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_globalpool(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_voting(struct snn_builder *b, struct snn_conf *node, int variant);
enum { SNN_NORM_BATCH, SNN_NORM_TD, SNN_NORM_BNTT, SNN_NORM_TEBN };       /* variants of snn_build_batchnorm */
enum { SNN_NORM_LAYER, SNN_NORM_GROUP, SNN_NORM_INSTANCE, SNN_NORM_RMS }; /* and of snn_build_rownorm */
int snn_build_batchnorm(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_rownorm(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_scale(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_clamp(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_dropout(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_conv_transpose(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_temporal_conv(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_reshape(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_pad_channels(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_flatten(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_neuron(struct snn_builder *b, struct snn_conf *node, int variant);
/* Of layers that make membranes themselves: let `o`, whose keys were read and whose other numbers are 0, be a LIF
 * without leak and reset. `threshold` is the one that surrogates follow. */
int snn_firing_read(struct snn_builder *b, double threshold, struct snn_neuron_options *o);
int snn_build_slstm(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_ultra(struct snn_builder *b, struct snn_conf *node, int variant);
enum { SNN_PSN, SNN_PSN_MASKED, SNN_PSN_SLIDING }; /* variants of snn_build_parallel */
int snn_build_parallel(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_residual(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_concat(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_attention(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_temporal_attention(struct snn_builder *b, struct snn_conf *node, int variant);
int snn_build_repeat(struct snn_builder *b, struct snn_conf *node, int variant);
extern const struct snn_key snn_linear_keys[], snn_conv_keys[], snn_biper_keys[], snn_conv_transpose_keys[],
    snn_temporal_conv_keys[], snn_reshape_keys[], snn_delay_keys[], snn_conv_delay_keys[], snn_axonal_keys[],
    snn_shift_keys[], snn_pool_keys[], snn_adaptivepool_keys[], snn_globalpool_keys[], snn_voting_keys[],
    snn_batchnorm_keys[], snn_tdbn_keys[], snn_bntt_keys[], snn_tebn_keys[], snn_layernorm_keys[], snn_groupnorm_keys[],
    snn_instancenorm_keys[], snn_rmsnorm_keys[], snn_scale_keys[], snn_hardtanh_keys[], snn_dropout_keys[],
    snn_residual_keys[], snn_concat_keys[], snn_pad_channels_keys[], snn_attention_keys[],
    snn_temporal_attention_keys[], snn_repeat_keys[], snn_psn_keys[], snn_masked_psn_keys[], snn_sliding_psn_keys[],
    snn_slstm_keys[];

/* Initial values of a weight: the key `init`, a struct snn_conf * in the options. */
#define SNN_INIT_KEY(type)                                                                                             \
    {                                                                                                                  \
        "init", SNN_NODE, offsetof(type, init), "kaiming_uniform", 0, 0, NULL,                                         \
            "initial weights: NAME or {name, parameters}"                                                              \
    }
int snn_init_read(struct snn_conf *node, int32_t fan_in, int32_t fan_out, struct snn_param *weight);

/* What is made of a weight before it is used: the key `weight`, a struct snn_conf * in the options. */
#define SNN_WEIGHT_KEY(type)                                                                                           \
    {                                                                                                                  \
        "weight", SNN_NODE, offsetof(type, weight), "plain", 0, 0, NULL,                                               \
            "what is made of the parameter: NAME or {name, keys}, see `snntrain list weights`"                         \
    }
struct snn_weight_making;
struct snn_weight_kind {
    const char *name, *help;
    const struct snn_key *keys;
    int (*make)(struct snn_builder *b, struct snn_conf *node, const struct snn_weight_making *m, struct snn_param *w,
                struct snn_tensor **made);
};
extern const struct snn_weight_kind snn_weight_kinds[]; /* ended by a NULL name */
/* Of a parameter w whose initial values are settled and whose first axis counts outputs. *made: what the layer is to
 * use; NULL: w itself. */
int snn_weight_build(struct snn_builder *b, struct snn_conf *node, struct snn_param *w, struct snn_tensor **made);
/* Steps that a layer has numbers of its own for: the key `steps`. */
#define SNN_STEPS_KEY(type)                                                                                            \
    {                                                                                                                  \
        "steps", SNN_INT, offsetof(type, steps), "auto", 1, 1 << 16, snn_auto,                                         \
            "most steps of a recording; auto: data.timesteps"                                                          \
    }
extern const char *const snn_auto[];
/* Settle it: SNN_EUSAGE where nobody knows, or where recordings are known to have more. */
int snn_builder_steps(const struct snn_builder *b, const struct snn_conf *node, long long *steps);

struct snn_window { /* of a convolution, as its keys say */
    long long out, groups;
    struct snn_sizes kernel, stride, padding, dilation;
};
/* The shape of a convolution of b->x. */
int snn_window_read(const struct snn_builder *b, const struct snn_conf *node, const struct snn_window *w,
                    struct snn_conv_shape *s);
/* Declare its parameter `weight` (first, second, kernel). */
int snn_conv_weight(struct snn_builder *b, const struct snn_conf *node, const struct snn_conv_shape *s, int32_t first,
                    int32_t second, struct snn_conf *init, struct snn_param **w);

/* "(2,34,34)" into buffer */
const char *snn_shape_text(const struct snn_tensor *t, char buffer[48]);
/* What `key` of a layer says for each axis after the channels of b->x, which has some. */
int snn_axes_read(const struct snn_builder *b, const struct snn_conf *node, const char *key,
                  const struct snn_sizes *sizes, int32_t *out);

#endif
