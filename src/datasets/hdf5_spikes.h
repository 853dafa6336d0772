/* SPDX-License-Identifier: Apache-2.0
 * hdf5_spikes.h - a file of spike trains in the layout of SHD and SSC; only this folder and its tests include it.
 *
 *   /spikes/times   (n) variable-length floats: seconds      /labels         (n) integers: class
 *   /spikes/units   (n) variable-length integers: channel    /extra/speaker  (n) integers, may be absent
 *                                                            /extra/keys     (classes) strings, may be absent
 * Cramer et al., IEEE TNNLS 33(7) (2022). Spikes stay in the file and are read recording by recording: a set then takes
 * no memory, and opens at once. */
#ifndef SNN_DATASETS_HDF5_SPIKES_H
#define SNN_DATASETS_HDF5_SPIKES_H

#include "datasets/dataset.h"

struct snn_spikes_layout { /* what the file is expected to hold */
    int32_t units, classes;
};

struct snn_spikes_file;

struct snn_spikes_facts { /* of an open file; the file's own memory */
    int32_t count;
    const int32_t *label;     /* (count) */
    const int32_t *speaker;   /* (count), or NULL */
    const char *const *names; /* (classes): words of extra/keys, or NULL */
};

/* SNN_EDATA when the file is not in that layout, or when this build has no HDF5. */
int snn_spikes_open(const char *path, const struct snn_spikes_layout *layout, struct snn_spikes_file **out);
void snn_spikes_close(struct snn_spikes_file **file);
struct snn_spikes_facts snn_spikes_facts(const struct snn_spikes_file *file);

/* Recording i: its label and its events in order of time, x = unit, y = p = 0. Thread-safe. */
int snn_spikes_get(struct snn_spikes_file *file, int32_t i, struct snn_sample *sample);

#endif
