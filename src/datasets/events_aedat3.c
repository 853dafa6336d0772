/* SPDX-License-Identifier: Apache-2.0
 * events_aedat3.c - AEDAT 3.1, and 3.0, whose row 0 is the lowest: lines of text, then packets, all little-endian.
 *
 *   packet   type (2) source (2) bytes an event (4) where its time is (4) clock overflows (4)
 *            capacity (4) events (4) valid ones (4), then the events
 *   polarity event (type 1)   data (4): bit 0 valid, bit 1 polarity, bits 2..16 y, bits 17..31 x;   time (4)
 *   microseconds   overflows * 2^31 + time
 *
 * A file holds `events` events a packet, whatever the capacity. It is decoded whole, or cut: then the packets are
 * listed first, from their headers and the events at their ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"
#include "datasets/events_parts.h"

enum { HEADER = 28, TIME = 4, LEAST_EVENT = 8, POLARITY = 1, MAX_HEADER = 1 << 20 };

struct packet {
    int type, source;
    int64_t each, time_at; /* bytes of an event; its time in it */
    int64_t overflow, events;
};

struct stream { /* what is known of the file so far */
    int source; /* the camera whose events are taken: that of the first polarity packet; -1 before */
    bool roomy; /* some packet has a larger capacity */
};

/* ---- header ---- */

static bool probe(const unsigned char *bytes, size_t size) { return size >= 11 && !memcmp(bytes, "#!AER-DAT3.", 11); }

/* Reads the lines of text; *at: where the packets begin. */
static int read_header(struct snn_events_job *job, const unsigned char *bytes, size_t size, size_t *at) {
    struct snn_text line;
    bool ended = false, known = false;
    int32_t W = 0, H = 0;
    *at = 0;
    if (!snn_aedat_line(bytes, size, at, &line) || !snn_text_begins(line, "#!AER-DAT3."))
        return snn_error(SNN_EDATA, "%s: does not begin with a line #!AER-DAT3.1", job->path);
    char version = line.length > 11 ? line.at[11] : 0;
    if (version != '0' && version != '1')
        return snn_error(SNN_EDATA, "%s: is of version %.*s, expected 3.0 or 3.1", job->path, (int)line.length - 9,
                         line.at + 9);
    job->facts->format = version == '0' ? "AEDAT 3.0" : "AEDAT 3.1";
    job->from_below = version == '0';
    while (!ended && snn_aedat_line(bytes, size, at, &line)) {
        ended = snn_text_begins(line, "#!END-HEADER");
        if (snn_text_begins(line, "#Format:") && !snn_text_has(line, "RAW"))
            return snn_error(SNN_EDATA, "%s: says '%.*s', expected #Format: RAW", job->path,
                             (int)(line.length < 60 ? line.length : 60), line.at);
        if (!known && (snn_text_begins(line, "#Source") || snn_text_begins(line, "#-Source")))
            known = snn_aedat_camera(line, &W, &H) != SNN_EVENTS_MAP_AUTO;
    }
    if (!ended && snn_aedat_line_cut(bytes, size, *at)) {
        snn_events_cut(job, (int64_t)(size - *at), "header");
        *at = size;
    } else if (!ended) snn_events_warn(job, "has no line #!END-HEADER");
    if (known) return snn_events_sensor(job, W, H);
    if (job->from_below && !job->options->H)
        snn_events_warn(job, "does not say how high the sensor is: rows are counted from the highest that is met");
    return SNN_OK;
}

/* ---- packets ---- */

static int32_t get(const unsigned char *at) { return (int32_t)snn_get_le32(at); }

static int read_packet(const struct snn_events_job *job, const unsigned char *h, int64_t at, struct packet *out) {
    int32_t each = get(h + 4), time_at = get(h + 8), overflow = get(h + 12), capacity = get(h + 16), n = get(h + 20);
    *out = (struct packet){.type = (int16_t)(h[0] | h[1] << 8),
                           .source = h[2] | h[3] << 8,
                           .each = each,
                           .time_at = time_at,
                           .overflow = overflow,
                           .events = n};
    if (out->type < 0 || each < 1 || n < 0 || n > capacity || overflow < 0)
        return snn_error(SNN_EDATA,
                         "%s: byte %lld: a packet of type %d with %d of %d events of %d bytes, expected the header of "
                         "a packet",
                         job->path, (long long)at, out->type, n, capacity, each);
    if (out->type == POLARITY && (each < LEAST_EVENT || time_at < TIME || time_at > each - TIME))
        return snn_error(SNN_EDATA, "%s: byte %lld: events of %d bytes with their time at %d, expected 8 and 4",
                         job->path, (long long)at, each, time_at);
    return SNN_OK;
}

/* Is the packet one of the events that are looked for? Counts it, if not. */
static bool wanted(struct snn_events_job *job, struct stream *stream, const struct packet *p, int32_t capacity) {
    if (p->type == POLARITY && stream->source < 0) stream->source = p->source;
    if (p->type != POLARITY || p->source != stream->source) {
        if (p->type == POLARITY && p->events && !strstr(job->facts->warning, "another camera"))
            snn_events_warn(job, "holds events of another camera (source %d), which are left out", p->source);
        ++job->facts->skipped;
        return false;
    }
    if (capacity != p->events && !stream->roomy) {
        stream->roomy = true;
        snn_events_warn(job, "has packets of a larger capacity than their events: as many are read as events are said");
    }
    return true;
}

static int64_t time_of(const struct packet *p, const unsigned char *event) {
    uint32_t t = snn_get_le32(event + p->time_at);
    return t > INT32_MAX ? -1 : p->overflow << 31 | t;
}

/* Take the n first events of a packet that are in t0 <= t < t1; there is room for them. */
static void take_events(struct snn_events_job *job, const struct packet *p, const unsigned char *event, int64_t n,
                        int64_t t0, int64_t t1) {
    bool drop = job->options->drop_invalid;
    for (int64_t i = 0; i < n; ++i, event += p->each) {
        uint32_t data = snn_get_le32(event);
        int64_t t = time_of(p, event);
        if (t >= 0 && (t < t0 || t >= t1)) continue;
        job->facts->invalid += !(data & 1);
        if (drop && !(data & 1)) continue;
        job->facts->off += !snn_events_take(job, t, data >> 17, data >> 2 & 0x7fff, data >> 1 & 1);
    }
}

struct place { /* where decoding goes on */
    size_t at;
    struct stream stream;
};

static int open_packets(struct snn_events_job *job) {
    struct place *place = job->state;
    place->stream.source = -1;
    return read_header(job, job->bytes, job->size, &place->at);
}

/* A packet, or what is there of the last one. */
static int next_packet(struct snn_events_job *job, struct place *place) {
    const unsigned char *h = job->bytes + place->at;
    int64_t left = (int64_t)(job->size - place->at) - HEADER;
    struct packet p;
    if (left < 0 || snn_all_zero(h, (size_t)left + HEADER)) {
        snn_events_cut(job, left + HEADER, "packet");
        place->at = job->size;
        return SNN_OK;
    }
    SNN_TRY(read_packet(job, h, (int64_t)place->at, &p));
    int64_t bytes = p.each * p.events, here = bytes <= left ? p.events : left / p.each;
    if (wanted(job, &place->stream, &p, get(h + 16))) {
        SNN_TRY(snn_events_room(job, (size_t)here));
        take_events(job, &p, h + HEADER, here, 0, INT64_MAX);
    }
    if (bytes > left) snn_events_cut(job, left - here * p.each, "packet");
    place->at = bytes > left ? job->size : place->at + (size_t)(HEADER + bytes);
    return SNN_OK;
}

static int more(struct snn_events_job *job) {
    struct place *place = job->state;
    while (place->at < job->size && job->out->event_count < job->goal) SNN_TRY(next_packet(job, place));
    job->ended = place->at == job->size;
    return SNN_OK;
}

const struct snn_events_format snn_events_aedat3 = {
    .name = "aedat3",
    .extensions = ".aedat",
    .help = "AEDAT 3.0 and 3.1 (DVS128 Gesture)",
    .probe = probe,
    .state = sizeof(struct place),
    .open = open_packets,
    .more = more,
};

/* ---- segments ---- */

struct entry { /* a polarity packet */
    struct packet packet;
    int64_t at;          /* its first event in the file */
    int64_t first, last; /* times of its first and last event; below 0: impossible ones */
};

struct snn_aedat3 {
    char *path;
    int fd;
    int64_t size;
    struct snn_events_options options;
    struct snn_events_facts facts;
    int32_t W, H;
    bool from_below;
    struct entry *list; /* (count) */
    int64_t count, room;
};

static int read_at(const struct snn_aedat3 *file, void *bytes, int64_t size, int64_t at) {
    while (size) {
        ssize_t n = pread(file->fd, bytes, (size_t)size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return snn_error(SNN_EDATA, "%s: cannot be read: %s", file->path, strerror(errno));
        if (n == 0) return snn_error(SNN_EDATA, "%s: became shorter while it was read", file->path);
        bytes = (char *)bytes + n;
        size -= n;
        at += n;
    }
    return SNN_OK;
}

static int add_entry(struct snn_aedat3 *file, const struct packet *p, int64_t at, int64_t events) {
    unsigned char end[TIME];
    struct packet shifted = *p;
    int64_t t[2];
    if (!events) return SNN_OK;
    shifted.time_at = 0;
    for (int i = 0; i < 2; ++i) {
        SNN_TRY(read_at(file, end, TIME, at + (i ? events - 1 : 0) * p->each + p->time_at));
        t[i] = time_of(&shifted, end);
    }
    if (file->count == file->room) {
        int64_t room = file->room ? 2 * file->room : 256;
        struct entry *list = reallocarray(file->list, (size_t)room, sizeof *list);
        if (!list) return snn_error(SNN_EFAIL, "%s: out of memory for its packets", file->path);
        file->list = list;
        file->room = room;
    }
    struct entry *e = &file->list[file->count++];
    *e = (struct entry){.packet = *p, .at = at, .first = t[0], .last = t[1]};
    e->packet.events = events;
    file->facts.events += events;
    return SNN_OK;
}

/* What is left from `at` on holds no packet header: is it nothing but zeros? */
static int zeros_to_end(const struct snn_aedat3 *file, int64_t at, bool *zeros) {
    unsigned char bytes[4096];
    *zeros = true;
    for (int64_t n; *zeros && at < file->size; at += n) {
        n = file->size - at < (int64_t)sizeof bytes ? file->size - at : (int64_t)sizeof bytes;
        SNN_TRY(read_at(file, bytes, n, at));
        *zeros = snn_all_zero(bytes, (size_t)n);
    }
    return SNN_OK;
}

static int list_packets(struct snn_aedat3 *file, struct snn_events_job *job, int64_t at) {
    struct stream stream = {.source = -1};
    while (at < file->size) {
        unsigned char h[HEADER];
        int64_t left = file->size - at - HEADER;
        struct packet p;
        bool zeros = left < 0;
        if (!zeros) SNN_TRY(read_at(file, h, HEADER, at));
        if (!zeros && snn_all_zero(h, HEADER)) SNN_TRY(zeros_to_end(file, at, &zeros));
        if (zeros) {
            snn_events_cut(job, left + HEADER, "packet");
            break;
        }
        SNN_TRY(read_packet(job, h, at, &p));
        int64_t bytes = p.each * p.events, here = bytes <= left ? p.events : left / p.each;
        if (wanted(job, &stream, &p, get(h + 16))) SNN_TRY(add_entry(file, &p, at + HEADER, here));
        if (bytes > left) {
            snn_events_cut(job, left - here * p.each, "packet");
            break;
        }
        at += HEADER + bytes;
    }
    return SNN_OK;
}

static int list_file(struct snn_aedat3 *file) {
    struct snn_sample none = {0};
    struct snn_events_job job = snn_events_start(file->path, &file->options, &none, &file->facts);
    struct stat info;
    size_t at = 0;
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0) return snn_error(SNN_EDATA, "%s: cannot be opened: %s", file->path, strerror(errno));
    if (fstat(file->fd, &info)) return snn_error(SNN_EDATA, "%s: cannot be read: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return snn_error(SNN_EDATA, "%s: is not a regular file", file->path);
    file->size = info.st_size;
    int64_t head = file->size < MAX_HEADER ? file->size : MAX_HEADER;
    unsigned char *bytes = malloc((size_t)head + 1);
    if (!bytes) return snn_error(SNN_EFAIL, "%s: out of memory", file->path);
    int status = read_at(file, bytes, head, 0);
    if (status == SNN_OK) status = read_header(&job, bytes, (size_t)head, &at);
    free(bytes);
    SNN_TRY(status);
    if (job.from_below && !file->facts.sensor_stated && !file->options.H)
        return snn_error(SNN_EDATA, "%s: is AEDAT 3.0 of a sensor that is not stated: its segments cannot be read",
                         file->path);
    SNN_TRY(list_packets(file, &job, (int64_t)at));
    file->W = job.W, file->H = job.H;
    file->from_below = job.from_below;
    file->facts.W = file->facts.sensor_stated ? job.W : file->options.W;
    file->facts.H = file->facts.sensor_stated ? job.H : file->options.H;
    return SNN_OK;
}

int snn_aedat3_open(const char *path, const struct snn_events_options *options, struct snn_aedat3 **out) {
    struct snn_aedat3 *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    *out = NULL;
    if (!file || !copy) {
        free(file), free(copy);
        return snn_error(SNN_EFAIL, "%s: out of memory", path);
    }
    file->path = copy;
    file->fd = -1;
    if (options) file->options = *options;
    int status = list_file(file);
    if (status < 0) snn_aedat3_close(&file);
    *out = file;
    return status;
}

void snn_aedat3_close(struct snn_aedat3 **file) {
    if (!*file) return;
    if ((*file)->fd >= 0) close((*file)->fd);
    free((*file)->list);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

const struct snn_events_facts *snn_aedat3_facts(const struct snn_aedat3 *file) { return &file->facts; }

void snn_aedat3_span(const struct snn_aedat3 *file, int64_t *first, int64_t *last) {
    *first = 0, *last = -1;
    for (int64_t i = 0; i < file->count; ++i) {
        const int64_t ends[2] = {file->list[i].first, file->list[i].last};
        for (int k = 0; k < 2; ++k) {
            if (ends[k] < 0) continue;
            if (*last < 0 || ends[k] < *first) *first = ends[k];
            if (ends[k] > *last) *last = ends[k];
        }
    }
}

/* Where the ends of a packet are out of order, what lies between them is not known. */
static bool may_hold(const struct entry *e, int64_t t0, int64_t t1) {
    bool ordered = e->first >= 0 && e->first <= e->last;
    return !ordered || (e->first < t1 && e->last >= t0);
}

struct segment { /* of a file, and where reading goes on */
    const struct snn_aedat3 *file;
    int64_t t0, t1;
    int64_t next; /* packet */
    unsigned char *bytes;
    int64_t room;
};

static int read_entry(struct snn_events_job *job, struct segment *s, const struct entry *e) {
    const struct packet *p = &e->packet;
    int64_t size = p->each * p->events;
    if (size > s->room) {
        free(s->bytes);
        s->bytes = malloc((size_t)size);
        s->room = s->bytes ? size : 0;
        if (!s->bytes) return snn_error(SNN_EFAIL, "%s: out of memory for a packet", job->path);
    }
    SNN_TRY(read_at(s->file, s->bytes, size, e->at));
    SNN_TRY(snn_events_room(job, (size_t)p->events));
    for (int64_t k = 1; k < p->events; ++k)
        if (time_of(p, s->bytes + k * p->each) < time_of(p, s->bytes + (k - 1) * p->each)) {
            if (!strstr(job->facts->warning, "goes back within"))
                snn_events_warn(job, "time goes back within packets: a segment may lack events");
            break;
        }
    take_events(job, p, s->bytes, p->events, s->t0, s->t1);
    return SNN_OK;
}

/* All events of the packets that can hold some of the segment. */
static int more_of_segment(struct snn_events_job *job) {
    struct segment *s = job->state;
    for (; s->next < s->file->count && job->out->event_count < job->goal; ++s->next) {
        const struct entry *e = &s->file->list[s->next];
        if (may_hold(e, s->t0, s->t1)) SNN_TRY(read_entry(job, s, e));
    }
    job->ended = s->next == s->file->count;
    return SNN_OK;
}

static void close_segment(struct snn_events_job *job) { free(((struct segment *)job->state)->bytes); }

/* `what`: a struct segment. */
static int begin_segment(struct snn_events_job *job, const void *what) {
    static const struct snn_events_format format = {.more = more_of_segment, .close = close_segment};
    struct segment *s = malloc(sizeof *s);
    if (!s) return snn_error(SNN_EFAIL, "%s: out of memory", job->path);
    *s = *(const struct segment *)what;
    job->W = s->file->W, job->H = s->file->H;
    job->from_below = s->file->from_below;
    job->facts->format = s->file->facts.format;
    job->facts->sensor_stated = s->file->facts.sensor_stated;
    job->format = &format;
    job->state = s;
    return SNN_OK;
}

int snn_aedat3_read_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1, struct snn_sample *out,
                          struct snn_events_facts *facts) {
    struct snn_events_facts own;
    struct snn_events_job job = snn_events_start(file->path, &file->options, out, facts ? facts : &own);
    int status = begin_segment(&job, &(struct segment){.file = file, .t0 = t0, .t1 = t1});
    while (status == SNN_OK && !job.ended) status = job.format->more(&job);
    if (status == SNN_OK) status = snn_events_finish(&job);
    snn_events_end(&job);
    return status;
}

int snn_aedat3_survey_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1, struct snn_events_extent *out,
                            struct snn_events_facts *facts) {
    struct segment what = {.file = file, .t0 = t0, .t1 = t1};
    return snn_events_survey_source(
        &(struct snn_events_source){file->path, &file->options, .begin = begin_segment, .what = &what}, out, facts);
}

int snn_aedat3_stream_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1,
                            const struct snn_events_extent *extent, struct snn_events_stream **out) {
    struct segment what = {.file = file, .t0 = t0, .t1 = t1};
    return snn_events_stream_source(
        &(struct snn_events_source){file->path, &file->options, .begin = begin_segment, .what = &what}, extent, out);
}
