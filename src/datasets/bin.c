/* SPDX-License-Identifier: Apache-2.0
 * bin.c - framing a recording: n events in order of time t, cut into T steps that are counted unit by unit.
 *
 * The rules are SpikingJelly's, with their edges defined; every rule cuts the events into contiguous runs:
 *   count     n/T events a step, the last step takes the remainder. n < T: all events are in the last step.
 *   time      dt = (t[n-1] - t[0]) / T in whole microseconds; step j holds t0 + j*dt <= t < t0 + (j+1)*dt, the last
 *             all that remain. A span shorter than T microseconds (one timestamp): all events are in the last step.
 *   duration  dt given; ceil((t[n-1] - t[0]) / dt) steps, at least one, from the first event on; an event exactly
 *             at the end belongs to the last step. Steps beyond the recording's own are empty.
 *             From zero: an event is in step floor(t / dt), of floor(t[n-1] / dt) + 1 steps.
 * No event at all: all steps are empty (by duration: one). A count beyond 65535 stays 65535. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/parts.h"

static int64_t bin_us(const struct snn_data_config *config) { return llround(config->bin.dt.value * 1e6); }

static int64_t span(const struct snn_event *events, size_t n) { return n ? events[n - 1].t - events[0].t : 0; }

static bool from_zero(const struct snn_data_config *config) {
    return config->bin.by == SNN_BIN_DURATION && config->bin.from == SNN_BIN_FROM_ZERO;
}

static int64_t extent(const struct snn_data_config *config, const struct snn_event *events, size_t n) {
    return from_zero(config) && n ? events[n - 1].t : span(events, n);
}

int64_t snn_bin_extent_us(const struct snn_data_config *config, const struct snn_sample *sample) {
    return extent(config, sample->events, sample->event_count);
}

int32_t snn_bin_duration_steps(const struct snn_data_config *config, int64_t us) {
    int64_t dt = bin_us(config), steps = us / dt + (from_zero(config) || us % dt != 0);
    return steps < 1 ? 1 : steps > INT32_MAX ? INT32_MAX : (int32_t)steps;
}

int32_t snn_bin_steps(const struct snn_data_config *config, int32_t timesteps, const struct snn_event *events,
                      size_t n) {
    int32_t given = timesteps ? timesteps : (int32_t)config->timesteps; /* -1: auto */
    if (config->bin.by != SNN_BIN_DURATION) return given;
    int32_t own = snn_bin_duration_steps(config, extent(config, events, n));
    return given > 0 && given < own ? given : own;
}

struct snn_framing snn_framing_start(const struct snn_data_config *config, int32_t T, const struct snn_event *events,
                                     size_t n) {
    struct snn_framing cut = {.events = events, .n = n, .last = T - 1};
    switch (config->bin.by) {
    case SNN_BIN_COUNT:
        cut.by_count = true;
        cut.each = n / (size_t)T;
        break;
    case SNN_BIN_TIME:
        cut.dt = span(events, n) / T;
        break;
    default:
        cut.dt = bin_us(config);
        cut.last = snn_bin_duration_steps(config, extent(config, events, n)) - 1;
    }
    cut.stop = (n && !from_zero(config) ? events[0].t : 0) + cut.dt;
    return cut;
}

size_t snn_framing_next(struct snn_framing *cut) {
    if (cut->j >= cut->last) cut->at = cut->n;
    else if (cut->by_count) cut->at += cut->each;
    else
        while (cut->at < cut->n && cut->events[cut->at].t < cut->stop) ++cut->at;
    ++cut->j;
    cut->stop += cut->dt;
    return cut->at;
}

void snn_bin_events(const struct snn_data_config *config, int32_t T, int32_t C, int32_t H, int32_t W,
                    const struct snn_event *events, size_t n, uint16_t *frames) {
    size_t units = (size_t)C * (size_t)H * (size_t)W, i = 0;
    uint16_t most = config->bin.binary ? 1 : UINT16_MAX;
    memset(frames, 0, (size_t)T * units * sizeof *frames);
    struct snn_framing cut = snn_framing_start(config, T, events, n);
    for (int32_t j = 0; j < T; ++j, frames += units)
        for (size_t end = snn_framing_next(&cut); i < end; ++i) {
            const struct snn_event *e = &events[i];
            SNN_CHECK(e->x < W && e->y < H && e->p < C, "event at x=%d y=%d p=%d", e->x, e->y, e->p);
            uint16_t *count = &frames[((size_t)e->p * (size_t)H + e->y) * (size_t)W + e->x];
            *count += *count < most;
        }
}
