/* SPDX-License-Identifier: Apache-2.0
 * events_csv.c - a line an event, numbers between commas, semicolons, tabs or blanks.
 *
 * The first line may name the columns, in any order and among others; without names they are t, x, y, p. Lines that
 * begin with '#' are comments, but the first may be the names. Decimals are read exactly, never as floating point. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/status.h"
#include "datasets/events_parts.h"

enum { MAX_COLUMNS = 64, DIGITS = 18, SHOWN = 40 };

struct table {
    int columns;            /* of a line */
    int place[SNN_COLUMNS]; /* in a line */
    int unit;               /* of times; AUTO: whole microseconds */
    size_t at;              /* where the next line begins, and which one it is */
    int64_t line;
    bool begun; /* the names are read, or there are none */
};

static struct snn_text trimmed(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t')) ++at;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) --end;
    return (struct snn_text){at, (size_t)(end - at)};
}

/* The cells of a line; -1 when there are more than MAX_COLUMNS. Blanks around another separator are nothing. */
static int split(struct snn_text line, struct snn_text cell[MAX_COLUMNS]) {
    const char *at = line.at, *end = line.at + line.length;
    int n = 0;
    while (true) {
        const char *from = at;
        while (at < end && !strchr(" \t,;", *at ? *at : 'x')) ++at;
        if (n == MAX_COLUMNS) return -1;
        cell[n++] = (struct snn_text){from, (size_t)(at - from)};
        while (at < end && (*at == ' ' || *at == '\t')) ++at;
        if (at == end) return n;
        if (*at == ',' || *at == ';') ++at;
        while (at < end && (*at == ' ' || *at == '\t')) ++at;
    }
}

/* ---- numbers ---- */

struct decimal { /* (negative ? -1 : 1) * digits * 10^power */
    int64_t digits;
    int power;
    bool negative;
};

/* Digits beyond the 18th are cut off. */
static bool read_decimal(struct snn_text text, struct decimal *out) {
    const char *at = text.at, *end = at + text.length;
    int shift = 0, power = 0, any = 0;
    bool point = false, minus = false;
    *out = (struct decimal){0};
    if (at < end && (*at == '-' || *at == '+')) out->negative = *at++ == '-';
    for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !point)); ++at) {
        if (*at == '.') {
            point = true;
            continue;
        }
        any = 1;
        if (out->digits < INT64_C(100000000000000000)) { /* 10^17: one more fits in 18 */
            out->digits = 10 * out->digits + (*at - '0');
            shift -= point;
        } else shift += !point;
        if (shift > 1000000 || shift < -1000000) return false;
    }
    if (!any) return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        if (++at < end && (*at == '-' || *at == '+')) minus = *at++ == '-';
        if (at == end) return false;
        for (; at < end && *at >= '0' && *at <= '9'; ++at)
            if (power < 100000) power = 10 * power + (*at - '0');
    }
    out->power = shift + (minus ? -power : power);
    return at == end;
}

/* d * 10^by: whole, or rounded to the nearest, halves up. INT64_MAX when it is too large. *whole: nothing was lost. */
static int64_t rounded(struct decimal d, int by, bool *exact) {
    int64_t value = d.digits;
    int power = d.power + by, last = 0;
    *exact = true;
    for (; power > 0 && value; --power) {
        if (value > INT64_MAX / 10) return INT64_MAX;
        value *= 10;
    }
    for (; power < 0 && (value || last); ++power) {
        last = (int)(value % 10);
        *exact &= !last;
        value /= 10;
    }
    value += last >= 5;
    return d.negative ? -value : value;
}

static bool is_word(struct snn_text text, const char *word) {
    return text.length == strlen(word) && snn_text_begins(text, word);
}

/* ---- lines ---- */

static int broken(const struct snn_events_job *job, int64_t line, struct snn_text text, const char *expected) {
    return snn_error(SNN_EDATA, "%s:%lld: '%.*s'%s, expected %s", job->path, (long long)line,
                     (int)(text.length < SHOWN ? text.length : SHOWN), text.at, text.length > SHOWN ? "..." : "",
                     expected);
}

/* Is the line one of names? A cell that is no number makes it one. */
static bool is_names(const struct snn_text *cell, int n) {
    struct decimal ignored;
    for (int i = 0; i < n; ++i)
        if (!read_decimal(cell[i], &ignored)) return true;
    return false;
}

static int read_names(const struct snn_events_job *job, int64_t line, struct snn_text text, const struct snn_text *cell,
                      int n, struct table *table) {
    bool found[SNN_COLUMNS] = {0};
    for (int i = 0; i < n; ++i) {
        int unit = SNN_EVENTS_UNIT_AUTO;
        enum snn_column c = snn_column_find(cell[i].at, cell[i].length, &unit);
        if (c == SNN_COLUMNS) continue;
        if (found[c]) return broken(job, line, text, "each of the columns t, x, y and p once");
        found[c] = true;
        table->place[c] = i;
        if (c == SNN_COLUMN_T) table->unit = unit;
    }
    for (int c = 0; c < SNN_COLUMNS; ++c)
        if (!found[c])
            return broken(job, line, text, "names of columns, among them t (or t_us, timestamp), x, y and p");
    table->columns = n;
    return SNN_OK;
}

/* A line of numbers. */
static int read_line(struct snn_events_job *job, int64_t line, struct snn_text text, const struct snn_text *cell, int n,
                     const struct table *table) {
    static const int powers[] = {[SNN_EVENTS_S] = 6, [SNN_EVENTS_MS] = 3, [SNN_EVENTS_NS] = -3};
    struct snn_value row[SNN_COLUMNS] = {0};
    char what[32];
    if (n != table->columns) {
        snprintf(what, sizeof what, "%d columns", table->columns);
        return broken(job, line, text, what);
    }
    for (int c = 0; c < SNN_COLUMNS; ++c) {
        struct snn_text here = cell[table->place[c]];
        struct decimal d;
        bool exact, time = c == SNN_COLUMN_T,
                    truth = c == SNN_COLUMN_P && (is_word(here, "true") || is_word(here, "false"));
        if (truth) {
            row[c].whole = is_word(here, "true");
            continue;
        }
        if (!read_decimal(here, &d)) return broken(job, line, here, "a number");
        row[c].whole = rounded(d, time ? powers[table->unit] : 0, &exact);
        if (!exact && time && !table->unit)
            return broken(job, line, here,
                          "whole microseconds, as nothing says the unit of the times (t_s, t_ms, t_ns)");
        if (!exact && !time) return broken(job, line, here, "a whole number");
    }
    return snn_events_take_row(job, "line", line, row, SNN_EVENTS_US);
}

static int open_table(struct snn_events_job *job) {
    struct table *table = job->state;
    job->facts->format = "CSV";
    *table = (struct table){.columns = SNN_COLUMNS, .place = {0, 1, 2, 3}, .line = 1};
    if (job->size >= 3 && !memcmp(job->bytes, "\xef\xbb\xbf", 3)) table->at = 3; /* byte order mark */
    return SNN_OK;
}

/* Room for what is wanted, or for all lines that are left: an event takes 7 bytes at least, empty lines are none. */
static int make_room(struct snn_events_job *job, const char *at, const char *end) {
    size_t most = (size_t)(end - at) / 7 + 1, lines = 1;
    if (snn_events_wanted(job) < most) return snn_events_room(job, snn_events_wanted(job));
    for (const char *c = at; (c = memchr(c, '\n', (size_t)(end - c))); ++c) ++lines;
    return snn_events_room(job, lines < most ? lines : most);
}

/* A line that is not empty. Before the first of numbers, one may be of names. */
static int take_line(struct snn_events_job *job, struct table *table, struct snn_text text) {
    struct snn_text cell[MAX_COLUMNS];
    bool comment = text.at[0] == '#';
    if (comment && table->begun) return SNN_OK;
    if (comment) text = trimmed(text.at + 1, text.at + text.length);
    if (!text.length) return SNN_OK;
    int n = split(text, cell);
    if (n < 0) return broken(job, table->line, text, "at most 64 columns");
    if (!table->begun && is_names(cell, n)) {
        int status = read_names(job, table->line, text, cell, n, table);
        table->begun = status == SNN_OK;
        return comment ? SNN_OK : status;
    }
    if (comment) return SNN_OK;
    table->begun = true;
    if (job->options->unit) table->unit = job->options->unit;
    return read_line(job, table->line, text, cell, n, table);
}

static int more(struct snn_events_job *job) {
    struct table *table = job->state;
    const char *at = (const char *)job->bytes + table->at, *end = (const char *)job->bytes + job->size;
    SNN_TRY(make_room(job, at, end));
    for (; at < end && snn_events_wanted(job); ++table->line) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct snn_text text = trimmed(at, stop ? stop : end);
        at = stop ? stop + 1 : end;
        if (text.length) SNN_TRY(take_line(job, table, text));
    }
    table->at = (size_t)(at - (const char *)job->bytes);
    job->ended = at == end;
    return SNN_OK;
}

const struct snn_events_format snn_events_csv = {
    .name = "csv",
    .extensions = ".csv .txt .tsv",
    .help = "lines of t, x, y, p, or as a first line names them",
    .units = true,
    .state = sizeof(struct table),
    .open = open_table,
    .more = more,
};
