/* SPDX-License-Identifier: Apache-2.0
 * test_nmnist.c - reading N-MNIST, as folders of recordings and in its archives, well-formed and hostile.
 *
 * Every case works in a fresh folder with files it writes itself; cases on real data say so when they have none. */
#include <pthread.h>
#include <zip.h>

#include "data_folder.h"

/* ---- recordings ---- */

/* A record of 5 bytes. */
static unsigned char *event(unsigned char *at, int x, int y, int p, int t) {
    const unsigned char record[5] = {(unsigned char)x, (unsigned char)y, (unsigned char)(p << 7 | t >> 16),
                                     (unsigned char)(t >> 8), (unsigned char)t};
    return (unsigned char *)memcpy(at, record, sizeof record) + sizeof record;
}

static void make_digit(const char *split, int digit) {
    char name[32];
    mkdir(in(split), 0777);
    snprintf(name, sizeof name, "%s/%d", split, digit);
    mkdir(in(name), 0777);
}

/* Train/3/00002.bin with these bytes, beside one well-formed recording in each split. */
static void write_nmnist(const void *bytes, size_t size) {
    static const unsigned char good[5] = {0x11, 0x05, 0x81, 0xe2, 0x40};
    make_digit("Train", 3);
    make_digit("Train", 9);
    make_digit("Test", 0);
    write_file("Train/3/00002.bin", bytes, size);
    write_file("Train/9/00001.bin", good, sizeof good);
    write_file("Test/0/00004.bin", good, sizeof good);
}

static int get_first(struct snn_sample *sample) {
    struct snn_dataset *set;
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &set));
    int status = set->ops->get(set, SNN_TRAIN, 0, sample);
    snn_dataset_close(&set);
    return status;
}

static void expect_event(const struct snn_sample *sample, size_t i, int64_t t, int x, int y, int p) {
    ck_assert_uint_lt(i, sample->event_count);
    const struct snn_event *e = &sample->events[i];
    ck_assert_msg(e->t == t && e->x == x && e->y == y && e->p == p, "event %zu: t=%lld x=%d y=%d p=%d", i,
                  (long long)e->t, e->x, e->y, e->p);
}

START_TEST(nmnist_test_vector) {
    struct snn_sample sample = {0};
    write_nmnist("\x11\x05\x81\xe2\x40", 5);
    ck_ok(get_first(&sample));
    ck_assert_int_eq(sample.label, 3);
    ck_assert_uint_eq(sample.event_count, 1);
    expect_event(&sample, 0, 123456, 17, 5, 1);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_largest_values) {
    unsigned char bytes[5];
    struct snn_sample sample = {0};
    event(bytes, 33, 33, 0, 0x7FFFFF);
    write_nmnist(bytes, sizeof bytes);
    ck_ok(get_first(&sample));
    expect_event(&sample, 0, 0x7FFFFF, 33, 33, 0);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_overflow_moves_the_clock) {
    unsigned char bytes[30], *at = bytes;
    at = event(at, 1, 1, 0, 8000);
    at = event(at, 250, 240, 1, 99); /* its x is no coordinate */
    at = event(at, 2, 2, 1, 5);
    at = event(at, 0, 240, 0, 0);
    at = event(at, 0, 240, 0, 0);
    event(at, 3, 3, 1, 7);
    write_nmnist(bytes, sizeof bytes);
    struct snn_sample sample = {0};
    ck_ok(get_first(&sample));
    ck_assert_uint_eq(sample.event_count, 3);
    expect_event(&sample, 0, 8000, 1, 1, 0);
    expect_event(&sample, 1, 8192 + 5, 2, 2, 1);
    expect_event(&sample, 2, 3 * 8192 + 7, 3, 3, 1);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_events_come_in_order_of_time) {
    unsigned char bytes[20], *at = bytes;
    at = event(at, 1, 0, 0, 50);
    at = event(at, 2, 0, 0, 20);
    at = event(at, 3, 0, 0, 50);
    event(at, 4, 0, 0, 20);
    write_nmnist(bytes, sizeof bytes);
    struct snn_sample sample = {0};
    ck_ok(get_first(&sample));
    static const int x[4] = {2, 4, 1, 3}; /* equals keep the file's order */
    for (size_t i = 0; i < 4; ++i) expect_event(&sample, i, i < 2 ? 20 : 50, x[i], 0, 0);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_empty_recording_is_legal) {
    struct snn_sample sample = {0};
    write_nmnist("", 0);
    ck_ok(get_first(&sample));
    ck_assert_uint_eq(sample.event_count, 0);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_refuses_broken) {
    struct snn_sample sample = {0};
    unsigned char bytes[15], *at = bytes;
    at = event(at, 1, 1, 0, 1);
    at = event(at, 1, 1, 0, 2);
    write_nmnist(bytes, 9);
    ck_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: has 9 bytes, expected a multiple of 5");
    event(at, 34, 0, 0, 3);
    write_nmnist(bytes, sizeof bytes);
    ck_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: byte 10: event at x=34 y=0, expected 0..33");
    event(at, 0, 34, 0, 3);
    write_nmnist(bytes, sizeof bytes);
    ck_error(get_first(&sample), SNN_EDATA, "byte 10: event at x=0 y=34");
    unlink(in("Train/3/00002.bin"));
    mkdir(in("Train/3/00002.bin"), 0777);
    ck_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: ");
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_refuses_an_enormous_recording) {
    struct snn_sample sample = {0};
    write_nmnist("", 0);
    ck_assert_int_eq(truncate(in("Train/3/00002.bin"), (off_t)1 << 40), 0); /* sparse: takes no disk */
    ck_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin");
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_lists_digits_then_names) {
    write_nmnist("", 0);
    write_file("Train/3/00010.bin", "", 0);
    write_file("Train/3/00001.bin", "", 0);
    write_file("Train/3/._00001.bin", "x", 1); /* none of these is a recording */
    write_file("Train/3/notes.txt", "x", 1);
    write_file("Train/3/00001.bin.part", "x", 1);
    write_file("Train/README.bin", "x", 1);
    struct snn_dataset *set;
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 4);
    ck_assert_int_eq(set->info.count[SNN_TEST], 1);
    ck_assert_int_eq(set->info.files, 5);
    ck_assert_int_eq(set->info.kind, SNN_RECORDINGS);
    static const size_t events[4] = {0, 0, 0, 1};
    struct snn_sample sample = {0};
    for (int i = 0; i < 4; ++i) {
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, i), i < 3 ? 3 : 9);
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert_uint_eq(sample.event_count, events[i]);
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(nmnist_lower_case_folders) {
    write_nmnist("", 0);
    ck_assert_int_eq(rename(in("Train"), in("train")), 0);
    ck_assert_int_eq(rename(in("Test"), in("test")), 0);
    struct snn_dataset *set;
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 2);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(nmnist_missing_or_empty_split_is_an_error) {
    struct snn_dataset *set;
    make_digit("Train", 3);
    write_file("Train/3/00001.bin", "", 0);
    ck_error(snn_dataset_open("nmnist", folder, NULL, NULL, &set), SNN_EDATA, "holds no Test/ and no Test.zip");
    make_digit("Test", 3);
    ck_error(snn_dataset_open("nmnist", folder, NULL, NULL, &set), SNN_EDATA, "/Test: holds no recordings");
}
END_TEST

/* ---- archives ---- */

static void add_member(zip_t *zip, const char *name, const void *bytes, size_t size) {
    zip_source_t *source = zip_source_buffer(zip, bytes, size, 0);
    ck_assert_int_ge(zip_file_add(zip, name, source, 0), 0);
}

static zip_t *new_archive(const char *name) {
    zip_t *zip = zip_open(in(name), ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(zip);
    return zip;
}

/* `n` events that compress well but not to nothing. */
static unsigned char *some_events(int n) {
    unsigned char *bytes = malloc((size_t)n * 5), *at = bytes;
    for (int i = 0; i < n; ++i) at = event(at, i % 34, i / 3 % 34, i & 1, 40 * i);
    return bytes;
}

START_TEST(nmnist_zip_equals_folder) {
    unsigned char *a = some_events(4000), *b = some_events(70);
    write_nmnist(a, 4000 * 5);
    write_file("Train/9/00001.bin", b, 70 * 5);
    mkdir(in("zip"), 0777);
    zip_t *zip = new_archive("zip/Train.zip");
    zip_dir_add(zip, "Train/", 0);
    add_member(zip, "Train/9/00001.bin", b, 70 * 5);
    add_member(zip, "Train/3/00002.bin", a, 4000 * 5);
    add_member(zip, "__MACOSX/Train/3/._00002.bin", "x", 1);
    add_member(zip, "Train/3/._00002.bin", "x", 1);
    add_member(zip, "Other/3/00005.bin", "x", 1);
    ck_assert_int_eq(zip_close(zip), 0);
    zip = new_archive("zip/test.zip");
    add_member(zip, "test/0/00004.bin", "", 0);
    ck_assert_int_eq(zip_close(zip), 0);

    struct snn_dataset *folders, *archives;
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &folders));
    ck_ok(snn_dataset_open("nmnist", in("zip"), NULL, NULL, &archives));
    ck_assert_int_eq(archives->info.count[SNN_TRAIN], 2);
    ck_assert_int_eq(archives->info.count[SNN_TEST], 1);
    struct snn_sample one = {0}, two = {0};
    for (int i = 0; i < 2; ++i) {
        ck_ok(folders->ops->get(folders, SNN_TRAIN, i, &one));
        ck_ok(archives->ops->get(archives, SNN_TRAIN, i, &two));
        ck_assert_int_eq(one.label, two.label);
        ck_assert_uint_eq(one.event_count, i ? 70 : 4000);
        ck_assert_uint_eq(one.event_count, two.event_count);
        for (size_t k = 0; k < one.event_count; ++k)
            expect_event(&two, k, one.events[k].t, one.events[k].x, one.events[k].y, one.events[k].p);
    }
    ck_ok(archives->ops->get(archives, SNN_TEST, 0, &two));
    ck_assert_uint_eq(two.event_count, 0);
    struct lines lines = {0};
    ck_error(archives->ops->verify(archives, collect, &lines), SNN_EDATA, "2 of the archives are not as distributed");
    ck_assert_ptr_nonnull(strstr(lines.text, "expected 20959b8e626244a1b502305a9e6e2031"));
    snn_sample_free(&one);
    snn_sample_free(&two);
    snn_dataset_close(&folders);
    snn_dataset_close(&archives);
    free(a);
    free(b);
}
END_TEST

/* Both splits in archives; the train split's one member has `size` bytes, stored. Returns the archive's bytes. */
static size_t write_archives(const void *member, size_t size, unsigned char *bytes, size_t room) {
    zip_t *zip = new_archive("Test.zip");
    add_member(zip, "Test/0/00001.bin", "", 0);
    ck_assert_int_eq(zip_close(zip), 0);
    zip = new_archive("Train.zip");
    add_member(zip, "Train/0/00001.bin", member, size);
    zip_set_file_compression(zip, 0, ZIP_CM_STORE, 0);
    ck_assert_int_eq(zip_close(zip), 0);
    return read_whole("Train.zip", bytes, room);
}

START_TEST(nmnist_zip_checksum_is_looked_at) {
    unsigned char bytes[4096], *member = some_events(20), *found;
    struct snn_sample sample = {0};
    size_t size = write_archives(member, 100, bytes, sizeof bytes);
    ck_ok(get_first(&sample));
    found = memmem(bytes, size, member, 100);
    ck_assert_ptr_nonnull(found);
    found[52] ^= 1;
    write_file("Train.zip", bytes, size);
    ck_error(get_first(&sample), SNN_EDATA, "Train.zip/0/00001.bin: cannot be unpacked");
    snn_sample_free(&sample);
    free(member);
}
END_TEST

START_TEST(nmnist_zip_broken_archives) {
    unsigned char bytes[4096], *member = some_events(20);
    struct snn_sample sample = {0};
    struct snn_dataset *set;
    size_t size = write_archives(member, 100, bytes, sizeof bytes);
    write_file("Train.zip", bytes, size - 30); /* the directory at its end is cut */
    ck_error(snn_dataset_open("nmnist", folder, NULL, NULL, &set), SNN_EDATA, "Train.zip: cannot be read");
    write_file("Train.zip", "", 0);
    ck_assert_int_eq(snn_dataset_open("nmnist", folder, NULL, NULL, &set), SNN_EDATA);
    /* The directory announces 2^31 bytes for the member. */
    unsigned char *entry = memmem(bytes, size, "PK\1\2", 4);
    ck_assert_ptr_nonnull(entry);
    memcpy(entry + 24, "\0\0\0\x80", 4);
    write_file("Train.zip", bytes, size);
    ck_error(get_first(&sample), SNN_EDATA, "Train.zip/0/00001.bin: is larger than 67108864 bytes");
    snn_sample_free(&sample);
    free(member);
}
END_TEST

START_TEST(nmnist_verify_counts) {
    unsigned char bytes[10];
    event(event(bytes, 1, 1, 0, 1), 0, 240, 0, 0);
    write_nmnist(bytes, sizeof bytes);
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &set));
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(
        strstr(lines.text, "train: 2 recordings (the full set has 60000), 2 events, 1 clock overflows, 0 broken"));
    write_file("Test/0/00004.bin", "1234567", 7);
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 3 recordings are broken");
    snn_dataset_close(&set);
}
END_TEST

/* ---- real recordings, and several threads ---- */

START_TEST(real_nmnist_is_whole) {
    char root[4200];
    if (!find_shared_set("real_nmnist_is_whole", "nmnist", root, sizeof root)) return;
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("nmnist", root, NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 1000);
    ck_assert_int_eq(set->info.count[SNN_TEST], 100);
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "0 clock overflows"));
    snn_dataset_close(&set);
}
END_TEST

static void *read_all(void *payload) {
    struct snn_dataset *set = payload;
    struct snn_sample sample = {0};
    size_t events = 0;
    for (int round = 0; round < 50; ++round)
        for (int i = 0; i < set->info.count[SNN_TRAIN]; ++i)
            if (set->ops->get(set, SNN_TRAIN, i, &sample) == SNN_OK) events += sample.event_count;
    snn_sample_free(&sample);
    return (void *)events;
}

START_TEST(nmnist_zip_serves_threads) {
    unsigned char bytes[4096], *member = some_events(20);
    write_archives(member, 100, bytes, sizeof bytes);
    struct snn_dataset *set;
    ck_ok(snn_dataset_open("nmnist", folder, NULL, NULL, &set));
    pthread_t thread[3];
    for (int i = 0; i < 3; ++i) ck_assert_int_eq(pthread_create(&thread[i], NULL, read_all, set), 0);
    for (int i = 0; i < 3; ++i) {
        void *events;
        pthread_join(thread[i], &events);
        ck_assert_uint_eq((size_t)events, 50 * 20);
    }
    snn_dataset_close(&set);
    free(member);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("nmnist");
    TCase *nmnist = tcase_create("nmnist");
    tcase_add_checked_fixture(nmnist, make_data_folder, remove_folder);
    tcase_set_timeout(nmnist, 60);
    tcase_add_test(nmnist, nmnist_test_vector);
    tcase_add_test(nmnist, nmnist_largest_values);
    tcase_add_test(nmnist, nmnist_overflow_moves_the_clock);
    tcase_add_test(nmnist, nmnist_events_come_in_order_of_time);
    tcase_add_test(nmnist, nmnist_empty_recording_is_legal);
    tcase_add_test(nmnist, nmnist_refuses_broken);
    tcase_add_test(nmnist, nmnist_refuses_an_enormous_recording);
    tcase_add_test(nmnist, nmnist_lists_digits_then_names);
    tcase_add_test(nmnist, nmnist_lower_case_folders);
    tcase_add_test(nmnist, nmnist_missing_or_empty_split_is_an_error);
    tcase_add_test(nmnist, nmnist_zip_equals_folder);
    tcase_add_test(nmnist, nmnist_zip_checksum_is_looked_at);
    tcase_add_test(nmnist, nmnist_zip_broken_archives);
    tcase_add_test(nmnist, nmnist_verify_counts);
    tcase_add_test(nmnist, real_nmnist_is_whole);
    tcase_add_test(nmnist, nmnist_zip_serves_threads);
    suite_add_tcase(suite, nmnist);
    return run_suite(suite);
}
