/* SPDX-License-Identifier: Apache-2.0
 * safetensors.c - reader: one strict pass over the header, then the data is known to be exactly what the header says.
 *
 * The grammar has fixed depth (object, entry, list), so the parser does not recurse and nothing nests deeper than the
 * grammar. Names and metadata stay in the header, where the cursor unescaped them.
 *
 * Where the reference reader (0.8.0) is more lenient, or the format says nothing:
 *   - a name given twice is refused, also with identical entries: which one is meant cannot be known;
 *   - an unknown field in an entry is refused: it may change the meaning of the data (strides, quantisation);
 *   - "__metadata__":null is accepted and means no metadata;
 *   - \u0000 in a string is refused: names are C strings;
 *   - at most 1,000,000 tensors, 1,000,000 metadata entries, rank SNN_ST_MAX_RANK, files of SNN_ST_MAX_FILE bytes. */
#include "core/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json_cursor.h"
#include "core/status.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read and written as they lie in memory");

enum { MAX_ENTRIES = 1000000 };

/* In the order of enum snn_dtype. */
static const struct {
    const char *name;
    int bits;
} dtypes[SNN_DT_COUNT] = {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                          {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
                          {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
                          {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
                          {"I64", 64},        {"U64", 64}};

const char *snn_dtype_name(enum snn_dtype dtype) { return dtypes[dtype].name; }
int snn_dtype_bits(enum snn_dtype dtype) { return dtypes[dtype].bits; }

struct snn_st {
    unsigned char *bytes; /* the file; names and metadata point into its header */
    struct snn_st_tensor *tensor;
    struct snn_st_meta *meta;
    int count, meta_count;
};

/* Room for one element more: capacities are powers of two, reached exactly. */
static void *grown(void *array, int count, size_t element) {
    if (count & (count - 1)) return array;
    return realloc(array, (size_t)(count ? 2 * count : 1) * element);
}

static bool size_of(const struct snn_st_tensor *t, uint64_t *bits) {
    *bits = 1;
    for (int i = 0; i < t->nd; ++i)
        if (__builtin_mul_overflow(*bits, t->dim[i], bits)) return false;
    return !__builtin_mul_overflow(*bits, (uint64_t)dtypes[t->dtype].bits, bits);
}

/* An entry that was read: its shape against its offsets, and those against the data. */
static int check_entry(const struct snn_json *c, struct snn_st_tensor *t, const uint64_t offset[2], size_t data_size) {
    struct snn_shown name = snn_shown(t->name);
    uint64_t bits;
    if (!size_of(t, &bits))
        return snn_error(SNN_EDATA, "%s: tensor '%s': the size of its shape overflows 64 bits", c->origin, name.text);
    if (bits % 8)
        return snn_error(SNN_EDATA, "%s: tensor '%s': has %ju bits, expected whole bytes", c->origin, name.text,
                         (uintmax_t)bits);
    if (offset[0] > offset[1] || offset[1] - offset[0] != bits / 8)
        return snn_error(SNN_EDATA, "%s: tensor '%s': data_offsets [%ju,%ju], expected %ju bytes for its shape and %s",
                         c->origin, name.text, (uintmax_t)offset[0], (uintmax_t)offset[1], (uintmax_t)(bits / 8),
                         dtypes[t->dtype].name);
    if (offset[1] > data_size)
        return snn_error(SNN_EDATA, "%s: tensor '%s': ends at byte %ju of the data, which has %zu", c->origin,
                         name.text, (uintmax_t)offset[1], data_size);
    t->data = c->end + offset[0];
    t->bytes = (size_t)(bits / 8);
    return SNN_OK;
}

static int dtype_of(struct snn_json *c, struct snn_st_tensor *t) {
    const char *word;
    SNN_TRY(snn_json_string(c, &word));
    for (int i = 0; i < SNN_DT_COUNT; ++i) {
        if (strcmp(word, dtypes[i].name)) continue;
        t->dtype = (enum snn_dtype)i;
        return SNN_OK;
    }
    return snn_error(SNN_EDATA, "%s: tensor '%s': unknown dtype '%s'", c->origin, snn_shown(t->name).text,
                     snn_shown(word).text);
}

static int entry(struct snn_json *c, struct snn_st *st, const char *name, size_t data_size) {
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    struct snn_st_tensor t = {.name = name};
    uint64_t offset[2];
    bool seen[3] = {false};
    int more;
    SNN_TRY(snn_json_mark(c, '{'));
    for (int n = 0; (more = snn_json_more(c, '}', n)) > 0; ++n) {
        const char *key;
        SNN_TRY(snn_json_string(c, &key));
        SNN_TRY(snn_json_mark(c, ':'));
        int field = 0;
        while (field < 3 && strcmp(key, fields[field])) ++field;
        if (field == 3 || seen[field])
            return snn_error(SNN_EDATA, "%s: tensor '%s': field '%s' %s", c->origin, snn_shown(name).text,
                             snn_shown(key).text, field == 3 ? "is unknown" : "is given twice");
        seen[field] = true;
        if (field == 0) {
            SNN_TRY(dtype_of(c, &t));
        } else if (field == 1) {
            SNN_TRY(t.nd = snn_json_integers(c, t.dim, SNN_ST_MAX_RANK, "at most 16 dimensions"));
        } else {
            int given = snn_json_integers(c, offset, 2, "two offsets");
            SNN_TRY(given);
            if (given != 2)
                return snn_error(SNN_EDATA, "%s: tensor '%s': data_offsets has %d numbers, expected 2", c->origin,
                                 snn_shown(name).text, given);
        }
    }
    SNN_TRY(more);
    for (int i = 0; i < 3; ++i)
        if (!seen[i])
            return snn_error(SNN_EDATA, "%s: tensor '%s': field '%s' is missing", c->origin, snn_shown(name).text,
                             fields[i]);
    SNN_TRY(check_entry(c, &t, offset, data_size));
    if (st->count == MAX_ENTRIES) return snn_error(SNN_EDATA, "%s: more than %d tensors", c->origin, MAX_ENTRIES);
    struct snn_st_tensor *array = grown(st->tensor, st->count, sizeof *array);
    if (!array) return snn_error(SNN_EFAIL, "%s: out of memory for its header", c->origin);
    st->tensor = array;
    array[st->count++] = t;
    return SNN_OK;
}

static int metadata(struct snn_json *c, struct snn_st *st) {
    snn_json_space(c);
    if (c->end - c->at >= 4 && !memcmp(c->at, "null", 4)) {
        c->at += 4;
        return SNN_OK;
    }
    SNN_TRY(snn_json_mark(c, '{'));
    int more;
    for (int n = 0; (more = snn_json_more(c, '}', n)) > 0; ++n) {
        struct snn_st_meta pair;
        SNN_TRY(snn_json_string(c, &pair.key));
        SNN_TRY(snn_json_mark(c, ':'));
        SNN_TRY(snn_json_string(c, &pair.value));
        if (st->meta_count == MAX_ENTRIES)
            return snn_error(SNN_EDATA, "%s: more than %d metadata entries", c->origin, MAX_ENTRIES);
        struct snn_st_meta *array = grown(st->meta, st->meta_count, sizeof *array);
        if (!array) return snn_error(SNN_EFAIL, "%s: out of memory for its header", c->origin);
        st->meta = array;
        array[st->meta_count++] = pair;
    }
    return more;
}

static int header(struct snn_json *c, struct snn_st *st, size_t data_size) {
    bool has_metadata = false;
    int more;
    SNN_TRY(snn_json_mark(c, '{'));
    for (int n = 0; (more = snn_json_more(c, '}', n)) > 0; ++n) {
        const char *name;
        SNN_TRY(snn_json_string(c, &name));
        SNN_TRY(snn_json_mark(c, ':'));
        if (strcmp(name, "__metadata__")) {
            SNN_TRY(entry(c, st, name, data_size));
            continue;
        }
        if (has_metadata) return snn_error(SNN_EDATA, "%s: '__metadata__' is given twice", c->origin);
        has_metadata = true;
        SNN_TRY(metadata(c, st));
    }
    SNN_TRY(more);
    snn_json_space(c);
    return c->at < c->end ? snn_json_expected(c, "nothing but spaces after the object") : SNN_OK;
}

static int by_offset(const void *left, const void *right) {
    const struct snn_st_tensor *a = left, *b = right;
    if (a->data != b->data) return (const char *)a->data < (const char *)b->data ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
    return a->name < b->name ? -1 : 1; /* empty tensors at one place keep the order of the header */
}

/* The tensors cover the data once, without hole, overlap or rest. */
static int check_cover(const struct snn_json *c, struct snn_st *st, size_t data_size) {
    if (st->count) qsort(st->tensor, (size_t)st->count, sizeof *st->tensor, by_offset);
    size_t covered = 0;
    for (int i = 0; i < st->count; ++i) {
        const struct snn_st_tensor *t = &st->tensor[i];
        size_t begin = (size_t)((const unsigned char *)t->data - c->end);
        if (begin != covered)
            return snn_error(SNN_EDATA, "%s: tensor '%s': begins at byte %zu of the data, expected %zu: %s", c->origin,
                             snn_shown(t->name).text, begin, covered, begin < covered ? "tensors overlap" : "a hole");
        covered += t->bytes;
    }
    if (covered != data_size)
        return snn_error(SNN_EDATA, "%s: %zu bytes of data, expected %zu for its tensors", c->origin, data_size,
                         covered);
    return SNN_OK;
}

static int by_text(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Sorts `name`, and refuses one that is there twice. */
static int check_unique(const struct snn_json *c, const char **name, int count, const char *what) {
    qsort(name, (size_t)count, sizeof *name, by_text);
    for (int i = 1; i < count; ++i)
        if (!strcmp(name[i - 1], name[i]))
            return snn_error(SNN_EDATA, "%s: %s '%s' is given twice", c->origin, what, snn_shown(name[i]).text);
    return SNN_OK;
}

static int check_names(const struct snn_json *c, const struct snn_st *st) {
    int most = st->count > st->meta_count ? st->count : st->meta_count;
    const char **name = malloc((size_t)(most + 1) * sizeof *name);
    if (!name) return snn_error(SNN_EFAIL, "%s: out of memory for its header", c->origin);
    for (int i = 0; i < st->count; ++i) name[i] = st->tensor[i].name;
    int status = check_unique(c, name, st->count, "tensor");
    for (int i = 0; i < st->meta_count; ++i) name[i] = st->meta[i].key;
    if (status == SNN_OK) status = check_unique(c, name, st->meta_count, "metadata key");
    free(name);
    return status;
}

static int parse(struct snn_st *st, size_t size, const char *origin) {
    uint64_t n;
    if (size < sizeof n)
        return snn_error(SNN_EDATA, "%s: has %zu bytes, expected at least 8: no safetensors file", origin, size);
    memcpy(&n, st->bytes, sizeof n);
    if (n > SNN_ST_MAX_HEADER)
        return snn_error(SNN_EDATA, "%s: a header of %ju bytes, expected at most %d: no safetensors file", origin,
                         (uintmax_t)n, SNN_ST_MAX_HEADER);
    if (n > size - sizeof n)
        return snn_error(SNN_EDATA, "%s: a header of %ju bytes, but only %zu follow: the file is cut off", origin,
                         (uintmax_t)n, size - sizeof n);
    unsigned char *start = st->bytes + sizeof n;
    struct snn_json c = {.origin = origin, .start = start, .at = start, .end = start + n};
    size_t data_size = size - sizeof n - (size_t)n;
    if (!snn_utf8_valid(start, (size_t)n)) return snn_error(SNN_EDATA, "%s: the header is not valid UTF-8", origin);
    SNN_TRY(header(&c, st, data_size));
    SNN_TRY(check_names(&c, st));
    return check_cover(&c, st, data_size);
}

/* Owns `bytes` from here on, whatever comes of it. */
static int adopt(unsigned char *bytes, size_t size, const char *origin, struct snn_st **out) {
    struct snn_st *st = calloc(1, sizeof *st);
    if (!st) {
        free(bytes);
        return snn_error(SNN_EFAIL, "%s: out of memory", origin);
    }
    st->bytes = bytes;
    int status = parse(st, size, origin);
    if (status < 0) snn_st_close(&st);
    else *out = st;
    return status;
}

int snn_st_open(const char *path, struct snn_st **out) {
    unsigned char *bytes;
    size_t size;
    *out = NULL;
    SNN_TRY(snn_file_read(path, SNN_ST_MAX_FILE, &bytes, &size));
    return adopt(bytes, size, path, out);
}

int snn_st_parse(const void *bytes, size_t size, const char *origin, struct snn_st **out) {
    *out = NULL;
    unsigned char *copy = malloc(size + 1);
    if (!copy) return snn_error(SNN_EFAIL, "%s: out of memory for its %zu bytes", origin, size);
    if (size) memcpy(copy, bytes, size);
    return adopt(copy, size, origin, out);
}

void snn_st_close(struct snn_st **st) {
    if (!*st) return;
    free((*st)->tensor);
    free((*st)->meta);
    free((*st)->bytes);
    free(*st);
    *st = NULL;
}

int snn_st_count(const struct snn_st *st) { return st->count; }
int snn_st_meta_count(const struct snn_st *st) { return st->meta_count; }

const struct snn_st_tensor *snn_st_at(const struct snn_st *st, int i) {
    SNN_CHECK(i >= 0 && i < st->count, "tensor %d of %d", i, st->count);
    return &st->tensor[i];
}

struct snn_st_meta snn_st_meta_at(const struct snn_st *st, int i) {
    SNN_CHECK(i >= 0 && i < st->meta_count, "metadata entry %d of %d", i, st->meta_count);
    return st->meta[i];
}

const struct snn_st_tensor *snn_st_find(const struct snn_st *st, const char *name) {
    for (int i = 0; i < st->count; ++i)
        if (!strcmp(st->tensor[i].name, name)) return &st->tensor[i];
    return NULL;
}

const char *snn_st_meta_find(const struct snn_st *st, const char *key) {
    for (int i = 0; i < st->meta_count; ++i)
        if (!strcmp(st->meta[i].key, key)) return st->meta[i].value;
    return NULL;
}

uint64_t snn_st_elements(const struct snn_st_tensor *tensor) {
    uint64_t bits;
    SNN_CHECK(size_of(tensor, &bits), "tensor '%s': its size overflows", tensor->name);
    return bits / (uint64_t)dtypes[tensor->dtype].bits;
}
