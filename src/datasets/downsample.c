/* SPDX-License-Identifier: Apache-2.0
 * downsample.c - events of a smaller sensor: units in groups, one channel instead of two, coarser times.
 *
 * It happens before anything else, in place: an event that is left out was never there. x becomes x / f (whole
 * numbers), so the counts of a group add up; an axis of one unit stays as it is. t becomes the multiple of the tick
 * that is not after it. */
#include <stdio.h>

#include "datasets/parts.h"

static int32_t factor(const struct snn_downsample *how, int axis, const int32_t sensor[3]) {
    return how->space[axis] > 1 && sensor[1 + axis] > 1 ? how->space[axis] : 1;
}

void snn_downsample_shape(const struct snn_downsample *how, const int32_t sensor[3], int32_t shape[3]) {
    shape[0] = how->polarity == SNN_POLARITY_BOTH ? sensor[0] : sensor[0] > 0;
    for (int axis = 0; axis < 2; ++axis) {
        int32_t size = sensor[1 + axis], f = factor(how, axis, sensor);
        shape[1 + axis] = size / f + (!how->drop && size % f);
    }
}

const char *snn_downsample_misfit(const struct snn_downsample *how, const int32_t sensor[3], char why[200]) {
    static const char *const side[] = {"rows", "columns"};
    for (int axis = 0; axis < 2; ++axis)
        if (factor(how, axis, sensor) > sensor[1 + axis]) {
            snprintf(why, 200, "joins %d %s, and the sensor has %d", how->space[axis], side[axis], sensor[1 + axis]);
            return "space";
        }
    if (how->polarity == SNN_POLARITY_BOTH || sensor[0] == 2) return NULL;
    snprintf(why, 200, "is for two polarities, and the sensor has %d channel%s", sensor[0], sensor[0] == 1 ? "" : "s");
    return "polarity";
}

size_t snn_bin_downsample(const struct snn_downsample *how, const int32_t sensor[3], struct snn_event *events,
                          size_t n) {
    int32_t shape[3], fy = factor(how, 0, sensor), fx = factor(how, 1, sensor);
    if (fy == 1 && fx == 1 && how->polarity == SNN_POLARITY_BOTH && !how->tick_us) return n;
    snn_downsample_shape(how, sensor, shape);
    bool one = how->polarity == SNN_POLARITY_ON || how->polarity == SNN_POLARITY_OFF;
    bool flat = one || how->polarity == SNN_POLARITY_MERGED;
    uint8_t wanted = how->polarity == SNN_POLARITY_ON;
    int64_t tick = how->tick_us ? how->tick_us : 1;
    size_t kept = 0;
    for (size_t i = 0; i < n; ++i) {
        struct snn_event e = events[i];
        e.x = (uint16_t)(e.x / fx), e.y = (uint16_t)(e.y / fy), e.t -= e.t % tick;
        if ((one && e.p != wanted) || e.x >= shape[2] || e.y >= shape[1]) continue;
        if (flat) e.p = 0;
        events[kept++] = e;
    }
    return kept;
}
