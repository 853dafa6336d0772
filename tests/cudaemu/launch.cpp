/* SPDX-License-Identifier: Apache-2.0
 * launch.cpp - checks a launch against the limits of compute capability 8.0 and enqueues it. */
#include <limits.h>
#include <map>
#include <stdio.h>
#include <utility>

#include "cudaemu.h"
#include "internal.h"

namespace cudaemu {

static int64_t launches;

static std::map<const void *, size_t> &dynamic_limits() { /* of kernels for which more than the default was asked */
    static auto *limits = new std::map<const void *, size_t>;
    return *limits;
}

unsigned int launch_size::checked(long long n) {
    if (n < 1 || n > INT_MAX) die("a launch with %lld blocks or threads", n);
    return (unsigned int)n;
}

static void check_limits(const struct kernel_call &call) {
    const dim3 g = call.grid, b = call.block;
    if (g.x < 1 || g.y < 1 || g.z < 1 || g.x > INT_MAX || g.y > 65535 || g.z > 65535)
        die("kernel %s: no grid has %u x %u x %u blocks", call.name, g.x, g.y, g.z);
    if (b.x < 1 || b.y < 1 || b.z < 1 || b.x > 1024 || b.y > 1024 || b.z > 64 || b.x * b.y * b.z > MAX_THREADS)
        die("kernel %s: no block has %u x %u x %u threads", call.name, b.x, b.y, b.z);
    const auto limit = dynamic_limits().find(call.function);
    const size_t most = limit == dynamic_limits().end() ? SHARED_DEFAULT : limit->second;
    if (call.shared > most)
        die("kernel %s: %zu bytes of dynamic shared memory, but it may have %zu", call.name, call.shared, most);
}

static void execute(const struct kernel_call &call) {
    launches++;
    if (config().verbose)
        fprintf(stderr, "cudaemu: %s grid (%u,%u,%u) block (%u,%u,%u) shared %zu\n", call.name, call.grid.x,
                call.grid.y, call.grid.z, call.block.x, call.block.y, call.block.z, call.shared);
    if (launches == config().lose_at) lose_device();
    else run_kernel(call);
}

void enqueue_kernel(std::shared_ptr<struct kernel_call> call, cudaStream_t stream) {
    std::lock_guard<std::recursive_mutex> g(lock());
    if (enter() != cudaSuccess) return; /* cudaGetLastError tells */
    check_limits(*call);
    enqueue(stream,
            [call = std::move(call)] { execute(*call); }); /* nothing of it is left to let go of without the lock */
}

} // namespace cudaemu

using namespace cudaemu;

extern "C" {

int64_t cudaemu_launches(void) {
    std::lock_guard<std::recursive_mutex> g(lock());
    return launches;
}

cudaError_t cudaemu_set_dynamic_shared(const void *kernel, int attribute, int value) {
    std::lock_guard<std::recursive_mutex> g(lock());
    if (cudaError_t error = enter()) return error;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        die("cudaFuncSetAttribute: attribute %d is not emulated", attribute);
    if (value < 0 || (size_t)value > SHARED_OPTIN) return report(cudaErrorInvalidValue);
    dynamic_limits()[kernel] = (size_t)value;
    return cudaSuccess;
}

} // extern "C"
