/* SPDX-License-Identifier: Apache-2.0
 * plot_gif_none.c - stands for plot_gif.c in a build without giflib. */
#include "core/status.h"
#include "train/plot.h"

int snn_plot_animation(const char *path, const char *title, const struct snn_frames *frames) {
    (void)title, (void)frames;
    return snn_error(
        SNN_EFAIL, "%s: this build writes no GIF: install libgif-dev and configure with -Dgif=enabled, or name a .png",
        path);
}
