/* SPDX-License-Identifier: Apache-2.0 */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char sentence[1024];

int snn_error(int code, const char *format, ...) {
    /* The arguments may include the present sentence: format aside first. */
    char text[sizeof sentence];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; ++c)
        if ((unsigned char)*c < ' ' || *c == 0x7F) *c = ' ';
    snprintf(sentence, sizeof sentence, "%s", text);
    return code;
}

const char *snn_error_text(void) { return sentence; }

void snn_panic(const char *file, int line, const char *cond, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "snntrain: internal error at %s:%d: %s: ", file, line, cond);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}
