/* SPDX-License-Identifier: Apache-2.0
 * diagnose.h - where a number that is not finite came from. */
#ifndef SNN_DIAGNOSE_H
#define SNN_DIAGNOSE_H

#include "train/carry.h"

/* After a batch whose loss or gradient is not finite: SNN_EFAIL with a sentence that names the first parameter, layer
 * and time step, or gradient that is not; SNN_OK when all are. `step` is the optimiser step for the sentence, `before`
 * what was carried to a piece; NULL: the batch is no piece. */
int snn_diagnose(struct snn_network *network, const struct snn_batch *batch, int64_t step,
                 const struct snn_carry *before);

#endif
