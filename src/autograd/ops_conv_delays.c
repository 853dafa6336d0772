/* SPDX-License-Identifier: Apache-2.0
 * ops_conv_delays.c - a convolution whose synapses have delays: every one has a kernel over time (autograd/delay.h).
 *
 *   y[t] = b + sum over taps n of  x[t - (taps - 1) + n] * K[n]          K (taps, O, C/groups, kernel)
 *
 * where * is the convolution of conv.h. Time is the outermost axis, so that a delay is an offset of whole rows: a tap
 * is a convolution of all rows but the last ones that adds to all rows but the first ones. */
#include "autograd/ops.h"
#include "autograd/past.h"

struct conv_delays {
    struct snn_past past; /* first */
    struct snn_conv_shape shape;
    int32_t taps;
    int scratch_forward, scratch_backward;
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct conv_delays *aux = node->aux;
    snn_past_plan(tape, node, aux->taps - 1);
    enum snn_form form = snn_past_steps(node) ? SNN_DENSE : snn_plan_form(node->in[0]);
    size_t bytes =
        tape->device->conv->scratch(tape->device->threads, &aux->shape, snn_plan_rows(tape, node->in[0]), form);
    aux->scratch_forward = snn_tape_buffer(tape, node, bytes, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD);
}

struct tap {          /* what a delay connects, in rows */
    ptrdiff_t x, y;   /* the first of either */
    ptrdiff_t rows;   /* 0: the delay is longer than there are steps */
    ptrdiff_t weight; /* of the tap's kernel */
};

static struct tap tap_of(const struct snn_node *node, const struct snn_run *run, int32_t delay) {
    const struct conv_delays *aux = node->aux;
    const struct snn_conv_shape *s = &aux->shape;
    int32_t steps = snn_run_steps(run, node->in[0]), before = snn_past_steps(node);
    int32_t first = delay > before ? delay - before : 0, last = steps > first ? steps : first;
    return (struct tap){.x = (ptrdiff_t)(before + first - delay) * run->B,
                        .y = (ptrdiff_t)first * run->B,
                        .rows = (ptrdiff_t)(last - first) * run->B,
                        .weight = (aux->taps - 1 - delay) * s->O * (s->C / s->groups) * snn_conv_taps(s)};
}

/* Rows from `first` on. Only those that were joined with earlier ones begin elsewhere than at 0. */
static struct snn_rows rows_from(const struct snn_node *node, ptrdiff_t first) {
    struct snn_rows x = snn_past_rows(node);
    if (first) x.dense += first * node->in[0]->units;
    return x;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct conv_delays *aux = node->aux;
    const real *w = snn_node_weight(node).value, *b = node->param[1] ? node->param[1]->value : NULL;
    void *scratch = snn_tape_memory(aux->past.tape, aux->scratch_forward);
    snn_past_join(node, run);
    for (int32_t delay = 0; delay < aux->taps; ++delay) { /* none comes first: it has all rows */
        struct tap tap = tap_of(node, run, delay);
        struct snn_rows x = rows_from(node, tap.x);
        if (!tap.rows) break;
        run->device->conv->forward(run->device, &aux->shape, tap.rows, &x, w + tap.weight, delay ? NULL : b, delay > 0,
                                   node->out->data + tap.y * node->out->units, scratch);
    }
}

static void grad_weight(const struct snn_node *node, const struct snn_run *run, void *scratch) {
    const struct conv_delays *aux = node->aux;
    const struct snn_conv_kernels *conv = run->device->conv;
    const struct snn_tensor *y = node->out;
    real *gw = snn_node_weight(node).grad, *gb = snn_param_gradient(node->param[1]);
    if (!gw && gb)
        conv->grad_bias(run->device, snn_run_rows(run, y), aux->shape.O, snn_conv_out_pixels(&aux->shape), y->grad, gb);
    for (int32_t delay = 0; gw && delay < aux->taps; ++delay) {
        struct tap tap = tap_of(node, run, delay);
        struct snn_rows x = rows_from(node, tap.x);
        if (!tap.rows) break;
        conv->grad_weight(run->device, &aux->shape, tap.rows, &x, y->grad + tap.y * y->units, gw + tap.weight,
                          delay ? NULL : gb, scratch);
    }
}

/* What came before this cut gets no gradient. */
static void grad_input(const struct snn_node *node, const struct snn_run *run, void *scratch) {
    const struct conv_delays *aux = node->aux;
    const struct snn_tensor *y = node->out;
    const real *w = snn_node_weight(node).value;
    for (int32_t delay = 0; delay < aux->taps; ++delay) {
        struct tap tap = tap_of(node, run, delay);
        ptrdiff_t rows = snn_run_rows(run, y) - (ptrdiff_t)delay * run->B;
        if (rows <= 0) break;
        run->device->conv->grad_input(run->device, &aux->shape, rows, y->grad + (ptrdiff_t)delay * run->B * y->units,
                                      w + tap.weight, NULL, delay > 0 || snn_adds(node, 0, run), node->in[0]->grad,
                                      scratch);
    }
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct conv_delays *aux = node->aux;
    void *scratch = snn_tape_memory(aux->past.tape, aux->scratch_backward);
    grad_weight(node, run, scratch);
    if (node->in[0]->grad) grad_input(node, run, scratch);
}

static const struct snn_op op = {
    "conv delays", SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS, plan, NULL, forward, backward};

struct snn_tensor *snn_conv_delays(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                   const struct snn_conv_shape *s, int32_t taps, double taps_used,
                                   struct snn_tensor *made, struct snn_param *w, struct snn_param *b) {
    const int32_t size[] = {s->OD, s->OH, s->OW};
    int32_t dim[SNN_ROW_AXES] = {s->O};
    for (int i = 1; i < x->nd; ++i) dim[i] = size[SNN_CONV_AXES - x->nd + i];
    struct snn_node *node = snn_tape_node(tape, &op, name, x, made, x->nd, dim, NULL, sizeof(struct conv_delays));
    struct conv_delays *aux = node->aux;
    aux->shape = *s, aux->taps = taps;
    node->param[0] = w, node->param[1] = b;
    node->out->needs_grad = true;
    node->macs = (double)(s->O * snn_conv_out_pixels(s)) * (double)(s->C / s->groups * snn_conv_taps(s)) * taps_used;
    return node->out;
}
