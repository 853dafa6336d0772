/* SPDX-License-Identifier: Apache-2.0
 * temporal.cu - convolution of each channel with itself over time. A thread has one number of a step and lets the steps
 * pass; for the weight gradient a block has one weight. */
#include "cuda/temporal.h"

#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"

/* Number i of step t, which may lie before step 0. */
static __device__ __forceinline__ real number_at(const real *x, const real *before, int32_t t, int32_t reach,
                                                 ptrdiff_t step, ptrdiff_t i) {
    if (t >= 0) return x[t * step + i];
    return before ? before[(reach + t) * step + i] : 0;
}

static __global__ void __launch_bounds__(BLOCK)
    convolve(struct snn_temporal_shape s, const real *x, const real *before, const real *w, const real *b, real *y) {
    ptrdiff_t units = s.C * s.inner, step = s.B * units, i = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x;
    if (i >= step) return;
    int32_t c = (int32_t)(i % units / s.inner), reach = (s.taps - 1) * s.dilation;
    for (int32_t t = (int32_t)blockIdx.y; t < s.T; t += (int32_t)gridDim.y) {
        real sum = b ? b[c] : 0;
        for (int32_t k = 0, from = t - reach; k < s.taps; ++k, from += s.dilation)
            sum += w[(ptrdiff_t)c * s.taps + k] * number_at(x, before, from, reach, step, i);
        y[t * step + i] = sum;
    }
}

static __global__ void __launch_bounds__(BLOCK)
    convolve_back(struct snn_temporal_shape s, const real *gy, const real *w, bool adds, real *gx) {
    ptrdiff_t units = s.C * s.inner, step = s.B * units, i = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x;
    if (i >= step) return;
    int32_t c = (int32_t)(i % units / s.inner);
    for (int32_t t = (int32_t)blockIdx.y; t < s.T; t += (int32_t)gridDim.y) {
        real sum = adds ? gx[t * step + i] : 0;
        for (int32_t k = s.taps - 1, from = t; k >= 0 && from < s.T; --k, from += s.dilation)
            sum += w[(ptrdiff_t)c * s.taps + k] * gy[from * step + i];
        gx[t * step + i] = sum;
    }
}

/* A block has channel x and tap y of the grid. It takes BLOCK / 2^shift rows at a time. */
static __global__ void __launch_bounds__(BLOCK)
    weigh(struct snn_temporal_shape s, int shift, const real *x, const real *before, const real *gy, real *gw) {
    __shared__ real shared[WARPS];
    int32_t c = (int32_t)blockIdx.x, k = (int32_t)blockIdx.y, lane = (int32_t)threadIdx.x & ((1 << shift) - 1);
    ptrdiff_t step = s.B * s.C * s.inner;
    real total = 0;
    for (int32_t r = (int32_t)threadIdx.x >> shift; r < s.T * s.B; r += BLOCK >> shift) {
        int32_t t = r / s.B, from = t - (s.taps - 1 - k) * s.dilation;
        ptrdiff_t at = ((ptrdiff_t)(r - t * s.B) * s.C + c) * s.inner;
        const real *g = gy + t * step + at, *read = x + from * step + at;
        if (from < 0 && !before) continue;
        if (from < 0) read = before + ((s.taps - 1) * s.dilation + from) * step + at;
        for (int32_t p = lane; p < s.inner; p += 1 << shift) total += g[p] * read[p];
    }
    total = block_sum(total, shared);
    if (threadIdx.x == 0) gw[(ptrdiff_t)c * s.taps + k] += total;
}

void snn_cuda_temporal(struct snn_device *device, const struct snn_temporal_shape *s, const real *x, const real *before,
                       const real *w, const real *b, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T < 1 || s->B < 1) return;
    LAUNCH(convolve, sheet_grid(s->B * s->C * s->inner, s->T), BLOCK, 0, cuda->compute, *s, x, before, w, b, y);
    cuda_note(cuda, cudaGetLastError());
}

void snn_cuda_temporal_grad_input(struct snn_device *device, const struct snn_temporal_shape *s, const real *gy,
                                  const real *w, bool adds, real *gx) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T < 1 || s->B < 1) return;
    LAUNCH(convolve_back, sheet_grid(s->B * s->C * s->inner, s->T), BLOCK, 0, cuda->compute, *s, gy, w, adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

size_t snn_cuda_temporal_scratch(const struct snn_temporal_shape *s) {
    (void)s;
    return 0;
}

void snn_cuda_temporal_grad_weight(struct snn_device *device, const struct snn_temporal_shape *s, const real *x,
                                   const real *before, const real *gy, real *gw, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    int shift = 0;
    (void)scratch;
    while ((2 << shift) <= BLOCK && ((ptrdiff_t)1 << shift) < s->inner) ++shift;
    LAUNCH(weigh, dim3((unsigned)s->C, (unsigned)s->taps), BLOCK, 0, cuda->compute, *s, shift, x, before, gy, gw);
    cuda_note(cuda, cudaGetLastError());
}
