/* SPDX-License-Identifier: Apache-2.0
 * checkops_conv.c - convolution (autograd/conv.h). Shapes sit around the widths of register tiles and vectors of every
 * instruction set, and at the ends of what a config may ask for; random ones fill the space between. */
#include "checkops.h"

#include "autograd/conv.h"

struct conv_case {
    int32_t rows, C, H, W, O, groups, kernel[2], stride[2], padding[2], dilation[2];
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
};
static const int32_t edges[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 15, 16,
                                17, 18, 20, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65};

/* What conv.h and the layer allow; the sizes favour what is small. */
static struct conv_case random_case(struct ops *ops) {
#define ONE_OF(n) (1 + (int32_t)ops_below(ops, n))
    struct conv_case c = {.rows = ONE_OF(4), .groups = ops_below(ops, 3) ? 1 : ONE_OF(4)};
    c.C = c.groups * ONE_OF(ops_below(ops, 4) ? 3 : 20), c.O = c.groups * ONE_OF(ops_below(ops, 4) ? 10 : 70);
    c.H = ONE_OF(12), c.W = ONE_OF(ops_below(ops, 4) ? 14 : 50);
    for (int i = 0; i < 2; ++i) {
        c.kernel[i] = ONE_OF(5), c.stride[i] = ops_below(ops, 2) ? 1 : ONE_OF(4),
        c.dilation[i] = ops_below(ops, 2) ? 1 : ONE_OF(3);
        c.padding[i] = (int32_t)ops_below(ops, 8);
    }
#undef ONE_OF
    return c;
}

static struct snn_conv_shape shape_of(const struct conv_case *c) {
    struct snn_conv_shape s = {.C = c->C, .H = c->H, .W = c->W, .O = c->O, .groups = c->groups};
    for (int i = 0; i < 2; ++i)
        s.kernel[i] = c->kernel[i], s.stride[i] = c->stride[i], s.padding[i] = c->padding[i],
        s.dilation[i] = c->dilation[i];
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], s.dilation[0]);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], s.dilation[1]);
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
    for (ptrdiff_t r = 0; r < v->rows; ++r)
        for (int32_t o = 0; o < s->O; ++o)
            for (int32_t oy = 0; oy < s->OH; ++oy)
                for (int32_t ox = 0; ox < s->OW; ++ox)
                    for (int32_t c = 0; c < in; ++c)
                        for (int32_t ky = 0; ky < s->kernel[0]; ++ky)
                            for (int32_t kx = 0; kx < s->kernel[1]; ++kx) {
                                int32_t iy = oy * s->stride[0] - s->padding[0] + ky * s->dilation[0];
                                int32_t ix = ox * s->stride[1] - s->padding[1] + kx * s->dilation[1];
                                if (iy < 0 || iy >= s->H || ix < 0 || ix >= s->W) continue;
                                ptrdiff_t at_y = ((r * s->O + o) * s->OH + oy) * s->OW + ox;
                                ptrdiff_t at_x = ((r * s->C + o / out * in + c) * s->H + iy) * s->W + ix;
                                ptrdiff_t at_w = (((ptrdiff_t)o * in + c) * s->kernel[0] + ky) * s->kernel[1] + kx;
                                if (goal == OF_Y) ops_term(&sums[at_y], (wide)x[at_x] * w[at_w]);
                                else if (goal == OF_GX) ops_term(&sums[at_x], (wide)gy[at_y] * w[at_w]);
                                else ops_term(&sums[at_w], (wide)gy[at_y] * x[at_x]);
                            }
}

static struct conv begin_conv(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, bool option) {
    struct conv v = {.s = shape_of(c), .rows = c->rows};
    const struct snn_conv_shape *s = &v.s;
    ops_begin(ops,
              "%d rows of %dx%dx%d -> %d, %d groups, kernel %dx%d, stride %d,%d, padding %d,%d, dilation %d,%d, "
              "%s, option %d",
              c->rows, s->C, s->H, s->W, s->O, s->groups, s->kernel[0], s->kernel[1], s->stride[0], s->stride[1],
              s->padding[0], s->padding[1], s->dilation[0], s->dilation[1], ops_kind_text(kind), option);
    v.x_n = v.rows * s->C * s->H * s->W, v.y_n = v.rows * s->O * s->OH * s->OW;
    v.w_n = (ptrdiff_t)s->O * (s->C / s->groups) * s->kernel[0] * s->kernel[1];
    return v;
}

static void *scratch_for(struct ops *ops, struct snn_device *device, const struct conv *v) {
    return ops_scratch(ops, device->conv->scratch(device->threads, &v->s, v->rows, snn_rows_form(&v->x)));
}

static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->forward(device, &v->s, v->rows, &v->x, v->w, v->b, v->y, scratch_for(ops, device, v));
}

static void forward_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, bool bias) {
    struct conv v = begin_conv(ops, c, kind, bias);
    struct ops_rows x = ops_rows_as(ops, v.rows, v.x_n / v.rows, kind);
    v.x = x.rows, v.w = ops_reals(ops, v.w_n), v.b = bias ? ops_reals(ops, v.s.O) : NULL;
    struct ops_sum *y = ops_memory(ops, v.y_n, sizeof *y);
    for (ptrdiff_t i = 0; i < v.y_n && bias; ++i) ops_term(&y[i], v.b[i / (v.s.OH * v.s.OW) % v.s.O]);
    add_products(&v, OF_Y, x.dense, v.w, NULL, y);
    v.y = ops_output(ops, v.y_n, sizeof *v.y);
    ops_expect_sums(ops, v.y, y);
    ops_run(ops, call_forward, &v);
}

static void call_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->grad_input(device, &v->s, v->rows, v->gy, v->w, v->adds, v->gx, scratch_for(ops, device, v));
}

static void grad_input_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, bool adds) {
    if (kind->form != SNN_DENSE) return; /* has no spikes to read */
    struct conv v = begin_conv(ops, c, kind, adds);
    v.adds = adds, v.gy = ops_reals(ops, v.y_n), v.w = ops_reals(ops, v.w_n);
    v.gx = ops_output(ops, v.x_n, sizeof *v.gx);
    struct ops_sum *gx = ops_memory(ops, v.x_n, sizeof *gx);
    if (adds) ops_fill(ops, v.gx, v.x_n, -1, 1);
    for (ptrdiff_t i = 0; i < v.x_n && adds; ++i) ops_term(&gx[i], v.gx[i]);
    add_products(&v, OF_GX, NULL, v.w, v.gy, gx);
    ops_expect_sums(ops, v.gx, gx);
    ops_run(ops, call_grad_input, &v);
}

static void call_grad_weight(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct conv *v = argument;
    device->conv->grad_weight(device, &v->s, v->rows, &v->x, v->gy, v->gw, v->gb, scratch_for(ops, device, v));
}

static void grad_weight_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, bool bias) {
    struct conv v = begin_conv(ops, c, kind, bias);
    struct ops_rows x = ops_rows_as(ops, v.rows, v.x_n / v.rows, kind);
    v.x = x.rows, v.gy = ops_reals(ops, v.y_n);
    v.gw = ops_output(ops, v.w_n, sizeof *v.gw), v.gb = bias ? ops_output(ops, v.s.O, sizeof *v.gb) : NULL;
    struct ops_sum *gw = ops_memory(ops, v.w_n, sizeof *gw), *gb = ops_memory(ops, v.s.O, sizeof *gb);
    ops_fill(ops, v.gw, v.w_n, -1, 1);
    for (ptrdiff_t i = 0; i < v.w_n; ++i) ops_term(&gw[i], v.gw[i]);
    add_products(&v, OF_GW, x.dense, NULL, v.gy, gw);
    ops_expect_sums(ops, v.gw, gw);
    if (bias) {
        ops_fill(ops, v.gb, v.s.O, -1, 1);
        for (int32_t o = 0; o < v.s.O; ++o) ops_term(&gb[o], v.gb[o]);
        for (ptrdiff_t i = 0; i < v.y_n; ++i) ops_term(&gb[i / (v.s.OH * v.s.OW) % v.s.O], v.gy[i]);
        ops_expect_sums(ops, v.gb, gb);
    }
    ops_run(ops, call_grad_weight, &v);
}

static const struct ops_kind kinds[] = {
    {SNN_DENSE, 1, false},  {SNN_BITS, 0.04, false}, {SNN_BITS, 0.25, false}, {SNN_BITS, 0.8, false},
    {SNN_LISTS, 0, false},  {SNN_LISTS, 1e-9, true}, {SNN_LISTS, 0.05, true}, {SNN_LISTS, 0.05, false},
    {SNN_LISTS, 0.2, true}, {SNN_LISTS, 0.5, true},  {SNN_LISTS, 1, true},    {SNN_LISTS, 1, false},
};

typedef void one_case(struct ops *ops, const struct conv_case *c, const struct ops_kind *kind, bool option);

static void every_case(struct ops *ops, one_case *check) {
    for (int i = 0; i < OPS_COUNT(fixed_cases); ++i)
        for (int d = 0; d < OPS_COUNT(kinds); ++d) check(ops, &fixed_cases[i], &kinds[d], ops_below(ops, 2));
    for (int i = 0; i < 2 * OPS_COUNT(edges); ++i) { /* widths of an image, then channels */
        struct conv_case c = {
            1, 2, 3, i % 2 ? 4 : edges[i / 2], i % 2 ? edges[i / 2] : 3, PLAIN, KERNEL(2), .padding = {0, 1}};
        check(ops, &c, &kinds[i % 3 ? 0 : i % 2 ? 2 : 6], ops_below(ops, 2));
        struct conv_case d = {1, i % 2 ? edges[i / 2] : 2, 3, i % 2 ? 4 : edges[i / 2], 5, PLAIN, KERNEL(1)};
        check(ops, &d, &kinds[0], ops_below(ops, 2));
    }
    for (int i = 0; i < 200;) {
        struct conv_case c = random_case(ops);
        struct snn_conv_shape s = shape_of(&c);
        double products = (double)c.rows * s.O * s.OH * s.OW * s.C / s.groups * s.kernel[0] * s.kernel[1];
        if (s.OH < 1 || s.OW < 1 || products > 2e5) continue;
        check(ops, &c, &kinds[i % OPS_COUNT(kinds)], ops_below(ops, 2));
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
    };
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int d = 0; d < OPS_COUNT(kinds); ++d) {
            forward_case(ops, &cases[i], &kinds[d], true);
            grad_input_case(ops, &cases[i], &kinds[d], true);
            grad_weight_case(ops, &cases[i], &kinds[d], true);
        }
}

#define CASES(X) X(scratch) X(forward) X(grad_input) X(grad_weight)
#define OPS_ENTRY_(name) OPS_ROW(snn_conv_kernels, name)
OPS_TABLE(snn_conv_kernels, CASES)
OPS_TCASE(conv)
