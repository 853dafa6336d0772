/* SPDX-License-Identifier: Apache-2.0
 * shared_cases.h - a family of stored cases: a safetensors file each, whose metadata say in JSON what was computed. */
#ifndef SNN_TEST_SHARED_CASES_H
#define SNN_TEST_SHARED_CASES_H

#include <glob.h>
#include <jansson.h>

#include "core/safetensors.h"
#include "snn_check.h"

/* Call `check` on every file of a family; returns how many. 0, said on stderr: there are no shared data. */
static inline int each_shared_case(const char *family, void (*check)(const char *path, void *payload), void *payload) {
    const char *shared = shared_dir();
    if (!shared) {
        fprintf(stderr, "skipped: golden %s: no shared reference data\n", family);
        return 0;
    }
    char pattern[4400];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/golden/%s/*.safetensors", shared, family);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    int count = (int)found.gl_pathc;
    for (int i = 0; i < count; ++i) check(found.gl_pathv[i], payload);
    globfree(&found);
    return count;
}

/* What the case is; the caller's to release. */
static inline json_t *case_of(const struct snn_st *st) {
    const char *text = snn_st_meta_find(st, "case");
    ck_assert_ptr_nonnull(text);
    json_t *fact = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(fact);
    return fact;
}

#endif
