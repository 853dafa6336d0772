/* SPDX-License-Identifier: Apache-2.0
 * linear_cpu.h - linear layers on the CPU, for the table of math_cpu.c (see autograd/math.h). */
#ifndef SNN_LINEAR_CPU_H
#define SNN_LINEAR_CPU_H

#include "autograd/math.h"
#include "core/isa.h"

size_t SNN_ISA(snn_linear_scratch)(int threads, const struct snn_linear_shape *shape, enum snn_form x);
void SNN_ISA(snn_linear)(struct snn_device *device, const struct snn_linear_shape *shape, const struct snn_rows *x,
                         const real *w, const real *b, real *y, void *scratch);
void SNN_ISA(snn_linear_grad_input)(struct snn_device *device, const struct snn_linear_shape *shape, const real *gy,
                                    const real *w, bool adds, real *gx);
void SNN_ISA(snn_linear_grad_weight)(struct snn_device *device, const struct snn_linear_shape *shape,
                                     const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);

#endif
