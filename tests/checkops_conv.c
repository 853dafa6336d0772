/* SPDX-License-Identifier: Apache-2.0
 * checkops_conv.c - convolution (autograd/conv.h). Shapes sit around the widths of register tiles and vectors of every
 * instruction set, and at the ends of what a config may ask for; random ones fill the space between. */
#include "checkops.h"

#include "autograd/conv.h"

struct conv_case {
    int32_t rows, C, H, W, O, groups, kernel[2], stride[2], padding[2], dilation[2];
    struct {
        int32_t D, kernel, stride, padding, dilation;
    } depth; /* D = 0: it has none */
};

#define PLAIN .groups = 1, .stride = {1, 1}, .dilation = {1, 1}
#define KERNEL(k) .kernel = {k, k}
static const struct conv_case fixed_cases[] = {
    {1, 1, 1, 1, 1, PLAIN, KERNEL(1)},
    {3, 2, 1, 1, 3, PLAIN, KERNEL(1), .padding = {64, 64}},
    {2, 1, 5, 5, 2, PLAIN, KERNEL(1), .padding = {2, 3}},
    {2, 3, 5, 7, 33, PLAIN, KERNEL(3), .padding = {5, 4}},
    {2, 1, 28, 28, 32, PLAIN, KERNEL(3), .padding = {1, 1}},
    {2, 2, 34, 34, 12, PLAIN, KERNEL(5)},
    {1, 2, 34, 34, 16, PLAIN, KERNEL(3), .padding = {1, 1}},
    {3, 2, 9, 9, 64, PLAIN, KERNEL(3), .padding = {1, 1}},
    {2, 1, 3, 130, 2, PLAIN, .kernel = {1, 63}},
    {2, 1, 70, 3, 2, PLAIN, .kernel = {63, 1}, .padding = {31, 0}},
    {2, 2, 3, 64, 9, PLAIN, .kernel = {1, 7}, .padding = {0, 3}},
    {2, 2, 30, 30, 3, .groups = 1, KERNEL(2), .stride = {64, 64}, .dilation = {1, 1}},
    {2, 2, 20, 19, 5, .groups = 1, KERNEL(2), .stride = {5, 3}, .dilation = {1, 1}},
    {2, 2, 20, 19, 5, .groups = 1, KERNEL(2), .stride = {5, 7}, .padding = {4, 9}, .dilation = {1, 1}},
    {2, 3, 13, 14, 17, .groups = 1, KERNEL(3), .stride = {2, 2}, .padding = {1, 1}, .dilation = {1, 1}},
    {2, 3, 13, 14, 17, .groups = 1, KERNEL(3), .stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 3}},
    {1, 1, 40, 40, 2, .groups = 1, KERNEL(3), .stride = {1, 1}, .padding = {8, 0}, .dilation = {16, 19}},
    {1, 1, 63, 66, 1, PLAIN, KERNEL(63), .padding = {1, 0}},
    {1, 1, 4, 4, 1, .groups = 1, KERNEL(2), .stride = {1, 1}, .padding = {64, 64}, .dilation = {64, 64}},
    {2, 17, 9, 9, 17, .groups = 17, KERNEL(3), .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1}},
    {2, 6, 8, 11, 33, .groups = 3, KERNEL(3), .stride = {2, 1}, .padding = {0, 1}, .dilation = {1, 1}},
    {2, 4, 6, 6, 66, .groups = 2, KERNEL(1), .stride = {1, 1}, .dilation = {1, 1}},
    {2, 34, 5, 5, 3, PLAIN, KERNEL(2)},                    /* taps in many runs */
    {2, 65, 3, 4, 1, PLAIN, KERNEL(1)},                    /* the input gradient has many channels */
    {65, 1, 4, 4, 2, PLAIN, KERNEL(3), .padding = {1, 1}}, /* more rows than one block of images */
    {129, 2, 3, 3, 1, PLAIN, KERNEL(2)},
    {10, 4, 90, 96, 4, PLAIN, KERNEL(1)}, /* images so large that few make a block */
    {9, 3, 64, 66, 2, .groups = 1, KERNEL(2), .stride = {2, 2}, .padding = {1, 1}, .dilation = {1, 1}},
    {2, 3, 1, 40, 20, PLAIN, .kernel = {1, 5}, .padding = {0, 2}}, /* sequences */
    {2, 6, 1, 33, 6, .groups = 6, .kernel = {1, 7}, .stride = {1, 2}, .padding = {0, 3}, .dilation = {1, 2}},
    {2, 2, 6, 7, 5, PLAIN, KERNEL(3), .padding = {1, 1}, .depth = {5, 3, 1, 1, 1}},
    {2, 3, 5, 6, 17, .groups = 1, KERNEL(2), .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2},
     .depth = {7, 3, 2, 2, 2}},
    {1, 4, 4, 5, 6, .groups = 2, KERNEL(1), .stride = {1, 2}, .dilation = {1, 1}, .depth = {4, 4, 3, 3, 1}},
    {2, 2, 5, 5, 3, PLAIN, KERNEL(1), .depth = {1, 1, 3, 1, 1}}, /* nothing but padding in depth */
    {2, 2, 9, 8, 3, PLAIN, KERNEL(1), .depth = {3, 1, 1, 0, 1}}, /* points */
    /* few channels a group: vectors of pixels */
    {2, 9, 16, 16, 9, .groups = 9, KERNEL(3), .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1}},
    {70, 8, 7, 7, 8, .groups = 8, KERNEL(3), .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1}},
    {3, 8, 14, 13, 16, .groups = 8, KERNEL(3), .stride = {2, 2}, .padding = {1, 1}, .dilation = {1, 1}},
    {2, 16, 17, 20, 8, .groups = 8, KERNEL(5), .stride = {3, 2}, .padding = {2, 0}, .dilation = {2, 1}},
    {2, 10, 11, 24, 10, .groups = 10, KERNEL(1), .stride = {1, 1}, .dilation = {1, 1}},
    {2, 8, 12, 12, 8, .groups = 8, KERNEL(1), .stride = {5, 5},
     .dilation = {1, 1}}, /* most pixels are read by nothing */
    {2, 8, 15, 9, 8, .groups = 8, KERNEL(2), .stride = {3, 4}, .padding = {3, 3}, .dilation = {4, 3}},
    {1, 24, 1, 50, 24, .groups = 8, .kernel = {1, 9}, .stride = {1, 1}, .padding = {0, 4}, .dilation = {1, 1}},
    {2, 8, 6, 16, 8, .groups = 8, KERNEL(3), .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1},
     .depth = {4, 2, 1, 1, 1}},
    {2, 8, 5, 16, 8, .groups = 8, KERNEL(1), .stride = {1, 2}, .dilation = {1, 1}, .depth = {7, 3, 2, 1, 2}},
    {5, 8, 90, 120, 8, .groups = 8, KERNEL(3), .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1}},
};
static const int32_t edges[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 15, 16,
                                17, 18, 20, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65};

/* What conv.h and the layer allow; the sizes favour what is small. */
static struct conv_case random_case(struct ops *ops) {
#define ONE_OF(n) (1 + (int32_t)ops_below(ops, n))
    struct conv_case c = {.rows = ONE_OF(4), .groups = ops_below(ops, 3) ? 1 : ONE_OF(4)};
    if (!ops_below(ops, 4)) c.groups = 7 + ONE_OF(6);
    bool many = c.groups < 8;
    c.C = c.groups * ONE_OF(ops_below(ops, 4) || !many ? 3 : 20);
    c.O = c.groups * ONE_OF(!many ? 3 : ops_below(ops, 4) ? 10 : 70);
    c.H = ONE_OF(12), c.W = ONE_OF(ops_below(ops, 4) ? 14 : 50);
    for (int i = 0; i < 2; ++i) {
        c.kernel[i] = ONE_OF(5), c.stride[i] = ops_below(ops, 2) ? 1 : ONE_OF(4),
        c.dilation[i] = ops_below(ops, 2) ? 1 : ONE_OF(3);
        c.padding[i] = (int32_t)ops_below(ops, 8);
    }
    if (!ops_below(ops, 3)) {
        c.depth.D = ONE_OF(6), c.depth.kernel = ONE_OF(4), c.depth.stride = ONE_OF(3);
        c.depth.padding = (int32_t)ops_below(ops, 4), c.depth.dilation = ONE_OF(2);
    }
#undef ONE_OF
    return c;
}

static struct snn_conv_shape shape_of(const struct conv_case *c) {
    int axes = c->depth.D ? 3 : 2;
    const int32_t size[3] = {c->depth.D, c->H, c->W}, *in = size + 3 - axes;
    struct snn_conv_shape s = {.C = c->C, .O = c->O, .groups = c->groups};
    s.kernel[0] = c->depth.kernel, s.stride[0] = c->depth.stride;
    s.padding[0] = c->depth.padding, s.dilation[0] = c->depth.dilation;
    for (int i = 0, to = axes - 2; i < 2; ++i, ++to)
        s.kernel[to] = c->kernel[i], s.stride[to] = c->stride[i], s.padding[to] = c->padding[i],
        s.dilation[to] = c->dilation[i];
    snn_conv_complete(&s, axes, in);
    return s;
}

struct conv {
    struct snn_conv_shape s;
    ptrdiff_t rows, x_n, y_n, w_n;
    struct snn_rows x;
    const real *w, *b, *gy;
    real *y, *gx, *gw, *gb;
    bool adds;
};

/* Every product that a convolution has. */
enum goal { OF_Y, OF_GX, OF_GW };
static void add_products(const struct conv *v, enum goal goal, const real *x, const real *w, const real *gy,
                         struct ops_sum *sums) {
    const struct snn_conv_shape *s = &v->s;
    int32_t in = s->C / s->groups, out = s->O / s->groups;
    const ptrdiff_t pixels = snn_conv_out_pixels(s), taps = snn_conv_taps(s);
    for (ptrdiff_t i = 0; i < v->rows * s->O * pixels; ++i) {
        int32_t ox = (int32_t)(i % s->OW), oy = (int32_t)(i / s->OW % s->OH), oz = (int32_t)(i / s->OW / s->OH % s->OD);
        ptrdiff_t r = i / pixels / s->O;
        int32_t o = (int32_t)(i / pixels % s->O);
        for (int32_t c = 0; c < in; ++c)
            for (int32_t k = 0; k < taps; ++k) {
                int32_t kx = k % s->kernel[2], ky = k / s->kernel[2] % s->kernel[1];
                int32_t kz = k / s->kernel[2] / s->kernel[1];
                int32_t iz = oz * s->stride[0] - s->padding[0] + kz * s->dilation[0];
                int32_t iy = oy * s->stride[1] - s->padding[1] + ky * s->dilation[1];
                int32_t ix = ox * s->stride[2] - s->padding[2] + kx * s->dilation[2];
                if (iz < 0 || iz >= s->D || iy < 0 || iy >= s->H || ix < 0 || ix >= s->W) continue;
                ptrdiff_t at_x = (((r * s->C + o / out * in + c) * s->D + iz) * s->H + iy) * s->W + ix;
                ptrdiff_t at_w = ((ptrdiff_t)o * in + c) * taps + k;
                if (goal == OF_Y) ops_term(&sums[i], (wide)x[at_x] * w[at_w]);
                else if (goal == OF_GX) ops_term(&sums[at_x], (wide)gy[i] * w[at_w]);
                else ops_term(&sums[at_w], (wide)gy[i] * x[at_x]);
            }
    }
}

static struct conv begin_conv(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, int option) {
    struct conv v = {.s = shape_of(c), .rows = c->rows};
    const struct snn_conv_shape *s = &v.s;
    ops_begin(ops,
              "%d rows of %dx%dx%dx%d -> %d, %d groups, kernel %dx%dx%d, stride %d,%d,%d, padding %d,%d,%d, dilation "
              "%d,%d,%d, %s, option %d",
              c->rows, s->C, s->D, s->H, s->W, s->O, s->groups, s->kernel[0], s->kernel[1], s->kernel[2], s->stride[0],
              s->stride[1], s->stride[2], s->padding[0], s->padding[1], s->padding[2], s->dilation[0], s->dilation[1],
              s->dilation[2], ops_kind_text(kind), option);
    v.x_n = v.rows * s->C * snn_conv_in_pixels(s), v.y_n = v.rows * s->O * snn_conv_out_pixels(s);
    v.w_n = (ptrdiff_t)s->O * (s->C / s->groups) * snn_conv_taps(s);
    return v;
}

static void *scratch_for(struct ops *ops, struct snn_device *device, const struct conv *v) {
    return ops_scratch(ops, device->conv->scratch(device->threads, &v->s, v->rows, snn_rows_form(&v->x)));
}

static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->forward(device, &v->s, v->rows, &v->x, v->w, v->b, v->adds, v->y, scratch_for(ops, device, v));
}

enum { BIAS = 1, ADDS = 2, OPTIONS = 4 };

/* to (n) holds what is there before a call that adds, and the sums begin with it. */
static void start_with(struct ops *ops, bool adds, ptrdiff_t n, real *to, struct ops_sum *sums) {
    if (!adds) return;
    ops_fill(ops, to, n, -1, 1);
    for (ptrdiff_t i = 0; i < n; ++i) ops_term(&sums[i], to[i]);
}

static void forward_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, int option) {
    struct conv v = begin_conv(ops, c, kind, option);
    struct ops_rows x = ops_rows_as(ops, v.rows, v.x_n / v.rows, kind);
    ptrdiff_t pixels = snn_conv_out_pixels(&v.s);
    v.adds = option & ADDS;
    v.x = x.rows, v.w = ops_reals(ops, v.w_n), v.b = option & BIAS ? ops_reals(ops, v.s.O) : NULL;
    struct ops_sum *y = ops_memory(ops, v.y_n, sizeof *y);
    v.y = ops_output(ops, v.y_n, sizeof *v.y);
    start_with(ops, v.adds, v.y_n, v.y, y);
    for (ptrdiff_t i = 0; i < v.y_n && v.b; ++i) ops_term(&y[i], v.b[i / pixels % v.s.O]);
    add_products(&v, OF_Y, x.dense, v.w, NULL, y);
    ops_expect_sums(ops, v.y, y);
    ops_run(ops, call_forward, &v);
}

static void call_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->grad_input(device, &v->s, v->rows, v->gy, v->w, v->b, v->adds, v->gx, scratch_for(ops, device, v));
}

static void grad_input_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, int option) {
    if (kind->form != SNN_DENSE) return; /* has no spikes to read */
    struct conv v = begin_conv(ops, c, kind, option);
    v.adds = option & ADDS, v.gy = ops_reals(ops, v.y_n), v.w = ops_reals(ops, v.w_n);
    v.b = option & BIAS ? ops_reals(ops, v.s.C) : NULL;
    v.gx = ops_output(ops, v.x_n, sizeof *v.gx);
    struct ops_sum *gx = ops_memory(ops, v.x_n, sizeof *gx);
    start_with(ops, v.adds, v.x_n, v.gx, gx);
    for (ptrdiff_t i = 0; i < v.x_n && v.b; ++i) ops_term(&gx[i], v.b[i / snn_conv_in_pixels(&v.s) % v.s.C]);
    add_products(&v, OF_GX, NULL, v.w, v.gy, gx);
    ops_expect_sums(ops, v.gx, gx);
    ops_run(ops, call_grad_input, &v);
}

static void call_grad_weight(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->grad_weight(device, &v->s, v->rows, &v->x, v->gy, v->gw, v->gb, scratch_for(ops, device, v));
}

static void grad_weight_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, int option) {
    bool bias = option & BIAS;
    struct conv v = begin_conv(ops, c, kind, option);
    struct ops_rows x = ops_rows_as(ops, v.rows, v.x_n / v.rows, kind);
    v.x = x.rows, v.gy = ops_reals(ops, v.y_n);
    v.gw = ops_output(ops, v.w_n, sizeof *v.gw), v.gb = bias ? ops_output(ops, v.s.O, sizeof *v.gb) : NULL;
    struct ops_sum *gw = ops_memory(ops, v.w_n, sizeof *gw), *gb = ops_memory(ops, v.s.O, sizeof *gb);
    start_with(ops, true, v.w_n, v.gw, gw);
    add_products(&v, OF_GW, x.dense, NULL, v.gy, gw);
    ops_expect_sums(ops, v.gw, gw);
    if (bias) {
        start_with(ops, true, v.s.O, v.gb, gb);
        for (ptrdiff_t i = 0; i < v.y_n; ++i) ops_term(&gb[i / snn_conv_out_pixels(&v.s) % v.s.O], v.gy[i]);
        ops_expect_sums(ops, v.gb, gb);
    }
    ops_run(ops, call_grad_weight, &v);
}

static const struct ops_kind kinds[] = {
    {SNN_DENSE, 1, false},  {SNN_BITS, 0.04, false}, {SNN_BITS, 0.25, false}, {SNN_BITS, 0.8, false},
    {SNN_LISTS, 0, false},  {SNN_LISTS, 1e-9, true}, {SNN_LISTS, 0.05, true}, {SNN_LISTS, 0.05, false},
    {SNN_LISTS, 0.2, true}, {SNN_LISTS, 0.5, true},  {SNN_LISTS, 1, true},    {SNN_LISTS, 1, false},
};

typedef void one_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, int option);

static void every_case(struct ops *ops, one_case *check) {
    for (int i = 0; i < OPS_COUNT(fixed_cases); ++i)
        for (int d = 0; d < OPS_COUNT(kinds); ++d) check(ops, &fixed_cases[i], &kinds[d], ops_below(ops, OPTIONS));
    for (int i = 0; i < 2 * OPS_COUNT(edges); ++i) { /* widths of an image, then channels */
        struct conv_case c = {
            1, 2, 3, i % 2 ? 4 : edges[i / 2], i % 2 ? edges[i / 2] : 3, PLAIN, KERNEL(2), .padding = {0, 1}};
        check(ops, &c, &kinds[i % 3 ? 0 : i % 2 ? 2 : 6], ops_below(ops, OPTIONS));
        struct conv_case d = {1, i % 2 ? edges[i / 2] : 2, 3, i % 2 ? 4 : edges[i / 2], 5, PLAIN, KERNEL(1)};
        check(ops, &d, &kinds[0], ops_below(ops, OPTIONS));
    }
    for (int i = 0; i < 250;) {
        struct conv_case c = random_case(ops);
        struct snn_conv_shape s = shape_of(&c);
        double products =
            (double)c.rows * s.O * (double)snn_conv_out_pixels(&s) * s.C / s.groups * (double)snn_conv_taps(&s);
        if (s.OD < 1 || s.OH < 1 || s.OW < 1 || products > 2e5) continue;
        check(ops, &c, &kinds[i % OPS_COUNT(kinds)], ops_below(ops, OPTIONS));
        ++i;
    }
}

static void check_forward(struct ops *ops) { every_case(ops, forward_case); }
static void check_grad_input(struct ops *ops) { every_case(ops, grad_input_case); }
static void check_grad_weight(struct ops *ops) { every_case(ops, grad_weight_case); }

/* The scratch is what the kernels may use and no byte more, whichever of the three needs most. Every thread has an
 * image. */
static void check_scratch(struct ops *ops) {
    static const struct conv_case cases[] = {
        {7, 9, 3, 3, 1, PLAIN, KERNEL(2)},
        {7, 1, 3, 3, 9, PLAIN, KERNEL(2)},
        {7, 1, 17, 33, 1, .groups = 1, KERNEL(2), .stride = {3, 3}, .dilation = {1, 1}},
        {7, 1, 2, 2, 1, .groups = 1, KERNEL(2), .stride = {1, 1}, .padding = {3, 3}, .dilation = {3, 3}},
        {66, 3, 2, 1, 3, .groups = 3, KERNEL(1), .stride = {1, 1}, .dilation = {1, 1}},
        {7, 8, 16, 16, 8, .groups = 8, KERNEL(2), .stride = {1, 1}, .padding = {3, 3}, .dilation = {3, 3}},
        {70, 8, 4, 4, 16, .groups = 8, KERNEL(1), .stride = {1, 1}, .dilation = {1, 1}},
    };
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int d = 0; d < OPS_COUNT(kinds); ++d) {
            forward_case(ops, &cases[i], &kinds[d], BIAS | ADDS);
            grad_input_case(ops, &cases[i], &kinds[d], BIAS | ADDS);
            grad_weight_case(ops, &cases[i], &kinds[d], BIAS);
        }
}

struct bias {
    int32_t rows, channels, pixels;
    const real *gy;
    real *gb;
};

static void call_grad_bias(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct bias *v = argument;
    (void)ops;
    device->conv->grad_bias(device, v->rows, v->channels, v->pixels, v->gy, v->gb);
}

static void check_grad_bias(struct ops *ops) {
    static const struct bias cases[] = {{1, 1, 1},   {3, 5, 1},    {2, 3, 7},    {5, 2, 33},   {130, 2, 100},
                                        {9, 17, 81}, {1, 1, 5000}, {70, 1, 300}, {40, 700, 3}, {300, 3, 31}};
    for (int i = 0; i < OPS_COUNT(cases); ++i) {
        struct bias v = cases[i];
        ops_begin(ops, "%d rows of %d channels of %d pixels", v.rows, v.channels, v.pixels);
        ptrdiff_t n = (ptrdiff_t)v.rows * v.channels * v.pixels;
        v.gy = ops_reals(ops, n), v.gb = ops_output(ops, v.channels, sizeof *v.gb);
        struct ops_sum *gb = ops_memory(ops, v.channels, sizeof *gb);
        start_with(ops, true, v.channels, v.gb, gb);
        for (ptrdiff_t k = 0; k < n; ++k) ops_term(&gb[k / v.pixels % v.channels], v.gy[k]);
        ops_expect_sums(ops, v.gb, gb);
        ops_run(ops, call_grad_bias, &v);
    }
}

/* ---- over time ---- */

struct temporal {
    struct snn_temporal_shape s;
    ptrdiff_t step, n, w_n; /* numbers of a step, of all; weights */
    const real *x, *before, *w, *b, *gy;
    real *y, *gx, *gw;
    bool adds;
};
static const struct snn_temporal_shape temporal_cases[] = {
    {1, 1, 1, 1, 1, 1},  {4, 1, 3, 1, 3, 1},   {7, 2, 5, 1, 2, 3},   {3, 2, 2, 9, 5, 2},
    {9, 1, 2, 17, 4, 1}, {5, 3, 70, 1, 3, 1},  {6, 2, 3, 65, 2, 2},  {2, 5, 33, 2, 7, 11},
    {40, 1, 1, 3, 9, 4}, {12, 3, 4, 16, 1, 1}, {3, 1, 2, 300, 3, 1}, {33, 2, 1, 1, 40, 1}};

/* Every product. */
static void add_steps(const struct temporal *v, enum goal goal, const real *gy, struct ops_sum *sums) {
    const struct snn_temporal_shape *s = &v->s;
    int32_t reach = snn_temporal_reach(s);
    for (ptrdiff_t i = 0; i < v->n; ++i)
        for (int32_t k = 0; k < s->taps; ++k) {
            int32_t from = (int32_t)(i / v->step) - reach + k * s->dilation;
            ptrdiff_t c = i / s->inner % s->C, at = from * v->step + i % v->step;
            if (from < 0 && !v->before) continue;
            const real *x = goal == OF_GX ? NULL : from < 0 ? &v->before[at + reach * v->step] : &v->x[at];
            if (goal == OF_Y) ops_term(&sums[i], (wide)*x * v->w[c * s->taps + k]);
            else if (goal == OF_GW) ops_term(&sums[c * s->taps + k], (wide)gy[i] * *x);
            else if (from >= 0) ops_term(&sums[at], (wide)gy[i] * v->w[c * s->taps + k]);
        }
}

static struct temporal begin_temporal(struct ops *ops, int i, int option, bool reads) {
    struct temporal v = {.s = temporal_cases[i]};
    const struct snn_temporal_shape *s = &v.s;
    ops_begin(ops, "T %d, B %d, C %d, inner %td, taps %d, dilation %d, option %d", s->T, s->B, s->C, s->inner, s->taps,
              s->dilation, option);
    v.step = (ptrdiff_t)s->B * s->C * s->inner, v.n = s->T * v.step, v.w_n = (ptrdiff_t)s->C * s->taps;
    if (reads) v.x = ops_reals(ops, v.n);
    if (reads && option & ADDS && s->taps > 1) v.before = ops_reals(ops, snn_temporal_reach(s) * v.step);
    return v;
}

static void call_temporal(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct temporal *v = argument;
    (void)ops;
    device->conv->temporal(device, &v->s, v->x, v->before, v->w, v->b, v->y);
}

static void check_temporal(struct ops *ops) {
    for (int i = 0; i < OPTIONS * OPS_COUNT(temporal_cases); ++i) {
        int option = i % OPTIONS;
        struct temporal v = begin_temporal(ops, i / OPTIONS, option, true);
        v.w = ops_reals(ops, v.w_n), v.b = option & BIAS ? ops_reals(ops, v.s.C) : NULL;
        v.y = ops_output(ops, v.n, sizeof *v.y);
        struct ops_sum *y = ops_memory(ops, v.n, sizeof *y);
        for (ptrdiff_t k = 0; k < v.n && v.b; ++k) ops_term(&y[k], v.b[k / v.s.inner % v.s.C]);
        add_steps(&v, OF_Y, NULL, y);
        ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_temporal, &v);
    }
}

static void call_temporal_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct temporal *v = argument;
    (void)ops;
    device->conv->temporal_grad_input(device, &v->s, v->gy, v->w, v->adds, v->gx);
}

static void check_temporal_grad_input(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(temporal_cases); ++i) {
        struct temporal v = begin_temporal(ops, i / 2, i % 2, false);
        v.adds = i % 2, v.gy = ops_reals(ops, v.n), v.w = ops_reals(ops, v.w_n);
        v.gx = ops_output(ops, v.n, sizeof *v.gx);
        struct ops_sum *gx = ops_memory(ops, v.n, sizeof *gx);
        start_with(ops, v.adds, v.n, v.gx, gx);
        add_steps(&v, OF_GX, v.gy, gx);
        ops_expect_sums(ops, v.gx, gx);
        ops_run(ops, call_temporal_grad_input, &v);
    }
}

static void call_temporal_grad_weight(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct temporal *v = argument;
    void *scratch = ops_scratch(ops, device->conv->temporal_scratch(&v->s));
    device->conv->temporal_grad_weight(device, &v->s, v->x, v->before, v->gy, v->gw, scratch);
}

static void check_temporal_grad_weight(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(temporal_cases); ++i) {
        struct temporal v = begin_temporal(ops, i / 2, i % 2 ? ADDS : 0, true);
        v.gy = ops_reals(ops, v.n), v.gw = ops_output(ops, v.w_n, sizeof *v.gw);
        struct ops_sum *gw = ops_memory(ops, v.w_n, sizeof *gw);
        start_with(ops, true, v.w_n, v.gw, gw);
        add_steps(&v, OF_GW, v.gy, gw);
        ops_expect_sums(ops, v.gw, gw);
        ops_run(ops, call_temporal_grad_weight, &v);
    }
}

/* Exactly what the kernel uses, with guards behind it, is what the cases above give it. */
static void check_temporal_scratch(struct ops *ops) { check_temporal_grad_weight(ops); }

#define CASES(X)                                                                                                       \
    X(scratch)                                                                                                         \
    X(forward)                                                                                                         \
    X(grad_input)                                                                                                      \
    X(grad_weight) X(grad_bias) X(temporal) X(temporal_grad_input) X(temporal_scratch) X(temporal_grad_weight)
#define OPS_ENTRY_(name) OPS_ROW(snn_conv_kernels, name)
OPS_TABLE(snn_conv_kernels, CASES)
OPS_TCASE(conv)
