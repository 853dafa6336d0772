/* SPDX-License-Identifier: Apache-2.0
 * hdf5_lists.h - the variable-length lists of an HDF5 data set, read from where they lie in the file.
 *
 * The file gives a list as a reference of 16 bytes: how many elements, and which object of which global heap. Asked to
 * read one, libhdf5 allocates and clears as much as the reference claims, 8 GB for a damaged one, and trusts the heap
 * for the rest. So the library finds the references (through chunks and filters), and the lists are read here, against
 * the sizes that the heap states; that needs no lock, and no conversion of what is already as it should be. Layouts:
 * HDF5 File Format Specification, version 3, III.E (global heap) and IV.A.2.d (variable-length types). */
#ifndef SNN_DATASETS_HDF5_LISTS_H
#define SNN_DATASETS_HDF5_LISTS_H

#include <stddef.h>
#include <stdint.h>

struct snn_list {
    uint32_t length; /* elements */
    uint32_t object; /* of the heap */
    uint64_t heap;   /* where it is, from the file's first byte; not looked at when length is 0 */
};

/* The references of data set `set` of `count` entries in one dimension, written to `list` (count). `file` and `set`
 * are of type hid_t. The caller holds the lock that keeps other threads out of libhdf5. Returns a sentence without its
 * subject when something is wrong, else NULL. */
const char *snn_lists_find(int64_t file, int64_t set, int64_t count, struct snn_list *list);

/* The bytes of a list from file `fd`: `length` elements of `size` bytes. Returns as above; needs no lock. */
const char *snn_list_read(int fd, const struct snn_list *list, size_t size, void *bytes);

#endif
