/* SPDX-License-Identifier: Apache-2.0
 * survey.c - one pass over the samples, keeping two numbers of each for the medians. */
#include "datasets/survey.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The values are put in order. */
static struct snn_spread spread_of(double *values, int32_t n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return (struct snn_spread){values[0], (values[(n - 1) / 2] + values[n / 2]) / 2, values[n - 1]};
}

struct sums {
    double events, on, seconds; /* of recordings */
    double pixels;              /* how many */
    uint64_t sum, squares;      /* of pixels: at most 2^16 each, exact for 2^48 of them */
};

/* Two numbers of a sample go to `first` and `second`, the rest is summed. */
static void add(const struct snn_dataset_info *info, const struct snn_sample *s, struct sums *sums, double *first,
                double *second) {
    switch (info->kind) {
    case SNN_RECORDINGS: {
        int64_t us = s->event_count ? s->events[s->event_count - 1].t - s->events[0].t : 0;
        *first = (double)us * 1e-6;
        *second = (double)s->event_count;
        sums->seconds += *first;
        sums->events += *second;
        for (size_t k = 0; k < s->event_count; ++k) sums->on += s->events[k].p;
        return;
    }
    case SNN_IMAGES: {
        size_t n = (size_t)info->C * (size_t)info->H * (size_t)info->W;
        sums->pixels += (double)n;
        for (size_t k = 0; k < n; ++k)
            sums->sum += s->pixels[k], sums->squares += (uint64_t)(s->pixels[k] * s->pixels[k]);
        return;
    }
    case SNN_SEQUENCES:
        *first = s->steps;
        return;
    }
}

static void conclude(const struct snn_dataset_info *info, const struct sums *sums, double *first, double *second,
                     struct snn_survey *out) {
    int32_t n = out->looked_at;
    switch (info->kind) {
    case SNN_RECORDINGS:
        out->duration_s = spread_of(first, n);
        out->events = spread_of(second, n);
        out->events_per_s = sums->seconds > 0 ? sums->events / sums->seconds : 0;
        out->on_share = info->C > 1 && sums->events > 0 ? sums->on / sums->events : 0;
        return;
    case SNN_IMAGES: {
        double mean = (double)sums->sum / sums->pixels, square = (double)sums->squares / sums->pixels;
        out->mean = mean / 255;
        out->std = sqrt(fmax(square - mean * mean, 0)) / 255;
        return;
    }
    case SNN_SEQUENCES:
        out->steps = spread_of(first, n);
        return;
    }
}

int snn_survey(struct snn_dataset *set, enum snn_split split, int32_t first, int32_t count, int32_t most,
               const struct snn_watch *watch, struct snn_survey *out) {
    SNN_CHECK(count >= 1 && most >= 1, "a survey of %d samples, at most %d", count, most);
    int32_t n = count < most ? count : most;
    *out = (struct snn_survey){.looked_at = n};
    double *a = calloc((size_t)n, sizeof *a), *b = calloc((size_t)n, sizeof *b);
    struct snn_sample sample = {0};
    struct sums sums = {0};
    int rc = a && b ? SNN_OK : snn_error(SNN_EFAIL, "out of memory for a survey of %d samples", n);
    for (int32_t k = 0; rc >= 0 && k < n; ++k) {
        rc = set->ops->get(set, split, first + (int32_t)((int64_t)k * count / n), &sample);
        if (rc >= 0) add(&set->info, &sample, &sums, &a[k], &b[k]);
        if (rc >= 0) rc = snn_watch_moved(watch, k + 1, n);
    }
    if (rc >= 0) conclude(&set->info, &sums, a, b, out);
    snn_sample_free(&sample);
    free(a);
    free(b);
    return rc < 0 ? rc : SNN_OK;
}
