/* SPDX-License-Identifier: Apache-2.0
 * layer_conv.c - convolution over as many axes as the input has after its channels, and the transposed one. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct conv_options {
    struct snn_window window;
    struct snn_sizes output_padding;
    bool bias;
    struct snn_conf *init, *weight;
};
#define CONV(field) offsetof(struct conv_options, field)
#define CONV_WINDOW                                                                                                    \
    {"out", SNN_INT, CONV(window.out), NULL, 1, 1 << 16, NULL, "output channels"},                                     \
        {"kernel", SNN_SIZES, CONV(window.kernel), NULL, 1, 63, NULL, "size, or one an axis: [height, width]"},        \
        {"stride", SNN_SIZES, CONV(window.stride), "1", 1, 64, NULL, "step of the window"},                            \
        {"padding", SNN_SIZES, CONV(window.padding), "0", 0, 64, NULL, "zeros on each side"}, {                        \
        "dilation", SNN_SIZES, CONV(window.dilation), "1", 1, 64, NULL, "distance of the taps"                         \
    }
#define CONV_REST                                                                                                      \
    {"groups",                                                                                                         \
     SNN_INT,                                                                                                          \
     CONV(window.groups),                                                                                              \
     "1",                                                                                                              \
     1,                                                                                                                \
     1 << 16,                                                                                                          \
     NULL,                                                                                                             \
     "channels are convolved in this many separate groups"},                                                           \
        {"bias", SNN_BOOL, CONV(bias), "true", 0, 0, NULL, "add a learned bias by channel"},                           \
        SNN_INIT_KEY(struct conv_options), {0},

const struct snn_key snn_conv_keys[] = {CONV_WINDOW, SNN_WEIGHT_KEY(struct conv_options), CONV_REST};
const struct snn_key snn_conv_transpose_keys[] = {CONV_WINDOW,
                                                  {"output_padding", SNN_SIZES, CONV(output_padding), "0", 0, 63, NULL,
                                                   "more pixels at the end of each axis; less than stride or dilation"},
                                                  CONV_REST};

/* Keys to the first axes of a shape, which snn_conv_complete brings to their places. */
static int read_window(const struct snn_builder *b, const struct snn_conf *node, const struct snn_window *w,
                       struct snn_conv_shape *s) {
    char text[48];
    if (b->x->nd < 2)
        return snn_conf_error(node, "needs an input (C,L), (C,H,W) or (C,D,H,W), got %s: `- reshape: [C, L]` makes one",
                              snn_shape_text(b->x, text));
    *s = (struct snn_conv_shape){.groups = (int32_t)w->groups};
    SNN_TRY(snn_axes_read(b, node, "kernel", &w->kernel, s->kernel));
    SNN_TRY(snn_axes_read(b, node, "stride", &w->stride, s->stride));
    SNN_TRY(snn_axes_read(b, node, "padding", &w->padding, s->padding));
    SNN_TRY(snn_axes_read(b, node, "dilation", &w->dilation, s->dilation));
    int32_t in = b->x->dim[0], out = (int32_t)w->out;
    if (in % s->groups || out % s->groups)
        return snn_conf_error(node, "%d input and %d output channels do not divide into %d groups", (int)in, (int)out,
                              (int)s->groups);
    if (b->x->nd == 4 && s->kernel[0] * s->kernel[1] > SNN_CONV_TAP_ROWS)
        return snn_conf_error(snn_conf_get(node, "kernel"),
                              "depth times height of the kernel are %d, at most %d can be",
                              (int)(s->kernel[0] * s->kernel[1]), (int)SNN_CONV_TAP_ROWS);
    return SNN_OK;
}

int snn_window_read(const struct snn_builder *b, const struct snn_conf *node, const struct snn_window *w,
                    struct snn_conv_shape *s) {
    char text[48];
    SNN_TRY(read_window(b, node, w, s));
    s->C = b->x->dim[0], s->O = (int32_t)w->out;
    snn_conv_complete(s, b->x->nd - 1, b->x->dim + 1);
    if (s->OD < 1 || s->OH < 1 || s->OW < 1)
        return snn_conf_error(node, "the kernel does not fit into %s", snn_shape_text(b->x, text));
    return SNN_OK;
}

int snn_conv_weight(struct snn_builder *b, const struct snn_conf *node, const struct snn_conv_shape *s, int32_t first,
                    int32_t second, struct snn_conf *init, struct snn_param **w) {
    int32_t dim[SNN_CONV_AXES + 2] = {first, second}, taps = (int32_t)snn_conv_taps(s);
    for (int i = 1; i < b->x->nd; ++i) dim[i + 1] = s->kernel[SNN_CONV_AXES - b->x->nd + i];
    if ((double)first * second * taps > 1 << 28) return snn_conf_error(node, "the kernel has too many weights");
    *w = snn_builder_param(b, "weight", false, b->x->nd + 1, dim);
    return snn_init_read(init, second * taps, first / s->groups * taps, *w);
}

/* weight (first, second, kernel), bias (channels) or NULL */
static int make_parameters(struct snn_builder *b, struct snn_conf *node, const struct conv_options *o,
                           const struct snn_conv_shape *s, int32_t first, int32_t second, struct snn_param **w,
                           struct snn_param **bias) {
    int32_t channels = (int32_t)o->window.out;
    SNN_TRY(snn_conv_weight(b, node, s, first, second, o->init, w));
    *bias = o->bias ? snn_builder_param(b, "bias", false, 1, &channels) : NULL;
    if (*bias) (*bias)->bound = 1 / sqrt((double)second * (double)snn_conv_taps(s));
    return SNN_OK;
}

int snn_build_conv(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct conv_options o;
    struct snn_conv_shape s;
    struct snn_param *w, *bias;
    struct snn_tensor *made;
    struct snn_tape *tape = &b->model->tape;
    SNN_TRY(snn_conf_read(node, snn_conv_keys, &o));
    SNN_TRY(snn_window_read(b, node, &o.window, &s));
    SNN_TRY(make_parameters(b, node, &o, &s, s.O, s.C / s.groups, &w, &bias));
    SNN_TRY(snn_weight_build(b, o.weight, w, &made));
    b->x = made ? snn_conv_with(tape, b->path, b->x, &s, made, bias) : snn_conv(tape, b->path, b->x, &s, w, bias);
    return SNN_OK;
}

/* Output size of one axis: (n-1) s - 2p + d(k-1) + 1 + output padding. The convolution that goes the other way makes n
 * of it, or more, which are not wanted, when the output padding reaches the stride. */
int snn_build_conv_transpose(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct conv_options o;
    struct snn_conv_shape s;
    struct snn_param *w, *bias;
    int32_t more[SNN_CONV_AXES], out[SNN_CONV_AXES];
    int axes = b->x->nd - 1;
    const int32_t *in = b->x->dim + 1;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_conv_transpose_keys, &o));
    SNN_TRY(read_window(b, node, &o.window, &s));
    SNN_TRY(snn_axes_read(b, node, "output_padding", &o.output_padding, more));
    double units = (double)o.window.out;
    for (int i = 0; i < axes; ++i) {
        int32_t most = s.stride[i] > s.dilation[i] ? s.stride[i] : s.dilation[i];
        if (more[i] >= most)
            return snn_conf_error(snn_conf_get(node, "output_padding"),
                                  "%d is not less than the stride %d or the dilation %d", (int)more[i],
                                  (int)s.stride[i], (int)s.dilation[i]);
        double size =
            (in[i] - 1.0) * s.stride[i] - 2.0 * s.padding[i] + s.dilation[i] * (s.kernel[i] - 1.0) + 1 + more[i];
        if (size < 1)
            return snn_conf_error(node, "nothing is left of %s after the padding", snn_shape_text(b->x, text));
        if ((units *= size) > INT32_MAX / 64.0)
            return snn_conf_error(node, "makes %.0f units a step or more: too many", units);
        out[i] = (int32_t)size;
    }
    s.O = b->x->dim[0], s.C = (int32_t)o.window.out;
    snn_conv_complete(&s, axes, out);
    int32_t *const back[] = {&s.OD, &s.OH, &s.OW};
    for (int i = 0; i < axes; ++i) *back[SNN_CONV_AXES - axes + i] = in[i];
    SNN_TRY(make_parameters(b, node, &o, &s, s.O, s.C / s.groups, &w, &bias));
    b->x = snn_conv_transpose(&b->model->tape, b->path, b->x, &s, w, bias);
    return SNN_OK;
}
