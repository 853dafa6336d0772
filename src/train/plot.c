/* SPDX-License-Identifier: Apache-2.0
 * plot.c - panels of curves side by side.
 *
 * All is measured first, then drawn: the panels of a picture share the height of their headings, so that their axes are
 * in line, and the sheet grows by the rows of the longest legend instead of taking them from the axes. */
#include "train/plot.h"

#include <math.h>
#include <stdio.h>

#include "core/status.h"
#include "train/plot_axis.h"
#include "train/plot_canvas.h"

/* Points. A picture is one PANEL a panel wide; with one row of legend and no title it is PANEL_HEIGHT high. */
static const double PANEL_WIDTH = 520, PANEL_HEIGHT = 360, TITLE_HEIGHT = 34, EDGE = 16, ROW = 19, SWATCH = 26,
                    MARKER = 2.9, TICK = 4;
static const double TITLE_ROW = 28, NOTE_ROW = 18, X_AXIS_HEIGHT = 54;

/* Okabe and Ito's palette: told apart with any colour vision. Its yellow is too light for a line on white. */
static const struct snn_colour palette[] = {{0.000, 0.447, 0.698}, {0.835, 0.369, 0.000}, {0.000, 0.620, 0.451},
                                            {0.800, 0.475, 0.655}, {0.902, 0.624, 0.000}, {0.337, 0.706, 0.914},
                                            {0.000, 0.000, 0.000}};
enum { COLOURS = sizeof palette / sizeof palette[0] };

static const struct snn_colour grid = {0.90, 0.90, 0.90}, spine = {0.35, 0.35, 0.35};
static const struct snn_text_style heading = {15, true, {0.10, 0.10, 0.10}},
                                   panel_title = {13.5, true, {0.10, 0.10, 0.10}},
                                   note_text = {11.5, false, {0.40, 0.40, 0.40}},
                                   label_text = {13, false, {0.15, 0.15, 0.15}},
                                   tick_text = {12, false, {0.25, 0.25, 0.25}},
                                   legend_text = {12, false, {0.15, 0.15, 0.15}};

struct axes { /* one panel, measured */
    const struct snn_panel *panel;
    struct snn_axis x, left, right;
    double x0, y0, width, height; /* of the area between the axes */
    int legend_rows;
};

static bool present(const char *text) { return text && *text; }

static bool on_right(const struct snn_panel *panel, int curve) { return panel->y2_label && curve >= panel->right_from; }

static const struct snn_axis *value_axis(const struct axes *axes, int curve) {
    return on_right(axes->panel, curve) ? &axes->right : &axes->left;
}

static double widest_tick(struct snn_canvas *canvas, const struct snn_axis *axis) {
    double widest = 0;
    for (int i = 0; i < axis->ticks; ++i) widest = fmax(widest, snn_text_width(canvas, axis->tick[i].text, &tick_text));
    return widest;
}

/* Choose the most ticks whose texts keep apart. */
static void fit_x(struct snn_canvas *canvas, struct snn_axis *axis, double width) {
    for (int target = axis->kind == SNN_AXIS_X ? 8 : 12; target >= 2; --target) {
        snn_axis_fit(axis, target);
        if (axis->ticks < 2) return;
        if (widest_tick(canvas, axis) + 14 <= width * (axis->tick[1].place - axis->tick[0].place)) return;
    }
}

/* What the legend says of a curve: its label, and its axis where there are two. */
static void legend_entry(const struct snn_panel *panel, int curve, char *out, size_t size) {
    snprintf(out, size, "%.300s%s", panel->curves[curve].label, on_right(panel, curve) ? " (right axis)" : "");
}

static struct snn_colour curve_colour(int curve) { return palette[curve % COLOURS]; }

static void set_dash(cairo_t *cr, const struct snn_panel *panel, int curve) {
    static const double dashes[] = {6, 3.5};
    bool second_round = curve / COLOURS % 2; /* the palette is used up: the same colours the other way */
    cairo_set_dash(cr, dashes, panel->curves[curve].dashed != second_round ? 2 : 0, 0);
}

static void dot(cairo_t *cr, double x, double y) {
    cairo_new_sub_path(cr);
    cairo_arc(cr, x, y, MARKER, 0, 2 * M_PI);
    cairo_fill(cr);
}

/* Lay the legend out from (x0, baseline), draw it when `draw`, and return its rows. */
static int legend(struct snn_canvas *canvas, const struct axes *axes, double baseline, bool draw) {
    const struct snn_panel *panel = axes->panel;
    double x = axes->x0, end = axes->x0 + axes->width;
    int rows = 0;
    for (int i = 0; i < panel->count; ++i) {
        if (!present(panel->curves[i].label)) continue;
        char text[400];
        legend_entry(panel, i, text, sizeof text);
        double width = fmin(SWATCH + 6 + snn_text_width(canvas, text, &legend_text), axes->width);
        if (rows == 0) rows = 1;
        if (x > axes->x0 && x + width > end) x = axes->x0, ++rows;
        double y = baseline + (rows - 1) * ROW;
        if (draw) {
            snn_canvas_colour(canvas, curve_colour(i));
            set_dash(canvas->cr, panel, i);
            cairo_move_to(canvas->cr, x + 1, y - 4);
            cairo_line_to(canvas->cr, x + SWATCH - 1, y - 4);
            cairo_stroke(canvas->cr);
            if (panel->curves[i].markers) dot(canvas->cr, x + SWATCH / 2, y - 4);
            snn_text_draw(canvas, text, &legend_text, SNN_LEFT, x + SWATCH + 6, y, width - SWATCH - 6 + 0.01);
        }
        x += width + 18;
    }
    return rows;
}

/* Ranges, ticks and the horizontal extent; the legend's rows follow from it. */
static struct axes measure(struct snn_canvas *canvas, const struct snn_panel *panel) {
    SNN_CHECK(panel->count >= 0 && panel->right_from >= 0, "%d curves, %d left", panel->count, panel->right_from);
    enum snn_axis_kind x_kind = panel->x_log2 ? SNN_AXIS_X_LOG2 : panel->x_integer ? SNN_AXIS_X_INTEGER : SNN_AXIS_X;
    struct axes axes = {.panel = panel,
                        .x = snn_axis_empty(x_kind),
                        .left = snn_axis_empty(panel->y_percent ? SNN_AXIS_Y_PERCENT : SNN_AXIS_Y),
                        .right = snn_axis_empty(SNN_AXIS_Y)};
    for (int c = 0; c < panel->count; ++c) {
        const struct snn_curve *curve = &panel->curves[c];
        struct snn_axis *axis = on_right(panel, c) ? &axes.right : &axes.left;
        for (int i = 0; i < curve->n; ++i) {
            if (isnan(snn_axis_place(&axes.x, curve->x[i])) || isnan(snn_axis_place(axis, curve->y[i]))) continue;
            snn_axis_cover(&axes.x, curve->x[i]);
            snn_axis_cover(axis, curve->y[i]);
        }
    }
    if (panel->y_least < panel->y_most && snn_axis_has_data(&axes.left)) {
        snn_axis_cover(&axes.left, panel->y_least);
        snn_axis_cover(&axes.left, panel->y_most);
    }
    snn_axis_fit(&axes.left, 6);
    snn_axis_fit(&axes.right, 6);
    double ticks_left = fmax(widest_tick(canvas, &axes.left), 24), ticks_right = widest_tick(canvas, &axes.right);
    axes.x0 = ceil(EDGE + (present(panel->y_label) || *axes.left.multiplier ? 20 : 0) + ticks_left + TICK + 5);
    double right = panel->y2_label ? ceil(EDGE + 20 + fmax(ticks_right, 24) + TICK + 5) : EDGE + 12;
    axes.width = PANEL_WIDTH - axes.x0 - right;
    fit_x(canvas, &axes.x, axes.width);
    axes.legend_rows = legend(canvas, &axes, 0, false);
    return axes;
}

/* An axis label behind the multiplier of its ticks, which must not be what is cut when the room is short. */
static void axis_label(const char *label, const struct snn_axis *axis, char *out, size_t size) {
    bool both = *axis->multiplier && present(label);
    snprintf(out, size, "%s%s%.300s", axis->multiplier, both ? " " : "", label ? label : "");
}

static void line(cairo_t *cr, double x0, double y0, double x1, double y1) {
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

/* Lines of a point on whole coordinates fill whole pixels at SNN_CANVAS_SCALE. */
static void draw_x_axis(struct snn_canvas *canvas, const struct axes *axes) {
    cairo_t *cr = canvas->cr;
    double bottom = axes->y0 + axes->height;
    for (int i = 0; i < axes->x.ticks; ++i) {
        double x = round(axes->x0 + axes->x.tick[i].place * axes->width);
        snn_canvas_colour(canvas, grid);
        line(cr, x, axes->y0, x, bottom);
        snn_canvas_colour(canvas, spine);
        line(cr, x, bottom, x, bottom + TICK);
        snn_text_draw(canvas, axes->x.tick[i].text, &tick_text, SNN_CENTRE, x, bottom + 19, 200);
    }
    char text[400];
    axis_label(axes->panel->x_label, &axes->x, text, sizeof text);
    snn_text_draw(canvas, text, &label_text, SNN_CENTRE, axes->x0 + axes->width / 2, bottom + 41, axes->width);
}

static void vertical_text(struct snn_canvas *canvas, const struct axes *axes, const char *text,
                          const struct snn_text_style *style, double x) {
    cairo_save(canvas->cr);
    cairo_translate(canvas->cr, x, axes->y0 + axes->height / 2);
    cairo_rotate(canvas->cr, -M_PI / 2);
    /* The column beside the axes is free above and below them too. */
    snn_text_draw(canvas, text, style, SNN_CENTRE, 0, 0, axes->height + 1.5 * X_AXIS_HEIGHT);
    cairo_restore(canvas->cr);
}

/* Where two axes have one curve each, colour says which curve belongs to which. */
static struct snn_text_style side_style(struct snn_text_style style, const struct snn_panel *panel, int first,
                                        int end) {
    if (panel->y2_label && end - first == 1) style.colour = curve_colour(first);
    return style;
}

static void draw_left_axis(struct snn_canvas *canvas, const struct axes *axes, double panel_x) {
    const struct snn_panel *panel = axes->panel;
    int end = panel->right_from < panel->count ? panel->right_from : panel->count;
    struct snn_text_style ticks = side_style(tick_text, panel, 0, end), label = side_style(label_text, panel, 0, end);
    for (int i = 0; i < axes->left.ticks; ++i) {
        double y = round(axes->y0 + (1 - axes->left.tick[i].place) * axes->height);
        snn_canvas_colour(canvas, grid);
        line(canvas->cr, axes->x0, y, axes->x0 + axes->width, y);
        snn_canvas_colour(canvas, spine);
        line(canvas->cr, axes->x0 - TICK, y, axes->x0, y);
        snn_text_draw(canvas, axes->left.tick[i].text, &ticks, SNN_RIGHT, axes->x0 - TICK - 4, y + 4.3, 300);
    }
    char text[400];
    axis_label(panel->y_label, &axes->left, text, sizeof text);
    vertical_text(canvas, axes, text, &label, panel_x + EDGE + 12);
}

static void draw_right_axis(struct snn_canvas *canvas, const struct axes *axes, double panel_x) {
    const struct snn_panel *panel = axes->panel;
    struct snn_text_style ticks = side_style(tick_text, panel, panel->right_from, panel->count),
                          label = side_style(label_text, panel, panel->right_from, panel->count);
    double x = axes->x0 + axes->width;
    snn_canvas_colour(canvas, spine);
    line(canvas->cr, x, axes->y0, x, axes->y0 + axes->height);
    for (int i = 0; i < axes->right.ticks; ++i) {
        double y = round(axes->y0 + (1 - axes->right.tick[i].place) * axes->height);
        snn_canvas_colour(canvas, spine);
        line(canvas->cr, x, y, x + TICK, y);
        snn_text_draw(canvas, axes->right.tick[i].text, &ticks, SNN_LEFT, x + TICK + 4, y + 4.3, 300);
    }
    char text[400];
    axis_label(panel->y2_label, &axes->right, text, sizeof text);
    vertical_text(canvas, axes, text, &label, panel_x + PANEL_WIDTH - EDGE);
}

/* Point `i` of a curve on the sheet; false where it has no place. */
static bool locate(const struct axes *axes, int index, int i, double *x, double *y) {
    const struct snn_curve *curve = &axes->panel->curves[index];
    if (i < 0 || i >= curve->n) return false;
    *x = axes->x0 + snn_axis_place(&axes->x, curve->x[i]) * axes->width;
    *y = axes->y0 + (1 - snn_axis_place(value_axis(axes, index), curve->y[i])) * axes->height;
    return !isnan(*x) && !isnan(*y);
}

/* Squares, which are drawn as fast as ten thousand spikes want to be. */
static void draw_dots(struct snn_canvas *canvas, const struct axes *axes, int index) {
    static const double side = 1.5;
    const struct snn_curve *curve = &axes->panel->curves[index];
    snn_canvas_colour(canvas, curve_colour(index));
    double x, y;
    for (int i = 0; i < curve->n; ++i)
        if (locate(axes, index, i, &x, &y)) cairo_rectangle(canvas->cr, x - side / 2, y - side / 2, side, side);
    cairo_fill(canvas->cr);
}

/* A line through the points that have a place, broken at the others. A point without neighbours would be invisible as a
 * line: it always gets a marker. Markers that would run into each other are left out. */
static void draw_curve(struct snn_canvas *canvas, const struct axes *axes, int index) {
    const struct snn_curve *curve = &axes->panel->curves[index];
    cairo_t *cr = canvas->cr;
    snn_canvas_colour(canvas, curve_colour(index));
    set_dash(cr, axes->panel, index);
    double x, y, unused;
    for (int i = 0; i < curve->n; ++i) {
        if (!locate(axes, index, i, &x, &y)) cairo_new_sub_path(cr);
        else cairo_line_to(cr, x, y); /* the first of a sub-path only moves */
    }
    cairo_stroke(cr);
    bool all = curve->markers && curve->n * 2.2 * MARKER <= axes->width;
    for (int i = 0; i < curve->n; ++i) {
        if (!locate(axes, index, i, &x, &y)) continue;
        bool alone = !locate(axes, index, i - 1, &unused, &unused) && !locate(axes, index, i + 1, &unused, &unused);
        if (all || alone) dot(cr, x, y);
    }
}

static void draw_panel(struct snn_canvas *canvas, const struct axes *axes, double panel_x, double top) {
    const struct snn_panel *panel = axes->panel;
    cairo_t *cr = canvas->cr;
    if (present(panel->title))
        snn_text_draw(canvas, panel->title, &panel_title, SNN_LEFT, axes->x0, top + 20, axes->width);
    if (present(panel->note))
        snn_text_draw(canvas, panel->note, &note_text, SNN_LEFT, axes->x0, top + TITLE_ROW + 9, axes->width);
    cairo_set_line_width(cr, 1.8);
    legend(canvas, axes, axes->y0 - axes->legend_rows * ROW + 5,
           true); /* on top of its axes, whatever its neighbours have */

    cairo_set_line_width(cr, 1);
    cairo_set_dash(cr, NULL, 0, 0);
    draw_x_axis(canvas, axes);
    draw_left_axis(canvas, axes, panel_x);
    if (panel->y2_label) draw_right_axis(canvas, axes, panel_x);
    snn_canvas_colour(canvas, spine);
    line(cr, axes->x0, axes->y0, axes->x0, axes->y0 + axes->height);
    line(cr, axes->x0 - 0.5, axes->y0 + axes->height, axes->x0 + axes->width + 0.5, axes->y0 + axes->height);

    cairo_set_line_width(cr, 1.8);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    for (int i = 0; i < panel->count; ++i)
        if (panel->curves[i].dots) draw_dots(canvas, axes, i);
        else draw_curve(canvas, axes, i);
    if (!snn_axis_has_data(&axes->x))
        snn_text_draw(canvas, "no data", &note_text, SNN_CENTRE, axes->x0 + axes->width / 2,
                      axes->y0 + axes->height / 2 + 4, axes->width);
}

int snn_plot_panels(const char *path, const char *title, const struct snn_panel *panels, int count) {
    enum { MAX_PANELS = 16 };
    SNN_CHECK(count >= 1 && count <= MAX_PANELS, "%d panels", count);
    struct axes axes[MAX_PANELS];
    struct snn_canvas canvas;
    SNN_TRY(snn_canvas_open(&canvas, path, 1, 1)); /* to measure on */
    double above = 0;
    int rows = 1;
    for (int i = 0; i < count; ++i) {
        axes[i] = measure(&canvas, &panels[i]);
        if (axes[i].legend_rows > rows) rows = axes[i].legend_rows;
        above = fmax(above, TITLE_ROW + (present(panels[i].note) ? NOTE_ROW : 0) + axes[i].legend_rows * ROW);
    }
    snn_canvas_close(&canvas);

    double top = present(title) ? TITLE_HEIGHT : 4;
    double width = count * PANEL_WIDTH, height = PANEL_HEIGHT + (present(title) ? TITLE_HEIGHT : 0) + (rows - 1) * ROW;
    SNN_TRY(snn_canvas_open(&canvas, path, width, height));
    if (present(title)) snn_text_draw(&canvas, title, &heading, SNN_LEFT, EDGE, 26, width - 2 * EDGE);
    for (int i = 0; i < count; ++i) {
        axes[i].x0 += i * PANEL_WIDTH;
        axes[i].y0 = top + above + 8;
        axes[i].height = height - axes[i].y0 - X_AXIS_HEIGHT;
        draw_panel(&canvas, &axes[i], i * PANEL_WIDTH, top);
    }
    return snn_canvas_save(&canvas);
}
