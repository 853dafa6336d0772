/* SPDX-License-Identifier: Apache-2.0 */
#include "autograd/tensor.h"

const real *snn_rows_expand(const struct snn_rows *rows, ptrdiff_t r, ptrdiff_t units, real *buffer) {
    if (!rows->bits) return rows->dense + r * units;
    const uint64_t *bits = rows->bits + r * rows->words;
    ptrdiff_t i = 0;
    for (ptrdiff_t w = 0; w < rows->words; ++w) {
        uint64_t word = bits[w];
        ptrdiff_t end = i + 64 < units ? i + 64 : units;
        for (; i < end; ++i, word >>= 1) buffer[i] = (real)(word & 1);
    }
    return buffer;
}
