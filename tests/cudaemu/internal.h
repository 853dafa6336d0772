/* SPDX-License-Identifier: Apache-2.0
 * internal.h - what the emulator's own files share.
 *
 * One mutex guards everything: the runtime may be called from several host threads, and work runs in the host thread
 * that waits for it. */
#ifndef CUDAEMU_INTERNAL_H
#define CUDAEMU_INTERNAL_H

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime.h"
#include "sanitizer.h"

namespace cudaemu {

/* ---- device.cpp: settings, errors ---- */

enum order_kind { FORWARD, REVERSE, SHUFFLED };

struct settings {
    enum order_kind order;
    bool verbose;
    int driver;      /* 0: none */
    int devices;     /* 0: none */
    size_t memory;   /* bytes of device memory */
    int64_t lose_at; /* the number of the launch that fails; 0: none */
};

extern const struct settings *settings_read; /* NULL until the first call of config() */
const struct settings &read_settings();
inline const struct settings &config() { return settings_read ? *settings_read : read_settings(); }
uint64_t random_below(uint64_t n);
std::recursive_mutex &lock();
[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Every call of the runtime begins with this: the error that the device is in, or cudaSuccess. */
cudaError_t enter();
cudaError_t report(cudaError_t error); /* remembers an error for cudaGetLastError and returns it */
void lose_device();
bool device_lost();

constexpr size_t SHARED_DEFAULT = 48 * 1024, SHARED_OPTIN = 163 * 1024;
constexpr unsigned int MAX_THREADS = 1024;

/* Pointers in the books are kept complemented, so that LeakSanitizer does not take the books for a user. */
template <class T> struct hidden {
    uintptr_t bits;
    hidden(T *p) : bits(~reinterpret_cast<uintptr_t>(p)) {}
    T *get() const { return reinterpret_cast<T *>(~bits); }
};

/* ---- memory.cpp ---- */

enum place { PAGEABLE, PINNED, DEVICE };

enum place place_of(const void *p);
/* Dies unless [p, p + bytes) lies inside one allocation that kernels may touch. `what` begins the sentence. */
void require_device_range(const char *what, const void *p, size_t bytes);

/* While one of these lives, AddressSanitizer lets the process touch device memory. */
struct device_access {
    device_access();
    ~device_access();
};

/* ---- shared.cpp ---- */

struct span {
    unsigned char *p;
    size_t bytes;
};
const std::vector<struct span> &static_shared(); /* of all loaded objects */
void fill_ones(unsigned char *p, size_t bytes);  /* 0xFF, seen by no sanitizer */

/* ---- block.cpp ---- */

void run_kernel(const struct kernel_call &call);
bool in_kernel();

/* ---- stream.cpp ---- */

/* A point in a stream's work: an event's record, or the end of what was enqueued so far. */
struct capture;
struct stream_state;
struct record {
    std::weak_ptr<struct stream_state> stream;
    std::shared_ptr<struct capture> capture; /* set if it was recorded in a capture; then `tail` are its nodes */
    std::vector<int> tail;
    bool done = false;
    double milliseconds = 0; /* when it was done */
};

struct graph_body;
struct graph_run;

struct operation { /* exactly one is set */
    std::function<void()> run;
    std::shared_ptr<struct record> wait;
    std::shared_ptr<struct record> mark;
    std::shared_ptr<struct graph_run> graph;
};

/* Enqueues deferred work, or adds a node if the stream is capturing. */
void enqueue(cudaStream_t stream, std::function<void()> run);
void forbid_in_capture(const char *call);
bool is_capturing(cudaStream_t stream);
void run_stream(cudaStream_t stream); /* everything enqueued so far */
void run_all();
void count_sync();

} // namespace cudaemu

#endif
