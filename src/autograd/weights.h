/* SPDX-License-Identifier: Apache-2.0
 * weights.h - kernels that make the weights of a layer out of parameters. A weight is (rows, n): row r makes output r.
 *
 * They run once a batch, however many slices and cuts it has; gradients of parameters are added to. */
#ifndef SNN_WEIGHTS_H
#define SNN_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "core/real.h"

/* y = g d / sqrt(factor sum(d^2) + eps) by rows, with d = w - mean(w) where `centred`, else w. */
struct snn_rescale {
    int32_t rows;
    ptrdiff_t n;
    bool centred;
    double factor, eps;
};

struct snn_weights_kernels {
    /* w, y (rows,n), g (rows); saved (rows,2): the mean (0 unless centred) and 1 / sqrt(...) */
    void (*rescale)(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g, real *saved,
                    real *y);
    /* gw, gg are added to; either may be NULL */
    void (*rescale_grad)(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g,
                         const real *saved, const real *gy, real *gw, real *gg);
};

#endif
