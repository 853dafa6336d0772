/* SPDX-License-Identifier: Apache-2.0
 * run.h - training from the first epoch to the last, in a run folder that survives being killed. */
#ifndef SNN_RUN_H
#define SNN_RUN_H

#include <signal.h>
#include <stdio.h>

#include "train/experiment.h"
#include "train/runlog.h"

struct snn_run_options {
    const char *dir;
    bool resume;
    bool quiet;                        /* no lines, no bar */
    FILE *lines;                       /* the line an epoch goes here */
    const volatile sig_atomic_t *stop; /* set by a signal: save and return SNN_EINTR */
};

struct snn_run_result {
    int64_t epochs, steps, parameters;
    double seconds;
    struct snn_record split[3]; /* by enum snn_subset, of the selected epoch; samples = 0: none */
    const char *selected_by;
};

/* Data must be open for training (and validation, test). Writes config.yaml, log.jsonl, last and best.safetensors,
 * curves.png, provenance.json. */
int snn_train(struct snn_experiment *e, const struct snn_run_options *options, struct snn_run_result *result);

/* Create DIR (or, to resume, accept it) and hold its lock until snn_run_unlock. SNN_EUSAGE when it exists or is in use.
 */
int snn_run_lock(const char *dir, bool resume, int *lock);
void snn_run_unlock(int *lock);

/* DIR/provenance.json: version, commit, machine, device, data. Differences to an earlier one are written as warnings,
 * one a line. */
int snn_provenance_write(const char *dir, const struct snn_experiment *e, bool compare, FILE *warnings);

#endif
