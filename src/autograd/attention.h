/* SPDX-License-Identifier: Apache-2.0
 * attention.h - kernels of attention: products of matrices that activations are, and shares of the steps of a sequence.
 */
#ifndef SNN_ATTENTION_H
#define SNN_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "core/real.h"

/* `count` products Y (m,n) = alpha op(A) op(B), all matrices row-major and one after the other; op(A) is (m,k). */
struct snn_products {
    ptrdiff_t count;
    int32_t m, n, k;
    bool transpose_a, transpose_b; /* A lies as (k,m), B as (n,k) */
    double alpha;
};

/* Steps get shares between 0 and 1 (Yao et al. 2021: TA-SNN). With a step's mean a and maximum m, both 0 beyond a
 * recording's end, and w1 (hidden, steps), w2 (steps, hidden):
 *
 *   h = relu(w1 a), g = relu(w1 m); share = 1 / (1 + exp(-w2 (h + g)))
 */
struct snn_shares_shape {
    int32_t T, B;  /* of the batch */
    int32_t steps; /* of the weights, T at least; those that the batch has not count as 0 */
    int32_t hidden;
};

struct snn_attention_kernels {
    void (*products)(struct snn_device *device, const struct snn_products *p, const real *a, const real *b, bool adds,
                     real *y);

    /* mean, largest (rows) of each row and `where` its first largest number is */
    void (*pool_rows)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, real *mean,
                      real *largest, int32_t *where);
    /* gx = share gy, plus gmean / units, plus glargest where the largest number was; share and the two gradients (rows)
     */
    void (*spread_rows)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *gy, const real *share,
                        const real *gmean, const real *glargest, const int32_t *where, bool adds, real *gx);

    /* share (T,B); hidden (B,2,hidden): h and g. mask (T,B) or NULL */
    void (*shares)(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask, const real *mean,
                   const real *largest, const real *w1, const real *w2, real *hidden, real *share);
    /* gw1 and gw2 are added to unless NULL; gmean, glargest (T,B). scratch (B, steps + 2 hidden) */
    void (*shares_grad)(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask,
                        const real *mean, const real *largest, const real *w1, const real *w2, const real *hidden,
                        const real *share, const real *gshare, real *scratch, real *gw1, real *gw2, real *gmean,
                        real *glargest);
};

#endif
