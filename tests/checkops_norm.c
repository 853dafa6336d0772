/* SPDX-License-Identifier: Apache-2.0
 * checkops_norm.c - batch and layer normalisation (autograd/norm.h). A bound's terms are everything that is added up on
 * the way to a number, with the subtraction of means written out: what cancels still rounds. */
#include "checkops.h"

#include "autograd/norm.h"

static const struct snn_norm_shape cases[] = {
    {1, 1, 1, 1, false, 1e-5, 0.1, 1},    {1, 2, 1, 1, true, 1e-5, 0.1, 1},    {4, 1, 3, 7, false, 1e-5, 0.1, 1},
    {3, 5, 2, 1, false, 1e-5, 0.1, 1},    {3, 5, 2, 1, true, 1e-3, 0.5, 1},    {2, 3, 17, 15, false, 1e-5, 0.1, 1},
    {2, 3, 5, 16, true, 1e-5, 0.1, 1},    {2, 2, 3, 17, false, 1e-5, 1, 1},    {1, 7, 3, 33, false, 1e-5, 0.1, 6},
    {5, 2, 4, 8, false, 1e-5, 0, 1},      {3, 3, 2, 513, true, 1e-5, 0.1, 1},  {2, 2, 33, 64, true, 1e-5, 0.1, 1},
    {2, 4, 2, 1025, false, 1e-5, 0.1, 1}, {7, 1, 65, 9, false, 1e-12, 0.1, 1}, {4, 64, 31, 1, false, 1e-5, 0.1, 1},
};
enum masking { MASK_NONE, MASK_SOME, MASK_STEP, MASKINGS }; /* rows of some samples; a whole step */

struct norm {
    struct snn_norm_shape s;
    int32_t groups, group_rows;
    ptrdiff_t n;
    const real *x, *w, *b, *mean_in, *var_in, *saved_in, *gy; /* gy NULL: in gx */
    const uint8_t *mask;
    real *mean, *var, *saved, *y, *gw, *gb, *gx;
    bool adds;
    ptrdiff_t rows, units;
    double eps;
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
    v.x = x, v.w = ops_reals(ops, s->C), v.b = ops_reals(ops, s->C);
    uint8_t *mask = masking ? ops_input(ops, s->T * s->B, 1) : NULL;
    for (int32_t r = 0; mask && r < s->T * s->B; ++r)
        mask[r] = masking == MASK_STEP ? r / s->B != s->T - 1 : ops_below(ops, 3) != 0;
    v.mask = mask;
    return v;
}

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
    struct ops_sum *mean = ops_memory(ops, s->C, sizeof *mean), *var = ops_memory(ops, s->C, sizeof *var);
    v.saved = ops_output(ops, v.groups * s->C * 2, sizeof *v.saved), v.y = ops_output(ops, v.n, sizeof *v.y);
    ops_expect_sums(ops, v.saved, saved), ops_expect_sums(ops, v.y, y);
    if (running) {
        v.mean = ops_output(ops, s->C, sizeof *v.mean), v.var = ops_output(ops, s->C, sizeof *v.var);
        ops_fill(ops, v.mean, s->C, -1, 1), ops_fill(ops, v.var, s->C, 0.5, 2);
        ops_expect_sums(ops, v.mean, mean), ops_expect_sums(ops, v.var, var);
    }
    for (int32_t c = 0; c < s->C; ++c) {
        if (running) ops_term(&mean[c], v.mean[c]), ops_term(&var[c], v.var[c]);
        for (int32_t g = 0; g < v.groups; ++g) {
            struct statistics st = statistics_of(&v, g, c);
            ptrdiff_t n = (ptrdiff_t)st.n;
            saved[(g * s->C + c) * 2] = (struct ops_sum){st.mean, st.magnitude, n};
            saved[(g * s->C + c) * 2 + 1] = (struct ops_sum){st.inverse, st.inverse, n};
            wide moves = 1 - powl(1 - (wide)s->momentum, s->repeats),
                 unbiased = st.n > 1 ? st.squares / (st.n - 1) : st.var;
            if (st.n > 0) {
                mean[c].value += moves * (st.mean - mean[c].value), mean[c].terms += st.magnitude, mean[c].n += n;
                var[c].value += moves * (unbiased - var[c].value), var[c].terms += unbiased, var[c].n += n;
            }
            for (ptrdiff_t k = 0; k < v.group_rows * s->inner; ++k) {
                ptrdiff_t e = at(&v, g, c, k);
                wide scale = st.inverse * v.w[c];
                y[e] = (struct ops_sum){(v.x[e] - st.mean) * scale + v.b[c],
                                        (fabsl((wide)v.x[e]) + st.magnitude) * fabsl(scale) + fabsl((wide)v.b[c]), n};
            }
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
    real *var = ops_input(ops, v->s.C, sizeof *var);
    ops_fill(ops, var, v->s.C, 0.01, 2);
    v->var_in = var, v->mean_in = ops_reals(ops, v->s.C);
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
            ptrdiff_t c = e / v.s.inner % v.s.C;
            wide scale = v.w[c] / sqrtl((wide)v.var_in[c] + (wide)v.s.eps);
            ops_term(&y[e], v.x[e] * scale), ops_term(&y[e], -v.mean_in[c] * scale), ops_term(&y[e], v.b[c]);
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
    v->gx = ops_output(ops, n, sizeof *v->gx), v->gw = ops_output(ops, channels, sizeof *v->gw),
    v->gb = ops_output(ops, channels, sizeof *v->gb);
    ops_fill(ops, v->gw, channels, -1, 1), ops_fill(ops, v->gb, channels, -1, 1);
    if (option) ops_fill(ops, v->gx, n, -1, 1);
    v->gy = option & 2 ? NULL : ops_reals(ops, n);
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
        wide scale = v->w[c] * inverse, old = v->adds ? (wide)v->gx[e] : 0, coupled = counts(v, e) ? scale / n : 0;
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
    begin_gradient(ops, &v, v.n, s->C, option);
    struct ops_sum *gx = ops_memory(ops, v.n, sizeof *gx), *gw = ops_memory(ops, s->C, sizeof *gw),
                   *gb = ops_memory(ops, s->C, sizeof *gb);
    v.saved_in = saved;
    for (int32_t c = 0; c < s->C; ++c) {
        ops_term(&gw[c], v.gw[c]), ops_term(&gb[c], v.gb[c]);
        for (int32_t g = 0; g < v.groups; ++g) {
            struct statistics st = statistics_of(&v, g, c);
            saved[(g * s->C + c) * 2] = (real)st.mean, saved[(g * s->C + c) * 2 + 1] = (real)st.inverse;
            batch_grad_group(&v, g, c, &gw[c], &gb[c], gx);
        }
    }
    ops_expect_sums(ops, v.gx, gx), ops_expect_sums(ops, v.gw, gw), ops_expect_sums(ops, v.gb, gb);
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
        int32_t C = v.s.C;
        add_running(ops, &v);
        begin_gradient(ops, &v, v.n, C, i % 3);
        struct ops_sum *gx = ops_memory(ops, v.n, sizeof *gx), *gw = ops_memory(ops, C, sizeof *gw),
                       *gb = ops_memory(ops, C, sizeof *gb);
        for (int32_t c = 0; c < C; ++c) ops_term(&gw[c], v.gw[c]), ops_term(&gb[c], v.gb[c]);
        for (ptrdiff_t e = 0; e < v.n; ++e) {
            ptrdiff_t c = e / v.s.inner % C;
            wide inverse = 1 / sqrtl((wide)v.var_in[c] + (wide)v.s.eps), gy = gradient_of(&v)[e];
            ops_term(&gw[c], gy * (v.x[e] - (wide)v.mean_in[c]) * inverse), ops_term(&gb[c], gy);
            if (v.adds) ops_term(&gx[e], v.gx[e]);
            ops_term(&gx[e], gy * v.w[c] * inverse);
        }
        ops_expect_sums(ops, v.gx, gx), ops_expect_sums(ops, v.gw, gw), ops_expect_sums(ops, v.gb, gb);
        ops_run(ops, call_batch_eval_grad, &v);
    }
}

/* ---- layer ---- */

static const struct {
    ptrdiff_t rows, units;
} layers[] = {{1, 1},  {1, 2},  {3, 7},  {2, 15},  {2, 16},  {5, 17},  {4, 31},  {7, 33},
              {3, 63}, {9, 64}, {6, 65}, {2, 511}, {3, 512}, {2, 513}, {33, 129}};

static struct norm begin_layer(struct ops *ops, int i, int option) {
    struct norm v = {.rows = layers[i].rows, .units = layers[i].units, .eps = 1e-5};
    ops_begin(ops, "%td rows of %td, option %d", v.rows, v.units, option);
    real *x = ops_reals(ops, v.rows * v.units);
    for (ptrdiff_t k = 0; k < v.rows * v.units; ++k) x[k] += (real)(k / v.units % 3);
    v.x = x, v.w = ops_reals(ops, v.units), v.b = ops_reals(ops, v.units);
    return v;
}

static struct statistics row_statistics(const struct norm *v, ptrdiff_t r) {
    struct statistics st = {.n = v->units};
    const real *x = v->x + r * v->units;
    for (ptrdiff_t k = 0; k < v->units; ++k) st.mean += x[k] / st.n, st.magnitude += fabsl((wide)x[k]) / st.n;
    for (ptrdiff_t k = 0; k < v->units; ++k) st.var += (x[k] - st.mean) * (x[k] - st.mean) / st.n;
    st.inverse = 1 / sqrtl(st.var + (wide)v->eps);
    return st;
}

static void call_layer(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->layer(device, v->rows, v->units, v->eps, v->x, v->w, v->b, v->saved, v->y);
}

static void check_layer(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(layers); ++i) {
        struct norm v = begin_layer(ops, i, 0);
        struct ops_sum *y = ops_memory(ops, v.rows * v.units, sizeof *y),
                       *saved = ops_memory(ops, 2 * v.rows, sizeof *saved);
        for (ptrdiff_t r = 0; r < v.rows; ++r) {
            struct statistics st = row_statistics(&v, r);
            saved[2 * r] = (struct ops_sum){st.mean, st.magnitude, v.units};
            saved[2 * r + 1] = (struct ops_sum){st.inverse, st.inverse, v.units};
            for (ptrdiff_t k = 0; k < v.units; ++k) {
                wide x = v.x[r * v.units + k], scale = st.inverse * v.w[k];
                y[r * v.units + k] =
                    (struct ops_sum){(x - st.mean) * scale + v.b[k],
                                     (fabsl(x) + st.magnitude) * fabsl(scale) + fabsl((wide)v.b[k]), v.units};
            }
        }
        v.saved = ops_output(ops, 2 * v.rows, sizeof *v.saved), v.y = ops_output(ops, v.rows * v.units, sizeof *v.y);
        ops_expect_sums(ops, v.saved, saved), ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_layer, &v);
    }
}

static void call_layer_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct norm *v = argument;
    (void)ops;
    device->norm->layer_grad(device, v->rows, v->units, v->x, v->w, v->saved_in, gradient_of(v), v->gw, v->gb, v->adds,
                             v->gx);
}

static void layer_grad_row(const struct norm *v, ptrdiff_t r, struct ops_sum *gw, struct ops_sum *gb,
                           struct ops_sum *gx) {
    wide mean = v->saved_in[2 * r], inverse = v->saved_in[2 * r + 1];
    const real *gy = gradient_of(v) + r * v->units, *x = v->x + r * v->units;
    struct ops_sum sum = {0}, dot = {0};
    for (ptrdiff_t k = 0; k < v->units; ++k) {
        wide normal = (x[k] - mean) * inverse;
        ops_term(&gw[k], gy[k] * normal), ops_term(&gb[k], gy[k]);
        ops_term(&sum, (wide)gy[k] * v->w[k] / v->units), ops_term(&dot, (wide)gy[k] * v->w[k] * normal / v->units);
    }
    for (ptrdiff_t k = 0; k < v->units; ++k) {
        wide old = v->adds ? (wide)v->gx[r * v->units + k] : 0, g = (wide)gy[k] * v->w[k];
        gx[r * v->units + k] = (struct ops_sum){
            old + inverse * (g - sum.value - (x[k] - mean) * inverse * dot.value),
            fabsl(old) + inverse * (fabsl(g) + sum.terms + (fabsl((wide)x[k]) + fabsl(mean)) * inverse * dot.terms),
            v->units};
    }
}

static void check_layer_grad(struct ops *ops) {
    for (int i = 0; i < 3 * OPS_COUNT(layers); ++i) {
        struct norm v = begin_layer(ops, i / 3, i % 3);
        real *saved = ops_input(ops, 2 * v.rows, sizeof *saved);
        begin_gradient(ops, &v, v.rows * v.units, v.units, i % 3);
        v.saved_in = saved;
        struct ops_sum *gx = ops_memory(ops, v.rows * v.units, sizeof *gx);
        struct ops_sum *gw = ops_memory(ops, v.units, sizeof *gw), *gb = ops_memory(ops, v.units, sizeof *gb);
        for (ptrdiff_t k = 0; k < v.units; ++k) ops_term(&gw[k], v.gw[k]), ops_term(&gb[k], v.gb[k]);
        for (ptrdiff_t r = 0; r < v.rows; ++r) {
            struct statistics st = row_statistics(&v, r);
            saved[2 * r] = (real)st.mean, saved[2 * r + 1] = (real)st.inverse;
            layer_grad_row(&v, r, gw, gb, gx);
        }
        ops_expect_sums(ops, v.gx, gx), ops_expect_sums(ops, v.gw, gw), ops_expect_sums(ops, v.gb, gb);
        ops_run(ops, call_layer_grad, &v);
    }
}

#define CASES(X) X(batch) X(batch_eval) X(batch_grad) X(batch_eval_grad) X(layer) X(layer_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_norm_kernels, name)
OPS_TABLE(snn_norm_kernels, CASES)
OPS_TCASE(norm)
