/* SPDX-License-Identifier: Apache-2.0
 * run_rig.h - training runs of milliseconds, from images on disk to a run folder, that can be stopped and compared. */
#ifndef SNN_TEST_RUN_RIG_H
#define SNN_TEST_RUN_RIG_H

#include <jansson.h>
#include <math.h>
#include <signal.h>

#include "made_data.h"
#include "train/run.h"

#define DATA "data: {name: mnist, timesteps: 3, validation: 0.25}\n"
#define CONV_MODEL                                                                                                     \
    "model: [conv: {out: 4, kernel: 5, stride: 3}, batchnorm, lif, dropout: 0.3, avgpool: 2, flatten, linear: 10]\n"
#define FLAT_MODEL "model: [flatten, linear: 20, lif, linear: 10]\n"

/* 96 training samples: 72 after the validation split, 5 batches of at most 16. */
enum { TRAIN = 96, TEST = 32, BATCHES = 5 };

static const struct way {
    const char *yaml;
    int batches; /* of the whole run, all epochs; below 0: an early stop decides, at most so many */
} ways[] = {
    {"seed: 3\n" DATA CONV_MODEL "train: {epochs: 3, batch: 16, accumulate: 2, schedule: {name: cosine, per: step}}\n",
     3 * BATCHES},
    {"seed: 4\ndata: {name: mnist, timesteps: 4, coding: rate}\n" FLAT_MODEL
     "train: {epochs: 2, batch: 16, optimizer: {name: sgd, momentum: 0.9, nesterov: true, lr: 0.05},\n"
     "        schedule: {name: one_cycle, max_lr: 0.2, per: step}}\nrun: {checkpoint_every: 2 steps}\n",
     2 * TRAIN / 16},
    {"seed: 5\n" DATA FLAT_MODEL "train: {epochs: 9, batch: 16, optimizer: {name: adam, lr: 0.3, amsgrad: true},\n"
     "        schedule: {name: plateau, patience: 0, threshold: 0.2, factor: 0.3}}\n"
     "run: {stop: {metric: validation.accuracy, patience: 1}}\n",
     -9 * BATCHES},
    {"seed: 6\ndata: {name: mnist, timesteps: 2}\n"
     "model: [flatten, linear: 20, plif, layernorm, lif: {tau: 3}, linear: 10]\n"
     "train: {epochs: 2, batch: 24, clip: 0.5, optimizer: nadam, schedule: {name: constant, warmup: 4, per: step},\n"
     "        anneal: [{key: model.4.lif.tau, to: 1.5, until: 0.7, shape: cosine}]}\n"
     "run: {keep: last, checkpoint_every: 2 epochs}\n",
     2 * TRAIN / 24},
    {"seed: 7\n" DATA "model: [flatten, linear: 20, lif, biper: {out: 20, activation: sign}, lif, biper: 10]\n"
     "train: {batch: 16, optimizer: {name: sgd, lr: 0.1, momentum: 0.9}, schedule: {name: cosine, per: step},\n"
     "        anneal: [{key: model.3.biper.frequency, to: 25, per: step}], stages: [{epochs: 2}, {epochs: 3, from: "
     "best,\n"
     "        set: {model.3.biper.stage: 2, model.5.biper.stage: 2, train.optimizer: {name: adam, lr: 0.01}}}]}\n"
     "run: {checkpoint_every: 4 epochs}\n",
     5 * BATCHES},
    {"seed: 8\n" DATA FLAT_MODEL
     "train: {batch: 16, optimizer: {name: adam, lr: 0.3}, schedule: {name: plateau, patience: 0},\n"
     "        stages: [{epochs: 6, set: {train.freeze: ['*.bias']}}, {epochs: 4, set: {model.2.lif.tau: 3, "
     "train.batch: "
     "24}},\n"
     "        {epochs: 4, from: best, set: {train.freeze: [], train.optimizer.lr: 0.01}}]}\n"
     "run: {stop: {metric: validation.accuracy, patience: 1}}\n",
     -14 * BATCHES},
};
enum { WAYS = sizeof ways / sizeof *ways, STAGED = 2 /* the last ones, which take memory when a stage begins */ };

/* Stands between a run and its learning rule, to act at a chosen batch. */
static struct {
    const struct snn_trainer_ops *real;
    int batches, stop_at; /* seen so far in this call of train(); from 1 */
    volatile sig_atomic_t stop;
    void (*at)(struct snn_network *network, int batch);
} hook;

static bool run_saved; /* there has been a last.safetensors */

static inline void hooked(const struct snn_trainer *trainer, struct snn_network *n) {
    ++hook.batches;
    if (hook.at) hook.at(n, hook.batches);
    if (hook.batches == hook.stop_at) hook.stop = 1;
    hook.real->batch(trainer, n);
}

struct asked {
    int threads, stop_at;
    const char *device; /* NULL: cpu */
    bool resume;
    void (*at)(struct snn_network *network, int batch);
};

static char data_dir[MADE_PATH];

static inline void open_run_on(const char *device, const char *yaml, int threads, struct snn_experiment *e) {
    struct snn_conf_doc *doc;
    struct snn_experiment_options options = {.device = device, .threads = threads ? threads : 1, .data_dir = data_dir};
    ck_ok(snn_conf_parse(yaml, strlen(yaml), "test.yaml", &doc));
    ck_ok(snn_experiment_read(doc, &options, e));
    ck_ok(snn_experiment_data(e, data_dir, 7, 0, 0));
}

static inline void open_run(const char *yaml, int threads, struct snn_experiment *e) {
    open_run_on("cpu", yaml, threads, e);
}

static inline int train(const char *yaml, const char *dir, struct asked asked, struct snn_run_result *result) {
    struct snn_experiment e;
    struct snn_run_result unused;
    open_run_on(asked.device ? asked.device : "cpu", yaml, asked.threads, &e);
    struct snn_trainer_ops ops = *e.trainer.ops;
    char last[MADE_PATH + 32];
    snprintf(last, sizeof last, "%s/last.safetensors", dir);
    run_saved = snn_file_exists(last);
    hook.real = e.trainer.ops, hook.batches = 0, hook.stop_at = asked.stop_at, hook.stop = 0, hook.at = asked.at;
    ops.batch = hooked;
    e.trainer.ops = &ops;
    struct snn_run_options options = {
        .dir = dir, .resume = asked.resume, .quiet = true, .lines = stdout, .stop = &hook.stop};
    int rc = snn_train(&e, &options, result ? result : &unused);
    snn_experiment_close(&e);
    return rc;
}

/* log.jsonl without what a clock or the machine says. */
static inline char *timeless_log(const char *dir) {
    static const char *const clocks[] = {"seconds", "samples_per_s", "data_wait_s", "peak_rss_mb"};
    char path[MADE_PATH + 32], *out = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    char *text = made_read(path, NULL);
    FILE *f = open_memstream(&out, &size);
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        ck_assert_msg(end, "%s: ends within a line", path);
        json_t *record = json_loadb(line, (size_t)(end - line), 0, NULL);
        ck_assert_msg(record, "%s: %s", path, line);
        for (int i = 0; i < 4; ++i) ck_assert_msg(!json_object_del(record, clocks[i]), "%s: %s", path, clocks[i]);
        char *kept = json_dumps(record, JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
        fprintf(f, "%s\n", kept);
        free(kept), json_decref(record);
    }
    fclose(f);
    free(text);
    return out;
}

static inline void expect_same_run(const char *a, const char *b, const char *why) {
    static const char *const files[] = {"last.safetensors", "best.safetensors", "config.yaml", "curves.png"};
    char x[MADE_PATH + 32], y[MADE_PATH + 32];
    char *log[2] = {timeless_log(a), timeless_log(b)};
    ck_assert_msg(!strcmp(log[0], log[1]), "%s: log.jsonl differs:\n%s---\n%s", why, log[0], log[1]);
    free(log[0]), free(log[1]);
    for (int i = 0; i < 4; ++i) {
        snprintf(x, sizeof x, "%s/%s", a, files[i]), snprintf(y, sizeof y, "%s/%s", b, files[i]);
        ck_assert_msg(made_same(x, y), "%s: %s differs", why, files[i]);
    }
}

static inline void expect_same_result(const struct snn_run_result *a, const struct snn_run_result *b) {
    ck_assert_int_eq(a->epochs, b->epochs);
    ck_assert_int_eq(a->steps, b->steps);
    ck_assert_int_eq(a->parameters, b->parameters);
    ck_assert_str_eq(a->selected_by, b->selected_by);
    for (int s = 0; s < 3; ++s) {
        ck_assert_int_eq(a->split[s].samples, b->split[s].samples);
        ck_assert_int_eq(a->split[s].epoch, b->split[s].epoch);
        /* the log, where a resumed run finds what it has not seen itself, has nine digits */
        ck_assert(fabs(a->split[s].loss - b->split[s].loss) <= 1e-8 * a->split[s].loss);
        ck_assert(isnan(a->split[s].accuracy) ? isnan(b->split[s].accuracy)
                                              : fabs(a->split[s].accuracy - b->split[s].accuracy) <= 1e-8);
    }
}

/* The images that these runs train on. */
static inline void made_run_data(void) {
    snprintf(data_dir, sizeof data_dir, "%s", made_path("mnist"));
    made_mnist(data_dir, TRAIN, TEST);
}

#endif
