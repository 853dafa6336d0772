/* SPDX-License-Identifier: Apache-2.0
 * neuron.h - spiking layers: one fused scan over all steps, forward and backward.
 *
 * A scan takes the input current X (T,B,N) and leaves the membrane U before reset (what backward needs, in X's place
 * where nobody else reads X) and the spikes, as bits, or dense where a consumer wants numbers. A cut hands its last
 * state to the next. */
#ifndef SNN_NEURON_H
#define SNN_NEURON_H

#include <stdbool.h>
#include <stdint.h>

#include "autograd/tape.h"
#include "core/config.h"
#include "layers/neurons/affine.h"
#include "layers/surrogates.h"

/* ---- what a user chooses ---- */

struct snn_surrogate_options {
    int which; /* enum snn_surrogate */
    double p[SNN_SURROGATE_PARAMS];
};

struct snn_neuron_options {
    int model; /* index in snn_neuron_models */
    struct snn_time tau;
    double beta; /* NAN: tau is used */
    int decay;   /* 0 euler: 1 - 1/tau, 1 exp: exp(-1/tau) */
    bool decay_input;
    double threshold, v_reset;
    int fire;  /* 0 ge, 1 gt */
    int reset; /* enum snn_reset */
    bool detach_reset, reset_delay;
    struct snn_conf *surrogate_node;
    struct snn_surrogate_options surrogate;
    double step_seconds; /* of a bin: turns tau in seconds into steps; 0: unknown */
};

struct snn_neuron_model {
    const char *name, *alias, *help;
    const struct snn_key *keys; /* of struct snn_neuron_options */
    bool spikes;                /* else the membrane is the output */
    bool learns;                /* has a parameter: w with 1/tau = sigmoid(w) */
};
extern const struct snn_neuron_model snn_neuron_models[]; /* ended by a NULL name */

/* Read the layer's map. Checks what is independent of shapes: a time constant in seconds needs bins of known duration.
 */
int snn_neuron_read(struct snn_conf *node, int model, double step_seconds, struct snn_neuron_options *out);
int snn_surrogate_read(struct snn_conf *node, struct snn_surrogate_options *out);
const struct snn_key *snn_surrogate_keys(int which); /* of struct snn_surrogate_options */
extern const char *const snn_surrogate_names[], *const snn_surrogate_aliases[], *const snn_surrogate_helps[];

/* ---- what the kernels see ---- */

struct snn_neuron_spec {
    enum snn_reset reset;
    int strict, detached, delayed; /* flags */
    bool spikes;
    enum snn_surrogate surrogate;
};

enum { SNN_NEURON_COEFFICIENTS = 5 }; /* struct snn_affine as an array; the first three have gradients */

struct snn_scan {
    const struct snn_neuron_spec *spec;
    int32_t T, B;
    ptrdiff_t N;
    const struct snn_affine *coefficients;
    const real *surrogate;  /* (SNN_SURROGATE_PARAMS) its parameters */
    enum snn_smooth smooth; /* the gradient check's modes, which only the CPU has */

    const real *x;    /* (T,B,N), or (B,N) when x_step is 0 */
    ptrdiff_t x_step; /* numbers from step to step */
    real *u;          /* (T,B,N) membrane before reset; may be x; NULL: not kept */
    uint64_t *bits;   /* (T,B,words) or NULL */
    int32_t words;
    real *y;              /* (T,B,N) dense spikes, or the membrane of a neuron that does not spike; NULL: not wanted */
    const real *state_in; /* (B,N) V at the start of the cut; NULL: the initial state (v_reset, or 0) */
    real *state_out;      /* (B,N) or NULL */
    real *frozen;         /* (T,B,N) smooth modes: the spikes that detached resets use */

    /* backward */
    const real *gy;  /* (T,B,N) */
    real *gx;        /* like x, may be gy unless x_step is 0 */
    bool adds;       /* to gx */
    double *partial; /* (B * chunks, 3) sums for the gradient of the coefficients; NULL: not wanted */
};
enum { SNN_SCAN_CHUNK = 512 }; /* neurons of one work item: a multiple of 64 */
static inline ptrdiff_t snn_scan_items(int32_t B, ptrdiff_t N) {
    return B * ((N + SNN_SCAN_CHUNK - 1) / SNN_SCAN_CHUNK);
}

struct snn_plif { /* how PLIF's parameter becomes coefficients: k = sigmoid(w), lambda = 1-k, kappa = k or 1, drive =
                     v_reset k */
    bool decay_input;
    const real *v_reset; /* device memory: it may be annealed */
};

struct snn_neuron_kernels {
    void (*forward)(struct snn_device *device, const struct snn_scan *scan);
    void (*backward)(struct snn_device *device, const struct snn_scan *scan);
    /* nonzero (rows) = bits set in each row of words */
    void (*count)(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero);
    void (*plif_coefficients)(struct snn_device *device, const struct snn_plif *plif, const real *w,
                              struct snn_affine *out);
    /* gw += chain rule over the partial sums (items, 3) of a scan */
    void (*plif_grad)(struct snn_device *device, const struct snn_plif *plif, const real *w, const double *partial,
                      ptrdiff_t items, real *gw);
};

/* Record the layer: x -> spikes (or membrane). w: PLIF's parameter (1) or NULL. */
struct snn_tensor *snn_neuron(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                              const struct snn_neuron_options *options, struct snn_param *w);

#endif
