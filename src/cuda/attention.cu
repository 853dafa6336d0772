/* SPDX-License-Identifier: Apache-2.0
 * attention.cu - attention on CUDA (autograd/attention.h): products by cuBLAS; a block a row of activations; shares of
 * steps by a block a sample, since their layers are small. */
#include "cuda/backend.h"
#include "cuda/reduce.cuh"
#include "cuda/rows.cuh"

/* Row-major Y = A B is column-major Y^T = B^T A^T. */
static void products(struct snn_device *device, const struct snn_products *p, const real *a, const real *b, bool adds,
                     real *y) {
    const ptrdiff_t most = 32768; /* of a call */
    struct snn_cuda *cuda = cuda_of(device);
    const real alpha = (real)p->alpha, beta = adds ? 1 : 0;
    const long long step_a = (long long)p->m * p->k, step_b = (long long)p->k * p->n, step_y = (long long)p->m * p->n;
    for (ptrdiff_t done = 0; done < p->count; done += most) {
        int batch = (int)(p->count - done < most ? p->count - done : most);
        cuda_note_blas(cuda, cublasSgemmStridedBatched(cuda->blas, p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                                       p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, p->n, p->m, p->k,
                                                       &alpha, b + done * step_b, p->transpose_b ? p->k : p->n, step_b,
                                                       a + done * step_a, p->transpose_a ? p->m : p->k, step_a, &beta,
                                                       y + done * step_y, p->n, step_y, batch));
    }
}

/* ---- rows ---- */

static __global__ void __launch_bounds__(BLOCK)
    pool_of_rows(ptrdiff_t rows, int32_t units, const real *x, real *mean, real *largest, int32_t *where) {
    __shared__ real shared[WARPS], best_of[WARPS];
    __shared__ int32_t where_of[WARPS];
    for (ptrdiff_t r = blockIdx.x; r < rows; r += gridDim.x) {
        const real *row = x + r * units;
        real sum = 0, best = row[0];
        int32_t at = 0;
        for (int32_t i = (int32_t)threadIdx.x; i < units; i += BLOCK) {
            sum += row[i];
            if (row[i] > best) best = row[i], at = i;
        }
        sum = block_sum(sum, shared);
        for (int offset = 16; offset > 0; offset /= 2) {
            real other = __shfl_xor_sync(0xffffffffu, best, offset);
            int32_t other_at = __shfl_xor_sync(0xffffffffu, at, offset);
            if (other > best || (other == best && other_at < at)) best = other, at = other_at;
        }
        if (threadIdx.x % 32 == 0) best_of[threadIdx.x / 32] = best, where_of[threadIdx.x / 32] = at;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < WARPS; ++w)
                if (best_of[w] > best || (best_of[w] == best && where_of[w] < at)) best = best_of[w], at = where_of[w];
            mean[r] = sum / (real)units, largest[r] = best, where[r] = at;
        }
    }
}

static unsigned row_blocks(ptrdiff_t rows) { return rows < MOST_BLOCKS ? (unsigned)rows : (unsigned)MOST_BLOCKS; }

static void pool_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, real *mean,
                      real *largest, int32_t *where) {
    if (rows < 1) return;
    LAUNCH(pool_of_rows, row_blocks(rows), BLOCK, 0, cuda_of(device)->compute, rows, (int32_t)units, x, mean, largest,
           where);
}

static __global__ void __launch_bounds__(BLOCK)
    spread_over_rows(ptrdiff_t rows, int32_t units, const real *gy, const real *share, const real *gmean,
                     const real *glargest, const int32_t *where, bool adds, real *gx) {
    int32_t i = (int32_t)(blockIdx.x * BLOCK + threadIdx.x);
    if (i >= units) return;
    for (ptrdiff_t r = blockIdx.y; r < rows; r += gridDim.y) {
        real value = share[r] * gy[r * units + i] + gmean[r] / (real)units, *to = gx + r * units + i;
        value = adds ? *to + value : value;
        *to = where[r] == i ? value + glargest[r] : value;
    }
}

static void spread_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *gy, const real *share,
                        const real *gmean, const real *glargest, const int32_t *where, bool adds, real *gx) {
    if (rows < 1) return;
    LAUNCH(spread_over_rows, sheet_grid(units, rows), BLOCK, 0, cuda_of(device)->compute, rows, (int32_t)units, gy,
           share, gmean, glargest, where, adds, gx);
}

/* ---- shares: a block a sample ---- */

static __device__ __forceinline__ real pooled(const struct snn_shares_shape &s, const uint8_t *mask, const real *x,
                                              int32_t t, int32_t b) {
    return mask && !mask[t * s.B + b] ? 0 : x[t * s.B + b];
}

static __global__ void __launch_bounds__(BLOCK)
    shares_of_steps(struct snn_shares_shape s, const uint8_t *mask, const real *mean, const real *largest,
                    const real *w1, const real *w2, real *hidden, real *share) {
    for (int32_t b = (int32_t)blockIdx.x; b < s.B; b += (int32_t)gridDim.x) {
        real *h = hidden + (ptrdiff_t)b * 2 * s.hidden;
        for (int32_t k = (int32_t)threadIdx.x; k < 2 * s.hidden; k += BLOCK) {
            bool second = k >= s.hidden;
            const real *w = w1 + (ptrdiff_t)(second ? k - s.hidden : k) * s.steps, *x = second ? largest : mean;
            real sum = 0;
            for (int32_t t = 0; t < s.T; ++t) sum += w[t] * pooled(s, mask, x, t, b);
            h[k] = sum > 0 ? sum : 0;
        }
        __syncthreads();
        for (int32_t t = (int32_t)threadIdx.x; t < s.T; t += BLOCK) {
            real sum = 0;
            for (int32_t k = 0; k < s.hidden; ++k) sum += w2[(ptrdiff_t)t * s.hidden + k] * (h[k] + h[s.hidden + k]);
            share[t * s.B + b] = 1 / (1 + expf(-sum));
        }
    }
}

static void shares(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask, const real *mean,
                   const real *largest, const real *w1, const real *w2, real *hidden, real *share) {
    if (s->T < 1 || s->B < 1) return;
    LAUNCH(shares_of_steps, row_blocks(s->B), BLOCK, 0, cuda_of(device)->compute, *s, mask, mean, largest, w1, w2,
           hidden, share);
}

static __global__ void __launch_bounds__(BLOCK)
    shares_gradient(struct snn_shares_shape s, const uint8_t *mask, const real *w1, const real *w2, const real *hidden,
                    const real *share, const real *gshare, real *scratch, real *gmean, real *glargest) {
    for (int32_t b = (int32_t)blockIdx.x; b < s.B; b += (int32_t)gridDim.x) {
        real *gsum = scratch + (ptrdiff_t)b * (s.steps + 2 * s.hidden), *gh = gsum + s.steps;
        const real *h = hidden + (ptrdiff_t)b * 2 * s.hidden;
        for (int32_t t = (int32_t)threadIdx.x; t < s.T; t += BLOCK) {
            real y = share[t * s.B + b];
            gsum[t] = gshare[t * s.B + b] * y * (1 - y);
        }
        __syncthreads();
        for (int32_t k = (int32_t)threadIdx.x; k < 2 * s.hidden; k += BLOCK) {
            real sum = 0;
            const real *w = w2 + (k < s.hidden ? k : k - s.hidden);
            for (int32_t t = 0; t < s.T; ++t) sum += w[(ptrdiff_t)t * s.hidden] * gsum[t];
            gh[k] = h[k] > 0 ? sum : 0;
        }
        __syncthreads();
        for (int32_t t = (int32_t)threadIdx.x; t < s.T; t += BLOCK) {
            real of_mean = 0, of_largest = 0;
            for (int32_t k = 0; k < s.hidden; ++k) {
                real w = w1[(ptrdiff_t)k * s.steps + t];
                of_mean += w * gh[k], of_largest += w * gh[s.hidden + k];
            }
            bool counts = !mask || mask[t * s.B + b];
            gmean[t * s.B + b] = counts ? of_mean : 0, glargest[t * s.B + b] = counts ? of_largest : 0;
        }
    }
}

/* A thread a weight of each layer; samples one after the other. */
static __global__ void __launch_bounds__(BLOCK)
    shares_weights(struct snn_shares_shape s, const uint8_t *mask, const real *mean, const real *largest,
                   const real *hidden, const real *scratch, real *gw1, real *gw2) {
    int32_t i = (int32_t)(blockIdx.x * BLOCK + threadIdx.x), k = i / s.T, t = i - k * s.T;
    if (k >= s.hidden) return;
    real sum1 = 0, sum2 = 0;
    for (int32_t b = 0; b < s.B; ++b) {
        const real *gsum = scratch + (ptrdiff_t)b * (s.steps + 2 * s.hidden), *gh = gsum + s.steps;
        const real *h = hidden + (ptrdiff_t)b * 2 * s.hidden;
        sum1 += gh[k] * pooled(s, mask, mean, t, b) + gh[s.hidden + k] * pooled(s, mask, largest, t, b);
        sum2 += gsum[t] * (h[k] + h[s.hidden + k]);
    }
    if (gw1) gw1[(ptrdiff_t)k * s.steps + t] += sum1;
    if (gw2) gw2[(ptrdiff_t)t * s.hidden + k] += sum2;
}

static void shares_grad(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask,
                        const real *mean, const real *largest, const real *w1, const real *w2, const real *hidden,
                        const real *share, const real *gshare, real *scratch, real *gw1, real *gw2, real *gmean,
                        real *glargest) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->T < 1 || s->B < 1) return;
    LAUNCH(shares_gradient, row_blocks(s->B), BLOCK, 0, cuda->compute, *s, mask, w1, w2, hidden, share, gshare, scratch,
           gmean, glargest);
    if (gw1 || gw2)
        LAUNCH(shares_weights, (unsigned)(((ptrdiff_t)s->hidden * s->T + BLOCK - 1) / BLOCK), BLOCK, 0, cuda->compute,
               *s, mask, mean, largest, hidden, scratch, gw1, gw2);
}

const struct snn_attention_kernels snn_attention_cuda = {products, pool_rows, spread_rows, shares, shares_grad};
