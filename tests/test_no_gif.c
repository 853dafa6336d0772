/* SPDX-License-Identifier: Apache-2.0
 * test_no_gif.c - a build without giflib says so. */
#include "folder.h"
#include "train/plot.h"

START_TEST(says_that_it_writes_no_gif) {
    static const float values[8] = {1};
    const struct snn_frames frames = {.values = values, .T = 2, .C = 1, .H = 2, .W = 2};
    ck_error(snn_plot_animation(in("a.gif"), "title", &frames), SNN_EFAIL,
             "this build writes no GIF: install libgif-dev");
    ck_assert_int_eq(names_in_folder(), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("no_gif");
    TCase *none = tcase_create("no_gif");
    tcase_add_checked_fixture(none, make_folder, remove_folder);
    tcase_add_test(none, says_that_it_writes_no_gif);
    suite_add_tcase(suite, none);
    return run_suite(suite);
}
