/* SPDX-License-Identifier: Apache-2.0
 * rng.h - counter-based random numbers (Philox 4x32-10; Salmon et al., SC 2011).
 *
 * A number is a pure function of (seed, purpose, a, b, index): no state, so the stream is the same on every backend,
 * for any number of threads and after a resume. `purpose` keeps uses apart; `a` and `b` are usually the epoch or
 * step and the sample. */
#ifndef SNN_RNG_H
#define SNN_RNG_H

#include <stdint.h>

#include "core/real.h"

enum snn_purpose {
    SNN_RNG_INIT = 1,
    SNN_RNG_SHUFFLE,
    SNN_RNG_SPLIT,
    SNN_RNG_DROPOUT,
    SNN_RNG_CODING,
    SNN_RNG_AUGMENT,
    SNN_RNG_TEST,
    SNN_RNG_SYNTHETIC,
    SNN_RNG_NOISE,
    SNN_RNG_STEPS
};

/* Ten rounds on counter `ctr` with `key`. */
SNN_HD void snn_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Four words of the stream (seed, purpose, a, b) at block `block`. `a` and `b` use 32 bits each, `purpose` 8. */
SNN_HD void snn_rng_block(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t block, uint32_t out[4]) {
    uint32_t ctr[4] = {block, b, a, purpose}, key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    snn_philox(ctr, key, out);
}

/* One 32-bit word: word `index` of the stream. */
SNN_HD uint32_t snn_rng_u32(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t index) {
    uint32_t out[4];
    snn_rng_block(seed, purpose, a, b, index >> 2, out);
    return out[index & 3];
}

/* Uniform in [0,1), 24 bits: exact in float. */
SNN_HD double snn_rng_unit(uint32_t word) { return (double)(word >> 8) * (1.0 / 16777216.0); }

/* Uniform integer in [0, n), n > 0, without modulo bias worth naming (64-bit multiply-shift). */
SNN_HD uint32_t snn_rng_below(uint32_t word, uint32_t n) { return (uint32_t)(((uint64_t)word * n) >> 32); }

/* Standard normal from two words (Box-Muller). */
double snn_rng_normal(uint32_t word0, uint32_t word1);

/* A permutation of 0..n-1 in `order` (caller's, n entries), Fisher-Yates over the stream (seed, purpose, a, b). */
void snn_rng_shuffle(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, int32_t *order, int32_t n);

#endif
