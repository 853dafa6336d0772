/* SPDX-License-Identifier: Apache-2.0
 * test_safetensors.c - the reader of the container: every rule of the format, and conversion to doubles and floats.
 *
 * A broken file is one table line: header, data bytes, and a part of the sentence that must come, so that a case cannot
 * pass because of another mistake in it. */
#include <math.h>
#include <stdint.h>

#include "core/json_cursor.h"
#include "core/safetensors.h"
#include "snn_check.h"

enum { MAX_FILE = 4096 };
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

static unsigned char made[MAX_FILE];

/* `header` with its length before it and `data` bytes 0, 1, 2 ... behind it, in `made`; returns the size. */
static size_t make_bytes(const char *header, size_t length, size_t data) {
    uint64_t n = length;
    SNN_CHECK(8 + length + data <= MAX_FILE, "a test file of %zu bytes", 8 + length + data);
    memcpy(made, &n, 8);
    memcpy(made + 8, header, length);
    for (size_t i = 0; i < data; ++i) made[8 + length + i] = (unsigned char)i;
    return 8 + length + data;
}

static int parse(const char *header, size_t data, struct snn_st **st) {
    return snn_st_parse(made, make_bytes(header, strlen(header), data), "x.st", st);
}

static void assert_refused(const void *bytes, size_t size, const char *what, const char *reason) {
    struct snn_st *st = (struct snn_st *)made;
    snn_error(SNN_EFAIL, "nothing");
    int status = snn_st_parse(bytes, size, "x.st", &st);
    ck_assert_msg(status == SNN_EDATA, "%s: status %d", what, status);
    ck_assert_msg(!strncmp(snn_error_text(), "x.st: ", 6) && strstr(snn_error_text(), reason), "%s: '%s' lacks '%s'",
                  what, snn_error_text(), reason);
    ck_assert_ptr_null(st);
}

/* ---- refused ---- */

#define T(fields) "{\"a\":{" fields "}}"
#define F32(shape, offsets) T("\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets)
#define ENTRY(name, begin, end) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" begin "," end "]}"
#define KEY(key) "{\"" key "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"
#define INTEGER "expected an integer from 0"

static const struct {
    const char *header;
    size_t data;
    const char *reason;
} broken[] = {
    /* JSON */
    {"", 0, "byte 0: found its end, expected '{'"},
    {"{", 0, "byte 1: found its end, expected '\"'"},
    {"   ", 0, "found its end, expected '{'"},
    {"[]", 0, "found '[', expected '{'"},
    {"1", 0, "found '1', expected '{'"},
    {"null", 0, "found 'n', expected '{'"},
    {"{}x", 0, "byte 2: found 'x', expected nothing"},
    {"{}{}", 0, "expected nothing"},
    {"\xEF\xBB\xBF{}", 0, "found byte 0xef"},
    {"{,}", 0, "expected '\"'"},
    {"{'a':1}", 0, "found ''', expected '\"'"},
    {"{\"a\"}", 0, "expected ':'"},
    {"{/**/}", 0, "found '/'"},
    {"{\"a\":1}", 0, "found '1', expected '{'"},
    {"{\"a\":null}", 0, "found 'n', expected '{'"},
    {"{\"a\":[[[[[[[[]]]]]]]]}", 0, "found '[', expected '{'"},
    {"{\"a", 0, "closing '\"'"},
    {"{\"a\n\":{}}", 0, "found byte 0x0a"},
    {"{" ENTRY("a", "0", "4") ",}", 4, "found '}', expected '\"'"},
    {"{" ENTRY("a", "0", "4") " " ENTRY("b", "4", "8") "}", 8, "expected ',' or '}'"},
    {F32("[1,]", "[0,4]"), 4, INTEGER},
    {F32("[1 1]", "[0,4]"), 4, "expected ',' or ']'"},
    {F32("[1", "[0,4]"), 4, INTEGER},
    {"{\"a\":{\"shape\":[1", 0, "found its end, expected ',' or ']'"},
    /* escapes */
    {KEY("\\x41"), 0, "found 'x', expected one of"},
    {KEY("\\u12"), 0, "four hexadecimal digits"},
    {KEY("\\u00g1"), 0, "found 'g'"},
    {KEY("\\u0000"), 0, "\\u0000 is not read"},
    {KEY("\\ud800"), 0, "expected a low surrogate"},
    {KEY("\\ud800\\n"), 0, "expected a low surrogate"},
    {KEY("\\ud800\\ud800"), 0, "expected a low surrogate"},
    {KEY("\\udc00"), 0, "expected a high surrogate"},
    {"{\"\\", 0, "found its end, expected one of"},
    {"{\"\\ud800\\u", 0, "found its end, expected four"},
    /* UTF-8 */
    {"\xff", 0, "not valid UTF-8"},
    {KEY("\xff"), 0, "not valid UTF-8"},
    /* numbers */
    {F32("[-1]", "[0,4]"), 4, INTEGER},
    {F32("[1.0]", "[0,4]"), 4, INTEGER},
    {F32("[1e0]", "[0,4]"), 4, INTEGER},
    {F32("[1E0]", "[0,4]"), 4, INTEGER},
    {F32("[01]", "[0,4]"), 4, INTEGER},
    {F32("[00]", "[0,0]"), 0, INTEGER},
    {F32("[-0]", "[0,0]"), 0, INTEGER},
    {F32("[+1]", "[0,4]"), 4, INTEGER},
    {F32("[\"1\"]", "[0,4]"), 4, INTEGER},
    {F32("[[1]]", "[0,4]"), 4, INTEGER},
    {F32("[null]", "[0,4]"), 4, INTEGER},
    {F32("[18446744073709551616]", "[0,4]"), 4, INTEGER},
    {F32("[99999999999999999999999]", "[0,4]"), 4, INTEGER},
    /* entries */
    {T(""), 0, "'dtype' is missing"},
    {T("\"dtype\":\"F32\",\"shape\":[1]"), 4, "'data_offsets' is missing"},
    {T("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "'shape' is missing"},
    {T("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "'dtype' is missing"},
    {T("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "'dtype' is given twice"},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]"), 4, "'shape' is given twice"},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"strides\":[1]"), 4, "'strides' is unknown"},
    {T("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype 'f32'"},
    {T("\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype 'F33'"},
    {T("\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "found '1', expected '\"'"},
    {F32("1", "[0,4]"), 4, "found '1', expected '['"},
    {F32("null", "[0,4]"), 4, "found 'n', expected '['"},
    {F32("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "at most 16 dimensions"},
    {F32("[1]", "[]"), 4, "has 0 numbers, expected 2"},
    {F32("[1]", "[4]"), 4, "has 1 numbers, expected 2"},
    {F32("[1]", "[0,4,4]"), 4, "expected two offsets"},
    /* sizes */
    {F32("[2,18446744073709551614]", "[0,4]"), 4, "overflows"},
    {F32("[2,9223372036854775807]", "[0,4]"), 4, "overflows"},
    {F32("[18446744073709551615,2,0]", "[0,0]"), 0, "overflows"},
    {F32("[2,2]", "[0,4]"), 4, "expected 16 bytes for its shape and F32"},
    {F32("[1]", "[4,0]"), 4, "[4,0], expected 4 bytes"},
    {F32("[1]", "[1,0]"), 4, "[1,0], expected 4 bytes"},
    {F32("[1]", "[18446744073709551612,0]"), 4, "expected 4 bytes"},
    {F32("[1]", "[18446744073709551611,18446744073709551615]"), 4, "ends at byte 18446744073709551615"},
    {T("\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]"), 2, "has 12 bits, expected whole bytes"},
    {T("\"dtype\":\"F6_E2M3\",\"shape\":[1],\"data_offsets\":[0,1]"), 1, "has 6 bits"},
    /* cover */
    {F32("[1]", "[0,4]"), 2, "ends at byte 4 of the data, which has 2"},
    {F32("[1]", "[0,4]"), 5, "5 bytes of data, expected 4"},
    {"{}", 1, "1 bytes of data, expected 0"},
    {F32("[1]", "[4,8]"), 8, "begins at byte 4 of the data, expected 0: a hole"},
    {F32("[0]", "[4,4]"), 4, "a hole"},
    {"{" ENTRY("a", "0", "4") "," ENTRY("b", "5", "9") "}", 9, "'b': begins at byte 5 of the data, expected 4: a hole"},
    {"{" ENTRY("a", "0", "4") "," ENTRY("b", "3", "7") "}", 7, "expected 4: tensors overlap"},
    {"{" ENTRY("a", "0", "4") "," ENTRY("b", "0", "4") "}", 4, "tensors overlap"},
    /* names */
    {"{" ENTRY("a", "0", "4") "," ENTRY("a", "0", "4") "}", 4, "tensor 'a' is given twice"},
    {"{" ENTRY("a", "0", "4") "," ENTRY("b", "4", "8") "," ENTRY("\\u0061", "8", "12") "}", 12, "'a' is given twice"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, "expected '{'"},
    {"{\"__metadata__\":nul}", 0, "expected '{'"},
    {"{\"__metadata__\":nullx}", 0, "found 'x', expected ',' or '}'"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "found '1', expected '\"'"},
    {"{\"__metadata__\":{\"a\":null}}", 0, "found 'n', expected '\"'"},
    {"{\"__metadata__\":{\"a\":{}}}", 0, "found '{', expected '\"'"},
    {"{\"__metadata__\":{\"a\":\"b\",}}", 0, "found '}', expected '\"'"},
    {"{\"__metadata__\":{\"a\":\"b\",\"\\u0061\":\"c\"}}", 0, "metadata key 'a' is given twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "'__metadata__' is given twice"},
    {"{\"__metadata__\":null,\"\\u005f_metadata__\":null}", 0, "'__metadata__' is given twice"},
};

START_TEST(reader_refuses) {
    size_t size = make_bytes(broken[_i].header, strlen(broken[_i].header), broken[_i].data);
    assert_refused(made, size, broken[_i].header, broken[_i].reason);
}
END_TEST

START_TEST(reader_refuses_broken_lengths) {
    static const struct {
        uint64_t n;
        size_t size;
        const char *reason;
    } cases[] = {
        {0, 0, "has 0 bytes, expected at least 8"},
        {0, 7, "has 7 bytes, expected at least 8"},
        {0, 8, "byte 0: found its end"},
        {0xffffffff0000003c, 72, "expected at most 100000000"},
        {UINT64_MAX, 8, "expected at most 100000000"},
        {100000001, 72, "expected at most 100000000"},
        {100000000, 72, "but only 64 follow"},
        {65, 72, "but only 64 follow"},
    };
    for (int i = 0; i < LENGTH(cases); ++i) {
        memcpy(made, &cases[i].n, 8);
        assert_refused(made, cases[i].size, cases[i].reason, cases[i].reason);
    }
}
END_TEST

START_TEST(reader_refuses_a_nul_as_padding) {
    assert_refused(made, make_bytes("{}\0", 3, 0), "NUL", "found byte 0x00");
}
END_TEST

START_TEST(reader_refuses_ten_tensors_on_the_same_bytes) {
    char header[2048] = "{";
    for (int i = 0; i < 10; ++i)
        sprintf(header + strlen(header), "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}",
                i ? "," : "", i);
    strcat(header, "}");
    assert_refused(made, make_bytes(header, strlen(header), 16), "ten", "tensors overlap");
}
END_TEST

static const char two_tensors[] =
    "{\"__metadata__\":{\"k\":\"v\\u00e4\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_"
    "offsets\":[0,8]},\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}";

START_TEST(reader_refuses_every_truncation) {
    size_t size = make_bytes(two_tensors, strlen(two_tensors), 11);
    struct snn_st *st;
    for (size_t shorter = 0; shorter < size; ++shorter) {
        unsigned char *exact = malloc(shorter ? shorter : 1); /* so that a sanitizer sees a read beyond */
        memcpy(exact, made, shorter);
        ck_assert_int_eq(snn_st_parse(exact, shorter, "x.st", &st), SNN_EDATA);
        free(exact);
    }
    ck_ok(snn_st_parse(made, size, "x.st", &st));
    snn_st_close(&st);
}
END_TEST

/* Whatever a flipped byte makes of the file: it is refused with a sentence, or the tensors still tile the data. */
START_TEST(reader_stands_every_changed_byte) {
    size_t size = make_bytes(two_tensors, strlen(two_tensors), 11), refused = 0;
    for (size_t at = 0; at < size - 11; ++at) {
        unsigned char before = made[at];
        for (int value = 0; value < 256; ++value) {
            struct snn_st *st;
            made[at] = (unsigned char)value;
            if (snn_st_parse(made, size, "x.st", &st) < 0) {
                ++refused;
                continue;
            }
            size_t bytes = 0;
            for (int i = 0; i < snn_st_count(st); ++i) bytes += snn_st_at(st, i)->bytes;
            ck_assert_uint_eq(bytes, 11);
            snn_st_close(&st);
        }
        made[at] = before;
    }
    ck_assert_uint_gt(refused, 20000);
}
END_TEST

START_TEST(reader_shows_hostile_names_harmlessly) {
    char header[600] = "{\"\\u001b[2J\\n\xC2\x9B";
    for (int i = 0; i < 80; ++i) strcat(header, "\xC3\xA4");
    strcat(header, "\":{}}");
    size_t size = make_bytes(header, strlen(header), 0);
    assert_refused(made, size, "escape sequence", "tensor '?[2J?");
    for (const char *at = snn_error_text(); *at; ++at) ck_assert((unsigned char)*at >= 0x20);
    ck_assert_ptr_null(strstr(snn_error_text(), "\xC2\x9B"));
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "\xC3\xA4...'"));
    ck_assert(strlen(snn_error_text()) < 150);
}
END_TEST

START_TEST(reader_names_a_missing_file) {
    struct snn_st *st;
    ck_assert_int_eq(snn_st_open("no/such.safetensors", &st), SNN_EDATA);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "no/such.safetensors: cannot be opened: No such file"));
    ck_assert_ptr_null(st);
    snn_st_close(&st);
}
END_TEST

/* ---- accepted ---- */

START_TEST(reader_takes_spaces_around) {
    static const char *const headers[] = {
        "{}", "{}\r \t\n", "\t\n{}\r ", "{ }", "{\"__metadata__\":null}", "{\"__metadata__\": { } }"};
    for (int i = 0; i < LENGTH(headers); ++i) {
        struct snn_st *st;
        ck_ok(parse(headers[i], 0, &st));
        ck_assert_int_eq(snn_st_count(st), 0);
        ck_assert_int_eq(snn_st_meta_count(st), 0);
        snn_st_close(&st);
        ck_assert_ptr_null(st);
    }
}
END_TEST

START_TEST(reader_takes_scalars_and_empty_tensors) {
    struct snn_st *st;
    ck_ok(parse("{\"s\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]},"
                "\"e\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[4,4]},"
                "\"z\":{\"dtype\":\"F32\",\"shape\":[0,18446744073709551615,2],\"data_offsets\":[0,0]}}",
                4, &st));
    ck_assert_int_eq(snn_st_count(st), 3);
    ck_assert_int_eq(snn_st_find(st, "s")->nd, 0);
    ck_assert_uint_eq(snn_st_elements(snn_st_find(st, "s")), 1);
    ck_assert_uint_eq(snn_st_elements(snn_st_find(st, "e")), 0);
    ck_assert(snn_st_find(st, "z")->dim[1] == UINT64_MAX);
    float none;
    ck_ok(snn_st_to_float(snn_st_find(st, "e"), &none));
    ck_assert_ptr_null(snn_st_find(st, "S"));
    snn_st_close(&st);
}
END_TEST

START_TEST(reader_sorts_by_offset) {
    struct snn_st *st;
    ck_ok(parse("{" ENTRY("a", "4", "8") "," ENTRY("b", "0", "4") "}", 8, &st));
    ck_assert_str_eq(snn_st_at(st, 0)->name, "b");
    ck_assert_str_eq(snn_st_at(st, 1)->name, "a");
    ck_assert_mem_eq(snn_st_find(st, "a")->data, "\4\5\6\7", 4);
    snn_st_close(&st);
}
END_TEST

START_TEST(reader_unescapes) {
    struct snn_st *st;
    ck_ok(parse("{\"__metadata__\":{\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"u\":\"\\u0041\\u00E4\\u20aC\\ud83d\\uDE00\","
                "\"raw\":\"\xC3\xA4\x7F\"}}",
                0, &st));
    ck_assert_int_eq(snn_st_meta_count(st), 3);
    ck_assert_str_eq(snn_st_meta_at(st, 0).key, "");
    ck_assert_str_eq(snn_st_meta_at(st, 0).value, "\"\\/\b\f\n\r\t");
    ck_assert_str_eq(snn_st_meta_find(st, "u"), "A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    ck_assert_str_eq(snn_st_meta_find(st, "raw"), "\xC3\xA4\x7F");
    ck_assert_ptr_null(snn_st_meta_find(st, "none"));
    snn_st_close(&st);
}
END_TEST

START_TEST(utf8_is_strict) {
    static const char *const good[] = {"",
                                       "a\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2"
                                      "a",
                                      "\xE0\x9F\xBF",
                                      "\xE1\x80",
                                      "\xE1\x80"
                                      "a",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF1\x80\x80",
                                      "\xF1\x80\x80"
                                      "a",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFE",
                                      "\xFF"};
    for (int i = 0; i < LENGTH(good); ++i) ck_assert_msg(snn_utf8_valid(good[i], strlen(good[i])), "good %d", i);
    for (int i = 0; i < LENGTH(bad); ++i) ck_assert_msg(!snn_utf8_valid(bad[i], strlen(bad[i])), "bad %d", i);
    ck_assert(snn_utf8_valid("a\0b", 3));
}
END_TEST

/* ---- conversion ---- */

/* The converted value of one element of `dtype` whose bytes lie unaligned. */
static double converted(enum snn_dtype dtype, const void *bytes) {
    unsigned char space[9];
    size_t size = (size_t)snn_dtype_bits(dtype) / 8;
    memcpy(space + 1, bytes, size);
    struct snn_st_tensor t = {.name = "t", .dtype = dtype, .nd = 1, .dim = {1}, .data = space + 1, .bytes = size};
    double wide;
    float narrow;
    ck_ok(snn_st_to_double(&t, &wide));
    ck_ok(snn_st_to_float(&t, &narrow));
    ck_assert(narrow == (float)wide || (isnan(narrow) && isnan(wide)));
    return wide;
}
#define CONVERTED(dtype, type, value) converted(dtype, &(type){value})

START_TEST(integers_convert) {
    ck_assert(CONVERTED(SNN_DT_U8, uint8_t, 255) == 255);
    ck_assert(CONVERTED(SNN_DT_I8, int8_t, -128) == -128);
    ck_assert(CONVERTED(SNN_DT_U16, uint16_t, 65535) == 65535);
    ck_assert(CONVERTED(SNN_DT_I16, int16_t, -32768) == -32768);
    ck_assert(CONVERTED(SNN_DT_U32, uint32_t, UINT32_MAX) == 4294967295.0);
    ck_assert(CONVERTED(SNN_DT_I32, int32_t, INT32_MIN) == -2147483648.0);
    ck_assert(CONVERTED(SNN_DT_U64, uint64_t, UINT64_MAX) == 18446744073709551616.0);
    ck_assert(CONVERTED(SNN_DT_I64, int64_t, INT64_MIN) == -9223372036854775808.0);
}
END_TEST

START_TEST(wide_floats_convert) {
    ck_assert(CONVERTED(SNN_DT_F64, double, -1e300) == -1e300);
    ck_assert(CONVERTED(SNN_DT_F32, float, 1e-45f) == (double)1e-45f);
    ck_assert(isnan(CONVERTED(SNN_DT_F32, float, NAN)));
    ck_assert(CONVERTED(SNN_DT_F64, double, -INFINITY) == -(double)INFINITY);
}
END_TEST

START_TEST(half_floats_convert) {
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x3c00) == 1);
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0xc100) == -2.5);
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x7bff) == 65504);
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x0400) == ldexp(1, -14));
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x03ff) == ldexp(1023, -24));
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x8001) == -ldexp(1, -24));
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0x7c00) == (double)INFINITY);
    ck_assert(CONVERTED(SNN_DT_F16, uint16_t, 0xfc00) == -(double)INFINITY);
    ck_assert(isnan(CONVERTED(SNN_DT_F16, uint16_t, 0x7e01)));
    ck_assert(signbit(CONVERTED(SNN_DT_F16, uint16_t, 0x8000)));
    ck_assert(CONVERTED(SNN_DT_BF16, uint16_t, 0xbfc0) == -1.5);
    ck_assert(isnan(CONVERTED(SNN_DT_BF16, uint16_t, 0x7fc0)));
    ck_assert(CONVERTED(SNN_DT_BF16, uint16_t, 0x0001) == ldexp(1, -133));
}
END_TEST

START_TEST(float_to_float_keeps_the_bits) {
    static const uint32_t bits[] = {0x7fa12345, 0xffc00001, 0x80000000, 1}; /* the first a signalling NaN */
    struct snn_st_tensor t = {.name = "t", .dtype = SNN_DT_F32, .nd = 1, .dim = {4}, .data = bits, .bytes = 16};
    float out[4];
    ck_ok(snn_st_to_float(&t, out));
    ck_assert_mem_eq(out, bits, 16);
}
END_TEST

START_TEST(other_types_do_not_convert) {
    for (int dtype = 0; dtype < SNN_DT_COUNT; ++dtype) {
        unsigned char bytes[8] = {0};
        const char *name = snn_dtype_name((enum snn_dtype)dtype);
        bool number = strchr("IU", name[0]) || !strcmp(name, "F16") || !strcmp(name, "BF16") || !strcmp(name, "F32") ||
                      !strcmp(name, "F64");
        struct snn_st_tensor t = {.name = "t",
                                  .dtype = (enum snn_dtype)dtype,
                                  .nd = 0,
                                  .data = bytes,
                                  .bytes = (size_t)snn_dtype_bits((enum snn_dtype)dtype) / 8};
        double wide;
        float narrow;
        ck_assert_int_eq(snn_st_to_double(&t, &wide), number ? SNN_OK : SNN_EDATA);
        ck_assert_int_eq(snn_st_to_float(&t, &narrow), number ? SNN_OK : SNN_EDATA);
        if (!number) ck_assert_ptr_nonnull(strstr(snn_error_text(), name));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("safetensors");
    TCase *reader = tcase_create("reader"), *convert = tcase_create("conversion");
    tcase_add_loop_test(reader, reader_refuses, 0, LENGTH(broken));
    tcase_add_test(reader, reader_refuses_broken_lengths);
    tcase_add_test(reader, reader_refuses_a_nul_as_padding);
    tcase_add_test(reader, reader_refuses_ten_tensors_on_the_same_bytes);
    tcase_add_test(reader, reader_refuses_every_truncation);
    tcase_add_test(reader, reader_stands_every_changed_byte);
    tcase_add_test(reader, reader_shows_hostile_names_harmlessly);
    tcase_add_test(reader, reader_names_a_missing_file);
    tcase_add_test(reader, reader_takes_spaces_around);
    tcase_add_test(reader, reader_takes_scalars_and_empty_tensors);
    tcase_add_test(reader, reader_sorts_by_offset);
    tcase_add_test(reader, reader_unescapes);
    tcase_add_test(reader, utf8_is_strict);
    tcase_add_test(convert, integers_convert);
    tcase_add_test(convert, wide_floats_convert);
    tcase_add_test(convert, half_floats_convert);
    tcase_add_test(convert, float_to_float_keeps_the_bits);
    tcase_add_test(convert, other_types_do_not_convert);
    suite_add_tcase(suite, reader);
    suite_add_tcase(suite, convert);
    return run_suite(suite);
}
