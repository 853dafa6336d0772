/* SPDX-License-Identifier: Apache-2.0
 * test_cifar.c - reading CIFAR-10 and CIFAR-100, extracted and in their archives, well-formed and hostile.
 *
 * Every case works in a fresh folder with files it writes itself; cases on real data say so when they have none. */
#include "data_folder.h"
#include "made_tar.h"

enum { PIXELS = 3 * 32 * 32, TEN = 1 + PIXELS, HUNDRED = 2 + PIXELS };

static const char *const batch[6] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                     "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

static unsigned char pixel(int image, int j) { return (unsigned char)(7 * image + j); }

/* Image `image` of CIFAR-10 with label image mod 10; returns where the next one goes. */
static unsigned char *put_ten(unsigned char *at, int image) {
    *at++ = (unsigned char)(image % 10);
    for (int j = 0; j < PIXELS; ++j) *at++ = pixel(image, j);
    return at;
}

static unsigned char *put_hundred(unsigned char *at, int image, int coarse, int fine) {
    *at++ = (unsigned char)coarse;
    *at++ = (unsigned char)fine;
    for (int j = 0; j < PIXELS; ++j) *at++ = pixel(image, j);
    return at;
}

/* File i has some images, as many as `images` says, numbered over all files. */
static const int images[6] = {2, 1, 1, 3, 1, 2};

static size_t make_batch(int i, unsigned char *bytes) {
    int first = 0;
    unsigned char *at = bytes;
    for (int k = 0; k < i; ++k) first += images[k];
    for (int k = 0; k < images[i]; ++k) at = put_ten(at, first + k);
    return (size_t)(at - bytes);
}

static void write_ten(const char *below) {
    unsigned char bytes[3 * TEN];
    for (int i = 0; i < 6; ++i) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", below, batch[i]);
        write_file(name, bytes, make_batch(i, bytes));
    }
}

static struct made_tar tar;

static void write_ten_archive(void) {
    unsigned char bytes[3 * TEN];
    tar.size = 0;
    tar_put(&tar, "cifar-10-batches-bin/", '5', NULL, 0, 0);
    tar_file(&tar, "cifar-10-batches-bin/readme.html", "<html>", 6);
    for (int i = 5; i >= 0; --i) {
        char name[64];
        snprintf(name, sizeof name, "cifar-10-batches-bin/%s", batch[i]);
        tar_file(&tar, name, bytes, make_batch(i, bytes));
    }
    tar_end(&tar);
    tar_write_gz(&tar, "cifar-10-binary.tar.gz");
}

static int open_ten(struct snn_dataset **set) { return snn_dataset_open("cifar10", folder, NULL, NULL, set); }

/* The set that write_ten writes, in the folder, in the folder that the archive makes, and in the archive. */
START_TEST(cifar10_round_trip) {
    if (_i == 0) write_ten("");
    if (_i == 1) mkdir(in("cifar-10-batches-bin"), 0777), write_ten("cifar-10-batches-bin/");
    if (_i == 2) write_ten_archive();
    struct snn_dataset *set;
    ck_ok(open_ten(&set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 8);
    ck_assert_int_eq(set->info.count[SNN_TEST], 2);
    ck_assert_int_eq(set->info.C * 10000 + set->info.H * 100 + set->info.W, 33232);
    ck_assert_int_eq(set->info.classes, 10);
    ck_assert_int_eq(set->info.files, 6);
    ck_assert_int_eq(set->info.kind, SNN_IMAGES);
    ck_assert_str_eq(set->info.class_name[2], "bird");
    struct snn_sample sample = {0};
    for (int image = 0; image < 10; ++image) {
        enum snn_split split = image < 8 ? SNN_TRAIN : SNN_TEST;
        int i = image < 8 ? image : image - 8;
        ck_ok(set->ops->get(set, split, i, &sample));
        ck_assert_int_eq(sample.label, image);
        ck_assert_int_eq(set->ops->label(set, split, i), image);
        for (int j = 0; j < PIXELS; ++j) ck_assert_int_eq(sample.pixels[j], pixel(image, j));
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(cifar100_fine_and_coarse) {
    unsigned char bytes[3 * HUNDRED];
    put_hundred(put_hundred(put_hundred(bytes, 0, 19, 99), 1, 4, 0), 2, 0, 72);
    if (_i == 0) {
        write_file("train.bin", bytes, 2 * HUNDRED);
        write_file("test.bin", bytes + 2 * HUNDRED, HUNDRED);
    } else {
        tar.size = 0;
        tar_file(&tar, "cifar-100-binary/train.bin", bytes, 2 * HUNDRED);
        tar_file(&tar, "cifar-100-binary/test.bin", bytes + 2 * HUNDRED, HUNDRED);
        tar_end(&tar);
        tar_write_gz(&tar, "cifar-100-binary.tar.gz");
    }
    static const int fine[3] = {99, 0, 72}, coarse[3] = {19, 4, 0};
    for (int by_coarse = 0; by_coarse < 2; ++by_coarse) {
        struct snn_dataset *set;
        struct snn_sample sample = {0};
        ck_ok(snn_dataset_open(by_coarse ? "cifar100_coarse" : "cifar100", folder, NULL, NULL, &set));
        ck_assert_int_eq(set->info.classes, by_coarse ? 20 : 100);
        ck_assert_int_eq(set->info.count[SNN_TRAIN], 2);
        ck_assert_int_eq(set->info.count[SNN_TEST], 1);
        for (int image = 0; image < 3; ++image) {
            enum snn_split split = image < 2 ? SNN_TRAIN : SNN_TEST;
            ck_ok(set->ops->get(set, split, image % 2, &sample));
            ck_assert_int_eq(sample.label, by_coarse ? coarse[image] : fine[image]);
            ck_assert_int_eq(set->ops->label(set, split, image % 2), sample.label);
            for (int j = 0; j < PIXELS; ++j) ck_assert_int_eq(sample.pixels[j], pixel(image, j));
        }
        const char *const *name = set->info.class_name;
        for (int c = 1; c < set->info.classes; ++c)
            ck_assert_str_lt(name[c - 1], name[c]); /* alphabetical, all there */
        ck_assert_str_eq(name[set->info.classes - 1], by_coarse ? "vehicles_2" : "worm");
        snn_sample_free(&sample);
        snn_dataset_close(&set);
    }
}
END_TEST

START_TEST(cifar_missing_part_is_named) {
    struct snn_dataset *set;
    ck_error(open_ten(&set), SNN_EDATA, "download cifar-10-binary.tar.gz");
    write_ten_archive();
    write_ten("");
    unlink(in(batch[3]));
    ck_error(open_ten(&set), SNN_EDATA, "holds no data_batch_4.bin");
    for (int i = 0; i < 6; ++i) unlink(in(batch[i]));
    ck_ok(open_ten(&set)); /* the archive remains */
    snn_dataset_close(&set);
    tar.size = 0;
    tar_file(&tar, "cifar-10-batches-py/data_batch_1", "x", 1);
    tar_end(&tar);
    tar_write_gz(&tar, "cifar-10-binary.tar.gz");
    ck_error(open_ten(&set), SNN_EDATA, "cifar-10-binary.tar.gz: holds no cifar-10-batches-bin/data_batch_1.bin");
}
END_TEST

START_TEST(cifar_cut_anywhere_is_refused) {
    unsigned char bytes[3 * TEN];
    struct snn_dataset *set;
    write_ten("");
    make_batch(3, bytes);
    for (size_t cut = 0; cut <= 2 * TEN; cut += cut > TEN + 8 && cut < 2 * TEN - 8 ? 7 : 1) {
        write_file(batch[3], bytes, cut);
        if (cut && cut % TEN == 0) {
            ck_ok(open_ten(&set));
            ck_assert_int_eq(set->info.count[SNN_TRAIN], 5 + (int)(cut / TEN));
            snn_dataset_close(&set);
            continue;
        }
        char sentence[128];
        snprintf(sentence, sizeof sentence,
                 "data_batch_4.bin: has %zu bytes, expected a whole number of records of 3073 bytes", cut);
        ck_error(open_ten(&set), SNN_EDATA, sentence);
        ck_assert_ptr_null(set);
    }
}
END_TEST

START_TEST(cifar_archive_cut_anywhere_is_refused) {
    static unsigned char bytes[1 << 16];
    struct snn_dataset *set;
    write_ten_archive();
    size_t size = read_whole("cifar-10-binary.tar.gz", bytes, sizeof bytes);
    ck_assert_uint_gt(size, 300);
    for (size_t cut = 0; cut < size; ++cut) {
        write_file("cifar-10-binary.tar.gz", bytes, cut);
        ck_assert_msg(open_ten(&set) == SNN_EDATA, "cut to %zu of %zu bytes", cut, size);
        ck_assert_ptr_nonnull(strstr(snn_error_text(), "cifar-10-binary.tar.gz"));
    }
}
END_TEST

START_TEST(cifar_labels_are_looked_at) {
    unsigned char bytes[2 * HUNDRED];
    struct snn_dataset *set;
    write_ten("");
    put_ten(put_ten(bytes, 0), 1);
    bytes[TEN] = 10;
    write_file(batch[5], bytes, 2 * TEN);
    ck_error(open_ten(&set), SNN_EDATA, "test_batch.bin: record 1 has label 10, expected 0..9");
    write_file("test.bin", bytes, put_hundred(bytes, 0, 0, 0) - bytes);
    write_file("train.bin", bytes, put_hundred(bytes, 0, 20, 0) - bytes);
    ck_error(snn_dataset_open("cifar100", folder, NULL, NULL, &set), SNN_EDATA,
             "train.bin: record 0 has label 20, expected 0..19");
    write_file("train.bin", bytes, put_hundred(bytes, 0, 19, 100) - bytes);
    ck_error(snn_dataset_open("cifar100_coarse", folder, NULL, NULL, &set), SNN_EDATA,
             "train.bin: record 0 has label 100, expected 0..99");
}
END_TEST

START_TEST(cifar_enormous_files_are_refused) {
    struct snn_dataset *set;
    write_ten("");
    ck_assert_int_eq(truncate(in(batch[1]), (off_t)1 << 40), 0); /* sparse: takes no disk */
    ck_error(open_ten(&set), SNN_EDATA, "data_batch_2.bin: has 1099511627776 bytes, expected at most 268435456");
    unlink(in(batch[1]));
    for (int i = 0; i < 6; ++i) unlink(in(batch[i]));
    tar.size = 0;
    tar_put(&tar, "cifar-10-batches-bin/data_batch_1.bin", '0', "x", 1, UINT64_C(1) << 60);
    tar_end(&tar);
    tar_write_gz(&tar, "cifar-10-binary.tar.gz");
    ck_error(open_ten(&set), SNN_EDATA, "cifar-10-binary.tar.gz: cannot be read as a tar archive");
}
END_TEST

START_TEST(cifar_verify) {
    struct snn_dataset *set;
    struct lines lines = {0};
    write_ten("");
    ck_ok(open_ten(&set));
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_int_eq(lines.count, 6);
    ck_assert_ptr_nonnull(
        strstr(lines.text, "data_batch_4.bin: 3 records (the distributed file has 10000), well-formed"));
    snn_dataset_close(&set);
    for (int i = 0; i < 6; ++i) unlink(in(batch[i]));

    lines = (struct lines){0};
    write_ten_archive();
    ck_ok(open_ten(&set));
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "cifar-10-binary.tar.gz: is not as distributed");
    ck_assert_ptr_nonnull(strstr(lines.text, "expected c32a1d4ab5d03f1284b67883e8d87530"));
    snn_dataset_close(&set);

    lines = (struct lines){0};
    unsigned char bytes[HUNDRED];
    put_hundred(bytes, 0, 1, 1);
    write_file("train.bin", bytes, sizeof bytes);
    write_file("test.bin", bytes, sizeof bytes);
    ck_ok(snn_dataset_open("cifar100", folder, NULL, NULL, &set));
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "2 of 2 files of cifar100 are not as distributed");
    ck_assert_ptr_nonnull(strstr(lines.text, "expected 6172c7755cfe09b2fe270c85cebc1b15"));
    ck_assert_ptr_nonnull(strstr(lines.text, "expected 4499cfba6c016c1be1438163640a0898"));
    snn_dataset_close(&set);
}
END_TEST

START_TEST(real_cifar10) {
    char root[4200];
    if (!find_shared_set("real_cifar10", "cifar-10-batches-bin", root, sizeof root)) return;
    static const int first[2][10] = {{6, 9, 9, 4, 1, 1, 2, 7, 8, 3}, {3, 8, 8, 0, 6, 6, 1, 6, 3, 1}};
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("cifar10", root, NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 8068);
    ck_assert_int_eq(set->info.count[SNN_TEST], 1017);
    for (int split = 0; split < 2; ++split)
        for (int i = 0; i < 10; ++i) ck_assert_int_eq(set->ops->label(set, split, i), first[split][i]);
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "data_batch_1.bin: 4000 records (the distributed file has 10000)"));
    snn_dataset_close(&set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cifar");
    TCase *cifar = tcase_create("cifar");
    tcase_add_checked_fixture(cifar, make_data_folder, remove_folder);
    tcase_set_timeout(cifar, 60);
    tcase_add_loop_test(cifar, cifar10_round_trip, 0, 3);
    tcase_add_loop_test(cifar, cifar100_fine_and_coarse, 0, 2);
    tcase_add_test(cifar, cifar_missing_part_is_named);
    tcase_add_test(cifar, cifar_cut_anywhere_is_refused);
    tcase_add_test(cifar, cifar_archive_cut_anywhere_is_refused);
    tcase_add_test(cifar, cifar_labels_are_looked_at);
    tcase_add_test(cifar, cifar_enormous_files_are_refused);
    tcase_add_test(cifar, cifar_verify);
    tcase_add_test(cifar, real_cifar10);
    suite_add_tcase(suite, cifar);
    return run_suite(suite);
}
