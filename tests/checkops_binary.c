/* SPDX-License-Identifier: Apache-2.0
 * checkops_binary.c - binary weights and activations (autograd/binary.h). */
#include "checkops.h"

#include "autograd/binary.h"
#include "core/rmath.h"

/* ---- weights ---- */

static const struct {
    int32_t rows;
    ptrdiff_t n;
    double frequency, range; /* of the weights */
} waves[] = {
    {1, 1, 20, 0.3}, {3, 7, 20, 0.1},  {5, 12, 10, 1},   {2, 255, 0.5, 2},     {17, 64, 20, 0.05},
    {4, 257, 30, 3}, {2, 1025, 1, 20}, {1, 513, 100, 1}, {7, 33, 1000, 0.001},
};

struct periodic {
    struct snn_periodic_shape shape;
    const real *frequency, *w, *alpha, *gy;
    real *y, *gw, *galpha;
};

/* option: bit 0 the square wave, bit 1 no factors */
static struct periodic begin_periodic(struct ops *ops, int i, int option) {
    struct periodic p = {.shape = {waves[i].rows, waves[i].n, option & 1}};
    ptrdiff_t count = p.shape.rows * p.shape.n;
    ops_begin(ops, "%d rows of %td, frequency %g, weights up to %g, option %d", (int)p.shape.rows, p.shape.n,
              waves[i].frequency, waves[i].range, option);
    real *f = ops_input(ops, 1, sizeof *f), *w = ops_reals(ops, count);
    *f = (real)waves[i].frequency;
    for (ptrdiff_t k = 0; k < count; ++k) w[k] *= (real)waves[i].range; /* some stay 0 */
    if (count > 3) w[1] = 0, w[2] = (real)-0.0;
    p.frequency = f, p.w = w, p.alpha = option & 2 ? NULL : ops_reals(ops, p.shape.rows);
    return p;
}

/* sin and cos of what the product rounds to; a sine of 1 may be off by two roundings of one. */
static struct ops_sum sine(const struct periodic *p, ptrdiff_t k, wide *cosine) {
    real x = *p->frequency * p->w[k];
    wide s = sinl((wide)x);
    *cosine = cosl((wide)x);
    if (!p->shape.square) return (struct ops_sum){s, 1, 1};
    s = p->w[k] == 0 ? 0 : s > 0 ? 1 : -1;
    return (struct ops_sum){s, 0, 1};
}

static void call_periodic(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct periodic *p = argument;
    (void)ops;
    device->binary->periodic(device, &p->shape, p->frequency, p->w, p->alpha, p->y);
}

static void check_periodic(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(waves); ++i) {
        struct periodic p = begin_periodic(ops, i / 4, i % 4);
        ptrdiff_t count = p.shape.rows * p.shape.n;
        struct ops_sum *y = ops_memory(ops, count, sizeof *y);
        for (ptrdiff_t k = 0; k < count; ++k) {
            wide unused, scale = p.alpha ? (wide)p.alpha[k / p.shape.n] : 1;
            y[k] = sine(&p, k, &unused);
            y[k].value *= scale, y[k].terms *= fabsl(scale);
        }
        p.y = ops_output(ops, count, sizeof *p.y);
        ops_expect_sums(ops, p.y, y);
        ops_run(ops, call_periodic, &p);
    }
}

static void call_periodic_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct periodic *p = argument;
    (void)ops;
    device->binary->periodic_grad(device, &p->shape, p->frequency, p->w, p->alpha, p->gy, p->gw, p->galpha);
}

/* option: as above; bit 2: no gradient of w, bit 3: none of alpha */
static void check_periodic_grad(struct ops *ops) {
    for (int i = 0; i < 16 * OPS_COUNT(waves); ++i) {
        int option = i % 16;
        struct periodic p = begin_periodic(ops, i / 16, option);
        ptrdiff_t count = p.shape.rows * p.shape.n;
        struct ops_sum *gw = ops_memory(ops, count, sizeof *gw), *ga = ops_memory(ops, p.shape.rows, sizeof *ga);
        p.gy = ops_reals(ops, count), p.gw = ops_output(ops, count, sizeof *p.gw),
        p.galpha = ops_output(ops, p.shape.rows, sizeof *p.galpha);
        ops_fill(ops, p.gw, count, -1, 1), ops_fill(ops, p.galpha, p.shape.rows, -1, 1);
        for (int32_t r = 0; r < p.shape.rows; ++r) ops_term(&ga[r], p.galpha[r]);
        for (ptrdiff_t k = 0; k < count; ++k) {
            wide cosine, scale = (p.alpha ? (wide)p.alpha[k / p.shape.n] : 1) * *p.frequency * p.gy[k];
            struct ops_sum b = sine(&p, k, &cosine), *to = &ga[k / p.shape.n];
            ops_term(&gw[k], p.gw[k]);
            if (!(option & 4)) gw[k].value += scale * cosine, gw[k].terms += fabsl(scale);
            if (option & 8) continue;
            to->value += b.value * p.gy[k], to->n += 1;
            to->terms += fabsl((wide)p.gy[k]); /* a square wave's too: nothing is lost but a rounding */
        }
        ops_expect_sums(ops, p.gw, gw), ops_expect_sums(ops, p.galpha, ga);
        if (option & 4) p.gw = NULL;
        if (option & 8) p.galpha = NULL;
        ops_run(ops, call_periodic_grad, &p);
    }
}

/* ---- activations ---- */

static const struct {
    ptrdiff_t rows, n;
    double eps;
} signs[] = {{1, 2, 1e-5}, {3, 7, 1e-5}, {5, 64, 1e-3}, {2, 255, 1e-5}, {17, 33, 0}, {2, 1025, 1e-5}, {0, 9, 1e-5}};

struct signed_rows {
    struct snn_sign_shape shape;
    const real *x, *saved_in, *gy; /* gy NULL: in gx */
    real *saved, *y, *gx;
    bool adds;
};

static struct signed_rows begin_sign(struct ops *ops, int i, bool scaled, int option) {
    struct signed_rows v = {.shape = {signs[i].rows, signs[i].n, scaled, signs[i].eps, false}};
    ptrdiff_t count = v.shape.rows * v.shape.n;
    ops_begin(ops, "%td rows of %td, scaled %d, option %d", v.shape.rows, v.shape.n, scaled, option);
    real *x = ops_reals(ops, count);
    for (ptrdiff_t k = 0; k < count; ++k) x[k] = (real)(2 * x[k] + (ops_below(ops, 4) ? 0.0 : 0.3));
    v.x = x;
    return v;
}

static wide inverse_of(const struct signed_rows *v, ptrdiff_t r, wide *mean, wide *magnitude) {
    wide squares = 0;
    *mean = *magnitude = 0;
    for (ptrdiff_t i = 0; i < v->shape.n; ++i)
        *mean += v->x[r * v->shape.n + i], *magnitude += fabsl((wide)v->x[r * v->shape.n + i]);
    *mean /= v->shape.n, *magnitude /= v->shape.n;
    for (ptrdiff_t i = 0; i < v->shape.n; ++i) squares += powl(v->x[r * v->shape.n + i] - *mean, 2);
    return 1 / sqrtl(squares / (v->shape.n - 1) + (wide)v->shape.eps);
}

static void call_sign(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct signed_rows *v = argument;
    (void)ops;
    device->binary->sign(device, &v->shape, v->x, v->saved, v->y);
}

static void check_sign(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(signs); ++i) {
        struct signed_rows v = begin_sign(ops, i / 2, i % 2, 0);
        ptrdiff_t count = v.shape.rows * v.shape.n;
        real *y = ops_memory(ops, count, sizeof *y);
        struct ops_sum *saved = ops_memory(ops, v.shape.rows, sizeof *saved);
        for (ptrdiff_t k = 0; k < count; ++k) y[k] = v.x[k] > 0 ? 1 : v.x[k] < 0 ? -1 : 0;
        for (ptrdiff_t r = 0; r < v.shape.rows; ++r) {
            wide mean, magnitude, inverse = inverse_of(&v, r, &mean, &magnitude);
            saved[r] = (struct ops_sum){inverse, inverse, v.shape.n};
        }
        v.y = ops_output(ops, count, sizeof *v.y);
        ops_expect(ops, v.y, y);
        if (v.shape.scaled) {
            v.saved = ops_output(ops, v.shape.rows, sizeof *v.saved);
            ops_expect_sums(ops, v.saved, saved);
        }
        ops_run(ops, call_sign, &v);
    }
}

static void call_sign_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct signed_rows *v = argument;
    (void)ops;
    device->binary->sign_grad(device, &v->shape, v->x, v->saved_in, v->gy ? v->gy : v->gx, v->adds, v->gx);
}

/* option: bit 0 adds to gx, 2: works in place */
static void check_sign_grad(struct ops *ops) {
    for (int i = 0; i < 6 * OPS_COUNT(signs); ++i) {
        int option = i % 3;
        struct signed_rows v = begin_sign(ops, i / 6, i / 3 % 2, option);
        ptrdiff_t n = v.shape.n, count = v.shape.rows * n;
        real *saved = ops_input(ops, v.shape.rows, sizeof *saved);
        v.adds = option == 1, v.saved_in = saved, v.gx = ops_output(ops, count, sizeof *v.gx);
        if (option) ops_fill(ops, v.gx, count, -1, 1);
        v.gy = option == 2 ? NULL : ops_reals(ops, count);
        const real *gy = v.gy ? v.gy : v.gx;
        struct ops_sum *gx = ops_memory(ops, count, sizeof *gx);
        for (ptrdiff_t r = 0; r < v.shape.rows; ++r) {
            wide mean, magnitude;
            saved[r] = (real)inverse_of(&v, r, &mean, &magnitude);
            wide inverse = v.shape.scaled ? saved[r] : 1, bend = powl(inverse, 3) / (n - 1);
            struct ops_sum dot = {0};
            for (ptrdiff_t k = r * n; k < (r + 1) * n; ++k) {
                wide slope = 2 - 2 * fabsl(inverse * v.x[k]);
                if (slope > 0) ops_term(&dot, gy[k] * slope * v.x[k]), dot.terms += fabsl((wide)gy[k] * v.x[k]);
            }
            for (ptrdiff_t k = r * n; k < (r + 1) * n; ++k) {
                wide slope = 2 - 2 * fabsl(inverse * v.x[k]), old = v.adds ? (wide)v.gx[k] : 0;
                wide direct = slope > 0 ? inverse * gy[k] * slope : 0;
                wide coupled = v.shape.scaled ? bend * (v.x[k] - mean) * dot.value : 0;
                wide size = fabsl((wide)v.x[k]) + magnitude;
                gx[k] = (struct ops_sum){old + direct - coupled,
                                         fabsl(old) + 2 * fabsl(inverse * gy[k]) +
                                             (v.shape.scaled ? bend * size * dot.terms : 0),
                                         v.shape.scaled ? n : 2};
            }
        }
        ops_expect_sums(ops, v.gx, gx);
        ops_run(ops, call_sign_grad, &v);
    }
}

#define CASES(X) X(periodic) X(periodic_grad) X(sign) X(sign_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_binary_kernels, name)
OPS_TABLE(snn_binary_kernels, CASES)
OPS_TCASE(binary)
