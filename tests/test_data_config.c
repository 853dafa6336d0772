/* SPDX-License-Identifier: Apache-2.0
 * test_data_config.c - the `data:` section: what it says, what it becomes in a resolved config, what is refused. */
#include <math.h>

#include "made_set.h"

static int read_section(const char *text, struct snn_data_config *config, struct snn_conf_doc **doc) {
    ck_ok(snn_conf_parse(text, strlen(text), "x.yaml", doc));
    struct snn_conf *data = snn_conf_get(snn_conf_root(*doc), "data");
    ck_assert_ptr_nonnull(data);
    return snn_data_config_read(data, config);
}

/* What the section says, after it was written out and read again. */
static struct snn_data_config read_resolved(const char *text, char **resolved) {
    struct snn_data_config first, second;
    struct snn_conf_doc *doc, *again;
    ck_ok(read_section(text, &first, &doc));
    *resolved = snn_conf_write(snn_conf_root(doc));
    ck_ok(read_section(*resolved, &second, &again));
    ck_assert_mem_eq(&first.bin, &second.bin, sizeof first.bin);
    ck_assert_mem_eq(&first.downsample, &second.downsample, sizeof first.downsample);
    ck_assert_int_eq(first.timesteps, second.timesteps);
    snn_conf_free(&doc);
    snn_conf_free(&again);
    return first; /* but its texts */
}

START_TEST(config_presets) {
    static const struct {
        const char *bin;
        struct snn_binning expected;
        struct snn_downsample downsample;
        long long timesteps;
        const char *open; /* what the resolved config has beside the preset, NULL: nothing */
    } known[] = {
        {"preset: spikingjelly", {.by = SNN_BIN_COUNT}, .timesteps = 10, .open = "binary: false"},
        {"preset: spikingjelly_number", {.by = SNN_BIN_COUNT}, .timesteps = 10, .open = "binary: false"},
        {"preset: spikingjelly_time", {.by = SNN_BIN_TIME}, .timesteps = 10, .open = "binary: false"},
        {"preset: spikingjelly_duration, dt: 75 ms",
         {.by = SNN_BIN_DURATION, .dt = {0.075, true}},
         .timesteps = -1,
         .open = "dt: 75 ms"},
        {"preset: spikingjelly_shd_time", {.by = SNN_BIN_TIME, .half = true}, .timesteps = 10, .open = "binary: false"},
        {"preset: spikingjelly_shd_duration",
         {.by = SNN_BIN_DURATION, .dt = {0.01, true}, .half = true},
         .timesteps = -1,
         .open = "dt: 10 ms"},
        {"preset: spikingjelly_shd_2023",
         {.by = SNN_BIN_ADAPTIVE, .dt = {0.01, true}, .half = true},
         .timesteps = -1,
         .open = "dt: 10 ms"},
        {"preset: tonic, overlap: 2 ms, incomplete: true",
         {.by = SNN_BIN_WINDOW, .dt = {0.01, true}, .overlap = 2000, .incomplete = true},
         .timesteps = -1,
         .open = "from: first"},
        {"preset: tonic, surface: 30 ms",
         {.by = SNN_BIN_WINDOW, .dt = {0.01, true}, .tau_us = 30000},
         .timesteps = -1,
         .open = "incomplete: false"},
        {"preset: spytorch", {.by = SNN_BIN_EDGES, .until_us = 1.4e6}, .timesteps = 100, .open = "binary: false"},
        {"preset: sparch", {.by = SNN_BIN_EDGES, .until_us = 1.4e6}, .timesteps = 100, .open = "binary: false"},
        {"preset: norse, binary: true",
         {.by = SNN_BIN_DURATION, .dt = {0.01, true}, .binary = true, .from = SNN_BIN_FROM_ZERO},
         .timesteps = 141,
         .open = "dt: 10 ms"},
        {"preset: norse, dt: 3 ms",
         {.by = SNN_BIN_DURATION, .dt = {0.003, true}, .binary = true, .from = SNN_BIN_FROM_ZERO},
         .timesteps = 467,
         .open = "dt: 3 ms"},
        {"preset: snn-delays",
         {.by = SNN_BIN_DURATION, .dt = {0.01, true}, .half = true},
         {.space = {5, 5}, .drop = true},
         -1,
         NULL},
        {"preset: snn_delays, dt: 0.01 s",
         {.by = SNN_BIN_DURATION, .dt = {0.01, true}, .half = true},
         {.space = {5, 5}, .drop = true},
         -1,
         "dt: 0.01 s"},
        {"preset: se_adlif",
         {.by = SNN_BIN_WINDOW, .dt = {0.004, true}},
         {.space = {5, 5}, .tick_us = 1000},
         -1,
         "until: last"},
    };
    char text[300], *resolved;
    bool used[32] = {false};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        snprintf(text, sizeof text, "data: {name: shd, bin: {%s}}", known[i].bin);
        struct snn_data_config c = read_resolved(text, &resolved);
        const struct snn_binning *b = &c.bin, *x = &known[i].expected;
        bool timed = b->by == SNN_BIN_DURATION || b->by == SNN_BIN_WINDOW || b->by == SNN_BIN_ADAPTIVE;
        ck_assert_msg(b->by == x->by && b->binary == x->binary && b->from == x->from && b->start_us == x->start_us &&
                          b->overlap == x->overlap && b->events == x->events && b->incomplete == x->incomplete &&
                          b->half == x->half && b->until_us == x->until_us && fabs(b->tau_us - x->tau_us) < 1e-6 &&
                          (!timed || b->dt.value == x->dt.value),
                      "%s", text);
        const struct snn_downsample *d = &c.downsample, *y = &known[i].downsample;
        ck_assert_msg(d->space[0] == (y->space[0] ? y->space[0] : 1) &&
                          d->space[1] == (y->space[1] ? y->space[1] : 1) && d->drop == y->drop &&
                          d->polarity == y->polarity && d->tick_us == y->tick_us,
                      "%s: downsample", text);
        ck_assert_msg(c.timesteps == known[i].timesteps, "%s: %lld steps", text, c.timesteps);
        if (known[i].open) ck_assert_msg(strstr(resolved, known[i].open) != NULL, "%s: %s", text, resolved);
        else ck_assert_msg(!strstr(resolved, " dt:") && !strstr(resolved, "half:"), "%s: %s", text, resolved);
        snprintf(text, sizeof text, "by: %s", snn_bin_rules[x->by].name);
        ck_assert_msg(!strstr(resolved, text), "%s: %s", known[i].bin, resolved); /* the preset stands for it */
        for (int k = 0; snn_bin_presets[k].name; ++k) {
            size_t n = strcspn(known[i].bin + 8, ",");
            const char *alias = snn_bin_presets[k].alias, *name = snn_bin_presets[k].name;
            used[k] |= (strlen(name) == n && !strncmp(name, known[i].bin + 8, n)) ||
                       (alias && strlen(alias) == n && !strncmp(alias, known[i].bin + 8, n));
        }
        free(resolved);
    }
    for (int k = 0; snn_bin_presets[k].name; ++k) ck_assert_msg(used[k], "%s is not tried", snn_bin_presets[k].name);
}
END_TEST

START_TEST(config_timesteps_beside_a_preset) {
    char *resolved;
    struct snn_data_config c = read_resolved("data: {name: shd, timesteps: 50, bin: {preset: spytorch}}", &resolved);
    ck_assert_int_eq(c.timesteps, 50);
    free(resolved);
    c = read_resolved("data: {name: shd, timesteps: 7, bin: {preset: norse}}", &resolved);
    ck_assert_int_eq(c.timesteps, 7);
    free(resolved);
}
END_TEST

START_TEST(config_rules_have_their_names) {
    char text[300], *resolved;
    for (int by = SNN_BIN_COUNT; by < SNN_BIN_RULES; ++by) {
        const char *more = by == SNN_BIN_EVENTS ? ", events: 9" : by == SNN_BIN_EDGES ? ", until: 1 s" : "";
        snprintf(text, sizeof text, "data: {name: nmnist, bin: {by: %s%s}}", snn_bin_rules[by].name, more);
        struct snn_data_config c = read_resolved(text, &resolved);
        ck_assert_int_eq(c.bin.by, by);
        ck_assert_ptr_nonnull(snn_bin_rules[by].help);
        ck_assert_msg(!strstr(resolved, " dt:") ==
                          (by != SNN_BIN_DURATION && by != SNN_BIN_WINDOW && by != SNN_BIN_ADAPTIVE),
                      "%s", resolved);
        free(resolved);
    }
    ck_assert_ptr_null(snn_bin_rules[SNN_BIN_RULES].name);
}
END_TEST

START_TEST(config_seconds_of_a_step) {
    static const struct {
        const char *keys;
        double seconds;
    } known[] = {{"bin: {by: duration, dt: 4 ms}", 0.004},
                 {"bin: {by: window, dt: 4 ms, overlap: 1 ms}", 0.003},
                 {"timesteps: 11, bin: {by: edges, until: 1 s}", 0.1},
                 {"bin: {by: adaptive}", 0},
                 {"bin: {by: voxel}", 0}};
    char text[300], *resolved;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        snprintf(text, sizeof text, "data: {name: nmnist, %s}", known[i].keys);
        struct snn_data_config c = read_resolved(text, &resolved);
        ck_assert_msg(fabs(snn_data_step_seconds(&c) - known[i].seconds) < 1e-12, "%s", text);
        free(resolved);
    }
}
END_TEST

START_TEST(config_input_shape) {
    char *resolved;
    const struct snn_dataset_info info = {.C = 2, .H = 34, .W = 34};
    struct snn_data_config c =
        read_resolved("data: {name: nmnist, downsample: {space: [2, 4], polarity: merged}}", &resolved);
    int32_t shape[3];
    ck_ok(snn_data_input(&c, &info, shape));
    ck_assert(shape[0] == 1 && shape[1] == 17 && shape[2] == 9);
    const struct snn_dataset_info wide = {.name = "wide", .kind = SNN_RECORDINGS, .C = 2, .H = 65536, .W = 65536};
    ck_error(snn_data_input(&c, &wide, shape), SNN_EUSAGE,
             "a step of wide has 1 x 32768 x 16384 numbers, expected at most 67108864 in all: see data.downsample");
    ck_assert_ptr_nonnull(strstr(resolved, "rest: keep"));
    free(resolved);
}
END_TEST

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
    {"data: {name: nmnist, agument: []}", "unknown key 'agument' (did you mean 'augment'?)"},
    {"data: {name: nmnist, bin: {by: count, preset: tonic}}",
     "data.bin.by: contradicts the preset tonic, which has window"},
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
    {"data: {name: mnist, downsample: {space: 2}}", "data.downsample.space: is for recordings, and mnist has images"},
    {"data: {name: nmnist, bin: {preset: tonik}}", "unknown preset 'tonik' (did you mean 'tonic'?)"},
    {"data: {name: nmnist, bin: {preset: caffe}}", "unknown preset 'caffe' (snntrain list presets names them)"},
    {"data: {name: nmnist, bin: {preset: [tonic]}}", "data.bin.preset: expected text"},
    {"data: {name: nmnist, bin: {by: vowel}}", "did you mean 'voxel'?"},
    {"data: {name: shd, bin: {preset: se_adlif, dt: 5 ms}}",
     "data.bin.dt: contradicts the preset se_adlif, which has 4 ms"},
    {"data: {name: shd, bin: {preset: norse, binary: false}}", "data.bin.binary: contradicts the preset norse"},
    {"data: {name: shd, bin: {preset: snn-delays}, downsample: {space: 7}}",
     "data.downsample.space: contradicts the preset snn_delays, which has 5"},
    {"data: {name: shd, bin: {preset: norse, dt: 1 us}}", "data.bin: norse has 1400001 steps"},
    {"data: {name: nmnist, bin: {dt: 10 ms}}", "data.bin.dt: has no effect by count"},
    {"data: {name: nmnist, bin: {by: time, overlap: 1 ms}}", "data.bin.overlap: has no effect by time"},
    {"data: {name: nmnist, bin: {by: window, events: 5}}", "data.bin.events: has no effect by window"},
    {"data: {name: nmnist, bin: {by: time_bins, incomplete: true}}", "data.bin.incomplete: has no effect by time_bins"},
    {"data: {name: nmnist, bin: {by: window, half: true}}", "data.bin.half: has no effect by window"},
    {"data: {name: nmnist, bin: {by: duration, until: 1 s}}", "data.bin.until: has no effect by duration"},
    {"data: {name: nmnist, bin: {by: voxel, binary: true}}", "data.bin.binary: has no effect by voxel"},
    {"data: {name: nmnist, bin: {by: voxel, surface: 5 ms}}", "data.bin.surface: has no effect by voxel"},
    {"data: {name: nmnist, bin: {by: window, overlap: 10 ms}}", "data.bin.overlap: is 0.01 s, expected less than dt"},
    {"data: {name: nmnist, bin: {by: window, overlap: 3}}", "data.bin.overlap: expected a duration with a unit"},
    {"data: {name: nmnist, bin: {by: window, from: -1 ms}}", "data.bin.from: is -0.001 s, expected 1 us"},
    {"data: {name: nmnist, bin: {by: window, from: last}}", "data.bin.from: expected a time"},
    {"data: {name: nmnist, bin: {by: window, until: 1.5 us}}", "data.bin.until: is 1.5 us, expected whole"},
    {"data: {name: nmnist, bin: {by: events}}", "data.bin: key 'events' is missing"},
    {"data: {name: nmnist, bin: {by: events, events: 0}}", "data.bin.events: "},
    {"data: {name: nmnist, bin: {by: events, events: 5, overlap: 5}}", "is 5, expected a whole number from 0 to 4"},
    {"data: {name: nmnist, bin: {by: events, events: 5, overlap: 1.5}}", "is 1.5, expected a whole number from 0 to 4"},
    {"data: {name: nmnist, bin: {by: events, events: 5, overlap: 1 ms}}", "is a time, expected a number of events"},
    {"data: {name: nmnist, bin: {by: time_bins, overlap: 1}}", "is 1, expected a share of 0 to less than 1"},
    {"data: {name: nmnist, bin: {by: event_bins, overlap: -0.1}}", "is -0.1, expected a share of 0 to less than 1"},
    {"data: {name: nmnist, bin: {by: event_bins, overlap: 1 ms}}", "is a time, expected a share"},
    {"data: {name: nmnist, bin: {by: edges}}", "data.bin: key 'until' is missing"},
    {"data: {name: nmnist, bin: {by: edges, until: last}}", "data.bin.until: expected a time, by edges"},
    {"data: {name: nmnist, timesteps: 1, bin: {by: edges, until: 1 s}}",
     "data.timesteps: is 1, and there are two edges"},
    {"data: {name: nmnist, bin: {by: duration, half: true, from: zero}}", "data.bin.half: half needs from: first"},
    {"data: {name: nmnist, bin: {surface: 5 ms, binary: true}}", "data.bin.binary: cannot be: a surface has no counts"},
    {"data: {name: nmnist, bin: {by: time, surface: 5 ms, half: true}}", "data.bin.half: cannot be: a surface needs"},
    {"data: {name: nmnist, bin: {surface: 5}}", "data.bin.surface: expected a duration with a unit"},
    {"data: {name: nmnist, timesteps: auto, bin: {by: voxel}}", "data.timesteps: auto needs bin.by: duration"},
    {"data: {name: nmnist, downsample: {space: 0}}", "data.downsample.space: "},
    {"data: {name: nmnist, downsample: {space: [2, 35]}}",
     "data.downsample.space: joins 35 columns, and the sensor has 34"},
    {"data: {name: nmnist, downsample: {rest: drop}}", "data.downsample.rest: has no effect without space"},
    {"data: {name: nmnist, downsample: {time: 3}}", "data.downsample.time: expected a duration with a unit"},
    {"data: {name: shd, downsample: {polarity: on}}", "is for two polarities, and the sensor has 1 channel"},
    {"data: {name: nmnist, bin: {binary: true}, downsample: {polarity: signed}}",
     "data.downsample.polarity: cannot be signed where data.bin.binary is true"},
    {"data: {name: nmnist, downsample: 2}", "data.downsample: expected a map"},
    {"data: {name: mnist, downsample: 2}", "data.downsample: expected a map"},
    {"data: {name: mnist, pad: {to: 4}}", "data.pad.to: is for recordings"},
    {"data: {name: mnist, std: 0}", "data.std: "},
    {"data: {name: mnist, coding: latency, mean: 0.1}", "data.mean: needs coding: direct or rate"},
    {"data: {name: mnist, coding: latency, std: 0.1}", "data.std: needs coding: direct or rate"},
    {"data: {name: mnist, gain: 0.5}", "data.gain: needs coding: rate"},
    {"data: {name: mnist, coding: rate, gain: 1.5}", "data.gain: expected"},
    {"data: {name: nmnist, gain: 0.5}", "data.gain: is for images, and nmnist has recordings"},
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
    Suite *suite = suite_create("data_config");
    TCase *config = tcase_create("config");
    tcase_set_timeout(config, 60);
    suite_add_tcase(suite, config);
    tcase_add_test(config, config_presets);
    tcase_add_test(config, config_timesteps_beside_a_preset);
    tcase_add_test(config, config_rules_have_their_names);
    tcase_add_test(config, config_seconds_of_a_step);
    tcase_add_test(config, config_input_shape);
    tcase_add_test(config, config_defaults);
    tcase_add_test(config, config_reads_every_key_and_resolves);
    tcase_add_loop_test(config, config_refuses, 0, sizeof refused / sizeof *refused);
    return run_suite(suite);
}
