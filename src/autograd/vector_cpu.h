/* SPDX-License-Identifier: Apache-2.0
 * vector_cpu.h - vectors of the instruction set that a kernel file is being compiled for; sums and transposition. */
#ifndef SNN_VECTOR_CPU_H
#define SNN_VECTOR_CPU_H

#include <stddef.h>

#include "core/real.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { LANES = VECTOR_BYTES / (int)sizeof(real), ALIGN_REALS = 64 / (int)sizeof(real) };
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef real vec_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real))));

static inline ptrdiff_t blocks(ptrdiff_t n, ptrdiff_t size) { return (n + size - 1) / size; }
static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t align_up(ptrdiff_t n) { return blocks(n, ALIGN_REALS) * ALIGN_REALS; }

/* In 16 lanes, whatever the instruction set: all have the same order of additions. */
static inline real sum_of(const real *restrict from, ptrdiff_t n) {
    real lane[16] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; ++k) lane[k] += from[i + k];
    for (int k = 0; k < 16; ++k) total += lane[k];
    for (; i < n; ++i) total += from[i];
    return total;
}

/* ---- transposition of LANES x LANES numbers in registers: log2(LANES) rounds of interleaving ---- */

#define INTERLEAVE_2(a, b, from) __builtin_shufflevector(a, b, from, from + 2)
#define INTERLEAVE_4(a, b, from) __builtin_shufflevector(a, b, from, from + 4, from + 1, from + 5)
#define INTERLEAVE_8(a, b, from)                                                                                       \
    __builtin_shufflevector(a, b, from, from + 8, from + 1, from + 9, from + 2, from + 10, from + 3, from + 11)
#define INTERLEAVE_16(a, b, from)                                                                                      \
    __builtin_shufflevector(a, b, from, from + 16, from + 1, from + 17, from + 2, from + 18, from + 3, from + 19,      \
                            from + 4, from + 20, from + 5, from + 21, from + 6, from + 22, from + 7, from + 23)
#if defined(__AVX512F__) && !defined(SNN_DOUBLE)
#define INTERLEAVE INTERLEAVE_16
#elif defined(__AVX512F__) || (defined(__AVX2__) && !defined(SNN_DOUBLE))
#define INTERLEAVE INTERLEAVE_8
#elif defined(__AVX2__) || !defined(SNN_DOUBLE)
#define INTERLEAVE INTERLEAVE_4
#else
#define INTERLEAVE INTERLEAVE_2
#endif

/* out[j * out_step + i] = in[i * in_step + j] */
static inline __attribute__((always_inline)) void transpose_square(const real *in, ptrdiff_t in_step, real *out,
                                                                   ptrdiff_t out_step) {
    vec a[LANES], b[LANES];
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; ++i) a[i] = *(const vec_unaligned *)(in + i * in_step);
    _Pragma("GCC unroll 4") for (int round = 1; round < LANES; round *= 2) {
        _Pragma("GCC unroll 8") for (int i = 0; i < LANES / 2; ++i) {
            b[2 * i] = INTERLEAVE(a[i], a[i + LANES / 2], 0);
            b[2 * i + 1] = INTERLEAVE(a[i], a[i + LANES / 2], LANES / 2);
        }
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; ++i) a[i] = b[i];
    }
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; ++i) * (vec_unaligned *)(out + i * out_step) = a[i];
}

/* out (columns, out_step) = transpose of in (rows, in_step): whole squares in registers, of which the last ones overlap
 * those before; one by one where there is not even one square. */
static inline void transpose(const real *in, ptrdiff_t in_step, ptrdiff_t rows, ptrdiff_t columns, real *out,
                             ptrdiff_t out_step) {
    if (rows < LANES || columns < LANES) {
        for (ptrdiff_t r = 0; r < rows; ++r)
            for (ptrdiff_t c = 0; c < columns; ++c) out[c * out_step + r] = in[r * in_step + c];
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i += LANES)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            ptrdiff_t r = least(i, rows - LANES), c = least(j, columns - LANES);
            transpose_square(in + r * in_step + c, in_step, out + c * out_step + r, out_step);
        }
}

#endif
