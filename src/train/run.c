/* SPDX-License-Identifier: Apache-2.0
 * run.c - the training loop.
 *
 * State that a resumed run needs lives in struct snn_progress; everything else is derived from the config, so an
 * interrupted run goes on exactly where it was: the loader's order is a function of the epoch, dropout of the step, and
 * the log is cut to the checkpoint. */
#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autograd/memory.h"
#include "core/file.h"
#include "core/status.h"
#include "train/checkpoint.h"
#include "train/diagnose.h"
#include "train/evaluate.h"
#include "train/step.h"

static const char *const split_names[] = {"train", "validation", "test"};

struct loop {
    struct snn_experiment *e;
    const struct snn_run_options *options;
    struct snn_progress progress;
    struct snn_metrics eval;
    struct snn_runlog log;
    double saved_at; /* of the last checkpoint */
    bool data_said;  /* what was left out of the data */
};

/* ---- the folder ---- */

int snn_run_lock(const char *dir, bool resume, int *lock) {
    char path[4096];
    struct stat info;
    *lock = -1;
    if (!resume && !stat(dir, &info))
        return snn_error(SNN_EUSAGE,
                         "%s exists already: --resume goes on with it, --out DIR (or run.dir) names another", dir);
    SNN_TRY(snn_make_directories(dir));
    if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path)
        return snn_error(SNN_EUSAGE, "%.80s...: path too long", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return snn_error(SNN_EFAIL, "%s: cannot be written: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return snn_error(SNN_EUSAGE, "%s is in use by another process", dir);
    }
    *lock = fd;
    return SNN_OK;
}

void snn_run_unlock(int *lock) {
    if (*lock >= 0) close(*lock);
    *lock = -1;
}

/* A run that could not even start leaves no folder, which would be in the way of the next try. */
static void discard(const char *dir) {
    static const char *const files[] = {"log.jsonl", "lock"};
    char path[4096];
    for (int i = 0; i < 2; ++i)
        if (snprintf(path, sizeof path, "%s/%s", dir, files[i]) < (int)sizeof path) unlink(path);
    rmdir(dir);
}

/* What a killed process was writing. Its number is in the name; the lock says that no other run writes here. */
static void remove_leftovers(const char *dir) {
    DIR *folder = opendir(dir);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *at = strstr(entry->d_name, ".tmp.");
        char *end;
        long process = at ? strtol(at + 5, &end, 10) : 0;
        if (process > 0 && !*end && kill((pid_t)process, 0) && errno == ESRCH)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder) closedir(folder);
}

static int save_as(struct loop *l, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.safetensors", l->options->dir, name);
    return snn_checkpoint_save(path, l->e, &l->progress);
}

static int save(struct loop *l) {
    l->progress.log_records = l->log.count;
    l->saved_at = snn_now();
    return save_as(l, "last");
}

/* ---- one epoch ---- */

/* Samples of the batches that share the optimiser step of batch i. */
static double step_samples(const struct snn_experiment *e, int64_t i) {
    int64_t per_step = e->train.accumulate * e->train.batch, first = i / e->train.accumulate * per_step;
    int64_t left = snn_loader_samples(e->loader[SNN_SUBSET_TRAIN]) - first;
    return (double)(left < per_step ? left : per_step);
}

static bool checkpoint_due(const struct loop *l) {
    const struct snn_every *every = &l->e->every;
    if (every->steps > 0 && !l->progress.within && l->progress.step % (int64_t)every->steps == 0) return true;
    return every->minutes > 0 && snn_now() - l->saved_at >= 60 * every->minutes;
}

/* The step of batch i of the epoch, or of a piece of it; numbers that are annealed are set for it. */
static struct snn_step step_of(struct loop *l, int64_t i, const struct snn_batch *piece, int64_t number) {
    struct snn_experiment *e = l->e;
    struct snn_progress *p = &l->progress;
    int64_t batches = snn_loader_batches(e->loader[SNN_SUBSET_TRAIN]);
    int64_t epoch = p->epoch - p->stage_epoch, step = number - p->stage_step; /* of the stage */
    p->annealed = ((double)epoch + (double)i / (double)batches) / (double)e->train.epochs;
    snn_experiment_anneal(e, p->annealed);
    snn_optim_at(e->network.optim, epoch, step);
    return (struct snn_step){.seed = e->seed,
                             .number = number,
                             .samples = step_samples(e, i),
                             .first = i % e->train.accumulate == 0 && !piece->t0,
                             .last = snn_batch_ends(piece) && ((i + 1) % e->train.accumulate == 0 || i + 1 == batches),
                             .rate = snn_schedule_rate(e->schedule, epoch, step),
                             .clip = e->train.clip};
}

/* The gate stopped at step `bad` of this epoch, before it changed a weight: that step's batches pass once more, one by
 * one, until it is clear which layer or gradient is at fault. */
static int find_fault(struct loop *l, int64_t bad) {
    struct snn_experiment *e = l->e;
    struct snn_loader *loader = e->loader[SNN_SUBSET_TRAIN];
    const struct snn_progress *p = &l->progress;
    const int64_t pieces = snn_loader_pieces(loader), steps_since = p->within ? p->step - bad : p->step - 1 - bad;
    int64_t first = (p->batch - 1) / pieces - steps_since * e->train.accumulate;
    const struct snn_batch *batch;
    first -= first % e->train.accumulate;
    SNN_TRY(snn_loader_start(loader, p->epoch, first * pieces));
    for (int64_t i = first; i < first + e->train.accumulate; i = snn_loader_position(loader) / pieces) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) break;
        struct snn_step step = step_of(l, i, batch, bad);
        if (!batch->t0) snn_network_zero_gradients(&e->network);
        snn_network_set_step(&e->network, step.seed, (uint32_t)step.number, 1 / step.samples);
        struct snn_carry before = {0};
        int rc = snn_network_stage(&e->network, batch);
        if (rc >= 0 && snn_batch_is_piece(batch)) rc = snn_carry_take(&e->network, &before);
        if (rc >= 0) e->trainer.ops->batch(&e->trainer, &e->network);
        if (rc >= 0) rc = snn_diagnose(&e->network, batch, bad, before.bytes ? &before : NULL);
        free(before.bytes);
        SNN_TRY(rc);
    }
    return snn_error(SNN_EFAIL, "step %lld: the loss is not finite", (long long)bad);
}

/* What the steps since the last look brought. */
static int look(struct loop *l) {
    struct snn_experiment *e = l->e;
    struct snn_gate gate;
    SNN_TRY(snn_optim_gate(e->network.optim, &e->device, &gate));
    if (gate.stopped) return find_fault(l, (l->progress.step & ~(int64_t)UINT32_MAX) | gate.step);
    return snn_metrics_look(&l->progress.epoch_sums, &e->network);
}

enum { NOTE = 96, PIECES_A_LOOK = 64 };

/* The figures of what has passed. */
static void write_note(const struct snn_metrics *m, const struct snn_batch *batch, char note[NOTE]) {
    const double samples = (double)m->samples, decided = snn_batch_ends(batch) ? samples : samples - batch->B;
    int written = snprintf(note, NOTE, "loss %.4f", m->score[0].loss / (samples - snn_batch_left(batch)));
    if (m->classes && decided > 0)
        snprintf(note + written, NOTE - (size_t)written, "  accuracy %.2f %%",
                 100 * (double)m->score[0].correct / decided);
}

static int train_epoch(struct loop *l, struct snn_bar *bar) {
    struct snn_experiment *e = l->e;
    struct snn_network *n = &e->network;
    struct snn_progress *p = &l->progress;
    struct snn_loader *loader = e->loader[SNN_SUBSET_TRAIN];
    const int64_t pieces = snn_loader_pieces(loader), all = pieces * snn_loader_batches(loader);
    const struct snn_batch *batch;
    char note[NOTE] = "";
    SNN_TRY(snn_loader_start(loader, p->epoch, p->batch));
    snn_metrics_start(&p->epoch_sums, n);
    for (;;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) return SNN_OK;
        struct snn_step step = step_of(l, p->batch / pieces, batch, p->step);
        SNN_TRY(snn_step(n, &e->trainer, batch, &step));
        if (!batch->t0) snn_metrics_expect(&p->epoch_sums, n, batch);
        p->batch = snn_loader_position(loader), p->within = !step.last;
        if (step.last) ++p->step, p->lr = snn_optim_base_lr(n->optim) * step.rate.factor;
        if (p->within && pieces == 1) continue; /* whole batches are no place to stop within a step */
        bool last = p->batch == all, stop = *l->options->stop, due = !last && checkpoint_due(l);
        bool turn = p->within ? p->batch % PIECES_A_LOOK == 0 : p->step % e->device.interval == 0;
        if (turn || last || stop || due) {
            SNN_TRY(look(l));
            write_note(&p->epoch_sums, batch, note);
        }
        snn_bar_move(bar, (double)p->epoch_sums.samples - snn_batch_left(batch), note);
        if (stop || due) SNN_TRY(save(l));
        if (stop) {
            snn_bar_clear(bar);
            return snn_error(
                SNN_EINTR, "interrupted in epoch %lld after %lld batches; saved: `snntrain train %s --resume` goes on",
                (long long)p->epoch + 1, (long long)(p->batch / pieces), l->options->dir);
        }
    }
}

static struct snn_record record_of(const struct loop *l, int subset, const struct snn_metrics *m, double seconds) {
    struct snn_record r = {.epoch = l->progress.epoch + 1,
                           .step = l->progress.step,
                           .loss = snn_metrics_loss(m),
                           .accuracy = snn_metrics_accuracy(m),
                           .samples = m->samples,
                           .seconds = seconds,
                           .data_wait_s = snn_loader_wait_s(l->e->loader[subset]),
                           .lr = l->progress.lr};
    snprintf(r.split, sizeof r.split, "%s", split_names[subset]);
    return r;
}

static int evaluate_split(struct loop *l, int subset, struct snn_record *out) {
    struct snn_bar bar;
    double started = snn_now();
    snn_bar_start(&bar, split_names[subset], snn_loader_samples(l->e->loader[subset]), !l->options->quiet);
    snn_metrics_reset(&l->eval);
    struct snn_evaluate_options options = {.subset = subset, .bar = &bar};
    int rc = snn_evaluate(l->e, &options, &l->eval);
    snn_bar_clear(&bar);
    SNN_TRY(rc);
    if (!isfinite(snn_metrics_loss(&l->eval)))
        return snn_error(
            SNN_EFAIL,
            "epoch %lld: the loss on the %s data is not finite (a smaller train.optimizer.lr or train.clip "
            "may help)",
            (long long)l->progress.epoch + 1, split_names[subset]);
    *out = record_of(l, subset, &l->eval, snn_now() - started);
    return snn_runlog_add(&l->log, out, l->e, &l->eval);
}

static double mean_rate(const struct snn_metrics *m) {
    double spikes = 0, slots = 0;
    for (int i = 0; i < m->layers; ++i) spikes += m->layer_spikes[i], slots += m->layer_slots[i];
    return slots > 0 ? spikes / slots : 0;
}

static void print_epoch(const struct loop *l, const struct snn_record *train, const struct snn_record *held,
                        double rate) {
    if (l->options->quiet) return;
    long long epochs = snn_experiment_epochs(l->e);
    int digits = snprintf(NULL, 0, "%lld", epochs);
    fprintf(l->options->lines, "epoch %*lld/%lld  loss %.4f", digits, (long long)train->epoch, epochs, train->loss);
    if (l->e->network.regression) fprintf(l->options->lines, "  %s %.4f", held->split, held->loss);
    else
        fprintf(l->options->lines, "  train %.2f %%  %s %.2f %%", 100 * train->accuracy, held->split,
                100 * held->accuracy);
    fprintf(l->options->lines, "  spikes %.1f %%  %.1f s  %.0f samples/s  lr %.2g  waited %.2f s\n", 100 * rate,
            train->seconds, train->seconds > 0 ? (double)train->samples / train->seconds : 0, train->lr,
            train->data_wait_s);
    fflush(l->options->lines);
}

/* What was left out of the data that the first epoch of this process has read. */
static void print_losses_of_data(const struct loop *l) {
    const struct snn_experiment *e = l->e;
    const struct snn_loader *loader = e->loader[SNN_SUBSET_TRAIN];
    int32_t cut = snn_loader_cut(loader), empty = snn_loader_empty(loader);
    char text[600];
    int64_t warnings = snn_dataset_warnings(e->set, text);
    if (l->options->quiet) return;
    if (cut)
        fprintf(l->options->lines, "note: %d of %d recordings are longer than %d steps and were cut\n", (int)cut,
                (int)snn_loader_samples(loader), (int)snn_loader_max_steps(loader));
    if (empty)
        fprintf(l->options->lines, "note: %d of %d recordings have no event in any step (data.bin, data.downsample)\n",
                (int)empty, (int)snn_loader_samples(loader));
    if (warnings)
        fprintf(l->options->lines, "note: %s%s\n", text,
                warnings > 1 ? " (and others: `snntrain data verify` names them)" : "");
    fflush(l->options->lines);
}

/* Epochs of the present stage are done, or those of the run. */
static bool stage_is_over(const struct loop *l) {
    return l->progress.epoch - l->progress.stage_epoch >= l->e->train.epochs;
}

/* After the epoch's last step: figures, best, files. */
static int close_epoch(struct loop *l, double seconds, bool *stop) {
    struct snn_experiment *e = l->e;
    struct snn_progress *p = &l->progress;
    struct snn_record train = record_of(l, SNN_SUBSET_TRAIN, &p->epoch_sums, seconds), held;
    int held_subset = e->loader[SNN_SUBSET_VALIDATION] ? SNN_SUBSET_VALIDATION : SNN_SUBSET_TEST;
    double rate = mean_rate(&p->epoch_sums);
    SNN_TRY(snn_runlog_add(&l->log, &train, e, &p->epoch_sums));
    SNN_TRY(evaluate_split(l, held_subset, &held));
    print_epoch(l, &train, &held, rate);
    if (!l->data_said) print_losses_of_data(l);
    l->data_said = true;
    snn_schedule_epoch(e->schedule, held.loss, held.accuracy);
    bool by_validation = held_subset == SNN_SUBSET_VALIDATION && e->run.keep == 0;
    double score = e->network.regression ? -held.loss : held.accuracy;
    bool best = !by_validation || !p->best_epoch || score > p->best;
    if (best) p->best = score, p->best_epoch = train.epoch;
    if (e->stop.on) {
        double metric = e->stop.by_accuracy ? -held.accuracy : held.loss;
        if (isnan(p->stop_best) || metric < p->stop_best) p->stop_best = metric, p->stop_wait = 0;
        else *stop = ++p->stop_wait >= e->stop.patience;
    }
    ++p->epoch, p->batch = 0;
    snn_metrics_reset(&p->epoch_sums);
    p->log_records = l->log.count;
    if (best) SNN_TRY(save_as(l, "best"));
    bool last = stage_is_over(l) || *stop || *l->options->stop;
    bool due = e->every.epochs > 0 ? p->epoch % (int64_t)e->every.epochs == 0 : checkpoint_due(l);
    if (due || last) SNN_TRY(save(l));
    return snn_runlog_plot(&l->log, l->options->dir, e->data.name);
}

/* ---- the run ---- */

/* Memory for the network of the present stage. */
static int allocate(struct loop *l) {
    struct snn_experiment *e = l->e;
    struct snn_network_plan plan = snn_experiment_plan(e, true);
    SNN_TRY(snn_network_allocate(&e->network, &plan));
    snn_metrics_free(&l->progress.epoch_sums), snn_metrics_free(&l->eval);
    snn_metrics_init(&l->progress.epoch_sums, &e->network, e->steps, NULL, 1);
    snn_metrics_init(&l->eval, &e->network, e->steps, NULL, 1);
    return SNN_OK;
}

/* The next stage begins: it is saved before anything else, since its first epoch writes over the `best` that it may
 * start from. */
static int enter_stage(struct loop *l) {
    static const char *const names[] = {"last", "best"};
    struct snn_experiment *e = l->e;
    struct snn_progress *p = &l->progress;
    int k = (int)p->stage + 1;
    const char *from = names[e->stages[k].from];
    long long epoch = e->stages[k].from ? (long long)p->best_epoch : (long long)p->epoch;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.safetensors", l->options->dir, from);
    SNN_TRY(snn_experiment_enter(e, k));
    SNN_TRY(allocate(l));
    SNN_TRY(snn_checkpoint_weights(path, NULL, &e->network));
    p->stage = k, p->stage_epoch = p->epoch, p->stage_step = p->step;
    p->best = 0, p->best_epoch = 0, p->stop_best = NAN, p->stop_wait = 0, p->annealed = 0;
    if (!l->options->quiet)
        fprintf(l->options->lines, "stage %d/%d: %lld epochs from the weights of epoch %lld (%s)\n", k + 1,
                e->stage_count, e->train.epochs, epoch, from);
    return save(l);
}

static int start(struct loop *l, bool resumed, const char *last) {
    struct snn_experiment *e = l->e;
    int64_t stage = 0;
    if (resumed) SNN_TRY(snn_checkpoint_stage(last, &stage));
    if (stage < 0 || (stage && stage >= e->stage_count))
        return snn_error(SNN_EUSAGE, "%s: is of stage %lld, but train.stages has %d", last, (long long)stage + 1,
                         e->stage_count);
    SNN_TRY(snn_experiment_enter(e, (int)stage));
    SNN_TRY(allocate(l));
    if (resumed) SNN_TRY(snn_checkpoint_load(last, e, &l->progress));
    else SNN_TRY(snn_experiment_init(e));
    SNN_TRY(snn_runlog_open(&l->log, l->options->dir, l->progress.log_records));
    /* The curves may be of another epoch than the checkpoint: they are drawn after it is saved. */
    return l->log.count ? snn_runlog_plot(&l->log, l->options->dir, e->data.name) : SNN_OK;
}

static int write_config(const struct loop *l) {
    char path[4096], *text = snn_conf_write(snn_conf_root(l->e->all ? l->e->all : l->e->doc));
    snprintf(path, sizeof path, "%s/config.yaml", l->options->dir);
    int rc = text ? snn_replace_file(path, text, strlen(text)) : snn_error(SNN_EFAIL, "out of memory");
    free(text);
    return rc;
}

/* Figures of the selected epoch; the test set is read once more with its weights. */
static int finish(struct loop *l, struct snn_run_result *result) {
    struct snn_experiment *e = l->e;
    char best[4096];
    int64_t epoch = l->progress.best_epoch;
    for (int s = 0; s < 3; ++s) {
        const struct snn_record *r = snn_runlog_find(&l->log, epoch, split_names[s]);
        if (r) result->split[s] = *r;
    }
    bool by_validation = e->loader[SNN_SUBSET_VALIDATION] && e->run.keep == 0;
    result->selected_by = !by_validation          ? "last epoch"
                          : e->network.regression ? "validation.loss"
                                                  : "validation.accuracy";
    if (result->split[SNN_SUBSET_TEST].samples) return SNN_OK;
    snprintf(best, sizeof best, "%s/best.safetensors", l->options->dir);
    SNN_TRY(snn_checkpoint_trained(best, e));
    l->progress.epoch = epoch - 1; /* the record names the epoch whose weights these are */
    return evaluate_split(l, SNN_SUBSET_TEST, &result->split[SNN_SUBSET_TEST]);
}

/* Train the present stage to its end. */
static int run_stage(struct loop *l) {
    struct snn_experiment *e = l->e;
    struct snn_progress *p = &l->progress;
    long long epochs = snn_experiment_epochs(e);
    bool stop = e->stop.on && p->stop_wait >= e->stop.patience; /* a run that had come to its end is resumed */
    while (!stage_is_over(l) && !stop) {
        char title[64];
        struct snn_bar bar;
        double started = snn_now();
        snprintf(title, sizeof title, "epoch %lld/%lld", (long long)p->epoch + 1, epochs);
        snn_bar_start(&bar, title, snn_loader_samples(e->loader[SNN_SUBSET_TRAIN]), !l->options->quiet);
        int rc = train_epoch(l, &bar);
        snn_bar_clear(&bar);
        SNN_TRY(rc);
        SNN_TRY(close_epoch(l, snn_now() - started, &stop));
        bool over = (stage_is_over(l) || stop) && p->stage + 1 >= e->stage_count;
        if (*l->options->stop && !over) {
            SNN_TRY(save(l)); /* which the epoch's end may not have been due to */
            return snn_error(SNN_EINTR, "interrupted after epoch %lld; saved: `snntrain train %s --resume` goes on",
                             (long long)p->epoch, l->options->dir);
        }
    }
    return SNN_OK;
}

static int run(struct loop *l, struct snn_run_result *result) {
    SNN_TRY(run_stage(l));
    while (l->progress.stage + 1 < l->e->stage_count) {
        SNN_TRY(enter_stage(l));
        SNN_TRY(run_stage(l));
    }
    result->epochs = l->progress.epoch, result->steps = l->progress.step;
    return finish(l, result);
}

/* A failure that is the device's: what is left of the run. */
static int lost_device(const struct loop *l, const char *last) {
    struct snn_device *device = &l->e->device;
    char why[700];
    if (device->shared) return SNN_EFAIL;
    snprintf(why, sizeof why, "%s", snn_error_text());
    if (device->memory->download(device, NULL, NULL, 0) >= 0) return SNN_EFAIL; /* it works: the sentence stands */
    if (!snn_file_exists(last)) return snn_error(SNN_EFAIL, "%s; nothing of the run was saved yet", why);
    return snn_error(SNN_EFAIL, "%s; `snntrain train %s --resume` goes on from the last checkpoint", why,
                     l->options->dir);
}

int snn_train(struct snn_experiment *e, const struct snn_run_options *options, struct snn_run_result *result) {
    struct loop l = {.e = e, .options = options, .saved_at = snn_now()};
    l.progress.stop_best = NAN;
    double started = snn_now();
    *result = (struct snn_run_result){0};
    int lock;
    SNN_TRY(snn_run_lock(options->dir, options->resume, &lock));
    remove_leftovers(options->dir);
    char last[4096];
    snprintf(last, sizeof last, "%s/last.safetensors", options->dir);
    bool resumed = options->resume && snn_file_exists(last);
    int rc = start(&l, resumed, last);
    if (rc < 0 && !options->resume) discard(options->dir);
    if (rc >= 0) rc = write_config(&l);
    if (rc >= 0) rc = snn_provenance_write(options->dir, e, resumed, options->quiet ? NULL : stderr);
    if (rc >= 0) rc = run(&l, result);
    for (int i = 0; i < e->network.model.params.count; ++i)
        if (!e->network.model.params.list[i]->buffer) result->parameters += e->network.model.params.list[i]->count;
    if (rc == SNN_EFAIL) rc = lost_device(&l, last);
    result->seconds = snn_now() - started;
    snn_runlog_close(&l.log);
    snn_metrics_free(&l.progress.epoch_sums), snn_metrics_free(&l.eval);
    snn_run_unlock(&lock);
    return rc;
}
