/* SPDX-License-Identifier: Apache-2.0
 * pieces.h - a piece of a batch is the same as those steps of the whole. */
#ifndef SNN_TEST_PIECES_H
#define SNN_TEST_PIECES_H

#include "core/batch.h"
#include "snn_check.h"

/* Row (t,b) of a batch as numbers, of its own steps. */
static inline void dense_row(const struct snn_batch *batch, int32_t t, int32_t b, float *row) {
    int32_t units = batch->C * batch->H * batch->W, from, to;
    memset(row, 0, (size_t)units * sizeof *row);
    if (batch->form == SNN_BATCH_FRAMES) {
        memcpy(row, batch->frames + (t * batch->B + b) * units, (size_t)units * sizeof *row);
        return;
    }
    from = batch->by_sample ? batch->first[b] : batch->row[t * batch->B + b];
    to = batch->by_sample ? batch->first[b + 1] : batch->row[t * batch->B + b + 1];
    for (int32_t i = from; i < to; ++i)
        if (!batch->by_sample || batch->step[i] == t) row[batch->index[i]] = batch->value ? batch->value[i] : 1;
}

static inline void check_piece(const struct snn_batch *whole, const struct snn_batch *piece) {
    enum { MOST = 300 };
    float a[MOST], b[MOST];
    int32_t units = whole->C * whole->H * whole->W, n = whole->B;
    ck_assert_int_le(units, MOST);
    ck_assert_int_eq(piece->B, n);
    ck_assert_int_eq(snn_batch_whole(piece), whole->T);
    ck_assert_int_eq(piece->masked, whole->masked);
    ck_assert_mem_eq(piece->label, whole->label, (size_t)n * sizeof *piece->label);
    ck_assert_mem_eq(piece->length, whole->length, (size_t)n * sizeof *piece->length);
    ck_assert_mem_eq(piece->sample, whole->sample, (size_t)n * sizeof *piece->sample);
    for (int32_t t = 0; t < piece->T; ++t)
        for (int32_t i = 0; i < n; ++i) {
            dense_row(whole, piece->t0 + t, i, a), dense_row(piece, t, i, b);
            ck_assert_mem_eq(a, b, (size_t)units * sizeof *a);
            size_t K = (size_t)whole->targets;
            const float *x = whole->target, *y = piece->target;
            if (!x || (t && !whole->target_steps)) continue;
            x += ((whole->target_steps ? piece->t0 + t : 0) * n + i) * (int32_t)K;
            y += ((piece->target_steps ? t : 0) * n + i) * (int32_t)K;
            ck_assert_mem_eq(x, y, K * sizeof *x);
        }
}

#endif
