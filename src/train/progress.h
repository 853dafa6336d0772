/* SPDX-License-Identifier: Apache-2.0
 * progress.h - a bar on stderr while something long runs: only on a terminal, redrawn at most ten times a second. */
#ifndef SNN_PROGRESS_H
#define SNN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct snn_bar {
    char title[64];
    int64_t total;
    bool on, color;
    double started, drawn;
};

/* `allowed` false (--quiet): no bar in any case. */
void snn_bar_start(struct snn_bar *bar, const char *title, int64_t total, bool allowed);
/* `done` of total; `note` is appended (loss and accuracy so far), may be NULL. */
void snn_bar_move(struct snn_bar *bar, double done, const char *note);
/* Remove the bar from the screen. */
void snn_bar_clear(struct snn_bar *bar);

double snn_now(void); /* seconds, monotonic */

#endif
