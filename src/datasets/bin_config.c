/* SPDX-License-Identifier: Apache-2.0
 * bin_config.c - `data.bin` and `data.downsample`.
 *
 * Three layers: the defaults, what a preset says, what the config says. Only keys that the rule looks at may be there;
 * the resolved config has those that the preset leaves open. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/parts.h"

enum { NONE = -1, FIRST = -1, ZERO = -2, LAST = -1 }; /* words in place of numbers */

struct bin_text {
    const char *preset;
    int by;
    struct snn_time dt, from, overlap, until, surface;
    long long events;
    bool binary, incomplete, half;
};
struct downsample_text {
    int space[2], rest, polarity;
    struct snn_time time;
};

static const char *const by_word[] = {"count",      "time",  "duration", "window", "events", "time_bins",
                                      "event_bins", "edges", "adaptive", "voxel",  NULL};
static const char *const from_word[] = {"first", "zero", NULL}, *const last_word[] = {"last", NULL};
static const char *const none_word[] = {"none", NULL};
static const char *const rest_word[] = {"keep", "drop", NULL};
static const char *const polarity_word[] = {"both", "merged", "on", "off", "signed", NULL};

#define BIN(field) offsetof(struct bin_text, field)
const struct snn_key snn_bin_keys[] = {
    {"preset", SNN_TEXT, BIN(preset), SNN_OPTIONAL, 0, 0, NULL,
     "as a framework or paper does it (see snntrain list presets); it sets the other keys"},
    {"by", SNN_CHOICE, BIN(by), "count", 0, 0, by_word, "the rule (see snntrain list framings)"},
    {"dt", SNN_TIME, BIN(dt), "10 ms", 0, 0, NULL, "by duration, window, adaptive: length of a step"},
    {"from", SNN_TIME, BIN(from), "first", 0, 0, from_word,
     "by duration, window: steps begin with the first event, at time zero, or at a time; earlier events are left out"},
    {"overlap", SNN_TIME, BIN(overlap), "0", 0, 0, NULL,
     "of neighbours: by window a time, by events their number, by time_bins and event_bins a share"},
    {"events", SNN_INT, BIN(events), "none", 1, INT32_MAX, none_word, "by events, adaptive: in a step"},
    {"incomplete", SNN_BOOL, BIN(incomplete), "false", 0, 0, NULL,
     "by window, events: keep the last step though the recording ends within it"},
    {"half", SNN_BOOL, BIN(half), "false", 0, 0, NULL,
     "by time, duration, adaptive: reckon in numbers of 16 bits, as SpikingJelly does on SHD"},
    {"until", SNN_TIME, BIN(until), "last", 0, 0, last_word,
     "by window: where the recording ends, as far as their number goes; by edges: the last edge"},
    {"binary", SNN_BOOL, BIN(binary), "false", 0, 0, NULL, "1 where any event is, instead of counts"},
    {"surface", SNN_TIME, BIN(surface), "none", 0, 0, none_word,
     "time surface instead of counts: exp(-age/this) of each unit's last event at the end of a step"},
    {0},
};
static const struct {
    const char *key;
    unsigned rules; /* that look at it, a bit each */
} uses[] = {
#define BY(rule) (1u << SNN_BIN_##rule)
    {"dt", BY(DURATION) | BY(WINDOW) | BY(ADAPTIVE)},
    {"from", BY(DURATION) | BY(WINDOW)},
    {"overlap", BY(WINDOW) | BY(EVENTS) | BY(TIME_BINS) | BY(EVENT_BINS)},
    {"events", BY(EVENTS) | BY(ADAPTIVE)},
    {"incomplete", BY(WINDOW) | BY(EVENTS)},
    {"half", BY(TIME) | BY(DURATION) | BY(ADAPTIVE)},
    {"until", BY(WINDOW) | BY(EDGES)},
    {"binary", ~BY(VOXEL)},
    {"surface", ~BY(VOXEL)},
};

#define DOWN(field) offsetof(struct downsample_text, field)
const struct snn_key snn_downsample_keys[] = {
    {"space", SNN_PAIR, DOWN(space), "1", 1, UINT16_MAX, NULL,
     "so many rows and columns (or channels of a cochlea) become one: N, or [rows, columns]"},
    {"rest", SNN_CHOICE, DOWN(rest), "keep", 0, 0, rest_word, "rows and columns at the end that do not fill a group"},
    {"polarity", SNN_CHOICE, DOWN(polarity), "both", 0, 0, polarity_word,
     "both: a channel each; merged: one channel; on, off: only these; signed: one channel, OFF counts negative"},
    {"time", SNN_TIME, DOWN(time), "none", 0, 0, none_word, "times are cut down to multiples of this"},
    {0},
};

/* ---- layers ---- */

enum { MOST_KEYS = 16, MOST_BYTES = 256 };

/* The map `text`, which is ours and right. */
static struct snn_conf_doc *parse(const char *text) {
    struct snn_conf_doc *doc = NULL;
    SNN_CHECK(snn_conf_parse(text, strlen(text), "preset", &doc) >= 0, "%s: %s", text, snn_error_text());
    return doc;
}

/* Read what is there and leave the rest of `out` as it is. */
static int read_present(struct snn_conf *map, const struct snn_key *keys, void *out) {
    struct snn_key optional[MOST_KEYS] = {{0}};
    for (int i = 0; keys[i].name; ++i) {
        SNN_CHECK(i < MOST_KEYS - 1, "too many keys");
        optional[i] = keys[i];
        optional[i].value = SNN_OPTIONAL;
    }
    return snn_conf_read(map, optional, out);
}

static bool same(const struct snn_key *key, const void *a, const void *b) {
    const char *x = (const char *)a + key->field, *y = (const char *)b + key->field;
    const struct snn_time *s = (const struct snn_time *)x, *t = (const struct snn_time *)y;
    switch (key->type) {
    case SNN_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case SNN_INT:
        return *(const long long *)x == *(const long long *)y;
    case SNN_TIME:
        return s->value == t->value && (s->seconds == t->seconds || s->value == 0);
    case SNN_PAIR:
        return !memcmp(x, y, 2 * sizeof(int));
    default: /* SNN_CHOICE */
        return *(const int *)x == *(const int *)y;
    }
}

/* Defaults, `theirs` (NULL: no preset), `map`. What is in both of these has to agree. */
static int read_layers(struct snn_conf *map, const struct snn_key *keys, const struct snn_bin_preset *preset,
                       const struct snn_conf *theirs, void *out, size_t size) {
    _Alignas(max_align_t) char before[MOST_BYTES];
    SNN_CHECK(size <= sizeof before, "%zu bytes of keys", size);
    struct snn_conf_doc *empty = parse("{}");
    SNN_CHECK(snn_conf_read(snn_conf_root(empty), keys, out) >= 0, "defaults: %s", snn_error_text());
    snn_conf_free(&empty);
    if (theirs) SNN_CHECK(read_present((struct snn_conf *)theirs, keys, out) >= 0, "preset: %s", snn_error_text());
    memcpy(before, out, size);
    SNN_TRY(read_present(map, keys, out));
    for (const struct snn_key *key = keys; theirs && key->name; ++key) {
        const struct snn_conf *set = snn_conf_get(theirs, key->name), *given = snn_conf_get(map, key->name);
        if (set && given && !same(key, before, out))
            return snn_conf_error(given, "contradicts the preset %s, which has %s", preset->name, set->text);
    }
    return SNN_OK;
}

static bool looks_at(int rule, const char *key) {
    for (size_t i = 0; i < sizeof uses / sizeof *uses; ++i)
        if (!strcmp(uses[i].key, key)) return uses[i].rules >> rule & 1;
    return true;
}

/* Put the default of a key into the resolved config, unless the preset stands for it. */
static int put_default(struct snn_conf *map, const struct snn_conf *theirs, const struct snn_key *key) {
    if (key->value == SNN_OPTIONAL || snn_conf_get(map, key->name) || (theirs && snn_conf_get(theirs, key->name)))
        return SNN_OK;
    return snn_conf_put(map, key->name, key->value, NULL);
}

/* ---- values ---- */

static int check_time(const struct snn_conf *at, struct snn_time t) {
    double us = t.value * 1e6;
    if (!t.seconds) return snn_conf_error(at, "expected a duration with a unit, such as 10 ms");
    if (us < 1 - 1e-6 || us > 3.6e9) return snn_conf_error(at, "is %g s, expected 1 us to 3600 s", t.value);
    if (fabs(us - round(us)) > 1e-6 * us) return snn_conf_error(at, "is %g us, expected whole microseconds", us);
    return SNN_OK;
}

static bool is_word(struct snn_time t, int word) { return !t.seconds && t.value == word; }

static int check_overlap(const struct snn_conf *map, const struct bin_text *text, double *out) {
    const struct snn_conf *at = snn_conf_get(map, "overlap");
    double value = text->overlap.value;
    *out = value;
    if (value == 0) return SNN_OK;
    if (text->by == SNN_BIN_WINDOW) {
        SNN_TRY(check_time(at, text->overlap));
        *out = (double)llround(value * 1e6);
        return value < text->dt.value ? SNN_OK : snn_conf_error(at, "is %g s, expected less than dt", value);
    }
    if (text->overlap.seconds)
        return snn_conf_error(at, "is a time, expected %s",
                              text->by == SNN_BIN_EVENTS ? "a number of events" : "a share");
    if (text->by == SNN_BIN_EVENTS && !(value >= 0 && value < (double)text->events && value == floor(value)))
        return snn_conf_error(at, "is %g, expected a whole number from 0 to %lld", value, text->events - 1);
    if (text->by != SNN_BIN_EVENTS && !(value >= 0 && value < 1))
        return snn_conf_error(at, "is %g, expected a share of 0 to less than 1", value);
    return SNN_OK;
}

static int check_from(const struct snn_conf *map, const struct bin_text *text, struct snn_binning *out) {
    out->from = is_word(text->from, FIRST) ? SNN_BIN_FROM_FIRST : SNN_BIN_FROM_ZERO;
    if (out->from == SNN_BIN_FROM_FIRST || is_word(text->from, ZERO) || text->from.value == 0) return SNN_OK;
    SNN_TRY(check_time(snn_conf_get(map, "from"), text->from));
    out->start_us = llround(text->from.value * 1e6);
    return SNN_OK;
}

static int check_until(const struct snn_conf *map, const struct bin_text *text, struct snn_binning *out) {
    const struct snn_conf *at = snn_conf_get(map, "until");
    if (is_word(text->until, LAST)) {
        if (text->by != SNN_BIN_EDGES) return SNN_OK;
        return at ? snn_conf_error(at, "expected a time, by edges")
                  : snn_conf_key_error(map, map, "key 'until' is missing (the last edge)");
    }
    SNN_TRY(check_time(at, text->until));
    out->until_us = (double)llround(text->until.value * 1e6);
    return SNN_OK;
}

/* What only some values of other keys go with. */
static int check_mixture(const struct snn_conf *map, const struct bin_text *text) {
    const struct snn_conf *binary = snn_conf_get(map, "binary"), *half = snn_conf_get(map, "half");
    const struct snn_conf *surface = snn_conf_get(map, "surface");
    if (is_word(text->surface, NONE)) return SNN_OK;
    if (text->binary) return snn_conf_error(binary ? binary : surface, "cannot be: a surface has no counts");
    if (text->half) return snn_conf_error(half ? half : surface, "cannot be: a surface needs times in microseconds");
    return SNN_OK;
}

static int settle_bin(const struct snn_conf *map, const struct bin_text *text, struct snn_binning *out) {
    const struct snn_conf *half = snn_conf_get(map, "half");
    out->by = text->by;
    out->dt.value = text->dt.value, out->dt.seconds = text->dt.seconds;
    out->binary = text->binary;
    out->incomplete = text->incomplete;
    out->half = text->half;
    out->events = text->events > 0 ? text->events : 0;
    if (looks_at(text->by, "dt")) SNN_TRY(check_time(snn_conf_get(map, "dt"), text->dt));
    if (looks_at(text->by, "from")) SNN_TRY(check_from(map, text, out));
    if (text->by == SNN_BIN_EVENTS && !out->events)
        return snn_conf_key_error(map, map, "key 'events' is missing (of a step)");
    if (looks_at(text->by, "overlap")) SNN_TRY(check_overlap(map, text, &out->overlap));
    if (looks_at(text->by, "until")) SNN_TRY(check_until(map, text, out));
    if (text->half && text->by == SNN_BIN_DURATION && out->from != SNN_BIN_FROM_FIRST)
        return snn_conf_error(half ? half : map, "half needs from: first");
    SNN_TRY(check_mixture(map, text));
    if (is_word(text->surface, NONE)) return SNN_OK;
    SNN_TRY(check_time(snn_conf_get(map, "surface"), text->surface));
    out->tau_us = text->surface.value * 1e6;
    return SNN_OK;
}

/* ---- the two maps ---- */

static int find_preset(const struct snn_conf *bin, const struct snn_bin_preset **out) {
    enum { MOST = 64 };
    const char *names[MOST + 1];
    const struct snn_conf *at = bin->kind == SNN_CONF_MAP ? snn_conf_get(bin, "preset") : NULL;
    int n = 0;
    *out = NULL;
    if (!at || at->kind != SNN_CONF_SCALAR) return SNN_OK; /* read_present has words for that */
    for (const struct snn_bin_preset *p = snn_bin_presets; p->name; ++p) {
        if (!strcmp(p->name, at->text) || (p->alias && !strcmp(p->alias, at->text))) *out = p;
        SNN_CHECK(n + 1 < MOST, "too many presets");
        names[n++] = p->name;
        if (p->alias) names[n++] = p->alias;
    }
    names[n] = NULL;
    if (*out) return SNN_OK;
    const char *near = snn_nearest(at->text, names);
    if (near) return snn_conf_error(at, "unknown preset '%s' (did you mean '%s'?)", at->text, near);
    return snn_conf_error(at, "unknown preset '%s' (snntrain list presets names them)", at->text);
}

static int read_bin(struct snn_conf *map, const struct snn_bin_preset *preset, const struct snn_conf *theirs,
                    struct snn_binning *out) {
    struct bin_text text = {0};
    SNN_TRY(read_layers(map, snn_bin_keys, preset, theirs, &text, sizeof text));
    for (const struct snn_conf *child = map->first; child; child = child->next)
        if (!looks_at(text.by, child->key)) return snn_conf_error(child, "has no effect by %s", by_word[text.by]);
    SNN_TRY(settle_bin(map, &text, out));
    for (const struct snn_key *key = snn_bin_keys; key->name; ++key)
        if (looks_at(text.by, key->name)) SNN_TRY(put_default(map, theirs, key));
    return SNN_OK;
}

static int read_downsample(struct snn_conf *map, const struct snn_bin_preset *preset, const struct snn_conf *theirs,
                           struct snn_downsample *out) {
    struct downsample_text text = {0};
    SNN_TRY(read_layers(map, snn_downsample_keys, preset, theirs, &text, sizeof text));
    const struct snn_conf *rest = snn_conf_get(map, "rest"), *time = snn_conf_get(map, "time");
    bool joins = text.space[0] > 1 || text.space[1] > 1;
    if (rest && !joins) return snn_conf_error(rest, "has no effect without space");
    memcpy(out->space, text.space, sizeof out->space);
    out->drop = text.rest == 1;
    out->polarity = text.polarity;
    if (!is_word(text.time, NONE)) {
        SNN_TRY(check_time(time, text.time));
        out->tick_us = llround(text.time.value * 1e6);
    }
    for (const struct snn_key *key = snn_downsample_keys; key->name; ++key)
        if (joins || strcmp(key->name, "rest") != 0) SNN_TRY(put_default(map, theirs, key));
    return SNN_OK;
}

/* The preset's steps, where the config has none. */
static int settle_steps(struct snn_conf *map, const struct snn_bin_preset *preset, struct snn_data_config *out) {
    char text[32];
    if (preset->timesteps) snprintf(text, sizeof text, "%s", preset->timesteps);
    else if (preset->span > 0) /* an end on an edge, but for rounding, has one more step */
        snprintf(text, sizeof text, "%d", (int)floor(preset->span / out->bin.dt.value + 1e-9) + 1);
    else return SNN_OK;
    out->timesteps = strcmp(text, "auto") ? strtoll(text, NULL, 10) : -1;
    if (out->timesteps > SNN_MAX_STEPS)
        return snn_conf_error(snn_conf_at(map->doc, "data.bin"), "%s has %s steps of this dt, expected at most %d",
                              preset->name, text, SNN_MAX_STEPS);
    return snn_conf_put(map, "timesteps", text, NULL);
}

int snn_bin_config_read(struct snn_conf *map, bool given, struct snn_data_config *out) {
    struct snn_conf *bin = snn_conf_get(map, "bin"), *downsample = snn_conf_get(map, "downsample");
    struct snn_conf_doc *theirs[2] = {0};
    const struct snn_bin_preset *preset;
    SNN_TRY(find_preset(bin, &preset));
    if (preset) theirs[0] = parse(preset->bin);
    if (preset && preset->downsample) theirs[1] = parse(preset->downsample);
    /* To the last byte, so that equal choices can be told by their bytes (find_longest in loader.c). */
    memset(&out->bin, 0, sizeof out->bin);
    memset(&out->downsample, 0, sizeof out->downsample);
    int status = read_bin(bin, preset, theirs[0] ? snn_conf_root(theirs[0]) : NULL, &out->bin);
    if (status == SNN_OK)
        status = read_downsample(downsample, preset, theirs[1] ? snn_conf_root(theirs[1]) : NULL, &out->downsample);
    snn_conf_free(&theirs[0]);
    snn_conf_free(&theirs[1]);
    SNN_TRY(status);
    if (preset && !given) SNN_TRY(settle_steps(map, preset, out));
    if (out->bin.binary && out->downsample.polarity == SNN_POLARITY_SIGNED)
        return snn_conf_error(snn_conf_get(downsample, "polarity"), "cannot be signed where data.bin.binary is true");
    if (out->bin.by == SNN_BIN_EDGES && out->timesteps == 1)
        return snn_conf_error(snn_conf_get(map, "timesteps"), "is 1, and there are two edges at least");
    return SNN_OK;
}

int snn_bin_config_refuse(const struct snn_conf *map, const char *name, const char *have) {
    const char *const sections[] = {"bin", "downsample"};
    for (int i = 0; i < 2; ++i) {
        const struct snn_conf *section = snn_conf_get(map, sections[i]);
        if (section->kind != SNN_CONF_MAP) return snn_conf_error(section, "expected a map of keys");
        if (section->first) return snn_conf_error(section->first, "is for recordings, and %s has %s", name, have);
    }
    return SNN_OK;
}
