/* SPDX-License-Identifier: Apache-2.0 */
#include "train/runlog.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/file.h"
#include "core/status.h"
#include "train/plot.h"

double snn_peak_rss_mb(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

json_t *snn_json_number(double x) { return isnan(x) ? json_null() : json_real(x); }

static int keep(struct snn_runlog *log, const struct snn_record *record) {
    if (log->count == log->room) {
        int room = log->room ? 2 * log->room : 64;
        struct snn_record *more = realloc(log->record, (size_t)room * sizeof *more);
        if (!more) return snn_error(SNN_EFAIL, "out of memory for the log");
        log->record = more, log->room = room;
    }
    log->record[log->count++] = *record;
    return SNN_OK;
}

static int read_line(struct snn_runlog *log, const char *line, size_t size, int number) {
    struct snn_record r = {0};
    const char *split;
    json_int_t epoch, step, samples;
    json_t *root = json_loadb(line, size, 0, NULL), *loss, *accuracy, *seconds, *wait, *lr;
    int rc = SNN_OK;
    if (!root || json_unpack(root, "{s:I,s:I,s:s,s:o,s:o,s:I,s:o,s:o,s:o}", "epoch", &epoch, "step", &step, "split",
                             &split, "loss", &loss, "accuracy", &accuracy, "samples", &samples, "seconds", &seconds,
                             "data_wait_s", &wait, "lr", &lr))
        rc = snn_error(SNN_EDATA, "%s:%d: not a record of a run", log->path, number);
    else {
        r.epoch = epoch, r.step = step, r.samples = samples;
        snprintf(r.split, sizeof r.split, "%s", split);
        r.loss = json_number_value(loss), r.seconds = json_number_value(seconds);
        r.accuracy = json_is_null(accuracy) ? NAN : json_number_value(accuracy);
        r.data_wait_s = json_number_value(wait), r.lr = json_number_value(lr);
        rc = keep(log, &r);
    }
    json_decref(root);
    return rc;
}

/* Read the first `records` lines; *bytes_kept is where they end. */
static int read_records(struct snn_runlog *log, int64_t records, off_t *bytes_kept) {
    unsigned char *bytes;
    size_t size;
    SNN_TRY(snn_file_read(log->path, (size_t)1 << 30, &bytes, &size));
    const char *line = (char *)bytes, *end = line + size;
    int rc = SNN_OK;
    for (int number = 1; rc >= 0 && number <= records; ++number) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        rc = next ? read_line(log, line, (size_t)(next - line), number)
                  : snn_error(SNN_EDATA, "%s: has %d records, but the checkpoint goes on behind %lld", log->path,
                              number - 1, (long long)records);
        line = next ? next + 1 : end;
    }
    *bytes_kept = line - (char *)bytes;
    free(bytes);
    return rc;
}

int snn_runlog_open(struct snn_runlog *log, const char *dir, int64_t records) {
    off_t bytes = 0;
    *log = (struct snn_runlog){0};
    if (asprintf(&log->path, "%s/log.jsonl", dir) < 0) return snn_error(SNN_EFAIL, "out of memory");
    if (records > 0) SNN_TRY(read_records(log, records, &bytes));
    log->file = fopen(log->path, records > 0 ? "r+" : "w");
    if (!log->file) return snn_error(SNN_EFAIL, "%s: cannot be written: %s", log->path, strerror(errno));
    if (ftruncate(fileno(log->file), bytes) || fseek(log->file, 0, SEEK_END))
        return snn_error(SNN_EFAIL, "%s: cannot be cut to the checkpoint: %s", log->path, strerror(errno));
    return SNN_OK;
}

void snn_runlog_close(struct snn_runlog *log) {
    if (log->file) fclose(log->file);
    free(log->path), free(log->record);
    *log = (struct snn_runlog){0};
}

int snn_runlog_add(struct snn_runlog *log, const struct snn_record *r, const struct snn_experiment *e,
                   const struct snn_metrics *m) {
    json_t *rates = json_object();
    for (int l = 0; l < m->layers; ++l) {
        double rate = snn_metrics_rate(m, l);
        if (!isnan(rate)) json_object_set_new(rates, e->network.model.layer[l].title, json_real(rate));
    }
    json_t *json = json_pack("{s:I,s:I,s:s,s:f,s:o,s:I,s:f,s:f,s:f,s:f,s:f,s:o}", "epoch", (json_int_t)r->epoch, "step",
                             (json_int_t)r->step, "split", r->split, "loss", r->loss, "accuracy",
                             snn_json_number(r->accuracy), "samples", (json_int_t)r->samples, "seconds", r->seconds,
                             "samples_per_s", r->seconds > 0 ? (double)r->samples / r->seconds : 0.0, "data_wait_s",
                             r->data_wait_s, "lr", r->lr, "peak_rss_mb", snn_peak_rss_mb(), "spike_rate", rates);
    if (json && e->stage_count) json_object_set_new(json, "stage", json_integer(e->stage + 1));
    char *line = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (!line) return snn_error(SNN_EFAIL, "%s: a record cannot be written", log->path);
    int rc = SNN_OK;
    if (fprintf(log->file, "%s\n", line) < 0 || fflush(log->file) || fsync(fileno(log->file)))
        rc = snn_error(SNN_EFAIL, "%s: cannot be written: %s", log->path, strerror(errno));
    free(line);
    return rc < 0 ? rc : keep(log, r);
}

const struct snn_record *snn_runlog_find(const struct snn_runlog *log, int64_t epoch, const char *split) {
    for (int i = log->count - 1; i >= 0; --i)
        if (log->record[i].epoch == epoch && !strcmp(log->record[i].split, split)) return &log->record[i];
    return NULL;
}

/* As a resumed run reads it from the log: its curves must be the same, pixel by pixel. */
static double as_logged(double x) {
    char text[32];
    snprintf(text, sizeof text, "%.9g", x);
    return strtod(text, NULL);
}

int snn_runlog_plot(const struct snn_runlog *log, const char *dir, const char *title) {
    static const char *const splits[] = {"train", "validation", "test"};
    struct snn_curve curve[2][3];
    double *numbers = calloc((size_t)log->count * 9 + 1, sizeof *numbers);
    char *path = NULL;
    if (!numbers || asprintf(&path, "%s/curves.png", dir) < 0) {
        free(numbers);
        return snn_error(SNN_EFAIL, "out of memory for curves.png");
    }
    int curves = 0;
    bool any_accuracy = false;
    for (int s = 0; s < 3; ++s) {
        double *x = numbers + (ptrdiff_t)3 * s * log->count, *loss = x + log->count, *accuracy = loss + log->count;
        int n = 0;
        for (int i = 0; i < log->count; ++i)
            if (!strcmp(log->record[i].split, splits[s]))
                x[n] = (double)log->record[i].epoch, loss[n] = as_logged(log->record[i].loss),
                accuracy[n++] = as_logged(log->record[i].accuracy), any_accuracy |= !isnan(log->record[i].accuracy);
        if (!n) continue;
        curve[0][curves] = (struct snn_curve){.label = splits[s], .x = x, .y = loss, .n = n, .markers = n <= 30};
        curve[1][curves++] = (struct snn_curve){.label = splits[s], .x = x, .y = accuracy, .n = n, .markers = n <= 30};
    }
    struct snn_panel panel[2] = {{.title = "Loss",
                                  .x_label = "epoch",
                                  .y_label = "loss",
                                  .curves = curve[0],
                                  .count = curves,
                                  .right_from = curves,
                                  .x_integer = true},
                                 {.title = "Accuracy",
                                  .x_label = "epoch",
                                  .y_label = "accuracy (%)",
                                  .curves = curve[1],
                                  .count = curves,
                                  .right_from = curves,
                                  .x_integer = true,
                                  .y_percent = true}};
    int rc = snn_plot_panels(path, title, panel, any_accuracy ? 2 : 1);
    free(numbers), free(path);
    return rc;
}
