/* SPDX-License-Identifier: Apache-2.0
 * batch.h - what a loader hands to a trainer: one mini-batch of recordings or images.
 *
 * Events stay sparse: row (t,b) lists the input units that are non-zero in that step, so a rule that sees one step at a
 * time is never fed a tensor that grows with T. Static images are one frame for all steps. */
#ifndef SNN_BATCH_H
#define SNN_BATCH_H

#include <stdbool.h>
#include <stdint.h>

enum snn_batch_form {
    SNN_BATCH_STATIC, /* frames: (B,C,H,W), the same at every step */
    SNN_BATCH_FRAMES, /* frames: (T,B,C,H,W) */
    SNN_BATCH_EVENTS  /* row, index, value */
};

struct snn_batch {
    enum snn_batch_form form;
    int32_t T, B;    /* steps and samples of this batch */
    int32_t C, H, W; /* one step of one sample; C*H*W units, flat index (c*H+y)*W+x */
    float *frames;
    int32_t *row;    /* (T*B+1): entries row[t*B+b] .. row[t*B+b+1]-1 belong to step t of sample b */
    int32_t *index;  /* ascending within a row */
    float *value;    /* event counts; NULL when all are 1 */
    int32_t *label;  /* (B) */
    int32_t *length; /* (B) valid steps, 1..T; steps beyond are padding */
    int32_t *sample; /* (B) index in the data set: keys dropout masks */
    bool masked;     /* some length[b] < T and the config asks for masks */
};

#endif
