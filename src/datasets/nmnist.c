/* SPDX-License-Identifier: Apache-2.0
 * nmnist.c - N-MNIST: <split>/<digit>/<name>.bin, in folders or inside the distributed Train.zip and Test.zip.
 *
 * The recordings themselves are read by events_orchard.c. */
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/events.h"
#include "datasets/tree.h"

enum {
    SIDE = 34,
    CLASSES = 10,
    MAX_BYTES = 1 << 26 /* of one recording: 13.4 million events, where real ones have some 4000 */
};

static const char *const digit_name[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

static const struct split_facts {
    const char *folder[2];  /* spellings in the wild; the archive adds .zip */
    const char *what, *md5; /* md5: of the archive */
    int32_t full;           /* recordings of the whole set */
} facts[2] = {
    {{"Train", "train"}, "train", "20959b8e626244a1b502305a9e6e2031", 60000},
    {{"Test", "test"}, "test", "69ca8762b2fe404d9b9bad1103e97832", 10000},
};

struct part {    /* a split */
    char *place; /* its folder, or its archive */
    bool archive;
    struct snn_tree tree;
};

struct nmnist_set {
    struct snn_dataset base;
    struct part part[2];
};

/* ---- what is there ---- */

/* The split's folder or archive below `root` (caller frees), or NULL. */
static char *find_split(const char *root, const struct split_facts *split, bool *archive) {
    for (int form = 0; form < 4; ++form) {
        char *path;
        *archive = form >= 2;
        if (asprintf(&path, "%s/%s%s", root, split->folder[form % 2], *archive ? ".zip" : "") < 0) return NULL;
        if (*archive ? snn_file_exists(path) : snn_is_directory(path)) return path;
        free(path);
    }
    return NULL;
}

static bool has(const char *root) {
    for (int split = 0; split < 2; ++split) {
        bool archive;
        char *path = find_split(root, &facts[split], &archive);
        if (!path) continue;
        free(path);
        return true;
    }
    return false;
}

static int open_split(struct nmnist_set *set, const char *root, enum snn_split split) {
    static const struct snn_tree_want want = {".bin", digit_name, CLASSES};
    const struct split_facts *about = &facts[split];
    struct part *part = &set->part[split];
    struct snn_tree *tree = &part->tree;
    part->place = find_split(root, about, &part->archive);
    if (!part->place)
        return snn_error(SNN_EDATA, "%s: holds no %s/ and no %s.zip", root, about->folder[0], about->folder[0]);
    SNN_TRY(part->archive ? snn_tree_add_zip(tree, part->place, about->folder[0], &want)
                          : snn_tree_add_folder(tree, part->place, &want));
    if (!tree->count) return snn_error(SNN_EDATA, "%s: holds no recordings <digit>/<name>.bin", part->place);
    SNN_TRY(snn_tree_settle(&tree, 1, &want, NULL, NULL));
    set->base.info.count[split] = tree->count;
    set->base.info.files += tree->count;
    return SNN_OK;
}

static void close_set(struct snn_dataset *base) {
    struct nmnist_set *set = (struct nmnist_set *)base;
    for (int split = 0; split < 2; ++split) {
        snn_tree_free(&set->part[split].tree);
        free(set->part[split].place);
    }
    free(set);
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    struct nmnist_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->base.info.class_name = digit_name;
    int status = open_split(set, root, SNN_TRAIN);
    if (status == SNN_OK) status = open_split(set, root, SNN_TEST);
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

/* ---- a recording ---- */

static int read_recording(struct nmnist_set *set, enum snn_split split, int32_t i, struct snn_sample *sample,
                          struct snn_events_facts *about) {
    static const struct snn_events_options options = {.format = "orchard", .W = SIDE, .H = SIDE};
    const struct snn_tree *tree = &set->part[split].tree;
    unsigned char *bytes;
    size_t size;
    SNN_TRY(snn_tree_read(tree, i, MAX_BYTES, &bytes, &size));
    char *path = snn_tree_path(tree, i);
    int status = path ? snn_events_decode(path, bytes, size, &options, sample, about)
                      : snn_error(SNN_EFAIL, "%s: out of memory", set->part[split].place);
    sample->label = tree->file[i].class;
    free(path);
    free(bytes);
    return status;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct snn_events_facts about;
    return read_recording((struct nmnist_set *)base, split, i, sample, &about);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct snn_tree *tree = &((const struct nmnist_set *)base)->part[split].tree;
    SNN_CHECK(i >= 0 && i < tree->count, "recording %d of %d", i, tree->count);
    return tree->file[i].class;
}

static int sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    const struct nmnist_set *set = (const struct nmnist_set *)base;
    SNN_TRY(snn_tree_sources(&set->part[SNN_TRAIN].tree, each, payload));
    return snn_tree_sources(&set->part[SNN_TEST].tree, each, payload);
}

/* ---- verify ---- */

/* Reads every recording of a split; returns how many are broken, or SNN_EINTR. */
static int32_t verify_split(struct nmnist_set *set, enum snn_split split, void (*report)(void *, const char *),
                            void *payload) {
    struct snn_sample sample = {0};
    struct snn_events_facts about;
    int64_t events = 0, overflows = 0;
    int32_t bad = 0, before = split == SNN_TEST ? set->part[SNN_TRAIN].tree.count : 0, stop = SNN_OK;
    for (int32_t i = 0; stop == SNN_OK && i < set->part[split].tree.count; ++i) {
        stop = snn_watch_moved(&set->base.watch, before + i, set->base.info.files);
        if (read_recording(set, split, i, &sample, &about) < 0) {
            report(payload, snn_error_text());
            ++bad;
        } else {
            events += about.events;
            overflows += about.overflows;
        }
    }
    snn_sample_free(&sample);
    if (stop < 0) return stop;
    char line[256];
    snprintf(line, sizeof line, "%s: %d recordings (the full set has %d), %lld events, %lld clock overflows, %d broken",
             facts[split].what, set->part[split].tree.count, facts[split].full, (long long)events, (long long)overflows,
             bad);
    report(payload, line);
    return bad;
}

/* The archive of a split against its checksum; true when there is nothing to say against it. */
static bool verify_archive(const struct part *part, const struct split_facts *split,
                           void (*report)(void *, const char *), void *payload) {
    if (!part->archive) return true;
    char md5[MD5_DIGEST_STRING_LENGTH] = "unreadable", line[1024];
    bool good = MD5File(part->place, md5) && !strcmp(md5, split->md5);
    if (good) snprintf(line, sizeof line, "%s: as distributed (md5)", part->place);
    else snprintf(line, sizeof line, "%s: has md5 %s, expected %s", part->place, md5, split->md5);
    report(payload, line);
    return good;
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    struct nmnist_set *set = (struct nmnist_set *)base;
    int32_t broken = 0, foreign = 0;
    for (int split = 0; split < 2; ++split) {
        foreign += !verify_archive(&set->part[split], &facts[split], report, payload);
        int32_t bad = verify_split(set, split, report, payload);
        SNN_TRY(bad);
        broken += bad;
    }
    if (broken) return snn_error(SNN_EDATA, "%s: %d of %d recordings are broken", base->root, broken, base->info.files);
    if (foreign) return snn_error(SNN_EDATA, "%s: %d of the archives are not as distributed", base->root, foreign);
    return set->part[SNN_TRAIN].archive && set->part[SNN_TEST].archive ? SNN_AS_DISTRIBUTED : SNN_WELL_FORMED;
}

const struct snn_dataset_ops snn_nmnist = {
    .name = "nmnist",
    .help = "MNIST digits seen by an event camera in three saccades, 34x34x2, 60000 train and 10000 test recordings",
    .classes = CLASSES,
    .C = 2,
    .H = SIDE,
    .W = SIDE,
    .kind = SNN_RECORDINGS,
    .how_to_get = "download Train.zip and Test.zip (1.2 GB) from https://www.garrickorchard.com/datasets/n-mnist and "
                  "name their folder with --data; they need not be unpacked",
    .has = has,
    .open = open_set,
    .get = get,
    .label = label,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};
