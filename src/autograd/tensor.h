/* SPDX-License-Identifier: Apache-2.0
 * tensor.h - what flows between layers: (T,B,...) activations whose time axis comes first.
 *
 * A tensor is `rows` rows of `units` numbers, contiguous and row-major: rows = T*B (row t*B+b), or B for a static
 * tensor that is the same at every step. A layer without memory sees rows and never knows that time exists.
 *
 * Spikes are stored as one bit a neuron, N/64 words a row, beside or instead of the dense numbers, which exist only
 * where some consumer cannot read bits. Input events stay the lists that the batch brings, where all who read them can
 * read lists. */
#ifndef SNN_TENSOR_H
#define SNN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

/* Rows as lists of what is not 0 (core/batch.h): those of row t*B+b are entries at[0] .. at[1]-1, where at is
 * row + t*step + b*sample. Either the samples of a step lie side by side (sample = 1) or the steps of a sample
 * (step = 1): each ends where the next one begins. */
struct snn_lists {
    const int32_t *row; /* NULL: there are no lists */
    const int32_t *index;
    const float *value; /* NULL: all are 1 */
    int32_t B, step, sample;
};

/* What a kernel gets rows as. */
enum snn_form { SNN_DENSE, SNN_BITS, SNN_LISTS };

enum { SNN_ROW_AXES = 4 };

struct snn_tensor {
    char *name; /* of the layer that makes it */
    int nd;     /* 1: (N), 2: (C,L), 3: (C,H,W), 4: (C,D,H,W) */
    int32_t dim[SNN_ROW_AXES];
    ptrdiff_t units;  /* product of dim */
    bool is_static;   /* one row a sample, the same at every step */
    int32_t appended; /* steps that delays have put behind the input's last one */
    bool is_weight;   /* one row: made of parameters, for other nodes to use as a weight */
    bool is_spikes;   /* every number is 0 or 1 */
    bool is_sparse;   /* mostly zeros that were made from spikes or events: counts as synaptic operations, not MACs */
    bool needs_grad;  /* some parameter lies upstream */
    bool is_late;     /* has a late gradient */

    real *data;          /* (rows, units), or NULL when only the bits are kept */
    real *grad;          /* (rows, units), or NULL */
    real *late;          /* (rows, units) a second one, or NULL: see learning.h */
    uint64_t *bits;      /* (rows, words): unit i is bit i%64 of word i/64; bits beyond `units` are 0. NULL: not kept */
    int32_t *nonzero;    /* (rows): units that are not 0; NULL where not counted */
    const int32_t *seen; /* the same where the host can read it, after snn_network_look */
    int32_t words;       /* of a row of bits */
    bool is_listed;      /* an input of events that nobody reads as numbers: only `lists` are kept */
    struct snn_lists lists; /* of the present cut, in the batch's memory */

    /* The plan's (autograd/plan.c). */
    int producer;            /* node index, -1: an input of the network */
    int consumers;           /* nodes that read it or a view of it */
    struct snn_tensor *root; /* a view shares the root's memory; itself otherwise */
    int data_buffer, grad_buffer, late_buffer, bits_buffer, nonzero_buffer;
};

/* How a kernel gets rows: as lists or bits when there are any, else as numbers. */
struct snn_rows {
    const real *dense;
    const uint64_t *bits;
    int32_t words;
    const int32_t *nonzero; /* (rows) or NULL */
    struct snn_lists lists;
};

static inline struct snn_rows snn_tensor_rows(const struct snn_tensor *t) {
    struct snn_rows rows = {t->data, t->bits, t->words, t->nonzero, t->root->lists};
    return rows;
}

static inline enum snn_form snn_rows_form(const struct snn_rows *rows) {
    return rows->lists.row ? SNN_LISTS : rows->bits ? SNN_BITS : SNN_DENSE;
}

struct snn_entries { /* of one row */
    const int32_t *index;
    const float *value; /* NULL: all are 1 */
    int32_t count;
};

SNN_HD struct snn_entries snn_lists_row(const struct snn_lists *lists, ptrdiff_t r) {
    int32_t t = (int32_t)r / lists->B; /* rows are fewer than entries may be, which 32 bits count */
    const int32_t *at =
        lists->row + (ptrdiff_t)t * lists->step + (ptrdiff_t)((int32_t)r - t * lists->B) * lists->sample;
    struct snn_entries e = {lists->index + at[0], lists->value ? lists->value + at[0] : lists->value, at[1] - at[0]};
    return e;
}

/* Of the first `rows`, whole steps of B. */
static inline int64_t snn_lists_entries(const struct snn_lists *lists, ptrdiff_t rows) {
    const ptrdiff_t T = rows / lists->B, step = lists->step, sample = lists->sample;
    int64_t sum = 0;
    for (ptrdiff_t t = 0; sample == 1 && t < T; ++t) sum += lists->row[t * step + lists->B] - lists->row[t * step];
    for (ptrdiff_t b = 0; sample != 1 && b < lists->B; ++b) sum += lists->row[b * sample + T] - lists->row[b * sample];
    return sum;
}

/* Numbers of row r: the dense row itself, or bits or a list expanded into `buffer` (units). Inline, so that every
 * instruction set has its own. */
static inline const real *snn_rows_expand(const struct snn_rows *rows, ptrdiff_t r, ptrdiff_t units,
                                          real *restrict buffer) {
    if (rows->lists.row) {
        struct snn_entries e = snn_lists_row(&rows->lists, r);
        for (ptrdiff_t i = 0; i < units; ++i) buffer[i] = 0;
        for (int32_t k = 0; k < e.count; ++k) buffer[e.index[k]] = e.value ? (real)e.value[k] : 1;
        return buffer;
    }
    if (!rows->bits) return rows->dense + r * units;
    const uint64_t *bits = rows->bits + r * rows->words;
    ptrdiff_t whole = units / 64 * 64;
    for (ptrdiff_t i = 0; i < whole; i += 64) {
        uint32_t low = (uint32_t)bits[i / 64], high = (uint32_t)(bits[i / 64] >> 32);
        for (uint32_t k = 0; k < 32; ++k) buffer[i + k] = (real)(int32_t)(low >> k & 1);
        for (uint32_t k = 0; k < 32; ++k) buffer[i + 32 + k] = (real)(int32_t)(high >> k & 1);
    }
    for (ptrdiff_t i = whole; i < units; ++i) buffer[i] = (real)(bits[i / 64] >> (i % 64) & 1);
    return buffer;
}

#endif
