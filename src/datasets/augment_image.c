/* SPDX-License-Identifier: Apache-2.0
 * augment_image.c - crop, flip and cutout of images (C,H,W) of bytes. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/augment.h"
#include "datasets/parts.h"

/* ---- crop ---- */

struct crop {
    long long pad;
};
const struct snn_key snn_augment_image_crop_keys[] = {
    {"pad", SNN_INT, offsetof(struct crop, pad), "4", 0, 4096, NULL, "black pixels on each side"},
    {0},
};

/* out[y][x] = in[y + dy][x + dx], black outside; in an order in which no row is overwritten before it was read. */
static void shift_plane(uint8_t *plane, int32_t H, int32_t W, int32_t dy, int32_t dx) {
    int32_t left = dx < 0 ? -dx : 0, kept = W - (dx < 0 ? -dx : dx);
    for (int32_t k = 0; k < H; ++k) {
        int32_t y = dy >= 0 ? k : H - 1 - k, from = y + dy;
        uint8_t *row = plane + (size_t)y * (size_t)W;
        if (from < 0 || from >= H || kept <= 0) {
            memset(row, 0, (size_t)W);
            continue;
        }
        memmove(row + left, plane + (size_t)from * (size_t)W + (dx < 0 ? 0 : dx), (size_t)kept);
        memset(row, 0, (size_t)left);
        memset(row + left + kept, 0, (size_t)(W - left - kept));
    }
}

int snn_augment_image_crop(struct snn_augmenting *a, const void *options) {
    int32_t pad = (int32_t)((const struct crop *)options)->pad;
    int32_t dy = snn_draw_int(&a->draw, -pad, pad), dx = snn_draw_int(&a->draw, -pad, pad);
    for (int32_t c = 0; c < a->C; ++c)
        shift_plane(a->sample->pixels + (size_t)c * (size_t)a->H * (size_t)a->W, a->H, a->W, dy, dx);
    return SNN_OK;
}

/* ---- flip ---- */

struct flip {
    double p;
};
const struct snn_key snn_augment_image_flip_keys[] = {
    {"p", SNN_REAL, offsetof(struct flip, p), "0.5", 0, 1, NULL, "probability"},
    {0},
};

int snn_augment_image_flip(struct snn_augmenting *a, const void *options) {
    if (!snn_draw_chance(&a->draw, ((const struct flip *)options)->p)) return SNN_OK;
    uint8_t *row = a->sample->pixels;
    for (int32_t k = 0; k < a->C * a->H; ++k, row += a->W)
        for (int32_t i = 0, j = a->W - 1; i < j; ++i, --j) {
            uint8_t swap = row[i];
            row[i] = row[j], row[j] = swap;
        }
    return SNN_OK;
}

/* ---- cutout: DeVries and Taylor, arXiv 1708.04552 ---- */

struct cutout {
    long long size, fill;
    double p;
};
static const char *const mean_word[] = {"mean", NULL};
const struct snn_key snn_augment_image_cutout_keys[] = {
    {"size", SNN_INT, offsetof(struct cutout, size), "16", 1, 4096, NULL, "side in pixels"},
    {"fill", SNN_INT, offsetof(struct cutout, fill), "mean", 0, 255, mean_word,
     "the pixels' new value; mean: data.mean, which is 0 for the network"},
    {"p", SNN_REAL, offsetof(struct cutout, p), "1", 0, 1, NULL, "probability"},
    {0},
};

static uint8_t byte_of(double value) { return (uint8_t)(value < 0 ? 0 : value > 1 ? 255 : lround(255 * value)); }

int snn_augment_image_cutout(struct snn_augmenting *a, const void *options) {
    const struct cutout *o = options;
    if (!snn_draw_chance(&a->draw, o->p)) return SNN_OK;
    uint8_t fill = o->fill < 0 ? byte_of(a->recipe->config->mean) : (uint8_t)o->fill;
    struct snn_box box = snn_draw_box(a, (int32_t)o->size, (int32_t)o->size);
    for (int32_t c = 0; c < a->C; ++c)
        for (int32_t y = box.y0; y < box.y1; ++y)
            memset(a->sample->pixels + ((size_t)c * (size_t)a->H + (size_t)y) * (size_t)a->W + box.x0, fill,
                   (size_t)(box.x1 - box.x0));
    return SNN_OK;
}
