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

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool holds(const int32_t *sorted, int32_t n, int32_t value) {
    return bsearch(&value, sorted, (size_t)n, sizeof *sorted, by_value) != NULL;
}

/* The groups that there are, in ascending order; below 0: a sample does not say its own. */
static int32_t find_groups(const struct snn_dataset *set, int32_t *group) {
    int32_t count = set->info.count[SNN_TRAIN], groups = 0;
    for (int32_t i = 0; i < count; ++i) {
        group[i] = set->ops->group(set, SNN_TRAIN, i);
        if (group[i] < 0)
            return snn_error(SNN_EDATA,
                             "%s: does not say the %s of training sample %d, expected it for data.validation",
                             set->root, set->ops->group_name, i);
    }
    qsort(group, (size_t)count, sizeof *group, by_value);
    for (int32_t i = 0; i < count; ++i)
        if (!groups || group[groups - 1] != group[i]) group[groups++] = group[i];
    return groups;
}

/* Mark the samples of the groups that validation names, or of round(fraction * n) of the n groups, at least one.
 * `scratch` has room for twice the samples. */
static int mark_groups(const struct snn_dataset *set, const struct snn_validation *validation, uint64_t split_seed,
                       int32_t *scratch, bool *chosen) {
    int32_t count = set->info.count[SNN_TRAIN], *group = scratch, *wanted = scratch + count, take = 0;
    int32_t groups = find_groups(set, group);
    SNN_TRY(groups);
    if (validation->ids) {
        for (int32_t k = 0; k < validation->ids; ++k) {
            if (!holds(group, groups, validation->id[k]))
                return snn_error(SNN_EUSAGE, "data.validation.ids: no training sample is of %s %d",
                                 set->ops->group_name, validation->id[k]);
        }
        for (int32_t k = 0; k < groups; ++k)
            for (int32_t j = 0; j < validation->ids; ++j)
                if (validation->id[j] == group[k] && (!take || wanted[take - 1] != group[k])) wanted[take++] = group[k];
    } else {
        snn_rng_shuffle(split_seed, SNN_RNG_SPLIT, 0, 0, wanted, groups);
        take = (int32_t)lround(validation->fraction * groups);
        if (take < 1) take = 1;
        for (int32_t k = 0; k < take; ++k) wanted[k] = group[wanted[k]];
        qsort(wanted, (size_t)take, sizeof *wanted, by_value);
    }
    for (int32_t i = 0; i < count; ++i) chosen[i] = holds(wanted, take, set->ops->group(set, SNN_TRAIN, i));
    return SNN_OK;
}

/* Mark round(fraction * n) of each class's n samples; without classes (regression) all samples are of one. `scratch`
 * has room for twice the samples. */
static int mark_validation(const struct snn_dataset *set, double fraction, uint64_t split_seed, int32_t *scratch,
                           bool *chosen) {
    int32_t count = set->info.count[SNN_TRAIN], classes = set->info.classes ? set->info.classes : 1;
    int32_t *member = scratch, *order = scratch + count;
    int32_t *end = calloc((size_t)classes + 1, sizeof *end); /* of each class's members; of the one before until then */
    if (!end) return snn_error(SNN_EFAIL, "out of memory for the validation split");
    for (int32_t i = 0; i < count; ++i) ++end[set->info.classes ? set->ops->label(set, SNN_TRAIN, i) + 1 : 1];
    for (int32_t class = 0; class < classes; ++class) end[class + 1] += end[class];
    for (int32_t i = 0; i < count; ++i) member[end[set->info.classes ? set->ops->label(set, SNN_TRAIN, i) : 0]++] = i;
    for (int32_t class = 0, first = 0; class < classes; first = end[class ++]) {
        int32_t n = end[class] - first, take = (int32_t)lround(fraction * n);
        if (!take) continue;
        snn_rng_shuffle(split_seed, SNN_RNG_SPLIT, (uint32_t) class, 0, order, n);
        for (int32_t i = 0; i < take; ++i) chosen[member[first + order[i]]] = true;
    }
    free(end);
    return SNN_OK;
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
        status = mark_validation(set, validation->fraction, split_seed, memory, chosen);
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
