/* SPDX-License-Identifier: Apache-2.0
 * penalty.h - the terms of a loss that look into a network (autograd/regular.h), applied to one.
 *
 * They are part of what training minimises and of the loss it reports; an evaluation's loss is of the outputs alone. */
#ifndef SNN_PENALTY_H
#define SNN_PENALTY_H

#include "train/network.h"

/* After the model was built: does every term find layers or parameters? SNN_EUSAGE at the term. */
int snn_penalty_settle(struct snn_network *network);
void snn_penalty_bind(struct snn_network *network, struct snn_arena *arena);
/* Add the penalties of a cut to sample_loss, and leave the slopes of activity for the way back. Those of weights are
 * added once a batch, to the first sample, by the number of its samples: the mean over them is what counts. */
void snn_penalty_loss(struct snn_network *network, const struct snn_cut *cut, const struct snn_batch *staged);
/* Add the gradients of the weights' terms to the slab, once a batch. */
void snn_penalty_gradient(struct snn_network *network, const struct snn_cut *cut);

#endif
