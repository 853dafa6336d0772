/* SPDX-License-Identifier: Apache-2.0
 * made_spikes.h - small files in the layout of SHD, well-formed and otherwise, written with libhdf5. */
#ifndef SNN_TEST_MADE_SPIKES_H
#define SNN_TEST_MADE_SPIKES_H

#include <hdf5.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct made_spikes {
    int recordings;
    const int *length;       /* (recordings) */
    const int *units_length; /* (recordings), or NULL: as many as times */
    const double *time;      /* of all recordings, one after the other */
    const long long *unit;
    const int *label;           /* (recordings) */
    hid_t time_type, unit_type; /* in the file; 0: half and uint16_t */
    int labels, speakers;       /* entries; 0: as many as recordings; -1: none */
    int words;                  /* of extra/keys; 0: none; below 0: so many of variable length */
    int chunk;                  /* recordings a chunk of packed data; 0: in one piece */
    hsize_t userblock;          /* bytes before the file proper */
    const char *without;        /* a data set to leave out, or NULL */
};

/* IEEE binary16, little-endian or not. */
static inline hid_t made_half(H5T_order_t order) {
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    H5Tset_order(type, order);
    return type;
}

static inline hid_t made_set_of(hid_t file, const char *name, hid_t type, int count, int chunk, const void *data,
                                hid_t memory) {
    hsize_t dims = (hsize_t)count, part = (hsize_t)chunk;
    hid_t space = H5Screate_simple(1, &dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk) H5Pset_chunk(how, 1, &part), H5Pset_shuffle(how), H5Pset_deflate(how, 4);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    int good = set >= 0 && (!data || H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set), H5Sclose(space), H5Pclose(how);
    return good ? 0 : -1;
}

static inline int made_trains(hid_t file, const char *name, const struct made_spikes *made, const int *length,
                              const void *values, size_t size, hid_t native, hid_t type) {
    hvl_t *list = calloc((size_t)made->recordings + 1, sizeof *list);
    const char *at = values;
    for (int i = 0; i < made->recordings; ++i) {
        list[i] = (hvl_t){(size_t)length[i], (void *)(uintptr_t)at};
        at += (size_t)length[i] * size;
    }
    hid_t stored = H5Tvlen_create(type), memory = H5Tvlen_create(native);
    int status = made_set_of(file, name, stored, made->recordings, made->chunk, list, memory);
    H5Tclose(stored), H5Tclose(memory);
    free(list);
    return status;
}

static inline int made_words(hid_t file, int words) {
    enum { SIZE = 20 };
    int count = abs(words), status;
    char *text = calloc((size_t)count, SIZE);
    const char **pointer = calloc((size_t)count, sizeof *pointer);
    for (int i = 0; i < count; ++i) {
        pointer[i] = text + i * SIZE;
        snprintf(text + i * SIZE, SIZE, "word %d", i);
    }
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, words < 0 ? H5T_VARIABLE : SIZE);
    status = made_set_of(file, "/extra/keys", type, count, 0, words < 0 ? (const void *)pointer : text, type);
    H5Tclose(type);
    free(pointer), free(text);
    return status;
}

/* 0, or -1 when it cannot be written. */
static inline int made_spikes_file(const char *path, const struct made_spikes *made) {
    hid_t how = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(how, made->userblock);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, how, H5P_DEFAULT), half = made_half(H5T_ORDER_LE);
    H5Gclose(H5Gcreate2(file, "spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "extra", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    const char *without = made->without ? made->without : "";
    const int *units_length = made->units_length ? made->units_length : made->length;
    int bad = 0, *ids = calloc((size_t)made->recordings + 100, sizeof *ids);
    for (int i = 0; i < made->recordings; ++i) ids[i] = made->label ? made->label[i] : i % 10;
    if (strcmp(without, "times"))
        bad |= made_trains(file, "/spikes/times", made, made->length, made->time, sizeof *made->time, H5T_NATIVE_DOUBLE,
                           made->time_type ? made->time_type : half);
    if (strcmp(without, "units"))
        bad |= made_trains(file, "/spikes/units", made, units_length, made->unit, sizeof *made->unit, H5T_NATIVE_LLONG,
                           made->unit_type ? made->unit_type : H5T_STD_U16LE);
    if (made->labels >= 0)
        bad |= made_set_of(file, "/labels", H5T_STD_I16LE, made->labels ? made->labels : made->recordings, 0, ids,
                           H5T_NATIVE_INT);
    for (int i = 0; i < made->recordings; ++i) ids[i] = i % 3;
    if (made->speakers >= 0)
        bad |= made_set_of(file, "/extra/speaker", H5T_STD_U16LE, made->speakers ? made->speakers : made->recordings, 0,
                           ids, H5T_NATIVE_INT);
    if (made->words) bad |= made_words(file, made->words);
    H5Tclose(half), H5Pclose(how);
    H5Fclose(file);
    free(ids);
    return bad;
}

#endif
