/* SPDX-License-Identifier: Apache-2.0
 * planted.cu - programs with planted bugs, which the emulator must find.
 *
 * The file is plain CUDA and compiles with nvcc too. Blocks have 64 threads and grids at most three blocks, because
 * ThreadSanitizer remembers some 255 threads. */
#include <string.h>

#include "cases.h"
#include "cuda/launch.h"
#include <cublas_v2.h>

#define BLOCK 64

/* Barrier k, deleted when k is the planted bug. */
#define BARRIER(k)                                                                                                     \
    if (bug != (k)) __syncthreads()

/* ---- what most programs do: one array in, one out ---- */

struct arrays {
    int n;
    int *host;     /* n, pinned */
    int *in, *out; /* n, device */
    cudaStream_t stream;
};

static struct arrays begin(int n) {
    struct arrays a;
    a.n = n;
    OK(cudaStreamCreateWithFlags(&a.stream, cudaStreamNonBlocking));
    OK(cudaHostAlloc(&a.host, (size_t)n * sizeof(int), cudaHostAllocDefault));
    OK(cudaMalloc(&a.in, (size_t)n * sizeof(int)));
    OK(cudaMalloc(&a.out, (size_t)n * sizeof(int)));
    for (int i = 0; i < n; i++) a.host[i] = (i * 37 + 11) % 101;
    OK(cudaMemcpyAsync(a.in, a.host, (size_t)n * sizeof(int), cudaMemcpyHostToDevice, a.stream));
    OK(cudaStreamSynchronize(a.stream));
    return a;
}

static int given(int i) { return (i * 37 + 11) % 101; }

static void fetch(struct arrays *a) {
    OK(cudaGetLastError());
    OK(cudaMemcpyAsync(a->host, a->out, (size_t)a->n * sizeof(int), cudaMemcpyDeviceToHost, a->stream));
    OK(cudaStreamSynchronize(a->stream));
}

static void end(struct arrays *a) {
    OK(cudaFree(a->in));
    OK(cudaFree(a->out));
    OK(cudaFreeHost(a->host));
    OK(cudaStreamDestroy(a->stream));
}

/* ---- deleted barriers ---- */

__global__ void tiles(const int *in, int *out, int tiles_count, int bug) {
    __shared__ int s[BLOCK];
    const int t = (int)threadIdx.x;
    int sum = 0;
    for (int i = 0; i < tiles_count; i++) {
        s[t] = in[i * BLOCK + t];
        BARRIER(1);
        sum += s[(t + 1) % BLOCK] - s[(t + BLOCK - 1) % BLOCK];
        BARRIER(2);
    }
    out[t] = sum;
}

static void run_tiles(int bug) {
    struct arrays a = begin(3 * BLOCK);
    LAUNCH(tiles, 1, BLOCK, 0, a.stream, a.in, a.out, 3, bug);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) {
        int sum = 0;
        for (int i = 0; i < 3; i++)
            sum += given(i * BLOCK + (t + 1) % BLOCK) - given(i * BLOCK + (t + BLOCK - 1) % BLOCK);
        EXPECT(a.host[t] == sum);
    }
    end(&a);
}

__global__ void reduce(const int *in, int *out, int bug) {
    __shared__ int s[BLOCK];
    const int t = (int)threadIdx.x;
    s[t] = in[t];
    BARRIER(1);
    for (int stride = BLOCK / 2; stride > 0; stride /= 2) {
        if (t < stride) s[t] += s[t + stride];
        BARRIER(2);
    }
    const int total = s[0];
    BARRIER(3);
    s[t] = in[t] * total;
    BARRIER(4);
    out[t] = s[BLOCK - 1 - t];
}

static void run_reduce(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(reduce, 1, BLOCK, 0, a.stream, a.in, a.out, bug);
    fetch(&a);
    int total = 0;
    for (int t = 0; t < BLOCK; t++) total += given(t);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == given(BLOCK - 1 - t) * total);
    end(&a);
}

template <class T> __global__ void scan(const T *in, T *out, int bug) {
    DYN_SHARED(T, s);
    const int t = (int)threadIdx.x;
    s[t] = in[t];
    BARRIER(1);
    for (int d = 1; d < BLOCK; d *= 2) {
        const T before = t >= d ? s[t - d] : 0;
        BARRIER(2);
        s[t] += before;
        BARRIER(3);
    }
    out[t] = s[t];
}

static void run_scan(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(scan<int>, 1, BLOCK, BLOCK * sizeof(int), a.stream, a.in, a.out, bug);
    fetch(&a);
    int sum = 0;
    for (int t = 0; t < BLOCK; t++) {
        sum += given(t);
        EXPECT(a.host[t] == sum);
    }
    end(&a);
}

template <int BINS> __global__ void histogram(const int *in, int *out, int bug) {
    __shared__ int bins[BINS];
    __shared__ int limit;
    const int t = (int)threadIdx.x;
    if (t < BINS) bins[t] = 0;
    if (t == BLOCK / 2) limit = BINS;
    BARRIER(1);
    atomicAdd(&bins[in[t] % BINS], 1);
    BARRIER(2);
    out[t] = t < BINS ? bins[t] : limit;
}

static void run_histogram(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(histogram<16>, 1, BLOCK, 0, a.stream, a.in, a.out, bug);
    fetch(&a);
    int bins[16] = {0};
    for (int t = 0; t < BLOCK; t++) bins[given(t) % 16]++;
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == (t < 16 ? bins[t] : 16));
    end(&a);
}

__global__ void announce(const int *in, int *out, int bug) {
    __shared__ int chosen;
    const int t = (int)threadIdx.x;
    for (int i = 0; i < 3; i++) {
        if (t == i * 31) chosen = in[i];
        BARRIER(1);
        out[i * BLOCK + t] = chosen;
        BARRIER(2);
    }
}

static void run_announce(int bug) {
    struct arrays a = begin(3 * BLOCK);
    LAUNCH(announce, 1, BLOCK, 0, a.stream, a.in, a.out, bug);
    fetch(&a);
    for (int i = 0; i < 3; i++)
        for (int t = 0; t < BLOCK; t++) EXPECT(a.host[i * BLOCK + t] == given(i));
    end(&a);
}

/* A barrier orders device memory as well. */
__global__ void through_memory(const int *in, int *out, int bug) {
    const int t = (int)threadIdx.x;
    out[t] = in[t];
    BARRIER(1);
    const int other = out[BLOCK - 1 - t];
    BARRIER(2);
    out[t] = other;
}

static void run_through_memory(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(through_memory, 1, BLOCK, 0, a.stream, a.in, a.out, bug);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == given(BLOCK - 1 - t));
    end(&a);
}

/* Every write stores the same value, so the result is right in every order: only happens-before sees the deleted
 * barrier. */
__global__ void same_value(const int *in, int *out, int bug) {
    __shared__ int seen;
    const int t = (int)threadIdx.x;
    if (t == 3) seen = in[0] > 0;
    __syncthreads();
    const int found = seen;
    BARRIER(1);
    if (t == 7) seen = in[1] > 0;
    out[t] = found;
}

static void run_same_value(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(same_value, 1, BLOCK, 0, a.stream, a.in, a.out, bug);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == 1);
    end(&a);
}

/* ---- meetings that go wrong ---- */

__global__ void meetings(int *out, int bug) {
    const int t = (int)threadIdx.x;
    if (bug == 1) {
        if (t < BLOCK / 2) {
            __syncthreads();
        } else {
            __syncthreads();
        }
    }
    if (bug == 2 && t == 5) return;
    __syncthreads();
    int v = t;
    const unsigned int half = t % 32 < 16 ? 0xffffu : 0xffff0000u;
    if (bug == 3) v += __shfl_xor_sync(0xffffu, t, 1);
    if (bug == 4 && t == 63) return;
    v += __shfl_xor_sync(0xffffffffu, t, 1);
    if (bug == 5) {
        if (t % 2) v += __shfl_xor_sync(0xffffffffu, t, 1);
        else v += (int)__ballot_sync(0xffffffffu, t);
    }
    if (bug == 6) {
        if (t < 16) __syncwarp(half);
        else if (t < 32) __syncthreads();
    }
    v += __shfl_xor_sync(half, t, 1);
    out[t] = v;
}

static void run_meetings(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(meetings, 1, bug == 7 ? 48 : BLOCK, 0, a.stream, a.out, bug);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == t + 2 * (t ^ 1));
    end(&a);
}

/* ---- out of bounds ---- */

__global__ void bounds(const int *in, int *out, int bug) {
    __shared__ int s[BLOCK];
    DYN_SHARED(int, d);
    const int t = (int)threadIdx.x;
    s[t] = in[bug == 1 ? t + 1 : t];
    d[t] = s[t];
    __syncthreads();
    if (bug == 2) s[t + 1] = 1;
    if (bug == 3) d[t + 1] = 1;
    if (bug == 4) out[t - 1] = 1;
    __syncthreads();
    out[t] = s[t] + d[t];
}

static void run_bounds(int bug) {
    struct arrays a = begin(BLOCK);
    LAUNCH(bounds, 1, BLOCK, BLOCK * sizeof(int), a.stream, a.in, a.out, bug);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == 2 * given(t));
    if (bug == 5) EXPECT(a.in[3] == given(3));
    if (bug == 6) {
        OK(cudaFree(a.in));
        LAUNCH(bounds, 1, BLOCK, BLOCK * sizeof(int), a.stream, a.in, a.out, 0);
        OK(cudaStreamSynchronize(a.stream));
        _Exit(0);
    }
    end(&a);
}

/* ---- uninitialised memory ---- */

__global__ void uninitialised(const float *in, float *out, int bug) {
    __shared__ float s[BLOCK];
    DYN_SHARED(float, d);
    const int t = (int)threadIdx.x;
    if (bug != 2 || t > 0) s[t] = 1;
    if (bug != 3 || t > 0) d[t] = 1;
    __syncthreads();
    out[blockIdx.x * BLOCK + t] = in[t] + s[BLOCK - 1 - t] + d[BLOCK - 1 - t];
}

static void run_uninitialised(int bug) {
    float *in, *out; /* BLOCK, 3 * BLOCK */
    float host[3 * BLOCK];
    OK(cudaMalloc(&in, BLOCK * sizeof(float)));
    OK(cudaMalloc(&out, 3 * BLOCK * sizeof(float)));
    if (bug != 1) OK(cudaMemset(in, 0, BLOCK * sizeof(float)));
    LAUNCH(uninitialised, 3, BLOCK, BLOCK * sizeof(float), nullptr, in, out, bug);
    OK(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 3 * BLOCK; i++) EXPECT(host[i] == 2);
    OK(cudaFree(in));
    OK(cudaFree(out));
}

/* ---- missing waits ---- */

__global__ void twice(const int *in, int *out) { out[threadIdx.x] = 2 * in[threadIdx.x]; }

static void run_waits(int bug) {
    struct arrays a = begin(BLOCK);
    int *between;
    cudaStream_t other;
    cudaEvent_t event, back;
    OK(cudaMalloc(&between, BLOCK * sizeof(int)));
    OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&back, cudaEventDisableTiming));
    LAUNCH(twice, 1, BLOCK, 0, a.stream, a.in, between);
    if (bug != 1) OK(cudaEventRecord(event, a.stream));
    if (bug != 2) OK(cudaStreamWaitEvent(other, event, 0));
    LAUNCH(twice, 1, BLOCK, 0, other, between, a.out);
    OK(cudaEventRecord(back, other));
    if (bug != 3) OK(cudaStreamWaitEvent(a.stream, back, 0));
    OK(cudaMemsetAsync(between, 0, BLOCK * sizeof(int), a.stream)); /* only after `other` has read it */
    OK(cudaMemcpyAsync(a.host, a.out, BLOCK * sizeof(int), cudaMemcpyDeviceToHost, other));
    if (bug != 4) OK(cudaStreamSynchronize(other));
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == 4 * given(t));
    OK(cudaStreamSynchronize(a.stream));
    OK(cudaMemcpyAsync(a.in, a.host, BLOCK * sizeof(int), cudaMemcpyHostToDevice, a.stream));
    OK(cudaEventRecord(event, a.stream));
    if (bug != 5) OK(cudaEventSynchronize(event));
    memset(a.host, 0, BLOCK * sizeof(int)); /* the copy may still read it */
    LAUNCH(twice, 1, BLOCK, 0, a.stream, a.in, a.out);
    fetch(&a);
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == 8 * given(t));
    OK(cudaEventDestroy(event));
    OK(cudaEventDestroy(back));
    OK(cudaStreamDestroy(other));
    OK(cudaFree(between));
    end(&a);
}

/* ---- races that every order hides ---- */

__global__ void races(const int *in, int *sum, int *partial, int *ticket, int bug) {
    __shared__ int s[BLOCK];
    __shared__ int last;
    const int t = (int)threadIdx.x;
    if (bug == 1) {
        if (t == 0) sum[0] += in[blockIdx.x];
    } else if (t == 0) atomicAdd(&sum[0], in[blockIdx.x]);
    s[t] = in[t];
    if (bug != 2) __syncwarp();
    int v = s[t / 32 * 32 + (t + 1) % 32];
    v = __shfl_sync(0xffffffffu, v, 0);
    if (t == 0) {
        partial[blockIdx.x] = v;
        if (bug != 3) __threadfence();
        last = atomicAdd(ticket, 1) == (int)gridDim.x - 1;
        if (last) {
            int total = 0;
            for (int b = 0; b < (int)gridDim.x; b++) total += partial[b];
            sum[1] = total;
        }
    }
}

static void run_races(int bug) {
    struct arrays a = begin(BLOCK);
    OK(cudaMemsetAsync(a.out, 0, BLOCK * sizeof(int), a.stream));
    LAUNCH(races, 3, BLOCK, 0, a.stream, a.in, a.out, a.out + 8, a.out + 4, bug);
    fetch(&a);
    EXPECT(bug == 2 || a.host[0] == given(0) + given(1) + given(2));
    EXPECT(bug == 2 || a.host[1] == 3 * given(1));
    end(&a);
}

/* ---- wrong calls ---- */

static void run_launches(int bug) {
    struct arrays a = begin(BLOCK);
    const size_t much = 100 * 1024;
    if (bug != 3) OK(cudaFuncSetAttribute(scan<int>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)much));
    LAUNCH(scan<int>, 1, BLOCK, much, a.stream, a.in, a.out, 0);
    if (bug == 1) LAUNCH(twice, 1, 2048, 0, a.stream, a.in, a.out);
    if (bug == 2) LAUNCH(twice, dim3(1, 70000), 1, 0, a.stream, a.in, a.out);
    if (bug == 4) LAUNCH(twice, a.n - BLOCK, BLOCK, 0, a.stream, a.in, a.out);
    if (bug == 5) LAUNCH(scan<int>, 1, BLOCK, 0, a.stream, a.in, a.out, 0);
    fetch(&a);
    end(&a);
}

static void run_copies(int bug) {
    struct arrays a = begin(BLOCK);
    int pageable[BLOCK];
    const size_t bytes = BLOCK * sizeof(int);
    OK(cudaMemcpy(pageable, a.in, bytes, bug == 1 ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost));
    OK(cudaMemcpyAsync(a.out, a.in, bytes, bug == 2 ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice, a.stream));
    OK(cudaMemcpyAsync(a.host, a.out, bug == 3 ? bytes + 4 : bytes, cudaMemcpyDeviceToHost, a.stream));
    OK(cudaMemsetAsync(bug == 4 ? a.out + 1 : a.out, 0, bytes, a.stream));
    OK(cudaMemsetAsync(bug == 5 ? pageable : a.out, 0, bytes, a.stream));
    OK(cudaStreamSynchronize(a.stream));
    for (int t = 0; t < BLOCK; t++) EXPECT(a.host[t] == given(t) && pageable[t] == given(t));
    end(&a);
}

static void run_captures(int bug) {
    struct arrays a = begin(BLOCK);
    int pageable[BLOCK] = {0};
    int *more = nullptr;
    cudaEvent_t event;
    cudaGraph_t graph;
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    OK(cudaEventRecord(event, a.stream));
    OK(cudaEventSynchronize(event));
    OK(cudaStreamBeginCapture(a.stream, cudaStreamCaptureModeGlobal));
    LAUNCH(twice, 1, BLOCK, 0, a.stream, a.in, a.out);
    if (bug == 1) OK(cudaStreamSynchronize(a.stream));
    if (bug == 2) OK(cudaMalloc(&more, 4));
    if (bug == 3) OK(cudaMemcpyAsync(a.in, pageable, sizeof pageable, cudaMemcpyHostToDevice, a.stream));
    if (bug == 4) OK(cudaEventQuery(event));
    if (bug == 5) OK(cudaDeviceSynchronize());
    if (bug == 6) OK(cudaStreamWaitEvent(a.stream, event, 0));
    if (bug == 7) OK(cudaMemcpy(a.in, pageable, sizeof pageable, cudaMemcpyHostToDevice));
    OK(cudaStreamEndCapture(a.stream, &graph));
    OK(cudaGraphDestroy(graph));
    OK(cudaEventDestroy(event));
    end(&a);
}

static void run_gemm(int bug) {
    const int m = 4, n = 3, k = 5;
    float *a, *b, *c; /* column-major: (m,k), (k,n), (m,n) */
    float pageable[5 * 3] = {0};
    const float one = 1, zero = 0;
    cublasHandle_t handle;
    OK(cudaMalloc(&a, m * k * sizeof(float)));
    OK(cudaMalloc(&b, k * n * sizeof(float)));
    OK(cudaMalloc(&c, m * n * sizeof(float)));
    EXPECT(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    EXPECT(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, bug == 2 ? a + 1 : a, m,
                       bug == 3 ? pageable : b, k, &zero, c, bug == 4 ? m + 1 : m) == CUBLAS_STATUS_SUCCESS);
    if (bug == 1)
        EXPECT(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, a, m - 1, b, k, &zero, c, m) ==
               CUBLAS_STATUS_SUCCESS);
    EXPECT(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS);
    OK(cudaFree(a));
    OK(cudaFree(b));
    OK(cudaFree(c));
}

static void lose(int bug) {
    int *memory;
    cudaStream_t stream;
    OK(cudaMalloc(&memory, 1000));
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    OK(cudaMemset(memory, 0, 1000));
    OK(cudaDeviceSynchronize());
    if (bug != 1) OK(cudaFree(memory));
    if (bug != 2) OK(cudaStreamDestroy(stream));
}

static void run_leaks(int bug) {
    for (int i = 0; i < 10; i++) lose(bug); /* of several, no forgotten register keeps all alive */
}

#define WRONG "wrong result"
#define RACE "data race"
#define DELETED(program, bug)                                                                                          \
    { "deleted barrier " #bug " of " #program, run_##program, bug, NULL, WRONG, WRONG, RACE, NULL }
#define SAYS(name, run, bug, words)                                                                                    \
    { name, run, bug, NULL, words, words, words, NULL }
#define ASAN(name, run, bug, words)                                                                                    \
    { name, run, bug, NULL, NOT_CLAIMED, words, NOT_CLAIMED, "found by AddressSanitizer" }
#define TSAN(name, run, bug)                                                                                           \
    { name, run, bug, NULL, NOT_CLAIMED, NOT_CLAIMED, RACE, "found by ThreadSanitizer" }

const struct emulator_case planted_cases[] = {
    DELETED(tiles, 1),
    DELETED(tiles, 2),
    DELETED(reduce, 1),
    DELETED(reduce, 2),
    DELETED(reduce, 3),
    DELETED(reduce, 4),
    DELETED(scan, 1),
    DELETED(scan, 2),
    DELETED(scan, 3),
    DELETED(histogram, 1),
    DELETED(histogram, 2),
    DELETED(announce, 1),
    DELETED(announce, 2),
    DELETED(through_memory, 1),
    DELETED(through_memory, 2),
    TSAN("deleted barrier 1 of same_value", run_same_value, 1),
    SAYS("barrier at two places", run_meetings, 1, "divergent: "),
    SAYS("barrier after a thread left", run_meetings, 2, "divergent: "),
    SAYS("mask without the own lane", run_meetings, 3, "bad mask: "),
    SAYS("mask with a lane that left", run_meetings, 4, "bad mask: "),
    SAYS("two warp operations with one mask", run_meetings, 5, "divergent: "),
    SAYS("barrier in a part of a warp", run_meetings, 6, "cudaemu: "),
    SAYS("mask with lanes that the block lacks", run_meetings, 7, "bad mask: "),
    ASAN("reading behind device memory", run_bounds, 1, "heap-buffer-overflow"),
    ASAN("writing behind static shared memory", run_bounds, 2, "global-buffer-overflow"),
    ASAN("writing behind dynamic shared memory", run_bounds, 3, "heap-buffer-overflow"),
    ASAN("writing before device memory", run_bounds, 4, "heap-buffer-overflow"),
    ASAN("host reading device memory", run_bounds, 5, "use-after-poison"),
    ASAN("kernel with freed device memory", run_bounds, 6, "heap-use-after-free"),
    SAYS("uninitialised device memory", run_uninitialised, 1, WRONG),
    SAYS("uninitialised static shared memory", run_uninitialised, 2, WRONG),
    SAYS("uninitialised dynamic shared memory", run_uninitialised, 3, WRONG),
    SAYS("missing event record", run_waits, 1, WRONG),
    SAYS("missing stream wait", run_waits, 2, WRONG),
    SAYS("missing stream wait before overwriting", run_waits, 3, WRONG),
    SAYS("missing stream synchronisation", run_waits, 4, WRONG),
    SAYS("missing event synchronisation", run_waits, 5, WRONG),
    TSAN("race between blocks", run_races, 1),
    TSAN("missing __syncwarp", run_races, 2),
    TSAN("missing __threadfence", run_races, 3),
    SAYS("too many threads", run_launches, 1, "no block has 2048 x 1 x 1 threads"),
    SAYS("too many blocks", run_launches, 2, "no grid has 1 x 70000 x 1 blocks"),
    SAYS("too much shared memory", run_launches, 3, "bytes of dynamic shared memory, but it may have 49152"),
    SAYS("no blocks", run_launches, 4, "a launch with 0 blocks or threads"),
    SAYS("dynamic shared memory without size", run_launches, 5, "was launched with none"),
    SAYS("copy to the host called a copy to the device", run_copies, 1, "but the kind is cudaMemcpyHostToDevice"),
    SAYS("copy on the device called a copy to the host", run_copies, 2, "but the kind is cudaMemcpyDeviceToHost"),
    SAYS("copy behind the end", run_copies, 3, "end beyond their allocation"),
    SAYS("fill behind the end", run_copies, 4, "end beyond their allocation"),
    SAYS("fill of host memory", run_copies, 5, "is not device memory"),
    SAYS("GEMM with a leading dimension that is too small", run_gemm, 1, "leading dimension of A is 3"),
    SAYS("GEMM behind the end of A", run_gemm, 2, "matrix A: 80 bytes"),
    SAYS("GEMM with B in pageable memory", run_gemm, 3, "is not device memory"),
    SAYS("GEMM behind the end of C", run_gemm, 4, "matrix C: 56 bytes"),
    SAYS("synchronising in a capture", run_captures, 1, "cudaStreamSynchronize during a capture"),
    SAYS("allocating in a capture", run_captures, 2, "cudaMalloc during a capture"),
    SAYS("pageable memory in a capture", run_captures, 3, "pageable host memory during a capture"),
    SAYS("asking an event in a capture", run_captures, 4, "cudaEventQuery during a capture"),
    SAYS("synchronising the device in a capture", run_captures, 5, "cudaDeviceSynchronize during a capture"),
    SAYS("waiting in a capture for an event from outside", run_captures, 6, "from outside the capture"),
    SAYS("blocking copy in a capture", run_captures, 7, "cudaMemcpy during a capture"),
    ASAN("device memory not freed", run_leaks, 1, "LeakSanitizer"),
    ASAN("stream not destroyed", run_leaks, 2, "LeakSanitizer"),
    {NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
