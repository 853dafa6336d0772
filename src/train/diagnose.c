/* SPDX-License-Identifier: Apache-2.0
 * diagnose.c - the forward pass is run again layer by layer, because buffers have been reused since. */
#include "train/diagnose.h"

#include <math.h>

#include "core/status.h"

static ptrdiff_t first_bad(const real *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; ++i)
        if (!isfinite(x[i])) return i;
    return -1;
}

static int diagnose_slice(struct snn_network *n, const struct snn_batch *batch, int64_t step) {
    struct snn_tape *tape = &n->model.tape;
    const struct snn_tensor *input = tape->input;
    struct snn_cut cut = {.batch = batch, .T = batch->T, .train = true};
    int nodes = tape->nodes;
    for (int count = 0; count <= nodes; ++count) { /* the first `count` nodes only */
        tape->nodes = count;
        snn_network_forward(n, &cut);
        const struct snn_tensor *t = count ? tape->node[count - 1]->out : input;
        ptrdiff_t rows = (ptrdiff_t)batch->B * (t->is_static ? 1 : batch->T),
                  at = t->data ? first_bad(t->data, rows * t->units) : -1;
        if (at < 0) continue;
        tape->nodes = nodes;
        ptrdiff_t row = at / t->units;
        return snn_error(SNN_EFAIL, "step %lld: %s gives a number that is not finite at time step %td of sample %d",
                         (long long)step, count ? tape->node[count - 1]->name : "the input",
                         t->is_static ? 0 : row / batch->B, (int)batch->sample[row % batch->B]);
    }
    tape->nodes = nodes;
    return SNN_OK;
}

int snn_diagnose(struct snn_network *n, const struct snn_batch *batch, int64_t step) {
    const struct snn_params *params = &n->model.params;
    struct snn_batch slice;
    for (int i = 0; i < params->count; ++i)
        if (first_bad(params->list[i]->value, params->list[i]->count) >= 0)
            return snn_error(
                SNN_EFAIL,
                "step %lld: parameter %s is not finite (a smaller train.optimizer.lr or train.clip may help)",
                (long long)step, params->list[i]->name);
    for (int32_t first = 0; snn_network_slice(n, batch, &first, &slice);) SNN_TRY(diagnose_slice(n, &slice, step));
    for (int i = 0; i < params->count; ++i)
        if (!params->list[i]->buffer && first_bad(params->list[i]->grad, params->list[i]->count) >= 0)
            return snn_error(SNN_EFAIL, "step %lld: the gradient of %s is not finite", (long long)step,
                             params->list[i]->name);
    return snn_error(SNN_EFAIL, "step %lld: the loss is not finite", (long long)step);
}
