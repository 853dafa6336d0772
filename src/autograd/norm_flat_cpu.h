/* SPDX-License-Identifier: Apache-2.0
 * norm_flat_cpu.h - batch normalisation of flat rows on the CPU, for norm_cpu.c (see autograd/norm.h). Running
 * statistics are kept with joint statistics alone. */
#ifndef SNN_NORM_FLAT_CPU_H
#define SNN_NORM_FLAT_CPU_H

#include "autograd/norm.h"
#include "core/isa.h"

/* Number p of a parameter that may not be there. */
static inline real number(const real *parameter, ptrdiff_t p, real otherwise) {
    return parameter ? parameter[p] : otherwise;
}

void SNN_ISA(snn_norm_flat)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x, const real *w,
                            const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved,
                            real *y);
/* Without gw and gb, which are the sums of `partial`. */
void SNN_ISA(snn_norm_flat_grad)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x,
                                 const real *w, const uint8_t *mask, const real *saved, const real *gy, real *partial,
                                 bool adds, real *gx);

#endif
