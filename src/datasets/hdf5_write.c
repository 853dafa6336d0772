/* SPDX-License-Identifier: Apache-2.0
 * hdf5_write.c - both layouts through libhdf5, recording by recording: a set need not fit into memory.
 *
 * The library writes the temporary file of a replacement (core/file.h), so that a half-written file never has the
 * name. Errors of calls are collected and looked at once a recording: the library's calls do nothing with identifiers
 * that a failed one gave. */
#include "datasets/hdf5_write.h"

#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "datasets/hdf5_library.h"

enum { COLUMNS = 4, CHUNK = 1 << 16, PACKING = 4 };

static const struct column {
    const char *name;
    size_t size;
} columns[COLUMNS] = {{"t", 8}, {"x", 2}, {"y", 2}, {"p", 1}};

struct snn_events_file {
    char *path;
    struct snn_replace *replace;
    const struct snn_dataset *set;
    const char *part;
    bool camera;
    hid_t file, list[COLUMNS]; /* a camera's columns; else times and units */
    int32_t count, done;
    int32_t *label, *group; /* (count) */
    uint64_t *offset;       /* (count+1) */
    bool grouped, bad;      /* grouped: some group is known; bad: a call has failed */
    void *column;           /* room for one column of a recording */
    size_t room;
};

static int failed(struct snn_events_file *file) {
    return snn_error(SNN_EFAIL, "%s: cannot be written (libhdf5 reports an error; is the disk full?)", file->path);
}

static int no_memory(const char *path) { return snn_error(SNN_EFAIL, "%s: out of memory", path); }

static hid_t element(int column) { return column == 0 ? H5T_STD_I64LE : column == 3 ? H5T_STD_U8LE : H5T_STD_U16LE; }

/* ---- data sets ---- */

/* Without the time of writing: the same recordings give the same bytes. */
static hid_t timeless(void) {
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(how, false);
    return how;
}

/* A list in one piece, written at once. */
static void put_list(struct snn_events_file *file, const char *name, hid_t stored, hid_t memory, hsize_t n,
                     const void *values) {
    hid_t space = H5Screate_simple(1, &n, NULL), how = timeless();
    hid_t set = H5Dcreate2(file->file, name, stored, space, H5P_DEFAULT, how, H5P_DEFAULT);
    file->bad |= set < 0 || (n && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0);
    H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
}

static void put_words(struct snn_events_file *file, const char *name) {
    const struct snn_dataset_info *info = &file->set->info;
    if (!info->class_name) return;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    put_list(file, name, type, type, (hsize_t)info->classes, info->class_name);
    H5Tclose(type);
}

static void put_attribute(struct snn_events_file *file, const char *name, hid_t type, hid_t space, const void *value) {
    hid_t attribute = H5Acreate2(file->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    file->bad |= attribute < 0 || H5Awrite(attribute, type, value) < 0;
    H5Aclose(attribute);
    H5Sclose(space);
}

static void put_text(struct snn_events_file *file, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    put_attribute(file, name, type, H5Screate(H5S_SCALAR), &text);
    H5Tclose(type);
}

static void make_group(struct snn_events_file *file, const char *name) {
    hid_t group = H5Gcreate2(file->file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    file->bad |= group < 0;
    H5Gclose(group);
}

/* Lists that grow, packed chunk by chunk. */
static void make_columns(struct snn_events_file *file) {
    hsize_t none = 0, endless = H5S_UNLIMITED, chunk = CHUNK;
    hid_t space = H5Screate_simple(1, &none, &endless), how = timeless();
    H5Pset_chunk(how, 1, &chunk);
    H5Pset_shuffle(how);
    H5Pset_deflate(how, PACKING);
    make_group(file, "events");
    for (int k = 0; k < COLUMNS; ++k) {
        char name[32];
        snprintf(name, sizeof name, "events/%s", columns[k].name);
        file->list[k] = H5Dcreate2(file->file, name, element(k), space, H5P_DEFAULT, how, H5P_DEFAULT);
        file->bad |= file->list[k] < 0;
    }
    H5Pclose(how);
    H5Sclose(space);
}

/* A variable-length list a recording. */
static void make_trains(struct snn_events_file *file) {
    hsize_t n = (hsize_t)file->count;
    hid_t space = H5Screate_simple(1, &n, NULL), how = timeless();
    static const char *const name[] = {"spikes/times", "spikes/units"};
    make_group(file, "spikes");
    make_group(file, "extra");
    for (int k = 0; k < 2; ++k) {
        hid_t type = H5Tvlen_create(k ? H5T_STD_U16LE : H5T_IEEE_F64LE);
        file->list[k] = H5Dcreate2(file->file, name[k], type, space, H5P_DEFAULT, how, H5P_DEFAULT);
        file->bad |= file->list[k] < 0;
        H5Tclose(type);
    }
    H5Pclose(how);
    H5Sclose(space);
}

/* ---- recordings ---- */

/* Seconds that are `us` again when they are multiplied by a million and truncated, as readers of SHD do. */
static double seconds(int64_t us) {
    double t = (double)us * 1e-6;
    while ((int64_t)(t * 1e6) < us) t = nextafter(t, INFINITY);
    return t;
}

static void append_column(struct snn_events_file *file, int k, const struct snn_sample *sample) {
    hsize_t from = file->offset[file->done], n = sample->event_count, size = from + n;
    for (size_t i = 0; i < n; ++i) {
        const struct snn_event *e = &sample->events[i];
        switch (k) {
        case 0:
            ((int64_t *)file->column)[i] = e->t;
            break;
        case 1:
            ((uint16_t *)file->column)[i] = e->x;
            break;
        case 2:
            ((uint16_t *)file->column)[i] = e->y;
            break;
        default:
            ((uint8_t *)file->column)[i] = e->p;
        }
    }
    hid_t native = k == 0 ? H5T_NATIVE_INT64 : k == 3 ? H5T_NATIVE_UINT8 : H5T_NATIVE_UINT16;
    file->bad |= H5Dset_extent(file->list[k], &size) < 0;
    hid_t there = H5Dget_space(file->list[k]), here = H5Screate_simple(1, &n, NULL);
    H5Sselect_hyperslab(there, H5S_SELECT_SET, &from, NULL, &n, NULL);
    file->bad |= H5Dwrite(file->list[k], native, here, there, H5P_DEFAULT, file->column) < 0;
    H5Sclose(here);
    H5Sclose(there);
}

static void put_train(struct snn_events_file *file, int k, const struct snn_sample *sample) {
    hvl_t train = {sample->event_count, file->column};
    hsize_t at = (hsize_t)file->done, one = 1;
    for (size_t i = 0; i < sample->event_count; ++i)
        if (k) ((uint16_t *)file->column)[i] = sample->events[i].x;
        else ((double *)file->column)[i] = seconds(sample->events[i].t);
    hid_t type = H5Tvlen_create(k ? H5T_NATIVE_UINT16 : H5T_NATIVE_DOUBLE);
    hid_t there = H5Dget_space(file->list[k]), here = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(there, H5S_SELECT_SET, &at, NULL, &one, NULL);
    file->bad |= H5Dwrite(file->list[k], type, here, there, H5P_DEFAULT, &train) < 0;
    H5Sclose(here);
    H5Sclose(there);
    H5Tclose(type);
}

int snn_events_add(struct snn_events_file *file, const struct snn_sample *sample, int32_t group) {
    SNN_CHECK(file->done < file->count, "recording %d of %d", file->done, file->count);
    size_t want = (sample->event_count + 1) * sizeof(int64_t);
    if (want > file->room) {
        void *larger = realloc(file->column, want);
        if (!larger) return no_memory(file->path);
        file->column = larger;
        file->room = want;
    }
    if (sample->event_count && sample->events[0].t < 0 && !file->camera)
        return snn_error(SNN_EDATA, "%s: recording %d begins at %lld us, expected no time below 0", file->path,
                         (int)file->done, (long long)sample->events[0].t);
    snn_hdf5_enter();
    for (int k = 0; k < (file->camera ? COLUMNS : 2) && !file->bad; ++k)
        if (!file->camera) put_train(file, k, sample);
        else if (sample->event_count) append_column(file, k, sample);
    snn_hdf5_leave();
    if (file->bad) return failed(file);
    file->label[file->done] = sample->label;
    file->group[file->done] = group;
    file->grouped |= group >= 0;
    file->offset[file->done + 1] = file->offset[file->done] + sample->event_count;
    ++file->done;
    return SNN_OK;
}

/* ---- the file ---- */

static int create(struct snn_events_file *file) {
    size_t n = (size_t)file->count;
    file->label = calloc(n + 1, sizeof *file->label);
    file->group = calloc(n + 1, sizeof *file->group);
    file->offset = calloc(n + 1, sizeof *file->offset);
    if (!file->label || !file->group || !file->offset) return no_memory(file->path);
    SNN_TRY(snn_replace_open(file->path, &file->replace));
    snn_hdf5_enter();
    file->file = H5Fcreate(snn_replace_temporary(file->replace), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    file->bad |= file->file < 0;
    if (!file->bad) file->camera ? make_columns(file) : make_trains(file);
    snn_hdf5_leave();
    return file->bad ? failed(file) : SNN_OK;
}

int snn_events_create(const char *path, const struct snn_dataset *set, const char *part, int32_t count,
                      struct snn_events_file **out) {
    *out = NULL;
    SNN_CHECK(set->info.kind == SNN_RECORDINGS, "%s has no recordings", set->info.name);
    struct snn_events_file *file = calloc(1, sizeof *file);
    if (!file) return no_memory(path);
    file->set = set;
    file->part = part;
    file->count = count;
    file->camera = set->info.C > 1 || set->info.H > 1;
    file->file = -1;
    for (int k = 0; k < COLUMNS; ++k) file->list[k] = -1;
    file->path = strdup(path);
    int rc = file->path ? create(file) : no_memory(path);
    if (rc < 0) snn_events_abandon(&file);
    *out = file;
    return rc;
}

/* Close what libhdf5 holds; closing writes, so it can fail. */
static void close_library(struct snn_events_file *file) {
    snn_hdf5_enter();
    for (int k = 0; k < COLUMNS; ++k)
        if (file->list[k] >= 0) file->bad |= H5Dclose(file->list[k]) < 0;
    if (file->file >= 0) file->bad |= H5Fclose(file->file) < 0;
    for (int k = 0; k < COLUMNS; ++k) file->list[k] = -1;
    file->file = -1;
    snn_hdf5_leave();
}

static int finish(struct snn_events_file *file) {
    const struct snn_dataset_info *info = &file->set->info;
    hsize_t three = 3, n = (hsize_t)file->count;
    const int32_t sensor[3] = {info->W, info->H, info->C};
    SNN_CHECK(file->done == file->count, "%d of %d recordings", file->done, file->count);
    snn_hdf5_enter();
    put_list(file, "labels", H5T_STD_I32LE, H5T_NATIVE_INT32, n, file->label);
    if (file->grouped)
        put_list(file, file->camera ? "groups" : "extra/speaker", H5T_STD_I32LE, H5T_NATIVE_INT32, n, file->group);
    put_words(file, file->camera ? "classes" : "extra/keys");
    if (file->camera) put_list(file, "offsets", H5T_STD_U64LE, H5T_NATIVE_UINT64, n + 1, file->offset);
    put_text(file, "name", info->name);
    put_text(file, "split", file->part);
    put_attribute(file, "sensor_size", H5T_NATIVE_INT32, H5Screate_simple(1, &three, NULL), sensor);
    snn_hdf5_leave();
    close_library(file);
    return file->bad ? failed(file) : snn_replace_commit(&file->replace);
}

int snn_events_commit(struct snn_events_file **file) {
    int rc = finish(*file);
    snn_events_abandon(file);
    return rc;
}

void snn_events_abandon(struct snn_events_file **where) {
    struct snn_events_file *file = *where;
    if (!file) return;
    close_library(file);
    snn_replace_abandon(&file->replace);
    free(file->label);
    free(file->group);
    free(file->offset);
    free(file->column);
    free(file->path);
    free(file);
    *where = NULL;
}
