/* SPDX-License-Identifier: Apache-2.0
 * bench_timesteps.c - accuracy against the number of time steps.
 *
 * truncate: what an online system has seen after n steps; one pass over the data gives all n. rebin: the whole
 * recording framed into n steps, a pass for each n. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "core/file.h"
#include "core/status.h"
#include "train/evaluate.h"
#include "train/plot.h"
#include "train/runlog.h"

struct row {
    int32_t timesteps;
    double accuracy, loss, spikes, synops, macs, energy;
};
struct table {
    struct row *row;
    int count;
};

static int add(struct table *t, long n, long most) {
    if (n < 1 || n > most)
        return snn_error(SNN_EUSAGE, "--timesteps: expected numbers of 1..%ld (the data's steps), got %ld", most, n);
    if (t->count && n <= t->row[t->count - 1].timesteps)
        return snn_error(SNN_EUSAGE, "--timesteps: expected ascending numbers");
    struct row *more = realloc(t->row, (size_t)(t->count + 1) * sizeof *more);
    if (!more) return snn_error(SNN_EFAIL, "out of memory");
    t->row = more;
    t->row[t->count++] = (struct row){.timesteps = (int32_t)n};
    return SNN_OK;
}

/* "1,2,4" | "1..8" | a mix of both */
static int parse(const char *list, long T, struct table *t) {
    const char *at = list;
    do {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        if (end == at)
            return snn_error(SNN_EUSAGE, "--timesteps: expected a list such as 1,2,4 or 1..%ld, got '%s'", T, list);
        if (end[0] == '.' && end[1] == '.') {
            at = end + 2;
            last = *at == 'T' ? T : strtol(at, &end, 10);
            if (*at == 'T') end = (char *)at + 1;
            if (last > T || last < first)
                return snn_error(SNN_EUSAGE, "--timesteps: expected a range within 1..%ld, got '%s'", T, list);
        }
        for (long n = first; n <= last; ++n) SNN_TRY(add(t, n, T));
        if (*end && *end != ',')
            return snn_error(SNN_EUSAGE, "--timesteps: expected a list such as 1,2,4 or 1..%ld, got '%s'", T, list);
        at = end + 1;
        if (!*end) break;
    } while (true);
    return SNN_OK;
}

static void fill(struct row *row, const struct snn_metrics *m, int i) {
    double n = m->samples ? (double)m->samples : 1;
    const struct snn_score *s = &m->score[i];
    *row = (struct row){s->timesteps,
                        m->classes ? (double)s->correct / n : NAN,
                        s->loss / n,
                        s->spikes / n,
                        s->synops / n,
                        s->macs / n,
                        0};
    row->energy = snn_energy_uj(row->macs, row->synops);
}

static int measure(struct cli_trained *t, int subset, const int32_t *steps, int count, bool quiet,
                   struct snn_metrics *m) {
    struct snn_bar bar;
    snn_metrics_init(m, &t->e.network, t->e.steps, steps, count);
    snn_bar_start(&bar, "bench timesteps", snn_loader_samples(t->e.loader[subset]), !quiet);
    struct snn_evaluate_options options = {.subset = subset, .costs = true, .bar = &bar, .stop = &cli_stop};
    int rc = snn_evaluate(&t->e, &options, m);
    snn_bar_clear(&bar);
    return rc;
}

static int truncated(const struct cli *cli, struct cli_trained *t, int subset, struct table *table) {
    struct snn_metrics m = {0};
    int32_t *steps = calloc((size_t)table->count, sizeof *steps);
    if (!steps) return snn_error(SNN_EFAIL, "out of memory");
    for (int i = 0; i < table->count; ++i) steps[i] = table->row[i].timesteps;
    int rc = measure(t, subset, steps, table->count, cli->quiet, &m);
    for (int i = 0; rc >= 0 && i < table->count; ++i) fill(&table->row[i], &m, i);
    snn_metrics_free(&m);
    free(steps);
    return rc;
}

static int rebinned(const struct cli *cli, int subset, struct table *table) {
    for (int i = 0; i < table->count; ++i) {
        struct cli_trained t;
        struct snn_metrics m = {0};
        SNN_TRY(cli_open_trained(cli, cli->arg[1], subset, table->row[i].timesteps, true, &t));
        int rc = measure(&t, subset, NULL, 1, cli->quiet, &m);
        if (rc >= 0) fill(&table->row[i], &m, 0);
        snn_metrics_free(&m);
        cli_close_trained(&t);
        SNN_TRY(rc);
    }
    return SNN_OK;
}

static int write_csv(const char *dir, const struct table *t) {
    char path[4200], *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return snn_error(SNN_EFAIL, "out of memory");
    fprintf(f, "timesteps,accuracy,loss,spikes_per_sample,synops_per_sample,macs_per_sample,energy_uj\n");
    for (int i = 0; i < t->count; ++i) {
        const struct row *r = &t->row[i];
        fprintf(f, "%d,", (int)r->timesteps);
        if (!isnan(r->accuracy)) fprintf(f, "%.6f", r->accuracy);
        fprintf(f, ",%.6f,%.3f,%.3f,%.3f,%.6f\n", r->loss, r->spikes, r->synops, r->macs, r->energy);
    }
    fclose(f);
    snprintf(path, sizeof path, "%s/timesteps.csv", dir);
    int rc = snn_replace_file(path, text, size);
    free(text);
    return rc;
}

/* Where there are no classes the loss stands for the accuracy. */
static int write_plot(const char *dir, const struct table *t, const char *title, const char *protocol) {
    bool classes = !isnan(t->row[0].accuracy);
    const char *what = classes ? "accuracy" : "loss";
    char path[4200];
    double *x = calloc((size_t)t->count * 4, sizeof *x);
    if (!x) return snn_error(SNN_EFAIL, "out of memory");
    double *accuracy = x + t->count, *synops = accuracy + t->count, *energy = synops + t->count;
    for (int i = 0; i < t->count; ++i)
        x[i] = t->row[i].timesteps, accuracy[i] = classes ? t->row[i].accuracy : t->row[i].loss,
        synops[i] = t->row[i].synops, energy[i] = t->row[i].energy;
    const struct snn_curve left[] = {{what, x, accuracy, t->count, false, true},
                                     {"synaptic operations", x, synops, t->count, true, true}};
    const struct snn_curve right[] = {{"energy", x, energy, t->count, false, true},
                                      {what, x, accuracy, t->count, true, true}};
    const struct snn_panel panels[] = {{.title = classes ? "Accuracy against timesteps" : "Loss against timesteps",
                                        .x_label = "timesteps",
                                        .y_label = classes ? "accuracy (%)" : "loss",
                                        .y2_label = "synaptic operations a sample",
                                        .curves = left,
                                        .count = 2,
                                        .right_from = 1,
                                        .x_integer = true,
                                        .y_percent = classes,
                                        .note = protocol},
                                       {.title = "Energy against timesteps",
                                        .x_label = "timesteps",
                                        .y_label = "energy a sample (uJ)",
                                        .curves = right,
                                        .count = 1,
                                        .right_from = 1,
                                        .x_integer = true,
                                        .note = "4.6 pJ a multiply-add, 0.9 pJ an addition (45 nm)"}};
    snprintf(path, sizeof path, "%s/timesteps.png", dir);
    int rc = snn_plot_panels(path, title, panels, 2);
    free(x);
    return rc;
}

static int report(const struct cli *cli, const struct cli_trained *t, const struct table *table, const char *protocol,
                  const char *dir) {
    char title[600];
    SNN_TRY(snn_make_directories(dir));
    SNN_TRY(write_csv(dir, table));
    snprintf(title, sizeof title, "%s", t->e.data.name);
    SNN_TRY(write_plot(dir, table, title,
                       !strcmp(protocol, "rebin") ? "whole recording framed into n steps" : "first n steps"));
    if (cli->json) {
        json_t *rows = json_array();
        for (int i = 0; i < table->count; ++i) {
            const struct row *r = &table->row[i];
            json_array_append_new(rows, json_pack("{s:i,s:o,s:f,s:f,s:f,s:f,s:f}", "timesteps", (int)r->timesteps,
                                                  "accuracy", snn_json_number(r->accuracy), "loss", r->loss,
                                                  "spikes_per_sample", r->spikes, "synops_per_sample", r->synops,
                                                  "macs_per_sample", r->macs, "energy_uj", r->energy));
        }
        return cli_print_json(json_pack("{s:s,s:o}", "protocol", protocol, "rows", rows));
    }
    cli_say_device(cli, &t->e.device);
    printf("timesteps  accuracy      loss   spikes/sample   synops/sample     macs/sample   energy uJ\n");
    for (int i = 0; i < table->count; ++i) {
        const struct row *r = &table->row[i];
        printf("%9d  ", (int)r->timesteps);
        if (isnan(r->accuracy)) printf("%8s", "");
        else printf("%6.2f %%", 100 * r->accuracy);
        printf("  %8.4f  %14.0f  %14.0f  %14.0f  %10.4f\n", r->loss, r->spikes, r->synops, r->macs, r->energy);
    }
    if (!cli->quiet) printf("protocol %s; %s/timesteps.csv, %s/timesteps.png\n", protocol, dir, dir);
    return SNN_OK;
}

int bench_timesteps(struct cli *cli) {
    struct cli_trained t;
    struct table table = {0};
    const char *protocol = cli->protocol ? cli->protocol : "truncate", *split = cli->split ? cli->split : "test";
    int subset;
    bool rebin = !strcmp(protocol, "rebin");
    if (!rebin && strcmp(protocol, "truncate"))
        return snn_error(SNN_EUSAGE, "--protocol: expected truncate or rebin, got '%s'", protocol);
    SNN_TRY(cli_subset(split, &subset));
    SNN_TRY(cli_open_trained(cli, cli->arg[1], subset, 0, true, &t));
    int rc = SNN_OK;
    if (rebin && t.e.about.kind == SNN_SEQUENCES)
        rc = snn_error(SNN_EUSAGE, "--protocol: rebin is for recordings and images, and %s has sequences",
                       t.e.data.name);
    if (rc >= 0) rc = parse(cli->timesteps ? cli->timesteps : "1..T", t.e.steps, &table);
    if (rc >= 0) rc = rebin ? rebinned(cli, subset, &table) : truncated(cli, &t, subset, &table);
    if (rc >= 0) rc = report(cli, &t, &table, protocol, cli->out ? cli->out : t.dir);
    free(table.row);
    cli_close_trained(&t);
    return rc;
}
