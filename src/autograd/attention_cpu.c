/* SPDX-License-Identifier: Apache-2.0
 * attention_cpu.c - attention on the CPU. */
#include <math.h>

#include "autograd/attention.h"
#include "autograd/math.h"
#include "core/isa.h"

static void products(struct snn_device *device, const struct snn_products *p, const real *a, const real *b, bool adds,
                     real *y) {
    ptrdiff_t m = p->m, n = p->n, k = p->k;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < p->count; ++i)
        snn_gemm(p->transpose_a, p->transpose_b, m, n, k, (real)p->alpha, a + i * m * k, p->transpose_a ? m : k,
                 b + i * k * n, p->transpose_b ? k : n, adds ? 1 : 0, y + i * m * n, n);
}

static void pool_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, real *mean,
                      real *largest, int32_t *where) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const real *row = x + r * units;
        double lane[8] = {0}, sum = 0;
        ptrdiff_t best = 0;
        for (ptrdiff_t i = 0; i < units; ++i) {
            lane[i % 8] += row[i];
            if (row[i] > row[best]) best = i;
        }
        for (int k = 0; k < 8; ++k) sum += lane[k];
        mean[r] = (real)(sum / (double)units), largest[r] = row[best], where[r] = (int32_t)best;
    }
}

static void spread_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *gy, const real *share,
                        const real *gmean, const real *glargest, const int32_t *where, bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        real each = gmean[r] / (real)units;
        for (ptrdiff_t i = r * units; i < (r + 1) * units; ++i) gx[i] = (adds ? gx[i] : 0) + (share[r] * gy[i] + each);
        gx[r * units + where[r]] += glargest[r];
    }
}

/* Number t of what was pooled from sample b. */
static real pooled(const struct snn_shares_shape *s, const uint8_t *mask, const real *x, int32_t t, int32_t b) {
    ptrdiff_t at = (ptrdiff_t)t * s->B + b;
    return mask && !mask[at] ? 0 : x[at];
}

static void shares(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask, const real *mean,
                   const real *largest, const real *w1, const real *w2, real *hidden, real *share) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < s->B; ++b) {
        real *h = hidden + (ptrdiff_t)b * 2 * s->hidden;
        for (int32_t k = 0; k < 2 * s->hidden; ++k) {
            const real *w = w1 + (ptrdiff_t)(k % s->hidden) * s->steps;
            double sum = 0;
            for (int32_t t = 0; t < s->T; ++t)
                sum += (double)w[t] * pooled(s, mask, k < s->hidden ? mean : largest, t, b);
            h[k] = sum > 0 ? (real)sum : 0;
        }
        for (int32_t t = 0; t < s->T; ++t) {
            double sum = 0;
            for (int32_t k = 0; k < s->hidden; ++k)
                sum += (double)w2[(ptrdiff_t)t * s->hidden + k] * (h[k] + h[s->hidden + k]);
            share[(ptrdiff_t)t * s->B + b] = (real)(1 / (1 + exp(-sum)));
        }
    }
}

static void shares_grad(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask,
                        const real *mean, const real *largest, const real *w1, const real *w2, const real *hidden,
                        const real *share, const real *gshare, real *scratch, real *gw1, real *gw2, real *gmean,
                        real *glargest) {
    ptrdiff_t H = s->hidden, each = s->steps + 2 * H; /* of scratch: gradients of the sums, and of h and g */
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < s->B; ++b) {
        real *gsum = scratch + b * each, *gh = gsum + s->steps;
        const real *h = hidden + b * 2 * H;
        for (int32_t t = 0; t < s->T; ++t) {
            ptrdiff_t at = (ptrdiff_t)t * s->B + b;
            gsum[t] = gshare[at] * share[at] * (1 - share[at]);
        }
        for (ptrdiff_t k = 0; k < 2 * H; ++k) {
            double sum = 0;
            for (int32_t t = 0; t < s->T; ++t) sum += (double)w2[t * H + k % H] * gsum[t];
            gh[k] = h[k] > 0 ? (real)sum : 0;
        }
        for (int32_t t = 0; t < s->T; ++t) {
            ptrdiff_t at = (ptrdiff_t)t * s->B + b;
            double of_mean = 0, of_largest = 0;
            for (ptrdiff_t k = 0; k < H; ++k)
                of_mean += (double)w1[k * s->steps + t] * gh[k], of_largest += (double)w1[k * s->steps + t] * gh[H + k];
            bool counts = !mask || mask[at];
            gmean[at] = counts ? (real)of_mean : 0, glargest[at] = counts ? (real)of_largest : 0;
        }
    }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < H * s->T; ++i) {
        ptrdiff_t k = i / s->T;
        int32_t t = (int32_t)(i % s->T);
        double sum1 = 0, sum2 = 0;
        for (int32_t b = 0; b < s->B; ++b) {
            const real *gsum = scratch + b * each, *gh = gsum + s->steps, *h = hidden + b * 2 * H;
            sum1 += (double)gh[k] * pooled(s, mask, mean, t, b) + (double)gh[H + k] * pooled(s, mask, largest, t, b);
            sum2 += (double)gsum[t] * (h[k] + h[H + k]);
        }
        if (gw1) gw1[k * s->steps + t] += (real)sum1;
        if (gw2) gw2[t * H + k] += (real)sum2;
    }
}

extern const struct snn_attention_kernels SNN_ISA(snn_attention_cpu);
const struct snn_attention_kernels SNN_ISA(snn_attention_cpu) = {
    .products = products,
    .pool_rows = pool_rows,
    .spread_rows = spread_rows,
    .shares = shares,
    .shares_grad = shares_grad,
};
