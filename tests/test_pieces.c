/* SPDX-License-Identifier: Apache-2.0
 * test_pieces.c - runs on recordings that come in pieces (data.pieces): they are the same runs under every rule that
 * cuts the steps, also where they are stopped within a recording. That batches are the same is in test_loader.c, that
 * they are counted the same in test_cuts.c. */
#include "run_rig.h"
#include "train/checkpoint.h"

/* 40 training samples after the validation split: 3 batches of at most 16, each of 24 steps. */
enum { BATCHES_HERE = 3, PIECES = 3 };

#define SPIKES                                                                                                         \
    "data: {name: synthetic, task: delayed_xor, length: 24, delay: 6, units: 12, train: 50, test: 20, validation: 0.2"
#define LAYERS "model: [linear: {out: 16, weight: standardised}, lif: {tau: 4, recurrent: true}, dropout: 0.2, "
#define BLOCKS                                                                                                         \
    "model: [linear: 16, lif: {tau: 4, reset: subtract}, dropout: 0.2, linear: 16, lif: {tau: 4}, linear: 2]\n"
#define ALL_STATES                                                                                                     \
    "model: [delay: {out: 16, kernel: 5}, cuba: {recurrent: true}, temporal_conv: {kernel: 4}, alif, linear: 12, "     \
    "slstm: 12, "                                                                                                      \
    "linear: 16, ultralif, linear: 8, plif, linear: 2, li]\n"

static const struct rule_case {
    const char *rule, *model;
} cases[] = {
    {"{name: tbptt, k: 4}", LAYERS "linear: 16, adlif, linear: 2, li]\n"},
    {"{name: tbptt, k: 8, update: chunk}", BLOCKS},
    {"sltt", LAYERS "linear: 16, adlif, linear: 2, li]\n"},
    {"{name: sltt, update: 4}", BLOCKS},
    {"{name: sltt_k, k: 7}", BLOCKS},
    {"{name: ottt, trace: 0.7}", LAYERS "linear: 16, lif, linear: 2]\n"},
    {"{name: ottt, update: step, trace: 0.7}", BLOCKS},
    {"{name: stllr, last: 13}", BLOCKS},
    {"{name: stllr, signal: dfa, update: 2}", BLOCKS},
    {"tess", BLOCKS},
    {"{name: tbptt, k: 8}", ALL_STATES},
    {"sltt", ALL_STATES},
};
enum { CASES = sizeof cases / sizeof *cases };

static const char *yaml_of(const struct rule_case *c, const char *pieces) {
    static char text[2][1000];
    static int at;
    char *to = text[at++ % 2];
    snprintf(to, sizeof *text,
             "seed: 3\n" SPIKES ", pieces: %s}\n%strain: {epochs: 2, batch: 16, rule: %s,\n"
             "  loss: [{name: ce, over: step}, {name: weight_l2, match: '*weight', weight: 1e-3}],\n"
             "  optimizer: {name: adam, lr: 1e-2}}\n",
             pieces, c->model, c->rule);
    return to;
}

/* A piece of whole cuts, or two of them: cuts are as the rule has them, of so many steps as weights do not change in,
 * or of SNN_APART_MOST. */
static const char *piece_of(const struct rule_case *c, int pieces) {
    static char text[2][8];
    const bool eight = strstr(c->rule, "tbptt") || strstr(c->rule, "update");
    snprintf(text[pieces & 1], sizeof *text, "%d", pieces * (eight ? 8 : SNN_APART_MOST));
    return text[pieces & 1];
}

static void expect_same_log(const char *a, const char *b, const char *why) {
    char *log[2] = {timeless_log(a), timeless_log(b)};
    ck_assert_msg(!strcmp(log[0], log[1]), "%s: log.jsonl differs:\n%s---\n%s", why, log[0], log[1]);
    free(log[0]), free(log[1]);
}

/* Pieces of whole cuts: not a bit differs. */
START_TEST(same_run) {
    const struct rule_case *c = &cases[_i];
    struct snn_run_result whole, parts;
    ck_ok(train(yaml_of(c, "none"), made_path("whole"), (struct asked){0}, &whole));
    ck_assert_int_eq(hook.batches, 2 * BATCHES_HERE);
    ck_ok(train(yaml_of(c, piece_of(c, 1)), made_path("parts"), (struct asked){0}, &parts));
    ck_assert_int_eq(hook.batches, 2 * BATCHES_HERE * PIECES);
    expect_same_log(made_path("whole"), made_path("parts"), c->rule);
    expect_same_result(&whole, &parts);
    ck_ok(train(yaml_of(c, piece_of(c, 2)), made_path("two"), (struct asked){0}, &parts)); /* the last one is shorter */
    ck_assert_int_eq(hook.batches, 2 * BATCHES_HERE * 2);
    expect_same_log(made_path("whole"), made_path("two"), c->rule);
    ck_ok(train(yaml_of(c, "40"), made_path("one"), (struct asked){0}, &parts)); /* longer than recordings */
    ck_assert_int_eq(hook.batches, 2 * BATCHES_HERE);
    expect_same_log(made_path("whole"), made_path("one"), c->rule);
}
END_TEST

/* Stopped after every piece in turn, most of which end within a recording, and after each of them. */
START_TEST(resumed) {
    const struct rule_case *c = &cases[_i];
    struct snn_run_result whole, parts;
    ck_ok(train(yaml_of(c, piece_of(c, 1)), made_path("whole"), (struct asked){0}, &whole));
    for (int stop_at = 1; stop_at <= 7; ++stop_at) {
        const char *dir = made_path("stopped_%d", stop_at);
        ck_assert_int_eq(train(yaml_of(c, piece_of(c, 1)), dir, (struct asked){.stop_at = stop_at}, &parts), SNN_EINTR);
        ck_assert_int_eq(hook.batches, stop_at);
        ck_ok(train(yaml_of(c, piece_of(c, 1)), dir, (struct asked){.resume = true}, &parts));
        ck_assert_int_eq(hook.batches, 2 * BATCHES_HERE * PIECES - stop_at);
        expect_same_run(made_path("whole"), dir, c->rule);
        expect_same_result(&whole, &parts);
    }
    int rc = train(yaml_of(c, piece_of(c, 1)), made_path("parts"), (struct asked){.stop_at = 1}, &parts), sittings = 1;
    for (; rc == SNN_EINTR && sittings < 100; ++sittings)
        rc =
            train(yaml_of(c, piece_of(c, 1)), made_path("parts"), (struct asked){.stop_at = 1, .resume = true}, &parts);
    ck_ok(rc);
    ck_assert_int_ge(sittings, 2 * BATCHES_HERE * PIECES);
    expect_same_run(made_path("whole"), made_path("parts"), c->rule);
}
END_TEST

/* The states are those of these batches and pieces. */
START_TEST(foreign_states) {
    const struct rule_case *c = &cases[2];
    char last[MADE_PATH + 40];
    const char *dir = made_path("run");
    ck_assert_int_eq(train(yaml_of(c, piece_of(c, 1)), dir, (struct asked){.stop_at = 2}, NULL), SNN_EINTR);
    struct snn_experiment e;
    struct snn_progress progress = {0};
    open_run(yaml_of(c, piece_of(c, 1)), 1, &e);
    struct snn_network_plan plan = snn_experiment_plan(&e, true);
    plan.B = 15;
    ck_ok(snn_network_allocate(&e.network, &plan));
    snn_metrics_init(&progress.epoch_sums, &e.network, e.steps, NULL, 1);
    snprintf(last, sizeof last, "%s/last.safetensors", dir);
    int rc = snn_checkpoint_load(last, &e, &progress);
    ck_assert_int_eq(rc, SNN_EDATA);
    ck_assert_msg(strstr(snn_error_text(), "within a recording a run goes on with the same batches"), "%s",
                  snn_error_text());
    snn_metrics_free(&progress.epoch_sums);
    snn_experiment_close(&e);
}
END_TEST

/* Where a number that is not finite comes from is found in the piece that it is in. */
static void spoil(struct snn_network *n, int batch) {
    if (batch == 5) n->controls->scale = INFINITY;
}
START_TEST(fault) {
    int rc = train(yaml_of(&cases[2], piece_of(&cases[2], 1)), made_path("bad"), (struct asked){.at = spoil}, NULL);
    ck_assert_int_eq(rc, SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), "step 1: "), "%s", snn_error_text());
}
END_TEST

static const struct {
    const char *data, *rule, *sentence;
} refused[] = {
    {"{name: synthetic, pieces: 8}", "bptt",
     "data.pieces: the rule bptt sees all steps of a recording at once: expected none, or a rule that cuts the steps"},
    {"{name: synthetic, pieces: 6}", "{name: tbptt, k: 4}",
     "data.pieces: is 6, expected a multiple of the 4 steps that the rule tbptt sees at a time"},
    {"{name: synthetic, pieces: 6}", "{name: sltt, update: 4}",
     "data.pieces: is 6, expected a multiple of the 4 steps after which weights change"},
    {"{name: mnist, pieces: 6}", "sltt",
     "data.pieces: are of recordings and sequences, and a sample of mnist is one for all steps"},
    {"{name: synthetic, pieces: 0}", "sltt", "data.pieces: expected"},
};

START_TEST(refuses) {
    char text[600];
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    snprintf(text, sizeof text, "data: %s\n" FLAT_MODEL "train: {rule: %s, loss: {name: ce, over: step}}\n",
             refused[_i].data, refused[_i].rule);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
    ck_assert_int_eq(snn_experiment_read(doc, &options, &e), SNN_EUSAGE);
    ck_assert_msg(strstr(snn_error_text(), refused[_i].sentence), "said '%s'", snn_error_text());
}
END_TEST

/* What `auto` is follows the rule, stage by stage; a number has to suit all of them. */
START_TEST(stages) {
    static const struct {
        const char *data, *first, *second;
        int pieces[2]; /* 0: refused */
    } runs[] = {
        {"name: synthetic, pieces: auto", "sltt", "bptt", {10, -1}},
        {"name: synthetic, pieces: auto", "bptt", "{name: tbptt, k: 4}", {-1, 12}},
        {"name: synthetic, pieces: 12", "sltt", "{name: tbptt, k: 6}", {12, 12}},
        {"name: synthetic, pieces: 8", "sltt", "bptt", {8, 0}},
        {"name: mnist, pieces: auto, coding: latency", "sltt", "ottt", {-1, -1}},
    };
    char text[600];
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i) {
        snprintf(text, sizeof text,
                 "data: {%s}\nmodel: [flatten, linear: 9, lif: {tau: 3}, linear: %d]\n"
                 "train: {rule: %s, loss: {name: ce, over: step}, stages: [{epochs: 1},\n"
                 " {epochs: 1, set: {train.rule: %s}}]}\n",
                 runs[i].data, strstr(runs[i].data, "mnist") ? 10 : 2, runs[i].first, runs[i].second);
        ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
        int rc = snn_experiment_read(doc, &options, &e);
        ck_assert_msg(rc == (runs[i].pieces[1] ? SNN_OK : SNN_EUSAGE), "%zu: %s", i, snn_error_text());
        if (rc < 0) continue;
        ck_assert_int_eq(e.data.pieces, runs[i].pieces[0]);
        ck_ok(snn_experiment_enter(&e, 1));
        ck_assert_int_eq(e.data.pieces, runs[i].pieces[1]);
        snn_experiment_close(&e);
    }
}
END_TEST

/* Bytes that a loader and a network take, in so many steps of a recording. */
START_TEST(memory) {
    size_t bytes[2];
    for (int k = 0; k < 2; ++k) {
        struct snn_experiment e;
        struct snn_arena arena;
        char text[900];
        snprintf(text, sizeof text,
                 "data: {name: synthetic, length: %d, units: 12, train: 50, test: 20, pieces: 8}\n%s"
                 "train: {batch: 16, rule: ottt, loss: {name: ce, over: step}}\n",
                 k ? 1000 : 24, BLOCKS);
        open_run(text, 1, &e);
        ck_assert_int_eq(e.steps, k ? 1000 : 24);
        struct snn_network_plan plan = snn_experiment_plan(&e, true);
        snn_network_measure(&e.network, &plan, &arena);
        bytes[k] = arena.used;
        snn_experiment_close(&e);
    }
    ck_assert_uint_eq(bytes[0], bytes[1]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pieces");
    TCase *t = tcase_create("pieces");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, made_setup, made_teardown);
    tcase_add_loop_test(t, same_run, 0, CASES);
    tcase_add_loop_test(t, resumed, 0, CASES);
    tcase_add_test(t, foreign_states);
    tcase_add_test(t, fault);
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(t, stages);
    tcase_add_test(t, memory);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
