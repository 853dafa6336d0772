/* SPDX-License-Identifier: Apache-2.0
 * fuzz_cache.c - files of a cache entry, and what their slots hold.
 *
 * The first byte chooses: rows or events as they come out of a slot, one of an entry's files, or a slot's packed bytes.
 * Sums are against accidents, so what passes them is hostile too: rows that are accepted are those of a batch, events
 * are on the sensor and in order of time, and both are packed to the same again. */
#include <math.h>
#include <xxhash.h>

#include "datasets/cache_parts.h"
#include "fuzz_files.h"

enum { UNITS = 700, STEPS = 40, SLOTS = 3 };

static void unpack_rows(struct snn_cache_bytes *bytes) {
    struct snn_rows rows = {0}, again = {0};
    int32_t count[STEPS], count2[STEPS], steps, steps2;
    bool cut, cut2;
    size_t k = 0;
    if (!snn_unpack_rows(bytes, UNITS, STEPS, &rows, count, &steps, &cut)) {
        CLAIM(rows.used == 0);
        snn_rows_free(&rows);
        return;
    }
    CLAIM(steps >= 1 && steps <= STEPS);
    for (int32_t t = 0; t < steps; ++t)
        for (int32_t i = 0; i < count[t]; ++i, ++k) {
            CLAIM(rows.index[k] >= 0 && rows.index[k] < UNITS && (!i || rows.index[k] > rows.index[k - 1]));
            CLAIM(isfinite(rows.value[k]) && rows.value[k] != 0);
        }
    CLAIM(k == rows.used);
    CLAIM(snn_pack_rows(&rows, count, 0, steps, cut, bytes));
    CLAIM(snn_unpack_rows(bytes, UNITS, STEPS, &again, count2, &steps2, &cut2));
    CLAIM(steps2 == steps && cut2 == cut && again.used == rows.used);
    CLAIM(!memcmp(count, count2, (size_t)steps * sizeof *count));
    CLAIM(!k || !memcmp(rows.index, again.index, k * sizeof *rows.index));
    CLAIM(!k || !memcmp(rows.value, again.value, k * sizeof *rows.value));
    snn_rows_free(&rows);
    snn_rows_free(&again);
}

static void unpack_events(struct snn_cache_bytes *bytes, const struct snn_dataset_info *info) {
    struct snn_sample sample = {0};
    if (snn_unpack_events(bytes, info, &sample)) {
        for (size_t i = 0; i < sample.event_count; ++i) {
            const struct snn_event *e = &sample.events[i];
            CLAIM(e->x < info->W && e->y < info->H && e->p < info->C && (!i || e[-1].t <= e->t));
        }
        CLAIM(snn_pack_events(&sample, info, bytes));
        CLAIM(snn_unpack_events(bytes, info, &sample));
    } else {
        CLAIM(sample.event_count == 0);
    }
    snn_sample_free(&sample);
}

/* An entry is begun and filled, one of its files is replaced, and it is used again. */
static void use_entry(const char *file, const uint8_t *data, size_t size) {
    const struct snn_cache_options options = {
        .folder = fuzz_folder(), .set = "fuzz", .recipe = "recipe", .slots = SLOTS, .limit = 1 << 20};
    struct snn_cache_bytes bytes = {0};
    struct snn_cache_entry *list;
    struct snn_cache *cache;
    struct snn_cache_removal gone;
    char path[FUZZ_PATH];
    int count;
    for (int pass = 0; pass < 2; ++pass) {
        CLAIM(snn_cache_open(&options, &cache) >= 0); /* a damaged one is begun anew */
        for (int32_t slot = 0; slot < SLOTS; ++slot) {
            CLAIM(snn_cache_bytes_room(&bytes, 200));
            memset(bytes.raw, slot, 200);
            bytes.size = 200;
            bool there = snn_cache_get(cache, slot, &bytes);
            CLAIM(!there || pass);
            snn_cache_put(cache, slot, &bytes);
            CLAIM(snn_cache_get(cache, slot, &bytes));
        }
        snn_cache_close(&cache);
        CLAIM(snn_cache_list(fuzz_folder(), &list, &count) >= 0 && count == 1);
        CLAIM(snprintf(path, sizeof path, "%s/%s", list[0].name, file) < FUZZ_PATH);
        snn_cache_list_free(&list, count);
        fuzz_file(path, data, size);
    }
    CLAIM(snn_cache_list(fuzz_folder(), &list, &count) >= 0 && count == 1);
    snn_cache_list_free(&list, count);
    CLAIM(snn_cache_remove(fuzz_folder(), NULL, &gone) >= 0 && gone.removed == 1);
    snn_cache_bytes_free(&bytes);
}

static void put64(unsigned char *at, uint64_t value) {
    for (int i = 0; i < 8; ++i) at[i] = (unsigned char)(value >> 8 * i);
}

/* A slot whose sums are right: only what unpacks it is left to refuse it. */
static void get_packed(const uint8_t *data, size_t size) {
    const struct snn_cache_options options = {
        .folder = fuzz_folder(), .set = "fuzz", .recipe = "recipe", .slots = SLOTS, .limit = 1 << 20};
    enum { RECORD_AT = SNN_CACHE_HEADER + SNN_CACHE_RECORD, WHERE = 8 };
    unsigned char index[SNN_CACHE_HEADER + SLOTS * SNN_CACHE_RECORD], *record = index + RECORD_AT, *content;
    struct snn_cache_bytes bytes = {0};
    struct snn_cache_entry *list;
    struct snn_cache_removal gone;
    struct snn_cache *cache;
    char path[FUZZ_PATH];
    int count;
    CLAIM(snn_cache_open(&options, &cache) >= 0);
    CLAIM(snn_cache_list(fuzz_folder(), &list, &count) >= 0 && count == 1);
    FILE *file = fopen((snprintf(path, sizeof path, "%s/%s/index.bin", fuzz_folder(), list[0].name), path), "rb");
    CLAIM(file && fread(index, sizeof index, 1, file) == 1 && !fclose(file));
    put64(record, WHERE), put64(record + 8, size), put64(record + 16, XXH3_64bits_withSeed(data, size, 2));
    put64(record + 24, XXH3_64bits_withSeed(record, 24, 2));
    snprintf(path, sizeof path, "%s/index.bin", list[0].name), fuzz_file(path, index, sizeof index);
    CLAIM((content = malloc(WHERE + size)));
    memcpy(content, "SNTDATA1", WHERE), memcpy(content + WHERE, data, size);
    snprintf(path, sizeof path, "%s/data.bin", list[0].name), fuzz_file(path, content, WHERE + size);
    bool there = snn_cache_get(cache, 1, &bytes);
    CLAIM(!there || bytes.size <= 255 * size);
    CLAIM(snn_cache_get(cache, 1, &bytes) == there); /* what was refused is gone */
    snn_cache_list_free(&list, count);
    snn_cache_close(&cache);
    CLAIM(snn_cache_remove(fuzz_folder(), NULL, &gone) >= 0 && gone.removed == 1);
    snn_cache_bytes_free(&bytes);
    free(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const files[] = {SNN_CACHE_RECIPE, SNN_CACHE_INDEX, SNN_CACHE_DATA};
    const struct snn_dataset_info small = {.C = 2, .H = 34, .W = 34}, large = {.C = 2, .H = 480, .W = 640};
    struct snn_cache_bytes bytes = {0};
    if (!size) return 0;
    int what = data[0] % 8;
    if (what < 3) {
        use_entry(files[what], data + 1, size - 1);
        return 0;
    }
    if (what == 3) {
        get_packed(data + 1, size - 1);
        return 0;
    }
    CLAIM(snn_cache_bytes_room(&bytes, size));
    memcpy(bytes.raw, data + 1, size - 1);
    bytes.size = size - 1;
    if (what < 6) unpack_rows(&bytes);
    else unpack_events(&bytes, what == 6 ? &small : &large);
    snn_cache_bytes_free(&bytes);
    return 0;
}
