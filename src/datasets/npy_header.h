/* SPDX-License-Identifier: Apache-2.0
 * npy_header.h - what stands before the elements of a file of NumPy's format (.npy), for whoever reads them; only this
 * folder includes it.
 *
 * A magic, a version, the length of a text, and the text: a Python dictionary of exactly three keys, 'descr' (the type:
 * of numbers, or of records with named fields), 'fortran_order' and 'shape'. It is read as the few forms that it can
 * have, not as Python; objects, which would be pickled, are refused. The format: numpy.lib.format, versions 1 to 3. */
#ifndef SNN_DATASETS_NPY_HEADER_H
#define SNN_DATASETS_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SNN_NPY_START = 12 /* bytes that say where the text is */, SNN_NPY_DIMS = 8, SNN_NPY_FIELDS = 64 };

struct snn_npy_number { /* how one is stored */
    char kind;          /* 'b' (0 or 1), 'u', 'i', 'f'; in records also 'V': padding of `size` bytes */
    int size;           /* bytes: 1, 2, 4, 8 */
    bool big_endian;
};

struct snn_npy_field { /* of a record */
    const char *name;  /* in the text, not terminated */
    size_t length;
    struct snn_npy_number number;
    int64_t at; /* bytes from the record's beginning */
};

struct snn_npy_header {
    int dims;
    int64_t dim[SNN_NPY_DIMS]; /* the last one runs fastest, unless `fortran` */
    int64_t count;             /* elements: the product of dim */
    bool fortran;
    int64_t item;                 /* bytes of an element */
    struct snn_npy_number number; /* of an element, when there are no fields */
    int fields;                   /* of records; 0: elements are numbers */
    struct snn_npy_field field[SNN_NPY_FIELDS];
};

/* Where the text begins, and its length; `start`: the file's first SNN_NPY_START bytes, or all of a shorter one. */
int snn_npy_find_text(const char *path, const unsigned char *start, int64_t file_size, int64_t *text, int64_t *length);
/* `out->field[].name` points into `text`. SNN_EDATA with the place of what is not as NumPy writes it. */
int snn_npy_read_text(const char *path, const char *text, size_t length, struct snn_npy_header *out);

/* The bits of a number, the first bytes being the lowest ones. */
static inline uint64_t snn_npy_bits(struct snn_npy_number number, const unsigned char *at) {
    uint64_t bits = 0;
    for (int i = 0; i < number.size; ++i) bits |= (uint64_t)at[number.big_endian ? number.size - 1 - i : i] << 8 * i;
    return bits;
}
/* What they mean, of kind 'i' and 'f'. */
static inline int64_t snn_npy_signed(struct snn_npy_number number, uint64_t bits) {
    uint64_t sign = UINT64_C(1) << (8 * number.size - 1);
    return (int64_t)((bits ^ sign) - sign);
}
double snn_npy_float(struct snn_npy_number number, uint64_t bits);

#endif
