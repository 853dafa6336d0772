/* SPDX-License-Identifier: Apache-2.0
 * ultra.h - UltraLIF and UltraDLIF as layers: a fused scan over all steps, forward and backward.
 *
 * What they hand on in training is a number between 0 and 1 for each neuron, and backward differentiates the very same
 * function: there is no surrogate. UltraDLIF couples neighbours, those of the last axis in a ring, so that time is the
 * outer loop and a work item is a number of whole rings. The algebra is in neurons/ultra.h. */
#ifndef SNN_ULTRA_H
#define SNN_ULTRA_H

#include <stdbool.h>
#include <stdint.h>

#include "autograd/tape.h"
#include "core/config.h"
#include "layers/neurons/ultra.h"

/* ---- what a user chooses ---- */

enum snn_ultra_leak { SNN_ULTRA_SIGMOID, SNN_ULTRA_LOG }; /* how a learned tau is kept: tau = sigmoid(w) or exp(w) */
enum snn_ultra_learns { SNN_ULTRA_EXP, SNN_ULTRA_SOFTPLUS, SNN_ULTRA_FIXED };

struct snn_ultra_options {
    int model; /* index in snn_ultra_models */
    int form;  /* 0 paper, 1 code */
    int membrane;
    double tau;
    int leak, leak_offset;
    double epsilon, epsilon_min, epsilon_max;
    int learn_epsilon;
    double threshold, v_reset;
    int reset;
    double slope; /* NAN: 1/epsilon */
    bool learn_slope, learn_threshold, learn_reset;
};

struct snn_ultra_model {
    const char *name, *help;
    const struct snn_key *keys; /* of struct snn_ultra_options */
    bool couples;               /* neighbours */
    bool learns;                /* tau */
};
extern const struct snn_ultra_model snn_ultra_models[]; /* ended by a NULL name */

int snn_ultra_read(struct snn_conf *node, int model, struct snn_ultra_options *out);
/* Those of its numbers that are no start of something learned: they may be annealed. Ended by a NULL name; has room for
 * all keys. */
enum { SNN_ULTRA_KEYS = 20 };
void snn_ultra_movable(const struct snn_ultra_options *options, struct snn_key out[SNN_ULTRA_KEYS]);
enum snn_ultra_charge snn_ultra_charge_of(const struct snn_ultra_options *options);

/* ---- what the kernels see ---- */

struct snn_ultra_spec {
    enum snn_ultra_charge charge;
    enum snn_ultra_reset reset;
    bool hard;
    int32_t ring; /* units that are neighbours in a ring; 1 where none are coupled */
};

struct snn_ultra_scan {
    const struct snn_ultra_spec *spec;
    int32_t T, B;
    ptrdiff_t N;
    const struct snn_ultra *numbers;

    const real *x;        /* (T,B,N), or (B,N) when x_step is 0 */
    ptrdiff_t x_step;     /* numbers from step to step */
    real *u;              /* U, (T,B,N), or one step (B,N) as scratch when u_step is 0 */
    ptrdiff_t u_step;     /* as x_step */
    const real *state_in; /* (B,N) V at the start of the cut; NULL: 0 */
    real *v;              /* (B,N) V as it goes; at the end, that after the last step */
    real *y;              /* (T,B,N) S, or NULL when only bits are wanted */
    uint64_t *bits;       /* (T,B,words) of hard spikes, or NULL */
    int32_t words;

    /* backward; x is read where the charge is MAXIMUM */
    const real *gy;  /* (T,B,N) */
    real *gx;        /* like x, may be gy unless x_step is 0; NULL: not wanted */
    bool adds;       /* to gx */
    double *partial; /* (items, SNN_ULTRA_SUMS) sums for the gradients of the numbers; NULL: not wanted */
    bool leak;       /* that of the leak too, which is 0 otherwise */
    real *scratch;
};

/* Units of a work item: whole rings. Hard spikes fill words of a sample's row, which is one item then. */
enum { SNN_ULTRA_CHUNK = 512 };
static inline ptrdiff_t snn_ultra_item(const struct snn_ultra_spec *spec, ptrdiff_t N) {
    if (spec->hard) return N < 1 ? 1 : N;
    return spec->ring >= SNN_ULTRA_CHUNK ? spec->ring : SNN_ULTRA_CHUNK / spec->ring * spec->ring;
}
static inline ptrdiff_t snn_ultra_items(const struct snn_ultra_spec *spec, int32_t B, ptrdiff_t N) {
    ptrdiff_t item = snn_ultra_item(spec, N);
    return B * ((N + item - 1) / item);
}

/* A learned slope stays between these, as in the released code. */
#define SNN_ULTRA_FLATTEST 0.1
#define SNN_ULTRA_STEEPEST 50.0

/* How parameters become numbers. A NULL parameter is not learned: the start is the value. All in device memory. */
struct snn_ultra_start {
    real tau, eps, eps_min, eps_max, theta, v_reset;
    real slope; /* 0: 1/eps */
};
enum snn_ultra_param {                /* which */
                       SNN_ULTRA_TAU, /* w: tau = sigmoid(w), or log tau itself */
                       SNN_ULTRA_RHO, /* eps = clamp(exp(rho), eps_min, eps_max), or eps_min + softplus(rho) */
                       SNN_ULTRA_THETA,
                       SNN_ULTRA_V_RESET,
                       SNN_ULTRA_LOG_SLOPE, /* slope = clamp(exp(it), SNN_ULTRA_FLATTEST, SNN_ULTRA_STEEPEST) */
                       SNN_ULTRA_PARAMS
};
struct snn_ultra_learned {
    const struct snn_ultra_start *start;
    const real *value[SNN_ULTRA_PARAMS];
    real *grad[SNN_ULTRA_PARAMS]; /* is added to; NULL: frozen */
    bool log_leak, eps_offset, softplus;
    bool offset; /* the charge is MAXIMUM: the leak is added, not multiplied */
};

struct snn_ultra_kernels {
    /* Reals of scratch that a backward pass takes */
    ptrdiff_t (*scratch)(int threads, const struct snn_ultra_spec *spec, int32_t B, ptrdiff_t N);
    void (*forward)(struct snn_device *device, const struct snn_ultra_scan *scan);
    void (*backward)(struct snn_device *device, const struct snn_ultra_scan *scan);
    void (*numbers)(struct snn_device *device, const struct snn_ultra_learned *learned, struct snn_ultra *out);
    /* gradients += the chain rule over the partial sums (items, SNN_ULTRA_SUMS) of a scan */
    void (*grad)(struct snn_device *device, const struct snn_ultra_learned *learned, const struct snn_ultra *numbers,
                 const double *partial, ptrdiff_t items);
};

/* In double, for numbers that decide about every neuron. */
SNN_HD double ultra_exp_of(const real *value) { return exp((double)*value); }
SNN_HD struct snn_ultra ultra_numbers(const struct snn_ultra_learned *l) {
    const struct snn_ultra_start *start = l->start;
    const real *const *p = l->value;
    struct snn_ultra k;
    double tau = (double)start->tau, eps = (double)start->eps, slope = (double)start->slope;
    double log_tau = log(tau > 1e-30 ? tau : 1e-30); /* annealing may bring it to 0 */
    if (p[SNN_ULTRA_TAU]) {
        double w = (double)*p[SNN_ULTRA_TAU];
        log_tau = l->log_leak ? w : -log1p(exp(-w));
        tau = exp(log_tau);
    }
    if (p[SNN_ULTRA_RHO]) {
        double rho = (double)*p[SNN_ULTRA_RHO], least = (double)start->eps_min, most = (double)start->eps_max;
        eps = l->softplus ? least + (rho > 0 ? rho : 0) + log1p(exp(rho > 0 ? -rho : rho)) : exp(rho);
        if (!l->softplus) eps = eps < least ? least : eps > most ? most : eps;
    }
    if (p[SNN_ULTRA_LOG_SLOPE]) {
        slope = ultra_exp_of(p[SNN_ULTRA_LOG_SLOPE]);
        slope = slope < SNN_ULTRA_FLATTEST   ? SNN_ULTRA_FLATTEST
                : slope > SNN_ULTRA_STEEPEST ? SNN_ULTRA_STEEPEST
                                             : slope;
    }
    k.tau = (real)tau, k.offset = (real)(l->eps_offset ? eps * log_tau : log_tau);
    k.eps = (real)eps, k.rate = (real)(1 / eps);
    k.theta = p[SNN_ULTRA_THETA] ? *p[SNN_ULTRA_THETA] : start->theta;
    k.v_reset = p[SNN_ULTRA_V_RESET] ? *p[SNN_ULTRA_V_RESET] : start->v_reset;
    k.slope = slope > 0 ? (real)slope : k.rate;
    return k;
}

/* The chain rule from the sums to the parameters. A clamp holds back what lies outside it, but not what rounding has
 * put a hair beyond its end. */
SNN_HD int ultra_within(double x, double least, double most) {
    return x >= least * (1 - 1e-6) && x <= most * (1 + 1e-6);
}
SNN_HD void ultra_chain(const struct snn_ultra_learned *l, const struct snn_ultra *k, const double *sum) {
    const struct snn_ultra_start *start = l->start;
    double eps = (double)k->eps, tau = (double)k->tau, g_eps = sum[SNN_ULTRA_SUM_EPS],
           g_log_tau = l->offset ? sum[SNN_ULTRA_SUM_LEAK] : tau * sum[SNN_ULTRA_SUM_LEAK];
    if (l->offset && l->eps_offset) {
        g_eps += (double)k->offset / eps * sum[SNN_ULTRA_SUM_LEAK];
        g_log_tau *= eps;
    }
    if (!(start->slope > 0)) g_eps -= sum[SNN_ULTRA_SUM_SLOPE] / (eps * eps); /* slope = 1/eps */
    if (l->grad[SNN_ULTRA_TAU]) *l->grad[SNN_ULTRA_TAU] += (real)(l->log_leak ? g_log_tau : g_log_tau * (1 - tau));
    if (l->grad[SNN_ULTRA_RHO]) {
        double e = ultra_exp_of(l->value[SNN_ULTRA_RHO]);
        double slope =
            l->softplus ? 1 / (1 + 1 / e) : ultra_within(e, (double)start->eps_min, (double)start->eps_max) * eps;
        *l->grad[SNN_ULTRA_RHO] += (real)(slope * g_eps);
    }
    if (l->grad[SNN_ULTRA_THETA]) *l->grad[SNN_ULTRA_THETA] += (real)sum[SNN_ULTRA_SUM_THETA];
    if (l->grad[SNN_ULTRA_V_RESET]) *l->grad[SNN_ULTRA_V_RESET] += (real)sum[SNN_ULTRA_SUM_RESET];
    if (l->grad[SNN_ULTRA_LOG_SLOPE]) {
        double e = ultra_exp_of(l->value[SNN_ULTRA_LOG_SLOPE]);
        *l->grad[SNN_ULTRA_LOG_SLOPE] += (real)(ultra_within(e, SNN_ULTRA_FLATTEST, SNN_ULTRA_STEEPEST) *
                                                (double)k->slope * sum[SNN_ULTRA_SUM_SLOPE]);
    }
}

/* Record the layer: x -> spikes as numbers, or, with `hard`, as bits. param: NULL where nothing is learned. */
struct snn_tensor *snn_ultra(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_ultra_options *options, bool hard,
                             struct snn_param *const param[SNN_ULTRA_PARAMS]);

#endif
