/* SPDX-License-Identifier: Apache-2.0
 * ultra_cpu.c - the scan over whole rows on the CPU. A work item is some whole rings of one sample over all steps.
 * Charge, neighbours, fire and adjoint are passes over pieces of CHUNK units, so that code grows with the sum of the
 * variants; what a ring hands to its neighbours crosses pieces in rows of scratch. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/isa.h"
#include "layers/ultra.h"

enum { CHUNK = SNN_ULTRA_CHUNK };
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__ /* which does not know it, and checks at run time */
#define UNLESS_SAME
#else /* arrays do not overlap, unless they are one and the same */
#define UNLESS_SAME _Pragma("GCC ivdep")
#endif

static bool couples(const struct snn_ultra_spec *spec) {
    return spec->charge == SNN_ULTRA_DILATE || spec->charge == SNN_ULTRA_SPREAD;
}

/* ---- neighbours ---- */

/* Of units j0 .. j0+n-1 of a row of rings, `left` and `right` (n) in it. */
static void neighbours(const struct snn_ultra_spec *spec, const real *row, ptrdiff_t j0, ptrdiff_t n,
                       real *restrict left, real *restrict right) {
    ptrdiff_t ring = spec->ring, first = j0 / ring * ring;
    for (ptrdiff_t i = 0; i < n; ++i) left[i] = row[j0 + i - (i > 0 || j0 > 0)];
    memcpy(right, row + j0 + 1, (size_t)(n - 1) * sizeof *right); /* the last unit of all ends a ring */
    right[n - 1] = row[(j0 + n) % ring ? j0 + n : j0 + n - ring];
    for (ptrdiff_t j = first; j < j0 + n; j += ring) {
        if (j >= j0) left[j - j0] = row[j + ring - 1];
        if (j + ring - 1 < j0 + n) right[j + ring - 1 - j0] = row[j];
    }
}

/* ---- forward ---- */

/* U of a piece, from V of the step before; u may be x. */
static void charge(const struct snn_ultra_spec *spec, const struct snn_ultra *numbers, const real *v, ptrdiff_t j0,
                   ptrdiff_t n, const real *x, real *u) {
    const struct snn_ultra k = *numbers;
    const real *restrict own = v + j0;
    real left[CHUNK], right[CHUNK];
    switch (spec->charge) {
    case SNN_ULTRA_MAXIMUM:
        if (spec->hard)
            for (ptrdiff_t i = 0; i < n; ++i) u[i] = own[i] + k.offset >= x[i] ? own[i] + k.offset : x[i];
        else
            for (ptrdiff_t i = 0; i < n; ++i) u[i] = ultra_two(&k, own[i] + k.offset, x[i]).soft;
        break;
    case SNN_ULTRA_LINEAR:
    case SNN_ULTRA_SPREAD:
        UNLESS_SAME
        for (ptrdiff_t i = 0; i < n; ++i) u[i] = k.tau * own[i] + x[i];
        break;
    case SNN_ULTRA_DILATE:
        neighbours(spec, v, j0, n, left, right);
        if (spec->hard) {
            for (ptrdiff_t i = 0; i < n; ++i) u[i] = ultra_largest(left[i], own[i], right[i]) + x[i];
            break;
        }
        UNLESS_SAME
        for (ptrdiff_t i = 0; i < n; ++i) u[i] = ultra_three(&k, left[i], own[i], right[i]).soft + x[i];
        break;
    }
}

/* M of a piece: U itself, or `row`. */
static const real *what_fires(const struct snn_ultra_spec *spec, const struct snn_ultra *numbers, const real *u,
                              ptrdiff_t j0, ptrdiff_t n, real *restrict row) {
    const struct snn_ultra k = *numbers;
    const real *own = u + j0;
    real left[CHUNK], right[CHUNK];
    if (spec->charge != SNN_ULTRA_SPREAD) return own;
    neighbours(spec, u, j0, n, left, right);
    if (spec->hard)
        for (ptrdiff_t i = 0; i < n; ++i) row[i] = ultra_largest(left[i], own[i], right[i]);
    else
        for (ptrdiff_t i = 0; i < n; ++i) row[i] = ultra_three(&k, left[i], own[i], right[i]).soft;
    return row;
}

/* S and V of a piece; either may be NULL. */
INLINE void fire_row(const struct snn_ultra *numbers, enum snn_ultra_reset reset, bool hard, ptrdiff_t n, const real *u,
                     const real *m, real *restrict s, real *restrict v) {
    const struct snn_ultra k = *numbers;
    for (ptrdiff_t i = 0; i < n; ++i) {
        struct snn_ultra_spike spike = {0};
        if (hard) spike.s = ultra_fire_hard(&k, m[i]);
        else spike = ultra_fire(&k, m[i]);
        if (s) s[i] = spike.s;
        v[i] = hard ? ultra_reset_hard(&k, reset, u[i], m[i], spike.s) : ultra_reset(&k, reset, u[i], m[i], &spike);
    }
}

static void fire(const struct snn_ultra_spec *spec, const struct snn_ultra *k, ptrdiff_t n, const real *u,
                 const real *m, real *s, real *v) {
#define CASE(reset)                                                                                                    \
    case reset:                                                                                                        \
        if (spec->hard) fire_row(k, reset, true, n, u, m, s, v);                                                       \
        else if (s) fire_row(k, reset, false, n, u, m, s, v);                                                          \
        else fire_row(k, reset, false, n, u, m, NULL, v);                                                              \
        break;
    switch (spec->reset) {
        CASE(SNN_ULTRA_VALUE)
        CASE(SNN_ULTRA_SUBTRACT)
        CASE(SNN_ULTRA_EXCESS)
    }
#undef CASE
}

static void pack(ptrdiff_t n, const real *s, uint64_t *bits) {
    for (ptrdiff_t w = 0; w * 64 < n; ++w) {
        uint64_t word = 0;
        for (ptrdiff_t i = 64 * w; i < n && i < 64 * w + 64; ++i) word |= (uint64_t)(s[i] != 0) << (i % 64);
        bits[w] = word;
    }
}

static void forward_item(const struct snn_ultra_scan *scan, int32_t b, ptrdiff_t i0, ptrdiff_t n) {
    const struct snn_ultra_spec *spec = scan->spec;
    const struct snn_ultra k = *scan->numbers;
    ptrdiff_t at = b * scan->N + i0, step = scan->B * scan->N;
    real *v = scan->v + at, row[CHUNK], spikes[CHUNK];
    if (scan->state_in) memcpy(v, scan->state_in + at, (size_t)n * sizeof *v);
    else memset(v, 0, (size_t)n * sizeof *v);
    for (int32_t t = 0; t < scan->T; ++t) {
        const real *x = scan->x + t * scan->x_step + at;
        real *u = scan->u + t * scan->u_step + at, *y = scan->y ? scan->y + t * step + at : NULL;
        uint64_t *bits = scan->bits ? scan->bits + ((ptrdiff_t)t * scan->B + b) * scan->words + i0 / 64 : NULL;
        for (ptrdiff_t j = 0; j < n; j += CHUNK) charge(spec, &k, v, j, n - j < CHUNK ? n - j : CHUNK, x + j, u + j);
        for (ptrdiff_t j = 0; j < n; j += CHUNK) {
            ptrdiff_t m = n - j < CHUNK ? n - j : CHUNK;
            real *s = y ? y + j : spikes;
            fire(spec, &k, m, u + j, what_fires(spec, &k, u, j, m, row), s, v + j);
            if (bits) pack(m, s, bits + j / 64);
        }
    }
}

/* ---- backward ---- */

struct terms { /* of a piece: what its units add to the sums */
    real of[SNN_ULTRA_SUMS][CHUNK];
};

/* In lanes, so that the order does not depend on the instruction set. */
static double add_up(ptrdiff_t n, const real *x) {
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l) lane[l] += (double)x[i + l];
    for (; i < n; ++i) sum += (double)x[i];
    for (int l = 0; l < LANES; ++l) sum += lane[l];
    return sum;
}

/* gM, and gU beside it, which replaces gV. */
INLINE void adjoint_row(const struct snn_ultra *numbers, enum snn_ultra_reset reset, ptrdiff_t n, const real *u,
                        const real *m, const real *gs, real *restrict gv, real *restrict gm, struct terms *terms) {
    const struct snn_ultra k = *numbers;
    for (ptrdiff_t i = 0; i < n; ++i) {
        struct snn_ultra_spike spike = ultra_fire(&k, m[i]);
        struct snn_ultra_adjoint a = ultra_adjoint(&k, reset, u[i], m[i], &spike, gs[i], gv[i]);
        gm[i] = a.m, gv[i] = a.u;
        terms->of[SNN_ULTRA_SUM_EPS][i] = a.eps, terms->of[SNN_ULTRA_SUM_THETA][i] = a.theta;
        terms->of[SNN_ULTRA_SUM_RESET][i] = a.v_reset, terms->of[SNN_ULTRA_SUM_SLOPE][i] = a.slope;
    }
}

static void adjoint(const struct snn_ultra_spec *spec, const struct snn_ultra *k, ptrdiff_t n, const real *u,
                    const real *m, const real *gs, real *gv, real *gm, struct terms *terms) {
#define CASE(reset)                                                                                                    \
    case reset:                                                                                                        \
        adjoint_row(k, reset, n, u, m, gs, gv, gm, terms);                                                             \
        break;
    switch (spec->reset) {
        CASE(SNN_ULTRA_VALUE)
        CASE(SNN_ULTRA_SUBTRACT)
        CASE(SNN_ULTRA_EXCESS)
    }
#undef CASE
}

/* The soft maxima over `row`, their entropies, and the weights of the left neighbour, the unit and the right one. */
static void weigh(const struct snn_ultra_spec *spec, const struct snn_ultra *numbers, const real *row, ptrdiff_t j0,
                  ptrdiff_t n, real *restrict soft, real *restrict entropy, real *restrict of_left,
                  real *restrict of_own, real *restrict of_right) {
    const struct snn_ultra k = *numbers;
    const real *own = row + j0;
    real left[CHUNK], right[CHUNK];
    neighbours(spec, row, j0, n, left, right);
    for (ptrdiff_t i = 0; i < n; ++i) {
        struct snn_three w = ultra_three(&k, left[i], own[i], right[i]);
        soft[i] = w.soft, entropy[i] = w.entropy;
        of_left[i] = w.left, of_own[i] = w.own, of_right[i] = w.right;
    }
}

/* Weights become what the gradient g of the soft maximum gives to each. */
static void spread_out(ptrdiff_t n, const real *restrict g, const real *restrict entropy, real *restrict to_left,
                       real *restrict to_own, real *restrict to_right, real *restrict eps) {
    for (ptrdiff_t i = 0; i < n; ++i) {
        to_left[i] = g[i] * to_left[i], to_own[i] = g[i] * to_own[i], to_right[i] = g[i] * to_right[i];
        eps[i] += g[i] * entropy[i];
    }
}

/* ... and what reaches a unit: of itself, of its left neighbour and of its right one. */
static void gather(const struct snn_ultra_spec *spec, const real *to_left, const real *to_own, const real *to_right,
                   ptrdiff_t j0, ptrdiff_t n, real *restrict g) {
    real from_left[CHUNK], from_right[CHUNK], unused[CHUNK];
    neighbours(spec, to_right, j0, n, from_left, unused);
    neighbours(spec, to_left, j0, n, unused, from_right);
    for (ptrdiff_t i = 0; i < n; ++i) g[i] = to_own[j0 + i] + from_left[i] + from_right[i];
}

/* V after step t, or at the start of the cut. */
static void membrane(const struct snn_ultra_scan *scan, int32_t t, ptrdiff_t at, ptrdiff_t j0, ptrdiff_t n, real *v) {
    if (t < 0) {
        if (scan->state_in) memcpy(v, scan->state_in + at + j0, (size_t)n * sizeof *v);
        else memset(v, 0, (size_t)n * sizeof *v);
        return;
    }
    const struct snn_ultra k = *scan->numbers;
    const real *u = scan->u + t * scan->u_step + at;
    real row[CHUNK];
    fire(scan->spec, &k, n, u + j0, what_fires(scan->spec, &k, u, j0, n, row), NULL, v);
}

static void write_gx(const struct snn_ultra_scan *scan, int32_t t, ptrdiff_t at, ptrdiff_t n, const real *g) {
    if (!scan->gx) return;
    real *gx = scan->gx + t * scan->x_step + at;
    if (scan->adds || (scan->x_step == 0 && t != scan->T - 1)) /* a static input gathers over the steps */
        for (ptrdiff_t i = 0; i < n; ++i) gx[i] += g[i];
    else memcpy(gx, g, (size_t)n * sizeof *gx);
}

/* gU of a piece (in gv) becomes gX and gV of the step before, for charges that couple nobody. */
static void uncharge(const struct snn_ultra_scan *scan, const struct snn_ultra *numbers, int32_t t, ptrdiff_t at,
                     ptrdiff_t n, real *restrict gv, struct terms *terms) {
    const struct snn_ultra k = *numbers;
    bool maximum = scan->spec->charge == SNN_ULTRA_MAXIMUM, leak = scan->partial && scan->leak;
    real v[CHUNK], gx[CHUNK];
    if (maximum || leak) membrane(scan, t - 1, at, 0, n, v);
    if (!maximum) {
        write_gx(scan, t, at, n, gv);
        for (ptrdiff_t i = 0; leak && i < n; ++i) terms->of[SNN_ULTRA_SUM_LEAK][i] = gv[i] * v[i];
        for (ptrdiff_t i = 0; i < n; ++i) gv[i] = k.tau * gv[i];
        return;
    }
    const real *x = scan->x + t * scan->x_step + at;
    for (ptrdiff_t i = 0; i < n; ++i) {
        struct snn_two w = ultra_two(&k, v[i] + k.offset, x[i]);
        real g = gv[i];
        gv[i] = g * w.a, gx[i] = g * w.b;
        terms->of[SNN_ULTRA_SUM_LEAK][i] = gv[i];
        terms->of[SNN_ULTRA_SUM_EPS][i] += g * w.entropy;
    }
    write_gx(scan, t, at, n, gx);
}

static void add_terms(double *sum, const struct terms *terms, ptrdiff_t n, bool leak) {
    for (int k = 0; sum && k < SNN_ULTRA_SUMS; ++k)
        if (k != SNN_ULTRA_SUM_LEAK || leak) sum[k] += add_up(n, terms->of[k]);
}

static void backward_apart(const struct snn_ultra_scan *scan, int32_t b, ptrdiff_t i0, ptrdiff_t n, double *sum) {
    const struct snn_ultra k = *scan->numbers;
    ptrdiff_t at = b * scan->N + i0, step = scan->B * scan->N;
    real gv[CHUNK] = {0}, gm[CHUNK];
    struct terms terms;
    for (int32_t t = scan->T - 1; t >= 0; --t) {
        const real *u = scan->u + t * scan->u_step + at;
        adjoint(scan->spec, &k, n, u, u, scan->gy + t * step + at, gv, gm, &terms);
        for (ptrdiff_t i = 0; i < n; ++i) gv[i] += gm[i];
        uncharge(scan, &k, t, at, n, gv, &terms);
        add_terms(sum, &terms, n, scan->leak);
    }
}

/* Pieces of what is `rows` wide. */
#define PIECES(j, m) for (ptrdiff_t j = 0, m; m = n - j < CHUNK ? n - j : CHUNK, j < n; j += CHUNK)

static void backward_coupled(const struct snn_ultra_scan *scan, int32_t b, ptrdiff_t i0, ptrdiff_t n, real *scratch,
                             double *sum) {
    const struct snn_ultra_spec *spec = scan->spec;
    const struct snn_ultra k = *scan->numbers;
    bool spreads = spec->charge == SNN_ULTRA_SPREAD;
    ptrdiff_t at = b * scan->N + i0, step = scan->B * scan->N;
    real *gv = scratch, *left = gv + n, *own = left + n, *right = own + n, *before = right + n;
    real gm[CHUNK], row[CHUNK], entropy[CHUNK];
    struct terms terms;
    memset(gv, 0, (size_t)n * sizeof *gv);
    for (int32_t t = scan->T - 1; t >= 0; --t) {
        const real *u = scan->u + t * scan->u_step + at;
        PIECES(j, m) if (!spreads) membrane(scan, t - 1, at, j, m, before + j);
        PIECES(j, m) {
            weigh(spec, &k, spreads ? u : before, j, m, row, entropy, left + j, own + j, right + j);
            adjoint(spec, &k, m, u + j, spreads ? row : u + j, scan->gy + t * step + at + j, gv + j, gm, &terms);
            for (ptrdiff_t i = 0; !spreads && i < m; ++i) gv[j + i] += gm[i];
            spread_out(m, spreads ? gm : gv + j, entropy, left + j, own + j, right + j, terms.of[SNN_ULTRA_SUM_EPS]);
            if (!spreads) write_gx(scan, t, at + j, m, gv + j);
            add_terms(sum, &terms, m, false);
        }
        PIECES(j, m) {
            gather(spec, left, own, right, j, m, spreads ? row : gv + j);
            if (!spreads) continue;
            for (ptrdiff_t i = 0; i < m; ++i) gv[j + i] += row[i];
            if (sum && scan->leak) {
                membrane(scan, t - 1, at, j, m, row);
                for (ptrdiff_t i = 0; i < m; ++i) terms.of[SNN_ULTRA_SUM_LEAK][i] = gv[j + i] * row[i];
                sum[SNN_ULTRA_SUM_LEAK] += add_up(m, terms.of[SNN_ULTRA_SUM_LEAK]);
            }
            write_gx(scan, t, at + j, m, gv + j);
            for (ptrdiff_t i = 0; i < m; ++i) gv[j + i] = k.tau * gv[j + i];
        }
    }
}

/* ---- the table ---- */

enum { ROWS = 5 }; /* of an item, for each thread */

static ptrdiff_t scratch(int threads, const struct snn_ultra_spec *spec, int32_t B, ptrdiff_t N) {
    (void)B;
    return couples(spec) ? (ptrdiff_t)threads * ROWS * snn_ultra_item(spec, N) : 0;
}

static void forward(struct snn_device *device, const struct snn_ultra_scan *scan) {
    ptrdiff_t unit = snn_ultra_item(scan->spec, scan->N), items = snn_ultra_items(scan->spec, scan->B, scan->N),
              each = (scan->N + unit - 1) / unit;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < items; ++item) {
        ptrdiff_t i0 = item % each * unit;
        forward_item(scan, (int32_t)(item / each), i0, scan->N - i0 < unit ? scan->N - i0 : unit);
    }
}

static void backward(struct snn_device *device, const struct snn_ultra_scan *scan) {
    ptrdiff_t unit = snn_ultra_item(scan->spec, scan->N), items = snn_ultra_items(scan->spec, scan->B, scan->N),
              each = (scan->N + unit - 1) / unit;
    if (scan->partial) memset(scan->partial, 0, (size_t)items * SNN_ULTRA_SUMS * sizeof *scan->partial);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < items; ++item) {
        ptrdiff_t i0 = item % each * unit, n = scan->N - i0 < unit ? scan->N - i0 : unit;
        double *sum = scan->partial ? scan->partial + SNN_ULTRA_SUMS * item : NULL;
        int32_t b = (int32_t)(item / each);
        if (couples(scan->spec))
            backward_coupled(scan, b, i0, n, scan->scratch + omp_get_thread_num() * ROWS * unit, sum);
        else backward_apart(scan, b, i0, n, sum);
    }
}

static void numbers(struct snn_device *device, const struct snn_ultra_learned *learned, struct snn_ultra *out) {
    (void)device;
    *out = ultra_numbers(learned);
}

static void grad(struct snn_device *device, const struct snn_ultra_learned *learned, const struct snn_ultra *k,
                 const double *partial, ptrdiff_t items) {
    double sum[SNN_ULTRA_SUMS] = {0};
    (void)device;
    for (ptrdiff_t i = 0; i < items; ++i)
        for (int j = 0; j < SNN_ULTRA_SUMS; ++j) sum[j] += partial[SNN_ULTRA_SUMS * i + j];
    ultra_chain(learned, k, sum);
}

extern const struct snn_ultra_kernels SNN_ISA(snn_ultra_cpu);
const struct snn_ultra_kernels SNN_ISA(snn_ultra_cpu) = {scratch, forward, backward, numbers, grad};
