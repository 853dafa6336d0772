/* SPDX-License-Identifier: Apache-2.0
 * test_cache.c - samples kept on disk: the same batches with and without, whatever happens to the files meanwhile.
 *
 * The made set counts how often it is read: a sample that comes from the cache is not. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utime.h>

#include "augment_rig.h"
#include "core/file.h"
#include "datasets/cache_parts.h"
#include "folder.h"
#include "made_set.h"

/* ---- a made set that has a file ---- */

static _Atomic int reads; /* of samples */
static int warn_at = -1;  /* sample of which something is left out */

static int counted_get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    ++reads;
    if (i == warn_at) snn_dataset_warn(base, "made: something is left out");
    return made_get(base, split, i, sample);
}

static int made_sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    (void)base;
    return each(payload, in("source"));
}

static const struct snn_dataset_ops cached_ops = {
    .name = "made", .get = counted_get, .label = made_label, .sources = made_sources};

static struct made_set make_cached_set(void) {
    struct made_set set = make_set(true);
    set.base.ops = &cached_ops;
    set.base.root = folder;
    return set;
}

static char cache_folder[300];
static char *said; /* warnings of the last epoch() */

static void setup(void) {
    make_folder();
    write_file("source", "abc", 3);
    snprintf(cache_folder, sizeof cache_folder, "%s/cache", folder);
    said = NULL;
}

static void teardown(void) {
    free(said);
    remove_folder();
}

/* All that an epoch over a split depends on here. */
struct run {
    struct snn_data_config config;
    enum snn_subset subset;
    int32_t timesteps, delay_us, cut;
};

static struct run run_of(const struct snn_data_config *config) {
    struct run run = {.config = *config};
    run.config.cache = cache_folder;
    run.config.cache_limit = INT64_C(1) << 40;
    return run;
}

static int mix_epoch(struct snn_loader *loader, uint64_t *all) {
    const struct snn_batch *batch;
    SNN_TRY(snn_loader_start(loader, 3, 0));
    for (;;) {
        SNN_TRY(snn_loader_next(loader, &batch));
        if (!batch) return SNN_OK;
        uint64_t one = digest(batch);
        *all = mix(*all, &one, sizeof one);
    }
}

/* The digests of an epoch of a set that is opened for it, mixed; `said` and `reads` are of it alone. Nothing of Check
 * in here: also for child processes. */
static int try_epoch(const struct run *run, uint64_t *all) {
    struct made_set set = make_cached_set();
    size_t size;
    free(said), said = NULL;
    struct snn_cache_warnings warnings = {.file = open_memstream(&said, &size)};
    const struct snn_loader_options options = {.config = &run->config,
                                               .set = &set.base,
                                               .subset = run->subset,
                                               .batch = 8,
                                               .seed = 5,
                                               .shuffle = true,
                                               .cut = run->cut,
                                               .timesteps = run->timesteps,
                                               .warnings = &warnings};
    struct snn_loader *loader;
    reads = 0;
    set.delay_us = run->delay_us;
    *all = 0xCBF29CE484222325u;
    int status = snn_loader_open(&options, &loader);
    if (status == SNN_OK) {
        status = mix_epoch(loader, all);
        int32_t cut = snn_loader_cut(loader);
        *all = mix(*all, &cut, sizeof cut);
    }
    snn_loader_close(&loader);
    fclose(warnings.file);
    return status;
}

static uint64_t epoch(const struct run *run) {
    uint64_t all;
    ck_ok(try_epoch(run, &all));
    return all;
}

static uint64_t epoch_without(const struct run *run) {
    struct run none = *run;
    none.config.cache = NULL;
    return epoch(&none);
}

#define ck_silent() ck_assert_str_eq(said, "")
#define ck_said(part) ck_assert_msg(strstr(said, part), "\"%s\" lacks \"%s\"", said, part)

/* The only entry of the folder. */
static struct snn_cache_entry only_entry(void) {
    struct snn_cache_entry *list, first;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    ck_assert_int_eq(count, 1);
    first = list[0];
    free(list);
    return first;
}

static void free_entry(struct snn_cache_entry *e) { free(e->name), free(e->set), free(e->split), free(e->holds); }

static const char *file_of(const char *name, const char *which) {
    static char path[2][600];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s/%s", cache_folder, name, which);
    return path[turn];
}

/* ---- slots ---- */

static int open_slots(const char *recipe, int32_t slots, struct snn_cache **cache) {
    const struct snn_cache_options options = {
        .folder = cache_folder, .set = "made", .recipe = recipe, .slots = slots, .limit = INT64_C(1) << 40};
    return snn_cache_open(&options, cache);
}

/* `size` bytes that repeat, or do not. */
static void make_bytes(struct snn_cache_bytes *bytes, size_t size, bool dense) {
    ck_assert(snn_cache_bytes_room(bytes, size));
    for (size_t i = 0; i < size; ++i)
        bytes->raw[i] = (unsigned char)(dense ? (i + 1) * 2654435761u >> 13 ^ i * i * 40503u >> 7 : i / 100);
    bytes->size = size;
}

static void put_made(struct snn_cache *cache, int32_t slot, size_t size, bool dense) {
    struct snn_cache_bytes bytes = {0};
    make_bytes(&bytes, size, dense);
    snn_cache_put(cache, slot, &bytes);
    snn_cache_bytes_free(&bytes);
}

static void check_made(struct snn_cache *cache, int32_t slot, size_t size, bool dense) {
    struct snn_cache_bytes bytes = {0}, expected = {0};
    make_bytes(&expected, size, dense);
    ck_assert(snn_cache_get(cache, slot, &bytes));
    ck_assert_uint_eq(bytes.size, size);
    ck_assert(!memcmp(bytes.raw, expected.raw, size));
    snn_cache_bytes_free(&bytes), snn_cache_bytes_free(&expected);
}

START_TEST(slots_keep_their_bytes) {
    static const size_t sizes[] = {1, 2, 13, 1000, 70000, 3000000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct snn_cache *cache;
    struct snn_cache_bytes bytes = {0};
    ck_ok(open_slots("recipe", 2 * SIZES + 1, &cache));
    for (int i = 0; i < 2 * SIZES; ++i) put_made(cache, i, sizes[i / 2], i % 2);
    for (int again = 0; again < 2; ++again) {
        for (int i = 2 * SIZES - 1; i >= 0; --i) check_made(cache, i, sizes[i / 2], i % 2);
        ck_assert(!snn_cache_get(cache, 2 * SIZES, &bytes)); /* nobody has put anything there */
        ck_assert(snn_cache_wrote(cache) == !again);
        put_made(cache, 0, 5, false); /* the first one stays */
        snn_cache_close(&cache);
        ck_ok(open_slots("recipe", 2 * SIZES + 1, &cache));
    }
    snn_cache_reject(cache, 3);
    ck_assert(!snn_cache_get(cache, 3, &bytes));
    put_made(cache, 3, 9, true);
    check_made(cache, 3, 9, true);
    snn_cache_close(&cache);
    snn_cache_bytes_free(&bytes);
}
END_TEST

START_TEST(recipes_do_not_share_slots) {
    struct snn_cache *a, *b;
    struct snn_cache_bytes bytes = {0};
    ck_ok(open_slots("recipe a", 4, &a));
    ck_ok(open_slots("recipe b", 4, &b));
    put_made(a, 1, 10, false);
    ck_assert(!snn_cache_get(b, 1, &bytes));
    snn_cache_close(&b);
    ck_ok(open_slots("recipe a", 4, &b)); /* the same entry, opened twice in a process */
    check_made(b, 1, 10, false);
    put_made(b, 2, 11, false);
    check_made(a, 2, 11, false);
    snn_cache_close(&a);
    snn_cache_close(&b);
    snn_cache_bytes_free(&bytes);
}
END_TEST

/* ---- packing ---- */

static uint32_t draw(uint32_t *state, uint32_t below) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

START_TEST(rows_are_packed_and_unpacked) {
    enum { STEPS = 9, UNITS = 300, MOST = STEPS * UNITS };
    uint32_t state = (uint32_t)_i + 1;
    int32_t count[STEPS], count2[STEPS], steps;
    bool cut;
    struct snn_rows rows = {0}, back = {0};
    ck_ok(snn_rows_room(&rows, MOST + 3));
    rows.used = 3; /* of the sample before */
    for (int t = 0; t < STEPS; ++t) {
        count[t] = 0;
        uint32_t rare = 1 + draw(&state, 40);
        for (int unit = 0; unit < UNITS; ++unit)
            if (!draw(&state, rare)) {
                uint32_t kind = draw(&state, 10);
                rows.index[rows.used] = unit, ++count[t];
                float value = kind < 6 ? 1 : kind < 9 ? (float)(2 + draw(&state, 9)) : 65535;
                rows.value[rows.used++] = _i < 4 ? value : _i < 6 ? -value : value / 7 + 0x1p-140f;
            }
    }
    struct snn_cache_bytes bytes = {0};
    ck_assert(snn_pack_rows(&rows, count, 3, STEPS, _i % 2, &bytes));
    ck_ok(snn_rows_room(&back, 7));
    back.used = 7;
    ck_assert(snn_unpack_rows(&bytes, UNITS, STEPS, &back, count2, &steps, &cut));
    ck_assert_int_eq(steps, STEPS);
    ck_assert_int_eq(cut, _i % 2);
    ck_assert_uint_eq(back.used - 7, rows.used - 3);
    ck_assert_mem_eq(count2, count, sizeof count);
    ck_assert_mem_eq(back.index + 7, rows.index + 3, (rows.used - 3) * sizeof *rows.index);
    ck_assert_mem_eq(back.value + 7, rows.value + 3, (rows.used - 3) * sizeof *rows.value);
    /* Fewer units or steps than it has, and less of it. */
    back.used = 0;
    ck_assert(!snn_unpack_rows(&bytes, UNITS, STEPS - 1, &back, count2, &steps, &cut));
    ck_assert(!snn_unpack_rows(&bytes, UNITS / 2, STEPS, &back, count2, &steps, &cut));
    for (size_t whole = bytes.size--; bytes.size < whole; --bytes.size)
        ck_assert(!snn_unpack_rows(&bytes, UNITS, STEPS, &back, count2, &steps, &cut));
    ck_assert_uint_eq(back.used, 0);
    snn_rows_free(&rows), snn_rows_free(&back);
    snn_cache_bytes_free(&bytes);
}
END_TEST

START_TEST(events_are_packed_and_unpacked) {
    enum { EVENTS = 500 };
    struct snn_dataset_info info = {.C = 2, .H = _i % 2 ? 40 : 260, .W = _i % 2 ? 50 : 346};
    uint32_t state = (uint32_t)_i + 1;
    struct snn_sample sample = {0}, back = {0};
    ck_ok(snn_sample_room(&sample, 0, EVENTS));
    sample.event_count = _i < 2 ? 0 : EVENTS;
    int64_t t = _i % 3 ? 17 : -123456789;
    for (int i = 0; i < EVENTS; ++i, t += draw(&state, 3) * draw(&state, 1000000))
        sample.events[i] = (struct snn_event){t, (uint16_t)draw(&state, (uint32_t)info.W),
                                              (uint16_t)draw(&state, (uint32_t)info.H), (uint8_t)draw(&state, 2)};
    struct snn_cache_bytes bytes = {0};
    ck_assert(snn_pack_events(&sample, &info, &bytes));
    ck_assert(snn_unpack_events(&bytes, &info, &back));
    ck_assert_uint_eq(back.event_count, sample.event_count);
    for (size_t i = 0; i < back.event_count; ++i) {
        const struct snn_event *a = &sample.events[i], *b = &back.events[i];
        ck_assert(a->t == b->t && a->x == b->x && a->y == b->y && a->p == b->p);
    }
    for (size_t whole = bytes.size--; bytes.size < whole; --bytes.size)
        ck_assert(!snn_unpack_events(&bytes, &info, &back));
    if (sample.event_count) { /* what cannot be told again is not packed */
        int64_t was = sample.events[9].t;
        sample.events[9].t = sample.events[8].t - 1;
        ck_assert(!snn_pack_events(&sample, &info, &bytes));
        sample.events[9].t = was;
        sample.events[9].x = (uint16_t)info.W;
        ck_assert(!snn_pack_events(&sample, &info, &bytes));
    }
    snn_sample_free(&sample), snn_sample_free(&back);
    snn_cache_bytes_free(&bytes);
}
END_TEST

/* ---- batches ---- */

START_TEST(a_hit_equals_a_miss) {
    static const struct {
        int by;
        long long timesteps, pad;
        bool binary;
        int workers;
    } kind[] = {{SNN_BIN_COUNT, 4, SNN_PAD_MAX, false, 0},     {SNN_BIN_COUNT, 1, SNN_PAD_MAX, false, 3},
                {SNN_BIN_TIME, 7, SNN_PAD_MAX, true, 1},       {SNN_BIN_DURATION, -1, SNN_PAD_BATCH, false, 2},
                {SNN_BIN_DURATION, -1, 6, false, 1},           {SNN_BIN_DURATION, 5, 9, true, 3},
                {SNN_BIN_DURATION, -1, SNN_PAD_MAX, false, 0}, {SNN_BIN_COUNT, 3, SNN_PAD_MAX, false, 1},
                {SNN_BIN_DURATION, -1, SNN_PAD_MAX, false, 2}, {SNN_BIN_WINDOW, -1, SNN_PAD_BATCH, false, 1},
                {SNN_BIN_VOXEL, 4, SNN_PAD_MAX, false, 1}};
    struct snn_data_config config = config_of(kind[_i].by, kind[_i].timesteps, 2000);
    config.pad.to = kind[_i].pad;
    config.bin.binary = kind[_i].binary;
    config.workers = kind[_i].workers;
    if (_i > 6) config.downsample.polarity = SNN_POLARITY_SIGNED; /* negative counts */
    if (_i > 7) config.bin.tau_us = 3000;                         /* fractions */
    if (_i > 8) config.downsample.space[1] = 2;
    struct run run = run_of(&config);
    uint64_t expected = epoch_without(&run);
    int all = reads;
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, all); /* nothing was there */
    ck_silent();
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0); /* the longest recording is known, too */
    ck_silent();
    struct snn_cache_entry entry = only_entry();
    ck_assert_int_eq(entry.samples, SAMPLES);
    ck_assert_int_eq(entry.filled, SAMPLES);
    ck_assert_str_eq(entry.set, "made");
    ck_assert_str_eq(entry.split, "train");
    ck_assert_str_eq(entry.holds, "frames");
    free_entry(&entry);
    run.subset = SNN_SUBSET_TEST;
    expected = epoch_without(&run);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_ge(reads, TESTS);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
}
END_TEST

/* Training and validation samples share an entry: each fills what it reads. */
START_TEST(subsets_share_an_entry) {
    struct run run = run_of(&by_count);
    run.config.validation = (struct snn_validation){.by = SNN_VALIDATION_CLASS, .fraction = 0.25};
    epoch(&run);
    int first = reads;
    run.subset = SNN_SUBSET_VALIDATION;
    epoch(&run);
    ck_assert_int_eq(first + reads, SAMPLES);
    ck_assert_int_gt(reads, 0);
    run = run_of(&by_count);
    epoch(&run);
    ck_assert_int_eq(reads, 0);
}
END_TEST

/* bench timesteps --protocol rebin: the recordings themselves are kept, once for all numbers of steps. */
/* What is kept has no layout: it is the samples'. */
START_TEST(layouts_share_an_entry) {
    const struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    struct run run[] = {run_of(&config), run_of(&config)};
    run[1].cut = 2;
    for (int first = 0; first < 2; ++first) {
        uint64_t expected[] = {epoch_without(&run[0]), epoch_without(&run[1])};
        ck_assert_uint_ne(expected[0], expected[1]);
        for (int k = 0; k < 3; ++k) {
            int which = (first + k) % 2;
            ck_assert_uint_eq(epoch(&run[which]), expected[which]);
            ck_assert(k ? reads == 0 : reads > 0);
            ck_silent();
        }
        run[0].config.bin.dt.value *= 2, run[1].config.bin.dt.value *= 2;
    }
}
END_TEST

START_TEST(rebinning_keeps_events) {
    struct run run = run_of(&by_count);
    for (int32_t steps = 1; steps < 6; ++steps) {
        run.timesteps = steps;
        uint64_t expected = epoch_without(&run);
        ck_assert_uint_eq(epoch(&run), expected);
        ck_assert_int_eq(reads, steps == 1 ? SAMPLES : 0);
        ck_silent();
    }
    struct snn_cache_entry entry = only_entry();
    ck_assert_str_eq(entry.holds, "events");
    free_entry(&entry);
}
END_TEST

/* Random transforms come after the cache: their partners are read from it, too. Samples set apart are not changed, and
 * are kept as frames. */
START_TEST(augmented_samples_are_kept_as_events) {
    struct snn_data_config config = by_count;
    ck_ok(rig_read("nmnist", "[flip, drop, mixup]", &config));
    config.timesteps = 4;
    config.validation = (struct snn_validation){.by = SNN_VALIDATION_CLASS, .fraction = 0.25};
    config.workers = _i;
    struct run run = run_of(&config);
    uint64_t expected = epoch_without(&run);
    ck_assert_uint_eq(epoch(&run), expected);
    int filled = reads;
    ck_assert_int_ge(filled, SAMPLES / 2);
    struct snn_cache_entry entry = only_entry();
    ck_assert_str_eq(entry.holds, "events");
    free_entry(&entry);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
    ck_silent();
    run.config.augments = 0;
    ck_assert_uint_ne(epoch(&run), expected);
    run.config.augments = config.augments;
    run.subset = SNN_SUBSET_VALIDATION;
    expected = epoch_without(&run);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(list[0].holds, "frames");
    snn_cache_list_free(&list, count);
}
END_TEST

START_TEST(targets_are_not_kept) {
    struct run run = run_of(&by_count);
    struct made_set set = make_cached_set();
    size_t size;
    struct snn_cache_warnings warnings = {.file = open_memstream(&said, &size)};
    const struct snn_loader_options options = {
        .config = &run.config, .set = &set.base, .batch = 8, .warnings = &warnings};
    struct snn_loader *loader;
    set.base.info.targets = 3;
    ck_ok(snn_loader_open(&options, &loader));
    snn_loader_close(&loader);
    fclose(warnings.file);
    ck_said("samples of made have targets, which are not kept: nothing is kept");
}
END_TEST

/* What reading had to say is heard in every epoch. */
START_TEST(a_sample_with_a_warning_is_not_kept) {
    struct run run = run_of(&by_count);
    warn_at = 7;
    run.config.workers = 0; /* else samples that are read at the same time are not kept either */
    run.timesteps = _i ? 3 : 0;
    uint64_t expected = epoch_without(&run);
    for (int i = 0; i < 3; ++i) {
        ck_assert_uint_eq(epoch(&run), expected);
        ck_assert_int_eq(reads, i ? 1 : SAMPLES);
    }
}
END_TEST

/* ---- the key ---- */

static char *recipe_of(const struct snn_data_config *config, int what) {
    struct made_set set = make_cached_set();
    struct snn_recipe recipe = {.config = config, .set = &set.base, .split = SNN_TRAIN};
    char *text;
    snn_data_input(config, &set.base.info, recipe.shape);
    if (what == 1) recipe.split = SNN_TEST;
    if (what == 2) recipe.stored = SNN_STORED_EVENTS;
    if (what == 3) ++recipe.shape[2];
    if (what == 4) ++set.base.info.W;
    if (what == 5) ++set.base.info.count[SNN_TRAIN];
    if (what == 6) set.base.info.name = "made2";
    ck_ok(snn_cache_recipe(&recipe, what == 7 ? "other files" : "files", &text));
    return text;
}

START_TEST(every_parameter_is_in_the_recipe) {
    enum { SAME = 8, OTHERS = 7, CONFIGS = 21 };
    char *text[1 + OTHERS + CONFIGS];
    int n = 0;
    for (int what = 0; what <= OTHERS; ++what) text[n++] = recipe_of(&by_count, what);
    for (int what = 0; what < CONFIGS; ++what) {
        struct snn_data_config config = by_count;
        if (what == 0) config.timesteps = 5;
        if (what == 1) config.timesteps = -1;
        if (what == 2) config.bin.by = SNN_BIN_TIME;
        if (what == 3) config.bin.by = SNN_BIN_DURATION;
        if (what == 4) config.bin.dt.value = 0.011;
        if (what == 5) config.bin.binary = true;
        if (what == 6) config.bin.from = SNN_BIN_FROM_ZERO;
        if (what == 7) config.pad.to = 3;
        if (what == 8) config.pad.to = 4;
        if (what == 9) config.bin.start_us = 7;
        if (what == 10) config.bin.overlap = 0.5;
        if (what == 11) config.bin.events = 5;
        if (what == 12) config.bin.incomplete = true;
        if (what == 13) config.bin.half = true;
        if (what == 14) config.bin.until_us = 9;
        if (what == 15) config.bin.tau_us = 3;
        if (what == 16) config.downsample.space[0] = 2;
        if (what == 17) config.downsample.space[1] = 2;
        if (what == 18) config.downsample.drop = true;
        if (what == 19) config.downsample.polarity = SNN_POLARITY_ON;
        if (what == 20) config.downsample.tick_us = 1000;
        text[n++] = recipe_of(&config, 0);
    }
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < i; ++k) ck_assert_msg(strcmp(text[i], text[k]) != 0, "%d and %d: %s", i, k, text[i]);
    for (int what = 0; what < SAME; ++what) { /* and nothing that does not matter */
        struct snn_data_config config = by_count;
        if (what == 0) config.workers = 7;
        if (what == 1) config.pad.mask = false;
        if (what == 2) config.pad.to = SNN_PAD_BATCH;
        if (what == 3) config.validation.by = SNN_VALIDATION_OWN;
        if (what == 4) config.split_seed = 4;
        if (what == 5) config.root = "elsewhere";
        if (what == 6) config.cache = "elsewhere";
        if (what == 7) config.cache_limit = 7;
        char *same = recipe_of(&config, 0);
        ck_assert_str_eq(same, text[0]);
        free(same);
    }
    for (int i = 0; i < n; ++i) free(text[i]);
}
END_TEST

/* Of every type that a key can have. */
struct options {
    bool flag;
    long long number;
    double real;
    const char *text;
    int choice, pair[2];
    struct snn_time time;
    struct snn_conf *node;
};
static const char *const choices[] = {"a", "b", NULL};
#define AT(field) offsetof(struct options, field)
static const struct snn_key option_keys[] = {{"flag", SNN_BOOL, AT(flag), "false", 0, 0, NULL, ""},
                                             {"number", SNN_INT, AT(number), "0", 0, 0, NULL, ""},
                                             {"real", SNN_REAL, AT(real), "0", 0, 0, NULL, ""},
                                             {"text", SNN_TEXT, AT(text), SNN_OPTIONAL, 0, 0, NULL, ""},
                                             {"choice", SNN_CHOICE, AT(choice), "a", 0, 0, choices, ""},
                                             {"pair", SNN_PAIR, AT(pair), "[1, 2]", 0, 0, NULL, ""},
                                             {"time", SNN_TIME, AT(time), "1 ms", 0, 0, NULL, ""},
                                             {"node", SNN_NODE, AT(node), SNN_OPTIONAL, 0, 0, NULL, ""},
                                             {0}};

START_TEST(options_of_a_set_are_in_the_recipe) {
    static const char *const yaml[] = {"{}",
                                       "{flag: true}",
                                       "{number: 1}",
                                       "{real: 0.1}",
                                       "{text: a}",
                                       "{text: ''}",
                                       "{choice: b}",
                                       "{pair: [1, 3]}",
                                       "{pair: [2, 2]}",
                                       "{time: 2 ms}",
                                       "{time: 0.001}",
                                       "{node: {a: 1}}",
                                       "{node: {a: 2}}",
                                       "{real: 0.10000000000000001}"};
    enum { COUNT = sizeof yaml / sizeof *yaml };
    char *text[COUNT];
    struct snn_dataset_ops ops = cached_ops;
    ops.keys = option_keys;
    for (int i = 0; i < COUNT; ++i) {
        struct snn_conf_doc *doc;
        char whole[100];
        snprintf(whole, sizeof whole, "o: %s", yaml[i]);
        ck_ok(snn_conf_parse(whole, strlen(whole), "test", &doc));
        struct made_set set = make_cached_set();
        struct snn_data_config config = by_count;
        set.base.ops = &ops;
        ck_ok(snn_conf_read(snn_conf_get(snn_conf_root(doc), "o"), option_keys, &config.set));
        const struct snn_recipe recipe = {.config = &config, .set = &set.base};
        ck_ok(snn_cache_recipe(&recipe, "files", &text[i]));
        snn_conf_free(&doc);
        for (int k = 0; k < i; ++k)
            ck_assert_int_eq(strcmp(text[i], text[k]) == 0, i == COUNT - 1 && k == 3); /* 0.1 twice */
    }
    for (int i = 0; i < COUNT; ++i) free(text[i]);
}
END_TEST

START_TEST(other_sources_are_another_entry) {
    struct run run = run_of(&by_count);
    struct utimbuf time = {1, 1};
    epoch(&run);
    if (_i == 0) write_file("source", "abcd", 4);
    else ck_assert(!utime(in("source"), &time));
    uint64_t expected = epoch_without(&run);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, SAMPLES);
    ck_silent();
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    ck_assert_int_eq(count, 2);
    snn_cache_list_free(&list, count);
}
END_TEST

/* The name is told, and the folder of the data is not. */
START_TEST(a_set_that_moves_keeps_its_entry) {
    struct run run = run_of(&by_count);
    epoch(&run);
    char moved[300], before[300];
    snprintf(before, sizeof before, "%s", folder);
    snprintf(moved, sizeof moved, "%.200s_moved", folder);
    ck_assert(!rename(folder, moved));
    snprintf(folder, sizeof folder, "%.250s", moved);
    snprintf(cache_folder, sizeof cache_folder, "%.250s/cache", moved);
    epoch(&run);
    ck_assert_int_eq(reads, 0);
    ck_silent();
}
END_TEST

/* Which version of a file a sample was read from cannot be told: nothing of it is used again. */
START_TEST(sources_that_change_meanwhile) {
    struct run run = run_of(&by_count);
    struct made_set set = make_cached_set();
    size_t size;
    struct snn_cache_warnings warnings = {.file = open_memstream(&said, &size)};
    const struct snn_loader_options options = {
        .config = &run.config, .set = &set.base, .batch = 8, .warnings = &warnings};
    struct snn_loader *loader;
    struct utimbuf before = {1000, 1000}, after = {2000, 2000};
    ck_assert(!utime(in("source"), &before));
    ck_ok(snn_loader_open(&options, &loader));
    ck_ok(snn_loader_start(loader, 0, 0));
    while (next(loader)) continue;
    if (_i == 0) ck_assert(!utime(in("source"), &after));
    else ck_assert(!unlink(in("source")));
    snn_loader_close(&loader);
    fclose(warnings.file);
    ck_said("have changed while they were read");
    write_file("source", "abc", 3);
    ck_assert(!utime(in("source"), &before)); /* the old version comes back */
    epoch(&run);
    ck_assert_int_eq(reads, SAMPLES);
    ck_said("made anew");
    epoch(&run);
    ck_assert_int_eq(reads, 0);
    ck_silent();
}
END_TEST

/* ---- damage ---- */

struct bytes {
    unsigned char *bytes;
    size_t size;
};
static const char *const file_names[3] = {SNN_CACHE_RECIPE, SNN_CACHE_INDEX, SNN_CACHE_DATA};

static struct bytes take_file(const char *entry, const char *name) {
    struct bytes all;
    ck_ok(snn_file_read(file_of(entry, name), 1 << 24, &all.bytes, &all.size));
    return all;
}

static void give_file(const char *entry, const char *name, const void *bytes, size_t size) {
    int file = open(file_of(entry, name), O_WRONLY | O_CREAT, 0666); /* not emptied first: some disks then wait */
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(pwrite(file, bytes, size, 0), (ssize_t)size);
    ck_assert(!ftruncate(file, (off_t)size));
    close(file);
}

/* Same batches, a warning; and afterwards whole again. */
static void check_repaired(const struct run *run, uint64_t expected, const char *what, size_t at) {
    ck_assert_msg(epoch(run) == expected, "%s, byte %zu: other batches", what, at);
    ck_assert_msg(strstr(said, "damaged"), "%s, byte %zu: nothing was said: '%s'", what, at, said);
    ck_assert_msg(strchr(said, '\n')[1] == 0, "%s, byte %zu: more than a line: %s", what, at, said);
    ck_assert_int_ge(reads, 1);
    ck_assert_msg(epoch(run) == expected && reads == 0 && !*said, "%s, byte %zu: %d reads afterwards: %s", what, at,
                  (int)reads, said);
}

START_TEST(a_damaged_byte_anywhere) {
    struct run run = run_of(&by_count);
    run.config.workers = 0;
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes whole[3];
    for (int i = 0; i < 3; ++i) whole[i] = take_file(entry.name, file_names[i]);
    /* The last slot, of what concerns the whole set, was not needed and is empty: nobody looks at its record. */
    size_t looked_at[3] = {whole[0].size, whole[1].size - SNN_CACHE_RECORD, whole[2].size};
    for (size_t at = 0; at < looked_at[_i]; ++at) {
        for (int i = 0; i < 3; ++i) give_file(entry.name, file_names[i], whole[i].bytes, whole[i].size);
        whole[_i].bytes[at] ^= (unsigned char)(1 << at % 8);
        give_file(entry.name, file_names[_i], whole[_i].bytes, whole[_i].size);
        whole[_i].bytes[at] ^= (unsigned char)(1 << at % 8);
        check_repaired(&run, expected, file_names[_i], at);
    }
    for (int i = 0; i < 3; ++i) free(whole[i].bytes);
    free_entry(&entry);
}
END_TEST

START_TEST(a_file_cut_short) {
    struct run run = run_of(&by_count);
    run.config.workers = 0;
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes whole[3];
    for (int i = 0; i < 3; ++i) whole[i] = take_file(entry.name, file_names[i]);
    for (size_t size = 0; size < whole[_i].size; size += size < 40 ? 1 : 17) {
        for (int i = 0; i < 3; ++i)
            give_file(entry.name, file_names[i], whole[i].bytes, i == _i ? size : whole[i].size);
        check_repaired(&run, expected, file_names[_i], size);
    }
    for (int i = 0; i < 3; ++i) give_file(entry.name, file_names[i], whole[i].bytes, whole[i].size);
    ck_assert(!unlink(file_of(entry.name, file_names[_i])));
    check_repaired(&run, expected, file_names[_i], 0);
    for (int i = 0; i < 3; ++i) free(whole[i].bytes);
    free_entry(&entry);
}
END_TEST

/* A record that is in order, of bytes that are not there, or of another slot's. */
START_TEST(a_record_of_another_slot) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes index = take_file(entry.name, SNN_CACHE_INDEX);
    memcpy(index.bytes + SNN_CACHE_HEADER + 5 * SNN_CACHE_RECORD, index.bytes + SNN_CACHE_HEADER + 9 * SNN_CACHE_RECORD,
           SNN_CACHE_RECORD);
    give_file(entry.name, SNN_CACHE_INDEX, index.bytes, index.size);
    check_repaired(&run, expected, "record", 5);
    free(index.bytes);
    free_entry(&entry);
}
END_TEST

/* ---- several processes ---- */

static pid_t start_child(const struct run *run, uint64_t expected) {
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child) return child;
    uint64_t all;
    bool good = try_epoch(run, &all) == SNN_OK && all == expected && !*said;
    _exit(good ? 0 : 1);
}

static int end_of(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) ck_assert_int_eq(errno, EINTR);
    return status;
}

/* Each slot was filled once: data.bin holds what the records say and nothing else. */
static void check_no_waste(void) {
    struct snn_cache_entry entry = only_entry();
    struct bytes index = take_file(entry.name, SNN_CACHE_INDEX), data = take_file(entry.name, SNN_CACHE_DATA);
    size_t sum = 8;
    for (size_t at = SNN_CACHE_HEADER; at < index.size; at += SNN_CACHE_RECORD)
        for (size_t b = 0; b < 8; ++b) sum += (size_t)index.bytes[at + 8 + b] << 8 * b;
    ck_assert_uint_eq(sum, data.size);
    ck_assert_int_eq(entry.filled, SAMPLES);
    free(index.bytes), free(data.bytes);
    free_entry(&entry);
}

START_TEST(processes_fill_one_entry_at_once) {
    enum { CHILDREN = 4 };
    struct run run = run_of(&by_count);
    run.config.workers = 2;
    uint64_t expected = epoch_without(&run);
    for (int round = 0; round < 5; ++round) {
        pid_t child[CHILDREN];
        for (int i = 0; i < CHILDREN; ++i) child[i] = start_child(&run, expected);
        for (int i = 0; i < CHILDREN; ++i) ck_assert_int_eq(end_of(child[i]), 0);
        check_no_waste();
        ck_assert_uint_eq(epoch(&run), expected);
        ck_assert_int_eq(reads, 0);
        struct snn_cache_removal gone;
        ck_ok(snn_cache_remove(cache_folder, NULL, &gone));
        ck_assert_int_eq(gone.removed, 1);
    }
}
END_TEST

START_TEST(a_killed_process_leaves_what_it_has_filled) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    run.delay_us = 300;
    for (int round = 0; round < 12; ++round) {
        pid_t child = start_child(&run, expected);
        nanosleep(&(struct timespec){.tv_nsec = (1 + round % 6) * 3000000L}, NULL);
        kill(child, SIGKILL);
        end_of(child);
    }
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_lt(reads, SAMPLES);
    ck_silent();
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
}
END_TEST

/* It died between the bytes and the record, with the bytes half written. */
START_TEST(bytes_without_a_record_are_passed_over) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes index = take_file(entry.name, SNN_CACHE_INDEX), data = take_file(entry.name, SNN_CACHE_DATA);
    memset(index.bytes + SNN_CACHE_HEADER + 7 * SNN_CACHE_RECORD, 0, 3 * SNN_CACHE_RECORD);
    give_file(entry.name, SNN_CACHE_INDEX, index.bytes, index.size);
    FILE *f = fopen(file_of(entry.name, SNN_CACHE_DATA), "ab");
    fwrite(data.bytes, 1, 11, f);
    fclose(f);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 3);
    ck_silent();
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
    free(index.bytes), free(data.bytes);
    free_entry(&entry);
}
END_TEST

START_TEST(a_process_that_holds_the_lock_stops_nobody) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes index = take_file(entry.name, SNN_CACHE_INDEX);
    memset(index.bytes + SNN_CACHE_HEADER, 0, 20 * SNN_CACHE_RECORD);
    give_file(entry.name, SNN_CACHE_INDEX, index.bytes, index.size);
    int held = open(file_of(entry.name, SNN_CACHE_INDEX), O_RDWR);
    ck_assert(!flock(held, LOCK_EX));
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 20);
    ck_said("cannot be locked");
    close(held);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_silent();
    /* One that removes it at the moment: the recipe is locked for others. */
    held = open(file_of(entry.name, SNN_CACHE_RECIPE), O_RDWR);
    ck_assert(!flock(held, LOCK_EX));
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, SAMPLES);
    ck_said("nothing is kept");
    close(held);
    free(index.bytes);
    free_entry(&entry);
}
END_TEST

/* ---- a disk that is full, a folder that may not be written ---- */

START_TEST(a_full_disk) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    /* Before index.bin is whole; within data.bin. */
    small.rlim_cur = _i == 0 ? 600 : SNN_CACHE_HEADER + (SAMPLES + 1) * SNN_CACHE_RECORD;
    if (_i == 1) run.timesteps = 3, expected = epoch_without(&run);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct snn_cache *cache = NULL;
    uint64_t got = epoch(&run);
    int read_then = reads;
    if (_i == 1) { /* an entry with more in it than goes on the disk */
        ck_ok(open_slots("recipe", 3, &cache));
        put_made(cache, 0, 1500, true);
        put_made(cache, 1, 1500, true);
        put_made(cache, 2, 10, true); /* it would fit, but after the first failure nothing is tried */
    }
    setrlimit(RLIMIT_FSIZE, &before); /* before any assertion: Check writes a file, too */
    signal(SIGXFSZ, handler);
    ck_assert_uint_eq(got, expected);
    ck_assert_int_eq(read_then, SAMPLES);
    if (_i == 0) {
        ck_said("cannot be made: File too large: nothing is kept");
        ck_assert_int_eq(names_in_folder(), 2);
        struct snn_cache_entry *list;
        int count;
        ck_ok(snn_cache_list(cache_folder, &list, &count));
        ck_assert_int_eq(count, 0);
        return;
    }
    struct snn_cache_bytes bytes = {0};
    check_made(cache, 0, 1500, true);
    ck_assert(!snn_cache_get(cache, 1, &bytes));
    ck_assert(!snn_cache_get(cache, 2, &bytes));
    snn_cache_close(&cache);
    ck_ok(open_slots("recipe", 3, &cache)); /* there is room again */
    put_made(cache, 1, 1500, true);
    check_made(cache, 1, 1500, true);
    snn_cache_close(&cache);
    snn_cache_bytes_free(&bytes);
}
END_TEST

/* The same of a loader, of whose samples half are there. No file may get longer than index.bin, and data.bin is nearly
 * as long already. */
START_TEST(a_disk_that_fills_up_while_training) {
    enum { GONE = 30, LONGEST = SNN_CACHE_HEADER + (SAMPLES + 1) * SNN_CACHE_RECORD };
    static const char nothing[LONGEST];
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    epoch(&run);
    struct snn_cache_entry entry = only_entry();
    struct bytes index = take_file(entry.name, SNN_CACHE_INDEX), data = take_file(entry.name, SNN_CACHE_DATA);
    ck_assert_uint_lt(data.size, LONGEST - 100);
    memset(index.bytes + SNN_CACHE_HEADER, 0, GONE * SNN_CACHE_RECORD);
    give_file(entry.name, SNN_CACHE_INDEX, index.bytes, index.size);
    FILE *f = fopen(file_of(entry.name, SNN_CACHE_DATA), "ab");
    fwrite(nothing, 1, LONGEST - 100 - data.size, f);
    fclose(f);
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = LONGEST;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    uint64_t filling = epoch(&run);
    int read_then = reads;
    char *said_then = strdup(said);
    uint64_t later = epoch(&run);
    int read_later = reads;
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    ck_assert(filling == expected && later == expected);
    ck_assert_msg(strstr(said_then, "cannot be written: File too large: no more samples are kept") &&
                      strchr(said_then, '\n')[1] == 0,
                  "'%s'", said_then);
    ck_assert_int_eq(read_then, GONE);
    ck_assert_int_gt(read_later, 0);
    ck_assert_int_lt(read_later, GONE); /* what went in is used */
    ck_assert_uint_eq(epoch(&run), expected);
    ck_silent();
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, 0);
    free(said_then);
    free(index.bytes), free(data.bytes);
    free_entry(&entry);
}
END_TEST

static void make_read_only(const char *path, bool yes) {
    char command[700];
    snprintf(command, sizeof command, "chmod -R %s '%s'", yes ? "a+rX,a-w" : "u+w", path);
    ck_assert_int_eq(system(command), 0);
}

/* _i: the folder is empty; holds half of the samples; holds all. Nothing is forbidden to root: somebody else, then. */
START_TEST(a_folder_that_may_only_be_read) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    ck_ok(snn_make_directories(cache_folder));
    if (_i) epoch(&run);
    if (_i == 1) {
        struct snn_cache_entry entry = only_entry();
        struct bytes index = take_file(entry.name, SNN_CACHE_INDEX);
        memset(index.bytes + SNN_CACHE_HEADER, 0, 20 * SNN_CACHE_RECORD);
        give_file(entry.name, SNN_CACHE_INDEX, index.bytes, index.size);
        free(index.bytes);
        free_entry(&entry);
    }
    ck_assert(!chmod(folder, 0755));
    make_read_only(cache_folder, true);
    if (!geteuid()) ck_assert(!seteuid(65534));
    uint64_t got = epoch(&run);
    int read_then = reads;
    if (!getuid()) ck_assert(!seteuid(0));
    make_read_only(cache_folder, false);
    ck_assert_uint_eq(got, expected);
    ck_assert_int_eq(read_then, _i == 0 ? SAMPLES : _i == 1 ? 20 : 0);
    if (_i == 0) ck_said("Permission denied: nothing is kept");
    if (_i == 1) ck_said("may only be read: no more samples are kept");
    if (_i == 2) ck_silent();
    if (_i < 2) ck_assert_int_eq(strchr(said, '\n')[1], 0);
}
END_TEST

START_TEST(a_folder_that_is_none) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    write_file("cache", "a file", 6);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_said("warning: data.cache: ");
    ck_said("nothing is kept");
    ck_assert_int_eq(strchr(said, '\n')[1], 0);
}
END_TEST

/* ---- the limit ---- */

/* Opens "recipe N", puts `size` bytes where there are none, closes it, and says that this was at second `when`. */
static void use_entry(int n, size_t size, int64_t limit, time_t when) {
    char recipe[20];
    snprintf(recipe, sizeof recipe, "recipe %d", n);
    const struct snn_cache_options options = {
        .folder = cache_folder, .set = "made", .recipe = recipe, .slots = 2, .limit = limit};
    struct snn_cache *cache;
    ck_ok(snn_cache_open(&options, &cache));
    put_made(cache, 0, size, true);
    snn_cache_close(&cache);
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    ck_assert_int_gt(list[0].last_use, 1000000); /* opening said so, by the clock */
    struct utimbuf time = {when, when};
    ck_assert(!utime(file_of(list[0].name, SNN_CACHE_RECIPE), &time));
    snn_cache_list_free(&list, count);
}

/* The numbers of the recipes that are there, as bits. */
static unsigned entries_there(void) {
    unsigned there = 0;
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    for (int i = 0; i < count; ++i) {
        struct bytes text = take_file(list[i].name, SNN_CACHE_RECIPE);
        there |= 1u << (text.bytes[text.size - 1] - '0');
        free(text.bytes);
    }
    snn_cache_list_free(&list, count);
    return there;
}

START_TEST(the_least_recently_used_go_first) {
    enum { SIZE = 100000 };
    const int64_t plenty = 1000000000, some = (int64_t)(3.5 * SIZE);
    for (int n = 0; n < 3; ++n) use_entry(n, SIZE, plenty, 1000 + n);
    use_entry(0, SIZE, plenty, 1010);
    ck_assert_uint_eq(entries_there(), 1 | 2 | 4);
    use_entry(3, SIZE, some, 1020); /* 1 is the oldest */
    ck_assert_uint_eq(entries_there(), 1 | 4 | 8);
    struct snn_cache *used; /* 2 is the oldest now, but in use */
    ck_ok(open_slots("recipe 2", 2, &used));
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    struct utimbuf old = {900, 900};
    ck_assert(!utime(file_of(list[0].name, SNN_CACHE_RECIPE), &old));
    snn_cache_list_free(&list, count);
    use_entry(4, SIZE, some, 1030);
    ck_assert_uint_eq(entries_there(), 4 | 8 | 16);
    check_made(used, 0, SIZE, true);
    snn_cache_close(&used);
    use_entry(3, SIZE, (int64_t)(1.5 * SIZE), 1040); /* a smaller limit holds at once */
    ck_assert_uint_eq(entries_there(), 8);
}
END_TEST

START_TEST(an_entry_stops_at_the_limit) {
    struct run run = run_of(&by_count);
    uint64_t expected = epoch_without(&run);
    run.config.cache_limit = SNN_CACHE_HEADER + (SAMPLES + 1) * SNN_CACHE_RECORD + 1000;
    ck_assert_uint_eq(epoch(&run), expected);
    ck_said("data.cache_limit");
    ck_assert_int_eq(strchr(said, '\n')[1], 0);
    struct snn_cache_entry entry = only_entry();
    ck_assert_int_le(entry.bytes, run.config.cache_limit);
    ck_assert_int_gt(entry.filled, 5);
    ck_assert_uint_eq(epoch(&run), expected);
    ck_assert_int_eq(reads, SAMPLES - entry.filled);
    free_entry(&entry);
}
END_TEST

/* ---- list and remove ---- */

START_TEST(entries_are_listed_and_removed) {
    struct snn_cache_removal gone;
    struct snn_cache_entry *list;
    int count;
    ck_ok(snn_cache_list(cache_folder, &list, &count)); /* no folder yet */
    ck_assert_int_eq(count, 0);
    ck_ok(snn_cache_remove(cache_folder, NULL, &gone));
    ck_assert_int_eq(gone.removed, 0);
    struct run run = run_of(&by_count);
    epoch(&run);
    run.subset = SNN_SUBSET_TEST;
    epoch(&run);
    /* What is not ours stays, even in an entry's folder. */
    write_file("cache/notes.txt", "mine", 4);
    ck_ok(snn_make_directories(in("cache/made-0123456789abcdef0123456789abcdeX")));
    ck_ok(snn_make_directories(in("cache/.hidden-0123456789abcdef0123456789abcdef")));
    ck_ok(snn_make_directories(in("cache/made-0123456789abcdef0123456789abcdef")));
    write_file("cache/made-0123456789abcdef0123456789abcdef/letter", "dear", 4);
    ck_ok(snn_cache_list(cache_folder, &list, &count));
    ck_assert_int_eq(count, 3);
    ck_assert_str_eq(list[0].split, "test"); /* the latest use first */
    ck_assert_str_eq(list[1].split, "train");
    ck_assert_str_eq(list[2].set, "?");
    ck_assert_int_eq(list[1].samples, SAMPLES);
    struct snn_cache *used;
    char *train = strdup(list[1].name), *test = strdup(list[0].name);
    snn_cache_list_free(&list, count);
    ck_ok(snn_cache_remove(cache_folder, "mad", &gone));
    ck_assert_int_eq(gone.removed, 0);
    ck_ok(snn_cache_remove(cache_folder, train, &gone));
    ck_assert_int_eq(gone.removed, 1);
    ck_assert_int_gt(gone.bytes, SAMPLES * SNN_CACHE_RECORD);
    ck_ok(open_slots("recipe", 2, &used));
    ck_assert_int_eq(snn_cache_remove(cache_folder, "made", &gone), SNN_EFAIL); /* the letter */
    ck_assert_int_eq(gone.removed, 1);
    ck_assert_int_eq(gone.in_use, 1);
    put_made(used, 0, 10, true);
    snn_cache_close(&used);
    ck_assert_int_eq(access(file_of(test, SNN_CACHE_RECIPE), F_OK), -1);
    snn_cache_remove(cache_folder, NULL, &gone);
    ck_assert_int_eq(gone.removed, 1);
    ck_assert(!access(in("cache/notes.txt"), F_OK));
    ck_assert(!access(in("cache/made-0123456789abcdef0123456789abcdeX"), F_OK));
    free(train), free(test);
}
END_TEST

START_TEST(what_dead_processes_left_is_swept) {
    struct run run = run_of(&by_count);
    struct utimbuf old = {1000, 1000};
    ck_ok(snn_make_directories(in("cache/.snntrain-1-5")));
    write_file("cache/.snntrain-1-5/index.bin", "half", 4);
    ck_ok(snn_make_directories(in("cache/.snntrain-1-6"))); /* somebody is at it */
    ck_assert(!utime(in("cache/.snntrain-1-5"), &old));
    epoch(&run);
    ck_assert_int_eq(access(in("cache/.snntrain-1-5"), F_OK), -1);
    ck_assert(!access(in("cache/.snntrain-1-6"), F_OK));
    struct snn_cache_removal gone;
    ck_ok(snn_cache_remove(cache_folder, NULL, &gone));
    ck_assert_int_eq(access(in("cache/.snntrain-1-6"), F_OK), -1);
}
END_TEST

START_TEST(auto_is_the_users_cache_folder) {
    char *path;
    setenv("XDG_CACHE_HOME", "/x/y", 1);
    setenv("HOME", "/h", 1);
    ck_ok(snn_cache_folder("auto", &path));
    ck_assert_str_eq(path, "/x/y/snntrain");
    free(path);
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, its specification says */
    ck_ok(snn_cache_folder("auto", &path));
    ck_assert_str_eq(path, "/h/.cache/snntrain");
    free(path);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ck_error(snn_cache_folder("auto", &path), SNN_EUSAGE, "needs HOME or XDG_CACHE_HOME");
    ck_ok(snn_cache_folder("some/where", &path));
    ck_assert_str_eq(path, "some/where");
    free(path);
}
END_TEST

/* ---- the config ---- */

static int read_config(const char *yaml, struct snn_data_config *config) {
    struct snn_conf_doc *doc;
    ck_ok(snn_conf_parse(yaml, strlen(yaml), "c", &doc));
    int status = snn_data_config_read(snn_conf_root(doc), config);
    if (status == SNN_OK && config->cache) config->cache = !strcmp(config->cache, "auto") ? "auto" : "other";
    snn_conf_free(&doc);
    return status;
}

START_TEST(config_of_the_cache) {
    static const struct {
        const char *yaml, *sentence;
        int64_t limit;
    } c[] = {
        {"{name: nmnist, cache: auto}", NULL, 20000000000},
        {"{name: nmnist, cache: a/b, cache_limit: 1.5 MB}", NULL, 1500000},
        {"{name: nmnist, cache: a/b, cache_limit: 2GiB}", NULL, INT64_C(2) << 30},
        {"{name: nmnist, cache: none, cache_limit: 20 GB}", NULL, 20000000000},
        {"{name: nmnist, cache: none, cache_limit: 21 GB}", "cache_limit: has no effect where data.cache is none", 0},
        {"{name: nmnist, cache: auto, cache_limit: 20}", "cache_limit: expected a number of bytes with its unit", 0},
        {"{name: nmnist, cache: auto, cache_limit: 0 GB}", "cache_limit: expected a number of bytes with its unit", 0},
        {"{name: nmnist, cache: auto, cache_limit: -1 GB}", "cache_limit: expected a number of bytes with its unit", 0},
        {"{name: nmnist, cache: auto, cache_limit: 1e99 GB}", "cache_limit: expected a number of bytes", 0},
        {"{name: nmnist, cache: auto, cache_limit: 1.2.3 GB}", "cache_limit: expected a number of bytes", 0},
        {"{name: nmnist, cache: auto, cache_limit: 1 PB}", "cache_limit: expected a number of bytes", 0},
        {"{name: nmnist, cache: [a]}", "cache: expected text, got a list", 0},
        {"{name: nmnist, cache: }", "cache: expected text, got nothing", 0},
        {"{name: mnist, cache: auto}", "cache: is for recordings, which mnist has not", 0},
    };
    struct snn_data_config config;
    for (size_t i = 0; i < sizeof c / sizeof *c; ++i) {
        if (c[i].sentence) {
            ck_error(read_config(c[i].yaml, &config), SNN_EUSAGE, c[i].sentence);
        } else {
            ck_ok(read_config(c[i].yaml, &config));
            ck_assert_int_eq(config.cache_limit, c[i].limit);
        }
    }
}
END_TEST

/* ---- the real thing ---- */

START_TEST(real_recordings) {
    static const struct {
        const char *place, *config;
    } c[] = {{"nmnist", "{name: nmnist, timesteps: 10}"},
             {"fsdd-spikes", "{name: fsdd_spikes, timesteps: auto, bin: {by: duration, from: zero}}"},
             {"DvsGesture", "{name: dvs_gesture, timesteps: 16, bin: {by: time}}"}};
    const char *shared = shared_dir();
    char root[4200];
    if (!shared) {
        fprintf(stderr, "skipped: real_recordings: no shared reference data\n");
        return;
    }
    snprintf(root, sizeof root, "%s/data/%s", shared, c[_i].place);
    struct snn_conf_doc *doc;
    struct snn_data_config config;
    struct snn_dataset *set;
    ck_ok(snn_conf_parse(c[_i].config, strlen(c[_i].config), "c", &doc));
    ck_ok(snn_data_config_read(snn_conf_root(doc), &config));
    int status = snn_dataset_open(config.name, root, NULL, snn_data_set_options(&config), &set);
    if (status < 0) { /* a build without HDF5 */
        fprintf(stderr, "skipped: real_recordings: %s\n", snn_error_text());
        snn_conf_free(&doc);
        return;
    }
    uint64_t sum[3] = {0};
    for (int pass = 0; pass < 3; ++pass) {
        config.cache = pass ? cache_folder : NULL;
        config.workers = 2;
        const struct snn_loader_options options = {.config = &config, .set = set, .batch = 64};
        struct snn_loader *loader;
        ck_ok(snn_loader_open(&options, &loader));
        ck_ok(snn_loader_start(loader, 0, 0));
        for (const struct snn_batch *batch; (batch = next(loader));) {
            uint64_t one = digest(batch);
            sum[pass] = mix(sum[pass], &one, sizeof one);
        }
        snn_loader_close(&loader);
    }
    ck_assert(sum[0] == sum[1] && sum[0] == sum[2]);
    struct snn_cache_entry entry = only_entry();
    ck_assert_int_eq(entry.filled, set->info.count[SNN_TRAIN]);
    free_entry(&entry);
    snn_dataset_close(&set);
    snn_conf_free(&doc);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cache");
    TCase *cache = tcase_create("cache");
    tcase_add_checked_fixture(cache, setup, teardown);
    tcase_set_timeout(cache, 120);
    tcase_add_test(cache, slots_keep_their_bytes);
    tcase_add_test(cache, recipes_do_not_share_slots);
    tcase_add_loop_test(cache, rows_are_packed_and_unpacked, 0, 8);
    tcase_add_loop_test(cache, events_are_packed_and_unpacked, 0, 8);
    tcase_add_loop_test(cache, a_hit_equals_a_miss, 0, 11);
    tcase_add_test(cache, subsets_share_an_entry);
    tcase_add_test(cache, layouts_share_an_entry);
    tcase_add_test(cache, rebinning_keeps_events);
    tcase_add_loop_test(cache, augmented_samples_are_kept_as_events, 0, 4);
    tcase_add_test(cache, targets_are_not_kept);
    tcase_add_loop_test(cache, a_sample_with_a_warning_is_not_kept, 0, 2);
    tcase_add_test(cache, every_parameter_is_in_the_recipe);
    tcase_add_test(cache, options_of_a_set_are_in_the_recipe);
    tcase_add_loop_test(cache, other_sources_are_another_entry, 0, 2);
    tcase_add_test(cache, a_set_that_moves_keeps_its_entry);
    tcase_add_loop_test(cache, sources_that_change_meanwhile, 0, 2);
    tcase_add_loop_test(cache, a_damaged_byte_anywhere, 0, 3);
    tcase_add_loop_test(cache, a_file_cut_short, 0, 3);
    tcase_add_test(cache, a_record_of_another_slot);
    tcase_add_test(cache, processes_fill_one_entry_at_once);
    tcase_add_test(cache, a_killed_process_leaves_what_it_has_filled);
    tcase_add_test(cache, bytes_without_a_record_are_passed_over);
    tcase_add_test(cache, a_process_that_holds_the_lock_stops_nobody);
    tcase_add_loop_test(cache, a_full_disk, 0, 2);
    tcase_add_test(cache, a_disk_that_fills_up_while_training);
    tcase_add_loop_test(cache, a_folder_that_may_only_be_read, 0, 3);
    tcase_add_test(cache, a_folder_that_is_none);
    tcase_add_test(cache, the_least_recently_used_go_first);
    tcase_add_test(cache, an_entry_stops_at_the_limit);
    tcase_add_test(cache, entries_are_listed_and_removed);
    tcase_add_test(cache, what_dead_processes_left_is_swept);
    tcase_add_test(cache, auto_is_the_users_cache_folder);
    tcase_add_test(cache, config_of_the_cache);
    tcase_add_loop_test(cache, real_recordings, 0, 3);
    suite_add_tcase(suite, cache);
    return run_suite(suite);
}
