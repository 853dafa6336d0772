/* SPDX-License-Identifier: Apache-2.0
 * streamed.h - a recording read piece by piece has to be the same as read whole. */
#ifndef SNN_TEST_STREAMED_H
#define SNN_TEST_STREAMED_H

#include "core/rng.h"
#include "data_folder.h"
#include "datasets/events.h"
#include "datasets/events_stream.h"

static inline uint64_t drawn(uint64_t key, uint32_t i) {
    uint32_t words[4];
    snn_rng_block(key, 0, 0, 0, i, words);
    return words[0] | (uint64_t)words[1] << 32;
}

static inline bool same_event(const struct snn_event *a, const struct snn_event *b) {
    return a->t == b->t && a->x == b->x && a->y == b->y && a->p == b->p;
}

static inline void expect_same_facts(const struct snn_events_facts *a, const struct snn_events_facts *b) {
    ck_assert_str_eq(a->format, b->format);
    ck_assert_str_eq(a->warning, b->warning);
    ck_assert(a->W == b->W && a->H == b->H && a->sensor_stated == b->sensor_stated);
    ck_assert_int_eq(a->events, b->events);
    ck_assert_int_eq(a->invalid, b->invalid);
    ck_assert_int_eq(a->off, b->off);
    ck_assert_int_eq(a->skipped, b->skipped);
    ck_assert_int_eq(a->overflows, b->overflows);
    ck_assert_int_eq(a->cut_bytes, b->cut_bytes);
}

/* Parts up to times that `way` chooses: 0: one; 1, 2: random ones, about so many; else every so many microseconds. */
static inline void expect_parts(struct snn_events_stream *stream, const struct snn_events_extent *extent,
                                const struct snn_sample *whole, uint64_t way) {
    static const int64_t parts[] = {1, 7, 300};
    struct snn_sample part = {0};
    int64_t until = extent->first - 10, span = extent->last - extent->first + 20;
    size_t at = 0;
    for (uint32_t turn = 0;; ++turn) {
        uint64_t draw = drawn(way, turn);
        bool last = until > extent->last || way == 0 || turn > 2000;
        if (last) until = INT64_MAX;
        ck_ok(snn_events_stream_next(stream, until, &part));
        for (size_t i = 0; i < part.event_count; ++i, ++at) {
            if (at == whole->event_count || !same_event(&part.events[i], &whole->events[at]) ||
                part.events[i].t >= until)
                ck_abort_msg("event %zu of %zu is another one, before %lld", at, whole->event_count, (long long)until);
        }
        if (at < whole->event_count) ck_assert_int_ge(whole->events[at].t, until);
        if (last) break;
        if (way <= 2) until += (int64_t)(draw % (uint64_t)(2 * span / parts[way] + 1)) - (draw % 11 == 0) * span / 100;
        else until += (int64_t)way;
    }
    ck_assert_uint_eq(at, whole->event_count);
    ck_ok(snn_events_stream_next(stream, INT64_MAX, &part));
    ck_assert_uint_eq(part.event_count, 0);
    snn_sample_free(&part);
}

/* The file at `path` says the same read whole and read in parts, what is wrong with it included. */
static inline void expect_streamed(const char *path, const struct snn_events_options *options) {
    struct snn_sample whole = {0};
    struct snn_events_facts facts, surveyed;
    struct snn_events_extent extent;
    struct snn_events_stream *stream;
    char sentence[1024];
    int status = snn_events_read(path, options, &whole, &facts);
    snprintf(sentence, sizeof sentence, "%s", status < 0 ? snn_error_text() : "");
    ck_assert_int_eq(snn_events_survey(path, options, &extent, &surveyed), status);
    if (status < 0) {
        ck_assert_str_eq(snn_error_text(), sentence);
        snn_sample_free(&whole);
        return;
    }
    expect_same_facts(&surveyed, &facts);
    ck_assert_int_eq(extent.events, facts.events);
    ck_assert_int_eq(extent.first, facts.events ? whole.events[0].t : 0);
    ck_assert_int_eq(extent.last, facts.events ? whole.events[facts.events - 1].t : -1);
    ck_ok(snn_events_peek(path, options, &surveyed));
    if (facts.sensor_stated) ck_assert(surveyed.W == facts.W && surveyed.H == facts.H);
    ck_assert_int_eq(surveyed.sensor_stated, facts.sensor_stated);
    for (uint64_t way = 0; way <= 3; ++way) {
        ck_ok(snn_events_stream_open(path, options, &extent, &stream));
        expect_parts(stream, &extent, &whole, way < 3 ? way : (uint64_t)(extent.last - extent.first) / 1500 + 3);
        snn_events_stream_close(&stream);
        ck_assert_ptr_null(stream);
    }
    snn_sample_free(&whole);
}

#endif
