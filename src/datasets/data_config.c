/* SPDX-License-Identifier: Apache-2.0
 * data_config.c - the `data:` section.
 *
 * A key that would have no effect with the other keys is refused rather than ignored: what a config says, happens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/parts.h"

/* The config first, so that offsets into it hold for snn_data_keys; then what is read further. */
struct section {
    struct snn_data_config config;
    struct snn_conf *bin, *downsample, *pad, *validation, *augment;
    const char *cache_limit;
};

static const char *const auto_word[] = {"auto", NULL}, *const piece_word[] = {"none", "auto", NULL},
                         *const pad_word[] = {"max", "batch", NULL};
static const char *const coding_word[] = {"direct", "rate", "latency", NULL};

struct validation_text {
    const char *by;
    double fraction;
    struct snn_conf *ids;
};

#define AT(field) offsetof(struct section, field)
#define CACHE_LIMIT "20 GB"

const struct snn_key snn_data_keys[] = {
    {"name", SNN_TEXT, AT(config.name), NULL, 0, 0, NULL, "the data set (see snntrain list datasets)"},
    {"root", SNN_TEXT, AT(config.root), SNN_OPTIONAL, 0, 0, NULL, "folder with its files as distributed"},
    {"timesteps", SNN_INT, AT(config.timesteps), "10", 1, SNN_MAX_STEPS, auto_word,
     "steps a sample; auto: as many bins as the recording has, or steps as the sequence (its default)"},
    {"bin", SNN_NODE, AT(bin), "{}", 0, 0, NULL, "how recordings become frames: {preset, by, ...}"},
    {"downsample", SNN_NODE, AT(downsample), "{}", 0, 0, NULL,
     "recordings of fewer units, channels or times: {space, rest, polarity, time}"},
    {"coding", SNN_CHOICE, AT(config.coding), "direct", 0, 0, coding_word,
     "how images become input: direct, rate, latency"},
    {"mean", SNN_REAL, AT(config.mean), "0", -1e6, 1e6, NULL, "images coded direct are (pixel/255 - mean)/std"},
    {"std", SNN_REAL, AT(config.std), "1", 1e-6, 1e6, NULL, "see mean"},
    {"gain", SNN_REAL, AT(config.gain), "1", 0, 1, NULL,
     "images coded by rate spike with a probability of gain times (pixel/255 - mean)/std, cut to 0..1"},
    {"pad", SNN_NODE, AT(pad), "{}", 0, 0, NULL, "how recordings of different length share a batch: {to, mask}"},
    {"pieces", SNN_INT, AT(config.pieces), "none", 1, SNN_MAX_STEPS, piece_word,
     "recordings and sequences in pieces of N steps, of which a few are in memory at a time, with a rule that cuts the "
     "steps; auto: of some 8 where the rule does"},
    {"validation", SNN_NODE, AT(validation), "none", 0, 0, NULL,
     "training samples set apart: none, own (those that the data set has for it), a fraction of each class, or {by, "
     "fraction, ids}"},
    {"augment", SNN_NODE, AT(augment), "[]", 0, 0, NULL,
     "random transforms of training samples, one an item (see snntrain list augmentations)"},
    {"split_seed", SNN_INT, AT(config.split_seed), "0", 0, 9e15, NULL, "draws the validation samples"},
    {"workers", SNN_INT, AT(config.workers), "1", 0, 64, NULL, "threads that prepare batches; 0: none"},
    {"cache", SNN_TEXT, AT(config.cache), "none", 0, 0, NULL,
     "where framed recordings are kept on disk: none, auto (the user's cache folder), or a folder"},
    {"cache_limit", SNN_TEXT, AT(cache_limit), CACHE_LIMIT, 0, 0, NULL,
     "the most that all entries of that folder take: 500 MB, 20 GB; the least recently used go first"},
    {0},
};
static const struct snn_key pad_keys[] = {
    {"to", SNN_INT, AT(config.pad.to), "max", 1, SNN_MAX_STEPS, pad_word,
     "the longest of the data set, of the batch, or N"},
    {"mask", SNN_BOOL, AT(config.pad.mask), "true", 0, 0, NULL, "keep padding out of loss, readout, norm and rates"},
    {0},
};

static const struct snn_key validation_keys[] = {
    {"by", SNN_TEXT, offsetof(struct validation_text, by), "class", 0, 0, NULL,
     "class, speaker or user (whole ones are set apart), own, or none"},
    {"fraction", SNN_REAL, offsetof(struct validation_text, fraction), SNN_OPTIONAL, 0, 1, NULL,
     "of each class, or of the speakers or users"},
    {"ids", SNN_NODE, offsetof(struct validation_text, ids), SNN_OPTIONAL, 0, 0, NULL,
     "by speaker or user: the numbers of those that are set apart, instead of a fraction"},
    {0},
};

static int check_recordings(const struct snn_conf *map, const struct section *section) {
    const struct snn_data_config *config = &section->config;
    bool own_steps = snn_bin_has_own_steps(&config->bin);
    if (config->coding != SNN_CODING_DIRECT)
        return snn_conf_error(snn_conf_get(map, "coding"), "is for images, and %s has recordings", config->name);
    if (config->mean != 0)
        return snn_conf_error(snn_conf_get(map, "mean"), "is for images, and %s has recordings", config->name);
    if (config->std != 1)
        return snn_conf_error(snn_conf_get(map, "std"), "is for images, and %s has recordings", config->name);
    if (config->gain != 1)
        return snn_conf_error(snn_conf_get(map, "gain"), "is for images, and %s has recordings", config->name);
    if (config->timesteps < 0 && !own_steps)
        return snn_conf_error(snn_conf_get(map, "timesteps"),
                              "auto needs bin.by: duration, window, events or adaptive");
    if (config->pad.to > 0 && !own_steps)
        return snn_conf_error(snn_conf_get(section->pad, "to"),
                              "a number needs bin.by: duration, window, events or adaptive, else all samples have "
                              "`timesteps`");
    char why[200];
    struct snn_dataset_info about = snn_dataset_about(snn_dataset_find(config->name), &config->set);
    const int32_t sensor[3] = {about.C, about.H, about.W};
    const char *key = about.C ? snn_downsample_misfit(&config->downsample, sensor, why) : NULL;
    if (!key) return SNN_OK;
    const struct snn_conf *at = snn_conf_get(section->downsample, key);
    return snn_conf_error(at ? at : section->bin, "%s", why); /* a preset may ask for it, too */
}

static int check_images(const struct snn_conf *map, const struct section *section) {
    const struct snn_data_config *config = &section->config;
    if (config->timesteps < 0)
        return snn_conf_error(snn_conf_get(map, "timesteps"), "auto is for recordings, and %s has images",
                              config->name);
    SNN_TRY(snn_bin_config_refuse(map, config->name, "images"));
    if (config->pad.to > 0)
        return snn_conf_error(snn_conf_get(section->pad, "to"), "is for recordings, and %s has images", config->name);
    if (config->gain != 1 && config->coding != SNN_CODING_RATE)
        return snn_conf_error(snn_conf_get(map, "gain"), "needs coding: rate");
    if (config->coding != SNN_CODING_LATENCY) return SNN_OK;
    if (config->mean != 0) return snn_conf_error(snn_conf_get(map, "mean"), "needs coding: direct or rate");
    if (config->std != 1) return snn_conf_error(snn_conf_get(map, "std"), "needs coding: direct or rate");
    return SNN_OK;
}

static int check_sequences(const struct snn_conf *map, const struct section *section) {
    const struct snn_data_config *config = &section->config;
    const struct snn_conf *wrong = NULL;
    if (config->coding != SNN_CODING_DIRECT) wrong = snn_conf_get(map, "coding");
    if (config->mean != 0) wrong = snn_conf_get(map, "mean");
    if (config->std != 1) wrong = snn_conf_get(map, "std");
    if (config->gain != 1) wrong = snn_conf_get(map, "gain");
    if (wrong) return snn_conf_error(wrong, "is for images, and %s has numbers", config->name);
    return snn_bin_config_refuse(map, config->name, "numbers");
}

static int read_ids(struct snn_conf *list, struct snn_validation *out) {
    for (struct snn_conf *item = list->first; item; item = item->next) {
        char *end;
        long id = item->kind == SNN_CONF_SCALAR ? strtol(item->text, &end, 10) : -1;
        if (item->kind != SNN_CONF_SCALAR || !*item->text || *end || id < 0 || id > INT32_MAX)
            return snn_conf_error(item, "expected a number");
        if (out->ids == SNN_VALIDATION_IDS) return snn_conf_error(item, "are more than %d", SNN_VALIDATION_IDS);
        out->id[out->ids++] = (int32_t)id;
    }
    return out->ids ? SNN_OK : snn_conf_error(list, "expected a list of numbers");
}

/* A word or a fraction stands for {by: WORD} or {fraction: F}. */
static int read_validation(struct snn_conf *node, const struct snn_dataset_ops *ops, struct snn_validation *out) {
    if (node->kind == SNN_CONF_SCALAR) {
        bool word = !strcmp(node->text, "none") || !strcmp(node->text, "own");
        SNN_TRY(snn_conf_wrap(node, word ? "by" : "fraction"));
    }
    struct validation_text text = {.fraction = NAN};
    SNN_TRY(snn_conf_read(node, validation_keys, &text));
    const struct snn_conf *by = snn_conf_get(node, "by"), *fraction = snn_conf_get(node, "fraction");
    *out = (struct snn_validation){.fraction = isnan(text.fraction) ? 0 : text.fraction};
    if (ops->group_name && !strcmp(text.by, ops->group_name)) out->by = SNN_VALIDATION_GROUP;
    else if (!strcmp(text.by, "speaker") || !strcmp(text.by, "user"))
        return snn_conf_error(by, "is %s, and %s does not tell its %ss", text.by, ops->name, text.by);
    else if (!strcmp(text.by, "class")) out->by = SNN_VALIDATION_CLASS;
    else if (!strcmp(text.by, "own")) out->by = SNN_VALIDATION_OWN;
    else if (!strcmp(text.by, "none")) out->by = SNN_VALIDATION_NONE;
    else return snn_conf_error(by, "expected class, speaker, user, own or none, got '%s'", text.by);
    bool grouped = out->by == SNN_VALIDATION_GROUP, drawn = grouped || out->by == SNN_VALIDATION_CLASS;
    if (fraction && !drawn) return snn_conf_error(fraction, "has no effect by %s", text.by);
    if (text.ids && !grouped) return snn_conf_error(text.ids, "are for validation by speaker or user");
    if (text.ids && fraction) return snn_conf_error(fraction, "has no effect beside ids");
    if (text.ids) SNN_TRY(read_ids(text.ids, out));
    if (drawn && !fraction && !text.ids)
        return snn_conf_error(node, "expected a fraction%s", grouped ? ", or ids" : "");
    if (out->fraction >= 1) return snn_conf_error(fraction, "is %g, expected less than 1", out->fraction);
    if (out->by == SNN_VALIDATION_CLASS && out->fraction == 0) out->by = SNN_VALIDATION_NONE;
    if (grouped && !out->ids && out->fraction == 0) return snn_conf_error(fraction, "is 0, expected more");
    /* Validation samples of the set's own never train: others beside them would be a third kind. */
    if (out->by == SNN_VALIDATION_OWN && ops->own_validation == SNN_OWN_NEVER)
        return snn_conf_error(by, "is own, and %s has no validation samples: expected a fraction", ops->name);
    if (out->by != SNN_VALIDATION_OWN && out->by != SNN_VALIDATION_NONE && ops->own_validation == SNN_OWN_ALWAYS)
        return snn_conf_error(node, "%s has validation samples: expected own, or none", ops->name);
    return SNN_OK;
}

/* "20 GB" -> bytes; 0 when it is no such thing. */
static int64_t bytes_of(const char *text) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"B", 1},         {"kB", 1e3},      {"MB", 1e6},
                 {"GB", 1e9},      {"TB", 1e12},     {"KiB", 1 << 10},
                 {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1099511627776.0}};
    size_t digits = strspn(text, "0123456789."), blanks = strspn(text + digits, " ");
    char *end;
    double value = strtod(text, &end);
    if (!digits || end != text + digits) return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; ++i)
        if (!strcmp(end + blanks, units[i].name) && value * units[i].bytes < 1e18)
            return (int64_t)(value * units[i].bytes);
    return 0;
}

static int read_cache(const struct snn_conf *map, const struct snn_dataset_ops *ops, const char *limit,
                      struct snn_data_config *config) {
    const struct snn_conf *at = snn_conf_get(map, "cache");
    bool none = !strcmp(config->cache, "none");
    if (!none && ops->kind != SNN_RECORDINGS)
        return snn_conf_error(at, "is for recordings, which %s has not", ops->name);
    if (!none && !ops->sources)
        return snn_conf_error(at, "has no use: the samples of %s are computed, or lie in memory", ops->name);
    config->cache_limit = bytes_of(limit);
    at = snn_conf_get(map, "cache_limit");
    if (!config->cache_limit) return snn_conf_error(at, "expected a number of bytes with its unit, such as 20 GB");
    if (none && strcmp(limit, CACHE_LIMIT) != 0) return snn_conf_error(at, "has no effect where data.cache is none");
    if (none) config->cache = NULL;
    return SNN_OK;
}

static int unknown_set(const struct snn_conf *at, const char *name) {
    enum { MOST = 64 };
    const char *names[MOST + 1];
    int n = 0;
    while (n < MOST && snn_datasets[n]) names[n] = snn_datasets[n]->name, ++n;
    names[n] = NULL;
    const char *near = snn_nearest(name, names);
    if (near) return snn_conf_error(at, "unknown data set '%s' (did you mean '%s'?)", name, near);
    return snn_conf_error(at, "unknown data set '%s' (snntrain list datasets names them)", name);
}

/* One map holds the keys of all sets and those of this one, so one table has to, too. */
static int read_section(struct snn_conf *map, const struct snn_dataset_ops *ops, struct section *section) {
    enum { MOST = 64 };
    struct snn_key keys[MOST] = {{0}};
    int n = 0;
    for (const struct snn_key *k = snn_data_keys; k->name; ++k) keys[n++] = *k;
    for (const struct snn_key *k = ops->keys; k && k->name; ++k) {
        SNN_CHECK(n < MOST - 1, "too many keys");
        keys[n] = *k;
        keys[n++].field += AT(config.set);
    }
    SNN_TRY(snn_conf_read(map, keys, section));
    return ops->check ? ops->check(map, &section->config.set) : SNN_OK;
}

int snn_data_config_read(struct snn_conf *map, struct snn_data_config *out) {
    struct section section = {0};
    struct snn_conf *name = snn_conf_get(map, "name");
    const struct snn_dataset_ops *ops =
        name && name->kind == SNN_CONF_SCALAR && *name->text ? snn_dataset_find(name->text) : NULL;
    if (!ops && name && name->kind == SNN_CONF_SCALAR && *name->text) return unknown_set(name, name->text);
    static const struct snn_dataset_ops none = {0};
    bool steps_given = snn_conf_get(map, "timesteps") != NULL;
    if (ops && ops->kind == SNN_SEQUENCES && !steps_given) /* they say themselves how long they are */
        SNN_TRY(snn_conf_put(map, "timesteps", "auto", NULL));
    SNN_TRY(read_section(map, ops ? ops : &none, &section)); /* without a name this says so */
    SNN_CHECK(ops, "a data section without a name was accepted");
    if (ops->kind == SNN_RECORDINGS) SNN_TRY(snn_bin_config_read(map, steps_given, &section.config));
    SNN_TRY(snn_conf_read(section.pad, pad_keys, &section));
    const struct snn_data_config *config = &section.config;
    SNN_TRY(read_validation(section.validation, ops, &section.config.validation));
    struct snn_dataset_info about = snn_dataset_about(ops, &config->set);
    SNN_TRY(snn_augment_read(section.augment, &about, &section.config));
    SNN_TRY(ops->kind == SNN_RECORDINGS ? check_recordings(map, &section)
            : ops->kind == SNN_IMAGES   ? check_images(map, &section)
                                        : check_sequences(map, &section));
    SNN_TRY(read_cache(map, ops, section.cache_limit, &section.config));
    *out = *config;
    return SNN_OK;
}

const void *snn_data_set_options(const struct snn_data_config *config) { return &config->set; }

int snn_data_input(const struct snn_data_config *config, const struct snn_dataset_info *info, int32_t shape[3]) {
    const int32_t sensor[3] = {info->C, info->H, info->W};
    snn_downsample_shape(&config->downsample, sensor, shape);
    int64_t units = (int64_t)shape[1] * shape[2];
    if (units <= SNN_MAX_UNITS / shape[0]) return SNN_OK;
    return snn_error(SNN_EUSAGE, "a step of %s has %d x %d x %d numbers, expected at most %d in all%s", info->name,
                     shape[0], shape[1], shape[2], SNN_MAX_UNITS,
                     info->kind == SNN_RECORDINGS ? ": see data.downsample" : "");
}

double snn_data_step_seconds(const struct snn_data_config *config) {
    switch (config->bin.by) {
    case SNN_BIN_DURATION:
        return config->bin.dt.value;
    case SNN_BIN_WINDOW:
        return config->bin.dt.value - config->bin.overlap * 1e-6;
    case SNN_BIN_EDGES:
        return config->bin.until_us * 1e-6 / (double)(config->timesteps - 1);
    default:
        return 0;
    }
}
