/* SPDX-License-Identifier: Apache-2.0
 * open_device: put a backend's kernel tables together. */
#ifndef SNN_TRAIN_DEVICE_H
#define SNN_TRAIN_DEVICE_H

#include "autograd/device.h"

/* `name`: auto | cpu | cuda[:N]. threads 0: all cores this process may use. SNN_EUSAGE when the device is not there.
 * The environment variable SNNTRAIN_ISA (base, avx2, avx512) holds the CPU back to an instruction set. */
int snn_device_open(const char *name, int threads, struct snn_device *out);
void snn_device_close(struct snn_device *device);

#endif
