/* SPDX-License-Identifier: Apache-2.0
 * launch.h - how a kernel is launched and how it gets its dynamic shared memory.
 *
 * The same .cu files are compiled by nvcc for a GPU and by a C++ compiler for tests/cudaemu, which runs them on the
 * CPU. Launch syntax and `extern __shared__` are the only CUDA that C++ cannot express, so this header alone knows of
 * both. */
#ifndef SNN_CUDA_LAUNCH_H
#define SNN_CUDA_LAUNCH_H

#include <cuda_runtime.h>

/* LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...): grid and block are integers or dim3. A kernel with a
 * comma in its template arguments stands in parentheses: LAUNCH((step<float, 4>), ...). Check cudaGetLastError after
 * it. DYN_SHARED(type, name): declares `type *name` at the start of the block's dynamic shared memory. */
#ifdef SNN_CUDA_EMULATED
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                         \
    cudaemu::launch(#kernel, kernel, (grid), (block), (shared_bytes), (stream))(__VA_ARGS__)
#define DYN_SHARED(type, name) type *name = cudaemu::dynamic_shared<type>()
#else
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                         \
    kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
#define DYN_SHARED(type, name)                                                                                         \
    extern __shared__ __align__(16) unsigned char snn_dynamic_shared[];                                                \
    type *name = reinterpret_cast<type *>(snn_dynamic_shared)
#endif

#endif
