/* SPDX-License-Identifier: Apache-2.0
 * fuzz_config.c - YAML as a config, then assignments as of --set: what is accepted can be written, and reads back as
 * the same tree.
 *
 * The input is the YAML text; after a NUL, assignments, with a NUL behind each. */
#include "core/config.h"
#include "fuzz.h"

static void claim_same(const struct snn_conf *a, const struct snn_conf *b) {
    CLAIM(a->kind == b->kind && a->count == b->count);
    CLAIM(!a->key == !b->key && (!a->key || !strcmp(a->key, b->key)));
    if (a->kind == SNN_CONF_SCALAR) CLAIM(!strcmp(a->text, b->text) && a->quoted == b->quoted);
    const struct snn_conf *y = b->first;
    for (const struct snn_conf *x = a->first; x; x = x->next, y = y->next) claim_same(x, y);
}

static void round_trip(struct snn_conf_doc *doc) {
    struct snn_conf_doc *again;
    char *text = snn_conf_write(snn_conf_root(doc));
    CLAIM(text);
    CLAIM(snn_conf_parse(text, strlen(text), "written", &again) >= 0);
    claim_same(snn_conf_root(doc), snn_conf_root(again));
    snn_conf_free(&again);
    free(text);
}

/* A refused assignment may have made the maps on its way, but leaves a tree. */
static void assign(struct snn_conf_doc *doc, const char *assignment) {
    int status = snn_conf_set(doc, assignment);
    if (status < 0) claim_refused(status);
    round_trip(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    CLAIM(text);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    size_t yaml = strlen(text);
    struct snn_conf_doc *doc;
    int status = snn_conf_parse(text, yaml, "input", &doc);
    if (status < 0) {
        claim_refused(status);
    } else {
        round_trip(doc);
        for (size_t at = yaml + 1; at < size; at += strlen(text + at) + 1) assign(doc, text + at);
        snn_conf_free(&doc);
    }
    free(text);
    return 0;
}
