/* SPDX-License-Identifier: Apache-2.0
 * test_augment_events.c - transforms of recordings, and those that mix two samples, against plain restatements. */
#include <math.h>

#include "augment_rig.h"

enum { H = 12, W = 16, EVENTS = 300 };

static int64_t time_of(int k) { return 5000 + 100 * k + k % 7; }

/* EVENTS events all over the sensor; the polarity of those of odd samples is 1. */
static void scattered(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    sample->event_count = EVENTS;
    for (int k = 0; k < EVENTS; ++k)
        sample->events[k] = (struct snn_event){time_of(k), (uint16_t)((k * 5 + i) % info->W),
                                               (uint16_t)((k * 7 + i / 3) % info->H), (uint8_t)(i & 1)};
}

/* The same a second time, to compare with what a transform made of it. */
static struct snn_event *before(struct rig *rig, int32_t i) {
    static struct snn_event events[1000];
    struct snn_sample sample = {.events = events};
    rig->make(i, &rig->set.info, &sample);
    return events;
}

/* Field by field: there are bytes between them. */
static bool same_event(const struct snn_event *a, const struct snn_event *b) {
    return a->t == b->t && a->x == b->x && a->y == b->y && a->p == b->p;
}
static bool same_events(const struct snn_event *a, const struct snn_event *b, size_t n) {
    for (size_t k = 0; k < n; ++k)
        if (!same_event(&a[k], &b[k])) return false;
    return true;
}

static void check_order(const struct rig *rig) {
    const struct snn_sample *s = &rig->sample;
    bool good = true;
    for (size_t k = 0; k < s->event_count; ++k)
        good &= s->events[k].x < rig->set.info.W && s->events[k].y < rig->set.info.H &&
                (!k || s->events[k - 1].t <= s->events[k].t);
    ck_assert(good);
}

/* The events are those at (x[k], y[k]) that lie within the sensor, times and polarity unchanged. */
static void check_places(struct rig *rig, int32_t i, const double *x, const double *y) {
    const struct snn_event *old = before(rig, i);
    size_t n = 0;
    for (int k = 0; k < EVENTS; ++k) {
        long px = lround(x[k]), py = lround(y[k]);
        if (px < 0 || px >= rig->set.info.W || py < 0 || py >= rig->set.info.H) continue;
        const struct snn_event *e = &rig->sample.events[n++];
        if (n > rig->sample.event_count || e->x != px || e->y != py || e->t != old[k].t || e->p != old[k].p)
            ck_abort_msg("sample %d: event %d is not at %ld,%ld", i, k, px, py);
    }
    ck_assert_uint_eq(n, rig->sample.event_count);
}

/* ---- places ---- */

enum { FLIP, ROLL, TRANSLATE, ROTATE, SHEAR, SCALE, PLACES };
static const char *const place_list[PLACES] = {"[flip: 1]",    "[roll: 3]",   "[translate: 4]",
                                               "[rotate: 40]", "[shear: 30]", "[scale: 0.4]"};

START_TEST(places_move) {
    struct rig rig;
    rig_open(&rig, "nmnist", place_list[_i], 2, H, W, scattered);
    size_t lost = 0;
    for (int32_t i = 0; i < 60; ++i) {
        double x[EVENTS], y[EVENTS], u = rig_unit(i, 0, 0), cx = (W - 1) / 2.0, cy = (H - 1) / 2.0;
        const struct snn_event *old = before(&rig, i);
        for (int k = 0; k < EVENTS; ++k) {
            double dx = old[k].x - cx, dy = old[k].y - cy, angle;
            switch (_i) {
            case FLIP:
                x[k] = W - 1 - old[k].x, y[k] = old[k].y;
                break;
            case ROLL:
                x[k] = (old[k].x + rig_step(i, 0, 0, 3) + 10 * W) % W;
                y[k] = (old[k].y + rig_step(i, 0, 1, 3) + 10 * H) % H;
                break;
            case TRANSLATE:
                x[k] = old[k].x + rig_step(i, 0, 0, 4), y[k] = old[k].y + rig_step(i, 0, 1, 4);
                break;
            case ROTATE:
                angle = (2 * u - 1) * 40 * M_PI / 180;
                x[k] = cx + dx * cos(angle) - dy * sin(angle), y[k] = cy + dx * sin(angle) + dy * cos(angle);
                break;
            case SHEAR:
                x[k] = old[k].x + dy * tan((2 * u - 1) * 30 * M_PI / 180), y[k] = old[k].y;
                break;
            default:
                x[k] = cx + dx * (0.6 + 0.8 * u), y[k] = cy + dy * (0.6 + 0.8 * u);
            }
        }
        rig_make(&rig, i, 0);
        check_places(&rig, i, x, y);
        lost += EVENTS - rig.sample.event_count;
    }
    ck_assert_int_eq(lost > 0, _i >= TRANSLATE);
    rig_close(&rig);
}
END_TEST

START_TEST(places_that_stay) {
    static const char *const list[] = {"[flip: 0]",
                                       "[roll: 0]",
                                       "[translate: 0]",
                                       "[rotate: 0]",
                                       "[shear: 0]",
                                       "[scale: 0]",
                                       "[drop: 0]",
                                       "[cutout: {size: 9, p: 0}]",
                                       "[nda: {pixels: 0, degrees: 0}]",
                                       "[time_jitter: 0 s]",
                                       "[time_mask: 0 s]",
                                       "[time_dilate: 0]",
                                       "[time_mask: {most: 9 ms, p: 0}]",
                                       "[mixup: {p: 0}]",
                                       "[cutmix: {p: 0}]",
                                       "[eventmix: {p: 0}]"};
    for (size_t k = 0; k < sizeof list / sizeof *list; ++k) {
        struct rig rig;
        rig_open(&rig, "nmnist", list[k], 2, H, W, scattered);
        for (int32_t i = 0; i < 20; ++i) {
            rig_make(&rig, i, 0);
            ck_assert_msg(rig.sample.event_count == EVENTS && same_events(rig.sample.events, before(&rig, i), EVENTS),
                          "%s changes sample %d", list[k], i);
        }
        rig_close(&rig);
    }
}
END_TEST

START_TEST(cutout_takes_a_square) {
    struct rig rig;
    rig_open(&rig, "nmnist", "[cutout: 5]", 2, H, W, scattered);
    for (int32_t i = 0; i < 60; ++i) {
        double x[EVENTS], y[EVENTS];
        int32_t x0 = (int32_t)((uint64_t)rig_word(i, 0, 0, 1) * W >> 32) - 2;
        int32_t y0 = (int32_t)((uint64_t)rig_word(i, 0, 0, 2) * H >> 32) - 2;
        const struct snn_event *old = before(&rig, i);
        for (int k = 0; k < EVENTS; ++k) {
            bool inside = old[k].x >= x0 && old[k].x < x0 + 5 && old[k].y >= y0 && old[k].y < y0 + 5;
            x[k] = inside ? -9 : old[k].x, y[k] = old[k].y;
        }
        rig_make(&rig, i, 0);
        check_places(&rig, i, x, y);
    }
    rig_close(&rig);
}
END_TEST

/* Each kind of result tells which transform was drawn. */
START_TEST(nda_draws_one_of_its_transforms) {
    struct rig rig;
    int rolls = 0, rotations = 0, shears = 0, holes = 0;
    rig_open(&rig, "nmnist", "[nda: {cutout: 6, degrees: 20}]", 2, H, W, scattered);
    for (int32_t i = 0; i < 800; ++i) {
        rig_make(&rig, i, 0);
        const struct snn_event *old = before(&rig, i);
        size_t j = 0, same = 0;
        bool rows_stay = true;
        for (int k = 0; k < EVENTS; ++k) {
            if (j == rig.sample.event_count || rig.sample.events[j].t != old[k].t) continue;
            same += rig.sample.events[j].x == old[k].x && rig.sample.events[j].y == old[k].y;
            rows_stay &= rig.sample.events[j++].y == old[k].y;
        }
        uint32_t drawn = (uint32_t)((uint64_t)rig_word(i, 0, 0, 0) * 4 >> 32);
        if (drawn == 0) ck_assert(rig.sample.event_count == EVENTS), ++rolls;
        if (drawn == 1) ++rotations;
        if (drawn == 2) ck_assert(rows_stay), ++shears;
        if (drawn == 3) ck_assert(same == rig.sample.event_count && same < EVENTS), ++holes;
    }
    ck_assert(rolls > 150 && rotations > 150 && shears > 150 && holes > 150); /* of 200, deviation 12 */
    rig_close(&rig);
}
END_TEST

/* ---- losses ---- */

START_TEST(drop_loses_a_share) {
    struct rig rig;
    size_t left = 0;
    rig_open(&rig, "nmnist", "[drop: 0.3]", 2, H, W, scattered);
    for (int32_t i = 0; i < 100; ++i) {
        rig_make(&rig, i, 0);
        left += rig.sample.event_count;
        double x[EVENTS], y[EVENTS];
        const struct snn_event *old = before(&rig, i);
        for (int k = 0; k < EVENTS; ++k) x[k] = rig_unit(i, 0, (uint32_t)k) < 0.3 ? -9 : old[k].x, y[k] = old[k].y;
        check_places(&rig, i, x, y);
    }
    ck_assert_double_eq_tol((double)left / (100 * EVENTS), 0.7, 0.01);
    rig_close(&rig);
    rig_open(&rig, "nmnist", "[drop: 1, time_jitter: 1 ms, time_mask: 1 ms, cutmix: {p: 0}]", 2, H, W, scattered);
    rig_make(&rig, 1, 0);
    ck_assert_uint_eq(rig.sample.event_count, 0); /* and what follows takes no events */
    rig_close(&rig);
}
END_TEST

/* ---- times ---- */

START_TEST(jitter_keeps_order_and_extent) {
    struct rig rig;
    double sum = 0, squares = 0;
    int n = 0, displaced = 0;
    rig_open(&rig, "nmnist", "[time_jitter: 500 us]", 2, H, W, scattered);
    for (int32_t i = 0; i < 40; ++i) {
        rig_make(&rig, i, 0);
        check_order(&rig);
        ck_assert_uint_eq(rig.sample.event_count, EVENTS);
        ck_assert(rig.sample.events[0].t >= time_of(0) && rig.sample.events[EVENTS - 1].t <= time_of(EVENTS - 1));
        /* What was event k has the time that its two words say. */
        const struct snn_event *old = before(&rig, i);
        for (uint32_t k = 0; k < EVENTS; ++k) {
            int64_t t =
                old[k].t + llround(500 * snn_rng_normal(rig_word(i, 0, 0, 2 * k), rig_word(i, 0, 0, 2 * k + 1)));
            if (t < time_of(0)) t = time_of(0);
            if (t > time_of(EVENTS - 1)) t = time_of(EVENTS - 1);
            size_t at = 0, matches = 0;
            for (; at < EVENTS; ++at)
                matches += rig.sample.events[at].t == t && rig.sample.events[at].x == old[k].x &&
                           rig.sample.events[at].y == old[k].y;
            if (!matches) ck_abort_msg("sample %d: event %u is not at %lld us", i, k, (long long)t);
            displaced += t != old[k].t;
            if (k < 50 || k >= EVENTS - 50) continue; /* far from the ends */
            sum += (double)(t - old[k].t), squares += (double)((t - old[k].t) * (t - old[k].t)), ++n;
        }
    }
    ck_assert_double_eq_tol(sum / n, 0, 25);
    ck_assert_double_eq_tol(sqrt(squares / n), 500, 25);
    ck_assert_int_gt(displaced, 40 * EVENTS * 9 / 10);
    rig_close(&rig);
}
END_TEST

/* From 1000 us to hours, as the sample's number says. */
static void stretched(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    scattered(0, info, sample);
    for (int k = 0; k < EVENTS; ++k) {
        sample->events[k].t = ((int64_t)k << i) * 4;
        sample->events[k].p = (uint8_t)(k % 2);
    }
}

START_TEST(jitter_sorts_any_extent) {
    struct rig rig;
    rig_open(&rig, "nmnist", "[time_jitter: 100 ms]", 2, H, W, stretched);
    for (int32_t i = 0; i < 24; ++i) {
        int there[2 * H * W] = {0};
        const struct snn_event *old = before(&rig, i);
        rig_make(&rig, i, 0);
        check_order(&rig);
        ck_assert_uint_eq(rig.sample.event_count, EVENTS);
        for (int k = 0; k < EVENTS; ++k) {
            const struct snn_event *e = &rig.sample.events[k];
            ++there[(e->p * H + e->y) * W + e->x];
            --there[(old[k].p * H + old[k].y) * W + old[k].x];
        }
        for (int k = 0; k < 2 * H * W; ++k) ck_assert_int_eq(there[k], 0);
    }
    rig_close(&rig);
}
END_TEST

/* Equal times stay in their order. */
static void at_once(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    (void)i, (void)info;
    sample->event_count = 200;
    for (int k = 0; k < 200; ++k)
        sample->events[k] = (struct snn_event){7, (uint16_t)(k % W), (uint16_t)(k / W % H), 0};
}

START_TEST(jitter_of_one_time_changes_nothing) {
    struct rig rig;
    rig_open(&rig, "nmnist", "[time_jitter: 3 ms]", 2, H, W, at_once);
    rig_make(&rig, 0, 0);
    ck_assert_uint_eq(rig.sample.event_count, 200);
    ck_assert(same_events(rig.sample.events, before(&rig, 0), 200));
    rig_close(&rig);
}
END_TEST

START_TEST(time_mask_takes_a_stretch) {
    struct rig rig;
    int64_t longest = 0, total = 0;
    rig_open(&rig, "nmnist", "[time_mask: 10 ms]", 2, H, W, scattered);
    for (int32_t i = 0; i < 200; ++i) {
        rig_make(&rig, i, 0);
        const struct snn_event *old = before(&rig, i), *new = rig.sample.events;
        size_t n = rig.sample.event_count, head = 0, tail = 0;
        while (head < n && same_event(&new[head], &old[head])) ++head;
        while (tail < n - head && same_event(&new[n - 1 - tail], &old[EVENTS - 1 - tail])) ++tail;
        ck_assert_uint_eq(head + tail, n); /* one piece is missing */
        if (n == EVENTS) continue;
        int64_t missing = old[EVENTS - 1 - tail].t - old[head].t;
        ck_assert(missing < 10000);
        total += missing;
        if (missing > longest) longest = missing;
    }
    ck_assert_int_gt(longest, 9000);
    ck_assert_double_eq_tol((double)total / 200, 5000, 700); /* uniform, less the gaps at both ends */
    rig_close(&rig);
}
END_TEST

START_TEST(dilation_multiplies_times) {
    struct rig rig;
    double sum = 0, low = 2, high = 0;
    rig_open(&rig, "shd", "[time_dilate: 0.2]", 1, 1, 700, scattered);
    for (int32_t i = 0; i < 400; ++i) {
        rig_make(&rig, i, 0);
        double factor = exp(log(0.8) + (log(1.2) - log(0.8)) * rig_unit(i, 0, 0));
        const struct snn_event *old = before(&rig, i);
        ck_assert_uint_eq(rig.sample.event_count, EVENTS);
        double off = 0;
        for (int k = 0; k < EVENTS; ++k)
            off = fmax(off, fabs((double)rig.sample.events[k].t - (double)old[k].t * factor));
        ck_assert_double_le(off, 0.5001);
        check_order(&rig);
        sum += log(factor), low = fmin(low, factor), high = fmax(high, factor);
    }
    ck_assert_double_eq_tol(sum / 400, 0.5 * (log(0.8) + log(1.2)), 0.02);
    ck_assert(low >= 0.8 && low < 0.81 && high <= 1.2 && high > 1.19);
    rig_close(&rig);
}
END_TEST

/* ---- channels ---- */

START_TEST(channels_shift_together) {
    struct rig rig;
    rig_open(&rig, "shd", "[channel_shift: 4]", 1, 1, W, scattered);
    for (int32_t i = 0; i < 60; ++i) {
        double x[EVENTS], y[EVENTS] = {0};
        const struct snn_event *old = before(&rig, i);
        for (int k = 0; k < EVENTS; ++k) x[k] = old[k].x + rig_step(i, 0, 0, 4);
        rig_make(&rig, i, 0);
        check_places(&rig, i, x, y);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(channels_jitter_on_their_own) {
    struct rig rig;
    size_t lost = 0;
    rig_open(&rig, "shd", "[channel_jitter: 1.5]", 1, 1, W, scattered);
    for (int32_t i = 0; i < 40; ++i) {
        double x[EVENTS], y[EVENTS] = {0};
        const struct snn_event *old = before(&rig, i);
        for (uint32_t k = 0; k < EVENTS; ++k)
            x[k] = old[k].x + round(1.5 * snn_rng_normal(rig_word(i, 0, 0, 2 * k), rig_word(i, 0, 0, 2 * k + 1)));
        rig_make(&rig, i, 0);
        check_places(&rig, i, x, y);
        lost += EVENTS - rig.sample.event_count;
    }
    ck_assert_uint_gt(lost, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(channel_mask_takes_a_band) {
    struct rig rig;
    int widest = 0, masks = 0;
    rig_open(&rig, "shd", "[channel_mask: {most: 6, p: 0.65}]", 1, 1, W, scattered);
    for (int32_t i = 0; i < 400; ++i) {
        bool there[W] = {false};
        rig_make(&rig, i, 0);
        for (size_t k = 0; k < rig.sample.event_count; ++k) there[rig.sample.events[k].x] = true;
        int first = 0, width = 0;
        while (first < W && there[first]) ++first;
        while (first + width < W && !there[first + width]) ++width;
        for (int x = first + width; x < W; ++x) ck_assert(there[x]);
        if (width > widest) widest = width;
        bool wanted = rig_unit(i, 0, 0) < 0.65;
        ck_assert(wanted || !width);
        masks += wanted;
    }
    ck_assert_int_eq(widest, 6);
    ck_assert_double_eq_tol(masks / 400.0, 0.65, 0.07);
    rig_close(&rig);
}
END_TEST

/* ---- mixing ---- */

START_TEST(shares_follow_the_beta_distribution) {
    static const double alpha[] = {0.2, 1, 5};
    double sum = 0, squares = 0;
    enum { N = 20000 };
    for (int i = 0; i < N; ++i) {
        struct snn_draw draw = snn_draw_start(3, 0, (uint32_t)i, 0);
        double x = snn_draw_beta(&draw, alpha[_i]) - 0.5;
        ck_assert(fabs(x) <= 0.5);
        sum += x, squares += x * x;
    }
    ck_assert_double_eq_tol(sum / N, 0, 0.01);
    ck_assert_double_eq_tol(squares / N, 1 / (4 * (2 * alpha[_i] + 1)), 0.003);
}
END_TEST

/* The target row of the sample made last: two classes at most, and the label is the larger one's. */
static double share_of_partner(struct rig *rig, int32_t i, int32_t *partner_label) {
    float target[4], sum = 0;
    int others = 0;
    double share = 0;
    snn_augment_target(&rig->augmenting, 4, target);
    *partner_label = i % 4;
    for (int c = 0; c < 4; ++c) {
        sum += target[c];
        ck_assert(target[c] >= 0);
        ck_assert(target[rig->sample.label] >= target[c] - 1e-6f);
        if (c == i % 4 || target[c] == 0) continue;
        ++others, share = target[c], *partner_label = c;
    }
    ck_assert_float_eq_tol(sum, 1, 1e-6f);
    ck_assert_int_le(others, 1);
    return share;
}

/* Every pixel says which sample it is of; the middle one is 1 more. */
static void grey(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    memset(sample->pixels, 16 * i, (size_t)(info->C * info->H * info->W));
    sample->pixels[0] = 255;
}

START_TEST(images_mix) {
    struct rig rig;
    double sum = 0;
    int partners = 0, swapped = 0;
    rig_open(&rig, "mnist", "[flip: 1, mixup, cutout: {size: 1, fill: 3}]", 1, 4, 4, grey);
    bool seen[16] = {false};
    for (int32_t i = 0; i < 16 * 40; ++i) {
        int32_t own = i % 16, other;
        ck_ok(rig_get(&rig.set, SNN_TRAIN, own, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, own, (uint32_t)i / 16));
        double share = share_of_partner(&rig, own, &other);
        int32_t partner = rig.augmenting.partner.pixels[0] / 16;
        ck_assert_int_eq(rig.augmenting.partner.pixels[3], 255); /* it was flipped, too, and was not cut */
        seen[partner] = true;
        ck_assert_int_eq(partner % 4, rig.augmenting.label[1]);
        share = rig.augmenting.share;
        int holes = 0;
        for (int k = 0; k < 16; ++k) {
            double expected = k == 3 ? 255 : 16 * own + (16 * partner - 16 * own) * share;
            bool hole = rig.sample.pixels[k] == 3 && fabs(expected - 3) > 0.51;
            holes += hole;
            if (!hole) ck_assert_double_eq_tol(rig.sample.pixels[k], expected, 0.51);
        }
        ck_assert_int_le(holes, 1);
        sum += share;
        swapped += rig.sample.label != own % 4;
    }
    for (int k = 0; k < 16; ++k) partners += seen[k];
    ck_assert_int_eq(partners, 16);
    ck_assert_double_eq_tol(sum / 640, 0.5, 0.05);
    ck_assert_double_eq_tol(swapped / 640.0, 0.5 * 0.75, 0.06); /* a fourth of the partners are of the same class */
    rig_close(&rig);
}
END_TEST

START_TEST(partners_come_from_the_subset) {
    struct rig rig;
    rig_open(&rig, "mnist", "[mixup]", 1, 4, 4, grey);
    rig.list[0] = 5, rig.list[1] = 9;
    rig.recipe.samples = 2;
    for (int32_t i = 0; i < 50; ++i) {
        rig_make(&rig, i % 16, (uint32_t)i);
        int32_t partner = rig.augmenting.partner.pixels[1] / 16;
        ck_assert(partner == 5 || partner == 9);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(unmixed_samples_have_one_class) {
    struct rig rig;
    int mixed = 0;
    rig_open(&rig, "mnist", "[mixup: {p: 0.3}]", 1, 4, 4, grey);
    for (int32_t i = 0; i < 1000; ++i) {
        ck_ok(rig_get(&rig.set, SNN_TRAIN, i % 16, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, i % 16, (uint32_t)i));
        if (rig.augmenting.share > 0) {
            ++mixed;
            continue;
        }
        float target[4];
        snn_augment_target(&rig.augmenting, 4, target);
        for (int c = 0; c < 4; ++c) ck_assert_float_eq(target[c], c == i % 4);
        ck_assert_int_eq(rig.sample.label, i % 4);
    }
    ck_assert_double_eq_tol(mixed / 1000.0, 0.3, 0.05);
    rig_close(&rig);
}
END_TEST

/* The partner's pixels fill a rectangle, whose area is its share. */
START_TEST(images_mix_by_area) {
    struct rig rig;
    double sum = 0;
    rig_open(&rig, "mnist", "[cutmix]", 1, H, W, grey);
    for (int32_t i = 0; i < 16 * 30; ++i) {
        int32_t own = i % 16;
        ck_ok(rig_get(&rig.set, SNN_TRAIN, own, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, own, (uint32_t)i));
        int32_t partner = rig.augmenting.partner.pixels[1] / 16, count = 0, x0 = W, x1 = 0, y0 = H, y1 = 0;
        sum += rig.augmenting.share;
        if (partner == own) continue;
        for (int k = 1; k < H * W; ++k) {
            ck_assert(rig.sample.pixels[k] == 16 * own || rig.sample.pixels[k] == 16 * partner);
            if (rig.sample.pixels[k] != 16 * partner) continue;
            ++count;
            x0 = k % W < x0 ? k % W : x0, x1 = k % W + 1 > x1 ? k % W + 1 : x1;
            y0 = k / W < y0 ? k / W : y0, y1 = k / W + 1 > y1 ? k / W + 1 : y1;
        }
        int32_t area = count ? (x1 - x0) * (y1 - y0) : 0;
        ck_assert_int_le(area - count, 1); /* pixel 0 is the same in both */
        ck_assert_double_eq_tol(rig.augmenting.share * H * W, area, 1.001);
    }
    ck_assert(sum / 480 > 0.25 && sum / 480 < 0.5); /* borders cut rectangles off */
    rig_close(&rig);
}
END_TEST

/* ---- mixing recordings: the polarity says whose an event is, when the partner's index is of the other parity ---- */

enum { MIXUP, CUTMIX_TIME, CUTMIX_AREA, EVENTMIX, MIXES };
static const char *const mix_list[MIXES] = {"[mixup]", "[cutmix]", "[cutmix: area]", "[eventmix]"};

/* Odd samples begin 2 s later: mixed, they begin where the other does. */
static void polar(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    scattered(0, info, sample);
    for (int k = 0; k < EVENTS; ++k) {
        sample->events[k].p = (uint8_t)(i & 1);
        sample->events[k].t += (i & 1) * 2000000;
    }
}

/* Event e lies outside the stretch, or the rectangle, that the events of the other polarity take up. */
static bool is_outside(const struct rig *rig, const struct snn_event *e, int kind) {
    const struct snn_event *events = rig->sample.events;
    int64_t first = INT64_MAX, last = 0;
    int x0 = W, x1 = -1, y0 = H, y1 = -1;
    for (size_t k = 0; k < rig->sample.event_count; ++k) {
        if (events[k].p == e->p) continue;
        first = events[k].t < first ? events[k].t : first, last = events[k].t > last ? events[k].t : last;
        x0 = events[k].x < x0 ? events[k].x : x0, x1 = events[k].x > x1 ? events[k].x : x1;
        y0 = events[k].y < y0 ? events[k].y : y0, y1 = events[k].y > y1 ? events[k].y : y1;
    }
    if (kind == CUTMIX_TIME) return e->t < first || e->t > last;
    return e->x < x0 || e->x > x1 || e->y < y0 || e->y > y1;
}

START_TEST(recordings_mix) {
    struct rig rig;
    double sum = 0, error = 0;
    int mixed = 0, partly = 0;
    rig_open(&rig, "nmnist", mix_list[_i], 2, H, W, polar);
    for (int32_t i = 0; i < 600; ++i) {
        int32_t own = i % 2, other;
        ck_ok(rig_get(&rig.set, SNN_TRAIN, own, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, own, (uint32_t)i));
        check_order(&rig);
        share_of_partner(&rig, own, &other);
        if (rig.augmenting.label[1] % 2 == own) continue;
        size_t taken = 0, n = rig.sample.event_count;
        int64_t origin = time_of(0) + own * 2000000;
        bool within = true;
        for (size_t k = 0; k < n; ++k) {
            taken += rig.sample.events[k].p != own;
            within &=
                rig.sample.events[k].t >= origin && rig.sample.events[k].t <= origin + time_of(EVENTS - 1) - time_of(0);
        }
        ck_assert(within);
        ++mixed;
        double share = rig.augmenting.share;
        sum += share;
        if (_i == EVENTMIX && n) ck_assert_double_eq_tol(share, (double)taken / (double)n, 1e-12);
        if (_i != EVENTMIX) error += fabs((double)taken / EVENTS - share);
        if (taken && taken < n) ++partly;
        if (_i == MIXUP || _i == EVENTMIX) continue;
        /* Both had the same events: each is there once, from one of the two. */
        ck_assert_uint_eq(n, EVENTS);
        for (size_t k = 0; k < n && taken; ++k)
            within &= rig.sample.events[k].p != own || is_outside(&rig, &rig.sample.events[k], _i);
        ck_assert(within);
    }
    ck_assert_int_gt(mixed, 200);
    ck_assert_int_gt(partly, mixed * 8 / 10);
    /* Rectangles lose at the borders: the mean of (s - s^2/4)^2 for uniform s^2 is 0.32, and sides are cut to pixels.
     */
    ck_assert_double_eq_tol(sum / mixed, _i == CUTMIX_AREA ? 0.30 : 0.5, _i == CUTMIX_AREA ? 0.03 : 0.07);
    ck_assert_double_eq_tol(error / mixed, 0, 0.03);
    rig_close(&rig);
}
END_TEST

/* A rectangle of a sensor of one row is a band of channels. */
START_TEST(channels_mix_by_area) {
    struct rig rig;
    int bands = 0;
    rig_open(&rig, "shd", "[cutmix: {over: area}]", 2, 1, W, polar);
    for (int32_t i = 0; i < 200; ++i) {
        ck_ok(rig_get(&rig.set, SNN_TRAIN, 0, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, 0, (uint32_t)i));
        bool taken[W] = {false};
        int width = 0;
        for (size_t k = 0; k < rig.sample.event_count; ++k) taken[rig.sample.events[k].x] |= rig.sample.events[k].p;
        for (int x = 0; x < W; ++x) width += taken[x];
        if (rig.augmenting.label[1] % 2 == 0) continue;
        ck_assert_double_eq_tol(rig.augmenting.share, (double)width / W, 1e-12);
        bands += width > 0 && width < W;
    }
    ck_assert_int_gt(bands, 50);
    rig_close(&rig);
}
END_TEST

/* Samples 0, 2, 4, ... have no events. */
static void half_empty(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    polar(i, info, sample);
    if (i % 2 == 0) sample->event_count = 0;
}

START_TEST(empty_recordings_mix) {
    struct rig rig;
    rig_open(&rig, "nmnist", mix_list[_i], 2, H, W, half_empty);
    for (int32_t i = 0; i < 200; ++i) {
        int32_t own = i % 2, other;
        ck_ok(rig_get(&rig.set, SNN_TRAIN, own, &rig.sample));
        ck_ok(snn_augment_sample(&rig.augmenting, &rig.sample, own, (uint32_t)i));
        check_order(&rig);
        double share = share_of_partner(&rig, own, &other);
        ck_assert(share >= 0 && share <= 1);
        ck_assert(rig.sample.event_count <= 2 * EVENTS);
    }
    rig_close(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("augment_events");
    TCase *places = tcase_create("places");
    tcase_add_loop_test(places, places_move, 0, PLACES);
    tcase_add_test(places, places_that_stay);
    tcase_add_test(places, cutout_takes_a_square);
    tcase_add_test(places, nda_draws_one_of_its_transforms);
    tcase_add_test(places, drop_loses_a_share);
    suite_add_tcase(suite, places);
    TCase *times = tcase_create("times");
    tcase_add_test(times, jitter_keeps_order_and_extent);
    tcase_add_test(times, jitter_sorts_any_extent);
    tcase_add_test(times, jitter_of_one_time_changes_nothing);
    tcase_add_test(times, time_mask_takes_a_stretch);
    tcase_add_test(times, dilation_multiplies_times);
    suite_add_tcase(suite, times);
    TCase *channels = tcase_create("channels");
    tcase_add_test(channels, channels_shift_together);
    tcase_add_test(channels, channels_jitter_on_their_own);
    tcase_add_test(channels, channel_mask_takes_a_band);
    suite_add_tcase(suite, channels);
    TCase *mixes = tcase_create("mixes");
    tcase_add_loop_test(mixes, shares_follow_the_beta_distribution, 0, 3);
    tcase_add_test(mixes, images_mix);
    tcase_add_test(mixes, partners_come_from_the_subset);
    tcase_add_test(mixes, unmixed_samples_have_one_class);
    tcase_add_test(mixes, images_mix_by_area);
    tcase_add_loop_test(mixes, recordings_mix, 0, MIXES);
    tcase_add_test(mixes, channels_mix_by_area);
    tcase_add_loop_test(mixes, empty_recordings_mix, 0, MIXES);
    suite_add_tcase(suite, mixes);
    TCase *all[] = {places, times, channels, mixes};
    for (int i = 0; i < 4; ++i) tcase_set_timeout(all[i], 60);
    return run_suite(suite);
}
