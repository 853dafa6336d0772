/* SPDX-License-Identifier: Apache-2.0
 * cmd_check.c - snntrain check. Gradients are proved in double, by a second build of the program beside this one
 * (snntrain-check); the same source serves both. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "core/status.h"
#include "train/check.h"
#include "train/device.h"

#ifndef SNN_DOUBLE

/* Hand over to the double build with the same arguments. */
int cmd_check(struct cli *cli) {
    static char path[4096 + 16];
    const char *argv[2 * CLI_ARGS + 16] = {path, "check"};
    char number[32];
    int n = 2;
    SNN_TRY(cli_expect_args(cli, 0, 1));
    ssize_t size = readlink("/proc/self/exe", path, 4096);
    if (size <= 0) return snn_error(SNN_EFAIL, "this program's own place cannot be found: %s", strerror(errno));
    path[size] = 0;
    char *slash = strrchr(path, '/');
    snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "snntrain-check");
    for (int i = 0; i < cli->sets; ++i) argv[n++] = "--set", argv[n++] = cli->set[i];
    if (cli->seed) argv[n++] = "--seed", argv[n++] = cli->seed;
    if (cli->device) argv[n++] = "--device", argv[n++] = cli->device;
    snprintf(number, sizeof number, "%ld", cli->threads);
    if (cli->threads) argv[n++] = "--threads", argv[n++] = number;
    if (cli->json) argv[n++] = "--json";
    if (cli->quiet) argv[n++] = "--quiet";
    argv[n++] = "--";
    if (cli->args) argv[n++] = cli->arg[0];
    argv[n] = NULL;
    execv(path, (char *const *)argv);
    return snn_error(SNN_EFAIL, "%s cannot be started: %s", path, strerror(errno));
}

#else

struct failures {
    json_t *list;
    FILE *text;
};

static void on_failure(void *payload, const char *what, double error) {
    struct failures *f = payload;
    fprintf(f->text, "FAILED %s: relative error %.2e\n", what, error);
    json_array_append_new(f->list, json_pack("{s:s,s:f}", "what", what, "error", error < 1e300 ? error : 1e300));
}

enum { LARGE = 1 << 20, DIRECTIONS = 8 }; /* networks of so many parameters are checked along directions */
enum { SMALL = 1024 }; /* of inputs of up to so many units there is time for four: norms have more to do than of two */

/* The network of a config on a small synthetic batch. */
static int check_config(struct cli *cli, struct snn_check_report *report) {
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    SNN_TRY(cli_load_config(cli, cli->arg[0], &doc));
    struct snn_experiment_options options = {
        .device = cli->device, .threads = (int)cli->threads, .double_check = true, .data_dir = cli->data};
    SNN_TRY(snn_experiment_read(doc, &options, &e));
    int32_t T = e.data.timesteps > 0 && e.data.timesteps < 4 ? (int32_t)e.data.timesteps : 4;
    enum snn_check_targets targets = e.network.target_steps ? SNN_CHECK_NUMBERS_STEP
                                     : e.network.regression ? SNN_CHECK_NUMBERS
                                                            : SNN_CHECK_LABELS;
    struct snn_check_options o = {.what = cli->arg[0], .T = T, .B = 2, .targets = targets, .per_tensor = 8};
    ptrdiff_t parameters = 0;
    for (int i = 0; i < e.network.model.params.count; ++i) parameters += e.network.model.params.list[i]->count;
    if (parameters >= LARGE) o.directions = DIRECTIONS;
    if (o.directions && e.network.model.tape.input->units <= SMALL) o.B = 4;
    char what[5000];
    int rc = snn_check_network(&e.network, &o, report);
    for (int k = 1; rc >= 0 && k < e.stage_count; ++k) {
        snprintf(what, sizeof what, "%s, stage %d", cli->arg[0], k + 1);
        o.what = what;
        rc = snn_experiment_enter(&e, k);
        if (rc >= 0) rc = snn_check_network(&e.network, &o, report);
    }
    snn_experiment_close(&e);
    return rc;
}

static int check_all(const struct cli *cli, struct snn_check_report *report) {
    struct snn_device device;
    SNN_TRY(snn_device_open(cli->device ? cli->device : "auto", (int)cli->threads, &device));
    return snn_check_everything(&device, report);
}

static int print_report(const struct cli *cli, const struct snn_check_report *report, json_t *failures) {
    if (cli->json)
        return cli_print_json(json_pack("{s:i,s:i,s:i,s:f,s:O}", "checks", report->checks, "failed", report->failed,
                                        "left_out", report->left_out, "worst_relative_error",
                                        report->worst < 1e300 ? report->worst : 1e300, "failures", failures));
    if (!cli->quiet) {
        printf("%d gradients checked in double, %d failed; worst relative error %.1e (tolerance %.0e)\n",
               report->checks, report->failed, report->worst, report->tolerance);
        if (report->left_out)
            printf("left out: %d tensors whose gradient is too small for differences to tell\n", report->left_out);
    }
    return SNN_OK;
}

int cmd_check(struct cli *cli) {
    struct failures failures = {json_array(), cli->text};
    struct snn_check_report report = {.failure = on_failure, .payload = &failures};
    int rc = cli_expect_args(cli, 0, 1);
    if (rc >= 0) rc = cli->args ? check_config(cli, &report) : check_all(cli, &report);
    if (rc >= 0) rc = print_report(cli, &report, failures.list);
    json_decref(failures.list);
    SNN_TRY(rc);
    return report.failed ? snn_error(SNN_EFAIL, "%d of %d gradients are wrong", report.failed, report.checks) : SNN_OK;
}

#endif
