/* SPDX-License-Identifier: Apache-2.0
 * ops_steps.c - a learned matrix over time: every step is a sum over all of them, one product for the sequence. What
 * lies behind the end of a recording is 0 to it, so that a recording's numbers are its own. */
#include "autograd/conv.h"
#include "autograd/math.h"
#include "autograd/ops.h"

struct steps {
    const struct snn_tape *tape;
    int32_t steps;
    bool ends; /* recordings may end before the batch does */
    int masked[2], scratch;
};

static struct snn_steps_shape shape_of(const struct snn_node *node, int32_t T, int32_t B) {
    const struct steps *aux = node->aux;
    return (struct snn_steps_shape){.T = T, .steps = aux->steps, .n = B * node->out->units};
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct steps *aux = node->aux;
    struct snn_steps_shape s = shape_of(node, snn_plan_steps(tape, node->out), tape->max_B);
    size_t all = (size_t)s.T * (size_t)s.n * sizeof(real);
    aux->tape = tape;
    aux->masked[0] = aux->ends ? snn_tape_buffer(tape, node, all, SNN_IN_FORWARD) : -1;
    aux->masked[1] = aux->ends || node->adds[0] ? snn_tape_buffer(tape, node, all, SNN_IN_BACKWARD) : -1;
    aux->scratch = snn_tape_buffer(tape, node, snn_steps_scratch(&s), SNN_IN_BACKWARD);
}

/* The input, or a copy without what lies behind recordings. */
static const real *input_of(const struct snn_node *node, const struct snn_run *run, bool back) {
    const struct steps *aux = node->aux;
    const uint8_t *mask = aux->ends ? snn_run_mask(run, node->out) : NULL;
    if (!mask) return node->in[0]->data;
    real *to = snn_tape_memory(aux->tape, aux->masked[back]);
    run->device->mix->mask_rows(run->device, snn_run_rows(run, node->out), node->out->units, mask, node->in[0]->data,
                                false, to);
    return to;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    struct snn_steps_shape s = shape_of(node, snn_run_steps(run, node->out), run->B);
    run->device->mix->steps(run->device, &s, snn_node_weight(node).value, false, node->param[1]->value,
                            input_of(node, run, false), node->out->data);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct steps *aux = node->aux;
    const struct snn_mix_kernels *mix = run->device->mix;
    struct snn_steps_shape s = shape_of(node, snn_run_steps(run, node->out), run->B);
    struct snn_weight w = snn_node_weight(node);
    const real *gy = node->out->grad;
    real *gx = node->in[0]->grad;
    if (w.grad)
        mix->steps_grad(run->device, &s, input_of(node, run, true), gy, w.grad,
                        snn_tape_memory(aux->tape, aux->scratch));
    if (!node->param[1]->frozen) run->device->conv->grad_bias(run->device, 1, s.T, s.n, gy, node->param[1]->grad);
    if (!gx) return;
    const uint8_t *mask = aux->ends ? snn_run_mask(run, node->out) : NULL;
    bool adds = snn_adds(node, 0, run), direct = !mask && !adds;
    real *to = direct ? gx : snn_tape_memory(aux->tape, aux->masked[1]);
    mix->steps(run->device, &s, w.value, true, NULL, gy, to);
    if (mask) mix->mask_rows(run->device, snn_run_rows(run, node->out), node->out->units, mask, to, adds, gx);
    else if (adds) run->device->math->accumulate(run->device, s.T * s.n, to, true, gx);
}

static const struct snn_op op = {"steps", SNN_OP_NEEDS_INPUT | SNN_OP_COUPLES_STEPS, plan, NULL, forward, backward};

struct snn_tensor *snn_steps(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_tensor *made,
                             struct snn_param *w, struct snn_param *b) {
    x = snn_every_step(tape, name, x);
    struct snn_node *node = snn_tape_node(tape, &op, name, x, made, x->nd, x->dim, NULL, sizeof(struct steps));
    struct steps *aux = node->aux;
    aux->steps = (int32_t)b->count, aux->ends = !tape->input->is_static;
    node->param[0] = made ? NULL : w, node->param[1] = b;
    node->most_steps = aux->steps;
    node->out->needs_grad = true;
    node->macs = (double)x->units * aux->steps;
    return node->out;
}

/* ---- a mask that may be moved from all of the matrix to a band ---- */

struct band {
    const struct snn_tape *tape;
    int32_t steps;
    size_t factors; /* (steps,steps) */
};

static void band_plan(struct snn_tape *tape, struct snn_node *node) {
    struct band *aux = node->aux;
    aux->tape = tape;
    aux->factors = snn_tape_numbers(tape, (size_t)aux->steps * (size_t)aux->steps * sizeof(real));
}

static void band_prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct band *aux = node->aux;
    const struct snn_band_options *o = node->options;
    real *to = (real *)(void *)(numbers + aux->factors);
    for (ptrdiff_t t = 0; t < aux->steps; ++t)
        for (ptrdiff_t u = 0; u < aux->steps; ++u)
            to[t * aux->steps + u] = u <= t && t - u < o->k ? 1 : (real)(1 - o->lambda);
}

static struct snn_scale_shape band_shape(const struct band *aux) {
    ptrdiff_t n = (ptrdiff_t)aux->steps * aux->steps;
    return (struct snn_scale_shape){.rows = 1, .units = n, .share_rows = 1, .share_units = 1};
}

static void band_forward(struct snn_node *node, const struct snn_run *run) {
    const struct band *aux = node->aux;
    struct snn_scale_shape s = band_shape(aux);
    run->device->mix->scale(run->device, &s, snn_tape_numbers_at(aux->tape, aux->factors), node->param[0]->value, false,
                            node->out->data);
}

static void band_backward(struct snn_node *node, const struct snn_run *run) {
    const struct band *aux = node->aux;
    struct snn_scale_shape s = band_shape(aux);
    if (!node->param[0]->frozen)
        run->device->mix->scale(run->device, &s, snn_tape_numbers_at(aux->tape, aux->factors), node->out->grad, true,
                                node->param[0]->grad);
}

static const struct snn_op band_op = {"band", 0, band_plan, band_prepare, band_forward, band_backward};

struct snn_tensor *snn_weight_band(struct snn_tape *tape, const char *name, struct snn_param *w,
                                   const struct snn_band_options *options) {
    struct snn_node *node = snn_tape_weight(tape, &band_op, name, NULL, w->count, options, sizeof(struct band));
    ((struct band *)node->aux)->steps = w->dim[0];
    node->param[0] = w;
    return node->out;
}
