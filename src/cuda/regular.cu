/* SPDX-License-Identifier: Apache-2.0
 * regular.cu - counts of spikes, and what they and weights cost, on CUDA (autograd/regular.h).
 *
 * Counts and slopes have a thread a neuron; what is summed over neurons has a block a sample. */
#include "autograd/regular_point.h"
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"

/* ---- spikes ---- */

template <bool BITS>
static __global__ void __launch_bounds__(BLOCK)
    count_spikes(int32_t T, int32_t B, ptrdiff_t N, struct snn_rows x, const uint8_t *__restrict__ mask,
                 real *__restrict__ count /* (B,N) */) {
    for (ptrdiff_t k = first_item(); k < B * N; k += item_step()) {
        ptrdiff_t b = k / N, i = k - b * N;
        real sum = 0;
        for (int32_t t = 0; t < T; ++t) {
            ptrdiff_t r = (ptrdiff_t)t * B + b;
            if (!mask || mask[r]) sum += row_value<BITS>(x, r, N, i);
        }
        count[k] = sum;
    }
}

static void count(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const struct snn_rows *x,
                  const uint8_t *mask, real *count) {
    if (B * N < 1) return;
    cudaStream_t compute = cuda_of(device)->compute;
    if (x->bits) LAUNCH((count_spikes<true>), blocks_for(B * N), BLOCK, 0, compute, T, B, N, *x, mask, count);
    else LAUNCH((count_spikes<false>), blocks_for(B * N), BLOCK, 0, compute, T, B, N, *x, mask, count);
}

static __global__ void __launch_bounds__(BLOCK)
    push_slopes(int32_t T, int32_t B, ptrdiff_t N, const real *__restrict__ slope /* (B,N) */,
                const uint8_t *__restrict__ mask, bool adds, real *__restrict__ g /* (T,B,N) */) {
    for (ptrdiff_t r = first_row(); r < (ptrdiff_t)T * B; r += row_step()) {
        ptrdiff_t b = (int32_t)r % B;
        bool counts = !mask || mask[r];
        if (adds && !counts) continue;
        for (ptrdiff_t i = first_item(); i < N; i += item_step()) {
            real s = counts ? slope[b * N + i] : 0;
            g[r * N + i] = adds ? g[r * N + i] + s : s;
        }
    }
}

static void push(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const real *slope, const uint8_t *mask,
                 bool adds, real *g) {
    if (T * B * N < 1) return;
    struct tiling tiling = tiling_for((ptrdiff_t)T * B, N);
    LAUNCH(push_slopes, tiling.grid, tiling.block, 0, cuda_of(device)->compute, T, B, N, slope, mask, adds, g);
}

/* ---- their cost ---- */

/* Groups of one neuron go side by side, larger ones one after another with the whole block. */
static __global__ void __launch_bounds__(BLOCK) penalise_counts(struct snn_penalty p, const real *__restrict__ counts,
                                                                double *sample, bool adds, real *__restrict__ slope) {
    __shared__ double sums[WARPS];
    ptrdiff_t N = (ptrdiff_t)p.groups * p.size;
    for (int32_t b = (int32_t)blockIdx.x; b < p.B; b += (int32_t)gridDim.x) {
        double unit = p.rate ? 1.0 / ((p.length ? p.length[b] : p.steps) + p.appended) : 1, loss = 0, dx;
        const real *c = counts + b * N;
        real *s = slope + b * N;
        for (int32_t g = (int32_t)threadIdx.x; p.size == 1 && g < p.groups; g += BLOCK) {
            loss += p.factor * snn_penalty_of_activity(&p, c[g] * unit, &dx);
            real each = (real)(*p.scale * p.factor * dx * unit);
            s[g] = adds ? s[g] + each : each;
        }
        for (int32_t g = 0; p.size > 1 && g < p.groups; ++g) {
            double x = 0;
            for (int32_t i = (int32_t)threadIdx.x; i < p.size; i += BLOCK) x += c[(ptrdiff_t)g * p.size + i];
            double cost = snn_penalty_of_activity(&p, block_sum(x, sums) / p.size * unit, &dx);
            if (threadIdx.x == 0) loss += p.factor * cost;
            real each = (real)(*p.scale * p.factor * dx / p.size * unit);
            for (int32_t i = (int32_t)threadIdx.x; i < p.size; i += BLOCK) {
                real *to = &s[(ptrdiff_t)g * p.size + i];
                *to = adds ? *to + each : each;
            }
        }
        loss = block_sum(loss, sums);
        if (threadIdx.x == 0) sample[b] += loss;
    }
}

static void penalise(struct snn_device *device, const struct snn_penalty *p, const real *counts, double *sample,
                     bool adds, real *slope) {
    if (p->B < 1) return;
    LAUNCH(penalise_counts, (unsigned)p->B, BLOCK, 0, cuda_of(device)->compute, *p, counts, sample, adds, slope);
}

static __global__ void __launch_bounds__(BLOCK)
    total_counts(int32_t B, ptrdiff_t N, const real *__restrict__ counts, double factor, bool adds, real *total) {
    __shared__ double sums[WARPS];
    for (int32_t b = (int32_t)blockIdx.x; b < B; b += (int32_t)gridDim.x) {
        double sum = 0;
        for (ptrdiff_t i = (ptrdiff_t)threadIdx.x; i < N; i += BLOCK) sum += counts[b * N + i];
        sum = block_sum(sum, sums);
        if (threadIdx.x == 0) total[b] = (real)(factor * sum + (adds ? (double)total[b] : 0));
    }
}

static void total(struct snn_device *device, int32_t B, ptrdiff_t N, const real *counts, double factor, bool adds,
                  real *total) {
    if (B < 1) return;
    LAUNCH(total_counts, (unsigned)B, BLOCK, 0, cuda_of(device)->compute, B, N, counts, factor, adds, total);
}

static __global__ void __launch_bounds__(BLOCK)
    spread_slope(int32_t B, ptrdiff_t N, const real *__restrict__ total_slope, double factor, bool adds,
                 real *__restrict__ slope) {
    for (ptrdiff_t k = first_item(); k < B * N; k += item_step()) {
        real each = (real)(factor * total_slope[k / N]);
        slope[k] = adds ? slope[k] + each : each;
    }
}

static void spread(struct snn_device *device, int32_t B, ptrdiff_t N, const real *total_slope, double factor, bool adds,
                   real *slope) {
    if (B * N < 1) return;
    LAUNCH(spread_slope, blocks_for(B * N), BLOCK, 0, cuda_of(device)->compute, B, N, total_slope, factor, adds, slope);
}

/* ---- weights ---- */

enum { WEIGH_BLOCKS = 1024 };
static_assert((int)WEIGH_BLOCKS <= (int)PARTIALS, "the sums of the blocks must fit");

static __global__ void __launch_bounds__(BLOCK)
    weigh_numbers(enum snn_weight_penalty kind, double omega, ptrdiff_t n, const real *__restrict__ w,
                  double *__restrict__ partial /* (blocks) */) {
    __shared__ double shared[WARPS];
    double sum = 0;
    real slope;
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) sum += snn_penalty_of_weight(kind, omega, w[i], &slope);
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/* One block. */
static __global__ void __launch_bounds__(BLOCK)
    add_weighed(int n, const double *__restrict__ partial /* (n) */, double factor, double *sum) {
    __shared__ double shared[WARPS];
    double all = 0;
    for (int i = (int)threadIdx.x; i < n; i += BLOCK) all += partial[i];
    all = block_sum(all, shared);
    if (threadIdx.x == 0) *sum += factor * all;
}

static void weigh(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n, const real *w,
                  double factor, double *sum) {
    const struct snn_cuda *cuda = cuda_of(device);
    if (n < 1) return;
    unsigned blocks = blocks_for(n) < WEIGH_BLOCKS ? blocks_for(n) : (unsigned)WEIGH_BLOCKS;
    LAUNCH(weigh_numbers, blocks, BLOCK, 0, cuda->compute, kind, omega, n, w, cuda->partial);
    LAUNCH(add_weighed, 1, BLOCK, 0, cuda->compute, (int)blocks, cuda->partial, factor, sum);
}

static __global__ void __launch_bounds__(BLOCK)
    add_weight_slopes(enum snn_weight_penalty kind, double omega, ptrdiff_t n, const real *__restrict__ w,
                      double factor, const double *scale, real *__restrict__ g) {
    real by = (real)(factor * *scale), slope;
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
        snn_penalty_of_weight(kind, omega, w[i], &slope);
        g[i] += by * slope;
    }
}

static void weigh_grad(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n,
                       const real *w, double factor, const double *scale, real *g) {
    if (n < 1) return;
    LAUNCH(add_weight_slopes, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, kind, omega, n, w, factor, scale, g);
}

const struct snn_regular_kernels snn_regular_cuda = {count, penalise, total, spread, push, weigh, weigh_grad};
