/* SPDX-License-Identifier: Apache-2.0
 * temporal_cpu.h - convolution over time on the CPU, for the table of conv_cpu.c (see autograd/conv.h). */
#ifndef SNN_TEMPORAL_CPU_H
#define SNN_TEMPORAL_CPU_H

#include "autograd/conv.h"
#include "core/isa.h"

void SNN_ISA(snn_temporal)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                           const real *before, const real *w, const real *b, real *y);
void SNN_ISA(snn_temporal_grad_input)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *gy,
                                      const real *w, bool adds, real *gx);
size_t SNN_ISA(snn_temporal_scratch)(const struct snn_temporal_shape *shape);
void SNN_ISA(snn_temporal_grad_weight)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                                       const real *before, const real *gy, real *gw, void *scratch);

#endif
