/* SPDX-License-Identifier: Apache-2.0
 * npy.c - NumPy's .npy files: a magic, a version, the length of a header, the header, the elements.
 *
 * The header is a Python dict in text, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, padded with blanks
 * and ended by a line feed. It is read as the few forms that it can have, not as Python. */
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
#include "datasets/half.h"

enum { PREFIX = 8, MOST_HEADER = 1 << 16 }; /* magic and version; NumPy itself writes some 120 bytes of header */

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

struct header { /* its text, ended by a NUL, and how far it was read */
    const char *path, *text, *at;
};

static int strange(const struct header *h, const char *expected) {
    return snn_error(SNN_EDATA, "%s: its header is not as NumPy writes it at byte %td: expected %s", h->path,
                     h->at - h->text, expected);
}

static void skip_blanks(struct header *h) {
    while (*h->at == ' ' || *h->at == '\n') ++h->at;
}

/* Past blanks and, if it comes next, the character. */
static bool takes(struct header *h, char c) {
    skip_blanks(h);
    if (*h->at != c) return false;
    ++h->at;
    return true;
}

/* A string in quotes of either kind, without escapes. */
static int read_word(struct header *h, char word[24]) {
    char quote = takes(h, '\'') ? '\'' : '"';
    if (quote == '"' && !takes(h, '"')) return strange(h, "a string");
    const char *end = strchr(h->at, quote);
    if (!end || end - h->at >= 24) return strange(h, "a short string");
    memcpy(word, h->at, (size_t)(end - h->at));
    word[end - h->at] = 0;
    h->at = end + 1;
    return SNN_OK;
}

static int read_descr(struct header *h, struct snn_npy *npy) {
    char word[24], kind, rest;
    int size;
    if (takes(h, '[')) return snn_error(SNN_EDATA, "%s: holds records, expected an array of numbers", h->path);
    SNN_TRY(read_word(h, word));
    bool known = strchr("<>|=", *word) && *word && sscanf(word + 1, "%c%1d%c", &kind, &size, &rest) == 2;
    if (known) known = kind == 'b' ? size == 1 : kind == 'f' ? size == 2 || size == 4 || size == 8 : true;
    if (known) known = strchr("buif", kind) && (size == 1 || size == 2 || size == 4 || size == 8);
    if (!known)
        return snn_error(SNN_EDATA,
                         "%s: holds elements of type '%s', expected bool, integers or floats of at most 64 "
                         "bits",
                         h->path, word);
    npy->kind = kind, npy->size = size, npy->big_endian = *word == '>';
    return SNN_OK;
}

static int read_order(struct header *h, bool *fortran) {
    skip_blanks(h);
    *fortran = !strncmp(h->at, "True", 4);
    if (!*fortran && strncmp(h->at, "False", 5)) return strange(h, "True or False");
    h->at += *fortran ? 4 : 5;
    return SNN_OK;
}

static int read_shape(struct header *h, struct snn_npy *npy) {
    if (!takes(h, '(')) return strange(h, "a shape in parentheses");
    npy->count = 1;
    while (!takes(h, ')')) {
        int64_t n = 0;
        const char *first = h->at;
        for (; *h->at >= '0' && *h->at <= '9'; ++h->at) {
            if (n > INT64_MAX / 16) return strange(h, "a smaller number");
            n = 10 * n + (*h->at - '0');
        }
        if (h->at == first) return strange(h, "a number");
        if (npy->dims == SNN_NPY_DIMS)
            return snn_error(SNN_EDATA, "%s: has more than %d dimensions", h->path, SNN_NPY_DIMS);
        if (n > 0 && npy->count > INT64_MAX / 16 / n) return strange(h, "fewer elements");
        npy->dim[npy->dims++] = n;
        npy->count *= n;
        if (takes(h, ',')) continue;
        if (!takes(h, ')')) return strange(h, "a comma or the end of the shape");
        break;
    }
    return SNN_OK;
}

static int read_header(struct header *h, struct snn_npy *npy) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool fortran = false, seen[3] = {false};
    if (!takes(h, '{')) return strange(h, "a dict");
    while (!takes(h, '}')) {
        char word[24];
        int key = 0;
        SNN_TRY(read_word(h, word));
        while (key < 3 && strcmp(word, keys[key])) ++key;
        if (key == 3 || seen[key]) return strange(h, "each of descr, fortran_order and shape once");
        seen[key] = true;
        if (!takes(h, ':')) return strange(h, "a colon");
        SNN_TRY(key == 0 ? read_descr(h, npy) : key == 1 ? read_order(h, &fortran) : read_shape(h, npy));
        if (takes(h, ',')) continue;
        if (!takes(h, '}')) return strange(h, "a comma or the end of the dict");
        break;
    }
    if (!seen[0] || !seen[1] || !seen[2]) return strange(h, "each of descr, fortran_order and shape once");
    skip_blanks(h);
    if (*h->at) return strange(h, "nothing behind the dict");
    if (fortran && npy->dims > 1)
        return snn_error(SNN_EDATA, "%s: is in Fortran order, expected C order (numpy.ascontiguousarray)", h->path);
    return SNN_OK;
}

/* Reads all before the elements, and checks that these are as many as the file has room for. */
static int read_start(struct snn_npy *npy, int64_t file_size) {
    unsigned char prefix[PREFIX + 4] = {0};
    if (file_size < PREFIX + 2 || !read_at(npy->fd, prefix, PREFIX + 2, 0) || memcmp(prefix, "\x93NUMPY", 6))
        return snn_error(SNN_EDATA, "%s: does not start as an array of NumPy does", npy->path);
    if (prefix[6] < 1 || prefix[6] > 3)
        return snn_error(SNN_EDATA, "%s: is of version %d of the format, expected 1 to 3", npy->path, prefix[6]);
    int length_size = prefix[6] == 1 ? 2 : 4;
    if (length_size == 4 && (file_size < PREFIX + 4 || !read_at(npy->fd, prefix, PREFIX + 4, 0)))
        return snn_error(SNN_EDATA, "%s: ends within its header", npy->path);
    int64_t length = 0;
    for (int i = length_size - 1; i >= 0; --i) length = length << 8 | prefix[PREFIX + i];
    npy->offset = PREFIX + length_size + length;
    if (length > MOST_HEADER)
        return snn_error(SNN_EDATA, "%s: its header has %lld bytes, expected at most %d", npy->path, (long long)length,
                         MOST_HEADER);
    if (npy->offset > file_size) return snn_error(SNN_EDATA, "%s: ends within its header", npy->path);
    char *text = malloc((size_t)length + 1);
    if (!text) return snn_error(SNN_EFAIL, "%s: out of memory", npy->path);
    struct header header = {npy->path, text, text};
    int status = read_at(npy->fd, text, (size_t)length, PREFIX + length_size)
                     ? SNN_OK
                     : snn_error(SNN_EDATA, "%s: cannot be read: %s", npy->path, strerror(errno));
    if (status == SNN_OK) {
        text[length] = 0;
        status = strlen(text) == (size_t)length ? read_header(&header, npy) : strange(&header, "text");
    }
    free(text);
    SNN_TRY(status);
    int64_t bytes = npy->count * npy->size, left = file_size - npy->offset;
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

bool snn_npy_is_integer(const struct snn_npy *npy) { return npy->kind != 'f'; }

char *snn_npy_shape(const struct snn_npy *npy, char *buffer, size_t size) {
    int n = snprintf(buffer, size, "(");
    for (int i = 0; i < npy->dims && n < (int)size; ++i)
        n += snprintf(buffer + n, size - (size_t)n, "%s%lld%s", i ? ", " : "", (long long)npy->dim[i],
                      npy->dims == 1 ? "," : "");
    if (n < (int)size) snprintf(buffer + n, size - (size_t)n, ")");
    return buffer;
}

/* ---- elements ---- */

static uint64_t bits_of(const struct snn_npy *npy, const unsigned char *element) {
    uint64_t bits = 0;
    for (int i = 0; i < npy->size; ++i) bits |= (uint64_t)element[npy->big_endian ? npy->size - 1 - i : i] << 8 * i;
    return bits;
}

static int64_t signed_of(uint64_t bits, int size) {
    uint64_t sign = UINT64_C(1) << (8 * size - 1);
    return (int64_t)((bits ^ sign) - sign);
}

static double real_of(const struct snn_npy *npy, const unsigned char *element) {
    uint64_t bits = bits_of(npy, element);
    if (npy->kind == 'i') return (double)signed_of(bits, npy->size);
    if (npy->kind != 'f') return (double)bits;
    if (npy->size == 2) return snn_half_of((uint16_t)bits);
    if (npy->size == 4) {
        uint32_t word = (uint32_t)bits;
        float value;
        memcpy(&value, &word, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum { CHUNK = 1024 }; /* elements that are fetched at once */

static int fetch(const struct snn_npy *npy, int64_t first, size_t count, unsigned char *to) {
    if (read_at(npy->fd, to, count * (size_t)npy->size, npy->offset + first * npy->size)) return SNN_OK;
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
            out[done] = (float)real_of(npy, chunk + i * npy->size);
            if (!isfinite(out[done]))
                return snn_error(SNN_EDATA, "%s: element %lld is %g, expected a finite number", npy->path,
                                 (long long)(first + done), real_of(npy, chunk + i * npy->size));
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
            uint64_t bits = bits_of(npy, chunk + i * npy->size);
            if (npy->kind != 'i' && bits > INT64_MAX)
                return snn_error(SNN_EDATA, "%s: element %lld is %llu, expected less than 2^63", npy->path,
                                 (long long)(first + done), (unsigned long long)bits);
            out[done] = npy->kind == 'i' ? signed_of(bits, npy->size) : (int64_t)bits;
        }
    }
    return SNN_OK;
}
