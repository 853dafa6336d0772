/* SPDX-License-Identifier: Apache-2.0
 * cell_rows.h - between the scan (neuron_cpu.c) and the loops of the cells over rows of neurons (neuron_rows.inc).
 *
 * To be included first: a loop over a row is vectorised when all of its cell's equations are inlined, however long they
 * are, and so are the functions that these call. */
#ifndef SNN_CELL_ROWS_H
#define SNN_CELL_ROWS_H

#include "core/real.h"

#undef SNN_HD
#define SNN_HD static inline __attribute__((always_inline))
#define INLINE SNN_HD

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/isa.h"
#include "layers/neuron.h"

/* Rows do not overlap, or are the same element by element. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Arrays of rows: (states) or (coefficients) pointers. `uniform`: coefficients are the same for all neurons. */
struct cell_step { /* a whole step, h from v and x, then v from h */
    const struct snn_neuron_spec *spec;
    bool uniform;
    real spacing;
    real *const *c;
    const real *x, *r; /* input, and the spikes of the step before that reset now */
    real *const *v, *const *h;
    uint8_t *flag; /* what comes out: spikes of 0 and 1 here, */
    real *y;       /* all else here */
};
struct cell_back { /* what the adjoint of a step reads, and the gradient of the input */
    const struct snn_neuron_spec *spec;
    bool uniform;
    real spacing;
    unsigned wanted; /* coefficients */
    real *const *c;
    const real *const *h, *const *v; /* states after the charge, and before the step */
    const real *x, *sg, *gy;         /* input, slope of what comes out, gradient of what came out */
    const real *r, *s;               /* late spikes, and spikes: `back` */
    real *gx;
};

/* Loops over n neurons. */
struct cell_rows {
    int states, coefs;
    bool reads_v;
    unsigned v_of;  /* coefficients whose gradients read the states before a step */
    unsigned fires; /* bits of enum snn_firing: `step`, `resume` and `back_at_once` are for these */
    int over_less;  /* `over` is the first state less this coefficient, or -1 */
    void (*start)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, real *const *v);
    void (*step)(const struct cell_step *a, ptrdiff_t n);
    void (*charge)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *x, const real *r,
                   real *const *v);
    void (*over)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *const *h, real *z);
    void (*settle)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *x, const real *s,
                   const real *r, const real *const *h, real *const *v);
    void (*back)(const struct cell_back *a, ptrdiff_t n, real *const *g, real *const *gc);
    void (*resume)(const struct cell_back *a, ptrdiff_t n, const real *x, const real *const *h, real *const *v);
    void (*back_at_once)(const struct cell_back *a, ptrdiff_t n, real *const *g, real *const *gc);
};

#define X(name) extern const struct cell_rows SNN_ISA(snn_rows_##name);
SNN_CELLS(X)
#undef X

#endif
