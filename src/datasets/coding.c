/* SPDX-License-Identifier: Apache-2.0
 * coding.c - images as input of a spiking network: the value itself, or spikes by rate or by latency.
 *
 * Random spikes are keyed by seed, epoch and sample, never by who draws them: the same on any number of workers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/parts.h"

int snn_rows_room(struct snn_rows *rows, size_t n) {
    size_t want = rows->used + n, more = want + want / 2;
    bool held = true;
    if (want > INT32_MAX) return snn_error(SNN_EFAIL, "a batch has over %d input spikes: make it smaller", INT32_MAX);
    if (want > rows->room) {
        int32_t *index = reallocarray(rows->index, more, sizeof *index);
        if (index) rows->index = index;
        int32_t *step = rows->by_sample ? reallocarray(rows->step, more, sizeof *step) : NULL;
        if (step) rows->step = step;
        held = index && (step || !rows->by_sample);
        if (held) rows->room = more;
    }
    if (want > rows->value_room) {
        float *value = reallocarray(rows->value, more, sizeof *value);
        if (value) rows->value = value, rows->value_room = more;
        held &= value != NULL;
    }
    return held ? SNN_OK : snn_error(SNN_EFAIL, "out of memory for a batch of %zu input spikes", more);
}

void snn_rows_free(struct snn_rows *rows) {
    free(rows->count);
    free(rows->index);
    free(rows->value);
    free(rows->step);
    *rows = (struct snn_rows){0};
}

void snn_code_direct(const uint8_t *pixels, int32_t units, double mean, double std, float *out) {
    float table[256];
    for (int x = 0; x < 256; ++x) table[x] = (float)((x / 255.0 - mean) / std);
    for (int32_t i = 0; i < units; ++i) out[i] = table[pixels[i]];
}

/* Of 2^24 equally likely draws: black never fires and white always, where nothing is shifted or scaled. */
struct snn_rate snn_rate_of(double mean, double std, double gain) {
    struct snn_rate rate;
    for (int x = 0; x < 256; ++x) {
        double value = (x / 255.0 - mean) / std;
        rate.limit[x] = (uint32_t)ceil(gain * (value < 0 ? 0 : value > 1 ? 1 : value) * 16777216);
    }
    return rate;
}

int snn_code_rate(const uint8_t *pixels, int32_t units, int32_t T, const struct snn_rate *rate, uint64_t seed,
                  uint32_t epoch, uint32_t sample, int32_t *count, struct snn_rows *rows) {
    uint32_t word[4] = {0}, block = UINT32_MAX; /* UINT32_MAX: none drawn; T*units < 2^32 has no such block */
    for (int32_t t = 0; t < T; ++t) {
        SNN_TRY(snn_rows_room(rows, (size_t)units));
        size_t before = rows->used;
        for (int32_t i = 0; i < units; ++i) {
            if (!rate->limit[pixels[i]]) continue;
            uint32_t draw = (uint32_t)t * (uint32_t)units + (uint32_t)i;
            if (draw >> 2 != block) snn_rng_block(seed, SNN_RNG_CODING, epoch, sample, block = draw >> 2, word);
            if (word[draw & 3] >> 8 >= rate->limit[pixels[i]]) continue;
            rows->index[rows->used] = i;
            rows->value[rows->used++] = 1;
        }
        count[t] = (int32_t)(rows->used - before);
    }
    return SNN_OK;
}

int snn_code_latency(const uint8_t *pixels, int32_t units, int32_t T, int32_t *count, struct snn_rows *rows) {
    int32_t step[256];
    for (int x = 0; x < 256; ++x) step[x] = (int32_t)lround((T - 1) * ((255 - x) / 255.0));
    SNN_TRY(snn_rows_room(rows, (size_t)units));
    memset(count, 0, (size_t)T * sizeof *count);
    for (int32_t i = 0; i < units; ++i)
        if (pixels[i]) ++count[step[pixels[i]]];
    /* A counting sort by step in the place of the counts: counts -> where each step starts -> where it ends -> counts.
     */
    int32_t sum = 0;
    for (int32_t t = 0; t < T; ++t) {
        int32_t here = count[t];
        count[t] = sum;
        sum += here;
    }
    for (int32_t i = 0; i < units; ++i)
        if (pixels[i]) rows->index[rows->used + (size_t)count[step[pixels[i]]]++] = i;
    for (int32_t t = T - 1; t > 0; --t) count[t] -= count[t - 1];
    for (int32_t i = 0; i < sum; ++i) rows->value[rows->used++] = 1;
    return SNN_OK;
}
