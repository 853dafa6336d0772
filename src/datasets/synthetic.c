/* SPDX-License-Identifier: Apache-2.0
 * synthetic.c - small tasks that are computed: no files, and as many samples as one likes.
 *
 * A sample is a function of (seed, split, index) and of the options alone, so any thread may ask for any sample at any
 * time. All tasks are sequences of numbers, or of images; spikes are ones among zeros. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"
#include "datasets/parts.h"

enum task { DELAYED_XOR, ADDING, RANDOM_LATENCY, RANDOM_POISSON, MOTION };
static const char *const task_word[] = {"delayed_xor", "adding", "random_latency", "random_poisson", "motion", NULL};
enum { DIRECTIONS = 8 };

struct options {
    int task;
    long long length, units, size, classes, delay, train, test, seed;
    double rate, noise, jitter;
};
#define OPTION(field) offsetof(struct options, field)
static const struct snn_key keys[] = {
    {"task", SNN_CHOICE, OPTION(task), "delayed_xor", 0, 0, task_word,
     "delayed_xor (are two cues with a pause between them different?), adding (two marked numbers of a sequence), "
     "random_latency and random_poisson (a pattern of spikes a class), motion (dots move in one of eight directions)"},
    {"length", SNN_INT, OPTION(length), "30", 6, 100000, NULL, "steps of a sample"},
    {"units", SNN_INT, OPTION(units), "20", 2, 1 << 20, NULL, "inputs of delayed_xor and random_*"},
    {"size", SNN_INT, OPTION(size), "12", 3, 1024, NULL, "motion: pixels of a side"},
    {"classes", SNN_INT, OPTION(classes), "10", 2, 10000, NULL, "random_*: patterns"},
    {"delay", SNN_INT, OPTION(delay), "10", 0, 100000, NULL, "delayed_xor: steps between the cues"},
    {"rate", SNN_REAL, OPTION(rate), "0.5", 0, 1, NULL,
     "probability of a spike in a step: of a unit that shows a cue, in patterns of random_poisson, of a pixel "
     "(motion)"},
    {"noise", SNN_REAL, OPTION(noise), "0", 0, 1, NULL,
     "probability of a spike that means nothing, for each unit and step (not adding)"},
    {"jitter", SNN_REAL, OPTION(jitter), "1", 0, 1e6, NULL, "random_*: standard deviation of a spike's time, in steps"},
    {"train", SNN_INT, OPTION(train), "2000", 1, 100000000, NULL, "training samples"},
    {"test", SNN_INT, OPTION(test), "500", 1, 100000000, NULL, "test samples"},
    {"seed", SNN_INT, OPTION(seed), "0", 0, 9e15, NULL, "of all samples and patterns"},
    {0},
};

struct synthetic_set {
    struct snn_dataset base;
    const struct options *o;
};

/* ---- random numbers ---- */

/* Streams of one seed: those of the samples are told apart by split and index, those of patterns by their class. */
enum stream { OF_TRAINING, OF_TEST, OF_PATTERNS };

struct draws { /* words of a stream one after the other */
    uint64_t seed;
    uint32_t stream, which, at;
    uint32_t block[4];
};

static uint32_t next(struct draws *d) {
    if (d->at % 4 == 0) snn_rng_block(d->seed, SNN_RNG_SYNTHETIC, d->stream, d->which, d->at / 4, d->block);
    return d->block[d->at++ % 4];
}
static double unit(struct draws *d) { return snn_rng_unit(next(d)); }
static uint32_t below(struct draws *d, uint32_t n) { return snn_rng_below(next(d), n); }

/* ---- the tasks; numbers (T, inputs) are zero before ---- */

/* Two bits, each shown by a half of the units that spikes at random: the second half for 1, the first for 0. The first
 * cue lasts a third of what `delay` leaves of the length; then come the delay, the second cue and as long a time to
 * answer. The class is 1 where the bits differ. In the manner of the delayed XOR tasks of the literature. */
static void delayed_xor(const struct options *o, struct draws *d, const int32_t bit[2], float *numbers) {
    int64_t cue = (o->length - o->delay) / 3, half = o->units / 2;
    for (int k = 0; k < 2; ++k) {
        int64_t from = k ? cue + o->delay : 0;
        for (int64_t t = from; t < from + cue; ++t)
            for (int64_t i = bit[k] * half; i < (bit[k] + 1) * half; ++i) numbers[t * o->units + i] = unit(d) < o->rate;
    }
}

/* Numbers of 0..1 in the first input; two of them, one in each half of the steps, are marked by a 1 in the second. To
 * be learned is their sum; who always answers 1 has a mean squared error of 1/6. The adding problem of Hochreiter and
 * Schmidhuber (Neural Computation 9(8), 1997), with these ranges. */
static float adding(const struct options *o, struct draws *d, float *numbers) {
    uint32_t half = (uint32_t)o->length / 2, first = below(d, half),
             second = half + below(d, (uint32_t)o->length - half);
    for (int64_t t = 0; t < o->length; ++t) numbers[2 * t] = (float)unit(d);
    numbers[2 * first + 1] = numbers[2 * second + 1] = 1;
    return numbers[2 * first] + numbers[2 * second];
}

/* One spike of a pattern, moved in time for this sample; those that leave the time are lost. */
static void put_spike(const struct options *o, struct draws *d, int64_t t, int64_t i, float *numbers) {
    if (o->jitter > 0) {
        uint32_t words[2] = {next(d), next(d)};
        double moved = round((double)t + o->jitter * snn_rng_normal(words[0], words[1]));
        if (!(moved >= 0 && moved < (double)o->length)) return;
        t = (int64_t)moved;
    }
    numbers[t * o->units + i] = 1;
}

/* The pattern of a class, each of its spikes moved by a normal number of `jitter` steps. Latency: every unit spikes
 * once, at any step alike, in the manner of the patterns of Gutig and Sompolinsky (Nature Neuroscience 9, 2006).
 * Poisson: every unit spikes in every step with probability `rate`. */
static void pattern(const struct options *o, struct draws *d, int32_t class, float *numbers) {
    struct draws p = {.seed = d->seed, .stream = OF_PATTERNS, .which = (uint32_t) class};
    for (int64_t i = 0; i < o->units; ++i) {
        if (o->task == RANDOM_LATENCY) put_spike(o, d, below(&p, (uint32_t)o->length), i, numbers);
        for (int64_t t = 0; o->task == RANDOM_POISSON && t < o->length; ++t)
            if (unit(&p) < o->rate) put_spike(o, d, t, i, numbers);
    }
}

/* Random dots that all move by one pixel a step, to one of eight sides; who leaves the image comes back on its other
 * side. Every step by itself is random dots, whatever the direction: only pairs of steps tell it. A planted translation
 * in the manner of Grimaldi & Perrinet (Biological Cybernetics, 2023). */
static void motion(const struct options *o, struct draws *d, int32_t direction, float *numbers) {
    static const int64_t right[DIRECTIONS] = {1, 1, 0, -1, -1, -1, 0, 1},
                         down[DIRECTIONS] = {0, 1, 1, 1, 0, -1, -1, -1};
    int64_t n = o->size, dx = (right[direction] + n) % n, dy = (down[direction] + n) % n;
    for (int64_t y = 0; y < n; ++y)
        for (int64_t x = 0; x < n; ++x) {
            if (unit(d) >= o->rate) continue;
            for (int64_t t = 0; t < o->length; ++t) numbers[(t * n + (y + t * dy) % n) * n + (x + t * dx) % n] = 1;
        }
}

/* ---- the set ---- */

static int64_t inputs(const struct options *o) {
    return o->task == ADDING ? 2 : o->task == MOTION ? o->size * o->size : o->units;
}

static int32_t classes(const struct options *o) {
    return o->task == ADDING ? 0 : o->task == DELAYED_XOR ? 2 : o->task == MOTION ? DIRECTIONS : (int32_t)o->classes;
}

static int check(struct snn_conf *map, const void *options) {
    const struct options *o = options;
    if (o->task == DELAYED_XOR && o->delay > o->length - 3)
        return snn_conf_error(snn_conf_get(map, "delay"), "is %lld of %lld steps, expected at most %lld", o->delay,
                              o->length, o->length - 3);
    if (o->task == DELAYED_XOR && o->units % 2)
        return snn_conf_error(snn_conf_get(map, "units"), "is %lld, expected an even number", o->units);
    if (o->length * inputs(o) > INT32_MAX)
        return snn_conf_error(snn_conf_get(map, "length"), "makes %lld numbers a sample: too many",
                              o->length * (long long)inputs(o));
    return SNN_OK;
}

static void shape(const void *options, struct snn_dataset_info *info) {
    const struct options *o = options;
    info->C = (int32_t)inputs(o), info->H = info->W = 1;
    if (o->task == MOTION) info->C = 1, info->H = info->W = (int32_t)o->size;
    info->steps = (int32_t)o->length;
    info->spikes = o->task != ADDING;
    info->classes = classes(o);
    info->targets = o->task == ADDING;
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    (void)root;
    struct synthetic_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "out of memory for a data set");
    set->o = options;
    set->base.info.count[SNN_TRAIN] = (int32_t)set->o->train, set->base.info.count[SNN_TEST] = (int32_t)set->o->test;
    *out = &set->base;
    return SNN_OK;
}

/* What is drawn first of a sample with a class: its bits, or the class itself. */
static int32_t begin(const struct options *o, struct draws *d, int32_t bit[2]) {
    if (o->task != DELAYED_XOR) return (int32_t)below(d, (uint32_t)classes(o));
    bit[0] = (int32_t)below(d, 2), bit[1] = (int32_t)below(d, 2);
    return bit[0] ^ bit[1];
}

static struct draws draws_of(const struct options *o, enum snn_split split, int32_t i) {
    return (struct draws){
        .seed = (uint64_t)o->seed, .stream = split == SNN_TRAIN ? OF_TRAINING : OF_TEST, .which = (uint32_t)i};
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct options *o = ((struct synthetic_set *)base)->o;
    int64_t n = o->length * inputs(o);
    SNN_CHECK(i >= 0 && i < base->info.count[split], "sample %d of %d", i, base->info.count[split]);
    SNN_TRY(snn_sample_room_for_numbers(sample, (size_t)n, 1));
    memset(sample->numbers, 0, (size_t)n * sizeof *sample->numbers);
    struct draws d = draws_of(o, split, i);
    sample->steps = (int32_t)o->length;
    sample->label = 0;
    if (o->task == ADDING) {
        sample->target[0] = adding(o, &d, sample->numbers);
        return SNN_OK;
    }
    int32_t bit[2];
    sample->label = begin(o, &d, bit);
    if (o->task == DELAYED_XOR) delayed_xor(o, &d, bit, sample->numbers);
    else if (o->task == MOTION) motion(o, &d, sample->label, sample->numbers);
    else pattern(o, &d, sample->label, sample->numbers);
    for (int64_t k = 0; o->noise > 0 && k < n; ++k)
        if (unit(&d) < o->noise) sample->numbers[k] = 1;
    return SNN_OK;
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct options *o = ((const struct synthetic_set *)base)->o;
    struct draws d = draws_of(o, split, i);
    int32_t bit[2];
    return o->task == ADDING ? 0 : begin(o, &d, bit);
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    (void)base;
    report(payload, "samples are computed: there is nothing to verify");
    return SNN_OK;
}

static void close_set(struct snn_dataset *base) { free((struct synthetic_set *)base); }

const struct snn_dataset_ops snn_synthetic = {
    .name = "synthetic",
    .help = "small tasks that are computed: delayed_xor, adding, random_latency, random_poisson, motion",
    .kind = SNN_SEQUENCES,
    .made = true,
    .keys = keys,
    .check = check,
    .shape = shape,
    .open = open_set,
    .get = get,
    .label = label,
    .verify = verify,
    .close = close_set,
};
