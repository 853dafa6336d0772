/* SPDX-License-Identifier: Apache-2.0
 * sanitizer.h - what the emulator tells AddressSanitizer and ThreadSanitizer.
 *
 * The sanitizers' functions are weak symbols: they are there when the program is linked with the sanitizer. So the
 * emulator itself is compiled the same way for every build, and without -fsanitize=thread, which must not see that a
 * scheduler passes control from one CUDA thread to another. */
#ifndef CUDAEMU_SANITIZER_H
#define CUDAEMU_SANITIZER_H

#include <stddef.h>

#define CUDAEMU_WEAK __attribute__((weak))

extern "C" {
void __asan_poison_memory_region(void const volatile *p, size_t bytes) CUDAEMU_WEAK;
void __asan_unpoison_memory_region(void const volatile *p, size_t bytes) CUDAEMU_WEAK;
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size) CUDAEMU_WEAK;
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old, size_t *size_old) CUDAEMU_WEAK;

void *__tsan_get_current_fiber(void) CUDAEMU_WEAK;
void *__tsan_create_fiber(unsigned flags) CUDAEMU_WEAK;
void __tsan_destroy_fiber(void *fiber) CUDAEMU_WEAK;
void __tsan_switch_to_fiber(void *fiber, unsigned flags) CUDAEMU_WEAK;
void __tsan_acquire(void *p) CUDAEMU_WEAK;
void __tsan_release(void *p) CUDAEMU_WEAK;
void __tsan_java_alloc(unsigned long p, unsigned long bytes) CUDAEMU_WEAK;
void __tsan_java_free(unsigned long p, unsigned long bytes) CUDAEMU_WEAK;
}

namespace cudaemu {

static inline bool asan() { return &__asan_poison_memory_region != nullptr; }
static inline bool tsan() { return &__tsan_create_fiber != nullptr; }

/* Passes control between ThreadSanitizer's threads without a happens-before edge: the order in which the emulator runs
 * CUDA threads promises nothing. */
static inline void tsan_switch(void *fiber) { __tsan_switch_to_fiber(fiber, 1); }

/* Makes ThreadSanitizer forget who touched [p, p + bytes): the memory is used anew by threads that owe the earlier ones
 * nothing. The interface made for Java heaps is the public way to say so. */
static inline void tsan_forget(void *p, size_t bytes) {
    unsigned long begin = reinterpret_cast<unsigned long>(p) & ~7ul;
    unsigned long end = (reinterpret_cast<unsigned long>(p) + bytes + 7) & ~7ul;
    __tsan_java_free(begin, end - begin);
    __tsan_java_alloc(begin, end - begin);
}

} // namespace cudaemu

#endif
