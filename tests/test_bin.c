/* SPDX-License-Identifier: Apache-2.0
 * test_bin.c - recordings cut into steps and made smaller, rule by rule with their edges.
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

/* ---- tonic's windows ---- */

static struct snn_data_config rule_of(struct snn_binning bin, long long timesteps) {
    struct snn_data_config config = config_of(SNN_BIN_COUNT, timesteps, 0);
    config.bin = bin;
    return config;
}

/* Events of one unit at these times: their own steps, and the counts of `T`. */
static void expect_own(const struct snn_data_config *config, const int64_t *t, size_t n, int32_t own, int32_t T,
                       const int *counts) {
    struct snn_event events[16] = {0};
    ck_assert(n <= 16);
    for (size_t i = 0; i < n; ++i) events[i].t = t[i];
    ck_assert_int_eq(snn_bin_own_steps(&config->bin, events, n), own);
    expect_counts(config, t, n, T, counts);
}

START_TEST(bin_window_rules) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_WINDOW, .dt = {10e-6, true}}, -1);
    const int64_t t[] = {5, 14, 15, 24, 25, 29};
    expect_own(&config, t, 6, 2, 2, (int[]){2, 2});               /* what does not fill a window is lost */
    expect_own(&config, t, 5, 2, 4, (int[]){2, 2, 1, 0});         /* a span of exactly two; then padding */
    expect_own(&config, (int64_t[]){5, 14}, 2, 1, 1, (int[]){2}); /* one at least */
    expect_own(&config, (int64_t[]){5}, 1, 1, 1, (int[]){1});
    expect_own(&config, NULL, 0, 1, 2, (int[]){0, 0});
    config.bin.incomplete = true;
    expect_own(&config, t, 6, 3, 3, (int[]){2, 2, 2});
    expect_own(&config, t, 5, 2, 2, (int[]){2, 2}); /* full ones alone: an event at the end has no window */
    config.bin.incomplete = false;
    config.bin.overlap = 4; /* [5,15) [11,21) [17,27) */
    expect_own(&config, t, 6, 3, 3, (int[]){2, 2, 2});
    config.bin.overlap = 9;
    expect_own(&config, (int64_t[]){5, 5, 16}, 3, 2, 2, (int[]){2, 0}); /* [5,15) [6,16): 16 is in none */
    config.bin.overlap = 0;
    config.bin.from = SNN_BIN_FROM_ZERO; /* [0,10) [10,20) */
    expect_own(&config, t, 6, 2, 2, (int[]){1, 2});
    config.bin.start_us = 12; /* what is earlier is left out */
    expect_own(&config, t, 6, 1, 2, (int[]){2, 3});
    config.bin.start_us = 100;
    expect_own(&config, t, 6, 1, 2, (int[]){0, 0});
    config.bin.start_us = 0;
    config.bin.until_us = 47; /* four windows, however long the recording */
    expect_own(&config, t, 6, 4, 4, (int[]){1, 2, 3, 0});
    expect_own(&config, NULL, 0, 4, 4, (int[]){0, 0, 0, 0});
    config.bin.dt.value = 1e-6;
    config.bin.until_us = 0x1p60;
    ck_assert_int_eq(snn_bin_own_steps(&config.bin, NULL, 0), INT32_MAX);
}
END_TEST

START_TEST(bin_events_rules) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_EVENTS, .events = 3}, -1);
    const int64_t t[] = {5, 5, 5, 6, 7, 8, 9};
    expect_own(&config, t, 7, 2, 2, (int[]){3, 3}); /* the seventh is lost */
    expect_own(&config, t, 6, 2, 3, (int[]){3, 3, 0});
    expect_own(&config, t, 3, 1, 1, (int[]){3});
    expect_own(&config, t, 2, 1, 1, (int[]){2}); /* fewer than a step */
    expect_own(&config, NULL, 0, 1, 1, (int[]){0});
    config.bin.incomplete = true;
    expect_own(&config, t, 7, 3, 3, (int[]){3, 3, 1});
    expect_own(&config, t, 6, 2, 2, (int[]){3, 3});
    config.bin.overlap = 2; /* each event begins a step */
    expect_own(&config, t, 7, 5, 5, (int[]){3, 3, 3, 3, 3});
}
END_TEST

START_TEST(bin_bins_rules) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_TIME_BINS}, 3);
    const int64_t t[] = {7, 9, 10, 12, 13, 15, 16, 18};
    expect_counts(&config, t, 8, 3, (int[]){2, 2, 2}); /* [7,10) [10,13) [13,16): the remainder is lost */
    expect_counts(&config, t, 1, 3, (int[]){0, 0, 0});
    expect_counts(&config, NULL, 0, 3, (int[]){0, 0, 0});
    config.bin.overlap = 0.5; /* 4.5 long, 2.25 apart: [7,11.5) [9.25,13.75) [11.5,16) */
    expect_counts(&config, t, 8, 3, (int[]){3, 3, 3});
    config.bin = (struct snn_binning){.by = SNN_BIN_EVENT_BINS};
    expect_counts(&config, t, 8, 3, (int[]){2, 2, 2});
    expect_counts(&config, t, 2, 3, (int[]){0, 0, 0}); /* tonic loses all of them */
    expect_counts(&config, NULL, 0, 3, (int[]){0, 0, 0});
    config.bin.overlap = 0.5; /* 3 long, 1 apart */
    expect_counts(&config, t, 8, 3, (int[]){3, 3, 3});
}
END_TEST

/* ---- edges, adaptive steps ---- */

START_TEST(bin_edges_rules) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_EDGES, .until_us = 30}, 4);
    /* Edges 0, 10, 20, 30. */
    expect_counts(&config, (int64_t[]){0, 9, 10, 19, 20, 29, 30, 99}, 8, 4, (int[]){0, 2, 2, 2});
    expect_counts(&config, (int64_t[]){30}, 1, 4, (int[]){0, 0, 0, 0});
    expect_counts(&config, NULL, 0, 4, (int[]){0, 0, 0, 0});
    config.bin.until_us = 10; /* 0, 3.33, 6.67, 10 */
    expect_counts(&config, (int64_t[]){0, 3, 4, 6, 7, 9, 10}, 7, 4, (int[]){0, 2, 2, 2});
    /* The last edge is where it was said to be, though 83 * (1400000 / 83) is more than 1400000 in double. */
    const struct snn_event last[2] = {{.t = 1399999}, {.t = 1400000}};
    float frames[84];
    config.bin.until_us = 1.4e6;
    snn_bin_events(&config, 84, 1, 1, 1, last, 2, frames);
    ck_assert_float_eq(frames[83], 1);
}
END_TEST

START_TEST(bin_adaptive_rules) {
    struct snn_data_config config =
        rule_of((struct snn_binning){.by = SNN_BIN_ADAPTIVE, .dt = {10e-6, true}, .events = 3}, -1);
    const int64_t t[] = {5, 6, 7, 8, 15, 18, 19, 1000, 1010, 1011};
    /* Three events; three within ten microseconds (8..18); one alone; silence has no step; 1010 is within, 1011 not. */
    expect_own(&config, t, 10, 5, 5, (int[]){3, 3, 1, 2, 1});
    expect_own(&config, t, 1, 1, 2, (int[]){1, 0});
    expect_own(&config, NULL, 0, 1, 1, (int[]){0});
    expect_own(&config, t, 10, 5, 2, (int[]){3, 3}); /* cut */
    config.bin.events = 0;
    expect_own(&config, t, 10, 4, 4, (int[]){5, 2, 2, 1});
    /* 10.01 ms, but 300.5 and 310.5 ms in 16 bits. */
    config.bin.dt.value = 0.01;
    expect_own(&config, (int64_t[]){300300, 310310}, 2, 2, 2, (int[]){1, 1});
    config.bin.half = true;
    expect_own(&config, (int64_t[]){300300, 310310}, 2, 1, 1, (int[]){2});
    expect_own(&config, (int64_t[]){301, 10305}, 2, 1, 1, (int[]){2}); /* 0.30102539 and 10.3046875: H(10.0037) is 10 */
    expect_own(&config, NULL, 0, 1, 1, (int[]){0});
}
END_TEST

/* ---- 16 bits ---- */

START_TEST(half_numbers) {
    static const struct {
        double x, rounded;
    } known[] = {{0, 0},
                 {1, 1},
                 {2049, 2048},
                 {2051, 2052},
                 {0.1, 0.0999755859375},
                 {1.0 / 3, 0.333251953125},
                 {-2049, -2048},
                 {0x1p-24, 0x1p-24},
                 {0x1.8p-24, 0x1p-23},
                 {0x1p-26, 0},
                 {0x1p-14, 0x1p-14},
                 {1 + 0x1p-11, 1},
                 {1 + 0x1.8p-11, 1 + 0x1p-10},
                 {100.25, 100.25},
                 {300.3, 300.25}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        ck_assert_msg(snn_half(known[i].x) == known[i].rounded, "%g is %.17g, expected %.17g", known[i].x,
                      snn_half(known[i].x), known[i].rounded);
    /* Every time of 16 bits from 2 ms on survives being cut down to microseconds. */
    int32_t seen = 0;
    for (double t = 0.00196; t < 60; t += snn_half_step(t), ++seen) {
        t = snn_half(t);
        ck_assert_msg(snn_half_seconds((int64_t)(t * 1e6)) == t, "%.17g s", t);
    }
    ck_assert_int_gt(seen, 10000);
}
END_TEST

START_TEST(bin_half_rules) {
    struct snn_data_config config =
        rule_of((struct snn_binning){.by = SNN_BIN_DURATION, .dt = {0.01, true}, .half = true}, -1);
    /* 300.3 ms are 300.25 ms from the first event on, 310.3 ms are 310.25 ms: ceil(31.03125) steps. */
    expect_own(&config, (int64_t[]){0, 10000, 300300, 310300}, 4, 32, 3, (int[]){1, 1, 0});
    expect_own(&config, (int64_t[]){4000}, 1, 1, 1, (int[]){1});
    expect_own(&config, NULL, 0, 1, 1, (int[]){0});
    config.bin = (struct snn_binning){.by = SNN_BIN_TIME, .half = true};
    expect_counts(&config, (int64_t[]){0, 250000, 500000, 750000, 1000000}, 5, 2, (int[]){2, 3});
    expect_counts(&config, (int64_t[]){4000, 4000}, 2, 2, (int[]){0, 2});
    expect_counts(&config, NULL, 0, 2, (int[]){0, 0});
}
END_TEST

/* ---- voxel grids, surfaces ---- */

/* One row of `units` units; event i is of unit x[i]. */
struct made_event {
    int64_t t;
    int x, p;
};

static void expect_values(const struct snn_data_config *config, const struct made_event *made, size_t n, int32_t C,
                          int32_t W, int32_t T, const double *values) {
    struct snn_event events[8] = {0};
    float frames[64];
    ck_assert(n <= 8 && T * C * W <= 64);
    for (size_t i = 0; i < n; ++i)
        events[i] = (struct snn_event){made[i].t, (uint16_t)made[i].x, 0, (uint8_t)made[i].p};
    memset(frames, 0xff, sizeof frames);
    snn_bin_events(config, T, C, 1, W, events, n, frames);
    for (int32_t k = 0; k < T * C * W; ++k)
        ck_assert_msg(fabs(frames[k] - values[k]) <= 1e-6, "element %d: %.9g, expected %.9g", k, frames[k], values[k]);
}

START_TEST(bin_voxel_rules) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_VOXEL}, 3);
    /* A step is 50 us long: u = (t - 100) / 50. */
    const struct made_event events[] = {{100, 0, 1}, {110, 0, 1}, {150, 0, 0}, {190, 0, 1}, {200, 0, 0}};
    expect_values(&config, events, 5, 2, 1, 3, (double[]){0, 1 + 0.8, /* OFF, ON */ 1, 0.2 + 0.2, 1, 0.8});
    config.downsample.polarity = SNN_POLARITY_SIGNED;
    expect_values(&config, events, 5, 1, 1, 3, (double[]){1.8, -1 + 0.4, -1 + 0.8});
    expect_values(&config, events, 2, 1, 1, 1, (double[]){2});       /* one step has all */
    expect_values(&config, events, 1, 1, 1, 3, (double[]){1, 0, 0}); /* one time: the first step */
    expect_values(&config, NULL, 0, 1, 1, 2, (double[]){0, 0});
    const struct made_event many[] = {{0, 0, 1}, {1, 0, 1}, {2, 0, 1}, {3, 0, 1}, {7, 0, 1}};
    struct snn_event stored[5] = {0};
    float frames[7], sum = 0;
    for (int i = 0; i < 5; ++i) stored[i] = (struct snn_event){.t = many[i].t, .p = 1};
    snn_bin_events(&config, 7, 1, 1, 1, stored, 5, frames);
    for (int i = 0; i < 7; ++i) sum += frames[i];
    ck_assert(fabsf(sum - 5) < 1e-5f); /* each event is shared out whole */
    ck_assert_float_eq(frames[6], 1);  /* the last one is in the last step */
}
END_TEST

START_TEST(bin_surface_rules) {
    struct snn_data_config config =
        rule_of((struct snn_binning){.by = SNN_BIN_DURATION, .dt = {10e-6, true}, .tau_us = 20}, -1);
    config.downsample.polarity = SNN_POLARITY_SIGNED;
    /* Steps end at 110, 120 and 130; a unit has the age and sign of its last event. */
    const struct made_event events[] = {{100, 0, 1}, {104, 1, 0}, {108, 0, 1}, {125, 1, 1}};
    expect_values(
        &config, events, 4, 1, 2, 3,
        (double[]){exp(-2 / 20.), -exp(-6 / 20.), exp(-12 / 20.), -exp(-16 / 20.), exp(-22 / 20.), exp(-5 / 20.)});
    /* By count a step ends with its last event, and an empty one where the one before did. */
    config.bin = (struct snn_binning){.by = SNN_BIN_COUNT, .tau_us = 20};
    expect_values(&config, events, 4, 1, 2, 2, (double[]){exp(-4 / 20.), -1, exp(-17 / 20.), 1});
    expect_values(&config, events, 1, 1, 2, 2, (double[]){0, 0, 1, 0});
    expect_values(&config, NULL, 0, 1, 2, 1, (double[]){0, 0});
    /* The last step takes what is left, and ends with it: 31 is after [10,20). */
    config.bin = (struct snn_binning){.by = SNN_BIN_TIME, .tau_us = 20};
    const struct made_event three[] = {{0, 0, 1}, {20, 0, 1}, {31, 1, 1}};
    expect_values(&config, three, 3, 1, 2, 2, (double[]){exp(-15 / 20.), 0, exp(-11 / 20.), 1});
    /* Overlap: an event of two windows is as old as it is. */
    config.bin = (struct snn_binning){.by = SNN_BIN_WINDOW, .dt = {10e-6, true}, .overlap = 5, .tau_us = 20};
    expect_values(&config, three, 3, 1, 2, 2, (double[]){exp(-10 / 20.), 0, exp(-15 / 20.), 0});
    /* Nothing is left of what is long ago. */
    config.bin = (struct snn_binning){.by = SNN_BIN_DURATION, .dt = {1e-3, true}, .tau_us = 20};
    const struct made_event far[] = {{0, 0, 1}, {999, 1, 1}, {5000, 1, 1}};
    struct snn_event stored[3] = {0};
    float frames[10];
    for (int i = 0; i < 3; ++i) stored[i] = (struct snn_event){.t = far[i].t, .x = (uint16_t)far[i].x, .p = 1};
    snn_bin_events(&config, 5, 1, 1, 2, stored, 3, frames);
    ck_assert(frames[0] == 0 && frames[1] > 0.9 && frames[2] == 0 && frames[3] == 0 && frames[9] == 1);
}
END_TEST

/* ---- signs, downsampling ---- */

START_TEST(bin_signed_counts) {
    struct snn_data_config config = rule_of((struct snn_binning){.by = SNN_BIN_COUNT}, 1);
    config.downsample.polarity = SNN_POLARITY_SIGNED;
    expect_values(&config, (struct made_event[]){{0, 0, 1}, {0, 0, 1}, {1, 1, 0}, {2, 2, 1}, {2, 2, 0}}, 5, 1, 3, 1,
                  (double[]){2, -1, 0});
    enum { MANY = 70000 };
    struct snn_event *events = calloc(MANY, sizeof *events); /* all OFF */
    float frame;
    snn_bin_events(&config, 1, 1, 1, 1, events, MANY, &frame);
    ck_assert_float_eq(frame, -65535);
    free(events);
}
END_TEST

static const int32_t dvs[3] = {2, 5, 7}, cochlea[3] = {1, 1, 700};

START_TEST(downsample_shapes) {
    static const struct {
        struct snn_downsample how;
        const int32_t *sensor;
        int32_t shape[3];
    } known[] = {{{{0, 0}}, dvs, {2, 5, 7}},
                 {{{1, 1}}, dvs, {2, 5, 7}},
                 {{{2, 3}}, dvs, {2, 3, 3}},
                 {{{2, 3}, .drop = true}, dvs, {2, 2, 2}},
                 {{{5, 7}, .drop = true, .polarity = SNN_POLARITY_SIGNED}, dvs, {1, 1, 1}},
                 {{.polarity = SNN_POLARITY_OFF}, dvs, {1, 5, 7}},
                 {{{5, 5}, .drop = true}, cochlea, {1, 1, 140}}, /* a single row stays */
                 {{{3, 3}}, cochlea, {1, 1, 234}},
                 {{{3, 3}, .drop = true}, cochlea, {1, 1, 233}}};
    char why[200];
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        int32_t shape[3];
        snn_downsample_shape(&known[i].how, known[i].sensor, shape);
        ck_assert_mem_eq(shape, known[i].shape, sizeof shape);
        ck_assert_ptr_null(snn_downsample_misfit(&known[i].how, known[i].sensor, why));
    }
    ck_assert_str_eq(snn_downsample_misfit(&(struct snn_downsample){.space = {6, 1}}, dvs, why), "space");
    ck_assert_str_eq(why, "joins 6 rows, and the sensor has 5");
    ck_assert_str_eq(snn_downsample_misfit(&(struct snn_downsample){.space = {6, 701}}, cochlea, why), "space");
    ck_assert_str_eq(why, "joins 701 columns, and the sensor has 700");
    ck_assert_str_eq(snn_downsample_misfit(&(struct snn_downsample){.polarity = 1}, cochlea, why), "polarity");
    ck_assert_str_eq(why, "is for two polarities, and the sensor has 1 channel");
}
END_TEST

START_TEST(downsample_events) {
    static const struct snn_event all[] = {{999, 0, 0, 0}, {1000, 5, 4, 1}, {1999, 6, 3, 1}, {2000, 2, 1, 0}};
    static const struct {
        struct snn_downsample how;
        size_t n;
        struct snn_event expected[4];
    } known[] = {
        {{{0, 0}}, 4, {{999, 0, 0, 0}, {1000, 5, 4, 1}, {1999, 6, 3, 1}, {2000, 2, 1, 0}}},
        {{{2, 3}}, 4, {{999, 0, 0, 0}, {1000, 1, 2, 1}, {1999, 2, 1, 1}, {2000, 0, 0, 0}}},
        {{{2, 3}, .drop = true}, 2, {{999, 0, 0, 0}, {2000, 0, 0, 0}}}, /* row 4 and column 6 fill no group */
        {{.polarity = SNN_POLARITY_MERGED}, 4, {{999, 0, 0, 0}, {1000, 5, 4, 0}, {1999, 6, 3, 0}, {2000, 2, 1, 0}}},
        {{.polarity = SNN_POLARITY_ON}, 2, {{1000, 5, 4, 0}, {1999, 6, 3, 0}}},
        {{.polarity = SNN_POLARITY_OFF}, 2, {{999, 0, 0, 0}, {2000, 2, 1, 0}}},
        {{.polarity = SNN_POLARITY_SIGNED}, 4, {{999, 0, 0, 0}, {1000, 5, 4, 1}, {1999, 6, 3, 1}, {2000, 2, 1, 0}}},
        {{.tick_us = 1000}, 4, {{0, 0, 0, 0}, {1000, 5, 4, 1}, {1000, 6, 3, 1}, {2000, 2, 1, 0}}},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; ++k) {
        struct snn_event events[4];
        memcpy(events, all, sizeof all);
        size_t n = snn_bin_downsample(&known[k].how, dvs, events, 4);
        ck_assert_uint_eq(n, known[k].n);
        for (size_t i = 0; i < n; ++i) {
            const struct snn_event *e = &events[i], *x = &known[k].expected[i];
            ck_assert_msg(e->t == x->t && e->x == x->x && e->y == x->y && e->p == x->p, "%zu: event %zu", k, i);
        }
    }
    ck_assert_uint_eq(snn_bin_downsample(&known[1].how, dvs, NULL, 0), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bin");
    TCase *bin = tcase_create("bin");
    tcase_set_timeout(bin, 60);
    suite_add_tcase(suite, bin);
    tcase_add_test(bin, bin_count_rules);
    tcase_add_test(bin, bin_from_zero_rules);
    tcase_add_test(bin, bin_time_rules);
    tcase_add_test(bin, bin_duration_rules);
    tcase_add_test(bin, bin_window_rules);
    tcase_add_test(bin, bin_events_rules);
    tcase_add_test(bin, bin_bins_rules);
    tcase_add_test(bin, bin_edges_rules);
    tcase_add_test(bin, bin_adaptive_rules);
    tcase_add_test(bin, half_numbers);
    tcase_add_test(bin, bin_half_rules);
    tcase_add_test(bin, bin_voxel_rules);
    tcase_add_test(bin, bin_surface_rules);
    tcase_add_test(bin, bin_signed_counts);
    tcase_add_test(bin, downsample_shapes);
    tcase_add_test(bin, downsample_events);
    tcase_add_test(bin, bin_binary_and_clamp);
    return run_suite(suite);
}
