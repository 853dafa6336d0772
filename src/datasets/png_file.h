/* SPDX-License-Identifier: Apache-2.0
 * png_file.h - a PNG file as bytes. */
#ifndef SNN_DATASETS_PNG_FILE_H
#define SNN_DATASETS_PNG_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct snn_png {
    int32_t H, W;
    bool grey;    /* the file has no colours (a palette counts as colours) */
    uint8_t *rgb; /* (H,W,3); malloc'd, the caller frees; grey pixels have three equal bytes */
};

/* Pixels as they are stored: palettes and bits expanded, 16 bits rounded to 8, transparency left out, no gamma.
 * SNN_EDATA for a file that is no whole PNG or has over 16 million pixels. */
int snn_png_read(const char *path, struct snn_png *out);

#endif
