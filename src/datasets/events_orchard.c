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

static int decode(struct snn_events_job *job) {
    const unsigned char *bytes = job->bytes;
    int64_t clock = 0;
    job->facts->format = "5-byte records";
    if (job->size % RECORD)
        return snn_error(SNN_EDATA, "%s: has %zu bytes, expected a multiple of %d", job->path, job->size, RECORD);
    SNN_TRY(snn_events_room(job, job->size / RECORD));
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
