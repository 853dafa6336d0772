/* SPDX-License-Identifier: Apache-2.0
 * augment_policy.c - AutoAugment's policy for CIFAR-10: Cubuk et al., CVPR 2019 (arXiv 1805.09501).
 *
 * One of 25 pairs of operations is drawn; each of the two is applied with its own probability, at its own level. The
 * operations are Pillow's, to the byte: what is blended is cut to whole numbers, and what is moved takes the nearest
 * pixel by steps of 1/65536 pixel. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/augment.h"

/* ---- moving: out(x,y) = in(m0 x + m1 y + m2, m3 x + m4 y + m5), black outside ---- */

static int64_t fixed(double value) { return (int64_t)floor(value * 65536 + 0.5); }

static void move(const double m[6], int32_t C, int32_t H, int32_t W, uint8_t *pixels, uint8_t *scratch) {
    size_t plane = (size_t)H * (size_t)W;
    int64_t row_x = fixed(m[2] + 0.5 * m[0] + 0.5 * m[1]), row_y = fixed(m[5] + 0.5 * m[3] + 0.5 * m[4]);
    int64_t step[4] = {fixed(m[0]), fixed(m[1]), fixed(m[3]), fixed(m[4])};
    memcpy(scratch, pixels, (size_t)C * plane);
    for (int32_t y = 0; y < H; ++y, row_x += step[1], row_y += step[3]) {
        int64_t at_x = row_x, at_y = row_y;
        for (int32_t x = 0; x < W; ++x, at_x += step[0], at_y += step[2]) {
            int64_t from_x = at_x >> 16, from_y = at_y >> 16;
            bool inside = from_x >= 0 && from_x < W && from_y >= 0 && from_y < H;
            size_t to = (size_t)y * (size_t)W + (size_t)x, from = inside ? (size_t)(from_y * W + from_x) : 0;
            for (int32_t c = 0; c < C; ++c)
                pixels[(size_t)c * plane + to] = inside ? scratch[(size_t)c * plane + from] : 0;
        }
    }
}

/* Counter-clockwise by so many degrees around the middle. */
static void rotate(double degrees, int32_t C, int32_t H, int32_t W, uint8_t *pixels, uint8_t *scratch) {
    double angle = degrees * (3.14159265358979323846 / 180), c = cos(angle), s = sin(angle), x = W / 2.0, y = H / 2.0;
    const double m[6] = {c, -s, x - c * x + s * y, s, c, y - s * x - c * y};
    move(m, C, H, W, pixels, scratch);
}

/* ---- blending: low + factor * (pixel - low), cut to a whole number of 0..255 ---- */

static uint8_t blend(int low, int pixel, float factor) {
    float value = (float)low + factor * (float)(pixel - low);
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

/* One value for all pixels: each byte has one result. */
static void blend_with(int low, float factor, size_t n, uint8_t *pixels) {
    uint8_t table[256];
    for (int i = 0; i < 256; ++i) table[i] = blend(low, i, factor);
    for (size_t i = 0; i < n; ++i) pixels[i] = table[pixels[i]];
}

/* Grey of a pixel, ITU-R 601-2. */
static int grey_of(const uint8_t *pixels, size_t i, int32_t C, size_t plane) {
    if (C == 1) return pixels[i];
    return (int)((19595u * pixels[i] + 38470u * pixels[plane + i] + 7471u * pixels[2 * plane + i] + 0x8000u) >> 16);
}

static void colour(float factor, int32_t C, size_t plane, uint8_t *pixels) {
    if (C == 1) return; /* a grey image is its own grey */
    for (size_t i = 0; i < plane; ++i) {
        int grey = grey_of(pixels, i, C, plane);
        for (int32_t c = 0; c < C; ++c)
            pixels[(size_t)c * plane + i] = blend(grey, pixels[(size_t)c * plane + i], factor);
    }
}

static void contrast(float factor, int32_t C, size_t plane, uint8_t *pixels) {
    uint64_t sum = 0;
    for (size_t i = 0; i < plane; ++i) sum += (uint64_t)grey_of(pixels, i, C, plane);
    blend_with((int)((double)sum / (double)plane + 0.5), factor, (size_t)C * plane, pixels);
}

/* With the mean of 3x3 pixels in which the middle weighs five times; border pixels stay. */
static void sharpness(float factor, int32_t C, int32_t H, int32_t W, uint8_t *pixels, uint8_t *scratch) {
    size_t plane = (size_t)H * (size_t)W;
    memcpy(scratch, pixels, (size_t)C * plane);
    for (int32_t c = 0; c < C; ++c)
        for (int32_t y = 1; y < H - 1; ++y) {
            const uint8_t *row = scratch + (size_t)c * plane + (size_t)y * (size_t)W, *up = row - W, *down = row + W;
            uint8_t *out = pixels + (row - scratch);
            for (int32_t x = 1; x < W - 1; ++x) {
                int sum = up[x - 1] + up[x] + up[x + 1] + row[x - 1] + 5 * row[x] + row[x + 1] + down[x - 1] + down[x] +
                          down[x + 1];
                out[x] = blend((2 * sum + 13) / 26, row[x], factor);
            }
        }
}

/* ---- tables: a new value for each byte ---- */

static void look_up(const uint8_t table[256], size_t n, uint8_t *pixels) {
    for (size_t i = 0; i < n; ++i) pixels[i] = table[pixels[i]];
}

static void posterize(int bits, size_t n, uint8_t *pixels) {
    uint8_t mask = (uint8_t) ~(0xFF >> bits);
    for (size_t i = 0; i < n; ++i) pixels[i] &= mask;
}

static void solarize(double threshold, size_t n, uint8_t *pixels) {
    for (size_t i = 0; i < n; ++i)
        if (pixels[i] >= threshold) pixels[i] = 255 - pixels[i];
}

/* The darkest pixel becomes black, the brightest white. */
static void auto_contrast(size_t plane, uint8_t *pixels) {
    uint8_t table[256];
    int low = 255, high = 0;
    for (size_t i = 0; i < plane; ++i) {
        if (pixels[i] < low) low = pixels[i];
        if (pixels[i] > high) high = pixels[i];
    }
    if (high <= low) return;
    double scale = 255.0 / (high - low), offset = -low * scale; /* rounded as Pillow rounds */
    for (int i = 0; i < 256; ++i) {
        double value = i * scale + offset;
        table[i] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
    }
    look_up(table, plane, pixels);
}

/* All values equally frequent, as far as can be. */
static void equalize(size_t plane, uint8_t *pixels) {
    size_t count[256] = {0}, sum;
    uint8_t table[256];
    int last = 255;
    for (size_t i = 0; i < plane; ++i) ++count[pixels[i]];
    while (last > 0 && !count[last]) --last;
    size_t step = (plane - count[last]) / 255;
    if (!step) return;
    sum = step / 2;
    for (int i = 0; i < 256; ++i) {
        table[i] = (uint8_t)(sum / step < 255 ? sum / step : 255);
        sum += count[i];
    }
    look_up(table, plane, pixels);
}

void snn_image_op(enum snn_image_op op, double m, int32_t C, int32_t H, int32_t W, uint8_t *pixels, uint8_t *scratch) {
    size_t plane = (size_t)H * (size_t)W, n = (size_t)C * plane;
    switch (op) {
    case SNN_SHEAR_X:
        move((const double[6]){1, m, 0, 0, 1, 0}, C, H, W, pixels, scratch);
        break;
    case SNN_SHEAR_Y:
        move((const double[6]){1, 0, 0, m, 1, 0}, C, H, W, pixels, scratch);
        break;
    case SNN_TRANSLATE_X:
        move((const double[6]){1, 0, -trunc(m), 0, 1, 0}, C, H, W, pixels, scratch);
        break;
    case SNN_TRANSLATE_Y:
        move((const double[6]){1, 0, 0, 0, 1, -trunc(m)}, C, H, W, pixels, scratch);
        break;
    case SNN_ROTATE:
        rotate(m, C, H, W, pixels, scratch);
        break;
    case SNN_BRIGHTNESS:
        blend_with(0, (float)(1 + m), n, pixels);
        break;
    case SNN_COLOR:
        colour((float)(1 + m), C, plane, pixels);
        break;
    case SNN_CONTRAST:
        contrast((float)(1 + m), C, plane, pixels);
        break;
    case SNN_SHARPNESS:
        sharpness((float)(1 + m), C, H, W, pixels, scratch);
        break;
    case SNN_POSTERIZE:
        posterize((int)m, n, pixels);
        break;
    case SNN_SOLARIZE:
        solarize(m, n, pixels);
        break;
    case SNN_AUTO_CONTRAST:
        for (int32_t c = 0; c < C; ++c) auto_contrast(plane, pixels + (size_t)c * plane);
        break;
    case SNN_EQUALIZE:
        for (int32_t c = 0; c < C; ++c) equalize(plane, pixels + (size_t)c * plane);
        break;
    case SNN_INVERT:
        for (size_t i = 0; i < n; ++i) pixels[i] = 255 - pixels[i];
        break;
    }
}

double snn_image_op_magnitude(enum snn_image_op op, int level, int32_t H, int32_t W) {
    switch (op) {
    case SNN_SHEAR_X:
    case SNN_SHEAR_Y:
        return 0.3 * level / 9;
    case SNN_TRANSLATE_X:
        return 150.0 / 331 * W * level / 9;
    case SNN_TRANSLATE_Y:
        return 150.0 / 331 * H * level / 9;
    case SNN_ROTATE:
        return 30.0 * level / 9;
    case SNN_POSTERIZE:
        return 8 - rint(level / 2.25); /* bits that stay */
    case SNN_SOLARIZE:
        return 255 - 255.0 * level / 9;
    case SNN_BRIGHTNESS:
    case SNN_COLOR:
    case SNN_CONTRAST:
    case SNN_SHARPNESS:
        return 0.9 * level / 9;
    default:
        return 0;
    }
}

static bool has_sign(enum snn_image_op op) { return op <= SNN_SHARPNESS; }

/* ---- the policy ---- */

static const struct step {
    enum snn_image_op op;
    double p;
    int level;
} policy[25][2] = {
    {{SNN_INVERT, 0.1, 0}, {SNN_CONTRAST, 0.2, 6}},           {{SNN_ROTATE, 0.7, 2}, {SNN_TRANSLATE_X, 0.3, 9}},
    {{SNN_SHARPNESS, 0.8, 1}, {SNN_SHARPNESS, 0.9, 3}},       {{SNN_SHEAR_Y, 0.5, 8}, {SNN_TRANSLATE_Y, 0.7, 9}},
    {{SNN_AUTO_CONTRAST, 0.5, 0}, {SNN_EQUALIZE, 0.9, 0}},    {{SNN_SHEAR_Y, 0.2, 7}, {SNN_POSTERIZE, 0.3, 7}},
    {{SNN_COLOR, 0.4, 3}, {SNN_BRIGHTNESS, 0.6, 7}},          {{SNN_SHARPNESS, 0.3, 9}, {SNN_BRIGHTNESS, 0.7, 9}},
    {{SNN_EQUALIZE, 0.6, 0}, {SNN_EQUALIZE, 0.5, 0}},         {{SNN_CONTRAST, 0.6, 7}, {SNN_SHARPNESS, 0.6, 5}},
    {{SNN_COLOR, 0.7, 7}, {SNN_TRANSLATE_X, 0.5, 8}},         {{SNN_EQUALIZE, 0.3, 0}, {SNN_AUTO_CONTRAST, 0.4, 0}},
    {{SNN_TRANSLATE_Y, 0.4, 3}, {SNN_SHARPNESS, 0.2, 6}},     {{SNN_BRIGHTNESS, 0.9, 6}, {SNN_COLOR, 0.2, 8}},
    {{SNN_SOLARIZE, 0.5, 2}, {SNN_INVERT, 0.0, 0}},           {{SNN_EQUALIZE, 0.2, 0}, {SNN_AUTO_CONTRAST, 0.6, 0}},
    {{SNN_EQUALIZE, 0.2, 0}, {SNN_EQUALIZE, 0.6, 0}},         {{SNN_COLOR, 0.9, 9}, {SNN_EQUALIZE, 0.6, 0}},
    {{SNN_AUTO_CONTRAST, 0.8, 0}, {SNN_SOLARIZE, 0.2, 8}},    {{SNN_BRIGHTNESS, 0.1, 3}, {SNN_COLOR, 0.7, 0}},
    {{SNN_SOLARIZE, 0.4, 5}, {SNN_AUTO_CONTRAST, 0.9, 0}},    {{SNN_TRANSLATE_Y, 0.9, 9}, {SNN_TRANSLATE_Y, 0.7, 9}},
    {{SNN_AUTO_CONTRAST, 0.9, 0}, {SNN_SOLARIZE, 0.8, 3}},    {{SNN_EQUALIZE, 0.8, 0}, {SNN_INVERT, 0.1, 0}},
    {{SNN_TRANSLATE_Y, 0.7, 9}, {SNN_AUTO_CONTRAST, 0.9, 0}},
};

const struct snn_key snn_augment_auto_augment_keys[] = {{0}};

int snn_augment_auto_augment(struct snn_augmenting *a, const void *options) {
    (void)options;
    const struct step *pair = policy[snn_draw_int(&a->draw, 0, 24)];
    for (const struct step *step = pair; step < pair + 2; ++step) {
        bool wanted = snn_draw_chance(&a->draw, step->p), negative = snn_draw_chance(&a->draw, 0.5);
        if (!wanted) continue;
        double m = snn_image_op_magnitude(step->op, step->level, a->H, a->W);
        snn_image_op(step->op, has_sign(step->op) && negative ? -m : m, a->C, a->H, a->W, a->sample->pixels, a->pixels);
    }
    return SNN_OK;
}
