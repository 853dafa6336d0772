/* SPDX-License-Identifier: Apache-2.0
 * pool.cu - pooling: a thread an output forward, a thread an input backward, which adds up the windows that it lies in.
 *
 * Windows are visited in the order of the CPU, so that the numbers are the same to the bit. Spikes are read as bits. */
#include "cuda/backend.h"
#include "cuda/rows.cuh"

struct place { /* of a column within the row of planes */
    int32_t c, y, x;
};
static __device__ __forceinline__ struct place place_of(int32_t column, int32_t height, int32_t width) {
    struct place p;
    p.c = column / (height * width);
    int32_t pixel = column - p.c * height * width;
    p.y = pixel / width, p.x = pixel - p.y * width;
    return p;
}

/* Taps of window (oy, ox) that lie inside the image. */
struct window {
    int32_t y0, y1, x0, x1;
};
static __device__ __forceinline__ struct window window_of(const struct snn_pool_shape &s, int32_t oy, int32_t ox) {
    struct window w;
    w.y0 = max(snn_pool_start(&s, 0, oy), 0), w.y1 = min(snn_pool_end(&s, 0, oy), s.H);
    w.x0 = max(snn_pool_start(&s, 1, ox), 0), w.x1 = min(snn_pool_end(&s, 1, ox), s.W);
    return w;
}

/* Windows along one axis that hold pixel i: from first to last. Adaptive: the end of window o is behind i where
 * (o + 1) in / out > i, so from floor(i out / in) on; its start is not where o in / out < i + 1. */
static __device__ __forceinline__ int32_t first_window(const struct snn_pool_shape &s, int axis, int32_t i) {
    if (s.adaptive) return i * (axis ? s.OW : s.OH) / (axis ? s.W : s.H);
    int32_t beyond = i + s.padding[axis] - s.kernel[axis];
    return beyond < 0 ? 0 : beyond / s.stride[axis] + 1;
}
static __device__ __forceinline__ int32_t last_window(const struct snn_pool_shape &s, int axis, int32_t i) {
    int32_t in = axis ? s.W : s.H, out = axis ? s.OW : s.OH;
    if (s.adaptive) return ((i + 1) * out + in - 1) / in - 1;
    return min((i + s.padding[axis]) / s.stride[axis], out - 1);
}

static __global__ void __launch_bounds__(BLOCK) zero_counts(ptrdiff_t rows, int32_t *nonzero) {
    for (ptrdiff_t r = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x; r < rows; r += (ptrdiff_t)gridDim.x * BLOCK)
        nonzero[r] = 0;
}

/* Every thread of the block calls it. Integers add up to the same in any order. */
static __device__ __forceinline__ void count(bool is_nonzero, int32_t *nonzero) {
    int n = __syncthreads_count(is_nonzero);
    if (threadIdx.x == 0 && n > 0) atomicAdd(nonzero, n);
}

template <bool BITS, bool ADAPTIVE>
static __global__ void __launch_bounds__(BLOCK)
    average_windows(struct snn_pool_shape s, ptrdiff_t rows, struct snn_rows x, real share, real *y, int32_t *nonzero) {
    s.adaptive = ADAPTIVE; /* known when the kernel is compiled */
    ptrdiff_t in = (ptrdiff_t)s.C * s.H * s.W, out = (ptrdiff_t)s.C * s.OH * s.OW;
    ptrdiff_t column = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x;
    bool inside = column < out;
    struct place p = place_of(inside ? (int32_t)column : 0, s.OH, s.OW);
    struct window w = window_of(s, p.y, p.x);
    real scale = ADAPTIVE ? snn_pool_share(&s, p.y, p.x) : share;
    bool pairs = !s.adaptive && s.kernel[0] == 2 && s.kernel[1] == 2 && s.stride[0] == 2 && s.stride[1] == 2 &&
                 !s.padding[0] && !s.padding[1]; /* two lines of two are added as two pairs */
    for (ptrdiff_t r = blockIdx.y; r < rows; r += gridDim.y) {
        real sum = 0;
        if (inside) {
            for (int32_t iy = w.y0; iy < w.y1; ++iy) {
                ptrdiff_t line = ((ptrdiff_t)p.c * s.H + iy) * s.W;
                real pair = pairs ? 0 : sum;
                for (int32_t ix = w.x0; ix < w.x1; ++ix) pair += row_value<BITS>(x, r, in, line + ix);
                sum = pairs ? sum + pair : pair;
            }
            sum *= scale;
            y[r * out + column] = sum;
        }
        if (nonzero) count(inside && sum != 0, nonzero + r);
    }
}

template <bool BITS, bool ADAPTIVE>
static __global__ void __launch_bounds__(BLOCK)
    maximum_windows(struct snn_pool_shape s, ptrdiff_t rows, struct snn_rows x, real *y, uint16_t *choice,
                    int32_t *nonzero) {
    s.adaptive = ADAPTIVE; /* known when the kernel is compiled */
    ptrdiff_t in = (ptrdiff_t)s.C * s.H * s.W, out = (ptrdiff_t)s.C * s.OH * s.OW;
    ptrdiff_t column = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x;
    bool inside = column < out;
    struct place p = place_of(inside ? (int32_t)column : 0, s.OH, s.OW);
    struct window w = window_of(s, p.y, p.x);
    for (ptrdiff_t r = blockIdx.y; r < rows; r += gridDim.y) {
        real best = 0;
        if (inside) {
            int32_t best_y = w.y0, best_x = w.x0;
            best = row_value<BITS>(x, r, in, ((ptrdiff_t)p.c * s.H + best_y) * s.W + best_x);
            for (int32_t iy = w.y0; iy < w.y1; ++iy)
                for (int32_t ix = w.x0; ix < w.x1; ++ix) {
                    real value = row_value<BITS>(x, r, in, ((ptrdiff_t)p.c * s.H + iy) * s.W + ix);
                    if (value > best) best = value, best_y = iy, best_x = ix;
                }
            y[r * out + column] = best;
            int32_t tap_y = best_y - snn_pool_start(&s, 0, p.y), tap_x = best_x - snn_pool_start(&s, 1, p.x);
            if (choice) choice[r * out + column] = (uint16_t)(tap_y * s.kernel[1] + tap_x);
        }
        if (nonzero) count(inside && best != 0, nonzero + r);
    }
}

/* gx, a column a thread: with CHOICE from the windows that chose this pixel, else a share from all. */
template <bool CHOICE, bool ADAPTIVE>
static __global__ void __launch_bounds__(BLOCK)
    gather_windows(struct snn_pool_shape s, ptrdiff_t rows, const real *gy, const uint16_t *choice, real share,
                   bool adds, real *gx) {
    s.adaptive = ADAPTIVE; /* known when the kernel is compiled */
    ptrdiff_t in = (ptrdiff_t)s.C * s.H * s.W, out = (ptrdiff_t)s.C * s.OH * s.OW;
    ptrdiff_t column = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x;
    if (column >= in) return;
    struct place p = place_of((int32_t)column, s.H, s.W);
    int32_t y0 = first_window(s, 0, p.y), y1 = last_window(s, 0, p.y);
    int32_t x0 = first_window(s, 1, p.x), x1 = last_window(s, 1, p.x);
    real scale = share;
    for (ptrdiff_t r = blockIdx.y; r < rows; r += gridDim.y) {
        real sum = adds ? gx[r * in + column] : 0;
        for (int32_t oy = y0; oy <= y1; ++oy) {
            ptrdiff_t line = r * out + ((ptrdiff_t)p.c * s.OH + oy) * s.OW;
            int32_t tap = (p.y - snn_pool_start(&s, 0, oy)) * s.kernel[1] + p.x;
            for (int32_t ox = x0; ox <= x1; ++ox) {
                if (!CHOICE && s.adaptive) scale = snn_pool_share(&s, oy, ox);
                if (!CHOICE) sum += gy[line + ox] * scale;
                else if (choice[line + ox] == tap - snn_pool_start(&s, 1, ox)) sum += gy[line + ox];
            }
        }
        gx[r * in + column] = sum;
    }
}

/* ---- the table ---- */

/* kernel<FIRST, adaptive or not>: usual windows have kernels that know nothing of the other kind. */
#define LAUNCH_WINDOWS(kernel, FIRST, s, grid, stream, ...)                                                            \
    do {                                                                                                               \
        if ((s)->adaptive) LAUNCH((kernel<FIRST, true>), grid, BLOCK, 0, stream, *(s), __VA_ARGS__);                   \
        else LAUNCH((kernel<FIRST, false>), grid, BLOCK, 0, stream, *(s), __VA_ARGS__);                                \
    } while (0)

static size_t scratch_bytes(int threads, const struct snn_pool_shape *s) {
    (void)threads, (void)s;
    return 0;
}

static void average(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, int32_t *nonzero, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    dim3 grid = sheet_grid((ptrdiff_t)s->C * s->OH * s->OW, rows);
    (void)scratch;
    if (rows == 0) return;
    if (nonzero) LAUNCH(zero_counts, blocks_for(rows), BLOCK, 0, cuda->compute, rows, nonzero);
    if (x->bits)
        LAUNCH_WINDOWS(average_windows, true, s, grid, cuda->compute, rows, *x, snn_pool_share(s, 0, 0), y, nonzero);
    else LAUNCH_WINDOWS(average_windows, false, s, grid, cuda->compute, rows, *x, snn_pool_share(s, 0, 0), y, nonzero);
    cuda_note(cuda, cudaGetLastError());
}

static void maximum(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, uint16_t *choice, int32_t *nonzero, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    dim3 grid = sheet_grid((ptrdiff_t)s->C * s->OH * s->OW, rows);
    (void)scratch;
    if (rows == 0) return;
    if (nonzero) LAUNCH(zero_counts, blocks_for(rows), BLOCK, 0, cuda->compute, rows, nonzero);
    if (x->bits) LAUNCH_WINDOWS(maximum_windows, true, s, grid, cuda->compute, rows, *x, y, choice, nonzero);
    else LAUNCH_WINDOWS(maximum_windows, false, s, grid, cuda->compute, rows, *x, y, choice, nonzero);
    cuda_note(cuda, cudaGetLastError());
}

static void average_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         bool adds, real *gx) {
    struct snn_cuda *cuda = cuda_of(device);
    if (rows == 0) return;
    LAUNCH_WINDOWS(gather_windows, false, s, sheet_grid((ptrdiff_t)s->C * s->H * s->W, rows), cuda->compute, rows, gy,
                   (const uint16_t *)NULL, snn_pool_share(s, 0, 0), adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

static void maximum_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         const uint16_t *choice, bool adds, real *gx) {
    struct snn_cuda *cuda = cuda_of(device);
    if (rows == 0) return;
    LAUNCH_WINDOWS(gather_windows, true, s, sheet_grid((ptrdiff_t)s->C * s->H * s->W, rows), cuda->compute, rows, gy,
                   choice, (real)1, adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

const struct snn_pool_kernels snn_pool_cuda = {scratch_bytes, average, average_grad, maximum, maximum_grad};
