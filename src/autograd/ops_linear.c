/* SPDX-License-Identifier: Apache-2.0
 * ops_linear.c - fully connected. Reads spikes as bits and events as lists: forward and weight gradient then add rows
 * for what is not 0 alone.
 *
 * A weight that learns from a trace q of its input (learning.h) does so from the input itself all the same, and from
 * errors that are traced backwards, within a cut:
 *
 *   sum over t of e[t] q[t]^T = sum over t of f[t] x[t]^T + lambda f[0] q[-1]^T,   f[t] = gain e[t] + lambda f[t+1]
 *
 * so that spikes stay spikes, and only what the trace was before the cut is a product of numbers, of one step. */
#include "autograd/conv.h"
#include "autograd/math.h"
#include "autograd/ops.h"

struct linear {
    const struct snn_tape *tape;
    int scratch_forward, scratch_backward;
    int before[2],
        filtered; /* traces before a cut and after it, by cuts in turn, (B,in) without the gain; f (T,B,out) */
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
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD);
    const bool traced = node->trace.on && tape->recorded;
    const size_t row = (size_t)node->in[0]->units * sizeof(real);
    for (int i = 0; i < 2; ++i)
        aux->before[i] = traced ? snn_tape_buffer(tape, node, (size_t)tape->max_B * row, SNN_LASTING) : -1;
    aux->filtered =
        traced ? snn_tape_buffer(tape, node, (size_t)s.rows * (size_t)s.out * sizeof(real), SNN_IN_BACKWARD) : -1;
}

/* The trace goes on to the end of the cut. */
static void follow(const struct snn_node *node, const struct snn_run *run, const struct snn_rows *x) {
    const struct linear *aux = node->aux;
    real *before = snn_tape_memory(aux->tape, aux->before[run->cut & 1]),
         *after = snn_tape_memory(aux->tape, aux->before[~run->cut & 1]);
    if (after && run->train)
        run->device->math->trace(run->device, run->T, run->B, node->in[0]->units, x, (real)node->trace.decay, 1,
                                 run->cut ? before : NULL, true, after);
}

static void learn_from_trace(const struct snn_node *node, const struct snn_run *run, const struct snn_linear_shape *s,
                             const struct snn_rows *x, real *gw, void *scratch) {
    const struct linear *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    const real decay = (real)node->trace.decay;
    const ptrdiff_t step = (ptrdiff_t)run->B * s->out;
    real *f = snn_tape_memory(aux->tape, aux->filtered);
    struct snn_linear_shape first = {run->B, s->in, s->out};
    struct snn_rows before = {.dense = snn_tape_memory(aux->tape, aux->before[run->cut & 1])};
    math->trace_back(run->device, run->T, step, node->out->grad, decay, (real)node->trace.gain, f);
    math->linear_grad_weight(run->device, s, x, f, gw, NULL, scratch);
    if (!run->cut || decay == 0) return;
    math->trace_back(run->device, 1, step, f, 0, decay, f);
    math->linear_grad_weight(run->device, &first, &before, f, gw, NULL, scratch);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct linear *aux = node->aux;
    struct snn_linear_shape s = shape_of(node, snn_run_rows(run, node->in[0]));
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    follow(node, run, &x);
    run->device->math->linear(run->device, &s, &x, snn_node_weight(node).value,
                              node->param[1] ? node->param[1]->value : NULL, node->out->data,
                              snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct linear *aux = node->aux;
    struct snn_linear_shape s = shape_of(node, snn_run_rows(run, node->in[0]));
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    const struct snn_math_kernels *math = run->device->math;
    struct snn_weight w = snn_node_weight(node);
    void *scratch = snn_tape_memory(aux->tape, aux->scratch_backward);
    real *gb = snn_node_gradient(node->param[1], run);
    const bool traced = node->trace.on && !run->late;
    if (w.grad && traced) learn_from_trace(node, run, &s, &x, w.grad, scratch);
    else if (w.grad) math->linear_grad_weight(run->device, &s, &x, node->out->grad, w.grad, gb, scratch);
    if (gb && (!w.grad || traced)) run->device->conv->grad_bias(run->device, s.rows, s.out, 1, node->out->grad, gb);
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
