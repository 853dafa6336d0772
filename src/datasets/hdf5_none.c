/* SPDX-License-Identifier: Apache-2.0
 * hdf5_none.c - stands for hdf5_spikes.c, events_h5.c and hdf5_write.c in a build without HDF5: what is in such files
 * exists, and says why it cannot be read. */
#include <string.h>

#include "core/status.h"
#include "datasets/events_parts.h"
#include "datasets/hdf5_spikes.h"
#include "datasets/hdf5_write.h"

static int no_hdf5(const char *path) {
    return snn_error(SNN_EDATA,
                     "%s: is an HDF5 file, and this build has no HDF5: install libhdf5-dev and configure with "
                     "-Dhdf5=enabled",
                     path);
}

int snn_spikes_open(const char *path, const struct snn_spikes_layout *layout, struct snn_spikes_file **out) {
    (void)layout;
    *out = NULL;
    return no_hdf5(path);
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

static bool probe(const unsigned char *bytes, size_t size) {
    return size >= 8 && !memcmp(bytes, "\x89HDF\r\n\x1a\n", 8);
}

static int refuse(struct snn_events_job *job) { return no_hdf5(job->path); }

const struct snn_events_format snn_events_h5 = {
    .name = "h5",
    .extensions = ".h5 .hdf5",
    .help = "HDF5 with events/t, x, y and p (not in this build)",
    .units = true,
    .probe = probe,
    .open = refuse,
    .more = refuse,
};

int snn_events_create(const char *path, const struct snn_dataset *set, const char *part, int32_t count,
                      struct snn_events_file **out) {
    (void)set, (void)part, (void)count;
    *out = NULL;
    return snn_error(SNN_EFAIL,
                     "%s: would be an HDF5 file, and this build has no HDF5: install libhdf5-dev and configure with "
                     "-Dhdf5=enabled",
                     path);
}

int snn_events_add(struct snn_events_file *file, const struct snn_sample *sample, int32_t group) {
    (void)file, (void)sample, (void)group;
    return snn_error(SNN_EFAIL, "this build has no HDF5");
}

int snn_events_commit(struct snn_events_file **file) {
    (void)file;
    return snn_error(SNN_EFAIL, "this build has no HDF5");
}

void snn_events_abandon(struct snn_events_file **file) { *file = NULL; }
