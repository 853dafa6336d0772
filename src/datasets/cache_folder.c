/* SPDX-License-Identifier: Apache-2.0
 * cache_folder.c - the entries of a cache's folder: listed, removed one by one, and kept within a limit.
 *
 * Somebody may name a folder that holds other things. An entry is a folder with a name and files as we give them;
 * nothing else is touched. It is renamed before it is emptied: nobody opens half an entry. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/status.h"
#include "datasets/cache_parts.h"

#define TEMPORARY ".snntrain-" /* begins the names of entries that are being made or removed */
enum {
    STALE_S = 3600, /* a temporary folder of this age was left by a process that died */
    LOOKED_AT = 400 /* bytes of a recipe that name set, split and form */
};
static const char *const file_names[] = {SNN_CACHE_RECIPE, SNN_CACHE_INDEX, SNN_CACHE_DATA};
enum { FILES = sizeof file_names / sizeof *file_names };

int snn_cache_folder(const char *setting, char **path) {
    *path = NULL;
    int n;
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (strcmp(setting, "auto") != 0) n = asprintf(path, "%s", setting);
    else if (xdg && *xdg == '/') n = asprintf(path, "%s/snntrain", xdg); /* its specification ignores other paths */
    else if (home && *home) n = asprintf(path, "%s/.cache/snntrain", home);
    else
        return snn_error(SNN_EUSAGE, "data.cache: auto needs HOME or XDG_CACHE_HOME in the environment, or name a "
                                     "folder");
    if (n >= 0) return SNN_OK;
    *path = NULL;
    return snn_error(SNN_EFAIL, "out of memory for the cache");
}

/* ---- names ---- */

/* <set>-<32 hexadecimal digits> */
static bool is_entry(const char *name) {
    size_t length = strlen(name);
    if (length < SNN_CACHE_HASH + 2 || length > 200 || name[length - SNN_CACHE_HASH - 1] != '-') return false;
    return strspn(name + length - SNN_CACHE_HASH, "0123456789abcdef") == SNN_CACHE_HASH && name[0] != '.';
}

static bool is_of_set(const char *name, const char *set) {
    size_t length = strlen(set);
    return strlen(name) == length + 1 + SNN_CACHE_HASH && !strncmp(name, set, length);
}

bool snn_cache_temporary(int folder, char name[64]) {
    for (int i = 0; i < 100; ++i) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(name, 64, TEMPORARY "%ld-%lld%09ld", (long)getpid(), (long long)now.tv_sec, now.tv_nsec);
        if (!mkdirat(folder, name, 0777)) return true;
        if (errno != EEXIST) return false;
    }
    return false;
}

/* ---- removing ---- */

bool snn_cache_remove_files(int folder, const char *name) {
    int inside = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    for (int i = 0; inside >= 0 && i < FILES; ++i) unlinkat(inside, file_names[i], 0);
    if (inside >= 0) close(inside);
    return !unlinkat(folder, name, AT_REMOVEDIR);
}

bool snn_cache_in_place(int folder, const char *name, int recipe) {
    struct stat here, there;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", name, SNN_CACHE_RECIPE);
    return !fstat(recipe, &here) && !fstatat(folder, path, &there, AT_SYMLINK_NOFOLLOW) &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

enum snn_cache_removed snn_cache_remove_entry(int folder, const char *name) {
    char path[300], away[64];
    snprintf(path, sizeof path, "%s/%s", name, SNN_CACHE_RECIPE);
    int use = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (use >= 0 && flock(use, LOCK_EX | LOCK_NB)) {
        enum snn_cache_removed why = errno == EWOULDBLOCK ? SNN_CACHE_IN_USE : SNN_CACHE_FAILED;
        int reason = errno;
        close(use);
        errno = reason;
        return why;
    }
    if (use >= 0 && !snn_cache_in_place(folder, name, use)) { /* removed meanwhile, and perhaps made again */
        close(use);
        return SNN_CACHE_IN_USE;
    }
    bool good = snn_cache_temporary(folder, away);
    if (good && renameat(folder, name, folder, away)) { /* over the empty folder of that name */
        good = errno == ENOENT;                         /* somebody else has removed it */
        int reason = errno;
        unlinkat(folder, away, AT_REMOVEDIR);
        errno = reason;
    } else if (good) good = snn_cache_remove_files(folder, away);
    int reason = errno;
    if (use >= 0) close(use);
    errno = reason;
    return good ? SNN_CACHE_REMOVED : SNN_CACHE_FAILED;
}

/* ---- what there is ---- */

struct found { /* an entry, by its files' sizes and times alone */
    char name[256];
    int64_t bytes;
    struct timespec last_use;
};

static void look(int folder, const char *name, struct found *out) {
    *out = (struct found){0};
    snprintf(out->name, sizeof out->name, "%s", name);
    for (int i = 0; i < FILES; ++i) {
        char path[300];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", name, file_names[i]);
        if (fstatat(folder, path, &info, AT_SYMLINK_NOFOLLOW)) continue;
        out->bytes += (int64_t)info.st_size;
        if (!strcmp(file_names[i], SNN_CACHE_RECIPE)) out->last_use = info.st_mtim;
    }
}

static int by_last_use(const void *a, const void *b) {
    const struct timespec *x = &((const struct found *)a)->last_use, *y = &((const struct found *)b)->last_use;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void sweep(int folder, const char *name, int64_t older_than) {
    struct stat info;
    if (!fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) && S_ISDIR(info.st_mode) &&
        (int64_t)time(NULL) - (int64_t)info.st_mtime >= older_than)
        snn_cache_remove_files(folder, name);
}

/* Entries, the least recently used first; what dead processes left of others is removed. -1 with errno. */
static int scan(int folder, int64_t stale, struct found **list) {
    int count = 0, room = 0;
    *list = NULL;
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = again >= 0 ? fdopendir(again) : NULL;
    if (!names) {
        if (again >= 0) close(again);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(names));) {
        if (!strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY))) sweep(folder, entry->d_name, stale);
        if (!is_entry(entry->d_name)) continue;
        if (count == room) {
            room = room ? 2 * room : 64;
            struct found *larger = reallocarray(*list, (size_t)room, sizeof *larger);
            if (!larger) break; /* those found so far will do */
            *list = larger;
        }
        look(folder, entry->d_name, &(*list)[count++]);
    }
    closedir(names);
    if (count) qsort(*list, (size_t)count, sizeof **list, by_last_use);
    return count;
}

int64_t snn_cache_shrink(const char *path, const char *keep, int64_t most) {
    struct found *list = NULL;
    int64_t bytes = 0;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = folder < 0 ? 0 : scan(folder, STALE_S, &list);
    for (int i = 0; i < count; ++i)
        if (strcmp(list[i].name, keep) != 0) bytes += list[i].bytes;
    for (int i = 0; i < count && bytes > most; ++i)
        if (strcmp(list[i].name, keep) != 0 && snn_cache_remove_entry(folder, list[i].name) == SNN_CACHE_REMOVED)
            bytes -= list[i].bytes;
    free(list);
    if (folder >= 0) close(folder);
    return bytes;
}

/* ---- for people ---- */

static int cannot_read(const char *path) {
    return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
}

/* The value of "KEY: value" among the lines of `text`; the caller frees it. */
static char *line_of(const char *text, const char *key) {
    size_t length = strlen(key);
    for (const char *line = text, *end; line; end = strchr(line, '\n'), line = end ? end + 1 : NULL)
        if (!strncmp(line, key, length) && line[length] == ':' && line[length + 1] == ' ')
            return strndup(line + length + 2, strcspn(line + length + 2, "\n"));
    return strdup("?");
}

static void count_filled(int folder, struct snn_cache_entry *entry) {
    static const unsigned char empty[SNN_CACHE_RECORD];
    unsigned char record[SNN_CACHE_RECORD];
    char path[300];
    snprintf(path, sizeof path, "%s/%s", entry->name, SNN_CACHE_INDEX);
    int file = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    FILE *index = file < 0 ? NULL : fdopen(file, "rb");
    if (!index && file >= 0) close(file);
    struct stat info;
    if (!index || fstat(file, &info) || info.st_size < SNN_CACHE_HEADER + SNN_CACHE_RECORD) {
        if (index) fclose(index);
        return;
    }
    int64_t samples = (info.st_size - SNN_CACHE_HEADER) / SNN_CACHE_RECORD - 1;
    entry->samples = samples < INT32_MAX ? (int32_t)samples : INT32_MAX;
    fseek(index, SNN_CACHE_HEADER, SEEK_SET);
    for (int32_t i = 0; i < entry->samples && fread(record, sizeof record, 1, index) == 1; ++i)
        entry->filled += memcmp(record, empty, sizeof record) != 0;
    fclose(index);
}

static bool describe(int folder, const struct found *found, struct snn_cache_entry *entry) {
    char path[300], text[LOOKED_AT + 1] = "";
    snprintf(path, sizeof path, "%s/%s", found->name, SNN_CACHE_RECIPE);
    int file = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    ssize_t n = file < 0 ? 0 : read(file, text, LOOKED_AT);
    if (file >= 0) close(file);
    text[n > 0 ? n : 0] = 0;
    *entry = (struct snn_cache_entry){.name = strdup(found->name),
                                      .set = line_of(text, "set"),
                                      .split = line_of(text, "split"),
                                      .holds = line_of(text, "holds"),
                                      .bytes = found->bytes,
                                      .last_use = (int64_t)found->last_use.tv_sec};
    if (!entry->name || !entry->set || !entry->split || !entry->holds) return false;
    count_filled(folder, entry);
    return true;
}

int snn_cache_list(const char *path, struct snn_cache_entry **list, int *count) {
    *list = NULL;
    *count = 0;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return errno == ENOENT ? SNN_OK : cannot_read(path);
    struct found *found;
    int n = scan(folder, STALE_S, &found), status = n < 0 ? cannot_read(path) : SNN_OK;
    *list = n > 0 ? calloc((size_t)n, sizeof **list) : NULL;
    bool good = n <= 0 || *list;
    for (int i = n - 1; good && i >= 0; --i) good = describe(folder, &found[i], &(*list)[(*count)++]);
    if (!good) {
        snn_cache_list_free(list, *count);
        *count = 0;
        status = snn_error(SNN_EFAIL, "out of memory for a list of the cache");
    }
    free(found);
    close(folder);
    return status;
}

void snn_cache_list_free(struct snn_cache_entry **list, int count) {
    for (int i = 0; *list && i < count; ++i) {
        struct snn_cache_entry *entry = &(*list)[i];
        free(entry->name), free(entry->set), free(entry->split), free(entry->holds);
    }
    free(*list);
    *list = NULL;
}

int snn_cache_remove(const char *path, const char *name, struct snn_cache_removal *out) {
    *out = (struct snn_cache_removal){0};
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return errno == ENOENT ? SNN_OK : cannot_read(path);
    struct found *found;
    int count = scan(folder, name ? STALE_S : 0, &found), status = count < 0 ? cannot_read(path) : SNN_OK;
    for (int i = 0; i < count; ++i) {
        if (name && strcmp(found[i].name, name) != 0 && !is_of_set(found[i].name, name)) continue;
        enum snn_cache_removed gone = snn_cache_remove_entry(folder, found[i].name);
        if (gone == SNN_CACHE_REMOVED) ++out->removed, out->bytes += found[i].bytes;
        if (gone == SNN_CACHE_IN_USE) ++out->in_use;
        if (gone == SNN_CACHE_FAILED)
            status = snn_error(SNN_EFAIL, "%s/%s: cannot be removed: %s", path, found[i].name, strerror(errno));
    }
    free(found);
    close(folder);
    return status;
}
