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

struct place { /* where decoding goes on */
    size_t at;
    int64_t clock;
    bool odd; /* a look at each record is needed */
};

/* Nearly all files hold nothing but events of the sensor: those are taken without a look at each. False when there is
 * anything else among the n records; nothing has changed then. */
static bool take_plain(struct snn_events_job *job, struct place *place, int32_t n) {
    const unsigned char *b = job->bytes + place->at;
    struct snn_event *to = n ? job->out->events + job->out->event_count : NULL;
    int32_t last = 0, back = 0, most_x = job->most_x, most_y = job->most_y, clocks = 0;
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
    if (n && job->last - to[0].t > job->back) job->back = job->last - to[0].t;
    if (back > job->back) job->back = back;
    job->most_x = most_x, job->most_y = most_y;
    job->last = last;
    job->out->event_count += (size_t)n;
    return true;
}

static int take(struct snn_events_job *job, struct place *place, const unsigned char *b) {
    if (b[1] == OVERFLOW_Y) {
        place->clock += OVERFLOW_US;
        ++job->facts->overflows;
        return SNN_OK;
    }
    int64_t t = place->clock + ((b[2] & 0x7f) << 16 | b[3] << 8 | b[4]);
    if (snn_events_take(job, t, b[0], b[1], b[2] >> 7)) return SNN_OK;
    char where[32];
    snprintf(where, sizeof where, "byte %zu", (size_t)(b - job->bytes));
    return snn_events_misfit(job, where, t, b[0], b[1]);
}

static int open_records(struct snn_events_job *job) {
    job->facts->format = "5-byte records";
    if (job->size % RECORD == 0) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: has %zu bytes, expected a multiple of %d", job->path, job->size, RECORD);
}

static int more(struct snn_events_job *job) {
    struct place *place = job->state;
    size_t n = (job->size - place->at) / RECORD, end;
    if (snn_events_wanted(job) < n) n = snn_events_wanted(job);
    SNN_TRY(snn_events_room(job, n));
    end = place->at + n * RECORD;
    place->odd = place->odd || n >= INT32_MAX || !take_plain(job, place, (int32_t)n);
    for (; place->odd && place->at < end; place->at += RECORD) SNN_TRY(take(job, place, job->bytes + place->at));
    place->at = end;
    job->ended = end == job->size;
    return SNN_OK;
}

const struct snn_events_format snn_events_orchard = {
    .name = "orchard",
    .extensions = ".bin .bs2",
    .help = "records of 5 bytes (N-MNIST, N-Caltech101)",
    .state = sizeof(struct place),
    .open = open_records,
    .more = more,
};
