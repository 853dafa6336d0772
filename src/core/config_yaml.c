/* SPDX-License-Identifier: Apache-2.0
 * config_yaml.c - YAML text -> nodes with positions, and nodes -> YAML text.
 *
 * One reader of libyaml's events, which keeps its own stack of bounded depth, makes all nodes: there is one syntax and
 * one place where hostile text is refused. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/config_parts.h"
#include "core/status.h"

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
    bool located;                               /* nodes have positions in `text`; else all have that of the target */
    int documents, level;                       /* frames in use */
    struct frame frame[SNN_CONF_MAX_DEPTH + 1]; /* snn_conf_add_child keeps the depth */
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

/* The byte at a mark, which counts characters; 0 at the end. */
static char byte_at(const struct reader *r, const yaml_mark_t *mark) {
    size_t byte = 0;
    for (size_t i = 0; i < mark->index && byte < r->size; ++i) {
        ++byte;
        while (byte < r->size && snn_utf8_continues(r->text[byte])) ++byte;
    }
    return byte < r->size ? r->text[byte] : 0;
}

static int refuse_bytes(const struct reader *r) {
    size_t line = 0, column = 0;
    for (size_t i = 0; i < r->yaml.problem_offset; ++i) {
        if (r->text[i] == '\n') ++line, column = 0;
        else column += !snn_utf8_continues(r->text[i]);
    }
    return refuse(r, line, column, "not YAML text: %s (byte 0x%02X)", r->yaml.problem,
                  (unsigned char)r->text[r->yaml.problem_offset]);
}

static int refuse_syntax(const struct reader *r) {
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_MEMORY_ERROR) return snn_conf_out_of_memory();
    if (y->error == YAML_READER_ERROR) return refuse_bytes(r);
    size_t line = y->problem_mark.line, column = y->problem_mark.column;
    if (byte_at(r, &y->problem_mark) == '\t') return refuse(r, line, column, "not YAML: indent with spaces, not tabs");
    if (!y->context) return refuse(r, line, column, "not YAML: %s", y->problem);
    return refuse(r, line, column, "not YAML: %s %s that starts in line %zu", y->problem, y->context,
                  y->context_mark.line + 1);
}

bool snn_conf_printable(const unsigned char *text, size_t length) {
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
        SNN_TRY(snn_conf_add_child(f->node, f->last, f->key, out));
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
    if (length < 1 || length > SNN_CONF_MAX_KEY)
        return refuse(r, mark->line, mark->column, "expected a key of 1..%d bytes, got %zu", SNN_CONF_MAX_KEY, length);
    f->key = snn_conf_take_text(r->target->doc, (const char *)event->data.scalar.value, length);
    f->key_line = (int)mark->line + 1, f->key_column = (int)mark->column + 1;
    return f->key ? SNN_OK : SNN_EFAIL;
}

static int read_scalar(struct reader *r, const yaml_event_t *event) {
    const yaml_mark_t *mark = &event->start_mark;
    if (event->data.scalar.anchor) return refuse(r, mark->line, mark->column, "anchors (&) are not allowed");
    if (event->data.scalar.tag) return refuse(r, mark->line, mark->column, "tags (!) are not allowed");
    if (!snn_conf_printable(event->data.scalar.value, event->data.scalar.length))
        return refuse(r, mark->line, mark->column, "control characters are not allowed");
    if (awaits_key(r)) return read_key(r, event);
    struct snn_conf *node;
    SNN_TRY(next_node(r, event, &node));
    snn_conf_make_empty(node, SNN_CONF_SCALAR);
    node->text = snn_conf_take_text(node->doc, (const char *)event->data.scalar.value, event->data.scalar.length);
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
    snn_conf_make_empty(node, kind);
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
    if (!sorted) return snn_conf_out_of_memory();
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

int snn_conf_read_yaml(struct snn_conf *target, const char *text, size_t size, bool located) {
    if (size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) text += 3, size -= 3;
    struct reader r = {.target = target, .text = text, .size = size, .located = located};
    if (!yaml_parser_initialize(&r.yaml)) return snn_conf_out_of_memory();
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, size);
    int status = read_events(&r);
    yaml_parser_delete(&r.yaml);
    return status;
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
