/* SPDX-License-Identifier: Apache-2.0
 * trainer.h - learning rules. A rule decides how the time axis is cut and what crosses a cut; everything else is
 * shared.
 *
 * To add one: a file with a struct snn_trainer_ops and a line in trainer.c. */
#ifndef SNN_TRAINER_H
#define SNN_TRAINER_H

#include "train/network.h"

struct snn_trainer_ops {
    const char *name, *help;
    const struct snn_key *keys;
    /* Steps of one cut when a batch has T: the plan's size. */
    int32_t (*cut)(int32_t T);
    /* Queue a pass over the staged batch: its gradients are added to the slab, its figures to the tally. */
    void (*batch)(struct snn_network *network);
};
extern const struct snn_trainer_ops snn_trainer_bptt;
extern const struct snn_trainer_ops *const snn_trainers[]; /* ended by NULL */

/* Read `train.rule`: NAME or {name, keys}. */
int snn_trainer_read(struct snn_conf *node, const struct snn_trainer_ops **out);

#endif
