/* SPDX-License-Identifier: Apache-2.0
 * fill.c - samples into one batch: framed or coded, padded, and laid out step by step or by sample. */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/cache_parts.h"

static int32_t units_of(const struct snn_recipe *recipe) {
    return recipe->shape[0] * recipe->shape[1] * recipe->shape[2];
}

static enum snn_batch_form form_of(const struct snn_recipe *recipe) {
    const struct snn_dataset_info *info = &recipe->set->info;
    if (info->spikes) return SNN_BATCH_EVENTS;
    if (info->kind == SNN_SEQUENCES) return snn_dataset_is_still(info) ? SNN_BATCH_STATIC : SNN_BATCH_FRAMES;
    return info->kind == SNN_IMAGES && recipe->config->coding == SNN_CODING_DIRECT ? SNN_BATCH_STATIC
                                                                                   : SNN_BATCH_EVENTS;
}

static int no_memory(const struct snn_recipe *recipe) {
    return snn_error(SNN_EFAIL, "out of memory for batches of %d samples in %d steps", recipe->batch,
                     recipe->max_steps);
}

/* Labels are shares of classes. */
static bool is_mixed(const struct snn_recipe *recipe) { return recipe->augment && snn_augment_mixes(recipe->config); }

int snn_filled_open(const struct snn_recipe *recipe, struct snn_filled *out) {
    size_t B = (size_t)recipe->batch;
    const struct snn_dataset_info *info = &recipe->set->info;
    *out = (struct snn_filled){.batch = {.form = form_of(recipe),
                                         .T = recipe->max_steps,
                                         .B = recipe->batch,
                                         .C = recipe->shape[0],
                                         .H = recipe->shape[1],
                                         .W = recipe->shape[2],
                                         .targets = info->targets,
                                         .target_steps = info->target_steps}};
    struct snn_batch *batch = &out->batch; /* T and B: the most there can be */
    batch->by_sample = recipe->by_sample && batch->form == SNN_BATCH_EVENTS;
    batch->label = calloc(B, sizeof *batch->label);
    batch->length = calloc(B, sizeof *batch->length);
    batch->sample = calloc(B, sizeof *batch->sample);
    bool good = batch->label && batch->length && batch->sample;
    if (is_mixed(recipe)) batch->targets = info->classes;
    if (batch->targets) good &= (batch->target = calloc(snn_batch_targets(batch), sizeof *batch->target)) != NULL;
    if (batch->form != SNN_BATCH_EVENTS)
        good &= (batch->frames = calloc(snn_batch_numbers(batch), sizeof *batch->frames)) != NULL;
    else if (batch->by_sample) good &= (batch->first = calloc(B + 1, sizeof *batch->first)) != NULL;
    else good &= (batch->row = calloc(B * (size_t)recipe->max_steps + 1, sizeof *batch->row)) != NULL;
    if (good) return SNN_OK;
    snn_filled_free(out);
    return no_memory(recipe);
}

void snn_filled_free(struct snn_filled *filled) {
    struct snn_batch *batch = &filled->batch;
    free(batch->label);
    free(batch->length);
    free(batch->sample);
    free(batch->target);
    free(batch->frames);
    free(batch->row);
    free(batch->first);
    free(batch->step);
    free(batch->index);
    free(filled->value);
    *filled = (struct snn_filled){0};
}

int snn_fill_open(const struct snn_recipe *recipe, struct snn_fill *out) {
    *out = (struct snn_fill){.recipe = recipe};
    out->rate = snn_rate_of(recipe->config->mean, recipe->config->std, recipe->config->gain);
    if (recipe->augment) SNN_TRY(snn_augmenting_open(recipe, &out->augmenting));
    if (form_of(recipe) != SNN_BATCH_EVENTS) return SNN_OK;
    size_t units = (size_t)units_of(recipe), samples = recipe->by_sample ? 1 : (size_t)recipe->batch;
    out->rows.by_sample = recipe->by_sample;
    out->rows.count = calloc(samples * (size_t)recipe->max_steps, sizeof *out->rows.count);
    out->seen = calloc((units + 63) / 64, sizeof *out->seen);
    out->value = calloc(units, sizeof *out->value);
    if (out->rows.count && out->seen && out->value) return SNN_OK;
    snn_fill_free(out);
    return no_memory(recipe);
}

void snn_fill_free(struct snn_fill *fill) {
    snn_sample_free(&fill->sample);
    snn_augmenting_free(&fill->augmenting);
    snn_rows_free(&fill->rows);
    snn_cache_bytes_free(&fill->bytes);
    free(fill->seen);
    free(fill->value);
    *fill = (struct snn_fill){0};
}

/* Where the entries of the steps of sample b are counted; NULL: nobody counts. */
static int32_t *count_of(const struct snn_fill *fill, int32_t b) {
    size_t place = fill->recipe->by_sample ? 0 : (size_t)b;
    return fill->rows.count ? fill->rows.count + place * (size_t)fill->recipe->max_steps : NULL;
}

/* Append the present step's units in ascending order; returns how many there were. `seen` and `value` are zero then,
 * unless they `stay` for the next step. */
static int32_t append_step(struct snn_fill *fill, int32_t units, bool stay) {
    int32_t *restrict index = fill->rows.index + fill->rows.used, n = 0;
    float *restrict out = fill->rows.value + fill->rows.used, *restrict value = fill->value;
    for (int32_t word = 0; word < (units + 63) / 64; ++word) {
        for (uint64_t bits = fill->seen[word]; bits; bits &= bits - 1) {
            int32_t unit = word * 64 + __builtin_ctzll(bits);
            index[n] = unit;
            out[n] = value[unit];
            n += value[unit] != 0; /* ON and OFF may have cancelled */
            if (!stay) value[unit] = 0;
        }
        if (!stay) fill->seen[word] = 0;
    }
    fill->rows.used += (size_t)n;
    return n;
}

/* The recording in `fill->sample` as `length` steps. As snn_bin_events, but only what is not zero. */
static int frame(struct snn_fill *fill, int32_t length, int32_t *count) {
    const struct snn_recipe *recipe = fill->recipe;
    size_t units = (size_t)units_of(recipe);
    struct snn_canvas canvas = {.value = fill->value, .seen = fill->seen};
    bool stays = snn_canvas_stays(recipe->config);
    int status = SNN_OK;
    memcpy(canvas.shape, recipe->shape, sizeof canvas.shape);
    struct snn_framing cut =
        snn_framing_start(&recipe->config->bin, length, fill->sample.events, fill->sample.event_count);
    for (int32_t t = 0; t < length; ++t) {
        struct snn_step step = snn_framing_next(&cut);
        size_t most = stays ? step.end : step.end - step.begin; /* units that may be met */
        count[t] = 0;
        if (!most) continue;
        status = snn_rows_room(&fill->rows, most < units ? most : units);
        if (status < 0) break;
        snn_canvas_add(&canvas, recipe->config, &cut, step);
        count[t] = append_step(fill, (int32_t)units, stays);
    }
    if (stays) {
        memset(fill->value, 0, units * sizeof *fill->value);
        memset(fill->seen, 0, (units + 63) / 64 * sizeof *fill->seen);
    }
    return status;
}

/* The sequence in `fill->sample`, which a still sample is one step of, as sample b of the batch: steps after its length
 * are written when all lengths are known. */
static void place_numbers(const struct snn_fill *fill, int32_t b, struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    size_t units = (size_t)units_of(fill->recipe), B = (size_t)batch->B;
    int32_t steps = batch->form == SNN_BATCH_STATIC ? 1 : batch->length[b];
    for (int32_t t = 0; t < steps; ++t)
        memcpy(batch->frames + ((size_t)t * B + (size_t)b) * units, fill->sample.numbers + (size_t)t * units,
               units * sizeof *batch->frames);
}

/* The same where its numbers are spikes: what is not zero of its first `length` steps, as rows. */
static int list_numbers(struct snn_fill *fill, int32_t length, int32_t *count) {
    struct snn_rows *rows = &fill->rows;
    int32_t units = units_of(fill->recipe);
    const float *number = fill->sample.numbers;
    for (int32_t t = 0; t < length; ++t, number += units) {
        SNN_TRY(snn_rows_room(rows, (size_t)units));
        size_t first = rows->used;
        for (int32_t i = 0; i < units; ++i) {
            rows->index[rows->used] = i;
            rows->value[rows->used] = number[i];
            rows->used += number[i] != 0;
        }
        count[t] = (int32_t)(rows->used - first);
    }
    return SNN_OK;
}

static void place_target(const struct snn_fill *fill, int32_t b, struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    size_t K = (size_t)batch->targets, B = (size_t)batch->B;
    int32_t steps = batch->target_steps ? batch->length[b] : 1;
    for (int32_t t = 0; t < steps; ++t)
        memcpy(batch->target + ((size_t)t * B + (size_t)b) * K, fill->sample.target + (size_t)t * K,
               K * sizeof *batch->target);
}

/* Zeros behind the ends of sequences and of their targets: the batch before this one may have left something there. */
static void clear_padding(struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    if (batch->form != SNN_BATCH_FRAMES && !batch->target_steps) return;
    size_t B = (size_t)batch->B, K = (size_t)batch->targets,
           units = (size_t)batch->C * (size_t)batch->H * (size_t)batch->W;
    for (size_t b = 0; b < B; ++b)
        for (size_t t = (size_t)batch->length[b]; t < (size_t)batch->T; ++t) {
            if (batch->form == SNN_BATCH_FRAMES)
                memset(batch->frames + (t * B + b) * units, 0, units * sizeof *batch->frames);
            if (batch->target_steps) memset(batch->target + (t * B + b) * K, 0, K * sizeof *batch->target);
        }
}

/* ---- from the cache, and into it ---- */

/* How much reading samples has had to say so far. A sample that adds to it is not kept: later runs are to hear it, too.
 * (One that another thread's adds to meanwhile is kept in a later epoch.) */
static int64_t warnings_of(const struct snn_recipe *recipe) {
    char text[600];
    return snn_dataset_warnings(recipe->set, text);
}

int snn_recipe_get(const struct snn_recipe *recipe, int32_t index, struct snn_sample *sample,
                   struct snn_cache_bytes *scratch) {
    struct snn_dataset *set = recipe->set;
    bool cached = recipe->cache && recipe->stored == SNN_STORED_EVENTS;
    if (cached && snn_cache_get(recipe->cache, index, scratch)) {
        sample->label = set->ops->label(set, recipe->split, index);
        if (snn_unpack_events(scratch, &set->info, sample)) return SNN_OK;
        snn_cache_reject(recipe->cache, index);
    }
    int64_t warnings = cached ? warnings_of(recipe) : 0;
    SNN_TRY(set->ops->get(set, recipe->split, index, sample));
    if (cached && warnings_of(recipe) == warnings && snn_pack_events(sample, &set->info, scratch))
        snn_cache_put(recipe->cache, index, scratch);
    return SNN_OK;
}

/* Sample b's rows from the cache; false where it has none. */
static bool take_rows(struct snn_fill *fill, int32_t b, int32_t *count, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    int32_t index = out->batch.sample[b];
    bool cut;
    if (!snn_cache_get(recipe->cache, index, &fill->bytes)) return false;
    if (!snn_unpack_rows(&fill->bytes, units_of(recipe), recipe->longest, &fill->rows, count, &out->batch.length[b],
                         &cut)) {
        snn_cache_reject(recipe->cache, index);
        return false;
    }
    out->batch.label[b] = recipe->set->ops->label(recipe->set, recipe->split, index);
    out->cut += cut;
    return true;
}

/* ---- a batch ---- */

/* The recording in `fill->sample` as sample b's rows; *cut: it was longer. */
static int make_rows(struct snn_fill *fill, int32_t *length, int32_t *count, bool *cut) {
    const struct snn_data_config *config = fill->recipe->config;
    const struct snn_dataset_info *info = &fill->recipe->set->info;
    struct snn_sample *sample = &fill->sample;
    sample->event_count = snn_bin_downsample(&config->downsample, (const int32_t[3]){info->C, info->H, info->W},
                                             sample->events, sample->event_count);
    *cut = false;
    if (snn_bin_has_own_steps(&config->bin)) {
        int32_t own = snn_bin_own_steps(&config->bin, sample->events, sample->event_count);
        *cut = own > *length;
        if (own < *length) *length = own;
    }
    return frame(fill, *length, count);
}

/* Sample b of the batch: its length, and its inputs as rows or as frames. */
static int add_sample(struct snn_fill *fill, int32_t b, uint32_t epoch, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    const struct snn_data_config *config = recipe->config;
    struct snn_sample *sample = &fill->sample;
    int32_t index = out->batch.sample[b], *length = &out->batch.length[b], units = units_of(recipe);
    int32_t *count = count_of(fill, b);
    bool keeps_rows = recipe->cache && recipe->stored == SNN_STORED_ROWS, cut;
    if (keeps_rows && take_rows(fill, b, count, out)) return SNN_OK;
    int64_t warnings = keeps_rows ? warnings_of(recipe) : 0;
    SNN_TRY(snn_recipe_get(recipe, index, sample, &fill->bytes));
    if (recipe->augment) SNN_TRY(snn_augment_sample(&fill->augmenting, sample, index, epoch));
    if (is_mixed(recipe))
        snn_augment_target(&fill->augmenting, out->batch.targets,
                           out->batch.target + (size_t)b * (size_t)out->batch.targets);
    out->batch.label[b] = sample->label;
    *length = recipe->longest;
    if (recipe->set->info.kind == SNN_SEQUENCES && !snn_dataset_is_still(&recipe->set->info)) {
        out->cut += sample->steps > *length;
        if (sample->steps < *length) *length = sample->steps;
    }
    if (recipe->set->info.targets) place_target(fill, b, out);
    if (recipe->set->info.spikes) return list_numbers(fill, *length, count);
    if (recipe->set->info.kind == SNN_SEQUENCES) {
        place_numbers(fill, b, out);
        return SNN_OK;
    }
    if (recipe->set->info.kind == SNN_RECORDINGS) {
        size_t first = fill->rows.used;
        SNN_TRY(make_rows(fill, length, count, &cut));
        out->cut += cut;
        if (keeps_rows && warnings_of(recipe) == warnings &&
            snn_pack_rows(&fill->rows, count, first, *length, cut, &fill->bytes))
            snn_cache_put(recipe->cache, index, &fill->bytes);
        return SNN_OK;
    }
    switch (config->coding) {
    case SNN_CODING_DIRECT:
        snn_code_direct(sample->pixels, units, config->mean, config->std,
                        out->batch.frames + (size_t)b * (size_t)units);
        return SNN_OK;
    case SNN_CODING_RATE:
        return snn_code_rate(sample->pixels, units, *length, &fill->rate, recipe->seed, epoch, (uint32_t)index, count,
                             &fill->rows);
    default:
        return snn_code_latency(sample->pixels, units, *length, count, &fill->rows);
    }
}

static int room_for(struct snn_filled *out, size_t n, bool values) {
    size_t more = n + n / 2; /* batches differ: soon the room fits all */
    bool held = true;
    if (n > out->room) {
        int32_t *index = reallocarray(out->batch.index, more, sizeof *index);
        if (index) out->batch.index = index, out->room = more;
        held = index != NULL;
    }
    if (values && n > out->value_room) {
        float *value = reallocarray(out->value, more, sizeof *value);
        if (value) out->value = value, out->value_room = more;
        held &= value != NULL;
    }
    return held ? SNN_OK : snn_error(SNN_EFAIL, "out of memory for a batch of %zu input spikes", more);
}

/* Entries from `first` on are sample b, which is complete: each gets its step. */
static void close_sample(struct snn_fill *fill, int32_t b, size_t first, struct snn_filled *out) {
    const int32_t *count = fill->rows.count;
    if (!out->batch.by_sample) return;
    for (int32_t t = 0; t < out->batch.length[b]; ++t)
        for (int32_t i = 0; i < count[t]; ++i) fill->rows.step[first++] = t;
    SNN_CHECK(first == fill->rows.used, "entries of sample %d lie beyond its %d steps", b, out->batch.length[b]);
    out->batch.first[b + 1] = (int32_t)first;
}

static void swap(void *a, void *b) {
    void *kept;
    memcpy(&kept, a, sizeof kept);
    memcpy(a, b, sizeof kept);
    memcpy(b, &kept, sizeof kept);
}

static bool all_ones(const struct snn_rows *rows) {
    bool ones = true;
    for (size_t i = 0; ones && i < rows->used; ++i) ones = rows->value[i] == 1;
    return ones;
}

/* The batch takes the entries as they lie, and leaves its own memory to the next one. */
static void take_entries(struct snn_fill *fill, struct snn_filled *out) {
    struct snn_rows *rows = &fill->rows;
    struct snn_batch *batch = &out->batch;
    size_t room = rows->room, value_room = rows->value_room;
    bool ones = all_ones(rows);
    swap(&rows->index, &batch->index), swap(&rows->step, &batch->step);
    rows->room = out->room, out->room = room;
    batch->value = NULL;
    if (ones) return;
    swap(&rows->value, &out->value);
    rows->value_room = out->value_room, out->value_room = value_room;
    batch->value = out->value;
}

/* Sample by sample -> step by step. */
static int lay_out(struct snn_fill *fill, struct snn_filled *out) {
    struct snn_batch *batch = &out->batch;
    const struct snn_rows *rows = &fill->rows;
    size_t B = (size_t)batch->B, T = (size_t)batch->T, stride = (size_t)fill->recipe->max_steps;
    bool ones = all_ones(rows);
    SNN_TRY(room_for(out, rows->used, !ones));
    batch->row[0] = 0;
    for (size_t t = 0; t < T; ++t)
        for (size_t b = 0; b < B; ++b) {
            int32_t n = t < (size_t)batch->length[b] ? rows->count[b * stride + t] : 0;
            batch->row[t * B + b + 1] = batch->row[t * B + b] + n;
        }
    batch->value = NULL;
    if (!rows->used) return SNN_OK; /* rows then have no memory to copy from */
    const int32_t *index = rows->index;
    const float *value = rows->value;
    for (size_t b = 0; b < B; ++b)
        for (size_t t = 0; t < (size_t)batch->length[b]; ++t) {
            int32_t n = rows->count[b * stride + t], to = batch->row[t * B + b];
            if (n) memcpy(batch->index + to, index, (size_t)n * sizeof *index);
            if (n && !ones) memcpy(out->value + to, value, (size_t)n * sizeof *value);
            index += n;
            value += n;
        }
    if (!ones) batch->value = out->value;
    return SNN_OK;
}

int snn_fill_batch(struct snn_fill *fill, const int32_t *samples, int32_t n, uint32_t epoch, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    struct snn_batch *batch = &out->batch;
    batch->B = n;
    out->cut = out->empty = 0;
    fill->rows.used = 0;
    int32_t shortest = recipe->max_steps, longest = 1;
    for (int32_t b = 0; b < n; ++b) {
        batch->sample[b] = samples[b];
        size_t before = fill->rows.used;
        SNN_TRY(add_sample(fill, b, epoch, out));
        close_sample(fill, b, before, out);
        out->empty += recipe->set->info.kind == SNN_RECORDINGS && fill->rows.used == before;
        if (batch->length[b] < shortest) shortest = batch->length[b];
        if (batch->length[b] > longest) longest = batch->length[b];
    }
    batch->T = recipe->config->pad.to == SNN_PAD_BATCH ? longest : recipe->max_steps;
    batch->masked = recipe->config->pad.mask && shortest < batch->T;
    clear_padding(out);
    if (batch->by_sample) take_entries(fill, out);
    return batch->form == SNN_BATCH_EVENTS && !batch->by_sample ? lay_out(fill, out) : SNN_OK;
}
