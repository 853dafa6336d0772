/* SPDX-License-Identifier: Apache-2.0
 * plot_frames.c - a recording as a strip of tiles, one a step.
 *
 * Tiles are computed pixel by pixel: a sensor's pixel becomes a whole number of picture pixels, and a sensor that is
 * larger than a tile shows the largest value under each picture pixel, so that single events stay visible. One colour
 * scale holds for the whole strip. */
#include "train/plot.h"

#include <math.h>
#include <stdio.h>

#include "core/status.h"
#include "train/plot_canvas.h"

enum {
    COLUMNS = 10,
    TILE = 160 * SNN_CANVAS_SCALE, /* longest side of a tile, in picture pixels */
    THIN = 24 * SNN_CANVAS_SCALE   /* a tile of one row or column of units is stretched to this */
};
static const double EDGE = 16, GAP = 12, CAPTION_HEIGHT = 24, TITLE_HEIGHT = 34, LEGEND_HEIGHT = 32, BAR = 72,
                    LEGEND_WIDTH = 380;

static const struct snn_text_style heading = {15, true, {0.10, 0.10, 0.10}},
                                   caption_text = {12, false, {0.25, 0.25, 0.25}},
                                   legend_text = {12, false, {0.15, 0.15, 0.15}};
static const struct snn_colour border = {0.60, 0.60, 0.60}, off_blue = {0.000, 0.447, 0.698},
                               on_red = {0.800, 0.120, 0.100};

struct strip {
    const float *frames;
    int T, C, H, W;
    double low, high;  /* values at the two ends of the colour scale */
    int width, height; /* of a tile, in picture pixels */
    double step_ms;
};

static double unit(double value) { return fmin(fmax(value, 0), 1); } /* NAN becomes 0 */

/* Multiply a colour with ink of the given strength. The root lifts single events out of the white. */
static struct snn_colour ink(struct snn_colour paper, struct snn_colour pigment, double strength) {
    double s = sqrt(strength);
    return (struct snn_colour){paper.r * (1 - s * (1 - pigment.r)), paper.g * (1 - s * (1 - pigment.g)),
                               paper.b * (1 - s * (1 - pigment.b))};
}

/* The colour of one value (0..1) a channel. */
static struct snn_colour colour_of(int C, const double *value) {
    if (C == 1) return (struct snn_colour){value[0], value[0], value[0]};
    if (C == 3) return (struct snn_colour){value[0], value[1], value[2]};
    struct snn_colour white = {1, 1, 1};
    return ink(ink(white, off_blue, value[0]), on_red, value[1]);
}

/* The largest value of a channel in a rectangle of the sensor. */
static double largest(const struct strip *s, int t, int c, int x0, int x1, int y0, int y1) {
    const float *plane = s->frames + ((size_t)t * (size_t)s->C + (size_t)c) * (size_t)s->H * (size_t)s->W;
    double value = -INFINITY;
    for (int y = y0; y < y1; ++y)
        for (int x = x0; x < x1; ++x) value = fmax(value, plane[(size_t)y * (size_t)s->W + (size_t)x]);
    return unit((value - s->low) / (s->high - s->low));
}

/* Sensor pixels [*from, *to) under picture pixel `p` of `pixels`; at least one. */
static void under(int p, int pixels, int units, int *from, int *to) {
    *from = (int)((int64_t)p * units / pixels);
    *to = (int)((int64_t)(p + 1) * units / pixels);
    if (*to <= *from) *to = *from + 1;
}

static void draw_tile(struct snn_canvas *canvas, const struct strip *s, int t, int left, int top) {
    cairo_surface_flush(canvas->surface);
    unsigned char *bytes = cairo_image_surface_get_data(canvas->surface);
    int stride = cairo_image_surface_get_stride(canvas->surface);
    for (int py = 0; py < s->height; ++py) {
        uint32_t *row = (uint32_t *)(void *)(bytes + (ptrdiff_t)(top + py) * stride) + left;
        int y0, y1, x0, x1;
        under(py, s->height, s->H, &y0, &y1);
        for (int px = 0; px < s->width; ++px) {
            under(px, s->width, s->W, &x0, &x1);
            double value[3];
            for (int c = 0; c < s->C; ++c) value[c] = largest(s, t, c, x0, x1, y0, y1);
            struct snn_colour colour = colour_of(s->C, value);
            row[px] = (uint32_t)lround(colour.r * 255) << 16 | (uint32_t)lround(colour.g * 255) << 8 |
                      (uint32_t)lround(colour.b * 255);
        }
    }
    cairo_surface_mark_dirty(canvas->surface);
    double hair = 1.0 / SNN_CANVAS_SCALE; /* one picture pixel, just outside the tile */
    snn_canvas_colour(canvas, border);
    cairo_set_line_width(canvas->cr, hair);
    cairo_rectangle(canvas->cr, (left - 0.5) * hair, (top - 0.5) * hair, (s->width + 1) * hair, (s->height + 1) * hair);
    cairo_stroke(canvas->cr);
}

static void draw_caption(struct snn_canvas *canvas, const struct strip *s, int t, double x, double y, double room) {
    char text[96];
    if (s->step_ms > 0) {
        double digit =
            pow(10, fmin(floor(log10(s->step_ms)) - 2, 0)); /* three places of a step, or whole milliseconds */
        snprintf(text, sizeof text, "t=%d · %.10g–%.10g ms", t, round(t * s->step_ms / digit) * digit,
                 round((t + 1) * s->step_ms / digit) * digit);
    } else {
        snprintf(text, sizeof text, "t=%d", t);
    }
    snn_text_draw(canvas, text, &caption_text, SNN_CENTRE, x, y, room);
}

/* "OFF 0 [bar] 3": the scale of channel `channel`; returns where it ends. */
static double draw_scale(struct snn_canvas *canvas, const struct strip *s, int channel, const char *name, double x,
                         double y) {
    char low[32], high[32];
    snprintf(low, sizeof low, "%s%s%.3g", name, *name ? "  " : "", s->low);
    snprintf(high, sizeof high, "%.3g", s->high);
    snn_text_draw(canvas, low, &legend_text, SNN_LEFT, x, y, 200);
    x = ceil(x + snn_text_width(canvas, low, &legend_text) + 6);
    for (int i = 0; i < (int)BAR; ++i) {
        double value[3] = {0};
        value[channel] = i / (BAR - 1);
        snn_canvas_colour(canvas, colour_of(s->C, value));
        cairo_rectangle(canvas->cr, x + i, y - 10, 1, 11);
        cairo_fill(canvas->cr);
    }
    double hair = 1.0 / SNN_CANVAS_SCALE;
    snn_canvas_colour(canvas, border);
    cairo_set_line_width(canvas->cr, hair);
    cairo_rectangle(canvas->cr, x - hair / 2, y - 10 - hair / 2, BAR + hair, 11 + hair);
    cairo_stroke(canvas->cr);
    x += BAR + 6;
    snn_text_draw(canvas, high, &legend_text, SNN_LEFT, x, y, 200);
    return x + snn_text_width(canvas, high, &legend_text);
}

static void draw_legend(struct snn_canvas *canvas, const struct strip *s, double y) {
    if (s->C == 1) {
        draw_scale(canvas, s, 0, "", EDGE, y);
    } else if (s->C == 2) {
        double x = draw_scale(canvas, s, 0, "OFF", EDGE, y);
        x = draw_scale(canvas, s, 1, "ON", x + 20, y);
        snn_text_draw(canvas, "events per pixel", &legend_text, SNN_LEFT, x + 10, y, 200);
    }
}

static void find_range(struct strip *s) {
    size_t n = (size_t)s->T * (size_t)s->C * (size_t)s->H * (size_t)s->W;
    double low = 0, high = 0;
    for (size_t i = 0; i < n; ++i) {
        if (!isfinite(s->frames[i])) continue;
        low = fmin(low, s->frames[i]);
        high = fmax(high, s->frames[i]);
    }
    s->low = s->C == 2 ? 0 : low; /* a count has no other side */
    s->high = high > s->low ? high : s->low + 1;
}

/* Picture pixels a unit: as many as fit in a tile, or less than one. */
static void find_tile(struct strip *s) {
    int longest = s->W > s->H ? s->W : s->H;
    if (longest <= TILE) {
        s->width = s->W * (TILE / longest);
        s->height = s->H * (TILE / longest);
    } else {
        s->width = (int)((int64_t)s->W * TILE / longest);
        s->height = (int)((int64_t)s->H * TILE / longest);
    }
    if (s->width < THIN) s->width = THIN;
    if (s->height < THIN) s->height = THIN;
}

int snn_plot_frames(const char *path, const char *title, const float *frames, int T, int C, int H, int W,
                    double step_ms) {
    SNN_CHECK(T > 0 && C > 0 && H > 0 && W > 0, "frames of shape (%d,%d,%d,%d)", T, C, H, W);
    if (C > 3) return snn_error(SNN_EFAIL, "%s: frames of %d channels have no picture: 1, 2 or 3 are drawn", path, C);
    struct strip strip = {.frames = frames, .T = T, .C = C, .H = H, .W = W, .step_ms = step_ms};
    find_range(&strip);
    find_tile(&strip);

    int columns = T < COLUMNS ? T : COLUMNS, rows = (T - 1) / COLUMNS + 1;
    bool titled = title && *title;
    double cell = ceil(strip.width / (double)SNN_CANVAS_SCALE) + GAP;
    double row = ceil(strip.height / (double)SNN_CANVAS_SCALE) + CAPTION_HEIGHT;
    double top = (titled ? TITLE_HEIGHT : 10) + (C == 3 ? 0 : LEGEND_HEIGHT);
    double width = fmax(2 * EDGE + columns * cell - GAP, LEGEND_WIDTH), height = top + rows * row + 8;
    struct snn_canvas canvas;
    SNN_TRY(snn_canvas_open(&canvas, path, width, height));
    if (titled) snn_text_draw(&canvas, title, &heading, SNN_LEFT, EDGE, 26, width - 2 * EDGE);
    draw_legend(&canvas, &strip, top - 14);
    for (int t = 0; t < T; ++t) {
        double x = EDGE + t % COLUMNS * cell, y = top + t / COLUMNS * row;
        draw_tile(&canvas, &strip, t, (int)x * SNN_CANVAS_SCALE, (int)y * SNN_CANVAS_SCALE);
        draw_caption(&canvas, &strip, t, x + strip.width / 2.0 / SNN_CANVAS_SCALE, y + row - CAPTION_HEIGHT + 16,
                     cell - 2);
    }
    return snn_canvas_save(&canvas);
}
