/* SPDX-License-Identifier: Apache-2.0
 * test_bench_rules.c - `snntrain bench rules`: every figure is what the other commands say of the same run, gradients
 * are compared on the same weights, and what cannot be compared is named. */
#include <math.h>
#include <sys/stat.h>

#include "cli_rig.h"

static void enter(void) {
    made_setup();
    ck_assert(!chdir(made_path(".")));
}

static bool is_folder(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static void write_config(const char *text) { made_write("c.yaml", text, strlen(text)); }

#define SET "data: {name: synthetic, task: random_poisson, length: 6, units: 20, train: 96, test: 48}\n"
#define NET "model: [linear: 24, lif: {threshold: 0.2}, linear: 16, lif: {threshold: 0.1}, linear: 10]\n"

static const json_t *row_of(const json_t *said, const char *rule) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(said, "rows"), i, row) if (!strcmp(text(row, "rule"), rule)) return row;
    ck_abort_msg("no row of %s", rule);
    return NULL;
}

static void expect_cosines(const json_t *row, const char *key, size_t tensors, bool exact) {
    const char *name;
    json_t *value;
    json_t *cosines = json_object_get(row, key);
    ck_assert_uint_eq(json_object_size(cosines), tensors);
    json_object_foreach(cosines, name, value) {
        if (json_is_null(value)) continue; /* a gradient of nothing but zeros */
        ck_assert_msg(fabs(json_number_value(value)) <= 1 + 1e-9, "%s: %s", key, name);
        ck_assert_msg(!exact || json_number_value(value) > 1 - 1e-9, "%s: %s is %.12f", key, name,
                      json_number_value(value));
    }
}

START_TEST(compared) {
    write_config(SET NET "train: {rule: {name: tbptt, k: 100}, epochs: 9, batch: 16}\nrun: {dir: mine}\n");
    struct said all = snntrain("bench", "rules", "c.yaml", "--json", "--epochs", "2", "--iters", "3", "--rules",
                               "bptt,tbptt,sltt,tess");
    ck_assert_msg(!all.status && strstr(all.err, "sltt (3 of 4): training\n"), "%d: %s", all.status, all.err);
    json_t *said = json_loads(all.out, 0, NULL);
    ck_assert_msg(said, "%s", all.out);
    forget(all);
    expect_keys(said, "folder epochs gradient_batches loss_over_step rows refused failed");
    ck_assert(number(said, "epochs") == 2 && number(said, "gradient_batches") == 4);
    ck_assert(json_is_true(json_object_get(said, "loss_over_step")));
    ck_assert_uint_eq(json_array_size(json_object_get(said, "rows")), 4);
    static const char *const rules[] = {"bptt", "tbptt", "sltt", "tess"};
    json_t *planned = expect_json(
        snntrain("plan", "c.yaml", "--json", "--rule", "all", "--set", "train.loss={name: ce, over: step}"));
    for (int i = 0; i < 4; ++i) {
        char folder[64];
        const json_t *row = row_of(said, rules[i]);
        expect_keys(row, "accuracy loss split ms_per_step ms_min peak_rss_mb planned_bytes gradient_cosine "
                         "gradient_cosine_trained cosine_start cosine_trained macs_forward macs_backward synops");
        ck_assert(number(row, "ms_per_step") > 0 && number(row, "peak_rss_mb") > 1);
        ck_assert_str_eq(text(row, "split"), "test");
        ck_assert_double_eq(number(row, "planned_bytes"),
                            number(json_object_get(json_object_get(planned, "rules"), rules[i]), "total_bytes"));
        bool exact = i < 2; /* the config's own rule keeps its k, which is all steps */
        expect_cosines(row, "gradient_cosine", 6, exact);
        expect_cosines(row, "gradient_cosine_trained", 6, exact);
        snprintf(folder, sizeof folder, "mine_rules/%s", rules[i]);
        ck_assert(is_folder(folder));
        json_t *read = expect_json(snntrain("eval", folder, "--json"));
        ck_assert_double_eq(number(read, "accuracy"), number(row, "accuracy"));
        ck_assert_double_eq_tol(number(read, "loss"), number(row, "loss"), 1e-9);
        json_decref(read);
    }
    ck_assert_double_eq(number(row_of(said, "bptt"), "loss"), number(row_of(said, "tbptt"), "loss"));
    /* The readout of tess learns from the exact gradient: of the same weights, though it has more of them. */
    const json_t *tess = json_object_get(row_of(said, "tess"), "gradient_cosine");
    ck_assert_double_gt(number(tess, "model.4.linear.weight"), 1 - 1e-6);
    ck_assert_double_lt(number(tess, "model.0.linear.weight"), 0.999);
    const json_t *sltt = row_of(said, "sltt");
    ck_assert(number(sltt, "cosine_start") > 0.5 && number(sltt, "cosine_start") < 1 - 1e-6);
    json_decref(planned), json_decref(said);

    expect_png("mine_rules/rules.png");
    char *csv = made_read("mine_rules/rules.csv", NULL);
    ck_assert(!strncmp(csv, "rule,split,accuracy,loss,ms_per_step,", 37) &&
              strstr(csv, ",cosine_trained:model.4.linear.bias\nbptt,test,") && strstr(csv, "\ntess,test,"));
    free(csv);
    /* The same run by hand. */
    json_t *alone = expect_json(snntrain("train", "mine_rules/compared.yaml", "--json", "--quiet", "--out", "alone",
                                         "--set", "train.rule=sltt"));
    json_t *read = expect_json(snntrain("eval", "mine_rules/sltt", "--json"));
    ck_assert_double_eq(number(json_object_get(alone, "test"), "accuracy"), number(read, "accuracy"));
    json_decref(read), json_decref(alone);
}
END_TEST

/* A batch norm over all steps goes with bptt alone; errors are listed, and the table has the rest. */
START_TEST(refused) {
    write_config(SET "model: [linear: 24, tdbn, lif, linear: 10]\ntrain: {epochs: 1, batch: 16}\n");
    struct said said = snntrain("bench", "rules", "c.yaml", "--quiet", "--iters", "2", "--out", "r");
    ck_assert_msg(!said.status && !*said.err, "%d: %s", said.status, said.err);
    ck_assert_msg(strstr(said.out, "\nbptt ") && strstr(said.out, "\nsltt cannot: c.yaml:2:") &&
                      strstr(said.out, "needs all steps at once") && strstr(said.out, "\nnote: loss over: step"),
                  "%s", said.out);
    forget(said);
    said = snntrain("bench", "rules", "c.yaml", "--rules", "ottt,sltt", "--out", "none");
    ck_assert_msg(said.status == 2 && strstr(said.err, "the rule ottt"), "%d: %s", said.status, said.err);
    forget(said);
    ck_assert(!is_folder("none"));
}
END_TEST

/* One rule that does not get to the end is no reason to lose the others. */
START_TEST(failed) {
    write_config(SET NET "train: {epochs: 1, batch: 16, loss: {name: ce, over: step}, optimizer: {name: sgd, lr: "
                         "1e38}, rule: {name: stllr, alpha_pre: 1000}}\n");
    struct said said =
        snntrain("bench", "rules", "c.yaml", "--quiet", "--iters", "2", "--out", "r", "--rules", "stllr");
    ck_assert_msg(said.status == 1 && !strncmp(said.err, "snntrain: stllr: ", 17), "%d: %s", said.status, said.err);
    forget(said);
}
END_TEST

START_TEST(wrong) {
    write_config(SET NET "train: {epochs: 1, batch: 16}\n");
    expect_fails(snntrain("bench", "rules", "c.yaml", "--rules", "bptt,sltl"), 2,
                 "--rules: unknown learning rule 'sltl' (`snntrain list rules` shows them)", "unknown");
    expect_fails(snntrain("bench", "rules", "c.yaml", "--rules", "bptt,sltt,bptt"), 2, "--rules: bptt is named twice",
                 "twice");
    expect_fails(snntrain("bench", "rules", "c.yaml", "--out", "."), 2, ". exists already: --out DIR names another",
                 "folder");
    expect_fails(snntrain("bench", "rules"), 2, "bench: wrong number of arguments (`snntrain bench --help` shows them)",
                 "no config");
    expect_fails(snntrain("bench", "rules", "c.yaml", "--set", "train.stages=[{epochs: 1}, {epochs: 1}]"), 2,
                 "--set train.stages=[{epochs: 1}, {epochs: 1}]: train.stages: rules are compared over a run of one "
                 "stage",
                 "stages");
    struct said help = snntrain("--help");
    ck_assert(strstr(help.out, "  snntrain bench rules CONFIG [--rules bptt,sltt,...] [--epochs N] [--out DIR]\n"));
    forget(help);
}
END_TEST

/* The rule at work is told to stop. */
START_TEST(interrupted) {
    write_config(SET NET "train: {epochs: 1000000, batch: 16}\n");
    pid_t child = start((const char *const[]){program, "bench", "rules", "c.yaml", "--out", "r", NULL}, "stdout.txt");
    for (int i = 0; i < 400 && access("r/bptt/log.jsonl", F_OK); ++i) usleep(25000);
    ck_assert(!kill(child, SIGTERM));
    struct said said = finish(child);
    ck_assert_msg(said.status == 130 && strstr(said.err, "\nsnntrain: interrupted\n"), "%d: %s", said.status, said.err);
    forget(said);
    json_t *read = expect_json(snntrain("eval", "r/bptt", "--json", "--checkpoint", "last")); /* it has saved */
    json_decref(read);
}
END_TEST

int main(int argc, char **argv) {
    setenv("SNNTRAIN_CUDA", "/nonexistent.so", 1); /* the same choice of device on every machine */
    (void)argc;
    if (!find_program(argv[0])) return 1;
    unsetenv("SNNTRAIN_DATA");
    setenv("GOMP_SPINCOUNT", "3000", 0); /* set, so that the program need not start a second time */
    Suite *suite = suite_create("bench rules");
    TCase *t = tcase_create("bench rules");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, enter, made_teardown);
    tcase_add_test(t, compared);
    tcase_add_test(t, refused);
    tcase_add_test(t, failed);
    tcase_add_test(t, wrong);
    tcase_add_test(t, interrupted);
    suite_add_tcase(suite, t);
    int failures = run_suite(suite);
    made_remove(made_root());
    return failures;
}
