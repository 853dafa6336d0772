/* SPDX-License-Identifier: Apache-2.0
 * math_cpu.c - element-wise kernels on the CPU, and the table of which those of linear layers are a part. Compiled once
 * an instruction set (core/isa.h). */
#include <string.h>

#include "autograd/linear_cpu.h"
#include "autograd/math.h"
#include "core/isa.h"
#include "core/rng.h"

enum { ELEMENTS = 16384 }; /* of one block of an element-wise kernel */

static ptrdiff_t blocks(ptrdiff_t n, ptrdiff_t size) { return (n + size - 1) / size; }
static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

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

static void fill(struct snn_device *device, ptrdiff_t n, real value, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(n, ELEMENTS); ++block)
        for (ptrdiff_t i = block * ELEMENTS; i < least((block + 1) * ELEMENTS, n); ++i) y[i] = value;
}

static void multiply(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, bool adds, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(n, ELEMENTS); ++block) {
        ptrdiff_t end = least((block + 1) * ELEMENTS, n);
        if (adds)
            for (ptrdiff_t i = block * ELEMENTS; i < end; ++i) y[i] += a[i] * b[i];
        else
            for (ptrdiff_t i = block * ELEMENTS; i < end; ++i) y[i] = a[i] * b[i];
    }
}

/* Row r of x times gain is added to y. */
static void add_row(const struct snn_rows *x, ptrdiff_t r, ptrdiff_t units, real gain, real *restrict y) {
    if (x->lists.row) {
        struct snn_entries e = snn_lists_row(&x->lists, r);
        for (int32_t k = 0; k < e.count; ++k) y[e.index[k]] += e.value ? gain * (real)e.value[k] : gain;
    } else if (x->bits) {
        const uint64_t *bits = x->bits + r * x->words;
        for (ptrdiff_t w = 0; w < x->words; ++w)
            for (uint64_t left = bits[w]; left; left &= left - 1) y[w * 64 + __builtin_ctzll(left)] += gain;
    } else {
        const real *restrict from = x->dense + r * units;
        for (ptrdiff_t i = 0; i < units; ++i) y[i] += gain * from[i];
    }
}

static void trace(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t units, const struct snn_rows *x,
                  real decay, real gain, const real *before, bool last, real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b)
        for (int32_t t = 0; t < T; ++t) {
            const ptrdiff_t r = (ptrdiff_t)t * B + b;
            real *now = y + (last ? b : r) * units;
            const real *past = t ? now - (last ? 0 : B * units) : before ? before + b * units : NULL;
            for (ptrdiff_t i = 0; i < units; ++i) now[i] = past ? decay * past[i] : 0;
            add_row(x, r, units, gain, now);
        }
}

static void trace_back(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, real decay, real gain,
                       real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(n, ELEMENTS); ++block) {
        const ptrdiff_t begin = block * ELEMENTS, end = least(begin + ELEMENTS, n);
        for (int32_t t = T - 1; t >= 0; --t) {
            const real *from = x + t * n;
            real *now = y + t * n;
            for (ptrdiff_t i = begin; i < end; ++i) now[i] = (t + 1 < T ? decay * now[i + n] : 0) + gain * from[i];
        }
    }
}

static void dropout_mask(struct snn_device *device, const struct snn_dropout_shape *s, const uint32_t *clock,
                         uint32_t layer, const int32_t *sample, const struct snn_dropout *p, uint64_t *mask) {
    ptrdiff_t words = snn_dropout_words(s), runs = s->units / s->inner;
    uint64_t seed = clock[0] | (uint64_t)clock[1] << 32;
    uint64_t limit = p->limit;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)s->T * s->B; ++r) {
        uint32_t step = (uint32_t)(s->t0 + r / s->B), first = step * (uint32_t)words * 16;
        for (ptrdiff_t w = 0; w < words; ++w) {
            uint64_t word = 0;
            ptrdiff_t bits = least(64, runs - w * 64);
            for (ptrdiff_t i = 0; i < bits; i += 4) {
                uint32_t draw[4];
                snn_rng_block(seed, SNN_RNG_DROPOUT | layer << 8, clock[2], (uint32_t)sample[r % s->B],
                              first + (uint32_t)(w * 16 + i / 4), draw);
                for (ptrdiff_t k = 0; k < 4 && i + k < bits; ++k) word |= (uint64_t)(draw[k] < limit) << (i + k);
            }
            mask[r * words + w] = word;
        }
    }
}

static void dropout(struct snn_device *device, const struct snn_dropout_shape *s, const uint64_t *mask,
                    const struct snn_dropout *p, const real *x, real *y) {
    ptrdiff_t words = snn_dropout_words(s), period = (ptrdiff_t)s->T * s->B;
    real scale = p->scale;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < s->rows; ++r) {
        const uint64_t *m = mask + r % period * words;
        const real *from = x + r * s->units;
        real *to = y + r * s->units;
        if (s->inner == 1) {
            for (ptrdiff_t i = 0; i < s->units; ++i) to[i] = m[i / 64] >> (i % 64) & 1 ? from[i] * scale : 0;
            continue;
        }
        for (ptrdiff_t k = 0; k < s->units / s->inner; ++k) {
            bool keep = m[k / 64] >> (k % 64) & 1;
            for (ptrdiff_t i = k * s->inner; i < (k + 1) * s->inner; ++i) to[i] = keep ? from[i] * scale : 0;
        }
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
                       const int32_t *length, int32_t less, int64_t *sum) {
    (void)device;
    int64_t count = 0;
    for (int32_t t = 0; t < T; ++t)
        for (int32_t b = 0; b < B; ++b)
            if (!length || t < length[b] - less) count += nonzero[(is_static ? 0 : (ptrdiff_t)t * B) + b];
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

static void load_events(struct snn_device *device, int32_t T, ptrdiff_t units, const struct snn_lists *x, real *y,
                        int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)T * x->B; ++r) {
        const struct snn_entries e = snn_lists_row(x, r);
        if (nonzero) nonzero[r] = e.count;
        if (!y) continue;
        memset(y + r * units, 0, (size_t)units * sizeof *y);
        for (int32_t k = 0; k < e.count; ++k) y[r * units + e.index[k]] = e.value ? (real)e.value[k] : 1;
    }
}

static void find_rows(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *first,
                      const int32_t *step, int32_t *row) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b) {
        int32_t at = first[b], end = first[b + 1];
        for (int32_t last = end; at < last;) { /* halve what may be the first entry of the cut */
            int32_t middle = at + (last - at) / 2;
            if (step[middle] < t0) at = middle + 1;
            else last = middle;
        }
        for (int32_t t = 0; t <= T; ++t) {
            row[(ptrdiff_t)b * (T + 1) + t] = at;
            while (t < T && at < end && step[at] == t0 + t) ++at;
        }
    }
}

extern const struct snn_math_kernels SNN_ISA(snn_math_cpu);
const struct snn_math_kernels SNN_ISA(snn_math_cpu) = {
    .linear_scratch = SNN_ISA(snn_linear_scratch),
    .linear = SNN_ISA(snn_linear),
    .linear_grad_input = SNN_ISA(snn_linear_grad_input),
    .linear_grad_weight = SNN_ISA(snn_linear_grad_weight),
    .add = add,
    .accumulate = accumulate,
    .sum_over_time = sum_over_time,
    .fill = fill,
    .multiply = multiply,
    .trace = trace,
    .trace_back = trace_back,
    .dropout_mask = dropout_mask,
    .dropout = dropout,
    .count_nonzero = count_nonzero,
    .add_counts = add_counts,
    .cut_lengths = cut_lengths,
    .load_frames = load_frames,
    .load_events = load_events,
    .find_rows = find_rows,
};
