/* SPDX-License-Identifier: Apache-2.0
 * bench_speed.c - time and memory of training steps on batches that are already in memory. Recordings that come in
 * pieces are read piece by piece, between the times that count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "cli.h"
#include "core/status.h"
#include "train/device.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/runlog.h"
#include "train/step.h"

enum { KEPT = 8 }; /* batches that the steps go round */

static void *copy(const void *from, size_t bytes) {
    void *to = from ? malloc(bytes ? bytes : 1) : NULL;
    if (to) memcpy(to, from, bytes);
    return to;
}

static void keep(const struct snn_batch *b, struct snn_batch *out) {
    size_t rows = (size_t)b->T * (size_t)b->B, n = (size_t)b->B * sizeof(int32_t), entries = snn_batch_entries(b);
    *out = *b;
    out->frames = copy(b->frames, snn_batch_numbers(b) * sizeof(float));
    out->row = copy(b->row, (rows + 1) * sizeof(int32_t));
    out->first = copy(b->first, n + sizeof(int32_t)), out->step = copy(b->step, entries * sizeof(int32_t));
    out->index = copy(b->index, entries * sizeof(int32_t));
    out->value = copy(b->value, entries * sizeof(float));
    out->target = copy(b->target, snn_batch_targets(b) * sizeof(float));
    out->label = copy(b->label, n), out->length = copy(b->length, n), out->sample = copy(b->sample, n);
}

static void drop(struct snn_batch *b) {
    free(b->target), free(b->frames), free(b->row), free(b->first), free(b->step), free(b->index), free(b->value),
        free(b->label), free(b->length), free(b->sample);
}

struct bench {
    struct snn_experiment *e;
    struct snn_batch batch[KEPT];
    int kept;
    struct snn_metrics metrics;
    double first_step_s, loss_first, loss_last;
    long step;
    double *profile; /* (nodes, 2) */
};

static int training_step(struct bench *b, const struct snn_batch *batch) {
    struct snn_step step = {.seed = b->e->seed,
                            .number = b->step,
                            .samples = batch->B,
                            .first = !batch->t0,
                            .last = snn_batch_ends(batch),
                            .rate = snn_schedule_rate(b->e->schedule, 0, b->step),
                            .clip = NAN};
    b->step += step.last;
    return snn_step(&b->e->network, &b->e->trainer, batch, &step);
}

/* Figures of the steps since the last look; waits for them. */
static int look(struct bench *b, double *loss) {
    SNN_TRY(snn_metrics_look(&b->metrics, &b->e->network));
    if (loss) *loss = b->metrics.score[0].loss;
    snn_metrics_reset(&b->metrics);
    snn_metrics_start(&b->metrics, &b->e->network);
    return SNN_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A device that runs ahead is timed in blocks of steps, since a look after each would be part of what is measured: the
 * figures are then of the means of blocks. */
static long block_of(const struct bench *b, long iters) {
    if (b->e->device.shared) return 1;
    return iters / 10 < 1 ? 1 : iters / 10 < b->e->device.interval ? iters / 10 : b->e->device.interval;
}

static int time_steps(struct bench *b, double *times, long iters) {
    long block = block_of(b, iters), n;
    for (long i = 0; i < iters && !cli_stop; i += n) {
        double started = snn_now();
        n = iters - i < block ? iters - i : block;
        for (long k = 0; k < n; ++k) {
            if (k && k + 1 == n)
                snn_metrics_start(&b->metrics, &b->e->network); /* the loss that counts is the last one's */
            SNN_TRY(training_step(b, &b->batch[(i + k) % b->kept]));
        }
        SNN_TRY(look(b, &b->loss_last));
        for (long k = 0; k < n; ++k) times[i + k] = (snn_now() - started) / (double)n;
        b->loss_last /= b->batch[0].B;
    }
    if (cli_stop) return snn_error(SNN_EINTR, "interrupted");
    if (!isfinite(b->loss_last)) return snn_error(SNN_EFAIL, "the loss is not finite after %ld steps", b->step);
    return SNN_OK;
}

/* The pieces of the next batch of as many samples as the first had; at an epoch's end the same begins again. */
static int pass_pieces(struct bench *b, double *seconds) {
    struct snn_loader *loader = b->e->loader[0];
    const struct snn_batch *batch;
    *seconds = 0;
    for (bool ends = false; !ends;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch || (b->batch[0].B && batch->B < b->batch[0].B)) {
            SNN_TRY(snn_loader_start(loader, 0, 0));
            continue;
        }
        b->batch[0].B = batch->B;
        double started = snn_now();
        SNN_TRY(training_step(b, batch));
        if (!batch->t0) snn_metrics_expect(&b->metrics, &b->e->network, batch);
        ends = snn_batch_ends(batch);
        if (cli_stop) return snn_error(SNN_EINTR, "interrupted");
        if (ends) SNN_TRY(b->e->device.memory->download(&b->e->device, NULL, NULL, 0)); /* waits */
        *seconds += snn_now() - started;
    }
    return SNN_OK;
}

static int measure_pieces(const struct cli *cli, struct bench *b, double *times, long iters, long warmup) {
    double seconds;
    SNN_TRY(snn_loader_start(b->e->loader[0], 0, 0));
    SNN_TRY(pass_pieces(b, &seconds));
    SNN_TRY(look(b, &b->loss_first));
    b->loss_first /= b->batch[0].B, b->first_step_s = snn_now() - cli->started;
    for (long i = 0; i < warmup; ++i) SNN_TRY(pass_pieces(b, &seconds));
    b->e->network.model.tape.profile = b->profile;
    for (long i = 0; i < iters; ++i) {
        SNN_TRY(look(b, NULL));
        SNN_TRY(pass_pieces(b, &times[i]));
        if (cli_stop) return snn_error(SNN_EINTR, "interrupted");
    }
    b->e->network.model.tape.profile = NULL;
    SNN_TRY(snn_metrics_look(&b->metrics, &b->e->network));
    b->loss_last = b->metrics.score[0].loss / b->batch[0].B;
    return isfinite(b->loss_last) ? SNN_OK : snn_error(SNN_EFAIL, "the loss is not finite after %ld steps", b->step);
}

static int measure(const struct cli *cli, struct bench *b, double *times, long iters, long warmup) {
    struct snn_experiment *e = b->e;
    const struct snn_batch *batch;
    if (snn_loader_pieces(e->loader[0]) > 1) return measure_pieces(cli, b, times, iters, warmup);
    SNN_TRY(snn_loader_start(e->loader[0], 0, 0));
    while (b->kept < KEPT) {
        SNN_TRY(snn_loader_next(e->loader[0], &batch));
        if (!batch || (b->kept && batch->B < b->batch[0].B)) break;
        keep(batch, &b->batch[b->kept++]);
        if (b->kept > 1) continue;
        SNN_TRY(training_step(b, &b->batch[0]));
        SNN_TRY(look(b, &b->loss_first));
        b->loss_first /= b->batch[0].B;
        b->first_step_s = snn_now() - cli->started;
    }
    if (!b->kept) return snn_error(SNN_EDATA, "%s: has no training samples", e->data.name);
    for (long i = 0; i < warmup; ++i) SNN_TRY(training_step(b, &b->batch[i % b->kept]));
    SNN_TRY(look(b, NULL));
    e->network.model.tape.profile = b->profile;
    SNN_TRY(time_steps(b, times, iters));
    e->network.model.tape.profile = NULL;
    for (int i = 0; i < b->kept; ++i) { /* spike rates, beyond the measured steps */
        SNN_TRY(training_step(b, &b->batch[i]));
        snn_metrics_expect(&b->metrics, &e->network, &b->batch[i]);
    }
    return snn_metrics_look(&b->metrics, &e->network);
}

/* Milliseconds a step by node; `rest` is what is not in any: loading the input, the loss, the optimiser. */
static json_t *profile_json(const struct bench *b, long iters, double total_ms, FILE *text) {
    const struct snn_tape *tape = &b->e->network.model.tape;
    json_t *rows = json_array();
    double rest = total_ms;
    if (text)
        fprintf(text, "\n%-30s %-16s %12s %12s %8s\n", "layer", "operation", "forward ms", "backward ms", "share");
    for (int i = 0; i < tape->nodes; ++i) {
        const struct snn_node *node = tape->node[i];
        double forward = 1e3 * b->profile[2 * i] / (double)iters,
               backward = 1e3 * b->profile[2 * i + 1] / (double)iters;
        rest -= forward + backward;
        if (text)
            fprintf(text, "%-30s %-16s %12.3f %12.3f %6.1f %%\n", node->name, node->op->name, forward, backward,
                    100 * (forward + backward) / total_ms);
        json_array_append_new(rows, json_pack("{s:s,s:s,s:f,s:f}", "layer", node->name, "operation", node->op->name,
                                              "forward_ms", forward, "backward_ms", backward));
    }
    if (text)
        fprintf(text, "%-30s %-16s %12.3f %12s %6.1f %%\n", "input, loss, optimiser", "", rest, "",
                100 * rest / total_ms);
    return rows;
}

static int report(const struct cli *cli, const struct bench *b, double *times, long iters) {
    const struct snn_experiment *e = b->e;
    ptrdiff_t parameters = 0;
    for (int i = 0; i < e->network.model.layers; ++i) parameters += e->network.model.layer[i].parameters;
    qsort(times, (size_t)iters, sizeof *times, ascending);
    double median = iters % 2 ? times[iters / 2] : (times[iters / 2 - 1] + times[iters / 2]) / 2,
           rss = snn_peak_rss_mb();
    int batch = b->batch[0].B;
    double mean = 0;
    for (long i = 0; i < iters; ++i) mean += 1e3 * times[i] / (double)iters;
    char device[512];
    snn_device_text(&e->device, device, sizeof device);
    if (!cli->json) {
        printf("%s: batch %d, %d steps, %td parameters, %s\n%.2f ms a training step (median of %ld%s; "
               "best %.2f), %.0f samples/s\n"
               "peak memory %.1f MB, first step after %.3f s, loss %.4f -> %.4f\n",
               cli->arg[1], batch, (int)e->steps, parameters, device, 1e3 * median, iters,
               block_of(b, iters) > 1 ? " in blocks" : "", 1e3 * times[0], batch / median, rss, b->first_step_s,
               b->loss_first, b->loss_last);
        if (b->profile) json_decref(profile_json(b, iters, mean, stdout));
        return SNN_OK;
    }
    json_t *rates = json_object();
    for (int l = 0; l < b->metrics.layers; ++l)
        if (b->metrics.layer_slots[l] > 0)
            json_object_set_new(rates, e->network.model.layer[l].title, json_real(snn_metrics_rate(&b->metrics, l)));
    json_t *json = json_pack(
        "{s:s,s:s,s:i,s:i,s:i,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o}", "config", cli->arg[1], "device", e->device.name,
        "threads", e->device.threads, "batch", batch, "timesteps", (int)e->steps, "parameters", (json_int_t)parameters,
        "ms_per_step", 1e3 * median, "ms_min", 1e3 * times[0], "samples_per_s", batch / median, "peak_rss_mb", rss,
        "first_step_s", b->first_step_s, "loss_first", b->loss_first, "loss_last", b->loss_last, "spike_rate", rates);
    if (json && b->profile) json_object_set_new(json, "profile", profile_json(b, iters, mean, NULL));
    return cli_print_json(json);
}

static int run(const struct cli *cli, struct bench *b) {
    struct snn_experiment *e = b->e;
    long iters = cli->iters >= 0 ? cli->iters : 20, warmup = cli->warmup >= 0 ? cli->warmup : 3;
    if (iters < 1) return snn_error(SNN_EUSAGE, "--iters: expected 1 or more, got %ld", iters);
    double *times = calloc((size_t)iters, sizeof *times);
    b->profile = cli->profile ? calloc(2 * (size_t)e->network.model.tape.nodes, sizeof *b->profile) : NULL;
    if (!times || (cli->profile && !b->profile)) {
        free(times);
        return snn_error(SNN_EFAIL, "out of memory");
    }
    struct snn_network_plan plan = snn_experiment_plan(e, true);
    int rc = snn_network_allocate(&e->network, &plan);
    if (rc >= 0) rc = snn_experiment_init(e);
    snn_metrics_init(&b->metrics, &e->network, e->steps, NULL, 1);
    if (rc >= 0) rc = measure(cli, b, times, iters, warmup);
    if (rc >= 0) rc = report(cli, b, times, iters);
    snn_metrics_free(&b->metrics);
    for (int i = 0; i < b->kept; ++i) drop(&b->batch[i]);
    free(times), free(b->profile);
    return rc;
}

int bench_speed(struct cli *cli) {
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    struct bench b = {.e = &e};
    SNN_TRY(cli_load_config(cli, cli->arg[1], &doc));
    struct snn_experiment_options options = {.device = cli->device,
                                             .threads = (int)cli->threads,
                                             .data_dir = cli->data,
                                             .warnings = cli_warnings(cli),
                                             .watch = cli_watch(cli)};
    SNN_TRY(snn_experiment_read(doc, &options, &e));
    if (e.data.pieces > 0) e.data.workers = 0; /* nobody reads while a step is timed */
    int rc = snn_experiment_data(&e, cli->data, 1, 0, 0);
    if (rc >= 0) rc = run(cli, &b);
    snn_experiment_close(&e);
    return rc;
}

int cmd_bench(struct cli *cli) {
    if (cli->args && !strcmp(cli->arg[0], "timesteps")) {
        SNN_TRY(cli_expect_args(cli, 2, 2));
        return bench_timesteps(cli);
    }
    if (cli->args && !strcmp(cli->arg[0], "speed")) {
        SNN_TRY(cli_expect_args(cli, 2, 2));
        return bench_speed(cli);
    }
    if (cli->args && !strcmp(cli->arg[0], "rules")) {
        SNN_TRY(cli_expect_args(cli, 2, 2));
        return bench_rules(cli);
    }
    if (cli->args && !strcmp(cli->arg[0], "data")) {
        SNN_TRY(cli_expect_args(cli, 2, 2));
        return bench_data(cli);
    }
    if (cli->args && !strcmp(cli->arg[0], "neurons")) {
        SNN_TRY(cli_expect_args(cli, 1, CLI_ARGS));
        return bench_neurons(cli);
    }
    if (!cli->args)
        return snn_error(SNN_EUSAGE,
                         "bench: expected timesteps, speed, rules, neurons or data (`snntrain bench --help`)");
    return snn_error(SNN_EUSAGE, "bench: expected timesteps, speed, rules, neurons or data, got '%s'", cli->arg[0]);
}
