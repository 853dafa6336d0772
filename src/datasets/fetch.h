/* SPDX-License-Identifier: Apache-2.0
 * fetch.h - a file of a data set from the network into a folder, proved by its checksum.
 *
 * What arrives lies in NAME.part until size and checksum are right; only then it gets its name, or is unpacked under
 * the name that is read. So a file that has its name is whole, an interrupted transfer goes on where it stopped, and
 * nothing that was there before is ever written to. */
#ifndef SNN_FETCH_H
#define SNN_FETCH_H

#include "core/watch.h"
#include "datasets/downloads.h"

struct snn_fetch_view {                                            /* whom it may concern; any function may be NULL */
    void (*begin)(void *payload, const char *what, int64_t total); /* the watch now counts bytes of this */
    void (*say)(void *payload, const char *line); /* an address that failed, and that the next is tried */
    struct snn_watch watch;
    void *payload; /* of begin and say */
};

enum snn_fetched { SNN_FETCH_NEW, SNN_FETCH_UNPACKED, SNN_FETCH_KEPT, SNN_FETCH_KEPT_UNPROVEN };

/* Fetch one file into `folder`, or verify it when it is there: an enum snn_fetched. `mirror`: an address below which
 * the file lies too, looked at first, or NULL.
 * SNN_EDATA: no address has the file, or what is there under its name is not the distributed one; SNN_EFAIL: the disk
 * is full, or this build cannot download; SNN_EINTR: told to stop, and what has arrived stays for the next time. */
int snn_fetch(const struct snn_download *download, const char *folder, const char *mirror,
              const struct snn_fetch_view *view);

/* The path in `folder` that the file is read from (snn_download's unpacked name, or its own); the caller frees. */
char *snn_fetch_path(const struct snn_download *download, const char *folder);

/* Bytes of `url` behind the `*have` that are in the file `fd` already; *have grows as they arrive. `expected` 0: not
 * known. SNN_EDATA: refused, or cut short (then *have says how far it came). Without libcurl SNN_EFAIL. */
int snn_transfer(const char *url, int fd, int64_t *have, int64_t expected, const struct snn_watch *watch);

#endif
