/* SPDX-License-Identifier: Apache-2.0
 * safetensors_numbers.c - tensors of any number type as doubles or floats. */
#include <math.h>
#include <string.h>

#include "core/json_cursor.h"
#include "core/safetensors.h"
#include "core/status.h"

static double from_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return half >> 15 ? -size : size;
}

static double from_brain(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Element i as T: data of a foreign file may be unaligned. */
#define AT(T, convert)                                                                                                 \
    do {                                                                                                               \
        T value;                                                                                                       \
        memcpy(&value, (const unsigned char *)tensor->data + i * sizeof value, sizeof value);                          \
        return convert(value);                                                                                         \
    } while (0)

static double element(const struct snn_st_tensor *tensor, uint64_t i) {
    switch (tensor->dtype) {
    case SNN_DT_F64:
        AT(double, );
    case SNN_DT_F32:
        AT(float, (double));
    case SNN_DT_F16:
        AT(uint16_t, from_half);
    case SNN_DT_BF16:
        AT(uint16_t, from_brain);
    case SNN_DT_I64:
        AT(int64_t, (double));
    case SNN_DT_U64:
        AT(uint64_t, (double));
    case SNN_DT_I32:
        AT(int32_t, );
    case SNN_DT_U32:
        AT(uint32_t, );
    case SNN_DT_I16:
        AT(int16_t, );
    case SNN_DT_U16:
        AT(uint16_t, );
    case SNN_DT_I8:
        AT(int8_t, );
    default:
        AT(uint8_t, );
    }
}

static int check_number(const struct snn_st_tensor *tensor) {
    enum snn_dtype dtype = tensor->dtype;
    if (dtype == SNN_DT_U8 || dtype == SNN_DT_I8 || (dtype >= SNN_DT_I16 && dtype != SNN_DT_C64)) return SNN_OK;
    return snn_error(SNN_EDATA, "tensor '%s': is %s, expected F64, F32, F16, BF16 or an integer type",
                     snn_shown(tensor->name).text, snn_dtype_name(dtype));
}

int snn_st_to_double(const struct snn_st_tensor *tensor, double *out) {
    SNN_TRY(check_number(tensor));
    for (uint64_t i = 0, n = snn_st_elements(tensor); i < n; ++i) out[i] = element(tensor, i);
    return SNN_OK;
}

int snn_st_to_float(const struct snn_st_tensor *tensor, float *out) {
    SNN_TRY(check_number(tensor));
    if (tensor->dtype != SNN_DT_F32)
        for (uint64_t i = 0, n = snn_st_elements(tensor); i < n; ++i) out[i] = (float)element(tensor, i);
    else if (tensor->bytes) memcpy(out, tensor->data, tensor->bytes);
    return SNN_OK;
}
