/* SPDX-License-Identifier: Apache-2.0
 * plot_axis.h - from the values on an axis to its range and its 1-2-5 ticks.
 *
 * Pure arithmetic: nothing here draws. Cover the values, fit, then read the ticks and place the values. */
#ifndef SNN_PLOT_AXIS_H
#define SNN_PLOT_AXIS_H

#include <stdbool.h>

enum snn_axis_kind {
    SNN_AXIS_X,
    SNN_AXIS_X_INTEGER, /* ticks at whole numbers only */
    SNN_AXIS_X_LOG2,    /* ticks at powers of two; values <= 0 have no place */
    SNN_AXIS_Y,
    SNN_AXIS_Y_PERCENT /* fractions printed in % */
};

enum { SNN_MAX_TICKS = 20 };

struct snn_tick {
    double place;  /* 0 at the low end of the axis, 1 at the high end */
    char text[32]; /* UTF-8 */
};

struct snn_axis {
    enum snn_axis_kind kind;
    double min, max;  /* of the covered values (their log2 for SNN_AXIS_X_LOG2) */
    double low, high; /* of the axis, likewise */
    int ticks;        /* 0 when no value was covered */
    struct snn_tick tick[SNN_MAX_TICKS];
    char multiplier[32]; /* what the tick texts are to be multiplied by, as "×10³", for the axis label; or "" */
};

struct snn_axis snn_axis_empty(enum snn_axis_kind kind);
/* Take a value into the range; one that has no place is ignored. */
void snn_axis_cover(struct snn_axis *axis, double value);
bool snn_axis_has_data(const struct snn_axis *axis);
/* Choose range and ticks: at most `target` steps, 2 <= target <= SNN_MAX_TICKS - 2. May be called again with another
 * target. */
void snn_axis_fit(struct snn_axis *axis, int target);
/* Where a value lies (0: low end, 1: high end), NAN when it has no place: not finite, beyond 1e100 in size, or no
 * logarithm. */
double snn_axis_place(const struct snn_axis *axis, double value);

#endif
