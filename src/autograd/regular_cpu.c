/* SPDX-License-Identifier: Apache-2.0
 * regular_cpu.c - counts of spikes, and what they and weights cost, on the CPU. */
#include <string.h>

#include "autograd/regular_point.h"
#include "core/isa.h"

/* Spikes are few: a row costs as many additions as it has ones. */
static void count(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const struct snn_rows *x,
                  const uint8_t *mask, real *to) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b) {
        real *restrict c = to + b * N;
        memset(c, 0, (size_t)N * sizeof *c);
        for (int32_t t = 0; t < T; ++t) {
            ptrdiff_t r = (ptrdiff_t)t * B + b;
            if (mask && !mask[r]) continue;
            if (!x->bits) {
                const real *restrict row = x->dense + r * N;
                for (ptrdiff_t i = 0; i < N; ++i) c[i] += row[i];
                continue;
            }
            for (int32_t w = 0; w < x->words; ++w)
                for (uint64_t bits = x->bits[r * x->words + w]; bits; bits &= bits - 1)
                    c[(ptrdiff_t)w * 64 + __builtin_ctzll(bits)] += 1;
        }
    }
}

static void penalise(struct snn_device *device, const struct snn_penalty *p, const real *counts, double *sample,
                     bool adds, real *slope) {
    ptrdiff_t N = (ptrdiff_t)p->groups * p->size;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < p->B; ++b) {
        double unit = p->rate ? 1.0 / ((p->length ? p->length[b] : p->steps) + p->appended) : 1, loss = 0;
        for (int32_t g = 0; g < p->groups; ++g) {
            const real *c = counts + b * N + (ptrdiff_t)g * p->size;
            real *s = slope + b * N + (ptrdiff_t)g * p->size;
            double x = 0, dx;
            for (int32_t i = 0; i < p->size; ++i) x += c[i];
            loss += p->factor * snn_penalty_of_activity(p, x / p->size * unit, &dx);
            real each = (real)(*p->scale * p->factor * dx / p->size * unit);
            for (int32_t i = 0; i < p->size; ++i) s[i] = adds ? s[i] + each : each;
        }
        sample[b] += loss;
    }
}

static void total(struct snn_device *device, int32_t B, ptrdiff_t N, const real *counts, double factor, bool adds,
                  real *to) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b) {
        double sum = 0;
        for (ptrdiff_t i = 0; i < N; ++i) sum += counts[b * N + i];
        to[b] = (real)(factor * sum + (adds ? (double)to[b] : 0));
    }
}

static void spread(struct snn_device *device, int32_t B, ptrdiff_t N, const real *total_slope, double factor, bool adds,
                   real *slope) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b) {
        real each = (real)(factor * total_slope[b]);
        for (ptrdiff_t i = 0; i < N; ++i) slope[b * N + i] = adds ? slope[b * N + i] + each : each;
    }
}

static void push(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const real *slope, const uint8_t *mask,
                 bool adds, real *g) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)T * B; ++r) {
        const real *restrict s = slope + r % B * N;
        real *restrict to = g + r * N;
        bool counts = !mask || mask[r];
        if (!adds && !counts) memset(to, 0, (size_t)N * sizeof *to);
        else if (!adds) memcpy(to, s, (size_t)N * sizeof *to);
        else if (counts)
            for (ptrdiff_t i = 0; i < N; ++i) to[i] += s[i];
    }
}

/* In blocks, whose sums are added up in order: the same for any number of threads. */
enum { BLOCK = 1 << 14, ROUND = 64 };
static void weigh(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n, const real *w,
                  double factor, double *sum) {
    double part[ROUND], all = 0;
    for (ptrdiff_t from = 0; from < n; from += (ptrdiff_t)BLOCK * ROUND) {
        int32_t parts = (int32_t)((n - from + BLOCK - 1) / BLOCK);
        parts = parts < ROUND ? parts : ROUND;
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (int32_t k = 0; k < parts; ++k) {
            ptrdiff_t first = from + (ptrdiff_t)k * BLOCK, last = first + BLOCK < n ? first + BLOCK : n;
            real slope;
            part[k] = 0;
            for (ptrdiff_t i = first; i < last; ++i) part[k] += snn_penalty_of_weight(kind, omega, w[i], &slope);
        }
        for (int32_t k = 0; k < parts; ++k) all += part[k];
    }
    *sum += factor * all;
}

static void weigh_grad(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n,
                       const real *w, double factor, const double *scale, real *g) {
    real by = (real)(factor * *scale);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; ++i) {
        real slope;
        snn_penalty_of_weight(kind, omega, w[i], &slope);
        g[i] += by * slope;
    }
}

extern const struct snn_regular_kernels SNN_ISA(snn_regular_cpu);
const struct snn_regular_kernels SNN_ISA(snn_regular_cpu) = {.count = count,
                                                             .penalise = penalise,
                                                             .total = total,
                                                             .spread = spread,
                                                             .push = push,
                                                             .weigh = weigh,
                                                             .weigh_grad = weigh_grad};
