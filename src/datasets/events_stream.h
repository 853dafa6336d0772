/* SPDX-License-Identifier: Apache-2.0
 * events_stream.h - a recording from its beginning to its end, some events at a time, in memory that does not grow with
 * it.
 *
 * Times in a file may go back, and a file does not begin with how far. So it is read twice: a survey finds that, and
 * what else has to be known of the whole; a stream then reads just so far ahead that no event can come late. One part
 * behind the other is what reading the whole gives (events.h), event by event. Memory: the largest part, what lies
 * within `back` of its end, and a few thousand events or a packet of the file beyond. */
#ifndef SNN_DATASETS_EVENTS_STREAM_H
#define SNN_DATASETS_EVENTS_STREAM_H

#include "datasets/dataset.h"

struct snn_events_options;
struct snn_events_facts;

struct snn_events_extent {
    int64_t events;
    int64_t first, last; /* times of the earliest and the latest event; 0 and -1: there are none */
    int64_t back;        /* the most by which an event is earlier than the latest one before it in the file */
    int32_t H;           /* of the sensor, as in the facts: rows may be counted from below */
    uint32_t addresses;  /* of AEDAT 2 that names no camera: all of them, or-ed; else 0 */
};

struct snn_events_stream; /* an open recording; of one thread at a time */

/* One pass over the file. Fails as snn_events_read does, and fills the same facts: what a recording has to say is said
 * here, streams are silent. A file has 2^36 bytes at most. `options` may be NULL. */
int snn_events_survey(const char *path, const struct snn_events_options *options, struct snn_events_extent *out,
                      struct snn_events_facts *facts);
/* What stands in front of the events only: of the facts .format, and .W, .H where .sensor_stated. */
int snn_events_peek(const char *path, const struct snn_events_options *options, struct snn_events_facts *facts);

/* `extent`: of that file, by a survey with the same options. options->format has to live as long as the stream. A file
 * that is another one by now is SNN_EDATA, here or later, if an event comes late because of it. */
int snn_events_stream_open(const char *path, const struct snn_events_options *options,
                           const struct snn_events_extent *extent, struct snn_events_stream **out);
/* The events before time `until` (us) that were not handed out yet, in order of time (the file's among equals), become
 * those of `out`; nothing else of it is touched. INT64_MAX: all that are left. After a failure only close it. */
int snn_events_stream_next(struct snn_events_stream *stream, int64_t until, struct snn_sample *out);
void snn_events_stream_close(struct snn_events_stream **stream); /* sets it to NULL; NULL already: nothing happens */

#endif
