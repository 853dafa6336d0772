/* SPDX-License-Identifier: Apache-2.0
 * conv_pixels_cpu.c - convolution of many groups with few channels each (depthwise) on the CPU, vectorised over pixels.
 *
 * One channel of one image is laid out as a field: padded, and split by the phases of the stride, so that the pixels
 * that neighbouring outputs read with one tap are neighbours in memory,
 *
 *   field[phase of (z,y,x)][z / stride][y / stride][x / stride],   (z,y,x) of the padded image,
 *
 * rows one behind the other. With the output's rows as far apart as the field's, a tap is one distance for the whole
 * image, and the passes are loops over all pixels at once, whatever the width of the image:
 *
 *   forward          y[q]            = sum over channels and taps of  w[k] field[q + distance k]
 *   weight gradient  gw[k]          += sum over q of                  gy[q] field[q + distance k]
 *   input gradient   field of gx [q] = sum over channels and taps of  w[k] gy[q - distance k],   phase by phase
 *
 * What lies between the end of an output row and the start of the next is computed and not used, or 0 where it is read:
 * so a tap that leaves a row at its start finds zeros at the end of the one before. Sums are in a fixed order, the same
 * for any number of threads. */
#include "autograd/conv_pixels_cpu.h"

#include <string.h>

#include "autograd/vector_cpu.h"

enum { DEPTH, HEIGHT, WIDTH, AXES = SNN_CONV_AXES };
enum {
    VECTORS = 8,      /* of pixels that one pass over the taps sums up */
    TAPS = 12,        /* that one pass over the pixels sums up */
    MOST_PHASES = 64, /* of the strides of all axes */
    LEAST_GROUPS = 8, /* groups are what threads share in the weight gradient */
    IMAGES = 16       /* whose sums of a weight stay vectors */
};

/* ---- geometry ---- */

struct pixels {
    int32_t in, out, taps; /* channels of a group; taps of one pair of them */
    int32_t size[AXES];    /* of a phase; rows of the output are size[WIDTH] apart, slices size[HEIGHT] rows */
    ptrdiff_t slice, phase, plane;
    ptrdiff_t run;      /* numbers of an output slice, up to the last that is used */
    ptrdiff_t front;    /* the farthest tap: so many zeros stand before an output gradient */
    ptrdiff_t gradient; /* numbers of an output gradient, with a vector of zeros behind it */
};

static struct pixels pixels_of(const struct snn_conv_shape *s) {
    struct pixels p = {.in = s->C / s->groups, .out = s->O / s->groups, .taps = (int32_t)snn_conv_taps(s)};
    const int32_t out[AXES] = {s->OD, s->OH, s->OW};
    int32_t far[AXES], phases = 1;
    for (int i = 0; i < AXES; ++i) {
        int32_t reach = s->dilation[i] * (s->kernel[i] - 1);
        p.size[i] = (int32_t)blocks((out[i] - 1) * s->stride[i] + reach + 1, s->stride[i]);
        far[i] = reach / s->stride[i];
        phases *= s->stride[i];
    }
    p.slice = (ptrdiff_t)p.size[HEIGHT] * p.size[WIDTH];
    p.phase = p.slice * p.size[DEPTH];
    p.plane = p.phase * phases;
    p.run = (ptrdiff_t)(s->OH - 1) * p.size[WIDTH] + s->OW;
    p.front = far[DEPTH] * p.slice + (ptrdiff_t)far[HEIGHT] * p.size[WIDTH] + far[WIDTH];
    p.gradient = p.front + p.phase + LANES;
    return p;
}

/* Which phase a tap reads, and how far from the output's place in it. */
static void place_tap(const struct snn_conv_shape *s, const struct pixels *p, int32_t k, int32_t *phase,
                      ptrdiff_t *distance) {
    const int32_t tap[AXES] = {k / (s->kernel[HEIGHT] * s->kernel[WIDTH]), k / s->kernel[WIDTH] % s->kernel[HEIGHT],
                               k % s->kernel[WIDTH]};
    int32_t part[AXES], step[AXES];
    for (int i = 0; i < AXES; ++i) {
        part[i] = tap[i] * s->dilation[i] % s->stride[i];
        step[i] = tap[i] * s->dilation[i] / s->stride[i];
    }
    *phase = (part[DEPTH] * s->stride[HEIGHT] + part[HEIGHT]) * s->stride[WIDTH] + part[WIDTH];
    *distance = step[DEPTH] * p->slice + (ptrdiff_t)step[HEIGHT] * p->size[WIDTH] + step[WIDTH];
}

/* Of one channel: distance of every tap of a group's input channels within their fields. */
static void find_distances(const struct snn_conv_shape *s, const struct pixels *p, ptrdiff_t *distance) {
    for (int32_t k = 0; k < p->taps; ++k) {
        int32_t phase;
        ptrdiff_t within;
        place_tap(s, p, k, &phase, &within);
        for (int32_t c = 0; c < p->in; ++c) distance[c * p->taps + k] = c * p->plane + phase * p->phase + within;
    }
}

/* Indices first .. end-1 along one axis of a phase are pixels of the image, not padding. */
static void real_pixels(const struct snn_conv_shape *s, const struct pixels *p, int axis, int32_t part, int32_t n,
                        int32_t *first, int32_t *end) {
    int32_t stride = s->stride[axis], before = s->padding[axis] - part;
    *first = before > 0 ? (int32_t)blocks(before, stride) : 0;
    *end = (int32_t)least(before + n > 0 ? blocks(before + n, stride) : 0, p->size[axis]);
    if (*end < *first) *end = *first;
}

/* ---- fields ---- */

struct block { /* of real pixels in a phase: what is copied to and from an image (D,H,W) */
    int32_t part[AXES], first[AXES], end[AXES];
};

static struct block block_of(const struct snn_conv_shape *s, const struct pixels *p, int32_t phase) {
    const int32_t n[AXES] = {s->D, s->H, s->W};
    struct block b;
    b.part[WIDTH] = phase % s->stride[WIDTH], phase /= s->stride[WIDTH];
    b.part[HEIGHT] = phase % s->stride[HEIGHT], b.part[DEPTH] = phase / s->stride[HEIGHT];
    for (int i = 0; i < AXES; ++i) real_pixels(s, p, i, b.part[i], n[i], &b.first[i], &b.end[i]);
    return b;
}

/* Pixel of the image at index i of an axis. */
static ptrdiff_t pixel_at(const struct snn_conv_shape *s, const struct block *b, int axis, int32_t i) {
    return (ptrdiff_t)i * s->stride[axis] + b->part[axis] - s->padding[axis];
}

static int32_t phases_of(const struct snn_conv_shape *s) {
    return s->stride[DEPTH] * s->stride[HEIGHT] * s->stride[WIDTH];
}

/* to (n) = from, which are few: a call costs more than the copy. The last of the pieces overlaps those before. */
static inline void copy(int32_t n, const real *restrict from, real *restrict to) {
    enum { LARGE = 32 / sizeof(real), SMALL = 16 / sizeof(real) };
    if (n >= LARGE) {
        for (int32_t i = 0; i + LARGE <= n; i += LARGE) memcpy(to + i, from + i, 32);
        memcpy(to + n - LARGE, from + n - LARGE, 32);
    } else if (n >= SMALL) {
        memcpy(to, from, 16);
        memcpy(to + n - SMALL, from + n - SMALL, 16);
    } else
        for (int32_t i = 0; i < n; ++i) to[i] = from[i];
}

/* Field of one channel from its image; the padding is 0 and stays so. */
static void fill(const struct snn_conv_shape *s, const struct pixels *p, const real *image, real *field) {
    int32_t step = s->stride[WIDTH];
    for (int32_t phase = 0; phase < phases_of(s); ++phase) {
        struct block b = block_of(s, p, phase);
        ptrdiff_t left = pixel_at(s, &b, WIDTH, b.first[WIDTH]);
        for (int32_t z = b.first[DEPTH]; z < b.end[DEPTH]; ++z)
            for (int32_t y = b.first[HEIGHT]; y < b.end[HEIGHT]; ++y) {
                const real *from =
                    image + (pixel_at(s, &b, DEPTH, z) * s->H + pixel_at(s, &b, HEIGHT, y)) * s->W + left;
                real *to = field + phase * p->phase + z * p->slice + (ptrdiff_t)y * p->size[WIDTH];
                if (step == 1) copy(b.end[WIDTH] - b.first[WIDTH], from, to + b.first[WIDTH]);
                else
                    for (int32_t x = b.first[WIDTH]; x < b.end[WIDTH]; ++x, from += step) to[x] = *from;
            }
    }
}

/* Output gradient of one channel with its rows as far apart as a field's; what is between and before is 0 and stays so.
 */
static void fill_gradient(const struct snn_conv_shape *s, const struct pixels *p, const real *gy, real *field) {
    for (int32_t z = 0; z < s->OD; ++z)
        for (int32_t y = 0; y < s->OH; ++y)
            copy(s->OW, gy + ((ptrdiff_t)z * s->OH + y) * s->OW,
                 field + p->front + z * p->slice + (ptrdiff_t)y * p->size[WIDTH]);
}

/* ---- the loops ---- */

#define UNROLL _Pragma("GCC unroll 16")
typedef void slide_fn(const real *from, const ptrdiff_t *distance, const real *w, int32_t taps, real start, real *to);
/* to (N vectors) = start + sum over taps of w[k] from[distance[k] ...] */
#define SLIDE(N)                                                                                                       \
    static void slide_##N(const real *from, const ptrdiff_t *distance, const real *w, int32_t taps, real start,        \
                          real *to) {                                                                                  \
        vec sum[N];                                                                                                    \
        UNROLL for (int v = 0; v < N; ++v) sum[v] = (vec){0} + start;                                                  \
        for (int32_t k = 0; k < taps; ++k) {                                                                           \
            const real *at = from + distance[k];                                                                       \
            UNROLL for (int v = 0; v < N; ++v) sum[v] += w[k] * *(const vec_unaligned *)(at + v * LANES);              \
        }                                                                                                              \
        UNROLL for (int v = 0; v < N; ++v) * (vec_unaligned *)(to + v * LANES) = sum[v];                               \
    }
/* clang-format off */
SLIDE(1) SLIDE(2) SLIDE(3) SLIDE(4) SLIDE(5) SLIDE(6) SLIDE(7) SLIDE(8)
static slide_fn *const slides[VECTORS + 1] = {
    0, slide_1, slide_2, slide_3, slide_4, slide_5, slide_6, slide_7, slide_8};
/* clang-format on */

/* to (n, rounded up to whole vectors) */
static void slide(const real *from, const ptrdiff_t *distance, const real *w, int32_t taps, real start, ptrdiff_t n,
                  real *to) {
    for (ptrdiff_t q = 0; q < n; q += VECTORS * LANES)
        slides[least(VECTORS, blocks(n - q, LANES))](from + q, distance, w, taps, start, to + q);
}

typedef void weigh_fn(const real *from, const ptrdiff_t *distance, const real *gy, ptrdiff_t n, real *sum);
/* sum (N vectors) += gy (n) times what N taps read; n is a number of whole vectors */
#define WEIGH(N)                                                                                                       \
    static void weigh_##N(const real *from, const ptrdiff_t *distance, const real *gy, ptrdiff_t n, real *sum) {       \
        vec acc[N];                                                                                                    \
        const real *at[N];                                                                                             \
        UNROLL for (int k = 0; k < N; ++k) acc[k] = *(const vec *)(sum + k * LANES), at[k] = from + distance[k];       \
        for (ptrdiff_t q = 0; q < n; q += LANES) {                                                                     \
            vec g = *(const vec_unaligned *)(gy + q);                                                                  \
            UNROLL for (int k = 0; k < N; ++k) acc[k] += g * *(const vec_unaligned *)(at[k] + q);                      \
        }                                                                                                              \
        UNROLL for (int k = 0; k < N; ++k) * (vec *)(sum + k * LANES) = acc[k];                                        \
    }
/* clang-format off */
WEIGH(1) WEIGH(2) WEIGH(3) WEIGH(4) WEIGH(5) WEIGH(6) WEIGH(7) WEIGH(8) WEIGH(9) WEIGH(10) WEIGH(11) WEIGH(12)
static weigh_fn *const weighs[TAPS + 1] = {
    0, weigh_1, weigh_2, weigh_3, weigh_4, weigh_5, weigh_6, weigh_7, weigh_8, weigh_9, weigh_10, weigh_11, weigh_12};
/* clang-format on */

/* ---- scratch ---- */

enum { MARGIN = VECTORS * LANES }; /* numbers behind whatever vectors are read from or written to */

struct layout {                  /* in numbers; first what all share, then what each thread has */
    ptrdiff_t distances, packed; /* packed: weights of the input gradient, in the order in which phases take them */
    ptrdiff_t row, field, gradient, line;
    ptrdiff_t expanded, sums;
};

static struct layout layout_of(const struct snn_conv_shape *s, const struct pixels *p) {
    struct layout l;
    ptrdiff_t most = p->in > p->out ? p->in : p->out;
    l.distances = align_up(blocks(most * p->taps * (ptrdiff_t)sizeof(ptrdiff_t), (ptrdiff_t)sizeof(real)));
    l.packed = align_up((ptrdiff_t)s->O * p->in * p->taps);
    l.row = align_up(s->C * snn_conv_in_pixels(s));
    l.field = align_up(p->in * p->plane + MARGIN);
    l.gradient = align_up(p->out * p->gradient + MARGIN);
    l.line = align_up(p->phase + MARGIN);
    l.expanded = l.row * IMAGES;
    l.sums = align_up((ptrdiff_t)p->out * p->in * p->taps * LANES);
    return l;
}

static double share_used(double used, double places) {
    return used / ((double)blocks((ptrdiff_t)places, LANES) * LANES);
}

bool SNN_ISA(snn_conv_pixels_suit)(const struct snn_conv_shape *s, bool of_input) {
    struct pixels p = pixels_of(s);
    if (s->groups < LEAST_GROUPS || phases_of(s) > MOST_PHASES) return false;
    double channels = of_input ? p.in : p.out;
    double used = of_input ? (double)s->H * s->W : (double)s->OH * s->OW;
    double places = of_input ? (double)p.slice * s->stride[HEIGHT] * s->stride[WIDTH] : (double)p.run;
    return share_used(used, places) > 1.7 * share_used(channels, channels);
}

size_t SNN_ISA(snn_conv_pixels_scratch)(int threads, const struct snn_conv_shape *s) {
    if (!SNN_ISA(snn_conv_pixels_suit)(s, true) && !SNN_ISA(snn_conv_pixels_suit)(s, false)) return 0;
    struct pixels p = pixels_of(s);
    struct layout l = layout_of(s, &p);
    ptrdiff_t forward = l.row + l.field + l.line, backward = l.gradient + l.line;
    ptrdiff_t passes = l.distances + l.packed + threads * (forward > backward ? forward : backward);
    ptrdiff_t weights = l.distances + l.expanded + threads * (l.sums + l.field + l.gradient);
    return (size_t)(passes > weights ? passes : weights) * sizeof(real);
}

/* ---- forward ---- */

/* The used part of a slice to a slice of the output. */
static void put_slice(const struct snn_conv_shape *s, const struct pixels *p, const real *restrict line, bool adds,
                      real *restrict y) {
    for (int32_t oy = 0; oy < s->OH; ++oy, line += p->size[WIDTH], y += s->OW) {
        if (!adds) copy(s->OW, line, y);
        else
            for (int32_t x = 0; x < s->OW; ++x) y[x] += line[x];
    }
}

void SNN_ISA(snn_conv_pixels)(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                              const struct snn_rows *x, const real *w, const real *b, bool adds, real *y,
                              void *scratch) {
    struct pixels p = pixels_of(s);
    struct layout l = layout_of(s, &p);
    ptrdiff_t *distance = scratch, out = snn_conv_out_pixels(s), in = snn_conv_in_pixels(s);
    real *lanes = (real *)scratch + l.distances;
    int32_t taps = p.in * p.taps;
    find_distances(s, &p, distance);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
        real *row = lanes + lane * (l.row + l.field + l.line), *field = row + l.row, *line = field + l.field;
        memset(field, 0, (size_t)l.field * sizeof *field);
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r) {
            const real *image = snn_rows_expand(x, r, s->C * in, row);
            for (int32_t o = 0; o < s->O; ++o) {
                int32_t g = o / p.out;
                for (int32_t c = 0; o % p.out == 0 && c < p.in; ++c)
                    fill(s, &p, image + (g * p.in + c) * in, field + c * p.plane);
                for (int32_t oz = 0; oz < s->OD; ++oz) {
                    slide(field + oz * p.slice, distance, w + (ptrdiff_t)o * taps, taps, b ? b[o] : 0, p.run, line);
                    put_slice(s, &p, line, adds, y + (r * s->O + o) * out + (ptrdiff_t)oz * s->OH * s->OW);
                }
            }
        }
    }
}

/* ---- input gradient ---- */

/* Numbers of one phase to the pixels of the image that it has. */
static void put_phase(const struct snn_conv_shape *s, const struct pixels *p, const struct block *b, int32_t z,
                      const real *restrict line, bool adds, real *restrict gx) {
    int32_t step = s->stride[WIDTH], n = b->end[WIDTH] - b->first[WIDTH];
    for (int32_t y = b->first[HEIGHT]; y < b->end[HEIGHT]; ++y, line += p->size[WIDTH]) {
        real *to = gx + (pixel_at(s, b, DEPTH, z) * s->H + pixel_at(s, b, HEIGHT, y)) * s->W +
                   pixel_at(s, b, WIDTH, b->first[WIDTH]);
        const real *from = line + b->first[WIDTH];
        if (step == 1 && !adds) copy(n, from, to);
        else if (step == 1)
            for (int32_t x = 0; x < n; ++x) to[x] += from[x];
        else
            for (int32_t x = 0; x < n; ++x) to[x * step] = (adds ? to[x * step] : 0) + from[x];
    }
}

/* Weights (C, out * taps) and distances in the order (phase, output channel of the group, taps of the phase). */
static void pack_phases(const struct snn_conv_shape *s, const struct pixels *p, const real *w, ptrdiff_t *distance,
                        real *packed) {
    ptrdiff_t at = 0, weights = (ptrdiff_t)p->out * p->taps;
    for (int32_t phase = 0; phase < phases_of(s); ++phase)
        for (int32_t o = 0; o < p->out; ++o)
            for (int32_t k = 0; k < p->taps; ++k) {
                int32_t of;
                ptrdiff_t within;
                place_tap(s, p, k, &of, &within);
                if (of != phase) continue;
                distance[at] = o * p->gradient - within;
                for (int32_t c = 0; c < s->C; ++c)
                    packed[c * weights + at] =
                        w[(((ptrdiff_t)(c / p->in) * p->out + o) * p->in + c % p->in) * p->taps + k];
                ++at;
            }
}

/* How many taps of one pair of channels a phase has. */
static int32_t taps_of_phase(const struct snn_conv_shape *s, int32_t phase) {
    int32_t count = 1, part[AXES] = {phase / s->stride[WIDTH] / s->stride[HEIGHT],
                                     phase / s->stride[WIDTH] % s->stride[HEIGHT], phase % s->stride[WIDTH]};
    for (int i = 0; i < AXES; ++i) {
        int32_t here = 0;
        for (int32_t k = 0; k < s->kernel[i]; ++k) here += k * s->dilation[i] % s->stride[i] == part[i];
        count *= here;
    }
    return count;
}

/* gx of one channel; gradient: fields of its group's outputs. */
static void input_channel(const struct snn_conv_shape *s, const struct pixels *p, const real *gradient,
                          const ptrdiff_t *distance, const real *w, real b, bool adds, real *line, real *gx) {
    for (int32_t phase = 0; phase < phases_of(s); ++phase) {
        struct block block = block_of(s, p, phase);
        int32_t taps = p->out * taps_of_phase(s, phase);
        ptrdiff_t first = (ptrdiff_t)block.first[HEIGHT] * p->size[WIDTH];
        ptrdiff_t n = (ptrdiff_t)(block.end[HEIGHT] - block.first[HEIGHT]) * p->size[WIDTH];
        for (int32_t z = block.first[DEPTH]; z < block.end[DEPTH]; ++z) {
            slide(gradient + p->front + z * p->slice + first, distance, w, taps, b, n, line);
            put_phase(s, p, &block, z, line, adds, gx);
        }
        distance += taps, w += taps;
    }
}

/* Pixels behind the last that any output reads are in no phase. */
static bool all_in_phases(const struct snn_conv_shape *s, const struct pixels *p) {
    const int32_t n[AXES] = {s->D, s->H, s->W};
    bool all = true;
    for (int i = 0; i < AXES; ++i) all = all && n[i] + s->padding[i] <= p->size[i] * s->stride[i];
    return all;
}

void SNN_ISA(snn_conv_pixels_grad_input)(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                                         const real *gy, const real *w, const real *b, bool adds, real *gx,
                                         void *scratch) {
    struct pixels p = pixels_of(s);
    struct layout l = layout_of(s, &p);
    ptrdiff_t *distance = scratch, out = snn_conv_out_pixels(s), in = snn_conv_in_pixels(s);
    real *packed = (real *)scratch + l.distances, *lanes = packed + l.packed;
    ptrdiff_t weights = (ptrdiff_t)p.out * p.taps;
    bool covers = all_in_phases(s, &p);
    pack_phases(s, &p, w, distance, packed);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
        real *gradient = lanes + lane * (l.gradient + l.line), *line = gradient + l.gradient;
        memset(gradient, 0, (size_t)l.gradient * sizeof *gradient);
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r)
            for (int32_t c = 0; c < s->C; ++c) {
                const real *from = gy + (r * s->O + (ptrdiff_t)(c / p.in) * p.out) * out;
                real *to = gx + (r * s->C + c) * in;
                for (int32_t o = 0; c % p.in == 0 && o < p.out; ++o)
                    fill_gradient(s, &p, from + o * out, gradient + o * p.gradient);
                for (ptrdiff_t i = 0; !covers && !adds && i < in; ++i) to[i] = 0;
                for (ptrdiff_t i = 0; !covers && b && i < in; ++i) to[i] += b[c];
                input_channel(s, &p, gradient, distance, packed + c * weights, covers && b ? b[c] : 0, adds || !covers,
                              line, to);
            }
    }
}

/* ---- weight gradient ---- */

/* sums (out, in, taps, LANES) += products of one image. */
static void weigh_image(const struct snn_conv_shape *s, const struct pixels *p, const ptrdiff_t *distance,
                        const real *field, const real *gradient, real *sums) {
    int32_t taps = p->in * p->taps;
    /* Behind a slice may be the next one, behind the last one are zeros. */
    ptrdiff_t whole = s->OD == 1 ? blocks(p->run, LANES) * LANES : p->run / LANES * LANES, rest = p->run - whole;
    real last[LANES] = {0};
    for (int32_t o = 0; o < p->out; ++o)
        for (int32_t oz = 0; oz < s->OD; ++oz) {
            const real *gy = gradient + o * p->gradient + p->front + oz * p->slice, *from = field + oz * p->slice;
            if (rest > 0) memcpy(last, gy + whole, (size_t)rest * sizeof *last);
            for (int32_t k = 0; k < taps; k += TAPS) {
                real *sum = sums + ((ptrdiff_t)o * taps + k) * LANES;
                weigh_fn *weigh = weighs[least(TAPS, taps - k)];
                weigh(from, distance + k, gy, whole, sum);
                if (rest > 0) weigh(from + whole, distance + k, last, LANES, sum);
            }
        }
}

/* gw (n) += sums (n, LANES) */
static void add_sums(ptrdiff_t n, const real *sums, real *gw) {
    for (ptrdiff_t k = 0; k < n; ++k) {
        real sum = 0;
        for (int v = 0; v < LANES; ++v) sum += sums[k * LANES + v];
        gw[k] += sum;
    }
}

void SNN_ISA(snn_conv_pixels_grad_weight)(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                                          const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    struct pixels p = pixels_of(s);
    struct layout l = layout_of(s, &p);
    ptrdiff_t *distance = scratch, out = snn_conv_out_pixels(s), in = snn_conv_in_pixels(s);
    real *expanded = (real *)scratch + l.distances, *lanes = expanded + l.expanded;
    ptrdiff_t weights = (ptrdiff_t)p.out * p.in * p.taps, lane_size = l.sums + l.field + l.gradient;
    find_distances(s, &p, distance);
    memset(lanes, 0, (size_t)(device->threads * lane_size) * sizeof *lanes);
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += IMAGES) {
        ptrdiff_t images = least(IMAGES, rows - r0);
        const real *image[IMAGES];
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t i = 0; i < images; ++i) image[i] = snn_rows_expand(x, r0 + i, s->C * in, expanded + i * l.row);
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
            real *sums = lanes + lane * lane_size, *field = sums + l.sums, *gradient = field + l.field;
            for (ptrdiff_t g = lane * s->groups / device->threads; g < (lane + 1) * s->groups / device->threads; ++g) {
                memset(sums, 0, (size_t)l.sums * sizeof *sums);
                for (ptrdiff_t i = 0; i < images; ++i) {
                    const real *from = gy + ((r0 + i) * s->O + g * p.out) * out;
                    for (int32_t c = 0; c < p.in; ++c) fill(s, &p, image[i] + (g * p.in + c) * in, field + c * p.plane);
                    for (int32_t o = 0; o < p.out; ++o) {
                        fill_gradient(s, &p, from + o * out, gradient + o * p.gradient);
                        if (gb) gb[g * p.out + o] += sum_of(from + o * out, out);
                    }
                    weigh_image(s, &p, distance, field, gradient, sums);
                }
                add_sums(weights, sums, gw + g * weights);
            }
        }
    }
}
