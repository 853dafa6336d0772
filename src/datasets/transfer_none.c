/* SPDX-License-Identifier: Apache-2.0
 * transfer_none.c - stands for transfer.c in a build without libcurl. */
#include "core/status.h"
#include "datasets/fetch.h"

int snn_transfer(const char *url, int fd, int64_t *have, int64_t expected, const struct snn_watch *watch) {
    (void)fd, (void)have, (void)expected, (void)watch;
    return snn_error(SNN_EFAIL,
                     "%s: this build cannot download: install libcurl4-openssl-dev and configure with -Dcurl=enabled, "
                     "or download it in another way",
                     url);
}
