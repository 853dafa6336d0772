/* SPDX-License-Identifier: Apache-2.0
 * test_models.c - what each neuron of the table does, worked by hand: a constant current of 1 into one neuron. */
#include <math.h>

#include "snn_check.h"

#include "train/device.h"
#include "train/network.h"

enum { STEPS = 8 };

static void outputs_of(const char *neuron, int units, real *out) {
    struct snn_device device;
    struct snn_network n = {.device = &device};
    struct snn_conf_doc *doc;
    char text[300];
    float frames[STEPS];
    int32_t label = 0, length = STEPS, sample = 0;
    ck_ok(snn_device_open("cpu", 1, &device));
    snprintf(text, sizeof text, "model: [linear: {out: %d, bias: false, init: {name: constant, value: 1}}, %s]", units,
             neuron);
    ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
    struct snn_model_input input = {.C = 1, .H = 1, .W = 1};
    ck_ok(snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &input, 0, &n.model));
    struct snn_network_plan plan = {.T = STEPS, .B = 1, .cut = STEPS};
    ck_ok(snn_network_allocate(&n, &plan));
    snn_params_init(&n.model.params, 0, n.model.params.value);
    for (int t = 0; t < STEPS; ++t) frames[t] = 1;
    struct snn_batch batch = {.form = SNN_BATCH_FRAMES,
                              .T = STEPS,
                              .B = 1,
                              .C = 1,
                              .H = 1,
                              .W = 1,
                              .frames = frames,
                              .label = &label,
                              .length = &length,
                              .sample = &sample};
    struct snn_cut cut = {.batch = &batch, .T = STEPS};
    snn_network_forward(&n, &cut);
    memcpy(out, n.model.tape.output->data, (size_t)(STEPS * units) * sizeof *out);
    snn_network_free(&n);
    snn_conf_free(&doc);
}

static const struct {
    const char *neuron;
    double out[STEPS];
} cases[] = {
    {"if: {threshold: 2.5}", {0, 0, 1, 0, 0, 1, 0, 0}},                            /* 1 2 3* 1 2 3* 1 2: no leak */
    {"if: {threshold: 2.5, reset: subtract}", {0, 0, 1, 0, 1, 0, 0, 1}},           /* 1 2 3* 1.5 2.5* 1 2 3* */
    {"if: {threshold: 2.5, reset: subtract, fire: gt}", {0, 0, 1, 0, 0, 1, 0, 1}}, /* 1 2 3* 1.5 2.5 3.5* 2 3* */
    {"lif: {tau: 2, threshold: 1.6}", {0, 0, 1, 0, 0, 1, 0, 0}},                   /* 1 1.5 1.75* 1 1.5 1.75* */
    {"lif: {tau: 2, threshold: 1.6, reset_delay: true}",
     {0, 0, 1, 0, 0, 1, 0, 0}}, /* the reset to 0 acts in the next charge */
    {"lif: {beta: 0.5, threshold: 1.6, reset: subtract}",
     {0, 0, 1, 0, 0, 1, 0, 0}}, /* 1 1.5 1.75* 1.075 1.5375 1.76875* 1.084 1.542 */
    {"lif: {tau: 4, decay_input: true, threshold: 0.5}", {0, 0, 1, 0, 0, 1, 0, 0}}, /* .25 .4375 .578* */
    {"lif: {tau: 2, reset: value, v_reset: -1, threshold: 0.9}",
     {0, 0, 0, 0, 1, 0, 0, 0}}, /* from -1: 0 .5 .75 .875 .9375* 0 .5 */
    {"if: {threshold: 0.375, reset: subtract, spikes: counted}", {2, 3, 3, 2, 3, 3, 2, 3}}, /* 1 1.25 1.125, 0 left */
    {"if: {threshold: 0.375, reset: subtract, spikes: counted, fire: gt}", {2, 3, 2, 3, 3, 2, 3, 3}}, /* 1.125: 2 */
    {"if: {threshold: 0.5, reset: none, spikes: rounded, levels: 3}", {2, 3, 3, 3, 3, 3, 3, 3}},
    {"if: {threshold: 0.75, reset: subtract, spikes: rounded}", {1, 2, 1, 1, 2, 1, 1, 2}}, /* 1 1.25 0.75, 0 left */
    {"if: {threshold: 2.5, recurrent: {kind: one, init: {name: constant, value: 1}}}",
     {0, 0, 1, 0, 1, 0, 1, 0}}, /* 1 2 3* 2 3* 2 3* 2: a spike adds 1 a step later */
    /* H 1 1.5*, M 1, V 1.5 - 1.5 - s(1); H 0.634 1.317 1.659*: M 1.695 ..., deeper */
    {"clif: {tau: 2, threshold: 1.5}", {0, 1, 0, 0, 1, 0, 0, 1}},
    /* a quarter of a turn a step, all but: 1, 1+i, i, 0, 1, ... */
    {"rf: {omega: 0.9999, damping: 0, threshold: 0.9, learn: []}", {1, 1, 0, 0, 1, 1, 0, 0}},
    {"rf: {omega: 0.9999, damping: 0, threshold: 0.9, imaginary: true, learn: []}", {0, 1, 0, 0, 1, 0, 0, 1}},
    {"if: {threshold: 0.5, reset: subtract, spikes: graded}", {2, 2, 2, 2, 2, 2, 2, 2}}, /* all of it is told */
    {"lif: {beta: 0.5, threshold: 1.25, reset: none, spikes: graded, spacing: 0.5}",
     {0, 1.5, 2, 2.25, 2.375, 2.4375, 2.46875, 2.484375}}, /* (H - threshold)/spacing + 1 of 1 1.5 1.75 ... */
    {"ilif: {threshold: 0.75}", {1, 1, 1, 1, 1, 1, 1, 1}}, /* 1 1.0625 1.078: to the nearest of 0.75 and 1.5 */
    {"ilif: {threshold: 0.375, levels: 2}", {2, 2, 2, 2, 2, 2, 2, 2}}, /* 2.67 thresholds and more, 2 at most */
    {"delta: {threshold: 0.5}", {1, 0, 0, 0, 0, 0, 0, 0}},             /* the input does not change */
    {"delta: {threshold: 1}", {0, 0, 0, 0, 0, 0, 0, 0}},
    {"delta: {threshold: 1, fire: ge}", {1, 0, 0, 0, 0, 0, 0, 0}},
    {"sigma_delta: {threshold: 1.5}", {0, 2, 0, 2, 0, 2, 0, 2}}, /* the sum of changes of 1: told when 2 off */
    {"li: {tau: 2}", {1, 1.5, 1.75, 1.875, 1.9375, 1.96875, 1.984375, 1.9921875}},
    {"li: {beta: 0.5, decay_input: true}", {0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875, 0.99609375}},
};

START_TEST(by_hand) {
    real out[STEPS];
    outputs_of(cases[_i].neuron, 1, out);
    for (int t = 0; t < STEPS; ++t)
        ck_assert_msg(out[t] == (real)cases[_i].out[t], "%s: %g at step %d", cases[_i].neuron, (double)out[t], t);
}
END_TEST

/* What is not understood is refused, and the sentence says why. */
START_TEST(refused) {
    static const struct {
        const char *layer, *part;
    } bad[] = {
        {"lif: {recurrent: {kind: two}}", "kind: expected"},
        {"lif: {recurrent: {kind: one, bias: true}}", "takes effect with kind: all only"},
        {"lif: {recurrent: {kind: one, diagonal: false}}", "a neuron hears nobody else"},
        {"lif: {recurrent: maybe}", "expected true, false or {kind, bias, diagonal, init}"},
        {"lif: {spikes: rounded}", "need reset: subtract"},
        {"lif: {spikes: counted, reset: zero}", "need reset: subtract"},
        {"lif: {spikes: counted, reset: subtract, threshold: 0}", "expected a number above 0"},
        {"lif: {spikes: many}", "spikes: expected"},
        {"ada_lif: {adapt_scale: much}", "adapt_scale"},
        {"clif: {tau: 0.5}", "tau: expected"},
        {"clif: {reset: zero}", "unknown key 'reset'"},
        {"rf: {period: 3}", "period: expected"},
        {"rf: {omega: 1}", "omega: expected"},
        {"brf: {imaginary: true}", "unknown key 'imaginary'"},
        {"brf: {learn: [phase]}", "expected a number of brf"},
        {"lif: {spikes: graded, reset: zero}", "need reset: subtract"},
        {"ilif: {levels: 0}", "levels: expected"},
        {"ilif: {reset: zero}", "unknown key 'reset'"},
        {"sigma_delta: {threshold: 0}", "threshold: expected"},
        {"sigma_delta: {surrogate: atan}", "unknown key 'surrogate'"},
        {"delta: {linear: true}", "unknown key 'linear'"},
        {"glif", "give the most as `steps: N`"},
        {"glif: {steps: 0}", "steps: expected"},
        {"glif: {steps: 4, tau: 1}", "tau: expected"},
        {"ada_lif: {reset: zero}", "unknown key 'reset'"},
        {"lif: {noise: 0}", "noise: expected"},
        {"lif: {noise: 1, reset_delay: true}", "noise: does not go together"},
        {"lif: {noise: 1, spikes: several, reset: subtract}", "noise: expected spikes: once"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        struct snn_conf_doc *doc;
        struct snn_model model;
        struct snn_model_input input = {.C = 1, .H = 1, .W = 1};
        char text[300];
        snprintf(text, sizeof text, "model: [linear: 2, %s]", bad[i].layer);
        ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
        ck_error(snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &input, 0, &model), SNN_EUSAGE,
                 bad[i].part);
        snn_conf_free(&doc);
    }
}
END_TEST

/* A membrane that stands at 1 fires with probability s((1 - threshold) / noise), each time anew. */
START_TEST(noise) {
    enum { UNITS = 4001 };
    static real out[2][STEPS * UNITS];
    static const struct {
        const char *neuron;
        double rate;
    } noisy[] = {{"lif: {beta: 0, threshold: 1.4, noise: 0.4}", 0.268941},
                 {"lif: {beta: 0, threshold: 0.9, noise: 0.05, fire: gt}", 0.880797},
                 {"lif: {beta: 0, threshold: 1, noise: 3}", 0.5}};
    double sum = 0, kept = 0;
    for (int k = 0; k < 2; ++k) outputs_of(noisy[_i].neuron, UNITS, out[k]);
    ck_assert(!memcmp(out[0], out[1], sizeof out[0])); /* the same seed, step and sample */
    for (int i = 0; i < STEPS * UNITS; ++i) sum += (double)out[0][i];
    for (int i = UNITS; i < STEPS * UNITS; ++i) kept += out[0][i] == out[0][i - UNITS];
    double rate = sum / (STEPS * UNITS), same = kept / ((STEPS - 1) * UNITS), p = noisy[_i].rate;
    ck_assert_msg(fabs(rate - p) < 0.012, "fires at a rate of %g, expected %g", rate, p);
    ck_assert_msg(fabs(same - p * p - (1 - p) * (1 - p)) < 0.015, "%g of the steps are as the one before", same);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("models");
    TCase *t = tcase_create("models");
    tcase_add_loop_test(t, by_hand, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, noise, 0, 3);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
