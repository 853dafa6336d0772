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
    if (s->inner == 1 && (s->joint || s->step || !running_mean)) {
        SNN_ISA(snn_norm_flat)(device, s, x, w, b, mask, running_mean, running_var, saved, y);
        return;
    }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t g = 0; g < G; ++g) {
            int32_t r0 = first_row(s, g);
            ptrdiff_t p = g * s->step + c;
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
                running_mean[p] = (real)(keep * running_mean[p] + (1 - keep) * mean);
                running_var[p] = (real)(keep * running_var[p] + (1 - keep) * unbiased);
            }
            real scale = (real)inverse * number(w, p, 1), shift = number(b, p, 0) - (real)mean * scale;
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
        ptrdiff_t c = plane % s->C, p = plane / s->C / s->B * s->step + c;
        real scale = (real)(1 / sqrt((double)running_var[p] + s->eps)) * number(w, p, 1),
             shift = number(b, p, 0) - running_mean[p] * scale;
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
            double scale = number(w, g * s->step + c, 1) * inverse;
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
            if (gw) gw[g * s->step + c] += partial[((ptrdiff_t)g * s->C + c) * 2];
            if (gb) gb[g * s->step + c] += partial[((ptrdiff_t)g * s->C + c) * 2 + 1];
        }
}

static void batch_eval_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                            const real *running_mean, const real *running_var, const real *gy, real *gw, real *gb,
                            bool adds, real *gx) {
    ptrdiff_t G = s->step ? s->T : 1, rows = s->T * (ptrdiff_t)s->B / G;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < s->C; ++c)
        for (ptrdiff_t g = 0; g < G; ++g) {
            ptrdiff_t p = g * s->step + c;
            double inverse = 1 / sqrt((double)running_var[p] + s->eps), sum = 0, dot = 0;
            for (ptrdiff_t r = g * rows; r < (g + 1) * rows; ++r) {
                ptrdiff_t at = (r * s->C + c) * s->inner;
                sum += sum_run(gy + at, s->inner), dot += dot_run(gy + at, x + at, running_mean[p], s->inner);
                real scale = (real)(number(w, p, 1) * inverse);
                for (ptrdiff_t i = at; i < at + s->inner; ++i) gx[i] = (adds ? gx[i] : 0) + gy[i] * scale;
            }
            if (gw) gw[p] += (real)(dot * inverse);
            if (gb) gb[p] += (real)sum;
        }
}

/* ---- rows ----
 * Loops over runs of units with one parameter; with `inner` the constant 1 they are loops over units. */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void normalise_group(const real *restrict x, const real *w, const real *b, real mean, real inverse,
                                   ptrdiff_t runs, ptrdiff_t inner, real *restrict y) {
    for (ptrdiff_t p = 0; p < runs; ++p)
        for (ptrdiff_t i = p * inner; i < (p + 1) * inner; ++i)
            y[i] = (x[i] - mean) * inverse * number(w, p, 1) + number(b, p, 0);
}

static void rows_forward(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                         const real *b, real *saved, real *y) {
    ptrdiff_t runs = s->units / s->inner;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t k = 0; k < s->rows * s->groups; ++k) {
        const real *from = x + k * s->units;
        ptrdiff_t p = k % s->groups * runs;
        double mean = s->centred ? sum_run(from, s->units) / (double)s->units : 0;
        double inverse = 1 / sqrt(sum_squares_run(from, mean, s->units) / (double)s->units + s->eps);
        if (saved) saved[2 * k] = (real)mean, saved[2 * k + 1] = (real)inverse;
        const real *wp = w ? w + p : w, *bp = b ? b + p : b;
        if (s->inner == 1) normalise_group(from, wp, bp, (real)mean, (real)inverse, runs, 1, y + k * s->units);
        else normalise_group(from, wp, bp, (real)mean, (real)inverse, runs, s->inner, y + k * s->units);
    }
}

struct group {
    const real *x, *w, *gy;
    double mean, inverse, units;
    bool centred;
};

ALWAYS_INLINE void group_gradient(const struct group *k, ptrdiff_t runs, ptrdiff_t inner, bool adds, real *gx) {
    double sum = 0, dot = 0;
    for (ptrdiff_t p = 0; p < runs; ++p)
        for (ptrdiff_t i = p * inner; i < (p + 1) * inner; ++i) {
            real weighted = k->gy[i] * number(k->w, p, 1);
            sum += weighted, dot += weighted * (k->x[i] - k->mean) * k->inverse;
        }
    sum = k->centred ? sum / k->units : 0, dot /= k->units;
    for (ptrdiff_t p = 0; p < runs; ++p)
        for (ptrdiff_t i = p * inner; i < (p + 1) * inner; ++i) {
            double normal = (k->x[i] - k->mean) * k->inverse;
            gx[i] = (adds ? gx[i] : 0) + (real)(k->inverse * (k->gy[i] * number(k->w, p, 1) - sum - normal * dot));
        }
}

static void rows_grad(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                      const real *saved, const real *gy, real *gw, real *gb, bool adds, real *gx) {
    /* Parameters first (gx may be gy): a thread owns a block of them. */
    ptrdiff_t width = s->groups * s->units, runs = s->units / s->inner, parameters = gw || gb ? s->groups * runs : 0;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t p0 = 0; p0 < parameters; p0 += 64)
        for (ptrdiff_t p = p0; p < p0 + 64 && p < parameters; ++p) {
            double sum = 0, dot = 0;
            for (ptrdiff_t r = 0; r < s->rows; ++r) {
                const real *of_group = saved + 2 * (r * s->groups + p / runs);
                ptrdiff_t i0 = r * width + p * s->inner;
                for (ptrdiff_t i = i0; i < i0 + s->inner; ++i)
                    sum += gy[i], dot += gy[i] * (x[i] - of_group[0]) * of_group[1];
            }
            if (gw) gw[p] += (real)dot;
            if (gb) gb[p] += (real)sum;
        }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t k = 0; k < s->rows * s->groups; ++k) {
        ptrdiff_t at = k * s->units;
        struct group group = {.x = x + at,
                              .w = w ? w + k % s->groups * runs : w,
                              .gy = gy + at,
                              .mean = saved[2 * k],
                              .inverse = saved[2 * k + 1],
                              .units = (double)s->units,
                              .centred = s->centred};
        if (s->inner == 1) group_gradient(&group, runs, 1, adds, gx + at);
        else group_gradient(&group, runs, s->inner, adds, gx + at);
    }
}

extern const struct snn_norm_kernels SNN_ISA(snn_norm_cpu);
const struct snn_norm_kernels SNN_ISA(snn_norm_cpu) = {
    .batch = batch,
    .batch_eval = batch_eval,
    .batch_grad = batch_grad,
    .batch_eval_grad = batch_eval_grad,
    .rows = rows_forward,
    .rows_grad = rows_grad,
};
