/* SPDX-License-Identifier: Apache-2.0
 * plot.h - pictures as PNG, drawn with Cairo. Written atomically (core/file.h). */
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
};

struct snn_panel {                                    /* one pair of axes */
    const char *title, *x_label, *y_label, *y2_label; /* units in the labels; y2_label NULL: no right axis */
    const struct snn_curve *curves;
    int count;
    int right_from; /* curves[right_from..] use the right axis; = count when none */
    bool x_integer; /* ticks at whole numbers only */
    bool x_log2;
    bool y_percent;   /* y is a fraction, ticks are printed in % */
    const char *note; /* small text under the title, or NULL */
};

/* Panels side by side. SNN_EFAIL with a sentence on failure. */
int snn_plot_panels(const char *path, const char *title, const struct snn_panel *panels, int count);

/* A strip of frames: (T,C,H,W) counts as tiles. C == 2: OFF in blue, ON in red over white; C == 1: grey; C == 3:
 * colours. Each tile is captioned with its step (and its time when step_ms > 0). */
int snn_plot_frames(const char *path, const char *title, const float *frames, int T, int C, int H, int W,
                    double step_ms);

#endif
