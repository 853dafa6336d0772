/* SPDX-License-Identifier: Apache-2.0
 * diagnose.c - the forward pass is run again layer by layer, because buffers have been reused since. */
#include "train/diagnose.h"

#include <math.h>
#include <stdlib.h>

#include "autograd/memory.h"
#include "core/status.h"

static ptrdiff_t first_bad(const real *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; ++i)
        if (!isfinite(x[i])) return i;
    return -1;
}

/* Index of the first number in device memory that is not finite, -1: none, or nothing there. */
static int first_bad_of(struct snn_device *device, real *memory, ptrdiff_t n, ptrdiff_t *at) {
    void *x = NULL;
    *at = -1;
    if (!memory) return SNN_OK;
    SNN_TRY(snn_borrow(device, memory, (size_t)n * sizeof(real), &x));
    *at = first_bad(x, n);
    snn_borrow_end(device, memory, (size_t)n * sizeof(real), x, false);
    return SNN_OK;
}

/* Does the last of the first `count` nodes, or the input, give such a number in this cut? SNN_OK: no. */
static int diagnose_cut(struct snn_network *n, const struct snn_cut *cut, int count, int64_t step) {
    struct snn_tape *tape = &n->model.tape;
    const struct snn_batch *batch = cut->batch;
    const struct snn_tensor *t = count ? tape->node[count - 1]->out : tape->input;
    const char *name = count ? tape->node[count - 1]->name : "the input";
    int nodes = tape->nodes;
    tape->nodes = count;
    snn_network_forward(n, cut);
    tape->nodes = nodes;
    ptrdiff_t rows = t->is_weight ? 1 : (ptrdiff_t)batch->B * (t->is_static ? 1 : cut->T + t->appended), at;
    SNN_TRY(first_bad_of(n->device, t->data, rows * t->units, &at));
    if (at < 0) return SNN_OK;
    if (t->is_weight) return snn_error(SNN_EFAIL, "step %lld: the weight of %s is not finite", (long long)step, name);
    ptrdiff_t row = at / t->units;
    return snn_error(SNN_EFAIL, "step %lld: %s gives a number that is not finite at time step %td of sample %d",
                     (long long)step, name, t->is_static ? 0 : snn_cut_at(cut) + row / batch->B,
                     (int)batch->sample[row % batch->B]);
}

static int diagnose_slice(struct snn_network *n, const struct snn_slice *slice, int64_t step,
                          const struct snn_carry *before) {
    for (int count = 0; count <= n->model.tape.nodes; ++count) {
        if (before) SNN_TRY(snn_carry_put(n, before));
        struct snn_cut cut = snn_slice_cut(slice, true);
        cut.follows = false; /* weights are made again too */
        while (snn_slice_next(slice, n->plan.cut, &cut)) SNN_TRY(diagnose_cut(n, &cut, count, step));
    }
    return SNN_OK;
}

/* A piece begins with the states that it began with, and leaves what it had left. */
static int diagnose_layers(struct snn_network *n, int64_t step, const struct snn_carry *before) {
    struct snn_carry after = {0};
    struct snn_slice slice;
    int rc = before ? snn_carry_take(n, &after) : SNN_OK;
    if (rc >= 0 && before) rc = snn_carry_put(n, before);
    for (int32_t first = 0; rc >= 0 && snn_network_slice(n, &first, &slice);)
        rc = diagnose_slice(n, &slice, step, before);
    if (rc >= 0 && before) rc = snn_carry_put(n, &after);
    free(after.bytes);
    return rc;
}

int snn_diagnose(struct snn_network *n, const struct snn_batch *batch, int64_t step, const struct snn_carry *before) {
    const struct snn_params *params = &n->model.params;
    ptrdiff_t at;
    for (int i = 0; i < params->count; ++i) {
        SNN_TRY(first_bad_of(n->device, params->list[i]->value, params->list[i]->count, &at));
        if (at >= 0)
            return snn_error(
                SNN_EFAIL,
                "step %lld: parameter %s is not finite (a smaller train.optimizer.lr or train.clip may help)",
                (long long)step, params->list[i]->name);
    }
    SNN_TRY(snn_network_stage(n, batch));
    SNN_TRY(diagnose_layers(n, step, before));
    for (int i = 0; i < params->count; ++i) {
        SNN_TRY(first_bad_of(n->device, params->list[i]->grad, params->list[i]->count, &at));
        if (at >= 0)
            return snn_error(SNN_EFAIL, "step %lld: the gradient of %s is not finite", (long long)step,
                             params->list[i]->name);
    }
    return SNN_OK;
}
