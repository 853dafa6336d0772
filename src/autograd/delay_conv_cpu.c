/* SPDX-License-Identifier: Apache-2.0
 * delay_conv_cpu.c - the convolution over time of synapses with delays, on the CPU.
 *
 * Where kernels are long, by spectra (delay_fourier_cpu.c); else directly: rows are (step, sample), so that a tap's
 * input is the same rows some steps earlier: a convolution is one matrix product a tap, added up where both have rows.
 */
#include <string.h>

#include "autograd/delay_cpu.h"
#include "autograd/math.h"
#include "autograd/vector_cpu.h"

enum { ROWS = 256, OUTS = 64 }; /* of one matrix product */
/* Spectra are taken from this share of the cost on. */
#define WORTH 0.8

static ptrdiff_t of_group(const struct snn_delay_shape *s, int32_t n) { return n / s->groups; }

/* Rows of x that lie before row 0 of y for tap n. */
static ptrdiff_t rows_before(const struct snn_delay_shape *s, const struct snn_delay_span *span, int32_t n) {
    return ((ptrdiff_t)span->before - (s->taps - 1) + n) * span->B;
}

/* The rows r0 <= r < r1 of y for which x has row r + shift. */
static void clip(ptrdiff_t shift, ptrdiff_t x_rows, ptrdiff_t *r0, ptrdiff_t *r1) {
    if (*r0 < -shift) *r0 = -shift;
    if (*r1 > x_rows - shift) *r1 = x_rows - shift;
}

void SNN_ISA(snn_delay_expand)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const struct snn_rows *x,
                               real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        real *to = y + r * units;
        const real *from = snn_rows_expand(x, r, units, to);
        if (from != to) memcpy(to, from, (size_t)units * sizeof *to);
    }
}

static size_t numbers_bytes(const struct snn_delay_shape *s, const struct snn_delay_span *span) {
    return (size_t)align_up((ptrdiff_t)span->x * span->B * s->in) * sizeof(real);
}

size_t SNN_ISA(snn_delay_scratch)(int threads, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                                  enum snn_form x) {
    size_t numbers = x == SNN_DENSE ? 0 : numbers_bytes(s, span);
    /* Of a shorter batch the share may be a little less than of the longest. */
    return numbers + (SNN_ISA(snn_delay_spectra_cost)(s, span) < 2 * WORTH
                          ? SNN_ISA(snn_delay_spectra_scratch)(threads, s, span)
                          : 0);
}

static bool by_spectra(const struct snn_delay_shape *s, const struct snn_delay_span *span) {
    return SNN_ISA(snn_delay_spectra_cost)(s, span) < WORTH;
}

/* Where spectra may lie in it. */
static void *behind_numbers(const struct snn_delay_shape *s, const struct snn_delay_span *span,
                            const struct snn_rows *x, void *scratch) {
    return (unsigned char *)scratch + (snn_rows_form(x) == SNN_DENSE ? 0 : numbers_bytes(s, span));
}

static const real *numbers_of(struct snn_device *device, const struct snn_delay_shape *s,
                              const struct snn_delay_span *span, const struct snn_rows *x, void *scratch) {
    if (snn_rows_form(x) == SNN_DENSE) return x->dense;
    SNN_ISA(snn_delay_expand)(device, (ptrdiff_t)span->x * span->B, s->in, x, scratch);
    return scratch;
}

void SNN_ISA(snn_delay_forward)(struct snn_device *device, const struct snn_delay_shape *s,
                                const struct snn_delay_span *span, const struct snn_rows *x, const real *kernel,
                                real *y, void *scratch) {
    const real *from = numbers_of(device, s, span, x, scratch);
    if (by_spectra(s, span)) {
        SNN_ISA(snn_delay_spectra_forward)(device, s, span, from, kernel, y, behind_numbers(s, span, x, scratch));
        return;
    }
    ptrdiff_t rows = (ptrdiff_t)span->y * span->B, x_rows = (ptrdiff_t)span->x * span->B;
    ptrdiff_t in = of_group(s, s->in), out = of_group(s, s->out), synapses = snn_delay_synapses(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(rows, ROWS); ++block) {
        ptrdiff_t begin = block * ROWS, end = least(begin + ROWS, rows);
        memset(y + begin * s->out, 0, (size_t)((end - begin) * s->out) * sizeof *y);
        for (int32_t n = 0; n < s->taps; ++n) {
            ptrdiff_t shift = rows_before(s, span, n), r0 = begin, r1 = end;
            clip(shift, x_rows, &r0, &r1);
            for (int32_t g = 0; g < s->groups && r0 < r1; ++g)
                snn_gemm(false, true, r1 - r0, out, in, 1, from + (r0 + shift) * s->in + g * in, s->in,
                         kernel + n * synapses + g * out * in, in, 1, y + r0 * s->out + g * out, s->out);
        }
    }
}

void SNN_ISA(snn_delay_grad_input)(struct snn_device *device, const struct snn_delay_shape *s,
                                   const struct snn_delay_span *span, const real *gy, const real *kernel, bool adds,
                                   real *gx, void *scratch) {
    if (by_spectra(s, span)) {
        SNN_ISA(snn_delay_spectra_grad_input)(device, s, span, gy, kernel, adds, gx, scratch);
        return;
    }
    ptrdiff_t rows = (ptrdiff_t)(span->x - span->before) * span->B, y_rows = (ptrdiff_t)span->y * span->B;
    ptrdiff_t in = of_group(s, s->in), out = of_group(s, s->out), synapses = snn_delay_synapses(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t block = 0; block < blocks(rows, ROWS); ++block) {
        ptrdiff_t begin = block * ROWS, end = least(begin + ROWS, rows);
        if (!adds) memset(gx + begin * s->in, 0, (size_t)((end - begin) * s->in) * sizeof *gx);
        for (int32_t n = 0; n < s->taps; ++n) {
            ptrdiff_t shift = (ptrdiff_t)(s->taps - 1 - n) * span->B, r0 = begin, r1 = end;
            clip(shift, y_rows, &r0, &r1);
            for (int32_t g = 0; g < s->groups && r0 < r1; ++g)
                snn_gemm(false, false, r1 - r0, in, out, 1, gy + (r0 + shift) * s->out + g * out, s->out,
                         kernel + n * synapses + g * out * in, in, 1, gx + r0 * s->in + g * in, s->in);
        }
    }
}

void SNN_ISA(snn_delay_grad_kernel)(struct snn_device *device, const struct snn_delay_shape *s,
                                    const struct snn_delay_span *span, const struct snn_rows *x, const real *gy,
                                    real *gkernel, void *scratch) {
    const real *from = numbers_of(device, s, span, x, scratch);
    if (by_spectra(s, span)) {
        SNN_ISA(snn_delay_spectra_grad_kernel)(device, s, span, from, gy, gkernel, behind_numbers(s, span, x, scratch));
        return;
    }
    ptrdiff_t rows = (ptrdiff_t)span->y * span->B, x_rows = (ptrdiff_t)span->x * span->B;
    ptrdiff_t in = of_group(s, s->in), out = of_group(s, s->out), synapses = snn_delay_synapses(s);
    ptrdiff_t across = blocks(out, OUTS), items = s->taps * s->groups * across;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < items; ++item) {
        ptrdiff_t o0 = item % across * OUTS, g = item / across % s->groups;
        int32_t n = (int32_t)(item / across / s->groups);
        ptrdiff_t shift = rows_before(s, span, n), r0 = 0, r1 = rows;
        clip(shift, x_rows, &r0, &r1);
        if (r0 < r1)
            snn_gemm(true, false, least(OUTS, out - o0), in, r1 - r0, 1, gy + r0 * s->out + g * out + o0, s->out,
                     from + (r0 + shift) * s->in + g * in, s->in, 1, gkernel + n * synapses + (g * out + o0) * in, in);
    }
}
