/* SPDX-License-Identifier: Apache-2.0
 * weights_cpu.c - weights made of parameters, on the CPU: one thread owns a row, so sums have one order for any number
 * of threads. */
#include "autograd/weights.h"

#include <math.h>

#include "autograd/runs_cpu.h"
#include "core/isa.h"

static void rescale(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g, real *saved,
                    real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t r = 0; r < how->rows; ++r) {
        const real *restrict from = w + r * how->n;
        real *restrict to = y + r * how->n;
        double mean = how->centred ? sum_run(from, how->n) / (double)how->n : 0;
        double inverse = 1 / sqrt(how->factor * sum_squares_run(from, mean, how->n) + how->eps);
        saved[2 * r] = (real)mean, saved[2 * r + 1] = (real)inverse;
        real shift = (real)mean, scale = (real)(g[r] * inverse);
        for (ptrdiff_t i = 0; i < how->n; ++i) to[i] = (from[i] - shift) * scale;
    }
}

/* With d = w - mean, v = 1/sqrt(...), dot = sum(gy d):
 *   gg = v dot,   gd = g v (gy - factor v^2 d dot),   gw = gd - mean(gd) where centred; sum(d) is 0 there */
static void rescale_grad(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g,
                         const real *saved, const real *gy, real *gw, real *gg) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t r = 0; r < how->rows; ++r) {
        const real *restrict from = w + r * how->n, *restrict up = gy + r * how->n;
        double mean = saved[2 * r], inverse = saved[2 * r + 1], dot = dot_run(up, from, mean, how->n);
        if (gg) gg[r] += (real)(inverse * dot);
        if (!gw) continue;
        double scale = g[r] * inverse, along = how->factor * inverse * inverse * dot,
               level = how->centred ? sum_run(up, how->n) / (double)how->n : 0;
        real *restrict to = gw + r * how->n;
        for (ptrdiff_t i = 0; i < how->n; ++i) to[i] += (real)(scale * (up[i] - level - along * (from[i] - mean)));
    }
}

const struct snn_weights_kernels SNN_ISA(snn_weights_cpu) = {.rescale = rescale, .rescale_grad = rescale_grad};
