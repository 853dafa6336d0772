/* SPDX-License-Identifier: Apache-2.0
 * cases.h - the emulator's own test programs: each runs in a process of its own and is judged by how it ends.
 *
 * A program takes the number of the bug to plant; 0 plants none, and then it must succeed in every order. So each
 * planted bug has a sound twin, and a checker that cried always would be seen. */
#ifndef CUDAEMU_CASES_H
#define CUDAEMU_CASES_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define NOT_CLAIMED "-"

struct emulator_case {
    const char *name;
    void (*run)(int bug);
    int bug;
    const char *environment; /* one NAME=VALUE more, or NULL */
    const char *plain, *asan,
        *tsan; /* what it must say before it dies, in each build; NOT_CLAIMED: this build does not look for it */
    const char *reason; /* why it is not claimed */
};

extern const struct emulator_case planted_cases[]; /* planted.cu; a name of NULL ends them */
extern const struct emulator_case sound_cases[];   /* sound.cu, likewise; bug is 0 and they must succeed */

/* Leaves at once: what a wrong program holds is no leak. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "wrong result: %s (%s:%d)\n", #condition, __FILE__, __LINE__);                             \
            fflush(stderr);                                                                                            \
            _Exit(3);                                                                                                  \
        }                                                                                                              \
    } while (0)
#define OK(call) EXPECT((call) == cudaSuccess)

#endif
