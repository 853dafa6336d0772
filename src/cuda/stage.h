/* SPDX-License-Identifier: Apache-2.0
 * stage.h - batches on their way to the device: two places that take turns, so that the copy of one runs on a stream of
 * its own while the device works on the other. */
#ifndef SNN_CUDA_STAGE_H
#define SNN_CUDA_STAGE_H

#include "cuda/backend.h"

int cuda_stage_open(struct snn_cuda *cuda); /* -1: out of memory */
void cuda_stage_close(struct snn_cuda *cuda);
int cuda_stage(struct snn_device *device, const struct snn_batch *batch, struct snn_batch *staged);
/* Which of the two places holds the last batch. */
int cuda_stage_place(const struct snn_cuda *cuda);

#endif
