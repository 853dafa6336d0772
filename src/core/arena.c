/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

#include "core/status.h"

const char *const snn_memory_purpose[SNN_MEM_PURPOSES] = {"parameters",  "gradients", "optimizer",
                                                          "activations", "state",     "scratch"};

void *snn_arena_alloc(struct snn_arena *arena, size_t bytes, enum snn_purpose_of_memory purpose) {
    bytes = snn_aligned(bytes);
    void *memory = arena->base ? arena->base + arena->used : NULL;
    arena->used += bytes;
    arena->by_purpose[purpose] += bytes;
    SNN_CHECK(!arena->base || arena->used <= arena->size, "second pass asks for %zu bytes, first for %zu", arena->used,
              arena->size);
    return memory;
}

int snn_arena_reserve(struct snn_arena *arena) {
    size_t size = arena->used;
    void *base = NULL;
    if (posix_memalign(&base, SNN_ALIGN, size ? size : SNN_ALIGN))
        return snn_error(SNN_EFAIL, "out of memory: %.1f MB were planned (`snntrain plan CONFIG` shows for what)",
                         (double)size * 1e-6);
    memset(base, 0, size);
    *arena = (struct snn_arena){.base = base, .size = size};
    return SNN_OK;
}

void snn_arena_free(struct snn_arena *arena) {
    free(arena->base);
    *arena = (struct snn_arena){0};
}
