/* SPDX-License-Identifier: Apache-2.0
 * test_gradcheck.c - every layer, neuron, surrogate, reset and loss against finite differences, in the double build;
 * and proof that the check can fail. */
#include "snn_check.h"

#include <math.h>
#include <stdlib.h>

#include "layers/neuron.h"
#include "train/check.h"
#include "train/device.h"

static struct snn_device device;

static void open_device(void) { ck_ok(snn_device_open("cpu", 2, &device)); }

static void print_failure(void *payload, const char *what, double error) {
    (void)payload;
    fprintf(stderr, "# %s: relative error %.2e\n", what, error);
}

START_TEST(everything) {
    struct snn_check_report report = {.failure = print_failure};
    ck_ok(snn_check_everything(&device, &report));
    ck_assert_int_gt(report.checks, 1000);
    ck_assert_int_eq(report.failed, 0);
    ck_assert(report.worst < SNN_CHECK_TOLERANCE);
}
END_TEST

static const struct snn_model_input flat = {.C = 6, .H = 1, .W = 1, .wants_grad = true};

static int failures_with(double planted) {
    struct snn_check_report report = {0};
    struct snn_check_options options = {.what = "planted", .T = 5, .B = 3, .per_tensor = 10, .planted = planted};
    ck_ok(snn_check_yaml(&device, "[linear: 5, lif: {reset: subtract, detach_reset: false}, linear: 3]", "ce", &flat,
                         &options, &report));
    ck_assert_int_eq(report.checks, 5); /* two weights, two biases, the input */
    return report.failed;
}

/* A gradient that is wrong by a ten-thousandth is caught in every tensor; a right one is not. */
START_TEST(planted_error) {
    ck_assert_int_eq(failures_with(0), 0);
    ck_assert_int_eq(failures_with(1e-4), 5);
    ck_assert_int_eq(failures_with(-1e-4), 5);
    ck_assert_int_eq(failures_with(-2), 5); /* a sign error */
}
END_TEST

static void name_it(void *payload, const char *what, double error) {
    (void)error;
    snprintf(payload, 200, "%s", what);
}

/* Along directions of all numbers at once one tensor's error of a hundredth is seen, and the tensor named. */
START_TEST(planted_along) {
    static const char *const names[] = {"gradient of model.0.linear.weight", "gradient of model.0.linear.bias",
                                        "gradient of model.2.linear.weight", "gradient of model.2.linear.bias",
                                        "gradient of the input"};
    char said[200] = "";
    struct snn_check_report report = {.failure = name_it, .payload = said};
    struct snn_check_options options = {.what = "planted", .T = 5, .B = 3, .directions = 4};
    static const char *const model = "[linear: 5, lif: {reset: subtract, detach_reset: false}, linear: 3]";
    for (int k = -1; k < 5; ++k) {
        options.planted = k < 0 ? 0 : 1e-2, options.planted_in = k;
        report.failed = report.checks = 0;
        ck_ok(snn_check_yaml(&device, model, "ce", &flat, &options, &report));
        ck_assert_int_eq(report.failed, k >= 0);
        if (k < 0) ck_assert_int_eq(report.checks, 4);
        else ck_assert_msg(strstr(said, names[k]), "%d: %s", k, said);
    }
}
END_TEST

/* Maxima over windows, and gradients that fade by a factor of 40 a layer: a step that changes the loss as much through
 * each tensor would move the first ones by many times their length, and maxima with them. */
START_TEST(along_where_gradients_fade) {
    static const struct snn_model_input image = {.C = 2, .H = 16, .W = 16, .wants_grad = true};
    static const char *const model =
        "[conv: {out: 6, kernel: 3, padding: 1, weight: standardised, bias: false}, "
        "lif: {beta: 0.5, threshold: 0.6, surrogate: {name: esser, gamma: 0.3, threshold: 1}}, maxpool: 2, "
        "conv: {out: 12, kernel: 3, padding: 1, weight: standardised, bias: false}, "
        "lif: {beta: 0.5, threshold: 0.6, surrogate: {name: esser, gamma: 0.3, threshold: 1}}, "
        "conv: {out: 12, kernel: 3, padding: 1, weight: standardised, bias: false}, "
        "lif: {beta: 0.5, threshold: 0.6, surrogate: {name: esser, gamma: 0.3, threshold: 1}}, maxpool: 2, "
        "conv: {out: 12, kernel: 3, padding: 1, weight: standardised, bias: false}, "
        "lif: {beta: 0.5, threshold: 0.6, surrogate: {name: esser, gamma: 0.3, threshold: 1}}, "
        "conv: {out: 12, kernel: 3, padding: 1, weight: standardised, bias: false}, "
        "lif: {beta: 0.5, threshold: 0.6, surrogate: {name: esser, gamma: 0.3, threshold: 1}}, flatten, linear: 3]";
    struct snn_check_report report = {.failure = print_failure};
    struct snn_check_options options = {.what = "fading", .T = 4, .B = 2, .directions = 4};
    ck_ok(snn_check_yaml(&device, model, "ce", &image, &options, &report));
    ck_assert_int_eq(report.checks, 4);
    ck_assert_int_eq(report.failed, 0);
    ck_assert(report.worst < SNN_CHECK_TOLERANCE_ALONG / 10);
    const int told = 13 - report.left_out; /* weights, gains, the readout's bias, the input */
    ck_assert_int_ge(told, 7);
    report.failure = NULL;
    for (options.planted_in = 0; options.planted_in < told; ++options.planted_in) {
        options.planted = options.planted_in % 2 ? 1e-2 : -1e-2;
        report.failed = 0;
        ck_ok(snn_check_yaml(&device, model, "ce", &image, &options, &report));
        ck_assert_int_eq(report.failed, 1);
    }
}
END_TEST

/* Each surrogate is the derivative of its smooth step. */
typedef real pair_fn(real x, const real *p);
#define X(name, ...) {#name, sg_##name, step_##name},
static const struct {
    const char *name;
    pair_fn *derivative, *step;
} pairs[] = {SNN_SURROGATES(X)};
#undef X

/* Parameters of all surrogates: the defaults, and others in their ranges. */
static void parameters(int which, int k, real *p) {
    const struct snn_key *key = snn_surrogate_keys(which) + 1;
    struct snn_surrogate_options o = {.which = which};
    for (int i = 0; key->name; ++i, ++key) {
        double value = strtod(key->value, NULL), other = k == 1 ? value * 1.3 + 0.05 : value * 0.7 + 0.4;
        o.n[i] = (long long)value + 2 * k;
        o.p[i] = k && !(key->choices && k == 1) ? other : key->choices ? (double)NAN : value;
    }
    snn_surrogate_numbers(&o, 0.7, p);
}

START_TEST(surrogate_pair) {
    real p[SNN_SURROGATE_PARAMS];
    for (int k = 0; k < 3; ++k) {
        parameters(_i, k, p);
        double area = 0, before = pairs[_i].step(-9, p), step = 1e-3;
        for (double x = -9 + step / 2; x < 9; x += step) {
            double h = 1e-6, slope = (pairs[_i].step(x + h, p) - pairs[_i].step(x - h, p)) / (2 * h);
            double at = pairs[_i].derivative(x, p),
                   change = pairs[_i].derivative(x + h, p) - pairs[_i].derivative(x - h, p);
            ck_assert_msg(fabs(change) > 1e-2 || fabs(slope - at) < 1e-6 * (1 + fabs(at)),
                          "%s at %g: %g, differences say %g", pairs[_i].name, x, at, slope);
            area += at * step;
        }
        double after = pairs[_i].step(9, p) - before;
        ck_assert_msg(fabs(area - after) < 0.01 + 1e-3 * fabs(after), "%s: area %g, its step grows by %g",
                      pairs[_i].name, area, after);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gradcheck");
    TCase *t = tcase_create("gradcheck");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, open_device, NULL);
    tcase_add_test(t, everything);
    tcase_add_test(t, planted_error);
    tcase_add_loop_test(t, surrogate_pair, 0, SNN_SURROGATE_COUNT);
    suite_add_tcase(suite, t);
    t = tcase_create("directions");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_device, NULL);
    tcase_add_test(t, planted_along);
    tcase_add_test(t, along_where_gradients_fade);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
