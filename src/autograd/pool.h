/* SPDX-License-Identifier: Apache-2.0
 * pool.h - average and maximum pooling over windows of an image. */
#ifndef SNN_POOL_H
#define SNN_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"

struct snn_pool_shape {
    int32_t C, H, W, OH, OW;
    int32_t kernel[2], stride[2], padding[2]; /* average: padding counts as zeros, as in PyTorch */
};

struct snn_pool_kernels {
    size_t (*scratch)(int threads, const struct snn_pool_shape *shape);
    /* y (rows, C,OH,OW); nonzero (rows) or NULL: outputs that are not 0 */
    void (*average)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, real *y, int32_t *nonzero, void *scratch);
    void (*average_grad)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows, const real *gy,
                         bool adds, real *gx);
    /* choice (rows, C,OH,OW) or NULL: which tap of the window won; on ties the first in row-major order */
    void (*maximum)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, real *y, uint8_t *choice, int32_t *nonzero, void *scratch);
    void (*maximum_grad)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows, const real *gy,
                         const uint8_t *choice, bool adds, real *gx);
};

#endif
