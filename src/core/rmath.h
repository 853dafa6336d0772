/* SPDX-License-Identifier: Apache-2.0
 * rmath.h - transcendentals in plain arithmetic: vectorisable, and the same bits on every backend.
 *
 * A scalar expf in a surrogate made its backward pass 13 times slower than the others. In double (the checking build)
 * speed does not matter and libm is exact. */
#ifndef SNN_RMATH_H
#define SNN_RMATH_H

#include <math.h>
#include <stdint.h>

#include "core/real.h"

SNN_HD real r_abs(real x) { return x < 0 ? -x : x; }

/* The nearest integer, for |x| <= 4e6 in float. */
SNN_HD real r_round(real x) {
#ifdef SNN_DOUBLE
    return rint(x);
#else
    return (x + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23: rounds in the low mantissa bits */
#endif
}

/* The integers around x, which stays as it is where they are exact: |x| <= 4e6 in float, or infinite. */
SNN_HD real r_floor(real x) {
    real near = x >= -4e6f && x <= 4e6f ? r_round(x) : x;
    return near > x ? near - 1 : near;
}
SNN_HD real r_ceil(real x) { return -r_floor(-x); }

/* Exact on every backend. */
SNN_HD real r_sqrt(real x) {
#ifdef SNN_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

/* exp(x): relative error below 2e-7 in float over [-87, most]; beyond, the ends' values. One function for each end:
 * with the end as an argument of another one, gcc 12 takes twice the time for the loops that call it. */
#ifdef SNN_DOUBLE
#define SNN_EXP(name, most)                                                                                            \
    SNN_HD real name(real x) { return exp((most) < 88 && x > (most) ? (most) : x); }
#else
#define SNN_EXP(name, most)                                                                                            \
    SNN_HD real name(real x) {                                                                                         \
        union {                                                                                                        \
            float f;                                                                                                   \
            int32_t i;                                                                                                 \
        } bits;                                                                                                        \
        x = x < -87.0f ? -87.0f : x > most##.0f ? most##.0f : x;                                                       \
        bits.f = x * 1.44269504f + 12582912.0f; /* rounds to the nearest integer in the low mantissa bits */           \
        float k = bits.f - 12582912.0f;                                                                                \
        int32_t n = bits.i - 0x4B400000;                                                                               \
        float r = (x - k * 0.693359375f) + k * 2.12194440e-4f; /* ln 2 in two parts */                                 \
        float rr = r * r,                                                                                              \
              p = (1.9875691500e-4f * r + 1.3981999507e-3f) * rr + (8.3334519073e-3f * r + 4.1665795894e-2f);          \
        p = (p * rr + (1.6666665459e-1f * r + 5.0000001201e-1f)) * rr + r + 1.0f;                                      \
        bits.i = (n + 127) << 23;                                                                                      \
        return p * bits.f;                                                                                             \
    }
#endif
SNN_EXP(r_exp, 88)
SNN_EXP(r_exp_to_20, 20)

/* log(1+x) for 0 <= x <= 2, relative error below 2e-7 in float: log(1+x) = 2 atanh(w) with w = x/(2+x), a series in
 * w^2.
 */
SNN_HD real r_log1p(real x) {
#ifdef SNN_DOUBLE
    return log1p(x);
#else
    float w = x / (2.0f + x), y = w * w;
    float p = 1.58137545e-1f;
    p = p * y + 6.45500347e-2f;
    p = p * y + 1.14782251e-1f;
    p = p * y + 1.42632425e-1f;
    p = p * y + 2.00004965e-1f;
    p = p * y + 3.33333313e-1f;
    return 2.0f * w + 2.0f * w * y * p;
#endif
}

/* ln(x) for normal x > 0: relative error below 2e-7 in float. Infinity is taken for 2^128. */
SNN_HD real r_log(real x) {
#ifdef SNN_DOUBLE
    return log(x);
#else
    union {
        float f;
        uint32_t u;
    } bits;
    bits.f = x;
    int32_t n = (int32_t)(bits.u - 0x3F3504F3u) >> 23; /* x = 2^n m with m from sqrt(1/2) to sqrt(2) */
    bits.u -= (uint32_t)n << 23;
    float f = bits.f - 1.0f, z = f * f, k = (float)n;
    float p = 7.0376836292e-2f; /* the polynomial of Cephes' logf */
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    p = p * f * z - k * 2.12194440e-4f - 0.5f * z; /* ln 2 in two parts */
    return f + p + k * 0.693359375f;
#endif
}

/* cos(x) for |x| <= pi/2, absolute error below 1.5e-7 in float. */
SNN_HD real r_cos_quarter(real x) {
#ifdef SNN_DOUBLE
    return cos(x);
#else
    float y = x * x;
    float p = 2.08767570e-9f;
    p = p * y - 2.75573192e-7f;
    p = p * y + 2.48015873e-5f;
    p = p * y - 1.38888889e-3f;
    p = p * y + 4.16666667e-2f;
    return (1.0f - 0.5f * y) + y * (y * p);
#endif
}

/* sin(x) for |x| <= pi/2, relative error below 2e-7 in float. */
SNN_HD real r_sin_quarter(real x) {
#ifdef SNN_DOUBLE
    return sin(x);
#else
    float y = x * x, p = -2.50521084e-8f;
    p = p * y + 2.75573192e-6f;
    p = p * y - 1.98412698e-4f;
    p = p * y + 8.33333333e-3f;
    p = p * y - 1.66666667e-1f;
    return x + x * (y * p);
#endif
}

/* sin(x), and cos(x) into *cosine, for any |x| below 1e5: absolute error below 2e-7 in float. Only 0 has the sine 0. */
SNN_HD real r_sine(real x, real *cosine) {
#ifdef SNN_DOUBLE
    *cosine = cos(x);
    return sin(x);
#else
    union {
        float f;
        int32_t i;
    } bits;
    bits.f = x * 0.318309886f + 12582912.0f; /* the nearest half turn, as in r_exp */
    float k = bits.f - 12582912.0f, flip = bits.i & 1 ? -1.0f : 1.0f;
    /* pi in four parts, of which k times each of the first three is exact */
    float r =
        (((x - k * 3.140625f) - k * 9.670257568359375e-4f) - k * 6.277114152908325e-7f) - k * 1.215420125655342e-10f;
    *cosine = flip * r_cos_quarter(r);
    return flip * r_sin_quarter(r);
#endif
}

#endif
