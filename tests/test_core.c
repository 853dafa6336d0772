/* SPDX-License-Identifier: Apache-2.0
 * test_core.c - status, arena, random numbers, transcendentals: what everything else stands on. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/rmath.h"
#include "core/rng.h"
#include "snn_check.h"

/* ---- status ---- */

START_TEST(status_keeps_the_sentence) {
    ck_assert_int_eq(snn_error(SNN_EDATA, "%s:%d: found %d", "a.csv", 3, 7), SNN_EDATA);
    ck_assert_str_eq(snn_error_text(), "a.csv:3: found 7");
}
END_TEST

START_TEST(status_may_quote_the_present_sentence) {
    snn_error(SNN_EFAIL, "inner");
    snn_error(SNN_EFAIL, "outer: %s", snn_error_text());
    ck_assert_str_eq(snn_error_text(), "outer: inner");
}
END_TEST

START_TEST(status_stays_one_line) {
    snn_error(SNN_EDATA, "%s: is empty", "a\n\033[31m\177b\xC3\xA4");
    ck_assert_str_eq(snn_error_text(), "a  [31m b\xC3\xA4: is empty");
}
END_TEST

START_TEST(status_cuts_at_1023_bytes) {
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    snn_error(SNN_EFAIL, "%s", text);
    ck_assert_uint_eq(strlen(snn_error_text()), 1023);
}
END_TEST

static void *other_thread(void *seen) {
    strcpy(seen, snn_error_text());
    snn_error(SNN_EFAIL, "of the other thread");
    return NULL;
}

START_TEST(status_is_per_thread) {
    char seen[1024] = "not empty";
    pthread_t thread;
    snn_error(SNN_EFAIL, "of this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, seen), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(seen, "");
    ck_assert_str_eq(snn_error_text(), "of this thread");
}
END_TEST

static int forwards(int status, bool *went_on) {
    SNN_TRY(status);
    *went_on = true;
    return SNN_OK;
}

START_TEST(status_try_forwards_failures_only) {
    bool went_on = false;
    ck_assert_int_eq(forwards(SNN_EINTR, &went_on), SNN_EINTR);
    ck_assert(!went_on);
    ck_assert_int_eq(forwards(5, &went_on), SNN_OK);
    ck_assert(went_on);
}
END_TEST

START_TEST(status_check_says_where_and_aborts) {
    int ends[2], status;
    char said[512] = "";
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        SNN_CHECK(1 > 0, "never");
        SNN_CHECK(2 > 3, "two is %d", 2);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_gt(read(ends[0], said, sizeof said - 1), 0);
    close(ends[0]);
    waitpid(child, &status, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(said, "test_core.c:"));
    ck_assert_ptr_nonnull(strstr(said, "2 > 3"));
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_measures_without_memory) {
    struct snn_arena arena = {0};
    ck_assert_ptr_null(snn_arena_alloc(&arena, 1, SNN_MEM_STATE));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 64, SNN_MEM_STATE));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 65, SNN_MEM_SCRATCH));
    ck_assert_ptr_null(snn_arena_alloc(&arena, 0, SNN_MEM_GRADIENTS));
    ck_assert_uint_eq(arena.used, 256);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_STATE], 128);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_SCRATCH], 128);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_GRADIENTS], 0);
}
END_TEST

START_TEST(arena_second_pass_is_aligned_zero_and_disjoint) {
    static const size_t bytes[] = {1, 63, 64, 65, 0, 1000};
    struct snn_arena arena = {0};
    unsigned char *before = NULL;
    size_t length = 0;
    for (int i = 0; i < 6; ++i) snn_arena_alloc(&arena, bytes[i], SNN_MEM_ACTIVATIONS);
    size_t measured = arena.used;
    ck_ok(snn_arena_reserve(&arena));
    for (int i = 0; i < 6; ++i) {
        unsigned char *memory = snn_arena_alloc(&arena, bytes[i], SNN_MEM_ACTIVATIONS);
        ck_assert_uint_eq((uintptr_t)memory % SNN_ALIGN, 0);
        ck_assert(!before || memory >= before + length);
        for (size_t k = 0; k < bytes[i]; ++k) ck_assert_uint_eq(memory[k], 0);
        memset(memory, 0xFF, bytes[i]);
        before = memory, length = bytes[i];
    }
    ck_assert_uint_eq(arena.used, measured);
    ck_assert_uint_eq(arena.by_purpose[SNN_MEM_ACTIVATIONS], measured);
    snn_arena_free(&arena);
    ck_assert_ptr_null(arena.base);
}
END_TEST

START_TEST(arena_may_be_empty) {
    struct snn_arena arena = {0};
    ck_ok(snn_arena_reserve(&arena));
    ck_assert_uint_eq(arena.size, 0);
    snn_arena_free(&arena);
    snn_arena_free(&arena);
}
END_TEST

START_TEST(arena_refuses_a_larger_second_pass) { /* raises SIGABRT */
    struct snn_arena arena = {0};
    snn_arena_alloc(&arena, 64, SNN_MEM_STATE);
    ck_ok(snn_arena_reserve(&arena));
    snn_arena_alloc(&arena, 65, SNN_MEM_STATE);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* which stops at such a request instead of refusing it */
START_TEST(arena_reports_missing_memory) {
    struct snn_arena arena = {0};
    snn_arena_alloc(&arena, (size_t)1 << 62, SNN_MEM_PARAMETERS);
    ck_assert_int_eq(snn_arena_reserve(&arena), SNN_EFAIL);
    ck_assert_ptr_nonnull(strstr(snn_error_text(), "out of memory"));
}
END_TEST
#endif

START_TEST(arena_names_every_purpose) {
    for (int i = 0; i < SNN_MEM_PURPOSES; ++i) ck_assert_ptr_nonnull(snn_memory_purpose[i]);
    ck_assert_str_eq(snn_memory_purpose[SNN_MEM_PARAMETERS], "parameters");
    ck_assert_str_eq(snn_memory_purpose[SNN_MEM_SCRATCH], "scratch");
}
END_TEST

/* ---- random numbers ---- */

/* Against libm; nothing but 0 has the sine 0, so that a square wave has no third level but there. */
START_TEST(sines) {
    for (double x = -1e5; x < 1e5; x += fabs(x) < 40 ? 0.0137 : 7.3) {
        real cosine, sine = r_sine((real)x, &cosine);
        double s = sin((double)(real)x), c = cos((double)(real)x);
        ck_assert_msg(fabs((double)sine - s) < 2e-7 && fabs((double)cosine - c) < 2e-7,
                      "at %g: sine %.9g instead of %.9g, cosine %.9g instead of %.9g", x, (double)sine, s,
                      (double)cosine, c);
        ck_assert_msg((sine > 0) == (s > 0) && sine != 0, "at %.9g: sine %g instead of %g", x, (double)sine, s);
    }
    for (int k = 1; k < 30000; ++k) { /* nearest to the zeros that there are numbers */
        real at = (real)(k * 3.14159265358979323846), cosine, sine = r_sine(at, &cosine);
        ck_assert_msg((sine > 0) == (sin((double)at) > 0) && sine != 0, "near turn %d: %g instead of %g", k,
                      (double)sine, sin((double)at));
    }
    real cosine;
    ck_assert(r_sine(0, &cosine) == 0 && cosine == 1);
}
END_TEST

START_TEST(rng_philox_gives_the_published_words) {
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } known[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; ++i) {
        uint32_t out[4];
        snn_philox(known[i].ctr, known[i].key, out);
        for (int k = 0; k < 4; ++k) ck_assert_uint_eq(out[k], known[i].out[k]);
    }
}
END_TEST

START_TEST(rng_words_are_the_blocks_in_order) {
    for (uint32_t index = 0; index < 20; ++index) {
        uint32_t out[4];
        snn_rng_block(0x123456789abcdef0u, SNN_RNG_TEST, 3, 4, index / 4, out);
        ck_assert_uint_eq(snn_rng_u32(0x123456789abcdef0u, SNN_RNG_TEST, 3, 4, index), out[index % 4]);
    }
}
END_TEST

START_TEST(rng_every_argument_counts) {
    uint64_t seed = 42;
    uint32_t word = snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 3);
    ck_assert_uint_eq(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed + 1, SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed + ((uint64_t)1 << 32), SNN_RNG_INIT, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_SHUFFLE, 1, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 2, 2, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 3, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 2, 1, 3));
    ck_assert_uint_ne(word, snn_rng_u32(seed, SNN_RNG_INIT, 1, 2, 7));
}
END_TEST

START_TEST(rng_unit_is_half_open_and_exact_in_float) {
    static const uint32_t words[] = {0, 255, 256, 0x80000000u, 0x12345678u, 0xffffffffu};
    ck_assert(snn_rng_unit(0) == 0.0 && snn_rng_unit(0x80000000u) == 0.5);
    ck_assert(snn_rng_unit(0xffffffffu) == 1.0 - 1.0 / 16777216.0);
    for (int i = 0; i < 6; ++i) ck_assert((double)(float)snn_rng_unit(words[i]) == snn_rng_unit(words[i]));
}
END_TEST

START_TEST(rng_below_covers_its_range) {
    int count[7] = {0};
    for (uint32_t i = 0; i < 7000; ++i) ++count[snn_rng_below(snn_rng_u32(1, SNN_RNG_TEST, 0, 0, i), 7)];
    for (int i = 0; i < 7; ++i) ck_assert(count[i] > 850 && count[i] < 1150); /* five standard deviations */
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 1), 0);
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 10), 9);
    ck_assert_uint_eq(snn_rng_below(0xffffffffu, 0xffffffffu), 0xfffffffeu);
}
END_TEST

START_TEST(rng_normal_has_the_moments) {
    double sum = 0, square = 0, fourth = 0;
    const int n = 40000;
    for (uint32_t i = 0; i < (uint32_t)n; ++i) {
        double x =
            snn_rng_normal(snn_rng_u32(9, SNN_RNG_TEST, 0, 0, 2 * i), snn_rng_u32(9, SNN_RNG_TEST, 0, 0, 2 * i + 1));
        sum += x, square += x * x, fourth += x * x * x * x;
    }
    ck_assert_double_eq_tol(sum / n, 0, 0.025);
    ck_assert_double_eq_tol(square / n, 1, 0.035);
    ck_assert_double_eq_tol(fourth / n, 3, 0.25);
    ck_assert(isfinite(snn_rng_normal(0, 0)) && isfinite(snn_rng_normal(~0u, ~0u)));
}
END_TEST

enum { MANY = 1000 };

START_TEST(rng_shuffle_is_a_permutation) {
    for (int32_t n = 0; n <= MANY; n = n < 5 ? n + 1 : n + 199) {
        int32_t order[MANY + 1];
        bool seen[MANY] = {false};
        order[n] = -7;
        snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, order, n);
        for (int32_t i = 0; i < n; ++i) {
            ck_assert(order[i] >= 0 && order[i] < n && !seen[order[i]]);
            seen[order[i]] = true;
        }
        ck_assert_int_eq(order[n], -7);
    }
}
END_TEST

START_TEST(rng_shuffle_repeats_and_depends_on_the_epoch) {
    int32_t first[MANY], again[MANY], next[MANY];
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, first, MANY);
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 1, 0, again, MANY);
    snn_rng_shuffle(3, SNN_RNG_SHUFFLE, 2, 0, next, MANY);
    ck_assert_mem_eq(first, again, sizeof first);
    ck_assert_mem_ne(first, next, sizeof first);
}
END_TEST

START_TEST(rng_shuffle_is_fair) {
    int count[27] = {0};
    for (uint32_t epoch = 0; epoch < 6000; ++epoch) {
        int32_t order[3];
        snn_rng_shuffle(5, SNN_RNG_SHUFFLE, epoch, 0, order, 3);
        ++count[order[0] * 9 + order[1] * 3 + order[2]];
    }
    int kinds = 0;
    for (int i = 0; i < 27; ++i) {
        kinds += count[i] > 0;
        ck_assert(count[i] == 0 || (count[i] > 850 && count[i] < 1150));
    }
    ck_assert_int_eq(kinds, 6);
}
END_TEST

/* ---- rmath.h ---- */

/* Relative. */
static double off(double ours, double exact) { return fabs(ours - exact) / (exact == 0 ? 1 : fabs(exact)); }

START_TEST(rmath_is_as_exact_as_it_says) {
    double worst = 0;
    for (double x = -87; x <= 88; x += 0.00037) worst = fmax(worst, off(r_exp((real)x), exp((double)(real)x)));
    ck_assert_msg(worst < 2e-7, "exp is off by %g", worst);
    worst = 0;
    for (double x = 1.2e-38; x < 3e38; x *= 1.0001) worst = fmax(worst, off(r_log((real)x), log((double)(real)x)));
    for (double x = 0.5; x < 2; x += 1e-5) worst = fmax(worst, off(r_log((real)x), log((double)(real)x)));
    ck_assert_msg(worst < 2e-7, "log is off by %g", worst);
    ck_assert(r_log(1) == 0 && off(r_log(INFINITY), 88.72) < 1e-3);
    worst = 0;
    for (double x = 0; x <= 2; x += 1e-5) worst = fmax(worst, off(r_log1p((real)x), log1p((double)(real)x)));
    ck_assert_msg(worst < 2e-7, "log1p is off by %g", worst);
    worst = 0;
    double cosine = 0;
    for (double x = -1.5707963; x <= 1.5707963; x += 1e-5) {
        worst = fmax(worst, off(r_sin_quarter((real)x), sin((double)(real)x)));
        cosine = fmax(cosine, fabs(r_cos_quarter((real)x) - cos((double)(real)x)));
    }
    ck_assert_msg(worst < 2e-7, "sin is off by %g", worst);
    ck_assert_msg(cosine < 1.5e-7, "cos is off by %g", cosine);
    ck_assert(r_sin_quarter(0) == 0 && r_round(2.4f) == 2 && r_round(-2.6f) == -3 && r_round(3999999.7f) == 4000000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("core");
    TCase *status = tcase_create("status"), *arena = tcase_create("arena"), *rng = tcase_create("rng"),
          *rmath = tcase_create("rmath");
    tcase_add_test(status, status_keeps_the_sentence);
    tcase_add_test(status, status_may_quote_the_present_sentence);
    tcase_add_test(status, status_stays_one_line);
    tcase_add_test(status, status_cuts_at_1023_bytes);
    tcase_add_test(status, status_is_per_thread);
    tcase_add_test(status, status_try_forwards_failures_only);
    tcase_add_test(status, status_check_says_where_and_aborts);
    tcase_add_test(arena, arena_measures_without_memory);
    tcase_add_test(arena, arena_second_pass_is_aligned_zero_and_disjoint);
    tcase_add_test(arena, arena_may_be_empty);
    tcase_add_test_raise_signal(arena, arena_refuses_a_larger_second_pass, SIGABRT);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(arena, arena_reports_missing_memory);
#endif
    tcase_add_test(arena, arena_names_every_purpose);
    tcase_add_test(rng, sines);
    tcase_add_test(rng, rng_philox_gives_the_published_words);
    tcase_add_test(rng, rng_words_are_the_blocks_in_order);
    tcase_add_test(rng, rng_every_argument_counts);
    tcase_add_test(rng, rng_unit_is_half_open_and_exact_in_float);
    tcase_add_test(rng, rng_below_covers_its_range);
    tcase_add_test(rng, rng_normal_has_the_moments);
    tcase_add_test(rng, rng_shuffle_is_a_permutation);
    tcase_add_test(rng, rng_shuffle_repeats_and_depends_on_the_epoch);
    tcase_add_test(rng, rng_shuffle_is_fair);
    suite_add_tcase(suite, status);
    suite_add_tcase(suite, arena);
    tcase_add_test(rmath, rmath_is_as_exact_as_it_says);
    tcase_set_timeout(rmath, 60);
    suite_add_tcase(suite, rng);
    suite_add_tcase(suite, rmath);
    return run_suite(suite);
}
