/* SPDX-License-Identifier: Apache-2.0
 * checkops_norm.c - normalisation by channel and of rows (autograd/norm.h). A bound's terms are everything that is
 * added up on the way to a number, with the subtraction of means written out: what cancels still rounds. Cases take
 * turns in having factors and summands. */
#include "checkops.h"

#include "autograd/norm.h"

static const struct snn_norm_shape cases[] = {
    {1, 1, 1, 1, false, 1e-5, 0.1, 1},
    {1, 2, 1, 1, true, 1e-5, 0.1, 1},
    {4, 1, 3, 7, false, 1e-5, 0.1, 1},
    {3, 5, 2, 1, false, 1e-5, 0.1, 1},
    {3, 5, 2, 1, true, 1e-3, 0.5, 1},
    {2, 3, 17, 15, false, 1e-5, 0.1, 1},
    {2, 3, 5, 16, true, 1e-5, 0.1, 1},
    {2, 2, 3, 17, false, 1e-5, 1, 1},
    {1, 7, 3, 33, false, 1e-5, 0.1, 6},
    {5, 2, 4, 8, false, 1e-5, 0, 1},
    {3, 3, 2, 513, true, 1e-5, 0.1, 1},
    {2, 2, 33, 64, true, 1e-5, 0.1, 1},
    {2, 4, 2, 1025, false, 1e-5, 0.1, 1},
    {7, 1, 65, 9, false, 1e-12, 0.1, 1},
    {4, 64, 31, 1, false, 1e-5, 0.1, 1},
    /* steps with parameters of their own */
    {4, 3, 2, 5, false, 1e-5, 0.1, 1, 2},
    {3, 2, 33, 1, false, 1e-3, 0.3, 1, 33},
    {40, 2, 3, 4, false, 1e-5, 0.1, 1, 3},
    {1, 5, 4, 7, false, 1e-5, 0.1, 1, 4},
};
enum masking { MASK_NONE, MASK_SOME, MASK_STEP, MASKINGS }; /* rows of some samples; a whole step */

#define TINY 1e-35L /* what is near it has fewer digits */

struct norm {
    struct snn_norm_shape s;
    int32_t groups, group_rows;
    ptrdiff_t n;
    const real *x, *w, *b, *mean_in, *var_in, *saved_in, *gy; /* gy NULL: in gx */
    const uint8_t *mask;
    real *mean, *var, *saved, *y, *gw, *gb, *gx;
    bool adds;
    ptrdiff_t parameters;
    struct snn_row_norm_shape rows;
};

static struct norm begin_norm(struct ops *ops, int i, enum masking masking, int option) {
    struct norm v = {.s = cases[i]};
    const struct snn_norm_shape *s = &v.s;
    ops_begin(ops, "T %d, B %d, C %d, inner %td, joint %d, repeats %d, mask %d, option %d", s->T, s->B, s->C, s->inner,
              s->joint, s->repeats, masking, option);
    v.groups = s->joint ? 1 : s->T, v.group_rows = s->joint ? s->T * s->B : s->B;
    v.n = (ptrdiff_t)s->T * s->B * s->C * s->inner;
    real *x = ops_reals(ops, v.n);
    for (ptrdiff_t k = 0; k < v.n; ++k) x[k] += (real)(k / s->inner % s->C); /* channels differ in mean */
    v.parameters = s->step ? s->T * s->C : s->C;
    v.x = x, v.w = i % 3 < 2 ? ops_reals(ops, v.parameters) : NULL,
    v.b = i % 3 < 1 ? ops_reals(ops, v.parameters) : NULL;
    uint8_t *mask = masking ? ops_input(ops, s->T * s->B, 1) : NULL;
    for (int32_t r = 0; mask && r < s->T * s->B; ++r)
        mask[r] = masking == MASK_STEP ? r / s->B != s->T - 1 : ops_below(ops, 3) != 0;
    v.mask = mask;
    return v;
}

/* Parameter of channel c of step t, and what it is. */
static ptrdiff_t parameter(const struct norm *v, ptrdiff_t t, ptrdiff_t c) { return t * v->s.step + c; }
static wide factor(const struct norm *v, ptrdiff_t p) { return v->w ? (wide)v->w[p] : 1; }
static wide summand(const struct norm *v, ptrdiff_t p) { return v->b ? (wide)v->b[p] : 0; }

/* Channel c of group g: element k of a run over its rows. */
static ptrdiff_t at(const struct norm *v, int32_t g, int32_t c, ptrdiff_t k) {
    ptrdiff_t row = (v->s.joint ? 0 : g * v->s.B) + k / v->s.inner;
    return (row * v->s.C + c) * v->s.inner + k % v->s.inner;
}
static bool counts(const struct norm *v, ptrdiff_t i) { return !v->mask || v->mask[i / (v->s.C * v->s.inner)]; }

struct statistics {
    wide n, mean, var, squares, inverse, magnitude; /* magnitude: mean of |x| */
};
static struct statistics statistics_of(const struct norm *v, int32_t g, int32_t c) {
    struct statistics st = {0};
    ptrdiff_t length = v->group_rows * v->s.inner;
    for (ptrdiff_t k = 0; k < length; ++k)
        if (counts(v, at(v, g, c, k)))
            ++st.n, st.mean += v->x[at(v, g, c, k)], st.magnitude += fabsl((wide)v->x[at(v, g, c, k)]);
    if (st.n > 0) st.mean /= st.n, st.magnitude /= st.n;
    for (ptrdiff_t k = 0; k < length; ++k)
        if (counts(v, at(v, g, c, k)))
            st.squares += (v->x[at(v, g, c, k)] - st.mean) * (v->x[at(v, g, c, k)] - st.mean);
    st.var = st.n > 0 ? st.squares / st.n : 0;
    st.inverse = 1 / sqrtl(st.var + (wide)v->s.eps);
    return st;
}

/* ---- batch, forward ---- */

static void call_batch(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->batch(device, &v->s, v->x, v->w, v->b, v->mask, v->mean, v->var, v->saved, v->y);
}

static void batch_case(struct ops *ops, int i, enum masking masking, bool running) {
    struct norm v = begin_norm(ops, i, masking, running);
    const struct snn_norm_shape *s = &v.s;
    struct ops_sum *y = ops_memory(ops, v.n, sizeof *y), *saved = ops_memory(ops, v.groups * s->C * 2, sizeof *saved);
    ptrdiff_t count = v.parameters;
    struct ops_sum *mean = ops_memory(ops, count, sizeof *mean), *var = ops_memory(ops, count, sizeof *var);
    v.saved = ops_output(ops, v.groups * s->C * 2, sizeof *v.saved), v.y = ops_output(ops, v.n, sizeof *v.y);
    ops_expect_sums(ops, v.saved, saved), ops_expect_sums(ops, v.y, y);
    if (running) {
        v.mean = ops_output(ops, count, sizeof *v.mean), v.var = ops_output(ops, count, sizeof *v.var);
        ops_fill(ops, v.mean, count, -1, 1), ops_fill(ops, v.var, count, 0.5, 2);
        ops_expect_sums(ops, v.mean, mean), ops_expect_sums(ops, v.var, var);
    }
    for (ptrdiff_t p = 0; p < count && running; ++p) ops_term(&mean[p], v.mean[p]), ops_term(&var[p], v.var[p]);
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t g = 0; g < v.groups; ++g) {
            struct statistics st = statistics_of(&v, g, c);
            ptrdiff_t n = (ptrdiff_t)st.n, p = parameter(&v, g, c);
            saved[(g * s->C + c) * 2] = (struct ops_sum){st.mean, st.magnitude, n};
            saved[(g * s->C + c) * 2 + 1] = (struct ops_sum){st.inverse, st.inverse, n};
            wide moves = 1 - powl(1 - (wide)s->momentum, s->repeats),
                 unbiased = st.n > 1 ? st.squares / (st.n - 1) : st.var;
            if (st.n > 0) {
                mean[p].value += moves * (st.mean - mean[p].value), mean[p].terms += st.magnitude, mean[p].n += n;
                var[p].value += moves * (unbiased - var[p].value), var[p].terms += unbiased, var[p].n += n;
            }
            for (ptrdiff_t k = 0; k < v.group_rows * s->inner; ++k) {
                ptrdiff_t e = at(&v, g, c, k);
                wide scale = st.inverse * factor(&v, p), shift = summand(&v, p);
                y[e] = (struct ops_sum){(v.x[e] - st.mean) * scale + shift,
                                        (fabsl((wide)v.x[e]) + st.magnitude) * fabsl(scale) + fabsl(shift) + TINY, n};
            }
        }
    ops_run(ops, call_batch, &v);
}

static void check_batch(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int m = 0; m < MASKINGS; ++m) batch_case(ops, i, m, true), batch_case(ops, i, m, false);
}

/* Running statistics as inputs. */
static void add_running(struct ops *ops, struct norm *v) {
    real *var = ops_input(ops, v->parameters, sizeof *var);
    ops_fill(ops, var, v->parameters, 0.01, 2);
    v->var_in = var, v->mean_in = ops_reals(ops, v->parameters);
}

static void call_batch_eval(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->batch_eval(device, &v->s, v->x, v->w, v->b, v->mean_in, v->var_in, v->y);
}

static void check_batch_eval(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i) {
        struct norm v = begin_norm(ops, i, MASK_NONE, 0);
        add_running(ops, &v);
        struct ops_sum *y = ops_memory(ops, v.n, sizeof *y);
        for (ptrdiff_t e = 0; e < v.n; ++e) {
            ptrdiff_t c = e / v.s.inner % v.s.C, p = parameter(&v, e / v.s.inner / v.s.C / v.s.B, c);
            wide scale = factor(&v, p) / sqrtl((wide)v.var_in[p] + (wide)v.s.eps);
            ops_term(&y[e], v.x[e] * scale), ops_term(&y[e], -v.mean_in[p] * scale), ops_term(&y[e], summand(&v, p));
        }
        v.y = ops_output(ops, v.n, sizeof *v.y);
        ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_batch_eval, &v);
    }
}

/* ---- batch, backward ---- */

/* gy as an input, or in gx; gradients of w and b are added to. option: bit 0 adds to gx, bit 1 works in place */
static void begin_gradient(struct ops *ops, struct norm *v, ptrdiff_t n, ptrdiff_t channels, int option) {
    v->adds = option & 1;
    v->gx = ops_output(ops, n, sizeof *v->gx);
    if (v->w) v->gw = ops_output(ops, channels, sizeof *v->gw), ops_fill(ops, v->gw, channels, -1, 1);
    if (v->b) v->gb = ops_output(ops, channels, sizeof *v->gb), ops_fill(ops, v->gb, channels, -1, 1);
    if (option) ops_fill(ops, v->gx, n, -1, 1);
    v->gy = option & 2 ? NULL : ops_reals(ops, n);
}
/* Of what is there: what it holds already. */
static void old_gradients(const struct norm *v, ptrdiff_t n, struct ops_sum *gw, struct ops_sum *gb) {
    for (ptrdiff_t p = 0; p < n && v->gw; ++p) ops_term(&gw[p], v->gw[p]);
    for (ptrdiff_t p = 0; p < n && v->gb; ++p) ops_term(&gb[p], v->gb[p]);
}
static void expect_gradients(struct ops *ops, const struct norm *v, const struct ops_sum *gw, const struct ops_sum *gb,
                             const struct ops_sum *gx) {
    ops_expect_sums(ops, v->gx, gx);
    if (v->gw) ops_expect_sums(ops, v->gw, gw);
    if (v->gb) ops_expect_sums(ops, v->gb, gb);
}
static const real *gradient_of(const struct norm *v) { return v->gy ? v->gy : v->gx; }

static void call_batch_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    real *partial = ops_scratch(ops, (size_t)(v->groups * v->s.C * 2) * sizeof *partial);
    device->norm->batch_grad(device, &v->s, v->x, v->w, v->mask, v->saved_in, gradient_of(v), partial, v->gw, v->gb,
                             v->adds, v->gx);
}

/* y = (x - mean) inverse w + b with mean and inverse of the group: every row of the group depends on every row that
 * counts. */
static void batch_grad_group(const struct norm *v, int32_t g, int32_t c, struct ops_sum *gw, struct ops_sum *gb,
                             struct ops_sum *gx) {
    const real *gy = gradient_of(v);
    wide mean = v->saved_in[(g * v->s.C + c) * 2], inverse = v->saved_in[(g * v->s.C + c) * 2 + 1], n = 0;
    struct ops_sum sum = {0}, dot = {0};
    for (ptrdiff_t k = 0; k < v->group_rows * v->s.inner; ++k) {
        ptrdiff_t e = at(v, g, c, k);
        ops_term(&sum, gy[e]), ops_term(&dot, gy[e] * (v->x[e] - mean) * inverse);
        n += counts(v, e);
    }
    gw->value += dot.value, gw->terms += dot.terms, gw->n += dot.n;
    gb->value += sum.value, gb->terms += sum.terms, gb->n += sum.n;
    for (ptrdiff_t k = 0; k < v->group_rows * v->s.inner; ++k) {
        ptrdiff_t e = at(v, g, c, k);
        wide scale = factor(v, parameter(v, g, c)) * inverse, old = v->adds ? (wide)v->gx[e] : 0,
             coupled = counts(v, e) ? scale / n : 0;
        gx[e] = (struct ops_sum){old + scale * gy[e] - coupled * (sum.value + (v->x[e] - mean) * inverse * dot.value),
                                 fabsl(old) + fabsl(scale * gy[e]) +
                                     fabsl(coupled) *
                                         (sum.terms + (fabsl((wide)v->x[e]) + fabsl(mean)) * inverse * dot.terms),
                                 sum.n};
    }
}

static void batch_grad_case(struct ops *ops, int i, enum masking masking, int option) {
    struct norm v = begin_norm(ops, i, masking, option);
    const struct snn_norm_shape *s = &v.s;
    real *saved = ops_input(ops, v.groups * s->C * 2, sizeof *saved);
    begin_gradient(ops, &v, v.n, v.parameters, option);
    struct ops_sum *gx = ops_memory(ops, v.n, sizeof *gx), *gw = ops_memory(ops, v.parameters, sizeof *gw),
                   *gb = ops_memory(ops, v.parameters, sizeof *gb);
    v.saved_in = saved;
    old_gradients(&v, v.parameters, gw, gb);
    for (int32_t c = 0; c < s->C; ++c)
        for (int32_t g = 0; g < v.groups; ++g) {
            struct statistics st = statistics_of(&v, g, c);
            ptrdiff_t p = parameter(&v, g, c);
            saved[(g * s->C + c) * 2] = (real)st.mean, saved[(g * s->C + c) * 2 + 1] = (real)st.inverse;
            batch_grad_group(&v, g, c, &gw[p], &gb[p], gx);
        }
    expect_gradients(ops, &v, gw, gb, gx);
    ops_run(ops, call_batch_grad, &v);
}

static void check_batch_grad(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i)
        for (int m = 0; m < MASKINGS; ++m)
            for (int option = 0; option < 3; ++option) batch_grad_case(ops, i, m, option);
}

static void call_batch_eval_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->batch_eval_grad(device, &v->s, v->x, v->w, v->mean_in, v->var_in, gradient_of(v), v->gw, v->gb,
                                  v->adds, v->gx);
}

static void check_batch_eval_grad(struct ops *ops) {
    for (int i = 0; i < 3 * OPS_COUNT(cases); ++i) {
        struct norm v = begin_norm(ops, i / 3, MASK_NONE, i % 3);
        add_running(ops, &v);
        begin_gradient(ops, &v, v.n, v.parameters, i % 3);
        struct ops_sum *gx = ops_memory(ops, v.n, sizeof *gx), *gw = ops_memory(ops, v.parameters, sizeof *gw),
                       *gb = ops_memory(ops, v.parameters, sizeof *gb);
        old_gradients(&v, v.parameters, gw, gb);
        for (ptrdiff_t e = 0; e < v.n; ++e) {
            ptrdiff_t plane = e / v.s.inner, p = parameter(&v, plane / v.s.C / v.s.B, plane % v.s.C);
            wide inverse = 1 / sqrtl((wide)v.var_in[p] + (wide)v.s.eps), gy = gradient_of(&v)[e];
            ops_term(&gw[p], gy * (v.x[e] - (wide)v.mean_in[p]) * inverse), ops_term(&gb[p], gy);
            if (v.adds) ops_term(&gx[e], v.gx[e]);
            ops_term(&gx[e], gy * factor(&v, p) * inverse);
        }
        expect_gradients(ops, &v, gw, gb, gx);
        ops_run(ops, call_batch_eval_grad, &v);
    }
}

/* ---- rows ---- */

static const struct {
    ptrdiff_t rows, groups, units, inner;
} rows[] = {{1, 1, 1, 1},   {1, 1, 2, 1},    {3, 1, 7, 1},     {2, 1, 15, 1},   {2, 1, 16, 1}, {5, 1, 17, 1},
            {4, 1, 31, 1},  {7, 1, 33, 1},   {3, 1, 63, 1},    {9, 1, 64, 1},   {6, 1, 65, 1}, {2, 1, 511, 1},
            {3, 1, 512, 1}, {2, 1, 513, 1},  {33, 1, 129, 1},  {3, 2, 6, 3},    {5, 3, 10, 1}, {2, 4, 35, 7},
            {3, 5, 9, 9},   {17, 2, 66, 33}, {2, 3, 600, 300}, {70, 2, 64, 16}, {1, 2, 4, 2}};

/* option: bits 0 and 1 as begin_gradient has them; centred and with parameters in turns */
static struct norm begin_rows(struct ops *ops, int i, int option, bool centred) {
    struct norm v = {.rows = {.rows = rows[i].rows,
                              .groups = rows[i].groups,
                              .units = rows[i].units,
                              .inner = rows[i].inner,
                              .centred = centred,
                              .eps = 1e-5}};
    ptrdiff_t width = v.rows.groups * v.rows.units;
    ops_begin(ops, "%td rows of %td groups of %td, %td alike, centred %d, option %d", v.rows.rows, v.rows.groups,
              v.rows.units, v.rows.inner, centred, option);
    real *x = ops_reals(ops, v.rows.rows * width);
    for (ptrdiff_t k = 0; k < v.rows.rows * width; ++k) x[k] += (real)(k / v.rows.units % 3);
    v.parameters = width / v.rows.inner;
    v.x = x, v.w = i % 4 < 3 ? ops_reals(ops, v.parameters) : NULL,
    v.b = i % 4 < 2 ? ops_reals(ops, v.parameters) : NULL;
    return v;
}

/* Parameter of unit i of group k, groups of all rows numbered through. */
static ptrdiff_t row_parameter(const struct norm *v, ptrdiff_t k, ptrdiff_t i) {
    return (k % v->rows.groups * v->rows.units + i) / v->rows.inner;
}

static struct statistics group_statistics(const struct norm *v, ptrdiff_t k) {
    struct statistics st = {.n = v->rows.units};
    const real *x = v->x + k * v->rows.units;
    for (ptrdiff_t i = 0; i < v->rows.units; ++i) st.mean += x[i] / st.n, st.magnitude += fabsl((wide)x[i]) / st.n;
    if (!v->rows.centred) st.mean = 0;
    for (ptrdiff_t i = 0; i < v->rows.units; ++i) st.var += (x[i] - st.mean) * (x[i] - st.mean) / st.n;
    st.inverse = 1 / sqrtl(st.var + (wide)v->rows.eps);
    return st;
}

static void call_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->rows(device, &v->rows, v->x, v->w, v->b, v->saved, v->y);
}

static void check_rows(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(rows); ++i) {
        struct norm v = begin_rows(ops, i / 2, 0, i % 2);
        ptrdiff_t units = v.rows.units, groups = v.rows.rows * v.rows.groups;
        struct ops_sum *y = ops_memory(ops, groups * units, sizeof *y),
                       *saved = ops_memory(ops, 2 * groups, sizeof *saved);
        for (ptrdiff_t k = 0; k < groups; ++k) {
            struct statistics st = group_statistics(&v, k);
            saved[2 * k] = (struct ops_sum){st.mean, v.rows.centred ? st.magnitude : 0, units};
            saved[2 * k + 1] = (struct ops_sum){st.inverse, st.inverse, units};
            for (ptrdiff_t j = 0; j < units; ++j) {
                ptrdiff_t p = row_parameter(&v, k, j);
                wide x = v.x[k * units + j], scale = st.inverse * factor(&v, p), shift = summand(&v, p);
                y[k * units + j] =
                    (struct ops_sum){(x - st.mean) * scale + shift,
                                     (fabsl(x) + st.magnitude) * fabsl(scale) + fabsl(shift) + TINY, units};
            }
        }
        v.saved = ops_output(ops, 2 * groups, sizeof *v.saved), v.y = ops_output(ops, groups * units, sizeof *v.y);
        ops_expect_sums(ops, v.saved, saved), ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_rows, &v);
    }
}

static void call_rows_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->rows_grad(device, &v->rows, v->x, v->w, v->saved_in, gradient_of(v), v->gw, v->gb, v->adds, v->gx);
}

static void group_gradient(const struct norm *v, ptrdiff_t k, struct ops_sum *gw, struct ops_sum *gb,
                           struct ops_sum *gx) {
    ptrdiff_t units = v->rows.units;
    wide mean = v->saved_in[2 * k], inverse = v->saved_in[2 * k + 1];
    const real *gy = gradient_of(v) + k * units, *x = v->x + k * units;
    struct ops_sum sum = {0}, dot = {0};
    for (ptrdiff_t i = 0; i < units; ++i) {
        ptrdiff_t p = row_parameter(v, k, i);
        wide normal = (x[i] - mean) * inverse, weighted = gy[i] * factor(v, p);
        ops_term(&gw[p], gy[i] * normal), ops_term(&gb[p], gy[i]);
        ops_term(&sum, v->rows.centred ? weighted / units : 0), ops_term(&dot, weighted * normal / units);
    }
    for (ptrdiff_t i = 0; i < units; ++i) {
        wide old = v->adds ? (wide)v->gx[k * units + i] : 0, g = gy[i] * factor(v, row_parameter(v, k, i));
        gx[k * units + i] = (struct ops_sum){
            old + inverse * (g - sum.value - (x[i] - mean) * inverse * dot.value),
            fabsl(old) + inverse * (fabsl(g) + sum.terms + (fabsl((wide)x[i]) + fabsl(mean)) * inverse * dot.terms),
            units};
    }
}

static void check_rows_grad(struct ops *ops) {
    for (int i = 0; i < 6 * OPS_COUNT(rows); ++i) {
        struct norm v = begin_rows(ops, i / 6, i % 3, i % 2);
        ptrdiff_t groups = v.rows.rows * v.rows.groups, n = groups * v.rows.units;
        real *saved = ops_input(ops, 2 * groups, sizeof *saved);
        begin_gradient(ops, &v, n, v.parameters, i % 3);
        v.saved_in = saved;
        struct ops_sum *gx = ops_memory(ops, n, sizeof *gx);
        struct ops_sum *gw = ops_memory(ops, v.parameters, sizeof *gw), *gb = ops_memory(ops, v.parameters, sizeof *gb);
        old_gradients(&v, v.parameters, gw, gb);
        for (ptrdiff_t k = 0; k < groups; ++k) {
            struct statistics st = group_statistics(&v, k);
            saved[2 * k] = (real)st.mean, saved[2 * k + 1] = (real)st.inverse;
            group_gradient(&v, k, gw, gb, gx);
        }
        expect_gradients(ops, &v, gw, gb, gx);
        ops_run(ops, call_rows_grad, &v);
    }
}

#define CASES(X) X(batch) X(batch_eval) X(batch_grad) X(batch_eval_grad) X(rows) X(rows_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_norm_kernels, name)
OPS_TABLE(snn_norm_kernels, CASES)
OPS_TCASE(norm)
