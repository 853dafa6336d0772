/* SPDX-License-Identifier: Apache-2.0
 * plot.h - pictures as PNG and GIF, drawn with Cairo. Written atomically (core/file.h). */
#ifndef SNN_PLOT_H
#define SNN_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snn_curve {
    const char *label;   /* in the legend */
    const double *x, *y; /* (n); NAN in y leaves a gap */
    int n;
    bool dashed;
    bool markers;
    bool dots; /* small points without a line: a raster */
};

struct snn_panel {                                    /* one pair of axes */
    const char *title, *x_label, *y_label, *y2_label; /* units in the labels; y2_label NULL: no right axis */
    const struct snn_curve *curves;
    int count;
    int right_from; /* curves[right_from..] use the right axis; = count when none */
    bool x_integer; /* ticks at whole numbers only */
    bool x_log2;
    bool y_percent;         /* y is a fraction, ticks are printed in % */
    const char *note;       /* small text under the title, or NULL */
    double y_least, y_most; /* on the left axis in any case, where they differ */
};

/* Panels side by side. SNN_EFAIL with a sentence on failure. */
int snn_plot_panels(const char *path, const char *title, const struct snn_panel *panels, int count);

struct snn_bars { /* one number a row, as bars from 0 */
    const char *title, *unit;
    const double *value; /* (rows), not negative; NAN: none */
    bool percent;        /* values are fractions */
};

struct snn_heat { /* several numbers a row, from -1 to 1, as colours */
    const char *title;
    const char *const *column; /* (columns) what stands below them */
    const double *value;       /* (rows,columns); NAN: none */
    int columns;
};

/* A picture of things compared: each has a row, through bars and heat maps side by side. */
struct snn_comparison {
    const char *title, *note, *scale; /* scale: what the colours are */
    const char *const *label;         /* (rows) */
    int rows, reference;              /* reference: the row whose bars the others are to be held against; -1: none */
    const struct snn_bars *bars;
    const struct snn_heat *heat;
    int bar_count, heat_count;
};
int snn_plot_rows(const char *path, const struct snn_comparison *rows);

struct snn_frames {      /* what a strip or an animation shows */
    const float *values; /* (T,C,H,W): C == 2: OFF in blue, ON in red over white; C == 1: grey; C == 3: colours */
    int T, C, H, W;
    double step_ms;   /* how long a step is, 0: not known */
    double low, high; /* values at the ends of the scale; equal: what the values reach, counts from 0 */
};

/* A strip of tiles, each captioned with its step (and its time when it is known). */
int snn_plot_frames(const char *path, const char *title, const struct snn_frames *frames);

/* The same as an animated GIF that plays in about four seconds, with a clock and a bar of the time gone by. */
int snn_plot_animation(const char *path, const char *title, const struct snn_frames *frames);

#endif
