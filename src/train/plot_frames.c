/* SPDX-License-Identifier: Apache-2.0
 * plot_frames.c - a recording as a strip of tiles, one a step.
, and the colour scale above it. */
#include <math.h>
#include <stdio.h>

#include "core/status.h"
#include "train/plot_tiles.h"

enum { COLUMNS = 10 };
static const double EDGE = 16, GAP = 12, CAPTION_HEIGHT = 24, TITLE_HEIGHT = 34, LEGEND_HEIGHT = 32, BAR = 72,
                    LEGEND_WIDTH = 380, TITLE_WIDTH = 520;

static const struct snn_text_style heading = {15, true, {0.10, 0.10, 0.10}},
                                   caption_text = {12, false, {0.25, 0.25, 0.25}},
                                   legend_text = {12, false, {0.15, 0.15, 0.15}};
static void draw_caption(struct snn_canvas *canvas, const struct snn_tiles *s, int t, double x, double y, double room) {
    char time[64], text[96];
    snn_tile_time(s->frames, t, time, sizeof time);
    snprintf(text, sizeof text, "t=%d%s%s", t, *time ? " · " : "", time);
    snn_text_draw(canvas, text, &caption_text, SNN_CENTRE, x, y, room);
}

/* "OFF 0 [bar] 3": the scale of channel `channel`; returns where it ends. */
static double draw_scale(struct snn_canvas *canvas, const struct snn_tiles *s, int channel, const char *name, double x,
                         double y) {
    char low[32], high[32];
    snprintf(low, sizeof low, "%s%s%.3g", name, *name ? "  " : "", s->low);
    snprintf(high, sizeof high, "%.3g", s->high);
    snn_text_draw(canvas, low, &legend_text, SNN_LEFT, x, y, 200);
    x = ceil(x + snn_text_width(canvas, low, &legend_text) + 6);
    for (int i = 0; i < (int)BAR; ++i) {
        double value[3] = {0};
        value[channel] = i / (BAR - 1);
        snn_canvas_colour(canvas, snn_tile_colour(s->frames->C, value));
        cairo_rectangle(canvas->cr, x + i, y - 10, 1, 11);
        cairo_fill(canvas->cr);
    }
    double hair = 1.0 / SNN_CANVAS_SCALE;
    snn_canvas_colour(canvas, snn_tile_border);
    cairo_set_line_width(canvas->cr, hair);
    cairo_rectangle(canvas->cr, x - hair / 2, y - 10 - hair / 2, BAR + hair, 11 + hair);
    cairo_stroke(canvas->cr);
    x += BAR + 6;
    snn_text_draw(canvas, high, &legend_text, SNN_LEFT, x, y, 200);
    return x + snn_text_width(canvas, high, &legend_text);
}

static void draw_legend(struct snn_canvas *canvas, const struct snn_tiles *s, double y) {
    if (s->frames->C == 1) {
        draw_scale(canvas, s, 0, "", EDGE, y);
    } else if (s->frames->C == 2) {
        double x = draw_scale(canvas, s, 0, "OFF", EDGE, y);
        x = draw_scale(canvas, s, 1, "ON", x + 20, y);
        snn_text_draw(canvas, "events per pixel", &legend_text, SNN_LEFT, x + 10, y, 200);
    }
}

int snn_plot_frames(const char *path, const char *title, const struct snn_frames *frames) {
    struct snn_tiles tiles;
    SNN_TRY(snn_tiles_measure(path, frames, &tiles));
    int T = frames->T, columns = T < COLUMNS ? T : COLUMNS, rows = (T - 1) / COLUMNS + 1;
    bool titled = title && *title;
    double cell = ceil(tiles.width / (double)SNN_CANVAS_SCALE) + GAP;
    double row = ceil(tiles.height / (double)SNN_CANVAS_SCALE) + CAPTION_HEIGHT;
    double top = (titled ? TITLE_HEIGHT : 10) + (frames->C == 3 ? 0 : LEGEND_HEIGHT);
    double width = fmax(2 * EDGE + columns * cell - GAP, titled ? TITLE_WIDTH : LEGEND_WIDTH),
           height = top + rows * row + 8;
    struct snn_canvas canvas;
    SNN_TRY(snn_canvas_open(&canvas, path, width, height));
    if (titled) snn_text_draw(&canvas, title, &heading, SNN_LEFT, EDGE, 26, width - 2 * EDGE);
    draw_legend(&canvas, &tiles, top - 14);
    for (int t = 0; t < T; ++t) {
        double x = EDGE + t % COLUMNS * cell, y = top + t / COLUMNS * row;
        snn_tile_draw(&canvas, &tiles, t, (int)x * SNN_CANVAS_SCALE, (int)y * SNN_CANVAS_SCALE);
        draw_caption(&canvas, &tiles, t, x + tiles.width / 2.0 / SNN_CANVAS_SCALE, y + row - CAPTION_HEIGHT + 16,
                     cell - 2);
    }
    return snn_canvas_save(&canvas);
}
