/* SPDX-License-Identifier: Apache-2.0
 * test_file.c - reading files, making folders, and replacing a file at once or not at all.
 *
 * Every case works in a fresh folder; how many names it holds afterwards shows that no temporary file stays. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "core/file.h"
#include "folder.h"

static char target[300];

static void make_target(void) {
    make_folder();
    snprintf(target, sizeof target, "%s/file", folder);
}

static void assert_holds(const char *path, const char *text) {
    unsigned char *bytes;
    size_t size;
    ck_ok(snn_file_read(path, 1 << 20, &bytes, &size));
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_str_eq((char *)bytes, text);
    free(bytes);
}

static void assert_failed(int status, int code, const char *path, const char *reason) {
    ck_assert_int_eq(status, code);
    ck_assert_msg(strstr(snn_error_text(), path) && strstr(snn_error_text(), reason), "'%s' lacks '%s'",
                  snn_error_text(), reason);
}

START_TEST(file_read_gives_all_bytes) {
    unsigned char *bytes;
    size_t size;
    ck_ok(snn_replace_file(target, "a\0b", 3));
    ck_ok(snn_file_read(target, 3, &bytes, &size));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(bytes, "a\0b", 4); /* with the NUL behind */
    free(bytes);
    ck_ok(snn_replace_file(target, "", 0));
    assert_holds(target, "");
}
END_TEST

START_TEST(file_read_refuses) {
    unsigned char *bytes;
    size_t size;
    char fifo[320];
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_failed(snn_file_read(target, 9, &bytes, &size), SNN_EDATA, target, "No such file");
    assert_failed(snn_file_read(folder, 9, &bytes, &size), SNN_EDATA, folder, "not a regular file");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    assert_failed(snn_file_read(fifo, 9, &bytes, &size), SNN_EDATA, fifo, "not a regular file");
    ck_ok(snn_replace_file(target, "1234", 4));
    assert_failed(snn_file_read(target, 3, &bytes, &size), SNN_EDATA, target, "has 4 bytes, expected at most 3");
    ck_assert_ptr_null(bytes);
}
END_TEST

START_TEST(file_tests_tell_files_from_folders) {
    ck_assert(!snn_file_exists(target) && !snn_is_directory(target));
    ck_ok(snn_replace_file(target, "x", 1));
    ck_assert(snn_file_exists(target) && !snn_is_directory(target));
    ck_assert(snn_file_exists(folder) && snn_is_directory(folder));
}
END_TEST

START_TEST(file_makes_folders_on_the_way) {
    char path[320];
    snprintf(path, sizeof path, "%s/a//b/c/", folder);
    ck_ok(snn_make_directories(path));
    ck_ok(snn_make_directories(path));
    ck_ok(snn_make_directories("/"));
    ck_assert(snn_is_directory(path));
    ck_ok(snn_replace_file(target, "x", 1));
    assert_failed(snn_make_directories(target), SNN_EFAIL, target, "File exists");
    snprintf(path, sizeof path, "%s/below", target);
    assert_failed(snn_make_directories(path), SNN_EFAIL, target, "File exists");
    ck_assert_int_eq(snn_make_directories(""), SNN_EFAIL);
}
END_TEST

START_TEST(replace_commit_replaces) {
    struct snn_replace *file;
    ck_ok(snn_replace_file(target, "old", 3));
    ck_ok(snn_replace_open(target, &file));
    ck_ok(snn_replace_write(file, "ne", 2));
    ck_ok(snn_replace_write(file, NULL, 0));
    ck_ok(snn_replace_write(file, "wer", 3));
    assert_holds(target, "old");
    ck_ok(snn_replace_commit(&file));
    ck_assert_ptr_null(file);
    assert_holds(target, "newer");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(replace_abandon_leaves_the_old_file) {
    struct snn_replace *file;
    ck_ok(snn_replace_file(target, "old", 3));
    ck_ok(snn_replace_open(target, &file));
    ck_ok(snn_replace_write(file, "new", 3));
    snn_replace_abandon(&file);
    ck_assert_ptr_null(file);
    snn_replace_abandon(&file);
    assert_holds(target, "old");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(replace_removes_a_stale_temporary_file) {
    char stale[400];
    snprintf(stale, sizeof stale, "%s.tmp.%ld", target, (long)getpid());
    ck_ok(snn_replace_file(stale, "left over", 9));
    ck_ok(snn_replace_file(target, "new", 3));
    assert_holds(target, "new");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(replace_keeps_to_the_umask) {
    struct stat info;
    mode_t before = umask(027);
    ck_ok(snn_replace_file(target, "x", 1));
    umask(before);
    ck_assert_int_eq(stat(target, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0640);
}
END_TEST

START_TEST(replace_takes_a_name_without_folder) {
    ck_assert_int_eq(chdir(folder), 0);
    ck_ok(snn_replace_file("file", "here", 4));
    assert_holds(target, "here");
}
END_TEST

START_TEST(replace_survives_a_change_of_folder_meanwhile) {
    struct snn_replace *file;
    ck_assert_int_eq(chdir(folder), 0);
    ck_ok(snn_replace_open("file", &file));
    ck_assert_int_eq(chdir("/"), 0);
    ck_ok(snn_replace_write(file, "there", 5));
    ck_ok(snn_replace_commit(&file));
    assert_holds(target, "there");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(replace_refuses_what_is_no_file) {
    char path[320];
    snprintf(path, sizeof path, "%s/", folder);
    assert_failed(snn_replace_file(path, "x", 1), SNN_EFAIL, path, "not the name of a file");
    assert_failed(snn_replace_file(folder, "x", 1), SNN_EFAIL, folder, "not a regular file");
    snprintf(path, sizeof path, "%s/none/file", folder);
    assert_failed(snn_replace_file(path, "x", 1), SNN_EFAIL, path, "No such file");
    ck_assert_int_eq(mkfifo(target, 0600), 0); /* for any device */
    assert_failed(snn_replace_file(target, "x", 1), SNN_EFAIL, target, "not a regular file");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(replace_reports_an_unwritable_folder) {
    ck_ok(snn_replace_file(target, "old", 3));
    ck_assert_int_eq(chmod(folder, 0555), 0);
    if (geteuid() == 0 && seteuid(65534)) { /* root may write anywhere */
        fprintf(stderr, "skipped: replace_reports_an_unwritable_folder: cannot give up root: %s\n", strerror(errno));
        return;
    }
    int status = snn_replace_file(target, "new", 3);
    if (getuid() == 0) ck_assert_int_eq(seteuid(0), 0);
    assert_failed(status, SNN_EFAIL, target, "Permission denied");
    assert_holds(target, "old");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

/* A file size limit stands for the full disk: the write that crosses it is cut short, the next one fails. */
START_TEST(replace_on_a_full_disk_keeps_the_old_file) {
    static const char much[10000];
    struct snn_replace *file;
    ck_ok(snn_replace_file(target, "old", 3));
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before, small.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_ok(snn_replace_open(target, &file));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    int write = snn_replace_write(file, much, sizeof much), later = snn_replace_write(file, "end", 3);
    int whole = snn_replace_commit(&file);
    setrlimit(RLIMIT_FSIZE, &before); /* before any assertion: Check writes a file, too */
    signal(SIGXFSZ, handler);
    assert_failed(write, SNN_EFAIL, target, "File too large");
    ck_assert_int_eq(later, SNN_EFAIL);
    ck_assert_int_eq(whole, SNN_EFAIL);
    ck_assert_ptr_null(file);
    assert_holds(target, "old");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *file = tcase_create("file");
    tcase_add_checked_fixture(file, make_target, remove_folder);
    tcase_add_test(file, file_read_gives_all_bytes);
    tcase_add_test(file, file_read_refuses);
    tcase_add_test(file, file_tests_tell_files_from_folders);
    tcase_add_test(file, file_makes_folders_on_the_way);
    tcase_add_test(file, replace_commit_replaces);
    tcase_add_test(file, replace_abandon_leaves_the_old_file);
    tcase_add_test(file, replace_removes_a_stale_temporary_file);
    tcase_add_test(file, replace_keeps_to_the_umask);
    tcase_add_test(file, replace_takes_a_name_without_folder);
    tcase_add_test(file, replace_survives_a_change_of_folder_meanwhile);
    tcase_add_test(file, replace_refuses_what_is_no_file);
    tcase_add_test(file, replace_reports_an_unwritable_folder);
    tcase_add_test(file, replace_on_a_full_disk_keeps_the_old_file);
    suite_add_tcase(suite, file);
    return run_suite(suite);
}
