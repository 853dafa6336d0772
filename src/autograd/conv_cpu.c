/* SPDX-License-Identifier: Apache-2.0
 * conv_cpu.c - direct convolution on the CPU, vectorised over output channels.
 *
 * One register tile holds P output pixels of a row times one or two vectors of output channels; for every tap the
 * weights of those channels are loaded once and multiplied by P broadcast inputs. Nothing is unfolded (no im2col).
 * Everything reduces to two loops:
 *
 *   correlate: y[o][pixel] = sum over taps of w[tap][o] * in[pixel + tap]        forward; with flipped weights, the
 * input gradient gather:    gw[tap][o] += sum over pixels of gy[pixel][o] * in[pixel + tap]   the weight gradient
 *
 * over a padded copy of one image ("field") in which strides are already resolved: columns are split by phase, so that
 * neighbouring output pixels are neighbours in memory. Rows of the field that are all padding are skipped. This file
 * alone is compiled with contraction, as a GEMM would be; sums are in a fixed order, the same for any number of
 * threads. */
#include <string.h>

#include "autograd/conv.h"
#include "autograd/conv_lists_cpu.h"
#include "autograd/vector_cpu.h"
#include "core/isa.h"

#if defined(__AVX512F__)
enum { PIXELS_TWO = 12, PIXELS_ONE = 16 };
#else
enum { PIXELS_TWO = 6, PIXELS_ONE = 10 };
#endif
enum { MAX_KERNEL = 64, MAX_TAPS = 16 };

/* ---- fields: padded images with strides resolved ---- */

struct field {                                 /* geometry of one correlation */
    int32_t C, H, W;                           /* source image */
    int32_t kh, kw;                            /* taps */
    int32_t OH, OW;                            /* output pixels */
    int32_t stride[2], dilation[2], top, left; /* of the correlation; top, left: padding (may be negative: cropping) */
    int32_t spread[2];     /* source rows and columns lie this far apart (input gradient of a strided convolution) */
    int32_t rows, columns; /* of the padded image */
    int32_t phase_width;   /* columns / stride, rounded up; a row is stride[1] phases of this width */
    ptrdiff_t row_size, plane;
};

static struct field make_field(int32_t C, int32_t H, int32_t W, int32_t kh, int32_t kw, int32_t OH, int32_t OW,
                               const int32_t *stride, const int32_t *dilation, int32_t top, int32_t left,
                               const int32_t *spread) {
    struct field f = {.C = C, .H = H, .W = W, .kh = kh, .kw = kw, .OH = OH, .OW = OW, .top = top, .left = left};
    for (int i = 0; i < 2; ++i) f.stride[i] = stride[i], f.dilation[i] = dilation[i], f.spread[i] = spread[i];
    f.rows = (OH - 1) * stride[0] + dilation[0] * (kh - 1) + 1;
    f.columns = (OW - 1) * stride[1] + dilation[1] * (kw - 1) + 1;
    f.phase_width = (int32_t)blocks(f.columns, stride[1]);
    f.row_size = (ptrdiff_t)f.phase_width * stride[1];
    f.plane = f.row_size * f.rows;
    return f;
}

static const int32_t once[2] = {1, 1};

static struct field forward_field(const struct snn_conv_shape *s) {
    return make_field(s->C, s->H, s->W, s->kernel[0], s->kernel[1], s->OH, s->OW, s->stride, s->dilation, s->padding[0],
                      s->padding[1], once);
}

/* The input gradient is a correlation of the output gradient, spread by the stride, with the flipped kernel. */
static struct field backward_field(const struct snn_conv_shape *s) {
    return make_field(s->O, s->OH, s->OW, s->kernel[0], s->kernel[1], s->H, s->W, once, s->dilation,
                      s->dilation[0] * (s->kernel[0] - 1) - s->padding[0],
                      s->dilation[1] * (s->kernel[1] - 1) - s->padding[1], s->stride);
}

/* Source index of a padded index, or -1 where there is only padding. */
static int32_t source(int32_t padded, int32_t pad, int32_t spread, int32_t n) {
    int32_t i = padded - pad;
    return i < 0 || i % spread || i / spread >= n ? -1 : i / spread;
}

static bool needs_copy(const struct field *f) {
    return f->top || f->left || f->stride[1] != 1 || f->spread[0] != 1 || f->spread[1] != 1 || f->rows != f->H ||
           f->columns != f->W;
}

static void fill_field(const struct field *f, const real *image, real *out) {
    for (int32_t c = 0; c < f->C; ++c)
        for (int32_t y = 0; y < f->rows; ++y) {
            real *row = out + c * f->plane + y * f->row_size;
            int32_t from = source(y, f->top, f->spread[0], f->H);
            if (from < 0) {
                memset(row, 0, (size_t)f->row_size * sizeof *row);
                continue;
            }
            const real *line = image + ((ptrdiff_t)c * f->H + from) * f->W;
            if (f->stride[1] == 1 && f->spread[1] == 1) { /* the common case: zeros, a line, zeros */
                int32_t skip = f->left < 0 ? -f->left : 0, start = f->left > 0 ? f->left : 0;
                int32_t n = (int32_t)least(f->W - skip, f->columns - start);
                if (n < 0) n = 0;
                memset(row, 0, (size_t)start * sizeof *row);
                memcpy(row + start, line + skip, (size_t)n * sizeof *row);
                memset(row + start + n, 0, (size_t)(f->row_size - start - n) * sizeof *row);
                continue;
            }
            for (int32_t phase = 0; phase < f->stride[1]; ++phase)
                for (int32_t i = 0; i < f->phase_width; ++i) {
                    int32_t x = i * f->stride[1] + phase,
                            at = x < f->columns ? source(x, f->left, f->spread[1], f->W) : -1;
                    row[phase * f->phase_width + i] = at < 0 ? 0 : line[at];
                }
        }
}

/* Offset of tap column kx within a row of the field. */
static ptrdiff_t tap_column(const struct field *f, int32_t kx) {
    int32_t x = kx * f->dilation[1];
    return (ptrdiff_t)(x % f->stride[1]) * f->phase_width + x / f->stride[1];
}

/* ---- correlate ---- */

struct taps { /* what one output row multiplies */
    int32_t C, live, kw;
    ptrdiff_t plane;
    ptrdiff_t row[MAX_KERNEL];    /* of each live tap row: offset in the field */
    ptrdiff_t weight[MAX_KERNEL]; /* and in the packed weights of a channel, in taps */
    ptrdiff_t column[MAX_KERNEL];
    ptrdiff_t weights_a_channel; /* kh*kw */
};

#define CORRELATE(P, V)                                                                                                \
    static void correlate_##V##_##P(const struct taps *taps, const real *in, const real *w, real *tile) {              \
        vec acc[P][V];                                                                                                 \
        _Pragma("GCC unroll 16") for (int p = 0; p < P; ++p) _Pragma("GCC unroll 2") for (int v = 0; v < V; ++v)       \
            acc[p][v] = (vec){0};                                                                                      \
        for (int32_t c = 0; c < taps->C; ++c)                                                                          \
            for (int32_t k = 0; k < taps->live; ++k) {                                                                 \
                const real *row = in + c * taps->plane + taps->row[k];                                                 \
                const real *wk = w + (c * taps->weights_a_channel + taps->weight[k]) * (V * LANES);                    \
                for (int32_t x = 0; x < taps->kw; ++x, wk += V * LANES) {                                              \
                    const real *at = row + taps->column[x];                                                            \
                    vec wv[V];                                                                                         \
                    for (int v = 0; v < V; ++v) wv[v] = *(const vec_unaligned *)(wk + v * LANES);                      \
                    _Pragma("GCC unroll 16") for (int p = 0; p < P; ++p)                                               \
                        _Pragma("GCC unroll 2") for (int v = 0; v < V; ++v) acc[p][v] += at[p] * wv[v];                \
                }                                                                                                      \
            }                                                                                                          \
        _Pragma("GCC unroll 16") for (int p = 0; p < P; ++p) for (int v = 0; v < V; ++v) *                             \
            (vec_unaligned *)(tile + (p * V + v) * LANES) = acc[p][v];                                                 \
    }
typedef void correlate_fn(const struct taps *taps, const real *in, const real *w, real *tile);

#define GATHER(K, V)                                                                                                   \
    static void gather_##V##_##K(const real *in, const ptrdiff_t *tap, const real *g, ptrdiff_t g_step, int32_t OH,    \
                                 int32_t OW, ptrdiff_t row_step, real *sum) {                                          \
        vec acc[K][V];                                                                                                 \
        _Pragma("GCC unroll 16") for (int k = 0; k < K; ++k) _Pragma("GCC unroll 2") for (int v = 0; v < V; ++v)       \
            acc[k][v] = *(const vec_unaligned *)(sum + (k * V + v) * LANES);                                           \
        for (int32_t y = 0; y < OH; ++y) {                                                                             \
            const real *row = in + y * row_step;                                                                       \
            for (int32_t x = 0; x < OW; ++x, g += g_step) {                                                            \
                vec gv[V];                                                                                             \
                for (int v = 0; v < V; ++v) gv[v] = *(const vec_unaligned *)(g + v * LANES);                           \
                _Pragma("GCC unroll 16") for (int k = 0; k < K; ++k)                                                   \
                    _Pragma("GCC unroll 2") for (int v = 0; v < V; ++v) acc[k][v] += row[x + tap[k]] * gv[v];          \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 16") for (int k = 0; k < K; ++k) for (int v = 0; v < V; ++v) *                             \
            (vec_unaligned *)(sum + (k * V + v) * LANES) = acc[k][v];                                                  \
    }
typedef void gather_fn(const real *in, const ptrdiff_t *tap, const real *g, ptrdiff_t g_step, int32_t OH, int32_t OW,
                       ptrdiff_t row_step, real *sum);

/* clang-format off */
#define BOTH(N, V) CORRELATE(N, V) GATHER(N, V)
BOTH(1, 1) BOTH(2, 1) BOTH(3, 1) BOTH(4, 1) BOTH(5, 1) BOTH(6, 1) BOTH(7, 1) BOTH(8, 1) BOTH(9, 1) BOTH(10, 1)
BOTH(1, 2) BOTH(2, 2) BOTH(3, 2) BOTH(4, 2) BOTH(5, 2) BOTH(6, 2)
#if defined(__AVX512F__)
BOTH(11, 1) BOTH(12, 1) BOTH(13, 1) BOTH(14, 1) BOTH(15, 1) BOTH(16, 1)
BOTH(7, 2) BOTH(8, 2) BOTH(9, 2) BOTH(10, 2) BOTH(11, 2) BOTH(12, 2)
#define TABLE(f)                                                                                                       \
    {{0, f##1_1, f##1_2, f##1_3, f##1_4, f##1_5, f##1_6, f##1_7, f##1_8, f##1_9, f##1_10, f##1_11, f##1_12, f##1_13,   \
      f##1_14, f##1_15, f##1_16},                                                                                      \
     {0, f##2_1, f##2_2, f##2_3, f##2_4, f##2_5, f##2_6, f##2_7, f##2_8, f##2_9, f##2_10, f##2_11, f##2_12}}
#else
#define TABLE(f)                                                                                                       \
    {{0, f##1_1, f##1_2, f##1_3, f##1_4, f##1_5, f##1_6, f##1_7, f##1_8, f##1_9, f##1_10},                             \
     {0, f##2_1, f##2_2, f##2_3, f##2_4, f##2_5, f##2_6}}
#endif
    /* clang-format on */
    static correlate_fn *const correlate_table[2][PIXELS_ONE + 1] = TABLE(correlate_);
static gather_fn *const gather_table[2][PIXELS_ONE + 1] = TABLE(gather_);

/* Output channels are taken in blocks of two vectors, and one vector for what is left. */
struct channel_block {
    int32_t first, vectors; /* channel within the group */
};
static struct channel_block channel_block(int32_t channels, int32_t i) {
    int32_t first = i * 2 * LANES;
    return (struct channel_block){first, channels - first > LANES ? 2 : 1};
}
static int32_t channel_blocks(int32_t channels) { return (int32_t)blocks(channels, 2 * LANES); }
static ptrdiff_t padded_channels(int32_t channels) { return blocks(channels, LANES) * LANES; }

/* Tile of `n` units into runs of about equal length, at most `most`: run i of the tiling. */
static void run_of(int32_t n, int32_t most, int32_t i, int32_t *first, int32_t *length) {
    int32_t runs = (int32_t)blocks(n, most);
    *first = (int32_t)((ptrdiff_t)n * i / runs);
    *length = (int32_t)((ptrdiff_t)n * (i + 1) / runs) - *first;
}

/* y (O,OH,OW) of one image: `in` is its field, w the packed weights of the channel block. */
static void correlate_image(const struct field *f, int32_t in_channels, const real *in, const real *w,
                            struct channel_block block, int32_t channels, const real *bias, bool adds, real *y,
                            real *tile) {
    ptrdiff_t padded =
        blocks(f->OW, LANES) * LANES;        /* whole squares are transposed, of which the last pixels are not used */
    real *lines = tile + padded * 2 * LANES; /* the tile by channel */
    struct taps taps = {.C = in_channels, .kw = f->kw, .plane = f->plane, .weights_a_channel = f->kh * f->kw};
    for (int32_t x = 0; x < f->kw; ++x) taps.column[x] = tap_column(f, x);
    int32_t most = block.vectors == 2 ? PIXELS_TWO : PIXELS_ONE, width = block.vectors * LANES;
    int32_t real_channels = (int32_t)least(width, channels - block.first);
    ptrdiff_t pixels = (ptrdiff_t)f->OH * f->OW;
    for (int32_t oy = 0; oy < f->OH; ++oy) {
        taps.live = 0;
        for (int32_t ky = 0; ky < f->kh; ++ky) {
            int32_t at = oy * f->stride[0] + ky * f->dilation[0];
            if (source(at, f->top, f->spread[0], f->H) < 0) continue;
            taps.row[taps.live] = at * f->row_size;
            taps.weight[taps.live++] = ky * f->kw;
        }
        for (int32_t i = 0; i < blocks(f->OW, most); ++i) {
            int32_t ox, length;
            run_of(f->OW, most, i, &ox, &length);
            correlate_table[block.vectors - 1][length](&taps, in + ox, w, tile + ox * width);
        }
        transpose(tile, width, padded, width, lines, padded);
        for (int32_t o = 0; o < real_channels; ++o) {
            real *restrict out = y + (block.first + o) * pixels + (ptrdiff_t)oy * f->OW,
                           b = bias ? bias[block.first + o] : 0;
            const real *restrict line = lines + o * padded;
            if (adds)
                for (int32_t x = 0; x < f->OW; ++x) out[x] += line[x] + b;
            else
                for (int32_t x = 0; x < f->OW; ++x) out[x] = line[x] + b;
        }
    }
}

/* Weights of one group as [channel block][in channel][tap][lanes], zero beyond the last channel. */
static void pack_forward(const struct snn_conv_shape *s, int32_t g, const real *w, real *out) {
    int32_t in = s->C / s->groups, channels = s->O / s->groups, taps = s->kernel[0] * s->kernel[1];
    for (int32_t b = 0; b < channel_blocks(channels); ++b) {
        struct channel_block block = channel_block(channels, b);
        for (int32_t k = 0; k < in * taps; ++k)
            for (int32_t l = 0; l < block.vectors * LANES; ++l) {
                int32_t o = block.first + l;
                *out++ = o < channels ? w[((ptrdiff_t)g * channels + o) * in * taps + k] : 0;
            }
    }
}

/* The same for the input gradient: output channels become inputs, and taps are flipped. */
static void pack_backward(const struct snn_conv_shape *s, int32_t g, const real *w, real *out) {
    int32_t channels = s->C / s->groups, in = s->O / s->groups, taps = s->kernel[0] * s->kernel[1];
    for (int32_t b = 0; b < channel_blocks(channels); ++b) {
        struct channel_block block = channel_block(channels, b);
        for (int32_t o = 0; o < in; ++o)
            for (int32_t k = 0; k < taps; ++k)
                for (int32_t l = 0; l < block.vectors * LANES; ++l) {
                    int32_t c = block.first + l;
                    *out++ = c < channels ? w[(((ptrdiff_t)g * in + o) * channels + c) * taps + (taps - 1 - k)] : 0;
                }
    }
}

struct correlate_layout { /* scratch: packed weights, then for each thread an expanded row, a field and a tile */
    ptrdiff_t packed_group, packed, row, field, tile, thread;
};
static struct correlate_layout correlate_layout(const struct snn_conv_shape *s, const struct field *f, int32_t in,
                                                int32_t out) {
    struct correlate_layout l;
    l.packed_group =
        align_up((ptrdiff_t)(in / s->groups) * s->kernel[0] * s->kernel[1] * padded_channels(out / s->groups));
    l.packed = l.packed_group * s->groups;
    l.row = align_up((ptrdiff_t)f->C * f->H * f->W);
    l.field = align_up((ptrdiff_t)f->C * f->plane + 2 * LANES); /* runs never read beyond, but keep a margin */
    l.tile = align_up(blocks(f->OW, LANES) * LANES * 2 * LANES * 2);
    l.thread = l.row + l.field + l.tile;
    return l;
}

static void correlate_all(struct snn_device *device, const struct snn_conv_shape *s, const struct field *f,
                          ptrdiff_t rows, const struct snn_rows *x, int32_t in, int32_t out, const real *bias,
                          bool adds, real *y,
                          void (*pack)(const struct snn_conv_shape *, int32_t, const real *, real *), const real *w,
                          real *scratch) {
    struct correlate_layout l = correlate_layout(s, f, in, out);
    int32_t group_in = in / s->groups, group_out = out / s->groups;
    ptrdiff_t x_units = (ptrdiff_t)f->C * f->H * f->W, pixels = (ptrdiff_t)f->OH * f->OW;
    for (int32_t g = 0; g < s->groups; ++g) pack(s, g, w, scratch + g * l.packed_group);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
        real *row = scratch + l.packed + lane * l.thread, *field = row + l.row, *tile = field + l.field;
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r) {
            const real *image = snn_rows_expand(x, r, x_units, row), *at = image;
            if (needs_copy(f)) fill_field(f, image, field), at = field;
            for (int32_t g = 0; g < s->groups; ++g) {
                const real *packed = scratch + g * l.packed_group;
                for (int32_t b = 0; b < channel_blocks(group_out); ++b) {
                    struct channel_block block = channel_block(group_out, b);
                    correlate_image(f, group_in, at + (ptrdiff_t)g * group_in * f->plane, packed, block, group_out,
                                    bias ? bias + g * group_out : NULL, adds, y + (r * out + g * group_out) * pixels,
                                    tile);
                    packed += (ptrdiff_t)group_in * f->kh * f->kw * block.vectors * LANES;
                }
            }
        }
    }
}

static void forward(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    const real *w, const real *b, real *y, void *scratch) {
    if (x->lists.row && SNN_ISA(snn_conv_takes_lists)(s, rows, &x->lists)) {
        SNN_ISA(snn_conv_lists)(device, s, rows, &x->lists, w, b, y, scratch);
        return;
    }
    struct field f = forward_field(s);
    correlate_all(device, s, &f, rows, x, s->C, s->O, b, false, y, pack_forward, w, scratch);
}

static void grad_input(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const real *gy,
                       const real *w, bool adds, real *gx, void *scratch) {
    struct field f = backward_field(s);
    struct snn_rows from = {.dense = gy};
    correlate_all(device, s, &f, rows, &from, s->O, s->C, NULL, adds, gx, pack_backward, w, scratch);
}

/* ---- weight gradient ---- */

struct gather_layout { /* images are taken in blocks; the sums of `parts` interleaved shares of a block are kept apart
                        */
    ptrdiff_t images;  /* of a block */
    int32_t parts, tap_runs; /* runs of taps of one channel block */
    int32_t taps;            /* C/groups * kh * kw */
    ptrdiff_t padded;        /* output channels of a group, in whole vectors */
    ptrdiff_t sums, field, transposed, row, bias;
};

static struct gather_layout gather_layout(const struct snn_conv_shape *s, const struct field *f) {
    struct gather_layout l;
    l.taps = s->C / s->groups * s->kernel[0] * s->kernel[1];
    l.padded = padded_channels(s->O / s->groups);
    l.tap_runs = (int32_t)blocks(l.taps, PIXELS_TWO);
    ptrdiff_t items = (ptrdiff_t)l.tap_runs * channel_blocks(s->O / s->groups) * s->groups;
    l.parts = (int32_t)(items >= 16 ? 1 : blocks(16, items));
    l.sums = align_up((ptrdiff_t)s->groups * l.taps * l.padded);
    l.field = align_up((ptrdiff_t)f->C * f->plane + 2 * LANES);
    l.row = align_up((ptrdiff_t)s->C * s->H * s->W);
    l.transposed = align_up((ptrdiff_t)s->OH * s->OW * s->groups * l.padded);
    l.bias = align_up(s->O);
    ptrdiff_t bytes = (l.field + l.transposed) * (ptrdiff_t)sizeof(real);
    l.images = (1 << 21) / bytes;
    l.images = l.images < 8 ? 8 : l.images > 64 ? 64 : l.images;
    return l;
}

/* gy (O, pixels) of one image -> (pixels, groups * padded channels), zero beyond the last channel. */
static void transpose_gradient(const struct snn_conv_shape *s, const struct gather_layout *l, const real *gy,
                               real *out) {
    ptrdiff_t pixels = (ptrdiff_t)s->OH * s->OW, step = s->groups * l->padded;
    int32_t channels = s->O / s->groups;
    for (int32_t g = 0; g < s->groups; ++g) {
        transpose(gy + (ptrdiff_t)g * channels * pixels, pixels, channels, pixels, out + g * l->padded, step);
        for (ptrdiff_t p = 0; channels < l->padded && p < pixels; ++p)
            memset(out + p * step + g * l->padded + channels, 0, (size_t)(l->padded - channels) * sizeof *out);
    }
}

/* sum[o] of one image: while its gradient is in the cache. */
static void sum_channels(const struct snn_conv_shape *s, const real *gy, real *sum) {
    ptrdiff_t pixels = (ptrdiff_t)s->OH * s->OW;
    for (int32_t o = 0; o < s->O; ++o) sum[o] = sum_of(gy + o * pixels, pixels);
}

/* Sums of one run of taps and one channel block over the images of one part. */
static void gather_item(const struct snn_conv_shape *s, const struct field *f, const struct gather_layout *l,
                        ptrdiff_t item, const real *fields, const real *const *direct, const real *transposed,
                        ptrdiff_t images, real *sums) {
    int32_t channels = s->O / s->groups, taps_a_channel = s->kernel[0] * s->kernel[1];
    int32_t part = (int32_t)(item % l->parts), run = (int32_t)(item / l->parts % l->tap_runs);
    int32_t b = (int32_t)(item / l->parts / l->tap_runs % channel_blocks(channels));
    int32_t g = (int32_t)(item / l->parts / l->tap_runs / channel_blocks(channels));
    struct channel_block block = channel_block(channels, b);
    int32_t first, count, width = block.vectors * LANES;
    run_of(l->taps, PIXELS_TWO, run, &first, &count);
    ptrdiff_t tap[MAX_TAPS];
    for (int32_t k = 0; k < count; ++k) {
        int32_t c = (first + k) / taps_a_channel, within = (first + k) % taps_a_channel;
        tap[k] = (g * (s->C / s->groups) + c) * f->plane + within / f->kw * f->dilation[0] * f->row_size +
                 tap_column(f, within % f->kw);
    }
    real *sum = sums + part * l->sums + (ptrdiff_t)g * l->taps * l->padded + (ptrdiff_t)block.first * l->taps +
                (ptrdiff_t)first * width;
    for (ptrdiff_t i = part * images / l->parts; i < (part + 1) * images / l->parts; ++i)
        gather_table[block.vectors - 1][count](direct ? direct[i] : fields + i * l->field, tap,
                                               transposed + i * l->transposed + g * l->padded + block.first,
                                               s->groups * l->padded, s->OH, s->OW, f->row_size * f->stride[0], sum);
}

static void grad_weight(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                        const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    if (x->lists.row && SNN_ISA(snn_conv_takes_lists)(s, rows, &x->lists)) {
        SNN_ISA(snn_conv_lists_grad_weight)(device, s, rows, &x->lists, gy, gw, gb, scratch);
        return;
    }
    struct field f = forward_field(s);
    struct gather_layout l = gather_layout(s, &f);
    int32_t channels = s->O / s->groups;
    ptrdiff_t x_units = (ptrdiff_t)s->C * s->H * s->W, pixels = (ptrdiff_t)s->OH * s->OW;
    real *sums = scratch, *fields = sums + l.parts * l.sums, *transposed = fields + l.images * l.field;
    real *expanded = transposed + l.images * l.transposed; /* a row for each image of a block */
    real *image_bias = expanded + l.images * l.row;
    bool copy = needs_copy(&f);
    memset(sums, 0, (size_t)(l.parts * l.sums) * sizeof *sums);
    ptrdiff_t items = (ptrdiff_t)l.parts * l.tap_runs * channel_blocks(channels) * s->groups;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        ptrdiff_t images = least(l.images, rows - r0);
        const real *direct[64];
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t i = 0; i < images; ++i) {
            direct[i] = snn_rows_expand(x, r0 + i, x_units, expanded + i * l.row);
            if (copy) fill_field(&f, direct[i], fields + i * l.field);
            transpose_gradient(s, &l, gy + (r0 + i) * s->O * pixels, transposed + i * l.transposed);
            if (gb) sum_channels(s, gy + (r0 + i) * s->O * pixels, image_bias + i * l.bias);
        }
        for (ptrdiff_t i = 0; gb && i < images; ++i)
            for (int32_t o = 0; o < s->O; ++o) gb[o] += image_bias[i * l.bias + o];
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t item = 0; item < items; ++item)
            gather_item(s, &f, &l, item, fields, copy ? NULL : direct, transposed, images, sums);
    }
    for (int32_t g = 0; g < s->groups; ++g)
        for (int32_t o = 0; o < channels; ++o) {
            struct channel_block block = channel_block(channels, o / (2 * LANES));
            for (int32_t k = 0; k < l.taps; ++k) {
                ptrdiff_t at = (ptrdiff_t)g * l.taps * l.padded + (ptrdiff_t)block.first * l.taps +
                               (ptrdiff_t)k * block.vectors * LANES + (o - block.first);
                real sum = 0;
                for (int32_t part = 0; part < l.parts; ++part) sum += sums[part * l.sums + at];
                gw[((ptrdiff_t)g * channels + o) * l.taps + k] += sum;
            }
        }
}

static size_t scratch_bytes(int threads, const struct snn_conv_shape *s, ptrdiff_t rows, enum snn_form x) {
    struct field f = forward_field(s), g = backward_field(s);
    struct correlate_layout a = correlate_layout(s, &f, s->C, s->O), b = correlate_layout(s, &g, s->O, s->C);
    struct gather_layout w = gather_layout(s, &f);
    ptrdiff_t forward_size = a.packed + threads * a.thread, backward_size = b.packed + threads * b.thread;
    ptrdiff_t weight_size = w.parts * w.sums + w.images * (w.field + w.transposed + w.row + w.bias);
    ptrdiff_t most = forward_size > backward_size ? forward_size : backward_size;
    size_t dense = (size_t)(most > weight_size ? most : weight_size) * sizeof(real);
    size_t lists = x == SNN_LISTS ? SNN_ISA(snn_conv_lists_scratch)(threads, s) : 0;
    (void)rows;
    return lists > dense ? lists : dense;
}

extern const struct snn_conv_kernels SNN_ISA(snn_conv_cpu);
const struct snn_conv_kernels SNN_ISA(snn_conv_cpu) = {
    .scratch = scratch_bytes,
    .forward = forward,
    .grad_input = grad_input,
    .grad_weight = grad_weight,
};
