/* SPDX-License-Identifier: Apache-2.0
 * order.c - which samples a subset holds.
 *
 * The validation split is drawn class by class with its own seed: it keeps the classes' shares, and stays the same when
 * the model's seed changes. By group it holds whole speakers or users: what is measured is then how well unknown ones
 * are understood. Where a set has validation samples of its own, these are they, and they never train. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/parts.h"

/* Mark the samples of the groups that validation names, or of round(fraction * n) of the n groups, at least one. */
static int mark_groups(const struct snn_dataset *set, const struct snn_validation *validation, uint64_t split_seed,
                       int32_t *scratch, bool *chosen) {
    int32_t count = set->info.count[SNN_TRAIN], *group = scratch, *order = scratch + count, groups = 0, take;
    for (int32_t i = 0; i < count; ++i) {
        int32_t id = set->ops->group(set, SNN_TRAIN, i), k = 0;
        if (id < 0)
            return snn_error(SNN_EDATA,
                             "%s: does not say the %s of training sample %d, expected it for data.validation",
                             set->root, set->ops->group_name, i);
        while (k < groups && group[k] < id) ++k;
        if (k < groups && group[k] == id) continue;
        memmove(group + k + 1, group + k, (size_t)(groups - k) * sizeof *group);
        group[k] = id;
        ++groups;
    }
    const int32_t *wanted = validation->id;
    if (validation->ids) {
        take = validation->ids;
        for (int32_t k = 0; k < take; ++k) {
            int32_t at = 0;
            while (at < groups && group[at] != wanted[k]) ++at;
            if (at == groups)
                return snn_error(SNN_EUSAGE, "data.validation.ids: no training sample is of %s %d",
                                 set->ops->group_name, wanted[k]);
        }
    } else {
        snn_rng_shuffle(split_seed, SNN_RNG_SPLIT, 0, 0, order, groups);
        take = (int32_t)lround(validation->fraction * groups);
        if (take < 1) take = 1;
        for (int32_t k = 0; k < take; ++k) order[k] = group[order[k]];
        wanted = order;
    }
    for (int32_t i = 0; i < count; ++i) {
        int32_t id = set->ops->group(set, SNN_TRAIN, i);
        for (int32_t k = 0; k < take; ++k) chosen[i] |= wanted[k] == id;
    }
    return SNN_OK;
}

/* Mark round(fraction * n) of each class's n samples; without classes (regression) all samples are of one. `scratch`
 * has room for twice the samples. */
static void mark_validation(const struct snn_dataset *set, double fraction, uint64_t split_seed, int32_t *scratch,
                            bool *chosen) {
    int32_t count = set->info.count[SNN_TRAIN], classes = set->info.classes ? set->info.classes : 1;
    for (int32_t class = 0; class < classes; ++class) {
        int32_t *member = scratch, *order = scratch + count, n = 0;
        for (int32_t i = 0; i < count; ++i)
            if (!set->info.classes || set->ops->label(set, SNN_TRAIN, i) == class) member[n++] = i;
        snn_rng_shuffle(split_seed, SNN_RNG_SPLIT, (uint32_t) class, 0, order, n);
        int32_t take = (int32_t)lround(fraction * n);
        for (int32_t i = 0; i < take; ++i) chosen[member[order[i]]] = true;
    }
}

int snn_subset_list(const struct snn_dataset *set, enum snn_subset subset, const struct snn_validation *validation,
                    uint64_t split_seed, int32_t **list, int32_t *count) {
    if (subset == SNN_SUBSET_VALIDATION && validation->by == SNN_VALIDATION_NONE)
        return snn_error(SNN_EUSAGE, "there is no validation split: data.validation is none");
    bool own = validation->by == SNN_VALIDATION_OWN, drawn = !own && validation->by != SNN_VALIDATION_NONE;
    if (set->ops->own_validation == SNN_OWN_PERHAPS && own && !set->info.own_validation)
        return snn_error(SNN_EUSAGE, "%s: has no validation samples: expected data.validation: none or a fraction",
                         set->root);
    if (set->ops->own_validation == SNN_OWN_PERHAPS && drawn && set->info.own_validation)
        return snn_error(SNN_EUSAGE, "%s: has validation samples: expected data.validation: own, or none", set->root);
    int32_t all = set->info.count[subset == SNN_SUBSET_TEST ? SNN_TEST : SNN_TRAIN], n = 0;
    bool *chosen = calloc((size_t)all, sizeof *chosen), wanted = subset == SNN_SUBSET_VALIDATION;
    int32_t *memory = reallocarray(NULL, (size_t)all, 2 * sizeof *memory);
    if (!chosen || !memory) {
        free(chosen);
        free(memory);
        return snn_error(SNN_EFAIL, "out of memory for the order of %d samples", all);
    }
    int32_t mixed = subset == SNN_SUBSET_TEST ? all : all - set->info.own_validation; /* samples that may train */
    int status = SNN_OK;
    if (subset != SNN_SUBSET_TEST && validation->by == SNN_VALIDATION_CLASS)
        mark_validation(set, validation->fraction, split_seed, memory, chosen);
    if (subset != SNN_SUBSET_TEST && validation->by == SNN_VALIDATION_GROUP)
        status = mark_groups(set, validation, split_seed, memory, chosen);
    for (int32_t i = 0; i < all && status == SNN_OK; ++i)
        if (i < mixed ? chosen[i] == wanted : wanted) memory[n++] = i;
    free(chosen);
    if (status == SNN_OK && !n)
        status = validation->by == SNN_VALIDATION_GROUP
                     ? snn_error(SNN_EUSAGE, "data.validation: by %s leaves none of %d samples for %s",
                                 set->ops->group_name, all, wanted ? "validation" : "training")
                     : snn_error(SNN_EUSAGE, "data.validation: %g of %d samples, class by class, leaves none for %s",
                                 validation->fraction, all, wanted ? "validation" : "training");
    if (status < 0) {
        free(memory);
        return status;
    }
    *list = memory;
    *count = n;
    return SNN_OK;
}
