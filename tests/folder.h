/* SPDX-License-Identifier: Apache-2.0
 * folder.h - a fresh folder for every case, gone with all that is in it when the case ends (a fixture of Check). */
#ifndef SNN_TEST_FOLDER_H
#define SNN_TEST_FOLDER_H

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snn_check.h"

static char folder[256];

static inline void make_folder(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/snntrain_XXXXXX", base && *base ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline int folder_remove_one(const char *path, const struct stat *info, int type, struct FTW *level) {
    (void)info, (void)type, (void)level;
    return remove(path);
}

static inline void remove_folder(void) {
    chmod(folder, 0700); /* a case may have closed it */
    nftw(folder, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* How many names it holds. */
static inline int names_in_folder(void) {
    int count = 0;
    DIR *open = opendir(folder);
    ck_assert_ptr_nonnull(open);
    for (struct dirent *entry; (entry = readdir(open));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(open);
    return count;
}

/* For cases that leave at most the file `path`: whatever else stayed is an error. */
static inline void remove_folder_of(const char *path) {
    unlink(path);
    int left = names_in_folder();
    remove_folder();
    ck_assert_int_eq(left, 0);
}

/* folder/name, valid until the call after the next. */
static inline const char *in(const char *name) {
    static char path[2][600];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static inline void write_file(const char *name, const void *bytes, size_t size) {
    FILE *f = fopen(in(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static inline size_t read_whole(const char *name, unsigned char *bytes, size_t room) {
    FILE *f = fopen(in(name), "rb");
    ck_assert_ptr_nonnull(f);
    size_t size = fread(bytes, 1, room, f);
    fclose(f);
    return size;
}

#endif
