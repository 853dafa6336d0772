/* SPDX-License-Identifier: Apache-2.0
 * binary.cu - binary weights and activations: a block a row. See autograd/binary.h for what is computed. */
#include "core/rmath.h"
#include "cuda/backend.h"
#include "cuda/reduce.cuh"

static __device__ __forceinline__ real sign_of(real x) { return (real)((x > 0) - (x < 0)); }
static __device__ __forceinline__ real size_of(real x) { return x < 0 ? -x : x; }

static __global__ void __launch_bounds__(BLOCK)
    periodic_rows(struct snn_periodic_shape s, const real *frequency, const real *w, const real *alpha, real *y) {
    real f = *frequency;
    for (int32_t r = (int32_t)blockIdx.x; r < s.rows; r += (int32_t)gridDim.x) {
        real scale = alpha ? alpha[r] : 1;
        for (ptrdiff_t i = r * s.n + threadIdx.x; i < (r + 1) * s.n; i += BLOCK) {
            real cosine, b = r_sine(f * w[i], &cosine);
            y[i] = scale * (s.square ? sign_of(b) : b);
        }
    }
}

static __global__ void __launch_bounds__(BLOCK)
    periodic_rows_gradient(struct snn_periodic_shape s, const real *frequency, const real *w, const real *alpha,
                           const real *gy, real *gw, real *galpha) {
    __shared__ real shared[WARPS];
    real f = *frequency;
    for (int32_t r = (int32_t)blockIdx.x; r < s.rows; r += (int32_t)gridDim.x) {
        real scale = (alpha ? alpha[r] : 1) * f, sum = 0;
        for (ptrdiff_t i = r * s.n + threadIdx.x; i < (r + 1) * s.n; i += BLOCK) {
            real cosine, b = r_sine(f * w[i], &cosine);
            sum += gy[i] * (s.square ? sign_of(b) : b);
            if (gw) gw[i] += scale * cosine * gy[i];
        }
        sum = block_sum(sum, shared);
        if (galpha && threadIdx.x == 0) galpha[r] += sum;
    }
}

static __global__ void __launch_bounds__(BLOCK)
    sign_rows(struct snn_sign_shape s, real eps, const real *x, real *saved, real *y) {
    __shared__ real shared[WARPS];
    for (ptrdiff_t r = blockIdx.x; r < s.rows; r += gridDim.x) {
        const real *from = x + r * s.n;
        if (s.scaled) {
            real mean = 0, off = 0, squares = 0;
            for (ptrdiff_t i = threadIdx.x; i < s.n; i += BLOCK) mean += from[i];
            mean = block_sum(mean, shared) / (real)s.n;
            for (ptrdiff_t i = threadIdx.x; i < s.n; i += BLOCK) {
                real d = from[i] - mean;
                off += d, squares += d * d;
            }
            off = block_sum(off, shared), squares = block_sum(squares, shared) - off * off / (real)s.n;
            if (threadIdx.x == 0) saved[r] = 1 / sqrtf((squares > 0 ? squares : 0) / (real)(s.n - 1) + eps);
        }
        for (ptrdiff_t i = threadIdx.x; i < s.n; i += BLOCK) y[r * s.n + i] = sign_of(from[i]);
    }
}

static __global__ void __launch_bounds__(BLOCK)
    sign_rows_gradient(struct snn_sign_shape s, const real *x, const real *saved, const real *gy, bool adds, real *gx) {
    __shared__ real shared[WARPS];
    for (ptrdiff_t r = blockIdx.x; r < s.rows; r += gridDim.x) {
        const real *from = x + r * s.n, *up = gy + r * s.n;
        real inverse = s.scaled ? saved[r] : 1, mean = 0, dot = 0;
        if (s.scaled) {
            for (ptrdiff_t i = threadIdx.x; i < s.n; i += BLOCK) {
                real size = inverse * size_of(from[i]);
                mean += from[i];
                if (size < 1) dot += up[i] * (2 - 2 * size) * from[i];
            }
            mean = block_sum(mean, shared) / (real)s.n;
            dot = inverse * inverse * inverse * block_sum(dot, shared) / (real)(s.n - 1);
        }
        for (ptrdiff_t i = threadIdx.x; i < s.n; i += BLOCK) {
            real size = inverse * size_of(from[i]);
            real value = (size < 1 ? inverse * up[i] * (2 - 2 * size) : 0) - dot * (from[i] - mean);
            gx[r * s.n + i] = adds ? gx[r * s.n + i] + value : value;
        }
    }
}

static unsigned row_blocks(ptrdiff_t rows) { return rows < MOST_BLOCKS ? (unsigned)rows : (unsigned)MOST_BLOCKS; }

static void periodic(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                     const real *w, const real *alpha, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    LAUNCH(periodic_rows, row_blocks(s->rows), BLOCK, 0, cuda->compute, *s, frequency, w, alpha, y);
    cuda_note(cuda, cudaGetLastError());
}

static void periodic_grad(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                          const real *w, const real *alpha, const real *gy, real *gw, real *galpha) {
    struct snn_cuda *cuda = cuda_of(device);
    if (!gw && !galpha) return;
    LAUNCH(periodic_rows_gradient, row_blocks(s->rows), BLOCK, 0, cuda->compute, *s, frequency, w, alpha, gy, gw,
           galpha);
    cuda_note(cuda, cudaGetLastError());
}

static void sign(struct snn_device *device, const struct snn_sign_shape *s, const real *x, real *saved, real *y) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows == 0) return;
    LAUNCH(sign_rows, row_blocks(s->rows), BLOCK, 0, cuda->compute, *s, (real)s->eps, x, saved, y);
    cuda_note(cuda, cudaGetLastError());
}

static void sign_grad(struct snn_device *device, const struct snn_sign_shape *s, const real *x, const real *saved,
                      const real *gy, bool adds, real *gx) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows == 0) return;
    LAUNCH(sign_rows_gradient, row_blocks(s->rows), BLOCK, 0, cuda->compute, *s, x, saved, gy, adds, gx);
    cuda_note(cuda, cudaGetLastError());
}

const struct snn_binary_kernels snn_binary_cuda = {periodic, periodic_grad, sign, sign_grad};
