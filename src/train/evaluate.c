/* SPDX-License-Identifier: Apache-2.0 */
#include "train/evaluate.h"

#include <stdlib.h>

#include "core/status.h"

/* The first line of the CSV; where the outputs are numbers: "sample,target_0,...,predicted_0,...", as the outputs are
 * drawn together by `train.decide`, or "sample,step,..." with a row for every step when there is a target a step. */
static void head(const struct snn_network *n, FILE *out) {
    static const char *const column[] = {"target", "predicted"};
    if (!n->regression) {
        fprintf(out, "sample,label,predicted\n");
        return;
    }
    fprintf(out, n->target_steps ? "sample,step" : "sample");
    for (int k = 0; k < 2; ++k)
        for (int32_t i = 0; i < n->targets; ++i) fprintf(out, ",%s_%d", column[k], (int)i);
    fprintf(out, "\n");
}

static void write_numbers(const struct snn_network *n, const struct snn_cut *cut, double *scratch, FILE *out) {
    const struct snn_batch *batch = cut->batch;
    int32_t K = n->targets, stride = snn_batch_stride(batch);
    for (int32_t b = 0; b < batch->B; ++b)
        for (int32_t t = 0; t < (n->target_steps ? snn_cut_length(cut, b) : 1); ++t) {
            const float *target = batch->target + ((ptrdiff_t)t * stride + b) * K;
            const real *output = n->output + ((ptrdiff_t)t * batch->B + b) * K;
            fprintf(out, "%d", (int)batch->sample[b]);
            if (n->target_steps) fprintf(out, ",%d", (int)t);
            else
                snn_decide_scores(n->decide, snn_cut_length_of(cut, n->model.tape.output, b), batch->B, K, b, n->output,
                                  scratch);
            for (int32_t i = 0; i < K; ++i) fprintf(out, ",%.7g", (double)target[i]);
            for (int32_t i = 0; i < K; ++i) fprintf(out, ",%.7g", n->target_steps ? (double)output[i] : scratch[i]);
            fprintf(out, "\n");
        }
}

static int pass(struct snn_experiment *e, const struct snn_evaluate_options *options, struct snn_metrics *m,
                int32_t *decided) {
    struct snn_loader *loader = e->loader[options->subset];
    const struct snn_batch *batch;
    SNN_TRY(snn_loader_start(loader, 0, 0));
    if (options->predictions) head(&e->network, options->predictions);
    for (;;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) return SNN_OK;
        if (options->stop && *options->stop) return snn_error(SNN_EINTR, "interrupted");
        struct snn_slice slice;
        SNN_TRY(snn_network_stage(&e->network, batch));
        for (int32_t first = 0, at = 0; snn_network_slice(&e->network, &first, &slice); at = first) {
            struct snn_cut cut = snn_slice_cut(&slice, false);
            snn_network_forward(&e->network, &cut);
            SNN_TRY(snn_metrics_add(m, &e->network, &cut, options->costs, decided + at));
            if (options->predictions && m->classes == 0)
                write_numbers(&e->network, &cut, m->scratch, options->predictions);
        }
        for (int32_t b = 0; options->predictions && m->classes && b < batch->B; ++b)
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
