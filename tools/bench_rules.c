/* SPDX-License-Identifier: Apache-2.0
 * bench_rules.c - learning rules side by side: the same network from the same weights, on the same data for as many
 * epochs, under each of them.
 *
 * Every rule trains, and is timed, in processes of its own (`train`, `bench speed`), so that the peak of one is not
 * that of another. This one stays small until they are done: a process begins with the peak of the one that starts it.
 */
#include "bench_rules.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/status.h"
#include "plan.h"

extern char **environ;

/* ---- processes ---- */

enum { WORDS = 32 };
struct words { /* a command line */
    const char *word[WORDS + 1];
    int count;
};

static void say(struct words *w, const char *word) {
    SNN_CHECK(w->count < WORDS, "%d words", w->count);
    w->word[w->count++] = word;
}

static char *whole_of(FILE *f) {
    long size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    char *text = size < 0 ? NULL : calloc(1, (size_t)size + 1);
    rewind(f);
    if (text && fread(text, 1, (size_t)size, f) != (size_t)size) text[0] = 0;
    return text;
}

/* The last line, without "snntrain: ". */
static char *sentence_of(FILE *errors) {
    char *text = whole_of(errors), *line;
    if (!text) return NULL;
    size_t n = strlen(text);
    while (n && text[n - 1] == '\n') text[--n] = 0;
    line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
    if (!strncmp(line, "snntrain: ", 10)) line += 10;
    memmove(text, line, strlen(line) + 1);
    return text;
}

/* Its exit status; 128 + N where signal N ended it. An interruption is passed on. */
static int wait_for(pid_t child) {
    int status;
    bool told = false;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return 1;
        if (cli_stop && !told) kill(child, SIGTERM), told = true;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int start(const struct words *w, int out, int errors, pid_t *child) {
    char path[4096];
    posix_spawn_file_actions_t actions;
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return snn_error(SNN_EFAIL, "/proc/self/exe: cannot be read: %s", strerror(errno));
    path[n] = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    int rc = posix_spawn(child, path, &actions, NULL, (char *const *)w->word, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc ? snn_error(SNN_EFAIL, "%s: cannot be started: %s", path, strerror(rc)) : SNN_OK;
}

/* Run snntrain with these words and --json. What it printed into *out; where it failed, *out is NULL and its sentence
 * in *failed. What stops all rules alike (wrong usage, missing data, an interruption) is an error here. */
static int run(struct words *w, json_t **out, char **failed) {
    FILE *said = tmpfile(), *errors = tmpfile();
    pid_t child = 0;
    say(w, "--json"), say(w, "--quiet");
    int rc = said && errors ? start(w, fileno(said), fileno(errors), &child)
                            : snn_error(SNN_EFAIL, "no temporary file: %s", strerror(errno));
    int status = rc < 0 ? 0 : wait_for(child);
    char *text = said && errors ? status ? sentence_of(errors) : whole_of(said) : NULL;
    *out = NULL;
    if (rc >= 0 && !text) rc = snn_error(SNN_EFAIL, "out of memory");
    if (rc >= 0 && cli_stop) rc = snn_error(SNN_EINTR, "interrupted");
    if (rc >= 0 && !status && !(*out = json_loads(text, 0, NULL)))
        rc = snn_error(SNN_EFAIL, "%s said something else than JSON", w->word[1]);
    if (rc >= 0 && (status == -SNN_EUSAGE || status == -SNN_EDATA || status == -SNN_EINTR))
        rc = snn_error(-status, "%s", text);
    if (rc >= 0 && status >= 128 && !*text) {
        free(text);
        if (asprintf(&text, "ended by signal %d", status - 128) < 0) text = NULL;
    }
    if (rc >= 0 && status) *failed = text, text = NULL;
    if (said) fclose(said);
    if (errors) fclose(errors);
    free(text);
    return rc;
}

/* ---- a rule ---- */

struct common { /* texts of what all command lines share */
    char threads[24], rule[96];
};

static void say_common(struct words *w, const struct rules *b, const struct rule_row *row, struct common *c) {
    const struct cli *cli = b->cli;
    if (cli->data) say(w, "--data"), say(w, cli->data);
    if (cli->device) say(w, "--device"), say(w, cli->device);
    snprintf(c->threads, sizeof c->threads, "%ld", cli->threads);
    if (cli->threads) say(w, "--threads"), say(w, c->threads);
    snprintf(c->rule, sizeof c->rule, "train.rule=%s", row->name);
    if (strcmp(row->name, b->own) != 0) say(w, "--set"), say(w, c->rule);
}

static void tell(const struct rules *b, const struct rule_row *row, const char *what) {
    if (b->cli->quiet) return;
    fprintf(stderr, "bench rules: %s (%d of %d): %s\n", row->name, (int)(row - b->row) + 1, b->rows, what);
    fflush(stderr);
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int train(struct rules *b, struct rule_row *row) {
    char dir[4096];
    struct words w = {.word = {"snntrain", "train", b->config}, .count = 3};
    struct common c;
    json_t *said;
    tell(b, row, "training");
    snprintf(dir, sizeof dir, "%s/%s", b->dir, row->name);
    say(&w, "--out"), say(&w, dir);
    say_common(&w, b, row, &c);
    SNN_TRY(run(&w, &said, &row->failed));
    const json_t *split = json_object_get(said, "test");
    snprintf(row->split, sizeof row->split, "%s", json_is_object(split) ? "test" : "validation");
    if (!json_is_object(split)) split = json_object_get(said, "validation");
    row->accuracy = number(split, "accuracy"), row->loss = number(split, "loss"),
    row->seconds = number(said, "seconds");
    json_decref(said);
    return SNN_OK;
}

/* Time is measured in rounds over all rules, so that what else a machine does meets each of them alike: a rule's time
 * is the median of its rounds. */
enum { ROUNDS = 3 };

static double median(const double *of) { return fmax(fmin(of[0], of[1]), fmin(fmax(of[0], of[1]), of[2])); }

static int measure_speed(struct rules *b, struct rule_row *row, int round) {
    struct words w = {.word = {"snntrain", "bench", "speed", b->config}, .count = 4};
    struct common c;
    char iters[24], warmup[24];
    json_t *said;
    if (!round) tell(b, row, "measuring time and memory");
    snprintf(iters, sizeof iters, "%ld", b->cli->iters), snprintf(warmup, sizeof warmup, "%ld", b->cli->warmup);
    if (b->cli->iters >= 0) say(&w, "--iters"), say(&w, iters);
    if (b->cli->warmup >= 0) say(&w, "--warmup"), say(&w, warmup);
    say_common(&w, b, row, &c);
    SNN_TRY(run(&w, &said, &row->failed));
    row->rounds[round] = number(said, "ms_per_step");
    row->least = round ? fmin(row->least, number(said, "ms_min")) : number(said, "ms_min");
    row->rss = number(said, "peak_rss_mb");
    if (said) {
        const char *device = json_string_value(json_object_get(said, "device"));
        b->batch = (int)number(said, "batch"), b->steps = (int)number(said, "timesteps");
        int threads = (int)number(said, "threads");
        snprintf(b->device, sizeof b->device, "%s, %d thread%s", device ? device : "", threads,
                 threads == 1 ? "" : "s");
    }
    json_decref(said);
    return SNN_OK;
}

/* ---- what is compared ---- */

static int take_rule(struct rules *b, const char *name, size_t length) {
    const char *names[64];
    int n = 0;
    for (; snn_trainers[n]; ++n) names[n] = snn_trainers[n]->name;
    names[n] = NULL;
    for (int i = 0; i < n; ++i) {
        if (strlen(names[i]) != length || strncmp(names[i], name, length)) continue;
        for (int k = 0; k < b->rows; ++k)
            if (b->row[k].name == names[i]) return snn_error(SNN_EUSAGE, "--rules: %s is named twice", names[i]);
        b->row[b->rows++] = (struct rule_row){.name = names[i], .accuracy = NAN, .loss = NAN, .ms = NAN, .rss = NAN};
        return SNN_OK;
    }
    return snn_error(SNN_EUSAGE, "--rules: unknown learning rule '%.*s' (`snntrain list rules` shows them)",
                     (int)length, name);
}

/* "bptt,sltt"; all of them without. */
static int take_rules(struct rules *b) {
    int most = 0;
    while (snn_trainers[most]) ++most;
    b->row = calloc((size_t)most, sizeof *b->row);
    if (!b->row) return snn_error(SNN_EFAIL, "out of memory");
    for (int i = 0; !b->cli->rules && i < most; ++i)
        SNN_TRY(take_rule(b, snn_trainers[i]->name, strlen(snn_trainers[i]->name)));
    for (const char *at = b->cli->rules; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        SNN_TRY(take_rule(b, at, strcspn(at, ",")));
    return SNN_OK;
}

/* Memory and operations; and which rules cannot train the network. */
static int plan(struct rules *b) {
    struct cli as = *b->cli;
    struct planning p = {.cli = &as, .costs = {.spikes = SNN_SPIKES_ASSUMED, .events = SNN_EVENTS_ASSUMED}};
    as.arg[0] = b->cli->arg[1], as.rule = "all", as.json = true, as.roofline = NULL, as.density = NULL;
    int rc = plan_all(&p), can = 0;
    for (int i = 0; rc >= 0 && i < b->rows; ++i)
        for (int k = 0; k < p.rules; ++k) {
            const struct planned_rule *r = &p.rule[k];
            struct rule_row *row = &b->row[i];
            if (strcmp(r->name, row->name) != 0) continue;
            if (r->refused && !(row->refused = strdup(r->refused))) rc = snn_error(SNN_EFAIL, "out of memory");
            row->planned = (double)r->total, row->forward = r->operations.forward;
            row->backward = r->operations.input_gradients + r->operations.weight_gradients + r->operations.signals;
            row->synops = r->operations.synops_forward + r->operations.synops_weights;
            can += !r->refused;
        }
    plan_close(&p);
    if (rc >= 0 && !can) rc = snn_error(SNN_EUSAGE, "%s", b->row[0].refused);
    return rc;
}

/* The config that all rules train: with a loss that each of them can see. */
static int settle_config(struct rules *b, struct snn_conf_doc *doc) {
    struct snn_conf *root = snn_conf_root(doc), *train = snn_conf_get(root, "train"), *stages;
    char epochs[64];
    if (!train) SNN_TRY(snn_conf_put(root, "train", "{}", &train));
    if (train->kind != SNN_CONF_MAP) return snn_conf_error(train, "expected keys: {epochs: ..., ...}");
    stages = snn_conf_get(train, "stages");
    if (stages && stages->first) return snn_conf_error(stages, "rules are compared over a run of one stage");
    if (b->cli->epochs) {
        snprintf(epochs, sizeof epochs, "%ld", b->cli->epochs);
        SNN_TRY(snn_conf_put(train, "epochs", epochs, NULL));
    }
    SNN_TRY(plan_loss_by_step(train, &b->by_step));
    b->own = plan_own_rule(doc);
    const char *path = b->cli->arg[1], *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(b->name, sizeof b->name, "%.*s", (int)strcspn(name, "."), name);
    const struct snn_conf *dir = snn_conf_at(doc, "run.dir");
    const char *base = dir && dir->kind == SNN_CONF_SCALAR ? dir->text : "runs/snntrain";
    int n = b->cli->out ? snprintf(b->dir, sizeof b->dir, "%s", b->cli->out)
                        : snprintf(b->dir, sizeof b->dir, "%s_rules", base);
    if (n >= (int)sizeof b->dir) return snn_error(SNN_EUSAGE, "%.80s...: path too long", b->dir);
    if (snn_file_exists(b->dir) || snn_is_directory(b->dir))
        return snn_error(SNN_EUSAGE, "%s exists already: --out DIR names another", b->dir);
    snprintf(b->config, sizeof b->config, "%s/compared.yaml", b->dir);
    return SNN_OK;
}

static int write_config(const struct rules *b, struct snn_conf_doc *doc) {
    char *text = snn_conf_write(snn_conf_root(doc));
    int rc = text ? snn_make_directories(b->dir) : snn_error(SNN_EFAIL, "out of memory");
    if (rc >= 0) rc = snn_replace_file(b->config, text, strlen(text));
    free(text);
    return rc;
}

static int measure(struct rules *b) {
    int whole = 0;
    for (int i = 0; i < b->rows; ++i)
        if (!b->row[i].refused) SNN_TRY(train(b, &b->row[i]));
    for (int round = 0; round < RULES_ROUNDS; ++round)
        for (int i = 0; i < b->rows; ++i)
            if (rule_is_whole(&b->row[i])) SNN_TRY(measure_speed(b, &b->row[i], round));
    for (int i = 0; i < b->rows; ++i)
        if (rule_is_whole(&b->row[i])) b->row[i].ms = median(b->row[i].rounds), ++whole;
    if (!whole)
        for (int i = 0; i < b->rows; ++i)
            if (b->row[i].failed) return snn_error(SNN_EFAIL, "%s: %s", b->row[i].name, b->row[i].failed);
    if (!b->cli->quiet) fprintf(stderr, "bench rules: comparing gradients\n");
    return rules_compare_gradients(b);
}

static void drop(struct rules *b) {
    for (int i = 0; i < b->rows; ++i)
        free(b->row[i].refused), free(b->row[i].failed), free(b->row[i].cosine[0]), free(b->row[i].cosine[1]);
    for (int t = 0; t < b->tensors; ++t) free(b->tensor[t]);
    free(b->tensor), free(b->row);
}

int bench_rules(struct cli *cli) {
    struct rules b = {.cli = cli};
    struct snn_conf_doc *doc;
    SNN_TRY(cli_load_config(cli, cli->arg[1], &doc));
    int rc = take_rules(&b);
    if (rc >= 0) rc = settle_config(&b, doc);
    if (rc >= 0) rc = plan(&b);
    if (rc >= 0) rc = write_config(&b, doc);
    if (rc >= 0) rc = measure(&b);
    if (rc >= 0) rc = rules_report(&b);
    drop(&b);
    snn_conf_free(&doc);
    return rc;
}
