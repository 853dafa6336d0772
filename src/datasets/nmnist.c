/* SPDX-License-Identifier: Apache-2.0
 * nmnist.c - N-MNIST: <split>/<digit>/<name>.bin, in folders or inside the distributed Train.zip and Test.zip.
 *
 * The recordings themselves are read by events_orchard.c. */
#include <dirent.h>
#include <errno.h>
#include <md5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/events.h"

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

struct recording {
    char *name; /* "<digit>/<name>.bin" */
    zip_uint64_t member;
};

struct part {    /* a split */
    char *place; /* its folder, or its archive */
    zip_t *zip;  /* NULL: a folder */
    struct recording *list;
    int32_t count, room;
};

struct nmnist_set {
    struct snn_dataset base;
    struct part part[2];
    pthread_mutex_t zip_lock; /* a zip_t serves one thread at a time */
};

/* ---- what is there ---- */

/* "<digit>/<name>.bin", not hidden (archives made on a Mac carry "._" companions). */
static bool is_recording(const char *name) {
    size_t length = strlen(name);
    return length > 6 && name[0] >= '0' && name[0] <= '9' && name[1] == '/' && name[2] != '.' &&
           !strchr(name + 2, '/') && !strcmp(name + length - 4, ".bin");
}

static int add(struct part *part, const char *name, zip_uint64_t member) {
    if (part->count == part->room) {
        int32_t room = part->room ? 2 * part->room : 1024;
        struct recording *list = room > part->room ? reallocarray(part->list, (size_t)room, sizeof *list) : NULL;
        if (!list) return snn_error(SNN_EFAIL, "%s: out of memory", part->place);
        part->list = list;
        part->room = room;
    }
    struct recording *recording = &part->list[part->count];
    *recording = (struct recording){.name = strdup(name), .member = member};
    if (!recording->name) return snn_error(SNN_EFAIL, "%s: out of memory", part->place);
    ++part->count;
    return SNN_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct recording *)a)->name, ((const struct recording *)b)->name);
}

static int list_digit(struct part *part, int digit) {
    char *path, name[300]; /* a name has at most 255 bytes */
    if (asprintf(&path, "%s/%d", part->place, digit) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", part->place);
    DIR *folder = opendir(path);
    int status = SNN_OK;
    if (!folder && errno != ENOENT) status = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    free(path);
    if (!folder) return status;
    for (struct dirent *entry; status == SNN_OK && (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%d/%s", digit, entry->d_name);
        if (is_recording(name)) status = add(part, name, 0);
    }
    closedir(folder);
    return status;
}

static int list_archive(struct part *part, const struct split_facts *split) {
    int code;
    part->zip = zip_open(part->place, ZIP_RDONLY, &code);
    if (!part->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        int status = snn_error(SNN_EDATA, "%s: cannot be read: %s", part->place, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    zip_int64_t members = zip_get_num_entries(part->zip, 0);
    for (zip_int64_t i = 0; i < members; ++i) {
        const char *name = zip_get_name(part->zip, (zip_uint64_t)i, 0), *slash = name ? strchr(name, '/') : NULL;
        if (!slash || !is_recording(slash + 1)) continue;
        size_t length = (size_t)(slash - name);
        if (length == strlen(split->folder[0]) && !strncasecmp(name, split->folder[0], length))
            SNN_TRY(add(part, slash + 1, (zip_uint64_t)i));
    }
    return SNN_OK;
}

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
    const struct split_facts *about = &facts[split];
    struct part *part = &set->part[split];
    bool archive;
    part->place = find_split(root, about, &archive);
    if (!part->place)
        return snn_error(SNN_EDATA, "%s: holds no %s/ and no %s.zip", root, about->folder[0], about->folder[0]);
    if (archive) SNN_TRY(list_archive(part, about));
    else
        for (int digit = 0; digit < CLASSES; ++digit) SNN_TRY(list_digit(part, digit));
    if (!part->count) return snn_error(SNN_EDATA, "%s: holds no recordings <digit>/<name>.bin", part->place);
    qsort(part->list, (size_t)part->count, sizeof *part->list, by_name);
    set->base.info.count[split] = part->count;
    set->base.info.files += part->count;
    return SNN_OK;
}

static void close_set(struct snn_dataset *base) {
    struct nmnist_set *set = (struct nmnist_set *)base;
    for (int split = 0; split < 2; ++split) {
        struct part *part = &set->part[split];
        for (int32_t i = 0; i < part->count; ++i) free(part->list[i].name);
        free(part->list);
        if (part->zip) zip_discard(part->zip);
        free(part->place);
    }
    pthread_mutex_destroy(&set->zip_lock);
    free(set);
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    (void)options;
    struct nmnist_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    pthread_mutex_init(&set->zip_lock, NULL);
    set->base.info.class_name = digit_name;
    int status = open_split(set, root, SNN_TRAIN);
    if (status == SNN_OK) status = open_split(set, root, SNN_TEST);
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

/* ---- a recording ---- */

static int unpack(zip_file_t *file, const zip_stat_t *about, const char *path, unsigned char **bytes, size_t *size) {
    if (!(about->valid & ZIP_STAT_SIZE) || about->size > MAX_BYTES)
        return snn_error(SNN_EDATA, "%s: is larger than %d bytes", path, MAX_BYTES);
    *size = (size_t)about->size;
    *bytes = malloc(*size + 1);
    if (!*bytes) return snn_error(SNN_EFAIL, "%s: out of memory for its %zu bytes", path, *size);
    size_t done = 0;
    zip_int64_t n = 1;
    while (n > 0 && done <= *size) { /* one byte more than announced: only at the end is the checksum looked at */
        n = zip_fread(file, *bytes + done, *size + 1 - done);
        if (n > 0) done += (size_t)n;
    }
    if (n < 0) return snn_error(SNN_EDATA, "%s: cannot be unpacked: %s", path, zip_file_strerror(file));
    if (done != *size)
        return snn_error(SNN_EDATA, "%s: unpacks to %s than the %zu bytes that the archive announces", path,
                         done < *size ? "less" : "more", *size);
    return SNN_OK;
}

static int read_member(zip_t *zip, zip_uint64_t member, const char *path, unsigned char **bytes, size_t *size) {
    zip_stat_t about;
    zip_stat_init(&about);
    zip_file_t *file = zip_stat_index(zip, member, 0, &about) ? NULL : zip_fopen_index(zip, member, 0);
    if (!file) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, zip_strerror(zip));
    int status = unpack(file, &about, path, bytes, size);
    zip_fclose(file);
    return status;
}

static int read_recording(struct nmnist_set *set, enum snn_split split, int32_t i, struct snn_sample *sample,
                          struct snn_events_facts *about) {
    static const struct snn_events_options options = {.format = "orchard", .W = SIDE, .H = SIDE};
    const struct part *part = &set->part[split];
    SNN_CHECK(i >= 0 && i < part->count, "recording %d of %d", i, part->count);
    const struct recording *recording = &part->list[i];
    char *path;
    if (asprintf(&path, "%s/%s", part->place, recording->name) < 0)
        return snn_error(SNN_EFAIL, "%s: out of memory", part->place);
    unsigned char *bytes = NULL;
    size_t size = 0;
    int status;
    if (part->zip) {
        pthread_mutex_lock(&set->zip_lock);
        status = read_member(part->zip, recording->member, path, &bytes, &size);
        pthread_mutex_unlock(&set->zip_lock);
    } else {
        status = snn_file_read(path, MAX_BYTES, &bytes, &size);
    }
    if (status == SNN_OK) status = snn_events_decode(path, bytes, size, &options, sample, about);
    sample->label = recording->name[0] - '0';
    free(bytes);
    free(path);
    return status;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    struct snn_events_facts about;
    return read_recording((struct nmnist_set *)base, split, i, sample, &about);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct part *part = &((const struct nmnist_set *)base)->part[split];
    SNN_CHECK(i >= 0 && i < part->count, "recording %d of %d", i, part->count);
    return part->list[i].name[0] - '0';
}

/* ---- verify ---- */

/* Reads every recording of a split; returns how many are broken. */
static int32_t verify_split(struct nmnist_set *set, enum snn_split split, void (*report)(void *, const char *),
                            void *payload) {
    struct snn_sample sample = {0};
    struct snn_events_facts about;
    int64_t events = 0, overflows = 0;
    int32_t bad = 0;
    for (int32_t i = 0; i < set->part[split].count; ++i) {
        if (read_recording(set, split, i, &sample, &about) < 0) {
            report(payload, snn_error_text());
            ++bad;
        } else {
            events += about.events;
            overflows += about.overflows;
        }
    }
    snn_sample_free(&sample);
    char line[256];
    snprintf(line, sizeof line, "%s: %d recordings (the full set has %d), %lld events, %lld clock overflows, %d broken",
             facts[split].what, set->part[split].count, facts[split].full, (long long)events, (long long)overflows,
             bad);
    report(payload, line);
    return bad;
}

/* The archive of a split against its checksum; true when there is nothing to say against it. */
static bool verify_archive(const struct part *part, const struct split_facts *split,
                           void (*report)(void *, const char *), void *payload) {
    if (!part->zip) return true;
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
        broken += verify_split(set, split, report, payload);
    }
    if (broken) return snn_error(SNN_EDATA, "%s: %d of %d recordings are broken", base->root, broken, base->info.files);
    if (foreign) return snn_error(SNN_EDATA, "%s: %d of the archives are not as distributed", base->root, foreign);
    return SNN_OK;
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
    .verify = verify,
    .close = close_set,
};
