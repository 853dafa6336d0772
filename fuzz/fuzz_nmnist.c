/* SPDX-License-Identifier: Apache-2.0
 * fuzz_nmnist.c - a recording of N-MNIST, or with an odd first byte the archive of a split; then framing, by every
 * rule.
 *
 * What is accepted is in order of time and inside the sensor, and a batch holds what the frames do. The first byte also
 * chooses the number of steps, two others what goes with the rules. */
#include "datasets/parts.h"
#include "fuzz_files.h"

static void claim_events(const struct snn_dataset_info *info, const struct snn_sample *sample) {
    for (size_t i = 0; i < sample->event_count; ++i) {
        const struct snn_event *e = &sample->events[i];
        CLAIM(e->x < info->W && e->y < info->H && e->p < info->C && e->t >= 0);
        CLAIM(!i || e[-1].t <= e->t);
    }
}

/* How the recording is framed, from two bytes of the input. */
static struct snn_data_config choose(int by, uint8_t a, uint8_t b, int32_t T) {
    static const int windows[] = {1, 20, 1000, 300000};
    struct snn_data_config config = {.name = "nmnist", .timesteps = T, .pad = {.to = SNN_PAD_MAX}};
    int window = windows[b & 3];
    config.bin = (struct snn_binning){.by = by,
                                      .dt = {window * 1e-6, true},
                                      .from = by == SNN_BIN_DURATION || by == SNN_BIN_WINDOW ? b >> 2 & 1 : 0,
                                      .start_us = b & 8 ? 1000 : 0,
                                      .events = window,
                                      .incomplete = b & 16,
                                      .until_us = by == SNN_BIN_EDGES ? 300001 : 0,
                                      .binary = a & 1 && by != SNN_BIN_VOXEL};
    bool bins = by == SNN_BIN_TIME_BINS || by == SNN_BIN_EVENT_BINS;
    if (b & 32) config.bin.overlap = bins ? 0.3 : window - 1;
    if (a & 2 && (by == SNN_BIN_TIME || by == SNN_BIN_DURATION || by == SNN_BIN_ADAPTIVE)) config.bin.half = true;
    if (config.bin.half) config.bin.from = SNN_BIN_FROM_FIRST;
    if (a & 4 && by != SNN_BIN_VOXEL && !config.bin.half) config.bin.tau_us = 5000;
    if (config.bin.tau_us > 0) config.bin.binary = false;
    if (a & 8) config.downsample.space[a >> 4 & 1] = 5;
    config.downsample.drop = a & 32;
    config.downsample.polarity = config.bin.binary ? a >> 6 : b >> 6 == 3 ? SNN_POLARITY_SIGNED : a >> 6;
    config.downsample.tick_us = b & 64 ? 777 : 0;
    return config;
}

/* The frames of the recording, made one by one, are what the batch has. */
static void claim_frames(const struct snn_data_config *config, const struct snn_batch *batch,
                         const struct snn_event *events, size_t n) {
    int32_t T = batch->length[0], units = batch->C * batch->H * batch->W;
    float *frames = malloc((size_t)T * (size_t)units * sizeof *frames);
    CLAIM(frames);
    CLAIM(snn_bin_steps(config, 0, events, n) == T);
    snn_bin_events(config, T, batch->C, batch->H, batch->W, events, n, frames);
    for (int32_t t = 0; t < T; ++t)
        for (int32_t i = batch->row[t]; i < batch->row[t + 1]; ++i) {
            CLAIM(batch->index[i] >= 0 && batch->index[i] < units);
            float *cell = &frames[(size_t)t * (size_t)units + (size_t)batch->index[i]];
            CLAIM(*cell != 0 && *cell == (batch->value ? batch->value[i] : 1));
            *cell = 0;
        }
    for (int64_t i = 0; i < (int64_t)T * units; ++i) CLAIM(frames[i] == 0);
    free(frames);
}

static void frame(struct snn_dataset *set, const struct snn_sample *sample, const struct snn_data_config *config) {
    const int32_t sensor[3] = {set->info.C, set->info.H, set->info.W}, first = 0, T = (int32_t)config->timesteps;
    struct snn_recipe recipe = {
        .config = config, .set = set, .split = SNN_TRAIN, .batch = 1, .max_steps = T, .longest = T, .steps = T};
    snn_data_input(config, &set->info, recipe.shape);
    struct snn_filled filled;
    struct snn_fill fill;
    struct snn_event *events = malloc((sample->event_count + 1) * sizeof *events);
    CLAIM(events);
    if (sample->event_count) memcpy(events, sample->events, sample->event_count * sizeof *events);
    size_t n = snn_bin_downsample(&config->downsample, sensor, events, sample->event_count);
    CLAIM(n <= sample->event_count);
    CLAIM(snn_filled_open(&recipe, &filled) >= 0 && snn_fill_open(&recipe, &fill) >= 0);
    for (int again = 0; again < 2; ++again) { /* nothing is left over from the first time */
        CLAIM(snn_fill_batch(&fill, &first, 1, 0, 0, &filled) >= 0);
        CLAIM(filled.batch.length[0] >= 1 && filled.batch.length[0] <= T && filled.batch.T == T);
        claim_frames(config, &filled.batch, events, n);
    }
    if (config->bin.by == SNN_BIN_COUNT && !config->bin.tau_us && !config->bin.binary && n == sample->event_count &&
        config->downsample.polarity != SNN_POLARITY_SIGNED) {
        double sum = 0;
        for (int32_t i = 0; i < filled.batch.row[T]; ++i) sum += filled.batch.value ? filled.batch.value[i] : 1;
        CLAIM(sum == (double)n);
    }
    snn_fill_free(&fill);
    snn_filled_free(&filled);
    free(events);
}

/* The hostile part is the training split; the other one is a recording of one event. */
static void write_set(const uint8_t *data, size_t size, bool archive) {
    static bool made;
    const unsigned char event[5] = {1, 2, 0x80, 0, 7};
    if (!made) {
        fuzz_subfolder("Test/3");
        fuzz_file("Test/3/0.bin", event, sizeof event);
        made = true;
    }
    if (archive) {
        fuzz_remove("Train/7/1.bin"), fuzz_remove("Train/7"), fuzz_remove("Train");
        fuzz_file("Train.zip", data, size);
    } else {
        fuzz_remove("Train.zip");
        fuzz_subfolder("Train/7");
        fuzz_file("Train/7/1.bin", data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    write_set(data + 1, size - 1, data[0] % 2);
    struct snn_dataset *set;
    int status = snn_dataset_open("nmnist", fuzz_folder(), NULL, NULL, &set);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    struct snn_sample sample = {0};
    for (int32_t i = 0; i < set->info.count[SNN_TRAIN]; ++i) {
        status = set->ops->get(set, SNN_TRAIN, i, &sample);
        if (status < 0) {
            claim_refused(status);
            continue;
        }
        claim_events(&set->info, &sample);
        uint8_t a = size > 5 ? data[5] : 0, b = size > 10 ? data[10] : 0; /* also a part of two times */
        for (int by = SNN_BIN_COUNT; !i && by < SNN_BIN_RULES; ++by) {
            const struct snn_data_config config = choose(by, a, b, 1 + (by == SNN_BIN_EDGES) + data[0] / 8);
            frame(set, &sample, &config);
        }
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    return 0;
}
