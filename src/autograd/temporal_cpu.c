/* SPDX-License-Identifier: Apache-2.0
 * temporal_cpu.c - convolution of each channel with itself over time, on the CPU.
 *
 * A block of neighbouring numbers of a row is taken through all steps of a sample: the weights of its channels are
 * spread over its numbers once, then every tap is one multiplication of whole vectors, whatever the size of a channel.
 * The weight gradient is summed by number first, then by channel. Sums are in a fixed order, the same for any number of
 * threads. */
#include "autograd/temporal_cpu.h"

#include <string.h>

#include "autograd/vector_cpu.h"

enum { VECTORS = 4, BLOCK = VECTORS * LANES, MOST_TAPS = 256 };
typedef real block[BLOCK] __attribute__((aligned(64)));

struct span { /* a block of numbers of a row; the rest of it is not used */
    ptrdiff_t first, count;
};
static struct span span_at(const struct snn_temporal_shape *s, ptrdiff_t i) {
    ptrdiff_t units = s->C * s->inner;
    return (struct span){i * BLOCK, least(BLOCK, units - i * BLOCK)};
}
static ptrdiff_t spans_of(const struct snn_temporal_shape *s) { return blocks(s->C * s->inner, BLOCK); }

/* Numbers of one step of one sample: where they lie, or copied to `whole` where a vector would go too far. */
static const real *step_of(struct span span, const real *row, real *whole) {
    if (span.count == BLOCK) return row + span.first;
    memcpy(whole, row + span.first, (size_t)span.count * sizeof *whole);
    return whole;
}

static void spread(const struct snn_temporal_shape *s, struct span span, const real *w, block *to) {
    for (int32_t k = 0; k < s->taps; ++k)
        for (ptrdiff_t u = 0; u < BLOCK; ++u)
            to[k][u] = u < span.count ? w[(span.first + u) / s->inner * s->taps + k] : 0;
}

/* sum += w x */
static void add(const real *x, const real *w, vec *sum) {
    for (int v = 0; v < VECTORS; ++v)
        sum[v] += *(const vec_unaligned *)(w + v * LANES) * *(const vec_unaligned *)(x + v * LANES);
}

/* Row of step t, which may lie before step 0; NULL: there is none. */
static const real *row_of(const struct snn_temporal_shape *s, const real *x, const real *before, int32_t t, int32_t b) {
    ptrdiff_t units = s->C * s->inner;
    if (t >= 0) return x + ((ptrdiff_t)t * s->B + b) * units;
    return before ? before + ((ptrdiff_t)(snn_temporal_reach(s) + t) * s->B + b) * units : NULL;
}

void SNN_ISA(snn_temporal)(struct snn_device *device, const struct snn_temporal_shape *s, const real *x,
                           const real *before, const real *w, const real *b, real *y) {
    ptrdiff_t units = s->C * s->inner, spans = spans_of(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < spans; ++i) {
        struct span span = span_at(s, i);
        block weights[MOST_TAPS], bias, whole = {0};
        spread(s, span, w, weights);
        for (ptrdiff_t u = 0; u < BLOCK; ++u) bias[u] = b && u < span.count ? b[(span.first + u) / s->inner] : 0;
        for (int32_t r = 0; r < s->T * s->B; ++r) {
            int32_t t = r / s->B, sample = r % s->B;
            vec sum[VECTORS];
            block out;
            for (int v = 0; v < VECTORS; ++v) sum[v] = *(const vec *)(bias + v * LANES);
            for (int32_t k = 0; k < s->taps; ++k) {
                const real *row = row_of(s, x, before, t - snn_temporal_reach(s) + k * s->dilation, sample);
                if (row) add(step_of(span, row, whole), weights[k], sum);
            }
            for (int v = 0; v < VECTORS; ++v) *(vec *)(out + v * LANES) = sum[v];
            memcpy(y + r * units + span.first, out, (size_t)span.count * sizeof *y);
        }
    }
}

/* gx[t] = sum over k of w[k] gy[t + S - k d] */
void SNN_ISA(snn_temporal_grad_input)(struct snn_device *device, const struct snn_temporal_shape *s, const real *gy,
                                      const real *w, bool adds, real *gx) {
    ptrdiff_t units = s->C * s->inner, spans = spans_of(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i = 0; i < spans; ++i) {
        struct span span = span_at(s, i);
        block weights[MOST_TAPS], whole = {0};
        spread(s, span, w, weights);
        for (int32_t r = 0; r < s->T * s->B; ++r) {
            int32_t t = r / s->B, sample = r % s->B;
            vec sum[VECTORS] = {{0}};
            block out;
            for (int32_t k = s->taps - 1; k >= 0; --k) {
                int32_t from = t + snn_temporal_reach(s) - k * s->dilation;
                if (from < s->T) add(step_of(span, row_of(s, gy, NULL, from, sample), whole), weights[k], sum);
            }
            for (int v = 0; v < VECTORS; ++v) *(vec *)(out + v * LANES) = sum[v];
            real *to = gx + r * units + span.first;
            for (ptrdiff_t u = 0; u < span.count; ++u) to[u] = adds ? to[u] + out[u] : out[u];
        }
    }
}

size_t SNN_ISA(snn_temporal_scratch)(const struct snn_temporal_shape *s) {
    return (size_t)(s->taps * spans_of(s) * BLOCK) * sizeof(real);
}

/* to (BLOCK) = products of gy with what tap k read, over all rows */
static void weigh(const struct snn_temporal_shape *s, struct span span, int32_t k, const real *x, const real *before,
                  const real *gy, real *to) {
    vec sum[VECTORS] = {{0}};
    block whole[2] = {{0}};
    for (int32_t r = 0; r < s->T * s->B; ++r) {
        int32_t t = r / s->B, sample = r % s->B;
        const real *row = row_of(s, x, before, t - snn_temporal_reach(s) + k * s->dilation, sample);
        if (row) add(step_of(span, row, whole[0]), step_of(span, row_of(s, gy, NULL, t, sample), whole[1]), sum);
    }
    for (int v = 0; v < VECTORS; ++v) *(vec *)(to + v * LANES) = sum[v];
}

void SNN_ISA(snn_temporal_grad_weight)(struct snn_device *device, const struct snn_temporal_shape *s, const real *x,
                                       const real *before, const real *gy, real *gw, void *scratch) {
    ptrdiff_t spans = spans_of(s), padded = spans * BLOCK;
    real *sums = scratch; /* (taps, padded) */
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < spans * s->taps; ++item) {
        ptrdiff_t i = item / s->taps;
        int32_t k = (int32_t)(item % s->taps);
        weigh(s, span_at(s, i), k, x, before, gy, sums + k * padded + i * BLOCK);
    }
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t k = 0; k < s->taps; ++k) gw[c * s->taps + k] += sum_of(sums + k * padded + c * s->inner, s->inner);
}
