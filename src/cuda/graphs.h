/* SPDX-License-Identifier: Apache-2.0
 * graphs.h - a step is queued kernel by kernel the first time, captured as a CUDA graph the second time, and from then
 * on started with one call.
 *
 * The first time is not captured because the driver loads kernels when they are first used, which a capture may not
 * survive; a shape that comes only once costs no graph. SNNTRAIN_CUDA_GRAPHS=0 in the environment switches graphs off,
 * for profilers that look into kernels. */
#ifndef SNN_CUDA_GRAPHS_H
#define SNN_CUDA_GRAPHS_H

#include "cuda/backend.h"

int cuda_graphs_open(struct snn_cuda *cuda); /* -1: out of memory */
void cuda_graphs_close(struct snn_cuda *cuda);
void cuda_drop_graphs(struct snn_cuda *cuda);
int cuda_run(struct snn_device *device, const struct snn_work_key *key, void (*work)(void *payload), void *payload);
void cuda_forget(struct snn_device *device);

#endif
