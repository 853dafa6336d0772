/* SPDX-License-Identifier: Apache-2.0
 * layer_scale.c - factors, and functions of one number that are no neurons. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct scale_options {
    double value;
    bool learn;
    int by;
    long long steps;
};
#define AT(field) offsetof(struct scale_options, field)
static const char *const by_names[] = {"one", "channel", "step", NULL};

const struct snn_key snn_scale_keys[] = {
    {"value", SNN_REAL, AT(value), "1", -1e6, 1e6, NULL, "the factor, or what it begins with"},
    {"learn", SNN_BOOL, AT(learn), "false", 0, 0, NULL, "is it a parameter?"},
    {"by", SNN_CHOICE, AT(by), "one", 0, 0, by_names, "learned: one factor for all, one a channel or one a step"},
    SNN_STEPS_KEY(struct scale_options),
    {0},
};

int snn_build_scale(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct scale_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_scale_keys, o));
    if (!o->learn && o->by != SNN_BY_ONE)
        return snn_conf_key_error(node, snn_conf_get(node, "by"), "by: %s is for learned factors (learn: true)",
                                  by_names[o->by]);
    if (o->by == SNN_BY_STEP) SNN_TRY(snn_builder_steps(b, node, &o->steps));
    struct snn_param *factor = NULL;
    if (o->learn) {
        int32_t count = o->by == SNN_BY_ONE ? 1 : o->by == SNN_BY_STEP ? (int32_t)o->steps : b->x->dim[0];
        factor = snn_builder_param(b, "scale", false, 1, &count);
        factor->fill = o->value;
    } else {
        snn_builder_bind(b, node, snn_scale_keys, o);
    }
    b->x = snn_scale(&b->model->tape, b->path, b->x, (enum snn_scale_by)o->by, factor, &o->value);
    return SNN_OK;
}

const struct snn_key snn_hardtanh_keys[] = {
    {"low", SNN_REAL, offsetof(struct snn_clamp_options, low), "-1", -1e6, 1e6, NULL, "the least output"},
    {"high", SNN_REAL, offsetof(struct snn_clamp_options, high), "1", -1e6, 1e6, NULL, "the largest output"},
    {0},
};
static const struct snn_key no_keys[] = {{0}};

int snn_build_clamp(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct snn_clamp_options *o = snn_builder_options(b, sizeof *o);
    o->high = INFINITY;
    SNN_TRY(snn_conf_read(node, variant ? no_keys : snn_hardtanh_keys, o));
    if (o->low >= o->high) return snn_conf_error(node, "low: %g must be below high: %g", o->low, o->high);
    b->x = snn_clamp(&b->model->tape, b->path, b->x, o);
    return SNN_OK;
}
