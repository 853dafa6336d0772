/* SPDX-License-Identifier: Apache-2.0
 * augment_mix.c - transforms that mix a sample with a partner: a->share says how much of the partner is in the result.
 *
 * The share is drawn from Beta(alpha, alpha): uniform for alpha = 1, near 0 and 1 for small ones. Recordings are laid
 * over each other from their first events on. Zhang et al., "mixup" (ICLR 2018); Yun et al., "CutMix" (ICCV 2019); Shen
 * et al., "EventMix" (2022, arXiv 2205.12054). */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/augment.h"
#include "datasets/parts.h"

struct mix {
    double alpha, p;
    int over;
};
#define ALPHA_AND_P                                                                                                    \
    {"alpha",                                                                                                          \
     SNN_REAL,                                                                                                         \
     offsetof(struct mix, alpha),                                                                                      \
     "1",                                                                                                              \
     0.001,                                                                                                            \
     1000,                                                                                                             \
     NULL,                                                                                                             \
     "the partner's share is drawn from Beta(alpha, alpha)"},                                                          \
    {                                                                                                                  \
        "p", SNN_REAL, offsetof(struct mix, p), "1", 0, 1, NULL, "probability"                                         \
    }
static const char *const over_word[] = {"time", "area", NULL};
enum { OVER_TIME, OVER_AREA };

const struct snn_key snn_augment_image_mixup_keys[] = {ALPHA_AND_P, {0}};
const struct snn_key snn_augment_image_cutmix_keys[] = {ALPHA_AND_P, {0}};
const struct snn_key snn_augment_event_mixup_keys[] = {ALPHA_AND_P, {0}};
const struct snn_key snn_augment_eventmix_keys[] = {ALPHA_AND_P, {0}};
const struct snn_key snn_augment_event_cutmix_keys[] = {
    {"over", SNN_CHOICE, offsetof(struct mix, over), "time", 0, 0, over_word,
     "what is cut out: a stretch of time, or a rectangle of the sensor for all time"},
    ALPHA_AND_P,
    {0},
};

/* Whether this sample is mixed; then its partner is there, and *share is drawn. */
static int begin(struct snn_augmenting *a, const struct mix *o, bool *mixed, double *share) {
    *mixed = snn_draw_chance(&a->draw, o->p);
    if (!*mixed) return SNN_OK;
    *share = snn_draw_beta(&a->draw, o->alpha);
    return snn_augment_partner(a);
}

/* A rectangle of about `share` of the area. */
static struct snn_box draw_part(struct snn_augmenting *a, double share) {
    double side = a->H > 1 ? sqrt(share) : share; /* of one row: a band of columns */
    return snn_draw_box(a, (int32_t)(a->W * side), a->H > 1 ? (int32_t)(a->H * side) : 1);
}

static double share_of(const struct snn_augmenting *a, const struct snn_box *box) {
    return (double)(box->x1 - box->x0) * (box->y1 - box->y0) / ((double)a->W * a->H);
}

/* ---- images ---- */

int snn_augment_image_mixup(struct snn_augmenting *a, const void *options) {
    bool mixed;
    double share;
    SNN_TRY(begin(a, options, &mixed, &share));
    if (!mixed) return SNN_OK;
    size_t n = (size_t)a->C * (size_t)a->H * (size_t)a->W;
    uint8_t *to = a->sample->pixels;
    const uint8_t *from = a->partner.pixels;
    int32_t weight = (int32_t)lround(share * 65536);
    for (size_t i = 0; i < n; ++i) to[i] = (uint8_t)((to[i] * (65536 - weight) + from[i] * weight + 32768) >> 16);
    a->share = share;
    return SNN_OK;
}

int snn_augment_image_cutmix(struct snn_augmenting *a, const void *options) {
    bool mixed;
    double share;
    SNN_TRY(begin(a, options, &mixed, &share));
    if (!mixed) return SNN_OK;
    struct snn_box box = draw_part(a, share);
    for (int32_t c = 0; c < a->C; ++c)
        for (int32_t y = box.y0; y < box.y1; ++y) {
            size_t at = ((size_t)c * (size_t)a->H + (size_t)y) * (size_t)a->W + (size_t)box.x0;
            memcpy(a->sample->pixels + at, a->partner.pixels + at, (size_t)(box.x1 - box.x0));
        }
    a->share = share_of(a, &box);
    return SNN_OK;
}

/* ---- recordings ---- */

/* A sample's first time, or 0. */
static int64_t origin(const struct snn_sample *s) { return s->event_count ? s->events[0].t : 0; }

static int64_t span(const struct snn_sample *s) {
    return s->event_count ? s->events[s->event_count - 1].t - s->events[0].t : 0;
}

/* The time that both recordings have together, from their first events on. */
static int64_t common_span(const struct snn_augmenting *a) {
    int64_t own = span(a->sample), other = span(&a->partner);
    return own > other ? own : other;
}

/* Whether event `e` of `s`, one of the two, stays; its time counts from the first event of `s`. */
typedef bool keeps(void *rule, const struct snn_augmenting *a, const struct snn_sample *s, const struct snn_event *e);

/* Take out the events that do not stay. */
static void filter(struct snn_augmenting *a, struct snn_sample *s, keeps *keep, void *rule) {
    int64_t first = origin(s);
    struct snn_event *to = s->events, *end = to + s->event_count;
    for (const struct snn_event *from = to; from < end; ++from) {
        struct snn_event e = *from;
        e.t -= first;
        if (keep(rule, a, s, &e)) *to++ = *from;
    }
    s->event_count = (size_t)(to - s->events);
}

/* Both recordings' events in order of time; the partner's begin where the sample's own did. */
static int merge(struct snn_augmenting *a, int64_t own_first, int64_t other_first) {
    struct snn_sample *s = a->sample;
    size_t n = s->event_count, m = a->partner.event_count, i = 0, j = 0;
    int64_t later = own_first - other_first;
    SNN_TRY(snn_augment_room(a, n + m));
    SNN_TRY(snn_sample_room(s, 0, n + m));
    const struct snn_event *own = s->events, *other = a->partner.events;
    for (size_t k = 0; k < n + m; ++k) {
        bool mine = j == m || (i < n && own[i].t <= other[j].t + later);
        a->events[k] = mine ? own[i++] : other[j++];
        if (!mine) a->events[k].t += later;
    }
    if (n + m) memcpy(s->events, a->events, (n + m) * sizeof *s->events);
    s->event_count = n + m;
    return SNN_OK;
}

/* Keep of both what the rule says, and lay the partner over the sample. */
static int join(struct snn_augmenting *a, keeps *keep, void *rule) {
    int64_t own_first = a->sample->event_count ? origin(a->sample) : origin(&a->partner);
    int64_t other_first = origin(&a->partner);
    filter(a, a->sample, keep, rule);
    filter(a, &a->partner, keep, rule);
    return merge(a, own_first, other_first);
}

struct lot { /* mixup: each event of the partner stays with probability `share`, of the sample with the rest */
    struct snn_draw *draw;
    double share;
};
static bool wins(void *rule, const struct snn_augmenting *a, const struct snn_sample *s, const struct snn_event *e) {
    struct lot *lot = rule;
    (void)e;
    return snn_draw_chance(lot->draw, lot->share) == (s == &a->partner);
}

int snn_augment_event_mixup(struct snn_augmenting *a, const void *options) {
    bool mixed;
    double share;
    SNN_TRY(begin(a, options, &mixed, &share));
    if (!mixed) return SNN_OK;
    a->share = share;
    return join(a, wins, &(struct lot){&a->draw, share});
}

struct window { /* cutmix: the partner's events stay inside, the sample's outside */
    int64_t begin, end;
};
static bool is_in_window(void *rule, const struct snn_augmenting *a, const struct snn_sample *s,
                         const struct snn_event *e) {
    const struct window *window = rule;
    return (e->t >= window->begin && e->t < window->end) == (s == &a->partner);
}
static bool is_in_box(void *rule, const struct snn_augmenting *a, const struct snn_sample *s,
                      const struct snn_event *e) {
    return snn_box_holds(rule, e->x, e->y) == (s == &a->partner);
}

int snn_augment_event_cutmix(struct snn_augmenting *a, const void *options) {
    const struct mix *o = options;
    bool mixed;
    double share;
    SNN_TRY(begin(a, o, &mixed, &share));
    if (!mixed) return SNN_OK;
    if (o->over == OVER_AREA) {
        struct snn_box box = draw_part(a, share);
        a->share = share_of(a, &box);
        return join(a, is_in_box, &box);
    }
    double all = (double)common_span(a) + 1; /* microseconds, the last event's included */
    struct window window = {.begin = (int64_t)(snn_draw_unit(&a->draw) * (1 - share) * all)};
    window.end = window.begin + (int64_t)(share * all);
    a->share = share;
    return join(a, is_in_window, &window);
}

/* EventMix: the region where a sum of Gaussians in (t,x,y) is above a threshold, which is such that the region has
 * about `share` of the volume. */
enum { MOST_GAUSSIANS = 4, GRID = 16 };

struct region {
    int gaussians;
    struct gaussian {
        float weight, centre[3], width[3]; /* t, x, y in units of the whole; width: 1 / sigma */
    } gaussian[MOST_GAUSSIANS];
    float threshold, scale[3]; /* scale: of an event's t, x, y to those units */
};

static float height(const struct region *region, float t, float x, float y) {
    float sum = 0;
    for (int k = 0; k < region->gaussians; ++k) {
        const struct gaussian *g = &region->gaussian[k];
        float dt = (t - g->centre[0]) * g->width[0], dx = (x - g->centre[1]) * g->width[1],
              dy = (y - g->centre[2]) * g->width[2];
        sum += g->weight * expf(-0.5f * (dt * dt + dx * dx + dy * dy));
    }
    return sum;
}

/* Above which `wanted` of n values lie, as nearly as bisection finds it. */
static float threshold_of(const float *value, int n, int wanted) {
    float low = -1, high = MOST_GAUSSIANS;
    for (int round = 0; round < 24; ++round) {
        float middle = 0.5f * (low + high);
        int above = 0;
        for (int i = 0; i < n; ++i) above += value[i] > middle;
        if (above > wanted) low = middle;
        else high = middle;
    }
    return high;
}

static void draw_region(struct snn_augmenting *a, double share, struct region *region) {
    float value[GRID * GRID * GRID]; /* (GRID,GRID,GRID) */
    int n = 0, rows = a->H < GRID ? a->H : GRID;
    region->gaussians = snn_draw_int(&a->draw, 2, MOST_GAUSSIANS);
    for (int k = 0; k < region->gaussians; ++k) {
        region->gaussian[k].weight = (float)snn_draw_unit(&a->draw);
        for (int d = 0; d < 3; ++d) {
            region->gaussian[k].centre[d] = (float)snn_draw_unit(&a->draw);
            region->gaussian[k].width[d] = 2 / fmaxf((float)snn_draw_unit(&a->draw), 0.1f); /* sigma of 0.05..0.5 */
        }
    }
    for (int t = 0; t < GRID; ++t)
        for (int y = 0; y < rows; ++y)
            for (int x = 0; x < GRID; ++x)
                value[n++] =
                    height(region, ((float)t + 0.5f) / GRID, ((float)x + 0.5f) / GRID, ((float)y + 0.5f) / (float)rows);
    int wanted = (int)lround(share * n);
    region->threshold = wanted < n ? threshold_of(value, n, wanted) : -1;
    region->scale[0] = 1 / ((float)common_span(a) + 1);
    region->scale[1] = 1 / (float)a->W, region->scale[2] = 1 / (float)a->H;
}

static bool is_in_region(void *rule, const struct snn_augmenting *a, const struct snn_sample *s,
                         const struct snn_event *e) {
    const struct region *region = rule;
    float z = height(region, ((float)e->t + 0.5f) * region->scale[0], ((float)e->x + 0.5f) * region->scale[1],
                     ((float)e->y + 0.5f) * region->scale[2]);
    return (z > region->threshold) == (s == &a->partner);
}

static double part(size_t kept, size_t all) { return all ? (double)kept / (double)all : 0; }

int snn_augment_eventmix(struct snn_augmenting *a, const void *options) {
    bool mixed;
    double share;
    struct region region;
    SNN_TRY(begin(a, options, &mixed, &share));
    if (!mixed) return SNN_OK;
    draw_region(a, share, &region);
    size_t own = a->sample->event_count, other = a->partner.event_count;
    int64_t own_first = own ? origin(a->sample) : origin(&a->partner), other_first = origin(&a->partner);
    filter(a, a->sample, is_in_region, &region);
    filter(a, &a->partner, is_in_region, &region);
    double kept = part(a->sample->event_count, own), taken = part(a->partner.event_count, other);
    a->share = kept + taken > 0 ? taken / (kept + taken) : 0; /* nothing is left of both: the label stays */
    return merge(a, own_first, other_first);
}
