/* SPDX-License-Identifier: Apache-2.0
 * all.h - every cell of SNN_CELLS (layers/neuron.h). */
#ifndef SNN_CELLS_ALL_H
#define SNN_CELLS_ALL_H

#include "layers/cells/lif.h"
#include "layers/cells/synaptic.h"

#endif
