/* SPDX-License-Identifier: Apache-2.0
 * fuzz_events.c - a recording of one format (FORMAT) is hostile; the first byte of the input chooses the options.
 *
 * What is accepted is in order of time and inside the sensor, and takes no more memory than its size justifies. Decoded
 * some events at a time it is the same. Of AEDAT 3, reading a range has to give what the mask over the whole gives. */
#include "datasets/events_parts.h"
#include "fuzz_files.h"

enum { EVENT = sizeof(struct snn_event), MOST = 256 /* times its size a file may unpack to */, SPARE = 1 << 21 };

static void claim_events(const struct snn_sample *sample, const struct snn_events_facts *facts, size_t size) {
    CLAIM(facts->format && facts->events == (int64_t)sample->event_count);
    CLAIM(facts->invalid >= 0 && facts->off >= 0 && facts->skipped >= 0 && facts->cut_bytes >= 0);
    CLAIM(facts->cut_bytes <= (int64_t)size);
    CLAIM(sample->event_room <= MOST * size + SPARE / EVENT);
    for (size_t i = 0; i < sample->event_count; ++i) {
        const struct snn_event *e = &sample->events[i];
        CLAIM(e->x < facts->W && e->y < facts->H && e->p < 2 && e->t >= 0);
        CLAIM(!i || e[-1].t <= e->t);
    }
}

static bool same(const struct snn_event *a, const struct snn_event *b) {
    return a->t == b->t && a->x == b->x && a->y == b->y && a->p == b->p;
}

/* The same, a few events at a time: a refusal too. */
static void claim_pieces(const uint8_t *data, size_t size, const struct snn_events_options *options, size_t few,
                         int expected, const struct snn_sample *whole, const struct snn_events_facts *facts) {
    char sentence[1024];
    struct snn_sample sample = {0};
    struct snn_events_facts own;
    snprintf(sentence, sizeof sentence, "%s", expected < 0 ? snn_error_text() : "");
    struct snn_events_job job = snn_events_start("x", options, &sample, &own);
    job.bytes = data, job.size = size;
    int status = snn_events_begin(&job);
    while (status == SNN_OK && !job.ended) {
        job.goal = sample.event_count + few;
        status = job.format->more(&job);
    }
    if (status == SNN_OK) status = snn_events_finish(&job);
    snn_events_end(&job);
    CLAIM(status == expected && (status == SNN_OK || !strcmp(snn_error_text(), sentence)));
    if (status == SNN_OK) {
        CLAIM(own.events == facts->events && own.W == facts->W && own.H == facts->H && own.off == facts->off);
        CLAIM(own.cut_bytes == facts->cut_bytes && !strcmp(own.warning, facts->warning));
        for (size_t i = 0; i < whole->event_count; ++i) CLAIM(same(&sample.events[i], &whole->events[i]));
    }
    snn_sample_free(&sample);
}

/* All packets give what the whole gave; those of a range from the middle some of it, in its order (a packet in which
 * time goes back may be passed over). */
static void claim_ranges(const uint8_t *data, size_t size, const struct snn_events_options *options,
                         const struct snn_sample *whole, const struct snn_events_facts *facts) {
    char path[FUZZ_PATH];
    struct snn_aedat3 *file;
    struct snn_sample part = {0};
    size_t n = whole->event_count, at = 0;
    snprintf(path, sizeof path, "%s/x.aedat", fuzz_folder());
    fuzz_file("x.aedat", data, size);
    int status = snn_aedat3_open(path, options, &file);
    if (status < 0) {
        claim_refused(status); /* 3.0 of an unknown sensor */
        return;
    }
    CLAIM(snn_aedat3_facts(file)->cut_bytes == facts->cut_bytes && snn_aedat3_facts(file)->skipped == facts->skipped);
    CLAIM(snn_aedat3_read_range(file, INT64_MIN, INT64_MAX, &part, NULL) >= 0);
    CLAIM(part.event_count == n);
    for (size_t i = 0; i < n; ++i) CLAIM(same(&part.events[i], &whole->events[i]));
    int64_t t0 = n ? whole->events[n / 3].t : 0, t1 = n ? whole->events[n - 1].t : 1;
    CLAIM(snn_aedat3_read_range(file, t0, t1, &part, NULL) >= 0);
    for (size_t i = 0; i < part.event_count; ++i, ++at) {
        CLAIM(part.events[i].t >= t0 && part.events[i].t < t1);
        while (at < n && !same(&part.events[i], &whole->events[at])) ++at;
        CLAIM(at < n);
    }
    snn_sample_free(&part);
    snn_aedat3_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    bool table = !strcmp(FORMAT, "csv") || !strcmp(FORMAT, "npy"), addresses = !strcmp(FORMAT, "aedat2");
    struct snn_events_options options = {.format = FORMAT,
                                         .unit = table ? data[0] % 5 : 0,
                                         .map = addresses ? data[0] / 5 % 3 : 0,
                                         .drop_invalid = data[0] / 15 % 2,
                                         .W = data[0] >= 128 ? 128 : 0,
                                         .H = data[0] >= 128 ? 128 : 0};
    struct snn_sample sample = {0};
    struct snn_events_facts facts;
    int status = snn_events_decode("x", data + 1, size - 1, &options, &sample, &facts);
    claim_pieces(data + 1, size - 1, &options, 1 + data[0] % 3, status, &sample, &facts);
    if (status < 0) {
        claim_refused(status);
    } else {
        claim_events(&sample, &facts, size);
        if (!strcmp(FORMAT, "aedat3")) claim_ranges(data + 1, size - 1, &options, &sample, &facts);
    }
    snn_sample_free(&sample);
    return 0;
}
