/* SPDX-License-Identifier: Apache-2.0
 * conv_lists_cpu.c - convolution of lists of events on the CPU: work for what is not 0 alone.
 *
 * With a stride and dilation of 1 an event at (y,x) of channel c touches kw neighbouring pixels in each of kh lines:
 *
 *   forward           line oy of the output += v w[c][ky][kx] at x + padding - kx,  for the events of input line
 * oy+ky-padding weight gradient   gw[c][ky][kx] += v gy[oy][x + padding - kx],                  for the same events
 *
 * Numbers lie pixel by pixel with the output channels side by side, so that either is one run of vectors: forward into
 * a line of the output that stays in the first-level cache, the gradient into sums in registers. kw-1 more pixels at
 * both ends of a line take what hangs over. Adding to the whole map of outputs instead was no faster than the dense
 * convolution: it has to be cleared, and does not stay in the cache. */
#include "autograd/conv_lists_cpu.h"

#include <string.h>

#include "autograd/vector_cpu.h"

#if defined(__AVX512F__)
enum { TAPS = 12 }; /* of one run: two vectors of sums each */
#else
enum { TAPS = 6 };
#endif
enum {
    PARTS =
        32, /* shares of the rows with sums of their own for the weight gradient: fixed, as it decides their order */
    MOST_SUMS = 1 << 16 /* numbers of one such share */
};
/* Above this share of entries the dense convolution is faster. */
#define DENSE_FROM 0.25

/* ---- geometry ---- */

struct lines {
    int32_t channels, in; /* of a group: output, input */
    ptrdiff_t padded;     /* output channels of a group in whole vectors */
    int32_t width;        /* pixels of a line, with what hangs over: output x is pixel x + kw - 1 */
    ptrdiff_t weights;    /* of a group: (in, kh, kw, padded) */
    /* sizes of scratch, in numbers: all weights, sums of a part, starts, lines of an image's output or one of them */
    ptrdiff_t packed, sums, starts, image, line;
};

static struct lines lines_of(const struct snn_conv_shape *s) {
    struct lines l = {.channels = s->O / s->groups, .in = s->C / s->groups};
    int32_t kw = s->kernel[2], reach = s->W + s->padding[2];
    l.padded = blocks(l.channels, LANES) * LANES;
    l.width = (reach > s->OW ? reach : s->OW) + kw - 1;
    l.weights = (ptrdiff_t)l.in * s->kernel[1] * kw * l.padded;
    l.packed = align_up(l.weights * s->groups);
    l.sums = l.packed + align_up(s->O);
    l.starts = align_up((ptrdiff_t)s->C * s->H + 1);
    l.line = align_up(l.width * l.padded);
    l.image = l.line * s->OH * s->groups;
    return l;
}

static bool suits(const struct snn_conv_shape *s) {
    return s->D == 1 && s->kernel[0] == 1 && !s->padding[0] && s->stride[1] == 1 && s->stride[2] == 1 &&
           s->dilation[1] == 1 && s->dilation[2] == 1 && lines_of(s).weights * s->groups <= MOST_SUMS;
}

bool SNN_ISA(snn_conv_takes_lists)(const struct snn_conv_shape *s, ptrdiff_t rows, const struct snn_lists *x) {
    return suits(s) && (double)snn_lists_entries(x, rows) <= DENSE_FROM * (double)rows * s->C * s->H * s->W;
}

size_t SNN_ISA(snn_conv_lists_scratch)(int threads, const struct snn_conv_shape *s) {
    struct lines l = lines_of(s);
    if (!suits(s)) return 0;
    ptrdiff_t forward = l.packed + l.line * s->groups + threads * (l.starts + 2 * l.line);
    ptrdiff_t backward = PARTS * l.sums + threads * (l.starts + l.image);
    return (size_t)(forward > backward ? forward : backward) * sizeof(real);
}

/* Entries of an image by line of the input: those of line k (c*H+y) are start[k] .. start[k+1]-1 */
static void find_lines(const struct snn_conv_shape *s, const struct snn_entries *e, int32_t *start) {
    int32_t at = 0;
    for (int32_t line = 0; line < s->C * s->H; ++line) {
        start[line] = at;
        while (at < e->count && e->index[at] < (line + 1) * s->W) ++at;
    }
    start[s->C * s->H] = at;
}

/* Output channels are taken in blocks of two vectors, and one vector for what is left. */
static int vectors_of(const struct lines *l, ptrdiff_t o) { return l->padded - o > LANES ? 2 : 1; }

/* ---- forward ---- */

/* (groups, blocks of channels, in, kh, kw backwards, channels of the block): what an event adds to neighbouring pixels
 * lies side by side. */
static void pack(const struct snn_conv_shape *s, const struct lines *l, const real *w, real *out) {
    int32_t kh = s->kernel[1], kw = s->kernel[2];
    for (int32_t g = 0; g < s->groups; ++g)
        for (ptrdiff_t o0 = 0; o0 < l->padded; o0 += 2 * LANES)
            for (int32_t c = 0; c < l->in; ++c)
                for (int32_t k = 0; k < kh * kw; ++k)
                    for (ptrdiff_t o = o0; o < o0 + vectors_of(l, o0) * LANES; ++o) {
                        ptrdiff_t from =
                            (((ptrdiff_t)g * l->channels + o) * l->in + c) * kh * kw + k / kw * kw + (kw - 1 - k % kw);
                        *out++ = o < l->channels ? w[from] : 0;
                    }
}

#define UNROLL _Pragma("GCC unroll 16")
/* line (width, V vectors) += v * w (K, V vectors), from the pixel of each entry on; `at` is the index of pixel 0 */
#define ADD_EVENTS(K, V)                                                                                               \
    static void add_events_##V##_##K(const struct snn_entries *e, int32_t first, int32_t end, int32_t at,              \
                                     const real *w, real *line) {                                                      \
        vec wv[K * V];                                                                                                 \
        UNROLL for (int v = 0; v < K * V; ++v) wv[v] = *(const vec *)(w + v * LANES);                                  \
        for (int32_t k = first; k < end; ++k) {                                                                        \
            real *to = line + (ptrdiff_t)(e->index[k] - at) * (V * LANES), by = e->value ? (real)e->value[k] : 1;      \
            UNROLL for (int v = 0; v < K * V; ++v) * (vec *)(to + v * LANES) += by * wv[v];                            \
        }                                                                                                              \
    }
typedef void add_events_fn(const struct snn_entries *e, int32_t first, int32_t end, int32_t at, const real *w,
                           real *line);

/* clang-format off */
#define BOTH(K) ADD_EVENTS(K, 1) ADD_EVENTS(K, 2)
BOTH(1) BOTH(2) BOTH(3) BOTH(4) BOTH(5) BOTH(6)
#if defined(__AVX512F__)
BOTH(7) BOTH(8) BOTH(9) BOTH(10) BOTH(11) BOTH(12)
#define TABLE(f) {0, f##1, f##2, f##3, f##4, f##5, f##6, f##7, f##8, f##9, f##10, f##11, f##12}
#else
#define TABLE(f) {0, f##1, f##2, f##3, f##4, f##5, f##6}
#endif
#undef BOTH
static add_events_fn *const add_events[2][TAPS + 1] = {TABLE(add_events_1_), TABLE(add_events_2_)};
/* clang-format on */

/* Channels o0 and on of a group of an image: line by line of the output. */
static void forward_block(const struct snn_conv_shape *s, const struct lines *l, int32_t g, ptrdiff_t o0,
                          const struct snn_entries *e, const int32_t *start, const real *weights, const real *empty,
                          bool adds, real *line, real *y) {
    real *turned = line + l->line; /* a line by channel, where it is added */
    int32_t kh = s->kernel[1], kw = s->kernel[2], vectors = vectors_of(l, o0), pixel = vectors * LANES;
    ptrdiff_t pixels = (ptrdiff_t)s->OH * s->OW;
    for (int32_t oy = 0; oy < s->OH; ++oy) {
        memcpy(line, empty, (size_t)(l->width * pixel) * sizeof *line);
        for (int32_t c = 0; c < l->in; ++c)
            for (int32_t ky = 0; ky < kh; ++ky) {
                int32_t iy = oy + ky - s->padding[1], k = (g * l->in + c) * s->H + iy;
                if (iy < 0 || iy >= s->H || start[k] == start[k + 1]) continue;
                for (int32_t kx = 0; kx < kw; kx += TAPS)
                    add_events[vectors - 1][least(TAPS, kw - kx)](
                        e, start[k], start[k + 1], k * s->W - s->padding[2] - kx,
                        weights + (((ptrdiff_t)c * kh + ky) * kw + kx) * pixel, line);
            }
        ptrdiff_t channels = least(pixel, l->channels - o0);
        real *to = y + (g * l->channels + o0) * pixels + (ptrdiff_t)oy * s->OW;
        transpose(line + (kw - 1) * pixel, pixel, s->OW, channels, adds ? turned : to, adds ? s->OW : pixels);
        for (ptrdiff_t o = 0; adds && o < channels; ++o)
            for (int32_t x = 0; x < s->OW; ++x) to[o * pixels + x] += turned[o * s->OW + x];
    }
}

void SNN_ISA(snn_conv_lists)(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                             const struct snn_lists *x, const real *w, const real *b, bool adds, real *y,
                             void *scratch) {
    struct lines l = lines_of(s);
    real *packed = scratch, *empty = packed + l.packed, *lanes = empty + l.line * s->groups;
    ptrdiff_t taps = (ptrdiff_t)l.in * s->kernel[1] * s->kernel[2];
    pack(s, &l, w, packed);
    for (int32_t g = 0; g < s->groups; ++g) /* lines of nothing but the bias, block by block */
        for (ptrdiff_t o0 = 0, at = g * l.line; o0 < l.padded; o0 += 2 * LANES)
            for (ptrdiff_t i = 0, pixel = vectors_of(&l, o0) * LANES; i < l.width * pixel; ++i, ++at)
                empty[at] = b && o0 + i % pixel < l.channels ? b[g * l.channels + o0 + i % pixel] : 0;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
        real *line = lanes + lane * (l.starts + 2 * l.line);
        int32_t *start = (int32_t *)(void *)(line + 2 * l.line);
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r) {
            struct snn_entries e = snn_lists_row(x, r);
            find_lines(s, &e, start);
            for (int32_t g = 0; g < s->groups; ++g)
                for (ptrdiff_t o0 = 0; o0 < l.padded; o0 += 2 * LANES)
                    forward_block(s, &l, g, o0, &e, start, packed + g * l.weights + o0 * taps,
                                  empty + g * l.line + o0 * l.width, adds, line, y + r * s->O * s->OH * s->OW);
        }
    }
}

/* ---- weight gradient ---- */

struct gradient_lines {    /* that neighbouring input lines touch */
    const real *first;     /* pixel that column 0 of the first input line touches with the first tap */
    ptrdiff_t line, pixel; /* numbers from one to the next */
    int32_t lines, column; /* index of column 0 of the first input line */
    int32_t W;
};
/* sum (K, V vectors) += v * gradient of the pixels x, x-1 .. of each entry */
#define ADD_TAPS(K, V)                                                                                                 \
    static void add_taps_##V##_##K(const struct snn_entries *e, const int32_t *start, const struct gradient_lines *g,  \
                                   real *sum) {                                                                        \
        const ptrdiff_t step = g->pixel;                                                                               \
        vec acc[K][V];                                                                                                 \
        UNROLL for (int k = 0; k < K; ++k) UNROLL for (int v = 0; v < V; ++v) acc[k][v] =                              \
            *(const vec *)(sum + k * step + v * LANES);                                                                \
        for (int32_t y = 0; y < g->lines; ++y)                                                                         \
            for (int32_t i = start[y]; i < start[y + 1]; ++i) {                                                        \
                const real *from = g->first + y * g->line + (e->index[i] - g->column - y * g->W) * step;               \
                real by = e->value ? (real)e->value[i] : 1;                                                            \
                UNROLL for (int k = 0; k < K; ++k) UNROLL for (int v = 0; v < V; ++v) acc[k][v] +=                     \
                    by * *(const vec *)(from - k * step + v * LANES);                                                  \
            }                                                                                                          \
        UNROLL for (int k = 0; k < K; ++k) UNROLL for (int v = 0; v < V; ++v) * (vec *)(sum + k * step + v * LANES) =  \
            acc[k][v];                                                                                                 \
    }
typedef void add_taps_fn(const struct snn_entries *e, const int32_t *start, const struct gradient_lines *g, real *sum);
/* clang-format off */
#define BOTH(K) ADD_TAPS(K, 1) ADD_TAPS(K, 2)
BOTH(1) BOTH(2) BOTH(3) BOTH(4) BOTH(5) BOTH(6)
#if defined(__AVX512F__)
BOTH(7) BOTH(8) BOTH(9) BOTH(10) BOTH(11) BOTH(12)
#endif
static add_taps_fn *const add_taps[2][TAPS + 1] = {TABLE(add_taps_1_), TABLE(add_taps_2_)};
/* clang-format on */

/* gy (O, pixels) of one image -> lines (groups, OH, width, padded), zero beyond the pixels and the channels. The ends
 * of the lines are zero already. */
static void turn_gradient(const struct snn_conv_shape *s, const struct lines *l, const real *gy, real *out) {
    ptrdiff_t pixels = (ptrdiff_t)s->OH * s->OW;
    for (int32_t g = 0; g < s->groups; ++g)
        for (ptrdiff_t i = 0; i < l->channels; i += LANES) { /* few channels at a time: they lie far apart */
            ptrdiff_t count = least(LANES, l->channels), o = least(i, l->channels - count);
            for (int32_t oy = 0; oy < s->OH; ++oy)
                transpose(gy + ((ptrdiff_t)g * l->channels + o) * pixels + (ptrdiff_t)oy * s->OW, pixels, count, s->OW,
                          out + ((ptrdiff_t)g * s->OH + oy) * l->line + (s->kernel[2] - 1) * l->padded + o, l->padded);
        }
}

/* sum[o] += the gradient of one image */
static void add_channels(const struct snn_conv_shape *s, const real *gy, real *sum) {
    ptrdiff_t pixels = (ptrdiff_t)s->OH * s->OW;
    for (int32_t o = 0; o < s->O; ++o) sum[o] += sum_of(gy + o * pixels, pixels);
}

/* sums (groups, in, kh, kw, padded) += products of one image */
static void add_image(const struct snn_conv_shape *s, const struct lines *l, const struct snn_entries *e,
                      const int32_t *start, const real *gradient, real *sums) {
    int32_t kh = s->kernel[1], kw = s->kernel[2];
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t ky = 0; ky < kh; ++ky) {
            int32_t y0 = ky - s->padding[1], y1 = y0 + s->OH; /* input lines that line 0 .. of the output reads */
            if (y0 < 0) y0 = 0;
            if (y1 > s->H) y1 = s->H;
            if (y0 >= y1) continue;
            struct gradient_lines lines = {.line = l->line, .pixel = l->padded, .lines = y1 - y0, .W = s->W};
            lines.column = (c * s->H + y0) * s->W;
            const real *line = gradient + ((ptrdiff_t)(c / l->in) * s->OH + y0 + s->padding[1] - ky) * l->line;
            for (int32_t kx = 0; kx < kw; kx += TAPS)
                for (ptrdiff_t o = 0; o < l->padded; o += 2 * LANES) {
                    ptrdiff_t tap = ((ptrdiff_t)c * kh + ky) * kw + kx;
                    lines.first = line + (s->padding[2] + kw - 1 - kx) * l->padded + o;
                    add_taps[vectors_of(l, o) - 1][least(TAPS, kw - kx)](e, start + c * s->H + y0, &lines,
                                                                         sums + tap * l->padded + o);
                }
        }
}

void SNN_ISA(snn_conv_lists_grad_weight)(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                                         const struct snn_lists *x, const real *gy, real *gw, real *gb, void *scratch) {
    struct lines l = lines_of(s);
    ptrdiff_t y_units = (ptrdiff_t)s->O * s->OH * s->OW, taps = (ptrdiff_t)s->kernel[1] * s->kernel[2];
    real *sums = scratch, *lanes = sums + PARTS * l.sums; /* (PARTS, l.sums) */
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
        real *gradient = lanes + lane * (l.starts + l.image);
        int32_t *start = (int32_t *)(void *)(gradient + l.image);
        memset(gradient, 0, (size_t)l.image * sizeof *gradient);
        for (ptrdiff_t part = lane * PARTS / device->threads; part < (lane + 1) * PARTS / device->threads; ++part) {
            real *own = sums + part * l.sums;
            memset(own, 0, (size_t)l.sums * sizeof *own);
            for (ptrdiff_t r = part * rows / PARTS; r < (part + 1) * rows / PARTS; ++r) {
                struct snn_entries e = snn_lists_row(x, r);
                find_lines(s, &e, start);
                turn_gradient(s, &l, gy + r * y_units, gradient);
                if (gb) add_channels(s, gy + r * y_units, own + l.packed);
                add_image(s, &l, &e, start, gradient, own);
            }
        }
    }
    for (ptrdiff_t part = 0; part < PARTS; ++part) {
        const real *own = sums + part * l.sums;
        for (int32_t o = 0; gb && o < s->O; ++o) gb[o] += own[l.packed + o];
    }
    for (int32_t o = 0; o < s->O; ++o) {
        int32_t g = o / l.channels;
        for (ptrdiff_t k = 0; k < l.in * taps; ++k) {
            ptrdiff_t at = g * l.weights + k * l.padded + o % l.channels;
            real sum = 0;
            for (ptrdiff_t part = 0; part < PARTS; ++part) sum += sums[part * l.sums + at];
            gw[o * l.in * taps + k] += sum;
        }
    }
}
