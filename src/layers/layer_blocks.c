/* SPDX-License-Identifier: Apache-2.0
 * layer_blocks.c - layers made of layers: residual, concat and repeat. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "layers/layer.h"

struct residual_options {
    struct snn_conf *body, *shortcut;
    int join;
};
static const char *const join_names[] = {"add", "and", "iand", NULL};
const struct snn_key snn_residual_keys[] = {
    {"body", SNN_NODE, offsetof(struct residual_options, body), NULL, 0, 0, NULL, "list of layers"},
    {"shortcut", SNN_NODE, offsetof(struct residual_options, shortcut), "[]", 0, 0, NULL,
     "list of layers; empty: the input itself"},
    {"join", SNN_CHOICE, offsetof(struct residual_options, join), "add", 0, 0, join_names,
     "add: body + shortcut; of spikes also and: body * shortcut, iand: (1 - body) * shortcut (SEW, Fang et al. 2021)"},
    {0},
};

int snn_build_part(struct snn_builder *b, struct snn_conf *list, const char *part, struct snn_tensor *x) {
    size_t n = strlen(b->path);
    if (n + strlen(part) + 2 > sizeof b->path) return snn_conf_error(list, "layers are nested too deeply");
    snprintf(b->path + n, sizeof b->path - n, ".%s", part);
    b->x = x;
    int rc = snn_build_list(b, list);
    b->path[n] = 0;
    return rc;
}

int snn_build_residual(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct residual_options o;
    char text[2][48];
    SNN_TRY(snn_conf_read(node, snn_residual_keys, &o));
    struct snn_tensor *x = b->x, *shortcut = x;
    SNN_TRY(snn_build_part(b, o.body, "body", x));
    struct snn_tensor *body = b->x;
    if (o.shortcut->kind != SNN_CONF_LIST || o.shortcut->count) {
        SNN_TRY(snn_build_part(b, o.shortcut, "shortcut", x));
        shortcut = b->x;
    }
    if (body->nd != shortcut->nd || memcmp(body->dim, shortcut->dim, sizeof body->dim))
        return snn_conf_error(node, "the body gives %s but the shortcut %s: they must be equal to be joined",
                              snn_shape_text(body, text[0]), snn_shape_text(shortcut, text[1]));
    if (body->appended != shortcut->appended)
        return snn_conf_error(node, "delays append %d steps to the body but %d to the shortcut: they cannot be added",
                              (int)body->appended, (int)shortcut->appended);
    if (body == shortcut) return snn_conf_error(node, "the body does nothing");
    struct snn_tape *tape = &b->model->tape;
    if (o.join) b->x = snn_join(tape, b->path, o.join == 1 ? SNN_JOIN_AND : SNN_JOIN_IAND, body, shortcut);
    else b->x = snn_add(tape, b->path, body, shortcut);
    return SNN_OK;
}

struct concat_options {
    struct snn_conf *branches;
};
const struct snn_key snn_concat_keys[] = {
    {"branches", SNN_NODE, offsetof(struct concat_options, branches), NULL, 0, 0, NULL,
     "list of lists of layers, [[...], [...]]; an empty one is the input itself"},
    {0},
};

int snn_build_concat(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct concat_options o;
    char text[2][48], part[32];
    SNN_TRY(snn_conf_read(node, snn_concat_keys, &o));
    if (o.branches->kind != SNN_CONF_LIST || o.branches->count < 2)
        return snn_conf_error(o.branches, "expected a list of at least two lists of layers: [[...], [...]]");
    struct snn_tensor *x = b->x, *all = NULL;
    int i = 0;
    for (struct snn_conf *list = o.branches->first; list; list = list->next, ++i) {
        snprintf(part, sizeof part, "%d.branch", i);
        b->x = x;
        if (list->kind != SNN_CONF_LIST || list->count) SNN_TRY(snn_build_part(b, list, part, x));
        struct snn_tensor *y = b->x;
        if (!all) {
            all = y;
            continue;
        }
        if (all->nd != y->nd || memcmp(all->dim + 1, y->dim + 1, (size_t)(y->nd - 1) * sizeof *y->dim))
            return snn_conf_error(list, "this branch gives %s, those before it %s: only channels may differ",
                                  snn_shape_text(y, text[0]), snn_shape_text(all, text[1]));
        if (all->appended != y->appended)
            return snn_conf_error(list, "delays append %d steps to this branch, %d to those before it",
                                  (int)y->appended, (int)all->appended);
        all = snn_concat(&b->model->tape, b->path, all, y);
    }
    b->x = all;
    return SNN_OK;
}

struct repeat_options {
    long long times;
    struct snn_conf *body;
};
const struct snn_key snn_repeat_keys[] = {
    {"times", SNN_INT, offsetof(struct repeat_options, times), NULL, 1, 1000, NULL, "copies"},
    {"body", SNN_NODE, offsetof(struct repeat_options, body), NULL, 0, 0, NULL, "list of layers"},
    {0},
};

int snn_build_repeat(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct repeat_options o;
    SNN_TRY(snn_conf_read(node, snn_repeat_keys, &o));
    for (long long i = 0; i < o.times; ++i) {
        char part[32];
        snprintf(part, sizeof part, "%lld.body", i);
        SNN_TRY(snn_build_part(b, o.body, part, b->x));
        if (b->model->tape.nodes > 5000) return snn_conf_error(node, "makes more than 5000 layers");
    }
    return SNN_OK;
}
