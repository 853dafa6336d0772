/* SPDX-License-Identifier: Apache-2.0
 * cmd_data.c - snntrain data info|verify|show */
#include <stdlib.h>
#include <string.h>

#include "cmd_data.h"
#include "core/file.h"
#include "core/status.h"
#include "train/plot.h"

static json_t *counts_json(const struct snn_dataset *set, enum snn_split split) {
    int32_t classes = set->info.classes;
    json_int_t *count = calloc((size_t)classes, sizeof *count);
    json_t *list = json_array();
    for (int32_t i = 0; count && i < set->info.count[split]; ++i) count[set->ops->label(set, split, i)]++;
    for (int32_t c = 0; count && c < classes; ++c) json_array_append_new(list, json_integer(count[c]));
    free(count);
    return list;
}

static int info(const struct cli *cli, struct snn_dataset *set) {
    const struct snn_dataset_info *i = &set->info;
    json_t *by_class[2] = {counts_json(set, SNN_TRAIN), counts_json(set, SNN_TEST)};
    if (cli->json)
        return cli_print_json(json_pack("{s:s,s:i,s:i,s:i,s:[iii],s:i,s:s,s:o,s:o}", "name", i->name, "classes",
                                        (int)i->classes, "train", (int)i->count[0], "test", (int)i->count[1], "shape",
                                        (int)i->C, (int)i->H, (int)i->W, "files", (int)i->files, "root", set->root,
                                        "train_by_class", by_class[0], "test_by_class", by_class[1]));
    int wide = 12; /* of the names' column */
    for (int32_t c = 0; i->class_name && c < i->classes; ++c)
        if ((int)strlen(i->class_name[c]) > wide) wide = (int)strlen(i->class_name[c]);
    printf("%s%s%s: %d training and %d test samples in %d files, %s (%d,%d,%d)\n", i->name, *set->root ? " in " : "",
           set->root, (int)i->count[0], (int)i->count[1], (int)i->files,
           i->kind == SNN_RECORDINGS ? "events on"
           : i->kind == SNN_IMAGES   ? "images"
           : i->steps                ? "sequences of"
                                     : "numbers",
           (int)i->C, (int)i->H, (int)i->W);
    if (i->classes) printf("%-6s %-*s %8s %8s\n", "class", wide, "", "train", "test");
    else printf("numbers to learn: %d%s\n", (int)i->targets, i->target_steps ? " for every step" : "");
    for (int32_t c = 0; c < i->classes; ++c)
        printf("%-6d %-*s %8lld %8lld\n", (int)c, wide, i->class_name ? i->class_name[c] : "",
               (long long)json_integer_value(json_array_get(by_class[0], (size_t)c)),
               (long long)json_integer_value(json_array_get(by_class[1], (size_t)c)));
    json_decref(by_class[0]), json_decref(by_class[1]);
    return SNN_OK;
}

static void print_line(void *payload, const char *line) { fprintf(payload, "%s\n", line); }

static void no_line(void *payload, const char *line) { (void)payload, (void)line; }

static int verify(const struct cli *cli, struct snn_dataset *set) {
    SNN_TRY(set->ops->verify(set, cli->quiet ? no_line : print_line, cli->text));
    if (cli->json) return cli_print_json(json_pack("{s:s,s:b}", "name", set->info.name, "intact", 1));
    return SNN_OK;
}

int data_count_frames(const struct cli *cli, const struct snn_dataset_info *i, int32_t *T) {
    enum { MOST = 100 };
    char *end;
    long wanted = cli->timesteps ? strtol(cli->timesteps, &end, 10) : 10;
    *T = i->kind == SNN_RECORDINGS ? (int32_t)wanted : 1;
    if (!cli->timesteps) return SNN_OK;
    if (i->kind != SNN_RECORDINGS)
        return snn_error(SNN_EUSAGE, "--timesteps is for recordings, and %s has %s", i->name,
                         i->kind == SNN_IMAGES ? "images" : "numbers");
    if (end == cli->timesteps || *end || wanted < 1 || wanted > MOST)
        return snn_error(SNN_EUSAGE, "--timesteps: expected 1..%d frames, got '%s'", MOST, cli->timesteps);
    return SNN_OK;
}

float *data_frames(const struct snn_sample *s, const struct snn_dataset_info *i, int32_t T) {
    size_t units = (size_t)i->C * (size_t)i->H * (size_t)i->W;
    float *frames = calloc((size_t)T * units, sizeof *frames);
    const struct snn_data_config config = {.timesteps = T, .bin.by = SNN_BIN_TIME};
    if (frames && i->kind == SNN_RECORDINGS)
        snn_bin_events(&config, T, i->C, i->H, i->W, s->events, s->event_count, frames);
    for (size_t k = 0; frames && i->kind == SNN_IMAGES && k < units; ++k) frames[k] = s->pixels[k];
    return frames;
}

/* A sequence as a picture of one line for each of its inputs, (1, units, steps). */
static float *lines_of(const struct snn_sample *s, int32_t units) {
    float *lines = calloc((size_t)units * (size_t)s->steps, sizeof *lines);
    for (int32_t t = 0; lines && t < s->steps; ++t)
        for (int32_t u = 0; u < units; ++u)
            lines[(size_t)u * (size_t)s->steps + (size_t)t] = s->numbers[(size_t)t * (size_t)units + (size_t)u];
    return lines;
}

static int show(const struct cli *cli, struct snn_dataset *set, enum snn_split split) {
    const struct snn_dataset_info *i = &set->info;
    const char *out = cli->output ? cli->output : "sample.png";
    char title[300];
    struct snn_sample sample = {0};
    int32_t T;
    SNN_TRY(data_count_frames(cli, i, &T));
    if (cli->index >= i->count[split])
        return snn_error(SNN_EUSAGE, "--index %ld: the %s split of %s has %d samples", cli->index,
                         split ? "test" : "train", i->name, (int)i->count[split]);
    int rc = set->ops->get(set, split, (int32_t)cli->index, &sample);
    if (rc >= 0) {
        bool lines = i->kind == SNN_SEQUENCES;
        int32_t C = lines ? 1 : i->C, H = lines ? i->C * i->H * i->W : i->H, W = lines ? sample.steps : i->W;
        float *frames = lines ? lines_of(&sample, H) : data_frames(&sample, i, T);
        double ms = i->kind == SNN_RECORDINGS && sample.event_count
                        ? (double)(sample.events[sample.event_count - 1].t - sample.events[0].t) * 1e-3 / T
                        : 0;
        int n = snprintf(title, sizeof title, "%s, %s sample %ld", i->name, split ? "test" : "train", cli->index);
        if (i->classes)
            n += snprintf(title + n, sizeof title - (size_t)n, ", class %d%s%s%s", (int)sample.label,
                          i->class_name ? " (" : "", i->class_name ? i->class_name[sample.label] : "",
                          i->class_name ? ")" : "");
        if (i->kind == SNN_RECORDINGS && n < (int)sizeof title)
            snprintf(title + n, sizeof title - (size_t)n, ", %zu events", sample.event_count);
        rc = frames ? snn_plot_frames(out, title, frames, T, C, H, W, ms) : snn_error(SNN_EFAIL, "out of memory");
        free(frames);
        if (rc >= 0 && !cli->quiet) fprintf(cli->text, "%s: %s\n", out, title);
        if (rc >= 0 && cli->json)
            rc = cli_print_json(json_pack("{s:s,s:i,s:I}", "file", out, "label", (int)sample.label, "events",
                                          (json_int_t)sample.event_count));
    }
    snn_sample_free(&sample);
    return rc;
}

/* A file that is neither a config nor hides behind the name of a set. */
static bool is_recording(const char *name) {
    const char *dot = strrchr(name, '.');
    return !snn_dataset_find(name) && (!dot || (strcmp(dot, ".yaml") && strcmp(dot, ".yml"))) &&
           snn_file_exists(name) && !snn_is_directory(name);
}

int cmd_data(struct cli *cli) {
    struct snn_dataset *set = NULL;
    int subset = SNN_SUBSET_TRAIN;
    SNN_TRY(cli_expect_args(cli, 2, 2));
    const char *verb = cli->arg[0];
    if (strcmp(verb, "info") && strcmp(verb, "verify") && strcmp(verb, "show"))
        return snn_error(SNN_EUSAGE, "data: expected info, verify or show, got '%s'", verb);
    if (is_recording(cli->arg[1])) return data_file(cli, verb, cli->arg[1]);
    if (cli->unit || cli->format || cli->map)
        return snn_error(SNN_EUSAGE, "--unit, --format and --map are for recordings in files, and there is no file %s",
                         cli->arg[1]);
    if (cli->split) SNN_TRY(cli_subset(cli->split, &subset));
    if (subset == SNN_SUBSET_VALIDATION)
        return snn_error(SNN_EUSAGE, "--split: a data set has train and test; validation is made by a config");
    struct snn_data_config config;
    struct snn_conf_doc *doc;
    SNN_TRY(cli_load_data(cli, cli->arg[1], &config, &doc));
    int rc = snn_dataset_open(config.name, cli->data, config.root, snn_data_set_options(&config), &set);
    if (rc >= 0)
        rc = !strcmp(verb, "info")     ? info(cli, set)
             : !strcmp(verb, "verify") ? verify(cli, set)
                                       : show(cli, set, subset == SNN_SUBSET_TEST ? SNN_TEST : SNN_TRAIN);
    snn_dataset_close(&set);
    snn_conf_free(&doc);
    return rc;
}
