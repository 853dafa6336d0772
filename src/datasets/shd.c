/* SPDX-License-Identifier: Apache-2.0
 * shd.c - the Heidelberg data sets SHD and SSC, and spoken digits in the same layout: words as spikes of 700 channels
 * of a cochlea model, one HDF5 file a split.
 *
 * SSC has a file of validation samples. They are the last of the training split, from which the loader keeps them out
 * (info.own_validation). Cramer et al., IEEE TNNLS 33(7) (2022). */
#include <limits.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/hdf5_spikes.h"

enum { UNITS = 700, PARTS = 3 }; /* training, validation, test */

static const struct part_facts {
    const char *file, *what, *md5; /* md5: of the unpacked file, NULL where it is not known */
    int32_t full;                  /* recordings of the whole set */
} shd_parts[PARTS] = {{"shd_train.h5", "train", "8e9877c85f29a28dd353ea6a54402667", 8156},
                      {0},
                      {"shd_test.h5", "test", "207ad1295a0ab611e22d1734989c254e", 2264}},
  ssc_parts[PARTS] = {{"ssc_train.h5", "train", NULL, 75466},
                      {"ssc_valid.h5", "validation", NULL, 9981},
                      {"ssc_test.h5", "test", NULL, 20382}},
  fsdd_parts[PARTS] = {{"shd_train.h5", "train", NULL, 2400}, {0}, {"shd_test.h5", "test", NULL, 600}};

struct shd_set {
    struct snn_dataset base;
    const struct part_facts *facts;      /* (PARTS) */
    struct snn_spikes_file *file[PARTS]; /* NULL where the set has no such part */
};

/* ---- what is there ---- */

static bool has_any(const char *root, const struct part_facts *facts) {
    static const char *const packing[] = {"", ".gz", ".zip"};
    for (int part = 0; part < PARTS; ++part)
        for (size_t form = 0; facts[part].file && form < sizeof packing / sizeof *packing; ++form) {
            char *path;
            if (asprintf(&path, "%s/%s%s", root, facts[part].file, packing[form]) < 0) return false;
            bool found = snn_file_exists(path);
            free(path);
            if (found) return true;
        }
    return false;
}

static bool has_shd(const char *root) { return has_any(root, shd_parts); }
static bool has_ssc(const char *root) { return has_any(root, ssc_parts); }

static int open_part(struct shd_set *set, const char *root, int part, int32_t classes) {
    const struct snn_spikes_layout layout = {UNITS, classes};
    char *path;
    if (!set->facts[part].file) return SNN_OK;
    if (asprintf(&path, "%s/%s", root, set->facts[part].file) < 0)
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = snn_file_exists(path)
                     ? snn_spikes_open(path, &layout, &set->file[part])
                     : snn_error(SNN_EDATA, "%s: does not exist, expected it unpacked (gunzip or unzip)", path);
    free(path);
    return status;
}

static int32_t count_of(const struct snn_spikes_file *file) { return file ? snn_spikes_facts(file).count : 0; }

static void close_set(struct snn_dataset *base) {
    struct shd_set *set = (struct shd_set *)base;
    for (int part = 0; part < PARTS; ++part) snn_spikes_close(&set->file[part]);
    free(set);
}

static int open_set(const char *root, const struct part_facts *facts, int32_t classes, struct snn_dataset **out) {
    struct shd_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->facts = facts;
    int status = SNN_OK;
    for (int part = 0; status == SNN_OK && part < PARTS; ++part) status = open_part(set, root, part, classes);
    if (status < 0) {
        close_set(&set->base);
        return status;
    }
    struct snn_dataset_info *info = &set->base.info;
    info->own_validation = count_of(set->file[1]);
    info->count[SNN_TRAIN] = count_of(set->file[0]) + info->own_validation;
    info->count[SNN_TEST] = count_of(set->file[2]);
    info->class_name = snn_spikes_facts(set->file[0]).names;
    for (int part = 0; part < PARTS; ++part) info->files += set->file[part] != NULL;
    *out = &set->base;
    return SNN_OK;
}

enum { SHD_CLASSES = 20, SSC_CLASSES = 35, FSDD_CLASSES = 10 };

static int open_shd(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_set(root, shd_parts, SHD_CLASSES, out);
}
static int open_ssc(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_set(root, ssc_parts, SSC_CLASSES, out);
}
static int open_fsdd(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    return open_set(root, fsdd_parts, FSDD_CLASSES, out);
}

/* ---- a recording ---- */

/* The file that holds recording *i of a split, and its number there. */
static struct snn_spikes_file *find(const struct shd_set *set, enum snn_split split, int32_t *i) {
    SNN_CHECK(*i >= 0 && *i < set->base.info.count[split], "recording %d of %d", *i, set->base.info.count[split]);
    if (split == SNN_TEST) return set->file[2];
    int32_t first = count_of(set->file[0]);
    if (*i < first) return set->file[0];
    *i -= first;
    return set->file[1];
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct snn_spikes_file *file = find((struct shd_set *)base, split, &i);
    return snn_spikes_get(file, i, sample);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct snn_spikes_file *file = find((const struct shd_set *)base, split, &i);
    return snn_spikes_facts(file).label[i];
}

static int32_t speaker(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct snn_spikes_file *file = find((const struct shd_set *)base, split, &i);
    const int32_t *speakers = snn_spikes_facts(file).speaker;
    return speakers ? speakers[i] : -1;
}

static int sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    const struct shd_set *set = (const struct shd_set *)base;
    char path[PATH_MAX];
    for (int part = 0; part < PARTS; ++part) {
        if (!set->file[part]) continue;
        snprintf(path, sizeof path, "%s/%s", base->root, set->facts[part].file);
        SNN_TRY(each(payload, path));
    }
    return SNN_OK;
}

/* ---- verify ---- */

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* How many different speakers there are; 0 when the file does not say. */
static int32_t speakers(const struct snn_spikes_facts *facts) {
    int32_t *sorted = facts->speaker ? malloc((size_t)facts->count * sizeof *sorted) : NULL, different = 0;
    if (!sorted) return 0;
    memcpy(sorted, facts->speaker, (size_t)facts->count * sizeof *sorted);
    qsort(sorted, (size_t)facts->count, sizeof *sorted, by_value);
    for (int32_t i = 0; i < facts->count; ++i) different += !i || sorted[i] != sorted[i - 1];
    free(sorted);
    return different;
}

/* Reads every recording of a file; returns how many are broken, or SNN_EINTR. `before`: recordings of other files. */
static int32_t verify_part(const struct shd_set *set, int part, int32_t before, void (*report)(void *, const char *),
                           void *payload) {
    struct snn_spikes_facts facts = snn_spikes_facts(set->file[part]);
    struct snn_sample sample = {0};
    size_t events = 0;
    int32_t bad = 0, stop = SNN_OK, all = set->base.info.count[SNN_TRAIN] + set->base.info.count[SNN_TEST];
    for (int32_t i = 0; stop == SNN_OK && i < facts.count; ++i) {
        stop = snn_watch_moved(&set->base.watch, before + i, all);
        if (snn_spikes_get(set->file[part], i, &sample) < 0) {
            report(payload, snn_error_text());
            ++bad;
        } else {
            events += sample.event_count;
        }
    }
    snn_sample_free(&sample);
    if (stop < 0) return stop;
    char line[256];
    snprintf(line, sizeof line, "%s: %d recordings (the full set has %d) of %d speakers, %zu spikes, %d broken",
             set->facts[part].what, facts.count, set->facts[part].full, speakers(&facts), events, bad);
    report(payload, line);
    return bad;
}

/* A file against its checksum; true when there is nothing to say against it. */
static bool verify_file(const struct shd_set *set, int part, void (*report)(void *, const char *), void *payload) {
    const struct part_facts *facts = &set->facts[part];
    if (!facts->md5) return true;
    char md5[MD5_DIGEST_STRING_LENGTH] = "unreadable", line[1024], *path;
    if (asprintf(&path, "%s/%s", set->base.root, facts->file) < 0) return false;
    bool good = MD5File(path, md5) && !strcmp(md5, facts->md5);
    if (good) snprintf(line, sizeof line, "%s: as distributed (md5)", path);
    else snprintf(line, sizeof line, "%s: has md5 %s, expected %s", path, md5, facts->md5);
    report(payload, line);
    free(path);
    return good;
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    struct shd_set *set = (struct shd_set *)base;
    int32_t broken = 0, foreign = 0, before = 0;
    bool proven = true;
    for (int part = 0; part < PARTS; ++part) {
        if (!set->file[part]) continue;
        foreign += !verify_file(set, part, report, payload);
        proven &= set->facts[part].md5 != NULL;
        int32_t bad = verify_part(set, part, before, report, payload);
        SNN_TRY(bad);
        broken += bad;
        before += count_of(set->file[part]);
    }
    if (broken)
        return snn_error(SNN_EDATA, "%s: %d of %d recordings are broken", base->root, broken,
                         base->info.count[SNN_TRAIN] + base->info.count[SNN_TEST]);
    if (foreign) return snn_error(SNN_EDATA, "%s: %d of the files are not as distributed", base->root, foreign);
    return proven ? SNN_AS_DISTRIBUTED : SNN_WELL_FORMED;
}

#define SPIKE_TRAINS                                                                                                   \
    .C = 1, .H = 1, .W = UNITS, .kind = SNN_RECORDINGS, .get = get, .label = label, .sources = sources,                \
    .group = speaker, .group_name = "speaker", .verify = verify, .close = close_set

const struct snn_dataset_ops snn_shd = {
    .name = "shd",
    .help = "Heidelberg digits, spoken in German and English, as spikes of 700 channels, 8156 train and 2264 test",
    .classes = SHD_CLASSES,
    .how_to_get = "download shd_train.h5.gz and shd_test.h5.gz (168 MB) from https://zenkelab.org/datasets/, unpack "
                  "them with gunzip and name their folder with --data",
    .has = has_shd,
    .open = open_shd,
    SPIKE_TRAINS,
};

const struct snn_dataset_ops snn_ssc = {
    .name = "ssc",
    .help = "Speech Commands as spikes of 700 channels, 75466 train, 9981 validation (data.validation: own) and 20382 "
            "test",
    .classes = SSC_CLASSES,
    .own_validation = SNN_OWN_ALWAYS,
    .how_to_get = "download ssc_train.h5.gz, ssc_valid.h5.gz and ssc_test.h5.gz from https://zenkelab.org/datasets/, "
                  "unpack them with gunzip and name their folder with --data",
    .has = has_ssc,
    .open = open_ssc,
    SPIKE_TRAINS,
};

const struct snn_dataset_ops snn_fsdd_spikes = {
    .name = "fsdd_spikes",
    .help = "the Free Spoken Digit Dataset as spikes in SHD's layout, 10 classes, 700 channels",
    .classes = FSDD_CLASSES,
    .how_to_get = "pass the recordings of https://github.com/Jakobovski/free-spoken-digit-dataset through "
                  "https://github.com/electronicvisions/lauscher into shd_train.h5 and shd_test.h5, and name their "
                  "folder with --data",
    .has = has_shd,
    .open = open_fsdd,
    SPIKE_TRAINS,
};
