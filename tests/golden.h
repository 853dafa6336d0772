/* SPDX-License-Identifier: Apache-2.0
 * golden.h - one stored case of another framework's values, and a network to hold against it.
 *
 * Every parameter and every tensor of a case is either used or named as not compared: what a family's code has not
 * looked at makes the case fail, so that a parameter that nobody understands cannot pass in silence. */
#ifndef SNN_TEST_GOLDEN_H
#define SNN_TEST_GOLDEN_H

#include <jansson.h>
#include <stdio.h>

#include "autograd/math.h"
#include "core/safetensors.h"
#include "train/network.h"

enum golden_verdict { GOLDEN_PASS, GOLDEN_PENDING, GOLDEN_FAIL };

struct golden {
    const char *dir; /* of all families */
    char family[64], name[256];
    struct snn_st *file;
    json_t *facts; /* the case's parameters */
    json_t *seen;  /* names of facts and tensors that were looked at */
    void **owned;
    int owned_count, compared;
    enum golden_verdict verdict;
    char why[900], without[300];
};

/* The first failure is kept. All return false, so that a caller can return with it. */
bool golden_fail(struct golden *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool golden_pending(struct golden *c, const char *what);
/* `rc` of a call into the engine: a negative one fails the case with the engine's sentence. */
bool golden_ok(struct golden *c, int rc);
/* Tensor `name`, if the case has it, is not compared, because of `why`. */
void golden_without(struct golden *c, const char *name, const char *why);

/* ---- parameters ---- */
json_t *golden_fact(struct golden *c, const char *key);     /* NULL: absent or null */
bool golden_has(struct golden *c, const char *key);         /* there, and not null */
const char *golden_text(struct golden *c, const char *key); /* "" when absent */
double golden_number(struct golden *c, const char *key);    /* absent: the case fails */
double golden_number_or(struct golden *c, const char *key, double fallback);
bool golden_flag(struct golden *c, const char *key, bool fallback);
/* A number, or a list of one number an axis. */
bool golden_sizes(struct golden *c, const char *key, int fallback, int axes, int *out);

/* ---- tensors ---- */
const struct snn_st_tensor *golden_find(struct golden *c, const char *name);
/* Its numbers; they live as long as the case. NULL (and the case fails) when it is absent. */
const double *golden_tensor(struct golden *c, const char *name, const struct snn_st_tensor **shape);
void *golden_own(struct golden *c, size_t count, size_t size); /* zeroed, freed with the case */

/* Tolerances relative to the largest entry; golden values advise these. Exact ones are spikes, frames and labels. */
#define GOLDEN_EXACT 0.0
#define GOLDEN_VALUE 1e-6
#define GOLDEN_GRADIENT 1e-5
/* Hold `found` against a tensor of the case; one that the case does not have is not compared. */
void golden_compare(struct golden *c, const char *name, const double *found, size_t count, double relative);
void golden_compare_real(struct golden *c, const char *name, const real *found, size_t count, double relative);

/* ---- networks (golden_net.c) ---- */

enum { GOLDEN_NEURONS = 8 };

struct golden_seen {                                     /* (T,B,N) each */
    double *s, *h[SNN_CELL_STATES], *v[SNN_CELL_STATES]; /* spikes; states after the charge, and after the step */
    real *kept[SNN_CELL_STATES], *late;
    size_t count;
};

/* A network whose device looks on: it keeps what every neuron did in the last forward pass. */
struct golden_net {
    struct snn_device device; /* first: from it the kernels below find this struct */
    const struct snn_neuron_kernels *real_neuron;
    struct snn_neuron_kernels neuron;
    struct snn_math_kernels math;
    struct golden *c;
    struct snn_network network;
    struct snn_conf_doc *doc;
    struct snn_batch batch;
    struct golden_seen seen[GOLDEN_NEURONS]; /* by neuron, in the order of the network */
    int neurons;
    bool carries_on;    /* the pass is a second cut, so that a neuron begins with states that the case has stored */
    const double *mask; /* (B,N) that dropout uses instead of its own */
};

bool golden_net_open(struct golden *c, struct golden_net *net);
void golden_net_close(struct golden_net *net);
/* Parse "KEY: ..." text and keep it; returns the value of KEY, or NULL (the case failed). */
struct snn_conf *golden_parse(struct golden *c, struct golden_net *net, const char *text);
/* x (T,B,...) of the case becomes the input, with a gradient. `rows`: x has one leading axis (B), for one step. */
struct snn_tensor *golden_net_input(struct golden_net *net, const char *name, bool rows);
/* A parameter of the tape with the numbers of the case's tensor; NULL when the case has none. */
struct snn_param *golden_net_param(struct golden_net *net, const char *name, bool buffer);
/* Plan and allocate; parameters take the numbers of tensors of their names. */
bool golden_net_allocate(struct golden_net *net, bool smooth);
void golden_net_forward(struct golden_net *net, bool train, enum snn_smooth smooth);
/* Backward from the case's upstream gradient (T,B,...), or from what is in output->grad (NULL); gradients of parameters
 * start from 0. */
void golden_net_backward(struct golden_net *net, const char *upstream, bool train);

/* ---- families ---- */
void golden_neurons(struct golden *c);
void golden_surrogates(struct golden *c);
void golden_ops(struct golden *c);
void golden_losses(struct golden *c);
void golden_optim(struct golden *c);
void golden_sched(struct golden *c);
void golden_train(struct golden *c);
void golden_ultra(struct golden *c);
void golden_binning(struct golden *c);
void golden_dcls(struct golden *c);
void golden_biper(struct golden *c);
void golden_rules(struct golden *c);

/* The shape of a convolution of the case, with y's size where it is transposed. */
bool golden_conv_shape(struct golden *c, bool transposed, const struct snn_tensor *x, const struct snn_param *w,
                       struct snn_conv_shape *shape);

/* Keys of a neuron that fires, as flow text: "threshold: 1, fire: ge" and so on, with reset and surrogate. */
bool golden_put_firing(struct golden *c, FILE *yaml);
/* ", KEY: VALUE" as YAML flow text. */
void golden_put_json(FILE *yaml, const char *key, const json_t *value);
/* PyTorch's class and settings as "{name: adam, lr: ...}". */
bool golden_put_optimizer(struct golden *c, FILE *yaml, const char *kind, json_t *settings);

#endif
