/* SPDX-License-Identifier: Apache-2.0
 * test_safetensors_reference.c - files of the reference implementation: the valid ones read the same, the invalid ones
 * not. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>

#include "core/safetensors.h"
#include "snn_check.h"

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

static json_t *reference(const char *family, char *base, size_t size, const char *list) {
    const char *shared = shared_dir();
    char name[4400];
    json_error_t error;
    if (!shared) {
        fprintf(stderr, "skipped: %s: no shared reference data (SNN_SHARED)\n", family);
        return NULL;
    }
    snprintf(base, size, "%s/golden/%s", shared, family);
    snprintf(name, sizeof name, "%s/%s", base, list);
    json_t *root = json_load_file(name, 0, &error);
    ck_assert_msg(root, "%s: %s", name, error.text);
    return root;
}

/* Values of nested lists in order: numbers, booleans, or "inf", "-inf", "nan". */
static void assert_values(const json_t *value, const struct snn_st_tensor *t, size_t *at, const char *file) {
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); ++i) assert_values(json_array_get(value, i), t, at, file);
        return;
    }
    struct snn_st_tensor one = *t;
    size_t bytes = (size_t)snn_dtype_bits(t->dtype) / 8;
    double found, want = json_is_string(value) ? strtod(json_string_value(value), NULL) : json_number_value(value);
    ck_assert_msg((*at + 1) * bytes <= t->bytes, "%s: too few values", file);
    one.nd = 0, one.data = (const unsigned char *)t->data + *at * bytes, one.bytes = bytes;
    if (t->dtype == SNN_DT_BOOL) want = json_is_true(value), one.dtype = SNN_DT_U8;
    ck_ok(snn_st_to_double(&one, &found));
    ck_assert_msg((found == want && signbit(found) == signbit(want)) || (isnan(found) && isnan(want)),
                  "%s: %s[%zu]: %g, not %g", file, t->name, *at, found, want);
    if (json_is_integer(value) && t->dtype == SNN_DT_I64) { /* beyond what a double holds */
        int64_t exact;
        memcpy(&exact, one.data, 8);
        ck_assert_int_eq(exact, json_integer_value(value));
    }
    ++*at;
}

/* "float32" and "bfloat16" -> "F32" and "BF16". */
static void assert_dtype(const char *theirs, enum snn_dtype ours) {
    static const char *const words[][2] = {
        {"bfloat", "BF"}, {"float", "F"}, {"uint", "U"}, {"int", "I"}, {"bool", "BOOL"}};
    char name[32] = "";
    for (int i = 0; i < LENGTH(words) && !*name; ++i)
        if (!strncmp(theirs, words[i][0], strlen(words[i][0])))
            snprintf(name, sizeof name, "%s%s", words[i][1], theirs + strlen(words[i][0]));
    ck_assert_str_eq(name, snn_dtype_name(ours));
}

static void assert_same(const struct snn_st *st, const json_t *want, const char *file) {
    json_t *metadata = json_object_get(want, "metadata"), *tensors = json_object_get(want, "tensors"), *item;
    const char *key;
    ck_assert_int_eq(snn_st_meta_count(st), (int)json_object_size(metadata));
    json_object_foreach(metadata, key, item) {
        ck_assert_ptr_nonnull(snn_st_meta_find(st, key));
        ck_assert_str_eq(snn_st_meta_find(st, key), json_string_value(item));
    }
    ck_assert_msg(snn_st_count(st) == (int)json_object_size(tensors), "%s: %d tensors", file, snn_st_count(st));
    json_object_foreach(tensors, key, item) {
        const struct snn_st_tensor *t = snn_st_find(st, key);
        json_t *shape = json_object_get(item, "shape"), *values = json_object_get(json_object_get(want, "values"), key);
        ck_assert_msg(t, "%s: no tensor %s", file, key);
        assert_dtype(json_string_value(json_object_get(item, "dtype")), t->dtype);
        ck_assert_int_eq(t->nd, (int)json_array_size(shape));
        for (int i = 0; i < t->nd; ++i)
            ck_assert_uint_eq(t->dim[i], (uint64_t)json_integer_value(json_array_get(shape, (size_t)i)));
        size_t at = 0;
        if (!values) continue;
        assert_values(values, t, &at, file);
        ck_assert_uint_eq(at, snn_st_elements(t));
    }
}

/* Every *.safetensors file in `base` must be in the list, so that no case is left out. */
static void assert_complete(const char *base, const json_t *files) {
    int count = 0;
    DIR *open = opendir(base);
    ck_assert_ptr_nonnull(open);
    for (struct dirent *entry; (entry = readdir(open));) {
        if (!strstr(entry->d_name, ".safetensors")) continue;
        ck_assert_msg(json_object_get(files, entry->d_name), "%s is not in the list", entry->d_name);
        ++count;
    }
    closedir(open);
    ck_assert_int_eq(count, (int)json_object_size(files));
    ck_assert_int_ge(count, 20);
}

START_TEST(reference_valid_files_read_the_same) {
    char base[4300], name[4600];
    const char *key;
    json_t *root = reference("safetensors-valid", base, sizeof base, "positives.json"), *item;
    if (!root) return;
    assert_complete(base, json_object_get(root, "files"));
    json_object_foreach(json_object_get(root, "files"), key, item) {
        struct snn_st *st;
        snprintf(name, sizeof name, "%s/%s", base, key);
        ck_ok(snn_st_open(name, &st));
        assert_same(st, item, key);
        snn_st_close(&st);
    }
    json_decref(root);
}
END_TEST

/* Of what the reference accepts doubtfully: metadata null is read, a name twice and unknown fields are refused. */
START_TEST(reference_invalid_files_are_refused) {
    char base[4300], name[4600];
    const char *key;
    int doubtful = 0;
    json_t *root = reference("safetensors-invalid", base, sizeof base, "negatives.json"), *item;
    if (!root) return;
    assert_complete(base, json_object_get(root, "files"));
    json_object_foreach(json_object_get(root, "files"), key, item) {
        struct snn_st *st;
        doubtful += json_is_true(json_object_get(item, "accepted"));
        snprintf(name, sizeof name, "%s/%s", base, key);
        int status = snn_st_open(name, &st), want = strcmp(key, "metadata_null.safetensors") ? SNN_EDATA : SNN_OK;
        ck_assert_msg(status == want, "%s: %d: %s", key, status, snn_error_text());
        ck_assert_msg(want == SNN_OK || strstr(snn_error_text(), key), "%s: '%s'", key, snn_error_text());
        snn_st_close(&st);
    }
    ck_assert_int_eq(doubtful, 3);
    json_decref(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("safetensors_reference");
    TCase *shared = tcase_create("reference");
    tcase_add_test(shared, reference_valid_files_read_the_same);
    tcase_add_test(shared, reference_invalid_files_are_refused);
    suite_add_tcase(suite, shared);
    return run_suite(suite);
}
