/* SPDX-License-Identifier: Apache-2.0
 * pool.h - average, sum and maximum over windows of an image.
 *
 * Windows lie `stride` apart; or, adaptive, they divide the image into as many as are asked for: window o of `out` over
 * `in` places is floor(o in / out) .. ceil((o+1) in / out) - 1, as in PyTorch, so that neighbours may share places and,
 * where there are more windows than places, places are repeated. */
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
    bool sum;                                 /* not the average */
    bool adaptive; /* kernel: the largest window; stride and padding say nothing. (out + 1) (in + 1) fits an int */
};

/* Places [start, end) of window o along an axis (0: H, 1: W); some may lie outside the image. */
SNN_HD int32_t snn_pool_start(const struct snn_pool_shape *s, int axis, int32_t o) {
    int32_t in = axis ? s->W : s->H, out = axis ? s->OW : s->OH;
    return s->adaptive ? o * in / out : o * s->stride[axis] - s->padding[axis];
}
SNN_HD int32_t snn_pool_end(const struct snn_pool_shape *s, int axis, int32_t o) {
    int32_t in = axis ? s->W : s->H, out = axis ? s->OW : s->OH;
    return s->adaptive ? ((o + 1) * in + out - 1) / out : o * s->stride[axis] - s->padding[axis] + s->kernel[axis];
}
/* What the sum over window (oy, ox) is multiplied with. */
SNN_HD real snn_pool_share(const struct snn_pool_shape *s, int32_t oy, int32_t ox) {
    if (s->sum) return 1;
    int32_t height = s->adaptive ? snn_pool_end(s, 0, oy) - snn_pool_start(s, 0, oy) : s->kernel[0];
    int32_t width = s->adaptive ? snn_pool_end(s, 1, ox) - snn_pool_start(s, 1, ox) : s->kernel[1];
    return (real)1 / (real)(height * width);
}
/* The windows that divide the image into OH by OW. */
static inline void snn_pool_divide(struct snn_pool_shape *s) {
    s->adaptive = true;
    for (int axis = 0; axis < 2; ++axis) {
        s->kernel[axis] = 1, s->stride[axis] = 1, s->padding[axis] = 0;
        for (int32_t o = 0; o < (axis ? s->OW : s->OH); ++o) {
            int32_t length = snn_pool_end(s, axis, o) - snn_pool_start(s, axis, o);
            if (length > s->kernel[axis]) s->kernel[axis] = length;
        }
    }
}

enum { SNN_POOL_MOST_TAPS = 65535 }; /* of a window of which the maximum is taken */

struct snn_pool_kernels {
    size_t (*scratch)(int threads, const struct snn_pool_shape *shape);
    /* y (rows, C,OH,OW); nonzero (rows) or NULL: outputs that are not 0 */
    void (*average)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, real *y, int32_t *nonzero, void *scratch);
    void (*average_grad)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows, const real *gy,
                         bool adds, real *gx);
    /* choice (rows, C,OH,OW) or NULL: which tap of the window won, (y - start) * kernel[1] + x - start; on ties the
     * first in row-major order */
    void (*maximum)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, real *y, uint16_t *choice, int32_t *nonzero, void *scratch);
    void (*maximum_grad)(struct snn_device *device, const struct snn_pool_shape *shape, ptrdiff_t rows, const real *gy,
                         const uint16_t *choice, bool adds, real *gx);
};

#endif
