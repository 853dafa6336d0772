/* SPDX-License-Identifier: Apache-2.0
 * hdf5_spikes.c - SHD's layout through libhdf5.
 *
 * Times are IEEE halves in the distributed files, for which the library's own conversion is slow: they are widened
 * here. A time becomes whole microseconds by truncation: floor(floor(1e6 t) / dt) = floor(1e6 t / dt), so bins of whole
 * microseconds are those of the exact time.
 *
 * Recordings of halves and uint16_t are read without the lock around libhdf5. */
#include "datasets/hdf5_spikes.h"
#include "datasets/half.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"
#include "datasets/hdf5_library.h"
#include "datasets/hdf5_lists.h"

enum {
    MAX_RECORDINGS = 1 << 20,
    MAX_EVENTS = 1 << 24, /* of a recording: real ones have some ten thousand */
    MAX_SECONDS = 65536,  /* more than a half can say */
    MAX_WORD = 64         /* bytes kept of a class's name */
};

enum width { HALF, SINGLE, DOUBLE };

struct trains { /* /spikes/times or /spikes/units */
    const char *name;
    struct snn_list *list; /* (count) */
    hid_t type, native;    /* an element in the file and in memory; native is -1 where they are the same */
    size_t size, room;     /* bytes of an element in the file; of the larger of both */
};

struct snn_spikes_file {
    char *path;
    struct snn_spikes_layout layout;
    int32_t count;
    int32_t *label, *speaker; /* (count); speaker may be NULL */
    char **word;              /* (classes), or NULL */
    int fd;
    hid_t file;
    struct trains times, units;
    enum width width; /* of a time in memory */
    bool narrow;      /* units are uint16_t in memory, else int64_t */
};

/* ---- errors ---- */

static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *payload) {
    const char **text = payload;
    if (n == 0 && error->desc) *text = error->desc;
    return 0;
}

/* "PATH: WHAT: cannot be read", with the library's innermost reason. */
static int unreadable(const struct snn_spikes_file *file, const char *what) {
    const char *why = NULL;
    char reason[200] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &why);
    if (why) snprintf(reason, sizeof reason, ": %s", why);
    for (char *c = reason; *c; ++c)
        if ((unsigned char)*c < ' ') *c = ' ';
    return snn_error(SNN_EDATA, "%s: %s cannot be read%s", file->path, what, reason);
}

static int no_memory(const struct snn_spikes_file *file) {
    return snn_error(SNN_EFAIL, "%s: out of memory", file->path);
}

/* ---- what is there ---- */

/* The data set `name` and its space; it has to be a list. *count: its length. */
static int open_list(const struct snn_spikes_file *file, const char *name, hid_t *set, hid_t *space, int64_t *count) {
    const char *wrong;
    if (!snn_hdf5_has(file->file, name)) return snn_error(SNN_EDATA, "%s: holds no %s", file->path, name);
    *set = snn_hdf5_open_set(file->file, name, &wrong);
    if (*set < 0 && wrong) return snn_error(SNN_EDATA, "%s: %s %s", file->path, name, wrong);
    if (*set < 0) return unreadable(file, name);
    *space = H5Dget_space(*set);
    if (*space < 0) return unreadable(file, name);
    int rank = H5Sget_simple_extent_ndims(*space);
    if (rank != 1) return snn_error(SNN_EDATA, "%s: %s has %d dimensions, expected 1", file->path, name, rank);
    hsize_t length;
    if (H5Sget_simple_extent_dims(*space, &length, NULL) < 0) return unreadable(file, name);
    if (length > MAX_RECORDINGS)
        return snn_error(SNN_EDATA, "%s: %s has %llu entries, expected at most %d", file->path, name,
                         (unsigned long long)length, MAX_RECORDINGS);
    *count = (int64_t)length;
    return SNN_OK;
}

static void close_list(hid_t set, hid_t space) {
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
}

/* ---- labels, speakers, words ---- */

static int read_integers(const struct snn_spikes_file *file, const char *name, hid_t set, int64_t *values) {
    hid_t type = H5Dget_type(set);
    int status = SNN_OK;
    if (type < 0) status = unreadable(file, name);
    else if (H5Tget_class(type) != H5T_INTEGER)
        status = snn_error(SNN_EDATA, "%s: %s is no list of integers", file->path, name);
    else if (H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) status = unreadable(file, name);
    if (type >= 0) H5Tclose(type);
    return status;
}

/* One integer a recording, each in 0..last. */
static int read_column(const struct snn_spikes_file *file, const char *name, int64_t last, int32_t **out) {
    hid_t set = -1, space = -1;
    int64_t count, *values = NULL;
    int32_t *column = NULL;
    int status = open_list(file, name, &set, &space, &count);
    if (status == SNN_OK && count != file->count)
        status = snn_error(SNN_EDATA, "%s: %s has %lld entries, expected %d as there are recordings", file->path, name,
                           (long long)count, file->count);
    if (status == SNN_OK) {
        values = malloc((size_t)count * sizeof *values);
        column = malloc((size_t)count * sizeof *column);
        status = values && column ? read_integers(file, name, set, values) : no_memory(file);
    }
    for (int32_t i = 0; status == SNN_OK && i < file->count; ++i) {
        if (values[i] < 0 || values[i] > last)
            status = snn_error(SNN_EDATA, "%s: %s: entry %d is %lld, expected 0..%lld", file->path, name, i,
                               (long long)values[i], (long long)last);
        column[i] = (int32_t)values[i];
    }
    close_list(set, space);
    free(values);
    if (status < 0) free(column);
    else *out = column;
    return status;
}

/* Up to MAX_WORD bytes of a name, as one printable line. */
static char *word_of(const char *text, size_t size) {
    char *word = strndup(text, size < MAX_WORD ? size : MAX_WORD);
    for (char *c = word; c && *c; ++c)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    for (size_t n = word ? strlen(word) : 0; n && word[n - 1] == ' '; --n) word[n - 1] = 0;
    return word;
}

/* `count` strings of the set, of fixed size or variable, of which the first `classes` are kept. */
static int read_words(struct snn_spikes_file *file, const char *name, hid_t set, hid_t space, hid_t type,
                      int64_t count) {
    bool variable = H5Tis_variable_str(type) > 0;
    size_t size = variable ? sizeof(char *) : H5Tget_size(type);
    if (!size || size > 4096) return snn_error(SNN_EDATA, "%s: %s: strings of %zu bytes", file->path, name, size);
    char *bytes = calloc((size_t)count, size);
    file->word = calloc((size_t)file->layout.classes, sizeof *file->word);
    int status = bytes && file->word ? SNN_OK : no_memory(file);
    if (status == SNN_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
        status = unreadable(file, name);
    for (int32_t i = 0; status == SNN_OK && i < file->layout.classes; ++i) {
        const char *text = bytes + (size_t)i * size;
        if (variable) memcpy(&text, bytes + (size_t)i * size, sizeof text);
        file->word[i] = word_of(text ? text : "", variable ? MAX_WORD : size);
        if (!file->word[i]) status = no_memory(file);
    }
    if (bytes && variable) H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes);
    free(bytes);
    return status;
}

/* /extra/keys, where it is; a list of fewer words than classes names nothing. */
static int read_keys(struct snn_spikes_file *file) {
    const char *name = "/extra/keys";
    hid_t set = -1, space = -1, type = -1;
    int64_t count;
    if (!snn_hdf5_has(file->file, name)) return SNN_OK;
    int status = open_list(file, name, &set, &space, &count);
    if (status == SNN_OK) {
        type = H5Dget_type(set);
        if (type < 0) status = unreadable(file, name);
        else if (H5Tget_class(type) != H5T_STRING)
            status = snn_error(SNN_EDATA, "%s: %s is no list of strings", file->path, name);
        else if (count >= file->layout.classes && count <= 4096)
            status = read_words(file, name, set, space, type, count);
    }
    if (type >= 0) H5Tclose(type);
    close_list(set, space);
    return status;
}

/* ---- spike trains ---- */

/* IEEE 754 binary16 in this machine's order of bytes? */
static bool is_half(hid_t type) {
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    hid_t word = H5T_NATIVE_UINT16;
    return H5Tget_size(type) == 2 && H5Tget_order(type) == H5Tget_order(word) && H5Tget_precision(type) == 16 &&
           H5Tget_offset(type) == 0 && H5Tget_ebias(type) == 15 && H5Tget_norm(type) == H5T_NORM_IMPLIED &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
           exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10;
}

/* How an element is in the file and is to be in memory. */
static int choose_type(struct snn_spikes_file *file, struct trains *trains, H5T_class_t class) {
    if (H5Tget_class(trains->type) != class)
        return snn_error(SNN_EDATA, "%s: %s holds no lists of %s", file->path, trains->name,
                         class == H5T_FLOAT ? "floating-point numbers" : "integers");
    trains->size = H5Tget_size(trains->type);
    if (!trains->size || trains->size > sizeof(double))
        return snn_error(SNN_EDATA, "%s: %s holds numbers of %zu bytes, expected at most 8", file->path, trains->name,
                         trains->size);
    if (class == H5T_FLOAT) {
        file->width = is_half(trains->type) ? HALF : trains->size <= sizeof(float) ? SINGLE : DOUBLE;
        if (file->width != HALF) trains->native = file->width == SINGLE ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    } else {
        file->narrow = H5Tequal(trains->type, H5T_NATIVE_UINT16) > 0;
        if (!file->narrow) trains->native = H5T_NATIVE_INT64; /* uint16_t would hide what does not fit */
    }
    size_t native = trains->native >= 0 ? H5Tget_size(trains->native) : 0;
    trains->room = native > trains->size ? native : trains->size;
    return SNN_OK;
}

static int find_lists(const struct snn_spikes_file *file, struct trains *trains, hid_t set, int64_t count) {
    if (!count) return SNN_OK;
    trains->list = malloc((size_t)count * sizeof *trains->list);
    if (!trains->list) return no_memory(file);
    const char *wrong = snn_lists_find(file->file, set, count, trains->list);
    return wrong ? snn_error(SNN_EDATA, "%s: %s %s", file->path, trains->name, wrong) : SNN_OK;
}

static int open_trains(struct snn_spikes_file *file, struct trains *trains, H5T_class_t class, int64_t *count) {
    hid_t set = -1, space = -1, list = -1;
    int status = open_list(file, trains->name, &set, &space, count);
    if (status == SNN_OK) {
        list = H5Dget_type(set);
        if (list < 0) status = unreadable(file, trains->name);
        else if (H5Tget_class(list) != H5T_VLEN)
            status = snn_error(SNN_EDATA, "%s: %s is no list of variable-length lists", file->path, trains->name);
        else if ((trains->type = H5Tget_super(list)) < 0) status = unreadable(file, trains->name);
    }
    if (status == SNN_OK) status = choose_type(file, trains, class);
    if (status == SNN_OK) status = find_lists(file, trains, set, *count);
    if (list >= 0) H5Tclose(list);
    close_list(set, space);
    return status;
}

/* ---- open and close ---- */

static int open_file(struct snn_spikes_file *file) {
    struct stat info;
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &info))
        return snn_error(SNN_EDATA, "%s: cannot be read: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return snn_error(SNN_EDATA, "%s: is not a regular file", file->path);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return unreadable(file, "the file");
    H5Pset_file_locking(access, 0, 1); /* nothing is written, and some file systems have no locks */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    file->file = H5Fopen(file->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file->file < 0 ? unreadable(file, "the HDF5 file") : SNN_OK;
}

static int read_file(struct snn_spikes_file *file) {
    int64_t times, units;
    SNN_TRY(open_file(file));
    SNN_TRY(open_trains(file, &file->times, H5T_FLOAT, &times));
    SNN_TRY(open_trains(file, &file->units, H5T_INTEGER, &units));
    if (times != units)
        return snn_error(SNN_EDATA, "%s: %s has %lld entries and %s %lld, expected as many", file->path,
                         file->times.name, (long long)times, file->units.name, (long long)units);
    if (!times) return snn_error(SNN_EDATA, "%s: holds no recordings", file->path);
    file->count = (int32_t)times;
    SNN_TRY(read_column(file, "/labels", file->layout.classes - 1, &file->label));
    if (snn_hdf5_has(file->file, "/extra/speaker"))
        SNN_TRY(read_column(file, "/extra/speaker", INT32_MAX, &file->speaker));
    return read_keys(file);
}

static void close_trains(struct trains *trains) {
    if (trains->type >= 0) H5Tclose(trains->type);
    free(trains->list);
}

void snn_spikes_close(struct snn_spikes_file **where) {
    struct snn_spikes_file *file = *where;
    if (!file) return;
    snn_hdf5_enter();
    close_trains(&file->times);
    close_trains(&file->units);
    if (file->file >= 0) H5Fclose(file->file);
    snn_hdf5_leave();
    if (file->fd >= 0) close(file->fd);
    for (int32_t i = 0; file->word && i < file->layout.classes; ++i) free(file->word[i]);
    free(file->word);
    free(file->label);
    free(file->speaker);
    free(file->path);
    free(file);
    *where = NULL;
}

int snn_spikes_open(const char *path, const struct snn_spikes_layout *layout, struct snn_spikes_file **out) {
    *out = NULL;
    struct snn_spikes_file *file = malloc(sizeof *file);
    if (!file) return snn_error(SNN_EFAIL, "%s: out of memory", path);
    *file = (struct snn_spikes_file){.path = strdup(path),
                                     .layout = *layout,
                                     .fd = -1,
                                     .file = -1,
                                     .times = {.name = "/spikes/times", .type = -1, .native = -1},
                                     .units = {.name = "/spikes/units", .type = -1, .native = -1}};
    int status = SNN_EFAIL;
    if (!file->path) {
        snn_error(SNN_EFAIL, "%s: out of memory", path);
    } else {
        snn_hdf5_enter();
        status = read_file(file);
        snn_hdf5_leave();
    }
    if (status < 0) snn_spikes_close(&file);
    *out = file;
    return status;
}

struct snn_spikes_facts snn_spikes_facts(const struct snn_spikes_file *file) {
    return (struct snn_spikes_facts){file->count, file->label, file->speaker, (const char *const *)file->word};
}

/* ---- a recording ---- */

static double second_at(const struct snn_spikes_file *file, const void *times, size_t k) {
    switch (file->width) {
    case HALF:
        return snn_half_of(((const uint16_t *)times)[k]);
    case SINGLE:
        return ((const float *)times)[k];
    default:
        return ((const double *)times)[k];
    }
}

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* By time, then by unit, in one key: 36 bits of microseconds and 16 of the unit, which is all that an event has. */
static int sort_events(const struct snn_spikes_file *file, struct snn_event *events, size_t n) {
    uint64_t *key = malloc(n * sizeof *key);
    if (!key) return no_memory(file);
    for (size_t k = 0; k < n; ++k) key[k] = (uint64_t)events[k].t << 16 | events[k].x;
    qsort(key, n, sizeof *key, by_key);
    for (size_t k = 0; k < n; ++k) events[k].t = (int64_t)(key[k] >> 16), events[k].x = (uint16_t)key[k];
    free(key);
    return SNN_OK;
}

static int make_events(const struct snn_spikes_file *file, int32_t i, const void *times, const void *units,
                       struct snn_sample *sample) {
    size_t n = file->times.list[i].length;
    SNN_TRY(snn_sample_room(sample, 0, n));
    sample->event_count = n;
    bool sorted = true;
    int64_t last = 0;
    for (size_t k = 0; k < n; ++k) {
        double t = second_at(file, times, k);
        int64_t unit = file->narrow ? ((const uint16_t *)units)[k] : ((const int64_t *)units)[k];
        if (!(t >= 0 && t <= MAX_SECONDS)) /* not a number, too */
            return snn_error(SNN_EDATA, "%s: recording %d: spike %zu is at %g s, expected 0..%d s", file->path, i, k, t,
                             MAX_SECONDS);
        if (unit < 0 || unit >= file->layout.units)
            return snn_error(SNN_EDATA, "%s: recording %d: spike %zu is of unit %lld, expected 0..%d", file->path, i, k,
                             (long long)unit, file->layout.units - 1);
        int64_t us = (int64_t)(t * 1e6);
        sorted &= us >= last;
        last = us;
        sample->events[k] = (struct snn_event){.t = us, .x = (uint16_t)unit};
    }
    return sorted ? SNN_OK : sort_events(file, sample->events, n);
}

/* The elements of list i as they are to be in memory (caller frees). */
static int read_train(const struct snn_spikes_file *file, const struct trains *trains, int32_t i, void **out) {
    const struct snn_list *list = &trains->list[i];
    void *values = *out = malloc(list->length * trains->room + 1);
    if (!values) return no_memory(file);
    const char *wrong = snn_list_read(file->fd, list, trains->size, values);
    if (wrong) return snn_error(SNN_EDATA, "%s: %s: list %d %s", file->path, trains->name, i, wrong);
    if (trains->native < 0 || !list->length) return SNN_OK;
    snn_hdf5_enter();
    int status = H5Tconvert(trains->type, trains->native, list->length, values, NULL, H5P_DEFAULT) < 0
                     ? unreadable(file, trains->name)
                     : SNN_OK;
    snn_hdf5_leave();
    return status;
}

int snn_spikes_get(struct snn_spikes_file *file, int32_t i, struct snn_sample *sample) {
    SNN_CHECK(i >= 0 && i < file->count, "recording %d of %d", i, file->count);
    uint32_t times = file->times.list[i].length, units = file->units.list[i].length;
    void *time = NULL, *unit = NULL;
    sample->label = file->label[i];
    if (times != units)
        return snn_error(SNN_EDATA, "%s: recording %d has %u times and %u units, expected as many", file->path, i,
                         times, units);
    if (times > MAX_EVENTS)
        return snn_error(SNN_EDATA, "%s: recording %d has %u spikes, expected at most %d", file->path, i, times,
                         MAX_EVENTS);
    int status = read_train(file, &file->times, i, &time);
    if (status == SNN_OK) status = read_train(file, &file->units, i, &unit);
    if (status == SNN_OK) status = make_events(file, i, time, unit, sample);
    free(time);
    free(unit);
    return status;
}
