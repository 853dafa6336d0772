/* SPDX-License-Identifier: Apache-2.0
 * norm.cu - normalisation. Batch: the elements of each (group, channel) are shared by several blocks, a warp to every
 * channel adds up what they found, and a last kernel is element-wise.
 *
 * A block takes its mean first and then the squares of the deviations from it, from numbers that are in the cache by
 * now; blocks are put together by Chan's rule (the squares about a common mean are those about each block's own plus n
 * times the squared distance of the means). So float is enough, and x is fetched twice, not three times. */
#include <math.h>

#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"

/* ---- how the elements of a channel are shared ---- */

/* A warp covers 32 / width channels, `width` lanes each, so that short runs (inner 1: no image) are read side by side.
 * Items of a group are segments of runs, one after the other; warp after warp, part after part, takes the next. */
struct share {
    int32_t rows, C; /* of a group */
    ptrdiff_t inner;
    int32_t width, segments, parts;
    int32_t first_group, groups, first_channel, channels; /* of this launch */
};

enum { SEGMENT = 1024, FILLING = 1024, MOST_PARTS = 64, FIGURES = 3 };
/* Figures of a part (groups, channels, parts, FIGURES): forward n, mean, squares about it; backward n, sum, dot. */

static struct share share_of(const struct snn_norm_shape *s, bool joint) {
    struct share k;
    k.rows = joint ? s->T * s->B : s->B, k.C = s->C, k.inner = s->inner;
    k.width = power_of_two(s->inner, 32);
    k.segments = (int32_t)((s->inner + SEGMENT - 1) / SEGMENT);
    ptrdiff_t blocks = (s->C + 32 / k.width - 1) / (32 / k.width) * (ptrdiff_t)(joint ? 1 : s->T);
    ptrdiff_t parts = blocks ? FILLING / blocks : 1, most = ((ptrdiff_t)k.rows * k.segments + WARPS - 1) / WARPS;
    if (parts > most) parts = most;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    k.parts = (int32_t)(parts < 1 ? 1 : parts);
    k.first_group = k.first_channel = 0, k.groups = joint ? 1 : s->T, k.channels = s->C;
    return k;
}

/* The launches of a share: as many channels and groups at a time as there is room for their figures. */
static bool next_slice(const struct share *all, struct share *slice) {
    enum { ROOM = PARTIALS * (int)(sizeof(double) / sizeof(real)) / FIGURES };
    int32_t most_channels = ROOM / all->parts, most_groups;
    if (slice->groups == 0) slice->first_group = slice->first_channel = 0;
    else if (slice->first_group + slice->groups < all->groups) slice->first_group += slice->groups;
    else slice->first_group = 0, slice->first_channel += slice->channels;
    if (slice->first_channel >= all->channels) return false;
    slice->channels = all->channels - slice->first_channel;
    if (slice->channels > most_channels) slice->channels = most_channels;
    most_groups = most_channels / slice->channels;
    if (most_groups > MOST_LINES) most_groups = MOST_LINES;
    slice->groups = all->groups - slice->first_group;
    if (slice->groups > most_groups) slice->groups = most_groups;
    return true;
}
#define EACH_SLICE(all, slice) for (struct share slice = nothing_of(all); next_slice(&(all), &slice);)
static struct share nothing_of(struct share k) {
    k.groups = 0;
    return k;
}

static unsigned warp_blocks(int32_t warps) { return (unsigned)((warps + WARPS - 1) / WARPS); }

static dim3 share_grid(const struct share *k) {
    int32_t slots = 32 / k->width;
    return dim3((unsigned)((k->channels + slots - 1) / slots), (unsigned)k->parts, (unsigned)k->groups);
}

/* Where this thread is at work. */
struct worker {
    int32_t warp, slot, column; /* slot: of the channel within the warp; column: of the lane within the channel */
    int32_t channel, group;     /* of the shape */
    bool live;                  /* there is such a channel */
};
static __device__ __forceinline__ struct worker worker_of(const struct share &k) {
    struct worker w;
    int32_t lane = (int32_t)threadIdx.x % 32;
    w.warp = (int32_t)threadIdx.x / 32, w.slot = lane / k.width, w.column = lane % k.width;
    int32_t channel = (int32_t)blockIdx.x * (32 / k.width) + w.slot;
    w.channel = k.first_channel + channel, w.group = k.first_group + (int32_t)blockIdx.z;
    w.live = channel < k.channels;
    return w;
}
static __device__ __forceinline__ real *figures_of(const struct share &k, const struct worker &w, real *figures) {
    ptrdiff_t at = (ptrdiff_t)blockIdx.z * k.channels + (w.channel - k.first_channel);
    return figures + (at * k.parts + blockIdx.y) * FIGURES;
}

struct item { /* elements [at, at + length) of channel 0's plane of a row; a channel's lie channel * inner further */
    int64_t row;
    ptrdiff_t from, length;
};
static __device__ __forceinline__ struct item item_at(const struct share &k, const struct worker &w, int32_t i) {
    struct item item;
    int32_t row = k.segments == 1 ? i : i / k.segments;
    item.row = (int64_t)w.group * k.rows + row;
    item.from = (ptrdiff_t)(i - row * k.segments) * SEGMENT;
    item.length = min((long long)(k.inner - item.from), (long long)SEGMENT);
    return item;
}
#define EACH_ITEM(k, w, i)                                                                                             \
    for (int32_t i = (int32_t)blockIdx.y * WARPS + (w).warp; i < (k).rows * (k).segments; i += (k).parts * WARPS)

/* Sum over the lanes of a channel and over the warps, for every thread of the channel. */
static __device__ __forceinline__ real channel_sum(const struct share &k, const struct worker &w, real value,
                                                   real (*shared)[32]) {
    value = lanes_sum(value, k.width);
    __syncthreads();
    if (w.column == 0) shared[w.warp][w.slot] = value;
    __syncthreads();
    real total = shared[0][w.slot];
    for (int warp = 1; warp < WARPS; ++warp) total += shared[warp][w.slot];
    return total;
}

/* ---- batch, forward ---- */

static __global__ void __launch_bounds__(BLOCK)
    part_statistics(struct share k, const real *x, const uint8_t *mask, real *figures) {
    __shared__ real shared[WARPS][32];
    struct worker w = worker_of(k);
    real n = 0, sum = 0, off = 0, squares = 0;
    EACH_ITEM(k, w, i) {
        struct item item = item_at(k, w, i);
        if (mask && !mask[item.row]) continue;
        const real *run = x + (item.row * k.C + w.channel) * k.inner + item.from;
        for (ptrdiff_t e = w.column; w.live && e < item.length; e += k.width) sum += run[e];
        if (w.column == 0) n += (real)item.length;
    }
    n = channel_sum(k, w, n, shared), sum = channel_sum(k, w, sum, shared);
    real mean = n > 0 ? sum / n : 0;
    EACH_ITEM(k, w, i) {
        struct item item = item_at(k, w, i);
        if (mask && !mask[item.row]) continue;
        const real *run = x + (item.row * k.C + w.channel) * k.inner + item.from;
        for (ptrdiff_t e = w.column; w.live && e < item.length; e += k.width) {
            real d = run[e] - mean;
            off += d, squares += d * d;
        }
    }
    /* What the rounded mean is off by is known now, and taken back. */
    off = channel_sum(k, w, off, shared), squares = channel_sum(k, w, squares, shared);
    if (!w.live || w.warp != 0 || w.column != 0) return;
    real *to = figures_of(k, w, figures);
    real corrected = n > 0 ? squares - off * off / n : 0;
    to[0] = n, to[1] = n > 0 ? mean + off / n : 0, to[2] = corrected > 0 ? corrected : 0;
}

/* saved, and the running statistics group by group: a warp a channel, `span` lanes (a power of two) a group. */
static __global__ void __launch_bounds__(BLOCK)
    join_statistics(struct share k, int32_t span, const real *figures, real eps, real keep, real move, ptrdiff_t step,
                    real *running_mean, real *running_var, real *saved) {
    int32_t channel = (int32_t)((blockIdx.x * BLOCK + threadIdx.x) / 32), lane = (int32_t)threadIdx.x % 32;
    if (channel >= k.channels) return;
    int32_t c = k.first_channel + channel, abreast = 32 / span, p0 = lane % span;
    real running[2] = {0, 0}; /* lane 0 alone reads what it will write */
    if (running_mean && !step && lane == 0) running[0] = running_mean[c], running[1] = running_var[c];
    for (int32_t g0 = 0; g0 < k.groups; g0 += abreast) {
        int32_t g = g0 + lane / span, parts = g < k.groups ? k.parts : 0;
        const real *part = figures + ((ptrdiff_t)g * k.channels + channel) * k.parts * FIGURES;
        real n = 0, sum = 0, squares = 0;
        for (int32_t p = p0; p < parts; p += span)
            n += part[p * FIGURES], sum += part[p * FIGURES] * part[p * FIGURES + 1];
        n = lanes_sum(n, span), sum = lanes_sum(sum, span);
        real mean = n > 0 ? sum / n : 0;
        for (int32_t p = p0; p < parts; p += span) {
            real distance = part[p * FIGURES + 1] - mean;
            squares += part[p * FIGURES + 2] + part[p * FIGURES] * distance * distance;
        }
        squares = lanes_sum(squares, span);
        real var = n > 0 ? squares / n : 0, unbiased = n > 1 ? squares / (n - 1) : var;
        if (parts > 0 && p0 == 0) {
            real *to = saved + ((ptrdiff_t)(k.first_group + g) * k.C + c) * 2;
            to[0] = mean, to[1] = 1 / sqrtf(var + eps);
            if (running_mean && step && n > 0) {
                ptrdiff_t p = (k.first_group + g) * step + c;
                running_mean[p] = keep * running_mean[p] + move * mean;
                running_var[p] = keep * running_var[p] + move * unbiased;
            }
        }
        for (int32_t j = 0; running_mean && !step && j < abreast && g0 + j < k.groups; ++j) {
            real n_j = __shfl_sync(0xffffffffu, n, j * span), mean_j = __shfl_sync(0xffffffffu, mean, j * span);
            real var_j = __shfl_sync(0xffffffffu, unbiased, j * span);
            if (n_j > 0) running[0] = keep * running[0] + move * mean_j, running[1] = keep * running[1] + move * var_j;
        }
    }
    if (running_mean && !step && lane == 0) running_mean[c] = running[0], running_var[c] = running[1];
}

/* Number p of a parameter that may not be there. */
static __device__ __forceinline__ real number_of(const real *parameter, ptrdiff_t p, real otherwise) {
    return parameter ? parameter[p] : otherwise;
}

/* Mean and 1/std of a (group, channel): saved, or from the running statistics, number p, when `saved` is NULL. */
struct moments {
    const real *saved, *mean, *var;
    real eps;
};
static __device__ __forceinline__ real mean_of(const struct moments &m, ptrdiff_t at, ptrdiff_t p) {
    return m.saved ? m.saved[at * 2] : m.mean[p];
}
static __device__ __forceinline__ real inverse_of(const struct moments &m, ptrdiff_t at, ptrdiff_t p) {
    return m.saved ? m.saved[at * 2 + 1] : 1 / sqrtf(m.var[p] + m.eps);
}

/* A thread a place of the row, going down the rows of a group. */
static __global__ void __launch_bounds__(BLOCK)
    normalise(int32_t groups, int32_t rows, int32_t C, ptrdiff_t inner, ptrdiff_t step, const real *x, const real *w,
              const real *b, struct moments m, real *y) {
    ptrdiff_t column = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x, units = C * inner;
    if (column >= units) return;
    int32_t c = inner == 1 ? (int32_t)column : (int32_t)(column / inner);
    for (int32_t g = (int32_t)blockIdx.z; g < groups; g += (int32_t)gridDim.z) {
        ptrdiff_t at = (ptrdiff_t)g * C + c, p = g * step + c;
        real scale = inverse_of(m, at, p) * number_of(w, p, 1);
        real shift = number_of(b, p, 0) - mean_of(m, at, p) * scale;
        for (int32_t r = (int32_t)blockIdx.y; r < rows; r += (int32_t)gridDim.y) {
            ptrdiff_t i = ((ptrdiff_t)g * rows + r) * units + column;
            y[i] = x[i] * scale + shift;
        }
    }
}

/* ---- batch, backward ---- */

/* sum of gy, and dot = sum of gy (x - mean); masked rows have no weight in n, but what reaches them from behind counts
 */
static __global__ void __launch_bounds__(BLOCK)
    part_gradient(struct share k, ptrdiff_t step, const real *x, const real *gy, const uint8_t *mask, struct moments m,
                  real *figures) {
    __shared__ real shared[WARPS][32];
    struct worker w = worker_of(k);
    real n = 0, sum = 0, dot = 0;
    real mean = w.live ? mean_of(m, (ptrdiff_t)w.group * k.C + w.channel, w.group * step + w.channel) : 0;
    EACH_ITEM(k, w, i) {
        struct item item = item_at(k, w, i);
        ptrdiff_t at = (item.row * k.C + w.channel) * k.inner + item.from;
        for (ptrdiff_t e = w.column; w.live && e < item.length; e += k.width) {
            real g = gy[at + e];
            sum += g, dot += g * (x[at + e] - mean);
        }
        if (w.column == 0 && (!mask || mask[item.row])) n += (real)item.length;
    }
    n = channel_sum(k, w, n, shared);
    sum = channel_sum(k, w, sum, shared), dot = channel_sum(k, w, dot, shared);
    if (!w.live || w.warp != 0 || w.column != 0) return;
    real *to = figures_of(k, w, figures);
    to[0] = n, to[1] = sum, to[2] = dot;
}

/* gw, gb group by group, and (unless the statistics are constants) the coefficients (G,C,2) of x and 1 in the gradient
 * of rows that count: gx = w inverse gy + k x + m, k = -w inverse^2 dot / n, m = -w inverse sum / n - k mean, where dot
 * has an inverse in it
 */
template <bool CONSTANT>
static __global__ void __launch_bounds__(BLOCK)
    join_gradient(struct share k, int32_t span, ptrdiff_t step, const real *figures, const real *w, struct moments m,
                  real *coefficients, real *gw, real *gb) {
    int32_t channel = (int32_t)((blockIdx.x * BLOCK + threadIdx.x) / 32), lane = (int32_t)threadIdx.x % 32;
    if (channel >= k.channels) return;
    int32_t c = k.first_channel + channel, abreast = 32 / span, p0 = lane % span;
    bool sums = lane == 0 && !step; /* the lane that writes them */
    real total_dot = sums && gw ? gw[c] : 0, total_sum = sums && gb ? gb[c] : 0;
    for (int32_t g0 = 0; g0 < k.groups; g0 += abreast) {
        int32_t g = g0 + lane / span, parts = g < k.groups ? k.parts : 0;
        const real *part = figures + ((ptrdiff_t)g * k.channels + channel) * k.parts * FIGURES;
        real n = 0, sum = 0, dot = 0;
        for (int32_t p = p0; p < parts; p += span)
            n += part[p * FIGURES], sum += part[p * FIGURES + 1], dot += part[p * FIGURES + 2];
        n = lanes_sum(n, span), sum = lanes_sum(sum, span), dot = lanes_sum(dot, span);
        if (parts > 0) {
            ptrdiff_t at = CONSTANT ? c : (ptrdiff_t)(k.first_group + g) * k.C + c;
            ptrdiff_t p = (k.first_group + g) * step + c;
            real inverse = inverse_of(m, at, p);
            dot *= inverse;
            if (!CONSTANT && p0 == 0) {
                real share = n > 0 ? -number_of(w, p, 1) * inverse / n : 0, kx = share * inverse * dot;
                coefficients[at * 2] = kx, coefficients[at * 2 + 1] = share * sum - kx * mean_of(m, at, p);
            }
            if (step && p0 == 0) {
                if (gw) gw[p] += dot;
                if (gb) gb[p] += sum;
            }
        }
        for (int32_t j = 0; j < abreast && g0 + j < k.groups; ++j) {
            total_dot += __shfl_sync(0xffffffffu, dot, j * span);
            total_sum += __shfl_sync(0xffffffffu, sum, j * span);
        }
    }
    if (sums && gw) gw[c] = total_dot;
    if (sums && gb) gb[c] = total_sum;
}

/* When the statistics are constants, gx = w inverse gy. */
template <bool CONSTANT>
static __global__ void __launch_bounds__(BLOCK)
    spread_gradient(int32_t groups, int32_t rows, int32_t C, ptrdiff_t inner, ptrdiff_t step, const real *x,
                    const real *gy, const real *w, const uint8_t *mask, struct moments moments,
                    const real *coefficients, bool adds, real *gx) {
    ptrdiff_t column = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x, units = C * inner;
    if (column >= units) return;
    int32_t c = inner == 1 ? (int32_t)column : (int32_t)(column / inner);
    for (int32_t g = (int32_t)blockIdx.z; g < groups; g += (int32_t)gridDim.z) {
        ptrdiff_t at = (ptrdiff_t)g * C + c;
        real a = number_of(w, g * step + c, 1) * inverse_of(moments, at, g * step + c);
        real k = CONSTANT ? 0 : coefficients[at * 2], m = CONSTANT ? 0 : coefficients[at * 2 + 1];
        for (int32_t r = (int32_t)blockIdx.y; r < rows; r += (int32_t)gridDim.y) {
            ptrdiff_t row = (ptrdiff_t)g * rows + r, i = row * units + column;
            real value = a * gy[i];
            if (!CONSTANT && (!mask || mask[row])) value = value + k * x[i] + m;
            gx[i] = adds ? gx[i] + value : value;
        }
    }
}

/* ---- batch: the table ---- */

static struct moments saved_moments(const real *saved) {
    struct moments m = {saved, NULL, NULL, 0};
    return m;
}
static struct moments running_moments(const struct snn_norm_shape *s, const real *mean, const real *var) {
    struct moments m = {NULL, mean, var, (real)s->eps};
    return m;
}

static void batch(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                  const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T == 0 || s->B == 0) return;
    struct share all = share_of(s, s->joint);
    double keep = pow(1 - s->momentum, s->repeats);
    real *figures = (real *)cuda->partial;
    EACH_SLICE(all, k) {
        LAUNCH(part_statistics, share_grid(&k), BLOCK, 0, cuda->compute, k, x, mask, figures);
        LAUNCH(join_statistics, warp_blocks(k.channels), BLOCK, 0, cuda->compute, k, power_of_two(k.parts, 32), figures,
               (real)s->eps, (real)keep, (real)(1 - keep), s->step, running_mean, running_var, saved);
    }
    LAUNCH(normalise, sheet_grid(s->C * s->inner, all.rows, all.groups), BLOCK, 0, cuda->compute, all.groups, all.rows,
           s->C, s->inner, s->step, x, w, b, saved_moments(saved), y);
    cuda_note(cuda, cudaGetLastError());
}

static void batch_eval(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const real *b, const real *running_mean, const real *running_var, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T == 0 || s->B == 0) return;
    int32_t groups = s->step ? s->T : 1, rows = s->T * s->B / groups;
    LAUNCH(normalise, sheet_grid(s->C * s->inner, rows, groups), BLOCK, 0, cuda->compute, groups, rows, s->C, s->inner,
           s->step, x, w, b, running_moments(s, running_mean, running_var), y);
    cuda_note(cuda, cudaGetLastError());
}

template <bool CONSTANT>
static void any_grad(struct snn_cuda *cuda, const struct snn_norm_shape *s, struct share all, const real *x,
                     const real *w, const uint8_t *mask, struct moments m, const real *gy, real *coefficients, real *gw,
                     real *gb, bool adds, real *gx) {
    if (s->T == 0 || s->B == 0) return;
    real *figures = (real *)cuda->partial;
    EACH_SLICE(all, k) {
        LAUNCH(part_gradient, share_grid(&k), BLOCK, 0, cuda->compute, k, s->step, x, gy, mask, m, figures);
        LAUNCH(join_gradient<CONSTANT>, warp_blocks(k.channels), BLOCK, 0, cuda->compute, k, power_of_two(k.parts, 32),
               s->step, figures, w, m, coefficients, gw, gb);
    }
    LAUNCH(spread_gradient<CONSTANT>, sheet_grid(s->C * s->inner, all.rows, all.groups), BLOCK, 0, cuda->compute,
           all.groups, all.rows, s->C, s->inner, s->step, x, gy, w, mask, m, coefficients, adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

static void batch_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const uint8_t *mask, const real *saved, const real *gy, real *partial, real *gw, real *gb,
                       bool adds, real *gx) {
    any_grad<false>(cuda_of(device), s, share_of(s, s->joint), x, w, mask, saved_moments(saved), gy, partial, gw, gb,
                    adds, gx);
}

static void batch_eval_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                            const real *running_mean, const real *running_var, const real *gy, real *gw, real *gb,
                            bool adds, real *gx) {
    any_grad<true>(cuda_of(device), s, share_of(s, !s->step), x, w, NULL, running_moments(s, running_mean, running_var),
                   gy, NULL, gw, gb, adds, gx);
}

/* ---- rows: a block a group of a row ---- */

/* A row's shape in numbers that registers hold, and the parameter of unit i of group k of the row. */
struct row_shape {
    ptrdiff_t all; /* groups of all rows */
    int32_t groups, units, inner;
    bool centred;
};
static struct row_shape row_shape_of(const struct snn_row_norm_shape *s) {
    struct row_shape k = {s->rows * s->groups, (int32_t)s->groups, (int32_t)s->units, (int32_t)s->inner, s->centred};
    return k;
}
static __device__ __forceinline__ int32_t parameter_of(const struct row_shape &s, int32_t first, int32_t i) {
    return s.inner == 1 ? first + i : (first + i) / s.inner;
}

static __global__ void __launch_bounds__(BLOCK)
    normalise_rows(struct row_shape s, real eps, const real *x, const real *w, const real *b, real *saved, real *y) {
    __shared__ real shared[WARPS];
    for (ptrdiff_t k = blockIdx.x; k < s.all; k += gridDim.x) {
        const real *from = x + k * s.units;
        real *to = y + k * s.units;
        int32_t first = s.groups == 1 ? 0 : (int32_t)(k % s.groups) * s.units;
        real mean = 0, off = 0, squares = 0;
        if (s.centred) {
            for (int32_t i = (int32_t)threadIdx.x; i < s.units; i += BLOCK) mean += from[i];
            mean = block_sum(mean, shared) / (real)s.units;
        }
        for (int32_t i = (int32_t)threadIdx.x; i < s.units; i += BLOCK) {
            real d = from[i] - mean;
            off += d, squares += d * d;
        }
        squares = block_sum(squares, shared);
        if (s.centred) { /* what the rounded mean is off by */
            off = block_sum(off, shared);
            squares -= off * off / (real)s.units, mean += off / (real)s.units;
        }
        real inverse = 1 / sqrtf((squares > 0 ? squares : 0) / (real)s.units + eps);
        if (saved && threadIdx.x == 0) saved[2 * k] = mean, saved[2 * k + 1] = inverse;
        for (int32_t i = (int32_t)threadIdx.x; i < s.units; i += BLOCK) {
            int32_t p = parameter_of(s, first, i);
            to[i] = (from[i] - mean) * inverse * number_of(w, p, 1) + number_of(b, p, 0);
        }
    }
}

static __global__ void __launch_bounds__(BLOCK) rows_gradient(struct row_shape s, const real *x, const real *w,
                                                              const real *saved, const real *gy, bool adds, real *gx) {
    __shared__ real shared[WARPS];
    for (ptrdiff_t k = blockIdx.x; k < s.all; k += gridDim.x) {
        const real *g = gy + k * s.units, *from = x + k * s.units;
        real *to = gx + k * s.units;
        int32_t first = s.groups == 1 ? 0 : (int32_t)(k % s.groups) * s.units;
        real mean = saved[2 * k], inverse = saved[2 * k + 1], sum = 0, dot = 0;
        for (int32_t i = (int32_t)threadIdx.x; i < s.units; i += BLOCK) {
            real gi = g[i] * number_of(w, parameter_of(s, first, i), 1);
            sum += gi, dot += gi * (from[i] - mean);
        }
        sum = block_sum(sum, shared) / (real)s.units, dot = block_sum(dot, shared) * inverse / (real)s.units;
        if (!s.centred) sum = 0;
        for (int32_t i = (int32_t)threadIdx.x; i < s.units; i += BLOCK) {
            real gi = g[i] * number_of(w, parameter_of(s, first, i), 1);
            real value = inverse * (gi - sum - (from[i] - mean) * inverse * dot);
            to[i] = adds ? to[i] + value : value;
        }
    }
}

/* partial (parts, units, 2): sums over a share of the rows of gy (x - mean) inverse and of gy; a lane a unit. */
static __global__ void __launch_bounds__(BLOCK)
    units_part(struct snn_row_norm_shape s, ptrdiff_t first, ptrdiff_t count, const real *x, const real *saved,
               const real *gy, real *partial) {
    __shared__ real shared[WARPS][2][32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    ptrdiff_t unit = (ptrdiff_t)blockIdx.x * 32 + lane, width = s.groups * s.units;
    ptrdiff_t group = s.groups == 1 ? 0 : (first + unit) / s.units;
    real sum = 0, dot = 0;
    for (ptrdiff_t r = (ptrdiff_t)blockIdx.y * WARPS + warp; unit < count && r < s.rows;
         r += (ptrdiff_t)gridDim.y * WARPS) {
        const real *of_group = saved + 2 * (r * s.groups + group);
        real g = gy[r * width + first + unit];
        sum += g, dot += g * (x[r * width + first + unit] - of_group[0]) * of_group[1];
    }
    shared[warp][0][lane] = dot, shared[warp][1][lane] = sum;
    __syncthreads();
    if (warp != 0 || unit >= count) return;
    for (int k = 1; k < WARPS; ++k) dot += shared[k][0][lane], sum += shared[k][1][lane];
    real *to = partial + ((ptrdiff_t)blockIdx.y * count + unit) * 2;
    to[0] = dot, to[1] = sum;
}

/* A warp a parameter adds up its `inner` units, as far as they are among the `count` from `first` on, in all parts. */
static __global__ void __launch_bounds__(BLOCK)
    units_join(int32_t first, int32_t count, int32_t inner, int32_t parts, const real *partial, real *gw, real *gb) {
    const int32_t lane = (int32_t)threadIdx.x % 32;
    int32_t p = first / inner + (int32_t)(blockIdx.x * WARPS + threadIdx.x / 32);
    int32_t begin = p * inner - first, end = begin + inner < count ? begin + inner : count;
    if (begin >= count) return;
    if (begin < 0) begin = 0;
    real sum = 0, dot = 0;
    for (int32_t i = lane; i < (end - begin) * parts; i += 32) {
        int32_t of_part = i / (end - begin);
        const real *part = partial + 2 * (of_part * count + begin + i - of_part * (end - begin));
        dot += part[0], sum += part[1];
    }
    dot = warp_sum(dot), sum = warp_sum(sum);
    if (lane == 0 && gw) gw[p] += dot;
    if (lane == 0 && gb) gb[p] += sum;
}

static unsigned row_blocks(ptrdiff_t rows) { return rows < MOST_BLOCKS ? (unsigned)rows : (unsigned)MOST_BLOCKS; }

static void rows_forward(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                         const real *b, real *saved, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows == 0) return;
    LAUNCH(normalise_rows, row_blocks(s->rows * s->groups), BLOCK, 0, cuda->compute, row_shape_of(s), (real)s->eps, x,
           w, b, saved, y);
    cuda_note(cuda, cudaGetLastError());
}

static void rows_grad(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                      const real *saved, const real *gy, real *gw, real *gb, bool adds, real *gx) {
    enum { ROOM = PARTIALS * (int)(sizeof(double) / sizeof(real)) / 2 };
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows == 0) return;
    real *partial = (real *)cuda->partial;
    ptrdiff_t width = s->groups * s->units, learned = gw || gb ? width : 0; /* parameters first: gx may be gy */
    ptrdiff_t blocks = (width + 31) / 32, parts = FILLING / blocks, most = (s->rows + WARPS - 1) / WARPS;
    if (parts > most) parts = most;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    if (parts < 1) parts = 1;
    for (ptrdiff_t first = 0; first < learned; first += ROOM / parts) {
        ptrdiff_t count = width - first < ROOM / parts ? width - first : ROOM / parts;
        LAUNCH(units_part, dim3((unsigned)((count + 31) / 32), (unsigned)parts), BLOCK, 0, cuda->compute, *s, first,
               count, x, saved, gy, partial);
        LAUNCH(units_join, warp_blocks((int32_t)(count / s->inner + 2)), BLOCK, 0, cuda->compute, (int32_t)first,
               (int32_t)count, (int32_t)s->inner, (int32_t)parts, partial, gw, gb);
    }
    LAUNCH(rows_gradient, row_blocks(s->rows * s->groups), BLOCK, 0, cuda->compute, row_shape_of(s), x, w, saved, gy,
           adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

const struct snn_norm_kernels snn_norm_cuda = {batch, batch_eval, batch_grad, batch_eval_grad, rows_forward, rows_grad};
