/* SPDX-License-Identifier: Apache-2.0
 * test_events.c - recordings of event cameras in every format, well-formed, cut at every byte, and hostile.
 *
 * Files are made here byte by byte from their specifications; cases on real files say so when they have none. */
#include "data_folder.h"
#include "datasets/events.h"

#define BYTES(text) text, sizeof text - 1

struct made { /* a file in the making */
    unsigned char bytes[1 << 16];
    size_t size;
};

static void add(struct made *made, const void *bytes, size_t size) {
    ck_assert_uint_le(made->size + size, sizeof made->bytes);
    memcpy(made->bytes + made->size, bytes, size);
    made->size += size;
}

static void add_text(struct made *made, const char *text) { add(made, text, strlen(text)); }

static void add_le(struct made *made, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i, value >>= 8) add(made, &(unsigned char){(unsigned char)value}, 1);
}

struct read { /* what came of a file */
    struct snn_sample sample;
    struct snn_events_facts facts;
};

static struct read read_made(const struct made *made, const char *name, const struct snn_events_options *options) {
    struct read read = {0};
    ck_ok(snn_events_decode(name, made->bytes, made->size, options, &read.sample, &read.facts));
    ck_assert_int_eq(read.facts.events, (int64_t)read.sample.event_count);
    for (size_t i = 1; i < read.sample.event_count; ++i)
        ck_assert_int_le(read.sample.events[i - 1].t, read.sample.events[i].t);
    return read;
}

static void expect_event(const struct read *read, size_t i, int64_t t, int x, int y, int p) {
    ck_assert_uint_lt(i, read->sample.event_count);
    const struct snn_event *e = &read->sample.events[i];
    ck_assert_msg(e->t == t && e->x == x && e->y == y && e->p == p, "event %zu: t=%lld x=%d y=%d p=%d", i,
                  (long long)e->t, e->x, e->y, e->p);
}

static void expect_refused(const struct made *made, const char *name, const struct snn_events_options *options,
                           int code, const char *sentence) {
    struct read read = {0};
    ck_error(snn_events_decode(name, made->bytes, made->size, options, &read.sample, &read.facts), code, sentence);
    snn_sample_free(&read.sample);
}

/* Cut at every byte: an error, or fewer events (or as many) and, where `warns`, a warning that bytes were lost. */
static void cut_everywhere(const struct made *made, const char *name, const struct snn_events_options *options,
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
    }
    snn_sample_free(&whole.sample);
}

/* ---- which format ---- */

START_TEST(format_by_mark_then_extension) {
    struct made made = {.bytes = {0x11, 0x05, 0x81, 0xe2, 0x40}, .size = 5};
    struct read read = read_made(&made, "a/b.c/00001.BIN", NULL);
    ck_assert_str_eq(read.facts.format, "5-byte records");
    ck_assert_int_eq(read.facts.W, 18);
    ck_assert_int_eq(read.facts.H, 6);
    ck_assert(!read.facts.sensor_stated);
    expect_event(&read, 0, 123456, 17, 5, 1);
    snn_sample_free(&read.sample);
    expect_refused(&made, "a.bin/noname", NULL, SNN_EDATA, "a.bin/noname: is no recording of a format that is known");
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "x.aedat: does not begin as a file of format aedat");
    expect_refused(&made, "x", &(struct snn_events_options){.format = "orchid"}, SNN_EUSAGE,
                   "'orchid' is no format of recordings, expected one of ");
    read = read_made(&made, "x", &(struct snn_events_options){.format = "orchard"});
    snn_sample_free(&read.sample);
}
END_TEST

/* Every format can be found by an extension or by its first bytes, and no two have one name. */
START_TEST(formats_are_named) {
    for (int i = 0; snn_events_formats[i]; ++i) {
        ck_assert(*snn_events_formats[i]->extensions && *snn_events_formats[i]->help);
        for (int k = 0; k < i; ++k) ck_assert_str_ne(snn_events_formats[i]->name, snn_events_formats[k]->name);
    }
}
END_TEST

START_TEST(orchard_of_any_sensor) {
    struct made made = {.bytes = {239, 179, 0x00, 0, 9, 7, 240, 0, 0, 0, 1, 2, 0x80, 0, 1}, .size = 15};
    struct read read = read_made(&made, "x.bs2", NULL);
    ck_assert_int_eq(read.facts.W, 240);
    ck_assert_int_eq(read.facts.H, 180);
    ck_assert_int_eq(read.facts.overflows, 1);
    expect_event(&read, 0, 9, 239, 179, 0);
    expect_event(&read, 1, 8193, 1, 2, 1);
    snn_sample_free(&read.sample);
    struct snn_events_options options = {.W = 239, .H = 180};
    expect_refused(&made, "x.bin", &options, SNN_EDATA,
                   "x.bin: byte 0: event at x=239 y=179, expected x in 0..238 and y in 0..179");
    cut_everywhere(&made, "x.bin", NULL, false);
}
END_TEST

/* Order by time, the file's order among equals, for sizes around powers of two. */
START_TEST(sorting_is_stable) {
    for (int n = 0; n < 70; ++n) {
        struct made made = {0};
        int seen[8] = {0};
        for (int i = 0; i < n; ++i) {
            int t = i * 5 % 8;
            add(&made, (unsigned char[]){(unsigned char)seen[t]++, (unsigned char)t, 0, 0, (unsigned char)t}, 5);
        }
        struct read read = read_made(&made, "x.bin", NULL);
        ck_assert_uint_eq(read.sample.event_count, (size_t)n);
        for (int i = 0, t = 0, k = 0; i < n; ++i, ++k) {
            while (k == seen[t]) ++t, k = 0;
            expect_event(&read, (size_t)i, t, k, t, 0);
        }
        snn_sample_free(&read.sample);
    }
}
END_TEST

/* ---- AEDAT 3 ---- */

#define HEAD31 "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"

static void add_packet(struct made *made, int type, int source, int each, int overflow, int capacity, int number) {
    add_le(made, (uint64_t)type, 2), add_le(made, (uint64_t)source, 2);
    add_le(made, (uint64_t)each, 4), add_le(made, 4, 4);
    add_le(made, (uint64_t)overflow, 4), add_le(made, (uint64_t)capacity, 4), add_le(made, (uint64_t)number, 4);
    add_le(made, (uint64_t)number, 4);
}

static void add_polarity(struct made *made, int t, int x, int y, int p, int valid) {
    add_le(made, (uint64_t)x << 17 | (uint64_t)y << 2 | (uint64_t)p << 1 | (uint64_t)valid, 4),
        add_le(made, (uint64_t)t, 4);
}

START_TEST(aedat3_test_vector) {
    struct made made = {0};
    add_text(&made, HEAD31);
    add_packet(&made, 1, 1, 8, 0, 1, 1);
    add(&made, BYTES("\x4b\x01\x62\x00\x8b\x70\xc5\x04"));
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_str_eq(read.facts.format, "AEDAT 3.1");
    ck_assert(read.facts.sensor_stated && read.facts.W == 128 && read.facts.H == 128);
    ck_assert_str_eq(read.facts.warning, "");
    expect_event(&read, 0, 80048267, 49, 82, 1);
    snn_sample_free(&read.sample);
}
END_TEST

/* Packets of other kinds, an overflow of the clock, a packet out of order, an invalid event, one off the sensor. */
static void make_aedat3(struct made *made, const char *head) {
    add_text(made, head);
    add_packet(made, 0, 1, 8, 0, 1, 1), add_le(made, 0x1234, 8);
    add_packet(made, 1, 1, 8, 0, 2, 2), add_polarity(made, 500, 1, 2, 1, 1), add_polarity(made, 700, 3, 4, 0, 0);
    add_packet(made, 3, 1, 36, 0, 1, 1);
    for (int i = 0; i < 36; ++i) add_le(made, 0x23, 1);
    add_packet(made, 1, 1, 8, 0, 3, 3), add_polarity(made, 400, 5, 6, 1, 1), add_polarity(made, 600, 127, 128, 0, 1);
    add_polarity(made, 700, 7, 8, 1, 1);
    add_packet(made, 1, 1, 8, 0, 0, 0);
    add_packet(made, 1, 1, 8, 2, 1, 1), add_polarity(made, 5, 127, 127, 1, 1);
}

START_TEST(aedat3_whole) {
    struct made made = {0};
    make_aedat3(&made, HEAD31);
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 5);
    ck_assert_int_eq(read.facts.invalid, 1);
    ck_assert_int_eq(read.facts.off, 1);
    ck_assert_int_eq(read.facts.skipped, 2);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "1 events were off the sensor"));
    expect_event(&read, 0, 400, 5, 6, 1);
    expect_event(&read, 1, 500, 1, 2, 1);
    expect_event(&read, 2, 700, 3, 4, 0);
    expect_event(&read, 3, 700, 7, 8, 1);
    expect_event(&read, 4, (INT64_C(2) << 31) + 5, 127, 127, 1);
    snn_sample_free(&read.sample);
    read = read_made(&made, "x.aedat", &(struct snn_events_options){.drop_invalid = true});
    ck_assert_int_eq(read.facts.events, 4);
    ck_assert_int_eq(read.facts.invalid, 1);
    snn_sample_free(&read.sample);
    expect_refused(&made, "x.aedat", &(struct snn_events_options){.W = 34, .H = 34}, SNN_EDATA,
                   "x.aedat: is of a sensor of 128x128, expected 34x34");
    cut_everywhere(&made, "x.aedat", NULL, false);
}
END_TEST

/* Cut within the last packet: whole events stay, in front of them nothing changes. */
START_TEST(aedat3_cut) {
    struct made made = {0};
    add_text(&made, HEAD31);
    add_packet(&made, 1, 1, 8, 0, 2, 2), add_polarity(&made, 1, 1, 2, 1, 1), add_polarity(&made, 2, 3, 4, 0, 1);
    size_t second = made.size;
    add_packet(&made, 1, 1, 8, 0, 9, 9);
    for (int i = 0; i < 9; ++i) add_polarity(&made, 10 + i, i, i, 0, 1);
    cut_everywhere(&made, "x.aedat", NULL, true);
    for (size_t lost = 1; lost < 9 * 8; ++lost) {
        struct made part = made;
        part.size -= lost;
        struct read read = read_made(&part, "x.aedat", NULL);
        ck_assert_int_eq(read.facts.events, 2 + (int64_t)(72 - lost) / 8);
        ck_assert_int_eq(read.facts.cut_bytes, (int64_t)(72 - lost) % 8);
        ck_assert_ptr_nonnull(strstr(read.facts.warning, "ends in the middle of a packet"));
        snn_sample_free(&read.sample);
    }
    made.size = second + 27;
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.cut_bytes, 27);
    snn_sample_free(&read.sample);
    made.size = second; /* a file system that lost power leaves zeros */
    for (int i = 0; i < 100; ++i) add_le(&made, 0, 1);
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.cut_bytes, 100);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat3_headers) {
    static const struct {
        const char *text, *warning;
        bool stated;
        int y; /* of an event whose y is 3 */
    } heads[] = {
        {"#!AER-DAT3.1\n#!END-HEADER\n", "", false, 3},
        {"#!AER-DAT3.1\r\n#Format: RAW\r\n#-Source 2: DAVIS240C\r\n#Start-Time: 2016\r\n", "has no line #!END-HEADER",
         true, 3},
        {"#!AER-DAT3.1\r\n", "has no line #!END-HEADER", false, 3},
        {"#!AER-DAT3.0\r\n#Source 0: DAVIS346\r\n#!END-HEADER\r\n", "", true, 256},
        {"#!AER-DAT3.0\r\n#!END-HEADER\r\n", "does not say how high the sensor is", false, 6},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; ++i) {
        struct made made = {0};
        add_text(&made, heads[i].text);
        add_packet(&made, 1, 0, 8, 0, 2, 2), add_polarity(&made, 1, 2, 3, 1, 1), add_polarity(&made, 2, 2, 9, 1, 1);
        struct read read = read_made(&made, "x.aedat", NULL);
        expect_event(&read, 0, 1, 2, heads[i].y, 1);
        ck_assert(*heads[i].warning ? strstr(read.facts.warning, heads[i].warning) != NULL : !*read.facts.warning);
        ck_assert_int_eq(read.facts.sensor_stated, heads[i].stated);
        snn_sample_free(&read.sample);
    }
    struct made made = {0}; /* packets may begin with '#' */
    add_text(&made, HEAD31), add_packet(&made, 35, 1, 1, 0, 3, 3), add_text(&made, "abc");
    add_packet(&made, 1, 1, 8, 0, 1, 1), add_polarity(&made, 1, 2, 3, 1, 1);
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 1);
    ck_assert_int_eq(read.facts.skipped, 1);
    snn_sample_free(&read.sample);
    made.size = 0, add_text(&made, HEAD31); /* no packet at all */
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    ck_assert_str_eq(read.facts.warning, "");
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat3_two_cameras) {
    struct made made = {0};
    add_text(&made, HEAD31);
    for (int i = 0; i < 4; ++i) {
        add_packet(&made, 1, 1 + i % 2, 8, 0, 1, 1);
        add_polarity(&made, i, i, i, 1, 1);
    }
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.skipped, 2);
    ck_assert_str_eq(read.facts.warning, "holds events of another camera (source 2), which are left out");
    expect_event(&read, 1, 2, 2, 2, 1);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat3_clock_set_back) {
    struct made made = {0};
    add_text(&made, HEAD31);
    add_packet(&made, 1, 1, 8, 0, 3, 3), add_polarity(&made, 5000000, 1, 1, 1, 1);
    add_polarity(&made, 10, 2, 2, 1, 1), add_polarity(&made, -1, 3, 3, 1, 1);
    struct read read = read_made(&made, "x.aedat", NULL);
    expect_event(&read, 0, 10, 2, 2, 1);
    expect_event(&read, 1, 5000000, 1, 1, 1);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "time goes back by 5.000 s"));
    ck_assert_int_eq(read.facts.off, 1);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat3_refuses_broken) {
    static const struct {
        int type, each, overflow, capacity, number;
        const char *sentence;
    } packets[] = {
        {-1, 8, 0, 1, 1, "byte 61: a packet of type -1"},
        {1, 0, 0, 1, 1, "of 1 events of 0 bytes"},
        {1, -8, 0, 1, 1, "bytes"},
        {1, 7, 0, 1, 1, "events of 7 bytes with their time at 4"},
        {1, 8, -1, 1, 1, "a packet of type 1"},
        {1, 8, 0, 1, 2, "with 2 of 1 events"},
        {1, 8, 0, 1, -2, "with -2 of 1 events"},
    };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; ++i) {
        struct made made = {0};
        add_text(&made, HEAD31);
        add_packet(&made, packets[i].type, 1, packets[i].each, packets[i].overflow, packets[i].capacity,
                   packets[i].number);
        add_polarity(&made, 1, 1, 1, 1, 1);
        expect_refused(&made, "x.aedat", NULL, SNN_EDATA, packets[i].sentence);
    }
    struct made made = {0};
    add_text(&made, "#!AER-DAT3.1\r\n#Format: SerializedTS\r\n#!END-HEADER\r\n");
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "says '#Format: SerializedTS', expected #Format: RAW");
    made.size = 0, add_text(&made, "#!AER-DAT3.2\r\n");
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "is of version 3.2, expected 3.0 or 3.1");
    made.size = 0, add_text(&made, HEAD31); /* 2^31-1 events of which one is there */
    add_packet(&made, 1, 1, 8, 0, INT32_MAX, INT32_MAX), add_polarity(&made, 1, 1, 1, 1, 1);
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 1);
    ck_assert_uint_le(read.sample.event_room, 1);
    snn_sample_free(&read.sample);
    made.size = 0, add_text(&made, HEAD31);
    add_packet(&made, 2, 1, INT32_MAX, 0, INT32_MAX, INT32_MAX), add_polarity(&made, 1, 1, 1, 1, 1);
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    ck_assert_int_eq(read.facts.cut_bytes, 8);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat3_capacity_is_not_a_count) {
    struct made made = {0};
    add_text(&made, HEAD31);
    for (int i = 0; i < 2; ++i) add_packet(&made, 1, 1, 8, 0, 10, 1), add_polarity(&made, i, 1, 1, 1, 1);
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "larger capacity"));
    snn_sample_free(&read.sample);
}
END_TEST

/* ---- segments of AEDAT 3 ---- */

/* Every range of a file of packets that overlap gives what the mask over the whole file gives. */
START_TEST(aedat3_ranges) {
    struct made made = {0};
    make_aedat3(&made, HEAD31);
    add_packet(&made, 1, 1, 8, 0, 2, 2), add_polarity(&made, 450, 9, 9, 1, 1), add_polarity(&made, 800, 8, 8, 0, 1);
    write_file("x.aedat", made.bytes, made.size);
    struct read whole = read_made(&made, "x.aedat", NULL), part = {0};
    struct snn_aedat3 *file;
    ck_ok(snn_aedat3_open(in("x.aedat"), NULL, &file));
    const struct snn_events_facts *facts = snn_aedat3_facts(file);
    ck_assert_int_eq(facts->events, whole.facts.events + whole.facts.off);
    ck_assert_int_eq(facts->W, 128);
    int64_t first, last;
    snn_aedat3_span(file, &first, &last);
    ck_assert_int_eq(first, 400);
    ck_assert_int_eq(last, (INT64_C(2) << 31) + 5);
    for (int64_t t0 = 390; t0 < 810; t0 += 10)
        for (int64_t t1 = t0 - 10; t1 <= 810; t1 += 10) {
            size_t k = 0;
            ck_ok(snn_aedat3_read_range(file, t0, t1, &part.sample, &part.facts));
            for (size_t i = 0; i < whole.sample.event_count; ++i) {
                const struct snn_event *e = &whole.sample.events[i];
                if (e->t >= t0 && e->t < t1) expect_event(&part, k++, e->t, e->x, e->y, e->p);
            }
            ck_assert_uint_eq(part.sample.event_count, k);
            ck_assert_int_eq(part.facts.off, t0 <= 600 && t1 > 600);
        }
    ck_ok(snn_aedat3_read_range(file, 0, INT64_MAX, &part.sample, NULL));
    ck_assert_uint_eq(part.sample.event_count, whole.sample.event_count);
    snn_aedat3_close(&file);
    ck_assert_ptr_null(file);
    snn_sample_free(&whole.sample), snn_sample_free(&part.sample);
}
END_TEST

/* A file cut at any byte is listed as it is decoded, with the same warnings. */
START_TEST(aedat3_listed_as_decoded) {
    struct made made = {0};
    make_aedat3(&made, HEAD31);
    for (size_t size = 0; size <= made.size; ++size) {
        struct read whole = {0}, range = {0};
        struct snn_aedat3 *file;
        int status = snn_events_decode("x.aedat", made.bytes, size, NULL, &whole.sample, &whole.facts);
        write_file("x.aedat", made.bytes, size);
        int listed = snn_aedat3_open(in("x.aedat"), NULL, &file);
        if (size >= 14) ck_assert_int_eq(listed, status);
        if (listed >= 0) {
            ck_assert_int_eq(snn_aedat3_facts(file)->cut_bytes, whole.facts.cut_bytes);
            ck_assert_int_eq(snn_aedat3_facts(file)->skipped, whole.facts.skipped);
            ck_ok(snn_aedat3_read_range(file, 0, INT64_MAX, &range.sample, &range.facts));
            ck_assert_int_eq(range.facts.events, whole.facts.events);
            snn_aedat3_close(&file);
        }
        snn_sample_free(&whole.sample), snn_sample_free(&range.sample);
    }
}
END_TEST

START_TEST(aedat3_open_refuses) {
    struct snn_aedat3 *file;
    ck_error(snn_aedat3_open(in("none.aedat"), NULL, &file), SNN_EDATA, "none.aedat: cannot be opened");
    ck_error(snn_aedat3_open(folder, NULL, &file), SNN_EDATA, "is not a regular file");
    write_file("x.aedat", BYTES("#!AER-DAT2.0\r\n"));
    ck_error(snn_aedat3_open(in("x.aedat"), NULL, &file), SNN_EDATA, "does not begin with a line #!AER-DAT3.1");
    write_file("x.aedat", BYTES("#!AER-DAT3.0\r\n"));
    ck_error(snn_aedat3_open(in("x.aedat"), NULL, &file), SNN_EDATA, "of a sensor that is not stated");
    struct made made = {0};
    add_text(&made, HEAD31), add_packet(&made, 1, 1, 8, 0, 2, 2);
    add_polarity(&made, 5, 1, 1, 1, 1), add_polarity(&made, 6, 1, 1, 1, 1);
    write_file("x.aedat", made.bytes, made.size);
    ck_ok(snn_aedat3_open(in("x.aedat"), NULL, &file));
    ck_assert_int_eq(truncate(in("x.aedat"), (off_t)made.size - 1), 0);
    struct read read = {0};
    ck_error(snn_aedat3_read_range(file, 0, 10, &read.sample, NULL), SNN_EDATA, "became shorter while it was read");
    snn_sample_free(&read.sample);
    snn_aedat3_close(&file);
}
END_TEST

/* The shared recordings of gestures: whole and in segments of a third of a second. */
START_TEST(real_gestures) {
    char root[4200], path[4300];
    if (!find_shared_set("real_gestures", "DvsGesture", root, sizeof root)) return;
    static const char *const names[] = {"user01_natural", "user24_natural"};
    for (int i = 0; i < 2; ++i) {
        struct read whole = {0}, part = {0};
        struct snn_aedat3 *file;
        int64_t first, last;
        snprintf(path, sizeof path, "%s/%s.aedat", root, names[i]);
        ck_ok(snn_events_read(path, NULL, &whole.sample, &whole.facts));
        ck_assert(whole.facts.sensor_stated && whole.facts.W == 128 && whole.facts.H == 128);
        ck_assert_int_eq(whole.facts.cut_bytes, 0);
        ck_assert_int_gt(whole.facts.events, 300000);
        ck_ok(snn_aedat3_open(path, NULL, &file));
        ck_assert_int_eq(snn_aedat3_facts(file)->events, whole.facts.events + whole.facts.off);
        snn_aedat3_span(file, &first, &last);
        size_t k = 0;
        for (int64_t t = first; t <= last; t += 333333) {
            ck_ok(snn_aedat3_read_range(file, t, t + 333333, &part.sample, &part.facts));
            ck_assert_uint_le(k + part.sample.event_count, whole.sample.event_count);
            for (size_t j = 0; j < part.sample.event_count; ++j, ++k) {
                const struct snn_event *e = &whole.sample.events[k], *f = &part.sample.events[j];
                ck_assert(e->t == f->t && e->x == f->x && e->y == f->y && e->p == f->p);
            }
        }
        ck_assert_uint_eq(k, whole.sample.event_count);
        snn_aedat3_close(&file);
        snn_sample_free(&whole.sample), snn_sample_free(&part.sample);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events");
    TCase *events = tcase_create("events");
    tcase_add_checked_fixture(events, make_data_folder, remove_folder);
    tcase_set_timeout(events, 120);
    tcase_add_test(events, format_by_mark_then_extension);
    tcase_add_test(events, formats_are_named);
    tcase_add_test(events, orchard_of_any_sensor);
    tcase_add_test(events, sorting_is_stable);
    tcase_add_test(events, aedat3_test_vector);
    tcase_add_test(events, aedat3_whole);
    tcase_add_test(events, aedat3_cut);
    tcase_add_test(events, aedat3_headers);
    tcase_add_test(events, aedat3_two_cameras);
    tcase_add_test(events, aedat3_clock_set_back);
    tcase_add_test(events, aedat3_refuses_broken);
    tcase_add_test(events, aedat3_capacity_is_not_a_count);
    tcase_add_test(events, aedat3_ranges);
    tcase_add_test(events, aedat3_listed_as_decoded);
    tcase_add_test(events, aedat3_open_refuses);
    tcase_add_test(events, real_gestures);
    suite_add_tcase(suite, events);
    return run_suite(suite);
}
