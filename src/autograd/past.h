/* SPDX-License-Identifier: Apache-2.0
 * past.h - steps of a layer's input from earlier cuts, for layers that look back.
 *
 * Where a batch is more than one cut, the last steps of a cut are kept for the next one, and a cut works on both
 * joined, as numbers. What was kept carries no gradient back over the cut, like a neuron's state. */
#ifndef SNN_PAST_H
#define SNN_PAST_H

#include "autograd/tape.h"

struct snn_past { /* what a node's aux begins with */
    const struct snn_tape *tape;
    int32_t steps;
    int kept, joined; /* the last `steps` of earlier cuts; those and the steps of this cut. -1: one cut a batch */
};

/* From an op's plan(): the node looks back by so many steps of its input 0. */
void snn_past_plan(struct snn_tape *tape, struct snn_node *node, int32_t steps);
/* Steps before those of this cut: 0 where a batch is one cut. */
int32_t snn_past_steps(const struct snn_node *node);
/* From an op's forward(), first of all: join what was kept and this cut, and keep the last steps of both. */
void snn_past_join(const struct snn_node *node, const struct snn_run *run);
/* The input: from snn_past_steps() before this cut on. */
struct snn_rows snn_past_rows(const struct snn_node *node);

#endif
