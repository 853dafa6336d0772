/* SPDX-License-Identifier: Apache-2.0
 * aedat_header.c - lines of text before the records of AEDAT 2 and 3, and the cameras that they name. */
#include <string.h>
#include <strings.h>

#include "datasets/events_parts.h"

/* Comments may hold a micro sign in one of several encodings, so some other bytes are allowed. Of a binary record that
 * begins with '#', hardly one has neither a control character nor many such bytes before its next line end. */
static bool is_text(const unsigned char *line, size_t length) {
    size_t strange = 0;
    for (size_t i = 0; i < length; ++i) {
        if ((line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f) return false;
        strange += line[i] > 0x7f;
    }
    return 4 * strange <= length;
}

bool snn_aedat_line(const unsigned char *bytes, size_t size, size_t *at, struct snn_text *line) {
    const unsigned char *first = bytes + *at;
    if (*at >= size || *first != '#') return false;
    const unsigned char *end = memchr(first, '\n', size - *at);
    if (!end) return false;
    size_t length = (size_t)(end - first) - (end[-1] == '\r');
    if (!is_text(first, length)) return false;
    *line = (struct snn_text){(const char *)first, length};
    *at += (size_t)(end - first) + 1;
    return true;
}

bool snn_text_begins(struct snn_text line, const char *word) {
    size_t n = strlen(word);
    return line.length >= n && !strncasecmp(line.at, word, n);
}

bool snn_text_has(struct snn_text line, const char *word) {
    for (; line.length; ++line.at, --line.length)
        if (snn_text_begins(line, word)) return true;
    return false;
}

bool snn_aedat_line_cut(const unsigned char *bytes, size_t size, size_t at) {
    return at < size && bytes[at] == '#' && !memchr(bytes + at, '\n', size - at) && is_text(bytes + at, size - at);
}

enum snn_events_map snn_aedat_camera(struct snn_text line, int32_t *W, int32_t *H) {
    static const struct {
        const char *name;
        int32_t W, H;
        enum snn_events_map map;
    } cameras[] = {
        {"DVS128", 128, 128, SNN_EVENTS_DVS128},     {"Tmpdiff128", 128, 128, SNN_EVENTS_DVS128},
        {"DAVIS128", 128, 128, SNN_EVENTS_DAVIS240}, {"DAVIS208", 208, 192, SNN_EVENTS_DAVIS240},
        {"DAVIS240", 240, 180, SNN_EVENTS_DAVIS240}, {"DAVI240", 240, 180, SNN_EVENTS_DAVIS240},
        {"SBret10", 240, 180, SNN_EVENTS_DAVIS240},  {"DAVIS346", 346, 260, SNN_EVENTS_DAVIS240},
        {"DAVI346", 346, 260, SNN_EVENTS_DAVIS240},  {"DAVIS640", 640, 480, SNN_EVENTS_DAVIS240},
    };
    for (size_t i = 0; i < sizeof cameras / sizeof *cameras; ++i)
        if (snn_text_has(line, cameras[i].name)) {
            *W = cameras[i].W;
            *H = cameras[i].H;
            return cameras[i].map;
        }
    return SNN_EVENTS_MAP_AUTO;
}
