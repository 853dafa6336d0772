/* SPDX-License-Identifier: Apache-2.0
 * test_plot.c - pictures by their pixels: every file is read back with libpng. */
#include <math.h>
#include <png.h>
#include <stdint.h>

#include "folder.h"
#include "train/plot.h"
#include "train/plot_canvas.h"

/* fontconfig keeps its patterns until the process ends; LeakSanitizer, where it is built in, asks for such exceptions
 * here. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig\n"; }

/* ---- pictures read back ---- */

struct picture {
    int width, height;
    unsigned char *rgb;
};
struct rgb {
    int r, g, b;
};
static const struct rgb blue = {0, 114, 178}, vermillion = {213, 94, 0}, purple = {204, 121, 167}, red = {204, 31, 26},
                        white = {255, 255, 255};

static char path[300];

static void setup(void) {
    make_folder();
    snprintf(path, sizeof path, "%s/picture.png", folder);
}

static void teardown(void) { remove_folder_of(path); }

static struct picture load(void) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert_msg(png_image_begin_read_from_file(&image, path), "%s", image.message);
    image.format = PNG_FORMAT_RGB;
    struct picture picture = {(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    ck_assert_ptr_nonnull(picture.rgb);
    ck_assert_msg(png_image_finish_read(&image, NULL, picture.rgb, 0, NULL), "%s", image.message);
    return picture;
}

static bool is(const struct picture *p, int x, int y, struct rgb c) {
    if (x < 0 || x >= p->width || y < 0 || y >= p->height) ck_abort_msg("%d,%d is outside the picture", x, y);
    const unsigned char *pixel = p->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
    return abs(pixel[0] - c.r) <= 1 && abs(pixel[1] - c.g) <= 1 && abs(pixel[2] - c.b) <= 1;
}

struct area { /* of the pixels of one colour */
    int count, columns, left, right, top, bottom;
};

static struct area find(const struct picture *p, struct rgb c) {
    struct area a = {.left = p->width, .right = -1, .top = p->height, .bottom = -1};
    for (int x = 0; x < p->width; ++x) {
        int before = a.count;
        for (int y = 0; y < p->height; ++y) {
            if (!is(p, x, y, c)) continue;
            ++a.count;
            if (y < a.top) a.top = y;
            if (y > a.bottom) a.bottom = y;
        }
        if (a.count == before) continue;
        ++a.columns;
        if (a.left > x) a.left = x;
        a.right = x;
    }
    return a;
}

static struct area plotted(const struct snn_panel *panel, struct rgb c) {
    ck_ok(snn_plot_panels(path, NULL, panel, 1));
    struct picture p = load();
    struct area a = find(&p, c);
    free(p.rgb);
    return a;
}

/* ---- panels ---- */

enum { N = 21 };
static double ramp_x[N], ramp_y[N];

static struct snn_curve ramp(void) {
    for (int i = 0; i < N; ++i) ramp_x[i] = i + 1, ramp_y[i] = i / (N - 1.0);
    return (struct snn_curve){.x = ramp_x, .y = ramp_y, .n = N};
}

START_TEST(sheet_sizes) {
    struct snn_curve curve = ramp();
    curve.label = "train";
    struct snn_panel panels[4];
    for (int i = 0; i < 4; ++i) panels[i] = (struct snn_panel){"Loss", "epoch", "loss", .curves = &curve, .count = 1};
    for (int count = 1; count <= 4; ++count) {
        const char *title = count % 2 ? NULL : "a title";
        ck_ok(snn_plot_panels(path, title, panels, count));
        struct picture p = load();
        ck_assert_int_eq(p.width, SNN_CANVAS_SCALE * 520 * count);
        ck_assert_int_eq(p.height, SNN_CANVAS_SCALE * (360 + (title ? 34 : 0)));
        free(p.rgb);
    }
}
END_TEST

START_TEST(sheet_grows_with_the_legend) {
    struct snn_curve many[30];
    for (int i = 0; i < 30; ++i) many[i] = ramp(), many[i].label = "validation of a layer";
    struct snn_panel panel = {.curves = many, .count = 30};
    ck_ok(snn_plot_panels(path, NULL, &panel, 1));
    struct picture p = load();
    ck_assert_int_gt(p.height, SNN_CANVAS_SCALE * (360 + 5 * 19));
    free(p.rgb);
}
END_TEST

START_TEST(curve_fills_its_axes) {
    struct snn_curve curve = ramp();
    struct snn_panel panel = {.curves = &curve, .count = 1, .x_integer = true};
    struct area a = plotted(&panel, blue);
    ck_assert_int_gt(a.columns, 800);
    ck_assert_int_eq(a.columns, a.right - a.left + 1); /* without a gap */
    ck_assert_int_gt(a.bottom - a.top, 450);
    ck_assert(a.left > 60 && a.right < 1040 && a.top > 50 && a.bottom < 640);
}
END_TEST

START_TEST(nan_leaves_a_gap) {
    struct snn_curve curve = ramp();
    ramp_y[10] = NAN;
    struct snn_panel panel = {.curves = &curve, .count = 1};
    struct area a = plotted(&panel, blue);
    int step = (a.right - a.left) / (N - 1), missing = a.right - a.left + 1 - a.columns;
    ck_assert_msg(abs(missing - 2 * step) <= 6, "%d columns are missing, a step is %d", missing, step);
}
END_TEST

START_TEST(dots_are_small_and_apart) {
    struct snn_curve curve = ramp();
    struct snn_panel panel = {.curves = &curve, .count = 1};
    struct area line = plotted(&panel, blue);
    curve.dots = true;
    struct area dots = plotted(&panel, blue);
    ck_assert_msg(dots.count >= N * 2 * 2 && dots.count <= N * 4 * 4, "%d pixels", dots.count);
    ck_assert_int_le(dots.columns, N * 4);
    ck_assert(abs(dots.top - line.top) <= 4 && abs(dots.right - line.right) <= 4);
    panel.y_least = -1, panel.y_most = 3; /* a quarter of the axis is left to them */
    struct area pressed = plotted(&panel, blue);
    int room = dots.bottom - dots.top, less = pressed.bottom - pressed.top;
    ck_assert_msg(less > room / 5 && less < room / 3, "%d of %d", less, room);
}
END_TEST

START_TEST(lone_point_is_a_marker) {
    struct snn_curve curve = ramp();
    curve.n = 1;
    struct snn_panel panel = {.curves = &curve, .count = 1, .x_integer = true};
    struct area a = plotted(&panel, blue);
    ck_assert_int_ge(a.count, 70);
    ck_assert(a.right - a.left >= 8 && a.right - a.left <= 13 && a.bottom - a.top >= 8 && a.bottom - a.top <= 13);
}
END_TEST

START_TEST(markers_thicken_a_curve) {
    struct snn_curve curve = ramp();
    struct snn_panel panel = {.curves = &curve, .count = 1};
    int plain = plotted(&panel, blue).count;
    curve.markers = true;
    ck_assert_int_gt(plotted(&panel, blue).count, plain + N * 40);
    curve.markers = false, curve.dashed = true;
    ck_assert_int_lt(plotted(&panel, blue).count, plain * 8 / 10);
}
END_TEST

START_TEST(right_axis_has_its_own_scale) {
    double huge[N];
    for (int i = 0; i < N; ++i) huge[i] = 1e9 * (N - i);
    struct snn_curve curves[4] = {ramp(), ramp(), ramp(), ramp()}; /* two an axis: words keep their own colour */
    curves[2].y = curves[3].y = huge;
    struct snn_panel panel = {.curves = curves, .count = 4, .right_from = 4};
    struct area squeezed = plotted(&panel, vermillion);
    ck_assert_int_lt(squeezed.bottom - squeezed.top, 12);
    panel.right_from = 2;
    panel.y2_label = "operations";
    struct area left = plotted(&panel, vermillion), right = plotted(&panel, purple);
    ck_assert(abs(right.left - left.left) <= 3 && abs(right.right - left.right) <= 3);
    ck_assert(abs(right.top - left.top) <= 30 && abs(right.bottom - left.bottom) <= 30);
    ck_assert_int_gt(left.bottom - left.top, 450);
}
END_TEST

START_TEST(empty_panel_says_so) {
    struct snn_curve curve = ramp();
    for (int i = 0; i < N; ++i) ramp_y[i] = NAN;
    struct snn_panel panels[2] = {{.curves = &curve, .count = 1, .y_percent = true}, {.title = "nothing"}};
    for (int i = 0; i < 2; ++i) {
        ck_ok(snn_plot_panels(path, NULL, &panels[i], 1));
        struct picture p = load();
        int inked = 0;
        for (int y = p.height / 4; y < p.height * 3 / 4; ++y)
            for (int x = p.width / 4; x < p.width * 3 / 4; ++x) inked += !is(&p, x, y, white);
        ck_assert_msg(inked > 200 && inked < 5000, "%d pixels of text", inked);
        ck_assert_int_eq(find(&p, blue).count, 0);
        free(p.rgb);
    }
}
END_TEST

START_TEST(extreme_values_are_drawn_or_left_out) {
    static double values[] = {1e9, -1e9, INFINITY, -INFINITY, 1e300, 1e-6, 0, 1e-310, NAN, 5};
    static double x[] = {0, -1, 1, 2, 1e308, 4, INFINITY, NAN, 8, 9};
    struct snn_curve curves[] = {{"wild", x, values, 10, true, true}, {"none", x, values, 0, false, true}};
    for (int kind = 0; kind < 8; ++kind) {
        struct snn_panel panel = {"t",      "x",      "y",     kind & 4 ? "y2" : NULL, curves, 2, kind & 1,
                                  kind & 1, kind & 2, kind & 4};
        ck_assert_int_gt(plotted(&panel, kind & 4 && !(kind & 1) ? vermillion : blue).count, 20);
    }
}
END_TEST

START_TEST(hostile_text_is_drawn) {
    static char endless[20001];
    memset(endless, 'W', sizeof endless - 1);
    static const char *const text[] = {"\xff\xfe",
                                       "cut \xe2\x80",
                                       "over \xc0\xaf \xf8\x88\x80\x80\x80",
                                       "\xe0\x80\x80",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xef\xbf\xbf",
                                       "tab\tline\n\x7f\x01",
                                       endless,
                                       "%s%n",
                                       "",
                                       "膜電位 μ"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; ++i) {
        struct snn_curve curves[2] = {ramp(), ramp()};
        curves[0].label = curves[1].label = text[i];
        struct snn_panel panel = {text[i], text[i], text[i], text[i], curves, 2, 1, .note = text[i]};
        ck_ok(snn_plot_panels(path, text[i], &panel, 1));
        struct picture p = load();
        ck_assert_int_gt(find(&p, vermillion).count, 1000); /* the topmost curve, drawn after all text */
        free(p.rgb);
    }
}
END_TEST

START_TEST(text_is_cut_to_its_room) {
    static const struct snn_text_style style = {12, false, {0, 0, 0}};
    struct snn_canvas canvas;
    ck_ok(snn_canvas_open(&canvas, path, 300, 40));
    const char *text = "membrane potential of every neuron";
    ck_assert_double_gt(snn_text_width(&canvas, text, &style), 120);
    snn_text_draw(&canvas, text, &style, SNN_LEFT, 50, 20, 100);
    ck_ok(snn_canvas_save(&canvas));
    struct picture p = load();
    struct area a = find(&p, (struct rgb){0, 0, 0});
    ck_assert(a.left >= 100 && a.right <= 300 && a.right > 260);
    free(p.rgb);
}
END_TEST

static int plot_frames(const char *where, const char *title, const float *values, int T, int C, int H, int W,
                       double step_ms) {
    const struct snn_frames frames = {.values = values, .T = T, .C = C, .H = H, .W = W, .step_ms = step_ms};
    return snn_plot_frames(where, title, &frames);
}

START_TEST(unwritable_path_is_a_sentence) {
    char bad[300];
    snprintf(bad, sizeof bad, "%s/absent/picture.png", folder);
    struct snn_curve curve = ramp();
    struct snn_panel panel = {.curves = &curve, .count = 1};
    float frame[4] = {0};
    ck_assert_int_eq(snn_plot_panels(bad, NULL, &panel, 1), SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), bad), "%s", snn_error_text());
    snn_error(SNN_OK, " ");
    ck_assert_int_eq(plot_frames(bad, NULL, frame, 1, 1, 2, 2, 0), SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), bad), "%s", snn_error_text());
}
END_TEST

/* ---- frames ---- */

enum { LEFT = 16 * SNN_CANVAS_SCALE, TOP = 42 * SNN_CANVAS_SCALE }; /* of the first tile without a title */

static struct picture strip(const float *frames, int T, int C, int H, int W) {
    ck_ok(plot_frames(path, NULL, frames, T, C, H, W, 0));
    return load();
}

START_TEST(strip_sizes) {
    static float frames[12 * 2 * 34 * 34];
    ck_ok(plot_frames(path, "twelve", frames, 12, 2, 34, 34, 30)); /* 34 * 9 pixels a tile, in two rows */
    struct picture p = load();
    ck_assert_int_eq(p.width, SNN_CANVAS_SCALE * (16 + 10 * (153 + 12) - 12 + 16));
    ck_assert_int_eq(p.height, SNN_CANVAS_SCALE * (34 + 32 + 2 * (153 + 24) + 8));
    free(p.rgb);
}
END_TEST

START_TEST(events_are_blocks_of_their_colour) {
    static float frames[2 * 34 * 34];
    frames[0 * 1156 + 5 * 34 + 3] = 2;   /* OFF at x = 3, y = 5 */
    frames[1 * 1156 + 20 * 34 + 33] = 2; /* ON at x = 33, y = 20 */
    struct picture p = strip(frames, 1, 2, 34, 34);
    for (int y = 0; y < 34; ++y)
        for (int x = 0; x < 34; ++x)
            for (int corner = 0; corner < 4; ++corner) {
                struct rgb expected = x == 3 && y == 5 ? blue : x == 33 && y == 20 ? red : white;
                int px = LEFT + 9 * x + corner % 2 * 8, py = TOP + 9 * y + corner / 2 * 8;
                ck_assert_msg(is(&p, px, py, expected), "sensor pixel %d,%d", x, y);
            }
    free(p.rgb);
}
END_TEST

START_TEST(scale_is_shared_by_the_strip) {
    float frames[2 * 2] = {1, 0, 4, 0}; /* one pixel, two steps */
    struct picture p = strip(frames, 2, 2, 1, 1);
    int next = SNN_CANVAS_SCALE * (160 + 12);
    ck_assert(is(&p, LEFT + 10, TOP + 10, (struct rgb){128, 184, 217})); /* a quarter of the events, half the ink */
    ck_assert(is(&p, LEFT + next + 10, TOP + 10, blue));
    free(p.rgb);
}
END_TEST

START_TEST(grey_and_colour_run_from_low_to_high) {
    float grey[4] = {-1, 0, 1, 0}, colour[3] = {1, 0, 0.5f};
    struct picture p = strip(grey, 1, 1, 2, 2);
    ck_assert(is(&p, LEFT + 10, TOP + 10, (struct rgb){0, 0, 0}));
    ck_assert(is(&p, LEFT + 170, TOP + 10, (struct rgb){128, 128, 128}));
    ck_assert(is(&p, LEFT + 10, TOP + 170, white));
    free(p.rgb);
    p = strip(colour, 1, 3, 1, 1);
    ck_assert(is(&p, LEFT + 10, 100, (struct rgb){255, 0, 128}));
    free(p.rgb);
}
END_TEST

START_TEST(a_given_scale_holds) {
    float values[2] = {64, 128}; /* an image that is not as bright as it could be */
    const struct snn_frames frames = {.values = values, .T = 1, .C = 1, .H = 1, .W = 2, .high = 256};
    ck_ok(snn_plot_frames(path, NULL, &frames));
    struct picture p = load();
    ck_assert(is(&p, LEFT + 10, TOP + 10, (struct rgb){64, 64, 64}));
    ck_assert(is(&p, LEFT + 170, TOP + 10, (struct rgb){128, 128, 128}));
    free(p.rgb);
}
END_TEST

START_TEST(large_sensor_keeps_single_events) {
    static float frames[2 * 720 * 1280];
    frames[719 * 1280 + 1279] = 1;
    frames[720 * 1280 + 1] = 1;
    struct picture p = strip(frames, 1, 2, 720, 1280); /* 320 x 180 pixels, four by four each */
    ck_assert(is(&p, LEFT + 319, TOP + 179, blue) && is(&p, LEFT, TOP, red));
    ck_assert(is(&p, LEFT + 318, TOP + 179, white) && is(&p, LEFT + 1, TOP, white));
    free(p.rgb);
}
END_TEST

START_TEST(row_of_channels_is_stretched) {
    static float channels[700];
    channels[699] = 1;
    struct picture p = strip(channels, 1, 1, 1, 700);
    for (int y = 0; y < 48; ++y)
        ck_assert(is(&p, LEFT + 319, TOP + y, white) && is(&p, LEFT + 318, TOP + y, (struct rgb){0}));
    free(p.rgb);
}
END_TEST

START_TEST(strange_values_are_drawn) {
    float nothing[8] = {0}, endless[4] = {INFINITY, 3, NAN, -INFINITY},
          strange[8] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -1, 2};
    free(strip(nothing, 1, 2, 2, 2).rgb);
    free(strip(nothing, 2, 1, 2, 2).rgb);
    struct picture p = strip(strange, 1, 2, 2, 2);
    ck_assert(is(&p, LEFT + 10, TOP + 10, white)); /* NAN, below it -3e38 */
    free(p.rgb);
    free(strip(strange, 2, 1, 2, 2).rgb);
    p = strip(endless, 1, 2, 1, 2); /* the scale ends at the largest number, infinity is as strong */
    ck_assert(is(&p, LEFT + 10, TOP + 10, blue) && is(&p, LEFT + 170, TOP + 10, blue));
    free(p.rgb);
}
END_TEST

START_TEST(impossible_strips_are_refused) {
    static float frames[40000];
    ck_assert_int_eq(plot_frames(path, NULL, frames, 1, 4, 2, 2, 0), SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), "4 channels"), "%s", snn_error_text());
    ck_assert_int_eq(plot_frames(path, NULL, frames, 40000, 1, 1, 1, 0), SNN_EFAIL);
    ck_assert_msg(strstr(snn_error_text(), "32767"), "%s", snn_error_text());
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* ---- things compared ---- */

static struct snn_comparison comparison(const char *const *label, int rows, const struct snn_bars *bars, int bar_count,
                                        const struct snn_heat *heat, int heat_count) {
    return (struct snn_comparison){.title = "rules",
                                   .note = "a note",
                                   .scale = "a scale",
                                   .label = label,
                                   .rows = rows,
                                   .reference = -1,
                                   .bars = bars,
                                   .bar_count = bar_count,
                                   .heat = heat,
                                   .heat_count = heat_count};
}

static struct picture compared(const struct snn_comparison *c) {
    ck_ok(snn_plot_rows(path, c));
    return load();
}

/* The longest bar is as long as the others are when they are the longest; half the value, half the bar. */
START_TEST(bars_are_as_long_as_values) {
    static const char *const label[] = {"one", "two"};
    static const double value[][2] = {{4, NAN}, {4, 2}, {0, 0}};
    int count[3];
    for (int i = 0; i < 3; ++i) {
        const struct snn_bars bars = {"title", "unit", value[i], false};
        const struct snn_comparison c = comparison(label, 2, &bars, 1, NULL, 0);
        struct picture p = compared(&c);
        count[i] = find(&p, blue).count;
        free(p.rgb);
    }
    ck_assert_int_gt(count[0], 1000);
    ck_assert_int_le(abs(2 * count[1] - 3 * count[0]), 68); /* the axis stands on the first pixels */
    ck_assert_int_eq(count[2], 0);
}
END_TEST

/* Blue at 1, vermilion at -1, grey where there is none; the scale has the ends too. */
START_TEST(heat_has_the_colours_of_its_scale) {
    static const char *const label[] = {"row"}, *const column[] = {"a", "b"};
    static const struct rgb one = {0, 80, 143}, none = {230, 230, 230};
    static const double value[][2] = {{1, 1}, {0, 0}, {-1, -1}, {NAN, NAN}};
    struct area of[4][3];
    for (int i = 0; i < 4; ++i) {
        const struct snn_heat heat = {"title", column, value[i], 2};
        const struct snn_comparison c = comparison(label, 1, NULL, 0, &heat, 1);
        struct picture p = compared(&c);
        of[i][0] = find(&p, one), of[i][1] = find(&p, vermillion), of[i][2] = find(&p, none);
        free(p.rgb);
    }
    ck_assert_int_gt(of[0][0].count, of[1][0].count + 3000);
    ck_assert_int_gt(of[2][1].count, of[1][1].count + 3000);
    ck_assert_int_gt(of[3][2].count, of[1][2].count + 3000);
}
END_TEST

/* Columns become narrow, and lose their numbers and names, before the sheet becomes too wide. */
START_TEST(many_columns_fit) {
    enum { MANY = 300 };
    static const char *column[MANY], *const label[] = {"a rather long name of a row", "\xff"};
    static double value[2 * MANY];
    for (int i = 0; i < MANY; ++i) column[i] = "12.residual.body.3.conv.weight", value[i] = value[MANY + i] = 0.5;
    const struct snn_heat heat[] = {{"t", column, value, MANY}, {"u", column, value, MANY}};
    const struct snn_comparison c = comparison(label, 2, NULL, 0, heat, 2);
    struct picture p = compared(&c);
    ck_assert(p.width > 2 * 2 * 300 * SNN_CANVAS_SCALE && p.width < 16000);
    free(p.rgb);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plot");
    TCase *pictures = tcase_create("pictures");
    tcase_add_checked_fixture(pictures, setup, teardown);
    tcase_set_timeout(pictures, 60);
    const TTest *const cases[] = {sheet_sizes,
                                  sheet_grows_with_the_legend,
                                  curve_fills_its_axes,
                                  nan_leaves_a_gap,
                                  dots_are_small_and_apart,
                                  lone_point_is_a_marker,
                                  markers_thicken_a_curve,
                                  right_axis_has_its_own_scale,
                                  empty_panel_says_so,
                                  extreme_values_are_drawn_or_left_out,
                                  hostile_text_is_drawn,
                                  text_is_cut_to_its_room,
                                  unwritable_path_is_a_sentence,
                                  strip_sizes,
                                  events_are_blocks_of_their_colour,
                                  scale_is_shared_by_the_strip,
                                  grey_and_colour_run_from_low_to_high,
                                  a_given_scale_holds,
                                  large_sensor_keeps_single_events,
                                  row_of_channels_is_stretched,
                                  strange_values_are_drawn,
                                  impossible_strips_are_refused,
                                  bars_are_as_long_as_values,
                                  heat_has_the_colours_of_its_scale,
                                  many_columns_fit};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) tcase_add_test(pictures, cases[i]);
    suite_add_tcase(suite, pictures);
    return run_suite(suite);
}
