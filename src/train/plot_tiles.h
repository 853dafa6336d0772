/* SPDX-License-Identifier: Apache-2.0
 * plot_tiles.h - one step of a recording or an image as a tile of picture pixels: what strips and animations share.
 *
 * A sensor's pixel becomes a whole number of picture pixels; a sensor that is larger than a tile shows the largest
 * value under each picture pixel, so that single events stay visible. One colour scale holds for all steps. */
#ifndef SNN_PLOT_TILES_H
#define SNN_PLOT_TILES_H

#include "train/plot.h"
#include "train/plot_canvas.h"

struct snn_tiles {
    const struct snn_frames *frames;
    double low, high;  /* values at the two ends of the colour scale */
    int width, height; /* of a tile, in picture pixels */
};

/* Scale and size. SNN_EFAIL, with `path` in front, when frames of so many channels have no picture. */
int snn_tiles_measure(const char *path, const struct snn_frames *frames, struct snn_tiles *out);
/* Step t with its upper left corner at picture pixel (left, top), and a thin border around it. */
void snn_tile_draw(struct snn_canvas *canvas, const struct snn_tiles *tiles, int t, int left, int top);
/* The colour of one value (0..1) a channel: of an event's strength, a grey, or red, green and blue. */
struct snn_colour snn_tile_colour(int C, const double *value);
/* "12.5–15.0 ms": when step t was; "" where that is not known. */
void snn_tile_time(const struct snn_frames *frames, int t, char *out, size_t size);

extern const struct snn_colour snn_tile_border;

#endif
