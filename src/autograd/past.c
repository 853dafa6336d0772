/* SPDX-License-Identifier: Apache-2.0
 * past.c - see past.h. */
#include "autograd/past.h"

#include "autograd/delay.h"
#include "autograd/memory.h"

static size_t bytes_kept(const struct snn_node *node, int32_t B) {
    const struct snn_past *past = node->aux;
    return (size_t)past->steps * (size_t)B * (size_t)node->in[0]->units * sizeof(real);
}

void snn_past_plan(struct snn_tape *tape, struct snn_node *node, int32_t steps) {
    struct snn_past *past = node->aux;
    *past = (struct snn_past){tape, steps, -1, -1};
    if (!tape->many_cuts) return;
    size_t kept = bytes_kept(node, tape->max_B);
    size_t now = (size_t)snn_plan_rows(tape, node->in[0]) * (size_t)node->in[0]->units * sizeof(real);
    past->kept = snn_tape_buffer(tape, node, kept, SNN_LASTING);
    past->joined = snn_tape_buffer(tape, node, kept + now, SNN_KEPT);
}

int32_t snn_past_steps(const struct snn_node *node) {
    const struct snn_past *past = node->aux;
    return past->joined >= 0 ? past->steps : 0;
}

struct snn_rows snn_past_rows(const struct snn_node *node) {
    const struct snn_past *past = node->aux;
    real *joined = snn_tape_memory(past->tape, past->joined);
    return joined ? (struct snn_rows){.dense = joined} : snn_tensor_rows(node->in[0]);
}

void snn_past_join(const struct snn_node *node, const struct snn_run *run) {
    const struct snn_past *past = node->aux;
    const struct snn_tensor *x = node->in[0];
    const struct snn_memory_kernels *memory = run->device->memory;
    struct snn_rows rows = snn_tensor_rows(x);
    real *joined = snn_tape_memory(past->tape, past->joined);
    void *kept = snn_tape_memory(past->tape, past->kept);
    if (!joined) return;
    size_t bytes = bytes_kept(node, run->B);
    ptrdiff_t first = (ptrdiff_t)past->steps * run->B, now = snn_run_rows(run, x);
    if (run->cut > 0) memory->copy(run->device, joined, kept, bytes);
    else memory->zero(run->device, joined, bytes);
    run->device->delay->expand(run->device, now, x->units, &rows, joined + first * x->units);
    memory->copy(run->device, kept, joined + now * x->units, bytes);
}
