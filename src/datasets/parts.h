/* SPDX-License-Identifier: Apache-2.0
 * parts.h - what the loader is made of; only this folder and its tests include it.
 *
 * A worker fills a batch in two steps: each sample appends its non-zero inputs step by step (snn_rows), and when all
 * are in they are laid out step by step over the whole batch, which is how a trainer reads them. Sequences of numbers
 * and targets are written to their places at once. */
#ifndef SNN_DATASETS_PARTS_H
#define SNN_DATASETS_PARTS_H

#include "datasets/loader.h"

enum { SNN_MAX_STEPS = 1000000 };              /* of a batch: beyond it a config is a mistake */
enum { SNN_PAD_MAX = -1, SNN_PAD_BATCH = -2 }; /* the words of pad.to */

/* ---- order.c ---- */

/* Samples of `subset` in the data set's own order, indices into its split: *list is the caller's to free. SNN_EUSAGE
 * when it would be empty. */
int snn_subset_list(const struct snn_dataset *set, enum snn_subset subset, const struct snn_validation *validation,
                    uint64_t split_seed, int32_t **list, int32_t *count);

/* ---- bin.c ---- */

struct snn_framing { /* walks over the steps of a recording */
    const struct snn_event *events;
    size_t n, at;    /* at: events handed out so far */
    int32_t j, last; /* the next step; the one that takes all that remain */
    bool by_count;
    size_t each;      /* by count: events a step */
    int64_t stop, dt; /* else: where the next step ends, and how long it is, in microseconds */
};
/* Cut n events into T steps. Each next() gives the index one behind the events of the following step, which begin where
 * the step before ended; after T calls the events left over are cut off. */
struct snn_framing snn_framing_start(const struct snn_data_config *config, int32_t T, const struct snn_event *events,
                                     size_t n);
size_t snn_framing_next(struct snn_framing *cut);
/* Microseconds from where the first bin begins to a recording's last event; 0 when it has none. */
int64_t snn_bin_extent_us(const struct snn_data_config *config, const struct snn_sample *sample);
/* Steps by duration of a recording of that extent, at most INT32_MAX. */
int32_t snn_bin_duration_steps(const struct snn_data_config *config, int64_t us);

/* ---- coding.c ---- */

struct snn_rows {   /* non-zero inputs of a batch in the making, sample by sample, step by step */
    int32_t *count; /* (batch, max_steps): entries of each step */
    int32_t *index;
    uint16_t *value;
    size_t used, room;
};
/* Room for n more entries. SNN_EFAIL when out of memory or beyond what int32 row offsets can count. */
int snn_rows_room(struct snn_rows *rows, size_t n);
void snn_rows_free(struct snn_rows *rows);

/* Images, `units` pixels x = pixel/255. Direct: out[i] = (x - mean)/std. */
void snn_code_direct(const uint8_t *pixels, int32_t units, double mean, double std, float *out);
/* Rate: a spike in step t with probability x; key (seed, epoch, sample, t*units+i). `count` (T) is written. */
int snn_code_rate(const uint8_t *pixels, int32_t units, int32_t T, uint64_t seed, uint32_t epoch, uint32_t sample,
                  int32_t *count, struct snn_rows *rows);
/* Latency: one spike at t = round((T-1)(1-x)), none for x = 0. `count` (T) is written. */
int snn_code_latency(const uint8_t *pixels, int32_t units, int32_t T, int32_t *count, struct snn_rows *rows);

/* ---- fill.c ---- */

struct snn_recipe { /* how samples become a batch; the same for all workers */
    const struct snn_data_config *config;
    struct snn_dataset *set;
    enum snn_split split;
    uint64_t seed;
    int32_t batch;
    int32_t shape[3];    /* (C,H,W) of a step, see snn_data_input */
    int32_t max_steps;   /* of a batch */
    int32_t longest;     /* steps kept of a recording; at most max_steps */
    bool augment;        /* samples are changed as config->augment says */
    const int32_t *list; /* (samples): those a transform that mixes may draw from */
    int32_t samples;
};

struct snn_filled { /* a batch and its memory */
    struct snn_batch batch;
    float *value; /* what batch.value points at when some count exceeds 1 */
    size_t room;  /* of batch.index and value */
    int32_t cut;  /* recordings that were longer than recipe.longest */
};
int snn_filled_open(const struct snn_recipe *recipe, struct snn_filled *out);
void snn_filled_free(struct snn_filled *filled);

struct snn_fill { /* a worker's scratch */
    const struct snn_recipe *recipe;
    struct snn_sample sample;
    struct snn_rows rows;
    uint64_t *seen;   /* (units) bits: units met in the present step */
    uint16_t *counts; /* (units) their events; zero between steps */
    struct snn_augmenting augmenting;
};
int snn_fill_open(const struct snn_recipe *recipe, struct snn_fill *out);
void snn_fill_free(struct snn_fill *fill);
/* Make a batch of the `n` samples; `epoch` keys random coding. */
int snn_fill_batch(struct snn_fill *fill, const int32_t *samples, int32_t n, uint32_t epoch, struct snn_filled *out);

#endif
