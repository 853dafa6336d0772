/* SPDX-License-Identifier: Apache-2.0
 * layer_spiking.c - neurons as layers. */
#include <math.h>

#include "core/status.h"
#include "layers/layer.h"

int snn_build_neuron(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct snn_neuron_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_neuron_read(node, variant, b->step_seconds, o));
    snn_builder_bind(b, node, snn_neuron_models[variant].keys, o);
    struct snn_param *w = NULL;
    if (snn_neuron_models[variant].spikes)
        snn_builder_bind(b, o->surrogate_node, snn_surrogate_keys(o->surrogate.which), &o->surrogate);
    if (snn_neuron_models[variant].learns) {
        int32_t one = 1;
        w = snn_builder_param(b, "w", false, 1, &one);
        w->fill = -log(o->tau.value / (o->tau.seconds ? o->step_seconds : 1) - 1);
    }
    b->x = snn_neuron(&b->model->tape, b->path, b->x, o, w);
    return SNN_OK;
}
