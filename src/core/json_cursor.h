/* SPDX-License-Identifier: Apache-2.0
 * json_cursor.h - strict JSON, token by token, over the header of a file that may be hostile.
 *
 * The caller's grammar has fixed depth, so nothing here recurses. Strings are unescaped in place: the text is never
 * longer than its source, and the closing quote makes room for the NUL. Errors are SNN_EDATA with the byte of the
 * header, what was found there and what was expected. */
#ifndef SNN_JSON_CURSOR_H
#define SNN_JSON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snn_json {
    const char *origin; /* the file's name, for errors */
    unsigned char *start, *at, *end;
};

/* Refuse what is at the cursor, where `what` should be. */
int snn_json_expected(const struct snn_json *c, const char *what);
void snn_json_space(struct snn_json *c);
/* One character of punctuation, behind spaces. */
int snn_json_mark(struct snn_json *c, char mark);
/* Before element `n` of a list or object that ends with `close`: 1 when it follows, 0 when the end was passed. */
int snn_json_more(struct snn_json *c, char close, int n);
/* Of bytes that are known to be UTF-8. A string with \u0000 is refused: texts are C strings. */
int snn_json_string(struct snn_json *c, const char **text);
/* A list of up to `max` integers 0 .. 2^64-1; `what` says how many are expected. Returns their number. */
int snn_json_integers(struct snn_json *c, uint64_t *value, int max, const char *what);

/* Strict: no overlong forms, surrogates, or code points beyond U+10FFFF. */
bool snn_utf8_valid(const void *bytes, size_t size);

/* A name fit for a message: shortened, and without bytes that a terminal would obey. */
struct snn_shown {
    char text[84];
};
struct snn_shown snn_shown(const char *name);

#endif
