/* SPDX-License-Identifier: Apache-2.0
 * temporal.h - convolution over time, for the table of conv.cu (see autograd/conv.h). */
#ifndef SNN_CUDA_TEMPORAL_H
#define SNN_CUDA_TEMPORAL_H

#include "autograd/conv.h"

void snn_cuda_temporal(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                       const real *before, const real *w, const real *b, real *y);
void snn_cuda_temporal_grad_input(struct snn_device *device, const struct snn_temporal_shape *shape, const real *gy,
                                  const real *w, bool adds, real *gx);
size_t snn_cuda_temporal_scratch(const struct snn_temporal_shape *shape);
void snn_cuda_temporal_grad_weight(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                                   const real *before, const real *gy, real *gw, void *scratch);

#endif
