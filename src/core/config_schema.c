/* SPDX-License-Identifier: Apache-2.0
 * config_schema.c - reading a map of the config into a struct through a table of keys.
 *
 * Defaults take the same way as what the user wrote: their text is put into the tree, then read and checked from there.
 * So a default out of its own range cannot hide, and the tree ends up as the resolved config. */
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/status.h"

const char SNN_OPTIONAL[] = "";

enum { WORD_LIMIT = 64, SHOWN = 60, LIST_LIMIT = 360 };

/* ---- words ---- */

static int smallest(int a, int b, int c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

/* Insertions, deletions and replacements from a to b, both shorter than WORD_LIMIT. */
static int edit_distance(const char *a, const char *b) {
    int row[WORD_LIMIT], n = (int)strlen(b);
    for (int j = 0; j <= n; ++j) row[j] = j;
    for (int i = 0; a[i]; ++i) {
        int diagonal = row[0]; /* of the row before */
        row[0] = i + 1;
        for (int j = 0; j < n; ++j) {
            int above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *snn_nearest(const char *word, const char *const *words) {
    const char *nearest = NULL;
    int best = 3;
    if (strlen(word) >= WORD_LIMIT) return NULL;
    for (; *words; ++words) {
        if (strlen(*words) >= WORD_LIMIT) continue;
        int distance = edit_distance(word, *words);
        if (distance < best && 2 * distance < (int)strlen(word)) best = distance, nearest = *words;
    }
    return nearest;
}

struct text { /* a part of a sentence */
    char text[400];
};

/* "a, b, c", ended by "..." where it would leave no room for the rest of a sentence */
static struct text join(const char *const *words) {
    struct text list = {""};
    size_t n = 0;
    for (const char *const *word = words; *word; ++word) {
        const char *comma = word == words ? "" : ", ";
        if (n + strlen(*word) + 2 > LIST_LIMIT) {
            snprintf(list.text + n, sizeof list.text - n, "%s...", comma);
            break;
        }
        n += (size_t)snprintf(list.text + n, sizeof list.text - n, "%s%s", comma, *word);
    }
    return list;
}

/* " (did you mean 'x'?)" or, where nothing is near, "" or with `list` " (known: a, b)" */
static struct text suggest(const char *word, const char *const *words, bool list) {
    struct text hint = {""};
    const char *near = snn_nearest(word, words);
    if (near) snprintf(hint.text, sizeof hint.text, " (did you mean '%s'?)", near);
    else if (list && *words) snprintf(hint.text, sizeof hint.text, " (known: %.380s)", join(words).text);
    return hint;
}

/* In one line, and cut where it is long. */
static struct text shorten(const char *text) {
    struct text shown;
    int n = snprintf(shown.text, SHOWN, "%s", text);
    if (n >= SHOWN) {
        n = SHOWN - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) --n; /* not within a character */
        strcpy(shown.text + n, "...");
    }
    for (char *c = shown.text; *c; ++c)
        if (*c == '\n' || *c == '\t') *c = ' ';
    return shown;
}

/* What a node holds, for "got ...". */
static struct text got(const struct snn_conf *node) {
    struct text what = {"nothing"};
    if (node->kind != SNN_CONF_SCALAR) strcpy(what.text, node->kind == SNN_CONF_LIST ? "a list" : "a map");
    else if (node->quoted) snprintf(what.text, sizeof what.text, "the text '%.100s'", shorten(node->text).text);
    else if (node->text[0]) snprintf(what.text, sizeof what.text, "'%.100s'", shorten(node->text).text);
    return what;
}

/* ---- numbers ---- */

static int word_index(const struct snn_conf *node, const char *const *words) {
    if (node->kind != SNN_CONF_SCALAR || !words) return -1;
    for (int i = 0; words[i]; ++i)
        if (!strcmp(node->text, words[i])) return i;
    return -1;
}

/* The length of a decimal number at the start of `text`, 0 when there is none: no hexadecimal, no infinity. */
static size_t decimal_length(const char *text) {
    size_t i = text[0] == '+' || text[0] == '-';
    size_t whole = strspn(text + i, "0123456789"), part = 0;
    i += whole;
    if (text[i] == '.') part = strspn(text + ++i, "0123456789");
    if (!whole && !part) return 0;
    i += part;
    if (text[i] == 'e' || text[i] == 'E') {
        size_t sign = text[i + 1] == '+' || text[i + 1] == '-', digits = strspn(text + i + 1 + sign, "0123456789");
        if (digits) i += 1 + sign + digits;
    }
    return i;
}

static bool is_integer(const struct snn_conf *node) {
    if (node->kind != SNN_CONF_SCALAR || node->quoted) return false;
    const char *digits = node->text + (node->text[0] == '+' || node->text[0] == '-');
    return *digits && !digits[strspn(digits, "0123456789")];
}

static bool any_range(const struct snn_key *key) { return key->min == 0 && key->max == 0; }

/* "an integer" -> "an integer of 1..9"; without bounds it stays. */
static struct text with_range(const char *what, const struct snn_key *key) {
    struct text text;
    bool low = key->min >= -DBL_MAX, high = key->max <= DBL_MAX;
    if (any_range(key) || (!low && !high)) snprintf(text.text, sizeof text.text, "%s", what);
    else if (low && high) snprintf(text.text, sizeof text.text, "%s of %.15g..%.15g", what, key->min, key->max);
    else
        snprintf(text.text, sizeof text.text, "%s of at %s %.15g", what, low ? "least" : "most",
                 low ? key->min : key->max);
    return text;
}

static bool in_range(const struct snn_key *key, double value) {
    return any_range(key) || (value >= key->min && value <= key->max);
}

static int wrong_range(const struct snn_conf *node, const struct snn_key *key, const char *what) {
    return snn_conf_error(node, "expected %s, got %s", with_range(what, key).text, shorten(node->text).text);
}

/* "expected WHAT, got 'x'"; with words "expected WHAT or auto, got 'aut' (did you mean 'auto'?)" */
static int wrong_type(const struct snn_conf *node, const struct snn_key *key, const char *what) {
    if (!key->choices) return snn_conf_error(node, "expected %s, got %s", what, got(node).text);
    const char *word = node->kind == SNN_CONF_SCALAR ? node->text : "";
    return snn_conf_error(node, "expected %s or %s, got %s%s", what, join(key->choices).text, got(node).text,
                          suggest(word, key->choices, false).text);
}

/* ---- one reader a type; `field` is the place in the struct ---- */

static int read_bool(struct snn_conf *node, const struct snn_key *key, void *field) {
    bool plain = node->kind == SNN_CONF_SCALAR && !node->quoted, yes = plain && !strcmp(node->text, "true");
    if (!yes && !(plain && !strcmp(node->text, "false"))) return wrong_type(node, key, "true or false");
    *(bool *)field = yes;
    return SNN_OK;
}

static int read_int(struct snn_conf *node, const struct snn_key *key, void *field) {
    int word = word_index(node, key->choices);
    if (word >= 0) {
        *(long long *)field = -1 - word;
        return SNN_OK;
    }
    if (!is_integer(node)) return wrong_type(node, key, "an integer");
    errno = 0;
    long long value = strtoll(node->text, NULL, 10);
    if (errno && any_range(key)) return wrong_range(node, key, "an integer of 64 bits");
    if (errno || !in_range(key, (double)value)) return wrong_range(node, key, "an integer");
    *(long long *)field = value;
    return SNN_OK;
}

static int read_real(struct snn_conf *node, const struct snn_key *key, void *field) {
    if (word_index(node, key->choices) >= 0) {
        *(double *)field = NAN;
        return SNN_OK;
    }
    size_t length = node->kind == SNN_CONF_SCALAR && !node->quoted ? decimal_length(node->text) : 0;
    if (!length || node->text[length]) return wrong_type(node, key, "a number");
    double value = strtod(node->text, NULL);
    if (!isfinite(value)) return wrong_range(node, key, "a finite number");
    if (!in_range(key, value)) return wrong_range(node, key, "a number");
    *(double *)field = value;
    return SNN_OK;
}

static int read_time(struct snn_conf *node, const struct snn_key *key, void *field) {
    static const char what[] = "a time (10 ms, 300 us, 1.4 s) or a number of steps";
    static const char *const names[] = {"", "s", "ms", "us"};
    static const double in_a_second[] = {1, 1, 1e3,
                                         1e6}; /* to divide by: the nearest double to 0.3 ms is not 0.3 * 1e-3 */
    int word = word_index(node, key->choices);
    if (word >= 0) {
        *(struct snn_time *)field = (struct snn_time){-1 - word, false};
        return SNN_OK;
    }
    size_t length = node->kind == SNN_CONF_SCALAR && !node->quoted ? decimal_length(node->text) : 0;
    if (!length) return wrong_type(node, key, what);
    const char *unit = node->text + length + strspn(node->text + length, " ");
    for (int i = 0; i < 4; ++i) {
        if (strcmp(unit, names[i]) != 0) continue;
        double value = strtod(node->text, NULL) / in_a_second[i];
        if (!isfinite(value) || !in_range(key, value))
            return wrong_range(node, key, i ? "a time in seconds" : "a number of steps");
        *(struct snn_time *)field = (struct snn_time){value, i > 0};
        return SNN_OK;
    }
    return wrong_type(node, key, what);
}

static int read_small(struct snn_conf *node, const struct snn_key *key, int *out) {
    if (!is_integer(node)) return wrong_type(node, key, "an integer");
    errno = 0;
    long long value = strtoll(node->text, NULL, 10);
    bool fits = !errno && value >= INT_MIN && value <= INT_MAX;
    if (!fits && any_range(key)) return wrong_range(node, key, "an integer of 32 bits");
    if (!fits || !in_range(key, (double)value)) return wrong_range(node, key, "an integer");
    *out = (int)value;
    return SNN_OK;
}

static int read_pair(struct snn_conf *node, const struct snn_key *key, void *field) {
    int *pair = field;
    if (node->kind == SNN_CONF_LIST && node->count == 2) {
        SNN_TRY(read_small(node->first, key, &pair[0]));
        return read_small(node->first->next, key, &pair[1]);
    }
    if (node->kind == SNN_CONF_LIST)
        return snn_conf_error(node, "expected an integer or a list of two, got a list of %d", node->count);
    if (!is_integer(node)) return wrong_type(node, key, "an integer or a list of two");
    SNN_TRY(read_small(node, key, &pair[0]));
    pair[1] = pair[0];
    return SNN_OK;
}

static int read_sizes(struct snn_conf *node, const struct snn_key *key, void *field) {
    struct snn_sizes *sizes = field;
    sizes->count = node->kind == SNN_CONF_LIST ? node->count : 0;
    if (node->kind == SNN_CONF_LIST && (node->count < 1 || node->count > SNN_SIZES_MOST))
        return snn_conf_error(node, "expected an integer or a list of one for each axis, got a list of %d",
                              node->count);
    if (node->kind == SNN_CONF_LIST) {
        const int *end = sizes->at + node->count;
        struct snn_conf *item = node->first;
        for (int *to = sizes->at; to < end; ++to, item = item->next) SNN_TRY(read_small(item, key, to));
        return SNN_OK;
    }
    if (!is_integer(node)) return wrong_type(node, key, "an integer or a list of one for each axis");
    SNN_TRY(read_small(node, key, &sizes->at[0]));
    for (int i = 1; i < SNN_SIZES_MOST; ++i) sizes->at[i] = sizes->at[0];
    return SNN_OK;
}

static int read_text(struct snn_conf *node, const struct snn_key *key, void *field) {
    if (node->kind != SNN_CONF_SCALAR || (!node->text[0] && !node->quoted)) return wrong_type(node, key, "text");
    *(const char **)field = node->text;
    return SNN_OK;
}

static int read_choice(struct snn_conf *node, const struct snn_key *key, void *field) {
    int index = word_index(node, key->choices);
    if (index >= 0) {
        *(int *)field = index;
        return SNN_OK;
    }
    const char *word = node->kind == SNN_CONF_SCALAR ? node->text : "";
    return snn_conf_error(node, "expected one of %s, got %s%s", join(key->choices).text, got(node).text,
                          suggest(word, key->choices, false).text);
}

static int read_node(struct snn_conf *node, const struct snn_key *key, void *field) {
    (void)key;
    *(struct snn_conf **)field = node;
    return SNN_OK;
}

static int (*const readers[])(struct snn_conf *node, const struct snn_key *key, void *field) = {
    [SNN_BOOL] = read_bool, [SNN_INT] = read_int,       [SNN_REAL] = read_real,
    [SNN_TEXT] = read_text, [SNN_CHOICE] = read_choice, [SNN_TIME] = read_time,
    [SNN_PAIR] = read_pair, [SNN_SIZES] = read_sizes,   [SNN_NODE] = read_node,
};

/* ---- maps ---- */

static const struct snn_key *find_key(const struct snn_key *keys, const char *name) {
    while (keys->name && strcmp(keys->name, name) != 0) ++keys;
    return keys->name ? keys : NULL;
}

static int refuse_unknown(const struct snn_conf *map, const struct snn_key *keys) {
    const struct snn_conf *child = map->first;
    while (child && find_key(keys, child->key)) child = child->next;
    if (!child) return SNN_OK;
    int count = 0;
    while (keys[count].name) ++count;
    const char **names = calloc((size_t)count + 1, sizeof *names);
    if (!names) return snn_error(SNN_EFAIL, "out of memory for a config");
    for (int i = 0; i < count; ++i) names[i] = keys[i].name;
    int status = snn_conf_key_error(map, child, "unknown key '%s'%s", shorten(child->key).text,
                                    suggest(child->key, names, true).text);
    free(names);
    return status;
}

static int read_key(struct snn_conf *map, const struct snn_key *key, unsigned char *out) {
    struct snn_conf *node = snn_conf_get(map, key->name);
    if (!node && key->value == SNN_OPTIONAL) {
        if (key->type == SNN_TEXT) *(const char **)(out + key->field) = NULL;
        if (key->type == SNN_NODE) *(struct snn_conf **)(out + key->field) = NULL;
        return SNN_OK;
    }
    if (!node && !key->value) return snn_conf_key_error(map, map, "key '%s' is missing (%s)", key->name, key->help);
    if (!node) SNN_TRY(snn_conf_put(map, key->name, key->value, &node));
    return key->field == (size_t)-1 ? SNN_OK : readers[key->type](node, key, out + key->field);
}

int snn_conf_read(struct snn_conf *map, const struct snn_key *keys, void *out) {
    if (map->kind != SNN_CONF_MAP) return snn_conf_error(map, "expected a map of keys, got %s", got(map).text);
    SNN_TRY(refuse_unknown(map, keys));
    for (; keys->name; ++keys) SNN_TRY(read_key(map, keys, out));
    return SNN_OK;
}

int snn_conf_variant(struct snn_conf *node, const char *what, const char *const *names) {
    struct snn_conf *name = node->kind == SNN_CONF_MAP ? snn_conf_get(node, "name") : node;
    if (!name) return snn_conf_key_error(node, node, "key 'name' is missing (%s: %s)", what, join(names).text);
    int index = word_index(name, names);
    if (index < 0) {
        bool is_word = name->kind == SNN_CONF_SCALAR && name->text[0];
        return snn_conf_error(name, "expected %s, got %s%s", what, got(name).text,
                              suggest(is_word ? name->text : "", names, true).text);
    }
    if (name == node) SNN_TRY(snn_conf_wrap(node, "name"));
    return index;
}
