/* SPDX-License-Identifier: Apache-2.0
 * data_folder.h - a fresh folder that is the only place of data, and the lines that verifying a set gives. */
#ifndef SNN_TEST_DATA_FOLDER_H
#define SNN_TEST_DATA_FOLDER_H

#include "datasets/dataset.h"
#include "folder.h"

static inline void make_data_folder(void) {
    make_folder();
    unsetenv("SNNTRAIN_DATA");
}

struct lines {
    int count;
    char text[4096];
};

static inline void collect(void *payload, const char *line) {
    struct lines *lines = payload;
    size_t used = strlen(lines->text);
    snprintf(lines->text + used, sizeof lines->text - used, "%s\n", line);
    ++lines->count;
}

/* Where the shared copy of set `name` lies; false, and said on stderr, when there is none for `test`. */
static inline bool find_shared_set(const char *test, const char *name, char *root, size_t size) {
    const char *shared = shared_dir();
    if (shared) snprintf(root, size, "%s/data/%s", shared, name);
    else fprintf(stderr, "skipped: %s: no shared reference data\n", test);
    return shared != NULL;
}

#endif
