/* SPDX-License-Identifier: Apache-2.0
 * real.h - the one number type of the engine. The same sources are built twice: float to ship, double to check. */
#ifndef SNN_REAL_H
#define SNN_REAL_H

#ifdef SNN_DOUBLE
typedef double real;
#define SNN_REAL_NAME "double"
#else
typedef float real;
#define SNN_REAL_NAME "float"
#endif

#ifdef __cplusplus
#define restrict __restrict__
#endif

/* Model functions that the C compiler and nvcc both compile. */
#ifdef __CUDACC__
#define SNN_HD static __host__ __device__ __forceinline__
#else
#define SNN_HD static inline
#endif

#endif
