/* SPDX-License-Identifier: Apache-2.0
 * events_stream.c - reading ahead: events that are decoded and not handed out yet lie in order of time. */
#include "datasets/events_stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/mapped.h"
#include "core/status.h"
#include "datasets/events_parts.h"

enum {
    AHEAD = 1 << 12,  /* events decoded at a time, unless many wait */
    RELEASE = 1 << 17 /* after so many, pages of the file are given back */
};

struct snn_events_stream {
    struct snn_mapped file;
    char *path;
    struct snn_events_options options;
    struct snn_events_extent extent;
    struct snn_events_facts facts;
    struct snn_events_job job;
    struct snn_sample ahead; /* of its events, those from `begin` on were not handed out yet */
    size_t begin;
    size_t unreleased; /* events decoded since pages were given back */
    int64_t latest;    /* time met in the file; -1 before the first event */
};

/* ---- some more of a file ---- */

static int open_source(const struct snn_events_source *source, const struct snn_events_extent *known,
                       struct snn_events_stream *s, struct snn_events_facts *facts) {
    s->path = strdup(source->path);
    if (!s->path) return snn_error(SNN_EFAIL, "%s: out of memory", source->path);
    if (source->options) s->options = *source->options;
    s->latest = -1;
    s->job = snn_events_start(s->path, &s->options, &s->ahead, facts);
    s->job.known = known;
    if (source->begin) return source->begin(&s->job, source->what);
    SNN_TRY(snn_mapped_open(s->path, SNN_EVENTS_FILE_MOST, &s->file));
    s->job.bytes = s->file.bytes;
    s->job.size = s->file.size;
    return snn_events_begin(&s->job);
}

static void close_source(struct snn_events_stream *s) {
    snn_events_end(&s->job);
    snn_mapped_close(&s->file);
    snn_sample_free(&s->ahead);
    free(s->path);
}

/* Decodes some `n` events, which come behind those in `ahead`. */
static int decode_more(struct snn_events_stream *s, size_t n) {
    size_t before = s->ahead.event_count;
    if (s->file.bytes) SNN_TRY(snn_mapped_check(&s->file, s->path));
    s->job.goal = before + n;
    SNN_TRY(s->job.format->more(&s->job));
    s->unreleased += s->ahead.event_count - before;
    if (s->unreleased < RELEASE) return SNN_OK;
    snn_mapped_release(&s->file);
    s->unreleased = 0;
    return SNN_OK;
}

/* ---- survey ---- */

static void add_to_extent(const struct snn_sample *sample, struct snn_events_extent *e) {
    for (size_t i = 0; i < sample->event_count; ++i) {
        int64_t t = sample->events[i].t;
        if (e->last < 0 || t < e->first) e->first = t;
        if (t > e->last) e->last = t;
        if (e->last - t > e->back) e->back = e->last - t;
    }
}

static int survey(struct snn_events_stream *s, struct snn_events_extent *out) {
    while (!s->job.ended) {
        SNN_TRY(decode_more(s, AHEAD));
        add_to_extent(&s->ahead, out);
        s->job.before += (int64_t)s->ahead.event_count;
        s->ahead.event_count = 0;
    }
    snn_events_settle(&s->job);
    out->events = s->job.facts->events;
    out->H = s->job.facts->H;
    out->addresses = s->job.addresses;
    return SNN_OK;
}

int snn_events_survey_source(const struct snn_events_source *source, struct snn_events_extent *out,
                             struct snn_events_facts *facts) {
    struct snn_events_stream s = {0};
    *out = (struct snn_events_extent){.last = -1};
    int status = open_source(source, NULL, &s, facts);
    if (status == SNN_OK) status = survey(&s, out);
    close_source(&s);
    return status;
}

int snn_events_survey(const char *path, const struct snn_events_options *options, struct snn_events_extent *out,
                      struct snn_events_facts *facts) {
    return snn_events_survey_source(&(struct snn_events_source){.path = path, .options = options}, out, facts);
}

int snn_events_peek(const char *path, const struct snn_events_options *options, struct snn_events_facts *facts) {
    struct snn_events_stream s = {0};
    int status = open_source(&(struct snn_events_source){.path = path, .options = options}, NULL, &s, facts);
    if (status == SNN_OK && facts->sensor_stated) facts->W = s.job.W, facts->H = s.job.H;
    close_source(&s);
    return status;
}

/* ---- stream ---- */

int snn_events_stream_source(const struct snn_events_source *source, const struct snn_events_extent *extent,
                             struct snn_events_stream **out) {
    struct snn_events_stream *s = *out = calloc(1, sizeof *s);
    if (!s) return snn_error(SNN_EFAIL, "%s: out of memory", source->path);
    s->extent = *extent;
    int status = open_source(source, &s->extent, s, &s->facts);
    if (status < 0) snn_events_stream_close(out);
    return status;
}

int snn_events_stream_open(const char *path, const struct snn_events_options *options,
                           const struct snn_events_extent *extent, struct snn_events_stream **out) {
    return snn_events_stream_source(&(struct snn_events_source){.path = path, .options = options}, extent, out);
}

void snn_events_stream_close(struct snn_events_stream **stream) {
    if (!*stream) return;
    close_source(*stream);
    free(*stream);
    *stream = NULL;
}

/* What is new lies behind what waited, which is in order. *ordered: all is. */
static int read_ahead(struct snn_events_stream *s, bool *ordered) {
    struct snn_sample *ahead = &s->ahead;
    size_t waiting = ahead->event_count - s->begin;
    if (waiting) memmove(ahead->events, ahead->events + s->begin, waiting * sizeof *ahead->events);
    ahead->event_count = waiting;
    s->begin = 0;
    /* The more wait, the more are added, so that they are not moved too often. */
    SNN_TRY(decode_more(s, waiting / 4 > AHEAD ? waiting / 4 : AHEAD));
    for (size_t i = waiting; i < ahead->event_count; ++i) {
        struct snn_event *e = &ahead->events[i];
        if (s->job.from_below) e->y = (uint16_t)(s->extent.H - 1 - e->y);
        if (e->t < s->latest) *ordered = false;
        else s->latest = e->t;
        if (s->latest - e->t > s->extent.back)
            return snn_error(SNN_EDATA,
                             "%s: is not what it was when it was looked at: an event at t=%lld us comes late", s->path,
                             (long long)e->t);
    }
    return SNN_OK;
}

/* Where the first waiting event is whose time is `until` or later. */
static size_t find_end(const struct snn_events_stream *s, int64_t until) {
    size_t low = s->begin, high = s->ahead.event_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ahead.events[middle].t < until) low = middle + 1;
        else high = middle;
    }
    return low;
}

int snn_events_stream_next(struct snn_events_stream *s, int64_t until, struct snn_sample *out) {
    struct snn_sample *ahead = &s->ahead;
    bool ordered = true;
    out->event_count = 0;
    while (!s->job.ended && s->latest - s->extent.back < until) SNN_TRY(read_ahead(s, &ordered));
    if (!ordered) SNN_TRY(snn_events_sort(s->path, ahead->events, ahead->event_count));
    size_t end = find_end(s, until), n = end - s->begin;
    if (n > out->event_room) SNN_TRY(snn_sample_room(out, 0, n + n / 4));
    if (n) memcpy(out->events, ahead->events + s->begin, n * sizeof *out->events);
    out->event_count = n;
    s->begin = end;
    return SNN_OK;
}
