/* SPDX-License-Identifier: Apache-2.0
 * memory_cpu.c - the CPU's memory: the host's own, where nothing is ever behind. */
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/arena.h"

static void *allocate(struct snn_device *device, size_t bytes) {
    void *memory = NULL;
    (void)device;
    if (posix_memalign(&memory, SNN_ALIGN, bytes ? bytes : SNN_ALIGN)) return NULL;
    return memset(memory, 0, bytes);
}

static void release(struct snn_device *device, void *memory) {
    (void)device;
    free(memory);
}

static void room(struct snn_device *device, size_t *left, size_t *total) {
    (void)device;
    *left = *total = 0; /* what other programs leave is not ours to know */
}

static size_t stage_bytes(struct snn_device *device, const struct snn_batch *shape) {
    (void)device, (void)shape;
    return 0;
}

static void zero(struct snn_device *device, void *to, size_t bytes) {
    (void)device;
    memset(to, 0, bytes);
}

static void copy(struct snn_device *device, void *to, const void *from, size_t bytes) {
    (void)device;
    if (bytes) memcpy(to, from, bytes);
}

static int download(struct snn_device *device, void *to, const void *from, size_t bytes) {
    copy(device, to, from, bytes);
    return 0;
}

static int stage(struct snn_device *device, const struct snn_batch *batch, struct snn_batch *staged) {
    (void)device;
    *staged = *batch;
    return 0;
}

static int run(struct snn_device *device, const struct snn_work_key *key, void (*work)(void *payload), void *payload) {
    (void)device, (void)key;
    work(payload);
    return 0;
}

static void forget(struct snn_device *device) { (void)device; }

extern const struct snn_memory_kernels snn_memory_cpu;
const struct snn_memory_kernels snn_memory_cpu = {
    .allocate = allocate,
    .release = release,
    .host = allocate,
    .host_release = release,
    .room = room,
    .stage_bytes = stage_bytes,
    .zero = zero,
    .copy = copy,
    .upload = copy,
    .download = download,
    .stage = stage,
    .run = run,
    .forget = forget,
};
