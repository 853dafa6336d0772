/* SPDX-License-Identifier: Apache-2.0
 * neuron_cpu.c - the scan on the CPU. A work item is up to SNN_SCAN_CHUNK neurons of one sample over all steps: its
 * state stays in L1, its inputs are read and its membranes written once. Neurons and surrogates meet in row buffers, so
 * that code grows with their sum, not with their product. */
#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "layers/neuron.h"

enum { CHUNK = SNN_SCAN_CHUNK };
#define INLINE static inline __attribute__((always_inline))

/* Row kernels of every surrogate: derivative and smooth step at u - theta. */
typedef void surrogate_row(ptrdiff_t n, const real *u, real theta, const real *p, real *out);
#define X(name, ...)                                                                                                   \
    static void derivative_##name(ptrdiff_t n, const real *restrict u, real theta, const real *p,                      \
                                  real *restrict out) {                                                                \
        const real q[SNN_SURROGATE_PARAMS] = {p[0], p[1]};                                                             \
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = sg_##name(u[i] - theta, q);                                         \
    }                                                                                                                  \
    static void smooth_step_##name(ptrdiff_t n, const real *restrict u, real theta, const real *p,                     \
                                   real *restrict out) {                                                               \
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = (real)step_##name(u[i] - theta, p);                                 \
    }
SNN_SURROGATES(X)
#undef X
#define X(name, ...) derivative_##name,
static surrogate_row *const derivatives[] = {SNN_SURROGATES(X)};
#undef X
#define X(name, ...) smooth_step_##name,
static surrogate_row *const smooth_steps[] = {SNN_SURROGATES(X)};
#undef X

/* The row of the next step lies far from this one, where no prefetcher of the hardware expects it. */
INLINE void fetch(const real *row, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += 64 / (ptrdiff_t)sizeof *row) __builtin_prefetch(row + i);
}

/* 64 flags of one byte each -> one word */
static uint64_t pack(const uint8_t *flag) {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
        uint64_t eight;
        memcpy(&eight, flag + 8 * i, 8);
        word |= (eight * 0x0102040810204080u >> 56) << (8 * i);
    }
    return word;
}

/* One step of a row of neurons. All but the arrays is known where this is inlined. */
INLINE void step_row(const struct snn_affine *k, enum snn_reset reset, int strict, int delayed, ptrdiff_t n,
                     const real *x, real *restrict v, real *u, uint8_t *restrict flag) {
    const struct snn_affine c = *k;
    for (ptrdiff_t i = 0; i < n; ++i) {
        real h = delayed ? affine_charge_delayed(&c, reset, v[i], x[i], affine_fire(&c, strict, v[i]))
                         : affine_charge(&c, v[i], x[i]);
        real s = affine_fire(&c, strict, h);
        u[i] = h;
        v[i] = delayed ? h : affine_reset(&c, reset, h, s);
        flag[i] = s != 0;
    }
}

static void step_row_of(const struct snn_neuron_spec *spec, const struct snn_affine *k, ptrdiff_t n, const real *x,
                        real *v, real *u, uint8_t *flag) {
    enum snn_reset reset =
        spec->reset == SNN_RESET_VALUE ? SNN_RESET_ZERO : spec->reset; /* the same code, v_reset differs */
#define CASE(r, strict, delayed)                                                                                       \
    case (r)*4 + (strict)*2 + (delayed):                                                                               \
        step_row(k, r, strict, delayed, n, x, v, u, flag);                                                             \
        break;
#define CASES(r) CASE(r, 0, 0) CASE(r, 0, 1) CASE(r, 1, 0) CASE(r, 1, 1)
    switch ((int)reset * 4 + spec->strict * 2 + spec->delayed) {
        CASES(SNN_RESET_ZERO)
        CASES(SNN_RESET_SUBTRACT)
        CASES(SNN_RESET_NONE)
    }
#undef CASES
#undef CASE
}

/* The same with the smooth step in the place of the spike; `frozen` spikes reset where resets are detached. */
static void smooth_row(const struct snn_scan *scan, const struct snn_affine *k, ptrdiff_t n, const real *x, real *v,
                       real *u, real *s, real *frozen) {
    const struct snn_neuron_spec *spec = scan->spec;
    for (ptrdiff_t i = 0; i < n; ++i)
        u[i] = spec->delayed ? affine_charge_delayed(
                                   k, spec->reset, v[i], x[i],
                                   scan->smooth == SNN_SMOOTH_REPLAY ? frozen[i] : affine_fire(k, spec->strict, v[i]))
                             : affine_charge(k, v[i], x[i]);
    if (spec->delayed && scan->smooth == SNN_SMOOTH_RECORD)
        for (ptrdiff_t i = 0; i < n; ++i) frozen[i] = affine_fire(k, spec->strict, v[i]);
    smooth_steps[spec->surrogate](n, u, k->theta, scan->surrogate, s);
    for (ptrdiff_t i = 0; i < n && !spec->delayed; ++i) {
        if (scan->smooth == SNN_SMOOTH_RECORD && frozen) frozen[i] = s[i];
        v[i] = affine_reset(k, spec->reset, u[i], spec->detached && frozen ? frozen[i] : s[i]);
    }
    for (ptrdiff_t i = 0; i < n && spec->delayed; ++i) v[i] = u[i];
}

static void forward_item(const struct snn_scan *scan, int32_t b, ptrdiff_t i0) {
    const struct snn_affine k = *scan->coefficients;
    const struct snn_neuron_spec *spec = scan->spec;
    ptrdiff_t n = scan->N - i0 < CHUNK ? scan->N - i0 : CHUNK, at = b * scan->N + i0, step = scan->B * scan->N;
    real v[CHUNK] = {0}, row[CHUNK], spikes[CHUNK];
    uint8_t flag[CHUNK] = {0};
    real initial = spec->reset == SNN_RESET_VALUE ? k.v_reset : 0;
    for (ptrdiff_t i = 0; i < n; ++i) v[i] = scan->state_in ? scan->state_in[at + i] : initial;
    for (int32_t t = 0; t < scan->T; ++t) {
        const real *x = scan->x + t * scan->x_step + at;
        if (t + 1 < scan->T && scan->x_step) fetch(x + scan->x_step, n);
        real *u = scan->u ? scan->u + t * step + at : row, *y = scan->y ? scan->y + t * step + at : NULL;
        if (scan->smooth && spec->spikes) {
            smooth_row(scan, &k, n, x, v, u, spikes, scan->frozen ? scan->frozen + t * step + at : NULL);
            memcpy(y, spikes, (size_t)n * sizeof *y);
            continue;
        }
        step_row_of(spec, &k, n, x, v, u, flag);
        for (ptrdiff_t i = 0; y && spec->spikes && i < n; ++i) y[i] = flag[i];
        if (y && !spec->spikes && y != u) memcpy(y, u, (size_t)n * sizeof *y);
        uint64_t *bits = scan->bits ? scan->bits + ((ptrdiff_t)t * scan->B + b) * scan->words + i0 / 64 : NULL;
        for (ptrdiff_t w = 0; bits && w * 64 < n; ++w) bits[w] = pack(flag + 64 * w);
    }
    if (scan->state_out) memcpy(scan->state_out + at, v, (size_t)n * sizeof *v);
}

/* Adjoint of one step of a row: g holds gS and receives gH; gv becomes that of the step before. */
INLINE void adjoint_row(const struct snn_affine *k, enum snn_reset reset, int detached, ptrdiff_t n,
                        const real *restrict u, const real *restrict s, const real *restrict sg,
                        const real *restrict gs, real *restrict gv, real *restrict gh) {
    const struct snn_affine c = *k;
    for (ptrdiff_t i = 0; i < n; ++i) {
        gh[i] = affine_adjoint(&c, reset, detached, u[i], s[i], sg[i], gs[i], gv[i]);
        gv[i] = c.lambda * gh[i];
    }
}

static void adjoint_row_of(const struct snn_neuron_spec *spec, const struct snn_affine *k, ptrdiff_t n, const real *u,
                           const real *s, const real *sg, const real *gs, real *gv, real *gh) {
    bool detached = spec->detached || spec->delayed;
    switch (spec->reset) {
    case SNN_RESET_SUBTRACT:
        if (detached) adjoint_row(k, SNN_RESET_SUBTRACT, 1, n, u, s, sg, gs, gv, gh);
        else adjoint_row(k, SNN_RESET_SUBTRACT, 0, n, u, s, sg, gs, gv, gh);
        break;
    case SNN_RESET_NONE:
        adjoint_row(k, SNN_RESET_NONE, 1, n, u, s, sg, gs, gv, gh);
        break;
    default:
        if (detached) adjoint_row(k, SNN_RESET_ZERO, 1, n, u, s, sg, gs, gv, gh);
        else adjoint_row(k, SNN_RESET_ZERO, 0, n, u, s, sg, gs, gv, gh);
    }
}

/* The spikes that reset at step t: hard, smooth, or recorded. */
static void resetting_spikes(const struct snn_scan *scan, const struct snn_affine *k, int32_t t, ptrdiff_t at,
                             ptrdiff_t n, const real *u, real *restrict s) {
    const struct snn_neuron_spec *spec = scan->spec;
    ptrdiff_t step = scan->B * scan->N;
    if (scan->smooth && !spec->delayed) {
        if (spec->detached && scan->frozen) memcpy(s, scan->frozen + t * step + at, (size_t)n * sizeof *s);
        else smooth_steps[spec->surrogate](n, u, k->theta, scan->surrogate, s);
        return;
    }
    if (spec->strict)
        for (ptrdiff_t i = 0; i < n; ++i) s[i] = u[i] > k->theta ? 1 : 0;
    else
        for (ptrdiff_t i = 0; i < n; ++i) s[i] = u[i] >= k->theta ? 1 : 0;
}

/* glambda += gH V, gkappa += gH X, gdrive += gH over a row; V is the state before step t, X follows from the charge. */
static void coefficient_sums(const struct snn_scan *scan, const struct snn_affine *k, int32_t t, ptrdiff_t at,
                             ptrdiff_t n, const real *u, const real *gh, double *sum) {
    const struct snn_neuron_spec *spec = scan->spec;
    real v[CHUNK], s[CHUNK];
    real initial = spec->reset == SNN_RESET_VALUE ? k->v_reset : 0;
    if (t > 0) {
        const real *before = u - scan->B * scan->N;
        resetting_spikes(scan, k, t - 1, at, n, before, s);
        for (ptrdiff_t i = 0; i < n; ++i) v[i] = affine_reset(k, spec->reset, before[i], s[i]);
    } else {
        for (ptrdiff_t i = 0; i < n; ++i) v[i] = scan->state_in ? scan->state_in[at + i] : initial;
    }
    for (ptrdiff_t i = 0; i < n; ++i) {
        sum[0] += (double)gh[i] * v[i];
        sum[1] += (double)gh[i] * (u[i] - k->lambda * v[i] - k->drive) / k->kappa;
        sum[2] += gh[i];
    }
}

static void backward_item(const struct snn_scan *scan, int32_t b, ptrdiff_t i0, double *sum) {
    const struct snn_affine k = *scan->coefficients;
    const struct snn_neuron_spec *spec = scan->spec;
    ptrdiff_t n = scan->N - i0 < CHUNK ? scan->N - i0 : CHUNK, at = b * scan->N + i0, step = scan->B * scan->N;
    real gv[CHUNK] = {0}, s[CHUNK], sg[CHUNK], gh[CHUNK];
    for (int32_t t = scan->T - 1; t >= 0; --t) {
        const real *u = scan->u + t * step + at, *gs = scan->gy + t * step + at;
        if (t) fetch(u - step, n), fetch(gs - step, n);
        if (spec->spikes) {
            derivatives[spec->surrogate](n, u, k.theta, scan->surrogate, sg);
            resetting_spikes(scan, &k, t, at, n, u, s);
            adjoint_row_of(spec, &k, n, u, s, sg, gs, gv, gh);
        } else {
            for (ptrdiff_t i = 0; i < n; ++i) gh[i] = gs[i] + gv[i], gv[i] = k.lambda * gh[i];
        }
        if (sum) coefficient_sums(scan, &k, t, at, n, u, gh, sum);
        if (!scan->gx) continue;
        real *gx = scan->gx + t * scan->x_step + at;
        bool adds = scan->adds || (scan->x_step == 0 && t != scan->T - 1); /* a static input gathers over the steps */
        if (adds)
            for (ptrdiff_t i = 0; i < n; ++i) gx[i] += k.kappa * gh[i];
        else
            for (ptrdiff_t i = 0; i < n; ++i) gx[i] = k.kappa * gh[i];
    }
}

static void forward(struct snn_device *device, const struct snn_scan *scan) {
    ptrdiff_t chunks = (scan->N + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < scan->B * chunks; ++item)
        forward_item(scan, (int32_t)(item / chunks), item % chunks * CHUNK);
}

static void backward(struct snn_device *device, const struct snn_scan *scan) {
    ptrdiff_t chunks = (scan->N + CHUNK - 1) / CHUNK;
    if (scan->partial) memset(scan->partial, 0, (size_t)(scan->B * chunks) * 3 * sizeof *scan->partial);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t item = 0; item < scan->B * chunks; ++item)
        backward_item(scan, (int32_t)(item / chunks), item % chunks * CHUNK,
                      scan->partial ? scan->partial + 3 * item : NULL);
}

static void count(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        int32_t total = 0;
        for (int32_t w = 0; w < words; ++w) total += __builtin_popcountll(bits[r * words + w]);
        nonzero[r] = total;
    }
}

static real logistic(real w) { return (real)(1 / (1 + exp(-(double)w))); }

static void plif_coefficients(struct snn_device *device, const struct snn_plif *plif, const real *w,
                              struct snn_affine *out) {
    (void)device;
    real k = logistic(*w);
    out->lambda = 1 - k, out->kappa = plif->decay_input ? k : 1, out->drive = *plif->v_reset * k;
}

static void plif_grad(struct snn_device *device, const struct snn_plif *plif, const real *w, const double *partial,
                      ptrdiff_t items, real *gw) {
    (void)device;
    double sum[3] = {0}, k = logistic(*w);
    for (ptrdiff_t i = 0; i < items; ++i)
        for (int j = 0; j < 3; ++j) sum[j] += partial[3 * i + j];
    *gw += (real)((-sum[0] + (plif->decay_input ? sum[1] : 0) + (double)*plif->v_reset * sum[2]) * k * (1 - k));
}

extern const struct snn_neuron_kernels SNN_ISA(snn_neuron_cpu);
const struct snn_neuron_kernels SNN_ISA(snn_neuron_cpu) = {
    .forward = forward,
    .backward = backward,
    .count = count,
    .plif_coefficients = plif_coefficients,
    .plif_grad = plif_grad,
};
