/* SPDX-License-Identifier: Apache-2.0
 * checkpoint.h - everything a run needs to go on bit for bit, in one safetensors file.
 *
 * Tensors: parameters and buffers under their nested names, optimiser slots as "optimizer.SLOT.NAME", "carried" of a
 * run that stopped within a recording. Metadata: format, version, the resolved config, and the position and running
 * sums as JSON (numbers with 17 digits). No times: equal runs write equal files. */
#ifndef SNN_CHECKPOINT_H
#define SNN_CHECKPOINT_H

#include "core/safetensors.h"
#include "train/experiment.h"
#include "train/metrics.h"

struct snn_progress {    /* where a run stands */
    int64_t epoch;       /* being trained, from 0 */
    int64_t batch;       /* pieces of its batches that are done (snn_loader_position) */
    int64_t step;        /* optimiser steps of the run */
    int64_t log_records; /* of log.jsonl that belong to this state: not bytes, which say how long things took */
    double lr;           /* of the last step */
    double annealed;     /* share of the run at which annealed numbers stand */
    double best;         /* of the best epoch so far: accuracy, or minus the loss where there are no classes */
    int64_t best_epoch;  /* 0: none */
    double stop_best;    /* early stop's metric, NAN: none */
    int64_t stop_wait;   /* epochs without improvement */
    bool within;         /* an optimiser step: states and gradients go on (carry.h) */
    int64_t stage;       /* of train.stages, from 0; it began with this epoch and this step: */
    int64_t stage_epoch, stage_step;
    struct snn_metrics epoch_sums; /* of the running epoch */
};

/* The stage of the run that a checkpoint is of. */
int snn_checkpoint_stage(const char *path, int64_t *stage);
int snn_checkpoint_save(const char *path, struct snn_experiment *e, const struct snn_progress *progress);
/* Everything back into an experiment of the same network. SNN_EDATA names the first thing that does not fit. */
int snn_checkpoint_load(const char *path, struct snn_experiment *e, struct snn_progress *progress);
/* Only the weights, from a checkpoint or any safetensors file. `map` (a config map "their name: our name", or NULL)
 * renames; without a map every parameter must be there. */
int snn_checkpoint_weights(const char *path, const struct snn_conf *map, struct snn_network *network);
/* The weights, and annealed numbers as they were when these were saved: what an evaluation needs. */
int snn_checkpoint_trained(const char *path, struct snn_experiment *e);
/* The resolved config inside a checkpoint (malloc'd, caller frees). */
int snn_checkpoint_config(const char *path, char **yaml);

#endif
