/* SPDX-License-Identifier: Apache-2.0
 * test_config.c - the config: reading, hostile text, --set, writing, schemas, and every sentence word for word. */
#include "snn_check.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "core/config.h"

static struct snn_conf_doc *parse(const char *text) {
    struct snn_conf_doc *doc;
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    ck_assert_ptr_nonnull(doc);
    return doc;
}

static void refused(int status, const char *sentence) {
    ck_assert_msg(status == SNN_EUSAGE, "status %d, expected the refusal: %s", status, sentence);
    ck_assert_str_eq(snn_error_text(), sentence);
}

static void refused_bytes(const char *text, size_t size, const char *sentence) {
    struct snn_conf_doc *doc = (void *)1;
    refused(snn_conf_parse(text, size, "c.yaml", &doc), sentence);
    ck_assert_ptr_null(doc);
}

static void refused_text(const char *text, const char *sentence) { refused_bytes(text, strlen(text), sentence); }

static struct snn_conf *at(struct snn_conf_doc *doc, const char *path) {
    struct snn_conf *node = snn_conf_at(doc, path);
    ck_assert_msg(node != NULL, "nothing at %s", path);
    return node;
}

static void is_at(const struct snn_conf *node, int line, int column, int key_line, int key_column) {
    ck_assert_int_eq(node->line, line);
    ck_assert_int_eq(node->column, column);
    ck_assert_int_eq(node->key_line, key_line);
    ck_assert_int_eq(node->key_column, key_column);
}

static void writes(const struct snn_conf *node, const char *expected) {
    char *text = snn_conf_write(node);
    ck_assert_str_eq(text, expected);
    free(text);
}

static void same_tree(const struct snn_conf *a, const struct snn_conf *b) {
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_int_eq(a->count, b->count);
    ck_assert_int_eq(a->key != NULL, b->key != NULL);
    if (a->key) ck_assert_str_eq(a->key, b->key);
    if (a->kind == SNN_CONF_SCALAR) {
        ck_assert_str_eq(a->text, b->text);
        ck_assert_msg(a->quoted == b->quoted, "'%s' is quoted in one of two trees", a->text);
    }
    const struct snn_conf *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next) {
        ck_assert_ptr_eq(x->parent, a);
        ck_assert_ptr_eq(y->parent, b);
        same_tree(x, y);
    }
    ck_assert_ptr_null(x);
    ck_assert_ptr_null(y);
}

static void round_trip(struct snn_conf_doc *doc) {
    char *text = snn_conf_write(snn_conf_root(doc));
    ck_assert_ptr_nonnull(text);
    struct snn_conf_doc *again;
    int status = snn_conf_parse(text, strlen(text), "again", &again);
    ck_assert_msg(status == SNN_OK, "%s\n%s", snn_error_text(), text);
    same_tree(snn_conf_root(doc), snn_conf_root(again));
    writes(snn_conf_root(again), text);
    snn_conf_free(&again);
    free(text);
}

/* ---- reading ---- */

static const char example[] = "seed: 0\n"
                              "data:\n"
                              "  name: nmnist # not part of it\n"
                              "  augment: []\n"
                              "model:\n"
                              "  - conv: {out: 16, init: {name: kaiming_uniform, a: 2.236}}\n"
                              "  - lif\n"
                              "  - avgpool: 2\n"
                              "    name: pool\n"
                              "  - linear:\n"
                              "      out: 10\n"
                              "train:\n"
                              "  optimizer: adam\n"
                              "  groups: [{match: \"*.position\", lr: 0.1}]\n"
                              "  clip:\n"
                              "run: {dir: 'runs/a', stop: none}\n";

START_TEST(tree_has_kinds_texts_and_counts) {
    struct snn_conf_doc *doc = parse(example);
    struct snn_conf *root = snn_conf_root(doc);
    ck_assert_int_eq(root->kind, SNN_CONF_MAP);
    ck_assert_int_eq(root->count, 5);
    ck_assert_int_eq(at(doc, "model")->kind, SNN_CONF_LIST);
    ck_assert_int_eq(at(doc, "model")->count, 4);
    ck_assert_str_eq(at(doc, "data.name")->text, "nmnist");
    ck_assert(!at(doc, "data.name")->quoted);
    ck_assert(at(doc, "run.dir")->quoted);
    ck_assert(at(doc, "train.groups.0.match")->quoted);
    ck_assert_str_eq(at(doc, "train.clip")->text, "");
    ck_assert_str_eq(at(doc, "seed")->origin, "c.yaml");
    ck_assert_ptr_eq(snn_conf_get(root, "model"), at(doc, "model"));
    ck_assert_ptr_null(snn_conf_get(root, "modell"));
    ck_assert_ptr_null(snn_conf_get(at(doc, "model"), "0"));
    ck_assert_ptr_eq(snn_conf_item(at(doc, "model"), 1), at(doc, "model.1"));
    ck_assert_ptr_null(snn_conf_item(at(doc, "model"), 4));
    ck_assert_ptr_null(snn_conf_item(at(doc, "model"), -1));
    ck_assert_ptr_eq(snn_conf_item(root, 0), at(doc, "seed"));
    snn_conf_free(&doc);
    ck_assert_ptr_null(doc);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(positions_are_those_of_values_and_keys) {
    struct snn_conf_doc *doc = parse(example);
    is_at(snn_conf_root(doc), 1, 1, 1, 1);
    is_at(at(doc, "seed"), 1, 7, 1, 1);
    is_at(at(doc, "data"), 3, 3, 2, 1);
    is_at(at(doc, "model.0"), 6, 5, 6, 5);
    is_at(at(doc, "model.0.conv.init.a"), 6, 54, 6, 51);
    is_at(at(doc, "model.1"), 7, 5, 7, 5);
    is_at(at(doc, "model.2.name"), 9, 11, 9, 5);
    is_at(at(doc, "train.groups.0.lr"), 14, 38, 14, 34);
    snn_conf_free(&doc);

    doc = parse("\xEF\xBB\xBFname: \"\xC3\xA9t\xC3\xA9\"\r\n\xC3\xA9t\xC3\xA9: [1, 2]\r\n# c\r\nx:\r\n  y: z\r\n");
    is_at(at(doc, "name"), 1, 7, 1, 1);
    ck_assert_str_eq(at(doc, "name")->text, "\xC3\xA9t\xC3\xA9");
    is_at(at(doc, "\xC3\xA9t\xC3\xA9.1"), 2, 10, 2, 10); /* columns count characters */
    is_at(at(doc, "x.y"), 5, 6, 5, 3);
    ck_assert_str_eq(at(doc, "x.y")->text, "z");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(paths_are_dotted_and_cut_to_fit) {
    struct snn_conf_doc *doc = parse(example);
    char path[64], small[8];
    ck_assert_str_eq(snn_conf_path(snn_conf_root(doc), path, sizeof path), "");
    ck_assert_str_eq(snn_conf_path(at(doc, "model.0.conv.init.a"), path, sizeof path), "model.0.conv.init.a");
    ck_assert_str_eq(snn_conf_path(at(doc, "model.pool"), path, sizeof path), "model.2");
    ck_assert_str_eq(snn_conf_path(at(doc, "model.0.conv.init.a"), small, sizeof small), "model.0");
    ck_assert_str_eq(snn_conf_path(at(doc, "train.groups"), small, sizeof small), "train.g");
    ck_assert_str_eq(snn_conf_path(at(doc, "seed"), small, 1), "");
    ck_assert_ptr_eq(snn_conf_at(doc, ""), snn_conf_root(doc));
    const char *const absent[] = {"x",        "seed.x",      "model.4",     "model.99999999999999999999",
                                  "model.-1", "model.conv",  "model..0",    ".seed",
                                  "seed.",    "model.pool2", "model.1.lif", NULL};
    for (int i = 0; absent[i]; ++i) ck_assert_msg(!snn_conf_at(doc, absent[i]), "something is at %s", absent[i]);
    snn_conf_free(&doc);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refuses_files_that_cannot_be_read) {
    struct snn_conf_doc *doc = (void *)1;
    refused(snn_conf_load("no_such.yaml", &doc), "no_such.yaml: cannot be read: No such file or directory");
    ck_assert_ptr_null(doc);
    refused(snn_conf_load("/", &doc), "/: is not a regular file");

    char name[] = "test_config_XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    char expected[200];
    int grown = ftruncate(fd, (4 << 20) + 1);
    int huge = snn_conf_load(name, &doc);
    snprintf(expected, sizeof expected, "%s: has 4194305 bytes, expected at most 4194304", name);
    ck_assert_int_eq(grown, 0);
    refused(huge, expected);

    grown = ftruncate(fd, 0);
    int empty = snn_conf_load(name, &doc);
    snprintf(expected, sizeof expected, "%s: is empty", name);
    ck_assert_int_eq(grown, 0);
    refused(empty, expected);

    ssize_t written = write(fd, "a: 1\n", 5);
    close(fd);
    int loaded = snn_conf_load(name, &doc);
    unlink(name);
    ck_assert_int_eq(written, 5);
    ck_ok(loaded);
    ck_assert_str_eq(at(doc, "a")->origin, name);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(refuses_what_is_no_map) {
    refused_text("", "c.yaml: is empty");
    refused_text("\xEF\xBB\xBF", "c.yaml: is empty");
    refused_text("# only\n# comments\n\n", "c.yaml: is empty");
    refused_text("---\n", "c.yaml: is empty");
    refused_text("- a\n- b\n", "c.yaml:1:1: expected a map of keys, got a list");
    refused_text("\n hello\n", "c.yaml:2:2: expected a map of keys, got text");
    refused_text("''", "c.yaml:1:1: expected a map of keys, got text");
}
END_TEST

START_TEST(refuses_anchors_aliases_and_tags) {
    refused_text("a: &x 1\n", "c.yaml:1:4: anchors (&) are not allowed");
    refused_text("a: &x [1]\n", "c.yaml:1:4: anchors (&) are not allowed");
    refused_text("a: &x {b: 1}\n", "c.yaml:1:4: anchors (&) are not allowed");
    refused_text("&x a: 1\n", "c.yaml:1:1: anchors (&) are not allowed");
    refused_text("a: *x\n", "c.yaml:1:4: aliases (*) are not allowed");
    refused_text("a: 1\nb: [1, *a]\n", "c.yaml:2:8: aliases (*) are not allowed");
    refused_text("a: !!int 1\n", "c.yaml:1:4: tags (!) are not allowed");
    refused_text("a: !mine [1]\n", "c.yaml:1:4: tags (!) are not allowed");
    refused_text("a: !!map {b: 1}\n", "c.yaml:1:4: tags (!) are not allowed");
    refused_text("a: ! 1\n", "c.yaml:1:4: tags (!) are not allowed");
    refused_text("\xC3\xA9: [\xC3\xA9, ! 'x']\n", "c.yaml:1:8: tags (!) are not allowed");
    refused_text("a: !\n", "c.yaml:1:4: tags (!) are not allowed");
    refused_text("!!map\na: 1\n", "c.yaml:1:1: tags (!) are not allowed");
    struct snn_conf_doc *doc = parse("a: \"!x\"\nb: x!\n"); /* no tags */
    snn_conf_free(&doc);
}
END_TEST

START_TEST(refuses_billion_laughs) {
    refused_text("a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n", "c.yaml:1:4: anchors (&) are not allowed");
    refused_text("a: [x]\nb: [*a, *a]\nc: [*b, *b]\n", "c.yaml:2:5: aliases (*) are not allowed");
    refused_text("a: {x: 1}\nb:\n  <<: *a\n", "c.yaml:3:7: aliases (*) are not allowed");
}
END_TEST

START_TEST(refuses_several_documents) {
    refused_text("a: 1\n---\nb: 2\n", "c.yaml:2:1: expected one document, got a second");
    refused_text("a: 1\n...\n---\nb: 2\n", "c.yaml:3:1: expected one document, got a second");
    struct snn_conf_doc *doc = parse("---\na: 1\n...\n");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(refuses_bad_keys) {
    refused_text("a: 1\nb: 2\na: 3\n", "c.yaml:3:1: key 'a' is given twice");
    refused_text("x:\n  z: 1\n  b: 1\n  z: 2\n", "c.yaml:4:3: x: key 'z' is given twice");
    refused_text("x: [0, {a: 1, 'a': 2}]\n", "c.yaml:1:15: x.1: key 'a' is given twice");
    refused_text("? [a, b]\n: 1\n", "c.yaml:1:3: expected a word as key, got a list");
    refused_text("{a: 1}: 1\n", "c.yaml:1:1: expected a word as key, got a map");
    refused_text("x: {'': 1}\n", "c.yaml:1:5: expected a key of 1..500 bytes, got 0");
    char text[600];
    snprintf(text, sizeof text, "%0501d: 1\n", 7);
    refused_text(text, "c.yaml:1:1: expected a key of 1..500 bytes, got 501");
    snprintf(text, sizeof text, "%0500d: 1\n", 7);
    struct snn_conf_doc *doc = parse(text);
    round_trip(doc);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(refuses_bad_syntax) {
    refused_text("a: [1, 2\nb: 3\n", "c.yaml:2:2: not YAML: did not find expected ',' or ']' while parsing a flow "
                                     "sequence that starts in line 1");
    refused_text("a:\n\tb: 1\n", "c.yaml:2:1: not YAML: indent with spaces, not tabs");
    refused_text("a: 'x\n", "c.yaml:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar that "
                            "starts in line 1");
    refused_text("a: 1\nb\n", "c.yaml:3:1: not YAML: could not find expected ':' while scanning a simple key that "
                              "starts in line 2");
    refused_text("a: b: c\n", "c.yaml:1:5: not YAML: mapping values are not allowed in this context");
    refused_text("a: @x\n", "c.yaml:1:4: not YAML: found character that cannot start any token while scanning for the "
                            "next token that starts in line 1");
    refused_text("%YAML 3.0\n---\na: 1\n", "c.yaml:1:1: not YAML: found incompatible YAML document");
}
END_TEST

START_TEST(refuses_bytes_that_are_no_text) {
    refused_text("a: 1\nb: x\xFFy\n", "c.yaml:2:5: not YAML text: invalid leading UTF-8 octet (byte 0xFF)");
    refused_text("\xC3\xA9: \xC3(\n", "c.yaml:1:5: not YAML text: invalid trailing UTF-8 octet (byte 0x28)");
    refused_text("a: \xE2\x82", "c.yaml:1:4: not YAML text: incomplete UTF-8 octet sequence (byte 0xE2)");
    refused_text("a: \xC0\xAF\n", "c.yaml:1:4: not YAML text: invalid length of a UTF-8 sequence (byte 0xC0)");
    refused_text("a: \xED\xA0\x80\n", "c.yaml:1:4: not YAML text: invalid Unicode character (byte 0xED)");
    refused_bytes("a: x\0y\n", 7, "c.yaml:1:5: not YAML text: control characters are not allowed (byte 0x00)");
    refused_bytes("\0", 1, "c.yaml:1:1: not YAML text: control characters are not allowed (byte 0x00)");
    refused_text("a: 1\nb: \x1B[0m\n", "c.yaml:2:4: not YAML text: control characters are not allowed (byte 0x1B)");
    refused_bytes("\xFF\xFE"
                  "a\0:\0 \0"
                  "1\0",
                  10, "c.yaml:1:1: not YAML text: invalid leading UTF-8 octet (byte 0xFF)");
    /* the same, through escapes */
    const char *const escapes[] = {"\\0", "\\x01", "\\e", "\\r",     "\\x7f",   "\\x85",
                                   "\\N", "\\L",   "\\P", "\\uFEFF", "\\uFFFE", NULL};
    for (int i = 0; escapes[i]; ++i) {
        char text[64];
        snprintf(text, sizeof text, "ok: 1\na: \"x%sy\"\n", escapes[i]);
        refused_text(text, "c.yaml:2:4: control characters are not allowed");
        snprintf(text, sizeof text, "\"x%sy\": 1\n", escapes[i]);
        refused_text(text, "c.yaml:1:1: control characters are not allowed");
    }
    refused_text("a: \"\\uD800\"\n",
                 "c.yaml:1:7: not YAML: found invalid Unicode character escape code while parsing a "
                 "quoted scalar that starts in line 1");
}
END_TEST

static char *repeat(const char *before, const char *part, int times, const char *after) {
    size_t n = strlen(part), start = strlen(before);
    char *text = malloc(start + n * (size_t)times + strlen(after) + 1);
    strcpy(text, before);
    for (int i = 0; i < times; ++i) memcpy(text + start + n * (size_t)i, part, n);
    strcpy(text + start + n * (size_t)times, after);
    return text;
}

START_TEST(refuses_deep_nesting) {
    char *open = repeat("a: ", "[", 63, ""), *text = repeat(open, "]", 63, "\n");
    struct snn_conf_doc *doc = parse(text);
    round_trip(doc);
    snn_conf_free(&doc);
    free(open), free(text);
    open = repeat("a: ", "[", 64, "1"), text = repeat(open, "]", 64, "\n");
    struct snn_conf_doc *none;
    ck_assert_int_eq(snn_conf_parse(text, strlen(text), "c.yaml", &none), SNN_EUSAGE);
    ck_assert_str_eq(strrchr(snn_error_text(), ':'), ": is nested deeper than 64 levels");
    ck_assert_int_eq(strncmp(snn_error_text(), "c.yaml:1:67: a.0.0.0.", 21), 0);
    free(open), free(text);
    const char *const parts[] = {"[", "{", "{a: ", "- ", "? ", "[{", "[\n", "{a:\n", NULL};
    for (int i = 0; parts[i]; ++i) {
        text = repeat("", parts[i], 1000000 / (int)strlen(parts[i]), "");
        ck_assert_int_eq(snn_conf_parse(text, strlen(text), "c.yaml", &none), SNN_EUSAGE);
        ck_assert_ptr_null(none);
        free(text);
    }
}
END_TEST

START_TEST(refuses_too_many_values) {
    char *text = repeat("a: [", "1,", 1000000, "]\n");
    refused_text(text, "c.yaml:1:4: a: the config has more than 100000 values");
    free(text);
    text = repeat("a: [", "1,", 99999, "]\n");
    struct snn_conf_doc *doc = parse(text);
    ck_assert_int_eq(at(doc, "a")->count, 99999);
    refused(snn_conf_set(doc, "b=1"), "c.yaml:1:1: the config has more than 100000 values");
    snn_conf_free(&doc);
    free(text);
    text = repeat("a: [", "1,", 2100000, "]\n");
    refused_text(text, "c.yaml: has 4200006 bytes, expected at most 4194304");
    free(text);
}
END_TEST

START_TEST(large_maps_are_checked_for_duplicates_in_time) {
    char *text = malloc(99999 * 8 + 16), *end = text;
    for (int i = 0; i < 99999; ++i) end += sprintf(end, "%05d: \n", i % 99998);
    refused_text(text, "c.yaml:99999:1: key '00000' is given twice");
    free(text);
}
END_TEST

/* ---- errors ---- */

START_TEST(errors_name_origin_position_and_path) {
    struct snn_conf_doc *doc = parse(example);
    refused(snn_conf_error(at(doc, "model.0.conv.out"), "bad %d", 3), "c.yaml:6:17: model.0.conv.out: bad 3");
    refused(snn_conf_error(snn_conf_root(doc), "bad"), "c.yaml:1:1: bad");
    refused(snn_conf_key_error(at(doc, "data"), at(doc, "data.name"), "bad"), "c.yaml:3:3: data: bad");
    refused(snn_conf_key_error(at(doc, "data"), at(doc, "data"), "bad"), "c.yaml:2:1: data: bad");
    ck_ok(snn_conf_put(at(doc, "data"), "pad", "max", NULL));
    refused(snn_conf_error(at(doc, "data.pad"), "bad"), "c.yaml: data.pad: bad");
    ck_ok(snn_conf_set(doc, "data.pad.to=9"));
    refused(snn_conf_error(at(doc, "data.pad.to"), "bad"), "--set data.pad.to=9: data.pad.to: bad");
    snn_conf_free(&doc);
}
END_TEST

/* ---- changes ---- */

START_TEST(set_replaces_and_adds) {
    struct snn_conf_doc *doc = parse("a: 1\nb: {c: [x, {name: n, v: 1}]}\n");
    ck_ok(snn_conf_set(doc, "a=2"));
    ck_ok(snn_conf_set(doc, "b.c.0=y"));
    ck_ok(snn_conf_set(doc, "b.c.n.v=[1, 2]"));
    ck_ok(snn_conf_set(doc, "b.c.1.w=10 ms # said so"));
    ck_ok(snn_conf_set(doc, "new.deep.key={k: 'v', l: []}"));
    ck_ok(snn_conf_set(doc, "empty="));
    ck_ok(snn_conf_set(doc, "eq=a=b"));
    ck_ok(snn_conf_set(doc, "eq2='x: y'"));
    writes(snn_conf_root(doc), "a: 2\n"
                               "b:\n"
                               "  c:\n"
                               "    - y\n"
                               "    - name: n\n"
                               "      v: [1, 2]\n"
                               "      w: 10 ms\n"
                               "new:\n"
                               "  deep:\n"
                               "    key:\n"
                               "      k: 'v'\n"
                               "      l: []\n"
                               "empty:\n"
                               "eq: a=b\n"
                               "eq2: 'x: y'\n");
    is_at(at(doc, "a"), 0, 0, 0, 0);
    ck_assert_str_eq(at(doc, "a")->origin, "--set a=2");
    ck_assert_str_eq(at(doc, "new.deep")->origin, "--set new.deep.key={k: 'v', l: []}");
    is_at(at(doc, "new.deep.key.k"), 0, 0, 0, 0);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(set_opens_bare_names) {
    struct snn_conf_doc *doc = parse("model: [lif, lif, {lif: }, {avgpool: 2}, flip, {lif: {surrogate: atan}}]\n"
                                     "train: {optimizer: adam, stop: none, rule: \"bptt\"}\n");
    ck_ok(snn_conf_set(doc, "model.0.lif.tau=4"));
    ck_ok(snn_conf_set(doc, "model.1.lif={tau: 3}"));
    ck_ok(snn_conf_set(doc, "model.2.lif.tau=5"));
    ck_ok(snn_conf_set(doc, "model.4.p=0.5"));
    ck_ok(snn_conf_set(doc, "model.5.lif.surrogate.alpha=5"));
    ck_ok(snn_conf_set(doc, "train.optimizer.lr=0.1"));
    ck_ok(snn_conf_set(doc, "train.stop.patience=20"));
    ck_ok(snn_conf_set(doc, "train.rule.k=3"));
    writes(snn_conf_root(doc), "model:\n"
                               "  - lif:\n"
                               "      tau: 4\n"
                               "  - lif:\n"
                               "      tau: 3\n"
                               "  - lif:\n"
                               "      tau: 5\n"
                               "  - avgpool: 2\n"
                               "  - name: flip\n"
                               "    p: 0.5\n"
                               "  - lif:\n"
                               "      surrogate:\n"
                               "        name: atan\n"
                               "        alpha: 5\n"
                               "train:\n"
                               "  optimizer:\n"
                               "    name: adam\n"
                               "    lr: 0.1\n"
                               "  stop:\n"
                               "    patience: 20\n"
                               "  rule:\n"
                               "    name: 'bptt'\n"
                               "    k: 3\n");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(set_refuses_what_names_nothing) {
    struct snn_conf_doc *doc =
        parse("model: [lif, {avgpool: 2}, {conv: {out: 1}}]\ntrain: {epochs: 20, name: '2 x'}\n");
    refused(snn_conf_set(doc, "train.epochs"), "--set train.epochs: expected KEY=VALUE");
    refused(snn_conf_set(doc, "=3"), "--set =3: expected KEY=VALUE");
    refused(snn_conf_set(doc, "ta\x94=4"),
            "--set ta\x94=4: a key holds control characters or bytes that are not UTF-8");
    refused(snn_conf_set(doc, "t\033=4"), "--set t =4: a key holds control characters or bytes that are not UTF-8");
    refused(snn_conf_set(doc, ""), "--set : expected KEY=VALUE");
    refused(snn_conf_set(doc, "a..b=3"), "--set a..b=3: expected a dotted path of keys of 1..500 bytes");
    refused(snn_conf_set(doc, ".a=3"), "--set .a=3: expected a dotted path of keys of 1..500 bytes");
    refused(snn_conf_set(doc, "a.=3"), "--set a.=3: expected a dotted path of keys of 1..500 bytes");
    refused(snn_conf_set(doc, "model.3.lif.tau=4"), "--set model.3.lif.tau=4: model: has no item '3', it has 3");
    refused(snn_conf_set(doc, "model.4294967296.x=4"),
            "--set model.4294967296.x=4: model: has no item '4294967296', it has 3");
    refused(snn_conf_set(doc, "model.pool.tau=4"), "--set model.pool.tau=4: model: has no item 'pool', it has 3");
    refused(snn_conf_set(doc, "model.0.conv.out=4"), "--set model.0.conv.out=4: model.0: holds 'lif', so there is no "
                                                     "'conv' in it");
    refused(snn_conf_set(doc, "model.1.avgpool.size=4"), "--set model.1.avgpool.size=4: model.1.avgpool: holds '2', so "
                                                         "there is no 'size' in it");
    refused(snn_conf_set(doc, "train.epochs.x=4"), "--set train.epochs.x=4: train.epochs: holds '20', so there is no "
                                                   "'x' in it");
    refused(snn_conf_set(doc, "train.name.x=4"),
            "--set train.name.x=4: train.name: holds '2 x', so there is no 'x' in it");
    refused(snn_conf_set(doc, "train.epochs=[1"),
            "--set train.epochs=[1: train.epochs: not YAML: did not find expected "
            "',' or ']' while parsing a flow sequence that starts in line 1");
    refused(snn_conf_set(doc, "train.epochs={a: 1, a: 2}"),
            "--set train.epochs={a: 1, a: 2}: train.epochs: key 'a' is given twice");
    refused(snn_conf_set(doc, "train.epochs=&a 1"),
            "--set train.epochs=&a 1: train.epochs: anchors (&) are not allowed");
    refused(snn_conf_set(doc, "train.epochs=\xFF"), "--set train.epochs=\xFF: train.epochs: not YAML text: invalid "
                                                    "leading UTF-8 octet (byte 0xFF)");
    ck_assert_str_eq(at(doc, "train.epochs")->text, "20"); /* a failure leaves the value */
    snn_conf_free(&doc);
}
END_TEST

START_TEST(set_bounds_depth_and_length) {
    struct snn_conf_doc *doc = parse("a: 1\n");
    char *path = repeat("x", ".x", 63, "=1"), *deep = repeat("y", ".x", 64, "=1"),
         *deeper = repeat("x", ".x", 62, "=[1]");
    ck_ok(snn_conf_set(doc, path));
    round_trip(doc);
    ck_assert_int_eq(snn_conf_set(doc, deep), SNN_EUSAGE);
    ck_assert_str_eq(strrchr(snn_error_text(), ':'), ": is nested deeper than 64 levels");
    ck_ok(snn_conf_set(doc, deeper)); /* 63 maps, and the item is the 64th level */
    free(path), free(deep), free(deeper);

    char *value = repeat("a=[", "\xC3\xA9", 100000, ""), expected[400];
    ck_assert_int_eq(snn_conf_set(doc, value), SNN_EUSAGE);
    char *shown = repeat("--set a=[", "\xC3\xA9", 48,
                         "...: a: not YAML: did not find expected ',' or ']' while parsing a "
                         "flow sequence that starts in line 1");
    snprintf(expected, sizeof expected, "%s", shown);
    ck_assert_str_eq(snn_error_text(), expected);
    free(value), free(shown);

    value = repeat("", "k", 501, "=1");
    ck_assert_int_eq(snn_conf_set(doc, value), SNN_EUSAGE);
    free(value);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(assign_keeps_the_position) {
    struct snn_conf_doc *doc = parse("model:\n  - linear: 10\n  - lif\n");
    struct snn_conf *node = at(doc, "model.0.linear");
    ck_ok(snn_conf_assign(node, "{out: 10, bias: {x: [1]}}"));
    is_at(node, 2, 13, 2, 5);
    is_at(at(doc, "model.0.linear.bias.x.0"), 2, 13, 2, 13);
    refused(snn_conf_error(at(doc, "model.0.linear.out"), "bad"), "c.yaml:2:13: model.0.linear.out: bad");
    refused(
        snn_conf_assign(at(doc, "model.1"), "{a: [1}"),
        "c.yaml:3:5: model.1: not YAML: did not find expected ',' or ']' while parsing a flow sequence that starts in "
        "line 1");
    refused(snn_conf_assign(at(doc, "model.1"), "{a: {b: 1, b: 2}}"), "c.yaml:3:5: model.1.a: key 'b' is given twice");
    ck_assert_str_eq(at(doc, "model.1")->text, "lif");
    ck_ok(snn_conf_assign(at(doc, "model.1"), ""));
    ck_assert_str_eq(at(doc, "model.1")->text, "");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(put_adds_or_replaces) {
    struct snn_conf_doc *doc = parse("a: {b: 1}\n");
    struct snn_conf *child = NULL;
    ck_ok(snn_conf_put(at(doc, "a"), "c", "[1, 'x']", &child));
    ck_assert_ptr_eq(child, at(doc, "a.c"));
    is_at(child, 0, 0, 0, 0);
    ck_assert_str_eq(child->origin, "c.yaml");
    ck_ok(snn_conf_put(at(doc, "a"), "b", "2", &child));
    is_at(child, 1, 8, 1, 5);
    ck_assert_int_eq(at(doc, "a")->count, 2);
    writes(snn_conf_root(doc), "a:\n  b: 2\n  c: [1, 'x']\n");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(wrap_puts_a_value_under_a_key) {
    struct snn_conf_doc *doc = parse("a: 'x'\nb: [1, [2]]\n");
    ck_ok(snn_conf_wrap(at(doc, "a"), "name"));
    ck_ok(snn_conf_wrap(at(doc, "b"), "list"));
    writes(snn_conf_root(doc), "a:\n  name: 'x'\nb:\n  list:\n    - 1\n    - [2]\n");
    round_trip(doc); /* looks at the parents */
    refused(snn_conf_error(at(doc, "a.name"), "bad"), "c.yaml:1:4: a.name: bad");
    snn_conf_free(&doc);
}
END_TEST

/* ---- writing ---- */

START_TEST(keys_that_look_like_syntax_are_quoted) {
    struct snn_conf_doc *doc = parse("{}");
    const char *const awkward[] = {"--- a", "... a", "- a", "? a", "a: b", "a #b", "#a",
                                   " a ",   "[a",    "*a",  "'a'", "a\nb", "%a",   NULL};
    for (int i = 0; awkward[i]; ++i) ck_ok(snn_conf_put(snn_conf_root(doc), awkward[i], "1", NULL));
    ck_assert_int_eq(snn_conf_root(doc)->count, 13);
    round_trip(doc);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(writes_block_style) {
    struct snn_conf_doc *doc =
        parse("a: {}\nb: []\nc: [[], {}, [[1, x], {k: [v], l: {m: }}]]\nd: ''\ne: [-1, 'a, b', 2.5]\n"
              "f:\n- a, b\n- c\n- \n- x: y\n  z: [q]\n'g: h': 1\n");
    writes(snn_conf_root(doc), "a: {}\n"
                               "b: []\n"
                               "c:\n"
                               "  - []\n"
                               "  - {}\n"
                               "  - - [1, x]\n"
                               "    - k: [v]\n"
                               "      l:\n"
                               "        m:\n"
                               "d: ''\n"
                               "e: [-1, 'a, b', 2.5]\n"
                               "f:\n"
                               "  - a, b\n"
                               "  - c\n"
                               "  -\n"
                               "  - x: y\n"
                               "    z: [q]\n"
                               "'g: h': 1\n");
    writes(at(doc, "c.2.1"), "k: [v]\nl:\n  m:\n");
    writes(at(doc, "c.2.0"), "[1, x]\n");
    writes(at(doc, "f.0"), "a, b\n");
    round_trip(doc);
    snn_conf_free(&doc);
    doc = parse("{}");
    writes(snn_conf_root(doc), "{}\n");
    round_trip(doc);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(quoted_text_stays_quoted) {
    struct snn_conf_doc *doc =
        parse("a: ['on', \"yes\", '~', 'null', '1.5', 'true', '', 'it''s', \"a\\tb\\n\\\"c\\\\\"]\n"
              "b: [on, yes, ~, null, 1.5, true, it's]\n"
              "c: |\n  two\n  lines\nd: >-\n  folded\n  text\ne: plain\n  folded\n\n  twice\n");
    const char *const texts[] = {"on", "yes", "~", "null", "1.5", "true", "", "it's", "a\tb\n\"c\\"};
    for (int i = 0; i < 9; ++i) {
        ck_assert_str_eq(snn_conf_item(at(doc, "a"), i)->text, texts[i]);
        ck_assert(snn_conf_item(at(doc, "a"), i)->quoted);
    }
    for (int i = 0; i < 7; ++i) ck_assert(!snn_conf_item(at(doc, "b"), i)->quoted);
    writes(snn_conf_root(doc), "a: ['on', 'yes', '~', 'null', '1.5', 'true', '', 'it''s', \"a\\tb\\n\\\"c\\\\\"]\n"
                               "b: [on, yes, ~, null, 1.5, true, it's]\n"
                               "c: \"two\\nlines\\n\"\n"
                               "d: 'folded text'\n"
                               "e: \"plain folded\\ntwice\"\n");
    round_trip(doc);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(config_constructs_survive_writing) {
    struct snn_conf_doc *doc = parse(example);
    round_trip(doc);
    ck_ok(snn_conf_set(doc, "train.stages=[{epochs: 600}, {epochs: 300, from: best, set: {model.1.biper.stage: 2}}]"));
    ck_ok(snn_conf_set(doc, "train.freeze=[model.0.*, 'x', \"*.w\"]"));
    ck_ok(snn_conf_set(doc, "train.anneal=[{key: model.0.delay.sigma, to: 0.23, until: 0.25, shape: exp}]"));
    ck_ok(snn_conf_set(doc, "model.3.linear.init={name: uniform, a: -1e-3}"));
    ck_ok(snn_conf_set(doc, "model.1={residual: {body: [lif, {repeat: {times: 2, body: [flatten]}}], shortcut: []}}"));
    ck_ok(snn_conf_set(doc, "run.checkpoint_every=10 min"));
    ck_ok(snn_conf_set(doc, "data.root=~/data/caf\xC3\xA9 #1/x"));
    round_trip(doc);
    snn_conf_free(&doc);
}
END_TEST

static unsigned long long state = 88172645463325252ULL;
static int dice(int sides) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (int)(state % (unsigned)sides);
}

/* Plain in a block, most of them awkward elsewhere. */
static const char *const plain[] = {
    "a",   "",   "1",     "-1",   "1e-3", "~",   "null", "on",   "a, b",    "x[",       "x]",    "x{y}", "a#b",
    "a:b", ":x", "?x",    "-x",   "--x",  "a b", "it's", "a\"b", "model.*", "a&b",      "10 ms", "x!",   "a%",
    "a@b", "x?", "x ? y", "a -b", ".5",   "\\n", "=",    "<<",   "x|",      "\xC3\xA9", "..",    "a  b",
};
static const char *const pieces[] = {"a",
                                     " ",
                                     "\n",
                                     "\t",
                                     "'",
                                     "\"",
                                     "\\",
                                     "#",
                                     ": ",
                                     "- ",
                                     ",",
                                     "]",
                                     "}",
                                     "{",
                                     "&",
                                     "*",
                                     "!",
                                     "%",
                                     "---",
                                     "...",
                                     "?",
                                     "\xC3\xA9",
                                     "\xF0\x9F\x98\x80",
                                     "0",
                                     "\n\n",
                                     "  ",
                                     "|"};
enum { PLAIN = sizeof plain / sizeof *plain, PIECES = sizeof pieces / sizeof *pieces };

static void random_text(char *text, int most) {
    *text = 0;
    for (int n = dice(most); n >= 0; --n) strcat(text, pieces[dice(PIECES)]);
}

static void grow(struct snn_conf *node, int depth) {
    char text[400] = "\"", key[200];
    int kind = depth ? dice(depth > 7 ? 2 : 4) : 2;
    if (kind == 0) {
        ck_ok(snn_conf_assign(node, plain[dice(PLAIN)]));
    } else if (kind == 1) {
        random_text(key, 6);
        for (const char *c = key; *c; ++c) {
            char one[3] = {*c, 0, 0};
            if (*c == '\n') strcpy(one, "\\n");
            if (*c == '"' || *c == '\\') one[0] = '\\', one[1] = *c;
            strcat(text, one);
        }
        ck_ok(snn_conf_assign(node, strcat(text, "\"")));
        ck_assert_str_eq(node->text, key);
    } else if (kind == 2) {
        ck_ok(snn_conf_assign(node, "{}"));
        for (int n = dice(7); n > 0; --n) {
            struct snn_conf *child;
            random_text(key, 3);
            ck_ok(snn_conf_put(node, key, "", &child));
            grow(child, depth + 1);
        }
    } else {
        static const char *const lists[] = {"[]", "[1]", "[a, b]", "[1, 2, 3]", "[-, '?', [], {}]"};
        ck_ok(snn_conf_assign(node, lists[dice(5)]));
        for (struct snn_conf *item = node->first; item; item = item->next)
            if (dice(4)) grow(item, depth + 1);
    }
}

START_TEST(random_trees_survive_writing) {
    int largest = 0;
    for (int i = 0; i < 1000; ++i) {
        struct snn_conf_doc *doc = parse("root: x\n");
        grow(at(doc, "root"), 0);
        round_trip(doc);
        char *text = snn_conf_write(snn_conf_root(doc));
        if ((int)strlen(text) > largest) largest = (int)strlen(text);
        free(text);
        snn_conf_free(&doc);
    }
    ck_assert_int_gt(largest, 1000); /* the trees are not all small */
}
END_TEST

/* Whatever the bytes: a refusal with a sentence, or a tree that can be written and read. */
START_TEST(damaged_files_are_refused_or_survive_writing) {
    static const char bytes[] = "\0\t\n\r !\"#%&'*,-.:<>?@[]\\`{|}~0a\xC3\xA9\xFF\xEF\xBB\xBF\xE2\x80\xA8\xC2\x85";
    int refusals = 0, trees = 0;
    for (int i = 0; i < 3000; ++i) {
        char text[sizeof example];
        memcpy(text, example, sizeof example);
        int size = dice(4) ? (int)sizeof example - 1 : dice(sizeof example);
        for (int n = dice(4); n >= 0; --n) text[dice(sizeof example)] = bytes[dice(sizeof bytes)];
        char *exact = malloc((size_t)size + 1); /* so that a sanitizer sees a read beyond the end */
        struct snn_conf_doc *doc;
        exact = realloc(memcpy(exact, text, (size_t)size), size ? (size_t)size : 1);
        if (snn_conf_parse(exact, (size_t)size, "c.yaml", &doc) == SNN_OK) {
            round_trip(doc);
            ++trees;
        } else {
            ck_assert_int_eq(strncmp(snn_error_text(), "c.yaml:", 7), 0);
            ++refusals;
        }
        snn_conf_free(&doc);
        free(exact);
    }
    ck_assert_int_gt(refusals, 300);
    ck_assert_int_gt(trees, 300);
}
END_TEST

START_TEST(every_plain_text_survives_writing) {
    for (int i = 0; i < PLAIN; ++i) {
        struct snn_conf_doc *doc = parse("a: x\nl: [x, [x]]\n");
        ck_ok(snn_conf_assign(at(doc, "a"), plain[i]));
        ck_ok(snn_conf_assign(at(doc, "l.0"), plain[i]));
        ck_ok(snn_conf_assign(at(doc, "l.1.0"), plain[i]));
        ck_assert_str_eq(at(doc, "a")->text, plain[i]);
        ck_assert(!at(doc, "a")->quoted);
        round_trip(doc);
        snn_conf_free(&doc);
    }
}
END_TEST

/* ---- schemas ---- */

static const char *const resets[] = {"zero", "subtract", "none", NULL};
static const char *const none[] = {"none", NULL};
static const char *const amounts[] = {"auto", "all", NULL};

struct options {
    bool detach;
    long long steps, count;
    double alpha, clip, small;
    const char *title, *note;
    int reset;
    struct snn_time tau;
    int kernel[2], pad[2];
    struct snn_conf *surrogate, *extra;
};
#define AT(field) offsetof(struct options, field)
static const struct snn_key keys[] = {
    {"detach", SNN_BOOL, AT(detach), "true", 0, 0, NULL, "detach"},
    {"steps", SNN_INT, AT(steps), "10", 1, 1000, NULL, "steps"},
    {"count", SNN_INT, AT(count), "all", 0, 0, amounts, "count"},
    {"alpha", SNN_REAL, AT(alpha), "0.5", 0, 1, NULL, "alpha"},
    {"clip", SNN_REAL, AT(clip), "none", 0, HUGE_VAL, none, "clip"},
    {"small", SNN_REAL, AT(small), "1", -HUGE_VAL, 5, NULL, "small"},
    {"title", SNN_TEXT, AT(title), NULL, 0, 0, NULL, "what it is called"},
    {"note", SNN_TEXT, AT(note), SNN_OPTIONAL, 0, 0, NULL, "a note"},
    {"reset", SNN_CHOICE, AT(reset), "subtract", 0, 0, resets, "reset"},
    {"tau", SNN_TIME, AT(tau), "2.0", 0, 100, NULL, "tau"},
    {"kernel", SNN_PAIR, AT(kernel), "[3, 5]", 1, 9, NULL, "kernel"},
    {"pad", SNN_PAIR, AT(pad), "0", 0, 0, NULL, "pad"},
    {"surrogate", SNN_NODE, AT(surrogate), "{name: atan, alpha: 2}", 0, 0, NULL, "surrogate"},
    {"extra", SNN_NODE, AT(extra), SNN_OPTIONAL, 0, 0, NULL, "extra"},
    {NULL},
};

/* Read `x: {yaml}` through `keys`. */
static int read_map(const char *yaml, struct snn_conf_doc **doc, struct options *out) {
    char text[1024];
    snprintf(text, sizeof text, "x:\n  {%s}\n", yaml);
    *doc = parse(text);
    return snn_conf_read(at(*doc, "x"), keys, out);
}

static struct options reads(const char *yaml) {
    struct options o = {.note = "unset", .extra = (void *)1};
    struct snn_conf_doc *doc;
    char text[1000];
    snprintf(text, sizeof text, "title: t, %s", yaml);
    int status = read_map(text, &doc, &o);
    ck_assert_msg(status == SNN_OK, "%s: %s", yaml, snn_error_text());
    snn_conf_free(&doc);
    return o;
}

static void read_refused(const char *yaml, const char *sentence) {
    struct options o;
    struct snn_conf_doc *doc;
    char text[1000], expected[1024];
    snprintf(text, sizeof text, "title: t, %s", yaml);
    int status = read_map(text, &doc, &o);
    snprintf(expected, sizeof expected, "c.yaml:2:%s", sentence);
    ck_assert_msg(status < 0, "no refusal of %s", yaml);
    refused(status, expected);
    snn_conf_free(&doc);
}

START_TEST(defaults_fill_the_struct_and_the_tree) {
    struct options o = {.note = "unset", .extra = (void *)1};
    struct snn_conf_doc *doc;
    ck_ok(read_map("title: t", &doc, &o));
    ck_assert(o.detach);
    ck_assert_int_eq(o.steps, 10);
    ck_assert_int_eq(o.count, -2);
    ck_assert(o.alpha == 0.5 && isnan(o.clip) && o.small == 1);
    ck_assert_str_eq(o.title, "t");
    ck_assert_ptr_null(o.note);
    ck_assert_int_eq(o.reset, 1);
    ck_assert(o.tau.value == 2 && !o.tau.seconds);
    ck_assert(o.kernel[0] == 3 && o.kernel[1] == 5 && o.pad[0] == 0 && o.pad[1] == 0);
    ck_assert_ptr_null(o.extra);
    ck_assert_ptr_eq(o.surrogate, at(doc, "x.surrogate"));
    is_at(o.surrogate, 0, 0, 0, 0);
    is_at(o.surrogate->first, 0, 0, 0, 0);
    static const char resolved[] =
        "title: t\ndetach: true\nsteps: 10\ncount: all\nalpha: 0.5\nclip: none\nsmall: 1\n"
        "reset: subtract\ntau: 2.0\nkernel: [3, 5]\npad: 0\nsurrogate:\n  name: atan\n  alpha: 2\n";
    writes(at(doc, "x"), resolved);
    ck_ok(snn_conf_read(at(doc, "x"), keys, &o)); /* the resolved config is itself a config */
    writes(at(doc, "x"), resolved);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(sizes_of_axes) {
    static const struct snn_key key[] = {{"size", SNN_SIZES, 0, NULL, 1, 9, NULL, "size"}, {NULL}};
    static const struct {
        const char *text;
        int count, at[SNN_SIZES_MOST];
    } good[] = {
        {"3", 0, {3, 3, 3, 3}}, {"[4]", 1, {4}}, {"[1, 9, 2]", 3, {1, 9, 2}}, {"[1, 2, 3, 4]", 4, {1, 2, 3, 4}}};
    static const char *const bad[][2] = {
        {"[]", "1:11: x.size: expected an integer or a list of one for each axis, got a list of 0"},
        {"[1, 2, 3, 4, 5]", "1:11: x.size: expected an integer or a list of one for each axis, got a list of 5"},
        {"[1, 0]", "1:15: x.size.1: expected an integer of 1..9, got 0"},
        {"10", "1:11: x.size: expected an integer of 1..9, got 10"},
        {"wide", "1:11: x.size: expected an integer or a list of one for each axis, got 'wide'"},
        {"[[1], 2]", "1:12: x.size.0: expected an integer, got a list"},
    };
    char text[200], sentence[300];
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        struct snn_sizes sizes = {0};
        snprintf(text, sizeof text, "x: {size: %s}\n", good[i].text);
        struct snn_conf_doc *doc = parse(text);
        ck_ok(snn_conf_read(at(doc, "x"), key, &sizes));
        ck_assert_int_eq(sizes.count, good[i].count);
        for (int k = 0; k < SNN_SIZES_MOST; ++k) ck_assert_int_eq(sizes.at[k], good[i].at[k]);
        snn_conf_free(&doc);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        struct snn_sizes sizes;
        snprintf(text, sizeof text, "x: {size: %s}\n", bad[i][0]);
        snprintf(sentence, sizeof sentence, "c.yaml:%s", bad[i][1]);
        struct snn_conf_doc *doc = parse(text);
        refused(snn_conf_read(at(doc, "x"), key, &sizes), sentence);
        snn_conf_free(&doc);
    }
}
END_TEST

START_TEST(reads_every_type) {
    ck_assert(!reads("detach: false").detach);
    ck_assert_int_eq(reads("steps: 1000").steps, 1000);
    ck_assert_int_eq(reads("steps: +7").steps, 7);
    ck_assert_int_eq(reads("steps: 010").steps, 10); /* not octal */
    ck_assert_int_eq(reads("count: auto").count, -1);
    ck_assert_int_eq(reads("count: -9223372036854775808").count == INT64_MIN, 1);
    ck_assert(reads("alpha: 1e-3").alpha == 1e-3);
    ck_assert(reads("alpha: 1E-3").alpha == 1e-3);
    ck_assert(reads("alpha: .5").alpha == 0.5);
    ck_assert(reads("alpha: 0.").alpha == 0);
    ck_assert(reads("alpha: 1").alpha == 1);
    ck_assert(reads("clip: 5.").clip == 5);
    ck_assert(reads("clip: 1e+300").clip == 1e300);
    ck_assert(reads("small: -1.5e2").small == -150);
    ck_assert_int_eq(reads("reset: 'none'").reset, 2);
    ck_assert(reads("kernel: 7").kernel[1] == 7);
    ck_assert(reads("pad: [-1, 2]").pad[0] == -1);
    struct snn_conf_doc *doc;
    struct options o;
    ck_ok(read_map("title: '', note: x", &doc, &o));
    ck_assert_str_eq(o.title, "");
    snn_conf_free(&doc);
    ck_ok(read_map("title: '1.5', note: on, extra: [1]", &doc, &o));
    ck_assert_str_eq(o.title, "1.5");
    ck_assert_str_eq(o.note, "on");
    ck_assert_ptr_eq(o.extra, at(doc, "x.extra"));
    snn_conf_free(&doc);
}
END_TEST

START_TEST(reads_times) {
    static const struct {
        const char *text;
        double value;
        bool seconds;
    } times[] = {{"10 ms", 0.01, true}, {"10ms", 0.01, true}, {"300 us", 0.0003, true}, {"9 ms", 0.009, true},
                 {"1.4 s", 1.4, true},  {"2s", 2, true},      {"100", 100, false},      {"1e-1", 0.1, false},
                 {"1e2 ms", 0.1, true}, {"0", 0, false},      {"99000  ms", 99, true}};
    for (size_t i = 0; i < sizeof times / sizeof *times; ++i) {
        char text[64];
        snprintf(text, sizeof text, "tau: %s", times[i].text);
        struct options o = reads(text);
        ck_assert_msg(o.tau.value == times[i].value, "%s gives %g", times[i].text, o.tau.value);
        ck_assert_int_eq(o.tau.seconds, times[i].seconds);
    }
    const char *const bad[] = {"ten", "10 m", "10 min", "10 sec", "ms", "0x10", "inf", "1 ms 2", "1 e", "1e ms", NULL};
    for (int i = 0; bad[i]; ++i) {
        char text[64], sentence[200];
        snprintf(text, sizeof text, "tau: %s", bad[i]);
        snprintf(sentence, sizeof sentence,
                 "19: x.tau: expected a time (10 ms, 300 us, 1.4 s) or a number of steps, got '%s'", bad[i]);
        read_refused(text, sentence);
    }
    read_refused("tau: '10 ms'", "19: x.tau: expected a time (10 ms, 300 us, 1.4 s) or a number of steps, got the text "
                                 "'10 ms'");
    read_refused("tau: 101", "19: x.tau: expected a number of steps of 0..100, got 101");
    read_refused("tau: -1 ms", "19: x.tau: expected a time in seconds of 0..100, got -1 ms");
    read_refused("tau: 1e999", "19: x.tau: expected a number of steps of 0..100, got 1e999");
}
END_TEST

START_TEST(refuses_wrong_types) {
    read_refused("detach: yes", "22: x.detach: expected true or false, got 'yes'");
    read_refused("detach: 1", "22: x.detach: expected true or false, got '1'");
    read_refused("detach: 'true'", "22: x.detach: expected true or false, got the text 'true'");
    read_refused("steps: many", "21: x.steps: expected an integer, got 'many'");
    read_refused("steps: ", "21: x.steps: expected an integer, got nothing");
    read_refused("steps: [1]", "21: x.steps: expected an integer, got a list");
    read_refused("steps: {a: 1}", "21: x.steps: expected an integer, got a map");
    read_refused("steps: '5'", "21: x.steps: expected an integer, got the text '5'");
    read_refused("steps: 1_000", "21: x.steps: expected an integer, got '1_000'");
    read_refused("steps: 1e3", "21: x.steps: expected an integer, got '1e3'");
    read_refused("steps: 1.0", "21: x.steps: expected an integer, got '1.0'");
    read_refused("steps: 0x10", "21: x.steps: expected an integer, got '0x10'");
    read_refused("count: al", "21: x.count: expected an integer or auto, all, got 'al'");
    read_refused("count: 1.5", "21: x.count: expected an integer or auto, all, got '1.5'");
    const char *const bad[] = {"nan", "inf", "-inf", ".inf", "0x1p3",    "1e", "e5",
                               ".",   "-.",  "1..2", "1 2",  "infinity", NULL};
    for (int i = 0; bad[i]; ++i) {
        char text[64], sentence[200];
        snprintf(text, sizeof text, "alpha: %s", bad[i]);
        snprintf(sentence, sizeof sentence, "21: x.alpha: expected a number, got '%s'", bad[i]);
        read_refused(text, sentence);
    }
    read_refused("alpha: '0.5'", "21: x.alpha: expected a number, got the text '0.5'");
    read_refused("clip: non", "20: x.clip: expected a number or none, got 'non' (did you mean 'none'?)");
    read_refused("note: ", "20: x.note: expected text, got nothing");
    read_refused("note: [a]", "20: x.note: expected text, got a list");
    read_refused("reset: zerro",
                 "21: x.reset: expected one of zero, subtract, none, got 'zerro' (did you mean 'zero'?)");
    read_refused("reset: hard", "21: x.reset: expected one of zero, subtract, none, got 'hard'");
    read_refused("reset: [zero]", "21: x.reset: expected one of zero, subtract, none, got a list");
    read_refused("kernel: x", "22: x.kernel: expected an integer or a list of two, got 'x'");
    read_refused("kernel: [1]", "22: x.kernel: expected an integer or a list of two, got a list of 1");
    read_refused("kernel: [1, 2, 3]", "22: x.kernel: expected an integer or a list of two, got a list of 3");
    read_refused("kernel: [1, x]", "26: x.kernel.1: expected an integer, got 'x'");
    read_refused("kernel: {a: 1}", "22: x.kernel: expected an integer or a list of two, got a map");
}
END_TEST

START_TEST(refuses_values_out_of_range) {
    read_refused("steps: 0", "21: x.steps: expected an integer of 1..1000, got 0");
    read_refused("steps: 1001", "21: x.steps: expected an integer of 1..1000, got 1001");
    read_refused("steps: 99999999999999999999",
                 "21: x.steps: expected an integer of 1..1000, got 99999999999999999999");
    read_refused("count: 9223372036854775808", "21: x.count: expected an integer of 64 bits, got 9223372036854775808");
    read_refused("alpha: 2", "21: x.alpha: expected a number of 0..1, got 2");
    read_refused("alpha: -1e-9", "21: x.alpha: expected a number of 0..1, got -1e-9");
    read_refused("clip: -1", "20: x.clip: expected a number of at least 0, got -1");
    read_refused("clip: 1e999", "20: x.clip: expected a finite number of at least 0, got 1e999");
    read_refused("small: 6", "21: x.small: expected a number of at most 5, got 6");
    read_refused("kernel: 0", "22: x.kernel: expected an integer of 1..9, got 0");
    read_refused("kernel: [3, 10]", "26: x.kernel.1: expected an integer of 1..9, got 10");
    read_refused("pad: 2147483648", "19: x.pad: expected an integer of 32 bits, got 2147483648");
    read_refused("kernel: 99999999999999999999", "22: x.kernel: expected an integer of 1..9, got 99999999999999999999");
}
END_TEST

START_TEST(refuses_unknown_and_missing_keys) {
    read_refused("surogate: 1", "14: x: unknown key 'surogate' (did you mean 'surrogate'?)");
    read_refused("qwertz: 1",
                 "14: x: unknown key 'qwertz' (known: detach, steps, count, alpha, clip, small, title, note, "
                 "reset, tau, kernel, pad, surrogate, extra)");
    struct snn_conf_doc *doc;
    struct options o;
    refused(read_map("steps: 5", &doc, &o), "c.yaml:1:1: x: key 'title' is missing (what it is called)");
    snn_conf_free(&doc);
    doc = parse("a: 1\nx: 5\n");
    refused(snn_conf_read(at(doc, "x"), keys, &o), "c.yaml:2:4: x: expected a map of keys, got '5'");
    refused(snn_conf_read(snn_conf_root(doc), keys, &o),
            "c.yaml:1:1: unknown key 'a' (known: detach, steps, count, alpha, "
            "clip, small, title, note, reset, tau, kernel, pad, surrogate, "
            "extra)");
    static const struct snn_key no_keys[] = {{NULL}};
    refused(snn_conf_read(snn_conf_root(doc), no_keys, &o), "c.yaml:1:1: unknown key 'a'");
    snn_conf_free(&doc);

    doc = parse("model:\n  - flatten\n  - conv: {out: 16}\n  - lif:\n      tau: 2\n      surogate: atan\n");
    static const struct snn_key lif[] = {{"tau", SNN_TIME, AT(tau), "2", 0, 0, NULL, "tau"},
                                         {"surrogate", SNN_NODE, AT(surrogate), "atan", 0, 0, NULL, "surrogate"},
                                         {NULL}};
    refused(snn_conf_read(at(doc, "model.2.lif"), lif, &o),
            "c.yaml:6:7: model.2.lif: unknown key 'surogate' (did you mean 'surrogate'?)");
    snn_conf_free(&doc);

    doc = parse("train: {epochs: 20}\n");
    static const struct snn_key train[] = {{"epochs", SNN_INT, AT(steps), NULL, 1, 1000, NULL, "epochs"}, {NULL}};
    ck_ok(snn_conf_set(doc, "train.epochs=x"));
    refused(snn_conf_read(at(doc, "train"), train, &o),
            "--set train.epochs=x: train.epochs: expected an integer, got 'x'");
    ck_ok(snn_conf_set(doc, "train.epochs=5"));
    ck_ok(snn_conf_set(doc, "train.epoch=5"));
    refused(snn_conf_read(at(doc, "train"), train, &o),
            "--set train.epoch=5: train: unknown key 'epoch' (did you mean 'epochs'?)");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(sentences_stay_short_and_in_one_line) {
    char *text = repeat("steps: ", "\xC3\xA9", 300, ""),
         *got = repeat("21: x.steps: expected an integer, got '", "\xC3\xA9", 29, "...'");
    read_refused(text, got);
    free(text), free(got);
    read_refused("steps: \"a\\nb\\tc\"", "21: x.steps: expected an integer, got the text 'a b c'");
    text = repeat("", "k", 300, ": 1");
    struct snn_conf_doc *doc;
    struct options o;
    ck_assert_int_eq(read_map(text, &doc, &o), SNN_EUSAGE);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "k...' (known: detach,"));
    snn_conf_free(&doc);
    free(text);

    /* a schema with a great many keys */
    static char names[200][16];
    static struct snn_key many[201];
    for (int i = 0; i < 200; ++i) {
        snprintf(names[i], sizeof names[i], "parameter_%03d", i);
        many[i] = (struct snn_key){names[i], SNN_BOOL, AT(detach), "true", 0, 0, NULL, "one of many"};
    }
    doc = parse("x: {z: 1}\n");
    ck_assert_int_eq(snn_conf_read(at(doc, "x"), many, &o), SNN_EUSAGE);
    const char *end = strrchr(snn_error_text(), ',');
    ck_assert_str_eq(end, ", ...)");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(a_bad_default_is_refused) {
    static const struct snn_key bad[] = {{"steps", SNN_INT, AT(steps), "0", 1, 9, NULL, "steps"}, {NULL}};
    struct snn_conf_doc *doc = parse("x: {}\n");
    struct options o;
    refused(snn_conf_read(at(doc, "x"), bad, &o), "c.yaml: x.steps: expected an integer of 1..9, got 0");
    snn_conf_free(&doc);
}
END_TEST

START_TEST(variants_take_both_forms) {
    static const char *const names[] = {"atan", "sigmoid", "erf", NULL};
    static const struct snn_key atan_keys[] = {SNN_KEY_NAME, {"alpha", SNN_REAL, 0, "2", 0, 9, NULL, "alpha"}, {NULL}};
    struct snn_conf_doc *doc = parse("a: sigmoid\nb: {alpha: 3, name: atan}\nc: {alpha: 3}\nd: [atan]\ne:\n"
                                     "f: {name: segmoid}\ng: triangle\nh: {name: [atan]}\ni: {name: }\nj:\n  - atan\n");
    ck_assert_int_eq(snn_conf_variant(at(doc, "a"), "a surrogate", names), 1);
    writes(at(doc, "a"), "name: sigmoid\n");
    ck_assert_int_eq(snn_conf_variant(at(doc, "a"), "a surrogate", names), 1);
    ck_assert_int_eq(snn_conf_variant(at(doc, "j.0"), "a surrogate", names), 0);
    ck_assert_int_eq(snn_conf_variant(at(doc, "b"), "a surrogate", names), 0);
    double alpha[2] = {0, -1};
    ck_ok(snn_conf_read(at(doc, "b"), atan_keys, alpha));
    ck_assert(alpha[0] == 3 && alpha[1] == -1);
    refused(snn_conf_variant(at(doc, "c"), "a surrogate", names),
            "c.yaml:3:1: c: key 'name' is missing (a surrogate: atan, sigmoid, erf)");
    refused(snn_conf_read(at(doc, "c"), atan_keys, alpha), "c.yaml:3:1: c: key 'name' is missing (which one)");
    refused(snn_conf_variant(at(doc, "d"), "a surrogate", names),
            "c.yaml:4:4: d: expected a surrogate, got a list (known: atan, sigmoid, erf)");
    refused(snn_conf_variant(at(doc, "e"), "a surrogate", names),
            "c.yaml:5:3: e: expected a surrogate, got nothing (known: atan, sigmoid, erf)");
    refused(snn_conf_variant(at(doc, "f"), "a surrogate", names),
            "c.yaml:6:11: f.name: expected a surrogate, got 'segmoid' (did you mean 'sigmoid'?)");
    refused(snn_conf_variant(at(doc, "g"), "a surrogate", names),
            "c.yaml:7:4: g: expected a surrogate, got 'triangle' (known: atan, sigmoid, erf)");
    ck_assert_int_eq(at(doc, "g")->kind, SNN_CONF_SCALAR);
    refused(snn_conf_variant(at(doc, "h"), "a surrogate", names),
            "c.yaml:8:11: h.name: expected a surrogate, got a list (known: atan, sigmoid, erf)");
    ck_assert_int_eq(snn_conf_variant(at(doc, "i"), "a surrogate", names), SNN_EUSAGE);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(nearest_word) {
    static const char *const words[] = {"surrogate", "adam", "adamw", "sgd", "lr", "fire", NULL}, *const nothing[] = {
                                                                                                      NULL};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"surogate", "surrogate"},
        {"surrogat", "surrogate"},
        {"surrogates", "surrogate"},
        {"surrgoate", "surrogate"},
        {"sorrogatexx", NULL}, /* 3 away */
        {"srrogate", "surrogate"},
        {"adam", "adam"},
        {"adan", "adam"},
        {"adaw", "adam"},
        {"adamww", "adamw"},
        {"sgdm", "sgd"},
        {"lr", "lr"},
        {"lrr", "lr"},
        {"ls", NULL}, /* 1 is not under half of 2 */
        {"fore", "fire"},
        {"foor", NULL}, /* 2 is not under half of 4 */
        {"fires!", "fire"},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const char *near = snn_nearest(cases[i].word, words);
        ck_assert_msg(near ? cases[i].nearest && !strcmp(near, cases[i].nearest) : !cases[i].nearest, "'%s' gives '%s'",
                      cases[i].word, near ? near : "nothing");
    }
    ck_assert_ptr_null(snn_nearest("adam", nothing));
    char a[200], b[200];
    memset(a, 'x', sizeof a), memset(b, 'x', sizeof b);
    a[199] = b[198] = 0; /* too long to be compared */
    const char *const longest[] = {b, NULL};
    ck_assert_ptr_null(snn_nearest(a, longest));
    a[64] = b[63] = 0;
    ck_assert_ptr_null(snn_nearest(a, longest));
    a[63] = b[62] = 0;
    ck_assert_ptr_eq(snn_nearest(a, longest), b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *reading = tcase_create("reading"), *hostile = tcase_create("hostile"), *changes = tcase_create("changes"),
          *writing = tcase_create("writing"), *schema = tcase_create("schema");
    tcase_add_test(reading, tree_has_kinds_texts_and_counts);
    tcase_add_test(reading, positions_are_those_of_values_and_keys);
    tcase_add_test(reading, paths_are_dotted_and_cut_to_fit);
    tcase_add_test(reading, errors_name_origin_position_and_path);
    tcase_add_test(hostile, refuses_files_that_cannot_be_read);
    tcase_add_test(hostile, refuses_what_is_no_map);
    tcase_add_test(hostile, refuses_anchors_aliases_and_tags);
    tcase_add_test(hostile, refuses_billion_laughs);
    tcase_add_test(hostile, refuses_several_documents);
    tcase_add_test(hostile, refuses_bad_keys);
    tcase_add_test(hostile, refuses_bad_syntax);
    tcase_add_test(hostile, refuses_bytes_that_are_no_text);
    tcase_add_test(hostile, refuses_deep_nesting);
    tcase_add_test(hostile, refuses_too_many_values);
    tcase_add_test(hostile, large_maps_are_checked_for_duplicates_in_time);
    tcase_add_test(changes, set_replaces_and_adds);
    tcase_add_test(changes, set_opens_bare_names);
    tcase_add_test(changes, set_refuses_what_names_nothing);
    tcase_add_test(changes, set_bounds_depth_and_length);
    tcase_add_test(changes, assign_keeps_the_position);
    tcase_add_test(changes, put_adds_or_replaces);
    tcase_add_test(changes, wrap_puts_a_value_under_a_key);
    tcase_add_test(writing, writes_block_style);
    tcase_add_test(writing, keys_that_look_like_syntax_are_quoted);
    tcase_add_test(writing, quoted_text_stays_quoted);
    tcase_add_test(writing, config_constructs_survive_writing);
    tcase_add_test(writing, every_plain_text_survives_writing);
    tcase_add_test(writing, damaged_files_are_refused_or_survive_writing);
    tcase_add_test(writing, random_trees_survive_writing);
    tcase_add_test(schema, defaults_fill_the_struct_and_the_tree);
    tcase_add_test(schema, reads_every_type);
    tcase_add_test(schema, sizes_of_axes);
    tcase_add_test(schema, reads_times);
    tcase_add_test(schema, refuses_wrong_types);
    tcase_add_test(schema, refuses_values_out_of_range);
    tcase_add_test(schema, refuses_unknown_and_missing_keys);
    tcase_add_test(schema, sentences_stay_short_and_in_one_line);
    tcase_add_test(schema, a_bad_default_is_refused);
    tcase_add_test(schema, variants_take_both_forms);
    tcase_add_test(schema, nearest_word);
    TCase *const all[] = {reading, hostile, changes, writing, schema};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        tcase_set_timeout(all[i], 60); /* sanitizers are slow */
        suite_add_tcase(suite, all[i]);
    }
    return run_suite(suite);
}
