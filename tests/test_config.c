/* SPDX-License-Identifier: Apache-2.0
 * test_config.c - the config: reading, hostile text, --set, writing, schemas, and every sentence word for word. */
#include "snn_check.h"

#include <math.h>
#include <sys/stat.h>
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
    is_at(at(doc, "model.0.conv.init.a"), 6, 53, 6, 50);
    is_at(at(doc, "model.1"), 7, 5, 7, 5);
    is_at(at(doc, "model.2.name"), 9, 11, 9, 5);
    is_at(at(doc, "train.groups.0.lr"), 14, 40, 14, 36);
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
    const char *const absent[] = {"x", "seed.x", "model.4", "model.99999999999999999999", "model.-1", "model.conv",
                                  "model..0", ".seed", "seed.", "model.pool2", "model.1.lif", NULL};
    for (int i = 0; absent[i]; ++i)
        ck_assert_msg(!snn_conf_at(doc, absent[i]), "something is at %s", absent[i]);
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
    refused_text("\xC3\xA9: \xC3(\n", "c.yaml:1:4: not YAML text: invalid trailing UTF-8 octet (byte 0xC3)");
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
    const char *const escapes[] = {"\\0", "\\x01", "\\e", "\\r", "\\x7f", "\\x85", "\\N", "\\L", "\\P", "\\uFEFF", "\\uFFFE", NULL};
    for (int i = 0; escapes[i]; ++i) {
        char text[64];
        snprintf(text, sizeof text, "ok: 1\na: \"x%sy\"\n", escapes[i]);
        refused_text(text, "c.yaml:2:4: control characters are not allowed");
        snprintf(text, sizeof text, "\"x%sy\": 1\n", escapes[i]);
        refused_text(text, "c.yaml:1:1: control characters are not allowed");
    }
    refused_text("a: \"\\uD800\"\n", "c.yaml:1:5: not YAML: found invalid Unicode character escape code while parsing a "
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
                               "    name: \"bptt\"\n" + 0);
    snn_conf_free(&doc);
}
END_TEST

START_TEST(set_refuses_what_names_nothing) {
    struct snn_conf_doc *doc = parse("model: [lif, {avgpool: 2}, {conv: {out: 1}}]\ntrain: {epochs: 20, name: '2 x'}\n");
    refused(snn_conf_set(doc, "train.epochs"), "--set train.epochs: expected KEY=VALUE");
    refused(snn_conf_set(doc, "=3"), "--set =3: expected KEY=VALUE");
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
    refused(snn_conf_set(doc, "train.name.x=4"), "--set train.name.x=4: train.name: holds '2 x', so there is no 'x' in it");
    refused(snn_conf_set(doc, "train.epochs=[1"), "--set train.epochs=[1: train.epochs: not YAML: did not find expected "
                                                  "',' or ']' while parsing a flow sequence that starts in line 1");
    refused(snn_conf_set(doc, "train.epochs={a: 1, a: 2}"),
            "--set train.epochs={a: 1, a: 2}: train.epochs: key 'a' is given twice");
    refused(snn_conf_set(doc, "train.epochs=&a 1"), "--set train.epochs=&a 1: train.epochs: anchors (&) are not allowed");
    refused(snn_conf_set(doc, "train.epochs=\xFF"), "--set train.epochs=\xFF: train.epochs: not YAML text: invalid "
                                                    "leading UTF-8 octet (byte 0xFF)");
    ck_assert_str_eq(at(doc, "train.epochs")->text, "20"); /* a failure leaves the value */
    snn_conf_free(&doc);
}
END_TEST

START_TEST(set_bounds_depth_and_length) {
    struct snn_conf_doc *doc = parse("a: 1\n");
    char *path = repeat("x", ".x", 63, "=1"), *deep = repeat("y", ".x", 64, "=1"), *deeper = repeat("x", ".x", 62, "=[1]");
    ck_ok(snn_conf_set(doc, path));
    round_trip(doc);
    ck_assert_int_eq(snn_conf_set(doc, deep), SNN_EUSAGE);
    ck_assert_str_eq(strrchr(snn_error_text(), ':'), ": is nested deeper than 64 levels");
    ck_ok(snn_conf_set(doc, deeper)); /* 63 maps, and the item is the 64th level */
    free(path), free(deep), free(deeper);

    char *value = repeat("a=[", "\xC3\xA9", 100000, ""), expected[400];
    ck_assert_int_eq(snn_conf_set(doc, value), SNN_EUSAGE);
    char *shown = repeat("--set a=[", "\xC3\xA9", 48, "...: a: not YAML: did not find expected ',' or ']' while parsing a "
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
    refused(snn_conf_assign(at(doc, "model.1"), "{a: [1}"),
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

START_TEST(writes_block_style) {
    struct snn_conf_doc *doc = parse("a: {}\nb: []\nc: [[], {}, [[1, x], {k: [v], l: {m: }}]]\nd: ''\ne: [1, , 2]\n" + 0);
    snn_conf_free(&doc);
}
END_TEST
