/* SPDX-License-Identifier: Apache-2.0
 * fiber.cpp - stacks and the switch between them, by hand for x86-64 and aarch64, by ucontext elsewhere.
 *
 * The switch saves what the calling convention asks a function to keep and nothing else, in particular no signal mask:
 * ucontext makes two system calls for that, which is a hundred times slower. */
#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#if defined(__x86_64__)
/* void cudaemu_swap(void **save, void *to) */
asm(R"(
.text
.p2align 4
.globl cudaemu_swap
.hidden cudaemu_swap
.type cudaemu_swap, @function
cudaemu_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
.size cudaemu_swap, .-cudaemu_swap
)");
#define HAND_WRITTEN 1
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.globl cudaemu_swap
.hidden cudaemu_swap
.type cudaemu_swap, @function
cudaemu_swap:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size cudaemu_swap, .-cudaemu_swap
)");
#define HAND_WRITTEN 1
#else
#include <ucontext.h>
#define HAND_WRITTEN 0
#endif

#if HAND_WRITTEN
extern "C" void cudaemu_swap(void **save, void *to);
#endif

namespace cudaemu {

static struct fiber *pool;
static struct fiber *came_from; /* set at every switch, read by the fiber that was switched to */
static void (*entry_function)();
static int made; /* fibers so far */

/* The host's stack is known only from what AddressSanitizer tells when it is left. */
static void arrived(void *fake_stack) {
    if (!asan()) return;
    const void *low;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fake_stack, &low, &bytes);
    if (came_from->low == nullptr || came_from->low != low) {
        came_from->low = const_cast<char *>(static_cast<const char *>(low));
        came_from->bytes = bytes;
    }
}

static void first_entry() {
    arrived(nullptr);
    entry_function();
    die("a fiber ended");
}

#if !HAND_WRITTEN
static void cudaemu_swap(void **save, void *to) {
    swapcontext(static_cast<ucontext_t *>(*save), static_cast<ucontext_t *>(to));
}
#endif

static struct fiber *make_fiber() {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = asan() || tsan() ? 256 * 1024 : 64 * 1024;
    char *base = static_cast<char *>(
        mmap(nullptr, page + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (base == MAP_FAILED || mprotect(base, page, PROT_NONE) != 0) die("no memory for the stack of a thread");
    struct fiber *f = new fiber;
    f->low = base + page;
    f->bytes = bytes;
#if HAND_WRITTEN
    /* Stacks that all began at the same place of a page would fight for the same cache lines. */
    char *top = f->low + bytes - (size_t)(made++ * 5 % 32) * 128;
    void **sp = reinterpret_cast<void **>(top);
#if defined(__x86_64__)
    *--sp = nullptr; /* the return address of first_entry, which does not return */
    *--sp = reinterpret_cast<void *>(first_entry);
    for (int i = 0; i < 6; i++) *--sp = nullptr; /* rbp .. r15 */
#else
    for (int i = 0; i < 20; i++) *--sp = nullptr;
    sp[11] = reinterpret_cast<void *>(first_entry); /* x30 */
#endif
    f->sp = sp;
#else
    ucontext_t *context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = f->low;
    context->uc_stack.ss_size = bytes;
    context->uc_link = nullptr;
    makecontext(context, first_entry, 0);
    f->sp = context;
    made++;
#endif
    return f;
}

struct fiber *fiber_take(void (*run)()) {
    entry_function = run;
    if (pool == nullptr) return make_fiber();
    struct fiber *f = pool;
    pool = f->next;
    return f;
}

void fiber_give_back(struct fiber *f) {
    f->next = pool;
    pool = f;
}

void fiber_switch(struct fiber *from, struct fiber *to) {
    came_from = from;
    const bool annotate = asan();
    if (annotate) __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->bytes);
#if !HAND_WRITTEN
    if (from->sp == nullptr) from->sp = new ucontext_t;
#endif
    cudaemu_swap(&from->sp, to->sp);
    if (annotate) arrived(from->fake_stack);
}

} // namespace cudaemu
