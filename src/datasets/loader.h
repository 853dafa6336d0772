/* SPDX-License-Identifier: Apache-2.0
 * loader.h - samples -> ordered, coded or binned, padded mini-batches, made ahead of time by worker threads.
 *
 * Order depends on (seed, epoch) alone, never on the number of workers. A ring of batches is allocated once; workers
 * fill whole batches; next() hands them out in order and says how long it had to wait. */
#ifndef SNN_LOADER_H
#define SNN_LOADER_H

#include "core/batch.h"
#include "core/config.h"
#include "datasets/augment.h"
#include "datasets/binning.h"
#include "datasets/dataset.h"

enum snn_coding { SNN_CODING_DIRECT, SNN_CODING_RATE, SNN_CODING_LATENCY };

enum snn_validation_by { SNN_VALIDATION_NONE, SNN_VALIDATION_CLASS, SNN_VALIDATION_GROUP, SNN_VALIDATION_OWN };
enum { SNN_VALIDATION_IDS = 64 };

struct snn_validation { /* which training samples are set apart */
    enum snn_validation_by by;
    double fraction;                /* of each class, or of the groups, drawn with split_seed; by group 0: `id` */
    int32_t id[SNN_VALIDATION_IDS]; /* by group: these */
    int32_t ids;
};

enum { SNN_AUGMENTS = 16, SNN_AUGMENT_OPTIONS = 32 };
struct snn_augment_item { /* of the list of transforms */
    const struct snn_augment_ops *ops;
    union { /* as ops->keys fill them */
        unsigned char bytes[SNN_AUGMENT_OPTIONS];
        max_align_t align;
    } options;
};

struct snn_data_config { /* the `data:` section */
    const char *name, *root;
    long long timesteps; /* -1: auto (as many as the recording has; see snn_bin_has_own_steps) */
    struct snn_binning bin;
    struct snn_downsample downsample;
    int coding;
    double mean, std; /* images: (pixel/255 - mean)/std */
    double gain;      /* coded by rate: the probability is gain times that, cut to 0..1 */
    struct {
        long long to; /* N, or -1 max, -2 batch */
        bool mask;
    } pad;
    long long pieces; /* steps of a piece; -1: recordings are whole; -2: as the rule has it (experiment.c) */
    struct snn_validation validation;
    struct snn_augment_item augment[SNN_AUGMENTS]; /* of training samples, in this order */
    int32_t augments;
    long long split_seed;
    long long workers;
    const char *cache;   /* auto, or a folder; NULL: none */
    int64_t cache_limit; /* bytes */
    union {              /* the set's own options, as its `keys` fill them */
        unsigned char bytes[SNN_SET_OPTIONS];
        max_align_t align;
    } set;
};
extern const struct snn_key snn_data_keys[], snn_bin_keys[], snn_downsample_keys[]; /* for `snntrain list keys` */

struct snn_bin_rule { /* for `snntrain list framings` */
    const char *name, *help;
};
extern const struct snn_bin_rule snn_bin_rules[]; /* by enum snn_bin_by, ended by a NULL name */

struct snn_bin_preset { /* a framework's or paper's framing: values of our keys */
    const char *name, *alias, *help;
    const char *bin, *downsample; /* maps as YAML flow text */
    const char *timesteps;        /* where the config has none; NULL: as usual */
    double span;                  /* s; not 0: timesteps are the bins from zero to here, the last one whole */
};
extern const struct snn_bin_preset snn_bin_presets[]; /* ended by a NULL name */

/* Read and check the section; everything that can be judged without the files is judged here. */
int snn_data_config_read(struct snn_conf *section, struct snn_data_config *out);
/* The set's own options (struct snn_dataset_ops, keys), or NULL. */
const void *snn_data_set_options(const struct snn_data_config *config);
/* (C,H,W) of one step as the network gets it, from a set of that shape. SNN_EUSAGE when it is too large. */
int snn_data_input(const struct snn_data_config *config, const struct snn_dataset_info *info, int32_t shape[3]);
/* Seconds from step to step, or 0 where that is not known (by count, by time ...). */
double snn_data_step_seconds(const struct snn_data_config *config);

enum snn_subset { SNN_SUBSET_TRAIN, SNN_SUBSET_VALIDATION, SNN_SUBSET_TEST };

struct snn_loader;
struct snn_cache_warnings; /* cache.h */

struct snn_loader_options {
    const struct snn_data_config *config;
    struct snn_dataset *set;
    enum snn_subset subset;
    int32_t batch; /* samples a batch; the last one of an epoch may be smaller */
    uint64_t seed; /* order and random coding */
    bool shuffle;
    int32_t cut;                         /* steps that are looked at at a time: events of longer batches are laid out by
                                            sample (core/batch.h); 0: all steps */
    int32_t timesteps;                   /* 0: the config's; else frame the whole or code it into this many steps */
    struct snn_cache_warnings *warnings; /* of the cache, without which a loader goes on; NULL: none wanted */
};
int snn_loader_open(const struct snn_loader_options *options, struct snn_loader **out);
void snn_loader_close(struct snn_loader **loader); /* stops the workers; safe at any time */

int32_t snn_loader_samples(const struct snn_loader *loader); /* in the subset */
/* Samples of each label in the subset, count (classes), without reading any. */
void snn_loader_labels(const struct snn_loader *loader, int64_t *count);
int32_t snn_loader_batches(const struct snn_loader *loader); /* an epoch: of whole recordings */
/* Pieces that the recordings of a batch come in, one behind the other; 1 unless the config asks for more. Where all of
 * a batch are short it has fewer. */
int32_t snn_loader_pieces(const struct snn_loader *loader);
/* The most steps of a recording: the plan's T. With `auto` every recording is read once, for its length. */
int32_t snn_loader_max_steps(const struct snn_loader *loader);

/* Start handing out epoch `epoch`, as if `first` pieces had been: those of batch 0, of batch 1 ... (resume: > 0). */
int snn_loader_start(struct snn_loader *loader, int64_t epoch, int64_t first);
/* The next batch, or piece of it (valid until the next call), or *batch = NULL at the epoch's end. Errors of workers
 * arrive here. */
int snn_loader_next(struct snn_loader *loader, const struct snn_batch **batch);
/* How many pieces have passed, with those that a batch does not have: where to start again. */
int64_t snn_loader_position(const struct snn_loader *loader);
double snn_loader_wait_s(const struct snn_loader *loader); /* time next() spent waiting since start() */
/* Recordings handed out since start() that were longer than T; that have nothing in any step. */
int32_t snn_loader_cut(const struct snn_loader *loader);
int32_t snn_loader_empty(const struct snn_loader *loader);

/* ---- one recording (downsample.c, framing.c, frame.c) ---- */

/* Does a recording have as many steps as it needs (by duration, window, events, adaptive)? `timesteps` is then the most
 * that are kept; by the other rules all recordings have `timesteps` steps. */
bool snn_bin_has_own_steps(const struct snn_binning *bin);
/* The first thing that happens to events: units are joined, events left out and times cut down, in place. `sensor` is
 * the data set's (C,H,W); snn_data_input has the shape that results. Returns how many events remain. */
size_t snn_bin_downsample(const struct snn_downsample *how, const int32_t sensor[3], struct snn_event *events,
                          size_t n);
/* Steps of a recording; `timesteps`: 0 for the config's. */
int32_t snn_bin_steps(const struct snn_data_config *config, int32_t timesteps, const struct snn_event *events,
                      size_t n);
/* Frame one recording of a sensor (C,H,W), downsampled where the config says so: writes T steps of it, all of them. */
void snn_bin_events(const struct snn_data_config *config, int32_t T, int32_t C, int32_t H, int32_t W,
                    const struct snn_event *events, size_t n, float *frames);

#endif
