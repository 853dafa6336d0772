/* SPDX-License-Identifier: Apache-2.0
 * dataset.h - a data set yields samples (an image, events, or a sequence of numbers) with a label or a target; nothing
 * more.
 *
 * Order, splitting, coding, binning, batching and threads belong to the loader (loader.h). To add a set: one file with
 * a struct snn_dataset_ops and one line in dataset.c. */
#ifndef SNN_DATASET_H
#define SNN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/watch.h"
#include "datasets/binning.h"

enum snn_split { SNN_TRAIN, SNN_TEST };

enum snn_own_validation { /* has a set validation samples by its own word? */
                          SNN_OWN_NEVER,
                          SNN_OWN_ALWAYS,
                          SNN_OWN_PERHAPS /* its files say it */
};

enum snn_kind {
    SNN_IMAGES,     /* pixels */
    SNN_RECORDINGS, /* events */
    SNN_SEQUENCES   /* numbers step by step, or one step of them that stands for all */
};

struct snn_event {
    int64_t t; /* microseconds */
    uint16_t x, y;
    uint8_t p; /* polarity: channel */
};

struct snn_sample { /* buffers are the caller's, reused from call to call; freed by snn_sample_free */
    int32_t label;
    uint8_t *pixels; /* images: (C,H,W), 0..255 */
    size_t pixels_size;
    struct snn_event *events; /* recordings: in order of time */
    size_t event_count, event_room;
    float *numbers; /* sequences: (steps, C,H,W) */
    size_t numbers_size;
    int32_t steps; /* 1..info.steps */
    float *target; /* (info.targets), or (steps, info.targets) when info.target_steps; else not looked at */
    size_t target_size;
};
void snn_sample_free(struct snn_sample *sample);
/* Room for that many pixels and events (what is larger already stays). SNN_EFAIL when out of memory. */
int snn_sample_room(struct snn_sample *sample, size_t pixels, size_t events);
/* The same of a sequence's numbers and targets. */
int snn_sample_room_for_numbers(struct snn_sample *sample, size_t numbers, size_t targets);

struct snn_dataset_info {
    const char *name;
    int32_t classes; /* 0: samples have targets instead of labels (regression) */
    int32_t C, H, W; /* of one step */
    enum snn_kind kind;
    int32_t steps;                 /* sequences: the most that a sample has; 0: samples are still, of one step */
    bool spikes;                   /* sequences: of 0 and 1, nearly all 0: they reach a network as lists of events */
    int32_t targets;               /* numbers of a sample's target (or of one step of it); 0: labels only */
    bool target_steps;             /* sequences: there is a target for every step */
    int32_t count[2];              /* samples by enum snn_split */
    const char *const *class_name; /* `classes` names, or NULL */
    int32_t files;                 /* files (or archive members) that hold the samples */
    const char *split_rule;        /* how test samples were set apart where the authors did not; else NULL */
    int32_t own_validation;        /* the last so many training samples are for validation, by the set's own word */
};

/* Samples are numbers that are the same at every step. */
static inline bool snn_dataset_is_still(const struct snn_dataset_info *info) {
    return info->kind == SNN_SEQUENCES && info->steps == 0;
}

struct snn_dataset;
struct snn_events_extent; /* events_stream.h */
struct snn_events_stream;

enum { SNN_READ_WHOLE = 1 /* what survey() says of a recording that cannot be read piece by piece */ };

enum snn_verdict { /* what verify() says when nothing is wrong */
                   SNN_WELL_FORMED = SNN_OK,
                   SNN_AS_DISTRIBUTED = 1 /* the checksum of every file is that of the distributed one */
};

struct snn_dataset_ops {
    const char *name, *help;
    int32_t classes, C, H, W; /* C = 0: they depend on options or files (see shape) */
    enum snn_kind kind;
    enum snn_own_validation own_validation; /* are some training samples for validation (info.own_validation)? */
    bool made;                              /* samples are computed: there are no files, and `root` is "" */
    const char *group_name;                 /* what group() tells apart: "speaker", "user"; NULL: nothing */
    const struct snn_key *keys;             /* of the set's own options beside the keys of `data:`; NULL: none */
    /* What keys and ranges cannot say about options: SNN_EUSAGE at a place below `map`. NULL: nothing. */
    int (*check)(struct snn_conf *map, const void *options);
    /* Sets classes, C, H, W, steps, spikes, targets and target_steps of `info` as far as options tell; C stays 0 when a
     * file has to be looked at. NULL: the numbers above hold. */
    void (*shape)(const void *options, struct snn_dataset_info *info);
    const char *system_dir;        /* where a system package puts it, or NULL */
    const char *how_to_get;        /* one sentence: what to download, from where, how large */
    bool (*has)(const char *root); /* does the folder hold any file of this set? else the next place is looked at */
    /* Sets info.count, .class_name, .files and .own_validation, and what `shape` left open; dataset.c sets the rest.
     * `options`: the struct that `keys` fills (NULL when there are none), which lives as long as the set. */
    int (*open)(const char *root, const void *options, struct snn_dataset **out);
    int (*get)(struct snn_dataset *set, enum snn_split split, int32_t i, struct snn_sample *sample); /* thread-safe */
    /* Recordings piece by piece, instead of get(): what has to be known of one before (in one pass over it), and the
     * events that get() would give. Both thread-safe. SNN_READ_WHOLE: this one (a member of an archive) is for get()
     * only, and *out is not set. Warnings are said by survey(). NULL, both: all recordings of the set are. */
    int (*survey)(struct snn_dataset *set, enum snn_split split, int32_t i, struct snn_events_extent *out);
    int (*stream)(struct snn_dataset *set, enum snn_split split, int32_t i, const struct snn_events_extent *extent,
                  struct snn_events_stream **out);
    int32_t (*label)(const struct snn_dataset *set, enum snn_split split, int32_t i); /* without reading the sample */
    int32_t (*group)(const struct snn_dataset *set, enum snn_split split, int32_t i); /* -1: unknown. NULL: no groups */
    /* Names every file that get() reads, as often as they are asked for; a failure of `each` goes to the caller. NULL:
     * samples lie in memory once the set is open, or are computed, and a cache would be of no use. */
    int (*sources)(struct snn_dataset *set, int (*each)(void *payload, const char *path), void *payload);
    /* An enum snn_verdict, or SNN_EDATA. What takes long tells set->watch. */
    int (*verify)(struct snn_dataset *set, void (*report)(void *payload, const char *line), void *payload);
    void (*close)(struct snn_dataset *set);
};

struct snn_dataset { /* the first member of every set's own struct */
    const struct snn_dataset_ops *ops;
    struct snn_dataset_info info;
    char *root; /* folder that was opened */
    /* What reading samples had to say: the first sentence, and how many there were. Under a lock of dataset.c. */
    char warning[600];
    int64_t warnings;
    struct { /* what the loader has found out by reading every recording of both splits */
        struct snn_binning bin;
        struct snn_downsample downsample;
        int32_t steps; /* of the longest one, framed that way; 0: nobody has looked */
    } longest;
    struct snn_events_extent *extent[2]; /* by split: of recordings that are read piece by piece (streams.c) */
    struct snn_watch watch; /* of verify(), and of recordings that are read through before the first batch */
};

/* All sets, ended by NULL. */
extern const struct snn_dataset_ops *const snn_datasets[];
const struct snn_dataset_ops *snn_dataset_find(const char *name);

enum { SNN_SET_OPTIONS = 256 }; /* bytes of the largest options struct */

/* What is known of a set before it is opened (see ops->shape). `options` may be NULL where there are no keys. */
struct snn_dataset_info snn_dataset_about(const struct snn_dataset_ops *ops, const void *options);

/* Open `name` from the first place that has it: `data_dir` (from --data; then the only place looked at), `root`
 * (data.root), then $SNNTRAIN_DATA/<name>, then system_dir. Any of the first two may be NULL. SNN_EDATA names every
 * place looked at and how to get the set. */
int snn_dataset_open(const char *name, const char *data_dir, const char *root, const void *options,
                     struct snn_dataset **out);
void snn_dataset_close(struct snn_dataset **set);

/* From get(): something was left out of a sample that is used all the same. Thread-safe. */
void snn_dataset_warn(struct snn_dataset *set, const char *sentence);
/* What was said so far: the first sentence into `text`; returns how many there were. Thread-safe. */
int64_t snn_dataset_warnings(struct snn_dataset *set, char text[600]);

/* A list of three sizes from a config ([C, H, W]); SNN_EUSAGE at its place. */
int snn_shape_read(const struct snn_conf *node, int32_t shape[3]);

#endif
