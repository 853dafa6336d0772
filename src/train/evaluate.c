/* SPDX-License-Identifier: Apache-2.0 */
#include "train/evaluate.h"

#include "core/status.h"

/* The first line of the CSV; where the outputs are numbers: "sample,target_0,...,predicted_0,...", as the outputs are
 * drawn together by `train.decide`, or "sample,step,..." with a row for every step when there is a target a step; rows
 * of batches that pass in cuts come cut by cut. */
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

static void write_row(FILE *out, int32_t n, const float *target, const real *output, const double *drawn) {
    for (int32_t i = 0; i < n; ++i) fprintf(out, ",%.7g", (double)target[i]);
    for (int32_t i = 0; i < n; ++i) fprintf(out, ",%.7g", output ? (double)output[i] : drawn[i]);
    fprintf(out, "\n");
}

/* The rows of a cut, where there is a target a step. */
static void write_steps(const struct snn_network *n, const struct snn_cut *cut, FILE *out) {
    const struct snn_batch *batch = cut->batch;
    ptrdiff_t K = n->targets, stride = snn_batch_stride(batch);
    for (int32_t b = 0; b < batch->B; ++b)
        for (int32_t t = 0; t < snn_cut_length(cut, b); ++t) {
            fprintf(out, "%d,%d", (int)batch->sample[b], (int)(snn_cut_at(cut) + t));
            write_row(out, (int32_t)K, batch->target + ((cut->t0 + t) * stride + b) * K,
                      n->output + ((ptrdiff_t)t * batch->B + b) * K, NULL);
        }
}

/* The rows of a slice that has passed. */
static void write_samples(const struct snn_metrics *m, const struct snn_batch *batch, FILE *out) {
    for (int32_t b = 0; b < batch->B; ++b) {
        fprintf(out, "%d", (int)batch->sample[b]);
        if (m->classes) fprintf(out, ",%d,%d\n", (int)batch->label[b], (int)snn_metrics_class(m, b));
        else write_row(out, m->outputs, batch->target + (ptrdiff_t)b * m->outputs, NULL, snn_metrics_drawn(m, b));
    }
}

int snn_evaluate(struct snn_experiment *e, const struct snn_evaluate_options *options, struct snn_metrics *m) {
    struct snn_loader *loader = e->loader[options->subset];
    struct snn_network *n = &e->network;
    FILE *out = options->predictions;
    const struct snn_batch *batch;
    SNN_TRY(snn_loader_start(loader, 0, 0));
    if (out) head(n, out);
    for (;;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) return SNN_OK;
        if (options->stop && *options->stop) return snn_error(SNN_EINTR, "interrupted");
        struct snn_slice slice;
        SNN_TRY(snn_network_stage(n, batch));
        for (int32_t first = 0; snn_network_slice(n, &first, &slice);) {
            struct snn_cut cut = snn_slice_cut(&slice, false);
            while (snn_slice_next(&slice, n->plan.cut, &cut)) {
                snn_network_forward(n, &cut);
                SNN_TRY(snn_metrics_add(m, n, &cut, options->costs));
                if (out && n->target_steps) write_steps(n, &cut, out);
            }
            if (out && !n->target_steps && snn_batch_ends(batch)) write_samples(m, &slice.batch, out);
        }
        if (options->bar) snn_bar_move(options->bar, (double)m->samples - snn_batch_left(batch), NULL);
    }
}
