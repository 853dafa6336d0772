/* SPDX-License-Identifier: Apache-2.0
 * config_parts.h - what config.c and config_yaml.c share; only they include it.
 *
 * config.c owns documents and their memory; config_yaml.c fills nodes, and is the only file that knows libyaml. */
#ifndef SNN_CONFIG_PARTS_H
#define SNN_CONFIG_PARTS_H

#include "core/config.h"

enum {
    SNN_CONF_MAX_DEPTH = 64,
    SNN_CONF_MAX_KEY = 500 /* YAML takes no key of over 1024 characters without a '?', and escapes may double it */
};

/* Says so, and returns SNN_EFAIL. */
int snn_conf_out_of_memory(void);
/* A copy of `text` in the document; NULL, and the error is said, when there is no memory. */
char *snn_conf_take_text(struct snn_conf_doc *doc, const char *text, size_t length);
/* A child behind `last` (NULL: the first) of a map (then with a key) or list: an empty map at its parent's position. */
int snn_conf_add_child(struct snn_conf *parent, struct snn_conf *last, char *key, struct snn_conf **out);
/* Take out of `node` what it holds; its key and its place stay. */
void snn_conf_make_empty(struct snn_conf *node, enum snn_conf_kind kind);

/* Fill `target` from YAML text; without a value in it the target is left as it is. `located`: nodes get positions in
 * the text; else all have that of the target. */
int snn_conf_read_yaml(struct snn_conf *target, const char *text, size_t size, bool located);

/* Whether UTF-8 text holds only characters that stand for themselves, tabs and line ends: the rest could come through
 * escapes only. */
bool snn_conf_printable(const unsigned char *text, size_t length);

/* Whether a byte goes on in a UTF-8 character. */
static inline bool snn_utf8_continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

#endif
