/* SPDX-License-Identifier: Apache-2.0
 * sound.cu - programs without bugs: what each part of the runtime and of the kernel language must do. */
#include <math.h>
#include <string.h>
#include <thread>

#include "cases.h"
#include "cuda/launch.h"
#include "cudaemu.h"
#include <cublas_v2.h>

static cudaStream_t new_stream() {
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static cudaEvent_t new_event() {
    cudaEvent_t event;
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

template <class T> static T *pinned(int n) {
    T *p; /* n */
    OK(cudaHostAlloc(&p, (size_t)n * sizeof(T), cudaHostAllocPortable | cudaHostAllocMapped));
    return p;
}

template <class T> static T *device(int n) {
    T *p; /* n */
    OK(cudaMalloc(&p, (size_t)n * sizeof(T)));
    return p;
}

/* ---- the kernel language ---- */

__global__ void __launch_bounds__(64) places(unsigned int *out) {
    const unsigned int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
}

static void run_places(int) {
    unsigned int *out = pinned<unsigned int>(60 * 24);
    LAUNCH(places, dim3(3, 4, 5), dim3(4, 3, 2), 0, nullptr, out);
    OK(cudaDeviceSynchronize());
    for (unsigned int i = 0; i < 60 * 24; i++) EXPECT(out[i] == i / 24 * 1000 + i % 24);
    OK(cudaFreeHost(out));
}

template <class T> __global__ void shuffles(T *out) {
    const int t = (int)threadIdx.x;
    const T v = (T)(t * 3);
    out[t] = __shfl_sync(0xffffffffu, v, 5);
    out[64 + t] = __shfl_up_sync(0xffffffffu, v, 2);
    out[128 + t] = __shfl_down_sync(0xffffffffu, v, 4, 8);
    out[192 + t] = __shfl_xor_sync(0xffffffffu, v, 7, 16);
    out[256 + t] = __shfl_sync(0xffffffffu, v, t + 9, 4);
}

template <class T> static void check_shuffles() {
    T *out = pinned<T>(5 * 64);
    LAUNCH(shuffles<T>, 1, 64, 0, nullptr, out);
    OK(cudaDeviceSynchronize());
    for (int t = 0; t < 64; t++) {
        const int w = t / 32 * 32, lane = t % 32;
        EXPECT(out[t] == (T)(3 * (w + 5)));
        EXPECT(out[64 + t] == (T)(3 * (lane < 2 ? t : t - 2)));
        EXPECT(out[128 + t] == (T)(3 * (lane % 8 + 4 > 7 ? t : t + 4)));
        EXPECT(out[192 + t] == (T)(3 * (t ^ 7)));
        EXPECT(out[256 + t] == (T)(3 * (t / 4 * 4 + (t + 9) % 4)));
    }
    OK(cudaFreeHost(out));
}

static void run_shuffles(int) {
    check_shuffles<int>();
    check_shuffles<unsigned int>();
    check_shuffles<float>();
    check_shuffles<double>();
    check_shuffles<long long>();
    check_shuffles<unsigned long long>();
}

/* Lanes that go their own ways and meet in parts of a warp, in turns that differ. */
__global__ void votes(unsigned int *out) {
    const int t = (int)threadIdx.x;
    const unsigned int half = t % 32 < 16 ? 0xffffu : 0xffff0000u;
    out[t] = __ballot_sync(0xffffffffu, t % 3 == 0);
    out[64 + t] = (unsigned int)(__any_sync(half, t == 20) * 2 + __all_sync(half, t < 32));
    unsigned int sum = 0;
    if (t % 32 < 16) {
        for (int i = 0; i < 5; i++) sum += __ballot_sync(0xffffu, t % 32 == i);
    } else {
        for (int i = 0; i < 3; i++) sum += __ballot_sync(0xffff0000u, t % 32 == 16 + i);
    }
    __syncwarp();
    out[128 + t] = __shfl_xor_sync(0xffffffffu, sum, 16);
    out[192 + t] = (unsigned int)(__syncthreads_count(t % 2) + 1000 * __syncthreads_or(t == 63) +
                                  2000 * __syncthreads_and(t < 64) + 4000 * __syncthreads_and(t < 63));
}

static void run_votes(int) {
    unsigned int *out = pinned<unsigned int>(4 * 64);
    LAUNCH(votes, 1, 64, 0, nullptr, out);
    OK(cudaDeviceSynchronize());
    for (int t = 0; t < 64; t++) {
        unsigned int thirds = 0;
        for (int lane = 0; lane < 32; lane++) thirds |= (unsigned int)((t / 32 * 32 + lane) % 3 == 0) << lane;
        EXPECT(out[t] == thirds);
        EXPECT(out[64 + t] == (unsigned int)((t >= 16 && t < 32) * 2 + (t < 32)));
        EXPECT(out[128 + t] == (t % 32 < 16 ? 0x70000u : 0x1fu));
        EXPECT(out[192 + t] == 32 + 1000 + 2000);
    }
    OK(cudaFreeHost(out));
}

__global__ void atomics(int *i, unsigned int *u, unsigned long long *l, float *f, double *d) {
    const int t = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    atomicAdd(&i[0], t);
    atomicMax(&i[1], t);
    atomicMin(&i[2], -t);
    atomicAdd(&u[0], 3u);
    atomicMax(&u[1], (unsigned int)t);
    atomicMin(&u[2], (unsigned int)t + 7);
    atomicAdd(&l[0], 1ull << 33);
    atomicAdd(&f[0], 0.5f);
    atomicAdd(&d[0], 0.25);
    if (t == 5) {
        i[3] = atomicExch(&i[4], 8);
        i[5] = atomicCAS(&i[6], 0, 9) + 10 * atomicCAS(&i[6], 0, 7);
    }
}

static void run_atomics(int) {
    int *i = pinned<int>(8);
    unsigned int *u = pinned<unsigned int>(4);
    auto *l = pinned<unsigned long long>(1);
    float *f = pinned<float>(1);
    double *d = pinned<double>(1);
    memset(i, 0, 8 * sizeof *i);
    u[0] = u[1] = 0;
    u[2] = 1000;
    l[0] = 0;
    f[0] = 0;
    d[0] = 0;
    LAUNCH(atomics, 2, 64, 0, nullptr, i, u, l, f, d);
    OK(cudaDeviceSynchronize());
    EXPECT(i[0] == 127 * 64 && i[1] == 127 && i[2] == -127 && i[3] == 0 && i[4] == 8 && i[5] == 90 && i[6] == 9);
    EXPECT(u[0] == 384 && u[1] == 127 && u[2] == 7 && l[0] == 128ull << 33 && f[0] == 64 && d[0] == 32);
    OK(cudaFreeHost(i));
    OK(cudaFreeHost(u));
    OK(cudaFreeHost(l));
    OK(cudaFreeHost(f));
    OK(cudaFreeHost(d));
}

__global__ void intrinsics(int *out, const float4 *in) {
    const float4 v = __ldg(in);
    const int2 pair = make_int2(3, -4);
    int i = 0;
    out[i++] = v.x == 1 && v.y == 2 && v.z == 3 && v.w == 4;
    out[i++] = __popc(0xf0f0u) == 8 && __popcll(~0ull) == 64;
    out[i++] = __ffs(8) == 4 && __ffs(0) == 0 && __ffsll(1ll << 40) == 41;
    out[i++] = __clz(1) == 31 && __clz(0) == 32 && __clzll(1) == 63;
    out[i++] = __brev(0x80000001u) == 0x80000001u && __brev(2u) == 0x40000000u;
    out[i++] = __float_as_int(1.0f) == 0x3f800000 && __float_as_uint(-0.0f) == 0x80000000u;
    out[i++] = __int_as_float(0x40000000) == 2.0f && __uint_as_float(0x3f000000u) == 0.5f;
    out[i++] = fmaf(2.0f, 3.0f, 4.0f) == 10 && __fmaf_rn(2.0f, 3.0f, 4.0f) == 10;
    out[i++] = __fadd_rn(1.0f, 2.0f) == 3 && __fmul_rn(3.0f, 2.0f) == 6 && fabsf(rsqrtf(4.0f) - 0.5f) < 1e-6f;
    out[i++] = min(pair.x, pair.y) == -4 && max(3u, 5u) == 5u && min(1.5f, 2.5f) == 1.5f && max(1.0, 2.0) == 2;
    out[i++] = fabsf(__expf(1.0f) - 2.7182818f) < 1e-5f && fabsf(__logf(2.0f) - 0.6931472f) < 1e-6f;
    out[i++] = warpSize == 32 && sizeof(float2) == 8 && alignof(float4) == 16 && sizeof(uint4) == 16;
}

static void run_intrinsics(int) {
    int *out = pinned<int>(12);
    float4 *in = pinned<float4>(1);
    in[0] = make_float4(1, 2, 3, 4);
    LAUNCH(intrinsics, 1, 1, 0, nullptr, out, in);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < 12; i++) EXPECT(out[i] == 1);
    OK(cudaFreeHost(out));
    OK(cudaFreeHost(in));
}

/* ---- launches ---- */

struct parameters {
    int offset;
    int values[20];
};

template <int N, class T> __global__ void add_values(T *out, struct parameters p) {
    out[threadIdx.x] += p.values[threadIdx.x % N] + p.offset;
}

static void run_arguments(int) {
    int *out = pinned<int>(20);
    cudaStream_t stream = new_stream();
    struct parameters p = {0, {0}};
    memset(out, 0, 20 * sizeof *out);
    for (int i = 1; i <= 3; i++) {
        p.offset = i;
        for (int j = 0; j < 20; j++) p.values[j] = j;
        LAUNCH((add_values<10, int>), 1, 20, 0, stream, out, p);
        memset(&p, 0, sizeof p); /* the launch has its copy */
    }
    EXPECT(out[0] == 0); /* nothing runs before somebody waits */
    OK(cudaStreamSynchronize(stream));
    for (int j = 0; j < 20; j++) EXPECT(out[j] == 6 + 3 * (j % 10));
    OK(cudaFreeHost(out));
    OK(cudaStreamDestroy(stream));
}

template <class T> __global__ void reversed(T *out, int n) {
    DYN_SHARED(T, s);
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) s[i] = out[i];
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) out[i] = s[n - 1 - i];
}

static void run_dynamic_shared(int) {
    const int n = 163 * 1024 / 8;
    double *out = pinned<double>(n);
    for (int i = 0; i < n; i++) out[i] = i;
    EXPECT(cudaFuncSetAttribute(reversed<double>, cudaFuncAttributeMaxDynamicSharedMemorySize, 163 * 1024 + 1) ==
           cudaErrorInvalidValue);
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
    OK(cudaFuncSetAttribute(reversed<double>, cudaFuncAttributeMaxDynamicSharedMemorySize, 163 * 1024));
    LAUNCH(reversed<double>, 1, 128, n * sizeof(double), nullptr, out, n);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < n; i++) EXPECT(out[i] == n - 1 - i);
    OK(cudaFreeHost(out));
}

__global__ void widest(int *out) {
    __shared__ int s[1024];
    s[threadIdx.x] = (int)threadIdx.x;
    __syncthreads();
    out[blockIdx.x * 1024 + threadIdx.x] = s[1023 - threadIdx.x];
}

static void run_widest(int) {
    int *out = pinned<int>(3 * 1024);
    LAUNCH(widest, 3, 1024, 0, nullptr, out);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < 3 * 1024; i++) EXPECT(out[i] == 1023 - i % 1024);
    OK(cudaFreeHost(out));
}

/* ---- streams and events ---- */

__global__ void append(int *list, int *count, int value) { list[(*count)++] = value; }

static void run_streams(int) {
    int *list = pinned<int>(64), *count = pinned<int>(1);
    int pageable[4] = {1, 2, 3, 4}, back[4];
    int *memory = device<int>(4);
    cudaStream_t a = new_stream(), b = new_stream();
    cudaEvent_t event = new_event(), timed[2];
    for (cudaEvent_t &e : timed) OK(cudaEventCreateWithFlags(&e, cudaEventDefault));
    *count = 0;
    OK(cudaEventQuery(event)); /* never recorded */
    OK(cudaStreamWaitEvent(b, event, 0));
    OK(cudaEventRecord(timed[0], a));
    for (int i = 0; i < 8; i++) LAUNCH(append, 1, 1, 0, a, list, count, i);
    OK(cudaEventRecord(timed[1], a));
    OK(cudaEventRecord(event, a));
    OK(cudaStreamWaitEvent(b, event, 0));
    for (int i = 8; i < 16; i++) LAUNCH(append, 1, 1, 0, b, list, count, i);
    float milliseconds = -1;
    EXPECT(cudaEventElapsedTime(&milliseconds, timed[0], timed[1]) == cudaErrorNotReady);
    cudaGetLastError();
    OK(cudaEventRecord(event, b));
    int asked = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady) asked++;
    EXPECT(asked > 0 && *count == 16);
    cudaGetLastError();
    for (int i = 0; i < 16; i++) EXPECT(list[i] == i);
    OK(cudaEventElapsedTime(&milliseconds, timed[0], timed[1]));
    EXPECT(milliseconds >= 0);
    EXPECT(cudaEventElapsedTime(&milliseconds, event, event) == cudaErrorInvalidResourceHandle);
    cudaGetLastError();
    OK(cudaMemcpyAsync(memory, pageable, sizeof pageable, cudaMemcpyHostToDevice, a));
    memset(pageable, 0, sizeof pageable); /* a copy from pageable memory has read it */
    OK(cudaMemcpyAsync(back, memory, sizeof back, cudaMemcpyDeviceToHost, a));
    for (int i = 0; i < 4; i++) EXPECT(back[i] == i + 1); /* and one to pageable memory has written it */
    LAUNCH(append, 1, 1, 0, a, list, count, 16);
    OK(cudaEventRecord(event, a));
    OK(cudaStreamDestroy(a)); /* its work goes on */
    OK(cudaEventSynchronize(event));
    EXPECT(*count == 17);
    OK(cudaStreamDestroy(b));
    OK(cudaEventDestroy(event));
    for (cudaEvent_t e : timed) OK(cudaEventDestroy(e));
    OK(cudaFreeHost(list));
    OK(cudaFreeHost(count));
    OK(cudaFree(memory));
}

/* A blocking stream and the default stream wait for each other. */
static void run_default_stream(int) {
    int *list = pinned<int>(8), *count = pinned<int>(1);
    cudaStream_t blocking;
    OK(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault));
    *count = 0;
    LAUNCH(append, 1, 1, 0, blocking, list, count, 0);
    LAUNCH(append, 1, 1, 0, nullptr, list, count, 1);
    LAUNCH(append, 1, 1, 0, blocking, list, count, 2);
    LAUNCH(append, 1, 1, 0, nullptr, list, count, 3);
    OK(cudaStreamSynchronize(nullptr));
    EXPECT(*count == 4);
    for (int i = 0; i < 4; i++) EXPECT(list[i] == i);
    OK(cudaStreamDestroy(blocking));
    OK(cudaFreeHost(list));
    OK(cudaFreeHost(count));
}

__global__ void scale(int *p, int factor) { p[threadIdx.x] *= factor; }

static void use_a_stream(int factor) {
    cudaStream_t stream = new_stream();
    int *host = pinned<int>(32), *memory = device<int>(32);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 32; i++) host[i] = i;
        OK(cudaMemcpyAsync(memory, host, 32 * sizeof(int), cudaMemcpyHostToDevice, stream));
        LAUNCH(scale, 1, 32, 0, stream, memory, factor);
        OK(cudaMemcpyAsync(host, memory, 32 * sizeof(int), cudaMemcpyDeviceToHost, stream));
        OK(cudaStreamSynchronize(stream));
        for (int i = 0; i < 32; i++) EXPECT(host[i] == i * factor);
    }
    OK(cudaFree(memory));
    OK(cudaFreeHost(host));
    OK(cudaStreamDestroy(stream));
}

static void run_host_threads(int) {
    std::thread first(use_a_stream, 3), second(use_a_stream, 5);
    use_a_stream(7);
    first.join();
    second.join();
}

/* ---- graphs ---- */

__global__ void combine(int *out, const int *a, const int *b, int weight) {
    out[threadIdx.x] = a[threadIdx.x] + weight * b[threadIdx.x];
}

static void run_graphs(int) {
    int *host = pinned<int>(32);
    int *x = device<int>(32), *y = device<int>(32), *z = device<int>(32);
    cudaStream_t a = new_stream(), b = new_stream();
    cudaEvent_t fork = new_event(), join = new_event();
    cudaStreamCaptureStatus status;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    int weight = 10;
    memset(host, 0, 32 * sizeof(int));
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    OK(cudaMemcpyAsync(x, host, 32 * sizeof(int), cudaMemcpyHostToDevice, a));
    OK(cudaEventRecord(fork, a));
    OK(cudaStreamWaitEvent(b, fork, 0));
    OK(cudaStreamIsCapturing(b, &status));
    EXPECT(status == cudaStreamCaptureStatusActive);
    LAUNCH(combine, 1, 32, 0, b, y, x, x, 1);
    LAUNCH(scale, 1, 32, 0, b, y, 3);
    OK(cudaEventRecord(join, b));
    OK(cudaMemsetAsync(z, 0, 32 * sizeof(int), a));
    LAUNCH(combine, 1, 32, 0, a, z, z, x, 1);
    OK(cudaStreamWaitEvent(a, join, 0));
    LAUNCH(combine, 1, 32, 0, a, z, z, y, weight);
    weight = 0; /* a graph keeps its arguments */
    OK(cudaStreamEndCapture(a, &graph));
    OK(cudaStreamIsCapturing(b, &status));
    EXPECT(status == cudaStreamCaptureStatusNone);
    size_t nodes = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    EXPECT(nodes == 6);
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphDestroy(graph));
    EXPECT(cudaemu_launches() == 0); /* nothing has run */
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 32; i++) host[i] = round * i; /* pinned memory is read when the graph runs */
        OK(cudaGraphLaunch(exec, a));
        OK(cudaMemcpyAsync(host, z, 32 * sizeof(int), cudaMemcpyDeviceToHost, a));
        OK(cudaStreamSynchronize(a));
        for (int i = 0; i < 32; i++) EXPECT(host[i] == 61 * round * i);
    }
    EXPECT(cudaemu_graph_launches() == 3 && cudaemu_launches() == 12 && cudaemu_syncs() == 3);
    OK(cudaGraphLaunch(exec, a)); /* two launches of one graph run one after the other, in two streams too */
    OK(cudaGraphLaunch(exec, b));
    OK(cudaStreamSynchronize(b));
    EXPECT(cudaemu_launches() == 20);
    OK(cudaStreamSynchronize(a));
    OK(cudaGraphExecDestroy(exec));
    /* Work of a joined stream that does not come back is an error; so is the end in another stream. */
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    OK(cudaEventRecord(fork, a));
    OK(cudaStreamWaitEvent(b, fork, 0));
    LAUNCH(scale, 1, 32, 0, b, y, 3);
    EXPECT(cudaStreamEndCapture(b, &graph) == cudaErrorStreamCaptureUnmatched && graph == nullptr);
    EXPECT(cudaStreamEndCapture(a, &graph) == cudaErrorStreamCaptureUnjoined && graph == nullptr);
    EXPECT(cudaGetLastError() == cudaErrorStreamCaptureUnjoined);
    OK(cudaStreamSynchronize(a));
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    OK(cudaStreamDestroy(a));
    OK(cudaStreamDestroy(b));
    OK(cudaFree(x));
    OK(cudaFree(y));
    OK(cudaFree(z));
    OK(cudaFreeHost(host));
}

/* ---- cuBLAS ---- */

static void run_gemm(int) {
    const int m = 5, n = 3, k = 4, batch = 2;
    float *a = pinned<float>(batch * m * k); /* of batch i: m x k, or k x m where transposed */
    float *b = pinned<float>(k * n);         /* shared by the batch */
    float *c = device<float>(batch * m * n);
    float host[2 * 5 * 3];
    cudaStream_t stream = new_stream();
    cublasHandle_t handle;
    for (int i = 0; i < batch * m * k; i++) a[i] = (float)(i % 7 - 3);
    for (int i = 0; i < k * n; i++) b[i] = (float)(i % 5 - 2);
    EXPECT(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    EXPECT(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS);
    EXPECT(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH) == CUBLAS_STATUS_SUCCESS);
    EXPECT(cublasSetWorkspace(handle, c, 16) == CUBLAS_STATUS_SUCCESS);
    for (int turned = 0; turned < 4; turned++) {
        const bool ta = turned & 1, tb = turned & 2;
        float alpha = 2, beta = 0; /* C begins as NaN, which a beta of 0 must not read */
        EXPECT(cublasSgemmStridedBatched(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n,
                                         k, &alpha, a, ta ? k : m, m * k, b, tb ? n : k, 0, &beta, c, m, m * n,
                                         batch) == CUBLAS_STATUS_SUCCESS);
        alpha = 1;
        beta = 1;
        EXPECT(cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &alpha, a,
                           ta ? k : m, b, tb ? n : k, &beta, c, m) == CUBLAS_STATUS_SUCCESS);
        alpha = beta = NAN; /* the calls have read them */
        OK(cudaMemcpyAsync(host, c, sizeof host, cudaMemcpyDeviceToHost, stream));
        for (int i = 0; i < batch * m * n; i++) {
            const int of = i / (m * n), row = i % m, column = i / m % n;
            float sum = 0;
            for (int j = 0; j < k; j++)
                sum += a[of * m * k + (ta ? row * k + j : j * m + row)] * b[tb ? j * n + column : column * k + j];
            EXPECT(host[i] == (of == 0 ? 3 : 2) * sum);
        }
    }
    EXPECT(strcmp(cublasGetStatusString(CUBLAS_STATUS_SUCCESS), "success") == 0);
    EXPECT(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS);
    OK(cudaStreamDestroy(stream));
    OK(cudaFreeHost(a));
    OK(cudaFreeHost(b));
    OK(cudaFree(c));
}

/* ---- the device ---- */

static void run_device(int) {
    struct cudaDeviceProp p;
    int count, version, value;
    size_t unused, total;
    OK(cudaGetDeviceCount(&count));
    EXPECT(count == 1);
    OK(cudaSetDevice(0));
    EXPECT(cudaSetDevice(1) == cudaErrorInvalidDevice && cudaGetLastError() == cudaErrorInvalidDevice);
    OK(cudaGetDeviceProperties(&p, 0));
    EXPECT(strcmp(p.name, "emulated") == 0 && p.major == 8 && p.minor == 0 && p.maxThreadsPerBlock == 1024);
    EXPECT(p.sharedMemPerBlock == 48 * 1024 && p.sharedMemPerBlockOptin == 163 * 1024);
    OK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
    EXPECT(value == 163 * 1024);
    OK(cudaDriverGetVersion(&version));
    EXPECT(version == 13000);
    OK(cudaRuntimeGetVersion(&version));
    EXPECT(version == CUDART_VERSION);
    char *memory = device<char>(1000);
    OK(cudaMemGetInfo(&unused, &total));
    EXPECT(total == p.totalGlobalMem && unused == total - 1000 && cudaemu_bytes_allocated() == 1000);
    OK(cudaFree(memory));
    EXPECT(cudaemu_bytes_allocated() == 0);
    OK(cudaMalloc(&memory, 0));
    EXPECT(memory == nullptr);
    OK(cudaFree(nullptr));
    EXPECT(strcmp(cudaGetErrorName(cudaErrorNotReady), "cudaErrorNotReady") == 0);
    EXPECT(strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory") == 0);
}

static void run_little_memory(int) {
    char *first = device<char>(600), *second = (char *)1;
    EXPECT(cudaMalloc(&second, 401) == cudaErrorMemoryAllocation && second == nullptr);
    EXPECT(cudaPeekAtLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaErrorMemoryAllocation);
    EXPECT(cudaGetLastError() == cudaSuccess);
    OK(cudaMalloc(&second, 400));
    OK(cudaFree(first));
    OK(cudaFree(second));
}

static void run_without(cudaError_t error, int driver) {
    int count = 7, version;
    char *memory;
    EXPECT(cudaGetDeviceCount(&count) == error && count == 0 && cudaGetLastError() == error);
    EXPECT(cudaMalloc(&memory, 1) == error && cudaDeviceSynchronize() == error);
    OK(cudaDriverGetVersion(&version));
    EXPECT(version == driver);
}

static void run_no_driver(int) { run_without(cudaErrorInsufficientDriver, 0); }
static void run_old_driver(int) { run_without(cudaErrorInsufficientDriver, 11040); }
static void run_no_device(int) { run_without(cudaErrorNoDevice, CUDART_VERSION); }

static void run_lost_device(int) {
    int *memory = device<int>(32), *host = pinned<int>(32), *more;
    cudaStream_t stream = new_stream();
    cudaEvent_t event = new_event();
    OK(cudaMemsetAsync(memory, 0, 32 * sizeof(int), stream));
    for (int i = 0; i < 4; i++) LAUNCH(scale, 1, 32, 0, stream, memory, 2);
    OK(cudaEventRecord(event, stream));
    OK(cudaGetLastError()); /* the third launch has not run yet */
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure && cudaemu_launches() == 3);
    for (int i = 0; i < 3; i++) EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
    EXPECT(cudaEventSynchronize(event) == cudaErrorLaunchFailure);
    EXPECT(cudaEventQuery(event) == cudaErrorLaunchFailure);
    EXPECT(cudaMemcpy(host, memory, 4, cudaMemcpyDeviceToHost) == cudaErrorLaunchFailure);
    EXPECT(cudaMalloc(&more, 4) == cudaErrorLaunchFailure && more == nullptr);
    EXPECT(cudaFree(memory) == cudaErrorLaunchFailure); /* no leak all the same */
    EXPECT(cudaFreeHost(host) == cudaErrorLaunchFailure);
    EXPECT(cudaStreamDestroy(stream) == cudaErrorLaunchFailure);
    EXPECT(cudaEventDestroy(event) == cudaErrorLaunchFailure);
}

#define SOUND(name, run, environment)                                                                                  \
    { name, run, 0, environment, NULL, NULL, NULL, NULL }

const struct emulator_case sound_cases[] = {
    SOUND("places of threads and blocks", run_places, NULL),
    SOUND("shuffles", run_shuffles, NULL),
    SOUND("votes and counting barriers", run_votes, NULL),
    SOUND("atomics", run_atomics, NULL),
    SOUND("intrinsics", run_intrinsics, NULL),
    SOUND("arguments are copied at the launch", run_arguments, NULL),
    SOUND("dynamic shared memory up to the limit", run_dynamic_shared, NULL),
    SOUND("blocks of 1024 threads", run_widest, NULL),
    SOUND("streams and events", run_streams, NULL),
    SOUND("the default stream", run_default_stream, NULL),
    SOUND("several host threads", run_host_threads, NULL),
    SOUND("graphs", run_graphs, NULL),
    SOUND("GEMM", run_gemm, NULL),
    SOUND("device and versions", run_device, NULL),
    SOUND("device with little memory", run_little_memory, "CUDAEMU_MEMORY=1000"),
    SOUND("no driver", run_no_driver, "CUDAEMU_DRIVER=none"),
    SOUND("old driver", run_old_driver, "CUDAEMU_DRIVER=11040"),
    SOUND("no device", run_no_device, "CUDAEMU_DEVICES=0"),
    SOUND("device that is lost", run_lost_device, "CUDAEMU_LOSE_AT=3"),
    {NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
