/* SPDX-License-Identifier: Apache-2.0
 * cache_pack.c - samples as few bytes: rows of counted events, or the events themselves.
 *
 * Numbers are varints: seven bits a byte, the lowest first, the eighth bit says that more follow.
 *   rows    steps, cut, the entries of each step; of every entry 2*(index - previous index of the step - 1) + (value >
 *           1); then value - 2 of those. An entry of a camera's frames takes little more than one byte. Where values
 * are no counts, all of them as floats. events  how many, the first time (zigzag), the times between them; then
 * addresses (p*H + y)*W + x of 2 or 4 bytes. What is read back is checked as if somebody had made it up: checksums are
 * about accidents. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/cache_parts.h"

enum { VARINT = 10 }; /* the most bytes of one */

static unsigned char *write_varint(unsigned char *at, uint64_t value) {
    for (; value > 127; value >>= 7) *at++ = (unsigned char)(value | 128);
    *at++ = (unsigned char)value;
    return at;
}

struct reader {
    const unsigned char *at, *end;
    bool failed; /* a number was cut short or too long; all later ones are 0 */
};

static uint64_t read_long(struct reader *in) {
    uint64_t value = 0;
    for (int shift = 0; in->at < in->end && shift < 64; shift += 7) {
        unsigned char byte = *in->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    in->at = in->end;
    in->failed = true;
    return 0;
}

static inline uint64_t read_varint(struct reader *in) {
    return in->at < in->end && *in->at < 128 ? *in->at++ : read_long(in);
}

static size_t left(const struct reader *in) { return (size_t)(in->end - in->at); }

static struct reader reader_of(const struct snn_cache_bytes *bytes) {
    return (struct reader){bytes->raw, bytes->raw + bytes->size, false};
}

/* ---- rows ---- */

enum { CUT = 1, REAL = 2 }; /* bits: the recording was longer; values are floats */

static bool are_counts(const float *value, size_t n) {
    bool counts = true;
    for (size_t i = 0; i < n; ++i) counts &= value[i] >= 1 && value[i] <= UINT16_MAX && value[i] == (int32_t)value[i];
    return counts;
}

static unsigned char *write_float(unsigned char *at, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 4; ++i) *at++ = (unsigned char)(bits >> 8 * i);
    return at;
}

bool snn_pack_rows(const struct snn_rows *rows, const int32_t *count, size_t first, int32_t steps, bool cut,
                   struct snn_cache_bytes *out) {
    size_t entries = rows->used - first, k = first;
    bool exact = entries && !are_counts(rows->value + first, entries);
    if (!snn_cache_bytes_room(out, (2 + (size_t)steps + 2 * entries) * VARINT)) return false;
    unsigned char *at = write_varint(out->raw, (uint64_t)steps);
    at = write_varint(at, (cut ? CUT : 0) | (exact ? REAL : 0));
    for (int32_t t = 0; t < steps; ++t) at = write_varint(at, (uint64_t)count[t]);
    for (int32_t t = 0; t < steps; ++t)
        for (int32_t i = 0, next = 0; i < count[t]; ++i, ++k) {
            at = write_varint(at, (uint64_t)(rows->index[k] - next) << 1 | (!exact && rows->value[k] > 1));
            next = rows->index[k] + 1;
        }
    for (k = first; k < rows->used; ++k) {
        if (exact) at = write_float(at, rows->value[k]);
        else if (rows->value[k] > 1) at = write_varint(at, (uint64_t)rows->value[k] - 2);
    }
    out->size = (size_t)(at - out->raw);
    return true;
}

/* The entries of every step into count[]; false when they are more than the bytes can hold. */
static bool read_counts(struct reader *in, int32_t units, int32_t steps, int32_t *count, size_t *entries) {
    *entries = 0;
    for (int32_t t = 0; t < steps; ++t) {
        uint64_t n = read_varint(in);
        if (n > (uint64_t)units) return false;
        count[t] = (int32_t)n;
        *entries += n;
    }
    return !in->failed && *entries <= left(in);
}

/* Entries of one step to rows->index + at; false when they leave the units. A value is 1, or 2 where it is not. */
static bool read_step(struct reader *in, int32_t units, int32_t n, struct snn_rows *rows, size_t at) {
    uint64_t next = 0;
    for (int32_t i = 0; i < n; ++i) {
        uint64_t gap = read_varint(in), index = next + (gap >> 1);
        if (index >= (uint64_t)units) return false;
        rows->index[at + (size_t)i] = (int32_t)index;
        rows->value[at + (size_t)i] = (float)(1 + (gap & 1));
        next = index + 1;
    }
    return true;
}

static bool read_large(struct reader *in, float *value, size_t n) {
    for (size_t k = 0; k < n; ++k) {
        if (value[k] == 1) continue;
        uint64_t large = read_varint(in);
        if (large > UINT16_MAX - 2) return false;
        value[k] = (float)(large + 2);
    }
    return true;
}

static bool read_floats(struct reader *in, float *value, size_t n) {
    if (left(in) != 4 * n) return false;
    bool good = true;
    for (size_t k = 0; k < n; ++k, in->at += 4) {
        uint32_t bits = in->at[0] | (uint32_t)in->at[1] << 8 | (uint32_t)in->at[2] << 16 | (uint32_t)in->at[3] << 24;
        memcpy(&value[k], &bits, sizeof bits);
        good &= isfinite(value[k]) && value[k] != 0;
    }
    return good;
}

bool snn_unpack_rows(const struct snn_cache_bytes *bytes, int32_t units, int32_t most, struct snn_rows *rows,
                     int32_t *count, int32_t *steps, bool *cut) {
    struct reader in = reader_of(bytes);
    uint64_t T = read_varint(&in), bits = read_varint(&in);
    size_t entries, first = rows->used, at = first;
    if (T < 1 || T > (uint64_t)most || bits > (CUT | REAL)) return false;
    if (!read_counts(&in, units, (int32_t)T, count, &entries) || snn_rows_room(rows, entries) < 0) return false;
    for (uint64_t t = 0; t < T; at += (size_t)count[t++])
        if (!read_step(&in, units, count[t], rows, at)) return false;
    bool good = !entries || (bits & REAL ? read_floats : read_large)(&in, rows->value + first, entries);
    if (!good || in.failed || left(&in)) return false;
    rows->used = first + entries;
    *steps = (int32_t)T;
    *cut = bits & CUT;
    return true;
}

/* ---- events ---- */

static uint64_t zigzag(int64_t value) { return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); }
static int64_t unzigzag(uint64_t value) { return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0)); }

struct layout {   /* of an address: x in the lowest bits, then y, then p */
    int y, p;     /* where they begin */
    size_t bytes; /* 2 or 4 */
};

static int bits_of(int32_t n) {
    int bits = 0;
    while (INT64_C(1) << bits < n) ++bits;
    return bits;
}

/* False for a sensor that 4 bytes cannot tell apart. */
static bool lay_out(const struct snn_dataset_info *info, struct layout *out) {
    out->y = bits_of(info->W);
    out->p = out->y + bits_of(info->H);
    int bits = out->p + bits_of(info->C);
    out->bytes = bits <= 16 ? 2 : 4;
    return bits <= 32;
}

bool snn_pack_events(const struct snn_sample *sample, const struct snn_dataset_info *info,
                     struct snn_cache_bytes *out) {
    size_t n = sample->event_count;
    struct layout how;
    if (!lay_out(info, &how) || !snn_cache_bytes_room(out, (1 + n) * VARINT + n * how.bytes)) return false;
    unsigned char *at = write_varint(out->raw, n);
    for (size_t i = 0; i < n; ++i) {
        const struct snn_event *e = &sample->events[i];
        if (e->x >= info->W || e->y >= info->H || e->p >= info->C || (i && e->t < e[-1].t)) return false;
        at = write_varint(at, i ? (uint64_t)e->t - (uint64_t)e[-1].t : zigzag(e->t));
    }
    for (size_t i = 0; i < n; ++i) {
        const struct snn_event *e = &sample->events[i];
        uint32_t address = (uint32_t)((uint64_t)e->p << how.p | (uint64_t)e->y << how.y | e->x);
        for (size_t b = 0; b < how.bytes; ++b) *at++ = (unsigned char)(address >> 8 * b);
    }
    out->size = (size_t)(at - out->raw);
    return true;
}

static bool read_times(struct reader *in, struct snn_event *events, size_t n) {
    int64_t t = n ? unzigzag(read_varint(in)) : 0;
    bool good = true;
    for (size_t i = 0; i < n; ++i) {
        uint64_t after = i ? read_varint(in) : 0;
        good &= after <= (uint64_t)INT64_MAX - (uint64_t)t;
        events[i].t = t = (int64_t)((uint64_t)t + after);
    }
    return good && !in->failed;
}

static bool read_addresses(struct reader *in, const struct layout *how, const struct snn_dataset_info *info,
                           struct snn_event *events, size_t n) {
    if (left(in) != n * how->bytes) return false;
    uint32_t x_mask = (1u << how->y) - 1, y_mask = (1u << (how->p - how->y)) - 1;
    bool good = true;
    for (size_t i = 0; i < n; ++i, in->at += how->bytes) {
        uint32_t address = in->at[0] | (uint32_t)in->at[1] << 8;
        if (how->bytes == 4) address |= (uint32_t)in->at[2] << 16 | (uint32_t)in->at[3] << 24;
        uint32_t x = address & x_mask, y = address >> how->y & y_mask, p = (uint32_t)((uint64_t)address >> how->p);
        good &= x < (uint32_t)info->W && y < (uint32_t)info->H && p < (uint32_t)info->C;
        events[i].x = (uint16_t)x, events[i].y = (uint16_t)y, events[i].p = (uint8_t)p;
    }
    return good;
}

bool snn_unpack_events(const struct snn_cache_bytes *bytes, const struct snn_dataset_info *info,
                       struct snn_sample *sample) {
    struct reader in = reader_of(bytes);
    uint64_t n = read_varint(&in);
    struct layout how;
    sample->event_count = 0;
    if (in.failed || !lay_out(info, &how) || n > left(&in) / (1 + how.bytes) || snn_sample_room(sample, 0, n) < 0)
        return false;
    if (!read_times(&in, sample->events, n) || !read_addresses(&in, &how, info, sample->events, n)) return false;
    sample->event_count = n;
    return true;
}

/* ---- facts of a set ---- */

bool snn_pack_longest(int32_t steps, struct snn_cache_bytes *out) {
    if (!snn_cache_bytes_room(out, VARINT)) return false;
    out->size = (size_t)(write_varint(out->raw, (uint64_t)steps) - out->raw);
    return true;
}

bool snn_unpack_longest(const struct snn_cache_bytes *bytes, int32_t *steps) {
    struct reader in = reader_of(bytes);
    uint64_t value = read_varint(&in);
    if (in.failed || left(&in) || value < 1 || value > INT32_MAX) return false;
    *steps = (int32_t)value;
    return true;
}
