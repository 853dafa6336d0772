/* SPDX-License-Identifier: Apache-2.0
 * plot_rows.c - things compared, a row each: bars with their numbers, and heat maps, which go on in the same rows.
 *
 * Colours of heat maps go from vermilion (-1) over white (0) to blue (1), which differ for any colour vision, and in
 * lightness from the middle on; the number stands in every cell that has room for it. */
#include <math.h>
#include <stdio.h>

#include "core/status.h"
#include "train/plot.h"
#include "train/plot_canvas.h"

/* Points. */
static const double EDGE = 20, ROW = 30, BAR = 17, BAR_ROOM = 104, NUMBER_ROOM = 56, GAP = 20, HEAD = 62, TITLE = 58,
                    FOOT = 46;
static const double CELL = 48, MAP_WIDTH = 720, LEAST_CELL = 9, NUMBER_CELL = 36, LABEL_CELL = 13;

/* Of Okabe and Ito, told apart with any colour vision. */
static const struct snn_colour inks[] = {
    {0.000, 0.447, 0.698}, {0.902, 0.624, 0.000}, {0.000, 0.620, 0.451}, {0.800, 0.475, 0.655}};
static const struct snn_colour low_ink = {0.835, 0.369, 0.000}, high_ink = {0.000, 0.314, 0.560},
                               line_grey = {0.35, 0.35, 0.35}, stripe = {0.965, 0.965, 0.965},
                               empty = {0.90, 0.90, 0.90};
static const struct snn_text_style heading = {16, true, {0.10, 0.10, 0.10}}, small = {11.5, false, {0.40, 0.40, 0.40}},
                                   column_title = {12.5, true, {0.10, 0.10, 0.10}},
                                   row_label = {13, true, {0.12, 0.12, 0.12}},
                                   number_text = {12, false, {0.15, 0.15, 0.15}},
                                   cell_dark = {11, false, {0.10, 0.10, 0.10}}, cell_light = {11, false, {1, 1, 1}},
                                   tick_text = {11, false, {0.25, 0.25, 0.25}};

struct layout {
    const struct snn_comparison *rows;
    double label; /* room of the row's labels */
    double top;   /* of the first row */
    double below; /* room of the columns' labels */
    double width, height;
};

static double cell_width(const struct snn_heat *h) {
    double width = MAP_WIDTH / h->columns;
    return width > CELL ? CELL : width < LEAST_CELL ? LEAST_CELL : width;
}

/* Few columns still leave room for the title. */
static double heat_width(struct snn_canvas *canvas, const struct snn_heat *h) {
    return fmax(cell_width(h) * h->columns, snn_text_width(canvas, h->title, &column_title));
}

static double widest(struct snn_canvas *canvas, const char *const *texts, int count,
                     const struct snn_text_style *style) {
    double most = 0;
    for (int i = 0; i < count; ++i) most = fmax(most, snn_text_width(canvas, texts[i], style));
    return most;
}

static struct layout measure(struct snn_canvas *canvas, const struct snn_comparison *rows) {
    struct layout l = {.rows = rows, .top = TITLE + HEAD};
    l.label = ceil(widest(canvas, rows->label, rows->rows, &row_label)) + 16; /* bars begin on whole pixels */
    l.width = EDGE + l.label + rows->bar_count * (BAR_ROOM + NUMBER_ROOM + GAP);
    for (int i = 0; i < rows->heat_count; ++i) {
        const struct snn_heat *h = &rows->heat[i];
        l.width += heat_width(canvas, h) + GAP;
        if (cell_width(h) < LABEL_CELL) continue;
        l.below = fmax(l.below, widest(canvas, h->column, h->columns, &tick_text) * M_SQRT1_2 + 14);
    }
    l.width += EDGE - GAP;
    l.height = l.top + ROW * rows->rows + fmax(l.below, FOOT) + 14;
    return l;
}

/* ---- bars ---- */

static void number_of(const struct snn_bars *b, double value, char *out, size_t size) {
    if (isnan(value)) snprintf(out, size, "—");
    else if (b->percent) snprintf(out, size, "%.2f %%", 100 * value);
    else if (value >= 99.95) snprintf(out, size, "%.0f", value);
    else if (value >= 0.995) snprintf(out, size, "%.1f", value);
    else snprintf(out, size, "%.3f", value);
}

static void draw_bars(struct snn_canvas *canvas, const struct layout *l, int which, double x) {
    const struct snn_bars *b = &l->rows->bars[which];
    const int reference = l->rows->reference;
    cairo_t *cr = canvas->cr;
    char text[64];
    double most = 0;
    for (int i = 0; i < l->rows->rows; ++i) most = fmax(most, b->value[i]); /* fmax leaves NAN out */
    snn_text_draw(canvas, b->title, &column_title, SNN_LEFT, x, l->top - 26, BAR_ROOM + NUMBER_ROOM);
    snn_text_draw(canvas, b->unit, &small, SNN_LEFT, x, l->top - 10, BAR_ROOM + NUMBER_ROOM);
    for (int i = 0; i < l->rows->rows; ++i) {
        double y = l->top + i * ROW, length = most > 0 && !isnan(b->value[i]) ? BAR_ROOM * b->value[i] / most : 0;
        snn_canvas_colour(canvas, inks[which % 4]);
        cairo_rectangle(cr, x, y + (ROW - BAR) / 2, length, BAR);
        cairo_fill(cr);
        number_of(b, b->value[i], text, sizeof text);
        snn_text_draw(canvas, text, &number_text, SNN_LEFT, x + length + 5, y + ROW / 2 + 4.3, NUMBER_ROOM + GAP - 8);
    }
    snn_canvas_colour(canvas, line_grey);
    cairo_set_line_width(cr, 1);
    cairo_move_to(cr, x, l->top), cairo_line_to(cr, x, l->top + ROW * l->rows->rows);
    cairo_stroke(cr);
    if (reference < 0 || most <= 0 || isnan(b->value[reference])) return;
    static const double dash[] = {3, 3};
    double at = x + BAR_ROOM * b->value[reference] / most;
    cairo_set_dash(cr, dash, 2, 0);
    for (int i = 0; i < l->rows->rows; ++i) { /* between the bars, so that no number is crossed */
        double y = l->top + i * ROW;
        cairo_move_to(cr, at, y), cairo_line_to(cr, at, y + (ROW - BAR) / 2);
        cairo_move_to(cr, at, y + (ROW + BAR) / 2), cairo_line_to(cr, at, y + ROW);
    }
    cairo_stroke(cr);
    cairo_set_dash(cr, NULL, 0, 0);
}

/* ---- heat maps ---- */

static struct snn_colour colour_of(double value) {
    const struct snn_colour ink = value < 0 ? low_ink : high_ink;
    const double s = fmin(fabs(value), 1);
    return (struct snn_colour){1 - s * (1 - ink.r), 1 - s * (1 - ink.g), 1 - s * (1 - ink.b)};
}

static void draw_cell(struct snn_canvas *canvas, double value, double x, double y, double width) {
    char text[32];
    snn_canvas_colour(canvas, isnan(value) ? empty : colour_of(value));
    cairo_rectangle(canvas->cr, x + 0.5, y + 1, width - 1, ROW - 2);
    cairo_fill(canvas->cr);
    if (width < NUMBER_CELL) return;
    if (isnan(value)) snprintf(text, sizeof text, "—");
    else snprintf(text, sizeof text, "%s%.2f", value < -0.005 ? "−" : "", fabs(value));
    snn_text_draw(canvas, text, value > 0.5 ? &cell_light : &cell_dark, SNN_CENTRE, x + width / 2, y + ROW / 2 + 4,
                  width);
}

static void slanted(struct snn_canvas *canvas, const char *text, double x, double y) {
    cairo_save(canvas->cr);
    cairo_translate(canvas->cr, x, y);
    cairo_rotate(canvas->cr, -M_PI / 4);
    snn_text_draw(canvas, text, &tick_text, SNN_RIGHT, 0, 0, 400);
    cairo_restore(canvas->cr);
}

static void draw_heat(struct snn_canvas *canvas, const struct layout *l, const struct snn_heat *h, double x) {
    const double width = cell_width(h), bottom = l->top + ROW * l->rows->rows;
    snn_text_draw(canvas, h->title, &column_title, SNN_LEFT, x, l->top - 26, heat_width(canvas, h) + 0.01);
    for (int c = 0; c < h->columns; ++c) {
        for (int i = 0; i < l->rows->rows; ++i)
            draw_cell(canvas, h->value[i * h->columns + c], x + c * width, l->top + i * ROW, width);
        if (width >= LABEL_CELL) slanted(canvas, h->column[c], x + (c + 0.5) * width + 5, bottom + 13);
    }
}

/* What the colours mean, at the lower left, where nothing else is. */
static void draw_scale(struct snn_canvas *canvas, const struct layout *l) {
    enum { STEPS = 80 };
    const double x = EDGE + l->label, y = l->height - 38, width = 200, height = 11;
    for (int i = 0; i < STEPS; ++i) {
        snn_canvas_colour(canvas, colour_of(2.0 * i / (STEPS - 1) - 1));
        cairo_rectangle(canvas->cr, x + i * width / STEPS, y, width / STEPS + 0.5, height);
        cairo_fill(canvas->cr);
    }
    snn_canvas_colour(canvas, line_grey);
    cairo_set_line_width(canvas->cr, 0.5);
    cairo_rectangle(canvas->cr, x, y, width, height);
    cairo_stroke(canvas->cr);
    snn_text_draw(canvas, "−1", &tick_text, SNN_CENTRE, x, y + height + 13, 40);
    snn_text_draw(canvas, "0", &tick_text, SNN_CENTRE, x + width / 2, y + height + 13, 40);
    snn_text_draw(canvas, "1", &tick_text, SNN_CENTRE, x + width, y + height + 13, 40);
    snn_text_draw(canvas, l->rows->scale, &small, SNN_LEFT, x + width + 14, y + height - 1, 500);
}

static void draw(struct snn_canvas *canvas, const struct layout *l) {
    const struct snn_comparison *rows = l->rows;
    snn_text_draw(canvas, rows->title, &heading, SNN_LEFT, EDGE, 28, l->width - 2 * EDGE);
    snn_text_draw(canvas, rows->note, &small, SNN_LEFT, EDGE, 47, l->width - 2 * EDGE);
    for (int i = 0; i < rows->rows; ++i) {
        double y = l->top + i * ROW;
        if (i % 2 == 0) {
            snn_canvas_colour(canvas, stripe);
            cairo_rectangle(canvas->cr, EDGE - 6, y, l->width - 2 * EDGE + 12, ROW);
            cairo_fill(canvas->cr);
        }
        snn_text_draw(canvas, rows->label[i], &row_label, SNN_LEFT, EDGE, y + ROW / 2 + 4.6, l->label);
    }
    double x = EDGE + l->label;
    for (int i = 0; i < rows->bar_count; ++i, x += BAR_ROOM + NUMBER_ROOM + GAP) draw_bars(canvas, l, i, x);
    for (int i = 0; i < rows->heat_count; ++i) {
        draw_heat(canvas, l, &rows->heat[i], x);
        x += heat_width(canvas, &rows->heat[i]) + GAP;
    }
    if (rows->heat_count) draw_scale(canvas, l);
}

int snn_plot_rows(const char *path, const struct snn_comparison *rows) {
    struct snn_canvas canvas;
    SNN_CHECK(rows->rows > 0 && rows->reference < rows->rows, "%d rows", rows->rows);
    SNN_TRY(snn_canvas_open(&canvas, path, 1, 1)); /* to measure on */
    struct layout layout = measure(&canvas, rows);
    snn_canvas_close(&canvas);
    SNN_TRY(snn_canvas_open(&canvas, path, ceil(layout.width), ceil(layout.height)));
    draw(&canvas, &layout);
    return snn_canvas_save(&canvas);
}
