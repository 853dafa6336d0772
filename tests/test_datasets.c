/* SPDX-License-Identifier: Apache-2.0
 * test_datasets.c - finding data sets, and reading IDX files, well-formed and hostile.
 *
 * Every case works in a fresh folder with files it writes itself; cases on real data say so when they have none. */
#include <stdint.h>
#include <zlib.h>

#include "data_folder.h"
#include "datasets/loader.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, TRAIN = 3, TEST = 2 };

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

static int open_mnist(struct snn_dataset **set) { return snn_dataset_open("mnist", folder, NULL, NULL, set); }

START_TEST(idx_round_trip) {
    write_set(_i);
    struct snn_dataset *set;
    ck_ok(open_mnist(&set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], TRAIN);
    ck_assert_int_eq(set->info.count[SNN_TEST], TEST);
    ck_assert_int_eq(set->info.C * 10000 + set->info.H * 100 + set->info.W, 12828);
    ck_assert_int_eq(set->info.files, 4);
    ck_assert_int_eq(set->info.kind, SNN_IMAGES);
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
    ck_error(open_mnist(&set), SNN_EDATA, broken[_i].sentence);
    ck_error(SNN_EDATA, SNN_EDATA, idx_name[broken[_i].file]); /* the file is named */
    ck_assert_ptr_null(set);
}
END_TEST

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
    ck_error(open_mnist(&set), SNN_EDATA, "the gzip stream is damaged");
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
    ck_error(open_mnist(&set), SNN_EDATA, "has 1 bytes behind the end of its gzip stream");
}
END_TEST

START_TEST(gz_wrong_length_is_refused) {
    write_set(true);
    unsigned char bytes[16 + TRAIN * PIXELS + 1] = {0};
    size_t size = make_idx(0, TRAIN, bytes);
    struct snn_dataset *set;
    write_gz(packed_images, bytes, size - 1);
    ck_error(open_mnist(&set), SNN_EDATA, "holds 2367 bytes, expected 2368");
    write_gz(packed_images, bytes, size + 1);
    ck_error(open_mnist(&set), SNN_EDATA, "goes on behind the 2368 bytes");
}
END_TEST

START_TEST(gz_bomb_header_takes_no_memory) {
    write_set(true);
    unsigned char bytes[16 + TRAIN * PIXELS];
    size_t size = make_idx(0, TRAIN, bytes);
    put32(bytes + 4, 1 << 20); /* 784 MiB out of some 400 bytes */
    write_gz(packed_images, bytes, size);
    struct snn_dataset *set;
    ck_error(open_mnist(&set), SNN_EDATA, "cannot hold them");
}
END_TEST

START_TEST(idx_missing_part_is_named) {
    write_set(false);
    unlink(in(idx_name[3]));
    struct snn_dataset *set;
    ck_error(open_mnist(&set), SNN_EDATA, "holds no t10k-labels-idx1-ubyte[.gz]");
}
END_TEST

/* ---- EMNIST ---- */

static const struct {
    const char *name;
    int classes, first_label;
    const char *first_class, *last_class;
} variants[] = {{"balanced", 47, 0, "0", "t"}, {"letters", 26, 1, "A", "Z"}, {"digits", 10, 0, "0", "9"},
                {"byclass", 62, 0, "0", "z"},  {"bymerge", 47, 0, "0", "t"}, {"mnist", 10, 0, "0", "9"}};

/* The four files of a variant; the labels of both splits begin with the first and the last one. */
static void write_emnist(int variant, int last_label) {
    static const char *const part[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte",
                                        "test-labels-idx1-ubyte"};
    unsigned char bytes[16 + TRAIN * PIXELS];
    for (int i = 0; i < 4; ++i) {
        char name[80];
        size_t size = make_idx(i, TEST, bytes);
        if (i % 2) bytes[8] = (unsigned char)variants[variant].first_label, bytes[9] = (unsigned char)last_label;
        snprintf(name, sizeof name, "emnist-%s-%s.gz", variants[variant].name, part[i]);
        write_gz(name, bytes, size);
    }
}

static int open_emnist(const char *variant, struct snn_dataset **set) {
    static struct snn_data_config config; /* the set's options live as long as it */
    struct snn_conf_doc *doc;
    char text[100];
    int n = snprintf(text, sizeof text, "{name: emnist, variant: %s}", variant);
    ck_ok(snn_conf_parse(text, (size_t)n, "made.yaml", &doc));
    ck_ok(snn_data_config_read(snn_conf_root(doc), &config));
    snn_conf_free(&doc);
    struct snn_dataset_info about = snn_dataset_about(snn_dataset_find("emnist"), snn_data_set_options(&config));
    int status = snn_dataset_open("emnist", folder, NULL, snn_data_set_options(&config), set);
    if (status >= 0) {
        ck_assert_int_eq(about.classes, (*set)->info.classes); /* known before any file is */
        ck_assert(about.C == 1 && about.H == SIDE && about.W == SIDE);
    }
    return status;
}

START_TEST(emnist_variants) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    int classes = variants[_i].classes;
    write_emnist(_i, variants[_i].first_label + classes - 1);
    ck_ok(open_emnist(variants[_i].name, &set));
    ck_assert_int_eq(set->info.classes, classes);
    ck_assert_int_eq(set->info.count[SNN_TRAIN], TEST);
    ck_assert_int_eq(set->info.count[SNN_TEST], TEST);
    ck_assert_str_eq(set->info.class_name[0], variants[_i].first_class);
    ck_assert_str_eq(set->info.class_name[classes - 1], variants[_i].last_class);
    for (int k = 0; k < TEST; ++k) {
        ck_ok(set->ops->get(set, SNN_TRAIN, k, &sample));
        ck_assert_int_eq(sample.label, k ? classes - 1 : 0);
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, k), sample.label);
        for (int y = 0; y < SIDE; ++y) /* rows are stored as columns */
            for (int x = 0; x < SIDE; ++x) ck_assert_int_eq(sample.pixels[y * SIDE + x], (7 * k + x * SIDE + y) % 256);
    }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(emnist_refuses) {
    struct snn_dataset *set;
    write_emnist(1, 27);
    ck_error(open_emnist("letters", &set), SNN_EDATA, "label 1 is 27, expected 1..26");
    write_emnist(1, 0);
    ck_error(open_emnist("letters", &set), SNN_EDATA, "label 1 is 0, expected 1..26");
    ck_error(open_emnist("balanced", &set), SNN_EDATA, "holds no emnist-balanced-train-images-idx3-ubyte[.gz]");
    write_emnist(0, 47);
    ck_error(open_emnist("balanced", &set), SNN_EDATA, "label 1 is 47, expected 0..46");
}
END_TEST

/* ---- verify ---- */

START_TEST(verify_tells_other_contents) {
    write_set(false);
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("fashion_mnist", folder, NULL, NULL, &set));
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "4 of 4 files of fashion_mnist");
    ck_assert_int_eq(lines.count, 4);
    ck_assert_ptr_nonnull(strstr(lines.text, "expected f4a8712d7a061bf5bd6d2ca38dc4d50a"));
    snn_dataset_close(&set);

    lines = (struct lines){0};
    ck_ok(snn_dataset_open("kmnist", folder, NULL, NULL, &set));
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "contents not proven"));
    unlink(in(idx_name[2]));
    lines = (struct lines){0};
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 4 files of kmnist");
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
    ck_ok(snn_dataset_open("fashion_mnist", NULL, NULL, NULL, &set));
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
    char root[4200];
    if (!find_shared_set("real_mnist", "mnist", root, sizeof root)) return;
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("mnist", root, NULL, NULL, &set));
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
        ck_assert(ops->help && (ops->how_to_get || ops->made));
        ck_assert(!ops->C || (ops->classes > 1 && ops->H * ops->W > 0)); /* else options or files say the shape */
        ck_assert((ops->has || ops->made) && ops->open && ops->get && ops->label && ops->verify && ops->close);
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

    ck_error(snn_dataset_open("mnist", NULL, NULL, NULL, &set), SNN_EDATA,
             "mnist was not found (no --data, no data.root");
    setenv("SNNTRAIN_DATA", base, 1);
    ck_ok(snn_dataset_open("mnist", NULL, "/nowhere", NULL, &set)); /* root has none: the next place */
    ck_assert_str_eq(set->root, root);
    snn_dataset_close(&set);

    ck_error(snn_dataset_open("mnist", "/nowhere", root, NULL, &set),
             SNN_EDATA, /* --data is the only place looked at */
             "mnist was not found in /nowhere: run `snntrain data fetch mnist -o DIR`, or download the four");
    ck_error(snn_dataset_open("mnist", base, NULL, NULL, &set), SNN_EDATA,
             "but in its folder mnist: name that one with --data");
    setenv("SNNTRAIN_DATA", "/none", 1);
    ck_error(
        snn_dataset_open("nmnist", NULL, "/nowhere", NULL, &set), SNN_EDATA,
        "nmnist was not found in /nowhere, /none/nmnist: run `snntrain data fetch nmnist -o DIR`, or download Train");
    ck_error(snn_dataset_open("nmnit", NULL, NULL, NULL, &set), SNN_EUSAGE, "'nmnit'");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("datasets");
    TCase *idx = tcase_create("idx"), *places = tcase_create("places");
    TCase *all[] = {idx, places};
    for (int i = 0; i < 2; ++i) {
        tcase_add_checked_fixture(all[i], make_data_folder, remove_folder);
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
    tcase_add_loop_test(idx, emnist_variants, 0, sizeof variants / sizeof *variants);
    tcase_add_test(idx, emnist_refuses);
    tcase_add_test(idx, verify_tells_other_contents);
    tcase_add_test(idx, real_fashion_mnist);
    tcase_add_test(idx, real_mnist);
    tcase_add_test(places, table_names_are_unique_and_complete);
    tcase_add_test(places, places_are_tried_in_order);
    return run_suite(suite);
}
