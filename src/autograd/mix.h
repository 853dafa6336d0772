/* SPDX-License-Identifier: Apache-2.0
 * mix.h - kernels of layers that put activations together or weigh them: copies of parts of rows, joins, factors,
 * clamps, and products over time. */
#ifndef SNN_MIX_H
#define SNN_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/lstm.h"
#include "core/real.h"

/* How spikes a, of a residual branch, meet spikes b, of its shortcut (Fang et al. 2021: SEW). */
enum snn_join {
    SNN_JOIN_AND, /* a b */
    SNN_JOIN_IAND /* (1 - a) b */
};

/* Which numbers share a factor: number (r,i) has factor (r / share_rows) * (units / share_units) + i / share_units. */
struct snn_scale_shape {
    ptrdiff_t rows, units;
    ptrdiff_t share_rows;  /* rows: all rows; B: those of a step; 1: each has its own */
    ptrdiff_t share_units; /* units: all of a row; those of a channel */
};
static inline ptrdiff_t snn_scale_factors(const struct snn_scale_shape *s) {
    return s->rows / s->share_rows * (s->units / s->share_units);
}

/* A sequence as a matrix: T steps of n numbers, mixed by the first T rows and columns of a weight (steps,steps). */
struct snn_steps_shape {
    int32_t T, steps;
    ptrdiff_t n;
};

struct snn_mix_kernels {
    /* to[r * to_step + i] = from[r * from_step + i], i < n. from_step 0: the same row again and again */
    void (*copy_rows)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t from_step,
                      bool adds, real *to, ptrdiff_t to_step);

    /* y = min(max(x, low), high); y may be x */
    void (*clamp)(struct snn_device *device, ptrdiff_t n, real low, real high, const real *x, real *y);
    /* gx = gy where low < y < high, else 0; gx may be gy */
    void (*clamp_grad)(struct snn_device *device, ptrdiff_t n, real low, real high, const real *y, const real *gy,
                       bool adds, real *gx);

    void (*join)(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b, real *y);
    /* ga or gb may be NULL; when they are one, gb is written first */
    void (*join_grad)(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b,
                      const real *gy, bool adds_a, real *ga, bool adds_b, real *gb);

    /* y = factor * x; y may be x */
    void (*scale)(struct snn_device *device, const struct snn_scale_shape *shape, const real *factor, const real *x,
                  bool adds, real *y);
    /* The factors' gradient: sums of gy * x over all that share one */
    void (*scale_grad)(struct snn_device *device, const struct snn_scale_shape *shape, const real *x, const real *gy,
                       bool adds, real *gfactor);

    /* y (T,n) = W x + b of each step, or W^T x + b; b (steps) or NULL, which is as good as zeros */
    void (*steps)(struct snn_device *device, const struct snn_steps_shape *shape, const real *w, bool transposed,
                  const real *b, const real *x, real *y);
    /* gw += gy x^T; scratch of snn_steps_scratch bytes */
    void (*steps_grad)(struct snn_device *device, const struct snn_steps_shape *shape, const real *x, const real *gy,
                       real *gw, void *scratch);
    /* y[r] = mask[r] ? x[r] : 0, rows of n */
    void (*mask_rows)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const uint8_t *mask, const real *x,
                      bool adds, real *y);

    /* A step of a spiking LSTM: autograd/lstm.h */
    void (*lstm)(struct snn_device *device, const struct snn_lstm_step *step);
    void (*lstm_grad)(struct snn_device *device, const struct snn_lstm_step *step);
};

/* The gradient of W is summed over parts of the numbers of a step, which depend on the shape alone. */
static inline ptrdiff_t snn_steps_parts(const struct snn_steps_shape *s) {
    enum { LEAST = 2048, MOST = 32, ROOM = 1 << 21 };
    ptrdiff_t parts = (s->n + LEAST - 1) / LEAST, fit = ROOM / ((ptrdiff_t)s->T * s->T + 1);
    if (parts > MOST) parts = MOST;
    if (parts > fit) parts = fit;
    return parts < 1 ? 1 : parts;
}
/* Enough for fewer steps and numbers, too. */
static inline size_t snn_steps_scratch(const struct snn_steps_shape *s) {
    size_t room = 0;
    for (struct snn_steps_shape less = *s; less.T > 0; --less.T) {
        size_t bytes = (size_t)snn_steps_parts(&less) * (size_t)less.T * (size_t)less.T * sizeof(real);
        if (bytes > room) room = bytes;
    }
    return room;
}

#endif
