/* SPDX-License-Identifier: Apache-2.0
 * data.h - what the verbs of `snntrain data` share; each verb has a file of its own. */
#ifndef SNN_TOOLS_DATA_H
#define SNN_TOOLS_DATA_H

#include "cli.h"
#include "core/watch.h"
#include "train/progress.h"

struct data_source { /* what the first argument behind the verb names, opened */
    struct snn_data_config config;
    struct snn_conf_doc *doc;
    struct snn_dataset *set;
    bool from_config; /* it is a config, not the name of a set */
};
int data_open(const struct cli *cli, struct data_source *out);
void data_close(struct data_source *source);

struct data_part { /* samples of a set that belong together */
    const char *name;
    enum snn_split split;
    int32_t first, count;
};
enum { DATA_PARTS = 3 };
/* Training, validation where the set has its own, test: in enum snn_subset's order, empty ones have no samples. */
void data_parts(const struct snn_dataset *set, struct data_part part[DATA_PARTS]);
/* The part that --split names; all parts (NULL) without it. SNN_EUSAGE for a part that the set does not have. */
int data_wanted_part(const struct cli *cli, const struct snn_dataset *set, const struct data_part part[DATA_PARTS],
                     const struct data_part **wanted);

/* A bar that work moves, and that stops it after Ctrl-C. The bar outlives the watch. */
struct snn_watch data_watch(struct snn_bar *bar);

/* What reading samples had to say, which is data that were lost. */
void data_say_warnings(const struct cli *cli, struct snn_dataset *set);

/* A recording as a picture: frames or a raster, PNG or GIF by the name of `out`; --timesteps counts the frames. */
int data_draw_recording(const struct cli *cli, const struct snn_sample *sample, const struct snn_dataset_info *about,
                        const char *out, const char *title);

int data_info(struct cli *cli);
int data_verify(struct cli *cli);
int data_show(struct cli *cli);
int data_fetch(struct cli *cli);
int data_convert(struct cli *cli);
int data_cache(struct cli *cli);

/* The same of a recording in a file (data_file.c). */
int data_file_info(const struct cli *cli, const char *path);
int data_file_show(const struct cli *cli, const char *path);

#endif
