/* SPDX-License-Identifier: Apache-2.0
 * operations.h - how many operations a training step is, worked out from the network and what its learning rule does.
 *
 * Dense multiply-adds of every product that runs, zeros included; and what they come to where spikes are read: an
 * addition for each weight that a spike meets. The formula is in operations.c. Neurons, norms, losses and optimisers
 * are not counted: they are a few operations a unit, where products are thousands. */
#ifndef SNN_OPERATIONS_H
#define SNN_OPERATIONS_H

#include "train/trainer.h"

struct snn_rates {       /* shares of the numbers that are not 0 */
    double spikes;       /* of a spiking layer whose own share is not known */
    double events;       /* of inputs of events */
    const double *layer; /* (layers of the model) or NULL; NAN: not known */
};

struct snn_operations {                                /* of one batch as the network's memory is planned for it */
    double forward, input_gradients, weight_gradients; /* multiply-adds, dense */
    double signals;                                    /* both ways, of fixed matrices that bring errors to blocks */
    double traces;                                     /* multiply-adds of traces: one a unit and step */
    double synops_forward,
        synops_weights; /* additions where spikes or events are read: forward, for weight gradients */
    double dense;       /* multiply-adds of products that read numbers all over */
};

/* Multiply-adds a row of the matrix that brings a layer's spikes back to itself, which are not among node->macs; 0:
 * none. A spike meets its share of them even in the last step. */
double snn_macs_again(const struct snn_node *node);

/* The network's memory has been measured or taken (train/network.h). */
void snn_count_operations(const struct snn_network *network, const struct snn_trainer *trainer,
                          const struct snn_rates *rates, struct snn_operations *out);

#endif
