/* SPDX-License-Identifier: Apache-2.0
 * dataset.c - the table of data sets, and the places where one is looked for.
 *
 * A place counts as having a set as soon as it holds any of its files: a half-copied set is then an error that names
 * the missing part, not a silent step to the next place. */
#include "datasets/dataset.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/downloads.h"

/* clang-format off: a set, a line */
#define DATASETS(X)                                                                                                    \
    X(snn_mnist)                                                                                                       \
    X(snn_fashion_mnist)                                                                                               \
    X(snn_kmnist)                                                                                                      \
    X(snn_emnist)                                                                                                      \
    X(snn_cifar10)                                                                                                     \
    X(snn_cifar100)                                                                                                    \
    X(snn_cifar100_coarse)                                                                                             \
    X(snn_image_folder)                                                                                                \
    X(snn_nmnist)                                                                                                      \
    X(snn_cifar10_dvs)                                                                                                 \
    X(snn_dvs_gesture)                                                                                                 \
    X(snn_ncaltech101)                                                                                                 \
    X(snn_event_folder)                                                                                                \
    X(snn_shd)                                                                                                         \
    X(snn_ssc)                                                                                                         \
    X(snn_fsdd_spikes)                                                                                                 \
    X(snn_shd_adding)                                                                                                  \
    X(snn_synthetic)                                                                                                   \
    X(snn_arrays)
/* clang-format on */

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
    free(sample->numbers);
    free(sample->target);
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

int snn_sample_room_for_numbers(struct snn_sample *sample, size_t numbers, size_t targets) {
    float *larger = grown(sample->numbers, &sample->numbers_size, numbers, sizeof *sample->numbers);
    if (numbers && !larger) return snn_error(SNN_EFAIL, "out of memory for a sequence of %zu numbers", numbers);
    sample->numbers = larger;
    larger = grown(sample->target, &sample->target_size, targets, sizeof *sample->target);
    if (targets && !larger) return snn_error(SNN_EFAIL, "out of memory for a target of %zu numbers", targets);
    sample->target = larger;
    return SNN_OK;
}

struct snn_dataset_info snn_dataset_about(const struct snn_dataset_ops *ops, const void *options) {
    struct snn_dataset_info info = {
        .name = ops->name, .classes = ops->classes, .C = ops->C, .H = ops->H, .W = ops->W, .kind = ops->kind};
    if (ops->shape) ops->shape(options, &info);
    return info;
}

static int open_at(const struct snn_dataset_ops *ops, const char *root, const void *options, struct snn_dataset **out) {
    struct snn_dataset *set;
    struct snn_dataset_info about = snn_dataset_about(ops, options);
    SNN_TRY(ops->open(root, options, &set));
    struct snn_dataset_info *info = &set->info;
    set->ops = ops;
    info->name = ops->name;
    info->kind = ops->kind;
    if (about.C) {
        info->classes = about.classes;
        info->C = about.C, info->H = about.H, info->W = about.W;
        info->steps = about.steps, info->spikes = about.spikes, info->targets = about.targets,
        info->target_steps = about.target_steps;
    }
    set->root = strdup(root);
    if (!set->root) {
        ops->close(set);
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    }
    *out = set;
    return SNN_OK;
}

int snn_dataset_open(const char *name, const char *data_dir, const char *root, const void *options,
                     struct snn_dataset **out) {
    *out = NULL;
    const struct snn_dataset_ops *ops = snn_dataset_find(name);
    if (!ops) return snn_error(SNN_EUSAGE, "'%s' is not a data set", name);
    SNN_CHECK(options || !ops->keys, "%s is opened without its options", name);
    if (ops->made) return open_at(ops, "", options, out);

    char below[4096], inside[4096];
    const char *base = getenv("SNNTRAIN_DATA");
    bool has_base = base && *base && snprintf(below, sizeof below, "%s/%s", base, name) < (int)sizeof below;
    const char *place[] = {data_dir, root, has_base ? below : NULL, ops->system_dir};
    size_t places = data_dir ? 1 : sizeof place / sizeof *place;

    char looked[800] = "";
    for (size_t i = 0; i < places; ++i) {
        if (!place[i]) continue;
        if (ops->has(place[i])) return open_at(ops, place[i], options, out);
        if (i < 2 && snprintf(inside, sizeof inside, "%s/%s", place[i], name) < (int)sizeof inside && ops->has(inside))
            return snn_error(SNN_EDATA, "%s was not found in %s, but in its folder %s: name that one with --data", name,
                             place[i], name);
        size_t used = strlen(looked);
        snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : " in ", place[i]);
    }
    const struct snn_downloads *downloads = snn_downloads_find(name);
    char fetch[100] = "";
    if (downloads && !downloads->by_hand)
        snprintf(fetch, sizeof fetch, "run `snntrain data fetch %s -o DIR`, or ", name);
    return snn_error(SNN_EDATA, "%s was not found%s: %s%s", name,
                     *looked ? looked : " (no --data, no data.root, no SNNTRAIN_DATA)", fetch, ops->how_to_get);
}

/* One lock for all sets: warnings are rare. */
static pthread_mutex_t warning_lock = PTHREAD_MUTEX_INITIALIZER;

void snn_dataset_warn(struct snn_dataset *set, const char *sentence) {
    pthread_mutex_lock(&warning_lock);
    if (!set->warnings++) snprintf(set->warning, sizeof set->warning, "%s", sentence);
    pthread_mutex_unlock(&warning_lock);
}

int64_t snn_dataset_warnings(struct snn_dataset *set, char text[600]) {
    pthread_mutex_lock(&warning_lock);
    int64_t count = set->warnings;
    snprintf(text, sizeof set->warning, "%s", set->warning);
    pthread_mutex_unlock(&warning_lock);
    return count;
}

int snn_shape_read(const struct snn_conf *node, int32_t shape[3]) {
    if (node->kind != SNN_CONF_LIST || node->count != 3) return snn_conf_error(node, "expected [C, H, W]");
    for (int i = 0; i < 3; ++i) {
        const struct snn_conf *item = snn_conf_item(node, i);
        char *end;
        long n = item->kind == SNN_CONF_SCALAR ? strtol(item->text, &end, 10) : 0;
        if (item->kind != SNN_CONF_SCALAR || !*item->text || *end || n < 1 || n > 65536)
            return snn_conf_error(item, "expected a size of 1..65536");
        shape[i] = (int32_t)n;
    }
    return SNN_OK;
}

void snn_dataset_close(struct snn_dataset **set) {
    if (!*set) return;
    free((*set)->root);
    for (int split = 0; split < 2; ++split) free((*set)->extent[split]);
    (*set)->ops->close(*set);
    *set = NULL;
}
