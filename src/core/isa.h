/* SPDX-License-Identifier: Apache-2.0
 * isa.h - one kernel source, several instruction sets, chosen at run time.
 *
 * The build compiles every *_cpu.c once an instruction set with SNN_ISA_SUFFIX defined. Such a file exports exactly one
 * thing, its table, named through SNN_ISA(): `const struct snn_pool_kernels SNN_ISA(snn_pool_cpu) = {...};`; or, where
 * two files fill a table, functions that are named so. */
#ifndef SNN_ISA_H
#define SNN_ISA_H

#define SNN_ISA_JOIN_(name, suffix) name##suffix
#define SNN_ISA_JOIN(name, suffix) SNN_ISA_JOIN_(name, suffix)
#define SNN_ISA(name) SNN_ISA_JOIN(name, SNN_ISA_SUFFIX)

/* The instruction sets built in, from plain to wide: X(suffix, test at run time). */
#ifdef __x86_64__
#define SNN_ISA_LIST(X)                                                                                                \
    X(_base, 1)                                                                                                        \
    X(_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))                                          \
    X(_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                              \
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
#else
#define SNN_ISA_LIST(X) X(_base, 1)
#endif

#endif
