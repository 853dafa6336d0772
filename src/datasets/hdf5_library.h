/* SPDX-License-Identifier: Apache-2.0
 * hdf5_library.h - one lock around every call of libhdf5, which need not be thread-safe and shares its state between
 * files. */
#ifndef SNN_DATASETS_HDF5_LIBRARY_H
#define SNN_DATASETS_HDF5_LIBRARY_H

void snn_hdf5_enter(void); /* and the library stays silent in this thread: errors become our sentences */
void snn_hdf5_leave(void);

#endif
