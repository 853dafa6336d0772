/* SPDX-License-Identifier: Apache-2.0
 * rules_gradients.c - the gradient of a learning rule beside that of BPTT: the cosine of the two, tensor by tensor, on
 * the same batches and the same weights: those that every rule starts from, and those that the rule has come to.
 *
 * Both networks draw the same initial weights and the same dropout, since parameter k and layer l have streams of their
 * own and what a rule adds comes last. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "bench_rules.h"
#include "core/status.h"
#include "train/checkpoint.h"

enum { BATCHES = 4 }; /* whose cosines are averaged */

/* A network under a rule, and its gradients of one batch. */
struct side {
    struct snn_experiment e;
    real *gradient; /* (learned) */
    bool open;
};

static int open_side(const struct rules *b, const char *rule, struct side *s) {
    struct cli plain = *b->cli;
    struct snn_conf_doc *doc;
    *s = (struct side){0};
    plain.sets = 0, plain.seed = NULL; /* they are in the config */
    SNN_TRY(cli_load_config(&plain, b->config, &doc));
    struct snn_conf *root = snn_conf_root(doc);
    int rc = strcmp(rule, b->own) ? snn_conf_put(snn_conf_get(root, "train"), "rule", rule, NULL) : SNN_OK;
    if (rc >= 0) rc = snn_conf_put(snn_conf_get(root, "data"), "pieces", "none", NULL); /* all see the same batch */
    if (rc < 0) {
        snn_conf_free(&doc);
        return rc;
    }
    struct snn_experiment_options options = {
        .device = plain.device, .threads = (int)plain.threads, .data_dir = plain.data};
    struct snn_experiment *e = &s->e;
    SNN_TRY(snn_experiment_read(doc, &options, e));
    s->open = true;
    SNN_TRY(snn_experiment_data(e, plain.data, 1u << SNN_SUBSET_TRAIN, 0, 0));
    struct snn_network_plan plan = snn_experiment_plan(e, true);
    SNN_TRY(snn_network_allocate(&e->network, &plan));
    s->gradient = calloc((size_t)e->network.model.params.learned + 1, sizeof *s->gradient);
    return s->gradient ? snn_experiment_init(e) : snn_error(SNN_EFAIL, "out of memory for gradients");
}

static void close_side(struct side *s) {
    if (s->open) snn_experiment_close(&s->e);
    free(s->gradient);
    *s = (struct side){0};
}

static int work_out(struct side *s, const struct snn_batch *batch, int number) {
    struct snn_network *n = &s->e.network;
    snn_network_zero_gradients(n);
    snn_network_set_step(n, s->e.seed, (uint32_t)number, 1.0 / batch->B);
    SNN_TRY(snn_network_stage(n, batch));
    s->e.trainer.ops->batch(&s->e.trainer, n);
    return n->device->memory->download(n->device, s->gradient, n->model.params.grad,
                                       (size_t)n->model.params.learned * sizeof *s->gradient);
}

struct products { /* of two vectors */
    double ab, aa, bb;
};

static void multiply(const struct side *a, const struct snn_param *p, const struct side *b, const struct snn_param *q,
                     struct products *to) {
    for (ptrdiff_t i = 0; i < p->count; ++i) {
        double x = (double)a->gradient[p->offset + i], y = (double)b->gradient[q->offset + i];
        to->ab += x * y, to->aa += x * x, to->bb += y * y;
    }
}

static double cosine(const struct products *p) {
    return p->aa > 0 && p->bb > 0 ? p->ab / (sqrt(p->aa) * sqrt(p->bb)) : NAN;
}

struct mean {
    double sum;
    int count;
};

static void take(struct mean *m, double value) {
    if (isfinite(value)) m->sum += value, ++m->count;
}

static double mean(const struct mean *m) { return m->count ? m->sum / m->count : NAN; }

static bool learns(const struct snn_param *p) { return !p->buffer && !p->frozen; }

/* Of the weights that both have now. */
static int compare(struct rules *b, struct rule_row *row, int when, struct side *reference, struct side *rule) {
    const struct snn_params *params = &reference->e.network.model.params;
    struct mean *each = calloc((size_t)b->tensors + 1, sizeof *each), *whole = each ? each + b->tensors : NULL;
    const struct snn_batch *batch = NULL;
    int rc =
        each ? snn_loader_start(reference->e.loader[SNN_SUBSET_TRAIN], 0, 0) : snn_error(SNN_EFAIL, "out of memory");
    for (int i = 0; rc >= 0 && i < BATCHES && !cli_stop; ++i) {
        struct products all = {0};
        rc = snn_loader_next(reference->e.loader[SNN_SUBSET_TRAIN], &batch);
        if (rc < 0 || !batch) break;
        rc = work_out(reference, batch, i);
        if (rc >= 0) rc = work_out(rule, batch, i);
        for (int k = 0, t = 0; rc >= 0 && k < params->count; ++k) {
            const struct snn_param *p = params->list[k];
            struct products own = {0};
            if (!learns(p)) continue;
            multiply(reference, p, rule, snn_params_find(&rule->e.network.model.params, p->name), &own);
            all.ab += own.ab, all.aa += own.aa, all.bb += own.bb;
            take(&each[t++], cosine(&own));
        }
        take(whole, cosine(&all));
        b->batches = i + 1;
    }
    for (int t = 0; rc >= 0 && t < b->tensors; ++t) row->cosine[when][t] = mean(&each[t]);
    if (rc >= 0) row->whole[when] = mean(whole);
    free(each);
    return rc;
}

static int load(struct side *s, const char *file) {
    snn_experiment_anneal(&s->e, 1);
    return snn_checkpoint_weights(file, NULL, &s->e.network);
}

static int compare_rule(struct rules *b, struct rule_row *row, struct side *reference) {
    struct side rule;
    char file[4096];
    snprintf(file, sizeof file, "%s/%s/last.safetensors", b->dir, row->name);
    for (int when = 0; when < RULES_TIMES; ++when)
        if (!(row->cosine[when] = calloc((size_t)b->tensors + 1, sizeof **row->cosine)))
            return snn_error(SNN_EFAIL, "out of memory");
    int rc = open_side(b, row->name, &rule);
    if (rc >= 0) rc = snn_experiment_init(&reference->e); /* after the rule before, whose weights it has */
    snn_experiment_anneal(&reference->e, 0);
    if (rc >= 0) rc = compare(b, row, RULES_START, reference, &rule);
    if (rc >= 0) rc = load(&rule, file);
    if (rc >= 0) rc = load(reference, file);
    if (rc >= 0) rc = compare(b, row, RULES_TRAINED, reference, &rule);
    close_side(&rule);
    return rc;
}

static int name_tensors(struct rules *b, const struct snn_params *params) {
    b->tensor = calloc((size_t)params->count + 1, sizeof *b->tensor);
    for (int k = 0; b->tensor && k < params->count; ++k)
        if (learns(params->list[k]) && !(b->tensor[b->tensors++] = strdup(params->list[k]->name)))
            return snn_error(SNN_EFAIL, "out of memory");
    return b->tensor ? SNN_OK : snn_error(SNN_EFAIL, "out of memory");
}

int rules_compare_gradients(struct rules *b) {
    struct side reference;
    int rc = open_side(b, "bptt", &reference);
    if (rc >= 0) rc = name_tensors(b, &reference.e.network.model.params);
    if (rc >= 0) {
        snprintf(b->data, sizeof b->data, "%s", reference.e.data.name);
        b->epochs = reference.e.train.epochs;
    }
    for (int i = 0; rc >= 0 && i < b->rows && !cli_stop; ++i)
        if (rule_is_whole(&b->row[i])) rc = compare_rule(b, &b->row[i], &reference);
    close_side(&reference);
    return rc >= 0 && cli_stop ? snn_error(SNN_EINTR, "interrupted") : rc;
}
