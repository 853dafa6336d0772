/* SPDX-License-Identifier: Apache-2.0
 * cli.c - options, help, and what several commands share. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/status.h"
#include "train/checkpoint.h"
#include "train/device.h"
#include "train/progress.h"

/* ---- options ---- */

enum kind { FLAG, TEXT, NUMBER, REPEATED };
struct option {
    const char *name, *metavar, *help;
    enum kind kind;
    size_t field;
};
#define AT(field) offsetof(struct cli, field)
static const struct option option_table[] = {
    {"--set", "KEY=VALUE", "change the config: train.epochs=5, model.2.lif.tau=4 (repeatable)", REPEATED, AT(set)},
    {"--data", "DIR", "folder with the data set's own files", TEXT, AT(data)},
    {"--device", "DEV", "auto, cpu or cuda[:N] (default auto)", TEXT, AT(device)},
    {"--threads", "N", "processor threads (default: all cores)", NUMBER, AT(threads)},
    {"--seed", "N", "same as --set seed=N", TEXT, AT(seed)},
    {"--out", "DIR", "where results go", TEXT, AT(out)},
    {"--resume", NULL, "go on with an interrupted run, bit for bit", FLAG, AT(resume)},
    {"--split", "NAME", "test, validation or train (default test)", TEXT, AT(split)},
    {"--checkpoint", "NAME", "best or last (default best)", TEXT, AT(checkpoint)},
    {"--timesteps", "LIST", "number of steps, or for bench a list: 1,2,4,8 or 1..10", TEXT, AT(timesteps)},
    {"--protocol", "NAME", "truncate: the first N steps; rebin: the whole recording in N steps (default truncate)",
     TEXT, AT(protocol)},
    {"--predictions", "FILE", "write sample,label,predicted as CSV", TEXT, AT(predictions)},
    {"--hard", NULL, "also evaluate soft spikes as hard ones: maximum for soft maximum, 1 from the threshold on", FLAG,
     AT(hard)},
    {"--iters", "N", "measured training steps (default 20)", NUMBER, AT(iters)},
    {"--warmup", "N", "steps before measuring (default 3)", NUMBER, AT(warmup)},
    {"--profile", NULL, "also time by layer, forward and backward", FLAG, AT(profile)},
    {"--rule", "NAME", "learning rule to plan for, or all (default: the config's)", TEXT, AT(rule)},
    {"--rules", "LIST", "learning rules to compare: bptt,sltt,... (default: all)", TEXT, AT(rules)},
    {"--epochs", "N", "epochs that each of them trains (default: train.epochs)", NUMBER, AT(epochs)},
    {"--density", "SHARE", "of the neurons that spike in a step (default: as the log of a RUN has it, else 0.1)", TEXT,
     AT(density)},
    {"--roofline", "CARD", "the least that a training step takes on a CUDA card: h100, 4090, ...", TEXT, AT(roofline)},
    {"--index", "I", "which sample (default 0)", NUMBER, AT(index)},
    {"--format", "NAME", "what the recording is (snntrain list recordings; default: by its first bytes or name)", TEXT,
     AT(format)},
    {"--unit", "UNIT", "of times in a csv, npy or h5 recording: s, ms, us or ns", TEXT, AT(unit)},
    {"--map", "CHIP", "whose addresses an AEDAT 2 recording has: dvs128 or davis240 (default: as its header says)",
     TEXT, AT(map)},
    {"--cache", "DIR", "cache folder (default: that of data.cache: auto)", TEXT, AT(cache)},
    {"--clear", NULL, "remove entries of the cache", FLAG, AT(clear)},
    {"-o", "FILE", "output file, or folder of `data fetch`", TEXT, AT(output)},
    {"--json", NULL, "print one JSON object on stdout, everything else on stderr", FLAG, AT(json)},
    {"--quiet", NULL, "no progress, no lines", FLAG, AT(quiet)},
    {"--help", NULL, "show this", FLAG, AT(help)},
};
enum { OPTIONS = sizeof option_table / sizeof *option_table };

static bool listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    return false;
}

static bool takes(const struct cli_command *command, const struct option *option) {
    return !strcmp(option->name, "--json") || !strcmp(option->name, "--quiet") || !strcmp(option->name, "--help") ||
           listed(command->options, option->name);
}

static int unknown(const struct cli_command *command, const char *word) {
    const char *names[OPTIONS + 1];
    int n = 0;
    for (int i = 0; i < OPTIONS; ++i)
        if (takes(command, &option_table[i])) names[n++] = option_table[i].name;
    names[n] = NULL;
    const char *near = snn_nearest(word, names);
    if (near) return snn_error(SNN_EUSAGE, "%s: unknown option '%s' (did you mean '%s'?)", command->name, word, near);
    return snn_error(SNN_EUSAGE, "%s: unknown option '%s' (`snntrain %s --help` lists them)", command->name, word,
                     command->name);
}

static int take_value(struct cli *cli, const struct option *o, const char *value) {
    void *field = (char *)cli + o->field;
    char *end;
    switch (o->kind) {
    case FLAG:
        *(bool *)field = true;
        return SNN_OK;
    case TEXT:
        *(const char **)field = value;
        return SNN_OK;
    case REPEATED:
        if (cli->sets == CLI_ARGS) return snn_error(SNN_EUSAGE, "at most %d %s", CLI_ARGS, o->name);
        cli->set[cli->sets++] = value;
        return SNN_OK;
    case NUMBER:
        break;
    }
    errno = 0;
    long number = strtol(value, &end, 10);
    if (errno || end == value || *end || number < 0 || number > 1000000000)
        return snn_error(SNN_EUSAGE, "%s %s: expected a whole number, got '%s'", cli->command->name, o->name, value);
    *(long *)field = number;
    return SNN_OK;
}

static int parse_option(struct cli *cli, int argc, char **argv, int *i) {
    const char *word = argv[*i], *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    for (int k = 0; k < OPTIONS; ++k) {
        const struct option *o = &option_table[k];
        if (strlen(o->name) != n || strncmp(o->name, word, n) || !takes(cli->command, o)) continue;
        if (o->kind == FLAG)
            return equals ? snn_error(SNN_EUSAGE, "%s: %s takes no value", cli->command->name, o->name)
                          : take_value(cli, o, NULL);
        if (equals) return take_value(cli, o, equals + 1);
        if (*i + 1 >= argc)
            return snn_error(SNN_EUSAGE, "%s: %s needs a value: %s", cli->command->name, o->name, o->metavar);
        return take_value(cli, o, argv[++*i]);
    }
    return unknown(cli->command, word);
}

int cli_parse(int argc, char **argv, struct cli *cli) {
    const char *names[16];
    int n = 0;
    for (const struct cli_command *c = cli_commands; c->name; ++c) {
        names[n++] = c->name;
        if (!strcmp(argv[1], c->name)) cli->command = c;
    }
    names[n] = NULL;
    if (!cli->command) {
        const char *near = snn_nearest(argv[1], names);
        if (near) return snn_error(SNN_EUSAGE, "unknown command '%s' (did you mean '%s'?)", argv[1], near);
        return snn_error(SNN_EUSAGE, "unknown command '%s' (`snntrain --help` lists them)", argv[1]);
    }
    bool only_args = false;
    for (int i = 2; i < argc; ++i) {
        if (!only_args && !strcmp(argv[i], "--")) only_args = true;
        else if (!only_args && argv[i][0] == '-' && argv[i][1]) SNN_TRY(parse_option(cli, argc, argv, &i));
        else if (cli->args == CLI_ARGS)
            return snn_error(SNN_EUSAGE, "%s: at most %d arguments", cli->command->name, CLI_ARGS);
        else cli->arg[cli->args++] = argv[i];
    }
    cli->text = cli->json ? stderr : stdout;
    return SNN_OK;
}

void cli_print_help(const struct cli_command *command) {
    if (command) {
        printf("Usage: snntrain %s\n%s\n\nOptions:\n", command->usage, command->help);
        for (int i = 0; i < OPTIONS; ++i) {
            char left[64];
            if (!takes(command, &option_table[i])) continue;
            snprintf(left, sizeof left, "%s%s%s", option_table[i].name, option_table[i].metavar ? " " : "",
                     option_table[i].metavar ? option_table[i].metavar : "");
            printf("  %-20s %s\n", left, option_table[i].help);
        }
        return;
    }
    printf("snntrain trains spiking neural networks from one YAML file.\n\nUsage:\n");
    for (const struct cli_command *c = cli_commands; c->name; ++c) printf("  snntrain %s\n", c->usage);
    printf("  snntrain --version | --help | COMMAND --help\n\nCommands:\n");
    for (const struct cli_command *c = cli_commands; c->name; ++c)
        printf("  %-6s %.*s\n", c->name, (int)strcspn(c->help, "\n"), c->help);
    printf("\nExit status: 0 done, 1 failed while running, 2 wrong usage or config, 3 data or checkpoint missing or "
           "corrupt, 130 interrupted.\n"
           "Start with: snntrain train configs/fashion_mnist_conv.yaml\n");
}

int cli_expect_args(const struct cli *cli, int least, int most) {
    if (cli->args >= least && cli->args <= most) return SNN_OK;
    if (strchr(cli->command->usage, '\n')) /* of a command with more than one form */
        return snn_error(SNN_EUSAGE, "%s: wrong number of arguments (`snntrain %s --help` shows them)",
                         cli->command->name, cli->command->name);
    return snn_error(SNN_EUSAGE, "usage: snntrain %s", cli->command->usage);
}

int cli_print_json(json_t *json) {
    char *text = json ? json_dumps(json, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (!text)
        return snn_error(SNN_EFAIL,
                         "the result cannot be written as JSON: a name in it is not UTF-8, or a number is not finite");
    int n = printf("%s\n", text);
    free(text);
    return n < 0 || fflush(stdout) ? snn_error(SNN_EFAIL, "cannot write to stdout: %s", strerror(errno)) : SNN_OK;
}

static bool reads_through(void *payload, int64_t done, int64_t total) {
    static struct snn_bar bar;
    const struct cli *cli = payload;
    if (done == 1) snn_bar_start(&bar, "reading recordings through", total, !cli->quiet);
    snn_bar_move(&bar, (double)done, NULL);
    if (done == total || cli_stop) snn_bar_clear(&bar);
    return !cli_stop;
}

struct snn_watch cli_watch(const struct cli *cli) {
    return (struct snn_watch){.moved = reads_through, .payload = (void *)cli};
}

FILE *cli_warnings(const struct cli *cli) { return cli->quiet ? NULL : stderr; }

bool cli_is_directory(const char *path) { return snn_is_directory(path); }

/* ---- configs and trained networks ---- */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static int apply_changes(const struct cli *cli, struct snn_conf_doc *doc) {
    char text[300];
    for (int i = 0; i < cli->sets; ++i) SNN_TRY(snn_conf_set(doc, cli->set[i]));
    if (!cli->seed) return SNN_OK;
    snprintf(text, sizeof text, "seed=%s", cli->seed);
    return snn_conf_set(doc, text);
}

int cli_load_config(const struct cli *cli, const char *path, struct snn_conf_doc **doc) {
    char file[4096];
    if (ends_with(path, ".safetensors")) {
        char *yaml;
        SNN_TRY(snn_checkpoint_config(path, &yaml));
        int rc = snn_conf_parse(yaml, strlen(yaml), path, doc);
        free(yaml);
        if (rc < 0) return snn_error(SNN_EDATA, "%s", snn_error_text());
    } else {
        bool folder = snn_is_directory(path);
        if (snprintf(file, sizeof file, folder ? "%s/config.yaml" : "%s", path) >= (int)sizeof file)
            return snn_error(SNN_EUSAGE, "%.80s...: path too long", path);
        if (folder && !snn_file_exists(file))
            return snn_error(SNN_EDATA, "%s: is a folder without config.yaml, not a run", path);
        SNN_TRY(snn_conf_load(file, doc));
    }
    int rc = apply_changes(cli, *doc);
    if (rc < 0) snn_conf_free(doc);
    return rc;
}

static int no_such_data(const char *name) {
    enum { MOST = 64 };
    const char *names[MOST + 1];
    int n = 0;
    if (snn_is_directory(name))
        return snn_error(SNN_EDATA,
                         "%s: is a folder without config.yaml, not a run; that of a data set's files is named behind "
                         "its name: nmnist --data DIR",
                         name);
    if (strchr(name, '/')) return snn_error(SNN_EDATA, "%s: there is no such file or folder", name);
    while (n < MOST && snn_datasets[n]) names[n] = snn_datasets[n]->name, ++n;
    names[n] = NULL;
    const char *near = snn_nearest(name, names);
    if (near) return snn_error(SNN_EUSAGE, "'%s' is no data set (did you mean '%s'?)", name, near);
    return snn_error(SNN_EUSAGE,
                     "'%s' is neither a data set (snntrain list datasets names them) nor a file or run that is there",
                     name);
}

static bool is_run(const char *path) {
    char file[4096];
    return snn_is_directory(path) && snprintf(file, sizeof file, "%s/config.yaml", path) < (int)sizeof file &&
           snn_file_exists(file);
}

int cli_load_data(const struct cli *cli, const char *name, struct snn_data_config *config, struct snn_conf_doc **doc) {
    char text[300];
    *doc = NULL;
    bool known = snn_dataset_find(name) != NULL; /* also where a folder of that name lies */
    if (!known && (ends_with(name, ".yaml") || ends_with(name, ".yml") || is_run(name))) {
        SNN_TRY(cli_load_config(cli, name, doc));
    } else {
        if (!known) return no_such_data(name);
        snprintf(text, sizeof text, "data: {name: %s}", name);
        SNN_TRY(snn_conf_parse(text, strlen(text), "data", doc));
        int rc = apply_changes(cli, *doc);
        if (rc < 0) {
            snn_conf_free(doc);
            return rc;
        }
    }
    struct snn_conf *section = snn_conf_get(snn_conf_root(*doc), "data");
    int rc = !section ? snn_error(SNN_EUSAGE, "%s: has no data section", name) : SNN_OK;
    const struct snn_conf *other = snn_conf_item(snn_conf_root(*doc), 1);
    if (known && other) rc = snn_conf_error(other, "expected a key below data");
    if (rc >= 0 && section->kind != SNN_CONF_MAP) rc = snn_conf_error(section, "expected keys: {name: ...}");
    if (rc >= 0) rc = snn_data_config_read(section, config);
    if (rc < 0) snn_conf_free(doc);
    return rc;
}

int cli_subset(const char *name, int *subset) {
    static const char *const names[] = {"train", "validation", "test", NULL};
    for (int i = 0; names[i]; ++i)
        if (!strcmp(names[i], name)) {
            *subset = i;
            return SNN_OK;
        }
    return snn_error(SNN_EUSAGE, "--split: expected test, validation or train, got '%s'", name);
}

static int find_checkpoint(const struct cli *cli, const char *path, struct cli_trained *out) {
    const char *which = cli->checkpoint ? cli->checkpoint : "best";
    if (strcmp(which, "best") && strcmp(which, "last"))
        return snn_error(SNN_EUSAGE, "--checkpoint: expected best or last, got '%s'", which);
    if (snn_is_directory(path)) {
        snprintf(out->dir, sizeof out->dir, "%s", path);
        if (snprintf(out->checkpoint, sizeof out->checkpoint, "%s/%s.safetensors", path, which) >=
            (int)sizeof out->checkpoint)
            return snn_error(SNN_EUSAGE, "%.80s...: path too long", path);
        if (!snn_file_exists(out->checkpoint))
            return snn_error(SNN_EDATA, "%s: there is no such checkpoint (is %s a run folder?)", out->checkpoint, path);
        return SNN_OK;
    }
    if (!snn_file_exists(path)) return snn_error(SNN_EDATA, "%s: no such run folder or file", path);
    snprintf(out->checkpoint, sizeof out->checkpoint, "%s", path);
    const char *slash = strrchr(path, '/');
    snprintf(out->dir, sizeof out->dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return SNN_OK;
}

static int ready(const struct cli *cli, int subset, int32_t timesteps, bool data, struct cli_trained *out) {
    struct snn_experiment *e = &out->e;
    if (!data) return SNN_OK;
    e->data.augments = 0; /* what is evaluated is the samples as they are */
    SNN_TRY(snn_experiment_data(e, cli->data, 1u << subset, 0, timesteps));
    if (!e->loader[subset]) return snn_error(SNN_EUSAGE, "this run has no validation split (data.validation is none)");
    struct snn_network_plan plan = snn_experiment_plan(e, false);
    SNN_TRY(snn_network_allocate(&e->network, &plan));
    return snn_checkpoint_trained(out->checkpoint, e);
}

int cli_open_trained(const struct cli *cli, const char *path, int subset, int32_t timesteps, bool data,
                     struct cli_trained *out) {
    struct snn_conf_doc *doc = NULL;
    char *yaml = NULL;
    *out = (struct cli_trained){0};
    SNN_TRY(find_checkpoint(cli, path, out));
    SNN_TRY(snn_checkpoint_config(out->checkpoint, &yaml));
    int rc = snn_conf_parse(yaml, strlen(yaml), out->checkpoint, &doc);
    free(yaml);
    if (rc < 0) return snn_error(SNN_EDATA, "%s", snn_error_text());
    rc = apply_changes(cli, doc);
    if (rc < 0) {
        snn_conf_free(&doc);
        return rc;
    }
    struct snn_experiment_options options = {.device = cli->device,
                                             .threads = (int)cli->threads,
                                             .hard = cli->hard,
                                             .data_dir = cli->data,
                                             .warnings = cli_warnings(cli),
                                             .watch = cli_watch(cli)};
    SNN_TRY(snn_experiment_read(doc, &options, &out->e));
    rc = ready(cli, subset, timesteps, data, out);
    if (rc < 0) cli_close_trained(out);
    return rc;
}

void cli_say_device(const struct cli *cli, const struct snn_device *device) {
    char text[512];
    if (cli->quiet) return;
    snn_device_text(device, text, sizeof text);
    fprintf(cli->text, "device: %s\n", text);
    fflush(cli->text);
}

void cli_close_trained(struct cli_trained *t) { snn_experiment_close(&t->e); }
