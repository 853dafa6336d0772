/* SPDX-License-Identifier: Apache-2.0
 * step.h - one training step: what is known beforehand goes to the device, the rest is queued as one piece of work that
 * a device may capture once and repeat. Nothing here waits. */
#ifndef SNN_STEP_H
#define SNN_STEP_H

#include "optim/schedule.h"
#include "train/trainer.h"

struct snn_step {
    uint64_t seed;
    int64_t number;       /* of the optimiser step: key of the random streams */
    double samples;       /* of all batches that share the step */
    bool first, last;     /* of those batches: gradients start, weights change */
    struct snn_rate rate; /* read when `last` */
    double clip;          /* largest norm of the gradients; NAN: none */
};

/* `batch` must stay until the next step. SNN_EFAIL when the device has failed. */
int snn_step(struct snn_network *network, const struct snn_trainer *trainer, const struct snn_batch *batch,
             const struct snn_step *step);

#endif
