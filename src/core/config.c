/* SPDX-License-Identifier: Apache-2.0
 * config.c - YAML text -> a tree with positions, changes to it, and back to text.
 *
 * Whatever makes nodes (a file, --set, defaults) goes through one reader of libyaml's events, which keeps its own stack
 * of bounded depth: there is one syntax and one place where hostile text is refused. Nodes and strings live in chunks
 * of the document until it is freed; what is replaced stays valid memory, out of the tree. */
#include "core/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "core/file.h"
#include "core/status.h"

enum { SIZE_LIMIT = 4 << 20, DEPTH_LIMIT = 64, NODE_LIMIT = 100000 };
enum { KEY_LIMIT = 500 }; /* YAML takes no key of over 1024 characters without a '?', and escapes may double it */
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

static int out_of_memory(void) { return snn_error(SNN_EFAIL, "out of memory for a config"); }

/* Zeroed memory of the document; NULL, and the error is said, when there is none. */
static void *take(struct snn_conf_doc *doc, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct chunk *chunk = doc->chunk;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = calloc(1, sizeof *chunk + room);
        if (!chunk) {
            out_of_memory();
            return NULL;
        }
        *chunk = (struct chunk){.next = doc->chunk, .size = room};
        doc->chunk = chunk;
    }
    void *memory = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

/* A copy of `text` in the document. */
static char *take_text(struct snn_conf_doc *doc, const char *text, size_t length) {
    char *copy = take(doc, length + 1);
    return copy ? memcpy(copy, text, length) : NULL;
}

/* A child behind `last` (NULL: the first) of a map (then with a key) or list: an empty map at its parent's position. */
static int add_child(struct snn_conf *parent, struct snn_conf *last, char *key, struct snn_conf **out) {
    struct snn_conf_doc *doc = parent->doc;
    int depth = 1;
    for (const struct snn_conf *up = parent->parent; up; up = up->parent) ++depth;
    if (depth > DEPTH_LIMIT) return snn_conf_error(parent, "is nested deeper than %d levels", DEPTH_LIMIT);
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
    char *copy = take_text(map->doc, key, strlen(key));
    return copy ? add_child(map, last, copy, out) : SNN_EFAIL;
}

static void make_empty(struct snn_conf *node, enum snn_conf_kind kind) {
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
    char part[KEY_LIMIT + 1];
    while (node && *path) {
        size_t n = strcspn(path, ".");
        if (n > KEY_LIMIT || (path[n] && !path[n + 1])) return NULL;
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

/* ---- reading ---- */

struct frame { /* a map or list being filled */
    struct snn_conf *node, *last;
    char *key; /* in a map: read, and waiting for its value; else NULL */
    int key_line, key_column;
};

struct reader {
    yaml_parser_t yaml;
    struct snn_conf *target;
    const char *text; /* without a byte order mark */
    size_t size;
    bool located;                        /* nodes have positions in `text`; else all have that of the target */
    int documents, level;                /* frames in use */
    struct frame frame[DEPTH_LIMIT + 1]; /* add_child keeps the depth */
};

__attribute__((format(printf, 4, 5))) static int refuse(const struct reader *r, size_t line, size_t column,
                                                        const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!r->located) return snn_conf_error(r->target, "%s", text);
    return snn_error(SNN_EUSAGE, "%s:%zu:%zu: %s", r->target->origin, line + 1, column + 1, text);
}

static bool continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

/* The byte at a mark, which counts characters; 0 at the end. */
static char byte_at(const struct reader *r, const yaml_mark_t *mark) {
    size_t byte = 0;
    for (size_t i = 0; i < mark->index && byte < r->size; ++i) {
        ++byte;
        while (byte < r->size && continues(r->text[byte])) ++byte;
    }
    return byte < r->size ? r->text[byte] : 0;
}

static int refuse_bytes(const struct reader *r) {
    size_t line = 0, column = 0;
    for (size_t i = 0; i < r->yaml.problem_offset; ++i) {
        if (r->text[i] == '\n') ++line, column = 0;
        else column += !continues(r->text[i]);
    }
    return refuse(r, line, column, "not YAML text: %s (byte 0x%02X)", r->yaml.problem,
                  (unsigned char)r->text[r->yaml.problem_offset]);
}

static int refuse_syntax(const struct reader *r) {
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_MEMORY_ERROR) return out_of_memory();
    if (y->error == YAML_READER_ERROR) return refuse_bytes(r);
    size_t line = y->problem_mark.line, column = y->problem_mark.column;
    if (byte_at(r, &y->problem_mark) == '\t') return refuse(r, line, column, "not YAML: indent with spaces, not tabs");
    if (!y->context) return refuse(r, line, column, "not YAML: %s", y->problem);
    return refuse(r, line, column, "not YAML: %s %s that starts in line %zu", y->problem, y->context,
                  y->context_mark.line + 1);
}

/* Characters that stand for themselves, tabs and line ends: the rest could come through escapes only. */
static bool is_printable(const unsigned char *text, size_t length) {
    for (size_t i = 0; i < length; ++i) {
        uint32_t c = text[i];
        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) return false;
        if (c == 0xC2 && text[i + 1] < 0xA0) return false; /* U+0080..9F */
        if (c == 0xE2 && text[i + 1] == 0x80 && (text[i + 2] & 0xFE) == 0xA8)
            return false;                                                          /* U+2028, 2029: line ends */
        if (c == 0xEF && text[i + 1] == 0xBB && text[i + 2] == 0xBF) return false; /* U+FEFF */
        if (c == 0xEF && text[i + 1] == 0xBF && text[i + 2] >= 0xBE) return false; /* U+FFFE, FFFF */
    }
    return true;
}

/* Whether an unquoted `text` reads back as it is: as a value of a block or, with `flow`, between brackets and as a key.
 */
static bool is_plain(const char *text, bool flow) {
    size_t n = strlen(text);
    if (!n) return !flow;
    bool indicator = strchr(",[]{}#&*!|>'\"%@`", text[0]) != NULL;
    if (strchr("-?:", text[0])) indicator = n == 1 || text[1] == ' ';
    if (indicator || text[0] == ' ' || text[n - 1] == ' ' || text[n - 1] == ':') return false;
    if (!strncmp(text, "---", 3) || !strncmp(text, "...", 3)) return false;
    if (strpbrk(text, flow ? "\t\n,?:[]{}" : "\t\n")) return false;
    return !strstr(text, ": ") && !strstr(text, " #");
}

static void locate(const struct reader *r, struct snn_conf *node, const yaml_mark_t *mark) {
    if (r->located) node->line = (int)mark->line + 1, node->column = (int)mark->column + 1;
}

/* The node that the next value fills. */
static int next_node(struct reader *r, const yaml_event_t *event, struct snn_conf **out) {
    *out = r->target;
    if (r->level) {
        struct frame *f = &r->frame[r->level - 1];
        SNN_TRY(add_child(f->node, f->last, f->key, out));
        f->last = *out;
        if (f->key && r->located) (*out)->key_line = f->key_line, (*out)->key_column = f->key_column;
        f->key = NULL;
    }
    locate(r, *out, &event->start_mark);
    if (r->located && !(*out)->key) (*out)->key_line = (*out)->line, (*out)->key_column = (*out)->column;
    return SNN_OK;
}

static bool awaits_key(const struct reader *r) {
    return r->level && r->frame[r->level - 1].node->kind == SNN_CONF_MAP && !r->frame[r->level - 1].key;
}

static int read_key(struct reader *r, const yaml_event_t *event) {
    struct frame *f = &r->frame[r->level - 1];
    const yaml_mark_t *mark = &event->start_mark;
    size_t length = event->data.scalar.length;
    if (length < 1 || length > KEY_LIMIT)
        return refuse(r, mark->line, mark->column, "expected a key of 1..%d bytes, got %zu", KEY_LIMIT, length);
    f->key = take_text(r->target->doc, (const char *)event->data.scalar.value, length);
    f->key_line = (int)mark->line + 1, f->key_column = (int)mark->column + 1;
    return f->key ? SNN_OK : SNN_EFAIL;
}

static int read_scalar(struct reader *r, const yaml_event_t *event) {
    const yaml_mark_t *mark = &event->start_mark;
    if (event->data.scalar.anchor) return refuse(r, mark->line, mark->column, "anchors (&) are not allowed");
    if (event->data.scalar.tag) return refuse(r, mark->line, mark->column, "tags (!) are not allowed");
    if (!is_printable(event->data.scalar.value, event->data.scalar.length))
        return refuse(r, mark->line, mark->column, "control characters are not allowed");
    if (awaits_key(r)) return read_key(r, event);
    struct snn_conf *node;
    SNN_TRY(next_node(r, event, &node));
    make_empty(node, SNN_CONF_SCALAR);
    node->text = take_text(node->doc, (const char *)event->data.scalar.value, event->data.scalar.length);
    if (!node->text) return SNN_EFAIL;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || !is_plain(node->text, false);
    return SNN_OK;
}

static int open_node(struct reader *r, const yaml_event_t *event, enum snn_conf_kind kind, const yaml_char_t *anchor,
                     const yaml_char_t *tag) {
    const yaml_mark_t *mark = &event->start_mark;
    if (anchor) return refuse(r, mark->line, mark->column, "anchors (&) are not allowed");
    if (tag) return refuse(r, mark->line, mark->column, "tags (!) are not allowed");
    if (awaits_key(r))
        return refuse(r, mark->line, mark->column, "expected a word as key, got a %s",
                      kind == SNN_CONF_MAP ? "map" : "list");
    struct snn_conf *node;
    SNN_TRY(next_node(r, event, &node));
    make_empty(node, kind);
    r->frame[r->level++] = (struct frame){.node = node};
    return SNN_OK;
}

static int by_key(const void *a, const void *b) {
    const struct snn_conf *x = *(struct snn_conf *const *)a, *y = *(struct snn_conf *const *)b;
    int order = strcmp(x->key, y->key);
    if (!order) order = x->key_line - y->key_line;
    return order ? order : x->key_column - y->key_column;
}

/* Sorted, because comparing each with each would take seconds for the largest map. */
static int refuse_duplicates(const struct snn_conf *map) {
    size_t n = (size_t)map->count;
    struct snn_conf **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted) return out_of_memory();
    size_t i = 0;
    for (struct snn_conf *child = map->first; child; child = child->next) sorted[i++] = child;
    qsort(sorted, n, sizeof *sorted, by_key);
    const struct snn_conf *first = NULL;
    for (i = 1; i < n && !first; ++i)
        if (!strcmp(sorted[i - 1]->key, sorted[i]->key)) first = sorted[i];
    free(sorted);
    return first ? snn_conf_key_error(map, first, "key '%s' is given twice", first->key) : SNN_OK;
}

static int close_node(struct reader *r) {
    const struct snn_conf *node = r->frame[--r->level].node;
    return node->kind == SNN_CONF_MAP ? refuse_duplicates(node) : SNN_OK;
}

static int take_event(struct reader *r, const yaml_event_t *event) {
    const yaml_mark_t *mark = &event->start_mark;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++) return refuse(r, mark->line, mark->column, "expected one document, got a second");
        return SNN_OK;
    case YAML_ALIAS_EVENT:
        return refuse(r, mark->line, mark->column, "aliases (*) are not allowed");
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event);
    case YAML_MAPPING_START_EVENT:
        return open_node(r, event, SNN_CONF_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(r, event, SNN_CONF_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return close_node(r);
    default:
        return SNN_OK;
    }
}

static int read_events(struct reader *r) {
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->yaml, &event)) return refuse_syntax(r);
        int status = take_event(r, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        SNN_TRY(status);
    }
    return SNN_OK;
}

/* Fill `target` from YAML text; without a value in it the target is left as it is. */
static int read_yaml(struct snn_conf *target, const char *text, size_t size, bool located) {
    if (size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) text += 3, size -= 3;
    struct reader r = {.target = target, .text = text, .size = size, .located = located};
    if (!yaml_parser_initialize(&r.yaml)) return out_of_memory();
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, size);
    int status = read_events(&r);
    yaml_parser_delete(&r.yaml);
    return status;
}

int snn_conf_parse(const char *text, size_t size, const char *origin, struct snn_conf_doc **out) {
    *out = NULL;
    if (size > SIZE_LIMIT)
        return snn_error(SNN_EUSAGE, "%s: has %zu bytes, expected at most %d", origin, size, SIZE_LIMIT);
    struct snn_conf_doc *doc = calloc(1, sizeof *doc);
    if (!doc) return out_of_memory();
    char *name = take_text(doc, origin, strlen(origin));
    char *nothing = take(doc, 1);
    struct snn_conf *root = doc->root = take(doc, sizeof *root);
    int status = name && nothing && root ? SNN_OK : SNN_EFAIL;
    if (status == SNN_OK) {
        *root = (struct snn_conf){SNN_CONF_SCALAR, .text = nothing, .origin = name, .doc = doc};
        status = read_yaml(root, text, size, true);
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
    make_empty(node, SNN_CONF_SCALAR);
    node->text = nothing;
    int status = read_yaml(node, yaml, strlen(yaml), false);
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
    make_empty(node, SNN_CONF_MAP);
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
        make_empty(node, SNN_CONF_MAP);
        return SNN_OK;
    }
    if (is_item && !strcmp(node->text, part)) { /* - lif */
        SNN_TRY(snn_conf_wrap(node, part));
        make_empty(node->first, SNN_CONF_MAP);
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
        while (end && continues(shown[end])) --end;
        memcpy(shown + end, "...", 4);
    }
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) return snn_error(SNN_EUSAGE, "--set %s: expected KEY=VALUE", shown);
    char *origin = take(doc, sizeof "--set " + sizeof shown);
    char *path = origin ? take_text(doc, assignment, (size_t)(equals - assignment)) : NULL;
    if (!path) return SNN_EFAIL;
    sprintf(origin, "--set %s", shown);

    struct snn_conf *node = doc->root;
    for (char *part; (part = strsep(&path, "."));) {
        if (!*part || strlen(part) > KEY_LIMIT)
            return snn_error(SNN_EUSAGE, "%s: expected a dotted path of keys of 1..%d bytes", origin, KEY_LIMIT);
        SNN_TRY(descend(node, part, !path, origin, &node));
    }
    node->origin = origin;
    node->line = node->column = node->key_line = node->key_column = 0;
    return snn_conf_assign(node, equals + 1);
}

/* ---- writing ---- */

static void write_quoted(FILE *f, const char *text) {
    bool escapes = strpbrk(text, "\t\n") != NULL;
    fputc(escapes ? '"' : '\'', f);
    for (; *text; ++text) {
        if (*text == '\n') fputs("\\n", f);
        else if (*text == '\t') fputs("\\t", f);
        else if (escapes && (*text == '"' || *text == '\\')) fprintf(f, "\\%c", *text);
        else if (!escapes && *text == '\'') fputs("''", f);
        else fputc(*text, f);
    }
    fputc(escapes ? '"' : '\'', f);
}

static void write_scalar(FILE *f, const struct snn_conf *node) {
    if (node->quoted) write_quoted(f, node->text);
    else fputs(node->text, f);
}

/* A list that stands in one line, between brackets. */
static bool is_flow_list(const struct snn_conf *node) {
    if (node->kind != SNN_CONF_LIST) return false;
    for (const struct snn_conf *item = node->first; item; item = item->next)
        if (item->kind != SNN_CONF_SCALAR || (!item->quoted && !is_plain(item->text, true))) return false;
    return true;
}

static void write_flow_list(FILE *f, const struct snn_conf *list) {
    fputc('[', f);
    for (const struct snn_conf *item = list->first; item; item = item->next) {
        write_scalar(f, item);
        if (item->next) fputs(", ", f);
    }
    fputc(']', f);
}

/* What stands behind its key or dash, in one line. */
static bool is_leaf(const struct snn_conf *node) {
    return node->kind == SNN_CONF_SCALAR || !node->count || is_flow_list(node);
}

static void write_leaf(FILE *f, const struct snn_conf *node) {
    if (node->kind == SNN_CONF_SCALAR) write_scalar(f, node);
    else if (node->kind == SNN_CONF_LIST) write_flow_list(f, node);
    else fputs("{}", f);
}

/* The children of a map or list, a line each and more; `begun`: the first goes on in the line of a dash. */
static void write_block(FILE *f, const struct snn_conf *node, int indent, bool begun) {
    for (const struct snn_conf *child = node->first; child; child = child->next) {
        if (child != node->first || !begun) fprintf(f, "%*s", indent, "");
        if (!child->key) fputc('-', f);
        else if (is_plain(child->key, true)) fprintf(f, "%s:", child->key);
        else write_quoted(f, child->key), fputc(':', f);
        if (is_leaf(child)) {
            if (child->kind != SNN_CONF_SCALAR || child->quoted || child->text[0]) fputc(' ', f);
            write_leaf(f, child);
        }
        fputc(child->key || is_leaf(child) ? '\n' : ' ', f);
        if (!is_leaf(child)) write_block(f, child, indent + 2, !child->key);
    }
}

char *snn_conf_write(const struct snn_conf *node) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    if (is_leaf(node)) write_leaf(f, node), fputc('\n', f);
    else write_block(f, node, 0, false);
    bool failed = ferror(f);
    if (fclose(f) || failed) {
        free(text);
        return NULL;
    }
    return text;
}
