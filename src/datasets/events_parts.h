/* SPDX-License-Identifier: Apache-2.0
 * events_parts.h - what decoders of recordings share; only this folder and its tests include it.
 *
 * A decoder reads what stands in front of the events (open), and takes some of them each time it is asked (more), with
 * snn_events_take, which keeps what fits the sensor. It goes on where it stopped, so that a recording read whole and
 * one read piece by piece are one thing: order, the sensor's size and facts are settled by events.c and
 * events_stream.c. */
#ifndef SNN_DATASETS_EVENTS_PARTS_H
#define SNN_DATASETS_EVENTS_PARTS_H

#include "datasets/events.h"
#include "datasets/events_stream.h"

#define SNN_EVENTS_FILE_MOST ((size_t)1 << 36) /* bytes of a file; a mistake beyond */
#define SNN_EVENTS_LATEST (INT64_C(1) << 53)   /* microseconds, 285 years: sums and differences of times fit */

struct snn_events_job { /* one decoding */
    const char *path;
    const unsigned char *bytes; /* (size) */
    size_t size;
    const struct snn_events_options *options;
    struct snn_sample *out;
    struct snn_events_facts *facts;
    const struct snn_events_format *format;
    const struct snn_events_extent *known; /* from an earlier pass; NULL: there was none */
    void *state;                           /* the decoder's own; zeros before open() */
    size_t goal;                           /* events in `out` that more() reads towards */
    bool ended;                            /* more() has come to the end */
    int64_t before;                        /* events that were in `out`, and have been taken from there */
    uint32_t addresses;                    /* see snn_events_extent */
    int32_t W, H;                          /* coordinates are below these */
    int32_t most_x, most_y;                /* met; -1 before the first */
    int64_t last;                          /* time of the event before */
    int64_t back;                          /* the longest step back in time */
    bool from_below;                       /* row 0 is the lowest: settled at the end, when the height is known */
};

/* ---- around a decoder (events.c) ---- */

struct snn_events_job snn_events_start(const char *path, const struct snn_events_options *options,
                                       struct snn_sample *out, struct snn_events_facts *facts);
/* Find the format and open() it; snn_events_end frees what that took, also after a failure. */
int snn_events_begin(struct snn_events_job *job);
void snn_events_end(struct snn_events_job *job);
/* Fill the facts, at the end. */
void snn_events_settle(struct snn_events_job *job);
/* Of a decoding in one go: that, and order. */
int snn_events_finish(struct snn_events_job *job);
/* By time, the order that there is among equals. SNN_EFAIL: out of memory. */
int snn_events_sort(const char *path, struct snn_event *events, size_t n);

/* ---- pieces (events_stream.c) ---- */

struct snn_events_source { /* what is read, where that is not a file of one recording */
    const char *path;
    const struct snn_events_options *options;
    /* Instead of snn_events_begin: sets job->format and ->state. */
    int (*begin)(struct snn_events_job *job, const void *what);
    const void *what;
};
/* snn_events_survey and snn_events_stream_open of it. */
int snn_events_survey_source(const struct snn_events_source *source, struct snn_events_extent *out,
                             struct snn_events_facts *facts);
int snn_events_stream_source(const struct snn_events_source *source, const struct snn_events_extent *extent,
                             struct snn_events_stream **out);

/* ---- for decoders ---- */

/* more() takes about so many events; fewer are no mistake, more neither where they come by the packet. */
static inline size_t snn_events_wanted(const struct snn_events_job *job) { return job->goal - job->out->event_count; }

/* The file says which sensor it is of; SNN_EDATA when another one is expected. */
int snn_events_sensor(struct snn_events_job *job, int32_t W, int32_t H);
/* Room for n more events than are there. */
int snn_events_room(struct snn_events_job *job, size_t n);
/* Keep one event, for which there is room; false when it is off the sensor or its time is impossible. */
static inline bool snn_events_take(struct snn_events_job *job, int64_t t, int64_t x, int64_t y, int p) {
    if (x < 0 || x >= job->W || y < 0 || y >= job->H || t < 0 || t > SNN_EVENTS_LATEST) return false;
    if (x > job->most_x) job->most_x = (int32_t)x;
    if (y > job->most_y) job->most_y = (int32_t)y;
    if (job->last - t > job->back) job->back = job->last - t;
    job->last = t;
    job->out->events[job->out->event_count++] =
        (struct snn_event){.t = t, .x = (uint16_t)x, .y = (uint16_t)y, .p = (uint8_t)p};
    return true;
}
/* "PATH: WHERE: event at x=.. y=.., expected ...", the sentence for one that was not taken. */
int snn_events_misfit(const struct snn_events_job *job, const char *where, int64_t t, int64_t x, int64_t y);
void snn_events_warn(struct snn_events_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last `bytes` bytes are of something that is not whole. */
void snn_events_cut(struct snn_events_job *job, int64_t bytes, const char *what);

/* ---- numbers ---- */

static inline uint32_t snn_get_le32(const unsigned char *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t snn_get_le64(const unsigned char *at) {
    return snn_get_le32(at) | (uint64_t)snn_get_le32(at + 4) << 32;
}
static inline uint32_t snn_get_be32(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
/* Are all bytes zero? What a crash leaves at the end of a file. */
bool snn_all_zero(const unsigned char *bytes, size_t size);

/* ---- AEDAT headers (aedat_header.c) ---- */

struct snn_text { /* a line without its end; not terminated */
    const char *at;
    size_t length;
};
/* The header line at *at, which is moved behind it; false where there is none: the line has to begin with '#' and to be
 * text, because the first record may begin with the same byte. */
bool snn_aedat_line(const unsigned char *bytes, size_t size, size_t *at, struct snn_text *line);
bool snn_text_has(struct snn_text line, const char *word); /* any case */
bool snn_text_begins(struct snn_text line, const char *word);
/* Is there the beginning of such a line, cut by the end of the file? */
bool snn_aedat_line_cut(const unsigned char *bytes, size_t size, size_t at);
/* How the camera that the line names writes an address in AEDAT 2, and its sensor; SNN_EVENTS_MAP_AUTO: no such camera.
 */
enum snn_events_map snn_aedat_camera(struct snn_text line, int32_t *W, int32_t *H);

/* ---- columns (events_columns.c): events in a table of numbers ---- */

enum snn_column { SNN_COLUMN_T, SNN_COLUMN_X, SNN_COLUMN_Y, SNN_COLUMN_P, SNN_COLUMNS };
extern const char *const snn_column_names[SNN_COLUMNS]; /* "t timestamp ...": all by which one is known */
/* Which column a name says, in any case; SNN_COLUMNS: none. *unit: of times, when the name ends in it (t_us). */
enum snn_column snn_column_find(const char *name, size_t length, int *unit);

struct snn_value { /* a cell */
    bool real;
    int64_t whole; /* unless real */
    double number; /* if real */
};
/* Take the event of a row; "PATH: WHAT INDEX: ..." when it has no sense. Times in `unit`, rounded to microseconds. */
int snn_events_take_row(struct snn_events_job *job, const char *what, int64_t index,
                        const struct snn_value row[SNN_COLUMNS], int unit);

/* A file may unpack to so many times its size. LZ4 cannot do more; what does more is made to exhaust memory. */
enum { SNN_EVENTS_RATIO = 256, SNN_EVENTS_UNPACKED = 1 << 20 /* or to so many bytes */ };

#endif
