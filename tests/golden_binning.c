/* SPDX-License-Identifier: Apache-2.0
 * golden_binning.c - frames of real N-MNIST recordings and spoken digits against SpikingJelly's. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/loader.h"
#include "golden.h"
#include "snn_check.h"

enum { SIDE = 34 };

/* Records of 5 bytes: x, y, polarity (1 bit) and microseconds (23 bits). Recordings with overflows of the clock
 * (y = 240) are left to the reader's own tests. */
static struct snn_event *read_events(struct golden *c, const char *path, size_t *n) {
    unsigned char *bytes;
    size_t size;
    if (!golden_ok(c, snn_file_read(path, 1 << 24, &bytes, &size))) return NULL;
    *n = size / 5;
    struct snn_event *events = golden_own(c, *n, sizeof *events);
    for (size_t i = 0; i < *n; ++i) {
        const unsigned char *b = bytes + 5 * i;
        events[i] = (struct snn_event){(b[2] & 127) << 16 | b[3] << 8 | b[4], b[0], b[1], b[2] >> 7};
        if (b[0] >= SIDE || b[1] >= SIDE)
            golden_fail(c, "does not understand event %zu, which is beyond the sensor", i);
    }
    free(bytes);
    return c->verdict == GOLDEN_PASS ? events : NULL;
}

/* The case says how many events there are, and when; so the right file was read. */
static bool same_recording(struct golden *c, const struct snn_event *events, size_t n) {
    bool same = n > 0 && golden_number_or(c, "n_events", (double)n) == (double)n &&
                golden_number_or(c, "t_first", (double)events[0].t) == (double)events[0].t &&
                golden_number_or(c, "t_last", (double)events[n - 1].t) == (double)events[n - 1].t;
    return same || golden_fail(c, "another recording than the case's");
}

static bool put_rule(struct golden *c, char text[300]) {
    const char *rule = golden_text(c, "rule"), *by = golden_text(c, "split_by");
    if (!strcmp(rule, "spikingjelly fixed duration"))
        snprintf(text, 300, "data: {name: nmnist, timesteps: auto, bin: {by: duration, dt: %.17g us}}\n",
                 golden_number(c, "duration"));
    else if (!strcmp(rule, "spikingjelly by number") && (!*by || !strcmp(by, "number")))
        snprintf(text, 300, "data: {name: nmnist, timesteps: %d, bin: {by: count}}\n",
                 (int)golden_number(c, "frames_num"));
    else if (!strcmp(rule, "spikingjelly by time") && (!*by || !strcmp(by, "time")))
        snprintf(text, 300, "data: {name: nmnist, timesteps: %d, bin: {by: time}}\n",
                 (int)golden_number(c, "frames_num"));
    else return golden_fail(c, "does not understand rule '%s' of %s", rule, golden_text(c, "data"));
    return true;
}

/* Counts in T steps; the sensor is (C,H,W). */
static void compare_counts(struct golden *c, const struct snn_data_config *config, int32_t T, const int32_t sensor[3],
                           const struct snn_event *events, size_t n) {
    size_t count = (size_t)T * (size_t)(sensor[0] * sensor[1] * sensor[2]);
    uint16_t *frames = golden_own(c, count, sizeof *frames);
    double *found = golden_own(c, count, sizeof *found), total = 0;
    snn_bin_events(config, T, sensor[0], sensor[1], sensor[2], events, n, frames);
    for (size_t i = 0; i < count; ++i) total += found[i] = frames[i];
    golden_compare(c, "frames", found, count, GOLDEN_EXACT);
    if (golden_number_or(c, "frames_total", total) != total)
        golden_fail(c, "the frames hold %g events, not 'frames_total'", total);
}

static void compare_frames(struct golden *c, const struct snn_data_config *config, const struct snn_event *events,
                           size_t n) {
    const struct snn_st_tensor *shape = golden_find(c, "frames");
    if (!shape || shape->nd != 4 || shape->dim[1] != 2 || shape->dim[2] != SIDE || shape->dim[3] != SIDE) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    compare_counts(c, config, snn_bin_steps(config, 0, events, n), (const int32_t[3]){2, SIDE, SIDE}, events, n);
}

/* ---- spoken digits ---- */

static void compare_digit(struct golden *c, struct snn_dataset *set, const char *text) {
    struct snn_sample sample = {0};
    struct golden_net net;
    struct snn_data_config config;
    const struct snn_st_tensor *shape = golden_find(c, "frames");
    int32_t i = (int32_t)golden_number(c, "sample");
    if (!shape || shape->nd != 2 || shape->dim[1] != (uint64_t)set->info.W ||
        golden_number(c, "channels") != set->info.W || i < 0 || i >= set->info.count[SNN_TEST]) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    if (!golden_ok(c, set->ops->get(set, SNN_TEST, i, &sample))) return;
    if (golden_number(c, "label") != sample.label || golden_number(c, "n_events") != (double)sample.event_count)
        golden_fail(c, "another recording than the case's");
    if (c->verdict == GOLDEN_PASS && golden_net_open(c, &net)) {
        const int32_t sensor[3] = {1, 1, set->info.W};
        struct snn_conf *section = golden_parse(c, &net, text);
        if (section && golden_ok(c, snn_data_config_read(section, &config)))
            compare_counts(c, &config, (int32_t)config.timesteps, sensor, sample.events, sample.event_count);
        golden_net_close(&net);
    }
    snn_sample_free(&sample);
}

static bool put_digit_rule(struct golden *c, char text[300]) {
    const char *rule = golden_text(c, "rule"), *bins = "data: {name: fsdd_spikes, timesteps: %d, bin: {by: duration, "
                                                       "from: zero, dt: %.17g s, binary: %s}}\n";
    if (!strcmp(rule, "spikingjelly SHD by number"))
        snprintf(text, 300, "data: {name: fsdd_spikes, timesteps: %d, bin: {by: count}}\n",
                 (int)golden_number(c, "frames_num"));
    else if (!strcmp(rule, "floor(t/0.01) in float64, 100 bins from t=0, later spikes dropped"))
        snprintf(text, 300, bins, (int)golden_number(c, "bins"), golden_number(c, "bin_s"), "false");
    else if (!strcmp(rule, "binary, floor(t/dt), length floor(1.4/dt)+1"))
        snprintf(text, 300, bins, (int)(1.4 / golden_number(c, "dt") + 1e-6) + 1, golden_number(c, "dt"), "true");
    else return false;
    return true;
}

static void digits(struct golden *c) {
    char root[4600], text[300];
    const char *shared = shared_dir();
    struct snn_dataset *set;
    golden_fact(c, "shape"), golden_fact(c, "dtype");
    if (strcmp(golden_text(c, "file"), "fsdd-spikes/shd_test.h5") || !put_digit_rule(c, text)) {
        golden_fail(c, "does not understand rule '%s' of %s", golden_text(c, "rule"), golden_text(c, "file"));
        return;
    }
    snprintf(root, sizeof root, "%s/../data/fsdd-spikes", c->dir);
    if (!snn_is_directory(root)) snprintf(root, sizeof root, "%s/data/fsdd-spikes", shared ? shared : "");
    if (!snn_is_directory(root)) {
        golden_pending(c, "the recordings are not there");
    } else if (snn_dataset_open("fsdd_spikes", root, NULL, NULL, &set) < 0) {
        if (strstr(snn_error_text(), "this build has no HDF5")) golden_pending(c, "this build has no HDF5");
        else golden_fail(c, "%s", snn_error_text());
    } else {
        compare_digit(c, set, text);
        snn_dataset_close(&set);
    }
}

void golden_binning(struct golden *c) {
    char path[4600], text[300];
    const char *file = golden_text(c, "file"), *shared = shared_dir();
    if (!strncmp(file, "fsdd-spikes/", 12)) {
        digits(c);
        return;
    }
    if (strcmp(golden_text(c, "data"), "N-MNIST")) {
        golden_fail(c, "does not understand data '%s'", golden_text(c, "data"));
        return;
    }
    golden_fact(c, "shape"), golden_fact(c, "dtype"); /* the tensor says them too */
    json_t *sensor = golden_fact(c, "sensor"), *ours = json_pack("[iii]", SIDE, SIDE, 2);
    if (sensor && !json_equal(sensor, ours)) golden_fail(c, "does not understand 'sensor'");
    json_decref(ours);
    if (c->verdict != GOLDEN_PASS || !put_rule(c, text)) return;
    snprintf(path, sizeof path, "%s/../data/nmnist/%s", c->dir, file);
    if (!snn_file_exists(path)) snprintf(path, sizeof path, "%s/data/nmnist/%s", shared ? shared : "", file);
    if (!snn_file_exists(path)) {
        golden_pending(c, "the recording is not there");
        return;
    }
    size_t n;
    const struct snn_event *events = read_events(c, path, &n);
    struct golden_net net;
    struct snn_data_config config;
    if (!events || !same_recording(c, events, n) || !golden_net_open(c, &net)) return;
    struct snn_conf *section = golden_parse(c, &net, text);
    if (section && golden_ok(c, snn_data_config_read(section, &config))) compare_frames(c, &config, events, n);
    golden_net_close(&net);
}
