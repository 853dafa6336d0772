/* SPDX-License-Identifier: Apache-2.0
 * backend.cu - opening and closing a card. This library is loaded when a run asks for CUDA (src/train/device.c): cuBLAS
 * alone is half a gigabyte, and the program must start where none of this is installed. */
#include "cuda/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/commit.h"
#include "cuda/graphs.h"
#include "cuda/memory.h"
#include "cuda/open.h"
#include "cuda/stage.h"

/* cuBLAS works in memory that it is given once: what it would allocate itself a captured step could not use. */
enum { WORKSPACE = 32 << 20, STEPS_AHEAD = 32, LEAST_MAJOR = 7, LEAST_MINOR = 5 };

int cuda_failed(struct snn_cuda *cuda) {
    const char *hint = cuda->hint ? cuda->hint : "";
    if (cuda->blas_error) return cuda->fail(SNN_EFAIL, "cuda:%d: cuBLAS: %s%s", cuda->index, cuda->blas_error, hint);
    return cuda->fail(SNN_EFAIL, "cuda:%d: %s (%s)%s", cuda->index, cudaGetErrorString(cuda->error),
                      cudaGetErrorName(cuda->error), hint);
}

static void close_device(struct snn_device *device) {
    struct snn_cuda *cuda = cuda_of(device);
    if (cuda->compute) cudaStreamSynchronize(cuda->compute);
    cuda_graphs_close(cuda);
    cuda_stage_close(cuda);
    cuda_ring_close(cuda);
    if (cuda->blas) cublasDestroy(cuda->blas);
    cudaFree(cuda->workspace);
    cudaFree(cuda->partial);
    if (cuda->copier) cudaStreamDestroy(cuda->copier);
    if (cuda->compute) cudaStreamDestroy(cuda->compute);
    free(cuda);
    device->backend = NULL;
}

/* Why there is no card `index`, in one sentence; 0 when there is. */
static int find_card(int index, snn_cuda_fail *fail) {
    int driver = 0, runtime = 0, count = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver && driver)
        return fail(SNN_EUSAGE, "the NVIDIA driver is for CUDA %d.%d, this build needs %d.%d: update the driver",
                    driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorInsufficientDriver) return fail(SNN_EUSAGE, "no NVIDIA driver is installed");
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
        return fail(SNN_EUSAGE, "this machine has no NVIDIA card that CUDA can use");
    if (error != cudaSuccess) return fail(SNN_EUSAGE, "CUDA does not start: %s", cudaGetErrorString(error));
    if (index >= count)
        return fail(SNN_EUSAGE, "there is no cuda:%d: this machine has %d CUDA device%s, numbered from 0", index, count,
                    count == 1 ? "" : "s");
    return 0;
}

/* Products with ten bits of mantissa, on tensor cores: several times as fast, and asked for by name alone. */
static bool wants_tf32(void) {
    const char *wish = getenv("SNNTRAIN_CUDA_TF32");
    return wish && !strcmp(wish, "1");
}

static cublasStatus_t open_blas(struct snn_cuda *cuda) {
    cublasStatus_t status = cublasCreate(&cuda->blas);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetStream(cuda->blas, cuda->compute);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetWorkspace(cuda->blas, cuda->workspace, WORKSPACE);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasSetMathMode(cuda->blas, wants_tf32() ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
    return status;
}

static int open_card(struct snn_cuda *cuda) {
    struct cudaDeviceProp card;
    cuda_note(cuda, cudaSetDevice(cuda->index));
    cuda_note(cuda, cudaGetDeviceProperties(&card, cuda->index));
    if (cuda->error != cudaSuccess) return cuda_failed(cuda);
    if (card.major * 10 + card.minor < LEAST_MAJOR * 10 + LEAST_MINOR)
        return cuda->fail(SNN_EUSAGE, "cuda:%d, %s, has compute capability %d.%d: %d.%d is needed", cuda->index,
                          card.name, card.major, card.minor, LEAST_MAJOR, LEAST_MINOR);
    if (cuda_find_code() != cudaSuccess)
        return cuda->fail(SNN_EUSAGE,
                          "this build has no code for cuda:%d, %s, sm_%d%d: configure it with -Dgpu_arch=%d%d or all",
                          cuda->index, card.name, card.major, card.minor, card.major, card.minor);
    snprintf(cuda->name, sizeof cuda->name, "cuda:%d", cuda->index);
    snprintf(cuda->card, sizeof cuda->card, "%s, sm_%d%d%s", card.name, card.major, card.minor,
             wants_tf32() ? ", TF32" : "");
    cuda_note(cuda, cudaStreamCreateWithFlags(&cuda->compute, cudaStreamNonBlocking));
    cuda_note(cuda, cudaStreamCreateWithFlags(&cuda->copier, cudaStreamNonBlocking));
    cuda_note(cuda, cudaMalloc((void **)&cuda->partial, PARTIALS * sizeof *cuda->partial));
    cuda_note(cuda, cudaMalloc(&cuda->workspace, WORKSPACE));
    if (cuda->error != cudaSuccess) return cuda_failed(cuda);
    cublasStatus_t status = open_blas(cuda);
    if (status != CUBLAS_STATUS_SUCCESS)
        return cuda->fail(SNN_EFAIL, "cuda:%d: cuBLAS does not start: %s", cuda->index, cublasGetStatusString(status));
    if (cuda_ring_open(cuda) || cuda_stage_open(cuda) || cuda_graphs_open(cuda))
        return cuda->fail(SNN_EFAIL, "out of memory");
    return cuda->error == cudaSuccess ? 0 : cuda_failed(cuda);
}

const char *snn_cuda_version(void) { return SNN_VERSION " " SNN_COMMIT; }

int snn_cuda_open(int index, snn_cuda_fail *fail, struct snn_device *out) {
    int rc = find_card(index, fail);
    if (rc < 0) return rc;
    struct snn_cuda *cuda = (struct snn_cuda *)calloc(1, sizeof *cuda);
    if (!cuda) return fail(SNN_EFAIL, "out of memory");
    cuda->index = index, cuda->fail = fail;
    memset(out, 0, sizeof *out);
    out->name = cuda->name, out->variant = cuda->card;
    out->threads = 1;
    out->interval = STEPS_AHEAD;
    out->backend = cuda, out->close = close_device;
    out->memory = &snn_memory_cuda, out->math = &snn_math_cuda, out->conv = &snn_conv_cuda, out->pool = &snn_pool_cuda;
    out->norm = &snn_norm_cuda, out->loss = &snn_loss_cuda, out->neuron = &snn_neuron_cuda,
    out->regular = &snn_regular_cuda, out->ultra = &snn_ultra_cuda, out->optim = &snn_optim_cuda,
    out->weights = &snn_weights_cuda;
    out->delay = &snn_delay_cuda, out->binary = &snn_binary_cuda;
    out->mix = &snn_mix_cuda, out->attention = &snn_attention_cuda;
    rc = open_card(cuda);
    if (rc < 0) close_device(out), memset(out, 0, sizeof *out);
    return rc;
}
