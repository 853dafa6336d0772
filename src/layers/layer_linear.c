/* SPDX-License-Identifier: Apache-2.0
 * layer_linear.c - fully connected. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct linear_options {
    long long out;
    bool bias;
    struct snn_conf *init, *weight;
};
const struct snn_key snn_linear_keys[] = {
    {"out", SNN_INT, offsetof(struct linear_options, out), NULL, 1, 1 << 20, NULL, "units"},
    {"bias", SNN_BOOL, offsetof(struct linear_options, bias), "true", 0, 0, NULL, "add a learned bias"},
    SNN_INIT_KEY(struct linear_options),
    SNN_WEIGHT_KEY(struct linear_options),
    {0},
};

int snn_build_linear(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct linear_options o;
    char shape[48];
    SNN_TRY(snn_conf_read(node, snn_linear_keys, &o));
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, shape));
    int32_t dim[2] = {(int32_t)o.out, b->x->dim[0]};
    if (o.out * b->x->dim[0] > 1 << 28)
        return snn_conf_error(node, "%lld x %d weights are too many", o.out, (int)b->x->dim[0]);
    struct snn_param *w = snn_builder_param(b, "weight", false, 2, dim),
                     *bias = o.bias ? snn_builder_param(b, "bias", false, 1, dim) : NULL;
    SNN_TRY(snn_init_read(o.init, dim[1], dim[0], w));
    if (bias) bias->bound = 1 / sqrt(dim[1]);
    struct snn_tape *tape = &b->model->tape;
    struct snn_tensor *made;
    SNN_TRY(snn_weight_build(b, o.weight, w, &made));
    b->x = made ? snn_linear_with(tape, b->path, b->x, made, bias) : snn_linear(tape, b->path, b->x, w, bias);
    return SNN_OK;
}
