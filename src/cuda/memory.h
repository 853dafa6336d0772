/* SPDX-License-Identifier: Apache-2.0
 * memory.h - of memory.cu: the ring that uploads go through. */
#ifndef SNN_CUDA_MEMORY_H
#define SNN_CUDA_MEMORY_H

#include "cuda/backend.h"

int cuda_ring_open(struct snn_cuda *cuda); /* -1: out of memory */
void cuda_ring_close(struct snn_cuda *cuda);

#endif
