/* SPDX-License-Identifier: Apache-2.0
 * delay_cpu.c - synapses with delays on the CPU: making kernels, and the table of which the convolution over time
 * (delay_conv_cpu.c) is a part. Compiled once an instruction set (core/isa.h).
 *
 * Kernels lie tap by tap, so that a block of synapses is worked on in vectors whatever their positions are. */
#include "autograd/delay_cpu.h"

#include <math.h>

#include "autograd/vector_cpu.h"
#include "core/rmath.h"

enum { BLOCK = 64 }; /* synapses */

/* ---- bumps ---- */

struct block { /* one element of each of some synapses */
    ptrdiff_t first, count;
    real weight[BLOCK], p[BLOCK], width[BLOCK], sign[BLOCK], scale[BLOCK]; /* scale: 1 / (sum of g + e) */
};

static real width_of(const struct snn_delay_elements *e, real sigma) {
    real size = sigma < 0 ? -sigma : sigma;
    return e->version == SNN_DELAY_GAUSS ? size + (real)0.27 : e->version == SNN_DELAY_MAX ? size + 1 : 1;
}

static void take_block(const struct snn_delay_shape *s, const struct snn_delay_elements *e, ptrdiff_t element,
                       struct block *b) {
    real last = (real)(s->taps - 1);
    for (ptrdiff_t j = 0; j < b->count; ++j) {
        ptrdiff_t at = (b->first + j) * s->count + element;
        real p = e->position[at] + (real)(s->taps / 2), sigma = e->width ? e->width[at] : *e->sigma;
        if (e->rounded)
            p = (real)(s->taps / 2) + (real)rint((double)e->position[at]), p = p < 0 ? 0 : p > last ? last : p;
        b->weight[j] = e->weight[at], b->p[j] = p;
        b->width[j] = e->rounded ? 1 : width_of(e, sigma);
        b->sign[j] = (real)((sigma > 0) - (sigma < 0));
    }
    for (ptrdiff_t j = b->count; j < BLOCK; ++j) b->weight[j] = b->sign[j] = 0, b->p[j] = 0, b->width[j] = 1;
}

/* g of tap n */
static inline real bump(bool gauss, real away, real width) {
    if (gauss) {
        real z = away / width;
        return r_exp((real)-0.5 * z * z);
    }
    real left = width - (away < 0 ? -away : away);
    return left > 0 ? left : 0;
}

static bool is_gauss(const struct snn_delay_elements *e) { return e->version == SNN_DELAY_GAUSS && !e->rounded; }
static bool is_split(const struct snn_delay_elements *e) { return e->version == SNN_DELAY_V0 && !e->rounded; }

static void add_up(const struct snn_delay_shape *s, const struct snn_delay_elements *e, struct block *b) {
    bool gauss = is_gauss(e);
    real sum[BLOCK] = {0};
    if (is_split(e)) { /* v0: the same triangle, not normalised */
        for (ptrdiff_t j = 0; j < BLOCK; ++j) b->scale[j] = 1;
        return;
    }
    for (int32_t n = 0; n < s->taps; ++n)
        for (ptrdiff_t j = 0; j < BLOCK; ++j) sum[j] += bump(gauss, (real)n - b->p[j], b->width[j]);
    for (ptrdiff_t j = 0; j < BLOCK; ++j) b->scale[j] = 1 / (sum[j] + SNN_DELAY_EPS);
}

static void build(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_elements *e,
                  real *kernel) {
    ptrdiff_t synapses = snn_delay_synapses(s);
    bool gauss = is_gauss(e);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t first = 0; first < synapses; first += BLOCK) {
        struct block b = {.first = first, .count = least(BLOCK, synapses - first)};
        for (int32_t k = 0; k < s->count; ++k) {
            take_block(s, e, k, &b);
            add_up(s, e, &b);
            for (int32_t n = 0; n < s->taps; ++n) {
                real *to = kernel + n * synapses + first, value[BLOCK];
                for (ptrdiff_t j = 0; j < BLOCK; ++j)
                    value[j] = b.weight[j] * (bump(gauss, (real)n - b.p[j], b.width[j]) * b.scale[j]);
                for (ptrdiff_t j = 0; j < b.count; ++j) to[j] = k ? to[j] + value[j] : value[j];
            }
        }
    }
}

/* ---- gradients: for q = P, S    dh[n]/dq = (dg[n]/dq - h[n] sum_m dg[m]/dq) / (sum_m g[m] + e) ---- */

struct sums { /* over the taps; G is the kernel's gradient */
    real g[BLOCK];
    real position[BLOCK], position_g[BLOCK]; /* of dg/dP and G dg/dP */
    real width[BLOCK], width_g[BLOCK];
};

static void sum_gradients(const struct snn_delay_shape *s, const struct snn_delay_elements *e, const struct block *b,
                          const real *gkernel, struct sums *sums) {
    ptrdiff_t synapses = snn_delay_synapses(s);
    bool gauss = is_gauss(e), split = is_split(e);
    *sums = (struct sums){{0}, {0}, {0}, {0}, {0}};
    for (int32_t n = 0; n < s->taps; ++n) {
        const real *from = gkernel + n * synapses + b->first;
        real G[BLOCK] = {0};
        for (ptrdiff_t j = 0; j < b->count; ++j) G[j] = from[j];
        for (ptrdiff_t j = 0; j < BLOCK; ++j) {
            real away = (real)n - b->p[j], g = bump(gauss, away, b->width[j]), by_p, by_s;
            if (gauss) {
                by_p = g * away / (b->width[j] * b->width[j]);
                by_s = by_p * away / b->width[j];
            } else {
                by_s = g > 0 ? 1 : 0;
                by_p = g > 0 ? (real)((away > 0) - (away < 0)) : 0;
            }
            if (split) by_p = away > -1 && away <= 0 ? -1 : away > 0 && away <= 1 ? 1 : 0; /* floor has none */
            sums->g[j] += G[j] * g;
            sums->position[j] += by_p, sums->position_g[j] += G[j] * by_p;
            sums->width[j] += by_s, sums->width_g[j] += G[j] * by_s;
        }
    }
    for (ptrdiff_t j = 0; j < BLOCK && split; ++j) sums->position[j] = 0; /* not normalised */
}

static void build_grad(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_elements *e,
                       const real *gkernel, real *gweight, real *gposition, real *gwidth) {
    ptrdiff_t synapses = snn_delay_synapses(s);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t first = 0; first < synapses; first += BLOCK) {
        struct block b = {.first = first, .count = least(BLOCK, synapses - first)};
        struct sums sums;
        for (int32_t k = 0; k < s->count; ++k) {
            take_block(s, e, k, &b);
            add_up(s, e, &b);
            sum_gradients(s, e, &b, gkernel, &sums);
            for (ptrdiff_t j = 0; j < b.count; ++j) {
                ptrdiff_t at = (first + j) * s->count + k;
                real h = sums.g[j] * b.scale[j], by = b.weight[j] * b.scale[j];
                if (gweight) gweight[at] += h;
                if (gposition) gposition[at] += by * (sums.position_g[j] - h * sums.position[j]);
                if (gwidth) gwidth[at] += b.sign[j] * by * (sums.width_g[j] - h * sums.width[j]);
            }
        }
    }
}

extern const struct snn_delay_kernels SNN_ISA(snn_delay_cpu);
const struct snn_delay_kernels SNN_ISA(snn_delay_cpu) = {
    .build = build,
    .build_grad = build_grad,
    .scratch = SNN_ISA(snn_delay_scratch),
    .forward = SNN_ISA(snn_delay_forward),
    .grad_input = SNN_ISA(snn_delay_grad_input),
    .grad_kernel = SNN_ISA(snn_delay_grad_kernel),
    .expand = SNN_ISA(snn_delay_expand),
    .shift = SNN_ISA(snn_delay_shift),
    .shift_grad = SNN_ISA(snn_delay_shift_grad),
};
