/* SPDX-License-Identifier: Apache-2.0
 * test_events_stream.c - long recordings read piece by piece: every format goes on where it stopped, time that goes
 * back included, and memory does not grow with the file. Small and broken files: test_events.c. */
#include <sys/resource.h>

#include "made_aedat.h"

enum { MANY = 25000, PACKET = 700 };

/* Times that go on by 0..39 us, now and then back by up to 300, and once by a lot. */
static struct snn_event *make_times(int64_t start, int32_t W, int32_t H) {
    struct snn_event *events = calloc(MANY, sizeof *events);
    int64_t t = start;
    for (uint32_t i = 0; i < MANY; ++i) {
        uint64_t draw = drawn(9, i);
        t += (int64_t)(draw % 40);
        int64_t back = draw >> 8 & 7 ? 0 : (int64_t)(draw >> 16 & 0xff) + 45;
        if (i == MANY / 2) back = 150000;
        events[i] = (struct snn_event){.t = t - back < 0 ? t : t - back,
                                       .x = (uint16_t)(draw >> 24 & 0xffff) % (uint16_t)W,
                                       .y = (uint16_t)(draw >> 40 & 0xffff) % (uint16_t)H,
                                       .p = draw >> 60 & 1};
    }
    return events;
}

struct writer { /* of a file in the folder */
    FILE *file;
    struct made scratch;
};

static void flush(struct writer *w) {
    ck_assert_uint_eq(fwrite(w->scratch.bytes, 1, w->scratch.size, w->file), w->scratch.size);
    w->scratch.size = 0;
}

static void start(struct writer *w, const char *name) {
    w->file = fopen(in(name), "wb");
    w->scratch.size = 0;
    ck_assert_ptr_nonnull(w->file);
}

static void finish(struct writer *w) {
    flush(w);
    fclose(w->file);
}

static struct writer w;

static void add_orchard(const struct snn_event *e, int64_t t) {
    const unsigned char bytes[5] = {(unsigned char)e->x, (unsigned char)e->y,
                                    (unsigned char)(e->p << 7 | (t >> 16 & 0x7f)), (unsigned char)(t >> 8),
                                    (unsigned char)t};
    add(&w.scratch, bytes, 5);
    if (w.scratch.size > 60000) flush(&w);
}

static void overflow(void) { add_orchard(&(struct snn_event){.x = 3, .y = 240}, 7); }

/* Overflows from the beginning, from the middle on, or none. */
START_TEST(orchard) {
    struct snn_event *events = make_times(0, 200, 180);
    int64_t clock = 0;
    start(&w, "x.bin");
    if (_i == 1) overflow();
    for (int i = 0; i < MANY; ++i) {
        for (; _i && (_i == 1 || i > 16000) && events[i].t - clock > 20000; clock += 8192) overflow();
        int64_t t = events[i].t - clock;
        add_orchard(&events[i], t < 0 ? 0 : t);
    }
    finish(&w);
    expect_streamed(in("x.bin"), NULL);
    expect_streamed(in("x.bin"), &(struct snn_events_options){.W = 240, .H = 180});
    expect_streamed(in("x.bin"), &(struct snn_events_options){.W = 199, .H = 180}); /* refused somewhere */
    free(events);
}
END_TEST

/* The counter runs over; a DAVIS with images in between, a DVS128 by name, and both where only addresses
 * show which it is. */
START_TEST(aedat2) {
    static const char *const heads[] = {HEAD2 "# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n",
                                        HEAD2 "# AEChip: DVS128\r\n#End Of ASCII Header\r\n", HEAD2,
                                        HEAD2 "# a DAVIS346\n"};
    bool small = _i == 1 || _i == 2;
    struct snn_event *events = make_times(UINT32_MAX - 200000, small ? 128 : 346, small ? 128 : 260);
    start(&w, "x.aedat");
    add_text(&w.scratch, heads[_i]);
    for (int i = 0; i < MANY; ++i) {
        const struct snn_event *e = &events[i];
        uint32_t address = small ? (uint32_t)(127 - e->y) << 8 | (uint32_t)(127 - e->x) << 1 | (uint32_t)(1 - e->p)
                                 : davis(e->x, e->y, e->p);
        add_record(&w.scratch, address, (uint32_t)e->t);
        if (i % 13 == 0) add_record(&w.scratch, small ? 0x8000 : 1u << 31, (uint32_t)e->t);
        if (w.scratch.size > 60000) flush(&w);
    }
    add_text(&w.scratch, "cut");
    finish(&w);
    expect_streamed(in("x.aedat"), NULL);
    struct snn_events_extent extent;
    struct snn_events_facts facts;
    ck_ok(snn_events_survey(in("x.aedat"), NULL, &extent, &facts));
    ck_assert_int_eq(facts.events, MANY);
    ck_assert_int_eq(facts.overflows, 1);
    ck_assert_int_eq(extent.back >= 149000 && extent.back < 151000, 1);
    ck_assert_int_eq(extent.last > UINT32_MAX, 1);
    free(events);
}
END_TEST

/* Packets of two cameras and of other kinds; 3.0, whose rows count from a height that nothing states; cut. */
START_TEST(aedat3) {
    static const char *const heads[] = {HEAD31, "#!AER-DAT3.0\r\n#!END-HEADER\r\n", HEAD31};
    struct snn_event *events = make_times((INT64_C(1) << 31) - 100000, 128, 120);
    start(&w, "x.aedat");
    add_text(&w.scratch, heads[_i]);
    for (int i = 0, n; i < MANY; i += n) {
        int64_t turn = events[i].t >> 31;
        for (n = 0; i + n < MANY && n < PACKET * (1 + i % 3) && events[i + n].t >> 31 == turn;) ++n;
        add_packet(&w.scratch, 1, 1, 8, (int)turn, n, n);
        for (int k = i; k < i + n; ++k)
            add_polarity(&w.scratch, (int)(events[k].t & INT32_MAX), events[k].x, events[k].y, events[k].p, k % 5 != 0);
        add_packet(&w.scratch, 1, 2, 8, 0, 1, 1), add_polarity(&w.scratch, 5, 1, 1, 1, 1);
        add_packet(&w.scratch, 2, 1, 8, 0, 1, 1), add_le(&w.scratch, 0, 8);
        if (i + n == MANY && _i == 2) w.scratch.size -= 16 + 28 + 8 * 20 + 3;
        flush(&w);
    }
    finish(&w);
    expect_streamed(in("x.aedat"), NULL);
    expect_streamed(in("x.aedat"), &(struct snn_events_options){.drop_invalid = true});
    expect_streamed(in("x.aedat"), &(struct snn_events_options){.W = 128, .H = 128});
    free(events);
}
END_TEST

START_TEST(aedat4) {
    static const int compressions[] = {PLAIN, LZ4, ZSTD};
    start(&w, "x.aedat4");
    add_header4(&w.scratch, compressions[_i], -1, _i == 1);
    struct made image = flat_events("FRME", 2, 7, 7);
    for (int i = 0; i < 60; ++i) { /* packets that overlap; with a sensor of 20x10, most events are off it */
        add_events4(&w.scratch, compressions[_i], 0, PACKET, 1000000 + 500 * i - (i == 30) * 9000, i % 7);
        add_packet4(&w.scratch, compressions[_i], 1, &image);
        flush(&w);
    }
    finish(&w);
    expect_streamed(in("x.aedat4"), NULL);
}
END_TEST

START_TEST(csv) {
    struct snn_event *events = make_times(5, 640, 480);
    start(&w, "x.csv");
    if (_i) add_text(&w.scratch, "# a note\r\nid;t_ms;p;y;x\r\n");
    for (int i = 0; i < MANY; ++i) {
        const struct snn_event *e = &events[i];
        char line[100];
        if (_i) snprintf(line, sizeof line, "%d;%.3f;%d;%d;%d\r\n", i, (double)e->t / 1e3, 2 * e->p - 1, e->y, e->x);
        else snprintf(line, sizeof line, "%lld,%d,%d,%d\n", (long long)e->t, e->x, e->y, e->p);
        add_text(&w.scratch, line);
        if (i % 100 == 0) add_text(&w.scratch, "\n# again\n");
        if (w.scratch.size > 60000) flush(&w);
    }
    finish(&w);
    expect_streamed(in("x.csv"), NULL);
    FILE *file = fopen(in("x.csv"), "ab");
    fputs("1,2,3\n", file), fclose(file);
    expect_streamed(in("x.csv"), NULL); /* its line */
    free(events);
}
END_TEST

/* Records, and columns of which each lies as a whole. */
START_TEST(npy) {
    struct snn_event *events = make_times(0, 640, 480);
    char head[200];
    start(&w, "x.npy");
    snprintf(
        head, sizeof head,
        _i ? "{'descr': '<i8', 'fortran_order': True, 'shape': (%d, 4), }"
           : "{'descr': [('x', '<u2'), ('y', '<i4'), ('p', '|b1'), ('t', '<u8')], 'fortran_order': False, 'shape': "
             "(%d,), }",
        MANY);
    add(&w.scratch, BYTES("\x93NUMPY\1\0")), add_le(&w.scratch, strlen(head), 2), add_text(&w.scratch, head);
    for (int column = 0; column < (_i ? 4 : 1); ++column)
        for (int i = 0; i < MANY; ++i) {
            const struct snn_event *e = &events[i];
            const int64_t values[] = {e->x, e->y, e->p, e->t};
            static const int sizes[] = {2, 4, 1, 8};
            for (int c = 0; c < 4; ++c)
                if (!_i || c == column) add_le(&w.scratch, (uint64_t)values[c], _i ? 8 : sizes[c]);
            if (w.scratch.size > 60000) flush(&w);
        }
    finish(&w);
    expect_streamed(in("x.npy"), NULL);
    expect_streamed(in("x.npy"), &(struct snn_events_options){.unit = SNN_EVENTS_MS});
    free(events);
}
END_TEST

START_TEST(refuses_what_cannot_be_opened) {
    struct snn_events_extent extent = {.last = -1};
    struct snn_events_facts facts;
    struct snn_events_stream *stream;
    expect_streamed(in("none.bin"), NULL);
    expect_streamed(folder, NULL);
    ck_assert_int_eq(mkfifo(in("fifo.bin"), 0600), 0);
    expect_streamed(in("fifo.bin"), NULL);
    write_file("x.bin", "12345", 5);
    expect_streamed(in("x.bin"), &(struct snn_events_options){.unit = SNN_EVENTS_US});
    expect_streamed(in("x.bin"), &(struct snn_events_options){.format = "orchid"});
    ck_error(snn_events_stream_open(in("none.bin"), NULL, &extent, &stream), SNN_EDATA, "none.bin: cannot be opened: ");
    ck_assert_ptr_null(stream);
    ck_error(snn_events_peek(in("none.bin"), NULL, &facts), SNN_EDATA, "none.bin: cannot be opened: ");
    snn_events_stream_close(&stream);
}
END_TEST

static void make_csv(const char *name, const char *tenth) {
    start(&w, name);
    for (int i = 0; i < MANY; ++i) {
        char line[40];
        snprintf(line, sizeof line, "%06d,1,2,1\n", i);
        add_text(&w.scratch, i == 20000 ? tenth : line);
        if (w.scratch.size > 60000) flush(&w);
    }
    finish(&w);
}

/* A file that is another one than the one that was surveyed. */
START_TEST(changed_since_the_survey) {
    static const struct {
        const char *line, *sentence;
    } changes[] = {{"000003,1,2,1\n", "is not what it was when it was looked at: an event at t=3 us comes late"},
                   {"020000,1,2,x\n", "x.csv:20001: 'x', expected a number"},
                   {NULL, "it shrank while it was read"}};
    struct snn_events_extent extent;
    struct snn_events_facts facts;
    struct snn_events_stream *stream;
    struct snn_sample part = {0};
    make_csv("x.csv", "020000,1,2,1\n");
    ck_ok(snn_events_survey(in("x.csv"), NULL, &extent, &facts));
    if (changes[_i].line) make_csv("x.csv", changes[_i].line);
    ck_ok(snn_events_stream_open(in("x.csv"), NULL, &extent, &stream));
    ck_ok(snn_events_stream_next(stream, 10000, &part));
    ck_assert_uint_eq(part.event_count, 10000);
    if (!changes[_i].line) ck_assert_int_eq(truncate(in("x.csv"), 250000), 0);
    ck_error(snn_events_stream_next(stream, INT64_MAX, &part), SNN_EDATA, changes[_i].sentence);
    snn_events_stream_close(&stream);
    snn_sample_free(&part);
}
END_TEST

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

static long resident(void) { /* kB, at most so far */
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* 3 million events, 48 MB as such: neither they nor the file's pages are ever there together. */
START_TEST(memory_stays_small) {
    enum { LONG = 3000000 };
    struct snn_events_extent extent;
    struct snn_events_facts facts;
    struct snn_events_stream *stream;
    struct snn_sample part = {0};
    size_t events = 0;
    start(&w, "x.bin");
    for (int64_t i = 0, clock = 0; i < LONG; ++i) {
        for (; 4 * i - clock > 10000; clock += 8192) overflow();
        add_orchard(&(struct snn_event){.x = (uint16_t)(i % 200), .y = (uint16_t)(i % 180), .p = i & 1},
                    4 * i - clock + i * 7 % 100);
    }
    finish(&w);
    long before = resident();
    ck_ok(snn_events_survey(in("x.bin"), NULL, &extent, &facts));
    ck_assert_int_eq(extent.events, LONG);
    ck_ok(snn_events_stream_open(in("x.bin"), NULL, &extent, &stream));
    for (int64_t until = 0; until <= extent.last; events += part.event_count)
        ck_ok(snn_events_stream_next(stream, until += 100000, &part));
    ck_assert_uint_eq(events, LONG);
    ck_assert_uint_le(part.event_room, 40000);
    snn_events_stream_close(&stream);
    snn_sample_free(&part);
    long more = resident() - before;
#ifndef SANITIZED /* which keeps what was freed */
    ck_assert_msg(more < 8000, "%ld kB more", more);
#else
    (void)more;
#endif
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events_stream");
    TCase *streams = tcase_create("events_stream");
    tcase_add_checked_fixture(streams, make_data_folder, remove_folder);
    tcase_set_timeout(streams, 120);
    tcase_add_loop_test(streams, orchard, 0, 3);
    tcase_add_loop_test(streams, aedat2, 0, 4);
    tcase_add_loop_test(streams, aedat3, 0, 3);
    tcase_add_loop_test(streams, aedat4, 0, 3);
    tcase_add_loop_test(streams, csv, 0, 2);
    tcase_add_loop_test(streams, npy, 0, 2);
    tcase_add_test(streams, refuses_what_cannot_be_opened);
    tcase_add_loop_test(streams, changed_since_the_survey, 0, 3);
    tcase_add_test(streams, memory_stays_small);
    suite_add_tcase(suite, streams);
    return run_suite(suite);
}
