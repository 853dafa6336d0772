/* SPDX-License-Identifier: Apache-2.0
 * test_temporal.c - convolution over time: by hand, and in cuts of the time axis against all steps at once. */
#include "net_rig.h"

/* Weights 1, 10, 100: the digits of an output say which steps it has seen. */
START_TEST(by_hand) {
    static const struct {
        const char *keys;
        int32_t T;
        double out[5];
    } cases[] = {
        {"{kernel: 3, bias: false}", 5, {100, 210, 321, 432, 543}},
        {"{kernel: 3, dilation: 2, bias: false}", 5, {100, 200, 310, 420, 531}},
        {"{kernel: 3, dilation: 7, bias: false}", 5, {100, 200, 300, 400, 500}},
        {"{kernel: 3, bias: false}", 1, {100}},
        {"{kernel: 3}", 2, {100.5, 210.5}},
        {"{kernel: 3, out: 1, bias: false}", 5, {100, 210, 321, 432, 543}},
        {"{kernel: 3, out: 1, dilation: 2}", 5, {100.5, 200.5, 310.5, 420.5, 531.5}},
        {"{kernel: 3, out: 1, dilation: 7, bias: false}", 5, {100, 200, 300, 400, 500}},
    };
    struct snn_device device;
    struct snn_network n = {.device = &device};
    struct snn_conf_doc *doc;
    char text[200];
    float frames[5] = {1, 2, 3, 4, 5};
    int32_t label = 0, length = cases[_i].T, sample = 0;
    ck_ok(snn_device_open("cpu", 1, &device));
    snprintf(text, sizeof text, "model: [temporal_conv: %s]", cases[_i].keys);
    ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
    struct snn_model_input input = {.C = 1, .H = 1, .W = 1};
    ck_ok(snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &input, 0, &n.model));
    struct snn_network_plan plan = {.T = length, .B = 1, .cut = length};
    ck_ok(snn_network_allocate(&n, &plan));
    for (int k = 0; k < 3; ++k) n.model.params.list[0]->value[k] = k == 2 ? 100 : k == 1 ? 10 : 1;
    struct snn_param *bias = snn_params_find(&n.model.params, "model.0.temporal_conv.bias"), *position;
    if (bias) bias->value[0] = (real)0.5;
    position = snn_params_find(&n.model.params, "model.0.temporal_conv.position");
    for (int k = 0; position && k < 3; ++k) position->value[k] = (real)(position->fill + k * position->ramp);
    struct snn_batch batch = {.form = SNN_BATCH_FRAMES,
                              .T = length,
                              .B = 1,
                              .C = 1,
                              .H = 1,
                              .W = 1,
                              .frames = frames,
                              .label = &label,
                              .length = &length,
                              .sample = &sample};
    struct snn_cut cut = {.batch = &batch, .T = length};
    snn_network_forward(&n, &cut);
    for (int t = 0; t < length; ++t)
        ck_assert_msg(n.output[t] == (real)cases[_i].out[t], "%s: %g at step %d", cases[_i].keys, (double)n.output[t],
                      t);
    snn_network_free(&n);
    snn_conf_free(&doc);
}
END_TEST

/* Reaches are 2, 6, 12 (more than there are steps) and 0 steps, on numbers, on events and on spikes. */
static const char *const models[] = {
    "[flatten, temporal_conv: 3, linear: 4]",
    "[temporal_conv: {kernel: 4, dilation: 2}, lif, flatten, linear: 4]",
    "[conv: {out: 3, kernel: 3}, lif, temporal_conv: {kernel: 3, dilation: 6}, lif, temporal_conv: 1, flatten, linear: "
    "4]",
    "[flatten, temporal_conv: {out: 12, kernel: 3, dilation: 2}, lif, temporal_conv: {out: 9, kernel: 8, groups: 3}, "
    "linear: 4]",
    "[flatten, linear: 9, residual: {body: [temporal_conv: {kernel: 2, bias: false}, lif, temporal_conv: 3]}, lif, "
    "linear: "
    "4]",
    "[conv: {out: 3, kernel: 3}, sliding_psn: 3, flatten, linear: 9, sliding_psn: {k: 8, init: kaiming_uniform}, "
    "linear: 4]",
    "[flatten, slstm: {out: 9, threshold: 0.02, reset: subtract}, slstm: {out: 4, threshold: 0.01, reset: zero, bias: "
    "false}]",
};
enum { MODELS = sizeof models / sizeof *models };

/* Outputs (T,B,CLASSES) of all cuts of all slices. */
static void pass(struct made_network *m, const struct snn_batch *batch, int32_t cut_steps, real *out) {
    struct snn_slice slice;
    snn_network_set_step(&m->net, 3, 0, 1);
    ck_ok(snn_network_stage(&m->net, batch));
    for (int32_t first = 0, begin = 0; snn_network_slice(&m->net, &first, &slice); begin = first)
        for (int32_t t0 = 0, index = 0; t0 < STEPS; t0 += cut_steps, ++index) {
            int32_t T = STEPS - t0 < cut_steps ? STEPS - t0 : cut_steps, B = slice.batch.B;
            struct snn_cut cut = {.batch = &slice.batch, .t0 = t0, .T = T, .index = index, .train = true};
            snn_network_forward(&m->net, &cut);
            for (int32_t t = 0; t < T; ++t)
                memcpy(out + ((t0 + t) * SAMPLES + begin) * CLASSES, m->net.output + (ptrdiff_t)t * B * CLASSES,
                       (size_t)(B * CLASSES) * sizeof *out);
        }
}

START_TEST(in_cuts) {
    static struct made_batch data;
    static real whole[STEPS * SAMPLES * CLASSES], cuts[STEPS * SAMPLES * CLASSES];
    make_batch(STEPS, false, false, &data);
    for (int32_t cut = STEPS; cut >= 1; --cut)
        for (int32_t slice = SAMPLES; slice >= 1; slice -= 2) {
            struct made_network m;
            open_network_of("cpu", models[_i], false, 0, &m); /* kernels may reach over more than STEPS */
            struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = cut, .slice = slice, .train = true};
            ck_ok(snn_network_allocate(&m.net, &plan));
            snn_params_init(&m.net.model.params, 3, m.net.model.params.value);
            pass(&m, &data.batch, cut, cut == STEPS && slice == SAMPLES ? whole : cuts);
            pass(&m, &data.batch, cut,
                 cut == STEPS && slice == SAMPLES ? whole : cuts); /* nothing is left of a batch */
            for (int i = 0; (cut < STEPS || slice < SAMPLES) && i < STEPS * SAMPLES * CLASSES; ++i)
                ck_assert_msg(fabs((double)cuts[i] - (double)whole[i]) <= 1e-5, "%s, cuts of %d steps: %.9g, not %.9g",
                              models[_i], cut, (double)cuts[i], (double)whole[i]);
            close_network(&m);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("temporal");
    TCase *t = tcase_create("temporal");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, by_hand, 0, 8);
    tcase_add_loop_test(t, in_cuts, 0, MODELS);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
