/* SPDX-License-Identifier: Apache-2.0
 * events_aedat2.c - AEDAT 2 as jAER writes it: lines of text, then records of 8 bytes, big-endian: address,
 * microseconds.
 *
 *   DVS128   bit 0 off, bits 1..7 X, bits 8..14 Y, bit 15 no event;   x = 127 - Y, y = 127 - X, p = 1 - bit 0
 *   DAVIS    bit 10 no event, bit 11 polarity, bits 12..21 x, bits 22..30 y, bit 31 image or motion sample
 *
 * The first mapping is that of published frames of CIFAR10-DVS. Which of both holds, only the header can say, by the
 * chip that it names; where it names none, addresses of 16 bits are a DVS128's. Coordinates of a DAVIS are as they are
 * stored. */
#include <string.h>

#include "core/status.h"
#include "datasets/events_parts.h"

enum { RECORD = 8 };

struct chip {
    enum snn_events_map map; /* AUTO: not known */
    int32_t W, H;
};

struct header {
    size_t end;
    struct snn_text chip_line; /* empty: there is none */
    struct chip named;         /* in that line */
    struct chip davis;         /* the first DAVIS in any other line */
};

static bool probe(const unsigned char *bytes, size_t size) { return size >= 11 && !memcmp(bytes, "#!AER-DAT2.", 11); }

static struct header read_header(struct snn_events_job *job) {
    struct header h = {0};
    struct snn_text line;
    bool ended = false;
    while (!ended && snn_aedat_line(job->bytes, job->size, &h.end, &line)) {
        ended = snn_text_begins(line, "#End of ASCII Header") || snn_text_begins(line, "# End of ASCII Header");
        if (snn_text_begins(line, "# AEChip:") || snn_text_begins(line, "#AEChip:")) {
            h.chip_line = line;
            h.named.map = snn_aedat_camera(line, &h.named.W, &h.named.H);
        } else if (h.davis.map != SNN_EVENTS_DAVIS240) {
            h.davis.map = snn_aedat_camera(line, &h.davis.W, &h.davis.H);
        }
    }
    if (!ended && snn_aedat_line_cut(job->bytes, job->size, h.end)) {
        snn_events_cut(job, (int64_t)(job->size - h.end), "header");
        h.end = job->size;
    }
    return h;
}

/* Has no address more than 16 bits? The whole file has to be looked at, once. */
static bool has_short_addresses(struct snn_events_job *job, const struct header *h) {
    if (job->known) job->addresses = job->known->addresses;
    for (size_t at = h->end; !job->known && job->size - at >= RECORD; at += RECORD)
        job->addresses |= snn_get_be32(job->bytes + at);
    return job->addresses <= 0xffff;
}

static int find_chip(struct snn_events_job *job, const struct header *h, struct chip *out) {
    static const struct chip chips[] = {
        [SNN_EVENTS_DVS128] = {SNN_EVENTS_DVS128, 128, 128}, [SNN_EVENTS_DAVIS240] = {SNN_EVENTS_DAVIS240, 240, 180}};
    int wish = job->options->map;
    if (wish) *out = h->named.map == (enum snn_events_map)wish ? h->named : chips[wish];
    else if (h->named.map) *out = h->named;
    else if (h->chip_line.length)
        return snn_error(SNN_EDATA, "%s: says '%.*s', whose addresses are not known: expected a DVS128 or a DAVIS",
                         job->path, (int)(h->chip_line.length < 80 ? h->chip_line.length : 80), h->chip_line.at);
    else if (has_short_addresses(job, h)) *out = chips[SNN_EVENTS_DVS128];
    else if (h->davis.map == SNN_EVENTS_DAVIS240) *out = h->davis;
    else
        return snn_error(SNN_EDATA,
                         "%s: names no chip, and has addresses of more than 16 bits: expected a line '# AEChip: ...'",
                         job->path);
    return SNN_OK;
}

static bool is_event(enum snn_events_map map, uint32_t address) {
    return map == SNN_EVENTS_DVS128 ? !(address >> 15 & 1) : !(address >> 31) && !(address >> 10 & 1);
}

static bool take(struct snn_events_job *job, enum snn_events_map map, int64_t t, uint32_t a) {
    if (map == SNN_EVENTS_DAVIS240)
        return snn_events_take(job, t, a >> 12 & 0x3ff, a >> 22 & 0x1ff, (int)(a >> 11 & 1));
    return a <= 0xffff &&
           snn_events_take(job, t, 127 - (int32_t)(a >> 8 & 0x7f), 127 - (int32_t)(a >> 1 & 0x7f), 1 - (int)(a & 1));
}

struct place { /* where decoding goes on */
    size_t at;
    int64_t clock, before; /* what the counter's overflows amount to; the counter at the record before */
    enum snn_events_map map;
};

static void take_record(struct snn_events_job *job, struct place *place, const unsigned char *record) {
    const int64_t range = INT64_C(1) << 32;
    uint32_t address = snn_get_be32(record);
    int64_t t = snn_get_be32(record + 4);
    /* The counter has run over, or an event of before comes late. */
    if (t < place->before - range / 2) place->clock += range, ++job->facts->overflows;
    else if (t > place->before + range / 2 && place->clock) place->clock -= range, --job->facts->overflows;
    place->before = t;
    if (!is_event(place->map, address)) ++job->facts->skipped;
    else job->facts->off += !take(job, place->map, place->clock + t, address);
}

static int open_records(struct snn_events_job *job) {
    struct place *place = job->state;
    struct chip chip = {0};
    job->facts->format = "AEDAT 2.0";
    struct header h = read_header(job);
    size_t rest = (job->size - h.end) % RECORD;
    SNN_TRY(find_chip(job, &h, &chip));
    SNN_TRY(snn_events_sensor(job, chip.W, chip.H));
    if (rest) snn_events_cut(job, (int64_t)rest, "record");
    *place = (struct place){.at = h.end, .map = chip.map};
    return SNN_OK;
}

static int more(struct snn_events_job *job) {
    struct place *place = job->state;
    size_t n = (job->size - place->at) / RECORD, events = 0;
    job->ended = n <= snn_events_wanted(job);
    if (!job->ended) n = snn_events_wanted(job);
    for (size_t i = 0; i < n; ++i) events += is_event(place->map, snn_get_be32(job->bytes + place->at + i * RECORD));
    SNN_TRY(snn_events_room(job, events));
    for (size_t i = 0; i < n; ++i, place->at += RECORD) take_record(job, place, job->bytes + place->at);
    return SNN_OK;
}

const struct snn_events_format snn_events_aedat2 = {
    .name = "aedat2",
    .extensions = ".aedat",
    .help = "AEDAT 2.0 of a DVS128 (CIFAR10-DVS) or a DAVIS",
    .maps = true,
    .probe = probe,
    .state = sizeof(struct place),
    .open = open_records,
    .more = more,
};
