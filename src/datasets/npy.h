/* SPDX-License-Identifier: Apache-2.0
 * npy.h - an array in a file of NumPy's format (.npy), read piece by piece; only this folder and its tests include it.
 *
 * A file is taken at its true size: what its header promises beyond that is refused before anything is allocated, and
 * elements stay in the file until somebody asks for them. */
#ifndef SNN_DATASETS_NPY_H
#define SNN_DATASETS_NPY_H

#include "datasets/npy_header.h"

struct snn_npy {
    char *path; /* NULL: not open */
    int fd;
    int dims;
    int64_t dim[SNN_NPY_DIMS]; /* the last one runs fastest */
    int64_t count;             /* elements: the product of dim */
    int64_t offset;            /* bytes before the first one */
    struct snn_npy_number number;
};

/* SNN_EDATA when it is no such file, is cut off or goes on behind its elements, holds something other than numbers, or
 * is in Fortran order. */
int snn_npy_open(const char *path, struct snn_npy *out);
void snn_npy_close(struct snn_npy *npy); /* zeroed or closed already: nothing happens */

bool snn_npy_is_integer(const struct snn_npy *npy);
/* "(60000, 28, 28)" into buffer, which is returned. */
char *snn_npy_shape(const struct snn_npy *npy, char *buffer, size_t size);

/* Elements first .. first+count-1. Thread-safe. SNN_EDATA when the file has become shorter; reals refuse what is not
 * finite, integers (files of integers only) what does not fit. */
int snn_npy_reals(const struct snn_npy *npy, int64_t first, int64_t count, float *out);
int snn_npy_integers(const struct snn_npy *npy, int64_t first, int64_t count, int64_t *out);

#endif
