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

/* `all`: every address, or-ed. */
static int find_chip(const struct snn_events_job *job, const struct header *h, uint32_t all, struct chip *out) {
    static const struct chip chips[] = {
        [SNN_EVENTS_DVS128] = {SNN_EVENTS_DVS128, 128, 128}, [SNN_EVENTS_DAVIS240] = {SNN_EVENTS_DAVIS240, 240, 180}};
    int wish = job->options->map;
    if (wish) *out = h->named.map == (enum snn_events_map)wish ? h->named : chips[wish];
    else if (h->named.map) *out = h->named;
    else if (h->chip_line.length)
        return snn_error(SNN_EDATA, "%s: says '%.*s', whose addresses are not known: expected a DVS128 or a DAVIS",
                         job->path, (int)(h->chip_line.length < 80 ? h->chip_line.length : 80), h->chip_line.at);
    else if (all <= 0xffff) *out = chips[SNN_EVENTS_DVS128];
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

static int take_records(struct snn_events_job *job, enum snn_events_map map, const unsigned char *records, size_t n) {
    const int64_t range = INT64_C(1) << 32;
    int64_t clock = 0, before = 0;
    for (size_t i = 0; i < n; ++i) {
        const unsigned char *record = records + i * RECORD;
        uint32_t address = snn_get_be32(record);
        int64_t t = snn_get_be32(record + 4);
        /* The counter has run over, or an event of before comes late. */
        if (t < before - range / 2) clock += range, ++job->facts->overflows;
        else if (t > before + range / 2 && clock) clock -= range, --job->facts->overflows;
        before = t;
        if (!is_event(map, address)) ++job->facts->skipped;
        else job->facts->off += !take(job, map, clock + t, address);
    }
    return SNN_OK;
}

static int decode(struct snn_events_job *job) {
    job->facts->format = "AEDAT 2.0";
    struct header h = read_header(job);
    const unsigned char *records = job->bytes + h.end;
    size_t n = (job->size - h.end) / RECORD, events = 0, rest = (job->size - h.end) % RECORD;
    uint32_t all = 0;
    struct chip chip = {0};
    for (size_t i = 0; i < n; ++i) all |= snn_get_be32(records + i * RECORD);
    SNN_TRY(find_chip(job, &h, all, &chip));
    SNN_TRY(snn_events_sensor(job, chip.W, chip.H));
    for (size_t i = 0; i < n; ++i) events += is_event(chip.map, snn_get_be32(records + i * RECORD));
    SNN_TRY(snn_events_room(job, events));
    if (rest) snn_events_cut(job, (int64_t)rest, "record");
    return take_records(job, chip.map, records, n);
}

const struct snn_events_format snn_events_aedat2 = {
    .name = "aedat2",
    .extensions = ".aedat",
    .help = "AEDAT 2.0 of a DVS128 (CIFAR10-DVS) or a DAVIS",
    .maps = true,
    .probe = probe,
    .decode = decode,
};
