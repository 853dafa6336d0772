/* SPDX-License-Identifier: Apache-2.0
 * open_device: put a backend's kernel tables together. */
#ifndef SNN_TRAIN_DEVICE_H
#define SNN_TRAIN_DEVICE_H

#include <stddef.h>

#include "autograd/device.h"

/* `name`: auto | cpu | cuda[:N]. threads 0: all cores this process may use. SNN_EUSAGE when the device is not there.
 * The environment variable SNNTRAIN_ISA (base, avx2, avx512) holds the CPU back to an instruction set. */
int snn_device_open(const char *name, int threads, struct snn_device *out);
/* The N of a `name` that begins with cuda: cuda or cuda:N, N up to 1023. SNN_EUSAGE for anything else. */
int snn_device_card(const char *name, int *index);
/* "cpu (avx512, 2 threads)", "cuda:0 (NVIDIA H200, sm_90)", for people. */
void snn_device_text(const struct snn_device *device, char *out, size_t size);
void snn_device_close(struct snn_device *device);

#endif
