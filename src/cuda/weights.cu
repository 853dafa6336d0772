/* SPDX-License-Identifier: Apache-2.0
 * weights.cu - weights made of parameters: a block a row. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"

/* ---- rows brought to a length ---- */

static __global__ void __launch_bounds__(BLOCK)
    rescale_rows(int32_t rows, ptrdiff_t n, bool centred, real factor, real eps, const real *w, const real *g,
                 real *saved, real *y) {
    __shared__ real shared[WARPS];
    for (int32_t r = (int32_t)blockIdx.x; r < rows; r += (int32_t)gridDim.x) {
        const real *from = w + r * n;
        real mean = 0, off = 0, squares = 0;
        if (centred) {
            for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) mean += from[i];
            mean = block_sum(mean, shared) / (real)n;
        }
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) {
            real d = from[i] - mean;
            off += d, squares += d * d;
        }
        squares = block_sum(squares, shared);
        if (centred) { /* what rounding has left in the mean */
            off = block_sum(off, shared);
            squares -= off * off / (real)n, mean += off / (real)n;
        }
        real inverse = 1 / sqrtf(factor * (squares > 0 ? squares : 0) + eps);
        if (threadIdx.x == 0) saved[2 * r] = mean, saved[2 * r + 1] = inverse;
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) y[r * n + i] = (from[i] - mean) * (g[r] * inverse);
    }
}

/* gg may be NULL, gw may be NULL: see weights_cpu.c for the formulas. */
static __global__ void __launch_bounds__(BLOCK)
    rescale_rows_gradient(int32_t rows, ptrdiff_t n, bool centred, real factor, const real *w, const real *g,
                          const real *saved, const real *gy, real *gw, real *gg) {
    __shared__ real shared[WARPS];
    for (int32_t r = (int32_t)blockIdx.x; r < rows; r += (int32_t)gridDim.x) {
        const real *from = w + r * n, *up = gy + r * n;
        real mean = saved[2 * r], inverse = saved[2 * r + 1], dot = 0, level = 0;
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) dot += up[i] * (from[i] - mean), level += up[i];
        dot = block_sum(dot, shared);
        level = centred ? block_sum(level, shared) / (real)n : 0;
        if (gg && threadIdx.x == 0) gg[r] += inverse * dot;
        real scale = g[r] * inverse, along = factor * inverse * inverse * dot;
        for (ptrdiff_t i = threadIdx.x; gw && i < n; i += BLOCK)
            gw[r * n + i] += scale * (up[i] - level - along * (from[i] - mean));
    }
}

static unsigned row_blocks(int32_t rows) { return (unsigned)(rows < MOST_BLOCKS ? rows : MOST_BLOCKS); }

static void rescale(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g, real *saved,
                    real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    LAUNCH(rescale_rows, row_blocks(how->rows), BLOCK, 0, cuda->compute, how->rows, how->n, how->centred,
           (real)how->factor, (real)how->eps, w, g, saved, y);
    cuda_note(cuda, cudaGetLastError());
}

static void rescale_grad(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g,
                         const real *saved, const real *gy, real *gw, real *gg) {
    struct snn_cuda *cuda = cuda_of(device);
    if (!gw && !gg) return;
    LAUNCH(rescale_rows_gradient, row_blocks(how->rows), BLOCK, 0, cuda->compute, how->rows, how->n, how->centred,
           (real)how->factor, w, g, saved, gy, gw, gg);
    cuda_note(cuda, cudaGetLastError());
}

const struct snn_weights_kernels snn_weights_cuda = {rescale, rescale_grad};
