/* SPDX-License-Identifier: Apache-2.0
 * cli_rig.h - the program started as a user starts it, and what it said: exit status, stdout, stderr.
 *
 * Sentences are compared word for word: they are what a user has when something is wrong. Every test runs in a folder
 * of its own, so that the paths in them are short. */
#ifndef SNN_TEST_CLI_RIG_H
#define SNN_TEST_CLI_RIG_H

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <png.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "made_data.h"

extern char **environ;

/* ---- running it ---- */

static char program[PATH_MAX];

struct said {
    int status; /* 128 + N: ended by signal N */
    char *out, *err;
};

/* `out` NULL: stdout is closed. */
static inline pid_t start(const char *const *argv, const char *out) {
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (out) posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    else posix_spawn_file_actions_addclose(&actions, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "stderr.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int rc = posix_spawn(&child, program, &actions, NULL, (char *const *)argv, environ);
    ck_assert_msg(!rc, "%s: %s", program, strerror(rc));
    posix_spawn_file_actions_destroy(&actions);
    return child;
}

static inline struct said finish(pid_t child) {
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return (struct said){.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                         .out = made_read("stdout.txt", NULL),
                         .err = made_read("stderr.txt", NULL)};
}

static inline struct said run(const char *const *argv) { return finish(start(argv, "stdout.txt")); }
#define snntrain(...) run((const char *const[]){program, __VA_ARGS__, NULL})

static inline void forget(struct said said) { free(said.out), free(said.err); }

/* Done, and not a word on stderr. */
static inline void expect_done(struct said said) {
    ck_assert_msg(said.status == 0 && !*said.err, "status %d: %s", said.status, said.err);
    forget(said);
}

/* Nothing on stdout, and this one sentence on stderr. */
static inline void expect_fails(struct said said, int status, const char *sentence, const char *what) {
    char whole[2048];
    snprintf(whole, sizeof whole, "snntrain: %s\n", sentence);
    ck_assert_msg(said.status == status && !*said.out && !strcmp(said.err, whole),
                  "%s: status %d, expected %d\nsaid:     %sexpected: %s%s", what, said.status, status, said.err, whole,
                  said.out);
    forget(said);
}

/* The one JSON object on stdout. */
static inline json_t *expect_json(struct said said) {
    ck_assert_msg(said.status == 0, "status %d: %s", said.status, said.err);
    json_t *json = json_loads(said.out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json_is_object(json), "not one JSON object: %s", said.out);
    forget(said);
    return json;
}

static inline void expect_keys(const json_t *object, const char *keys) {
    char list[512];
    snprintf(list, sizeof list, "%s", keys);
    for (char *key = strtok(list, " "); key; key = strtok(NULL, " "))
        ck_assert_msg(json_object_get(object, key), "key '%s' is missing", key);
}

static inline double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "'%s' is not a number", key);
    return json_number_value(value);
}

static inline const char *text(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_string(value), "'%s' is not text", key);
    return json_string_value(value);
}

/* A PNG with something on it. */
static inline void expect_png(const char *path) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert_msg(png_image_begin_read_from_file(&image, path), "%s: %s", path, image.message);
    image.format = PNG_FORMAT_GRAY;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
    ck_assert_msg(png_image_finish_read(&image, NULL, pixels, 0, NULL), "%s: %s", path, image.message);
    bool drawn = false;
    for (size_t i = 1; i < PNG_IMAGE_SIZE(image); ++i) drawn = drawn || pixels[i] != pixels[0];
    ck_assert_msg(drawn, "%s is blank", path);
    free(pixels);
}

/* The program under test, of the build that `test` (argv[0]) belongs to. */
static inline bool find_program(const char *test) {
    const char *build = getenv("SNN_BUILD"), *slash = strrchr(test, '/');
    char path[MADE_PATH];
    if (build) snprintf(path, sizeof path, "%s/tools/snntrain", build);
    else snprintf(path, sizeof path, "%.*s/../tools/snntrain", slash ? (int)(slash - test) : 1, slash ? test : ".");
    if (realpath(path, program)) return true;
    perror(path);
    return false;
}

#endif
