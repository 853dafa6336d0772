/* SPDX-License-Identifier: Apache-2.0
 * rules.c - names, keys, defaults and scalars of the optimisers; all as torch.optim (PyTorch 2) has them.
 *
 * To add one: a rule in optim_rules.h, its states below, and a line in OPTIMISERS. */
#include "optim/rules.h"

#include <math.h>

#include "core/status.h"
#include "optim/optim.h"

/* The largest decay factor: at 1 nothing would ever be forgotten and 1/(1 - beta^t) would be infinite. The smallest
 * eps: positive in float too, so that a weight without gradient (0/0) stays where it is. */
#define MAX_BETA 0.999999
#define MIN_EPS 1e-30

const struct snn_optim_rule_state snn_optim_rule_states[SNN_RULE_COUNT] = {
    [SNN_RULE_sgd] = {false, {NULL}},
    [SNN_RULE_sgd_momentum] = {true, {"momentum_buffer"}},
    [SNN_RULE_adam] = {true, {"exp_avg", "exp_avg_sq"}},
    [SNN_RULE_adam_amsgrad] = {true, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
    [SNN_RULE_nadam] = {true, {"exp_avg", "exp_avg_sq"}},
    [SNN_RULE_radam] = {true, {"exp_avg", "exp_avg_sq"}},
    [SNN_RULE_adamax] = {true, {"exp_avg", "exp_inf"}},
    [SNN_RULE_rmsprop] = {false, {"square_avg"}},
    [SNN_RULE_rmsprop_centered] = {false, {"square_avg", "grad_avg"}},
    [SNN_RULE_rmsprop_momentum] = {true, {"square_avg", "momentum_buffer"}},
    [SNN_RULE_rmsprop_centered_momentum] = {true, {"square_avg", "grad_avg", "momentum_buffer"}},
    [SNN_RULE_adagrad] = {false, {"sum"}},
    [SNN_RULE_adadelta] = {false, {"square_avg", "acc_delta"}},
};

/* ---- sgd ---- */

static int sgd_check(struct snn_conf *node, const struct snn_optim_settings *s) {
    if (s->nesterov && (s->momentum == 0 || s->dampening != 0))
        return snn_conf_error(node,
                              "nesterov needs a momentum above 0 and dampening 0, found momentum %g, dampening %g",
                              s->momentum, s->dampening);
    return SNN_OK;
}

static enum snn_optim_rule sgd_rule(const struct snn_optim_settings *s) {
    return s->momentum > 0 ? SNN_RULE_sgd_momentum : SNN_RULE_sgd;
}

static void sgd_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    k[SNN_K_RATE] = s->lr;
    k[SNN_K_L2] = s->weight_decay;
    k[SNN_K_KEEP1] = s->momentum;
    k[SNN_K_TAKE1] = count->step > 1 ? 1 - s->dampening : 1; /* the first gradient fills the buffer undamped */
    k[SNN_K_GRAD] = s->nesterov ? 1 : 0;
    k[SNN_K_MEAN] = s->nesterov ? s->momentum : 1;
}

/* ---- the Adam family ---- */

static double correction(double beta, double t) { return 1 - pow(beta, t); }

static void adam_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    k[SNN_K_RATE] = s->lr / correction(s->momentum, count->step);
    k[SNN_K_L2] = s->weight_decay;
    k[SNN_K_EPS] = s->eps;
    k[SNN_K_KEEP1] = s->momentum, k[SNN_K_TAKE1] = 1 - s->momentum;
    k[SNN_K_KEEP2] = s->beta2, k[SNN_K_TAKE2] = 1 - s->beta2;
    k[SNN_K_ROOT2] = 1 / sqrt(correction(s->beta2, count->step));
}

static enum snn_optim_rule adam_rule(const struct snn_optim_settings *s) {
    return s->amsgrad ? SNN_RULE_adam_amsgrad : SNN_RULE_adam;
}

static void adamw_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    adam_scalars(s, count, k);
    k[SNN_K_L2] = 0;
    k[SNN_K_SHRINK] = 1 - s->lr * s->weight_decay;
}

static enum snn_optim_rule nadam_rule(const struct snn_optim_settings *s) { return (void)s, SNN_RULE_nadam; }

static double nadam_mu(const struct snn_optim_settings *s, double t) {
    return s->momentum * (1 - 0.5 * pow(0.96, t * s->momentum_decay));
}

static void nadam_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    adam_scalars(s, count, k);
    double mu = nadam_mu(s, count->step), next = nadam_mu(s, count->step + 1);
    k[SNN_K_RATE] = s->lr;
    k[SNN_K_GRAD] = (1 - mu) / (1 - count->product);
    k[SNN_K_MEAN] = next / (1 - count->product * next);
}

static enum snn_optim_rule radam_rule(const struct snn_optim_settings *s) { return (void)s, SNN_RULE_radam; }

/* rho: length of the average behind v; up to 5 its variance is not to be trusted and the step does without. */
static void radam_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    adam_scalars(s, count, k);
    double t = count->step, correction2 = correction(s->beta2, t), limit = 2 / (1 - s->beta2) - 1;
    double rho = limit - 2 * t * pow(s->beta2, t) / correction2;
    if (rho > 5) {
        double rectify = sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho));
        k[SNN_K_RATE] *= rectify * sqrt(correction2);
    } else {
        k[SNN_K_PLAIN] = k[SNN_K_RATE];
        k[SNN_K_RATE] = 0;
    }
}

static enum snn_optim_rule adamax_rule(const struct snn_optim_settings *s) { return (void)s, SNN_RULE_adamax; }

/* ---- rmsprop, adagrad, adadelta ---- */

static enum snn_optim_rule rmsprop_rule(const struct snn_optim_settings *s) {
    if (s->momentum > 0) return s->centered ? SNN_RULE_rmsprop_centered_momentum : SNN_RULE_rmsprop_momentum;
    return s->centered ? SNN_RULE_rmsprop_centered : SNN_RULE_rmsprop;
}

static enum snn_optim_rule adadelta_rule(const struct snn_optim_settings *s) { return (void)s, SNN_RULE_adadelta; }

static void mean_square_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    (void)count;
    k[SNN_K_RATE] = s->lr;
    k[SNN_K_L2] = s->weight_decay;
    k[SNN_K_EPS] = s->eps;
    k[SNN_K_KEEP1] = s->momentum;
    k[SNN_K_KEEP2] = s->beta2, k[SNN_K_TAKE2] = 1 - s->beta2;
}

static enum snn_optim_rule adagrad_rule(const struct snn_optim_settings *s) { return (void)s, SNN_RULE_adagrad; }

static void adagrad_scalars(const struct snn_optim_settings *s, const struct snn_optim_count *count, double *k) {
    k[SNN_K_RATE] = s->lr / (1 + (count->step - 1) * s->lr_decay);
    k[SNN_K_L2] = s->weight_decay;
    k[SNN_K_EPS] = s->eps;
    k[SNN_K_START] = count->step > 1 ? 0 : s->start;
}

/* ---- keys ---- */

#define KEY(name, field, value, min, max, help)                                                                        \
    { name, SNN_REAL, offsetof(struct snn_optim_settings, field), value, min, max, NULL, help }
#define FLAG(name, field, help)                                                                                        \
    { name, SNN_BOOL, offsetof(struct snn_optim_settings, field), "false", 0, 0, NULL, help }
#define COMMON_KEYS(lr_value, decay_value, decay_help)                                                                 \
    SNN_KEY_NAME, KEY("lr", lr, lr_value, 0, HUGE_VAL, "learning rate"),                                               \
        KEY("weight_decay", weight_decay, decay_value, 0, HUGE_VAL, decay_help), {                                     \
        "groups", SNN_NODE, offsetof(struct snn_optim_settings, groups), "[]", 0, 0, NULL,                             \
            "other lr and weight_decay for some parameters: [{match: PATTERN, lr, weight_decay}], the first match "    \
            "wins"                                                                                                     \
    }
#define EPS_KEY(value) KEY("eps", eps, value, MIN_EPS, HUGE_VAL, "added to the denominator")
#define ADAM_KEYS                                                                                                      \
    KEY("beta1", momentum, "0.9", 0, MAX_BETA, "decay of the mean of the gradient"),                                   \
        KEY("beta2", beta2, "0.999", 0, MAX_BETA, "decay of the mean of its square (adamax: of its maximum)"),         \
        EPS_KEY("1e-8")
#define L2_HELP "L2 penalty, added to the gradient"

static const struct snn_key sgd_keys[] = {
    COMMON_KEYS("1e-3", "0", L2_HELP),
    KEY("momentum", momentum, "0", 0, MAX_BETA, "decay of the running gradient"),
    KEY("dampening", dampening, "0", 0, 1, "part of a new gradient that the running one leaves out"),
    FLAG("nesterov", nesterov, "look ahead along the momentum"),
    {NULL},
};
static const struct snn_key adam_keys[] = {
    COMMON_KEYS("1e-3", "0", L2_HELP),
    ADAM_KEYS,
    FLAG("amsgrad", amsgrad, "divide by the largest mean square so far"),
    {NULL},
};
static const struct snn_key adamw_keys[] = {
    COMMON_KEYS("1e-3", "1e-2", "part of a weight that lr 1 takes off in a step, beside the gradient"),
    ADAM_KEYS,
    FLAG("amsgrad", amsgrad, "divide by the largest mean square so far"),
    {NULL},
};
static const struct snn_key nadam_keys[] = {
    COMMON_KEYS("2e-3", "0", L2_HELP),
    ADAM_KEYS,
    KEY("momentum_decay", momentum_decay, "4e-3", 0, HUGE_VAL, "how fast the momentum warms up"),
    {NULL},
};
static const struct snn_key radam_keys[] = {COMMON_KEYS("1e-3", "0", L2_HELP), ADAM_KEYS, {NULL}};
static const struct snn_key adamax_keys[] = {COMMON_KEYS("2e-3", "0", L2_HELP), ADAM_KEYS, {NULL}};
static const struct snn_key rmsprop_keys[] = {
    COMMON_KEYS("1e-2", "0", L2_HELP),
    KEY("alpha", beta2, "0.99", 0, MAX_BETA, "decay of the mean of the squared gradient"),
    EPS_KEY("1e-8"),
    KEY("momentum", momentum, "0", 0, MAX_BETA, "decay of the running step"),
    FLAG("centered", centered, "divide by the deviation from the mean gradient"),
    {NULL},
};
static const struct snn_key adagrad_keys[] = {
    COMMON_KEYS("1e-2", "0", L2_HELP),
    KEY("lr_decay", lr_decay, "0", 0, HUGE_VAL, "lr / (1 + lr_decay t)"),
    KEY("initial_accumulator_value", start, "0", 0, HUGE_VAL, "where the sum of squares starts"),
    EPS_KEY("1e-10"),
    {NULL},
};
static const struct snn_key adadelta_keys[] = {
    COMMON_KEYS("1", "0", L2_HELP),
    KEY("rho", beta2, "0.9", 0, MAX_BETA, "decay of the means of squares"),
    EPS_KEY("1e-6"),
    {NULL},
};

#define OPTIMISERS(X)                                                                                                  \
    X(sgd, "stochastic gradient descent, with momentum (Polyak, Nesterov)", sgd_check, sgd_rule, NULL, sgd_scalars)    \
    X(adam, "Adam (Kingma and Ba 2015), AMSGrad", NULL, adam_rule, NULL, adam_scalars)                                 \
    X(adamw, "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", NULL, adam_rule, NULL, adamw_scalars)    \
    X(rmsprop, "RMSprop (Hinton 2012), centered (Graves 2013)", NULL, rmsprop_rule, NULL, mean_square_scalars)         \
    X(adagrad, "Adagrad (Duchi et al. 2011)", NULL, adagrad_rule, NULL, adagrad_scalars)                               \
    X(nadam, "Adam with Nesterov momentum (Dozat 2016)", NULL, nadam_rule, nadam_mu, nadam_scalars)                    \
    X(radam, "Adam with rectified warm-up (Liu et al. 2020)", NULL, radam_rule, NULL, radam_scalars)                   \
    X(adamax, "Adam with the infinity norm (Kingma and Ba 2015)", NULL, adamax_rule, NULL, adam_scalars)               \
    X(adadelta, "Adadelta (Zeiler 2012)", NULL, adadelta_rule, NULL, mean_square_scalars)

#define AS_LISTING(name, help, check, rule, factor, scalars) {#name, help, name##_keys},
#define AS_ENTRY(name, help, check, rule, factor, scalars) {check, rule, factor, scalars},
#define AS_NAME(name, help, check, rule, factor, scalars) #name,

const struct snn_optim_listing snn_optim_list[] = {OPTIMISERS(AS_LISTING){NULL}};
const struct snn_optim_entry snn_optim_entries[] = {OPTIMISERS(AS_ENTRY)};
const char *const snn_optim_names[] = {OPTIMISERS(AS_NAME) NULL};
