/* SPDX-License-Identifier: Apache-2.0
 * conv.cu - convolution as matrix products over an unfolded input.
 *
 * Images are taken in chunks. Within a chunk every matrix has a line for each channel or tap and a column for each
 * pixel of each image, so that one product a group, or one batched product for all groups, does the whole chunk
 * whatever the size of the image:
 *
 *   forward          out (O, columns)  = W (O, taps) unfolded (taps, columns)
 *   input gradient   unfolded gradient (taps, columns) = W^T g (O, columns), folded back by a gather
 *   weight gradient  gw (O, taps)     += g (O, columns) unfolded^T, in parts of the columns that are added up in order
 *
 * Outputs and their gradients lie image by image in the network, so they are moved between the two orders; the bias is
 * added on the way. Lines are padded to a multiple of four columns, which keeps the products on aligned addresses. The
 * padding holds zeros where it is summed over. Lists of events become numbers chunk by chunk, which the unfolding then
 * finds in the cache. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"
#include "cuda/sizes.h"
#include "cuda/temporal.h"

/* ---- between images and columns ---- */

/* col (taps, columns): input of every tap, zero where the kernel hangs over the border and in the padding. `live`
 * columns hold the images from r0 on. A line of the grid is a row of taps of one channel. Axes are depth, height,
 * width; most networks have no depth, so that its loops run once. */
template <bool BITS>
static __global__ void __launch_bounds__(BLOCK)
    unfold(struct snn_conv_shape s, struct snn_rows x, ptrdiff_t r0, int32_t live, int32_t columns, real *col) {
    int32_t column = (int32_t)(blockIdx.x * BLOCK + threadIdx.x);
    if (column >= columns) return;
    int32_t slice = s.OH * s.OW, pixels = s.OD * slice, image = column / pixels, pixel = column - image * pixels;
    int32_t oz = pixel / slice, oy = (pixel - oz * slice) / s.OW, ox = pixel - oz * slice - oy * s.OW;
    int32_t front = oz * s.stride[0] - s.padding[0], top = oy * s.stride[1] - s.padding[1];
    int32_t left = ox * s.stride[2] - s.padding[2], rows = s.kernel[0] * s.kernel[1];
    ptrdiff_t units = (ptrdiff_t)s.C * s.D * s.H * s.W;
    for (int32_t line = (int32_t)blockIdx.y; line < s.C * rows; line += (int32_t)gridDim.y) {
        int32_t c = line / rows, kz = (line - c * rows) / s.kernel[1], ky = line - c * rows - kz * s.kernel[1];
        int32_t iz = front + kz * s.dilation[0], iy = top + ky * s.dilation[1];
        bool inside = column < live && iz >= 0 && iz < s.D && iy >= 0 && iy < s.H;
        ptrdiff_t row = (((ptrdiff_t)c * s.D + iz) * s.H + iy) * s.W;
        real *to = col + (ptrdiff_t)line * s.kernel[2] * columns + column;
        for (int32_t kx = 0; kx < s.kernel[2]; ++kx, to += columns) {
            int32_t ix = left + kx * s.dilation[2];
            *to = inside && ix >= 0 && ix < s.W ? row_value<BITS>(x, r0 + image, units, row + ix) : 0;
        }
    }
}

/* to (images, units) = the lists of the images from r0 on, as numbers. A block has an image. */
static __global__ void __launch_bounds__(BLOCK)
    expand_lists(struct snn_lists x, ptrdiff_t r0, int32_t images, ptrdiff_t units, real *to) {
    for (int32_t image = (int32_t)blockIdx.x; image < images; image += (int32_t)gridDim.x) {
        const struct snn_entries e = snn_lists_row(&x, r0 + image);
        real *const row = to + image * units;
        for (ptrdiff_t i = threadIdx.x; i < units; i += BLOCK) row[i] = 0;
        __syncthreads(); /* a unit may be zeroed by one thread and set by another */
        for (int32_t k = (int32_t)threadIdx.x; k < e.count; k += BLOCK) row[e.index[k]] = e.value ? e.value[k] : 1;
    }
}

/* The output that reads input pixel i with a tap of an axis, or -1. */
template <bool UNIT_STRIDE>
static __device__ __forceinline__ int32_t read_by(int32_t i, int32_t padding, int32_t offset, int32_t stride,
                                                  int32_t size) {
    int32_t at = i + padding - offset, out = UNIT_STRIDE ? at : at / stride;
    return at < 0 || out >= size || (!UNIT_STRIDE && out * stride != at) ? -1 : out;
}

/* gx of the images that gx starts with: every input pixel adds up the taps that read it, in their order, so that no two
 * threads write the same number. b (C) or NULL: 0 */
template <bool UNIT_STRIDE, bool DEEP>
static __global__ void __launch_bounds__(BLOCK)
    fold(struct snn_conv_shape s, int32_t live, int32_t columns, const real *col, const real *b, bool adds, real *gx) {
    int32_t at = (int32_t)(blockIdx.x * BLOCK + threadIdx.x);
    if (at >= live) return;
    int32_t slice = s.H * s.W, pixels = DEEP ? s.D * slice : slice, image = at / pixels, pixel = at - image * pixels;
    int32_t iz = DEEP ? pixel / slice : 0, iy = (pixel - iz * slice) / s.W, ix = pixel - iz * slice - iy * s.W;
    int32_t first = image * s.OD, rows = s.kernel[0] * s.kernel[1];
    for (int32_t c = (int32_t)blockIdx.y; c < s.C; c += (int32_t)gridDim.y) {
        real *to = gx + ((ptrdiff_t)image * s.C + c) * pixels + pixel;
        real sum = adds ? *to : 0;
        if (b) sum += b[c];
        for (int32_t row = 0; row < rows; ++row) {
            int32_t kz = DEEP ? row / s.kernel[1] : 0, ky = row - kz * s.kernel[1], oz = 0;
            if (DEEP) oz = read_by<UNIT_STRIDE>(iz, s.padding[0], kz * s.dilation[0], s.stride[0], s.OD);
            int32_t oy = read_by<UNIT_STRIDE>(iy, s.padding[1], ky * s.dilation[1], s.stride[1], s.OH);
            if (oz < 0 || oy < 0) continue;
            const real *from =
                col + ((ptrdiff_t)c * rows + row) * s.kernel[2] * columns + ((first + oz) * s.OH + oy) * s.OW;
            for (int32_t kx = 0; kx < s.kernel[2]; ++kx, from += columns) {
                int32_t ox = read_by<UNIT_STRIDE>(ix, s.padding[2], kx * s.dilation[2], s.stride[2], s.OW);
                if (ox >= 0) sum += from[ox];
            }
        }
        *to = sum;
    }
}

/* to (O, columns) = gy (images, O, pixels), zero in the padding */
static __global__ void __launch_bounds__(BLOCK)
    gather_channels(int32_t O, int32_t pixels, int32_t live, int32_t columns, const real *gy, real *to) {
    int32_t column = (int32_t)(blockIdx.x * BLOCK + threadIdx.x);
    if (column >= columns) return;
    int32_t image = column / pixels;
    const real *from = gy + (ptrdiff_t)image * O * pixels + (column - image * pixels);
    for (int32_t o = (int32_t)blockIdx.y; o < O; o += (int32_t)gridDim.y)
        to[(ptrdiff_t)o * columns + column] = column < live ? from[(ptrdiff_t)o * pixels] : 0;
}

/* y (images, O, pixels) = from (O, columns) + b (O), or added to; from NULL: 0, b NULL: 0 */
static __global__ void __launch_bounds__(BLOCK)
    scatter_channels(int32_t O, int32_t pixels, int32_t live, int32_t columns, const real *from, const real *b,
                     bool adds, real *y) {
    int32_t column = (int32_t)(blockIdx.x * BLOCK + threadIdx.x);
    if (column >= live) return;
    int32_t image = column / pixels;
    real *to = y + (ptrdiff_t)image * O * pixels + (column - image * pixels);
    for (int32_t o = (int32_t)blockIdx.y; o < O; o += (int32_t)gridDim.y) {
        real value = from ? from[(ptrdiff_t)o * columns + column] : 0;
        if (b) value += b[o];
        to[(ptrdiff_t)o * pixels] = adds ? to[(ptrdiff_t)o * pixels] + value : value;
    }
}

/* ---- sums ---- */

/* partial (lines, parts) = sums of equal shares of each line of x (lines, columns); with one part, *sum += instead. */
static __global__ void __launch_bounds__(BLOCK) sum_lines(int32_t columns, const real *x, real *partial, real *sum) {
    __shared__ real shared[WARPS];
    const real *line = x + (ptrdiff_t)blockIdx.x * columns;
    real total = 0;
    for (int64_t i = (int64_t)blockIdx.y * BLOCK + threadIdx.x; i < columns; i += (int64_t)gridDim.y * BLOCK)
        total += line[i];
    total = block_sum(total, shared);
    if (threadIdx.x != 0) return;
    if (gridDim.y == 1) sum[blockIdx.x] += total;
    else partial[(ptrdiff_t)blockIdx.x * gridDim.y + blockIdx.y] = total;
}

/* sum (n) += the parts of each number in order: part p of number i is at partial[i * step + p * part_step] */
static __global__ void __launch_bounds__(BLOCK)
    add_parts(ptrdiff_t n, int32_t parts, ptrdiff_t step, ptrdiff_t part_step, const real *partial, real *sum) {
    for (ptrdiff_t i = (ptrdiff_t)blockIdx.x * BLOCK + threadIdx.x; i < n; i += (ptrdiff_t)gridDim.x * BLOCK) {
        real total = 0;
        for (int32_t p = 0; p < parts; ++p) total += partial[i * step + p * part_step];
        sum[i] += total;
    }
}

/* gb (O) += sums of g (O, columns) */
static void add_bias_gradient(struct snn_cuda *cuda, int32_t O, int32_t columns, const real *g, real *gb) {
    enum { MANY_LINES = 1024, LOADS = 16 };
    real *partial = (real *)cuda->partial;
    int32_t parts = (int32_t)(columns / (BLOCK * LOADS));
    if (parts > MANY_LINES / O) parts = MANY_LINES / O;
    if (parts < 1) parts = 1;
    LAUNCH(sum_lines, dim3((unsigned)O, (unsigned)parts), BLOCK, 0, cuda->compute, columns, g, partial, gb);
    if (parts > 1) LAUNCH(add_parts, blocks_for(O), BLOCK, 0, cuda->compute, O, parts, parts, 1, partial, gb);
}

/* The same of lines that lie image by image: gy (rows, channels, pixels). A block has a channel and a share of the
 * rows, of which it takes BLOCK / 2^shift at a time. */
static __global__ void __launch_bounds__(BLOCK)
    sum_channels(int32_t rows, int32_t pixels, int shift, const real *gy, real *partial, real *sum) {
    __shared__ real shared[WARPS];
    int32_t width = 1 << shift, step = BLOCK >> shift, first = (int32_t)threadIdx.x >> shift;
    real total = 0;
    for (int32_t r = (int32_t)blockIdx.y * step + first; r < rows; r += (int32_t)gridDim.y * step) {
        const real *line = gy + ((ptrdiff_t)r * gridDim.x + blockIdx.x) * pixels;
        for (int32_t i = (int32_t)threadIdx.x & (width - 1); i < pixels; i += width) total += line[i];
    }
    total = block_sum(total, shared);
    if (threadIdx.x != 0) return;
    if (gridDim.y == 1) sum[blockIdx.x] += total;
    else partial[(ptrdiff_t)blockIdx.x * gridDim.y + blockIdx.y] = total;
}

static void grad_bias(struct snn_device *device, ptrdiff_t rows, int32_t channels, ptrdiff_t pixels, const real *gy,
                      real *gb) {
    struct snn_cuda *cuda = cuda_of(device);
    real *partial = (real *)cuda->partial;
    int shift = 0, parts = snn_cuda_conv_bias_parts(rows, channels, pixels);
    while ((2 << shift) <= BLOCK && ((ptrdiff_t)1 << shift) < pixels) ++shift;
    if (rows < 1) return;
    LAUNCH(sum_channels, dim3((unsigned)channels, (unsigned)parts), BLOCK, 0, cuda->compute, (int32_t)rows,
           (int32_t)pixels, shift, gy, partial, gb);
    if (parts > 1)
        LAUNCH(add_parts, blocks_for(channels), BLOCK, 0, cuda->compute, channels, parts, parts, 1, partial, gb);
    cuda_note(cuda, cudaGetLastError());
}

/* ---- products ---- */

struct product { /* C (m,n) = op(A) (m,k) op(B) (k,n) + beta C, row-major, `batch` times with steps between */
    bool transpose_a, transpose_b;
    int32_t m, n, k;
    const real *a, *b;
    real *c;
    int32_t lda, ldb, ldc;
    int64_t step_a, step_b, step_c;
    real beta;
    ptrdiff_t batch;
};

/* The product of the transposed matrices, which is what a library that counts columns first sees. */
static void multiply(struct snn_cuda *cuda, struct product p) {
    enum { MOST_BATCH = 32768 };
    const real alpha = 1;
    for (ptrdiff_t i = 0; i < p.batch; i += MOST_BATCH) {
        int count = MOST_BATCH;
        if (p.batch - i < count) count = (int)(p.batch - i);
        cublasStatus_t status = cublasSgemmStridedBatched(
            cuda->blas, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, p.n, p.m,
            p.k, &alpha, p.b + i * p.step_b, p.ldb, p.step_b, p.a + i * p.step_a, p.lda, p.step_a, &p.beta,
            p.c + i * p.step_c, p.ldc, p.step_c, count);
        cuda_note_blas(cuda, status);
    }
}

/* ---- the table ---- */

struct chunk { /* images r0 and on */
    ptrdiff_t r0;
    int32_t images, live, columns;
};
static struct chunk chunk_at(const struct snn_cuda_conv_layout *l, ptrdiff_t rows, ptrdiff_t r0) {
    struct chunk c;
    c.r0 = r0, c.images = (int32_t)(rows - r0 < l->images ? rows - r0 : l->images);
    c.live = (int32_t)(c.images * l->pixels), c.columns = (int32_t)snn_cuda_conv_columns(l, c.images);
    return c;
}

/* `space` is where lists become numbers. */
static void unfold_chunk(struct snn_cuda *cuda, const struct snn_conv_shape *s, const struct snn_rows *x,
                         struct chunk chunk, real *col, real *space) {
    dim3 grid = sheet_grid(chunk.columns, (ptrdiff_t)s->C * s->kernel[0] * s->kernel[1]);
    if (x->lists.row) {
        const ptrdiff_t units = s->C * snn_conv_in_pixels(s);
        struct snn_rows expanded = {};
        expanded.dense = space;
        LAUNCH(expand_lists, blocks_for(chunk.images * BLOCK), BLOCK, 0, cuda->compute, x->lists, chunk.r0,
               chunk.images, units, space);
        LAUNCH(unfold<false>, grid, BLOCK, 0, cuda->compute, *s, expanded, 0, chunk.live, chunk.columns, col);
    } else if (x->bits)
        LAUNCH(unfold<true>, grid, BLOCK, 0, cuda->compute, *s, *x, chunk.r0, chunk.live, chunk.columns, col);
    else LAUNCH(unfold<false>, grid, BLOCK, 0, cuda->compute, *s, *x, chunk.r0, chunk.live, chunk.columns, col);
}

/* y (rows, O, pixels) = W x, or += (beta 1); with `transpose`, x (rows, C, pixels) = W^T y */
static struct product pointwise(const struct snn_conv_shape *s, ptrdiff_t rows, bool transpose, const real *w,
                                const real *from, real beta, real *to) {
    int32_t pixels = (int32_t)snn_conv_in_pixels(s), m = transpose ? s->C : s->O, k = transpose ? s->O : s->C;
    struct product p = {transpose, false, m, pixels, k, w, from, to, s->C, pixels, pixels, 0, 0, 0, beta, rows};
    p.step_b = (int64_t)k * pixels, p.step_c = (int64_t)m * pixels;
    return p;
}

static void forward(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    const real *w, const real *b, bool adds, real *y, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    int32_t pixels = (int32_t)l.pixels, channels = s->O / s->groups, taps = (int32_t)(l.taps / s->groups);
    bool in_place = snn_cuda_conv_is_pointwise(s) && snn_rows_form(x) == SNN_DENSE;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk chunk = chunk_at(&l, rows, r0);
        real *col = (real *)scratch, *out = col + l.taps * chunk.columns, *to = y + r0 * s->O * l.pixels;
        dim3 grid = sheet_grid(chunk.live, s->O);
        if (in_place) {
            if (b)
                LAUNCH(scatter_channels, grid, BLOCK, 0, cuda->compute, s->O, pixels, chunk.live, chunk.columns,
                       (const real *)NULL, b, adds, to);
            multiply(cuda, pointwise(s, chunk.images, false, w, x->dense + r0 * s->C * l.pixels,
                                     (real)(b || adds ? 1 : 0), to));
            continue;
        }
        unfold_chunk(cuda, s, x, chunk, col, out + (ptrdiff_t)s->O * chunk.columns);
        struct product p = {false, false,         channels,      chunk.live, taps, w, col, out,
                            taps,  chunk.columns, chunk.columns, 0,          0,    0, 0,   s->groups};
        p.step_a = (int64_t)channels * taps, p.step_b = (int64_t)taps * chunk.columns;
        p.step_c = (int64_t)channels * chunk.columns;
        multiply(cuda, p);
        LAUNCH(scatter_channels, grid, BLOCK, 0, cuda->compute, s->O, pixels, chunk.live, chunk.columns, out, b, adds,
               to);
    }
    cuda_note(cuda, cudaGetLastError());
}

static void grad_input(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const real *gy,
                       const real *w, const real *b, bool adds, real *gx, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    int32_t channels = s->O / s->groups, taps = (int32_t)(l.taps / s->groups);
    ptrdiff_t in_pixels = snn_conv_in_pixels(s);
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk chunk = chunk_at(&l, rows, r0);
        real *col = (real *)scratch, *g = col + l.taps * chunk.columns, *to = gx + r0 * s->C * in_pixels;
        const real *from = gy + r0 * s->O * l.pixels;
        if (snn_cuda_conv_is_pointwise(s)) {
            if (b)
                LAUNCH(scatter_channels, sheet_grid(chunk.live, s->C), BLOCK, 0, cuda->compute, s->C, (int32_t)l.pixels,
                       chunk.live, chunk.columns, (const real *)NULL, b, adds, to);
            multiply(cuda, pointwise(s, chunk.images, true, w, from, (real)(b || adds ? 1 : 0), to));
            continue;
        }
        LAUNCH(gather_channels, sheet_grid(chunk.columns, s->O), BLOCK, 0, cuda->compute, s->O, (int32_t)l.pixels,
               chunk.live, chunk.columns, from, g);
        struct product p = {true, false,         taps,          chunk.live, channels, w, g, col,
                            taps, chunk.columns, chunk.columns, 0,          0,        0, 0, s->groups};
        p.step_a = (int64_t)channels * taps, p.step_b = (int64_t)channels * chunk.columns;
        p.step_c = (int64_t)taps * chunk.columns;
        multiply(cuda, p);
        int32_t live = (int32_t)(chunk.images * in_pixels);
        dim3 grid = sheet_grid(live, s->C);
        bool unit = s->stride[0] == 1 && s->stride[1] == 1 && s->stride[2] == 1;
#define FOLD(UNIT_STRIDE, DEEP)                                                                                        \
    LAUNCH((fold<UNIT_STRIDE, DEEP>), grid, BLOCK, 0, cuda->compute, *s, live, chunk.columns, col, b, adds, to)
        if (s->D * s->kernel[0] * s->stride[0] * s->OD > 1) {
            if (unit) FOLD(true, true);
            else FOLD(false, true);
        } else if (unit) FOLD(true, false);
        else FOLD(false, false);
#undef FOLD
    }
    cuda_note(cuda, cudaGetLastError());
}

static void grad_weight(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                        const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    int32_t channels = s->O / s->groups, taps = (int32_t)(l.taps / s->groups);
    ptrdiff_t weights = (ptrdiff_t)s->O * taps;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk chunk = chunk_at(&l, rows, r0);
        real *col = (real *)scratch, *g = col + l.taps * chunk.columns, *parts = g + (ptrdiff_t)s->O * chunk.columns;
        unfold_chunk(cuda, s, x, chunk, col, parts + (l.parts > 1 ? l.parts * weights : 0));
        LAUNCH(gather_channels, sheet_grid(chunk.columns, s->O), BLOCK, 0, cuda->compute, s->O, (int32_t)l.pixels,
               chunk.live, chunk.columns, gy + r0 * s->O * l.pixels, g);
        int32_t length = chunk.columns / l.parts;
        struct product p = {false,         true,          channels, taps, length, g, col, gw,
                            chunk.columns, chunk.columns, taps,     0,    0,      0, 1,   1};
        int64_t group_a = (int64_t)channels * chunk.columns, group_b = (int64_t)taps * chunk.columns;
        int64_t group_c = (int64_t)channels * taps;
        if (l.parts == 1) { /* the groups in one batch */
            p.step_a = group_a, p.step_b = group_b, p.step_c = group_c, p.batch = s->groups;
            multiply(cuda, p);
        } else { /* the parts of a group in one batch */
            p.step_a = p.step_b = length, p.step_c = weights, p.batch = l.parts, p.beta = 0;
            for (int32_t group = 0; group < s->groups; ++group) {
                p.a = g + group * group_a, p.b = col + group * group_b, p.c = parts + group * group_c;
                multiply(cuda, p);
            }
            LAUNCH(add_parts, blocks_for(weights), BLOCK, 0, cuda->compute, weights, l.parts, 1, weights, parts, gw);
        }
        if (gb) add_bias_gradient(cuda, s->O, chunk.columns, g, gb);
    }
    cuda_note(cuda, cudaGetLastError());
}

static size_t scratch_bytes(int threads, const struct snn_conv_shape *s, ptrdiff_t rows, enum snn_form x) {
    (void)threads;
    return snn_cuda_conv_scratch(s, rows, x);
}

const struct snn_conv_kernels snn_conv_cuda = {scratch_bytes,
                                               forward,
                                               grad_input,
                                               grad_weight,
                                               grad_bias,
                                               snn_cuda_temporal,
                                               snn_cuda_temporal_grad_input,
                                               snn_cuda_temporal_scratch,
                                               snn_cuda_temporal_grad_weight};
