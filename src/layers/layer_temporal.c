/* SPDX-License-Identifier: Apache-2.0
 * layer_temporal.c - convolution over time: of each channel with itself, or fully connected, which is a layer of
 * synapses with delays (autograd/delay.h) that has an element at every tap. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct temporal_options {
    long long kernel, dilation, out, groups;
    bool bias;
    struct snn_conf *init;
};
#define TEMPORAL(field) offsetof(struct temporal_options, field)
static const char *const none[] = {"none", NULL};
const struct snn_key snn_temporal_conv_keys[] = {
    {"kernel", SNN_INT, TEMPORAL(kernel), NULL, 1, 255, NULL, "steps that it sees, the present one among them"},
    {"dilation", SNN_INT, TEMPORAL(dilation), "1", 1, 1024, NULL, "distance of those steps"},
    {"out", SNN_INT, TEMPORAL(out), "none", 1, 1 << 20, none,
     "units, each of all inputs; none: each channel by itself"},
    {"groups", SNN_INT, TEMPORAL(groups), "1", 1, 1 << 20, NULL, "with out: units in this many separate groups"},
    {"bias", SNN_BOOL, TEMPORAL(bias), "true", 0, 0, NULL, "add a learned bias by channel or unit"},
    SNN_INIT_KEY(struct temporal_options),
    {0},
};

enum { MOST_TAPS = 4095 };

static int build_full(struct snn_builder *b, struct snn_conf *node, const struct temporal_options *o) {
    char text[48];
    struct snn_delay_shape s = {.in = b->x->dim[0],
                                .out = (int32_t)o->out,
                                .groups = (int32_t)o->groups,
                                .taps = (int32_t)((o->kernel - 1) * o->dilation + 1),
                                .count = (int32_t)o->kernel};
    if (b->x->nd != 1)
        return snn_conf_error(node, "out needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, text));
    if (s.in % s.groups || s.out % s.groups)
        return snn_conf_error(snn_conf_get(node, "groups"), "%d inputs and %d outputs do not divide into %d groups",
                              (int)s.in, (int)s.out, (int)s.groups);
    if (s.taps > MOST_TAPS)
        return snn_conf_error(snn_conf_get(node, "dilation"),
                              "the kernel reaches over %d steps, at most %d can be with out", (int)s.taps, MOST_TAPS);
    if ((double)s.out * s.in / s.groups * s.taps > 1 << 28)
        return snn_conf_error(node, "%d x %d weights over %d steps are too many", (int)s.out, (int)(s.in / s.groups),
                              (int)s.taps);
    struct snn_delay_options *delays = snn_builder_options(b, sizeof *delays);
    *delays = (struct snn_delay_options){.version = SNN_DELAY_V0};
    int32_t dim[4] = {1, s.out, s.in / s.groups, s.count}, fan_in = dim[2] * s.count;
    struct snn_param *w = snn_builder_param(b, "weight", false, 3, dim + 1),
                     *position = snn_builder_param(b, "position", true, 4, dim);
    SNN_TRY(snn_init_read(o->init, fan_in, s.out / s.groups * s.count, w));
    position->fill = -(s.taps / 2), position->ramp = (double)o->dilation;
    b->x = snn_delay(&b->model->tape, b->path, b->x, &s, delays, w, position, NULL, 0);
    if (!o->bias) return SNN_OK;
    struct snn_param *bias = snn_builder_param(b, "bias", false, 1, &s.out);
    bias->bound = 1 / sqrt((double)fan_in);
    b->x = snn_bias(&b->model->tape, b->path, b->x, bias);
    return SNN_OK;
}

int snn_build_temporal_conv(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct temporal_options o;
    SNN_TRY(snn_conf_read(node, snn_temporal_conv_keys, &o));
    if (b->x->is_static)
        return snn_conf_error(node, "its input is the same at every step: put it after a spiking layer");
    long long reach = 1 + (o.kernel - 1) * o.dilation;
    if (b->steps && reach > b->steps)
        return snn_conf_error(snn_conf_get(node, "kernel"),
                              "reaches over %lld steps, expected at most the %d of a sample (data.timesteps)", reach,
                              (int)b->steps);
    if (o.out > 0) return build_full(b, node, &o);
    if (o.groups != 1)
        return snn_conf_error(snn_conf_get(node, "groups"),
                              "takes effect with out only: without it each channel is by itself");
    int32_t dim[3] = {b->x->dim[0], 1, (int32_t)o.kernel};
    struct snn_param *w = snn_builder_param(b, "weight", false, 3, dim),
                     *bias = o.bias ? snn_builder_param(b, "bias", false, 1, dim) : NULL;
    SNN_TRY(snn_init_read(o.init, dim[2], dim[2], w));
    if (bias) bias->bound = 1 / sqrt((double)dim[2]);
    b->x = snn_temporal_conv(&b->model->tape, b->path, b->x, (int32_t)o.dilation, w, bias);
    return SNN_OK;
}
