/* SPDX-License-Identifier: Apache-2.0
 * neuron.cu - the scan of spiking layers on CUDA (layers/neuron.h).
 *
 * A thread walks one neuron of one sample through all steps with its states in registers; neighbours are neighbouring
 * neurons. The inputs of AHEAD steps are fetched before the first of them is used: they do not depend on the states,
 * and only so is enough in flight to keep memory busy when a layer is small. There is a kernel a cell and direction;
 * resets, firing and surrogates are branches that all threads take alike, so that code grows with the sum of these. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/tiling.cuh"

#include "layers/cells/all.h"

enum { AHEAD = 4 };

/* The functions of each cell as a type. */
#define CELL(name)                                                                                                     \
    struct name##_cell {                                                                                               \
        enum { STATES = name##_STATES, COEFS = name##_COEFS, READS_V = name##_READS_V };                               \
        static __device__ __forceinline__ void start(const real *c, unsigned o, real *v) { name##_start(c, o, v); }    \
        static __device__ __forceinline__ void charge(const real *c, int reset, unsigned o, real x, real r, real *v) { \
            name##_charge(c, reset, o, x, r, v);                                                                       \
        }                                                                                                              \
        static __device__ __forceinline__ real over(const real *c, unsigned o, const real *h) {                        \
            return name##_over(c, o, h);                                                                               \
        }                                                                                                              \
        static __device__ __forceinline__ void settle(const real *c, int reset, unsigned o, real x, real s, real r,    \
                                                      real *v) {                                                       \
            name##_settle(c, reset, o, x, s, r, v);                                                                    \
        }                                                                                                              \
        static __device__ __forceinline__ void settle_adjoint(const real *c, int reset, unsigned o, const real *h,     \
                                                              real x, real s, real r, real *g, real *gs, real *gr,     \
                                                              real *gx, real *gc) {                                    \
            name##_settle_adjoint(c, reset, o, h, x, s, r, g, gs, gr, gx, gc);                                         \
        }                                                                                                              \
        static __device__ __forceinline__ void charge_adjoint(const real *c, int reset, unsigned o, const real *h,     \
                                                              const real *v, real x, real r, real gz, real *g,         \
                                                              real *gx, real *gc) {                                    \
            name##_charge_adjoint(c, reset, o, h, v, x, r, gz, g, gx, gc);                                             \
        }                                                                                                              \
    };
SNN_CELLS(CELL)
#undef CELL

/* The coefficient of a cell that differs from step to step; -1: none. */
template <class C> struct stepped {
    enum { AT = -1 };
};
template <> struct stepped<glif_cell> {
    enum { AT = GLIF_CONDUCT };
};

/* ---- firing ---- */

static __device__ __forceinline__ real fires(const struct snn_neuron_spec &spec, real z) {
    return spec.strict ? z > 0 : z >= 0;
}

static __device__ __forceinline__ real comes_out(const struct snn_neuron_spec &spec, real z, real spacing, real per) {
    real s = fires(spec, z);
    switch (spec.firing) {
    case SNN_FIRES_LEVELS:
        for (int k = 1; k < spec.levels; ++k) s += fires(spec, z - (real)k * spacing);
        return s;
    case SNN_FIRES_SIGNED:
        return s - fires(spec, -z - 2 * spacing);
    case SNN_FIRES_COUNTED:
        return cell_counts(spec.strict, z, spacing, per);
    case SNN_FIRES_ROUNDED:
        return r_round(cell_within(z, per, (real)spec.levels));
    case SNN_FIRES_GRADED:
        return cell_graded(s, z, per);
    case SNN_FIRES_CHANGES:
        return cell_changes(spec.strict, z, spacing);
    case SNN_FIRES_NEVER:
        return z;
    default:
        return s;
    }
}

static __device__ __forceinline__ real slope(const struct snn_neuron_spec &spec, real z, const real *p) {
    switch (spec.surrogate) {
#define CASE(name, ...)                                                                                                \
    case SNN_SURROGATE_##name:                                                                                         \
        return sg_##name(z, p);
        SNN_SURROGATES(CASE)
#undef CASE
    default:
        return 0;
    }
}

static __device__ __forceinline__ real derivative(const struct snn_neuron_spec &spec, real z, real spacing, real per,
                                                  const real *p) {
    if (spec.firing == SNN_FIRES_NEVER || spec.firing == SNN_FIRES_CHANGES) return 1;
    if (spec.firing == SNN_FIRES_ROUNDED) return cell_within_slope(z, per, (real)spec.levels);
    real sum = 0;
    /* One place where surrogates are: at the levels, or at z and at the other side. */
    const int levels = spec.firing == SNN_FIRES_LEVELS ? spec.levels : spec.firing == SNN_FIRES_SIGNED ? 2 : 1;
    for (int k = 0; k < levels; ++k) {
        const real at = k == 0 ? z : spec.firing == SNN_FIRES_SIGNED ? -z - 2 * spacing : z - (real)k * spacing;
        const real d = slope(spec, at, p);
        sum = k == 0 ? d : sum + d;
    }
    return spec.firing == SNN_FIRES_GRADED ? cell_graded_slope(fires(spec, z), sum, z, per) : sum;
}

/* ---- what a thread knows of its neuron ---- */

template <class C>
static __device__ __forceinline__ void coefficients_of(const struct snn_scan &scan, ptrdiff_t i, real *c) {
    for (int j = 0; j < C::COEFS; ++j) c[j] = scan.coef[j].at[i / scan.coef[j].inner];
}

/* The one that differs from step to step. */
template <class C>
static __device__ __forceinline__ void coefficient_at(const struct snn_scan &scan, ptrdiff_t t, ptrdiff_t i, real *c) {
    if constexpr (stepped<C>::AT >= 0) {
        const struct snn_coef &k = scan.coef[stepped<C>::AT];
        c[stepped<C>::AT] = k.at[t * k.step + i / k.inner];
    }
}

template <class C>
static __device__ __forceinline__ void states_at(const struct snn_scan &scan, const struct snn_neuron_spec &spec,
                                                 const real *c, ptrdiff_t at, real *v) {
    if (!scan.state_in) C::start(c, spec.options, v);
    else
        for (int j = 0; j < C::STATES; ++j) v[j] = scan.state_in[j * scan.B * scan.N + at];
}

/* ---- forward ---- */

/* A warp has 32 neurons of one sample, so that a vote makes half a word of the sample's spikes; words are
 * little-endian. Half words of nothing but padding have warps too. */
template <class C>
static __global__ void __launch_bounds__(BLOCK)
    scan_forward(struct snn_scan scan, struct snn_neuron_spec spec, uint32_t *halves /* (T,B, 2 words) or NULL */) {
    const int lane = (int)(threadIdx.x % 32);
    const ptrdiff_t step = scan.B * scan.N, per_sample = (scan.N + 63) / 64 * 2, warps = scan.B * per_sample;
    const int late = spec.delay, early = late ? (int)spec.reset : (int)SNN_RESET_NONE;
    const int reset = late == SNN_DELAY_NEXT ? (int)SNN_RESET_NONE : (int)spec.reset;
    const real spacing = spec.firing == SNN_FIRES_ONCE || spec.firing == SNN_FIRES_NEVER ? 1 : *scan.spacing;
    const real per = 1 / spacing;
    for (ptrdiff_t warp = first_item() / 32; warp < warps; warp += item_step() / 32) {
        const ptrdiff_t b = warp / per_sample, half = warp % per_sample, i = half * 32 + lane, at = b * scan.N + i;
        const bool active = i < scan.N;
        real c[C::COEFS] = {0}, v[C::STATES] = {0};
        if (active) {
            coefficients_of<C>(scan, i, c);
            states_at<C>(scan, spec, c, at, v);
        }
        for (int32_t t0 = scan.from; t0 < scan.to; t0 += AHEAD) {
            real now[AHEAD];
            for (int k = 0; k < AHEAD; ++k)
                now[k] = active && t0 + k < scan.to ? scan.x[(t0 + k) * scan.x_step + at] : 0;
            for (int k = 0; k < AHEAD; ++k) {
                const ptrdiff_t t = t0 + k, place = t * step + at;
                if (t >= scan.to) continue;
                if (active) coefficient_at<C>(scan, t, i, c);
                const real r = late ? fires(spec, C::over(c, spec.options, v)) : 0;
                C::charge(c, early, spec.options, now[k], r, v);
                for (int j = 0; j < C::STATES; ++j)
                    if (active && scan.h[j]) scan.h[j][place] = v[j];
                const real noise = scan.noise && active ? scan.noise[place] : 0;
                const real s = comes_out(spec, C::over(c, spec.options, v) + noise, spacing, per);
                C::settle(c, reset, spec.options, now[k], s, late ? s - r : s, v);
                if (active && scan.late) scan.late[place] = r;
                if (active && scan.y) scan.y[place] = s;
                if (!halves) continue;
                const uint32_t spikes = __ballot_sync(0xffffffffu, active && s != 0);
                if (lane == 0) halves[(t * scan.B + b) * per_sample + half] = spikes;
            }
        }
        for (int j = 0; j < C::STATES; ++j)
            if (active && scan.state_out) scan.state_out[j * step + at] = v[j];
    }
}

static void forward(struct snn_device *device, const struct snn_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    uint32_t *halves = (uint32_t *)(void *)scan->bits;
    unsigned blocks = blocks_for(scan->B * ((scan->N + 63) / 64 * 64));
    cudaStream_t stream = cuda_of(device)->compute;
    switch (scan->spec->cell) {
#define CASE(name)                                                                                                     \
    case SNN_CELL_##name:                                                                                              \
        LAUNCH(scan_forward<name##_cell>, blocks, BLOCK, 0, stream, *scan, *scan->spec, halves);                       \
        break;
        SNN_CELLS(CASE)
#undef CASE
    case SNN_CELL_COUNT:
        break;
    }
}

/* ---- backward ---- */

/* Without a bound the compiler spills, because of the many surrogates; cells of many coefficients need a wider one. */
template <class C>
static __global__ void __launch_bounds__(BLOCK, C::COEFS > 9 ? 3 : 4)
    scan_backward(struct snn_scan scan, struct snn_neuron_spec spec) {
    const ptrdiff_t step = scan.B * scan.N;
    const int late = spec.delay, early = late ? (int)spec.reset : (int)SNN_RESET_NONE;
    const int reset = late == SNN_DELAY_NEXT ? (int)SNN_RESET_NONE : (int)spec.reset;
    const unsigned o = spec.options;
    const bool sums = scan.gcoef != NULL, reads_v = C::READS_V || sums || late, is_static = scan.x_step == 0;
    const real spacing = spec.firing == SNN_FIRES_ONCE || spec.firing == SNN_FIRES_NEVER ? 1 : *scan.spacing;
    const real per = 1 / spacing;
    for (ptrdiff_t at = first_item(); at < step; at += item_step()) {
        real c[C::COEFS], h[C::STATES], g[C::STATES], gc[C::COEFS];
        coefficients_of<C>(scan, at % scan.N, c);
        for (int j = 0; j < C::COEFS; ++j) gc[j] = 0;
        for (int j = 0; j < C::STATES; ++j) {
            g[j] = scan.gstate_in ? scan.gstate_in[j * step + at] : 0;
            h[j] = scan.h[j] && scan.to > scan.from ? scan.h[j][(scan.to - 1) * step + at] : 0;
        }
        for (int32_t t = scan.to - 1; t >= scan.from; --t) {
            const ptrdiff_t place = t * step + at;
            coefficient_at<C>(scan, t, at % scan.N, c);
            real v[C::STATES], before[C::STATES], gk[C::COEFS] = {0}, gs = scan.gy[place], gr = 0, gx = 0;
            for (int j = 0; j < C::STATES; ++j) before[j] = v[j] = t > 0 && scan.h[j] ? scan.h[j][place - step] : 0;
            if (reads_v && t == 0) states_at<C>(scan, spec, c, at, v);
            if (reads_v && t > 0) {
                const real noise = scan.noise ? scan.noise[place - step] : 0;
                const real s = comes_out(spec, C::over(c, o, v) + noise, spacing, per);
                C::settle(c, reset, o, scan.x ? scan.x[(t - 1) * scan.x_step + at] : 0, s,
                          scan.late ? s - scan.late[place - step] : s, v);
            }
            const real x = scan.x ? scan.x[t * scan.x_step + at] : 0, z = C::over(c, o, h);
            const real r = late ? fires(spec, C::over(c, o, v)) : 0,
                       s = comes_out(spec, scan.noise ? z + scan.noise[place] : z, spacing, per);
            C::settle_adjoint(c, reset, o, h, x, s, late ? s - r : s, g, &gs, &gr, &gx, gk);
            const real gz = (spec.detached ? gs : gs + gr) * derivative(spec, z, spacing, per, scan.surrogate);
            C::charge_adjoint(c, early, o, h, v, x, r, gz, g, &gx, gk);
            if constexpr (stepped<C>::AT >= 0) {
                if (sums) scan.gstep[place] = gk[stepped<C>::AT];
                gk[stepped<C>::AT] = 0;
            }
            for (int j = 0; sums && j < C::COEFS; ++j) gc[j] += gk[j];
            if (scan.gx) {
                real *to = scan.gx + t * scan.x_step + at;
                *to = scan.adds || (is_static && t != scan.to - 1) ? *to + gx : gx;
            }
            for (int j = 0; j < C::STATES; ++j) h[j] = before[j];
            for (int j = 0; j < C::STATES; ++j) g[j] = spec.apart ? 0 : g[j];
        }
        for (int j = 0; j < C::STATES; ++j)
            if (scan.gstate_out) scan.gstate_out[j * step + at] = g[j];
        for (int j = 0; j < C::COEFS; ++j)
            if (sums && scan.wanted >> j & 1) scan.gcoef[j * step + at] += gc[j];
    }
}

static void backward(struct snn_device *device, const struct snn_scan *scan) {
    if (scan->B < 1 || scan->N < 1) return;
    unsigned blocks = blocks_for(scan->B * scan->N);
    cudaStream_t stream = cuda_of(device)->compute;
    switch (scan->spec->cell) {
#define CASE(name)                                                                                                     \
    case SNN_CELL_##name:                                                                                              \
        LAUNCH(scan_backward<name##_cell>, blocks, BLOCK, 0, stream, *scan, *scan->spec);                              \
        break;
        SNN_CELLS(CASE)
#undef CASE
    case SNN_CELL_COUNT:
        break;
    }
}

/* ---- noise ---- */

static __global__ void __launch_bounds__(BLOCK)
    draw_noise(struct snn_noise noise, real *__restrict__ out /* (T,B,N) */) {
    const uint64_t seed = noise.clock[0] | (uint64_t)noise.clock[1] << 32;
    const uint32_t blocks = (uint32_t)((noise.N + 3) / 4);
    for (ptrdiff_t k = first_item(); k < (ptrdiff_t)noise.T * noise.B * blocks; k += item_step()) {
        const ptrdiff_t r = k / blocks, i0 = k % blocks * 4;
        uint32_t word[4];
        snn_rng_block(seed, noise.purpose, noise.clock[2], (uint32_t)noise.sample[r % noise.B],
                      (uint32_t)(noise.t0 + r / noise.B) * blocks + (uint32_t)(i0 / 4), word);
        for (int j = 0; j < 4; ++j)
            if (i0 + j < noise.N) out[r * noise.N + i0 + j] = snn_logistic_noise(word[j], *noise.width);
    }
}

static void draw(struct snn_device *device, const struct snn_noise *noise, real *out) {
    ptrdiff_t blocks = (ptrdiff_t)noise->T * noise->B * ((noise->N + 3) / 4);
    if (blocks < 1) return;
    LAUNCH(draw_noise, blocks_for(blocks), BLOCK, 0, cuda_of(device)->compute, *noise, out);
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

/* ---- coefficients ---- */

static __global__ void __launch_bounds__(BLOCK)
    make_coefficients(struct snn_coef_learned how, const real *__restrict__ w, real *__restrict__ out) {
    for (ptrdiff_t k = first_item(); k < how.count; k += item_step()) out[k] = (real)snn_coefficient(&how, w[k]);
}

static void coefficients(struct snn_device *device, const struct snn_coef_learned *how, const real *w, real *out) {
    LAUNCH(make_coefficients, blocks_for(how->count), BLOCK, 0, cuda_of(device)->compute, *how, w, out);
}

/* A block has a learned number. */
static __global__ void __launch_bounds__(BLOCK)
    add_coefficients_grad(struct snn_coef_learned how, int32_t B, ptrdiff_t N, const real *__restrict__ w,
                          const real *__restrict__ gcoef /* (B,N) */, real *gw) {
    __shared__ double shared[WARPS];
    for (ptrdiff_t k = blockIdx.x; k < how.count; k += gridDim.x) {
        double sum = 0;
        for (ptrdiff_t i = threadIdx.x; i < B * how.inner; i += BLOCK)
            sum += gcoef[i / how.inner * N + k * how.inner + i % how.inner];
        sum = block_sum(sum, shared);
        if (threadIdx.x == 0) gw[k] += (real)(sum * snn_coefficient_slope(&how, w[k]));
    }
}

static void coefficients_grad(struct snn_device *device, const struct snn_coef_learned *how, int32_t B, ptrdiff_t N,
                              const real *w, const real *gcoef, real *gw) {
    LAUNCH(add_coefficients_grad, blocks_for(how->count * BLOCK), BLOCK, 0, cuda_of(device)->compute, *how, B, N, w,
           gcoef, gw);
}

static __global__ void __launch_bounds__(BLOCK) clear_diagonal(ptrdiff_t n, real *w) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) w[i * n + i] = 0;
}

static void zero_diagonal(struct snn_device *device, ptrdiff_t n, real *w) {
    LAUNCH(clear_diagonal, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, w);
}

/* ---- neurons that hear themselves alone ---- */

static __device__ __forceinline__ real heard(const uint64_t *bits, const real *dense, int32_t words, ptrdiff_t n,
                                             ptrdiff_t r, ptrdiff_t i) {
    return bits ? (real)(bits[r * words + i / 64] >> (i % 64) & 1) : dense[r * n + i];
}

static __global__ void __launch_bounds__(BLOCK)
    hear_itself(ptrdiff_t B, ptrdiff_t n, const uint64_t *__restrict__ bits, const real *__restrict__ dense,
                int32_t words, const real *__restrict__ w, const real *__restrict__ x, real *__restrict__ out) {
    for (ptrdiff_t b = first_row(); b < B; b += row_step())
        for (ptrdiff_t i = first_item(); i < n; i += item_step())
            out[b * n + i] = x[b * n + i] + w[i] * heard(bits, dense, words, n, b, i);
}

static void itself(struct snn_device *device, int32_t B, ptrdiff_t n, const struct snn_rows *s, const real *w,
                   const real *x, real *out) {
    struct tiling tiling = tiling_for(B, n);
    if (B < 1 || n < 1) return;
    LAUNCH(hear_itself, tiling.grid, tiling.block, 0, cuda_of(device)->compute, B, n, s->bits, s->dense, s->words, w, x,
           out);
}

static __global__ void __launch_bounds__(BLOCK) hear_itself_back(ptrdiff_t B, ptrdiff_t n, const real *__restrict__ w,
                                                                 const real *__restrict__ g, real *__restrict__ gs) {
    for (ptrdiff_t b = first_row(); b < B; b += row_step())
        for (ptrdiff_t i = first_item(); i < n; i += item_step()) gs[b * n + i] += w[i] * g[b * n + i];
}

static void itself_grad_input(struct snn_device *device, int32_t B, ptrdiff_t n, const real *w, const real *g,
                              real *gs) {
    struct tiling tiling = tiling_for(B, n);
    if (B < 1 || n < 1) return;
    LAUNCH(hear_itself_back, tiling.grid, tiling.block, 0, cuda_of(device)->compute, B, n, w, g, gs);
}

/* A block has 32 neurons; each of its warps takes every WARPS-th row. */
static __global__ void __launch_bounds__(BLOCK)
    hear_itself_weights(ptrdiff_t rows, ptrdiff_t n, const uint64_t *__restrict__ bits, const real *__restrict__ dense,
                        int32_t words, const real *__restrict__ g, real *__restrict__ gw) {
    __shared__ real sums[WARPS][32];
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    for (ptrdiff_t i0 = (ptrdiff_t)blockIdx.x * 32; i0 < n; i0 += (ptrdiff_t)gridDim.x * 32) {
        const ptrdiff_t i = i0 + lane;
        real sum = 0;
        for (ptrdiff_t r = warp; i < n && r < rows; r += WARPS)
            sum += g[r * n + i] * heard(bits, dense, words, n, r, i);
        sums[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && i < n) {
            for (int k = 1; k < WARPS; ++k) sum += sums[k][lane];
            gw[i] += sum;
        }
        __syncthreads();
    }
}

static void itself_grad_weight(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const struct snn_rows *s,
                               const real *g, real *gw) {
    if (rows < 1 || n < 1) return;
    LAUNCH(hear_itself_weights, blocks_for((n + 31) / 32 * BLOCK), BLOCK, 0, cuda_of(device)->compute, rows, n, s->bits,
           s->dense, s->words, g, gw);
}

const struct snn_neuron_kernels snn_neuron_cuda = {forward,           backward,          draw,          count,
                                                   coefficients,      coefficients_grad, zero_diagonal, itself,
                                                   itself_grad_input, itself_grad_weight};
