/* SPDX-License-Identifier: Apache-2.0
 * rules.h - the optimisers as the config names them: keys, state and the scalars of a step.
 *
 * All read into one struct of settings; a name and its settings choose one element-wise rule (optim_rules.h): `sgd` is
 * another rule with momentum than without. */
#ifndef SNN_OPTIM_RULES_TABLE_H
#define SNN_OPTIM_RULES_TABLE_H

#include <stdbool.h>

#include "core/config.h"
#include "core/real.h"
#include "optim/optim_rules.h"

struct snn_optim_settings {
    double lr, weight_decay, eps;
    double momentum; /* of SGD and RMSprop; beta1 of the Adam family */
    double dampening;
    double beta2;           /* also RMSprop's alpha and Adadelta's rho */
    double momentum_decay;  /* NAdam */
    double lr_decay, start; /* Adagrad; start: initial_accumulator_value */
    bool nesterov, amsgrad, centered;
    struct snn_conf *groups;
};

/* What is counted over the run; the first two of snn_optim_numbers(). */
struct snn_optim_count {
    double step;    /* t: 1 in the first step */
    double product; /* of the factors (below) up to and including this step */
};

struct snn_optim_entry {
    int (*check)(struct snn_conf *node,
                 const struct snn_optim_settings *settings); /* keys against each other, or NULL */
    enum snn_optim_rule (*rule)(const struct snn_optim_settings *settings);
    /* What step t multiplies the running product with (NAdam's mu), or NULL. */
    double (*factor)(const struct snn_optim_settings *settings, double t);
    /* Fill k[SNN_K_COUNT] (zeroed, SHRINK 1) for the step `count`. */
    void (*scalars)(const struct snn_optim_settings *settings, const struct snn_optim_count *count, double *k);
};
extern const struct snn_optim_entry snn_optim_entries[]; /* in the order of snn_optim_list */
extern const char *const snn_optim_names[];              /* likewise; ended by NULL */

/* Of a rule, by enum snn_optim_rule. */
struct snn_optim_rule_state {
    bool momentum;       /* has a momentum (beta1) that a schedule can cycle */
    const char *slot[3]; /* names of its states, as PyTorch calls them; NULL beyond the last */
};
extern const struct snn_optim_rule_state snn_optim_rule_states[SNN_RULE_COUNT];

#endif
