/* SPDX-License-Identifier: Apache-2.0
 * memory_cpu.c - the CPU's memory: the host's own, where nothing is ever behind. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "autograd/memory.h"
#include "core/arena.h"

/* The rows of a scan's steps lie in as many pages: a scan is a tenth faster where those are large. */
enum { LARGE_PAGE = 1 << 21 };

static void *allocate(struct snn_device *device, size_t bytes) {
    const bool large = bytes >= 4 * (size_t)LARGE_PAGE;
    void *memory = NULL;
    (void)device;
    if (posix_memalign(&memory, large ? LARGE_PAGE : SNN_ALIGN, bytes ? bytes : SNN_ALIGN)) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
#endif
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
