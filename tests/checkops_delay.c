/* SPDX-License-Identifier: Apache-2.0
 * checkops_delay.c - synapses with delays (autograd/delay.h): kernels made of elements, and the convolution with them
 * summed directly. */
#include "checkops.h"

#include "autograd/delay.h"

/* ---- kernels ---- */

static const struct {
    int32_t in, out, groups, taps, count;
} shapes[] = {
    {1, 1, 1, 1, 1}, {3, 2, 1, 3, 1}, {6, 4, 2, 5, 2}, {5, 13, 1, 25, 1}, {20, 17, 1, 31, 3}, {8, 8, 8, 7, 1},
};

struct build {
    struct snn_delay_shape s;
    struct snn_delay_elements e;
    const real *gkernel;
    real *kernel, *gweight, *gposition, *gwidth;
};

struct made { /* an element's bump over the taps, in more digits */
    wide p, s, sign, g[64], scale;
};

static struct made make(const struct build *b, ptrdiff_t at) {
    const struct snn_delay_elements *e = &b->e;
    int32_t taps = b->s.taps;
    wide sigma = e->width ? e->width[at] : *e->sigma, sum = 0;
    struct made m = {
        .p = (wide)e->position[at] + taps / 2, .s = 1, .sign = (wide)((sigma > 0) - (sigma < 0)), .scale = 1};
    if (e->rounded) m.p = fminl(fmaxl(taps / 2 + rintl((wide)e->position[at]), 0), taps - 1);
    else if (e->version == SNN_DELAY_MAX) m.s = fabsl(sigma) + 1;
    else if (e->version == SNN_DELAY_GAUSS) m.s = fabsl(sigma) + (wide)0.27;
    for (int32_t n = 0; n < taps; ++n) {
        wide z = (n - m.p) / m.s;
        bool gauss = e->version == SNN_DELAY_GAUSS && !e->rounded;
        m.g[n] = gauss ? expl(-z * z / 2) : fmaxl(0, m.s - fabsl(n - m.p));
        sum += m.g[n];
    }
    if (e->rounded || e->version != SNN_DELAY_V0) m.scale = 1 / (sum + (wide)1e-7);
    return m;
}

static struct build begin_build(struct ops *ops, int i, int version, int option) {
    struct build b = {.s = {shapes[i].in, shapes[i].out, shapes[i].groups, shapes[i].taps, shapes[i].count}};
    b.e.version = version, b.e.rounded = option == 2;
    ops_begin(ops, "%d-%d in %d groups, %d taps of %d elements, version %d, option %d", b.s.in, b.s.out, b.s.groups,
              b.s.taps, b.s.count, version, option);
    ptrdiff_t n = snn_delay_synapses(&b.s) * b.s.count;
    real *position = ops_input(ops, n, sizeof *position), *sigma = ops_input(ops, 1, sizeof *sigma);
    double reach = b.s.taps / 2; /* some on taps, some at the ends, in between a tenth away from both */
    for (ptrdiff_t k = 0; k < n; ++k) {
        uint32_t kind = ops_below(ops, 6);
        double whole = (double)ops_below(ops, (uint32_t)b.s.taps) - reach;
        position[k] = (real)(kind == 0   ? whole
                             : kind == 1 ? -reach
                             : kind == 2 ? reach
                                         : whole + 0.1 + 0.8 * ops_unit(ops));
        if (position[k] > (real)reach) position[k] = (real)(reach - 0.3);
    }
    *sigma = (real)(option ? 0.43 : 5.21);
    b.e.weight = ops_reals(ops, n), b.e.position = position, b.e.sigma = sigma;
    if (option == 1) {
        real *width = ops_input(ops, n, sizeof *width);
        for (ptrdiff_t k = 0; k < n; ++k) width[k] = (real)(k % 5 ? 0.37 + ops_unit(ops) : k % 3 ? 0 : -0.77);
        b.e.width = width;
    }
    return b;
}

/* exp and the quotient have errors of their own, which grow with the exponent: bumps are sums to so many terms. */
enum { ROUNDINGS = 12 };
static void add_inexact(struct ops_sum *sum, wide term) {
    ops_term(sum, term);
    sum->terms += (ROUNDINGS - 1) * fabsl(term);
}

static void call_build(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct build *b = argument;
    (void)ops;
    device->delay->build(device, &b->s, &b->e, b->kernel);
}

static void check_build(struct ops *ops) {
    for (int i = 0; i < 12 * OPS_COUNT(shapes); ++i) {
        struct build b = begin_build(ops, i / 12, i % 4, i / 4 % 3);
        ptrdiff_t synapses = snn_delay_synapses(&b.s);
        struct ops_sum *kernel = ops_memory(ops, b.s.taps * synapses, sizeof *kernel);
        for (ptrdiff_t at = 0; at < synapses * b.s.count; ++at) {
            struct made m = make(&b, at);
            for (int32_t n = 0; n < b.s.taps; ++n) {
                struct ops_sum *to = &kernel[n * synapses + at / b.s.count];
                add_inexact(to, b.e.weight[at] * m.g[n] * m.scale);
                to->terms += fabsl(b.e.weight[at] * m.scale) * (m.s + n); /* s - |n - p| has that rounding */
            }
        }
        b.kernel = ops_output(ops, b.s.taps * synapses, sizeof *b.kernel);
        ops_expect_sums(ops, b.kernel, kernel);
        ops_run(ops, call_build, &b);
    }
}

static void call_build_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct build *b = argument;
    (void)ops;
    device->delay->build_grad(device, &b->s, &b->e, b->gkernel, b->gweight, b->gposition, b->gwidth);
}

/* to += by * sum over the taps of G dh/dq, where dg are the derivatives of the bump. */
static void expect_chain(const struct build *b, const struct made *m, ptrdiff_t at, const wide *dg, bool normalised,
                         wide by, struct ops_sum *to) {
    ptrdiff_t synapses = snn_delay_synapses(&b->s);
    wide total = 0;
    for (int32_t n = 0; n < b->s.taps; ++n) total += dg[n];
    for (int32_t n = 0; n < b->s.taps; ++n) {
        wide G = b->gkernel[n * synapses + at / b->s.count];
        add_inexact(to, by * m->scale * G * dg[n]);
        if (normalised) add_inexact(to, -by * m->scale * G * m->g[n] * m->scale * total);
        to->terms += ROUNDINGS * fabsl(by * m->scale * G) * (m->scale * m->g[n] * (fabsl(total) + 1) + m->s + n);
    }
}

static void expect_element(const struct build *b, ptrdiff_t at, struct ops_sum *w, struct ops_sum *p,
                           struct ops_sum *s) {
    struct made m = make(b, at);
    bool gauss = b->e.version == SNN_DELAY_GAUSS && !b->e.rounded,
         split = b->e.version == SNN_DELAY_V0 && !b->e.rounded;
    wide by_p[64], by_s[64];
    for (int32_t n = 0; n < b->s.taps; ++n) {
        wide away = n - m.p, floor = floorl(m.p);
        by_p[n] = gauss ? m.g[n] * away / (m.s * m.s) : m.g[n] > 0 ? (away > 0) - (away < 0) : 0;
        by_s[n] = gauss ? m.g[n] * away * away / (m.s * m.s * m.s) : m.g[n] > 0;
        if (split) by_p[n] = n == floor ? -1 : n == floor + 1;
    }
    for (int32_t n = 0; n < b->s.taps; ++n) {
        wide G = b->gkernel[n * snn_delay_synapses(&b->s) + at / b->s.count] * m.scale;
        add_inexact(&w[at], G * m.g[n]);
        w[at].terms += fabsl(G) * (m.s + n);
    }
    expect_chain(b, &m, at, by_p, !split, b->e.weight[at], &p[at]);
    expect_chain(b, &m, at, by_s, true, m.sign * b->e.weight[at], &s[at]);
}

static void check_build_grad(struct ops *ops) {
    for (int i = 0; i < 12 * OPS_COUNT(shapes); ++i) {
        struct build b = begin_build(ops, i / 12, i % 4, i / 4 % 3);
        ptrdiff_t n = snn_delay_synapses(&b.s) * b.s.count;
        b.gkernel = ops_reals(ops, snn_delay_synapses(&b.s) * b.s.taps);
        real **gradient[] = {&b.gweight, &b.gposition, &b.gwidth};
        struct ops_sum *sum[3];
        for (int k = 0; k < 3; ++k) {
            sum[k] = ops_memory(ops, n, sizeof **sum);
            *gradient[k] = ops_output(ops, n, sizeof(real));
            ops_fill(ops, *gradient[k], n, -1, 1);
            for (ptrdiff_t at = 0; at < n; ++at) ops_term(&sum[k][at], (*gradient[k])[at]);
            ops_expect_sums(ops, *gradient[k], sum[k]);
        }
        for (ptrdiff_t at = 0; at < n; ++at) expect_element(&b, at, sum[0], sum[1], sum[2]);
        ops_run(ops, call_build_grad, &b);
    }
}

/* ---- the convolution ---- */

static const struct {
    int32_t in, out, groups, taps, B, before, x, y;
} convolutions[] = {
    {1, 1, 1, 1, 1, 0, 1, 1},       {3, 2, 1, 3, 2, 0, 1, 1},        {3, 2, 1, 3, 2, 0, 1, 2},
    {6, 4, 2, 5, 3, 0, 9, 11},      {5, 7, 1, 9, 1, 0, 4, 8},        {5, 7, 1, 9, 2, 8, 13, 5},
    {70, 65, 1, 5, 2, 0, 12, 14},   {16, 16, 16, 3, 4, 2, 9, 7},     {33, 20, 1, 25, 3, 0, 30, 42},
    {65, 33, 1, 7, 3, 6, 30, 24},   {20, 96, 2, 11, 5, 0, 40, 45},   {12, 8, 1, 13, 2, 0, 150, 156},
    {40, 48, 1, 25, 16, 0, 60, 72}, {48, 40, 1, 25, 16, 24, 84, 60}, {24, 24, 1, 17, 12, 0, 513, 517},
};

struct convolution {
    struct snn_delay_shape s;
    struct snn_delay_span span;
    struct snn_rows x;
    const real *dense, *kernel, *gy;
    real *y, *gx, *gkernel;
    bool adds;
};

static const struct ops_kind kinds[] = {{SNN_DENSE, -1, false},
                                        {SNN_BITS, 0.1, false},
                                        {SNN_BITS, 0.6, false},
                                        {SNN_LISTS, 0.05, false},
                                        {SNN_LISTS, 0.2, true}};

static struct convolution begin_convolution(struct ops *ops, int i, const struct ops_kind *kind) {
    struct convolution c = {
        .s = {convolutions[i].in, convolutions[i].out, convolutions[i].groups, convolutions[i].taps, 1},
        .span = {convolutions[i].B, convolutions[i].before, convolutions[i].x, convolutions[i].y}};
    ops_begin(ops, "%d-%d in %d groups, %d taps, B %d, x %d (%d before), y %d, %s", c.s.in, c.s.out, c.s.groups,
              c.s.taps, c.span.B, c.span.x, c.span.before, c.span.y, kind ? ops_kind_text(kind) : "no x");
    if (kind) {
        struct ops_rows x = ops_rows_as(ops, (ptrdiff_t)c.span.x * c.span.B, c.s.in, kind);
        c.x = x.rows, c.dense = x.dense;
    }
    return c;
}

/* Calls f for all (y row and unit, tap, x row and unit, index of the kernel's number) that belong together. */
#define EACH_SYNAPSE(c)                                                                                                \
    for (int32_t t = 0; t < (c)->span.y; ++t)                                                                          \
        for (int32_t n = 0, from; n < (c)->s.taps; ++n)                                                                \
            if ((from = t + (c)->span.before - ((c)->s.taps - 1) + n) >= 0 && from < (c)->span.x)                      \
                for (int32_t b = 0; b < (c)->span.B; ++b)                                                              \
                    for (int32_t o = 0; o < (c)->s.out; ++o)                                                           \
                        for (int32_t j = 0; j < (c)->s.in / (c)->s.groups; ++j)
#define Y_AT(c) (((ptrdiff_t)t * (c)->span.B + b) * (c)->s.out + o)
#define X_AT(c)                                                                                                        \
    (((ptrdiff_t)from * (c)->span.B + b) * (c)->s.in +                                                                 \
     o / ((c)->s.out / (c)->s.groups) * ((c)->s.in / (c)->s.groups) + j)
#define K_AT(c) (((ptrdiff_t)n * (c)->s.out + o) * ((c)->s.in / (c)->s.groups) + j)

/* A product in the frequency domain spreads its roundings over all steps: every sum is as exact as the largest. */
static void level(struct ops_sum *sum, ptrdiff_t count) {
    wide largest = 0;
    ptrdiff_t n = 0;
    for (ptrdiff_t i = 0; i < count; ++i) largest = fmaxl(largest, sum[i].terms), n = sum[i].n > n ? sum[i].n : n;
    for (ptrdiff_t i = 0; i < count; ++i) sum[i].terms = largest, sum[i].n = n;
}

static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct convolution *c = argument;
    void *scratch = ops_scratch(ops, device->delay->scratch(device->threads, &c->s, &c->span, snn_rows_form(&c->x)));
    device->delay->forward(device, &c->s, &c->span, &c->x, c->kernel, c->y, scratch);
}

static void check_forward(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(convolutions) * OPS_COUNT(kinds); ++i) {
        struct convolution c = begin_convolution(ops, i / OPS_COUNT(kinds), &kinds[i % OPS_COUNT(kinds)]);
        c.kernel = ops_reals(ops, c.s.taps * snn_delay_synapses(&c.s));
        ptrdiff_t count = (ptrdiff_t)c.span.y * c.span.B * c.s.out;
        struct ops_sum *y = ops_memory(ops, count, sizeof *y);
        EACH_SYNAPSE(&c) ops_term(&y[Y_AT(&c)], (wide)c.kernel[K_AT(&c)] * c.dense[X_AT(&c)]);
        level(y, count);
        c.y = ops_output(ops, count, sizeof *c.y);
        ops_expect_sums(ops, c.y, y);
        ops_run(ops, call_forward, &c);
    }
}

static void call_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct convolution *c = argument;
    void *scratch = ops_scratch(ops, device->delay->scratch(device->threads, &c->s, &c->span, SNN_DENSE));
    device->delay->grad_input(device, &c->s, &c->span, c->gy, c->kernel, c->adds, c->gx, scratch);
}

static void check_grad_input(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(convolutions); ++i) {
        struct convolution c = begin_convolution(ops, i / 2, NULL);
        ptrdiff_t before = (ptrdiff_t)c.span.before * c.span.B * c.s.in, all = (ptrdiff_t)c.span.x * c.span.B * c.s.in;
        c.kernel = ops_reals(ops, c.s.taps * snn_delay_synapses(&c.s));
        c.gy = ops_reals(ops, (ptrdiff_t)c.span.y * c.span.B * c.s.out), c.adds = i % 2;
        c.gx = ops_output(ops, all - before, sizeof *c.gx);
        struct ops_sum *gx = ops_memory(ops, all, sizeof *gx);
        if (c.adds) ops_fill(ops, c.gx, all - before, -1, 1);
        for (ptrdiff_t k = before; k < all && c.adds; ++k) ops_term(&gx[k], c.gx[k - before]);
        EACH_SYNAPSE(&c) ops_term(&gx[X_AT(&c)], (wide)c.kernel[K_AT(&c)] * c.gy[Y_AT(&c)]);
        level(gx + before, all - before);
        ops_expect_sums(ops, c.gx, gx + before);
        ops_run(ops, call_grad_input, &c);
    }
}

static void call_grad_kernel(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct convolution *c = argument;
    void *scratch = ops_scratch(ops, device->delay->scratch(device->threads, &c->s, &c->span, snn_rows_form(&c->x)));
    device->delay->grad_kernel(device, &c->s, &c->span, &c->x, c->gy, c->gkernel, scratch);
}

static void check_grad_kernel(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(convolutions) * OPS_COUNT(kinds); ++i) {
        struct convolution c = begin_convolution(ops, i / OPS_COUNT(kinds), &kinds[i % OPS_COUNT(kinds)]);
        ptrdiff_t count = c.s.taps * snn_delay_synapses(&c.s);
        c.gy = ops_reals(ops, (ptrdiff_t)c.span.y * c.span.B * c.s.out);
        c.gkernel = ops_output(ops, count, sizeof *c.gkernel);
        ops_fill(ops, c.gkernel, count, -1, 1);
        struct ops_sum *gkernel = ops_memory(ops, count, sizeof *gkernel);
        for (ptrdiff_t k = 0; k < count; ++k) ops_term(&gkernel[k], c.gkernel[k]);
        EACH_SYNAPSE(&c) ops_term(&gkernel[K_AT(&c)], (wide)c.gy[Y_AT(&c)] * c.dense[X_AT(&c)]);
        level(gkernel, count);
        ops_expect_sums(ops, c.gkernel, gkernel);
        ops_run(ops, call_grad_kernel, &c);
    }
}

static void call_expand(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct convolution *c = argument;
    (void)ops;
    device->delay->expand(device, (ptrdiff_t)c->span.x * c->span.B, c->s.in, &c->x, c->y);
}

static void check_expand(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(convolutions) * OPS_COUNT(kinds); ++i) {
        struct convolution c = begin_convolution(ops, i / OPS_COUNT(kinds), &kinds[i % OPS_COUNT(kinds)]);
        c.y = ops_output(ops, (ptrdiff_t)c.span.x * c.span.B * c.s.in, sizeof *c.y);
        ops_expect(ops, c.y, c.dense);
        ops_run(ops, call_expand, &c);
    }
}

/* ---- a delay for every channel ---- */

struct shift {
    struct snn_shift s;
    const real *x, *delay, *gy;
    real *y, *gx, *gdelay;
    bool adds;
};

static struct shift begin_shift(struct ops *ops, int i) {
    static const struct snn_shift shifts[] = {
        {1, 1, 0, 1, 3, 1, false}, {7, 3, 0, 5, 4, 1, false}, {9, 2, 6, 3, 5, 35, false}, {33, 2, 0, 70, 62, 1, false}};
    struct shift f = {.s = shifts[i / 4], .adds = i & 1};
    f.s.rounded = i >> 1 & 1;
    ops_begin(ops, "T %d, B %d, %d before, %d channels of %td, at most %d, rounded %d, adds %d", f.s.T, f.s.B,
              f.s.before, f.s.C, f.s.inner, f.s.most, f.s.rounded, f.adds);
    real *delay = ops_input(ops, f.s.C, sizeof *delay);
    for (int32_t c = 0; c < f.s.C; ++c) { /* whole ones, halves, and some beyond the ends */
        double whole = (double)ops_below(ops, (uint32_t)f.s.most + 2) - 0.5;
        delay[c] = (real)(c % 4 == 0 ? whole : c % 4 == 1 ? whole + 0.5 : ops_unit(ops) * f.s.most);
    }
    f.delay = delay, f.x = ops_reals(ops, (ptrdiff_t)(f.s.before + f.s.T) * f.s.B * f.s.C * f.s.inner);
    return f;
}
enum { SHIFTS = 16 };

/* For each number of y, the two of x that it is made of, at t - k and one before, with their shares. */
#define EACH_SHARE(f)                                                                                                  \
    for (ptrdiff_t at = 0; at < (ptrdiff_t)(f)->s.T * (f)->s.B * (f)->s.C * (f)->s.inner; ++at)                        \
        for (int32_t later = 0, from; later < 2; ++later)                                                              \
            if ((from = source(f, at, later)) >= 0)
static wide delay_at(const struct shift *f, ptrdiff_t at) {
    wide d = f->delay[at / f->s.inner % f->s.C];
    if (f->s.rounded) d = rintl(d);
    return d < 0 ? 0 : d > f->s.most ? f->s.most : d;
}
static int32_t source(const struct shift *f, ptrdiff_t at, int32_t later) {
    ptrdiff_t step = (ptrdiff_t)f->s.B * f->s.C * f->s.inner;
    return (int32_t)(at / step) + f->s.before - (int32_t)floorl(delay_at(f, at)) - later;
}
static ptrdiff_t source_at(const struct shift *f, ptrdiff_t at, int32_t from) {
    ptrdiff_t step = (ptrdiff_t)f->s.B * f->s.C * f->s.inner;
    return from * step + at % step;
}
static wide share(const struct shift *f, ptrdiff_t at, int32_t later) {
    wide d = delay_at(f, at), part = d - floorl(d);
    return later ? part : 1 - part;
}

static void call_shift(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct shift *f = argument;
    (void)ops;
    device->delay->shift(device, &f->s, f->x, f->delay, f->y);
}

static void check_shift(struct ops *ops) {
    for (int i = 0; i < SHIFTS; ++i) {
        struct shift f = begin_shift(ops, i);
        ptrdiff_t n = (ptrdiff_t)f.s.T * f.s.B * f.s.C * f.s.inner;
        struct ops_sum *y = ops_memory(ops, n, sizeof *y);
        EACH_SHARE(&f) ops_term(&y[at], share(&f, at, later) * f.x[source_at(&f, at, from)]);
        f.y = ops_output(ops, n, sizeof *f.y);
        ops_expect_sums(ops, f.y, y);
        ops_run(ops, call_shift, &f);
    }
}

static void call_shift_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct shift *f = argument;
    (void)ops;
    device->delay->shift_grad(device, &f->s, f->x, f->delay, f->gy, f->adds, f->gx, f->gdelay);
}

static void check_shift_grad(struct ops *ops) {
    for (int i = 0; i < SHIFTS; ++i) {
        struct shift f = begin_shift(ops, i);
        ptrdiff_t n = (ptrdiff_t)f.s.T * f.s.B * f.s.C * f.s.inner,
                  before = (ptrdiff_t)f.s.before * f.s.B * f.s.C * f.s.inner;
        f.gy = ops_reals(ops, n), f.gx = ops_output(ops, n, sizeof *f.gx);
        f.gdelay = ops_output(ops, f.s.C, sizeof *f.gdelay);
        struct ops_sum *gx = ops_memory(ops, before + n, sizeof *gx), *gdelay = ops_memory(ops, f.s.C, sizeof *gdelay);
        ops_fill(ops, f.gdelay, f.s.C, -1, 1);
        if (f.adds) ops_fill(ops, f.gx, n, -1, 1);
        for (ptrdiff_t k = 0; k < n && f.adds; ++k) ops_term(&gx[before + k], f.gx[k]);
        for (int32_t c = 0; c < f.s.C; ++c) ops_term(&gdelay[c], f.gdelay[c]);
        EACH_SHARE(&f) {
            ptrdiff_t x = source_at(&f, at, from);
            ops_term(&gx[x], share(&f, at, later) * f.gy[at]);
            ops_term(&gdelay[at / f.s.inner % f.s.C], (wide)f.gy[at] * f.x[x] * (later ? 1 : -1));
        }
        ops_expect_sums(ops, f.gx, gx + before), ops_expect_sums(ops, f.gdelay, gdelay);
        ops_run(ops, call_shift_grad, &f);
    }
}

#define CASES(X)                                                                                                       \
    X(build) X(build_grad) X(scratch) X(forward) X(grad_input) X(grad_kernel) X(expand) X(shift) X(shift_grad)
static void check_scratch(struct ops *ops) { (void)ops; } /* every case above takes what it says */
#define OPS_ENTRY_(name) OPS_ROW(snn_delay_kernels, name)
OPS_TABLE(snn_delay_kernels, CASES)
OPS_TCASE(delay)
