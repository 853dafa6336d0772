/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rng.h"

#include <math.h>

double snn_rng_normal(uint32_t word0, uint32_t word1) {
    double u = 1.0 - snn_rng_unit(word0), v = snn_rng_unit(word1); /* u in (0,1]: the logarithm is finite */
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void snn_rng_shuffle(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, int32_t *order, int32_t n) {
    for (int32_t i = 0; i < n; ++i) order[i] = i;
    for (int32_t i = n - 1; i > 0; --i) {
        int32_t j = (int32_t)snn_rng_below(snn_rng_u32(seed, purpose, a, b, (uint32_t)i), (uint32_t)i + 1);
        int32_t swap = order[i];
        order[i] = order[j], order[j] = swap;
    }
}
