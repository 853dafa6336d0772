/* SPDX-License-Identifier: Apache-2.0
 * test_core.c - status, arena, random numbers, and files: what everything else stands on.
 *
 * File cases work in a fresh folder each; how many names it holds afterwards shows that no temporary file stays. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/rng.h"
#include "snn_check.h"

/* ---- status ---- */

START_TEST(status_keeps_the_sentence) {
    ck_assert_int_eq(snn_error(SNN_EDATA, "%s:%d: found %d", "a.csv", 3, 7), SNN_EDATA);
    ck_assert_str_eq(snn_error_text(), "a.csv:3: found 7");
}
END_TEST

START_TEST(status_may_quote_the_present_sentence) {
    snn_error(SNN_EFAIL, "inner");
    snn_error(SNN_EFAIL, "outer: %s", snn_error_text());
    ck_assert_str_eq(snn_error_text(), "outer: inner");
}
END_TEST

START_TEST(status_cuts_at_1023_bytes) {
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    snn_error(SNN_EFAIL, "%s", text);
    ck_assert_uint_eq(strlen(snn_error_text()), 1023);
}
END_TEST

static void *other_thread(void *seen) {
    strcpy(seen, snn_error_text());
    snn_error(SNN_EFAIL, "of the other thread");
    return NULL;
}

START_TEST(status_is_per_thread) {
    char seen[1024] = "not empty";
    pthread_t thread;
    snn_error(SNN_EFAIL, "of this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, seen), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(seen, "");
    ck_assert_str_eq(snn_error_text(), "of this thread");
}
END_TEST

static int forwards(int status, bool *went_on) {
    SNN_TRY(status);
    *went_on = true;
    return SNN_OK;
}

START_TEST(status_try_forwards_failures_only) {
    bool went_on = false;
    ck_assert_int_eq(forwards(SNN_EINTR, &went_on), SNN_EINTR);
    ck_assert(!went_on);
    ck_assert_int_eq(forwards(5, &went_on), SNN_OK);
    ck_assert(went_on);
}
END_TEST

START_TEST(status_check_says_where_and_aborts) {
    int ends[2], status;
    char said[512] = "";
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        SNN_CHECK(1 > 0, "never");
        SNN_CHECK(2 > 3, "two is %d", 2);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_gt(read(ends[0], said, sizeof said - 1), 0);
    close(ends[0]);
    waitpid(child, &status, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(said, "test_core.c:"));
    ck_assert_ptr_nonnull(strstr(said, "2 > 3"));
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_measures_without_memory) {
    struct snn_arena arena = {0};
    ck_assert_ptr_null(snn_arena_alloc(&arena, 1, SNN_MEM_STATE));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 64, SNN_MEM_STATE));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 65, SNN_MEM_SCRATCH));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 0, SNN_MEM_GRADIENTS));
    ck_assert_uint_eq(arena.used, 256);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_STATE], 128);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_SCRATCH], 128);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_GRADIENTS], 0);
}
END_TEST

START_TEST(arena_second_pass_is_aligned_zero_and_disjoint) {
    static const size_t bytes[] = {1, 63, 64, 65, 0, 1000};
    struct snn_arena arena = {0};
    unsigned char *before = NULL;
    size_t length = 0;
    for (int i = 0; i < 6; ++i) snn_arena_alloc(&arena, bytes[i], SNN_MEM_ACTIVATIONS);
    size_t measured = arena.used;
    ck_ok(snn_arena_reserve(&arena));
    for (int i = 0; i < 6; ++i) {
        unsigned char *memory = snn_arena_alloc(&arena, bytes[i], SNN_MEM_ACTIVATIONS);
        ck_assert_uint_eq((uintptr_t)memory % SNN_ALIGN, 0);
        ck_assert(!before || memory >= before + length);
        for (size_t k = 0; k < bytes[i]; ++k) ck_assert_uint_eq(memory[k], 0);
        memset(memory, 0xFF, bytes[i]);
        before = memory, length = bytes[i];
    }
    ck_assert_uint_eq(arena.used, measured);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_ACTIVATIONS], measured);
    snn_arena_free(&arena);
    ck_assert_ptr_null(arena.base);
}
END_TEST

START_TEST(arena_may_be_empty) {
    struct snn_arena arena = {0};
    ck_ok(snn_arena_reserve(&arena));
    ck_assert_uint_eq(arena.size, 0);
    snn_arena_free(&arena);
    snn_arena_free(&arena);
}
END_TEST

START_TEST(arena_refuses_a_larger_second_pass) { /* raises SIGABRT */
    struct snn_arena arena = {0};
    snn_arena_alloc(&arena, 64, SNN_MEM_STATE);
    ck_ok(snn_arena_reserve(&arena));
    snn_arena_alloc(&arena, 65, SNN_MEM_STATE);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* which stops at such a request instead of refusing it */
START_TEST(arena_reports_missing_memory) {
    struct snn_arena arena = {0};
    snn_arena_alloc(&arena, (size_t)1 << 62, SNN_MEM_PARAMETERS);
    ck_assert_int_eq(snn_arena_reserve(&arena), SNN_EFAIL);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "out of memory"));
}
END_TEST
#endif

START_TEST(arena_names_every_purpose) {
    for (int i = 0; i < SNN_MEM_PURPOSES; ++i) ck_assert_ptr_nonnull(snn_memory_purpose[i]);
    ck_assert_str_eq(snn_memory_purpose[SNN_MEM_PARAMETERS], "parameters");
    ck_assert_str_eq(snn_memory_purpose[SNN_MEM_SCRATCH], "scratch");
}
END_TEST

/* ---- random numbers ---- */

START_TEST(rng_philox_gives_the_published_words) {
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } known[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; ++i) {
        uint32_t out[4];
        snn_philox(known[i].ctr, known[i].key, out);
        for (int k = 0; k < 4; ++k) ck_assert_uint_eq(out[k], known[i].out[k]);
    }
}
END_TEST

START_TEST(rng_words_are_the_blocks_in_order) {
    for (uint32_t index = 0; index < 20; ++index) {
        uint32_t out[4];
        snn_rng_block(0x123456789abcdef0u, SNN_RNG_TEST, 3, 4, index / 4, out);
        ck_assert_uint_eq(snn_rng_u32(0x123456789abcdef0u, SNN_RNG_TEST, 3, 4, index), out[index % 4]);
    }
}
END_TEST

START_TEST(rng_every_argument_counts) {
    uint64_t seed = 42;
    uint32_t word = snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 3);
    ck_assert_uint_eq(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed + 1, SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed + ((uint64_t)1 << 32), SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_SHUFFLE, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 2, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 3, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 2, 1, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 7));
}
END_TEST

START_TEST(rng_unit_is_half_open_and_exact_in_float) {
    static const uint32_t words[] = {0, 255, 256, 0x80000000u, 0x12345678u, 0xffffffffu};
    ck_assert(snn_rng_unit(0) == 0.0 && snn_rng_unit(0x80000000u) == 0.5);
    ck_assert(snn_rng_unit(0xffffffffu) == 1.0 - 1.0 / 16777216.0);
    for (int i = 0; i < 6; ++i) ck_assert((double)(float)snn_rng_unit(words[i]) == snn_rng_unit(words[i]));
}
END_TEST

START_TEST(rng_below_covers_its_range) {
    int count[7] = {0};
    for (uint32_t i = 0; i < 7000; ++i) ++count[snn_rng_below(snn_rng_u32(1, SNN_RNG_TEST, 0, 0, i), 7)];
    for (int i = 0; i < 7; ++i) ck_assert(count[i] > 850 && count[i] < 1150); /* five standard deviations */
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 1), 0);
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 10), 9);
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 0xffffffffu), 0xfffffffeu);
}
END_TEST

START_TEST(rng_normal_has_the_moments) {
    double sum = 0, square = 0, fourth = 0;
    const int n = 40000;
    for (uint32_t i = 0; i < (uint32_t)n; ++i) {
        double x =
            snn_rng_normal(snn_rng_u32(9, SNN_RNG_TEST, 0, 0, 2 * i), snn_rng_u32(9, SNN_RNG_TEST, 0, 0, 2 * i + 1));
        sum += x, square += x * x, fourth += x * x * x * x;
    }
    ck_assert_double_eq_tol(sum / n, 0, 0.025);
    ck_assert_double_eq_tol(square / n, 1, 0.035);
    ck_assert_double_eq_tol(fourth / n, 3, 0.25);
    ck_assert(isfinite(snn_rng_normal(0, 0)) && isfinite(snn_rng_normal(~0u, ~0u)));
}
END_TEST

enum { MANY = 1000 };

START_TEST(rng_shuffle_is_a_permutation) {
    for (int32_t n = 0; n <= MANY; n = n < 5 ? n + 1 : n + 199) {
        int32_t order[MANY + 1];
        bool seen[MANY] = {false};
        order[n] = -7;
        snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, order, n);
        for (int32_t i = 0; i < n; ++i) {
            ck_assert(order[i] >= 0 && order[i] < n && !seen[order[i]]);
            seen[order[i]] = true;
        }
        ck_assert_int_eq(order[n], -7);
    }
}
END_TEST

START_TEST(rng_shuffle_repeats_and_depends_on_the_epoch) {
    int32_t first[MANY], again[MANY], next[MANY];
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, first, MANY);
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, again, MANY);
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 2, 0, next, MANY);
    ck_assert_mem_eq(first, again, sizeof first);
    ck_assert_mem_ne(first, next, sizeof first);
}
END_TEST

START_TEST(rng_shuffle_is_fair) {
    int count[27] = {0};
    for (uint32_t epoch = 0; epoch < 6000; ++epoch) {
        int32_t order[3];
        snn_rng_shuffle(5, SNN_RNG_SHUFFLE, epoch, 0, order, 3);
        ++count[order[0] * 9 + order[1] * 3 + order[2]];
    }
    int kinds = 0;
    for (int i = 0; i < 27; ++i) {
        kinds += count[i] > 0;
        ck_assert(count[i] == 0 || (count[i] > 850 && count[i] < 1150));
    }
    ck_assert_int_eq(kinds, 6);
}
END_TEST

/* ---- files ---- */

static char folder[256], target[300];

static void make_folder(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/snn_core_XXXXXX", base ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/file", folder);
}

static int names_in(const char *path) {
    int count = 0;
    DIR *open = opendir(path);
    ck_assert_ptr_nonnull(open);
    for (struct dirent *entry; (entry = readdir(open));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(open);
    return count;
}

static void remove_folder(void) {
    char command[400];
    chmod(folder, 0700);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
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
    ck_assert_int_eq(names_in(folder), 1);
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
    ck_assert_int_eq(names_in(folder), 1);
}
END_TEST

START_TEST(replace_removes_a_stale_temporary_file) {
    char stale[400];
    snprintf(stale, sizeof stale, "%s.tmp.%ld", target, (long)getpid());
    ck_ok(snn_replace_file(stale, "left over", 9));
    ck_ok(snn_replace_file(target, "new", 3));
    assert_holds(target, "new");
    ck_assert_int_eq(names_in(folder), 1);
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
    ck_assert_int_eq(names_in(folder), 1);
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
    ck_assert_int_eq(names_in(folder), 1);
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
    ck_assert_int_eq(names_in(folder), 1);
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
    ck_assert_int_eq(names_in(folder), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("core");
    TCase *status = tcase_create("status"), *arena = tcase_create("arena"), *rng = tcase_create("rng"),
          *file = tcase_create("file");
    tcase_add_test(status, status_keeps_the_sentence);
    tcase_add_test(status, status_may_quote_the_present_sentence);
    tcase_add_test(status, status_cuts_at_1023_bytes);
    tcase_add_test(status, status_is_per_thread);
    tcase_add_test(status, status_try_forwards_failures_only);
    tcase_add_test(status, status_check_says_where_and_aborts);
    tcase_add_test(arena, arena_measures_without_memory);
    tcase_add_test(arena, arena_second_pass_is_aligned_zero_and_disjoint);
    tcase_add_test(arena, arena_may_be_empty);
    tcase_add_test_raise_signal(arena, arena_refuses_a_larger_second_pass, SIGABRT);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(arena, arena_reports_missing_memory);
#endif
    tcase_add_test(arena, arena_names_every_purpose);
    tcase_add_test(rng, rng_philox_gives_the_published_words);
    tcase_add_test(rng, rng_words_are_the_blocks_in_order);
    tcase_add_test(rng, rng_every_argument_counts);
    tcase_add_test(rng, rng_unit_is_half_open_and_exact_in_float);
    tcase_add_test(rng, rng_below_covers_its_range);
    tcase_add_test(rng, rng_normal_has_the_moments);
    tcase_add_test(rng, rng_shuffle_is_a_permutation);
    tcase_add_test(rng, rng_shuffle_repeats_and_depends_on_the_epoch);
    tcase_add_test(rng, rng_shuffle_is_fair);
    tcase_add_checked_fixture(file, make_folder, remove_folder);
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
    suite_add_tcase(suite, status);
    suite_add_tcase(suite, arena);
    suite_add_tcase(suite, rng);
    suite_add_tcase(suite, file);
    return run_suite(suite);
}
