/* SPDX-License-Identifier: Apache-2.0
 * half.h - numbers of 16 bits (IEEE binary16: 11 bits of significand), held in doubles.
 *
 * A sum, product or quotient of two such numbers in double, rounded once, is what hardware of 16 bits would give. In
 * rounding there is no largest number: what would be infinite stays finite. */
#ifndef SNN_HALF_H
#define SNN_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The number that 16 bits stand for, also an infinite one or none: a sign, 5 bits of exponent, which is widened, and 10
 * of fraction, which are moved up. */
static inline double snn_half_of(uint16_t half) {
    uint64_t exponent = half >> 10 & 31, fraction = half & 1023;
    double sign = half >> 15 ? -1 : 1, value;
    if (exponent == 0) return sign * (double)fraction * 0x1p-24;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    uint64_t bits = (exponent + 1008) << 52 | fraction << 42;
    memcpy(&value, &bits, sizeof value);
    return sign * value;
}

/* The distance of neighbours around x. */
static inline double snn_half_step(double x) {
    int exponent;
    frexp(x, &exponent);
    return ldexp(1, x == 0 || exponent < -13 ? -24 : exponent - 11);
}

/* The nearest one, of two the even one. */
static inline double snn_half(double x) {
    double step = snn_half_step(x);
    return rint(x / step) * step;
}

/* The time in seconds that was cut down to whole microseconds: the first number of 16 bits not before it. This is exact
 * from 2 ms on, where neighbours are more than a microsecond apart. */
static inline double snn_half_seconds(int64_t us) {
    double t = (double)us / 1e6, step = snn_half_step(t);
    return ceil(t / step) * step;
}

#endif
