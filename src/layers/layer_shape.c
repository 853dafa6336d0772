/* SPDX-License-Identifier: Apache-2.0
 * layer_shape.c - the same numbers in another shape. */
#include "core/status.h"
#include "layers/layer.h"

int snn_build_flatten(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    static const struct snn_key no_keys[] = {{0}};
    SNN_TRY(snn_conf_read(node, no_keys, NULL));
    b->x = snn_flatten(&b->model->tape, b->x);
    return SNN_OK;
}
