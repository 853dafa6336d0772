/* SPDX-License-Identifier: Apache-2.0
 * test_cuts.c - a batch that passes in cuts of its time axis, or comes in pieces of it, is counted like one that passes
 * at once: losses and their gradients, decisions, spikes, costs and predictions; on the CPU and on the emulated card.
 *
 * Inputs and weights are multiples of small powers of two and membranes halve with every step, so that all outputs are
 * exact and do not depend on the order of additions: what differs then is the counting. */
#include <math.h>

#include "autograd/memory.h"
#include "folder.h"
#include "made_npy.h"
#include "train/diagnose.h"
#include "train/evaluate.h"
#include "train/operations.h"

enum { N = 22, HALF = N / 2, STEPS = 7, UNITS = 6, OUTPUTS = 4 };

/* ---- data and networks ---- */

enum kind { CLASSES, NUMBERS, NUMBERS_A_STEP, STILL, KINDS };

static void write_set(enum kind kind, bool lengths) {
    static const char *const targets[KINDS] = {"(22,)", "(22, 4)", "(22, 7, 4)", "(22,)"};
    static const int count[KINDS] = {N, N * OUTPUTS, N * STEPS * OUTPUTS, N};
    float x[N * STEPS * UNITS], y[N * STEPS * OUTPUTS];
    unsigned char label[N], length[N];
    bool sequences = kind != STILL;
    for (int i = 0; i < N * STEPS * UNITS; ++i) x[i] = (float)(i * 7 % 23 % 9 - 2) / 4;
    for (int i = 0; i < N * STEPS * OUTPUTS; ++i) y[i] = (float)(i * 5 % 17) / 16;
    for (int i = 0; i < N; ++i)
        label[i] = (unsigned char)(i * 3 % 7 % OUTPUTS), length[i] = (unsigned char)(1 + i % STEPS);
    made_npy(in("X.npy"), "<f4", sequences ? "(22, 7, 6)" : "(22, 6)", x,
             (size_t)(N * (sequences ? STEPS : 1) * UNITS) * sizeof *x);
    if (kind == NUMBERS || kind == NUMBERS_A_STEP)
        made_npy(in("Y.npy"), "<f4", targets[kind], y, (size_t)count[kind] * sizeof *y);
    else made_npy(in("Y.npy"), "|u1", targets[kind], label, sizeof label);
    if (lengths) made_npy(in("lengths.npy"), "|u1", "(22,)", length, sizeof length);
}

/* Steps of a cut; 0: all. */
static int32_t each;
static int32_t cut_steps(const struct snn_trainer *trainer, int32_t T) {
    (void)trainer;
    return each && each < T ? each : T;
}
static const struct snn_trainer_ops in_cuts = {.name = "in_cuts", .cut = cut_steps};

static void set_weights(struct snn_network *n) {
    const struct snn_params *params = &n->model.params;
    real *value = calloc((size_t)params->size, sizeof *value);
    ck_assert_ptr_nonnull(value);
    snn_params_init(params, 21, value);
    for (ptrdiff_t i = 0; i < params->size; ++i) value[i] = (real)(round(32 * (double)value[i]) / 16);
    n->device->memory->upload(n->device, params->value, value, (size_t)params->size * sizeof *value);
    free(value);
}

static const char *recurrent = ""; /* keys of the hidden layer */

static void open_set(const char *device, enum kind kind, const char *loss, const char *decide,
                     struct snn_experiment *e) {
    char text[600];
    struct snn_conf_doc *doc;
    struct snn_experiment_options options = {.device = device, .threads = 1, .data_dir = folder};
    snprintf(text, sizeof text,
             "data: {name: arrays, test: 0.5%s}\n"
             "model: [linear: 9, lif: {beta: 0.5, reset: subtract%s}, linear: %d, li: {beta: 0.5}]\n"
             "train: {batch: 5, loss: %s, decide: %s}\n",
             kind == STILL ? ", timesteps: 7" : "", recurrent, OUTPUTS, loss, decide);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
    ck_ok(snn_experiment_read(doc, &options, e));
    ck_ok(snn_experiment_data(e, folder, 7, 0, 0));
    e->trainer.ops = &in_cuts;
}

/* How a batch passes: in cuts of so many steps; so many samples together; in pieces of so many steps. 0: all. */
struct trial {
    int32_t steps, slice, pieces;
};

static void plan(struct snn_experiment *e, struct trial trial, bool train) {
    const int32_t steps = each = trial.steps, slice = trial.slice;
    e->data.pieces = trial.pieces ? trial.pieces : -1;
    ck_ok(snn_experiment_data(e, folder, 7, 0, 0));
    struct snn_network_plan plan = snn_experiment_plan(e, train);
    ck_assert_int_eq(plan.cut, steps ? steps : STEPS);
    plan.slice = slice;
    ck_ok(snn_network_allocate(&e->network, &plan));
    set_weights(&e->network);
}

/* Which cuts are tried: all on the CPU, one on the card, another for every `turn`. */
static bool next_trial(bool on_card, enum kind kind, int turn, struct trial *trial) {
    const int32_t steps = trial->steps;
    if (on_card) {
        if (steps) return false;
        *trial = (struct trial){1 + turn % (STEPS - 1), turn / 2 % 2 * 2, 0};
        if (turn % 3 == 0 && kind != STILL) trial->slice = 0, trial->pieces = trial->steps;
    } else if (!steps || trial->pieces == 2 * steps || (kind == STILL && trial->slice))
        *trial = (struct trial){steps + 1, 0, 0};
    else if (trial->pieces) trial->pieces = 2 * steps;
    else if (trial->slice) trial->slice = 0, trial->pieces = steps;
    else trial->slice = 2;
    return trial->steps < STEPS;
}

/* ---- losses and decisions ---- */

static const char *const losses[KINDS][6] = {
    [CLASSES] = {"{name: ce, over: step}",
                 "{name: ce, over: step, label_smoothing: 0.2, class_weights: [0.5, 2, 1.5, 0.25]}", "tet",
                 "[ce_rate, {name: mse, over: step, weight: 0.5}]",
                 "{name: bce, over: step, class_weights: [0.5, 2, 1.5, 0.25], label_smoothing: 0.1}",
                 "[{name: smooth_l1, over: step, beta: 0.4}, rate_l1, {name: weight_l2, match: \"*\"}]"},
    [NUMBERS] = {"{name: mse, over: step}", "mse_membrane", "{name: bce, over: step, alpha: 2}",
                 "{name: smooth_l1, over: step}"},
    [NUMBERS_A_STEP] = {"{name: mse, over: step}", "mse_membrane", "[mse_membrane, {name: bce, over: step}]"},
    [STILL] = {"{name: ce, over: step}", "tet"},
};
static const char *const devices[] = {"cpu", "cuda"};

struct counted { /* of a training epoch */
    double loss;
    int64_t correct, spikes[4];
    real gradient[HALF][STEPS][OUTPUTS]; /* of the outputs, by sample */
};

static void take_gradient(struct snn_network *n, const struct snn_cut *cut, struct counted *out) {
    static real row[STEPS * HALF * OUTPUTS];
    size_t numbers = (size_t)(cut->T * cut->batch->B * OUTPUTS);
    ck_ok(n->device->memory->download(n->device, row, n->model.tape.output->grad, numbers * sizeof *row));
    for (int32_t t = 0; t < cut->T; ++t)
        for (int32_t b = 0; b < cut->batch->B; ++b)
            memcpy(out->gradient[cut->batch->sample[b] % HALF][snn_cut_at(cut) + t],
                   row + (t * cut->batch->B + b) * OUTPUTS, sizeof out->gradient[0][0]);
}

/* last: steps of a recording whose errors count; 0: all. */
static void train_in_cuts(struct snn_experiment *e, struct trial trial, int32_t last, struct counted *out) {
    struct snn_network *n = &e->network;
    struct snn_metrics m;
    const struct snn_batch *batch;
    plan(e, trial, true);
    memset(out, 0, sizeof *out);
    snn_metrics_init(&m, n, e->steps, NULL, 1);
    snn_metrics_start(&m, n);
    ck_ok(snn_loader_start(e->loader[SNN_SUBSET_TRAIN], 0, 0));
    for (int number = 0;; number += snn_batch_ends(batch)) {
        ck_ok(snn_loader_next(e->loader[SNN_SUBSET_TRAIN], &batch));
        if (!batch) break;
        ck_assert_int_eq(snn_batch_is_piece(batch), trial.pieces && trial.pieces < STEPS);
        ck_ok(snn_network_stage(n, batch));
        snn_network_set_step(n, 1, (uint32_t)number, 1.0 / batch->B);
        struct snn_slice part;
        for (int32_t first = 0; snn_network_slice(n, &first, &part);) {
            struct snn_cut cut = snn_slice_cut(&part, true);
            cut.last = last;
            while (snn_slice_next(&part, n->plan.cut, &cut)) {
                snn_network_forward(n, &cut);
                snn_network_loss(n, &cut, true);
                take_gradient(n, &cut, out);
                snn_network_tally(n, &cut);
                snn_network_backward(n, &cut);
            }
            ck_assert_int_eq(cut.t0 + cut.T, batch->T);
            snn_network_backward_batch(n, &cut);
        }
        if (!batch->t0) snn_metrics_expect(&m, n, batch);
    }
    ck_ok(snn_metrics_look(&m, n));
    ck_assert_int_eq(m.samples, HALF);
    out->loss = m.score[0].loss, out->correct = m.score[0].correct;
    ck_assert_int_le(m.layers, 4);
    for (int l = 0; l < m.layers; ++l) out->spikes[l] = (int64_t)m.layer_spikes[l];
    snn_metrics_free(&m);
}

static void expect_same_training(const struct counted *whole, const struct counted *parts, const char *what) {
    ck_assert_msg(fabs(parts->loss - whole->loss) <= 1e-12 * fabs(whole->loss), "%s: loss %.17g, whole %.17g", what,
                  parts->loss, whole->loss);
    ck_assert_msg(parts->correct == whole->correct, "%s: %d are right, whole %d", what, (int)parts->correct,
                  (int)whole->correct);
    ck_assert_msg(!memcmp(parts->spikes, whole->spikes, sizeof whole->spikes), "%s: other spikes", what);
    ck_assert_msg(!memcmp(parts->gradient, whole->gradient, sizeof whole->gradient), "%s: another gradient", what);
}

/* Cases: kind, lengths, device. */
START_TEST(training) {
    static struct counted whole, parts;
    const char *device = devices[_i % 2];
    enum kind kind = _i / 4;
    bool lengths = _i & 2;
    if (_i % 2 && why_no_card()) return;
    if (kind == STILL && lengths) return;
    make_folder();
    write_set(kind, lengths);
    for (int k = 0; k < 6 && losses[kind][k]; ++k)
        for (int how = k; how <= SNN_DECIDE_FIRST_SPIKE; how += kind == CLASSES ? 1 : 6) {
            struct snn_experiment e;
            open_set(device, kind, losses[kind][k], snn_decide_names[how], &e);
            int32_t last = how % 2 ? 3 : 0;
            train_in_cuts(&e, (struct trial){0}, last, &whole);
            ck_assert(whole.spikes[1] > 10 && whole.loss > 0);
            for (struct trial trial = {0}; next_trial(_i % 2, kind, k + how, &trial);) {
                char what[200];
                snprintf(what, sizeof what, "%s, %s, %s, cuts of %d, pieces of %d", device, losses[kind][k],
                         snn_decide_names[how], (int)trial.steps, (int)trial.pieces);
                train_in_cuts(&e, trial, last, &parts);
                expect_same_training(&whole, &parts, what);
            }
            snn_experiment_close(&e);
        }
    remove_folder();
}
END_TEST

/* ---- evaluation ---- */

static const int32_t timesteps[] = {1, 2, 3, 5, STEPS};
enum { SCORES = sizeof timesteps / sizeof *timesteps };

struct evaluated {
    struct snn_metrics m;
    char *predictions;
};

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Rows of a step each come cut by cut: their order is not compared. */
static void sort_lines(char *text) {
    enum { MOST = 1 + HALF * STEPS };
    char *line[MOST + 1], *copy = strdup(text), *at = text;
    int count = 0;
    for (char *next = strtok(copy, "\n"); next; next = strtok(NULL, "\n")) {
        ck_assert_int_lt(count, MOST);
        line[count++] = next;
    }
    qsort(line, (size_t)count, sizeof *line, compare_lines);
    for (int i = 0; i < count; ++i) at += sprintf(at, "%s\n", line[i]);
    free(copy);
}

static void evaluate_in_cuts(struct snn_experiment *e, struct trial trial, struct evaluated *out) {
    size_t size;
    plan(e, trial, false);
    snn_metrics_init(&out->m, &e->network, e->steps, timesteps, SCORES);
    struct snn_evaluate_options options = {.subset = SNN_SUBSET_TEST, .costs = true};
    options.predictions = open_memstream(&out->predictions, &size);
    ck_ok(snn_evaluate(e, &options, &out->m));
    ck_assert(!fclose(options.predictions));
    ck_assert_int_eq(out->m.samples, HALF);
    if (e->network.target_steps) sort_lines(out->predictions);
}

static void expect_same_evaluation(const struct evaluated *whole, const struct evaluated *parts, const char *what) {
    const struct snn_metrics *a = &whole->m, *b = &parts->m;
    for (int i = 0; i < SCORES; ++i) {
        const struct snn_score *x = &a->score[i], *y = &b->score[i];
        ck_assert_msg(y->correct == x->correct, "%s: after %d steps %d are right, whole %d", what, (int)x->timesteps,
                      (int)y->correct, (int)x->correct);
        ck_assert_msg(fabs(y->loss - x->loss) <= 1e-12 * x->loss, "%s: after %d steps loss %.17g, whole %.17g", what,
                      (int)x->timesteps, y->loss, x->loss);
        ck_assert_msg(y->spikes == x->spikes && y->synops == x->synops && y->macs == x->macs,
                      "%s: after %d steps other costs: %g %g %g, whole %g %g %g", what, (int)x->timesteps, y->spikes,
                      y->synops, y->macs, x->spikes, x->synops, x->macs);
    }
    size_t classes = (size_t)a->classes, layers = (size_t)a->layers;
    ck_assert_msg(!memcmp(a->confusion, b->confusion, classes * classes * sizeof *a->confusion), "%s", what);
    ck_assert_msg(!memcmp(a->layer_spikes, b->layer_spikes, layers * sizeof(double)), "%s: spikes", what);
    ck_assert_msg(!memcmp(a->layer_slots, b->layer_slots, layers * sizeof(double)), "%s: slots", what);
    ck_assert_msg(!strcmp(whole->predictions, parts->predictions), "%s: %s\nwhole: %s", what, parts->predictions,
                  whole->predictions);
}

static void free_evaluated(struct evaluated *e) { snn_metrics_free(&e->m), free(e->predictions); }

START_TEST(evaluation) {
    const char *device = devices[_i % 2];
    enum kind kind = _i / 4;
    bool lengths = _i & 2;
    if (_i % 2 && why_no_card()) return;
    if (kind == STILL && lengths) return;
    make_folder();
    write_set(kind, lengths);
    for (int how = 0; how <= SNN_DECIDE_FIRST_SPIKE; ++how) {
        struct snn_experiment e;
        struct evaluated whole, parts;
        const char *loss = losses[kind][how] ? losses[kind][how] : losses[kind][0];
        open_set(device, kind, loss, snn_decide_names[how], &e);
        evaluate_in_cuts(&e, (struct trial){0}, &whole);
        const struct snn_score *first = &whole.m.score[0], *last = &whole.m.score[SCORES - 1];
        ck_assert(last->spikes > first->spikes && last->loss > 0);
        ck_assert(kind == STILL ? last->macs == first->macs : last->macs > first->macs);
        for (struct trial trial = {0}; next_trial(_i % 2, kind, how + (int)kind, &trial);) {
            char what[200];
            snprintf(what, sizeof what, "%s, %s, %s, cuts of %d, pieces of %d", device, loss, snn_decide_names[how],
                     (int)trial.steps, (int)trial.pieces);
            evaluate_in_cuts(&e, trial, &parts);
            expect_same_evaluation(&whole, &parts, what);
            free_evaluated(&parts);
        }
        free_evaluated(&whole);
        snn_experiment_close(&e);
    }
    remove_folder();
}
END_TEST

/* Spikes that come back meet weights as those do that go on: counted, and as a plan expects them. */
START_TEST(costs_of_a_recurrence) {
    enum { HIDDEN = 9 };
    static const struct {
        const char *keys;
        int weights;
    } kinds[] = {{"", 0}, {", recurrent: true", HIDDEN * HIDDEN}, {", recurrent: {kind: one}", HIDDEN}};
    make_folder();
    write_set(CLASSES, false);
    for (int k = 0; k < 3; ++k)
        for (int32_t steps = 0; steps < 3; steps += 2) {
            struct snn_experiment e;
            struct evaluated counted;
            struct snn_operations planned;
            recurrent = kinds[k].keys;
            open_set("cpu", CLASSES, "{name: ce, over: step}", "mean", &e);
            evaluate_in_cuts(&e, (struct trial){steps, 0, 0}, &counted);
            const struct snn_score *whole = &counted.m.score[SCORES - 1];
            const double fan_out = OUTPUTS + kinds[k].weights / (double)HIDDEN, spikes = counted.m.layer_spikes[1];
            double rates[4] = {NAN, snn_metrics_rate(&counted.m, 1), NAN, NAN};
            ck_assert_double_gt(spikes, 10);
            ck_assert_double_eq(whole->synops, spikes * fan_out);
            ck_assert_double_eq(whole->macs, HALF * STEPS * UNITS * HIDDEN);
            snn_count_operations(&e.network, &e.trainer, &(struct snn_rates){.spikes = 1, .layer = rates}, &planned);
            const double share = HALF / (double)e.network.plan.B;
            ck_assert_double_eq_tol(share * planned.synops_forward, whole->synops, 1e-9 * whole->synops);
            ck_assert_double_eq_tol(share * planned.forward, HALF * STEPS * HIDDEN * (UNITS + fan_out), 1e-6);
            free_evaluated(&counted);
            snn_experiment_close(&e);
        }
    recurrent = "";
    remove_folder();
}
END_TEST

/* What is not finite is found in the cut that it is in. */
START_TEST(not_finite) {
    struct snn_experiment e;
    const struct snn_batch *batch;
    char expected[100];
    make_folder();
    write_set(CLASSES, false);
    open_set("cpu", CLASSES, losses[CLASSES][0], "mean", &e);
    for (int32_t steps = 0; steps < 4; ++steps)
        for (int k = 0; k < 2; ++k) {
            plan(&e, (struct trial){steps, 2, 0}, true);
            e.network.model.params.value[0] = (real)(k ? 1e37 : 1);
            ck_ok(snn_loader_start(e.loader[SNN_SUBSET_TRAIN], 0, 0));
            ck_ok(snn_loader_next(e.loader[SNN_SUBSET_TRAIN], &batch));
            ck_assert_int_eq(batch->form, SNN_BATCH_FRAMES);
            ck_ok(snn_diagnose(&e.network, batch, 8, NULL));
            batch->frames[(5 * batch->B + 3) * UNITS] = k ? 100 : INFINITY; /* the next batch is another */
            snprintf(expected, sizeof expected,
                     "step 8: %s gives a number that is not finite at time step 5 of sample "
                     "%d",
                     k ? e.network.model.tape.node[0]->name : "the input", (int)batch->sample[3]);
            ck_error(snn_diagnose(&e.network, batch, 8, NULL), SNN_EFAIL, expected);
        }
    snn_experiment_close(&e);
    remove_folder();
}
END_TEST

/* Memory of what is counted does not grow with the steps. */
START_TEST(memory) {
    struct snn_experiment e;
    struct snn_arena arena[2];
    make_folder();
    write_set(CLASSES, false);
    open_set("cpu", CLASSES, losses[CLASSES][0], "mean", &e);
    each = 2;
    for (int train = 0; train < 2; ++train) {
        for (int k = 0; k < 2; ++k) {
            e.steps = k ? 1000 : 10;
            struct snn_network_plan plan = snn_experiment_plan(&e, train);
            snn_network_measure(&e.network, &plan, &arena[k]);
        }
        ck_assert_uint_eq(arena[0].used, arena[1].used);
    }
    snn_experiment_close(&e);
    remove_folder();
}
END_TEST

START_TEST(refused) {
    struct snn_experiment e;
    make_folder();
    write_set(CLASSES, false);
    open_set("cpu", CLASSES, "{name: ce, over: max}", "auto", &e);
    each = 3;
    struct snn_network_plan plan = snn_experiment_plan(&e, false);
    ck_error(snn_network_allocate(&e.network, &plan), SNN_EUSAGE,
             "train.loss needs all 7 steps at once, and they pass in cuts of 3 (train.rule)");
    snn_experiment_close(&e);
    remove_folder();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuts");
    TCase *t = tcase_create("cuts");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, training, 0, 4 * KINDS);
    tcase_add_loop_test(t, evaluation, 0, 4 * KINDS);
    tcase_add_test(t, costs_of_a_recurrence);
    tcase_add_test(t, not_finite);
    tcase_add_test(t, memory);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
