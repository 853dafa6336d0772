/* SPDX-License-Identifier: Apache-2.0
 * ops_conv.c - convolution, and the transposed one, which is the convolution's input gradient:
 *
 *   y  = input gradient of the convolution with w at the output gradient x, + b
 *   gx = the convolution of gy with w,   gw = its weight gradient at the input gy and the output gradient x */
#include "autograd/ops.h"

struct conv {
    const struct snn_tape *tape;
    struct snn_conv_shape shape;
    int scratch_forward, scratch_backward;
};

static void plan_for(struct snn_tape *tape, struct snn_node *node, enum snn_form form) {
    struct conv *aux = node->aux;
    const struct snn_conv_kernels *conv = tape->device->conv;
    const ptrdiff_t rows = snn_plan_rows(tape, node->in[0]);
    size_t forward = conv->scratch(tape->device->threads, &aux->shape, rows, form), backward = forward;
    if (node->trace.on) { /* which is numbers */
        size_t traced = conv->scratch(tape->device->threads, &aux->shape, rows, SNN_DENSE);
        if (traced > backward) backward = traced;
    }
    aux->tape = tape;
    aux->scratch_forward = snn_tape_buffer(tape, node, forward, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, backward, SNN_IN_BACKWARD);
}

static const real *bias_of(const struct snn_node *node) { return node->param[1] ? node->param[1]->value : NULL; }

/* ---- convolution ---- */

static void plan(struct snn_tape *tape, struct snn_node *node) {
    plan_for(tape, node, snn_plan_form(node->in[0]));
    snn_node_plan_trace(tape, node);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    snn_node_trace(aux->tape, node, run);
    run->device->conv->forward(run->device, &aux->shape, snn_run_rows(run, node->in[0]), &x,
                               snn_node_weight(node).value, bias_of(node), false, node->out->data,
                               snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    const struct snn_conv_kernels *conv = run->device->conv;
    struct snn_rows x = snn_node_learns_from(aux->tape, node, run);
    ptrdiff_t rows = snn_run_rows(run, node->in[0]);
    void *scratch = snn_tape_memory(aux->tape, aux->scratch_backward);
    struct snn_weight w = snn_node_weight(node);
    real *gb = snn_node_gradient(node->param[1], run);
    if (w.grad) conv->grad_weight(run->device, &aux->shape, rows, &x, node->out->grad, w.grad, gb, scratch);
    else if (gb)
        conv->grad_bias(run->device, rows, aux->shape.O, snn_conv_out_pixels(&aux->shape), node->out->grad, gb);
    if (node->in[0]->grad)
        conv->grad_input(run->device, &aux->shape, rows, node->out->grad, w.value, NULL, snn_adds(node, 0, run),
                         node->in[0]->grad, scratch);
}

static const struct snn_op op = {
    "conv",  SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS | SNN_OP_TIMELESS | SNN_OP_TRACES,
    plan,    NULL,
    forward, backward};

/* ---- transposed ---- */

static void plan_transpose(struct snn_tape *tape, struct snn_node *node) { plan_for(tape, node, SNN_DENSE); }

static void forward_transpose(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    run->device->conv->grad_input(run->device, &aux->shape, snn_run_rows(run, node->in[0]), node->in[0]->data,
                                  snn_node_weight(node).value, bias_of(node), false, node->out->data,
                                  snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward_transpose(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    const struct snn_conv_kernels *conv = run->device->conv;
    struct snn_rows gy = {.dense = node->out->grad};
    ptrdiff_t rows = snn_run_rows(run, node->in[0]);
    void *scratch = snn_tape_memory(aux->tape, aux->scratch_backward);
    struct snn_weight w = snn_node_weight(node);
    if (w.grad) conv->grad_weight(run->device, &aux->shape, rows, &gy, node->in[0]->data, w.grad, NULL, scratch);
    real *gb = snn_param_gradient(node->param[1]);
    if (gb) conv->grad_bias(run->device, rows, aux->shape.C, snn_conv_in_pixels(&aux->shape), node->out->grad, gb);
    if (node->in[0]->grad)
        conv->forward(run->device, &aux->shape, rows, &gy, w.value, NULL, snn_adds(node, 0, run), node->in[0]->grad,
                      scratch);
}

static const struct snn_op transpose_op = {"transposed conv", SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS,
                                           plan_transpose,    NULL,
                                           forward_transpose, backward_transpose};

/* ---- recording ---- */

/* A node whose output has `channels` and the last of `size` (depth, height, width). */
static struct snn_node *record(struct snn_tape *tape, const struct snn_op *which, const char *name,
                               struct snn_tensor *x, const struct snn_conv_shape *s, int32_t channels,
                               const int32_t *size, struct snn_tensor *w, struct snn_param *b) {
    int32_t dim[SNN_ROW_AXES] = {channels};
    for (int i = 1; i < x->nd; ++i) dim[i] = size[SNN_CONV_AXES - x->nd + i];
    struct snn_node *node = snn_tape_node(tape, which, name, x, w, x->nd, dim, NULL, sizeof(struct conv));
    ((struct conv *)node->aux)->shape = *s;
    node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)(s->O * snn_conv_out_pixels(s)) * (double)(s->C / s->groups * snn_conv_taps(s));
    return node;
}

static struct snn_node *record_conv(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                    const struct snn_conv_shape *s, struct snn_tensor *w, struct snn_param *b) {
    const int32_t size[] = {s->OD, s->OH, s->OW};
    return record(tape, &op, name, x, s, s->O, size, w, b);
}

struct snn_tensor *snn_conv(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                            const struct snn_conv_shape *shape, struct snn_param *w, struct snn_param *b) {
    struct snn_node *node = record_conv(tape, name, x, shape, NULL, b);
    node->param[0] = w;
    return node->out;
}

struct snn_tensor *snn_conv_with(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                 const struct snn_conv_shape *shape, struct snn_tensor *w, struct snn_param *b) {
    return record_conv(tape, name, x, shape, w, b)->out;
}

struct snn_tensor *snn_conv_transpose(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                      const struct snn_conv_shape *shape, struct snn_param *w, struct snn_param *b) {
    const int32_t size[] = {shape->D, shape->H, shape->W};
    struct snn_node *node = record(tape, &transpose_op, name, x, shape, shape->C, size, NULL, b);
    node->param[0] = w;
    return node->out;
}
