/* SPDX-License-Identifier: Apache-2.0
 * loss.h - what the outputs (T,B,C) are compared with, and how a class is read out of them.
 *
 * A loss is a way to draw the steps together (`over`) and a function of the result: all pairs exist.
 *   over: mean | sum | last | max | softmax_sum   l(z), z = mean_t o[t] ... ; softmax_sum: z = sum_t softmax(o[t])
 *   over: step                                    (1/T) sum_t l(o[t])
 * Only the steps within a recording's length count. The loss of a batch is the mean over its samples.
 *
 * What l compares with is a share y (C) of each output: 1 for the label's and 0 for the others, or a target of the
 * sample's own (the soft labels of a mixture, or numbers to be learned as they are), one for all steps or one a step:
 *   ce         -sum_c w_c q_c log softmax(z)_c,  q = (1 - label_smoothing) y + label_smoothing / C     y sums to 1
 *   spike_max  the same of r_c / sum r instead of the softmax, r = max(z, 0) + eps
 *   bce        mean_c log(1 + exp(x_c)) - q_c x_c, x = (z - theta) / alpha,  q: towards 1/2
 *   mse        mean_c (z_c - target_c)^2,    target = y correct + (1 - y) incorrect               with 1 and 0: y
 * itself smooth_l1  mean_c h(z_c - target_c),     h(d) = d^2 / (2 beta) below beta, |d| - beta/2 beyond and for
 * mse_count the target of mse as a rate of the steps. Two ways of drawing together belong to losses of their own: the
 * time of the first spike (ce_temporal, mse_temporal), and a filter (spike_time).
 *
 * The time of the first spike is t = f + [o fires] - o[f], where f is the first step with o[f] > 0, else the last: of
 * spikes this is f itself, and its slope at f is -1, the estimate that snnTorch takes. A derivative of what is written
 * here, it can be checked.
 *
 * Class weights w: a sample counts with the weight of its class (ce: as in PyTorch, but without dividing by the sum of
 * the batch's weights, since samples do not know of each other). */
#ifndef SNN_LOSS_H
#define SNN_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/regular.h"
#include "core/config.h"
#include "core/real.h"

enum snn_over {
    SNN_OVER_MEAN,
    SNN_OVER_SUM,
    SNN_OVER_STEP,
    SNN_OVER_LAST,
    SNN_OVER_MAX,
    SNN_OVER_SOFTMAX_SUM,
    SNN_OVER_FIRST_SPIKE, /* its time */
    SNN_OVER_FILTERED     /* sum_t e[t]^2, e[t] = exp(-1/tau) e[t-1] + o[t] - target[t] */
};
enum snn_loss_kind {
    SNN_LOSS_CE,
    SNN_LOSS_MSE,
    SNN_LOSS_MSE_COUNT,
    SNN_LOSS_BCE,
    SNN_LOSS_SMOOTH_L1,
    SNN_LOSS_SHARE,
    SNN_LOSS_TIME
};
enum snn_time_inverse { SNN_TIME_NEGATE, SNN_TIME_RECIPROCAL, SNN_TIME_AS_IT_IS };

struct snn_loss_term {
    enum snn_loss_kind kind;
    int over;
    int inverse;  /* over the first spike: enum snn_time_inverse */
    int sum;      /* over outputs instead of their mean: all but ce and share */
    int weighted; /* by class */
    double weight;
    double label_smoothing;    /* ce, share, bce */
    double target;             /* mse, smooth_l1: of every class; NAN: one-hot (correct, incorrect below) */
    double correct, incorrect; /* targets of the true and the other classes; mse_count: as rates of T; time: steps */
    double beta, alpha, theta, eps, tolerance, tau;
    struct snn_conf *class_weights; /* a list of numbers, or `balanced`; NULL: none */
    bool numbers;                   /* the targets are numbers, not shares of classes */
    const struct snn_loss_listing *listing;
};

enum { SNN_LOSS_TERMS = 4 };
struct snn_loss {
    struct snn_loss_term term[SNN_LOSS_TERMS];
    int terms;
    struct snn_regular regular; /* what it asks of layers and weights, in training */
};

enum snn_decide {
    SNN_DECIDE_MEAN,
    SNN_DECIDE_SUM,
    SNN_DECIDE_MAX,
    SNN_DECIDE_LAST,
    SNN_DECIDE_SOFTMAX_SUM,
    SNN_DECIDE_FIRST_SPIKE
};

/* Read `train.loss`: NAME, {name, ...} or a list of those. */
int snn_loss_read(struct snn_conf *node, struct snn_loss *out);
/* Does every term see one step at a time, or add up over parts of the time axis? */
bool snn_loss_is_stepwise(const struct snn_loss *loss);
/* Can it learn numbers (`regression`), or a target a step? Else SNN_EUSAGE at `node`, where it was read. Targets of the
 * classes give way to the numbers. */
int snn_loss_check_targets(struct snn_loss *loss, const struct snn_conf *node, bool regression, bool target_steps);
/* Are there as many class weights as classes? */
int snn_loss_check_classes(const struct snn_loss *loss, int32_t classes);
/* Does a term want weights that balance the classes? They are worked out from the training samples' labels, and put
 * into the config. */
bool snn_loss_wants_balance(const struct snn_loss *loss);
int snn_loss_balance(struct snn_loss *loss, int32_t classes, const int64_t *samples /* (classes) */);
/* Class weights (terms, C): 1 where there are none. False: no term has any. */
bool snn_loss_class_weights(const struct snn_loss *loss, int32_t C, double *weights);
/* Is it the mean squared error and nothing else, so that its root is one in the target's own unit? */
bool snn_loss_is_mse(const struct snn_loss *loss);
extern const struct snn_loss_listing {
    const char *name, *alias, *help; /* alias: a framework's name for it */
    const struct snn_key *keys;
    enum snn_loss_kind kind;
    struct snn_loss_term start; /* what its keys do not say */
} snn_loss_list[];
/* How a class is read out when nobody says it: the way the first term draws the steps together. */
enum snn_decide snn_loss_decide(const struct snn_loss *loss);

struct snn_loss_call {
    const struct snn_loss *loss;
    int32_t T, B, C;
    const real *output;    /* (T,B,C); this and the arrays below lie in device memory */
    const int32_t *label;  /* (B) */
    const float *target;   /* (B,C), or (T,target_stride,C): as the header says; NULL: labels */
    int32_t target_stride; /* samples from a step's targets to the next's; 0: a sample has one for all steps */
    const int32_t *length; /* (B) valid steps within this call, may be 0; NULL: all T */
    const int32_t *total; /* (B) valid steps of the whole recording (normaliser of over: step); NULL: `steps` for all */
    int32_t steps;        /* of the whole batch, */
    int32_t t0;           /* and those before this call: it may be a part of them */
    int32_t last;         /* the gradient is 0 but for the `last` steps of a recording; 0: all */
    const double *class_weight; /* (terms,C); read of terms that are `weighted` */
    const double *scale;        /* of the gradient: 1 / samples of the (accumulated) batch; in device memory. NULL: 1 */
};

struct snn_loss_kernels {
    /* sample_loss (B): loss of each sample, unscaled. gradient (T,B,C) is written, or NULL. scratch: see below */
    void (*evaluate)(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss, real *gradient,
                     double *scratch);
    /* *loss += sum of sample_loss (B) */
    void (*add_losses)(struct snn_device *device, int32_t B, const double *sample_loss, double *loss);
    /* Take this call's steps into the running scores (B,C), and after the last step: *correct += samples whose first
     * largest score is their label's. running NULL: the call is the whole batch. scratch: as above */
    void (*count_correct)(struct snn_device *device, const struct snn_loss_call *call, enum snn_decide how,
                          double *running, int64_t *correct, double *scratch);
};
/* Doubles of scratch for C classes and T steps. */
static inline int64_t snn_loss_scratch(int threads, int32_t C) { return (int64_t)threads * 3 * C; }

extern const char *const snn_decide_names[];
/* Scores (C) of a sample, in host memory: they start, take the outputs (C) of its steps in their order, and end after
 * so many; the class is the first largest. */
void snn_decide_start(enum snn_decide how, int32_t C, double *scores);
void snn_decide_step(enum snn_decide how, int32_t t, int32_t C, const real *output, double *scores);
void snn_decide_end(enum snn_decide how, int32_t steps, int32_t C, double *scores);
int32_t snn_first_largest(const double *scores, int32_t n);

#endif
