/* SPDX-License-Identifier: Apache-2.0
 * mapped.c - files in the address space. */
#include "core/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"

static const unsigned char nothing[1];

static int map(const char *path, size_t limit, struct snn_mapped *out) {
    struct stat info;
    if (fstat(out->fd, &info)) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return snn_error(SNN_EDATA, "%s: is not a regular file", path);
    if ((uintmax_t)info.st_size > limit)
        return snn_error(SNN_EDATA, "%s: has %jd bytes, expected at most %zu", path, (intmax_t)info.st_size, limit);
    out->bytes = nothing;
    out->size = (size_t)info.st_size;
    if (!out->size) return SNN_OK;
    void *bytes = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, out->fd, 0);
    if (bytes == MAP_FAILED) {
        out->size = 0;
        return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    }
    madvise(bytes, out->size, MADV_SEQUENTIAL);
    out->bytes = bytes;
    return SNN_OK;
}

int snn_mapped_open(const char *path, size_t limit, struct snn_mapped *out) {
    *out = (struct snn_mapped){0};
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (out->fd < 0) return snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
    int status = map(path, limit, out);
    if (status < 0) {
        close(out->fd);
        *out = (struct snn_mapped){0};
    }
    return status;
}

void snn_mapped_close(struct snn_mapped *mapped) {
    if (!mapped->bytes) return;
    if (mapped->size) munmap((void *)(uintptr_t)mapped->bytes, mapped->size);
    close(mapped->fd);
    *mapped = (struct snn_mapped){0};
}

int snn_mapped_check(const struct snn_mapped *mapped, const char *path) {
    struct stat info;
    if (fstat(mapped->fd, &info)) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    if ((uintmax_t)info.st_size >= mapped->size) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: has %jd bytes, expected %zu: it shrank while it was read", path,
                     (intmax_t)info.st_size, mapped->size);
}

void snn_mapped_release(const struct snn_mapped *mapped) {
    if (mapped->size) madvise((void *)(uintptr_t)mapped->bytes, mapped->size, MADV_DONTNEED);
}
