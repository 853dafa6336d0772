/* SPDX-License-Identifier: Apache-2.0
 * layer_norm.c - normalisation. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

static const char *const over_names[] = {"step", "joint", NULL};
const struct snn_key snn_batchnorm_keys[] = {
    {"over", SNN_CHOICE, offsetof(struct snn_norm_options, over), "step", 0, 0, over_names,
     "statistics over one step (B) or all steps (T*B)"},
    {"eps", SNN_REAL, offsetof(struct snn_norm_options, eps), "1e-5", 1e-12, 1, NULL, "added to the variance"},
    {"momentum", SNN_REAL, offsetof(struct snn_norm_options, momentum), "0.1", 0, 1, NULL,
     "share of the new statistics in the running ones"},
    {0},
};
const struct snn_key snn_layernorm_keys[] = {
    {"eps", SNN_REAL, offsetof(struct snn_norm_options, eps), "1e-5", 1e-12, 1, NULL, "added to the variance"},
    {0},
};

int snn_build_batchnorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_norm_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_batchnorm_keys, o));
    struct snn_param *w = snn_builder_param(b, "weight", false, 1, b->x->dim),
                     *bias = snn_builder_param(b, "bias", false, 1, b->x->dim);
    struct snn_param *mean = snn_builder_param(b, "running_mean", true, 1, b->x->dim),
                     *var = snn_builder_param(b, "running_var", true, 1, b->x->dim);
    w->fill = var->fill = 1;
    b->x = snn_batch_norm(&b->model->tape, b->path, b->x, o, w, bias, mean, var);
    return SNN_OK;
}

int snn_build_layernorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_norm_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_layernorm_keys, o));
    struct snn_param *w = snn_builder_param(b, "weight", false, b->x->nd, b->x->dim),
                     *bias = snn_builder_param(b, "bias", false, b->x->nd, b->x->dim);
    w->fill = 1;
    b->x = snn_layer_norm(&b->model->tape, b->path, b->x, o, w, bias);
    return SNN_OK;
}
