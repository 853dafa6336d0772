/* SPDX-License-Identifier: Apache-2.0
 * cmd_data.h - what `snntrain data` does with samples of data sets and with recordings in files of their own. */
#ifndef SNN_CMD_DATA_H
#define SNN_CMD_DATA_H

#include "cli.h"

/* --timesteps: how many frames of a recording to draw; of an image one. SNN_EUSAGE when it says no number. */
int data_count_frames(const struct cli *cli, const struct snn_dataset_info *info, int32_t *T);
/* Frames (T,C,H,W) of a sample, recordings cut by time; NULL when out of memory. The caller frees them. */
float *data_frames(const struct snn_sample *sample, const struct snn_dataset_info *info, int32_t T);

/* data info|show of a recording in a file (data_file.c). */
int data_file(const struct cli *cli, const char *verb, const char *path);

#endif
