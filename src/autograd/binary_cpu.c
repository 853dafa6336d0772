/* SPDX-License-Identifier: Apache-2.0
 * binary_cpu.c - binary weights and activations on the CPU: one thread owns a row, so sums have one order for any
 * number of threads. Numbers pass in blocks, so that the sines are vectors. */
#include "autograd/binary.h"

#include <math.h>

#include "autograd/runs_cpu.h"
#include "core/isa.h"
#include "core/rmath.h"

enum { BLOCK = 256 };

static inline real sign_of(real x) { return (real)((x > 0) - (x < 0)); }

/* b, and f cos(f w) / f, of up to BLOCK weights. */
static void waves(const real *restrict w, ptrdiff_t n, real frequency, bool square, real *restrict b,
                  real *restrict cosine) {
    for (ptrdiff_t i = 0; i < n; ++i) b[i] = r_sine(frequency * w[i], &cosine[i]);
    for (ptrdiff_t i = 0; square && i < n; ++i) b[i] = sign_of(b[i]);
}

#define EACH_BLOCK(n, from, count)                                                                                     \
    for (ptrdiff_t from = 0, count; count = (n)-from < BLOCK ? (n)-from : BLOCK, from < (n); from += BLOCK)

static void periodic(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                     const real *w, const real *alpha, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t r = 0; r < s->rows; ++r) {
        real scale = alpha ? alpha[r] : 1, b[BLOCK], cosine[BLOCK];
        EACH_BLOCK(s->n, from, count) {
            ptrdiff_t at = r * s->n + from;
            waves(w + at, count, *frequency, s->square, b, cosine);
            for (ptrdiff_t i = 0; i < count; ++i) y[at + i] = scale * b[i];
        }
    }
}

static void periodic_grad(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                          const real *w, const real *alpha, const real *gy, real *gw, real *galpha) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t r = 0; r < s->rows; ++r) {
        real scale = (alpha ? alpha[r] : 1) * *frequency, b[BLOCK], cosine[BLOCK];
        double sum = 0;
        EACH_BLOCK(s->n, from, count) {
            ptrdiff_t at = r * s->n + from;
            waves(w + at, count, *frequency, s->square, b, cosine);
            sum += dot_run(gy + at, b, 0, count);
            for (ptrdiff_t i = 0; gw && i < count; ++i) gw[at + i] += scale * cosine[i] * gy[at + i];
        }
        if (galpha) galpha[r] += (real)sum;
    }
}

static void sign(struct snn_device *device, const struct snn_sign_shape *s, const real *x, real *saved, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < s->rows; ++r) {
        const real *restrict from = x + r * s->n;
        real *restrict to = y + r * s->n;
        if (s->scaled) {
            double mean = sum_run(from, s->n) / (double)s->n;
            saved[r] = (real)(1 / sqrt(sum_squares_run(from, mean, s->n) / (double)(s->n - 1) + s->eps));
        }
        real inverse = s->scaled ? saved[r] : 1;
        for (ptrdiff_t i = 0; i < s->n; ++i) to[i] = sign_of(from[i]);
        for (ptrdiff_t i = 0; s->smooth && i < s->n; ++i) { /* 2a - a|a| up to 1 */
            real a = from[i] * inverse, size = a < 0 ? -a : a;
            if (size < 1) to[i] = a * (2 - size);
        }
    }
}

/* With a0 = a v, v = 1/s and h = gy max(0, 2 - 2|a0|):
 *   ga = v h - v^3 (a - mean) / (n - 1) sum(h a), the second part where the row is scaled */
static void sign_grad(struct snn_device *device, const struct snn_sign_shape *s, const real *x, const real *saved,
                      const real *gy, bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < s->rows; ++r) {
        const real *from = x + r * s->n, *up = gy + r * s->n;
        real *to = gx + r * s->n, inverse = s->scaled ? saved[r] : 1, h[BLOCK];
        real mean = 0, coupling = 0;
        if (s->scaled) {
            double dot = 0;
            EACH_BLOCK(s->n, first, count) {
                for (ptrdiff_t i = 0; i < count; ++i) {
                    real size = inverse * (from[first + i] < 0 ? -from[first + i] : from[first + i]);
                    h[i] = size < 1 ? up[first + i] * (2 - 2 * size) : 0;
                }
                dot += dot_run(h, from + first, 0, count);
            }
            mean = (real)(sum_run(from, s->n) / (double)s->n);
            coupling = (real)(pow(inverse, 3) * dot / (double)(s->n - 1));
        }
        for (ptrdiff_t i = 0; i < s->n; ++i) {
            real size = inverse * (from[i] < 0 ? -from[i] : from[i]);
            real value = (size < 1 ? inverse * up[i] * (2 - 2 * size) : 0) - coupling * (from[i] - mean);
            to[i] = adds ? to[i] + value : value;
        }
    }
}

const struct snn_binary_kernels SNN_ISA(snn_binary_cpu) = {
    .periodic = periodic, .periodic_grad = periodic_grad, .sign = sign, .sign_grad = sign_grad};
