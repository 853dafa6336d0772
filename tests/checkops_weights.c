/* SPDX-License-Identifier: Apache-2.0
 * checkops_weights.c - weights made of parameters (autograd/weights.h). */
#include "checkops.h"

#include "autograd/weights.h"

/* ---- rows brought to a length ---- */

static const struct snn_rescale cases[] = {
    {1, 2, true, 2, 1e-4},        {1, 1, false, 1, 0},           {3, 1, false, 1, 0.5},
    {2, 7, true, 7.0 / 6, 1e-4},  {5, 9, false, 1, 0},           {4, 33, true, 33.0 / 32, 0.1},
    {17, 64, true, 64.0 / 63, 0}, {3, 255, false, 2, 1e-3},      {2, 257, true, 1.004, 1e-4},
    {6, 1025, false, 1, 0},       {2, 4609, true, 1.0003, 1e-4},
};

struct rescaled {
    const struct snn_rescale *how;
    const real *w, *g, *saved_in, *gy;
    real *saved, *y, *gw, *gg;
};

static struct rescaled begin(struct ops *ops, int i, int option) {
    const struct snn_rescale *how = &cases[i];
    ops_begin(ops, "%d rows of %td, centred %d, factor %g, eps %g, option %d", (int)how->rows, how->n, how->centred,
              how->factor, how->eps, option);
    real *w = ops_reals(ops, how->rows * how->n);
    for (ptrdiff_t k = 0; k < how->rows * how->n; ++k) w[k] += (real)(0.5 + (double)(k / how->n)); /* rows differ */
    return (struct rescaled){.how = how, .w = w, .g = ops_reals(ops, how->rows)};
}

struct figures {                   /* of a row */
    wide mean, inverse, magnitude; /* magnitude: mean of |w| */
};
static struct figures figures_of(const struct rescaled *v, int32_t r) {
    const struct snn_rescale *how = v->how;
    const real *w = v->w + r * how->n;
    struct figures f = {0};
    wide squares = 0;
    for (ptrdiff_t i = 0; i < how->n; ++i) f.mean += w[i], f.magnitude += fabsl((wide)w[i]);
    f.mean = how->centred ? f.mean / how->n : 0, f.magnitude /= how->n;
    for (ptrdiff_t i = 0; i < how->n; ++i) squares += (w[i] - f.mean) * (w[i] - f.mean);
    f.inverse = 1 / sqrtl((wide)how->factor * squares + (wide)how->eps);
    return f;
}

static void call_rescale(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct rescaled *v = argument;
    (void)ops;
    device->weights->rescale(device, v->how, v->w, v->g, v->saved, v->y);
}

static void check_rescale(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(cases); ++i) {
        struct rescaled v = begin(ops, i, 0);
        ptrdiff_t n = v.how->n;
        struct ops_sum *y = ops_memory(ops, v.how->rows * n, sizeof *y),
                       *saved = ops_memory(ops, 2 * v.how->rows, sizeof *saved);
        for (int32_t r = 0; r < v.how->rows; ++r) {
            struct figures f = figures_of(&v, r);
            wide scale = v.g[r] * f.inverse;
            saved[2 * r] = (struct ops_sum){f.mean, v.how->centred ? f.magnitude : 0, n};
            saved[2 * r + 1] = (struct ops_sum){f.inverse, f.inverse, n};
            for (ptrdiff_t k = 0; k < n; ++k) {
                wide w = v.w[r * n + k];
                y[r * n + k] = (struct ops_sum){(w - f.mean) * scale, (fabsl(w) + f.magnitude) * fabsl(scale), n};
            }
        }
        v.y = ops_output(ops, v.how->rows * n, sizeof *v.y),
        v.saved = ops_output(ops, 2 * v.how->rows, sizeof *v.saved);
        ops_expect_sums(ops, v.y, y), ops_expect_sums(ops, v.saved, saved);
        ops_run(ops, call_rescale, &v);
    }
}

static void call_rescale_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct rescaled *v = argument;
    (void)ops;
    device->weights->rescale_grad(device, v->how, v->w, v->g, v->saved_in, v->gy, v->gw, v->gg);
}

/* y_i = g (w_i - mean) v, written out: dy_i/dw_j = g v (delta_ij - c/n - factor v^2 d_i d_j). */
static void expect_row(const struct rescaled *v, int32_t r, struct ops_sum *gw, struct ops_sum *gg) {
    const struct snn_rescale *how = v->how;
    const real *w = v->w + r * how->n, *gy = v->gy + r * how->n;
    wide mean = v->saved_in[2 * r], inverse = v->saved_in[2 * r + 1], scale = v->g[r] * inverse;
    struct ops_sum dot = {0}, sum = {0};
    for (ptrdiff_t i = 0; i < how->n; ++i) {
        ops_term(&dot, gy[i] * (w[i] - mean)), ops_term(&sum, (wide)gy[i] / how->n);
        dot.terms += fabsl((wide)gy[i]) * fabsl(mean); /* what cancels still rounds */
    }
    gg[r].value += inverse * dot.value, gg[r].terms += inverse * dot.terms, gg[r].n += dot.n;
    for (ptrdiff_t j = 0; j < how->n; ++j) {
        wide bend = (wide)how->factor * inverse * inverse, d = w[j] - mean;
        struct ops_sum *to = &gw[r * how->n + j];
        to->value += scale * (gy[j] - (how->centred ? sum.value : 0) - bend * d * dot.value);
        to->terms += fabsl(scale) * (fabsl((wide)gy[j]) + (how->centred ? sum.terms : 0) +
                                     bend * (fabsl((wide)w[j]) + fabsl(mean)) * dot.terms);
        to->n += how->n;
    }
}

/* option: bit 0: w is frozen; bit 1: the gain is */
static void check_rescale_grad(struct ops *ops) {
    for (int i = 0; i < 4 * OPS_COUNT(cases); ++i) {
        int option = i % 4;
        struct rescaled v = begin(ops, i / 4, option);
        int32_t rows = v.how->rows;
        ptrdiff_t count = rows * v.how->n;
        real *saved = ops_input(ops, 2 * rows, sizeof *saved);
        for (int32_t r = 0; r < rows; ++r) {
            struct figures f = figures_of(&v, r);
            saved[2 * r] = (real)f.mean, saved[2 * r + 1] = (real)f.inverse;
        }
        v.saved_in = saved, v.gy = ops_reals(ops, count);
        v.gw = ops_output(ops, count, sizeof *v.gw), v.gg = ops_output(ops, rows, sizeof *v.gg);
        ops_fill(ops, v.gw, count, -1, 1), ops_fill(ops, v.gg, rows, -1, 1);
        struct ops_sum *gw = ops_memory(ops, count, sizeof *gw), *gg = ops_memory(ops, rows, sizeof *gg),
                       *unused = ops_memory(ops, count, sizeof *unused);
        for (ptrdiff_t k = 0; k < count; ++k) ops_term(&gw[k], v.gw[k]);
        for (int32_t r = 0; r < rows; ++r) ops_term(&gg[r], v.gg[r]);
        for (int32_t r = 0; r < rows; ++r) expect_row(&v, r, option & 1 ? unused : gw, option & 2 ? unused : gg);
        ops_expect_sums(ops, v.gw, gw), ops_expect_sums(ops, v.gg, gg);
        if (option & 1) v.gw = NULL;
        if (option & 2) v.gg = NULL;
        ops_run(ops, call_rescale_grad, &v);
    }
}

#define CASES(X) X(rescale) X(rescale_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_weights_kernels, name)
OPS_TABLE(snn_weights_kernels, CASES)
OPS_TCASE(weights)
