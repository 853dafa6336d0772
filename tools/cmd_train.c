/* SPDX-License-Identifier: Apache-2.0
 * cmd_train.c - snntrain train */
#include <math.h>
#include <string.h>

#include "cli.h"
#include "core/file.h"
#include "core/status.h"
#include "train/run.h"

static json_t *split_json(const struct snn_record *r) {
    if (!r->samples) return json_null();
    return json_pack("{s:f,s:o,s:I}", "loss", r->loss, "accuracy", snn_json_number(r->accuracy), "samples",
                     (json_int_t)r->samples);
}

static int print_result(const struct cli *cli, const char *dir, const struct snn_run_result *r) {
    if (cli->json)
        return cli_print_json(json_pack(
            "{s:s,s:I,s:f,s:I,s:I,s:o,s:o,s:o,s:s}", "run", dir, "epochs", (json_int_t)r->epochs, "seconds", r->seconds,
            "steps", (json_int_t)r->steps, "parameters", (json_int_t)r->parameters, "train", split_json(&r->split[0]),
            "validation", split_json(&r->split[1]), "test", split_json(&r->split[2]), "selected_by", r->selected_by));
    if (cli->quiet) return SNN_OK;
    const struct snn_record *test = &r->split[SNN_SUBSET_TEST];
    if (isnan(test->accuracy)) printf("test loss %.6f (%lld samples", test->loss, (long long)test->samples);
    else
        printf("test accuracy %.2f %% (%.0f of %lld", 100 * test->accuracy, test->accuracy * (double)test->samples,
               (long long)test->samples);
    printf("; epoch %lld, selected by %s) in %.1f s\nresults in %s\n", (long long)test->epoch, r->selected_by,
           r->seconds, dir);
    return SNN_OK;
}

static void print_head(const struct cli *cli, const struct snn_experiment *e, const char *dir) {
    ptrdiff_t parameters = 0;
    if (cli->quiet) return;
    for (int i = 0; i < e->network.model.layers; ++i) parameters += e->network.model.layer[i].parameters;
    fprintf(cli->text, "%s: %d train%s%s, %d test samples; %td parameters; %d steps; run folder %s\n", e->data.name,
            (int)snn_loader_samples(e->loader[0]), e->loader[1] ? " + validation" : "", "",
            (int)snn_loader_samples(e->loader[2]), parameters, (int)e->steps, dir);
    cli_say_device(cli, &e->device);
}

static int train(struct cli *cli, struct snn_experiment *e, const char *dir) {
    struct snn_run_options options = {
        .dir = dir, .resume = cli->resume, .quiet = cli->quiet, .lines = cli->text, .stop = &cli_stop};
    struct snn_run_result result;
    if (!*dir) return snn_error(SNN_EUSAGE, "the run folder has no name: give --out DIR or run.dir");
    if (!cli->resume && (snn_file_exists(dir) || snn_is_directory(dir)))
        return snn_error(SNN_EUSAGE,
                         "%s exists already: --resume goes on with it, --out DIR (or run.dir) names another", dir);
    SNN_TRY(snn_experiment_data(e, cli->data, 7, 0, 0));
    print_head(cli, e, dir);
    int rc = snn_train(e, &options, &result);
    if (rc == SNN_EUSAGE && !e->device.shared && e->network.model.tape.pool_bytes && !cli->quiet)
        cli_print_layers(stderr, &e->network.model); /* a plan that does not fit: what takes how much */
    SNN_TRY(rc);
    return print_result(cli, dir, &result);
}

int cmd_train(struct cli *cli) {
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    SNN_TRY(cli_expect_args(cli, 1, 1));
    SNN_TRY(cli_load_config(cli, cli->arg[0], &doc));
    struct snn_experiment_options options = {.device = cli->device,
                                             .threads = (int)cli->threads,
                                             .data_dir = cli->data,
                                             .warnings = cli_warnings(cli),
                                             .watch = cli_watch(cli)};
    SNN_TRY(snn_experiment_read(doc, &options, &e));
    bool is_run = snn_is_directory(cli->arg[0]);
    int rc = train(cli, &e, cli->out ? cli->out : is_run ? cli->arg[0] : e.run.dir);
    snn_experiment_close(&e);
    return rc;
}
