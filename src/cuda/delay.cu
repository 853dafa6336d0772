/* SPDX-License-Identifier: Apache-2.0
 * delay.cu - synapses with delays: kernels are made by a thread a synapse, and convolved with by one product a tap.
 *
 * Kernels lie tap by tap, so that neighbouring threads touch neighbouring numbers at every tap. What a kernel is made
 * of is computed again where it is needed: it takes fewer bytes than it would to keep it. */
#include "autograd/delay.h"

#include "core/rmath.h"
#include "cuda/product.cuh"
#include "cuda/reduce.cuh"
#include "cuda/tiling.cuh"

/* ---- kernels ---- */

struct bump { /* one element */
    real p, width, sign, scale;
};

static __device__ __forceinline__ real height(bool gauss, real away, real width) {
    if (gauss) {
        const real z = away / width;
        return r_exp((real)-0.5 * z * z);
    }
    const real left = width - (away < 0 ? -away : away);
    return left > 0 ? left : 0;
}

template <bool GAUSS>
static __device__ __forceinline__ struct bump bump_of(const struct snn_delay_shape &s,
                                                      const struct snn_delay_elements &e, ptrdiff_t at) {
    const real sigma = e.width ? e.width[at] : *e.sigma, size = sigma < 0 ? -sigma : sigma;
    const real last = (real)(s.taps - 1), middle = (real)(s.taps / 2);
    struct bump b;
    b.p = e.position[at] + middle, b.sign = (real)((sigma > 0) - (sigma < 0));
    b.width = GAUSS ? size + 0.27f : e.version == SNN_DELAY_MAX && !e.rounded ? size + 1 : 1;
    if (e.rounded) {
        b.p = middle + rintf(e.position[at]);
        b.p = b.p < 0 ? 0 : b.p > last ? last : b.p;
    }
    b.scale = 1;
    if (e.version == SNN_DELAY_V0 && !e.rounded) return b;
    real sum = 0;
    for (int32_t n = 0; n < s.taps; ++n) sum += height(GAUSS, (real)n - b.p, b.width);
    b.scale = 1 / (sum + SNN_DELAY_EPS);
    return b;
}

template <bool GAUSS>
static __global__ void __launch_bounds__(BLOCK)
    make_kernels(struct snn_delay_shape s, ptrdiff_t synapses, struct snn_delay_elements e,
                 real *__restrict__ kernel /* (taps, synapses) */) {
    for (ptrdiff_t i = first_item(); i < synapses; i += item_step())
        for (int32_t k = 0; k < s.count; ++k) {
            const ptrdiff_t at = i * s.count + k;
            const struct bump b = bump_of<GAUSS>(s, e, at);
            const real w = e.weight[at];
            for (int32_t n = 0; n < s.taps; ++n) {
                const real value = w * (height(GAUSS, (real)n - b.p, b.width) * b.scale);
                kernel[n * synapses + i] = k ? kernel[n * synapses + i] + value : value;
            }
        }
}

/* The sums of delay_cpu.c. */
template <bool GAUSS>
static __global__ void __launch_bounds__(BLOCK)
    add_element_gradients(struct snn_delay_shape s, ptrdiff_t synapses, struct snn_delay_elements e,
                          const real *__restrict__ gkernel /* (taps, synapses) */, real *__restrict__ gweight,
                          real *__restrict__ gposition, real *__restrict__ gwidth) {
    const bool split = e.version == SNN_DELAY_V0 && !e.rounded;
    for (ptrdiff_t i = first_item(); i < synapses; i += item_step())
        for (int32_t k = 0; k < s.count; ++k) {
            const ptrdiff_t at = i * s.count + k;
            const struct bump b = bump_of<GAUSS>(s, e, at);
            real sum = 0, position = 0, position_g = 0, width = 0, width_g = 0;
            for (int32_t n = 0; n < s.taps; ++n) {
                const real G = gkernel[n * synapses + i], away = (real)n - b.p, g = height(GAUSS, away, b.width);
                real by_p, by_s;
                if (GAUSS) {
                    by_p = g * away / (b.width * b.width), by_s = by_p * away / b.width;
                } else {
                    by_s = g > 0 ? 1 : 0, by_p = g > 0 ? (real)((away > 0) - (away < 0)) : 0;
                }
                if (split) by_p = away > -1 && away <= 0 ? -1 : away > 0 && away <= 1 ? 1 : 0;
                sum += G * g;
                position += by_p, position_g += G * by_p;
                width += by_s, width_g += G * by_s;
            }
            const real h = sum * b.scale, by = e.weight[at] * b.scale;
            if (gweight) gweight[at] += h;
            if (gposition) gposition[at] += by * (position_g - h * (split ? 0 : position));
            if (gwidth) gwidth[at] += b.sign * by * (width_g - h * width);
        }
}

static bool is_gauss(const struct snn_delay_elements *e) { return e->version == SNN_DELAY_GAUSS && !e->rounded; }

static void build(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_elements *e,
                  real *kernel) {
    const ptrdiff_t synapses = snn_delay_synapses(s);
    const cudaStream_t stream = cuda_of(device)->compute;
    if (is_gauss(e)) LAUNCH(make_kernels<true>, blocks_for(synapses), BLOCK, 0, stream, *s, synapses, *e, kernel);
    else LAUNCH(make_kernels<false>, blocks_for(synapses), BLOCK, 0, stream, *s, synapses, *e, kernel);
}

static void build_grad(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_elements *e,
                       const real *gkernel, real *gweight, real *gposition, real *gwidth) {
    const ptrdiff_t synapses = snn_delay_synapses(s);
    const cudaStream_t stream = cuda_of(device)->compute;
    if (is_gauss(e))
        LAUNCH(add_element_gradients<true>, blocks_for(synapses), BLOCK, 0, stream, *s, synapses, *e, gkernel, gweight,
               gposition, gwidth);
    else
        LAUNCH(add_element_gradients<false>, blocks_for(synapses), BLOCK, 0, stream, *s, synapses, *e, gkernel, gweight,
               gposition, gwidth);
}

/* ---- rows as numbers ---- */

template <bool BITS>
static __global__ void __launch_bounds__(BLOCK)
    expand_rows(ptrdiff_t rows, ptrdiff_t units, struct snn_rows x, real *__restrict__ y) {
    for (ptrdiff_t r = first_row(); r < rows; r += row_step())
        for (ptrdiff_t i = first_item(); i < units; i += item_step())
            y[r * units + i] =
                BITS ? (real)(int32_t)(x.bits[r * x.words + (i >> 6)] >> (i & 63) & 1) : x.dense[r * units + i];
}

/* A warp a row. */
static __global__ void __launch_bounds__(BLOCK)
    expand_lists(ptrdiff_t rows, ptrdiff_t units, struct snn_lists x, real *__restrict__ y) {
    const int lane = (int)(threadIdx.x % 32);
    for (ptrdiff_t r = first_item() / 32; r < rows; r += item_step() / 32) {
        const struct snn_entries e = snn_lists_row(&x, r);
        for (ptrdiff_t i = lane; i < units; i += 32) y[r * units + i] = 0;
        __syncwarp();
        for (int32_t k = lane; k < e.count; k += 32) y[r * units + e.index[k]] = e.value ? e.value[k] : 1;
    }
}

static void expand(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const struct snn_rows *x, real *y) {
    const cudaStream_t stream = cuda_of(device)->compute;
    const struct tiling tiling = tiling_for(rows, units);
    if (rows < 1) return;
    if (x->lists.row) LAUNCH(expand_lists, blocks_for(rows * 32), BLOCK, 0, stream, rows, units, x->lists, y);
    else if (x->bits) LAUNCH(expand_rows<true>, tiling.grid, tiling.block, 0, stream, rows, units, *x, y);
    else LAUNCH(expand_rows<false>, tiling.grid, tiling.block, 0, stream, rows, units, *x, y);
}

/* ---- the convolution: y row r and x row r + shift belong together, a shift for every tap ---- */

static size_t scratch_bytes(int threads, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                            enum snn_form x) {
    (void)threads;
    return x == SNN_DENSE ? 0 : (size_t)span->x * (size_t)span->B * (size_t)s->in * sizeof(real);
}

static const real *numbers_of(struct snn_device *device, const struct snn_delay_shape *s,
                              const struct snn_delay_span *span, const struct snn_rows *x, void *scratch) {
    if (snn_rows_form(x) == SNN_DENSE) return x->dense;
    expand(device, (ptrdiff_t)span->x * span->B, s->in, x, (real *)scratch);
    return (const real *)scratch;
}

/* The rows 0 <= r0 <= r < r1 <= rows for which there is a row r + shift among `others`. */
struct rows {
    ptrdiff_t r0, r1;
};
static struct rows common(ptrdiff_t rows, ptrdiff_t others, ptrdiff_t shift) {
    struct rows r = {shift < 0 ? -shift : 0, others - shift < rows ? others - shift : rows};
    return r;
}

static ptrdiff_t rows_before(const struct snn_delay_shape *s, const struct snn_delay_span *span, int32_t n) {
    return ((ptrdiff_t)span->before - (s->taps - 1) + n) * span->B;
}

static void forward(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                    const struct snn_rows *x, const real *kernel, real *y, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    const real *from = numbers_of(device, s, span, x, scratch);
    const ptrdiff_t rows = (ptrdiff_t)span->y * span->B, in = s->in / s->groups, out = s->out / s->groups;
    device->memory->zero(device, y, (size_t)(rows * s->out) * sizeof *y);
    for (int32_t n = 0; n < s->taps; ++n) {
        const ptrdiff_t shift = rows_before(s, span, n);
        const struct rows r = common(rows, (ptrdiff_t)span->x * span->B, shift);
        for (int32_t g = 0; g < s->groups && r.r0 < r.r1; ++g)
            product(cuda, false, true, r.r1 - r.r0, out, in, from + (r.r0 + shift) * s->in + g * in, s->in,
                    kernel + (n * s->out + g * out) * in, in, 1, y + r.r0 * s->out + g * out, s->out);
    }
}

static void grad_input(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                       const real *gy, const real *kernel, bool adds, real *gx, void *scratch) {
    (void)scratch;
    struct snn_cuda *cuda = cuda_of(device);
    const ptrdiff_t rows = (ptrdiff_t)(span->x - span->before) * span->B, in = s->in / s->groups,
                    out = s->out / s->groups;
    if (!adds) device->memory->zero(device, gx, (size_t)(rows * s->in) * sizeof *gx);
    for (int32_t n = 0; n < s->taps; ++n) {
        const ptrdiff_t shift = (ptrdiff_t)(s->taps - 1 - n) * span->B;
        const struct rows r = common(rows, (ptrdiff_t)span->y * span->B, shift);
        for (int32_t g = 0; g < s->groups && r.r0 < r.r1; ++g)
            product(cuda, false, false, r.r1 - r.r0, in, out, gy + (r.r0 + shift) * s->out + g * out, s->out,
                    kernel + (n * s->out + g * out) * in, in, 1, gx + r.r0 * s->in + g * in, s->in);
    }
}

static void grad_kernel(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                        const struct snn_rows *x, const real *gy, real *gkernel, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    const real *from = numbers_of(device, s, span, x, scratch);
    const ptrdiff_t rows = (ptrdiff_t)span->y * span->B, in = s->in / s->groups, out = s->out / s->groups;
    for (int32_t n = 0; n < s->taps; ++n) {
        const ptrdiff_t shift = rows_before(s, span, n);
        const struct rows r = common(rows, (ptrdiff_t)span->x * span->B, shift);
        for (int32_t g = 0; g < s->groups && r.r0 < r.r1; ++g)
            product(cuda, true, false, out, in, r.r1 - r.r0, gy + r.r0 * s->out + g * out, s->out,
                    from + (r.r0 + shift) * s->in + g * in, s->in, 1, gkernel + (n * s->out + g * out) * in, in);
    }
}

/* ---- a delay for every channel ---- */

struct delay { /* y[t] = (1 - part) x[t - whole] + part x[t - whole - 1] */
    ptrdiff_t whole;
    real part;
};
static __device__ __forceinline__ struct delay delay_of(const struct snn_shift &s, real d) {
    const real most = (real)s.most, rounded = s.rounded ? rintf(d) : d;
    const real at = rounded < 0 ? 0 : rounded > most ? most : rounded, whole = floorf(at);
    struct delay delay;
    delay.whole = (ptrdiff_t)whole, delay.part = at - whole;
    return delay;
}

static __global__ void __launch_bounds__(BLOCK)
    shift_rows(struct snn_shift s, const real *__restrict__ x /* (before + T, B, C, inner) */,
               const real *__restrict__ delay /* (C) */, real *__restrict__ y /* (T,B,C,inner) */) {
    const ptrdiff_t units = s.C * s.inner, step = s.B * units;
    for (ptrdiff_t r = first_row(); r < (ptrdiff_t)s.T * s.B; r += row_step())
        for (ptrdiff_t i = first_item(); i < units; i += item_step()) {
            const struct delay d = delay_of(s, delay[i / s.inner]);
            const ptrdiff_t t = r / s.B + s.before - d.whole;
            const real *at = x + t * step + r % s.B * units + i;
            y[r * units + i] = (t >= 0 ? (1 - d.part) * at[0] : 0) + (t >= 1 ? d.part * at[-step] : 0);
        }
}

static __global__ void __launch_bounds__(BLOCK)
    shift_rows_back(struct snn_shift s, const real *__restrict__ delay /* (C) */,
                    const real *__restrict__ gy /* (T,B,C,inner) */, bool adds, real *gx /* (T,B,C,inner) */) {
    const ptrdiff_t units = s.C * s.inner, step = s.B * units;
    for (ptrdiff_t r = first_row(); r < (ptrdiff_t)s.T * s.B; r += row_step())
        for (ptrdiff_t i = first_item(); i < units; i += item_step()) {
            const struct delay d = delay_of(s, delay[i / s.inner]);
            const ptrdiff_t t = r / s.B + d.whole;
            const real *at = gy + t * step + r % s.B * units + i;
            real sum = adds ? gx[r * units + i] : 0;
            if (t < s.T) sum += (1 - d.part) * at[0];
            if (t + 1 < s.T) sum += d.part * at[step];
            gx[r * units + i] = sum;
        }
}

/* A block a channel. */
static __global__ void __launch_bounds__(BLOCK)
    add_delay_gradients(struct snn_shift s, const real *__restrict__ x, const real *__restrict__ delay,
                        const real *__restrict__ gy, real *__restrict__ gdelay /* (C) */) {
    __shared__ real shared[WARPS];
    const ptrdiff_t units = s.C * s.inner, step = s.B * units, count = (ptrdiff_t)s.T * s.B * s.inner;
    for (ptrdiff_t c = blockIdx.x; c < s.C; c += gridDim.x) {
        const struct delay d = delay_of(s, delay[c]);
        real sum = 0;
        for (ptrdiff_t k = threadIdx.x; k < count; k += BLOCK) {
            const ptrdiff_t r = k / s.inner, i = c * s.inner + k % s.inner, t = r / s.B + s.before - d.whole;
            const real *at = x + t * step + r % s.B * units + i;
            sum += gy[r * units + i] * ((t >= 1 ? at[-step] : 0) - (t >= 0 ? at[0] : 0));
        }
        sum = block_sum(sum, shared);
        if (threadIdx.x == 0) gdelay[c] += sum;
    }
}

static void shift(struct snn_device *device, const struct snn_shift *s, const real *x, const real *delay, real *y) {
    const struct tiling tiling = tiling_for((ptrdiff_t)s->T * s->B, s->C * s->inner);
    LAUNCH(shift_rows, tiling.grid, tiling.block, 0, cuda_of(device)->compute, *s, x, delay, y);
}

static void shift_grad(struct snn_device *device, const struct snn_shift *s, const real *x, const real *delay,
                       const real *gy, bool adds, real *gx, real *gdelay) {
    const struct tiling tiling = tiling_for((ptrdiff_t)s->T * s->B, s->C * s->inner);
    const cudaStream_t stream = cuda_of(device)->compute;
    if (gx) LAUNCH(shift_rows_back, tiling.grid, tiling.block, 0, stream, *s, delay, gy, adds, gx);
    if (gdelay) LAUNCH(add_delay_gradients, (unsigned)s->C, BLOCK, 0, stream, *s, x, delay, gy, gdelay);
}

const struct snn_delay_kernels snn_delay_cuda = {build,       build_grad, scratch_bytes, forward,   grad_input,
                                                 grad_kernel, expand,     shift,         shift_grad};
