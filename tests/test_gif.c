/* SPDX-License-Identifier: Apache-2.0
 * test_gif.c - animations by their pixels: every file is read back with giflib. */
#include <gif_lib.h>
#include <math.h>

#include "folder.h"
#include "train/plot.h"
#include "train/plot_canvas.h"

/* fontconfig keeps its patterns until the process ends; LeakSanitizer, where it is built in, asks for such exceptions
 * here. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig\n"; }

struct rgb {
    int r, g, b;
};
static const struct rgb blue = {0, 114, 178}, red = {204, 31, 26}, white = {255, 255, 255}, black = {0, 0, 0};

static GifFileType *load(void) {
    int code;
    GifFileType *gif = DGifOpenFileName(in("a.gif"), &code);
    ck_assert_msg(gif, "%s", GifErrorString(code));
    ck_assert_int_eq(DGifSlurp(gif), GIF_OK);
    return gif;
}

static GifFileType *play(const char *title, const struct snn_frames *frames) {
    ck_ok(snn_plot_animation(in("a.gif"), title, frames));
    return load();
}

static void unload(GifFileType *gif) {
    int code;
    DGifCloseFile(gif, &code);
}

static bool is(const GifFileType *gif, int t, int x, int y, struct rgb c) {
    const GifColorType *pixel = &gif->SColorMap->Colors[gif->SavedImages[t].RasterBits[y * gif->SWidth + x]];
    return abs(pixel->Red - c.r) <= 1 && abs(pixel->Green - c.g) <= 1 && abs(pixel->Blue - c.b) <= 1;
}

static int count(const GifFileType *gif, int t, struct rgb c) {
    int n = 0;
    for (int y = 0; y < gif->SHeight; ++y)
        for (int x = 0; x < gif->SWidth; ++x) n += is(gif, t, x, y, c);
    return n;
}

static int delay(GifFileType *gif, int t) {
    GraphicsControlBlock control;
    ck_assert_int_eq(DGifSavedExtensionToGCB(gif, t, &control), GIF_OK);
    return control.DelayTime;
}

START_TEST(an_event_is_there_in_its_step) {
    static float values[3 * 2 * 34 * 34];
    values[(0 * 2 + 0) * 1156 + 5 * 34 + 3] = 2;  /* OFF in step 0 */
    values[(2 * 2 + 1) * 1156 + 20 * 34 + 7] = 2; /* ON in step 2 */
    const struct snn_frames frames = {.values = values, .T = 3, .C = 2, .H = 34, .W = 34, .step_ms = 10};
    GifFileType *gif = play(NULL, &frames);
    ck_assert_int_eq(gif->ImageCount, 3);
    int side = 9 * 9; /* a sensor's pixel */
    ck_assert(count(gif, 0, blue) == side && count(gif, 0, red) == 0);
    ck_assert(count(gif, 1, blue) == 0 && count(gif, 1, red) == 0);
    ck_assert(count(gif, 2, blue) == 0 && count(gif, 2, red) == side);
    unload(gif);
}
END_TEST

START_TEST(few_counts_have_their_own_colours) {
    static float values[2 * 2];
    for (int most = 2; most <= 12; most += 5)
        for (int n = 0; n <= most; ++n) {
            values[0] = (float)most, values[2] = (float)n; /* a pixel, two steps */
            const struct snn_frames frames = {.values = values, .T = 2, .C = 2, .H = 1, .W = 1};
            double s = sqrt((double)n / most);
            struct rgb c = {(int)lround(255 * (1 - s)), (int)lround(255 * (1 - s * (1 - 0.447))),
                            (int)lround(255 * (1 - s * (1 - 0.698)))};
            GifFileType *gif = play(NULL, &frames);
            ck_assert_msg(count(gif, 1, c) >= 320 * 320, "%d of %d", n, most);
            unload(gif);
        }
}
END_TEST

START_TEST(pace_and_endless_loop) {
    static float values[200];
    static const int steps[] = {2, 10, 40, 100, 200}, wanted[] = {40, 40, 10, 4, 4};
    for (int k = 0; k < 5; ++k) {
        const struct snn_frames frames = {.values = values, .T = steps[k], .C = 1, .H = 1, .W = 1};
        GifFileType *gif = play("title", &frames);
        ck_assert_int_eq(gif->ImageCount, steps[k]);
        for (int t = 0; t < steps[k]; ++t) ck_assert_int_eq(delay(gif, t), wanted[k]);
        const ExtensionBlock *loop = gif->SavedImages[0].ExtensionBlocks;
        ck_assert(loop[0].Function == APPLICATION_EXT_FUNC_CODE && !memcmp(loop[0].Bytes, "NETSCAPE2.0", 11));
        ck_assert(loop[1].ByteCount == 3 && loop[1].Bytes[0] == 1 && !loop[1].Bytes[1] && !loop[1].Bytes[2]);
        unload(gif);
    }
}
END_TEST

START_TEST(the_bar_grows) {
    static float values[4];
    const struct snn_frames frames = {.values = values, .T = 4, .C = 1, .H = 1, .W = 1, .low = 0, .high = 1};
    GifFileType *gif = play(NULL, &frames);
    struct rgb hand = {89, 89, 89};
    int before = 0, first = count(gif, 0, hand);
    for (int t = 0; t < 4; ++t) {
        int now = count(gif, t, hand);
        ck_assert_msg(now > before && abs(now - (t + 1) * first) < first / 2, "step %d: %d pixels, first %d", t, now,
                      first);
        before = now;
    }
    unload(gif);
}
END_TEST

START_TEST(grey_and_colour) {
    float grey[2] = {0, 1}, colour[6] = {1, 0, 0, 0, 0, 1};
    const struct snn_frames dark = {.values = grey, .T = 2, .C = 1, .H = 1, .W = 1};
    GifFileType *gif = play(NULL, &dark);
    ck_assert_int_ge(count(gif, 0, black), 320 * 320);
    ck_assert_int_ge(count(gif, 1, white), 320 * 320);
    unload(gif);
    const struct snn_frames bright = {.values = colour, .T = 2, .C = 3, .H = 1, .W = 1};
    gif = play(NULL, &bright);
    ck_assert_int_eq(count(gif, 0, (struct rgb){255, 0, 0}), 320 * 320);
    ck_assert_int_eq(count(gif, 1, (struct rgb){0, 0, 255}), 320 * 320);
    unload(gif);
}
END_TEST

START_TEST(refused_and_unwritable) {
    static float values[8];
    struct snn_frames frames = {.values = values, .T = 2, .C = 4, .H = 1, .W = 1};
    ck_error(snn_plot_animation(in("a.gif"), NULL, &frames), SNN_EFAIL, "frames of 4 channels have no picture");
    frames.C = 1;
    ck_error(snn_plot_animation(in("none/a.gif"), NULL, &frames), SNN_EFAIL, "its folder cannot be opened");
    ck_error(snn_plot_animation("/dev/null", NULL, &frames), SNN_EFAIL, "is not a regular file");
    ck_assert_int_eq(names_in_folder(), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gif");
    TCase *t = tcase_create("gif");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_event_is_there_in_its_step);
    tcase_add_test(t, few_counts_have_their_own_colours);
    tcase_add_test(t, pace_and_endless_loop);
    tcase_add_test(t, the_bar_grows);
    tcase_add_test(t, grey_and_colour);
    tcase_add_test(t, refused_and_unwritable);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
