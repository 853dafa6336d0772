/* SPDX-License-Identifier: Apache-2.0
 * test_loss.c - losses and regularisers as a config names them, class weights, and what time to the first spike is. */
#include <math.h>

#include "autograd/loss.h"
#include "snn_check.h"
#include "train/device.h"
#include "train/experiment.h"

static struct snn_conf_doc *doc;
static struct snn_loss loss;

static int read_loss(const char *yaml) {
    char text[400];
    snprintf(text, sizeof text, "loss: %s\n", yaml);
    snn_conf_free(&doc);
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    return snn_loss_read(snn_conf_at(doc, "loss"), &loss);
}

START_TEST(names_and_aliases) {
    for (const struct snn_loss_listing *l = snn_loss_list; l->name; ++l)
        for (int alias = 0; alias < 2; ++alias) {
            ck_ok(read_loss(alias ? l->alias : l->name));
            ck_assert_ptr_eq(loss.term[0].listing, l);
            ck_assert_str_eq(snn_conf_at(doc, "loss.name")->text, l->name);
            ck_assert(loss.term[0].kind == l->kind && !loss.term[0].weighted);
        }
}
END_TEST

static const struct {
    const char *yaml;
    enum snn_decide decide;
    bool stepwise;
} uses[] = {
    {"ce", SNN_DECIDE_MEAN, false},
    {"{name: ce, over: sum}", SNN_DECIDE_SUM, false},
    {"{name: ce, over: step}", SNN_DECIDE_MEAN, true},
    {"{name: bce, over: last}", SNN_DECIDE_LAST, false},
    {"{name: ce, over: softmax_sum}", SNN_DECIDE_SOFTMAX_SUM, false},
    {"ce_rate", SNN_DECIDE_MEAN, true},
    {"tet", SNN_DECIDE_MEAN, true},
    {"mse_membrane", SNN_DECIDE_MEAN, true},
    {"ce_max_membrane", SNN_DECIDE_MAX, false},
    {"ce_count", SNN_DECIDE_SUM, false},
    {"mse_count", SNN_DECIDE_SUM, false},
    {"ce_temporal", SNN_DECIDE_FIRST_SPIKE, false},
    {"mse_temporal", SNN_DECIDE_FIRST_SPIKE, false},
    {"spike_time", SNN_DECIDE_MEAN, false},
    {"[ce_rate, {name: mse, over: step}]", SNN_DECIDE_MEAN, true},
    {"[ce_rate, mse]", SNN_DECIDE_MEAN, false},
    {"[ce_rate, rate_l1, weight_l2]", SNN_DECIDE_MEAN, true},
    {"[{name: rate_l1, unit: count, per: layer, reduction: sum}, ce_rate]", SNN_DECIDE_MEAN, true},
    {"[ce_rate, {name: upper_bound, bound: 0, norm: l1}]", SNN_DECIDE_MEAN, true},
    {"[ce_rate, {name: rate_l1, target: 0.1}]", SNN_DECIDE_MEAN, false},
    {"[ce_rate, rate_l2]", SNN_DECIDE_MEAN, false},
    {"[ce_rate, {name: synops, target: 5}]", SNN_DECIDE_MEAN, false},
};

START_TEST(how_steps_are_used) {
    ck_ok(read_loss(uses[_i].yaml));
    ck_assert_int_eq(snn_loss_decide(&loss), uses[_i].decide);
    ck_assert_int_eq(snn_loss_is_stepwise(&loss), uses[_i].stepwise);
}
END_TEST

static const struct {
    const char *yaml, *sentence;
} mistakes[] = {
    {"cee", "loss: expected a loss, got 'cee' (did you mean 'ce'?)"},
    {"{name: ce_rate, over: sum}", "loss: unknown key 'over'"},
    {"{name: ce_temporal, inverse: minus}", "inverse: expected one of negate, reciprocal, got 'minus'"},
    {"{name: bce, alpha: 0}", "loss.alpha: expected a number of 1e-06..1000000, got 0"},
    {"{name: smooth_l1, beta: 0}", "loss.beta: expected a number of 1e-09..1000000, got 0"},
    {"{name: spike_max, eps: 0}", "loss.eps: expected a number of 1e-12..1, got 0"},
    {"{name: spike_time, tau: 0}", "loss.tau: expected a number of 0.001..1000, got 0"},
    {"{name: spike_rate, correct: 2}", "loss.correct: expected a number of 0..1, got 2"},
    {"{name: mse_temporal, tolerance: -1}", "loss.tolerance: expected a number of 0..1000000, got -1"},
    {"{name: mse, reduction: max}", "loss.reduction: expected one of mean, sum, got 'max'"},
    {"{name: ce, class_weights: equal}",
     "class_weights: expected none, balanced, or a list with a number for every class"},
    {"{name: ce, class_weights: [1, x, 2]}", "class_weights.1: expected a class weight from 0 to 1e+06"},
    {"{name: ce, class_weights: [1, -1]}", "class_weights.1: expected a class weight from 0 to 1e+06"},
    {"{name: ce, class_weights: [1, nan]}", "class_weights.1: expected a class weight from 0 to 1e+06"},
    {"[ce, mse, tet, ce]", "a loss has at most 4 terms"},
    {"rate_l1", "a regulariser needs a loss beside it: expected a list, [ce, {name: rate_l1, ...}]"},
    {"[weight_l2]", "a regulariser needs a loss beside it"},
    {"[ce, weight_l1, weight_l1, weight_l1, weight_l1, weight_l1]", "a loss has at most 4 terms over weights"},
    {"[ce, {name: rate_l1, target: -1}]", "loss.1.target: expected a number of 0..1000000000, got -1"},
    {"[ce, {name: rate_l1, per: synapse}]", "loss.1.per: expected one of neuron, channel, layer, got 'synapse'"},
    {"[ce, {name: upper_bound}]", "loss.1: key 'bound' is missing"},
    {"[ce, {name: lower_bound, bound: 1, norm: l3}]", "loss.1.norm: expected one of l1, l2, huber, got 'l3'"},
    {"[ce, {name: synops, target: 0}]", "loss.1.target: expected a number of 1e-09..1e+15, got 0"},
    {"[ce, {name: periodic, frequency: 0}]", "loss.1.frequency: expected a number of 0.001..1000, got 0"},
};

/* Regularisers stand beside a loss, under their names and aliases. */
START_TEST(names_of_regularisers) {
    for (const struct snn_regular_listing *l = snn_regular_list; l->name; ++l)
        for (int alias = 0; alias < (l->alias ? 2 : 1); ++alias) {
            char yaml[200];
            bool bound = strstr(l->name, "bound"), target = !strcmp(l->name, "synops");
            snprintf(yaml, sizeof yaml, "[{name: %s%s}, ce]", alias ? l->alias : l->name,
                     bound    ? ", bound: 2"
                     : target ? ", target: 2"
                              : "");
            ck_ok(read_loss(yaml));
            ck_assert_str_eq(snn_conf_at(doc, "loss.0.name")->text, l->name);
            ck_assert_int_eq(loss.terms, 1);
            ck_assert_int_eq(loss.regular.activities, !l->of_weights);
            ck_assert_int_eq(loss.regular.weights, l->of_weights);
            ck_assert_int_eq(snn_loss_decide(&loss), SNN_DECIDE_MEAN);
        }
}
END_TEST

START_TEST(what_is_refused) { ck_error(read_loss(mistakes[_i].yaml), SNN_EUSAGE, mistakes[_i].sentence); }
END_TEST

START_TEST(what_numbers_do_not_go_with) {
    static const char *const can[] = {
        "mse", "mse_membrane", "smooth_l1", "bce", "mse_temporal", "{name: spike_time, reduction: mean}", "spike_rate"};
    for (size_t i = 0; i < sizeof can / sizeof *can; ++i) {
        ck_ok(read_loss(can[i]));
        ck_ok(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, false));
        ck_assert(loss.term[0].correct == 1 && loss.term[0].incorrect == 0 && loss.term[0].numbers);
    }
    static const char *const cannot[] = {"ce_count", "mse_count", "tet", "spike_max", "ce_temporal"};
    for (size_t i = 0; i < sizeof cannot / sizeof *cannot; ++i) {
        ck_ok(read_loss(cannot[i]));
        ck_error(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, false), SNN_EUSAGE, "expected mse or");
    }
    ck_ok(read_loss("{name: mse_temporal, correct: 2}"));
    ck_error(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, false), SNN_EUSAGE, "are for classes");
    ck_ok(read_loss("{name: mse, class_weights: balanced}"));
    ck_error(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, false), SNN_EUSAGE, "no classes to weigh");
    ck_ok(read_loss("spike_time"));
    ck_ok(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, true));
    ck_ok(read_loss("smooth_l1"));
    ck_error(snn_loss_check_targets(&loss, snn_conf_at(doc, "loss"), true, true), SNN_EUSAGE,
             "a target for every step");
}
END_TEST

/* ---- class weights ---- */

static const char *const balanced =
    "data: {name: synthetic, task: random_poisson, classes: 3, train: 200, test: 30, validation: 0.25}\n"
    "model: [linear: 6, lif, linear: 5, lif, linear: 3]\n"
    "train: {loss: [{name: ce, class_weights: balanced}, {name: mse, class_weights: [3, 2, 1]}, mse], epochs: 1}\n";

static void open_experiment(const char *set, struct snn_experiment *e) {
    struct snn_conf_doc *document;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    ck_ok(snn_conf_parse(balanced, strlen(balanced), "test.yaml", &document));
    if (set) ck_ok(snn_conf_set(document, set));
    ck_ok(snn_experiment_read(document, &options, e));
}

/* Numbers are worked out from the training samples alone, and are in the config from then on. */
START_TEST(balanced_classes) {
    struct snn_experiment e;
    double weights[9], all = 0;
    int64_t count[3];
    open_experiment(NULL, &e);
    ck_assert(snn_loss_wants_balance(&e.network.loss));
    ck_ok(snn_experiment_data(&e, NULL, 7, 0, 0));
    ck_assert(!snn_loss_wants_balance(&e.network.loss));
    ck_assert(snn_loss_class_weights(&e.network.loss, 3, weights));
    snn_loader_labels(e.loader[SNN_SUBSET_TRAIN], count);
    ck_assert_int_eq(count[0] + count[1] + count[2], snn_loader_samples(e.loader[SNN_SUBSET_TRAIN]));
    ck_assert_int_lt(count[0] + count[1] + count[2], 200);
    const struct snn_conf *list = snn_conf_at(e.doc, "train.loss.0.class_weights");
    ck_assert_int_eq(list->kind, SNN_CONF_LIST);
    ck_assert_int_eq(list->count, 3);
    for (int c = 0; c < 3; ++c) {
        all += (double)count[c] * weights[c];
        ck_assert(fabs(weights[c] * 3 * (double)count[c] / (double)(count[0] + count[1] + count[2]) - 1) < 1e-8);
        ck_assert(weights[3 + c] == 3 - c && weights[6 + c] == 1);
    }
    ck_assert(fabs(all / snn_loader_samples(e.loader[SNN_SUBSET_TRAIN]) - 1) < 1e-8); /* the mean weight is 1 */
    struct snn_network_plan plan = {.T = e.steps, .B = 4, .cut = e.steps, .train = true};
    ck_ok(snn_network_allocate(&e.network, &plan));
    for (int i = 0; i < 9; ++i) ck_assert(e.network.class_weight[i] == weights[i]);
    snn_experiment_close(&e);
}
END_TEST

START_TEST(as_many_as_classes) {
    struct snn_experiment e;
    struct snn_conf_doc *document;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    ck_ok(snn_conf_parse(balanced, strlen(balanced), "test.yaml", &document));
    ck_ok(snn_conf_set(document, "train.loss={name: ce, class_weights: [1, 2]}"));
    ck_error(snn_experiment_read(document, &options, &e), SNN_EUSAGE,
             "train.loss.class_weights: expected a number for every class, 3, got 2");
}
END_TEST

/* The way a class is read out follows the loss, and the config says so. */
START_TEST(decides_as_the_loss) {
    static const char *const sets[][2] = {{"train.loss=ce", "mean"},
                                          {"train.loss={name: ce, over: max}", "max"},
                                          {"train.loss=ce_temporal", "first_spike"},
                                          {"train.decide=last", "last"}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; ++i) {
        struct snn_experiment e;
        open_experiment(sets[i][0], &e);
        ck_assert_str_eq(snn_conf_at(e.doc, "train.decide")->text, sets[i][1]);
        ck_assert_str_eq(snn_decide_names[e.network.decide], sets[i][1]);
        snn_experiment_close(&e);
    }
}
END_TEST

/* ---- regularisers in a network ---- */

static const struct {
    const char *set, *sentence;
} strangers[] = {
    {"train.loss=[ce, {name: rate_l1, layers: hidden}]",
     "train.loss.1.layers: no spiking layer has a path or name like 'hidden'"},
    {"train.loss=[ce, {name: rate_l1, layers: \"model.0.*\"}]", "no spiking layer has a path or name like 'model.0.*'"},
    {"train.loss=[ce, {name: weight_l1, match: \"*.w\"}]", "train.loss.1.match: no parameter has a name like '*.w'"},
};

START_TEST(nothing_to_look_at) {
    struct snn_experiment e;
    struct snn_conf_doc *document;
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    ck_ok(snn_conf_parse(balanced, strlen(balanced), "test.yaml", &document));
    ck_ok(snn_conf_set(document, strangers[_i].set));
    ck_error(snn_experiment_read(document, &options, &e), SNN_EUSAGE, strangers[_i].sentence);
}
END_TEST

/* Two hidden layers and everything at once; gradients and the loss of one batch of 13 samples, in slices or cuts. */
enum { BATCH = 13 };
struct pass {
    double loss;
    real grad[2000];
    ptrdiff_t learned;
};

static void pass_of(const char *loss_yaml, int32_t slice, int32_t cut_steps, struct pass *out) {
    struct snn_experiment e;
    char set[600];
    snprintf(set, sizeof set, "train.loss=%s", loss_yaml);
    open_experiment(set, &e);
    e.data.timesteps = 12;
    ck_ok(snn_experiment_data(&e, NULL, 1, BATCH, 0));
    struct snn_network *n = &e.network;
    struct snn_network_plan plan = {
        .T = e.steps, .B = BATCH, .cut = cut_steps ? cut_steps : e.steps, .slice = slice, .train = true};
    ck_ok(snn_network_allocate(n, &plan));
    ck_ok(snn_experiment_init(&e));
    for (ptrdiff_t i = 0; i < n->model.params.learned; ++i)
        n->model.params.value[i] *= 4; /* so that there are spikes */
    const struct snn_batch *batch;
    struct snn_slice part;
    ck_ok(snn_loader_start(e.loader[SNN_SUBSET_TRAIN], 0, 0));
    ck_ok(snn_loader_next(e.loader[SNN_SUBSET_TRAIN], &batch));
    ck_assert_int_eq(batch->B, BATCH);
    ck_ok(snn_network_stage(n, batch));
    snn_network_set_step(n, 1, 0, 1.0 / BATCH);
    snn_network_zero_gradients(n);
    out->loss = 0;
    for (int32_t first = 0; snn_network_slice(n, &first, &part);) {
        struct snn_cut cut = snn_slice_cut(&part, true);
        cut.T = plan.cut;
        for (; cut.t0 < part.batch.T; cut.t0 += plan.cut, ++cut.index) {
            double sum;
            if (cut.T > part.batch.T - cut.t0) cut.T = part.batch.T - cut.t0;
            snn_network_forward(n, &cut);
            snn_network_loss(n, &cut, true);
            ck_ok(snn_network_loss_sum(n, &cut, &sum));
            out->loss += sum / BATCH;
            snn_network_backward(n, &cut);
        }
        snn_network_backward_batch(n, &cut);
    }
    out->learned = n->model.params.learned;
    ck_assert_int_lt(out->learned, 2000);
    memcpy(out->grad, n->model.params.grad, (size_t)out->learned * sizeof *out->grad);
    snn_experiment_close(&e);
}

static double distance(const struct pass *a, const struct pass *b) {
    double most = 0, largest = 0;
    for (ptrdiff_t i = 0; i < a->learned; ++i) {
        double d = fabs((double)(a->grad[i] - b->grad[i]));
        most = d > most ? d : most, largest = fabs((double)a->grad[i]) > largest ? fabs((double)a->grad[i]) : largest;
    }
    return most / largest;
}

static const char *const everything =
    "[{name: ce, over: step}, rate_l2, {name: upper_bound, bound: 1}, {name: lower_bound, bound: 6, weight: 0.1}, "
    "{name: "
    "synops, target: 9}, {name: rate_l1, weight: 3}, {name: weight_l1, weight: 2}, {name: periodic, match: "
    "\"*.weight\", reduction: sum}]";

START_TEST(slices_are_the_whole) {
    static struct pass whole, parts, plain;
    pass_of(everything, BATCH, 0, &whole);
    pass_of("{name: ce, over: step}", BATCH, 0, &plain);
    ck_assert(whole.loss > plain.loss + 0.1 && distance(&whole, &plain) > 0.05);
    for (int32_t slice = 1; slice < BATCH; slice += 3) {
        pass_of(everything, slice, 0, &parts);
        ck_assert_msg(fabs(parts.loss / whole.loss - 1) < 1e-6, "loss %.9g, whole %.9g", parts.loss, whole.loss);
        ck_assert_msg(distance(&whole, &parts) < 1e-5, "gradients differ by %g", distance(&whole, &parts));
    }
}
END_TEST

/* What says that it sees one step at a time has the same loss in parts; the gradient of the readout is that of the
 * whole, for nothing of it crosses a cut. */
START_TEST(cuts_are_the_whole) {
    static struct pass whole, parts;
    static const char *const stepwise = "[{name: ce, over: step}, {name: rate_l1, weight: 2}, {name: rate_l1, unit: "
                                        "count, per: layer, reduction: sum}, "
                                        "{name: weight_l2, weight: 3}]";
    pass_of(stepwise, BATCH, 0, &whole);
    for (int32_t steps = 1; steps < 12; steps += 2) {
        pass_of(stepwise, 5, steps, &parts);
        ck_assert_msg(fabs(parts.loss / whole.loss - 1) < 1e-6, "loss %.9g, whole %.9g", parts.loss, whole.loss);
        for (ptrdiff_t i = whole.learned - 3; i < whole.learned; ++i)
            ck_assert(fabs((double)(parts.grad[i] - whole.grad[i])) < 1e-5);
    }
}
END_TEST

/* An evaluation's loss is of the outputs alone. */
START_TEST(evaluation_sees_outputs) {
    struct snn_experiment e;
    double loss_of[2];
    for (int k = 0; k < 2; ++k) {
        open_experiment(k ? "train.loss=[ce, rate_l2, weight_l2]" : "train.loss=ce", &e);
        ck_ok(snn_experiment_data(&e, NULL, 1, BATCH, 0));
        struct snn_network_plan plan = {.T = e.steps, .B = BATCH, .cut = e.steps, .train = true};
        ck_ok(snn_network_allocate(&e.network, &plan));
        ck_ok(snn_experiment_init(&e));
        const struct snn_batch *batch;
        ck_ok(snn_loader_start(e.loader[SNN_SUBSET_TRAIN], 0, 0));
        ck_ok(snn_loader_next(e.loader[SNN_SUBSET_TRAIN], &batch));
        struct snn_cut cut = {.batch = batch, .T = batch->T};
        snn_network_forward(&e.network, &cut);
        snn_network_loss(&e.network, &cut, false);
        ck_ok(snn_network_loss_sum(&e.network, &cut, &loss_of[k]));
        snn_experiment_close(&e);
    }
    ck_assert(loss_of[0] == loss_of[1]);
}
END_TEST

/* ---- first spikes ---- */

enum { T = 5, B = 2, C = 3 };

/* Sample 0: steps 2, none, 0; sample 1, of 4 steps: 3, beyond its end, 1 (and again). */
static void evaluate(const char *yaml, double *sample, real *gradient) {
    struct snn_device device;
    real output[T * B * C] = {0};
    int32_t label[B] = {0, 2}, length[B] = {T, 4};
    const int spikes[][3] = {{2, 0, 0}, {0, 0, 2}, {3, 0, 2}, {3, 1, 0}, {4, 1, 1}, {1, 1, 2}, {2, 1, 2}};
    for (size_t i = 0; i < sizeof spikes / sizeof *spikes; ++i)
        output[(spikes[i][0] * B + spikes[i][1]) * C + spikes[i][2]] = 1;
    ck_ok(read_loss(yaml));
    ck_ok(snn_device_open("cpu", 1, &device));
    struct snn_loss_call call = {
        .loss = &loss, .T = T, .B = B, .C = C, .output = output, .label = label, .length = length, .steps = T};
    double *scratch = calloc((size_t)snn_loss_scratch(1, C), sizeof *scratch), scores[C];
    device.loss->evaluate(&device, &call, sample, gradient, scratch);
    snn_decide_start(SNN_DECIDE_FIRST_SPIKE, C, scores);
    for (int t = 0; t < 4; ++t) snn_decide_step(SNN_DECIDE_FIRST_SPIKE, t, C, output + (t * B + 1) * C, scores);
    snn_decide_end(SNN_DECIDE_FIRST_SPIKE, 4, C, scores);
    ck_assert(scores[0] == -3 && scores[1] == -HUGE_VAL && scores[2] == -1);
    free(scratch);
    snn_device_close(&device);
}

/* A silent output counts as one that fires in its sample's last step; the estimate of the slope is -1 there too. */
START_TEST(time_of_the_first_spike) {
    static const int first[B][C] = {{2, 4, 0}, {3, 3, 1}}, label[B] = {0, 2};
    static const char *const losses[] = {"ce_temporal", "{name: ce_temporal, inverse: reciprocal}", "mse_temporal",
                                         "{name: mse_temporal, correct: 1, incorrect: -2, tolerance: 1}"};
    double sample[B];
    real gradient[T * B * C], expected[T * B * C];
    for (int k = 0; k < 4; ++k) {
        evaluate(losses[k], sample, gradient);
        memset(expected, 0, sizeof expected);
        for (int b = 0; b < B; ++b) {
            double loss_of_b = 0, sum = 0, n = b ? 4 : T;
            for (int c = 0; c < C; ++c) sum += k == 1 ? exp(1.0 / (first[b][c] + 1)) : exp(-first[b][c]);
            for (int c = 0; c < C; ++c) {
                double t = first[b][c], z = k == 1 ? 1 / (t + 1) : -t, y = c == label[b], d;
                double target = y != 0 ? (k == 3 ? 1 : 0) : n - (k == 3 ? 2 : 1);
                real *g = &expected[(first[b][c] * B + b) * C + c];
                if (k < 2) {
                    d = exp(z) / sum - y;
                    loss_of_b -= y * (z - log(sum));
                    *g = (real)(k == 1 ? d * z * z : d); /* dz/dt dt/do, dt/do = -1 */
                } else {
                    d = k == 3 && fabs(t - target) < 1 ? 0 : (t - target) / n;
                    loss_of_b += d * d / C;
                    *g = (real)(-2 * d / n / C);
                }
            }
            ck_assert_msg(fabs(sample[b] - loss_of_b) < 1e-6, "%s: %g, expected %g", losses[k], sample[b], loss_of_b);
        }
        for (int i = 0; i < T * B * C; ++i)
            ck_assert_msg(fabs((double)(gradient[i] - expected[i])) < 1e-6, "%s: gradient %d: %g, expected %g",
                          losses[k], i, (double)gradient[i], (double)expected[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("loss");
    TCase *tcase = tcase_create("loss");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, names_and_aliases);
    tcase_add_loop_test(tcase, how_steps_are_used, 0, sizeof uses / sizeof *uses);
    tcase_add_loop_test(tcase, what_is_refused, 0, sizeof mistakes / sizeof *mistakes);
    tcase_add_test(tcase, what_numbers_do_not_go_with);
    tcase_add_test(tcase, names_of_regularisers);
    tcase_add_loop_test(tcase, nothing_to_look_at, 0, sizeof strangers / sizeof *strangers);
    tcase_add_test(tcase, slices_are_the_whole);
    tcase_add_test(tcase, cuts_are_the_whole);
    tcase_add_test(tcase, evaluation_sees_outputs);
    tcase_add_test(tcase, balanced_classes);
    tcase_add_test(tcase, as_many_as_classes);
    tcase_add_test(tcase, decides_as_the_loss);
    tcase_add_test(tcase, time_of_the_first_spike);
    return run_suite(suite);
}
