/* SPDX-License-Identifier: Apache-2.0
 * events_aedat4.c - AEDAT 4 as DV writes it: a line of text, a header, then packets, little-endian.
 *
 *   header   size (4), a flatbuffer IOHE: compression, where the table of packets is (-1: never written), streams (XML)
 *   packet   stream (4), size (4), then, compressed: size (4), a flatbuffer; EVTS holds events of 16 bytes:
 *            microseconds (8), x (2), y (2), on (1), padding (3)
 *
 * A flatbuffer's table begins with the distance back to its list of fields, which says where each one is from the
 * table on; every such offset is checked against the packet. The table of packets at the end is not needed. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "core/status.h"
#include "datasets/events_parts.h"

static const char first_line[] = "#!AER-DAT4.0\r\n";
enum { LINE = sizeof first_line - 1, PACKET = 8, EVENT = 16, STREAMS = 64, WINDOW_LOG = 25, STEP = 1 << 16 };
enum { NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH, COMPRESSIONS };

/* ---- flatbuffers ---- */

struct flat { /* behind the size */
    const unsigned char *at;
    size_t size;
};

static uint32_t get16(const unsigned char *at) { return at[0] | (uint32_t)at[1] << 8; }

/* Where the root table is; false when the buffer is not of that kind. */
static bool find_root(struct flat f, const char *kind, size_t *table) {
    if (f.size < 8 || memcmp(f.at + 4, kind, 4)) return false;
    *table = snn_get_le32(f.at);
    return *table <= f.size - 4;
}

/* Where field i, of `bytes` bytes, is: *where = 0 when the table has it not; false when that makes no sense. */
static bool find_field(struct flat f, size_t table, int i, size_t bytes, size_t *where) {
    int64_t list = (int64_t)table - (int32_t)snn_get_le32(f.at + table);
    size_t slot = 4 + 2 * (size_t)i;
    *where = 0;
    if (list < 0 || list + 4 > (int64_t)f.size) return false;
    uint32_t length = get16(f.at + list);
    if (length < 4 || (size_t)list + length > f.size) return false;
    uint32_t offset = slot + 2 <= length ? get16(f.at + list + slot) : 0;
    if (!offset) return true;
    *where = table + offset;
    return *where <= f.size && f.size - *where >= bytes;
}

/* The items that the field at `where` points to: their count, and where the first one is. */
static bool find_vector(struct flat f, size_t where, size_t *count, size_t *first) {
    size_t at = where + snn_get_le32(f.at + where);
    if (at > f.size - 4) return false; /* a field has 4 bytes, so the buffer has */
    *count = snn_get_le32(f.at + at);
    *first = at + 4;
    return true;
}

/* ---- header ---- */

struct stream {
    int64_t id;
    bool events; /* of type EVTS; else something else */
    int32_t W, H;
};

struct header {
    size_t end;
    int compression;
    int64_t table; /* of packets: its place, or -1 */
    struct stream list[STREAMS];
    int streams;
};

static bool probe(const unsigned char *bytes, size_t size) { return size >= 11 && !memcmp(bytes, "#!AER-DAT4.", 11); }

/* The value of attribute `name` in the tag; empty when it has none. */
static struct snn_text attribute(struct snn_text tag, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 1; i + n + 2 <= tag.length; ++i) {
        if (tag.at[i - 1] != ' ' || memcmp(tag.at + i, name, n) || tag.at[i + n] != '=' || tag.at[i + n + 1] != '"')
            continue;
        const char *value = tag.at + i + n + 2, *end = memchr(value, '"', (size_t)(tag.at + tag.length - value));
        if (end) return (struct snn_text){value, (size_t)(end - value)};
    }
    return (struct snn_text){0};
}

/* A number of at most 9 digits, or -1. */
static int32_t number(struct snn_text text) {
    int32_t value = 0;
    if (!text.length || text.length > 9) return -1;
    for (size_t i = 0; i < text.length; ++i) {
        if (text.at[i] < '0' || text.at[i] > '9') return -1;
        value = 10 * value + (text.at[i] - '0');
    }
    return value;
}

static bool is(struct snn_text text, const char *word) {
    return text.length == strlen(word) && snn_text_begins(text, word);
}

/* Streams from the XML: nodes whose name is a number, with attributes in them and in the nodes below. What cannot be
 * understood adds no stream; packets then show of what type they are. */
static void read_streams(struct header *h, struct snn_text xml) {
    const char *end = xml.at + xml.length;
    int depth = 0, opened = 0; /* of the stream's node; 0: outside of one */
    for (const char *at = xml.at; (at = memchr(at, '<', (size_t)(end - at)));) {
        const char *close = memchr(at, '>', (size_t)(end - at));
        if (!close) return;
        struct snn_text tag = {at + 1, (size_t)(close - at) - 1}, value = {close + 1, 0};
        at = close + 1;
        if (is(tag, "/node")) {
            if (depth == opened) opened = 0;
            if (depth) --depth;
        } else if (snn_text_begins(tag, "node")) {
            int32_t id = number(attribute(tag, "name"));
            if (tag.at[tag.length - 1] == '/') continue;
            ++depth;
            if (opened || id < 0 || h->streams == STREAMS) continue;
            h->list[h->streams++] = (struct stream){.id = id};
            opened = depth;
        } else if (snn_text_begins(tag, "attr") && opened) {
            struct stream *stream = &h->list[h->streams - 1];
            struct snn_text key = attribute(tag, "key");
            const char *next = memchr(at, '<', (size_t)(end - at));
            value.length = next ? (size_t)(next - value.at) : 0;
            if (is(key, "typeIdentifier")) stream->events = is(value, "EVTS");
            if (is(key, "sizeX")) stream->W = number(value);
            if (is(key, "sizeY")) stream->H = number(value);
        }
    }
}

static int read_header(struct snn_events_job *job, struct header *h) {
    size_t table, where, count, first;
    if (job->size < LINE + 4 || memcmp(job->bytes, first_line, LINE))
        return snn_error(SNN_EDATA, "%s: does not begin with a line #!AER-DAT4.0 and a header", job->path);
    struct flat f = {job->bytes + LINE + 4, snn_get_le32(job->bytes + LINE)};
    if (f.size > job->size - LINE - 4)
        return snn_error(SNN_EDATA, "%s: its header has %zu bytes, and the file ends before", job->path, f.size);
    *h = (struct header){.end = LINE + 4 + f.size, .table = -1};
    bool good = find_root(f, "IOHE", &table) && find_field(f, table, 0, 4, &where);
    if (good && where) h->compression = (int32_t)snn_get_le32(f.at + where);
    good = good && find_field(f, table, 1, 8, &where);
    if (good && where) h->table = (int64_t)snn_get_le64(f.at + where);
    good = good && find_field(f, table, 2, 4, &where);
    if (good && where) {
        good = find_vector(f, where, &count, &first) && count <= f.size - first;
        if (good) read_streams(h, (struct snn_text){(const char *)f.at + first, count});
    }
    if (!good) return snn_error(SNN_EDATA, "%s: its header is not of kind IOHE, or damaged", job->path);
    if (h->compression < 0 || h->compression >= COMPRESSIONS)
        return snn_error(SNN_EDATA, "%s: is of compression %d, expected 0..%d", job->path, h->compression,
                         COMPRESSIONS - 1);
    return SNN_OK;
}

/* ---- packets ---- */

struct unpacker {
    LZ4F_dctx *lz4;
    ZSTD_DCtx *zstd;
    unsigned char *bytes;
    size_t used, room;
};

static int open_unpacker(const struct snn_events_job *job, struct unpacker *u) {
    *u = (struct unpacker){.zstd = ZSTD_createDCtx()};
    bool good = !LZ4F_isError(LZ4F_createDecompressionContext(&u->lz4, LZ4F_VERSION)) && u->zstd &&
                !ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG));
    return good ? SNN_OK : snn_error(SNN_EFAIL, "%s: out of memory", job->path);
}

static void close_unpacker(struct unpacker *u) {
    LZ4F_freeDecompressionContext(u->lz4);
    ZSTD_freeDCtx(u->zstd);
    free(u->bytes);
}

/* One call of the library: NULL, or what is wrong. `more`: it expects more input. */
static const char *unpack_step(struct unpacker *u, bool lz4, const unsigned char *in, size_t left, size_t *taken,
                               bool *more) {
    size_t given = u->room - u->used, code;
    *taken = left;
    if (lz4) {
        code = LZ4F_decompress(u->lz4, u->bytes + u->used, &given, in, taken, NULL);
        if (LZ4F_isError(code)) return LZ4F_getErrorName(code);
    } else {
        ZSTD_inBuffer from = {in, left, 0};
        ZSTD_outBuffer to = {u->bytes + u->used, given, 0};
        code = ZSTD_decompressStream(u->zstd, &to, &from);
        if (ZSTD_isError(code)) return ZSTD_getErrorName(code);
        *taken = from.pos;
        given = to.pos;
    }
    *more = code != 0;
    if (!*taken && !given) return "it does not end";
    u->used += given;
    return NULL;
}

/* Frames until the packet ends. NULL, or what is wrong; a packet that is cut may end in a frame. */
static const char *unpack(struct unpacker *u, bool lz4, const unsigned char *in, size_t size, bool cut) {
    size_t most = size > SIZE_MAX / SNN_EVENTS_RATIO ? SIZE_MAX : SNN_EVENTS_RATIO * size, taken;
    bool more = false, full = false;
    if (most < SNN_EVENTS_UNPACKED) most = SNN_EVENTS_UNPACKED;
    u->used = 0;
    LZ4F_resetDecompressionContext(u->lz4);
    ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
    while (size || (more && full)) { /* a full buffer may have left some inside the library */
        if (u->room - u->used < STEP) {
            size_t room = 2 * u->room < 2 * STEP ? 2 * STEP : 2 * u->room;
            unsigned char *larger = u->used < most ? realloc(u->bytes, room) : NULL;
            if (!larger) return u->used < most ? "it is too large for the memory" : "it unpacks to too much";
            u->bytes = larger;
            u->room = room;
        }
        const char *wrong = unpack_step(u, lz4, in, size, &taken, &more);
        if (wrong) return cut && !size ? NULL : wrong;
        full = u->used == u->room;
        in += taken;
        size -= taken;
    }
    return more && !cut ? "it ends too early" : NULL;
}

struct reading {
    struct header header;
    size_t at, end; /* of the packets that are left */
    int64_t stream; /* whose events are taken; -1: that of the first packet of events */
    struct unpacker unpacker;
};

/* Events of a flatbuffer; of one that was cut, those that are there. false: it makes no sense. */
static bool find_events(struct flat f, bool cut, size_t *count, size_t *first) {
    size_t table, where;
    *count = *first = 0;
    if (!find_root(f, "EVTS", &table) || !find_field(f, table, 0, 4, &where)) return false;
    if (!where) return true;
    if (!find_vector(f, where, count, first)) return false;
    size_t room = (f.size - *first) / EVENT;
    if (*count > room && !cut) return false;
    if (*count > room) *count = room;
    return true;
}

static int take_events(struct snn_events_job *job, const unsigned char *event, size_t n) {
    SNN_TRY(snn_events_room(job, n));
    for (size_t i = 0; i < n; ++i, event += EVENT) {
        int64_t t = (int64_t)snn_get_le64(event);
        job->facts->off +=
            !snn_events_take(job, t, (int16_t)get16(event + 8), (int16_t)get16(event + 10), event[12] != 0);
    }
    return SNN_OK;
}

static bool skip_stream(struct snn_events_job *job, const struct reading *r, int64_t id) {
    if (id == r->stream) return false;
    for (int i = 0; i < r->header.streams; ++i) {
        const struct stream *s = &r->header.list[i];
        if (s->id != id) continue;
        if (s->events && !strstr(job->facts->warning, "another camera"))
            snn_events_warn(job, "holds events of another camera (stream %lld), which are left out", (long long)id);
        return true;
    }
    return false; /* the header does not know it */
}

/* A packet at `at`, of which `size` bytes are there. */
static int read_packet(struct snn_events_job *job, struct reading *r, int64_t id, size_t at, size_t size, bool cut) {
    struct unpacker *u = &r->unpacker;
    const char *wrong = NULL;
    struct flat f = {job->bytes + at, size};
    int compression = r->header.compression;
    size_t count, first;
    if (skip_stream(job, r, id)) {
        ++job->facts->skipped;
        return SNN_OK;
    }
    if (compression != NONE) {
        wrong = unpack(u, compression <= LZ4_HIGH, f.at, f.size, cut);
        f = (struct flat){u->bytes, u->used};
    }
    if (!wrong && f.size < 12) {
        if (cut) return SNN_OK;
        wrong = "it is too short";
    }
    if (!wrong) {
        size_t stated = snn_get_le32(f.at);
        f = (struct flat){f.at + 4, f.size - 4};
        if (stated > f.size && !cut) wrong = "it is shorter than it says";
        if (stated < f.size) f.size = stated;
    }
    if (!wrong && r->stream < 0 && f.size >= 8 && !memcmp(f.at + 4, "EVTS", 4)) r->stream = id;
    if (!wrong && id != r->stream) {
        if (f.size >= 8 && !memcmp(f.at + 4, "EVTS", 4) && !strstr(job->facts->warning, "another camera"))
            snn_events_warn(job, "holds events of another camera (stream %lld), which are left out", (long long)id);
        ++job->facts->skipped;
        return SNN_OK;
    }
    if (!wrong && !find_events(f, cut, &count, &first)) {
        if (cut) return SNN_OK;
        wrong = "it is no packet of events";
    }
    if (wrong) return snn_error(SNN_EDATA, "%s: the packet at byte %zu cannot be read: %s", job->path, at, wrong);
    return take_events(job, f.at + first, count);
}

/* A packet, or what is there of the last one. */
static int next_packet(struct snn_events_job *job, struct reading *r) {
    const unsigned char *packet = job->bytes + r->at;
    size_t left = r->end - r->at;
    if (left < PACKET || snn_all_zero(packet, left)) {
        snn_events_cut(job, (int64_t)left, "packet");
        r->at = r->end;
        return SNN_OK;
    }
    int64_t id = (int32_t)snn_get_le32(packet), size = (int32_t)snn_get_le32(packet + 4);
    if (id < 0 || size < 0)
        return snn_error(SNN_EDATA,
                         "%s: byte %zu: a packet of stream %lld with %lld bytes, expected the header of a packet",
                         job->path, r->at, (long long)id, (long long)size);
    left -= PACKET;
    r->at += PACKET;
    bool cut = (size_t)size > left;
    size_t here = cut ? left : (size_t)size, at = r->at;
    if (cut) snn_events_cut(job, (int64_t)left, "packet");
    r->at += here;
    return read_packet(job, r, id, at, here, cut);
}

static int more(struct snn_events_job *job) {
    struct reading *r = job->state;
    while (r->at < r->end && job->out->event_count < job->goal) SNN_TRY(next_packet(job, r));
    job->ended = r->at == r->end;
    return SNN_OK;
}

static int open_packets(struct snn_events_job *job) {
    static const char *const names[COMPRESSIONS] = {"AEDAT 4.0", "AEDAT 4.0 (LZ4)", "AEDAT 4.0 (LZ4)",
                                                    "AEDAT 4.0 (Zstandard)", "AEDAT 4.0 (Zstandard)"};
    struct reading *r = job->state;
    struct header *h = &r->header;
    r->stream = -1;
    SNN_TRY(read_header(job, h));
    job->facts->format = names[h->compression];
    for (int i = h->streams; i--;)
        if (h->list[i].events) r->stream = h->list[i].id;
    for (int i = 0; i < h->streams; ++i)
        if (h->list[i].events && h->list[i].id == r->stream && h->list[i].W > 0 && h->list[i].H > 0) {
            SNN_TRY(snn_events_sensor(job, h->list[i].W, h->list[i].H));
            break;
        }
    r->at = h->end;
    r->end = job->size;
    if (h->table < 0) snn_events_warn(job, "was not finished by its recorder");
    else if ((uint64_t)h->table < h->end || (uint64_t)h->table > job->size)
        snn_events_warn(job, "has no table of packets where its header says: it may be cut");
    else r->end = (size_t)h->table;
    return open_unpacker(job, &r->unpacker);
}

static void close_packets(struct snn_events_job *job) { close_unpacker(&((struct reading *)job->state)->unpacker); }

const struct snn_events_format snn_events_aedat4 = {
    .name = "aedat4",
    .extensions = ".aedat4",
    .help = "AEDAT 4.0 of DV, plain, LZ4 or Zstandard",
    .probe = probe,
    .state = sizeof(struct reading),
    .open = open_packets,
    .more = more,
    .close = close_packets,
};
