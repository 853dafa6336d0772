/* SPDX-License-Identifier: Apache-2.0
 * hdf5_none.c - stands for hdf5_spikes.c in a build without HDF5: the sets exist, and say why they cannot be read. */
#include "core/status.h"
#include "datasets/hdf5_spikes.h"

int snn_spikes_open(const char *path, const struct snn_spikes_layout *layout, struct snn_spikes_file **out) {
    (void)layout;
    *out = NULL;
    return snn_error(SNN_EDATA,
                     "%s: is an HDF5 file, and this build has no HDF5: install libhdf5-dev and configure with "
                     "-Dhdf5=enabled",
                     path);
}

void snn_spikes_close(struct snn_spikes_file **file) { *file = NULL; }

struct snn_spikes_facts snn_spikes_facts(const struct snn_spikes_file *file) {
    (void)file;
    return (struct snn_spikes_facts){0};
}

int snn_spikes_get(struct snn_spikes_file *file, int32_t i, struct snn_sample *sample) {
    (void)file, (void)i, (void)sample;
    return snn_error(SNN_EDATA, "this build has no HDF5");
}
