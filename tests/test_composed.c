/* SPDX-License-Identifier: Apache-2.0
 * test_composed.c - neurons that are more than a scan, parallel ones and the LSTM: by their equations, against one
 * another, and what they may not see. */
#include <math.h>

#include "net_rig.h"

enum { OUTPUTS = STEPS * SAMPLES * CLASSES };

static void take_memory(struct snn_network *n) {
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true, .slice = SAMPLES};
    ck_ok(snn_network_allocate(n, &plan));
    snn_params_init(&n->model.params, 21, n->model.params.value);
}

static void forward(struct snn_network *n, const struct snn_batch *batch, int32_t T) {
    snn_network_set_step(n, 3, 4, 1.0 / SAMPLES);
    struct snn_cut cut = {.batch = batch, .T = T, .train = true};
    snn_network_forward(n, &cut);
}

static struct snn_param *param(struct made_network *m, const char *name) {
    struct snn_param *p = snn_params_find(&m->net.model.params, name);
    ck_assert_msg(p != NULL, "there is no %s", name);
    return p;
}

/* Weights of step t for step u. */
static double weight(struct made_network *m, int kind, int t, int u) {
    static const char *const names[] = {"model.2.psn.weight", "model.2.masked_psn.weight",
                                        "model.2.sliding_psn.weight"};
    const struct snn_param *w = param(m, names[kind]);
    if (kind == 2) return u <= t && t - u < 3 ? (double)w->value[2 - (t - u)] : 0;
    double value = (double)w->value[t * STEPS + u];
    return kind == 0 || (u <= t && t - u < 2) ? value : value * (1 - 0.25);
}

/* The spikes of each are those of its equation, from the currents that it was given. */
START_TEST(by_equation) {
    static const char *const models[] = {"[flatten, linear: 4, psn]",
                                         "[flatten, linear: 4, masked_psn: {k: 2, lambda: 0.25}]",
                                         "[flatten, linear: 4, sliding_psn: 3]"};
    static const char *const biases[] = {"model.2.psn.bias", "model.2.masked_psn.bias", "model.2.sliding_psn.bias"};
    struct made_network m;
    struct made_batch made;
    int fired = 0;
    open_network(models[_i], false, &m);
    make_batch(STEPS, false, false, &made);
    take_memory(&m.net);
    const struct snn_param *b = param(&m, biases[_i]);
    for (ptrdiff_t i = 0; i < b->count; ++i) ck_assert(b->value[i] == -1);
    for (ptrdiff_t i = 0; i < b->count; ++i) b->value[i] = (real)(-0.1 - 0.02 * (double)i);
    forward(&m.net, &made.batch, STEPS);
    const real *x = NULL;
    for (int i = 0; i < m.net.model.tape.nodes; ++i) /* what the neuron reads */
        if (!strcmp(m.net.model.tape.node[i]->op->name, "linear")) x = m.net.model.tape.node[i]->out->data;
    for (int t = 0; t < STEPS; ++t)
        for (int i = 0; i < SAMPLES * CLASSES; ++i) {
            double h = (double)b->value[_i == 2 ? 0 : t];
            for (int u = 0; u < STEPS; ++u) h += weight(&m, _i, t, u) * (double)x[u * SAMPLES * CLASSES + i];
            if (fabs(h) < 1e-5) continue;
            ck_assert_msg((m.net.output[t * SAMPLES * CLASSES + i] != 0) == (h >= 0), "step %d, neuron %d: H = %g", t,
                          i, h);
            fired += h >= 0;
        }
    ck_assert(fired > 10 && fired < OUTPUTS - 10);
    close_network(&m);
}
END_TEST

START_TEST(initial_halves) {
    struct made_network m;
    open_network("[flatten, linear: 4, sliding_psn: 4]", false, &m);
    take_memory(&m.net);
    const struct snn_param *w = param(&m, "model.2.sliding_psn.weight");
    for (int i = 0; i < 4; ++i) ck_assert(w->value[i] == (real)(1.0 / (1 << (3 - i))));
    close_network(&m);
}
END_TEST

/* A sliding psn is a masked one with equal weights along the diagonals, and a psn with zeros off the band. */
START_TEST(one_function) {
    static const char *const models[] = {"[flatten, linear: 9, sliding_psn: 3, linear: 4]",
                                         "[flatten, linear: 9, masked_psn: {k: 3, lambda: 1}, linear: 4]",
                                         "[flatten, linear: 9, psn, linear: 4]"};
    static real out[3][OUTPUTS];
    struct made_batch made;
    make_batch(STEPS, false, _i, &made);
    for (int k = 0; k < 3; ++k) {
        struct made_network m;
        open_network(models[k], false, &m);
        take_memory(&m.net);
        struct snn_params *p = &m.net.model.params;
        for (int i = 0; i < p->count; ++i) {
            struct snn_param *q = p->list[i];
            uint32_t seed = 5;
            bool neuron = strstr(q->name, "psn") != NULL, bias = strstr(q->name, "bias") != NULL;
            for (ptrdiff_t j = 0; j < q->count; ++j) {
                ptrdiff_t lag = j / STEPS - j % STEPS;
                double band = k == 2 && (lag < 0 || lag > 2) ? 0 : lag < 0 || lag > 2 ? 9 : 0.9 / (double)(1 + lag);
                q->value[j] = neuron && bias ? (real)-0.3
                              : neuron && k  ? (real)band
                              : neuron       ? (real)(0.9 / (double)(3 - j))
                                             : (real)(made_noise(&seed) % 100 / 200.0 - 0.25);
            }
        }
        forward(&m.net, &made.batch, STEPS);
        memcpy(out[k], m.net.output, sizeof out[k]);
        close_network(&m);
    }
    for (int k = 1; k < 3; ++k)
        for (int i = 0; i < OUTPUTS; ++i) {
            bool past = _i && i / CLASSES / SAMPLES >= STEPS - i / CLASSES % SAMPLES;
            ck_assert_msg(past || fabs((double)out[k][i] - (double)out[0][i]) < 1e-5, "%s: output %d is %g, not %g",
                          models[k], i, (double)out[k][i], (double)out[0][i]);
        }
}
END_TEST

/* What lies behind a recording's end, where biases still give currents, is nothing to the steps before it: a sample of
 * L steps gives what it gives in a batch of L steps. */
START_TEST(ends_are_ends) {
    static real whole[OUTPUTS];
    struct made_network m;
    static struct made_batch made, shorter;
    enum { SAMPLE = 3, LENGTH = STEPS - SAMPLE };
    open_network("[flatten, linear: 9, psn, linear: 4]", false, &m);
    take_memory(&m.net);
    struct snn_param *currents = param(&m, "model.1.linear.bias");
    for (ptrdiff_t i = 0; i < currents->count; ++i) currents->value[i] = i % 2 ? 3 : -3;
    make_batch(STEPS, false, true, &made);
    forward(&m.net, &made.batch, STEPS);
    memcpy(whole, m.net.output, sizeof whole);
    shorter = made;
    shorter.batch = made.batch;
    shorter.batch.T = LENGTH, shorter.batch.masked = false;
    for (int b = 0; b < SAMPLES; ++b) shorter.length[b] = LENGTH;
    shorter.batch.row = shorter.row, shorter.batch.index = shorter.index, shorter.batch.value = shorter.value;
    shorter.batch.length = shorter.length, shorter.batch.label = shorter.label, shorter.batch.sample = shorter.sample;
    forward(&m.net, &shorter.batch, LENGTH);
    for (int t = 0; t < LENGTH; ++t)
        for (int c = 0; c < CLASSES; ++c) {
            int i = (t * SAMPLES + SAMPLE) * CLASSES + c;
            ck_assert_msg(fabs((double)whole[i] - (double)m.net.output[i]) < 1e-5, "step %d, output %d: %g, not %g", t,
                          c, (double)whole[i], (double)m.net.output[i]);
        }
    close_network(&m);
}
END_TEST

/* The membranes of a spiking LSTM, worked out here from its parameters: PyTorch's LSTMCell and snnTorch's resets. */
START_TEST(lstm_by_equation) {
    static const char *const resets[] = {"none", "subtract", "zero"};
    struct made_network m;
    struct made_batch made;
    char model[200];
    double c[SAMPLES][CLASSES] = {{0}}, h[SAMPLES][CLASSES] = {{0}};
    int fired = 0;
    snprintf(model, sizeof model, "[flatten, slstm: {out: 4, threshold: 0.1, reset: %s}]", resets[_i]);
    open_network(model, false, &m);
    make_batch(STEPS, false, false, &made);
    take_memory(&m.net);
    const real *w_ih = param(&m, "model.1.slstm.weight_ih")->value, *w_hh = param(&m, "model.1.slstm.weight_hh")->value;
    const real *b_ih = param(&m, "model.1.slstm.bias_ih")->value, *b_hh = param(&m, "model.1.slstm.bias_hh")->value;
    forward(&m.net, &made.batch, STEPS);
    for (int t = 0; t < STEPS; ++t)
        for (int b = 0; b < SAMPLES; ++b) {
            double a[4 * CLASSES], fresh[CLASSES];
            for (int k = 0; k < 4 * CLASSES; ++k) {
                a[k] = (double)b_ih[k] + (double)b_hh[k];
                for (int j = 0; j < CLASSES; ++j) a[k] += (double)w_hh[k * CLASSES + j] * h[b][j];
                for (int32_t e = made.row[t * SAMPLES + b]; e < made.row[t * SAMPLES + b + 1]; ++e)
                    a[k] += (double)w_ih[k * UNITS + made.index[e]] * (double)made.value[e];
            }
            for (int i = 0; i < CLASSES; ++i) {
                double in = 1 / (1 + exp(-a[i])), keep = 1 / (1 + exp(-a[CLASSES + i])), r = h[b][i] >= 0.1;
                c[b][i] = keep * c[b][i] + in * tanh(a[2 * CLASSES + i]);
                fresh[i] = tanh(c[b][i]) / (1 + exp(-a[3 * CLASSES + i]));
                if (_i == 1) fresh[i] -= 0.1 * r;
                if (_i == 2) fresh[i] *= 1 - r;
                if (fabs(fresh[i] - 0.1) < 1e-5) continue;
                ck_assert_msg((m.net.output[(t * SAMPLES + b) * CLASSES + i] != 0) == (fresh[i] >= 0.1),
                              "step %d, sample %d, neuron %d: %g", t, b, i, fresh[i]);
                fired += fresh[i] >= 0.1;
            }
            memcpy(h[b], fresh, sizeof fresh);
        }
    ck_assert(fired > 10 && fired < OUTPUTS - 10);
    close_network(&m);
}
END_TEST

START_TEST(no_cuts) {
    static const char *const models[] = {"[flatten, linear: 4, psn]", "[flatten, linear: 4, masked_psn: 2]"};
    struct made_network m;
    open_network(models[_i], false, &m);
    struct snn_network_plan plan = {.T = STEPS, .B = 2, .cut = 3};
    ck_error(snn_network_allocate(&m.net, &plan), SNN_EUSAGE,
             "needs all 7 steps at once, and they pass in cuts of 3 (train.rule)");
    close_network(&m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("composed");
    TCase *t = tcase_create("composed");
    tcase_add_loop_test(t, by_equation, 0, 3);
    tcase_add_test(t, initial_halves);
    tcase_add_loop_test(t, one_function, 0, 2);
    tcase_add_test(t, ends_are_ends);
    tcase_add_loop_test(t, no_cuts, 0, 2);
    tcase_add_loop_test(t, lstm_by_equation, 0, 3);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
