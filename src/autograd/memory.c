/* SPDX-License-Identifier: Apache-2.0 */
#include "autograd/memory.h"

#include <stdlib.h>

#include "core/status.h"

int snn_borrow(struct snn_device *device, void *memory, size_t bytes, void **out) {
    *out = memory;
    if (device->shared) return SNN_OK;
    *out = malloc(bytes ? bytes : 1);
    if (!*out) return snn_error(SNN_EFAIL, "out of memory for %.1f MB of the device's", (double)bytes * 1e-6);
    int rc = device->memory->download(device, *out, memory, bytes);
    if (rc < 0) free(*out), *out = NULL;
    return rc;
}

void snn_borrow_end(struct snn_device *device, void *memory, size_t bytes, void *borrowed, bool changed) {
    if (device->shared || !borrowed) return;
    if (changed) device->memory->upload(device, memory, borrowed, bytes);
    free(borrowed);
}
