/* SPDX-License-Identifier: Apache-2.0
 * device_functions.h - the kernel language: qualifiers, built-in variables, barriers, warp operations, atomics,
 * intrinsics.
 *
 * Barriers and warp operations are macros, so that each carries its place in the source. Static shared memory lies in
 * sections named .cudaemu.shared.N, which the emulator finds in the program's section table and refills for every
 * block; the number keeps variables of templates and of plain functions apart, which may not share a section. */
#ifndef CUDAEMU_DEVICE_FUNCTIONS_H
#define CUDAEMU_DEVICE_FUNCTIONS_H

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#include "cuda_types.h"

/* ---- qualifiers ---- */

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ /* empty, because the standard library writes __attribute__((__noinline__)) */
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define CUDAEMU_SHARED(n) static __attribute__((section(".cudaemu.shared." #n)))
#define CUDAEMU_SHARED_EXPANDED(n) CUDAEMU_SHARED(n)
#define __shared__ CUDAEMU_SHARED_EXPANDED(__COUNTER__)

/* ---- built-in variables; the scheduler sets them before it lets a thread run ---- */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

/* ---- barriers and warp operations ---- */

namespace cudaemu {

enum meeting {
    SYNCTHREADS,
    SYNCTHREADS_OR,
    SYNCTHREADS_AND,
    SYNCTHREADS_COUNT,
    SYNCWARP,
    SHUFFLE,
    SHUFFLE_UP,
    SHUFFLE_DOWN,
    SHUFFLE_XOR,
    BALLOT,
    ANY,
    ALL
};

int meet_block(const char *file, int line, enum meeting kind, int predicate);
uint64_t meet_warp(const char *file, int line, enum meeting kind, unsigned int mask, uint64_t value, int lane,
                   int width);
void fence();

struct syncwarp {
    const char *file;
    int line;
    void operator()(unsigned int mask = 0xffffffffu) const { meet_warp(file, line, SYNCWARP, mask, 0, 0, 32); }
};

template <class T>
static inline T shuffle(const char *file, int line, enum meeting kind, unsigned int mask, T value, int lane,
                        int width = 32) {
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "CUDA shuffles 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = meet_warp(file, line, kind, mask, bits, lane, width);
    memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace cudaemu

#define __syncthreads() ((void)cudaemu::meet_block(__FILE__, __LINE__, cudaemu::SYNCTHREADS, 0))
#define __syncthreads_or(p) cudaemu::meet_block(__FILE__, __LINE__, cudaemu::SYNCTHREADS_OR, (p) != 0)
#define __syncthreads_and(p) cudaemu::meet_block(__FILE__, __LINE__, cudaemu::SYNCTHREADS_AND, (p) != 0)
#define __syncthreads_count(p) cudaemu::meet_block(__FILE__, __LINE__, cudaemu::SYNCTHREADS_COUNT, (p) != 0)
#define __syncwarp                                                                                                     \
    cudaemu::syncwarp { __FILE__, __LINE__ } /* its argument has a default */
#define __shfl_sync(...) cudaemu::shuffle(__FILE__, __LINE__, cudaemu::SHUFFLE, __VA_ARGS__)
#define __shfl_up_sync(...) cudaemu::shuffle(__FILE__, __LINE__, cudaemu::SHUFFLE_UP, __VA_ARGS__)
#define __shfl_down_sync(...) cudaemu::shuffle(__FILE__, __LINE__, cudaemu::SHUFFLE_DOWN, __VA_ARGS__)
#define __shfl_xor_sync(...) cudaemu::shuffle(__FILE__, __LINE__, cudaemu::SHUFFLE_XOR, __VA_ARGS__)
#define __ballot_sync(mask, p)                                                                                         \
    ((unsigned int)cudaemu::meet_warp(__FILE__, __LINE__, cudaemu::BALLOT, mask, (p) != 0, 0, 32))
#define __any_sync(mask, p) ((int)cudaemu::meet_warp(__FILE__, __LINE__, cudaemu::ANY, mask, (p) != 0, 0, 32))
#define __all_sync(mask, p) ((int)cudaemu::meet_warp(__FILE__, __LINE__, cudaemu::ALL, mask, (p) != 0, 0, 32))
#define __threadfence() cudaemu::fence()
#define __threadfence_block() cudaemu::fence()

/* ---- atomics: relaxed, as CUDA's are ---- */

#if defined(__SANITIZE_THREAD__)
#define CUDAEMU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CUDAEMU_TSAN 1
#endif
#endif
#ifndef CUDAEMU_TSAN
#define CUDAEMU_TSAN 0
#endif

namespace cudaemu {

/* One CUDA thread runs at a time, so a plain exchange is atomic; only ThreadSanitizer must see a real atomic access. */
template <class T, class F> static inline T update(T *p, F next) {
    if (CUDAEMU_TSAN) {
        T old, value;
        __atomic_load(p, &old, __ATOMIC_RELAXED);
        do value = next(old);
        while (!__atomic_compare_exchange(p, &old, &value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return old;
    }
    T old = *p;
    *p = next(old);
    return old;
}

} // namespace cudaemu

static inline float atomicAdd(float *p, float v) {
    return cudaemu::update(p, [=](float old) { return old + v; });
}
static inline double atomicAdd(double *p, double v) {
    return cudaemu::update(p, [=](double old) { return old + v; });
}
static inline int atomicAdd(int *p, int v) {
    return cudaemu::update(p, [=](int old) { return (int)((unsigned int)old + (unsigned int)v); });
}
static inline int atomicSub(int *p, int v) {
    return cudaemu::update(p, [=](int old) { return (int)((unsigned int)old - (unsigned int)v); });
}
#define CUDAEMU_ATOMIC(name, type, expression)                                                                         \
    static inline type name(type *p, type v) {                                                                         \
        return cudaemu::update(p, [=](type old) -> type { return expression; });                                       \
    }
CUDAEMU_ATOMIC(atomicAdd, unsigned int, old + v)
CUDAEMU_ATOMIC(atomicAdd, unsigned long long, old + v)
CUDAEMU_ATOMIC(atomicSub, unsigned int, old - v)
CUDAEMU_ATOMIC(atomicMax, int, old > v ? old : v)
CUDAEMU_ATOMIC(atomicMax, unsigned int, old > v ? old : v)
CUDAEMU_ATOMIC(atomicMin, int, old < v ? old : v)
CUDAEMU_ATOMIC(atomicMin, unsigned int, old < v ? old : v)
CUDAEMU_ATOMIC(atomicAnd, unsigned int, old &v)
CUDAEMU_ATOMIC(atomicOr, unsigned int, old | v)
CUDAEMU_ATOMIC(atomicXor, unsigned int, old ^ v)
CUDAEMU_ATOMIC(atomicInc, unsigned int, old >= v ? 0 : old + 1)
CUDAEMU_ATOMIC(atomicExch, int, ((void)old, v))
CUDAEMU_ATOMIC(atomicExch, unsigned int, ((void)old, v))
CUDAEMU_ATOMIC(atomicExch, unsigned long long, ((void)old, v))
CUDAEMU_ATOMIC(atomicExch, float, ((void)old, v))
#undef CUDAEMU_ATOMIC
#define CUDAEMU_CAS(type)                                                                                              \
    static inline type atomicCAS(type *p, type expected, type v) {                                                     \
        return cudaemu::update(p, [=](type old) { return old == expected ? v : old; });                                \
    }
CUDAEMU_CAS(int)
CUDAEMU_CAS(unsigned int)
CUDAEMU_CAS(unsigned long long)
#undef CUDAEMU_CAS

/* ---- intrinsics ---- */

template <class T> static inline T __ldg(const T *p) { return *p; }
static inline int __popc(unsigned int v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __ffsll(long long v) { return __builtin_ffsll(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned int)v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
static inline unsigned int __brev(unsigned int v) {
    v = ((v >> 1) & 0x55555555u) | ((v & 0x55555555u) << 1);
    v = ((v >> 2) & 0x33333333u) | ((v & 0x33333333u) << 2);
    v = ((v >> 4) & 0x0f0f0f0fu) | ((v & 0x0f0f0f0fu) << 4);
    return __builtin_bswap32(v);
}
static inline unsigned int __umulhi(unsigned int a, unsigned int b) {
    return (unsigned int)(((unsigned long long)a * b) >> 32);
}

namespace cudaemu {
template <class To, class From> static inline To as(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
} // namespace cudaemu

static inline int __float_as_int(float v) { return cudaemu::as<int>(v); }
static inline unsigned int __float_as_uint(float v) { return cudaemu::as<unsigned int>(v); }
static inline float __int_as_float(int v) { return cudaemu::as<float>(v); }
static inline float __uint_as_float(unsigned int v) { return cudaemu::as<float>(v); }
static inline long long __double_as_longlong(double v) { return cudaemu::as<long long>(v); }
static inline double __longlong_as_double(long long v) { return cudaemu::as<double>(v); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f; }
static inline int __float2int_rn(float v) { return (int)rintf(v); }
static inline int __float2int_rz(float v) { return (int)v; }

/* Macros, because the C library declares functions of these names: __expf and its kin, and rsqrtf in newer ones. */
#define rsqrtf(v) (1.0f / sqrtf(v))
#define __expf(v) expf(v)
#define __exp10f(v) powf(10.0f, v)
#define __logf(v) logf(v)
#define __log2f(v) log2f(v)
#define __log10f(v) log10f(v)
#define __powf(a, b) powf(a, b)
#define __sinf(v) sinf(v)
#define __cosf(v) cosf(v)
#define __tanf(v) tanf(v)

#define CUDAEMU_MINMAX(type, a_type, b_type)                                                                           \
    static inline type min(a_type a, b_type b) { return (type)a < (type)b ? (type)a : (type)b; }                       \
    static inline type max(a_type a, b_type b) { return (type)a > (type)b ? (type)a : (type)b; }
CUDAEMU_MINMAX(int, int, int)
CUDAEMU_MINMAX(unsigned int, unsigned int, unsigned int)
CUDAEMU_MINMAX(unsigned int, int, unsigned int)
CUDAEMU_MINMAX(unsigned int, unsigned int, int)
CUDAEMU_MINMAX(long, long, long)
CUDAEMU_MINMAX(unsigned long, unsigned long, unsigned long)
CUDAEMU_MINMAX(unsigned long, long, unsigned long)
CUDAEMU_MINMAX(unsigned long, unsigned long, long)
CUDAEMU_MINMAX(long long, long long, long long)
CUDAEMU_MINMAX(unsigned long long, unsigned long long, unsigned long long)
CUDAEMU_MINMAX(unsigned long long, long long, unsigned long long)
CUDAEMU_MINMAX(unsigned long long, unsigned long long, long long)
#undef CUDAEMU_MINMAX
static inline float min(float a, float b) { return fminf(a, b); } /* of a number and a NaN the number, as CUDA does */
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(float a, double b) { return fmin(a, b); }
static inline double max(float a, double b) { return fmax(a, b); }
static inline double min(double a, float b) { return fmin(a, b); }
static inline double max(double a, float b) { return fmax(a, b); }

#endif
