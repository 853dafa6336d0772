/* SPDX-License-Identifier: Apache-2.0
 * test_arrays.c - NumPy's files, well-formed and hostile, and data sets made of them. */
#include <math.h>

#include "core/file.h"
#include "data_folder.h"
#include "datasets/npy.h"
#include "datasets/parts.h"
#include "made_npy.h"

/* ---- the format ---- */

/* The numbers 1, -2 (or 254 and so on where there is no sign) and 100 in every type. */
static const struct {
    const char *descr;
    int size;
    unsigned char bytes[24];
    double expected[3];
} types[] = {
    {"|b1", 1, {1, 0, 1}, {1, 0, 1}},
    {"|u1", 1, {1, 254, 100}, {1, 254, 100}},
    {"|i1", 1, {1, 254, 100}, {1, -2, 100}},
    {"<u2", 2, {1, 0, 254, 255, 100, 0}, {1, 65534, 100}},
    {">u2", 2, {0, 1, 255, 254, 0, 100}, {1, 65534, 100}},
    {"<i2", 2, {1, 0, 254, 255, 100, 0}, {1, -2, 100}},
    {">i4", 4, {0, 0, 0, 1, 255, 255, 255, 254, 0, 0, 0, 100}, {1, -2, 100}},
    {"<i8", 8, {1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255, 255, 255, 255, 255, 100}, {1, -2, 100}},
    {"<f2", 2, {0, 0x3C, 0, 0xC0, 0x40, 0x56}, {1, -2, 100}},
    {">f2", 2, {0, 1, 0x83, 0xFF, 0x7B, 0xFF}, {0x1p-24, -0x3FFp-24, 65504}}, /* two of them subnormal */
    {"<f4", 4, {0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0xC8, 0x42}, {1, -2, 100}},
    {">f4", 4, {0x3F, 0x80, 0, 0, 0xC0, 0, 0, 0, 0x42, 0xC8, 0, 0}, {1, -2, 100}},
    {"<f8", 8, {0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x59, 0x40}, {1, -2, 100}},
    {">f8", 8, {0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x59}, {1, -2, 100}},
};
enum { TYPES = sizeof types / sizeof *types };

START_TEST(every_type) {
    struct snn_npy npy;
    float reals[3];
    int64_t integers[3];
    made_npy(in("a.npy"), types[_i].descr, "(3,)", types[_i].bytes, 3 * (size_t)types[_i].size);
    ck_ok(snn_npy_open(in("a.npy"), &npy));
    ck_assert(npy.dims == 1 && npy.dim[0] == 3 && npy.count == 3);
    ck_ok(snn_npy_reals(&npy, 0, 3, reals));
    for (int k = 0; k < 3; ++k) ck_assert_float_eq(reals[k], (float)types[_i].expected[k]);
    ck_ok(snn_npy_reals(&npy, 2, 1, reals));
    ck_assert_float_eq(reals[0], (float)types[_i].expected[2]);
    ck_assert_int_eq(snn_npy_is_integer(&npy), types[_i].descr[1] != 'f');
    if (snn_npy_is_integer(&npy)) {
        ck_ok(snn_npy_integers(&npy, 0, 3, integers));
        for (int k = 0; k < 3; ++k) ck_assert_int_eq(integers[k], (int64_t)types[_i].expected[k]);
    }
    snn_npy_close(&npy);
    snn_npy_close(&npy);
}
END_TEST

/* A file with this header, of a version of the format, and `bytes` zeros. */
static void write_header(int version, const char *header, size_t bytes) {
    unsigned char file[4096] = "\x93NUMPY";
    size_t n = strlen(header), at = version == 1 ? 10 : 12;
    file[6] = (unsigned char)version;
    for (size_t i = 8; i < at; ++i) file[i] = (unsigned char)(n >> 8 * (i - 8));
    memcpy(file + at, header, n);
    write_file("a.npy", file, at + n + bytes);
}

static int open_header(int version, const char *header, size_t bytes, struct snn_npy *npy) {
    write_header(version, header, bytes);
    return snn_npy_open(in("a.npy"), npy);
}

START_TEST(forms_of_the_header) {
    static const char *const forms[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}",
        "{'fortran_order': False, 'shape': (2, 3,), 'descr': '=f4'}\n",
    };
    struct snn_npy npy;
    char shape[64];
    for (int version = 1; version <= 3; ++version)
        for (int k = 0; k < 3; ++k) {
            ck_ok(open_header(version, forms[k], 24, &npy));
            ck_assert(npy.dims == 2 && npy.dim[0] == 2 && npy.dim[1] == 3 && npy.count == 6 && npy.number.size == 4);
            ck_assert_str_eq(snn_npy_shape(&npy, shape, sizeof shape), "(2, 3)");
            snn_npy_close(&npy);
        }
    ck_ok(open_header(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (5,)}", 20, &npy)); /* either order */
    ck_assert_str_eq(snn_npy_shape(&npy, shape, sizeof shape), "(5,)");
    snn_npy_close(&npy);
    ck_ok(open_header(1, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, &npy));
    ck_assert(npy.dims == 0 && npy.count == 1);
    snn_npy_close(&npy);
    ck_ok(open_header(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9)}", 0, &npy));
    ck_assert_int_eq(npy.count, 0);
    snn_npy_close(&npy);
}
END_TEST

#define HEADER(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"
static const struct {
    const char *header;
    size_t bytes;
    const char *sentence;
} hostile[] = {
    {"", 0, "byte 0 of its header: expected '{'"},
    {"(1, 2)", 0, "byte 0 of its header: expected '{'"},
    {"{'descr': '<f4', 'fortran_order': False}", 0, "expected each of 'descr', 'fortran_order' and 'shape' once"},
    {"{'descr': '<f4', 'descr': '<f4', 'shape': ()}", 4, "each of 'descr', 'fortran_order' and 'shape' once"},
    {"{'descr': '<f4', 'order': False, 'shape': ()}", 4, "each of 'descr', 'fortran_order' and 'shape' once"},
    {HEADER("'<f4'", "False", "(1,)") "x", 4, "nothing behind '}'"},
    {HEADER("'<f4'", "False", "(1,)") "\xff", 4, "nothing behind '}'"},
    {"{'descr' '<f4'}", 0, "expected ':'"},
    {"{'descr': '<f4' 'shape': ()}", 0, "expected ',' or '}'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", 0, "expected ',' or ')'"},
    {"{'a key that is much too long for us': 1}", 0, "each of 'descr', 'fortran_order' and 'shape' once"},
    {HEADER("'<f4", "False", "()"), 4, "or bools, got '<f4, '"},
    {HEADER("'<c8'", "False", "(1,)"), 8, "or bools, got '<c8'"},
    {HEADER("'<f1'", "False", "(1,)"), 1, "or bools, got '<f1'"},
    {HEADER("'<f16'", "False", "(1,)"), 16, "or bools, got '<f16'"},
    {HEADER("'<f'", "False", "(1,)"), 4, "or bools, got '<f'"},
    {HEADER("'|O'", "False", "(1,)"), 8, "or bools, got '|O'"},
    {HEADER("'<U4'", "False", "(1,)"), 16, "or bools, got '<U4'"},
    {HEADER("''", "False", "(1,)"), 16, "or bools, got ''"},
    {HEADER("[('x', '<f4')]", "False", "(1,)"), 4, "holds records, expected an array of numbers"},
    {HEADER("'<f4'", "0", "(1,)"), 4, "expected True or False"},
    {HEADER("'<f4'", "True", "(1, 1)"), 4, "is in Fortran order, expected C order (numpy.ascontiguousarray)"},
    {HEADER("'<f4'", "False", "[1]"), 4, "expected '(': a shape"},
    {HEADER("'<f4'", "False", "(-1,)"), 4, "expected a number"},
    {HEADER("'<f4'", "False", "(1.5,)"), 4, "expected ',' or ')'"},
    {HEADER("'<f4'", "False", "(,)"), 4, "expected a number"},
    {HEADER("'<f4'", "False", "(99999999999999999999999,)"), 4, "expected a smaller number"},
    {HEADER("'<f4'", "False", "(1000000000, 1000000000, 10)"), 4, "expected fewer elements"},
    {HEADER("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "expected at most 8 dimensions"},
    {HEADER("'<f4'", "False", "(100000000000, 3)"), 12, "promises 1200000000000 bytes, but 12 follow the header"},
    {HEADER("'<f4'", "False", "(2, 2)"), 15, "its shape (2, 2) promises 16 bytes, but 15 follow the header"},
    {HEADER("'<f4'", "False", "(2, 2)"), 17, "goes on behind the 16 bytes that its shape (2, 2) says"},
};

START_TEST(hostile_headers) {
    struct snn_npy npy;
    ck_error(open_header(1 + _i % 3, hostile[_i].header, hostile[_i].bytes, &npy), SNN_EDATA, hostile[_i].sentence);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "a.npy: "));
    ck_assert_ptr_null(npy.path);
}
END_TEST

START_TEST(hostile_starts) {
    struct snn_npy npy;
    ck_error(snn_npy_open(in("none.npy"), &npy), SNN_EDATA, "cannot be read");
    ck_error(snn_npy_open(folder, &npy), SNN_EDATA, "is not a regular file");
    write_file("a.npy", "\x93NUMPX\1\0\0\0", 10);
    ck_error(snn_npy_open(in("a.npy"), &npy), SNN_EDATA, "does not start as an array of NumPy does");
    write_file("a.npy", "\x93NUMPY\4\0\0\0", 10);
    ck_error(snn_npy_open(in("a.npy"), &npy), SNN_EDATA,
             "is of version 4.0 of NumPy's format, expected 1.0, 2.0 or 3.0");
    write_file("a.npy", "\x93NUMPY\2\0\xff\xff\xff\xff", 12); /* nothing of that size is allocated */
    ck_error(snn_npy_open(in("a.npy"), &npy), SNN_EDATA, "its header has 4294967295 bytes, expected at most 65536");
}
END_TEST

/* Whatever is missing at the end of a file, a sentence says so. */
START_TEST(cut_at_every_byte) {
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    unsigned char *bytes;
    size_t size;
    made_npy(in("whole.npy"), "<f4", "(2, 3)", data, sizeof data);
    ck_ok(snn_file_read(in("whole.npy"), 4096, &bytes, &size));
    struct snn_npy npy;
    for (size_t n = 0; n < size; ++n) {
        write_file("a.npy", bytes, n);
        int rc = snn_npy_open(in("a.npy"), &npy);
        ck_assert_msg(rc == SNN_EDATA && strstr(snn_error_text(), "a.npy: "), "%zu bytes: %d", n, rc);
    }
    write_file("a.npy", bytes, size);
    ck_ok(snn_npy_open(in("a.npy"), &npy));
    write_file("a.npy", bytes, size - 5); /* while it is open */
    float out[6];
    ck_ok(snn_npy_reals(&npy, 0, 4, out));
    ck_error(snn_npy_reals(&npy, 0, 6, out), SNN_EDATA, "has it been cut since it was opened?");
    snn_npy_close(&npy);
    free(bytes);
}
END_TEST

START_TEST(numbers_that_are_none) {
    static const double bad[][2] = {{1, NAN}, {1, INFINITY}, {1, 1e300}}; /* too large for a float */
    static const uint64_t huge[] = {1, UINT64_MAX};
    struct snn_npy npy;
    float out[2];
    int64_t integers[2];
    for (int k = 0; k < 3; ++k) {
        made_npy(in("a.npy"), "<f8", "(2,)", bad[k], sizeof bad[k]);
        ck_ok(snn_npy_open(in("a.npy"), &npy));
        ck_error(snn_npy_reals(&npy, 0, 2, out), SNN_EDATA, "element 1 is");
        snn_npy_close(&npy);
    }
    made_npy(in("a.npy"), "<u8", "(2,)", huge, sizeof huge);
    ck_ok(snn_npy_open(in("a.npy"), &npy));
    ck_error(snn_npy_integers(&npy, 0, 2, integers), SNN_EDATA, "element 1 is 18446744073709551615");
    snn_npy_close(&npy);
}
END_TEST

/* ---- data sets ---- */

enum { N = 10, STEPS = 4, UNITS = 6, MOST = N * STEPS * UNITS };

/* Number k of a file is k; labels repeat 0, 1, 2, lengths 1, 2, 3, 4. */
static void write_reals(const char *name, const char *shape, int count) {
    float data[MOST];
    for (int i = 0; i < count; ++i) data[i] = (float)i;
    made_npy(in(name), "<f4", shape, data, (size_t)count * sizeof *data);
}
static void write_integers(const char *name, int count, int classes, int first) {
    unsigned char data[MOST];
    char shape[32];
    snprintf(shape, sizeof shape, "(%d,)", count);
    for (int i = 0; i < count; ++i) data[i] = (unsigned char)(i % classes + first);
    made_npy(in(name), "|u1", shape, data, (size_t)count);
}

static int read_config(const char *text, struct snn_data_config *config) {
    struct snn_conf_doc *doc;
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    int rc = snn_data_config_read(snn_conf_root(doc), config); /* texts of the config stay with the document */
    snn_conf_free(&doc);
    return rc;
}

static int open_with(const char *options, struct snn_dataset **set) {
    static struct snn_data_config config;
    char text[200];
    snprintf(text, sizeof text, "{name: arrays, timesteps: 3%s}", options);
    ck_ok(read_config(text, &config));
    return snn_dataset_open("arrays", folder, NULL, snn_data_set_options(&config), set);
}
static int open_arrays(struct snn_dataset **set) { return open_with("", set); }

START_TEST(labelled_sequences) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    write_reals("X.npy", "(10, 4, 6)", MOST);
    write_integers("Y.npy", N, 3, 0);
    write_integers("lengths.npy", N, STEPS, 1);
    ck_ok(open_with(", test: 0.3", &set));
    const struct snn_dataset_info *info = &set->info;
    ck_assert(info->kind == SNN_SEQUENCES && info->steps == STEPS && info->classes == 3 && info->targets == 0);
    ck_assert(info->C == UNITS && info->H == 1 && info->W == 1 && info->files == 3);
    ck_assert(info->count[SNN_TRAIN] == 7 && info->count[SNN_TEST] == 3);
    for (int split = 0, k = 0; split < 2; ++split)
        for (int i = 0; i < info->count[split]; ++i, ++k) {
            ck_ok(set->ops->get(set, split, i, &sample));
            ck_assert_int_eq(sample.label, k % 3);
            ck_assert_int_eq(set->ops->label(set, split, i), k % 3);
            ck_assert_int_eq(sample.steps, k % STEPS + 1);
            for (int j = 0; j < sample.steps * UNITS; ++j)
                ck_assert_float_eq(sample.numbers[j], (float)(k * STEPS * UNITS + j));
        }
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_str_eq(lines.text, "train: 7 samples, 16 steps, 0 broken\ntest: 3 samples, 7 steps, 0 broken\n");
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(numbers_to_learn) {
    static const struct {
        const char *shape;
        int count, targets;
        bool steps;
    } forms[] = {{"(10,)", N, 1, false}, {"(10, 3)", 3 * N, 3, false}, {"(10, 4, 2)", 2 * STEPS * N, 2, true}};
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    write_reals("train_x.npy", "(10, 4, 2, 3, 1)", MOST);
    write_reals("train_y.npy", forms[_i].shape, forms[_i].count);
    write_reals("test_x.npy", "(10, 4, 2, 3, 1)", MOST);
    write_reals("test_y.npy", forms[_i].shape, forms[_i].count);
    write_integers("test_lengths.npy", N, 2, 2);
    ck_ok(open_arrays(&set));
    ck_assert(set->info.C == 2 && set->info.H == 3 && set->info.W == 1 && set->info.files == 5);
    ck_assert(set->info.classes == 0 && set->info.targets == forms[_i].targets);
    ck_assert_int_eq(set->info.target_steps, forms[_i].steps);
    for (int split = 0; split < 2; ++split)
        for (int i = 0; i < N; ++i) {
            ck_ok(set->ops->get(set, split, i, &sample));
            ck_assert_int_eq(sample.steps, split == SNN_TEST ? i % 2 + 2 : STEPS);
            int count = forms[_i].targets * (forms[_i].steps ? sample.steps : 1),
                each = forms[_i].targets * (forms[_i].steps ? STEPS : 1);
            for (int k = 0; k < count; ++k) ck_assert_float_eq(sample.target[k], (float)(i * each + k));
            ck_assert_int_eq(sample.label, 0);
        }
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(still_samples) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    write_reals("X.npy", _i ? "(10, 2, 3, 4)" : "(10, 24)", MOST);
    write_integers("Y.npy", N, 2, 0);
    ck_ok(open_arrays(&set));
    ck_assert(snn_dataset_is_still(&set->info) && set->info.C == (_i ? 2 : 24) && set->info.H == (_i ? 3 : 1));
    ck_ok(set->ops->get(set, SNN_TEST, 1, &sample));
    ck_assert_int_eq(sample.steps, 1);
    for (int j = 0; j < 24; ++j) ck_assert_float_eq(sample.numbers[j], (float)(9 * 24 + j));
    snn_sample_free(&sample);

    struct snn_data_config config;
    struct snn_loader *loader;
    const struct snn_batch *batch;
    struct snn_loader_options options = {.config = &config, .set = set, .batch = 3};
    ck_ok(read_config("{name: arrays, timesteps: 5}", &config));
    ck_ok(snn_loader_open(&options, &loader));
    ck_ok(snn_loader_start(loader, 0, 0));
    ck_ok(snn_loader_next(loader, &batch));
    ck_assert(batch->form == SNN_BATCH_STATIC && batch->T == 5 && batch->length[2] == 5 && !batch->masked);
    ck_assert_ptr_null(batch->target);
    for (int j = 0; j < 24; ++j) ck_assert_float_eq(batch->frames[2 * 24 + j], (float)(2 * 24 + j));
    snn_loader_close(&loader);
    ck_ok(read_config("{name: arrays}", &config)); /* auto: but nothing says how many */
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE, "data.timesteps: auto is for sequences");
    ck_ok(read_config("{name: arrays, timesteps: 5, pad: {to: 7}}", &config));
    ck_error(snn_loader_open(&options, &loader), SNN_EUSAGE, "data.pad.to: a number is for sequences");
    snn_dataset_close(&set);
}
END_TEST

START_TEST(classes_that_are_given) {
    struct snn_dataset *set;
    write_reals("X.npy", "(10, 4, 6)", MOST);
    write_integers("Y.npy", N, 3, 0);
    ck_ok(open_with(", classes: 12", &set));
    ck_assert_int_eq(set->info.classes, 12);
    snn_dataset_close(&set);
    ck_error(open_with(", classes: 2", &set), SNN_EDATA, "Y.npy: label 2 is 2, expected 0..1");
    ck_error(open_with(", test: 0.01", &set), SNN_EUSAGE, "leaves none for testing");
    ck_error(open_with(", test: 1", &set), SNN_EUSAGE, "leaves none for training");
}
END_TEST

/* Good files, of which one is written anew (or removed: shape NULL). */
static const struct {
    const char *file, *descr, *shape;
    int bytes;
    const char *sentence;
} wrong[] = {
    {"train_y.npy", NULL, NULL, 0, "train_y.npy: cannot be read"},
    {"test_x.npy", NULL, NULL, 0, "test_x.npy: cannot be read"},
    {"X.npy", "<f4", "(1, 1)", 4, "has X.npy beside train_x.npy or test_x.npy, expected one or the others"},
    {"train_x.npy", "<f4", "(10,)", 40, "has shape (10,), expected (N,F), (N,C,H,W), (N,T,F) or (N,T,C,H,W)"},
    {"train_x.npy", "<f4", "(1, 1, 1, 1, 1, 10)", 40, "expected (N,F)"},
    {"train_x.npy", "<f4", "(10, 0)", 0, "has shape (10, 0), expected no 0 in it"},
    {"train_x.npy", "|u1", "(1, 2000000, 1)", 2000000, "expected at most a million steps"},
    {"train_x.npy", "<f4", "(9, 4, 6)", 864, "train_y.npy: has shape (10,), expected 9 in front, as there are samples"},
    {"train_y.npy", "|u1", "(10, 1)", 10, "expected (N): integers are classes, one a sample; numbers are floats"},
    {"train_y.npy", "<f4", "()", 4, "expected 10 in front"},
    {"train_y.npy", "<f4", "(10, 0)", 0, "expected (N) or (N,K), or (N,T,K) with the steps of X"},
    {"train_y.npy", "<f4", "(10, 3, 1)", 120, "expected (N) or (N,K), or (N,T,K) with the steps of X"},
    {"train_y.npy", "<f4", "(10, 4, 1, 1)", 160, "expected (N) or (N,K)"},
    {"train_y.npy", "<f4", "(10, 2)", 80, "differ in shape or kind from those of train_x.npy and train_y.npy"},
    {"test_x.npy", "<f4", "(10, 4, 5)", 800, "differ in shape or kind"},
    {"test_x.npy", "<f4", "(10, 6)", 240, "differ in shape or kind"},
    {"train_lengths.npy", "<f4", "(10,)", 40, "expected integers, one for each sample"},
    {"train_lengths.npy", "|u1", "(9,)", 9, "expected integers, one for each sample"},
    {"train_lengths.npy", "|u1", "(10,)", 10, "length 0 is 0, expected 1..4"},
    {"test_y.npy", "<i4", "(10,)", -1, "label 0 is -1, expected 0..999999"},
};

START_TEST(wrong_arrays) {
    struct snn_dataset *set;
    for (int split = 0; split < 2; ++split) {
        write_reals(split ? "test_x.npy" : "train_x.npy", "(10, 4, 6)", MOST);
        write_integers(split ? "test_y.npy" : "train_y.npy", N, 3, 0);
    }
    ck_ok(open_arrays(&set));
    snn_dataset_close(&set);
    if (!wrong[_i].shape) ck_assert(!remove(in(wrong[_i].file)));
    else {
        size_t bytes = wrong[_i].bytes < 0 ? 40 : (size_t)wrong[_i].bytes;
        unsigned char *data = calloc(bytes + 1, 1);
        if (wrong[_i].bytes < 0) memset(data, 0xFF, bytes);
        made_npy(in(wrong[_i].file), wrong[_i].descr, wrong[_i].shape, data, bytes);
        free(data);
    }
    ck_error(open_arrays(&set), SNN_EDATA, wrong[_i].sentence);
}
END_TEST

START_TEST(wrong_common_arrays) {
    struct snn_dataset *set;
    ck_error(open_arrays(&set), SNN_EDATA, "save X (N,T,F)"); /* how to get it */
    unsigned char label[N] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    write_reals("X.npy", "(10, 24)", MOST);
    made_npy(in("Y.npy"), "|u1", "(10,)", label, sizeof label);
    ck_error(open_arrays(&set), SNN_EDATA, "class 1 is only among the last 2 samples, which are the test split");
    label[0] = 1;
    made_npy(in("Y.npy"), "|u1", "(10,)", label, sizeof label);
    ck_ok(open_arrays(&set));
    snn_dataset_close(&set);
    write_integers("lengths.npy", N, 1, 1);
    ck_error(open_arrays(&set), SNN_EDATA, "samples of X.npy have no steps, expected no lengths");
}
END_TEST

START_TEST(broken_sample) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    struct lines lines = {0};
    double data[N] = {0, 1, 2, NAN};
    made_npy(in("X.npy"), "<f8", "(10, 1)", data, sizeof data);
    write_integers("Y.npy", N, 2, 0);
    ck_ok(open_arrays(&set));
    ck_ok(set->ops->get(set, SNN_TRAIN, 2, &sample));
    ck_error(set->ops->get(set, SNN_TRAIN, 3, &sample), SNN_EDATA, "X.npy: element 3 is nan, expected a finite number");
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 10 samples are broken");
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

/* What has no effect on numbers is refused. */
START_TEST(keys_of_other_kinds) {
    static const char *const config[][2] = {
        {"coding: rate", "coding: is for images, and arrays has numbers"},
        {"mean: 0.5", "mean: is for images"},
        {"std: 2", "std: is for images"},
        {"bin: {by: duration}", "bin.by: is for recordings, and arrays has numbers"},
        {"bin: {binary: true}", "bin.binary: is for recordings"},
        {"bin: {from: zero}", "bin.from: is for recordings"},
    };
    struct snn_data_config read;
    char text[200];
    snprintf(text, sizeof text, "{name: arrays, %s}", config[_i][0]);
    ck_error(read_config(text, &read), SNN_EUSAGE, config[_i][1]);
    ck_ok(read_config("{name: arrays}", &read));
    ck_assert_int_eq(read.timesteps, -1); /* auto */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("arrays");
    TCase *format = tcase_create("format"), *sets = tcase_create("sets");
    tcase_add_checked_fixture(format, make_data_folder, remove_folder);
    tcase_add_checked_fixture(sets, make_data_folder, remove_folder);
    suite_add_tcase(suite, format);
    suite_add_tcase(suite, sets);
    tcase_add_loop_test(format, every_type, 0, TYPES);
    tcase_add_test(format, forms_of_the_header);
    tcase_add_loop_test(format, hostile_headers, 0, sizeof hostile / sizeof *hostile);
    tcase_add_test(format, hostile_starts);
    tcase_add_test(format, cut_at_every_byte);
    tcase_add_test(format, numbers_that_are_none);
    tcase_add_test(sets, labelled_sequences);
    tcase_add_loop_test(sets, numbers_to_learn, 0, 3);
    tcase_add_loop_test(sets, still_samples, 0, 2);
    tcase_add_test(sets, classes_that_are_given);
    tcase_add_loop_test(sets, wrong_arrays, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(sets, wrong_common_arrays);
    tcase_add_test(sets, broken_sample);
    tcase_add_loop_test(sets, keys_of_other_kinds, 0, 6);
    return run_suite(suite);
}
