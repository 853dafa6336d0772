/* SPDX-License-Identifier: Apache-2.0 */
#include "train/evaluate.h"

#include <stdlib.h>

#include "core/status.h"

static int pass(struct snn_experiment *e, const struct snn_evaluate_options *options, struct snn_metrics *m,
                int32_t *decided) {
    struct snn_loader *loader = e->loader[options->subset];
    const struct snn_batch *batch;
    SNN_TRY(snn_loader_start(loader, 0, 0));
    for (;;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) return SNN_OK;
        if (options->stop && *options->stop) return snn_error(SNN_EINTR, "interrupted");
        struct snn_slice slice;
        SNN_TRY(snn_network_stage(&e->network, batch));
        for (int32_t first = 0, at = 0; snn_network_slice(&e->network, &first, &slice); at = first) {
            struct snn_cut cut = {.batch = &slice.batch, .staged = &slice.staged, .T = slice.batch.T};
            snn_network_forward(&e->network, &cut);
            SNN_TRY(snn_metrics_add(m, &e->network, &cut, options->costs, decided + at));
        }
        for (int32_t b = 0; options->predictions && b < batch->B; ++b)
            fprintf(options->predictions, "%d,%d,%d\n", (int)batch->sample[b], (int)batch->label[b], (int)decided[b]);
        if (options->bar) snn_bar_move(options->bar, m->samples, NULL);
    }
}

int snn_evaluate(struct snn_experiment *e, const struct snn_evaluate_options *options, struct snn_metrics *metrics) {
    int32_t *decided = calloc((size_t)e->network.plan.B, sizeof *decided);
    if (!decided) return snn_error(SNN_EFAIL, "out of memory");
    int rc = pass(e, options, metrics, decided);
    free(decided);
    return rc;
}
