/* SPDX-License-Identifier: Apache-2.0
 * config.c - documents: their memory, the places of their nodes, and changes to them.
 *
 * Nodes and strings live in chunks of the document until it is freed; what is replaced stays valid memory, out of the
 * tree. Whatever makes nodes (a file, --set, defaults) goes through the one reader of config_yaml.c. */
#include "core/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config_parts.h"
#include "core/file.h"
#include "core/json_cursor.h"
#include "core/status.h"

enum { SIZE_LIMIT = 4 << 20, NODE_LIMIT = 100000 };
enum { CHUNK_SIZE = 16384, SHOWN = 100, PATH_SIZE = 512 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

struct snn_conf_doc {
    struct chunk *chunk;
    struct snn_conf *root;
    int nodes;
};

/* ---- memory ---- */

int snn_conf_out_of_memory(void) { return snn_error(SNN_EFAIL, "out of memory for a config"); }

/* Zeroed memory of the document; NULL, and the error is said, when there is none. */
static void *take(struct snn_conf_doc *doc, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct chunk *chunk = doc->chunk;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = calloc(1, sizeof *chunk + room);
        if (!chunk) {
            snn_conf_out_of_memory();
            return NULL;
        }
        *chunk = (struct chunk){.next = doc->chunk, .size = room};
        doc->chunk = chunk;
    }
    void *memory = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

char *snn_conf_take_text(struct snn_conf_doc *doc, const char *text, size_t length) {
    char *copy = take(doc, length + 1);
    return copy ? memcpy(copy, text, length) : NULL;
}

int snn_conf_add_child(struct snn_conf *parent, struct snn_conf *last, char *key, struct snn_conf **out) {
    struct snn_conf_doc *doc = parent->doc;
    int depth = 1;
    for (const struct snn_conf *up = parent->parent; up; up = up->parent) ++depth;
    if (depth > SNN_CONF_MAX_DEPTH)
        return snn_conf_error(parent, "is nested deeper than %d levels", SNN_CONF_MAX_DEPTH);
    if (doc->nodes >= NODE_LIMIT) return snn_conf_error(parent, "the config has more than %d values", NODE_LIMIT);
    struct snn_conf *child = take(doc, sizeof *child);
    if (!child) return SNN_EFAIL;
    *child = (struct snn_conf){SNN_CONF_MAP, .key = key, .parent = parent, .doc = doc};
    child->line = parent->line, child->column = parent->column, child->origin = parent->origin;
    child->key_line = child->line, child->key_column = child->column;
    *(last ? &last->next : &parent->first) = child;
    ++parent->count;
    ++doc->nodes;
    *out = child;
    return SNN_OK;
}

/* The same from a key that is copied, behind the present children. */
static int append(struct snn_conf *map, const char *key, struct snn_conf **out) {
    struct snn_conf *last = map->first;
    while (last && last->next) last = last->next;
    char *copy = snn_conf_take_text(map->doc, key, strlen(key));
    return copy ? snn_conf_add_child(map, last, copy, out) : SNN_EFAIL;
}

void snn_conf_make_empty(struct snn_conf *node, enum snn_conf_kind kind) {
    node->kind = kind;
    node->text = NULL;
    node->quoted = false;
    node->first = NULL;
    node->count = 0;
}

/* ---- paths and errors ---- */

struct snn_conf *snn_conf_get(const struct snn_conf *map, const char *key) {
    if (map->kind != SNN_CONF_MAP) return NULL;
    struct snn_conf *child = map->first;
    while (child && strcmp(child->key, key) != 0) child = child->next;
    return child;
}

struct snn_conf *snn_conf_item(const struct snn_conf *node, int i) {
    struct snn_conf *child = i < 0 ? NULL : node->first;
    while (child && i-- > 0) child = child->next;
    return child;
}

char *snn_conf_path(const struct snn_conf *node, char *buffer, size_t size) {
    buffer[0] = 0;
    if (!node->parent) return buffer;
    size_t n = strlen(snn_conf_path(node->parent, buffer, size));
    const char *dot = n ? "." : "";
    if (node->key) {
        snprintf(buffer + n, size - n, "%s%s", dot, node->key);
    } else {
        int index = 0;
        for (const struct snn_conf *item = node->parent->first; item != node; item = item->next) ++index;
        snprintf(buffer + n, size - n, "%s%d", dot, index);
    }
    return buffer;
}

/* The child that one element of a path names: a key; an index; or the `name:` of an item. */
static struct snn_conf *find(const struct snn_conf *node, const char *part) {
    if (node->kind == SNN_CONF_MAP) return snn_conf_get(node, part);
    if (node->kind != SNN_CONF_LIST) return NULL;
    size_t digits = strspn(part, "0123456789");
    if (digits && !part[digits]) return digits < 9 ? snn_conf_item(node, atoi(part)) : NULL;
    for (struct snn_conf *item = node->first; item; item = item->next) {
        const struct snn_conf *name = snn_conf_get(item, "name");
        if (name && name->kind == SNN_CONF_SCALAR && !strcmp(name->text, part)) return item;
    }
    return NULL;
}

struct snn_conf *snn_conf_at(struct snn_conf_doc *doc, const char *path) {
    struct snn_conf *node = doc->root;
    char part[SNN_CONF_MAX_KEY + 1];
    while (node && *path) {
        size_t n = strcspn(path, ".");
        if (n > SNN_CONF_MAX_KEY || (path[n] && !path[n + 1])) return NULL;
        memcpy(part, path, n);
        part[n] = 0;
        node = find(node, part);
        path += n + (path[n] != 0);
    }
    return node;
}

static int report(const char *origin, int line, int column, const struct snn_conf *node, const char *format,
                  va_list args) {
    char text[1024], path[PATH_SIZE], position[32] = "";
    vsnprintf(text, sizeof text, format, args);
    if (line) snprintf(position, sizeof position, ":%d:%d", line, column);
    snn_conf_path(node, path, sizeof path);
    return snn_error(SNN_EUSAGE, "%s%s: %s%s%s", origin, position, path, *path ? ": " : "", text);
}

int snn_conf_error(const struct snn_conf *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = report(at->origin, at->line, at->column, at, format, args);
    va_end(args);
    return status;
}

int snn_conf_key_error(const struct snn_conf *map, const struct snn_conf *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = report(at->origin, at->key_line, at->key_column, map, format, args);
    va_end(args);
    return status;
}

/* ---- documents ---- */

int snn_conf_parse(const char *text, size_t size, const char *origin, struct snn_conf_doc **out) {
    *out = NULL;
    if (size > SIZE_LIMIT)
        return snn_error(SNN_EUSAGE, "%s: has %zu bytes, expected at most %d", origin, size, SIZE_LIMIT);
    struct snn_conf_doc *doc = calloc(1, sizeof *doc);
    if (!doc) return snn_conf_out_of_memory();
    char *name = snn_conf_take_text(doc, origin, strlen(origin));
    char *nothing = take(doc, 1);
    struct snn_conf *root = doc->root = take(doc, sizeof *root);
    int status = name && nothing && root ? SNN_OK : SNN_EFAIL;
    if (status == SNN_OK) {
        *root = (struct snn_conf){SNN_CONF_SCALAR, .text = nothing, .origin = name, .doc = doc};
        status = snn_conf_read_yaml(root, text, size, true);
    }
    if (status == SNN_OK && root->kind == SNN_CONF_SCALAR && !root->text[0] && !root->quoted)
        status = snn_error(SNN_EUSAGE, "%s: is empty", origin);
    else if (status == SNN_OK && root->kind != SNN_CONF_MAP)
        status =
            snn_conf_error(root, "expected a map of keys, got %s", root->kind == SNN_CONF_LIST ? "a list" : "text");
    if (status < 0) snn_conf_free(&doc);
    *out = doc;
    return status;
}

int snn_conf_load(const char *path, struct snn_conf_doc **out) {
    *out = NULL;
    if (access(path, R_OK)) return snn_error(SNN_EUSAGE, "%s: cannot be read: %s", path, strerror(errno));
    unsigned char *bytes;
    size_t size;
    int status = snn_file_read(path, SIZE_LIMIT, &bytes, &size);
    if (status == SNN_EDATA) return SNN_EUSAGE; /* a config is no data: the same sentence, another exit code */
    SNN_TRY(status);
    status = snn_conf_parse((const char *)bytes, size, path, out);
    free(bytes);
    return status;
}

void snn_conf_free(struct snn_conf_doc **doc) {
    if (!*doc) return;
    for (struct chunk *chunk = (*doc)->chunk, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*doc);
    *doc = NULL;
}

struct snn_conf *snn_conf_root(struct snn_conf_doc *doc) {
    return doc->root;
}

/* ---- changes ---- */

int snn_conf_assign(struct snn_conf *node, const char *yaml) {
    char *nothing = take(node->doc, 1);
    if (!nothing) return SNN_EFAIL;
    const struct snn_conf before = *node;
    snn_conf_make_empty(node, SNN_CONF_SCALAR);
    node->text = nothing;
    int status = snn_conf_read_yaml(node, yaml, strlen(yaml), false);
    if (status < 0) *node = before;
    return status;
}

int snn_conf_put(struct snn_conf *map, const char *key, const char *yaml, struct snn_conf **out) {
    SNN_CHECK(map->kind == SNN_CONF_MAP, "'%s' is put into something that is not a map", key);
    struct snn_conf *child = snn_conf_get(map, key);
    if (!child) {
        SNN_TRY(append(map, key, &child));
        child->line = child->column = child->key_line = child->key_column = 0;
    }
    SNN_TRY(snn_conf_assign(child, yaml));
    if (out) *out = child;
    return SNN_OK;
}

int snn_conf_wrap(struct snn_conf *node, const char *key) {
    const struct snn_conf before = *node;
    struct snn_conf *child;
    snn_conf_make_empty(node, SNN_CONF_MAP);
    int status = append(node, key, &child);
    if (status < 0) {
        *node = before;
        return status;
    }
    child->kind = before.kind, child->text = before.text, child->quoted = before.quoted;
    child->first = before.first, child->count = before.count;
    for (struct snn_conf *below = child->first; below; below = below->next) below->parent = child;
    return SNN_OK;
}

static bool is_name(const char *text) {
    return text[0] && !strchr("0123456789.+-", text[0]) &&
           !text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

/* Let a bare name have keys, because a path goes on below it with `part`. */
static int open_scalar(struct snn_conf *node, const char *part, bool last, const char *origin) {
    bool is_item = node->parent->kind == SNN_CONF_LIST;
    if (!node->quoted && (!node->text[0] || !strcmp(node->text, "none"))) { /* nothing there yet */
        snn_conf_make_empty(node, SNN_CONF_MAP);
        return SNN_OK;
    }
    if (is_item && !strcmp(node->text, part)) { /* - lif */
        SNN_TRY(snn_conf_wrap(node, part));
        snn_conf_make_empty(node->first, SNN_CONF_MAP);
        return SNN_OK;
    }
    /* An item that is another layer than the path says must not get that layer beside its own name. */
    if (is_name(node->text) && (last || !is_item)) return snn_conf_wrap(node, "name");
    char path[PATH_SIZE];
    return snn_error(SNN_EUSAGE, "%s: %s: holds '%.*s', so there is no '%.*s' in it", origin,
                     snn_conf_path(node, path, sizeof path), SHOWN, node->text, SHOWN, part);
}

/* The node below `node` that one element of a path names, made where it can be. */
static int descend(struct snn_conf *node, const char *part, bool last, const char *origin, struct snn_conf **out) {
    if (node->kind == SNN_CONF_SCALAR) SNN_TRY(open_scalar(node, part, last, origin));
    *out = find(node, part);
    if (*out) return SNN_OK;
    if (node->kind == SNN_CONF_LIST) {
        char path[PATH_SIZE];
        return snn_error(SNN_EUSAGE, "%s: %s: has no item '%.*s', it has %d", origin,
                         snn_conf_path(node, path, sizeof path), SHOWN, part, node->count);
    }
    SNN_TRY(append(node, part, out));
    (*out)->origin = origin;
    (*out)->line = (*out)->column = (*out)->key_line = (*out)->key_column = 0;
    return SNN_OK;
}

int snn_conf_set(struct snn_conf_doc *doc, const char *assignment) {
    char shown[SHOWN + 4];
    if (snprintf(shown, sizeof shown, "%s", assignment) > SHOWN) {
        int end = SHOWN;
        while (end && snn_utf8_continues(shown[end])) --end;
        memcpy(shown + end, "...", 4);
    }
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) return snn_error(SNN_EUSAGE, "--set %s: expected KEY=VALUE", shown);
    char *origin = take(doc, sizeof "--set " + sizeof shown);
    char *path = origin ? snn_conf_take_text(doc, assignment, (size_t)(equals - assignment)) : NULL;
    if (!path) return SNN_EFAIL;
    sprintf(origin, "--set %s", shown);
    size_t length = (size_t)(equals - assignment);
    if (!snn_utf8_valid(path, length) || !snn_conf_printable((const unsigned char *)path, length))
        return snn_error(SNN_EUSAGE, "%s: a key holds control characters or bytes that are not UTF-8", origin);

    struct snn_conf *node = doc->root;
    for (char *part; (part = strsep(&path, "."));) {
        if (!*part || strlen(part) > SNN_CONF_MAX_KEY)
            return snn_error(SNN_EUSAGE, "%s: expected a dotted path of keys of 1..%d bytes", origin, SNN_CONF_MAX_KEY);
        SNN_TRY(descend(node, part, !path, origin, &node));
    }
    node->origin = origin;
    node->line = node->column = node->key_line = node->key_column = 0;
    return snn_conf_assign(node, equals + 1);
}
