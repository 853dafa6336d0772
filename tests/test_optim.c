/* SPDX-License-Identifier: Apache-2.0
 * test_optim.c - groups, clipping, resume, and bits that depend on nothing but the data. */
#include <signal.h>

#include "optim/optim_rules.h"
#include "optim_rig.h"

/* Every rule at least once. */
static const char *const settings[] = {
    "sgd",
    "{name: sgd, momentum: 0.9, weight_decay: 0.01}",
    "adam",
    "{name: adam, amsgrad: true}",
    "adamw",
    "nadam",
    "radam",
    "adamax",
    "rmsprop",
    "{name: rmsprop, centered: true}",
    "{name: rmsprop, momentum: 0.8}",
    "{name: rmsprop, momentum: 0.8, centered: true}",
    "{name: adagrad, initial_accumulator_value: 0.1}",
    "adadelta",
};
enum { SETTINGS = sizeof settings / sizeof *settings };

START_TEST(rate_factor_multiplies) {
    struct rig rig = {0};
    declare(&rig, "p", 1);
    opened(&rig, "{name: sgd, lr: 0.5}");
    ck_assert_double_eq(snn_optim_base_lr(rig.optim), 0.5);
    rig.params.value[0] = 1, rig.params.grad[0] = 1;
    snn_optim_step(rig.optim, &rig.device, 0.25, NAN);
    ck_assert_double_eq(rig.params.value[0], 1 - 0.125);
    snn_optim_step(rig.optim, &rig.device, 0, NAN);
    ck_assert_double_eq(rig.params.value[0], 1 - 0.125);
    closed(&rig);
}
END_TEST

START_TEST(cycling_what_is_not_there_is_our_mistake) {
    struct rig rig = {0};
    declare(&rig, "p", 1);
    opened(&rig, "sgd");
    fprintf(stderr, "the panic that follows is expected: ");
    snn_optim_step(rig.optim, &rig.device, 1, 0.9);
}
END_TEST

/* ---- any rule ---- */

START_TEST(resumes_bit_for_bit) {
    enum { N = 100, STEPS = 12, CUT = 5 };
    struct rig whole = {0}, rest = {0};
    declare(&whole, "p", N), declare(&rest, "p", N);
    opened(&whole, settings[_i]), opened(&rest, settings[_i]);
    for (int i = 0; i < N; ++i) whole.params.value[i] = (real)gradient(3, i);
    for (int k = 0; k < STEPS; ++k) {
        if (k == CUT) {
            memcpy(rest.params.value, whole.params.value, N * sizeof(real));
            for (int s = 0; s < snn_optim_slots(whole.optim); ++s)
                memcpy(snn_optim_slot(rest.optim, s), snn_optim_slot(whole.optim, s), N * sizeof(real));
            memcpy(snn_optim_numbers(rest.optim), snn_optim_numbers(whole.optim), SNN_OPTIM_NUMBERS * sizeof(double));
        }
        for (int i = 0; i < N; ++i) whole.params.grad[i] = rest.params.grad[i] = (real)gradient(k, i);
        step(&whole);
        if (k >= CUT) step(&rest);
    }
    ck_assert_mem_eq(whole.params.value, rest.params.value, N * sizeof(real));
    ck_assert_double_ne(whole.params.value[0], gradient(3, 0));
    closed(&whole), closed(&rest);
}
END_TEST

START_TEST(without_gradient_zeros_stay_zero) {
    struct rig rig = {0};
    declare(&rig, "a", 3);
    declare(&rig, "b", 1);
    opened(&rig, settings[_i]);
    for (int k = 0; k < 10; ++k) {
        rig.params.grad[0] = (real)gradient(k, 0);
        step(&rig);
    }
    ck_assert_double_ne(rig.params.value[0], 0);
    for (ptrdiff_t i = 1; i < rig.params.learned; ++i) ck_assert_double_eq(rig.params.value[i], 0);
    closed(&rig);
}
END_TEST

START_TEST(slots_are_planned_and_named) {
    struct rig rig = {0};
    declare(&rig, "p", 1000);
    opened(&rig, settings[_i]);
    int slots = snn_optim_slots(rig.optim);
    size_t slab = (size_t)rig.params.learned * sizeof(real), planned = rig.arena.by_purpose[SNN_MEM_OPTIMIZER];
    ck_assert_uint_ge(planned, (size_t)slots * slab);
    ck_assert_uint_lt(planned, (size_t)slots * slab + 1024);
    for (int i = 0; i < slots; ++i) {
        ck_assert_ptr_nonnull(snn_optim_slot(rig.optim, i));
        for (int j = 0; j < i; ++j)
            ck_assert_str_ne(snn_optim_slot_name(rig.optim, i), snn_optim_slot_name(rig.optim, j));
    }
    closed(&rig);
}
END_TEST

START_TEST(slots_follow_the_options) {
    static const struct {
        const char *yaml;
        int slots;
        bool momentum;
        const char *last;
    } expected[] = {
        {"sgd", 0, false, NULL},
        {"{name: sgd, momentum: 0.9}", 1, true, "momentum_buffer"},
        {"adam", 2, true, "exp_avg_sq"},
        {"{name: adamw, amsgrad: true}", 3, true, "max_exp_avg_sq"},
        {"{name: adam, beta1: 0}", 2, true, "exp_avg_sq"},
        {"rmsprop", 1, false, "square_avg"},
        {"{name: rmsprop, centered: true, momentum: 0.1}", 3, true, "momentum_buffer"},
        {"adagrad", 1, false, "sum"},
        {"adadelta", 2, false, "acc_delta"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; ++i) {
        struct rig rig = {0};
        declare(&rig, "p", 4);
        opened(&rig, expected[i].yaml);
        int slots = snn_optim_slots(rig.optim);
        ck_assert_int_eq(slots, expected[i].slots);
        ck_assert_int_eq(snn_optim_has_momentum(rig.optim), expected[i].momentum);
        if (slots) ck_assert_str_eq(snn_optim_slot_name(rig.optim, slots - 1), expected[i].last);
        closed(&rig);
    }
}
END_TEST

/* ---- kernels ---- */

/* Three steps of every rule, a sum and a scaling of n numbers; all results one after the other into out. */
static void work(const struct snn_optim_kernels *table, int threads, ptrdiff_t n, real *out) {
    struct snn_device device = {.threads = threads, .optim = table};
    const struct snn_gate gate = {.factor = (real)0.9};
    real k[SNN_OPTIM_SCALARS], *slot[3], *grad = malloc((size_t)n * sizeof *grad);
    for (int j = 0; j < SNN_OPTIM_SCALARS; ++j) k[j] = (real)(0.9 - 0.05 * j);
    ck_assert_ptr_nonnull(grad);
    for (ptrdiff_t i = 0; i < n; ++i) grad[i] = (real)((double)((i * 7919) % 1000 - 500) * 1.1e-3);
    for (int rule = 0; rule < SNN_RULE_COUNT; ++rule) {
        real *value = out;
        for (int s = 0; s < 3; ++s) slot[s] = out + (s + 1) * n;
        for (int times = 0; times < 3; ++times) table->step(&device, rule, n, value, grad, slot, k, &gate);
        out += 4 * n;
    }
    double sum;
    table->sum_of_squares(&device, n, grad, &sum);
    memcpy(out, &sum, sizeof sum);
    table->scale(&device, n, grad, &gate);
    memcpy(out + 2, grad, (size_t)n * sizeof *grad);
    free(grad);
}

START_TEST(bits_depend_on_neither_threads_nor_instruction_set) {
    static const ptrdiff_t sizes[] = {1, 37, 16384, 200003};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        ptrdiff_t n = sizes[s], count = (4 * SNN_RULE_COUNT + 1) * n + 2;
        real *reference = calloc((size_t)count, sizeof *reference);
        ck_assert_ptr_nonnull(reference);
        work(kernels, 1, n, reference);
        ck_assert(isfinite(reference[0]) && reference[0] != 0);
        for (int threads = 1; threads <= 3; ++threads) {
#define COMPARE(suffix, usable)                                                                                        \
    if (usable) {                                                                                                      \
        real *other = calloc((size_t)count, sizeof *other);                                                            \
        ck_assert_ptr_nonnull(other);                                                                                  \
        work(&SNN_ISA_JOIN(snn_optim_cpu, suffix), threads, n, other);                                                 \
        ck_assert_msg(memcmp(reference, other, (size_t)count * sizeof *other) == 0, "%s, %d threads, n = %td",         \
                      #suffix, threads, n);                                                                            \
        free(other);                                                                                                   \
    }
            SNN_ISA_LIST(COMPARE)
#undef COMPARE
        }
        free(reference);
    }
}
END_TEST

START_TEST(sums_of_squares_of_any_length) {
    static const ptrdiff_t sizes[] = {0, 1, 31, 32, 33, 16383, 16384, 16385, 4194304, 4194305, 5000001};
    enum { MOST = 5000001 };
    real *x = malloc(MOST * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int i = 0; i < MOST; ++i) x[i] = (real)((i * 13) % 17 - 8);
    struct snn_device device = {.threads = 2, .optim = kernels};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        double sum = -1, exact = 0; /* whole numbers: any order gives the same */
        for (ptrdiff_t i = 0; i < sizes[s]; ++i) exact += (double)x[i] * (double)x[i];
        kernels->sum_of_squares(&device, sizes[s], x, &sum);
        ck_assert_double_eq(sum, exact);
    }
    free(x);
}
END_TEST

/* ---- segments ---- */

static int calls;
static ptrdiff_t elements;
static void counted_step(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value,
                         const real *restrict grad, real *const slot[3], const real *scalar,
                         const struct snn_gate *gate) {
    ++calls, elements += n;
    kernels->step(device, rule, n, value, grad, slot, scalar, gate);
}
static const struct snn_optim_kernels counting = {.step = counted_step};

static void check_calls(const char *yaml, const char *frozen, int expected, ptrdiff_t covered) {
    struct rig rig = {0};
    static const char *const names[] = {"0.weight", "0.bias", "1.position", "1.weight", "2.weight"};
    int32_t one = 1;
    for (int i = 0; i < 5; ++i) declare(&rig, names[i], 16);
    snn_params_add(&rig.params, "2.running_mean", true, 1, &one);
    if (frozen) snn_params_find(&rig.params, frozen)->frozen = true;
    opened(&rig, yaml);
    rig.device.optim = &counting;
    calls = 0, elements = 0;
    step(&rig);
    ck_assert_msg(calls == expected && elements == covered, "%s: %d calls over %td", yaml, calls, elements);
    closed(&rig);
}

START_TEST(neighbours_share_a_launch) {
    check_calls("adam", NULL, 1, 80);
    check_calls("adam", "0.weight", 1, 64);
    check_calls("adam", "1.position", 2, 64);
    check_calls("adam", "2.weight", 1, 64);
    check_calls("{name: adam, groups: [{match: '*.position', lr: 0.1}]}", NULL, 3, 80);
    check_calls("{name: adam, groups: [{match: '*.position', lr: 0.1}]}", "1.position", 2, 64);
    check_calls("{name: adam, groups: [{match: '*.position'}]}", NULL, 1, 80);
    check_calls("{name: adam, lr: 0.1, groups: [{match: '0.*', lr: 0.1}, {match: '1.*', weight_decay: 0}]}", NULL, 1,
                80);
    check_calls("{name: adam, groups: [{match: '*', lr: 0.1}]}", NULL, 1, 80);
}
END_TEST

START_TEST(nothing_to_train) {
    struct rig empty = {0}, frozen = {0};
    opened(&empty, "adam");
    step(&empty);
    ck_assert_double_eq(clip(&empty, 1), 0);
    closed(&empty);
    declare(&frozen, "p", 4)->frozen = true;
    opened(&frozen, "adamw");
    frozen.params.value[1] = 3, frozen.params.grad[1] = 5;
    step(&frozen);
    ck_assert_double_eq(frozen.params.value[1], 3);
    ck_assert_double_eq(clip(&frozen, 1), 0);
    closed(&frozen);
}
END_TEST

/* ---- groups ---- */

START_TEST(groups_have_their_own_settings) {
    struct rig rig = {0};
    struct snn_param *weight = declare(&rig, "model.0.weight", 1), *position = declare(&rig, "model.0.position", 1);
    struct snn_param *frozen = declare(&rig, "model.1.weight", 1), *bias = declare(&rig, "model.1.bias", 1);
    int32_t one = 1;
    struct snn_param *mean = snn_params_add(&rig.params, "model.1.running_mean", true, 1, &one);
    frozen->frozen = true;
    opened(&rig, "{name: sgd, lr: 0.5, weight_decay: 0.25, groups: "
                 "[{match: '*.position', lr: 2, weight_decay: 0}, {match: '*.bias', weight_decay: 0.5}]}");
    for (int i = 0; i < rig.params.count; ++i) rig.params.list[i]->value[0] = 1;
    for (int i = 0; i < 4; ++i) rig.params.list[i]->grad[0] = 1;
    snn_optim_step(rig.optim, &rig.device, 0.5, NAN);
    ck_assert_double_eq(weight->value[0], 1 - 0.25 * 1.25);
    ck_assert_double_eq(position->value[0], 1 - 1);
    ck_assert_double_eq(bias->value[0], 1 - 0.25 * 1.5);
    ck_assert_double_eq(frozen->value[0], 1);
    ck_assert_double_eq(mean->value[0], 1);
    closed(&rig);
}
END_TEST

START_TEST(first_matching_group_wins) {
    struct rig rig = {0};
    struct snn_param *a = declare(&rig, "a.weight", 1), *b = declare(&rig, "b.weight", 1);
    opened(&rig, "{name: sgd, lr: 1, groups: [{match: 'a.*', lr: 0.5}, {match: '*.weight', lr: 0.25}]}");
    a->grad[0] = b->grad[0] = 1;
    step(&rig);
    ck_assert_double_eq(a->value[0], -0.5);
    ck_assert_double_eq(b->value[0], -0.25);
    closed(&rig);
}
END_TEST

static const struct {
    const char *yaml, *names; /* names: what the sentence must mention */
} refused[] = {
    {"adamm", "adam"},
    {"{name: adam, learning_rate: 1}", "learning_rate"},
    {"{name: adam, lr: -0.1}", "lr"},
    {"{name: adam, lr: fast}", "lr"},
    {"{name: adam, beta1: 1}", "beta1"},
    {"{name: adam, beta2: 1}", "beta2"},
    {"{name: adam, eps: 0}", "eps"},
    {"{name: adam, momentum: 0.9}", "momentum"},
    {"{name: sgd, weight_decay: -1}", "weight_decay"},
    {"{name: sgd, nesterov: true}", "momentum above 0"},
    {"{name: sgd, nesterov: true, momentum: 0.9, dampening: 0.1}", "dampening 0.1"},
    {"{name: adam, groups: 5}", "list of groups"},
    {"{name: adam, groups: {match: '*'}}", "list of groups"},
    {"{name: adam, groups: [p]}", "expected a map"},
    {"{name: adam, groups: [{lr: 1}]}", "match"},
    {"{name: adam, groups: [{match: p, lr: -1}]}", "lr"},
    {"{name: adam, groups: [{match: p, eps: 1}]}", "eps"},
    {"{name: adam, groups: [{match: p}, {match: '*.position'}]}", "'*.position'"},
    {"{name: adam, groups: [{match: 'running*'}]}", "'running*'"},
    {"{name: adam, groups: [{match: ''}]}", "''"},
    {"[adam]", "optimizer"},
};

START_TEST(refuses) {
    struct rig rig = {0};
    int32_t one = 1;
    declare(&rig, "p", 1);
    snn_params_add(&rig.params, "running_mean", true, 1, &one);
    int status = try_open(&rig, refused[_i].yaml);
    ck_assert_msg(status == SNN_EUSAGE, "%s gave %d", refused[_i].yaml, status);
    ck_assert_ptr_null(rig.optim);
    ck_assert_msg(strstr(snn_error_text(), refused[_i].names) && strstr(snn_error_text(), "test.yaml:1"), "%s: %s",
                  refused[_i].yaml, snn_error_text());
    closed(&rig);
}
END_TEST

START_TEST(resolved_config_reads_back) {
    struct rig rig = {0}, again = {0};
    declare(&rig, "p", 1), declare(&again, "p", 1);
    opened(&rig, "{name: adam, lr: 0.25, groups: [{match: p, lr: 0.5}]}");
    char *text = snn_conf_write(snn_conf_root(rig.doc));
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(strstr(text, "beta2: 0.999"));
    ck_ok(snn_conf_parse(text, strlen(text), "resolved.yaml", &again.doc));
    ck_ok(snn_optim_open(snn_conf_get(snn_conf_root(again.doc), "optimizer"), &again.params, &again.optim));
    ck_assert_double_eq(snn_optim_base_lr(again.optim), 0.25);
    free(text);
    closed(&rig), closed(&again);
}
END_TEST

/* ---- clipping ---- */

/* Gradients 3 and 4 (norm 5) around a frozen 100. */
static void three_four(struct rig *rig) {
    *rig = (struct rig){0};
    declare(rig, "a", 1), declare(rig, "frozen", 1)->frozen = true, declare(rig, "b", 1);
    opened(rig, "sgd");
    static const real grad[] = {3, 100, 4};
    for (int i = 0; i < 3; ++i) rig->params.list[i]->grad[0] = grad[i];
}

START_TEST(clips_to_the_norm_without_the_frozen) {
    struct rig rig;
    three_four(&rig);
    ck_assert_double_eq(clip(&rig, 1), 5);
    ck_assert_double_eq_tol(rig.params.list[0]->grad[0], 0.6, 1e-6);
    ck_assert_double_eq_tol(rig.params.list[2]->grad[0], 0.8, 1e-6);
    ck_assert_double_eq_tol(clip(&rig, 10), 1, 1e-6);
    closed(&rig);
}
END_TEST

START_TEST(clip_leaves_small_gradients_alone) {
    struct rig rig;
    three_four(&rig);
    ck_assert_double_eq(clip(&rig, 5.1), 5);
    ck_assert_double_eq(rig.params.list[0]->grad[0], 3);
    ck_assert_double_eq(rig.params.list[2]->grad[0], 4);
    closed(&rig);
}
END_TEST

START_TEST(clip_reports_nan_and_infinity) {
    struct rig rig;
    three_four(&rig);
    rig.params.list[0]->grad[0] = NAN;
    ck_assert(isnan(clip(&rig, 1)));
    ck_assert_double_eq(rig.params.list[2]->grad[0], 4);
    rig.params.list[0]->grad[0] = INFINITY;
    ck_assert(isinf(clip(&rig, 1)));
    closed(&rig);
}
END_TEST

START_TEST(norm_of_large_floats_does_not_overflow) {
    struct rig rig;
    three_four(&rig);
    rig.params.list[0]->grad[0] = (real)3e30, rig.params.list[2]->grad[0] = (real)4e30;
    ck_assert_double_eq_tol(clip(&rig, 1) / 5e30, 1, 1e-6);
    ck_assert_double_eq_tol(rig.params.list[0]->grad[0], 0.6, 1e-6);
    closed(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("optim");
    TCase *rules = tcase_create("rules"), *groups = tcase_create("groups"), *clip = tcase_create("clip");
    tcase_set_timeout(rules, 60);
    tcase_add_test(rules, rate_factor_multiplies);
    tcase_add_test_raise_signal(rules, cycling_what_is_not_there_is_our_mistake, SIGABRT);
    tcase_add_loop_test(rules, resumes_bit_for_bit, 0, SETTINGS);
    tcase_add_loop_test(rules, without_gradient_zeros_stay_zero, 0, SETTINGS);
    tcase_add_loop_test(rules, slots_are_planned_and_named, 0, SETTINGS);
    tcase_add_test(rules, slots_follow_the_options);
    tcase_add_test(rules, bits_depend_on_neither_threads_nor_instruction_set);
    tcase_add_test(rules, sums_of_squares_of_any_length);
    tcase_add_test(groups, neighbours_share_a_launch);
    tcase_add_test(groups, nothing_to_train);
    tcase_add_test(groups, groups_have_their_own_settings);
    tcase_add_test(groups, first_matching_group_wins);
    tcase_add_loop_test(groups, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(groups, resolved_config_reads_back);
    tcase_add_test(clip, clips_to_the_norm_without_the_frozen);
    tcase_add_test(clip, clip_leaves_small_gradients_alone);
    tcase_add_test(clip, clip_reports_nan_and_infinity);
    tcase_add_test(clip, norm_of_large_floats_does_not_overflow);
    suite_add_tcase(suite, rules);
    suite_add_tcase(suite, groups);
    suite_add_tcase(suite, clip);
    return run_suite(suite);
}
