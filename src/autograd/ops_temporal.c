/* SPDX-License-Identifier: Apache-2.0
 * ops_temporal.c - convolution over the time axis, and a bias for those that have none (ops_delay.c). Where a batch is
 * more than one cut, the last steps of a cut's input are kept for the next one; like a neuron's state they carry no
 * gradient back over the cut. */
#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/ops.h"

struct temporal {
    const struct snn_tape *tape;
    int32_t taps, dilation;
    int before[2]; /* steps kept between cuts: read one, write the other; -1: one cut a batch */
    int scratch;
};

static struct snn_temporal_shape shape_of(const struct snn_node *node, int32_t T, int32_t B) {
    const struct temporal *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    return (struct snn_temporal_shape){
        .T = T, .B = B, .C = x->dim[0], .inner = x->units / x->dim[0], .taps = aux->taps, .dilation = aux->dilation};
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct temporal *aux = node->aux;
    struct snn_temporal_shape s = shape_of(node, snn_plan_steps(tape, node->in[0]), tape->max_B);
    size_t step = (size_t)tape->max_B * (size_t)node->in[0]->units * sizeof(real);
    aux->tape = tape;
    for (int i = 0; i < 2; ++i)
        aux->before[i] =
            tape->many_cuts ? snn_tape_buffer(tape, node, (size_t)snn_temporal_reach(&s) * step, SNN_LASTING) : -1;
    aux->scratch = snn_tape_buffer(tape, node, tape->device->conv->temporal_scratch(&s), SNN_IN_BACKWARD);
}

/* What came before that cut. */
static real *before_of(const struct snn_node *node, int32_t cut) {
    const struct temporal *aux = node->aux;
    return cut > 0 ? snn_tape_memory(aux->tape, aux->before[cut & 1]) : NULL;
}

/* The last steps of what came before and of this cut, for the next one. */
static void keep(const struct snn_node *node, const struct snn_run *run, const struct snn_temporal_shape *s) {
    const struct snn_memory_kernels *memory = run->device->memory;
    const real *x = node->in[0]->data, *before = before_of(node, run->cut);
    real *to = before_of(node, run->cut + 1);
    int32_t reach = snn_temporal_reach(s), old = reach > s->T ? reach - s->T : 0, fresh = reach - old;
    ptrdiff_t step = s->B * s->C * s->inner;
    if (!to || !reach) return;
    if (old && before) memory->copy(run->device, to, before + s->T * step, (size_t)(old * step) * sizeof *to);
    else if (old) memory->zero(run->device, to, (size_t)(old * step) * sizeof *to);
    memory->copy(run->device, to + old * step, x + (s->T - fresh) * step, (size_t)(fresh * step) * sizeof *to);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    struct snn_temporal_shape s = shape_of(node, snn_run_steps(run, node->in[0]), run->B);
    run->device->conv->temporal(run->device, &s, node->in[0]->data, before_of(node, run->cut), node->param[0]->value,
                                node->param[1] ? node->param[1]->value : NULL, node->out->data);
    keep(node, run, &s);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct temporal *aux = node->aux;
    struct snn_temporal_shape s = shape_of(node, snn_run_steps(run, node->in[0]), run->B);
    const struct snn_conv_kernels *conv = run->device->conv;
    if (!node->param[0]->frozen)
        conv->temporal_grad_weight(run->device, &s, node->in[0]->data, before_of(node, run->cut), node->out->grad,
                                   node->param[0]->grad, snn_tape_memory(aux->tape, aux->scratch));
    if (node->param[1] && !node->param[1]->frozen)
        conv->grad_bias(run->device, (ptrdiff_t)s.T * s.B, s.C, s.inner, node->out->grad, node->param[1]->grad);
    if (node->in[0]->grad)
        conv->temporal_grad_input(run->device, &s, node->out->grad, node->param[0]->value, snn_adds(node, 0, run),
                                  node->in[0]->grad);
}

static const struct snn_op op = {"temporal conv", SNN_OP_NEEDS_INPUT, plan, NULL, forward, backward};

struct snn_tensor *snn_temporal_conv(struct snn_tape *tape, const char *name, struct snn_tensor *x, int32_t dilation,
                                     struct snn_param *w, struct snn_param *b) {
    struct snn_node *node = snn_tape_node(tape, &op, name, x, NULL, x->nd, x->dim, NULL, sizeof(struct temporal));
    struct temporal *aux = node->aux;
    aux->taps = w->dim[w->nd - 1], aux->dilation = dilation;
    node->param[0] = w, node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)x->units * aux->taps;
    return node->out;
}

/* ---- bias ---- */

static void bias_forward(struct snn_node *node, const struct snn_run *run) {
    ptrdiff_t units = node->out->units;
    run->device->math->add(run->device, snn_run_rows(run, node->out) * units, node->in[0]->data, node->param[0]->value,
                           units, node->out->data);
}

static void bias_backward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_math_kernels *math = run->device->math;
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units;
    const real *gy = node->out->grad;
    real *gb = snn_node_gradient(node->param[0], run);
    if (gb) math->sum_over_time(run->device, (int32_t)rows, units, gy, true, gb);
    if (node->in[0]->grad && node->in[0]->grad != gy)
        math->accumulate(run->device, rows * units, gy, snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op bias_op = {
    "bias", SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS, NULL, NULL, bias_forward, bias_backward};

struct snn_tensor *snn_bias(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *b) {
    struct snn_node *node = snn_tape_node(tape, &bias_op, name, x, NULL, x->nd, x->dim, NULL, 0);
    node->param[0] = b;
    node->out->needs_grad = true;
    return node->out;
}
