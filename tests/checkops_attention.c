/* SPDX-License-Identifier: Apache-2.0
 * checkops_attention.c - products of activations and shares of steps (autograd/attention.h). */
#include "checkops.h"

#include "autograd/attention.h"

struct attention {
    struct snn_products p;
    struct snn_shares_shape s;
    ptrdiff_t rows, units;
    const real *a, *b, *x, *share_in, *gmean_in, *glargest_in, *w1, *w2, *hidden_in, *gshare;
    const int32_t *where_in;
    const uint8_t *mask;
    real *y, *mean, *largest, *hidden, *share, *gw1, *gw2, *gmean, *glargest;
    int32_t *where;
    bool adds;
};

/* ---- products ---- */

static const struct {
    ptrdiff_t count;
    int32_t m, n, k;
} products[] = {{1, 1, 1, 1}, {3, 2, 5, 4}, {7, 16, 16, 3}, {2, 33, 1, 65}, {1, 5, 64, 1}, {40, 4, 9, 4}, {0, 2, 2, 2}};

static void call_products(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct attention *v = argument;
    (void)ops;
    device->attention->products(device, &v->p, v->a, v->b, v->adds, v->y);
}

static void check_products(struct ops *ops) {
    for (int i = 0; i < 8 * OPS_COUNT(products); ++i) {
        ptrdiff_t count = products[i / 8].count, m = products[i / 8].m, n = products[i / 8].n, k = products[i / 8].k;
        struct attention v = {.p = {count, (int32_t)m, (int32_t)n, (int32_t)k, i & 1, i & 2, i & 1 ? -0.7 : 1},
                              .adds = i & 4};
        ops_begin(ops, "%td products of %td,%td,%td, option %d", count, m, n, k, i % 8);
        v.a = ops_reals(ops, count * m * k), v.b = ops_reals(ops, count * k * n);
        v.y = ops_output(ops, count * m * n, sizeof *v.y);
        struct ops_sum *y = ops_memory(ops, count * m * n, sizeof *y);
        if (v.adds) ops_fill(ops, v.y, count * m * n, -1, 1);
        for (ptrdiff_t e = 0; e < count * m * n; ++e) {
            ptrdiff_t c = e / (m * n), row = e / n % m, column = e % n;
            if (v.adds) ops_term(&y[e], v.y[e]);
            for (ptrdiff_t j = 0; j < k; ++j)
                ops_term(&y[e], (wide)(real)v.p.alpha * v.a[c * m * k + (v.p.transpose_a ? j * m + row : row * k + j)] *
                                    v.b[c * k * n + (v.p.transpose_b ? column * k + j : j * n + column)]);
        }
        ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_products, &v);
    }
}

/* ---- rows ---- */

static const struct {
    ptrdiff_t rows, units;
} rows[] = {{0, 3}, {1, 1}, {4, 2}, {3, 31}, {5, 64}, {7, 257}, {2, 3000}, {33, 12}};

static void call_pool_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct attention *v = argument;
    (void)ops;
    device->attention->pool_rows(device, v->rows, v->units, v->x, v->mean, v->largest, v->where);
}

static void check_pool_rows(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(rows); ++i) {
        struct attention v = {.rows = rows[i / 2].rows, .units = rows[i / 2].units};
        ops_begin(ops, "%td rows of %td, ties %d", v.rows, v.units, i % 2);
        real *x = ops_reals(ops, v.rows * v.units);
        for (ptrdiff_t k = 0; i % 2 && k < v.rows * v.units; ++k) x[k] = (real)ops_below(ops, 2); /* spikes */
        v.x = x, v.mean = ops_output(ops, v.rows, sizeof *v.mean),
        v.largest = ops_output(ops, v.rows, sizeof *v.largest);
        v.where = ops_output(ops, v.rows, sizeof *v.where);
        struct ops_sum *mean = ops_memory(ops, v.rows, sizeof *mean);
        real *largest = ops_memory(ops, v.rows, sizeof *largest);
        int32_t *where = ops_memory(ops, v.rows, sizeof *where);
        for (ptrdiff_t r = 0; r < v.rows; ++r) {
            for (ptrdiff_t k = 0; k < v.units; ++k) {
                ops_term(&mean[r], (wide)x[r * v.units + k] / v.units);
                if (x[r * v.units + k] > x[r * v.units + where[r]]) where[r] = (int32_t)k;
            }
            largest[r] = x[r * v.units + where[r]];
        }
        ops_expect_sums(ops, v.mean, mean), ops_expect(ops, v.largest, largest), ops_expect(ops, v.where, where);
        ops_run(ops, call_pool_rows, &v);
    }
}

static void call_spread_rows(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct attention *v = argument;
    (void)ops;
    device->attention->spread_rows(device, v->rows, v->units, v->x, v->share_in, v->gmean_in, v->glargest_in,
                                   v->where_in, v->adds, v->y);
}

static void check_spread_rows(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(rows); ++i) {
        struct attention v = {.rows = rows[i / 2].rows, .units = rows[i / 2].units, .adds = i % 2};
        ops_begin(ops, "%td rows of %td, adds %d", v.rows, v.units, v.adds);
        ptrdiff_t n = v.rows * v.units;
        v.x = ops_reals(ops, n), v.share_in = ops_reals(ops, v.rows), v.gmean_in = ops_reals(ops, v.rows);
        v.glargest_in = ops_reals(ops, v.rows);
        int32_t *where = ops_input(ops, v.rows, sizeof *where);
        for (ptrdiff_t r = 0; r < v.rows; ++r) where[r] = (int32_t)ops_below(ops, (uint32_t)v.units);
        v.where_in = where, v.y = ops_output(ops, n, sizeof *v.y);
        struct ops_sum *y = ops_memory(ops, n, sizeof *y);
        if (v.adds) ops_fill(ops, v.y, n, -1, 1);
        for (ptrdiff_t k = 0; k < n; ++k) {
            ptrdiff_t r = k / v.units;
            if (v.adds) ops_term(&y[k], v.y[k]);
            ops_term(&y[k], (wide)v.share_in[r] * v.x[k]), ops_term(&y[k], (wide)v.gmean_in[r] / v.units);
            if (k % v.units == where[r]) ops_term(&y[k], v.glargest_in[r]);
        }
        ops_expect_sums(ops, v.y, y);
        ops_run(ops, call_spread_rows, &v);
    }
}

/* ---- shares ---- */

static const struct snn_shares_shape shapes[] = {{1, 1, 1, 1},   {4, 3, 4, 2},      {5, 2, 8, 3},   {16, 7, 16, 1},
                                                 {30, 4, 33, 9}, {300, 2, 300, 18}, {3, 65, 3, 140}};

static struct attention begin_shares(struct ops *ops, int i, bool masked) {
    struct attention v = {.s = shapes[i]};
    const struct snn_shares_shape *s = &v.s;
    ops_begin(ops, "%d steps of %d samples, weights for %d, %d between, masked %d", s->T, s->B, s->steps, s->hidden,
              masked);
    uint8_t *mask = masked ? ops_input(ops, s->T * s->B, 1) : NULL;
    for (int32_t k = 0; k < s->T * s->B && masked; ++k) mask[k] = ops_below(ops, 3) != 0;
    v.mask = mask, v.a = ops_reals(ops, s->T * s->B), v.b = ops_reals(ops, s->T * s->B);
    v.w1 = ops_reals(ops, s->steps * s->hidden), v.w2 = ops_reals(ops, s->steps * s->hidden);
    return v;
}

static wide pooled(const struct attention *v, const real *x, int32_t t, int32_t b) {
    int32_t at = t * v->s.B + b;
    return v->mask && !v->mask[at] ? 0 : x[at];
}

/* h (k < hidden) or g of sample b. */
static struct ops_sum between(const struct attention *v, int32_t k, int32_t b) {
    struct ops_sum sum = {0};
    int32_t H = v->s.hidden;
    for (int32_t t = 0; t < v->s.T; ++t)
        ops_term(&sum, (wide)v->w1[k % H * v->s.steps + t] * pooled(v, k < H ? v->a : v->b, t, b));
    return sum;
}

static void call_shares(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct attention *v = argument;
    (void)ops;
    device->attention->shares(device, &v->s, v->mask, v->a, v->b, v->w1, v->w2, v->hidden, v->share);
}

static void check_shares(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(shapes); ++i) {
        struct attention v = begin_shares(ops, i / 2, i % 2);
        int32_t T = v.s.T, B = v.s.B, H = v.s.hidden;
        v.hidden = ops_output(ops, B * 2 * H, sizeof *v.hidden), v.share = ops_output(ops, T * B, sizeof *v.share);
        struct ops_sum *hidden = ops_memory(ops, B * 2 * H, sizeof *hidden),
                       *share = ops_memory(ops, T * B, sizeof *share);
        for (int32_t b = 0; b < B; ++b) {
            for (int32_t k = 0; k < 2 * H; ++k) {
                struct ops_sum sum = between(&v, k, b);
                hidden[b * 2 * H + k] = (struct ops_sum){sum.value > 0 ? sum.value : 0, sum.terms, sum.n};
            }
            for (int32_t t = 0; t < T; ++t) {
                wide sum = 0, terms = 0;
                for (int32_t k = 0; k < 2 * H; ++k) {
                    wide w = v.w2[t * H + k % H];
                    sum += w * hidden[b * 2 * H + k].value, terms += fabsl(w) * hidden[b * 2 * H + k].terms;
                }
                wide y = 1 / (1 + expl(-sum)); /* |dy| <= |dsum| / 4, and exp itself rounds */
                share[t * B + b] = (struct ops_sum){y, y + terms / 4, T + 2 * H};
            }
        }
        ops_expect_sums(ops, v.hidden, hidden), ops_expect_sums(ops, v.share, share);
        ops_run(ops, call_shares, &v);
    }
}

static void call_shares_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct attention *v = argument;
    real *scratch = ops_scratch(ops, (size_t)v->s.B * (size_t)(v->s.steps + 2 * v->s.hidden) * sizeof *scratch);
    device->attention->shares_grad(device, &v->s, v->mask, v->a, v->b, v->w1, v->w2, v->hidden_in, v->share_in,
                                   v->gshare, scratch, v->gw1, v->gw2, v->gmean, v->glargest);
}

/* Of what comes into the sums: value and magnitude. */
static void weigh(struct ops_sum *to, wide factor, struct ops_sum sum) {
    to->value += factor * sum.value, to->terms += fabsl(factor) * sum.terms, to->n += sum.n;
}

static void shares_grad_case(struct ops *ops, int i, int option) {
    struct attention v = begin_shares(ops, i, option & 1);
    int32_t T = v.s.T, B = v.s.B, H = v.s.hidden, S = v.s.steps;
    real *hidden = ops_input(ops, B * 2 * H, sizeof *hidden), *share = ops_input(ops, T * B, sizeof *share);
    for (int32_t k = 0; k < B * 2 * H; ++k) hidden[k] = ops_below(ops, 3) ? (real)ops_unit(ops) : 0;
    for (int32_t k = 0; k < T * B; ++k) share[k] = (real)(0.1 + 0.8 * ops_unit(ops));
    v.hidden_in = hidden, v.share_in = share, v.gshare = ops_reals(ops, T * B);
    v.gmean = ops_output(ops, T * B, sizeof *v.gmean), v.glargest = ops_output(ops, T * B, sizeof *v.glargest);
    struct ops_sum *gw1 = ops_memory(ops, S * H, sizeof *gw1), *gw2 = ops_memory(ops, S * H, sizeof *gw2);
    struct ops_sum *gpooled[2] = {ops_memory(ops, T * B, sizeof *gw1), ops_memory(ops, T * B, sizeof *gw1)};
    if (!(option & 2)) {
        v.gw1 = ops_output(ops, S * H, sizeof *v.gw1), v.gw2 = ops_output(ops, S * H, sizeof *v.gw2);
        ops_fill(ops, v.gw1, S * H, -1, 1), ops_fill(ops, v.gw2, S * H, -1, 1);
        for (int32_t k = 0; k < S * H; ++k) ops_term(&gw1[k], v.gw1[k]), ops_term(&gw2[k], v.gw2[k]);
    }
    for (int32_t b = 0; b < B; ++b)
        for (int32_t k = 0; k < 2 * H; ++k) {
            struct ops_sum gh = {0};
            wide h = hidden[b * 2 * H + k];
            for (int32_t t = 0; t < T; ++t) {
                wide y = share[t * B + b], gsum = v.gshare[t * B + b] * y * (1 - y);
                ops_term(&gh, gsum * v.w2[t * H + k % H]);
                ops_term(&gw2[t * H + k % H], gsum * h);
            }
            if (h <= 0) continue;
            for (int32_t t = 0; t < T; ++t) {
                weigh(&gw1[k % H * S + t], pooled(&v, k < H ? v.a : v.b, t, b), gh);
                if (!v.mask || v.mask[t * B + b]) weigh(&gpooled[k / H][t * B + b], v.w1[k % H * S + t], gh);
            }
        }
    if (v.gw1) ops_expect_sums(ops, v.gw1, gw1), ops_expect_sums(ops, v.gw2, gw2);
    ops_expect_sums(ops, v.gmean, gpooled[0]), ops_expect_sums(ops, v.glargest, gpooled[1]);
    ops_run(ops, call_shares_grad, &v);
}

static void check_shares_grad(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(shapes); ++i) shares_grad_case(ops, i / 4, i % 4);
}

#define CASES(X) X(products) X(pool_rows) X(spread_rows) X(shares) X(shares_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_attention_kernels, name)
OPS_TABLE(snn_attention_kernels, CASES)
OPS_TCASE(attention)
