/* SPDX-License-Identifier: Apache-2.0
 * cifar.c - CIFAR-10 and CIFAR-100, "binary version": as extracted, or in the distributed .tar.gz.
 *
 * A file is a row of records: one label byte (CIFAR-100: coarse, then fine), then 32x32 pixels red, green, blue, which
 * is (C,H,W) already. Nothing says how many there are, so any whole number of records is taken. A set is kept in memory
 * as it was read. Krizhevsky, "Learning multiple layers of features from tiny images" (2009);
 * https://www.cs.toronto.edu/~kriz/cifar.html */
#include <limits.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/archive.h"
#include "datasets/dataset.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, MAX_FILES = 6, MAX_LABELS = 2 };
static const size_t limit = (size_t)1 << 28; /* bytes of one file; the largest distributed one has 154 million */

struct family {          /* what differs between the sets */
    const char *folder;  /* in the archive, and where it is extracted */
    const char *archive; /* as distributed */
    const char *archive_md5;
    const char *file[MAX_FILES]; /* training files first */
    const char *md5[MAX_FILES];  /* or NULL: not known */
    int32_t full[MAX_FILES];     /* records as distributed */
    int files, test;             /* test: index of the first test file */
    int labels, used;            /* label bytes of a record, and which of them is the label */
    int32_t classes[MAX_LABELS]; /* by label byte */
    const char *const *class_name;
};

struct cifar_set {
    struct snn_dataset base;
    const struct family *family;
    char place[PATH_MAX];           /* the folder of the files, or the archive */
    bool packed;                    /* place is the archive */
    struct snn_member m[MAX_FILES]; /* the files' bytes; m.name is the path in the archive */
    char member_name[MAX_FILES][64];
    int32_t count[MAX_FILES]; /* records */
};

static size_t record_size(const struct family *family) { return (size_t)family->labels + PIXELS; }

/* ---- what is there ---- */

static bool holds_files(const struct family *family, const char *folder) {
    char path[PATH_MAX];
    for (int i = 0; i < family->files; ++i)
        if (snprintf(path, sizeof path, "%s/%s", folder, family->file[i]) < PATH_MAX && snn_file_exists(path))
            return true;
    return false;
}

/* Where the set is below `root`: the files there, or in the folder that the archive extracts to, or the archive. */
static bool find_place(const struct family *family, const char *root, char *place, bool *packed) {
    *packed = false;
    if (snprintf(place, PATH_MAX, "%s", root) < PATH_MAX && holds_files(family, place)) return true;
    if (snprintf(place, PATH_MAX, "%s/%s", root, family->folder) < PATH_MAX && holds_files(family, place)) return true;
    *packed = true;
    return snprintf(place, PATH_MAX, "%s/%s", root, family->archive) < PATH_MAX && snn_file_exists(place);
}

/* ---- reading ---- */

static int read_files(struct cifar_set *set) {
    const struct family *family = set->family;
    char path[PATH_MAX + 64];
    for (int i = 0; i < family->files; ++i) {
        snprintf(path, sizeof path, "%s/%s", set->place, family->file[i]);
        if (!snn_file_exists(path)) return snn_error(SNN_EDATA, "%s: holds no %s", set->place, family->file[i]);
        SNN_TRY(snn_file_read(path, limit, &set->m[i].bytes, &set->m[i].size));
    }
    return SNN_OK;
}

static int read_archive(struct cifar_set *set) {
    const struct family *family = set->family;
    SNN_TRY(snn_archive_read(set->place, set->m, family->files, limit));
    for (int i = 0; i < family->files; ++i)
        if (!set->m[i].bytes) return snn_error(SNN_EDATA, "%s: holds no %s", set->place, set->m[i].name);
    return SNN_OK;
}

/* Counts the records of file i and looks at every label. */
static int check_file(struct cifar_set *set, int i) {
    const struct family *family = set->family;
    const char *name = set->packed ? set->m[i].name : family->file[i];
    size_t size = set->m[i].size, record = record_size(family);
    if (!size || size % record)
        return snn_error(SNN_EDATA, "%s/%s: has %zu bytes, expected a whole number of records of %zu bytes", set->place,
                         name, size, record);
    set->count[i] = (int32_t)(size / record);
    for (int32_t k = 0; k < set->count[i]; ++k)
        for (int b = 0; b < family->labels; ++b) {
            int value = set->m[i].bytes[(size_t)k * record + (size_t)b];
            if (value >= family->classes[b])
                return snn_error(SNN_EDATA, "%s/%s: record %d has label %d, expected 0..%d", set->place, name, (int)k,
                                 value, (int)family->classes[b] - 1);
        }
    return SNN_OK;
}

static int load(struct cifar_set *set, const char *root) {
    const struct family *family = set->family;
    if (!find_place(family, root, set->place, &set->packed))
        return snn_error(SNN_EDATA, "%s: holds no %s and no %s", root, family->file[0], family->archive);
    for (int i = 0; i < family->files; ++i) {
        snprintf(set->member_name[i], sizeof set->member_name[i], "%s/%s", family->folder, family->file[i]);
        set->m[i].name = set->member_name[i];
    }
    SNN_TRY(set->packed ? read_archive(set) : read_files(set));
    for (int i = 0; i < family->files; ++i) {
        SNN_TRY(check_file(set, i));
        set->base.info.count[i < family->test ? SNN_TRAIN : SNN_TEST] += set->count[i];
    }
    set->base.info.files = family->files;
    set->base.info.class_name = family->class_name;
    return SNN_OK;
}

static void close_set(struct snn_dataset *base) {
    struct cifar_set *set = (struct cifar_set *)base;
    for (int i = 0; i < MAX_FILES; ++i) free(set->m[i].bytes);
    free(set);
}

static int open_family(const struct family *family, const char *root, struct snn_dataset **out) {
    struct cifar_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->family = family;
    int status = load(set, root);
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

/* ---- samples ---- */

static const unsigned char *record_of(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct cifar_set *set = (const struct cifar_set *)base;
    SNN_CHECK(i >= 0 && i < base->info.count[split], "sample %d of %d", i, base->info.count[split]);
    int file = split == SNN_TRAIN ? 0 : set->family->test;
    while (i >= set->count[file]) i -= set->count[file++];
    return set->m[file].bytes + (size_t)i * record_size(set->family);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    return record_of(base, split, i)[((const struct cifar_set *)base)->family->used];
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct family *family = ((const struct cifar_set *)base)->family;
    const unsigned char *record = record_of(base, split, i);
    SNN_TRY(snn_sample_room(sample, PIXELS, 0));
    sample->label = record[family->used];
    memcpy(sample->pixels, record + family->labels, PIXELS);
    return SNN_OK;
}

/* ---- verify ---- */

/* One line about the archive into `line`; false when it is not what was distributed. */
static bool verify_archive(const struct cifar_set *set, char *line, size_t size) {
    char md5[MD5_DIGEST_STRING_LENGTH] = "unreadable";
    bool good = MD5File(set->place, md5) && !strcmp(md5, set->family->archive_md5);
    if (good) snprintf(line, size, "%s: as distributed (md5)", set->place);
    else snprintf(line, size, "%s: has md5 %s, expected %s", set->place, md5, set->family->archive_md5);
    return good;
}

/* The same about file i, whose bytes were read and whose records were looked at when the set was opened. */
static bool verify_file(const struct cifar_set *set, int i, char *line, size_t size) {
    const struct family *family = set->family;
    const char *name = set->packed ? set->m[i].name : family->file[i], *wanted = family->md5[i], *said;
    char md5[MD5_DIGEST_STRING_LENGTH], other[2 * MD5_DIGEST_STRING_LENGTH + 32];
    MD5Data(set->m[i].bytes, set->m[i].size, md5);
    bool good = !wanted || !strcmp(md5, wanted);
    snprintf(other, sizeof other, "md5 %s, expected %s", md5, wanted ? wanted : "");
    if (!good) said = other;
    else if (wanted) said = "as distributed (md5)";
    else if (set->packed) said = "well-formed";
    else said = "well-formed; the checksum of the single file is not known";
    snprintf(line, size, "%s/%s: %d records (the distributed file has %d), %s", set->place, name, (int)set->count[i],
             (int)family->full[i], said);
    return good;
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    const struct cifar_set *set = (const struct cifar_set *)base;
    char line[PATH_MAX + 256];
    int bad = 0;
    bool archive = true;
    if (set->packed) {
        archive = verify_archive(set, line, sizeof line);
        report(payload, line);
    }
    for (int i = 0; i < set->family->files; ++i) {
        bad += !verify_file(set, i, line, sizeof line);
        report(payload, line);
    }
    if (!archive) return snn_error(SNN_EDATA, "%s: is not as distributed", set->place);
    if (bad)
        return snn_error(SNN_EDATA, "%s: %d of %d files of %s are not as distributed", set->place, bad,
                         set->family->files, base->info.name);
    bool proven = set->packed;
    for (int i = 0; !set->packed && i < set->family->files; ++i) proven = set->family->md5[i] && (!i || proven);
    return proven ? SNN_AS_DISTRIBUTED : SNN_WELL_FORMED;
}

/* ---- the members of the family ---- */

static const char *const cifar10_name[10] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                             "dog",      "frog",       "horse", "ship", "truck"};
static const char *const fine_name[100] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};
static const char *const coarse_name[20] = {"aquatic_mammals",
                                            "fish",
                                            "flowers",
                                            "food_containers",
                                            "fruit_and_vegetables",
                                            "household_electrical_devices",
                                            "household_furniture",
                                            "insects",
                                            "large_carnivores",
                                            "large_man-made_outdoor_things",
                                            "large_natural_outdoor_scenes",
                                            "large_omnivores_and_herbivores",
                                            "medium_mammals",
                                            "non-insect_invertebrates",
                                            "people",
                                            "reptiles",
                                            "small_mammals",
                                            "trees",
                                            "vehicles_1",
                                            "vehicles_2"};

static const struct family cifar10 = {
    .folder = "cifar-10-batches-bin",
    .archive = "cifar-10-binary.tar.gz",
    .archive_md5 = "c32a1d4ab5d03f1284b67883e8d87530",
    .file = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
             "test_batch.bin"},
    .full = {10000, 10000, 10000, 10000, 10000, 10000},
    .files = 6,
    .test = 5,
    .labels = 1,
    .used = 0,
    .classes = {10},
    .class_name = cifar10_name,
};

#define CIFAR100                                                                                                       \
    .folder = "cifar-100-binary", .archive = "cifar-100-binary.tar.gz",                                                \
    .archive_md5 = "03b5dce01913d631647c71ecec9e9cb8", .file = {"train.bin", "test.bin"},                              \
    .md5 = {"6172c7755cfe09b2fe270c85cebc1b15", "4499cfba6c016c1be1438163640a0898"}, .full = {50000, 10000},           \
    .files = 2, .test = 1, .labels = 2, .classes = {20, 100}

static const struct family cifar100 = {CIFAR100, .used = 1, .class_name = fine_name};
static const struct family cifar100_coarse = {CIFAR100, .used = 0, .class_name = coarse_name};

static bool has_cifar10(const char *root) {
    char place[PATH_MAX];
    bool packed;
    return find_place(&cifar10, root, place, &packed);
}
static bool has_cifar100(const char *root) {
    char place[PATH_MAX];
    bool packed;
    return find_place(&cifar100, root, place, &packed);
}

static int open_cifar10(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&cifar10, root, out);
}
static int open_cifar100(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&cifar100, root, out);
}
static int open_cifar100_coarse(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&cifar100_coarse, root, out);
}

#define CIFAR_OPS                                                                                                      \
    .C = 3, .H = SIDE, .W = SIDE, .kind = SNN_IMAGES, .get = get, .label = label, .verify = verify, .close = close_set
static const char cifar100_how_to_get[] =
    "download cifar-100-binary.tar.gz (169 MB) from https://www.cs.toronto.edu/~kriz/cifar.html and name its folder "
    "with --data; it need not be unpacked";

const struct snn_dataset_ops snn_cifar10 = {
    .name = "cifar10",
    .help = "photographs of animals and vehicles in 10 classes, 32x32 RGB, 50000 train and 10000 test images",
    .classes = 10,
    .how_to_get = "download cifar-10-binary.tar.gz (162 MB) from https://www.cs.toronto.edu/~kriz/cifar.html and name "
                  "its folder with --data; it need not be unpacked",
    .has = has_cifar10,
    .open = open_cifar10,
    CIFAR_OPS,
};
const struct snn_dataset_ops snn_cifar100 = {
    .name = "cifar100",
    .help = "photographs in 100 classes (fine labels), 32x32 RGB, 50000 train and 10000 test images",
    .classes = 100,
    .how_to_get = cifar100_how_to_get,
    .has = has_cifar100,
    .open = open_cifar100,
    CIFAR_OPS,
};
const struct snn_dataset_ops snn_cifar100_coarse = {
    .name = "cifar100_coarse",
    .help = "the images of cifar100 by their 20 superclasses (coarse labels)",
    .classes = 20,
    .how_to_get = cifar100_how_to_get,
    .has = has_cifar100,
    .open = open_cifar100_coarse,
    CIFAR_OPS,
};
