/* SPDX-License-Identifier: Apache-2.0
 * memory.cpp - device memory and pinned host memory, copies and fills.
 *
 * Every allocation is a heap block of exactly its size, filled with ones (NaN as float, -1 as int). Under
 * AddressSanitizer device memory is poisoned while the host runs, so the host cannot touch it. Pinned memory has one
 * address for the host and for kernels. */
#include <algorithm>
#include <stdlib.h>
#include <string.h>

#include "cudaemu.h"
#include "internal.h"

namespace cudaemu {

struct allocation {
    struct hidden<char> begin;
    size_t bytes;
    bool device;
};

static std::vector<struct allocation> allocations; /* by address */
static size_t device_bytes;
static int accesses; /* device_access alive */

static size_t first_behind(const void *p) { /* index of the first allocation that begins behind p */
    const char *at = static_cast<const char *>(p);
    return (size_t)(std::upper_bound(allocations.begin(), allocations.end(), at,
                                     [](const char *a, const struct allocation &b) { return a < b.begin.get(); }) -
                    allocations.begin());
}

static const struct allocation *find(const void *p) {
    const size_t i = first_behind(p);
    if (i == 0) return nullptr;
    const struct allocation *a = &allocations[i - 1];
    return static_cast<const char *>(p) < a->begin.get() + a->bytes ? a : nullptr;
}

static bool contains(const struct allocation *a, const void *p, size_t bytes) {
    return bytes <= a->bytes - (size_t)(static_cast<const char *>(p) - a->begin.get());
}

enum place place_of(const void *p) {
    const struct allocation *a = find(p);
    return !a ? PAGEABLE : a->device ? DEVICE : PINNED;
}

void require_device_range(const char *what, const void *p, size_t bytes) {
    if (bytes == 0) return;
    const struct allocation *a = find(p);
    if (!a) die("%s: %p is not device memory", what, p);
    if (!contains(a, p, bytes))
        die("%s: %zu bytes at %p end beyond their allocation, which has %zu bytes from %p", what, bytes, p, a->bytes,
            static_cast<void *>(a->begin.get()));
}

device_access::device_access() {
    if (!asan() || accesses++ > 0) return;
    for (const struct allocation &a : allocations)
        if (a.device) __asan_unpoison_memory_region(a.begin.get(), a.bytes);
}

device_access::~device_access() {
    if (!asan() || --accesses > 0) return;
    for (const struct allocation &a : allocations)
        if (a.device) __asan_poison_memory_region(a.begin.get(), a.bytes);
}

static cudaError_t allocate(void **p, size_t bytes, bool device) {
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (device && bytes > config().memory - device_bytes) return report(cudaErrorMemoryAllocation);
    void *block;
    if (posix_memalign(&block, 256, bytes) != 0) return report(cudaErrorMemoryAllocation);
    memset(block, 0xFF, bytes);
    if (device) {
        device_bytes += bytes;
        if (asan()) __asan_poison_memory_region(block, bytes);
    }
    const struct allocation a = {static_cast<char *>(block), bytes, device};
    allocations.insert(allocations.begin() + (ptrdiff_t)first_behind(block), a);
    *p = block;
    return cudaSuccess;
}

static cudaError_t release(const char *call, void *p, bool device) {
    if (!p) return enter();
    forbid_in_capture(call);
    run_all(); /* CUDA waits for the device here too */
    const size_t i = first_behind(p);
    if (i == 0 || allocations[i - 1].begin.get() != p || allocations[i - 1].device != device)
        die("%s: %p is not what %s returned", call, p, device ? "cudaMalloc" : "cudaHostAlloc");
    if (device) {
        device_bytes -= allocations[i - 1].bytes;
        if (asan()) __asan_unpoison_memory_region(p, allocations[i - 1].bytes);
    }
    allocations.erase(allocations.begin() + (ptrdiff_t)i - 1);
    free(p); /* on a lost device as well: its memory is gone, and so it is no leak */
    return enter();
}

/* ---- copies ---- */

static const char *const place_names[] = {"pageable host memory", "pinned host memory", "device memory"};
static const char *const kind_names[] = {"cudaMemcpyHostToHost", "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost",
                                         "cudaMemcpyDeviceToDevice", "cudaMemcpyDefault"};

static void check_end(const char *call, const char *end, enum cudaMemcpyKind kind, bool device, const void *p,
                      size_t bytes) {
    const struct allocation *a = find(p);
    if (kind != cudaMemcpyDefault && (a && a->device) != device)
        die("%s: the %s %p is %s, but the kind is %s", call, end, p, place_names[place_of(p)], kind_names[kind]);
    if (a && !contains(a, p, bytes))
        die("%s: %zu bytes %s %p end beyond their allocation, which has %zu bytes", call, bytes,
            strcmp(end, "source") == 0 ? "from" : "to", p, a->bytes);
}

static void check_copy(const char *call, void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) die("%s: there is no kind %d", call, (int)kind);
    check_end(call, "destination", kind, kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice, to, bytes);
    check_end(call, "source", kind, kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice, from, bytes);
}

static void copy_later(void *to, const void *from, size_t bytes, cudaStream_t stream) {
    enqueue(stream, [=] { memcpy(to, from, bytes); });
}

} // namespace cudaemu

using namespace cudaemu;
typedef std::lock_guard<std::recursive_mutex> guard;

extern "C" {

int64_t cudaemu_bytes_allocated(void) {
    guard g(lock());
    return (int64_t)device_bytes;
}

cudaError_t cudaemu_malloc(void **p, size_t bytes) {
    guard g(lock());
    *p = nullptr;
    if (cudaError_t error = enter()) return error;
    forbid_in_capture("cudaMalloc");
    return allocate(p, bytes, true);
}

cudaError_t cudaemu_host_alloc(void **p, size_t bytes, unsigned int flags) {
    guard g(lock());
    *p = nullptr;
    if (cudaError_t error = enter()) return error;
    forbid_in_capture("cudaHostAlloc");
    if (flags & ~(cudaHostAllocPortable | cudaHostAllocMapped))
        die("cudaHostAlloc: flags 0x%x are not emulated", flags);
    return allocate(p, bytes, false);
}

cudaError_t cudaFree(void *p) {
    guard g(lock());
    return release("cudaFree", p, true);
}

cudaError_t cudaFreeHost(void *p) {
    guard g(lock());
    return release("cudaFreeHost", p, false);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    forbid_in_capture("cudaMemcpy");
    if (bytes == 0) return cudaSuccess;
    check_copy("cudaMemcpy", to, from, bytes, kind);
    copy_later(to, from, bytes, nullptr);
    if (place_of(to) == DEVICE && place_of(from) == DEVICE) return cudaSuccess; /* the host does not wait for these */
    count_sync();
    run_stream(nullptr);
    return enter();
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    if (bytes == 0) return cudaSuccess;
    check_copy("cudaMemcpyAsync", to, from, bytes, kind);
    const bool pageable_from = place_of(from) == PAGEABLE, pageable_to = place_of(to) == PAGEABLE;
    if ((pageable_from || pageable_to) && is_capturing(stream))
        die("cudaMemcpyAsync %s pageable host memory during a capture", pageable_from ? "from" : "to");
    if (pageable_from) { /* staged: the caller may overwrite it at once */
        const char *bytes_from = static_cast<const char *>(from);
        auto staged = std::make_shared<std::vector<char>>(bytes_from, bytes_from + bytes);
        enqueue(stream, [=] { memcpy(to, staged->data(), bytes); });
    } else copy_later(to, from, bytes, stream);
    if (!pageable_to) return cudaSuccess;
    count_sync(); /* CUDA returns only when the copy is done */
    run_stream(stream);
    return enter();
}

static cudaError_t set(const char *call, void *p, int value, size_t bytes, cudaStream_t stream) {
    if (cudaError_t error = enter()) return error;
    require_device_range(call, p, bytes);
    enqueue(stream, [=] { memset(p, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemset(void *p, int value, size_t bytes) {
    guard g(lock());
    return set("cudaMemset", p, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream) {
    guard g(lock());
    return set("cudaMemsetAsync", p, value, bytes, stream);
}

} // extern "C"
