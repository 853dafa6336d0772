/* SPDX-License-Identifier: Apache-2.0
 * optim.cu - the optimisers' loops over the slab on CUDA. A rule is one kernel; whether a step still counts and by what
 * gradients are scaled is read from device memory, where it was decided. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/tiling.cuh"

#include "optim/optim_rules.h"

struct slots {
    real *of[3]; /* (n), or NULL where the rule has no such state */
};

/* The kernel of every rule. Arrays never overlap. */
#define KERNEL(name, states)                                                                                           \
    static __global__ void __launch_bounds__(BLOCK)                                                                    \
        step_##name(ptrdiff_t n, real *__restrict__ value, const real *__restrict__ grad, struct slots slots,          \
                    const real *__restrict__ scalar, const struct snn_gate *__restrict__ gate) {                       \
        real *__restrict__ s0 = slots.of[0], *__restrict__ s1 = slots.of[1], *__restrict__ s2 = slots.of[2];           \
        if (gate->stopped) return;                                                                                     \
        real k[SNN_K_COUNT];                                                                                           \
        for (int j = 0; j < SNN_K_COUNT; ++j) k[j] = scalar[j];                                                        \
        for (ptrdiff_t i = first_item(); i < n; i += item_step()) {                                                    \
            real s[3] = {states > 0 ? s0[i] : 0, states > 1 ? s1[i] : 0, states > 2 ? s2[i] : 0};                      \
            value[i] = snn_rule_##name(value[i], grad[i], s, k);                                                       \
            if (states > 0) s0[i] = s[0];                                                                              \
            if (states > 1) s1[i] = s[1];                                                                              \
            if (states > 2) s2[i] = s[2];                                                                              \
        }                                                                                                              \
    }
SNN_OPTIM_RULES(KERNEL)
#undef KERNEL

static void step(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value, const real *restrict grad,
                 real *const slot[3], const real *scalar, const struct snn_gate *gate) {
    if (n < 1) return;
    const struct slots slots = {{slot[0], slot[1], slot[2]}};
    switch (rule) {
#define CASE(name, states)                                                                                             \
    case SNN_RULE_##name:                                                                                              \
        LAUNCH(step_##name, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, value, grad, slots, scalar, gate);   \
        break;
        SNN_OPTIM_RULES(CASE)
#undef CASE
    default:
        break;
    }
}

/* ---- the norm of all gradients ---- */

enum { SQUARE_BLOCKS = 1024 };
static_assert((int)SQUARE_BLOCKS <= (int)PARTIALS, "the sums of the blocks must fit");

static __global__ void __launch_bounds__(BLOCK)
    add_squares(ptrdiff_t n, const real *__restrict__ x, double *__restrict__ partial /* (blocks) */) {
    __shared__ double shared[WARPS];
    double sum = 0;
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/* One block. */
static __global__ void __launch_bounds__(BLOCK)
    add_partials(int n, const double *__restrict__ partial /* (n) */, double *__restrict__ out) {
    __shared__ double shared[WARPS];
    double sum = 0;
    for (int i = (int)threadIdx.x; i < n; i += BLOCK) sum += partial[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) *out = sum;
}

static void sum_of_squares(struct snn_device *device, ptrdiff_t n, const real *grad, double *out) {
    const struct snn_cuda *cuda = cuda_of(device);
    unsigned blocks = blocks_for(n) < SQUARE_BLOCKS ? blocks_for(n) : (unsigned)SQUARE_BLOCKS;
    LAUNCH(add_squares, blocks, BLOCK, 0, cuda->compute, n, grad, cuda->partial);
    LAUNCH(add_partials, 1, BLOCK, 0, cuda->compute, (int)blocks, cuda->partial, out);
}

/* One block: its threads fetch the sums, the first of them adds them up in order. */
static __global__ void __launch_bounds__(BLOCK)
    close_gate(int n, const double *__restrict__ squares /* (n) */, double max_norm, const double *loss,
               const uint32_t *clock, struct snn_gate *gate) {
    __shared__ double fetched[BLOCK];
    double sum = 0;
    for (int i0 = 0; i0 < n; i0 += BLOCK) {
        int i = i0 + (int)threadIdx.x;
        if (i < n) fetched[threadIdx.x] = squares[i];
        __syncthreads();
        for (int j = 0; threadIdx.x == 0 && j < BLOCK && i0 + j < n; ++j) sum += fetched[j];
        __syncthreads();
    }
    if (threadIdx.x != 0) return;
    double norm = sqrt(sum), factor = max_norm / (norm + 1e-6);
    gate->norm = norm;
    gate->factor = factor < 1 ? (real)factor : 1; /* not for NaN */
    if (gate->stopped || (isfinite(norm) && (!loss || isfinite(*loss)))) return;
    gate->stopped = 1, gate->step = clock[2];
}

static void gate(struct snn_device *device, int n, const double *squares, double max_norm, const double *loss,
                 const uint32_t *clock, struct snn_gate *out) {
    LAUNCH(close_gate, 1, BLOCK, 0, cuda_of(device)->compute, n, squares, max_norm, loss, clock, out);
}

static __global__ void __launch_bounds__(BLOCK)
    scale_numbers(ptrdiff_t n, real *__restrict__ x, const struct snn_gate *__restrict__ gate) {
    const real factor = gate->factor;
    if (factor == 1) return;
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) x[i] *= factor;
}

static void scale(struct snn_device *device, ptrdiff_t n, real *grad, const struct snn_gate *gate) {
    if (n < 1) return;
    LAUNCH(scale_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, grad, gate);
}

static __global__ void __launch_bounds__(BLOCK)
    clamp_numbers(ptrdiff_t n, real low, real high, real *__restrict__ x, const struct snn_gate *__restrict__ gate) {
    if (gate->stopped) return;
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) x[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

static void clamp(struct snn_device *device, ptrdiff_t n, real low, real high, real *value,
                  const struct snn_gate *gate) {
    if (n < 1) return;
    LAUNCH(clamp_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, low, high, value, gate);
}

const struct snn_optim_kernels snn_optim_cuda = {step, sum_of_squares, gate, scale, clamp};
