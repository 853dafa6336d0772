/* SPDX-License-Identifier: Apache-2.0
 * binning.h - how a recording becomes frames: the words of `data.bin` and `data.downsample` as numbers.
 *
 * All zero is a valid choice: by count, from the first event, every unit for itself. */
#ifndef SNN_BINNING_H
#define SNN_BINNING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"

/* The rules are stated in framing.c. */
enum snn_bin_by {
    SNN_BIN_COUNT,
    SNN_BIN_TIME,
    SNN_BIN_DURATION,
    SNN_BIN_WINDOW,
    SNN_BIN_EVENTS,
    SNN_BIN_TIME_BINS,
    SNN_BIN_EVENT_BINS,
    SNN_BIN_EDGES,
    SNN_BIN_ADAPTIVE,
    SNN_BIN_VOXEL,
    SNN_BIN_RULES
};
enum snn_bin_from { SNN_BIN_FROM_FIRST, SNN_BIN_FROM_ZERO };

struct snn_binning { /* data.bin */
    int by;
    struct snn_time dt; /* of a bin or window, in seconds */
    bool binary;
    int from;         /* where the first bin begins */
    int64_t start_us; /* from zero: so much later */
    double overlap;   /* of a window: microseconds; of windows of events: events; of bins: a share */
    int64_t events;   /* of a step; adaptive: 0 for any number */
    bool incomplete;  /* keep the last window though the recording ends within it */
    bool half;        /* reckon in numbers of 16 bits */
    double until_us;  /* the last edge; where windows end, 0 for the last event */
    double tau_us;    /* of a time surface; 0: none */
};

enum snn_polarity { SNN_POLARITY_BOTH, SNN_POLARITY_MERGED, SNN_POLARITY_ON, SNN_POLARITY_OFF, SNN_POLARITY_SIGNED };

struct snn_downsample { /* data.downsample */
    int space[2];       /* rows and columns that become one; 0 as 1 */
    bool drop;          /* leave out rows and columns at the end that do not fill a group */
    int polarity;
    int64_t tick_us; /* times are cut down to multiples of it; 0: they stay */
};

#endif
