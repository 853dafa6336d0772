/* SPDX-License-Identifier: Apache-2.0
 * fuzz_nmnist.c - a recording of N-MNIST, or with an odd first byte the archive of a split; then framing, by all three
 * rules.
 *
 * What is accepted is in order of time and inside the sensor, and a batch holds as many events as the frames do. The
 * first byte also chooses the number of steps. */
#include "datasets/parts.h"
#include "fuzz_files.h"

static void claim_events(const struct snn_dataset_info *info, const struct snn_sample *sample) {
    for (size_t i = 0; i < sample->event_count; ++i) {
        const struct snn_event *e = &sample->events[i];
        CLAIM(e->x < info->W && e->y < info->H && e->p < info->C && e->t >= 0);
        CLAIM(!i || e[-1].t <= e->t);
    }
}

/* The sum over all frames, made one by one; 0 when they would be large. */
static uint64_t frames_sum(const struct snn_data_config *config, int32_t T, const struct snn_dataset_info *info,
                           const struct snn_sample *sample) {
    size_t count = (size_t)T * (size_t)(info->C * info->H * info->W);
    uint16_t *frames = malloc(count * sizeof *frames);
    CLAIM(frames);
    snn_bin_events(config, T, info->C, info->H, info->W, sample->events, sample->event_count, frames);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) sum += frames[i];
    free(frames);
    return sum;
}

static void frame(struct snn_dataset *set, const struct snn_sample *sample, int by, int32_t T) {
    struct snn_data_config config = {
        .name = "nmnist", .timesteps = T, .bin = {.by = by, .dt = {0.01, true}}, .pad = {.to = SNN_PAD_MAX}};
    struct snn_recipe recipe = {
        .config = &config, .set = set, .split = SNN_TRAIN, .batch = 1, .max_steps = T, .longest = T};
    snn_data_input(&config, &set->info, recipe.shape);
    struct snn_filled filled;
    struct snn_fill fill;
    const int32_t first = 0;
    CLAIM(snn_filled_open(&recipe, &filled) >= 0 && snn_fill_open(&recipe, &fill) >= 0);
    CLAIM(snn_fill_batch(&fill, &first, 1, 0, &filled) >= 0);
    const struct snn_batch *batch = &filled.batch;
    CLAIM(batch->length[0] >= 1 && batch->length[0] <= T && batch->T == T);
    uint64_t sum = 0;
    for (int32_t i = 0; i < batch->row[T]; ++i) {
        CLAIM(batch->index[i] >= 0 && batch->index[i] < batch->C * batch->H * batch->W);
        sum += batch->value ? (uint64_t)batch->value[i] : 1;
    }
    CLAIM(sum == frames_sum(&config, batch->length[0], &set->info, sample));
    if (by == SNN_BIN_COUNT) CLAIM(sum == sample->event_count);
    snn_fill_free(&fill);
    snn_filled_free(&filled);
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
        for (int by = SNN_BIN_COUNT; !i && by <= SNN_BIN_DURATION; ++by) frame(set, &sample, by, 1 + data[0] / 8);
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    return 0;
}
