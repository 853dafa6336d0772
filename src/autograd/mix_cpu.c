/* SPDX-License-Identifier: Apache-2.0
 * mix_cpu.c - joins, factors and clamps on the CPU. */
#include <string.h>

#include "autograd/mix.h"
#include "core/isa.h"

static void copy_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t from_step,
                      bool adds, real *to, ptrdiff_t to_step) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const real *a = from + r * from_step;
        real *y = to + r * to_step;
        if (!adds) memcpy(y, a, (size_t)n * sizeof *y);
        else
            for (ptrdiff_t i = 0; i < n; ++i) y[i] += a[i];
    }
}

static void clamp(struct snn_device *device, ptrdiff_t n, real low, real high, const real *x, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; ++i) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

static void clamp_grad(struct snn_device *device, ptrdiff_t n, real low, real high, const real *y, const real *gy,
                       bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; ++i) {
        real g = y[i] > low && y[i] < high ? gy[i] : 0;
        gx[i] = adds ? gx[i] + g : g;
    }
}

static void join(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; ++i) y[i] = (how == SNN_JOIN_AND ? a[i] : 1 - a[i]) * b[i];
}

static void join_grad(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b,
                      const real *gy, bool adds_a, real *ga, bool adds_b, real *gb) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; ++i) {
        real to_a = gy[i] * (how == SNN_JOIN_AND ? b[i] : -b[i]),
             to_b = gy[i] * (how == SNN_JOIN_AND ? a[i] : 1 - a[i]);
        if (gb) gb[i] = adds_b ? gb[i] + to_b : to_b;
        if (ga) ga[i] = adds_a ? ga[i] + to_a : to_a;
    }
}

static void scale(struct snn_device *device, const struct snn_scale_shape *s, const real *factor, const real *x,
                  bool adds, real *y) {
    ptrdiff_t runs = s->units / s->share_units;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < s->rows; ++r)
        for (ptrdiff_t k = 0; k < runs; ++k) {
            real f = factor[r / s->share_rows * runs + k];
            ptrdiff_t i0 = r * s->units + k * s->share_units;
            for (ptrdiff_t i = i0; i < i0 + s->share_units; ++i) y[i] = adds ? y[i] + f * x[i] : f * x[i];
        }
}

/* Runs are added up in eight lanes. */
static double dot_run(const real *restrict a, const real *restrict b, ptrdiff_t n) {
    double lane[8] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) lane[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; ++i) lane[0] += (double)a[i] * (double)b[i];
    for (int k = 0; k < 8; ++k) total += lane[k];
    return total;
}

static void scale_grad(struct snn_device *device, const struct snn_scale_shape *s, const real *x, const real *gy,
                       bool adds, real *gfactor) {
    ptrdiff_t runs = s->units / s->share_units, factors = snn_scale_factors(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t f = 0; f < factors; ++f) {
        double sum = 0;
        ptrdiff_t r0 = f / runs * s->share_rows, i0 = f % runs * s->share_units;
        for (ptrdiff_t r = r0; r < r0 + s->share_rows; ++r)
            sum += dot_run(x + r * s->units + i0, gy + r * s->units + i0, s->share_units);
        gfactor[f] = (adds ? gfactor[f] : 0) + (real)sum;
    }
}

extern const struct snn_mix_kernels SNN_ISA(snn_mix_cpu);
const struct snn_mix_kernels SNN_ISA(snn_mix_cpu) = {
    .copy_rows = copy_rows,
    .clamp = clamp,
    .clamp_grad = clamp_grad,
    .join = join,
    .join_grad = join_grad,
    .scale = scale,
    .scale_grad = scale_grad,
};
