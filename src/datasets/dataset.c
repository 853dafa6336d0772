/* SPDX-License-Identifier: Apache-2.0
 * dataset.c - the table of data sets, and the places where one is looked for.
 *
 * A place counts as having a set as soon as it holds any of its files: a half-copied set is then an error that names
 * the missing part, not a silent step to the next place. */
#include "datasets/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

#define DATASETS(X)                                                                                                    \
    X(snn_mnist)                                                                                                       \
    X(snn_fashion_mnist)                                                                                               \
    X(snn_kmnist)                                                                                                      \
    X(snn_cifar10) X(snn_cifar100) X(snn_cifar100_coarse) X(snn_nmnist) X(snn_shd) X(snn_ssc) X(snn_fsdd_spikes)

#define DECLARE(set) extern const struct snn_dataset_ops set;
DATASETS(DECLARE)
#define ENTRY(set) &set,
const struct snn_dataset_ops *const snn_datasets[] = {DATASETS(ENTRY) NULL};

const struct snn_dataset_ops *snn_dataset_find(const char *name) {
    for (int i = 0; snn_datasets[i]; ++i)
        if (!strcmp(snn_datasets[i]->name, name)) return snn_datasets[i];
    return NULL;
}

void snn_sample_free(struct snn_sample *sample) {
    free(sample->pixels);
    free(sample->events);
    *sample = (struct snn_sample){0};
}

/* `memory` able to hold `want` items of `size` bytes; NULL (and `memory` as it was) when there is no room for them. */
static void *grown(void *memory, size_t *room, size_t want, size_t size) {
    if (want <= *room) return memory;
    void *larger = reallocarray(memory, want, size);
    if (larger) *room = want;
    return larger;
}

int snn_sample_room(struct snn_sample *sample, size_t pixels, size_t events) {
    void *larger = grown(sample->pixels, &sample->pixels_size, pixels, sizeof *sample->pixels);
    if (pixels && !larger) return snn_error(SNN_EFAIL, "out of memory for an image of %zu pixels", pixels);
    sample->pixels = larger;
    larger = grown(sample->events, &sample->event_room, events, sizeof *sample->events);
    if (events && !larger) return snn_error(SNN_EFAIL, "out of memory for a recording of %zu events", events);
    sample->events = larger;
    return SNN_OK;
}

static int open_at(const struct snn_dataset_ops *ops, const char *root, struct snn_dataset **out) {
    struct snn_dataset *set;
    SNN_TRY(ops->open(root, &set));
    set->ops = ops;
    set->info.name = ops->name;
    set->info.classes = ops->classes;
    set->info.C = ops->C, set->info.H = ops->H, set->info.W = ops->W;
    set->info.events = ops->events;
    set->root = strdup(root);
    if (!set->root) {
        ops->close(set);
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    }
    *out = set;
    return SNN_OK;
}

int snn_dataset_open(const char *name, const char *data_dir, const char *root, struct snn_dataset **out) {
    *out = NULL;
    const struct snn_dataset_ops *ops = snn_dataset_find(name);
    if (!ops) return snn_error(SNN_EUSAGE, "'%s' is not a data set", name);

    char below[4096];
    const char *base = getenv("SNNTRAIN_DATA");
    bool has_base = base && *base && snprintf(below, sizeof below, "%s/%s", base, name) < (int)sizeof below;
    const char *place[] = {data_dir, root, has_base ? below : NULL, ops->system_dir};
    size_t places = data_dir ? 1 : sizeof place / sizeof *place;

    char looked[800] = "";
    for (size_t i = 0; i < places; ++i) {
        if (!place[i]) continue;
        if (ops->has(place[i])) return open_at(ops, place[i], out);
        size_t used = strlen(looked);
        snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : " in ", place[i]);
    }
    return snn_error(SNN_EDATA, "%s was not found%s: %s", name,
                     *looked ? looked : " (no --data, no data.root, no SNNTRAIN_DATA)", ops->how_to_get);
}

void snn_dataset_close(struct snn_dataset **set) {
    if (!*set) return;
    free((*set)->root);
    (*set)->ops->close(*set);
    *set = NULL;
}
