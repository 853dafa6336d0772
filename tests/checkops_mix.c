/* SPDX-License-Identifier: Apache-2.0
 * checkops_mix.c - joins, factors, clamps and products over time (autograd/mix.h). */
#include "checkops.h"

#include <string.h>

#include "autograd/mix.h"

struct mix {
    ptrdiff_t n, rows, from_step, to_step;
    const real *a, *b, *gy;
    real *y, *ga, *gb;
    real low, high;
    bool adds, adds_b;
    enum snn_join how;
    struct snn_scale_shape shape;
};

/* ---- copies ---- */

static const struct {
    ptrdiff_t rows, n, from_step, to_step;
} copies[] = {{0, 3, 3, 3},    {1, 1, 1, 1},       {3, 5, 5, 9},    {4, 7, 12, 7},     {7, 33, 0, 33},
              {5, 64, 64, 65}, {2, 1025, 0, 1025}, {300, 3, 4, 11}, {3, 600, 601, 600}};

static void call_copy_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->copy_rows(device, v->rows, v->n, v->a, v->from_step, v->adds, v->y, v->to_step);
}

static void check_copy_rows(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(copies); ++i) {
        struct mix v = {.rows = copies[i / 2].rows,
                        .n = copies[i / 2].n,
                        .from_step = copies[i / 2].from_step,
                        .to_step = copies[i / 2].to_step,
                        .adds = i % 2};
        ops_begin(ops, "%td rows of %td, steps %td and %td, adds %d", v.rows, v.n, v.from_step, v.to_step, v.adds);
        ptrdiff_t room = v.rows * v.to_step;
        v.a = ops_reals(ops, (v.from_step ? v.rows : 1) * (v.from_step ? v.from_step : v.n));
        v.y = ops_output(ops, room, sizeof *v.y);
        ops_fill(ops, v.y, room, -1, 1); /* what lies between the rows stays */
        real *y = ops_memory(ops, room, sizeof *y);
        for (ptrdiff_t k = 0; k < room; ++k) y[k] = v.y[k];
        for (ptrdiff_t r = 0; r < v.rows; ++r)
            for (ptrdiff_t k = 0; k < v.n; ++k) {
                real from = v.a[r * v.from_step + k];
                y[r * v.to_step + k] = v.adds ? y[r * v.to_step + k] + from : from;
            }
        ops_expect(ops, v.y, y);
        ops_run(ops, call_copy_rows, &v);
    }
}

/* ---- clamps ---- */

static const ptrdiff_t counts[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 1023, 20000, 33000};

static void call_clamp(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->clamp(device, v->n, v->low, v->high, v->a ? v->a : v->y, v->y);
}

static struct mix begin_clamp(struct ops *ops, int i) {
    struct mix v = {.n = counts[i / 4], .low = i & 1 ? 0 : (real)-0.5, .high = i & 1 ? (real)INFINITY : (real)0.25};
    ops_begin(ops, "%td numbers, %g to %g, option %d", v.n, (double)v.low, (double)v.high, i % 4);
    return v;
}

static void check_clamp(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(counts); ++i) {
        struct mix v = begin_clamp(ops, i);
        v.y = ops_output(ops, v.n, sizeof *v.y);
        ops_fill(ops, v.y, v.n, -1, 1);
        if (i & 2) v.a = ops_reals(ops, v.n);
        real *y = ops_memory(ops, v.n, sizeof *y);
        for (ptrdiff_t k = 0; k < v.n; ++k) {
            real x = (v.a ? v.a : v.y)[k];
            y[k] = x < v.low ? v.low : x > v.high ? v.high : x;
        }
        ops_expect(ops, v.y, y);
        ops_run(ops, call_clamp, &v);
    }
}

static void call_clamp_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->clamp_grad(device, v->n, v->low, v->high, v->a, v->gy ? v->gy : v->ga, v->adds, v->ga);
}

static void check_clamp_grad(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(counts); ++i) {
        struct mix v = begin_clamp(ops, i);
        real *y = ops_input(ops, v.n, sizeof *y), *gx = ops_memory(ops, v.n, sizeof *gx);
        for (ptrdiff_t k = 0; k < v.n; ++k) { /* at both ends, too */
            uint32_t where = ops_below(ops, 4);
            y[k] = where == 0 ? v.low : where == 1 && isfinite(v.high) ? v.high : (real)(ops_unit(ops) / 4);
        }
        v.a = y, v.adds = (i & 3) == 3, v.gy = i & 2 ? ops_reals(ops, v.n) : NULL;
        v.ga = ops_output(ops, v.n, sizeof *v.ga);
        ops_fill(ops, v.ga, v.n, -1, 1);
        for (ptrdiff_t k = 0; k < v.n; ++k) {
            real g = y[k] > v.low && y[k] < v.high ? (v.gy ? v.gy : v.ga)[k] : 0;
            gx[k] = v.adds ? v.ga[k] + g : g;
        }
        ops_expect(ops, v.ga, gx);
        ops_run(ops, call_clamp_grad, &v);
    }
}

/* ---- joins ---- */

static struct mix begin_join(struct ops *ops, int i, int option) {
    struct mix v = {.n = counts[i], .how = option & 1 ? SNN_JOIN_IAND : SNN_JOIN_AND};
    ops_begin(ops, "%td numbers, join %d, option %d", v.n, v.how, option);
    v.a = ops_reals(ops, v.n), v.b = ops_reals(ops, v.n);
    return v;
}

static void call_join(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->join(device, v->how, v->n, v->a, v->b, v->y);
}

static void check_join(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(counts); ++i) {
        struct mix v = begin_join(ops, i / 2, i % 2);
        v.y = ops_output(ops, v.n, sizeof *v.y);
        real *y = ops_memory(ops, v.n, sizeof *y);
        for (ptrdiff_t k = 0; k < v.n; ++k) y[k] = (v.how == SNN_JOIN_AND ? v.a[k] : 1 - v.a[k]) * v.b[k];
        ops_expect(ops, v.y, y);
        ops_run(ops, call_join, &v);
    }
}

static void call_join_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->join_grad(device, v->how, v->n, v->a, v->b, v->gy, v->adds, v->ga, v->adds_b, v->gb);
}

/* option: bit 0 which join, bits 1 and 2 what adds, then both gradients, one, the other, both in one place */
static void check_join_grad(struct ops *ops) {
    for (int i = 0; i < 32 * OPS_COUNT(counts); ++i) {
        struct mix v = begin_join(ops, i / 32, i % 32);
        int which = i / 8 % 4;
        v.gy = ops_reals(ops, v.n), v.adds = i & 2, v.adds_b = i & 4;
        if (which != 1) v.ga = ops_output(ops, v.n, sizeof *v.ga), ops_fill(ops, v.ga, v.n, -1, 1);
        if (which < 2) v.gb = ops_output(ops, v.n, sizeof *v.gb), ops_fill(ops, v.gb, v.n, -1, 1);
        if (which == 3) v.gb = v.ga, v.adds = true;
        real *ga = ops_memory(ops, v.n, sizeof *ga), *gb = ops_memory(ops, v.n, sizeof *gb);
        for (ptrdiff_t k = 0; k < v.n; ++k) {
            bool and = v.how == SNN_JOIN_AND;
            real to_a = v.gy[k] * (and? v.b[k] : -v.b[k]), to_b = v.gy[k] * (and? v.a[k] : 1 - v.a[k]);
            if (v.gb) gb[k] = v.adds_b ? v.gb[k] + to_b : to_b;
            if (v.ga) ga[k] = v.adds ? (which == 3 ? gb[k] : v.ga[k]) + to_a : to_a;
        }
        if (v.ga) ops_expect(ops, v.ga, ga);
        if (v.gb && v.gb != v.ga) ops_expect(ops, v.gb, gb);
        ops_run(ops, call_join_grad, &v);
    }
}

/* ---- factors ---- */

static const struct snn_scale_shape shapes[] = {
    {1, 1, 1, 1},       {3, 5, 3, 5},         {6, 8, 2, 8},    {6, 8, 1, 8},     {6, 8, 6, 4},
    {6, 8, 6, 1},       {12, 66, 3, 66},      {4, 130, 1, 65}, {5, 33, 1, 1},    {40, 513, 40, 171},
    {300, 70, 300, 70}, {2, 20000, 1, 20000}, {9000, 1, 1, 1}, {64, 48, 16, 16}, {10, 4096, 10, 4096},
};

static struct mix begin_scale(struct ops *ops, int i, int option) {
    struct mix v = {.shape = shapes[i], .n = shapes[i].rows * shapes[i].units, .adds = option & 1};
    ops_begin(ops, "%td rows of %td, a factor for %td and %td, option %d", v.shape.rows, v.shape.units,
              v.shape.share_rows, v.shape.share_units, option);
    v.b = ops_reals(ops, v.n);
    return v;
}

static ptrdiff_t factor_of(const struct mix *v, ptrdiff_t k) {
    const struct snn_scale_shape *s = &v->shape;
    return k / s->units / s->share_rows * (s->units / s->share_units) + k % s->units / s->share_units;
}

static void call_scale(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->scale(device, &v->shape, v->a, v->gy ? v->gy : v->y, v->adds, v->y);
}

static void check_scale(struct ops *ops) {
    for (int i = 0; i < 3 * OPS_COUNT(shapes); ++i) { /* the last in place */
        struct mix v = begin_scale(ops, i / 3, i % 3);
        v.a = ops_reals(ops, snn_scale_factors(&v.shape));
        v.y = ops_output(ops, v.n, sizeof *v.y), ops_fill(ops, v.y, v.n, -1, 1);
        v.gy = i % 3 < 2 ? v.b : NULL;
        real *y = ops_memory(ops, v.n, sizeof *y);
        for (ptrdiff_t k = 0; k < v.n; ++k) {
            real value = v.a[factor_of(&v, k)] * (v.gy ? v.gy : v.y)[k];
            y[k] = v.adds ? v.y[k] + value : value;
        }
        ops_expect(ops, v.y, y);
        ops_run(ops, call_scale, &v);
    }
}

static void call_scale_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct mix *v = argument;
    (void)ops;
    device->mix->scale_grad(device, &v->shape, v->b, v->gy, v->adds, v->ga);
}

static void check_scale_grad(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(shapes); ++i) {
        struct mix v = begin_scale(ops, i / 2, i % 2);
        ptrdiff_t factors = snn_scale_factors(&v.shape);
        v.gy = ops_reals(ops, v.n), v.ga = ops_output(ops, factors, sizeof *v.ga);
        struct ops_sum *ga = ops_memory(ops, factors, sizeof *ga);
        if (v.adds) ops_fill(ops, v.ga, factors, -1, 1);
        for (ptrdiff_t f = 0; f < factors && v.adds; ++f) ops_term(&ga[f], v.ga[f]);
        for (ptrdiff_t k = 0; k < v.n; ++k) ops_term(&ga[factor_of(&v, k)], (wide)v.b[k] * v.gy[k]);
        ops_expect_sums(ops, v.ga, ga);
        ops_run(ops, call_scale_grad, &v);
    }
}

/* ---- products over time ---- */

static const struct snn_steps_shape sequences[] = {{1, 1, 1},     {1, 3, 7},     {2, 2, 0},     {4, 4, 33},
                                                   {5, 9, 100},   {16, 16, 513}, {65, 70, 129}, {4, 4, 5000},
                                                   {130, 130, 3}, {3, 3, 70000}};

struct product_over_steps {
    struct snn_steps_shape s;
    bool transposed;
    const real *w, *b, *x, *gy;
    real *y, *gw;
};

static struct product_over_steps begin_steps(struct ops *ops, int i, int option) {
    struct product_over_steps v = {.s = sequences[i], .transposed = option & 1};
    ops_begin(ops, "%d of %d steps, %td numbers, option %d", (int)v.s.T, (int)v.s.steps, v.s.n, option);
    v.x = ops_reals(ops, v.s.T * v.s.n);
    return v;
}

static void call_steps(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct product_over_steps *v = argument;
    (void)ops;
    device->mix->steps(device, &v->s, v->w, v->transposed, v->b, v->x, v->y);
}

static void check_steps(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(sequences); ++i) {
        struct product_over_steps v = begin_steps(ops, i / 4, i % 4);
        ptrdiff_t T = v.s.T, n = v.s.n, steps = v.s.steps;
        v.w = ops_reals(ops, steps * steps), v.b = i & 2 ? ops_reals(ops, steps) : NULL;
        v.y = ops_output(ops, T * n, sizeof *v.y);
        struct ops_sum *y = ops_memory(ops, T * n, sizeof *y);
        for (ptrdiff_t k = 0; k < T * n; ++k) {
            ptrdiff_t t = k / n;
            if (v.b) ops_term(&y[k], v.b[t]);
            for (ptrdiff_t u = 0; u < T; ++u)
                ops_term(&y[k], (wide)v.w[v.transposed ? u * steps + t : t * steps + u] * v.x[u * n + k % n]);
        }
        ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_steps, &v);
    }
}

static void call_steps_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct product_over_steps *v = argument;
    device->mix->steps_grad(device, &v->s, v->x, v->gy, v->gw, ops_scratch(ops, snn_steps_scratch(&v->s)));
}

static void check_steps_grad(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(sequences); ++i) {
        struct product_over_steps v = begin_steps(ops, i, 0);
        ptrdiff_t T = v.s.T, n = v.s.n, steps = v.s.steps;
        v.gy = ops_reals(ops, T * n), v.gw = ops_output(ops, steps * steps, sizeof *v.gw);
        ops_fill(ops, v.gw, steps * steps, -1, 1);
        struct ops_sum *gw = ops_memory(ops, steps * steps, sizeof *gw);
        for (ptrdiff_t k = 0; k < steps * steps; ++k) {
            ptrdiff_t t = k / steps, u = k % steps;
            ops_term(&gw[k], v.gw[k]);
            for (ptrdiff_t at = 0; t < T && u < T && at < n; ++at)
                ops_term(&gw[k], (wide)v.gy[t * n + at] * v.x[u * n + at]);
        }
        ops_expect_sums(ops, v.gw, gw);
        ops_run(ops, call_steps_grad, &v);
    }
}

struct masked_rows {
    ptrdiff_t rows, n;
    const uint8_t *mask;
    const real *x;
    bool adds;
    real *y;
};

static void call_mask_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct masked_rows *v = argument;
    (void)ops;
    device->mix->mask_rows(device, v->rows, v->n, v->mask, v->x, v->adds, v->y);
}

static void check_mask_rows(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(copies); ++i) {
        struct masked_rows v = {.rows = copies[i / 2].rows, .n = copies[i / 2].n, .adds = i % 2};
        ops_begin(ops, "%td rows of %td, adds %d", v.rows, v.n, v.adds);
        uint8_t *mask = ops_input(ops, v.rows, 1);
        for (ptrdiff_t r = 0; r < v.rows; ++r) mask[r] = ops_below(ops, 2) != 0;
        v.mask = mask, v.x = ops_reals(ops, v.rows * v.n), v.y = ops_output(ops, v.rows * v.n, sizeof *v.y);
        ops_fill(ops, v.y, v.rows * v.n, -1, 1);
        real *y = ops_memory(ops, v.rows * v.n, sizeof *y);
        for (ptrdiff_t k = 0; k < v.rows * v.n; ++k) {
            real value = mask[k / v.n] ? v.x[k] : 0;
            y[k] = v.adds ? v.y[k] + value : value;
        }
        ops_expect(ops, v.y, y);
        ops_run(ops, call_mask_rows, &v);
    }
}

/* ---- steps of spiking LSTMs ---- */

static const struct { int32_t B, n; } cells[] = {{0, 3}, {1, 1}, {1, 3}, {2, 16}, {5, 33}, {3, 257}, {70, 64}};
enum { CELL_OPTIONS = 6 }; /* three resets, at the threshold or over it */

/* Those of the C library, in more digits, are the reference: a few roundings are allowed. */
static wide sigmoid(wide x) { return 1 / (1 + expl(-x)); }

static struct snn_lstm_step begin_lstm(struct ops *ops, int i, int option) {
    struct snn_lstm_step s = {
        .B = cells[i].B, .n = cells[i].n, .reset = (enum snn_lstm_reset)(option % 3), .strict = option / 3};
    ops_begin(ops, "%d samples of %d neurons, reset %d, strict %d", (int)s.B, (int)s.n, (int)s.reset, s.strict);
    ptrdiff_t all = (ptrdiff_t)s.B * s.n;
    real *theta = ops_input(ops, 1, sizeof *theta);
    theta[0] = (real)0.25, s.theta = theta;
    s.c_before = ops_reals(ops, all);
    real *m = ops_input(ops, all, sizeof *m);
    for (ptrdiff_t k = 0; k < all; ++k) m[k] = k % 5 ? (real)ops_unit(ops) - (real)0.25 : theta[0];
    s.m_before = m;
    return s;
}

static wide fired(const struct snn_lstm_step *s, ptrdiff_t at) {
    if (!s->reset) return 0;
    return s->strict ? s->m_before[at] > *s->theta : s->m_before[at] >= *s->theta;
}

/* An expectation that may be off by a few roundings of numbers of size 1. */
static void about(struct ops_sum *sum, wide value) { *sum = (struct ops_sum){value, 1 + fabsl(value), 8}; }

static void call_lstm(struct ops *ops, struct snn_device *device, const void *argument) {
    (void)ops;
    device->mix->lstm(device, argument);
}

static void check_lstm(struct ops *ops) {
    for (int i = 0; i < 2 * CELL_OPTIONS * OPS_COUNT(cells); ++i) { /* half of them in place */
        struct snn_lstm_step s = begin_lstm(ops, i / 2 / CELL_OPTIONS, i / 2 % CELL_OPTIONS);
        ptrdiff_t n = s.n, all = (ptrdiff_t)s.B * n;
        const real *x = ops_memory(ops, 4 * all, sizeof *x), *again = ops_reals(ops, 4 * all);
        s.gates = ops_output(ops, 4 * all, sizeof *s.gates), s.c = ops_output(ops, all, sizeof *s.c);
        s.m = ops_output(ops, all, sizeof *s.m);
        real *in = (real *)x;
        ops_fill(ops, in, 4 * all, -9, 9);
        if (i % 2) memcpy(s.gates, x, (size_t)(4 * all) * sizeof *x), s.x = s.gates;
        else {
            real *apart = ops_input(ops, 4 * all, sizeof *apart);
            memcpy(apart, x, (size_t)(4 * all) * sizeof *x), s.x = apart;
        }
        s.again = again;
        struct ops_sum *gates = ops_memory(ops, 4 * all, sizeof *gates), *c = ops_memory(ops, all, sizeof *c),
                       *m = ops_memory(ops, all, sizeof *m);
        for (ptrdiff_t at = 0; at < all; ++at) {
            ptrdiff_t g = at / n * 4 * n + at % n;
            wide a[4];
            for (int k = 0; k < 4; ++k) a[k] = (wide)x[g + k * n] + again[g + k * n];
            for (int k = 0; k < 4; ++k) about(&gates[g + k * n], a[k] = k == 2 ? tanhl(a[k]) : sigmoid(a[k]));
            wide cell = a[1] * s.c_before[at] + a[0] * a[2], h = a[3] * tanhl(cell), r = fired(&s, at);
            about(&c[at], cell);
            about(&m[at], s.reset == SNN_LSTM_ZERO ? (1 - r) * h : h - r * *s.theta);
        }
        ops_expect_sums(ops, s.gates, gates), ops_expect_sums(ops, s.c, c), ops_expect_sums(ops, s.m, m);
        ops_run(ops, call_lstm, &s);
    }
}

static void call_lstm_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    (void)ops;
    device->mix->lstm_grad(device, argument);
}

static void check_lstm_grad(struct ops *ops) {
    for (int i = 0; i < 2 * CELL_OPTIONS * OPS_COUNT(cells); ++i) { /* half of them the last step */
        struct snn_lstm_step s = begin_lstm(ops, i / 2 / CELL_OPTIONS, i / 2 % CELL_OPTIONS);
        ptrdiff_t n = s.n, all = (ptrdiff_t)s.B * n;
        real *gates = ops_input(ops, 4 * all, sizeof *gates), *c = ops_input(ops, all, sizeof *c);
        ops_fill(ops, gates, 4 * all, 0, 1), ops_fill(ops, c, all, -3, 3);
        s.gates = gates, s.c = c, s.gm = ops_reals(ops, all), s.gm_again = i % 2 ? NULL : ops_reals(ops, all);
        s.gc = ops_output(ops, all, sizeof *s.gc), s.ga = ops_output(ops, 4 * all, sizeof *s.ga);
        ops_fill(ops, s.gc, all, -1, 1);
        struct ops_sum *gc = ops_memory(ops, all, sizeof *gc), *ga = ops_memory(ops, 4 * all, sizeof *ga);
        for (ptrdiff_t at = 0; at < all; ++at) {
            ptrdiff_t g = at / n * 4 * n + at % n;
            wide gi = gates[g], gf = gates[g + n], gg = gates[g + 2 * n], go = gates[g + 3 * n], y = tanhl(c[at]);
            wide keeps = s.reset == SNN_LSTM_ZERO ? 1 - fired(&s, at) : 1;
            wide gm = keeps * ((wide)s.gm[at] + (s.gm_again ? s.gm_again[at] : 0));
            wide cell = s.gc[at] + gm * go * (1 - y * y);
            about(&ga[g], cell * gg * gi * (1 - gi));
            about(&ga[g + n], cell * s.c_before[at] * gf * (1 - gf));
            about(&ga[g + 2 * n], cell * gi * (1 - gg * gg));
            about(&ga[g + 3 * n], gm * y * go * (1 - go));
            about(&gc[at], cell * gf);
        }
        ops_expect_sums(ops, s.gc, gc), ops_expect_sums(ops, s.ga, ga);
        ops_run(ops, call_lstm_grad, &s);
    }
}

#define CASES(X)                                                                                                       \
    X(copy_rows)                                                                                                       \
    X(clamp)                                                                                                           \
    X(clamp_grad) X(join) X(join_grad) X(scale) X(scale_grad) X(steps) X(steps_grad) X(mask_rows) X(lstm) X(lstm_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_mix_kernels, name)
OPS_TABLE(snn_mix_kernels, CASES)
OPS_TCASE(mix)
