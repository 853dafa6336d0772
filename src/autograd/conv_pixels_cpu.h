/* SPDX-License-Identifier: Apache-2.0
 * conv_pixels_cpu.h - convolution of few channels a group on the CPU, for the table of conv_cpu.c (see
 * autograd/conv.h).
 */
#ifndef SNN_CONV_PIXELS_CPU_H
#define SNN_CONV_PIXELS_CPU_H

#include "autograd/conv.h"
#include "core/isa.h"

/* Do vectors of pixels have more lanes in use than vectors of channels? Of the output: forward and weight gradient; of
 * the input: input gradient. */
bool SNN_ISA(snn_conv_pixels_suit)(const struct snn_conv_shape *shape, bool of_input);
/* Enough for all three; 0 when none is to be called. */
size_t SNN_ISA(snn_conv_pixels_scratch)(int threads, const struct snn_conv_shape *shape);
void SNN_ISA(snn_conv_pixels)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                              const struct snn_rows *x, const real *w, const real *b, bool adds, real *y,
                              void *scratch);
void SNN_ISA(snn_conv_pixels_grad_input)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                                         const real *gy, const real *w, const real *b, bool adds, real *gx,
                                         void *scratch);
void SNN_ISA(snn_conv_pixels_grad_weight)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                                          const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);

#endif
