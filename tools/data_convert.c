/* SPDX-License-Identifier: Apache-2.0
 * data_convert.c - snntrain data convert: the recordings of any set as HDF5, a file a split. */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "data.h"
#include "datasets/hdf5_write.h"

/* Where a part goes: `path` itself when only one is wanted, else with the part's name before the suffix. */
static char *path_of(const char *path, const struct data_part *part, bool alone) {
    char *out;
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    int stem = dot && dot[1] ? (int)(dot - path) : (int)strlen(path);
    if (alone) return strdup(path);
    /* "valid", as SSC's own files say */
    return asprintf(&out, "%.*s_%s%s", stem, path, !strcmp(part->name, "validation") ? "valid" : part->name,
                    path + stem) < 0
               ? NULL
               : out;
}

static int write_recordings(const struct cli *cli, struct snn_dataset *set, const struct data_part *part,
                            struct snn_events_file *file, int64_t *events) {
    struct snn_sample sample = {0};
    struct snn_bar bar;
    int rc = SNN_OK;
    snn_bar_start(&bar, part->name, part->count, !cli->quiet);
    struct snn_watch watch = data_watch(&bar);
    for (int32_t i = 0; rc >= 0 && i < part->count; ++i) {
        int32_t group = set->ops->group ? set->ops->group(set, part->split, part->first + i) : -1;
        rc = set->ops->get(set, part->split, part->first + i, &sample);
        if (rc >= 0) rc = snn_events_add(file, &sample, group);
        if (rc >= 0) rc = snn_watch_moved(&watch, i + 1, part->count);
        *events += (int64_t)sample.event_count;
    }
    snn_bar_clear(&bar);
    snn_sample_free(&sample);
    return rc;
}

static int convert_part(const struct cli *cli, struct snn_dataset *set, const struct data_part *part, bool alone,
                        json_t *files) {
    struct snn_events_file *file = NULL;
    int64_t events = 0;
    char *path = path_of(cli->output, part, alone);
    int rc =
        path ? snn_events_create(path, set, part->name, part->count, &file) : snn_error(SNN_EFAIL, "out of memory");
    if (rc >= 0) rc = write_recordings(cli, set, part, file, &events);
    if (rc >= 0) rc = snn_events_commit(&file);
    else snn_events_abandon(&file);
    if (rc >= 0 && !cli->quiet)
        fprintf(cli->text, "%s: %d recordings, %lld events\n", path, (int)part->count, (long long)events);
    if (rc >= 0)
        json_array_append_new(files, json_pack("{s:s,s:s,s:i,s:I}", "file", path, "split", part->name, "samples",
                                               (int)part->count, "events", (json_int_t)events));
    free(path);
    return rc;
}

static int convert(const struct cli *cli, struct snn_dataset *set) {
    struct data_part part[DATA_PARTS];
    const struct data_part *wanted;
    if (!cli->output) return snn_error(SNN_EUSAGE, "data convert: where to? give -o FILE.h5");
    if (set->info.kind != SNN_RECORDINGS)
        return snn_error(SNN_EUSAGE, "data convert: is for recordings, and %s has %s", set->info.name,
                         set->info.kind == SNN_IMAGES ? "images" : "sequences");
    data_parts(set, part);
    SNN_TRY(data_wanted_part(cli, set, part, &wanted));
    json_t *files = json_array();
    int rc = SNN_OK;
    for (int k = 0; rc >= 0 && k < DATA_PARTS; ++k)
        if (wanted ? wanted == &part[k] : part[k].count > 0)
            rc = convert_part(cli, set, &part[k], wanted != NULL, files);
    if (rc >= 0) data_say_warnings(cli, set);
    if (rc >= 0 && cli->json) return cli_print_json(json_pack("{s:s,s:o}", "name", set->info.name, "files", files));
    json_decref(files);
    return rc;
}

int data_convert(struct cli *cli) {
    struct data_source source;
    SNN_TRY(data_open(cli, &source));
    int rc = convert(cli, source.set);
    data_close(&source);
    return rc;
}
