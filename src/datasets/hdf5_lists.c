/* SPDX-License-Identifier: Apache-2.0
 * hdf5_lists.c - references by libhdf5, lists by pread. */
#include "datasets/hdf5_lists.h"

#include <endian.h>
#include <errno.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REFERENCE = 16,      /* bytes: length (4), heap (8), object (4), all little-endian */
    HEADER = 16,         /* of a heap: "GCOL", version (1), zeros (3), its size (8) */
    OBJECT = 16,         /* before an object: number (2), references to it (2), zeros (4), its size (8) */
    MAX_CHUNK = 1 << 20, /* references */
    MAX_OBJECTS = 1 << 16
};

static uint64_t get64(const unsigned char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint32_t get32(const unsigned char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* ---- references ---- */

/* Where addresses in the file count from; false when they have not 8 bytes. */
static bool find_base(hid_t file, hsize_t *base) {
    hid_t how = H5Fget_create_plist(file);
    size_t address = 0, size = 0;
    bool good = how >= 0 && H5Pget_sizes(how, &address, &size) >= 0 && address == 8 && size == 8 &&
                H5Pget_userblock(how, base) >= 0;
    if (how >= 0) H5Pclose(how);
    return good;
}

static const char *read_fully(int fd, void *bytes, size_t size, uint64_t at) {
    while (size) {
        ssize_t n = at <= INT64_MAX ? pread(fd, bytes, size, (off_t)at) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? "cannot be read from the file" : "points beyond the end of the file";
        bytes = (char *)bytes + n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return NULL;
}

/* In one piece: the file's own bytes. */
static const char *find_contiguous(hid_t file, hid_t set, int64_t count, unsigned char *references) {
    haddr_t at = H5Dget_offset(set);
    int *fd;
    if (at == HADDR_UNDEF) return NULL; /* never written: empty lists */
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&fd) < 0) return "cannot be read from the file";
    return read_fully(*fd, references, (size_t)count * REFERENCE, at);
}

/* Each chunk as it is in the file into the data set `plain`, which has the same chunks and filters but another type. */
static const char *copy_chunks(hid_t set, hid_t plain, int64_t count, hsize_t each) {
    const char *wrong = NULL;
    unsigned char *bytes = NULL;
    hsize_t room = 0;
    for (hsize_t first = 0; !wrong && first < (hsize_t)count; first += each) {
        hsize_t size = 0;
        uint32_t skipped = 0;
        if (H5Dget_chunk_storage_size(set, &first, &size) < 0 || !size) continue; /* never written: empty lists */
        if (size > (hsize_t)2 * MAX_CHUNK * REFERENCE) wrong = "has a chunk that is too large";
        if (!wrong && size > room) {
            unsigned char *larger = realloc(bytes, size);
            if (larger) bytes = larger, room = size;
            else wrong = "is too large for the memory";
        }
        if (!wrong && (H5Dread_chunk(set, H5P_DEFAULT, &first, &skipped, bytes) < 0 ||
                       H5Dwrite_chunk(plain, H5P_DEFAULT, skipped, &first, size, bytes) < 0))
            wrong = "has a chunk that cannot be read";
    }
    free(bytes);
    return wrong;
}

/* Chunks and filters as `how` has them, and nothing else of it: a list's fill value does not suit plain bytes. */
static hid_t same_chunks(hid_t how, hsize_t each) {
    enum { VALUES = 32 };
    hid_t plain = H5Pcreate(H5P_DATASET_CREATE);
    bool good = plain >= 0 && H5Pset_chunk(plain, 1, &each) >= 0;
    int filters = H5Pget_nfilters(how);
    for (int i = 0; good && i < filters; ++i) {
        unsigned flags, values[VALUES], config;
        size_t count = VALUES;
        H5Z_filter_t filter = H5Pget_filter2(how, (unsigned)i, &flags, &count, values, 0, NULL, &config);
        good = filter >= 0 && count <= VALUES && H5Pset_filter(plain, filter, flags, count, values) >= 0;
    }
    if (good && filters >= 0) return plain;
    if (plain >= 0) H5Pclose(plain);
    return -1;
}

/* In chunks, perhaps packed: the library unpacks them for a data set of plain bytes, in a file that is only in memory.
 */
static const char *find_chunked(hid_t set, hid_t how, int64_t count, unsigned char *references) {
    hsize_t each = 0, dims = (hsize_t)count, most = H5S_UNLIMITED;
    if (H5Pget_chunk(how, 1, &each) != 1 || !each || each > MAX_CHUNK) return "has chunks of a size that is not read";
    const char *wrong = "is packed in a way that this build cannot unpack";
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), chunks = same_chunks(how, each);
    hid_t type = H5Tcreate(H5T_OPAQUE, REFERENCE), space = H5Screate_simple(1, &dims, &most), file = -1, plain = -1;
    if (chunks >= 0 && H5Pset_fapl_core(access, 1 << 20, 0) >= 0)
        file = H5Fcreate("references", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file >= 0) plain = H5Dcreate2(file, "references", type, space, H5P_DEFAULT, chunks, H5P_DEFAULT);
    if (plain >= 0) {
        wrong = copy_chunks(set, plain, count, each);
        if (!wrong && H5Dread(plain, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, references) < 0)
            wrong = "has a chunk that cannot be unpacked";
        H5Dclose(plain);
    }
    if (file >= 0) H5Fclose(file);
    if (chunks >= 0) H5Pclose(chunks);
    H5Sclose(space), H5Tclose(type), H5Pclose(access);
    return wrong;
}

_Static_assert(sizeof(hid_t) == sizeof(int64_t), "the header names it without the library's");

const char *snn_lists_find(int64_t file, int64_t set, int64_t count, struct snn_list *list) {
    hsize_t base;
    if (!find_base(file, &base)) return "has addresses that are not 8 bytes long";
    hid_t how = H5Dget_create_plist(set);
    unsigned char *references = calloc((size_t)count, REFERENCE);
    const char *wrong = NULL;
    H5D_layout_t layout = how >= 0 ? H5Pget_layout(how) : H5D_LAYOUT_ERROR;
    if (!references) wrong = "is too large for the memory";
    else if (layout == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0)
        wrong = find_contiguous(file, set, count, references);
    else if (layout == H5D_CHUNKED) wrong = find_chunked(set, how, count, references);
    else wrong = "is stored neither in one piece nor in chunks";
    for (int64_t i = 0; !wrong && i < count; ++i) {
        const unsigned char *at = references + i * REFERENCE;
        list[i] = (struct snn_list){.length = get32(at), .object = get32(at + 12), .heap = get64(at + 4) + base};
    }
    free(references);
    if (how >= 0) H5Pclose(how);
    return wrong;
}

/* ---- a list ---- */

const char *snn_list_read(int fd, const struct snn_list *list, size_t size, void *bytes) {
    unsigned char head[HEADER];
    if (!list->length) return NULL;
    const char *wrong = read_fully(fd, head, sizeof head, list->heap);
    if (wrong) return wrong;
    if (memcmp(head, "GCOL\1", 5)) return "points at what is no heap";
    uint64_t whole = get64(head + 8), at = HEADER;
    for (int i = 0; i < MAX_OBJECTS && whole >= OBJECT && at <= whole - OBJECT; ++i) {
        wrong = read_fully(fd, head, OBJECT, list->heap + at);
        if (wrong) return wrong;
        uint64_t has = get64(head + 8);
        uint32_t number = head[0] | (uint32_t)head[1] << 8;
        at += OBJECT;
        if (number == 0 || has > whole - at) break; /* the free space, which is last; or nonsense */
        if (number == list->object)
            return has < (uint64_t)list->length * size ? "is longer than what the heap holds"
                                                       : read_fully(fd, bytes, list->length * size, list->heap + at);
        at += (has + 7) & ~UINT64_C(7);
    }
    return "points at an object that its heap does not have";
}
