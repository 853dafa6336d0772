/* SPDX-License-Identifier: Apache-2.0
 * arena.h - memory is planned: measure, allocate once, carve.
 *
 * The same code runs twice. On an arena without memory (base == NULL) every request is only added up, by purpose, and
 * NULL is returned; after snn_arena_reserve the second pass gets the memory. Requests must be the same in both passes.
 */
#ifndef SNN_ARENA_H
#define SNN_ARENA_H

#include <stdbool.h>
#include <stddef.h>

enum snn_purpose_of_memory {
    SNN_MEM_PARAMETERS,  /* weights and buffers */
    SNN_MEM_GRADIENTS,   /* of the weights */
    SNN_MEM_OPTIMIZER,   /* its state */
    SNN_MEM_ACTIVATIONS, /* what the forward pass keeps: membranes, spikes, pooled maps, and error signals */
    SNN_MEM_STATE,       /* what crosses a cut: membranes, traces */
    SNN_MEM_SCRATCH,     /* inside one kernel */
    SNN_MEM_PURPOSES
};
extern const char *const snn_memory_purpose[SNN_MEM_PURPOSES]; /* their names, as `plan` prints them */

struct snn_arena {
    unsigned char *base;
    size_t used, size;
    size_t by_purpose[SNN_MEM_PURPOSES];
};

enum { SNN_ALIGN = 64 };
static inline size_t snn_aligned(size_t bytes) { return (bytes + SNN_ALIGN - 1) / SNN_ALIGN * SNN_ALIGN; }

/* `bytes` rounded up to SNN_ALIGN, from the arena; NULL while measuring. Memory is zero after snn_arena_reserve. An
 * arena over other memory than the host's is set up by hand: {.base, .size}. */
void *snn_arena_alloc(struct snn_arena *arena, size_t bytes, enum snn_purpose_of_memory purpose);

/* End of the measuring pass: allocate what was counted, zeroed, and start over. SNN_EFAIL when out of memory. */
int snn_arena_reserve(struct snn_arena *arena);
void snn_arena_free(struct snn_arena *arena);

#endif
