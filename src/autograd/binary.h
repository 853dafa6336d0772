/* SPDX-License-Identifier: Apache-2.0
 * binary.h - kernels of networks whose weights and activations have one bit: BiPer (Vargas et al., CVPR 2024).
 *
 *   weights       b = sin(f w), or its sign;  backward db/dw = f cos(f w), straight through the sign
 *   activations   y = sign(a / s);  backward max(0, 2 - 2|a / s|), the derivative of ApproxSign (Liu et al. 2018), with
 *                 s = sqrt(var(a) + eps) over the row, unbiased, through which the gradient flows, or s = 1
 *
 * The sign of 0 is 0: a weight that is exactly 0 and the zeros of a padding stay what they are. */
#ifndef SNN_BINARY_H
#define SNN_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "core/real.h"

struct snn_periodic_shape { /* w (rows,n): row r makes output r */
    int32_t rows;
    ptrdiff_t n;
    bool square; /* the sign of the sine */
};

struct snn_sign_shape {
    ptrdiff_t rows, n;
    bool scaled; /* by the deviation of each row */
    double eps;
    bool smooth; /* the gradient check's: ApproxSign itself; only the CPU knows it */
};

struct snn_binary_kernels {
    /* y = alpha[r] b; alpha (rows) or NULL: 1. *frequency lies in device memory, since it may be annealed */
    void (*periodic)(struct snn_device *device, const struct snn_periodic_shape *shape, const real *frequency,
                     const real *w, const real *alpha, real *y);
    /* gw (rows,n) and galpha (rows) are added to; either may be NULL */
    void (*periodic_grad)(struct snn_device *device, const struct snn_periodic_shape *shape, const real *frequency,
                          const real *w, const real *alpha, const real *gy, real *gw, real *galpha);

    /* x, y (rows,n); saved (rows): 1/s, written where `scaled` */
    void (*sign)(struct snn_device *device, const struct snn_sign_shape *shape, const real *x, real *saved, real *y);
    /* gx may be gy */
    void (*sign_grad)(struct snn_device *device, const struct snn_sign_shape *shape, const real *x, const real *saved,
                      const real *gy, bool adds, real *gx);
};

#endif
