/* SPDX-License-Identifier: Apache-2.0
 * plot_tiles.c - the colours of a step, pixel by pixel. */
#include "train/plot_tiles.h"

#include <math.h>
#include <stdio.h>

#include "core/status.h"

enum {
    TILE = 160 * SNN_CANVAS_SCALE, /* longest side of a tile, in picture pixels */
    THIN = 24 * SNN_CANVAS_SCALE   /* a tile of one row or column of units is stretched to this */
};
static const struct snn_colour off_blue = {0.000, 0.447, 0.698}, on_red = {0.800, 0.120, 0.100};
const struct snn_colour snn_tile_border = {0.60, 0.60, 0.60};

static double unit(double value) { return fmin(fmax(value, 0), 1); } /* NAN becomes 0 */

/* Multiply a colour with ink of the given strength. The root lifts single events out of the white. */
static struct snn_colour ink(struct snn_colour paper, struct snn_colour pigment, double strength) {
    double s = sqrt(strength);
    return (struct snn_colour){paper.r * (1 - s * (1 - pigment.r)), paper.g * (1 - s * (1 - pigment.g)),
                               paper.b * (1 - s * (1 - pigment.b))};
}

struct snn_colour snn_tile_colour(int C, const double *value) {
    if (C == 1) return (struct snn_colour){value[0], value[0], value[0]};
    if (C == 3) return (struct snn_colour){value[0], value[1], value[2]};
    struct snn_colour white = {1, 1, 1};
    return ink(ink(white, off_blue, value[0]), on_red, value[1]);
}

/* The largest value of a channel in a rectangle of the sensor. */
static double largest(const struct snn_tiles *s, int t, int c, int x0, int x1, int y0, int y1) {
    const struct snn_frames *f = s->frames;
    const float *plane = f->values + ((size_t)t * (size_t)f->C + (size_t)c) * (size_t)f->H * (size_t)f->W;
    double value = -INFINITY;
    for (int y = y0; y < y1; ++y)
        for (int x = x0; x < x1; ++x) value = fmax(value, plane[(size_t)y * (size_t)f->W + (size_t)x]);
    return unit((value - s->low) / (s->high - s->low));
}

/* Sensor pixels [*from, *to) under picture pixel `p` of `pixels`; at least one. */
static void under(int p, int pixels, int units, int *from, int *to) {
    *from = (int)((int64_t)p * units / pixels);
    *to = (int)((int64_t)(p + 1) * units / pixels);
    if (*to <= *from) *to = *from + 1;
}

void snn_tile_draw(struct snn_canvas *canvas, const struct snn_tiles *s, int t, int left, int top) {
    cairo_surface_flush(canvas->surface);
    unsigned char *bytes = cairo_image_surface_get_data(canvas->surface);
    int stride = cairo_image_surface_get_stride(canvas->surface);
    for (int py = 0; py < s->height; ++py) {
        uint32_t *row = (uint32_t *)(void *)(bytes + (ptrdiff_t)(top + py) * stride) + left;
        int y0, y1, x0, x1;
        under(py, s->height, s->frames->H, &y0, &y1);
        for (int px = 0; px < s->width; ++px) {
            under(px, s->width, s->frames->W, &x0, &x1);
            double value[3];
            for (int c = 0; c < s->frames->C; ++c) value[c] = largest(s, t, c, x0, x1, y0, y1);
            struct snn_colour colour = snn_tile_colour(s->frames->C, value);
            row[px] = (uint32_t)lround(colour.r * 255) << 16 | (uint32_t)lround(colour.g * 255) << 8 |
                      (uint32_t)lround(colour.b * 255);
        }
    }
    cairo_surface_mark_dirty(canvas->surface);
    double hair = 1.0 / SNN_CANVAS_SCALE; /* one picture pixel, just outside the tile */
    snn_canvas_colour(canvas, snn_tile_border);
    cairo_set_line_width(canvas->cr, hair);
    cairo_rectangle(canvas->cr, (left - 0.5) * hair, (top - 0.5) * hair, (s->width + 1) * hair, (s->height + 1) * hair);
    cairo_stroke(canvas->cr);
}

static void find_range(struct snn_tiles *tiles) {
    const struct snn_frames *f = tiles->frames;
    size_t n = (size_t)f->T * (size_t)f->C * (size_t)f->H * (size_t)f->W;
    double low = 0, high = 0;
    for (size_t i = 0; i < n; ++i) {
        if (!isfinite(f->values[i])) continue;
        low = fmin(low, f->values[i]);
        high = fmax(high, f->values[i]);
    }
    tiles->low = f->C == 2 ? 0 : low; /* a count has no other side */
    tiles->high = high > tiles->low ? high : tiles->low + 1;
}

/* Picture pixels a unit: as many as fit in a tile, or less than one. */
static void find_size(struct snn_tiles *tiles) {
    const struct snn_frames *f = tiles->frames;
    int longest = f->W > f->H ? f->W : f->H;
    if (longest <= TILE) {
        tiles->width = f->W * (TILE / longest);
        tiles->height = f->H * (TILE / longest);
    } else {
        tiles->width = (int)((int64_t)f->W * TILE / longest);
        tiles->height = (int)((int64_t)f->H * TILE / longest);
    }
    if (tiles->width < THIN) tiles->width = THIN;
    if (tiles->height < THIN) tiles->height = THIN;
}

int snn_tiles_measure(const char *path, const struct snn_frames *f, struct snn_tiles *out) {
    SNN_CHECK(f->T > 0 && f->C > 0 && f->H > 0 && f->W > 0, "frames of shape (%d,%d,%d,%d)", f->T, f->C, f->H, f->W);
    if (f->C > 3)
        return snn_error(SNN_EFAIL, "%s: frames of %d channels have no picture: 1, 2 or 3 are drawn", path, f->C);
    *out = (struct snn_tiles){.frames = f, .low = f->low, .high = f->high};
    if (f->low == f->high) find_range(out);
    find_size(out);
    return SNN_OK;
}

void snn_tile_time(const struct snn_frames *f, int t, char *out, size_t size) {
    *out = 0;
    if (f->step_ms <= 0) return;
    double digit = pow(10, fmin(floor(log10(f->step_ms)) - 2, 0)); /* three places of a step, or whole milliseconds */
    snprintf(out, size, "%.10g–%.10g ms", round(t * f->step_ms / digit) * digit,
             round((t + 1) * f->step_ms / digit) * digit);
}
