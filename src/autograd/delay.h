/* SPDX-License-Identifier: Apache-2.0
 * delay.h - synapses with delays: every one has a kernel over time (DCLS; Hammouamri, Khalfaoui-Hassani, Masquelier,
 * "Learning delays in spiking neural networks using dilated convolutions with learnable spacings", ICLR 2024).
 *
 * A kernel of `taps` numbers is made of `count` elements, each with a weight w, a position P (0 is the middle tap) and
 * a width S. Let p = P + taps/2 (rounded down), e = 1e-7:
 *
 *   version   bump g[n]                               width s
 *   v0        1 - (p - floor(p)) at n = floor(p), p - floor(p) at the next    not normalised: h = g
 *   v1        max(0, 1 - |n - p|)
 *   max       max(0, s - |n - p|)                     |S| + 1
 *   gauss     exp(-((n - p) / s)^2 / 2)               |S| + 0.27
 *
 *   h[n] = g[n] / (sum_m g[m] + e)          K[n,o,i] = sum over the elements of synapse (o,i) of  w h[n]
 *   y[t,b,o] = sum_i sum_n K[n,o,i] x[t - (taps - 1) + n, b, i]         delay of tap n: taps - 1 - n
 *
 * Derivatives where the bumps have kinks are 0, as in PyTorch. Rounded (evaluation), an element is the one tap nearest
 * to p, of two the even one: w / (1 + e) there. */
#ifndef SNN_DELAY_H
#define SNN_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"

enum snn_delay_version { SNN_DELAY_GAUSS, SNN_DELAY_MAX, SNN_DELAY_V1, SNN_DELAY_V0 };
#define SNN_DELAY_EPS ((real)1e-7)

struct snn_delay_shape {
    int32_t in, out, groups;
    int32_t taps, count; /* of a kernel; elements that it is made of */
};
static inline ptrdiff_t snn_delay_synapses(const struct snn_delay_shape *s) {
    return (ptrdiff_t)s->out * (s->in / s->groups);
}

struct snn_delay_elements {
    int version;                           /* enum snn_delay_version */
    bool rounded;                          /* positions to the nearest taps; version and widths do not matter */
    const real *weight, *position, *width; /* (out, in/groups, count) each; width NULL: */
    const real *sigma;                     /* S of all, in device memory */
};

struct snn_delay_span {   /* of time */
    int32_t B;            /* samples */
    int32_t before, x, y; /* steps of x that were before those of y, all steps of x, steps of y */
};

/* A delay d for every channel (of axons: Shrestha & Orchard, "SLAYER", NeurIPS 2018), linear between whole steps:
 *   y[t] = (1 - f) x[t - k] + f x[t - k - 1],  k = floor(d), f = d - k      dy[t]/dd = x[t - k - 1] - x[t - k] */
struct snn_shift {
    int32_t T, B, before; /* steps of y; samples; steps of x before those of y, of which it has T more */
    int32_t C, most;      /* channels; the longest delay */
    ptrdiff_t inner;      /* numbers of a channel */
    bool rounded;         /* delays to the nearest whole steps, of two the even one */
};

struct snn_delay_kernels {
    /* kernel (taps, out, in/groups) */
    void (*build)(struct snn_device *device, const struct snn_delay_shape *shape, const struct snn_delay_elements *e,
                  real *kernel);
    /* Gradients of the elements are added to, where they are not NULL. */
    void (*build_grad)(struct snn_device *device, const struct snn_delay_shape *shape,
                       const struct snn_delay_elements *e, const real *gkernel, real *gweight, real *gposition,
                       real *gwidth);

    /* Bytes of scratch that each of the three below needs. */
    size_t (*scratch)(int threads, const struct snn_delay_shape *shape, const struct snn_delay_span *span,
                      enum snn_form x);
    /* x (span->x, B, in), whose first `before` steps come before step 0 of y; y (span->y, B, out). Steps that x does
     * not have are 0. */
    void (*forward)(struct snn_device *device, const struct snn_delay_shape *shape, const struct snn_delay_span *span,
                    const struct snn_rows *x, const real *kernel, real *y, void *scratch);
    /* gx (span->x - before, B, in): of what came before there is none */
    void (*grad_input)(struct snn_device *device, const struct snn_delay_shape *shape,
                       const struct snn_delay_span *span, const real *gy, const real *kernel, bool adds, real *gx,
                       void *scratch);
    /* gkernel += */
    void (*grad_kernel)(struct snn_device *device, const struct snn_delay_shape *shape,
                        const struct snn_delay_span *span, const struct snn_rows *x, const real *gy, real *gkernel,
                        void *scratch);

    /* y (rows, units) = x as numbers */
    void (*expand)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const struct snn_rows *x, real *y);

    /* x (before + T, B, C, inner), delay (C), y (T,B,C,inner) */
    void (*shift)(struct snn_device *device, const struct snn_shift *shift, const real *x, const real *delay, real *y);
    /* gx (T,B,C,inner) or NULL; gdelay (C) is added to, or NULL */
    void (*shift_grad)(struct snn_device *device, const struct snn_shift *shift, const real *x, const real *delay,
                       const real *gy, bool adds, real *gx, real *gdelay);
};

#endif
