/* SPDX-License-Identifier: Apache-2.0
 * npy_header.c - NumPy's headers. */
#include "datasets/npy_header.h"

#include <string.h>

#include "core/status.h"
#include "datasets/half.h"

enum {
    MAGIC = 8,             /* magic and version */
    MOST_TEXT = 1 << 16,   /* NumPy itself writes some 120 bytes */
    MOST_PADDING = 1 << 16 /* bytes of a field that is none */
};

int snn_npy_find_text(const char *path, const unsigned char *start, int64_t file_size, int64_t *text, int64_t *length) {
    if (file_size < MAGIC || memcmp(start, "\x93NUMPY", 6))
        return snn_error(SNN_EDATA, "%s: does not start as an array of NumPy does", path);
    if (start[6] < 1 || start[6] > 3 || start[7])
        return snn_error(SNN_EDATA, "%s: is of version %d.%d of NumPy's format, expected 1.0, 2.0 or 3.0", path,
                         start[6], start[7]);
    int bytes = start[6] == 1 ? 2 : 4;
    *text = MAGIC + bytes;
    *length = 0;
    if (file_size < *text) return snn_error(SNN_EDATA, "%s: ends within its header", path);
    for (int i = bytes - 1; i >= 0; --i) *length = *length << 8 | start[MAGIC + i];
    if (*length > MOST_TEXT)
        return snn_error(SNN_EDATA, "%s: its header has %lld bytes, expected at most %d", path, (long long)*length,
                         MOST_TEXT);
    return *length > file_size - *text ? snn_error(SNN_EDATA, "%s: ends within its header", path) : SNN_OK;
}

/* ---- the text ---- */

struct cursor {
    const char *at, *end;
    const char *wrong; /* what was expected where reading stopped; NULL: nothing */
    const char *got;   /* (got_length) a word that was found instead, or NULL */
    size_t got_length;
};

static bool fails(struct cursor *c, const char *expected) {
    if (!c->wrong) c->wrong = expected;
    return false;
}

static void skip_blanks(struct cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) ++c->at;
}

static bool next_is(struct cursor *c, char what) {
    skip_blanks(c);
    if (c->at == c->end || *c->at != what) return false;
    ++c->at;
    return true;
}

/* 'text' or "text", without escapes. */
static bool read_string(struct cursor *c, const char **text, size_t *length) {
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return fails(c, "a string");
    char quote = *c->at++;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close || memchr(c->at, '\\', (size_t)(close - c->at))) return fails(c, "the end of a string");
    *text = c->at;
    *length = (size_t)(close - c->at);
    c->at = close + 1;
    return true;
}

static bool read_integer(struct cursor *c, int64_t *out) {
    skip_blanks(c);
    const char *from = c->at;
    for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; ++c->at) {
        if (*out > INT64_MAX / 16) return fails(c, "a smaller number");
        *out = 10 * *out + (*c->at - '0');
    }
    return c->at > from || fails(c, "a number");
}

/* "<i4", "|b1", "|V3" */
static bool read_type(struct cursor *c, bool padding, struct snn_npy_number *out) {
    const char *text;
    size_t length;
    int64_t n = 0;
    if (!read_string(c, &text, &length)) return false;
    struct cursor in = {.at = text, .end = text + length};
    *out = (struct snn_npy_number){0};
    if (in.at < in.end && memchr("<>|=", *in.at, 4)) out->big_endian = *in.at++ == '>';
    if (in.at < in.end) out->kind = *in.at++;
    bool good = read_integer(&in, &n) && in.at == in.end, power = n == 1 || n == 2 || n == 4 || n == 8;
    if (out->kind == 'i' || out->kind == 'u') good &= power;
    else if (out->kind == 'f') good &= power && n > 1;
    else if (out->kind == 'b') good &= n == 1;
    else good &= padding && out->kind == 'V' && n > 0 && n <= MOST_PADDING;
    out->size = good ? (int)n : 0;
    if (good) return true;
    c->got = text, c->got_length = length;
    return fails(c, "integers of 1, 2, 4 or 8 bytes, floats of 2, 4 or 8, or bools");
}

/* ('t', '<i8'), ... */
static bool read_fields(struct cursor *c, struct snn_npy_header *h) {
    while (!next_is(c, ']')) {
        if (h->fields && !next_is(c, ',')) return fails(c, "',' or ']'");
        if (h->fields && next_is(c, ']')) break;
        if (h->fields == SNN_NPY_FIELDS) return fails(c, "at most 64 fields");
        struct snn_npy_field *field = &h->field[h->fields];
        if (!next_is(c, '(')) return fails(c, "'('");
        if (!read_string(c, &field->name, &field->length)) return false;
        if (!next_is(c, ',')) return fails(c, "','");
        if (!read_type(c, true, &field->number)) return false;
        if (!next_is(c, ')')) return fails(c, "')': a field has one number");
        field->at = h->item;
        h->item += field->number.size;
        ++h->fields;
    }
    return h->fields || fails(c, "a field");
}

static bool read_descr(struct cursor *c, struct snn_npy_header *h) {
    if (next_is(c, '[')) return read_fields(c, h);
    if (!read_type(c, false, &h->number)) return false;
    h->item = h->number.size;
    return true;
}

static bool read_shape(struct cursor *c, struct snn_npy_header *h) {
    if (!next_is(c, '(')) return fails(c, "'(': a shape");
    h->count = 1;
    while (!next_is(c, ')')) {
        int64_t n;
        if (h->dims && !next_is(c, ',')) return fails(c, "',' or ')'");
        if (h->dims && next_is(c, ')')) break; /* (n,) */
        if (h->dims == SNN_NPY_DIMS) return fails(c, "at most 8 dimensions");
        if (!read_integer(c, &n)) return false;
        if (n > 0 && h->count > INT64_MAX / MOST_PADDING / SNN_NPY_FIELDS / n) return fails(c, "fewer elements");
        h->dim[h->dims++] = n;
        h->count *= n;
    }
    return true;
}

static bool read_word(struct cursor *c, bool *out) {
    skip_blanks(c);
    size_t left = (size_t)(c->end - c->at);
    *out = left >= 4 && !memcmp(c->at, "True", 4);
    if (!*out && (left < 5 || memcmp(c->at, "False", 5))) return fails(c, "True or False");
    c->at += *out ? 4 : 5;
    return true;
}

static bool read_dictionary(struct cursor *c, struct snn_npy_header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool found[3] = {0};
    if (!next_is(c, '{')) return fails(c, "'{'");
    for (int n = 0; !next_is(c, '}'); ++n) {
        const char *key;
        size_t length;
        int which = 0;
        if (n && !next_is(c, ',')) return fails(c, "',' or '}'");
        if (n && next_is(c, '}')) break;
        if (!read_string(c, &key, &length)) return false;
        while (which < 3 && (length != strlen(keys[which]) || memcmp(key, keys[which], length))) ++which;
        if (which == 3 || found[which]) return fails(c, "each of 'descr', 'fortran_order' and 'shape' once");
        found[which] = true;
        if (!next_is(c, ':')) return fails(c, "':'");
        if (!(which == 0 ? read_descr(c, h) : which == 1 ? read_word(c, &h->fortran) : read_shape(c, h))) return false;
    }
    skip_blanks(c);
    if (c->at != c->end) return fails(c, "nothing behind '}'");
    return (found[0] && found[1] && found[2]) || fails(c, "each of 'descr', 'fortran_order' and 'shape' once");
}

int snn_npy_read_text(const char *path, const char *text, size_t length, struct snn_npy_header *out) {
    struct cursor c = {.at = text, .end = text + length};
    *out = (struct snn_npy_header){0};
    if (read_dictionary(&c, out)) return SNN_OK;
    if (!c.got) return snn_error(SNN_EDATA, "%s: byte %td of its header: expected %s", path, c.at - text, c.wrong);
    return snn_error(SNN_EDATA, "%s: byte %td of its header: expected %s, got '%.*s'", path, c.got - text, c.wrong,
                     (int)(c.got_length < 40 ? c.got_length : 40), c.got);
}

/* ---- numbers ---- */

double snn_npy_float(struct snn_npy_number number, uint64_t bits) {
    if (number.size == 2) return snn_half_of((uint16_t)bits);
    if (number.size == 4) {
        uint32_t word = (uint32_t)bits;
        float value;
        memcpy(&value, &word, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
