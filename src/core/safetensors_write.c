/* SPDX-License-Identifier: Apache-2.0
 * safetensors_write.c - writer: the header is a function of the tensors alone, so equal contents give equal bytes.
 *
 * Order, spacing and padding are those of the reference writer: falling alignment then name, compact JSON, and spaces
 * up to a multiple of 8, so that every tensor lies aligned in a mapped file. Metadata keep the caller's order. */
#include "core/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json_cursor.h"
#include "core/status.h"

static int by_name(const void *left, const void *right) {
    const struct snn_st_tensor *a = *(const struct snn_st_tensor *const *)left;
    const struct snn_st_tensor *b = *(const struct snn_st_tensor *const *)right;
    return strcmp(a->name, b->name);
}

static int by_dtype_and_name(const void *left, const void *right) {
    const struct snn_st_tensor *a = *(const struct snn_st_tensor *const *)left;
    const struct snn_st_tensor *b = *(const struct snn_st_tensor *const *)right;
    return a->dtype != b->dtype ? (a->dtype < b->dtype ? 1 : -1) : strcmp(a->name, b->name);
}

static void check_tensor(const struct snn_st_tensor *t) {
    SNN_CHECK(t->nd >= 0 && t->nd <= SNN_ST_MAX_RANK, "tensor '%s' has rank %d", t->name, t->nd);
    SNN_CHECK(strcmp(t->name, "__metadata__"), "a tensor has the name of the metadata");
    uint64_t bits = snn_st_elements(t) * (uint64_t)snn_dtype_bits(t->dtype);
    SNN_CHECK(bits % 8 == 0 && bits / 8 == t->bytes, "tensor '%s' has %zu bytes, its shape %" PRIu64 " bits", t->name,
              t->bytes, bits);
}

static void check_metadata(const struct snn_st_meta *meta, int count) {
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < i; ++j) SNN_CHECK(strcmp(meta[i].key, meta[j].key), "metadata key '%s' twice", meta[i].key);
}

/* A string in quotes, escaped where JSON demands it. False when it is not UTF-8: no reader would take the file. */
static bool put_string(FILE *to, const char *text) {
    static const char control[] = "\b\f\n\r\t", letter[] = "bfnrt";
    fputc('"', to);
    for (const char *at = text; *at; ++at) {
        const char *known = strchr(control, *at);
        if (known) fprintf(to, "\\%c", letter[known - control]);
        else if ((unsigned char)*at < 0x20) fprintf(to, "\\u%04x", (unsigned)*at);
        else fprintf(to, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    }
    fputc('"', to);
    return snn_utf8_valid(text, strlen(text));
}

static bool put_metadata(FILE *to, const struct snn_st_meta *meta, int count) {
    bool valid = true;
    fputs("\"__metadata__\":{", to);
    for (int i = 0; i < count; ++i) {
        if (i) fputc(',', to);
        valid &= put_string(to, meta[i].key);
        fputc(':', to);
        valid &= put_string(to, meta[i].value);
    }
    fputc('}', to);
    return valid;
}

static bool put_tensor(FILE *to, const struct snn_st_tensor *t, uint64_t begin) {
    bool valid = put_string(to, t->name);
    fprintf(to, ":{\"dtype\":\"%s\",\"shape\":[", snn_dtype_name(t->dtype));
    for (int i = 0; i < t->nd; ++i) fprintf(to, "%s%" PRIu64, i ? "," : "", t->dim[i]);
    fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, begin + t->bytes);
    return valid;
}

/* The padded header in *text (caller frees), and the size of the data behind it. */
static int make_header(const char *path, const struct snn_st_tensor *const *tensor, int count,
                       const struct snn_st_meta *meta, int meta_count, char **text, size_t *size, uint64_t *data_size) {
    FILE *to = open_memstream(text, size);
    if (!to) return snn_error(SNN_EFAIL, "%s: out of memory for its header", path);
    bool valid = true;
    *data_size = 0;
    fputc('{', to);
    if (meta_count) valid = put_metadata(to, meta, meta_count);
    for (int i = 0; i < count; ++i) {
        if (i || meta_count) fputc(',', to);
        valid &= put_tensor(to, tensor[i], *data_size);
        *data_size += tensor[i]->bytes;
    }
    fputc('}', to);
    fflush(to); /* *size is current from here */
    fprintf(to, "%*s", (int)(-*size % 8), "");
    bool broken = ferror(to);
    if (fclose(to) || broken) return snn_error(SNN_EFAIL, "%s: out of memory for its header", path);
    if (!valid) return snn_error(SNN_EFAIL, "%s: not written: a name or metadata text is not valid UTF-8", path);
    return SNN_OK;
}

static int put_file(const char *path, const struct snn_st_tensor *const *tensor, int count, const char *header,
                    size_t size) {
    struct snn_replace *file;
    uint64_t n = size;
    SNN_TRY(snn_replace_open(path, &file));
    snn_replace_write(file, &n, sizeof n);
    snn_replace_write(file, header, size);
    for (int i = 0; i < count; ++i) snn_replace_write(file, tensor[i]->data, tensor[i]->bytes);
    return snn_replace_commit(&file); /* reports the first write that failed */
}

static int write_sorted(const char *path, const struct snn_st_tensor *const *tensor, int count,
                        const struct snn_st_meta *meta, int meta_count) {
    char *header = NULL;
    size_t size = 0;
    uint64_t data_size = 0;
    int status = make_header(path, tensor, count, meta, meta_count, &header, &size, &data_size);
    if (status == SNN_OK && (size > SNN_ST_MAX_HEADER || data_size > SNN_ST_MAX_FILE - sizeof(uint64_t) - size))
        status = snn_error(
            SNN_EFAIL, "%s: not written: a header of %zu and data of %" PRIu64 " bytes, over the limits of %d and %zu",
            path, size, data_size, SNN_ST_MAX_HEADER, SNN_ST_MAX_FILE);
    if (status == SNN_OK) status = put_file(path, tensor, count, header, size);
    free(header);
    return status;
}

int snn_st_write(const char *path, const struct snn_st_tensor *tensors, int count, const struct snn_st_meta *meta,
                 int meta_count) {
    const struct snn_st_tensor **order = malloc((size_t)(count + 1) * sizeof *order);
    if (!order) return snn_error(SNN_EFAIL, "%s: out of memory", path);
    for (int i = 0; i < count; ++i) {
        check_tensor(&tensors[i]);
        order[i] = &tensors[i];
    }
    check_metadata(meta, meta_count);
    qsort(order, (size_t)count, sizeof *order, by_name);
    for (int i = 1; i < count; ++i)
        SNN_CHECK(strcmp(order[i - 1]->name, order[i]->name), "tensor '%s' is given twice", order[i]->name);
    qsort(order, (size_t)count, sizeof *order, by_dtype_and_name);
    int status = write_sorted(path, order, count, meta, meta_count);
    free(order);
    return status;
}
