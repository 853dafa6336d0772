/* SPDX-License-Identifier: Apache-2.0
 * data_config.c - the `data:` section.
 *
 * A key that would have no effect with the other keys is refused rather than ignored: what a config says, happens. */
#include <math.h>

#include "core/status.h"
#include "datasets/parts.h"

/* The config first, so that offsets into it hold for snn_data_keys; then what is read further. */
struct section {
    struct snn_data_config config;
    struct snn_conf *bin, *pad;
};

static const char *const auto_word[] = {"auto", NULL}, *const pad_word[] = {"max", "batch", NULL};
static const char *const own_word[] = {"own", NULL};
static const char *const by_word[] = {"count", "time", "duration", NULL};
static const char *const from_word[] = {"first", "zero", NULL};
static const char *const coding_word[] = {"direct", "rate", "latency", NULL};

#define AT(field) offsetof(struct section, field)

const struct snn_key snn_data_keys[] = {
    {"name", SNN_TEXT, AT(config.name), NULL, 0, 0, NULL, "the data set (see snntrain list datasets)"},
    {"root", SNN_TEXT, AT(config.root), SNN_OPTIONAL, 0, 0, NULL, "folder with its files as distributed"},
    {"timesteps", SNN_INT, AT(config.timesteps), "10", 1, SNN_MAX_STEPS, auto_word,
     "steps a sample; auto: as many bins as the recording has"},
    {"bin", SNN_NODE, AT(bin), "{}", 0, 0, NULL, "how recordings become frames: {by, dt, from, binary}"},
    {"coding", SNN_CHOICE, AT(config.coding), "direct", 0, 0, coding_word,
     "how images become input: direct, rate, latency"},
    {"mean", SNN_REAL, AT(config.mean), "0", -1e6, 1e6, NULL, "images coded direct are (pixel/255 - mean)/std"},
    {"std", SNN_REAL, AT(config.std), "1", 1e-6, 1e6, NULL, "see mean"},
    {"pad", SNN_NODE, AT(pad), "{}", 0, 0, NULL, "how recordings of different length share a batch: {to, mask}"},
    {"validation", SNN_REAL, AT(config.validation), "0", 0, 1, own_word,
     "fraction of the training samples set apart, class by class; own: those that the data set has for it"},
    {"split_seed", SNN_INT, AT(config.split_seed), "0", 0, 9e15, NULL, "draws the validation samples"},
    {"workers", SNN_INT, AT(config.workers), "1", 0, 64, NULL, "threads that prepare batches; 0: none"},
    {0},
};
static const struct snn_key bin_keys[] = {
    {"by", SNN_CHOICE, AT(config.bin.by), "count", 0, 0, by_word, "equal event counts, equal times, or bins of dt"},
    {"dt", SNN_TIME, AT(config.bin.dt), "10 ms", 0, 0, NULL, "length of a bin by duration"},
    {"from", SNN_CHOICE, AT(config.bin.from), "first", 0, 0, from_word,
     "bins by duration begin with the first event, or at time zero"},
    {"binary", SNN_BOOL, AT(config.bin.binary), "false", 0, 0, NULL, "1 where any event is, instead of counts"},
    {0},
};
static const struct snn_key pad_keys[] = {
    {"to", SNN_INT, AT(config.pad.to), "max", 1, SNN_MAX_STEPS, pad_word,
     "the longest of the data set, of the batch, or N"},
    {"mask", SNN_BOOL, AT(config.pad.mask), "true", 0, 0, NULL, "keep padding out of loss, readout, norm and rates"},
    {0},
};

static int check_dt(const struct snn_conf *at, struct snn_time dt) {
    double us = dt.value * 1e6;
    if (!dt.seconds) return snn_conf_error(at, "expected a duration with a unit, such as 10 ms");
    if (us < 1 - 1e-6 || us > 3.6e9) return snn_conf_error(at, "is %g s, expected 1 us to 3600 s", dt.value);
    if (fabs(us - round(us)) > 1e-6 * us) return snn_conf_error(at, "is %g us, expected whole microseconds", us);
    return SNN_OK;
}

static int check_recordings(const struct snn_conf *map, const struct section *section) {
    const struct snn_data_config *config = &section->config;
    bool by_duration = config->bin.by == SNN_BIN_DURATION;
    if (config->coding != SNN_CODING_DIRECT)
        return snn_conf_error(snn_conf_get(map, "coding"), "is for images, and %s has recordings", config->name);
    if (config->mean != 0)
        return snn_conf_error(snn_conf_get(map, "mean"), "is for images, and %s has recordings", config->name);
    if (config->std != 1)
        return snn_conf_error(snn_conf_get(map, "std"), "is for images, and %s has recordings", config->name);
    if (config->timesteps < 0 && !by_duration)
        return snn_conf_error(snn_conf_get(map, "timesteps"), "auto needs bin.by: duration");
    if (config->bin.from != SNN_BIN_FROM_FIRST && !by_duration)
        return snn_conf_error(snn_conf_get(section->bin, "from"), "needs bin.by: duration");
    if (config->pad.to > 0 && !by_duration)
        return snn_conf_error(snn_conf_get(section->pad, "to"),
                              "a number needs bin.by: duration, else all samples have `timesteps`");
    return SNN_OK;
}

static int check_images(const struct snn_conf *map, const struct section *section) {
    const struct snn_data_config *config = &section->config;
    if (config->timesteps < 0)
        return snn_conf_error(snn_conf_get(map, "timesteps"), "auto is for recordings, and %s has images",
                              config->name);
    if (config->bin.by != SNN_BIN_COUNT)
        return snn_conf_error(snn_conf_get(section->bin, "by"), "is for recordings, and %s has images", config->name);
    if (config->bin.binary)
        return snn_conf_error(snn_conf_get(section->bin, "binary"), "is for recordings, and %s has images",
                              config->name);
    if (config->bin.from != SNN_BIN_FROM_FIRST)
        return snn_conf_error(snn_conf_get(section->bin, "from"), "is for recordings, and %s has images", config->name);
    if (config->pad.to > 0)
        return snn_conf_error(snn_conf_get(section->pad, "to"), "is for recordings, and %s has images", config->name);
    if (config->coding == SNN_CODING_DIRECT) return SNN_OK;
    if (config->mean != 0) return snn_conf_error(snn_conf_get(map, "mean"), "needs coding: direct");
    if (config->std != 1) return snn_conf_error(snn_conf_get(map, "std"), "needs coding: direct");
    return SNN_OK;
}

/* Validation samples of the set's own never train: a fraction of the others beside them would be a third kind. */
static int check_validation(const struct snn_conf *at, const struct snn_dataset_ops *ops, double validation) {
    if (validation >= 1) return snn_conf_error(at, "is %g, expected less than 1", validation);
    if (isnan(validation) && !ops->own_validation)
        return snn_conf_error(at, "is own, and %s has no validation samples: expected a fraction", ops->name);
    if (validation > 0 && ops->own_validation)
        return snn_conf_error(at, "is %g, and %s has validation samples: expected own, or 0", validation, ops->name);
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

int snn_data_config_read(struct snn_conf *map, struct snn_data_config *out) {
    struct section section = {0};
    SNN_TRY(snn_conf_read(map, snn_data_keys, &section));
    SNN_TRY(snn_conf_read(section.bin, bin_keys, &section));
    SNN_TRY(snn_conf_read(section.pad, pad_keys, &section));
    const struct snn_data_config *config = &section.config;
    const struct snn_dataset_ops *ops = snn_dataset_find(config->name);
    if (!ops) return unknown_set(snn_conf_get(map, "name"), config->name);
    SNN_TRY(check_dt(snn_conf_get(section.bin, "dt"), config->bin.dt));
    SNN_TRY(check_validation(snn_conf_get(map, "validation"), ops, config->validation));
    SNN_TRY(ops->events ? check_recordings(map, &section) : check_images(map, &section));
    *out = *config;
    return SNN_OK;
}

double snn_data_step_seconds(const struct snn_data_config *config) {
    return config->bin.by == SNN_BIN_DURATION ? config->bin.dt.value : 0;
}
