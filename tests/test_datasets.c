/* SPDX-License-Identifier: Apache-2.0
 * test_datasets.c - finding and reading data sets: IDX files and N-MNIST, well-formed and hostile.
 *
 * Every case works in a fresh folder with files it writes itself; cases on real data say so when they have none. */
#include <ftw.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include "core/file.h"
#include "datasets/dataset.h"
#include "snn_check.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, TRAIN = 3, TEST = 2 };
static char folder[256];

static void make_folder(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/snn_data_XXXXXX", base ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    unsetenv("SNNTRAIN_DATA");
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *level) {
    (void)info, (void)type, (void)level;
    return remove(path);
}

static void remove_folder(void) { nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

/* folder/name, valid until the call after the next. */
static const char *in(const char *name) {
    static char path[2][600];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *f = fopen(in(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void expect_error(int status, int code, const char *part) {
    ck_assert_msg(status == code && strstr(snn_error_text(), part), "status %d (expected %d), \"%s\" (expected \"%s\")",
                  status, code, snn_error_text(), part);
}

/* ---- IDX ---- */

static const char *const idx_name[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};

static void put32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; ++i) at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* File i of a set of `n` samples into `bytes`; pixel j of image k is (7k + j) mod 256, label k is k + 1. */
static size_t make_idx(int i, uint32_t n, unsigned char *bytes) {
    bool labels = i % 2;
    size_t header = labels ? 8 : 16, items = labels ? n : n * PIXELS;
    put32(bytes, labels ? 0x801 : 0x803);
    put32(bytes + 4, n);
    if (!labels) put32(bytes + 8, SIDE), put32(bytes + 12, SIDE);
    for (size_t j = 0; j < items; ++j)
        bytes[header + j] = (unsigned char)(labels ? j + 1 : 7 * (j / PIXELS) + j % PIXELS);
    return header + items;
}

static void write_gz(const char *name, const void *bytes, size_t size) {
    gzFile f = gzopen(in(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(gzwrite(f, bytes, (unsigned)size), (int)size);
    gzclose(f);
}

static void write_set(bool packed) {
    unsigned char bytes[16 + TRAIN * PIXELS];
    for (int i = 0; i < 4; ++i) {
        char name[64];
        size_t size = make_idx(i, i < 2 ? TRAIN : TEST, bytes);
        snprintf(name, sizeof name, "%s%s", idx_name[i], packed ? ".gz" : "");
        if (packed) write_gz(name, bytes, size);
        else write_file(name, bytes, size);
    }
}

static int open_mnist(struct snn_dataset **set) { return snn_dataset_open("mnist", folder, NULL, set); }

START_TEST(idx_round_trip) {
    write_set(_i);
    struct snn_dataset *set;
    ck_ok(open_mnist(&set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], TRAIN);
    ck_assert_int_eq(set->info.count[SNN_TEST], TEST);
    ck_assert_int_eq(set->info.C * 10000 + set->info.H * 100 + set->info.W, 12828);
    ck_assert_int_eq(set->info.files, 4);
    ck_assert(!set->info.events);
    ck_assert_str_eq(set->info.class_name[7], "7");
    ck_assert_str_eq(set->root, folder);
    struct snn_sample sample = {0};
    for (int split = 0; split < 2; ++split)
        for (int k = 0; k < set->info.count[split]; ++k) {
            ck_ok(set->ops->get(set, split, k, &sample));
            ck_assert_int_eq(sample.label, k + 1);
            ck_assert_int_eq(set->ops->label(set, split, k), k + 1);
            for (int j = 0; j < PIXELS; ++j) ck_assert_int_eq(sample.pixels[j], (7 * k + j) % 256);
        }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    ck_assert_ptr_null(set);
}
END_TEST

START_TEST(idx_packed_file_is_preferred) {
    write_set(true);
    write_file(idx_name[0], "unfinished", 10); /* left by an interrupted gunzip */
    struct snn_dataset *set;
    ck_ok(open_mnist(&set));
    snn_dataset_close(&set);
}
END_TEST

/* One broken file among good ones: what it holds, and a part of the sentence. */
static const struct {
    const char *what;
    int file;
    size_t cut;   /* bytes taken from the end */
    size_t extra; /* bytes added */
    int at;       /* -1, or the offset of a 32-bit number that is replaced by... */
    uint32_t value;
    const char *sentence;
} broken[] = {
    {"empty", 0, 16 + TRAIN *PIXELS, 0, -1, 0, "holds 0 bytes, expected 16 for its header"},
    {"short header", 0, TRAIN *PIXELS + 1, 0, -1, 0, "holds 15 bytes, expected 16"},
    {"wrong magic", 0, 0, 0, 0, 0x803 + 0x500, "starts with 0x00000d03, expected 0x00000803"},
    {"labels where images belong", 0, 0, 0, 0, 0x801, "expected 0x00000803 (IDX, 3 dimensions of bytes)"},
    {"images where labels belong", 1, 0, 0, 0, 0x803, "expected 0x00000801 (IDX, 1 dimension of bytes)"},
    {"no samples", 0, TRAIN *PIXELS, 0, 4, 0, "holds no samples"},
    {"a row too many", 0, 0, 0, 8, 29, "side of 29 pixels, expected 28"},
    {"a column too few", 2, 0, 0, 12, 27, "side of 27 pixels, expected 28"},
    {"huge count", 0, 0, 0, 4, 0xFFFFFFFF, "promises 3367254359280 bytes"},
    {"one image short", 0, PIXELS, 0, -1, 0, "promises 2352 bytes"},
    {"one byte short", 2, 1, 0, -1, 0, "promises 1568 bytes"},
    {"one byte more", 0, 0, 1, -1, 0, "goes on behind the 2368 bytes"},
    {"one label more than images", 1, 0, 1, 4, TRAIN + 1, "has 4 labels, expected 3 as there are images"},
    {"a label of 10", 3, 2, 2, -1, 10, "label 0 is 10, expected 0..9"},
};

START_TEST(idx_refuses_broken) {
    write_set(false);
    unsigned char bytes[64 + TRAIN * PIXELS];
    size_t size = make_idx(broken[_i].file, broken[_i].file < 2 ? TRAIN : TEST, bytes) - broken[_i].cut;
    for (size_t k = 0; k < broken[_i].extra; ++k) bytes[size++] = (unsigned char)broken[_i].value;
    if (broken[_i].at >= 0) put32(bytes + broken[_i].at, broken[_i].value);
    write_file(idx_name[broken[_i].file], bytes, size);
    struct snn_dataset *set;
    expect_error(open_mnist(&set), SNN_EDATA, broken[_i].sentence);
    expect_error(SNN_EDATA, SNN_EDATA, idx_name[broken[_i].file]); /* the file is named */
    ck_assert_ptr_null(set);
}
END_TEST

static size_t read_whole(const char *name, unsigned char *bytes, size_t room) {
    FILE *f = fopen(in(name), "rb");
    ck_assert_ptr_nonnull(f);
    size_t size = fread(bytes, 1, room, f);
    fclose(f);
    return size;
}

static const char *const packed_images = "train-images-idx3-ubyte.gz";

START_TEST(gz_cut_anywhere_is_refused) {
    write_set(true);
    unsigned char bytes[8192];
    size_t size = read_whole(packed_images, bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; ++cut) {
        write_file(packed_images, bytes, cut);
        struct snn_dataset *set;
        ck_assert_msg(open_mnist(&set) == SNN_EDATA, "cut to %zu of %zu bytes", cut, size);
        ck_assert_ptr_nonnull(strstr(snn_error_text(), packed_images));
        if (cut >= 2) ck_assert_ptr_nonnull(strstr(snn_error_text(), "ends too early")); /* 2: known as gzip */
    }
}
END_TEST

START_TEST(gz_changed_byte_is_refused) {
    write_set(true);
    unsigned char bytes[8192];
    size_t size = read_whole(packed_images, bytes, sizeof bytes);
    struct snn_dataset *set;
    bytes[size - 6] ^= 1; /* the checksum */
    write_file(packed_images, bytes, size);
    expect_error(open_mnist(&set), SNN_EDATA, "the gzip stream is damaged");
    bytes[size - 6] ^= 1;
    bytes[size / 2] ^= 0x10; /* the data */
    write_file(packed_images, bytes, size);
    ck_assert_int_eq(open_mnist(&set), SNN_EDATA);
}
END_TEST

START_TEST(gz_trailing_bytes_are_refused) {
    write_set(true);
    unsigned char bytes[8192];
    size_t size = read_whole(packed_images, bytes, sizeof bytes);
    bytes[size] = 0;
    write_file(packed_images, bytes, size + 1);
    struct snn_dataset *set;
    expect_error(open_mnist(&set), SNN_EDATA, "has 1 bytes behind the end of its gzip stream");
}
END_TEST

START_TEST(gz_wrong_length_is_refused) {
    write_set(true);
    unsigned char bytes[16 + TRAIN * PIXELS + 1] = {0};
    size_t size = make_idx(0, TRAIN, bytes);
    struct snn_dataset *set;
    write_gz(packed_images, bytes, size - 1);
    expect_error(open_mnist(&set), SNN_EDATA, "holds 2367 bytes, expected 2368");
    write_gz(packed_images, bytes, size + 1);
    expect_error(open_mnist(&set), SNN_EDATA, "goes on behind the 2368 bytes");
}
END_TEST

START_TEST(gz_bomb_header_takes_no_memory) {
    write_set(true);
    unsigned char bytes[16 + TRAIN * PIXELS];
    size_t size = make_idx(0, TRAIN, bytes);
    put32(bytes + 4, 1 << 20); /* 784 MiB out of some 400 bytes */
    write_gz(packed_images, bytes, size);
    struct snn_dataset *set;
    expect_error(open_mnist(&set), SNN_EDATA, "cannot hold them");
}
END_TEST

START_TEST(idx_missing_part_is_named) {
    write_set(false);
    unlink(in(idx_name[3]));
    struct snn_dataset *set;
    expect_error(open_mnist(&set), SNN_EDATA, "holds no t10k-labels-idx1-ubyte[.gz]");
}
END_TEST

/* ---- verify ---- */

struct lines {
    int count;
    char text[4096];
};

static void collect(void *payload, const char *line) {
    struct lines *lines = payload;
    size_t used = strlen(lines->text);
    snprintf(lines->text + used, sizeof lines->text - used, "%s\n", line);
    ++lines->count;
}

START_TEST(verify_tells_other_contents) {
    write_set(false);
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("fashion_mnist", folder, NULL, &set));
    expect_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "4 of 4 files of fashion_mnist");
    ck_assert_int_eq(lines.count, 4);
    ck_assert_ptr_nonnull(strstr(lines.text, "expected f4a8712d7a061bf5bd6d2ca38dc4d50a"));
    snn_dataset_close(&set);

    lines = (struct lines){0};
    ck_ok(snn_dataset_open("kmnist", folder, NULL, &set));
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "checksum is not known"));
    unlink(in(idx_name[2]));
    lines = (struct lines){0};
    expect_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 4 files of kmnist");
    ck_assert_ptr_nonnull(strstr(lines.text, "has gone"));
    snn_dataset_close(&set);
}
END_TEST

START_TEST(real_fashion_mnist) {
    struct snn_dataset *set;
    if (!snn_dataset_find("fashion_mnist")->has("/usr/share/datasets/fashion-mnist")) {
        fprintf(stderr, "skipped: real_fashion_mnist: the package dataset-fashion-mnist is not installed\n");
        return;
    }
    static const int first[2][10] = {{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, {9, 2, 1, 1, 6, 1, 4, 6, 5, 7}};
    ck_ok(snn_dataset_open("fashion_mnist", NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 60000);
    ck_assert_int_eq(set->info.count[SNN_TEST], 10000);
    for (int split = 0; split < 2; ++split) {
        int per_class[10] = {0};
        for (int i = 0; i < 10; ++i) ck_assert_int_eq(set->ops->label(set, split, i), first[split][i]);
        for (int i = 0; i < set->info.count[split]; ++i) ++per_class[set->ops->label(set, split, i)];
        for (int k = 0; k < 10; ++k) ck_assert_int_eq(per_class[k], split ? 1000 : 6000);
    }
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_int_eq(lines.count, 4);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(real_mnist) {
    const char *shared = shared_dir();
    if (!shared) {
        fprintf(stderr, "skipped: real_mnist: no shared reference data\n");
        return;
    }
    char root[4200];
    snprintf(root, sizeof root, "%s/data/mnist", shared);
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("mnist", root, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 60000);
    ck_assert_int_eq(set->info.count[SNN_TEST], 10000);
    ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, 0), 5);
    ck_assert_int_eq(set->ops->label(set, SNN_TEST, 0), 7);
    ck_ok(set->ops->verify(set, collect, &lines));
    snn_dataset_close(&set);
}
END_TEST

/* ---- places ---- */

START_TEST(table_names_are_unique_and_complete) {
    for (int i = 0; snn_datasets[i]; ++i) {
        const struct snn_dataset_ops *ops = snn_datasets[i];
        ck_assert_ptr_eq(snn_dataset_find(ops->name), ops);
        ck_assert(ops->help && ops->how_to_get && ops->classes > 1 && ops->C * ops->H * ops->W > 0);
        ck_assert(ops->has && ops->open && ops->get && ops->label && ops->verify && ops->close);
    }
    ck_assert_ptr_null(snn_dataset_find("mnis"));
}
END_TEST

START_TEST(places_are_tried_in_order) {
    struct snn_dataset *set;
    mkdir(in("mnist"), 0777);
    char base[256], root[512];
    memcpy(base, folder, sizeof base);
    snprintf(folder, sizeof folder, "%.240s/mnist", base);
    write_set(false);
    memcpy(root, folder, sizeof base);
    memcpy(folder, base, sizeof base);

    expect_error(snn_dataset_open("mnist", NULL, NULL, &set), SNN_EDATA,
                 "mnist was not found (no --data, no data.root");
    setenv("SNNTRAIN_DATA", base, 1);
    ck_ok(snn_dataset_open("mnist", NULL, "/nowhere", &set)); /* root has none: the next place */
    ck_assert_str_eq(set->root, root);
    snn_dataset_close(&set);

    expect_error(snn_dataset_open("mnist", "/nowhere", root, &set), SNN_EDATA, /* --data is the only place looked at */
                 "mnist was not found in /nowhere: download the four");
    setenv("SNNTRAIN_DATA", "/none", 1);
    expect_error(snn_dataset_open("nmnist", NULL, "/nowhere", &set), SNN_EDATA,
                 "nmnist was not found in /nowhere, /none/nmnist: download Train.zip");
    expect_error(snn_dataset_open("nmnit", NULL, NULL, &set), SNN_EUSAGE, "'nmnit'");
}
END_TEST

/* ---- N-MNIST ---- */

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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &set));
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
    expect_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: has 9 bytes, expected a multiple of 5");
    event(at, 34, 0, 0, 3);
    write_nmnist(bytes, sizeof bytes);
    expect_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: byte 10: event at x=34 y=0, expected 0..33");
    event(at, 0, 34, 0, 3);
    write_nmnist(bytes, sizeof bytes);
    expect_error(get_first(&sample), SNN_EDATA, "byte 10: event at x=0 y=34");
    unlink(in("Train/3/00002.bin"));
    mkdir(in("Train/3/00002.bin"), 0777);
    expect_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin: ");
    snn_sample_free(&sample);
}
END_TEST

START_TEST(nmnist_refuses_an_enormous_recording) {
    struct snn_sample sample = {0};
    write_nmnist("", 0);
    ck_assert_int_eq(truncate(in("Train/3/00002.bin"), (off_t)1 << 40), 0); /* sparse: takes no disk */
    expect_error(get_first(&sample), SNN_EDATA, "Train/3/00002.bin");
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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 4);
    ck_assert_int_eq(set->info.count[SNN_TEST], 1);
    ck_assert_int_eq(set->info.files, 5);
    ck_assert(set->info.events);
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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 2);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(nmnist_missing_or_empty_split_is_an_error) {
    struct snn_dataset *set;
    make_digit("Train", 3);
    write_file("Train/3/00001.bin", "", 0);
    expect_error(snn_dataset_open("nmnist", folder, NULL, &set), SNN_EDATA, "holds no Test/ and no Test.zip");
    make_digit("Test", 3);
    expect_error(snn_dataset_open("nmnist", folder, NULL, &set), SNN_EDATA, "/Test: holds no recordings");
}
END_TEST

/* ---- N-MNIST in its archives ---- */

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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &folders));
    ck_ok(snn_dataset_open("nmnist", in("zip"), NULL, &archives));
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
    expect_error(archives->ops->verify(archives, collect, &lines), SNN_EDATA,
                 "2 of the archives are not as distributed");
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
    expect_error(get_first(&sample), SNN_EDATA, "Train.zip/0/00001.bin: cannot be unpacked");
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
    expect_error(snn_dataset_open("nmnist", folder, NULL, &set), SNN_EDATA, "Train.zip: cannot be read");
    write_file("Train.zip", "", 0);
    ck_assert_int_eq(snn_dataset_open("nmnist", folder, NULL, &set), SNN_EDATA);
    /* The directory announces 2^31 bytes for the member. */
    unsigned char *entry = memmem(bytes, size, "PK\1\2", 4);
    ck_assert_ptr_nonnull(entry);
    memcpy(entry + 24, "\0\0\0\x80", 4);
    write_file("Train.zip", bytes, size);
    expect_error(get_first(&sample), SNN_EDATA, "Train.zip/0/00001.bin: is larger than 67108864 bytes");
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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &set));
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(
        strstr(lines.text, "train: 2 recordings (the full set has 60000), 2 events, 1 clock overflows, 0 broken"));
    write_file("Test/0/00004.bin", "1234567", 7);
    expect_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 3 recordings are broken");
    snn_dataset_close(&set);
}
END_TEST

/* ---- real N-MNIST, and several threads ---- */

static bool real_nmnist(const char *test, char *root, size_t size) {
    const char *shared = shared_dir();
    if (shared) snprintf(root, size, "%s/data/nmnist", shared);
    else fprintf(stderr, "skipped: %s: no shared reference data\n", test);
    return shared != NULL;
}

START_TEST(real_nmnist_is_whole) {
    char root[4200];
    if (!real_nmnist("real_nmnist_is_whole", root, sizeof root)) return;
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("nmnist", root, NULL, &set));
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
    ck_ok(snn_dataset_open("nmnist", folder, NULL, &set));
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
    Suite *suite = suite_create("datasets");
    TCase *idx = tcase_create("idx"), *places = tcase_create("places"), *nmnist = tcase_create("nmnist");
    TCase *all[] = {idx, places, nmnist};
    for (int i = 0; i < 3; ++i) {
        tcase_add_checked_fixture(all[i], make_folder, remove_folder);
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_loop_test(idx, idx_round_trip, 0, 2);
    tcase_add_test(idx, idx_packed_file_is_preferred);
    tcase_add_loop_test(idx, idx_refuses_broken, 0, sizeof broken / sizeof *broken);
    tcase_add_test(idx, gz_cut_anywhere_is_refused);
    tcase_add_test(idx, gz_changed_byte_is_refused);
    tcase_add_test(idx, gz_trailing_bytes_are_refused);
    tcase_add_test(idx, gz_wrong_length_is_refused);
    tcase_add_test(idx, gz_bomb_header_takes_no_memory);
    tcase_add_test(idx, idx_missing_part_is_named);
    tcase_add_test(idx, verify_tells_other_contents);
    tcase_add_test(idx, real_fashion_mnist);
    tcase_add_test(idx, real_mnist);
    tcase_add_test(places, table_names_are_unique_and_complete);
    tcase_add_test(places, places_are_tried_in_order);
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
    return run_suite(suite);
}
