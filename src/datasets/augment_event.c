/* SPDX-License-Identifier: Apache-2.0
 * augment_event.c - transforms of recordings, event by event: places, times, channels, losses.
 *
 * What leaves the sensor is lost; the order by time is kept. Transforms of places are those of Li et al., "Neuromorphic
 * data augmentation for training spiking neural networks" (ECCV 2022), made on events instead of frames. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/augment.h"
#include "datasets/parts.h"

struct chance {
    double p;
};
struct pixels {
    long long pixels;
};
struct degrees {
    double degrees;
};
struct part {
    double by;
};
struct width {
    long long most;
    double p;
};
struct spread {
    double sigma;
};

/* ---- places ---- */

/* x' = a x + b y + c, y' = d x + e y + f, to the nearest pixel. */
struct affine {
    double a, b, c, d, e, f;
};

static void move(struct snn_augmenting *a, const struct affine *m) {
    struct snn_event *to = a->sample->events, *end = to + a->sample->event_count;
    for (const struct snn_event *from = to; from < end; ++from) {
        double x = floor(m->a * from->x + m->b * from->y + m->c + 0.5);
        double y = floor(m->d * from->x + m->e * from->y + m->f + 0.5);
        if (!(x >= 0 && x < a->W && y >= 0 && y < a->H)) continue;
        *to++ = (struct snn_event){from->t, (uint16_t)x, (uint16_t)y, from->p};
    }
    a->sample->event_count = (size_t)(to - a->sample->events);
}

/* The linear map around the middle of the sensor. */
static void move_around_middle(struct snn_augmenting *a, double xx, double xy, double yx, double yy) {
    double x = 0.5 * (a->W - 1), y = 0.5 * (a->H - 1);
    move(a, &(struct affine){xx, xy, x - xx * x - xy * y, yx, yy, y - yx * x - yy * y});
}

static void roll(struct snn_augmenting *a, int32_t most) {
    int32_t dx = snn_draw_int(&a->draw, -most, most) % a->W, dy = snn_draw_int(&a->draw, -most, most) % a->H;
    for (size_t i = 0; i < a->sample->event_count; ++i) {
        struct snn_event *e = &a->sample->events[i];
        e->x = (uint16_t)((e->x + dx + a->W) % a->W);
        e->y = (uint16_t)((e->y + dy + a->H) % a->H);
    }
}

static double radians(double degrees) { return degrees * (3.14159265358979323846 / 180); }

static void rotate(struct snn_augmenting *a, double most) {
    double angle = radians(snn_draw_between(&a->draw, -most, most)), c = cos(angle), s = sin(angle);
    move_around_middle(a, c, -s, s, c);
}

static void shear(struct snn_augmenting *a, double most) {
    move_around_middle(a, 1, tan(radians(snn_draw_between(&a->draw, -most, most))), 0, 1);
}

static void cutout(struct snn_augmenting *a, int32_t size) {
    struct snn_box box = snn_draw_box(a, size, size);
    struct snn_event *to = a->sample->events, *end = to + a->sample->event_count;
    for (const struct snn_event *from = to; from < end; ++from)
        if (!snn_box_holds(&box, from->x, from->y)) *to++ = *from;
    a->sample->event_count = (size_t)(to - a->sample->events);
}

const struct snn_key snn_augment_event_flip_keys[] = {
    {"p", SNN_REAL, offsetof(struct chance, p), "0.5", 0, 1, NULL, "probability"},
    {0},
};
int snn_augment_event_flip(struct snn_augmenting *a, const void *options) {
    if (!snn_draw_chance(&a->draw, ((const struct chance *)options)->p)) return SNN_OK;
    for (size_t i = 0; i < a->sample->event_count; ++i)
        a->sample->events[i].x = (uint16_t)(a->W - 1 - a->sample->events[i].x);
    return SNN_OK;
}

const struct snn_key snn_augment_event_roll_keys[] = {
    {"pixels", SNN_INT, offsetof(struct pixels, pixels), "5", 0, 65535, NULL, "the farthest, in each direction"},
    {0},
};
int snn_augment_event_roll(struct snn_augmenting *a, const void *options) {
    roll(a, (int32_t)((const struct pixels *)options)->pixels);
    return SNN_OK;
}

const struct snn_key snn_augment_event_translate_keys[] = {
    {"pixels", SNN_INT, offsetof(struct pixels, pixels), "5", 0, 65535, NULL, "the farthest, in each direction"},
    {0},
};
int snn_augment_event_translate(struct snn_augmenting *a, const void *options) {
    int32_t most = (int32_t)((const struct pixels *)options)->pixels;
    int32_t dx = snn_draw_int(&a->draw, -most, most), dy = snn_draw_int(&a->draw, -most, most);
    move(a, &(struct affine){1, 0, dx, 0, 1, dy});
    return SNN_OK;
}

const struct snn_key snn_augment_event_rotate_keys[] = {
    {"degrees", SNN_REAL, offsetof(struct degrees, degrees), "15", 0, 180, NULL, "the most, in both directions"},
    {0},
};
int snn_augment_event_rotate(struct snn_augmenting *a, const void *options) {
    rotate(a, ((const struct degrees *)options)->degrees);
    return SNN_OK;
}

const struct snn_key snn_augment_event_shear_keys[] = {
    {"degrees", SNN_REAL, offsetof(struct degrees, degrees), "15", 0, 80, NULL, "the most that columns lean"},
    {0},
};
int snn_augment_event_shear(struct snn_augmenting *a, const void *options) {
    shear(a, ((const struct degrees *)options)->degrees);
    return SNN_OK;
}

const struct snn_key snn_augment_event_scale_keys[] = {
    {"by", SNN_REAL, offsetof(struct part, by), "0.1", 0, 0.9, NULL, "the factor is of 1-by..1+by"},
    {0},
};
int snn_augment_event_scale(struct snn_augmenting *a, const void *options) {
    double by = ((const struct part *)options)->by, factor = snn_draw_between(&a->draw, 1 - by, 1 + by);
    move_around_middle(a, factor, 0, 0, factor);
    return SNN_OK;
}

struct hole {
    long long size;
    double p;
};
const struct snn_key snn_augment_event_cutout_keys[] = {
    {"size", SNN_INT, offsetof(struct hole, size), "16", 1, 65535, NULL, "side in pixels"},
    {"p", SNN_REAL, offsetof(struct hole, p), "1", 0, 1, NULL, "probability"},
    {0},
};
int snn_augment_event_cutout(struct snn_augmenting *a, const void *options) {
    const struct hole *o = options;
    if (snn_draw_chance(&a->draw, o->p)) cutout(a, (int32_t)o->size);
    return SNN_OK;
}

/* The authors' own programs draw one of roll, rotate and shear (5 pixels and 30 degrees at 48x48 for CIFAR10-DVS, 3
 * and 15 for N-Caltech101); others who use the policy have cutout for shear. */
struct nda {
    long long pixels, cutout;
    double degrees;
};
const struct snn_key snn_augment_nda_keys[] = {
    {"pixels", SNN_INT, offsetof(struct nda, pixels), "5", 0, 65535, NULL, "the farthest that roll shifts"},
    {"degrees", SNN_REAL, offsetof(struct nda, degrees), "30", 0, 80, NULL, "the most of rotate and shear"},
    {"cutout", SNN_INT, offsetof(struct nda, cutout), "0", 0, 65535, NULL, "side of cutout's square; 0: no cutout"},
    {0},
};
int snn_augment_nda(struct snn_augmenting *a, const void *options) {
    const struct nda *o = options;
    switch (snn_draw_int(&a->draw, 0, o->cutout ? 3 : 2)) {
    case 0:
        roll(a, (int32_t)o->pixels);
        break;
    case 1:
        rotate(a, o->degrees);
        break;
    case 2:
        shear(a, o->degrees);
        break;
    default:
        cutout(a, (int32_t)o->cutout);
    }
    return SNN_OK;
}

/* ---- losses ---- */

const struct snn_key snn_augment_drop_keys[] = {
    {"p", SNN_REAL, offsetof(struct chance, p), "0.1", 0, 1, NULL, "of each event"},
    {0},
};
int snn_augment_drop(struct snn_augmenting *a, const void *options) {
    double p = ((const struct chance *)options)->p;
    struct snn_event *to = a->sample->events, *end = to + a->sample->event_count;
    for (const struct snn_event *from = to; from < end; ++from)
        if (!snn_draw_chance(&a->draw, p)) *to++ = *from;
    a->sample->event_count = (size_t)(to - a->sample->events);
    return SNN_OK;
}

/* ---- times ---- */

/* Times longer than 30 years would be sums that an int64_t of microseconds has no room for. */
static const double longest_us = 1e15;

static double us_of(struct snn_time time) { return time.value * 1e6; }

/* Sort by time; equal times stay in their order. All times are of first..first+span: by their digits of 11 bits, the
 * lowest first. */
static int sort(struct snn_augmenting *a, int64_t first, int64_t span) {
    enum { BITS = 11, DIGITS = 1 << BITS };
    size_t n = a->sample->event_count;
    SNN_TRY(snn_augment_room(a, n));
    struct snn_event *from = a->sample->events, *to = a->events;
    for (int shift = 0; shift < 63 && span >> shift; shift += BITS) {
        size_t begin[DIGITS + 1] = {0};
        for (size_t i = 0; i < n; ++i) ++begin[((from[i].t - first) >> shift & (DIGITS - 1)) + 1];
        for (int digit = 1; digit < DIGITS; ++digit) begin[digit] += begin[digit - 1];
        for (size_t i = 0; i < n; ++i) to[begin[(from[i].t - first) >> shift & (DIGITS - 1)]++] = from[i];
        struct snn_event *swap = from;
        from = to, to = swap;
    }
    if (from != a->sample->events) memcpy(a->sample->events, from, n * sizeof *from);
    return SNN_OK;
}

struct jitter {
    struct snn_time sigma;
};
const struct snn_key snn_augment_time_jitter_keys[] = {
    {"sigma", SNN_TIME, offsetof(struct jitter, sigma), "1 ms", 0, 3600, NULL,
     "standard deviation of the normal distribution"},
    {0},
};
int snn_augment_time_jitter(struct snn_augmenting *a, const void *options) {
    double sigma = us_of(((const struct jitter *)options)->sigma);
    size_t n = a->sample->event_count;
    if (!n) return SNN_OK;
    struct snn_event *events = a->sample->events;
    int64_t first = events[0].t, last = events[n - 1].t;
    for (size_t i = 0; i < n; ++i) {
        int64_t t = events[i].t + llround(sigma * snn_draw_normal(&a->draw));
        events[i].t = t < first ? first : t > last ? last : t;
    }
    return sort(a, first, last - first);
}

struct stretch {
    struct snn_time most;
    double p;
};
const struct snn_key snn_augment_time_mask_keys[] = {
    {"most", SNN_TIME, offsetof(struct stretch, most), NULL, 0, 3600, NULL,
     "the longest stretch; its length is uniform"},
    {"p", SNN_REAL, offsetof(struct stretch, p), "1", 0, 1, NULL, "probability"},
    {0},
};
int snn_augment_time_mask(struct snn_augmenting *a, const void *options) {
    const struct stretch *o = options;
    size_t n = a->sample->event_count;
    if (!n || !snn_draw_chance(&a->draw, o->p)) return SNN_OK;
    struct snn_event *to = a->sample->events, *end = to + n;
    int64_t first = to->t, span = end[-1].t - first;
    int64_t length = (int64_t)(snn_draw_unit(&a->draw) * us_of(o->most));
    int64_t begin = first + (int64_t)(snn_draw_unit(&a->draw) * (double)(span > length ? span - length : 0));
    for (const struct snn_event *from = to; from < end; ++from)
        if (from->t < begin || from->t - begin >= length) *to++ = *from;
    a->sample->event_count = (size_t)(to - a->sample->events);
    return SNN_OK;
}

const struct snn_key snn_augment_time_dilate_keys[] = {
    {"by", SNN_REAL, offsetof(struct part, by), "0.1", 0, 0.9, NULL,
     "the factor is of 1-by..1+by, uniform in its logarithm"},
    {0},
};
int snn_augment_time_dilate(struct snn_augmenting *a, const void *options) {
    double by = ((const struct part *)options)->by;
    double factor = exp(snn_draw_between(&a->draw, log(1 - by), log(1 + by)));
    for (size_t i = 0; i < a->sample->event_count; ++i) {
        double t = (double)a->sample->events[i].t * factor;
        a->sample->events[i].t = llround(fmax(-longest_us, fmin(t, longest_us)));
    }
    return SNN_OK;
}

/* ---- channels: places of sensors of one row ---- */

const struct snn_key snn_augment_channel_mask_keys[] = {
    {"most", SNN_INT, offsetof(struct width, most), NULL, 0, 65535, NULL, "the widest band; its width is uniform"},
    {"p", SNN_REAL, offsetof(struct width, p), "1", 0, 1, NULL, "probability"},
    {0},
};
int snn_augment_channel_mask(struct snn_augmenting *a, const void *options) {
    const struct width *o = options;
    if (!snn_draw_chance(&a->draw, o->p)) return SNN_OK;
    int32_t width = snn_draw_int(&a->draw, 0, o->most < a->W ? (int32_t)o->most : a->W);
    int32_t begin = snn_draw_int(&a->draw, 0, a->W - width);
    struct snn_event *to = a->sample->events, *end = to + a->sample->event_count;
    for (const struct snn_event *from = to; from < end; ++from)
        if (from->x < begin || from->x >= begin + width) *to++ = *from;
    a->sample->event_count = (size_t)(to - a->sample->events);
    return SNN_OK;
}

const struct snn_key snn_augment_channel_shift_keys[] = {
    {"most", SNN_INT, offsetof(struct width, most), "20", 0, 65535, NULL, "the farthest, up and down"},
    {0},
};
int snn_augment_channel_shift(struct snn_augmenting *a, const void *options) {
    int32_t most = (int32_t)((const struct width *)options)->most;
    move(a, &(struct affine){1, 0, snn_draw_int(&a->draw, -most, most), 0, 1, 0});
    return SNN_OK;
}

const struct snn_key snn_augment_channel_jitter_keys[] = {
    {"sigma", SNN_REAL, offsetof(struct spread, sigma), "5", 0, 65535, NULL,
     "standard deviation of the normal distribution, which is rounded"},
    {0},
};
int snn_augment_channel_jitter(struct snn_augmenting *a, const void *options) {
    double sigma = ((const struct spread *)options)->sigma;
    struct snn_event *to = a->sample->events, *end = to + a->sample->event_count;
    for (const struct snn_event *from = to; from < end; ++from) {
        long x = from->x + lround(sigma * snn_draw_normal(&a->draw));
        if (x < 0 || x >= a->W) continue;
        *to++ = (struct snn_event){from->t, (uint16_t)x, from->y, from->p};
    }
    a->sample->event_count = (size_t)(to - a->sample->events);
    return SNN_OK;
}
