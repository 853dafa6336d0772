/* SPDX-License-Identifier: Apache-2.0
 * cublas.cpp - cuBLAS's GEMM by CBLAS, ordered on the handle's stream.
 *
 * AddressSanitizer does not see into CBLAS, so every matrix is checked when the call is made: it must lie, with both
 * its ends, inside one allocation. The scalars are read at the call, from the host. */
#include <cblas.h>

#include "cublas_v2.h"
#include "internal.h"

/* OpenBLAS's own; one thread is all a test needs, and always the same bits. */
extern "C" int openblas_get_num_threads(void) CUDAEMU_WEAK;
extern "C" void openblas_set_num_threads(int threads) CUDAEMU_WEAK;

struct cublasContext {
    cudaStream_t stream;
};

namespace cudaemu {

struct matrix { /* column-major */
    const float *p;
    int rows, columns, ld;
    long long stride;
};

static size_t offset(long long elements) { return (size_t)elements * sizeof(float); }

static void check_matrix(const char *name, const struct matrix &m, int batch) {
    if (m.rows == 0 || m.columns == 0 || batch == 0) return;
    if (m.ld < m.rows) die("GEMM: the leading dimension of %s is %d, but it has %d rows", name, m.ld, m.rows);
    if (m.stride < 0) die("GEMM: the stride of %s is %lld", name, m.stride);
    const long long elements = (batch - 1) * m.stride + (long long)(m.columns - 1) * m.ld + m.rows;
    char what[32] = "GEMM: matrix ?";
    what[13] = name[0];
    require_device_range(what, m.p, offset(elements));
}

static struct matrix operand(cublasOperation_t op, const float *p, int rows, int columns, int ld, long long stride) {
    if (op == CUBLAS_OP_N) return {p, rows, columns, ld, stride};
    return {p, columns, rows, ld, stride};
}

static CBLAS_TRANSPOSE transposed(cublasOperation_t op) { return op == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; }

} // namespace cudaemu

using namespace cudaemu;
typedef std::lock_guard<std::recursive_mutex> guard;

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    guard g(lock());
    *handle = nullptr;
    if (enter() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    forbid_in_capture("cublasCreate");
    *handle = new cublasContext{nullptr};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    guard g(lock());
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    guard g(lock());
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *workspace, size_t bytes) {
    guard g(lock());
    require_device_range("cublasSetWorkspace", workspace, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const float *alpha, const float *a, int lda,
                                         long long stride_a, const float *b, int ldb, long long stride_b,
                                         const float *beta, float *c, int ldc, long long stride_c, int batch) {
    guard g(lock());
    if (enter() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (m < 0 || n < 0 || k < 0 || batch < 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
    check_matrix("A", operand(transa, a, m, k, lda, stride_a), batch);
    check_matrix("B", operand(transb, b, k, n, ldb, stride_b), batch);
    check_matrix("C", {c, m, n, ldc, stride_c}, batch);
    if (batch > 1 && stride_c < (long long)(n - 1) * ldc + m) die("GEMM: the matrices C of a batch overlap");
    const float alpha_now = *alpha, beta_now = *beta;
    enqueue(handle->stream, [=] {
        if (openblas_set_num_threads && openblas_get_num_threads() != 1) openblas_set_num_threads(1);
        for (int i = 0; i < batch; i++)
            cblas_sgemm(CblasColMajor, transposed(transa), transposed(transb), m, n, k, alpha_now, a + i * stride_a,
                        lda, b + i * stride_b, ldb, beta_now, c + i * stride_c, ldc);
    });
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                              const float *beta, float *c, int ldc) {
    return cublasSgemmStridedBatched(handle, transa, transb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);
}

const char *cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "an unsupported value or parameter was passed";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "the GPU program failed to execute";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "the functionality is not supported";
    default:
        return "an internal operation failed";
    }
}

} // extern "C"
