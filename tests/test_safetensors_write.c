/* SPDX-License-Identifier: Apache-2.0
 * test_safetensors_write.c - the writer of the container: its exact bytes, what it refuses, and what the reader makes
 * of it. */
#include <signal.h>
#include <stdint.h>

#include "core/file.h"
#include "core/safetensors.h"
#include "folder.h"

enum { MAX_FILE = 4096 };

static char path[300];

static void setup(void) {
    make_folder();
    snprintf(path, sizeof path, "%s/out.safetensors", folder);
}

static void teardown(void) { remove_folder_of(path); } /* no temporary file stayed */

static const float six[] = {0, 1, 2, 3, 4, 5};

static struct snn_st_tensor tensor(const char *name, enum snn_dtype dtype, uint64_t n, const void *data) {
    return (struct snn_st_tensor){.name = name,
                                  .dtype = dtype,
                                  .nd = 1,
                                  .dim = {n},
                                  .data = data,
                                  .bytes = (size_t)n * (size_t)snn_dtype_bits(dtype) / 8};
}

static void assert_written(const char *header, uint64_t n, const void *data, size_t bytes) {
    unsigned char *file;
    size_t size;
    uint64_t length;
    ck_ok(snn_file_read(path, MAX_FILE, &file, &size));
    memcpy(&length, file, 8);
    ck_assert_uint_eq(length, n);
    ck_assert_uint_eq(strlen(header), n);
    ck_assert_uint_eq(size, 8 + n + bytes);
    ck_assert_msg(!memcmp(file + 8, header, n), "%.*s", (int)n, file + 8);
    ck_assert(bytes == 0 || !memcmp(file + 8 + n, data, bytes));
    free(file);
}

START_TEST(writer_gives_the_reference_bytes) {
    struct snn_st_tensor t = {
        .name = "attn.0", .dtype = SNN_DT_F32, .nd = 3, .dim = {1, 2, 3}, .data = six, .bytes = 24};
    ck_ok(snn_st_write(path, &t, 1, NULL, 0));
    assert_written("{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}", 64, six, 24);
    t = (struct snn_st_tensor){
        .name = "attn0", .dtype = SNN_DT_F32, .nd = 4, .dim = {1, 1, 2, 3}, .data = six, .bytes = 24};
    ck_ok(snn_st_write(path, &t, 1, NULL, 0));
    assert_written("{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":[0,24]}}       ", 72, six, 24);
}
END_TEST

START_TEST(writer_pads_without_tensors) {
    struct snn_st_meta meta = {"framework", "pt"};
    ck_ok(snn_st_write(path, NULL, 0, NULL, 0));
    assert_written("{}      ", 8, NULL, 0);
    ck_ok(snn_st_write(path, NULL, 0, &meta, 1));
    assert_written("{\"__metadata__\":{\"framework\":\"pt\"}}     ", 40, NULL, 0);
}
END_TEST

START_TEST(writer_sorts_by_alignment_then_name) {
    struct snn_st_tensor t[] = {tensor("z", SNN_DT_U8, 1, "Z"),      tensor("b", SNN_DT_F32, 1, "bbbb"),
                                tensor("a", SNN_DT_U8, 1, "A"),      tensor("y", SNN_DT_I64, 1, "yyyyyyyy"),
                                tensor("a.", SNN_DT_F32, 1, "aaaa"), tensor("e", SNN_DT_F64, 0, NULL)};
    struct snn_st_meta meta[] = {{"z", "1"}, {"a", "2"}};
    ck_ok(snn_st_write(path, t, 6, meta, 2));
    assert_written(
        "{\"__metadata__\":{\"z\":\"1\",\"a\":\"2\"},\"y\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[8,8]},"
        "\"a.\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[16,17]},"
        "\"z\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[17,18]}}  ",
        360, "yyyyyyyyaaaabbbbAZ", 18);
}
END_TEST

START_TEST(writer_escapes_what_the_reader_unescapes) {
    static const char odd[] = "\x01\x1f\b\t\n\f\r\"\\/ \x7F\xC3\xA4\xF0\x9F\x98\x80";
    struct snn_st_tensor t = tensor(odd, SNN_DT_F32, 1, six);
    struct snn_st_meta meta = {odd, odd};
    struct snn_st *st;
    unsigned char *file;
    size_t size;
    ck_ok(snn_st_write(path, &t, 1, &meta, 1));
    ck_ok(snn_file_read(path, MAX_FILE, &file, &size));
    ck_assert_ptr_nonnull(
        strstr((char *)file + 8, "\"\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\/ \x7F\xC3\xA4\xF0\x9F\x98\x80\":"));
    free(file);
    ck_ok(snn_st_open(path, &st));
    ck_assert_str_eq(snn_st_at(st, 0)->name, odd);
    ck_assert_str_eq(snn_st_meta_find(st, odd), odd);
    snn_st_close(&st);
}
END_TEST

START_TEST(writer_round_trip_keeps_every_dtype) {
    struct snn_st_tensor t[SNN_DT_COUNT];
    unsigned char data[64];
    struct snn_st *st;
    for (int i = 0; i < 64; ++i) data[i] = (unsigned char)(i * 37 + 1);
    for (int i = 0; i < SNN_DT_COUNT; ++i) t[i] = tensor(snn_dtype_name((enum snn_dtype)i), (enum snn_dtype)i, 8, data);
    ck_ok(snn_st_write(path, t, SNN_DT_COUNT, NULL, 0));
    ck_ok(snn_st_open(path, &st));
    ck_assert_int_eq(snn_st_count(st), SNN_DT_COUNT);
    for (int i = 0; i < SNN_DT_COUNT; ++i) {
        const struct snn_st_tensor *read = snn_st_at(st, SNN_DT_COUNT - 1 - i);
        ck_assert_int_eq(read->dtype, i);
        ck_assert_str_eq(read->name, t[i].name);
        ck_assert_uint_eq(read->bytes, t[i].bytes);
        ck_assert_mem_eq(read->data, data, read->bytes);
        ck_assert_uint_eq(snn_st_elements(read), 8);
    }
    snn_st_close(&st);
}
END_TEST

START_TEST(writer_failure_keeps_the_old_file) {
    struct snn_st_tensor t = tensor("w", SNN_DT_F32, 6, six), bad = tensor("\xC3", SNN_DT_F32, 6, six);
    struct snn_st_meta meta = {"path", "caf\xE9"};
    ck_ok(snn_st_write(path, NULL, 0, NULL, 0));
    ck_assert_int_eq(snn_st_write(path, &t, 1, &meta, 1), SNN_EFAIL);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "not valid UTF-8"));
    ck_assert_int_eq(snn_st_write(path, &bad, 1, NULL, 0), SNN_EFAIL);
    assert_written("{}      ", 8, NULL, 0);
    ck_assert_int_eq(snn_st_write("no/such/folder.safetensors", &t, 1, NULL, 0), SNN_EFAIL);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "no/such/folder.safetensors"));
}
END_TEST

START_TEST(writer_keeps_to_the_limits_of_the_reader) {
    struct snn_st_tensor t = tensor("w", SNN_DT_U8, SNN_ST_MAX_FILE - 8, six); /* refused before the data are touched */
    ck_assert_int_eq(snn_st_write(path, &t, 1, NULL, 0), SNN_EFAIL);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "over the limits"));
    ck_assert(!snn_file_exists(path));
}
END_TEST

static void write_bad(int which) {
    struct snn_st_tensor t[] = {tensor("w", SNN_DT_F32, 6, six), tensor("w", SNN_DT_U8, 6, six),
                                tensor("__metadata__", SNN_DT_F32, 6, six), tensor("w", SNN_DT_F32, 6, six)};
    struct snn_st_meta twice[] = {{"k", "1"}, {"k", "2"}};
    t[3].bytes = 20;
    if (which == 0) snn_st_write(path, t, 2, NULL, 0);
    else if (which < 3) snn_st_write(path, t + 1 + which, 1, NULL, 0);
    else snn_st_write(path, t, 1, twice, 2);
}
START_TEST(writer_checks_its_caller) { write_bad(_i); } /* raises SIGABRT */
END_TEST

int main(void) {
    Suite *suite = suite_create("safetensors_write");
    TCase *writer = tcase_create("writer");
    tcase_add_checked_fixture(writer, setup, teardown);
    tcase_add_test(writer, writer_gives_the_reference_bytes);
    tcase_add_test(writer, writer_pads_without_tensors);
    tcase_add_test(writer, writer_sorts_by_alignment_then_name);
    tcase_add_test(writer, writer_escapes_what_the_reader_unescapes);
    tcase_add_test(writer, writer_round_trip_keeps_every_dtype);
    tcase_add_test(writer, writer_failure_keeps_the_old_file);
    tcase_add_test(writer, writer_keeps_to_the_limits_of_the_reader);
    TCase *caller = tcase_create("caller"); /* no folder: nothing is written, and the abort would leave it behind */
    tcase_add_loop_test_raise_signal(caller, writer_checks_its_caller, SIGABRT, 0, 4);
    suite_add_tcase(suite, writer);
    suite_add_tcase(suite, caller);
    return run_suite(suite);
}
