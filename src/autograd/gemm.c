/* SPDX-License-Identifier: Apache-2.0
 * gemm.c - the only file that sees cblas.h (which drags in complex.h and its macro I).
 *
 * OpenBLAS runs single-threaded inside our own OpenMP loops over fixed blocks: a threaded call would give other bits
 * for other thread counts, and allocate. */
#include <cblas.h>

#include "autograd/math.h"

void snn_gemm(bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *a,
              ptrdiff_t lda, const real *b, ptrdiff_t ldb, real beta, real *c, ptrdiff_t ldc) {
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
#ifdef SNN_DOUBLE
    cblas_dgemm(
#else
    cblas_sgemm(
#endif
        CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n,
        (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

const char *snn_gemm_variant(void) { return openblas_get_corename(); }
