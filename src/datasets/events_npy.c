/* SPDX-License-Identifier: Apache-2.0
 * events_npy.c - a NumPy array of events: records with fields t, x, y, p, or rows (n,4) of x, y, p, t as tonic writes.
 */
#include <string.h>

#include "core/status.h"
#include "datasets/events_parts.h"
#include "datasets/npy_header.h"

static bool probe(const unsigned char *bytes, size_t size) { return size >= 6 && !memcmp(bytes, "\x93NUMPY", 6); }

struct cell { /* a number in a row */
    struct snn_npy_number number;
    int64_t at;
};

struct table {
    struct cell column[SNN_COLUMNS];
    int64_t rows, step; /* bytes from row to row */
    int64_t row;        /* the next one */
    size_t data;        /* where they begin */
    int unit;
};

/* Fields of records by their names; others are left alone. */
static int find_fields(const struct snn_events_job *job, const struct snn_npy_header *h, struct table *out) {
    bool found[SNN_COLUMNS] = {0};
    for (int i = 0; i < h->fields; ++i) {
        const struct snn_npy_field *field = &h->field[i];
        int unit = SNN_EVENTS_UNIT_AUTO;
        enum snn_column column = snn_column_find(field->name, field->length, &unit);
        if (column == SNN_COLUMNS) continue;
        if (found[column] || field->number.kind == 'V')
            return snn_error(SNN_EDATA, "%s: its field '%.*s' is the second of its kind or no number", job->path,
                             (int)(field->length < 40 ? field->length : 40), field->name);
        found[column] = true;
        out->column[column] = (struct cell){field->number, field->at};
        if (column == SNN_COLUMN_T) out->unit = unit;
    }
    for (int c = 0; c < SNN_COLUMNS; ++c)
        if (!found[c]) return snn_error(SNN_EDATA, "%s: its records lack one of the fields t, x, y and p", job->path);
    out->step = h->item;
    return SNN_OK;
}

/* Columns of plain rows: x, y, p, t. */
static void place_columns(const struct snn_npy_header *h, struct table *out) {
    static const int order[SNN_COLUMNS] = {SNN_COLUMN_X, SNN_COLUMN_Y, SNN_COLUMN_P, SNN_COLUMN_T};
    int64_t apart = h->fortran ? h->dim[0] * h->item : h->item;
    for (int i = 0; i < SNN_COLUMNS; ++i) out->column[order[i]] = (struct cell){h->number, i * apart};
    out->step = h->fortran ? h->item : SNN_COLUMNS * h->item;
}

static int read_header(const struct snn_events_job *job, struct table *out) {
    struct snn_npy_header h;
    int64_t text, length;
    SNN_TRY(snn_npy_find_text(job->path, job->bytes, (int64_t)job->size, &text, &length));
    SNN_TRY(snn_npy_read_text(job->path, (const char *)job->bytes + text, (size_t)length, &h));
    out->data = (size_t)(text + length);
    if (h.dims != (h.fields ? 1 : 2) || (!h.fields && h.dim[1] != SNN_COLUMNS))
        return snn_error(SNN_EDATA, "%s: has another shape than (n,4) of numbers or (n,) of records", job->path);
    if (h.fields) SNN_TRY(find_fields(job, &h, out));
    else place_columns(&h, out);
    out->rows = h.dim[0];
    int64_t here = (int64_t)(job->size - out->data), each = h.fields ? h.item : SNN_COLUMNS * h.item;
    if (h.count * h.item == here) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: has %lld bytes of data, expected %lld events of %lld", job->path, (long long)here,
                     (long long)out->rows, (long long)each);
}

static struct snn_value read_cell(const struct cell *cell, const unsigned char *row) {
    uint64_t bits = snn_npy_bits(cell->number, row + cell->at);
    if (cell->number.kind == 'f') return (struct snn_value){.real = true, .number = snn_npy_float(cell->number, bits)};
    if (cell->number.kind == 'i') return (struct snn_value){.whole = snn_npy_signed(cell->number, bits)};
    return (struct snn_value){.whole = bits > INT64_MAX ? INT64_MAX : (int64_t)bits};
}

static int open_array(struct snn_events_job *job) {
    struct table *a = job->state;
    job->facts->format = "NumPy array";
    SNN_TRY(read_header(job, a));
    if (job->options->unit) a->unit = job->options->unit;
    if (!a->unit && a->column[SNN_COLUMN_T].number.kind == 'f' && a->rows)
        snn_events_warn(job, "does not say the unit of its times, which are taken for microseconds");
    return SNN_OK;
}

static int more(struct snn_events_job *job) {
    struct table *a = job->state;
    size_t n = (size_t)(a->rows - a->row);
    job->ended = n <= snn_events_wanted(job);
    if (!job->ended) n = snn_events_wanted(job);
    SNN_TRY(snn_events_room(job, n));
    for (; n; --n, ++a->row) {
        struct snn_value row[SNN_COLUMNS];
        for (int c = 0; c < SNN_COLUMNS; ++c)
            row[c] = read_cell(&a->column[c], job->bytes + a->data + a->row * a->step);
        SNN_TRY(snn_events_take_row(job, "row", a->row, row, a->unit));
    }
    return SNN_OK;
}

const struct snn_events_format snn_events_npy = {
    .name = "npy",
    .extensions = ".npy",
    .help = "a NumPy array of records t, x, y, p, or of rows x, y, p, t",
    .units = true,
    .probe = probe,
    .state = sizeof(struct table),
    .open = open_array,
    .more = more,
};
