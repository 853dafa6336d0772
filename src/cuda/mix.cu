/* SPDX-License-Identifier: Apache-2.0
 * mix.cu - joins, factors, clamps and products over time on CUDA (autograd/mix.h). All but the factors' gradient and
 * the products is as fast as memory is. */
#include "cuda/backend.h"
#include "cuda/product.cuh"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"

#include "autograd/mix.h"
#include "cuda/sizes.h"

static __global__ void __launch_bounds__(BLOCK)
    copy_numbers(ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t from_step, bool adds, real *to,
                 ptrdiff_t to_step) {
    for (ptrdiff_t r = first_row(); r < rows; r += row_step())
        for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
            real value = from[r * from_step + i];
            to[r * to_step + i] = adds ? to[r * to_step + i] + value : value;
        }
}

static void copy_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t from_step,
                      bool adds, real *to, ptrdiff_t to_step) {
    if (rows < 1 || n < 1) return;
    struct tiling tiling = tiling_for(rows, n);
    LAUNCH(copy_numbers, tiling.grid, tiling.block, 0, cuda_of(device)->compute, rows, n, from, from_step, adds, to,
           to_step);
}

static __global__ void __launch_bounds__(BLOCK)
    clamp_between(ptrdiff_t n, real low, real high, const real *x, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

static void clamp(struct snn_device *device, ptrdiff_t n, real low, real high, const real *x, real *y) {
    if (n < 1) return;
    LAUNCH(clamp_between, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, low, high, x, y);
}

static __global__ void __launch_bounds__(BLOCK)
    clamp_gradient(ptrdiff_t n, real low, real high, const real *y, const real *gy, bool adds, real *gx) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
        real g = y[i] > low && y[i] < high ? gy[i] : 0;
        gx[i] = adds ? gx[i] + g : g;
    }
}

static void clamp_grad(struct snn_device *device, ptrdiff_t n, real low, real high, const real *y, const real *gy,
                       bool adds, real *gx) {
    if (n < 1) return;
    LAUNCH(clamp_gradient, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, low, high, y, gy, adds, gx);
}

static __global__ void __launch_bounds__(BLOCK)
    join_numbers(bool inverted, ptrdiff_t n, const real *a, const real *b, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = (inverted ? 1 - a[i] : a[i]) * b[i];
}

static void join(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b, real *y) {
    if (n < 1) return;
    LAUNCH(join_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, how == SNN_JOIN_IAND, n, a, b, y);
}

static __global__ void __launch_bounds__(BLOCK)
    join_numbers_gradient(bool inverted, ptrdiff_t n, const real *a, const real *b, const real *gy, bool adds_a,
                          real *ga, bool adds_b, real *gb) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
        real to_a = gy[i] * (inverted ? -b[i] : b[i]), to_b = gy[i] * (inverted ? 1 - a[i] : a[i]);
        if (gb) gb[i] = adds_b ? gb[i] + to_b : to_b;
        if (ga) ga[i] = adds_a ? ga[i] + to_a : to_a;
    }
}

static void join_grad(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b,
                      const real *gy, bool adds_a, real *ga, bool adds_b, real *gb) {
    if (n < 1) return;
    LAUNCH(join_numbers_gradient, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, how == SNN_JOIN_IAND, n, a, b, gy,
           adds_a, ga, adds_b, gb);
}

/* ---- factors ---- */

static __global__ void __launch_bounds__(BLOCK)
    apply_factors(struct snn_scale_shape s, const real *factor, const real *x, bool adds, real *y) {
    const int32_t units = (int32_t)s.units, share = (int32_t)s.share_units;
    for (ptrdiff_t r = first_row(); r < s.rows; r += row_step()) {
        const real *of_row = factor + r / s.share_rows * (units / share), *from = x + r * units;
        real *to = y + r * units;
        for (int32_t i = (int32_t)first_item(); i < units; i += (int32_t)item_step()) {
            real value = of_row[share == units ? 0 : i / share] * from[i];
            to[i] = adds ? to[i] + value : value;
        }
    }
}

static void scale(struct snn_device *device, const struct snn_scale_shape *s, const real *factor, const real *x,
                  bool adds, real *y) {
    if (s->rows < 1) return;
    struct tiling tiling = tiling_for(s->rows, s->units);
    LAUNCH(apply_factors, tiling.grid, tiling.block, 0, cuda_of(device)->compute, *s, factor, x, adds, y);
}

/* A warp adds up a share of what has one factor, `parts` of them side by side; a warp a factor joins them. */
static __global__ void __launch_bounds__(BLOCK)
    part_factors(struct snn_scale_shape s, ptrdiff_t first, ptrdiff_t count, ptrdiff_t parts, const real *x,
                 const real *gy, real *partial /* (count, parts) */) {
    const ptrdiff_t runs = s.units / s.share_units, n = s.share_rows * s.share_units;
    const int lane = (int)threadIdx.x % 32;
    ptrdiff_t warp = (ptrdiff_t)blockIdx.x * WARPS + threadIdx.x / 32, step = (ptrdiff_t)gridDim.x * WARPS;
    for (; warp < count * parts; warp += step) {
        ptrdiff_t f = first + warp / parts, part = warp % parts;
        ptrdiff_t at = f / runs * s.share_rows * s.units + f % runs * s.share_units;
        real sum = 0;
        for (ptrdiff_t k = part * 32 + lane; k < n; k += parts * 32) {
            ptrdiff_t i = at + k / s.share_units * s.units + k % s.share_units;
            sum += x[i] * gy[i];
        }
        sum = warp_sum(sum);
        if (lane == 0) partial[warp] = sum;
    }
}

static __global__ void __launch_bounds__(BLOCK)
    join_factors(ptrdiff_t count, ptrdiff_t parts, const real *partial, bool adds, real *gfactor) {
    const int lane = (int)threadIdx.x % 32;
    ptrdiff_t f = (ptrdiff_t)blockIdx.x * WARPS + threadIdx.x / 32, step = (ptrdiff_t)gridDim.x * WARPS;
    for (; f < count; f += step) {
        real sum = 0;
        for (ptrdiff_t p = lane; p < parts; p += 32) sum += partial[f * parts + p];
        sum = warp_sum(sum);
        if (lane == 0) gfactor[f] = adds ? gfactor[f] + sum : sum;
    }
}

static void scale_grad(struct snn_device *device, const struct snn_scale_shape *s, const real *x, const real *gy,
                       bool adds, real *gfactor) {
    enum { ROOM = PARTIALS * (int)(sizeof(double) / sizeof(real)) };
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows < 1) return;
    ptrdiff_t factors = snn_scale_factors(s), parts = snn_cuda_scale_parts(s);
    real *partial = (real *)cuda->partial;
    for (ptrdiff_t first = 0; first < factors; first += ROOM / parts) {
        ptrdiff_t count = factors - first < ROOM / parts ? factors - first : ROOM / parts;
        LAUNCH(part_factors, blocks_for(count * parts * 32), BLOCK, 0, cuda->compute, *s, first, count, parts, x, gy,
               partial);
        LAUNCH(join_factors, blocks_for(count * 32), BLOCK, 0, cuda->compute, count, parts, partial, adds,
               gfactor + first);
    }
}

/* ---- products over time ---- */

/* Numbers of a step that one product takes, from i on. */
static ptrdiff_t columns_from(const struct snn_steps_shape *s, ptrdiff_t i) {
    const ptrdiff_t most = MOST_ROWS;
    return s->n - i < most ? s->n - i : most;
}

static __global__ void __launch_bounds__(BLOCK) fill_steps(int32_t T, ptrdiff_t n, const real *b, real *y) {
    for (int32_t t = (int32_t)blockIdx.y; t < T; t += (int32_t)gridDim.y) {
        real value = b[t], *row = y + t * n;
        for (ptrdiff_t i = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x; i < n; i += (ptrdiff_t)gridDim.x * BLOCK)
            row[i] = value;
    }
}

static void steps(struct snn_device *device, const struct snn_steps_shape *s, const real *w, bool transposed,
                  const real *b, const real *x, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T < 1 || s->n < 1) return;
    if (b) {
        dim3 grid(tiles_for(s->n, BLOCK, MOST_BLOCKS), (unsigned)s->T);
        LAUNCH(fill_steps, grid, BLOCK, 0, cuda->compute, s->T, s->n, b, y);
    }
    for (ptrdiff_t i = 0; i < s->n; i += MOST_ROWS)
        product(cuda, transposed, false, s->T, columns_from(s, i), s->T, w, s->steps, x + i, s->n, b ? 1 : 0, y + i,
                s->n);
}

static void steps_grad(struct snn_device *device, const struct snn_steps_shape *s, const real *x, const real *gy,
                       real *gw, void *scratch) {
    (void)scratch;
    if (s->T < 1 || s->n < 1) return;
    for (ptrdiff_t i = 0; i < s->n; i += MOST_ROWS)
        product(cuda_of(device), false, true, s->T, s->T, columns_from(s, i), gy + i, s->n, x + i, s->n, 1, gw,
                s->steps);
}

static __global__ void __launch_bounds__(BLOCK)
    mask_some_rows(ptrdiff_t rows, ptrdiff_t n, const uint8_t *mask, const real *x, bool adds, real *y) {
    for (ptrdiff_t r = first_row(); r < rows; r += row_step())
        for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
            real value = mask[r] ? x[r * n + i] : 0;
            y[r * n + i] = adds ? y[r * n + i] + value : value;
        }
}

static void mask_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const uint8_t *mask, const real *x,
                      bool adds, real *y) {
    if (rows < 1 || n < 1) return;
    struct tiling tiling = tiling_for(rows, n);
    LAUNCH(mask_some_rows, tiling.grid, tiling.block, 0, cuda_of(device)->compute, rows, n, mask, x, adds, y);
}

/* ---- steps of spiking LSTMs: a thread a neuron ---- */

static __global__ void __launch_bounds__(BLOCK) lstm_forward(struct snn_lstm_step s) {
    const int32_t i = (int32_t)(blockIdx.x * BLOCK + threadIdx.x), n = s.n;
    if (i >= n) return;
    for (int32_t b = (int32_t)blockIdx.y; b < s.B; b += (int32_t)gridDim.y) {
        const ptrdiff_t at = (ptrdiff_t)b * n + i;
        const real *x = s.x + 4 * (at - i) + i, *again = s.again + 4 * (at - i) + i;
        struct snn_lstm_point y =
            snn_lstm_forward(s.reset, s.strict, *s.theta, x[0] + again[0], x[n] + again[n], x[2 * n] + again[2 * n],
                             x[3 * n] + again[3 * n], s.c_before[at], s.m_before[at]);
        real *to = s.gates + 4 * (at - i) + i;
        to[0] = y.i, to[n] = y.f, to[2 * n] = y.g, to[3 * n] = y.o, s.c[at] = y.c, s.m[at] = y.m;
    }
}

static __global__ void __launch_bounds__(BLOCK) lstm_backward(struct snn_lstm_step s) {
    const int32_t i = (int32_t)(blockIdx.x * BLOCK + threadIdx.x), n = s.n;
    if (i >= n) return;
    for (int32_t b = (int32_t)blockIdx.y; b < s.B; b += (int32_t)gridDim.y) {
        const ptrdiff_t at = (ptrdiff_t)b * n + i;
        const real *from = s.gates + 4 * (at - i) + i;
        struct snn_lstm_point to =
            snn_lstm_backward(s.reset, s.strict, *s.theta, from[0], from[n], from[2 * n], from[3 * n], s.c[at],
                              s.c_before[at], s.m_before[at], s.gm[at] + (s.gm_again ? s.gm_again[at] : 0), s.gc[at]);
        real *ga = s.ga + 4 * (at - i) + i;
        ga[0] = to.i, ga[n] = to.f, ga[2 * n] = to.g, ga[3 * n] = to.o, s.gc[at] = to.c;
    }
}

static void lstm(struct snn_device *device, const struct snn_lstm_step *s) {
    if (s->B < 1) return;
    LAUNCH(lstm_forward, sheet_grid(s->n, s->B), BLOCK, 0, cuda_of(device)->compute, *s);
}

static void lstm_grad(struct snn_device *device, const struct snn_lstm_step *s) {
    if (s->B < 1) return;
    LAUNCH(lstm_backward, sheet_grid(s->n, s->B), BLOCK, 0, cuda_of(device)->compute, *s);
}

const struct snn_mix_kernels snn_mix_cuda = {copy_rows,  clamp, clamp_grad, join,      join_grad, scale,
                                             scale_grad, steps, steps_grad, mask_rows, lstm,      lstm_grad};
