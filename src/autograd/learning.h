/* SPDX-License-Identifier: Apache-2.0
 * learning.h - what a learning rule asks of a tape, beyond cutting the steps.
 *
 * Everything a rule does differently from backpropagation is one of five things, each of which a node does for itself:
 *
 *   shut    no gradient passes from a node to an input: where blocks learn from errors of their own
 *   trace   the weight's gradient reads a trace of the input in its place:  q[t] = decay q[t-1] + gain x[t]
 *   post    a spiking layer follows its own readiness:                      h[t+1] = decay h[t] + gain psi[t]
 *   late    and sends a second gradient down to its weights, m h: tensors between them have room for both. In the late
 *           pass a weight's gradient reads the input itself, and no other parameter learns
 *   block   nodes are run block by block, each forward and, under local errors, backward at once
 *
 * psi is the derivative of a neuron's spike by its input current within one step. */
#ifndef SNN_LEARNING_H
#define SNN_LEARNING_H

#include <stdbool.h>

struct snn_trace { /* of what a node's weight reads, or of a spiking layer's psi */
    bool on;
    double decay, gain;
};

enum snn_signal {
    SNN_SIGNAL_BACK,     /* errors come down through the layers */
    SNN_SIGNAL_FEEDBACK, /* every block gets the error of the outputs, through a fixed random matrix */
    SNN_SIGNAL_LOCAL     /* every block has a fixed readout, and a loss, of its own */
};

#endif
