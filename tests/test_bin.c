/* SPDX-License-Identifier: Apache-2.0
 * test_bin.c - recordings cut into steps, rule by rule with their edges, and the `data:` section that asks for it.
 * Frames of real recordings are held against other frameworks' in golden_binning.c. */
#include <math.h>
#include <stdint.h>

#include "datasets/half.h"
#include "made_set.h"

/* ---- framing ---- */

/* Events of one unit at these times -> counts by step, T=steps. */
static void expect_counts(const struct snn_data_config *config, const int64_t *t, size_t n, int32_t T,
                          const int *counts) {
    struct snn_event events[16] = {0};
    float frames[16];
    ck_assert(n <= 16 && T <= 16);
    for (size_t i = 0; i < n; ++i) events[i].t = t[i];
    memset(frames, 0xff, sizeof frames);
    snn_bin_events(config, T, 1, 1, 1, events, n, frames);
    for (int32_t j = 0; j < T; ++j)
        ck_assert_msg(frames[j] == counts[j], "step %d: %g, expected %d", j, frames[j], counts[j]);
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

START_TEST(bin_from_zero_rules) {
    struct snn_data_config config = config_of(SNN_BIN_DURATION, 4, 10);
    config.bin.from = SNN_BIN_FROM_ZERO;
    const int64_t t[] = {0, 9, 10, 25, 30, 39, 40};
    struct snn_event events[7] = {0};
    for (int i = 0; i < 7; ++i) events[i].t = t[i];
    ck_assert_int_eq(snn_bin_steps(&config, 0, NULL, 0), 1);
    ck_assert_int_eq(snn_bin_steps(&config, 0, events, 1), 1);
    ck_assert_int_eq(snn_bin_steps(&config, 0, events, 2), 1);
    ck_assert_int_eq(snn_bin_steps(&config, 0, events, 3), 2); /* at the edge: in the next bin */
    ck_assert_int_eq(snn_bin_steps(&config, 0, events + 3, 1), 3);
    ck_assert_int_eq(snn_bin_steps(&config, 0, events, 7), 4); /* timesteps is the most */
    ck_assert_int_eq(snn_bin_steps(&config, 9, events, 7), 5);
    expect_counts(&config, t, 7, 4, (int[]){2, 1, 1, 2}); /* the last event is later than four steps */
    expect_counts(&config, t, 7, 5, (int[]){2, 1, 1, 2, 1});
    expect_counts(&config, t + 3, 1, 4, (int[]){0, 0, 1, 0});
    expect_counts(&config, t, 0, 2, (int[]){0, 0});
    config.bin.by = SNN_BIN_TIME; /* as when a loader is asked for other steps: `from` is without meaning */
    expect_counts(&config, t + 3, 4, 3, (int[]){1, 1, 2});
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
    float frames[2 * 2 * 3];
    events[MANY - 1] = (struct snn_event){.x = 2, .y = 1, .p = 1};
    snn_bin_events(&config, 1, 2, 2, 3, events, MANY, frames);
    ck_assert_float_eq(frames[0], 65535);
    ck_assert_float_eq(frames[(1 * 2 + 1) * 3 + 2], 1);
    config.bin.binary = true;
    snn_bin_events(&config, 1, 2, 2, 3, events, MANY, frames);
    ck_assert_float_eq(frames[0], 1);
    free(events);
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
    ck_assert(c.mean == 0 && c.std == 1 && c.validation.by == SNN_VALIDATION_NONE && c.split_seed == 0 &&
              c.workers == 1);
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
        ck_assert(e->pad.to == SNN_PAD_BATCH && !e->pad.mask && e->validation.fraction == 0.1 && e->split_seed == 3 &&
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
    {"data: {name: nmnist, bin: {by: count, preset: tonic}}", "data.bin.by: contradicts the preset tonic, which has window"},
    {"data: {name: nmnist, bin: count}", "data.bin: expected a map"},
    {"data: {name: nmnist, timesteps: 0}", "data.timesteps: "},
    {"data: {name: nmnist, timesteps: 1000001}", "data.timesteps: "},
    {"data: {name: nmnist, timesteps: auto}", "data.timesteps: auto needs bin.by: duration"},
    {"data: {name: nmnist, bin: {by: duration, dt: 10}}", "data.bin.dt: expected a duration with a unit"},
    {"data: {name: nmnist, bin: {by: duration, dt: 0 ms}}", "data.bin.dt: is 0 s, expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: -1 ms}}", "expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: 3601 s}}", "expected 1 us to 3600 s"},
    {"data: {name: nmnist, bin: {by: duration, dt: 2.5 us}}", "data.bin.dt: is 2.5 us, expected whole microseconds"},
    {"data: {name: nmnist, bin: {from: zero}}", "data.bin.from: has no effect by count"},
    {"data: {name: mnist, bin: {from: zero}}", "data.bin.from: is for recordings, and mnist has images"},
    {"data: {name: nmnist, coding: rate}", "data.coding: is for images, and nmnist has recordings"},
    {"data: {name: nmnist, mean: 0.5}", "data.mean: is for images"},
    {"data: {name: nmnist, std: 0.5}", "data.std: is for images"},
    {"data: {name: nmnist, pad: {to: 20}}", "data.pad.to: a number needs bin.by: duration"},
    {"data: {name: nmnist, validation: 1}", "data.validation.fraction: is 1, expected less than 1"},
    {"data: {name: nmnist, validation: -0.1}", "data.validation.fraction: "},
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
    ck_error(read_section(refused[_i].text, &config, &doc), SNN_EUSAGE, refused[_i].sentence);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "x.yaml:1:")); /* with its place */
    snn_conf_free(&doc);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bin");
    TCase *bin = tcase_create("bin"), *config = tcase_create("config");
    TCase *all[] = {bin, config};
    for (int i = 0; i < 2; ++i) {
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_test(bin, bin_count_rules);
    tcase_add_test(bin, bin_from_zero_rules);
    tcase_add_test(bin, bin_time_rules);
    tcase_add_test(bin, bin_duration_rules);
    tcase_add_test(bin, bin_binary_and_clamp);
    tcase_add_test(config, config_defaults);
    tcase_add_test(config, config_reads_every_key_and_resolves);
    tcase_add_loop_test(config, config_refuses, 0, sizeof refused / sizeof *refused);
    return run_suite(suite);
}
