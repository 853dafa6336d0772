/* SPDX-License-Identifier: Apache-2.0
 * ops_shape.c - add, dropout, flatten. */
#include "autograd/math.h"
#include "autograd/ops.h"

/* ---- add ---- */

/* Input 0 is never static unless both are. */
static void add_forward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_math_kernels *math = run->device->math;
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units;
    math->add(run->device, rows * units, node->in[0]->data, node->in[1]->data, snn_run_rows(run, node->in[1]) * units,
              node->out->data);
    if (node->out->nonzero) math->count_nonzero(run->device, rows, units, node->out->data, node->out->nonzero);
}

static void add_backward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_math_kernels *math = run->device->math;
    const real *gy = node->out->grad;
    ptrdiff_t n = snn_run_rows(run, node->out) * node->out->units;
    if (node->in[1]->grad && node->in[1]->is_static && !node->out->is_static)
        math->sum_over_time(run->device, snn_run_steps(run, node->out), (ptrdiff_t)run->B * node->out->units, gy,
                            snn_adds(node, 1, run), node->in[1]->grad);
    else if (node->in[1]->grad) math->accumulate(run->device, n, gy, snn_adds(node, 1, run), node->in[1]->grad);
    if (node->in[0]->grad && node->in[0]->grad != gy)
        math->accumulate(run->device, n, gy, snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op add_op = {
    "add", SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS, NULL, NULL, add_forward, add_backward};

struct snn_tensor *snn_add(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b) {
    bool swap = a->is_static && !b->is_static;
    struct snn_tensor *x = swap ? b : a, *y = swap ? a : b;
    struct snn_node *node = snn_tape_node(tape, &add_op, name, x, y, x->nd, x->dim, NULL, 0);
    node->out->is_sparse = (a->is_spikes || a->is_sparse) && (b->is_spikes || b->is_sparse);
    return node->out;
}

/* ---- dropout ---- */

struct dropout {
    const struct snn_tape *tape;
    uint32_t layer;
    int mask;
    size_t numbers; /* struct snn_dropout */
};

static void dropout_plan(struct snn_tape *tape, struct snn_node *node) {
    struct dropout *aux = node->aux;
    aux->tape = tape;
    aux->mask =
        snn_tape_buffer(tape, node, (size_t)tape->max_B * (size_t)node->out->words * sizeof(uint64_t), SNN_KEPT);
    aux->numbers = snn_tape_numbers(tape, sizeof(struct snn_dropout));
}

static void dropout_prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct dropout *aux = node->aux;
    double keep = 1 - *(const double *)node->options;
    struct snn_dropout *to = (struct snn_dropout *)(numbers + aux->numbers);
    to->limit = (uint64_t)(keep * 4294967296.0), to->scale = (real)(1 / keep);
}

static void dropout_forward(struct snn_node *node, const struct snn_run *run) {
    const struct dropout *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units;
    const struct snn_dropout *p = snn_tape_numbers_at(aux->tape, aux->numbers);
    uint64_t *mask = snn_tape_memory(aux->tape, aux->mask);
    if (run->train) {
        math->dropout_mask(run->device, run->B, (int32_t)units, run->clock, aux->layer, run->batch->sample, p, mask);
        math->dropout(run->device, rows, run->B, (int32_t)units, mask, p, node->in[0]->data, node->out->data);
    } else if (node->out->data != node->in[0]->data) {
        math->accumulate(run->device, rows * units, node->in[0]->data, false, node->out->data);
    }
    if (node->out->nonzero) math->count_nonzero(run->device, rows, units, node->out->data, node->out->nonzero);
}

static void dropout_backward(struct snn_node *node, const struct snn_run *run) {
    const struct dropout *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units;
    if (!node->in[0]->grad) return;
    real *masked =
        snn_adds(node, 0, run) ? node->out->grad : node->in[0]->grad; /* our own gradient is not read again */
    math->dropout(run->device, rows, run->B, (int32_t)units, snn_tape_memory(aux->tape, aux->mask),
                  snn_tape_numbers_at(aux->tape, aux->numbers), node->out->grad, masked);
    if (masked != node->in[0]->grad) math->accumulate(run->device, rows * units, masked, true, node->in[0]->grad);
}

static const struct snn_op dropout_op = {"dropout",       SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS,
                                         dropout_plan,    dropout_prepare,
                                         dropout_forward, dropout_backward};

struct snn_tensor *snn_dropout(struct snn_tape *tape, const char *name, struct snn_tensor *x, const double *drop,
                               uint32_t layer) {
    struct snn_node *node =
        snn_tape_node(tape, &dropout_op, name, x, NULL, x->nd, x->dim, drop, sizeof(struct dropout));
    ((struct dropout *)node->aux)->layer = layer;
    node->out->is_sparse = x->is_spikes || x->is_sparse;
    return node->out;
}

/* ---- flatten ---- */

struct snn_tensor *snn_flatten(struct snn_tape *tape, struct snn_tensor *x) {
    int32_t units = (int32_t)x->units;
    return x->nd == 1 ? x : snn_tape_view(tape, x, 1, &units);
}
