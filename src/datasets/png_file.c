/* SPDX-License-Identifier: Apache-2.0
 * png_file.c - reading a PNG file with libpng.
 *
 * libpng leaves by longjmp. So all that a longjmp must not lose lies in struct reading, and one function, without
 * locals that change, stands around all calls of it. */
#include "datasets/png_file.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"

enum { MAX_SIDE = 16384, MAX_PIXELS = 1 << 24 };
static const size_t limit = (size_t)1 << 26; /* bytes of a file */

struct reading {
    const char *path;
    unsigned char *bytes;
    size_t size, at;
    png_structp png;
    png_infop info;
    png_bytepp rows; /* (H) */
    struct snn_png image;
    char message[200]; /* libpng's, why it gave up */
};

static void give_up(png_structp png, png_const_charp message) {
    struct reading *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void ignore(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void give_bytes(png_structp png, png_bytep out, size_t n) {
    struct reading *r = png_get_io_ptr(png);
    if (n > r->size - r->at) png_error(png, "it ends too early");
    memcpy(out, r->bytes + r->at, n);
    r->at += n;
}

/* libpng takes memory for what a chunk claims before it reads it: so every one has to be there. */
static bool chunks_are_there(const struct reading *r) {
    enum { SIGNATURE = 8, AROUND = 12 /* length, name, checksum */ };
    for (size_t at = SIGNATURE; r->size - at >= AROUND;) {
        size_t length = png_get_uint_32(r->bytes + at);
        if (length > r->size - at - AROUND) return false;
        if (!memcmp(r->bytes + at + 4, "IEND", 4)) return true;
        at += AROUND + length;
    }
    return false;
}

/* False: libpng gave up, or there is no memory (then without a message). */
static bool decode(struct reading *r) {
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_set_user_limits(r->png, MAX_SIDE, MAX_SIDE);
    png_set_read_fn(r->png, r, give_bytes);
    png_read_info(r->png, r->info);
    r->image.W = (int32_t)png_get_image_width(r->png, r->info);
    r->image.H = (int32_t)png_get_image_height(r->png, r->info);
    if ((int64_t)r->image.W * r->image.H > MAX_PIXELS) png_error(r->png, "it has over 16777216 pixels");
    r->image.grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_strip_alpha(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != 3 * (size_t)r->image.W) png_error(r->png, "its rows have an unknown form");
    r->image.rgb = malloc(3 * (size_t)r->image.W * (size_t)r->image.H);
    r->rows = reallocarray(NULL, (size_t)r->image.H, sizeof *r->rows);
    if (!r->image.rgb || !r->rows) return false;
    for (int32_t y = 0; y < r->image.H; ++y) r->rows[y] = r->image.rgb + 3 * (size_t)r->image.W * (size_t)y;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

int snn_png_read(const char *path, struct snn_png *out) {
    struct reading r = {.path = path};
    *out = (struct snn_png){0};
    SNN_TRY(snn_file_read(path, limit, &r.bytes, &r.size));
    bool good = false;
    if (r.size < 8 || png_sig_cmp(r.bytes, 0, 8)) {
        snprintf(r.message, sizeof r.message, "it does not begin as one");
    } else if (!chunks_are_there(&r)) {
        snprintf(r.message, sizeof r.message, "it ends too early");
    } else {
        r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, give_up, ignore);
        r.info = r.png ? png_create_info_struct(r.png) : NULL;
        good = r.info && decode(&r);
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    free(r.bytes);
    if (good) {
        *out = r.image;
        return SNN_OK;
    }
    free(r.image.rgb);
    return *r.message ? snn_error(SNN_EDATA, "%s: is no PNG image that can be read: %s", path, r.message)
                      : snn_error(SNN_EFAIL, "%s: out of memory", path);
}
