/* SPDX-License-Identifier: Apache-2.0
 * augment_config.c - the list `data.augment`: NAME, NAME: VALUE, NAME: {keys} or {name: NAME, keys}, one an item. */
#include <string.h>

#include "core/status.h"
#include "datasets/augment.h"
#include "datasets/parts.h"

static bool is_called(const struct snn_augment_ops *ops, const char *name) {
    return !strcmp(ops->name, name) || (ops->alias && !strcmp(ops->alias, name));
}

/* The line of that name that the set can use; else one that it cannot, with *objection. */
static const struct snn_augment_ops *find(const char *name, const struct snn_dataset_info *about,
                                          const char **objection) {
    const struct snn_augment_ops *found = NULL;
    for (const struct snn_augment_ops *ops = snn_augments; ops->name; ++ops) {
        if (!is_called(ops, name)) continue;
        *objection = snn_augment_objection(ops, about);
        found = ops;
        if (!*objection) break;
    }
    return found;
}

static int unknown(const struct snn_conf *at, const char *name, const struct snn_dataset_info *about) {
    enum { MOST = 64 };
    const char *names[MOST + 1];
    int n = 0;
    for (const struct snn_augment_ops *ops = snn_augments; ops->name && n < MOST; ++ops)
        if (!snn_augment_objection(ops, about)) names[n++] = ops->name;
    names[n] = NULL;
    const char *near = snn_nearest(name, names);
    if (near) return snn_conf_error(at, "unknown transform '%.60s' (did you mean '%s'?)", name, near);
    return snn_conf_error(at, "unknown transform '%.60s' (snntrain list augmentations names them)", name);
}

/* Find the transform's name and the map of its keys; `NAME` and `NAME: VALUE` become `NAME: {key: VALUE}`. */
static int normalise(struct snn_conf *item, const struct snn_dataset_info *about, const struct snn_augment_ops **out,
                     struct snn_conf **map) {
    static const char expected[] = "expected a transform: NAME, NAME: VALUE or NAME: {keys}";
    struct snn_conf *named = item->kind == SNN_CONF_MAP ? snn_conf_get(item, "name") : NULL;
    struct snn_conf *body = item->kind == SNN_CONF_MAP && !named ? item->first : NULL, *at = named ? named : item;
    if (body && body->next)
        return snn_conf_error(body->next, "one transform an item: '%.60s' and '%.60s' stand together", body->key,
                              body->next->key);
    const char *name = body ? body->key : at->kind == SNN_CONF_SCALAR ? at->text : "", *objection = NULL;
    if (!*name) return snn_conf_error(at, expected);
    *out = find(name, about, &objection);
    if (!*out) return unknown(body ? body : at, name, about);
    if (objection) return snn_conf_error(body ? body : at, "%s %s", (*out)->name, objection);
    if (named) {
        *map = item;
        return SNN_OK;
    }
    if (!body) {
        SNN_TRY(snn_conf_wrap(item, (*out)->name));
        body = item->first;
        SNN_TRY(snn_conf_assign(body, "{}"));
    }
    bool value = body->kind == SNN_CONF_SCALAR && *body->text;
    if (value && !(*out)->keys[0].name) return snn_conf_error(body, "%s takes no value", (*out)->name);
    if (body->kind == SNN_CONF_SCALAR)
        SNN_TRY(value ? snn_conf_wrap(body, (*out)->keys[0].name) : snn_conf_assign(body, "{}"));
    if (body->kind != SNN_CONF_MAP) return snn_conf_error(body, expected);
    *map = body;
    return SNN_OK;
}

/* The keys, and `name` where the map has it. Events know times, not steps. */
static int read_keys(struct snn_conf *map, const struct snn_augment_ops *ops, void *options) {
    enum { MOST = 16 };
    struct snn_key keys[MOST] = {SNN_KEY_NAME};
    int n = 1;
    for (const struct snn_key *key = ops->keys; key->name; ++key) {
        SNN_CHECK(n < MOST - 1 && key->field + sizeof(struct snn_time) <= SNN_AUGMENT_OPTIONS, "%s", key->name);
        keys[n++] = *key;
    }
    SNN_TRY(snn_conf_read(map, snn_conf_get(map, "name") ? keys : keys + 1, options));
    for (const struct snn_key *key = ops->keys; key->name; ++key) {
        if (key->type != SNN_TIME) continue;
        const struct snn_time *time = (const struct snn_time *)((const char *)options + key->field);
        if (!time->seconds)
            return snn_conf_error(snn_conf_get(map, key->name), "expected a duration with a unit, such as 10 ms");
    }
    return SNN_OK;
}

int snn_augment_read(struct snn_conf *list, const struct snn_dataset_info *about, struct snn_data_config *config) {
    if (list->kind != SNN_CONF_LIST) return snn_conf_error(list, "expected a list of transforms, such as [crop, flip]");
    bool mixes = false;
    config->augments = 0;
    for (struct snn_conf *item = list->first; item; item = item->next) {
        if (config->augments == SNN_AUGMENTS) return snn_conf_error(item, "are more than %d", SNN_AUGMENTS);
        struct snn_augment_item *out = &config->augment[config->augments++];
        struct snn_conf *map = NULL;
        *out = (struct snn_augment_item){0};
        SNN_TRY(normalise(item, about, &out->ops, &map));
        if (out->ops->mixes && mixes) return snn_conf_error(map, "a second transform that mixes samples: expected one");
        mixes |= out->ops->mixes;
        SNN_TRY(read_keys(map, out->ops, &out->options));
    }
    return SNN_OK;
}
