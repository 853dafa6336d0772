/* SPDX-License-Identifier: Apache-2.0
 * batch.h - what a loader hands to a trainer: one mini-batch of recordings or images.
 *
 * Events stay sparse: row (t,b) lists the input units that are non-zero in that step. For a rule that looks at a few
 * steps at a time they are laid out by sample instead, each with its step: where the rows of a cut begin is found when
 * it comes, and nothing grows with T but what the recording itself has. Static images are one frame for all steps;
 * frames of many steps, and targets for every step, are as long as they are.
 *
 * Recordings may also come in pieces (data.pieces): batches of the same samples, one behind the other, of a few of
 * their steps each. `length` then counts from the recording's beginning, as everything does but what lies in the
 * arrays. */
#ifndef SNN_BATCH_H
#define SNN_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum snn_batch_form {
    SNN_BATCH_STATIC, /* frames: (B,C,H,W), the same at every step */
    SNN_BATCH_FRAMES, /* frames: (T,B,C,H,W) */
    SNN_BATCH_EVENTS  /* row, or first and step; index, value */
};

struct snn_batch {
    enum snn_batch_form form;
    int32_t T, B;    /* steps and samples of this batch */
    int32_t t0;      /* steps of these recordings that batches before this one had */
    int32_t whole;   /* steps of them in all; 0: T */
    int32_t stride;  /* samples from a step to the next: of the batch that this is a slice of; 0: B */
    int32_t C, H, W; /* one step of one sample; C*H*W units, flat index (c*H+y)*W+x */
    float *frames;
    bool by_sample;  /* events: first and step stand for row */
    int32_t *row;    /* (T*B+1): entries row[t*stride+b] .. row[t*stride+b+1]-1 belong to step t of sample b */
    int32_t *first;  /* (B+1): entries first[b] .. first[b+1]-1 belong to sample b */
    int32_t *step;   /* (entries) of each; ascending within a sample */
    int32_t *index;  /* ascending within a row */
    float *value;    /* event counts; NULL when all are 1 */
    int32_t *label;  /* (B) */
    float *target;   /* (B,targets), or (T,B,targets) with the rows' stride when target_steps; NULL: labels alone */
    int32_t targets; /* numbers a row of target */
    bool target_steps;
    int32_t *length; /* (B) valid steps of the recording, from 1; steps beyond are padding */
    int32_t *sample; /* (B) index in the data set: keys dropout masks */
    bool masked;     /* some recording is shorter than the batch's and the config asks for masks */
};

/* Steps of its recordings, of which it may be a piece; is it the last one, and is there no other? */
static inline int32_t snn_batch_whole(const struct snn_batch *batch) { return batch->whole ? batch->whole : batch->T; }
static inline bool snn_batch_ends(const struct snn_batch *batch) {
    return batch->t0 + batch->T == snn_batch_whole(batch);
}
static inline bool snn_batch_is_piece(const struct snn_batch *batch) { return batch->T != snn_batch_whole(batch); }
/* What is to come of its recordings, in recordings. */
static inline double snn_batch_left(const struct snn_batch *batch) {
    int32_t whole = snn_batch_whole(batch);
    return (double)batch->B * (double)(whole - batch->t0 - batch->T) / (double)whole;
}
/* Valid steps of sample b in this batch. */
static inline int32_t snn_batch_valid(const struct snn_batch *batch, int32_t b) {
    int32_t left = batch->length[b] - batch->t0;
    return left < 0 ? 0 : left > batch->T ? batch->T : left;
}

static inline int32_t snn_batch_stride(const struct snn_batch *batch) {
    return batch->stride ? batch->stride : batch->B;
}

/* Numbers in `frames` (of events: as many as they would be), and entries in `index` and `value`. */
static inline size_t snn_batch_numbers(const struct snn_batch *batch) {
    size_t units = (size_t)batch->C * (size_t)batch->H * (size_t)batch->W;
    return (size_t)(batch->form == SNN_BATCH_STATIC ? 1 : batch->T) * (size_t)batch->B * units;
}
static inline size_t snn_batch_entries(const struct snn_batch *batch) {
    if (batch->form != SNN_BATCH_EVENTS) return 0;
    return (size_t)(batch->by_sample ? batch->first[batch->B] : batch->row[(size_t)batch->T * (size_t)batch->B]);
}
/* Numbers in `target`, should there be one. */
static inline size_t snn_batch_targets(const struct snn_batch *batch) {
    return (size_t)(batch->target_steps ? batch->T : 1) * (size_t)batch->B * (size_t)batch->targets;
}

/* Samples first .. first+count-1, as a batch over the same memory. */
static inline struct snn_batch snn_batch_slice(const struct snn_batch *batch, int32_t first, int32_t count) {
    struct snn_batch slice = *batch;
    int64_t units = (int64_t)batch->C * batch->H * batch->W;
    slice.B = count;
    slice.stride = snn_batch_stride(batch);
    slice.frames = batch->frames ? batch->frames + first * units : batch->frames;
    slice.row = batch->row ? batch->row + first : batch->row;
    slice.first = batch->first ? batch->first + first : batch->first;
    slice.label += first, slice.length += first, slice.sample += first;
    if (slice.target) slice.target += (int64_t)first * batch->targets;
    return slice;
}

#endif
