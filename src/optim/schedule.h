/* SPDX-License-Identifier: Apache-2.0
 * schedule.h - the learning rate over the run: a factor on every group's rate. Formulas as in PyTorch. */
#ifndef SNN_SCHEDULE_H
#define SNN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"

struct snn_schedule;

struct snn_rate {
    double factor; /* of the configured learning rate */
    double beta1;  /* momentum or beta1 to use, NAN: the configured one */
};

/* Read `train.schedule` ({name, per: epoch|step, ..., warmup}). `epochs` and `steps_per_epoch` give the lengths that
 * default to the whole run; `base_lr` turns absolute values (eta_min, max_lr) into factors. */
int snn_schedule_open(struct snn_conf *node, double base_lr, int64_t epochs, int64_t steps_per_epoch,
                      struct snn_schedule **out);
void snn_schedule_close(struct snn_schedule **schedule);
/* The rate to use in optimiser step `step` (over the whole run) of epoch `epoch`, both from 0. */
struct snn_rate snn_schedule_rate(const struct snn_schedule *schedule, int64_t epoch, int64_t step);
/* Does it follow a metric? */
bool snn_schedule_watches(const struct snn_schedule *schedule);
/* Report an epoch's metric (plateau watches it; others ignore it). */
void snn_schedule_epoch(struct snn_schedule *schedule, double loss, double accuracy);
enum { SNN_SCHEDULE_NUMBERS = 4 };
double *snn_schedule_numbers(struct snn_schedule *schedule); /* state for checkpoints */

extern const struct snn_schedule_listing {
    const char *name, *help;
    const struct snn_key *keys;
} snn_schedule_list[];

#endif
