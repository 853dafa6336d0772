/* SPDX-License-Identifier: Apache-2.0
 * recordings.c - sets of one recording a file, in folders named after their classes: CIFAR10-DVS, N-Caltech101, and
 * anybody's own (event_folder).
 *
 * Li et al., Frontiers in Neuroscience 11:309 (2017); Orchard et al., Frontiers in Neuroscience 9:437 (2015). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/events.h"
#include "datasets/events_stream.h"
#include "datasets/split.h"
#include "datasets/tree.h"

static const size_t max_bytes = (size_t)1 << 31; /* of one recording that is read whole, unpacked */

struct recordings {
    struct snn_dataset base;
    struct snn_tree tree[2]; /* by split when the files are parted by folders; else all are in the first */
    int32_t *list[2];        /* by split: files of tree[0]; NULL: all of tree[split] */
    char **names;            /* (name_count), or NULL */
    int32_t name_count;
    struct snn_events_options how;
    char rule[64]; /* how the splits were made */
};

static void close_set(struct snn_dataset *base) {
    struct recordings *set = (struct recordings *)base;
    for (int s = 0; s < 2; ++s) {
        snn_tree_free(&set->tree[s]);
        free(set->list[s]);
    }
    snn_tree_names_free(set->names, set->name_count);
    free(set);
}

/* File `i` of a split: which tree and which file there. */
static const struct snn_tree *find(const struct recordings *set, enum snn_split split, int32_t *i) {
    SNN_CHECK(*i >= 0 && *i < set->base.info.count[split], "recording %d of %d", *i, set->base.info.count[split]);
    if (!set->list[split]) return &set->tree[split];
    *i = set->list[split][*i];
    return &set->tree[0];
}

/* `note`: "PATH: what was left out", or "". */
static int read_one(const struct recordings *set, enum snn_split split, int32_t i, struct snn_sample *sample,
                    struct snn_events_facts *facts, char note[600]) {
    const struct snn_tree *tree = find(set, split, &i);
    unsigned char *bytes;
    size_t size;
    SNN_TRY(snn_tree_read(tree, i, max_bytes, &bytes, &size));
    char *path = snn_tree_path(tree, i);
    int status = path ? snn_events_decode(path, bytes, size, &set->how, sample, facts)
                      : snn_error(SNN_EFAIL, "%s: out of memory", set->base.root);
    sample->label = tree->file[i].class;
    note[0] = '\0';
    if (status == SNN_OK && *facts->warning) snprintf(note, 600, "%s: %s", path, facts->warning);
    free(path);
    free(bytes);
    return status;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct snn_events_facts facts;
    char note[600];
    SNN_TRY(read_one((struct recordings *)base, split, i, sample, &facts, note));
    if (*note) snn_dataset_warn(base, note);
    return SNN_OK;
}

/* ---- piece by piece ---- */

/* The path of recording i, to be freed; NULL where it is a member of an archive, or without memory (*status). */
static char *path_of(const struct recordings *set, enum snn_split split, int32_t i, int *status) {
    const struct snn_tree *tree = find(set, split, &i);
    *status = SNN_READ_WHOLE;
    if (!snn_tree_is_plain(tree, i)) return NULL;
    char *path = snn_tree_path(tree, i);
    *status = path ? SNN_OK : snn_error(SNN_EFAIL, "%s: out of memory", set->base.root);
    return path;
}

/* `note` as above. */
static int survey_one(const struct recordings *set, enum snn_split split, int32_t i, struct snn_events_extent *out,
                      struct snn_events_facts *facts, char note[600]) {
    int status;
    char *path = path_of(set, split, i, &status);
    note[0] = '\0';
    if (!path) return status;
    status = snn_events_survey(path, &set->how, out, facts);
    if (status == SNN_OK && *facts->warning) snprintf(note, 600, "%s: %s", path, facts->warning);
    free(path);
    return status;
}

static int survey(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_events_extent *out) {
    struct snn_events_facts facts;
    char note[600];
    int status = survey_one((struct recordings *)base, split, i, out, &facts, note);
    if (*note) snn_dataset_warn(base, note);
    return status;
}

static int stream(struct snn_dataset *base, enum snn_split split, int32_t i, const struct snn_events_extent *extent,
                  struct snn_events_stream **out) {
    const struct recordings *set = (struct recordings *)base;
    int status;
    char *path = path_of(set, split, i, &status);
    SNN_CHECK(path || status < 0, "recording %d is a member of an archive", i);
    if (path) status = snn_events_stream_open(path, &set->how, extent, out);
    free(path);
    return status;
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct snn_tree *tree = find((const struct recordings *)base, split, &i);
    return tree->file[i].class;
}

static int sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    const struct recordings *set = (const struct recordings *)base;
    SNN_TRY(snn_tree_sources(&set->tree[0], each, payload));
    return snn_tree_sources(&set->tree[1], each, payload);
}

/* ---- opening ---- */

static int part(struct recordings *set, const char *root, const struct snn_split_options *split) {
    struct snn_dataset_info *info = &set->base.info;
    snn_split_text(split, set->rule);
    info->split_rule = set->rule;
    return snn_split_tree(&set->tree[0], root, split, set->list, info->count);
}

/* What nobody can learn is not to be tested. */
static int check_classes(const struct recordings *set, const char *root) {
    const struct snn_tree *train = &set->tree[0], *test = &set->tree[1];
    for (int32_t i = 0, k = 0; i < test->count; ++i) { /* both are in order of their classes */
        while (k < train->count && train->file[k].class < test->file[i].class) ++k;
        if (k < train->count && train->file[k].class == test->file[i].class) continue;
        char *path = snn_tree_path(test, i);
        int status =
            snn_error(SNN_EDATA, "%s: is of a class of which %s/train holds no recording", path ? path : root, root);
        free(path);
        return status;
    }
    return SNN_OK;
}

static int open_tree(struct recordings *set, const char *root, const struct snn_tree_want *want,
                     const struct snn_split_options *split) {
    struct snn_dataset_info *info = &set->base.info;
    struct snn_tree *trees[] = {&set->tree[0], &set->tree[1]};
    SNN_TRY(snn_tree_settle(trees, 2, want, &set->names, &set->name_count));
    if (!set->tree[0].count)
        return snn_error(SNN_EDATA, "%s: holds no recordings (%s) in folders named after their classes", root,
                         want->extensions);
    info->files = set->tree[0].count + set->tree[1].count;
    info->class_name = want->classes ? want->classes : (const char *const *)set->names;
    if (!want->classes) info->classes = set->name_count;
    if (set->tree[1].places) {
        for (int s = 0; s < 2; ++s) info->count[s] = set->tree[s].count;
        if (info->count[SNN_TEST]) return check_classes(set, root);
        return snn_error(SNN_EDATA, "%s: its test folder holds no recordings", root);
    }
    return part(set, root, split);
}

static int finish_open(struct recordings *set, int status, struct snn_dataset **out) {
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

static struct recordings *new_set(const char *root) {
    struct recordings *set = calloc(1, sizeof *set);
    if (!set) snn_error(SNN_EFAIL, "%s: out of memory", root);
    return set;
}

static bool is_there(const char *root, const char *name, const char *ending, bool folder) {
    char *path;
    if (asprintf(&path, "%s/%s%s", root, name, ending) < 0) return false;
    bool there = folder ? snn_is_directory(path) : snn_file_exists(path);
    free(path);
    return there;
}

/* ---- verify ---- */

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    struct recordings *set = (struct recordings *)base;
    struct snn_sample sample = {0};
    char line[1024];
    int32_t broken = 0, odd = 0, done = 0, stop = SNN_OK;
    for (int s = 0; s < 2 && stop == SNN_OK; ++s) {
        int64_t events = 0;
        for (int32_t i = 0; i < base->info.count[s]; ++i) {
            struct snn_events_extent extent;
            struct snn_events_facts facts;
            stop = snn_watch_moved(&base->watch, done++, base->info.files);
            if (stop < 0) break;
            int status = survey_one(set, s, i, &extent, &facts, line);
            if (status == SNN_READ_WHOLE) status = read_one(set, s, i, &sample, &facts, line);
            if (status < 0) {
                report(payload, snn_error_text());
                ++broken;
                continue;
            }
            events += facts.events;
            if (!*line) continue;
            report(payload, line);
            ++odd;
        }
        snprintf(line, sizeof line, "%s: %d recordings, %lld events", s == SNN_TRAIN ? "train" : "test",
                 base->info.count[s], (long long)events);
        report(payload, line);
    }
    snn_sample_free(&sample);
    if (stop < 0) return stop;
    snprintf(line, sizeof line, "%d recordings: %d broken, %d with something to say", base->info.files, broken, odd);
    report(payload, line);
    return broken ? snn_error(SNN_EDATA, "%s: %d of %d recordings are broken", base->root, broken, base->info.files)
                  : SNN_OK;
}

/* ---- CIFAR10-DVS ---- */

enum { DVS_CLASSES = 10 };
static const char *const dvs_class[DVS_CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                   "dog",      "frog",       "horse", "ship", "truck"};
static const struct snn_tree_want dvs_want = {".aedat", dvs_class, DVS_CLASSES};

struct dvs_options {
    struct snn_split_options split;
};
static const struct snn_key dvs_keys[] = {SNN_SPLIT_KEYS(struct dvs_options, split), {0}};

static bool has_dvs(const char *root) {
    for (int c = 0; c < DVS_CLASSES; ++c)
        if (is_there(root, dvs_class[c], "", true) || is_there(root, dvs_class[c], ".zip", false)) return true;
    return false;
}

/* A class is a folder, or its archive as distributed. */
static int add_dvs(struct recordings *set, const char *root) {
    bool folders = false;
    for (int c = 0; c < DVS_CLASSES; ++c) {
        if (is_there(root, dvs_class[c], "", true)) {
            folders = true;
            continue;
        }
        char *path;
        if (asprintf(&path, "%s/%s.zip", root, dvs_class[c]) < 0)
            return snn_error(SNN_EFAIL, "%s: out of memory", root);
        int status = snn_file_exists(path)
                         ? snn_tree_add_zip(&set->tree[0], path, NULL, &dvs_want)
                         : snn_error(SNN_EDATA, "%s: holds neither %s/ nor %s.zip", root, dvs_class[c], dvs_class[c]);
        free(path);
        SNN_TRY(status);
    }
    return folders ? snn_tree_add_folder(&set->tree[0], root, &dvs_want) : SNN_OK;
}

static int open_dvs(const char *root, const void *options, struct snn_dataset **out) {
    const struct dvs_options *o = options;
    struct recordings *set = new_set(root);
    if (!set) return SNN_EFAIL;
    set->how = (struct snn_events_options){.map = SNN_EVENTS_DVS128, .W = 128, .H = 128};
    int status = add_dvs(set, root);
    if (status == SNN_OK) status = open_tree(set, root, &dvs_want, &o->split);
    return finish_open(set, status, out);
}

const struct snn_dataset_ops snn_cifar10_dvs = {
    .name = "cifar10_dvs",
    .help = "CIFAR-10 images seen by an event camera, 128x128x2, 1000 recordings a class, no official split",
    .how_to_get = "download the ten archives airplane.zip ... truck.zip (8.4 GB) from "
                  "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671 and name their folder with --data; "
                  "they may stay packed",
    .classes = DVS_CLASSES,
    .C = 2,
    .H = 128,
    .W = 128,
    .kind = SNN_RECORDINGS,
    .keys = dvs_keys,
    .has = has_dvs,
    .open = open_dvs,
    .get = get,
    .survey = survey,
    .stream = stream,
    .label = label,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};

/* ---- N-Caltech101 ---- */

enum { CALTECH_CLASSES = 101 };
static const struct snn_tree_want caltech_want = {".bin", NULL, 0};
static const char caltech[] = "Caltech101";

static bool has_caltech(const char *root) {
    return is_there(root, caltech, "", true) || is_there(root, caltech, ".zip", false) ||
           is_there(root, "accordion", "", true);
}

/* Classes that are not there have no name; all have a number of their own in the whole set only. */
static int fill_names(struct recordings *set, const char *root) {
    char **names = reallocarray(set->names, CALTECH_CLASSES, sizeof *names);
    if (!names) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->names = names;
    for (; set->name_count < CALTECH_CLASSES; ++set->name_count)
        if (!(names[set->name_count] = strdup("(absent)"))) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->base.info.class_name = (const char *const *)names;
    return SNN_OK;
}

static int open_caltech(const char *root, const void *options, struct snn_dataset **out) {
    const struct dvs_options *o = options;
    struct recordings *set = new_set(root);
    if (!set) return SNN_EFAIL;
    set->how = (struct snn_events_options){.format = "orchard", .W = 240, .H = 180};
    bool folder = is_there(root, caltech, "", true), archive = is_there(root, caltech, ".zip", false);
    char *path;
    if (asprintf(&path, "%s%s%s%s", root, folder || archive ? "/" : "", folder || archive ? caltech : "",
                 archive && !folder ? ".zip" : "") < 0) {
        close_set(&set->base);
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    }
    int status = archive && !folder ? snn_tree_add_zip(&set->tree[0], path, caltech, &caltech_want)
                                    : snn_tree_add_folder(&set->tree[0], path, &caltech_want);
    if (status == SNN_OK) status = open_tree(set, path, &caltech_want, &o->split);
    if (status == SNN_OK && set->name_count > CALTECH_CLASSES)
        status =
            snn_error(SNN_EDATA, "%s: has %d classes, expected at most %d", path, set->name_count, CALTECH_CLASSES);
    if (status == SNN_OK) status = fill_names(set, path);
    free(path);
    return finish_open(set, status, out);
}

const struct snn_dataset_ops snn_ncaltech101 = {
    .name = "ncaltech101",
    .help = "Caltech-101 pictures seen by an event camera in three saccades, 180x240x2, no official split",
    .how_to_get =
        "download Caltech101.zip of N-Caltech101 from https://www.garrickorchard.com/datasets/n-caltech101 and "
        "name its folder with --data; it may stay packed",
    .classes = CALTECH_CLASSES,
    .C = 2,
    .H = 180,
    .W = 240,
    .kind = SNN_RECORDINGS,
    .keys = dvs_keys,
    .has = has_caltech,
    .open = open_caltech,
    .get = get,
    .survey = survey,
    .stream = stream,
    .label = label,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};

/* ---- one's own ---- */

struct folder_options {
    struct snn_split_options split;
    struct snn_conf *shape;
    int32_t H, W; /* from `shape`; 0: as the first file says */
    const char *format;
    int unit, map;
};
static const char *const unit_words[] = {"auto", "s", "ms", "us", "ns", NULL};
static const char *const map_words[] = {"auto", "dvs128", "davis240", NULL};

#define AT(field) offsetof(struct folder_options, field)
static const struct snn_key folder_keys[] = {
    {"shape", SNN_NODE, AT(shape), SNN_OPTIONAL, 0, 0, NULL,
     "[2, H, W]: polarities and the sensor; else as the first file says"},
    {"format", SNN_TEXT, AT(format), SNN_OPTIONAL, 0, 0, NULL,
     "of all files; else by each one's first bytes and extension"},
    {"unit", SNN_CHOICE, AT(unit), "auto", 0, 0, unit_words, "of times in csv, npy and h5 files that do not say it"},
    {"map", SNN_CHOICE, AT(map), "auto", 0, 0, map_words, "camera of AEDAT 2 files that do not name it"},
    SNN_SPLIT_KEYS(struct folder_options, split),
    {0}};

static const char *const split_folder[2] = {"train", "test"};

static bool has_folder(const char *root) { return snn_is_directory(root); }

static bool is_format(const char *name) {
    for (int i = 0; snn_events_formats[i]; ++i)
        if (!strcmp(snn_events_formats[i]->name, name)) return true;
    return false;
}

static int check_folder(struct snn_conf *map, const void *options) {
    const struct folder_options *o = options;
    int32_t shape[3];
    if (o->format && !is_format(o->format))
        return snn_conf_error(snn_conf_get(map, "format"),
                              "'%s' is no format of recordings (`snntrain list recordings`)", o->format);
    if (!o->shape) return SNN_OK;
    SNN_TRY(snn_shape_read(o->shape, shape));
    if (shape[0] != 2) return snn_conf_error(o->shape, "expected [2, H, W]: events have two polarities");
    return SNN_OK;
}

static void all_extensions(char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; snn_events_formats[i] && used < size; ++i)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "", snn_events_formats[i]->extensions);
}

/* <root>/train/<class>/ and <root>/test/<class>/, or <root>/<class>/. */
static int add_folders(struct recordings *set, const char *root, const struct snn_tree_want *want) {
    bool parted = is_there(root, split_folder[0], "", true) && is_there(root, split_folder[1], "", true);
    if (!parted) return snn_tree_add_folder(&set->tree[0], root, want);
    for (int s = 0; s < 2; ++s) {
        char *path;
        if (asprintf(&path, "%s/%s", root, split_folder[s]) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
        int status = snn_tree_add_folder(&set->tree[s], path, want);
        free(path);
        SNN_TRY(status);
    }
    return SNN_OK;
}

/* The sensor: as told, else as the first file says. */
static int settle_sensor(struct recordings *set, const struct folder_options *o) {
    struct snn_dataset_info *info = &set->base.info;
    int32_t shape[3];
    info->C = 2;
    if (o->shape) {
        SNN_TRY(snn_shape_read(o->shape, shape));
        info->H = shape[1], info->W = shape[2];
    } else {
        struct snn_events_facts facts;
        int status; /* of a folder, not of archives */
        char *path = path_of(set, SNN_TRAIN, 0, &status);
        SNN_TRY(status);
        status = snn_events_peek(path, &set->how, &facts);
        if (status == SNN_OK && !facts.sensor_stated)
            status =
                snn_error(SNN_EUSAGE, "%s: does not say how large the sensor is: set data.shape to [2, H, W]", path);
        free(path);
        SNN_TRY(status);
        info->H = facts.H, info->W = facts.W;
    }
    set->how.W = info->W, set->how.H = info->H;
    return SNN_OK;
}

static int open_folder(const char *root, const void *options, struct snn_dataset **out) {
    const struct folder_options *o = options;
    struct recordings *set = new_set(root);
    if (!set) return SNN_EFAIL;
    char extensions[256];
    all_extensions(extensions, sizeof extensions);
    struct snn_tree_want want = {extensions, NULL, 0};
    set->how = (struct snn_events_options){.format = o->format, .unit = o->unit, .map = o->map};
    int status = add_folders(set, root, &want);
    if (status == SNN_OK) status = open_tree(set, root, &want, &o->split);
    if (status == SNN_OK) status = settle_sensor(set, o);
    return finish_open(set, status, out);
}

const struct snn_dataset_ops snn_event_folder = {
    .name = "event_folder",
    .help = "your own recordings, DIR/{train,test}/CLASS/FILE or DIR/CLASS/FILE, in any format that `data show` reads",
    .how_to_get = "put recordings into folders named after their classes and name the folder above them with --data",
    .kind = SNN_RECORDINGS,
    .keys = folder_keys,
    .check = check_folder,
    .has = has_folder,
    .open = open_folder,
    .get = get,
    .survey = survey,
    .stream = stream,
    .label = label,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};
