/* SPDX-License-Identifier: Apache-2.0
 * backend.h - what the files of the CUDA backend share: the state of an open device, and the tables they fill.
 *
 * Kernels are queued on one compute stream and never waited for here; what changes from step to step they read from
 * device memory, because a step is captured as a graph and replayed with frozen arguments. Sums are in an order that
 * the shape alone decides, so that the same run gives the same bits; integers alone may be added with atomics. */
#ifndef SNN_CUDA_BACKEND_H
#define SNN_CUDA_BACKEND_H

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/attention.h"
#include "autograd/binary.h"
#include "autograd/conv.h"
#include "autograd/delay.h"
#include "autograd/loss.h"
#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/mix.h"
#include "autograd/norm.h"
#include "autograd/pool.h"
#include "autograd/regular.h"
#include "autograd/weights.h"
#include "core/arena.h"
#include "core/status.h"
#include "cuda/launch.h"
#include "cuda/open.h"
#include "layers/neuron.h"
#include "layers/ultra.h"
#include "optim/optim_kernels.h"

/* Threads of a block. A build for the race detector, which knows few threads, sets it lower: a multiple of 32. */
#ifndef SNN_CUDA_BLOCK
#define SNN_CUDA_BLOCK 256
#endif
enum { BLOCK = SNN_CUDA_BLOCK, WARPS = BLOCK / 32, PARTIALS = 1 << 16, MOST_BLOCKS = 1 << 20 };

struct cuda_stage;
struct cuda_ring;
struct cuda_graphs;

struct snn_cuda {
    int index;              /* of the card */
    char name[16];          /* "cuda:0" */
    char card[280];         /* the card's own name, and its architecture */
    cudaStream_t compute;   /* kernels, in order */
    cublasHandle_t blas;    /* on compute */
    double *partial;        /* (PARTIALS), device memory: what the blocks of one reduction leave for the next kernel */
    void *workspace;        /* cuBLAS's */
    cudaError_t error;      /* the first that happened; little is done after it */
    const char *blas_error; /* cuBLAS's own words where the error is its */
    const char *hint;       /* what may help against the error; NULL: nothing in particular */
    snn_cuda_fail *fail;

    cudaStream_t copier; /* batches */
    struct cuda_ring *ring;
    struct cuda_stage *stage;
    struct cuda_graphs *graphs;
};

static inline struct snn_cuda *cuda_of(struct snn_device *device) { return (struct snn_cuda *)device->backend; }

/* Remember the first error. */
static inline void cuda_note(struct snn_cuda *cuda, cudaError_t error) {
    if (cuda->error == cudaSuccess) cuda->error = error;
}

static inline void cuda_note_blas(struct snn_cuda *cuda, cublasStatus_t status) {
    if (status == CUBLAS_STATUS_SUCCESS || cuda->error != cudaSuccess) return;
    cuda->error = cudaErrorUnknown, cuda->blas_error = cublasGetStatusString(status);
}

/* Is there code for the current card in this library? It would be missed only when the first kernel starts. */
cudaError_t cuda_find_code(void);

/* The sentence for cuda->error. Returns SNN_EFAIL. */
int cuda_failed(struct snn_cuda *cuda);

/* Blocks for n work items, one a thread; a kernel goes on in steps of the whole grid (grid-stride) when there are more.
 */
static inline unsigned blocks_for(ptrdiff_t n) {
    ptrdiff_t blocks = (n + BLOCK - 1) / BLOCK;
    return (unsigned)(blocks < 1 ? 1 : blocks > MOST_BLOCKS ? (ptrdiff_t)MOST_BLOCKS : blocks);
}

extern const struct snn_memory_kernels snn_memory_cuda;
extern const struct snn_math_kernels snn_math_cuda;
extern const struct snn_conv_kernels snn_conv_cuda;
extern const struct snn_delay_kernels snn_delay_cuda;
extern const struct snn_pool_kernels snn_pool_cuda;
extern const struct snn_norm_kernels snn_norm_cuda;
extern const struct snn_weights_kernels snn_weights_cuda;
extern const struct snn_binary_kernels snn_binary_cuda;
extern const struct snn_mix_kernels snn_mix_cuda;
extern const struct snn_attention_kernels snn_attention_cuda;
extern const struct snn_loss_kernels snn_loss_cuda;
extern const struct snn_regular_kernels snn_regular_cuda;
extern const struct snn_neuron_kernels snn_neuron_cuda;
extern const struct snn_ultra_kernels snn_ultra_cuda;
extern const struct snn_optim_kernels snn_optim_cuda;

#endif
