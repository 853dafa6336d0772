/* SPDX-License-Identifier: Apache-2.0
 * dataset.h - a data set yields samples (an image, or events) with a label; nothing more.
 *
 * Order, splitting, coding, binning, batching and threads belong to the loader (loader.h). To add a set: one file with
 * a struct snn_dataset_ops and one line in dataset.c. */
#ifndef SNN_DATASET_H
#define SNN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum snn_split { SNN_TRAIN, SNN_TEST };

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
};
void snn_sample_free(struct snn_sample *sample);
/* Room for that many pixels and events (what is larger already stays). SNN_EFAIL when out of memory. */
int snn_sample_room(struct snn_sample *sample, size_t pixels, size_t events);

struct snn_dataset_info {
    const char *name;
    int32_t classes;
    int32_t C, H, W;
    bool events;                   /* recordings, else images */
    int32_t count[2];              /* samples by enum snn_split */
    const char *const *class_name; /* `classes` names, or NULL */
    int32_t files;                 /* files (or archive members) that hold the samples */
    int32_t own_validation;        /* the last so many training samples are for validation, by the set's own word */
};

struct snn_dataset;

struct snn_dataset_ops {
    const char *name, *help;
    int32_t classes, C, H, W; /* known before any file is read: shapes of the model come from here */
    bool events;
    bool own_validation;           /* some training samples are for validation (info.own_validation) */
    const char *system_dir;        /* where a system package puts it, or NULL */
    const char *how_to_get;        /* one sentence: what to download, from where, how large */
    bool (*has)(const char *root); /* does the folder hold any file of this set? else the next place is looked at */
    /* Sets info.count, .class_name, .files and .own_validation; dataset.c sets the rest. */
    int (*open)(const char *root, struct snn_dataset **out);
    int (*get)(struct snn_dataset *set, enum snn_split split, int32_t i, struct snn_sample *sample); /* thread-safe */
    int32_t (*label)(const struct snn_dataset *set, enum snn_split split, int32_t i); /* without reading the sample */
    int (*verify)(struct snn_dataset *set, void (*report)(void *payload, const char *line), void *payload);
    void (*close)(struct snn_dataset *set);
};

struct snn_dataset { /* the first member of every set's own struct */
    const struct snn_dataset_ops *ops;
    struct snn_dataset_info info;
    char *root; /* folder that was opened */
    /* Of the longest recording of both splits, first to last event, and zero to last event; 0 until the loader has
     * looked. */
    int64_t longest_us, latest_us;
};

/* All sets, ended by NULL. */
extern const struct snn_dataset_ops *const snn_datasets[];
const struct snn_dataset_ops *snn_dataset_find(const char *name);

/* Open `name` from the first place that has it: `data_dir` (from --data; then the only place looked at), `root`
 * (data.root), then $SNNTRAIN_DATA/<name>, then system_dir. Any of the first two may be NULL. SNN_EDATA names every
 * place looked at and how to get the set. */
int snn_dataset_open(const char *name, const char *data_dir, const char *root, struct snn_dataset **out);
void snn_dataset_close(struct snn_dataset **set);

#endif
