/* SPDX-License-Identifier: Apache-2.0
 * ops_pool.c - average, sum and maximum over windows. The maximum of spikes is taken from their bits and is again
 * mostly zero. */
#include "autograd/ops.h"

struct pool {
    const struct snn_tape *tape;
    struct snn_pool_shape shape;
    int scratch, choice;
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct pool *aux = node->aux;
    aux->tape = tape;
    aux->scratch =
        snn_tape_buffer(tape, node, tape->device->pool->scratch(tape->device->threads, &aux->shape), SNN_IN_FORWARD);
}

static void plan_max(struct snn_tape *tape, struct snn_node *node) {
    struct pool *aux = node->aux;
    plan(tape, node);
    bool backward = tape->recorded && node->out->needs_grad;
    aux->choice =
        backward ? snn_tape_buffer(tape, node,
                                   (size_t)snn_plan_rows(tape, node->out) * (size_t)node->out->units * sizeof(uint16_t),
                                   SNN_KEPT)
                 : -1;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct pool *aux = node->aux;
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    run->device->pool->average(run->device, &aux->shape, snn_run_rows(run, node->out), &x, node->out->data,
                               node->out->nonzero, snn_tape_memory(aux->tape, aux->scratch));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct pool *aux = node->aux;
    if (!node->in[0]->grad) return;
    run->device->pool->average_grad(run->device, &aux->shape, snn_run_rows(run, node->out), node->out->grad,
                                    snn_adds(node, 0, run), node->in[0]->grad);
}

static void forward_max(struct snn_node *node, const struct snn_run *run) {
    const struct pool *aux = node->aux;
    struct snn_rows x = snn_tensor_rows(node->in[0]);
    run->device->pool->maximum(run->device, &aux->shape, snn_run_rows(run, node->out), &x, node->out->data,
                               snn_tape_memory(aux->tape, aux->choice), node->out->nonzero,
                               snn_tape_memory(aux->tape, aux->scratch));
}

static void backward_max(struct snn_node *node, const struct snn_run *run) {
    const struct pool *aux = node->aux;
    if (!node->in[0]->grad) return;
    run->device->pool->maximum_grad(run->device, &aux->shape, snn_run_rows(run, node->out), node->out->grad,
                                    snn_tape_memory(aux->tape, aux->choice), snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op average_op = {"average pool", SNN_OP_READS_BITS | SNN_OP_TIMELESS, plan, NULL, forward,
                                         backward};
static const struct snn_op max_op = {"max pool",  SNN_OP_READS_BITS | SNN_OP_TIMELESS, plan_max, NULL, forward_max,
                                     backward_max};

static struct snn_tensor *pool(struct snn_tape *tape, const struct snn_op *op, const char *name, struct snn_tensor *x,
                               const struct snn_pool_shape *shape, int nd, const int32_t *dim) {
    struct snn_node *node = snn_tape_node(tape, op, name, x, NULL, nd, dim, NULL, sizeof(struct pool));
    ((struct pool *)node->aux)->shape = *shape;
    node->out->is_sparse = x->is_spikes || x->is_sparse;
    return node->out;
}

struct snn_tensor *snn_average_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                    const struct snn_pool_shape *shape, int nd, const int32_t *dim) {
    return pool(tape, &average_op, name, x, shape, nd, dim);
}

struct snn_tensor *snn_max_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                const struct snn_pool_shape *shape, int nd, const int32_t *dim) {
    return pool(tape, &max_op, name, x, shape, nd, dim);
}
