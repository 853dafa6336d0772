/* SPDX-License-Identifier: Apache-2.0
 * parts.h - what the loader is made of; only this folder and its tests include it.
 *
 * A worker fills a batch in two steps: each sample appends its non-zero inputs step by step (snn_rows), and when all
 * are in they are laid out step by step over the whole batch, or stay as they are where a batch is wanted by sample.
 * Sequences of numbers and targets are written to their places at once. */
#ifndef SNN_DATASETS_PARTS_H
#define SNN_DATASETS_PARTS_H

#include "datasets/cache.h"
#include "datasets/events_stream.h"
#include "datasets/loader.h"

enum { SNN_MAX_STEPS = 1000000 };              /* of a batch: beyond it a config is a mistake */
enum { SNN_MAX_UNITS = 1 << 26 };              /* of a step: sizes of single tensors stay in 32 bits */
enum { SNN_PAD_MAX = -1, SNN_PAD_BATCH = -2 }; /* the words of pad.to */

/* ---- order.c ---- */

/* Samples of `subset` in the data set's own order, indices into its split: *list is the caller's to free. SNN_EUSAGE
 * when it would be empty. */
int snn_subset_list(const struct snn_dataset *set, enum snn_subset subset, const struct snn_validation *validation,
                    uint64_t split_seed, int32_t **list, int32_t *count);

/* ---- framing.c ---- */

struct snn_step { /* events [begin, end) of a recording */
    size_t begin, end;
    double stop; /* when it ends, in the framing's microseconds */
};

enum snn_cut { SNN_CUT_INDEX, SNN_CUT_TIME, SNN_CUT_ADAPTIVE };
enum snn_clock { SNN_CLOCK_US, SNN_CLOCK_HALF_S, SNN_CLOCK_HALF_MS, SNN_CLOCK_VOXEL };

struct snn_framing { /* walks over the steps of a recording */
    const struct snn_event *events;
    size_t n;
    struct snn_step step; /* the one before */
    int32_t j, last;      /* the next step; the one that takes all that remain, or -1 */
    enum snn_cut how;
    size_t stride, each; /* by index: events from step to step, and of a step (adaptive: at most) */
    enum snn_clock clock;
    int64_t base;             /* times count from here */
    int32_t shift;            /* by time: step `shift` begins at */
    double first, hop, width; /* `first`; from step to step, and how long one is */
    double scale, span;       /* voxel: hops of a recording, and its length; milliseconds of 16 bits: its first */
    bool overlaps;            /* an event may be in more than one step */
};
/* Cut n events into T steps; each next() gives one. Steps go forward, but may overlap or leave events out; events after
 * the T-th are left out too. Nothing is allocated. */
struct snn_framing snn_framing_start(const struct snn_binning *bin, int32_t T, const struct snn_event *events,
                                     size_t n);
struct snn_step snn_framing_next(struct snn_framing *cut);
/* When event i was, by the framing's clock. */
double snn_framing_when(const struct snn_framing *cut, size_t i);
/* Steps that a recording has of its own (snn_bin_has_own_steps), at most INT32_MAX. */
int32_t snn_bin_own_steps(const struct snn_binning *bin, const struct snn_event *events, size_t n);
/* The same recordings in a number of steps that somebody else chooses: a rule that has T steps. */
void snn_bin_refit(struct snn_binning *bin);

/* ---- streams.c ---- */

/* Can recordings be read piece by piece, framed and changed as the config says? Those of which survey() says so. */
bool snn_can_stream(const struct snn_dataset *set, const struct snn_data_config *config, bool augment);
/* Find out what has to be known of every recording of a split for it. */
int snn_find_extents(struct snn_dataset *set, enum snn_split split);
/* NULL: recording i is read whole. */
const struct snn_events_extent *snn_extent_of(const struct snn_dataset *set, enum snn_split split, int32_t i);
/* Steps it has of its own, and how it is cut, before any event is there. */
int32_t snn_extent_steps(const struct snn_binning *bin, const struct snn_events_extent *extent);
struct snn_framing snn_extent_framing(const struct snn_binning *bin, int32_t T, const struct snn_events_extent *extent);
/* Read the events of the next `steps` steps. */
int snn_stream_steps(struct snn_events_stream *stream, int32_t steps, struct snn_framing *cut,
                     struct snn_sample *sample);
/* The next steps are cut out of these events, which follow those that were there. */
void snn_framing_go_on(struct snn_framing *cut, const struct snn_event *events, size_t n);

/* ---- frame.c ---- */

struct snn_canvas {   /* a step in the making */
    int32_t shape[3]; /* (C,H,W) */
    float *value;     /* (C,H,W): zero at the start, unless the step before goes on (snn_canvas_stays) */
    uint64_t *seen;   /* (C,H,W) bits: units met; NULL: nobody wants to know */
    double read;      /* when the step before was read */
};
/* Add the events of a step that `cut` has given. */
void snn_canvas_add(struct snn_canvas *canvas, const struct snn_data_config *config, const struct snn_framing *cut,
                    struct snn_step step);
/* Does a step begin with what the step before left (time surfaces), rather than with nothing? */
bool snn_canvas_stays(const struct snn_data_config *config);

/* ---- downsample.c ---- */

/* (C,H,W) of what is downsampled. */
void snn_downsample_shape(const struct snn_downsample *how, const int32_t sensor[3], int32_t shape[3]);
/* The key that does not fit a sensor, and what is wrong with it; NULL when all is well. */
const char *snn_downsample_misfit(const struct snn_downsample *how, const int32_t sensor[3], char why[200]);

/* ---- bin_config.c ---- */

/* Read `data.bin` and `data.downsample` of recordings; a preset gives what they leave open, and `timesteps` (a child of
 * `map`) where it was not `given`. */
int snn_bin_config_read(struct snn_conf *map, bool given, struct snn_data_config *out);
/* Of other samples: nothing may be there. `have`: what they are. */
int snn_bin_config_refuse(const struct snn_conf *map, const char *name, const char *have);

/* ---- coding.c ---- */

struct snn_rows {   /* non-zero inputs of a batch in the making, sample by sample, step by step */
    int32_t *count; /* (batch, steps): entries of each step; by sample (steps): of the present sample's */
    int32_t *index;
    float *value;
    int32_t *step;  /* of each entry of samples that are complete, where they are to stay by sample */
    bool by_sample; /* there is `step` */
    size_t used, room, value_room;
};
/* Room for n more entries. SNN_EFAIL when out of memory or beyond what int32 row offsets can count. */
int snn_rows_room(struct snn_rows *rows, size_t n);
void snn_rows_free(struct snn_rows *rows);

/* Images, `units` pixels x = pixel/255. Direct: out[i] = (x - mean)/std. */
void snn_code_direct(const uint8_t *pixels, int32_t units, double mean, double std, float *out);
/* Rate: a spike in step t with probability gain * ((x - mean)/std, cut to 0..1), of which `limit` is the table; key
 * (seed, epoch, sample, t*units+i). `count` (T) is written. */
struct snn_rate {
    uint32_t limit[256]; /* of 2^24 equally likely draws those below are a spike */
};
struct snn_rate snn_rate_of(double mean, double std, double gain);
int snn_code_rate(const uint8_t *pixels, int32_t units, int32_t T, const struct snn_rate *rate, uint64_t seed,
                  uint32_t epoch, uint32_t sample, int32_t *count, struct snn_rows *rows);
/* Latency: one spike at t = round((T-1)(1-x)), none for x = 0. `count` (T) is written. */
int snn_code_latency(const uint8_t *pixels, int32_t units, int32_t T, int32_t *count, struct snn_rows *rows);

/* ---- fill.c ---- */

enum snn_stored {                   /* what a slot of the cache holds */
                  SNN_STORED_ROWS,  /* a recording framed, as it is in every epoch */
                  SNN_STORED_EVENTS /* as it was decoded, for what is done with it anew each time */
};

struct snn_recipe { /* how samples become a batch; the same for all workers */
    const struct snn_data_config *config;
    struct snn_dataset *set;
    enum snn_split split;
    uint64_t seed;
    int32_t batch;
    int32_t shape[3];    /* (C,H,W) of a step, see snn_data_input */
    int32_t max_steps;   /* of a batch's recordings */
    int32_t longest;     /* steps kept of a recording; at most max_steps */
    int32_t steps;       /* of a batch: fewer than max_steps where recordings come in pieces */
    bool by_sample;      /* events stay by sample (core/batch.h) */
    bool augment;        /* samples are changed as config->augment says */
    bool streams;        /* recordings are read piece by piece (streams.c) */
    const int32_t *list; /* (samples): those a transform that mixes may draw from */
    int32_t samples;
    struct snn_cache *cache; /* NULL: none */
    enum snn_stored stored;  /* in it; events where they are changed before they are framed */
};

/* Sample `index` of the split as the set has it; from the cache where that holds events. `scratch` is the caller's. */
int snn_recipe_get(const struct snn_recipe *recipe, int32_t index, struct snn_sample *sample,
                   struct snn_cache_bytes *scratch);

struct snn_filled { /* a batch and its memory */
    struct snn_batch batch;
    float *value; /* what batch.value points at when some number is not 1 */
    size_t room;  /* of batch.index and batch.step */
    size_t value_room;
    int32_t cut;   /* recordings that were longer than recipe.longest */
    int32_t empty; /* and those with nothing in any step */
};
int snn_filled_open(const struct snn_recipe *recipe, struct snn_filled *out);
void snn_filled_free(struct snn_filled *filled);

struct snn_opened { /* a sample that gives its steps */
    struct snn_sample sample;
    int32_t length; /* steps */
    bool cut;       /* it was longer */
    size_t entries; /* it has given so far */
    struct snn_framing framing;
    struct snn_events_stream *stream; /* NULL: all its events are there */
    struct snn_canvas canvas;         /* of what a step leaves to the next (snn_canvas_stays) */
};

struct snn_fill { /* a worker's scratch */
    const struct snn_recipe *recipe;
    struct snn_opened *opened; /* (open): one after the other, or those of the batch that comes in pieces */
    int32_t open;
    int32_t next; /* piece of these */
    struct snn_rows rows;
    struct snn_canvas canvas; /* blank between steps */
    struct snn_cache_bytes bytes;
    struct snn_augmenting augmenting;
    struct snn_rate rate;
};
int snn_fill_open(const struct snn_recipe *recipe, struct snn_fill *out);
void snn_fill_free(struct snn_fill *fill);
/* Make a batch of the `n` samples, or piece `piece` of it; `epoch` keys random coding. The next piece comes cheaply
 * from the same fill; batch.T is 0 where all recordings have ended. */
int snn_fill_batch(struct snn_fill *fill, const int32_t *samples, int32_t n, uint32_t epoch, int32_t piece,
                   struct snn_filled *out);

#endif
