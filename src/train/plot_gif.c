/* SPDX-License-Identifier: Apache-2.0
 * plot_gif.c - a recording as an animated GIF, drawn by the same code as the strip.
 *
 * GIF has 256 colours. They are chosen for what is drawn, a grid over the strengths of OFF and ON (or of red, green and
 * blue) and a row of greys for the words, so that up to twelve different counts keep their exact colour. */
#include <gif_lib.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/status.h"
#include "train/plot_tiles.h"

enum { COLOURS = 256, KNOWN = 8192 };
/* Points. */
static const double EDGE = 10, TITLE_HEIGHT = 24, BAR_HEIGHT = 4, CLOCK_HEIGHT = 24, LEAST_WIDTH = 320;

static const struct snn_text_style heading = {11, true, {0.10, 0.10, 0.10}},
                                   clock_text = {12, false, {0.25, 0.25, 0.25}};
static const struct snn_colour track = {0.88, 0.88, 0.88}, hand = {0.35, 0.35, 0.35};

struct painter { /* from the canvas to indices into the palette */
    GifColorType palette[COLOURS];
    int colours;
    struct {
        uint32_t rgb; /* with a mark above, 0: nothing known */
        uint8_t index;
    } known[KNOWN]; /* pictures have few colours and many pixels */
};

/* ---- colours ---- */

static void add_colour(struct painter *p, struct snn_colour c) {
    p->palette[p->colours++] =
        (GifColorType){(GifByteType)lround(c.r * 255), (GifByteType)lround(c.g * 255), (GifByteType)lround(c.b * 255)};
}

/* Strength of ink i of INKS: the counts themselves where there are few, else even steps of ink, which goes with the
 * root of a strength. */
enum { INKS = 13 };
static double strength(const struct snn_tiles *tiles, int i) {
    double most = tiles->high;
    if (most == floor(most) && most < INKS) return fmin(i / most, 1);
    return (double)(i * i) / ((INKS - 1) * (INKS - 1));
}

static void choose_palette(struct painter *p, const struct snn_tiles *tiles) {
    enum { LEVELS = 6 };
    int C = tiles->frames->C;
    if (C == 2)
        for (int k = 0; k < INKS * INKS; ++k)
            add_colour(p, snn_tile_colour(C, (const double[]){strength(tiles, k / INKS), strength(tiles, k % INKS)}));
    if (C == 3)
        for (int k = 0; k < LEVELS * LEVELS * LEVELS; ++k)
            add_colour(p, (struct snn_colour){k / (LEVELS * LEVELS) / (LEVELS - 1.0),
                                              k / LEVELS % LEVELS / (LEVELS - 1.0), k % LEVELS / (LEVELS - 1.0)});
    for (int left = COLOURS - p->colours, k = 0; k < left; ++k) {
        double grey = k / (left - 1.0);
        add_colour(p, (struct snn_colour){grey, grey, grey});
    }
}

static uint8_t nearest(const struct painter *p, uint32_t rgb) {
    int best = 0, r = (int)(rgb >> 16 & 255), g = (int)(rgb >> 8 & 255), b = (int)(rgb & 255);
    long least = LONG_MAX;
    for (int i = 0; i < COLOURS; ++i) {
        long dr = r - p->palette[i].Red, dg = g - p->palette[i].Green, db = b - p->palette[i].Blue;
        long distance = dr * dr + dg * dg + db * db;
        if (distance < least) least = distance, best = i;
    }
    return (uint8_t)best;
}

static uint8_t index_of(struct painter *p, uint32_t rgb) {
    uint32_t mark = (rgb & 0xFFFFFF) | 1u << 24, slot = (mark * 2654435761u) >> 19; /* 13 bits */
    if (p->known[slot].rgb != mark) {
        p->known[slot].rgb = mark;
        p->known[slot].index = nearest(p, rgb);
    }
    return p->known[slot].index;
}

/* ---- a step ---- */

struct sheet {
    double width, height, left, top; /* of the picture, and of the tile in it, in points */
};

static struct sheet lay_out(const struct snn_tiles *tiles, bool titled) {
    double wide = ceil(tiles->width / (double)SNN_CANVAS_SCALE), high = ceil(tiles->height / (double)SNN_CANVAS_SCALE);
    struct sheet sheet = {.width = fmax(wide, LEAST_WIDTH) + 2 * EDGE, .top = titled ? TITLE_HEIGHT : EDGE};
    sheet.left = floor((sheet.width - wide) / 2);
    sheet.height = sheet.top + high + 8 + BAR_HEIGHT + CLOCK_HEIGHT;
    return sheet;
}

static void draw_step(struct snn_canvas *canvas, const struct snn_tiles *tiles, const struct sheet *sheet,
                      const char *title, int t) {
    cairo_t *cr = canvas->cr;
    int T = tiles->frames->T;
    double room = sheet->width - 2 * EDGE, bar = sheet->height - CLOCK_HEIGHT - BAR_HEIGHT;
    char time[64], text[96];
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    if (title) snn_text_draw(canvas, title, &heading, SNN_LEFT, EDGE, 16, room);
    snn_tile_draw(canvas, tiles, t, (int)sheet->left * SNN_CANVAS_SCALE, (int)sheet->top * SNN_CANVAS_SCALE);
    snn_canvas_colour(canvas, track);
    cairo_rectangle(cr, EDGE, bar, room, BAR_HEIGHT);
    cairo_fill(cr);
    snn_canvas_colour(canvas, hand);
    cairo_rectangle(cr, EDGE, bar, room * (t + 1) / T, BAR_HEIGHT);
    cairo_fill(cr);
    snn_tile_time(tiles->frames, t, time, sizeof time);
    snprintf(text, sizeof text, "step %d of %d%s%s", t + 1, T, *time ? " · " : "", time);
    snn_text_draw(canvas, text, &clock_text, SNN_LEFT, EDGE, bar + BAR_HEIGHT + 16, room);
}

/* ---- the file ---- */

static int write_bytes(GifFileType *gif, const GifByteType *bytes, int n) {
    return snn_replace_write(gif->UserData, bytes, (size_t)n) < 0 ? 0 : n;
}

/* Hundredths of a second a step: four seconds for all, but never too fast or too slow to follow. */
static int pace(int T) { return T <= 10 ? 40 : T >= 100 ? 4 : 400 / T; }

static bool put_header(GifFileType *gif, int width, int height, const struct painter *p) {
    static const GifByteType forever[] = {1, 0, 0};
    ColorMapObject *map = GifMakeMapObject(COLOURS, p->palette);
    EGifSetGifVersion(gif, true);
    bool good = map && EGifPutScreenDesc(gif, width, height, 8, 0, map) == GIF_OK &&
                EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
                EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0") == GIF_OK &&
                EGifPutExtensionBlock(gif, sizeof forever, forever) == GIF_OK && EGifPutExtensionTrailer(gif) == GIF_OK;
    GifFreeMapObject(map);
    return good;
}

static bool put_step(GifFileType *gif, struct painter *p, struct snn_canvas *canvas, int width, int height, int delay,
                     GifByteType *row) {
    GraphicsControlBlock control = {
        .DisposalMode = DISPOSE_DO_NOT, .DelayTime = delay, .TransparentColor = NO_TRANSPARENT_COLOR};
    GifByteType extension[4];
    EGifGCBToExtension(&control, extension);
    bool good = EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, sizeof extension, extension) == GIF_OK &&
                EGifPutImageDesc(gif, 0, 0, width, height, false, NULL) == GIF_OK;
    cairo_surface_flush(canvas->surface);
    const unsigned char *bytes = cairo_image_surface_get_data(canvas->surface);
    int stride = cairo_image_surface_get_stride(canvas->surface);
    for (int y = 0; good && y < height; ++y) {
        const uint32_t *pixel = (const uint32_t *)(const void *)(bytes + (ptrdiff_t)y * stride);
        for (int x = 0; x < width; ++x) row[x] = index_of(p, pixel[x]);
        good = EGifPutLine(gif, row, width) == GIF_OK;
    }
    return good;
}

static int write_steps(const char *title, const struct snn_tiles *tiles, const struct sheet *sheet,
                       struct snn_canvas *canvas, struct snn_replace *file) {
    int width = cairo_image_surface_get_width(canvas->surface),
        height = cairo_image_surface_get_height(canvas->surface);
    struct painter *painter = calloc(1, sizeof *painter);
    GifByteType *row = malloc((size_t)width);
    int code = 0, T = tiles->frames->T;
    GifFileType *gif = painter && row ? EGifOpen(file, write_bytes, &code) : NULL;
    bool good = gif != NULL;
    if (good) {
        choose_palette(painter, tiles);
        good = put_header(gif, width, height, painter);
    }
    for (int t = 0; good && t < T; ++t) {
        draw_step(canvas, tiles, sheet, title, t);
        good = cairo_status(canvas->cr) == CAIRO_STATUS_SUCCESS &&
               put_step(gif, painter, canvas, width, height, pace(T), row);
    }
    if (gif && EGifCloseFile(gif, &code) != GIF_OK) good = false;
    free(painter);
    free(row);
    if (good) return SNN_OK;
    SNN_TRY(snn_replace_write(file, "", 0)); /* the sentence of a write that failed */
    return snn_error(SNN_EFAIL, "%s: cannot draw the animation: %s", canvas->path,
                     code ? GifErrorString(code) : "out of memory");
}

int snn_plot_animation(const char *path, const char *title, const struct snn_frames *frames) {
    struct snn_tiles tiles;
    struct snn_canvas canvas;
    struct snn_replace *file = NULL;
    SNN_TRY(snn_tiles_measure(path, frames, &tiles));
    bool titled = title && *title;
    struct sheet sheet = lay_out(&tiles, titled);
    SNN_TRY(snn_canvas_open(&canvas, path, sheet.width, sheet.height));
    int rc = snn_replace_open(path, &file);
    if (rc >= 0) rc = write_steps(titled ? title : NULL, &tiles, &sheet, &canvas, file);
    snn_canvas_close(&canvas);
    if (rc >= 0) return snn_replace_commit(&file);
    snn_replace_abandon(&file);
    return rc;
}
