/* SPDX-License-Identifier: Apache-2.0
 * status.h - how a failure travels: a negative code, and one sentence a thread.
 *
 * What the world does wrong (files, keys, memory) is a status; what we do wrong is an assert. The sentence is
 * written where the failure is understood and is not overwritten on the way up. The codes are the negated exit
 * codes of the program. */
#ifndef SNN_STATUS_H
#define SNN_STATUS_H

#include <stddef.h>

enum snn_status {
    SNN_OK = 0,
    SNN_EFAIL = -1,  /* failed while running: NaN, out of memory, disk full */
    SNN_EUSAGE = -2, /* wrong usage or config, absent device, plan that does not fit, existing run folder */
    SNN_EDATA = -3,  /* data or checkpoint missing or corrupt */
    SNN_EINTR = -130 /* interrupted by a signal, after saving */
};

/* Store the sentence (at most 1023 bytes) for this thread and return `code`. It stays one line: control characters,
 * which names of files and keys may hold, become blanks. */
int snn_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last sentence of this thread; "" when there is none. Valid until the next snn_error of the thread. */
const char *snn_error_text(void);

/* Forward a failure to the caller. */
#define SNN_TRY(expr)                                                                                                  \
    do {                                                                                                               \
        int snn_try_ = (expr);                                                                                         \
        if (snn_try_ < 0) return snn_try_;                                                                             \
    } while (0)

/* A mistake of ours: say where and what, and stop. Active in every build. */
#define SNN_CHECK(cond, ...)                                                                                           \
    do {                                                                                                               \
        if (!(cond)) snn_panic(__FILE__, __LINE__, #cond, __VA_ARGS__);                                                \
    } while (0)

void snn_panic(const char *file, int line, const char *cond, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

#endif
