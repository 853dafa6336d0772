/* SPDX-License-Identifier: Apache-2.0
 * test_stages.c - runs in several parts: what is refused, what a stage begins with, and what its checkpoints hold. */
#include "run_rig.h"
#include "train/checkpoint.h"

/* ---- refused when the config is read ---- */

#define MODEL "model: [flatten, linear: 20, lif, biper: 10]\n"

static const struct {
    const char *train, *sentence;
} refused[] = {
    {"{stages: 3}", "train.stages: expected a list: [{epochs: 600}, {epochs: 300, from: best, set: "
                    "{...}}]"},
    {"{stages: [5]}", "train.stages.0: expected {epochs: N, from: best, set: {...}}"},
    {"{stages: [{from: best}]}", "train.stages.0: key 'epochs' is missing"},
    {"{stages: [{epochs: 0}]}", "train.stages.0.epochs: expected an integer of 1..1000000, got 0"},
    {"{stages: [{epochs: 1, form: best}]}", "train.stages.0: unknown key 'form'"},
    {"{stages: [{epochs: 1, from: best}]}",
     "train.stages.0.from: there is no stage before the first one (train.from names a file to start "
     "from)"},
    {"{stages: [{epochs: 1}, {epochs: 1, from: first}]}",
     "train.stages.1.from: expected one of last, best, got 'first'"},
    {"{epochs: 3, stages: [{epochs: 1}, {epochs: 1}]}",
     "train.epochs: the stages have 2 epochs together (train.stages): leave this key out"},
    {"{stages: [{epochs: 1, set: [1]}]}", "train.stages.0.set: expected {key: value}, as {model.1.biper.stage: 2}"},
    {"{stages: [{epochs: 1, set: {data.timesteps: 3}}]}",
     "train.stages.0.set: 'data.timesteps' stays the same for all stages: expected a key of model or "
     "train"},
    {"{stages: [{epochs: 1, set: {seed: 3}}]}", "train.stages.0.set: 'seed' stays the same"},
    {"{stages: [{epochs: 1, set: {modelling.0.lif: 3}}]}", "train.stages.0.set: 'modelling.0.lif' stays"},
    {"{stages: [{epochs: 1, set: {train.epochs: 3}}]}",
     "train.stages.0.set: 'train.epochs' is no key of a stage's `set`"},
    {"{stages: [{epochs: 1, set: {train.stages: []}}]}",
     "train.stages.0.set: 'train.stages' is no key of a stage's `set`"},
    {"{stages: [{epochs: 1}, {epochs: 1, set: {train.from.file: x}}]}",
     "train.stages.1.set: 'train.from.file' is no key of a stage's `set`"},
    {"{stages: [{epochs: 1}, {epochs: 1, set: {model.3.biper.stage: 3}}]}",
     "train.stages.1.set: model.3.biper.stage: expected an integer of 1..2, got 3"},
    {"{stages: [{epochs: 1, set: {train.optimizer.lr: -1}}, {epochs: 1}]}",
     "train.stages.0.set: train.optimizer.lr: expected a number of"},
    {"{stages: [{epochs: 1, set: {train.momentum: 1}}, {epochs: 1}]}",
     "train.stages.0.set: train: unknown key 'momentum'"},
    {"{stages: [{epochs: 1}, {epochs: 1, set: {model.9.biper.stage: 2}}]}", "train.stages.1.set: "},
    {"{stages: [{epochs: 1}, {epochs: 1, set: {model.3.biper.stage: 2, model.1.linear.out: 5}}, {epochs: 1}]}",
     "train.stages.1.set: gives the network other parameters than it has without: all stages must have "
     "the same"},
};

START_TEST(refuses) {
    char text[1024];
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    snprintf(text, sizeof text, "%s%strain: %s\n", DATA, MODEL, refused[_i].train);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
    ck_assert_int_eq(snn_experiment_read(doc, &options, &e), SNN_EUSAGE);
    const char *said = strstr(snn_error_text(), ": "); /* behind "test.yaml:3:18" */
    ck_assert_msg(!strncmp(snn_error_text(), "test.yaml:3:", 12), "said '%s'", snn_error_text());
    ck_assert_msg(said && !strncmp(said + 2, refused[_i].sentence, strlen(refused[_i].sentence)), "%s\nsaid '%s'",
                  refused[_i].train, snn_error_text());
}
END_TEST

/* ---- what they are ---- */

#define STAGES                                                                                                         \
    DATA MODEL "train: {batch: 16, optimizer: {name: sgd, lr: 0.2, momentum: 0.9}, schedule: {name: cosine, per: "     \
               "step},\n"                                                                                              \
               "  stages: [{epochs: 3}, {epochs: 2, from: %s, set: {model.3.biper.stage: 2, train.optimizer.lr: "      \
               "0.1}}]}\n"

/* The resolved config of all stages is itself a config, and says how many epochs there are. */
START_TEST(resolved) {
    char text[1024], *first, *second;
    struct snn_experiment e;
    snprintf(text, sizeof text, STAGES, "best");
    open_run(text, 1, &e);
    ck_assert_int_eq(e.stage_count, 2);
    ck_assert_int_eq(e.stage, 0);
    ck_assert_int_eq(snn_experiment_epochs(&e), 5);
    ck_assert_int_eq(e.train.epochs, 3);
    first = snn_conf_write(snn_conf_root(e.all));
    ck_assert_ptr_nonnull(strstr(first, "epochs: 5\n"));
    ck_ok(snn_experiment_enter(&e, 1));
    ck_assert_int_eq(e.train.epochs, 2);
    ck_assert(snn_optim_base_lr(e.network.optim) == 0.1);
    ck_ok(snn_experiment_enter(&e, 0));
    ck_assert(snn_optim_base_lr(e.network.optim) == 0.2);
    snn_experiment_close(&e);
    open_run(first, 1, &e);
    second = snn_conf_write(snn_conf_root(e.all));
    ck_assert_str_eq(first, second);
    free(first), free(second);
    snn_experiment_close(&e);
}
END_TEST

/* Batches of the epochs, and the weights that the second stage begins with. */
static float entered[20 * 10], at_best[20 * 10], at_end[20 * 10];

static void weights_of(const char *path, float *to) {
    struct snn_st *st;
    ck_ok(snn_st_open(path, &st));
    ck_ok(snn_st_to_float(snn_st_find(st, "model.3.biper.weight"), to));
    snn_st_close(&st);
}

static void watch_stage(struct snn_network *n, int batch) {
    if (batch != 3 * BATCHES + 1) return;
    memcpy(entered, snn_params_find(&n->model.params, "model.3.biper.weight")->value, sizeof entered);
    weights_of(made_path("run/best.safetensors"),
               at_best); /* of the first stage until an epoch of the second is over */
}

/* The weights at the end of the first stage alone. */
static void first_stage_alone(void) {
    static const char *const yaml =
        DATA MODEL "train: {epochs: 3, batch: 16, optimizer: {name: sgd, lr: 0.2, momentum: "
                   "0.9}, schedule: {name: cosine, per: step}}\n";
    ck_ok(train(yaml, made_path("alone"), (struct asked){0}, NULL));
    weights_of(made_path("alone/last.safetensors"), at_end);
}

START_TEST(begins_from) {
    char text[1024];
    struct snn_run_result result;
    snprintf(text, sizeof text, STAGES, _i ? "best" : "last");
    ck_ok(train(text, made_path("run"), (struct asked){.at = watch_stage}, &result));
    first_stage_alone();
    ck_assert_mem_eq(entered, _i ? at_best : at_end, sizeof entered);
    ck_assert_int_eq(result.epochs, 5);
    ck_assert_int_gt(result.split[SNN_SUBSET_VALIDATION].epoch, 3); /* the result is an epoch of the last stage */

    /* A checkpoint's config is its stage's. */
    char *yaml;
    struct snn_experiment e;
    ck_ok(snn_checkpoint_config(made_path("run/best.safetensors"), &yaml));
    ck_assert_ptr_nonnull(strstr(yaml, "stage: 2\n"));
    open_run(yaml, 1, &e);
    ck_assert_int_eq(e.stage_count, 0);
    ck_assert_int_eq(e.train.epochs, 2);
    snn_experiment_close(&e);
    free(yaml);
}
END_TEST

/* One stage is the run without it. */
START_TEST(one_stage) {
    static const char *const staged = DATA MODEL "train: {batch: 16, stages: [{epochs: 2}]}\n",
                             *const plain = DATA MODEL "train: {batch: 16, epochs: 2}\n";
    float a[20 * 10], b[20 * 10];
    ck_ok(train(staged, made_path("staged"), (struct asked){0}, NULL));
    ck_ok(train(plain, made_path("plain"), (struct asked){0}, NULL));
    weights_of(made_path("staged/last.safetensors"), a), weights_of(made_path("plain/last.safetensors"), b);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

/* A stage whose run has none of it any more. */
START_TEST(fewer_stages) {
    char text[1024];
    snprintf(text, sizeof text, STAGES, "last");
    ck_assert_int_eq(train(text, made_path("run"), (struct asked){.stop_at = 3 * BATCHES + 2}, NULL), SNN_EINTR);
    ck_assert_int_eq(
        train(DATA MODEL "train: {batch: 16, epochs: 5}\n", made_path("run"), (struct asked){.resume = true}, NULL),
        SNN_EUSAGE);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "is of stage 2, but train.stages has 0"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stages");
    TCase *t = tcase_create("stages");
    tcase_add_unchecked_fixture(t, made_run_data, NULL);
    tcase_add_checked_fixture(t, made_setup, made_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(t, resolved);
    tcase_add_loop_test(t, begins_from, 0, 2);
    tcase_add_test(t, one_stage);
    tcase_add_test(t, fewer_stages);
    suite_add_tcase(suite, t);
    int rc = run_suite(suite);
    made_remove(made_root());
    return rc;
}
