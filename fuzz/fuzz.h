/* SPDX-License-Identifier: Apache-2.0
 * fuzz.h - what the fuzz targets share: a claim that stops the fuzzer when it is false.
 *
 * A target feeds hostile bytes to a reader. It may refuse them with a sentence; what it accepts must hold what the
 * target claims. */
#ifndef SNN_FUZZ_H
#define SNN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert, in every build, and with the sentence of the failed call. */
#define CLAIM(condition)                                                                                               \
    do {                                                                                                               \
        if (condition) break;                                                                                          \
        fprintf(stderr, "%s:%d: not so: %s\nlast error: %s\n", __FILE__, __LINE__, #condition, snn_error_text());      \
        abort();                                                                                                       \
    } while (0)

/* A refusal has one of the program's codes and says something, in one line. */
static inline void claim_refused(int status) {
    CLAIM(status == SNN_EFAIL || status == SNN_EUSAGE || status == SNN_EDATA);
    CLAIM(*snn_error_text() && !strchr(snn_error_text(), '\n'));
}

#endif
