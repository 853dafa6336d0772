/* SPDX-License-Identifier: Apache-2.0
 * optim_cpu.c - the optimisers' loops over the slab on the CPU.
 *
 * Work is cut into blocks whose borders depend on the length alone; threads share the blocks out. So no bit of a result
 * depends on the number of threads. */
#include <math.h>
#include <string.h>

#include "autograd/device.h"
#include "core/isa.h"
#include "optim/optim_kernels.h"
#include "optim/optim_rules.h"

/* Elements a block; below PARALLEL blocks waking the threads costs more than they save. */
enum { BLOCK = 16384, PARALLEL = 4 };

_Static_assert((int)SNN_K_COUNT <= (int)SNN_OPTIM_SCALARS, "the scalars of a rule must fit");

static ptrdiff_t blocks_of(ptrdiff_t n) { return (n + BLOCK - 1) / BLOCK; }
static ptrdiff_t end_of(ptrdiff_t block, ptrdiff_t n) { return (block + 1) * BLOCK < n ? (block + 1) * BLOCK : n; }

/* Inlined once a rule with `rule` and `states` constant, so that every rule gets a vector loop of its own. */
static inline __attribute__((always_inline)) void update(real (*rule)(real, real, real *, const real *), int states,
                                                         ptrdiff_t begin, ptrdiff_t end, real *restrict value,
                                                         const real *restrict grad, real *const slot[3],
                                                         const real *scalar) {
    real *restrict s0 = slot[0], *restrict s1 = slot[1], *restrict s2 = slot[2];
    real k[SNN_OPTIM_SCALARS]; /* a copy: the compiler then knows that no store changes it */
    memcpy(k, scalar, sizeof k);
#ifndef __clang__ /* which does not know it, and checks at run time that the five arrays do not overlap */
#pragma GCC ivdep
#endif
    for (ptrdiff_t i = begin; i < end; ++i) {
        real s[3] = {states > 0 ? s0[i] : 0, states > 1 ? s1[i] : 0, states > 2 ? s2[i] : 0};
        value[i] = rule(value[i], grad[i], s, k);
        if (states > 0) s0[i] = s[0];
        if (states > 1) s1[i] = s[1];
        if (states > 2) s2[i] = s[2];
    }
}

static void step(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value, const real *restrict grad,
                 real *const slot[3], const real *scalar, const struct snn_gate *gate) {
    if (gate->stopped) return;
    ptrdiff_t blocks = blocks_of(n);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (blocks >= PARALLEL)
    for (ptrdiff_t b = 0; b < blocks; ++b) {
        ptrdiff_t begin = b * BLOCK, end = end_of(b, n);
        switch ((enum snn_optim_rule)rule) {
#define UPDATE(name, states)                                                                                           \
    case SNN_RULE_##name:                                                                                              \
        update(snn_rule_##name, states, begin, end, value, grad, slot, scalar);                                        \
        break;
            SNN_OPTIM_RULES(UPDATE)
#undef UPDATE
        case SNN_RULE_COUNT:
            break;
        }
    }
}

typedef double lanes __attribute__((vector_size(64)));
typedef real few __attribute__((vector_size(8 * sizeof(real))));

static inline void add_squares(lanes *sum, const real *x) {
    few y;
    memcpy(&y, x, sizeof y);
    lanes wide = __builtin_convertvector(y, lanes);
    *sum += wide * wide;
}

/* 32 sums side by side, in this order on every instruction set: enough to hide the latency of an addition. */
static double block_squares(const real *grad, ptrdiff_t n) {
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + 32 <= n; i += 32) {
        add_squares(&a, grad + i);
        add_squares(&b, grad + i + 8);
        add_squares(&c, grad + i + 16);
        add_squares(&d, grad + i + 24);
    }
    for (; i < n; ++i) sum += (double)grad[i] * (double)grad[i];
    a = (a + b) + (c + d);
    for (int j = 0; j < 8; ++j) sum += a[j];
    return sum;
}

static void sum_of_squares(struct snn_device *device, ptrdiff_t n, const real *grad, double *out) {
    enum { PARTS = 256 }; /* what the threads leave behind must have a fixed size: long arrays get longer parts */
    double part[PARTS];
    ptrdiff_t blocks = blocks_of(n), each = (blocks + PARTS - 1) / PARTS, parts = each ? (blocks + each - 1) / each : 0;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (blocks >= PARALLEL)
    for (ptrdiff_t p = 0; p < parts; ++p) {
        part[p] = 0;
        for (ptrdiff_t b = p * each; b < (p + 1) * each && b < blocks; ++b)
            part[p] += block_squares(grad + b * BLOCK, end_of(b, n) - b * BLOCK);
    }
    double sum = 0;
    for (ptrdiff_t p = 0; p < parts; ++p) sum += part[p];
    *out = sum;
}

static void gate(struct snn_device *device, int n, const double *squares, double max_norm, const double *loss,
                 const uint32_t *clock, struct snn_gate *g) {
    (void)device;
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += squares[i];
    g->norm = sqrt(sum);
    double factor = max_norm / (g->norm + 1e-6);
    g->factor = factor < 1 ? (real)factor : 1; /* not for NaN */
    if (g->stopped || (isfinite(g->norm) && (!loss || isfinite(*loss)))) return;
    g->stopped = 1, g->step = clock[2];
}

static void scale(struct snn_device *device, ptrdiff_t n, real *grad, const struct snn_gate *g) {
    real by = g->factor;
    if (by == 1) return;
    ptrdiff_t blocks = blocks_of(n);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (blocks >= PARALLEL)
    for (ptrdiff_t b = 0; b < blocks; ++b)
        for (ptrdiff_t i = b * BLOCK; i < end_of(b, n); ++i) grad[i] *= by;
}

static void clamp(struct snn_device *device, ptrdiff_t n, real low, real high, real *value, const struct snn_gate *g) {
    if (g->stopped) return;
    ptrdiff_t blocks = blocks_of(n);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (blocks >= PARALLEL)
    for (ptrdiff_t b = 0; b < blocks; ++b)
        for (ptrdiff_t i = b * BLOCK; i < end_of(b, n); ++i)
            value[i] = value[i] < low ? low : value[i] > high ? high : value[i];
}

extern const struct snn_optim_kernels SNN_ISA(snn_optim_cpu);
const struct snn_optim_kernels SNN_ISA(snn_optim_cpu) = {step, sum_of_squares, gate, scale, clamp};
