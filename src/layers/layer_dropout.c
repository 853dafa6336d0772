/* SPDX-License-Identifier: Apache-2.0
 * layer_dropout.c - dropout. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

#define AT(field) offsetof(struct snn_dropout_options, field)
const struct snn_key snn_dropout_keys[] = {
    {"p", SNN_REAL, AT(p), "0.5", 0, 0.99, NULL, "probability of a zero"},
    {"time_shared", SNN_BOOL, AT(time_shared), "true", 0, 0, NULL,
     "one mask for all steps of a sample; false: a new one at each step"},
    {"channels", SNN_BOOL, AT(channels), "false", 0, 0, NULL, "whole channels are dropped, not single units"},
    {0},
};

int snn_build_dropout(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_dropout_options *o = snn_builder_options(b, sizeof *o);
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_dropout_keys, o));
    if (o->channels && b->x->nd == 1)
        return snn_conf_error(node, "channels: true needs channels of several places, got %s",
                              snn_shape_text(b->x, text));
    snn_builder_bind(b, node, snn_dropout_keys, o);
    b->x = snn_dropout(&b->model->tape, b->path, b->x, o, b->dropouts++);
    return SNN_OK;
}
