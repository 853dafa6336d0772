/* SPDX-License-Identifier: Apache-2.0
 * norm_cpu.c - normalisation on the CPU: one thread owns a (group, channel), so sums have one order for any number of
 * threads. */
#include <math.h>

#include "autograd/norm_flat_cpu.h"
#include "autograd/runs_cpu.h"
#include "core/isa.h"

static int32_t groups(const struct snn_norm_shape *s) { return s->joint ? 1 : s->T; }
static int32_t first_row(const struct snn_norm_shape *s, int32_t g) { return s->joint ? 0 : g * s->B; }
static int32_t group_rows(const struct snn_norm_shape *s) { return s->joint ? s->T * s->B : s->B; }

static void batch(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                  const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved, real *y) {
    int32_t G = groups(s), rows = group_rows(s);
    if (s->inner == 1 && (s->joint || !running_mean)) {
        SNN_ISA(snn_norm_flat)(device, s, x, w, b, mask, running_mean, running_var, saved, y);
        return;
    }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t g = 0; g < G; ++g) {
            int32_t r0 = first_row(s, g);
            double n = 0, sum = 0, squares = 0;
            for (int32_t r = r0; r < r0 + rows; ++r)
                if (!mask || mask[r])
                    sum += sum_run(x + ((ptrdiff_t)r * s->C + c) * s->inner, s->inner), n += (double)s->inner;
            double mean = n > 0 ? sum / n : 0;
            for (int32_t r = r0; r < r0 + rows; ++r)
                if (!mask || mask[r])
                    squares += sum_squares_run(x + ((ptrdiff_t)r * s->C + c) * s->inner, mean, s->inner);
            double var = n > 0 ? squares / n : 0, inverse = 1 / sqrt(var + s->eps);
            saved[((ptrdiff_t)g * s->C + c) * 2] = (real)mean;
            saved[((ptrdiff_t)g * s->C + c) * 2 + 1] = (real)inverse;
            if (running_mean && n > 0) {
                double keep = pow(1 - s->momentum, s->repeats), unbiased = n > 1 ? squares / (n - 1) : var;
                running_mean[c] = (real)(keep * running_mean[c] + (1 - keep) * mean);
                running_var[c] = (real)(keep * running_var[c] + (1 - keep) * unbiased);
            }
            real scale = (real)inverse * w[c], shift = b[c] - (real)mean * scale;
            for (int32_t r = r0; r < r0 + rows; ++r) {
                const real *restrict from = x + ((ptrdiff_t)r * s->C + c) * s->inner;
                real *restrict to = y + ((ptrdiff_t)r * s->C + c) * s->inner;
                for (ptrdiff_t i = 0; i < s->inner; ++i) to[i] = from[i] * scale + shift;
            }
        }
}

static void batch_eval(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const real *b, const real *running_mean, const real *running_var, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t plane = 0; plane < (ptrdiff_t)s->T * s->B * s->C; ++plane) {
        ptrdiff_t c = plane % s->C;
        real scale = (real)(1 / sqrt((double)running_var[c] + s->eps)) * w[c], shift = b[c] - running_mean[c] * scale;
        for (ptrdiff_t i = plane * s->inner; i < (plane + 1) * s->inner; ++i) y[i] = x[i] * scale + shift;
    }
}

static void batch_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const uint8_t *mask, const real *saved, const real *gy, real *partial, real *gw, real *gb,
                       bool adds, real *gx) {
    int32_t G = groups(s), rows = group_rows(s);
    if (s->inner == 1) SNN_ISA(snn_norm_flat_grad)(device, s, x, w, mask, saved, gy, partial, adds, gx);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < (s->inner == 1 ? 0 : s->C); ++c)
        for (int32_t g = 0; g < G; ++g) {
            int32_t r0 = first_row(s, g);
            double mean = saved[((ptrdiff_t)g * s->C + c) * 2], inverse = saved[((ptrdiff_t)g * s->C + c) * 2 + 1];
            double n = 0, sum = 0,
                   dot = 0; /* over all rows: a masked row's gradient is 0 unless a layer behind it makes some */
            double sum_all = 0, dot_all = 0;
            for (int32_t r = r0; r < r0 + rows; ++r) {
                const real *g_run = gy + ((ptrdiff_t)r * s->C + c) * s->inner,
                           *x_run = x + ((ptrdiff_t)r * s->C + c) * s->inner;
                sum_all += sum_run(g_run, s->inner), dot_all += dot_run(g_run, x_run, mean, s->inner);
                if (!mask || mask[r]) n += (double)s->inner;
            }
            sum = sum_all, dot = dot_all * inverse;
            partial[((ptrdiff_t)g * s->C + c) * 2] = (real)dot;
            partial[((ptrdiff_t)g * s->C + c) * 2 + 1] = (real)sum;
            double scale = w[c] * inverse;
            for (int32_t r = r0; r < r0 + rows; ++r) {
                ptrdiff_t at = ((ptrdiff_t)r * s->C + c) * s->inner;
                bool counts = (!mask || mask[r]) && n > 0;
                real a = (real)scale, k = counts ? (real)(-scale * inverse * dot / n) : 0;
                real m = counts ? (real)(-scale * sum / n) - k * (real)mean : 0;
                for (ptrdiff_t i = at; i < at + s->inner; ++i) gx[i] = (adds ? gx[i] : 0) + (a * gy[i] + k * x[i] + m);
            }
        }
    for (int32_t g = 0; g < G; ++g)
        for (int32_t c = 0; c < s->C; ++c) {
            gw[c] += partial[((ptrdiff_t)g * s->C + c) * 2];
            gb[c] += partial[((ptrdiff_t)g * s->C + c) * 2 + 1];
        }
}

static void batch_eval_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                            const real *running_mean, const real *running_var, const real *gy, real *gw, real *gb,
                            bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < s->C; ++c) {
        double inverse = 1 / sqrt((double)running_var[c] + s->eps), sum = 0, dot = 0;
        for (ptrdiff_t r = 0; r < (ptrdiff_t)s->T * s->B; ++r) {
            ptrdiff_t at = (r * s->C + c) * s->inner;
            sum += sum_run(gy + at, s->inner), dot += dot_run(gy + at, x + at, running_mean[c], s->inner);
            real scale = (real)(w[c] * inverse);
            for (ptrdiff_t i = at; i < at + s->inner; ++i) gx[i] = (adds ? gx[i] : 0) + gy[i] * scale;
        }
        gw[c] += (real)(dot * inverse), gb[c] += (real)sum;
    }
}

static void layer(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, double eps, const real *x, const real *w,
                  const real *b, real *saved, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const real *from = x + r * units;
        double mean = sum_run(from, units) / (double)units;
        double inverse = 1 / sqrt(sum_squares_run(from, mean, units) / (double)units + eps);
        if (saved) saved[2 * r] = (real)mean, saved[2 * r + 1] = (real)inverse;
        for (ptrdiff_t i = 0; i < units; ++i) y[r * units + i] = (from[i] - (real)mean) * (real)inverse * w[i] + b[i];
    }
}

static void layer_grad(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, const real *w,
                       const real *saved, const real *gy, real *gw, real *gb, bool adds, real *gx) {
    /* Parameters first (gx may be gy): a thread owns a block of units. */
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i0 = 0; i0 < units; i0 += 64)
        for (ptrdiff_t i = i0; i < i0 + 64 && i < units; ++i) {
            double sum = 0, dot = 0;
            for (ptrdiff_t r = 0; r < rows; ++r) {
                sum += gy[r * units + i];
                dot += gy[r * units + i] * (x[r * units + i] - saved[2 * r]) * saved[2 * r + 1];
            }
            gw[i] += (real)dot, gb[i] += (real)sum;
        }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const real *g = gy + r * units, *from = x + r * units;
        double mean = saved[2 * r], inverse = saved[2 * r + 1], sum = 0, dot = 0;
        for (ptrdiff_t i = 0; i < units; ++i) sum += g[i] * w[i], dot += g[i] * w[i] * (from[i] - mean) * inverse;
        sum /= (double)units, dot /= (double)units;
        for (ptrdiff_t i = 0; i < units; ++i) {
            double normal = (from[i] - mean) * inverse;
            gx[r * units + i] = (adds ? gx[r * units + i] : 0) + (real)(inverse * (g[i] * w[i] - sum - normal * dot));
        }
    }
}

extern const struct snn_norm_kernels SNN_ISA(snn_norm_cpu);
const struct snn_norm_kernels SNN_ISA(snn_norm_cpu) = {
    .batch = batch,
    .batch_eval = batch_eval,
    .batch_grad = batch_grad,
    .batch_eval_grad = batch_eval_grad,
    .layer = layer,
    .layer_grad = layer_grad,
};
