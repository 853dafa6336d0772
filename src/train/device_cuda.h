/* SPDX-License-Identifier: Apache-2.0
 * device_cuda.h - the CUDA backend, a library that is loaded when a run wants it: cuBLAS alone is half a gigabyte, and
 * the program must start where there is neither a driver nor a toolkit. */
#ifndef SNN_DEVICE_CUDA_H
#define SNN_DEVICE_CUDA_H

#include <stdbool.h>

#include "autograd/device.h"

/* Open card `index`. SNN_EUSAGE with the reason where there is none that can be used.
 * The library lies beside the program, in ../lib/snntrain or in the build folder; the environment variable
 * SNNTRAIN_CUDA names another file. */
int snn_cuda_load(int index, struct snn_device *out);
/* Is there such a library at all? */
bool snn_cuda_built(void);

#endif
