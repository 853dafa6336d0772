/* SPDX-License-Identifier: Apache-2.0
 * rules_report.c - learning rules compared, as a table, CSV, JSON and a picture. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_rules.h"
#include "core/file.h"
#include "core/status.h"
#include "train/plot.h"
#include "train/runlog.h"

static int whole_rows(const struct rules *b) {
    int n = 0;
    for (int i = 0; i < b->rows; ++i) n += rule_is_whole(&b->row[i]);
    return n;
}

/* ---- CSV ---- */

static void put(FILE *f, double value, const char *format) {
    fputc(',', f);
    if (!isnan(value)) fprintf(f, format, value);
}

static int write_csv(const struct rules *b) {
    char path[4200], *text = NULL;
    size_t size;
    static const char *const when[] = {"start", "trained"};
    FILE *f = open_memstream(&text, &size);
    if (!f) return snn_error(SNN_EFAIL, "out of memory");
    fprintf(f,
            "rule,split,accuracy,loss,ms_per_step,ms_min,peak_rss_mb,planned_bytes,macs_forward,macs_backward,synops,"
            "cosine_start,cosine_trained");
    for (int k = 0; k < RULES_TIMES; ++k)
        for (int t = 0; t < b->tensors; ++t) fprintf(f, ",cosine_%s:%s", when[k], b->tensor[t]);
    fprintf(f, "\n");
    for (int i = 0; i < b->rows; ++i) {
        const struct rule_row *r = &b->row[i];
        if (!rule_is_whole(r)) continue;
        fprintf(f, "%s,%s", r->name, r->split);
        put(f, r->accuracy, "%.6f"), put(f, r->loss, "%.6f"), put(f, r->ms, "%.4f"), put(f, r->least, "%.4f"),
            put(f, r->rss, "%.2f");
        put(f, r->planned, "%.0f"), put(f, r->forward, "%.0f"), put(f, r->backward, "%.0f"), put(f, r->synops, "%.0f");
        for (int k = 0; k < RULES_TIMES; ++k) put(f, r->whole[k], "%.6f");
        for (int k = 0; k < RULES_TIMES; ++k)
            for (int t = 0; t < b->tensors; ++t) put(f, r->cosine[k][t], "%.6f");
        fprintf(f, "\n");
    }
    fclose(f);
    snprintf(path, sizeof path, "%s/rules.csv", b->dir);
    int rc = snn_replace_file(path, text, size);
    free(text);
    return rc;
}

/* ---- the picture ---- */

/* "model.1.linear.weight" says no less without its first word. */
static const char *short_name(const char *tensor) { return strncmp(tensor, "model.", 6) ? tensor : tensor + 6; }

static int draw(const struct rules *b) {
    const int rows = whole_rows(b), tensors = b->tensors;
    const char **label = calloc((size_t)(rows + tensors), sizeof *label), **column = label ? label + rows : NULL;
    double *value = calloc((size_t)rows * (size_t)(4 + 2 * tensors), sizeof *value),
           *heat = value ? value + 4 * rows : NULL;
    char path[4200], title[400], note[1024], after[96];
    if (!label || !value) {
        free(label), free(value);
        return snn_error(SNN_EFAIL, "out of memory");
    }
    int n = 0, reference = -1;
    bool classes = true;
    for (int t = 0; t < tensors; ++t) column[t] = short_name(b->tensor[t]);
    for (int i = 0; i < b->rows; ++i) {
        const struct rule_row *r = &b->row[i];
        if (!rule_is_whole(r)) continue;
        classes = classes && !isnan(r->accuracy);
        if (!strcmp(r->name, "bptt")) reference = n;
        label[n] = r->name;
        value[n] = isnan(r->accuracy) ? r->loss : r->accuracy, value[rows + n] = r->ms;
        value[2 * rows + n] = r->planned * 1e-6, value[3 * rows + n] = r->rss;
        for (int k = 0; k < RULES_TIMES; ++k)
            memcpy(heat + ((size_t)(k * rows + n)) * (size_t)tensors, r->cosine[k], (size_t)tensors * sizeof *heat);
        ++n;
    }
    const char *split = "test";
    for (int i = 0; i < b->rows; ++i)
        if (rule_is_whole(&b->row[i])) split = b->row[i].split;
    const struct snn_bars bars[] = {{classes ? "Accuracy" : "Loss", split, value, classes},
                                    {"Time", "ms a training step", value + rows, false},
                                    {"Planned memory", "MB", value + 2 * rows, false},
                                    {"Peak memory", "MB, of a process", value + 3 * rows, false}};
    const struct snn_heat maps[] = {{"Gradient before training", column, heat, tensors},
                                    {"Gradient after training", column, heat + rows * tensors, tensors}};
    snprintf(title, sizeof title, "Learning rules: %s on %s", b->name, b->data);
    snprintf(after, sizeof after, "%lld epoch%s", b->epochs, b->epochs == 1 ? "" : "s");
    snprintf(note, sizeof note, "%s from the same weights; batch %d, %d steps, loss of each step; %s%s", after,
             b->batch, b->steps, b->device, reference >= 0 ? "; dashed: bptt" : "");
    const struct snn_comparison picture = {.title = title,
                                           .note = note,
                                           .scale = "cosine with the gradient of BPTT on the same weights and batches",
                                           .label = label,
                                           .rows = rows,
                                           .reference = reference,
                                           .bars = bars,
                                           .bar_count = 4,
                                           .heat = maps,
                                           .heat_count = 2};
    snprintf(path, sizeof path, "%s/rules.png", b->dir);
    int rc = snn_plot_rows(path, &picture);
    free(label), free(value);
    return rc;
}

/* ---- JSON ---- */

static json_t *cosines_json(const struct rules *b, const double *cosine) {
    json_t *object = json_object();
    for (int t = 0; t < b->tensors; ++t) json_object_set_new(object, b->tensor[t], snn_json_number(cosine[t]));
    return object;
}

static int print_json(const struct rules *b) {
    json_t *rows = json_array(), *refused = json_object(), *failed = json_object();
    for (int i = 0; i < b->rows; ++i) {
        const struct rule_row *r = &b->row[i];
        if (r->refused) json_object_set_new(refused, r->name, json_string(r->refused));
        if (r->failed) json_object_set_new(failed, r->name, json_string(r->failed));
        if (!rule_is_whole(r)) continue;
        json_array_append_new(rows,
                              json_pack("{s:s,s:s,s:o,s:f,s:f,s:f,s:f,s:f,s:I,s:o,s:o,s:o,s:o,s:f,s:f,s:f}", "rule",
                                        r->name, "split", r->split, "accuracy", snn_json_number(r->accuracy), "loss",
                                        r->loss, "seconds", r->seconds, "ms_per_step", r->ms, "ms_min", r->least,
                                        "peak_rss_mb", r->rss, "planned_bytes", (json_int_t)r->planned,
                                        "gradient_cosine", cosines_json(b, r->cosine[RULES_START]),
                                        "gradient_cosine_trained", cosines_json(b, r->cosine[RULES_TRAINED]),
                                        "cosine_start", snn_json_number(r->whole[RULES_START]), "cosine_trained",
                                        snn_json_number(r->whole[RULES_TRAINED]), "macs_forward", r->forward,
                                        "macs_backward", r->backward, "synops", r->synops));
    }
    return cli_print_json(json_pack("{s:s,s:I,s:i,s:b,s:o,s:o,s:o}", "folder", b->dir, "epochs", (json_int_t)b->epochs,
                                    "gradient_batches", b->batches, "loss_over_step", b->by_step, "rows", rows,
                                    "refused", refused, "failed", failed));
}

/* ---- tables ---- */

static void print_cosine(double value) {
    if (isnan(value)) printf(" %8s", "-");
    else printf(" %8.3f", value);
}

/* Gradients by tensor; a column a rule, which BPTT's own does not need. */
static void print_gradients(const struct rules *b) {
    static const char *const when[] = {"before training", "after training under the rule"};
    for (int k = 0; k < RULES_TIMES; ++k) {
        printf("\n%-40s", when[k]);
        for (int i = 0; i < b->rows; ++i)
            if (rule_is_whole(&b->row[i])) printf(" %8s", b->row[i].name);
        printf("\n");
        for (int t = 0; t < b->tensors; ++t) {
            printf("%-40s", b->tensor[t]);
            for (int i = 0; i < b->rows; ++i)
                if (rule_is_whole(&b->row[i])) print_cosine(b->row[i].cosine[k][t]);
            printf("\n");
        }
    }
    printf("(cosine of a rule's gradient and that of BPTT, on the same weights and batches, mean over %d of them)\n",
           b->batches);
}

static void print_table(const struct rules *b) {
    printf("%-8s %10s %9s %10s %10s %11s %8s %8s\n%-8s %10s %9s %10s %10s %11s %17s\n", "rule", "accuracy", "loss",
           "ms a step", "peak MB", "planned MB", "before", "after", "", "", "", "", "", "", "cosine with BPTT");
    for (int i = 0; i < b->rows; ++i) {
        const struct rule_row *r = &b->row[i];
        if (!rule_is_whole(r)) continue;
        printf("%-8s ", r->name);
        if (isnan(r->accuracy)) printf("%10s", "");
        else printf("%8.2f %%", 100 * r->accuracy);
        printf(" %9.4f %10.2f %10.1f %11.3f", r->loss, r->ms, r->rss, r->planned * 1e-6);
        print_cosine(r->whole[RULES_START]), print_cosine(r->whole[RULES_TRAINED]);
        printf("\n");
    }
    for (int i = 0; i < b->rows; ++i)
        if (rule_is_whole(&b->row[i])) {
            printf("(accuracy and loss of the %s split after %lld epoch%s; peak of a process that only trains)\n",
                   b->row[i].split, b->epochs, b->epochs == 1 ? "" : "s");
            break;
        }
    print_gradients(b);
    if (b->by_step) printf("note: loss over: step for all rules, where the config has the mean over the steps\n");
    for (int i = 0; i < b->rows; ++i)
        if (b->row[i].refused) printf("%s cannot: %s\n", b->row[i].name, b->row[i].refused);
        else if (b->row[i].failed) printf("%s failed: %s\n", b->row[i].name, b->row[i].failed);
    if (!b->cli->quiet) printf("%s/rules.csv, %s/rules.png\n", b->dir, b->dir);
}

int rules_report(const struct rules *b) {
    SNN_TRY(write_csv(b));
    SNN_TRY(draw(b));
    if (b->cli->json) return print_json(b);
    print_table(b);
    return SNN_OK;
}
