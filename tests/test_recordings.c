/* SPDX-License-Identifier: Apache-2.0
 * test_recordings.c - folders named after classes, on disk and in zip archives; how test samples are parted from them;
 * and the sets made of them. */
#include <malloc.h>
#include <sys/stat.h>
#include <zip.h>

#include "data_folder.h"
#include "datasets/events.h"
#include "datasets/parts.h"
#include "datasets/split.h"
#include "datasets/tree.h"
#include "pieces.h"
#include "streamed.h"

static void write_at(const char *path, const void *bytes, size_t size) {
    char folders[300];
    snprintf(folders, sizeof folders, "%s", path);
    for (char *slash = strchr(folders, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(in(folders), 0777);
        *slash = '/';
    }
    write_file(path, bytes, size);
}

static zip_t *new_archive(const char *name) {
    zip_t *zip = zip_open(in(name), ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(zip);
    return zip;
}

static void add_member(zip_t *zip, const char *name, const void *bytes, size_t size) {
    ck_assert_int_ge(zip_file_add(zip, name, zip_source_buffer(zip, bytes, size, 0), 0), 0);
}

/* ---- trees ---- */

static void expect_files(const struct snn_tree *tree, const char *const *names, const int *classes, int count) {
    ck_assert_int_eq(tree->count, count);
    for (int i = 0; i < count; ++i) {
        unsigned char *bytes;
        size_t size;
        ck_assert_str_eq(tree->file[i].name, names[i]);
        ck_assert_int_eq(tree->file[i].class, classes[i]);
        ck_ok(snn_tree_read(tree, i, 100, &bytes, &size));
        ck_assert_uint_eq(size, strlen(names[i])); /* each holds its own name */
        ck_assert_mem_eq(bytes, names[i], size);
        free(bytes);
        char *path = snn_tree_path(tree, i);
        ck_assert_ptr_nonnull(strstr(path, names[i]));
        free(path);
    }
}

static const char *const tree_files[] = {"a b/2.bin", "a/1.bs2", "a/10.BIN", "a/2.bin", "b/x.bin"};
static const int tree_classes[] = {1, 0, 0, 0, 2}, file_order[] = {1, 2, 3, 0, 4};

static void expect_tree(struct snn_tree *tree) {
    static const struct snn_tree_want want = {".bin .bs2", NULL, 0};
    const char *names[5];
    int classes[5], found;
    char **class_name;
    for (int i = 0; i < 5; ++i) names[i] = tree_files[file_order[i]], classes[i] = tree_classes[file_order[i]];
    ck_ok(snn_tree_settle(&tree, 1, &want, &class_name, &found));
    ck_assert_int_eq(found, 3);
    ck_assert_str_eq(class_name[0], "a");
    ck_assert_str_eq(class_name[1], "a b");
    ck_assert_str_eq(class_name[2], "b");
    expect_files(tree, names, classes, 5);
    snn_tree_names_free(class_name, found);
    snn_tree_free(tree);
}

START_TEST(folders_and_archives_are_one) {
    static const struct snn_tree_want want = {".bin .bs2", NULL, 0};
    static const char *const others[] = {"a/x.txt", "a/.hidden.bin", ".git/x.bin", "top.bin", "a/deep/er/x.bin", "e/x"};
    struct snn_tree tree = {0};
    char path[100];
    for (int i = 0; i < 5; ++i) {
        snprintf(path, sizeof path, "f/%s", tree_files[i]);
        write_at(path, tree_files[i], strlen(tree_files[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i) {
        snprintf(path, sizeof path, "f/%s", others[i]);
        write_at(path, "x", 1);
    }
    ck_ok(snn_tree_add_folder(&tree, in("f"), &want));
    expect_tree(&tree);
    zip_t *zip = new_archive("f.zip");
    zip_dir_add(zip, "Top/", 0);
    for (int i = 0; i < 5; ++i) {
        snprintf(path, sizeof path, "Top/%s", tree_files[i]);
        add_member(zip, path, tree_files[i], strlen(tree_files[i]));
    }
    add_member(zip, "Top/a/._2.bin", "x", 1);
    add_member(zip, "__MACOSX/Top/a/._2.bin", "x", 1);
    add_member(zip, "Other/a/9.bin", "x", 1);
    ck_assert_int_eq(zip_close(zip), 0);
    ck_ok(snn_tree_add_zip(&tree, in("f.zip"), "top", &want));
    expect_tree(&tree);
}
END_TEST

START_TEST(named_classes_alone) {
    static const char *const names[] = {"b", "a"};
    static const struct snn_tree_want want = {".bin", names, 2};
    static const char *const expected[] = {"b/1.bin", "a/1.bin", "a/2.bin"};
    static const int classes[] = {0, 1, 1};
    struct snn_tree tree = {0}, *trees[] = {&tree};
    write_at("a/1.bin", "a/1.bin", 7);
    write_at("b/1.bin", "b/1.bin", 7);
    write_at("c/1.bin", "c/1.bin", 7);
    zip_t *zip = new_archive("more.zip");
    add_member(zip, "x/y/a/2.bin", "a/2.bin", 7);
    add_member(zip, "c/2.bin", "c/2.bin", 7);
    ck_assert_int_eq(zip_close(zip), 0);
    ck_ok(snn_tree_add_folder(&tree, folder, &want));
    ck_ok(snn_tree_add_zip(&tree, in("more.zip"), NULL, &want)); /* two places, one tree */
    ck_ok(snn_tree_settle(trees, 1, &want, NULL, NULL));
    expect_files(&tree, expected, classes, 3);
    unsigned char *bytes;
    size_t size;
    ck_error(snn_tree_read(&tree, 0, 3, &bytes, &size), SNN_EDATA, "b/1.bin: ");
    ck_error(snn_tree_read(&tree, 2, 3, &bytes, &size), SNN_EDATA, "more.zip/a/2.bin: is larger than 3 bytes");
    unlink(in("a/1.bin"));
    ck_error(snn_tree_read(&tree, 1, 100, &bytes, &size), SNN_EDATA, "a/1.bin: ");
    snn_tree_free(&tree);
    ck_error(snn_tree_add_folder(&tree, in("none"), &want), SNN_EDATA, "none: cannot be read");
    snn_tree_free(&tree);
    write_file("bad.zip", "no archive", 10);
    ck_error(snn_tree_add_zip(&tree, in("bad.zip"), NULL, &want), SNN_EDATA, "bad.zip: cannot be read");
    snn_tree_free(&tree);
}
END_TEST

/* A zip whose directory claims other sizes, or whose bytes are damaged, is refused file by file. */
START_TEST(archive_damaged_anywhere) {
    static const struct snn_tree_want want = {".bin", NULL, 0};
    static unsigned char whole[4096], bad[4096];
    char noise[700];
    for (size_t i = 0; i < sizeof noise; ++i) noise[i] = (char)(i * i >> 3);
    zip_t *zip = new_archive("x.zip");
    add_member(zip, "a/1.bin", noise, sizeof noise);
    ck_assert_int_eq(zip_close(zip), 0);
    size_t size = read_whole("x.zip", whole, sizeof whole);
    for (size_t i = 0; i < 2 * size; ++i) { /* cut short, or a byte of it changed */
        memcpy(bad, whole, size);
        if (i >= size) bad[i - size] ^= 0x55;
        write_file("x.zip", bad, i < size ? i : size);
        struct snn_tree tree = {0};
        unsigned char *bytes;
        size_t n;
        if (snn_tree_add_zip(&tree, in("x.zip"), NULL, &want) >= 0 && tree.count == 1 &&
            snn_tree_read(&tree, 0, 1 << 20, &bytes, &n) >= 0) {
            ck_assert_uint_eq(n, sizeof noise);
            ck_assert_mem_eq(bytes, noise, n);
            free(bytes);
        }
        snn_tree_free(&tree);
    }
}
END_TEST

/* ---- splits ---- */

static void make_tree(struct snn_tree *tree, int each) {
    static const struct snn_tree_want want = {".bin", NULL, 0};
    struct snn_tree *trees[] = {tree};
    char path[100], **names;
    int32_t classes;
    for (int i = 0; i < each; ++i)
        for (int c = 0; c < 2; ++c) {
            snprintf(path, sizeof path, "%c/rec_%d.bin", 'p' + c, i);
            write_at(path, path, strlen(path));
        }
    ck_ok(snn_tree_add_folder(tree, folder, &want));
    ck_ok(snn_tree_settle(trees, 1, &want, &names, &classes));
    snn_tree_names_free(names, classes);
}

START_TEST(splits_by_every_rule) {
    struct snn_tree tree = {0};
    struct snn_split_options o = {.rule = SNN_SPLIT_HEAD, .test = 0.1};
    int32_t *list[2], count[2], first[5] = {0};
    char text[64];
    make_tree(&tree, 25);
    ck_ok(snn_split_tree(&tree, folder, &o, list, count));
    ck_assert(count[SNN_TRAIN] == 46 && count[SNN_TEST] == 4);          /* ceil(0.9 * 25) = 23 train */
    ck_assert_str_eq(tree.file[list[SNN_TEST][0]].name, "p/rec_8.bin"); /* byte order: .. 7, 8, 9 are the last */
    ck_assert_str_eq(tree.file[list[SNN_TEST][3]].name, "q/rec_9.bin");
    ck_assert_str_eq(snn_split_text(&o, text), "head, 10 % test");
    free(list[0]), free(list[1]);
    o = (struct snn_split_options){.rule = SNN_SPLIT_NUMBER, .test = 0.2};
    ck_ok(snn_split_tree(&tree, folder, &o, list, count));
    ck_assert(count[SNN_TRAIN] == 40 && count[SNN_TEST] == 10);
    for (int i = 0; i < 10; ++i) {
        int number;
        ck_assert_int_eq(sscanf(tree.file[list[SNN_TEST][i]].name + 2, "rec_%d", &number), 1);
        ck_assert_int_lt(number, 5);
    }
    free(list[0]), free(list[1]);
    for (int seed = 0; seed < 5; ++seed) {
        bool seen[50] = {0};
        o = (struct snn_split_options){.rule = SNN_SPLIT_RANDOM, .test = 0.2, .seed = seed};
        ck_ok(snn_split_tree(&tree, folder, &o, list, count));
        ck_assert(count[SNN_TRAIN] == 40 && count[SNN_TEST] == 10);
        for (int s = 0; s < 2; ++s)
            for (int32_t i = 0; i < count[s]; ++i) {
                ck_assert(!seen[list[s][i]]);
                seen[list[s][i]] = true;
                ck_assert(i == 0 || list[s][i] > list[s][i - 1]);
            }
        for (int i = 0; i < 5; ++i) ck_assert_int_eq(tree.file[list[SNN_TEST][i]].class, 0);
        first[seed] = list[SNN_TEST][0] * 50 + list[SNN_TEST][1];
        free(list[0]), free(list[1]);
    }
    ck_assert(first[0] != first[1] || first[1] != first[2]);
    ck_assert_str_eq(snn_split_text(&o, text), "random, 20 % test, seed 4");
    snn_tree_free(&tree);
    remove_folder();
    make_data_folder();
    make_tree(&tree, 1);
    ck_error(snn_split_tree(&tree, folder, &o, list, count), SNN_EDATA,
             "2 files are too few to part 0.2 of each class");
    free(list[0]), free(list[1]);
    snn_tree_free(&tree);
}
END_TEST

/* ---- sets ---- */

static struct snn_conf_doc *doc;
static struct snn_data_config config;

static int open_at(const char *name, const char *root, const char *keys, struct snn_dataset **set) {
    char text[300];
    snprintf(text, sizeof text, "data: {name: %s%s}", name, keys);
    snn_conf_free(&doc);
    SNN_TRY(snn_conf_parse(text, strlen(text), "test", &doc));
    SNN_TRY(snn_data_config_read(snn_conf_get(snn_conf_root(doc), "data"), &config));
    return snn_dataset_open(name, root, NULL, snn_data_set_options(&config), set);
}

static const char *const objects[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};

/* formats' vector: Y=100 X=10 bit 0 = 1, so x=27 y=117 p=0 at 1234567; then class c events more. */
static size_t dvs_file(unsigned char *bytes, int c) {
    static const char head[] = "#!AER-DAT2.0\r\n# made\r\n";
    static const unsigned char record[] = {0, 0, 0x64, 0x15, 0, 0x12, 0xd6, 0x87};
    size_t size = sizeof head - 1;
    memcpy(bytes, head, size);
    for (int i = 0; i <= c; ++i, size += sizeof record) memcpy(bytes + size, record, sizeof record);
    return size;
}

static void expect_dvs(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    ck_assert(set->info.count[SNN_TRAIN] == 90 && set->info.count[SNN_TEST] == 10 && set->info.files == 100);
    ck_assert_str_eq(set->info.split_rule, "head, 10 % test");
    for (int i = 0; i < 90; ++i) {
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert_int_eq(sample.label, i / 9);
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, i), i / 9);
        ck_assert_uint_eq(sample.event_count, (size_t)(i / 9 + 1));
        const struct snn_event *e = &sample.events[0];
        ck_assert(e->x == 27 && e->y == 117 && e->p == 0 && e->t == 1234567);
    }
    for (int i = 0; i < 10; ++i) ck_assert_int_eq(set->ops->label(set, SNN_TEST, i), i);
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "100 recordings: 0 broken, 0 with something to say"));
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}

START_TEST(cifar10_dvs_in_folders_and_archives) {
    unsigned char bytes[400];
    char name[100], text[700];
    struct snn_dataset *set;
    mkdir(in("zips"), 0777);
    for (int c = 0; c < 10; ++c) {
        snprintf(name, sizeof name, "zips/%s.zip", objects[c]);
        zip_t *zip = new_archive(name);
        unsigned char *copy = malloc(400);
        size_t size = dvs_file(copy, c);
        dvs_file(bytes, c);
        for (int i = 0; i < 10; ++i) {
            snprintf(name, sizeof name, "%s/cifar10_%s_%d.aedat", objects[c], objects[c], i);
            write_at(name, bytes, size);
            add_member(zip, name, copy, size);
        }
        ck_assert_int_eq(zip_close(zip), 0);
        free(copy);
    }
    ck_ok(open_at("cifar10_dvs", folder, "", &set));
    expect_dvs(set);
    ck_ok(open_at("cifar10_dvs", in("zips"), "", &set));
    expect_dvs(set);
    unlink(in("zips/frog.zip"));
    snprintf(text, sizeof text, "%s: holds neither frog/ nor frog.zip", in("zips"));
    ck_error(open_at("cifar10_dvs", in("zips"), "", &set), SNN_EDATA, text);
    ck_ok(open_at("cifar10_dvs", folder, ", split: number, test: 0.3", &set));
    ck_assert(set->info.count[SNN_TRAIN] == 70 && set->info.count[SNN_TEST] == 30);
    snn_dataset_close(&set);
    /* A part of a record at the end is left out, and said; another camera's addresses are off this sensor. */
    size_t size = dvs_file(bytes, 3);
    write_at("cat/cifar10_cat_0.aedat", bytes, size - 3);
    ck_ok(open_at("cifar10_dvs", folder, "", &set));
    struct snn_sample sample = {0};
    ck_ok(set->ops->get(set, SNN_TRAIN, 27, &sample));
    ck_assert_uint_eq(sample.event_count, 3);
    ck_assert_int_eq(snn_dataset_warnings(set, text), 1);
    ck_assert_ptr_nonnull(strstr(text, "cat/cifar10_cat_0.aedat: "));
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    write_at("cat/cifar10_cat_1.aedat", "no recording", 12);
    ck_ok(open_at("cifar10_dvs", folder, "", &set));
    struct lines lines = {0};
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 100 recordings are broken");
    ck_assert_ptr_nonnull(strstr(lines.text, "cat/cifar10_cat_1.aedat: "));
    snn_dataset_close(&set);
}
END_TEST

/* Recordings that are files come piece by piece as they come whole, with the same to say; members of archives do not.
 */
START_TEST(piece_by_piece) {
    struct snn_dataset *set;
    struct snn_events_extent extent;
    struct snn_events_stream *stream;
    struct snn_sample whole = {0};
    unsigned char bytes[400];
    char text[600], name[100];
    size_t size = dvs_file(bytes, 3);
    mkdir(in("zips"), 0777);
    for (int c = 0; c < 10; ++c) {
        snprintf(name, sizeof name, "zips/%s.zip", objects[c]);
        zip_t *zip = new_archive(name);
        for (int i = 0; i < 10; ++i) {
            snprintf(name, sizeof name, "%s/cifar10_%s_%d.aedat", objects[c], objects[c], i);
            write_at(name, bytes, i ? size : size - 3); /* a part of a record is left out of the first */
            add_member(zip, name, bytes, size);
        }
        ck_assert_int_eq(zip_close(zip), 0);
    }
    ck_ok(open_at("cifar10_dvs", folder, "", &set));
    for (int32_t i = 0; i < 10; ++i) {
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &whole));
        ck_assert_uint_gt(whole.event_count, 0);
        ck_assert_int_eq(set->ops->survey(set, SNN_TRAIN, i, &extent), SNN_OK);
        ck_assert_int_eq(extent.events, (int64_t)whole.event_count);
        for (uint64_t way = 0; way < 3; ++way) {
            ck_ok(set->ops->stream(set, SNN_TRAIN, i, &extent, &stream));
            expect_parts(stream, &extent, &whole, way);
            snn_events_stream_close(&stream);
        }
    }
    ck_assert_int_eq(snn_dataset_warnings(set, text), 4); /* the first of two classes, twice */
    snn_dataset_close(&set);
    write_at("airplane/cifar10_airplane_0.aedat", "no recording", 12);
    ck_ok(open_at("cifar10_dvs", folder, "", &set));
    ck_error(set->ops->survey(set, SNN_TRAIN, 0, &extent), SNN_EDATA, "airplane/cifar10_airplane_0.aedat: ");
    snn_dataset_close(&set);
    ck_ok(open_at("cifar10_dvs", in("zips"), "", &set));
    ck_assert_int_eq(set->ops->survey(set, SNN_TRAIN, 0, &extent), SNN_READ_WHOLE);
    ck_assert_int_eq(snn_dataset_warnings(set, text), 0);
    snn_dataset_close(&set);
    snn_sample_free(&whole);
}
END_TEST

START_TEST(ncaltech101_in_a_folder_and_its_archive) {
    static const unsigned char record[] = {0x11, 0x05, 0x81, 0xe2, 0x40, 239, 179, 0, 0, 1};
    struct snn_dataset *set;
    char name[100];
    mkdir(in("z"), 0777);
    zip_t *zip = new_archive("z/Caltech101.zip");
    for (int c = 0; c < 3; ++c)
        for (int i = 1; i <= 10; ++i) {
            snprintf(name, sizeof name, "Caltech101/%s/image_%04d.bin", objects[c], i);
            write_at(name, record, sizeof record);
            add_member(zip, name, record, sizeof record);
        }
    ck_assert_int_eq(zip_close(zip), 0);
    char inside[300], packed[300];
    snprintf(inside, sizeof inside, "%s", in("Caltech101"));
    snprintf(packed, sizeof packed, "%s", in("z"));
    const char *roots[] = {folder, inside, packed};
    write_at("Caltech101/accordion/image_0001.bin", record, sizeof record); /* what tells the folder itself */
    for (int r = 0; r < 3; ++r) {
        ck_ok(open_at("ncaltech101", roots[r], ", split: number", &set));
        ck_assert_int_eq(set->info.count[SNN_TEST], 3); /* round(0.1 * 1) is none of the fourth class */
        ck_assert_int_eq(set->info.classes, 101);
        ck_assert_str_eq(set->info.class_name[r < 2 ? 1 : 0], "airplane");
        ck_assert_str_eq(set->info.class_name[100], "(absent)");
        struct snn_sample sample = {0};
        ck_ok(set->ops->get(set, SNN_TEST, 0, &sample));
        ck_assert_uint_eq(sample.event_count, 2);
        ck_assert(sample.events[1].t == 123456 && sample.events[1].x == 17 && sample.events[1].p == 1);
        ck_assert(sample.events[0].x == 239 && sample.events[0].y == 179);
        snn_sample_free(&sample);
        snn_dataset_close(&set);
    }
}
END_TEST

START_TEST(folders_of_ones_own) {
    static const unsigned char record[] = {0x11, 0x05, 0x81, 0xe2, 0x40};
    struct snn_dataset *set;
    unsigned char bytes[400];
    size_t size = dvs_file(bytes, 0);
    write_at("f/train/on/1.bin", record, sizeof record);
    write_at("f/train/off/1.bin", record, sizeof record);
    write_at("f/train/off/2.bs2", record, sizeof record);
    write_at("f/test/on/1.bin", record, sizeof record);
    write_at("f/test/other/1.bin", record, sizeof record);
    ck_error(open_at("event_folder", in("f"), ", shape: [2, 20, 30]", &set), SNN_EDATA,
             "test/other/1.bin: is of a class of which ");
    write_at("f/train/other/1.bin", record, sizeof record);
    ck_error(open_at("event_folder", in("f"), "", &set), SNN_EUSAGE,
             "train/off/1.bin: does not say how large the sensor is: set data.shape to [2, H, W]");
    ck_ok(open_at("event_folder", in("f"), ", shape: [2, 20, 30]", &set));
    ck_assert(set->info.classes == 3 && set->info.C == 2 && set->info.H == 20 && set->info.W == 30);
    ck_assert_str_eq(set->info.class_name[2], "other");
    ck_assert(set->info.count[SNN_TRAIN] == 4 && set->info.count[SNN_TEST] == 2 && !set->info.split_rule);
    ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, 2), 1);
    ck_assert_int_eq(set->ops->label(set, SNN_TEST, 1), 2);
    snn_dataset_close(&set);
    ck_ok(open_at("event_folder", in("f"), ", shape: [2, 5, 30]", &set)); /* too low for y = 5 */
    struct snn_sample sample = {0};
    ck_error(set->ops->get(set, SNN_TRAIN, 0, &sample), SNN_EDATA, "event at x=17 y=5, expected");
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    ck_error(open_at("event_folder", in("f"), ", shape: [1, 5, 30]", &set), SNN_EUSAGE,
             "data.shape: expected [2, H, W]");
    ck_error(open_at("event_folder", in("f"), ", shape: [2, 5]", &set), SNN_EUSAGE, "data.shape: expected [C, H, W]");
    ck_error(open_at("event_folder", in("f"), ", shape: [2, 5, x]", &set), SNN_EUSAGE, "data.shape.2: expected a size");
    ck_error(open_at("event_folder", in("f"), ", format: wav, shape: [2, 5, 30]", &set), SNN_EUSAGE,
             "data.format: 'wav' is no format");
    for (int i = 0; i < 4; ++i) {
        char name[100];
        snprintf(name, sizeof name, "g/left/%d.aedat", i);
        write_at(name, bytes, size);
        snprintf(name, sizeof name, "g/right/%d.aedat", i);
        write_at(name, bytes, size);
    }
    ck_ok(open_at("event_folder", in("g"), ", map: dvs128, test: 0.5, shape: [2, 128, 128]", &set));
    ck_assert(set->info.count[SNN_TRAIN] == 4 && set->info.count[SNN_TEST] == 4);
    ck_assert_str_eq(set->info.split_rule, "head, 50 % test");
    snn_dataset_close(&set);
    mkdir(in("empty"), 0777);
    ck_error(open_at("event_folder", in("empty"), "", &set), SNN_EDATA, "holds no recordings (");
}
END_TEST

/* ---- a loader that reads piece by piece ---- */

/* `n` events of a sensor of 5 x 30 within so many microseconds; some lie before the ones ahead of them. */
static void write_events(const char *path, uint64_t key, int n, int64_t length) {
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "t,x,y,p\n");
    for (uint32_t i = 0; i < (uint32_t)n; ++i) {
        uint64_t draw = drawn(key, i);
        int64_t t = 3000 + (int64_t)i * length / n - (draw % 5 ? 0 : (int64_t)(draw >> 20 & 1023));
        fprintf(f, "%lld,%d,%d,%d\n", (long long)t, (int)(draw >> 4 & 255) % 30, (int)(draw >> 12 & 255) % 5,
                (int)(draw >> 3 & 1));
    }
    fclose(f);
    write_at(path, text, size);
    free(text);
}

static struct snn_loader *loader_of(struct snn_dataset *set, int split) {
    struct snn_loader *loader;
    struct snn_loader_options options = {.config = &config,
                                         .set = set,
                                         .subset = split ? SNN_SUBSET_TEST : SNN_SUBSET_TRAIN,
                                         .batch = 3,
                                         .shuffle = !split,
                                         .cut = 1};
    ck_ok(snn_loader_open(&options, &loader));
    ck_ok(snn_loader_start(loader, 0, 0));
    return loader;
}

static const struct streamed_case {
    const char *keys;
    bool streams;
} streamed_cases[] = {
    {"timesteps: auto, bin: {by: duration, dt: 1 ms}", true},
    {"timesteps: auto, bin: {by: duration, dt: 7 ms, from: zero}, pad: {to: batch}", true},
    {"timesteps: 9, bin: {by: duration, dt: 2 ms, binary: true}, downsample: {space: [2, 4], polarity: merged}", true},
    {"timesteps: auto, bin: {by: duration, dt: 1.5 ms, surface: 4 ms}, downsample: {polarity: signed}", true},
    {"timesteps: 12, bin: {by: count}", false},
    {"timesteps: auto, bin: {by: duration, dt: 2 ms}, downsample: {polarity: on}", false},
};

START_TEST(loaded_piece_by_piece) {
    char name[100], keys[300];
    for (int split = 0; split < 2; ++split)
        for (int i = 0; i < 8; ++i) {
            snprintf(name, sizeof name, "s/%s/%s/%d.csv", split ? "test" : "train", i % 2 ? "left" : "right", i);
            write_events(name, (uint64_t)(10 * split + i), i ? 40 * i : 1, 1000 + 9000 * i);
        }
    const struct streamed_case *c = &streamed_cases[_i];
    for (int pieces = 1; pieces < 8; pieces += 3) {
        struct snn_dataset *set[2];
        snprintf(keys, sizeof keys, ", shape: [2, 5, 30], %s", c->keys);
        ck_ok(open_at("event_folder", in("s"), keys, &set[0]));
        struct snn_loader *whole[2] = {loader_of(set[0], 0), loader_of(set[0], 1)};
        ck_assert_ptr_null(set[0]->extent[0]);
        snprintf(keys, sizeof keys, ", shape: [2, 5, 30], pieces: %d, %s", pieces, c->keys);
        ck_ok(open_at("event_folder", in("s"), keys, &set[1]));
        for (int split = 0; split < 2; ++split) {
            struct snn_loader *parts = loader_of(set[1], split);
            const struct snn_batch *a, *b;
            ck_assert(c->streams == (set[1]->extent[split] != NULL));
            ck_assert_int_eq(snn_loader_max_steps(parts), snn_loader_max_steps(whole[split]));
            for (int batches = 0; batches < 3; ++batches) {
                ck_ok(snn_loader_next(whole[split], &a));
                int32_t at = 0;
                do {
                    ck_ok(snn_loader_next(parts, &b));
                    ck_assert_int_eq(b->t0, at);
                    check_piece(a, b);
                    at += b->T;
                } while (!snn_batch_ends(b));
            }
            ck_ok(snn_loader_next(parts, &b));
            ck_assert_ptr_null(b);
            ck_assert_int_eq(snn_loader_cut(parts), snn_loader_cut(whole[split]));
            snn_loader_close(&parts), snn_loader_close(&whole[split]);
        }
        snn_dataset_close(&set[0]), snn_dataset_close(&set[1]);
    }
}
END_TEST

static bool stops_at_two(void *payload, int64_t done, int64_t total) {
    ck_assert_int_eq(total, 3);
    *(int64_t *)payload = done;
    return done < 2;
}

/* Recordings that are read through before the first batch say so, and hear when to stop. */
START_TEST(reading_through_can_be_stopped) {
    struct snn_dataset *set;
    struct snn_loader *loader;
    int64_t seen = 0;
    char name[100];
    for (int i = 0; i < 4; ++i) {
        snprintf(name, sizeof name, "w/%s/left/%d.csv", i < 3 ? "train" : "test", i);
        write_events(name, (uint64_t)i, 20, 1000);
    }
    ck_ok(open_at("event_folder", in("w"), ", shape: [2, 5, 30], bin: {by: duration, dt: 1 ms}, pieces: 2", &set));
    struct snn_loader_options options = {
        .config = &config, .set = set, .subset = SNN_SUBSET_TRAIN, .batch = 3, .cut = 1};
    set->watch = (struct snn_watch){.moved = stops_at_two, .payload = &seen};
    ck_error(snn_loader_open(&options, &loader), SNN_EINTR, "interrupted");
    ck_assert(seen == 2 && !set->extent[SNN_TRAIN]);
    snn_dataset_close(&set);
}
END_TEST

/* A recording of 5 million bytes, and what a loader takes for an epoch of it. */
START_TEST(memory_of_pieces) {
    enum { EVENTS = 300000 };
    write_events("m/train/left/0.csv", 1, EVENTS, 20000000);
    write_events("m/test/left/0.csv", 2, 10, 1000);
    struct snn_dataset *set;
    size_t bytes[2];
    for (int k = 0; k < 2; ++k) {
        size_t entries = 0;
        ck_ok(open_at("event_folder", in("m"),
                      k ? ", shape: [2, 5, 30], timesteps: auto, bin: {by: duration, dt: 1 ms}, pieces: 50"
                        : ", shape: [2, 5, 30], timesteps: auto, bin: {by: duration, dt: 1 ms}",
                      &set));
        struct mallinfo2 before = mallinfo2();
        struct snn_loader *loader = loader_of(set, 0);
        const struct snn_batch *batch;
        while (snn_loader_next(loader, &batch) >= 0 && batch) entries += snn_batch_entries(batch);
        ck_assert_uint_gt(entries, EVENTS * 3 / 4);
        struct mallinfo2 after = mallinfo2();
        bytes[k] = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
        snn_loader_close(&loader);
        snn_dataset_close(&set);
    }
    if (!bytes[0]) return; /* an allocator of a sanitizer, which does not say */
    ck_assert_msg(bytes[1] < bytes[0] / 20 && bytes[1] < 400000, "%zu bytes in pieces, %zu as a whole", bytes[1],
                  bytes[0]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("recordings");
    TCase *recordings = tcase_create("recordings");
    tcase_add_checked_fixture(recordings, make_data_folder, remove_folder);
    tcase_set_timeout(recordings, 60);
    tcase_add_test(recordings, folders_and_archives_are_one);
    tcase_add_test(recordings, named_classes_alone);
    tcase_add_test(recordings, archive_damaged_anywhere);
    tcase_add_test(recordings, splits_by_every_rule);
    tcase_add_test(recordings, cifar10_dvs_in_folders_and_archives);
    tcase_add_test(recordings, piece_by_piece);
    tcase_add_loop_test(recordings, loaded_piece_by_piece, 0, sizeof streamed_cases / sizeof *streamed_cases);
    tcase_add_test(recordings, reading_through_can_be_stopped);
    tcase_add_test(recordings, memory_of_pieces);
    tcase_add_test(recordings, ncaltech101_in_a_folder_and_its_archive);
    tcase_add_test(recordings, folders_of_ones_own);
    suite_add_tcase(suite, recordings);
    return run_suite(suite);
}
