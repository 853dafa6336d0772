/* SPDX-License-Identifier: Apache-2.0 */
#include "train/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double snn_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void snn_bar_start(struct snn_bar *bar, const char *title, int64_t total, bool allowed) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    *bar = (struct snn_bar){.total = total > 0 ? total : 1, .started = snn_now()};
    snprintf(bar->title, sizeof bar->title, "%s", title);
    bar->on = allowed && isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb"));
    bar->color = !(no_color && *no_color);
}

void snn_bar_move(struct snn_bar *bar, double done, const char *note) {
    enum { WIDTH = 28 };
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double now = snn_now();
    if (!bar->on || (now - bar->drawn < 0.1 && done < (double)bar->total)) return;
    bar->drawn = now;
    double share = done / (double)bar->total, elapsed = now - bar->started;
    if (share > 1) share = 1;
    int eighths = (int)(share * WIDTH * 8), full = eighths / 8, rest = eighths % 8;
    fprintf(stderr, "\r\x1b[K%s %s", bar->title, bar->color ? "\x1b[36m" : "");
    for (int i = 0; i < full; ++i) fputs("█", stderr);
    fputs(part[rest], stderr);
    for (int i = full + (rest > 0); i < WIDTH; ++i) fputc(' ', stderr);
    fprintf(stderr, "%s %3.0f %%", bar->color ? "\x1b[0m" : "", 100 * share);
    if (share > 0.02 && elapsed > 0.5) fprintf(stderr, "  %.0f s left", elapsed / share - elapsed);
    if (note) fprintf(stderr, "  %s", note);
    fflush(stderr);
}

void snn_bar_clear(struct snn_bar *bar) {
    if (!bar->on) return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    bar->on = false;
}
