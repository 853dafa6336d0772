/* SPDX-License-Identifier: Apache-2.0
 * test_shd.c - spike trains in HDF5: SHD, SSC and spoken digits, well-formed and hostile.
 *
 * Every case works in a fresh folder with files it writes itself; cases on real data say so when they have none. */
#include <hdf5.h>
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

#include "data_folder.h"
#include "datasets/parts.h"
#include "made_spikes.h"

enum { TRAIN = 4, TEST = 2 };

/* Recordings of 3, 0, 5 and 2 spikes; all times are exact as halves. */
static const int length[TRAIN] = {3, 0, 5, 2};
static const double when[10] = {0, 0.25, 0.5, 0.125, 0.125, 0.125, 0.375, 1.5, 0.0625, 1};
static const long long unit[10] = {0, 699, 350, 9, 3, 6, 1, 2, 698, 4};
static const int32_t label[TRAIN] = {3, 0, 9, 7};
static const struct made_spikes good = {
    .recordings = TRAIN, .length = length, .time = when, .unit = unit, .label = label};

static void make(const char *name, const struct made_spikes *made) {
    ck_assert_int_eq(made_spikes_file(in(name), made), 0);
}

static void make_test_file(const char *name) {
    struct made_spikes test = good;
    test.recordings = TEST;
    make(name, &test);
}

static int open_digits(struct snn_dataset **set) { return snn_dataset_open("fsdd_spikes", folder, NULL, NULL, set); }

static int open_with(const struct made_spikes *made, struct snn_dataset **set) {
    make("shd_train.h5", made);
    make_test_file("shd_test.h5");
    return open_digits(set);
}

static int get_from(const struct made_spikes *made, int i, struct snn_sample *sample) {
    struct snn_dataset *set;
    ck_ok(open_with(made, &set));
    int status = set->ops->get(set, SNN_TRAIN, i, sample);
    snn_dataset_close(&set);
    return status;
}

static void expect_good(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    for (int i = 0, first = 0; i < TRAIN; first += length[i++]) {
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert_int_eq(sample.label, label[i]);
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, i), label[i]);
        ck_assert_uint_eq(sample.event_count, (size_t)length[i]);
        for (int k = 0; k < length[i]; ++k) {
            const struct snn_event *e = &sample.events[k];
            ck_assert_int_eq(e->t, (int64_t)(when[first + k] * 1e6));
            ck_assert_int_eq(e->x, unit[first + k]);
            ck_assert(e->y == 0 && e->p == 0);
        }
    }
    snn_sample_free(&sample);
}

START_TEST(every_number_type) {
    hid_t half = made_half(H5T_ORDER_LE), half_be = made_half(H5T_ORDER_BE);
    const hid_t times[] = {half, half_be, H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE};
    const hid_t units[] = {H5T_STD_U16LE, H5T_STD_U16BE, H5T_STD_I16LE, H5T_STD_I32LE,
                           H5T_STD_U32BE, H5T_STD_I64LE, H5T_STD_U64LE};
    for (size_t i = 0; i < sizeof times / sizeof *times; ++i)
        for (size_t k = 0; k < sizeof units / sizeof *units; ++k) {
            struct made_spikes made = good;
            made.time_type = times[i], made.unit_type = units[k];
            made.chunk = k % 2 ? 3 : 0;
            made.userblock = i % 2 ? 1024 : 0;
            struct snn_dataset *set;
            ck_ok(open_with(&made, &set));
            expect_good(set);
            snn_dataset_close(&set);
        }
    H5Tclose(half), H5Tclose(half_be);
}
END_TEST

START_TEST(facts_of_a_set) {
    struct snn_dataset *set;
    ck_ok(open_with(&good, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], TRAIN);
    ck_assert_int_eq(set->info.count[SNN_TEST], TEST);
    ck_assert_int_eq(set->info.classes, 10);
    ck_assert_int_eq(set->info.C * 10000 + set->info.H * 1000 + set->info.W, 11700);
    ck_assert_int_eq(set->info.files, 2);
    ck_assert_int_eq(set->info.own_validation, 0);
    ck_assert(set->info.kind == SNN_RECORDINGS && !set->info.class_name);
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(
        strstr(lines.text, "train: 4 recordings (the full set has 2400) of 3 speakers, 10 spikes, 0 broken"));
    snn_dataset_close(&set);
    ck_ok(snn_dataset_open("shd", folder, NULL, NULL, &set)); /* the same files, of twice as many classes */
    ck_assert_int_eq(set->info.classes, 20);
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "2 of the files are not as distributed");
    ck_assert_ptr_nonnull(strstr(lines.text, "expected 8e9877c85f29a28dd353ea6a54402667"));
    snn_dataset_close(&set);
}
END_TEST

/* Every half from 0 to 65504, subnormal ones too. */
START_TEST(every_half) {
    enum { N = 0x7C00 };
    double *time = malloc(N * sizeof *time);
    long long *units = calloc(N, sizeof *units);
    for (int bits = 0; bits < N; ++bits)
        time[bits] = bits < 1024 ? ldexp(bits, -24) : ldexp(1024 + bits % 1024, bits / 1024 - 25);
    const int all = N;
    struct made_spikes made = {.recordings = 1, .length = &all, .time = time, .unit = units};
    struct snn_sample sample = {0};
    ck_ok(get_from(&made, 0, &sample));
    ck_assert_uint_eq(sample.event_count, N);
    for (int bits = 0; bits < N; ++bits) ck_assert_int_eq(sample.events[bits].t, (int64_t)(time[bits] * 1e6));
    ck_assert_int_eq(sample.events[N - 1].t, INT64_C(65504000000));
    snn_sample_free(&sample);
    free(units), free(time);
}
END_TEST

START_TEST(events_come_in_order_of_time) {
    static const double time[5] = {0.5, 0.25, 0.5, 0, 0.25};
    static const long long units[5] = {7, 600, 5, 9, 10};
    static const int five = 5, order[5] = {3, 4, 1, 2, 0}; /* equals by their unit */
    struct made_spikes made = {.recordings = 1, .length = &five, .time = time, .unit = units};
    struct snn_sample sample = {0};
    ck_ok(get_from(&made, 0, &sample));
    for (int k = 0; k < 5; ++k) {
        ck_assert_int_eq(sample.events[k].t, (int64_t)(time[order[k]] * 1e6));
        ck_assert_int_eq(sample.events[k].x, units[order[k]]);
    }
    snn_sample_free(&sample);
}
END_TEST

START_TEST(words_name_the_classes) {
    static const int words[] = {10, -10, 12, -9};
    for (int i = 0; i < 4; ++i) {
        struct made_spikes made = good;
        made.words = words[i];
        struct snn_dataset *set;
        ck_ok(open_with(&made, &set));
        if (i == 3) ck_assert_ptr_null(set->info.class_name); /* nine words for ten classes */
        else ck_assert_str_eq(set->info.class_name[9], "word 9");
        snn_dataset_close(&set);
    }
}
END_TEST

/* ---- broken files ---- */

/* One spike that cannot be. */
static const struct {
    double time;
    long long unit;
    const char *sentence;
} bad_spike[] = {
    {-0.5, 0, "recording 3: spike 1 is at -0.5 s, expected 0..65536 s"},
    {NAN, 0, "spike 1 is at "},
    {INFINITY, 0, "spike 1 is at inf s"},
    {65537, 0, "spike 1 is at 65537 s"},
    {1e300, 0, "spike 1 is at 1e+300 s"},
    {1, 700, "recording 3: spike 1 is of unit 700, expected 0..699"},
    {1, -1, "spike 1 is of unit -1"},
    {1, 65536 + 5, "spike 1 is of unit 65541"},
    {1, INT64_MAX, "spike 1 is of unit 9223372036854775807"},
};

START_TEST(refuses_a_bad_spike) {
    double time[10];
    long long units[10];
    memcpy(time, when, sizeof time);
    memcpy(units, unit, sizeof units);
    time[9] = bad_spike[_i].time, units[9] = bad_spike[_i].unit;
    struct made_spikes made = good;
    made.time = time, made.unit = units;
    made.time_type = H5T_IEEE_F64LE, made.unit_type = H5T_STD_I64LE;
    struct snn_sample sample = {0};
    ck_error(get_from(&made, 3, &sample), SNN_EDATA, bad_spike[_i].sentence);
    ck_ok(get_from(&made, 2, &sample));
    hid_t half = made_half(H5T_ORDER_LE);
    made.time_type = half;
    if (units[9] == 0 && time[9] < 65504) ck_error(get_from(&made, 3, &sample), SNN_EDATA, bad_spike[_i].sentence);
    H5Tclose(half);
    snn_sample_free(&sample);
    struct snn_dataset *set;
    struct lines lines = {0};
    made.time_type = H5T_IEEE_F64LE;
    ck_ok(open_with(&made, &set));
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "1 of 6 recordings are broken");
    ck_assert_ptr_nonnull(strstr(lines.text, "shd_train.h5: recording 3"));
    snn_dataset_close(&set);
}
END_TEST

START_TEST(refuses_lists_of_different_length) {
    static const int shorter[TRAIN] = {3, 0, 4, 2};
    struct made_spikes made = good;
    made.units_length = shorter;
    struct snn_sample sample = {0};
    ck_error(get_from(&made, 2, &sample), SNN_EDATA, "recording 2 has 5 times and 4 units");
    snn_sample_free(&sample);
}
END_TEST

START_TEST(refuses_what_does_not_fit) {
    struct snn_dataset *set;
    struct made_spikes made = good;
    made.without = "times";
    ck_error(open_with(&made, &set), SNN_EDATA, "shd_train.h5: holds no /spikes/times");
    made.without = "units";
    ck_error(open_with(&made, &set), SNN_EDATA, "shd_train.h5: holds no /spikes/units");
    made.without = NULL;
    made.labels = -1;
    ck_error(open_with(&made, &set), SNN_EDATA, "holds no /labels");
    made.labels = 3;
    ck_error(open_with(&made, &set), SNN_EDATA, "/labels has 3 entries, expected 4");
    made.labels = 0;
    made.speakers = 5;
    ck_error(open_with(&made, &set), SNN_EDATA, "/extra/speaker has 5 entries, expected 4");
    made.speakers = -1; /* these may be absent */
    ck_ok(open_with(&made, &set));
    snn_dataset_close(&set);
    static const int ten[TRAIN] = {0, 1, 10, 2}, negative[TRAIN] = {-1, 1, 2, 3};
    made.label = ten;
    ck_error(open_with(&made, &set), SNN_EDATA, "/labels: entry 2 is 10, expected 0..9");
    made.label = negative;
    ck_error(open_with(&made, &set), SNN_EDATA, "/labels: entry 0 is -1, expected 0..9");
    made = good;
    made.time_type = H5T_STD_I32LE;
    ck_error(open_with(&made, &set), SNN_EDATA, "/spikes/times holds no lists of floating-point numbers");
    made = good;
    made.unit_type = H5T_IEEE_F32LE;
    ck_error(open_with(&made, &set), SNN_EDATA, "/spikes/units holds no lists of integers");
    made = good;
    made.recordings = 0;
    ck_error(open_with(&made, &set), SNN_EDATA, "holds no recordings");
    ck_assert_ptr_null(set);
}
END_TEST

/* Put `name` of another kind in place of the one there is: numbers (rank dimensions of `count`), or a group. */
static void replace(const char *name, hid_t type, int rank, hsize_t count, bool unlimited) {
    hid_t file = H5Fopen(in("shd_train.h5"), H5F_ACC_RDWR, H5P_DEFAULT), how = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t dims[2] = {count, count}, most[2] = {H5S_UNLIMITED, H5S_UNLIMITED}, chunk[2] = {4, 4};
    if (H5Lexists(file, name, H5P_DEFAULT) > 0) H5Ldelete(file, name, H5P_DEFAULT);
    if (rank < 0) {
        H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    } else {
        hid_t space = rank ? H5Screate_simple(rank, dims, unlimited ? most : NULL) : H5Screate(H5S_SCALAR);
        if (unlimited) H5Pset_chunk(how, rank, chunk);
        hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
        ck_assert_int_ge(set, 0);
        H5Dclose(set), H5Sclose(space);
    }
    H5Pclose(how), H5Fclose(file);
}

START_TEST(refuses_other_shapes_and_kinds) {
    struct snn_dataset *set;
    hid_t list = H5Tvlen_create(H5T_IEEE_F32LE), text = H5Tcopy(H5T_C_S1);
    const struct {
        const char *name;
        hid_t type;
        int rank;
        hsize_t count;
        const char *sentence;
    } other[] = {
        {"/spikes/times", H5T_IEEE_F32LE, 1, 4, "/spikes/times is no list of variable-length lists"},
        {"/spikes/times", list, 2, 4, "/spikes/times has 2 dimensions, expected 1"},
        {"/spikes/times", list, 0, 4, "/spikes/times has 0 dimensions, expected 1"},
        {"/spikes/times", list, -1, 4, "/spikes/times cannot be read"},
        {"/spikes/times", list, 1, 5, "/spikes/times has 5 entries and /spikes/units 4, expected as many"},
        {"/labels", H5T_IEEE_F32LE, 1, 4, "/labels is no list of integers"},
        {"/labels", text, 1, 4, "/labels is no list of integers"},
        {"/labels", H5T_STD_I32LE, 2, 4, "/labels has 2 dimensions"},
        {"/extra/speaker", H5T_IEEE_F64LE, 1, 4, "/extra/speaker is no list of integers"},
        {"/extra/keys", H5T_STD_I32LE, 1, 20, "/extra/keys is no list of strings"},
        {"/extra/keys", list, 1, 20, "/extra/keys is no list of strings"},
        {"/extra/keys", text, -1, 20, "/extra/keys cannot be read"},
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; ++i) {
        make("shd_train.h5", &good);
        make_test_file("shd_test.h5");
        replace(other[i].name, other[i].type, other[i].rank, other[i].count, false);
        ck_error(open_digits(&set), SNN_EDATA, other[i].sentence);
        ck_error(SNN_EDATA, SNN_EDATA, "/shd_train.h5: "); /* the file is named */
    }
    H5Tclose(list), H5Tclose(text);
}
END_TEST

START_TEST(what_was_never_written_is_empty) {
    hid_t list = H5Tvlen_create(H5T_IEEE_F32LE), units = H5Tvlen_create(H5T_STD_U16LE);
    for (int chunked = 0; chunked < 2; ++chunked) {
        struct snn_dataset *set;
        struct snn_sample sample = {0};
        make("shd_train.h5", &good);
        make_test_file("shd_test.h5");
        replace("/spikes/times", list, 1, TRAIN, chunked);
        replace("/spikes/units", units, 1, TRAIN, chunked);
        ck_ok(open_digits(&set));
        for (int i = 0; i < TRAIN; ++i) {
            ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
            ck_assert_uint_eq(sample.event_count, 0);
        }
        snn_sample_free(&sample);
        snn_dataset_close(&set);
    }
    H5Tclose(list), H5Tclose(units);
}
END_TEST

/* Chunks that were never written take no place in the file: it is small whatever it claims. */
START_TEST(refuses_enormous_claims) {
    struct snn_dataset *set;
    hid_t list = H5Tvlen_create(H5T_IEEE_F32LE), units = H5Tvlen_create(H5T_STD_U16LE);
    const hsize_t huge = (hsize_t)1 << 60;
    make("shd_train.h5", &good);
    make_test_file("shd_test.h5");
    replace("/spikes/times", list, 1, huge, true);
    ck_error(open_digits(&set), SNN_EDATA, "/spikes/times has 1152921504606846976 entries, expected at most 1048576");
    replace("/spikes/units", units, 1, huge, true);
    ck_error(open_digits(&set), SNN_EDATA, "/spikes/times has 1152921504606846976 entries");
    make("shd_train.h5", &good);
    replace("/labels", H5T_STD_I32LE, 1, huge, true);
    ck_error(open_digits(&set), SNN_EDATA, "/labels has 1152921504606846976 entries");
    H5Tclose(list), H5Tclose(units);
}
END_TEST

/* References of 77 elements, in a file of one recording: each is 77, an address below 2^16 and an object below 256. */
enum { LISTED = 77, ROOM = 1 << 16 };

static size_t make_listed(unsigned char *bytes, size_t reference[2]) {
    const int all = LISTED;
    const double time[LISTED] = {0};
    const long long units[LISTED] = {0};
    struct made_spikes made = {.recordings = 1, .length = &all, .time = time, .unit = units};
    make("shd_train.h5", &made);
    make_test_file("shd_test.h5");
    size_t size = read_whole("shd_train.h5", bytes, ROOM), found = 0;
    ck_assert_uint_lt(size, ROOM);
    for (size_t at = 0; at + 16 <= size; ++at)
        if (!memcmp(bytes + at, "\x4d\0\0", 4) && !memcmp(bytes + at + 6, "\0\0\0\0\0", 6) && !bytes[at + 13]) {
            ck_assert_uint_lt(found, 2);
            reference[found++] = at;
        }
    ck_assert_uint_eq(found, 2);
    return size;
}

static const struct {
    int which, at; /* of the two references (2: both), byte */
    unsigned char value[8];
    int size;
    const char *sentence;
} bad_reference[] = {
    {2, 0, {0xff, 0xff, 0xff, 0xff}, 4, "recording 0 has 4294967295 spikes, expected at most 16777216"},
    {2, 0, {0, 0, 0, 1}, 4, "list 0 is longer than what the heap holds"},
    {2, 0, {79}, 1, "list 0 is longer than what the heap holds"},
    {0, 0, {76}, 1, "recording 0 has "},
    {2, 4, {8, 0}, 2, "list 0 points at what is no heap"},
    {2, 4, {0xff, 0xff, 0xff}, 3, "list 0 points beyond the end of the file"},
    {2, 4, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, "list 0 points beyond the end of the file"},
    {2, 12, {99}, 1, "list 0 points at an object that its heap does not have"},
    {2, 12, {0}, 1, "list 0 points at an object that its heap does not have"},
    {2, 12, {1, 0, 1}, 3, "list 0 points at an object that its heap does not have"},
};

START_TEST(refuses_a_bad_reference) {
    unsigned char *bytes = malloc(ROOM);
    size_t reference[2], size = make_listed(bytes, reference);
    for (int k = 0; k < 2; ++k)
        if (bad_reference[_i].which == 2 || bad_reference[_i].which == k)
            memcpy(bytes + reference[k] + bad_reference[_i].at, bad_reference[_i].value,
                   (size_t)bad_reference[_i].size);
    write_file("shd_train.h5", bytes, size);
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    ck_ok(open_digits(&set));
    ck_error(set->ops->get(set, SNN_TRAIN, 0, &sample), SNN_EDATA, bad_reference[_i].sentence);
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    free(bytes);
}
END_TEST

/* The heap's own words: each byte of its header and of its first objects' headers, changed. */
START_TEST(survives_a_bad_heap) {
    static const unsigned char changes[] = {0, 0x7f, 0xff};
    unsigned char *bytes = malloc(ROOM);
    size_t reference[2], size = make_listed(bytes, reference);
    unsigned char *heap = memmem(bytes, size, "GCOL", 4);
    ck_assert_ptr_nonnull(heap);
    int refused = 0;
    struct snn_sample sample = {0};
    for (int at = 0; at < 200 * 3; ++at) {
        unsigned char before = heap[at / 3];
        heap[at / 3] = changes[at % 3];
        write_file("shd_train.h5", bytes, size);
        heap[at / 3] = before;
        struct snn_dataset *set;
        ck_ok(open_digits(&set));
        int status = set->ops->get(set, SNN_TRAIN, 0, &sample);
        ck_assert_msg(status == SNN_EDATA || (status == SNN_OK && sample.event_count == LISTED), "byte %d", at / 3);
        refused += status < 0;
        snn_dataset_close(&set);
    }
    ck_assert_int_gt(refused, 20);
    snn_sample_free(&sample);
    free(bytes);
}
END_TEST

START_TEST(cut_anywhere_is_refused) {
    unsigned char *bytes = malloc(ROOM);
    struct made_spikes made = good;
    made.words = 10;
    make("shd_train.h5", &made);
    make_test_file("shd_test.h5");
    size_t size = read_whole("shd_train.h5", bytes, ROOM);
    ck_assert_uint_lt(size, ROOM);
    for (size_t cut = 0; cut < size; ++cut) {
        struct snn_dataset *set;
        ck_assert_int_eq(truncate(in("shd_train.h5"), (off_t)(size - 1 - cut)), 0);
        ck_assert_msg(open_digits(&set) == SNN_EDATA, "cut to %zu of %zu bytes", size - 1 - cut, size);
        ck_assert_ptr_nonnull(strstr(snn_error_text(), "shd_train.h5: the HDF5 file cannot be read"));
    }
    free(bytes);
}
END_TEST

START_TEST(other_files_and_none) {
    struct snn_dataset *set;
    ck_error(open_digits(&set), SNN_EDATA, "fsdd_spikes was not found");
    write_file("shd_train.h5", "not HDF5", 8);
    ck_error(open_digits(&set), SNN_EDATA, "shd_train.h5: the HDF5 file cannot be read");
    make("shd_train.h5", &good);
    ck_error(open_digits(&set), SNN_EDATA, "shd_test.h5: does not exist, expected it unpacked");
    unlink(in("shd_train.h5"));
    write_file("shd_train.h5.gz", "x", 1);
    ck_error(snn_dataset_open("shd", folder, NULL, NULL, &set), SNN_EDATA,
             "shd_train.h5: does not exist, expected it unpacked (gunzip or unzip)");
    ck_error(snn_dataset_open("ssc", folder, NULL, NULL, &set), SNN_EDATA, "ssc was not found");
}
END_TEST

/* Whoever opened the FIFO would wait for it. */
START_TEST(stays_in_its_file) {
    struct snn_dataset *set;
    char other[4200];
    ck_assert_int_eq(mkfifo(in("shd_train.h5"), 0600), 0);
    make_test_file("shd_test.h5");
    ck_error(open_digits(&set), SNN_EDATA, "shd_train.h5: is not a regular file");
    snprintf(other, sizeof other, "%s", in("shd_train.h5"));
    ck_assert_int_eq(rename(other, in("fifo")), 0);
    snprintf(other, sizeof other, "%s", in("fifo"));
    make("shd_train.h5", &good);
    hid_t file = H5Fopen(in("shd_train.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "/labels", H5P_DEFAULT);
    ck_assert_int_ge(H5Lcreate_external(other, "/labels", file, "/labels", H5P_DEFAULT, H5P_DEFAULT), 0);
    H5Fclose(file);
    ck_error(open_digits(&set), SNN_EDATA, "shd_train.h5: /labels is a link to another file, which is not followed");
    /* With lists of another file, references would point into the wrong one. */
    file = H5Fopen(in("shd_train.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "/spikes/times", H5P_DEFAULT);
    ck_assert_int_ge(
        H5Lcreate_external(in("shd_test.h5"), "/spikes/times", file, "/spikes/times", H5P_DEFAULT, H5P_DEFAULT), 0);
    H5Fclose(file);
    ck_error(open_digits(&set), SNN_EDATA, "shd_train.h5: /spikes/times is a link to another file");
}
END_TEST

/* ---- validation samples of the set's own ---- */

static int read_config(const char *text, struct snn_data_config *config) {
    struct snn_conf_doc *doc;
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    int status = snn_data_config_read(snn_conf_get(snn_conf_root(doc), "data"), config);
    snn_conf_free(&doc);
    return status;
}

static int32_t samples_of(struct snn_dataset *set, const struct snn_data_config *config, enum snn_subset subset) {
    const struct snn_loader_options options = {.config = config, .set = set, .subset = subset, .batch = 2};
    struct snn_loader *loader;
    ck_ok(snn_loader_open(&options, &loader));
    int32_t samples = snn_loader_samples(loader);
    snn_loader_close(&loader);
    return samples;
}

START_TEST(ssc_keeps_its_validation_samples_apart) {
    struct snn_dataset *set;
    make("ssc_train.h5", &good);
    make_test_file("ssc_test.h5");
    ck_error(snn_dataset_open("ssc", folder, NULL, NULL, &set), SNN_EDATA, "ssc_valid.h5: does not exist");
    struct made_spikes valid = good;
    valid.recordings = 3;
    static const int labels[] = {34, 33, 32};
    valid.label = labels;
    make("ssc_valid.h5", &valid);
    ck_ok(snn_dataset_open("ssc", folder, NULL, NULL, &set));
    ck_assert_int_eq(set->info.classes, 35);
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 7);
    ck_assert_int_eq(set->info.count[SNN_TEST], 2);
    ck_assert_int_eq(set->info.own_validation, 3);
    struct snn_sample sample = {0};
    static const int expected[] = {3, 0, 9, 7, 34, 33, 32}, spikes[] = {3, 0, 5, 2, 3, 0, 5};
    for (int i = 0; i < 7; ++i) {
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert_int_eq(sample.label, expected[i]);
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, i), expected[i]);
        ck_assert_uint_eq(sample.event_count, (size_t)spikes[i]);
    }
    snn_sample_free(&sample);

    struct snn_data_config config;
    ck_ok(read_config("data: {name: ssc, validation: own, workers: 0}", &config));
    int32_t *list, count;
    ck_ok(snn_subset_list(set, SNN_SUBSET_VALIDATION, &config.validation, 0, &list, &count));
    ck_assert_int_eq(count, 3);
    for (int32_t i = 0; i < 3; ++i) ck_assert_int_eq(list[i], 4 + i);
    free(list);
    ck_assert_int_eq(samples_of(set, &config, SNN_SUBSET_TRAIN), 4);
    ck_assert_int_eq(samples_of(set, &config, SNN_SUBSET_VALIDATION), 3);
    ck_assert_int_eq(samples_of(set, &config, SNN_SUBSET_TEST), 2);
    ck_ok(read_config("data: {name: ssc, workers: 0}", &config)); /* unused, but never trained on */
    ck_assert_int_eq(samples_of(set, &config, SNN_SUBSET_TRAIN), 4);
    snn_dataset_close(&set);
    ck_error(read_config("data: {name: ssc, validation: 0.1}", &config), SNN_EUSAGE,
             "data.validation: ssc has validation samples: expected own, or none");
    ck_error(read_config("data: {name: shd, validation: own}", &config), SNN_EUSAGE,
             "data.validation.by: is own, and shd has no validation samples: expected a fraction");
}
END_TEST

/* Recording i is of speaker i % 3. */
START_TEST(validation_by_speaker_holds_whole_speakers) {
    struct snn_dataset *set;
    struct snn_data_config config;
    int32_t *list, count;
    ck_ok(open_with(&good, &set));
    for (int i = 0; i < TRAIN; ++i) ck_assert_int_eq(set->ops->group(set, SNN_TRAIN, i), i % 3);
    ck_ok(read_config("data: {name: fsdd_spikes, validation: {by: speaker, ids: [0, 1]}, workers: 0}", &config));
    ck_ok(snn_subset_list(set, SNN_SUBSET_VALIDATION, &config.validation, 0, &list, &count));
    ck_assert(count == 3 && list[0] == 0 && list[1] == 1 && list[2] == 3);
    free(list);
    ck_ok(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count));
    ck_assert(count == 1 && list[0] == 2);
    free(list);
    bool drawn[3] = {0};
    for (int seed = 0; seed < 20; ++seed) { /* one of three, whole; every one some time */
        ck_ok(read_config("data: {name: fsdd_spikes, validation: {by: speaker, fraction: 0.1}, workers: 0}", &config));
        ck_ok(snn_subset_list(set, SNN_SUBSET_VALIDATION, &config.validation, (uint64_t)seed, &list, &count));
        ck_assert_int_eq(count, list[0] == 0 ? 2 : 1);
        drawn[list[0]] = true;
        free(list);
    }
    ck_assert(drawn[0] && drawn[1] && drawn[2]);
    ck_ok(read_config("data: {name: fsdd_spikes, validation: {by: speaker, ids: [7]}}", &config));
    ck_error(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count), SNN_EUSAGE,
             "data.validation.ids: no training sample is of speaker 7");
    ck_ok(read_config("data: {name: fsdd_spikes, validation: {by: speaker, ids: [0, 1, 2]}}", &config));
    ck_error(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count), SNN_EUSAGE,
             "data.validation: by speaker leaves none of 4 samples for training");
    snn_dataset_close(&set);
    struct made_spikes nameless = good;
    nameless.speakers = -1;
    ck_ok(open_with(&nameless, &set));
    ck_ok(read_config("data: {name: fsdd_spikes, validation: {by: speaker, fraction: 0.5}}", &config));
    ck_error(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count), SNN_EDATA,
             "does not say the speaker of training sample 0");
    snn_dataset_close(&set);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_validation[] = {
    {"{by: user, fraction: 0.1}", "data.validation.by: is user, and fsdd_spikes does not tell its users"},
    {"{by: speaker}", "data.validation: expected a fraction, or ids"},
    {"{by: class}", "data.validation: expected a fraction"},
    {"{by: speaker, ids: []}", "data.validation.ids: expected a list of numbers"},
    {"{by: speaker, ids: [a]}", "data.validation.ids.0: expected a number"},
    {"{by: speaker, ids: [1], fraction: 0.1}", "data.validation.fraction: has no effect beside ids"},
    {"{by: class, ids: [1], fraction: 0.1}", "data.validation.ids: are for validation by speaker or user"},
    {"{by: speaker, fraction: 0}", "data.validation.fraction: is 0, expected more"},
    {"{by: none, fraction: 0.1}", "data.validation.fraction: has no effect by none"},
    {"{by: age, fraction: 0.1}", "data.validation.by: expected class, speaker, user, own or none, got 'age'"},
    {"most", "data.validation.fraction: "},
};

START_TEST(refuses_a_bad_validation) {
    struct snn_data_config config;
    char text[300];
    snprintf(text, sizeof text, "data: {name: fsdd_spikes, validation: %s}", bad_validation[_i].text);
    ck_error(read_config(text, &config), SNN_EUSAGE, bad_validation[_i].message);
}
END_TEST

/* ---- threads, and real files ---- */

static void *read_all(void *payload) {
    struct snn_dataset *set = payload;
    struct snn_sample sample = {0};
    size_t events = 0;
    for (int round = 0; round < 100; ++round)
        for (int i = 0; i < set->info.count[SNN_TRAIN]; ++i)
            if (set->ops->get(set, SNN_TRAIN, i, &sample) == SNN_OK) events += sample.event_count;
    snn_sample_free(&sample);
    return (void *)events;
}

START_TEST(serves_threads) {
    struct snn_dataset *set;
    ck_ok(open_with(&good, &set));
    pthread_t thread[3];
    for (int i = 0; i < 3; ++i) ck_assert_int_eq(pthread_create(&thread[i], NULL, read_all, set), 0);
    for (int i = 0; i < 3; ++i) {
        void *events;
        pthread_join(thread[i], &events);
        ck_assert_uint_eq((size_t)events, 100 * 10);
    }
    snn_dataset_close(&set);
}
END_TEST

/* ---- digits to be added ---- */

/* Options as the keys of shd_adding fill them; they live as long as the set. */
static int open_adding(const char *options, struct snn_dataset **set) {
    static struct snn_data_config config;
    struct snn_conf_doc *doc;
    char text[200];
    snprintf(text, sizeof text, "{name: shd_adding%s}", options);
    ck_ok(snn_conf_parse(text, strlen(text), "c.yaml", &doc));
    int rc = snn_data_config_read(snn_conf_root(doc), &config);
    if (rc >= 0) rc = snn_dataset_open("shd_adding", folder, NULL, snn_data_set_options(&config), set);
    snn_conf_free(&doc);
    return rc;
}

/* Every sample is one of the pairs of recordings: the first second of each, and the sum of their labels. */
START_TEST(two_digits_are_added) {
    enum { PAIRS = 300 };
    struct snn_dataset *set, *words;
    struct snn_sample sample = {0}, part[2] = {{0}};
    int seen[TRAIN][TRAIN] = {{0}};
    ck_ok(open_with(&good, &words));
    ck_ok(open_adding(", of: fsdd_spikes, train: 300, test: 20", &set));
    ck_assert(set->info.classes == 19 && set->info.W == 700 && set->info.files == 2);
    ck_assert(set->info.count[SNN_TRAIN] == PAIRS && set->info.count[SNN_TEST] == 20);
    for (int i = 0; i < PAIRS; ++i) {
        int matches = 0;
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert_int_eq(sample.label, set->ops->label(set, SNN_TRAIN, i));
        for (int a = 0; a < TRAIN; ++a)
            for (int b = 0; b < TRAIN; ++b) {
                size_t n = 0;
                bool same = sample.label == label[a] % 10 + label[b] % 10;
                ck_ok(words->ops->get(words, SNN_TRAIN, a, &part[0]));
                ck_ok(words->ops->get(words, SNN_TRAIN, b, &part[1]));
                for (int k = 0; k < 2; ++k)
                    for (size_t j = 0; j < part[k].event_count && part[k].events[j].t < 1000000; ++j, ++n)
                        same = same && n < sample.event_count && sample.events[n].x == part[k].events[j].x &&
                               sample.events[n].t == part[k].events[j].t + k * 1000000;
                if (same && n == sample.event_count) ++matches, ++seen[a][b];
            }
        ck_assert_int_eq(matches, 1);
    }
    for (int a = 0; a < TRAIN; ++a)
        for (int b = 0; b < TRAIN; ++b) ck_assert_int_gt(seen[a][b], 4);
    for (int i = 0; i < 20; ++i) ck_ok(set->ops->get(set, SNN_TEST, i, &sample));
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    snn_sample_free(&sample), snn_sample_free(&part[0]), snn_sample_free(&part[1]);
    snn_dataset_close(&words);
    snn_dataset_close(&set);
}
END_TEST

START_TEST(adding_needs_digits) {
    struct snn_dataset *set;
    ck_error(open_adding("", &set), SNN_EDATA, "shd_adding was not found");
    make("shd_train.h5", &good);
    ck_error(open_adding("", &set), SNN_EDATA, "shd_test.h5: does not exist");
    ck_error(open_adding(", of: ssc", &set), SNN_EUSAGE, "of: expected");
}
END_TEST

START_TEST(real_digits_are_whole) {
    char root[4200];
    if (!find_shared_set("real_digits_are_whole", "fsdd-spikes", root, sizeof root)) return;
    struct snn_dataset *set;
    struct lines lines = {0};
    ck_ok(snn_dataset_open("fsdd_spikes", root, NULL, NULL, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 2400);
    ck_assert_int_eq(set->info.count[SNN_TEST], 600);
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "test: 600 recordings (the full set has 600) of 6 speakers, "));
    struct snn_sample sample = {0};
    ck_ok(set->ops->get(set, SNN_TEST, 0, &sample));
    ck_assert_int_eq(sample.label, 1);
    ck_assert_uint_eq(sample.event_count, 3078);
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shd");
    TCase *shd = tcase_create("shd");
    tcase_add_checked_fixture(shd, make_data_folder, remove_folder);
    tcase_set_timeout(shd, 120);
    tcase_add_test(shd, every_number_type);
    tcase_add_test(shd, facts_of_a_set);
    tcase_add_test(shd, every_half);
    tcase_add_test(shd, events_come_in_order_of_time);
    tcase_add_test(shd, words_name_the_classes);
    tcase_add_loop_test(shd, refuses_a_bad_spike, 0, (int)(sizeof bad_spike / sizeof *bad_spike));
    tcase_add_test(shd, refuses_lists_of_different_length);
    tcase_add_test(shd, refuses_what_does_not_fit);
    tcase_add_test(shd, refuses_other_shapes_and_kinds);
    tcase_add_test(shd, what_was_never_written_is_empty);
    tcase_add_test(shd, refuses_enormous_claims);
    tcase_add_loop_test(shd, refuses_a_bad_reference, 0, (int)(sizeof bad_reference / sizeof *bad_reference));
    tcase_add_test(shd, survives_a_bad_heap);
    tcase_add_test(shd, cut_anywhere_is_refused);
    tcase_add_test(shd, other_files_and_none);
    tcase_add_test(shd, stays_in_its_file);
    tcase_add_test(shd, ssc_keeps_its_validation_samples_apart);
    tcase_add_test(shd, validation_by_speaker_holds_whole_speakers);
    tcase_add_loop_test(shd, refuses_a_bad_validation, 0, (int)(sizeof bad_validation / sizeof *bad_validation));
    tcase_add_test(shd, serves_threads);
    tcase_add_test(shd, two_digits_are_added);
    tcase_add_test(shd, adding_needs_digits);
    tcase_add_test(shd, real_digits_are_whole);
    suite_add_tcase(suite, shd);
    return run_suite(suite);
}
