/* SPDX-License-Identifier: Apache-2.0
 * regular_point.h - penalties of one number and their derivatives, which both backends share. */
#ifndef SNN_REGULAR_POINT_H
#define SNN_REGULAR_POINT_H

#include <math.h>

#include "autograd/regular.h"

/* f(d) of an activity x, and its derivative with respect to x. */
SNN_HD double snn_penalty_of_activity(const struct snn_penalty *p, double x, double *slope) {
    double d = x - p->bound, size;
    *slope = 0;
    if ((p->side == SNN_SIDE_ABOVE && d <= 0) || (p->side == SNN_SIDE_BELOW && d >= 0)) return 0;
    size = d < 0 ? -d : d;
    if (p->distance == SNN_DISTANCE_L2 || (p->distance == SNN_DISTANCE_HUBER && size < 1)) {
        double half = p->distance == SNN_DISTANCE_L2 ? 1 : 0.5;
        *slope = 2 * half * d;
        return half * d * d;
    }
    *slope = d > 0 ? 1 : d < 0 ? -1 : 0;
    return p->distance == SNN_DISTANCE_L1 ? size : size - 0.5;
}

/* One more term in front of a series in -x^2. */
#define SNN_TERM(series, n) series = 1 - x2 * (1.0 / (n)) * series

/* f(w) of a weight, and its derivative. For sin^2(omega w) whole half turns are taken off, and the series of what is
 * left (at most pi/2) end where their terms are below 1e-18: no library is asked, so that CPU and card agree. */
SNN_HD real snn_penalty_of_weight(enum snn_weight_penalty kind, double omega, real w, real *slope) {
    if (kind == SNN_WEIGHT_L1) {
        *slope = w > 0 ? (real)1 : w < 0 ? (real)-1 : (real)0;
        return w < 0 ? -w : w;
    }
    if (kind == SNN_WEIGHT_L2) {
        *slope = 2 * w;
        return w * w;
    }
    const double pi = 3.14159265358979323846;
    double half_turns = omega * (double)w / pi, x = pi * (half_turns - rint(half_turns)), x2 = x * x;
    double cosine = 1, sine = 1;
    SNN_TERM(cosine, 462);
    SNN_TERM(cosine, 380);
    SNN_TERM(cosine, 306);
    SNN_TERM(cosine, 240);
    SNN_TERM(cosine, 182);
    SNN_TERM(cosine, 132);
    SNN_TERM(cosine, 90);
    SNN_TERM(cosine, 56);
    SNN_TERM(cosine, 30);
    SNN_TERM(cosine, 12);
    SNN_TERM(cosine, 2);
    SNN_TERM(sine, 506);
    SNN_TERM(sine, 420);
    SNN_TERM(sine, 342);
    SNN_TERM(sine, 272);
    SNN_TERM(sine, 210);
    SNN_TERM(sine, 156);
    SNN_TERM(sine, 110);
    SNN_TERM(sine, 72);
    SNN_TERM(sine, 42);
    SNN_TERM(sine, 20);
    SNN_TERM(sine, 6);
    sine *= x;
    *slope = (real)(2 * omega * sine * cosine);
    return (real)(sine * sine);
}

#endif
