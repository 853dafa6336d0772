/* SPDX-License-Identifier: Apache-2.0
 * runs_cpu.h - sums over a run of numbers, in double and in eight lanes, and over columns: one order for any
 * instruction set, and vectorisable. */
#ifndef SNN_RUNS_CPU_H
#define SNN_RUNS_CPU_H

#include <stddef.h>

#include "core/real.h"

static inline double sum_run(const real *restrict x, ptrdiff_t n) {
    double lane[8] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) lane[k] += x[i + k];
    for (; i < n; ++i) lane[0] += x[i];
    for (int k = 0; k < 8; ++k) total += lane[k];
    return total;
}

static inline double sum_squares_run(const real *restrict x, double mean, ptrdiff_t n) {
    double lane[8] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) lane[k] += (x[i + k] - mean) * (x[i + k] - mean);
    for (; i < n; ++i) lane[0] += (x[i] - mean) * (x[i] - mean);
    for (int k = 0; k < 8; ++k) total += lane[k];
    return total;
}

static inline double dot_run(const real *restrict g, const real *restrict x, double mean, ptrdiff_t n) {
    double lane[8] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) lane[k] += g[i + k] * (x[i + k] - mean);
    for (; i < n; ++i) lane[0] += g[i] * (x[i] - mean);
    for (int k = 0; k < 8; ++k) total += lane[k];
    return total;
}

enum { COLUMNS_MOST = 256, COLUMNS_SHARED = 64, COLUMNS_ROWS = 256 };

/* sum (n) += sums over the rows of n <= COLUMNS_MOST columns of g, whose rows are `step` apart */
static inline void add_columns(const real *restrict g, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t n,
                               double *restrict sum) {
    real part[COLUMNS_MOST];
    for (ptrdiff_t j = 0; j < n; ++j) part[j] = 0;
    for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t j = 0; j < n; ++j) part[j] += g[r * step + j];
    for (ptrdiff_t j = 0; j < n; ++j) sum[j] += part[j];
}

/* to (n) += sums over all rows of g (rows, n), of the COLUMNS_SHARED columns from `at` on: what a thread takes at once
 */
static inline void sum_columns(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t at, const real *g, real *to) {
    const ptrdiff_t width = n - at < COLUMNS_SHARED ? n - at : COLUMNS_SHARED;
    double sum[COLUMNS_SHARED] = {0};
    for (ptrdiff_t r = 0; r < rows; r += COLUMNS_ROWS)
        add_columns(g + r * n + at, n, rows - r < COLUMNS_ROWS ? rows - r : COLUMNS_ROWS, width, sum);
    for (ptrdiff_t j = 0; j < width; ++j) to[at + j] += (real)sum[j];
}

#endif
