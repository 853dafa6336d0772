/* SPDX-License-Identifier: Apache-2.0
 * conv.h - 2-D convolution (cross-correlation, as every framework calls it). */
#ifndef SNN_CONV_H
#define SNN_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"

struct snn_conv_shape {
    int32_t C, H, W;   /* input */
    int32_t O, OH, OW; /* output */
    int32_t kernel[2], stride[2], padding[2], dilation[2];
    int32_t groups;
};

/* Output size of one axis: floor((n + 2p - d(k-1) - 1)/s) + 1; <= 0 when the kernel does not fit. */
static inline int32_t snn_conv_out(int32_t n, int32_t k, int32_t s, int32_t p, int32_t d) {
    int32_t span = n + 2 * p - d * (k - 1) - 1;
    return span < 0 ? 0 : span / s + 1;
}

struct snn_conv_kernels {
    /* Bytes of scratch the three kernels need, each. */
    size_t (*scratch)(int threads, const struct snn_conv_shape *shape, ptrdiff_t rows, enum snn_form x);
    /* x (rows, C,H,W), w (O, C/groups, kh, kw), b (O) or NULL, y (rows, O,OH,OW) */
    void (*forward)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, const real *w, const real *b, real *y, void *scratch);
    void (*grad_input)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows, const real *gy,
                       const real *w, bool adds, real *gx, void *scratch);
    /* gw += , gb += (NULL: none) */
    void (*grad_weight)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                        const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);
};

#endif
