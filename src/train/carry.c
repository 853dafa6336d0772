/* SPDX-License-Identifier: Apache-2.0 */
#include "train/carry.h"

#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"

struct part {
    void *memory; /* of the device */
    size_t bytes;
};

/* Part i, in a fixed order; false behind the last. */
static bool part_of(const struct snn_network *n, int i, struct part *out) {
    const struct snn_tape *tape = &n->model.tape;
    *out = (struct part){0};
    if (i == 0) *out = (struct part){n->model.params.grad, (size_t)n->model.params.learned * sizeof(real)};
    else if (i == 1 && n->running)
        *out = (struct part){n->running, (size_t)n->plan.slice * (size_t)tape->output->units * sizeof *n->running};
    else if (i >= 2 && i - 2 < tape->buffers) {
        const struct snn_buffer *buffer = &tape->buffer[i - 2];
        if (!buffer->pooled && buffer->alias < 0) *out = (struct part){buffer->memory, buffer->bytes};
    }
    return i < 2 + tape->buffers;
}

int snn_carry_take(struct snn_network *n, struct snn_carry *out) {
    struct part part;
    int rc = SNN_OK;
    out->size = sizeof n->passed;
    for (int i = 0; part_of(n, i, &part); ++i) out->size += part.bytes;
    unsigned char *at = out->bytes = malloc(out->size);
    if (!at) return snn_error(SNN_EFAIL, "out of memory: %.1f MB of states", (double)out->size * 1e-6);
    memcpy(at, &n->passed, sizeof n->passed);
    at += sizeof n->passed;
    for (int i = 0; rc >= 0 && part_of(n, i, &part); at += part.bytes, ++i)
        if (part.bytes) rc = n->device->memory->download(n->device, at, part.memory, part.bytes);
    if (rc >= 0) return SNN_OK;
    free(out->bytes);
    out->bytes = NULL;
    return rc;
}

int snn_carry_put(struct snn_network *n, const struct snn_carry *carry) {
    const unsigned char *at = carry->bytes;
    struct part part;
    size_t wanted = sizeof n->passed;
    for (int i = 0; part_of(n, i, &part); ++i) wanted += part.bytes;
    if (carry->size != wanted)
        return snn_error(SNN_EDATA,
                         "holds %zu bytes of states, expected %zu: within a recording a run goes on with the same "
                         "batches and pieces, on the same kind of machine, alone",
                         carry->size, wanted);
    memcpy(&n->passed, at, sizeof n->passed);
    at += sizeof n->passed;
    for (int i = 0; part_of(n, i, &part); at += part.bytes, ++i)
        if (part.bytes) n->device->memory->upload(n->device, part.memory, at, part.bytes);
    return SNN_OK;
}
