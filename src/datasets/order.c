/* SPDX-License-Identifier: Apache-2.0
 * order.c - which samples a subset holds.
 *
 * The validation split is drawn class by class with its own seed: it keeps the classes' shares, and stays the same when
 * the model's seed changes. Where a set has validation samples of its own, these are they, and they never train. */
#include <math.h>
#include <stdlib.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/parts.h"

/* Mark round(fraction * n) of each class's n samples. `scratch` has room for twice the samples. */
static void mark_validation(const struct snn_dataset *set, double fraction, uint64_t split_seed, int32_t *scratch,
                            bool *chosen) {
    int32_t count = set->info.count[SNN_TRAIN];
    for (int32_t class = 0; class < set->info.classes; ++class) {
        int32_t *member = scratch, *order = scratch + count, n = 0;
        for (int32_t i = 0; i < count; ++i)
            if (set->ops->label(set, SNN_TRAIN, i) == class) member[n++] = i;
        snn_rng_shuffle(split_seed, SNN_RNG_SPLIT, (uint32_t) class, 0, order, n);
        int32_t take = (int32_t)lround(fraction * n);
        for (int32_t i = 0; i < take; ++i) chosen[member[order[i]]] = true;
    }
}

int snn_subset_list(const struct snn_dataset *set, enum snn_subset subset, double validation, uint64_t split_seed,
                    int32_t **list, int32_t *count) {
    if (subset == SNN_SUBSET_VALIDATION && validation == 0)
        return snn_error(SNN_EUSAGE, "there is no validation split: data.validation is 0");
    int32_t all = set->info.count[subset == SNN_SUBSET_TEST ? SNN_TEST : SNN_TRAIN], n = 0;
    bool *chosen = calloc((size_t)all, sizeof *chosen), wanted = subset == SNN_SUBSET_VALIDATION;
    int32_t *memory = reallocarray(NULL, (size_t)all, 2 * sizeof *memory);
    if (!chosen || !memory) {
        free(chosen);
        free(memory);
        return snn_error(SNN_EFAIL, "out of memory for the order of %d samples", all);
    }
    int32_t mixed = subset == SNN_SUBSET_TEST ? all : all - set->info.own_validation; /* samples that may train */
    if (subset != SNN_SUBSET_TEST && validation > 0) mark_validation(set, validation, split_seed, memory, chosen);
    for (int32_t i = 0; i < all; ++i)
        if (i < mixed ? chosen[i] == wanted : wanted) memory[n++] = i;
    free(chosen);
    if (!n) {
        free(memory);
        return snn_error(SNN_EUSAGE, "data.validation: %g of %d samples, class by class, leaves none for %s",
                         validation, all, wanted ? "validation" : "training");
    }
    *list = memory;
    *count = n;
    return SNN_OK;
}
