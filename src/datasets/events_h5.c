/* SPDX-License-Identifier: Apache-2.0
 * events_h5.c - HDF5 with four one-dimensional data sets of one length: /events/t, x, y, p, or the same at the root.
 *
 * The library reads the bytes that are already in memory, through a file driver that borrows them. It is asked for
 * nothing before the sizes that a data set claims have been held against what is stored. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/events_parts.h"
#include "datasets/hdf5_library.h"

enum {
    SLAB = 1 << 14,
    NAME = 64,
    DEFLATE_RATIO = 1032 /* a column may be all the same: deflate cannot pack tighter than this */
};

static const unsigned char mark[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* The mark is at the begin, or behind a user block of 512, 1024, ... bytes. */
static bool probe(const unsigned char *bytes, size_t size) {
    for (size_t at = 0; size >= sizeof mark && at <= size - sizeof mark; at = at ? 2 * at : 512)
        if (!memcmp(bytes + at, mark, sizeof mark)) return true;
    return false;
}

/* ---- a file in memory ---- */

/* The library copies the image, but for these: there is one copy, ours, which is only read. */
static void *lend(size_t size, H5FD_file_image_op_t op, void *job) {
    (void)size, (void)op;
    return (void *)(uintptr_t)((struct snn_events_job *)job)->bytes;
}
static void *keep(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *job) {
    (void)from, (void)size, (void)op, (void)job;
    return to;
}
static void *refuse(void *image, size_t size, H5FD_file_image_op_t op, void *job) {
    (void)image, (void)size, (void)op, (void)job;
    return NULL;
}
static herr_t leave_alone(void *image, H5FD_file_image_op_t op, void *job) {
    (void)image, (void)op, (void)job;
    return 0;
}
static void *same(void *job) { return job; }
static herr_t no_end(void *job) {
    (void)job;
    return 0;
}

static hid_t open_image(struct snn_events_job *job) {
    H5FD_file_image_callbacks_t borrow = {lend, keep, refuse, leave_alone, same, no_end, job};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0 && H5Pset_file_image_callbacks(access, &borrow) >= 0 &&
        H5Pset_file_image(access, (void *)(uintptr_t)job->bytes, job->size) >= 0)
        file = H5Fopen("events", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

/* ---- columns ---- */

struct column {
    char name[NAME];
    hid_t set, space;
    bool real;
};

union number {
    int64_t whole;
    double real;
};

struct table {
    hid_t file;
    struct column column[SNN_COLUMNS];
    hsize_t rows, row;  /* row: the next one */
    union number *slab; /* (SNN_COLUMNS, SLAB) */
    int unit;
};

static int unreadable(const struct snn_events_job *job, const char *name) {
    return snn_error(SNN_EDATA, "%s: %s cannot be read", job->path, name);
}

/* The first of the names, with and without a unit, that the group has. */
static bool find_name(hid_t file, const char *group, enum snn_column c, char name[NAME], int *unit) {
    static const char *const ends[] = {"", "_s", "_ms", "_us", "_ns"};
    for (const char *at = snn_column_names[c]; *at; at += strcspn(at, " "), at += *at == ' ')
        for (int end = 0; end < (c == SNN_COLUMN_T ? 5 : 1); ++end) {
            int length = (int)strcspn(at, " "), skip = snprintf(name, NAME, "%s", group);
            snprintf(name + skip, NAME - (size_t)skip, "%.*s%s", length, at, ends[end]);
            if (!snn_hdf5_has(file, name)) continue;
            if (c == SNN_COLUMN_T) snn_column_find(name + skip, strlen(name + skip), unit);
            return true;
        }
    return false;
}

static int find_names(const struct snn_events_job *job, struct table *table) {
    static const char *const groups[] = {"/events/", "/"};
    if (snn_hdf5_has(table->file, "/offsets")) /* hdf5_write.h */
        return snn_error(SNN_EDATA, "%s: holds many recordings one behind the other (/offsets), expected one",
                         job->path);
    for (int g = 0; g < 2; ++g) {
        int found = 0;
        for (enum snn_column c = 0; c < SNN_COLUMNS; ++c)
            found += find_name(table->file, groups[g], c, table->column[c].name, &table->unit);
        if (found == SNN_COLUMNS) return SNN_OK;
    }
    return snn_error(SNN_EDATA, "%s: holds neither /events/t, x, y and p nor /t, /x, /y and /p", job->path);
}

/* Numbers? Booleans are enumerations of integers. */
static bool is_number(hid_t type, bool *real) {
    H5T_class_t class = H5Tget_class(type);
    *real = class == H5T_FLOAT;
    return class == H5T_FLOAT || class == H5T_INTEGER || class == H5T_ENUM;
}

/* Filters that are there, chunks and rows of a size that what is stored can unpack to. */
static int check_storage(const struct snn_events_job *job, const struct column *column, hsize_t rows, size_t item) {
    hid_t how = H5Dget_create_plist(column->set);
    hsize_t stored = H5Dget_storage_size(column->set), chunk = 0, most = SNN_EVENTS_UNPACKED;
    H5D_layout_t layout = how >= 0 ? H5Pget_layout(how) : H5D_LAYOUT_ERROR;
    int filters = how >= 0 ? H5Pget_nfilters(how) : -1, status = SNN_OK;
    if (stored > job->size) stored = job->size;
    if (stored * DEFLATE_RATIO > most) most = stored * DEFLATE_RATIO;
    if (layout == H5D_CHUNKED && H5Pget_chunk(how, 1, &chunk) != 1) filters = -1;
    if (layout == H5D_LAYOUT_ERROR || filters < 0) status = unreadable(job, column->name);
    for (int i = 0; status == SNN_OK && i < filters; ++i) {
        unsigned flags, config;
        size_t count = 0;
        char name[NAME] = "";
        H5Z_filter_t filter = H5Pget_filter2(how, (unsigned)i, &flags, &count, NULL, sizeof name, name, &config);
        if (filter < 0) status = unreadable(job, column->name);
        else if (H5Zfilter_avail(filter) <= 0)
            status = snn_error(SNN_EDATA, "%s: %s is packed with filter %d (%.40s), which this build cannot unpack",
                               job->path, column->name, (int)filter, name);
    }
    if (status == SNN_OK && (rows > most / item || chunk > most / item))
        status = snn_error(SNN_EDATA, "%s: %s claims %llu entries, and %llu bytes of it are stored", job->path,
                           column->name, (unsigned long long)rows, (unsigned long long)stored);
    if (how >= 0) H5Pclose(how);
    return status;
}

static int open_column(const struct snn_events_job *job, struct table *table, enum snn_column c) {
    struct column *column = &table->column[c];
    const char *wrong;
    hsize_t rows;
    column->set = snn_hdf5_open_set(table->file, column->name, &wrong);
    if (column->set < 0 && wrong) return snn_error(SNN_EDATA, "%s: %s %s", job->path, column->name, wrong);
    if (column->set < 0) return unreadable(job, column->name);
    column->space = H5Dget_space(column->set);
    if (column->space < 0 || H5Sget_simple_extent_ndims(column->space) != 1)
        return snn_error(SNN_EDATA, "%s: %s is no list of numbers", job->path, column->name);
    hid_t type = H5Dget_type(column->set);
    bool good = type >= 0 && is_number(type, &column->real);
    size_t item = type >= 0 ? H5Tget_size(type) : 0;
    if (type >= 0) H5Tclose(type);
    if (!good || !item) return snn_error(SNN_EDATA, "%s: %s is no list of numbers", job->path, column->name);
    if (H5Sget_simple_extent_dims(column->space, &rows, NULL) != 1) return unreadable(job, column->name);
    if (c && rows != table->rows)
        return snn_error(SNN_EDATA, "%s: %s has %llu entries, and %s has %llu", job->path, column->name,
                         (unsigned long long)rows, table->column[0].name, (unsigned long long)table->rows);
    table->rows = rows;
    return check_storage(job, column, rows, item);
}

/* Rows first .. first + n of a column, as int64_t or double. */
static bool read_slab(const struct column *column, hsize_t first, hsize_t n, void *numbers) {
    hid_t memory = H5Screate_simple(1, &n, NULL);
    bool good = memory >= 0 && H5Sselect_hyperslab(column->space, H5S_SELECT_SET, &first, NULL, &n, NULL) >= 0 &&
                H5Dread(column->set, column->real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, memory, column->space,
                        H5P_DEFAULT, numbers) >= 0;
    if (memory >= 0) H5Sclose(memory);
    return good;
}

/* The next SLAB rows, for which there is room. */
static int read_rows(struct snn_events_job *job, struct table *table) {
    hsize_t n = table->rows - table->row < SLAB ? table->rows - table->row : SLAB;
    for (int c = 0; c < SNN_COLUMNS; ++c)
        if (!read_slab(&table->column[c], table->row, n, table->slab + c * SLAB))
            return unreadable(job, table->column[c].name);
    for (hsize_t i = 0; i < n; ++i, ++table->row) {
        struct snn_value row[SNN_COLUMNS];
        for (int c = 0; c < SNN_COLUMNS; ++c) {
            const union number *cell = &table->slab[c * SLAB + (int)i];
            row[c] = table->column[c].real ? (struct snn_value){.real = true, .number = cell->real}
                                           : (struct snn_value){.whole = cell->whole};
        }
        SNN_TRY(snn_events_take_row(job, "row", (int64_t)table->row, row, table->unit));
    }
    return SNN_OK;
}

static int read_more(struct snn_events_job *job, struct table *table) {
    hsize_t n = table->rows - table->row, most = snn_events_wanted(job);
    if (n > SLAB && n > most) n = most > SLAB ? most - most % SLAB : SLAB;
    SNN_TRY(snn_events_room(job, (size_t)n));
    for (hsize_t end = table->row + n; table->row < end;) SNN_TRY(read_rows(job, table));
    job->ended = table->row == table->rows;
    return SNN_OK;
}

static int more(struct snn_events_job *job) {
    snn_hdf5_enter();
    int status = read_more(job, job->state);
    snn_hdf5_leave();
    return status;
}

static int read_table(struct snn_events_job *job, struct table *table) {
    SNN_TRY(find_names(job, table));
    for (enum snn_column c = 0; c < SNN_COLUMNS; ++c) SNN_TRY(open_column(job, table, c));
    if (job->options->unit) table->unit = job->options->unit;
    if (!table->unit && table->column[SNN_COLUMN_T].real && table->rows)
        snn_events_warn(job, "does not say the unit of its times, which are taken for microseconds");
    table->slab = malloc(sizeof *table->slab * SNN_COLUMNS * SLAB);
    return table->slab ? SNN_OK : snn_error(SNN_EFAIL, "%s: out of memory", job->path);
}

static int open_table(struct snn_events_job *job) {
    struct table *table = job->state;
    job->facts->format = "HDF5";
    for (int c = 0; c < SNN_COLUMNS; ++c) table->column[c].set = table->column[c].space = -1;
    snn_hdf5_enter();
    table->file = open_image(job);
    int status =
        table->file >= 0 ? read_table(job, table) : snn_error(SNN_EDATA, "%s: is no whole HDF5 file", job->path);
    snn_hdf5_leave();
    return status;
}

static void close_table(struct snn_events_job *job) {
    struct table *table = job->state;
    snn_hdf5_enter();
    for (int c = 0; c < SNN_COLUMNS; ++c) {
        if (table->column[c].space >= 0) H5Sclose(table->column[c].space);
        if (table->column[c].set >= 0) H5Dclose(table->column[c].set);
    }
    if (table->file >= 0) H5Fclose(table->file);
    snn_hdf5_leave();
    free(table->slab);
}

const struct snn_events_format snn_events_h5 = {
    .name = "h5",
    .extensions = ".h5 .hdf5",
    .help = "HDF5 with events/t, x, y and p, or the same at its root",
    .units = true,
    .probe = probe,
    .state = sizeof(struct table),
    .open = open_table,
    .more = more,
    .close = close_table,
};
