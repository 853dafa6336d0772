/* SPDX-License-Identifier: Apache-2.0
 * shd_adding.c - SHD-Adding: two spoken digits one after the other, to be added. The second cannot be understood
 * without what was said a second ago.
 *
 * A sample is two recordings of the same split of SHD (or of spoken digits in its layout), drawn independently; its
 * class is the sum of the digits, 0..18. Both languages of SHD count alike: label modulo 10. Each recording has one
 * second: what goes on longer is cut. Spieler et al., The ELM Neuron (ICLR 2024). */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/dataset.h"

enum { UNITS = 700, SUMS = 19, SECOND = 1000000 };

struct options {
    int of;
    long long train, test, seed;
};
#define OPTION(field) offsetof(struct options, field)
static const char *const of_word[] = {"shd", "fsdd_spikes", NULL};
static const struct snn_key keys[] = {
    {"of", SNN_CHOICE, OPTION(of), "shd", 0, 0, of_word, "the data set whose files are in the folder"},
    {"train", SNN_INT, OPTION(train), "8000", 1, 100000000, NULL, "training samples: pairs of training recordings"},
    {"test", SNN_INT, OPTION(test), "2000", 1, 100000000, NULL, "test samples: pairs of test recordings"},
    {"seed", SNN_INT, OPTION(seed), "0", 0, 9e15, NULL, "draws the pairs"},
    {0},
};

struct adding_set {
    struct snn_dataset base;
    struct snn_dataset *words;
    uint64_t seed;
};

/* The two recordings that a sample is made of. */
static void draw_pair(const struct adding_set *set, enum snn_split split, int32_t i, int32_t pair[2]) {
    SNN_CHECK(i >= 0 && i < set->base.info.count[split], "sample %d of %d", i, set->base.info.count[split]);
    uint32_t words[4];
    snn_rng_block(set->seed, SNN_RNG_SYNTHETIC, split == SNN_TRAIN ? 0 : 1, (uint32_t)i, 0, words);
    for (int k = 0; k < 2; ++k) pair[k] = (int32_t)snn_rng_below(words[k], (uint32_t)set->words->info.count[split]);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct adding_set *set = (const struct adding_set *)base;
    int32_t pair[2], sum = 0;
    draw_pair(set, split, i, pair);
    for (int k = 0; k < 2; ++k) sum += set->words->ops->label(set->words, split, pair[k]) % 10;
    return sum;
}

/* Events within the first second; they are in order of time. */
static size_t within_a_second(const struct snn_sample *sample) {
    size_t n = 0;
    while (n < sample->event_count && sample->events[n].t < SECOND) ++n;
    return n;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct adding_set *set = (const struct adding_set *)base;
    struct snn_sample second = {0};
    int32_t pair[2];
    draw_pair(set, split, i, pair);
    int status = set->words->ops->get(set->words, split, pair[1], &second);
    if (status == SNN_OK) status = set->words->ops->get(set->words, split, pair[0], sample);
    if (status == SNN_OK) {
        size_t first = within_a_second(sample), more = within_a_second(&second);
        status = snn_sample_room(sample, 0, first + more);
        for (size_t k = 0; status == SNN_OK && k < more; ++k) {
            sample->events[first + k] = second.events[k];
            sample->events[first + k].t += SECOND;
        }
        sample->event_count = first + more;
        sample->label = label(base, split, i);
    }
    snn_sample_free(&second);
    return status;
}

/* Either set has its files under the same names. */
static bool has(const char *root) { return snn_dataset_find(of_word[0])->has(root); }

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    const struct options *o = options;
    struct adding_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = snn_dataset_open(of_word[o->of], root, NULL, NULL, &set->words);
    if (status < 0) {
        free(set);
        return status;
    }
    set->seed = (uint64_t)o->seed;
    set->base.info.count[SNN_TRAIN] = (int32_t)o->train, set->base.info.count[SNN_TEST] = (int32_t)o->test;
    set->base.info.files = set->words->info.files;
    *out = &set->base;
    return SNN_OK;
}

static int sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    struct snn_dataset *words = ((struct adding_set *)base)->words;
    return words->ops->sources(words, each, payload);
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    struct snn_dataset *words = ((struct adding_set *)base)->words;
    return words->ops->verify(words, report, payload);
}

static void close_set(struct snn_dataset *base) {
    struct adding_set *set = (struct adding_set *)base;
    snn_dataset_close(&set->words);
    free(set);
}

const struct snn_dataset_ops snn_shd_adding = {
    .name = "shd_adding",
    .help =
        "two recordings of shd or fsdd_spikes one after the other, a second each; the class is the sum of the digits",
    .classes = SUMS,
    .C = 1,
    .H = 1,
    .W = UNITS,
    .kind = SNN_RECORDINGS,
    .keys = keys,
    .how_to_get = "name the folder of shd or fsdd_spikes with --data (snntrain data info shd says how to get it)",
    .has = has,
    .open = open_set,
    .get = get,
    .label = label,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};
