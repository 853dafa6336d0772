/* SPDX-License-Identifier: Apache-2.0
 * test_archive.c - members of tar archives, well-formed and hostile. */
#include <stdint.h>

#include "datasets/archive.h"
#include "made_tar.h"

enum { LIMIT = 4000 };

static struct snn_member found[2];

static int read_two(const char *file) {
    found[0] = (struct snn_member){.name = "d/one"};
    found[1] = (struct snn_member){.name = "d/two"};
    return snn_archive_read(in(file), found, 2, LIMIT);
}

static void forget_two(void) {
    for (int i = 0; i < 2; ++i) free(found[i].bytes);
}

static void refused(const char *file, const char *sentence) {
    ck_error(read_two(file), SNN_EDATA, sentence);
    forget_two();
    ck_assert_ptr_nonnull(strstr(snn_error_text(), file));
}

static struct made_tar tar;

/* Bytes that compress to nothing much, and others that do not. */
static const unsigned char *noise(void) {
    static unsigned char bytes[LIMIT + 1];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof bytes; ++i)
        bytes[i] = (unsigned char)((state = state * 1664525u + 1013904223u) >> 24);
    return bytes;
}

static void fresh(void) {
    make_folder();
    tar.size = 0;
}

START_TEST(members_come_whole) {
    tar_put(&tar, "d/", '5', NULL, 0, 0);
    tar_file(&tar, "d/other", noise(), LIMIT + 1); /* the limit is for what is asked for */
    tar_file(&tar, "./d/two", noise(), LIMIT);
    tar_file(&tar, "d/one.bak", "x", 1);
    tar_file(&tar, "e/d/one", "x", 1);
    tar_put(&tar, "d/two", '2', NULL, 0, 0); /* a link is no file */
    tar_file(&tar, "d/one", "", 0);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    write_file("a.tar", tar.bytes, tar.size);
    for (int packed = 0; packed < 2; ++packed) {
        ck_ok(read_two(packed ? "a.tar.gz" : "a.tar"));
        ck_assert_ptr_nonnull(found[0].bytes);
        ck_assert_uint_eq(found[0].size, 0);
        ck_assert_uint_eq(found[1].size, LIMIT);
        ck_assert(!memcmp(found[1].bytes, noise(), LIMIT));
        forget_two();
    }
}
END_TEST

START_TEST(a_missing_member_has_no_bytes) {
    tar_file(&tar, "d/two", "abc", 3);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    ck_ok(read_two("a.tar.gz"));
    ck_assert_ptr_null(found[0].bytes);
    ck_assert_uint_eq(found[1].size, 3);
    forget_two();
}
END_TEST

START_TEST(broken_archives_are_refused) {
    refused("none.tar.gz", "cannot be opened");
    mkdir(in("folder.tar.gz"), 0777);
    refused("folder.tar.gz", "is not a regular file");
    ck_assert_int_eq(mkfifo(in("fifo.tar.gz"), 0666), 0);
    refused("fifo.tar.gz", "is not a regular file");
    write_file("text.tar.gz", "this is no archive at all, but a page that says so", 50);
    refused("text.tar.gz", "cannot be read as a tar archive");

    tar_file(&tar, "d/one", noise(), LIMIT + 1);
    tar_end(&tar);
    tar_write_gz(&tar, "large.tar.gz");
    refused("large.tar.gz", "large.tar.gz/d/one: is larger than 4000 bytes");

    tar.size = 0;
    tar_file(&tar, "d/one", "abc", 3);
    tar_file(&tar, "./d/one", "abc", 3);
    tar_end(&tar);
    tar_write_gz(&tar, "twice.tar.gz");
    refused("twice.tar.gz", "holds d/one twice");
}
END_TEST

/* A header that claims 2^60 bytes, in the place of a member that is asked for and of one that is not. */
START_TEST(claims_take_no_memory) {
    tar_put(&tar, _i ? "d/one" : "d/other", '0', "abc", 3, UINT64_C(1) << 60);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    refused("a.tar.gz", "cannot be read as a tar archive: Truncated");
}
END_TEST

/* GNU's sparse file: 512 bytes of data that lie at 2^34 of 2^34 + 512. */
START_TEST(holes_take_no_memory) {
    tar_put(&tar, "d/one", 'S', noise(), 512, 512);
    memcpy(tar.bytes + 257, "ustar  \0", 8);
    memcpy(tar.bytes + 386,
           "200000000000"
           "000000001000",
           24);                                  /* offset, length */
    memcpy(tar.bytes + 483, "200000001000", 12); /* the whole */
    tar_checksum(tar.bytes);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    refused("a.tar.gz", "a.tar.gz/d/one: is stored with holes");
}
END_TEST

START_TEST(cut_anywhere_is_refused) {
    unsigned char bytes[8192];
    tar_file(&tar, "d/one", noise(), 600);
    tar_file(&tar, "d/two", noise() + 600, 100);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    size_t size = read_whole("a.tar.gz", bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; ++cut) {
        write_file("a.tar.gz", bytes, cut);
        ck_assert_msg(read_two("a.tar.gz") == SNN_EDATA || !found[0].bytes, "cut to %zu of %zu bytes", cut, size);
        if (cut >= 18) ck_assert_ptr_nonnull(strstr(snn_error_text(), "ends too early")); /* 18: known as gzip */
        forget_two();
    }
}
END_TEST

/* Some changes say the same in other words, such as copying zeros from a longer way back. */
START_TEST(changed_anywhere_is_refused_or_harmless) {
    unsigned char bytes[8192];
    tar_file(&tar, "d/one", noise(), 600);
    tar_file(&tar, "d/two", noise() + 600, 100);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    size_t size = read_whole("a.tar.gz", bytes, sizeof bytes), harmless = 0;
    for (size_t at = 10; at < size; ++at) { /* 10: behind the header of gzip, whose date and system say nothing */
        bytes[at] ^= 0x10;
        write_file("a.tar.gz", bytes, size);
        int status = read_two("a.tar.gz");
        bool same = status == SNN_OK && found[0].size == 600 && found[1].size == 100 &&
                    !memcmp(found[0].bytes, noise(), 600) && !memcmp(found[1].bytes, noise() + 600, 100);
        ck_assert_msg(status == SNN_EDATA || same, "byte %zu of %zu changed", at, size);
        harmless += same;
        forget_two();
        bytes[at] ^= 0x10;
    }
    ck_assert_uint_lt(harmless, size / 100);
}
END_TEST

START_TEST(a_wrong_checksum_is_refused) {
    unsigned char bytes[8192];
    tar_file(&tar, "d/one", noise(), 600);
    tar_end(&tar);
    tar_write_gz(&tar, "a.tar.gz");
    size_t size = read_whole("a.tar.gz", bytes, sizeof bytes);
    bytes[size - 6] ^= 1;
    write_file("a.tar.gz", bytes, size);
    refused("a.tar.gz", "a.tar.gz: cannot be read as a tar archive: incorrect data check");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("archive");
    TCase *archive = tcase_create("archive");
    tcase_add_checked_fixture(archive, fresh, remove_folder);
    tcase_set_timeout(archive, 60);
    tcase_add_test(archive, members_come_whole);
    tcase_add_test(archive, a_missing_member_has_no_bytes);
    tcase_add_test(archive, broken_archives_are_refused);
    tcase_add_loop_test(archive, claims_take_no_memory, 0, 2);
    tcase_add_test(archive, holes_take_no_memory);
    tcase_add_test(archive, cut_anywhere_is_refused);
    tcase_add_test(archive, changed_anywhere_is_refused_or_harmless);
    tcase_add_test(archive, a_wrong_checksum_is_refused);
    suite_add_tcase(suite, archive);
    return run_suite(suite);
}
