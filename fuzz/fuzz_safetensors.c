/* SPDX-License-Identifier: Apache-2.0
 * fuzz_safetensors.c - a checkpoint's container: what the reader accepts is whole, and every byte it points at is
 * there. */
#include "core/safetensors.h"
#include "fuzz.h"

static void read_tensor(const struct snn_st *st, const struct snn_st_tensor *tensor) {
    unsigned char sum = 0;
    for (size_t i = 0; i < tensor->bytes; ++i) sum ^= ((const unsigned char *)tensor->data)[i];
    __asm__ volatile("" : : "r"(sum)); /* the reads stay */
    uint64_t elements = snn_st_elements(tensor);
    CLAIM((elements * (uint64_t)snn_dtype_bits(tensor->dtype) + 7) / 8 == tensor->bytes);
    CLAIM(snn_st_find(st, tensor->name) == tensor);
    if (elements > 4096) return; /* conversion is the same for all */
    double *values = malloc((size_t)(elements + 1) * sizeof *values);
    float *floats = malloc((size_t)(elements + 1) * sizeof *floats);
    CLAIM(values && floats);
    int status = snn_st_to_double(tensor, values);
    if (status < 0) claim_refused(status);
    CLAIM(snn_st_to_float(tensor, floats) == status);
    free(values), free(floats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct snn_st *st;
    int status = snn_st_parse(data, size, "input", &st);
    if (status < 0) {
        CLAIM(!st);
        claim_refused(status);
        return 0;
    }
    size_t bytes = 0;
    for (int i = 0; i < snn_st_count(st); ++i) {
        read_tensor(st, snn_st_at(st, i));
        bytes += snn_st_at(st, i)->bytes;
    }
    CLAIM(bytes < size);
    for (int i = 0; i < snn_st_meta_count(st); ++i)
        CLAIM(snn_st_meta_find(st, snn_st_meta_at(st, i).key) == snn_st_meta_at(st, i).value);
    snn_st_close(&st);
    return 0;
}
