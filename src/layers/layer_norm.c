/* SPDX-License-Identifier: Apache-2.0
 * layer_norm.c - batch normalisation and what was made of it for networks that live in time. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct batch_options {
    struct snn_norm_options norm; /* first: the operation reads it through a pointer to all */
    int affine;
    double alpha, threshold;
    long long steps;
};
#define AT(field) offsetof(struct batch_options, field)

enum affine { AFFINE, PLAIN, WEIGHT };
static const char *const affine_names[] = {"true", "false", "weight", NULL};
static const char *const over_names[] = {"step", "joint", NULL};

#define EPS                                                                                                            \
    { "eps", SNN_REAL, AT(norm.eps), "1e-5", 1e-12, 1, NULL, "added to the variance" }
#define MOMENTUM                                                                                                       \
    { "momentum", SNN_REAL, AT(norm.momentum), "0.1", 0, 1, NULL, "share of the new statistics in the running ones" }
#define AFFINE_KEY                                                                                                     \
    {                                                                                                                  \
        "affine", SNN_CHOICE, AT(affine), "true", 0, 0, affine_names,                                                  \
            "learn a factor and a summand by channel; weight: the factor alone"                                        \
    }

const struct snn_key snn_batchnorm_keys[] = {
    {"over", SNN_CHOICE, AT(norm.over), "step", 0, 0, over_names, "statistics over one step (B) or all steps (T*B)"},
    EPS,
    MOMENTUM,
    AFFINE_KEY,
    {0},
};
const struct snn_key snn_tdbn_keys[] = {
    {"threshold", SNN_REAL, AT(threshold), "1", 1e-6, 1e6, NULL, "of the neurons behind it"},
    {"alpha", SNN_REAL, AT(alpha), "1", 0, 1e6, NULL,
     "the factors begin as alpha * threshold; 1/sqrt(2) where two branches meet"},
    EPS,
    MOMENTUM,
    {0},
};
const struct snn_key snn_bntt_keys[] = {
    SNN_STEPS_KEY(struct batch_options), EPS, MOMENTUM, AFFINE_KEY, {0},
};
const struct snn_key snn_tebn_keys[] = {
    SNN_STEPS_KEY(struct batch_options), EPS, MOMENTUM, AFFINE_KEY, {0},
};

int snn_build_batchnorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    static const struct snn_key *const keys[] = {snn_batchnorm_keys, snn_tdbn_keys, snn_bntt_keys, snn_tebn_keys};
    struct batch_options *o = snn_builder_options(b, sizeof *o);
    o->alpha = o->threshold = 1;
    SNN_TRY(snn_conf_read(node, keys[variant], o));
    bool by_step = variant == SNN_NORM_BNTT || variant == SNN_NORM_TEBN;
    if (by_step) SNN_TRY(snn_builder_steps(b, node, &o->steps));
    if (variant != SNN_NORM_BATCH)
        o->norm.over = variant == SNN_NORM_BNTT ? SNN_NORM_OVER_OWN_STEP : SNN_NORM_OVER_JOINT;
    int32_t dim[2] = {(int32_t)o->steps, b->x->dim[0]};
    int first = variant != SNN_NORM_BNTT, nd = 2 - first;
    struct snn_param *w = o->affine != PLAIN ? snn_builder_param(b, "weight", false, nd, dim + first) : NULL,
                     *bias = o->affine == AFFINE ? snn_builder_param(b, "bias", false, nd, dim + first) : NULL;
    struct snn_param *scale = variant == SNN_NORM_TEBN ? snn_builder_param(b, "scale", false, 1, dim) : NULL;
    struct snn_param *mean = snn_builder_param(b, "running_mean", true, nd, dim + first),
                     *var = snn_builder_param(b, "running_var", true, nd, dim + first);
    if (w) w->fill = o->alpha * o->threshold;
    var->fill = 1;
    b->x = snn_batch_norm(&b->model->tape, b->path, b->x, &o->norm, w, bias, mean, var);
    if (!scale) return SNN_OK;
    scale->fill = 1;
    b->x = snn_scale(&b->model->tape, b->path, b->x, SNN_BY_STEP, scale, NULL);
    return SNN_OK;
}
