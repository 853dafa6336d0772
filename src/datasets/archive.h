/* SPDX-License-Identifier: Apache-2.0
 * archive.h - members of a tar archive, packed with gzip or not: named ones read into memory in one pass, or all of a
 * folder written to disk.
 *
 * A member's size is what it unpacks to, never what a header announces: memory is taken as bytes arrive. */
#ifndef SNN_DATASETS_ARCHIVE_H
#define SNN_DATASETS_ARCHIVE_H

#include <stddef.h>

struct snn_member {
    const char *name;     /* its whole path in the archive, without a leading "./" */
    unsigned char *bytes; /* (size), the caller's to free, also after a failure; NULL: the archive holds no such file */
    size_t size;
};

/* Read the `count` members (their bytes NULL before) from the archive at `path`, which is read to its end, so that its
 * checksum is looked at. SNN_EDATA names the archive, or the member in it that is damaged, there twice, or larger than
 * `limit` bytes. */
int snn_archive_read(const char *path, struct snn_member *members, int count, size_t limit);

/* Write the archive's plain files <below>/<name> into the folder `into`, which exists, as <name>, and sync them.
 * SNN_EDATA as above, or when such a file lies deeper or is there twice; SNN_EFAIL when it cannot be written (a full
 * disk): what is in the folder is then not whole. */
int snn_archive_unpack(const char *path, const char *below, const char *into);

#endif
