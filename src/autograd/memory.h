/* SPDX-License-Identifier: Apache-2.0
 * memory.h - device memory, what passes between it and the host, and the order of work.
 *
 * A device does what it is told in order, but may be behind: kernels, `upload`, `zero` and `copy` only queue work. What
 * the host wants to know it waits for in `download`. On the CPU device memory is host memory and nothing waits. */
#ifndef SNN_MEMORY_H
#define SNN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autograd/device.h"
#include "core/batch.h"

/* What work depends on besides device memory: two steps with equal keys queue the same kernels with the same arguments.
 * Zero it whole before filling it in: keys are compared as bytes. */
struct snn_work_key {
    const void *memory; /* where the network's memory lies */
    int32_t T, B, form; /* of the batch */
    int32_t by_sample, masked, values, targets, kind;
};

struct snn_memory_kernels {
    /* Zeroed memory, aligned to SNN_ALIGN; NULL when there is not so much. Waits. */
    void *(*allocate)(struct snn_device *device, size_t bytes);
    void (*release)(struct snn_device *device, void *memory); /* NULL is fine */
    /* Host memory that copies fast and that kernels can reach too; zeroed. NULL when there is not so much. */
    void *(*host)(struct snn_device *device, size_t bytes);
    void (*host_release)(struct snn_device *device, void *memory); /* NULL is fine */
    /* Bytes that may still be allocated, and bytes in all; 0 where nobody can say. */
    void (*room)(struct snn_device *device, size_t *left, size_t *total);

    /* Device memory that staging such batches takes, beside what is allocated here. */
    size_t (*stage_bytes)(struct snn_device *device, const struct snn_batch *shape);

    void (*zero)(struct snn_device *device, void *to, size_t bytes);
    void (*copy)(struct snn_device *device, void *to, const void *from, size_t bytes); /* device to device */
    /* Host to device; `from` may be overwritten as soon as the call returns. */
    void (*upload)(struct snn_device *device, void *to, const void *from, size_t bytes);
    /* Device to host, after everything queued so far. SNN_EFAIL when the device has failed since: `to` is then zero. */
    int (*download)(struct snn_device *device, void *to, const void *from, size_t bytes);

    /* The batch as kernels see it: the same shape, its arrays in device memory. They stay until the stage after the
     * next one. */
    int (*stage)(struct snn_device *device, const struct snn_batch *batch, struct snn_batch *staged);
    /* Do `work`, which may only queue: or repeat what it queued when the key was the same and the same stage was used.
     */
    int (*run)(struct snn_device *device, const struct snn_work_key *key, void (*work)(void *payload), void *payload);
    /* Forget what was queued under any key: memory moves. */
    void (*forget)(struct snn_device *device);
};

/* Device memory as the host can use it: `memory` itself, or a copy of its `bytes` that snn_borrow_end puts back when it
 * was `changed`. *out is NULL after a failure (SNN_EFAIL). */
int snn_borrow(struct snn_device *device, void *memory, size_t bytes, void **out);
void snn_borrow_end(struct snn_device *device, void *memory, size_t bytes, void *borrowed, bool changed);

#endif
