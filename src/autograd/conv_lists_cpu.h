/* SPDX-License-Identifier: Apache-2.0
 * conv_lists_cpu.h - convolution of lists of events on the CPU, for the table of conv_cpu.c (see autograd/conv.h). */
#ifndef SNN_CONV_LISTS_CPU_H
#define SNN_CONV_LISTS_CPU_H

#include "autograd/conv.h"
#include "core/isa.h"

/* Can these lists be convolved as such, and is that faster than making them numbers? */
bool SNN_ISA(snn_conv_takes_lists)(const struct snn_conv_shape *shape, ptrdiff_t rows, const struct snn_lists *x);
size_t SNN_ISA(snn_conv_lists_scratch)(int threads, const struct snn_conv_shape *shape);
void SNN_ISA(snn_conv_lists)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                             const struct snn_lists *x, const real *w, const real *b, bool adds, real *y,
                             void *scratch);
void SNN_ISA(snn_conv_lists_grad_weight)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                                         const struct snn_lists *x, const real *gy, real *gw, real *gb, void *scratch);

#endif
