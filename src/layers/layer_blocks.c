/* SPDX-License-Identifier: Apache-2.0
 * layer_blocks.c - layers made of layers: residual and repeat. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "layers/layer.h"

struct residual_options {
    struct snn_conf *body, *shortcut;
};
const struct snn_key snn_residual_keys[] = {
    {"body", SNN_NODE, offsetof(struct residual_options, body), NULL, 0, 0, NULL, "list of layers"},
    {"shortcut", SNN_NODE, offsetof(struct residual_options, shortcut), "[]", 0, 0, NULL,
     "list of layers; empty: the input itself"},
    {0},
};

/* Build `list` below PATH.`part` from x. */
static int build_part(struct snn_builder *b, struct snn_conf *list, const char *part, struct snn_tensor *x) {
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
    SNN_TRY(build_part(b, o.body, "body", x));
    struct snn_tensor *body = b->x;
    if (o.shortcut->kind != SNN_CONF_LIST || o.shortcut->count) {
        SNN_TRY(build_part(b, o.shortcut, "shortcut", x));
        shortcut = b->x;
    }
    if (body->nd != shortcut->nd || memcmp(body->dim, shortcut->dim, sizeof body->dim))
        return snn_conf_error(node, "the body gives %s but the shortcut %s: they must be equal to be added",
                              snn_shape_text(body, text[0]), snn_shape_text(shortcut, text[1]));
    if (body->appended != shortcut->appended)
        return snn_conf_error(node, "delays append %d steps to the body but %d to the shortcut: they cannot be added",
                              (int)body->appended, (int)shortcut->appended);
    if (body == shortcut) return snn_conf_error(node, "the body does nothing");
    b->x = snn_add(&b->model->tape, b->path, body, shortcut);
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
        SNN_TRY(build_part(b, o.body, part, b->x));
        if (b->model->tape.nodes > 5000) return snn_conf_error(node, "makes more than 5000 layers");
    }
    return SNN_OK;
}
