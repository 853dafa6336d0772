/* SPDX-License-Identifier: Apache-2.0
 * test_loader.c - framing, coding, order, splits, padding, worker threads, and the `data:` section.
 *
 * The loader runs on sets made up here, whose samples are functions of their index; framing is also compared with
 * golden frames of real recordings. */
#include <glob.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <time.h>

#include "core/file.h"
#include "core/safetensors.h"
#include "datasets/parts.h"
#include "snn_check.h"

static void expect_error(int status, int code, const char *part) {
    ck_assert_msg(status == code && strstr(snn_error_text(), part), "status %d (expected %d), \"%s\" (expected \"%s\")",
                  status, code, snn_error_text(), part);
}

static const struct snn_data_config by_count = {.name = "made",
                                                .timesteps = 4,
                                                .bin = {SNN_BIN_COUNT, {0.01, true}, false},
                                                .std = 1,
                                                .pad = {-1, true},
                                                .workers = 1};

static struct snn_data_config config_of(int by, long long timesteps, double dt_us) {
    struct snn_data_config config = by_count;
    config.bin.by = by;
    config.timesteps = timesteps;
    config.bin.dt.value = dt_us * 1e-6;
    return config;
}

/* ---- made-up sets ---- */

enum { SAMPLES = 53, TESTS = 11, CLASSES = 4 };

struct made_set {
    struct snn_dataset base;
    _Atomic int fail_at; /* training sample that cannot be read, or -1; changed while workers run */
    int delay_us;        /* of each read */
    size_t crowd;        /* not 0: recordings are that many events of unit 0 */
};

static int32_t made_label(const struct snn_dataset *set, enum snn_split split, int32_t i) {
    (void)set, (void)split;
    return i % 7 % CLASSES; /* classes of different size */
}

static int made_get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct made_set *set = (struct made_set *)base;
    if (set->delay_us) nanosleep(&(struct timespec){.tv_nsec = set->delay_us * 1000L}, NULL);
    if (split == SNN_TRAIN && i == set->fail_at) return snn_error(SNN_EDATA, "made/%d.bin: is broken", i);
    size_t units = (size_t)(base->info.C * base->info.H * base->info.W);
    sample->label = made_label(base, split, i);
    if (!base->info.events) {
        SNN_TRY(snn_sample_room(sample, units, 0));
        for (size_t j = 0; j < units; ++j) sample->pixels[j] = (uint8_t)(i * 37 + (int)j * 50);
        return SNN_OK;
    }
    if (set->crowd) {
        SNN_TRY(snn_sample_room(sample, 0, set->crowd));
        memset(sample->events, 0, set->crowd * sizeof *sample->events);
        sample->event_count = set->crowd;
        return SNN_OK;
    }
    sample->event_count = (size_t)(i * 5 % 13); /* none in some; at most 12, in at most 25300 us */
    SNN_TRY(snn_sample_room(sample, 0, sample->event_count));
    for (int k = 0; k < (int)sample->event_count; ++k)
        sample->events[k] = (struct snn_event){1000 + k * (i % 3 + 1) * 700 + k / 7 * 300, (uint16_t)(k % 4),
                                               (uint16_t)(k / 3 % 3), (uint8_t)(k & 1)};
    return SNN_OK;
}

static const struct snn_dataset_ops made_ops = {.name = "made", .get = made_get, .label = made_label};

static struct made_set make_set(bool events) {
    return (struct made_set){.base = {.ops = &made_ops,
                                      .info = {.name = "made",
                                               .classes = CLASSES,
                                               .C = 2,
                                               .H = 3,
                                               .W = 4,
                                               .events = events,
                                               .count = {SAMPLES, TESTS}}},
                             .fail_at = -1};
}

static struct snn_loader *open_loader(struct made_set *set, const struct snn_data_config *config, bool shuffle) {
    const struct snn_loader_options options = {
        .config = config, .set = &set->base, .batch = 8, .seed = 5, .shuffle = shuffle};
    struct snn_loader *loader;
    ck_ok(snn_loader_open(&options, &loader));
    return loader;
}

static const struct snn_batch *next(struct snn_loader *loader) {
    const struct snn_batch *batch;
    ck_ok(snn_loader_next(loader, &batch));
    return batch;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

/* All that a trainer can see of a batch. */
static uint64_t digest(const struct snn_batch *b) {
    size_t B = (size_t)b->B, rows = (size_t)b->T * B, units = (size_t)(b->C * b->H * b->W);
    uint64_t hash = 0xCBF29CE484222325u;
    const int32_t head[] = {b->form, b->T, b->B, b->C, b->H, b->W, b->masked, b->value != NULL};
    hash = mix(hash, head, sizeof head);
    hash = mix(hash, b->label, B * sizeof *b->label);
    hash = mix(hash, b->length, B * sizeof *b->length);
    hash = mix(hash, b->sample, B * sizeof *b->sample);
    if (b->form == SNN_BATCH_STATIC) return mix(hash, b->frames, B * units * sizeof *b->frames);
    size_t n = (size_t)b->row[rows];
    hash = mix(hash, b->row, (rows + 1) * sizeof *b->row);
    hash = mix(hash, b->index, n * sizeof *b->index);
    return b->value ? mix(hash, b->value, n * sizeof *b->value) : hash;
}

enum { BATCHES = (SAMPLES + 7) / 8 };

/* Digests of an epoch from batch `first` on. */
static void epoch_digests(struct snn_loader *loader, int epoch, int first, uint64_t out[BATCHES]) {
    ck_ok(snn_loader_start(loader, epoch, first));
    int k = first;
    for (const struct snn_batch *batch; (batch = next(loader)); ++k) {
        ck_assert_int_lt(k, BATCHES);
        out[k] = digest(batch);
    }
    ck_assert_int_eq(k, BATCHES);
    ck_assert_ptr_null(next(loader)); /* the end stays the end */
}

/* ---- framing ---- */

static json_t *case_of(const struct snn_st *st) {
    const char *text = snn_st_meta_find(st, "case");
    ck_assert_ptr_nonnull(text);
    json_t *fact = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(fact);
    return fact;
}

/* The 5-byte events of an N-MNIST file without clock overflows. */
static struct snn_event *read_events(const char *shared, const char *file, size_t *n) {
    char path[4400];
    unsigned char *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/data/nmnist/%s", shared, file);
    ck_ok(snn_file_read(path, 1 << 20, &bytes, &size));
    *n = size / 5;
    struct snn_event *events = malloc(*n * sizeof *events);
    for (size_t i = 0; i < *n; ++i) {
        const unsigned char *b = bytes + 5 * i;
        events[i] = (struct snn_event){(b[2] & 127) << 16 | b[3] << 8 | b[4], b[0], b[1], b[2] >> 7};
    }
    free(bytes);
    return events;
}

static void compare_golden(const char *shared, const struct snn_st *st, json_t *fact) {
    const struct snn_st_tensor *golden = snn_st_find(st, "frames");
    ck_assert_ptr_nonnull(golden);
    size_t n, size = snn_st_elements(golden);
    struct snn_event *events = read_events(shared, json_string_value(json_object_get(fact, "file")), &n);
    const char *split_by = json_string_value(json_object_get(fact, "split_by"));
    int by = !split_by ? SNN_BIN_DURATION : strcmp(split_by, "number") ? SNN_BIN_TIME : SNN_BIN_COUNT;
    long long T = json_integer_value(json_object_get(fact, "frames_num"));
    struct snn_data_config config =
        config_of(by, by == SNN_BIN_DURATION ? -1 : T, (double)json_integer_value(json_object_get(fact, "duration")));
    int32_t steps = snn_bin_steps(&config, 0, events, n);
    ck_assert_int_eq(steps, (int)golden->dim[0]);
    uint16_t *frames = malloc(size * sizeof *frames);
    double *expected = malloc(size * sizeof *expected);
    ck_ok(snn_st_to_double(golden, expected));
    snn_bin_events(&config, steps, 2, 34, 34, events, n, frames);
    for (size_t i = 0; i < size; ++i)
        ck_assert_msg(frames[i] == expected[i], "%s: element %zu is %d, expected %g",
                      json_string_value(json_object_get(fact, "name")), i, frames[i], expected[i]);
    free(expected);
    free(frames);
    free(events);
}

START_TEST(bin_golden) {
    const char *shared = shared_dir();
    if (!shared) {
        fprintf(stderr, "skipped: bin_golden: no shared reference data\n");
        return;
    }
    char pattern[4400];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/golden/binning/*.safetensors", shared);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    int compared = 0, pending = 0;
    for (size_t i = 0; i < found.gl_pathc; ++i) {
        struct snn_st *st;
        ck_ok(snn_st_open(found.gl_pathv[i], &st));
        json_t *fact = case_of(st);
        const char *name = json_string_value(json_object_get(fact, "name"));
        if (!strncmp(name, "nmnist_", 7) && strstr(name, "_sj_")) {
            compare_golden(shared, st, fact);
            ++compared;
        } else {
            fprintf(stderr, "pending: bin_golden: %s (%s)\n", name, json_string_value(json_object_get(fact, "rule")));
            ++pending;
        }
        json_decref(fact);
        snn_st_close(&st);
    }
    globfree(&found);
    fprintf(stderr, "bin_golden: %d cases compared, %d pending\n", compared, pending);
    ck_assert_int_eq(compared, 12);
}
END_TEST

/* Events of one unit at these times -> counts by step, T=steps. */
static void expect_counts(const struct snn_data_config *config, const int64_t *t, size_t n, int32_t T,
                          const int *counts) {
    struct snn_event events[16] = {0};
    uint16_t frames[16];
    ck_assert(n <= 16 && T <= 16);
    for (size_t i = 0; i < n; ++i) events[i].t = t[i];
    memset(frames, 0xff, sizeof frames);
    snn_bin_events(config, T, 1, 1, 1, events, n, frames);
    for (int32_t j = 0; j < T; ++j)
        ck_assert_msg(frames[j] == counts[j], "step %d: %d, expected %d", j, frames[j], counts[j]);
}

START_TEST(bin_count_rules) {
    struct snn_data_config config = config_of(SNN_BIN_COUNT, 3, 0);
    const int64_t t[] = {5, 5, 6, 100, 101, 102, 103};
    ck_assert_int_eq(snn_bin_steps(&config, 0, NULL, 0), 3);
    ck_assert_int_eq(snn_bin_steps(&config, 8, NULL, 0), 8);
    expect_counts(&config, t, 7, 3, (int[]){2, 2, 3}); /* the remainder goes to the last */
    expect_counts(&config, t, 6, 3, (int[]){2, 2, 2});
    expect_counts(&config, t, 3, 3, (int[]){1, 1, 1});
    expect_counts(&config, t, 2, 3, (int[]){0, 0, 2}); /* fewer than steps */
    expect_counts(&config, t, 1, 1, (int[]){1});
    expect_counts(&config, t, 0, 3, (int[]){0, 0, 0});
}
END_TEST

START_TEST(bin_time_rules) {
    struct snn_data_config config = config_of(SNN_BIN_TIME, 3, 0);
    /* Span 11: dt = 3; steps [7,10) [10,13) [13,...). */
    expect_counts(&config, (int64_t[]){7, 9, 10, 12, 13, 17, 18}, 7, 3, (int[]){2, 2, 3});
    expect_counts(&config, (int64_t[]){7, 7, 18, 18}, 4, 3, (int[]){2, 0, 2}); /* an empty step */
    expect_counts(&config, (int64_t[]){7, 7, 7}, 3, 3, (int[]){0, 0, 3});      /* one timestamp */
    expect_counts(&config, (int64_t[]){7, 8, 9}, 3, 3, (int[]){0, 0, 3});      /* a span shorter than T microseconds */
    expect_counts(&config, (int64_t[]){7, 8, 9, 10}, 4, 3, (int[]){1, 1, 2});
    expect_counts(&config, NULL, 0, 3, (int[]){0, 0, 0});
}
END_TEST

static int32_t duration_steps(const struct snn_data_config *config, int64_t first, int64_t last) {
    const struct snn_event events[2] = {{.t = first}, {.t = last}};
    return snn_bin_steps(config, 0, events, 2);
}

START_TEST(bin_duration_rules) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 10);
    ck_assert_int_eq(duration_steps(&config, 5, 5), 1);
    ck_assert_int_eq(duration_steps(&config, 5, 14), 1);
    ck_assert_int_eq(duration_steps(&config, 5, 15), 1); /* exactly one bin long */
    ck_assert_int_eq(duration_steps(&config, 5, 16), 2);
    ck_assert_int_eq(duration_steps(&config, 0, INT64_C(1) << 60), INT32_MAX);
    ck_assert_int_eq(snn_bin_steps(&config, 0, NULL, 0), 1);
    expect_counts(&config, (int64_t[]){5, 14, 15, 24, 25}, 5, 2, (int[]){2, 3});    /* 25 is the end: the last step's */
    expect_counts(&config, (int64_t[]){5, 14, 15, 24, 26}, 5, 3, (int[]){2, 2, 1}); /* 26 is not */
    expect_counts(&config, (int64_t[]){5, 14, 15, 24, 25}, 5, 4, (int[]){2, 3, 0, 0}); /* padding stays empty */
    expect_counts(&config, (int64_t[]){5, 14, 15, 24, 26}, 5, 2, (int[]){2, 2});       /* cut */
    expect_counts(&config, (int64_t[]){5, 5}, 2, 1, (int[]){2});
    expect_counts(&config, NULL, 0, 1, (int[]){0});
    config.timesteps = 3;
    ck_assert_int_eq(duration_steps(&config, 0, 20), 2);
    ck_assert_int_eq(duration_steps(&config, 0, 999), 3);
}
END_TEST

START_TEST(bin_binary_and_clamp) {
    struct snn_data_config config = config_of(SNN_BIN_COUNT, 1, 0);
    enum { MANY = 70000 };
    struct snn_event *events = calloc(MANY, sizeof *events);
    uint16_t frames[2 * 2 * 3];
    events[MANY - 1] = (struct snn_event){.x = 2, .y = 1, .p = 1};
    snn_bin_events(&config, 1, 2, 2, 3, events, MANY, frames);
    ck_assert_int_eq(frames[0], 65535);
    ck_assert_int_eq(frames[(1 * 2 + 1) * 3 + 2], 1);
    config.bin.binary = true;
    snn_bin_events(&config, 1, 2, 2, 3, events, MANY, frames);
    ck_assert_int_eq(frames[0], 1);
    free(events);
}
END_TEST

/* ---- batches of recordings ---- */

/* Every sample of an epoch, expanded, equals snn_bin_events on that sample. */
static void check_frames(const struct snn_data_config *config, int32_t most) {
    enum { UNITS = 24 };
    struct made_set set = make_set(true);
    struct snn_loader *loader = open_loader(&set, config, true);
    struct snn_sample sample = {0};
    ck_ok(snn_loader_start(loader, 2, 0));
    for (const struct snn_batch *batch; (batch = next(loader));) {
        ck_assert_int_eq(batch->form, SNN_BATCH_EVENTS);
        bool any_short = false, any_large = false;
        for (int32_t b = 0; b < batch->B; ++b) {
            uint16_t frames[64 * UNITS], seen[64 * UNITS] = {0};
            ck_ok(made_get(&set.base, SNN_TRAIN, batch->sample[b], &sample));
            int32_t steps = snn_bin_steps(config, most, sample.events, sample.event_count);
            ck_assert_int_eq(batch->length[b], steps);
            ck_assert_int_eq(batch->label[b], sample.label);
            ck_assert(steps <= batch->T && batch->T <= 64);
            snn_bin_events(config, steps, 2, 3, 4, sample.events, sample.event_count, frames);
            for (int32_t t = 0; t < batch->T; ++t) {
                int32_t begin = batch->row[t * batch->B + b], end = batch->row[t * batch->B + b + 1];
                if (t >= steps) ck_assert_int_eq(begin, end);
                for (int32_t i = begin; i < end; ++i) {
                    ck_assert(i == begin || batch->index[i] > batch->index[i - 1]);
                    float value = batch->value ? batch->value[i] : 1;
                    ck_assert(value >= 1);
                    any_large |= value > 1;
                    seen[t * UNITS + batch->index[i]] = (uint16_t)value;
                }
            }
            ck_assert_mem_eq(seen, frames, (size_t)steps * UNITS * sizeof *frames);
            any_short |= steps < batch->T;
        }
        ck_assert_int_eq(batch->row[0], 0);
        ck_assert_int_eq(batch->value != NULL, any_large); /* NULL when all are ones */
        ck_assert_int_eq(batch->masked, config->pad.mask && any_short);
        if (config->bin.binary) ck_assert_ptr_null(batch->value);
    }
    snn_sample_free(&sample);
    snn_loader_close(&loader);
}

START_TEST(rows_equal_frames) {
    struct snn_data_config config = config_of(_i, 4, 3000);
    check_frames(&config, 0);
    config.bin.binary = true;
    check_frames(&config, 0);
    config.timesteps = 1; /* counts above one */
    config.bin.binary = false;
    check_frames(&config, 0);
}
END_TEST

START_TEST(rows_clamp_as_frames_do) {
    struct made_set set = make_set(true);
    set.crowd = 65536 + 7;
    struct snn_data_config config = config_of(SNN_BIN_COUNT, 1, 0);
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    ck_assert_int_eq(batch->row[batch->B], batch->B);
    for (int b = 0; b < batch->B; ++b) ck_assert_float_eq(batch->value[b], 65535);
    snn_loader_close(&loader);
}
END_TEST

/* Made recordings last at most 25 bins of 1000 us. */
START_TEST(pad_to_the_longest) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    check_frames(&config, 0);
    struct made_set set = make_set(true);
    int32_t longest = 0;
    struct snn_sample sample = {0};
    for (int split = 0; split < 2; ++split)
        for (int i = 0; i < set.base.info.count[split]; ++i) {
            ck_ok(made_get(&set.base, split, i, &sample));
            int32_t steps = snn_bin_steps(&config, 0, sample.events, sample.event_count);
            if (steps > longest) longest = steps;
        }
    snn_sample_free(&sample);
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_assert_int_eq(snn_loader_max_steps(loader), longest);
    ck_assert_int_gt(set.base.longest_us, 0); /* kept for the next loader */
    ck_ok(snn_loader_start(loader, 0, 0));
    for (const struct snn_batch *batch; (batch = next(loader));) {
        ck_assert_int_eq(batch->T, longest);
        ck_assert(batch->masked);
    }
    ck_assert_int_eq(snn_loader_cut(loader), 0);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(pad_to_the_batch) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    config.pad.to = SNN_PAD_BATCH;
    check_frames(&config, 0);
    struct made_set set = make_set(true);
    struct snn_loader *loader = open_loader(&set, &config, false);
    int32_t shorter = 0;
    ck_ok(snn_loader_start(loader, 0, 0));
    for (const struct snn_batch *batch; (batch = next(loader));) {
        int32_t longest = 0;
        for (int32_t b = 0; b < batch->B; ++b) longest = batch->length[b] > longest ? batch->length[b] : longest;
        ck_assert_int_eq(batch->T, longest);
        shorter += batch->T < snn_loader_max_steps(loader);
    }
    ck_assert_int_gt(shorter, 0);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(pad_to_n_cuts_and_counts) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    config.pad.to = 6;
    config.pad.mask = false;
    check_frames(&config, 6);
    struct made_set set = make_set(true);
    struct snn_sample sample = {0};
    struct snn_data_config whole = config_of(SNN_BIN_DURATION, -1, 1000);
    int32_t longer = 0;
    for (int i = 0; i < SAMPLES; ++i) {
        ck_ok(made_get(&set.base, SNN_TRAIN, i, &sample));
        longer += snn_bin_steps(&whole, 0, sample.events, sample.event_count) > 6;
    }
    snn_sample_free(&sample);
    ck_assert_int_gt(longer, 0);
    struct snn_loader *loader = open_loader(&set, &config, true);
    for (int epoch = 0; epoch < 2; ++epoch) {
        ck_ok(snn_loader_start(loader, epoch, 0));
        for (const struct snn_batch *batch; (batch = next(loader));) {
            ck_assert_int_eq(batch->T, 6);
            ck_assert(!batch->masked);
        }
        ck_assert_int_eq(snn_loader_cut(loader), longer); /* counted anew each epoch */
    }
    ck_assert_int_eq(set.base.longest_us, 0); /* the lengths were of no interest */
    snn_loader_close(&loader);
}
END_TEST

START_TEST(pad_beyond_and_below_timesteps) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, 7, 1000);
    config.pad.to = 3;
    check_frames(&config, 3);
    config.timesteps = 3;
    config.pad.to = 9;
    check_frames(&config, 3);
    struct made_set set = make_set(true);
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_assert_int_eq(snn_loader_max_steps(loader), 9);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(rebin_frames_the_whole_recording) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, 3, 1000), by_time = config_of(SNN_BIN_TIME, 5, 0);
    struct made_set set = make_set(true);
    struct snn_loader *expected = open_loader(&set, &by_time, true), *loader;
    const struct snn_loader_options options = {
        .config = &config, .set = &set.base, .batch = 8, .seed = 5, .shuffle = true, .timesteps = 5};
    ck_ok(snn_loader_open(&options, &loader));
    uint64_t a[BATCHES], b[BATCHES];
    epoch_digests(expected, 0, 0, a);
    epoch_digests(loader, 0, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    snn_loader_close(&expected);
    snn_loader_close(&loader);
}
END_TEST

/* ---- batches of images ---- */

START_TEST(direct_is_normalised_pixels) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.mean = 0.25, config.std = 0.5;
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    ck_assert_int_eq(batch->form, SNN_BATCH_STATIC);
    ck_assert_int_eq(batch->T, 4);
    ck_assert(!batch->masked);
    for (int b = 0; b < 8; ++b) {
        ck_assert_int_eq(batch->length[b], 4);
        for (int j = 0; j < 24; ++j) {
            double pixel = (uint8_t)(b * 37 + j * 50);
            ck_assert_float_eq_tol(batch->frames[b * 24 + j], (pixel / 255 - 0.25) / 0.5, 1e-6);
        }
    }
    snn_loader_close(&loader);
}
END_TEST

START_TEST(rate_follows_the_pixel) {
    enum { T = 20000, UNITS = 6 };
    static const uint8_t pixels[UNITS] = {0, 255, 64, 128, 1, 254};
    static int32_t count[T];
    struct snn_rows rows = {0};
    int spikes[UNITS] = {0};
    ck_ok(snn_code_rate(pixels, UNITS, T, 7, 0, 3, count, &rows));
    size_t at = 0;
    for (int t = 0; t < T; ++t)
        for (int i = 0; i < count[t]; ++i, ++at) {
            ck_assert(i == 0 || rows.index[at] > rows.index[at - 1]);
            ck_assert_int_eq(rows.value[at], 1);
            ++spikes[rows.index[at]];
        }
    ck_assert_uint_eq(at, rows.used);
    for (int i = 0; i < UNITS; ++i) { /* within five standard deviations; 0 and 255 exactly */
        double p = pixels[i] / 255.0;
        ck_assert_double_le(fabs(spikes[i] - p * T), 5 * sqrt(p * (1 - p) * T));
    }
    snn_rows_free(&rows);
}
END_TEST

static uint64_t rate_digest(uint64_t seed, uint32_t epoch, uint32_t sample) {
    static const uint8_t pixels[5] = {100, 100, 100, 100, 100}; /* 5: steps do not begin on a block of four draws */
    int32_t count[40];
    struct snn_rows rows = {0};
    ck_ok(snn_code_rate(pixels, 5, 40, seed, epoch, sample, count, &rows));
    uint64_t hash = mix(mix(1, count, sizeof count), rows.index, rows.used * sizeof *rows.index);
    snn_rows_free(&rows);
    return hash;
}

START_TEST(rate_depends_on_its_key_alone) {
    ck_assert_uint_eq(rate_digest(1, 2, 3), rate_digest(1, 2, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(9, 2, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(1, 9, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(1, 2, 9));
}
END_TEST

START_TEST(rate_in_evaluation_does_not_move_with_the_epoch) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.coding = SNN_CODING_RATE;
    uint64_t a[BATCHES], b[BATCHES];
    struct snn_loader *loader = open_loader(&set, &config, false);
    epoch_digests(loader, 0, 0, a);
    epoch_digests(loader, 4, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(rate_batches_are_keyed_by_seed_epoch_and_sample) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.coding = SNN_CODING_RATE;
    struct snn_loader *loader = open_loader(&set, &config, true); /* seed 5, four steps */
    struct snn_sample sample = {0};
    ck_ok(snn_loader_start(loader, 9, 0));
    const struct snn_batch *batch = next(loader);
    for (int b = 0; b < batch->B; ++b) {
        int32_t count[4];
        struct snn_rows rows = {0};
        ck_ok(made_get(&set.base, SNN_TRAIN, batch->sample[b], &sample));
        ck_ok(snn_code_rate(sample.pixels, 24, 4, 5, 9, (uint32_t)batch->sample[b], count, &rows));
        const int32_t *index = rows.index;
        for (int t = 0; t < 4; index += count[t++]) {
            const int32_t *row = batch->row + t * batch->B + b;
            ck_assert_int_eq(row[1] - row[0], count[t]);
            ck_assert_mem_eq(batch->index + row[0], index, (size_t)count[t] * sizeof *index);
        }
        snn_rows_free(&rows);
    }
    ck_assert_ptr_null(batch->value);
    snn_sample_free(&sample);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(latency_is_one_spike_the_earlier_the_brighter) {
    enum { T = 5, UNITS = 7 };
    static const uint8_t pixels[UNITS] = {0, 255, 1, 128, 127, 255, 64};
    static const int step[UNITS] = {-1, 0, 4, 2, 2, 0, 3}; /* round(4 (1 - x)) */
    struct snn_rows rows = {0};
    int32_t count[T];
    ck_ok(snn_code_latency(pixels, UNITS, T, count, &rows));
    size_t at = 0;
    for (int t = 0; t < T; ++t) {
        size_t begin = at;
        for (int i = 0; i < UNITS; ++i)
            if (step[i] == t) ck_assert_int_eq(rows.index[at++], i);
        ck_assert_uint_eq(at - begin, (size_t)count[t]);
    }
    ck_assert_uint_eq(at, rows.used);
    int32_t one;
    ck_ok(snn_code_latency(pixels, UNITS, 1, &one, &rows)); /* appended; one step takes all but black */
    ck_assert_int_eq(one, UNITS - 1);
    snn_rows_free(&rows);
}
END_TEST

/* ---- order ---- */

START_TEST(workers_do_not_change_batches) {
    static const struct {
        bool events;
        int by, coding;
        long long pad;
    } kind[] = {{true, SNN_BIN_COUNT, SNN_CODING_DIRECT, -1},
                {true, SNN_BIN_DURATION, SNN_CODING_DIRECT, SNN_PAD_BATCH},
                {false, SNN_BIN_COUNT, SNN_CODING_DIRECT, -1},
                {false, SNN_BIN_COUNT, SNN_CODING_RATE, -1},
                {false, SNN_BIN_COUNT, SNN_CODING_LATENCY, -1}};
    static const int workers[] = {0, 1, 3};
    uint64_t seen[3][2][BATCHES];
    for (int w = 0; w < 3; ++w) {
        struct made_set set = make_set(kind[_i].events);
        struct snn_data_config config = config_of(kind[_i].by, 4, 3000);
        config.coding = kind[_i].coding;
        config.pad.to = kind[_i].pad;
        config.workers = workers[w];
        struct snn_loader *loader = open_loader(&set, &config, true);
        for (int epoch = 0; epoch < 2; ++epoch) epoch_digests(loader, epoch, 0, seen[w][epoch]);
        snn_loader_close(&loader);
        ck_assert_mem_eq(seen[w], seen[0], sizeof seen[0]);
    }
    ck_assert_mem_ne(seen[0][0], seen[0][1], sizeof seen[0][0]); /* epochs differ */
}
END_TEST

START_TEST(every_sample_once) {
    struct made_set set = make_set(true);
    struct snn_loader *loader = open_loader(&set, &by_count, _i);
    ck_assert_int_eq(snn_loader_samples(loader), SAMPLES);
    ck_assert_int_eq(snn_loader_batches(loader), BATCHES);
    ck_assert_int_eq(snn_loader_max_steps(loader), 4);
    for (int epoch = 0; epoch < 3; ++epoch) {
        int seen[SAMPLES] = {0}, total = 0, in_order = 0;
        ck_ok(snn_loader_start(loader, epoch, 0));
        for (const struct snn_batch *batch; (batch = next(loader)); total += batch->B) {
            ck_assert_int_eq(batch->B, total + 8 <= SAMPLES ? 8 : SAMPLES % 8);
            for (int b = 0; b < batch->B; ++b) {
                ++seen[batch->sample[b]];
                in_order += batch->sample[b] == total + b;
            }
        }
        ck_assert_int_eq(total, SAMPLES);
        for (int i = 0; i < SAMPLES; ++i) ck_assert_int_eq(seen[i], 1);
        if (_i) ck_assert_int_lt(in_order, SAMPLES / 2);
        else ck_assert_int_eq(in_order, SAMPLES);
    }
    snn_loader_close(&loader);
}
END_TEST

START_TEST(resume_is_the_tail_of_the_epoch) {
    struct made_set set = make_set(true);
    struct snn_data_config config = by_count;
    config.workers = _i;
    uint64_t whole[BATCHES], tail[BATCHES] = {0};
    struct snn_loader *loader = open_loader(&set, &config, true);
    epoch_digests(loader, 3, 0, whole);
    snn_loader_close(&loader);
    for (int first = 0; first <= BATCHES; ++first) {
        loader = open_loader(&set, &config, true); /* a new process */
        epoch_digests(loader, 3, first, tail);
        snn_loader_close(&loader);
        ck_assert_mem_eq(whole + first, tail + first, (size_t)(BATCHES - first) * sizeof *whole);
    }
}
END_TEST

START_TEST(start_may_break_an_epoch_off) {
    struct made_set set = make_set(true);
    set.delay_us = 100; /* workers are inside a batch when it happens */
    struct snn_data_config config = by_count;
    config.workers = _i;
    uint64_t expected[BATCHES], got[BATCHES];
    struct snn_loader *loader = open_loader(&set, &config, true);
    epoch_digests(loader, 1, 0, expected);
    for (int taken = 0; taken < 4; ++taken) {
        ck_ok(snn_loader_start(loader, 0, 0));
        for (int k = 0; k < taken; ++k) ck_assert_ptr_nonnull(next(loader));
        epoch_digests(loader, 1, 0, got);
        ck_assert_mem_eq(expected, got, sizeof got);
    }
    snn_loader_close(&loader);
}
END_TEST

START_TEST(batch_larger_than_the_set) {
    struct made_set set = make_set(true);
    const struct snn_loader_options options = {
        .config = &by_count, .set = &set.base, .subset = SNN_SUBSET_TEST, .batch = 1 << 30};
    struct snn_loader *loader;
    ck_ok(snn_loader_open(&options, &loader));
    ck_assert_int_eq(snn_loader_batches(loader), 1);
    ck_assert_ptr_null(next(loader)); /* not started */
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    ck_assert_int_eq(batch->B, TESTS);
    ck_assert_ptr_null(next(loader));
    snn_loader_close(&loader);
}
END_TEST

/* ---- splits ---- */

/* Which training samples the subset holds. */
static int members(enum snn_subset subset, double fraction, uint64_t split_seed, bool in[SAMPLES]) {
    struct made_set set = make_set(true);
    int32_t *list, count;
    ck_ok(snn_subset_list(&set.base, subset, fraction, split_seed, &list, &count));
    memset(in, 0, SAMPLES * sizeof *in);
    for (int i = 0; i < count; ++i) {
        ck_assert(i == 0 || list[i] > list[i - 1]); /* the set's own order */
        in[list[i]] = true;
    }
    free(list);
    return count;
}

START_TEST(split_is_stratified_and_disjoint) {
    static const double fraction[] = {0.1, 0.25, 0.5};
    bool train[SAMPLES], held[SAMPLES];
    int a = members(SNN_SUBSET_TRAIN, fraction[_i], 0, train),
        b = members(SNN_SUBSET_VALIDATION, fraction[_i], 0, held);
    ck_assert_int_eq(a + b, SAMPLES);
    int all[CLASSES] = {0}, taken[CLASSES] = {0};
    for (int i = 0; i < SAMPLES; ++i) {
        ck_assert_int_ne(train[i], held[i]);
        int class = made_label(NULL, SNN_TRAIN, i);
        ++all[class];
        taken[class] += held[i];
    }
    for (int k = 0; k < CLASSES; ++k) ck_assert_int_eq(taken[k], (int)round(fraction[_i] * all[k]));
}
END_TEST

START_TEST(split_moves_with_its_own_seed_only) {
    struct made_set set = make_set(true);
    struct snn_data_config config = by_count;
    config.validation = 0.25;
    bool in[3][SAMPLES] = {0};
    for (int run = 0; run < 3; ++run) { /* the second: another model seed; the third: another split seed */
        config.split_seed = run == 2;
        const struct snn_loader_options options = {.config = &config,
                                                   .set = &set.base,
                                                   .subset = SNN_SUBSET_VALIDATION,
                                                   .batch = 8,
                                                   .seed = run == 1 ? 77 : 5,
                                                   .shuffle = true};
        struct snn_loader *loader;
        ck_ok(snn_loader_open(&options, &loader));
        ck_ok(snn_loader_start(loader, 0, 0));
        for (const struct snn_batch *batch; (batch = next(loader));)
            for (int b = 0; b < batch->B; ++b) in[run][batch->sample[b]] = true;
        snn_loader_close(&loader);
    }
    ck_assert_mem_eq(in[0], in[1], sizeof in[0]);
    ck_assert_mem_ne(in[0], in[2], sizeof in[0]);
}
END_TEST

START_TEST(split_that_holds_nothing) {
    struct made_set set = make_set(true);
    int32_t *list, count;
    expect_error(snn_subset_list(&set.base, SNN_SUBSET_VALIDATION, 0, 0, &list, &count), SNN_EUSAGE,
                 "there is no validation split: data.validation is 0");
    expect_error(snn_subset_list(&set.base, SNN_SUBSET_VALIDATION, 0.001, 0, &list, &count), SNN_EUSAGE,
                 "leaves none for validation");
    expect_error(snn_subset_list(&set.base, SNN_SUBSET_TRAIN, 0.999, 0, &list, &count), SNN_EUSAGE,
                 "leaves none for training");
}
END_TEST

/* ---- threads and failures ---- */

START_TEST(close_at_any_time) {
    for (int taken = -1; taken < 4; ++taken) {
        struct made_set set = make_set(true);
        set.delay_us = 200;
        struct snn_data_config config = by_count;
        config.workers = _i;
        struct snn_loader *loader = open_loader(&set, &config, true);
        if (taken >= 0) ck_ok(snn_loader_start(loader, 0, 0));
        for (int k = 0; k < taken; ++k) ck_assert_ptr_nonnull(next(loader));
        snn_loader_close(&loader);
        ck_assert_ptr_null(loader);
        snn_loader_close(&loader);
    }
}
END_TEST

START_TEST(worker_error_arrives_with_its_sentence) {
    struct made_set set = make_set(true);
    set.fail_at = 20; /* in the third batch of the unshuffled order */
    struct snn_data_config config = by_count;
    config.workers = _i;
    const struct snn_batch *batch;
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    for (int k = 0; k < 2; ++k) ck_assert_int_eq(next(loader)->sample[0], 8 * k);
    for (int again = 0; again < 2; ++again) {
        snn_error(SNN_EFAIL, "another sentence of this thread");
        expect_error(snn_loader_next(loader, &batch), SNN_EDATA, "made/20.bin: is broken");
        ck_assert_ptr_null(batch);
    }
    set.fail_at = -1;
    uint64_t digests[BATCHES];
    epoch_digests(loader, 0, 0, digests); /* and it can go on */
    snn_loader_close(&loader);
}
END_TEST

START_TEST(open_reports_what_the_lengths_show) {
    struct made_set set = make_set(true);
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    const struct snn_loader_options options = {.config = &config, .set = &set.base, .batch = 8};
    struct snn_loader *loader;
    set.fail_at = 20;
    expect_error(snn_loader_open(&options, &loader), SNN_EDATA, "made/20.bin: is broken");
    ck_assert_ptr_null(loader);
    set.fail_at = -1;
    set.base.longest_us = INT64_C(1) << 50;
    expect_error(snn_loader_open(&options, &loader), SNN_EUSAGE, "too many for a batch");
}
END_TEST

START_TEST(wait_is_the_time_spent_waiting) {
    struct made_set set = make_set(true);
    set.delay_us = 1000;
    struct snn_data_config config = by_count;
    config.workers = _i;
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    ck_assert_ptr_nonnull(next(loader));
    ck_assert_double_ge(snn_loader_wait_s(loader), 0.004); /* eight reads of a millisecond */
    ck_ok(snn_loader_start(loader, 1, 0));
    ck_assert(snn_loader_wait_s(loader) == 0);
    snn_loader_close(&loader);
}
END_TEST

/* ---- the section ---- */

static int read_section(const char *text, struct snn_data_config *config, struct snn_conf_doc **doc) {
    ck_ok(snn_conf_parse(text, strlen(text), "x.yaml", doc));
    struct snn_conf *data = snn_conf_get(snn_conf_root(*doc), "data");
    ck_assert_ptr_nonnull(data);
    return snn_data_config_read(data, config);
}

START_TEST(config_defaults) {
    struct snn_data_config c;
    struct snn_conf_doc *doc;
    ck_ok(read_section("data: {name: nmnist}", &c, &doc));
    ck_assert_str_eq(c.name, "nmnist");
    ck_assert_ptr_null(c.root);
    ck_assert(c.timesteps == 10 && c.bin.by == SNN_BIN_COUNT && !c.bin.binary && c.coding == SNN_CODING_DIRECT);
    ck_assert(c.bin.dt.seconds && c.bin.dt.value == 0.01 && c.pad.to == SNN_PAD_MAX && c.pad.mask);
    ck_assert(c.mean == 0 && c.std == 1 && c.validation == 0 && c.split_seed == 0 && c.workers == 1);
    ck_assert(snn_data_step_seconds(&c) == 0); /* by count */
    snn_conf_free(&doc);
}
END_TEST

START_TEST(config_reads_every_key_and_resolves) {
    static const char *const text =
        "data: {name: nmnist, root: /x, timesteps: auto, bin: {by: duration, dt: 300 us, binary: true}, "
        "pad: {to: batch, mask: false}, validation: 0.1, split_seed: 3, workers: 0}";
    struct snn_conf_doc *doc, *again;
    struct snn_data_config c, d;
    ck_ok(read_section(text, &c, &doc));
    char *resolved = snn_conf_write(snn_conf_root(doc));
    ck_ok(read_section(resolved, &d, &again)); /* what is stored is itself a config, and says the same */
    const struct snn_data_config *both[] = {&c, &d};
    for (int i = 0; i < 2; ++i) {
        const struct snn_data_config *e = both[i];
        ck_assert_str_eq(e->root, "/x");
        ck_assert(e->timesteps == -1 && e->bin.by == SNN_BIN_DURATION && e->bin.binary);
        ck_assert(snn_data_step_seconds(e) == 0.0003);
        ck_assert(e->pad.to == SNN_PAD_BATCH && !e->pad.mask && e->validation == 0.1 && e->split_seed == 3 &&
                  !e->workers);
    }
    ck_assert_ptr_nonnull(strstr(resolved, "coding: direct"));
    free(resolved);
    snn_conf_free(&doc);
    snn_conf_free(&again);
}
END_TEST

static const struct {
    const char *text, *sentence;
} refused[] = {
    {"data: {timesteps: 3}", "name"},
    {"data: {name: nmnits}", "data.name: unknown data set 'nmnits' (did you mean 'nmnist'?)"},
    {"data: {name: zzzzzzz}", "unknown data set 'zzzzzzz'"},
    {"data: {name: nmnist, augment: []}", "unknown key 'augment'"},
    {"data: {name: nmnist, bin: {by: count, preset: tonic}}", "unknown key 'preset'"},
    {"data: {name: nmnist, bin: count}", "data.bin: expected a map"},
    {"data: {name: nmnist, timesteps: 0}", "data.timesteps: "},
    {"data: {name: nmnist, timesteps: 1000001}", "data.timesteps: "},
    {"data: {name: nmnist, timesteps: auto}", "data.timesteps: auto needs bin.by: duration"},
    {"data: {name: nmnist, bin: {by: duration, dt: 10}}", "data.bin.dt: expected a duration with a unit"},
    {"data: {name: nmnist, bin: {by: duration, dt: 0 ms}}", "data.bin.dt: is 0 s, expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: -1 ms}}", "expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: 3601 s}}", "expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: 2.5 us}}", "data.bin.dt: is 2.5 us, expected whole microseconds"},
    {"data: {name: nmnist, coding: rate}", "data.coding: is for images, and nmnist has recordings"},
    {"data: {name: nmnist, mean: 0.5}", "data.mean: is for images"},
    {"data: {name: nmnist, std: 0.5}", "data.std: is for images"},
    {"data: {name: nmnist, pad: {to: 20}}", "data.pad.to: a number needs bin.by: duration"},
    {"data: {name: nmnist, validation: 1}", "data.validation: is 1, expected less than 1"},
    {"data: {name: nmnist, validation: -0.1}", "data.validation: "},
    {"data: {name: nmnist, workers: 65}", "data.workers: "},
    {"data: {name: mnist, timesteps: auto}", "data.timesteps: auto is for recordings, and mnist has images"},
    {"data: {name: mnist, bin: {by: time}}", "data.bin.by: is for recordings"},
    {"data: {name: mnist, bin: {binary: true}}", "data.bin.binary: is for recordings"},
    {"data: {name: mnist, pad: {to: 4}}", "data.pad.to: is for recordings"},
    {"data: {name: mnist, std: 0}", "data.std: "},
    {"data: {name: mnist, coding: rate, mean: 0.1}", "data.mean: needs coding: direct"},
    {"data: {name: mnist, coding: latency, std: 0.1}", "data.std: needs coding: direct"},
};

START_TEST(config_refuses) {
    struct snn_data_config config;
    struct snn_conf_doc *doc;
    expect_error(read_section(refused[_i].text, &config, &doc), SNN_EUSAGE, refused[_i].sentence);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "x.yaml:1:")); /* with its place */
    snn_conf_free(&doc);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("loader");
    TCase *bin = tcase_create("bin"), *coding = tcase_create("coding"), *order = tcase_create("order");
    TCase *threads = tcase_create("threads"), *config = tcase_create("config"), *pad = tcase_create("pad");
    TCase *all[] = {bin, pad, coding, order, threads, config};
    for (int i = 0; i < 6; ++i) {
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_test(bin, bin_golden);
    tcase_add_test(bin, bin_count_rules);
    tcase_add_test(bin, bin_time_rules);
    tcase_add_test(bin, bin_duration_rules);
    tcase_add_test(bin, bin_binary_and_clamp);
    tcase_add_loop_test(pad, rows_equal_frames, SNN_BIN_COUNT, SNN_BIN_DURATION + 1);
    tcase_add_test(pad, rows_clamp_as_frames_do);
    tcase_add_test(pad, pad_to_the_longest);
    tcase_add_test(pad, pad_to_the_batch);
    tcase_add_test(pad, pad_to_n_cuts_and_counts);
    tcase_add_test(pad, pad_beyond_and_below_timesteps);
    tcase_add_test(pad, rebin_frames_the_whole_recording);
    tcase_add_test(coding, direct_is_normalised_pixels);
    tcase_add_test(coding, rate_follows_the_pixel);
    tcase_add_test(coding, rate_depends_on_its_key_alone);
    tcase_add_test(coding, rate_batches_are_keyed_by_seed_epoch_and_sample);
    tcase_add_test(coding, rate_in_evaluation_does_not_move_with_the_epoch);
    tcase_add_test(coding, latency_is_one_spike_the_earlier_the_brighter);
    tcase_add_loop_test(order, workers_do_not_change_batches, 0, 5);
    tcase_add_loop_test(order, every_sample_once, 0, 2);
    tcase_add_loop_test(order, resume_is_the_tail_of_the_epoch, 0, 3);
    tcase_add_loop_test(order, start_may_break_an_epoch_off, 0, 4);
    tcase_add_test(order, batch_larger_than_the_set);
    tcase_add_loop_test(order, split_is_stratified_and_disjoint, 0, 3);
    tcase_add_test(order, split_moves_with_its_own_seed_only);
    tcase_add_test(order, split_that_holds_nothing);
    tcase_add_loop_test(threads, close_at_any_time, 0, 4);
    tcase_add_loop_test(threads, worker_error_arrives_with_its_sentence, 0, 4);
    tcase_add_test(threads, open_reports_what_the_lengths_show);
    tcase_add_loop_test(threads, wait_is_the_time_spent_waiting, 0, 2);
    tcase_add_test(config, config_defaults);
    tcase_add_test(config, config_reads_every_key_and_resolves);
    tcase_add_loop_test(config, config_refuses, 0, sizeof refused / sizeof *refused);
    return run_suite(suite);
}
