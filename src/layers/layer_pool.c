/* SPDX-License-Identifier: Apache-2.0
 * layer_pool.c - average and maximum over windows. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct pool_options {
    int kernel[2], stride[2], padding[2];
};
const struct snn_key snn_pool_keys[] = {
    {"kernel", SNN_PAIR, offsetof(struct pool_options, kernel), NULL, 1, 15, NULL, "window, or [height, width]"},
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
    if (b->x->nd != 3) return snn_conf_error(node, "needs an input (C,H,W), got %s", snn_shape_text(b->x, text));
    struct snn_pool_shape s = {.C = b->x->dim[0], .H = b->x->dim[1], .W = b->x->dim[2]};
    for (int i = 0; i < 2; ++i) {
        s.kernel[i] = o.kernel[i], s.stride[i] = o.stride[i] ? o.stride[i] : o.kernel[i], s.padding[i] = o.padding[i];
        if (2 * o.padding[i] > o.kernel[i])
            return snn_conf_error(node, "padding %d is over half the window %d", o.padding[i], o.kernel[i]);
    }
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], 1);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], 1);
    if (s.OH < 1 || s.OW < 1)
        return snn_conf_error(node, "the window does not fit into %s", snn_shape_text(b->x, text));
    b->x = (variant ? snn_max_pool : snn_average_pool)(&b->model->tape, b->path, b->x, &s);
    return SNN_OK;
}
