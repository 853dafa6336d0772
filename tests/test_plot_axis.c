/* SPDX-License-Identifier: Apache-2.0
 * test_plot_axis.c - axes as arithmetic: ranges, round ticks, and values that have no place. */
#include <math.h>

#include "snn_check.h"
#include "train/plot_axis.h"

static struct snn_axis axis_of(enum snn_axis_kind kind, double min, double max, int target) {
    struct snn_axis axis = snn_axis_empty(kind);
    snn_axis_cover(&axis, min);
    snn_axis_cover(&axis, max);
    snn_axis_fit(&axis, target);
    return axis;
}

static void expect_ticks(const struct snn_axis *axis, const char *expected) {
    char texts[640] = "";
    for (int i = 0; i < axis->ticks; ++i) {
        if (i) strcat(texts, " ");
        strcat(texts, axis->tick[i].text);
    }
    ck_assert_str_eq(texts, expected);
}

START_TEST(ticks_are_round_numbers) {
    static const struct {
        enum snn_axis_kind kind;
        double min, max;
        int target;
        const char *ticks, *multiplier;
    } c[] = {
        {SNN_AXIS_Y, 0.12, 2.3, 6, "0.0 0.5 1.0 1.5 2.0", ""},
        {SNN_AXIS_Y, -1, 1, 6, "−1.0 −0.5 0.0 0.5 1.0", ""},
        {SNN_AXIS_Y, 7, 8, 6, "7.0 7.2 7.4 7.6 7.8 8.0", ""},
        {SNN_AXIS_Y, 20000, 90000, 6, "0 20000 40000 60000 80000", ""},
        {SNN_AXIS_Y, 0, 4.1e5, 6, "0 100 200 300 400", "×10³"},
        {SNN_AXIS_Y, 0, 1e9, 6, "0.0 0.2 0.4 0.6 0.8 1.0", "×10⁹"},
        {SNN_AXIS_Y, -1e-6, 1e-6, 6, "−1.0 −0.5 0.0 0.5 1.0", "×10⁻⁶"},
        {SNN_AXIS_Y_PERCENT, 0.1, 0.98, 6, "0% 20% 40% 60% 80% 100%", ""},
        {SNN_AXIS_Y_PERCENT, 0.981, 0.984, 6, "98.1% 98.2% 98.3% 98.4%", ""},
        {SNN_AXIS_X, 0, 1, 6, "0.0 0.2 0.4 0.6 0.8 1.0", ""},
        {SNN_AXIS_X_INTEGER, 1, 20, 12, "2 4 6 8 10 12 14 16 18 20", ""},
        {SNN_AXIS_X_INTEGER, 1, 3, 12, "1 2 3", ""},
        {SNN_AXIS_X_INTEGER, 1, 1, 12, "1", ""},
        {SNN_AXIS_X_LOG2, 1, 10, 12, "1 2 4 8", ""},
        {SNN_AXIS_X_LOG2, 5, 7, 12, "4 8", ""},
        {SNN_AXIS_X_LOG2, 4, 4, 12, "2 4 8", ""},
        {SNN_AXIS_X_LOG2, 0.125, 0.5, 12, "0.125 0.25 0.5", ""},
        {SNN_AXIS_X_LOG2, 1, 1099511627776., 4, "1 2048 2²² 2³³", ""},
    };
    struct snn_axis axis = axis_of(c[_i].kind, c[_i].min, c[_i].max, c[_i].target);
    expect_ticks(&axis, c[_i].ticks);
    ck_assert_str_eq(axis.multiplier, c[_i].multiplier);
}
END_TEST
enum { TICK_CASES = 18 };

/* What must hold for any range: the data lies on the axis, ticks are on it, apart, told apart and not too many. */
static void expect_sound(enum snn_axis_kind kind, double min, double max, int target) {
    struct snn_axis axis = axis_of(kind, min, max, target);
    const char *what = "axis kind %d of [%g, %g], %d steps: %d ticks on [%g, %g]";
#define sound(cond) ck_assert_msg(cond, what, kind, min, max, target, axis.ticks, axis.low, axis.high)
    sound(axis.low < axis.high);
    sound(snn_axis_place(&axis, min) >= 0 && snn_axis_place(&axis, max) <= 1);
    sound(axis.ticks >= 1 && axis.ticks <= target + 1);
    for (int i = 0; i < axis.ticks; ++i) sound(axis.tick[i].place >= 0 && axis.tick[i].place <= 1);
    for (int i = 1; i < axis.ticks; ++i) {
        sound(axis.tick[i].place > axis.tick[i - 1].place + 0.02);
        sound(strcmp(axis.tick[i].text, axis.tick[i - 1].text) != 0);
    }
#undef sound
}

START_TEST(any_range_has_sound_ticks) {
    for (int decade = -99; decade <= 96; decade += 3)
        for (double width = 1e-9; width < 20; width *= 7)
            for (int target = 2; target <= 12; target += 5) {
                double v = 3.7 * pow(10, decade);
                expect_sound(SNN_AXIS_Y, v, v + width * v, target);
                expect_sound(SNN_AXIS_Y, -v - width * v, -v, target);
                expect_sound(SNN_AXIS_Y, -v * width, v, target);
                expect_sound(SNN_AXIS_X, v, v + width * v, target);
                expect_sound(SNN_AXIS_X_LOG2, v, v + width * v, target);
                if (decade < 1) expect_sound(SNN_AXIS_Y_PERCENT, v, v + width * v, target);
                if (decade > 0) expect_sound(SNN_AXIS_X_INTEGER, floor(v), floor(v + width * v), target);
            }
}
END_TEST

START_TEST(constants_get_a_range) {
    static const double constant[] = {0, 1, -1, 0.5, 1e9, -1e9, 1e-6, 1e-300, 1e100};
    for (size_t i = 0; i < sizeof constant / sizeof constant[0]; ++i)
        for (enum snn_axis_kind kind = SNN_AXIS_X; kind <= SNN_AXIS_Y; ++kind)
            if (kind != SNN_AXIS_X_LOG2 || constant[i] >= 1e-100) expect_sound(kind, constant[i], constant[i], 6);
    struct snn_axis perfect = axis_of(SNN_AXIS_Y_PERCENT, 1, 1, 6), hopeless = axis_of(SNN_AXIS_Y_PERCENT, 0, 0, 6);
    ck_assert_double_eq(perfect.high, 1);
    ck_assert_double_eq(hopeless.low, 0);
    ck_assert_double_eq(snn_axis_place(&perfect, 1), 1);
}
END_TEST

START_TEST(values_without_a_place_are_ignored) {
    struct snn_axis axis = snn_axis_empty(SNN_AXIS_Y), octaves = snn_axis_empty(SNN_AXIS_X_LOG2);
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e101, -1e300};
    for (int i = 0; i < 5; ++i) {
        snn_axis_cover(&axis, bad[i]);
        ck_assert(isnan(snn_axis_place(&axis, bad[i])));
    }
    snn_axis_cover(&octaves, 0);
    snn_axis_cover(&octaves, -4);
    ck_assert(isnan(snn_axis_place(&octaves, 0)) && isnan(snn_axis_place(&octaves, -4)));
    ck_assert(!snn_axis_has_data(&axis) && !snn_axis_has_data(&octaves));
    snn_axis_fit(&axis, 6);
    ck_assert_int_eq(axis.ticks, 0);
    snn_axis_cover(&axis, 2);
    ck_assert(snn_axis_has_data(&axis));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plot_axis");
    TCase *axes = tcase_create("axes");
    tcase_add_loop_test(axes, ticks_are_round_numbers, 0, TICK_CASES);
    tcase_add_test(axes, any_range_has_sound_ticks);
    tcase_add_test(axes, constants_get_a_range);
    tcase_add_test(axes, values_without_a_place_are_ignored);
    suite_add_tcase(suite, axes);
    return run_suite(suite);
}
