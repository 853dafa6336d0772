/* SPDX-License-Identifier: Apache-2.0
 * all.h - every cell of SNN_CELLS (layers/neuron.h). */
#ifndef SNN_CELLS_ALL_H
#define SNN_CELLS_ALL_H

#include "layers/cells/ada_lif.h"
#include "layers/cells/adlif.h"
#include "layers/cells/alif.h"
#include "layers/cells/alpha.h"
#include "layers/cells/clif.h"
#include "layers/cells/filter.h"
#include "layers/cells/glif.h"
#include "layers/cells/klif.h"
#include "layers/cells/lif.h"
#include "layers/cells/nonlinear.h"
#include "layers/cells/rf.h"
#include "layers/cells/seadlif.h"
#include "layers/cells/sigma_delta.h"
#include "layers/cells/spytorch.h"
#include "layers/cells/synaptic.h"

#endif
