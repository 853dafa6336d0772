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

/* What the adjoint of a step reads, and the gradient of the input. */
struct cell_back {
    real *const *c;                  /* coefficients */
    const real *const *h, *const *v; /* states after the charge, and before the step */
    const real *x, *r, *s, *z, *sg, *gy;
    real *gx;
};

/* Loops over n neurons. Arrays of rows: (states) or (coefficients) pointers. */
struct cell_rows {
    int states, coefs;
    bool reads_v;
    void (*start)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, real *const *v);
    void (*step)(const struct snn_neuron_spec *spec, bool uniform, ptrdiff_t n, real *const *c, const real *x,
                 const real *r, real *const *v, real *const *h, uint8_t *flag);
    void (*charge)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *x, const real *r,
                   real *const *v);
    void (*over)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *const *h, real *z);
    void (*settle)(const struct snn_neuron_spec *spec, ptrdiff_t n, real *const *c, const real *x, const real *s,
                   const real *r, const real *const *h, real *const *v);
    void (*back)(const struct snn_neuron_spec *spec, bool uniform, ptrdiff_t n, const struct cell_back *a,
                 real *const *g, real *const *gc);
};

#define X(name) extern const struct cell_rows SNN_ISA(snn_rows_##name);
SNN_CELLS(X)
#undef X

#endif
