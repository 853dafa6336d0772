/* SPDX-License-Identifier: Apache-2.0
 * checkops_math.c - linear layers, element-wise kernels and input (autograd/math.h). */
#include "checkops.h"

#include "autograd/math.h"
#include "core/rng.h"

/* ---- linear ---- */

static const struct snn_linear_shape linear_shapes[] = {
    {0, 3, 2},     {1, 1, 1},      {1, 3, 2},     {2, 1, 17},    {3, 17, 1},     {5, 63, 7},     {7, 64, 16},
    {8, 65, 15},   {31, 100, 9},   {33, 127, 33}, {32, 128, 31}, {1, 513, 65},   {129, 511, 64}, {257, 33, 63},
    {128, 512, 5}, {127, 16, 129}, {2, 600, 64},  {300, 70, 65}, {64, 1025, 17}, {16, 64, 513},
};
/* A card chooses its tiles by shape: many rows of few and of many outputs, more weights than fit in one pass. */
static const struct snn_linear_shape card_shapes[] = {{12700, 70, 100}, {6390, 65, 128}, {3, 20000, 64}, {2, 8, 70000}};
static const struct ops_kind linear_kinds[] = {
    {SNN_DENSE, 1, false},    {SNN_BITS, 0, false},     {SNN_BITS, 0.03, false}, {SNN_BITS, 0.3, false},
    {SNN_BITS, 0.8, false},   {SNN_BITS, 1, false},     {SNN_LISTS, 0, false},   {SNN_LISTS, 1e-9, true},
    {SNN_LISTS, 1e-9, false}, {SNN_LISTS, 0.05, false}, {SNN_LISTS, 0.05, true}, {SNN_LISTS, 0.25, true},
    {SNN_LISTS, 0.5, false},  {SNN_LISTS, 0.5, true},   {SNN_LISTS, 1, false},   {SNN_LISTS, 1, true},
};

struct linear {
    struct snn_linear_shape s;
    struct snn_rows x;
    const real *w, *b, *gy;
    real *y, *gx, *gw, *gb;
    bool adds;
};

static void call_linear(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct linear *l = argument;
    size_t bytes = device->math->linear_scratch(device->threads, &l->s, snn_rows_form(&l->x));
    void *scratch = snn_rows_form(&l->x) == SNN_DENSE ? NULL : ops_scratch(ops, bytes);
    device->math->linear(device, &l->s, &l->x, l->w, l->b, l->y, scratch);
}

static void check_linear_case(struct ops *ops, struct snn_linear_shape s, struct ops_kind kind, bool bias) {
    ops_begin(ops, "%td rows, %d -> %d, %s%s", s.rows, s.in, s.out, ops_kind_text(&kind), bias ? ", bias" : "");
    struct ops_rows x = ops_rows_as(ops, s.rows, s.in, &kind);
    struct linear l = {
        .s = s, .x = x.rows, .w = ops_reals(ops, (ptrdiff_t)s.out * s.in), .b = bias ? ops_reals(ops, s.out) : NULL};
    struct ops_sum *y = ops_memory(ops, s.rows * s.out, sizeof *y);
    for (ptrdiff_t r = 0; r < s.rows; ++r)
        for (ptrdiff_t o = 0; o < s.out; ++o) {
            if (bias) ops_term(&y[r * s.out + o], l.b[o]);
            for (ptrdiff_t i = 0; i < s.in; ++i)
                ops_term(&y[r * s.out + o], (wide)x.dense[r * s.in + i] * l.w[o * s.in + i]);
        }
    l.y = ops_output(ops, s.rows * s.out, sizeof *l.y);
    ops_expect_sums(ops, l.y, y);
    ops_run(ops, call_linear, &l);
}

static void check_linear(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(linear_shapes); ++i)
        for (int d = 0; d < OPS_COUNT(linear_kinds); ++d)
            check_linear_case(ops, linear_shapes[i], linear_kinds[d], (i + d) % 2);
    for (int i = 0; i < 2 * OPS_COUNT(card_shapes) && ops->on_card; ++i)
        check_linear_case(ops, card_shapes[i / 2], (struct ops_kind){i % 2 ? SNN_LISTS : SNN_BITS, 0.05, i % 4 == 3},
                          i % 3);
}

static void call_linear_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct linear *l = argument;
    (void)ops;
    device->math->linear_grad_input(device, &l->s, l->gy, l->w, l->adds, l->gx);
}

static void check_linear_grad_input(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(linear_shapes); ++k) {
        struct linear l = {.s = linear_shapes[k / 2], .adds = k % 2};
        const struct snn_linear_shape s = l.s;
        ops_begin(ops, "%td rows, %d -> %d%s", s.rows, s.in, s.out, l.adds ? ", adds" : "");
        l.w = ops_reals(ops, (ptrdiff_t)s.out * s.in), l.gy = ops_reals(ops, s.rows * s.out);
        l.gx = ops_output(ops, s.rows * s.in, sizeof *l.gx);
        struct ops_sum *gx = ops_memory(ops, s.rows * s.in, sizeof *gx);
        if (l.adds) ops_fill(ops, l.gx, s.rows * s.in, -1, 1);
        for (ptrdiff_t r = 0; r < s.rows; ++r)
            for (ptrdiff_t i = 0; i < s.in; ++i) {
                if (l.adds) ops_term(&gx[r * s.in + i], l.gx[r * s.in + i]);
                for (ptrdiff_t o = 0; o < s.out; ++o)
                    ops_term(&gx[r * s.in + i], (wide)l.gy[r * s.out + o] * l.w[o * s.in + i]);
            }
        ops_expect_sums(ops, l.gx, gx);
        ops_run(ops, call_linear_grad_input, &l);
    }
}

static void call_linear_grad_weight(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct linear *l = argument;
    size_t bytes = device->math->linear_scratch(device->threads, &l->s, snn_rows_form(&l->x));
    void *scratch = snn_rows_form(&l->x) == SNN_DENSE ? NULL : ops_scratch(ops, bytes);
    device->math->linear_grad_weight(device, &l->s, &l->x, l->gy, l->gw, l->gb, scratch);
}

static void check_grad_weight_case(struct ops *ops, struct snn_linear_shape s, struct ops_kind kind, bool bias) {
    ops_begin(ops, "%td rows, %d -> %d, %s%s", s.rows, s.in, s.out, ops_kind_text(&kind), bias ? ", bias" : "");
    struct ops_rows x = ops_rows_as(ops, s.rows, s.in, &kind);
    struct linear l = {.s = s, .x = x.rows, .gy = ops_reals(ops, s.rows * s.out)};
    ptrdiff_t weights = (ptrdiff_t)s.out * s.in;
    l.gw = ops_output(ops, weights, sizeof *l.gw);
    ops_fill(ops, l.gw, weights, -1, 1);
    struct ops_sum *gw = ops_memory(ops, weights, sizeof *gw), *gb = ops_memory(ops, s.out, sizeof *gb);
    for (ptrdiff_t o = 0; o < s.out; ++o)
        for (ptrdiff_t i = 0; i < s.in; ++i) {
            ops_term(&gw[o * s.in + i], l.gw[o * s.in + i]);
            for (ptrdiff_t r = 0; r < s.rows; ++r)
                ops_term(&gw[o * s.in + i], (wide)l.gy[r * s.out + o] * x.dense[r * s.in + i]);
        }
    ops_expect_sums(ops, l.gw, gw);
    if (bias) {
        l.gb = ops_output(ops, s.out, sizeof *l.gb);
        ops_fill(ops, l.gb, s.out, -1, 1);
        for (ptrdiff_t o = 0; o < s.out; ++o) {
            ops_term(&gb[o], l.gb[o]);
            for (ptrdiff_t r = 0; r < s.rows; ++r) ops_term(&gb[o], l.gy[r * s.out + o]);
        }
        ops_expect_sums(ops, l.gb, gb);
    }
    ops_run(ops, call_linear_grad_weight, &l);
}

static void check_linear_grad_weight(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(linear_shapes); ++i)
        for (int d = 0; d < OPS_COUNT(linear_kinds); ++d)
            check_grad_weight_case(ops, linear_shapes[i], linear_kinds[d], (i + d) % 2);
    for (int i = 0; i < 2 * OPS_COUNT(card_shapes) && ops->on_card; ++i)
        check_grad_weight_case(ops, card_shapes[i / 2],
                               (struct ops_kind){i % 2 ? SNN_LISTS : SNN_BITS, 0.05, i % 4 == 3}, i % 3);
}

/* The scratch is what the two kernels may use and no byte more: enough rows that every thread expands some. */
static void check_linear_scratch(struct ops *ops) {
    for (int out = 1; out < 20; out += 6)
        for (int in = 1; in < 130; in += 43) {
            struct snn_linear_shape s = {5 * 256 + 1, in, out}; /* more than all threads sort at once */
            for (int form = SNN_BITS; form <= SNN_LISTS; ++form) {
                struct ops_kind dense = {form, 0.8, form == SNN_LISTS}, sparse = {form, 0.1, form == SNN_LISTS};
                check_linear_case(ops, s, dense, false);
                check_linear_case(ops, s, sparse, true);
                check_grad_weight_case(ops, s, dense, true);
                check_grad_weight_case(ops, s, sparse, true);
            }
        }
}

/* ---- element-wise ---- */

static const ptrdiff_t lengths[] = {1,  2,  7,   15,  16,  17,    31,    33,    63,
                                    64, 65, 511, 512, 513, 16383, 16384, 16385, 3 * 16384 + 5};

struct elements {
    ptrdiff_t n, b_n;
    int32_t T;
    const real *a, *b;
    real *y;
    bool adds;
};

static void call_add(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->add(device, e->n, e->a ? e->a : e->y, e->b ? e->b : e->y, e->b_n, e->y);
}

/* in_place: 0 no, 1 y is a, 2 y is b */
static void check_add_case(struct ops *ops, ptrdiff_t b_n, ptrdiff_t repeats, int in_place) {
    struct elements e = {.n = b_n * repeats, .b_n = b_n};
    ops_begin(ops, "%td numbers %td times, in place %d", b_n, repeats, in_place);
    e.y = ops_output(ops, e.n, sizeof *e.y);
    if (in_place) ops_fill(ops, e.y, e.n, -1, 1);
    e.a = in_place == 1 ? NULL : ops_reals(ops, e.n), e.b = in_place == 2 ? NULL : ops_reals(ops, b_n);
    real *y = ops_memory(ops, e.n, sizeof *y);
    for (ptrdiff_t i = 0; i < e.n; ++i) y[i] = (e.a ? e.a : e.y)[i] + (e.b ? e.b : e.y)[i % b_n];
    ops_expect(ops, e.y, y);
    ops_run(ops, call_add, &e);
}

static void check_add(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(lengths); ++i) {
        for (int in_place = 0; in_place < 3; ++in_place) check_add_case(ops, lengths[i], 1, in_place);
        for (int in_place = 0; in_place < 2; ++in_place) check_add_case(ops, lengths[i], 3, in_place);
    }
}

static void call_accumulate(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->accumulate(device, e->n, e->a, e->adds, e->y);
}

static void check_accumulate(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(lengths) + 2; ++k) {
        struct elements e = {.n = k < 2 ? 0 : lengths[k / 2 - 1], .adds = k % 2};
        ops_begin(ops, "%td numbers, adds %d", e.n, e.adds);
        e.a = ops_reals(ops, e.n), e.y = ops_output(ops, e.n, sizeof *e.y);
        if (e.adds) ops_fill(ops, e.y, e.n, -1, 1);
        real *y = ops_memory(ops, e.n, sizeof *y);
        for (ptrdiff_t i = 0; i < e.n; ++i) y[i] = e.adds ? e.y[i] + e.a[i] : e.a[i];
        ops_expect(ops, e.y, y);
        ops_run(ops, call_accumulate, &e);
    }
}

static void call_sum_over_time(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->sum_over_time(device, e->T, e->n, e->a, e->adds, e->y);
}

static void check_sum_over_time(struct ops *ops) {
    static const int32_t steps[] = {1, 2, 5};
    for (int k = 0; k < 2 * OPS_COUNT(lengths) * OPS_COUNT(steps); ++k) {
        struct elements e = {
            .T = steps[k / 2 % OPS_COUNT(steps)], .n = lengths[k / 2 / OPS_COUNT(steps)], .adds = k % 2};
        ops_begin(ops, "%d steps of %td, adds %d", e.T, e.n, e.adds);
        e.a = ops_reals(ops, e.T * e.n), e.y = ops_output(ops, e.n, sizeof *e.y);
        if (e.adds) ops_fill(ops, e.y, e.n, -1, 1);
        real *y = ops_memory(ops, e.n, sizeof *y);
        for (ptrdiff_t i = 0; i < e.n; ++i) {
            y[i] = e.adds ? e.y[i] : 0;
            for (int32_t t = 0; t < e.T; ++t) y[i] += e.a[t * e.n + i];
        }
        ops_expect(ops, e.y, y);
        ops_run(ops, call_sum_over_time, &e);
    }
}

static void call_fill(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->fill(device, e->n, (real)-0.75, e->y);
}

static void check_fill(struct ops *ops) {
    for (int k = 0; k < OPS_COUNT(lengths); ++k) {
        struct elements e = {.n = lengths[k]};
        ops_begin(ops, "%td numbers", e.n);
        e.y = ops_output(ops, e.n, sizeof *e.y);
        real *y = ops_memory(ops, e.n, sizeof *y);
        for (ptrdiff_t i = 0; i < e.n; ++i) y[i] = (real)-0.75;
        ops_expect(ops, e.y, y);
        ops_run(ops, call_fill, &e);
    }
}

static void call_multiply(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->multiply(device, e->n, e->a, e->b, e->adds, e->y);
}

static void check_multiply(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(lengths); ++k) {
        struct elements e = {.n = lengths[k / 2], .adds = k % 2};
        ops_begin(ops, "%td numbers, adds %d", e.n, e.adds);
        e.a = ops_reals(ops, e.n), e.b = ops_reals(ops, e.n), e.y = ops_output(ops, e.n, sizeof *e.y);
        if (e.adds) ops_fill(ops, e.y, e.n, -1, 1);
        real *y = ops_memory(ops, e.n, sizeof *y);
        for (ptrdiff_t i = 0; i < e.n; ++i) y[i] = e.adds ? e.y[i] + e.a[i] * e.b[i] : e.a[i] * e.b[i];
        ops_expect(ops, e.y, y);
        ops_run(ops, call_multiply, &e);
    }
}

/* ---- traces ---- */

struct trace {
    int32_t T, B;
    ptrdiff_t units;
    struct snn_rows x;
    real decay, gain;
    const real *before;
    bool last;
    real *y;
};

static void call_trace(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct trace *c = argument;
    (void)ops;
    device->math->trace(device, c->T, c->B, c->units, &c->x, c->decay, c->gain, c->before, c->last, c->y);
}

static void check_trace(struct ops *ops) {
    static const int32_t steps[] = {1, 4}, samples[] = {1, 3};
    static const ptrdiff_t units[] = {1, 63, 65, 130};
    static const struct ops_kind kinds[] = {{SNN_DENSE, -1, false}, {SNN_BITS, 0.3, false}, {SNN_LISTS, 0.2, true}};
    for (int k = 0; k < 2 * 3 * 2 * 2 * 2 * 2 * OPS_COUNT(units); ++k) {
        const struct ops_kind *kind = &kinds[k % 3];
        const int within = k / 24 % 2, last = k / 48 % 2;
        struct trace c = {.T = steps[k / 3 % 2], .B = samples[k / 6 % 2], .decay = (real)0.75, .gain = (real)-1.5};
        c.units = units[k / 96], c.last = last;
        const ptrdiff_t rows = (ptrdiff_t)c.T * c.B, row = c.B * c.units;
        ops_begin(ops, "%s, T %d, B %d, %td units, before %d, within %d, last %d", ops_kind_text(kind), (int)c.T,
                  (int)c.B, c.units, k / 12 % 2, within, last);
        struct ops_rows x = ops_rows_as(ops, rows, c.units, kind);
        c.x = x.rows;
        c.y = ops_output(ops, last ? row : rows * c.units, sizeof *c.y);
        real *y = ops_memory(ops, rows * c.units, sizeof *y);
        const real *past = NULL;
        if (k / 12 % 2 && within) { /* in the last step's place, as a layer has it */
            real *place = c.y + (last ? 0 : rows * c.units - row);
            ops_fill(ops, place, row, -1, 1);
            c.before = place;
            real *copy = ops_memory(ops, row, sizeof *copy);
            for (ptrdiff_t i = 0; i < row; ++i) copy[i] = c.before[i];
            past = copy;
        } else if (k / 12 % 2) past = c.before = ops_reals(ops, row);
        for (ptrdiff_t i = 0; i < rows * c.units; ++i) {
            const real *at = i >= row ? y + (i - row) : past ? past + i : NULL;
            y[i] = (at ? c.decay * *at : 0) + c.gain * x.dense[i];
        }
        ops_expect(ops, c.y, last ? y + (rows * c.units - row) : y);
        ops_run(ops, call_trace, &c);
    }
}

static void call_trace_back(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct elements *e = argument;
    (void)ops;
    device->math->trace_back(device, e->T, e->n, e->a ? e->a : e->y, (real)0.75, (real)-1.5, e->y);
}

static void check_trace_back(struct ops *ops) {
    for (int k = 0; k < 3 * OPS_COUNT(lengths); ++k) {
        struct elements e = {.T = k % 3 ? 3 * (k % 3) : 1, .n = lengths[k / 3]};
        ops_begin(ops, "%d steps of %td%s", e.T, e.n, k % 3 == 2 ? ", in place" : "");
        e.y = ops_output(ops, e.T * e.n, sizeof *e.y);
        real *x = ops_memory(ops, e.T * e.n, sizeof *x), *y = ops_memory(ops, e.T * e.n, sizeof *y);
        if (k % 3 == 2) {
            ops_fill(ops, e.y, e.T * e.n, -1, 1);
            for (ptrdiff_t i = 0; i < e.T * e.n; ++i) x[i] = e.y[i];
        } else {
            e.a = ops_reals(ops, e.T * e.n);
            for (ptrdiff_t i = 0; i < e.T * e.n; ++i) x[i] = e.a[i];
        }
        for (ptrdiff_t i = e.T * e.n - 1; i >= 0; --i)
            y[i] = (i + e.n < e.T * e.n ? (real)0.75 * y[i + e.n] : 0) + (real)-1.5 * x[i];
        ops_expect(ops, e.y, y);
        ops_run(ops, call_trace_back, &e);
    }
}

/* ---- dropout ---- */

static const int32_t unit_counts[] = {1, 3, 31, 63, 64, 65, 127, 129, 513};

struct dropout {
    struct snn_dropout_shape s;
    uint32_t layer;
    const uint32_t *clock;
    const int32_t *sample;
    const struct snn_dropout *p;
    const uint64_t *mask;
    uint64_t *drawn;
    const real *x;
    real *y;
};

static const struct snn_dropout *rate_of(struct ops *ops, double drop) {
    struct snn_dropout *p = ops_input(ops, 1, sizeof *p);
    p->limit = (uint64_t)((1 - drop) * 0x1p32), p->scale = (real)(1 / (1 - drop));
    return p;
}

static void call_dropout_mask(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct dropout *d = argument;
    (void)ops;
    device->math->dropout_mask(device, &d->s, d->clock, d->layer, d->sample, d->p, d->drawn);
}

static void check_dropout_mask(struct ops *ops) {
    static const double drops[] = {0, 0.1, 0.5, 0.99};
    for (int k = 0; k < OPS_COUNT(unit_counts) * OPS_COUNT(drops); ++k) {
        int32_t runs = unit_counts[k % OPS_COUNT(unit_counts)], inner = k % 3 ? 1 : 5, T = k % 2 ? 1 : 4;
        struct dropout d = {.s = {.units = runs * inner, .inner = inner, .T = T, .B = 1 + k % 5, .t0 = T > 1 ? k : 0},
                            .layer = (uint32_t)k % 3};
        double drop = drops[k / OPS_COUNT(unit_counts)];
        ops_begin(ops, "%d steps from %d of %d samples, %d units, %d together, drop %g", T, d.s.t0, d.s.B, d.s.units,
                  inner, drop);
        ptrdiff_t words = snn_dropout_words(&d.s);
        uint64_t seed = 0x123456789ABCDEFu + (uint64_t)k;
        uint32_t *clock = ops_input(ops, 3, sizeof *clock);
        clock[0] = (uint32_t)seed, clock[1] = (uint32_t)(seed >> 32), clock[2] = 40 + (uint32_t)k;
        d.clock = clock, d.p = rate_of(ops, drop);
        int32_t *sample = ops_input(ops, d.s.B, sizeof *sample);
        for (int32_t b = 0; b < d.s.B; ++b) sample[b] = (int32_t)ops_below(ops, 60000);
        d.sample = sample, d.drawn = ops_output(ops, T * d.s.B * words, sizeof *d.drawn);
        uint64_t *mask = ops_memory(ops, T * d.s.B * words, sizeof *mask);
        for (int32_t r = 0; r < T * d.s.B; ++r)
            for (uint32_t i = 0; i < (uint32_t)runs; ++i)
                if (snn_rng_u32(seed, SNN_RNG_DROPOUT | d.layer << 8, clock[2], (uint32_t)sample[r % d.s.B],
                                (uint32_t)(d.s.t0 + r / d.s.B) * (uint32_t)words * 64 + i) < (1 - drop) * 0x1p32)
                    mask[r * words + i / 64] |= (uint64_t)1 << (i % 64);
        ops_expect(ops, d.drawn, mask);
        ops_run(ops, call_dropout_mask, &d);
    }
}

static void call_dropout(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct dropout *d = argument;
    (void)ops;
    device->math->dropout(device, &d->s, d->mask, d->p, d->x ? d->x : d->y, d->y);
}

static void check_dropout(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(unit_counts); ++k) {
        int32_t inner = k % 3 ? 1 : 6, T = k % 5 ? 1 : 3;
        struct dropout d = {.s = {.units = unit_counts[k / 2] * inner, .inner = inner, .T = T, .B = 1 + k % 4}};
        bool in_place = k % 2;
        ptrdiff_t period = T * d.s.B, words = snn_dropout_words(&d.s), units = d.s.units;
        d.s.rows = T > 1 ? period : period * (1 + k % 3);
        ops_begin(ops, "%td rows, %d steps of %d samples, %d units, %d together, in place %d", d.s.rows, T, d.s.B,
                  d.s.units, inner, in_place);
        ptrdiff_t n = d.s.rows * units;
        uint64_t *mask = ops_input(ops, period * words, sizeof *mask);
        for (ptrdiff_t w = 0; w < period * words; ++w)
            mask[w] = (uint64_t)ops_below(ops, UINT32_MAX) << 32 | ops_below(ops, UINT32_MAX);
        d.mask = mask, d.p = rate_of(ops, 0.3), d.y = ops_output(ops, n, sizeof *d.y);
        if (in_place) ops_fill(ops, d.y, n, -1, 1);
        else d.x = ops_reals(ops, n);
        real *y = ops_memory(ops, n, sizeof *y);
        for (ptrdiff_t r = 0; r < d.s.rows; ++r)
            for (ptrdiff_t i = 0; i < units; ++i)
                if (mask[r % period * words + i / inner / 64] >> (i / inner % 64) & 1)
                    y[r * units + i] = (d.x ? d.x : d.y)[r * units + i] * d.p->scale;
        ops_expect(ops, d.y, y);
        ops_run(ops, call_dropout, &d);
    }
}

/* ---- counts and input ---- */

struct load {
    int32_t T, B, stride;
    ptrdiff_t rows, units;
    const real *x;
    const float *frames;
    struct snn_lists lists;
    real *y;
    int32_t *nonzero;
};

static void call_count_nonzero(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct load *l = argument;
    (void)ops;
    device->math->count_nonzero(device, l->rows, l->units, l->x, l->nonzero);
}

static void check_count_nonzero(struct ops *ops) {
    static const int32_t row_counts[] = {0, 1, 2, 7, 33};
    for (int k = 0; k < OPS_COUNT(row_counts) * OPS_COUNT(unit_counts); ++k) {
        struct load l = {.rows = row_counts[k % OPS_COUNT(row_counts)],
                         .units = unit_counts[k / OPS_COUNT(row_counts)]};
        ops_begin(ops, "%td rows of %td", l.rows, l.units);
        real *x = ops_reals(ops, l.rows * l.units);
        int32_t *nonzero = ops_memory(ops, l.rows, sizeof *nonzero);
        for (ptrdiff_t i = 0; i < l.rows * l.units; ++i) {
            if (ops_below(ops, 2)) x[i] = 0;
            if (x[i] != 0) ++nonzero[i / l.units];
        }
        l.x = x, l.nonzero = ops_output(ops, l.rows, sizeof *l.nonzero);
        ops_expect(ops, l.nonzero, nonzero);
        ops_run(ops, call_count_nonzero, &l);
    }
}

static const struct load loads[] = {
    /* T, B, samples from a step to the next */
    {.T = 1, .B = 1, .stride = 1}, {.T = 1, .B = 3, .stride = 7}, {.T = 5, .B = 1, .stride = 1},
    {.T = 4, .B = 3, .stride = 3}, {.T = 3, .B = 2, .stride = 5},
};

static struct load begin_load(struct ops *ops, int k, bool numbers, bool counts) {
    struct load l = loads[k % OPS_COUNT(loads)];
    l.units = unit_counts[k / OPS_COUNT(loads) % OPS_COUNT(unit_counts)];
    ops_begin(ops, "%d steps, %d of %d samples, %td units, numbers %d, counts %d", l.T, l.B, l.stride, l.units, numbers,
              counts);
    l.rows = (ptrdiff_t)l.T * l.B;
    l.y = numbers ? ops_output(ops, l.rows * l.units, sizeof *l.y) : NULL;
    l.nonzero = counts ? ops_output(ops, l.rows, sizeof *l.nonzero) : NULL;
    return l;
}

static void call_load_frames(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct load *l = argument;
    (void)ops;
    device->math->load_frames(device, l->T, l->B, l->stride, l->units, l->frames, l->y, l->nonzero);
}

static void check_load_frames(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(loads) * OPS_COUNT(unit_counts); ++k) {
        struct load l = begin_load(ops, k / 2, true, k % 2);
        /* The last step ends with our last sample: nothing of the others' may be read there. */
        ptrdiff_t n = ((ptrdiff_t)(l.T - 1) * l.stride + l.B) * l.units;
        float *frames = ops_input(ops, n, sizeof *frames);
        for (ptrdiff_t i = 0; i < n; ++i) frames[i] = ops_below(ops, 2) ? (float)(ops_unit(ops) - 0.5) : 0;
        real *y = ops_memory(ops, l.rows * l.units, sizeof *y);
        int32_t *nonzero = ops_memory(ops, l.rows, sizeof *nonzero);
        for (int32_t t = 0; t < l.T; ++t)
            for (int32_t b = 0; b < l.B; ++b)
                for (ptrdiff_t i = 0; i < l.units; ++i) {
                    float x = frames[((ptrdiff_t)t * l.stride + b) * l.units + i];
                    y[(t * l.B + b) * l.units + i] = x;
                    nonzero[t * l.B + b] += x != 0;
                }
        l.frames = frames;
        ops_expect(ops, l.y, y);
        if (l.nonzero) ops_expect(ops, l.nonzero, nonzero);
        ops_run(ops, call_load_frames, &l);
    }
}

static void call_load_events(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct load *l = argument;
    (void)ops;
    device->math->load_events(device, l->T, l->units, &l->lists, l->y, l->nonzero);
}

static void check_load_events(struct ops *ops) {
    static const int32_t row_counts[] = {1, 3, 4, 12, 30};
    for (int k = 0; k < 6 * OPS_COUNT(row_counts) * OPS_COUNT(unit_counts); ++k) {
        struct load l = {.rows = row_counts[k / 6 % OPS_COUNT(row_counts)],
                         .units = unit_counts[k / 6 / OPS_COUNT(row_counts)]};
        const struct ops_kind kind = {SNN_LISTS, k % 4 ? 0.3 : 1, k / 3 % 2};
        ops_begin(ops, "%td rows of %td, %s, numbers %d, counts %d", l.rows, l.units, ops_kind_text(&kind), k % 3 != 2,
                  k % 3);
        const struct ops_rows x = ops_rows_as(ops, l.rows, l.units, &kind);
        int32_t *nonzero = ops_memory(ops, l.rows, sizeof *nonzero);
        for (ptrdiff_t i = 0; i < l.rows * l.units; ++i) nonzero[i / l.units] += x.dense[i] != 0;
        l.lists = x.rows.lists, l.T = (int32_t)l.rows / l.lists.B;
        l.y = k % 3 != 2 ? ops_output(ops, l.rows * l.units, sizeof *l.y) : NULL;
        l.nonzero = k % 3 ? ops_output(ops, l.rows, sizeof *l.nonzero) : NULL;
        if (l.y) ops_expect(ops, l.y, x.dense);
        if (l.nonzero) ops_expect(ops, l.nonzero, nonzero);
        ops_run(ops, call_load_events, &l);
    }
}

struct search {
    int32_t T, B, t0;
    const int32_t *first, *step;
    int32_t *row;
};

static void call_find_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct search *s = argument;
    (void)ops;
    device->math->find_rows(device, s->T, s->B, s->t0, s->first, s->step, s->row);
}

/* Recordings of 12 steps and of nothing, with many entries in a step and with none, that begin behind others'. */
static void check_find_rows(struct ops *ops) {
    static const int32_t cuts[][2] = {{0, 12}, {0, 1}, {1, 1}, {11, 1}, {3, 5}, {9, 3}, {10, 300}};
    for (int k = 0; k < 24 * OPS_COUNT(cuts); ++k) {
        struct search s = {.t0 = cuts[k % OPS_COUNT(cuts)][0], .T = cuts[k % OPS_COUNT(cuts)][1]};
        s.B = 1 + (int32_t)ops_below(ops, k % 5 ? 6 : 70);
        ops_begin(ops, "%d steps from %d on, %d samples", s.T, s.t0, s.B);
        enum { STEPS = 12, MOST = 9 };
        int32_t *first = ops_input(ops, s.B + 1, sizeof *first), *count = ops_memory(ops, s.B * STEPS, sizeof *count);
        int32_t *row = ops_memory(ops, (ptrdiff_t)s.B * (s.T + 1), sizeof *row), used = 5;
        for (int32_t b = 0; b < s.B; ++b) {
            int32_t length = (int32_t)ops_below(ops, STEPS + 1);
            first[b] = used;
            for (int32_t t = 0; t < length; ++t) used += count[b * STEPS + t] = (int32_t)ops_below(ops, 3) * MOST / 2;
            for (int32_t t = 0, at = first[b]; t <= s.T + s.t0; ++t) {
                if (t >= s.t0) row[b * (s.T + 1) + t - s.t0] = at;
                if (t < STEPS) at += count[b * STEPS + t];
            }
        }
        first[s.B] = used;
        int32_t *step = ops_input(ops, used, sizeof *step), at = 5;
        for (int32_t i = 0; i < 5; ++i) step[i] = 4; /* of a sample before ours */
        for (int32_t i = 0; i < s.B * STEPS; ++i)
            for (int32_t n = 0; n < count[i]; ++n) step[at++] = i % STEPS;
        s.first = first, s.step = step, s.row = ops_output(ops, (ptrdiff_t)s.B * (s.T + 1), sizeof *s.row);
        ops_expect(ops, s.row, row);
        ops_run(ops, call_find_rows, &s);
    }
}

struct steps {
    int32_t T, B, t0, less;
    bool is_static;
    const int32_t *nonzero, *length;
    int64_t *sum;
    int32_t *cut_length;
    uint8_t *mask;
};

static void call_add_counts(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct steps *s = argument;
    (void)ops;
    device->math->add_counts(device, s->T, s->B, s->is_static, s->nonzero, s->length, s->less, s->sum);
}

static const int32_t step_counts[] = {1, 2, 5, 33, 257}, sample_counts[] = {1, 3, 32, 65};

static void check_add_counts(struct ops *ops) {
    for (int k = 0; k < 4 * OPS_COUNT(step_counts) * OPS_COUNT(sample_counts); ++k) {
        struct steps s = {.T = step_counts[k / 4 % OPS_COUNT(step_counts)],
                          .B = sample_counts[k / 4 / OPS_COUNT(step_counts)],
                          .is_static = k & 1,
                          .less = k / 4 % 3};
        ops_begin(ops, "T %d, B %d, static %d, lengths %d - %d", s.T, s.B, s.is_static, k >> 1 & 1, s.less);
        ptrdiff_t rows = (ptrdiff_t)s.B * (s.is_static ? 1 : s.T);
        int32_t *nonzero = ops_input(ops, rows, sizeof *nonzero), *length = ops_input(ops, s.B, sizeof *length);
        for (ptrdiff_t r = 0; r < rows; ++r) nonzero[r] = (int32_t)ops_below(ops, INT32_MAX); /* sums beyond 32 bits */
        for (int32_t b = 0; b < s.B; ++b) length[b] = (int32_t)ops_below(ops, (uint32_t)s.T + 1);
        s.nonzero = nonzero, s.length = k & 2 ? length : NULL, s.sum = ops_output(ops, 1, sizeof *s.sum);
        int64_t *sum = ops_memory(ops, 1, sizeof *sum);
        *s.sum = *sum = 77;
        for (int32_t t = 0; t < s.T; ++t)
            for (int32_t b = 0; b < s.B; ++b)
                if (!s.length || t < length[b] - s.less) *sum += nonzero[s.is_static ? b : t * s.B + b];
        ops_expect(ops, s.sum, sum);
        ops_run(ops, call_add_counts, &s);
    }
}

static void call_cut_lengths(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct steps *s = argument;
    (void)ops;
    device->math->cut_lengths(device, s->T, s->B, s->t0, s->length, s->cut_length, s->mask);
}

static void check_cut_lengths(struct ops *ops) {
    for (int k = 0; k < 3 * OPS_COUNT(step_counts) * OPS_COUNT(sample_counts); ++k) {
        struct steps s = {.T = step_counts[k / 3 % OPS_COUNT(step_counts)],
                          .B = sample_counts[k / 3 / OPS_COUNT(step_counts)],
                          .t0 = k % 3 * 4 - 3};
        ops_begin(ops, "%d steps from %d on, %d samples", s.T, s.t0, s.B);
        int32_t *length = ops_input(ops, s.B, sizeof *length), *cut = ops_memory(ops, s.B, sizeof *cut);
        uint8_t *mask = ops_memory(ops, (ptrdiff_t)s.T * s.B, 1);
        for (int32_t b = 0; b < s.B; ++b) length[b] = (int32_t)ops_below(ops, (uint32_t)(s.t0 + 3 + 2 * s.T));
        for (int32_t t = 0; t < s.T; ++t)
            for (int32_t b = 0; b < s.B; ++b)
                if (s.t0 + t < length[b]) mask[t * s.B + b] = 1, cut[b] = t + 1;
        s.length = length, s.cut_length = ops_output(ops, s.B, sizeof *cut), s.mask = ops_output(ops, s.T * s.B, 1);
        ops_expect(ops, s.cut_length, cut), ops_expect(ops, s.mask, mask);
        ops_run(ops, call_cut_lengths, &s);
    }
}

/* clang-format off */
#define CASES(X)                                                                                                       \
    X(linear_scratch)                                                                                                  \
    X(linear)                                                                                                          \
    X(linear_grad_input)                                                                                               \
    X(linear_grad_weight) X(add) X(accumulate) X(sum_over_time) X(fill) X(multiply) X(trace) X(trace_back) X(dropout_mask) X(dropout) X(count_nonzero)             \
        X(add_counts) X(cut_lengths) X(load_frames) X(load_events) X(find_rows)
/* clang-format on */
#define OPS_ENTRY_(name) OPS_ROW(snn_math_kernels, name)
OPS_TABLE(snn_math_kernels, CASES)
OPS_TCASE(math)
