/* SPDX-License-Identifier: Apache-2.0
 * math.h - kernels of the layers that are matrix products or element-wise.
 *
 * "rows" is T*B, or B for static tensors. Gradients of parameters are always added to; gradients of activations are
 * written, or added to when `adds`. Results do not depend on the number of threads: work is cut into fixed blocks. */
#ifndef SNN_MATH_H
#define SNN_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"

struct snn_linear_shape {
    ptrdiff_t rows;
    int32_t in, out;
};

/* Runs of `inner` neighbouring units are kept or dropped together. A mask is (T,B, words of units / inner bits): rows
 * t*B+b have masks of steps t0 + t, or with T = 1 and t0 = 0 rows of all steps have one. */
struct snn_dropout_shape {
    ptrdiff_t rows;
    int32_t units, inner, T, B, t0;
};
static inline int32_t snn_dropout_words(const struct snn_dropout_shape *s) { return (s->units / s->inner + 63) / 64; }

struct snn_dropout { /* in device memory, since the rate may be annealed */
    uint64_t limit;  /* keep * 2^32 */
    real scale;      /* 1 / keep */
};

struct snn_math_kernels {
    /* Bytes of scratch for linear and linear_grad_weight; dense rows need none (NULL is fine). */
    size_t (*linear_scratch)(int threads, const struct snn_linear_shape *shape, enum snn_form x);
    /* y = x W^T + b;  x (rows,in), w (out,in), b (out) or NULL, y (rows,out) */
    void (*linear)(struct snn_device *device, const struct snn_linear_shape *shape, const struct snn_rows *x,
                   const real *w, const real *b, real *y, void *scratch);
    /* gx = gy W */
    void (*linear_grad_input)(struct snn_device *device, const struct snn_linear_shape *shape, const real *gy,
                              const real *w, bool adds, real *gx);
    /* gw += gy^T x, gb += sum of gy over rows (gb may be NULL) */
    void (*linear_grad_weight)(struct snn_device *device, const struct snn_linear_shape *shape,
                               const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch);

    /* y = a + b; either may be y. With b_rows < rows, b repeats (a static tensor added to a sequence). */
    void (*add)(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, ptrdiff_t b_n, real *y);
    /* y = x, or y += x when `adds` */
    void (*accumulate)(struct snn_device *device, ptrdiff_t n, const real *x, bool adds, real *y);
    /* y (B,N) = sum over t of x (T,B,N), or added to */
    void (*sum_over_time)(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, bool adds, real *y);

    void (*fill)(struct snn_device *device, ptrdiff_t n, real value, real *y);
    /* y = a b, or added to it; y may be a or b */
    void (*multiply)(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, bool adds, real *y);
    /* y[t] = decay y[t-1] + gain x[t]; x and y (T,B,units), y[-1] (B,units) is `before`, which may lie within y, or 0
     * where that is NULL. `last`: only the last step is wanted, y (B,units) */
    void (*trace)(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t units, const struct snn_rows *x,
                  real decay, real gain, const real *before, bool last, real *y);
    /* The same backwards: y[t] = decay y[t+1] + gain x[t], y[T] = 0; x and y (T,n) */
    void (*trace_back)(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, real decay, real gain,
                       real *y);

    /* The bits are drawn from (seed, optimiser step, sample, step, layer): run i of sample b is kept when its word is
     * below p->limit. */
    void (*dropout_mask)(struct snn_device *device, const struct snn_dropout_shape *shape, const uint32_t *clock,
                         uint32_t layer, const int32_t *sample, const struct snn_dropout *p, uint64_t *mask);
    /* y = x * mask * p->scale, rows repeat the mask; y may be x */
    void (*dropout)(struct snn_device *device, const struct snn_dropout_shape *shape, const uint64_t *mask,
                    const struct snn_dropout *p, const real *x, real *y);

    /* nonzero (rows) = units of each row that are not 0 */
    void (*count_nonzero)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, int32_t *nonzero);

    /* *sum += nonzero (T,B) over the steps t < length[b] - less (NULL: all); nonzero is (B) and counts in every step
     * when `is_static` */
    void (*add_counts)(struct snn_device *device, int32_t T, int32_t B, bool is_static, const int32_t *nonzero,
                       const int32_t *length, int32_t less, int64_t *sum);

    /* Of a cut of T steps from t0 on, of recordings with `length` (B) valid steps: cut_length (B) = valid steps within
     * the cut, mask (T,B) = 1 for those */
    void (*cut_lengths)(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *length,
                        int32_t *cut_length, uint8_t *mask);

    /* Input: float frames (T, stride, units), of which B samples are taken, to numbers (T,B,units); nonzero (T,B) or
     * NULL */
    void (*load_frames)(struct snn_device *device, int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                        const float *frames, real *y, int32_t *nonzero);
    /* Input: T steps of rows of events to dense numbers; y NULL: only the counts are wanted */
    void (*load_events)(struct snn_device *device, int32_t T, ptrdiff_t units, const struct snn_lists *x, real *y,
                        int32_t *nonzero);
    /* Of events by sample (core/batch.h), where the rows of the steps t0 .. t0+T-1 begin: row (B,T+1), the last one
     * where step t0+T would */
    void (*find_rows)(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *first,
                      const int32_t *step, int32_t *row);
};

/* C (m,n) = alpha op(A) op(B) + beta C, row-major, single-threaded (OpenBLAS); safe to call from several threads. */
void snn_gemm(bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *a,
              ptrdiff_t lda, const real *b, ptrdiff_t ldb, real beta, real *c, ptrdiff_t ldc);
/* Name of the BLAS kernel in use ("SkylakeX"), for provenance. */
const char *snn_gemm_variant(void);

#endif
