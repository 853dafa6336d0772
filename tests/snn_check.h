/* SPDX-License-Identifier: Apache-2.0
 * snn_check.h - what every test file needs around Check. */
#ifndef SNN_TEST_CHECK_H
#define SNN_TEST_CHECK_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/status.h"

#define ck_ok(expr)                                                                                                    \
    do {                                                                                                               \
        int ck_rc_ = (expr);                                                                                           \
        ck_assert_msg(ck_rc_ >= 0, "%s: %d: %s", #expr, ck_rc_, snn_error_text());                                     \
    } while (0)

/* `expr` fails with `code` and a sentence that has `part`. */
#define ck_error(expr, code, part)                                                                                     \
    do {                                                                                                               \
        int ck_rc_ = (expr);                                                                                           \
        ck_assert_msg(ck_rc_ == (code) && strstr(snn_error_text(), part),                                              \
                      "%s: %d (expected %d), \"%s\" (expected \"%s\")", #expr, ck_rc_, code, snn_error_text(), part);  \
    } while (0)

/* The folder of shared reference data, or NULL (tests that need it then say that they skip). */
static inline const char *shared_dir(void) {
    static char path[4096];
    const char *set = getenv("SNN_SHARED"), *source = getenv("SNN_SOURCE");
    snprintf(path, sizeof path, "%s", set ? set : "");
    if (!set) snprintf(path, sizeof path, "%s/../shared", source ? source : ".");
    char probe[4200];
    snprintf(probe, sizeof probe, "%s/golden/README.md", path);
    FILE *f = fopen(probe, "r");
    if (!f) return NULL;
    fclose(f);
    return path;
}

/* Tests of the CUDA backend run on the emulated card of the build, or, with SNN_TEST_CARD=real, on the machine's own.
 * NULL: there is one; else why not. A process that has used a real card must not fork: no card is opened here. */
static inline bool real_card(void) {
    const char *wish = getenv("SNN_TEST_CARD");
    return wish && !strcmp(wish, "real");
}
static inline const char *why_no_card(void) {
    const char *emulator = getenv("SNN_CUDAEMU");
    if (real_card()) return access("/dev/nvidiactl", F_OK) ? "this machine has no NVIDIA card" : NULL;
    if (!emulator || !*emulator) return "this build has no emulated card (no C++ compiler)";
    setenv("SNNTRAIN_CUDA", emulator, 1);
    return NULL;
}

/* Run a suite; the exit status says whether all passed. */
static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    if (real_card()) srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
