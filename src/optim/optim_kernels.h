/* SPDX-License-Identifier: Apache-2.0
 * optim_kernels.h - the kernel table of the optimisers. */
#ifndef SNN_OPTIM_KERNELS_H
#define SNN_OPTIM_KERNELS_H

#include <stddef.h>

#include "core/real.h"

struct snn_device;

enum { SNN_OPTIM_SCALARS = 16 };

struct snn_optim_kernels {
    /* One step of rule `rule` (enum snn_optim_rule) on n elements; slots the rule does not use are NULL. */
    void (*step)(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value, const real *restrict grad,
                 real *const slot[3], const real *scalar);
    /* *out = sum of squares, accumulated in double in fixed blocks: the same bits for any number of threads. */
    void (*sum_of_squares)(struct snn_device *device, ptrdiff_t n, const real *grad, double *out);
    void (*scale)(struct snn_device *device, ptrdiff_t n, real *grad, const real *factor);
};

#endif
