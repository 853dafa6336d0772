/* SPDX-License-Identifier: Apache-2.0
 * safetensors.h - the container of checkpoints and golden values: a JSON header and raw little-endian tensors.
 *
 * The reader treats its input as hostile: every rule of the format (sizes, UTF-8, strict JSON, overflow, offsets
 * without hole or overlap, nothing behind the data) is checked before a byte of data is used. */
#ifndef SNN_SAFETENSORS_H
#define SNN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

enum snn_dtype { /* in order of increasing alignment, as the format sorts them */
                 SNN_DT_BOOL,
                 SNN_DT_F4,
                 SNN_DT_F6_E2M3,
                 SNN_DT_F6_E3M2,
                 SNN_DT_U8,
                 SNN_DT_I8,
                 SNN_DT_F8_E5M2,
                 SNN_DT_F8_E4M3,
                 SNN_DT_F8_E8M0,
                 SNN_DT_F8_E4M3FNUZ,
                 SNN_DT_F8_E5M2FNUZ,
                 SNN_DT_I16,
                 SNN_DT_U16,
                 SNN_DT_F16,
                 SNN_DT_BF16,
                 SNN_DT_I32,
                 SNN_DT_U32,
                 SNN_DT_F32,
                 SNN_DT_C64,
                 SNN_DT_F64,
                 SNN_DT_I64,
                 SNN_DT_U64,
                 SNN_DT_COUNT
};
const char *snn_dtype_name(enum snn_dtype dtype);
int snn_dtype_bits(enum snn_dtype dtype);

/* Limits of the reader, held by the writer too: header and file in bytes. */
enum { SNN_ST_MAX_RANK = 16, SNN_ST_MAX_HEADER = 100000000 };
#define SNN_ST_MAX_FILE ((size_t)16 << 30)

struct snn_st_tensor {
    const char *name;
    enum snn_dtype dtype;
    int nd;
    uint64_t dim[SNN_ST_MAX_RANK];
    const void *data; /* possibly unaligned when read from a file */
    size_t bytes;
};

struct snn_st_meta {
    const char *key, *value;
};

struct snn_st; /* an open file: owns names, metadata and data */

/* SNN_EDATA with "PATH: what is wrong" when missing or broken. */
int snn_st_open(const char *path, struct snn_st **out);
/* The same on bytes in memory, which are copied. `origin` names them in errors. */
int snn_st_parse(const void *bytes, size_t size, const char *origin, struct snn_st **out);
void snn_st_close(struct snn_st **st);

int snn_st_count(const struct snn_st *st);                                          /* tensors, in offset order */
const struct snn_st_tensor *snn_st_at(const struct snn_st *st, int i);              /* 0 <= i < count */
const struct snn_st_tensor *snn_st_find(const struct snn_st *st, const char *name); /* NULL when absent */
int snn_st_meta_count(const struct snn_st *st);
struct snn_st_meta snn_st_meta_at(const struct snn_st *st, int i);
const char *snn_st_meta_find(const struct snn_st *st, const char *key); /* NULL when absent */
uint64_t snn_st_elements(const struct snn_st_tensor *tensor);           /* product of the shape */

/* Convert F64, F32, F16, BF16 or an integer type to double; `out` holds snn_st_elements(). SNN_EDATA for other types.
 */
int snn_st_to_double(const struct snn_st_tensor *tensor, double *out);
/* Likewise to float: F32 is copied bit for bit. */
int snn_st_to_float(const struct snn_st_tensor *tensor, float *out);

/* Write atomically (core/file.h), sorted and padded as the reference writer does. Names and metadata keys must be
 * unique, and `bytes` must fit shape and dtype. SNN_EFAIL leaves the old file: the disk, a limit, or text that is not
 * UTF-8. */
int snn_st_write(const char *path, const struct snn_st_tensor *tensors, int count, const struct snn_st_meta *meta,
                 int meta_count);

#endif
