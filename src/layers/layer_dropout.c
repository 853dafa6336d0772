/* SPDX-License-Identifier: Apache-2.0
 * layer_dropout.c - dropout. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct dropout_options {
    double p;
};
const struct snn_key snn_dropout_keys[] = {
    {"p", SNN_REAL, offsetof(struct dropout_options, p), "0.5", 0, 0.99, NULL, "probability of a zero"},
    {0},
};

int snn_build_dropout(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct dropout_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_dropout_keys, o));
    snn_builder_bind(b, node, snn_dropout_keys, o);
    b->x = snn_dropout(&b->model->tape, b->path, b->x, &o->p, b->dropouts++);
    return SNN_OK;
}
