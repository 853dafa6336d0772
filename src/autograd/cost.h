/* SPDX-License-Identifier: Apache-2.0
 * cost.h - what a backend would queue: kernels with the bytes they move and the operations they do.
 *
 * A device that only counts stands in for a real one, so that a step can be judged on machines without a card. Nothing
 * here is measured, and nothing is computed. */
#ifndef SNN_COST_H
#define SNN_COST_H

#include <stdint.h>

struct snn_cost { /* launches of one kernel that cost the same */
    const char
        *kernel; /* FILE.NAME: "conv.unfold", of a library "linear.cublasSgemm", of memory "memory.cudaMemsetAsync" */
    int64_t launches;
    double bytes, flops; /* of each: every array read or written once, a multiply and an add are two operations */
};

struct snn_costs {
    double spikes, events; /* assumed shares of the neurons that spike in a step and of the inputs that are not 0 */
    struct snn_cost *cost; /* (count), in the order of their first launch; the device's, gone when it is closed */
    int count, room;
    int64_t graphs; /* pieces of work, each of which a card starts with one call once it has been captured */
};

#endif
