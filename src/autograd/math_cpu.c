/* SPDX-License-Identifier: Apache-2.0
 * math_cpu.c - linear layers and element-wise kernels on the CPU. Compiled once an instruction set (core/isa.h). */
#include <string.h>

#include "autograd/math.h"
#include "core/isa.h"
#include "core/rng.h"

enum {
    LINEAR_ROWS = 128, /* rows of one GEMM call */
    SPIKE_ROWS = 32,   /* rows of one block of row adds */
    WEIGHT_OUT = 64,   /* a block of the weight gradient */
    WEIGHT_IN = 512,
    ELEMENTS = 16384 /* of one block of an element-wise kernel */
};
/* Above this share of ones, expanding the bits and one GEMM is faster than adding a weight row for each spike. */
#define DENSE_FROM 0.25

static ptrdiff_t blocks(ptrdiff_t n, ptrdiff_t size) { return (n + size - 1) / size; }
static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* ---- linear ---- */

static size_t linear_scratch(int threads, const struct snn_linear_shape *s) {
    return ((size_t)s->in * (size_t)s->out + (size_t)threads * LINEAR_ROWS * (size_t)s->in) * sizeof(real);
}

static bool worth_dense(const struct snn_linear_shape *s, const struct snn_rows *x) {
    int64_t spikes = 0;
    for (ptrdiff_t r = 0; r < s->rows; ++r) spikes += x->nonzero[r];
    return (double)spikes > DENSE_FROM * (double)s->rows * s->in;
}

static void add_weight_rows(const struct snn_linear_shape *s, const uint64_t *bits, ptrdiff_t words, const real *wt,
                            const real *b, real *restrict y) {
    for (ptrdiff_t o = 0; o < s->out; ++o) y[o] = b ? b[o] : 0;
    for (ptrdiff_t w = 0; w < words; ++w)
        for (uint64_t word = bits[w]; word; word &= word - 1) {
            const real *restrict row = wt + (w * 64 + __builtin_ctzll(word)) * s->out;
            for (ptrdiff_t o = 0; o < s->out; ++o) y[o] += row[o];
        }
}

static void linear_spikes(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                          const real *w, const real *b, real *y, real *wt) {
    for (ptrdiff_t o = 0; o < s->out; ++o)
        for (ptrdiff_t i = 0; i < s->in; ++i) wt[i * s->out + o] = w[o * s->in + i];
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(s->rows, SPIKE_ROWS); ++block) {
        ptrdiff_t end = least((block + 1) * SPIKE_ROWS, s->rows);
        for (ptrdiff_t r = block * SPIKE_ROWS; r < end; ++r)
            add_weight_rows(s, x->bits + r * x->words, x->words, wt, b, y + r * s->out);
    }
}

static void linear(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x, const real *w,
                   const real *b, real *y, void *scratch) {
    real *wt = scratch, *dense = wt + (ptrdiff_t)s->in * s->out;
    if (x->bits && !worth_dense(s, x)) {
        linear_spikes(device, s, x, w, b, y, wt);
        return;
    }
    ptrdiff_t count = blocks(s->rows, LINEAR_ROWS);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t block = lane * count / device->threads; block < (lane + 1) * count / device->threads; ++block) {
            ptrdiff_t r0 = block * LINEAR_ROWS, rows = least(LINEAR_ROWS, s->rows - r0);
            real *out = y + r0 * s->out, *buffer = dense + lane * LINEAR_ROWS * s->in;
            const real *from = x->bits ? buffer : x->dense + r0 * s->in;
            for (ptrdiff_t r = 0; x->bits && r < rows; ++r) snn_rows_expand(x, r0 + r, s->in, buffer + r * s->in);
            for (ptrdiff_t r = 0; b && r < rows; ++r) memcpy(out + r * s->out, b, (size_t)s->out * sizeof *b);
            snn_gemm(false, true, rows, s->out, s->in, 1, from, s->in, w, s->in, b ? 1 : 0, out, s->out);
        }
}

static void linear_grad_input(struct snn_device *device, const struct snn_linear_shape *s, const real *gy,
                              const real *w, bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(s->rows, LINEAR_ROWS); ++block) {
        ptrdiff_t r0 = block * LINEAR_ROWS, rows = least(LINEAR_ROWS, s->rows - r0);
        snn_gemm(false, false, rows, s->in, s->out, 1, gy + r0 * s->out, s->out, w, s->in, adds, gx + r0 * s->in,
                 s->in);
    }
}

/* gw += gy^T x for the inputs i0..i1-1 from bits: a gradient row of `out` numbers is added for each spike. gwt (in,out)
 * is scratch. */
static void grad_weight_spikes(const struct snn_linear_shape *s, const struct snn_rows *x, const real *gy, ptrdiff_t w0,
                               ptrdiff_t w1, real *gwt, real *gw) {
    ptrdiff_t i0 = w0 * 64, i1 = least(w1 * 64, s->in);
    memset(gwt + i0 * s->out, 0, (size_t)(i1 - i0) * (size_t)s->out * sizeof *gwt);
    for (ptrdiff_t r = 0; r < s->rows; ++r) {
        const real *restrict g = gy + r * s->out;
        for (ptrdiff_t w = w0; w < w1; ++w)
            for (uint64_t word = x->bits[r * x->words + w]; word; word &= word - 1) {
                real *restrict row = gwt + (w * 64 + __builtin_ctzll(word)) * s->out;
                for (ptrdiff_t o = 0; o < s->out; ++o) row[o] += g[o];
            }
    }
    for (ptrdiff_t o = 0; o < s->out; ++o)
        for (ptrdiff_t i = i0; i < i1; ++i) gw[o * s->in + i] += gwt[i * s->out + o];
}

static void grad_bias(struct snn_device *device, const struct snn_linear_shape *s, const real *gy, real *gb) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(s->out, 16); ++block)
        for (ptrdiff_t o = block * 16; o < least((block + 1) * 16, s->out); ++o) {
            double sum = 0;
            for (ptrdiff_t r = 0; r < s->rows; ++r) sum += gy[r * s->out + o];
            gb[o] += (real)sum;
        }
}

static void linear_grad_weight(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                               const real *gy, real *gw, real *gb, void *scratch) {
    real *gwt = scratch, *dense = gwt + (ptrdiff_t)s->in * s->out;
    if (gb) grad_bias(device, s, gy, gb);
    if (x->bits && !worth_dense(s, x)) {
        ptrdiff_t step = blocks(x->words, 8);
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t w = 0; w < x->words; w += step)
            grad_weight_spikes(s, x, gy, w, least(w + step, x->words), gwt, gw);
        return;
    }
    ptrdiff_t outs = blocks(s->out, WEIGHT_OUT), ins = blocks(s->in, WEIGHT_IN);
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += LINEAR_ROWS) { /* bits: a block of rows at a time */
        ptrdiff_t rows = x->bits ? least(LINEAR_ROWS, s->rows - r0) : s->rows;
        const real *from = x->bits ? dense : x->dense;
        for (ptrdiff_t r = 0; x->bits && r < rows; ++r) snn_rows_expand(x, r0 + r, s->in, dense + r * s->in);
#pragma omp parallel for num_threads(device->threads) schedule(static) collapse(2)
        for (ptrdiff_t o = 0; o < outs; ++o)
            for (ptrdiff_t i = 0; i < ins; ++i) {
                ptrdiff_t o0 = o * WEIGHT_OUT, i0 = i * WEIGHT_IN;
                snn_gemm(true, false, least(WEIGHT_OUT, s->out - o0), least(WEIGHT_IN, s->in - i0), rows, 1,
                         gy + r0 * s->out + o0, s->out, from + i0, s->in, 1, gw + o0 * s->in + i0, s->in);
            }
        if (!x->bits) break;
    }
}

/* ---- element-wise ---- */

static void add(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, ptrdiff_t b_n, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static) collapse(2)
    for (ptrdiff_t repeat = 0; repeat < n / b_n; ++repeat)
        for (ptrdiff_t block = 0; block < blocks(b_n, ELEMENTS); ++block) {
            ptrdiff_t end = least((block + 1) * ELEMENTS, b_n);
            for (ptrdiff_t i = block * ELEMENTS; i < end; ++i) y[repeat * b_n + i] = a[repeat * b_n + i] + b[i];
        }
}

static void accumulate(struct snn_device *device, ptrdiff_t n, const real *x, bool adds, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(n, ELEMENTS); ++block) {
        ptrdiff_t i0 = block * ELEMENTS, end = least(i0 + ELEMENTS, n);
        if (!adds) memcpy(y + i0, x + i0, (size_t)(end - i0) * sizeof *y);
        else
            for (ptrdiff_t i = i0; i < end; ++i) y[i] += x[i];
    }
}

static void sum_over_time(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, bool adds, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(n, ELEMENTS); ++block) {
        ptrdiff_t i0 = block * ELEMENTS, end = least(i0 + ELEMENTS, n);
        for (int32_t t = 0; t < T; ++t)
            for (ptrdiff_t i = i0; i < end; ++i) y[i] = (t || adds ? y[i] : 0) + x[t * n + i];
    }
}

static void dropout_mask(struct snn_device *device, int32_t B, int32_t units, const uint32_t *clock, uint32_t layer,
                         const int32_t *sample, const struct snn_dropout *p, uint64_t *mask) {
    ptrdiff_t words = (units + 63) / 64;
    uint64_t seed = clock[0] | (uint64_t)clock[1] << 32;
    uint64_t limit = p->limit;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b)
        for (ptrdiff_t w = 0; w < words; ++w) {
            uint64_t word = 0;
            ptrdiff_t bits = least(64, units - w * 64);
            for (ptrdiff_t i = 0; i < bits; i += 4) {
                uint32_t draw[4];
                snn_rng_block(seed, SNN_RNG_DROPOUT | layer << 8, clock[2], (uint32_t)sample[b],
                              (uint32_t)(w * 16 + i / 4), draw);
                for (ptrdiff_t k = 0; k < 4 && i + k < bits; ++k) word |= (uint64_t)(draw[k] < limit) << (i + k);
            }
            mask[b * words + w] = word;
        }
}

static void dropout(struct snn_device *device, ptrdiff_t rows, int32_t B, int32_t units, const uint64_t *mask,
                    const struct snn_dropout *p, const real *x, real *y) {
    ptrdiff_t words = (units + 63) / 64;
    real scale = p->scale;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        const uint64_t *m = mask + r % B * words;
        for (ptrdiff_t i = 0; i < units; ++i)
            y[r * units + i] = m[i / 64] >> (i % 64) & 1 ? x[r * units + i] * scale : 0;
    }
}

static void count_nonzero(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        int32_t count = 0;
        for (ptrdiff_t i = 0; i < units; ++i) count += x[r * units + i] != 0;
        nonzero[r] = count;
    }
}

static void add_counts(struct snn_device *device, int32_t T, int32_t B, bool is_static, const int32_t *nonzero,
                       const int32_t *length, int64_t *sum) {
    (void)device;
    int64_t count = 0;
    for (int32_t t = 0; t < T; ++t)
        for (int32_t b = 0; b < B; ++b)
            if (!length || t < length[b]) count += nonzero[(is_static ? 0 : (ptrdiff_t)t * B) + b];
    *sum += count;
}

static void cut_lengths(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *length,
                        int32_t *cut_length, uint8_t *mask) {
    (void)device;
    for (int32_t b = 0; b < B; ++b) {
        int32_t left = length[b] - t0;
        cut_length[b] = left < 0 ? 0 : left > T ? T : left;
        for (int32_t t = 0; t < T; ++t) mask[(ptrdiff_t)t * B + b] = t < cut_length[b];
    }
}

/* ---- input ---- */

static void load_frames(struct snn_device *device, int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                        const float *frames, real *y, int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)T * B; ++r) {
        const float *from = frames + (r / B * stride + r % B) * units;
        int32_t count = 0;
        for (ptrdiff_t i = 0; i < units; ++i) {
            y[r * units + i] = (real)from[i];
            count += from[i] != 0;
        }
        if (nonzero) nonzero[r] = count;
    }
}

static void load_events(struct snn_device *device, int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                        const int32_t *row, const int32_t *index, const float *value, real *y, int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)T * B; ++r) {
        const int32_t *at = row + r / B * stride + r % B;
        memset(y + r * units, 0, (size_t)units * sizeof *y);
        for (int32_t e = at[0]; e < at[1]; ++e) y[r * units + index[e]] = value ? (real)value[e] : 1;
        if (nonzero) nonzero[r] = at[1] - at[0];
    }
}

extern const struct snn_math_kernels SNN_ISA(snn_math_cpu);
const struct snn_math_kernels SNN_ISA(snn_math_cpu) = {
    .linear_scratch = linear_scratch,
    .linear = linear,
    .linear_grad_input = linear_grad_input,
    .linear_grad_weight = linear_grad_weight,
    .add = add,
    .accumulate = accumulate,
    .sum_over_time = sum_over_time,
    .dropout_mask = dropout_mask,
    .dropout = dropout,
    .count_nonzero = count_nonzero,
    .add_counts = add_counts,
    .cut_lengths = cut_lengths,
    .load_frames = load_frames,
    .load_events = load_events,
};
