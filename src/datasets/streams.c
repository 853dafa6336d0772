/* SPDX-License-Identifier: Apache-2.0
 * streams.c - recordings that come in pieces and are read that way, where nothing needs all of their events at once. */
#include <stdlib.h>

#include "core/status.h"
#include "datasets/parts.h"

bool snn_can_stream(const struct snn_dataset *set, const struct snn_data_config *config, bool augment) {
    const struct snn_binning *bin = &config->bin;
    const struct snn_downsample *how = &config->downsample;
    bool keeps_all = how->polarity != SNN_POLARITY_ON && how->polarity != SNN_POLARITY_OFF && !how->drop;
    return config->pieces > 0 && set->ops->survey && !augment && !config->cache && bin->by == SNN_BIN_DURATION &&
           !bin->half && keeps_all && !how->tick_us;
}

/* Of all recordings of a split, once a data set: each is read from its beginning to its end. */
int snn_find_extents(struct snn_dataset *set, enum snn_split split) {
    int32_t n = set->info.count[split];
    int status = SNN_OK;
    if (set->extent[split]) return SNN_OK;
    struct snn_events_extent *extent = calloc((size_t)n + 1, sizeof *extent);
    if (!extent) return snn_error(SNN_EFAIL, "out of memory for what is known of %d recordings", n);
    for (int32_t i = 0; status >= 0 && i < n; ++i) {
        status = set->ops->survey(set, split, i, &extent[i]);
        if (status == SNN_READ_WHOLE) extent[i].events = -1;
        if (status >= 0 && snn_watch_moved(&set->watch, i + 1, n) < 0) status = SNN_EINTR;
    }
    if (status >= 0) set->extent[split] = extent;
    else free(extent);
    return status < 0 ? status : SNN_OK;
}

const struct snn_events_extent *snn_extent_of(const struct snn_dataset *set, enum snn_split split, int32_t i) {
    const struct snn_events_extent *extent = set->extent[split] ? &set->extent[split][i] : NULL;
    return extent && extent->events >= 0 ? extent : NULL;
}

/* Its framing needs the first and the last of its events alone. */
static size_t ends_of(const struct snn_events_extent *extent, struct snn_event ends[2]) {
    ends[0] = (struct snn_event){.t = extent->first}, ends[1] = (struct snn_event){.t = extent->last};
    return extent->events > 2 ? 2 : (size_t)extent->events;
}

int32_t snn_extent_steps(const struct snn_binning *bin, const struct snn_events_extent *extent) {
    struct snn_event ends[2];
    return snn_bin_own_steps(bin, ends, ends_of(extent, ends));
}

struct snn_framing snn_extent_framing(const struct snn_binning *bin, int32_t T,
                                      const struct snn_events_extent *extent) {
    struct snn_event ends[2];
    struct snn_framing cut = snn_framing_start(bin, T, ends, ends_of(extent, ends));
    cut.events = NULL, cut.n = 0;
    return cut;
}

int snn_stream_steps(struct snn_events_stream *stream, int32_t steps, struct snn_framing *cut,
                     struct snn_sample *sample) {
    const int64_t end = cut->j + steps;
    int64_t until = end > cut->last ? INT64_MAX : cut->base + (int64_t)((double)end * cut->hop);
    return snn_events_stream_next(stream, until, sample);
}

void snn_framing_go_on(struct snn_framing *cut, const struct snn_event *events, size_t n) {
    cut->events = events, cut->n = n;
    cut->step.begin = cut->step.end = 0;
}
