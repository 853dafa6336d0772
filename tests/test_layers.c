/* SPDX-License-Identifier: Apache-2.0
 * test_layers.c - layers by their keys: what is refused, and what a layer gives by hand. */
#include <math.h>

#include "net_rig.h"

/* ---- refusals ---- */

static int build(const char *model, int32_t steps, struct snn_conf_doc **doc, struct snn_model *out) {
    struct snn_model_input input = {.C = 6, .H = 4, .W = 5, .is_sparse = true, .steps = steps};
    char text[1024];
    snprintf(text, sizeof text, "model: %s\n", model);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", doc));
    return snn_model_build(snn_conf_at(*doc, "model"), &input, 0, out);
}

static const struct {
    const char *model, *why;
} refused[] = {
    {"[bntt: {steps: 3}, lif]", "model.0.bntt: steps: 3, but recordings have 4 (data.timesteps)"},
    {"[tebn: {steps: 1}, lif]", "model.0.tebn: steps: 1, but recordings have 4"},
    {"[bntt: {steps: 0}, lif]", "model.0.bntt.steps: expected an integer of 1..65536"},
    {"[batchnorm: {affine: scale}, lif]", "expected one of true, false, weight, got 'scale'"},
    {"[tdbn: {alpha: -1}, lif]", "model.0.tdbn.alpha: expected a number of 0..1000000"},
    {"[groupnorm: 4, lif]", "model.0.groupnorm: groups: 6 channels do not divide into 4"},
    {"[groupnorm, lif]", "model.0.groupnorm: key 'groups' is missing"},
    {"[flatten, groupnorm: 120, lif]", "groups: 120 of one unit each"},
    {"[flatten, instancenorm, lif]", "needs several places a channel, got (120)"},
    {"[rmsnorm: {eps: 0}, lif]", "model.0.rmsnorm.eps: expected a number of 1e-12..1"},
    {"[scale: {by: channel}, lif]", "model.0.scale: by: channel is for learned factors (learn: true)"},
    {"[scale: {by: step, learn: true, steps: 2}, lif]", "steps: 2, but recordings have 4"},
    {"[scale: x, lif]", "model.0.scale.value: expected a number"},
    {"[adaptiveavgpool: 0, lif]", "model.0.adaptiveavgpool.out: expected"},
    {"[flatten, avgpool: 2, lif]", "needs an input (C,H,W) or (C,L), got (120)"},
    {"[reshape: [6, 20], sumpool: [2, 1], lif]", "(6,20) has one axis: give one number"},
    {"[reshape: [6, 20], adaptiveavgpool: [2, 1], lif]", "(6,20) has one axis: give one number"},
    {"[flatten, globalpool, lif]", "needs an input of channels and places, got (120)"},
    {"[globalpool: median, lif]", "expected one of avg, max, sum, got 'median'"},
    {"[lif, voting: 5]", "needs a flat input, got (6,4,5)"},
    {"[flatten, lif, voting: 7]", "size: 120 units do not divide into groups of 7"},
    {"[flatten, dropout: {channels: true}, lif]", "channels: true needs channels of several places, got (120)"},
    {"[dropout: {time_shared: 2}, lif]", "model.0.dropout.time_shared: expected true or false"},
    {"[residual: {body: [lif], join: or}, lif]", "expected one of add, and, iand, got 'or'"},
    {"[concat: [[lif]], lif]", "model.0.concat.branches: expected a list of at least two lists of layers"},
    {"[concat: lif, lif]", "expected a list of at least two lists"},
    {"[concat: [[], [avgpool: 2]], lif]",
     "model.0.concat.branches.1: this branch gives (6,2,2), those before it (6,4,5): only channels may differ"},
    {"[concat: [[flatten], []], lif]", "this branch gives (6,4,5), those before it (120)"},
    {"[pad_channels: 5, lif]", "model.0.pad_channels: to: 5 are fewer than the 6 there are"},
    {"[temporal_attention, lif]", "model.0.temporal_attention: reduction: 16 is more than the 4 steps"},
    {"[temporal_attention: {reduction: 1, steps: 2}, lif]", "steps: 2, but recordings have 4"},
    {"[attention: {body: [conv: {out: 9, kernel: 1}, lif], heads: 2}, lif]",
     "heads: the body gives (9,4,5), whose 9 channels do not divide into 2"},
    {"[attention: {heads: 2}, lif]", "key 'body' is missing"},
    {"[hardtanh: {low: 1}, lif]", "model.0.hardtanh: low: 1 must be below high: 1"},
    {"[relu: 3, lif]", "relu takes no value"},
    {"[slstm: 5]", "model.0.slstm: needs a flat input, got (6,4,5): put `- flatten` before it"},
    {"[flatten, slstm]", "model.1.slstm: key 'out' is missing"},
    {"[flatten, slstm: {out: 5, reset: value}]", "expected one of none, subtract, zero, got 'value'"},
    {"[flatten, slstm: 0]", "model.1.slstm.out: expected an integer of 1..1048576"},
    {"[psn: {steps: 3}]", "model.0.psn: steps: 3, but recordings have 4 (data.timesteps)"},
    {"[psn: {steps: 5000}]", "model.0.psn: its weights are steps x steps: expected at most 4096 steps, got 5000"},
    {"[psn: {spikes: twice}]", "expected one of once, several, signed, got 'twice'"},
    {"[psn: {spacing: 0}]", "model.0.psn.spacing: expected a number of 1e-06..1000000"},
    {"[masked_psn: {lambda: 0.5}]", "model.0.masked_psn: key 'k' is missing"},
    {"[masked_psn: 5]", "model.0.masked_psn.k: expected at most the 4 steps, got 5"},
    {"[masked_psn: {k: 2, lambda: 1.5}]", "model.0.masked_psn.lambda: expected a number of 0..1"},
    {"[sliding_psn: 256]", "model.0.sliding_psn.k: expected an integer of 1..255"},
    {"[sliding_psn: {k: 2, init: half}]", "expected an initialisation, got 'half'"},
    {"[sliding_psn: {k: 2, surrogate: at}]", "model.0.sliding_psn.surrogate: expected a surrogate, got 'at'"},
};

START_TEST(refusals) {
    struct snn_conf_doc *doc;
    struct snn_model model;
    ck_error(build(refused[_i].model, 4, &doc, &model), SNN_EUSAGE, refused[_i].why);
    snn_conf_free(&doc);
}
END_TEST

/* Where recordings differ in length nobody knows how many steps a layer needs. */
START_TEST(steps_unknown) {
    static const char *const models[] = {"[bntt, lif]", "[tebn, lif]", "[scale: {by: step, learn: true}, lif]", "[psn]",
                                         "[masked_psn: 2]"};
    for (size_t i = 0; i < sizeof models / sizeof *models; ++i) {
        struct snn_conf_doc *doc;
        struct snn_model model;
        ck_error(build(models[i], 0, &doc, &model), SNN_EUSAGE, "give the most as `steps: N`");
        snn_conf_free(&doc);
    }
}
END_TEST

/* A batch of more steps than there are parameters is found when memory is planned. */
START_TEST(too_many_steps) {
    struct made_network m;
    open_network("[flatten, linear: 4, bntt, lif]", false, &m);
    struct snn_network_plan plan = {.T = STEPS + 1, .B = 2, .cut = 3};
    ck_error(snn_network_allocate(&m.net, &plan), SNN_EUSAGE,
             "model.2.bntt has numbers for 7 steps, but recordings have up to 8: give it `steps: 8`");
    close_network(&m);
}
END_TEST

/* ---- one against another ---- */

struct result {
    real output[STEPS * SAMPLES * CLASSES];
};

static void take_memory(struct snn_network *n) {
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true, .slice = SAMPLES};
    ck_ok(snn_network_allocate(n, &plan));
    snn_params_init(&n->model.params, 21, n->model.params.value);
}

/* Weights of linear layers and convolutions, in their order: which random numbers they get depends on what is before
 * them. */
static void hand_over(const struct snn_params *from, struct snn_params *to) {
    for (int i = 0, j = 0;; ++i, ++j) {
        while (i < from->count && !strstr(from->list[i]->name, "linear") && !strstr(from->list[i]->name, "conv")) ++i;
        while (j < to->count && !strstr(to->list[j]->name, "linear") && !strstr(to->list[j]->name, "conv")) ++j;
        ck_assert_int_eq(i < from->count, j < to->count);
        if (i == from->count) return;
        ck_assert_int_eq(from->list[i]->count, to->list[j]->count);
        memcpy(to->list[j]->value, from->list[i]->value, (size_t)from->list[i]->count * sizeof(real));
    }
}

static void pass(struct made_network *m, const struct snn_batch *batch, bool train, struct result *out) {
    struct snn_network *n = &m->net;
    snn_network_set_step(n, 3, 4, 1.0 / SAMPLES);
    struct snn_cut cut = {.batch = batch, .T = STEPS, .train = train};
    snn_network_forward(n, &cut);
    memcpy(out->output, n->model.tape.output->data, sizeof out->output);
}

static double farthest(const real *a, const real *b, int n) {
    double worst = 0;
    for (int i = 0; i < n; ++i) worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

/* Two descriptions of the same function, in training and, with the running statistics that it left, in evaluation. */
static const struct {
    const char *a, *b;
} same[] = {
    /* before anything was learned, the same parameters at every step */
    {"[flatten, linear: 9, bntt, lif, linear: 4]", "[flatten, linear: 9, batchnorm, lif, linear: 4]"},
    {"[flatten, linear: 9, tebn, lif, linear: 4]", "[flatten, linear: 9, batchnorm: {over: joint}, lif, linear: 4]"},
    {"[flatten, linear: 9, tdbn: {alpha: 0.5, threshold: 1.4}, lif, linear: 4]",
     "[flatten, linear: 9, batchnorm: {over: joint, affine: false}, scale: 0.7, lif, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, batchnorm: {affine: false}, lif, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, batchnorm, lif, flatten, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, groupnorm: 4, lif, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, instancenorm, lif, flatten, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, groupnorm: 1, lif, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, layernorm, lif, flatten, linear: 4]"},
    {"[flatten, linear: 9, scale: {value: 0.6, learn: true, by: step}, lif, linear: 4]",
     "[flatten, linear: 9, scale: 0.6, lif, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, lif, globalpool, linear: 4]",
     "[conv: {out: 4, kernel: 3}, lif, avgpool: 4, flatten, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, globalpool: max, lif, linear: 4]",
     "[conv: {out: 4, kernel: 3}, maxpool: 4, flatten, lif, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, lif, globalpool: sum, linear: 4]",
     "[conv: {out: 4, kernel: 3}, lif, sumpool: 4, flatten, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, lif, adaptiveavgpool: 2, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, lif, avgpool: 2, flatten, linear: 4]"},
    {"[conv: {out: 4, kernel: 3}, lif, sumpool: 2, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, lif, avgpool: 2, scale: 4, flatten, linear: 4]"},
    {"[flatten, linear: 8, lif, voting: {size: 2, of: sum}]", "[flatten, linear: 8, lif, voting: 2, scale: 2]"},
    {"[flatten, linear: 8, lif, voting: 2]", "[flatten, linear: 8, lif, reshape: [1, 8], avgpool: 2, flatten]"},
    {"[conv: {out: 4, kernel: 3}, lif, concat: [[], []], pad_channels: 8, flatten, linear: 4]",
     "[conv: {out: 4, kernel: 3}, lif, concat: [[scale: 1], [scale: 1]], flatten, linear: 4]"},
    {"[flatten, linear: 9, relu, lif, linear: 4]",
     "[flatten, linear: 9, hardtanh: {low: 0, high: 1e6}, lif, linear: 4]"},
};

START_TEST(one_function) {
    for (int variant = 0; variant < 4; ++variant) {
        struct made_network m[2];
        struct made_batch made;
        struct result r[2][2];
        bool still = variant & 1, masked = variant & 2;
        if (still && masked) continue; /* a static input has no steps that could be missing; what differs by step has */
        make_batch(STEPS, still, masked, &made);
        for (int k = 0; k < 2; ++k) {
            open_network(k ? same[_i].b : same[_i].a, still, &m[k]);
            take_memory(&m[k].net);
        }
        hand_over(&m[0].net.model.params, &m[1].net.model.params);
        for (int k = 0; k < 2; ++k) {
            pass(&m[k], &made.batch, true, &r[k][0]);
            pass(&m[k], &made.batch, false, &r[k][1]);
        }
        ck_assert(farthest(r[0][0].output, r[0][0].output + 1, STEPS * SAMPLES * CLASSES - 1) > 0.01);
        bool one_statistic = strstr(same[_i].a, "bntt") != NULL; /* the other one's is of all steps */
        for (int k = 0; k < 2 - one_statistic; ++k)
            ck_assert_msg(farthest(r[0][k].output, r[1][k].output, STEPS * SAMPLES * CLASSES) < 2e-5, "%s: %s",
                          same[_i].a, k ? "evaluation" : "training");
        close_network(&m[0]), close_network(&m[1]);
    }
}
END_TEST

/* Statistics of a step are those of that step: after one batch with momentum 1 evaluation repeats training. */
START_TEST(statistics_of_steps) {
    struct made_network m;
    struct made_batch made;
    struct result trained, evaluated;
    open_network("[flatten, linear: 9, bntt: {momentum: 1}, li, linear: 4]", false, &m);
    make_batch(STEPS, false, false, &made);
    take_memory(&m.net);
    pass(&m, &made.batch, true, &trained);
    pass(&m, &made.batch, false, &evaluated);
    /* the running variance is the unbiased one */
    ck_assert(farthest(trained.output, evaluated.output, STEPS * SAMPLES * CLASSES) < 0.8);
    const struct snn_param *mean = snn_params_find(&m.net.model.params, "model.2.bntt.running_mean");
    ck_assert_int_eq(mean->dim[0], STEPS);
    ck_assert_int_eq(mean->dim[1], 9);
    for (int t = 1; t < STEPS; ++t) ck_assert(farthest(mean->value, mean->value + 9 * t, 9) > 1e-3);
    close_network(&m);
}
END_TEST

/* What dropout leaves of a constant: where it is 0, step by step. */
START_TEST(dropout_masks) {
    static const char *const keys[] = {"", ", time_shared: false", ", channels: true",
                                       ", channels: true, time_shared: false"};
    for (int k = 0; k < 4; ++k) {
        bool by_step = k & 1, by_channel = k & 2;
        struct made_network m;
        struct made_batch made;
        struct result r;
        char model[300];
        snprintf(model, sizeof model,
                 "[conv: {out: 12, kernel: 1, bias: false, init: {name: constant, value: 1}}, hardtanh: {low: 0.5}, "
                 "dropout: {p: 0.4%s}, if: {threshold: 0.1}, flatten, linear: 4]",
                 keys[k]);
        open_network(model, true, &m);
        make_batch(STEPS, true, false, &made);
        take_memory(&m.net);
        pass(&m, &made.batch, true, &r);
        const struct snn_node *spikes = NULL; /* each number that is left makes its neuron fire at once */
        for (int i = 0; i < m.net.model.tape.nodes; ++i)
            if (m.net.model.tape.node[i]->out->is_spikes) spikes = m.net.model.tape.node[i];
        ck_assert_ptr_nonnull(spikes);
        int kept = 0, moves = 0, splits = 0, words = spikes->out->words;
        for (int row = 0; row < STEPS * SAMPLES; ++row)
            for (int u = 0; u < 12 * 36; ++u) {
                const uint64_t *bits = spikes->out->bits;
#define BIT(row, u) (bits[(row)*words + (u) / 64] >> ((u) % 64) & 1)
                kept += BIT(row, u);
                if (row >= SAMPLES) moves += BIT(row, u) != BIT(row - SAMPLES, u);
                if (u % 36) splits += BIT(row, u) != BIT(row, u - 1);
            }
        ck_assert(fabs(kept / (STEPS * SAMPLES * 12 * 36.0) - 0.6) < (by_channel ? 0.15 : 0.03));
        ck_assert_int_eq(moves > 0, by_step);
        ck_assert_int_eq(splits > 0, !by_channel);
        close_network(&m);
    }
}
END_TEST

/* ---- by hand ---- */

/* A network after a pass in training; its batch is that of make_batch. */
static void passed(const char *model, struct made_network *m) {
    struct made_batch made;
    struct result r;
    open_network(model, false, m);
    make_batch(STEPS, false, false, &made);
    take_memory(&m->net);
    pass(m, &made.batch, true, &r);
}

static const struct snn_node *find_op(const struct made_network *m, const char *op, int which) {
    for (int i = 0; i < m->net.model.tape.nodes; ++i)
        if (!strcmp(m->net.model.tape.node[i]->op->name, op) && which-- == 0) return m->net.model.tape.node[i];
    ck_abort_msg("there is no %s", op);
}

START_TEST(joins) {
    static const char *const names[] = {"and", "iand"};
    for (int k = 0; k < 2; ++k) {
        struct made_network m;
        char model[200];
        int ones = 0;
        snprintf(model, sizeof model,
                 "[flatten, residual: {join: %s, body: [linear: 4, lif: {threshold: 0.2}], shortcut: [linear: 4, lif: "
                 "{threshold: 0.2}]}]",
                 names[k]);
        passed(model, &m);
        const struct snn_node *join = find_op(&m, "join", 0);
        for (int i = 0; i < STEPS * SAMPLES * CLASSES; ++i) {
            bool body = join->in[0]->data[i] != 0, shortcut = join->in[1]->data[i] != 0;
            ck_assert(join->out->data[i] == (real)((k ? !body : body) && shortcut));
            ones += join->out->data[i] != 0;
        }
        ck_assert_int_gt(ones, 0);
        close_network(&m);
    }
}
END_TEST

START_TEST(branches) {
    struct made_network m;
    passed("[flatten, concat: [[linear: 1], [linear: 3]]]", &m);
    const struct snn_tensor *y = m.net.model.tape.output;
    ck_assert_int_eq(y->units, 4);
    for (int r = 0; r < STEPS * SAMPLES; ++r) {
        ck_assert(y->data[r * 4] == find_op(&m, "linear", 0)->out->data[r]);
        ck_assert(!memcmp(y->data + r * 4 + 1, find_op(&m, "linear", 1)->out->data + r * 3, 3 * sizeof(real)));
    }
    close_network(&m);
    for (int channels = 2; channels <= 3; ++channels) { /* one of two new ones comes first, none of one */
        char model[100];
        snprintf(model, sizeof model, "[flatten, linear: %d, pad_channels: 4]", channels);
        passed(model, &m);
        const struct snn_tensor *from = find_op(&m, "linear", 0)->out, *to = m.net.model.tape.output;
        int first = channels == 2;
        for (int r = 0; r < STEPS * SAMPLES; ++r)
            for (int u = 0; u < 4; ++u)
                ck_assert(to->data[r * 4 + u] ==
                          (u >= first && u < first + channels ? from->data[r * channels + u - first] : 0));
        close_network(&m);
    }
}
END_TEST

/* Y[c,i] = scale sum_j (sum_e Q[e,i] K[e,j]) V[c,j], e over the channels of the head that c belongs to: by the smaller
 * inner product, whichever that is. */
START_TEST(self_attention) {
    static const struct {
        const char *model;
        int C, heads, N;
    } cases[] = {
        {"[attention: {body: [conv: {out: 4, kernel: 1}], heads: 2, scale: 0.3}, flatten, linear: 4]", 4, 2, 36},
        {"[avgpool: 3, attention: {body: [conv: {out: 6, kernel: 1}], heads: 1, scale: 0.3}, flatten, linear: 4]", 6, 1,
         4},
        {"[flatten, attention: {body: [linear: 9], heads: 3, scale: 0.3}, linear: 4]", 9, 3, 1},
    };
    for (int i = 0; i < 3; ++i) {
        struct made_network m;
        int C = cases[i].C, N = cases[i].N, d = C / cases[i].heads;
        passed(cases[i].model, &m);
        const char *op = i < 2 ? "conv" : "linear";
        const real *q = find_op(&m, op, 0)->out->data, *k = find_op(&m, op, 1)->out->data,
                   *v = find_op(&m, op, 2)->out->data, *y = find_op(&m, "product", 1)->out->data;
        double largest = 0, worst = 0;
        for (int r = 0; r < STEPS * SAMPLES; ++r)
            for (int c = 0; c < C; ++c)
                for (int p = 0; p < N; ++p) {
                    double sum = 0;
                    for (int j = 0; j < N; ++j) {
                        double share = 0;
                        for (int e = c / d * d; e < (c / d + 1) * d; ++e)
                            share += (double)q[(r * C + e) * N + p] * (double)k[(r * C + e) * N + j];
                        sum += 0.3 * share * (double)v[(r * C + c) * N + j];
                    }
                    largest = fmax(largest, fabs(sum));
                    worst = fmax(worst, fabs(sum - (double)y[(r * C + c) * N + p]));
                }
        ck_assert_msg(largest > 0.01 && worst < 1e-5 * largest, "%s: %g off, largest %g", cases[i].model, worst,
                      largest);
        close_network(&m);
    }
}
END_TEST

/* What looks at all steps cannot work on some of them; what was never there does not change what was. */
START_TEST(attention_to_steps) {
    struct made_network m;
    struct made_batch made;
    struct result longer;
    open_network("[flatten, linear: 9, temporal_attention: {reduction: 2, steps: 11}, lif, linear: 4]", false, &m);
    ck_error(snn_network_allocate(&m.net, &(struct snn_network_plan){.T = STEPS, .B = 2, .cut = 3}), SNN_EUSAGE,
             "model.2.temporal_attention needs all 7 steps at once, and they pass in cuts of 3");
    make_batch(STEPS, false, true, &made);
    take_memory(&m.net);
    pass(&m, &made.batch, true, &longer);
    /* sample 4 has three steps: alone, without the padding, it is the same */
    const int32_t b = 4, T = STEPS - 4;
    int32_t row[STEPS + 1], length = T, entries = 0;
    float value[STEPS * UNITS];
    int32_t index[STEPS * UNITS];
    for (int32_t t = 0; t < T; ++t) {
        row[t] = entries;
        for (int32_t e = made.row[t * SAMPLES + b]; e < made.row[t * SAMPLES + b + 1]; ++e, ++entries)
            index[entries] = made.index[e], value[entries] = made.value[e];
    }
    row[T] = entries;
    struct snn_batch one = made.batch;
    one.T = T, one.B = 1, one.row = row, one.index = index, one.value = value, one.length = &length, one.masked = false;
    one.label += b, one.sample += b;
    snn_network_set_step(&m.net, 3, 4, 1);
    snn_network_forward(&m.net, &(struct snn_cut){.batch = &one, .T = T, .train = true});
    double worst = 0;
    for (int32_t t = 0; t < T; ++t)
        worst = fmax(worst, farthest(longer.output + (t * SAMPLES + b) * CLASSES,
                                     m.net.model.tape.output->data + t * CLASSES, CLASSES));
    ck_assert_msg(worst < 1e-6, "padding changes %g", worst);
    close_network(&m);
}
END_TEST

#define LOOP(test, list) tcase_add_loop_test(t, test, 0, sizeof list / sizeof *list)

int main(void) {
    Suite *suite = suite_create("layers");
    TCase *t = tcase_create("layers");
    LOOP(refusals, refused);
    tcase_add_test(t, steps_unknown);
    tcase_add_test(t, too_many_steps);
    LOOP(one_function, same);
    tcase_add_test(t, statistics_of_steps);
    tcase_add_test(t, dropout_masks);
    tcase_add_test(t, joins);
    tcase_add_test(t, branches);
    tcase_add_test(t, self_attention);
    tcase_add_test(t, attention_to_steps);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
