/* SPDX-License-Identifier: Apache-2.0
 * layer_spiking.c - neurons as layers: their parameters. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "layers/cells/lif.h"
#include "layers/layer.h"

/* The learned numbers of coefficient j: one for the layer, a channel or a neuron, and maybe for each step. */
static struct snn_param *learned(struct snn_builder *b, const struct snn_neuron_options *o, int j) {
    struct snn_coef_learned how;
    char name[64];
    double start = snn_neuron_learned(o, j, &how);
    snn_neuron_param_name(o, j, name);
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    const bool stepped = j == snn_cell_shapes[m->cell].stepped;
    int32_t dim[6] = {(int32_t)o->steps, 1};
    const int nd = o->per == 2 ? b->x->nd : 1;
    for (int i = 0; i < nd && o->per; ++i) dim[1 + i] = b->x->dim[i];
    struct snn_param *p = snn_builder_param(b, name, false, nd + stepped, dim + !stepped);
    p->fill = start;
    if (m->gates & 1u << j) p->bound = 0.1;
    return p;
}

int snn_build_neuron(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct snn_neuron_options *o = snn_builder_options(b, sizeof *o);
    struct snn_neuron_params params = {0};
    SNN_TRY(snn_neuron_read(node, variant, b->step_seconds, o));
    const int theta = snn_cell_shapes[snn_neuron_models[variant].cell].theta;
    if (b->psi && o->surrogate_node)
        SNN_TRY(snn_surrogate_read(b->psi, theta < 0 ? 1 : o->number[theta], &o->surrogate));
    if (snn_cell_shapes[snn_neuron_models[variant].cell].stepped >= 0) SNN_TRY(snn_builder_steps(b, node, &o->steps));
    snn_builder_bind(b, node, snn_neuron_models[variant].keys, o);
    if (o->surrogate_node && !b->psi)
        snn_builder_bind(b, o->surrogate_node, snn_surrogate_keys(o->surrogate.which), &o->surrogate);
    for (int j = 0; j < SNN_CELL_COEFS; ++j)
        if (o->learned & 1u << j) params.learned[j] = learned(b, o, j);
    if (o->recurrent.which == SNN_HEARS_ITSELF) {
        params.recurrent = snn_builder_param(b, "recurrent.weight", false, b->x->nd, b->x->dim);
        SNN_TRY(snn_init_read(o->recurrent.init, 1, 1, params.recurrent));
    } else if (o->recurrent.which) {
        int32_t n = (int32_t)b->x->units, dim[2] = {n, n};
        if (b->x->nd != 1) return snn_conf_error(o->recurrent_node, "needs a flat input: put `- flatten` before it");
        params.recurrent = snn_builder_param(b, "recurrent.weight", false, 2, dim);
        SNN_TRY(snn_init_read(o->recurrent.init, n, n, params.recurrent));
        params.recurrent->no_diagonal = !o->recurrent.diagonal;
        if (o->recurrent.bias) {
            params.recurrent_bias = snn_builder_param(b, "recurrent.bias", false, 1, dim);
            params.recurrent_bias->bound = 1 / sqrt(n);
        }
    }
    if (o->noise > 0) o->draws = b->noises++;
    b->x = snn_neuron(&b->model->tape, b->path, b->x, o, &params);
    return SNN_OK;
}

int snn_firing_read(struct snn_builder *b, double threshold, struct snn_neuron_options *o) {
    while (strcmp(snn_neuron_models[o->model].name, "lif")) ++o->model;
    o->number[LIF_KAPPA] = 1, o->number[LIF_FLOOR] = NAN;
    o->reset = SNN_RESET_NONE;
    SNN_TRY(snn_surrogate_read(o->surrogate_node, threshold, &o->surrogate));
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i)
        if (isnan(o->surrogate.p[i])) o->surrogate.p[i] = threshold;
    snn_builder_bind(b, o->surrogate_node, snn_surrogate_keys(o->surrogate.which), &o->surrogate);
    return SNN_OK;
}
