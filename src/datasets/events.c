/* SPDX-License-Identifier: Apache-2.0
 * events.c - the table of formats, and what is the same for all: finding the format, order, facts. */
#include "datasets/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/events_parts.h"

enum { NO_SENSOR = 1 << 16, RESET_US = 1000000 };

#define FORMATS(X)                                                                                                     \
    X(snn_events_aedat2)                                                                                               \
    X(snn_events_aedat3)                                                                                               \
    X(snn_events_aedat4) X(snn_events_h5) X(snn_events_npy) X(snn_events_csv) X(snn_events_orchard)

#define DECLARE(format) extern const struct snn_events_format format;
FORMATS(DECLARE)
#define ENTRY(format) &format,
const struct snn_events_format *const snn_events_formats[] = {FORMATS(ENTRY) NULL};

/* ---- which format ---- */

/* "aedat2, aedat3, ..." */
static const char *all_names(char names[256]) {
    size_t used = 0;
    for (int i = 0; snn_events_formats[i]; ++i)
        used += (size_t)snprintf(names + used, 256 - used, "%s%s", i ? ", " : "", snn_events_formats[i]->name);
    return names;
}

static int find_format(const char *path, const unsigned char *bytes, size_t size, const char *name,
                       const struct snn_events_format **out) {
    char names[256];
    for (int i = 0; (*out = snn_events_formats[i]); ++i)
        if (name ? !strcmp((*out)->name, name) : (*out)->probe && (*out)->probe(bytes, size)) return SNN_OK;
    if (name)
        return snn_error(SNN_EUSAGE, "'%s' is no format of recordings, expected one of %s", name, all_names(names));
    for (int i = 0; (*out = snn_events_formats[i]); ++i)
        if (snn_has_extension(path, (*out)->extensions)) {
            if ((*out)->probe)
                return snn_error(SNN_EDATA, "%s: is named like a recording of format %s, and does not begin like one",
                                 path, (*out)->name);
            return SNN_OK;
        }
    return snn_error(SNN_EDATA, "%s: is no recording of a format that is known by its first bytes or extension (%s)",
                     path, all_names(names));
}

/* ---- order ---- */

/* Merge a (n) and b (m), which follow each other, into `to`. */
static void merge(const struct snn_event *a, size_t n, const struct snn_event *b, size_t m, struct snn_event *to) {
    while (n && m)
        if (b->t < a->t) *to++ = *b++, --m;
        else *to++ = *a++, --n;
    memcpy(to, a, n * sizeof *to);
    memcpy(to + n, b, m * sizeof *to);
}

/* Merge sort from runs of one upwards, which keeps the order among equals; runs already in order are only copied. */
int snn_events_sort(const char *path, struct snn_event *events, size_t n) {
    struct snn_event *other = reallocarray(NULL, n, sizeof *other), *from = events, *to = other;
    if (!other) return snn_error(SNN_EFAIL, "%s: out of memory for %zu events", path, n);
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t a = n - i < run ? n - i : run, b = n - i - a < run ? n - i - a : run;
            if (!b || from[i + a - 1].t <= from[i + a].t) memcpy(to + i, from + i, (a + b) * sizeof *to);
            else merge(from + i, a, from + i + a, b, to + i);
        }
        struct snn_event *swap = from;
        from = to;
        to = swap;
    }
    if (from != events) memcpy(events, from, n * sizeof *events);
    free(other);
    return SNN_OK;
}

/* ---- around a decoder ---- */

struct snn_events_job snn_events_start(const char *path, const struct snn_events_options *options,
                                       struct snn_sample *out, struct snn_events_facts *facts) {
    static const struct snn_events_options none = {0};
    struct snn_events_job job = {.path = path,
                                 .options = options ? options : &none,
                                 .out = out,
                                 .facts = facts,
                                 .goal = SIZE_MAX,
                                 .most_x = -1,
                                 .most_y = -1};
    *facts = (struct snn_events_facts){0};
    out->event_count = 0;
    job.W = job.options->W ? job.options->W : NO_SENSOR;
    job.H = job.options->H ? job.options->H : NO_SENSOR;
    return job;
}

int snn_events_begin(struct snn_events_job *job) {
    const struct snn_events_format *format;
    SNN_TRY(find_format(job->path, job->bytes, job->size, job->options->format, &format));
    if (job->options->unit && !format->units)
        return snn_error(SNN_EUSAGE, "%s: times of format %s have a unit: another one cannot be said", job->path,
                         format->name);
    if (job->options->map && !format->maps)
        return snn_error(SNN_EUSAGE, "%s: addresses of format %s are of one kind: a chip cannot be said", job->path,
                         format->name);
    job->state = calloc(1, format->state + !format->state);
    if (!job->state) return snn_error(SNN_EFAIL, "%s: out of memory", job->path);
    job->format = format;
    return format->open(job);
}

void snn_events_end(struct snn_events_job *job) {
    if (job->format && job->format->close) job->format->close(job);
    free(job->state);
    job->format = NULL;
    job->state = NULL;
}

void snn_events_settle(struct snn_events_job *job) {
    struct snn_events_facts *facts = job->facts;
    facts->W = job->W < NO_SENSOR ? job->W : job->most_x + 1;
    facts->H = job->H < NO_SENSOR ? job->H : job->most_y + 1;
    facts->events = job->before + (int64_t)job->out->event_count;
    if (facts->off)
        snn_events_warn(job, "%lld events were off the sensor or of an impossible time and are dropped",
                        (long long)facts->off);
    if (job->back > RESET_US)
        snn_events_warn(job, "time goes back by %.3f s: the clock was set while recording", (double)job->back * 1e-6);
}

int snn_events_finish(struct snn_events_job *job) {
    struct snn_sample *out = job->out;
    snn_events_settle(job);
    if (job->from_below)
        for (size_t i = 0; i < out->event_count; ++i)
            out->events[i].y = (uint16_t)(job->facts->H - 1 - out->events[i].y);
    return job->back > 0 ? snn_events_sort(job->path, out->events, out->event_count) : SNN_OK;
}

int snn_events_decode(const char *path, const unsigned char *bytes, size_t size,
                      const struct snn_events_options *options, struct snn_sample *out,
                      struct snn_events_facts *facts) {
    struct snn_events_job job = snn_events_start(path, options, out, facts);
    job.bytes = bytes;
    job.size = size;
    int status = snn_events_begin(&job);
    while (status == SNN_OK && !job.ended) status = job.format->more(&job);
    if (status == SNN_OK) status = snn_events_finish(&job);
    snn_events_end(&job);
    return status;
}

int snn_events_read(const char *path, const struct snn_events_options *options, struct snn_sample *out,
                    struct snn_events_facts *facts) {
    unsigned char *bytes;
    size_t size;
    SNN_TRY(snn_file_read(path, SNN_EVENTS_FILE_MOST, &bytes, &size));
    int status = snn_events_decode(path, bytes, size, options, out, facts);
    free(bytes);
    return status;
}

/* ---- for decoders ---- */

int snn_events_sensor(struct snn_events_job *job, int32_t W, int32_t H) {
    const struct snn_events_options *o = job->options;
    if (W < 1 || H < 1 || W > NO_SENSOR || H > NO_SENSOR)
        return snn_error(SNN_EDATA, "%s: states a sensor of %dx%d, expected sides of 1..%d", job->path, W, H,
                         NO_SENSOR);
    if ((o->W && o->W != W) || (o->H && o->H != H))
        return snn_error(SNN_EDATA, "%s: is of a sensor of %dx%d, expected %dx%d", job->path, W, H, o->W, o->H);
    job->W = W;
    job->H = H;
    job->facts->sensor_stated = true;
    return SNN_OK;
}

int snn_events_room(struct snn_events_job *job, size_t n) {
    struct snn_sample *out = job->out;
    size_t want = out->event_count + n;
    if (want <= out->event_room) return SNN_OK;
    /* Half as much again than before, so that many small packets do not copy all events each time. */
    if (want < out->event_room + out->event_room / 2) want = out->event_room + out->event_room / 2;
    if (snn_sample_room(out, 0, want) < 0)
        return snn_error(SNN_EFAIL, "%s: out of memory for %zu events", job->path, want);
    return SNN_OK;
}

int snn_events_misfit(const struct snn_events_job *job, const char *where, int64_t t, int64_t x, int64_t y) {
    if (t < 0 || t > SNN_EVENTS_LATEST)
        return snn_error(SNN_EDATA, "%s: %s: event at t=%lld us, expected 0..2^53", job->path, where, (long long)t);
    if (job->W == job->H)
        return snn_error(SNN_EDATA, "%s: %s: event at x=%lld y=%lld, expected 0..%d", job->path, where, (long long)x,
                         (long long)y, job->W - 1);
    return snn_error(SNN_EDATA, "%s: %s: event at x=%lld y=%lld, expected x in 0..%d and y in 0..%d", job->path, where,
                     (long long)x, (long long)y, job->W - 1, job->H - 1);
}

void snn_events_warn(struct snn_events_job *job, const char *format, ...) {
    char *text = job->facts->warning;
    size_t size = sizeof job->facts->warning, used = strlen(text);
    va_list list;
    if (used && used + 3 < size) used += (size_t)snprintf(text + used, size - used, "; ");
    va_start(list, format);
    vsnprintf(text + used, size - used, format, list);
    va_end(list);
}

void snn_events_cut(struct snn_events_job *job, int64_t bytes, const char *what) {
    job->facts->cut_bytes = bytes;
    if (!bytes) snn_events_warn(job, "ends in the middle of a %s", what);
    else snn_events_warn(job, "ends in the middle of a %s (its last %lld bytes are left out)", what, (long long)bytes);
}

bool snn_all_zero(const unsigned char *bytes, size_t size) {
    return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}
