/* SPDX-License-Identifier: Apache-2.0
 * evaluate.h - one pass over a subset without learning. */
#ifndef SNN_EVALUATE_H
#define SNN_EVALUATE_H

#include <signal.h>
#include <stdio.h>

#include "train/experiment.h"
#include "train/metrics.h"
#include "train/progress.h"

struct snn_evaluate_options {
    int subset; /* enum snn_subset */
    bool costs;
    FILE *predictions;   /* CSV "sample,label,predicted" with its header; see evaluate.c for numbers. NULL: none */
    struct snn_bar *bar; /* or NULL */
    const volatile sig_atomic_t *stop;
};
/* Adds to metrics (initialised by the caller). SNN_EINTR when *stop was set. */
int snn_evaluate(struct snn_experiment *e, const struct snn_evaluate_options *options, struct snn_metrics *metrics);

#endif
