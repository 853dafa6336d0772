/* SPDX-License-Identifier: Apache-2.0
 * events.h - recordings of event cameras in files: what is in one, and its events in order of time.
 *
 * One rule for what does not fit, everywhere: a file that a program wrote event by event (orchard, csv, npy, h5) is
 * refused with the byte, line or row; a stream that a camera wrote (aedat) loses the event, which is counted and said.
 * A stream that ends too early keeps its whole events and says so. To add a format: one file with a struct
 * snn_events_format and one line in events.c. */
#ifndef SNN_DATASETS_EVENTS_H
#define SNN_DATASETS_EVENTS_H

#include "datasets/dataset.h"

enum snn_events_unit { SNN_EVENTS_UNIT_AUTO, SNN_EVENTS_S, SNN_EVENTS_MS, SNN_EVENTS_US, SNN_EVENTS_NS };
enum snn_events_map { SNN_EVENTS_MAP_AUTO, SNN_EVENTS_DVS128, SNN_EVENTS_DAVIS240 };

struct snn_events_options { /* all zero: what suits most files */
    const char *format;     /* a name of snn_events_formats; NULL: by the first bytes, then by the extension */
    int unit;               /* of times in csv, npy and h5; AUTO: by the column's name, else whole microseconds */
    int map;                /* of addresses in AEDAT 2; AUTO: by the chip that the header names */
    bool drop_invalid;      /* AEDAT 3: without events marked invalid; published figures have them */
    int32_t W, H;           /* the sensor expected; 0: any */
};

struct snn_events_facts {
    const char *format; /* "AEDAT 3.1" */
    int32_t W, H;       /* the sensor: stated by the file, or expected; else 1 + the largest coordinates */
    bool sensor_stated;
    int64_t events;    /* in the sample */
    int64_t invalid;   /* marked so in the file, dropped or not */
    int64_t off;       /* dropped: off the sensor, or of an impossible time */
    int64_t skipped;   /* packets (AEDAT 2: records) of other kinds or of other cameras */
    int64_t overflows; /* of the recorder's clock */
    int64_t cut_bytes; /* at the end: of a packet or record that is not whole */
    char warning[400]; /* sentences separated by "; ", or "" */
};

struct snn_events_job;
struct snn_events_format {
    const char *name, *extensions, *help;                   /* extensions: ".bin .bs2" */
    bool (*probe)(const unsigned char *bytes, size_t size); /* by its first bytes; NULL: it has no mark */
    bool units, maps;                                       /* options.unit, options.map mean something */
    /* Decoding, some at a time (events_parts.h). `state`: bytes that are kept between two calls. */
    size_t state;
    int (*open)(struct snn_events_job *job);
    int (*more)(struct snn_events_job *job);
    void (*close)(struct snn_events_job *job); /* NULL: there is nothing to free */
};
extern const struct snn_events_format *const snn_events_formats[]; /* ended by NULL */

/* `path` is for sentences and the extension; `options` may be NULL. SNN_EDATA: not such a file; SNN_EUSAGE: an option
 * does not suit it. Memory is taken for what is there, never for what a header claims. */
int snn_events_decode(const char *path, const unsigned char *bytes, size_t size,
                      const struct snn_events_options *options, struct snn_sample *out, struct snn_events_facts *facts);
/* The same of a file. */
int snn_events_read(const char *path, const struct snn_events_options *options, struct snn_sample *out,
                    struct snn_events_facts *facts);

/* ---- segments of a long AEDAT 3 file (DVS128 Gesture) ---- */

struct snn_aedat3; /* an open file with a list of its packets */

/* Reads packet headers, and of each polarity packet the first and the last event: a few bytes every 32 kB. */
int snn_aedat3_open(const char *path, const struct snn_events_options *options, struct snn_aedat3 **out);
void snn_aedat3_close(struct snn_aedat3 **file);
/* Of the whole file; .invalid and .off are not known without reading it. */
const struct snn_events_facts *snn_aedat3_facts(const struct snn_aedat3 *file);
/* Times of the first and the last event of the packets, 0 and -1 when there are none. */
void snn_aedat3_span(const struct snn_aedat3 *file, int64_t *first, int64_t *last);

/* Events with t0 <= t < t1 in order of time; of the file, only packets that can hold such are read. Packets may overlap
 * in time; within a packet time does not go back (else facts.warning). `facts` (of the range) may be NULL. Thread-safe.
 */
int snn_aedat3_read_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1, struct snn_sample *out,
                          struct snn_events_facts *facts);
/* The same piece by piece (events_stream.h); the stream reads `file`, which has to live as long. */
int snn_aedat3_survey_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1, struct snn_events_extent *out,
                            struct snn_events_facts *facts);
int snn_aedat3_stream_range(const struct snn_aedat3 *file, int64_t t0, int64_t t1,
                            const struct snn_events_extent *extent, struct snn_events_stream **out);

#endif
