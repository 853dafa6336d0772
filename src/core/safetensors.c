/* SPDX-License-Identifier: Apache-2.0
 * safetensors.c - reader: one strict pass over the header, then the data is known to be exactly what the header says.
 *
 * The grammar has fixed depth (object, entry, list), so the parser does not recurse and nothing nests deeper than the
 * grammar. Strings are unescaped in place: the text is never longer than its source, and the closing quote makes room
 * for the NUL.
 *
 * Where the reference reader (0.8.0) is more lenient, or the format says nothing:
 *   - a name given twice is refused, also with identical entries: which one is meant cannot be known;
 *   - an unknown field in an entry is refused: it may change the meaning of the data (strides, quantisation);
 *   - "__metadata__":null is accepted and means no metadata;
 *   - \u0000 in a string is refused: names are C strings;
 *   - at most 1,000,000 tensors, 1,000,000 metadata entries, rank SNN_ST_MAX_RANK, files of SNN_ST_MAX_FILE bytes. */
#include "core/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
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

struct cursor { /* over the header */
    const char *origin;
    unsigned char *start, *at, *end;
};

bool snn_utf8_valid(const void *bytes, size_t size) {
    const unsigned char *at = bytes, *end = at + size;
    while (at < end) {
        unsigned char lead = *at++;
        if (lead < 0x80) continue;
        int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || end - at < more) return false;
        /* The second byte decides about overlong forms, surrogates and what lies beyond U+10FFFF. */
        unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (*at < low || *at > high) return false;
        for (int i = 1; i < more; ++i)
            if ((at[i] & 0xC0) != 0x80) return false;
        at += more;
    }
    return true;
}

/* A name fit for a message: shortened, and without bytes that a terminal would obey. */
struct shown {
    char text[84];
};
static struct shown shown(const char *name) {
    struct shown s;
    size_t n = 0;
    for (; name[n] && n < 80; ++n) {
        unsigned char c = (unsigned char)name[n];
        bool c1 = c >= 0x80 && c < 0xA0 && n > 0 && (unsigned char)name[n - 1] == 0xC2;
        s.text[n] = c < 0x20 || c == 0x7F || c1 ? '?' : name[n];
    }
    if (name[n]) {
        while (n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) --n; /* not inside a character */
        memcpy(s.text + n, "...", 3);
        n += 3;
    }
    s.text[n] = 0;
    return s;
}

static int peek(const struct cursor *c) { return c->at < c->end ? *c->at : -1; }

static int expected(const struct cursor *c, const char *what) {
    int found = peek(c);
    char text[16] = "its end";
    if (found >= 0) snprintf(text, sizeof text, found > 0x20 && found < 0x7F ? "'%c'" : "byte 0x%02x", found);
    return snn_error(SNN_EDATA, "%s: header byte %td: found %s, expected %s", c->origin, c->at - c->start, text, what);
}

static void space(struct cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) ++c->at;
}

static int punctuation(struct cursor *c, char mark) {
    space(c);
    if (peek(c) != mark) return expected(c, (const char[]){'\'', mark, '\'', 0});
    ++c->at;
    return SNN_OK;
}

/* Before element `n` of a list or object that ends with `close`: 1 when it follows, 0 when the end was passed. */
static int another(struct cursor *c, char close, int n) {
    space(c);
    if (peek(c) == close) {
        ++c->at;
        return 0;
    }
    if (n == 0) return 1;
    if (peek(c) != ',') return expected(c, close == ']' ? "',' or ']'" : "',' or '}'");
    ++c->at;
    return 1;
}

static int hex4(struct cursor *c, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; ++i, ++c->at) {
        int digit = peek(c), lower = digit | 0x20;
        if (digit >= '0' && digit <= '9') *code = *code << 4 | (uint32_t)(digit - '0');
        else if (digit >= 0 && lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else return expected(c, "four hexadecimal digits after \\u");
    }
    return SNN_OK;
}

static int unicode_escape(struct cursor *c, unsigned char **to) { /* behind \u */
    uint32_t code, low;
    SNN_TRY(hex4(c, &code));
    if (code == 0)
        return snn_error(SNN_EDATA, "%s: header byte %td: a string with \\u0000 is not read", c->origin,
                         c->at - c->start);
    if (code >= 0xDC00 && code <= 0xDFFF) return expected(c, "a high surrogate before the low one");
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (c->end - c->at < 2 || memcmp(c->at, "\\u", 2)) return expected(c, "a low surrogate \\uDC00-\\uDFFF");
        c->at += 2;
        SNN_TRY(hex4(c, &low));
        if (low < 0xDC00 || low > 0xDFFF) return expected(c, "a low surrogate \\uDC00-\\uDFFF before it");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    *(*to)++ = (unsigned char)(lead[more] | code >> 6 * more);
    while (more-- > 0) *(*to)++ = (unsigned char)(0x80 | (code >> 6 * more & 0x3F));
    return SNN_OK;
}

static int escape(struct cursor *c, unsigned char **to) { /* behind the backslash */
    static const char letter[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    int found = peek(c);
    const char *known = found > 0 ? strchr(letter, found) : NULL;
    if (!known && found != 'u') return expected(c, "one of \"\\/bfnrtu after a backslash");
    ++c->at;
    if (!known) return unicode_escape(c, to);
    *(*to)++ = (unsigned char)meaning[known - letter];
    return SNN_OK;
}

static int string(struct cursor *c, const char **text) {
    SNN_TRY(punctuation(c, '"'));
    unsigned char *to = c->at;
    *text = (const char *)to;
    for (;;) {
        int found = peek(c);
        if (found < 0x20) return expected(c, "a character of a string or its closing '\"'");
        ++c->at;
        if (found == '"') break;
        if (found == '\\') SNN_TRY(escape(c, &to));
        else *to++ = (unsigned char)found;
    }
    *to = 0;
    return SNN_OK;
}

/* An integer 0 .. 2^64-1, exact: no sign, fraction or exponent, and no leading zero. */
static int integer(struct cursor *c, uint64_t *value) {
    static const char what[] = "an integer from 0 to 18446744073709551615";
    space(c);
    const unsigned char *first = c->at;
    *value = 0;
    for (; peek(c) >= '0' && peek(c) <= '9'; ++c->at)
        if ((c->at > first && *first == '0') || __builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*c->at - '0'), value))
            return expected(c, what);
    int next = peek(c);
    return c->at == first || next == '.' || next == 'e' || next == 'E' ? expected(c, what) : SNN_OK;
}

/* Up to `max` integers; `what` says how many are expected. Returns their number. */
static int integers(struct cursor *c, uint64_t *value, int max, const char *what) {
    SNN_TRY(punctuation(c, '['));
    int n = 0, more;
    for (; (more = another(c, ']', n)) > 0; ++n) {
        if (n == max) return expected(c, what);
        SNN_TRY(integer(c, &value[n]));
    }
    return more < 0 ? more : n;
}

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
static int check_entry(const struct cursor *c, struct snn_st_tensor *t, const uint64_t offset[2], size_t data_size) {
    struct shown name = shown(t->name);
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

static int dtype_of(struct cursor *c, struct snn_st_tensor *t) {
    const char *word;
    SNN_TRY(string(c, &word));
    for (int i = 0; i < SNN_DT_COUNT; ++i) {
        if (strcmp(word, dtypes[i].name)) continue;
        t->dtype = (enum snn_dtype)i;
        return SNN_OK;
    }
    return snn_error(SNN_EDATA, "%s: tensor '%s': unknown dtype '%s'", c->origin, shown(t->name).text,
                     shown(word).text);
}

static int entry(struct cursor *c, struct snn_st *st, const char *name, size_t data_size) {
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    struct snn_st_tensor t = {.name = name};
    uint64_t offset[2];
    bool seen[3] = {false};
    int more;
    SNN_TRY(punctuation(c, '{'));
    for (int n = 0; (more = another(c, '}', n)) > 0; ++n) {
        const char *key;
        SNN_TRY(string(c, &key));
        SNN_TRY(punctuation(c, ':'));
        int field = 0;
        while (field < 3 && strcmp(key, fields[field])) ++field;
        if (field == 3 || seen[field])
            return snn_error(SNN_EDATA, "%s: tensor '%s': field '%s' %s", c->origin, shown(name).text, shown(key).text,
                             field == 3 ? "is unknown" : "is given twice");
        seen[field] = true;
        if (field == 0) {
            SNN_TRY(dtype_of(c, &t));
        } else if (field == 1) {
            SNN_TRY(t.nd = integers(c, t.dim, SNN_ST_MAX_RANK, "at most 16 dimensions"));
        } else {
            int given = integers(c, offset, 2, "two offsets");
            SNN_TRY(given);
            if (given != 2)
                return snn_error(SNN_EDATA, "%s: tensor '%s': data_offsets has %d numbers, expected 2", c->origin,
                                 shown(name).text, given);
        }
    }
    SNN_TRY(more);
    for (int i = 0; i < 3; ++i)
        if (!seen[i])
            return snn_error(SNN_EDATA, "%s: tensor '%s': field '%s' is missing", c->origin, shown(name).text,
                             fields[i]);
    SNN_TRY(check_entry(c, &t, offset, data_size));
    if (st->count == MAX_ENTRIES) return snn_error(SNN_EDATA, "%s: more than %d tensors", c->origin, MAX_ENTRIES);
    struct snn_st_tensor *array = grown(st->tensor, st->count, sizeof *array);
    if (!array) return snn_error(SNN_EFAIL, "%s: out of memory for its header", c->origin);
    st->tensor = array;
    array[st->count++] = t;
    return SNN_OK;
}

static int metadata(struct cursor *c, struct snn_st *st) {
    space(c);
    if (c->end - c->at >= 4 && !memcmp(c->at, "null", 4)) {
        c->at += 4;
        return SNN_OK;
    }
    SNN_TRY(punctuation(c, '{'));
    int more;
    for (int n = 0; (more = another(c, '}', n)) > 0; ++n) {
        struct snn_st_meta pair;
        SNN_TRY(string(c, &pair.key));
        SNN_TRY(punctuation(c, ':'));
        SNN_TRY(string(c, &pair.value));
        if (st->meta_count == MAX_ENTRIES)
            return snn_error(SNN_EDATA, "%s: more than %d metadata entries", c->origin, MAX_ENTRIES);
        struct snn_st_meta *array = grown(st->meta, st->meta_count, sizeof *array);
        if (!array) return snn_error(SNN_EFAIL, "%s: out of memory for its header", c->origin);
        st->meta = array;
        array[st->meta_count++] = pair;
    }
    return more;
}

static int header(struct cursor *c, struct snn_st *st, size_t data_size) {
    bool has_metadata = false;
    int more;
    SNN_TRY(punctuation(c, '{'));
    for (int n = 0; (more = another(c, '}', n)) > 0; ++n) {
        const char *name;
        SNN_TRY(string(c, &name));
        SNN_TRY(punctuation(c, ':'));
        if (strcmp(name, "__metadata__")) {
            SNN_TRY(entry(c, st, name, data_size));
            continue;
        }
        if (has_metadata) return snn_error(SNN_EDATA, "%s: '__metadata__' is given twice", c->origin);
        has_metadata = true;
        SNN_TRY(metadata(c, st));
    }
    SNN_TRY(more);
    space(c);
    return c->at < c->end ? expected(c, "nothing but spaces after the object") : SNN_OK;
}

static int by_offset(const void *left, const void *right) {
    const struct snn_st_tensor *a = left, *b = right;
    if (a->data != b->data) return (const char *)a->data < (const char *)b->data ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
    return a->name < b->name ? -1 : 1; /* empty tensors at one place keep the order of the header */
}

/* The tensors cover the data once, without hole, overlap or rest. */
static int check_cover(const struct cursor *c, struct snn_st *st, size_t data_size) {
    if (st->count) qsort(st->tensor, (size_t)st->count, sizeof *st->tensor, by_offset);
    size_t covered = 0;
    for (int i = 0; i < st->count; ++i) {
        const struct snn_st_tensor *t = &st->tensor[i];
        size_t begin = (size_t)((const unsigned char *)t->data - c->end);
        if (begin != covered)
            return snn_error(SNN_EDATA, "%s: tensor '%s': begins at byte %zu of the data, expected %zu: %s", c->origin,
                             shown(t->name).text, begin, covered, begin < covered ? "tensors overlap" : "a hole");
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
static int check_unique(const struct cursor *c, const char **name, int count, const char *what) {
    qsort(name, (size_t)count, sizeof *name, by_text);
    for (int i = 1; i < count; ++i)
        if (!strcmp(name[i - 1], name[i]))
            return snn_error(SNN_EDATA, "%s: %s '%s' is given twice", c->origin, what, shown(name[i]).text);
    return SNN_OK;
}

static int check_names(const struct cursor *c, const struct snn_st *st) {
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
    struct cursor c = {.origin = origin, .start = start, .at = start, .end = start + n};
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

static double from_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return half >> 15 ? -size : size;
}

static double from_brain(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Element i as T: data of a foreign file may be unaligned. */
#define AT(T, convert)                                                                                                 \
    do {                                                                                                               \
        T value;                                                                                                       \
        memcpy(&value, (const unsigned char *)tensor->data + i * sizeof value, sizeof value);                          \
        return convert(value);                                                                                         \
    } while (0)

static double element(const struct snn_st_tensor *tensor, uint64_t i) {
    switch (tensor->dtype) {
    case SNN_DT_F64:
        AT(double, );
    case SNN_DT_F32:
        AT(float, (double));
    case SNN_DT_F16:
        AT(uint16_t, from_half);
    case SNN_DT_BF16:
        AT(uint16_t, from_brain);
    case SNN_DT_I64:
        AT(int64_t, (double));
    case SNN_DT_U64:
        AT(uint64_t, (double));
    case SNN_DT_I32:
        AT(int32_t, );
    case SNN_DT_U32:
        AT(uint32_t, );
    case SNN_DT_I16:
        AT(int16_t, );
    case SNN_DT_U16:
        AT(uint16_t, );
    case SNN_DT_I8:
        AT(int8_t, );
    default:
        AT(uint8_t, );
    }
}

static int check_number(const struct snn_st_tensor *tensor) {
    enum snn_dtype dtype = tensor->dtype;
    if (dtype == SNN_DT_U8 || dtype == SNN_DT_I8 || (dtype >= SNN_DT_I16 && dtype != SNN_DT_C64)) return SNN_OK;
    return snn_error(SNN_EDATA, "tensor '%s': is %s, expected F64, F32, F16, BF16 or an integer type",
                     shown(tensor->name).text, dtypes[dtype].name);
}

int snn_st_to_double(const struct snn_st_tensor *tensor, double *out) {
    SNN_TRY(check_number(tensor));
    for (uint64_t i = 0, n = snn_st_elements(tensor); i < n; ++i) out[i] = element(tensor, i);
    return SNN_OK;
}

int snn_st_to_float(const struct snn_st_tensor *tensor, float *out) {
    SNN_TRY(check_number(tensor));
    if (tensor->dtype != SNN_DT_F32)
        for (uint64_t i = 0, n = snn_st_elements(tensor); i < n; ++i) out[i] = (float)element(tensor, i);
    else if (tensor->bytes) memcpy(out, tensor->data, tensor->bytes);
    return SNN_OK;
}
