/* SPDX-License-Identifier: Apache-2.0
 * cudaemu.h - a CUDA runtime that runs on the CPU, for tests on machines without a GPU; here: what a test may ask it.
 *
 * What it is: the headers of this folder stand in for the toolkit's, so that g++ and clang++ compile unchanged .cu
 * files; the .cpp files of this folder execute them. Threads of a block are fibers, blocks run one after another,
 * streams are deferred queues. The order of blocks, threads and streams is chosen by the environment, because a wrong
 * program usually depends on it. README.md says how to build and what each build finds.
 *
 * Found, with a sentence on stderr and abort(): divergent barriers, wrong masks, deadlocks, launches and shared memory
 * beyond the limits of compute capability 8.0, copies whose kind or range does not fit, forbidden calls during a
 * capture. Found because results become wrong (memory starts as NaN, orders vary, streams run as late or as early as
 * they may): deleted barriers, uninitialised memory, missing waits. Found by AddressSanitizer: out of bounds in global,
 * static and dynamic shared memory, the host touching device memory, leaks. Found by ThreadSanitizer: races, by
 * happens-before.
 *
 * Not seen: weak memory order, a missing __threadfence in plain builds, real divergence, spin waits between blocks,
 * register and static shared memory limits of a kernel (ptxas tells them), bits of fast-math functions, speed. */
#ifndef CUDAEMU_H
#define CUDAEMU_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t cudaemu_launches(void);        /* kernels executed so far, those of graphs included */
int64_t cudaemu_syncs(void);           /* times the host waited: stream, event and device waits, blocking copies */
int64_t cudaemu_graph_launches(void);  /* calls of cudaGraphLaunch that succeeded */
int64_t cudaemu_bytes_allocated(void); /* device memory held now */

#ifdef __cplusplus
}
#endif

#endif
