/* SPDX-License-Identifier: Apache-2.0
 * made_set.h - a data set whose samples are functions of their index, and epochs of a loader over it. */
#ifndef SNN_TEST_MADE_SET_H
#define SNN_TEST_MADE_SET_H

#include <stdint.h>
#include <time.h>

#include "datasets/parts.h"
#include "snn_check.h"

static const struct snn_data_config by_count = {.name = "made",
                                                .timesteps = 4,
                                                .bin = {SNN_BIN_COUNT, {0.01, true}, false},
                                                .std = 1,
                                                .gain = 1,
                                                .pad = {-1, true},
                                                .workers = 1};

static inline struct snn_data_config config_of(int by, long long timesteps, double dt_us) {
    struct snn_data_config config = by_count;
    config.bin.by = by;
    config.timesteps = timesteps;
    config.bin.dt.value = dt_us * 1e-6;
    return config;
}

enum { SAMPLES = 53, TESTS = 11, CLASSES = 4, MADE_STEPS = 6, MADE_TARGETS = 3 };

struct made_set {
    struct snn_dataset base;
    _Atomic int fail_at; /* training sample that cannot be read, or -1; changed while workers run */
    int delay_us;        /* of each read */
    size_t crowd;        /* not 0: recordings are that many events of unit 0 */
};

static inline int32_t made_label(const struct snn_dataset *set, enum snn_split split, int32_t i) {
    (void)set, (void)split;
    return i % 7 % CLASSES; /* classes of different size */
}

/* Steps of sequence i, and number k of step t of what it holds: inputs, or targets (t = 0 where there is one for all).
 */
static inline int32_t made_steps(int32_t i) { return i % MADE_STEPS + 1; }
static inline float made_number(int32_t i, int32_t t, int32_t k) { return (float)(i * 1000 + t * 50 + k + 1); }
static inline float made_target(int32_t i, int32_t t, int32_t k) { return -made_number(i, t, k); }

static inline int made_sequence(const struct snn_dataset_info *info, int32_t i, struct snn_sample *sample) {
    int32_t units = info->C * info->H * info->W, rows = info->target_steps ? made_steps(i) : 1;
    sample->steps = made_steps(i);
    SNN_TRY(snn_sample_room_for_numbers(sample, (size_t)(sample->steps * units), (size_t)(rows * info->targets)));
    for (int32_t j = 0; j < sample->steps * units; ++j) sample->numbers[j] = made_number(i, j / units, j % units);
    for (int32_t j = 0; j < rows * info->targets; ++j)
        sample->target[j] = made_target(i, j / info->targets, j % info->targets);
    return SNN_OK;
}

static inline int made_get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct made_set *set = (struct made_set *)base;
    if (set->delay_us) nanosleep(&(struct timespec){.tv_nsec = set->delay_us * 1000L}, NULL);
    if (split == SNN_TRAIN && i == set->fail_at) return snn_error(SNN_EDATA, "made/%d.bin: is broken", i);
    size_t units = (size_t)(base->info.C * base->info.H * base->info.W);
    sample->label = made_label(base, split, i);
    if (base->info.kind == SNN_SEQUENCES) return made_sequence(&base->info, i, sample);
    if (base->info.kind == SNN_IMAGES) {
        SNN_TRY(snn_sample_room(sample, units, 0));
        for (size_t j = 0; j < units; ++j) sample->pixels[j] = (uint8_t)(i * 37 + (int)j * 50);
        return SNN_OK;
    }
    if (set->crowd) {
        SNN_TRY(snn_sample_room(sample, 0, set->crowd));
        memset(sample->events, 0, set->crowd * sizeof *sample->events);
        sample->event_count = set->crowd;
        return SNN_OK;
    }
    sample->event_count = (size_t)(i * 5 % 13); /* none in some; at most 12, in at most 25300 us */
    SNN_TRY(snn_sample_room(sample, 0, sample->event_count));
    for (int k = 0; k < (int)sample->event_count; ++k)
        sample->events[k] = (struct snn_event){1000 + k * (i % 3 + 1) * 700 + k / 7 * 300, (uint16_t)(k % 4),
                                               (uint16_t)(k / 3 % 3), (uint8_t)(k & 1)};
    return SNN_OK;
}

static const struct snn_dataset_ops made_ops = {.name = "made", .get = made_get, .label = made_label};

static inline struct made_set make_set(bool events) {
    return (struct made_set){.base = {.ops = &made_ops,
                                      .info = {.name = "made",
                                               .classes = CLASSES,
                                               .C = 2,
                                               .H = 3,
                                               .W = 4,
                                               .kind = events ? SNN_RECORDINGS : SNN_IMAGES,
                                               .count = {SAMPLES, TESTS}}},
                             .fail_at = -1};
}

/* Sequences of 1 to MADE_STEPS steps with a target, for all steps or for each. */
static inline struct made_set make_sequences(bool target_steps) {
    struct made_set set = make_set(false);
    set.base.info.kind = SNN_SEQUENCES, set.base.info.steps = MADE_STEPS;
    set.base.info.targets = MADE_TARGETS, set.base.info.target_steps = target_steps;
    return set;
}

/* cut: see snn_loader_options. */
static inline struct snn_loader *open_loader_of(struct made_set *set, const struct snn_data_config *config,
                                                bool shuffle, int32_t cut) {
    const struct snn_loader_options options = {
        .config = config, .set = &set->base, .batch = 8, .seed = 5, .shuffle = shuffle, .cut = cut};
    struct snn_loader *loader;
    ck_ok(snn_loader_open(&options, &loader));
    return loader;
}

static inline struct snn_loader *open_loader(struct made_set *set, const struct snn_data_config *config, bool shuffle) {
    return open_loader_of(set, config, shuffle, 0);
}

static inline const struct snn_batch *next(struct snn_loader *loader) {
    const struct snn_batch *batch;
    ck_ok(snn_loader_next(loader, &batch));
    return batch;
}

static inline uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

/* All that a trainer can see of a batch. */
static inline uint64_t digest(const struct snn_batch *b) {
    size_t B = (size_t)b->B, rows = (size_t)b->T * B;
    uint64_t hash = 0xCBF29CE484222325u;
    const int32_t head[] = {b->form, b->T, b->B, b->C, b->H, b->W, b->masked, b->value != NULL};
    hash = mix(hash, head, sizeof head);
    hash = mix(hash, b->label, B * sizeof *b->label);
    hash = mix(hash, b->length, B * sizeof *b->length);
    hash = mix(hash, b->sample, B * sizeof *b->sample);
    if (b->target) hash = mix(hash, b->target, snn_batch_targets(b) * sizeof *b->target);
    if (b->form != SNN_BATCH_EVENTS) return mix(hash, b->frames, snn_batch_numbers(b) * sizeof *b->frames);
    size_t n = snn_batch_entries(b);
    if (b->by_sample) hash = mix(mix(hash, b->first, (B + 1) * sizeof *b->first), b->step, n * sizeof *b->step);
    else hash = mix(hash, b->row, (rows + 1) * sizeof *b->row);
    hash = mix(hash, b->index, n * sizeof *b->index);
    return b->value ? mix(hash, b->value, n * sizeof *b->value) : hash;
}

enum { BATCHES = (SAMPLES + 7) / 8 };

/* Digests of an epoch from batch `first` on. */
static inline void epoch_digests(struct snn_loader *loader, int epoch, int first, uint64_t out[BATCHES]) {
    ck_ok(snn_loader_start(loader, epoch, first));
    int k = first;
    for (const struct snn_batch *batch; (batch = next(loader)); ++k) {
        ck_assert_int_lt(k, BATCHES);
        out[k] = digest(batch);
    }
    ck_assert_int_eq(k, BATCHES);
    ck_assert_ptr_null(next(loader)); /* the end stays the end */
}

#endif
