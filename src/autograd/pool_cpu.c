/* SPDX-License-Identifier: Apache-2.0
 * pool_cpu.c - pooling on the CPU. Windows that tile the image (kernel = stride, no padding), the usual case, have
 * loops of their own. */
#include <string.h>

#include "autograd/pool.h"
#include "core/isa.h"

static size_t scratch(int threads, const struct snn_pool_shape *s) {
    return (size_t)threads * (size_t)s->C * (size_t)s->H * (size_t)s->W * sizeof(real);
}

static bool tiles(const struct snn_pool_shape *s) {
    return !s->adaptive && s->kernel[0] == s->stride[0] && s->kernel[1] == s->stride[1] && !s->padding[0] &&
           !s->padding[1];
}

/* Taps of window (oy, ox) that lie inside the image. */
struct window {
    int32_t y0, y1, x0, x1;
};
static struct window window(const struct snn_pool_shape *s, int32_t oy, int32_t ox) {
    struct window w = {snn_pool_start(s, 0, oy), snn_pool_end(s, 0, oy), snn_pool_start(s, 1, ox),
                       snn_pool_end(s, 1, ox)};
    if (w.y0 < 0) w.y0 = 0;
    if (w.x0 < 0) w.x0 = 0;
    if (w.y1 > s->H) w.y1 = s->H;
    if (w.x1 > s->W) w.x1 = s->W;
    return w;
}

static void average_plane(const struct snn_pool_shape *s, const real *x, real *y) {
    real scale = snn_pool_share(s, 0, 0);
    if (tiles(s) && s->kernel[1] == 2 && s->kernel[0] == 2) {
        for (int32_t oy = 0; oy < s->OH; ++oy) {
            const real *restrict a = x + 2 * oy * s->W, *restrict b = a + s->W;
            real *restrict out = y + oy * s->OW;
            for (int32_t ox = 0; ox < s->OW; ++ox)
                out[ox] = ((a[2 * ox] + a[2 * ox + 1]) + (b[2 * ox] + b[2 * ox + 1])) * scale;
        }
        return;
    }
    for (int32_t oy = 0; oy < s->OH; ++oy)
        for (int32_t ox = 0; ox < s->OW; ++ox) {
            struct window w = window(s, oy, ox);
            if (s->adaptive) scale = snn_pool_share(s, oy, ox);
            real sum = 0;
            for (int32_t iy = w.y0; iy < w.y1; ++iy)
                for (int32_t ix = w.x0; ix < w.x1; ++ix) sum += x[iy * s->W + ix];
            y[oy * s->OW + ox] = sum * scale;
        }
}

static int32_t count_nonzero(const real *y, ptrdiff_t n) {
    int32_t count = 0;
    for (ptrdiff_t i = 0; i < n; ++i) count += y[i] != 0;
    return count;
}

static void average(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, int32_t *nonzero, void *memory) {
    ptrdiff_t in = (ptrdiff_t)s->H * s->W, out = (ptrdiff_t)s->OH * s->OW;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r) {
            const real *from = snn_rows_expand(x, r, s->C * in, (real *)memory + lane * s->C * in);
            for (int32_t c = 0; c < s->C; ++c) average_plane(s, from + c * in, y + (r * s->C + c) * out);
            if (nonzero) nonzero[r] = count_nonzero(y + r * s->C * out, s->C * out);
        }
}

static void average_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         bool adds, real *gx) {
    ptrdiff_t in = (ptrdiff_t)s->H * s->W, out = (ptrdiff_t)s->OH * s->OW;
    const real share = snn_pool_share(s, 0, 0);
    bool fast = tiles(s) && s->kernel[1] == 2 && !adds;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t plane = 0; plane < rows * s->C; ++plane) {
        const real *g = gy + plane * out;
        real *restrict to = gx + plane * in, scale = share;
        if (fast) { /* every input belongs to one window, or, at the right and lower border, to none */
            for (int32_t iy = 0; iy < s->H; ++iy) {
                const real *restrict line = g + iy / s->kernel[0] * s->OW;
                real *restrict row = to + iy * s->W;
                if (iy / s->kernel[0] >= s->OH) {
                    memset(row, 0, (size_t)s->W * sizeof *row);
                    continue;
                }
                for (int32_t ox = 0; ox < s->OW; ++ox) row[2 * ox] = row[2 * ox + 1] = line[ox] * scale;
                if (s->W > 2 * s->OW) row[2 * s->OW] = 0;
            }
            continue;
        }
        if (!adds) memset(to, 0, (size_t)in * sizeof *to);
        for (int32_t oy = 0; oy < s->OH; ++oy)
            for (int32_t ox = 0; ox < s->OW; ++ox) {
                struct window w = window(s, oy, ox);
                if (s->adaptive) scale = snn_pool_share(s, oy, ox);
                for (int32_t iy = w.y0; iy < w.y1; ++iy)
                    for (int32_t ix = w.x0; ix < w.x1; ++ix) to[iy * s->W + ix] += g[oy * s->OW + ox] * scale;
            }
    }
}

static void maximum_plane(const struct snn_pool_shape *s, const real *x, real *y, uint16_t *choice) {
    for (int32_t oy = 0; oy < s->OH; ++oy)
        for (int32_t ox = 0; ox < s->OW; ++ox) {
            struct window w = window(s, oy, ox);
            int32_t best_y = w.y0, best_x = w.x0;
            for (int32_t iy = w.y0; iy < w.y1; ++iy)
                for (int32_t ix = w.x0; ix < w.x1; ++ix)
                    if (x[iy * s->W + ix] > x[best_y * s->W + best_x]) best_y = iy, best_x = ix;
            y[oy * s->OW + ox] = x[best_y * s->W + best_x];
            int32_t tap_y = best_y - snn_pool_start(s, 0, oy), tap_x = best_x - snn_pool_start(s, 1, ox);
            if (choice) choice[oy * s->OW + ox] = (uint16_t)(tap_y * s->kernel[1] + tap_x);
        }
}

static void maximum(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, uint16_t *choice, int32_t *nonzero, void *memory) {
    ptrdiff_t in = (ptrdiff_t)s->H * s->W, out = (ptrdiff_t)s->OH * s->OW;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t r = lane * rows / device->threads; r < (lane + 1) * rows / device->threads; ++r) {
            const real *from = snn_rows_expand(x, r, s->C * in, (real *)memory + lane * s->C * in);
            for (int32_t c = 0; c < s->C; ++c)
                maximum_plane(s, from + c * in, y + (r * s->C + c) * out,
                              choice ? choice + (r * s->C + c) * out : NULL);
            if (nonzero) nonzero[r] = count_nonzero(y + r * s->C * out, s->C * out);
        }
}

static void maximum_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         const uint16_t *choice, bool adds, real *gx) {
    ptrdiff_t in = (ptrdiff_t)s->H * s->W, out = (ptrdiff_t)s->OH * s->OW;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t plane = 0; plane < rows * s->C; ++plane) {
        real *to = gx + plane * in;
        if (!adds) memset(to, 0, (size_t)in * sizeof *to);
        for (int32_t oy = 0; oy < s->OH; ++oy)
            for (int32_t ox = 0; ox < s->OW; ++ox) {
                ptrdiff_t i = plane * out + (ptrdiff_t)oy * s->OW + ox;
                int32_t iy = snn_pool_start(s, 0, oy) + choice[i] / s->kernel[1];
                int32_t ix = snn_pool_start(s, 1, ox) + choice[i] % s->kernel[1];
                to[iy * s->W + ix] += gy[i];
            }
    }
}

extern const struct snn_pool_kernels SNN_ISA(snn_pool_cpu);
const struct snn_pool_kernels SNN_ISA(snn_pool_cpu) = {
    .scratch = scratch,
    .average = average,
    .average_grad = average_grad,
    .maximum = maximum,
    .maximum_grad = maximum_grad,
};
