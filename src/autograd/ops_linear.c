/* SPDX-License-Identifier: Apache-2.0
 * ops_linear.c - fully connected. Reads spikes as bits and events as lists: forward and weight gradient then add rows
 * for what is not 0 alone. */
#include "autograd/conv.h"
#include "autograd/math.h"
#include "autograd/ops.h"

struct linear {
    const struct snn_tape *tape;
    int scratch_forward, scratch_backward;
};

static struct snn_linear_shape shape_of(const struct snn_node *node, ptrdiff_t rows) {
    return (struct snn_linear_shape){rows, (int32_t)node->in[0]->units, (int32_t)node->out->units};
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct linear *aux = node->aux;
    struct snn_linear_shape s = shape_of(node, snn_plan_rows(tape, node->in[0]));
    size_t bytes = tape->device->math->linear_scratch(tape->device->threads, &s, snn_plan_form(node->in[0]));
    aux->tape = tape;
    aux->scratch_forward = snn_tape_buffer(tape, node, bytes, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD); /* of a trace: less */
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct linear *aux = node->aux;
    struct snn_linear_shape s = shape_of(node, snn_run_rows(run, node->in[0]));
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    snn_node_trace(aux->tape, node, run);
    run->device->math->linear(run->device, &s, &x, snn_node_weight(node).value,
                              node->param[1] ? node->param[1]->value : NULL, node->out->data,
                              snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct linear *aux = node->aux;
    struct snn_linear_shape s = shape_of(node, snn_run_rows(run, node->in[0]));
    struct snn_rows x = snn_node_learns_from(aux->tape, node, run);
    const struct snn_math_kernels *math = run->device->math;
    struct snn_weight w = snn_node_weight(node);
    real *gb = snn_node_gradient(node->param[1], run);
    if (w.grad)
        math->linear_grad_weight(run->device, &s, &x, node->out->grad, w.grad, gb,
                                 snn_tape_memory(aux->tape, aux->scratch_backward));
    else if (gb) run->device->conv->grad_bias(run->device, s.rows, s.out, 1, node->out->grad, gb);
    if (node->in[0]->grad)
        math->linear_grad_input(run->device, &s, node->out->grad, w.value, snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op op = {
    "linear", SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS | SNN_OP_TIMELESS | SNN_OP_TRACES,
    plan,     NULL,
    forward,  backward};

static struct snn_node *record(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_tensor *w,
                               int32_t out, struct snn_param *b) {
    struct snn_node *node = snn_tape_node(tape, &op, name, x, w, 1, &out, NULL, sizeof(struct linear));
    node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)out * (double)x->units;
    return node;
}

struct snn_tensor *snn_linear(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *w,
                              struct snn_param *b) {
    struct snn_node *node = record(tape, name, x, NULL, w->dim[0], b);
    node->param[0] = w;
    return node->out;
}

struct snn_tensor *snn_linear_with(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_tensor *w,
                                   struct snn_param *b) {
    return record(tape, name, x, w, (int32_t)(w->units / x->units), b)->out;
}
