/* SPDX-License-Identifier: Apache-2.0
 * made_tar.h - small tar archives, put together byte by byte so that their headers can lie.
 *
 * ustar: a header of 512 bytes (name at 0, size at 124, checksum at 148, type at 156), then the bytes, padded to a
 * multiple of 512; two blocks of zeros end the archive. */
#ifndef SNN_TEST_MADE_TAR_H
#define SNN_TEST_MADE_TAR_H

#include <zlib.h>

#include "folder.h"

struct made_tar {
    unsigned char bytes[1 << 16];
    size_t size;
};

static inline void tar_checksum(unsigned char *header) {
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; ++i) sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

/* A member of `size` bytes whose header says `claimed`; type '0' is a file, '2' a symbolic link, '5' a folder. */
static inline void tar_put(struct made_tar *tar, const char *name, char type, const void *bytes, size_t size,
                           uint64_t claimed) {
    unsigned char *header = tar->bytes + tar->size;
    ck_assert_uint_le(tar->size + 512 + size + 511, sizeof tar->bytes);
    memset(header, 0, 512 + (size + 511) / 512 * 512);
    snprintf((char *)header, 100, "%s", name);
    memcpy(header + 100, "0000644\0000000000\0000000000\0", 24);
    header[124] = 0x80; /* the size in binary, big-endian */
    for (int i = 0; i < 8; ++i) header[135 - i] = (unsigned char)(claimed >> (8 * i));
    memcpy(header + 136, "00000000000", 12);
    header[156] = (unsigned char)type;
    memcpy(header + 257, "ustar\00000", 8);
    tar_checksum(header);
    if (size) memcpy(header + 512, bytes, size);
    tar->size += 512 + (size + 511) / 512 * 512;
}

static inline void tar_file(struct made_tar *tar, const char *name, const void *bytes, size_t size) {
    tar_put(tar, name, '0', bytes, size, size);
}

static inline void tar_end(struct made_tar *tar) {
    ck_assert_uint_le(tar->size + 1024, sizeof tar->bytes);
    memset(tar->bytes + tar->size, 0, 1024);
    tar->size += 1024;
}

/* NAME in the test's folder, packed with gzip. */
static inline void tar_write_gz(const struct made_tar *tar, const char *name) {
    gzFile file = gzopen(in(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, tar->bytes, (unsigned)tar->size), (int)tar->size);
    ck_assert_int_eq(gzclose(file), Z_OK);
}

#endif
