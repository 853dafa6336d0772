/* SPDX-License-Identifier: Apache-2.0
 * tree.c - folders named after classes, on disk or in zip archives. */
#include "datasets/tree.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zip.h>

#include "core/file.h"
#include "core/status.h"

struct snn_tree_place {
    char *path;
    zip_t *zip;            /* NULL: a folder */
    pthread_mutex_t *lock; /* a zip_t serves one thread at a time; in memory of its own, since places move */
};

static int no_memory(const char *path) { return snn_error(SNN_EFAIL, "%s: out of memory", path); }

/* ---- which files count ---- */

static bool is_class(const struct snn_tree_want *want, const char *name, size_t length) {
    if (!length || name[0] == '.') return false;
    for (int32_t c = 0; c < want->class_count; ++c)
        if (strlen(want->classes[c]) == length && !strncmp(want->classes[c], name, length)) return true;
    return !want->classes;
}

static int add_file(struct snn_tree *tree, const char *name, zip_uint64_t member) {
    const char *place = tree->place[tree->places - 1].path;
    if (tree->count == tree->room) {
        if (tree->room > INT32_MAX / 2) return snn_error(SNN_EDATA, "%s: holds too many files", place);
        int32_t room = tree->room ? 2 * tree->room : 1024;
        struct snn_tree_file *file = reallocarray(tree->file, (size_t)room, sizeof *file);
        if (!file) return no_memory(place);
        tree->file = file;
        tree->room = room;
    }
    struct snn_tree_file *file = &tree->file[tree->count];
    *file = (struct snn_tree_file){.name = strdup(name), .place = tree->places - 1, .member = member};
    if (!file->name) return no_memory(place);
    ++tree->count;
    return SNN_OK;
}

/* ---- places ---- */

static int add_place(struct snn_tree *tree, const char *path) {
    struct snn_tree_place *place = reallocarray(tree->place, (size_t)tree->places + 1, sizeof *place);
    if (!place) return no_memory(path);
    tree->place = place;
    place += tree->places;
    *place = (struct snn_tree_place){.path = strdup(path), .lock = malloc(sizeof *place->lock)};
    if (!place->path || !place->lock) {
        free(place->path);
        free(place->lock);
        return no_memory(path);
    }
    pthread_mutex_init(place->lock, NULL);
    ++tree->places;
    return SNN_OK;
}

static int list_class(struct snn_tree *tree, const char *path, const char *class, const struct snn_tree_want *want) {
    char *folder, *name;
    if (asprintf(&folder, "%s/%s", path, class) < 0) return no_memory(path);
    DIR *dir = opendir(folder);
    int status = SNN_OK;
    if (!dir && errno != ENOENT && errno != ENOTDIR)
        status = snn_error(SNN_EDATA, "%s: cannot be read: %s", folder, strerror(errno));
    for (struct dirent *entry; dir && status == SNN_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !snn_has_extension(entry->d_name, want->extensions)) continue;
        if (asprintf(&name, "%s/%s", class, entry->d_name) < 0) {
            status = no_memory(path);
            break;
        }
        status = add_file(tree, name, 0);
        free(name);
    }
    if (dir) closedir(dir);
    free(folder);
    return status;
}

int snn_tree_add_folder(struct snn_tree *tree, const char *path, const struct snn_tree_want *want) {
    SNN_TRY(add_place(tree, path));
    DIR *dir = opendir(path);
    if (!dir) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    int status = SNN_OK;
    for (struct dirent *entry; status == SNN_OK && (entry = readdir(dir));)
        if (is_class(want, entry->d_name, strlen(entry->d_name))) status = list_class(tree, path, entry->d_name, want);
    closedir(dir);
    return status;
}

/* Adds a member when its last two parts are a class and a file, and its folder is `below`. */
static int add_member(struct snn_tree *tree, const char *name, zip_uint64_t member, const char *below,
                      const struct snn_tree_want *want) {
    const char *file = strrchr(name, '/'), *class = file;
    if (!file || file[1] == '.' || !snn_has_extension(file, want->extensions)) return SNN_OK;
    while (class > name && class[-1] != '/') --class;
    if (!is_class(want, class, (size_t)(file - class)) || !strncmp(name, "__MACOSX/", 9)) return SNN_OK;
    size_t length = class > name ? (size_t)(class - name) - 1 : 0;
    if (below && (length != strlen(below) || strncasecmp(name, below, length))) return SNN_OK;
    return add_file(tree, class, member);
}

int snn_tree_add_zip(struct snn_tree *tree, const char *path, const char *below, const struct snn_tree_want *want) {
    SNN_TRY(add_place(tree, path));
    struct snn_tree_place *place = &tree->place[tree->places - 1];
    int code;
    place->zip = zip_open(path, ZIP_RDONLY, &code);
    if (!place->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        int status = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    zip_int64_t members = zip_get_num_entries(place->zip, 0);
    for (zip_int64_t i = 0; i < members; ++i) {
        const char *name = zip_get_name(place->zip, (zip_uint64_t)i, 0);
        if (name) SNN_TRY(add_member(tree, name, (zip_uint64_t)i, below, want));
    }
    return SNN_OK;
}

void snn_tree_free(struct snn_tree *tree) {
    for (int32_t i = 0; i < tree->count; ++i) free(tree->file[i].name);
    for (int32_t i = 0; i < tree->places; ++i) {
        struct snn_tree_place *place = &tree->place[i];
        if (place->zip) zip_discard(place->zip);
        pthread_mutex_destroy(place->lock);
        free(place->lock);
        free(place->path);
    }
    free(tree->file);
    free(tree->place);
    *tree = (struct snn_tree){0};
}

/* ---- classes ---- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct snn_tree_file *)a)->name, ((const struct snn_tree_file *)b)->name);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_class(const void *a, const void *b) {
    const struct snn_tree_file *x = a, *y = b;
    return x->class != y->class ? (x->class > y->class) - (x->class < y->class) : strcmp(x->name, y->name);
}

static size_t class_length(const struct snn_tree_file *file) { return strcspn(file->name, "/"); }

static int add_name(char ***list, int32_t *n, const char *name, size_t length) {
    char **larger = reallocarray(*list, (size_t)*n + 1, sizeof *larger);
    if (!larger) return no_memory(name);
    *list = larger;
    larger[*n] = strndup(name, length);
    return larger[*n] ? (void)++*n, SNN_OK : no_memory(name);
}

/* Files are in order of their names, so those of a class follow each other. */
static int collect(struct snn_tree *const *trees, int count, char ***names, int32_t *classes) {
    char **list = NULL;
    int32_t n = 0, kept = 0;
    int status = SNN_OK;
    for (int k = 0; k < count; ++k)
        for (int32_t i = 0; i < trees[k]->count && status == SNN_OK; ++i) {
            const struct snn_tree_file *file = &trees[k]->file[i], *before = i ? file - 1 : NULL;
            size_t length = class_length(file);
            if (!before || class_length(before) != length || strncmp(before->name, file->name, length))
                status = add_name(&list, &n, file->name, length);
        }
    if (n) qsort(list, (size_t)n, sizeof *list, by_text);
    for (int32_t i = 0; i < n; ++i)
        if (kept && !strcmp(list[kept - 1], list[i])) free(list[i]);
        else list[kept++] = list[i];
    *names = list;
    *classes = kept;
    return status;
}

static int32_t find_class(const char *name, size_t length, const char *const *names, int32_t classes) {
    for (int32_t c = 0; c < classes; ++c)
        if (strlen(names[c]) == length && !strncmp(names[c], name, length)) return c;
    return -1;
}

static void number(struct snn_tree *tree, const char *const *names, int32_t classes) {
    int32_t last = -1;
    for (int32_t i = 0; i < tree->count; ++i) {
        struct snn_tree_file *file = &tree->file[i];
        size_t length = class_length(file);
        bool same = last >= 0 && strlen(names[last]) == length && !strncmp(names[last], file->name, length);
        if (!same) last = find_class(file->name, length, names, classes);
        SNN_CHECK(last >= 0, "class of %s is not among the names", file->name);
        file->class = last;
    }
    qsort(tree->file, (size_t)tree->count, sizeof *tree->file, by_class);
}

int snn_tree_settle(struct snn_tree *const *trees, int count, const struct snn_tree_want *want, char ***names,
                    int32_t *classes) {
    for (int k = 0; k < count; ++k)
        if (trees[k]->count) qsort(trees[k]->file, (size_t)trees[k]->count, sizeof *trees[k]->file, by_name);
    if (!want->classes) SNN_TRY(collect(trees, count, names, classes));
    for (int k = 0; k < count; ++k)
        if (trees[k]->count)
            number(trees[k], want->classes ? want->classes : (const char *const *)*names,
                   want->classes ? want->class_count : *classes);
    return SNN_OK;
}

void snn_tree_names_free(char **names, int32_t classes) {
    for (int32_t c = 0; c < classes; ++c) free(names[c]);
    free(names);
}

/* ---- a file ---- */

char *snn_tree_path(const struct snn_tree *tree, int32_t i) {
    char *path;
    const struct snn_tree_file *file = &tree->file[i];
    return asprintf(&path, "%s/%s", tree->place[file->place].path, file->name) < 0 ? NULL : path;
}

bool snn_tree_is_plain(const struct snn_tree *tree, int32_t i) { return !tree->place[tree->file[i].place].zip; }

int snn_tree_sources(const struct snn_tree *tree, int (*each)(void *payload, const char *path), void *payload) {
    for (int32_t i = 0; i < tree->places; ++i)
        if (tree->place[i].zip) SNN_TRY(each(payload, tree->place[i].path));
    for (int32_t i = 0; i < tree->count; ++i) {
        if (!snn_tree_is_plain(tree, i)) continue;
        char *path = snn_tree_path(tree, i);
        int status = path ? each(payload, path) : no_memory(tree->place[tree->file[i].place].path);
        free(path);
        SNN_TRY(status);
    }
    return SNN_OK;
}

static int unpack(zip_file_t *file, const zip_stat_t *about, const char *path, size_t limit, unsigned char **bytes,
                  size_t *size) {
    if (!(about->valid & ZIP_STAT_SIZE) || about->size > limit)
        return snn_error(SNN_EDATA, "%s: is larger than %zu bytes", path, limit);
    /* What is announced is believed up to a megabyte; more is taken when so much has come. */
    size_t room = about->size < 1 << 20 ? (size_t)about->size + 1 : 1 << 20, done = 0;
    *bytes = malloc(room);
    if (!*bytes) return no_memory(path);
    for (zip_int64_t n = 1; n > 0;) { /* one byte more than announced: only at the end is the checksum looked at */
        if (done == room) {
            room = 2 * room < about->size + 1 ? 2 * room : (size_t)about->size + 1;
            unsigned char *larger = realloc(*bytes, room);
            if (!larger) return no_memory(path);
            *bytes = larger;
        }
        n = zip_fread(file, *bytes + done, room - done);
        if (n < 0) return snn_error(SNN_EDATA, "%s: cannot be unpacked: %s", path, zip_file_strerror(file));
        done += (size_t)n;
        if (done > about->size) break;
    }
    *size = done;
    if (done != about->size)
        return snn_error(SNN_EDATA, "%s: unpacks to %s than the %llu bytes that the archive announces", path,
                         done < about->size ? "less" : "more", (unsigned long long)about->size);
    return SNN_OK;
}

static int read_member(zip_t *zip, zip_uint64_t member, const char *path, size_t limit, unsigned char **bytes,
                       size_t *size) {
    zip_stat_t about;
    zip_stat_init(&about);
    zip_file_t *file = zip_stat_index(zip, member, 0, &about) ? NULL : zip_fopen_index(zip, member, 0);
    if (!file) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, zip_strerror(zip));
    int status = unpack(file, &about, path, limit, bytes, size);
    zip_fclose(file);
    return status;
}

int snn_tree_read(const struct snn_tree *tree, int32_t i, size_t limit, unsigned char **bytes, size_t *size) {
    SNN_CHECK(i >= 0 && i < tree->count, "file %d of %d", i, tree->count);
    const struct snn_tree_place *place = &tree->place[tree->file[i].place];
    char *path = snn_tree_path(tree, i);
    *bytes = NULL;
    if (!path) return no_memory(place->path);
    int status;
    if (place->zip) {
        pthread_mutex_lock(place->lock);
        status = read_member(place->zip, tree->file[i].member, path, limit, bytes, size);
        pthread_mutex_unlock(place->lock);
    } else {
        status = snn_file_read(path, limit, bytes, size);
    }
    if (status < 0) {
        free(*bytes);
        *bytes = NULL;
    }
    free(path);
    return status;
}
