/* SPDX-License-Identifier: Apache-2.0
 * fiber.h - stacks and the switch between them. A fiber never ends: it does its work, goes back to the pool, and goes
 * on from there when it is taken again. */
#ifndef CUDAEMU_FIBER_H
#define CUDAEMU_FIBER_H

#include <stddef.h>

namespace cudaemu {

struct fiber {
    void *sp = nullptr;           /* where it stopped, while it does not run */
    char *low = nullptr;          /* its stack; a guard page lies below */
    size_t bytes = 0;             /* of the stack */
    void *fake_stack = nullptr;   /* AddressSanitizer's */
    struct fiber *next = nullptr; /* in the pool */
};

struct fiber *fiber_take(void (*run)()); /* an idle one, or a new one which begins with run() */
void fiber_give_back(struct fiber *f);

/* Leaves `from`, which is the running one, for `to`; returns when somebody switches back. A plain `struct fiber` stands
 * for the host's own stack. */
void fiber_switch(struct fiber *from, struct fiber *to);

} // namespace cudaemu

#endif
