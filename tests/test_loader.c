/* SPDX-License-Identifier: Apache-2.0
 * test_loader.c - batches of recordings, their order, splits, padding, and worker threads, on sets made up here. */
#include <malloc.h>
#include <math.h>

#include "made_set.h"
#include "pieces.h"

/* ---- batches of recordings ---- */

/* Every sample of an epoch, expanded, equals snn_bin_events on that sample, to the bit. */
static void check_frames(const struct snn_data_config *config, int32_t most) {
    enum { UNITS = 24, STEPS = 64 };
    struct made_set set = make_set(true);
    const int32_t sensor[3] = {set.base.info.C, set.base.info.H, set.base.info.W};
    int32_t shape[3];
    struct snn_loader *loader = open_loader(&set, config, true);
    struct snn_sample sample = {0};
    ck_ok(snn_data_input(config, &set.base.info, shape));
    int32_t units = shape[0] * shape[1] * shape[2];
    ck_assert(units > 0 && units <= UNITS);
    ck_ok(snn_loader_start(loader, 2, 0));
    for (const struct snn_batch *batch; (batch = next(loader));) {
        ck_assert_int_eq(batch->form, SNN_BATCH_EVENTS);
        ck_assert(batch->C == shape[0] && batch->H == shape[1] && batch->W == shape[2]);
        bool any_short = false, any_other = false;
        for (int32_t b = 0; b < batch->B; ++b) {
            float frames[STEPS * UNITS], seen[STEPS * UNITS] = {0};
            ck_ok(made_get(&set.base, SNN_TRAIN, batch->sample[b], &sample));
            size_t n = snn_bin_downsample(&config->downsample, sensor, sample.events, sample.event_count);
            int32_t steps = snn_bin_steps(config, most, sample.events, n);
            ck_assert_int_eq(batch->length[b], steps);
            ck_assert_int_eq(batch->label[b], sample.label);
            ck_assert(steps <= batch->T && batch->T <= STEPS);
            snn_bin_events(config, steps, shape[0], shape[1], shape[2], sample.events, n, frames);
            for (int32_t t = 0; t < batch->T; ++t) {
                int32_t begin = batch->row[t * batch->B + b], end = batch->row[t * batch->B + b + 1];
                if (t >= steps) ck_assert_int_eq(begin, end);
                for (int32_t i = begin; i < end; ++i) {
                    ck_assert(i == begin || batch->index[i] > batch->index[i - 1]);
                    float value = batch->value ? batch->value[i] : 1;
                    ck_assert(value != 0);
                    any_other |= value != 1;
                    seen[t * units + batch->index[i]] = value;
                }
            }
            for (int32_t k = 0; k < steps * units; ++k)
                ck_assert_msg(seen[k] == frames[k], "sample %d, element %d: %g, expected %g", batch->sample[b], k,
                              seen[k], frames[k]);
            any_short |= steps < batch->T;
        }
        ck_assert_int_eq(batch->row[0], 0);
        ck_assert_int_eq(batch->value != NULL, any_other); /* NULL when all are ones */
        ck_assert_int_eq(batch->masked, config->pad.mask && any_short);
        if (config->bin.binary) ck_assert_ptr_null(batch->value);
    }
    snn_sample_free(&sample);
    snn_loader_close(&loader);
}

/* A config with every number that some rule needs. */
static struct snn_data_config any_rule(int by) {
    struct snn_data_config config = config_of(by, 4, 3000);
    config.bin.events = 3;
    config.bin.until_us = by == SNN_BIN_EDGES ? 20000 : 0;
    return config;
}

START_TEST(rows_equal_frames) {
    struct snn_data_config config = any_rule(_i);
    check_frames(&config, 0);
    if (_i != SNN_BIN_VOXEL) {
        config.bin.binary = true;
        check_frames(&config, 0);
        config.bin.binary = false;
        config.bin.tau_us = 900;
        check_frames(&config, 0);
        config.bin.tau_us = 0;
    }
    config.downsample.polarity = SNN_POLARITY_SIGNED;
    check_frames(&config, 0);
    config.timesteps = _i == SNN_BIN_EDGES ? 2 : 1; /* counts above one */
    check_frames(&config, 0);
    config.downsample.polarity = SNN_POLARITY_BOTH;
    check_frames(&config, 0);
}
END_TEST

START_TEST(rows_equal_frames_of_less) {
    static const struct snn_downsample less[] = {{.space = {2, 2}},
                                                 {.space = {2, 3}, .drop = true},
                                                 {.polarity = SNN_POLARITY_MERGED},
                                                 {.polarity = SNN_POLARITY_ON},
                                                 {.polarity = SNN_POLARITY_OFF, .space = {1, 4}},
                                                 {.tick_us = 1700}};
    for (int by = SNN_BIN_COUNT; by < SNN_BIN_RULES; ++by) {
        struct snn_data_config config = any_rule(by);
        config.downsample = less[_i];
        check_frames(&config, 0);
    }
}
END_TEST

START_TEST(rows_equal_frames_in_windows) {
    struct snn_data_config config = any_rule(_i);
    for (int k = 0; k < 4; ++k) {
        config.bin.overlap = k < 2 ? 0 : _i == SNN_BIN_WINDOW ? 1100 : _i == SNN_BIN_EVENTS ? 2 : 0.4;
        config.bin.incomplete = k & 1;
        config.timesteps = snn_bin_has_own_steps(&config.bin) ? -1 : 4;
        check_frames(&config, 0);
        config.bin.tau_us = 2500; /* events of two windows are in a surface once */
        check_frames(&config, 0);
        config.bin.tau_us = 0;
    }
}
END_TEST

START_TEST(rows_equal_frames_in_16_bits) {
    struct snn_data_config config = any_rule(_i);
    config.bin.half = true;
    check_frames(&config, 0);
    if (!snn_bin_has_own_steps(&config.bin)) return;
    config.timesteps = -1;
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

/* Rules with steps of their own; made recordings have at most 25 of them. */
static struct snn_data_config own_steps(int i) {
    static const struct snn_binning own[] = {
        {.by = SNN_BIN_DURATION},
        {.by = SNN_BIN_DURATION, .from = SNN_BIN_FROM_ZERO},
        {.by = SNN_BIN_DURATION, .half = true},
        {.by = SNN_BIN_WINDOW, .overlap = 300},
        {.by = SNN_BIN_WINDOW, .incomplete = true},
        {.by = SNN_BIN_EVENTS, .events = 4, .overlap = 1},
        {.by = SNN_BIN_ADAPTIVE, .events = 3},
    };
    struct snn_data_config config = config_of(0, -1, 1000);
    struct snn_time dt = config.bin.dt;
    config.bin = own[i];
    config.bin.dt = dt;
    return config;
}
enum { OWN_STEPS = 7 };

START_TEST(pad_to_the_longest) {
    struct snn_data_config config = own_steps(_i);
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
    ck_assert_int_eq(set.base.longest.steps, longest); /* kept for the next loader */
    ck_ok(snn_loader_start(loader, 0, 0));
    for (const struct snn_batch *batch; (batch = next(loader));) {
        ck_assert_int_eq(batch->T, longest);
        ck_assert(batch->masked);
    }
    ck_assert_int_eq(snn_loader_cut(loader), 0);
    snn_loader_close(&loader);
}
END_TEST

/* What is kept belongs to one framing: another one has its own longest recording. */
START_TEST(longest_of_each_framing) {
    struct made_set set = make_set(true);
    struct snn_data_config config = config_of(SNN_BIN_DURATION, -1, 1000);
    int32_t steps[5];
    for (int i = 0; i < 5; ++i) {
        if (i == 1) config.bin.dt.value = 0.002;
        if (i == 2) config.downsample.polarity = SNN_POLARITY_ON;
        if (i == 3) set.fail_at = 20; /* nothing is read again */
        if (i == 4) set.fail_at = -1;
        if (i == 4) config.downsample.tick_us = 20000;
        struct snn_loader *loader = open_loader(&set, &config, false);
        steps[i] = snn_loader_max_steps(loader);
        snn_loader_close(&loader);
    }
    ck_assert_int_lt(steps[1], steps[0]);
    ck_assert_int_le(steps[2], steps[1]);
    ck_assert_int_eq(steps[3], steps[2]);
    ck_assert_int_ne(steps[4], steps[3]);
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

/* Steps that begin when all is over. */
START_TEST(recordings_without_an_event_are_counted) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, 5, 1000);
    struct made_set set = make_set(true);
    struct snn_sample sample = {0};
    int32_t silent = 0;
    for (int i = 0; i < SAMPLES; ++i) {
        ck_ok(made_get(&set.base, SNN_TRAIN, i, &sample));
        silent += !sample.event_count;
    }
    snn_sample_free(&sample);
    for (int late = 0; late < 2; ++late) {
        if (late) config.bin.from = SNN_BIN_FROM_ZERO, config.bin.start_us = 1000000000;
        struct snn_loader *loader = open_loader(&set, &config, true);
        for (int epoch = 0; epoch < 2; ++epoch) {
            ck_ok(snn_loader_start(loader, epoch, 0));
            while (next(loader)) continue;
            ck_assert_int_eq(snn_loader_empty(loader), late ? SAMPLES : silent);
        }
        snn_loader_close(&loader);
    }
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
    ck_assert_int_eq(set.base.longest.steps, 0); /* the lengths were of no interest */
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
    static const struct {
        int from, to;
    } rule[] = {{SNN_BIN_DURATION, SNN_BIN_TIME},
                {SNN_BIN_WINDOW, SNN_BIN_TIME},
                {SNN_BIN_EDGES, SNN_BIN_TIME},
                {SNN_BIN_EVENTS, SNN_BIN_COUNT},
                {SNN_BIN_ADAPTIVE, SNN_BIN_COUNT},
                {SNN_BIN_TIME_BINS, SNN_BIN_TIME_BINS},
                {SNN_BIN_EVENT_BINS, SNN_BIN_EVENT_BINS},
                {SNN_BIN_VOXEL, SNN_BIN_VOXEL}};
    struct snn_data_config config = any_rule(rule[_i].from), whole = config_of(rule[_i].to, 5, 3000);
    struct made_set set = make_set(true);
    struct snn_loader *expected = open_loader(&set, &whole, true), *loader;
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

/* ---- sequences ---- */

/* Every number and target at its place, zeros behind; batches of T steps, or of their own longest where T is 0. */
static void check_sequences(const struct snn_data_config *config, bool target_steps, int32_t longest, int32_t T) {
    struct made_set set = make_sequences(target_steps);
    struct snn_loader *loader = open_loader(&set, config, true);
    enum { UNITS = 24 };
    int32_t cut = 0;
    for (int epoch = 0; epoch < 2; ++epoch) { /* the second one over what the first left */
        ck_ok(snn_loader_start(loader, epoch, 0));
        cut = 0;
        for (const struct snn_batch *batch; (batch = next(loader));) {
            int32_t most = 0, least = MADE_STEPS, B = batch->B;
            ck_assert(batch->form == SNN_BATCH_FRAMES && batch->C == 2 && batch->H == 3 && batch->W == 4);
            ck_assert(batch->targets == MADE_TARGETS && batch->target_steps == target_steps);
            for (int32_t b = 0; b < B; ++b) {
                int32_t i = batch->sample[b], own = made_steps(i), kept = own < longest ? own : longest;
                ck_assert_int_eq(batch->length[b], kept);
                ck_assert_int_eq(batch->label[b], made_label(&set.base, SNN_TRAIN, i));
                most = kept > most ? kept : most, least = kept < least ? kept : least, cut += own > longest;
                for (int32_t t = 0; t < batch->T; ++t)
                    for (int32_t u = 0; u < UNITS; ++u)
                        ck_assert_float_eq(batch->frames[(t * B + b) * UNITS + u], t < kept ? made_number(i, t, u) : 0);
                for (int32_t t = 0; t < (target_steps ? batch->T : 1); ++t)
                    for (int32_t k = 0; k < MADE_TARGETS; ++k)
                        ck_assert_float_eq(batch->target[(t * B + b) * MADE_TARGETS + k],
                                           t < kept ? made_target(i, t, k) : 0);
            }
            ck_assert_int_eq(batch->T, T ? T : most);
            ck_assert_int_eq(batch->masked, config->pad.mask && least < batch->T);
        }
    }
    ck_assert_int_eq(snn_loader_cut(loader), cut);
    snn_loader_close(&loader);
}

START_TEST(sequences_and_targets) {
    struct snn_data_config config = by_count;
    config.timesteps = -1;
    check_sequences(&config, _i, MADE_STEPS, MADE_STEPS);
    config.timesteps = 4; /* longer ones are cut */
    check_sequences(&config, _i, 4, 4);
    config.timesteps = 40; /* no more than there are */
    check_sequences(&config, _i, MADE_STEPS, MADE_STEPS);
    config.pad.to = 9;
    check_sequences(&config, _i, MADE_STEPS, 9);
    config.pad.mask = false;
    config.pad.to = 3;
    check_sequences(&config, _i, 3, 3);
    config.pad.to = SNN_PAD_BATCH;
    check_sequences(&config, _i, MADE_STEPS, 0);
}
END_TEST

/* A slice and a prefix of a batch look at the right rows. */
START_TEST(slices_of_targets) {
    struct snn_data_config config = by_count;
    config.timesteps = -1;
    struct made_set set = make_sequences(_i);
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    struct snn_batch slice = snn_batch_slice(next(loader), 5, 2);
    int32_t rows = _i ? snn_batch_stride(&slice) : 0;
    for (int32_t t = 0; t < (_i ? MADE_STEPS : 1); ++t)
        for (int32_t b = 0; b < 2; ++b)
            for (int32_t k = 0; k < MADE_TARGETS; ++k)
                ck_assert_float_eq(slice.target[(t * rows + b) * MADE_TARGETS + k],
                                   t < made_steps(5 + b) ? made_target(5 + b, t, k) : 0);
    snn_loader_close(&loader);
}
END_TEST

/* Without classes the validation split is a fraction of all samples. */
START_TEST(split_of_regression) {
    struct made_set set = make_sequences(false);
    struct snn_data_config config = by_count;
    config.validation = (struct snn_validation){.by = SNN_VALIDATION_CLASS, .fraction = 0.2};
    set.base.info.classes = 0;
    struct snn_loader_options options = {.config = &config, .set = &set.base, .batch = 8};
    int seen[SAMPLES] = {0}, count[2] = {0};
    for (int subset = SNN_SUBSET_TRAIN; subset <= SNN_SUBSET_VALIDATION; ++subset) {
        struct snn_loader *loader;
        options.subset = subset;
        ck_ok(snn_loader_open(&options, &loader));
        ck_ok(snn_loader_start(loader, 0, 0));
        for (const struct snn_batch *batch; (batch = next(loader)); count[subset] += batch->B)
            for (int b = 0; b < batch->B; ++b) ++seen[batch->sample[b]];
        snn_loader_close(&loader);
    }
    for (int i = 0; i < SAMPLES; ++i) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(count[1], 11); /* a fifth of 53 */
}
END_TEST

/* ---- by sample ---- */

/* The same recordings, in both layouts. */
static void check_same_entries(const struct snn_batch *rows, const struct snn_batch *sorted) {
    ck_assert(!rows->by_sample && sorted->by_sample && !sorted->row);
    ck_assert(rows->T == sorted->T && rows->B == sorted->B && rows->masked == sorted->masked);
    ck_assert(rows->C == sorted->C && rows->H == sorted->H && rows->W == sorted->W);
    ck_assert_mem_eq(rows->label, sorted->label, (size_t)rows->B * sizeof *rows->label);
    ck_assert_mem_eq(rows->length, sorted->length, (size_t)rows->B * sizeof *rows->length);
    ck_assert_mem_eq(rows->sample, sorted->sample, (size_t)rows->B * sizeof *rows->sample);
    ck_assert_int_eq(rows->value == NULL, sorted->value == NULL);
    ck_assert_uint_eq(snn_batch_entries(rows), snn_batch_entries(sorted));
    int32_t at = 0;
    for (int32_t b = 0; b < rows->B; ++b) {
        ck_assert_int_eq(sorted->first[b], at);
        for (int32_t t = 0; t < rows->T; ++t)
            for (int32_t e = rows->row[t * rows->B + b]; e < rows->row[t * rows->B + b + 1]; ++e, ++at) {
                ck_assert(sorted->step[at] == t && sorted->index[at] == rows->index[e]);
                if (rows->value) ck_assert_float_eq(sorted->value[at], rows->value[e]);
            }
    }
    ck_assert_int_eq(sorted->first[rows->B], at);
}

static const struct data_case {
    int kind, by, coding;
    long long timesteps, pad;
} data_cases[] = {
    {SNN_RECORDINGS, SNN_BIN_COUNT, 0, 4, SNN_PAD_MAX},
    {SNN_RECORDINGS, SNN_BIN_DURATION, 0, -1, SNN_PAD_MAX},
    {SNN_RECORDINGS, SNN_BIN_DURATION, 0, -1, SNN_PAD_BATCH},
    {SNN_RECORDINGS, SNN_BIN_DURATION, 0, 7, 3}, /* cut */
    {SNN_RECORDINGS, SNN_BIN_DURATION, 0, 3, 40},
    {SNN_IMAGES, SNN_BIN_COUNT, SNN_CODING_RATE, 4, SNN_PAD_MAX},
    {SNN_IMAGES, SNN_BIN_COUNT, SNN_CODING_LATENCY, 9, SNN_PAD_MAX},
    {SNN_SEQUENCES, SNN_BIN_COUNT, 0, -1, SNN_PAD_MAX}, /* of spikes */
    {SNN_SEQUENCES, SNN_BIN_COUNT, 0, -1, 9},
};
enum { DATA_CASES = sizeof data_cases / sizeof *data_cases };

static struct made_set set_of(const struct data_case *c) {
    struct made_set set = c->kind == SNN_SEQUENCES ? make_sequences(false) : make_set(c->kind == SNN_RECORDINGS);
    set.base.info.spikes = c->kind == SNN_SEQUENCES;
    return set;
}

static struct snn_data_config config_for(const struct data_case *c) {
    struct snn_data_config config = config_of(c->by, c->timesteps, 1000);
    config.coding = c->coding, config.pad.to = c->pad;
    return config;
}

START_TEST(by_sample_has_the_same_entries) {
    const struct data_case *c = &data_cases[_i % DATA_CASES];
    struct snn_data_config config = config_for(c);
    config.workers = _i / DATA_CASES;
    struct made_set set = set_of(c);
    struct snn_loader *rows = open_loader(&set, &config, true), *sorted = open_loader_of(&set, &config, true, 2);
    for (int epoch = 0; epoch < 2; ++epoch) { /* the second over what the first left */
        ck_ok(snn_loader_start(rows, epoch, 0));
        ck_ok(snn_loader_start(sorted, epoch, 0));
        size_t entries = 0;
        for (const struct snn_batch *a; (a = next(rows));) {
            check_same_entries(a, next(sorted));
            entries += snn_batch_entries(a);
        }
        ck_assert_ptr_null(next(sorted));
        ck_assert_uint_gt(entries, 0);
        ck_assert_int_eq(snn_loader_cut(rows), snn_loader_cut(sorted));
        ck_assert_int_eq(snn_loader_empty(rows), snn_loader_empty(sorted));
    }
    snn_loader_close(&rows), snn_loader_close(&sorted);
}
END_TEST

/* Only where less than all steps is looked at, and only events. */
START_TEST(by_sample_where_cuts_are_shorter) {
    struct snn_data_config config = by_count; /* four steps */
    struct made_set set = make_set(true), images = make_set(false);
    for (int32_t cut = 0; cut < 6; ++cut) {
        struct snn_loader *loader = open_loader_of(&set, &config, false, cut);
        ck_ok(snn_loader_start(loader, 0, 0));
        ck_assert_int_eq(next(loader)->by_sample, cut > 0 && cut < 4);
        snn_loader_close(&loader);
    }
    struct snn_loader *loader = open_loader_of(&images, &config, false, 1);
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    ck_assert(batch->form == SNN_BATCH_STATIC && !batch->by_sample && batch->frames);
    snn_loader_close(&loader);
}
END_TEST

/* Bytes that a loader has taken, after an epoch of recordings in so many steps. */
static size_t bytes_of(struct made_set *set, int32_t steps, int32_t cut) {
    struct snn_data_config config = config_of(SNN_BIN_TIME, steps, 0);
    config.workers = 0;
    struct mallinfo2 before = mallinfo2();
    struct snn_loader *loader = open_loader_of(set, &config, false, cut);
    ck_ok(snn_loader_start(loader, 0, 0));
    while (next(loader)) continue;
    struct mallinfo2 after = mallinfo2();
    snn_loader_close(&loader);
    return after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
}

/* The only thing that has a number for each step is a worker's count of the present sample's entries. */
START_TEST(by_sample_does_not_grow_with_steps) {
    enum { SHORT = 30, LONG = 3000, SLACK = 4096 /* rooms grow by halves */ };
    struct made_set set = make_set(true);
    bytes_of(&set, SHORT, 1); /* what is kept from loader to loader */
    size_t few = bytes_of(&set, SHORT, 1), many = bytes_of(&set, LONG, 1), rows = bytes_of(&set, LONG, 0);
    if (!few) return; /* an allocator of a sanitizer, which does not say */
    ck_assert_msg(many < few + (LONG - SHORT) * sizeof(int32_t) + SLACK, "%zu bytes in %d steps, %zu in %d", few, SHORT,
                  many, LONG);
    ck_assert_uint_gt(rows, many + 8 * (LONG - SHORT) * sizeof(int32_t));
}
END_TEST

/* ---- in pieces ---- */

static const struct piece_case {
    struct data_case data;
    int spikes, target_steps, tau_us;
} piece_cases[] = {
    {{SNN_RECORDINGS, SNN_BIN_COUNT, 0, 4, SNN_PAD_MAX}, 0, 0, 0},
    {{SNN_RECORDINGS, SNN_BIN_DURATION, 0, -1, SNN_PAD_MAX}, 0, 0, 0},
    {{SNN_RECORDINGS, SNN_BIN_DURATION, 0, -1, SNN_PAD_BATCH}, 0, 0, 0},
    {{SNN_RECORDINGS, SNN_BIN_DURATION, 0, 7, 3}, 0, 0, 0},
    {{SNN_RECORDINGS, SNN_BIN_DURATION, 0, -1, SNN_PAD_BATCH}, 0, 0, 2000}, /* a surface goes on from piece to piece */
    {{SNN_RECORDINGS, SNN_BIN_VOXEL, 0, 6, SNN_PAD_MAX}, 0, 0, 0},
    {{SNN_SEQUENCES, SNN_BIN_COUNT, 0, -1, 9}, 1, 0, 0},
    {{SNN_SEQUENCES, SNN_BIN_COUNT, 0, -1, SNN_PAD_BATCH}, 0, 0, 0},
    {{SNN_SEQUENCES, SNN_BIN_COUNT, 0, -1, SNN_PAD_MAX}, 0, 1, 0},
};
enum { PIECE_CASES = sizeof piece_cases / sizeof *piece_cases };

static struct made_set piece_set(const struct piece_case *c, struct snn_data_config *config) {
    bool sequences = c->data.kind == SNN_SEQUENCES;
    struct made_set set = sequences ? make_sequences(c->target_steps) : make_set(true);
    *config = config_for(&c->data);
    config->bin.tau_us = c->tau_us;
    set.base.info.spikes = c->spikes;
    return set;
}

/* Cases: data, how many workers. */
START_TEST(pieces_are_the_whole) {
    struct snn_data_config config;
    struct made_set set = piece_set(&piece_cases[_i % PIECE_CASES], &config);
    config.workers = _i / PIECE_CASES;
    struct snn_loader *whole = open_loader(&set, &config, true);
    for (int32_t steps = 1; steps < 6; ++steps) {
        config.pieces = steps;
        struct snn_loader *parts = open_loader_of(&set, &config, true, steps % 3);
        int32_t pieces = snn_loader_pieces(parts);
        ck_assert_int_eq(snn_loader_batches(parts), BATCHES);
        ck_assert_int_eq(pieces, (snn_loader_max_steps(whole) - 1) / steps + 1);
        for (int epoch = 0; epoch < 2; ++epoch) {
            ck_ok(snn_loader_start(whole, epoch, 0));
            ck_ok(snn_loader_start(parts, epoch, 0));
            int batches = 0;
            for (const struct snn_batch *a, *b; (a = next(whole)); ++batches) {
                int32_t at = 0;
                do {
                    b = next(parts);
                    ck_assert_int_eq(b->t0, at);
                    ck_assert_int_eq(b->T, a->T - at < steps ? a->T - at : steps);
                    ck_assert(b->by_sample == (b->form == SNN_BATCH_EVENTS && steps % 3 && steps % 3 < steps));
                    check_piece(a, b);
                    at += b->T;
                } while (!snn_batch_ends(b));
                ck_assert_int_eq(snn_loader_position(parts), (batches + 1) * pieces);
            }
            ck_assert_ptr_null(next(parts));
            ck_assert_int_eq(batches, BATCHES);
            ck_assert_int_eq(snn_loader_cut(parts), snn_loader_cut(whole));
            ck_assert_int_eq(snn_loader_empty(parts), snn_loader_empty(whole));
        }
        snn_loader_close(&parts);
    }
    snn_loader_close(&whole);
}
END_TEST

/* From every position that an epoch passes. */
START_TEST(pieces_go_on_where_they_were) {
    enum { MOST = 30 * BATCHES };
    struct snn_data_config config;
    struct made_set set = piece_set(&piece_cases[_i % PIECE_CASES], &config);
    config.pieces = 2, config.workers = _i / PIECE_CASES;
    struct snn_loader *loader = open_loader_of(&set, &config, true, 1);
    uint64_t digests[MOST];
    int64_t position[MOST];
    int count = 0;
    ck_ok(snn_loader_start(loader, 1, 0));
    position[0] = 0;
    for (const struct snn_batch *batch; (batch = next(loader)); ++count) {
        ck_assert_int_lt(count, MOST - 1);
        digests[count] = digest(batch);
        position[count + 1] = snn_loader_position(loader);
    }
    ck_assert_int_gt(count, BATCHES);
    for (int first = count; first >= 0; --first) {
        ck_ok(snn_loader_start(loader, 1, position[first]));
        for (int k = first; k < count && k < first + 5; ++k) {
            ck_assert_uint_eq(digest(next(loader)), digests[k]);
            ck_assert_int_eq(snn_loader_position(loader), position[k + 1]);
        }
    }
    snn_loader_close(&loader);
}
END_TEST

/* ---- order ---- */

START_TEST(workers_do_not_change_batches) {
    static const struct {
        bool events;
        int by, coding;
        long long pad;
        bool sequences;
    } kind[] = {
        {true, SNN_BIN_COUNT, SNN_CODING_DIRECT, -1},   {true, SNN_BIN_DURATION, SNN_CODING_DIRECT, SNN_PAD_BATCH},
        {false, SNN_BIN_COUNT, SNN_CODING_DIRECT, -1},  {false, SNN_BIN_COUNT, SNN_CODING_RATE, -1},
        {false, SNN_BIN_COUNT, SNN_CODING_LATENCY, -1}, {false, SNN_BIN_COUNT, SNN_CODING_DIRECT, SNN_PAD_BATCH, true}};
    static const int workers[] = {0, 1, 3};
    uint64_t seen[3][2][BATCHES];
    for (int w = 0; w < 3; ++w) {
        struct made_set set = kind[_i].sequences ? make_sequences(true) : make_set(kind[_i].events);
        struct snn_data_config config = config_of(kind[_i].by, 4, 3000);
        config.coding = kind[_i].coding;
        config.pad.to = kind[_i].pad;
        config.workers = workers[w];
        struct snn_loader *loader = open_loader_of(&set, &config, true, _i % 2 ? 1 : 0);
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

static struct snn_validation by_class(double fraction) {
    return (struct snn_validation){.by = SNN_VALIDATION_CLASS, .fraction = fraction};
}

/* Which training samples the subset holds. */
static int members(enum snn_subset subset, double fraction, uint64_t split_seed, bool in[SAMPLES]) {
    struct made_set set = make_set(true);
    int32_t *list, count;
    struct snn_validation validation = by_class(fraction);
    ck_ok(snn_subset_list(&set.base, subset, &validation, split_seed, &list, &count));
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
    config.validation = by_class(0.25);
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
    struct snn_validation little = by_class(0.001), much = by_class(0.999);
    struct made_set set = make_set(true);
    int32_t *list, count;
    ck_error(snn_subset_list(&set.base, SNN_SUBSET_VALIDATION, &(struct snn_validation){0}, 0, &list, &count),
             SNN_EUSAGE, "there is no validation split: data.validation is none");
    ck_error(snn_subset_list(&set.base, SNN_SUBSET_VALIDATION, &little, 0, &list, &count), SNN_EUSAGE,
             "leaves none for validation");
    ck_error(snn_subset_list(&set.base, SNN_SUBSET_TRAIN, &much, 0, &list, &count), SNN_EUSAGE,
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
        ck_error(snn_loader_next(loader, &batch), SNN_EDATA, "made/20.bin: is broken");
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
    ck_error(snn_loader_open(&options, &loader), SNN_EDATA, "made/20.bin: is broken");
    ck_assert_ptr_null(loader);
    set.fail_at = -1;
    set.base.longest.bin = config.bin;
    set.base.longest.steps = 1 << 30;
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE, "too many for a batch");
    config.downsample.space[1] = 5;
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE,
             "data.downsample.space: joins 5 columns, and the sensor has 4");
    ck_assert_ptr_null(loader);
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

int main(void) {
    Suite *suite = suite_create("loader");
    TCase *pad = tcase_create("pad"), *order = tcase_create("order"), *threads = tcase_create("threads");
    TCase *all[] = {pad, order, threads};
    for (int i = 0; i < 3; ++i) {
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_loop_test(pad, rows_equal_frames, SNN_BIN_COUNT, SNN_BIN_RULES);
    tcase_add_loop_test(pad, rows_equal_frames_of_less, 0, 6);
    tcase_add_loop_test(pad, rows_equal_frames_in_windows, SNN_BIN_WINDOW, SNN_BIN_EVENT_BINS + 1);
    tcase_add_loop_test(pad, rows_equal_frames_in_16_bits, SNN_BIN_TIME, SNN_BIN_DURATION + 1);
    tcase_add_loop_test(pad, rows_equal_frames_in_16_bits, SNN_BIN_ADAPTIVE, SNN_BIN_ADAPTIVE + 1);
    tcase_add_test(pad, rows_clamp_as_frames_do);
    tcase_add_loop_test(pad, pad_to_the_longest, 0, OWN_STEPS);
    tcase_add_test(pad, longest_of_each_framing);
    tcase_add_test(pad, pad_to_the_batch);
    tcase_add_test(pad, pad_to_n_cuts_and_counts);
    tcase_add_test(pad, recordings_without_an_event_are_counted);
    tcase_add_test(pad, pad_beyond_and_below_timesteps);
    tcase_add_loop_test(pad, rebin_frames_the_whole_recording, 0, 8);
    tcase_add_loop_test(pad, sequences_and_targets, 0, 2);
    tcase_add_loop_test(pad, slices_of_targets, 0, 2);
    tcase_add_loop_test(pad, by_sample_has_the_same_entries, 0, 3 * DATA_CASES);
    tcase_add_loop_test(pad, pieces_are_the_whole, 0, 3 * PIECE_CASES);
    tcase_add_loop_test(pad, pieces_go_on_where_they_were, 0, 3 * PIECE_CASES);
    tcase_add_test(pad, by_sample_where_cuts_are_shorter);
    tcase_add_test(pad, by_sample_does_not_grow_with_steps);
    tcase_add_test(order, split_of_regression);
    tcase_add_loop_test(order, workers_do_not_change_batches, 0, 6);
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
    return run_suite(suite);
}
