/* SPDX-License-Identifier: Apache-2.0
 * json_cursor.c - strict JSON: nothing is skipped but spaces, and nothing is guessed. */
#include "core/json_cursor.h"

#include <stdio.h>
#include <string.h>

#include "core/status.h"

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

struct snn_shown snn_shown(const char *name) {
    struct snn_shown s;
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

static int peek(const struct snn_json *c) { return c->at < c->end ? *c->at : -1; }

int snn_json_expected(const struct snn_json *c, const char *what) {
    int found = peek(c);
    char text[16] = "its end";
    if (found >= 0) snprintf(text, sizeof text, found > 0x20 && found < 0x7F ? "'%c'" : "byte 0x%02x", found);
    return snn_error(SNN_EDATA, "%s: header byte %td: found %s, expected %s", c->origin, c->at - c->start, text, what);
}

void snn_json_space(struct snn_json *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) ++c->at;
}

int snn_json_mark(struct snn_json *c, char mark) {
    snn_json_space(c);
    if (peek(c) != mark) return snn_json_expected(c, (const char[]){'\'', mark, '\'', 0});
    ++c->at;
    return SNN_OK;
}

int snn_json_more(struct snn_json *c, char close, int n) {
    snn_json_space(c);
    if (peek(c) == close) {
        ++c->at;
        return 0;
    }
    if (n == 0) return 1;
    if (peek(c) != ',') return snn_json_expected(c, close == ']' ? "',' or ']'" : "',' or '}'");
    ++c->at;
    return 1;
}

static int hex4(struct snn_json *c, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; ++i, ++c->at) {
        int digit = peek(c), lower = digit | 0x20;
        if (digit >= '0' && digit <= '9') *code = *code << 4 | (uint32_t)(digit - '0');
        else if (digit >= 0 && lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else return snn_json_expected(c, "four hexadecimal digits after \\u");
    }
    return SNN_OK;
}

static int unicode_escape(struct snn_json *c, unsigned char **to) { /* behind \u */
    uint32_t code, low;
    SNN_TRY(hex4(c, &code));
    if (code == 0)
        return snn_error(SNN_EDATA, "%s: header byte %td: a string with \\u0000 is not read", c->origin,
                         c->at - c->start);
    if (code >= 0xDC00 && code <= 0xDFFF) return snn_json_expected(c, "a high surrogate before the low one");
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (c->end - c->at < 2 || memcmp(c->at, "\\u", 2))
            return snn_json_expected(c, "a low surrogate \\uDC00-\\uDFFF");
        c->at += 2;
        SNN_TRY(hex4(c, &low));
        if (low < 0xDC00 || low > 0xDFFF) return snn_json_expected(c, "a low surrogate \\uDC00-\\uDFFF before it");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    *(*to)++ = (unsigned char)(lead[more] | code >> 6 * more);
    while (more-- > 0) *(*to)++ = (unsigned char)(0x80 | (code >> 6 * more & 0x3F));
    return SNN_OK;
}

static int escape(struct snn_json *c, unsigned char **to) { /* behind the backslash */
    static const char letter[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    int found = peek(c);
    const char *known = found > 0 ? strchr(letter, found) : NULL;
    if (!known && found != 'u') return snn_json_expected(c, "one of \"\\/bfnrtu after a backslash");
    ++c->at;
    if (!known) return unicode_escape(c, to);
    *(*to)++ = (unsigned char)meaning[known - letter];
    return SNN_OK;
}

int snn_json_string(struct snn_json *c, const char **text) {
    SNN_TRY(snn_json_mark(c, '"'));
    unsigned char *to = c->at;
    *text = (const char *)to;
    for (;;) {
        int found = peek(c);
        if (found < 0x20) return snn_json_expected(c, "a character of a string or its closing '\"'");
        ++c->at;
        if (found == '"') break;
        if (found == '\\') SNN_TRY(escape(c, &to));
        else *to++ = (unsigned char)found;
    }
    *to = 0;
    return SNN_OK;
}

/* An integer 0 .. 2^64-1, exact: no sign, fraction or exponent, and no leading zero. */
static int integer(struct snn_json *c, uint64_t *value) {
    static const char what[] = "an integer from 0 to 18446744073709551615";
    snn_json_space(c);
    const unsigned char *first = c->at;
    *value = 0;
    for (; peek(c) >= '0' && peek(c) <= '9'; ++c->at)
        if ((c->at > first && *first == '0') || __builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*c->at - '0'), value))
            return snn_json_expected(c, what);
    int next = peek(c);
    return c->at == first || next == '.' || next == 'e' || next == 'E' ? snn_json_expected(c, what) : SNN_OK;
}

int snn_json_integers(struct snn_json *c, uint64_t *value, int max, const char *what) {
    SNN_TRY(snn_json_mark(c, '['));
    int n = 0, more;
    for (; (more = snn_json_more(c, ']', n)) > 0; ++n) {
        if (n == max) return snn_json_expected(c, what);
        SNN_TRY(integer(c, &value[n]));
    }
    return more < 0 ? more : n;
}
