/* SPDX-License-Identifier: Apache-2.0
 * fuzz_files.h - a folder for targets whose reader takes files. */
#ifndef SNN_FUZZ_FILES_H
#define SNN_FUZZ_FILES_H

#include <ftw.h>
#include <unistd.h>

#include "core/file.h"
#include "fuzz.h"

enum { FUZZ_PATH = 256 };

static inline int fuzz_remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw) {
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static char fuzz_place[FUZZ_PATH / 2];
static inline void fuzz_clean(void) { nftw(fuzz_place, fuzz_remove_one, 8, FTW_DEPTH | FTW_PHYS); }

/* A folder of this process, in memory where there is such a place; made by the first call, removed at the end. */
static inline const char *fuzz_folder(void) {
    if (!*fuzz_place) {
        snprintf(fuzz_place, sizeof fuzz_place, "%s/snntrain_fuzz_XXXXXX",
                 snn_is_directory("/dev/shm") ? "/dev/shm" : "/tmp");
        CLAIM(mkdtemp(fuzz_place) && !atexit(fuzz_clean));
    }
    return fuzz_place;
}

/* Write NAME in that folder. */
static inline void fuzz_file(const char *name, const void *bytes, size_t size) {
    char path[FUZZ_PATH];
    CLAIM(snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name) < FUZZ_PATH);
    FILE *file = fopen(path, "wb");
    CLAIM(file);
    CLAIM(fwrite(bytes, 1, size, file) == size && !fclose(file));
}

static inline void fuzz_subfolder(const char *name) {
    char path[FUZZ_PATH];
    CLAIM(snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name) < FUZZ_PATH);
    CLAIM(snn_make_directories(path) >= 0);
}

static inline void fuzz_remove(const char *name) {
    char path[FUZZ_PATH];
    CLAIM(snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name) < FUZZ_PATH);
    remove(path);
}

#endif
