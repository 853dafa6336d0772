/* SPDX-License-Identifier: Apache-2.0
 * test_cuda.c - training runs on the emulated card: as on the CPU, as without graphs, as resumed, in any order of
 * blocks and threads; nothing waits within a step; and what happens when a card is missing, too small or lost. */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autograd/memory.h"
#include "made_npy.h"
#include "run_rig.h"
#include "train/device.h"
#include "train/step.h"

static const char *emulator;

static long asked_of(const char *counter) {
    void *library = dlopen(emulator, RTLD_LAZY | RTLD_NOLOAD);
    ck_assert_msg(library, "the emulator is not loaded: %s", dlerror());
    int64_t (*count)(void) = (int64_t(*)(void))dlsym(library, counter);
    ck_assert_msg(count, "%s", dlerror());
    dlclose(library);
    return (long)count();
}

/* Runs whose steps differ in what they read from memory: annealed numbers, rates, dropout, a clip, gradients of two
 * batches, a last batch that is smaller. */
static const char *const runs[] = {
    "seed: 3\n" DATA CONV_MODEL "train: {epochs: 2, batch: 16, accumulate: 2, schedule: {name: cosine, per: step}}\n",
    "seed: 4\ndata: {name: mnist, timesteps: 3, coding: rate}\n"
    "model: [flatten, linear: 20, plif: {reset: value, v_reset: -0.1}, dropout: 0.2, linear: 16, lif: {surrogate: "
    "atan}, linear: 10]\n"
    "train: {epochs: 2, batch: 18, clip: 0.5, optimizer: {name: sgd, momentum: 0.9, lr: 0.05},\n"
    "        schedule: {name: one_cycle, max_lr: 0.2, per: step},\n"
    "        anneal: [{key: model.3.dropout.p, to: 0.5}, {key: model.5.lif.tau, to: 1.5, until: 0.7, shape: cosine},\n"
    "                 {key: model.5.lif.surrogate.alpha, to: 5}, {key: model.2.plif.v_reset, to: -0.4}]}\nrun: "
    "{checkpoint_every: 2 steps}\n",
    "seed: 5\ndata: {name: mnist, timesteps: 4, coding: latency}\n"
    "model: [conv: {out: 4, kernel: 5, stride: 3}, lif, residual: {body: [conv: {out: 4, kernel: 3, padding: 1}, "
    "lif: {tau: 3}]}, flatten, linear: 10]\n"
    "train: {epochs: 2, batch: 20, loss: {name: ce, over: step}, optimizer: {name: nadam, lr: 0.003}}\n",
    "seed: 6\ndata: {name: arrays, validation: 0.2}\n"
    "model: [linear: 12, lif: {tau: 3}, linear: 2, li: {tau: 2}]\n"
    "train: {epochs: 3, batch: 10, accumulate: 2, loss: mse_membrane, optimizer: {name: adam, lr: 0.01}}\n",
    "seed: 7\ndata: {name: mnist, timesteps: 4}\n"
    "model: [conv: {out: 4, kernel: 5, stride: 3}, lif, flatten, linear: 20, lif, linear: 10, lif]\n"
    "train: {epochs: 2, batch: 18, accumulate: 2, optimizer: {name: adam, lr: 0.003},\n"
    "        loss: [{name: ce_temporal, class_weights: balanced}, {name: spike_max, weight: 0.5}, {name: rate_l2, per: "
    "channel},\n"
    "               {name: lower_bound, bound: 2}, {name: synops, target: 2000}, weight_l2, {name: periodic, match: "
    "'*.weight'}]}\n",
};
enum { RUNS = sizeof runs / sizeof *runs };

/* Sequences of 2 to 6 steps, with two numbers to be learned for every step, beside the images. */
static void made_arrays(void) {
    enum { N = 60, STEPS = 6, UNITS = 5 };
    static float x[N * STEPS * UNITS], y[N * STEPS * 2];
    unsigned char length[N];
    char path[MADE_PATH + 32];
    uint32_t seed = 9;
    for (int i = 0; i < N * STEPS * UNITS; ++i) x[i] = (float)(made_noise(&seed) % 256) / 64;
    for (int i = 0; i < N * STEPS * 2; ++i) y[i] = x[i / 2 * UNITS + i % 2] - x[i / 2 * UNITS + 2];
    for (int i = 0; i < N; ++i) length[i] = (unsigned char)(2 + made_noise(&seed) % (STEPS - 1));
    snprintf(path, sizeof path, "%s/X.npy", data_dir), made_npy(path, "<f4", "(60, 6, 5)", x, sizeof x);
    snprintf(path, sizeof path, "%s/Y.npy", data_dir), made_npy(path, "<f4", "(60, 6, 2)", y, sizeof y);
    snprintf(path, sizeof path, "%s/lengths.npy", data_dir), made_npy(path, "|u1", "(60,)", length, sizeof length);
}

static struct asked on_card(void) { return (struct asked){.device = "cuda"}; }

/* ---- equalities ---- */

/* A captured step replayed is the step queued kernel by kernel, to the bit. */
START_TEST(graphs) {
    struct snn_run_result with, without;
    ck_ok(train(runs[_i], made_path("with"), on_card(), &with));
    long started = asked_of("cudaemu_graph_launches");
    ck_assert_int_ge(started, with.steps - 12); /* all but the first of every shape and place */
    setenv("SNNTRAIN_CUDA_GRAPHS", "0", 1);
    ck_ok(train(runs[_i], made_path("without"), on_card(), &without));
    ck_assert_int_eq(asked_of("cudaemu_graph_launches"), started);
    expect_same_run(made_path("with"), made_path("without"), "without graphs");
    expect_same_result(&with, &without);
}
END_TEST

/* The order of blocks, threads and streams is the environment's, so a run in another order is another process. */
struct sitting {
    const char *variable, *value; /* of the emulator, which reads them when it starts */
    const char *yaml, *dir;
    int expected; /* what train() returns */
    bool resume;
};

/* Train in a process of its own; how many kernels that took. */
static long train_apart(struct sitting s) {
    long launches = 0;
    int status, ends[2];
    ck_assert(!pipe(ends));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        setenv(s.variable, s.value, 1);
        int rc = train(s.yaml, s.dir, (struct asked){.device = "cuda", .resume = s.resume}, NULL);
        launches = asked_of("cudaemu_launches");
        if (rc != s.expected) fprintf(stderr, "%s=%s: %d: %s\n", s.variable, s.value, rc, snn_error_text());
        bool said =
            rc >= 0 || (strstr(snn_error_text(), "cuda:0: ") &&
                        (strstr(snn_error_text(), "--resume") || strstr(snn_error_text(), "nothing of the run")));
        _exit(rc != s.expected || !said || write(ends[1], &launches, sizeof launches) != sizeof launches);
    }
    close(ends[1]);
    bool told = read(ends[0], &launches, sizeof launches) == sizeof launches;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(told && WIFEXITED(status) && !WEXITSTATUS(status), "%s=%s: status %#x", s.variable, s.value, status);
    return launches;
}

START_TEST(orders) {
    static const char *const others[] = {"rev", "1", "2", "3"};
    train_apart((struct sitting){"CUDAEMU_ORDER", "fwd", runs[_i], made_path("fwd"), SNN_OK});
    for (int k = 0; k < 4; ++k) {
        train_apart((struct sitting){"CUDAEMU_ORDER", others[k], runs[_i], made_path("other%d", k), SNN_OK});
        expect_same_run(made_path("fwd"), made_path("other%d", k), others[k]);
    }
}
END_TEST

START_TEST(resumed) {
    struct snn_run_result whole, parts;
    ck_ok(train(runs[_i], made_path("whole"), on_card(), &whole));
    int batches = hook.batches;
    for (int stop_at = 1; stop_at <= batches; stop_at += 3) {
        char why[64];
        struct asked stopped = {.device = "cuda", .stop_at = stop_at}, again = {.device = "cuda", .resume = true};
        snprintf(why, sizeof why, "run %d stopped at batch %d", _i, stop_at);
        const char *dir = made_path("stopped_%d", stop_at);
        int rc = train(runs[_i], dir, stopped, &parts);
        ck_assert_msg(rc == SNN_EINTR, "%s: %d: %s", why, rc, snn_error_text());
        ck_ok(train(runs[_i], dir, again, &parts));
        expect_same_run(made_path("whole"), dir, why);
        expect_same_result(&whole, &parts);
    }
}
END_TEST

/* A run goes on on the other device from the same checkpoint format. */
START_TEST(other_device) {
    struct asked stopped = {.device = "cuda", .stop_at = 3}, on_cpu = {.resume = true};
    ck_assert_int_eq(train(runs[_i], made_path("moved"), stopped, NULL), SNN_EINTR);
    ck_ok(train(runs[_i], made_path("moved"), on_cpu, NULL));
}
END_TEST

/* ---- as on the CPU ---- */

static double losses_of(const char *device, const char *yaml, int steps, double *first) {
    struct snn_experiment e;
    struct snn_metrics m;
    const struct snn_batch *batch;
    int64_t done = 0;
    double before = 0;
    open_run_on(device, yaml, 0, &e);
    struct snn_network_plan plan = snn_experiment_plan(&e, true);
    ck_ok(snn_network_allocate(&e.network, &plan));
    ck_ok(snn_experiment_init(&e));
    snn_metrics_init(&m, &e.network, e.steps, NULL, 1);
    snn_metrics_start(&m, &e.network);
    for (int epoch = 0; done < steps; ++epoch) {
        ck_ok(snn_loader_start(e.loader[0], epoch, 0));
        for (; done < steps; ++done) {
            ck_ok(snn_loader_next(e.loader[0], &batch));
            if (!batch) break;
            struct snn_step step = {.seed = 1,
                                    .number = done,
                                    .samples = batch->B,
                                    .first = true,
                                    .last = true,
                                    .rate = {1, NAN},
                                    .clip = e.train.clip};
            before = m.score[0].loss;
            ck_ok(snn_step(&e.network, &e.trainer, batch, &step));
            ck_ok(snn_metrics_look(&m, &e.network));
            if (done == 0) *first = m.score[0].loss / batch->B;
            before = (m.score[0].loss - before) / batch->B;
        }
    }
    snn_metrics_free(&m);
    snn_experiment_close(&e);
    return before;
}

/* Twenty steps from the same start: the first loss is the same; later a flipped spike may lead elsewhere, but as far.
 */
START_TEST(as_on_the_cpu) {
    double first[2], last[2];
    last[0] = losses_of("cpu", runs[_i], 20, &first[0]);
    last[1] = losses_of("cuda", runs[_i], 20, &first[1]);
    ck_assert_msg(fabs(first[0] - first[1]) <= 1e-5 * first[0], "first loss %.9g, on the card %.9g", first[0],
                  first[1]);
    ck_assert_msg(fabs(last[0] - last[1]) <= 0.02 * first[0], "loss after 20 steps %.9g, on the card %.9g", last[0],
                  last[1]);
    ck_assert_msg(_i == 1 || last[0] < first[0], "nothing was learned: %.9g, then %.9g", first[0], last[0]);
}
END_TEST

/* ---- one step, one launch, no waiting ---- */

START_TEST(nothing_waits) {
    enum { WARM = 6, STEPS = 12 };
    struct snn_experiment e;
    const struct snn_batch *batch;
    open_run_on("cuda", runs[0], 0, &e);
    struct snn_network_plan plan = snn_experiment_plan(&e, true);
    ck_ok(snn_network_allocate(&e.network, &plan));
    ck_ok(snn_experiment_init(&e));
    ck_ok(snn_loader_start(e.loader[0], 0, 0));
    ck_ok(snn_loader_next(e.loader[0], &batch));
    long started = 0, waits = 0, held = 0;
    for (int i = 0; i < WARM + STEPS; ++i) {
        if (i == WARM)
            started = asked_of("cudaemu_graph_launches"), waits = asked_of("cudaemu_syncs"),
            held = asked_of("cudaemu_bytes_allocated");
        struct snn_step step = {
            .number = i, .samples = batch->B, .first = true, .last = true, .rate = {1, NAN}, .clip = 1};
        ck_ok(snn_step(&e.network, &e.trainer, batch, &step));
    }
    ck_assert_int_eq(asked_of("cudaemu_graph_launches") - started, STEPS);
    /* The one wait of a step is for the batch before the last, whose place in memory is filled again. */
    ck_assert_int_eq(asked_of("cudaemu_syncs") - waits, STEPS);
    ck_assert_int_eq(asked_of("cudaemu_bytes_allocated"), held);
    snn_experiment_close(&e);
    ck_assert_int_eq(asked_of("cudaemu_bytes_allocated"), 0); /* and nothing is kept */
}
END_TEST

/* ---- what can be wrong ---- */

static int opened(const char *name) {
    struct snn_device device;
    int rc = snn_device_open(name, 0, &device);
    if (rc >= 0) snn_device_close(&device);
    return rc;
}

START_TEST(no_card) {
    static const struct {
        const char *variable, *value, *name, *sentence;
    } cases[] = {
        {"CUDAEMU_DRIVER", "none", "cuda", "--device cuda: no NVIDIA driver is installed (--device cpu runs here)"},
        {"CUDAEMU_DRIVER", "11040", "cuda", "--device cuda: the NVIDIA driver is for CUDA 11.4, this build needs "},
        {"CUDAEMU_DEVICES", "0", "cuda", "--device cuda: this machine has no NVIDIA card that CUDA can use"},
        {"CUDAEMU_DEVICES", "2", "cuda:2", "--device cuda:2: there is no cuda:2: this machine has 2 CUDA devices"},
        {"SNNTRAIN_CUDA", "/nonexistent.so", "cuda",
         "--device cuda: the CUDA backend cannot be loaded: /nonexistent.so"},
        {"SNNTRAIN_CUDA", "libm.so.6", "cuda", "--device cuda: libm.so.6: is not snntrain's CUDA backend"},
        {"CUDAEMU_DEVICES", "1", "cuda:x", "--device: expected cuda or cuda:N, got 'cuda:x'"},
        {"CUDAEMU_DEVICES", "1", "cuda:1x", "--device: expected cuda or cuda:N, got 'cuda:1x'"},
        {"CUDAEMU_DEVICES", "1", "cudax", "--device: expected cuda or cuda:N, got 'cudax'"},
    };
    ck_assert_int_lt(_i, (int)(sizeof cases / sizeof *cases));
    setenv(cases[_i].variable, cases[_i].value, 1);
    ck_error(opened(cases[_i].name), SNN_EUSAGE, cases[_i].sentence);
    struct snn_device device;
    ck_ok(snn_device_open("auto", 0, &device)); /* which takes the CPU then, but for a wrong name */
    ck_assert_str_eq(device.name, _i < 6 && _i != 3 ? "cpu" : "cuda:0");
    snn_device_close(&device);
}
END_TEST

/* Rounder products only where they were asked for, and told. */
START_TEST(tf32) {
    struct snn_device device;
    setenv("SNNTRAIN_CUDA_TF32", _i ? "1" : "0", 1);
    ck_ok(snn_device_open("cuda", 0, &device));
    ck_assert_str_eq(device.variant, _i ? "emulated, sm_80, TF32" : "emulated, sm_80");
    snn_device_close(&device);
}
END_TEST

START_TEST(too_little_memory) {
    struct asked asked = on_card();
    setenv("CUDAEMU_MEMORY", _i ? "1000000" : "34200000", 1); /* the backend itself takes 34.1 MB */
    if (_i) ck_error(opened("cuda"), SNN_EFAIL, "cuda:0: out of memory");
    else ck_error(train(runs[1], made_path("small"), asked, NULL), SNN_EUSAGE, " MB are planned, ");
    ck_assert(access(made_path("small"), F_OK)); /* refused before the run: no folder is left */
}
END_TEST

/* The card fails at launch N of the run, whatever that is: the run ends with a sentence, and its last checkpoint is
 * whole. */
START_TEST(lost) {
    char at[32], last[MADE_PATH];
    long launches = train_apart((struct sitting){"CUDAEMU_ORDER", "fwd", runs[1], made_path("whole"), SNN_OK});
    for (int k = 1; k <= 4; ++k) {
        const char *dir = made_path("lost%d", k);
        snprintf(at, sizeof at, "%ld", launches * k / 5);
        train_apart((struct sitting){"CUDAEMU_LOSE_AT", at, runs[1], dir, SNN_EFAIL});
        snprintf(last, sizeof last, "%s/last.safetensors", dir);
        if (!snn_file_exists(last)) continue; /* before the first */
        train_apart((struct sitting){"CUDAEMU_ORDER", "fwd", runs[1], dir, SNN_OK, true});
        expect_same_run(made_path("whole"), dir, at);
    }
    ck_assert(snn_file_exists(last));
}
END_TEST

static void spoil(struct snn_network *n, int batch) {
    static const real nan = NAN;
    const struct snn_param *p = snn_params_find(&n->model.params, "model.1.linear.weight");
    if (batch == 4) n->device->memory->upload(n->device, p->value + 5, &nan, sizeof nan);
}

/* Many steps are queued before anybody looks, yet the one that went wrong is named, and its weights were not changed.
 */
START_TEST(not_finite) {
    struct asked asked = {.device = "cuda", .at = spoil};
    setenv("SNNTRAIN_CUDA_GRAPHS", "0", 1); /* a replayed step does not call us */
    ck_error(train(runs[1], made_path("spoiled"), asked, NULL), SNN_EFAIL,
             "step 3: parameter model.1.linear.weight is not finite");
}
END_TEST

int main(void) {
    if (why_no_card()) {
        printf("1..0 # SKIP %s\n", why_no_card());
        return 0;
    }
    emulator = getenv("SNNTRAIN_CUDA");
    Suite *suite = suite_create("cuda");
    TCase *t = tcase_create("cuda");
    tcase_set_timeout(t, 200);
    tcase_add_checked_fixture(t, made_setup, made_teardown);
    tcase_add_loop_test(t, graphs, 0, RUNS);
    tcase_add_loop_test(t, orders, 0, RUNS);
    tcase_add_loop_test(t, resumed, 0, RUNS);
    tcase_add_loop_test(t, other_device, 0, RUNS);
    tcase_add_loop_test(t, as_on_the_cpu, 0, RUNS);
    tcase_add_test(t, nothing_waits);
    tcase_add_loop_test(t, no_card, 0, 9);
    tcase_add_loop_test(t, tf32, 0, 2);
    tcase_add_loop_test(t, too_little_memory, 0, 2);
    tcase_add_test(t, lost);
    tcase_add_test(t, not_finite);
    suite_add_tcase(suite, t);
    made_run_data();
    made_arrays();
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
