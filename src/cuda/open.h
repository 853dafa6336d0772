/* SPDX-License-Identifier: Apache-2.0
 * open.h - the two functions by which the program reaches a backend that it loads at run time. Plain C. */
#ifndef SNN_CUDA_OPEN_H
#define SNN_CUDA_OPEN_H

#include "autograd/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records a sentence and returns the status: core/status.h's snn_error, which lives in the program. */
typedef int snn_cuda_fail(int status, const char *format, ...);

/* The version of snntrain that the library was built with: its structs are those of no other. */
__attribute__((visibility("default"))) const char *snn_cuda_version(void);
/* Open card `index`; `out` is given back with out->close. SNN_EUSAGE when there is none that can be used. */
__attribute__((visibility("default"))) int snn_cuda_open(int index, snn_cuda_fail *fail, struct snn_device *out);

#ifdef __cplusplus
}
#endif

#endif
