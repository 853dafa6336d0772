/* SPDX-License-Identifier: Apache-2.0
 * loader.c - a ring of batches between worker threads and the trainer.
 *
 * Batch k of an epoch always lives in slot k mod slots. A worker claims the next number when its slot is free, so a
 * batch's contents depend on its number alone, and next() only has to wait for one slot. Two slots more than workers:
 * one is in the trainer's hands, one is ready for it.
 *
 * Where recordings come in pieces the numbers are those of pieces, `pieces` a batch, and a worker claims a batch: it
 * has the recordings open. A piece that no recording of the batch reaches has no steps, and is not handed out. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/cache_parts.h"

struct slot {
    struct snn_filled filled;
    int64_t ready;    /* the number of what it holds, or -1 */
    int status;       /* of filling it */
    char error[1024]; /* its sentence */
};

struct worker {
    struct snn_loader *loader;
    struct snn_fill fill;
    pthread_t thread;
};

struct snn_loader {
    struct snn_data_config config; /* with options.timesteps in it */
    struct snn_recipe recipe;
    char *sources; /* of what the cache holds, as they were at the start */
    struct snn_cache_warnings *warnings;
    bool shuffle;
    int32_t *list, *order; /* (samples): the subset; this epoch's order of it */
    int32_t samples, batches, pieces;

    struct slot *slot;
    struct worker *worker;           /* one at least, for its scratch */
    int32_t slots, workers, threads; /* workers asked for; threads running */

    pthread_mutex_t lock; /* guards what follows; position, wait_s, cut and empty are the caller's thread's alone */
    pthread_cond_t work, done;
    bool stop, anew;  /* threads end; they leave what they are at */
    int32_t busy;     /* workers inside a batch */
    int32_t claimed;  /* next batch to fill */
    int64_t first;    /* number that the epoch begins with */
    int64_t handed;   /* next number to hand out */
    int64_t position; /* see snn_loader_position */
    int64_t released; /* what is before this one was given back: its slots are free */
    int64_t epoch;
    double wait_s;
    int32_t cut, empty;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill_slot(struct snn_loader *loader, struct snn_fill *fill, int64_t number) {
    struct slot *slot = &loader->slot[number % loader->slots];
    int32_t first = (int32_t)(number / loader->pieces) * loader->recipe.batch, left = loader->samples - first;
    int32_t n = left < loader->recipe.batch ? left : loader->recipe.batch;
    uint32_t epoch = loader->shuffle ? (uint32_t)loader->epoch : 0;
    slot->status =
        snn_fill_batch(fill, loader->order + first, n, epoch, (int32_t)(number % loader->pieces), &slot->filled);
    if (slot->status < 0) snprintf(slot->error, sizeof slot->error, "%s", snn_error_text());
}

static int64_t number_of(const struct snn_loader *loader, int32_t batch) { return (int64_t)batch * loader->pieces; }

/* Is there a slot for it? */
static bool has_slot(const struct snn_loader *loader, int64_t number) {
    return number - loader->released < loader->slots;
}

static bool has_work(const struct snn_loader *loader) {
    return loader->claimed < loader->batches && has_slot(loader, number_of(loader, loader->claimed));
}

/* The pieces of a batch, as slots become free. Called with the lock held. */
static void fill_batch(struct snn_loader *loader, struct snn_fill *fill, int32_t batch) {
    int64_t number = number_of(loader, batch), end = number + loader->pieces;
    if (number < loader->first) number = loader->first;
    for (; number < end; ++number) {
        while (!loader->stop && !loader->anew && !has_slot(loader, number))
            pthread_cond_wait(&loader->work, &loader->lock);
        if (loader->stop || loader->anew) return;
        pthread_mutex_unlock(&loader->lock);
        fill_slot(loader, fill, number);
        pthread_mutex_lock(&loader->lock);
        struct slot *slot = &loader->slot[number % loader->slots];
        slot->ready = number;
        pthread_cond_broadcast(&loader->done);
        if (slot->status < 0) return; /* nobody asks for what follows */
    }
}

enum { LOW_PRIORITY = 5 }; /* as of `nice`: a third of a share; less would starve beside other programs */

static void *work(void *payload) {
    struct worker *worker = payload;
    struct snn_loader *loader = worker->loader;
    /* Threads of a step wait for each other many times: one that shares its core with this thread holds all of them up.
     * What is read ahead can wait; a batch that is waited for has the core for itself. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), LOW_PRIORITY);
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->stop && !has_work(loader)) pthread_cond_wait(&loader->work, &loader->lock);
        if (loader->stop) break;
        int32_t batch = loader->claimed++;
        ++loader->busy;
        fill_batch(loader, &worker->fill, batch);
        --loader->busy;
        pthread_cond_broadcast(&loader->done);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- open and close ---- */

/* Steps of recording i, which is read for it. */
static int count_steps(struct snn_dataset *set, const struct snn_data_config *config, enum snn_split split, int32_t i,
                       struct snn_sample *sample, int32_t *steps) {
    const int32_t sensor[3] = {set->info.C, set->info.H, set->info.W};
    SNN_TRY(set->ops->get(set, split, i, sample));
    size_t n = snn_bin_downsample(&config->downsample, sensor, sample->events, sample->event_count);
    *steps = snn_bin_own_steps(&config->bin, sample->events, n);
    return SNN_OK;
}

/* Steps of the longest recording, framed as `config` says; every file is read, once a data set and framing. */
static int find_longest(struct snn_dataset *set, const struct snn_data_config *config, bool streams, int32_t *longest) {
    struct snn_sample sample = {0};
    int status = SNN_OK;
    bool known = set->longest.steps && !memcmp(&set->longest.bin, &config->bin, sizeof config->bin) &&
                 !memcmp(&set->longest.downsample, &config->downsample, sizeof config->downsample);
    *longest = known ? set->longest.steps : 1;
    for (int split = 0; !known && streams && split < 2; ++split) SNN_TRY(snn_find_extents(set, split));
    for (int split = 0; !known && split < 2; ++split)
        for (int32_t i = 0; i < set->info.count[split] && status == SNN_OK; ++i) {
            const struct snn_events_extent *extent = streams ? snn_extent_of(set, split, i) : NULL;
            int32_t steps = 0;
            if (extent) steps = snn_extent_steps(&config->bin, extent);
            else status = count_steps(set, config, split, i, &sample, &steps);
            if (steps > *longest) *longest = steps;
        }
    snn_sample_free(&sample);
    if (status < 0) return status;
    /* Copied as bytes: what is between the members has to be the same, too. */
    memcpy(&set->longest.bin, &config->bin, sizeof config->bin);
    memcpy(&set->longest.downsample, &config->downsample, sizeof config->downsample);
    set->longest.steps = *longest;
    return SNN_OK;
}

/* The same, read from the cache's last slot where somebody has looked before: where it holds frames, their framing is
 * this one. */
static int know_longest(const struct snn_recipe *recipe, const struct snn_data_config *config, int32_t *longest) {
    struct snn_cache *cache = recipe->stored == SNN_STORED_ROWS ? recipe->cache : NULL;
    struct snn_cache_bytes bytes = {0};
    int32_t slot = recipe->set->info.count[recipe->split];
    int status = SNN_OK;
    bool known = cache && snn_cache_get(cache, slot, &bytes);
    if (known && !snn_unpack_longest(&bytes, longest)) {
        snn_cache_reject(cache, slot);
        known = false;
    }
    if (!known) status = find_longest(recipe->set, config, recipe->streams, longest);
    if (cache && !known && status == SNN_OK && snn_pack_longest(*longest, &bytes)) snn_cache_put(cache, slot, &bytes);
    snn_cache_bytes_free(&bytes);
    return status;
}

/* recipe.longest and recipe.max_steps. */
static int settle_steps(struct snn_loader *loader) {
    const struct snn_data_config *config = &loader->config;
    struct snn_recipe *recipe = &loader->recipe;
    int32_t pad_to = config->pad.to > 0 ? (int32_t)config->pad.to : 0;
    recipe->longest = config->timesteps > 0 ? (int32_t)config->timesteps : pad_to;
    const struct snn_dataset_info *info = &recipe->set->info;
    if (snn_dataset_is_still(info) && !recipe->longest)
        return snn_error(SNN_EUSAGE,
                         "data.timesteps: auto is for sequences, and a sample of %s is one for all steps: "
                         "expected a number",
                         info->name);
    if (snn_dataset_is_still(info) && pad_to)
        return snn_error(SNN_EUSAGE, "data.pad.to: a number is for sequences, and a sample of %s is one for all steps",
                         info->name);
    if (info->kind == SNN_SEQUENCES && info->steps && (!recipe->longest || recipe->longest > info->steps))
        recipe->longest = info->steps;
    if (!recipe->longest) SNN_TRY(know_longest(recipe, config, &recipe->longest));
    if (pad_to && pad_to < recipe->longest) recipe->longest = pad_to;
    recipe->max_steps = pad_to ? pad_to : recipe->longest;
    int64_t units = (int64_t)recipe->shape[0] * recipe->shape[1] * recipe->shape[2];
    recipe->steps =
        config->pieces > 0 && config->pieces < recipe->max_steps ? (int32_t)config->pieces : recipe->max_steps;
    loader->pieces = (recipe->max_steps - 1) / recipe->steps + 1;
    if (recipe->steps > SNN_MAX_STEPS || recipe->max_steps > 1 << 30 ||
        (int64_t)recipe->steps * recipe->batch >= INT32_MAX)
        return snn_error(
            SNN_EUSAGE,
            "%d samples of %d steps are too many for a batch: make it smaller or the steps longer (data.bin)",
            recipe->batch, recipe->max_steps);
    if (config->coding == SNN_CODING_RATE && recipe->max_steps * units > UINT32_MAX)
        return snn_error(SNN_EUSAGE, "coding: rate: %d steps of %lld pixels are over 2^32 draws", recipe->max_steps,
                         (long long)units);
    return SNN_OK;
}

static int allocate(struct snn_loader *loader) {
    loader->order = reallocarray(NULL, (size_t)loader->samples, sizeof *loader->order);
    loader->slot = calloc((size_t)loader->slots, sizeof *loader->slot);
    int32_t scratches = loader->workers ? loader->workers : 1;
    loader->worker = calloc((size_t)scratches, sizeof *loader->worker);
    if (!loader->order || !loader->slot || !loader->worker) return snn_error(SNN_EFAIL, "out of memory for the loader");
    for (int32_t i = 0; i < loader->slots; ++i) SNN_TRY(snn_filled_open(&loader->recipe, &loader->slot[i].filled));
    for (int32_t i = 0; i < scratches; ++i) {
        loader->worker[i].loader = loader;
        SNN_TRY(snn_fill_open(&loader->recipe, &loader->worker[i].fill));
    }
    return SNN_OK;
}

/* ---- the cache ---- */

static int open_cache(struct snn_loader *loader) {
    struct snn_recipe *recipe = &loader->recipe;
    struct snn_dataset *set = recipe->set;
    char *folder = NULL, *text = NULL;
    if (set->info.targets)
        return snn_error(SNN_EUSAGE, "samples of %s have targets, which are not kept", set->info.name);
    int status = snn_cache_folder(loader->config.cache, &folder);
    if (status == SNN_OK) status = snn_cache_sources(set, &loader->sources);
    if (status == SNN_OK) status = snn_cache_recipe(recipe, loader->sources, &text);
    if (status == SNN_OK) {
        const struct snn_cache_options options = {
            .folder = folder,
            .set = set->info.name,
            .recipe = text,
            .slots = set->info.count[recipe->split] + 1, /* the last: see know_longest */
            .limit = loader->config.cache_limit,
            .warnings = loader->warnings,
        };
        status = snn_cache_open(&options, &recipe->cache);
    }
    free(folder);
    free(text);
    return status;
}

/* A loader without its cache is slower, nothing else. */
static void try_cache(struct snn_loader *loader) {
    if (loader->config.cache && open_cache(loader) < 0)
        snn_cache_warn(loader->warnings, SNN_CACHE_UNUSABLE, "%s: nothing is kept", snn_error_text());
}

/* What was read while files changed may be of either version, whatever its slot says. */
static void close_cache(struct snn_loader *loader) {
    struct snn_recipe *recipe = &loader->recipe;
    char *now = NULL;
    if (recipe->cache && snn_cache_wrote(recipe->cache) &&
        (snn_cache_sources(recipe->set, &now) < 0 || strcmp(now, loader->sources) != 0))
        snn_cache_void(recipe->cache, "the files of the data set have changed while they were read");
    free(now);
    free(loader->sources);
    snn_cache_close(&recipe->cache);
}

/* ---- threads ---- */

static int start_threads(struct snn_loader *loader) {
    sigset_t all, before; /* signals belong to the main thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = 0;
    while (loader->threads < loader->workers && rc == 0) {
        struct worker *worker = &loader->worker[loader->threads];
        rc = pthread_create(&worker->thread, NULL, work, worker);
        loader->threads += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc ? snn_error(SNN_EFAIL, "data.workers: thread %d cannot be started: %s", loader->threads + 1, strerror(rc))
              : SNN_OK;
}

/* A set may know its shape only now that it is open. */
static int check_sensor(const struct snn_data_config *config, const struct snn_dataset_info *info) {
    char why[200];
    const char *key =
        info->kind == SNN_RECORDINGS
            ? snn_downsample_misfit(&config->downsample, (const int32_t[3]){info->C, info->H, info->W}, why)
            : NULL;
    return key ? snn_error(SNN_EUSAGE, "data.downsample.%s: %s", key, why) : SNN_OK;
}

static int prepare(struct snn_loader *loader, const struct snn_loader_options *options) {
    const struct snn_data_config *config = options->config;
    SNN_TRY(snn_subset_list(options->set, options->subset, &config->validation, (uint64_t)config->split_seed,
                            &loader->list, &loader->samples));
    loader->recipe = (struct snn_recipe){
        .config = &loader->config,
        .set = options->set,
        .split = options->subset == SNN_SUBSET_TEST ? SNN_TEST : SNN_TRAIN,
        .seed = options->seed,
        .batch = options->batch < loader->samples ? options->batch : loader->samples,
        .augment = options->subset == SNN_SUBSET_TRAIN && config->augments > 0,
        .list = loader->list,
        .samples = loader->samples,
    };
    SNN_TRY(check_sensor(config, &options->set->info));
    SNN_TRY(snn_data_input(&loader->config, &options->set->info, loader->recipe.shape));
    loader->batches = (loader->samples - 1) / loader->recipe.batch + 1;
    loader->workers = (int32_t)config->workers;
    loader->slots = loader->workers ? loader->workers + 2 : 1;
    loader->claimed = loader->batches; /* nothing to do before start() */
    /* Another number of steps is asked for to compare many: they have their events in common. Pieces are framed when
     * they are due. */
    bool events = options->timesteps || loader->recipe.augment || config->pieces > 0;
    loader->recipe.stored = events ? SNN_STORED_EVENTS : SNN_STORED_ROWS;
    try_cache(loader);
    loader->recipe.streams = snn_can_stream(options->set, &loader->config, loader->recipe.augment);
    if (loader->recipe.streams) SNN_TRY(snn_find_extents(options->set, loader->recipe.split));
    SNN_TRY(settle_steps(loader));
    loader->recipe.by_sample = options->cut && options->cut < loader->recipe.steps;
    loader->handed = loader->released = number_of(loader, loader->batches);
    SNN_TRY(allocate(loader));
    return start_threads(loader);
}

int snn_loader_open(const struct snn_loader_options *options, struct snn_loader **out) {
    SNN_CHECK(options->batch > 0 && options->timesteps >= 0, "batch %d, timesteps %d", options->batch,
              options->timesteps);
    *out = NULL;
    struct snn_loader *loader = calloc(1, sizeof *loader);
    if (!loader) return snn_error(SNN_EFAIL, "out of memory for the loader");
    loader->config = *options->config;
    loader->shuffle = options->shuffle;
    loader->warnings = options->warnings;
    if (options->timesteps) {
        loader->config.timesteps = options->timesteps;
        loader->config.pad.to = SNN_PAD_MAX;
        snn_bin_refit(&loader->config.bin);
    }
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    int status = prepare(loader, options);
    if (status < 0) snn_loader_close(&loader);
    *out = loader;
    return status;
}

void snn_loader_close(struct snn_loader **where) {
    struct snn_loader *loader = *where;
    if (!loader) return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int32_t i = 0; i < loader->threads; ++i) pthread_join(loader->worker[i].thread, NULL);
    for (int32_t i = 0; loader->slot && i < loader->slots; ++i) snn_filled_free(&loader->slot[i].filled);
    for (int32_t i = 0; loader->worker && i < (loader->workers ? loader->workers : 1); ++i)
        snn_fill_free(&loader->worker[i].fill);
    close_cache(loader);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    free(loader->worker);
    free(loader->slot);
    free(loader->order);
    free(loader->list);
    free(loader);
    *where = NULL;
}

int32_t snn_loader_samples(const struct snn_loader *loader) { return loader->samples; }
void snn_loader_labels(const struct snn_loader *loader, int64_t *count) {
    const struct snn_dataset *set = loader->recipe.set;
    memset(count, 0, (size_t)set->info.classes * sizeof *count);
    for (int32_t i = 0; i < loader->samples; ++i) ++count[set->ops->label(set, loader->recipe.split, loader->list[i])];
}
int32_t snn_loader_batches(const struct snn_loader *loader) { return loader->batches; }
int32_t snn_loader_pieces(const struct snn_loader *loader) { return loader->pieces; }
int32_t snn_loader_max_steps(const struct snn_loader *loader) { return loader->recipe.max_steps; }

/* ---- an epoch ---- */

int snn_loader_start(struct snn_loader *loader, int64_t epoch, int64_t first) {
    SNN_CHECK(epoch >= 0 && epoch <= UINT32_MAX && first >= 0 && first <= number_of(loader, loader->batches),
              "epoch %lld, from %lld of %d batches in %d pieces", (long long)epoch, (long long)first, loader->batches,
              loader->pieces);
    pthread_mutex_lock(&loader->lock);
    loader->claimed = loader->batches; /* nobody begins or goes on with anything of the old epoch */
    loader->anew = true;
    pthread_cond_broadcast(&loader->work);
    while (loader->busy) pthread_cond_wait(&loader->done, &loader->lock);
    if (loader->shuffle)
        snn_rng_shuffle(loader->recipe.seed, SNN_RNG_SHUFFLE, (uint32_t)epoch, 0, loader->order, loader->samples);
    for (int32_t i = 0; i < loader->samples; ++i)
        loader->order[i] = loader->list[loader->shuffle ? loader->order[i] : i];
    for (int32_t i = 0; i < loader->slots; ++i) loader->slot[i].ready = -1;
    for (int32_t i = 0; i < (loader->workers ? loader->workers : 1); ++i) loader->worker[i].fill.next = 0;
    loader->claimed = (int32_t)(first / loader->pieces);
    loader->first = loader->handed = loader->released = loader->position = first;
    loader->anew = false;
    loader->epoch = epoch;
    loader->wait_s = 0;
    loader->cut = loader->empty = 0;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    return SNN_OK;
}

/* The next number, with steps or without, whose slot stays taken until the next call. */
static int next_number(struct snn_loader *loader, const struct snn_batch **batch) {
    loader->released = loader->handed;
    pthread_cond_broadcast(&loader->work);
    int64_t number = loader->handed;
    *batch = NULL;
    if (number == number_of(loader, loader->batches)) return SNN_OK;
    struct slot *slot = &loader->slot[number % loader->slots];
    if (loader->workers == 0 && slot->ready != number) {
        fill_slot(loader, &loader->worker[0].fill, number);
        slot->ready = number;
    }
    while (slot->ready != number) pthread_cond_wait(&loader->done, &loader->lock);
    if (slot->status < 0) return snn_error(slot->status, "%s", slot->error);
    loader->cut += slot->filled.cut, loader->empty += slot->filled.empty;
    ++loader->handed;
    *batch = &slot->filled.batch;
    return SNN_OK;
}

int snn_loader_next(struct snn_loader *loader, const struct snn_batch **batch) {
    pthread_mutex_lock(&loader->lock);
    double begin = now_s();
    int status = next_number(loader, batch);
    while (status == SNN_OK && *batch && !(*batch)->T) status = next_number(loader, batch);
    loader->position = loader->handed;
    if (*batch && snn_batch_ends(*batch)) /* what follows of these recordings has no steps */
        loader->position = (loader->handed + loader->pieces - 1) / loader->pieces * loader->pieces;
    loader->wait_s += now_s() - begin;
    pthread_mutex_unlock(&loader->lock);
    return status;
}

int64_t snn_loader_position(const struct snn_loader *loader) { return loader->position; }
double snn_loader_wait_s(const struct snn_loader *loader) { return loader->wait_s; }
int32_t snn_loader_cut(const struct snn_loader *loader) { return loader->cut; }
int32_t snn_loader_empty(const struct snn_loader *loader) { return loader->empty; }
