/* SPDX-License-Identifier: Apache-2.0
 * ultra.cu - the scan of soft spiking layers on CUDA (layers/ultra.h).
 *
 * Where no neighbours are coupled a thread walks one neuron of one sample through all steps with its state in
 * registers. Where they are, a block has some whole rings of one sample: its threads share the units, rows lie in
 * device memory, and barriers part what a step writes from what its neighbours read. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/tiling.cuh"

enum { AHEAD = 4, ROWS = 5 /* of scratch, for each item */ };

static bool couples(const struct snn_ultra_spec *spec) {
    return spec->charge == SNN_ULTRA_DILATE || spec->charge == SNN_ULTRA_SPREAD;
}

static __device__ __forceinline__ ptrdiff_t left_of(ptrdiff_t i, int32_t ring) {
    return i % ring ? i - 1 : i + ring - 1;
}
static __device__ __forceinline__ ptrdiff_t right_of(ptrdiff_t i, int32_t ring) {
    return (i + 1) % ring ? i + 1 : i + 1 - ring;
}

/* ---- forward ---- */

/* S and V after it. */
template <bool HARD>
static __device__ __forceinline__ real fire(const struct snn_ultra &k, enum snn_ultra_reset reset, real u, real m,
                                            real *v) {
    if (HARD) {
        const real s = ultra_fire_hard(&k, m);
        *v = ultra_reset_hard(&k, reset, u, m, s);
        return s;
    }
    const struct snn_ultra_spike spike = ultra_fire(&k, m);
    *v = ultra_reset(&k, reset, u, m, &spike);
    return spike.s;
}

template <bool HARD>
static __device__ __forceinline__ real charge(const struct snn_ultra &k, enum snn_ultra_charge how, real v, real x) {
    if (how != SNN_ULTRA_MAXIMUM) return k.tau * v + x;
    const real leaked = v + k.offset;
    if (HARD) return leaked >= x ? leaked : x;
    return ultra_two(&k, leaked, x).soft;
}

/* A warp has 32 neurons of one sample; hard, a vote makes half a word of its spikes (little-endian), and half words of
 * nothing but padding have warps too. */
template <bool HARD>
static __global__ void __launch_bounds__(BLOCK)
    scan_apart(struct snn_ultra_scan scan, struct snn_ultra_spec spec, uint32_t *halves /* (T,B, 2 words) or NULL */) {
    const struct snn_ultra k = *scan.numbers;
    const int lane = (int)(threadIdx.x % 32);
    const ptrdiff_t step = scan.B * scan.N, per_sample = (scan.N + 63) / 64 * 2, warps = scan.B * per_sample;
    for (ptrdiff_t warp = first_item() / 32; warp < warps; warp += item_step() / 32) {
        const ptrdiff_t b = warp / per_sample, half = warp % per_sample, i = half * 32 + lane, at = b * scan.N + i;
        const bool active = i < scan.N;
        const real *x = scan.x + at;
        real v = active && scan.state_in ? scan.state_in[at] : 0;
        for (int32_t t0 = 0; t0 < scan.T; t0 += AHEAD) {
            real now[AHEAD];
            for (int j = 0; j < AHEAD; ++j, x += scan.x_step) now[j] = active && t0 + j < scan.T ? *x : 0;
            for (int j = 0; j < AHEAD; ++j) {
                const ptrdiff_t t = t0 + j;
                if (t >= scan.T) continue;
                const real u = charge<HARD>(k, spec.charge, v, now[j]);
                const real s = fire<HARD>(k, spec.reset, u, u, &v);
                if (active && scan.u_step) scan.u[t * scan.u_step + at] = u;
                if (active && scan.y) scan.y[t * step + at] = s;
                if (!HARD || !halves) continue;
                const uint32_t spikes = __ballot_sync(0xffffffffu, active && s != 0);
                if (lane == 0) halves[t * scan.B * per_sample + b * per_sample + half] = spikes;
            }
        }
        if (active) scan.v[at] = v;
    }
}

/* A block has an item. */
template <bool HARD>
static __global__ void __launch_bounds__(BLOCK)
    scan_rows(struct snn_ultra_scan scan, struct snn_ultra_spec spec, ptrdiff_t unit, uint32_t *halves) {
    const struct snn_ultra k = *scan.numbers;
    const bool spreads = spec.charge == SNN_ULTRA_SPREAD;
    const int32_t ring = spec.ring;
    const ptrdiff_t step = scan.B * scan.N, each = (scan.N + unit - 1) / unit, per_sample = (scan.N + 63) / 64 * 2;
    for (ptrdiff_t item = blockIdx.x; item < scan.B * each; item += gridDim.x) {
        const ptrdiff_t b = item / each, i0 = item % each * unit, n = scan.N - i0 < unit ? scan.N - i0 : unit;
        const ptrdiff_t at = b * scan.N + i0, padded = (n + 31) / 32 * 32;
        real *v = scan.v + at;
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) v[i] = scan.state_in ? scan.state_in[at + i] : 0;
        __syncthreads();
        for (int32_t t = 0; t < scan.T; ++t) {
            const real *x = scan.x + t * scan.x_step + at;
            real *u = scan.u + t * scan.u_step + at;
            for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) {
                if (spreads) {
                    u[i] = k.tau * v[i] + x[i];
                    continue;
                }
                const real l = v[left_of(i, ring)], c = v[i], r = v[right_of(i, ring)];
                u[i] = (HARD ? ultra_largest(l, c, r) : ultra_three(&k, l, c, r).soft) + x[i];
            }
            __syncthreads();
            for (ptrdiff_t i = threadIdx.x; i < padded; i += BLOCK) {
                real s = 0;
                if (i < n) {
                    real m = u[i];
                    if (spreads) {
                        const real l = u[left_of(i, ring)], r = u[right_of(i, ring)];
                        m = HARD ? ultra_largest(l, m, r) : ultra_three(&k, l, m, r).soft;
                    }
                    s = fire<HARD>(k, spec.reset, u[i], m, &v[i]);
                    if (scan.y) scan.y[t * step + at + i] = s;
                }
                if (!HARD || !halves) continue;
                const uint32_t spikes = __ballot_sync(0xffffffffu, s != 0);
                if (threadIdx.x % 32 == 0) halves[(t * scan.B + b) * per_sample + i / 32] = spikes;
            }
            /* the last half word may be all padding */
            if (HARD && halves && threadIdx.x == 0 && padded / 32 < per_sample)
                halves[(t * scan.B + b) * per_sample + per_sample - 1] = 0;
            __syncthreads();
        }
    }
}

static void forward(struct snn_device *device, const struct snn_ultra_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    const struct snn_ultra_spec spec = *scan->spec;
    cudaStream_t stream = cuda_of(device)->compute;
    uint32_t *halves = (uint32_t *)(void *)scan->bits;
    if (couples(&spec)) {
        ptrdiff_t unit = snn_ultra_item(&spec, scan->N);
        unsigned blocks = blocks_for(snn_ultra_items(&spec, scan->B, scan->N) * BLOCK);
        if (spec.hard) LAUNCH(scan_rows<true>, blocks, BLOCK, 0, stream, *scan, spec, unit, halves);
        else LAUNCH(scan_rows<false>, blocks, BLOCK, 0, stream, *scan, spec, unit, halves);
        return;
    }
    unsigned blocks = blocks_for(scan->B * ((scan->N + 63) / 64 * 64));
    if (spec.hard) LAUNCH(scan_apart<true>, blocks, BLOCK, 0, stream, *scan, spec, halves);
    else LAUNCH(scan_apart<false>, blocks, BLOCK, 0, stream, *scan, spec, halves);
}

/* ---- backward ---- */

/* What U of a unit leaves behind: what fired, and V. */
struct after {
    struct snn_ultra_spike spike;
    real u, v;
};
static __device__ __forceinline__ struct after after_step(const struct snn_ultra &k, enum snn_ultra_reset reset, real u,
                                                          real m) {
    struct after out;
    out.u = u, out.spike = ultra_fire(&k, m);
    out.v = ultra_reset(&k, reset, u, m, &out.spike);
    return out;
}

static __device__ __forceinline__ void add_terms(double *sum, const struct snn_ultra_adjoint &a) {
    sum[SNN_ULTRA_SUM_THETA] += a.theta, sum[SNN_ULTRA_SUM_RESET] += a.v_reset, sum[SNN_ULTRA_SUM_SLOPE] += a.slope;
}

static __device__ __forceinline__ void write_gx(const struct snn_ultra_scan &scan, int32_t t, ptrdiff_t at, real g) {
    if (!scan.gx) return;
    real *gx = scan.gx + t * scan.x_step + at;
    *gx = scan.adds || (scan.x_step == 0 && t != scan.T - 1) ? *gx + g : g;
}

/* Neuron `at` backwards through all steps. V before a step comes of the U before it, whose spike is the next to be
 * differentiated. */
template <bool SUMS>
static __device__ __forceinline__ void walk_back(const struct snn_ultra_scan &scan, const struct snn_ultra_spec &spec,
                                                 const struct snn_ultra &k, ptrdiff_t at, double *sum) {
    const ptrdiff_t step = scan.B * scan.N;
    if (scan.T < 1) return;
    const real last = scan.u[(scan.T - 1) * scan.u_step + at];
    struct after now = after_step(k, spec.reset, last, last);
    real gv = 0;
    for (int32_t t = scan.T - 1; t >= 0; --t) {
        struct after before = {};
        before.v = scan.state_in && !t ? scan.state_in[at] : 0;
        if (t) {
            const real u = scan.u[(t - 1) * scan.u_step + at];
            before = after_step(k, spec.reset, u, u);
        }
        const struct snn_ultra_adjoint a =
            ultra_adjoint(&k, spec.reset, now.u, now.u, &now.spike, scan.gy[t * step + at], gv);
        const real g = a.u + a.m;
        real eps = a.eps;
        if (spec.charge == SNN_ULTRA_MAXIMUM) {
            const struct snn_two w = ultra_two(&k, before.v + k.offset, scan.x[t * scan.x_step + at]);
            gv = g * w.a;
            eps += g * w.entropy;
            write_gx(scan, t, at, g * w.b);
            if (SUMS && scan.leak) sum[SNN_ULTRA_SUM_LEAK] += gv;
        } else {
            write_gx(scan, t, at, g);
            if (SUMS && scan.leak) sum[SNN_ULTRA_SUM_LEAK] += g * before.v;
            gv = k.tau * g;
        }
        if (SUMS) add_terms(sum, a), sum[SNN_ULTRA_SUM_EPS] += eps;
        now = before;
    }
}

static __device__ __forceinline__ void write_sums(double *sum, ptrdiff_t item, double *partial, double *shared) {
    for (int j = 0; j < SNN_ULTRA_SUMS; ++j) {
        const double total = block_sum(sum[j], shared);
        if (threadIdx.x == 0) partial[SNN_ULTRA_SUMS * item + j] = total;
    }
}

static __global__ void __launch_bounds__(BLOCK)
    scan_apart_backward(struct snn_ultra_scan scan, struct snn_ultra_spec spec) {
    const struct snn_ultra k = *scan.numbers;
    for (ptrdiff_t at = first_item(); at < scan.B * scan.N; at += item_step())
        walk_back<false>(scan, spec, k, at, NULL);
}

static __global__ void __launch_bounds__(BLOCK)
    scan_apart_backward_sums(struct snn_ultra_scan scan, struct snn_ultra_spec spec, ptrdiff_t unit) {
    __shared__ double shared[WARPS];
    const struct snn_ultra k = *scan.numbers;
    const ptrdiff_t each = (scan.N + unit - 1) / unit;
    for (ptrdiff_t item = blockIdx.x; item < scan.B * each; item += gridDim.x) {
        const ptrdiff_t b = item / each, i0 = item % each * unit, n = scan.N - i0 < unit ? scan.N - i0 : unit;
        double sum[SNN_ULTRA_SUMS] = {0, 0, 0, 0, 0};
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) walk_back<true>(scan, spec, k, b * scan.N + i0 + i, sum);
        write_sums(sum, item, scan.partial, shared);
    }
}

/* V of unit i after step t, or at the start of the cut; `u` is the item's row of that step. */
static __device__ __forceinline__ real membrane(const struct snn_ultra_scan &scan, const struct snn_ultra_spec &spec,
                                                const struct snn_ultra &k, int32_t t, ptrdiff_t at, ptrdiff_t i) {
    if (t < 0) return scan.state_in ? scan.state_in[at + i] : 0;
    const real *u = scan.u + t * scan.u_step + at;
    real m = u[i];
    if (spec.charge == SNN_ULTRA_SPREAD)
        m = ultra_three(&k, u[left_of(i, spec.ring)], m, u[right_of(i, spec.ring)]).soft;
    return after_step(k, spec.reset, u[i], m).v;
}

/* A block has an item; each thread always has the same units, so that only what neighbours read needs a barrier. */
static __global__ void __launch_bounds__(BLOCK)
    scan_rows_backward(struct snn_ultra_scan scan, struct snn_ultra_spec spec, ptrdiff_t unit) {
    __shared__ double shared[WARPS];
    const struct snn_ultra k = *scan.numbers;
    const bool spreads = spec.charge == SNN_ULTRA_SPREAD;
    const int32_t ring = spec.ring;
    const ptrdiff_t step = scan.B * scan.N, each = (scan.N + unit - 1) / unit;
    for (ptrdiff_t item = blockIdx.x; item < scan.B * each; item += gridDim.x) {
        const ptrdiff_t b = item / each, i0 = item % each * unit, n = scan.N - i0 < unit ? scan.N - i0 : unit;
        const ptrdiff_t at = b * scan.N + i0;
        real *gv = scan.scratch + ROWS * unit * item, *left = gv + unit, *own = left + unit, *right = own + unit,
             *before = right + unit;
        double sum[SNN_ULTRA_SUMS] = {0, 0, 0, 0, 0};
        for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) {
            gv[i] = 0;
            if (!spreads) before[i] = membrane(scan, spec, k, scan.T - 2, at, i);
        }
        for (int32_t t = scan.T - 1; t >= 0; --t) {
            const real *u = scan.u + t * scan.u_step + at, *row = spreads ? u : before;
            __syncthreads();
            for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) {
                const struct snn_three w = ultra_three(&k, row[left_of(i, ring)], row[i], row[right_of(i, ring)]);
                const real m = spreads ? w.soft : u[i];
                const struct snn_ultra_spike spike = ultra_fire(&k, m);
                const struct snn_ultra_adjoint a =
                    ultra_adjoint(&k, spec.reset, u[i], m, &spike, scan.gy[t * step + at + i], gv[i]);
                const real g = spreads ? a.m : a.u + a.m;
                gv[i] = spreads ? a.u : g;
                left[i] = g * w.left, own[i] = g * w.own, right[i] = g * w.right;
                if (!spreads) write_gx(scan, t, at + i, g);
                add_terms(sum, a), sum[SNN_ULTRA_SUM_EPS] += a.eps + g * w.entropy;
            }
            __syncthreads();
            for (ptrdiff_t i = threadIdx.x; i < n; i += BLOCK) {
                const real g = own[i] + right[left_of(i, ring)] + left[right_of(i, ring)];
                if (!spreads) {
                    gv[i] = g;
                    if (t) before[i] = membrane(scan, spec, k, t - 2, at, i);
                    continue;
                }
                const real all = gv[i] + g;
                if (scan.partial && scan.leak) sum[SNN_ULTRA_SUM_LEAK] += all * membrane(scan, spec, k, t - 1, at, i);
                write_gx(scan, t, at + i, all);
                gv[i] = k.tau * all;
            }
        }
        __syncthreads();
        if (scan.partial) write_sums(sum, item, scan.partial, shared);
    }
}

static ptrdiff_t scratch(int threads, const struct snn_ultra_spec *spec, int32_t B, ptrdiff_t N) {
    (void)threads;
    return couples(spec) ? ROWS * snn_ultra_items(spec, B, N) * snn_ultra_item(spec, N) : 0;
}

static void backward(struct snn_device *device, const struct snn_ultra_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    const struct snn_ultra_spec spec = *scan->spec;
    cudaStream_t stream = cuda_of(device)->compute;
    ptrdiff_t unit = snn_ultra_item(&spec, scan->N);
    unsigned blocks = blocks_for(snn_ultra_items(&spec, scan->B, scan->N) * BLOCK);
    if (couples(&spec)) LAUNCH(scan_rows_backward, blocks, BLOCK, 0, stream, *scan, spec, unit);
    else if (scan->partial) LAUNCH(scan_apart_backward_sums, blocks, BLOCK, 0, stream, *scan, spec, unit);
    else LAUNCH(scan_apart_backward, blocks_for(scan->B * scan->N), BLOCK, 0, stream, *scan, spec);
}

/* ---- parameters ---- */

/* One thread. */
static __global__ void make_numbers(struct snn_ultra_learned learned, struct snn_ultra *out) {
    *out = ultra_numbers(&learned);
}

static void numbers(struct snn_device *device, const struct snn_ultra_learned *learned, struct snn_ultra *out) {
    LAUNCH(make_numbers, 1, 1, 0, cuda_of(device)->compute, *learned, out);
}

/* One block. */
static __global__ void __launch_bounds__(BLOCK)
    add_grad(struct snn_ultra_learned learned, const struct snn_ultra *k,
             const double *__restrict__ partial /* (items, SNN_ULTRA_SUMS) */, ptrdiff_t items) {
    __shared__ double shared[WARPS];
    double sum[SNN_ULTRA_SUMS];
    for (int j = 0; j < SNN_ULTRA_SUMS; ++j) {
        double mine = 0;
        for (ptrdiff_t i = threadIdx.x; i < items; i += BLOCK) mine += partial[SNN_ULTRA_SUMS * i + j];
        sum[j] = block_sum(mine, shared);
    }
    if (threadIdx.x == 0) ultra_chain(&learned, k, sum);
}

static void grad(struct snn_device *device, const struct snn_ultra_learned *learned, const struct snn_ultra *k,
                 const double *partial, ptrdiff_t items) {
    LAUNCH(add_grad, 1, BLOCK, 0, cuda_of(device)->compute, *learned, k, partial, items);
}

const struct snn_ultra_kernels snn_ultra_cuda = {scratch, forward, backward, numbers, grad};
