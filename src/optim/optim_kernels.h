/* SPDX-License-Identifier: Apache-2.0
 * optim_kernels.h - the kernel table of the optimisers. */
#ifndef SNN_OPTIM_KERNELS_H
#define SNN_OPTIM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

struct snn_device;

enum { SNN_OPTIM_SCALARS = 16 };

/* What every step looks at before it changes a weight. In device memory: whether a gradient is finite is known there
 * long before the host looks, and nothing may be spoiled meanwhile. */
struct snn_gate {
    double norm;      /* of the gradients of this step, before clipping */
    real factor;      /* of clipping; 1: none */
    uint32_t stopped; /* 1 from the first step on that was not finite */
    uint32_t step;    /* that step, by the clock */
};

struct snn_optim_kernels {
    /* One step of rule `rule` (enum snn_optim_rule) on n elements, unless the gate has stopped; slots the rule does not
     * use are NULL. */
    void (*step)(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value, const real *restrict grad,
                 real *const slot[3], const real *scalar, const struct snn_gate *gate);
    /* *out = sum of squares, accumulated in double in fixed blocks: the same bits for any number of threads. */
    void (*sum_of_squares)(struct snn_device *device, ptrdiff_t n, const real *grad, double *out);
    /* The gate of a step: norm = sqrt of the sum of `squares` (n), factor = max_norm / (norm + 1e-6) where that is
     * below
     * 1. From the first step on in which the norm or *loss is not finite, it stops: loss may be NULL, clock is that of
     * struct snn_run. */
    void (*gate)(struct snn_device *device, int n, const double *squares, double max_norm, const double *loss,
                 const uint32_t *clock, struct snn_gate *gate);
    /* grad *= gate->factor */
    void (*scale)(struct snn_device *device, ptrdiff_t n, real *grad, const struct snn_gate *gate);
    /* value = the nearest number in low..high, unless the gate has stopped */
    void (*clamp)(struct snn_device *device, ptrdiff_t n, real low, real high, real *value,
                  const struct snn_gate *gate);
};

#endif
