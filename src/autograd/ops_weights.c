/* SPDX-License-Identifier: Apache-2.0
 * ops_weights.c - weights that are functions of parameters. */
#include "autograd/ops.h"

/* ---- rows brought to a length that is learned ---- */

struct rescale {
    const struct snn_tape *tape;
    struct snn_rescale how;
    int saved;
};

static void plan_rescale(struct snn_tape *tape, struct snn_node *node) {
    struct rescale *aux = node->aux;
    aux->tape = tape;
    aux->saved = snn_tape_buffer(tape, node, 2 * (size_t)aux->how.rows * sizeof(real), SNN_KEPT);
}

static void rescale(struct snn_node *node, const struct snn_run *run) {
    const struct rescale *aux = node->aux;
    run->device->weights->rescale(run->device, &aux->how, node->param[0]->value, node->param[1]->value,
                                  snn_tape_memory(aux->tape, aux->saved), node->out->data);
}

static void rescale_grad(struct snn_node *node, const struct snn_run *run) {
    const struct rescale *aux = node->aux;
    run->device->weights->rescale_grad(run->device, &aux->how, node->param[0]->value, node->param[1]->value,
                                       snn_tape_memory(aux->tape, aux->saved), node->out->grad,
                                       snn_param_gradient(node->param[0]), snn_param_gradient(node->param[1]));
}

static const struct snn_op rescale_op = {"rescaled weight", 0, plan_rescale, NULL, rescale, rescale_grad};

static struct snn_tensor *record_rescale(struct snn_tape *tape, const char *name, struct snn_param *w,
                                         struct snn_param *gain, const struct snn_rescale *how) {
    struct snn_node *node = snn_tape_weight(tape, &rescale_op, name, NULL, w->count, NULL, sizeof(struct rescale));
    struct rescale *aux = node->aux;
    aux->how = *how;
    aux->how.rows = w->dim[0], aux->how.n = w->count / w->dim[0];
    node->param[0] = w, node->param[1] = gain;
    return node->out;
}

struct snn_tensor *snn_weight_standardised(struct snn_tape *tape, const char *name, struct snn_param *w,
                                           struct snn_param *gain, double eps) {
    double n = (double)(w->count / w->dim[0]); /* var fan_in = sum of squares n / (n-1) */
    struct snn_rescale how = {.centred = true, .factor = n / (n - 1), .eps = eps};
    return record_rescale(tape, name, w, gain, &how);
}

struct snn_tensor *snn_weight_normalised(struct snn_tape *tape, const char *name, struct snn_param *w,
                                         struct snn_param *gain) {
    struct snn_rescale how = {.factor = 1};
    return record_rescale(tape, name, w, gain, &how);
}
