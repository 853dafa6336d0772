/* SPDX-License-Identifier: Apache-2.0
 * fill.c - samples into one batch: framed or coded, padded, and laid out step by step or by sample.
 *
 * A sample is opened (read, augmented, its length found) and then gives its steps: all at once, or where recordings
 * come in pieces some for each batch, between which it stays open. */
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
    return snn_error(SNN_EFAIL, "out of memory for batches of %d samples in %d steps", recipe->batch, recipe->steps);
}

/* Labels are shares of classes. */
static bool is_mixed(const struct snn_recipe *recipe) { return recipe->augment && snn_augment_mixes(recipe->config); }

int snn_filled_open(const struct snn_recipe *recipe, struct snn_filled *out) {
    size_t B = (size_t)recipe->batch;
    const struct snn_dataset_info *info = &recipe->set->info;
    *out = (struct snn_filled){.batch = {.form = form_of(recipe),
                                         .T = recipe->steps,
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
    else good &= (batch->row = calloc(B * (size_t)recipe->steps + 1, sizeof *batch->row)) != NULL;
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

static bool in_pieces(const struct snn_recipe *recipe) { return recipe->steps < recipe->max_steps; }

static int make_canvas(const struct snn_recipe *recipe, struct snn_canvas *out) {
    size_t units = (size_t)units_of(recipe);
    memcpy(out->shape, recipe->shape, sizeof out->shape);
    out->seen = calloc((units + 63) / 64, sizeof *out->seen);
    out->value = calloc(units, sizeof *out->value);
    return out->seen && out->value ? SNN_OK : no_memory(recipe);
}

int snn_fill_open(const struct snn_recipe *recipe, struct snn_fill *out) {
    *out = (struct snn_fill){.recipe = recipe, .open = in_pieces(recipe) ? recipe->batch : 1};
    out->rate = snn_rate_of(recipe->config->mean, recipe->config->std, recipe->config->gain);
    out->opened = calloc((size_t)out->open, sizeof *out->opened);
    if (!out->opened) return no_memory(recipe);
    if (recipe->augment) SNN_TRY(snn_augmenting_open(recipe, &out->augmenting));
    if (form_of(recipe) != SNN_BATCH_EVENTS) return SNN_OK;
    size_t samples = recipe->by_sample ? 1 : (size_t)recipe->batch;
    out->rows.by_sample = recipe->by_sample;
    out->rows.count = calloc(samples * (size_t)recipe->steps, sizeof *out->rows.count);
    int status = out->rows.count ? make_canvas(recipe, &out->canvas) : no_memory(recipe);
    for (int32_t b = 0; status == SNN_OK && b < out->open && snn_canvas_stays(recipe->config); ++b)
        status = make_canvas(recipe, &out->opened[b].canvas);
    if (status < 0) snn_fill_free(out);
    return status;
}

static void free_canvas(struct snn_canvas *canvas) {
    free(canvas->seen);
    free(canvas->value);
}

void snn_fill_free(struct snn_fill *fill) {
    for (int32_t b = 0; fill->opened && b < fill->open; ++b) {
        snn_sample_free(&fill->opened[b].sample);
        snn_events_stream_close(&fill->opened[b].stream);
        free_canvas(&fill->opened[b].canvas);
    }
    free(fill->opened);
    free_canvas(&fill->canvas);
    snn_augmenting_free(&fill->augmenting);
    snn_rows_free(&fill->rows);
    snn_cache_bytes_free(&fill->bytes);
    *fill = (struct snn_fill){0};
}

/* Where the entries of the steps of sample b are counted; NULL: nobody counts. */
static int32_t *count_of(const struct snn_fill *fill, int32_t b) {
    size_t place = fill->recipe->by_sample ? 0 : (size_t)b;
    return fill->rows.count ? fill->rows.count + place * (size_t)fill->recipe->steps : NULL;
}

/* Append the units of the step on the canvas in ascending order; returns how many there were. The canvas is blank then,
 * unless it `stays` for the next step. */
static int32_t append_step(struct snn_rows *rows, struct snn_canvas *canvas, int32_t units, bool stays) {
    int32_t *restrict index = rows->index + rows->used, n = 0;
    float *restrict out = rows->value + rows->used, *restrict value = canvas->value;
    for (int32_t word = 0; word < (units + 63) / 64; ++word) {
        for (uint64_t bits = canvas->seen[word]; bits; bits &= bits - 1) {
            int32_t unit = word * 64 + __builtin_ctzll(bits);
            index[n] = unit;
            out[n] = value[unit];
            n += value[unit] != 0; /* ON and OFF may have cancelled */
            if (!stays) value[unit] = 0;
        }
        if (!stays) canvas->seen[word] = 0;
    }
    rows->used += (size_t)n;
    return n;
}

/* The next `steps` steps of a recording. As snn_bin_events, but only what is not zero. */
static int frame(struct snn_fill *fill, struct snn_opened *opened, int32_t steps, int32_t *count) {
    const struct snn_recipe *recipe = fill->recipe;
    size_t units = (size_t)units_of(recipe);
    bool stays = snn_canvas_stays(recipe->config);
    struct snn_canvas *canvas = stays ? &opened->canvas : &fill->canvas;
    for (int32_t t = 0; t < steps; ++t) {
        struct snn_step step = snn_framing_next(&opened->framing);
        size_t most = !stays ? step.end - step.begin : opened->stream ? units : step.end; /* units that may be met */
        count[t] = 0;
        if (!most) continue;
        SNN_TRY(snn_rows_room(&fill->rows, most < units ? most : units));
        snn_canvas_add(canvas, recipe->config, &opened->framing, step);
        count[t] = append_step(&fill->rows, canvas, (int32_t)units, stays);
    }
    return SNN_OK;
}

/* Steps t0 .. t0+steps-1 of a sequence, which a still sample is one step of, as sample b of the batch: steps after its
 * length are written when all lengths are known. */
static void place_numbers(const struct snn_fill *fill, const struct snn_opened *opened, int32_t b, int32_t t0,
                          int32_t steps, struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    size_t units = (size_t)units_of(fill->recipe), B = (size_t)batch->B;
    if (batch->form == SNN_BATCH_STATIC) steps = 1;
    const float *from = opened->sample.numbers + (size_t)t0 * units;
    for (int32_t t = 0; t < steps; ++t)
        memcpy(batch->frames + ((size_t)t * B + (size_t)b) * units, from + (size_t)t * units,
               units * sizeof *batch->frames);
}

/* The same where its numbers are spikes: what is not zero, as rows. */
static int list_numbers(struct snn_fill *fill, const struct snn_opened *opened, int32_t t0, int32_t steps,
                        int32_t *count) {
    struct snn_rows *rows = &fill->rows;
    int32_t units = units_of(fill->recipe);
    const float *number = opened->sample.numbers + (size_t)t0 * (size_t)units;
    for (int32_t t = 0; t < steps; ++t, number += units) {
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

/* Of the sample, or of steps t0 .. t0+steps-1. */
static void place_target(const struct snn_opened *opened, int32_t b, int32_t t0, int32_t steps,
                         struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    size_t K = (size_t)batch->targets, B = (size_t)batch->B;
    const float *from = opened->sample.target + (batch->target_steps ? (size_t)t0 * K : 0);
    if (!batch->target_steps) steps = 1;
    for (int32_t t = 0; t < steps; ++t)
        memcpy(batch->target + ((size_t)t * B + (size_t)b) * K, from + (size_t)t * K, K * sizeof *batch->target);
}

/* Zeros behind the ends of sequences and of their targets: the batch before this one may have left something there. */
static void clear_padding(struct snn_filled *out) {
    const struct snn_batch *batch = &out->batch;
    if (batch->form != SNN_BATCH_FRAMES && !batch->target_steps) return;
    size_t B = (size_t)batch->B, K = (size_t)batch->targets,
           units = (size_t)batch->C * (size_t)batch->H * (size_t)batch->W;
    for (size_t b = 0; b < B; ++b)
        for (size_t t = (size_t)snn_batch_valid(batch, (int32_t)b); t < (size_t)batch->T; ++t) {
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
static bool take_rows(struct snn_fill *fill, struct snn_opened *opened, int32_t index, int32_t *count) {
    const struct snn_recipe *recipe = fill->recipe;
    if (!snn_cache_get(recipe->cache, index, &fill->bytes)) return false;
    if (!snn_unpack_rows(&fill->bytes, units_of(recipe), recipe->longest, &fill->rows, count, &opened->length,
                         &opened->cut)) {
        snn_cache_reject(recipe->cache, index);
        return false;
    }
    opened->sample.label = recipe->set->ops->label(recipe->set, recipe->split, index);
    return true;
}

/* ---- a batch ---- */

static void downsample(const struct snn_recipe *recipe, struct snn_sample *sample) {
    const struct snn_dataset_info *info = &recipe->set->info;
    sample->event_count = snn_bin_downsample(&recipe->config->downsample, (const int32_t[3]){info->C, info->H, info->W},
                                             sample->events, sample->event_count);
}

/* A recording: its steps can be asked for. `extent`: of one whose events are still to be read. */
static void open_recording(const struct snn_recipe *recipe, struct snn_opened *opened,
                           const struct snn_events_extent *extent) {
    const struct snn_data_config *config = recipe->config;
    const struct snn_binning *bin = &config->bin;
    struct snn_sample *sample = &opened->sample;
    if (!extent) downsample(recipe, sample);
    if (snn_bin_has_own_steps(bin)) {
        int32_t own =
            extent ? snn_extent_steps(bin, extent) : snn_bin_own_steps(bin, sample->events, sample->event_count);
        opened->cut = own > opened->length;
        if (own < opened->length) opened->length = own;
    }
    opened->framing = extent ? snn_extent_framing(bin, opened->length, extent)
                             : snn_framing_start(bin, opened->length, sample->events, sample->event_count);
    if (!snn_canvas_stays(config)) return;
    struct snn_canvas *canvas = &opened->canvas;
    size_t units = (size_t)units_of(recipe);
    memset(canvas->value, 0, units * sizeof *canvas->value);
    memset(canvas->seen, 0, (units + 63) / 64 * sizeof *canvas->seen);
    canvas->read = 0;
}

/* Shares of classes, where labels are mixed. */
static int mix_labels(struct snn_fill *fill, struct snn_opened *opened) {
    int32_t classes = fill->recipe->set->info.classes;
    SNN_TRY(snn_sample_room_for_numbers(&opened->sample, 0, (size_t)classes));
    snn_augment_target(&fill->augmenting, classes, opened->sample.target);
    return SNN_OK;
}

/* Where sample `index` is a recording that is read piece by piece: begin. */
static int open_stream(const struct snn_recipe *recipe, struct snn_opened *opened, int32_t index,
                       const struct snn_events_extent **extent) {
    struct snn_dataset *set = recipe->set;
    snn_events_stream_close(&opened->stream);
    *extent = recipe->streams ? snn_extent_of(set, recipe->split, index) : NULL;
    if (!*extent) return SNN_OK;
    opened->sample.label = set->ops->label(set, recipe->split, index);
    return set->ops->stream(set, recipe->split, index, *extent, &opened->stream);
}

/* The events of the next steps of such a one. */
static int read_on(const struct snn_recipe *recipe, struct snn_opened *opened, int32_t steps) {
    struct snn_sample *sample = &opened->sample;
    if (!opened->stream) return SNN_OK;
    SNN_TRY(snn_stream_steps(opened->stream, steps, &opened->framing, sample));
    downsample(recipe, sample);
    snn_framing_go_on(&opened->framing, sample->events, sample->event_count);
    return SNN_OK;
}

/* Read sample `index`. */
static int open_sample(struct snn_fill *fill, struct snn_opened *opened, int32_t index, uint32_t epoch) {
    const struct snn_recipe *recipe = fill->recipe;
    const struct snn_dataset_info *info = &recipe->set->info;
    struct snn_sample *sample = &opened->sample;
    const struct snn_events_extent *extent;
    SNN_TRY(open_stream(recipe, opened, index, &extent));
    if (!extent) SNN_TRY(snn_recipe_get(recipe, index, sample, &fill->bytes));
    if (recipe->augment) SNN_TRY(snn_augment_sample(&fill->augmenting, sample, index, epoch));
    if (is_mixed(recipe)) SNN_TRY(mix_labels(fill, opened));
    opened->length = recipe->longest, opened->cut = false, opened->entries = 0;
    if (info->kind == SNN_RECORDINGS) open_recording(recipe, opened, extent);
    if (info->kind == SNN_SEQUENCES && !snn_dataset_is_still(info)) {
        opened->cut = sample->steps > opened->length;
        if (sample->steps < opened->length) opened->length = sample->steps;
    }
    return SNN_OK;
}

/* Steps t0 .. t0+steps-1 of a sample, which all follow those before, as rows or as frames of sample b. */
static int put_steps(struct snn_fill *fill, struct snn_opened *opened, int32_t b, int32_t t0, int32_t steps,
                     uint32_t epoch, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    const struct snn_data_config *config = recipe->config;
    const struct snn_dataset_info *info = &recipe->set->info;
    const uint8_t *pixels = opened->sample.pixels;
    int32_t *count = count_of(fill, b), units = units_of(recipe);
    if (out->batch.targets) place_target(opened, b, t0, steps, out);
    if (info->spikes) return list_numbers(fill, opened, t0, steps, count);
    if (info->kind == SNN_RECORDINGS) {
        SNN_TRY(read_on(recipe, opened, steps));
        return frame(fill, opened, steps, count);
    }
    if (info->kind == SNN_SEQUENCES) {
        place_numbers(fill, opened, b, t0, steps, out);
        return SNN_OK;
    }
    switch (config->coding) {
    case SNN_CODING_DIRECT:
        snn_code_direct(pixels, units, config->mean, config->std, out->batch.frames + (size_t)b * (size_t)units);
        return SNN_OK;
    case SNN_CODING_RATE:
        return snn_code_rate(pixels, units, steps, &fill->rate, recipe->seed, epoch, (uint32_t)out->batch.sample[b],
                             count, &fill->rows);
    default:
        return snn_code_latency(pixels, units, steps, count, &fill->rows);
    }
}

/* All steps of sample b at once; those of a recording may lie in the cache. */
static int add_whole(struct snn_fill *fill, int32_t b, uint32_t epoch, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    struct snn_opened *opened = fill->opened;
    int32_t index = out->batch.sample[b], *count = count_of(fill, b);
    bool keeps_rows = recipe->cache && recipe->stored == SNN_STORED_ROWS;
    if (keeps_rows && take_rows(fill, opened, index, count)) return SNN_OK;
    int64_t warnings = keeps_rows ? warnings_of(recipe) : 0;
    SNN_TRY(open_sample(fill, opened, index, epoch));
    size_t first = fill->rows.used;
    SNN_TRY(put_steps(fill, opened, b, 0, opened->length, epoch, out));
    if (keeps_rows && warnings_of(recipe) == warnings &&
        snn_pack_rows(&fill->rows, count, first, opened->length, opened->cut, &fill->bytes))
        snn_cache_put(recipe->cache, index, &fill->bytes);
    return SNN_OK;
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
    const int32_t steps = snn_batch_valid(&out->batch, b);
    for (int32_t t = 0; t < steps; ++t)
        for (int32_t i = 0; i < count[t]; ++i) fill->rows.step[first++] = t;
    SNN_CHECK(first == fill->rows.used, "entries of sample %d lie beyond its %d steps", b, steps);
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
    size_t B = (size_t)batch->B, T = (size_t)batch->T, stride = (size_t)fill->recipe->steps;
    bool ones = all_ones(rows);
    SNN_TRY(room_for(out, rows->used, !ones));
    batch->row[0] = 0;
    for (size_t t = 0; t < T; ++t)
        for (size_t b = 0; b < B; ++b) {
            int32_t n = (int32_t)t < snn_batch_valid(batch, (int32_t)b) ? rows->count[b * stride + t] : 0;
            batch->row[t * B + b + 1] = batch->row[t * B + b] + n;
        }
    batch->value = NULL;
    if (!rows->used) return SNN_OK; /* rows then have no memory to copy from */
    const int32_t *index = rows->index;
    const float *value = rows->value;
    for (size_t b = 0; b < B; ++b)
        for (size_t t = 0; t < (size_t)snn_batch_valid(batch, (int32_t)b); ++t) {
            int32_t n = rows->count[b * stride + t], to = batch->row[t * B + b];
            if (n) memcpy(batch->index + to, index, (size_t)n * sizeof *index);
            if (n && !ones) memcpy(out->value + to, value, (size_t)n * sizeof *value);
            index += n;
            value += n;
        }
    if (!ones) batch->value = out->value;
    return SNN_OK;
}

/* All samples are in, and T is known: what lies behind their ends, and the order of their entries. */
static int close_batch(struct snn_fill *fill, struct snn_filled *out) {
    struct snn_batch *batch = &out->batch;
    clear_padding(out);
    if (batch->by_sample) take_entries(fill, out);
    return batch->form == SNN_BATCH_EVENTS && !batch->by_sample ? lay_out(fill, out) : SNN_OK;
}

/* Steps of the whole, once lengths are known, and whether some recording has fewer. */
static void settle_whole(const struct snn_recipe *recipe, struct snn_batch *batch) {
    int32_t shortest = recipe->max_steps, longest = 1;
    for (int32_t b = 0; b < batch->B; ++b) {
        if (batch->length[b] < shortest) shortest = batch->length[b];
        if (batch->length[b] > longest) longest = batch->length[b];
    }
    batch->whole = recipe->config->pad.to == SNN_PAD_BATCH ? longest : recipe->max_steps;
    batch->masked = recipe->config->pad.mask && shortest < batch->whole;
}

static void close_opened(const struct snn_opened *opened, int32_t b, struct snn_filled *out) {
    out->batch.length[b] = opened->length, out->batch.label[b] = opened->sample.label;
}

static bool is_empty(const struct snn_recipe *recipe, size_t entries) {
    return recipe->set->info.kind == SNN_RECORDINGS && !entries;
}

static int fill_whole(struct snn_fill *fill, uint32_t epoch, struct snn_filled *out) {
    struct snn_batch *batch = &out->batch;
    batch->T = fill->recipe->steps, batch->t0 = 0;
    for (int32_t b = 0; b < batch->B; ++b) {
        size_t before = fill->rows.used;
        SNN_TRY(add_whole(fill, b, epoch, out));
        close_opened(fill->opened, b, out);
        close_sample(fill, b, before, out);
        out->cut += fill->opened->cut, out->empty += is_empty(fill->recipe, fill->rows.used - before);
    }
    settle_whole(fill->recipe, batch);
    batch->T = batch->whole;
    return close_batch(fill, out);
}

/* Piece `piece` of the opened samples; those before it have passed. */
static int fill_piece(struct snn_fill *fill, int32_t piece, uint32_t epoch, struct snn_filled *out) {
    const struct snn_recipe *recipe = fill->recipe;
    struct snn_batch *batch = &out->batch;
    for (int32_t b = 0; b < batch->B; ++b) close_opened(&fill->opened[b], b, out);
    settle_whole(recipe, batch);
    batch->t0 = piece * recipe->steps;
    int32_t left = batch->whole - batch->t0;
    batch->T = left < 0 ? 0 : left < recipe->steps ? left : recipe->steps;
    for (int32_t b = 0; b < batch->B && batch->T; ++b) {
        struct snn_opened *opened = &fill->opened[b];
        size_t before = fill->rows.used;
        SNN_TRY(put_steps(fill, opened, b, batch->t0, snn_batch_valid(batch, b), epoch, out));
        close_sample(fill, b, before, out);
        opened->entries += fill->rows.used - before;
        if (opened->length <= batch->t0 + batch->T) snn_events_stream_close(&opened->stream);
        out->cut += !piece && opened->cut;
        out->empty += snn_batch_ends(batch) && is_empty(recipe, opened->entries);
    }
    return batch->T ? close_batch(fill, out) : SNN_OK;
}

static void start_batch(struct snn_fill *fill, const int32_t *samples, int32_t n, struct snn_filled *out) {
    out->batch.B = n;
    out->cut = out->empty = 0;
    fill->rows.used = 0;
    memcpy(out->batch.sample, samples, (size_t)n * sizeof *samples);
}

int snn_fill_batch(struct snn_fill *fill, const int32_t *samples, int32_t n, uint32_t epoch, int32_t piece,
                   struct snn_filled *out) {
    start_batch(fill, samples, n, out);
    if (!in_pieces(fill->recipe)) return fill_whole(fill, epoch, out);
    if (!piece || fill->next != piece) {
        for (int32_t b = 0; b < n; ++b) SNN_TRY(open_sample(fill, &fill->opened[b], samples[b], epoch));
        for (fill->next = 0; fill->next < piece; ++fill->next) { /* a run goes on that was stopped there */
            SNN_TRY(fill_piece(fill, fill->next, epoch, out));
            start_batch(fill, samples, n, out);
        }
    }
    fill->next = piece + 1;
    return fill_piece(fill, piece, epoch, out);
}
