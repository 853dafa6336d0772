/* SPDX-License-Identifier: Apache-2.0
 * test_golden.c - the engine against stored values of other frameworks: test_golden [DIR].
 *
 * Walks every family in DIR. A case of a family that runs here passes, fails, or is listed as pending by the one table
 * below; one that is in neither the code nor the table fails: nothing is passed over in silence. */
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "snn_check.h"

static const struct {
    const char *family;
    void (*run)(struct golden *c);
} families[] = {
    {"binning", golden_binning},       {"biper", golden_biper}, {"dcls", golden_dcls},   {"losses", golden_losses},
    {"neurons", golden_neurons},       {"ops", golden_ops},     {"optim", golden_optim}, {"sched", golden_sched},
    {"surrogates", golden_surrogates}, {"train", golden_train}, {"ultra", golden_ultra}, {"rules", golden_rules},
};

/* What is not here yet. Without a key: the whole family; else cases whose `key` is a text that fits the pattern, or,
 * without a pattern, is there and not null; of these, with `when`, only where it says so. */
static const struct {
    const char *family, *key, *pattern, *what;
    bool (*when)(struct golden *c);
} pending[] = {
    {"nir", NULL, NULL, "graphs of other frameworks"},
};

/* Containers themselves are another test's. */
static bool is_elsewhere(const char *family) { return !strncmp(family, "safetensors-", 12); }

static const char *pending_of(struct golden *c) {
    for (size_t i = 0; i < sizeof pending / sizeof *pending; ++i) {
        const json_t *fact = pending[i].key ? json_object_get(c->facts, pending[i].key) : c->facts;
        const char *pattern = pending[i].pattern, *text = json_string_value(fact);
        if (strcmp(pending[i].family, c->family) || !fact || json_is_null(fact)) continue;
        if (pattern && (!text || fnmatch(pattern, text, 0))) continue;
        if (!pending[i].when || pending[i].when(c)) return pending[i].what;
    }
    return NULL;
}

/* Words about a case that ask nothing of the engine. */
static bool is_remark(const char *key) {
    static const char *const remarks[] = {"family", "name",    "seed", "source", "order", "layout", "note",
                                          "spread", "zero_ok", "B",    "N",      "M",     "T",      "loss"};
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; ++i)
        if (!strcmp(key, remarks[i])) return true;
    return false;
}

/* A layer's loss is the sum of its outputs, weighted by gs or gy. */
static void check_loss(struct golden *c) {
    const char *loss = golden_text(c, "loss");
    if (!strcmp(c->family, "losses") || !strcmp(c->family, "rules") || !*loss) return;
    if (strcmp(loss, "sum(s*gs)") && strcmp(loss, "sum(y*gs)") && strcmp(loss, "sum(y*gy)") &&
        strcmp(loss, "sum(y*gy) + reg"))
        golden_fail(c, "does not understand loss '%s'", loss);
}

static void check_all_was_seen(struct golden *c) {
    const char *key;
    json_t *value;
    json_object_foreach(c->facts, key, value) {
        if (!json_object_get(c->seen, key) && !is_remark(key))
            golden_fail(c, "does not understand parameter '%s'", key);
    }
    for (int i = 0; i < snn_st_count(c->file); ++i)
        if (!json_object_get(c->seen, snn_st_at(c->file, i)->name))
            golden_fail(c, "does not understand tensor '%s'", snn_st_at(c->file, i)->name);
    if (!c->compared) golden_fail(c, "nothing was compared");
}

static void judge(struct golden *c, const char *path) {
    if (!golden_ok(c, snn_st_open(path, &c->file))) return;
    const char *text = snn_st_meta_find(c->file, "case");
    c->facts = text ? json_loads(text, 0, NULL) : NULL;
    if (!json_is_object(c->facts)) {
        golden_fail(c, "has no metadata 'case' that is a JSON object");
        return;
    }
    const char *what = pending_of(c);
    if (what) {
        golden_pending(c, what);
        return;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; ++i) {
        if (strcmp(families[i].family, c->family)) continue;
        check_loss(c);
        families[i].run(c);
        if (c->verdict == GOLDEN_PASS) check_all_was_seen(c);
        return;
    }
    golden_fail(c, "does not understand family '%s'", c->family);
}

struct tally {
    int count[3], cases;
};

static void report(const struct golden *c, struct tally *tally) {
    printf("%s %d - %s/%s", c->verdict == GOLDEN_FAIL ? "not ok" : "ok", ++tally->cases, c->family, c->name);
    if (c->verdict == GOLDEN_PENDING) printf(" # SKIP pending: %s", c->why);
    printf("\n");
    if (c->verdict == GOLDEN_FAIL) printf("# %s\n", c->why);
    if (c->verdict == GOLDEN_PASS && *c->without) printf("# not compared: %s\n", c->without);
    ++tally->count[c->verdict];
}

static void run_case(const char *dir, const char *family, const char *file, struct tally *tally) {
    struct golden c = {.dir = dir, .seen = json_object()};
    char path[5000];
    snprintf(c.family, sizeof c.family, "%.*s", (int)sizeof c.family - 1, family);
    snprintf(c.name, sizeof c.name, "%.*s", (int)(strlen(file) - strlen(".safetensors")), file);
    snprintf(path, sizeof path, "%s/%s/%s", dir, family, file);
    judge(&c, path);
    report(&c, tally);
    for (int i = 0; i < c.owned_count; ++i) free(c.owned[i]);
    free(c.owned);
    json_decref(c.facts), json_decref(c.seen);
    snn_st_close(&c.file);
}

static int is_case(const struct dirent *entry) { return !fnmatch("*.safetensors", entry->d_name, FNM_PERIOD); }
static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void run_family(const char *dir, const char *family, struct tally *tally) {
    char path[4600];
    struct dirent **files;
    snprintf(path, sizeof path, "%s/%s", dir, family);
    int count = scandir(path, &files, is_case, alphasort); /* -1: README.md and the like */
    for (int i = 0; i < count; ++i) {
        run_case(dir, family, files[i]->d_name, tally);
        free(files[i]);
    }
    if (count >= 0) free(files);
}

int main(int argc, char **argv) {
    char dir[4300];
    const char *shared = argc > 1 ? "" : shared_dir();
    snprintf(dir, sizeof dir, argc > 1 ? "%s" : "%s/golden", argc > 1 ? argv[1] : shared ? shared : "");
    struct dirent **entries;
    int count = shared ? scandir(dir, &entries, is_visible, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "skipped: no reference data%s%s\n", shared ? " in " : "", shared ? dir : "");
        printf("1..0 # SKIP no reference data\n");
        return argc > 1; /* a folder that was asked for must be there */
    }
    struct tally tally = {0};
    for (int i = 0; i < count; ++i) {
        if (!is_elsewhere(entries[i]->d_name)) run_family(dir, entries[i]->d_name, &tally);
        free(entries[i]);
    }
    free(entries);
    printf("1..%d\n", tally.cases);
    printf("# %d passed, %d pending, %d failed\n", tally.count[GOLDEN_PASS], tally.count[GOLDEN_PENDING],
           tally.count[GOLDEN_FAIL]);
    if (!tally.cases) fprintf(stderr, "%s: no case of any family\n", dir);
    return tally.count[GOLDEN_FAIL] > 0 || !tally.cases;
}
