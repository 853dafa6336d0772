/* SPDX-License-Identifier: Apache-2.0
 * survey.h - what the samples of a data set are like, in a few numbers: from all of them, or from some that lie evenly.
 */
#ifndef SNN_SURVEY_H
#define SNN_SURVEY_H

#include "core/watch.h"
#include "datasets/dataset.h"

struct snn_spread {
    double min, median, max;
};

struct snn_survey {
    int32_t looked_at; /* samples read */
    /* recordings */
    struct snn_spread duration_s; /* first to last event */
    struct snn_spread events;     /* of a recording */
    double events_per_s;          /* all events by the sum of all durations; 0: they have none */
    double on_share;              /* events with p = 1 among all; 0 where the sensor has one polarity */
    /* images, over all pixels and channels */
    double mean, std; /* of pixel / 255: data.mean and data.std of a config */
    /* sequences */
    struct snn_spread steps;
};

/* Samples first .. first + count - 1 of a split, at most `most` of them; count is at least 1. An unreadable sample is
 * the set's own error. */
int snn_survey(struct snn_dataset *set, enum snn_split split, int32_t first, int32_t count, int32_t most,
               const struct snn_watch *watch, struct snn_survey *out);

#endif
