/* SPDX-License-Identifier: Apache-2.0
 * test_delay.c - the layer `delay`: what arrives when, steps that are appended, cuts, bounds of positions, and the
 * configs that are refused. */
#include "net_rig.h"

#include <math.h>

#include "train/experiment.h"

/* ---- delays by hand ---- */

/* One unit in, one out; the input is 1 at step 1 and 2 at step 2. */
static void pulse(const char *keys, const real *position, int count, bool train, int32_t T, int32_t out_steps,
                  real *out) {
    struct snn_device device;
    struct snn_network n = {.device = &device};
    struct snn_conf_doc *doc;
    char text[400];
    float frames[32] = {0, 1, 2};
    int32_t small[3] = {0, T, 0};
    ck_ok(snn_device_open("cpu", 1, &device));
    snprintf(text, sizeof text, "model: [delay: {out: 1, init: {name: constant, value: 1}, %s}]", keys);
    ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
    struct snn_model_input input = {.C = 1, .H = 1, .W = 1};
    ck_ok(snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &input, 0, &n.model));
    struct snn_network_plan plan = {.T = T, .B = 1, .cut = T, .train = train};
    ck_ok(snn_network_allocate(&n, &plan));
    snn_params_init(&n.model.params, 0, n.model.params.value);
    struct snn_param *p = snn_params_find(&n.model.params, "model.0.delay.position");
    for (int i = 0; i < count; ++i) p->value[i] = position[i];
    struct snn_batch batch = {.form = SNN_BATCH_FRAMES,
                              .T = T,
                              .B = 1,
                              .C = 1,
                              .H = 1,
                              .W = 1,
                              .frames = frames,
                              .label = small,
                              .length = small + 1,
                              .sample = small + 2};
    struct snn_cut cut = {.batch = &batch, .T = T, .train = train};
    snn_network_forward(&n, &cut);
    ck_assert_int_eq(T + n.model.tape.output->appended, out_steps);
    memcpy(out, n.model.tape.output->data, (size_t)out_steps * sizeof *out);
    snn_network_free(&n);
    snn_conf_free(&doc);
}

static const struct {
    const char *keys;
    real position[2];
    bool train;
    int32_t T, steps;
    double out[12];
} cases[] = {
    /* The delay is kernel/2 - position: the end of the kernel is now. */
    {"kernel: 5", {2}, false, 5, 5, {0, 1, 2, 0, 0}},
    {"kernel: 5", {0}, false, 5, 5, {0, 0, 0, 1, 2}},
    {"kernel: 5", {-2}, false, 5, 5, {0, 0, 0, 0, 0}},
    {"kernel: 5, right: half", {-2}, false, 5, 7, {0, 0, 0, 0, 0, 1, 2}},
    {"kernel: 5, right: 4", {-2}, false, 4, 8, {0, 0, 0, 0, 0, 1, 2, 0}},
    {"kernel: 1", {0}, false, 3, 3, {0, 1, 2}},
    {"kernel: 7", {0}, false, 1, 1, {0}},
    /* Evaluation rounds, of two the even one, and stays inside. */
    {"kernel: 5", {0.5}, false, 5, 5, {0, 0, 0, 1, 2}},
    {"kernel: 5", {1.5}, false, 5, 5, {0, 1, 2, 0, 0}},
    {"kernel: 5", {-0.5}, false, 5, 5, {0, 0, 0, 1, 2}},
    {"kernel: 5", {2.6}, false, 5, 5, {0, 1, 2, 0, 0}},
    {"kernel: 5, version: v0, round: false", {1.5}, false, 5, 5, {0, 0.5, 1.5, 1, 0}},
    /* Two elements on one tap add up. */
    {"kernel: 5, count: 2", {0, 0}, false, 5, 5, {0, 0, 0, 2, 4}},
    {"kernel: 5, count: 2", {2, 1}, false, 5, 5, {0, 1, 3, 2, 0}},
    /* Training has them where they are. */
    {"kernel: 5, version: v1", {0.25}, true, 5, 5, {0, 0, 0.25, 1.25, 1.5}},
    {"kernel: 3, version: max, sigma: 1", {0}, true, 5, 5, {0, 0.25, 1, 1.25, 0.5}},
};

START_TEST(by_hand) {
    real out[12];
    pulse(cases[_i].keys, cases[_i].position, strstr(cases[_i].keys, "count") ? 2 : 1, cases[_i].train, cases[_i].T,
          cases[_i].steps, out);
    for (int t = 0; t < cases[_i].steps; ++t)
        ck_assert_msg(fabs((double)out[t] - cases[_i].out[t]) < 1e-6, "%s at %g: %g at step %d", cases[_i].keys,
                      (double)cases[_i].position[0], (double)out[t], t);
}
END_TEST

/* ---- cuts ---- */

static void run_cuts(const char *model, int32_t each, real *out) {
    struct made_network m;
    open_network_of("cpu", model, false, 0, &m);
    outputs_of_cuts(&m, STEPS, each, out);
    close_network(&m);
}

START_TEST(chunked_is_whole) {
    static const char *const models[] = {
        "[flatten, delay: {out: 9, kernel: 5}, lif, delay: {out: 4, kernel: 9, version: v1}, li]",
        "[flatten, linear: 8, lif, delay: {out: 4, kernel: 3, count: 2, groups: 2}]",
        "[flatten, axonal_delay: {max: 4, high: 4}, linear: 8, lif, axonal_delay: {max: 9, high: 3}, linear: 4]",
        "[shift: 2, flatten, linear: 8, lif, shift: 1, linear: 4]"};
    real whole[STEPS * SAMPLES * CLASSES], cut[STEPS * SAMPLES * CLASSES];
    for (int k = 0; k < 4; ++k) {
        run_cuts(models[k], STEPS, whole);
        for (int32_t each = 1; each < STEPS; ++each) {
            run_cuts(models[k], each, cut);
            for (int i = 0; i < STEPS * SAMPLES * CLASSES; ++i)
                ck_assert_msg(fabs((double)cut[i] - (double)whole[i]) < 1e-5, "cuts of %d: %g at %d, not %g", (int)each,
                              (double)cut[i], i, (double)whole[i]);
        }
    }
}
END_TEST

/* A recording's end moves on with the steps that are appended: alone or padded to a longer batch it has one loss. */
START_TEST(appended_and_masked) {
    static const char *const model = "[flatten, delay: {out: 9, kernel: 5, right: half}, lif, linear: 4, li]";
    double loss[2][SAMPLES];
    int64_t spikes[2] = {0, 0};
    for (int alone = 0; alone < 2; ++alone)
        for (int32_t b = 0; b < (alone ? SAMPLES : 1); ++b) {
            struct made_network m;
            struct made_batch made;
            open_network_of("cpu", model, false, 0, &m);
            make_batch(STEPS, false, true, &made);
            struct snn_batch batch = made.batch;
            if (alone) { /* sample b, in a batch as long as it is */
                static int32_t row[STEPS + 1];
                batch.T = made.length[b], batch.B = 1, batch.masked = false;
                for (int32_t t = 0, at = 0; t <= batch.T; ++t) {
                    const int32_t *from = made.row + (ptrdiff_t)t * SAMPLES + b;
                    row[t] = at;
                    if (t == batch.T) break;
                    memmove(made.index + at, made.index + from[0], (size_t)(from[1] - from[0]) * sizeof *made.index);
                    memmove(made.value + at, made.value + from[0], (size_t)(from[1] - from[0]) * sizeof *made.value);
                    at += from[1] - from[0];
                }
                batch.row = row, batch.label = made.label + b, batch.length = made.length + b,
                batch.sample = made.sample + b;
            }
            struct snn_network_plan plan = {
                .T = batch.T, .B = batch.B, .cut = batch.T, .train = true, .slice = batch.B};
            ck_ok(snn_network_allocate(&m.net, &plan));
            snn_params_init(&m.net.model.params, 3, m.net.model.params.value);
            for (ptrdiff_t i = 0; i < m.net.model.params.learned; ++i) m.net.model.params.value[i] *= 3;
            ck_ok(snn_network_stage(&m.net, &batch));
            struct snn_cut cut = {.batch = &batch, .T = batch.T, .train = true};
            snn_network_forward(&m.net, &cut);
            snn_network_loss(&m.net, &cut, true);
            snn_network_tally(&m.net, &cut);
            for (int32_t k = 0; k < batch.B; ++k) loss[alone][b + k] = m.net.sample_loss[k];
            for (int l = 0; l < m.net.model.layers; ++l) spikes[alone] += m.net.tally->spikes[l];
            close_network(&m);
        }
    ck_assert_int_gt(spikes[0], 0);
    ck_assert_int_eq(spikes[0], spikes[1]);
    for (int b = 0; b < SAMPLES; ++b)
        ck_assert_msg(fabs(loss[0][b] - loss[1][b]) < 1e-5, "sample %d: %g in a batch, %g alone", b, loss[0][b],
                      loss[1][b]);
}
END_TEST

/* ---- positions ---- */

static void open_trained(const char *model, const char *optimizer, struct made_network *m) {
    char text[300];
    struct snn_conf_doc *doc;
    open_network_of("cpu", model, false, 0, m); /* kernels may be longer than STEPS */
    snprintf(text, sizeof text, "optimizer: %s", optimizer);
    ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
    ck_ok(snn_optim_open(snn_conf_at(doc, "optimizer"), &m->net.model.params, &m->net.optim));
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true};
    ck_ok(snn_network_allocate(&m->net, &plan));
    snn_params_init(&m->net.model.params, 3, m->net.model.params.value);
    ck_ok(snn_optim_schedules(m->net.optim, 10, 1));
    snn_conf_free(&doc);
}

static const struct snn_param *find(const struct made_network *m, const char *name) {
    const struct snn_param *p = snn_params_find(&m->net.model.params, name);
    ck_assert_msg(p, "no %s", name);
    return p;
}

START_TEST(positions_start) {
    static const struct {
        const char *keys;
        double low, high, mean;
        bool whole;
    } starts[] = {{"kernel: 25", -12, 12, -0.48, false}, /* U(-13, 12), of which 4 % are cut off at -12 */
                  {"kernel: 31", -15, 15, -0.49, false},
                  {"kernel: 25, learn: false", -12, 12, -0.48, true},
                  {"kernel: 9, position: uniform", -4, 4, 0, false},
                  {"kernel: 9, position: {name: uniform, bound: 1}", -1, 1, 0, false},
                  {"kernel: 9, position: {name: constant, value: 7}", 4, 4, 4, false}};
    struct made_network m;
    char model[200];
    snprintf(model, sizeof model, "[flatten, delay: {out: 100, %s}, linear: 4]", starts[_i].keys);
    open_trained(model, "adam", &m);
    const struct snn_param *p = find(&m, "model.1.delay.position");
    double low = 99, high = -99, sum = 0;
    for (ptrdiff_t i = 0; i < p->count; ++i) {
        double x = (double)p->value[i];
        low = fmin(low, x), high = fmax(high, x), sum += x;
        ck_assert(!starts[_i].whole || x == rint(x));
    }
    ck_assert_msg(low >= starts[_i].low && low < starts[_i].low + 0.02 && high <= starts[_i].high &&
                      high > starts[_i].high - 0.02,
                  "from %g to %g", low, high);
    ck_assert_msg(fabs(sum / (double)p->count - starts[_i].mean) < 0.25, "mean %g", sum / (double)p->count);
    ck_assert(p->frozen == starts[_i].whole);
    close_network(&m);
}
END_TEST

/* Positions have a rate and a schedule of their own, and stay within the kernel. */
START_TEST(positions_move) {
    struct made_network m;
    open_trained(
        "[flatten, delay: {out: 5, kernel: 5}, linear: 4]",
        "{name: sgd, lr: 0.5, groups: [{match: '*.position', lr: 1, schedule: {name: step, every: 2, gamma: 0.1}}]}",
        &m);
    const struct snn_param *p = find(&m, "model.1.delay.position"), *w = find(&m, "model.1.delay.weight");
    static const struct {
        int epoch;
        double position, weight;
    } steps[] = {{0, 1, 0.5}, {1, 1, 0.5}, {2, 0.1, 0.5}, {4, 0.01, 0.5}};
    for (int s = 0; s < 4; ++s) {
        p->value[0] = w->value[0] = 0, p->value[1] = 1.9f, p->value[2] = -1.999f;
        snn_network_zero_gradients(&m.net);
        p->grad[0] = w->grad[0] = -1, p->grad[1] = -40, p->grad[2] = 5;
        snn_optim_at(m.net.optim, steps[s].epoch, steps[s].epoch);
        snn_optim_step(m.net.optim, &m.device, 1, NAN);
        ck_assert_float_eq_tol((float)p->value[0], (float)steps[s].position, 1e-6f);
        ck_assert_float_eq_tol((float)w->value[0], (float)steps[s].weight, 1e-6f);
        ck_assert(p->value[1] == 2 && p->value[2] == -2);
    }
    close_network(&m);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *text, *error;
} refused[] = {
    {"model: [delay: {out: 3, kernel: 4}]", "model.0.delay.kernel: expected an odd number of steps, got 4"},
    {"model: [delay: {out: 3, kernel: 0}]", "model.0.delay.kernel: expected an integer of 1..4095, got 0"},
    {"model: [delay: {out: 3, kernel: 25}]",
     "model.0.delay.kernel: expected at most the 9 steps of a sample (data.timesteps), got 25"},
    {"model: [delay: {out: 3, kernel: 5, sigma: -1}]", "model.0.delay.sigma: expected a number of 0..1000000, got -1"},
    {"model: [delay: {out: 3, kernel: 5, version: v1, sigma: 1}]",
     "model.0.delay.sigma: takes effect with version: gauss or max only"},
    {"model: [delay: {out: 3, kernel: 5, version: v0, learn_sigma: true}]",
     "model.0.delay.learn_sigma: takes effect with version: gauss or max only"},
    {"model: [delay: {out: 3, kernel: 5, groups: 2}]",
     "model.0.delay.groups: 6 inputs and 3 outputs do not divide into 2 groups"},
    {"model: [delay: {out: 3, kernel: 5, right: 5}]",
     "model.0.delay.right: expected half or at most kernel - 1 = 4 steps, got 5"},
    {"model: [delay: {out: 3, kernel: 5, version: wide}]", "model.0.delay.version: expected "},
    {"model: [delay: {out: 3, kernel: 5, position: nowhere}]", "model.0.delay.position: "},
    {"model: [axonal_delay: {max: 9}]",
     "model.0.axonal_delay.max: expected less than the 9 steps of a sample (data.timesteps), got max 9"},
    {"model: [axonal_delay: {max: 3, high: 4}]",
     "model.0.axonal_delay.high: expected low <= high <= max = 3, got 0 and 4"},
    {"model: [shift: 0]", "model.0.shift.steps: expected an integer of 1..4094, got 0"},
    {"model: [residual: {body: [delay: {out: 6, kernel: 5, right: 2}]}]",
     "model.0.residual: delays append 2 steps to the body but 0 to the shortcut: they cannot be added"},
};

START_TEST(refuses) {
    struct snn_conf_doc *doc;
    struct snn_model model;
    struct snn_model_input input = {.C = 6, .H = 1, .W = 1, .steps = 9};
    ck_ok(snn_conf_parse(refused[_i].text, strlen(refused[_i].text), "test", &doc));
    ck_assert_int_eq(snn_model_build(snn_conf_at(doc, "model"), &input, 0, &model), SNN_EUSAGE);
    ck_assert_msg(strstr(snn_error_text(), refused[_i].error), "%s: %s", refused[_i].text, snn_error_text());
    snn_conf_free(&doc);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("delay");
    TCase *t = tcase_create("delay");
    tcase_add_loop_test(t, by_hand, 0, sizeof cases / sizeof *cases);
    tcase_add_test(t, chunked_is_whole);
    tcase_add_test(t, appended_and_masked);
    tcase_add_loop_test(t, positions_start, 0, 6);
    tcase_add_test(t, positions_move);
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof *refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
