/* SPDX-License-Identifier: Apache-2.0
 * draw.h - the random numbers of one transform of one sample: a walk over the words of its own stream.
 *
 * The stream is a function of (seed, epoch, sample, place in the list of transforms). Who draws, in which order, and
 * where a run was resumed do not matter, and adding a transform behind others leaves their numbers as they were. */
#ifndef SNN_DATASETS_DRAW_H
#define SNN_DATASETS_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

enum { SNN_DRAW_BLOCK_BITS = 28 }; /* blocks of a transform: 2^30 words, for 16 transforms */

struct snn_draw {
    uint64_t seed;
    uint32_t epoch, sample;
    uint32_t block; /* the next one */
    uint32_t word[4];
    int left; /* words of `word` not yet drawn */
};

static inline struct snn_draw snn_draw_start(uint64_t seed, uint32_t epoch, uint32_t sample, uint32_t place) {
    return (struct snn_draw){
        .seed = seed, .epoch = epoch, .sample = sample, .block = place << SNN_DRAW_BLOCK_BITS, .left = 0};
}

static inline uint32_t snn_draw_word(struct snn_draw *d) {
    if (!d->left) {
        snn_rng_block(d->seed, SNN_RNG_AUGMENT, d->epoch, d->sample, d->block++, d->word);
        d->left = 4;
    }
    return d->word[4 - d->left--];
}

/* Uniform in [0,1). */
static inline double snn_draw_unit(struct snn_draw *d) { return snn_rng_unit(snn_draw_word(d)); }

/* True with probability p: never for 0, always for 1. */
static inline bool snn_draw_chance(struct snn_draw *d, double p) { return snn_draw_unit(d) < p; }

/* Uniform among the integers low..high, both included. */
static inline int32_t snn_draw_int(struct snn_draw *d, int32_t low, int32_t high) {
    return low + (int32_t)snn_rng_below(snn_draw_word(d), (uint32_t)(high - low) + 1);
}

/* Uniform in [low,high). */
static inline double snn_draw_between(struct snn_draw *d, double low, double high) {
    return low + (high - low) * snn_draw_unit(d);
}

/* Standard normal, from two words. */
static inline double snn_draw_normal(struct snn_draw *d) {
    uint32_t first = snn_draw_word(d), second = snn_draw_word(d);
    return snn_rng_normal(first, second);
}

#endif
