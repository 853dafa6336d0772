/* SPDX-License-Identifier: Apache-2.0
 * stages.h - a run in several parts, each with keys of its own: `train.stages`.
 *
 * A stage is trained as a config of its own: that of the stage before it with the keys of `set` changed, a fresh
 * optimiser and a fresh schedule. Its weights are those of the best or the last epoch of the stage before it, so that
 * all stages must have the same parameters. Checkpoints hold the config of their stage. */
#ifndef SNN_STAGES_H
#define SNN_STAGES_H

#include "core/config.h"

enum { SNN_STAGES = 16 };

struct snn_stage {
    long long epochs;
    int from;             /* 0: the last epoch of the stage before, 1: the best one */
    struct snn_conf *set; /* {path of a key: its value} */
};
extern const struct snn_key snn_stage_keys[];

/* Read `stages` of the section `train`, whose `epochs` becomes their sum. *count 0: there are none. */
int snn_stages_read(struct snn_conf *train, struct snn_stage *list, int *count);
/* The config of stage k, from that of all stages, which has been read: its own epochs, no stages. */
int snn_stage_config(struct snn_conf_doc *all, const struct snn_stage *list, int k, struct snn_conf_doc **out);
/* What the snn error says of the config of stage k, as an error of its `set` in the config of all stages. */
int snn_stage_error(const struct snn_stage *stage);

#endif
