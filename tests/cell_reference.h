/* SPDX-License-Identifier: Apache-2.0
 * cell_reference.h - the equations of every cell, one neuron and one step at a time. */
#ifndef SNN_TEST_CELL_REFERENCE_H
#define SNN_TEST_CELL_REFERENCE_H

#include "layers/cells/all.h"
#include "layers/neuron.h"

struct cell_reference {
    void (*start)(const real *c, unsigned o, real *v);
    void (*charge)(const real *c, int reset, unsigned o, real x, real r, real *v);
    real (*over)(const real *c, unsigned o, const real *h);
    void (*settle)(const real *c, int reset, unsigned o, real x, real s, real r, real *v);
    void (*settle_adjoint)(const real *c, int reset, unsigned o, const real *h, real x, real s, real r, real *g,
                           real *gs, real *gr, real *gx, real *gc);
    void (*charge_adjoint)(const real *c, int reset, unsigned o, const real *h, const real *v, real x, real r, real gz,
                           real *g, real *gx, real *gc);
};
#define CELL_REFERENCE(name)                                                                                           \
    {name##_start, name##_charge, name##_over, name##_settle, name##_settle_adjoint, name##_charge_adjoint},
static const struct cell_reference cell_references[] = {SNN_CELLS(CELL_REFERENCE)};

#endif
