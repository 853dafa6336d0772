/* SPDX-License-Identifier: Apache-2.0
 * test_roofline.c - the CUDA backend's memory and costs, told without CUDA: against sums done by hand, against the
 * names in its sources, and against the emulated backend, kernel by kernel. */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autograd/math.h"
#include "autograd/memory.h"
#include "core/rng.h"
#include "cuda/cost.h"
#include "cuda/sizes.h"
#include "snn_check.h"
#include "train/device.h"
#include "train/roofline.h"

#define COUNT_OF(list) ((int)(sizeof(list) / sizeof *(list)))

/* ---- experiments without data ---- */

struct counted {
    struct snn_experiment e;
    struct snn_device counting;
    struct snn_costs costs;
};

static void open_experiment(const char *device, const char *data, const char *rest, int batch,
                            struct snn_experiment *e) {
    char text[1024];
    struct snn_conf_doc *doc;
    struct snn_experiment_options options = {.device = device, .threads = 1};
    ck_assert_int_lt(snprintf(text, sizeof text, "data: %s\n%s", data, rest), (int)sizeof text);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
    ck_ok(snn_experiment_read(doc, &options, e));
    e->steps = (int32_t)e->data.timesteps, e->train.batch = batch;
}

static void count_step(const char *data, const char *rest, int batch, struct counted *c) {
    open_experiment("cpu", data, rest, batch, &c->e);
    ck_ok(snn_costs_open(&c->costs, &c->counting));
    ck_ok(snn_count_step(&c->e, &c->e.trainer, &c->counting, &c->costs));
}

static void close_counted(struct counted *c) {
    snn_experiment_close(&c->e);
    snn_device_close(&c->counting);
}

static int64_t launches_of(const struct snn_costs *costs) {
    int64_t sum = 0;
    for (int i = 0; i < costs->count; ++i) sum += costs->cost[i].launches;
    return sum;
}

/* ---- by hand ---- */

/* One linear layer, 784 -> 10 with 7850 numbers, on 3 steps of 4 samples, whose spikes stay lists. Numbers, indices and
 * offsets have 4 bytes; a spike takes a multiplication and an addition for each output. */
START_TEST(linear_by_hand) {
    enum { ROWS = 3 * 4, IN = 784, OUT = 10, N = IN * OUT + OUT, SLAB = IN * OUT + 16, BLOCKS = (N + 255) / 256 };
    const double lists = ROWS * (4 + 0.05 * IN * 4), products = 2 * 0.05 * ROWS * IN * OUT;
    const struct snn_cost expected[] = {
        {"memory.cudaMemsetAsync", 1, 4 * SLAB, 0},  /* gradients */
        {"math.count_events", 1, ROWS * (4 + 4), 0}, /* offset and count */
        {"linear.turn_weights", 1, 4 * 2 * IN * OUT, 0},
        {"linear.add_listed_weights", 1, lists + 4 * (IN * OUT + OUT + ROWS * OUT), products},
        {"loss.evaluate_samples", 1, 4 * 2 * ROWS * OUT + 4 * (8 + 4), 4 * ROWS * OUT},
        {"loss.sum_losses", 1, 4 * 8, 4},
        {"loss.decide_samples", 1, 4 * ROWS * OUT + 4 * 4, ROWS * OUT},
        {"linear.add_columns", 1, 4 * (ROWS * OUT + OUT), ROWS * OUT},
        {"linear.add_column_parts", 1, 4 * (OUT + 2 * OUT), OUT},
        {"linear.add_listed_gradients", 1, lists + 4 * (ROWS * OUT + IN * 32), products}, /* rows of 32 numbers */
        {"linear.add_parts", 1, 4 * (IN * OUT + 2 * IN * OUT), IN * OUT},
        {"optim.add_squares", 1, 4 * N + 8 * BLOCKS, 2 * N},
        {"optim.add_partials", 1, 8 * BLOCKS + 8, BLOCKS},
        {"optim.close_gate", 1, 8 + sizeof(struct snn_gate), 1},
        {"optim.step_adam", 1, 4 * 7 * N, 10 * N}, /* weight and two moments read and written, gradient read */
    };
    struct counted c;
    count_step("{name: mnist, timesteps: 3, coding: rate}", "model: [flatten, linear: 10]\n", 4, &c);
    ck_assert_int_eq(c.costs.count, COUNT_OF(expected));
    ck_assert_int_eq(c.costs.graphs, 1);
    for (int i = 0; i < COUNT_OF(expected); ++i) {
        const struct snn_cost *is = &c.costs.cost[i], *should = &expected[i];
        ck_assert_str_eq(is->kernel, should->kernel);
        ck_assert_int_eq(is->launches, should->launches);
        ck_assert_msg(fabs(is->bytes - should->bytes) < 1e-6 && is->flops == should->flops,
                      "%s: %g bytes (expected %g), %g operations (expected %g)", is->kernel, is->bytes, should->bytes,
                      is->flops, should->flops);
    }
    close_counted(&c);
}
END_TEST

/* The floor of two kernels, of which one waits for memory and the other for arithmetic. */
START_TEST(floor_by_hand) {
    const struct snn_card card = {"card", "a card", 100, 1000};
    struct snn_cost cost[] = {{"a.x", 2, 300, 10}, {"a.y", 1, 10, 20000}, {"a.x", 1, 50, 4000}};
    const struct snn_costs costs = {.cost = cost, .count = 3};
    struct snn_roofline r;
    ck_ok(snn_roofline(&costs, &card, &r));
    ck_assert_int_eq(r.kernels, 2);
    ck_assert_str_eq(r.kernel[0].kernel, "a.y");
    ck_assert_double_eq(r.kernel[0].seconds, 20);
    ck_assert_double_eq(r.kernel[1].seconds, 2 * 3 + 4); /* bytes twice, operations once */
    ck_assert_int_eq(r.kernel[1].launches, 3);
    ck_assert_double_eq(r.all.seconds, 30);
    ck_assert_double_eq(r.all.bytes, 660);
    ck_assert_double_eq(r.all.flops, 24020);
    ck_assert_int_eq(r.all.launches, 4);
    snn_roofline_free(&r);
}
END_TEST

START_TEST(cards) {
    const struct snn_card *card;
    for (const struct snn_card *c = snn_cards; c->name; ++c) {
        ck_ok(snn_card_find(c->name, &card));
        ck_assert_ptr_eq(card, c);
        ck_assert(c->bandwidth > 1e11 && c->bandwidth < 1e13 && c->peak > 1e12 && c->peak < 1e15);
    }
    ck_error(snn_card_find("h1000", &card), SNN_EUSAGE, "'h1000'; known are h200, h100, ");
}
END_TEST

/* ---- what a batch changes ---- */

#define RATE "{name: mnist, timesteps: 4, coding: rate}"
#define STILL "{name: mnist, timesteps: 4}"
#define EVENTS "{name: nmnist, timesteps: 4, bin: {by: count}}"

START_TEST(memory_by_batch) {
    struct counted c;
    struct snn_arena arena[2];
    count_step(RATE, "model: [avgpool: 1, flatten, linear: 10, li]\n", 16, &c);
    for (int i = 0; i < 2; ++i) {
        struct snn_network_plan plan = {.T = 4, .B = 16 << i, .cut = 4, .train = true};
        struct snn_experiment e;
        open_experiment("cpu", RATE, "model: [avgpool: 1, flatten, linear: 10, li]\n", plan.B, &e);
        e.network.device = &c.counting;
        snn_network_measure(&e.network, &plan, &arena[i]);
        snn_experiment_close(&e);
    }
    ck_assert_uint_gt(arena[0].by_purpose[SNN_MEM_ACTIVATIONS], 4 * 16 * 784 * sizeof(real));
    ck_assert_uint_eq(arena[1].by_purpose[SNN_MEM_ACTIVATIONS], 2 * arena[0].by_purpose[SNN_MEM_ACTIVATIONS]);
    ck_assert_uint_eq(arena[1].by_purpose[SNN_MEM_PARAMETERS], arena[0].by_purpose[SNN_MEM_PARAMETERS]);
    ck_assert_uint_eq(arena[1].by_purpose[SNN_MEM_OPTIMIZER], arena[0].by_purpose[SNN_MEM_OPTIMIZER]);
    close_counted(&c);
}
END_TEST

/* Numbers of the input are kept only where somebody reads them. */
START_TEST(memory_of_input) {
    static const struct {
        const char *data, *model;
        bool numbers;
    } of[] = {
        {EVENTS, "model: [flatten, linear: 10, li]\n", false},
        {EVENTS, "model: [conv: {out: 1, kernel: 33}, lif, flatten, linear: 10]\n", false},
        {EVENTS, "model: [flatten, residual: {body: [linear: 10], shortcut: [linear: 10]}, li]\n", false},
        {EVENTS, "model: [maxpool: 2, flatten, linear: 10, li]\n", true},
        {EVENTS, "model: [flatten, batchnorm, linear: 10, li]\n", true},
        {EVENTS, "model: [flatten, residual: {body: [dropout: 0.5], shortcut: [linear: 2312]}, linear: 10, li]\n",
         true},
    };
    for (int i = 0; i < COUNT_OF(of); ++i) {
        struct snn_experiment e;
        struct snn_arena arena;
        struct snn_network_plan plan = {.T = 4, .B = 16, .cut = 4, .train = true};
        open_experiment("cpu", of[i].data, of[i].model, plan.B, &e);
        snn_network_measure(&e.network, &plan, &arena);
        const struct snn_tensor *x = e.network.model.tape.input;
        ck_assert_int_eq(x->is_listed, !of[i].numbers);
        ck_assert_int_eq(x->data_buffer >= 0, of[i].numbers);
        plan.smooth = true; /* the gradient check moves numbers */
        snn_network_measure(&e.network, &plan, &arena);
        ck_assert(!x->is_listed && x->data_buffer >= 0);
        snn_experiment_close(&e);
    }
}
END_TEST

/* The batch makes kernels larger, not more of them (where no convolution passes in chunks). */
START_TEST(launches_by_batch) {
    static const char *const models[] = {
        "model: [flatten, linear: 64, lif, linear: 10]\n",
        "model: [avgpool: 2, lif, maxpool: 2, batchnorm, plif, dropout: 0.5, flatten, linear: 10, li]\n",
    };
    static const char *const data[] = {RATE, STILL, EVENTS};
    for (int i = 0; i < COUNT_OF(models) * COUNT_OF(data); ++i) {
        struct counted one, many;
        count_step(data[i / COUNT_OF(models)], models[i % COUNT_OF(models)], 1, &one);
        count_step(data[i / COUNT_OF(models)], models[i % COUNT_OF(models)], 64, &many);
        ck_assert_int_gt(launches_of(&one.costs), 10);
        ck_assert_int_eq(launches_of(&one.costs), launches_of(&many.costs));
        close_counted(&one), close_counted(&many);
    }
}
END_TEST

/* Batches that share an optimiser step: its kernels are there once. */
START_TEST(accumulated) {
    struct counted c;
    int64_t steps = 0, losses = 0;
    count_step(RATE, "model: [flatten, linear: 10]\ntrain: {accumulate: 3}\n", 4, &c);
    for (int i = 0; i < c.costs.count; ++i) {
        if (!strcmp(c.costs.cost[i].kernel, "optim.step_adam")) steps += c.costs.cost[i].launches;
        if (!strcmp(c.costs.cost[i].kernel, "loss.evaluate_samples")) losses += c.costs.cost[i].launches;
    }
    ck_assert_int_eq(steps, 1);
    ck_assert_int_eq(losses, 3);
    ck_assert_int_eq(c.costs.graphs, 3);
    close_counted(&c);
}
END_TEST

/* Memory that is only addresses: far more than there is. */
START_TEST(larger_than_the_machine) {
    struct counted c;
    count_step("{name: nmnist, timesteps: 100}", "model: [conv: {out: 64, kernel: 5}, lif, flatten, linear: 10]\n",
               4096, &c);
    ck_assert_uint_gt(c.e.network.arena.size, (size_t)1 << 37);
    int ends[2]; /* who reads it crashes; the kernel refuses */
    ck_assert(!pipe(ends) && write(ends[1], c.e.network.arena.base, 1) == -1 && errno == EFAULT);
    close(ends[0]), close(ends[1]);
    close_counted(&c);
}
END_TEST

/* ---- names ---- */

static const char *const files[] = {"attention", "binary",  "conv",     "delay",  "linear", "loss",
                                    "math",      "memory",  "mix",      "neuron", "norm",   "optim",
                                    "pool",      "regular", "temporal", "ultra",  "weights"};

static char *read_source(const char *name) {
    char path[4096];
    const char *root = getenv("SNN_SOURCE");
    snprintf(path, sizeof path, "%s/src/cuda/%s", root ? root : ".", name);
    FILE *f = fopen(path, "r");
    char *text = f ? calloc(1, 1 << 20) : NULL;
    if (text) ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
    if (f) fclose(f);
    return text;
}

struct names {
    char name[128][64]; /* FILE.KERNEL */
    int count;
};

static bool has(const struct names *names, const char *name) {
    for (int i = 0; i < names->count; ++i)
        if (!strcmp(names->name[i], name)) return true;
    return false;
}

static void add_name(struct names *names, const char *file, const char *word, size_t n) {
    ck_assert_int_lt(names->count, COUNT_OF(names->name));
    char *to = names->name[names->count];
    snprintf(to, sizeof *names->name, "%s%s%.*s", file, *file ? "." : "", (int)n, word);
    if (!has(names, to)) ++names->count;
}

static size_t word_length(const char *at) {
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_') ++n;
    return n;
}
static const char *skip(const char *at) { return at + strspn(at, " \n\\"); }

/* The word after `__global__ void [__launch_bounds__(...)]`; a macro's step_##name gives step_. */
static void find_kernels(const char *file, const char *text, struct names *names) {
    for (const char *at = text; (at = strstr(at, "__global__")) != NULL;) {
        at = skip(at + strlen("__global__"));
        ck_assert_msg(!strncmp(at, "void", 4), "%s.cu: %.60s", file, at);
        at = skip(at + 4);
        if (!strncmp(at, "__launch_bounds__", 17)) at = skip(strchr(at, ')') + 1);
        ck_assert_msg(word_length(at) > 0, "%s.cu: %.60s", file, at);
        add_name(names, file, at, word_length(at));
    }
}

static void find_declared(const char *text, struct names *names) {
    for (const char *at = text; (at = strchr(at, '"')) != NULL;) {
        size_t file = word_length(++at), kernel = at[file] == '.' ? word_length(at + file + 1) : 0;
        if (file && kernel && at[file + 1 + kernel] == '"') add_name(names, "", at, file + 1 + kernel);
        at = strchr(at, '"') + 1;
    }
}

/* A library's call, not a kernel of ours. */
static bool is_call(const char *name) {
    const char *kernel = strchr(name, '.') + 1;
    return !strncmp(kernel, "cublas", 6) || !strncmp(kernel, "cuda", 4);
}

START_TEST(names) {
    struct names kernels = {0}, declared = {0};
    char *cost = read_source("cost.c"), *product = read_source("product.cuh"), *texts[COUNT_OF(files)], path[64];
    if (!cost || !product) {
        fprintf(stderr, "skipped: the sources of the CUDA backend are not there\n");
        return;
    }
    find_declared(cost, &declared);
    for (int i = 0; i < COUNT_OF(files); ++i) {
        snprintf(path, sizeof path, "%s.cu", files[i]);
        texts[i] = read_source(path);
        ck_assert_msg(texts[i], "%s is missing", path);
        find_kernels(files[i], texts[i], &kernels);
    }
    static const char *const without[] = {"backend.cu",  "graphs.cu",  "stage.cu",
                                          "product.cuh", "reduce.cuh", "rows.cuh"};
    for (int i = 0; i < COUNT_OF(without); ++i) {
        char *text = read_source(without[i]);
        ck_assert_msg(text && !strstr(text, "__global__"), "%s is missing, or has kernels that nobody counts",
                      without[i]);
        free(text);
    }
    ck_assert_int_gt(kernels.count, 40);
    for (int i = 0; i < kernels.count; ++i)
        ck_assert_msg(has(&declared, kernels.name[i]), "%s: no cost is declared for it", kernels.name[i]);
    for (int i = 0; i < declared.count; ++i) {
        const char *name = declared.name[i];
        if (!is_call(name)) ck_assert_msg(has(&kernels, name), "%s: there is no such kernel", name);
        for (int f = 0; is_call(name) && f < COUNT_OF(files); ++f)
            if (!strncmp(files[f], name, strlen(files[f])) && name[strlen(files[f])] == '.')
                ck_assert_msg(strstr(texts[f], strchr(name, '.') + 1) ||
                                  (strstr(texts[f], "product(") && strstr(product, strchr(name, '.') + 1)),
                              "%s: is not called there", name);
    }
    for (int i = 0; i < COUNT_OF(files); ++i) free(texts[i]);
    free(cost), free(product);
}
END_TEST

/* ---- against the emulated backend ---- */

static bool emulated(void) {
    const char *library = getenv("SNN_CUDAEMU");
    if (library && *library) return !setenv("SNNTRAIN_CUDA", library, 1);
    fprintf(stderr, "skipped: this build has no emulated CUDA backend (SNN_CUDAEMU names it)\n");
    return false;
}

/* A figure of the emulator, or -1 where it is not to be had. */
static int64_t emulator_says(const char *name) {
    void *library = dlopen(getenv("SNNTRAIN_CUDA"), RTLD_NOW | RTLD_NOLOAD);
    int64_t (*figure)(void) = library ? (int64_t(*)(void))dlsym(library, name) : NULL;
    int64_t value = figure ? figure() : -1;
    if (library) dlclose(library);
    return value;
}

START_TEST(scratch_as_emulated) {
    static const struct snn_linear_shape linear[] = {{1, 1, 1},         {64, 784, 10},        {640, 800, 10},
                                                     {4096, 2312, 512}, {300 * 64, 700, 128}, {7, 100000, 65}};
    static const struct snn_conv_shape conv[] = {
        {2, 1, 34, 34, 16, 1, 30, 30, {1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1},
        {16, 1, 15, 15, 32, 1, 11, 11, {1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1},
        {64, 1, 8, 8, 64, 1, 4, 4, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, 64},
        {3, 1, 9, 7, 5, 1, 9, 7, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1},
        {3, 6, 9, 7, 5, 4, 9, 7, {3, 3, 1}, {1, 1, 1}, {0, 1, 0}, {1, 1, 1}, 1},
    };
    static const struct snn_pool_shape pool = {16, 30, 30, 15, 15, {2, 2}, {2, 2}, {0, 0}};
    struct snn_device counting, card;
    struct snn_costs costs;
    if (!emulated()) return;
    ck_ok(snn_device_open("cuda", 1, &card));
    ck_ok(snn_costs_open(&costs, &counting));
    for (int form = SNN_DENSE; form <= SNN_LISTS; ++form) {
        enum snn_form x = (enum snn_form)form;
        for (int i = 0; i < COUNT_OF(linear); ++i)
            ck_assert_uint_eq(counting.math->linear_scratch(1, &linear[i], x),
                              card.math->linear_scratch(1, &linear[i], x));
        for (int i = 0; i < COUNT_OF(conv); ++i)
            for (ptrdiff_t rows = 1; rows <= 100000; rows *= 10)
                ck_assert_uint_eq(counting.conv->scratch(1, &conv[i], rows, x),
                                  card.conv->scratch(1, &conv[i], rows, x));
    }
    ck_assert_uint_eq(counting.pool->scratch(1, &pool), card.pool->scratch(1, &pool));
    for (int form = SNN_BATCH_STATIC; form <= SNN_BATCH_EVENTS + 1; ++form) {
        struct snn_batch b = {.form = (enum snn_batch_form)form, .T = 7, .B = 33, .C = 2, .H = 34, .W = 34};
        b.by_sample = form > SNN_BATCH_EVENTS;
        if (b.by_sample) b.form = SNN_BATCH_EVENTS;
        ck_assert_uint_eq(counting.memory->stage_bytes(&counting, &b), card.memory->stage_bytes(&card, &b));
    }
    ck_assert_int_eq(counting.threads, card.threads);
    ck_assert_uint_eq(counting.cache, card.cache);
    ck_assert_int_eq(counting.interval, card.interval);
    snn_device_close(&counting), snn_device_close(&card);
}
END_TEST

static const struct sample_network {
    const char *data, *rest;
    int batch;
} networks[] = {
    {STILL, "model: [flatten, linear: 256, lif, linear: 10]\n", 3},
    {STILL, "model: [flatten, residual: {body: [linear: 10, lif], shortcut: [linear: 10]}]\n", 2},
    {RATE, "model: [flatten, linear: 40, plif, linear: 70, lif, linear: 10, li]\ntrain: {clip: 0.5, optimizer: sgd}\n",
     5},
    {EVENTS, /* configs/nmnist_conv.yaml */
     "model: [conv: {out: 16, kernel: 5}, lif, avgpool: 2, conv: {out: 32, kernel: 5}, lif, avgpool: 2, flatten,\n"
     "        linear: 10]\n",
     4},
    {EVENTS, "model: [conv: {out: 4, kernel: 5, stride: 4}, lif, avgpool: 2, flatten, linear: 10]\n", 1},
    {STILL,
     "model: [conv: {out: 4, kernel: 1}, batchnorm, lif, maxpool: 2, dropout: 0.3,\n"
     "        conv: {out: 6, kernel: 3, padding: 1, stride: 2, groups: 2, bias: false}, layernorm, plif,\n"
     "        conv: {out: 6, kernel: 1}, if, flatten, linear: 10]\n"
     "train: {optimizer: {name: adam, groups: [{match: '*.bias', weight_decay: 0}], weight_decay: 0.1}, clip: 1,\n"
     "        loss: {name: mse_count}}\n",
     1},
    {EVENTS,
     "model: [avgpool: 3, conv: {out: 8, kernel: 3}, batchnorm: {over: joint}, lif, residual: {body:\n"
     "        [conv: {out: 8, kernel: 3, padding: 1}, batchnorm, lif, conv: {out: 8, kernel: 1}]}, flatten,\n"
     "        linear: 12, layernorm, lif, linear: 10]\n"
     "train: {freeze: [model.2.*], optimizer: rmsprop, accumulate: 2}\n",
     3},
    {EVENTS,
     "model: [flatten, delay: {out: 20, kernel: 3, right: half}, batchnorm: {over: joint}, lif, dropout: 0.4,\n"
     "        delay: {out: 20, kernel: 3, groups: 2, count: 2, version: max, sigma: 0.5}, lif,\n"
     "        delay: {out: 10, kernel: 3, version: v1}]\n",
     2},
    {STILL,
     "model: [conv: {out: 4, kernel: 5, stride: 3}, lif, conv_transpose: {out: 3, kernel: 3, stride: 2, padding: 1},\n"
     "        lif, conv_transpose: {out: 2, kernel: 1, groups: 1}, lif, reshape: [2, 5, 3, 15],\n"
     "        conv3d: {out: 2, kernel: [3, 2, 5], stride: [1, 1, 2]}, lif, reshape: [3, -1],\n"
     "        conv1d: {out: 6, kernel: 5, padding: 2, groups: 3}, lif, temporal_conv: {kernel: 3}, flatten,\n"
     "        linear: 10]\n",
     4},
    {STILL,
     "model: [conv: {out: 6, kernel: 5, stride: 3}, bntt, lif, groupnorm: 3, scale: {by: channel, learn: true}, relu,\n"
     "        tebn: {affine: weight}, if, hardtanh, flatten, rmsnorm, linear: 10, scale: 2]\n",
     2},
    {EVENTS,
     "model: [sumpool: 3, adaptiveavgpool: [5, 3], conv: {out: 8, kernel: 2}, lif, adaptiveavgpool: 2, if,\n"
     "        dropout: {channels: true, time_shared: false}, residual: {body: [globalpool: max], shortcut: "
     "[globalpool:\n"
     "        sum]}, linear: 20, lif, voting: 2]\n",
     3},
    {STILL,
     "model: [conv: {out: 4, kernel: 5, stride: 5}, temporal_attention: {reduction: 2}, lif, residual: {join: iand, "
     "body:\n"
     "        [conv: {out: 4, kernel: 1}, lif]}, concat: [[], [conv: {out: 2, kernel: 1}]], attention: {body:\n"
     "        [conv: {out: 8, kernel: 1}, lif], heads: 2}, lif, pad_channels: 12, flatten, linear: 10]\n",
     2},
    {EVENTS,
     "model: [conv: {out: 8, kernel: 3, weight: standardised}, lif, avgpool: 4, flatten, linear: {out: 40, weight: "
     "norm},\n"
     "        lif, linear: {out: 10, weight: {name: standardised, eps: 1e-3}}]\n"
     "train: {freeze: [model.0.conv.weight, model.6.linear.gain]}\n",
     3},
    {STILL,
     "model: [conv: {out: 4, kernel: 3}, batchnorm, biper: {out: 6, kernel: 3, stride: 2}, batchnorm, lif, biper: "
     "{out: "
     "4, kernel: 1, stage: 2},\n"
     "        flatten, biper: {out: 20, scale_activation: false, bias: true}, biper: {out: 10, stage: 2}]\n"
     "train: {freeze: [model.5.biper.weight, model.7.biper.alpha]}\n",
     3},
    {RATE,
     "model: [flatten, linear: 30, lif, linear: 20, lif, linear: 10, lif]\n"
     "train: {loss: [{name: spike_time, class_weights: balanced}, rate_l2, {name: upper_bound, bound: 1}, {name: "
     "synops,\n"
     "        target: 900}, {name: synops, target: 50, layers: '*.4.*'}, {name: weight_l1, match: '*'}, {name: "
     "periodic, match: '*.weight'}]}\n",
     3},
};

/* What a plan counts is what the backend takes from the card. */
START_TEST(memory_as_emulated) {
    const struct sample_network *n = &networks[_i];
    struct snn_experiment e;
    struct counted c;
    if (!emulated()) return;
    count_step(n->data, n->rest, n->batch, &c);
    open_experiment("cuda", n->data, n->rest, n->batch, &e);
    struct snn_batch batch = snn_planned_batch(&e);
    int64_t before = emulator_says("cudaemu_bytes_allocated");
    ck_ok(snn_count_step(&e, &e.trainer, &e.device, &c.costs));
    ck_assert_uint_eq(e.network.arena.size, c.e.network.arena.size);
    for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
        ck_assert_uint_eq(e.network.arena.by_purpose[p], c.e.network.arena.by_purpose[p]);
    int64_t after = emulator_says("cudaemu_bytes_allocated");
    size_t stage = e.device.memory->stage_bytes(&e.device, &batch);
    if (before < 0) fprintf(stderr, "skipped: the emulator does not say what is allocated\n");
    /* Of the two places for batches one is taken by the first batch, the other by the second. */
    else ck_assert_int_eq(after - before, e.network.arena.size + (e.train.accumulate > 1 ? stage : stage / 2));
    snn_experiment_close(&e);
    close_counted(&c);
}
END_TEST

/* The kernels that the emulator names while it works, as `KERNEL` times. */
struct seen {
    char name[64];
    int64_t launches;
};
enum { MOST_SEEN = 128 };

static void see(struct seen *seen, const char *name, size_t n, int64_t launches) {
    int i = 0;
    while (i < MOST_SEEN && *seen[i].name && (strncmp(seen[i].name, name, n) || seen[i].name[n])) ++i;
    ck_assert_int_lt(i, MOST_SEEN);
    snprintf(seen[i].name, sizeof seen[i].name, "%.*s", (int)n, name);
    seen[i].launches += launches;
}

static int64_t seen_times(const struct seen *seen, const char *name) {
    for (int i = 0; i < MOST_SEEN && *seen[i].name; ++i)
        if (!strcmp(seen[i].name, name)) return seen[i].launches;
    return 0;
}

/* Run the step with the emulator's words going to a file, and read them. */
static void watch_step(struct snn_experiment *e, struct seen *seen) {
    struct snn_costs unused = {.events = 0.05};
    struct snn_gate gate;
    char line[512];
    FILE *words = tmpfile();
    int kept = dup(STDERR_FILENO);
    ck_assert(words && kept >= 0 && dup2(fileno(words), STDERR_FILENO) >= 0);
    int rc = snn_count_step(e, &e->trainer, &e->device, &unused);
    if (rc >= 0) rc = snn_optim_gate(e->network.optim, &e->device, &gate); /* waits for all of it */
    ck_assert(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    ck_ok(rc);
    rewind(words);
    while (fgets(line, sizeof line, words)) {
        const char *at = line;
        if (strncmp(at, "cudaemu: ", 9)) continue;
        at += 9 + strspn(at + 9, "(");
        see(seen, at, word_length(at), 1);
    }
    fclose(words);
}

START_TEST(launches_as_emulated) {
    const struct sample_network *n = &networks[_i];
    static struct seen watched[MOST_SEEN], declared[MOST_SEEN];
    struct snn_experiment e;
    struct counted c;
    int64_t all = 0;
    if (!emulated()) return;
    memset(watched, 0, sizeof watched), memset(declared, 0, sizeof declared);
    count_step(n->data, n->rest, n->batch, &c);
    open_experiment("cuda", n->data, n->rest, n->batch, &e);
    int64_t before = emulator_says("cudaemu_launches");
    watch_step(&e, watched);
    int64_t after = emulator_says("cudaemu_launches");
    for (int i = 0; i < c.costs.count; ++i) {
        const char *name = strchr(c.costs.cost[i].kernel, '.') + 1;
        if (is_call(c.costs.cost[i].kernel)) continue;
        see(declared, name, strlen(name), c.costs.cost[i].launches);
        all += c.costs.cost[i].launches;
    }
    ck_assert_int_gt(all, 10);
    for (int i = 0; *declared[i].name; ++i)
        ck_assert_msg(seen_times(watched, declared[i].name) == declared[i].launches,
                      "%s: %lld launches declared, %lld seen", declared[i].name, (long long)declared[i].launches,
                      (long long)seen_times(watched, declared[i].name));
    for (int i = 0; *watched[i].name; ++i)
        ck_assert_msg(seen_times(declared, watched[i].name) > 0, "%s: is launched but not declared", watched[i].name);
    if (before < 0) fprintf(stderr, "skipped: the emulator does not count launches\n");
    else ck_assert_int_eq(after - before, all);
    snn_experiment_close(&e);
    close_counted(&c);
}
END_TEST

/* ---- the command ---- */

static char *ask(const char *arguments, int status) {
    char line[8192];
    const char *build = getenv("SNN_BUILD"), *source = getenv("SNN_SOURCE");
    ck_assert_ptr_nonnull(build);
    ck_assert_ptr_nonnull(source);
    snprintf(line, sizeof line, "cd '%s/configs' && '%s/tools/snntrain' plan nmnist_conv.yaml %s", source, build,
             arguments);
    FILE *f = popen(line, "r");
    char *text = calloc(1, 1 << 16);
    ck_assert(f && text);
    ck_assert_uint_lt(fread(text, 1, 1 << 16, f), 1 << 16);
    int rc = pclose(f);
    ck_assert_msg(WIFEXITED(rc) && WEXITSTATUS(rc) == status, "plan %s: %d, expected %d:\n%s", arguments, rc, status,
                  text);
    return text;
}

static double number(const json_t *object, const char *key) {
    ck_assert_msg(json_is_number(json_object_get(object, key)), "%s", key);
    return json_number_value(json_object_get(object, key));
}

START_TEST(command) {
    char *text = ask("--roofline h100 --json", 0);
    json_t *said = json_loads(text, 0, NULL), *kernel;
    ck_assert_msg(said, "%s", text);
    const json_t *rule = json_object_get(json_object_get(said, "rules"), "bptt");
    ck_assert(number(json_object_get(rule, "purposes"), "batches") > 0);
    const json_t *r = json_object_get(said, "roofline");
    double floor_ms = 0, share = 0, bytes = 0, flops = 0, launches = 0;
    size_t i;
    json_array_foreach(json_object_get(r, "kernels"), i, kernel) {
        double least = number(kernel, "bytes") / number(r, "bandwidth_gb_s") * 1e-6;
        ck_assert(number(kernel, "floor_ms") >= least * (1 - 1e-6));
        ck_assert_str_ne(json_string_value(json_object_get(kernel, "kernel")), "");
        floor_ms += number(kernel, "floor_ms"), share += number(kernel, "share"), bytes += number(kernel, "bytes");
        flops += number(kernel, "flops"), launches += number(kernel, "launches");
    }
    ck_assert_double_eq_tol(floor_ms, number(r, "floor_ms"), 1e-6 * floor_ms);
    ck_assert_double_eq_tol(share, 1, 1e-6);
    ck_assert_double_eq_tol(bytes, number(r, "bytes"), 1e-6 * bytes);
    ck_assert_double_eq_tol(flops, number(r, "flops"), 1e-6 * flops);
    ck_assert_double_eq(launches, number(r, "launches"));
    ck_assert_double_eq(number(r, "graph_launches"), 1);
    ck_assert_double_eq(number(r, "density"), 0.1);
    ck_assert_double_eq(number(r, "peak_tflops"), 66.9);
    ck_assert_str_eq(json_string_value(json_object_get(r, "card")), "h100");
    /* The processor has no places for batches, and its plan no roofline. */
    char *here = ask("--device cpu --json", 0);
    json_t *plain = json_loads(here, 0, NULL);
    ck_assert(!json_object_get(plain, "roofline"));
    rule = json_object_get(json_object_get(plain, "rules"), "bptt");
    ck_assert_double_eq(number(json_object_get(rule, "purposes"), "batches"), 0);
    json_decref(said), json_decref(plain);
    free(text), free(here);
    text = ask("--roofline 4090", 0);
    ck_assert(strstr(text, "GeForce RTX 4090") && strstr(text, "not a measurement") && strstr(text, "conv.unfold"));
    free(text);
    free(ask("--roofline voodoo 2>/dev/null", 2));
    free(ask("--device cuda:x 2>/dev/null", 2));
}
END_TEST

START_TEST(command_with_a_card) {
    if (!emulated()) return;
    setenv("CUDAEMU_MEMORY", "400000000", 1);
    char *text = ask("--device cuda", 0);
    ck_assert_msg(strstr(text, "free: the plan fits"), "%s", text);
    free(text);
    setenv("CUDAEMU_MEMORY", "100000000", 1);
    text = ask("--device cuda 2>&1", 2);
    ck_assert_msg(strstr(text, "model.7.linear") && strstr(text, "free: the plan does not fit") &&
                      strstr(text, "MB are planned, "),
                  "%s", text);
    free(text);
    text = ask("--device cuda --json 2>/dev/null", 2);
    json_t *said = json_loads(text, 0, NULL);
    ck_assert_msg(json_is_false(json_object_get(json_object_get(said, "card"), "fits")), "%s", text);
    json_decref(said);
    free(text);
}
END_TEST

/* Scratch is planned once for the largest batch, and every smaller one must do with it, whatever chunks and parts it is
 * cut into. What a batch uses is what linear.cu and conv.cu lay out. */
START_TEST(scratch_for_fewer_rows) {
    for (uint32_t k = 0; k < 300; ++k) {
#define ONE_OF(n, of) (1 + (int32_t)snn_rng_below(snn_rng_u32(9, SNN_RNG_TEST, k, 0, of), n))
        ptrdiff_t most = ONE_OF(3000, 0);
        struct snn_linear_shape linear = {most, ONE_OF(2000, 1), ONE_OF(600, 2)};
        struct snn_conv_shape conv = {.C = ONE_OF(20, 3), .O = ONE_OF(70, 4), .groups = 1};
        const int32_t size[] = {ONE_OF(40, 5), ONE_OF(40, 6)};
        for (uint32_t i = 0; i < 2; ++i) {
            conv.kernel[i] = ONE_OF(5, 7 + i), conv.stride[i] = ONE_OF(2, 9 + i), conv.dilation[i] = 1,
            conv.padding[i] = conv.kernel[i];
        }
        snn_conv_complete(&conv, 2, size);
        size_t of_linear = snn_cuda_linear_scratch(&linear, SNN_LISTS);
        size_t of_conv = snn_cuda_conv_scratch(&conv, most, SNN_LISTS);
        for (ptrdiff_t rows = 1; rows <= most; rows += 1 + rows / 40) {
            struct snn_linear_shape fewer = linear;
            fewer.rows = rows;
            struct snn_cuda_linear_plan plan = snn_cuda_linear_plan(&fewer);
            ptrdiff_t inputs = linear.in < plan.slab ? linear.in : plan.slab;
            ck_assert_msg((size_t)(plan.parts * inputs * plan.padded) * sizeof(real) <= of_linear,
                          "linear %d -> %d: %td rows use more than was planned for %td", linear.in, linear.out, rows,
                          most);
            struct snn_cuda_conv_layout l = snn_cuda_conv_layout(&conv, rows);
            ptrdiff_t used = (l.taps + conv.O) * snn_cuda_conv_columns(&l, l.images);
            if (l.parts > 1) used += l.parts * conv.O * l.taps;
            used += l.images * conv.C * conv.H * conv.W; /* lists as numbers */
            ck_assert_msg((size_t)used * sizeof(real) <= of_conv,
                          "conv %dx%dx%d -> %d: %td images use more than was planned for %td", conv.C, conv.H, conv.W,
                          conv.O, rows, most);
        }
    }
#undef ONE_OF
}
END_TEST

int main(void) {
    setenv("CUDAEMU_VERBOSE", "1", 1); /* before the emulator reads it */
    Suite *s = suite_create("roofline");
    TCase *t = tcase_create("roofline");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, linear_by_hand);
    tcase_add_test(t, floor_by_hand);
    tcase_add_test(t, cards);
    tcase_add_test(t, memory_by_batch);
    tcase_add_test(t, memory_of_input);
    tcase_add_test(t, launches_by_batch);
    tcase_add_test(t, accumulated);
    tcase_add_test(t, larger_than_the_machine);
    tcase_add_test(t, names);
    tcase_add_test(t, scratch_as_emulated);
    tcase_add_loop_test(t, memory_as_emulated, 0, COUNT_OF(networks));
    tcase_add_loop_test(t, launches_as_emulated, 0, COUNT_OF(networks));
    tcase_add_test(t, command);
    tcase_add_test(t, command_with_a_card);
    tcase_add_test(t, scratch_for_fewer_rows);
    suite_add_tcase(s, t);
    return run_suite(s);
}
