/* SPDX-License-Identifier: Apache-2.0
 * test_params.c - where parameters lie in their slab, and the values they begin with. */
#include <stdint.h>

#include "optim_rig.h"

START_TEST(parameters_are_aligned_and_buffers_come_last) {
    struct rig rig = {0};
    int32_t dim[] = {3, 5}, one = 1;
    struct snn_param *buffer = snn_params_add(&rig.params, "mean", true, 1, &one);
    struct snn_param *a = snn_params_add(&rig.params, "a", false, 2, dim);
    struct snn_param *scalar = snn_params_add(&rig.params, "scalar", false, 0, NULL);
    opened(&rig, "sgd");
    ptrdiff_t unit = 64 / (ptrdiff_t)sizeof(real);
    ck_assert_int_eq(a->count, 15);
    ck_assert_int_eq(a->offset, 0);
    ck_assert_int_eq(scalar->count, 1);
    ck_assert_int_eq(scalar->offset, (15 + unit - 1) / unit * unit);
    ck_assert_int_eq(rig.params.learned, scalar->offset + unit);
    ck_assert_int_eq(buffer->offset, rig.params.learned);
    ck_assert_int_eq(rig.params.size, rig.params.learned + unit);
    ck_assert_ptr_null(buffer->grad);
    ck_assert_uint_eq((uintptr_t)scalar->value % 64, 0);
    ck_assert_uint_eq((uintptr_t)scalar->grad % 64, 0);
    ck_assert_ptr_eq(snn_params_find(&rig.params, "scalar"), scalar);
    ck_assert_ptr_null(snn_params_find(&rig.params, "scala"));
    closed(&rig);
}
END_TEST

START_TEST(without_gradients_no_memory_for_them) {
    struct snn_params params = {0};
    struct snn_arena arena = {0};
    int32_t n = 100;
    struct snn_param *param = snn_params_add(&params, "p", false, 1, &n);
    snn_params_bind(&params, &arena, false);
    ck_assert_ptr_null(param->value);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_GRADIENTS], 0);
    ck_ok(snn_arena_reserve(&arena));
    snn_params_bind(&params, &arena, false);
    ck_assert_ptr_nonnull(param->value);
    ck_assert_ptr_null(param->grad);
    snn_params_free(&params);
    snn_arena_free(&arena);
}
END_TEST

START_TEST(initial_values_depend_on_seed_and_place_alone) {
    enum { N = 10001 };
    struct rig rig = {0}, longer = {0};
    struct snn_param *uniform = declare(&rig, "uniform", N), *normal = declare(&rig, "normal", N);
    struct snn_param *one = declare(&rig, "one", 3), *zero = declare(&rig, "zero", 3);
    declare(&longer, "uniform", 7);
    struct snn_param *same = declare(&longer, "normal", N + 5);
    uniform->bound = 0.5, normal->bound = same->bound = 2, normal->normal = same->normal = true, one->fill = 1;
    opened(&rig, "sgd"), opened(&longer, "sgd");
    snn_params_init(&rig.params, 42, rig.params.value), snn_params_init(&longer.params, 42, longer.params.value);
    ck_assert_mem_eq(normal->value, same->value, N * sizeof(real));

    double mean = 0, square = 0, least = 0, most = 0, normal_mean = 0, normal_square = 0;
    for (int i = 0; i < N; ++i) {
        double u = (double)uniform->value[i], v = (double)normal->value[i];
        mean += u / N, square += u * u / N, least = fmin(least, u), most = fmax(most, u);
        normal_mean += v / N, normal_square += v * v / N;
    }
    ck_assert(least >= -0.5 && least < -0.499 && most <= 0.5 && most > 0.499);
    ck_assert_double_eq_tol(mean, 0, 0.01);
    ck_assert_double_eq_tol(square, 1 / 12.0, 0.003);
    ck_assert_double_eq_tol(normal_mean, 0, 0.08);
    ck_assert_double_eq_tol(normal_square, 4, 0.25);
    ck_assert(one->value[2] == 1 && zero->value[2] == 0);

    real before = uniform->value[17];
    snn_params_init(&rig.params, 43, rig.params.value);
    ck_assert_double_ne(uniform->value[17], before);
    snn_params_init(&rig.params, 42, rig.params.value);
    ck_assert_double_eq(uniform->value[17], before);
    closed(&rig), closed(&longer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("params");
    TCase *params = tcase_create("params");
    tcase_add_test(params, parameters_are_aligned_and_buffers_come_last);
    tcase_add_test(params, without_gradients_no_memory_for_them);
    tcase_add_test(params, initial_values_depend_on_seed_and_place_alone);
    suite_add_tcase(suite, params);
    return run_suite(suite);
}
