/* SPDX-License-Identifier: Apache-2.0
 * ops_shape.c - add, flatten. */
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

/* ---- flatten ---- */

struct snn_tensor *snn_flatten(struct snn_tape *tape, struct snn_tensor *x) {
    int32_t units = (int32_t)x->units;
    return x->nd == 1 ? x : snn_tape_view(tape, x, 1, &units);
}
