/* SPDX-License-Identifier: Apache-2.0
 * test_augment.c - transforms of images, AutoAugment's operations by hand, the list in a config, and whole epochs. */
#include <math.h>

#include "augment_rig.h"
#include "made_set.h"

/* Pixels 1, 2, 3, ... and 40 more for each sample. */
static void counted(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    for (int32_t k = 0; k < info->C * info->H * info->W; ++k) sample->pixels[k] = (uint8_t)(k + 1 + 40 * (i % 4));
}

/* A slope with some texture, different in each channel. */
static void sloped(int32_t i, const struct snn_dataset_info *info, struct snn_sample *sample) {
    for (int32_t c = 0, k = 0; c < info->C; ++c)
        for (int32_t y = 0; y < info->H; ++y)
            for (int32_t x = 0; x < info->W; ++x, ++k)
                sample->pixels[k] = (uint8_t)(20 + 9 * x + (7 + c) * y + (x * y * (i + 3) + c) % 11);
}

/* ---- crop, flip, cutout ---- */

START_TEST(crop_shifts_and_fills) {
    enum { H = 3, W = 4 };
    struct rig rig;
    int seen[3][3] = {{0}};
    rig_open(&rig, "mnist", "[crop: 1]", 2, H, W, counted);
    for (int32_t i = 0; i < 200; ++i) {
        int32_t dy = rig_step(i, 0, 0, 1), dx = rig_step(i, 0, 1, 1);
        ++seen[dy + 1][dx + 1];
        rig_make(&rig, i, 0);
        bool same = true;
        for (int c = 0; c < 2; ++c)
            for (int y = 0; y < H; ++y)
                for (int x = 0; x < W; ++x) {
                    bool inside = y + dy >= 0 && y + dy < H && x + dx >= 0 && x + dx < W;
                    int expected = inside ? (c * H + y + dy) * W + x + dx + 1 + 40 * (i % 4) : 0;
                    same &= rig.sample.pixels[(c * H + y) * W + x] == expected;
                }
        ck_assert_msg(same, "sample %d, moved by %d, %d", i, dy, dx);
    }
    for (int k = 0; k < 9; ++k) ck_assert_int_gt(seen[k / 3][k % 3], 5);
    rig_close(&rig);
}
END_TEST

START_TEST(crop_of_nothing_and_of_all) {
    struct rig rig;
    rig_open(&rig, "mnist", "[crop: 0]", 1, 3, 3, counted);
    for (int32_t i = 0; i < 20; ++i) {
        rig_make(&rig, i, 0);
        for (int k = 0; k < 9; ++k) ck_assert_int_eq(rig.sample.pixels[k], k + 1 + 40 * (i % 4));
    }
    rig_close(&rig);
    int black = 0;
    rig_open(&rig, "mnist", "[crop: 100]", 1, 3, 3, counted); /* most parts see nothing of the image */
    for (int32_t i = 0; i < 50; ++i) {
        rig_make(&rig, i, 0);
        int sum = 0;
        for (int k = 0; k < 9; ++k) sum += rig.sample.pixels[k];
        black += sum == 0;
    }
    ck_assert_int_gt(black, 45);
    rig_close(&rig);
}
END_TEST

START_TEST(flip_exchanges_left_and_right) {
    static const uint8_t flipped[] = {4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9};
    struct rig rig;
    rig_open(&rig, "mnist", "[flip: 1]", 3, 1, 4, counted);
    rig_make(&rig, 0, 0);
    ck_assert_mem_eq(rig.sample.pixels, flipped, sizeof flipped);
    rig_close(&rig);
    rig_open(&rig, "mnist", "[flip: 0]", 3, 1, 4, counted);
    for (int32_t i = 0; i < 100; ++i) {
        rig_make(&rig, i, 0);
        ck_assert_int_eq(rig.sample.pixels[0], 1 + 40 * (i % 4));
    }
    rig_close(&rig);
}
END_TEST

START_TEST(flip_half_of_the_time) {
    struct rig rig;
    rig_open(&rig, "mnist", "[flip]", 1, 1, 2, counted);
    int flips = 0;
    for (int32_t i = 0; i < 4000; ++i) {
        rig_make(&rig, i, 3);
        flips += rig.sample.pixels[0] > rig.sample.pixels[1];
    }
    ck_assert_int_gt(flips, 1900); /* the standard deviation is 32 */
    ck_assert_int_lt(flips, 2100);
    rig_close(&rig);
}
END_TEST

START_TEST(cutout_fills_a_square) {
    enum { H = 5, W = 6, SIZE = 3 };
    struct rig rig;
    bool clipped = false;
    rig_open(&rig, "cifar10", "[cutout: {size: 3, fill: 200}]", 3, H, W, counted);
    for (int32_t i = 0; i < 200; i += 4) {
        int32_t x0 = (int32_t)((uint64_t)rig_word(i, 0, 0, 1) * W >> 32) - SIZE / 2;
        int32_t y0 = (int32_t)((uint64_t)rig_word(i, 0, 0, 2) * H >> 32) - SIZE / 2;
        rig_make(&rig, i, 0);
        bool same = true;
        for (int c = 0; c < 3; ++c)
            for (int y = 0; y < H; ++y)
                for (int x = 0; x < W; ++x) {
                    bool inside = x >= x0 && x < x0 + SIZE && y >= y0 && y < y0 + SIZE;
                    int k = (c * H + y) * W + x;
                    same &= rig.sample.pixels[k] == (inside ? 200 : k + 1);
                }
        ck_assert_msg(same, "sample %d, hole at %d, %d", i, y0, x0);
        clipped |= x0 < 0 || y0 + SIZE > H;
    }
    ck_assert(clipped);
    rig_close(&rig);
}
END_TEST

START_TEST(cutout_fills_with_the_mean) {
    struct rig rig;
    rig_open(&rig, "cifar10", "[{name: cutout, size: 1}], mean: 0.5", 1, 1, 1, counted);
    rig_make(&rig, 0, 0);
    ck_assert_int_eq(rig.sample.pixels[0], 128);
    rig_close(&rig);
    rig_open(&rig, "cifar10", "[cutout: {size: 1, p: 0}]", 1, 1, 1, counted);
    rig_make(&rig, 0, 0);
    ck_assert_int_eq(rig.sample.pixels[0], 1);
    rig_close(&rig);
}
END_TEST

/* ---- AutoAugment's operations, by hand ---- */

static void check_op(enum snn_image_op op, double magnitude, int C, int H, int W, const uint8_t *in,
                     const uint8_t *expected) {
    uint8_t pixels[64], scratch[64];
    int n = C * H * W;
    memcpy(pixels, in, (size_t)n);
    snn_image_op(op, magnitude, C, H, W, pixels, scratch);
    for (int i = 0; i < n; ++i)
        ck_assert_msg(pixels[i] == expected[i], "operation %d of %g: pixel %d is %d, expected %d", op, magnitude, i,
                      pixels[i], expected[i]);
}
#define BYTES(...) ((const uint8_t[]){__VA_ARGS__})

START_TEST(values_change) {
    check_op(SNN_INVERT, 0, 1, 1, 3, BYTES(0, 10, 255), BYTES(255, 245, 0));
    check_op(SNN_POSTERIZE, 5, 1, 1, 4, BYTES(255, 7, 8, 100), BYTES(248, 0, 8, 96));
    check_op(SNN_POSTERIZE, 8, 1, 1, 2, BYTES(255, 7), BYTES(255, 7));
    check_op(SNN_SOLARIZE, 128, 1, 1, 4, BYTES(0, 127, 128, 255), BYTES(0, 127, 127, 0));
    check_op(SNN_SOLARIZE, 255, 1, 1, 2, BYTES(254, 255), BYTES(254, 0));
    check_op(SNN_BRIGHTNESS, 0.5, 1, 1, 4, BYTES(0, 3, 100, 200), BYTES(0, 4, 150, 255));
    check_op(SNN_BRIGHTNESS, -0.5, 1, 1, 3, BYTES(1, 101, 255), BYTES(0, 50, 127));
    check_op(SNN_CONTRAST, -1, 1, 1, 3, BYTES(10, 20, 31), BYTES(20, 20, 20));
    check_op(SNN_CONTRAST, 1, 1, 1, 3, BYTES(10, 20, 31), BYTES(0, 20, 42));
    /* Pure red is (19595 * 255 + 32768) / 65536 = 76.7 grey, whole: 76; green 150, their mean 113. */
    check_op(SNN_COLOR, -1, 3, 1, 2, BYTES(255, 0, 0, 255, 0, 0), BYTES(76, 150, 76, 150, 76, 150));
    check_op(SNN_COLOR, -0.5, 3, 1, 1, BYTES(255, 0, 0), BYTES(165, 38, 38));
    check_op(SNN_COLOR, 0.9, 1, 1, 2, BYTES(3, 200), BYTES(3, 200));
    check_op(SNN_CONTRAST, -1, 3, 1, 2, BYTES(255, 0, 0, 255, 0, 0), BYTES(113, 113, 113, 113, 113, 113));
    check_op(SNN_AUTO_CONTRAST, 0, 1, 1, 4, BYTES(50, 100, 150, 150), BYTES(0, 127, 255, 255));
    check_op(SNN_AUTO_CONTRAST, 0, 2, 1, 2, BYTES(9, 9, 0, 1), BYTES(9, 9, 0, 255)); /* channel by channel */
    check_op(SNN_EQUALIZE, 0, 1, 1, 3, BYTES(5, 6, 7), BYTES(5, 6, 7)); /* too few pixels to divide by 255 */
}
END_TEST

START_TEST(equalize_spreads_values) {
    uint8_t pixels[4 * 255], scratch[sizeof pixels];
    for (int i = 0; i < 4 * 255; ++i) pixels[i] = (uint8_t)(i % 4);
    snn_image_op(SNN_EQUALIZE, 0, 1, 4, 255, pixels, scratch);
    for (int i = 0; i < 4 * 255; ++i) ck_assert_int_eq(pixels[i], 85 * (i % 4)); /* step 3: 1/3, 256/3, 511/3, 766/3 */
}
END_TEST

START_TEST(sharpness_takes_neighbours) {
    const uint8_t *spot = BYTES(0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0);
    /* 5 * 100 / 13 = 38.5, to the nearest 38; a neighbour gets 100 / 13 = 7.7, so 8. The border stays. */
    check_op(SNN_SHARPNESS, -1, 1, 3, 4, spot, BYTES(0, 0, 0, 0, 0, 38, 8, 0, 0, 0, 0, 0));
    check_op(SNN_SHARPNESS, 1, 1, 3, 4, spot, BYTES(0, 0, 0, 0, 0, 162, 0, 0, 0, 0, 0, 0));
    check_op(SNN_SHARPNESS, -1, 1, 2, 2, BYTES(1, 2, 3, 4), BYTES(1, 2, 3, 4));
}
END_TEST

START_TEST(pixels_move) {
    const uint8_t *image = BYTES(1, 2, 3, 4, 5, 6, 7, 8, 9);
    check_op(SNN_TRANSLATE_X, 1.9, 1, 3, 3, image, BYTES(0, 1, 2, 0, 4, 5, 0, 7, 8));
    check_op(SNN_TRANSLATE_X, -1, 1, 3, 3, image, BYTES(2, 3, 0, 5, 6, 0, 8, 9, 0));
    check_op(SNN_TRANSLATE_Y, 1, 1, 3, 3, image, BYTES(0, 0, 0, 1, 2, 3, 4, 5, 6));
    check_op(SNN_TRANSLATE_Y, -2.5, 1, 3, 3, image, BYTES(7, 8, 9, 0, 0, 0, 0, 0, 0));
    /* The middle of pixel (x,y) is at (x+0.5, y+0.5); row y is taken from y + 0.5 pixels further on. */
    check_op(SNN_SHEAR_X, 1, 1, 3, 3, image, BYTES(2, 3, 0, 6, 0, 0, 0, 0, 0));
    check_op(SNN_SHEAR_Y, 1, 1, 3, 3, image, BYTES(4, 8, 0, 7, 0, 0, 0, 0, 0));
    check_op(SNN_ROTATE, 90, 1, 3, 3, image, BYTES(3, 6, 9, 2, 5, 8, 1, 4, 7));
    check_op(SNN_ROTATE, -90, 1, 3, 3, image, BYTES(7, 4, 1, 8, 5, 2, 9, 6, 3));
    check_op(SNN_ROTATE, 0, 1, 3, 3, image, image);
    check_op(SNN_ROTATE, 180, 2, 2, 2, BYTES(1, 2, 3, 4, 5, 6, 7, 8), BYTES(4, 3, 2, 1, 8, 7, 6, 5));
}
END_TEST

START_TEST(magnitudes_have_ten_levels) {
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_SHEAR_Y, 9, 32, 32), 0.3, 1e-12);
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_TRANSLATE_X, 9, 10, 331), 150, 1e-9);
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_TRANSLATE_Y, 3, 331, 10), 50, 1e-9);
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_ROTATE, 3, 32, 32), 10, 1e-12);
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_COLOR, 6, 32, 32), 0.6, 1e-12);
    ck_assert_double_eq_tol(snn_image_op_magnitude(SNN_SOLARIZE, 3, 32, 32), 170, 1e-12);
    static const int bits[10] = {8, 8, 7, 7, 6, 6, 5, 5, 4, 4};
    for (int level = 0; level < 10; ++level)
        ck_assert_double_eq(snn_image_op_magnitude(SNN_POSTERIZE, level, 32, 32), bits[level]);
}
END_TEST

/* ---- the policy: written down a second time, and walked with the same words ---- */

static const char policy_text[] =
    "Invert .1 0 Contrast .2 6 Rotate .7 2 TranslateX .3 9 Sharpness .8 1 Sharpness .9 3 ShearY .5 8 TranslateY .7 9 "
    "AutoContrast .5 0 Equalize .9 0 ShearY .2 7 Posterize .3 7 Color .4 3 Brightness .6 7 Sharpness .3 9 "
    "Brightness .7 9 Equalize .6 0 Equalize .5 0 Contrast .6 7 Sharpness .6 5 Color .7 7 TranslateX .5 8 Equalize .3 0 "
    "AutoContrast .4 0 TranslateY .4 3 Sharpness .2 6 Brightness .9 6 Color .2 8 Solarize .5 2 Invert 0 0 "
    "Equalize .2 0 AutoContrast .6 0 Equalize .2 0 Equalize .6 0 Color .9 9 Equalize .6 0 AutoContrast .8 0 "
    "Solarize .2 8 Brightness .1 3 Color .7 0 Solarize .4 5 AutoContrast .9 0 TranslateY .9 9 TranslateY .7 9 "
    "AutoContrast .9 0 Solarize .8 3 Equalize .8 0 Invert .1 0 TranslateY .7 9 AutoContrast .9 0";
static const char *const op_name[] = {"ShearX",     "ShearY",       "TranslateX", "TranslateY", "Rotate",
                                      "Brightness", "Color",        "Contrast",   "Sharpness",  "Posterize",
                                      "Solarize",   "AutoContrast", "Equalize",   "Invert"};

START_TEST(auto_augment_walks_the_policy) {
    enum { H = 20, W = 24, N = 3 * H * W };
    struct {
        int op, level;
        double p;
    } step[50];
    const char *at = policy_text;
    for (int k = 0; k < 50; ++k) {
        char word[20];
        int length;
        ck_assert_int_eq(sscanf(at, "%19s %lf %d%n", word, &step[k].p, &step[k].level, &length), 3);
        at += length;
        for (step[k].op = 0; strcmp(op_name[step[k].op], word) != 0;) ck_assert_int_lt(++step[k].op, 14);
    }
    ck_assert_int_eq(*at, 0);
    struct rig rig;
    rig_open(&rig, "cifar10", "[auto_augment]", 3, H, W, sloped);
    int pairs[25] = {0}, changed = 0;
    for (int32_t i = 0; i < 1000; ++i) {
        uint8_t expected[N], scratch[N], before[N];
        ck_ok(snn_sample_room(&rig.sample, N, 0));
        sloped(i, &rig.set.info, &rig.sample);
        memcpy(before, rig.sample.pixels, N);
        memcpy(expected, before, N);
        int pair = (int)((uint64_t)rig_word(i, 0, 0, 0) * 25 >> 32);
        ++pairs[pair];
        for (int k = 0; k < 2; ++k) {
            int op = step[2 * pair + k].op;
            double m = snn_image_op_magnitude((enum snn_image_op)op, step[2 * pair + k].level, H, W);
            bool negative = rig_unit(i, 0, (uint32_t)(2 + 2 * k)) < 0.5;
            if (rig_unit(i, 0, (uint32_t)(1 + 2 * k)) < step[2 * pair + k].p)
                snn_image_op((enum snn_image_op)op, op <= SNN_SHARPNESS && negative ? -m : m, 3, H, W, expected,
                             scratch);
        }
        rig_make(&rig, i, 0);
        ck_assert_mem_eq(rig.sample.pixels, expected, N);
        changed += memcmp(expected, before, N) != 0;
    }
    for (int k = 0; k < 25; ++k) ck_assert_int_gt(pairs[k], 15);
    ck_assert_int_gt(changed, 600);
    rig_close(&rig);
}
END_TEST

/* ---- streams ---- */

START_TEST(a_transform_behind_changes_nothing_before) {
    struct rig one, two;
    rig_open(&one, "mnist", "[crop: 2, flip]", 1, 8, 8, sloped);
    rig_open(&two, "mnist", "[crop: 2, flip, cutout: {size: 3, p: 0}]", 1, 8, 8, sloped);
    int differ = 0;
    uint8_t last[64] = {0};
    for (int32_t i = 0; i < 50; ++i) {
        rig_make(&one, i, 1);
        rig_make(&two, i, 1);
        ck_assert_mem_eq(one.sample.pixels, two.sample.pixels, 64);
        rig_make(&two, i, 2); /* another epoch */
        differ += memcmp(one.sample.pixels, two.sample.pixels, 64) != 0;
        memcpy(last, one.sample.pixels, 64);
    }
    ck_assert_int_gt(differ, 40);
    rig_close(&one);
    rig_close(&two);
}
END_TEST

START_TEST(places_in_the_list_have_streams_of_their_own) {
    struct rig rig;
    int differ = 0;
    rig_open(&rig, "mnist", "[crop: 1, crop: 1]", 1, 5, 5, sloped);
    for (int32_t i = 0; i < 60; ++i) {
        int32_t dy[2], dx[2];
        for (uint32_t place = 0; place < 2; ++place)
            dy[place] = rig_step(i, place, 0, 1), dx[place] = rig_step(i, place, 1, 1);
        differ += dy[0] != dy[1] || dx[0] != dx[1];
        ck_ok(rig_get(&rig.set, SNN_TRAIN, i, &rig.sample));
        int y = 2 + dy[1], x = 2 + dx[1]; /* the middle pixel, seen through both */
        int expected = rig.sample.pixels[(y + dy[0]) * 5 + x + dx[0]];
        rig_make(&rig, i, 0);
        ck_assert_int_eq(rig.sample.pixels[2 * 5 + 2], expected);
    }
    ck_assert_int_gt(differ, 30);
    rig_close(&rig);
}
END_TEST

/* ---- the config ---- */

START_TEST(configs_that_are_wrong) {
    static const struct {
        const char *set, *augment, *part;
    } wrong[] = {
        {"mnist", "crop", "made.yaml:1:24: augment: expected a list of transforms"},
        {"mnist", "{crop: 4}", "augment: expected a list"},
        {"mnist", "[[crop]]", "augment.0: expected a transform: NAME"},
        {"mnist", "[crp]", "made.yaml:1:25: augment.0: unknown transform 'crp' (did you mean 'crop'?)"},
        {"mnist", "[sharpen]", "unknown transform 'sharpen' (snntrain list augmentations names them)"},
        {"mnist", "[crop: -1]", "augment.0.crop.pad: expected an integer of 0..4096, got -1"},
        {"mnist", "[crop: {size: 3}]", "augment.0.crop: unknown key 'size'"},
        {"mnist", "[{name: crop, size: 3}]", "unknown key 'size'"},
        {"mnist", "[{name: crp}]", "augment.0.name: unknown transform 'crp'"},
        {"mnist", "[flip: 1.5]", "augment.0.flip.p: expected a number of 0..1"},
        {"mnist", "[crop: 4, flip: {p: x}]", "augment.1.flip.p: expected a number, got 'x'"},
        {"mnist", "[{crop: 4, flip: 1}]", "one transform an item: 'crop' and 'flip' stand together"},
        {"cifar10", "[auto_augment: 3]", "auto_augment takes no value"},
        {"mnist", "[flip, mixup, cutmix]", "augment.2.cutmix: a second transform that mixes samples: expected one"},
        {"mnist", "[mixup: 0]", "augment.0.mixup.alpha: expected a number of 0.001..1000"},
        {"mnist", "[crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop,crop]",
         "augment.16: are more than 16"},
        {"mnist", "[rotate]", "augment.0: rotate is for recordings, not for images"},
        {"mnist", "[time_jitter: 1 ms]", "time_jitter is for recordings, not for images"},
        {"nmnist", "[crop]", "augment.0: crop is for images, not for recordings"},
        {"nmnist", "[{name: crop}]", "augment.0.name: crop is for images, not for recordings"},
        {"nmnist", "[channel_shift: 4]",
         "channel_shift is for one row of channels, not for sensors of rows and columns"},
        {"nmnist", "[time_jitter: 3]", "augment.0.time_jitter.sigma: expected a duration with a unit"},
        {"nmnist", "[time_mask]", "key 'most' is missing (the longest stretch"},
        {"nmnist", "[cutmix: space]", "augment.0.cutmix.over: expected one of time, area, got 'space'"},
        {"shd", "[flip]", "flip is for sensors of rows and columns, not for one row of channels"},
        {"shd", "[chanel_mask: 3]", "(did you mean 'channel_mask'?)"},
    };
    struct snn_data_config config;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        ck_error(rig_read(wrong[i].set, wrong[i].augment, &config), SNN_EUSAGE, wrong[i].part);
}
END_TEST

START_TEST(forms_of_an_item) {
    static const char *const form[] = {
        "[crop]",         "[crop: 4]", "[crop: {}]", "[crop: {pad: 4}]", "[{name: crop, pad: 4}]",
        "[{name: crop}]", "[crop: ]"};
    struct snn_data_config config, first;
    ck_ok(rig_read("mnist", form[0], &first));
    ck_assert_int_eq(first.augments, 1);
    for (size_t i = 1; i < sizeof form / sizeof *form; ++i) {
        ck_ok(rig_read("mnist", form[i], &config));
        ck_assert_int_eq(config.augments, 1);
        ck_assert_mem_eq(&config.augment[0], &first.augment[0], sizeof first.augment[0]);
    }
    ck_ok(rig_read("nmnist", "[event_drop: 0.2, flip]", &config));
    ck_assert_str_eq(config.augment[0].ops->name, "drop");
    ck_assert_int_eq(config.augment[1].ops->serves, SNN_FOR_SENSORS); /* the flip of events */
    ck_ok(rig_read("mnist", "[]", &config));
    ck_assert_int_eq(config.augments, 0);
}
END_TEST

START_TEST(every_line_of_the_table_reads_its_defaults) {
    int lines = 0;
    for (const struct snn_augment_ops *ops = snn_augments; ops->name; ++ops, ++lines) {
        struct snn_data_config config;
        char text[100];
        bool needs = ops->keys[0].name && !ops->keys[0].value;
        snprintf(text, sizeof text, "[%s%s]", ops->name,
                 !needs                          ? ""
                 : ops->keys[0].type == SNN_TIME ? ": 5 ms"
                                                 : ": 3");
        const char *set = ops->serves & SNN_FOR_IMAGES ? "mnist" : ops->serves & SNN_FOR_SENSORS ? "nmnist" : "shd";
        ck_ok(rig_read(set, text, &config));
        ck_assert_ptr_eq(config.augment[0].ops, ops);
    }
    ck_assert_int_ge(lines, 20);
}
END_TEST

/* ---- epochs ---- */

/* A set of images whose pixels say which sample they are, with a list from a real config. */
static struct snn_data_config images_with(const char *augment, int workers) {
    struct snn_data_config config = config_of(SNN_BIN_COUNT, 4, 3000), read;
    ck_ok(rig_read("mnist", augment, &read));
    memcpy(config.augment, read.augment, sizeof config.augment);
    config.augments = read.augments;
    config.workers = workers;
    return config;
}

START_TEST(workers_and_resume_do_not_change_samples) {
    static const int workers[] = {0, 1, 3};
    uint64_t seen[3][2][BATCHES], plain[BATCHES], middle[BATCHES];
    struct made_set set = make_set(_i == 1);
    for (int w = 0; w < 3; ++w) {
        struct snn_data_config config = images_with("[crop: 1, flip, mixup]", workers[w]);
        if (_i == 1) {
            struct snn_data_config read;
            ck_ok(rig_read("nmnist", "[roll: 1, time_jitter: 1 ms, cutmix]", &read));
            memcpy(config.augment, read.augment, sizeof config.augment);
            config.augments = read.augments;
        }
        struct snn_loader *loader = open_loader(&set, &config, true);
        epoch_digests(loader, 0, 0, seen[w][0]);
        epoch_digests(loader, 7, 0, seen[w][1]);
        epoch_digests(loader, 7, 3, middle);
        ck_assert_mem_eq(middle + 3, seen[w][1] + 3, (BATCHES - 3) * sizeof *middle);
        snn_loader_close(&loader);
        config.augments = 0;
        loader = open_loader(&set, &config, true);
        epoch_digests(loader, 7, 0, plain);
        snn_loader_close(&loader);
    }
    ck_assert_mem_eq(seen[0], seen[1], sizeof seen[0]);
    ck_assert_mem_eq(seen[0], seen[2], sizeof seen[0]);
    for (int k = 0; k < BATCHES; ++k) ck_assert(seen[0][1][k] != plain[k] && seen[0][1][k] != seen[0][0][k]);
}
END_TEST

/* Batches of other subsets are as they were without a list. */
START_TEST(only_training_samples_change) {
    struct made_set set = make_set(false);
    struct snn_data_config config = images_with("[crop: 2, mixup]", 1), plain = config;
    plain.augments = 0;
    config.validation = plain.validation = (struct snn_validation){.by = SNN_VALIDATION_CLASS, .fraction = 0.3};
    for (int subset = 0; subset < 3; ++subset) {
        struct snn_loader *loader[2];
        for (int k = 0; k < 2; ++k) {
            const struct snn_loader_options options = {
                .config = k ? &plain : &config, .set = &set.base, .subset = subset, .batch = 8, .seed = 5};
            ck_ok(snn_loader_open(&options, &loader[k]));
            ck_ok(snn_loader_start(loader[k], 0, 0));
        }
        for (const struct snn_batch *a, *b; (a = next(loader[0]));) {
            b = next(loader[1]);
            ck_assert_int_eq(digest(a) == digest(b), subset != SNN_SUBSET_TRAIN);
            ck_assert_int_eq(a->target != NULL, subset == SNN_SUBSET_TRAIN);
            ck_assert_ptr_null(b->target);
            ck_assert_int_eq(a->targets, subset == SNN_SUBSET_TRAIN ? CLASSES : 0);
            ck_assert(!a->target_steps);
        }
        snn_loader_close(&loader[0]);
        snn_loader_close(&loader[1]);
    }
}
END_TEST

/* mean and std apply to what the list made: black pixels of a crop are (0 - mean) / std. */
START_TEST(coding_comes_after) {
    struct made_set set = make_set(false);
    struct snn_data_config config = images_with("[crop: 4000]", 0);
    config.mean = 0.25, config.std = 0.5;
    struct snn_loader *loader = open_loader(&set, &config, true);
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    for (int k = 0; k < 24; ++k) ck_assert_float_eq(batch->frames[k], -0.5f);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(a_set_of_another_kind_is_refused_when_opened) {
    struct made_set set = make_set(false); /* two channels */
    struct snn_data_config config = images_with("[flip, auto_augment]", 0);
    const struct snn_loader_options options = {.config = &config, .set = &set.base, .batch = 8};
    struct snn_loader *loader;
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE,
             "data.augment.1: auto_augment is for images of 1 or 3 channels");
    set.base.info.kind = SNN_SEQUENCES;
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE,
             "data.augment.0: flip is for images and recordings, not for sequences");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("augment");
    TCase *images = tcase_create("images");
    tcase_add_test(images, crop_shifts_and_fills);
    tcase_add_test(images, crop_of_nothing_and_of_all);
    tcase_add_test(images, flip_exchanges_left_and_right);
    tcase_add_test(images, flip_half_of_the_time);
    tcase_add_test(images, cutout_fills_a_square);
    tcase_add_test(images, cutout_fills_with_the_mean);
    suite_add_tcase(suite, images);
    TCase *policy = tcase_create("policy");
    tcase_add_test(policy, values_change);
    tcase_add_test(policy, equalize_spreads_values);
    tcase_add_test(policy, sharpness_takes_neighbours);
    tcase_add_test(policy, pixels_move);
    tcase_add_test(policy, magnitudes_have_ten_levels);
    tcase_add_test(policy, auto_augment_walks_the_policy);
    suite_add_tcase(suite, policy);
    TCase *config = tcase_create("config");
    tcase_add_test(config, configs_that_are_wrong);
    tcase_add_test(config, forms_of_an_item);
    tcase_add_test(config, every_line_of_the_table_reads_its_defaults);
    suite_add_tcase(suite, config);
    TCase *epochs = tcase_create("epochs");
    tcase_add_test(epochs, a_transform_behind_changes_nothing_before);
    tcase_add_test(epochs, places_in_the_list_have_streams_of_their_own);
    tcase_add_loop_test(epochs, workers_and_resume_do_not_change_samples, 0, 2);
    tcase_add_test(epochs, only_training_samples_change);
    tcase_add_test(epochs, coding_comes_after);
    tcase_add_test(epochs, a_set_of_another_kind_is_refused_when_opened);
    suite_add_tcase(suite, epochs);
    TCase *all[] = {images, policy, config, epochs};
    for (int i = 0; i < 4; ++i) tcase_set_timeout(all[i], 60);
    return run_suite(suite);
}
