/* SPDX-License-Identifier: Apache-2.0
 * idx.c - the MNIST family: four IDX files (images and labels of two splits), packed with gzip or not.
 *
 * A set is small, so it is unpacked whole when it is opened, and every byte is accounted for: what a header promises is
 * compared with what the file can hold before memory is taken, and afterwards nothing may be left over.
 * Format: http://yann.lecun.com/exdb/mnist (big-endian magic 0x000008NN for NN dimensions of bytes, the sizes, the
 * bytes). EMNIST has the same form, but its images are stored with rows for columns. */
#include <errno.h>
#include <limits.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/dataset.h"

enum {
    SIDE = 28,
    FILES = 4,           /* in the order of file_name: 2 * split + (labels) */
    DEFLATE_RATIO = 1032 /* deflate cannot pack tighter than this */
};
static const size_t limit = (size_t)1 << 30; /* bytes of one file, packed or unpacked */

#define MNIST_FILES                                                                                                    \
    { "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" }

struct family { /* what differs between the sets */
    const char *file_name[FILES];
    int32_t classes, first_label; /* labels are first_label .. first_label+classes-1 */
    bool transposed;              /* images are stored column by column */
    const char *const *class_name;
    const char *md5[FILES];        /* of the unpacked bytes, or NULL: not known */
    const char *packed_md5[FILES]; /* of the .gz as distributed, where those are not known */
};

struct idx { /* a file, unpacked */
    unsigned char *raw;
    size_t raw_size;
    const unsigned char *data; /* inside raw, behind the header */
    uint32_t dim[3];
};

struct idx_set {
    struct snn_dataset base;
    const struct family *family;
    struct idx file[FILES];
};

/* ---- bytes of a file, unpacked on the way ---- */

struct source {
    const char *path;
    unsigned char *bytes;
    size_t size, given; /* given: bytes handed out so far */
    bool packed, ended; /* ended: the end of the packed stream was met */
    z_stream z;
};

static int source_open(const char *path, struct source *source) {
    *source = (struct source){.path = path};
    SNN_TRY(snn_file_read(path, limit, &source->bytes, &source->size));
    source->packed = source->size >= 2 && source->bytes[0] == 0x1f && source->bytes[1] == 0x8b;
    if (!source->packed) return SNN_OK;
    source->z.next_in = source->bytes;
    source->z.avail_in = (uInt)source->size;
    if (inflateInit2(&source->z, 15 + 16) == Z_OK) return SNN_OK; /* 16: a gzip header, nothing else */
    free(source->bytes);
    return snn_error(SNN_EFAIL, "%s: out of memory", path);
}

static void source_close(struct source *source) {
    if (source->packed) inflateEnd(&source->z);
    free(source->bytes);
}

/* Up to `n` bytes into `out`; *got falls short only at the end of the data. */
static int source_some(struct source *source, unsigned char *out, size_t n, size_t *got) {
    if (!source->packed) {
        *got = n < source->size - source->given ? n : source->size - source->given;
        memcpy(out, source->bytes + source->given, *got);
        source->given += *got;
        return SNN_OK;
    }
    source->z.next_out = out;
    source->z.avail_out = (uInt)n;
    int rc = source->ended ? Z_STREAM_END : Z_OK;
    while (rc == Z_OK && source->z.avail_out > 0) rc = inflate(&source->z, Z_NO_FLUSH);
    *got = n - source->z.avail_out;
    source->given += *got;
    source->ended = rc == Z_STREAM_END;
    if (rc == Z_MEM_ERROR) return snn_error(SNN_EFAIL, "%s: out of memory", source->path);
    if (rc == Z_BUF_ERROR)
        return snn_error(SNN_EDATA, "%s: the gzip stream ends too early, after %zu bytes of data", source->path,
                         source->given);
    if (rc != Z_OK && rc != Z_STREAM_END)
        return snn_error(SNN_EDATA, "%s: the gzip stream is damaged after %zu bytes of data: %s", source->path,
                         source->given, source->z.msg ? source->z.msg : "invalid data");
    return SNN_OK;
}

static int source_take(struct source *source, unsigned char *out, size_t n, const char *what) {
    size_t got;
    SNN_TRY(source_some(source, out, n, &got));
    if (got == n) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: holds %zu bytes, expected %zu for %s", source->path, source->given,
                     source->given - got + n, what);
}

static int source_end(struct source *source) {
    unsigned char spare;
    size_t got, expected = source->given;
    SNN_TRY(source_some(source, &spare, 1, &got));
    if (got)
        return snn_error(SNN_EDATA, "%s: goes on behind the %zu bytes its header promises", source->path, expected);
    if (source->packed && source->z.avail_in)
        return snn_error(SNN_EDATA, "%s: has %u bytes behind the end of its gzip stream", source->path,
                         source->z.avail_in);
    return SNN_OK;
}

/* ---- one IDX file ---- */

static uint32_t big_endian(const unsigned char *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int read_from(struct source *source, int nd, struct idx *out) {
    unsigned char header[16];
    size_t header_size = 4 + 4 * (size_t)nd;
    SNN_TRY(source_take(source, header, header_size, "its header"));
    uint32_t magic = big_endian(header), expected = 0x800u + (uint32_t)nd;
    if (magic != expected)
        return snn_error(SNN_EDATA, "%s: starts with 0x%08x, expected 0x%08x (IDX, %d dimension%s of bytes)",
                         source->path, magic, expected, nd, nd > 1 ? "s" : "");
    uint64_t items = 1;
    for (int d = 0; d < nd; ++d) {
        out->dim[d] = big_endian(header + 4 + 4 * d);
        if (d && out->dim[d] != SIDE)
            return snn_error(SNN_EDATA, "%s: images have a side of %u pixels, expected %d", source->path, out->dim[d],
                             SIDE);
        items *= out->dim[d]; /* at most 2^32 * 28 * 28 */
    }
    uint64_t holds = source->packed ? (uint64_t)source->size * DEFLATE_RATIO : source->size - header_size;
    if (items > holds || items > limit)
        return snn_error(SNN_EDATA,
                         "%s: its header promises %llu bytes of data, but a file of %zu bytes cannot hold them",
                         source->path, (unsigned long long)items, source->size);
    out->raw_size = header_size + (size_t)items;
    out->raw = malloc(out->raw_size);
    if (!out->raw) return snn_error(SNN_EFAIL, "%s: out of memory for its %zu bytes", source->path, out->raw_size);
    memcpy(out->raw, header, header_size);
    out->data = out->raw + header_size;
    SNN_TRY(source_take(source, out->raw + header_size, (size_t)items, "what its header promises"));
    return source_end(source);
}

/* Read `nd` dimensions of bytes; the caller frees out->raw, also after a failure. */
static int idx_read(const char *path, int nd, struct idx *out) {
    struct source source;
    SNN_TRY(source_open(path, &source));
    int status = read_from(&source, nd, out);
    source_close(&source);
    return status;
}

/* The file's path in `path` (PATH_MAX bytes): packed as distributed, or plain. False when there is neither. */
static bool file_path(const char *root, const char *name, char *path) {
    static const char *const suffix[] = {".gz", ""};
    for (int s = 0; s < 2; ++s) {
        int length = snprintf(path, PATH_MAX, "%s/%s%s", root, name, suffix[s]);
        if (length < PATH_MAX && snn_file_exists(path)) return true;
    }
    return false;
}

/* ---- the set ---- */

static bool holds_any(const char *root, const struct family *family) {
    char path[PATH_MAX];
    for (int i = 0; i < FILES; ++i)
        if (file_path(root, family->file_name[i], path)) return true;
    return false;
}

static void close_set(struct snn_dataset *base) {
    struct idx_set *set = (struct idx_set *)base;
    for (int i = 0; i < FILES; ++i) free(set->file[i].raw);
    free(set);
}

static int check_labels(const char *path, const struct family *family, const struct idx *labels) {
    int32_t first = family->first_label, last = first + family->classes - 1;
    for (uint32_t i = 0; i < labels->dim[0]; ++i)
        if (labels->data[i] < first || labels->data[i] > last)
            return snn_error(SNN_EDATA, "%s: label %u is %d, expected %d..%d", path, i, labels->data[i], (int)first,
                             (int)last);
    return SNN_OK;
}

static int load(struct idx_set *set, const char *root) {
    const struct family *family = set->family;
    char path[PATH_MAX];
    for (int i = 0; i < FILES; ++i) {
        const char *name = family->file_name[i];
        bool labels = i % 2;
        struct idx *file = &set->file[i];
        if (!file_path(root, name, path)) return snn_error(SNN_EDATA, "%s: holds no %s[.gz]", root, name);
        SNN_TRY(idx_read(path, labels ? 1 : 3, file));
        if (!file->dim[0]) return snn_error(SNN_EDATA, "%s: holds no samples", path);
        if (!labels) continue;
        SNN_TRY(check_labels(path, family, file));
        if (file->dim[0] != set->file[i - 1].dim[0])
            return snn_error(SNN_EDATA, "%s: has %u labels, expected %u as there are images", path, file->dim[0],
                             set->file[i - 1].dim[0]);
        set->base.info.count[i / 2] = (int32_t)file->dim[0];
    }
    set->base.info.files = FILES;
    set->base.info.class_name = set->family->class_name;
    return SNN_OK;
}

static int open_family(const struct family *family, const char *root, struct snn_dataset **out) {
    struct idx_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->family = family;
    int status = load(set, root);
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    SNN_CHECK(i >= 0 && i < base->info.count[split], "sample %d of %d", i, base->info.count[split]);
    const struct idx_set *set = (const struct idx_set *)base;
    return set->file[2 * split + 1].data[i] - set->family->first_label;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct idx_set *set = (const struct idx_set *)base;
    SNN_TRY(snn_sample_room(sample, SIDE * SIDE, 0));
    sample->label = label(base, split, i);
    const unsigned char *image = set->file[2 * split].data + (size_t)i * SIDE * SIDE;
    if (!set->family->transposed) memcpy(sample->pixels, image, SIDE * SIDE);
    for (int k = 0; set->family->transposed && k < SIDE * SIDE; ++k)
        sample->pixels[k] = image[k % SIDE * SIDE + k / SIDE];
    return SNN_OK;
}

/* One line about file i into `line`: an enum snn_verdict, or below 0 when it is not what was distributed. */
static int verify_file(const struct idx_set *set, int i, char *line, size_t size) {
    char path[PATH_MAX], md5[MD5_DIGEST_STRING_LENGTH];
    const char *name = set->family->file_name[i];
    if (!file_path(set->base.root, name, path)) {
        snprintf(line, size, "%s/%s: has gone", set->base.root, name);
        return SNN_EDATA;
    }
    struct idx file = {0};
    if (idx_read(path, i % 2 ? 1 : 3, &file) < 0) {
        free(file.raw);
        snprintf(line, size, "%s", snn_error_text());
        return SNN_EDATA;
    }
    MD5Data(file.raw, file.raw_size, md5);
    free(file.raw);
    const char *wanted = set->family->md5[i], *packed = set->family->packed_md5[i];
    if (wanted && strcmp(md5, wanted)) {
        snprintf(line, size, "%s: the unpacked bytes have md5 %s, expected %s", path, md5, wanted);
        return SNN_EDATA;
    }
    bool proven = wanted || (MD5File(path, md5) && !strcmp(md5, packed));
    if (wanted) snprintf(line, size, "%s: as distributed (md5 of the unpacked bytes)", path);
    else if (proven) snprintf(line, size, "%s: as distributed (md5)", path);
    else snprintf(line, size, "%s: well-formed, but not packed as distributed: contents not proven", path);
    return proven ? SNN_AS_DISTRIBUTED : SNN_WELL_FORMED;
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    int bad = 0, proven = 0;
    for (int i = 0; i < FILES; ++i) {
        char line[PATH_MAX + 256];
        int verdict = verify_file((struct idx_set *)base, i, line, sizeof line);
        bad += verdict < 0;
        proven += verdict == SNN_AS_DISTRIBUTED;
        report(payload, line);
    }
    if (!bad) return proven == FILES ? SNN_AS_DISTRIBUTED : SNN_WELL_FORMED;
    return snn_error(SNN_EDATA, "%s: %d of %d files of %s are not as distributed", base->root, bad, FILES,
                     base->info.name);
}

/* ---- the members of the family ---- */

static const char *const digit_name[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const fashion_name[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                           "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

#define TEN .file_name = MNIST_FILES, .classes = 10

static const struct family mnist = {TEN, .class_name = digit_name,
                                    .md5 = {"6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
                                            "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"}};
static const struct family fashion_mnist = {
    TEN, .class_name = fashion_name,
    .md5 = {"f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9", "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965"}};
static const struct family kmnist = {
    TEN, .packed_md5 = {"bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
                        "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134"}};

static bool has(const char *root) { return holds_any(root, &mnist); }

static int open_mnist(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&mnist, root, out);
}
static int open_fashion_mnist(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&fashion_mnist, root, out);
}
static int open_kmnist(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_family(&kmnist, root, out);
}

#define FAMILY_OPS .kind = SNN_IMAGES, .get = get, .label = label, .verify = verify, .close = close_set
#define TEN_OPS .classes = 10, .C = 1, .H = SIDE, .W = SIDE, .has = has

const struct snn_dataset_ops snn_mnist = {
    .name = "mnist",
    .help = "handwritten digits, 28x28 grey, 60000 train and 10000 test images",
    .how_to_get = "download the four *-ubyte.gz files (12 MB) from https://ossci-datasets.s3.amazonaws.com/mnist/ "
                  "and name their folder with --data",
    .open = open_mnist,
    TEN_OPS,
    FAMILY_OPS,
};
const struct snn_dataset_ops snn_fashion_mnist = {
    .name = "fashion_mnist",
    .help = "articles of clothing, 28x28 grey, 60000 train and 10000 test images",
    .system_dir = "/usr/share/datasets/fashion-mnist",
    .how_to_get =
        "install the Debian package dataset-fashion-mnist (30 MB), or download the four *-ubyte.gz files from "
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/ and name their folder with --data",
    .open = open_fashion_mnist,
    TEN_OPS,
    FAMILY_OPS,
};
const struct snn_dataset_ops snn_kmnist = {
    .name = "kmnist",
    .help = "cursive Japanese characters of ten classes, 28x28 grey, 60000 train and 10000 test images",
    .how_to_get =
        "download the four *-ubyte.gz files (21 MB) from http://codh.rois.ac.jp/kmnist/ and name their folder "
        "with --data",
    .open = open_kmnist,
    TEN_OPS,
    FAMILY_OPS,
};

/* ---- EMNIST: Cohen, Afshar, Tapson and van Schaik, "EMNIST: extending MNIST to handwritten letters" (IJCNN 2017) ----
 */

/* By class: digits, capitals, small letters. Merged: without the small letters that look like their capitals. */
#define DIGITS "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"
#define CAPITALS                                                                                                       \
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", \
        "X", "Y", "Z"
static const char *const letter_name[] = {CAPITALS};
static const char *const merged_name[] = {DIGITS, CAPITALS, "a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t"};
static const char *const class_name[] = {DIGITS, CAPITALS, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
                                         "m",    "n",      "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};

#define EMNIST(variant, count, first, names)                                                                           \
    {                                                                                                                  \
        .file_name = {"emnist-" variant "-train-images-idx3-ubyte", "emnist-" variant "-train-labels-idx1-ubyte",      \
                      "emnist-" variant "-test-images-idx3-ubyte", "emnist-" variant "-test-labels-idx1-ubyte"},       \
        .classes = count, .first_label = first, .transposed = true, .class_name = names                                \
    }
static const char *const variant_word[] = {"balanced", "letters", "digits", "byclass", "bymerge", "mnist", NULL};
enum { VARIANTS = 6 };
static const struct family emnist[VARIANTS] = {
    EMNIST("balanced", 47, 0, merged_name), EMNIST("letters", 26, 1, letter_name), EMNIST("digits", 10, 0, digit_name),
    EMNIST("byclass", 62, 0, class_name),   EMNIST("bymerge", 47, 0, merged_name), EMNIST("mnist", 10, 0, digit_name)};

struct emnist_options {
    int variant;
};
static const struct snn_key emnist_keys[] = {
    {"variant", SNN_CHOICE, offsetof(struct emnist_options, variant), "balanced", 0, 0, variant_word,
     "which of the six sets: letters has 26 classes, balanced and bymerge 47, byclass 62, digits and mnist 10"},
    {0},
};
static const struct family *variant_of(const void *options) {
    return &emnist[((const struct emnist_options *)options)->variant];
}
static bool has_emnist(const char *root) {
    for (int i = 0; i < VARIANTS; ++i)
        if (holds_any(root, &emnist[i])) return true;
    return false;
}
static void shape_emnist(const void *options, struct snn_dataset_info *info) {
    info->classes = variant_of(options)->classes;
    info->C = 1, info->H = info->W = SIDE;
}
static int open_emnist(const char *root, const void *options, struct snn_dataset **out) {
    return open_family(variant_of(options), root, out);
}

const struct snn_dataset_ops snn_emnist = {
    .name = "emnist",
    .help = "handwritten digits and letters, 28x28 grey, in six sets of 70000 to 814255 images",
    .how_to_get =
        "download gzip.zip (562 MB) from https://www.nist.gov/itl/products-and-services/emnist-dataset, unpack "
        "the four emnist-VARIANT-*-ubyte.gz files of a variant and name their folder with --data",
    .keys = emnist_keys,
    .shape = shape_emnist,
    .has = has_emnist,
    .open = open_emnist,
    FAMILY_OPS,
};
