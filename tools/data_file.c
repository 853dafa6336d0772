/* SPDX-License-Identifier: Apache-2.0
 * data_file.c - snntrain data info|show of a recording in a file of any format that is known. */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "data.h"
#include "datasets/events.h"

enum { PEAK_US = 10000 };

static int choose(const char *option, const char *word, const char *const *names, int *out) {
    *out = 0;
    if (!word) return SNN_OK;
    char all[64] = "";
    for (int i = 1; names[i]; ++i) {
        if (!strcmp(word, names[i])) *out = i;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 1 ? ", " : "", names[i]);
    }
    return *out ? SNN_OK : snn_error(SNN_EUSAGE, "%s: expected one of %s, got '%s'", option, all, word);
}

static int read_options(const struct cli *cli, struct snn_events_options *out) {
    static const char *const units[] = {
        "", [SNN_EVENTS_S] = "s", [SNN_EVENTS_MS] = "ms", [SNN_EVENTS_US] = "us", [SNN_EVENTS_NS] = "ns", NULL};
    static const char *const maps[] = {"", [SNN_EVENTS_DVS128] = "dvs128", [SNN_EVENTS_DAVIS240] = "davis240", NULL};
    *out = (struct snn_events_options){.format = cli->format};
    SNN_TRY(choose("--unit", cli->unit, units, &out->unit));
    return choose("--map", cli->map, maps, &out->map);
}

/* ---- info ---- */

struct summary {
    int64_t first, last; /* microseconds */
    double seconds, rate, peak, on;
};

static struct summary sum_up(const struct snn_sample *s) {
    struct summary sum = {0};
    size_t n = s->event_count, from = 0, most = 0, on = 0;
    if (!n) return sum;
    sum.first = s->events[0].t;
    sum.last = s->events[n - 1].t;
    sum.seconds = (double)(sum.last - sum.first) * 1e-6;
    for (size_t i = 0; i < n; ++i) {
        on += s->events[i].p;
        while (s->events[i].t - s->events[from].t >= PEAK_US) ++from;
        if (i - from + 1 > most) most = i - from + 1;
    }
    sum.on = (double)on / (double)n;
    sum.rate = sum.seconds > 0 ? (double)n / sum.seconds : 0;
    sum.peak = (double)most / (PEAK_US * 1e-6);
    return sum;
}

static int info(const struct cli *cli, const char *path, const struct snn_sample *sample,
                const struct snn_events_facts *f) {
    struct summary s = sum_up(sample);
    if (cli->json)
        return cli_print_json(json_pack(
            "{s:s,s:s,s:[ii],s:b,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:I,s:I,s:I,s:I,s:I,s:s}", "file", path, "format",
            f->format, "sensor", (int)f->W, (int)f->H, "sensor_stated", (int)f->sensor_stated, "events",
            (json_int_t)f->events, "first_us", (json_int_t)s.first, "last_us", (json_int_t)s.last, "duration_s",
            s.seconds, "events_per_s", s.rate, "peak_events_per_s", s.peak, "on_fraction", s.on, "invalid",
            (json_int_t)f->invalid, "dropped", (json_int_t)f->off, "skipped", (json_int_t)f->skipped, "clock_overflows",
            (json_int_t)f->overflows, "cut_bytes", (json_int_t)f->cut_bytes, "warning", f->warning));
    printf("%s: %s, sensor %dx%d%s, %lld events\n", path, f->format, (int)f->W, (int)f->H,
           f->sensor_stated ? "" : " (not stated; from the largest coordinates)", (long long)f->events);
    if (f->events)
        printf("%-12s %.6f s, from %lld to %lld us\n%-12s %.6g events/s, at most %.6g in 10 ms\n%-12s %.2f %%\n",
               "duration", s.seconds, (long long)s.first, (long long)s.last, "rate", s.rate, s.peak, "ON", 100 * s.on);
    if (f->invalid) printf("%-12s %lld events\n", "invalid", (long long)f->invalid);
    if (f->skipped) printf("%-12s %lld packets or records of other kinds\n", "skipped", (long long)f->skipped);
    if (f->overflows) printf("%-12s %lld overflows\n", "clock", (long long)f->overflows);
    if (*f->warning) printf("%-12s %s\n", "warning", f->warning);
    return SNN_OK;
}

/* ---- show ---- */

static int show(const struct cli *cli, const char *path, const struct snn_sample *sample,
                const struct snn_events_facts *f) {
    const char *out = cli->output ? cli->output : "sample.png", *slash = strrchr(path, '/');
    const struct snn_dataset_info about = {.name = path, .kind = SNN_RECORDINGS, .C = 2, .H = f->H, .W = f->W};
    char title[300];
    if (!f->events) return snn_error(SNN_EDATA, "%s: holds no events to draw", path);
    snprintf(title, sizeof title, "%.200s, %lld events", slash ? slash + 1 : path, (long long)f->events);
    SNN_TRY(data_draw_recording(cli, sample, &about, out, title));
    if (!cli->quiet) {
        fprintf(cli->text, "%s: %s\n", out, title);
        if (*f->warning) fprintf(cli->text, "%s: %s\n", path, f->warning);
    }
    if (!cli->json) return SNN_OK;
    return cli_print_json(
        json_pack("{s:s,s:I,s:s}", "file", out, "events", (json_int_t)f->events, "warning", f->warning));
}

/* ---- both ---- */

static int with_recording(const struct cli *cli, const char *path,
                          int (*use)(const struct cli *, const char *, const struct snn_sample *,
                                     const struct snn_events_facts *)) {
    struct snn_sample sample = {0};
    struct snn_events_facts facts;
    struct snn_events_options options;
    if (cli->data || cli->split || cli->index || cli->sets)
        return snn_error(SNN_EUSAGE, "--data, --split, --index and --set are for data sets, and %s is a file", path);
    SNN_TRY(read_options(cli, &options));
    int rc = snn_events_read(path, &options, &sample, &facts);
    if (rc >= 0) rc = use(cli, path, &sample, &facts);
    snn_sample_free(&sample);
    return rc;
}

int data_file_info(const struct cli *cli, const char *path) { return with_recording(cli, path, info); }
int data_file_show(const struct cli *cli, const char *path) { return with_recording(cli, path, show); }
