/* SPDX-License-Identifier: Apache-2.0
 * test_models.c - what each neuron of the table does, worked by hand: a constant current of 1 into one neuron. */
#include "snn_check.h"

#include "train/device.h"
#include "train/network.h"

enum { STEPS = 8 };

static void outputs_of(const char *neuron, real *out) {
    struct snn_device device;
    struct snn_network n = {.device = &device};
    struct snn_conf_doc *doc;
    char text[300];
    float frames[STEPS];
    int32_t label = 0, length = STEPS, sample = 0;
    ck_ok(snn_device_open("cpu", 1, &device));
    snprintf(text, sizeof text, "model: [linear: {out: 1, bias: false, init: {name: constant, value: 1}}, %s]", neuron);
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
    memcpy(out, n.model.tape.output->data, STEPS * sizeof *out);
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
    {"li: {tau: 2}", {1, 1.5, 1.75, 1.875, 1.9375, 1.96875, 1.984375, 1.9921875}},
    {"li: {beta: 0.5, decay_input: true}", {0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375, 0.9921875, 0.99609375}},
};

START_TEST(by_hand) {
    real out[STEPS];
    outputs_of(cases[_i].neuron, out);
    for (int t = 0; t < STEPS; ++t)
        ck_assert_msg(out[t] == (real)cases[_i].out[t], "%s: %g at step %d", cases[_i].neuron, (double)out[t], t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("models");
    TCase *t = tcase_create("models");
    tcase_add_loop_test(t, by_hand, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
