/* SPDX-License-Identifier: Apache-2.0
 * conv_cpu.c - direct convolution on the CPU, vectorised over output channels (or, where groups have few, over pixels:
 * conv_pixels_cpu.c).
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
#include "autograd/conv_pixels_cpu.h"
#include "autograd/runs_cpu.h"
#include "autograd/temporal_cpu.h"
#include "autograd/vector_cpu.h"
#include "core/isa.h"

#if defined(__AVX512F__)
enum { PIXELS_TWO = 12, PIXELS_ONE = 16 };
#else
enum { PIXELS_TWO = 6, PIXELS_ONE = 10 };
#endif
enum { MAX_KERNEL = 64, MAX_TAPS = 16 };
enum { DEPTH, HEIGHT, WIDTH, AXES = SNN_CONV_AXES };

/* ---- fields: padded images with strides resolved ---- */

struct field { /* geometry of one correlation; axes are depth, height, width */
    int32_t C, in[AXES], k[AXES], out[AXES];
    int32_t stride[AXES], dilation[AXES];
    int32_t before[AXES]; /* padding; may be negative: cropping */
    int32_t spread[AXES]; /* source rows and columns lie this far apart (input gradient of a strided convolution) */
    int32_t size[AXES];   /* of the padded image */
    int32_t phase_width;  /* columns / stride, rounded up; a row is stride[WIDTH] phases of this width */
    ptrdiff_t row_size, slice, plane;
};

static void finish_field(struct field *f) {
    for (int i = 0; i < AXES; ++i) f->size[i] = (f->out[i] - 1) * f->stride[i] + f->dilation[i] * (f->k[i] - 1) + 1;
    f->phase_width = (int32_t)blocks(f->size[WIDTH], f->stride[WIDTH]);
    f->row_size = (ptrdiff_t)f->phase_width * f->stride[WIDTH];
    f->slice = f->row_size * f->size[HEIGHT];
    f->plane = f->slice * f->size[DEPTH];
}

static struct field forward_field(const struct snn_conv_shape *s) {
    struct field f = {.C = s->C, .in = {s->D, s->H, s->W}, .out = {s->OD, s->OH, s->OW}};
    for (int i = 0; i < AXES; ++i)
        f.k[i] = s->kernel[i], f.stride[i] = s->stride[i], f.dilation[i] = s->dilation[i], f.before[i] = s->padding[i],
        f.spread[i] = 1;
    finish_field(&f);
    return f;
}

/* The input gradient is a correlation of the output gradient, spread by the stride, with the flipped kernel. */
static struct field backward_field(const struct snn_conv_shape *s) {
    struct field f = {.C = s->O, .in = {s->OD, s->OH, s->OW}, .out = {s->D, s->H, s->W}};
    for (int i = 0; i < AXES; ++i)
        f.k[i] = s->kernel[i], f.stride[i] = 1, f.dilation[i] = s->dilation[i],
        f.before[i] = s->dilation[i] * (s->kernel[i] - 1) - s->padding[i], f.spread[i] = s->stride[i];
    finish_field(&f);
    return f;
}

/* Source index of a padded index, or -1 where there is only padding. */
static int32_t source(int32_t padded, int32_t pad, int32_t spread, int32_t n) {
    int32_t i = padded - pad;
    return i < 0 || i % spread || i / spread >= n ? -1 : i / spread;
}

static bool needs_copy(const struct field *f) {
    bool differs = f->stride[WIDTH] != 1;
    for (int i = 0; i < AXES; ++i) differs = differs || f->before[i] || f->spread[i] != 1 || f->size[i] != f->in[i];
    return differs;
}

/* One row of the field from one of the image. */
static void fill_row(const struct field *f, const real *line, real *row) {
    int32_t left = f->before[WIDTH], stride = f->stride[WIDTH], columns = f->size[WIDTH];
    if (stride == 1 && f->spread[WIDTH] == 1) { /* the common case: zeros, a line, zeros */
        int32_t skip = left < 0 ? -left : 0, start = left > 0 ? left : 0;
        int32_t n = (int32_t)least(f->in[WIDTH] - skip, columns - start);
        if (n < 0) n = 0;
        memset(row, 0, (size_t)start * sizeof *row);
        memcpy(row + start, line + skip, (size_t)n * sizeof *row);
        memset(row + start + n, 0, (size_t)(f->row_size - start - n) * sizeof *row);
        return;
    }
    for (int32_t phase = 0; phase < stride; ++phase)
        for (int32_t i = 0; i < f->phase_width; ++i) {
            int32_t x = i * stride + phase, at = x < columns ? source(x, left, f->spread[WIDTH], f->in[WIDTH]) : -1;
            row[phase * f->phase_width + i] = at < 0 ? 0 : line[at];
        }
}

static void fill_field(const struct field *f, const real *image, real *out) {
    for (int32_t c = 0; c < f->C; ++c)
        for (int32_t z = 0; z < f->size[DEPTH]; ++z)
            for (int32_t y = 0; y < f->size[HEIGHT]; ++y) {
                real *row = out + c * f->plane + z * f->slice + y * f->row_size;
                int32_t slice = source(z, f->before[DEPTH], f->spread[DEPTH], f->in[DEPTH]);
                int32_t line = source(y, f->before[HEIGHT], f->spread[HEIGHT], f->in[HEIGHT]);
                if (slice < 0 || line < 0) memset(row, 0, (size_t)f->row_size * sizeof *row);
                else
                    fill_row(f, image + (((ptrdiff_t)c * f->in[DEPTH] + slice) * f->in[HEIGHT] + line) * f->in[WIDTH],
                             row);
            }
}

/* Offset of tap column kx within a row of the field. */
static ptrdiff_t tap_column(const struct field *f, int32_t kx) {
    int32_t x = kx * f->dilation[WIDTH];
    return (ptrdiff_t)(x % f->stride[WIDTH]) * f->phase_width + x / f->stride[WIDTH];
}

/* ---- correlate ---- */

struct taps { /* what one output row multiplies */
    int32_t C, live, kw;
    ptrdiff_t plane;
    ptrdiff_t row[SNN_CONV_TAP_ROWS];    /* of each live tap row: offset in the field */
    ptrdiff_t weight[SNN_CONV_TAP_ROWS]; /* and in the packed weights of a channel, in taps */
    ptrdiff_t column[MAX_KERNEL];
    ptrdiff_t weights_a_channel; /* kd*kh*kw */
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

/* Tap rows of the output row (oz,oy) that are not all padding. */
static void find_live(const struct field *f, int32_t oz, int32_t oy, struct taps *taps) {
    taps->live = 0;
    for (int32_t kz = 0; kz < f->k[DEPTH]; ++kz) {
        int32_t z = oz * f->stride[DEPTH] + kz * f->dilation[DEPTH];
        if (source(z, f->before[DEPTH], f->spread[DEPTH], f->in[DEPTH]) < 0) continue;
        for (int32_t ky = 0; ky < f->k[HEIGHT]; ++ky) {
            int32_t y = oy * f->stride[HEIGHT] + ky * f->dilation[HEIGHT];
            if (source(y, f->before[HEIGHT], f->spread[HEIGHT], f->in[HEIGHT]) < 0) continue;
            taps->row[taps->live] = z * f->slice + y * f->row_size;
            taps->weight[taps->live++] = (ptrdiff_t)(kz * f->k[HEIGHT] + ky) * f->k[WIDTH];
        }
    }
}

/* y (O,OD,OH,OW) of one image: `in` is its field, w the packed weights of the channel block. */
static void correlate_image(const struct field *f, int32_t in_channels, const real *in, const real *w,
                            struct channel_block block, int32_t channels, const real *bias, bool adds, real *y,
                            real *tile) {
    int32_t OW = f->out[WIDTH];
    ptrdiff_t padded = blocks(OW, LANES) * LANES; /* whole squares are transposed; the last pixels are not used */
    real *lines = tile + padded * 2 * LANES;      /* the tile by channel */
    ptrdiff_t taps_a_channel = (ptrdiff_t)f->k[DEPTH] * f->k[HEIGHT] * f->k[WIDTH];
    struct taps taps; /* large: it is filled in, not cleared */
    taps.C = in_channels, taps.kw = f->k[WIDTH], taps.plane = f->plane, taps.weights_a_channel = taps_a_channel;
    for (int32_t x = 0; x < f->k[WIDTH]; ++x) taps.column[x] = tap_column(f, x);
    int32_t most = block.vectors == 2 ? PIXELS_TWO : PIXELS_ONE, width = block.vectors * LANES;
    int32_t real_channels = (int32_t)least(width, channels - block.first);
    ptrdiff_t rows = (ptrdiff_t)f->out[DEPTH] * f->out[HEIGHT];
    for (int32_t r = 0; r < rows; ++r) {
        find_live(f, r / f->out[HEIGHT], r % f->out[HEIGHT], &taps);
        for (int32_t i = 0; i < blocks(OW, most); ++i) {
            int32_t ox, length;
            run_of(OW, most, i, &ox, &length);
            correlate_table[block.vectors - 1][length](&taps, in + ox, w, tile + ox * width);
        }
        transpose(tile, width, padded, width, lines, padded);
        for (int32_t o = 0; o < real_channels; ++o) {
            real *restrict out = y + ((block.first + o) * rows + r) * OW, b = bias ? bias[block.first + o] : 0;
            const real *restrict line = lines + o * padded;
            if (adds)
                for (int32_t x = 0; x < OW; ++x) out[x] += line[x] + b;
            else
                for (int32_t x = 0; x < OW; ++x) out[x] = line[x] + b;
        }
    }
}

/* Weights of one group as [channel block][in channel][tap][lanes], zero beyond the last channel. */
static void pack_forward(const struct snn_conv_shape *s, int32_t g, const real *w, real *out) {
    int32_t in = s->C / s->groups, channels = s->O / s->groups, taps = (int32_t)snn_conv_taps(s);
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
    int32_t channels = s->C / s->groups, in = s->O / s->groups, taps = (int32_t)snn_conv_taps(s);
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

static ptrdiff_t source_pixels(const struct field *f) { return (ptrdiff_t)f->in[DEPTH] * f->in[HEIGHT] * f->in[WIDTH]; }

struct correlate_layout { /* scratch: packed weights, then for each thread an expanded row, a field and a tile */
    ptrdiff_t packed_group, packed, row, field, tile, thread;
};
static struct correlate_layout correlate_layout(const struct snn_conv_shape *s, const struct field *f, int32_t in,
                                                int32_t out) {
    struct correlate_layout l;
    l.packed_group = align_up(in / s->groups * snn_conv_taps(s) * padded_channels(out / s->groups));
    l.packed = l.packed_group * s->groups;
    l.row = align_up(f->C * source_pixels(f));
    l.field = align_up((ptrdiff_t)f->C * f->plane + 2 * LANES); /* runs never read beyond, but keep a margin */
    l.tile = align_up(blocks(f->out[WIDTH], LANES) * LANES * 2 * LANES * 2);
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
    ptrdiff_t x_units = f->C * source_pixels(f), pixels = (ptrdiff_t)f->out[DEPTH] * f->out[HEIGHT] * f->out[WIDTH];
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
                    packed += group_in * snn_conv_taps(s) * block.vectors * LANES;
                }
            }
        }
    }
}

static void forward(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    const real *w, const real *b, bool adds, real *y, void *scratch) {
    if (x->lists.row && SNN_ISA(snn_conv_takes_lists)(s, rows, &x->lists)) {
        SNN_ISA(snn_conv_lists)(device, s, rows, &x->lists, w, b, adds, y, scratch);
        return;
    }
    if (SNN_ISA(snn_conv_pixels_suit)(s, false)) {
        SNN_ISA(snn_conv_pixels)(device, s, rows, x, w, b, adds, y, scratch);
        return;
    }
    struct field f = forward_field(s);
    correlate_all(device, s, &f, rows, x, s->C, s->O, b, adds, y, pack_forward, w, scratch);
}

static void grad_input(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const real *gy,
                       const real *w, const real *b, bool adds, real *gx, void *scratch) {
    if (SNN_ISA(snn_conv_pixels_suit)(s, true)) {
        SNN_ISA(snn_conv_pixels_grad_input)(device, s, rows, gy, w, b, adds, gx, scratch);
        return;
    }
    struct field f = backward_field(s);
    struct snn_rows from = {.dense = gy};
    correlate_all(device, s, &f, rows, &from, s->O, s->C, b, adds, gx, pack_backward, w, scratch);
}

/* ---- weight gradient ---- */

struct gather_layout { /* images are taken in blocks; the sums of `parts` interleaved shares of a block are kept apart
                        */
    ptrdiff_t images;  /* of a block */
    int32_t parts, tap_runs; /* runs of taps of one channel block */
    int32_t taps;            /* C/groups * kd * kh * kw */
    ptrdiff_t padded;        /* output channels of a group, in whole vectors */
    ptrdiff_t sums, field, transposed, row, bias;
};

static struct gather_layout gather_layout(const struct snn_conv_shape *s, const struct field *f) {
    struct gather_layout l;
    l.taps = (int32_t)(s->C / s->groups * snn_conv_taps(s));
    l.padded = padded_channels(s->O / s->groups);
    l.tap_runs = (int32_t)blocks(l.taps, PIXELS_TWO);
    ptrdiff_t items = (ptrdiff_t)l.tap_runs * channel_blocks(s->O / s->groups) * s->groups;
    l.parts = (int32_t)(items >= 16 ? 1 : blocks(16, items));
    l.sums = align_up((ptrdiff_t)s->groups * l.taps * l.padded);
    l.field = align_up((ptrdiff_t)f->C * f->plane + 2 * LANES);
    l.row = align_up(s->C * snn_conv_in_pixels(s));
    l.transposed = align_up(snn_conv_out_pixels(s) * s->groups * l.padded);
    l.bias = align_up(s->O);
    ptrdiff_t bytes = (l.field + l.transposed) * (ptrdiff_t)sizeof(real);
    l.images = (1 << 21) / bytes;
    l.images = l.images < 8 ? 8 : l.images > 64 ? 64 : l.images;
    return l;
}

/* gy (O, pixels) of one image -> (pixels, groups * padded channels), zero beyond the last channel. */
static void transpose_gradient(const struct snn_conv_shape *s, const struct gather_layout *l, const real *gy,
                               real *out) {
    ptrdiff_t pixels = snn_conv_out_pixels(s), step = s->groups * l->padded;
    int32_t channels = s->O / s->groups;
    for (int32_t g = 0; g < s->groups; ++g) {
        transpose(gy + (ptrdiff_t)g * channels * pixels, pixels, channels, pixels, out + g * l->padded, step);
        for (ptrdiff_t p = 0; channels < l->padded && p < pixels; ++p)
            memset(out + p * step + g * l->padded + channels, 0, (size_t)(l->padded - channels) * sizeof *out);
    }
}

/* sum[o] of one image: while its gradient is in the cache. */
static void sum_channels(const struct snn_conv_shape *s, const real *gy, real *sum) {
    ptrdiff_t pixels = snn_conv_out_pixels(s);
    for (int32_t o = 0; o < s->O; ++o) sum[o] = sum_of(gy + o * pixels, pixels);
}

/* Sums of one run of taps and one channel block over the images of one part. */
static void gather_item(const struct snn_conv_shape *s, const struct field *f, const struct gather_layout *l,
                        ptrdiff_t item, const real *fields, const real *const *direct, const real *transposed,
                        ptrdiff_t images, real *sums) {
    int32_t channels = s->O / s->groups, taps_a_channel = (int32_t)snn_conv_taps(s);
    int32_t part = (int32_t)(item % l->parts), run = (int32_t)(item / l->parts % l->tap_runs);
    int32_t b = (int32_t)(item / l->parts / l->tap_runs % channel_blocks(channels));
    int32_t g = (int32_t)(item / l->parts / l->tap_runs / channel_blocks(channels));
    struct channel_block block = channel_block(channels, b);
    int32_t first, count, width = block.vectors * LANES;
    run_of(l->taps, PIXELS_TWO, run, &first, &count);
    ptrdiff_t tap[MAX_TAPS];
    for (int32_t k = 0; k < count; ++k) {
        int32_t c = (first + k) / taps_a_channel, within = (first + k) % taps_a_channel;
        int32_t kz = within / (f->k[HEIGHT] * f->k[WIDTH]), ky = within / f->k[WIDTH] % f->k[HEIGHT];
        tap[k] = (g * (s->C / s->groups) + c) * f->plane + kz * f->dilation[DEPTH] * f->slice +
                 ky * f->dilation[HEIGHT] * f->row_size + tap_column(f, within % f->k[WIDTH]);
    }
    real *sum = sums + part * l->sums + (ptrdiff_t)g * l->taps * l->padded + (ptrdiff_t)block.first * l->taps +
                (ptrdiff_t)first * width;
    ptrdiff_t step = s->groups * l->padded;
    for (ptrdiff_t i = part * images / l->parts; i < (part + 1) * images / l->parts; ++i)
        for (int32_t oz = 0; oz < s->OD; ++oz)
            gather_table[block.vectors - 1][count](
                (direct ? direct[i] : fields + i * l->field) + oz * f->stride[DEPTH] * f->slice, tap,
                transposed + i * l->transposed + g * l->padded + block.first + (ptrdiff_t)oz * s->OH * s->OW * step,
                step, s->OH, s->OW, f->row_size * f->stride[HEIGHT], sum);
}

static void grad_weight(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                        const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    if (x->lists.row && SNN_ISA(snn_conv_takes_lists)(s, rows, &x->lists)) {
        SNN_ISA(snn_conv_lists_grad_weight)(device, s, rows, &x->lists, gy, gw, gb, scratch);
        return;
    }
    if (SNN_ISA(snn_conv_pixels_suit)(s, false)) {
        SNN_ISA(snn_conv_pixels_grad_weight)(device, s, rows, x, gy, gw, gb, scratch);
        return;
    }
    struct field f = forward_field(s);
    struct gather_layout l = gather_layout(s, &f);
    int32_t channels = s->O / s->groups;
    ptrdiff_t x_units = s->C * snn_conv_in_pixels(s), pixels = snn_conv_out_pixels(s);
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

static void grad_bias(struct snn_device *device, ptrdiff_t rows, int32_t channels, ptrdiff_t pixels, const real *gy,
                      real *gb) {
    if (pixels == 1) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t at = 0; at < channels; at += COLUMNS_SHARED) sum_columns(rows, channels, at, gy, gb);
        return;
    }
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t c = 0; c < channels; ++c) {
        real sum = 0;
        for (ptrdiff_t r = 0; r < rows; ++r) sum += sum_of(gy + (r * channels + c) * pixels, pixels);
        gb[c] += sum;
    }
}

static size_t scratch_bytes(int threads, const struct snn_conv_shape *s, ptrdiff_t rows, enum snn_form x) {
    struct field f = forward_field(s), g = backward_field(s);
    struct correlate_layout a = correlate_layout(s, &f, s->C, s->O), b = correlate_layout(s, &g, s->O, s->C);
    struct gather_layout w = gather_layout(s, &f);
    ptrdiff_t forward_size = a.packed + threads * a.thread, backward_size = b.packed + threads * b.thread;
    ptrdiff_t weight_size = w.parts * w.sums + w.images * (w.field + w.transposed + w.row + w.bias);
    ptrdiff_t most = forward_size > backward_size ? forward_size : backward_size;
    size_t bytes = (size_t)(most > weight_size ? most : weight_size) * sizeof(real);
    size_t lists = x == SNN_LISTS ? SNN_ISA(snn_conv_lists_scratch)(threads, s) : 0;
    size_t pixels = SNN_ISA(snn_conv_pixels_scratch)(threads, s);
    (void)rows;
    if (lists > bytes) bytes = lists;
    return pixels > bytes ? pixels : bytes;
}

extern const struct snn_conv_kernels SNN_ISA(snn_conv_cpu);
const struct snn_conv_kernels SNN_ISA(snn_conv_cpu) = {
    .scratch = scratch_bytes,
    .forward = forward,
    .grad_input = grad_input,
    .grad_weight = grad_weight,
    .grad_bias = grad_bias,
    .temporal = SNN_ISA(snn_temporal),
    .temporal_grad_input = SNN_ISA(snn_temporal_grad_input),
    .temporal_scratch = SNN_ISA(snn_temporal_scratch),
    .temporal_grad_weight = SNN_ISA(snn_temporal_grad_weight),
};
