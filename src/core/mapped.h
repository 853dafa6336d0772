/* SPDX-License-Identifier: Apache-2.0
 * mapped.h - a file whose bytes are in the address space and stay on disk: the system reads pages when they are looked
 * at, and may drop them again. For files larger than memory, read from the beginning to the end.
 *
 * Whoever looks at bytes that have been cut off the file meanwhile is killed (SIGBUS): snn_mapped_check before. */
#ifndef SNN_MAPPED_H
#define SNN_MAPPED_H

#include <stddef.h>

struct snn_mapped {
    const unsigned char *bytes; /* (size); NULL: not open */
    size_t size;
    int fd;
};

/* A regular file of at most `limit` bytes. SNN_EDATA: there is none, or it cannot be read. */
int snn_mapped_open(const char *path, size_t limit, struct snn_mapped *out);
void snn_mapped_close(struct snn_mapped *mapped); /* zeroed or closed already: nothing happens */
/* SNN_EDATA when the file has become shorter. */
int snn_mapped_check(const struct snn_mapped *mapped, const char *path);
/* The pages that were read are not ours any more, until one is looked at again: it may come from the system's cache. */
void snn_mapped_release(const struct snn_mapped *mapped);

#endif
