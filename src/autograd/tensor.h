/* SPDX-License-Identifier: Apache-2.0
 * tensor.h - what flows between layers: (T,B,...) activations whose time axis comes first.
 *
 * A tensor is `rows` rows of `units` numbers, contiguous and row-major: rows = T*B (row t*B+b), or B for a static
 * tensor that is the same at every step. A layer without memory sees rows and never knows that time exists.
 *
 * Spikes are stored as one bit a neuron, N/64 words a row, beside or instead of the dense numbers, which exist only
 * where some consumer cannot read bits. */
#ifndef SNN_TENSOR_H
#define SNN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

struct snn_tensor {
    char *name; /* of the layer that makes it */
    int nd;     /* 1: (N); 3: (C,H,W) */
    int32_t dim[3];
    ptrdiff_t units; /* product of dim */
    bool is_static;  /* one row a sample, the same at every step */
    bool is_spikes;  /* every number is 0 or 1 */
    bool is_sparse;  /* mostly zeros that were made from spikes or events: counts as synaptic operations, not MACs */
    bool needs_grad; /* some parameter lies upstream */

    real *data;          /* (rows, units), or NULL when only the bits are kept */
    real *grad;          /* (rows, units), or NULL */
    uint64_t *bits;      /* (rows, words): unit i is bit i%64 of word i/64; bits beyond `units` are 0. NULL: not kept */
    int32_t *nonzero;    /* (rows): units that are not 0; NULL where not counted */
    const int32_t *seen; /* the same where the host can read it, after snn_network_look */
    int32_t words;       /* of a row of bits */

    /* The plan's (autograd/plan.c). */
    int producer;            /* node index, -1: an input of the network */
    int consumers;           /* nodes that read it or a view of it */
    struct snn_tensor *root; /* a view shares the root's memory; itself otherwise */
    int data_buffer, grad_buffer, bits_buffer, nonzero_buffer;
};

/* How a kernel gets rows: as bits when there are any, else as numbers. */
struct snn_rows {
    const real *dense;
    const uint64_t *bits;
    int32_t words;
    const int32_t *nonzero; /* (rows) or NULL */
};

static inline struct snn_rows snn_tensor_rows(const struct snn_tensor *t) {
    struct snn_rows rows = {t->data, t->bits, t->words, t->nonzero};
    return rows;
}

/* Numbers of row r: the dense row itself, or the bits expanded into `buffer` (units). Inline, so that every instruction
 * set has its own. */
static inline const real *snn_rows_expand(const struct snn_rows *rows, ptrdiff_t r, ptrdiff_t units,
                                          real *restrict buffer) {
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
