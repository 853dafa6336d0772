/* SPDX-License-Identifier: Apache-2.0
 * test_plan.c - `snntrain plan` under every learning rule: bytes are those that training then takes, on the processor
 * and on the emulated card; operations are those counted by hand; what a rule refuses is said. */
#include <dlfcn.h>
#include <math.h>

#include "autograd/memory.h"
#include "cli_rig.h"
#include "train/device.h"
#include "train/experiment.h"
#include "train/step.h"

static char mnist[MADE_PATH], nmnist[MADE_PATH];

static void enter(void) {
    made_setup();
    ck_assert(!chdir(made_path(".")));
}

static void write_text(const char *path, const char *text) { made_write(path, text, strlen(text)); }

static void write_config(const char *text) { write_text("c.yaml", text); }

#define LAST "train: {batch: 16, loss: {name: ce, over: step}}\n"
static const struct {
    const char *what, *yaml, *data;
} networks[] = {
    {"layers of a still image",
     "data: {name: mnist, timesteps: 5}\nmodel: [flatten, linear: 60, lif, linear: 40, lif, linear: 10]\n" LAST, mnist},
    {"a recurrent network",
     "data: {name: mnist, timesteps: 5, coding: rate, gain: 0.2}\n"
     "model: [flatten, linear: 60, lif: {recurrent: true}, linear: 10]\n" LAST,
     mnist},
    {"convolutions of events",
     "data: {name: nmnist, timesteps: 6}\nmodel: [conv: {out: 4, kernel: 5}, lif, avgpool: 2, conv: {out: 6, kernel: "
     "5}, lif, avgpool: 2, flatten, linear: 10]\n" LAST,
     nmnist},
    {"convolutions with norms",
     "data: {name: mnist, timesteps: 4}\nmodel: [conv: {out: 4, kernel: 5}, batchnorm, lif, avgpool: 2, conv: {out: 6, "
     "kernel: 3}, batchnorm, lif, flatten, linear: 10]\n" LAST,
     mnist},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

/* ---- bytes ---- */

/* The network as `train` has it, two steps on. */
static void train_two_steps(const char *device, const char *rule, int network, struct snn_experiment *e) {
    struct snn_conf_doc *doc;
    char set[64];
    const struct snn_batch *batch;
    struct snn_experiment_options options = {.device = device, .threads = 2};
    ck_ok(snn_conf_load("c.yaml", &doc));
    snprintf(set, sizeof set, "train.rule=%s", rule);
    ck_ok(snn_conf_set(doc, set));
    ck_ok(snn_experiment_read(doc, &options, e));
    ck_ok(snn_experiment_data(e, networks[network].data, 7, 0, 0));
    struct snn_network_plan plan = snn_experiment_plan(e, true);
    ck_ok(snn_network_allocate(&e->network, &plan));
    ck_ok(snn_experiment_init(e));
    ck_ok(snn_loader_start(e->loader[0], 0, 0));
    for (int i = 0; i < 2; ++i) {
        ck_ok(snn_loader_next(e->loader[0], &batch));
        ck_assert_ptr_nonnull(batch);
        struct snn_step step = {.number = i,
                                .samples = batch->B,
                                .first = true,
                                .last = true,
                                .rate = snn_schedule_rate(e->schedule, 0, i),
                                .clip = NAN};
        ck_ok(snn_step(&e->network, &e->trainer, batch, &step));
    }
}

static void expect_near(double is, double planned, const char *rule, const char *what, int network) {
    ck_assert_msg(fabs(is - planned) <= 0.01 * planned, "%s, %s, %s: %.0f bytes were planned, %.0f were taken",
                  networks[network].what, rule, what, planned, is);
}

START_TEST(bytes_of_a_run) {
    write_config(networks[_i].yaml);
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--rule", "all", "--json", "--threads", "2"));
    const json_t *rules = json_object_get(said, "rules");
    ck_assert_msg(!json_object_size(json_object_get(said, "refused")), "%s", networks[_i].what);
    for (int i = 0; snn_trainers[i]; ++i) {
        const char *rule = snn_trainers[i]->name;
        const json_t *planned = json_object_get(rules, rule), *purposes = json_object_get(planned, "purposes");
        struct snn_experiment e;
        train_two_steps("cpu", rule, _i, &e);
        const struct snn_arena *arena = &e.network.arena;
        ck_assert_uint_eq(arena->used, arena->size);
        expect_near((double)arena->used, number(planned, "total_bytes"), rule, "in all", _i);
        for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
            expect_near((double)arena->by_purpose[p], number(purposes, snn_memory_purpose[p]), rule,
                        snn_memory_purpose[p], _i);
        double bytes = 0;
        for (int n = 0; n < e.network.model.tape.nodes; ++n) bytes += (double)e.network.model.tape.node[n]->own_bytes;
        json_t *layer;
        size_t l;
        json_array_foreach(json_object_get(planned, "layers"), l, layer) bytes -= number(layer, "bytes");
        ck_assert_msg(bytes == 0, "%s, %s: %.0f bytes belong to no layer", networks[_i].what, rule, bytes);
        snn_experiment_close(&e);
    }
    json_decref(said);
}
END_TEST

/* A figure of the emulator. */
static double emulator_says(const char *name) {
    void *library = dlopen(getenv("SNNTRAIN_CUDA"), RTLD_NOW | RTLD_NOLOAD);
    int64_t (*figure)(void) = library ? (int64_t(*)(void))dlsym(library, name) : NULL;
    ck_assert_ptr_nonnull(figure);
    double value = (double)figure();
    dlclose(library);
    return value;
}

/* What an open device takes for itself. */
static double backend_takes(void) {
    struct snn_device device;
    ck_ok(snn_device_open("cuda", 1, &device));
    double bytes = emulator_says("cudaemu_bytes_allocated");
    snn_device_close(&device);
    return bytes;
}

/* With the places that batches take turns in. */
START_TEST(bytes_on_a_card) {
    const char *why = why_no_card();
    if (why || real_card()) {
        fprintf(stderr, "skipped: %s\n", why ? why : "a real card does not say what is allocated");
        return;
    }
    write_config(networks[_i].yaml);
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--rule", "all", "--json", "--device", "cuda"));
    for (int i = 0; snn_trainers[i]; ++i) {
        const json_t *planned = json_object_get(json_object_get(said, "rules"), snn_trainers[i]->name);
        struct snn_experiment e;
        double before = backend_takes();
        train_two_steps("cuda", snn_trainers[i]->name, _i, &e);
        struct snn_gate gate;
        ck_ok(snn_optim_gate(e.network.optim, &e.device, &gate)); /* waits */
        double all = emulator_says("cudaemu_bytes_allocated") - before;
        ck_assert(number(json_object_get(planned, "purposes"), "batches") > 0);
        expect_near(all, number(planned, "total_bytes"), snn_trainers[i]->name, "on the card", _i);
        snn_experiment_close(&e);
    }
    json_decref(said);
}
END_TEST

/* ---- operations ---- */

/* 16 samples, 6 steps of spikes: 784 -> 20 -> 30 -> 10. */
#define FULL                                                                                                           \
    "data: {name: mnist, timesteps: 6, coding: rate}\n"                                                                \
    "model: [flatten, linear: 20, lif, linear: 30, lif, linear: 10]\n"
enum { B = 16, T = 6, IN = 784, N = 20, M = 30, OUT = 10, FIRST = IN * N, SECOND = N * M, THIRD = M * OUT };

static const struct {
    const char *rule, *name;
    double forward, inputs, weights, signals, traces, dense; /* per sample */
} counts[] = {
    {"bptt", "bptt", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD), T *(FIRST + SECOND + THIRD), 0, 0,
     T *(SECOND + THIRD)},
    {"{name: tbptt, k: 4}", "tbptt", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD), T *(FIRST + SECOND + THIRD), 0,
     0, T *(SECOND + THIRD)},
    {"sltt", "sltt", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD), T *(FIRST + SECOND + THIRD), 0, 0,
     T *(SECOND + THIRD)},
    {"{name: sltt_k, k: 2}", "sltt_k", T *(FIRST + SECOND + THIRD), 2 * (SECOND + THIRD), 2 * (FIRST + SECOND + THIRD),
     0, 0, 2 * (SECOND + THIRD)},
    /* hidden weights and the readout learn from traces: in one cut, from spikes and traced errors */
    {"ottt", "ottt", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD), T *(FIRST + SECOND + THIRD), 0,
     T *(N + M) + T *(M + OUT), T *(SECOND + THIRD)},
    {"{name: ottt, input_trace: true}", "ottt", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD),
     T *(FIRST + SECOND + THIRD), 0, T *(IN + N + M) + T *(N + M + OUT), T *(SECOND + THIRD)},
    /* one cut of six steps has the last three */
    {"{name: stllr, alpha_post: 0, last: 3}", "stllr", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD),
     T *(FIRST + SECOND + THIRD), 0, T *(IN + N) + T *(N + M), T *(SECOND + THIRD)},
    /* what spikes come too late for is a second gradient of every weight but the readout's, of spikes */
    {"stllr", "stllr", T *(FIRST + SECOND + THIRD), T *(SECOND + THIRD), T *(2 * FIRST + 2 * SECOND + THIRD), 0,
     T *(IN + N + N + M) + T *(N + M), T *(SECOND + THIRD)},
    {"{name: stllr, alpha_post: 0, signal: dfa}", "stllr", T *(FIRST + SECOND + THIRD), 0, T *(FIRST + SECOND + THIRD),
     T *(N + M) * OUT, T *(IN + N) + T *(N + M), T *(N + M) * OUT},
    /* readouts of both blocks forward and back; forward they read spikes */
    {"{name: tess, alpha_post: 0}", "tess", T *(FIRST + SECOND + THIRD), 0, T *(FIRST + SECOND + THIRD),
     2 * T *(N + M) * OUT, T *(IN + N) + T *(N + M), T *(N + M) * OUT},
};

static void expect_count(const json_t *planned, const char *key, double each, int i) {
    ck_assert_msg(fabs(number(planned, key) - B * each) <= 1e-9 * B * each, "%s: %s is %.0f, expected %.0f",
                  counts[i].rule, key, number(planned, key), B * each);
}

START_TEST(operations_by_hand) {
    char yaml[512];
    snprintf(yaml, sizeof yaml, FULL "train: {batch: 16, loss: {name: ce, over: step}, rule: %s}\n", counts[_i].rule);
    write_config(yaml);
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--json", "--density", "0.25"));
    const json_t *p = json_object_get(json_object_get(said, "rules"), counts[_i].name);
    expect_count(p, "macs_forward", counts[_i].forward, _i);
    expect_count(p, "macs_input_gradients", counts[_i].inputs, _i);
    expect_count(p, "macs_weight_gradients", counts[_i].weights, _i);
    expect_count(p, "macs_signals", counts[_i].signals, _i);
    expect_count(p, "macs_backward", counts[_i].inputs + counts[_i].weights + counts[_i].signals, _i);
    expect_count(p, "macs_traces", counts[_i].traces, _i);
    expect_count(p, "macs_dense", counts[_i].dense, _i);
    ck_assert(strcmp(counts[_i].name, "stllr") || number(p, "cut") == T);
    /* events of the input are 5 % of it, spikes a quarter */
    double readouts = strcmp(counts[_i].name, "tess") ? 0 : 0.25 * T * (N + M) * OUT;
    expect_count(p, "synops_forward", T * (0.05 * FIRST + 0.25 * (SECOND + THIRD)) + readouts, _i);
    if (!strcmp(counts[_i].name, "stllr") && _i == 7) {
        expect_count(p, "synops_weight_gradients", T * (2 * 0.05 * FIRST + 2 * 0.25 * SECOND + 0.25 * THIRD), _i);
    } else if (!strcmp(counts[_i].name, "sltt_k"))
        expect_count(p, "synops_weight_gradients", 2 * (0.05 * FIRST + 0.25 * (SECOND + THIRD)), _i);
    json_decref(said);
}
END_TEST

/* A still image's first layer is worked out once, and its gradient too, unless weights learn from a trace of it. */
START_TEST(operations_of_a_still_image) {
    static const struct {
        const char *rule;
        int times;
    } ways[] = {{"bptt", 1}, {"sltt", 1}, {"sltt_k", 1}, {"ottt", 1}, {"stllr", T}, {"tess", T}};
    write_config("data: {name: mnist, timesteps: 6}\nmodel: [flatten, linear: 20, lif, linear: 30, lif, linear: 10]\n"
                 "train: {batch: 16, accumulate: 3}\n");
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--json", "--rule", "all"));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; ++i) {
        const json_t *p = json_object_get(json_object_get(said, "rules"), ways[i].rule);
        double forward = number(p, "macs_forward"), expected = 3. * B * (ways[i].times * FIRST + T * (SECOND + THIRD));
        ck_assert_msg(forward == expected, "%s: %.0f forward, expected %.0f", ways[i].rule, forward, expected);
        ck_assert(json_is_true(json_object_get(p, "loss_over_step")) == (i > 0)); /* the config's is of the mean */
    }
    json_decref(said);
}
END_TEST

/* Where a batch is several cuts, a trace is a product of numbers at the step before each; of a convolution at all. */
START_TEST(operations_of_traces) {
    enum { STEPS = 20 };
    write_config("data: {name: mnist, timesteps: 20, coding: rate}\n"
                 "model: [flatten, linear: 20, lif, linear: 30, lif, linear: 10]\n"
                 "train: {batch: 16, loss: {name: ce, over: step}, rule: ottt}\n");
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--json"));
    const json_t *p = json_object_get(json_object_get(said, "rules"), "ottt");
    const double cuts = ceil(STEPS / number(p, "cut"));
    ck_assert(cuts > 1);
    ck_assert_double_eq(number(p, "macs_dense"), B * (STEPS + cuts - 1) * (SECOND + THIRD));
    ck_assert_double_eq(number(p, "macs_weight_gradients"),
                        B * (STEPS * (FIRST + SECOND + THIRD) + (cuts - 1) * (SECOND + THIRD)));
    ck_assert_double_eq(number(p, "macs_traces"), B * (STEPS * (N + M) + (STEPS + cuts - 1) * (M + OUT)));
    json_decref(said);
    write_config("data: {name: mnist, timesteps: 6, coding: rate}\n"
                 "model: [conv: {out: 2, kernel: 5}, lif, conv: {out: 3, kernel: 5}, lif, flatten, linear: 10]\n"
                 "train: {batch: 16, loss: {name: ce, over: step}, rule: {name: ottt, readout_trace: false}}\n");
    said = expect_json(snntrain("plan", "c.yaml", "--json"));
    p = json_object_get(json_object_get(said, "rules"), "ottt");
    enum { HIDDEN = 3 * 20 * 20 * 2 * 25, LAST_ONE = 3 * 20 * 20 * OUT };
    ck_assert_double_eq(number(p, "macs_dense"), B * T * (2 * HIDDEN + LAST_ONE));
    ck_assert_double_eq(number(p, "macs_traces"), B * T * 2 * 24 * 24);
    json_decref(said);
}
END_TEST

/* A layer's spikes come back to it: errors with them, but not beyond a cut. */
START_TEST(operations_of_a_recurrence) {
    static const struct {
        const char *rule;
        int back;
    } ways[] = {{"bptt", T - 1}, {"{name: tbptt, k: 4}", T - 2}, {"sltt", 0}};
    enum { AGAIN = N * N, LOW = N * OUT };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; ++i) {
        char set[64];
        write_config("data: {name: mnist, timesteps: 6, coding: rate}\n"
                     "model: [flatten, linear: 20, lif: {recurrent: true}, linear: 10]\n" LAST);
        snprintf(set, sizeof set, "train.rule=%s", ways[i].rule);
        json_t *said = expect_json(snntrain("plan", "c.yaml", "--json", "--set", set));
        const json_t *p = json_object_iter_value(json_object_iter(json_object_get(said, "rules")));
        ck_assert_double_eq(number(p, "macs_forward"), B * T * (FIRST + AGAIN + LOW));
        ck_assert_double_eq(number(p, "macs_weight_gradients"), B * T * (FIRST + AGAIN + LOW));
        ck_assert_double_eq_tol(number(p, "macs_input_gradients"), B * (ways[i].back * AGAIN + T * LOW), 1e-6);
        json_decref(said);
    }
}
END_TEST

/* ---- shares of spikes ---- */

/* Of a run, as its log has them: the last epoch's, on the training data. */
START_TEST(rates_of_a_run) {
    ck_assert(!mkdir("run", 0755));
    write_text("run/config.yaml", FULL "train: {batch: 16}\n");
    write_text("run/log.jsonl",
               "{\"epoch\": 1, \"split\": \"train\", \"spike_rate\": {\"model.2.lif\": 0.9, \"model.4.lif\": 0.9}}\n"
               "{\"epoch\": 2, \"split\": \"train\", \"spike_rate\": {\"model.2.lif\": 0.5, \"model.4.lif\": 0.125}}\n"
               "{\"epoch\": 2, \"split\": \"test\", \"spike_rate\": {\"model.2.lif\": 0.8, \"model.4.lif\": 0.8}}\n");
    json_t *said = expect_json(snntrain("plan", "run", "--json"));
    const json_t *p = json_object_get(json_object_get(said, "rules"), "bptt");
    ck_assert_double_eq_tol(number(p, "synops_forward"), B * T * (0.05 * FIRST + 0.5 * SECOND + 0.125 * THIRD), 1e-3);
    ck_assert_double_eq(number(json_object_get(said, "spike_rates"), "model.4.lif"), 0.125);
    json_decref(said);
    said = expect_json(snntrain("plan", "run", "--json", "--density", "0.2"));
    p = json_object_get(json_object_get(said, "rules"), "bptt");
    ck_assert_double_eq_tol(number(p, "synops_forward"), B * T * (0.05 * FIRST + 0.2 * (SECOND + THIRD)), 1e-3);
    json_decref(said);
    expect_fails(snntrain("plan", "run", "--density", "2"), 2, "--density: expected a share of 0..1, got '2'", "two");
}
END_TEST

/* ---- what cannot be ---- */

START_TEST(refused) {
    static const char *const sentence =
        "c.yaml:2:24: model.1.tdbn: needs all steps at once, and the rule sltt sees a part of them at a time";
    write_config("data: {name: mnist, timesteps: 3}\n"
                 "model: [conv: {out: 2, kernel: 5}, tdbn, lif, flatten, linear: 10]\ntrain: {batch: 16}\n");
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--json", "--rule", "all"));
    const json_t *no = json_object_get(said, "refused");
    ck_assert(json_object_size(json_object_get(said, "rules")) == 1 && json_object_size(no) == 6);
    const char *why = text(no, "sltt");
    ck_assert_msg(!strncmp(why, "c.yaml:2:", 9) && strstr(why, strstr(sentence, "needs all steps")), "%s", why);
    json_decref(said);
    struct said tables = snntrain("plan", "c.yaml", "--rule", "all");
    ck_assert_msg(!tables.status && strstr(tables.out, "\nsltt cannot: c.yaml:2:") && strstr(tables.out, "\nbptt "),
                  "%s", tables.out);
    forget(tables);
    struct said alone = snntrain("plan", "c.yaml", "--rule", "sltt");
    ck_assert_msg(alone.status == 2 && !*alone.out && strstr(alone.err, "needs all steps at once"), "%s", alone.err);
    forget(alone);
    /* A loss that no rule but bptt can see, and that is not of the mean, stays as it is. */
    write_config(FULL "train: {batch: 16, loss: {name: ce, over: max}}\n");
    said = expect_json(snntrain("plan", "c.yaml", "--json", "--rule", "all"));
    ck_assert(strstr(text(json_object_get(said, "refused"), "ottt"), "expected `over: step`"));
    json_decref(said);
    /* Without --rule the config is taken at its word. */
    write_config(FULL "train: {batch: 16, rule: ottt}\n");
    struct said own = snntrain("plan", "c.yaml");
    ck_assert_msg(own.status == 2 && strstr(own.err, "expected `over: step`"), "%s", own.err);
    forget(own);
    own = snntrain("plan", "c.yaml", "--rule", "ottt");
    ck_assert_msg(!own.status && strstr(own.out, "\nottt: planned with loss over: step\n"), "%s%s", own.out, own.err);
    forget(own);
    write_config(FULL "train: {batch: 16, rule: otttt}\n");
    own = snntrain("plan", "c.yaml");
    ck_assert_msg(own.status == 2 && strstr(own.err, "did you mean 'ottt'"), "%s", own.err);
    forget(own);
}
END_TEST

int main(int argc, char **argv) {
    setenv("SNNTRAIN_CUDA", "/nonexistent.so", 1); /* the same choice of device on every machine */
    (void)argc;
    if (!find_program(argv[0])) return 1;
    snprintf(mnist, sizeof mnist, "%s", made_path("mnist"));
    snprintf(nmnist, sizeof nmnist, "%s", made_path("nmnist"));
    made_mnist(mnist, 64, 16);
    made_nmnist(nmnist, 5, 2);
    unsetenv("SNNTRAIN_DATA");
    setenv("GOMP_SPINCOUNT", "3000", 0); /* set, so that the program need not start a second time */
    Suite *suite = suite_create("plan");
    TCase *t = tcase_create("plan");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, enter, made_teardown);
    tcase_add_loop_test(t, bytes_of_a_run, 0, NETWORKS);
    tcase_add_loop_test(t, bytes_on_a_card, 0, NETWORKS);
    tcase_add_loop_test(t, operations_by_hand, 0, (int)(sizeof counts / sizeof *counts));
    tcase_add_test(t, operations_of_a_still_image);
    tcase_add_test(t, operations_of_traces);
    tcase_add_test(t, operations_of_a_recurrence);
    tcase_add_test(t, rates_of_a_run);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
