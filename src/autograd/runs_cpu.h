/* SPDX-License-Identifier: Apache-2.0
 * runs_cpu.h - sums over a run of numbers, in double and in eight lanes: one order for any instruction set, and
 * vectorisable. */
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

#endif
