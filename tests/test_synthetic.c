/* SPDX-License-Identifier: Apache-2.0
 * test_synthetic.c - the computed tasks against their definitions, sequences and targets in batches, and regression. */
#include <math.h>

#include "run_rig.h"

/* ---- the tasks ---- */

static struct snn_data_config config;
static struct snn_conf_doc *doc;

static int read_config(const char *options) {
    char text[300];
    snprintf(text, sizeof text, "{name: synthetic, %s}", options);
    snn_conf_free(&doc);
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    return snn_data_config_read(snn_conf_root(doc), &config);
}

static struct snn_dataset *open_task(const char *options) {
    struct snn_dataset *set;
    ck_ok(read_config(options));
    ck_ok(snn_dataset_open("synthetic", NULL, NULL, snn_data_set_options(&config), &set));
    ck_assert_int_eq(set->info.kind, SNN_SEQUENCES);
    return set;
}

static struct snn_sample *sample_of(struct snn_dataset *set, int split, int i) {
    static struct snn_sample sample;
    ck_ok(set->ops->get(set, split, i, &sample));
    ck_assert_int_eq(sample.label, set->ops->label(set, split, i));
    ck_assert_int_eq(sample.steps, set->info.steps);
    return &sample;
}

START_TEST(delayed_xor) {
    enum { T = 20, UNITS = 8, CUE = 5 }; /* 20 - 4 steps of delay make three parts of 5 */
    struct snn_dataset *set =
        open_task("task: delayed_xor, length: 20, delay: 4, units: 8, rate: 0.6, train: 400, test: 50");
    int labels[2] = {0}, cues[2][2] = {{0}}, spikes = 0, strange = 0;
    ck_assert(set->info.classes == 2 && set->info.C == UNITS && set->info.steps == T && set->info.targets == 0);
    for (int i = 0; i < 400; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        int count[2][2] = {{0}}; /* of cue k: spikes of either half */
        for (int t = 0; t < T; ++t)
            for (int u = 0; u < UNITS; ++u) {
                float x = s->numbers[t * UNITS + u];
                bool shown = t < CUE || (t >= CUE + 4 && t < 2 * CUE + 4);
                strange += x != 0 && (x != 1 || !shown);
                if (x == 0) continue;
                ++count[t >= CUE][u >= UNITS / 2], ++spikes;
            }
        int bit[2];
        for (int k = 0; k < 2; ++k) {
            ck_assert((count[k][0] == 0) != (count[k][1] == 0)); /* one half alone shows the cue */
            bit[k] = count[k][1] > 0;
            ++cues[k][bit[k]];
        }
        ck_assert_int_eq(s->label, bit[0] ^ bit[1]);
        ++labels[s->label];
    }
    ck_assert_int_eq(strange, 0); /* a number other than 0 and 1, or a spike where no cue is shown */
    for (int v = 0; v < 2; ++v) ck_assert(labels[v] > 150 && cues[0][v] > 150 && cues[1][v] > 150);
    ck_assert(fabs(spikes / (400.0 * 2 * CUE * UNITS / 2) - 0.6) < 0.02);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(adding) {
    enum { T = 11 };
    struct snn_dataset *set = open_task("task: adding, length: 11, train: 2000, test: 7");
    double mean = 0, square = 0;
    int seen[T] = {0}, strange = 0;
    ck_assert(set->info.classes == 0 && set->info.targets == 1 && !set->info.target_steps && set->info.C == 2);
    ck_assert(set->info.count[SNN_TRAIN] == 2000 && set->info.count[SNN_TEST] == 7);
    for (int i = 0; i < 2000; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        int marks[2] = {0};
        float sum = 0;
        for (int t = 0; t < T; ++t) {
            float value = s->numbers[2 * t], mark = s->numbers[2 * t + 1];
            strange += value < 0 || value >= 1 || (mark != 0 && mark != 1);
            if (mark > 0) sum += value, ++marks[t >= T / 2], ++seen[t];
        }
        ck_assert(marks[0] == 1 && marks[1] == 1);
        ck_assert_float_eq(s->target[0], sum);
        mean += (double)sum, square += ((double)sum - 1) * ((double)sum - 1);
    }
    ck_assert_int_eq(strange, 0);
    ck_assert(fabs(mean / 2000 - 1) < 0.04 && fabs(square / 2000 - 1.0 / 6) < 0.02);
    for (int t = 0; t < T; ++t) ck_assert_int_gt(seen[t], 100);
    snn_dataset_close(&set);
}
END_TEST

/* Without jitter and noise every sample of a class is its pattern; with jitter spikes move by that much. */
START_TEST(patterns) {
    enum { T = 40, UNITS = 30, CLASSES = 5, SAMPLES = 200 };
    const char *task = _i ? "random_poisson" : "random_latency";
    char options[300];
    static float pattern[CLASSES][T * UNITS];
    static bool known[CLASSES];
    snprintf(options, sizeof options, "task: %s, length: 40, units: 30, classes: 5, rate: 0.2, jitter: 0, train: 200",
             task);
    struct snn_dataset *set = open_task(options);
    int spikes = 0;
    for (int i = 0; i < SAMPLES; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        ck_assert(s->label >= 0 && s->label < CLASSES);
        if (known[s->label]) ck_assert_mem_eq(pattern[s->label], s->numbers, sizeof pattern[0]);
        else memcpy(pattern[s->label], s->numbers, sizeof pattern[0]);
        known[s->label] = true;
    }
    for (int c = 0; c < CLASSES; ++c) {
        ck_assert(known[c]);
        for (int d = 0; d < c; ++d) ck_assert_mem_ne(pattern[c], pattern[d], sizeof pattern[0]);
        for (int u = 0; u < UNITS; ++u) {
            int own = 0;
            for (int t = 0; t < T; ++t) own += pattern[c][t * UNITS + u] > 0;
            if (!_i) ck_assert_int_eq(own, 1);
            spikes += own;
        }
    }
    if (_i) ck_assert(fabs(spikes / (double)(CLASSES * T * UNITS) - 0.2) < 0.02);
    snn_dataset_close(&set);
    if (_i) return;

    set = open_task("task: random_latency, length: 40, units: 30, classes: 5, jitter: 2, train: 2000");
    double square = 0;
    int moved = 0, lost = 0, several = 0, strays = 0;
    for (int i = 0; i < 2000; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        for (int u = 0; u < UNITS; ++u) {
            int at = -1, home = 0;
            for (int t = 0; t < T; ++t) {
                if (s->numbers[t * UNITS + u] > 0) {
                    several += at >= 0;
                    at = t;
                }
                if (pattern[s->label][t * UNITS + u] > 0) home = t;
            }
            lost += at < 0;
            if (home < 12 || home >= T - 12) continue;
            strays += at < 0; /* these do not leave the time */
            square += (at - home) * (at - home), ++moved;
        }
    }
    ck_assert_int_gt(lost, 0);
    ck_assert_int_eq(several + strays, 0);
    ck_assert(fabs(square / moved - 4 - 1.0 / 12) < 0.15); /* rounding adds a twelfth to the variance */
    snn_dataset_close(&set);
}
END_TEST

START_TEST(noise) {
    struct snn_dataset *set = open_task("task: delayed_xor, rate: 0, noise: 0.1, length: 50, units: 40, train: 100");
    int spikes = 0;
    for (int i = 0; i < 100; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        for (int k = 0; k < 50 * 40; ++k) spikes += s->numbers[k] > 0;
    }
    ck_assert(fabs(spikes / (100.0 * 50 * 40) - 0.1) < 0.005);
    snn_dataset_close(&set);
}
END_TEST

/* Every step is the first one, moved; the eight classes are the eight neighbours of a pixel. */
START_TEST(motion) {
    enum { N = 7, T = 9 };
    struct snn_dataset *set = open_task("task: motion, length: 9, size: 7, rate: 0.2, train: 200");
    const struct snn_dataset_info *info = &set->info;
    int way[8] = {0}, dots = 0;
    ck_assert(info->C == 1 && info->H == N && info->W == N && info->classes == 8 && info->spikes);
    for (int i = 0; i < 200; ++i) {
        const struct snn_sample *s = sample_of(set, SNN_TRAIN, i);
        int fits = -1;
        for (int k = 0; k < 9; ++k) {
            bool moved = true;
            for (int at = 0; at < T * N * N; ++at) {
                int t = at / N / N, y = at / N % N + t * (k / 3 + N - 1), x = at % N + t * (k % 3 + N - 1);
                moved = moved && s->numbers[at % (N * N)] == s->numbers[(t * N + y % N) * N + x % N];
            }
            if (moved) fits = fits < 0 ? k : 9;
        }
        ck_assert_msg(fits >= 0 && fits < 9 && fits != 4, "sample %d moves as %d", i, fits);
        ck_assert(!way[s->label] || way[s->label] == 1 + fits);
        way[s->label] = 1 + fits;
        for (int at = 0; at < N * N; ++at) dots += s->numbers[at] > 0;
    }
    for (int c = 0; c < 8; ++c)
        for (int other = 0; other < c; ++other) ck_assert(way[c] && way[c] != way[other]);
    ck_assert(fabs(dots / (200.0 * N * N) - 0.2) < 0.02);
    snn_dataset_close(&set);
}
END_TEST

/* A sample depends on seed, split and index, and not on what was asked for before. */
START_TEST(functions_of_the_index) {
    static const char *const tasks[] = {"delayed_xor", "adding", "random_latency", "random_poisson", "motion"};
    char options[100];
    float first[60];
    snprintf(options, sizeof options, "task: %s, units: 2, size: 3, length: 30, noise: 0.1, test: 2000", tasks[_i]);
    struct snn_dataset *set = open_task(options);
    memcpy(first, sample_of(set, SNN_TRAIN, 5)->numbers, sizeof first);
    ck_assert_mem_ne(first, sample_of(set, SNN_TRAIN, 6)->numbers, sizeof first);
    ck_assert_mem_ne(first, sample_of(set, SNN_TEST, 5)->numbers, sizeof first);
    ck_assert_mem_eq(first, sample_of(set, SNN_TRAIN, 5)->numbers, sizeof first);
    snn_dataset_close(&set);
    snprintf(options, sizeof options, "task: %s, units: 2, size: 3, length: 30, noise: 0.1, test: 10, train: 6",
             tasks[_i]);
    set = open_task(options);
    ck_assert_mem_eq(first, sample_of(set, SNN_TRAIN, 5)->numbers, sizeof first);
    snn_dataset_close(&set);
    snprintf(options, sizeof options, "task: %s, units: 2, size: 3, length: 30, noise: 0.1, seed: 1", tasks[_i]);
    set = open_task(options);
    ck_assert_mem_ne(first, sample_of(set, SNN_TRAIN, 5)->numbers, sizeof first);
    snn_dataset_close(&set);
}
END_TEST

/* Spikes reach a network as lists of what is not zero, numbers as they are. */
START_TEST(spikes_are_lists) {
    static const char *const tasks[] = {"task: delayed_xor", "task: random_latency, noise: 0.05",
                                        "task: random_poisson, rate: 0.2, timesteps: 12", "task: adding"};
    struct snn_dataset *set = open_task(tasks[_i]);
    const struct snn_loader_options options = {.config = &config, .set = set, .subset = SNN_SUBSET_TEST, .batch = 3};
    struct snn_loader *loader;
    const struct snn_batch *b;
    ck_ok(snn_loader_open(&options, &loader));
    ck_ok(snn_loader_start(loader, 0, 0));
    ck_ok(snn_loader_next(loader, &b));
    int32_t units = b->C;
    ck_assert_int_eq(b->form, _i == 3 ? SNN_BATCH_FRAMES : SNN_BATCH_EVENTS);
    ck_assert_int_eq(b->T, _i == 2 ? 12 : 30);
    for (int32_t s = 0; _i < 3 && s < 3; ++s) {
        const struct snn_sample *sample = sample_of(set, SNN_TEST, s);
        for (int32_t t = 0; t < b->T; ++t) {
            int32_t k = b->row[t * 3 + s], end = b->row[t * 3 + s + 1];
            for (int32_t i = 0; i < units; ++i) {
                bool listed = k < end && b->index[k] == i;
                ck_assert(sample->numbers[t * units + i] == (listed ? b->value ? b->value[k] : 1 : 0));
                k += listed;
            }
            ck_assert_int_eq(k, end);
        }
    }
    snn_loader_close(&loader);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(wrong_options) {
    ck_error(read_config("task: xor"), SNN_EUSAGE, "task: expected");
    ck_error(read_config("length: 5"), SNN_EUSAGE, "length: expected an integer of 6..");
    ck_error(read_config("length: 12, delay: 10"), SNN_EUSAGE, "delay: is 10 of 12 steps, expected at most 9");
    ck_error(read_config("units: 7"), SNN_EUSAGE, "units: is 7, expected an even number");
    ck_error(read_config("length: 100000, units: 100000"), SNN_EUSAGE, "length: makes 10000000000 numbers a sample");
    ck_error(read_config("rate: 1.5"), SNN_EUSAGE, "rate: expected");
    ck_error(read_config("coding: rate"), SNN_EUSAGE, "coding: is for images, and synthetic has numbers");
    ck_ok(read_config("task: adding, length: 12, delay: 10, units: 7")); /* of another task */
}
END_TEST

/* ---- runs ---- */

static const char regression[] =
    "seed: 3\ndata: {name: synthetic, task: adding, length: 12, train: 320, test: 80, validation: 0.2}\n"
    "model: [linear: 24, lif: {tau: 1.2, decay_input: false}, linear: 1, li: {tau: 50.0, decay_input: false}]\n"
    "train: {epochs: 6, batch: 32, loss: {name: mse, over: last}, optimizer: {name: adam, lr: 1e-2}}\n";

/* The examples that need no data learn what they say: at least this accuracy, or at most this loss. */
static const struct {
    const char *file;
    double accuracy, loss;
} examples[] = {{"synthetic_xor.yaml", 0.97, 0.2},
                {"synthetic_adding.yaml", NAN, 0.02},
                {"synthetic_latency.yaml", 0.95, 0.6},
                {"synthetic_motion.yaml", 0.95, 1}};

START_TEST(examples_learn) {
    const char *source = getenv("SNN_SOURCE");
    char path[MADE_PATH + 64];
    struct snn_run_result result;
    snprintf(path, sizeof path, "%s/configs/%s", source ? source : ".", examples[_i].file);
    char *yaml = made_read(path, NULL);
    ck_ok(train(yaml, made_path("example"), (struct asked){.threads = 1}, &result));
    const struct snn_record *test = &result.split[SNN_SUBSET_TEST];
    ck_assert_msg(isnan(examples[_i].accuracy) ? isnan(test->accuracy) : test->accuracy >= examples[_i].accuracy,
                  "accuracy %g", test->accuracy);
    ck_assert_msg(test->loss <= examples[_i].loss, "loss %g", test->loss);
    free(yaml);
}
END_TEST

/* Without delays the direction of a motion is not to be known: one in eight is right by chance. */
START_TEST(motion_needs_delays) {
    const char *source = getenv("SNN_SOURCE");
    char path[MADE_PATH + 64];
    struct snn_run_result result;
    snprintf(path, sizeof path, "%s/configs/synthetic_motion.yaml", source ? source : ".");
    char yaml[2048], *text = made_read(path, NULL);
    snprintf(yaml, sizeof yaml, "%s", text);
    free(text);
    char *taps = strstr(yaml, "taps: 3");
    ck_assert_ptr_nonnull(taps);
    taps[6] = '1';
    ck_ok(train(yaml, made_path("chance"), (struct asked){.threads = 1}, &result));
    double accuracy = result.split[SNN_SUBSET_TEST].accuracy;
    ck_assert_msg(accuracy > 0.08 && accuracy < 0.17, "accuracy %g", accuracy);
}
END_TEST

static json_t *record(const char *dir, int line) {
    char path[MADE_PATH + 32];
    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    char *text = made_read(path, NULL), *at = text;
    for (int i = 0; i < line; ++i) at = strchr(at, '\n') + 1;
    json_t *json = json_loadb(at, (size_t)(strchr(at, '\n') - at), 0, NULL);
    ck_assert_ptr_nonnull(json);
    free(text);
    return json;
}

/* There is no accuracy, and the epoch with the lowest validation loss is the result. */
START_TEST(regression_runs) {
    struct snn_run_result result;
    const char *dir = made_path("run");
    ck_ok(train(regression, dir, (struct asked){0}, &result));
    ck_assert_str_eq(result.selected_by, "validation.loss");
    ck_assert(isnan(result.split[SNN_SUBSET_TEST].accuracy) && result.split[SNN_SUBSET_TEST].loss < 0.5);
    double lowest = INFINITY;
    int64_t epoch = 0;
    for (int i = 0; i < 12; ++i) {
        json_t *json = record(dir, i);
        ck_assert(json_is_null(json_object_get(json, "accuracy")));
        double loss = json_number_value(json_object_get(json, "loss"));
        bool held = !strcmp(json_string_value(json_object_get(json, "split")), "validation");
        if (held && loss < lowest) lowest = loss, epoch = json_integer_value(json_object_get(json, "epoch"));
        json_decref(json);
    }
    ck_assert_int_eq(result.split[SNN_SUBSET_TEST].epoch, epoch);
    ck_assert(fabs(result.split[SNN_SUBSET_VALIDATION].loss - lowest) < 1e-6);
}
END_TEST

START_TEST(regression_resumes) {
    struct snn_run_result whole, parts;
    ck_ok(train(regression, made_path("whole"), (struct asked){0}, &whole));
    const char *dir = made_path("parts");
    ck_assert_int_eq(train(regression, dir, (struct asked){.stop_at = 13}, &parts), SNN_EINTR);
    ck_ok(train(regression, dir, (struct asked){.resume = true, .threads = 2}, &parts));
    expect_same_run(made_path("whole"), dir, "resumed");
    expect_same_result(&whole, &parts);
}
END_TEST

static int read_experiment(const char *more) {
    char yaml[1000];
    struct snn_conf_doc *document;
    struct snn_experiment e;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    snprintf(yaml, sizeof yaml, "%s", regression);
    ck_ok(snn_conf_parse(yaml, strlen(yaml), "test.yaml", &document));
    ck_ok(snn_conf_set(document, more));
    int rc = snn_experiment_read(document, &options, &e);
    if (rc >= 0) snn_experiment_close(&e);
    return rc;
}

START_TEST(what_numbers_do_not_go_with) {
    ck_ok(read_experiment("train.loss={name: mse, over: mean}"));
    ck_ok(read_experiment("train.loss=mse_membrane"));
    ck_error(read_experiment("train.loss=ce"), SNN_EUSAGE, "expected mse or mse_membrane");
    ck_error(read_experiment("train.loss=mse_count"), SNN_EUSAGE, "expected mse or mse_membrane");
    ck_error(read_experiment("train.loss=tet"), SNN_EUSAGE, "expected mse or mse_membrane");
    ck_error(read_experiment("train.loss={name: mse, target: 1}"), SNN_EUSAGE, "correct and incorrect are for classes");
    ck_error(read_experiment("train.loss={name: mse, correct: 2}"), SNN_EUSAGE, "correct and incorrect are for");
    ck_error(read_experiment("train.loss={name: mse, over: softmax_sum}"), SNN_EUSAGE, "softmax_sum is for classes");
    ck_error(read_experiment("run.stop={metric: validation.accuracy}"), SNN_EUSAGE, "expected validation.loss");
    ck_error(read_experiment("train.schedule={name: plateau, metric: accuracy}"), SNN_EUSAGE, "expected loss");
    ck_error(read_experiment("model.2.linear=3"), SNN_EUSAGE, "gives 3 numbers, but a target of synthetic has 1");
}
END_TEST

int main(void) {
    made_folder(made_root());
    Suite *suite = suite_create("synthetic");
    TCase *tasks = tcase_create("tasks"), *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, made_setup, made_teardown);
    tcase_set_timeout(runs, 120);
    suite_add_tcase(suite, tasks);
    suite_add_tcase(suite, runs);
    tcase_add_test(tasks, delayed_xor);
    tcase_add_test(tasks, adding);
    tcase_add_loop_test(tasks, patterns, 0, 2);
    tcase_add_test(tasks, noise);
    tcase_add_test(tasks, motion);
    tcase_add_loop_test(tasks, functions_of_the_index, 0, 5);
    tcase_add_loop_test(tasks, spikes_are_lists, 0, 4);
    tcase_add_test(tasks, wrong_options);
    tcase_add_test(runs, regression_runs);
    tcase_add_test(runs, regression_resumes);
    tcase_add_test(runs, what_numbers_do_not_go_with);
    tcase_add_loop_test(runs, examples_learn, 0, 4);
    tcase_add_test(runs, motion_needs_delays);
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
