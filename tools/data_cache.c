/* SPDX-License-Identifier: Apache-2.0
 * data_cache.c - snntrain data cache: what is kept of decoded recordings (data.cache), and removing it. */
#include <stdlib.h>
#include <time.h>

#include "core/status.h"
#include "data.h"
#include "datasets/cache.h"

enum { TEXT = 32 };

static const char *size_text(int64_t bytes, char text[TEXT]) {
    if (bytes < 1000000) snprintf(text, TEXT, "%.1f kB", (double)bytes * 1e-3);
    else if (bytes < 1000000000) snprintf(text, TEXT, "%.1f MB", (double)bytes * 1e-6);
    else snprintf(text, TEXT, "%.2f GB", (double)bytes * 1e-9);
    return text;
}

static const char *time_text(int64_t seconds, const char *format, char text[TEXT]) {
    time_t t = (time_t)seconds;
    struct tm local;
    if (!localtime_r(&t, &local) || !strftime(text, TEXT, format, &local)) snprintf(text, TEXT, "?");
    return text;
}

static int print_list(const struct cli *cli, const char *folder, const struct snn_cache_entry *list, int count) {
    char size[TEXT], when[TEXT];
    json_t *entries = json_array();
    int64_t bytes = 0;
    for (int i = 0; i < count; ++i) {
        const struct snn_cache_entry *e = &list[i];
        bytes += e->bytes;
        json_array_append_new(entries, json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:s}", "name", e->name, "set", e->set,
                                                 "split", e->split, "holds", e->holds, "samples", (int)e->samples,
                                                 "filled", (int)e->filled, "bytes", (json_int_t)e->bytes, "last_use",
                                                 time_text(e->last_use, "%Y-%m-%dT%H:%M:%S%z", when)));
    }
    if (cli->json)
        return cli_print_json(
            json_pack("{s:s,s:I,s:o}", "folder", folder, "bytes", (json_int_t)bytes, "entries", entries));
    json_decref(entries);
    if (cli->quiet) return SNN_OK;
    printf("%s: %d %s, %s\n", folder, count, count == 1 ? "entry" : "entries", size_text(bytes, size));
    if (count) printf("%-46s %-6s %-7s %17s %10s  %s\n", "name", "split", "holds", "samples", "size", "last use");
    for (int i = 0; i < count; ++i) {
        const struct snn_cache_entry *e = &list[i];
        char samples[TEXT];
        snprintf(samples, sizeof samples, "%d of %d", (int)e->filled, (int)e->samples);
        printf("%-46s %-6s %-7s %17s %10s  %s\n", e->name, e->split, e->holds, samples, size_text(e->bytes, size),
               time_text(e->last_use, "%Y-%m-%d %H:%M", when));
    }
    return SNN_OK;
}

static int clear(const struct cli *cli, const char *folder, const char *name) {
    struct snn_cache_removal gone;
    char size[TEXT];
    SNN_TRY(snn_cache_remove(folder, name, &gone));
    if (name && !gone.removed && !gone.in_use)
        return snn_error(SNN_EUSAGE, "%s: holds no entry of '%s' (snntrain data cache lists them)", folder, name);
    if (cli->json)
        return cli_print_json(json_pack("{s:s,s:i,s:i,s:I}", "folder", folder, "removed", gone.removed, "in_use",
                                        gone.in_use, "bytes", (json_int_t)gone.bytes));
    if (cli->quiet) return SNN_OK;
    printf("%s: %d %s removed, %s", folder, gone.removed, gone.removed == 1 ? "entry" : "entries",
           size_text(gone.bytes, size));
    if (gone.in_use) printf("; %d in use stay", gone.in_use);
    printf("\n");
    return SNN_OK;
}

int data_cache(struct cli *cli) {
    const char *name = cli->args > 1 ? cli->arg[1] : NULL;
    struct snn_cache_entry *list = NULL;
    char *folder;
    int count = 0;
    SNN_TRY(cli_expect_args(cli, 1, 2));
    if (name && !cli->clear)
        return snn_error(SNN_EUSAGE, "data cache: a name goes with --clear (without it, all entries are listed)");
    SNN_TRY(snn_cache_folder(cli->cache ? cli->cache : "auto", &folder));
    int rc = cli->clear ? clear(cli, folder, name) : snn_cache_list(folder, &list, &count);
    if (rc >= 0 && !cli->clear) rc = print_list(cli, folder, list, count);
    snn_cache_list_free(&list, count);
    free(folder);
    return rc;
}
