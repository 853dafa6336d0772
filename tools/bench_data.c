/* SPDX-License-Identifier: Apache-2.0
 * bench_data.c - snntrain bench data: how fast samples become batches, by number of worker threads.
 *
 * Batches are taken as fast as they come: as the lists of events that layers read, and made into dense frames as well,
 * which is what other programs' loaders give. The files are read once before, so that none is waited for. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autograd/math.h"
#include "cli.h"
#include "core/status.h"
#include "train/device.h"
#include "train/progress.h"

struct rate { /* of one number of workers */
    int workers;
    double first_batch_s, samples_per_s, frames_per_s; /* samples a second: as lists, as dense frames */
    double events_per_s;
};

struct bench {
    const struct cli *cli;
    struct snn_data_config *config;
    struct snn_dataset *set;
    struct snn_device device;
    struct snn_cache_warnings warnings;
    int32_t batch, samples, steps;
    bool lists;    /* batches are lists of events */
    double events; /* of an epoch */
};

/* Events of a batch; entries without a value count as one. */
static double events_of(const struct snn_batch *batch) {
    size_t n = snn_batch_entries(batch);
    double sum = 0;
    for (size_t i = 0; batch->value && i < n; ++i) sum += (double)batch->value[i];
    return batch->value ? sum : (double)n;
}

static void make_dense(struct bench *b, const struct snn_batch *batch, real *dense, int32_t *nonzero) {
    const struct snn_lists lists = {batch->row, batch->index, batch->value, batch->B, snn_batch_stride(batch), 1};
    if (batch->form == SNN_BATCH_EVENTS)
        b->device.math->load_events(&b->device, batch->T, (ptrdiff_t)batch->C * batch->H * batch->W, &lists, dense,
                                    nonzero);
}

/* Epochs until `least` seconds have passed; seconds an epoch into *epoch_s. */
static int epochs(struct bench *b, struct snn_loader *loader, bool dense, double least, double *epoch_s,
                  double *first_s) {
    real *frames = NULL;
    int32_t *nonzero = NULL;
    int64_t done = 0;
    double begin = snn_now(), now = begin;
    int rc = SNN_OK;
    *first_s = 0;
    for (; rc >= 0 && now - begin < least; ++done) {
        const struct snn_batch *batch;
        rc = snn_loader_start(loader, done, 0);
        while (rc >= 0 && (rc = snn_loader_next(loader, &batch)) >= 0 && batch) {
            if (!*first_s) *first_s = snn_now() - begin;
            if (done == 0 && !dense && b->events >= 0) b->events += events_of(batch);
            if (!dense || batch->form != SNN_BATCH_EVENTS) continue;
            if (!frames) {
                size_t rows = (size_t)b->steps * (size_t)b->batch,
                       units = (size_t)batch->C * (size_t)batch->H * (size_t)batch->W;
                frames = reallocarray(NULL, rows * units, sizeof *frames);
                nonzero = calloc(rows, sizeof *nonzero);
                if (!frames || !nonzero) rc = snn_error(SNN_EFAIL, "out of memory for dense frames");
            }
            if (rc >= 0) make_dense(b, batch, frames, nonzero);
        }
        now = snn_now();
        if (cli_stop) rc = snn_error(SNN_EINTR, "interrupted");
    }
    free(frames), free(nonzero);
    *epoch_s = (now - begin) / (double)done;
    return rc;
}

static int measure(struct bench *b, int workers, struct rate *out) {
    const double seconds = 2;
    struct snn_loader *loader;
    double lists_s, frames_s, unused;
    b->config->workers = workers;
    struct snn_loader_options options = {.config = b->config,
                                         .set = b->set,
                                         .subset = SNN_SUBSET_TRAIN,
                                         .batch = b->batch,
                                         .shuffle = true,
                                         .warnings = &b->warnings};
    SNN_TRY(snn_loader_open(&options, &loader));
    b->samples = snn_loader_samples(loader), b->steps = snn_loader_max_steps(loader);
    double warm;
    int rc = epochs(b, loader, false, 1e-9, &warm, &unused); /* one epoch: files and memory */
    b->events = 0;
    if (rc >= 0) rc = epochs(b, loader, false, seconds, &lists_s, &out->first_batch_s);
    double events = b->events;
    b->events = -1;
    if (rc >= 0) rc = epochs(b, loader, true, seconds, &frames_s, &unused);
    snn_loader_close(&loader);
    SNN_TRY(rc);
    out->workers = workers;
    out->samples_per_s = b->samples / lists_s, out->frames_per_s = b->samples / frames_s;
    out->events_per_s = events / lists_s;
    return SNN_OK;
}

static int report(const struct bench *b, const char *name, const struct rate *rates, int count) {
    json_t *rows = json_array();
    bool text = !b->cli->json;
    if (text)
        printf("%s: %d training samples, batches of %d, %d steps\n%7s %14s %14s %14s %14s\n", name, (int)b->samples,
               (int)b->batch, (int)b->steps, "workers", "samples/s", "as frames/s", "events/s", "first batch, s");
    for (int i = 0; i < count; ++i) {
        const struct rate *r = &rates[i];
        if (text)
            printf("%7d %14.0f %14.0f %14.3g %14.4f\n", r->workers, r->samples_per_s, r->frames_per_s, r->events_per_s,
                   r->first_batch_s);
        json_array_append_new(rows, json_pack("{s:i,s:f,s:f,s:f,s:f}", "workers", r->workers, "samples_per_s",
                                              r->samples_per_s, "frames_per_s", r->frames_per_s, "events_per_s",
                                              r->events_per_s, "first_batch_s", r->first_batch_s));
    }
    if (!text)
        return cli_print_json(json_pack("{s:s,s:i,s:i,s:i,s:o}", "config", name, "samples", (int)b->samples, "batch",
                                        (int)b->batch, "timesteps", (int)b->steps, "rows", rows));
    json_decref(rows);
    return SNN_OK;
}

int bench_data(struct cli *cli) {
    enum { MOST = 8 };
    struct rate rates[MOST];
    struct snn_data_config config;
    struct snn_conf_doc *doc;
    struct bench b = {.cli = cli, .config = &config, .warnings = {.file = cli_warnings(cli)}, .batch = 64};
    int count = 0, rc;
    SNN_TRY(cli_load_data(cli, cli->arg[1], &config, &doc));
    rc = snn_device_open("cpu", (int)cli->threads, &b.device);
    if (rc >= 0) rc = snn_dataset_open(config.name, cli->data, config.root, snn_data_set_options(&config), &b.set);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (int workers = 1; rc >= 0 && count < MOST && (workers <= cores || workers == 1); workers *= 2)
        rc = measure(&b, workers, &rates[count++]);
    if (rc >= 0) rc = report(&b, cli->arg[1], rates, count);
    snn_dataset_close(&b.set);
    snn_device_close(&b.device);
    snn_conf_free(&doc);
    return rc;
}
