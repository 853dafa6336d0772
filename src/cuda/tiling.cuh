/* SPDX-License-Identifier: Apache-2.0
 * tiling.cuh - how threads are laid over data: a thread a number, or a thread a place in rows of numbers.
 *
 * A block is as wide as a row where rows are short, so that few threads are idle and neighbours touch neighbouring
 * numbers; and nothing has to be divided by the length of a row to find out where a thread stands. */
#ifndef SNN_CUDA_TILING_CUH
#define SNN_CUDA_TILING_CUH

#include "cuda/backend.h"

/* The first item of this thread and the distance to its next. */
static __device__ __forceinline__ ptrdiff_t first_item() { return (ptrdiff_t)blockIdx.x * blockDim.x + threadIdx.x; }
static __device__ __forceinline__ ptrdiff_t item_step() { return (ptrdiff_t)gridDim.x * blockDim.x; }
/* The first row of this thread and the distance to its next. */
static __device__ __forceinline__ ptrdiff_t first_row() { return (ptrdiff_t)blockIdx.y * blockDim.y + threadIdx.y; }
static __device__ __forceinline__ ptrdiff_t row_step() { return (ptrdiff_t)gridDim.y * blockDim.y; }

struct tiling {
    dim3 grid, block;
};

static inline unsigned tiles_for(ptrdiff_t n, unsigned size, ptrdiff_t most) {
    ptrdiff_t tiles = (n + size - 1) / size;
    return (unsigned)(tiles < 1 ? 1 : tiles > most ? most : tiles);
}

/* Threads for rows of units; in the kernel, items are units. */
static inline struct tiling tiling_for(ptrdiff_t rows, ptrdiff_t units) {
    enum { MOST_DOWN = 65535 };
    unsigned x = 1;
    while (x < units && 2 * x <= BLOCK) x *= 2;
    unsigned y = BLOCK / x;
    struct tiling tiling;
    tiling.grid = dim3(tiles_for(units, x, MOST_BLOCKS), tiles_for(rows, y, MOST_DOWN));
    tiling.block = dim3(x, y);
    return tiling;
}

#endif
