/* SPDX-License-Identifier: Apache-2.0
 * events_columns.c - events in tables of numbers: names of columns, units of times, what a cell may hold.
 *
 * A time becomes the nearest microsecond. Where neither an option nor the column's name says a unit, whole numbers are
 * microseconds, and fractions are refused: they would be of another one. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/status.h"
#include "datasets/events_parts.h"

const char *const snn_column_names[SNN_COLUMNS] = {
    [SNN_COLUMN_T] = "t timestamp time ts timestamps times",
    [SNN_COLUMN_X] = "x xs",
    [SNN_COLUMN_Y] = "y ys",
    [SNN_COLUMN_P] = "p polarity on pol ps polarities",
};

static bool listed(const char *names, const char *name, size_t length) {
    for (; *names; names += strcspn(names, " "), names += *names == ' ')
        if (strcspn(names, " ") == length && !strncasecmp(names, name, length)) return true;
    return false;
}

enum snn_column snn_column_find(const char *name, size_t length, int *unit) {
    static const struct {
        const char *end;
        int unit;
    } units[] = {{"_s", SNN_EVENTS_S}, {"_ms", SNN_EVENTS_MS}, {"_us", SNN_EVENTS_US}, {"_ns", SNN_EVENTS_NS}};
    for (enum snn_column c = 0; c < SNN_COLUMNS; ++c)
        if (listed(snn_column_names[c], name, length)) return c;
    for (size_t i = 0; i < sizeof units / sizeof *units; ++i) {
        size_t n = strlen(units[i].end);
        if (length <= n || strncasecmp(name + length - n, units[i].end, n) ||
            !listed(snn_column_names[SNN_COLUMN_T], name, length - n))
            continue;
        *unit = units[i].unit;
        return SNN_COLUMN_T;
    }
    return SNN_COLUMNS;
}

/* Values outside of what a column can hold become ones that are refused later. */
static int64_t scaled(int64_t value, int unit) {
    int64_t by = unit == SNN_EVENTS_S ? 1000000 : unit == SNN_EVENTS_MS ? 1000 : 1, most = SNN_EVENTS_LATEST / by;
    if (unit == SNN_EVENTS_NS) return value < 0 ? value / 1000 - 1 : value / 1000 + (value % 1000 >= 500);
    return value < -most ? -SNN_EVENTS_LATEST : value > most ? SNN_EVENTS_LATEST + 1 : value * by;
}

static int64_t scaled_real(double value, int unit) {
    double by = unit == SNN_EVENTS_S ? 1e6 : unit == SNN_EVENTS_MS ? 1e3 : unit == SNN_EVENTS_NS ? 1e-3 : 1;
    const double most = (double)SNN_EVENTS_LATEST;
    value = value * by;
    return value < -most ? -SNN_EVENTS_LATEST : value < most ? llround(value) : SNN_EVENTS_LATEST + 1;
}

/* Whole, or a time of a unit that is known. */
static bool is_fit(const struct snn_value *v, int column, int unit) {
    if (!v->real) return true;
    if (column == SNN_COLUMN_T && unit) return isfinite(v->number);
    return fabs(v->number) <= (double)SNN_EVENTS_LATEST && v->number == trunc(v->number);
}

/* Of what is fit. */
static int64_t whole(const struct snn_value *v) { return v->real ? (int64_t)v->number : v->whole; }

static int misfit(struct snn_events_job *job, const char *what, int64_t index, const struct snn_value *row, int unit,
                  int64_t t) {
    static const char *const names[SNN_COLUMNS] = {"time", "x", "y", "polarity"};
    char where[64];
    snprintf(where, sizeof where, "%s %lld", what, (long long)index);
    for (int c = 0; c < SNN_COLUMNS; ++c)
        if (!is_fit(&row[c], c, unit))
            return snn_error(SNN_EDATA, "%s: %s: %s %.10g, expected %s", job->path, where, names[c], row[c].number,
                             c == SNN_COLUMN_T && isfinite(row[c].number)
                                 ? "whole microseconds, as nothing says the unit of the times"
                                 : "a whole number");
    int64_t p = whole(&row[SNN_COLUMN_P]);
    if (p < -1 || p > 1)
        return snn_error(SNN_EDATA, "%s: %s: polarity %lld, expected 0, 1 or -1", job->path, where, (long long)p);
    return snn_events_misfit(job, where, t, whole(&row[SNN_COLUMN_X]), whole(&row[SNN_COLUMN_Y]));
}

int snn_events_take_row(struct snn_events_job *job, const char *what, int64_t index,
                        const struct snn_value row[SNN_COLUMNS], int unit) {
    const struct snn_value *time = &row[SNN_COLUMN_T];
    bool fit = true;
    for (int c = 0; c < SNN_COLUMNS; ++c) fit &= is_fit(&row[c], c, unit);
    if (!fit) return misfit(job, what, index, row, unit, 0);
    int64_t t = time->real ? scaled_real(time->number, unit) : scaled(time->whole, unit);
    int64_t p = whole(&row[SNN_COLUMN_P]);
    if (p >= -1 && p <= 1 && snn_events_take(job, t, whole(&row[SNN_COLUMN_X]), whole(&row[SNN_COLUMN_Y]), p > 0))
        return SNN_OK;
    return misfit(job, what, index, row, unit, t);
}
