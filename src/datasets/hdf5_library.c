/* SPDX-License-Identifier: Apache-2.0
 * hdf5_library.c - the lock around libhdf5, and names that stay in their file. */
#include "datasets/hdf5_library.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

void snn_hdf5_enter(void) {
    pthread_mutex_lock(&library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* the setting is of a thread */
}

void snn_hdf5_leave(void) { pthread_mutex_unlock(&library); }

/* The library asks before it opens the file that an external link names. */
static herr_t refuse(const char *parent_file, const char *parent_group, const char *file, const char *object,
                     unsigned *flags, hid_t access, void *met) {
    (void)parent_file, (void)parent_group, (void)file, (void)object, (void)flags, (void)access;
    *(bool *)met = true;
    return -1;
}

static hid_t stay(hid_t class, bool *met) {
    hid_t access = H5Pcreate(class);
    if (access >= 0 && H5Pset_elink_cb(access, refuse, met) >= 0) return access;
    if (access >= 0) H5Pclose(access);
    return -1;
}

/* H5Lexists wants to be asked step by step. */
bool snn_hdf5_has(int64_t file, const char *path) {
    bool met = false, all = true;
    char part[128];
    hid_t access = stay(H5P_LINK_ACCESS, &met);
    for (const char *slash = path; slash && all; slash = strchr(slash + 1, '/')) {
        const char *end = strchr(slash + 1, '/');
        int length = snprintf(part, sizeof part, "%.*s", end ? (int)(end - path) : (int)strlen(path), path);
        all = access >= 0 && length < (int)sizeof part && H5Lexists(file, part, access) > 0;
    }
    if (access >= 0) H5Pclose(access);
    return all;
}

int64_t snn_hdf5_open_set(int64_t file, const char *path, const char **wrong) {
    bool met = false;
    hid_t access = stay(H5P_DATASET_ACCESS, &met), set = access >= 0 ? H5Dopen2(file, path, access) : -1;
    if (access >= 0) H5Pclose(access);
    *wrong = met ? "is a link to another file, which is not followed" : NULL;
    if (set < 0) return -1;
    hid_t how = H5Dget_create_plist(set);
    H5D_layout_t layout = how >= 0 ? H5Pget_layout(how) : H5D_LAYOUT_ERROR;
    bool ours =
        layout == H5D_COMPACT || layout == H5D_CHUNKED || (layout == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0);
    if (how >= 0) H5Pclose(how);
    if (ours) return set;
    if (layout != H5D_LAYOUT_ERROR) *wrong = "is virtual or stored in another file, which is not read";
    H5Dclose(set);
    return -1;
}
