/* SPDX-License-Identifier: Apache-2.0
 * layer_conv.c - convolution. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct conv_options {
    long long out, groups;
    int kernel[2], stride[2], padding[2], dilation[2];
    bool bias;
    struct snn_conf *init;
};
#define CONV(field) offsetof(struct conv_options, field)
const struct snn_key snn_conv_keys[] = {
    {"out", SNN_INT, CONV(out), NULL, 1, 1 << 16, NULL, "output channels"},
    {"kernel", SNN_PAIR, CONV(kernel), NULL, 1, 63, NULL, "size, or [height, width]"},
    {"stride", SNN_PAIR, CONV(stride), "1", 1, 64, NULL, "step of the window"},
    {"padding", SNN_PAIR, CONV(padding), "0", 0, 64, NULL, "zeros on each side"},
    {"dilation", SNN_PAIR, CONV(dilation), "1", 1, 64, NULL, "distance of the taps"},
    {"groups", SNN_INT, CONV(groups), "1", 1, 1 << 16, NULL, "channels are convolved in this many separate groups"},
    {"bias", SNN_BOOL, CONV(bias), "true", 0, 0, NULL, "add a learned bias by channel"},
    SNN_INIT_KEY(struct conv_options),
    {0},
};

int snn_build_conv(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct conv_options o;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_conv_keys, &o));
    if (b->x->nd != 3) return snn_conf_error(node, "needs an input (C,H,W), got %s", snn_shape_text(b->x, text));
    struct snn_conv_shape s = {
        .C = b->x->dim[0], .H = b->x->dim[1], .W = b->x->dim[2], .O = (int32_t)o.out, .groups = (int32_t)o.groups};
    for (int i = 0; i < 2; ++i)
        s.kernel[i] = o.kernel[i], s.stride[i] = o.stride[i], s.padding[i] = o.padding[i],
        s.dilation[i] = o.dilation[i];
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], s.dilation[0]);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], s.dilation[1]);
    if (s.C % s.groups || s.O % s.groups)
        return snn_conf_error(node, "%d input and %d output channels do not divide into %d groups", (int)s.C, (int)s.O,
                              (int)s.groups);
    if (s.OH < 1 || s.OW < 1)
        return snn_conf_error(node, "the kernel does not fit into %s", snn_shape_text(b->x, text));
    int32_t dim[4] = {s.O, s.C / s.groups, s.kernel[0], s.kernel[1]};
    if ((double)dim[0] * dim[1] * dim[2] * dim[3] > 1 << 28)
        return snn_conf_error(node, "the kernel has too many weights");
    int32_t fan_in = dim[1] * dim[2] * dim[3], fan_out = dim[0] / s.groups * dim[2] * dim[3];
    struct snn_param *w = snn_builder_param(b, "weight", false, 4, dim),
                     *bias = o.bias ? snn_builder_param(b, "bias", false, 1, dim) : NULL;
    SNN_TRY(snn_init_read(o.init, fan_in, fan_out, w));
    if (bias) bias->bound = 1 / sqrt(fan_in);
    b->x = snn_conv2d(&b->model->tape, b->path, b->x, &s, w, bias);
    return SNN_OK;
}
