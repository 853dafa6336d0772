/* SPDX-License-Identifier: Apache-2.0
 * plot_canvas.c - the surface, its text and its way into a file. */
#include "train/plot_canvas.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"

enum {
    MAX_SIDE = 32767, /* of a Cairo image surface, in pixels */
    MAX_TEXT = 512    /* bytes of a label that are looked at */
};

static const char ellipsis[] = "\xE2\x80\xA6", replacement[] = "\xEF\xBF\xBD";

int snn_canvas_open(struct snn_canvas *canvas, const char *path, double width, double height) {
    double w = width * SNN_CANVAS_SCALE, h = height * SNN_CANVAS_SCALE;
    if (w > MAX_SIDE || h > MAX_SIDE)
        return snn_error(SNN_EFAIL, "%s: the picture would be %.0f x %.0f pixels; a side may have at most %d", path, w,
                         h, MAX_SIDE);
    canvas->path = path;
    canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)w, (int)h);
    canvas->cr = cairo_create(canvas->surface);
    cairo_status_t status = cairo_status(canvas->cr);
    if (status != CAIRO_STATUS_SUCCESS) {
        snn_canvas_close(canvas);
        return snn_error(SNN_EFAIL, "%s: cannot draw a picture of %.0f x %.0f pixels: %s", path, w, h,
                         cairo_status_to_string(status));
    }
    cairo_scale(canvas->cr, SNN_CANVAS_SCALE, SNN_CANVAS_SCALE);
    cairo_set_source_rgb(canvas->cr, 1, 1, 1);
    cairo_paint(canvas->cr);
    /* Unhinted widths are the same at every scale, so what is measured on one sheet fits on another. */
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(canvas->cr, options);
    cairo_font_options_destroy(options);
    return SNN_OK;
}

void snn_canvas_close(struct snn_canvas *canvas) {
    cairo_destroy(canvas->cr);
    cairo_surface_destroy(canvas->surface);
    canvas->cr = NULL;
    canvas->surface = NULL;
}

struct bytes {
    unsigned char *data;
    size_t size, capacity;
};

static cairo_status_t append(void *closure, const unsigned char *data, unsigned int length) {
    struct bytes *out = closure;
    if (length > out->capacity - out->size) {
        size_t capacity = 2 * out->capacity + length;
        unsigned char *grown = realloc(out->data, capacity);
        if (!grown) return CAIRO_STATUS_NO_MEMORY;
        out->data = grown;
        out->capacity = capacity;
    }
    memcpy(out->data + out->size, data, length);
    out->size += length;
    return CAIRO_STATUS_SUCCESS;
}

int snn_canvas_save(struct snn_canvas *canvas) {
    struct bytes png = {0};
    cairo_status_t status = cairo_status(canvas->cr);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png_stream(canvas->surface, append, &png);
    snn_canvas_close(canvas);
    int rc = status == CAIRO_STATUS_SUCCESS ? snn_replace_file(canvas->path, png.data, png.size)
                                            : snn_error(SNN_EFAIL, "%s: cannot draw the picture: %s", canvas->path,
                                                        cairo_status_to_string(status));
    free(png.data);
    return rc;
}

void snn_canvas_colour(struct snn_canvas *canvas, struct snn_colour c) {
    cairo_set_source_rgb(canvas->cr, c.r, c.g, c.b);
}

/* Bytes of the UTF-8 sequence at `s`, 0 when it is none. Noncharacters count as none: Cairo refuses them. */
static int sequence_length(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    int length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    uint32_t code = s[0] & (0xFFu >> (length + 1));
    for (int i = 1; i < length; ++i) {
        if ((s[i] & 0xC0) != 0x80) return 0; /* the final NUL stops here too */
        code = code << 6 | (s[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
    if ((code & 0xFFFE) == 0xFFFE || (code >= 0xFDD0 && code <= 0xFDEF)) return 0;
    return length;
}

/* Copy what can be printed of `text` into `out` (MAX_TEXT + 1 bytes); returns its length. */
static size_t clean(const char *text, char *out) {
    size_t used = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int length = sequence_length(s);
        const char *from = length == 0 ? replacement : *s < 0x20 || *s == 0x7F ? " " : (const char *)s;
        size_t bytes = length == 0 ? sizeof replacement - 1 : (size_t)length;
        if (used + bytes > MAX_TEXT) break;
        memcpy(out + used, from, bytes);
        used += bytes;
        s += length ? length : 1;
    }
    out[used] = '\0';
    return used;
}

static double measure(cairo_t *cr, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

static void set_font(cairo_t *cr, const struct snn_text_style *style) {
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, style->size);
}

double snn_text_width(struct snn_canvas *canvas, const char *text, const struct snn_text_style *style) {
    char line[MAX_TEXT + 1];
    clean(text, line);
    set_font(canvas->cr, style);
    return measure(canvas->cr, line);
}

void snn_text_draw(struct snn_canvas *canvas, const char *text, const struct snn_text_style *style,
                   enum snn_anchor anchor, double x, double y, double room) {
    char line[MAX_TEXT + sizeof ellipsis];
    size_t used = clean(text, line);
    set_font(canvas->cr, style);
    double width = measure(canvas->cr, line);
    while (width > room && used > 0) {
        do --used;
        while (used > 0 && (line[used] & 0xC0) == 0x80);
        while (used > 0 && line[used - 1] == ' ') --used;
        memcpy(line + used, ellipsis, sizeof ellipsis);
        width = measure(canvas->cr, line);
    }
    snn_canvas_colour(canvas, style->colour);
    cairo_move_to(canvas->cr, x - (anchor == SNN_LEFT ? 0 : anchor == SNN_CENTRE ? width / 2 : width), y);
    cairo_show_text(canvas->cr, line);
}
