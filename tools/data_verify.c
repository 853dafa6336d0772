/* SPDX-License-Identifier: Apache-2.0
 * data_verify.c - snntrain data verify: every file and sample is read; the last line is the verdict. */
#include "core/status.h"
#include "data.h"

struct report {
    FILE *to; /* NULL: nowhere */
    struct snn_bar bar;
};

static void print_line(void *payload, const char *line) {
    struct report *report = payload;
    if (!report->to) return;
    bool on = report->bar.on;
    snn_bar_clear(&report->bar);
    report->bar.on = on; /* and drawn anew when it moves */
    fprintf(report->to, "%s\n", line);
}

int data_verify(struct cli *cli) {
    struct data_source source;
    SNN_TRY(data_open(cli, &source));
    const struct snn_dataset_info *info = &source.set->info;
    struct report report = {.to = cli->quiet ? NULL : cli->text};
    snn_bar_start(&report.bar, info->name, info->count[SNN_TRAIN] + info->count[SNN_TEST], !cli->quiet);
    source.set->watch = data_watch(&report.bar);
    int rc = source.set->ops->verify(source.set, print_line, &report);
    snn_bar_clear(&report.bar);
    if (rc >= 0) {
        bool proven = rc == SNN_AS_DISTRIBUTED;
        if (report.to)
            fprintf(report.to, "%s: intact, %s (%d training and %d test samples)\n", info->name,
                    proven ? "and its checksums are those of the distributed files"
                           : "as far as its structure tells: no checksum proves all of its contents",
                    (int)info->count[SNN_TRAIN], (int)info->count[SNN_TEST]);
        rc = SNN_OK;
        if (cli->json)
            rc = cli_print_json(json_pack("{s:s,s:b,s:b}", "name", info->name, "intact", 1, "as_distributed", proven));
    }
    data_close(&source);
    return rc;
}
