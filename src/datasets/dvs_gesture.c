/* SPDX-License-Identifier: Apache-2.0
 * dvs_gesture.c - DVS128 Gesture: long AEDAT 3.1 recordings of one user in one light, and for each a table of which
 * gesture is seen from when to when. A sample is a row of such a table, or a window of one.
 *
 * Packets are listed when the set is opened; of a file, a sample then reads only those of its time. Amir et al., CVPR
 * (2017). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/events.h"
#include "datasets/unpacked.h"

enum { SIDE = 128, CLASSES = 11, MAX_TEXT = 1 << 20, MAX_SAMPLES = 1 << 24 /* of a split */ };

static const char *const gesture[CLASSES] = {"hand_clapping",
                                             "right_hand_wave",
                                             "left_hand_wave",
                                             "right_arm_clockwise",
                                             "right_arm_counter_clockwise",
                                             "left_arm_clockwise",
                                             "left_arm_counter_clockwise",
                                             "arm_roll",
                                             "air_drums",
                                             "air_guitar",
                                             "other_gestures"};

enum { BY_TRIAL, BY_WINDOW, BY_START };
static const char *const sample_words[] = {"trials", "windows", "start", NULL};

struct options {
    int samples;
    struct snn_time window;
};
static const struct snn_key keys[] = {
    {"samples", SNN_CHOICE, offsetof(struct options, samples), "trials", 0, 0, sample_words,
     "trials: each row of the label tables; windows: each row cut into windows, what is left of it dropped; start: the "
     "first window of each row"},
    {"window", SNN_TIME, offsetof(struct options, window), "1.5 s", 0, 0, NULL, "length of a window"},
    {0}};

struct trial {
    int64_t begin, end; /* microseconds of the recording's clock: begin <= t < end */
    int32_t file, class;
};

struct file {
    char *path, *labels; /* labels: of its table */
    struct snn_aedat3 *aedat;
    int32_t user; /* -1: the name does not say */
};

struct gesture_set {
    struct snn_dataset base;
    struct file *file;
    int32_t files;
    struct trial *trial[2]; /* (info.count) by split */
    int32_t room[2];
    char rule[80];
};

static const char *const list_name[2] = {"trials_to_train.txt", "trials_to_test.txt"};

/* ---- tables ---- */

struct lines { /* walks over the lines of a text, blanks at both ends removed, empty ones left out */
    char *at;
    int number;
};

static char *next_line(struct lines *lines) {
    while (lines->at && *lines->at) {
        char *line = lines->at, *end = strchr(line, '\n');
        lines->at = end ? end + 1 : NULL;
        ++lines->number;
        if (end) *end = '\0';
        line += strspn(line, " \t\r");
        for (size_t n = strlen(line); n && strchr(" \t\r", line[n - 1]);) line[--n] = '\0';
        if (*line) return line;
    }
    return NULL;
}

static int read_text(const char *path, char **text) {
    size_t size;
    unsigned char *bytes;
    SNN_TRY(snn_file_read(path, MAX_TEXT, &bytes, &size));
    if (strlen((char *)bytes) != size) {
        free(bytes);
        return snn_error(SNN_EDATA, "%s: is not a text", path);
    }
    *text = (char *)bytes;
    return SNN_OK;
}

static int add_trial(struct gesture_set *set, enum snn_split split, const struct trial *trial) {
    int32_t *count = &set->base.info.count[split];
    if (*count == set->room[split]) {
        int32_t room = 2 * set->room[split] + 64;
        struct trial *list = *count < MAX_SAMPLES ? reallocarray(set->trial[split], (size_t)room, sizeof *list) : NULL;
        if (!list) return snn_error(SNN_EFAIL, "%s: out of memory", set->file[trial->file].path);
        set->trial[split] = list;
        set->room[split] = room;
    }
    set->trial[split][(*count)++] = *trial;
    return SNN_OK;
}

/* The samples of one row. */
static int add_row(struct gesture_set *set, enum snn_split split, const struct options *o, struct trial row) {
    int64_t window = (int64_t)(o->window.value * 1e6 + 0.5), end = row.end;
    if (o->samples == BY_TRIAL) return add_trial(set, split, &row);
    if (o->samples == BY_START) {
        if (row.end - row.begin > window) row.end = row.begin + window;
        return add_trial(set, split, &row);
    }
    if ((end - row.begin) / window > MAX_SAMPLES - set->base.info.count[split])
        return snn_error(SNN_EDATA, "%s: a row of %lld us makes %lld windows, expected at most %d samples a split",
                         set->file[row.file].labels, (long long)(end - row.begin),
                         (long long)((end - row.begin) / window), MAX_SAMPLES);
    for (; row.begin + window <= end; row.begin += window) {
        row.end = row.begin + window;
        SNN_TRY(add_trial(set, split, &row));
    }
    return SNN_OK;
}

/* "class,startTime_usec,endTime_usec", then rows of integers. */
static int read_rows(struct gesture_set *set, enum snn_split split, const struct options *o, const char *path,
                     int32_t file) {
    char *text;
    SNN_TRY(read_text(path, &text));
    struct lines lines = {.at = text};
    char *line = next_line(&lines);
    int status = line && !strcmp(line, "class,startTime_usec,endTime_usec")
                     ? SNN_OK
                     : snn_error(SNN_EDATA, "%s:1: expected the line class,startTime_usec,endTime_usec", path);
    while (status == SNN_OK && (line = next_line(&lines))) {
        long long class, begin, end;
        int used = 0;
        if (sscanf(line, "%18lld , %18lld , %18lld %n", &class, &begin, &end, &used) != 3 || line[used])
            status = snn_error(SNN_EDATA, "%s:%d: expected three integers, got '%.60s'", path, lines.number, line);
        else if (class < 1 || class > CLASSES)
            status = snn_error(SNN_EDATA, "%s:%d: class %lld, expected 1..%d", path, lines.number, class, CLASSES);
        else if (begin < 0 || end <= begin)
            status = snn_error(SNN_EDATA, "%s:%d: from %lld to %lld us, expected an end after a start", path,
                               lines.number, begin, end);
        else
            status = add_row(set, split, o,
                             (struct trial){.begin = begin, .end = end, .file = file, .class = (int32_t) class - 1});
    }
    free(text);
    return status;
}

/* ---- files ---- */

static int32_t user_of(const char *name) {
    int user = -1;
    return sscanf(name, "user%9d", &user) == 1 ? user : -1;
}

static int add_file(struct gesture_set *set, const char *root, enum snn_split split, const struct options *o,
                    const char *name) {
    static const struct snn_events_options how = {.W = SIDE, .H = SIDE};
    size_t stem = strlen(name) > 6 ? strlen(name) - 6 : 0;
    if (!stem || strcmp(name + stem, ".aedat") || strchr(name, '/'))
        return snn_error(SNN_EDATA, "%s/%s: names '%.60s', expected names such as user01_led.aedat", root,
                         list_name[split], name);
    struct file *list = reallocarray(set->file, (size_t)set->files + 1, sizeof *list);
    if (!list) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    set->file = list;
    struct file *file = &list[set->files];
    *file = (struct file){.user = user_of(name)};
    if (asprintf(&file->path, "%s/%s", root, name) < 0) {
        file->path = NULL;
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    }
    ++set->files;
    SNN_TRY(snn_aedat3_open(file->path, &how, &file->aedat));
    if (asprintf(&file->labels, "%s/%.*s_labels.csv", root, (int)stem, name) < 0) {
        file->labels = NULL;
        return snn_error(SNN_EFAIL, "%s: out of memory", root);
    }
    return read_rows(set, split, o, file->labels, set->files - 1);
}

static int read_list(struct gesture_set *set, const char *root, enum snn_split split, const struct options *o) {
    char *path, *text;
    if (asprintf(&path, "%s/%s", root, list_name[split]) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = read_text(path, &text);
    if (status == SNN_OK) {
        struct lines lines = {.at = text};
        for (char *name; status == SNN_OK && (name = next_line(&lines));) status = add_file(set, root, split, o, name);
        free(text);
    }
    if (status == SNN_OK && !set->base.info.count[split])
        status = snn_error(SNN_EDATA, "%s: leads to no sample%s", path,
                           o->samples == BY_WINDOW ? ": is data.window longer than the rows?" : "");
    free(path);
    return status;
}

static void close_set(struct snn_dataset *base) {
    struct gesture_set *set = (struct gesture_set *)base;
    for (int32_t i = 0; i < set->files; ++i) {
        snn_aedat3_close(&set->file[i].aedat);
        free(set->file[i].path);
        free(set->file[i].labels);
    }
    free(set->file);
    for (int s = 0; s < 2; ++s) free(set->trial[s]);
    free(set);
}

static const char folder_name[] = "DvsGesture", archive_name[] = "DvsGesture.tar.gz";

static bool holds_lists(const char *root) {
    char path[4096];
    return snprintf(path, sizeof path, "%s/%s", root, list_name[0]) < (int)sizeof path && snn_file_exists(path);
}

static bool has(const char *root) {
    char path[4096];
    if (holds_lists(root)) return true;
    if (snprintf(path, sizeof path, "%s/%s", root, folder_name) >= (int)sizeof path) return false;
    if (holds_lists(path)) return true;
    return snprintf(path, sizeof path, "%s/%s", root, archive_name) < (int)sizeof path && snn_file_exists(path);
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    const struct options *o = options;
    char *unpacked = NULL;
    if (!holds_lists(root)) SNN_TRY(snn_unpacked_find(root, archive_name, folder_name, &unpacked));
    struct gesture_set *set = calloc(1, sizeof *set);
    int status = set ? SNN_OK : snn_error(SNN_EFAIL, "%s: out of memory", root);
    for (int s = 0; s < 2 && status == SNN_OK; ++s) status = read_list(set, unpacked ? unpacked : root, s, o);
    free(unpacked);
    if (status < 0) {
        if (set) close_set(&set->base);
        return status;
    }
    snprintf(set->rule, sizeof set->rule, "the trial lists; samples are %s", sample_words[o->samples]);
    if (o->samples != BY_TRIAL) {
        size_t used = strlen(set->rule);
        snprintf(set->rule + used, sizeof set->rule - used, " of %g s", o->window.value);
    }
    set->base.info.split_rule = set->rule;
    set->base.info.class_name = gesture;
    set->base.info.files = set->files;
    *out = &set->base;
    return SNN_OK;
}

/* ---- a sample ---- */

static const struct trial *find(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    SNN_CHECK(i >= 0 && i < base->info.count[split], "trial %d of %d", i, base->info.count[split]);
    return &((const struct gesture_set *)base)->trial[split][i];
}

static void warn(struct snn_dataset *base, const struct file *file, const struct snn_events_facts *facts) {
    char note[600];
    if (!*facts->warning) return;
    snprintf(note, sizeof note, "%s: %s", file->path, facts->warning);
    snn_dataset_warn(base, note);
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct trial *trial = find(base, split, i);
    const struct file *file = &((const struct gesture_set *)base)->file[trial->file];
    struct snn_events_facts facts;
    sample->label = trial->class;
    SNN_TRY(snn_aedat3_read_range(file->aedat, trial->begin, trial->end, sample, &facts));
    warn(base, file, &facts);
    return SNN_OK;
}

static int survey(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_events_extent *out) {
    const struct trial *trial = find(base, split, i);
    const struct file *file = &((const struct gesture_set *)base)->file[trial->file];
    struct snn_events_facts facts;
    SNN_TRY(snn_aedat3_survey_range(file->aedat, trial->begin, trial->end, out, &facts));
    warn(base, file, &facts);
    return SNN_OK;
}

static int stream(struct snn_dataset *base, enum snn_split split, int32_t i, const struct snn_events_extent *extent,
                  struct snn_events_stream **out) {
    const struct trial *trial = find(base, split, i);
    const struct file *file = &((const struct gesture_set *)base)->file[trial->file];
    return snn_aedat3_stream_range(file->aedat, trial->begin, trial->end, extent, out);
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    return find(base, split, i)->class;
}

static int32_t user(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    return ((const struct gesture_set *)base)->file[find(base, split, i)->file].user;
}

static int sources(struct snn_dataset *base, int (*each)(void *payload, const char *path), void *payload) {
    const struct gesture_set *set = (const struct gesture_set *)base;
    for (int32_t i = 0; i < set->files; ++i) {
        SNN_TRY(each(payload, set->file[i].path));
        SNN_TRY(each(payload, set->file[i].labels));
    }
    return SNN_OK;
}

/* ---- verify ---- */

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    static const int32_t full_files = 122;
    struct gesture_set *set = (struct gesture_set *)base;
    struct snn_sample sample = {0};
    char line[1024];
    int32_t broken = 0, empty = 0, done = 0, stop = SNN_OK;
    for (int32_t i = 0; i < set->files; ++i) {
        const struct snn_events_facts *facts = snn_aedat3_facts(set->file[i].aedat);
        if (!*facts->warning) continue;
        snprintf(line, sizeof line, "%s: %s", set->file[i].path, facts->warning);
        report(payload, line);
    }
    for (int s = 0; s < 2 && stop == SNN_OK; ++s) {
        int64_t events = 0;
        for (int32_t i = 0; i < base->info.count[s]; ++i) {
            stop = snn_watch_moved(&base->watch, done++, base->info.count[0] + base->info.count[1]);
            if (stop < 0) break;
            const struct trial *trial = find(base, s, i);
            if (get(base, s, i, &sample) < 0) {
                report(payload, snn_error_text());
                ++broken;
            } else if (!sample.event_count) {
                snprintf(line, sizeof line, "%s: no event from %lld to %lld us (class %d)", set->file[trial->file].path,
                         (long long)trial->begin, (long long)trial->end, trial->class + 1);
                report(payload, line);
                ++empty;
            }
            events += (int64_t)sample.event_count;
        }
        snprintf(line, sizeof line, "%s: %d samples, %lld events", s == SNN_TRAIN ? "train" : "test",
                 base->info.count[s], (long long)events);
        report(payload, line);
    }
    snn_sample_free(&sample);
    if (stop < 0) return stop;
    snprintf(line, sizeof line, "%d recordings (the full set has %d), %d samples broken, %d empty", set->files,
             full_files, broken, empty);
    report(payload, line);
    return broken ? snn_error(SNN_EDATA, "%s: %d samples are broken", base->root, broken) : SNN_OK;
}

static int check(struct snn_conf *map, const void *options) {
    const struct options *o = options;
    if (!o->window.seconds || o->window.value < 1e-3 || o->window.value > 3600)
        return snn_conf_error(snn_conf_get(map, "window"), "expected a duration of 1 ms to 3600 s, such as 1.5 s");
    if (o->samples == BY_TRIAL && o->window.value != 1.5)
        return snn_conf_error(snn_conf_get(map, "window"), "needs samples: windows or start");
    return SNN_OK;
}

const struct snn_dataset_ops snn_dvs_gesture = {
    .name = "dvs_gesture",
    .help = "DVS128 Gesture: 11 hand and arm gestures of 29 users, 128x128x2, 1176 train and 288 test trials",
    .how_to_get = "download DvsGesture.tar.gz (3 GB) from https://research.ibm.com/dvsgesture/ (a page to click "
                  "through) and name its folder with --data",
    .classes = CLASSES,
    .C = 2,
    .H = SIDE,
    .W = SIDE,
    .kind = SNN_RECORDINGS,
    .group_name = "user",
    .keys = keys,
    .check = check,
    .has = has,
    .open = open_set,
    .get = get,
    .survey = survey,
    .stream = stream,
    .label = label,
    .group = user,
    .sources = sources,
    .verify = verify,
    .close = close_set,
};
