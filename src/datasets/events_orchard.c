/* SPDX-License-Identifier: Apache-2.0
 * events_orchard.c - records of 5 bytes without a header, as in N-MNIST and N-Caltech101.
 *
 * A record is big-endian: x, y, then polarity (1 bit) and microseconds (23 bits). One with y = 240 is no event but the
 * recorder's clock running over: it moves what follows by 8192 us. Orchard et al., Frontiers in Neuroscience 9:437
 * (2015). */
#include <stdio.h>

#include "core/status.h"
#include "datasets/events_parts.h"

enum { RECORD = 5, OVERFLOW_Y = 240, OVERFLOW_US = 8192 };

/* Nearly all files hold nothing but events of the sensor: those are taken without a look at each. False when there is
 * anything else; nothing has changed then. */
static bool decode_plain(struct snn_events_job *job) {
    const unsigned char *b = job->bytes;
    struct snn_event *to = job->out->events;
    int32_t n = (int32_t)(job->size / RECORD), last = 0, back = 0, most_x = -1, most_y = -1, clocks = 0;
    for (int32_t i = 0; i < n; ++i, b += RECORD) {
        int32_t t = (b[2] & 0x7f) << 16 | b[3] << 8 | b[4];
        most_x = b[0] > most_x ? b[0] : most_x;
        most_y = b[1] > most_y ? b[1] : most_y;
        back = last - t > back ? last - t : back;
        clocks |= b[1] == OVERFLOW_Y;
        last = t;
        to[i] = (struct snn_event){.t = t, .x = b[0], .y = b[1], .p = b[2] >> 7};
    }
    if (clocks || most_x >= job->W || most_y >= job->H) return false;
    job->most_x = most_x, job->most_y = most_y;
    job->back = back;
    job->out->event_count = (size_t)n;
    return true;
}

static int decode(struct snn_events_job *job) {
    const unsigned char *bytes = job->bytes;
    int64_t clock = 0;
    job->facts->format = "5-byte records";
    if (job->size % RECORD)
        return snn_error(SNN_EDATA, "%s: has %zu bytes, expected a multiple of %d", job->path, job->size, RECORD);
    SNN_TRY(snn_events_room(job, job->size / RECORD));
    if (job->size / RECORD < INT32_MAX && decode_plain(job)) return SNN_OK;
    for (size_t at = 0; at < job->size; at += RECORD) {
        const unsigned char *b = bytes + at;
        if (b[1] == OVERFLOW_Y) {
            clock += OVERFLOW_US;
            ++job->facts->overflows;
            continue;
        }
        int64_t t = clock + ((b[2] & 0x7f) << 16 | b[3] << 8 | b[4]);
        if (!snn_events_take(job, t, b[0], b[1], b[2] >> 7)) {
            char where[32];
            snprintf(where, sizeof where, "byte %zu", at);
            return snn_events_misfit(job, where, t, b[0], b[1]);
        }
    }
    return SNN_OK;
}

const struct snn_events_format snn_events_orchard = {
    .name = "orchard",
    .extensions = ".bin .bs2",
    .help = "records of 5 bytes (N-MNIST, N-Caltech101)",
    .decode = decode,
};
