/* SPDX-License-Identifier: Apache-2.0
 * data_fetch.c - snntrain data fetch: the files of a data set into a folder, or how to get them by hand. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "data.h"
#include "datasets/fetch.h"

static const char *const done[] = {
    [SNN_FETCH_NEW] = "fetched",
    [SNN_FETCH_UNPACKED] = "fetched and unpacked",
    [SNN_FETCH_KEPT] = "already there, as distributed",
    [SNN_FETCH_KEPT_UNPROVEN] = "already there; its checksum is not known",
};

struct view {
    const struct cli *cli;
    struct snn_bar bar;
};

static void begin(void *payload, const char *what, int64_t total) {
    struct view *view = payload;
    snn_bar_clear(&view->bar);
    snn_bar_start(&view->bar, what, total, !view->cli->quiet);
}

static void say(void *payload, const char *line) {
    struct view *view = payload;
    snn_bar_clear(&view->bar);
    if (!view->cli->quiet) fprintf(view->cli->text, "%s; trying the next address\n", line);
}

static int find(const char *name, const struct snn_downloads **out) {
    const char *names[64];
    int n = 0;
    *out = snn_downloads_find(name);
    if (*out) return SNN_OK;
    const struct snn_dataset_ops *ops = snn_dataset_find(name);
    if (ops && ops->made) return snn_error(SNN_EUSAGE, "%s is computed: there is nothing to fetch", name);
    if (ops) return snn_error(SNN_EDATA, "%s lies ready nowhere: %s", name, ops->how_to_get);
    for (const struct snn_downloads *d = snn_downloads; d->set && n < 63; ++d) names[n++] = d->set;
    names[n] = NULL;
    const char *near = snn_nearest(name, names);
    if (near) return snn_error(SNN_EUSAGE, "fetch: unknown data set '%s' (did you mean '%s'?)", name, near);
    return snn_error(SNN_EUSAGE, "fetch: unknown data set '%s' (snntrain list datasets names them)", name);
}

/* -o, --data, or where $SNNTRAIN_DATA makes it found by itself. */
static int choose_folder(const struct cli *cli, const char *set, char *folder, size_t size) {
    const char *given = cli->output ? cli->output : cli->data, *base = getenv("SNNTRAIN_DATA");
    if (!given && !(base && *base))
        return snn_error(SNN_EUSAGE,
                         "data fetch: where to? give -o DIR, or set SNNTRAIN_DATA to a folder for all data sets");
    int n = given ? snprintf(folder, size, "%s", given) : snprintf(folder, size, "%s/%s", base, set);
    return n < (int)size ? SNN_OK : snn_error(SNN_EUSAGE, "%.80s...: path too long", folder);
}

static void print_plan(FILE *to, const struct snn_downloads *downloads, const char *folder) {
    int files = snn_downloads_count(downloads);
    double bytes = 0;
    for (int i = 0; i < files; ++i) bytes += (double)downloads->file[i].bytes;
    fprintf(to, "%s into %s: %d file%s", downloads->set, folder, files, files > 1 ? "s" : "");
    if (bytes > 0) fprintf(to, ", %.*f MB", bytes < 1e8, bytes * 1e-6);
    fprintf(to, "; licence: %s; %s\n", downloads->licence, downloads->page);
    fflush(to);
}

/* What a person has to do, unless it is done. */
static int by_hand(const struct cli *cli, const struct snn_downloads *downloads, const char *folder) {
    for (int i = 0; i < snn_downloads_count(downloads); ++i) {
        char *path = snn_fetch_path(&downloads->file[i], folder);
        bool there = path && snn_file_exists(path);
        free(path);
        if (there) continue;
        fprintf(cli->text,
                "%s is described at %s (licence: %s).\n%s\nPut %s into %s (md5 %s), then run\n"
                "  snntrain data fetch %s -o %s\nagain, which looks at its checksum.\n",
                downloads->set, downloads->page, downloads->licence, downloads->by_hand, downloads->file[i].file,
                folder, downloads->file[i].md5, downloads->set, folder);
        fflush(cli->text);
        return snn_error(SNN_EDATA, "%s: holds no %s, which has to be downloaded by hand", folder,
                         downloads->file[i].file);
    }
    return SNN_OK;
}

static int fetch_all(const struct cli *cli, const struct snn_downloads *downloads, const char *folder, json_t *list) {
    const char *base = getenv("SNNTRAIN_MIRROR");
    char mirror[2048];
    struct view view = {.cli = cli};
    const struct snn_fetch_view callbacks = {
        .begin = begin, .say = say, .watch = data_watch(&view.bar), .payload = &view};
    bool mirrored = base && *base;
    if (mirrored && snprintf(mirror, sizeof mirror, "%s/%s", base, downloads->set) >= (int)sizeof mirror)
        return snn_error(SNN_EUSAGE, "SNNTRAIN_MIRROR is too long");
    for (int i = 0; i < snn_downloads_count(downloads); ++i) {
        const struct snn_download *d = &downloads->file[i];
        int rc = snn_fetch(d, folder, mirrored ? mirror : NULL, &callbacks);
        snn_bar_clear(&view.bar);
        SNN_TRY(rc);
        const char *name = d->unpacked ? d->unpacked : d->file;
        if (!cli->quiet) fprintf(cli->text, "%s/%s: %s\n", folder, name, done[rc]);
        fflush(cli->text);
        json_array_append_new(list, json_pack("{s:s,s:s}", "file", name, "state", done[rc]));
    }
    return SNN_OK;
}

int data_fetch(struct cli *cli) {
    const struct snn_downloads *downloads;
    char folder[4096];
    SNN_TRY(find(cli->arg[1], &downloads));
    SNN_TRY(choose_folder(cli, downloads->set, folder, sizeof folder));
    if (downloads->by_hand) SNN_TRY(by_hand(cli, downloads, folder));
    SNN_TRY(snn_make_directories(folder));
    if (!cli->quiet) print_plan(cli->text, downloads, folder);
    json_t *files = json_array();
    int rc = fetch_all(cli, downloads, folder, files);
    if (rc == SNN_EINTR)
        snn_error(rc, "interrupted: what has arrived stays in %s, and the same command goes on", folder);
    if (rc >= 0 && !cli->quiet && snn_dataset_find(downloads->set))
        fprintf(cli->text, "next: snntrain data verify %s --data %s\n", downloads->set, folder);
    if (rc >= 0 && cli->json)
        return cli_print_json(json_pack("{s:s,s:s,s:o}", "name", downloads->set, "root", folder, "files", files));
    json_decref(files);
    return rc;
}
