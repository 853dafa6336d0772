/* SPDX-License-Identifier: Apache-2.0
 * hdf5_spikes.c - SHD's layout through libhdf5.
 *
 * Times are IEEE halves in the distributed files. The library's own conversion of variable-length halves takes some
 * twenty times as long as reading them as they are, so they are widened here. A time becomes whole microseconds by
 * truncation: floor(floor(1e6 t) / dt) = floor(1e6 t / dt), so bins of whole microseconds are those of the exact time.
 *
 * libhdf5 need not be thread-safe, and shares its state between files: one lock of this file is around all calls. */
#include "datasets/hdf5_spikes.h"

#include <hdf5.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

enum {
    MAX_RECORDINGS = 1 << 24,
    MAX_EVENTS = 1 << 24, /* of a recording: real ones have some ten thousand */
    MAX_SECONDS = 65536,  /* more than a half can say */
    MAX_WORD = 64         /* bytes kept of a class's name */
};

enum width { HALF, SINGLE, DOUBLE };

struct trains { /* /spikes/times or /spikes/units */
    const char *name;
    hid_t set, space, type; /* type: in memory */
};

struct snn_spikes_file {
    char *path;
    struct snn_spikes_layout layout;
    int32_t count;
    int32_t *label, *speaker; /* (count); speaker may be NULL */
    char **word;              /* (classes), or NULL */
    hid_t file, one, transfer;
    struct trains times, units;
    enum width width; /* of a time */
    bool narrow;      /* units come as uint16_t, else as int64_t */
};

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* Errors become our sentences; the library would print them, thread by thread. */
static void enter(void) {
    pthread_mutex_lock(&library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void leave(void) { pthread_mutex_unlock(&library); }

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

/* Does every group and the last name of `path` exist? H5Lexists wants to be asked step by step. */
static bool exists(hid_t file, const char *path) {
    char part[64];
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        const char *end = strchr(slash + 1, '/');
        snprintf(part, sizeof part, "%.*s", end ? (int)(end - path) : (int)strlen(path), path);
        if (H5Lexists(file, part, H5P_DEFAULT) <= 0) return false;
    }
    return true;
}

/* The data set `name` and its space; it has to be a list. *count: its length. */
static int open_list(const struct snn_spikes_file *file, const char *name, hid_t *set, hid_t *space, int64_t *count) {
    if (!exists(file->file, name)) return snn_error(SNN_EDATA, "%s: holds no %s", file->path, name);
    *set = H5Dopen2(file->file, name, H5P_DEFAULT);
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
    if (status == SNN_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, file->transfer, bytes) < 0)
        status = unreadable(file, name);
    for (int32_t i = 0; status == SNN_OK && i < file->layout.classes; ++i) {
        const char *text = bytes + (size_t)i * size;
        if (variable) memcpy(&text, bytes + (size_t)i * size, sizeof text);
        file->word[i] = word_of(text ? text : "", variable ? MAX_WORD : size);
        if (!file->word[i]) status = no_memory(file);
    }
    if (bytes && variable) H5Dvlen_reclaim(type, space, file->transfer, bytes);
    free(bytes);
    return status;
}

/* /extra/keys, where it is; a list of fewer words than classes names nothing. */
static int read_keys(struct snn_spikes_file *file) {
    const char *name = "/extra/keys";
    hid_t set = -1, space = -1, type = -1;
    int64_t count;
    if (!exists(file->file, name)) return SNN_OK;
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

/* How an element is to be in memory: trains->type, file->width and file->narrow. */
static int choose_type(struct snn_spikes_file *file, struct trains *trains, hid_t element, H5T_class_t class) {
    hid_t memory;
    if (H5Tget_class(element) != class)
        return snn_error(SNN_EDATA, "%s: %s holds no lists of %s", file->path, trains->name,
                         class == H5T_FLOAT ? "floating-point numbers" : "integers");
    if (class == H5T_FLOAT) {
        file->width = is_half(element) ? HALF : H5Tget_size(element) <= sizeof(float) ? SINGLE : DOUBLE;
        memory = file->width == HALF ? element : file->width == SINGLE ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    } else {
        file->narrow = H5Tequal(element, H5T_NATIVE_UINT16) > 0;
        memory = file->narrow ? element : H5T_NATIVE_INT64; /* a conversion to uint16_t would hide what does not fit */
    }
    trains->type = H5Tvlen_create(memory);
    return trains->type < 0 ? unreadable(file, trains->name) : SNN_OK;
}

static int open_trains(struct snn_spikes_file *file, struct trains *trains, H5T_class_t class, int64_t *count) {
    SNN_TRY(open_list(file, trains->name, &trains->set, &trains->space, count));
    hid_t list = H5Dget_type(trains->set), element = -1;
    int status = SNN_OK;
    if (list < 0) status = unreadable(file, trains->name);
    else if (H5Tget_class(list) != H5T_VLEN)
        status = snn_error(SNN_EDATA, "%s: %s is no list of variable-length lists", file->path, trains->name);
    else if ((element = H5Tget_super(list)) < 0) status = unreadable(file, trains->name);
    else status = choose_type(file, trains, element, class);
    if (element >= 0) H5Tclose(element);
    if (list >= 0) H5Tclose(list);
    return status;
}

/* The library asks for as many bytes as the file says that a list has. */
static void *allocate(size_t size, void *payload) {
    (void)payload;
    return size <= MAX_EVENTS * sizeof(double) ? malloc(size) : NULL;
}

static void release(void *memory, void *payload) {
    (void)payload;
    free(memory);
}

static int read_train(const struct snn_spikes_file *file, const struct trains *trains, int32_t i, hvl_t *out) {
    hsize_t start = (hsize_t)i, one = 1;
    if (H5Sselect_hyperslab(trains->space, H5S_SELECT_SET, &start, NULL, &one, NULL) >= 0 &&
        H5Dread(trains->set, trains->type, file->one, trains->space, file->transfer, out) >= 0)
        return SNN_OK;
    *out = (hvl_t){0};
    char what[64];
    snprintf(what, sizeof what, "%s: entry %d", trains->name, i);
    return unreadable(file, what);
}

/* ---- open and close ---- */

static int open_file(struct snn_spikes_file *file) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return unreadable(file, "the file");
    H5Pset_file_locking(access, 0, 1); /* nothing is written, and some file systems have no locks */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    file->file = H5Fopen(file->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file->file < 0) return unreadable(file, "the HDF5 file");
    hsize_t one = 1;
    file->one = H5Screate_simple(1, &one, NULL);
    file->transfer = H5Pcreate(H5P_DATASET_XFER);
    if (file->one < 0 || file->transfer < 0 ||
        H5Pset_vlen_mem_manager(file->transfer, allocate, NULL, release, NULL) < 0)
        return unreadable(file, "the HDF5 file");
    return SNN_OK;
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
    if (exists(file->file, "/extra/speaker")) SNN_TRY(read_column(file, "/extra/speaker", INT32_MAX, &file->speaker));
    return read_keys(file);
}

static void close_trains(struct trains *trains) {
    if (trains->type >= 0) H5Tclose(trains->type);
    close_list(trains->set, trains->space);
}

void snn_spikes_close(struct snn_spikes_file **where) {
    struct snn_spikes_file *file = *where;
    if (!file) return;
    enter();
    close_trains(&file->times);
    close_trains(&file->units);
    if (file->transfer >= 0) H5Pclose(file->transfer);
    if (file->one >= 0) H5Sclose(file->one);
    if (file->file >= 0) H5Fclose(file->file);
    leave();
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
                                     .file = -1,
                                     .one = -1,
                                     .transfer = -1,
                                     .times = {"/spikes/times", -1, -1, -1},
                                     .units = {"/spikes/units", -1, -1, -1}};
    int status = SNN_EFAIL;
    if (!file->path) {
        snn_error(SNN_EFAIL, "%s: out of memory", path);
    } else {
        enter();
        status = read_file(file);
        leave();
    }
    if (status < 0) snn_spikes_close(&file);
    *out = file;
    return status;
}

struct snn_spikes_facts snn_spikes_facts(const struct snn_spikes_file *file) {
    return (struct snn_spikes_facts){file->count, file->label, file->speaker, (const char *const *)file->word};
}

/* ---- a recording ---- */

/* The value of an IEEE half; its exponent is widened, its ten bits of mantissa are moved up. */
static double half_value(uint16_t half) {
    uint64_t exponent = half >> 10 & 31, mantissa = half & 1023;
    double sign = half >> 15 ? -1 : 1, value;
    if (exponent == 0) return sign * (double)mantissa * 0x1p-24;
    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    uint64_t bits = (exponent + 1008) << 52 | mantissa << 42;
    memcpy(&value, &bits, sizeof value);
    return sign * value;
}

static double second_at(const struct snn_spikes_file *file, const void *times, size_t k) {
    switch (file->width) {
    case HALF:
        return half_value(((const uint16_t *)times)[k]);
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

static int make_events(const struct snn_spikes_file *file, int32_t i, const hvl_t *times, const hvl_t *units,
                       struct snn_sample *sample) {
    size_t n = times->len;
    if (n != units->len)
        return snn_error(SNN_EDATA, "%s: recording %d has %zu times and %zu units, expected as many", file->path, i, n,
                         units->len);
    if (n > MAX_EVENTS)
        return snn_error(SNN_EDATA, "%s: recording %d has %zu spikes, expected at most %d", file->path, i, n,
                         MAX_EVENTS);
    SNN_TRY(snn_sample_room(sample, 0, n));
    sample->event_count = n;
    bool sorted = true;
    int64_t last = 0;
    for (size_t k = 0; k < n; ++k) {
        double t = second_at(file, times->p, k);
        int64_t unit = file->narrow ? ((const uint16_t *)units->p)[k] : ((const int64_t *)units->p)[k];
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

int snn_spikes_get(struct snn_spikes_file *file, int32_t i, struct snn_sample *sample) {
    SNN_CHECK(i >= 0 && i < file->count, "recording %d of %d", i, file->count);
    hvl_t times = {0}, units = {0};
    enter();
    int status = read_train(file, &file->times, i, &times);
    if (status == SNN_OK) status = read_train(file, &file->units, i, &units);
    leave();
    if (status == SNN_OK) status = make_events(file, i, &times, &units, sample);
    sample->label = file->label[i];
    free(times.p);
    free(units.p);
    return status;
}
