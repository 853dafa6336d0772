/* SPDX-License-Identifier: Apache-2.0
 * cli.h - the command line: one table of options, one of commands. */
#ifndef SNN_CLI_H
#define SNN_CLI_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "train/experiment.h"

enum { CLI_ARGS = 64 };

struct cli { /* what the user typed */
    const struct cli_command *command;
    const char *arg[CLI_ARGS];
    int args;
    const char *set[CLI_ARGS];
    int sets;
    const char *data, *device, *out, *split, *checkpoint, *predictions, *timesteps, *protocol, *output, *unit, *format,
        *map, *cache;
    long threads, iters, warmup, index, epochs;
    const char *seed, *rule, *rules, *roofline, *density;
    bool json, quiet, resume, profile, clear, hard, help;
    FILE *text;     /* where words for people go: stdout, or stderr with --json */
    double started; /* when the process began */
};

struct cli_command {
    const char *name, *usage, *help;
    const char *options; /* names that it takes, separated by blanks */
    int (*run)(struct cli *cli);
};
extern const struct cli_command cli_commands[];

/* Fill `cli` from argv; SNN_EUSAGE with a sentence. */
int cli_parse(int argc, char **argv, struct cli *cli);
void cli_print_help(const struct cli_command *command); /* NULL: the program's */

/* Set by SIGINT and SIGTERM. */
extern volatile sig_atomic_t cli_stop;

/* A config from a YAML file, a run folder or a checkpoint, with --set and --seed applied. */
int cli_load_config(const struct cli *cli, const char *path, struct snn_conf_doc **doc);
/* A config to read a data set with: of `name`'s own, or that of a YAML file; with --set applied. */
int cli_load_data(const struct cli *cli, const char *name, struct snn_data_config *config, struct snn_conf_doc **doc);
/* A trained network ready to evaluate: RUN or FILE. `dir` receives the folder it lies in. */
struct cli_trained {
    struct snn_experiment e;
    char checkpoint[4096]; /* file */
    char dir[4096];
};
int cli_open_trained(const struct cli *cli, const char *path, int subset, int32_t timesteps, bool data,
                     struct cli_trained *out);
/* Tell people which device was chosen; nothing with --quiet. */
void cli_say_device(const struct cli *cli, const struct snn_device *device);
void cli_close_trained(struct cli_trained *t);
/* Where warnings go: nowhere with --quiet. */
FILE *cli_warnings(const struct cli *cli);
/* A bar while data are read through before the first batch; they hear of Ctrl-C. */
struct snn_watch cli_watch(const struct cli *cli);
/* "train" | "validation" | "test" */
int cli_subset(const char *name, int *subset);

/* Print one JSON object on stdout; takes the reference. */
int cli_print_json(json_t *json);
/* An argument count that does not fit: SNN_EUSAGE. */
int cli_expect_args(const struct cli *cli, int least, int most);
bool cli_is_directory(const char *path);
/* The table of a planned network by layer, as `plan` prints it (cmd_plan.c). */
void cli_print_layers(FILE *to, const struct snn_model *model);

int cmd_train(struct cli *cli);
int cmd_eval(struct cli *cli);
int cmd_bench(struct cli *cli);
int cmd_plan(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_data(struct cli *cli);
int bench_timesteps(struct cli *cli);
int bench_speed(struct cli *cli);
int bench_rules(struct cli *cli);
int bench_data(struct cli *cli);
int bench_neurons(struct cli *cli);

#endif
