/* SPDX-License-Identifier: Apache-2.0
 * test_events.c - recordings of event cameras in every format, well-formed, cut at every byte, and hostile.
 *
 * Files are made here byte by byte from their specifications; cases on real files say so when they have none. */
#include "made_aedat.h"

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
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA,
                   "x.aedat: is named like a recording of format aedat2, and does not begin like one");
    expect_refused(&made, "x", &(struct snn_events_options){.format = "orchid"}, SNN_EUSAGE,
                   "'orchid' is no format of recordings, expected one of ");
    expect_refused(&made, "x.bin", &(struct snn_events_options){.unit = SNN_EVENTS_US}, SNN_EUSAGE,
                   "x.bin: times of format orchard have a unit: another one cannot be said");
    expect_refused(&made, "x.bin", &(struct snn_events_options){.map = SNN_EVENTS_DVS128}, SNN_EUSAGE,
                   "x.bin: addresses of format orchard are of one kind: a chip cannot be said");
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

/* Piece by piece it is the same. */
static void expect_range_streamed(const struct snn_aedat3 *file, int64_t t0, int64_t t1, const struct read *whole) {
    struct snn_events_facts facts;
    struct snn_events_extent extent;
    struct snn_events_stream *stream;
    ck_ok(snn_aedat3_survey_range(file, t0, t1, &extent, &facts));
    expect_same_facts(&facts, &whole->facts);
    for (uint64_t way = 0; way < 3; ++way) {
        ck_ok(snn_aedat3_stream_range(file, t0, t1, &extent, &stream));
        expect_parts(stream, &extent, &whole->sample, way);
        snn_events_stream_close(&stream);
    }
}

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
            expect_range_streamed(file, t0, t1, &part);
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

/* A packet whose last event has an impossible time, and one that goes back, hold events outside of their ends. */
START_TEST(aedat3_range_of_odd_packets) {
    struct made made = {0};
    struct snn_aedat3 *file;
    struct read part = {0};
    int64_t first, last;
    add_text(&made, HEAD31);
    add_packet(&made, 1, 1, 8, 0, 3, 3), add_polarity(&made, 10, 1, 1, 1, 1), add_polarity(&made, 20, 2, 2, 1, 1);
    add_polarity(&made, -1, 3, 3, 1, 1);
    add_packet(&made, 1, 1, 8, 0, 3, 3), add_polarity(&made, 30, 4, 4, 1, 1), add_polarity(&made, 21, 5, 5, 1, 1);
    add_polarity(&made, 29, 6, 6, 1, 1);
    write_file("x.aedat", made.bytes, made.size);
    ck_ok(snn_aedat3_open(in("x.aedat"), NULL, &file));
    snn_aedat3_span(file, &first, &last);
    ck_assert(first == 10 && last == 30);
    ck_ok(snn_aedat3_read_range(file, 15, 25, &part.sample, &part.facts));
    ck_assert_int_eq(part.facts.events, 2);
    expect_event(&part, 0, 20, 2, 2, 1);
    expect_event(&part, 1, 21, 5, 5, 1);
    ck_assert_ptr_nonnull(strstr(part.facts.warning, "time goes back within packets"));
    expect_range_streamed(file, 15, 25, &part);
    snn_aedat3_close(&file);
    snn_sample_free(&part.sample);
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
    struct snn_events_extent extent;
    ck_error(snn_aedat3_survey_range(file, 0, 10, &extent, &read.facts), SNN_EDATA, "became shorter while it was read");
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
        expect_streamed(path, NULL);
        ck_ok(snn_aedat3_read_range(file, first + 1000000, first + 5000000, &part.sample, &part.facts));
        expect_range_streamed(file, first + 1000000, first + 5000000, &part);
        snn_aedat3_close(&file);
        snn_sample_free(&whole.sample), snn_sample_free(&part.sample);
    }
}
END_TEST

/* ---- AEDAT 2 ---- */

START_TEST(aedat2_test_vector) {
    struct made made = {0};
    add_text(&made, HEAD2);
    add(&made, BYTES("\x00\x00\x64\x15\x00\x12\xd6\x87"));
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_str_eq(read.facts.format, "AEDAT 2.0");
    ck_assert(read.facts.sensor_stated && read.facts.W == 128 && read.facts.H == 128);
    ck_assert_int_eq(read.facts.events, 1);
    expect_event(&read, 0, 1234567, 27, 117, 0);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat2_dvs128) {
    struct made made = {0};
    add_text(&made, HEAD2);
    add_record(&made, 0x0000, 5), add_record(&made, 0x7fff, 6), add_record(&made, 0x8001, 7);
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.skipped, 1);
    expect_event(&read, 0, 5, 127, 127, 1);
    expect_event(&read, 1, 6, 0, 0, 0);
    snn_sample_free(&read.sample);
    cut_everywhere(&made, "x.aedat", NULL, true);
    add(&made, "abc", 3);
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.cut_bytes, 3);
    ck_assert_str_eq(read.facts.warning, "ends in the middle of a record (its last 3 bytes are left out)");
    snn_sample_free(&read.sample);
    made.size = 0, add_text(&made, HEAD2); /* an address that a DVS128 has not, by its own word one */
    add_text(&made, "# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n");
    add_record(&made, 0x10000, 5);
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    ck_assert_int_eq(read.facts.off, 1);
    snn_sample_free(&read.sample);
}
END_TEST

/* Thousands of lines, the chip among them, image and motion samples, special events. */
START_TEST(aedat2_davis) {
    struct made made = {0};
    add_text(&made, HEAD2);
    for (int i = 0; i < 2000; ++i) add_text(&made, i % 2 ? "#   <entry key=\"DVS128\"/>\r\n" : "#\n");
    add_text(&made,
             "# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n# latency 10 \xb5s\r\n#End Of ASCII Header\r\n");
    size_t head = made.size;
    add_record(&made, davis('#' << 2, 140, 1) | 1, 3); /* 0x23...: a line of text, if the header did not end */
    add_record(&made, davis(345, 259, 0), 1);
    add_record(&made, davis(1, 1, 1) | 1u << 31, 2), add_record(&made, davis(1, 1, 1) | 1u << 31 | 1u << 10, 2);
    add_record(&made, davis(1, 1, 1) | 1u << 10, 2), add_record(&made, davis(346, 1, 1), 2);
    ck_assert_int_eq(made.bytes[head], '#');
    struct read read = read_made(&made, "x.aedat", NULL);
    ck_assert(read.facts.W == 346 && read.facts.H == 260);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.skipped, 3);
    ck_assert_int_eq(read.facts.off, 1);
    expect_event(&read, 0, 1, 345, 259, 0);
    expect_event(&read, 1, 3, 140, 140, 1);
    snn_sample_free(&read.sample);
    struct snn_events_options other = {.map = SNN_EVENTS_DVS128};
    read = read_made(&made, "x.aedat", &other);
    ck_assert_int_eq(read.facts.W, 128);
    snn_sample_free(&read.sample);
    other = (struct snn_events_options){.W = 128, .H = 128};
    expect_refused(&made, "x.aedat", &other, SNN_EDATA, "x.aedat: is of a sensor of 346x260, expected 128x128");
}
END_TEST

/* Binary that begins with '#', though nothing says where the header ends. */
START_TEST(aedat2_data_like_a_comment) {
    struct made made = {0};
    add_text(&made, HEAD2);
    for (int i = 0; i < 300; ++i) add_record(&made, davis('#' << 2 | (i & 3), 140, 1), (uint32_t)(1 << 24 | i));
    struct snn_events_options options = {.map = SNN_EVENTS_DAVIS240};
    struct read read = read_made(&made, "x.aedat", &options);
    ck_assert_int_eq(read.facts.events, 300);
    ck_assert_str_eq(read.facts.warning, "");
    snn_sample_free(&read.sample);
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "names no chip, and has addresses of more than 16 bits");
    made.size = 0, add_text(&made, HEAD2 "# AEChip: Octopus\n");
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "says '# AEChip: Octopus', whose addresses are not known");
    made.size = 0, add_text(&made, HEAD2); /* no record at all */
    read = read_made(&made, "x.aedat", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat2_clock_runs_over) {
    struct made made = {0};
    add_text(&made, HEAD2);
    add_record(&made, 0, UINT32_MAX - 5), add_record(&made, 0, 4), add_record(&made, 0, UINT32_MAX - 1);
    add_record(&made, 0, 7);
    struct read read = read_made(&made, "x.aedat", NULL);
    expect_event(&read, 0, UINT32_MAX - 5, 127, 127, 1);
    expect_event(&read, 1, UINT32_MAX - 1, 127, 127, 1);
    expect_event(&read, 2, (INT64_C(1) << 32) + 4, 127, 127, 1);
    expect_event(&read, 3, (INT64_C(1) << 32) + 7, 127, 127, 1);
    ck_assert_int_eq(read.facts.overflows, 1);
    ck_assert_str_eq(read.facts.warning, "");
    snn_sample_free(&read.sample);
}
END_TEST

/* ---- AEDAT 4 ---- */

#define UNIX INT64_C(1600000000000000)

/* Two packets of events, of 9 and 3, one of images, and behind them a table. */
static void make_aedat4(struct made *made, int compression, bool finished) {
    struct made image = flat_events("FRME", 2, 7, 7);
    add_header4(made, compression, -1, true);
    size_t head = made->size;
    add_events4(made, compression, 0, 9, UNIX + 5, 3);
    add_packet4(made, compression, 1, &image);
    add_events4(made, compression, 0, 3, UNIX, 0);
    if (!finished) return;
    size_t end = made->size;
    made->size = 0;
    struct made copy = *made;
    add_header4(made, compression, (int64_t)end, true);
    ck_assert_uint_eq(made->size, head);
    memcpy(made->bytes + head, copy.bytes + head, end - head);
    made->size = end;
    add_text(made, "any table of packets");
}

static const int compressions[] = {PLAIN, LZ4, 2, ZSTD, 4};

START_TEST(aedat4_whole) {
    static const char *const names[] = {"AEDAT 4.0", "AEDAT 4.0 (LZ4)", "AEDAT 4.0 (LZ4)", "AEDAT 4.0 (Zstandard)",
                                        "AEDAT 4.0 (Zstandard)"};
    for (int finished = 0; finished < 2; ++finished) {
        struct made made = {0};
        int c = compressions[_i];
        make_aedat4(&made, c, finished);
        if (c == 2 || c == 4) { /* the higher levels differ only in how they are made */
            struct made low = {0};
            make_aedat4(&low, c - 1, finished);
            memcpy(low.bytes + 18 + 24, &c, 1);
            made = low;
        }
        struct read read = read_made(&made, "x.aedat4", NULL);
        ck_assert_str_eq(read.facts.format, names[_i]);
        ck_assert(read.facts.sensor_stated && read.facts.W == 20 && read.facts.H == 10);
        ck_assert_int_eq(read.facts.events, 12);
        ck_assert_int_eq(read.facts.skipped, 1);
        ck_assert_str_eq(read.facts.warning, finished ? "" : "was not finished by its recorder");
        expect_event(&read, 0, UNIX, 0, 0, 0);
        expect_event(&read, 1, UNIX + 1, 1, 1, 1);
        expect_event(&read, 3, UNIX + 5, 3, 0, 0);
        expect_event(&read, 11, UNIX + 13, 11, 8, 0);
        snn_sample_free(&read.sample);
        cut_everywhere(&made, "x.aedat4", NULL, false);
    }
}
END_TEST

/* What is there of a cut packet is read; the packets before it as ever. */
START_TEST(aedat4_cut) {
    for (size_t lost = 1; lost < 16 * 9; ++lost) {
        struct made made = {0};
        add_header4(&made, PLAIN, -1, true);
        add_events4(&made, PLAIN, 0, 3, 1, 0), add_events4(&made, PLAIN, 0, 9, 5, 3);
        made.size -= lost;
        struct read read = read_made(&made, "x.aedat4", NULL);
        ck_assert_int_eq(read.facts.events, 3 + (int64_t)(16 * 9 - lost) / 16);
        ck_assert_ptr_nonnull(strstr(read.facts.warning, "ends in the middle of a packet"));
        snn_sample_free(&read.sample);
    }
    struct made made = {0}; /* finished, but the table is cut off: nothing is lost, and it is said */
    make_aedat4(&made, LZ4, true);
    made.size -= 21;
    struct read read = read_made(&made, "x.aedat4", NULL);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "has no table of packets where its header says"));
    snn_sample_free(&read.sample);
    made.size = 0, add_header4(&made, LZ4, -1, true), add_events4(&made, LZ4, 0, 3, 1, 0);
    for (int i = 0; i < 50; ++i) add_le(&made, 0, 1);
    read = read_made(&made, "x.aedat4", NULL);
    ck_assert_int_eq(read.facts.events, 3);
    ck_assert_int_eq(read.facts.cut_bytes, 50);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(aedat4_streams) {
    struct made made = {0}; /* no XML: the first packet of events says which stream */
    struct made image = flat_events("FRME", 2, 7, 7);
    add_header4(&made, ZSTD, -1, false);
    add_packet4(&made, ZSTD, 4, &image);
    add_events4(&made, ZSTD, 5, 2, 10, 1), add_events4(&made, ZSTD, 6, 2, 20, 1), add_events4(&made, ZSTD, 5, 2, 30, 1);
    struct read read = read_made(&made, "x.aedat4", NULL);
    ck_assert(!read.facts.sensor_stated && read.facts.W == 3 && read.facts.H == 2);
    ck_assert_int_eq(read.facts.events, 4);
    ck_assert_int_eq(read.facts.skipped, 2);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "holds events of another camera (stream 6)"));
    snn_sample_free(&read.sample);
    made.size = 0; /* two streams of events in the XML, and events off the sensor or before time began */
    add_header4(&made, PLAIN, -1, true);
    add_events4(&made, PLAIN, 2, 2, 10, 1), add_events4(&made, PLAIN, 0, 2, 20, 19),
        add_events4(&made, PLAIN, 0, 2, -1, 0);
    add_events4(&made, PLAIN, 0, 1, 30, -1);
    read = read_made(&made, "x.aedat4", NULL);
    ck_assert_int_eq(read.facts.events, 2);
    ck_assert_int_eq(read.facts.off, 3);
    expect_event(&read, 0, 0, 1, 1, 1);
    expect_event(&read, 1, 20, 19, 0, 0);
    ck_assert_ptr_nonnull(strstr(read.facts.warning, "holds events of another camera (stream 2)"));
    snn_sample_free(&read.sample);
    made.size = 0; /* no packets, and a packet without events */
    add_header4(&made, PLAIN, -1, true);
    read = read_made(&made, "x.aedat4", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    snn_sample_free(&read.sample);
    add_events4(&made, PLAIN, 0, 0, 0, 0);
    read = read_made(&made, "x.aedat4", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    ck_assert_str_eq(read.facts.warning, "was not finished by its recorder");
    snn_sample_free(&read.sample);
}
END_TEST

/* A large packet, whose frame fills more than one step of unpacking. */
START_TEST(aedat4_large_packet) {
    for (int c = LZ4; c <= ZSTD; c += ZSTD - LZ4) {
        struct made made = {0};
        add_header4(&made, c, -1, false);
        struct made flat = flat_events("EVTS", 4000, 100, 0);
        add_packet4(&made, c, 0, &flat);
        struct read read = read_made(&made, "x.aedat4", NULL);
        ck_assert_int_eq(read.facts.events, 4000);
        expect_event(&read, 3999, 4099, 3999, 3999, 1);
        snn_sample_free(&read.sample);
    }
}
END_TEST

/* Every byte of header and packet set to each of some values: refused, or read without reading beyond. */
START_TEST(aedat4_any_byte_wrong) {
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (int c = PLAIN; c <= ZSTD; c += c == PLAIN ? 1 : 2) {
        struct made made = {0};
        add_header4(&made, c, -1, false);
        add_events4(&made, c, 0, 3, 1, 0);
        for (size_t i = 0; i < made.size; ++i)
            for (size_t v = 0; v < sizeof values; ++v) {
                struct read read = {0};
                unsigned char *bytes = malloc(made.size);
                memcpy(bytes, made.bytes, made.size);
                bytes[i] = values[v];
                int status = snn_events_decode("x.aedat4", bytes, made.size, NULL, &read.sample, &read.facts);
                ck_assert(status == SNN_OK || status == SNN_EDATA);
                ck_assert_uint_le(read.sample.event_room, 3);
                free(bytes);
                snn_sample_free(&read.sample);
            }
    }
}
END_TEST

START_TEST(aedat4_refuses_broken) {
    struct made made = {0}, flat = flat_events("EVTS", 3, 0, 0);
    add_header4(&made, 7, -1, false);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "is of compression 7, expected 0..4");
    made.size = 0, add_text(&made, "#!AER-DAT4.0\r\n"), add_le(&made, 1 << 30, 4), add_text(&made, "12345678");
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "its header has 1073741824 bytes, and the file ends before");
    made.size = 0, add_header4(&made, LZ4, -1, false), add_packet4(&made, PLAIN, 0, &flat);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "the packet at byte 71 cannot be read: ERROR_frameType_unknown");
    made.size = 0, add_header4(&made, ZSTD, -1, false), add_packet4(&made, PLAIN, 0, &flat);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA,
                   "the packet at byte 71 cannot be read: Unknown frame descriptor");
    made.size = 0, add_header4(&made, PLAIN, -1, false), add_le(&made, 0, 4), add_le(&made, UINT32_MAX, 4);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "byte 63: a packet of stream 0 with -1 bytes");
    flat.bytes[31] = 0x10; /* 2^28 events */
    made.size = 0, add_header4(&made, PLAIN, -1, false), add_packet4(&made, PLAIN, 0, &flat);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "it is no packet of events");
    made.size = 0, add_header4(&made, ZSTD, -1, false), add_packet4(&made, ZSTD, 0, &flat);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "it is no packet of events");
}
END_TEST

/* A packet that unpacks to 64 MB of zeros. */
START_TEST(aedat4_bomb) {
    size_t size = 64 << 20, room = ZSTD_compressBound(size);
    unsigned char *zeros = calloc(1, size), *packed = malloc(room);
    struct made made = {0};
    add_header4(&made, ZSTD, -1, false);
    size_t n = ZSTD_compress(packed, room, zeros, size, 3);
    add_le(&made, 0, 4), add_le(&made, n, 4), add(&made, packed, n);
    expect_refused(&made, "x.aedat4", NULL, SNN_EDATA, "it unpacks to too much");
    free(zeros), free(packed);
}
END_TEST

/* ---- CSV ---- */

static struct made text_of(const char *text) {
    struct made made = {0};
    add_text(&made, text);
    return made;
}

START_TEST(csv_forms) {
    static const struct {
        const char *text;
        int unit;
    } forms[] = {
        /* all: (123456, 17, 5, 1), (123460, 0, 200, 0) */
        {"123456,17,5,1\n123460,0,200,0\n", 0},
        {"123456 17 5 1\r\n123460\t0\t200\t0\r\n", 0},
        {"123456 , 17;5 , 1\n\n  123460 0 200 -1", 0},
        {"\xef\xbb\xbfx,y,p,t\n17,5,1,123456\n0,200,-1,123460\n", 0},
        {"timestamp, x, y, polarity\n123456, 17, 5, 1\n123460, 0, 200, 0\n", 0},
        {"id,Time,on,Y,X,note\n1,123456,true,5,17,a\n2,123460,False,200,0,b\n", 0},
        {"# a comment\n# t x y p\n123456 17 5 1\n# another\n123460 0 200 0\n", 0},
        {"# 640 480\n123456 17 5 +1\n123460 0 200 0\n", 0},
        {"t_us,x,y,p\n123456,17,5,1\n123460,0,200,0\n", 0},
        {"t_ns,x,y,p\n123456499,17,5,1\n123459500,0,200,0\n", 0},
        {"t_ms,x,y,p\n123.456,17,5,1\n1.2346e2,0,200,0\n", 0},
        {"t_s,x,y,p\n.123456,17,5,1\n0.1234600000000000000000001,0,200,0\n", 0},
        {"timestamp_s,x,y,p\n0.1234564999,17,5,1\n0.1234595,0,200,0\n", 0},
        {"0.123456 17 5 1\n0.12346 0 200 0\n", SNN_EVENTS_S},
        {"1.234560000000000000e+05 1.700000000000000000e+01 5.000000000000000000e+00 1.000000000000000000e+00\n"
         "1.234600000000000000e+05 0.000000000000000000e+00 2.000000000000000000e+02 -1.0e+00\n",
         0},
        {"1.23456e-1,17,5,1\n1234600E-7,0,200,0\n", SNN_EVENTS_S},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; ++i) {
        struct made made = text_of(forms[i].text);
        struct snn_events_options options = {.unit = forms[i].unit};
        struct read read = read_made(&made, "x.csv", &options);
        ck_assert_int_eq(read.facts.events, 2);
        expect_event(&read, 0, 123456, 17, 5, 1);
        expect_event(&read, 1, 123460, 0, 200, 0);
        ck_assert(read.facts.W == 18 && read.facts.H == 201 && !read.facts.sensor_stated);
        snn_sample_free(&read.sample);
        cut_everywhere(&made, "x.csv", &options, false);
    }
}
END_TEST

START_TEST(csv_without_events) {
    static const char *const texts[] = {"", "\n\n", "t,x,y,p\n", "# nothing", "t,x,y,p"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        struct made made = text_of(texts[i]);
        struct read read = read_made(&made, "x.tsv", NULL);
        ck_assert(read.facts.events == 0 && read.facts.W == 0 && read.facts.H == 0);
        snn_sample_free(&read.sample);
    }
}
END_TEST

START_TEST(csv_refuses_broken) {
    static const struct {
        const char *text, *sentence;
    } wrong[] = {
        {"1,2,3,1\n1,2,3\n", "x.csv:2: '1,2,3', expected 4 columns"},
        {"1,2,3,1\n1,,3,1\n", "x.csv:2: '', expected a number"},
        {"1,2,3,1\n1,2,x,1\n", "x.csv:2: 'x', expected a number"},
        {"1,2,3,1\n1,2.5,3,1\n", "x.csv:2: '2.5', expected a whole number"},
        {"1,2,3,1\n1,2,3,2\n", "x.csv: line 2: polarity 2, expected 0, 1 or -1"},
        {"1.5,2,3,1\n", "x.csv:1: '1.5', expected whole microseconds, as nothing says the unit of the times"},
        {"1,2,3,1\n\n-1,2,3,1\n", "x.csv: line 3: event at t=-1 us"},
        {"1,2,3,1\n\n-250,2,3,1\n", "x.csv: line 3: event at t=-250 us"},
        {"1,65536,3,1\n", "x.csv: line 1: event at x=65536 y=3"},
        {"1,2,-3,1\n", "x.csv: line 1: event at x=2 y=-3"},
        {"99999999999999999999,2,3,1\n", "x.csv: line 1: event at t="},
        {"1e99999999999,2,3,1\n", "x.csv: line 1: event at t="},
        {"1,1e18,3,1\n", "x.csv: line 1: event at x=1000000000000000000"},
        {"1,2,3,1e\n1,2,3,1", "x.csv:1: '1,2,3,1e', expected names of columns"},
        {"t,x,y\n", "x.csv:1: 't,x,y', expected names of columns, among them t (or t_us, timestamp), x, y and p"},
        {"t,x,y,p,time\n", "x.csv:1: 't,x,y,p,time', expected each of the columns t, x, y and p once"},
        {"t,x,y,p\nt,x,y,p\n", "x.csv:2: 't', expected a number"},
        {"1,2,3,1,5\n", "x.csv:1: '1,2,3,1,5', expected 4 columns"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        struct made made = text_of(wrong[i].text);
        expect_refused(&made, "x.csv", NULL, SNN_EDATA, wrong[i].sentence);
    }
    struct made made = {0};
    for (int i = 0; i < 70; ++i) add_text(&made, "1,");
    expect_refused(&made, "x.csv", NULL, SNN_EDATA,
                   "x.csv:1: '1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,'..., expected at");
    made = text_of("1,2,3,1\n1,5,3,1\n");
    expect_refused(&made, "x.csv", &(struct snn_events_options){.W = 5, .H = 4}, SNN_EDATA,
                   "x.csv: line 2: event at x=5 y=3, expected x in 0..4 and y in 0..3");
}
END_TEST

/* ---- NumPy ---- */

static struct made npy_of(int version, const char *dictionary) {
    struct made made = {0};
    add(&made, BYTES("\x93NUMPY"));
    add_le(&made, (uint64_t)version, 1), add_le(&made, 0, 1);
    add_le(&made, strlen(dictionary), version == 1 ? 2 : 4);
    add_text(&made, dictionary);
    return made;
}

static void add_be(struct made *made, uint64_t value, int bytes) {
    while (bytes--) add(made, &(unsigned char){(unsigned char)(value >> 8 * bytes)}, 1);
}

static uint64_t bits64(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t bits32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void expect_two(const struct made *made, int unit, const char *warning) {
    struct snn_events_options options = {.unit = unit};
    struct read read = read_made(made, "x.npy", &options);
    ck_assert_str_eq(read.facts.format, "NumPy array");
    ck_assert_str_eq(read.facts.warning, warning);
    ck_assert_int_eq(read.facts.events, 2);
    expect_event(&read, 0, 3000, 17, 5, 1);
    expect_event(&read, 1, 5000, 300, 6, 0);
    snn_sample_free(&read.sample);
    cut_everywhere(made, "x.npy", &options, false);
}

START_TEST(npy_records) {
    struct made made = npy_of(1, "{'descr': [('t', '<i8'), ('x', '<u2'), ('y', '|u1'), ('p', '|b1')], "
                                 "'fortran_order': False, 'shape': (2,), }          \n");
    add_le(&made, 3000, 8), add_le(&made, 17, 2), add_le(&made, 5, 1), add_le(&made, 1, 1);
    add_le(&made, 5000, 8), add_le(&made, 300, 2), add_le(&made, 6, 1), add_le(&made, 0, 1);
    expect_two(&made, 0, "");
    made =
        npy_of(2, "{\"shape\":(2,),\"descr\":[(\"polarity\",\">i2\"),(\"id\",\"<f8\"),(\"\",\"|V3\"),(\"y\",\"<f4\"),"
                  "(\"x\",\">f8\"),(\"timestamp_ms\",\">i4\")],\"fortran_order\":False}");
    for (int i = 0; i < 2; ++i) {
        add_be(&made, (uint64_t)(i ? -1 : 1), 2), add_le(&made, 0, 11), add_le(&made, bits32(i ? 6 : 5), 4);
        add_be(&made, bits64(i ? 300 : 17), 8), add_be(&made, i ? 5 : 3, 4);
    }
    expect_two(&made, 0, "");
    made = npy_of(
        3, "{'descr': [('x','<f2'), ('y','<i1'), ('p','<u8'), ('ts','=u4')], 'fortran_order': True, 'shape': (2,)}");
    add_le(&made, 0x4c40, 2), add_le(&made, 5, 1), add_le(&made, 1, 8), add_le(&made, 3000, 4);
    add_le(&made, 0x5cb0, 2), add_le(&made, 6, 1), add_le(&made, 0, 8), add_le(&made, 5000, 4);
    expect_two(&made, 0, "");
}
END_TEST

START_TEST(npy_rows) {
    static const double rows[2][4] = {{17, 5, 1, 3}, {300, 6, 0, 5}};
    struct made made = npy_of(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }");
    for (int i = 0; i < 8; ++i) add_le(&made, bits64(rows[i / 4][i % 4]), 8);
    expect_two(&made, SNN_EVENTS_MS, "");
    struct read read = read_made(&made, "x.npy", NULL); /* not silently */
    ck_assert_str_eq(read.facts.warning, "does not say the unit of its times, which are taken for microseconds");
    expect_event(&read, 1, 5, 300, 6, 0);
    snn_sample_free(&read.sample);
    made = npy_of(1, "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 4), }");
    for (int i = 0; i < 8; ++i) add_be(&made, bits32((float)rows[i % 2][i / 2]), 4);
    expect_two(&made, SNN_EVENTS_MS, "");
    made = npy_of(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 4), }");
    for (int i = 0; i < 8; ++i) add_le(&made, (uint64_t)rows[i / 4][i % 4] * (i % 4 == 3 ? 1000 : 1), 4);
    expect_two(&made, 0, "");
    made = npy_of(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }");
    for (int i = 0; i < 8; ++i) add_le(&made, bits64(rows[i / 4][i % 4] * (i % 4 == 3 ? 0.001 : 1)), 8);
    expect_two(&made, SNN_EVENTS_S, "");
    expect_refused(&made, "x.npy", NULL, SNN_EDATA,
                   "x.npy: row 0: time 0.003, expected whole microseconds, as nothing says the unit of the times");
    made = npy_of(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 4), }");
    read = read_made(&made, "x.npy", NULL);
    ck_assert_int_eq(read.facts.events, 0);
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(npy_refuses_broken) {
#define TAIL "'fortran_order': False, 'shape': (1, 4)}"
    static const struct {
        const char *dictionary, *sentence;
    } wrong[] = {
        {"", "expected '{'"},
        {"{'descr': '<i8', " TAIL " x", "expected nothing behind '}'"},
        {"{'descr': '<i8', 'fortran_order': False}", "expected each of 'descr', 'fortran_order' and 'shape' once"},
        {"{'descr': '<i8', 'descr': '<i8', " TAIL, "expected each of 'descr'"},
        {"{'descr': '<i8', 'other': 1, " TAIL, "expected each of 'descr'"},
        {"{'descr': '|O', " TAIL, "expected integers of 1, 2, 4 or 8 bytes"},
        {"{'descr': '<i3', " TAIL, "expected integers of 1, 2, 4 or 8 bytes"},
        {"{'descr': '<f16', " TAIL, "expected integers of 1, 2, 4 or 8 bytes"},
        {"{'descr': '<c8', " TAIL, "expected integers of 1, 2, 4 or 8 bytes"},
        {"{'descr': '|V8', " TAIL, "expected integers of 1, 2, 4 or 8 bytes, floats of 2, 4 or 8, or bools, got '|V8'"},
        {"{'descr': '<i8, " TAIL, "expected"},
        {"{'descr': '<i99999999999999999999', " TAIL, "expected"},
        {"{'descr': [('t','<i8'),('x','<i8'),('y','<i8')], 'fortran_order': False, 'shape': (1,)}",
         "its records lack one of the fields t, x, y and p"},
        {"{'descr': [('t','<i8'),('ts','<i8')], 'fortran_order': False, 'shape': (1,)}",
         "its field 'ts' is the second of its kind or no number"},
        {"{'descr': [('t','<i8'),('x','|V8')], 'fortran_order': False, 'shape': (1,)}",
         "its field 'x' is the second of its kind or no number"},
        {"{'descr': [], 'fortran_order': False, 'shape': (1,)}", "expected a field"},
        {"{'descr': [('t','<i8',(2,))], 'fortran_order': False, 'shape': (1,)}", "')': a field has one number"},
        {"{'descr': [('t','<i8'),('x','<i8'),('y','<i8'),('p','<i8')], " TAIL, "has another shape"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (4,)}", "has another shape"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 5)}", "has another shape"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 4, 1)}", "has another shape"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': ()}", "has another shape"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (-1, 4)}", "expected a number"},
        {"{'descr': '<i8', 'fortran_order': 0, 'shape': (1, 4)}", "expected True or False"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)}", "has 32 bytes of data, expected 2 events of 32"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1152921504606846976, 4)}", "expected fewer elements"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (274877906944, 4)}",
         "has 32 bytes of data, expected 274877906944 events of 32"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 4)}", "has 32 bytes of data, expected 1 events of 16"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        struct made made = npy_of(1, wrong[i].dictionary);
        for (int k = 0; k < 4; ++k) add_le(&made, 1, 8);
        expect_refused(&made, "x.npy", NULL, SNN_EDATA, wrong[i].sentence);
    }
    struct made made = npy_of(4, "{'descr': '<i8', " TAIL);
    expect_refused(&made, "x.npy", NULL, SNN_EDATA, "is of version 4.0 of NumPy's format");
    made = npy_of(2, ""), made.bytes[11] = 0x80; /* a header of 2^31 bytes */
    expect_refused(&made, "x.npy", NULL, SNN_EDATA, "its header has 2147483648 bytes, expected at most 65536");
    made = npy_of(1, "{'descr': '<f8', " TAIL);
    size_t data = made.size;
    for (int k = 0; k < 4; ++k) add_le(&made, bits64(1), 8);
    for (int k = 0; k < 4; ++k) {
        struct made other = made;
        memset(other.bytes + data + 8 * (size_t)k, 0xff, 8); /* not a number */
        expect_refused(&other, "x.npy", &(struct snn_events_options){.unit = SNN_EVENTS_S}, SNN_EDATA,
                       "nan, expected a whole number");
        other.bytes[data + 8 * (size_t)k + 6] = 0xef; /* -5e307, and infinity */
        expect_refused(&other, "x.npy", NULL, SNN_EDATA, "x.npy: row 0: ");
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
    tcase_add_test(events, aedat3_range_of_odd_packets);
    tcase_add_test(events, aedat3_open_refuses);
    tcase_add_test(events, real_gestures);
    tcase_add_test(events, aedat2_test_vector);
    tcase_add_test(events, aedat2_dvs128);
    tcase_add_test(events, aedat2_davis);
    tcase_add_test(events, aedat2_data_like_a_comment);
    tcase_add_test(events, aedat2_clock_runs_over);
    tcase_add_loop_test(events, aedat4_whole, 0, sizeof compressions / sizeof *compressions);
    tcase_add_test(events, aedat4_cut);
    tcase_add_test(events, aedat4_streams);
    tcase_add_test(events, aedat4_large_packet);
    tcase_add_test(events, aedat4_any_byte_wrong);
    tcase_add_test(events, aedat4_refuses_broken);
    tcase_add_test(events, aedat4_bomb);
    tcase_add_test(events, csv_forms);
    tcase_add_test(events, csv_without_events);
    tcase_add_test(events, csv_refuses_broken);
    tcase_add_test(events, npy_records);
    tcase_add_test(events, npy_rows);
    tcase_add_test(events, npy_refuses_broken);
    suite_add_tcase(suite, events);
    return run_suite(suite);
}
