/* SPDX-License-Identifier: Apache-2.0
 * hdf5_library.h - one lock around every call of libhdf5, which need not be thread-safe and shares its state between
 * files; and names in a file that stay in it.
 *
 * An HDF5 file can lead to others: by external links, by virtual data sets, by data sets whose bytes lie elsewhere.
 * None is followed: a recording is what its own file holds, and another one may be a FIFO, or none of ours. */
#ifndef SNN_DATASETS_HDF5_LIBRARY_H
#define SNN_DATASETS_HDF5_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

void snn_hdf5_enter(void); /* and the library stays silent in this thread: errors become our sentences */
void snn_hdf5_leave(void);

/* Identifiers are hid_t. Does every group and the last name of `path` ("/spikes/times") exist in the file itself? */
bool snn_hdf5_has(int64_t file, const char *path);
/* The data set `path`, or below 0: then *wrong says how it leads out of the file, or is NULL where the library knows
 * (H5Ewalk2). */
int64_t snn_hdf5_open_set(int64_t file, const char *path, const char **wrong);

#endif
