/* SPDX-License-Identifier: Apache-2.0
 * delay_shift_cpu.c - a delay for every channel, on the CPU. */
#include <math.h>

#include "autograd/delay_cpu.h"

struct delay { /* of a channel: y[t] = (1 - part) x[t - whole] + part x[t - whole - 1] */
    ptrdiff_t whole;
    real part;
};

static struct delay delay_of(const struct snn_shift *s, real d) {
    double at = s->rounded ? rint((double)d) : (double)d, most = s->most;
    at = at < 0 ? 0 : at > most ? most : at;
    return (struct delay){(ptrdiff_t)floor(at), (real)(at - floor(at))};
}

/* Numbers of channel c at step t of x, whose first `before` steps come before step 0; NULL: there are none. */
static const real *step_of(const struct snn_shift *s, const real *x, ptrdiff_t t, ptrdiff_t b, ptrdiff_t c) {
    return t + s->before < 0 ? NULL : x + (((t + s->before) * s->B + b) * s->C + c) * s->inner;
}

void SNN_ISA(snn_delay_shift)(struct snn_device *device, const struct snn_shift *s, const real *x, const real *delay,
                              real *y) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)s->T * s->B; ++r)
        for (ptrdiff_t c = 0; c < s->C; ++c) {
            struct delay d = delay_of(s, delay[c]);
            const real *near = step_of(s, x, r / s->B - d.whole, r % s->B, c),
                       *far = step_of(s, x, r / s->B - d.whole - 1, r % s->B, c);
            real *to = y + (r * s->C + c) * s->inner;
            for (ptrdiff_t i = 0; i < s->inner; ++i)
                to[i] = (near ? (1 - d.part) * near[i] : 0) + (far ? d.part * far[i] : 0);
        }
}

static void shift_back(struct snn_device *device, const struct snn_shift *s, const real *delay, const real *gy,
                       bool adds, real *gx) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)s->T * s->B; ++r)
        for (ptrdiff_t c = 0; c < s->C; ++c) {
            struct delay d = delay_of(s, delay[c]);
            ptrdiff_t near = r / s->B + d.whole, b = r % s->B;
            real *to = gx + (r * s->C + c) * s->inner;
            for (ptrdiff_t i = 0; i < s->inner; ++i) {
                real sum = adds ? to[i] : 0;
                if (near < s->T) sum += (1 - d.part) * gy[((near * s->B + b) * s->C + c) * s->inner + i];
                if (near + 1 < s->T) sum += d.part * gy[(((near + 1) * s->B + b) * s->C + c) * s->inner + i];
                to[i] = sum;
            }
        }
}

void SNN_ISA(snn_delay_shift_grad)(struct snn_device *device, const struct snn_shift *s, const real *x,
                                   const real *delay, const real *gy, bool adds, real *gx, real *gdelay) {
    if (gx) shift_back(device, s, delay, gy, adds, gx);
    if (!gdelay) return;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t c = 0; c < s->C; ++c) {
        struct delay d = delay_of(s, delay[c]);
        double sum = 0;
        for (ptrdiff_t r = 0; r < (ptrdiff_t)s->T * s->B; ++r) {
            const real *near = step_of(s, x, r / s->B - d.whole, r % s->B, c),
                       *far = step_of(s, x, r / s->B - d.whole - 1, r % s->B, c), *g = gy + (r * s->C + c) * s->inner;
            for (ptrdiff_t i = 0; i < s->inner; ++i)
                sum += (double)g[i] * ((far ? (double)far[i] : 0) - (near ? (double)near[i] : 0));
        }
        gdelay[c] += (real)sum;
    }
}
