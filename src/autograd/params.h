/* SPDX-License-Identifier: Apache-2.0
 * params.h - the learned numbers: one slab of values, one of gradients.
 *
 * Layers declare parameters by name while the model is built; snn_params_bind then lays them out, so that clip, step,
 * save and all-reduce are one loop over a flat array. Buffers (running statistics) are kept the same way, without
 * gradient. */
#ifndef SNN_PARAMS_H
#define SNN_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/real.h"

struct snn_param {
    char *name; /* nested: "model.0.conv.weight" */
    int nd;
    int32_t dim[6];
    ptrdiff_t count;    /* elements */
    ptrdiff_t offset;   /* in the slab */
    bool buffer;        /* no gradient: running statistics */
    bool frozen;        /* keeps its value: no step, no decay */
    real *value, *grad; /* into the slabs after snn_params_bind: device memory */
    double bound, fill; /* initial value: uniform(fill - bound, fill + bound) or normal around fill */
    bool normal;        /* bound is a standard deviation */
    double ramp;        /* is added k times to the initial value at index k of the last axis */
    double ratio;       /* of neighbours of that axis, whose last one begins as drawn; 0: none */
    double (*fixed)(const struct snn_param *param, ptrdiff_t i); /* not NULL: number i of a buffer, by a formula */
    const struct snn_param *length_of; /* not NULL: initial value k is the length of row k of this earlier one */
    bool no_diagonal;                  /* (n,n) whose diagonal starts, and stays, at 0 */
    bool whole;                        /* starts rounded to the nearest whole number, of two the even one */
    bool bounded;                      /* stays within low..high: from the start, and after every step (projection) */
    double low, high;
};

/* Where a parameter's gradient is added to; NULL: there is none such, it is frozen, or no gradients are kept. */
static inline real *snn_param_gradient(const struct snn_param *p) { return p && !p->frozen ? p->grad : NULL; }

struct snn_params {
    struct snn_param **list; /* stable addresses */
    int count, room;
    real *value; /* (size): parameters, then buffers */
    real *grad;  /* (learned): of the parameters */
    ptrdiff_t learned, size;
};

/* Declare one; the returned pointer stays valid. `buffer`s carry no gradient. */
struct snn_param *snn_params_add(struct snn_params *params, const char *name, bool buffer, int nd, const int32_t *dim);
struct snn_param *snn_params_find(const struct snn_params *params, const char *name);
/* Lay out (each parameter 64-byte aligned, gaps zero) and take memory from the arena (gradients only if asked for);
 * works in the measuring pass too. */
void snn_params_bind(struct snn_params *params, struct snn_arena *arena, bool gradients);
/* Draw initial values into host memory laid out like the slab: parameter k of the list from the stream (seed,
 * SNN_RNG_INIT, k). */
void snn_params_init(const struct snn_params *params, uint64_t seed, real *values);
void snn_params_free(struct snn_params *params);

#endif
