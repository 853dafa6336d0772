/* SPDX-License-Identifier: Apache-2.0
 * plan.h - what the parts of `snntrain plan` share: networks under a learning rule (plan_rules.c), what is said of them
 * (plan_print.c), and the command (cmd_plan.c). */
#ifndef SNN_PLAN_H
#define SNN_PLAN_H

#include "cli.h"
#include "train/operations.h"
#include "train/roofline.h"

struct planned_rule { /* a learning rule, as it would train the network */
    const char *name;
    char *refused; /* why it cannot; NULL: it can */
    bool by_step;  /* with a loss of each step, where the config's is of the mean over them */
    struct snn_arena arena;
    size_t batches, total; /* bytes, on their way to the device and of all */
    int32_t T, B, cut, slice;
    struct snn_operations operations; /* of a training step */
    json_t *layers;                   /* name, shape, parameters, bytes; last what is in no layer */
    struct snn_roofline roof;         /* without kernels: not asked for */
    int64_t graphs;                   /* that it launches */
    struct {                          /* where layers run again: */
        bool on;
        int segments, spiking; /* how many, of how many layers of spikes each */
        size_t without;        /* bytes when nothing runs again */
        double share;          /* of the forward pass's multiply-adds */
    } again;
};

struct planning {
    const struct cli *cli;
    struct snn_experiment e; /* of the rule at hand, while `open` */
    bool open;
    bool cuda;                  /* plan for a card; else for the processor */
    struct snn_device counting; /* open when `cuda` or a roofline is wanted */
    struct snn_costs costs;
    double spikes;            /* share of the neurons that spike in a step, where the log of a run does not say it */
    json_t *rates;            /* the same by layer, of the log; NULL: there is none */
    int32_t steps;            /* of a batch, once they are known */
    char here[16], why[1024]; /* the card that is here, or why there is none */
    size_t left, of;          /* bytes of the card */
    const struct snn_card *card;
    struct planned_rule *rule; /* (rules) that were asked for */
    int rules;
};

/* Losses of the mean over the steps become losses of each step; was there one? `train` is the config's section. */
int plan_loss_by_step(struct snn_conf *train, bool *changed);
/* The name that a config gives its rule. */
const char *plan_own_rule(struct snn_conf_doc *doc);

/* The rules that were asked for, in p->rule, measured or refused: SNN_EUSAGE when all of them are. */
int plan_rules(struct planning *p);
/* The same, with the device and the rates of spikes that the command line asks for. */
int plan_all(struct planning *p);
void plan_close(struct planning *p);
/* The floor of a step of the network at hand (cmd_plan.c). */
int plan_roofline(struct planning *p, struct planned_rule *r);
json_t *plan_roofline_json(const struct planning *p, const struct planned_rule *rule);

void plan_print(const struct planning *p);
json_t *plan_json(const struct planning *p);

/* Bytes by layer; and behind them, if there are any, those of nodes that are in no layer: feedback and readouts of a
 * rule, an image that is repeated. */
#define PLAN_OTHER "(beside layers)"
json_t *plan_layers(const struct snn_model *m);

#endif
