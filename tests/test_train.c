/* SPDX-License-Identifier: Apache-2.0
 * test_train.c - training runs that are stopped, killed, starved and resumed; and the memory plan under them.
 *
 * Runs are real (images on disk to run folder) but take milliseconds. The linker hands the calls below to us first
 * (--wrap in meson.build), so that a run can be killed at each single one of its writes, and allocations be counted. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "autograd/device.h"
#include "net_rig.h"
#include "run_rig.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"

/* ---- calls that go through us ---- */

static struct { long moments, kill_at; /* writes, syncs and renames so far; the one that is not survived */ } life;
static _Thread_local long allocations, counting;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
int __wrap_fsync(int fd);
int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);

static bool last_moment(void) { return ++life.moments == life.kill_at; }

ssize_t __wrap_write(int fd, const void *bytes, size_t size) {
    if (last_moment()) {
        __real_write(fd, bytes, size / 2);
        raise(SIGKILL);
    }
    return __real_write(fd, bytes, size);
}
int __wrap_fsync(int fd) { /* nobody pulls the plug in here: the disk is spared */
    (void)fd;
    if (last_moment()) raise(SIGKILL);
    return 0;
}
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to) {
    if (!strcmp(to, "last.safetensors")) { /* from the first save on there is no moment without one */
        if (run_saved && faccessat(to_folder, to, R_OK, 0)) abort();
        run_saved = true;
    }
    if (last_moment()) raise(SIGKILL);
    return __real_renameat(from_folder, from, to_folder, to);
}

#define COUNTED(result, name, parameters, ...)                                                                         \
    result __real_##name parameters;                                                                                   \
    result __wrap_##name parameters;                                                                                   \
    result __wrap_##name parameters {                                                                                  \
        allocations += counting;                                                                                       \
        return __real_##name(__VA_ARGS__);                                                                             \
    }
COUNTED(void *, malloc, (size_t size), size)
COUNTED(void *, calloc, (size_t n, size_t size), n, size)
COUNTED(void *, realloc, (void *memory, size_t size), memory, size)
COUNTED(void *, aligned_alloc, (size_t align, size_t size), align, size)
COUNTED(int, posix_memalign, (void **out, size_t align, size_t size), out, align, size)
COUNTED(char *, strdup, (const char *text), text)

/* ---- runs ---- */

/* What stays in a run folder; more would be litter. */
static void expect_clean_folder(const char *dir, const char *why) {
    static const char *const known[] = {"last.safetensors", "best.safetensors", "config.yaml", "curves.png",
                                        "log.jsonl",        "provenance.json",  "lock",        NULL};
    DIR *folder = opendir(dir);
    ck_assert(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        bool mine = entry->d_name[0] == '.';
        for (int i = 0; known[i]; ++i) mine = mine || !strcmp(entry->d_name, known[i]);
        ck_assert_msg(mine, "%s: %s was left in the run folder", why, entry->d_name);
    }
    closedir(folder);
}

/* ---- resumed = uninterrupted ---- */

START_TEST(resumed) {
    const struct way *way = &ways[_i];
    struct snn_run_result whole, parts;
    ck_ok(train(way->yaml, made_path("whole"), (struct asked){0}, &whole));
    int batches = hook.batches;
    ck_assert(way->batches > 0 ? batches == way->batches : batches < -way->batches && batches > BATCHES);
    expect_clean_folder(made_path("whole"), "uninterrupted");
    for (int stop_at = 1; stop_at <= batches; stop_at += batches > 12 ? 4 : 1) { /* 4 of 5: at all places of an epoch */
        char why[64];
        const char *dir = made_path("stopped_%d", stop_at);
        snprintf(why, sizeof why, "way %d stopped at batch %d", _i, stop_at);
        int rc = train(way->yaml, dir, (struct asked){.stop_at = stop_at}, &parts);
        ck_assert_msg(rc == SNN_EINTR, "%s: %d: %s", why, rc, snn_error_text());
        ck_assert_int_lt(hook.batches, batches + (stop_at == batches));
        ck_ok(train(way->yaml, dir, (struct asked){.resume = true}, &parts));
        expect_same_run(made_path("whole"), dir, why);
        expect_same_result(&whole, &parts);
        expect_clean_folder(dir, why);
        made_remove(dir);
    }
}
END_TEST

/* Stopped after every single step, again and again. */
START_TEST(resumed_each_step) {
    const struct way *way = &ways[_i];
    struct snn_run_result whole, parts;
    ck_ok(train(way->yaml, made_path("whole"), (struct asked){0}, &whole));
    int rc = train(way->yaml, made_path("parts"), (struct asked){.stop_at = 1}, &parts), sittings = 1;
    for (; rc == SNN_EINTR && sittings < 100; ++sittings)
        rc = train(way->yaml, made_path("parts"), (struct asked){.stop_at = 1, .resume = true}, &parts);
    ck_assert_msg(rc == SNN_OK, "%d: %s", rc, snn_error_text());
    ck_assert_int_gt(sittings, (int)whole.steps);
    expect_same_run(made_path("whole"), made_path("parts"), "stopped at each step");
    expect_same_result(&whole, &parts);
}
END_TEST

/* A finished run that is resumed has nothing left to do, also when an early stop finished it. */
START_TEST(resumed_when_done) {
    struct snn_run_result first, again;
    ck_ok(train(ways[_i].yaml, made_path("done"), (struct asked){0}, &first));
    char *log = timeless_log(made_path("done"));
    ck_ok(train(ways[_i].yaml, made_path("done"), (struct asked){.resume = true}, &again));
    ck_assert_int_eq(hook.batches, 0);
    char *log_again = timeless_log(made_path("done"));
    ck_assert_str_eq(log, log_again);
    expect_same_result(&first, &again);
    free(log), free(log_again);
}
END_TEST

/* The stop arrives during an evaluation: the epoch is closed first. */
static const struct snn_loss_kernels *real_loss;
static void stop_in_evaluation(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss,
                               real *gradient, double *scratch) {
    if (!gradient) hook.stop = 1;
    real_loss->evaluate(device, call, sample_loss, gradient, scratch);
}
static struct snn_loss_kernels stopping_loss;
static void stop_later(struct snn_network *n, int batch) {
    (void)batch;
    if (n->device->loss == &stopping_loss) return;
    real_loss = n->device->loss, stopping_loss = *real_loss;
    stopping_loss.evaluate = stop_in_evaluation, n->device->loss = &stopping_loss;
}

START_TEST(stopped_in_evaluation) {
    const char *yaml = ways[0].yaml, *dir = made_path("evaluation");
    struct snn_run_result whole, parts;
    ck_ok(train(yaml, made_path("whole"), (struct asked){0}, &whole));
    ck_assert_int_eq(train(yaml, dir, (struct asked){.at = stop_later}, NULL), SNN_EINTR);
    ck_assert_int_eq(hook.batches, BATCHES);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "interrupted after epoch 1;"));
    ck_ok(train(yaml, dir, (struct asked){.resume = true}, &parts));
    ck_assert_int_eq(hook.batches, 2 * BATCHES);
    expect_same_run(made_path("whole"), dir, "stopped in an evaluation");
}
END_TEST

/* ---- threads, workers, seeds ---- */

#define WIDE                                                                                                           \
    "data: {name: mnist, timesteps: 4, coding: rate, workers: %d}\n"                                                   \
    "model: [conv: {out: 6, kernel: 3, stride: 2}, batchnorm: {over: joint}, lif, maxpool: 2, conv: {out: 40, "        \
    "kernel: 3}, plif, dropout: 0.2, flatten, linear: 530, layernorm, lif, linear: 10]\n"                              \
    "train: {epochs: 1, batch: 24, clip: 1}\n"

START_TEST(thread_counts) {
    char one[1024], more[1024];
    snprintf(one, sizeof one, "seed: 7\n" WIDE, 1);
    ck_ok(train(one, made_path("threads_1"), (struct asked){.threads = 1}, NULL));
    for (int threads = 2; threads <= 3; ++threads) {
        ck_ok(train(one, made_path("threads_n"), (struct asked){.threads = threads}, NULL));
        expect_same_run(made_path("threads_1"), made_path("threads_n"), "threads");
        made_remove(made_path("threads_n"));
    }
    for (int workers = 0; workers <= 3; workers += 3) { /* the config says how many, so only its weights can be equal */
        struct snn_st *a, *b;
        snprintf(more, sizeof more, "seed: 7\n" WIDE, workers);
        ck_ok(train(more, made_path("workers"), (struct asked){0}, NULL));
        ck_ok(snn_st_open(made_path("threads_1/last.safetensors"), &a));
        ck_ok(snn_st_open(made_path("workers/last.safetensors"), &b));
        ck_assert_int_eq(snn_st_count(a), snn_st_count(b));
        for (int i = 0; i < snn_st_count(a); ++i)
            ck_assert_mem_eq(snn_st_at(a, i)->data, snn_st_at(b, i)->data, snn_st_at(a, i)->bytes);
        snn_st_close(&a), snn_st_close(&b);
        made_remove(made_path("workers"));
    }
}
END_TEST

START_TEST(seeds) {
    char yaml[1024];
    for (int run = 0; run < 3; ++run) {
        snprintf(yaml, sizeof yaml, "seed: %d\n" WIDE, run == 2 ? 9 : 8, 1);
        ck_ok(train(yaml, made_path("seed_%d", run), (struct asked){0}, NULL));
    }
    expect_same_run(made_path("seed_0"), made_path("seed_1"), "equal seeds");
    struct snn_st *a, *b;
    ck_ok(snn_st_open(made_path("seed_0/last.safetensors"), &a));
    ck_ok(snn_st_open(made_path("seed_2/last.safetensors"), &b));
    for (int i = 0; i < snn_st_count(a); ++i) {
        const struct snn_st_tensor *t = snn_st_at(a, i);
        ck_assert_msg(memcmp(t->data, snn_st_find(b, t->name)->data, t->bytes), "%s: equal for two seeds", t->name);
    }
    snn_st_close(&a), snn_st_close(&b);
}
END_TEST

/* Dropout draws from the optimiser step, which goes on over epochs and sittings. */
static uint32_t clock_seen[3 * BATCHES + 1];
static void note_clock(struct snn_network *n, int batch) { clock_seen[batch] = n->controls->clock[2]; }

START_TEST(clock_of_steps) {
    const char *yaml = ways[0].yaml; /* 5 batches, 3 steps an epoch */
    ck_ok(train(yaml, made_path("clock"), (struct asked){.at = note_clock}, NULL));
    ck_assert_int_eq(hook.batches, 3 * BATCHES);
    for (int i = 0; i < 3 * BATCHES; ++i) ck_assert_uint_eq(clock_seen[i + 1], (unsigned)(i / 5 * 3 + i % 5 / 2));
    ck_assert_int_eq(train(yaml, made_path("again"), (struct asked){.stop_at = 6}, NULL), SNN_EINTR);
    ck_ok(train(yaml, made_path("again"), (struct asked){.resume = true, .at = note_clock}, NULL));
    ck_assert_uint_eq(clock_seen[1], 4);
}
END_TEST

/* ---- killed ---- */

/* Train in a process of its own; it is killed at write, sync or rename number `kill_at` (0: lives). True when it lived.
 */
static bool lived(const char *yaml, const char *dir, bool resume, long kill_at) {
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        life.moments = 0, life.kill_at = kill_at;
        int rc = train(yaml, dir, (struct asked){.resume = resume}, NULL);
        if (rc < 0) fprintf(stderr, "# %s: %s\n", dir, snn_error_text());
        _exit(rc < 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return false;
    ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "the run failed (status %d)", status);
    return true;
}

START_TEST(killed) {
    static const char *const yaml[] = {
        "seed: 3\n" DATA FLAT_MODEL "train: {epochs: 2, batch: 32}\nrun: {checkpoint_every: 2 steps}\n",
        "seed: 3\n" DATA CONV_MODEL "train: {epochs: 1, batch: 32}\nrun: {keep: last}\n",
        "seed: 3\n" DATA FLAT_MODEL "train: {batch: 32, stages: [{epochs: 1}, {epochs: 2, from: best, set: "
        "{model.2.lif.tau: 3}}]}\nrun: {checkpoint_every: 3 epochs}\n"};
    ck_assert(lived(yaml[_i], made_path("whole"), false, 0));
    bool done = false;
    long moment = 1;
    for (; !done; moment += 5) { /* a file is 4 moments or more: all kinds are met */
        char why[64];
        const char *dir = made_path("killed_%ld", moment);
        snprintf(why, sizeof why, "killed at moment %ld", moment);
        done = lived(yaml[_i], dir, false, moment);
        if (!done && snn_file_exists(made_path("killed_%ld/last.safetensors", moment))) {
            struct snn_st *st; /* never a part of a checkpoint under its name */
            ck_ok(snn_st_open(made_path("killed_%ld/last.safetensors", moment), &st));
            snn_st_close(&st);
        }
        if (!done) ck_assert_msg(lived(yaml[_i], dir, true, 0), "%s", why);
        expect_same_run(made_path("whole"), dir, why);
        expect_clean_folder(dir, why);
        made_remove(dir);
    }
    ck_assert_int_gt(moment, 30);
}
END_TEST

/* Killed while it resumes from being killed. */
START_TEST(killed_twice) {
    const char *yaml = ways[1].yaml, *dir = made_path("twice");
    ck_assert(lived(yaml, made_path("whole"), false, 0));
    ck_assert(!lived(yaml, dir, false, 30));
    for (int i = 0; i < 4; ++i) ck_assert(!lived(yaml, dir, true, 20 + i));
    ck_assert(lived(yaml, dir, true, 0));
    expect_same_run(made_path("whole"), dir, "killed again and again");
    expect_clean_folder(dir, "killed again and again");
}
END_TEST

static int ready_pipe[2];
static void wait_for_the_end(struct snn_network *n, int batch) {
    (void)n;
    if (batch < 3) return;
    if (write(ready_pipe[1], "x", 1) == 1) pause();
}

START_TEST(one_process_a_folder) {
    const char *yaml = ways[1].yaml, *dir = made_path("locked");
    char byte;
    ck_assert(!pipe(ready_pipe));
    pid_t child = fork();
    if (!child) _exit(train(yaml, dir, (struct asked){.at = wait_for_the_end}, NULL) < 0);
    ck_assert_int_eq(read(ready_pipe[0], &byte, 1), 1);
    ck_assert_int_eq(train(yaml, dir, (struct asked){.resume = true}, NULL), SNN_EUSAGE);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "is in use by another process"));
    ck_assert_int_eq(train(yaml, dir, (struct asked){0}, NULL), SNN_EUSAGE);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "exists already"));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_ok(train(yaml, dir, (struct asked){.resume = true}, NULL)); /* the dead hold no locks */
    int lock, second;
    ck_ok(snn_run_lock(dir, true, &lock));
    ck_assert_int_eq(snn_run_lock(dir, true, &second), SNN_EUSAGE);
    snn_run_unlock(&lock);
    ck_ok(snn_run_lock(dir, true, &second));
    snn_run_unlock(&second);
}
END_TEST

/* ---- nothing is allocated while batches pass ---- */

static void count_from_second(struct snn_network *n, int batch) {
    (void)n;
    if (batch == 2) counting = 1;
    if (batch == 4) counting = 0;
}

/* Between batches 2 and 4 lie the loader, the rule, metrics, clipping, the optimiser and the progress note. */
START_TEST(no_allocation) {
    static const char *const more = "seed: 1\n" DATA CONV_MODEL "train: {epochs: 1, batch: 16, clip: 0.1, optimizer: "
                                    "adamw, anneal: [{key: model.2.lif.tau, to: 4}]}\n";
    const char *yaml = _i < WAYS - STAGED ? ways[_i].yaml : more;
    ck_ok(train(yaml, made_path("first"), (struct asked){.stop_at = 5, .resume = true, .at = count_from_second},
                NULL) == SNN_EINTR
              ? SNN_OK
              : SNN_EFAIL);
    if (_i == 1) ck_assert_int_gt(allocations, 0); /* saves every second step: the count can count */
    else ck_assert_int_eq(allocations, 0);
}
END_TEST

/* ---- the plan ---- */

#define BLOCKS                                                                                                         \
    "model: [conv: {out: 4, kernel: 3, padding: 1, stride: 2}, batchnorm: {over: %s}, lif, residual: {body: [conv: "   \
    "{out: 4, kernel: 3, padding: 1}, if], shortcut: [conv: {out: 4, kernel: 1, bias: false}]}, maxpool: 2, dropout: " \
    "0.2, flatten, repeat: {times: 2, body: [linear: 40, plif]}, layernorm, linear: 10, li]\n"                         \
    "train: {loss: {name: ce, over: step}, optimizer: {name: adam, amsgrad: true}, accumulate: 3, batch: 24}\n"

static const char *const inputs[] = {"", ", coding: rate", ", coding: latency"};

static void open_blocks(int input, bool joint, struct snn_experiment *e) {
    char yaml[2048];
    snprintf(yaml, sizeof yaml, "data: {name: mnist, timesteps: 6%s}\n" BLOCKS, inputs[input],
             joint ? "joint" : "step");
    open_run(yaml, 2, e);
}

static bool inside(const void *at, size_t bytes, const struct snn_arena *arena) {
    const unsigned char *p = at;
    return p >= arena->base && p + bytes <= arena->base + arena->size;
}

/* Bytes of buffers that live at the same time are disjoint; each lies in the pool, or in the arena beside it. */
static void expect_disjoint(const struct snn_network *n) {
    const struct snn_tape *tape = &n->model.tape;
    int together = 0, reused = 0;
    for (int i = 0; i < tape->buffers; ++i) {
        const struct snn_buffer *a = &tape->buffer[i];
        if (a->alias >= 0 || !a->bytes) continue;
        ck_assert(inside(a->memory, a->bytes, &n->arena));
        bool in_pool = a->memory >= tape->pool && a->memory + a->bytes <= tape->pool + tape->pool_bytes;
        ck_assert_int_eq(in_pool, a->pooled);
        for (int j = i + 1; j < tape->buffers; ++j) {
            const struct snn_buffer *b = &tape->buffer[j];
            if (b->alias >= 0 || !b->bytes) continue;
            bool meet = !a->pooled || !b->pooled || (a->birth <= b->death && b->birth <= a->death);
            bool overlap = a->memory < b->memory + b->bytes && b->memory < a->memory + a->bytes;
            ck_assert_msg(!(meet && overlap), "buffers %d and %d share bytes while both live", i, j);
            together += meet, reused += overlap;
        }
    }
    ck_assert_int_gt(together, 10);
    if (n->plan.train) ck_assert_int_gt(reused, 0); /* or this would prove nothing */
}

START_TEST(plan_is_what_is_taken) {
    static const struct snn_network_plan plans[] = {
        {.T = 6, .B = 24, .cut = 6, .train = true},
        {.T = 6, .B = 24, .cut = 2, .train = true},
        {.T = 6, .B = 24, .cut = 6},
        {.T = 6, .B = 1, .cut = 1, .train = true},
        {.T = 6, .B = 24, .cut = 6, .train = true, .slice = 5},
        {.T = 4000, .B = 24, .cut = 4000}}; /* large enough to pass in slices */
    struct snn_experiment e;
    open_blocks(_i, false, &e);
    for (size_t i = 0; i < sizeof plans / sizeof *plans; ++i) {
        struct snn_arena planned;
        snn_network_measure(&e.network, &plans[i], &planned);
        ck_assert_ptr_null(planned.base);
        ck_ok(snn_network_allocate(&e.network, &plans[i]));
        const struct snn_arena *taken = &e.network.arena;
        ck_assert_uint_eq(planned.used, taken->used);
        ck_assert_uint_eq(planned.used, taken->size);
        size_t sum = 0;
        for (int p = 0; p < SNN_MEM_PURPOSES; ++p) {
            ck_assert_uint_eq(planned.by_purpose[p], taken->by_purpose[p]);
            sum += planned.by_purpose[p];
        }
        ck_assert_uint_eq(sum, planned.used);
        ck_assert_int_eq(planned.by_purpose[SNN_MEM_GRADIENTS] > 0, plans[i].train);
        ck_assert_int_eq(planned.by_purpose[SNN_MEM_OPTIMIZER] > 0, plans[i].train);
        ck_assert_int_eq(e.network.plan.slice, i == 4 ? 5 : i == 5 ? 4 : plans[i].B);
        expect_disjoint(&e.network);
    }
    snn_experiment_close(&e);
}
END_TEST

/* Lifetimes are right: bytes that the plan calls dead are filled with NaN before every node, and nothing changes. */
enum { MOST_NODES = 40 };
static struct {
    struct snn_tape *tape;
    const struct snn_op *real[MOST_NODES];
    struct snn_op ops[MOST_NODES];
    long spoiled;
} poison;

static int forward_time(const struct snn_tape *tape, int node) { /* as plan.c counts: wider scopes first */
    int time = 1;
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->scope == tape->node[node]->scope ? i < node : tape->node[i]->scope > tape->node[node]->scope)
            ++time;
    return time;
}

static void spoil_dead_bytes(int time) {
    const struct snn_tape *tape = poison.tape;
    enum { UNIT = SNN_ALIGN };
    bool *alive = calloc(tape->pool_bytes / UNIT + 1, sizeof *alive);
    for (int i = 0; i < tape->buffers; ++i) {
        const struct snn_buffer *b = &tape->buffer[i];
        if (!b->pooled || b->alias >= 0 || time < b->birth || time > b->death) continue;
        for (size_t k = 0; k < b->bytes; k += UNIT) alive[(b->offset + k) / UNIT] = true;
    }
    for (size_t k = 0; k < tape->pool_bytes / UNIT; ++k)
        if (!alive[k]) memset(tape->pool + k * UNIT, 0xff, UNIT), ++poison.spoiled;
    free(alive);
}

static int index_of(const struct snn_node *node) {
    int i = 0;
    while (poison.tape->node[i] != node) ++i;
    return i;
}
static void poisoned_forward(struct snn_node *node, const struct snn_run *run) {
    int i = index_of(node);
    spoil_dead_bytes(forward_time(poison.tape, i));
    poison.real[i]->forward(node, run);
}
static void poisoned_backward(struct snn_node *node, const struct snn_run *run) {
    int i = index_of(node);
    spoil_dead_bytes(2 * poison.tape->nodes + 2 - forward_time(poison.tape, i));
    poison.real[i]->backward(node, run);
}

static void poison_tape(struct snn_tape *tape) {
    ck_assert_int_le(tape->nodes, MOST_NODES);
    poison.tape = tape;
    for (int i = 0; i < tape->nodes; ++i) {
        poison.real[i] = tape->node[i]->op;
        poison.ops[i] = *poison.real[i];
        poison.ops[i].forward = poisoned_forward;
        if (poison.ops[i].backward) poison.ops[i].backward = poisoned_backward;
        tape->node[i]->op = &poison.ops[i];
    }
}

static const struct snn_batch *first_batch(struct snn_experiment *e) {
    const struct snn_batch *batch;
    ck_ok(snn_loader_start(e->loader[SNN_SUBSET_TRAIN], 0, 0));
    ck_ok(snn_loader_next(e->loader[SNN_SUBSET_TRAIN], &batch));
    ck_assert(batch);
    return batch;
}

static real *copy_gradients(const struct snn_network *n) {
    size_t bytes = (size_t)n->model.params.learned * sizeof(real);
    real *copy = malloc(bytes);
    memcpy(copy, n->model.params.grad, bytes);
    return copy;
}

/* One batch through the learning rule; the sum of its losses. */
static double pass_batch(struct snn_experiment *e, const struct snn_batch *batch, uint32_t step, double samples) {
    struct snn_network *n = &e->network;
    n->tally->loss = 0;
    ck_ok(snn_network_stage(n, batch));
    snn_network_set_step(n, 1, step, 1 / samples);
    e->trainer.ops->batch(&e->trainer, n);
    return n->tally->loss;
}

START_TEST(lifetimes) {
    struct snn_experiment e;
    open_blocks(_i / 2, _i % 2, &e);
    struct snn_network *n = &e.network;
    ck_ok(snn_experiment_data(&e, data_dir, 1, 10, 0));
    struct snn_network_plan plan = {.T = 6, .B = 10, .cut = 6, .train = true, .slice = _i % 2 ? 0 : 7};
    ck_ok(snn_network_allocate(n, &plan));
    real *gradient[2];
    double loss[2];
    const struct snn_batch *batch = first_batch(&e);
    for (int k = 0; k < 2; ++k) {
        ck_ok(snn_experiment_init(&e));
        snn_network_zero_gradients(n);
        if (k) poison_tape(&n->model.tape);
        loss[k] = pass_batch(&e, batch, 2, batch->B);
        gradient[k] = copy_gradients(n);
    }
    ck_assert_int_gt(poison.spoiled, 100);
    ck_assert(loss[0] == loss[1]);
    for (ptrdiff_t i = 0; i < n->model.params.learned; ++i)
        ck_assert_msg(gradient[0][i] == gradient[1][i], "gradient %td: %g, with dead bytes spoiled %g", i,
                      (double)gradient[0][i], (double)gradient[1][i]);
    free(gradient[0]), free(gradient[1]);
    snn_experiment_close(&e);
}
END_TEST

/* ---- cuts and slices ---- */

static double largest(const real *x, ptrdiff_t n) {
    double most = 0;
    for (ptrdiff_t i = 0; i < n; ++i) most = fmax(most, fabs((double)x[i]));
    return most;
}

/* Of each parameter on its own, relative to its largest gradient. */
static void expect_close_gradients(const struct snn_network *n, const real *a, const real *b, double bound,
                                   const char *why) {
    for (int i = 0; i < n->model.params.count; ++i) {
        const struct snn_param *p = n->model.params.list[i];
        if (p->buffer) continue;
        double most = largest(a + p->offset, p->count), worst = 0;
        ck_assert_msg(most > 0 || strstr(p->name, "bias"), "%s: %s has no gradient", why, p->name);
        for (ptrdiff_t k = p->offset; k < p->offset + p->count; ++k)
            worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
        ck_assert_msg(worst <= bound * (most + 1e-3), "%s: gradient of %s: %g off, largest %g", why, p->name, worst,
                      most);
    }
}

struct passed { /* what a pass left */
    real *output, *gradient, *parameters;
    double loss;
    ptrdiff_t size;
};

static void pass_in_cuts(struct snn_network *n, const struct snn_batch *batch, int32_t steps, int32_t plan_T,
                         bool train, struct passed *out) {
    struct snn_network_plan plan = {.T = plan_T, .B = SAMPLES, .cut = steps, .train = true, .slice = SAMPLES};
    ck_ok(snn_network_allocate(n, &plan));
    snn_params_init(&n->model.params, 21, n->model.params.value);
    snn_network_zero_gradients(n);
    snn_network_set_step(n, 3, 4, 1.0 / SAMPLES);
    struct snn_cut cut = {.batch = batch, .train = train};
    ptrdiff_t row = SAMPLES * CLASSES;
    *out = (struct passed){.output = malloc((size_t)(batch->T * row) * sizeof(real)), .size = batch->T * row};
    for (; cut.t0 < batch->T; cut.t0 += steps, ++cut.index) {
        cut.T = batch->T - cut.t0 < steps ? batch->T - cut.t0 : steps;
        snn_network_forward(n, &cut);
        memcpy(out->output + cut.t0 * row, n->model.tape.output->data, (size_t)(cut.T * row) * sizeof(real));
        double loss;
        snn_network_loss(n, &cut, train);
        ck_ok(snn_network_loss_sum(n, &cut, &loss));
        out->loss += loss;
        if (train) snn_network_backward(n, &cut);
    }
    --cut.index;
    if (train) snn_network_backward_batch(n, &cut);
    out->gradient = copy_gradients(n);
    size_t bytes = (size_t)n->model.params.size * sizeof(real);
    out->parameters = malloc(bytes);
    memcpy(out->parameters, n->model.params.value, bytes);
}

static void free_passed(struct passed *p) { free(p->output), free(p->gradient), free(p->parameters); }

static double farthest(const real *a, const real *b, ptrdiff_t n) {
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; ++i) worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

static const char *const cut_models[] = {
    "[conv: {out: 3, kernel: 3}, lif: {reset: subtract, reset_delay: true}, avgpool: 2, flatten, linear: 6, plif, "
    "linear: 4, li]",
    "[flatten, linear: 70, batchnorm, lif: {tau: 3, decay_input: true, fire: gt}, dropout: 0.4, linear: 4]",
    "[flatten, linear: 9, if: {reset: none, threshold: 3}, layernorm, lif: {reset: value, v_reset: -0.2, decay: exp}, "
    "linear: 4, li: {tau: 5}]",
    "[maxpool: 2, flatten, linear: 12, lif, residual: {body: [linear: 12, lif: {tau: 4}]}, repeat: {times: 2, body: "
    "[linear: 12, plif: {tau: 3}]}, linear: 4]",
    "[conv: {out: 3, kernel: 3}, batchnorm, lif: {beta: 0.7}, flatten, linear: 4, lif: {threshold: 0.1}]",
    "[conv: {out: 4, kernel: 3, weight: standardised}, lif, flatten, linear: {out: 9, weight: norm}, lif, linear: "
    "{out: "
    "4, weight: standardised}]",
    "[conv: {out: 3, kernel: 3}, lif: {threshold: 0.1}, biper: {out: 5, kernel: 3, stage: 2}, lif: {threshold: 0.2}, "
    "flatten, biper: {out: 9}, biper: "
    "{out: "
    "4, activation: sign}]",
    "[conv: {out: 3, kernel: 3}, bntt, lif: {threshold: 0.4}, flatten, linear: 4, scale: {by: step, learn: true}]",
    "[flatten, delta: {threshold: 0.05}, linear: 20, sigma_delta, linear: 9, ilif: {threshold: 0.3}, linear: 9, lif: "
    "{reset: subtract, spikes: graded, threshold: 0.2}, linear: 4]",
    "[flatten, linear: 20, clif: {threshold: 0.3}, linear: 20, rf: {threshold: 0.2, imaginary: true}, linear: 20, "
    "brf: {threshold: 0.02, dt: 0.3}, linear: 4]",
    "[conv: {out: 3, kernel: 3}, glif: {threshold: 0.3}, flatten, linear: 9, glif: {threshold: 0.2, per: neuron, "
    "recurrent: true}, linear: 4]",
    "[conv: {out: 3, kernel: 3}, lif: {threshold: 0.3, recurrent: {kind: one}}, flatten, linear: 9, "
    "lif: {threshold: 0.3, recurrent: {bias: true, diagonal: false}}, linear: 4, li]",
    "[conv: {out: 3, kernel: 3}, lif: {threshold: 0.4, noise: 0.2}, flatten, linear: 9, lif: {threshold: 0.3, noise: "
    "0.1, "
    "recurrent: true, reset: subtract, learn: [beta]}, linear: 4]",
    "[conv: {out: 9, kernel: 3}, dropout: {p: 0.3, time_shared: false, channels: true}, lif: {threshold: 0.4}, "
    "dropout: "
    "{time_shared: false}, flatten, linear: 4]"};
enum { CUT_MODELS = sizeof cut_models / sizeof *cut_models };

/* State is handed from cut to cut: outputs do not depend on where the time axis is cut. */
START_TEST(chunked) {
    struct made_network m;
    struct made_batch made;
    struct passed whole, parts;
    for (int variant = 0; variant < 8; ++variant) {
        bool train = variant & 1, still = variant & 2, masked = variant & 4;
        open_network(cut_models[_i], still, &m);
        make_batch(STEPS, still, masked, &made);
        pass_in_cuts(&m.net, &made.batch, STEPS, STEPS, train, &whole);
        ck_assert_msg(largest(whole.output, whole.size) > 0, "model %d is silent", _i);
        for (int32_t steps = 1; steps <= 3; ++steps) {
            pass_in_cuts(&m.net, &made.batch, steps, STEPS, train, &parts);
            double off = farthest(whole.output, parts.output, whole.size),
                   moved = farthest(whole.parameters, parts.parameters, m.net.model.params.size);
            ck_assert_msg(off < 1e-5, "variant %d, cuts of %d: outputs are %g off", variant, (int)steps, off);
            ck_assert_msg(moved < 1e-6, "variant %d, cuts of %d: statistics are %g off", variant, (int)steps, moved);
            ck_assert(fabs(whole.loss - parts.loss) < 1e-5 * whole.loss);
            free_passed(&parts);
        }
        free_passed(&whole);
        close_network(&m);
    }
}
END_TEST

/* Where no state crosses (beta 0), no gradient is lost at a cut either: the sum over cuts is the whole. */
START_TEST(chunked_gradients) {
    static const char *const models[] = {
        "[conv: {out: 3, kernel: 3}, batchnorm, lif: {beta: 0, threshold: 0.5}, "
        "flatten, linear: 9, lif: {beta: 0, reset: "
        "subtract, threshold: 0.3}, linear: 4]",
        "[conv: {out: 3, kernel: 3, weight: standardised}, lif: {beta: 0, threshold: 0.5}, flatten, linear: {out: 4, "
        "weight: norm}]",
        "[biper: {out: 3, kernel: 3}, lif: {beta: 0, threshold: 0.2}, flatten, biper: {out: 4, stage: 2}]",
        "[flatten, linear: 20, lif: {beta: 0, threshold: 0.2}, residual: {body: [linear: 20, lif: "
        "{beta: 0, threshold: 0.2}]}, layernorm, "
        "linear: 4]",
        "[conv: {out: 4, kernel: 3}, bntt, scale: {by: step, learn: true}, lif: {beta: 0, threshold: 0.5}, groupnorm: "
        "2, "
        "flatten, linear: 4]"};
    struct made_network m;
    struct made_batch made;
    struct passed whole, parts;
    for (int variant = 0; variant < 4; ++variant) {
        bool still = variant & 1, masked = variant & 2;
        open_network(models[_i], still, &m);
        make_batch(STEPS, still, masked, &made);
        pass_in_cuts(&m.net, &made.batch, STEPS, STEPS, true, &whole);
        for (int32_t steps = 1; steps <= 3; ++steps) {
            pass_in_cuts(&m.net, &made.batch, steps, STEPS, true, &parts);
            expect_close_gradients(&m.net, whole.gradient, parts.gradient, 1e-4, "cuts");
            free_passed(&parts);
        }
        free_passed(&whole);
        close_network(&m);
    }
}
END_TEST

/* What metrics say after the first steps is what a batch of so many steps says: classes, and the loss, also where
 * recordings end before. */
START_TEST(first_steps) {
    struct made_network m;
    struct made_batch made;
    struct snn_metrics after, alone;
    open_network(cut_models[_i], _i == 4, &m);
    make_batch(STEPS, _i == 4, true, &made);
    ck_ok(snn_network_allocate(&m.net, &(struct snn_network_plan){.T = STEPS, .B = SAMPLES, .cut = STEPS}));
    snn_params_init(&m.net.model.params, 21, m.net.model.params.value);
    for (int32_t n = 1; n <= STEPS; ++n) {
        const int32_t steps[] = {n, STEPS};
        struct snn_cut cut = {.batch = &made.batch, .T = STEPS};
        snn_metrics_init(&after, &m.net, STEPS, steps, 2), snn_metrics_init(&alone, &m.net, STEPS, NULL, 1);
        snn_network_forward(&m.net, &cut);
        ck_ok(snn_metrics_add(&after, &m.net, &cut, false));
        int32_t length[SAMPLES];
        struct snn_batch shorter = made.batch;
        shorter.T = n, shorter.length = length;
        for (int32_t b = 0; b < SAMPLES; ++b) length[b] = made.length[b] < n ? made.length[b] : n;
        struct snn_cut first = {.batch = &shorter, .T = n};
        snn_network_forward(&m.net, &first);
        ck_ok(snn_metrics_add(&alone, &m.net, &first, false));
        ck_assert_int_eq(after.score[0].correct, alone.score[0].correct);
        ck_assert_msg(fabs(after.score[0].loss - alone.score[0].loss) < 1e-5 * alone.score[0].loss,
                      "loss after %d steps: %g, alone %g", (int)n, after.score[0].loss, alone.score[0].loss);
        snn_metrics_free(&after), snn_metrics_free(&alone);
    }
    close_network(&m);
}
END_TEST

/* A batch of one step is one cut, whether the plan has room for many cuts or not. */
START_TEST(single_step) {
    struct made_network m;
    struct made_batch made;
    struct passed alone, planned;
    open_network(cut_models[_i], _i == 4, &m);
    make_batch(1, _i == 4, false, &made);
    pass_in_cuts(&m.net, &made.batch, 1, 1, true, &alone);
    pass_in_cuts(&m.net, &made.batch, 1, STEPS, true, &planned);
    ck_assert_mem_eq(alone.output, planned.output, (size_t)alone.size * sizeof(real));
    ck_assert_mem_eq(alone.gradient, planned.gradient, (size_t)m.net.model.params.learned * sizeof(real));
    ck_assert(largest(alone.gradient, m.net.model.params.learned) > 0);
    free_passed(&alone), free_passed(&planned);
    close_network(&m);
}
END_TEST

/* The same gradient whether a batch passes at once, in slices, or as batches that share an optimiser step. */
START_TEST(slices_and_accumulation) {
    static const char *const weights[][2] = {
        {"conv", ""}, {"conv", ", weight: standardised"}, {"conv", ", weight: norm"}, {"biper", ", stage: 2"}};
    struct snn_experiment e;
    const struct snn_batch *batch;
    char yaml[1024];
    real *whole = NULL;
    snprintf(yaml, sizeof yaml,
             "data: {name: mnist, timesteps: 3%s}\nmodel: [%s: {out: 4, kernel: 5, stride: 3%s}, lif, dropout: 0.3, "
             "flatten, linear: 10]\ntrain: {batch: 24}\n",
             inputs[_i % 3], weights[_i / 3][0], weights[_i / 3][1]);
    open_run(yaml, 1, &e);
    for (int32_t slice = 24; slice > 0; slice -= 5) {
        struct snn_network_plan plan = {.T = 3, .B = 24, .cut = 3, .train = true, .slice = slice};
        ck_ok(snn_network_allocate(&e.network, &plan));
        ck_ok(snn_experiment_init(&e));
        snn_network_zero_gradients(&e.network);
        pass_batch(&e, first_batch(&e), 0, 24);
        if (!whole) {
            whole = copy_gradients(&e.network);
        } else {
            real *parts = copy_gradients(&e.network);
            expect_close_gradients(&e.network, whole, parts, 1e-4, "slices");
            free(parts);
        }
    }
    ck_ok(snn_experiment_data(&e, data_dir, 1, 8, 0)); /* the same samples in batches of 8 */
    snn_network_zero_gradients(&e.network);
    ck_ok(snn_loader_start(e.loader[SNN_SUBSET_TRAIN], 0, 0));
    for (int i = 0; i < 3; ++i) {
        ck_ok(snn_loader_next(e.loader[SNN_SUBSET_TRAIN], &batch));
        ck_assert_int_eq(batch->B, 8);
        pass_batch(&e, batch, 0, 24);
    }
    real *sum = copy_gradients(&e.network);
    expect_close_gradients(&e.network, whole, sum, 1e-4, "batches");
    free(whole), free(sum);
    snn_experiment_close(&e);
}
END_TEST

static real *trained_weights(const char *yaml, ptrdiff_t *count);

/* The run scales what it accumulates by the samples of the step, also where an epoch ends with a smaller one. */
START_TEST(accumulated_steps) {
    static const char *const yaml =
        "seed: 2\ndata: {name: mnist, timesteps: 2, validation: 0.25}\nmodel: [flatten, lif, "
        "linear: 10]\ntrain: {epochs: 2, optimizer: {name: sgd, lr: 0.1}, batch: %d, "
        "accumulate: %d}\n"; /* 72 samples: steps of 32, 32 and 8 */
    char text[2][1024];
    ptrdiff_t n, m;
    snprintf(text[0], sizeof text[0], yaml, 32, 1), snprintf(text[1], sizeof text[1], yaml, 8, 4);
    real *a = trained_weights(text[0], &n), *b = trained_weights(text[1], &m);
    ck_assert_int_eq(n, m);
    ck_assert_msg(farthest(a, b, n) < 1e-5, "%g", farthest(a, b, n));
    free(a), free(b);
}
END_TEST

/* ---- what training does to parameters ---- */

static real *weights_of(const char *file, const char *name, ptrdiff_t *count) {
    struct snn_st *st;
    ck_ok(snn_st_open(file, &st));
    const struct snn_st_tensor *t = snn_st_find(st, name);
    ck_assert_msg(t, "%s has no %s", file, name);
    *count = (ptrdiff_t)snn_st_elements(t);
    real *values = malloc((size_t)*count * sizeof *values);
    ck_ok(snn_st_to_float(t, values));
    snn_st_close(&st);
    return values;
}

static real *trained_weights(const char *yaml, ptrdiff_t *count) {
    ck_ok(train(yaml, made_path("trained"), (struct asked){0}, NULL));
    real *values = weights_of(made_path("trained/last.safetensors"), "model.2.linear.weight", count);
    made_remove(made_path("trained"));
    return values;
}

/* A step of plain SGD with lr 1 moves the weights by the clipped gradient. */
START_TEST(clip) {
    struct snn_experiment e;
    double norm[3];
    static const char *const clips[] = {"none", "0.01", "1e6"};
    for (int k = 0; k < 3; ++k) {
        char yaml[512];
        ptrdiff_t n;
        double sum = 0;
        snprintf(
            yaml, sizeof yaml,
            "seed: 2\ndata: {name: mnist, timesteps: 2}\nmodel: [flatten, lif, linear: {out: 10, bias: false}]\ntrain: "
            "{epochs: 1, batch: 96, optimizer: {name: sgd, lr: 1}, clip: %s}\n",
            clips[k]);
        open_run(yaml, 1, &e);
        ck_ok(snn_network_allocate(&e.network, &(struct snn_network_plan){.T = 2, .B = 96, .cut = 2, .train = true}));
        ck_ok(snn_experiment_init(&e));
        real *after = trained_weights(yaml, &n);
        for (ptrdiff_t i = 0; i < n; ++i) {
            double moved = (double)after[i] - (double)e.network.model.params.list[0]->value[i];
            sum += moved * moved;
        }
        norm[k] = sqrt(sum);
        free(after);
        snn_experiment_close(&e);
    }
    ck_assert_msg(norm[0] > 0.1 && norm[0] == norm[2], "%g %g", norm[0], norm[2]);
    ck_assert_msg(fabs(norm[1] - 0.01) < 1e-4, "%g", norm[1]);
}
END_TEST

START_TEST(frozen) {
    ptrdiff_t n;
    struct snn_experiment e;
    const char *yaml =
        "seed: 2\ndata: {name: mnist, timesteps: 2}\nmodel: [flatten, linear: 30, batchnorm, lif, linear: 10]\n"
        "train: {epochs: 2, batch: 32, optimizer: {name: adamw, weight_decay: 0.1, lr: 0.01}, freeze: "
        "[\"model.1.*\", model.2.batchnorm.bias]}\n";
    open_run(yaml, 1, &e);
    ck_ok(snn_network_allocate(&e.network, &(struct snn_network_plan){.T = 2, .B = 32, .cut = 2, .train = true}));
    ck_ok(snn_experiment_init(&e));
    ck_ok(train(yaml, made_path("frozen"), (struct asked){0}, NULL));
    for (int i = 0; i < e.network.model.params.count; ++i) {
        const struct snn_param *p = e.network.model.params.list[i];
        bool held = strstr(p->name, "model.1.") || !strcmp(p->name, "model.2.batchnorm.bias");
        real *after = weights_of(made_path("frozen/last.safetensors"), p->name, &n);
        bool same = !memcmp(after, p->value, (size_t)n * sizeof *after);
        ck_assert_msg(same == held, "%s %s", p->name, held ? "has moved" : "has not moved");
        free(after);
    }
    snn_experiment_close(&e);
}
END_TEST

/* Compare one parameter of two experiments, bit for bit. */
static bool equal_parameter(const struct snn_experiment *a, const char *name, const real *values) {
    const struct snn_param *p = snn_params_find(&a->network.model.params, name);
    return !memcmp(p->value, values, (size_t)p->count * sizeof *values);
}

static int init_from(const char *model, const char *from, struct snn_experiment *e) {
    char yaml[1536];
    snprintf(yaml, sizeof yaml, "seed: 9\ndata: {name: mnist, timesteps: 2}\nmodel: %s\ntrain: {from: %s}\n", model,
             from);
    open_run(yaml, 1, e);
    ck_ok(snn_network_allocate(&e->network, &(struct snn_network_plan){.T = 2, .B = 32, .cut = 2, .train = true}));
    return snn_experiment_init(e);
}

START_TEST(from) {
    struct snn_experiment e;
    char text[1024];
    ptrdiff_t n;
    const char *file = made_path("source/best.safetensors");
    ck_ok(train("seed: 2\ndata: {name: mnist, timesteps: 2}\n" FLAT_MODEL "train: {epochs: 1}\n", made_path("source"),
                (struct asked){0}, NULL));
    real *hidden = weights_of(file, "model.1.linear.weight", &n), *last = weights_of(file, "model.3.linear.bias", &n);
    /* all of it */
    snprintf(text, sizeof text, "{file: %s}", file);
    ck_ok(init_from("[flatten, linear: 20, lif, linear: 10]", text, &e));
    ck_assert(equal_parameter(&e, "model.1.linear.weight", hidden) && equal_parameter(&e, "model.3.linear.bias", last));
    snn_experiment_close(&e);
    /* a part, under other names; what the map leaves out is drawn */
    snprintf(text, sizeof text,
             "{file: %s, map: {model.1.linear.weight: model.1.linear.weight, model.3.linear.bias: "
             "model.5.linear.bias}}",
             file);
    ck_ok(init_from("[flatten, linear: 20, lif, linear: 8, if, linear: 10]", text, &e));
    ck_assert(equal_parameter(&e, "model.1.linear.weight", hidden) && equal_parameter(&e, "model.5.linear.bias", last));
    const struct snn_param *drawn = snn_params_find(&e.network.model.params, "model.3.linear.weight");
    ck_assert(largest(drawn->value, drawn->count) > 0);
    snn_experiment_close(&e);
    /* what does not fit is said by name */
    snprintf(text, sizeof text, "{file: %s}", file);
    ck_assert_int_eq(init_from("[flatten, linear: 21, lif, linear: 10]", text, &e), SNN_EDATA);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "'model.1.linear.weight' does not have the shape"));
    snn_experiment_close(&e);
    snprintf(text, sizeof text, "{file: %s, map: {model.9.linear.bias: model.3.linear.bias}}", file);
    ck_assert_int_eq(init_from("[flatten, linear: 20, lif, linear: 10]", text, &e), SNN_EDATA);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "has no tensor 'model.9.linear.bias'"));
    snn_experiment_close(&e);
    free(hidden), free(last);
}
END_TEST

static double tau_seen[2 * TRAIN / 32 + 1];
static void take_tau(void *payload, double *number) { *(double *)payload = *number; }
static void note_tau(struct snn_network *n, int batch) {
    ck_assert_int_eq(snn_model_numbers(&n->model, "model.1.lif.tau", take_tau, &tau_seen[batch]), 1);
}

START_TEST(anneal) {
    static const char *const shapes[] = {"linear", "exp", "cosine"};
    const int batches = 2 * TRAIN / 32;
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             "data: {name: mnist, timesteps: 2}\nmodel: [flatten, {name: hid, lif: {tau: 2}}, linear: 10]\ntrain: "
             "{epochs: 2, batch: 32, "
             "anneal: [{key: model.hid.lif.tau, to: 8, until: 0.5, shape: %s}]}\n",
             shapes[_i]);
    ck_ok(train(yaml, made_path("annealed"), (struct asked){.at = note_tau}, NULL));
    ck_assert_int_eq(hook.batches, batches);
    for (int i = 0; i < batches; ++i) {
        double p = fmin((double)i / batches / 0.5, 1);
        double expected = _i == 0 ? 2 + 6 * p : _i == 1 ? 2 * pow(4, p) : 2 + 6 * (1 - cos(acos(-1) * p)) / 2;
        ck_assert_msg(fabs(tau_seen[i + 1] - expected) < 1e-12, "batch %d: tau %g, expected %g", i, tau_seen[i + 1],
                      expected);
    }
}
END_TEST

/* ---- which epoch is the result ---- */

/* Accuracy of `split` in epoch `epoch` of a log, -1 when there is none. */
static double logged(const char *dir, int epoch, const char *split, const char *key) {
    char *log = timeless_log(dir);
    double value = -1;
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *r = json_loads(line, 0, NULL);
        if (json_integer_value(json_object_get(r, "epoch")) == epoch &&
            !strcmp(json_string_value(json_object_get(r, "split")), split))
            value = json_number_value(json_object_get(r, key));
        json_decref(r);
    }
    free(log);
    return value;
}

static void evaluate(struct snn_experiment *e, int subset, struct snn_metrics *m) {
    snn_metrics_init(m, &e->network, e->steps, NULL, 1);
    ck_ok(snn_evaluate(e, &(struct snn_evaluate_options){.subset = subset}, m));
}

START_TEST(kept_epoch) {
    const char *dir = made_path("kept");
    struct snn_run_result result;
    struct snn_experiment e;
    struct snn_metrics m;
    char yaml[512];
    int best = 1, epochs = 5;
    snprintf(yaml, sizeof yaml,
             "seed: 5\n" DATA FLAT_MODEL "train: {epochs: %d, batch: 16, optimizer: {name: adam, lr: 0.3}, anneal: "
             "[{key: model.2.lif.threshold, to: 1e3, shape: exp}]}\nrun: {keep: %s}\n", /* silence at the end */
             epochs, _i ? "last" : "best");
    ck_ok(train(yaml, dir, (struct asked){0}, &result));
    for (int i = 2; i <= epochs; ++i)
        if (logged(dir, i, "validation", "accuracy") > logged(dir, best, "validation", "accuracy")) best = i;
    ck_assert_int_lt(best, epochs); /* else the two would be one */
    int kept = _i ? epochs : best;
    ck_assert_str_eq(result.selected_by, _i ? "last epoch" : "validation.accuracy");
    for (int s = 0; s < 3; ++s) ck_assert_int_eq(result.split[s].epoch, kept);
    ck_assert(fabs(result.split[1].accuracy - logged(dir, kept, "validation", "accuracy")) < 1e-8);
    /* best.safetensors holds that epoch's weights and annealed numbers: evaluating them gives the same figures */
    open_run(yaml, 1, &e);
    ck_ok(snn_network_allocate(&e.network, &(struct snn_network_plan){.T = 3, .B = 16, .cut = 3}));
    ck_ok(snn_checkpoint_trained(made_path("kept/best.safetensors"), &e));
    for (int s = SNN_SUBSET_VALIDATION; s <= SNN_SUBSET_TEST; ++s) {
        evaluate(&e, s, &m);
        ck_assert(snn_metrics_accuracy(&m) == result.split[s].accuracy && snn_metrics_loss(&m) == result.split[s].loss);
        snn_metrics_free(&m);
    }
    snn_experiment_anneal(&e, _i ? 0 : 0.99); /* other numbers would have given other figures */
    evaluate(&e, SNN_SUBSET_TEST, &m);
    ck_assert(snn_metrics_loss(&m) != result.split[SNN_SUBSET_TEST].loss);
    snn_metrics_free(&m);
    snn_experiment_close(&e);
}
END_TEST

/* With a learning rate of 0 nothing improves: the first epoch, then `patience` more. */
START_TEST(early_stop) {
    struct snn_run_result result;
    ck_ok(train("seed: 5\n" DATA FLAT_MODEL "train: {epochs: 9, batch: 32, optimizer: {name: sgd, lr: 0}}\n"
                "run: {stop: {patience: 3}}\n",
                made_path("early"), (struct asked){0}, &result));
    ck_assert_int_eq(result.epochs, 4);
    ck_assert_int_eq(result.split[SNN_SUBSET_VALIDATION].epoch, 1);
}
END_TEST

/* ---- failures ---- */

#define EVERY_STEP "seed: 3\n" DATA FLAT_MODEL "train: {epochs: 2, batch: 16}\nrun: {checkpoint_every: 1 steps}\n"

static void plant_nan(struct snn_network *n, int batch) {
    if (batch == 4) snn_params_find(&n->model.params, "model.1.linear.weight")->value[5] = NAN;
}

/* A norm asks for the gradient of its input, whatever that comes from: here nothing before it learns. */
START_TEST(norm_behind_what_learns_nothing) {
    static const char *const first[] = {"avgpool: 2", "maxpool: 2", "dropout: 0.5", "flatten"}, *const second[] = {
                                                                                                    "batchnorm",
                                                                                                    "layernorm"};
    char yaml[512];
    for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 2; ++k) {
            snprintf(yaml, sizeof yaml,
                     "data: {name: mnist, timesteps: 2}\nmodel: [%s, %s, lif, flatten, linear: 10]\ntrain: {epochs: 1, "
                     "batch: 24}\n",
                     first[i], second[k]);
            ck_ok(train(yaml, made_path("norm%d%d", i, k), (struct asked){0}, NULL));
        }
}
END_TEST

/* A loss that only the evaluation finds to be broken. */
static void nan_in_evaluation(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss,
                              real *gradient, double *scratch) {
    real_loss->evaluate(device, call, sample_loss, gradient, scratch);
    if (!gradient) sample_loss[0] = NAN;
}
static void break_later(struct snn_network *n, int batch) {
    stop_later(n, batch);
    stopping_loss.evaluate = nan_in_evaluation;
}

START_TEST(not_finite_in_evaluation) {
    ck_error(train(ways[1].yaml, made_path("broken"), (struct asked){.at = break_later}, NULL), SNN_EFAIL,
             "epoch 1: the loss on the test data is not finite");
}
END_TEST

START_TEST(not_finite) {
    /* a rate that blows up: named by layer or parameter, and step */
    static const char *const rates[] = {"1e10", "1e25", "1e38"};
    for (int i = 0; i < 3; ++i) {
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 "seed: 3\n" DATA "model: [flatten, linear: 20, lif, linear: 10, li]\ntrain: {epochs: 9, "
                 "batch: 16, optimizer: {name: sgd, lr: %s}, loss: mse}\n",
                 rates[i]);
        int rc = train(yaml, made_path("blown"), (struct asked){0}, NULL);
        const char *text = snn_error_text();
        ck_assert_msg(rc == SNN_EFAIL, "lr %s: %d", rates[i], rc);
        ck_assert_msg(!strncmp(text, "step ", 5) && strstr(text, "model.") && !strchr(text, '\n'), "lr %s: %s",
                      rates[i], text);
        made_remove(made_path("blown"));
    }
    /* a planted one: what was saved before it goes on as if nothing had been */
    ck_ok(train(EVERY_STEP, made_path("whole"), (struct asked){0}, NULL));
    ck_assert_int_eq(train(EVERY_STEP, made_path("planted"), (struct asked){.at = plant_nan}, NULL), SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), "step 3: parameter model.1.linear.weight is not finite"), "%s",
                  snn_error_text());
    ck_ok(train(EVERY_STEP, made_path("planted"), (struct asked){.resume = true}, NULL));
    expect_same_run(made_path("whole"), made_path("planted"), "after a NaN");
}
END_TEST

START_TEST(full_disk) {
    const char *dir = made_path("full");
    struct rlimit limit, small;
    struct stat info;
    struct snn_st *st;
    signal(SIGXFSZ, SIG_IGN);
    ck_ok(train(EVERY_STEP, made_path("whole"), (struct asked){0}, NULL));
    ck_assert_int_eq(train(EVERY_STEP, dir, (struct asked){.stop_at = 3}, NULL), SNN_EINTR);
    ck_assert(!stat(made_path("full/last.safetensors"), &info));
    ck_assert(!getrlimit(RLIMIT_FSIZE, &limit));
    small = limit, small.rlim_cur = (rlim_t)info.st_size / 2;
    ck_assert(!setrlimit(RLIMIT_FSIZE, &small));
    int rc = train(EVERY_STEP, dir, (struct asked){.resume = true}, NULL);
    char said[1024];
    snprintf(said, sizeof said, "%s", snn_error_text());
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));
    ck_assert_int_eq(rc, SNN_EFAIL);
    ck_assert_msg(strstr(said, "full/last.safetensors: cannot be written: File too large"), "%s", said);
    expect_clean_folder(dir, "after a full disk");
    ck_ok(snn_st_open(made_path("full/last.safetensors"), &st));
    snn_st_close(&st);
    ck_ok(train(EVERY_STEP, dir, (struct asked){.resume = true}, NULL));
    expect_same_run(made_path("whole"), dir, "after a full disk");
}
END_TEST

/* A checkpoint whose training state is damaged, or that belongs to another network, is refused before anything moves.
 */
START_TEST(foreign_checkpoint) {
    const char *yaml = ways[2].yaml, *dir = made_path("foreign");
    ck_assert_int_eq(train(yaml, dir, (struct asked){.stop_at = 2}, NULL), SNN_EINTR);
    size_t size;
    char *good = made_read(made_path("foreign/last.safetensors"), &size);
    ck_assert_int_eq(train(ways[1].yaml, dir, (struct asked){.resume = true}, NULL), SNN_EDATA); /* other optimiser */
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "has no tensor 'optimizer."));
    char *state = memmem(good, size, "\\\"stop_wait\\\":", 14);
    ck_assert(state);
    state[4] ^= 1;
    made_write(made_path("foreign/last.safetensors"), good, size);
    ck_assert_int_eq(train(yaml, dir, (struct asked){.resume = true}, NULL), SNN_EDATA);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "no usable training state"));
    state[4] ^= 1;
    made_write(made_path("foreign/last.safetensors"), good, size - 1);
    ck_assert_int_eq(train(yaml, dir, (struct asked){.resume = true}, NULL), SNN_EDATA);
    made_write(made_path("foreign/last.safetensors"), good, size);
    ck_ok(train(yaml, dir, (struct asked){.resume = true}, NULL));
    free(good);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train");
    TCase *t = tcase_create("train");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, made_setup, made_teardown);
    tcase_add_loop_test(t, resumed, 0, WAYS);
    tcase_add_loop_test(t, resumed_each_step, 0, WAYS);
    tcase_add_loop_test(t, resumed_when_done, 0, WAYS);
    tcase_add_test(t, stopped_in_evaluation);
    tcase_add_test(t, thread_counts);
    tcase_add_test(t, seeds);
    tcase_add_test(t, clock_of_steps);
    tcase_add_loop_test(t, killed, 0, 3);
    tcase_add_test(t, killed_twice);
    tcase_add_test(t, one_process_a_folder);
    tcase_add_loop_test(t, no_allocation, 0, WAYS - STAGED + 1);
    tcase_add_loop_test(t, plan_is_what_is_taken, 0, 3);
    tcase_add_loop_test(t, lifetimes, 0, 6);
    tcase_add_loop_test(t, chunked, 0, CUT_MODELS);
    tcase_add_loop_test(t, chunked_gradients, 0, 4);
    tcase_add_loop_test(t, first_steps, 0, CUT_MODELS);
    tcase_add_loop_test(t, single_step, 0, CUT_MODELS);
    tcase_add_loop_test(t, slices_and_accumulation, 0, 12);
    tcase_add_test(t, accumulated_steps);
    tcase_add_test(t, clip);
    tcase_add_test(t, frozen);
    tcase_add_test(t, from);
    tcase_add_loop_test(t, anneal, 0, 3);
    tcase_add_loop_test(t, kept_epoch, 0, 2);
    tcase_add_test(t, early_stop);
    tcase_add_test(t, norm_behind_what_learns_nothing);
    tcase_add_test(t, not_finite_in_evaluation);
    tcase_add_test(t, not_finite);
    tcase_add_test(t, full_disk);
    tcase_add_test(t, foreign_checkpoint);
    suite_add_tcase(suite, t);
    made_run_data();
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
