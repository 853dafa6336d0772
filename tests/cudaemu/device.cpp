/* SPDX-License-Identifier: Apache-2.0
 * device.cpp - the device: settings from the environment, versions, properties, errors.
 *
 * The settings are read once. An error that a lost device reports stays for ever, as CUDA's sticky errors do. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cudaemu.h"
#include "internal.h"

namespace cudaemu {

static uint64_t random_state;
static cudaError_t last_error = cudaSuccess;
static bool lost;
static std::recursive_mutex mutex; /* at namespace scope: it needs no code to come to life */

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("cudaemu: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

static int64_t number(const char *name, int64_t otherwise) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char *end;
    const long long value = strtoll(text, &end, 10);
    if (*end || value < 0) die("%s is '%s', which is not a number", name, text);
    return value;
}

const struct settings *settings_read;

const struct settings &read_settings() {
    static struct settings s;
    const char *order = getenv("CUDAEMU_ORDER");
    s.order = SHUFFLED;
    if (!order || !*order || strcmp(order, "fwd") == 0) s.order = FORWARD;
    else if (strcmp(order, "rev") == 0) s.order = REVERSE;
    else random_state = (uint64_t)number("CUDAEMU_ORDER", 0);
    random_state = (random_state + 1) * 0x9E3779B97F4A7C15u;
    const char *driver = getenv("CUDAEMU_DRIVER");
    s.driver = driver && strcmp(driver, "none") == 0 ? 0 : (int)number("CUDAEMU_DRIVER", CUDART_VERSION);
    s.devices = (int)number("CUDAEMU_DEVICES", 1);
    s.memory = (size_t)number("CUDAEMU_MEMORY", (int64_t)8 << 30);
    s.lose_at = number("CUDAEMU_LOSE_AT", 0);
    s.verbose = number("CUDAEMU_VERBOSE", 0) != 0;
    settings_read = &s;
    return s;
}

uint64_t random_below(uint64_t n) { /* n < 2^32; xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((random_state * 0x2545F4914F6CDD1Du >> 32) * n) >> 32;
}

std::recursive_mutex &lock() { return mutex; }

static cudaError_t driver_error() {
    if (config().driver / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
    if (config().devices == 0) return cudaErrorNoDevice;
    return cudaSuccess;
}

cudaError_t report(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t enter() {
    if (in_kernel()) die("a kernel called the runtime");
    const cudaError_t error = driver_error();
    return report(error != cudaSuccess ? error : lost ? cudaErrorLaunchFailure : cudaSuccess);
}

void lose_device() {
    lost = true;
    last_error = cudaErrorLaunchFailure;
}

bool device_lost() { return lost; }

} // namespace cudaemu

using namespace cudaemu;
typedef std::lock_guard<std::recursive_mutex> guard;

extern "C" {

cudaError_t cudaGetLastError(void) {
    guard g(lock());
    const cudaError_t error = last_error;
    if (!lost) last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void) {
    guard g(lock());
    return last_error;
}

/* clang-format off */
#define ERRORS(x) \
    x(cudaSuccess, "no error") \
    x(cudaErrorInvalidValue, "invalid argument") \
    x(cudaErrorMemoryAllocation, "out of memory") \
    x(cudaErrorInitializationError, "initialization error") \
    x(cudaErrorInvalidConfiguration, "invalid configuration argument") \
    x(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
    x(cudaErrorNoDevice, "no CUDA-capable device is detected") \
    x(cudaErrorInvalidDevice, "invalid device ordinal") \
    x(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device") \
    x(cudaErrorInvalidResourceHandle, "invalid resource handle") \
    x(cudaErrorNotReady, "device not ready") \
    x(cudaErrorIllegalAddress, "an illegal memory access was encountered") \
    x(cudaErrorLaunchFailure, "unspecified launch failure") \
    x(cudaErrorStreamCaptureUnmatched, "the capture was not begun in this stream") \
    x(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")
/* clang-format on */

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
#define STRING(name, text)                                                                                             \
    case name:                                                                                                         \
        return text;
        ERRORS(STRING)
    default:
        return "unknown error";
    }
}

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define NAME(name, text)                                                                                               \
    case name:                                                                                                         \
        return #name;
        ERRORS(NAME)
    default:
        return "cudaErrorUnknown";
    }
}

cudaError_t cudaDriverGetVersion(int *version) {
    guard g(lock());
    *version = config().driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    guard g(lock());
    *count = 0;
    if (cudaError_t error = enter()) return error;
    *count = config().devices;
    return cudaSuccess;
}

static cudaError_t enter_device(int device) {
    if (cudaError_t error = enter()) return error;
    return report(device < 0 || device >= config().devices ? cudaErrorInvalidDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
    guard g(lock());
    return enter_device(device);
}

cudaError_t cudaGetDevice(int *device) {
    guard g(lock());
    *device = 0;
    return enter();
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    guard g(lock());
    if (cudaError_t error = enter_device(device)) return error;
    *p = cudaDeviceProp();
    snprintf(p->name, sizeof p->name, "emulated");
    p->major = 8;
    p->minor = 0;
    p->totalGlobalMem = config().memory;
    p->multiProcessorCount = 2;
    p->sharedMemPerBlock = SHARED_DEFAULT;
    p->sharedMemPerBlockOptin = SHARED_OPTIN;
    p->maxThreadsPerBlock = (int)MAX_THREADS;
    p->maxThreadsPerMultiProcessor = 2048;
    p->warpSize = 32;
    p->l2CacheSize = 4 << 20;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    guard g(lock());
    struct cudaDeviceProp p;
    if (cudaError_t error = cudaGetDeviceProperties(&p, device)) return error;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = (int)p.sharedMemPerBlock;
        break;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    default:
        die("cudaDeviceGetAttribute: attribute %d is not emulated", (int)attribute);
    }
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    *total_bytes = config().memory;
    *free_bytes = config().memory - (size_t)cudaemu_bytes_allocated();
    return cudaSuccess;
}

} // extern "C"
