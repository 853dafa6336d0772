/* SPDX-License-Identifier: Apache-2.0
 * checkops_pool.c - average and maximum pooling (autograd/pool.h). */
#include "checkops.h"

#include "autograd/conv.h"
#include "autograd/pool.h"

static const struct {
    int32_t rows, C, H, W, kernel[2], stride[2], padding[2];
} cases[] = {
    {1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 2, 2, {2, 2}, {2, 2}, {0, 0}},
    {3, 2, 34, 34, {2, 2}, {2, 2}, {0, 0}},
    {3, 3, 7, 9, {2, 2}, {2, 2}, {0, 0}},
    {2, 1, 2, 3, {2, 2}, {2, 2}, {0, 0}},
    {2, 2, 17, 65, {2, 2}, {2, 2}, {0, 0}},
    {4, 3, 6, 33, {3, 2}, {3, 2}, {0, 0}},
    {4, 3, 7, 32, {1, 2}, {1, 2}, {0, 0}},
    {2, 3, 8, 31, {2, 3}, {2, 3}, {0, 0}},
    {2, 2, 9, 9, {3, 3}, {3, 3}, {0, 0}},
    {2, 2, 11, 10, {3, 3}, {3, 3}, {1, 1}},
    {2, 2, 7, 8, {3, 3}, {2, 2}, {1, 1}},
    {2, 2, 7, 8, {3, 3}, {1, 1}, {1, 0}},
    {2, 1, 9, 9, {2, 2}, {3, 3}, {0, 0}},
    {2, 1, 9, 9, {2, 2}, {3, 3}, {1, 1}},
    {2, 2, 5, 6, {2, 2}, {2, 2}, {1, 1}},
    {2, 2, 5, 6, {2, 2}, {1, 1}, {0, 0}},
    {1, 2, 20, 17, {15, 15}, {1, 1}, {7, 7}},
    {1, 2, 3, 3, {4, 4}, {4, 4}, {2, 2}},
    {5, 1, 1, 64, {1, 4}, {1, 4}, {0, 2}},
    {7, 5, 4, 4, {4, 4}, {4, 4}, {0, 0}},
    {2, 2, 10, 10, {2, 2}, {64, 64}, {1, 1}},
    {3, 11, 3, 3, {2, 2}, {2, 2}, {0, 0}},
    {2, 1, 5, 66, {2, 1}, {2, 1}, {1, 0}},
    {2, 4, 12, 12, {4, 2}, {4, 2}, {0, 0}},
    {2, 4, 13, 13, {4, 4}, {4, 4}, {0, 0}},
    /* stride 0: adaptive, into `kernel` windows; stride -1: sums */
    {2, 3, 8, 6, {1, 1}, {0, 0}, {0, 0}},
    {2, 3, 8, 6, {7, 7}, {0, 0}, {0, 0}},
    {3, 2, 5, 33, {3, 13}, {0, 0}, {0, 0}},
    {2, 2, 3, 2, {5, 9}, {0, 0}, {0, 0}},
    {2, 1, 40, 30, {1, 1}, {0, 0}, {0, 0}},
    {3, 2, 7, 9, {2, 2}, {-1, -1}, {0, 0}},
    {2, 2, 9, 9, {3, 3}, {-1, -1}, {1, 1}},
};

struct pool {
    struct snn_pool_shape s;
    ptrdiff_t rows, in, out; /* units of a row */
    struct snn_rows x;
    const real *gy;
    const uint16_t *chosen;
    real *y, *gx;
    uint16_t *choice;
    int32_t *nonzero;
    bool adds;
};

static struct pool begin_pool(struct ops *ops, int i, double density, bool option) {
    struct pool p = {.s = {.C = cases[i].C, .H = cases[i].H, .W = cases[i].W}, .rows = cases[i].rows};
    struct snn_pool_shape *s = &p.s;
    s->sum = cases[i].stride[0] < 0;
    for (int a = 0; a < 2; ++a)
        s->kernel[a] = cases[i].kernel[a], s->stride[a] = s->sum ? s->kernel[a] : cases[i].stride[a],
        s->padding[a] = cases[i].padding[a];
    if (cases[i].stride[0]) {
        s->OH = snn_conv_out(s->H, s->kernel[0], s->stride[0], s->padding[0], 1);
        s->OW = snn_conv_out(s->W, s->kernel[1], s->stride[1], s->padding[1], 1);
    } else {
        s->OH = s->kernel[0], s->OW = s->kernel[1];
        snn_pool_divide(s);
    }
    ops_begin(ops, "%td rows of %dx%dx%d, window %dx%d, stride %d,%d, padding %d,%d, density %g, sum %d, option %d",
              p.rows, s->C, s->H, s->W, s->kernel[0], s->kernel[1], cases[i].stride[0], cases[i].stride[1],
              s->padding[0], s->padding[1], density, s->sum, option);
    p.in = (ptrdiff_t)s->C * s->H * s->W, p.out = (ptrdiff_t)s->C * s->OH * s->OW;
    return p;
}

static struct ops_rows pool_input(struct ops *ops, const struct pool *p, double density) {
    struct ops_rows x = ops_rows(ops, p->rows, p->in, density);
    if (density >= 0) return x;
    real *dense = (real *)x.dense; /* with ties, and with windows that are all 0 */
    for (ptrdiff_t i = 0; i < p->rows * p->in; ++i)
        if (ops_below(ops, 3)) dense[i] = (real)(ops_below(ops, 2) ? 0 : -0.25);
    return x;
}

/* Where tap k of window (plane, oy, ox) lies in x, or -1 outside. Planes of all rows are numbered through. */
static ptrdiff_t tap_at(const struct snn_pool_shape *s, ptrdiff_t plane, int32_t oy, int32_t ox, int32_t k) {
    int32_t y = oy * s->stride[0] - s->padding[0], x = ox * s->stride[1] - s->padding[1], dy = k / s->kernel[1],
            dx = k % s->kernel[1];
    if (s->adaptive) { /* floor and ceil of fractions, in numbers that hold them exactly */
        y = (int32_t)floor((double)oy * s->H / s->OH), x = (int32_t)floor((double)ox * s->W / s->OW);
        if (y + dy >= ceil((double)(oy + 1) * s->H / s->OH) || x + dx >= ceil((double)(ox + 1) * s->W / s->OW))
            return -1;
    }
    y += dy, x += dx;
    return y < 0 || y >= s->H || x < 0 || x >= s->W ? -1 : (plane * s->H + y) * s->W + x;
}

#define EACH_WINDOW(p)                                                                                                 \
    for (ptrdiff_t plane = 0, at = 0; plane < (p)->rows * (p)->s.C; ++plane)                                           \
        for (int32_t oy = 0; oy < (p)->s.OH; ++oy)                                                                     \
            for (int32_t ox = 0; ox < (p)->s.OW; ++ox, ++at)
#define EACH_TAP(p) for (int32_t k = 0; k < (p)->s.kernel[0] * (p)->s.kernel[1]; ++k)

/* What a tap of window (oy, ox) counts. */
static wide share_at(const struct snn_pool_shape *s, int32_t oy, int32_t ox) {
    int taps = 0;
    if (s->sum) return 1;
    for (int32_t k = 0; k < s->kernel[0] * s->kernel[1]; ++k) taps += tap_at(s, 0, oy, ox, k) >= 0;
    return (wide)1 / (s->adaptive ? taps : s->kernel[0] * s->kernel[1]);
}

static void call_average(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct pool *p = argument;
    void *scratch = ops_scratch(ops, device->pool->scratch(device->threads, &p->s));
    device->pool->average(device, &p->s, p->rows, &p->x, p->y, p->nonzero, scratch);
}

static void average_case(struct ops *ops, int i, double density, bool counts) {
    struct pool p = begin_pool(ops, i, density, counts);
    struct ops_rows x = pool_input(ops, &p, density);
    struct ops_sum *y = ops_memory(ops, p.rows * p.out, sizeof *y);
    int32_t *nonzero = ops_memory(ops, p.rows, sizeof *nonzero);
    EACH_WINDOW(&p) {
        EACH_TAP(&p) {
            ptrdiff_t from = tap_at(&p.s, plane, oy, ox, k);
            if (from >= 0) ops_term(&y[at], x.dense[from] * share_at(&p.s, oy, ox));
        }
        nonzero[plane / p.s.C] += y[at].value != 0;
    }
    p.x = x.rows, p.y = ops_output(ops, p.rows * p.out, sizeof *p.y);
    ops_expect_sums(ops, p.y, y);
    if (counts) {
        p.nonzero = ops_output(ops, p.rows, sizeof *p.nonzero);
        ops_expect(ops, p.nonzero, nonzero);
    }
    ops_run(ops, call_average, &p);
}

static void check_average(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int d = 0; d < OPS_COUNT(ops_densities); ++d) average_case(ops, i, ops_densities[d], (i + d) % 2);
}

static void call_average_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct pool *p = argument;
    (void)ops;
    device->pool->average_grad(device, &p->s, p->rows, p->gy, p->adds, p->gx);
}

/* gx, which may hold something already, and its expectation. */
static struct ops_sum *begin_gradient(struct ops *ops, struct pool *p, bool adds) {
    p->adds = adds, p->gy = ops_reals(ops, p->rows * p->out), p->gx = ops_output(ops, p->rows * p->in, sizeof *p->gx);
    struct ops_sum *gx = ops_memory(ops, p->rows * p->in, sizeof *gx);
    if (adds) ops_fill(ops, p->gx, p->rows * p->in, -1, 1);
    for (ptrdiff_t i = 0; i < p->rows * p->in && adds; ++i) ops_term(&gx[i], p->gx[i]);
    ops_expect_sums(ops, p->gx, gx);
    return gx;
}

static void check_average_grad(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(cases); ++i) {
        struct pool p = begin_pool(ops, i / 2, -1, i % 2);
        struct ops_sum *gx = begin_gradient(ops, &p, i % 2);
        EACH_WINDOW(&p) EACH_TAP(&p) {
            ptrdiff_t to = tap_at(&p.s, plane, oy, ox, k);
            if (to >= 0) ops_term(&gx[to], p.gy[at] * share_at(&p.s, oy, ox));
        }
        ops_run(ops, call_average_grad, &p);
    }
}

static void call_maximum(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct pool *p = argument;
    void *scratch = ops_scratch(ops, device->pool->scratch(device->threads, &p->s));
    device->pool->maximum(device, &p->s, p->rows, &p->x, p->y, p->choice, p->nonzero, scratch);
}

/* option: bit 0 wants the choice, bit 1 the counts */
static void maximum_case(struct ops *ops, int i, double density, int option) {
    struct pool p = begin_pool(ops, i, density, option & 1);
    struct ops_rows x = pool_input(ops, &p, density);
    real *y = ops_memory(ops, p.rows * p.out, sizeof *y);
    uint16_t *choice = ops_memory(ops, p.rows * p.out, sizeof *choice);
    int32_t *nonzero = ops_memory(ops, p.rows, sizeof *nonzero);
    EACH_WINDOW(&p) {
        ptrdiff_t best = -1;
        EACH_TAP(&p) {
            ptrdiff_t from = tap_at(&p.s, plane, oy, ox, k);
            if (from >= 0 && (best < 0 || x.dense[from] > x.dense[best])) best = from, choice[at] = (uint16_t)k;
        }
        y[at] = x.dense[best];
        nonzero[plane / p.s.C] += y[at] != 0;
    }
    p.x = x.rows, p.y = ops_output(ops, p.rows * p.out, sizeof *p.y);
    ops_expect(ops, p.y, y);
    if (option & 1) {
        p.choice = ops_output(ops, p.rows * p.out, sizeof *p.choice);
        ops_expect(ops, p.choice, choice);
    }
    if (option & 2) {
        p.nonzero = ops_output(ops, p.rows, sizeof *p.nonzero);
        ops_expect(ops, p.nonzero, nonzero);
    }
    ops_run(ops, call_maximum, &p);
}

static void check_maximum(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int d = 0; d < OPS_COUNT(ops_densities); ++d) maximum_case(ops, i, ops_densities[d], (i + d) % 4);
}

static void call_maximum_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct pool *p = argument;
    (void)ops;
    device->pool->maximum_grad(device, &p->s, p->rows, p->gy, p->chosen, p->adds, p->gx);
}

static void check_maximum_grad(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(cases); ++i) {
        struct pool p = begin_pool(ops, i / 2, -1, i % 2);
        struct ops_sum *gx = begin_gradient(ops, &p, i % 2);
        uint16_t *choice = ops_input(ops, p.rows * p.out, sizeof *choice);
        EACH_WINDOW(&p) {
            ptrdiff_t to;
            do choice[at] = (uint16_t)ops_below(ops, (uint32_t)(p.s.kernel[0] * p.s.kernel[1]));
            while ((to = tap_at(&p.s, plane, oy, ox, choice[at])) < 0);
            ops_term(&gx[to], p.gy[at]);
        }
        p.chosen = choice;
        ops_run(ops, call_maximum_grad, &p);
    }
}

/* The scratch is what the kernels may use and no byte more: bits, and a row for each thread. */
static void check_scratch(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        if (cases[i].rows >= 3) {
            average_case(ops, i, 0.5, true);
            maximum_case(ops, i, 0.5, 3);
        }
}

#define CASES(X) X(scratch) X(average) X(average_grad) X(maximum) X(maximum_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_pool_kernels, name)
OPS_TABLE(snn_pool_kernels, CASES)
OPS_TCASE(pool)
