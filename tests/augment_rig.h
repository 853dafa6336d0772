/* SPDX-License-Identifier: Apache-2.0
 * augment_rig.h - one transform, or a list of them, on samples made by hand.
 *
 * The config is read as text for a real set, so that keys and defaults are those of users; the samples come from a set
 * whose shape and contents the test says. */
#ifndef SNN_TEST_AUGMENT_RIG_H
#define SNN_TEST_AUGMENT_RIG_H

#include <stdint.h>

#include "datasets/parts.h"
#include "snn_check.h"

enum { RIG_SEED = 11 };

struct rig {
    struct snn_dataset set; /* first: get() finds the rest */
    void (*make)(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample);
    struct snn_data_config config;
    struct snn_recipe recipe;
    struct snn_augmenting augmenting;
    struct snn_sample sample;
    int32_t list[16];
};

static inline int rig_get(struct snn_dataset *set, enum snn_split split, int32_t i, struct snn_sample *sample) {
    (void)split;
    const struct rig *rig = (const struct rig *)set;
    SNN_TRY(snn_sample_room(sample, (size_t)(set->info.C * set->info.H * set->info.W), 1000));
    sample->label = i % set->info.classes;
    rig->make(i, &set->info, sample);
    return SNN_OK;
}

/* `data: {name: NAME, augment: AUGMENT}` into *config. */
static inline int rig_read(const char *name, const char *augment, struct snn_data_config *config) {
    struct snn_conf_doc *doc;
    char text[600];
    int n = snprintf(text, sizeof text, "{name: %s, augment: %s}", name, augment);
    SNN_TRY(snn_conf_parse(text, (size_t)n, "made.yaml", &doc));
    int status = snn_data_config_read(snn_conf_root(doc), config);
    snn_conf_free(&doc); /* options of transforms have no texts */
    return status;
}

/* Samples of shape (C,H,W) of 4 classes; partners are 0..15. */
static inline void rig_open(struct rig *rig, const char *name, const char *augment, int32_t C, int32_t H, int32_t W,
                            void (*make)(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample)) {
    static const struct snn_dataset_ops ops = {.name = "made", .get = rig_get};
    *rig = (struct rig){.make = make};
    ck_ok(rig_read(name, augment, &rig->config));
    rig->set.ops = &ops;
    rig->set.info = (struct snn_dataset_info){
        .name = "made", .classes = 4, .C = C, .H = H, .W = W, .kind = snn_dataset_find(name)->kind};
    for (int32_t i = 0; i < 16; ++i) rig->list[i] = i;
    rig->recipe = (struct snn_recipe){
        .config = &rig->config, .set = &rig->set, .seed = RIG_SEED, .augment = true, .list = rig->list, .samples = 16};
    ck_ok(snn_augmenting_open(&rig->recipe, &rig->augmenting));
}

static inline void rig_close(struct rig *rig) {
    snn_augmenting_free(&rig->augmenting);
    snn_sample_free(&rig->sample);
}

/* Sample i as it is in `epoch`, in rig->sample. */
static inline void rig_make(struct rig *rig, int32_t i, uint32_t epoch) {
    ck_ok(rig_get(&rig->set, SNN_TRAIN, i, &rig->sample));
    ck_ok(snn_augment_sample(&rig->augmenting, &rig->sample, i, epoch));
}

/* Word k of the stream of the transform at `place`: what the transform draws, without its code. */
static inline uint32_t rig_word(int32_t i, uint32_t epoch, uint32_t place, uint32_t k) {
    uint32_t word[4];
    snn_rng_block(RIG_SEED, SNN_RNG_AUGMENT, epoch, (uint32_t)i, (place << 28) + k / 4, word);
    return word[k % 4];
}
static inline double rig_unit(int32_t i, uint32_t place, uint32_t k) {
    return (rig_word(i, 0, place, k) >> 8) / 0x1p24;
}
/* One of -most..most. */
static inline int32_t rig_step(int32_t i, uint32_t place, uint32_t k, int32_t most) {
    return (int32_t)((uint64_t)rig_word(i, 0, place, k) * (uint32_t)(2 * most + 1) >> 32) - most;
}

#endif
