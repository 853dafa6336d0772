/* SPDX-License-Identifier: Apache-2.0
 * npy.c - NumPy's .npy files of numbers: a header, the elements. */
#include "datasets/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"

/* ---- the file ---- */

/* `size` bytes at `at`; false when there are fewer. */
static bool read_at(int fd, void *to, size_t size, int64_t at) {
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(at + (int64_t)done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* ---- the header ---- */

/* What its text says of the array. */
static int take_header(struct snn_npy *npy, const char *text, size_t length) {
    struct snn_npy_header h;
    SNN_TRY(snn_npy_read_text(npy->path, text, length, &h));
    if (h.fields) return snn_error(SNN_EDATA, "%s: holds records, expected an array of numbers", npy->path);
    if (h.fortran && h.dims > 1)
        return snn_error(SNN_EDATA, "%s: is in Fortran order, expected C order (numpy.ascontiguousarray)", npy->path);
    npy->dims = h.dims, npy->count = h.count, npy->number = h.number;
    memcpy(npy->dim, h.dim, sizeof h.dim);
    return SNN_OK;
}

/* Reads all before the elements, and checks that these are as many as the file has room for. */
static int read_start(struct snn_npy *npy, int64_t file_size) {
    unsigned char start[SNN_NPY_START] = {0};
    int64_t at, length;
    if (!read_at(npy->fd, start, file_size < SNN_NPY_START ? (size_t)file_size : SNN_NPY_START, 0))
        return snn_error(SNN_EDATA, "%s: cannot be read: %s", npy->path, strerror(errno));
    SNN_TRY(snn_npy_find_text(npy->path, start, file_size, &at, &length));
    npy->offset = at + length;
    char *text = malloc((size_t)length + 1);
    if (!text) return snn_error(SNN_EFAIL, "%s: out of memory", npy->path);
    int status = read_at(npy->fd, text, (size_t)length, at)
                     ? take_header(npy, text, (size_t)length)
                     : snn_error(SNN_EDATA, "%s: cannot be read: %s", npy->path, strerror(errno));
    free(text);
    SNN_TRY(status);
    int64_t bytes = npy->count * npy->number.size, left = file_size - npy->offset;
    char shape[128];
    if (bytes > left)
        return snn_error(SNN_EDATA, "%s: its shape %s promises %lld bytes, but %lld follow the header", npy->path,
                         snn_npy_shape(npy, shape, sizeof shape), (long long)bytes, (long long)left);
    if (bytes < left)
        return snn_error(SNN_EDATA, "%s: goes on behind the %lld bytes that its shape %s says", npy->path,
                         (long long)bytes, snn_npy_shape(npy, shape, sizeof shape));
    return SNN_OK;
}

int snn_npy_open(const char *path, struct snn_npy *out) {
    struct stat info;
    *out = (struct snn_npy){.path = strdup(path)};
    if (!out->path) return snn_error(SNN_EFAIL, "%s: out of memory", path);
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status = SNN_OK;
    if (out->fd < 0 || fstat(out->fd, &info))
        status = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode)) status = snn_error(SNN_EDATA, "%s: is not a regular file", path);
    else status = read_start(out, (int64_t)info.st_size);
    if (status < 0) snn_npy_close(out);
    return status;
}

void snn_npy_close(struct snn_npy *npy) {
    if (npy->path && npy->fd >= 0) close(npy->fd);
    free(npy->path);
    *npy = (struct snn_npy){0};
}

bool snn_npy_is_integer(const struct snn_npy *npy) { return npy->number.kind != 'f'; }

char *snn_npy_shape(const struct snn_npy *npy, char *buffer, size_t size) {
    int n = snprintf(buffer, size, "(");
    for (int i = 0; i < npy->dims && n < (int)size; ++i)
        n += snprintf(buffer + n, size - (size_t)n, "%s%lld%s", i ? ", " : "", (long long)npy->dim[i],
                      npy->dims == 1 ? "," : "");
    if (n < (int)size) snprintf(buffer + n, size - (size_t)n, ")");
    return buffer;
}

/* ---- elements ---- */

static double real_of(struct snn_npy_number number, const unsigned char *element) {
    uint64_t bits = snn_npy_bits(number, element);
    if (number.kind == 'f') return snn_npy_float(number, bits);
    return number.kind == 'i' ? (double)snn_npy_signed(number, bits) : (double)bits;
}

enum { CHUNK = 1024 }; /* elements that are fetched at once */

static int fetch(const struct snn_npy *npy, int64_t first, size_t count, unsigned char *to) {
    if (read_at(npy->fd, to, count * (size_t)npy->number.size, npy->offset + first * npy->number.size)) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: cannot be read at element %lld of %lld: has it been cut since it was opened?",
                     npy->path, (long long)first, (long long)npy->count);
}

int snn_npy_reals(const struct snn_npy *npy, int64_t first, int64_t count, float *out) {
    unsigned char chunk[CHUNK * 8];
    SNN_CHECK(first >= 0 && count >= 0 && first <= npy->count - count, "elements of an array");
    for (int64_t done = 0; done < count;) {
        int64_t n = count - done < CHUNK ? count - done : CHUNK;
        SNN_TRY(fetch(npy, first + done, (size_t)n, chunk));
        for (int64_t i = 0; i < n; ++i, ++done) {
            out[done] = (float)real_of(npy->number, chunk + i * npy->number.size);
            if (!isfinite(out[done]))
                return snn_error(SNN_EDATA, "%s: element %lld is %g, expected a finite number", npy->path,
                                 (long long)(first + done), real_of(npy->number, chunk + i * npy->number.size));
        }
    }
    return SNN_OK;
}

int snn_npy_integers(const struct snn_npy *npy, int64_t first, int64_t count, int64_t *out) {
    unsigned char chunk[CHUNK * 8];
    SNN_CHECK(first >= 0 && count >= 0 && first <= npy->count - count, "elements of an array");
    SNN_CHECK(snn_npy_is_integer(npy), "integers of floats");
    for (int64_t done = 0; done < count;) {
        int64_t n = count - done < CHUNK ? count - done : CHUNK;
        SNN_TRY(fetch(npy, first + done, (size_t)n, chunk));
        for (int64_t i = 0; i < n; ++i, ++done) {
            uint64_t bits = snn_npy_bits(npy->number, chunk + i * npy->number.size);
            if (npy->number.kind != 'i' && bits > INT64_MAX)
                return snn_error(SNN_EDATA, "%s: element %lld is %llu, expected less than 2^63", npy->path,
                                 (long long)(first + done), (unsigned long long)bits);
            out[done] = npy->number.kind == 'i' ? snn_npy_signed(npy->number, bits) : (int64_t)bits;
        }
    }
    return SNN_OK;
}
