/* SPDX-License-Identifier: Apache-2.0
 * bench_rules.h - what the parts of `snntrain bench rules` share: the measurements (bench_rules.c), gradients beside
 * those of BPTT (rules_gradients.c), and what is said of them (rules_report.c). */
#ifndef SNN_BENCH_RULES_H
#define SNN_BENCH_RULES_H

#include "cli.h"

enum { RULES_START, RULES_TRAINED, RULES_TIMES }; /* when gradients are compared */
enum { RULES_ROUNDS = 3 };                        /* of measuring time, each over all rules */

struct rule_row {
    const char *name;
    char *refused, *failed;         /* why it cannot train the network, or did not get to the end; NULL */
    char split[16];                 /* of accuracy and loss */
    double accuracy, loss, seconds; /* accuracy: NAN where there are no classes */
    double ms, least, rss;          /* of a training step; peak of a process that does nothing but train, MB */
    double rounds[RULES_ROUNDS];    /* what `ms` is the median of */
    double planned, forward, backward, synops;
    double *cosine[RULES_TIMES]; /* (tensors): NAN where a gradient is zero */
    double whole[RULES_TIMES];   /* of all parameters together */
};
struct rules {
    const struct cli *cli;
    char dir[3000], config[4096]; /* where results go, and the config that all rules train */
    const char *own;              /* rule of the config, which keeps its keys */
    struct rule_row *row;         /* (rows) */
    int rows;
    bool by_step; /* the config's loss was of the mean over the steps */
    /* of the gradients: */
    char **tensor; /* (tensors): names */
    int tensors, batches;
    char name[128], data[128], device[256]; /* the config's file, without folder and ending */
    long long epochs;
    int batch, steps;
};

/* Does a row have figures? */
static inline bool rule_is_whole(const struct rule_row *r) { return !r->refused && !r->failed; }

/* Cosines of all rows that are whole. */
int rules_compare_gradients(struct rules *b);
/* rules.csv, rules.png, and the table or JSON. */
int rules_report(const struct rules *b);

#endif
