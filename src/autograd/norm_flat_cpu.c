/* SPDX-License-Identifier: Apache-2.0
 * norm_flat_cpu.c - batch normalisation of flat rows, whose channels are neighbours: a thread owns a block of channels
 * and goes through the rows once a sum. Sums are in double and in the order of the rows, as in norm_cpu.c. */
#include <math.h>

#include "autograd/norm_flat_cpu.h"

enum { CHANNELS = 32 }; /* of a block: two lines of the cache in float */

struct block {
    ptrdiff_t r0, rows, c0, count, C;
};

static struct block block_of(const struct snn_norm_shape *s, ptrdiff_t item) {
    ptrdiff_t across = (s->C + CHANNELS - 1) / CHANNELS, rows = s->joint ? (ptrdiff_t)s->T * s->B : s->B;
    struct block b = {.r0 = item / across * rows, .rows = rows, .c0 = item % across * CHANNELS, .C = s->C};
    b.count = s->C - b.c0 < CHANNELS ? s->C - b.c0 : CHANNELS;
    return b;
}
static ptrdiff_t items_of(const struct snn_norm_shape *s) {
    return (s->joint ? 1 : s->T) * ((s->C + CHANNELS - 1) / (ptrdiff_t)CHANNELS);
}

/* Rows that count. */
static double rows_of(const struct block *b, const uint8_t *mask) {
    double n = 0;
    for (ptrdiff_t r = b->r0; r < b->r0 + b->rows; ++r) n += !mask || mask[r];
    return n;
}

#define EACH_ROW(b, mask)                                                                                              \
    for (ptrdiff_t r = (b)->r0; r < (b)->r0 + (b)->rows; ++r)                                                          \
        if (!(mask) || (mask)[r])

/* A whole block has a constant length, for the compiler's sake. */
static inline __attribute__((always_inline)) void moments(const struct block *b, ptrdiff_t count, const real *x,
                                                          const uint8_t *mask, double n, double *mean,
                                                          double *squares) {
    double sum[CHANNELS] = {0}, square[CHANNELS] = {0}, centre[CHANNELS];
    EACH_ROW(b, mask) {
        const real *from = x + r * b->C + b->c0;
        for (ptrdiff_t c = 0; c < count; ++c) sum[c] += (double)from[c];
    }
    for (ptrdiff_t c = 0; c < count; ++c) centre[c] = mean[c] = n > 0 ? sum[c] / n : 0;
    EACH_ROW(b, mask) {
        const real *from = x + r * b->C + b->c0;
        for (ptrdiff_t c = 0; c < count; ++c)
            square[c] += ((double)from[c] - centre[c]) * ((double)from[c] - centre[c]);
    }
    for (ptrdiff_t c = 0; c < count; ++c) squares[c] = square[c];
}

static inline __attribute__((always_inline)) void apply(const struct block *b, ptrdiff_t count, const real *x,
                                                        const real *scale, const real *shift, real *y) {
    real by[CHANNELS], plus[CHANNELS];
    for (ptrdiff_t c = 0; c < count; ++c) by[c] = scale[c], plus[c] = shift[c];
    for (ptrdiff_t r = b->r0; r < b->r0 + b->rows; ++r) {
        const real *from = x + r * b->C + b->c0;
        real *restrict to = y + r * b->C + b->c0;
        for (ptrdiff_t c = 0; c < count; ++c) to[c] = from[c] * by[c] + plus[c];
    }
}

void SNN_ISA(snn_norm_flat)(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                            const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved,
                            real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t item = lane * items_of(s) / device->threads; item < (lane + 1) * items_of(s) / device->threads;
             ++item) {
            struct block at = block_of(s, item);
            ptrdiff_t g = at.r0 / at.rows;
            double n = rows_of(&at, mask), mean[CHANNELS], squares[CHANNELS];
            real scale[CHANNELS], shift[CHANNELS];
            if (at.count == CHANNELS) moments(&at, CHANNELS, x, mask, n, mean, squares);
            else moments(&at, at.count, x, mask, n, mean, squares);
            for (ptrdiff_t c = 0; c < at.count; ++c) {
                double var = n > 0 ? squares[c] / n : 0, inverse = 1 / sqrt(var + s->eps);
                real *to = saved + (g * s->C + at.c0 + c) * 2;
                to[0] = (real)mean[c], to[1] = (real)inverse;
                ptrdiff_t p = g * s->step + at.c0 + c;
                scale[c] = (real)inverse * number(w, p, 1), shift[c] = number(b, p, 0) - (real)mean[c] * scale[c];
                if (!running_mean || !(s->joint || s->step) || !(n > 0)) continue;
                double keep = pow(1 - s->momentum, s->repeats), unbiased = n > 1 ? squares[c] / (n - 1) : var;
                real *m = running_mean + p, *v = running_var + p;
                *m = (real)(keep * *m + (1 - keep) * mean[c]), *v = (real)(keep * *v + (1 - keep) * unbiased);
            }
            if (at.count == CHANNELS) apply(&at, CHANNELS, x, scale, shift, y);
            else apply(&at, at.count, x, scale, shift, y);
        }
}

static inline __attribute__((always_inline)) void products(const struct block *b, ptrdiff_t count, const real *x,
                                                           const real *gy, const double *mean, double *sum,
                                                           double *dot) {
    double total[CHANNELS] = {0}, product[CHANNELS] = {0}, centre[CHANNELS];
    for (ptrdiff_t c = 0; c < count; ++c) centre[c] = mean[c];
    for (ptrdiff_t r = b->r0; r < b->r0 + b->rows; ++r) {
        const real *from = x + r * b->C + b->c0, *g = gy + r * b->C + b->c0;
        for (ptrdiff_t c = 0; c < count; ++c)
            total[c] += (double)g[c], product[c] += (double)g[c] * ((double)from[c] - centre[c]);
    }
    for (ptrdiff_t c = 0; c < count; ++c) sum[c] = total[c], dot[c] = product[c];
}

static inline __attribute__((always_inline)) void spread(const struct block *b, ptrdiff_t count, const real *x,
                                                         const real *gy, const uint8_t *mask, const real *scale,
                                                         const real *slope, const real *shift, bool adds, real *gx) {
    for (ptrdiff_t r = b->r0; r < b->r0 + b->rows; ++r) {
        const real *from = x + r * b->C + b->c0, *g = gy + r * b->C + b->c0;
        real *to = gx + r * b->C + b->c0; /* may be gy */
        bool counts = !mask || mask[r];
        real value[CHANNELS];
        for (ptrdiff_t c = 0; c < count; ++c)
            value[c] =
                (adds ? to[c] : 0) + (counts ? scale[c] * g[c] + slope[c] * from[c] + shift[c] : scale[c] * g[c]);
        for (ptrdiff_t c = 0; c < count; ++c) to[c] = value[c];
    }
}

void SNN_ISA(snn_norm_flat_grad)(struct snn_device *device, const struct snn_norm_shape *s, const real *x,
                                 const real *w, const uint8_t *mask, const real *saved, const real *gy, real *partial,
                                 bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t item = lane * items_of(s) / device->threads; item < (lane + 1) * items_of(s) / device->threads;
             ++item) {
            struct block at = block_of(s, item);
            ptrdiff_t first = at.r0 / at.rows * s->C + at.c0;
            double n = rows_of(&at, mask), mean[CHANNELS], sum[CHANNELS], dot[CHANNELS];
            real scale[CHANNELS], slope[CHANNELS], shift[CHANNELS];
            for (ptrdiff_t c = 0; c < at.count; ++c) mean[c] = saved[(first + c) * 2];
            if (at.count == CHANNELS) products(&at, CHANNELS, x, gy, mean, sum, dot);
            else products(&at, at.count, x, gy, mean, sum, dot);
            for (ptrdiff_t c = 0; c < at.count; ++c) {
                double inverse = saved[(first + c) * 2 + 1],
                       by = number(w, at.r0 / at.rows * s->step + at.c0 + c, 1) * inverse;
                dot[c] *= inverse;
                partial[(first + c) * 2] = (real)dot[c], partial[(first + c) * 2 + 1] = (real)sum[c];
                scale[c] = (real)by, slope[c] = n > 0 ? (real)(-by * inverse * dot[c] / n) : 0;
                shift[c] = n > 0 ? (real)(-by * sum[c] / n) - slope[c] * (real)mean[c] : 0;
            }
            if (at.count == CHANNELS) spread(&at, CHANNELS, x, gy, mask, scale, slope, shift, adds, gx);
            else spread(&at, at.count, x, gy, mask, scale, slope, shift, adds, gx);
        }
}
