/* SPDX-License-Identifier: Apache-2.0
 * watch.h - long work says how far it is, and hears whether to stop.
 *
 * What works knows nothing of terminals and signals; whoever started it draws a bar, or does not. */
#ifndef SNN_WATCH_H
#define SNN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

struct snn_watch {
    /* `done` of `total` (0: not known); false: stop. NULL: nobody watches. */
    bool (*moved)(void *payload, int64_t done, int64_t total);
    void *payload;
};

/* SNN_EINTR when the work is to stop. */
static inline int snn_watch_moved(const struct snn_watch *watch, int64_t done, int64_t total) {
    if (!watch->moved || watch->moved(watch->payload, done, total)) return SNN_OK;
    return snn_error(SNN_EINTR, "interrupted");
}

#endif
