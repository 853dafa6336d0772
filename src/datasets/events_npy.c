/* SPDX-License-Identifier: Apache-2.0
 * events_npy.c - a NumPy array of events: records with fields t, x, y, p, or rows (n,4) of x, y, p, t as tonic writes.
 *
 * After the mark, the version and the header's length stands a Python dictionary, of which exactly three keys are read:
 * 'descr' (the type), 'fortran_order' and 'shape'. Objects, which would be pickled, are refused. */
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "datasets/events_parts.h"
#include "datasets/half.h"

enum { MAX_FIELDS = 64, MAX_ITEM = 1 << 16 };

static bool probe(const unsigned char *bytes, size_t size) { return size >= 6 && !memcmp(bytes, "\x93NUMPY", 6); }

/* ---- header ---- */

struct cell {  /* a number in an item */
    char kind; /* 'i' 'u' 'f' 'b', or 'V': padding */
    bool big;  /* most significant byte first */
    int64_t size, at;
};

struct array {
    struct cell column[SNN_COLUMNS];
    int64_t rows, step; /* bytes from row to row */
    int64_t item;       /* bytes of one, or of a number of plain rows */
    bool plain;         /* rows of numbers */
    bool fortran;
    int unit;
};

struct cursor {
    const char *at, *end;
    const char *wrong; /* what was expected where reading stopped; NULL: nothing */
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
static bool read_string(struct cursor *c, struct snn_text *out) {
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return fails(c, "a string");
    char quote = *c->at++;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close || memchr(c->at, '\\', (size_t)(close - c->at))) return fails(c, "the end of a string");
    *out = (struct snn_text){c->at, (size_t)(close - c->at)};
    c->at = close + 1;
    return true;
}

static bool read_integer(struct cursor *c, int64_t *out) {
    skip_blanks(c);
    const char *from = c->at;
    for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; ++c->at) {
        if (*out > (INT64_MAX - 9) / 10) return fails(c, "a smaller number");
        *out = 10 * *out + (*c->at - '0');
    }
    return c->at > from || fails(c, "a number");
}

/* "<i4", "|b1", "|V3" */
static bool read_type(struct cursor *c, struct cell *out) {
    struct snn_text text;
    if (!read_string(c, &text)) return false;
    struct cursor in = {text.at, text.at + text.length, NULL};
    *out = (struct cell){0};
    if (in.at < in.end && strchr("<>|=", *in.at ? *in.at : 'x')) out->big = *in.at++ == '>';
    if (in.at < in.end) out->kind = *in.at++;
    bool good = read_integer(&in, &out->size) && in.at == in.end;
    int64_t n = out->size;
    switch (out->kind) {
    case 'i':
    case 'u':
        good &= n == 1 || n == 2 || n == 4 || n == 8;
        break;
    case 'f':
        good &= n == 2 || n == 4 || n == 8;
        break;
    case 'b':
        good &= n == 1;
        break;
    case 'V':
        good &= n > 0 && n <= MAX_ITEM;
        break;
    default:
        good = false;
    }
    return good || fails(c, "integers of 1, 2, 4 or 8 bytes, floats of 2, 4 or 8, or bools");
}

/* ('t', '<i8'), ... */
static bool read_fields(struct cursor *c, struct array *a) {
    bool found[SNN_COLUMNS] = {0};
    for (int n = 0; !next_is(c, ']'); ++n) {
        struct snn_text name;
        struct cell cell;
        int unit = SNN_EVENTS_UNIT_AUTO;
        if (n && !next_is(c, ',')) return fails(c, "',' or ']'");
        if (n && next_is(c, ']')) break;
        if (n == MAX_FIELDS) return fails(c, "at most 64 fields");
        if (!next_is(c, '(')) return fails(c, "'('");
        if (!read_string(c, &name)) return false;
        if (!next_is(c, ',')) return fails(c, "','");
        if (!read_type(c, &cell)) return false;
        if (!next_is(c, ')')) return fails(c, "')': a field has one number");
        cell.at = a->item;
        a->item += cell.size;
        enum snn_column column = snn_column_find(name.at, name.length, &unit);
        if (column == SNN_COLUMNS) continue;
        if (found[column] || cell.kind == 'V') return fails(c, "one number for each of t, x, y and p");
        found[column] = true;
        a->column[column] = cell;
        if (column == SNN_COLUMN_T) a->unit = unit;
    }
    for (int i = 0; i < SNN_COLUMNS; ++i)
        if (!found[i]) return fails(c, "fields t, x, y and p");
    return true;
}

static bool read_descr(struct cursor *c, struct array *a) {
    skip_blanks(c);
    if (next_is(c, '[')) return read_fields(c, a);
    a->plain = true;
    struct cell *first = &a->column[0];
    if (!read_type(c, first)) return false;
    if (first->kind == 'V') return fails(c, "numbers");
    a->item = first->size;
    for (int i = 1; i < SNN_COLUMNS; ++i) a->column[i] = *first;
    return true;
}

static bool read_shape(struct cursor *c, int64_t shape[2], int *rank) {
    if (!next_is(c, '(')) return fails(c, "'('");
    for (*rank = 0; !next_is(c, ')'); ++*rank) {
        if (*rank && !next_is(c, ',')) return fails(c, "',' or ')'");
        if (*rank && next_is(c, ')')) break; /* (n,) */
        if (*rank == 2) return fails(c, "at most 2 dimensions");
        if (!read_integer(c, &shape[*rank])) return false;
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

static bool read_dictionary(struct cursor *c, struct array *a, int64_t shape[2], int *rank) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool found[3] = {0};
    if (!next_is(c, '{')) return fails(c, "'{'");
    for (int n = 0; !next_is(c, '}'); ++n) {
        struct snn_text key;
        int which = 0;
        if (n && !next_is(c, ',')) return fails(c, "',' or '}'");
        if (n && next_is(c, '}')) break;
        if (!read_string(c, &key)) return false;
        while (which < 3 && (key.length != strlen(keys[which]) || memcmp(key.at, keys[which], key.length))) ++which;
        if (which == 3 || found[which]) return fails(c, "each of 'descr', 'fortran_order' and 'shape' once");
        found[which] = true;
        if (!next_is(c, ':')) return fails(c, "':'");
        bool good = which == 0 ? read_descr(c, a) : which == 1 ? read_word(c, &a->fortran) : read_shape(c, shape, rank);
        if (!good) return false;
    }
    skip_blanks(c);
    if (c->at != c->end) return fails(c, "nothing behind '}'");
    return (found[0] && found[1] && found[2]) || fails(c, "'descr', 'fortran_order' and 'shape'");
}

static int read_header(const struct snn_events_job *job, struct array *a, size_t *data) {
    const unsigned char *b = job->bytes;
    size_t start = 12, length;
    if (job->size < 10) return snn_error(SNN_EDATA, "%s: ends in its header", job->path);
    if (b[6] < 1 || b[6] > 3 || b[7])
        return snn_error(SNN_EDATA, "%s: is of version %d.%d of NumPy's format, expected 1.0, 2.0 or 3.0", job->path,
                         b[6], b[7]);
    if (b[6] == 1) start = 10, length = b[8] | (size_t)b[9] << 8;
    else length = job->size < 12 ? SIZE_MAX : snn_get_le32(b + 8);
    if (length > job->size - start || job->size < start)
        return snn_error(SNN_EDATA, "%s: ends in its header", job->path);
    struct cursor c = {(const char *)b + start, (const char *)b + start + length, NULL};
    int64_t shape[2] = {0};
    int rank = 0;
    *data = start + length;
    if (!read_dictionary(&c, a, shape, &rank))
        return snn_error(SNN_EDATA, "%s: byte %td of its header: expected %s", job->path,
                         c.at - (const char *)b - (ptrdiff_t)start, c.wrong);
    if (rank != 1 + a->plain || (a->plain && shape[1] != SNN_COLUMNS))
        return snn_error(SNN_EDATA, "%s: has another shape than (n,4) of numbers or (n,) of records", job->path);
    a->rows = shape[0];
    int64_t each = a->plain ? a->item * SNN_COLUMNS : a->item;
    size_t here = job->size - *data;
    if (a->rows > (int64_t)here / each || (size_t)(a->rows * each) != here)
        return snn_error(SNN_EDATA, "%s: has %zu bytes of data, expected %lld events of %lld", job->path, here,
                         (long long)a->rows, (long long)each);
    return SNN_OK;
}

/* Columns of plain rows: x, y, p, t. */
static void place_columns(struct array *a) {
    static const int order[SNN_COLUMNS] = {SNN_COLUMN_X, SNN_COLUMN_Y, SNN_COLUMN_P, SNN_COLUMN_T};
    a->step = a->item;
    if (!a->plain) return;
    int64_t apart = a->fortran ? a->rows * a->item : a->item;
    for (int i = 0; i < SNN_COLUMNS; ++i) a->column[order[i]].at = i * apart;
    if (!a->fortran) a->step = SNN_COLUMNS * a->item;
}

/* ---- numbers ---- */

static struct snn_value read_cell(const struct cell *cell, const unsigned char *item) {
    uint64_t bits = 0;
    int size = (int)cell->size;
    for (int i = 0; i < size; ++i) bits = bits << 8 | item[cell->at + (cell->big ? i : size - 1 - i)];
    struct snn_value v = {.real = cell->kind == 'f'};
    if (v.real && size == 2) v.number = snn_half_of((uint16_t)bits);
    else if (v.real && size == 4) {
        uint32_t narrow = (uint32_t)bits;
        float number;
        memcpy(&number, &narrow, sizeof number);
        v.number = number;
    } else if (v.real) memcpy(&v.number, &bits, sizeof bits);
    else if (cell->kind == 'i') v.whole = (int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size);
    else v.whole = bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    return v;
}

static int decode(struct snn_events_job *job) {
    struct array a = {0};
    size_t data = 0;
    job->facts->format = "NumPy array";
    SNN_TRY(read_header(job, &a, &data));
    place_columns(&a);
    int unit = job->options->unit ? job->options->unit : a.unit;
    if (!unit && a.column[SNN_COLUMN_T].kind == 'f' && a.rows)
        snn_events_warn(job, "does not say the unit of its times, which are taken for microseconds");
    SNN_TRY(snn_events_room(job, (size_t)a.rows));
    for (int64_t i = 0; i < a.rows; ++i) {
        struct snn_value row[SNN_COLUMNS];
        for (int c = 0; c < SNN_COLUMNS; ++c) row[c] = read_cell(&a.column[c], job->bytes + data + i * a.step);
        SNN_TRY(snn_events_take_row(job, "row", i, row, unit));
    }
    return SNN_OK;
}

const struct snn_events_format snn_events_npy = {
    .name = "npy",
    .extensions = ".npy",
    .help = "a NumPy array of records t, x, y, p, or of rows x, y, p, t",
    .units = true,
    .probe = probe,
    .decode = decode,
};
