/* SPDX-License-Identifier: Apache-2.0
 * test_schedule.c - learning-rate schedules against PyTorch, and what a config may not say. */
#include <glob.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>

#include "core/safetensors.h"
#include "optim/schedule.h"
#include "snn_check.h"

enum { MAX_TEXT = 1024, MAX_UNITS = 256 };

/* A schedule and the document it was read from. */
struct rig {
    struct snn_conf_doc *doc;
    struct snn_schedule *schedule;
};

static int try_open(struct rig *rig, const char *yaml, double lr, int64_t epochs, int64_t steps) {
    char text[MAX_TEXT + 32];
    snprintf(text, sizeof text, "schedule: %s\n", yaml);
    *rig = (struct rig){0};
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &rig->doc));
    return snn_schedule_open(snn_conf_get(snn_conf_root(rig->doc), "schedule"), lr, epochs, steps, &rig->schedule);
}

static struct rig opened(const char *yaml, double lr, int64_t epochs, int64_t steps) {
    struct rig rig;
    ck_ok(try_open(&rig, yaml, lr, epochs, steps));
    return rig;
}

static void closed(struct rig *rig) {
    snn_schedule_close(&rig->schedule);
    snn_conf_free(&rig->doc);
}

static double lr_at(const struct rig *rig, double lr, int64_t epoch) {
    return lr * snn_schedule_rate(rig->schedule, epoch, 0).factor;
}

#define ck_near(found, expected, tolerance, format, ...)                                                               \
    do {                                                                                                               \
        double found_ = (found), expected_ = (expected);                                                               \
        ck_assert_msg(fabs(found_ - expected_) <= (tolerance), "%.9g instead of %.9g: " format, found_, expected_,     \
                      ##__VA_ARGS__);                                                                                  \
    } while (0)

/* ---- golden ---- */

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char *text, const char *format, ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, MAX_TEXT - used, format, args);
    va_end(args);
    ck_assert_int_lt(more, (int)(MAX_TEXT - used));
}

/* The stored case in our words: PyTorch's name of a key, ours, and the schedule that it gives away. */
static void case_to_yaml(const json_t *json, char *yaml) {
    static const struct {
        const char *theirs, *ours, *schedule;
    } keys[] = {
        {"T_max", "t_max", "cosine"},
        {"eta_min", "eta_min", NULL},
        {"step_size", "every", "step"},
        {"gamma", "gamma", "exponential"},
        {"milestones", "milestones", "multistep"},
        {"T_0", "t_0", "cosine_restarts"},
        {"T_mult", "t_mult", NULL},
        {"max_lr", "max_lr", "one_cycle"},
        {"total_steps", "total", NULL},
        {"pct_start", "pct_start", NULL},
        {"anneal", "anneal", NULL},
        {"div_factor", "div_factor", NULL},
        {"final_div_factor", "final_div_factor", NULL},
        {"three_phase", "three_phase", NULL},
        {"cycle_momentum", "cycle_momentum", NULL},
        {"base_momentum", "base_momentum", NULL},
        {"max_momentum", "max_momentum", NULL},
        {"factor", "factor", NULL},
        {"patience", "patience", "plateau"},
        {"threshold", "threshold", NULL},
    };
    const char *name = NULL;
    char rest[MAX_TEXT] = "";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
        const json_t *value = json_object_get(json, keys[i].theirs);
        if (!value) continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        append(rest, ", %s: %s", keys[i].ours, text);
        free(text);
        if (keys[i].schedule && (!name || strcmp(name, "exponential") == 0)) name = keys[i].schedule;
        if (keys[i].schedule && name && strcmp(keys[i].schedule, "multistep") == 0) name = "multistep";
    }
    double from;
    int units;
    const char *warmup = json_string_value(json_object_get(json, "warmup"));
    if (warmup && sscanf(warmup, "linear from %lf over %d", &from, &units) == 2)
        append(rest, ", warmup: %d, warmup_from: %g", units, from);
    ck_assert_ptr_nonnull(name);
    snprintf(yaml, MAX_TEXT, "{name: %s", name);
    append(yaml, "%s}", rest);
}

static int read_tensor(const struct snn_st *file, const char *name, double *out) {
    const struct snn_st_tensor *tensor = snn_st_find(file, name);
    if (!tensor) return 0;
    ck_assert_uint_le(snn_st_elements(tensor), MAX_UNITS);
    ck_ok(snn_st_to_double(tensor, out));
    return (int)snn_st_elements(tensor);
}

static void check_golden(const char *path) {
    struct snn_st *file;
    ck_ok(snn_st_open(path, &file));
    json_t *json = json_loads(snn_st_meta_find(file, "case"), 0, NULL);
    ck_assert_ptr_nonnull(json);
    char yaml[MAX_TEXT];
    case_to_yaml(json, yaml);
    double base = json_number_value(json_object_get(json, "base_lr"));
    double lr[MAX_UNITS], beta1[MAX_UNITS], metric[MAX_UNITS];
    int count = read_tensor(file, "lr", lr), betas = read_tensor(file, "beta1", beta1);
    int metrics = read_tensor(file, "metric", metric);
    ck_assert_int_ge(count, 15);

    struct rig rig = opened(yaml, base, count, 10);
    for (int k = 0; k < count; ++k) {
        struct snn_rate rate = snn_schedule_rate(rig.schedule, k, 10 * k);
        ck_near(base * rate.factor, lr[k], 1e-6 * lr[k] + 1e-12, "lr of epoch %d of %s", k, path);
        if (k < betas && isnan(rate.beta1)) ck_near(beta1[k], 0.9, 1e-6, "configured momentum %d of %s", k, path);
        if (k < betas && !isnan(rate.beta1)) ck_near(rate.beta1, beta1[k], 1e-6, "momentum %d of %s", k, path);
        if (k < metrics) snn_schedule_epoch(rig.schedule, metric[k], NAN);
    }
    closed(&rig);
    json_decref(json);
    snn_st_close(&file);
}

START_TEST(golden) {
    if (!shared_dir()) {
        fprintf(stderr, "skipped: no reference data for schedules\n");
        return;
    }
    char pattern[4400];
    snprintf(pattern, sizeof pattern, "%s/golden/sched/*.safetensors", shared_dir());
    glob_t found;
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_ge(found.gl_pathc, 12);
    for (size_t i = 0; i < found.gl_pathc; ++i) check_golden(found.gl_pathv[i]);
    globfree(&found);
}
END_TEST

/* ---- more of PyTorch 2.15, computed in double for lr 0.1 ---- */

static void check_table(const char *yaml, const double *lr, int count) {
    struct rig rig = opened(yaml, 0.1, count, 1);
    for (int k = 0; k < count; ++k) ck_near(lr_at(&rig, 0.1, k), lr[k], 1e-8 * lr[k], "epoch %d of %s", k, yaml);
    closed(&rig);
}

START_TEST(one_cycle_in_three_phases) {
    const char *yaml =
        "{name: one_cycle, max_lr: 0.5, total: 12, three_phase: true, base_momentum: 0.8, max_momentum: 0.9, "
        "div_factor: 10, final_div_factor: 100}";
    const double lr[] = {0.05,         0.1952139,    0.443414918, 0.474227606,  0.247879247,   0.0565380911,
                         0.0477124916, 0.0391393799, 0.026589938, 0.0136568911, 0.00404278489, 0.0005};
    const double momentum[] = {0.9, 0.867730244, 0.812574463, 0.805727199, 0.856026834, 0.898547091,
                               0.9, 0.9,         0.9,         0.9,         0.9,         0.9};
    check_table(yaml, lr, 12);
    struct rig rig = opened(yaml, 0.1, 12, 1);
    for (int k = 0; k < 12; ++k) ck_near(snn_schedule_rate(rig.schedule, k, k).beta1, momentum[k], 1e-8, "epoch %d", k);
    closed(&rig);
}
END_TEST

START_TEST(restarts_of_growing_length) {
    const double lr[] = {0.1,    0.055,        0.1, 0.0939711432, 0.0775,       0.055,
                         0.0325, 0.0160288568, 0.1, 0.0993163489, 0.0972861679, 0.0939711432};
    check_table("{name: cosine_restarts, t_0: 2, t_mult: 3, eta_min: 0.01}", lr, 12);
}
END_TEST

START_TEST(milestones_count_from_the_end_of_the_warmup) {
    const double lr[] = {0.025, 0.04375, 0.0625, 0.08125, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025};
    check_table("{name: multistep, milestones: [2, 5], gamma: 0.5, warmup: 4, warmup_from: 0.25}", lr, 12);
}
END_TEST

START_TEST(plateau_of_accuracy_with_cooldown) {
    const double accuracy[] = {0.5, 0.6, 0.6, 0.59, 0.60005, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7};
    const double lr[] = {0.1,   0.1,   0.1,   0.1,   0.02,  0.02,  0.02,  0.02,
                         0.004, 0.004, 0.004, 0.004, 0.003, 0.003, 0.003, 0.003};
    struct rig rig =
        opened("{name: plateau, metric: accuracy, factor: 0.2, patience: 1, cooldown: 2, min_lr: 0.003}", 0.1, 16, 1);
    for (int k = 0; k < 16; ++k) {
        ck_near(lr_at(&rig, 0.1, k), lr[k], 1e-9, "epoch %d", k);
        snn_schedule_epoch(rig.schedule, NAN, accuracy[k]);
    }
    closed(&rig);
}
END_TEST

START_TEST(constant_is_one_for_ever) {
    struct rig rig = opened("constant", 0.1, 5, 10);
    struct snn_rate first = snn_schedule_rate(rig.schedule, 0, 0), last = snn_schedule_rate(rig.schedule, 999, 99999);
    ck_assert_double_eq(first.factor, 1);
    ck_assert_double_eq(last.factor, 1);
    ck_assert(isnan(first.beta1));
    closed(&rig);
}
END_TEST

START_TEST(steps_are_counted_instead_of_epochs) {
    struct rig rig = opened("{name: step, per: step, every: 10, gamma: 0.5}", 1, 3, 10);
    ck_assert_double_eq(snn_schedule_rate(rig.schedule, 0, 9).factor, 1);
    ck_assert_double_eq(snn_schedule_rate(rig.schedule, 0, 10).factor, 0.5);
    ck_assert_double_eq(snn_schedule_rate(rig.schedule, 0, 29).factor, 0.25);
    closed(&rig);
}
END_TEST

START_TEST(auto_is_the_run_without_the_warmup) {
    struct rig epochs = opened("{name: cosine, warmup: 10, warmup_from: 0}", 1, 30, 7);
    ck_assert_double_eq(lr_at(&epochs, 1, 0), 0);
    ck_near(lr_at(&epochs, 1, 5), 0.5, 1e-12, "half way up");
    ck_near(lr_at(&epochs, 1, 20), 0.5, 1e-12, "half way down");
    ck_near(lr_at(&epochs, 1, 30), 0, 1e-12, "the end");
    closed(&epochs);
    struct rig steps = opened("{name: one_cycle, max_lr: 2, per: step}", 1, 3, 10);
    ck_near(snn_schedule_rate(steps.schedule, 0, 8).factor, 2, 1e-12, "top of 30 steps");
    ck_near(snn_schedule_rate(steps.schedule, 2, 29).factor, 2 / 25e4, 1e-12, "end of 30 steps");
    closed(&steps);
}
END_TEST

START_TEST(warmup_longer_than_the_run_just_rises) {
    struct rig rig = opened("{name: cosine, warmup: 10, warmup_from: 0}", 1, 5, 7);
    for (int k = 0; k < 5; ++k) ck_near(lr_at(&rig, 1, k), k / 10.0, 1e-12, "epoch %d", k);
    closed(&rig);
}
END_TEST

START_TEST(one_cycle_stays_at_its_end) {
    struct rig rig = opened("{name: one_cycle, max_lr: 1, total: 10}", 1, 30, 1);
    struct snn_rate end = snn_schedule_rate(rig.schedule, 9, 9), after = snn_schedule_rate(rig.schedule, 29, 29);
    ck_near(end.factor, 4e-6, 1e-15, "the end");
    ck_assert_double_eq(after.factor, end.factor);
    ck_near(after.beta1, 0.95, 1e-12, "momentum after the end");
    closed(&rig);
}
END_TEST

START_TEST(one_cycle_of_any_length_is_finite) {
    for (int total = 1; total < 12; ++total)
        for (int part = 0; part <= 10; ++part)
            for (int phases = 0; phases < 2; ++phases) {
                char yaml[MAX_TEXT];
                snprintf(yaml, sizeof yaml, "{name: one_cycle, max_lr: 1, total: %d, pct_start: %g, three_phase: %s}",
                         total, part / 10.0, phases ? "true" : "false");
                struct rig rig = opened(yaml, 1, total, 1);
                for (int k = 0; k < total; ++k) {
                    struct snn_rate rate = snn_schedule_rate(rig.schedule, k, k);
                    ck_assert_msg(rate.factor >= 0 && rate.factor <= 1 + 1e-12, "%g at %d of %s", rate.factor, k, yaml);
                    ck_assert_msg(rate.beta1 > 0.84 && rate.beta1 < 0.96, "%g at %d of %s", rate.beta1, k, yaml);
                }
                closed(&rig);
            }
}
END_TEST

START_TEST(eta_min_is_a_rate_not_a_factor) {
    struct rig rig = opened("{name: cosine, t_max: 4, eta_min: 0.01}", 0.1, 4, 1);
    ck_near(snn_schedule_rate(rig.schedule, 4, 4).factor, 0.1, 1e-12, "the end");
    closed(&rig);
}
END_TEST

START_TEST(plateau_resumes) {
    const char *yaml = "{name: plateau, patience: 1, cooldown: 1, factor: 0.5}";
    const double loss[] = {1, 1.1, 1.2, 1.3, 0.5, 0.6, 0.7, 0.8, 0.4, 0.5, 0.6, 0.7};
    struct rig whole = opened(yaml, 0.1, 12, 1);
    for (int cut = 0; cut < 12; ++cut) {
        struct rig rest = opened(yaml, 0.1, 12, 1);
        memcpy(snn_schedule_numbers(rest.schedule), snn_schedule_numbers(whole.schedule),
               SNN_SCHEDULE_NUMBERS * sizeof(double));
        snn_schedule_epoch(whole.schedule, loss[cut], 0);
        snn_schedule_epoch(rest.schedule, loss[cut], 0);
        ck_assert_mem_eq(snn_schedule_numbers(rest.schedule), snn_schedule_numbers(whole.schedule),
                         SNN_SCHEDULE_NUMBERS * sizeof(double));
        closed(&rest);
    }
    ck_assert_double_lt(lr_at(&whole, 0.1, 12), 0.1);
    closed(&whole);
}
END_TEST

START_TEST(plateau_takes_nan_for_no_improvement) {
    struct rig rig = opened("{name: plateau, patience: 0, factor: 0.5}", 0.1, 5, 1);
    snn_schedule_epoch(rig.schedule, 1, 0);
    ck_assert_double_eq(lr_at(&rig, 1, 1), 1);
    snn_schedule_epoch(rig.schedule, NAN, 0);
    ck_assert_double_eq(lr_at(&rig, 1, 2), 0.5);
    closed(&rig);
}
END_TEST

START_TEST(others_ignore_the_metric) {
    struct rig rig = opened("{name: exponential, gamma: 0.9}", 0.1, 5, 1);
    double before = lr_at(&rig, 1, 3);
    for (int i = 0; i < 50; ++i) snn_schedule_epoch(rig.schedule, 1, 0);
    ck_assert_double_eq(lr_at(&rig, 1, 3), before);
    closed(&rig);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *yaml, *names; /* names: what the sentence must mention */
    double lr;
} refused[] = {
    {"cosin", "cosine", 0.1},
    {"{name: cosine, tmax: 5}", "t_max", 0.1},
    {"{name: cosine, t_max: 0}", "t_max", 0.1},
    {"{name: cosine, t_max: 2.5}", "t_max", 0.1},
    {"{name: cosine, eta_min: -1}", "eta_min", 0.1},
    {"{name: cosine, eta_min: 0.1}", "lr above 0", 0},
    {"{name: cosine, warmup: -1}", "warmup", 0.1},
    {"{name: cosine, warmup_from: 1.5}", "warmup_from", 0.1},
    {"{name: cosine, per: batch}", "per", 0.1},
    {"step", "every", 0.1},
    {"{name: step, every: 0}", "every", 0.1},
    {"exponential", "gamma", 0.1},
    {"multistep", "milestones", 0.1},
    {"{name: multistep, milestones: 5}", "expected a list", 0.1},
    {"{name: multistep, milestones: []}", "expected a list", 0.1},
    {"{name: multistep, milestones: {a: 1}}", "expected a list", 0.1},
    {"{name: multistep, milestones: [5, 5]}", "above 5, found '5'", 0.1},
    {"{name: multistep, milestones: [5, 4]}", "above 5, found '4'", 0.1},
    {"{name: multistep, milestones: [0]}", "above 0, found '0'", 0.1},
    {"{name: multistep, milestones: [-3]}", "found '-3'", 0.1},
    {"{name: multistep, milestones: [1.5]}", "found '1.5'", 0.1},
    {"{name: multistep, milestones: [two]}", "found 'two'", 0.1},
    {"{name: multistep, milestones: [[1]]}", "a list or map", 0.1},
    {"{name: multistep, milestones: [99999999999999999999]}", "99999999999999999999", 0.1},
    {"one_cycle", "max_lr", 0.1},
    {"{name: one_cycle, max_lr: 1}", "lr above 0", 0},
    {"{name: one_cycle, max_lr: 0}", "max_lr", 0.1},
    {"{name: one_cycle, max_lr: 1, pct_start: 1.1}", "pct_start", 0.1},
    {"{name: one_cycle, max_lr: 1, anneal: cosine}", "anneal", 0.1},
    {"{name: one_cycle, max_lr: 1, div_factor: 0}", "div_factor", 0.1},
    {"{name: one_cycle, max_lr: 1, max_momentum: 1}", "max_momentum", 0.1},
    {"{name: plateau, per: step}", "per: epoch", 0.1},
    {"{name: plateau, factor: 1}", "factor", 0.1},
    {"{name: plateau, metric: f1}", "metric", 0.1},
    {"{name: plateau, min_lr: 0.01}", "lr above 0", 0},
    {"{name: cosine_restarts}", "t_0", 0.1},
    {"{name: cosine_restarts, t_0: 5, t_mult: 0}", "t_mult", 0.1},
    {"[cosine]", "schedule", 0.1},
};

START_TEST(refuses) {
    struct rig rig;
    int status = try_open(&rig, refused[_i].yaml, refused[_i].lr, 10, 10);
    ck_assert_msg(status == SNN_EUSAGE, "%s gave %d", refused[_i].yaml, status);
    ck_assert_ptr_null(rig.schedule);
    ck_assert_msg(strstr(snn_error_text(), refused[_i].names) && strstr(snn_error_text(), "test.yaml:1"), "%s: %s",
                  refused[_i].yaml, snn_error_text());
    snn_conf_free(&rig.doc);
}
END_TEST

START_TEST(every_schedule_is_listed_with_help) {
    int count = 0;
    for (; snn_schedule_list[count].name; ++count) {
        ck_assert_ptr_nonnull(snn_schedule_list[count].help);
        for (const struct snn_key *key = snn_schedule_list[count].keys; key->name; ++key)
            ck_assert_ptr_nonnull(key->help);
    }
    ck_assert_int_eq(count, 8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schedule");
    TCase *reference = tcase_create("reference"), *behaviour = tcase_create("behaviour");
    tcase_add_test(reference, golden);
    tcase_add_test(reference, one_cycle_in_three_phases);
    tcase_add_test(reference, restarts_of_growing_length);
    tcase_add_test(reference, milestones_count_from_the_end_of_the_warmup);
    tcase_add_test(reference, plateau_of_accuracy_with_cooldown);
    tcase_add_test(behaviour, constant_is_one_for_ever);
    tcase_add_test(behaviour, steps_are_counted_instead_of_epochs);
    tcase_add_test(behaviour, auto_is_the_run_without_the_warmup);
    tcase_add_test(behaviour, warmup_longer_than_the_run_just_rises);
    tcase_add_test(behaviour, one_cycle_stays_at_its_end);
    tcase_add_test(behaviour, one_cycle_of_any_length_is_finite);
    tcase_add_test(behaviour, eta_min_is_a_rate_not_a_factor);
    tcase_add_test(behaviour, plateau_resumes);
    tcase_add_test(behaviour, plateau_takes_nan_for_no_improvement);
    tcase_add_test(behaviour, others_ignore_the_metric);
    tcase_add_loop_test(behaviour, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(behaviour, every_schedule_is_listed_with_help);
    suite_add_tcase(suite, reference);
    suite_add_tcase(suite, behaviour);
    return run_suite(suite);
}
