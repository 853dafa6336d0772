/* SPDX-License-Identifier: Apache-2.0
 * hdf5_write.h - recordings into an HDF5 file, in one of two layouts.
 *
 * One row of units (H = 1): the layout of SHD, which hdf5_spikes.h describes; times are doubles and come back as the
 * same microseconds. A camera:
 *   /events/t  (events) int64: microseconds      /offsets  (n+1) uint64: recording i has events offsets[i] ..
 *   /events/x  (events) uint16                             offsets[i+1] - 1
 *   /events/y  (events) uint16                   /labels   (n) int32: class
 *   /events/p  (events) uint8: 1 is ON           /groups   (n) int32: speaker or user, -1 unknown; may be absent
 *                                                /classes  (classes) strings; may be absent
 * with the attributes name, split and sensor_size (width, height, polarities) of the file. */
#ifndef SNN_DATASETS_HDF5_WRITE_H
#define SNN_DATASETS_HDF5_WRITE_H

#include "datasets/dataset.h"

struct snn_events_file;

/* A file for `count` recordings of `set`, which becomes `path` when it is committed. `part`: what they are called. */
int snn_events_create(const char *path, const struct snn_dataset *set, const char *part, int32_t count,
                      struct snn_events_file **out);
/* The next recording; `group` below 0: unknown. */
int snn_events_add(struct snn_events_file *file, const struct snn_sample *sample, int32_t group);
/* After the last one. Closes and NULLs *file also on failure, when nothing was written under its name. */
int snn_events_commit(struct snn_events_file **file);
void snn_events_abandon(struct snn_events_file **file);

#endif
