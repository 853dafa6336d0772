/* SPDX-License-Identifier: Apache-2.0
 * memory.cu - device memory, and what passes between it and the host.
 *
 * Everything is queued on the compute stream; only `download`, `allocate` and large uploads wait. Small uploads go
 * through a ring of page-locked memory, so that the caller's memory is free at once and the copy still runs behind. */
#include "cuda/memory.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/graphs.h"
#include "cuda/sizes.h"
#include "cuda/stage.h"

enum { HALF = 256 << 10, RESERVE = 256 << 20 };

struct cuda_ring {
    unsigned char *memory; /* two halves; one is filled while copies from the other may still run */
    size_t at;
    int half;
    cudaEvent_t done[2]; /* the last copy from a half */
};

int cuda_ring_open(struct snn_cuda *cuda) {
    struct cuda_ring *ring = (struct cuda_ring *)calloc(1, sizeof *ring);
    if (!ring) return -1;
    cuda->ring = ring;
    cuda_note(cuda, cudaHostAlloc((void **)&ring->memory, 2 * HALF, cudaHostAllocDefault));
    for (int i = 0; i < 2; ++i)
        cuda_note(cuda, cudaEventCreateWithFlags(&ring->done[i], cudaEventDisableTiming | cudaEventBlockingSync));
    return 0;
}

void cuda_ring_close(struct snn_cuda *cuda) {
    struct cuda_ring *ring = cuda->ring;
    if (!ring) return;
    for (int i = 0; i < 2; ++i)
        if (ring->done[i]) cudaEventDestroy(ring->done[i]);
    if (ring->memory) cudaFreeHost(ring->memory);
    free(ring);
}

static void *allocate(struct snn_device *device, size_t bytes) {
    struct snn_cuda *cuda = cuda_of(device);
    void *memory = NULL;
    if (cuda->error != cudaSuccess) return NULL;
    cudaError_t error = cudaMalloc(&memory, bytes ? bytes : (size_t)SNN_ALIGN);
    if (error != cudaSuccess) {
        if (error != cudaErrorMemoryAllocation) cuda_note(cuda, error);
        cudaGetLastError(); /* too much was asked for: the device is none the worse for it */
        return NULL;
    }
    cuda_note(cuda, cudaMemsetAsync(memory, 0, bytes, cuda->compute));
    return memory;
}

static void release(struct snn_device *device, void *memory) {
    if (!memory) return;
    cuda_note(cuda_of(device), cudaStreamSynchronize(cuda_of(device)->compute));
    cuda_note(cuda_of(device), cudaFree(memory));
}

static void *host(struct snn_device *device, size_t bytes) {
    void *memory = NULL;
    (void)device;
    if (cudaHostAlloc(&memory, bytes ? bytes : (size_t)SNN_ALIGN, cudaHostAllocMapped | cudaHostAllocPortable) !=
        cudaSuccess) {
        cudaGetLastError();
        return NULL;
    }
    return memset(memory, 0, bytes);
}

static void host_release(struct snn_device *device, void *memory) {
    if (memory) cuda_note(cuda_of(device), cudaFreeHost(memory));
}

static void room(struct snn_device *device, size_t *left, size_t *total) {
    *left = *total = 0;
    cuda_note(cuda_of(device), cudaMemGetInfo(left, total));
    /* The driver loads kernels when they are first used, ours and cuBLAS's, and needs room for them. */
    size_t reserve = *total / 16 < RESERVE ? *total / 16 : (size_t)RESERVE;
    *left = *left > reserve ? *left - reserve : 0;
}

static size_t stage_bytes(struct snn_device *device, const struct snn_batch *shape) {
    (void)device;
    return snn_cuda_stage_bytes(shape);
}

static void zero(struct snn_device *device, void *to, size_t bytes) {
    struct snn_cuda *cuda = cuda_of(device);
    if (bytes) cuda_note(cuda, cudaMemsetAsync(to, 0, bytes, cuda->compute));
}

static void copy(struct snn_device *device, void *to, const void *from, size_t bytes) {
    struct snn_cuda *cuda = cuda_of(device);
    if (bytes) cuda_note(cuda, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda->compute));
}

static void upload(struct snn_device *device, void *to, const void *from, size_t bytes) {
    struct snn_cuda *cuda = cuda_of(device);
    struct cuda_ring *ring = cuda->ring;
    if (!bytes || cuda->error != cudaSuccess) return;
    if (bytes > HALF) { /* weights, not part of a step; a card that reads pageable memory itself may do so later */
        cuda_note(cuda, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda->compute));
        cuda_note(cuda, cudaStreamSynchronize(cuda->compute));
        return;
    }
    if (ring->at + bytes > HALF) {
        cuda_note(cuda, cudaEventRecord(ring->done[ring->half], cuda->compute));
        ring->half ^= 1, ring->at = 0;
        cuda_note(cuda, cudaEventSynchronize(ring->done[ring->half])); /* at once for an event never recorded */
    }
    unsigned char *place = ring->memory + (size_t)ring->half * HALF + ring->at;
    memcpy(place, from, bytes);
    cuda_note(cuda, cudaMemcpyAsync(to, place, bytes, cudaMemcpyHostToDevice, cuda->compute));
    ring->at += snn_aligned(bytes);
}

static int download(struct snn_device *device, void *to, const void *from, size_t bytes) {
    struct snn_cuda *cuda = cuda_of(device);
    cuda_note(cuda, cudaPeekAtLastError()); /* of launches since the last look */
    if (cuda->error == cudaSuccess && bytes)
        cuda_note(cuda, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda->compute));
    if (cuda->error == cudaSuccess) cuda_note(cuda, cudaStreamSynchronize(cuda->compute));
    if (cuda->error == cudaSuccess) return 0;
    if (bytes) memset(to, 0, bytes);
    return cuda_failed(cuda);
}

const struct snn_memory_kernels snn_memory_cuda = {
    allocate, release, host,     host_release, room,     stage_bytes, zero,
    copy,     upload,  download, cuda_stage,   cuda_run, cuda_forget,
};
