/* SPDX-License-Identifier: Apache-2.0
 * test_surrogates.c - surrogates as a config names them: other names and their numbers, the threshold, what is
 * refused; and the square wave far from where it is easy. */
#include <math.h>

#include "layers/cells/all.h"
#include "layers/neuron.h"
#include "snn_check.h"

static struct snn_conf_doc *doc;
static struct snn_neuron_options options;

static int read_lif(const char *surrogate, const char *more) {
    char text[400];
    snn_conf_free(&doc);
    snprintf(text, sizeof text, "{surrogate: %s%s}\n", surrogate, more);
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    return snn_neuron_read(snn_conf_root(doc), 1, 0, &options);
}

static void close_doc(void) { snn_conf_free(&doc); }

/* The surrogate as the resolved config has it. */
static const char *resolved(const char *surrogate) {
    static char line[400];
    ck_ok(read_lif(surrogate, ""));
    char *text = snn_conf_write(options.surrogate_node);
    size_t n = 0;
    for (const char *c = text; *c && n + 2 < sizeof line; ++c)
        if (*c != '\n' || c[1]) line[n++] = *c == '\n' ? ' ' : *c;
    line[n] = 0;
    free(text);
    return line;
}

/* ---- names ---- */

START_TEST(every_name_is_one_surrogate) {
    const struct snn_surrogate_alias *a = snn_surrogate_aliases;
    for (int i = 0; i < SNN_SURROGATE_COUNT; ++i)
        for (int j = 0; j < i; ++j) ck_assert_str_ne(snn_surrogate_names[i], snn_surrogate_names[j]);
    for (int i = 0; a[i].name; ++i) {
        for (int j = 0; j < i; ++j) ck_assert_str_ne(a[i].name, a[j].name);
        for (int j = 0; j < SNN_SURROGATE_COUNT; ++j) ck_assert_str_ne(a[i].name, snn_surrogate_names[j]);
        ck_ok(read_lif(a[i].name, ""));
        ck_assert_int_eq(options.surrogate.which, a[i].which);
    }
}
END_TEST

/* What other names stand for, as their frameworks have it; numbers of the user come first. */
static const struct {
    const char *theirs, *ours;
} names[] = {
    {"sigmoid", "name: sigmoid alpha: 4"},
    {"Sigmoid", "name: sigmoid alpha: 4"},
    {"spikingjelly.Sigmoid", "name: sigmoid alpha: 4"},
    {"snntorch.sigmoid", "name: sigmoid alpha: 25"},
    {"{name: snntorch.sigmoid, alpha: 7}", "name: sigmoid alpha: 7"},
    {"ATan", "name: atan alpha: 2"},
    {"snntorch.atan", "name: atan alpha: 2"},
    {"snntorch.fast_sigmoid", "name: fast_sigmoid slope: 25"},
    {"spytorch.SurrGradSpike", "name: fast_sigmoid slope: 100"},
    {"decolle.fast_sigmoid", "name: fast_sigmoid slope: 10"},
    {"piecewise_quadratic", "name: triangle alpha: 1"},
    {"norse.super", "name: super_spike alpha: 1"},
    {"norse.tanh", "name: tanh alpha: 100"},
    {"norse.triangle", "name: esser threshold: 1 gamma: 0.3"},
    {"{name: norse.triangle, gamma: 100}", "name: esser gamma: 100 threshold: 1"},
    {"eprop.pseudo_derivative", "name: esser gamma: 0.3 threshold: auto"},
    {"Gaussian", "name: gaussian sigma: 0.5 mu: 0 grad_scale: 1"},
    {"sinabs.MultiGaussian", "name: multi_gaussian sigma: 0.5 h: 0.15 s: 6 grad_scale: 1 mu: 0"},
    {"yin.multi_gaussian", "name: multi_gaussian grad_scale: 0.5 sigma: 0.5 h: 0.15 s: 6 mu: 0"},
    {"sinabs.Heaviside", "name: heaviside_window window: 1 threshold: auto"},
    {"snntorch.heaviside", "name: heaviside"},
    {"SingleExponential", "name: single_exponential grad_width: 0.5 grad_scale: 1 threshold: auto"},
    {"ste", "name: leaky_k_relu leak: 1 k: 1"},
    {"DeterministicPass", "name: leaky_k_relu leak: 1 k: 1"},
    {"snntorch.triangular", "name: leaky_k_relu leak: 1 k: -1"},
    {"SFS", "name: sfs slope: 25 B: 1"},
    {"SquarewaveFourierSeries", "name: squarewave_fourier n: 2 T_period: 8"},
    {"lava.cuba", "name: lava tau_grad: 1 scale_grad: 1 threshold: auto"},
};

START_TEST(other_names_bring_their_numbers) { ck_assert_str_eq(resolved(names[_i].theirs), names[_i].ours); }
END_TEST

/* ---- the threshold ---- */

static const char *const thresholds[] = {"esser", "single_exponential", "periodic_exponential", "heaviside_window",
                                         "lava"};

/* `auto` is the neuron's, moved ones included. */
START_TEST(auto_is_the_threshold_of_the_neuron) {
    real follows[SNN_SURROGATE_PARAMS], given[SNN_SURROGATE_PARAMS];
    char text[100];
    ck_ok(read_lif(thresholds[_i], ", threshold: 0.7"));
    snn_surrogate_numbers(&options.surrogate, options.number[LIF_THETA], follows);
    struct snn_surrogate_options before = options.surrogate;
    snprintf(text, sizeof text, "{name: %s, threshold: 0.7}", thresholds[_i]);
    ck_ok(read_lif(text, ", threshold: 3"));
    snn_surrogate_numbers(&options.surrogate, options.number[LIF_THETA], given);
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) ck_assert(follows[i] == given[i]);
    snn_surrogate_numbers(&before, 0.4, follows);
    int differ = 0;
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) differ += follows[i] != given[i];
    ck_assert_int_eq(differ, 1);
    snn_surrogate_numbers(&before, -2, follows); /* annealed away: nothing is divided by 0 */
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) ck_assert(isfinite(follows[i]));

    snprintf(text, sizeof text, "%s needs a threshold of at least 0.001, that of the neuron is 0", thresholds[_i]);
    ck_error(read_lif(thresholds[_i], ", threshold: 0"), SNN_EUSAGE, text);
    snprintf(text, sizeof text, "{name: %s, threshold: 1}", thresholds[_i]);
    ck_ok(read_lif(text, ", threshold: 0"));
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *surrogate, *words;
} refusals[] = {
    {"sigmiod", "surrogate: expected a surrogate, got 'sigmiod' (did you mean 'sigmoid'?)"},
    {"snntorch.sigmoit", "(did you mean 'snntorch.sigmoid'?)"},
    {"{name: piecewise_leaky_relu, w: -1}", "surrogate.w: expected a number of 0.001..10000, got -1"},
    {"{name: piecewise_leaky_relu, c: -0.1}", "surrogate.c: expected a number of 0..10000, got -0.1"},
    {"{name: tanh, alpha: 0}", "surrogate.alpha: expected a number of 0.001..10000, got 0"},
    {"{name: fast_sigmoid, slope: 0}", "surrogate.slope: expected a number of 0.001..10000, got 0"},
    {"{name: gaussian, sigma: -0.5}", "surrogate.sigma: expected a number of 0.001..10000, got -0.5"},
    {"{name: q_pseudo_spike, alpha: 1}", "surrogate.alpha: expected a number of 1.001..10000, got 1"},
    {"{name: squarewave_fourier, n: 1}", "surrogate.n: expected an integer of 2..100, got 1"},
    {"{name: squarewave_fourier, n: 2.5}", "surrogate.n: expected an integer, got '2.5'"},
    {"{name: squarewave_fourier, T_period: 0}", "surrogate.T_period: expected a number of 0.001..10000, got 0"},
    {"{name: multi_gaussian, s: 0}", "surrogate.s: expected a number of 0.001..10000, got 0"},
    {"{name: esser, threshold: 0}", "surrogate.threshold: expected a number of 0.001..10000, got 0"},
    {"{name: esser, threshold: own}", "surrogate.threshold: expected a number or auto, got 'own'"},
    {"{name: lava, tau_grad: -1}", "surrogate.tau_grad: expected a number of 0.001..10000, got -1"},
    {"{name: heaviside, alpha: 1}", "surrogate: unknown key 'alpha' (known: name)"},
    {"{name: sfs, B: none}", "surrogate.B: expected a number, got 'none'"},
};

START_TEST(bad_numbers_are_refused) { ck_error(read_lif(refusals[_i].surrogate, ""), SNN_EUSAGE, refusals[_i].words); }
END_TEST

/* The series of the square wave in closed form, many periods and terms away from where it is easy. */
START_TEST(square_wave_is_its_series) {
    for (int n = 2; n <= 100; n += 7) {
        const real p[SNN_SURROGATE_PARAMS] = {(real)n, 3};
        for (double at = -40; at < 40; at += 0.0131) {
            double x = (double)(real)at, sum = 0;
            for (int i = 1; i < n; ++i) sum += cos((2 * i - 1) * 2 * 3.14159265358979323846 * x / 3);
            double m = n - 1, error = 4.0 / 3 * (1e-6 * m + m * m * 6.3 * 1.2e-7 * fabs(x) / 3); /* x/3 is rounded */
            ck_assert_msg(fabs(sg_squarewave_fourier((real)x, p) - 4.0 / 3 * sum) < error, "n %d at %g: %g, not %g", n,
                          x, (double)sg_squarewave_fourier((real)x, p), 4.0 / 3 * sum);
        }
        ck_assert(sg_squarewave_fourier(0, p) == 4 / p[1] * (real)(n - 1));
        ck_assert(isfinite(sg_squarewave_fourier(1e30f, p)) && isnan(sg_squarewave_fourier(NAN, p)));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("surrogates");
    TCase *t = tcase_create("surrogates");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_doc);
    tcase_add_test(t, every_name_is_one_surrogate);
    tcase_add_loop_test(t, other_names_bring_their_numbers, 0, sizeof names / sizeof *names);
    tcase_add_loop_test(t, auto_is_the_threshold_of_the_neuron, 0, sizeof thresholds / sizeof *thresholds);
    tcase_add_loop_test(t, bad_numbers_are_refused, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(t, square_wave_is_its_series);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
