/* SPDX-License-Identifier: Apache-2.0
 * product.cuh - matrix products of row-major matrices by cuBLAS. */
#ifndef SNN_CUDA_PRODUCT_CUH
#define SNN_CUDA_PRODUCT_CUH

#include "cuda/backend.h"

enum { MOST_ROWS = 1 << 30 }; /* of one product: cuBLAS counts in int */

/* C (m,n) = op(A) op(B) + beta C. cuBLAS has columns where we have rows, so it is told to compute the transposed
 * product from the transposed factors, which costs nothing. */
static inline void product(struct snn_cuda *cuda, bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n,
                           ptrdiff_t k, const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb, real beta, real *c,
                           ptrdiff_t ldc) {
    const real one = 1;
    cublasStatus_t status =
        cublasSgemm(cuda->blas, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                    (int)n, (int)m, (int)k, &one, b, (int)ldb, a, (int)lda, &beta, c, (int)ldc);
    cuda_note_blas(cuda, status);
}

#endif
