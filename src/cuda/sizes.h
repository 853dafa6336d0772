/* SPDX-License-Identifier: Apache-2.0
 * sizes.h - scratch that the CUDA kernels need, by shape: plain C, so that memory can be planned without a toolkit. */
#ifndef SNN_CUDA_SIZES_H
#define SNN_CUDA_SIZES_H

#include <stddef.h>
#include <stdint.h>

#include "autograd/conv.h"
#include "autograd/math.h"
#include "autograd/mix.h"
#include "autograd/pool.h"
#include "core/arena.h"
#include "core/batch.h"

/* ---- batches on their way ---- */

/* Of an entry of events: its index, its step where they lie by sample, its value. */
static inline size_t snn_cuda_entry_bytes(bool by_sample, bool values) {
    return sizeof(int32_t) + (by_sample ? sizeof(int32_t) : 0) + (values ? sizeof(float) : 0);
}

/* Bytes of the two places that batches take turns in (stage.cu): frames whole, events for one entry in eight units,
 * which is more than most data sets have; a denser batch makes its place larger when it comes. By sample they are
 * planned as if what goes beyond 64 steps were the same recording cut finer: eight entries a unit. */
static inline size_t snn_cuda_stage_bytes(const struct snn_batch *batch) {
    enum { PER_UNIT = 8 };
    size_t B = (size_t)batch->B, rows = (size_t)batch->T * B, numbers = snn_batch_numbers(batch);
    size_t entries = numbers / 8, most = batch->T > 0 ? numbers / (size_t)batch->T * PER_UNIT : 0;
    size_t bytes = 3 * B * sizeof(int32_t) + snn_batch_targets(batch) * sizeof(float) + 11 * SNN_ALIGN;
    if (batch->form != SNN_BATCH_EVENTS) bytes += numbers * sizeof(float);
    else if (!batch->by_sample) bytes += (rows + 1) * sizeof(int32_t) + entries * snn_cuda_entry_bytes(false, true);
    else bytes += (B + 1) * sizeof(int32_t) + (entries < most ? entries : most) * snn_cuda_entry_bytes(true, true);
    return 2 * snn_aligned(bytes);
}

/* ---- linear ---- */

/* How the weight gradient from spikes is cut: into passes over `slab` inputs, these into tiles of inputs and `outs`
 * outputs, and the rows into `parts` of `part_rows` each, whose sums meet in scratch. All of it depends on the shape
 * alone, since it decides in which order numbers are added. */
struct snn_cuda_linear_plan {
    int32_t outs;     /* of a tile: 32 or 128 */
    ptrdiff_t padded; /* outputs rounded up to whole tiles */
    ptrdiff_t slab, parts, part_rows;
    ptrdiff_t most_parts; /* of these rows or of fewer: `parts` alone may grow when rows get fewer */
};

static inline struct snn_cuda_linear_plan snn_cuda_linear_plan(const struct snn_linear_shape *shape) {
    enum {
        TILE_IN = 128,       /* inputs of the tile of a block */
        CHUNK = 64,          /* rows that are fetched at once: a part is a multiple */
        LEAST = 2 * CHUNK,   /* rows of a part that are worth a sum of its own */
        ENOUGH = 264,        /* blocks: two on each multiprocessor of a large card */
        MOST = 8 * (1 << 20) /* numbers in scratch, unless one tile a pass takes more */
    };
    struct snn_cuda_linear_plan plan;
    plan.outs = shape->out <= 64 ? 32 : 128;
    plan.padded = ((ptrdiff_t)shape->out + plan.outs - 1) / plan.outs * plan.outs;
    ptrdiff_t tiles_in = ((ptrdiff_t)shape->in + TILE_IN - 1) / TILE_IN, fit = MOST / (TILE_IN * plan.padded);
    if (tiles_in > fit) tiles_in = fit < 1 ? 1 : fit;
    plan.slab = tiles_in * TILE_IN;
    ptrdiff_t blocks = tiles_in * (plan.padded / plan.outs), most = (shape->rows + LEAST - 1) / LEAST;
    plan.parts = ENOUGH / blocks;
    if (plan.parts > most) plan.parts = most;
    if (plan.parts < 1) plan.parts = 1;
    plan.most_parts = plan.parts;
    plan.part_rows = ((shape->rows + plan.parts - 1) / plan.parts + CHUNK - 1) / CHUNK * CHUNK;
    if (plan.part_rows > 0) plan.parts = (shape->rows + plan.part_rows - 1) / plan.part_rows;
    return plan;
}

/* Bytes for the sums of the parts, (parts, inputs of a pass, padded), or, forward from lists, for the transposed
 * weights. They are planned once for the largest batch, and are enough for any batch of fewer rows. */
static inline size_t snn_cuda_linear_scratch(const struct snn_linear_shape *shape, enum snn_form x) {
    struct snn_cuda_linear_plan plan = snn_cuda_linear_plan(shape);
    ptrdiff_t inputs = shape->in < plan.slab ? shape->in : plan.slab, sums = plan.most_parts * inputs * plan.padded;
    ptrdiff_t weights = x == SNN_LISTS ? (ptrdiff_t)shape->in * shape->out : 0;
    return x == SNN_DENSE ? 0 : (size_t)(sums > weights ? sums : weights) * sizeof(real);
}

/* ---- factors ---- */

/* Warps that add up the gradient of one factor side by side. */
static inline ptrdiff_t snn_cuda_scale_parts(const struct snn_scale_shape *s) {
    enum { ENOUGH = 8192, LEAST = 256 /* numbers worth a warp */ };
    ptrdiff_t n = s->share_rows * s->share_units, most = (n + LEAST - 1) / LEAST;
    ptrdiff_t parts = ENOUGH / (s->rows / s->share_rows * (s->units / s->share_units));
    if (parts > most) parts = most;
    return parts < 1 ? 1 : parts;
}

/* ---- convolution ---- */

/* Images pass in chunks; a chunk is matrices with a column for each output pixel of each image (conv.cu): the unfolded
 * input (taps, columns), the output or its gradient (O, columns), and for the weight gradient `parts` products of
 * (O, taps of a group), each over an equal share of the columns. */
struct snn_cuda_conv_layout {
    ptrdiff_t taps;   /* C * kd * kh * kw, of all groups together */
    ptrdiff_t pixels; /* OD * OH * OW */
    ptrdiff_t images; /* of a chunk, at least 1 */
    int32_t parts;    /* 1: the product is added to the weight gradient at once */
};

/* Columns of a chunk, padded so that every part starts at a multiple of four. */
static inline ptrdiff_t snn_cuda_conv_columns(const struct snn_cuda_conv_layout *l, ptrdiff_t images) {
    ptrdiff_t length = (images * l->pixels + l->parts - 1) / l->parts;
    return (length + 3) / 4 * 4 * l->parts;
}

enum { SNN_CUDA_CONV_CHUNK = 1 << 24 }; /* numbers that a chunk should have: they lie in the cache of a large card */

/* Images of a chunk at most. */
static inline ptrdiff_t snn_cuda_conv_most_images(const struct snn_conv_shape *s) {
    enum { MOST_COLUMNS = 1 << 30 };
    ptrdiff_t taps = s->C * snn_conv_taps(s), pixels = snn_conv_out_pixels(s), in = snn_conv_in_pixels(s);
    ptrdiff_t larger = in > pixels ? in : pixels;
    ptrdiff_t most = SNN_CUDA_CONV_CHUNK / ((taps + s->O) * pixels), widest = MOST_COLUMNS / larger;
    if (most > widest) most = widest;
    return most < 1 ? 1 : most;
}

/* Parts of the weight gradient of a chunk: a product of few tiles is cut into parts of some length until there are as
 * many as a large card runs at a time. More images never make fewer parts. */
static inline int32_t snn_cuda_conv_parts(const struct snn_conv_shape *s, ptrdiff_t images) {
    enum { TILE = 64, TILES = 528, LENGTH = 512, MOST_PARTS = 64 };
    ptrdiff_t taps = s->C * snn_conv_taps(s) / s->groups, channels = s->O / s->groups;
    ptrdiff_t tiles = ((taps + TILE - 1) / TILE) * ((channels + TILE - 1) / TILE) * s->groups;
    ptrdiff_t parts = TILES / tiles, longest = images * snn_conv_out_pixels(s) / LENGTH;
    ptrdiff_t largest = SNN_CUDA_CONV_CHUNK / (s->O * taps);
    if (parts > longest) parts = longest;
    if (parts > largest) parts = largest;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    return (int32_t)(parts < 1 ? 1 : parts);
}

static inline struct snn_cuda_conv_layout snn_cuda_conv_layout(const struct snn_conv_shape *s, ptrdiff_t rows) {
    struct snn_cuda_conv_layout l;
    l.taps = s->C * snn_conv_taps(s), l.pixels = snn_conv_out_pixels(s);
    ptrdiff_t most = snn_cuda_conv_most_images(s), chunks = rows < 1 ? 1 : (rows + most - 1) / most;
    l.images = rows < 1 ? 1 : (rows + chunks - 1) / chunks;
    l.parts = snn_cuda_conv_parts(s, l.images);
    return l;
}

/* Bytes, planned once for the largest batch and enough for any batch of fewer rows: as these may make larger chunks
 * (chunks are equal), the room is that of the largest chunk there can be, with its padding. Lists are expanded chunk by
 * chunk, behind all else. */
static inline size_t snn_cuda_conv_scratch(const struct snn_conv_shape *s, ptrdiff_t rows, enum snn_form x) {
    ptrdiff_t most = snn_cuda_conv_most_images(s), images = rows < 1 ? 1 : rows < most ? rows : most;
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, images);
    ptrdiff_t numbers = (l.taps + s->O) * (images * l.pixels + 4 * (ptrdiff_t)l.parts);
    if (l.parts > 1) numbers += l.parts * s->O * (l.taps / s->groups);
    if (x == SNN_LISTS) numbers += images * s->C * snn_conv_in_pixels(s);
    return (size_t)numbers * sizeof(real);
}

/* A convolution with one tap multiplies the pixels of an image where they lie, if they are enough to fill a product. */
static inline bool snn_cuda_conv_is_pointwise(const struct snn_conv_shape *s) {
    enum { ENOUGH_PIXELS = 64 };
    bool plain = snn_conv_taps(s) == 1 && s->groups == 1 && snn_conv_in_pixels(s) >= ENOUGH_PIXELS;
    for (int i = 0; i < SNN_CONV_AXES; ++i) plain = plain && s->stride[i] == 1 && !s->padding[i];
    return plain;
}

/* Shares of the rows that the bias gradient of a transposed convolution is summed up in. */
static inline int32_t snn_cuda_conv_bias_parts(ptrdiff_t rows, int32_t channels, ptrdiff_t pixels) {
    enum { BLOCKS = 1024, LEAST = 4096 /* numbers of a share */ };
    ptrdiff_t parts = BLOCKS / channels, most = rows * pixels / LEAST;
    if (parts > most) parts = most;
    if (parts > rows) parts = rows;
    return (int32_t)(parts < 1 ? 1 : parts);
}

#endif
