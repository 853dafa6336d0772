/* SPDX-License-Identifier: Apache-2.0
 * conv.h - convolution (cross-correlation, as every framework calls it) over one to three axes.
 *
 * The transposed convolution is the same table: its forward pass is the input gradient of the convolution that goes the
 * other way, and its input gradient that one's forward pass. */
#ifndef SNN_CONV_H
#define SNN_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"

enum { SNN_CONV_AXES = 3, SNN_CONV_TAP_ROWS = 256 /* kernel[0] * kernel[1] at most */ };

/* Axes are depth, height and width. A convolution over fewer has size, kernel, stride and dilation 1 and padding 0
 * along the first ones. */
struct snn_conv_shape {
    int32_t C, D, H, W;    /* input */
    int32_t O, OD, OH, OW; /* output */
    int32_t kernel[SNN_CONV_AXES], stride[SNN_CONV_AXES], padding[SNN_CONV_AXES], dilation[SNN_CONV_AXES];
    int32_t groups;
};

static inline ptrdiff_t snn_conv_in_pixels(const struct snn_conv_shape *s) { return (ptrdiff_t)s->D * s->H * s->W; }
static inline ptrdiff_t snn_conv_out_pixels(const struct snn_conv_shape *s) { return (ptrdiff_t)s->OD * s->OH * s->OW; }
/* Of one input and one output channel. */
static inline ptrdiff_t snn_conv_taps(const struct snn_conv_shape *s) {
    return (ptrdiff_t)s->kernel[0] * s->kernel[1] * s->kernel[2];
}

/* Output size of one axis: floor((n + 2p - d(k-1) - 1)/s) + 1; <= 0 when the kernel does not fit. */
static inline int32_t snn_conv_out(int32_t n, int32_t k, int32_t s, int32_t p, int32_t d) {
    int32_t span = n + 2 * p - d * (k - 1) - 1;
    return span < 0 ? 0 : span / s + 1;
}

/* Bring the last `axes` of sizes, kernel, stride, padding and dilation, which lie first, to their places, put in what
 * lacks, and work out the output's size. `in` are the input's sizes. */
static inline void snn_conv_complete(struct snn_conv_shape *s, int axes, const int32_t *in) {
    int32_t size[SNN_CONV_AXES], out[SNN_CONV_AXES];
    for (int i = SNN_CONV_AXES - 1; i >= 0; --i) {
        int from = i - (SNN_CONV_AXES - axes);
        size[i] = from < 0 ? 1 : in[from];
        s->kernel[i] = from < 0 ? 1 : s->kernel[from], s->stride[i] = from < 0 ? 1 : s->stride[from];
        s->padding[i] = from < 0 ? 0 : s->padding[from], s->dilation[i] = from < 0 ? 1 : s->dilation[from];
        out[i] = snn_conv_out(size[i], s->kernel[i], s->stride[i], s->padding[i], s->dilation[i]);
    }
    s->D = size[0], s->H = size[1], s->W = size[2];
    s->OD = out[0], s->OH = out[1], s->OW = out[2];
}

/* A convolution of each channel with itself over time: with S = (taps-1) d, of which `before` has the steps that came
 * before those of x,
 *
 *   y[t,b,c,p] = b[c] + sum over k of  w[c,k] x[t - S + k d, b,c,p],    x[t] = before[S + t] for t < 0
 *
 * which is PyTorch's Conv1d with groups = C over time, padded with S zeros at the start. */
struct snn_temporal_shape {
    int32_t T, B, C;
    ptrdiff_t inner; /* numbers of a channel */
    int32_t taps, dilation;
};
static inline int32_t snn_temporal_reach(const struct snn_temporal_shape *s) { return (s->taps - 1) * s->dilation; }

struct snn_conv_kernels {
    /* Bytes of scratch that forward, grad_input and grad_weight need, each. */
    size_t (*scratch)(int threads, const struct snn_conv_shape *shape, ptrdiff_t rows, enum snn_form x);
    /* x (rows, C,D,H,W), w (O, C/groups, kernel), b (O) or NULL, y (rows, O,OD,OH,OW), or added to */
    void (*forward)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                    const struct snn_rows *x, const real *w, const real *b, bool adds, real *y, void *scratch);
    /* gx = what gy gives + b (C) or NULL, which a transposed convolution has */
    void (*grad_input)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows, const real *gy,
                       const real *w, const real *b, bool adds, real *gx, void *scratch);
    /* gw += , gb += (NULL: none) */
    void (*grad_weight)(struct snn_device *device, const struct snn_conv_shape *shape, ptrdiff_t rows,
                        const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);
    /* gb (channels) += sums of gy (rows, channels, pixels) */
    void (*grad_bias)(struct snn_device *device, ptrdiff_t rows, int32_t channels, ptrdiff_t pixels, const real *gy,
                      real *gb);

    /* x (T,B,C,inner), before (S,B,C,inner) or NULL: zeros, w (C,taps), b (C) or NULL, y as x */
    void (*temporal)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                     const real *before, const real *w, const real *b, real *y);
    /* What came before gets no gradient. */
    void (*temporal_grad_input)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *gy,
                                const real *w, bool adds, real *gx);
    /* gw +=; scratch of temporal_scratch bytes. The bias is grad_bias's. */
    size_t (*temporal_scratch)(const struct snn_temporal_shape *shape);
    void (*temporal_grad_weight)(struct snn_device *device, const struct snn_temporal_shape *shape, const real *x,
                                 const real *before, const real *gy, real *gw, void *scratch);
};

#endif
