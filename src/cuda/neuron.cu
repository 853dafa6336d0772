/* SPDX-License-Identifier: Apache-2.0
 * neuron.cu - the scan of spiking layers on CUDA (layers/neuron.h).
 *
 * A thread walks one neuron of one sample through all steps with its state in registers; neighbours are neighbouring
 * neurons. The numbers of AHEAD steps are fetched before the first of them is used: they do not depend on the state,
 * and only so is enough in flight to keep memory busy when a layer is small. Surrogates are evaluated for AHEAD steps
 * at a time, so that code grows with the sum of neurons and surrogates, not with their product. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/tiling.cuh"

enum { AHEAD = 4 };

static __device__ __forceinline__ real initial_state(const struct snn_scan &scan, const struct snn_neuron_spec &spec,
                                                     const struct snn_affine &k, ptrdiff_t at) {
    return scan.state_in ? scan.state_in[at] : spec.reset == SNN_RESET_VALUE ? k.v_reset : 0;
}

/* ---- forward ---- */

/* A warp has 32 neurons of one sample, so that a vote makes half a word of the sample's spikes; words are
 * little-endian. Half words of nothing but padding have warps too. */
template <int RESET, bool DELAYED>
static __global__ void __launch_bounds__(BLOCK)
    scan_forward(struct snn_scan scan, struct snn_neuron_spec spec, uint32_t *halves /* (T,B, 2 words) or NULL */) {
    const enum snn_reset reset = (enum snn_reset)RESET;
    const struct snn_affine k = *scan.coefficients;
    const int lane = (int)(threadIdx.x % 32);
    const ptrdiff_t step = scan.B * scan.N, per_sample = (scan.N + 63) / 64 * 2, warps = scan.B * per_sample;
    for (ptrdiff_t warp = first_item() / 32; warp < warps; warp += item_step() / 32) {
        const ptrdiff_t b = warp / per_sample, half = warp % per_sample, i = half * 32 + lane, at = b * scan.N + i;
        const bool active = i < scan.N;
        const real *x = scan.x + at;
        real *u = active && scan.u ? scan.u + at : NULL, *y = active && scan.y ? scan.y + at : NULL;
        uint32_t *word = halves ? halves + b * per_sample + half : NULL;
        real v = active ? initial_state(scan, spec, k, at) : 0;
        for (int32_t t0 = 0; t0 < scan.T; t0 += AHEAD) {
            real now[AHEAD];
            for (int j = 0; j < AHEAD; ++j, x += scan.x_step) now[j] = active && t0 + j < scan.T ? *x : 0;
            for (int j = 0; j < AHEAD; ++j) {
                if (t0 + j >= scan.T) continue;
                const real h = DELAYED ? affine_charge_delayed(&k, reset, v, now[j], affine_fire(&k, spec.strict, v))
                                       : affine_charge(&k, v, now[j]);
                const real s = affine_fire(&k, spec.strict, h);
                v = DELAYED ? h : affine_reset(&k, reset, h, s);
                if (u) *u = h, u += step;
                if (y) *y = spec.spikes ? s : h, y += step;
                if (!word) continue;
                const uint32_t spikes = __ballot_sync(0xffffffffu, active && s != 0);
                if (lane == 0) *word = spikes;
                word += scan.B * per_sample;
            }
        }
        if (active && scan.state_out) scan.state_out[at] = v;
    }
}

static void forward(struct snn_device *device, const struct snn_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    const struct snn_neuron_spec spec = *scan->spec;
    struct snn_scan copy = *scan;
    if (copy.y == copy.u && !spec.spikes) copy.y = NULL; /* one store is enough */
    uint32_t *halves = (uint32_t *)(void *)scan->bits;
    unsigned blocks = blocks_for(scan->B * ((scan->N + 63) / 64 * 64));
    cudaStream_t stream = cuda_of(device)->compute;
#define CASE(reset, delayed)                                                                                           \
    case (reset)*2 + (delayed):                                                                                        \
        LAUNCH((scan_forward<reset, delayed>), blocks, BLOCK, 0, stream, copy, spec, halves);                          \
        break;
    /* To zero and to v_reset is the same code: v_reset differs. */
    switch ((spec.reset == SNN_RESET_VALUE ? (int)SNN_RESET_ZERO : (int)spec.reset) * 2 + (spec.delayed != 0)) {
        CASE(SNN_RESET_ZERO, 0)
        CASE(SNN_RESET_ZERO, 1)
        CASE(SNN_RESET_SUBTRACT, 0)
        CASE(SNN_RESET_SUBTRACT, 1)
        CASE(SNN_RESET_NONE, 0)
        CASE(SNN_RESET_NONE, 1)
    }
#undef CASE
}

/* ---- backward ---- */

static __device__ __forceinline__ void derivatives(int surrogate, const real *u /* (AHEAD) */, real theta,
                                                   const real *p, real *out /* (AHEAD) */) {
    switch (surrogate) {
#define CASE(name, ...)                                                                                                \
    case SNN_SURROGATE_##name:                                                                                         \
        for (int j = 0; j < AHEAD; ++j) out[j] = sg_##name(u[j] - theta, p);                                           \
        break;
        SNN_SURROGATES(CASE)
#undef CASE
    }
}

/* Neuron `at`, backwards through all steps. With SUMS, what it adds to the gradients of the coefficients:
 * sum (3) += gH V, gH X, gH over the steps. V is known only when the step before has been fetched, so the terms of a
 * step are added one step later; X follows from the charge, X = (H - lambda V - drive) / kappa. A few terms are added
 * up in float, because double is slow on most cards. */
template <int RESET, bool SUMS>
static __device__ __forceinline__ void scan_back(const struct snn_scan &scan, const struct snn_neuron_spec &spec,
                                                 ptrdiff_t at, double *sum) {
    const enum snn_reset reset = (enum snn_reset)RESET;
    const struct snn_affine k = *scan.coefficients;
    const real p[SNN_SURROGATE_PARAMS] = {scan.surrogate[0], scan.surrogate[1]};
    const int detached = spec.detached || spec.delayed;
    const ptrdiff_t step = scan.B * scan.N;
    const bool is_static = scan.x_step == 0;
    real gv = 0, later_u = 0, later_gh = 0;
    /* Nothing is added to -0 rather than to 0: that changes no bit of what follows, zeros included. */
    real gathered = scan.gx && scan.adds && is_static ? scan.gx[at] : -0.0f;
    double products = 0; /* of gH and kappa X */
    for (int32_t t0 = scan.T - 1; t0 >= 0; t0 -= AHEAD) {
        real u[AHEAD], gs[AHEAD], sg[AHEAD], before[AHEAD];
        real few[3] = {0, 0, 0};
        for (int j = 0; j < AHEAD; ++j) {
            const ptrdiff_t t = t0 - j;
            u[j] = t >= 0 ? scan.u[t * step + at] : 0;
            gs[j] = t >= 0 ? scan.gy[t * step + at] : 0;
            before[j] = t >= 0 && scan.gx && scan.adds && !is_static ? scan.gx[t * step + at] : -0.0f;
        }
        if (spec.spikes) derivatives((int)spec.surrogate, u, k.theta, p, sg);
        for (int j = 0; j < AHEAD; ++j) {
            const ptrdiff_t t = t0 - j;
            if (t < 0) continue;
            const real s = affine_fire(&k, spec.strict, u[j]);
            if (SUMS && t < scan.T - 1) {
                const real v = affine_reset(&k, reset, u[j], s);
                few[0] += later_gh * v;
                few[1] += later_gh * (later_u - k.lambda * v - k.drive);
            }
            const real gh = spec.spikes ? affine_adjoint(&k, reset, detached, u[j], s, sg[j], gs[j], gv) : gs[j] + gv;
            gv = k.lambda * gh;
            if (SUMS) few[2] += gh, later_u = u[j], later_gh = gh;
            if (is_static) gathered += k.kappa * gh;
            else if (scan.gx) scan.gx[t * step + at] = before[j] + k.kappa * gh;
        }
        if (SUMS) sum[0] += few[0], products += few[1], sum[2] += few[2];
    }
    if (scan.T < 1) return;
    if (is_static && scan.gx) scan.gx[at] = gathered;
    if (SUMS) {
        const real v = initial_state(scan, spec, k, at);
        sum[0] += later_gh * v;
        products += later_gh * (later_u - k.lambda * v - k.drive);
        sum[1] += products / k.kappa;
    }
}

template <int RESET>
static __global__ void __launch_bounds__(BLOCK) scan_backward(struct snn_scan scan, struct snn_neuron_spec spec) {
    for (ptrdiff_t at = first_item(); at < scan.B * scan.N; at += item_step())
        scan_back<RESET, false>(scan, spec, at, NULL);
}

/* A block has a work item: some neurons of one sample. */
template <int RESET>
static __global__ void __launch_bounds__(BLOCK, 3)
    scan_backward_sums(struct snn_scan scan, struct snn_neuron_spec spec, double *partial /* (B chunks, 3) */) {
    __shared__ double shared[WARPS];
    const ptrdiff_t chunks = (scan.N + SNN_SCAN_CHUNK - 1) / SNN_SCAN_CHUNK, items = scan.B * chunks;
    for (ptrdiff_t item = blockIdx.x; item < items; item += gridDim.x) {
        const ptrdiff_t b = item / chunks, i0 = item % chunks * SNN_SCAN_CHUNK;
        const int n = scan.N - i0 < SNN_SCAN_CHUNK ? (int)(scan.N - i0) : (int)SNN_SCAN_CHUNK;
        double sum[3] = {0, 0, 0};
        for (int i = (int)threadIdx.x; i < n; i += BLOCK) scan_back<RESET, true>(scan, spec, b * scan.N + i0 + i, sum);
        for (int j = 0; j < 3; ++j) {
            double total = block_sum(sum[j], shared);
            if (threadIdx.x == 0) partial[3 * item + j] = total;
        }
    }
}

static void backward(struct snn_device *device, const struct snn_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    const struct snn_neuron_spec spec = *scan->spec;
    cudaStream_t stream = cuda_of(device)->compute;
    ptrdiff_t items = snn_scan_items(scan->B, scan->N);
    unsigned blocks = scan->partial ? blocks_for(items * BLOCK) : blocks_for(scan->B * scan->N);
#define CASE(reset)                                                                                                    \
    case reset:                                                                                                        \
        if (scan->partial) LAUNCH(scan_backward_sums<reset>, blocks, BLOCK, 0, stream, *scan, spec, scan->partial);    \
        else LAUNCH(scan_backward<reset>, blocks, BLOCK, 0, stream, *scan, spec);                                      \
        break;
    switch (spec.reset == SNN_RESET_VALUE ? (int)SNN_RESET_ZERO : (int)spec.reset) {
        CASE(SNN_RESET_ZERO)
        CASE(SNN_RESET_SUBTRACT)
        CASE(SNN_RESET_NONE)
    }
#undef CASE
}

/* ---- counts ---- */

/* As many lanes have a row as it has words, up to a warp. */
static __global__ void __launch_bounds__(BLOCK)
    count_bits(ptrdiff_t rows, int32_t words, int lanes, const uint64_t *__restrict__ bits /* (rows, words) */,
               int32_t *__restrict__ nonzero /* (rows) */) {
    const int lane = (int)(threadIdx.x % 32), place = lane % lanes, rows_a_warp = 32 / lanes;
    for (ptrdiff_t r0 = first_item() / 32 * rows_a_warp; r0 < rows; r0 += item_step() / 32 * rows_a_warp) {
        const ptrdiff_t r = r0 + lane / lanes;
        int32_t count = 0;
        for (ptrdiff_t w = place; r < rows && w < words; w += lanes)
            count += __popcll((unsigned long long)bits[r * words + w]);
        count = lanes_sum(count, lanes);
        if (place == 0 && r < rows) nonzero[r] = count;
    }
}

static void count(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero) {
    if (rows < 1) return;
    int lanes = power_of_two(words, 32);
    LAUNCH(count_bits, blocks_for(rows * lanes), BLOCK, 0, cuda_of(device)->compute, rows, words, lanes, bits, nonzero);
}

/* ---- PLIF ---- */

static __device__ __forceinline__ real logistic(real w) { return (real)(1 / (1 + exp(-(double)w))); }

/* One thread: in double, for a number that decides about every neuron. */
static __global__ void make_coefficients(struct snn_plif plif, const real *w, struct snn_affine *out) {
    const real k = logistic(*w);
    out->lambda = 1 - k, out->kappa = plif.decay_input ? k : 1, out->drive = *plif.v_reset * k;
}

static void plif_coefficients(struct snn_device *device, const struct snn_plif *plif, const real *w,
                              struct snn_affine *out) {
    LAUNCH(make_coefficients, 1, 1, 0, cuda_of(device)->compute, *plif, w, out);
}

/* One block. dw = (-glambda + gkappa (or 0) + v_reset gdrive) k (1-k) */
static __global__ void __launch_bounds__(BLOCK)
    add_plif_grad(struct snn_plif plif, const real *w, const double *__restrict__ partial /* (items, 3) */,
                  ptrdiff_t items, real *gw) {
    __shared__ double shared[WARPS];
    const double v_reset = *plif.v_reset;
    double sum = 0;
    for (ptrdiff_t i = threadIdx.x; i < items; i += BLOCK)
        sum += -partial[3 * i] + (plif.decay_input ? partial[3 * i + 1] : 0) + v_reset * partial[3 * i + 2];
    sum = block_sum(sum, shared);
    if (threadIdx.x != 0) return;
    const double k = logistic(*w);
    *gw += (real)(sum * k * (1 - k));
}

static void plif_grad(struct snn_device *device, const struct snn_plif *plif, const real *w, const double *partial,
                      ptrdiff_t items, real *gw) {
    LAUNCH(add_plif_grad, 1, BLOCK, 0, cuda_of(device)->compute, *plif, w, partial, items, gw);
}

const struct snn_neuron_kernels snn_neuron_cuda = {forward, backward, count, plif_coefficients, plif_grad};
