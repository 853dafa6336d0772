/* SPDX-License-Identifier: Apache-2.0
 * layer_norm_rows.c - normalisation of each step of each sample by itself. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct row_options {
    struct snn_row_norm_options norm;
    long long groups;
    bool affine;
};
#define AT(field) offsetof(struct row_options, field)
#define EPS                                                                                                            \
    { "eps", SNN_REAL, AT(norm.eps), "1e-5", 1e-12, 1, NULL, "added to the variance" }

const struct snn_key snn_layernorm_keys[] = {
    EPS,
    {"affine", SNN_BOOL, AT(affine), "true", 0, 0, NULL, "learn a factor and a summand for every unit"},
    {0},
};
const struct snn_key snn_groupnorm_keys[] = {
    {"groups", SNN_INT, AT(groups), NULL, 1, 1 << 16, NULL, "of neighbouring channels; must divide them"},
    EPS,
    {"affine", SNN_BOOL, AT(affine), "true", 0, 0, NULL, "learn a factor and a summand by channel"},
    {0},
};
const struct snn_key snn_instancenorm_keys[] = {
    EPS,
    {"affine", SNN_BOOL, AT(affine), "false", 0, 0, NULL, "learn a factor and a summand by channel"},
    {0},
};
const struct snn_key snn_rmsnorm_keys[] = {
    EPS,
    {"affine", SNN_BOOL, AT(affine), "true", 0, 0, NULL, "learn a factor for every unit"},
    {0},
};

int snn_build_rownorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    static const struct snn_key *const keys[] = {snn_layernorm_keys, snn_groupnorm_keys, snn_instancenorm_keys,
                                                 snn_rmsnorm_keys};
    struct row_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, keys[variant], o));
    int32_t channels = b->x->dim[0];
    char text[48];
    if (variant == SNN_NORM_INSTANCE) {
        if (b->x->units == channels)
            return snn_conf_error(node, "needs several places a channel, got %s: use layernorm",
                                  snn_shape_text(b->x, text));
        o->groups = channels;
    } else if (variant != SNN_NORM_GROUP) o->groups = 1;
    if (channels % o->groups)
        return snn_conf_error(node, "groups: %d channels do not divide into %lld", (int)channels, o->groups);
    if (b->x->units / o->groups < 2)
        return snn_conf_error(node, "groups: %lld of one unit each: nothing would be left", o->groups);
    o->norm.groups = (int32_t)o->groups, o->norm.centred = variant != SNN_NORM_RMS;
    o->norm.by_channel = variant == SNN_NORM_GROUP || variant == SNN_NORM_INSTANCE;
    int nd = o->norm.by_channel ? 1 : b->x->nd;
    struct snn_param *w = o->affine ? snn_builder_param(b, "weight", false, nd, b->x->dim) : NULL;
    struct snn_param *bias = o->affine && o->norm.centred ? snn_builder_param(b, "bias", false, nd, b->x->dim) : NULL;
    if (w) w->fill = 1;
    b->x = snn_row_norm(&b->model->tape, b->path, b->x, &o->norm, w, bias);
    return SNN_OK;
}
