/* SPDX-License-Identifier: Apache-2.0
 * made_events.h - recordings made byte by byte, and what is expected of reading them. */
#ifndef SNN_TEST_MADE_EVENTS_H
#define SNN_TEST_MADE_EVENTS_H

#include "datasets/events_parts.h"
#include "streamed.h"

#define BYTES(text) text, sizeof text - 1

struct made { /* a file in the making */
    unsigned char bytes[1 << 16];
    size_t size;
};

static inline void add(struct made *made, const void *bytes, size_t size) {
    if (made->size + size > sizeof made->bytes) ck_abort(); /* an assertion that holds takes a write to a pipe */
    memcpy(made->bytes + made->size, bytes, size);
    made->size += size;
}

static inline void add_text(struct made *made, const char *text) { add(made, text, strlen(text)); }

static inline void add_le(struct made *made, uint64_t value, int bytes) {
    unsigned char low[40] = {0};
    for (int i = 0; i < 8; ++i, value >>= 8) low[i] = (unsigned char)value;
    add(made, low, (size_t)bytes);
}

/* A decoder that is asked for an event at a time gives what it gives at once. */
static inline void expect_resumed(const unsigned char *bytes, size_t size, const char *name,
                                  const struct snn_events_options *options) {
    struct snn_sample whole = {0}, sample = {0};
    struct snn_events_facts facts, own;
    char sentence[1024];
    int expected = snn_events_decode(name, bytes, size, options, &whole, &facts);
    snprintf(sentence, sizeof sentence, "%s", snn_error_text());
    struct snn_events_job job = snn_events_start(name, options, &sample, &own);
    job.bytes = bytes, job.size = size;
    int status = snn_events_begin(&job);
    while (status == SNN_OK && !job.ended) {
        job.goal = sample.event_count + 1;
        status = job.format->more(&job);
    }
    if (status == SNN_OK) status = snn_events_finish(&job);
    ck_assert_int_eq(status, expected);
    if (status < 0) ck_assert_str_eq(snn_error_text(), sentence);
    else expect_same_facts(&own, &facts);
    snn_events_end(&job);
    for (int64_t i = 0; status == SNN_OK && i < facts.events; ++i)
        if (!same_event(&sample.events[i], &whole.events[i])) ck_abort_msg("event %lld", (long long)i);
    snn_sample_free(&whole), snn_sample_free(&sample);
}

/* In a file, the same comes out of it piece by piece. */
static inline void expect_streamed_made(const struct made *made, size_t size, const char *name,
                                        const struct snn_events_options *options) {
    const char *slash = strrchr(name, '/');
    expect_resumed(made->bytes, size, name, options);
    write_file(slash ? slash + 1 : name, made->bytes, size);
    expect_streamed(in(slash ? slash + 1 : name), options);
}

struct read { /* what came of a file */
    struct snn_sample sample;
    struct snn_events_facts facts;
};

static inline struct read read_made(const struct made *made, const char *name,
                                    const struct snn_events_options *options) {
    struct read read = {0};
    ck_ok(snn_events_decode(name, made->bytes, made->size, options, &read.sample, &read.facts));
    ck_assert_int_eq(read.facts.events, (int64_t)read.sample.event_count);
    for (size_t i = 1; i < read.sample.event_count; ++i)
        ck_assert_int_le(read.sample.events[i - 1].t, read.sample.events[i].t);
    expect_streamed_made(made, made->size, name, options);
    return read;
}

static inline void expect_event(const struct read *read, size_t i, int64_t t, int x, int y, int p) {
    ck_assert_uint_lt(i, read->sample.event_count);
    const struct snn_event *e = &read->sample.events[i];
    ck_assert_msg(e->t == t && e->x == x && e->y == y && e->p == p, "event %zu: t=%lld x=%d y=%d p=%d", i,
                  (long long)e->t, e->x, e->y, e->p);
}

static inline void expect_refused(const struct made *made, const char *name, const struct snn_events_options *options,
                                  int code, const char *sentence) {
    struct read read = {0};
    ck_error(snn_events_decode(name, made->bytes, made->size, options, &read.sample, &read.facts), code, sentence);
    snn_sample_free(&read.sample);
    expect_streamed_made(made, made->size, name, options);
}

/* Cut at every byte: an error, or fewer events (or as many) and, where `warns`, a warning that bytes were lost. */
static inline void cut_everywhere(const struct made *made, const char *name, const struct snn_events_options *options,
                                  bool warns) {
    struct read whole = read_made(made, name, options);
    for (size_t size = 0; size < made->size; ++size) {
        struct read part = {0};
        unsigned char *bytes = malloc(size); /* of that size, so that a sanitizer sees what reads beyond */
        memcpy(bytes, made->bytes, size);
        int status = snn_events_decode(name, bytes, size, options, &part.sample, &part.facts);
        free(bytes);
        if (status >= 0) {
            ck_assert_int_le(part.facts.events, whole.facts.events);
            for (size_t i = 0; warns && i < part.sample.event_count; ++i)
                expect_event(&whole, i, part.sample.events[i].t, part.sample.events[i].x, part.sample.events[i].y,
                             part.sample.events[i].p);
            ck_assert_msg(!part.facts.cut_bytes || strstr(part.facts.warning, "ends in the middle"), "%zu: %s", size,
                          part.facts.warning);
        } else ck_assert_int_eq(status, SNN_EDATA);
        snn_sample_free(&part.sample);
        if (size % 5 == 0 || made->size - size < 20) expect_streamed_made(made, size, name, options);
    }
    snn_sample_free(&whole.sample);
}

#endif
