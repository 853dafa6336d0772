/* SPDX-License-Identifier: Apache-2.0
 * fetch.c - check what is there, transfer what is not, check again, and only then give it its name. */
#include "datasets/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include "core/file.h"

enum { BLOCK = 1 << 20, ATTEMPTS = 5 };

static char *path_of(const char *folder, const char *name, const char *suffix) {
    char *path;
    return asprintf(&path, "%s/%s%s", folder, name, suffix) < 0 ? NULL : path;
}

char *snn_fetch_path(const struct snn_download *download, const char *folder) {
    return path_of(folder, download->unpacked ? download->unpacked : download->file, "");
}

static int no_memory(const char *folder) { return snn_error(SNN_EFAIL, "%s: out of memory", folder); }

static void begin(const struct snn_fetch_view *view, const char *what, int64_t total) {
    if (view->begin) view->begin(view->payload, what, total);
}

/* ---- checksums ---- */

static int digest_open(int fd, const char *path, const struct snn_fetch_view *view,
                       char md5[MD5_DIGEST_STRING_LENGTH]) {
    struct stat info;
    unsigned char *block = malloc(BLOCK);
    int64_t done = 0;
    MD5_CTX context;
    ssize_t n = 0;
    int rc = block ? SNN_OK : no_memory(path);
    if (rc >= 0 && (fstat(fd, &info) || lseek(fd, 0, SEEK_SET) < 0)) n = -1;
    if (rc >= 0 && n == 0) begin(view, "checking", info.st_size);
    MD5Init(&context);
    while (rc >= 0 && n >= 0 && (n = read(fd, block, BLOCK)) > 0) {
        MD5Update(&context, block, (size_t)n);
        done += n;
        rc = snn_watch_moved(&view->watch, done, info.st_size);
    }
    if (rc >= 0 && n < 0) rc = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    MD5End(&context, md5);
    free(block);
    return rc;
}

/* SNN_EDATA, and the sentence about `path`, when its bytes are others than `wanted`. */
static int check(int fd, const char *path, const char *wanted, const struct snn_fetch_view *view) {
    char md5[MD5_DIGEST_STRING_LENGTH];
    SNN_TRY(digest_open(fd, path, view, md5));
    if (!strcmp(md5, wanted)) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: has md5 %s, expected %s", path, md5, wanted);
}

/* A file that was there before we came. It is not ours to replace. */
static int check_present(const char *path, const char *wanted, const struct snn_fetch_view *view) {
    struct stat info;
    /* Not blocking: a FIFO without a writer is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = SNN_FETCH_KEPT_UNPROVEN;
    if (fd < 0 || fstat(fd, &info)) {
        if (fd >= 0) close(fd);
        return snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) rc = snn_error(SNN_EDATA, "%s: is not a regular file", path);
    else if (wanted && (rc = check(fd, path, wanted, view)) >= 0) rc = SNN_FETCH_KEPT;
    close(fd);
    if (rc != SNN_EDATA) return rc;
    char why[1024];
    snprintf(why, sizeof why, "%s", snn_error_text());
    return snn_error(SNN_EDATA, "%.800s; it is not overwritten: move it away to fetch the distributed file", why);
}

/* ---- unpacking ---- */

static int unpack_gzip(const char *path, struct snn_replace *out, unsigned char *block,
                       const struct snn_fetch_view *view) {
    gzFile in = gzopen(path, "rb");
    if (!in) return snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
    int64_t done = 0;
    int n, code = Z_OK, rc = SNN_OK;
    begin(view, "unpacking", 0);
    while ((n = gzread(in, block, BLOCK)) > 0 && rc >= 0) {
        done += n;
        rc = snn_replace_write(out, block, (size_t)n);
        if (rc >= 0) rc = snn_watch_moved(&view->watch, done, 0);
    }
    const char *why = gzerror(in, &code);
    if (rc >= 0 && (code < 0 || gzdirect(in))) /* a file that ends too early gives no error but this code */
        rc = snn_error(SNN_EDATA, "%s: cannot be unpacked: %s", path, code < 0 ? why : "it is no gzip file");
    gzclose_r(in);
    return rc;
}

/* The only member that ends in the wanted name. */
static int unpack_member(zip_t *zip, const char *path, const char *name, struct snn_replace *out, unsigned char *block,
                         const struct snn_fetch_view *view) {
    zip_int64_t found = zip_name_locate(zip, name, ZIP_FL_NODIR), n = 0, done = 0;
    if (found < 0) return snn_error(SNN_EDATA, "%s: holds no %s", path, name);
    zip_stat_t about;
    zip_file_t *in =
        zip_stat_index(zip, (zip_uint64_t)found, 0, &about) ? NULL : zip_fopen_index(zip, (zip_uint64_t)found, 0);
    if (!in) return snn_error(SNN_EDATA, "%s: %s cannot be read: %s", path, name, zip_strerror(zip));
    int rc = SNN_OK;
    begin(view, "unpacking", (int64_t)about.size);
    while (rc >= 0 && (n = zip_fread(in, block, BLOCK)) > 0) {
        done += n;
        rc = snn_replace_write(out, block, (size_t)n);
        if (rc >= 0) rc = snn_watch_moved(&view->watch, done, (int64_t)about.size);
    }
    if (rc >= 0 && (n < 0 || done != (zip_int64_t)about.size))
        rc = snn_error(SNN_EDATA, "%s: %s cannot be unpacked: %s", path, name,
                       n < 0 ? zip_file_strerror(in) : "it ends too early");
    zip_fclose(in);
    return rc;
}

static int unpack_zip(const char *path, const char *name, struct snn_replace *out, unsigned char *block,
                      const struct snn_fetch_view *view) {
    int code;
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    if (!zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        int rc = snn_error(SNN_EDATA, "%s: cannot be read: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return rc;
    }
    int rc = unpack_member(zip, path, name, out, block, view);
    zip_discard(zip);
    return rc;
}

/* The packed file at `path` becomes `target`, all at once. */
static int unpack(const struct snn_download *d, const char *path, const char *target,
                  const struct snn_fetch_view *view) {
    size_t length = strlen(d->file);
    bool zipped = length > 4 && !strcmp(d->file + length - 4, ".zip");
    struct snn_replace *out = NULL;
    unsigned char *block = malloc(BLOCK);
    int rc = block ? snn_replace_open(target, &out) : no_memory(path);
    if (rc >= 0) rc = zipped ? unpack_zip(path, d->unpacked, out, block, view) : unpack_gzip(path, out, block, view);
    if (rc >= 0 && d->unpacked_md5) {
        int fd = open(snn_replace_temporary(out), O_RDONLY | O_CLOEXEC);
        rc = fd < 0 ? snn_error(SNN_EFAIL, "%s: cannot be opened: %s", target, strerror(errno))
                    : check(fd, target, d->unpacked_md5, view);
        if (fd >= 0) close(fd);
    }
    if (rc >= 0) rc = snn_replace_commit(&out);
    else snn_replace_abandon(&out);
    free(block);
    return rc;
}

/* ---- transferring ---- */

struct part { /* what has arrived */
    char *path;
    int fd;
    int64_t have;
};

static int part_open(struct part *part) {
    struct stat info;
    part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (part->fd < 0) return snn_error(SNN_EFAIL, "%s: cannot be written: %s", part->path, strerror(errno));
    if (flock(part->fd, LOCK_EX | LOCK_NB))
        return snn_error(SNN_EFAIL, "%s: is being fetched by another process", part->path);
    if (fstat(part->fd, &info) || !S_ISREG(info.st_mode))
        return snn_error(SNN_EFAIL, "%s: is not a regular file", part->path);
    part->have = info.st_size;
    return SNN_OK;
}

/* All that is missing, in several attempts as long as each brings something. */
static int complete(const struct snn_download *d, const char *url, struct part *part,
                    const struct snn_fetch_view *view) {
    int rc = SNN_EDATA;
    for (int attempt = 0; attempt < ATTEMPTS && rc == SNN_EDATA; ++attempt) {
        int64_t before = part->have;
        if (d->bytes && part->have == d->bytes) return SNN_OK;
        if (ftruncate(part->fd, part->have)) /* what an attempt left and disowned */
            return snn_error(SNN_EFAIL, "%s: cannot be written: %s", part->path, strerror(errno));
        begin(view, d->file, d->bytes);
        rc = snn_transfer(url, part->fd, &part->have, d->bytes, &view->watch);
        bool anew = before && !part->have; /* what was there belongs to another file */
        if (part->have <= before && !anew) break;
    }
    return rc;
}

/* From one address, checked. Bytes of an earlier time may be of another address, or another file: where they do not
 * fit, once more without them. */
static int take_from(const struct snn_download *d, const char *url, struct part *part,
                     const struct snn_fetch_view *view) {
    for (bool resumed = part->have > 0;; resumed = false) {
        SNN_TRY(complete(d, url, part, view));
        int rc = d->md5 ? check(part->fd, part->path, d->md5, view) : SNN_OK;
        if (rc != SNN_EDATA) return rc;
        part->have = 0;
        if (!resumed)
            return snn_error(SNN_EDATA, "%s: what it sends does not have the md5 %s of the distributed file", url,
                             d->md5);
    }
}

/* The mirror's address, then the file's own; until one has it. */
static int take_from_any(const struct snn_download *d, const char *mirror, struct part *part,
                         const struct snn_fetch_view *view) {
    char *first = mirror ? path_of(mirror, d->file, "") : NULL;
    if (mirror && !first) return no_memory(d->file);
    const char *url[1 + SNN_DOWNLOAD_URLS];
    int urls = 0, rc = SNN_EDATA;
    if (first) url[urls++] = first;
    for (int i = 0; i < SNN_DOWNLOAD_URLS && d->url[i]; ++i) url[urls++] = d->url[i];
    if (!urls) rc = snn_error(SNN_EDATA, "%s: has no address to be fetched from", d->file);
    for (int i = 0; i < urls && rc == SNN_EDATA; ++i) {
        rc = take_from(d, url[i], part, view);
        if (rc == SNN_EDATA && i + 1 < urls && view->say) view->say(view->payload, snn_error_text());
    }
    free(first);
    return rc;
}

/* The part is whole: it gets its name. */
static int settle(const struct snn_download *d, const struct part *part, const char *target, const char *folder,
                  const struct snn_fetch_view *view) {
    if (d->unpacked) {
        SNN_TRY(unpack(d, part->path, target, view));
        unlink(part->path);
        return SNN_FETCH_UNPACKED;
    }
    if (fsync(part->fd)) return snn_error(SNN_EFAIL, "%s: cannot be written: %s", part->path, strerror(errno));
    if (rename(part->path, target))
        return snn_error(SNN_EFAIL, "%s: cannot be renamed: %s", part->path, strerror(errno));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return SNN_FETCH_NEW;
}

static int download(const struct snn_download *d, const char *folder, const char *mirror, const char *target,
                    const struct snn_fetch_view *view) {
    struct part part = {.path = path_of(folder, d->file, ".part"), .fd = -1};
    if (!part.path) return no_memory(folder);
    int rc = part_open(&part);
    if (rc >= 0) {
        rc = take_from_any(d, mirror, &part, view);
        if (rc >= 0) rc = settle(d, &part, target, folder, view);
        else if (!part.have) unlink(part.path); /* nothing that a next time could go on with */
    }
    if (part.fd >= 0) close(part.fd);
    free(part.path);
    return rc;
}

int snn_fetch(const struct snn_download *d, const char *folder, const char *mirror, const struct snn_fetch_view *view) {
    char *target = snn_fetch_path(d, folder), *packed = path_of(folder, d->file, "");
    int rc;
    if (!target || !packed) rc = no_memory(folder);
    else if (snn_file_exists(target)) rc = check_present(target, d->unpacked ? d->unpacked_md5 : d->md5, view);
    else if (d->unpacked && snn_file_exists(packed)) {
        rc = check_present(packed, d->md5, view);
        if (rc >= 0) rc = unpack(d, packed, target, view);
        if (rc >= 0) rc = SNN_FETCH_UNPACKED;
    } else {
        rc = download(d, folder, mirror, target, view);
    }
    free(target);
    free(packed);
    return rc;
}
