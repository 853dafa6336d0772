/* SPDX-License-Identifier: Apache-2.0
 * cudaemu_launch.h - a launch as an object: a kernel, a copy of its arguments, and the launch configuration.
 *
 * `launch(name, kernel, grid, block, shared, stream)(arguments...)` is what a launch macro expands to. The arguments
 * are converted and copied at the call, as CUDA does it. */
#ifndef CUDAEMU_LAUNCH_H
#define CUDAEMU_LAUNCH_H

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_types.h"

typedef struct CUstream_st *cudaStream_t;

namespace cudaemu {

struct kernel_call {
    const char *name = nullptr;
    const void *function = nullptr;
    dim3 grid, block;
    size_t shared = 0; /* bytes of dynamic shared memory */
    virtual void thread() const = 0;
    virtual ~kernel_call() = default;
};

/* A grid or block size. An integer is checked before it becomes unsigned: a negative count must not turn into a huge
 * one. */
struct launch_size {
    dim3 size;
    launch_size(dim3 d) : size(d) {}
    template <class T, class = std::enable_if_t<std::is_integral<T>::value || std::is_enum<T>::value>>
    launch_size(T n) : size(checked(static_cast<long long>(n))) {}
    static unsigned int checked(long long n);
};

void enqueue_kernel(std::shared_ptr<kernel_call> call, cudaStream_t stream);
void *dynamic_shared_memory(size_t alignment);

template <class T> T *dynamic_shared() { return static_cast<T *>(dynamic_shared_memory(alignof(T))); }

template <class... P> struct bound_call final : kernel_call {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
    bound_call(void (*k)(P...), P... a) : kernel(k), arguments(a...) {}
    void thread() const override { std::apply(kernel, arguments); }
};

template <class... P> struct launcher {
    const char *name;
    void (*kernel)(P...);
    launch_size grid, block;
    size_t shared;
    cudaStream_t stream;
    void operator()(P... arguments) const {
        auto call = std::make_shared<bound_call<P...>>(kernel, arguments...);
        call->name = name;
        call->function = reinterpret_cast<const void *>(kernel);
        call->grid = grid.size;
        call->block = block.size;
        call->shared = shared;
        enqueue_kernel(std::move(call), stream);
    }
};

template <class... P>
launcher<P...> launch(const char *name, void (*kernel)(P...), launch_size grid, launch_size block, size_t shared,
                      cudaStream_t stream) {
    return {name, kernel, grid, block, shared, stream};
}

} // namespace cudaemu

#endif
