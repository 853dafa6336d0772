/* SPDX-License-Identifier: Apache-2.0
 * runlog.h - log.jsonl of a run folder: one record an epoch and split; and the curves drawn from it. */
#ifndef SNN_RUNLOG_H
#define SNN_RUNLOG_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "train/experiment.h"
#include "train/metrics.h"

struct snn_record {
    int64_t epoch, step; /* epoch from 1 */
    char split[16];
    double loss, accuracy; /* accuracy: NAN where there are no classes */
    int64_t samples;
    double seconds, data_wait_s, lr;
};

struct snn_runlog {
    FILE *file;
    char *path;
    struct snn_record *record;
    int count, room;
};

/* Open DIR/log.jsonl; keep its first `records` records (a resumed run) and read them. SNN_EDATA when there are fewer.
 */
int snn_runlog_open(struct snn_runlog *log, const char *dir, int64_t records);
void snn_runlog_close(struct snn_runlog *log);
/* Write, flush and sync one record; spike rates by layer come from the metrics. */
int snn_runlog_add(struct snn_runlog *log, const struct snn_record *record, const struct snn_experiment *e,
                   const struct snn_metrics *metrics);
/* The record of a split in an epoch, or NULL. */
const struct snn_record *snn_runlog_find(const struct snn_runlog *log, int64_t epoch, const char *split);
/* Draw DIR/curves.png. */
int snn_runlog_plot(const struct snn_runlog *log, const char *dir, const char *title);

/* A number; null for NAN, which JSON does not have. */
json_t *snn_json_number(double x);

double snn_peak_rss_mb(void);

#endif
