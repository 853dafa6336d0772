/* SPDX-License-Identifier: Apache-2.0
 * file.c - reading whole files and replacing them atomically.
 *
 * A replacement works relative to its folder, opened once: the temporary file, the rename and the final sync of the
 * folder concern the same folder whatever happens to the working directory or to the path meanwhile. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"

/* Bytes read into `bytes` up to `size` or the end of the file; -1 with errno. */
static ssize_t read_all(int fd, unsigned char *bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_open(int fd, const char *path, size_t limit, unsigned char **bytes, size_t *size) {
    struct stat info;
    if (fstat(fd, &info)) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return snn_error(SNN_EDATA, "%s: is not a regular file", path);
    if ((uintmax_t)info.st_size > limit)
        return snn_error(SNN_EDATA, "%s: has %jd bytes, expected at most %zu", path, (intmax_t)info.st_size, limit);
    size_t want = (size_t)info.st_size;
    unsigned char *memory = malloc(want + 1);
    if (!memory) return snn_error(SNN_EFAIL, "%s: out of memory for its %zu bytes", path, want);
    ssize_t got = read_all(fd, memory, want);
    int status = SNN_OK;
    if (got < 0) status = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    else if ((size_t)got < want)
        status = snn_error(SNN_EDATA, "%s: ended after %zd bytes, expected %zu: it shrank while it was read", path, got,
                           want);
    if (status < 0) {
        free(memory);
        return status;
    }
    memory[want] = 0;
    *bytes = memory;
    *size = want;
    return SNN_OK;
}

int snn_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size) {
    *bytes = NULL;
    *size = 0;
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
    int status = read_open(fd, path, limit, bytes, size);
    close(fd);
    return status;
}

bool snn_has_extension(const char *path, const char *extensions) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t length = dot ? strlen(dot) : 0;
    for (const char *at = extensions; length > 1 && *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == length && !strncasecmp(at, dot, length)) return true;
    return false;
}

bool snn_file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool snn_is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int make_directory(const char *path) {
    if (mkdir(path, 0777) == 0) return SNN_OK;
    int reason = errno; /* some file systems say EROFS or EACCES of a folder that exists */
    if (snn_is_directory(path)) return SNN_OK;
    return snn_error(SNN_EFAIL, "%s: the folder cannot be made: %s", path, strerror(reason));
}

int snn_make_directories(const char *path) {
    char *part = strdup(path);
    if (!part) return snn_error(SNN_EFAIL, "%s: out of memory", path);
    int status = SNN_OK;
    for (char *slash = strchr(part, '/'); slash && status == SNN_OK; slash = strchr(slash + 1, '/')) {
        if (slash == part) continue; /* the root */
        *slash = 0;
        status = make_directory(part);
        *slash = '/';
    }
    if (status == SNN_OK) status = make_directory(part);
    free(part);
    return status;
}

struct snn_replace {
    char *path;       /* as given, for messages */
    const char *name; /* its last part, inside `path` */
    char *temporary;  /* name in the same folder */
    char *beside;     /* the same with the folder */
    int folder, fd;
    int status; /* of the writes so far: a file with a hole is never committed */
};

static int failed(const struct snn_replace *file, const char *what) {
    return snn_error(SNN_EFAIL, "%s: %s: %s", file->path, what, strerror(errno));
}

static void release(struct snn_replace *file) {
    if (file->fd >= 0) close(file->fd);
    if (file->folder >= 0) close(file->folder);
    free(file->temporary);
    free(file->beside);
    free(file->path);
    free(file);
}

static int open_folder(struct snn_replace *file) {
    size_t length = (size_t)(file->name - file->path); /* with the slash, so that "/x" gives "/" */
    char *folder = length ? strndup(file->path, length) : strdup(".");
    if (!folder) return failed(file, "cannot be written");
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return file->folder < 0 ? failed(file, "its folder cannot be opened") : SNN_OK;
}

static int open_temporary(struct snn_replace *file) {
    /* A rename would replace a device or a socket by a file, and silently: `-o /dev/null` must not do that. */
    struct stat info;
    if (fstatat(file->folder, file->name, &info, 0) == 0 && !S_ISREG(info.st_mode))
        return snn_error(SNN_EFAIL, "%s: exists and is not a regular file: it is not replaced", file->path);
    if (asprintf(&file->temporary, "%s.tmp.%ld", file->name, (long)getpid()) < 0) {
        file->temporary = NULL;
        return failed(file, "cannot be written");
    }
    if (asprintf(&file->beside, "%.*s%s", (int)(file->name - file->path), file->path, file->temporary) < 0) {
        file->beside = NULL;
        return failed(file, "cannot be written");
    }
    /* A file of this name was left by a dead process that had our number: removed, and tried once more. */
    for (int attempt = 0; attempt < 2; ++attempt) {
        file->fd = openat(file->folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (file->fd >= 0) return SNN_OK;
        if (errno != EEXIST || unlinkat(file->folder, file->temporary, 0)) break;
    }
    return failed(file, "cannot be written");
}

int snn_replace_open(const char *path, struct snn_replace **out) {
    *out = NULL;
    struct snn_replace *file = malloc(sizeof *file);
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        return snn_error(SNN_EFAIL, "%s: out of memory", path);
    }
    char *slash = strrchr(copy, '/');
    *file = (struct snn_replace){.path = copy, .name = slash ? slash + 1 : copy, .folder = -1, .fd = -1};
    int status = *file->name ? open_folder(file) : snn_error(SNN_EFAIL, "%s: is not the name of a file", path);
    if (status == SNN_OK) status = open_temporary(file);
    if (status < 0) release(file);
    else *out = file;
    return status;
}

int snn_replace_write(struct snn_replace *file, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    while (size > 0 && file->status == SNN_OK) {
        ssize_t n = write(file->fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            file->status = failed(file, "cannot be written");
        } else {
            at += n;
            size -= (size_t)n;
        }
    }
    return file->status;
}

const char *snn_replace_temporary(const struct snn_replace *file) { return file->beside; }

static int commit(struct snn_replace *file) {
    SNN_TRY(file->status);
    if (fsync(file->fd)) return failed(file, "cannot be written");
    int fd = file->fd;
    file->fd = -1;
    if (close(fd)) return failed(file, "cannot be written");
    if (renameat(file->folder, file->temporary, file->folder, file->name)) return failed(file, "cannot be replaced");
    free(file->temporary);
    file->temporary = NULL;
    /* EINVAL: a file system whose folders have nothing to sync. */
    if (fsync(file->folder) && errno != EINVAL) return failed(file, "was replaced, but its folder cannot be synced");
    return SNN_OK;
}

int snn_replace_commit(struct snn_replace **file) {
    int status = commit(*file);
    snn_replace_abandon(file);
    return status;
}

void snn_replace_abandon(struct snn_replace **file) {
    if (!*file) return;
    if ((*file)->temporary) unlinkat((*file)->folder, (*file)->temporary, 0);
    release(*file);
    *file = NULL;
}

int snn_replace_file(const char *path, const void *bytes, size_t size) {
    struct snn_replace *file;
    SNN_TRY(snn_replace_open(path, &file));
    snn_replace_write(file, bytes, size); /* commit reports its failure */
    return snn_replace_commit(&file);
}
