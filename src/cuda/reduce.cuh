/* SPDX-License-Identifier: Apache-2.0
 * reduce.cuh - sums over the lanes of a warp and over a block, in an order that never changes.
 *
 * Every thread of the warp or block must take part, and every one of them gets the result: a butterfly adds the same
 * pairs in every lane, and addition commutes, so that all lanes hold the same bits. Nothing is assumed of the block but
 * that it has BLOCK threads, a multiple of 32. */
#ifndef SNN_CUDA_REDUCE_CUH
#define SNN_CUDA_REDUCE_CUH

#include <stdint.h>

#include "cuda/backend.h"

/* The smallest power of two that is not below n, but at most `most`. */
static inline int32_t power_of_two(ptrdiff_t n, int32_t most) {
    int32_t width = 1;
    while (width * 2 <= most && width < n) width *= 2;
    return width;
}

/* Sum, largest: over each run of `width` neighbouring lanes (a power of two up to 32). */
template <typename T> static __device__ __forceinline__ T lanes_sum(T value, int width) {
    for (int offset = width / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
}
template <typename T> static __device__ __forceinline__ T lanes_largest(T value, int width) {
    for (int offset = width / 2; offset > 0; offset /= 2) {
        T other = __shfl_xor_sync(0xffffffffu, value, offset);
        value = other > value ? other : value;
    }
    return value;
}
template <typename T> static __device__ __forceinline__ T warp_sum(T value) { return lanes_sum(value, 32); }

/* Sum over the block: lanes by a butterfly, then the warps in order. `shared` (WARPS) may be used again by the next
 * call, which waits until everybody has read it. */
template <typename T> static __device__ __forceinline__ T block_sum(T value, T *shared) {
    value = warp_sum(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    __syncthreads();
    T total = shared[0];
    for (int warp = 1; warp < WARPS; ++warp) total += shared[warp];
    return total;
}

#endif
