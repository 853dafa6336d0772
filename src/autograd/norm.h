/* SPDX-License-Identifier: Apache-2.0
 * norm.h - normalisation by channel over a batch (Ioffe & Szegedy 2015), of one step or of all steps jointly, with the
 * same or with its own parameters at every step (Kim & Panda 2021: BNTT); and of each row by itself, as a whole or in
 * groups.
 *
 * Rows beyond a recording's length (mask 0) count neither in the statistics nor in the gradient. Biased variance
 * normalises; the running variance takes the unbiased one, as PyTorch does. */
#ifndef SNN_NORM_H
#define SNN_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "core/real.h"

struct snn_norm_shape {
    int32_t T, B, C; /* C: channels */
    ptrdiff_t inner; /* H*W */
    bool joint;      /* statistics over T*B*inner, else over B*inner for each step */
    double eps, momentum;
    int32_t repeats; /* a static tensor stands for this many equal steps: its running statistics move that often */
    ptrdiff_t step;  /* parameters and running statistics are (T,C), this far from step to step; 0: the same for all */
};

/* Each row is cut into groups of neighbouring units, of which each has statistics of its own. */
struct snn_row_norm_shape {
    ptrdiff_t rows, groups, units; /* units: of a group */
    ptrdiff_t inner;               /* neighbouring units that share parameters */
    bool centred;                  /* false: the root of the mean square alone (Zhang & Sennrich 2019: RMS norm) */
    double eps;
};

struct snn_norm_kernels {
    /* x, y (T,B,C,inner); w, b (C) or NULL: 1 and 0; saved (G,C,2): mean and 1/std by group (G = T, or 1 when joint);
     * running mean and var (C); all of (C) have T times as many with `step` */
    void (*batch)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x, const real *w,
                  const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved, real *y);
    /* With the running statistics */
    void (*batch_eval)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x, const real *w,
                       const real *b, const real *running_mean, const real *running_var, real *y);
    /* gx may be gy. gw, gb are added to unless NULL; partial (G,C,2) is scratch */
    void (*batch_grad)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x, const real *w,
                       const uint8_t *mask, const real *saved, const real *gy, real *partial, real *gw, real *gb,
                       bool adds, real *gx);
    /* The same in evaluation mode: statistics are constants (eval_grad is needed when a frozen norm is trained through)
     */
    void (*batch_eval_grad)(struct snn_device *device, const struct snn_norm_shape *shape, const real *x, const real *w,
                            const real *running_mean, const real *running_var, const real *gy, real *gw, real *gb,
                            bool adds, real *gx);

    /* saved (rows, groups, 2): mean (0 unless centred) and 1/std; w, b (groups * units / inner) or NULL: 1 and 0 */
    void (*rows)(struct snn_device *device, const struct snn_row_norm_shape *shape, const real *x, const real *w,
                 const real *b, real *saved, real *y);
    /* gx may be gy. gw, gb are added to unless NULL */
    void (*rows_grad)(struct snn_device *device, const struct snn_row_norm_shape *shape, const real *x, const real *w,
                      const real *saved, const real *gy, real *gw, real *gb, bool adds, real *gx);
};

#endif
