/* SPDX-License-Identifier: Apache-2.0
 * ops_conv.c - 2-D convolution. */
#include "autograd/ops.h"

struct conv {
    const struct snn_tape *tape;
    struct snn_conv_shape shape;
    int scratch_forward, scratch_backward;
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct conv *aux = node->aux;
    size_t bytes = tape->device->conv->scratch(tape->device->threads, &aux->shape, snn_plan_rows(tape, node->in[0]),
                                               snn_plan_form(node->in[0]));
    aux->tape = tape;
    aux->scratch_forward = snn_tape_buffer(tape, node, bytes, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    run->device->conv->forward(run->device, &aux->shape, snn_run_rows(run, node->in[0]), &x,
                               snn_node_weight(node).value, node->param[1] ? node->param[1]->value : NULL,
                               node->out->data, snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct conv *aux = node->aux;
    const struct snn_conv_kernels *conv = run->device->conv;
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    ptrdiff_t rows = snn_run_rows(run, node->in[0]);
    void *scratch = snn_tape_memory(aux->tape, aux->scratch_backward);
    struct snn_weight w = snn_node_weight(node);
    if (w.grad)
        conv->grad_weight(run->device, &aux->shape, rows, &x, node->out->grad, w.grad,
                          node->param[1] ? node->param[1]->grad : NULL, scratch);
    if (node->in[0]->grad)
        conv->grad_input(run->device, &aux->shape, rows, node->out->grad, w.value, snn_adds(node, 0, run),
                         node->in[0]->grad, scratch);
}

static const struct snn_op op = {
    "conv2d", SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS | SNN_OP_TIMELESS, plan, NULL, forward,
    backward};

static struct snn_node *record(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                               const struct snn_conv_shape *s, struct snn_tensor *w, struct snn_param *b) {
    int32_t dim[3] = {s->O, s->OH, s->OW};
    struct snn_node *node = snn_tape_node(tape, &op, name, x, w, 3, dim, NULL, sizeof(struct conv));
    ((struct conv *)node->aux)->shape = *s;
    node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)s->O * s->OH * s->OW * (s->C / s->groups) * s->kernel[0] * s->kernel[1];
    return node;
}

struct snn_tensor *snn_conv2d(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                              const struct snn_conv_shape *shape, struct snn_param *w, struct snn_param *b) {
    struct snn_node *node = record(tape, name, x, shape, NULL, b);
    node->param[0] = w;
    return node->out;
}

struct snn_tensor *snn_conv2d_with(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                   const struct snn_conv_shape *shape, struct snn_tensor *w, struct snn_param *b) {
    return record(tape, name, x, shape, w, b)->out;
}
