/* SPDX-License-Identifier: Apache-2.0
 * cmd_data.c - snntrain data: the table of verbs, and what they share. */
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "data.h"

static const struct verb {
    const char *name;
    int (*run)(struct cli *cli);
    int (*of_file)(const struct cli *cli, const char *path); /* of a recording in a file; NULL: it is for data sets */
    bool of_cache;                                           /* it is for neither */
} verbs[] = {
    {"info", data_info, data_file_info}, {"verify", data_verify, NULL},   {"show", data_show, data_file_show},
    {"fetch", data_fetch, NULL},         {"convert", data_convert, NULL}, {"cache", data_cache, NULL, true},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

int data_open(const struct cli *cli, struct data_source *out) {
    *out = (struct data_source){.from_config = !snn_dataset_find(cli->arg[1])};
    SNN_TRY(cli_load_data(cli, cli->arg[1], &out->config, &out->doc));
    int rc =
        snn_dataset_open(out->config.name, cli->data, out->config.root, snn_data_set_options(&out->config), &out->set);
    if (rc < 0) data_close(out);
    return rc;
}

void data_close(struct data_source *source) {
    snn_dataset_close(&source->set);
    snn_conf_free(&source->doc);
}

void data_parts(const struct snn_dataset *set, struct data_part part[DATA_PARTS]) {
    int32_t own = set->info.own_validation, train = set->info.count[SNN_TRAIN] - own;
    part[SNN_SUBSET_TRAIN] = (struct data_part){"train", SNN_TRAIN, 0, train};
    part[SNN_SUBSET_VALIDATION] = (struct data_part){"validation", SNN_TRAIN, train, own};
    part[SNN_SUBSET_TEST] = (struct data_part){"test", SNN_TEST, 0, set->info.count[SNN_TEST]};
}

int data_wanted_part(const struct cli *cli, const struct snn_dataset *set, const struct data_part part[DATA_PARTS],
                     const struct data_part **wanted) {
    int subset;
    *wanted = NULL;
    if (!cli->split) return SNN_OK;
    SNN_TRY(cli_subset(cli->split, &subset));
    if (!part[subset].count)
        return snn_error(SNN_EUSAGE, "--split: %s has no %s samples%s", set->info.name, part[subset].name,
                         subset == SNN_SUBSET_VALIDATION ? " of its own; they are set apart by a config" : "");
    *wanted = &part[subset];
    return SNN_OK;
}

void data_say_warnings(const struct cli *cli, struct snn_dataset *set) {
    char text[600];
    int64_t warnings = snn_dataset_warnings(set, text);
    if (!warnings || cli->quiet) return;
    fprintf(cli->text, "warning: %s", text);
    if (warnings > 1) fprintf(cli->text, "; and %lld more such reads", (long long)(warnings - 1));
    fprintf(cli->text, "\n");
}

static bool move_bar(void *payload, int64_t done, int64_t total) {
    struct snn_bar *bar = payload;
    if (total > 0) bar->total = total;
    snn_bar_move(bar, (double)done, NULL);
    return !cli_stop;
}

struct snn_watch data_watch(struct snn_bar *bar) {
    return (struct snn_watch){.moved = move_bar, .payload = bar};
}

/* A file that is neither a config nor hides behind the name of a set. */
static bool is_recording(const char *name) {
    const char *dot = strrchr(name, '.');
    return !snn_dataset_find(name) && (!dot || (strcmp(dot, ".yaml") && strcmp(dot, ".yml"))) &&
           snn_file_exists(name) && !snn_is_directory(name);
}

static int run_verb(struct cli *cli, const struct verb *verb) {
    if (verb->of_cache) return verb->run(cli);
    if (cli->clear || cli->cache)
        return snn_error(SNN_EUSAGE, "data %s: %s is for data cache", verb->name, cli->clear ? "--clear" : "--cache");
    SNN_TRY(cli_expect_args(cli, 2, 2));
    const char *name = cli->arg[1];
    if (is_recording(name)) {
        if (verb->of_file) return verb->of_file(cli, name);
        return snn_error(SNN_EUSAGE, "data %s is for data sets; data info reads the whole of a recording", verb->name);
    }
    if (cli->unit || cli->format || cli->map)
        return snn_error(SNN_EUSAGE, "--unit, --format and --map are for recordings in files, and there is no file %s",
                         name);
    return verb->run(cli);
}

int cmd_data(struct cli *cli) {
    const char *names[VERBS + 1] = {NULL};
    char list[200] = "";
    for (int i = 0; i < VERBS; ++i) {
        names[i] = verbs[i].name;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", !i ? "" : i < VERBS - 1 ? ", " : " or ", verbs[i].name);
    }
    if (!cli->args) return snn_error(SNN_EUSAGE, "data: expected %s (`snntrain data --help`)", list);
    for (int i = 0; i < VERBS; ++i)
        if (!strcmp(cli->arg[0], verbs[i].name)) return run_verb(cli, &verbs[i]);
    const char *near = snn_nearest(cli->arg[0], names);
    if (near) return snn_error(SNN_EUSAGE, "data: unknown verb '%s' (did you mean '%s'?)", cli->arg[0], near);
    return snn_error(SNN_EUSAGE, "data: expected %s, got '%s'", list, cli->arg[0]);
}
