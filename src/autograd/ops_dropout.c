/* SPDX-License-Identifier: Apache-2.0
 * ops_dropout.c - dropout of units or whole channels, with one mask for all steps or a new one at each. */
#include "autograd/math.h"
#include "autograd/ops.h"

struct dropout {
    const struct snn_tape *tape;
    uint32_t layer;
    int mask;
    size_t numbers; /* struct snn_dropout */
};

/* T, B and t0: of the steps that have masks of their own. */
static struct snn_dropout_shape dropout_shape(const struct snn_node *node, int32_t T, int32_t B, int32_t t0) {
    const struct snn_dropout_options *o = node->options;
    const struct snn_tensor *x = node->in[0];
    return (struct snn_dropout_shape){.units = (int32_t)x->units,
                                      .inner = o->channels ? (int32_t)(x->units / x->dim[0]) : 1,
                                      .T = o->time_shared ? 1 : T,
                                      .B = B,
                                      .t0 = o->time_shared ? 0 : t0};
}

static struct snn_dropout_shape dropout_run(const struct snn_node *node, const struct snn_run *run) {
    struct snn_dropout_shape s = dropout_shape(node, snn_run_steps(run, node->out), run->B, run->t0);
    s.rows = snn_run_rows(run, node->out);
    return s;
}

static void dropout_plan(struct snn_tape *tape, struct snn_node *node) {
    struct dropout *aux = node->aux;
    struct snn_dropout_shape s = dropout_shape(node, snn_plan_steps(tape, node->out), tape->max_B, 0);
    aux->tape = tape;
    aux->mask = snn_tape_buffer(tape, node,
                                (size_t)s.T * (size_t)s.B * (size_t)snn_dropout_words(&s) * sizeof(uint64_t), SNN_KEPT);
    aux->numbers = snn_tape_numbers(tape, sizeof(struct snn_dropout));
}

static void dropout_prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct dropout *aux = node->aux;
    double keep = 1 - ((const struct snn_dropout_options *)node->options)->p;
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
        struct snn_dropout_shape s = dropout_run(node, run);
        math->dropout_mask(run->device, &s, run->clock, aux->layer, run->batch->sample, p, mask);
        math->dropout(run->device, &s, mask, p, node->in[0]->data, node->out->data);
    } else if (node->out->data != node->in[0]->data) {
        math->accumulate(run->device, rows * units, node->in[0]->data, false, node->out->data);
    }
    if (node->out->nonzero) math->count_nonzero(run->device, rows, units, node->out->data, node->out->nonzero);
}

static void dropout_backward(struct snn_node *node, const struct snn_run *run) {
    const struct dropout *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    struct snn_dropout_shape s = dropout_run(node, run);
    if (!node->in[0]->grad) return;
    real *masked =
        snn_adds(node, 0, run) ? node->out->grad : node->in[0]->grad; /* our own gradient is not read again */
    math->dropout(run->device, &s, snn_tape_memory(aux->tape, aux->mask), snn_tape_numbers_at(aux->tape, aux->numbers),
                  node->out->grad, masked);
    if (masked != node->in[0]->grad) math->accumulate(run->device, s.rows * s.units, masked, true, node->in[0]->grad);
}

static const struct snn_op dropout_op = {"dropout",       SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS,
                                         dropout_plan,    dropout_prepare,
                                         dropout_forward, dropout_backward},
                           dropout_step_op = {"dropout of steps", SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE,
                                              dropout_plan,       dropout_prepare,
                                              dropout_forward,    dropout_backward};

struct snn_tensor *snn_dropout(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                               const struct snn_dropout_options *options, uint32_t layer) {
    if (!options->time_shared) x = snn_every_step(tape, name, x);
    struct snn_node *node = snn_tape_node(tape, options->time_shared ? &dropout_op : &dropout_step_op, name, x, NULL,
                                          x->nd, x->dim, options, sizeof(struct dropout));
    ((struct dropout *)node->aux)->layer = layer;
    node->out->is_sparse = x->is_spikes || x->is_sparse;
    return node->out;
}
