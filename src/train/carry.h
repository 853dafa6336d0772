/* SPDX-License-Identifier: Apache-2.0
 * carry.h - what a network hands from one batch to the next within an optimiser step: the states and traces of
 * recordings that come in pieces, and gradients gathered so far. With it a run that was stopped there goes on bit for
 * bit. */
#ifndef SNN_CARRY_H
#define SNN_CARRY_H

#include "train/network.h"

struct snn_carry {
    void *bytes; /* the caller's to free; NULL: there is none */
    size_t size;
};

/* Wait for it and copy it. */
int snn_carry_take(struct snn_network *network, struct snn_carry *out);
/* Put it back, into a network that is planned as that one was. SNN_EDATA when it is of another one. */
int snn_carry_put(struct snn_network *network, const struct snn_carry *carry);

#endif
