/* SPDX-License-Identifier: Apache-2.0
 * rows.cuh - rows of numbers or of spikes as kernels read them, and the grid over rows and columns.
 *
 * Kernels over rows give a column to each thread, x of the grid, and let blocks share the lines, y of the grid: a
 * thread works out once where its column lies, and neighbours touch neighbouring addresses in every line. */
#ifndef SNN_CUDA_ROWS_CUH
#define SNN_CUDA_ROWS_CUH

#include <stddef.h>
#include <stdint.h>

#include "autograd/tensor.h"
#include "cuda/backend.h"

enum { ENOUGH_BLOCKS = 4096, MOST_LINES = 65535 };

/* Blocks for `columns` threads abreast; so many side by side in y that the card is full, each with a share of `lines`.
 */
static inline dim3 sheet_grid(ptrdiff_t columns, ptrdiff_t lines, ptrdiff_t depth = 1) {
    ptrdiff_t x = columns < 1 ? 1 : (columns + BLOCK - 1) / BLOCK, y = (ENOUGH_BLOCKS + x * depth - 1) / (x * depth);
    if (y > lines) y = lines;
    if (y > MOST_LINES) y = MOST_LINES;
    if (depth > MOST_LINES) depth = MOST_LINES;
    return dim3((unsigned)x, (unsigned)(y < 1 ? 1 : y), (unsigned)depth);
}

/* Unit i of row r; `units` in a row. */
template <bool BITS>
static __device__ __forceinline__ real row_value(const struct snn_rows &x, ptrdiff_t r, ptrdiff_t units, ptrdiff_t i) {
    if (BITS) return (real)(int32_t)(x.bits[r * x.words + (i >> 6)] >> (i & 63) & 1);
    return x.dense[r * units + i];
}

#endif
