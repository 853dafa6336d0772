/* SPDX-License-Identifier: Apache-2.0
 * test_rules.c - what learning rules have in common, in double: where two must give the same gradients, they do; and
 * traces, late errors and local errors against the rules' own formulas, written out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rule_rig.h"

#define SAME 1e-11 /* orders of addition differ */

static struct made_batch made;

static const char *const networks[] = {
    "[flatten, linear: 30, lif: {tau: 4, decay_input: false, reset: subtract, detach_reset: true, threshold: 0.5}, "
    "linear: 20, lif: {tau: 2, threshold: 0.1}, linear: 4]",
    "[conv: {out: 4, kernel: 3, padding: 1, bias: false}, batchnorm: {over: step}, lif: {tau: 3, threshold: 0.3}, "
    "maxpool: 2, conv: "
    "{out: 5, kernel: 3, weight: standardised}, plif: {threshold: 0.2}, flatten, dropout: 0.3, linear: 4, li: {tau: "
    "4}]",
    "[conv: {out: 4, kernel: 3, padding: 1}, lif: {threshold: 0.4}, residual: {body: [conv: {out: 4, kernel: 3, "
    "padding: 1}, lif: {threshold: 0.2}]}, avgpool: 2, flatten, linear: {out: 12, weight: norm}, lif: {recurrent: "
    "true, threshold: 0.1}, linear: 4]",
    "[flatten, linear: 24, adlif: {threshold: 0.3}, layernorm, linear: 16, cuba: {threshold: 0.3}, linear: 4]",
};
enum { NETWORKS = sizeof networks / sizeof *networks };

/* Gradients of one batch under two rules; the first T steps. `factor` times those of `a` must be those of `b`. */
static void expect_same(const char *model, bool still, int32_t T, const char *a, const char *b, double factor,
                        const char *part) {
    struct ruled r[2];
    const char *rules[] = {a, b};
    make_batch(T, still, false, &made);
    for (int i = 0; i < 2; ++i) {
        open_ruled("cpu", model, rules[i], still, T, &r[i]);
        pass_ruled(&r[i], &made.batch, 1.0 / SAMPLES);
    }
    double off = apart(&r[0], &r[1], factor, part);
    ck_assert_msg(off <= SAME, "%s and %s, T %d, %s%s: %g apart", a, b, (int)T, model, still ? " (still)" : "", off);
    for (int i = 0; i < 2; ++i) close_ruled(&r[i]);
}

static void expect_different(const char *model, bool still, const char *a, const char *b, const char *part) {
    struct ruled r[2];
    const char *rules[] = {a, b};
    make_batch(STEPS, still, false, &made);
    for (int i = 0; i < 2; ++i) {
        open_ruled("cpu", model, rules[i], still, STEPS, &r[i]);
        pass_ruled(&r[i], &made.batch, 1.0 / SAMPLES);
    }
    double off = apart(&r[0], &r[1], 1, part);
    ck_assert_msg(off > 1e-3, "%s and %s give the same: %g apart, %s", a, b, off, model);
    for (int i = 0; i < 2; ++i) close_ruled(&r[i]);
}

/* ---- equalities ---- */

START_TEST(one_step) {
    static const char *const rules[] = {"sltt", "{name: sltt_k, k: 1}", "{name: tbptt, k: 1}",
                                        "{name: ottt, trace: 0.7, input_trace: true}",
                                        "{name: stllr, alpha_post: 1.5, lambda_pre: 0.3}"};
    for (size_t k = 0; k < sizeof rules / sizeof *rules; ++k)
        for (int still = 0; still < 2; ++still)
            expect_same(networks[_i], still, 1, "bptt", rules[k], 1, _i == 3 && k == 4 ? "model.1" : "");
}
END_TEST

START_TEST(truncated) {
    expect_same(networks[_i], false, STEPS, "{name: tbptt, k: 7}", "bptt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: tbptt, k: 100}", "bptt", 1, "");
    expect_same(networks[_i], true, STEPS, "{name: tbptt, k: 1}", "sltt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: tbptt, k: 1}", "sltt", 1, "");
    expect_different(networks[_i], false, "{name: tbptt, k: 3}", "sltt", "");
    expect_different(networks[_i], false, "{name: tbptt, k: 3}", "bptt", "");
}
END_TEST

START_TEST(some_steps) {
    expect_same(networks[_i], false, STEPS, "{name: sltt_k, k: 7}", "sltt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: sltt_k, k: 70, divide_by: k}", "sltt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: sltt_k, k: 2}", "{name: sltt_k, k: 2, divide_by: k}", STEPS / 2.0,
                "");
    expect_different(networks[_i], false, "{name: sltt_k, k: 2}", "sltt", "");
}
END_TEST

static void pass_numbered(struct ruled *r, uint32_t number, const bool *given) {
    struct snn_network *n = &r->of.net;
    ck_ok(snn_network_stage(n, &made.batch));
    snn_network_set_step(n, 5, number, 1.0 / SAMPLES);
    snn_network_zero_gradients(n);
    if (given) snn_sltt_k_batch(n, given);
    else r->trainer.ops->batch(&r->trainer, n);
}

/* Two of seven steps learn, as two that are given do: others in each batch, and every one some time. */
START_TEST(drawn_steps) {
    enum { BATCHES = 40 };
    struct ruled drawn, given;
    int times[STEPS] = {0}, same = 0, before = -1;
    make_batch(STEPS, false, false, &made);
    open_ruled("cpu", networks[0], "{name: sltt_k, k: 2}", false, STEPS, &drawn);
    open_ruled("cpu", networks[0], "{name: sltt_k, k: 2}", false, STEPS, &given);
    for (uint32_t number = 0; number < BATCHES; ++number) {
        int found = 0;
        pass_numbered(&drawn, number, NULL);
        for (int pair = 0; pair < STEPS * STEPS; ++pair) {
            bool learns[STEPS] = {false};
            if (pair / STEPS >= pair % STEPS) continue;
            learns[pair / STEPS] = learns[pair % STEPS] = true;
            pass_numbered(&given, number, learns);
            if (apart(&drawn, &given, 1, "") > SAME) continue;
            ++found, ++times[pair / STEPS], ++times[pair % STEPS];
            same += pair == before, before = pair;
        }
        ck_assert_int_eq(found, 1);
    }
    ck_assert_int_lt(same, BATCHES / 4);
    for (int t = 0; t < STEPS; ++t) /* 40 * 2/7 = 11.4 are expected, the deviation is 2.9 */
        ck_assert_msg(times[t] > 2 && times[t] < 21, "step %d learned %d times", t, times[t]);
    close_ruled(&drawn), close_ruled(&given);
}
END_TEST

START_TEST(without_traces) {
    expect_same(networks[_i], false, STEPS, "{name: ottt, trace: 0, input_trace: true}", "sltt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: stllr, lambda_pre: 0, alpha_post: 0}", "sltt", 1, "");
    expect_same(networks[_i], false, STEPS, "{name: stllr, lambda_pre: 0.6, alpha_post: 0}",
                "{name: ottt, trace: 0.6, input_trace: true, readout_trace: false}", 1, "");
    expect_different(networks[_i], false, "{name: ottt, trace: 0.6}", "sltt", "");
    expect_different(networks[_i], false, "{name: stllr, alpha_post: 0.5}", "{name: stllr, alpha_post: 0}", "");
}
END_TEST

/* Soft detached resets, a readout without memory, no norm: the last hidden weights' membrane is a linear filter. */
START_TEST(last_hidden_is_exact) {
    static const char *const nets[] = {
        "[flatten, linear: 30, lif: {tau: 4, decay_input: false, reset: subtract, detach_reset: true}, linear: 20, "
        "lif: {tau: 2.5, decay_input: true, reset: subtract, detach_reset: true}, linear: 4]",
        "[conv: {out: 4, kernel: 3}, lif, avgpool: 2, conv: {out: 6, kernel: 2}, lif: {beta: 0.8, reset: subtract, "
        "detach_reset: true}, flatten, linear: 4]"};
    static const char *const last[] = {"model.3.linear.weight", "model.3.conv.weight"}, *const first[] = {
                                                                                            "model.1.linear.weight",
                                                                                            "model.0.conv.weight"};
    for (int k = 0; k < 2; ++k) {
        expect_same(nets[k], false, STEPS, "ottt", "bptt", 1, last[k]);
        expect_different(nets[k], false, "ottt", "bptt", first[k]);
    }
}
END_TEST

/* A batch in two parts, with the same scale: also where samples are masked, and dropped out. */
START_TEST(parts_add_up) {
    static const char *const rules[] = {
        "bptt", "{name: tbptt, k: 3}", "sltt", "ottt", "stllr", "tess", "{name: stllr, signal: dfa, last: 3}"};
    static const char model[] =
        "[conv: {out: 4, kernel: 3, padding: 1}, lif: {tau: 3}, maxpool: 2, dropout: 0.3, conv: "
        "{out: 5, kernel: 3}, lif, flatten, linear: 4]";
    for (size_t k = 0; k < sizeof rules / sizeof *rules; ++k) {
        struct ruled whole, parts, sliced;
        make_batch(STEPS, false, true, &made);
        open_ruled("cpu", model, rules[k], false, STEPS, &whole);
        open_ruled("cpu", model, rules[k], false, STEPS, &parts);
        ck_ok(build_ruled("cpu", model, rules[k], NULL, false, &sliced));
        plan_ruled(&sliced, STEPS, 2);
        pass_ruled(&whole, &made.batch, 0.25);
        pass_ruled(&sliced, &made.batch, 0.25);
        for (int part = 0; part < 2; ++part) {
            static struct made_batch half;
            half = made;
            const int32_t from = part ? 2 : 0, B = part ? SAMPLES - 2 : 2;
            int32_t entries = 0;
            for (int32_t t = 0; t < STEPS; ++t)
                for (int32_t b = 0; b < B; ++b) {
                    const int32_t *at = made.row + t * SAMPLES + from + b;
                    half.row[t * B + b] = entries;
                    for (int32_t e = at[0]; e < at[1]; ++e, ++entries)
                        half.index[entries] = made.index[e], half.value[entries] = made.value[e];
                }
            half.row[STEPS * B] = entries;
            half.batch.B = B, half.batch.row = half.row, half.batch.index = half.index, half.batch.value = half.value;
            half.batch.label = made.label + from, half.batch.length = made.length + from;
            half.batch.sample = made.sample + from;
            pass_ruled(&parts, &half.batch, 0.25);
        }
        double off = apart(&whole, &parts, 1, ""), in_slices = apart(&whole, &sliced, 1, "");
        ck_assert_msg(off <= SAME, "%s: %g apart", rules[k], off);
        ck_assert_msg(in_slices <= SAME, "%s: %g apart in slices", rules[k], in_slices);
        close_ruled(&whole), close_ruled(&parts), close_ruled(&sliced);
    }
}
END_TEST

/* ---- two steps by hand ---- */

/* One sample, two inputs, two neurons: everything S-TLLR and TESS do fits on a page. */
START_TEST(by_hand) {
    enum { IN = 72 };
    static const char model[] = "[flatten, linear: {out: 2, bias: true}, lif: {beta: 0.5, decay_input: false, "
                                "threshold: 1, reset: subtract, detach_reset: true, surrogate: {name: esser, gamma: "
                                "0.3, threshold: 1}}, linear: {out: 4, bias: false}]";
    static const char *const rules[] = {
        "{name: stllr, lambda_pre: 0.25, lambda_post: 0.5, alpha_pre: 2, alpha_post: -3}",
        "{name: tess, lambda_pre: 0.25, lambda_post: 0.5, alpha_pre: 2, alpha_post: -3, readout_trace: 0.75}"};
    static const double w3[2] = {0.5, 0.75}, w5[2] = {0.25, -0.125}, bias[2] = {0.125, 0.375};
    for (int k = 0; k < 2; ++k) {
        struct ruled r;
        make_batch(2, false, false, &made);
        /* input 3 at step 0; input 3 twice and input 5 at step 1 */
        static int32_t row[] = {0, 1, 3}, index[] = {3, 3, 5};
        static float value[] = {1, 2, 1};
        struct snn_batch batch = made.batch;
        batch.B = 1, batch.row = row, batch.index = index, batch.value = value;
        open_ruled("cpu", model, rules[k], false, 2, &r);
        struct snn_params *p = &r.of.net.model.params;
        real *w = p->list[0]->value, *v = p->list[2]->value;
        for (int i = 0; i < 2 * IN; ++i) w[i] = 0;
        for (int n = 0; n < 2; ++n) w[n * IN + 3] = (real)w3[n], w[n * IN + 5] = (real)w5[n];
        for (int n = 0; n < 2; ++n) p->list[1]->value[n] = (real)bias[n];
        for (int c = 0; c < 4; ++c) v[2 * c] = (real)(0.5 - 0.25 * c), v[2 * c + 1] = (real)(0.375 * c - 0.5);
        pass_ruled(&r, &batch, 1);

        double u[2] = {0}, s[2] = {0}, h[2] = {0}, a[2] = {0}, q3 = 0, q5 = 0;
        double g3[2] = {0}, g5[2] = {0}, gb[2] = {0}, gv[8] = {0};
        for (int t = 0; t < 2; ++t) {
            const double x3 = t ? 2 : 1, x5 = t ? 1 : 0;
            double psi[2], m[2] = {0}, z[4], local[4], sum = 0, local_sum = 0;
            q3 = 0.25 * q3 + x3, q5 = 0.25 * q5 + x5;
            for (int n = 0; n < 2; ++n) {
                u[n] = 0.5 * (u[n] - s[n]) + w3[n] * x3 + w5[n] * x5 + bias[n];
                s[n] = u[n] >= 1, psi[n] = 0.3 * fmax(0, 1 - fabs(u[n] - 1)), a[n] = 0.75 * a[n] + s[n];
            }
            for (int c = 0; c < 4; ++c) { /* B has a 0 for neuron 0, and +-1/2 for neuron 1 */
                z[c] = (double)v[2 * c] * s[0] + (double)v[2 * c + 1] * s[1], sum += exp(z[c]);
                local[c] = copysign(0.5, sin(50 + 154.0 * c)) * s[1], local_sum += exp(local[c]);
            }
            for (int c = 0; c < 4; ++c) { /* the loss is the mean over two steps */
                const double y = c == made.label[0], error = (exp(z[c]) / sum - y) / 2;
                for (int n = 0; n < 2; ++n) gv[2 * c + n] += error * (k ? a[n] : s[n]);
                for (int n = 0; n < 2 && !k; ++n) m[n] += (double)v[2 * c + n] * error;
                if (k) m[1] += copysign(0.5, sin(50 + 154.0 * c)) * (exp(local[c]) / local_sum - y) / 2;
            }
            for (int n = 0; n < 2; ++n) {
                g3[n] += 2 * m[n] * psi[n] * q3 - 3 * m[n] * h[n] * x3;
                g5[n] += 2 * m[n] * psi[n] * q5 - 3 * m[n] * h[n] * x5;
                gb[n] += m[n] * psi[n];
                h[n] = 0.5 * h[n] + psi[n];
            }
        }
        const real *gw = p->list[0]->grad;
        for (int n = 0; n < 2; ++n) {
            ck_assert_double_eq_tol((double)gw[n * IN + 3], g3[n], 1e-14);
            ck_assert_double_eq_tol((double)gw[n * IN + 5], g5[n], 1e-14);
            ck_assert((double)gw[n * IN] == 0);
            ck_assert_double_eq_tol((double)p->list[1]->grad[n], gb[n], 1e-14);
        }
        for (int c = 0; c < 8; ++c) ck_assert_double_eq_tol((double)p->list[2]->grad[c], gv[c], 1e-14);
        ck_assert(fabs(g3[1]) > 1e-3 && fabs(g5[1]) > 1e-3 && (k || fabs(g3[0]) > 1e-3));
        close_ruled(&r);
    }
}
END_TEST

/* CE(softmax(B pool(a))) of one sample; a (2,6,6) */
static double local_loss(const double *a, const double *B, int label) {
    double z[4] = {0}, sum = 0;
    for (int c = 0; c < 4; ++c) {
        for (int j = 0; j < 8; ++j) {
            double pooled = 0;
            for (int i = 0; i < 9; ++i) pooled += a[j / 4 * 36 + (j / 2 % 2 * 3 + i / 3) * 6 + j % 2 * 3 + i % 3] / 9;
            z[c] += B[c * 8 + j] * pooled;
        }
        sum += exp(z[c]);
    }
    return log(sum) - z[label];
}

/* Two channels pooled to 2 x 2: the local signal by differences, through a psi of 1. */
START_TEST(local_signal) {
    static const char model[] = "[conv: {out: 2, kernel: 1, bias: true}, if: {threshold: 0.4, surrogate: {name: "
                                "straight_through_estimator}}, flatten, linear: 4]";
    struct ruled r;
    double B[32], expected[4] = {0}, eps = 1e-6;
    make_batch(1, false, false, &made);
    open_ruled("cpu", model, "{name: tess, alpha_post: 0, pool: 2}", false, 1, &r);
    pass_ruled(&r, &made.batch, 1);
    struct snn_params *p = &r.of.net.model.params;
    const struct snn_param *readout = p->list[p->count - 1];
    ck_assert(strstr(readout->name, ".readout") && readout->dim[0] == 4 && readout->dim[1] == 8);
    for (int i = 0; i < 32; ++i) {
        const double wave = sin((50 + 462.0 * (i / 8) / 3) * (i % 8));
        B[i] = ((wave > 0) - (wave < 0)) / 8.0;
        ck_assert(i % 8 == 0 || B[i] != 0);
        ck_assert((double)readout->value[i] == B[i]);
    }
    for (int b = 0; b < SAMPLES; ++b) {
        double x[72] = {0}, a[72];
        for (int32_t e = made.row[b]; e < made.row[b + 1]; ++e) x[made.index[e]] = (double)made.value[e];
        const real *w = p->list[0]->value, *bias = p->list[1]->value;
        for (int i = 0; i < 72; ++i)
            a[i] =
                (double)w[i / 36 * 2] * x[i % 36] + (double)w[i / 36 * 2 + 1] * x[36 + i % 36] + (double)bias[i / 36] >=
                0.4;
        for (int i = 0; i < 72; ++i) {
            const double was = a[i];
            a[i] = was + eps;
            double up = local_loss(a, B, made.label[b]);
            a[i] = was - eps;
            const double m = (up - local_loss(a, B, made.label[b])) / (2 * eps);
            a[i] = was;
            for (int c = 0; c < 2; ++c) expected[i / 36 * 2 + c] += m * x[c * 36 + i % 36];
        }
    }
    for (int i = 0; i < 4; ++i) {
        ck_assert(fabs(expected[i]) > 1e-3);
        ck_assert_double_eq_tol((double)p->list[0]->grad[i], expected[i], 1e-8);
    }
    close_ruled(&r);
}
END_TEST

/* ---- weights that change within a sequence ---- */

static void train_once(struct ruled *r, const struct snn_batch *batch, double samples) {
    struct snn_step step = {.seed = 5, .samples = samples, .first = true, .last = true, .rate = {1, NAN}, .clip = NAN};
    ck_ok(snn_step(&r->of.net, &r->trainer, batch, &step));
}

static void give_optimizer(struct ruled *r, struct snn_conf_doc **doc) {
    static const char text[] = "optimizer: {name: sgd, lr: 0.5, momentum: 0.9}\n";
    ck_ok(snn_conf_parse(text, sizeof text - 1, "test.yaml", doc));
    ck_ok(snn_optim_open(snn_conf_at(*doc, "optimizer"), &r->of.net.model.params, &r->of.net.optim));
}

/* Neurons that forget at once: T steps with an update after each are T batches of one step. */
START_TEST(online_is_one_by_one) {
    static const char model[] =
        "[flatten, linear: 30, lif: {beta: 0, decay_input: false, threshold: 0.3}, linear: {out: "
        "12, weight: norm}, lif: {beta: 0, threshold: 0.2}, linear: 4]";
    static const char *const rules[] = {"{name: sltt, update: step}", "{name: tbptt, k: 1, update: chunk}",
                                        "{name: ottt, trace: 0, update: step}",
                                        "{name: stllr, lambda_pre: 0, alpha_post: 0, update: step}"};
    for (size_t turn = 0; turn < 2 * sizeof rules / sizeof *rules; ++turn) {
        struct ruled online, single;
        struct snn_conf_doc *doc[2];
        const size_t k = turn / 2;
        const bool still = turn % 2;
        make_batch(STEPS, still, false, &made);
        ck_ok(build_ruled("cpu", model, rules[k], NULL, still, &online));
        ck_ok(build_ruled("cpu", model, "bptt", NULL, still, &single));
        give_optimizer(&online, &doc[0]), give_optimizer(&single, &doc[1]);
        plan_ruled(&online, STEPS, SAMPLES), plan_ruled(&single, 1, SAMPLES);
        train_once(&online, &made.batch, SAMPLES);
        for (int32_t t = 0; t < STEPS; ++t) {
            struct snn_batch one = made.batch;
            one.T = 1;
            if (!still) one.row += t * SAMPLES;
            train_once(&single, &one, SAMPLES * STEPS); /* whose loss is not divided by T */
        }
        for (int n = 0; n < online.of.net.model.params.count; ++n) {
            const struct snn_param *a = online.of.net.model.params.list[n], *b = single.of.net.model.params.list[n];
            if (a->buffer) continue;
            for (ptrdiff_t j = 0; j < a->count; ++j)
                ck_assert_msg(fabs((double)(a->value[j] - b->value[j])) < 1e-12, "%s: %s[%td] %.17g, one by one %.17g",
                              rules[k], a->name, j, (double)a->value[j], (double)b->value[j]);
        }
        close_ruled(&online), close_ruled(&single);
        snn_conf_free(&doc[0]), snn_conf_free(&doc[1]);
    }
}
END_TEST

/* Every N steps with N >= T is once a sequence; every 3 steps is something else. */
START_TEST(updates) {
    static const char model[] = "[flatten, linear: 30, lif: {tau: 3, threshold: 0.4}, linear: 4]";
    static const char *const form[] = {"{name: %s}", "{name: %s, update: 7}", "{name: %s, update: 3}"},
                             *const names[] = {"sltt", "ottt", "stllr", "tess"};
    for (int k = 0; k < 4; ++k) {
        struct ruled r[3];
        struct snn_conf_doc *doc[3];
        double apart_by[2] = {0, 0};
        make_batch(STEPS, false, false, &made);
        for (int i = 0; i < 3; ++i) {
            char rule[64];
            snprintf(rule, sizeof rule, i ? i == 1 ? form[1] : form[2] : form[0], names[k]);
            ck_ok(build_ruled("cpu", model, rule, NULL, false, &r[i]));
            give_optimizer(&r[i], &doc[i]);
            plan_ruled(&r[i], STEPS, SAMPLES);
            for (int step = 0; step < 3; ++step) train_once(&r[i], &made.batch, SAMPLES);
        }
        const struct snn_params *p = &r[0].of.net.model.params;
        for (int i = 0; i < p->count; ++i)
            for (ptrdiff_t j = 0; j < p->list[i]->count; ++j)
                for (int other = 0; other < 2; ++other)
                    apart_by[other] =
                        fmax(apart_by[other],
                             fabs((double)(p->list[i]->value[j] - r[1 + other].of.net.model.params.list[i]->value[j])));
        ck_assert_msg(apart_by[0] <= 1e-14, "%s: %g apart", names[k], apart_by[0]); /* other cuts, another order */
        ck_assert_msg(apart_by[1] > 1e-6, "%s: an update every 3 steps changes nothing", names[k]);
        for (int i = 0; i < 3; ++i) close_ruled(&r[i]), snn_conf_free(&doc[i]);
    }
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_is_flat) {
    static const char *const flat[] = {
        "sltt",  "{name: sltt_k, k: 3}",       "ottt", "{name: ottt, input_trace: true, update: step}",
        "stllr", "{name: stllr, signal: dfa}", "tess"};
    for (size_t k = 0; k < sizeof flat / sizeof *flat; ++k)
        for (int still = 0; still < 2; ++still) {
            struct ruled r;
            struct snn_arena arena[2];
            ck_ok(build_ruled("cpu", networks[0], flat[k], NULL, still, &r));
            for (int i = 0; i < 2; ++i) {
                const int32_t T = i ? 1000 : 10;
                struct snn_network_plan plan = {
                    .T = T, .B = SAMPLES, .cut = snn_trainer_cut(&r.trainer, T), .slice = SAMPLES, .train = true};
                snn_network_measure(&r.of.net, &plan, &arena[i]);
            }
            ck_assert_msg(arena[1].used == arena[0].used, "%s: %zu bytes for 10 steps, %zu for 1000", flat[k],
                          arena[0].used, arena[1].used);
            close_ruled(&r);
        }
}
END_TEST

/* A block at a time: TESS needs less than S-TLLR for what is on the tape, in a network of many layers. */
START_TEST(local_errors_need_less) {
    static const char model[] = "[flatten, linear: 500, lif, linear: 500, lif, linear: 500, lif, linear: 500, lif, "
                                "linear: 500, lif, linear: 4]";
    struct ruled r[2];
    struct snn_arena arena[2];
    for (int i = 0; i < 2; ++i) {
        ck_ok(build_ruled("cpu", model, i ? "tess" : "stllr", NULL, false, &r[i]));
        r[i].of.device.cache = 1; /* a step at a time */
        struct snn_network_plan plan = {.T = 20, .B = 512, .cut = 1, .slice = 512, .train = true};
        snn_network_measure(&r[i].of.net, &plan, &arena[i]);
        close_ruled(&r[i]);
    }
    ck_assert_msg(2 * arena[1].by_purpose[SNN_MEM_ACTIVATIONS] < arena[0].by_purpose[SNN_MEM_ACTIVATIONS],
                  "activations: %zu bytes under TESS, %zu under S-TLLR", arena[1].by_purpose[SNN_MEM_ACTIVATIONS],
                  arena[0].by_purpose[SNN_MEM_ACTIVATIONS]);
}
END_TEST

/* ---- refusals ---- */

static const struct {
    const char *model, *rule, *loss, *says;
} refused[] = {
    {"[flatten, linear: 8, lif, linear: 4]", "sltt", "{name: ce, over: mean}", "over: step"},
    {"[flatten, linear: 8, lif, linear: 4]", "tbptt", "{name: ce, over: max}", "over: step"},
    {"[flatten, linear: 8, batchnorm: {over: joint}, lif, linear: 4]", "sltt", NULL, "model.2.batchnorm"},
    {"[flatten, linear: 8, tebn, lif, linear: 4]", "sltt", NULL, "at a time (batchnorm: {over: step} works)"},
    {"[flatten, linear: 8, psn, linear: 4]", "ottt", NULL, "model.2.psn"},
    {"[flatten, linear: 8, lif, linear: 4]", "sltt", "[{name: ce, over: step}, {name: upper_bound, bound: 2}]",
     "test.yaml:2:32: loss.1: the rule sltt sees a part of the steps at a time, and a term over activity"},
    {"[flatten, linear: 8, lif, linear: 4]", "tess", "[{name: ce, over: step}, rate_l1]", "leave it out"},
    {"[flatten, linear: 8, temporal_attention: {reduction: 2}, lif, linear: 4]", "tess", NULL, "model.2"},
    {"[flatten, linear: 8, plif, linear: 4]", "ottt", NULL, "trace: 0.5"},
    {"[flatten, linear: 8, lif, delay: {out: 4, kernel: 3}]", "ottt", NULL, "model.3.delay"},
    {"[flatten, linear: 8, slstm: 8, linear: 4]", "stllr", NULL, "model.2.slstm"},
    {"[flatten, linear: 8, ultralif, linear: 4]", "stllr", NULL, "model.2.ultralif"},
    {"[conv: {out: 2, kernel: 3, padding: 1}, residual: {body: [lif, conv: {out: 2, kernel: 3, padding: 1}]}, lif, "
     "flatten, linear: 4]",
     "tess", NULL, "only spikes may"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: stllr, psi: nothing}", NULL, "nothing"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: tess, pool: [1, 2]}", NULL, "one for each block"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: tess, pool: 0}", NULL, "pool"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: ottt, trace: 1.5}", NULL, "trace"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: sltt_k, k: 0}", NULL, "k"},
    {"[flatten, linear: 8, lif, linear: 4]", "{name: stllr, lambda_pre: -1}", NULL, "lambda_pre"},
};

START_TEST(refusals) {
    struct ruled r = {0};
    char text[2048];
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .is_sparse = true, .steps = STEPS};
    ck_ok(snn_device_open("cpu", 1, &r.of.device));
    r.of.net.device = &r.of.device;
    snprintf(text, sizeof text, "model: %s\nloss: %s\nrule: %s\n", refused[_i].model,
             refused[_i].loss ? refused[_i].loss : "{name: ce, over: step}", refused[_i].rule);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &r.of.doc));
    struct snn_conf *rule = snn_conf_at(r.of.doc, "rule"), *loss = snn_conf_at(r.of.doc, "loss");
    ck_ok(snn_loss_read(loss, &r.of.net.loss));
    int rc = snn_trainer_read(rule, &r.trainer);
    if (rc >= 0) {
        snn_trainer_need(&r.trainer, &input);
        rc = snn_model_build(snn_conf_at(r.of.doc, "model"), &input, CLASSES, &r.of.net.model);
    }
    if (rc >= 0) rc = snn_trainer_settle(&r.trainer, &r.of.net, rule, loss);
    ck_assert_msg(rc == SNN_EUSAGE && strstr(snn_error_text(), refused[_i].says), "%s under %s: %d: %s",
                  refused[_i].model, refused[_i].rule, rc, snn_error_text());
    close_ruled(&r);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, one_step, 0, NETWORKS);
    tcase_add_loop_test(t, truncated, 0, NETWORKS);
    tcase_add_loop_test(t, some_steps, 0, NETWORKS);
    tcase_add_test(t, drawn_steps);
    tcase_add_loop_test(t, without_traces, 0, NETWORKS);
    tcase_add_test(t, last_hidden_is_exact);
    tcase_add_test(t, parts_add_up);
    tcase_add_test(t, by_hand);
    tcase_add_test(t, local_signal);
    tcase_add_test(t, online_is_one_by_one);
    tcase_add_test(t, updates);
    tcase_add_test(t, memory_is_flat);
    tcase_add_test(t, local_errors_need_less);
    tcase_add_loop_test(t, refusals, 0, sizeof refused / sizeof *refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
