/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/unpacked.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/archive.h"

/* A folder of plain files. */
static void remove_folder(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir) closedir(dir);
    rmdir(path);
}

static int unpack(const char *archive, const char *name, const char *folder) {
    char *partial;
    if (asprintf(&partial, "%s.unpacking", folder) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", archive);
    remove_folder(partial); /* of a process that was killed: the lock is ours */
    int status = SNN_OK;
    if (mkdir(partial, 0755))
        status = snn_error(SNN_EDATA,
                           "%s: cannot be unpacked beside itself: %s; unpack it elsewhere (tar xzf) and name that "
                           "folder with --data",
                           archive, strerror(errno));
    if (status == SNN_OK) {
        fprintf(stderr, "snntrain: %s: unpacking it into %s, once\n", archive, folder);
        status = snn_archive_unpack(archive, name, partial);
    }
    if (status == SNN_OK && rename(partial, folder))
        status = snn_error(SNN_EFAIL, "%s: cannot be renamed to %s: %s", partial, folder, strerror(errno));
    if (status < 0) remove_folder(partial);
    free(partial);
    return status;
}

int snn_unpacked_find(const char *root, const char *archive, const char *name, char **out) {
    char *path = NULL, *folder = NULL;
    int status = asprintf(&path, "%s/%s", root, archive) < 0 || asprintf(&folder, "%s/%s", root, name) < 0
                     ? snn_error(SNN_EFAIL, "%s: out of memory", root)
                     : SNN_OK;
    if (status == SNN_OK && !snn_is_directory(folder)) {
        int lock = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (lock < 0 || flock(lock, LOCK_EX))
            status = snn_error(SNN_EDATA, "%s: cannot be opened: %s", path, strerror(errno));
        else if (!snn_is_directory(folder)) status = unpack(path, name, folder);
        if (lock >= 0) close(lock);
    }
    free(path);
    if (status < 0) free(folder);
    else *out = folder;
    return status;
}
