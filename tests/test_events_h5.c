/* SPDX-License-Identifier: Apache-2.0
 * test_events_h5.c - recordings in HDF5: four data sets of numbers in several types, packed and not, and broken ones.
 */
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include "made_events.h"

enum { LENGTH = 3 };

struct made_column {
    const char *name;
    hid_t type;
    double value[LENGTH];
    int length;  /* 0: LENGTH */
    int packed;  /* in chunks, shuffled and deflated */
    hsize_t far; /* so many entries, of which only the first chunk is written */
};

static struct made made_h5(const struct made_column *columns, int count, bool group) {
    struct made made = {0};
    hid_t file = H5Fcreate(in("x.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    if (group) H5Gclose(H5Gcreate2(file, "/events", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (int c = 0; c < count; ++c) {
        const struct made_column *column = &columns[c];
        hsize_t n = column->length ? (hsize_t)column->length : LENGTH, chunk = 2, all = column->far ? column->far : n;
        hid_t how = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &all, NULL);
        hid_t memory = H5Screate_simple(1, &n, NULL);
        hsize_t first = 0;
        if (column->packed || column->far) H5Pset_chunk(how, 1, &chunk), H5Pset_shuffle(how), H5Pset_deflate(how, 9);
        hid_t set = H5Dcreate2(file, column->name, column->type, space, H5P_DEFAULT, how, H5P_DEFAULT);
        ck_assert_msg(set >= 0, "%s", column->name);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &n, NULL);
        if (H5Tget_class(column->type) == H5T_ENUM) {
            signed char flags[LENGTH];
            for (int i = 0; i < LENGTH; ++i) flags[i] = (signed char)column->value[i];
            ck_assert_int_ge(H5Dwrite(set, column->type, memory, space, H5P_DEFAULT, flags), 0);
        } else if (H5Tget_class(column->type) != H5T_STRING) {
            ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, column->value), 0);
        }
        H5Dclose(set), H5Sclose(space), H5Sclose(memory), H5Pclose(how);
    }
    H5Fclose(file);
    made.size = read_whole("x.h5", made.bytes, sizeof made.bytes);
    return made;
}

static void expect_three(const struct made *made, int unit) {
    struct snn_events_options options = {.unit = unit};
    struct read read = read_made(made, "x.h5", &options);
    ck_assert_str_eq(read.facts.format, "HDF5");
    ck_assert_str_eq(read.facts.warning, "");
    ck_assert_int_eq(read.facts.events, 3);
    ck_assert(read.facts.W == 640 && read.facts.H == 480 && !read.facts.sensor_stated);
    expect_event(&read, 0, 100, 1, 2, 1);
    expect_event(&read, 1, 200, 639, 479, 0);
    expect_event(&read, 2, 300, 5, 6, 1);
    snn_sample_free(&read.sample);
}

/* As h5py writes booleans. */
static hid_t flag_type(void) {
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    H5Tenum_insert(type, "FALSE", &(signed char){0});
    H5Tenum_insert(type, "TRUE", &(signed char){1});
    return type;
}

START_TEST(h5_forms) {
    struct made_column group[] = {{"/events/t", H5T_STD_I64LE, {100, 300, 200}, 0, _i, 0},
                                  {"/events/x", H5T_STD_U16LE, {1, 5, 639}, 0, _i, 0},
                                  {"/events/y", H5T_STD_I32BE, {2, 6, 479}, 0, _i, 0},
                                  {"/events/p", H5T_STD_U8LE, {1, 1, 0}, 0, _i, 0}};
    struct made made = made_h5(group, 4, true);
    expect_three(&made, 0);
    struct made_column root[] = {{"/ts_ms", H5T_IEEE_F64LE, {0.1, 0.3, 0.2}, 0, _i, 0},
                                 {"/xs", H5T_IEEE_F32LE, {1, 5, 639}, 0, _i, 0},
                                 {"/ys", H5T_STD_I16BE, {2, 6, 479}, 0, _i, 0},
                                 {"/polarity", flag_type(), {1, 1, 0}, 0, _i, 0}};
    made = made_h5(root, 4, false);
    expect_three(&made, 0);
    root[0].name = "/t", root[3].type = H5T_STD_I8LE, root[3].value[2] = -1;
    for (int i = 0; i < LENGTH; ++i) root[0].value[i] *= 1e-3;
    made = made_h5(root, 4, true); /* with a group that is empty */
    expect_three(&made, SNN_EVENTS_S);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: row 0: time 0.0001, expected whole microseconds");
    for (int i = 0; i < LENGTH; ++i) root[0].value[i] *= 1e6;
    made = made_h5(root, 4, false);
    struct read read = read_made(&made, "x.h5", NULL);
    ck_assert_str_eq(read.facts.warning, "does not say the unit of its times, which are taken for microseconds");
    snn_sample_free(&read.sample);
}
END_TEST

START_TEST(h5_cut_everywhere) {
    struct made_column group[] = {{"/events/t", H5T_STD_I64LE, {100, 300, 200}, 0, _i, 0},
                                  {"/events/x", H5T_STD_U16LE, {1, 5, 639}, 0, _i, 0},
                                  {"/events/y", H5T_STD_I32BE, {2, 6, 479}, 0, _i, 0},
                                  {"/events/p", H5T_STD_U8LE, {1, 1, 0}, 0, _i, 0}};
    struct made made = made_h5(group, 4, true);
    cut_everywhere(&made, "x.h5", NULL, false);
}
END_TEST

START_TEST(h5_refuses_broken) {
    struct made_column good[] = {{"/t", H5T_STD_I64LE, {100, 300, 200}, 0, 0, 0},
                                 {"/x", H5T_STD_U16LE, {1, 5, 639}, 0, 0, 0},
                                 {"/y", H5T_STD_I32BE, {2, 6, 479}, 0, 0, 0},
                                 {"/p", H5T_STD_U8LE, {1, 1, 0}, 0, 0, 0}},
                       bad[4];
    struct made made = made_h5(good, 3, true);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: holds neither /events/t, x, y and p nor /t, /x, /y and /p");
    memcpy(bad, good, sizeof bad), bad[1].length = 2;
    made = made_h5(bad, 4, false);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: /x has 2 entries, and /t has 3");
    memcpy(bad, good, sizeof bad), bad[2].type = H5T_C_S1;
    made = made_h5(bad, 4, false);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: /y is no list of numbers");
    memcpy(bad, good, sizeof bad), bad[3].value[1] = 7;
    made = made_h5(bad, 4, false);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: row 1: polarity 7, expected 0, 1 or -1");
    for (int c = 0; c < 4; ++c) good[c].far = (hsize_t)1 << 60;
    made = made_h5(good, 4, false);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: /t claims 1152921504606846976 entries, and ");
    made.size = 0, add(&made, BYTES("\x89HDF\r\n\x1a\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, "x.h5: is no whole HDF5 file");
    expect_refused(&made, "x.aedat", NULL, SNN_EDATA, "x.aedat: is no whole HDF5 file");
}
END_TEST

enum { LINK, LINK_OF_GROUP, VIRTUAL, STORED_OUTSIDE, WAYS_OUT };

/* A file whose times lie in another one: a FIFO, which whoever opened it would wait for. */
static struct made made_outside(int way) {
    struct made_column three[] = {{"/events/x", H5T_STD_U16LE, {1, 5, 639}, 0, 0, 0},
                                  {"/events/y", H5T_STD_I32BE, {2, 6, 479}, 0, 0, 0},
                                  {"/events/p", H5T_STD_U8LE, {1, 1, 0}, 0, 0, 0}};
    struct made made = made_h5(three, 3, true);
    char other[4200];
    snprintf(other, sizeof other, "%s", in("fifo"));
    hid_t file = H5Fopen(in("x.h5"), H5F_ACC_RDWR, H5P_DEFAULT), how = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t n = LENGTH;
    hid_t space = H5Screate_simple(1, &n, NULL), set = -1;
    herr_t done = 0;
    if (way == LINK) done = H5Lcreate_external(other, "/t", file, "/events/t", H5P_DEFAULT, H5P_DEFAULT);
    if (way == LINK_OF_GROUP) {
        H5Ldelete(file, "/events", H5P_DEFAULT);
        done = H5Lcreate_external(other, "/events", file, "/events", H5P_DEFAULT, H5P_DEFAULT);
    }
    if (way == VIRTUAL) done = H5Pset_virtual(how, space, other, "/t", space);
    if (way == STORED_OUTSIDE) done = H5Pset_external(how, other, 0, LENGTH * 8);
    ck_assert_int_ge(done, 0);
    if (way >= VIRTUAL) set = H5Dcreate2(file, "/events/t", H5T_STD_I64LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    if (set >= 0) H5Dclose(set);
    H5Sclose(space), H5Pclose(how), H5Fclose(file);
    made.size = read_whole("x.h5", made.bytes, sizeof made.bytes);
    return made;
}

/* Another file is not even opened. */
START_TEST(h5_stays_in_its_file) {
    static const char *const said[WAYS_OUT] = {
        "x.h5: /events/t is a link to another file, which is not followed",
        "x.h5: holds neither /events/t, x, y and p nor /t, /x, /y and /p",
        "x.h5: /events/t is virtual or stored in another file, which is not read",
        "x.h5: /events/t is virtual or stored in another file, which is not read"};
    ck_assert_int_eq(mkfifo(in("fifo"), 0600), 0);
    struct made made = made_outside(_i);
    expect_refused(&made, "x.h5", NULL, SNN_EDATA, said[_i]);
    unlink(in("fifo"));
}
END_TEST

/* A column of one number packs a thousandfold: it is no lie. */
START_TEST(h5_constant_columns) {
    enum { MANY = 200000 };
    static const char *const names[] = {"/t", "/x", "/y", "/p"};
    static int64_t zeros[MANY];
    hid_t file = H5Fcreate(in("x.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t n = MANY, chunk = MANY;
    hid_t how = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    H5Pset_chunk(how, 1, &chunk), H5Pset_deflate(how, 9);
    for (int c = 0; c < 4; ++c) {
        hid_t set = H5Dcreate2(file, names[c], H5T_STD_I64LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
        ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros), 0);
        H5Dclose(set);
    }
    H5Sclose(space), H5Pclose(how), H5Fclose(file);
    struct snn_sample sample = {0};
    struct snn_events_facts facts;
    ck_assert_int_eq(snn_events_read(in("x.h5"), NULL, &sample, &facts), SNN_OK);
    ck_assert_int_eq(facts.events, MANY);
    snn_sample_free(&sample);
    expect_streamed(in("x.h5"), NULL);
}
END_TEST

/* More rows than are read at a time, in chunks or in one piece, with times that go back. */
START_TEST(h5_piece_by_piece) {
    enum { MANY = 50001 };
    static const char *const names[] = {"/t_us", "/x", "/y", "/p"};
    static int32_t numbers[4][MANY];
    hid_t file = H5Fcreate(in("x.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t n = MANY, chunk = 3000;
    hid_t how = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    if (_i) H5Pset_chunk(how, 1, &chunk), H5Pset_deflate(how, 1);
    for (int i = 0; i < MANY; ++i) {
        uint64_t draw = drawn(5, (uint32_t)i);
        numbers[0][i] = 1000 + 10 * i - (int32_t)(draw % 1000) - (i == 30000) * 200000;
        numbers[1][i] = (int32_t)(draw >> 20 & 255), numbers[2][i] = (int32_t)(draw >> 40 & 127);
        numbers[3][i] = draw >> 50 & 1;
    }
    for (int c = 0; c < 4; ++c) {
        hid_t set = H5Dcreate2(file, names[c], H5T_STD_I32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
        ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers[c]), 0);
        H5Dclose(set);
    }
    H5Sclose(space), H5Pclose(how), H5Fclose(file);
    expect_streamed(in("x.h5"), NULL);
    expect_streamed(in("x.h5"), &(struct snn_events_options){.unit = SNN_EVENTS_MS, .W = 256, .H = 128});
    expect_streamed(in("x.h5"), &(struct snn_events_options){.W = 256, .H = 127}); /* refused somewhere */
}
END_TEST

/* A real file in another layout. */
START_TEST(h5_of_spikes) {
    char root[4200], path[4300];
    if (!find_shared_set("h5_of_spikes", "fsdd-spikes", root, sizeof root)) return;
    struct read read = {0};
    snprintf(path, sizeof path, "%s/shd_test.h5", root);
    ck_error(snn_events_read(path, NULL, &read.sample, &read.facts), SNN_EDATA,
             "shd_test.h5: holds neither /events/t, x, y and p nor /t, /x, /y and /p");
    snn_sample_free(&read.sample);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events_h5");
    TCase *events = tcase_create("events_h5");
    tcase_add_checked_fixture(events, make_data_folder, remove_folder);
    tcase_set_timeout(events, 120);
    tcase_add_loop_test(events, h5_forms, 0, 2);
    tcase_add_loop_test(events, h5_cut_everywhere, 0, 2);
    tcase_add_test(events, h5_refuses_broken);
    tcase_add_loop_test(events, h5_stays_in_its_file, 0, WAYS_OUT);
    tcase_add_test(events, h5_constant_columns);
    tcase_add_loop_test(events, h5_piece_by_piece, 0, 2);
    tcase_add_test(events, h5_of_spikes);
    suite_add_tcase(suite, events);
    return run_suite(suite);
}
