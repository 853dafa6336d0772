/* SPDX-License-Identifier: Apache-2.0
 * config.h - YAML text -> a tree with positions -> typed structs through schema tables.
 *
 * One line of a schema (struct snn_key) gives parsing, type and range check, the default, --set, the resolved config
 * and the help. Reading a map fills the defaults of absent keys into the tree, so that after everything was read the
 * tree IS the resolved config. Errors are SNN_EUSAGE with one sentence: configs/x.yaml:14:7: model.2.lif: unknown key
 * 'surogate' (did you mean 'surrogate'?)                              */
#ifndef SNN_CONFIG_H
#define SNN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum snn_conf_kind { SNN_CONF_SCALAR, SNN_CONF_LIST, SNN_CONF_MAP };

struct snn_conf { /* a node of the tree; owned by its document */
    enum snn_conf_kind kind;
    char *key;   /* in a map: the key, else NULL */
    char *text;  /* scalar: its text ("" for an empty value) */
    bool quoted; /* scalar: text, never a number: it was not plain, or is such that it could not be written plain */
    int line, column;         /* of the value, 1-based; 0 when it came from a default or --set */
    int key_line, key_column; /* of its key in a map, else those of the value */
    const char *origin;       /* the file's name as given, or "--set KEY=VALUE" */
    struct snn_conf *parent, *first, *next;
    int count; /* children */
    struct snn_conf_doc *doc;
};

struct snn_conf_doc;

/* Limits against hostile input: file 4 MiB, depth 64, 100,000 nodes. Refused: invalid UTF-8, several documents,
 * anchors, aliases, tags, duplicate keys, keys that are not scalars, a root that is not a map, an empty file. */
int snn_conf_load(const char *path, struct snn_conf_doc **doc);
int snn_conf_parse(const char *text, size_t size, const char *origin, struct snn_conf_doc **doc);
void snn_conf_free(struct snn_conf_doc **doc);
struct snn_conf *snn_conf_root(struct snn_conf_doc *doc);

/* Apply "train.epochs=5": a dotted path (map keys; list items by index from 0 or by their `name:`), then '=' and a
 * value as YAML flow text. Intermediate maps are created; the last element may be new (the schema will judge it). An
 * item or value that is a bare name (`surrogate: atan`, `- lif`) becomes a map when the path goes below it. */
int snn_conf_set(struct snn_conf_doc *doc, const char *assignment);

/* The child of a map, or NULL. */
struct snn_conf *snn_conf_get(const struct snn_conf *map, const char *key);
/* Child i of a list or map, or NULL. */
struct snn_conf *snn_conf_item(const struct snn_conf *node, int i);
/* "model.2.lif.tau" into buffer (truncated to fit, always terminated); returns buffer. The root is "". */
char *snn_conf_path(const struct snn_conf *node, char *buffer, size_t size);
/* The node at a dotted path below the root (as in snn_conf_set), or NULL. */
struct snn_conf *snn_conf_at(struct snn_conf_doc *doc, const char *path);
/* Record "ORIGIN:LINE:COLUMN: PATH: message" and return SNN_EUSAGE. Position is left out where unknown. */
int snn_conf_error(const struct snn_conf *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same at the position of the key of `at` (itself or a child of `map`), with the path of `map`. */
int snn_conf_key_error(const struct snn_conf *map, const struct snn_conf *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Replace what `node` holds by parsed YAML flow text (used to normalise short forms, and for values that depend on
 * others). */
int snn_conf_assign(struct snn_conf *node, const char *yaml);
/* Add (or replace) a child of a map from YAML flow text; returns it through *child when not NULL. */
int snn_conf_put(struct snn_conf *map, const char *key, const char *yaml, struct snn_conf **child);

/* Put what `node` holds under a key of a map: `adam` becomes {name: adam}. */
int snn_conf_wrap(struct snn_conf *node, const char *key);

/* The tree as YAML text in block style (malloc'd, caller frees; NULL: out of memory): parses back to the same tree. */
char *snn_conf_write(const struct snn_conf *node);

/* ---- schemas ---- */

enum snn_key_type {
    SNN_BOOL,   /* bool: true | false */
    SNN_INT,    /* long long; words in `choices` are stored as -1, -2, ... in their order (auto, none ...) */
    SNN_REAL,   /* double (finite); a word in `choices` (none ...) is stored as NAN */
    SNN_TEXT,   /* const char *, owned by the document; a NULL default with SNN_OPTIONAL gives NULL */
    SNN_CHOICE, /* int: index in `choices` */
    SNN_TIME,   /* struct snn_time; words in `choices` are stored as -1, -2, ... steps */
    SNN_PAIR,   /* int[2]: one integer for both, or a list of two */
    SNN_SIZES,  /* struct snn_sizes: one integer for all axes, or a list of one for each */
    SNN_NODE    /* struct snn_conf *: anything, read further by the caller */
};

struct snn_time {
    double value;
    bool seconds; /* true: value is in seconds; false: in steps */
};

enum { SNN_SIZES_MOST = 4 };
struct snn_sizes {
    int count; /* of numbers that were given; 0: one, for all axes */
    int at[SNN_SIZES_MOST];
};

struct snn_key {
    const char *name;
    enum snn_key_type type;
    size_t field;      /* offsetof the field in the struct that is filled */
    const char *value; /* default as YAML flow text; NULL: the key must be given */
    double min,
        max; /* inclusive range of SNN_INT, SNN_REAL, SNN_PAIR, SNN_SIZES, SNN_TIME (in its own unit); both 0: any */
    const char *const *choices; /* NULL-terminated words; see the types */
    const char *help;           /* one line */
};
/* As a default: the key may be absent and stays so (SNN_TEXT and SNN_NODE give NULL, other fields are left as they
 * are). */
extern const char SNN_OPTIONAL[]; /* an array, so that constant tables can hold it */

/* Fill the struct at `out` from a map through `keys` (ended by a NULL name): unknown keys, wrong types and values out
 * of range are errors that name what was expected; defaults are written into the tree. */
int snn_conf_read(struct snn_conf *map, const struct snn_key *keys, void *out);

/* A thing chosen by name with keys of its own: `NAME`, `{name: NAME, key: ...}`. Normalises *node to the map form and
 * returns the name's index among `names` (NULL-terminated), or SNN_EUSAGE with the nearest name ("expected WHAT, got
 * 'x'": `what` is "a surrogate"). The `name` key stays in the map; pass the map to snn_conf_read with a schema that has
 * SNN_KEY_NAME as its first line. */
int snn_conf_variant(struct snn_conf *node, const char *what, const char *const *names);
#define SNN_KEY_NAME                                                                                                   \
    { "name", SNN_NODE, (size_t)-1, NULL, 0, 0, NULL, "which one" } /* read by snn_conf_variant; not stored */

/* The nearest word to `word` among NULL-terminated `words` (edit distance at most 2 and under half its length), or
 * NULL. */
const char *snn_nearest(const char *word, const char *const *words);

#endif
