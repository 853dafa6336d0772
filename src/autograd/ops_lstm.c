/* SPDX-License-Identifier: Apache-2.0
 * ops_lstm.c - the membranes of a spiking LSTM. What the input gives to the gates is there for all steps, as one
 * product of the layer below; here is the loop over time, with the product that needs the step before. */
#include "autograd/lstm.h"
#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/ops.h"

struct lstm {
    const struct snn_tape *tape;
    int gates, cells;   /* (T,B,4,N), where the input was if it may be; (T,B,N) */
    int again, back[2]; /* of a step: (B,4,N); gradients of the cell, and of the membrane from the next step */
    int carry[2];       /* (2,B,N) cell and membrane between cuts: read one, write the other */
    size_t theta;
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct lstm *aux = node->aux;
    size_t step = (size_t)tape->max_B * (size_t)node->out->units * sizeof(real);
    size_t all = (size_t)snn_plan_rows(tape, node->out) * (size_t)node->out->units * sizeof(real);
    aux->tape = tape;
    aux->gates = snn_tape_buffer_over_input(tape, node, 4 * all);
    aux->cells = snn_tape_buffer(tape, node, all, SNN_KEPT);
    aux->again = snn_tape_buffer(tape, node, 4 * step, SNN_IN_FORWARD);
    for (int i = 0; i < 2; ++i) {
        aux->back[i] = tape->recorded ? snn_tape_buffer(tape, node, step, SNN_IN_BACKWARD) : -1;
        aux->carry[i] = snn_tape_buffer(tape, node, 2 * step, SNN_LASTING);
    }
    aux->theta = snn_tape_numbers(tape, sizeof(real));
}

static void prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct snn_lstm_options *o = node->options;
    *(real *)(void *)(numbers + ((const struct lstm *)node->aux)->theta) = (real)*o->threshold;
}

static ptrdiff_t step_of(const struct snn_node *node, const struct snn_run *run) { return run->B * node->out->units; }

static struct snn_linear_shape product_of(const struct snn_node *node, ptrdiff_t rows) {
    return (struct snn_linear_shape){rows, (int32_t)node->out->units, (int32_t)(4 * node->out->units)};
}

/* Cell and membrane before the cut. */
static real *before_of(const struct snn_node *node, int32_t cut) {
    const struct lstm *aux = node->aux;
    return snn_tape_memory(aux->tape, aux->carry[cut & 1]);
}

/* Step t: what both directions read. */
static struct snn_lstm_step step_at(const struct snn_node *node, const struct snn_run *run, int32_t t) {
    const struct lstm *aux = node->aux;
    const struct snn_lstm_options *o = node->options;
    ptrdiff_t step = step_of(node, run);
    const real *before = before_of(node, run->cut);
    real *gates = snn_tape_memory(aux->tape, aux->gates), *c = snn_tape_memory(aux->tape, aux->cells);
    real *m = node->out->data;
    return (struct snn_lstm_step){.B = run->B,
                                  .n = (int32_t)node->out->units,
                                  .reset = o->reset,
                                  .strict = o->strict,
                                  .theta = snn_tape_numbers_at(aux->tape, aux->theta),
                                  .gates = gates + 4 * t * step,
                                  .c = c + t * step,
                                  .m = m + t * step,
                                  .c_before = t ? c + (t - 1) * step : before,
                                  .m_before = t ? m + (t - 1) * step : before + step};
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct lstm *aux = node->aux;
    const struct snn_device *device = run->device;
    ptrdiff_t step = step_of(node, run);
    int32_t T = snn_run_steps(run, node->out);
    struct snn_linear_shape product = product_of(node, run->B);
    real *again = snn_tape_memory(aux->tape, aux->again), *to = before_of(node, run->cut + 1);
    struct snn_param *const *p = node->param;
    if (run->cut == 0) device->memory->zero(run->device, before_of(node, 0), 2 * (size_t)step * sizeof(real));
    for (int32_t t = 0; t < T; ++t) {
        struct snn_lstm_step s = step_at(node, run, t);
        struct snn_rows m = {.dense = s.m_before};
        device->math->linear(run->device, &product, &m, p[0]->value, p[1] ? p[1]->value : NULL, again, NULL);
        s.x = node->in[0]->data + 4 * t * step, s.again = again;
        device->mix->lstm(run->device, &s);
        if (t < T - 1 || !aux->tape->many_cuts) continue;
        device->memory->copy(run->device, to, s.c, (size_t)step * sizeof(real));
        device->memory->copy(run->device, to + step, s.m, (size_t)step * sizeof(real));
    }
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct lstm *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    ptrdiff_t step = step_of(node, run);
    int32_t T = snn_run_steps(run, node->out);
    struct snn_linear_shape product = product_of(node, run->B);
    real *gc = snn_tape_memory(aux->tape, aux->back[0]), *gm = snn_tape_memory(aux->tape, aux->back[1]);
    real *ga = node->in[0]->grad;
    struct snn_param *const *p = node->param;
    run->device->memory->zero(run->device, gc, (size_t)step * sizeof(real));
    for (int32_t t = T - 1; t >= 0; --t) {
        struct snn_lstm_step s = step_at(node, run, t);
        s.gm = node->out->grad + t * step, s.gm_again = t < T - 1 ? gm : NULL, s.gc = gc, s.ga = ga + 4 * t * step;
        run->device->mix->lstm_grad(run->device, &s);
        if (t) math->linear_grad_input(run->device, &product, s.ga, p[0]->value, false, gm);
    }
    real *gb = snn_param_gradient(p[1]);
    if (p[0]->frozen) return;
    for (int later = 0; later < 2 && later < T; ++later) { /* step 0 hears the cut before; then all others */
        struct snn_rows m = {.dense = later ? node->out->data : before_of(node, run->cut) + step};
        product = product_of(node, later ? (ptrdiff_t)(T - 1) * run->B : run->B);
        math->linear_grad_weight(run->device, &product, &m, ga + 4 * later * step, p[0]->grad, gb, NULL);
    }
}

static const struct snn_op op = {"LSTM", SNN_OP_NEEDS_OUTPUT, plan, prepare, forward, backward};

struct snn_tensor *snn_lstm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                            const struct snn_lstm_options *options, struct snn_param *w, struct snn_param *b) {
    x = snn_every_step(tape, name, x);
    struct snn_node *node = snn_tape_node(tape, &op, name, x, NULL, 1, &w->dim[1], options, sizeof(struct lstm));
    node->param[0] = w, node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)w->count;
    return node->out;
}
