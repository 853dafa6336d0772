/* SPDX-License-Identifier: Apache-2.0 */
#include "train/stages.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

static const char *const from_names[] = {"last", "best", NULL};
const struct snn_key snn_stage_keys[] = {
    {"epochs", SNN_INT, offsetof(struct snn_stage, epochs), NULL, 1, 1e6, NULL, "passes over the training data"},
    {"from", SNN_CHOICE, offsetof(struct snn_stage, from), SNN_OPTIONAL, 0, 0, from_names,
     "weights: of the last or the best epoch of the stage before (default last)"},
    {"set", SNN_NODE, offsetof(struct snn_stage, set), "{}", 0, 0, NULL,
     "keys that change, also for later stages: {model.1.biper.stage: 2, train.optimizer.lr: 1e-3}"},
    {0},
};

static bool is_below(const char *path, const char *key) {
    size_t n = strlen(key);
    return !strncmp(path, key, n) && (!path[n] || path[n] == '.');
}

/* Data stay as they are, and so does what a run has once. */
static int check_paths(const struct snn_conf *set) {
    static const char *const once[] = {"train.epochs", "train.stages", "train.from"};
    if (set->kind != SNN_CONF_MAP) return snn_conf_error(set, "expected {key: value}, as {model.1.biper.stage: 2}");
    for (struct snn_conf *item = set->first; item; item = item->next) {
        if (!is_below(item->key, "model") && !is_below(item->key, "train"))
            return snn_conf_key_error(set, item, "'%s' stays the same for all stages: expected a key of model or train",
                                      item->key);
        for (size_t i = 0; i < sizeof once / sizeof *once; ++i)
            if (is_below(item->key, once[i]))
                return snn_conf_key_error(set, item, "'%s' is no key of a stage's `set`", item->key);
    }
    return SNN_OK;
}

static int settle_epochs(struct snn_conf *train, long long sum) {
    char text[32], *end;
    const struct snn_conf *given = snn_conf_get(train, "epochs");
    snprintf(text, sizeof text, "%lld", sum);
    if (!given) return snn_conf_put(train, "epochs", text, NULL);
    if (given->kind == SNN_CONF_SCALAR && strtoll(given->text, &end, 10) == sum && !*end) return SNN_OK;
    return snn_conf_error(given, "the stages have %lld epochs together (train.stages): leave this key out", sum);
}

int snn_stages_read(struct snn_conf *train, struct snn_stage *list, int *count) {
    struct snn_conf *stages = snn_conf_get(train, "stages");
    long long sum = 0;
    *count = 0;
    if (!stages) return SNN_OK;
    if (stages->kind != SNN_CONF_LIST)
        return snn_conf_error(stages, "expected a list: [{epochs: 600}, {epochs: 300, from: best, set: {...}}]");
    for (struct snn_conf *item = stages->first; item; item = item->next) {
        struct snn_stage *stage = &list[*count];
        if (*count == SNN_STAGES) return snn_conf_error(item, "at most %d stages", SNN_STAGES);
        if (item->kind != SNN_CONF_MAP) return snn_conf_error(item, "expected {epochs: N, from: best, set: {...}}");
        *stage = (struct snn_stage){0};
        SNN_TRY(snn_conf_read(item, snn_stage_keys, stage));
        if (!*count && snn_conf_get(item, "from"))
            return snn_conf_error(snn_conf_get(item, "from"),
                                  "there is no stage before the first one (train.from names a file to start from)");
        SNN_TRY(check_paths(stage->set));
        sum += stage->epochs;
        ++*count;
    }
    return *count ? settle_epochs(train, sum) : SNN_OK;
}

int snn_stage_error(const struct snn_stage *stage) {
    char said[1100];
    snprintf(said, sizeof said, "%s", snn_error_text());
    /* "stage:57:9: model.1.biper: ..." or "--set KEY=VALUE: ..." */
    const char *rest = said;
    if (!strncmp(rest, "stage:", 6)) rest += 6, rest += strspn(rest, "0123456789: ");
    if (!strncmp(rest, "--set ", 6)) rest = strstr(rest, ": ") ? strstr(rest, ": ") + 2 : rest;
    return snn_conf_error(stage->set, "%s", rest);
}

static int apply(struct snn_conf_doc *doc, const struct snn_conf *set) {
    for (const struct snn_conf *item = set->first; item; item = item->next) {
        char *value = snn_conf_write(item), *assignment = NULL;
        if (!value || asprintf(&assignment, "%s=%s", item->key, value) < 0) {
            free(value);
            return snn_error(SNN_EFAIL, "out of memory");
        }
        int rc = snn_conf_set(doc, assignment);
        free(value), free(assignment);
        SNN_TRY(rc);
    }
    return SNN_OK;
}

int snn_stage_config(struct snn_conf_doc *all, const struct snn_stage *list, int k, struct snn_conf_doc **out) {
    char *text = snn_conf_write(snn_conf_root(all)), epochs[64];
    if (!text) return snn_error(SNN_EFAIL, "out of memory");
    int rc = snn_conf_parse(text, strlen(text), "stage", out);
    free(text);
    SNN_TRY(rc);
    for (int i = 0; rc >= 0 && i <= k; ++i) {
        rc = apply(*out, list[i].set);
        if (rc == SNN_EUSAGE) rc = snn_stage_error(&list[i]);
    }
    snprintf(epochs, sizeof epochs, "train.epochs=%lld", list[k].epochs);
    if (rc >= 0) rc = snn_conf_set(*out, epochs);
    if (rc >= 0) rc = snn_conf_set(*out, "train.stages=[]");
    if (rc < 0) snn_conf_free(out);
    return rc;
}
