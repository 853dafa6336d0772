/* SPDX-License-Identifier: Apache-2.0
 * math.cu - element-wise kernels, dropout, counts and input on CUDA (autograd/math.h).
 *
 * They are as fast as memory is, so all that matters is that neighbouring threads touch neighbouring numbers. Where a
 * row is counted, a team of threads has the row: a warp, or a whole block where rows are long. */
#include "cuda/backend.h"
#include "cuda/linear.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"

#include "core/rng.h"

/* ---- element-wise ---- */

/* y = a + b; y may be a or b. */
static __global__ void __launch_bounds__(BLOCK)
    add_numbers(ptrdiff_t repeats, ptrdiff_t n, const real *a /* (repeats,n) */, const real *b /* (n) */,
                real *y /* (repeats,n) */) {
    for (ptrdiff_t k = first_row(); k < repeats; k += row_step())
        for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[k * n + i] = a[k * n + i] + b[i];
}

static void add(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, ptrdiff_t b_n, real *y) {
    if (n < 1) return;
    struct tiling tiling = tiling_for(n / b_n, b_n);
    LAUNCH(add_numbers, tiling.grid, tiling.block, 0, cuda_of(device)->compute, n / b_n, b_n, a, b, y);
}

static __global__ void __launch_bounds__(BLOCK) accumulate_numbers(ptrdiff_t n, const real *x, bool adds, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = adds ? y[i] + x[i] : x[i];
}

static void accumulate(struct snn_device *device, ptrdiff_t n, const real *x, bool adds, real *y) {
    if (n < 1) return;
    LAUNCH(accumulate_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, x, adds, y);
}

static __global__ void __launch_bounds__(BLOCK)
    sum_steps(int32_t T, ptrdiff_t n, const real *__restrict__ x /* (T,n) */, bool adds,
              real *__restrict__ y /* (n) */) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
        real sum = adds ? y[i] : 0;
        for (int32_t t = 0; t < T; ++t) sum += x[t * n + i];
        y[i] = sum;
    }
}

static void sum_over_time(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, bool adds, real *y) {
    if (n < 1) return;
    LAUNCH(sum_steps, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, T, n, x, adds, y);
}

static __global__ void __launch_bounds__(BLOCK) fill_numbers(ptrdiff_t n, real value, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = value;
}

static void fill(struct snn_device *device, ptrdiff_t n, real value, real *y) {
    if (n < 1) return;
    LAUNCH(fill_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, value, y);
}

static __global__ void __launch_bounds__(BLOCK)
    multiply_numbers(ptrdiff_t n, const real *a, const real *b, bool adds, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = adds ? y[i] + a[i] * b[i] : a[i] * b[i];
}

static void multiply(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, bool adds, real *y) {
    if (n < 1) return;
    LAUNCH(multiply_numbers, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, n, a, b, adds, y);
}

/* ---- dropout ---- */

/* A thread draws the bits of half a word, four with each block of random numbers. Words are little-endian, so half h of
 * a row has units 32 h and on. */
static __global__ void __launch_bounds__(BLOCK)
    draw_mask(struct snn_dropout_shape s, int32_t halves, const uint32_t *clock, uint32_t purpose,
              const int32_t *sample /* (B) */, const struct snn_dropout *p, uint32_t *mask /* (T,B, halves) */) {
    const uint64_t seed = clock[0] | (uint64_t)clock[1] << 32, limit = p->limit;
    const uint32_t step = clock[2];
    const int32_t runs = s.units / s.inner;
    for (int32_t r = (int32_t)first_row(); r < s.T * s.B; r += (int32_t)row_step()) {
        const int32_t t = r / s.B;
        const uint32_t first = (uint32_t)(s.t0 + t) * (uint32_t)halves * 8;
        for (int32_t h = (int32_t)first_item(); h < halves; h += (int32_t)item_step()) {
            uint32_t bits = 0;
            for (int i = 0; i < 32 && h * 32 + i < runs; i += 4) {
                uint32_t draw[4];
                snn_rng_block(seed, purpose, step, (uint32_t)sample[r - t * s.B], first + (uint32_t)(h * 8 + i / 4),
                              draw);
                for (int k = 0; k < 4; ++k)
                    if (h * 32 + i + k < runs) bits |= (uint32_t)(draw[k] < limit) << (i + k);
            }
            mask[(ptrdiff_t)r * halves + h] = bits;
        }
    }
}

static void dropout_mask(struct snn_device *device, const struct snn_dropout_shape *s, const uint32_t *clock,
                         uint32_t layer, const int32_t *sample, const struct snn_dropout *p, uint64_t *mask) {
    int32_t halves = 2 * snn_dropout_words(s);
    if (s->T < 1 || s->B < 1) return;
    struct tiling tiling = tiling_for((ptrdiff_t)s->T * s->B, halves);
    LAUNCH(draw_mask, tiling.grid, tiling.block, 0, cuda_of(device)->compute, *s, halves, clock,
           SNN_RNG_DROPOUT | layer << 8, sample, p, (uint32_t *)(void *)mask);
}

/* y may be x. */
static __global__ void __launch_bounds__(BLOCK)
    drop(struct snn_dropout_shape s, int32_t words, const uint64_t *__restrict__ mask /* (T,B, words) */,
         const struct snn_dropout *p, const real *x /* (rows, units) */, real *y /* (rows, units) */) {
    const real scale = p->scale;
    for (ptrdiff_t r = first_row(); r < s.rows; r += row_step()) {
        const uint64_t *m = mask + r % ((ptrdiff_t)s.T * s.B) * words;
        const real *from = x + r * s.units;
        real *to = y + r * s.units;
        for (int32_t i = (int32_t)first_item(); i < s.units; i += (int32_t)item_step()) {
            int32_t k = s.inner == 1 ? i : i / s.inner;
            to[i] = m[k / 64] >> (k % 64) & 1 ? from[i] * scale : 0;
        }
    }
}

static void dropout(struct snn_device *device, const struct snn_dropout_shape *s, const uint64_t *mask,
                    const struct snn_dropout *p, const real *x, real *y) {
    if (s->rows < 1) return;
    struct tiling tiling = tiling_for(s->rows, s->units);
    LAUNCH(drop, tiling.grid, tiling.block, 0, cuda_of(device)->compute, *s, snn_dropout_words(s), mask, p, x, y);
}

/* ---- teams ---- */

enum { WIDE_FROM = 1024 }; /* units of a row that a whole block shares */

template <bool WIDE> static __device__ __forceinline__ ptrdiff_t team_index() {
    return WIDE ? (ptrdiff_t)blockIdx.x : (ptrdiff_t)blockIdx.x * WARPS + (ptrdiff_t)(threadIdx.x / 32);
}
template <bool WIDE> static __device__ __forceinline__ ptrdiff_t teams() {
    return (ptrdiff_t)gridDim.x * (WIDE ? 1 : WARPS);
}
template <bool WIDE> static __device__ __forceinline__ int team_lane() {
    return (int)(WIDE ? threadIdx.x : threadIdx.x % 32);
}
template <bool WIDE> static __device__ __forceinline__ constexpr int team_size() { return WIDE ? (int)BLOCK : 32; }

/* The sum over the team; shared (WARPS) */
template <bool WIDE> static __device__ __forceinline__ int32_t team_sum(int32_t value, int32_t *shared) {
    if constexpr (WIDE) return block_sum(value, shared);
    else return warp_sum(value);
}
template <bool WIDE> static __device__ __forceinline__ void team_sync() {
    if constexpr (WIDE) __syncthreads();
    else __syncwarp();
}

/* Launch kernel<true> or kernel<false> with a team for each of `rows` rows of `units`. */
#define LAUNCH_TEAMS(kernel, rows, units, stream, ...)                                                                 \
    do {                                                                                                               \
        if ((units) >= WIDE_FROM) LAUNCH(kernel<true>, blocks_for((rows)*BLOCK), BLOCK, 0, stream, __VA_ARGS__);       \
        else LAUNCH(kernel<false>, blocks_for((rows)*32), BLOCK, 0, stream, __VA_ARGS__);                              \
    } while (0)

/* ---- traces ---- */

/* A thread has a unit of a sample, and goes through the steps, which are `each` numbers apart in y: 0 where only the
 * last is wanted. `before` may lie within y. */
template <bool BITS>
static __global__ void __launch_bounds__(BLOCK)
    follow_rows(int32_t T, int32_t B, ptrdiff_t units, struct snn_rows x, real decay, real gain,
                const real *before /* (B,units) or NULL */, ptrdiff_t each, real *y) {
    for (ptrdiff_t b = first_row(); b < B; b += row_step())
        for (ptrdiff_t i = first_item(); i < units; i += item_step()) {
            real now = before ? decay * before[b * units + i] : 0, *to = y + b * units + i;
#ifdef __CUDACC__
#pragma unroll 1 /* in fours it would spill */
#endif
            for (int32_t t = 0; t < T; ++t, to += each) {
                now = (t ? decay * now : now) + gain * row_value<BITS>(x, (ptrdiff_t)t * B + b, units, i);
                *to = now;
            }
        }
}

/* Step t of events, in two: y = decay before, and what has happened is added to it. */
static __global__ void __launch_bounds__(BLOCK)
    fade_numbers(ptrdiff_t n, real decay, const real *before /* (n) or NULL */, real *y) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) y[i] = before ? decay * before[i] : 0;
}

template <bool WIDE>
static __global__ void __launch_bounds__(BLOCK) add_events(ptrdiff_t first, int32_t B, ptrdiff_t units,
                                                           struct snn_lists lists, real gain, real *y /* (B,units) */) {
    for (ptrdiff_t b = team_index<WIDE>(); b < B; b += teams<WIDE>()) {
        const struct snn_entries e = snn_lists_row(&lists, first + b);
        for (ptrdiff_t k = team_lane<WIDE>(); k < e.count; k += team_size<WIDE>())
            y[b * units + e.index[k]] += e.value ? gain * (real)e.value[k] : gain;
    }
}

static void trace(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t units, const struct snn_rows *x,
                  real decay, real gain, const real *before, bool last, real *y) {
    cudaStream_t stream = cuda_of(device)->compute;
    if (T < 1 || B < 1) return;
    if (!x->lists.row) {
        struct tiling tiling = tiling_for(B, units);
        LAUNCH((x->bits ? follow_rows<true> : follow_rows<false>), tiling.grid, tiling.block, 0, stream, T, B, units,
               *x, decay, gain, before, last ? 0 : B * units, y);
        return;
    }
    for (int32_t t = 0; t < T; ++t, before = y, y += last ? 0 : B * units) {
        LAUNCH(fade_numbers, blocks_for(B * units), BLOCK, 0, stream, B * units, decay, before, y);
        LAUNCH_TEAMS(add_events, (ptrdiff_t)B, units, stream, (ptrdiff_t)t * B, B, units, x->lists, gain, y);
    }
}

static __global__ void __launch_bounds__(BLOCK)
    follow_back(int32_t T, ptrdiff_t n, const real *x /* (T,n) */, real decay, real gain, real *y /* (T,n) */) {
    for (ptrdiff_t i = first_item(); i < n; i += item_step()) {
        real now = 0;
        for (int32_t t = T - 1; t >= 0; --t) y[t * n + i] = now = decay * now + gain * x[t * n + i];
    }
}

static void trace_back(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, real decay, real gain,
                       real *y) {
    if (T < 1 || n < 1) return;
    LAUNCH(follow_back, blocks_for(n), BLOCK, 0, cuda_of(device)->compute, T, n, x, decay, gain, y);
}

/* ---- counts ---- */

template <bool WIDE>
static __global__ void __launch_bounds__(BLOCK)
    count_rows(ptrdiff_t rows, ptrdiff_t units, const real *__restrict__ x /* (rows, units) */,
               int32_t *__restrict__ nonzero /* (rows) */) {
    __shared__ int32_t shared[WARPS];
    for (ptrdiff_t r = team_index<WIDE>(); r < rows; r += teams<WIDE>()) {
        int32_t count = 0;
        for (ptrdiff_t i = team_lane<WIDE>(); i < units; i += team_size<WIDE>()) count += x[r * units + i] != 0;
        count = team_sum<WIDE>(count, shared);
        if (team_lane<WIDE>() == 0) nonzero[r] = count;
    }
}

static void count_nonzero(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, int32_t *nonzero) {
    if (rows < 1) return;
    LAUNCH_TEAMS(count_rows, rows, units, cuda_of(device)->compute, rows, units, x, nonzero);
}

/* Integers: the order in which the blocks add does not matter. Modulo 2^64 the sum is that of signed numbers too. */
static __global__ void __launch_bounds__(BLOCK)
    add_up_counts(int32_t T, int32_t B, bool is_static, const int32_t *__restrict__ nonzero /* (T,B) or (B) */,
                  const int32_t *__restrict__ length /* (B) or NULL */, int32_t less, unsigned long long *sum) {
    __shared__ unsigned long long shared[WARPS];
    unsigned long long count = 0;
    for (ptrdiff_t t = blockIdx.y; t < T; t += gridDim.y)
        for (ptrdiff_t b = first_item(); b < B; b += item_step())
            if (!length || t < length[b] - less) count += (unsigned long long)nonzero[is_static ? b : t * B + b];
    count = block_sum(count, shared);
    if (threadIdx.x == 0 && count) atomicAdd(sum, count);
}

static void add_counts(struct snn_device *device, int32_t T, int32_t B, bool is_static, const int32_t *nonzero,
                       const int32_t *length, int32_t less, int64_t *sum) {
    if (T < 1 || B < 1) return;
    enum { BLOCKS = 64 }; /* this is little work: fewer blocks meet at the sum */
    LAUNCH(add_up_counts, dim3(blocks_for(B), T < BLOCKS ? (unsigned)T : (unsigned)BLOCKS), BLOCK, 0,
           cuda_of(device)->compute, T, B, is_static, nonzero, length, less, (unsigned long long *)(void *)sum);
}

static __global__ void __launch_bounds__(BLOCK) cut(int32_t T, int32_t B, int32_t t0, const int32_t *length /* (B) */,
                                                    int32_t *cut_length /* (B) */, uint8_t *mask /* (T,B) */) {
    for (ptrdiff_t t = first_row(); t < T; t += row_step())
        for (ptrdiff_t b = first_item(); b < B; b += item_step()) {
            int32_t left = length[b] - t0, valid = left < 0 ? 0 : left > T ? T : left;
            if (t == 0) cut_length[b] = valid;
            mask[t * B + b] = t < valid;
        }
}

static void cut_lengths(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *length,
                        int32_t *cut_length, uint8_t *mask) {
    if (T < 1 || B < 1) return;
    struct tiling tiling = tiling_for(T, B);
    LAUNCH(cut, tiling.grid, tiling.block, 0, cuda_of(device)->compute, T, B, t0, length, cut_length, mask);
}

/* ---- input ---- */

template <bool WIDE>
static __global__ void __launch_bounds__(BLOCK)
    take_frames(int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                const float *__restrict__ frames /* (T, stride, units) */, real *__restrict__ y /* (T,B,units) */,
                int32_t *__restrict__ nonzero /* (T,B) or NULL */) {
    __shared__ int32_t shared[WARPS];
    for (ptrdiff_t r = team_index<WIDE>(); r < (ptrdiff_t)T * B; r += teams<WIDE>()) {
        const float *from = frames + (r / B * stride + r % B) * units;
        int32_t count = 0;
        for (ptrdiff_t i = team_lane<WIDE>(); i < units; i += team_size<WIDE>()) {
            float x = from[i];
            y[r * units + i] = x;
            count += x != 0;
        }
        if (!nonzero) continue;
        count = team_sum<WIDE>(count, shared);
        if (team_lane<WIDE>() == 0) nonzero[r] = count;
    }
}

static void load_frames(struct snn_device *device, int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                        const float *frames, real *y, int32_t *nonzero) {
    if (T < 1 || B < 1) return;
    LAUNCH_TEAMS(take_frames, (ptrdiff_t)T * B, units, cuda_of(device)->compute, T, B, stride, units, frames, y,
                 nonzero);
}

/* A team zeroes its row and scatters the row's events over it. */
template <bool WIDE>
static __global__ void __launch_bounds__(BLOCK)
    take_events(ptrdiff_t rows, ptrdiff_t units, struct snn_lists x, real *y /* (T,B,units) */,
                int32_t *__restrict__ nonzero /* (T,B) or NULL */) {
    for (ptrdiff_t r = team_index<WIDE>(); r < rows; r += teams<WIDE>()) {
        const struct snn_entries e = snn_lists_row(&x, r);
        for (ptrdiff_t i = team_lane<WIDE>(); i < units; i += team_size<WIDE>()) y[r * units + i] = 0;
        team_sync<WIDE>(); /* a unit may be zeroed by one thread and set by another */
        for (int32_t k = (int32_t)team_lane<WIDE>(); k < e.count; k += (int32_t)team_size<WIDE>())
            y[r * units + e.index[k]] = e.value ? e.value[k] : 1;
        if (nonzero && team_lane<WIDE>() == 0) nonzero[r] = e.count;
    }
}

static __global__ void __launch_bounds__(BLOCK)
    count_events(ptrdiff_t rows, struct snn_lists x, int32_t *__restrict__ nonzero /* (T,B) */) {
    for (ptrdiff_t r = first_item(); r < rows; r += item_step()) nonzero[r] = snn_lists_row(&x, r).count;
}

static void load_events(struct snn_device *device, int32_t T, ptrdiff_t units, const struct snn_lists *x, real *y,
                        int32_t *nonzero) {
    const ptrdiff_t rows = (ptrdiff_t)T * x->B;
    if (rows < 1) return;
    if (!y) {
        if (nonzero) LAUNCH(count_events, blocks_for(rows), BLOCK, 0, cuda_of(device)->compute, rows, *x, nonzero);
        return;
    }
    LAUNCH_TEAMS(take_events, rows, units, cuda_of(device)->compute, rows, units, *x, y, nonzero);
}

/* A thread halves the entries of its sample until it has the first of its step. */
static __global__ void __launch_bounds__(BLOCK)
    seek_rows(int32_t T, int32_t B, int32_t t0, const int32_t *__restrict__ first /* (B+1) */,
              const int32_t *__restrict__ step, int32_t *__restrict__ row /* (B,T+1) */) {
    for (ptrdiff_t b = first_row(); b < B; b += row_step())
        for (ptrdiff_t t = first_item(); t <= T; t += item_step()) {
            int32_t at = first[b];
            for (int32_t last = first[b + 1]; at < last;) {
                const int32_t middle = at + (last - at) / 2;
                if (step[middle] < t0 + t) at = middle + 1;
                else last = middle;
            }
            row[b * (T + 1) + t] = at;
        }
}

static void find_rows(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *first,
                      const int32_t *step, int32_t *row) {
    if (T < 1 || B < 1) return;
    struct tiling tiling = tiling_for(B, T + 1);
    LAUNCH(seek_rows, tiling.grid, tiling.block, 0, cuda_of(device)->compute, T, B, t0, first, step, row);
}

cudaError_t cuda_find_code(void) {
    struct cudaFuncAttributes found;
    cudaError_t error = cudaFuncGetAttributes(&found, accumulate_numbers);
    if (error != cudaSuccess) cudaGetLastError();
    return error;
}

const struct snn_math_kernels snn_math_cuda = {
    snn_cuda_linear_bytes,
    snn_cuda_linear,
    snn_cuda_linear_grad_input,
    snn_cuda_linear_grad_weight,
    add,
    accumulate,
    sum_over_time,
    fill,
    multiply,
    trace,
    trace_back,
    dropout_mask,
    dropout,
    count_nonzero,
    add_counts,
    cut_lengths,
    load_frames,
    load_events,
    find_rows,
};
