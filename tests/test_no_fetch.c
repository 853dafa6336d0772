/* SPDX-License-Identifier: Apache-2.0
 * test_no_fetch.c - a build without libcurl says so, and still checks what is there. */
#include <md5.h>

#include "datasets/fetch.h"
#include "folder.h"

START_TEST(says_that_it_cannot_download) {
    char md5[MD5_DIGEST_STRING_LENGTH];
    MD5Data((const uint8_t *)"abc", 3, md5);
    const struct snn_download d = {.file = "file.bin", .url = {"http://127.0.0.1:1/f"}, .bytes = 3, .md5 = md5};
    const struct snn_fetch_view view = {0};
    ck_error(snn_fetch(&d, folder, NULL, &view), SNN_EFAIL, "this build cannot download: install libcurl4-openssl-dev");
    ck_assert_int_eq(names_in_folder(), 0);
    write_file("file.bin", "abc", 3);
    ck_assert_int_eq(snn_fetch(&d, folder, NULL, &view), SNN_FETCH_KEPT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("no_fetch");
    TCase *none = tcase_create("no_fetch");
    tcase_add_checked_fixture(none, make_folder, remove_folder);
    tcase_add_test(none, says_that_it_cannot_download);
    suite_add_tcase(suite, none);
    return run_suite(suite);
}
