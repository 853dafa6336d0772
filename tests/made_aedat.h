/* SPDX-License-Identifier: Apache-2.0
 * made_aedat.h - recordings of the three AEDAT formats, made packet by packet. */
#ifndef SNN_TEST_MADE_AEDAT_H
#define SNN_TEST_MADE_AEDAT_H

#include <lz4frame.h>
#include <zstd.h>

#include "made_events.h"

/* ---- AEDAT 2 ---- */

#define HEAD2 "#!AER-DAT2.0\r\n# This is a raw AE data file\r\n# Timestamps tick is 1 us\n"

static inline void add_record(struct made *made, uint32_t address, uint32_t t) {
    const unsigned char bytes[8] = {(unsigned char)(address >> 24), (unsigned char)(address >> 16),
                                    (unsigned char)(address >> 8),  (unsigned char)address,
                                    (unsigned char)(t >> 24),       (unsigned char)(t >> 16),
                                    (unsigned char)(t >> 8),        (unsigned char)t};
    add(made, bytes, sizeof bytes);
}

static inline uint32_t davis(int x, int y, int p) { return (uint32_t)y << 22 | (uint32_t)x << 12 | (uint32_t)p << 11; }

/* ---- AEDAT 3 ---- */

#define HEAD31 "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"

static inline void add_packet(struct made *made, int type, int source, int each, int overflow, int capacity,
                              int number) {
    add_le(made, (uint64_t)type, 2), add_le(made, (uint64_t)source, 2);
    add_le(made, (uint64_t)each, 4), add_le(made, 4, 4);
    add_le(made, (uint64_t)overflow, 4), add_le(made, (uint64_t)capacity, 4), add_le(made, (uint64_t)number, 4);
    add_le(made, (uint64_t)number, 4);
}

static inline void add_polarity(struct made *made, int t, int x, int y, int p, int valid) {
    add_le(made, (uint64_t)x << 17 | (uint64_t)y << 2 | (uint64_t)p << 1 | (uint64_t)valid, 4),
        add_le(made, (uint64_t)t, 4);
}

/* ---- AEDAT 4 ---- */

enum { PLAIN, LZ4, ZSTD = 3 };

/* A header whose XML names stream 0, of events on a sensor of 20x10, stream 1, of images, and stream 2, of events. */
static inline void add_header4(struct made *made, int compression, int64_t table, bool xml) {
    static const char text[] =
        "<dv version=\"2.0\"><node name=\"outInfo\" path=\"/o/\"><node name=\"0\" path=\"/o/0/\">"
        "<attr key=\"compression\" type=\"string\">LZ4</attr><attr key=\"typeIdentifier\" type=\"string\">EVTS</attr>"
        "<node name=\"info\" path=\"/o/0/info/\"><attr key=\"sizeX\" type=\"int\">20</attr>\n"
        "<attr key=\"sizeY\" type=\"int\">10</attr></node></node><node name=\"1\" path=\"/o/1/\">"
        "<attr key=\"typeIdentifier\" type=\"string\">FRME</attr><node name=\"info\"/></node><node name=\"2\">"
        "<attr key=\"typeIdentifier\" type=\"string\">EVTS</attr></node></node></dv>";
    size_t length = xml ? sizeof text - 1 : 0;
    add_text(made, "#!AER-DAT4.0\r\n");
    add_le(made, 45 + length, 4);
    add_le(made, 20, 4), add(made, "IOHE", 4);                             /* the table is at 20 */
    add_le(made, 10, 2), add_le(made, 20, 2);                              /* at 8: the list of fields */
    add_le(made, 4, 2), add_le(made, 8, 2), add_le(made, xml ? 16 : 0, 2); /* where they are in the table */
    add_le(made, 0, 2);
    add_le(made, 12, 4); /* at 20: back to the list */
    add_le(made, (uint64_t)compression, 4), add_le(made, (uint64_t)table, 8);
    add_le(made, 4, 4); /* at 36: to the text */
    add_le(made, length, 4), add(made, text, length), add_le(made, 0, 1);
}

/* The flatbuffer of a packet: n events at t, t+1, ... and x, x+1, ... */
static inline struct made flat_events(const char *kind, int n, int64_t t, int x) {
    struct made flat = {0};
    add_le(&flat, (uint64_t)(28 + 16 * n), 4);
    add_le(&flat, 16, 4), add(&flat, kind, 4);                                          /* the table is at 16 */
    add_le(&flat, 6, 2), add_le(&flat, 8, 2), add_le(&flat, 4, 2), add_le(&flat, 0, 2); /* at 8: the list of fields */
    add_le(&flat, 8, 4), add_le(&flat, 4, 4);                                           /* back to it; to the vector */
    add_le(&flat, (uint64_t)n, 4);
    for (int i = 0; i < n; ++i) {
        add_le(&flat, (uint64_t)(t + i), 8), add_le(&flat, (uint64_t)(x + i), 2), add_le(&flat, (uint64_t)i, 2);
        add_le(&flat, (uint64_t)(i % 2), 1), add_le(&flat, 0, 3);
    }
    return flat;
}

static inline void add_packet4(struct made *made, int compression, int stream, const struct made *flat) {
    unsigned char packed[1 << 17];
    size_t size = flat->size;
    memcpy(packed, flat->bytes, size);
    if (compression == LZ4) size = LZ4F_compressFrame(packed, sizeof packed, flat->bytes, flat->size, NULL);
    if (compression == ZSTD) size = ZSTD_compress(packed, sizeof packed, flat->bytes, flat->size, 3);
    ck_assert_uint_le(size, sizeof packed);
    add_le(made, (uint64_t)stream, 4), add_le(made, size, 4), add(made, packed, size);
}

static inline void add_events4(struct made *made, int compression, int stream, int n, int64_t t, int x) {
    struct made flat = flat_events("EVTS", n, t, x);
    add_packet4(made, compression, stream, &flat);
}

#endif
