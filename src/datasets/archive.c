/* SPDX-License-Identifier: Apache-2.0
 * archive.c - members of a tar archive, packed with gzip or not.
 *
 * zlib unpacks and libarchive reads the tar inside: libarchive's own gzip filter does not look at the checksum, and it
 * stops where the tar ends, which may be before a damaged place. */
#include "datasets/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/status.h"

struct source {
    const char *path;
    gzFile file;
    unsigned char block[1 << 17];
};

/* ---- the packed file ---- */

static int source_open(const char *path, struct source *source) {
    source->path = path;
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return snn_error(SNN_EDATA, "%s: is not a regular file", path);
    }
    source->file = gzdopen(fd, "rb");
    if (!source->file) {
        close(fd);
        return snn_error(SNN_EFAIL, "%s: out of memory", path);
    }
    gzbuffer(source->file, sizeof source->block);
    return SNN_OK;
}

/* zlib's complaint about what has been read so far, or NULL. Before it stands a name, which is that of a descriptor. */
static const char *complaint(const struct source *source) {
    int code;
    const char *text = gzerror(source->file, &code), *behind = strstr(text, ": ");
    if (code == Z_OK || code == Z_STREAM_END) return NULL;
    return code == Z_BUF_ERROR ? "it ends too early" : behind ? behind + 2 : text;
}

static la_ssize_t feed(struct archive *tar, void *payload, const void **block) {
    struct source *source = payload;
    int got = gzread(source->file, source->block, sizeof source->block);
    *block = source->block;
    if (got >= 0) return got;
    archive_set_error(tar, EIO, "%s", complaint(source));
    return ARCHIVE_FATAL;
}

/* What follows the tar: padding, and the checksum of the whole. */
static int read_to_end(struct source *source) {
    while (gzread(source->file, source->block, sizeof source->block) > 0) continue;
    const char *text = complaint(source);
    if (text) return snn_error(SNN_EDATA, "%s: the gzip stream is damaged: %s", source->path, text);
    return SNN_OK;
}

/* ---- the tar in it ---- */

static int refuse(const struct source *source, struct archive *tar) {
    const char *packing = complaint(source), *text = archive_error_string(tar);
    if (archive_errno(tar) == ENOMEM) return snn_error(SNN_EFAIL, "%s: out of memory", source->path);
    return snn_error(SNN_EDATA, "%s: cannot be read as a tar archive: %s", source->path,
                     packing ? packing
                     : text  ? text
                             : "invalid data");
}

static struct snn_member *find(struct snn_member *members, int count, const char *name) {
    if (name && !strncmp(name, "./", 2)) name += 2;
    for (int i = 0; name && i < count; ++i)
        if (!strcmp(members[i].name, name)) return &members[i];
    return NULL;
}

static int append(const char *path, struct snn_member *member, size_t *room, const void *bytes, size_t n) {
    if (n > *room - member->size) {
        size_t want = 2 * *room > member->size + n ? 2 * *room : member->size + n;
        unsigned char *larger = realloc(member->bytes, want);
        if (!larger) return snn_error(SNN_EFAIL, "%s/%s: out of memory for %zu bytes of it", path, member->name, want);
        member->bytes = larger;
        *room = want;
    }
    if (n) memcpy(member->bytes + member->size, bytes, n);
    member->size += n;
    return SNN_OK;
}

/* One step of libarchive may give a warning with what it has read; only less than that is a failure. */
static bool failed(int code) { return code < ARCHIVE_WARN; }

static int unpack(const struct source *source, struct archive *tar, struct snn_member *member, size_t limit) {
    const void *block;
    size_t n, room = 1 << 16;
    la_int64_t offset;
    int code;
    member->bytes = malloc(room);
    if (!member->bytes) return snn_error(SNN_EFAIL, "%s: out of memory", source->path);
    while ((code = archive_read_data_block(tar, &block, &n, &offset)) != ARCHIVE_EOF) {
        if (failed(code)) return refuse(source, tar);
        if (offset < 0 || (size_t)offset != member->size)
            return snn_error(SNN_EDATA, "%s/%s: is stored with holes, which no distributed archive has", source->path,
                             member->name);
        if (n > limit - member->size)
            return snn_error(SNN_EDATA, "%s/%s: is larger than %zu bytes", source->path, member->name, limit);
        SNN_TRY(append(source->path, member, &room, block, n));
    }
    return SNN_OK;
}

static int start(struct source *source, struct archive *tar) {
    archive_read_support_format_tar(tar);
    return failed(archive_read_open(tar, source, NULL, feed, NULL)) ? refuse(source, tar) : SNN_OK;
}

static int read_members(struct source *source, struct archive *tar, struct snn_member *members, int count,
                        size_t limit) {
    SNN_TRY(start(source, tar));
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(tar, &entry)) != ARCHIVE_EOF) {
        if (failed(code)) return refuse(source, tar);
        struct snn_member *member = find(members, count, archive_entry_pathname(entry));
        if (!member || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
        if (member->bytes) return snn_error(SNN_EDATA, "%s: holds %s twice", source->path, member->name);
        SNN_TRY(unpack(source, tar, member, limit));
    }
    return read_to_end(source);
}

/* ---- to disk ---- */

static int write_file(const struct source *source, struct archive *tar, int fd, const char *name) {
    const void *block;
    size_t n;
    la_int64_t offset, size = 0;
    int code;
    while ((code = archive_read_data_block(tar, &block, &n, &offset)) != ARCHIVE_EOF) {
        if (failed(code)) return refuse(source, tar);
        if (offset != size)
            return snn_error(SNN_EDATA, "%s/%s: is stored with holes, which no distributed archive has", source->path,
                             name);
        for (const char *at = block; n;) {
            ssize_t done = write(fd, at, n);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0)
                return snn_error(SNN_EFAIL, "%s: %s cannot be written: %s", source->path, name, strerror(errno));
            at += done, n -= (size_t)done, size += done;
        }
    }
    return fsync(fd) ? snn_error(SNN_EFAIL, "%s: %s cannot be written: %s", source->path, name, strerror(errno))
                     : SNN_OK;
}

/* The name below the folder, or NULL when the member is none of it. */
static const char *name_below(const char *name, const char *below) {
    size_t length = strlen(below);
    if (name && !strncmp(name, "./", 2)) name += 2;
    return name && !strncmp(name, below, length) && name[length] == '/' ? name + length + 1 : NULL;
}

static int unpack_members(struct source *source, struct archive *tar, const char *below, int folder) {
    SNN_TRY(start(source, tar));
    struct archive_entry *entry;
    int code, files = 0;
    while ((code = archive_read_next_header(tar, &entry)) != ARCHIVE_EOF) {
        if (failed(code)) return refuse(source, tar);
        const char *name = name_below(archive_entry_pathname(entry), below);
        if (!name || !*name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
        if (name[0] == '.') continue; /* a Mac's companions, and what would lead out of the folder */
        if (strchr(name, '/'))
            return snn_error(SNN_EDATA, "%s: holds %s/%s, expected no folder there", source->path, below, name);
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno == EEXIST) return snn_error(SNN_EDATA, "%s: holds %s/%s twice", source->path, below, name);
        if (fd < 0) return snn_error(SNN_EFAIL, "%s: %s cannot be written: %s", source->path, name, strerror(errno));
        int status = write_file(source, tar, fd, name);
        close(fd);
        SNN_TRY(status);
        ++files;
    }
    SNN_TRY(read_to_end(source));
    return files ? SNN_OK : snn_error(SNN_EDATA, "%s: holds no files in a folder %s", source->path, below);
}

/* ---- both ---- */

struct work {
    struct snn_member *members; /* NULL: to disk */
    int count;
    size_t limit;
    const char *below;
    int folder;
};

static int with_archive(const char *path, const struct work *work) {
    struct source *source = malloc(sizeof *source);
    struct archive *tar = archive_read_new();
    int status = SNN_OK;
    if (!source || !tar) status = snn_error(SNN_EFAIL, "%s: out of memory", path);
    if (status == SNN_OK) status = source_open(path, source);
    if (status == SNN_OK) {
        status = work->members ? read_members(source, tar, work->members, work->count, work->limit)
                               : unpack_members(source, tar, work->below, work->folder);
        gzclose_r(source->file);
    }
    archive_read_free(tar);
    free(source);
    return status;
}

int snn_archive_read(const char *path, struct snn_member *members, int count, size_t limit) {
    return with_archive(path, &(struct work){.members = members, .count = count, .limit = limit});
}

int snn_archive_unpack(const char *path, const char *below, const char *into) {
    int folder = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return snn_error(SNN_EFAIL, "%s: cannot be opened: %s", into, strerror(errno));
    int status = with_archive(path, &(struct work){.below = below, .folder = folder});
    close(folder);
    return status;
}
