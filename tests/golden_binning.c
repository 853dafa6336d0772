/* SPDX-License-Identifier: Apache-2.0
 * golden_binning.c - frames of real recordings (N-MNIST, spoken digits, gestures) against SpikingJelly's and tonic's.
 *
 * A case's rule becomes the config that a user would write, with its preset where there is one. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/loader.h"
#include "golden.h"
#include "snn_check.h"

enum { SIDE = 34, DVS_SIDE = 128 };

struct recording {
    struct snn_event *events; /* owned by the case */
    size_t n;
    int32_t sensor[3];
    const char *set; /* whose config it goes with */
};

/* The place of a file of the shared data, beside the cases or at $SNN_SHARED; false: there is none. */
static bool find_data(struct golden *c, const char *file, char path[4600]) {
    const char *shared = shared_dir();
    snprintf(path, 4600, "%s/../data/%s", c->dir, file);
    if (!snn_file_exists(path)) snprintf(path, 4600, "%s/data/%s", shared ? shared : "", file);
    return snn_file_exists(path) || golden_pending(c, "the recording is not there");
}

/* ---- N-MNIST ---- */

/* Records of 5 bytes: x, y, polarity (1 bit) and microseconds (23 bits). Recordings with overflows of the clock
 * (y = 240) are left to the reader's own tests. */
static bool read_nmnist(struct golden *c, struct recording *out) {
    char path[4600], file[300];
    unsigned char *bytes;
    size_t size;
    snprintf(file, sizeof file, "nmnist/%s", golden_text(c, "file"));
    if (!find_data(c, file, path) || !golden_ok(c, snn_file_read(path, 1 << 24, &bytes, &size))) return false;
    *out = (struct recording){golden_own(c, size / 5, sizeof *out->events), size / 5, {2, SIDE, SIDE}, "nmnist"};
    for (size_t i = 0; i < out->n; ++i) {
        const unsigned char *b = bytes + 5 * i;
        out->events[i] = (struct snn_event){(b[2] & 127) << 16 | b[3] << 8 | b[4], b[0], b[1], b[2] >> 7};
        if (b[0] >= SIDE || b[1] >= SIDE)
            golden_fail(c, "does not understand event %zu, which is beyond the sensor", i);
    }
    free(bytes);
    return c->verdict == GOLDEN_PASS;
}

/* ---- gestures ---- */

static uint32_t little(const unsigned char *b) { return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24; }

/* The polarity events of an AEDAT 3.1 file that lie in [start, end): after the header, packets of 28 bytes and their
 * events of 8 each. */
static bool select_events(struct golden *c, const unsigned char *bytes, size_t size, int64_t start, int64_t end,
                          struct recording *out) {
    static const char header_end[] = "#!END-HEADER\r\n";
    const unsigned char *at = memmem(bytes, size, header_end, sizeof header_end - 1), *stop = bytes + size;
    if (!at) return golden_fail(c, "has a recording without a header");
    out->events = golden_own(c, size / 8, sizeof *out->events);
    for (at += sizeof header_end - 1; stop - at >= 28;) {
        uint32_t type = little(at) & 0xffff, bytes_each = little(at + 4), overflow = little(at + 12);
        uint32_t count = little(at + 20);
        at += 28;
        if (bytes_each != 8 || (size_t)(stop - at) / 8 < count) return golden_fail(c, "has a broken recording");
        for (uint32_t i = 0; i < count; ++i, at += 8) {
            uint32_t data = little(at);
            int64_t t = (int64_t)overflow << 31 | little(at + 4);
            if (type != 1 || t < start || t >= end) continue;
            out->events[out->n++] =
                (struct snn_event){t, (uint16_t)(data >> 17), data >> 2 & 0x7fff, (uint8_t)(data >> 1 & 1)};
        }
    }
    return true;
}

/* The case's row of the labels is what the case says it is. */
static bool same_row(struct golden *c, const char *path) {
    char labels[4700];
    int row = (int)golden_number(c, "csv_row"), class = 0;
    double start = 0, end = 0;
    snprintf(labels, sizeof labels, "%.*s_labels.csv", (int)(strlen(path) - strlen(".aedat")), path);
    FILE *file = fopen(labels, "r");
    if (!file) return golden_pending(c, "the labels are not there");
    bool good = fscanf(file, "%*s") == 0;
    for (int i = 0; good && i <= row; ++i) good = fscanf(file, " %d,%lf,%lf", &class, &start, &end) == 3;
    fclose(file);
    good = good && golden_number(c, "label") == class - 1 && golden_number(c, "start") == start &&
           golden_number(c, "end") == end;
    return good || golden_fail(c, "has another row than the labels");
}

static bool read_gesture(struct golden *c, struct recording *out) {
    char path[4600];
    unsigned char *bytes;
    size_t size;
    if (!find_data(c, golden_text(c, "file"), path) || !same_row(c, path) ||
        !golden_ok(c, snn_file_read(path, 1 << 24, &bytes, &size)))
        return false;
    *out = (struct recording){NULL, 0, {2, DVS_SIDE, DVS_SIDE}, "dvs_gesture"};
    bool good =
        select_events(c, bytes, size, (int64_t)golden_number(c, "start"), (int64_t)golden_number(c, "end"), out);
    free(bytes);
    return good;
}

/* ---- spoken digits ---- */

static bool read_digit(struct golden *c, struct recording *out) {
    char path[4600];
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    if (!find_data(c, "fsdd-spikes/shd_test.h5", path)) return false;
    *strrchr(path, '/') = 0;
    if (snn_dataset_open("fsdd_spikes", path, NULL, NULL, &set) < 0)
        return strstr(snn_error_text(), "this build has no HDF5") ? golden_pending(c, "this build has no HDF5")
                                                                  : golden_fail(c, "%s", snn_error_text());
    int32_t i = (int32_t)golden_number(c, "sample");
    if (i < 0 || i >= set->info.count[SNN_TEST] || golden_number(c, "channels") != set->info.W) {
        golden_fail(c, "does not understand the sample");
    } else if (golden_ok(c, set->ops->get(set, SNN_TEST, i, &sample))) {
        *out = (struct recording){golden_own(c, sample.event_count, sizeof *out->events),
                                  sample.event_count,
                                  {1, 1, set->info.W},
                                  "fsdd_spikes"};
        memcpy(out->events, sample.events, sample.event_count * sizeof *sample.events);
        if (golden_number(c, "label") != sample.label) golden_fail(c, "another recording than the case's");
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    return c->verdict == GOLDEN_PASS;
}

/* ---- rules ---- */

/* "data: {...}" with whole microseconds where the case has microseconds. */
static void put(FILE *yaml, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(FILE *yaml, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(yaml, format, args);
    va_end(args);
}

static bool put_tonic(struct golden *c, FILE *yaml) {
    double overlap = golden_number_or(c, "overlap", 0);
    bool by_time = golden_has(c, "time_window");
    if (golden_has(c, "n_time_bins"))
        put(yaml, "timesteps: %d, bin: {by: time_bins", (int)golden_number(c, "n_time_bins"));
    else if (golden_has(c, "n_event_bins"))
        put(yaml, "timesteps: %d, bin: {by: event_bins", (int)golden_number(c, "n_event_bins"));
    else if (golden_has(c, "event_count"))
        put(yaml, "timesteps: auto, bin: {by: events, events: %d", (int)golden_number(c, "event_count"));
    else put(yaml, "bin: {preset: tonic, dt: %.17g us", golden_number(c, "time_window"));
    if (overlap != 0) put(yaml, ", overlap: %.17g%s", overlap, by_time ? " us" : "");
    if (golden_flag(c, "include_incomplete", false)) put(yaml, ", incomplete: true");
    if (golden_has(c, "start_time")) put(yaml, ", from: %.17g us", golden_number(c, "start_time"));
    if (golden_has(c, "end_time")) put(yaml, ", until: %.17g us", golden_number(c, "end_time"));
    put(yaml, "}");
    return true;
}

static bool put_spikingjelly(struct golden *c, FILE *yaml, const char *rule) {
    const char *by = golden_text(c, "split_by");
    if (!strcmp(rule, "fixed duration"))
        put(yaml, "bin: {preset: spikingjelly_duration, dt: %.17g us}", golden_number(c, "duration"));
    else if (!strcmp(rule, "SHD fixed duration (ms)"))
        put(yaml, "bin: {preset: spikingjelly_shd_duration, dt: %.17g ms}", golden_number(c, "duration"));
    else if ((!strcmp(rule, "by number") && (!*by || !strcmp(by, "number"))) || !strcmp(rule, "SHD by number"))
        put(yaml, "timesteps: %d, bin: {preset: spikingjelly}", (int)golden_number(c, "frames_num"));
    else if (!strcmp(rule, "by time") && (!*by || !strcmp(by, "time")))
        put(yaml, "timesteps: %d, bin: {preset: spikingjelly_time}", (int)golden_number(c, "frames_num"));
    else if (!strncmp(rule, "SHD by time", 11))
        put(yaml, "timesteps: %d, bin: {preset: spikingjelly_shd_time}", (int)golden_number(c, "frames_num"));
    else return false;
    return true;
}

static bool put_digits(struct golden *c, FILE *yaml, const char *rule) {
    if (!strncmp(rule, "floor(t/0.01) in float64, 100 bins from t=0", 43))
        put(yaml, "timesteps: %d, bin: {by: duration, from: zero, dt: %.17g s}", (int)golden_number(c, "bins"),
            golden_number(c, "bin_s"));
    else if (!strcmp(rule, "binary, floor(t/dt), length floor(1.4/dt)+1"))
        put(yaml, "bin: {preset: norse, dt: %.17g s}", golden_number(c, "dt"));
    else if (!strncmp(rule, "np.digitize(t, linspace(0,1.4,100))", 35)) put(yaml, "bin: {preset: spytorch}");
    else if (!strncmp(rule, "SNN-delays: spikingjelly SHD duration 10 ms, 5", 46) && golden_number(c, "duration") == 10)
        put(yaml, "bin: {preset: snn-delays}");
    else if (!strncmp(rule, "older SpikingJelly", 18))
        put(yaml, "bin: {preset: spikingjelly_shd_2023, dt: %.17g ms}", golden_number(c, "duration"));
    else if (!strncmp(rule, "tonic Downsample(time 1e-3, space 0.2) then ToFrame(time_window=4)", 66))
        put(yaml, "bin: {preset: se_adlif}");
    else return false;
    return true;
}

static bool put_rule(struct golden *c, FILE *yaml) {
    const char *rule = golden_text(c, "rule");
    bool known = !strcmp(rule, "tonic ToFrame")        ? put_tonic(c, yaml)
                 : !strncmp(rule, "spikingjelly ", 13) ? put_spikingjelly(c, yaml, rule + 13)
                                                       : put_digits(c, yaml, rule);
    if (!known) return golden_fail(c, "does not understand rule '%s' of %s", rule, golden_text(c, "data"));
    if (golden_has(c, "channel_group")) put(yaml, ", downsample: {space: %d}", (int)golden_number(c, "channel_group"));
    if (golden_has(c, "downsample")) {
        if (strcmp(golden_text(c, "downsample"), "x>>2, y>>2")) return golden_fail(c, "does not understand downsample");
        put(yaml, ", downsample: {space: 4}");
    }
    return true;
}

/* ---- comparison ---- */

/* Frames of a recording as the config has them: (T,C,H,W), padded to T. */
static double *frames_of(struct golden *c, const struct snn_data_config *config, struct recording *r, int32_t T,
                         int32_t shape[3]) {
    const struct snn_dataset_info info = {.C = r->sensor[0], .H = r->sensor[1], .W = r->sensor[2]};
    size_t n = snn_bin_downsample(&config->downsample, r->sensor, r->events, r->n);
    int32_t own = snn_bin_steps(config, 0, r->events, n);
    snn_data_input(config, &info, shape);
    if (own != T && !(own < T && config->timesteps == T)) { /* shorter ones are padded to `timesteps` */
        golden_fail(c, "has %d steps, found %d", T, own);
        return NULL;
    }
    size_t count = (size_t)T * (size_t)(shape[0] * shape[1] * shape[2]);
    float *frames = golden_own(c, count, sizeof *frames);
    double *found = golden_own(c, count, sizeof *found);
    snn_bin_events(config, own, shape[0], shape[1], shape[2], r->events, n, frames);
    for (size_t i = 0; i < count; ++i) found[i] = frames[i];
    return found;
}

/* Sums of (rows, H, W) over x and over y. */
static void compare_sums(struct golden *c, const double *frames, int32_t rows, int32_t H, int32_t W) {
    double *row = golden_own(c, (size_t)(rows * H), sizeof *row), *col = golden_own(c, (size_t)(rows * W), sizeof *col);
    for (int32_t i = 0; i < rows * H * W; ++i) {
        row[i / W] += frames[i];
        col[i / (H * W) * W + i % W] += frames[i];
    }
    golden_compare(c, "rows", row, (size_t)(rows * H), GOLDEN_EXACT);
    golden_compare(c, "cols", col, (size_t)(rows * W), GOLDEN_EXACT);
}

static void compare(struct golden *c, const struct snn_data_config *config, struct recording *r) {
    bool sums = !golden_find(c, "frames");
    const struct snn_st_tensor *tensor = golden_find(c, sums ? "rows" : "frames");
    int32_t shape[3], T = tensor ? (int32_t)tensor->dim[0] : 0;
    if (!T) {
        golden_fail(c, "does not understand the tensors");
        return;
    }
    double *found = frames_of(c, config, r, T, shape), total = 0;
    if (!found) return;
    size_t count = (size_t)T * (size_t)(shape[0] * shape[1] * shape[2]);
    for (size_t i = 0; i < count; ++i) total += found[i];
    if (golden_number_or(c, "frames_total", total) != total)
        golden_fail(c, "the frames hold %g events, not 'frames_total'", total);
    if (sums) compare_sums(c, found, T * shape[0], shape[1], shape[2]);
    else golden_compare(c, "frames", found, count, GOLDEN_EXACT);
    json_t *sensor = golden_fact(c, "sensor"), *ours = json_pack("[iii]", shape[2], shape[1], shape[0]);
    if (sensor && !json_equal(sensor, ours)) golden_fail(c, "does not understand 'sensor'");
    json_decref(ours);
}

/* The first and last 64 events, and sums over all. */
static void compare_events(struct golden *c, const struct recording *r) {
    enum { ENDS = 64 };
    double ends[2 * ENDS][4], sums[4] = {0}, start = golden_number(c, "start");
    for (size_t i = 0; i < r->n; ++i) {
        const struct snn_event *e = &r->events[i];
        sums[0] += e->x, sums[1] += e->y, sums[2] += e->p, sums[3] += (double)e->t - start;
        size_t at = i < ENDS ? i : i + 2 * ENDS - r->n;
        if (i >= ENDS && i + ENDS < r->n) continue;
        ends[at][0] = e->x, ends[at][1] = e->y, ends[at][2] = (double)e->t, ends[at][3] = e->p;
    }
    golden_compare(c, "ev", ends[0], sizeof ends / sizeof ends[0][0], GOLDEN_EXACT);
    golden_compare(c, "sums", sums, 4, GOLDEN_EXACT);
}

/* The case says how many events there are, and when; so the right file was read. */
static bool same_recording(struct golden *c, const struct recording *r) {
    bool same = r->n > 64 && golden_number_or(c, "n_events", (double)r->n) == (double)r->n &&
                golden_number_or(c, "t_first", (double)r->events[0].t) == (double)r->events[0].t &&
                golden_number_or(c, "t_last", (double)r->events[r->n - 1].t) == (double)r->events[r->n - 1].t;
    return same || golden_fail(c, "another recording than the case's");
}

void golden_binning(struct golden *c) {
    struct recording r = {0};
    struct golden_net net;
    struct snn_data_config config;
    char text[600] = "";
    const char *file = golden_text(c, "file"), *data = golden_text(c, "data");
    golden_fact(c, "shape"), golden_fact(c, "dtype"); /* the tensor says them too */
    bool read = !strcmp(data, "N-MNIST")                   ? read_nmnist(c, &r)
                : !strncmp(data, "DVS Gesture", 11)        ? read_gesture(c, &r)
                : !strcmp(file, "fsdd-spikes/shd_test.h5") ? read_digit(c, &r)
                                                           : golden_fail(c, "does not understand data '%s'", data);
    if (!read || !same_recording(c, &r)) return;
    if (!strcmp(golden_text(c, "rule"), "events of the row")) {
        compare_events(c, &r);
        return;
    }
    FILE *yaml = fmemopen(text, sizeof text, "w");
    put(yaml, "data: {name: %s, ", r.set);
    bool good = put_rule(c, yaml);
    put(yaml, "}\n");
    fclose(yaml);
    if (!good || !golden_net_open(c, &net)) return;
    struct snn_conf *section = golden_parse(c, &net, text);
    if (section && golden_ok(c, snn_data_config_read(section, &config))) compare(c, &config, &r);
    golden_net_close(&net);
}
