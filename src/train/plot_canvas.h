/* SPDX-License-Identifier: Apache-2.0
 * plot_canvas.h - the sheet that pictures are drawn on: a white Cairo surface, text that always fits, one way out.
 *
 * Cairo keeps the first failure inside its context and ignores what follows, so drawing code checks nothing:
 * snn_canvas_save reports. Coordinates are points, SNN_CANVAS_SCALE pixels each. */
#ifndef SNN_PLOT_CANVAS_H
#define SNN_PLOT_CANVAS_H

#include <cairo.h>
#include <stdbool.h>

enum { SNN_CANVAS_SCALE = 2 };

struct snn_colour {
    double r, g, b;
};

struct snn_text_style {
    double size;
    bool bold;
    struct snn_colour colour;
};

enum snn_anchor { SNN_LEFT, SNN_CENTRE, SNN_RIGHT };

struct snn_canvas {
    const char *path; /* the caller's, kept until saved */
    cairo_surface_t *surface;
    cairo_t *cr;
};

/* A white sheet of width x height points that will become the file `path`. SNN_EFAIL when it is larger than Cairo can
 * hold or memory is short; then nothing is to be closed. */
int snn_canvas_open(struct snn_canvas *canvas, const char *path, double width, double height);
/* Write the PNG atomically and close, also on failure. SNN_EFAIL names the file and the reason. */
int snn_canvas_save(struct snn_canvas *canvas);
void snn_canvas_close(struct snn_canvas *canvas);

void snn_canvas_colour(struct snn_canvas *canvas, struct snn_colour colour);

/* Width of `text` in points. */
double snn_text_width(struct snn_canvas *canvas, const char *text, const struct snn_text_style *style);
/* Print `text` with its baseline at y and its anchor at x; beyond `room` points it is cut and ends in an ellipsis.
 * Bytes that are not UTF-8 are printed as replacement characters, control characters as spaces. */
void snn_text_draw(struct snn_canvas *canvas, const char *text, const struct snn_text_style *style,
                   enum snn_anchor anchor, double x, double y, double room);

#endif
