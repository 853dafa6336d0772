/* SPDX-License-Identifier: Apache-2.0
 * downloads.h - where the data sets lie in the world: the one table of addresses, sizes and checksums. */
#ifndef SNN_DOWNLOADS_H
#define SNN_DOWNLOADS_H

#include <stdint.h>

enum { SNN_DOWNLOAD_URLS = 3, SNN_DOWNLOAD_FILES = 10 };

struct snn_download {                   /* one file */
    const char *file;                   /* its name as distributed */
    const char *url[SNN_DOWNLOAD_URLS]; /* tried in turn; none: it cannot be had without a person */
    int64_t bytes;                      /* 0: not known */
    const char *md5;
    /* What has to be taken out of it (gzip or zip, by the file's name) before the set can be read; NULL: it is read in
     * place. */
    const char *unpacked, *unpacked_md5; /* the latter NULL: not known */
};

struct snn_downloads { /* of a set */
    const char *set;
    const char *page, *licence;
    const char *by_hand; /* what a person has to do, line by line; NULL: everything has an address */
    struct snn_download file[SNN_DOWNLOAD_FILES]; /* ended by one without a name, if not full */
};

/* All of them, ended by one without a name. */
extern const struct snn_downloads snn_downloads[];
/* NULL: nothing is known of such a set. */
const struct snn_downloads *snn_downloads_find(const char *set);
/* How many files it has. */
int snn_downloads_count(const struct snn_downloads *downloads);

#endif
