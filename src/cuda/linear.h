/* SPDX-License-Identifier: Apache-2.0
 * linear.h - linear layers on CUDA, for the table of math.cu (see autograd/math.h). */
#ifndef SNN_CUDA_LINEAR_H
#define SNN_CUDA_LINEAR_H

#include "cuda/backend.h"

size_t snn_cuda_linear_bytes(int threads, const struct snn_linear_shape *shape, enum snn_form x);
void snn_cuda_linear(struct snn_device *device, const struct snn_linear_shape *shape, const struct snn_rows *x,
                     const real *w, const real *b, real *y, void *scratch);
void snn_cuda_linear_grad_input(struct snn_device *device, const struct snn_linear_shape *shape, const real *gy,
                                const real *w, bool adds, real *gx);
void snn_cuda_linear_grad_weight(struct snn_device *device, const struct snn_linear_shape *shape,
                                 const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);

#endif
