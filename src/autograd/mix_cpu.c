/* SPDX-License-Identifier: Apache-2.0
 * mix_cpu.c - joins, factors, clamps and products over time on the CPU. */
#include <string.h>

#include "autograd/math.h"
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

/* ---- products over time: blocks of columns by blocks of steps, each a matrix product of its own ---- */

enum { STEPS_COLUMNS = 1024, STEPS_ROWS = 64 };

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static void steps(struct snn_device *device, const struct snn_steps_shape *s, const real *w, bool transposed,
                  const real *b, const real *x, real *y) {
    ptrdiff_t down = (s->T + STEPS_ROWS - 1) / STEPS_ROWS, across = (s->n + STEPS_COLUMNS - 1) / STEPS_COLUMNS;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < down * across; ++item) {
        ptrdiff_t i0 = item / down * STEPS_COLUMNS, n = smaller(STEPS_COLUMNS, s->n - i0);
        ptrdiff_t t0 = item % down * STEPS_ROWS, rows = smaller(STEPS_ROWS, s->T - t0);
        for (ptrdiff_t t = t0; b && t < t0 + rows; ++t)
            for (ptrdiff_t i = i0; i < i0 + n; ++i) y[t * s->n + i] = b[t];
        snn_gemm(transposed, false, rows, n, s->T, 1, w + (transposed ? t0 : t0 * s->steps), s->steps, x + i0, s->n,
                 b ? 1 : 0, y + t0 * s->n + i0, s->n);
    }
}

static void steps_grad(struct snn_device *device, const struct snn_steps_shape *s, const real *x, const real *gy,
                       real *gw, void *scratch) {
    ptrdiff_t parts = snn_steps_parts(s), length = (s->n + parts - 1) / parts, T = s->T;
    ptrdiff_t down = (T + STEPS_ROWS - 1) / STEPS_ROWS;
    real *sums = scratch; /* (parts,T,T) */
    if (s->n < 1) return;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < parts * down; ++item) {
        ptrdiff_t part = item / down, i0 = part * length, n = smaller(length, s->n - i0);
        ptrdiff_t t0 = item % down * STEPS_ROWS, rows = smaller(STEPS_ROWS, T - t0);
        real *to = sums + (part * T + t0) * T;
        if (n > 0) snn_gemm(false, true, rows, T, n, 1, gy + t0 * s->n + i0, s->n, x + i0, s->n, 0, to, T);
        else memset(to, 0, (size_t)(rows * T) * sizeof *to);
    }
    for (ptrdiff_t t = 0; t < T; ++t)
        for (ptrdiff_t k = 0; k < T; ++k) {
            real sum = 0;
            for (ptrdiff_t part = 0; part < parts; ++part) sum += sums[(part * T + t) * T + k];
            gw[t * s->steps + k] += sum;
        }
}

static void mask_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const uint8_t *mask, const real *x,
                      bool adds, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const real *from = x + r * n;
        real *to = y + r * n;
        for (ptrdiff_t i = 0; adds && mask[r] && i < n; ++i) to[i] += from[i];
        if (adds) continue;
        if (mask[r]) memcpy(to, from, (size_t)n * sizeof *to);
        else memset(to, 0, (size_t)n * sizeof *to);
    }
}

/* Rows do not overlap, or are the same element by element. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* ---- steps of spiking LSTMs: rows of a sample, which do not overlap or are the same ---- */

static void lstm(struct snn_device *device, const struct snn_lstm_step *s) {
    const ptrdiff_t n = s->n;
    const enum snn_lstm_reset reset = s->reset;
    const bool strict = s->strict;
    const real theta = *s->theta;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t b = 0; b < s->B; ++b) {
        const real *x = s->x + 4 * b * n, *again = s->again + 4 * b * n, *c_before = s->c_before + b * n;
        const real *m_before = s->m_before + b * n;
        real *to = s->gates + 4 * b * n, *c = s->c + b * n, *m = s->m + b * n;
        INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) {
            struct snn_lstm_point y = snn_lstm_forward(reset, strict, theta, x[i] + again[i], x[n + i] + again[n + i],
                                                       x[2 * n + i] + again[2 * n + i], x[3 * n + i] + again[3 * n + i],
                                                       c_before[i], m_before[i]);
            to[i] = y.i, to[n + i] = y.f, to[2 * n + i] = y.g, to[3 * n + i] = y.o, c[i] = y.c, m[i] = y.m;
        }
    }
}

static void lstm_grad(struct snn_device *device, const struct snn_lstm_step *s) {
    const ptrdiff_t n = s->n;
    const enum snn_lstm_reset reset = s->reset;
    const bool strict = s->strict, later = s->gm_again != NULL;
    const real theta = *s->theta;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t b = 0; b < s->B; ++b) {
        const real *from = s->gates + 4 * b * n, *c = s->c + b * n, *c_before = s->c_before + b * n;
        const real *m_before = s->m_before + b * n, *gm = s->gm + b * n, *again = later ? s->gm_again + b * n : gm;
        real *ga = s->ga + 4 * b * n, *gc = s->gc + b * n;
        INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) {
            struct snn_lstm_point to =
                snn_lstm_backward(reset, strict, theta, from[i], from[n + i], from[2 * n + i], from[3 * n + i], c[i],
                                  c_before[i], m_before[i], gm[i] + (later ? again[i] : 0), gc[i]);
            ga[i] = to.i, ga[n + i] = to.f, ga[2 * n + i] = to.g, ga[3 * n + i] = to.o, gc[i] = to.c;
        }
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
    .steps = steps,
    .steps_grad = steps_grad,
    .mask_rows = mask_rows,
    .lstm = lstm,
    .lstm_grad = lstm_grad,
};
