/* SPDX-License-Identifier: Apache-2.0
 * layer_pool.c - averages, sums and maxima: over windows, down to a given size, over all places, and over groups of
 * outputs that vote for a class. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

/* (C,L) is an image of one line. */
static int image_of(const struct snn_builder *b, const struct snn_conf *node, struct snn_pool_shape *s) {
    const struct snn_tensor *x = b->x;
    char text[48];
    if (x->nd != 2 && x->nd != 3)
        return snn_conf_error(node, "needs an input (C,H,W) or (C,L), got %s", snn_shape_text(x, text));
    s->C = x->dim[0], s->H = x->nd == 3 ? x->dim[1] : 1, s->W = x->dim[x->nd - 1];
    return SNN_OK;
}

static void record(struct snn_builder *b, bool maximum, const struct snn_pool_shape *s) {
    int32_t dim[3] = {s->C, s->OH, s->OW};
    if (b->x->nd == 2) dim[1] = s->OW;
    b->x = (maximum ? snn_max_pool : snn_average_pool)(&b->model->tape, b->path, b->x, s, b->x->nd, dim);
}

/* ---- windows ---- */

struct pool_options {
    int kernel[2], stride[2], padding[2];
};
const struct snn_key snn_pool_keys[] = {
    {"kernel", SNN_PAIR, offsetof(struct pool_options, kernel), NULL, 1, 15, NULL,
     "window, or [height, width]; of (C,L) its length"},
    {"stride", SNN_PAIR, offsetof(struct pool_options, stride), "0", 0, 64, NULL,
     "step of the window; 0: the window's size"},
    {"padding", SNN_PAIR, offsetof(struct pool_options, padding), "0", 0, 7, NULL,
     "on each side, at most half the window; averages count it as zeros"},
    {0},
};

int snn_build_pool(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct pool_options o;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_pool_keys, &o));
    struct snn_pool_shape s = {.sum = variant == SNN_POOL_SUM};
    SNN_TRY(image_of(b, node, &s));
    if (b->x->nd == 2) {
        if (o.kernel[0] != o.kernel[1] || o.stride[0] != o.stride[1] || o.padding[0] != o.padding[1])
            return snn_conf_error(node, "%s has one axis: give one number", snn_shape_text(b->x, text));
        o.kernel[0] = o.stride[0] = 1, o.padding[0] = 0;
    }
    for (int i = 0; i < 2; ++i) {
        s.kernel[i] = o.kernel[i], s.stride[i] = o.stride[i] ? o.stride[i] : o.kernel[i], s.padding[i] = o.padding[i];
        if (2 * o.padding[i] > o.kernel[i])
            return snn_conf_error(node, "padding %d is over half the window %d", o.padding[i], o.kernel[i]);
    }
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], 1);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], 1);
    if (s.OH < 1 || s.OW < 1)
        return snn_conf_error(node, "the window does not fit into %s", snn_shape_text(b->x, text));
    record(b, variant == SNN_POOL_MAX, &s);
    return SNN_OK;
}

/* ---- a given size ---- */

struct size_options {
    int out[2];
};
const struct snn_key snn_adaptivepool_keys[] = {
    {"out", SNN_PAIR, offsetof(struct size_options, out), NULL, 1, 1024, NULL,
     "windows that divide the image, or [down, across]; more than it has places repeat them"},
    {0},
};

int snn_build_adaptivepool(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct size_options o;
    char text[48];
    (void)variant;
    SNN_TRY(snn_conf_read(node, snn_adaptivepool_keys, &o));
    struct snn_pool_shape s = {.OH = o.out[0], .OW = o.out[1]};
    SNN_TRY(image_of(b, node, &s));
    if (b->x->nd == 2 && o.out[0] != o.out[1])
        return snn_conf_error(node, "%s has one axis: give one number", snn_shape_text(b->x, text));
    if (b->x->nd == 2) s.OH = 1;
    if ((int64_t)(s.H + 1) * (s.OH + 1) > INT32_MAX || (int64_t)(s.W + 1) * (s.OW + 1) > INT32_MAX)
        return snn_conf_error(node, "%d by %d windows of %s are too many", o.out[0], o.out[1],
                              snn_shape_text(b->x, text));
    snn_pool_divide(&s);
    record(b, false, &s);
    return SNN_OK;
}

/* ---- all places ---- */

struct global_options {
    int of;
};
static const char *const of_names[] = {"avg", "max", "sum", NULL};
const struct snn_key snn_globalpool_keys[] = {
    {"of", SNN_CHOICE, offsetof(struct global_options, of), "avg", 0, 0, of_names, "what is made of a channel"},
    {0},
};

int snn_build_globalpool(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct global_options o;
    char text[48];
    (void)variant;
    SNN_TRY(snn_conf_read(node, snn_globalpool_keys, &o));
    const struct snn_tensor *x = b->x;
    if (x->nd < 2)
        return snn_conf_error(node, "needs an input of channels and places, got %s", snn_shape_text(x, text));
    ptrdiff_t places = x->units / x->dim[0];
    if (o.of == SNN_POOL_MAX && places > SNN_POOL_MOST_TAPS)
        return snn_conf_error(node, "of: max takes channels of up to %d places, got %s", SNN_POOL_MOST_TAPS,
                              snn_shape_text(x, text));
    struct snn_pool_shape s = {
        .C = x->dim[0], .H = 1, .W = (int32_t)places, .OH = 1, .OW = 1, .sum = o.of == SNN_POOL_SUM};
    snn_pool_divide(&s);
    b->x = (o.of == SNN_POOL_MAX ? snn_max_pool : snn_average_pool)(&b->model->tape, b->path, b->x, &s, 1, x->dim);
    return SNN_OK;
}

/* ---- votes ---- */

struct voting_options {
    long long size;
    int of;
};
static const char *const vote_names[] = {"avg", "sum", NULL};
const struct snn_key snn_voting_keys[] = {
    {"size", SNN_INT, offsetof(struct voting_options, size), "10", 1, 1 << 16, NULL,
     "neighbouring units that vote together"},
    {"of", SNN_CHOICE, offsetof(struct voting_options, of), "avg", 0, 0, vote_names, "what is made of their votes"},
    {0},
};

int snn_build_voting(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct voting_options o;
    char text[48];
    (void)variant;
    SNN_TRY(snn_conf_read(node, snn_voting_keys, &o));
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, text));
    int32_t units = b->x->dim[0], size = (int32_t)o.size, out = units / size;
    if (units % size)
        return snn_conf_error(node, "size: %d units do not divide into groups of %d", (int)units, (int)size);
    struct snn_pool_shape s = {
        .C = 1, .H = 1, .W = units, .OH = 1, .OW = out, .kernel = {1, size}, .stride = {1, size}, .sum = o.of == 1};
    b->x = snn_average_pool(&b->model->tape, b->path, b->x, &s, 1, &out);
    return SNN_OK;
}
