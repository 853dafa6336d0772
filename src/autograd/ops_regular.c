/* SPDX-License-Identifier: Apache-2.0
 * ops_regular.c - a node that looks at the spikes of a layer: see regular.h.
 *
 * It stands right behind the layer, so that the counts are taken while the spikes are there, and so that on the way
 * back it comes last and adds to what the layers above have written. */
#include "autograd/ops.h"
#include "autograd/regular.h"

struct watch {
    const struct snn_tape *tape;
    int count, slope; /* (B,N) */
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct watch *aux = node->aux;
    size_t bytes = (size_t)tape->max_B * (size_t)node->in[0]->units * sizeof(real);
    aux->tape = tape; /* the loss reads counts and writes slopes */
    aux->count = snn_tape_buffer(tape, node, bytes, SNN_THROUGH);
    aux->slope = snn_tape_buffer(tape, node, bytes, SNN_THROUGH);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct watch *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    struct snn_rows rows = snn_tensor_rows(x);
    if (run->train)
        run->device->regular->count(run->device, snn_run_steps(run, x), run->B, x->units, &rows, snn_run_mask(run, x),
                                    snn_tape_memory(aux->tape, aux->count));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct watch *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    run->device->regular->push(run->device, snn_run_steps(run, x), run->B, x->units,
                               snn_tape_memory(aux->tape, aux->slope), snn_run_mask(run, x), snn_adds(node, 0, run),
                               x->grad);
}

static const struct snn_op watch_op = {"activity", SNN_OP_READS_BITS, plan, NULL, forward, backward};

struct snn_node *snn_watch(struct snn_tape *tape, const char *name, struct snn_tensor *x) {
    struct snn_tensor *output = tape->output;
    const int32_t one = 1;
    struct snn_node *node = snn_tape_node(tape, &watch_op, name, x, NULL, 1, &one, NULL, sizeof(struct watch));
    tape->output = output; /* nobody goes on from here */
    return node;
}

real *snn_watch_count(const struct snn_node *node) {
    const struct watch *aux = node->aux;
    return snn_tape_memory(aux->tape, aux->count);
}

real *snn_watch_slope(const struct snn_node *node) {
    const struct watch *aux = node->aux;
    return snn_tape_memory(aux->tape, aux->slope);
}
