/* SPDX-License-Identifier: Apache-2.0
 * neuron.h - spiking layers: one fused scan over all steps, forward and backward, for any cell.
 *
 * A scan takes the input current X (T,B,N) and leaves the states after the charge, H, which are all that backward
 * needs (its membrane in X's place where nobody else reads X), and the spikes, as bits, or dense where a consumer wants
 * numbers. A cut hands its last states to the next. The equations of a cell are a file in cells/; what a user names is
 * a model, a line in neuron_models.c: a cell with some of its options and coefficients fixed. */
#ifndef SNN_NEURON_H
#define SNN_NEURON_H

#include <stdbool.h>
#include <stdint.h>

#include "autograd/tape.h"
#include "core/config.h"
#include "core/rmath.h"
#include "core/rng.h"
#include "layers/cells/cell.h"
#include "layers/surrogates.h"

enum { SNN_CELL_STATES = 4, SNN_CELL_COEFS = 12, SNN_CELL_FLAGS = 8 }; /* at most */

/* The cells, in the order of their kernels: X(name) */
#define SNN_CELLS(X)                                                                                                   \
    X(lif)                                                                                                             \
    X(synaptic)                                                                                                        \
    X(alif)                                                                                                            \
    X(adlif)                                                                                                           \
    X(seadlif) X(alpha) X(klif) X(nonlinear) X(spytorch) X(filter) X(ada_lif) X(glif) X(clif) X(rf) X(sigma_delta)

enum snn_cell {
#define X(name) SNN_CELL_##name,
    SNN_CELLS(X)
#undef X
        SNN_CELL_COUNT
};

/* When a spike resets: in its own step; one step later (snnTorch); in its own step, and again in the next where the
 * membrane is still over the threshold (snnTorch with reset_delay false). The later ones carry no gradient. */
enum snn_delay { SNN_DELAY_NOT, SNN_DELAY_NEXT, SNN_DELAY_TWICE };

/* How a learned number becomes a coefficient. */
enum snn_coef_form {
    SNN_COEF_CLAMPED,  /* itself, within [low, high] */
    SNN_COEF_LOGISTIC, /* s(w) */
    SNN_COEF_REST,     /* 1 - s(w): what is kept when s(w) = 1/tau leaks (PLIF) */
    SNN_COEF_EXP,      /* exp(-1/tau), tau at least `low` */
    SNN_COEF_EULER     /* 1 - 1/tau, likewise */
};

struct snn_coef_learned { /* of one coefficient */
    enum snn_coef_form form;
    ptrdiff_t count; /* numbers: neuron i has number i / inner */
    ptrdiff_t inner;
    double low, high;
};

/* ---- what a user chooses ---- */

struct snn_surrogate_options {
    int which;                         /* enum snn_surrogate */
    double p[SNN_SURROGATE_PARAMS];    /* NAN: the neuron's threshold */
    long long n[SNN_SURROGATE_PARAMS]; /* in the place of p, where the key is an integer */
};

enum snn_heard { SNN_HEARS_NOBODY, SNN_HEARS_ALL, SNN_HEARS_ITSELF };
struct snn_recurrence { /* s of the step before comes back through a weight: (N,N), or (N) of a neuron to itself */
    int which;          /* enum snn_heard */
    int kind;           /* of its key: 0 all, 1 one */
    bool bias, diagonal;
    struct snn_conf *init;
};

struct snn_neuron_options {
    int model;                           /* index in snn_neuron_models */
    double number[SNN_CELL_COEFS];       /* coefficients; NAN: from tau */
    struct snn_time tau[SNN_CELL_COEFS]; /* time constants of those that decay */
    double part[4];                      /* other numbers that coefficients are made of, see `derive` */
    bool flag[SNN_CELL_FLAGS];           /* the cell's option bits */
    int decay;                           /* 0 euler: 1 - 1/tau, 1 exp: exp(-1/tau) */
    struct snn_conf *learn;              /* names of coefficients */
    unsigned learned;                    /* the same as bits */
    int learn_as, per;                   /* enum of neuron_read.c; 0: one for the layer, 1: a channel, 2: a neuron */
    int fire;                            /* 0 ge, 1 gt */
    int reset, delay;                    /* enum snn_reset, snn_delay */
    bool detach_reset, detach_state;
    int spikes;       /* enum snn_firing */
    long long levels; /* of SNN_FIRES_LEVELS */
    double spacing;   /* NAN: the threshold */
    double noise;     /* width of the threshold's noise; none where it is not above 0 */
    uint32_t draws;   /* which layer with noise it is: its stream of random numbers */
    struct snn_conf *surrogate_node, *recurrent_node;
    struct snn_surrogate_options surrogate;
    struct snn_recurrence recurrent;
    long long steps;     /* that a coefficient has numbers of its own for */
    double step_seconds; /* of a bin: turns tau in seconds into steps; 0: unknown */
};

struct snn_neuron_model {
    const char *name, *alias, *help;
    const struct snn_key *keys; /* of struct snn_neuron_options; a coefficient is named by the key that fills it */
    enum snn_cell cell;
    bool spikes;                                                 /* else the membrane is the output */
    double fixed[SNN_CELL_COEFS];                                /* what no key fills */
    enum snn_delay delay;                                        /* of models that have no key for it */
    double (*derive)(const struct snn_neuron_options *o, int j); /* coefficient j; NAN: as its key says. Or NULL */
    unsigned learned;       /* coefficients that are learned in any case, as bits: PLIF */
    unsigned gates;         /* of these, those whose learned number starts within 0.1 of it, at random: GLIF */
    unsigned flags;         /* options that are always on */
    enum snn_reset reset;   /* of models that have no key for it */
    enum snn_firing firing; /* likewise */
};
extern const struct snn_neuron_model snn_neuron_models[]; /* ended by a NULL name */

struct snn_cell_shape { /* of a cell, for the op */
    int states, coefs;
    int theta, to, rest, floor; /* coefficients: threshold, target of resets, of the leak, least membrane; -1: none */
    unsigned keeps;
    int stepped;           /* the coefficient that differs from step to step, the last one; -1: none */
    bool reads_v, reads_x; /* see cells/cell.h */
    unsigned x_of;
    unsigned (*idle)(unsigned options);
};
extern const struct snn_cell_shape snn_cell_shapes[SNN_CELL_COUNT];

/* Read the layer's map. Checks what is independent of shapes: a time constant in seconds needs bins of known duration.
 */
int snn_neuron_read(struct snn_conf *node, int model, double step_seconds, struct snn_neuron_options *out);

struct snn_surrogate_alias { /* what a framework or a paper calls one of ours, with its numbers where they differ */
    const char *name;
    int which;
    struct {
        const char *key, *value;
    } set[3];
};
extern const struct snn_surrogate_alias snn_surrogate_aliases[]; /* ended by a NULL name */
extern const char *const snn_surrogate_names[], *const snn_surrogate_helps[];
const struct snn_key *snn_surrogate_keys(int which); /* of struct snn_surrogate_options */
/* Coefficient j as the options (which may have been annealed) have it. */
double snn_neuron_number(const struct snn_neuron_options *o, int j);
/* How coefficient j is learned, and the number to start from. */
double snn_neuron_learned(const struct snn_neuron_options *o, int j, struct snn_coef_learned *how);
/* The name of coefficient j's parameter. */
const char *snn_neuron_param_name(const struct snn_neuron_options *o, int j, char buffer[64]);

/* Of a neuron with this threshold. */
int snn_surrogate_read(struct snn_conf *node, double threshold, struct snn_surrogate_options *out);
/* Its parameters as the kernels take them, p (SNN_SURROGATE_PARAMS). */
void snn_surrogate_numbers(const struct snn_surrogate_options *o, double threshold, real *p);

/* ---- what the kernels see ---- */

struct snn_neuron_spec {
    enum snn_cell cell;
    enum snn_reset reset;
    enum snn_delay delay;
    enum snn_firing firing;
    int strict, detached; /* fires over the threshold, not at it; no gradient through the spikes that reset */
    int apart;            /* no gradient from a step to the one before */
    int levels;
    enum snn_surrogate surrogate;
    unsigned options; /* the cell's bits */
};

struct snn_coef { /* coefficient of neuron i at step t: at[t step + i / inner] */
    const real *at;
    ptrdiff_t inner, step; /* step: 0 but of the one that differs from step to step */
};

struct snn_scan {
    const struct snn_neuron_spec *spec;
    int32_t T, B;
    int32_t from, to; /* steps of this call; of all of them: 0, T */
    ptrdiff_t N;
    struct snn_coef coef[SNN_CELL_COEFS];
    const real *noise;      /* (T,B,N) is added to what is over the threshold when spikes are decided, or NULL */
    const real *surrogate;  /* (SNN_SURROGATE_PARAMS) its parameters */
    const real *spacing;    /* (1) of levels */
    enum snn_smooth smooth; /* the gradient check's modes, which only the CPU has */

    const real *x;            /* (T,B,N), or (B,N) when x_step is 0; backward: NULL where it is not needed */
    ptrdiff_t x_step;         /* numbers from step to step */
    real *h[SNN_CELL_STATES]; /* (T,B,N) each: states after the charge; h[0] may be x; NULL: not kept */
    uint64_t *bits;           /* (T,B,words) or NULL */
    int32_t words;            /* of a row */
    real *y;                  /* (T,B,N) what comes out, as numbers, or NULL */
    real *late; /* (T,B,N) SNN_DELAY_TWICE: the spikes that reset at the start of each step, kept for backward */
    /* (states,B,N): forward, the states before step `from`; backward, before step 0. NULL: the cell's initial ones */
    const real *state_in;
    real *state_out; /* forward: those after the last step, or NULL */
    real *frozen;    /* (T,B,N) smooth modes: the spikes that detached resets use */

    /* backward */
    const real *gy;        /* (T,B,N) */
    real *gx;              /* like x, may be gy unless x_step is 0 */
    bool adds;             /* to gx */
    const real *gstate_in; /* (states,B,N) gradient of the states at the end; NULL: 0 */
    real *gstate_out;      /* of those at the start, or NULL */
    real *gcoef;           /* (coefficients,B,N) is added to; NULL: not wanted */
    unsigned wanted;       /* with it: the coefficients that are, as bits */
    real *gstep;           /* (T,B,N) with it: the gradient of the coefficient that differs from step to step */
};
enum { SNN_SCAN_CHUNK = 512 }; /* neurons of one work item: a multiple of 64 */

/* A coefficient from a learned number, and its derivative. In double: one number decides about many neurons. */
SNN_HD double snn_coefficient(const struct snn_coef_learned *how, double w) {
    const double e = exp(w < 0 ? w : -w), near = 1 / (1 + e), far = e / (1 + e), tau = w > how->low ? w : how->low;
    switch (how->form) {
    case SNN_COEF_LOGISTIC:
        return w < 0 ? far : near;
    case SNN_COEF_REST:
        return w < 0 ? near : far;
    case SNN_COEF_EXP:
        return exp(-1 / tau);
    case SNN_COEF_EULER:
        return 1 - 1 / tau;
    default:
        return w < how->low ? how->low : w > how->high ? how->high : w;
    }
}

SNN_HD double snn_coefficient_slope(const struct snn_coef_learned *how, double w) {
    const double e = exp(w < 0 ? w : -w), logistic = e / ((1 + e) * (1 + e));
    switch (how->form) {
    case SNN_COEF_LOGISTIC:
        return logistic;
    case SNN_COEF_REST:
        return -logistic;
    case SNN_COEF_EXP:
        return w < how->low ? 0 : exp(-1 / w) / (w * w);
    case SNN_COEF_EULER:
        return w < how->low ? 0 : 1 / (w * w);
    default:
        return w >= how->low && w <= how->high ? 1 : 0;
    }
}

/* Noise of a threshold: logistic numbers, so that a neuron fires with probability s(z / width). */
struct snn_noise {
    int32_t T, B, t0;
    ptrdiff_t N;
    uint32_t purpose;      /* of the random numbers, with the layer's own number in it */
    const uint32_t *clock; /* see struct snn_run */
    const int32_t *sample; /* (B) */
    const real *width;     /* (1) */
};
SNN_HD real snn_logistic_noise(uint32_t word, real width) {
    const real u = ((real)(word >> 9) + (real)0.5) * (real)(1.0 / 8388608.0); /* exact, as is 1 - u; neither is 0 */
    return width * (r_log(u) - r_log(1 - u));
}

struct snn_neuron_kernels {
    void (*forward)(struct snn_device *device, const struct snn_scan *scan);
    void (*backward)(struct snn_device *device, const struct snn_scan *scan);
    /* out (T,B,N): the same for a step and sample, whatever the cuts and slices */
    void (*draw)(struct snn_device *device, const struct snn_noise *noise, real *out);
    /* nonzero (rows) = bits set in each row of words */
    void (*count)(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero);
    /* out (count) = coefficients from the learned numbers w (count) */
    void (*coefficients)(struct snn_device *device, const struct snn_coef_learned *how, const real *w, real *out);
    /* gw (count) += chain rule over gcoef (B,N), summed over samples and neurons in double */
    void (*coefficients_grad)(struct snn_device *device, const struct snn_coef_learned *how, int32_t B, ptrdiff_t N,
                              const real *w, const real *gcoef, real *gw);
    /* w (n,n): w[i][i] = 0 */
    void (*zero_diagonal)(struct snn_device *device, ptrdiff_t n, real *w);
    /* Neurons that hear themselves alone through w (n): out (B,n) = x + w s, s what they gave the step before */
    void (*itself)(struct snn_device *device, int32_t B, ptrdiff_t n, const struct snn_rows *s, const real *w,
                   const real *x, real *out);
    /* gs (B,n) += w g */
    void (*itself_grad_input)(struct snn_device *device, int32_t B, ptrdiff_t n, const real *w, const real *g,
                              real *gs);
    /* gw (n) += sum over rows of g s */
    void (*itself_grad_weight)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const struct snn_rows *s,
                               const real *g, real *gw);
};

/* Parameters of the layer; NULL where there are none. */
struct snn_neuron_params {
    struct snn_param *learned[SNN_CELL_COEFS], *recurrent, *recurrent_bias;
};
/* Of a node that snn_neuron made, planned for training: numbers of each neuron and step that are kept for backward, and
 * whether that reads the input again. */
int snn_neuron_kept(const struct snn_node *node, bool *reads_input);
/* What the membrane of a node keeps from step to step. False: it is no neuron of the LIF family, or that is learned. */
bool snn_neuron_leak(const struct snn_node *node, double *leak);
/* Record the layer: x -> spikes (or membrane). */
struct snn_tensor *snn_neuron(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                              const struct snn_neuron_options *options, const struct snn_neuron_params *params);
/* Let cut `cut` > 0 of B samples begin as if the cut before had left these: states (states,B,N), and spikes (B,N) as
 * numbers; NULL: as they are. Of a tape in host memory that is planned for many cuts: for tests. */
void snn_neuron_resume(const struct snn_node *node, int32_t cut, int32_t B, const real *state, const real *spikes);

#endif
