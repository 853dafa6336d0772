/* SPDX-License-Identifier: Apache-2.0
 * linear.cu - linear layers on CUDA: matrix products of dense rows, and gathers where rows are spikes.
 *
 * A row of spikes selects rows of the transposed weights, and their sum is wanted; the weight gradient of an input is
 * the sum of the gradient rows that its spikes select. Both are the same loop: a block keeps a chunk of what can be
 * selected in shared memory, a warp walks the bits of one selector after the other, the same in all lanes, and each
 * lane adds V outputs of the selected row to sums in registers. So a spike costs one shared load and V additions a
 * lane, a zero costs nothing, and sums are in ascending order, as on the CPU. Lists of the set bits would have to be
 * written and read again; finding the next bit takes four instructions, which V outputs share.
 *
 * Events come as lists, with counts, and there are few of them: a warp then follows the list of a row, and reads what
 * it selects from the second-level cache. */
#include "cuda/linear.h"

#include "cuda/product.cuh"
#include "cuda/sizes.h"
#include "cuda/tiling.cuh"

enum { CHUNK = 64 }; /* selectable rows in shared memory: one word of spikes */

/* ---- the gather ---- */

/* V numbers of a row for one lane: those of columns lane, lane + 32 and so on, so that rows in memory are read and
 * written along neighbours; side by side in shared memory, so that one load fetches them. */
template <int V> struct alignas(V * sizeof(real)) lane_numbers { real of[V]; };

/* sum += this lane's numbers of the rows that `bits` select, in order. Two at a time hide half the time a load takes;
 * where there is no second one, -0 changes no bit of the sum. */
template <int V, int STRIDE>
static __device__ __forceinline__ void add_selected(uint32_t bits, const lane_numbers<V> *rows /* (32, STRIDE) */,
                                                    int lane, lane_numbers<V> *sum) {
    while (bits) {
        const lane_numbers<V> first = rows[(__ffs((int)bits) - 1) * STRIDE + lane];
        bits &= bits - 1;
        lane_numbers<V> second;
        for (int k = 0; k < V; ++k) second.of[k] = -0.0f;
        if (bits) second = rows[(__ffs((int)bits) - 1) * STRIDE + lane];
        bits &= bits - 1;
        for (int k = 0; k < V; ++k) sum->of[k] = sum->of[k] + first.of[k] + second.of[k];
    }
}

/* ---- forward ---- */

/* A block has R * WARPS rows and 32 V outputs. In shared memory the weights lie transposed; of its V numbers a lane of
 * the copying warp takes one, k, of 32 / V inputs, which makes the banks differ and reads whole sectors. */
template <int V, int R>
static __global__ void __launch_bounds__(BLOCK, 2)
    add_weight_rows(struct snn_linear_shape s, const uint32_t *__restrict__ bits /* (rows, 2 words) */, int32_t words,
                    const real *__restrict__ w /* (out,in) */, const real *__restrict__ b /* (out) or NULL */,
                    real *__restrict__ y /* (rows,out) */) {
    enum { STRIDE = 33, OUTS = 32 * V, ROWS = R * WARPS, AT_ONCE = 32 / V };
    static_assert(2 * R <= 32, "a lane fetches half a word of a row");
    __shared__ lane_numbers<V> tile[CHUNK * STRIDE];
    real *const flat = (real *)tile; /* (CHUNK, STRIDE, V) */
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t across = ((ptrdiff_t)s.out + OUTS - 1) / OUTS, tiles = (s.rows + ROWS - 1) / ROWS * across;
    for (ptrdiff_t at = blockIdx.x; at < tiles; at += gridDim.x) {
        const ptrdiff_t r0 = at / across * ROWS + warp * R, o0 = at % across * OUTS, mine = r0 + lane / 2;
        const bool fetches = lane < 2 * R && mine < s.rows;
        const uint32_t *const halves = bits + mine * words * 2 + lane % 2;
        lane_numbers<V> sum[R];
        for (int k = 0; k < V; ++k) {
            const ptrdiff_t o = o0 + 32 * k + lane;
            const real start = b && o < s.out ? b[o] : 0;
            for (int r = 0; r < R; ++r) sum[r].of[k] = start;
        }
        uint32_t next = fetches ? halves[0] : 0;
        for (int32_t word = 0; word < words; ++word) {
            const uint32_t now = next;
            next = fetches && word + 1 < words ? halves[2 * (ptrdiff_t)(word + 1)] : 0;
            /* Everybody has read the chunk before; and where nobody has a spike, this one is not needed. */
            if (!__syncthreads_or(now != 0)) continue;
            for (int q = warp; q < CHUNK * V; q += WARPS) {
                const int l = q / (CHUNK / AT_ONCE), k = lane / AT_ONCE,
                          j = q % (CHUNK / AT_ONCE) * AT_ONCE + lane % AT_ONCE;
                const ptrdiff_t i = (ptrdiff_t)word * CHUNK + j, o = o0 + 32 * k + l;
                flat[(j * STRIDE + l) * V + k] = i < s.in && o < s.out ? w[o * s.in + i] : 0;
            }
            __syncthreads();
            for (int r = 0; r < R; ++r)
                for (int h = 0; h < 2; ++h)
                    add_selected<V, STRIDE>(__shfl_sync(0xffffffffu, now, 2 * r + h), tile + 32 * h * STRIDE, lane,
                                            &sum[r]);
        }
        for (int r = 0; r < R; ++r)
            for (int k = 0; k < V; ++k) {
                const ptrdiff_t o = o0 + 32 * k + lane;
                if (r0 + r < s.rows && o < s.out) y[(r0 + r) * s.out + o] = sum[r].of[k];
            }
    }
}

static ptrdiff_t weight_tiles(const struct snn_linear_shape *s, int V, int R) {
    ptrdiff_t rows = (ptrdiff_t)R * WARPS, outs = 32 * (ptrdiff_t)V;
    return (s->rows + rows - 1) / rows * ((s->out + outs - 1) / outs);
}

/* The largest tiles that still make enough blocks to keep most of a large card busy; results do not depend on them. */
static void linear_spikes(const struct snn_cuda *cuda, const struct snn_linear_shape *s, const struct snn_rows *x,
                          const real *w, const real *b, real *y) {
    enum { ENOUGH = 96 };
    const uint32_t *bits = (const uint32_t *)(const void *)x->bits;
#define GATHER(V, R)                                                                                                   \
    LAUNCH((add_weight_rows<V, R>), blocks_for(weight_tiles(s, V, R) * BLOCK), BLOCK, 0, cuda->compute, *s, bits,      \
           x->words, w, b, y)
    if (s->out > 64 && weight_tiles(s, 4, 16) >= ENOUGH) GATHER(4, 16);
    else if (s->out > 64 && weight_tiles(s, 4, 8) >= ENOUGH) GATHER(4, 8);
    else GATHER(1, 4);
#undef GATHER
}

/* ---- weight gradient ---- */

enum { GROUP = 16 }; /* inputs of a warp */

/* One pass over some of the inputs; see struct snn_cuda_linear_plan. */
struct pass {
    ptrdiff_t i0, i1;    /* the inputs */
    ptrdiff_t part_rows; /* rows of a part */
    ptrdiff_t parts;
    ptrdiff_t padded; /* numbers of a line of `partial` */
};

/* The sums of a part of the rows for GROUP inputs a warp and 32 V outputs. Lane l has the spikes of row l: a vote turns
 * that into the rows in which an input spiked. */
template <int V>
static __global__ void __launch_bounds__(BLOCK, 2)
    add_gradient_rows(struct snn_linear_shape s, struct pass pass,
                      const uint32_t *__restrict__ bits /* (rows, 2 words) */, int32_t words,
                      const real *__restrict__ gy /* (rows,out) */,
                      real *__restrict__ partial /* (parts, i1 - i0, padded) */) {
    enum { STRIDE = 32, OUTS = 32 * V, AT_ONCE = 32 / V };
    __shared__ lane_numbers<V> tile[CHUNK * STRIDE];
    real *const flat = (real *)tile; /* (CHUNK, STRIDE, V) */
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t inputs = pass.i1 - pass.i0, across = pass.padded / OUTS;
    const ptrdiff_t along = (inputs + GROUP * WARPS - 1) / (GROUP * WARPS), tiles = pass.parts * across * along;
    for (ptrdiff_t at = blockIdx.x; at < tiles; at += gridDim.x) {
        const ptrdiff_t part = at / (across * along), o0 = at / along % across * OUTS;
        const ptrdiff_t i0 = pass.i0 + (at % along * WARPS + warp) * GROUP; /* a multiple of GROUP */
        const ptrdiff_t begin = part * pass.part_rows;
        const ptrdiff_t end = begin + pass.part_rows < s.rows ? begin + pass.part_rows : s.rows;
        const bool fetches = i0 < pass.i1;
        const uint32_t *const halves = bits + i0 / 32;
        const int shift = (int)(i0 % 32);
        lane_numbers<V> sum[GROUP];
        for (int i = 0; i < GROUP; ++i)
            for (int k = 0; k < V; ++k) sum[i].of[k] = 0;
        uint32_t next[2];
        for (int h = 0; h < 2; ++h) {
            const ptrdiff_t r = begin + 32 * h + lane;
            next[h] = fetches && r < end ? halves[r * words * 2] >> shift & 0xffffu : 0;
        }
        for (ptrdiff_t r0 = begin; r0 < end; r0 += CHUNK) {
            const uint32_t now[2] = {next[0], next[1]};
            for (int h = 0; h < 2; ++h) {
                const ptrdiff_t r = r0 + CHUNK + 32 * h + lane;
                next[h] = fetches && r < end ? halves[r * words * 2] >> shift & 0xffffu : 0;
            }
            /* Everybody has read the chunk before; and where nobody has a spike, this one is not needed. */
            if (!__syncthreads_or((now[0] | now[1]) != 0)) continue;
            for (int q = warp; q < CHUNK * V; q += WARPS) {
                const int j = q / V, k = lane / AT_ONCE, l = q % V * AT_ONCE + lane % AT_ONCE;
                const ptrdiff_t r = r0 + j, o = o0 + 32 * k + l;
                flat[(j * STRIDE + l) * V + k] = r < end && o < s.out ? gy[r * s.out + o] : 0;
            }
            __syncthreads();
            for (int i = 0; i < GROUP; ++i)
                for (int h = 0; h < 2; ++h)
                    add_selected<V, STRIDE>(__ballot_sync(0xffffffffu, now[h] >> i & 1), tile + 32 * h * STRIDE, lane,
                                            &sum[i]);
        }
        for (int i = 0; i < GROUP && i0 + i < pass.i1; ++i)
            for (int k = 0; k < V; ++k)
                partial[(part * inputs + i0 - pass.i0 + i) * pass.padded + o0 + 32 * k + lane] = sum[i].of[k];
    }
}

/* gw += the parts, in order. A block has 32 x 32 of them, which it turns around in shared memory. */
static __global__ void __launch_bounds__(BLOCK)
    add_parts(struct snn_linear_shape s, struct pass pass, const real *__restrict__ partial,
              real *__restrict__ gw /* (out,in) */) {
    __shared__ real turned[32][33]; /* input, output */
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t inputs = pass.i1 - pass.i0, across = ((ptrdiff_t)s.out + 31) / 32;
    for (ptrdiff_t at = blockIdx.x; at < (inputs + 31) / 32 * across; at += gridDim.x) {
        const ptrdiff_t i0 = at / across * 32, o0 = at % across * 32;
        for (int i = warp; i < 32 && i0 + i < inputs; i += WARPS) {
            const real *from = partial + (i0 + i) * pass.padded + o0 + lane;
            real sum = 0;
            for (ptrdiff_t part = 0; part < pass.parts; ++part) sum += from[part * inputs * pass.padded];
            turned[i][lane] = sum;
        }
        __syncthreads();
        for (int o = warp; o < 32 && o0 + o < s.out; o += WARPS)
            if (i0 + lane < inputs) gw[(o0 + o) * s.in + pass.i0 + i0 + lane] += turned[lane][o];
        __syncthreads();
    }
}

/* ---- lists ---- */

/* wt (in,out) = w^T. A block turns 32 x 32 numbers around in shared memory. */
static __global__ void __launch_bounds__(BLOCK)
    turn_weights(struct snn_linear_shape s, const real *__restrict__ w /* (out,in) */,
                 real *__restrict__ wt /* (in,out) */) {
    __shared__ real turned[32][33]; /* output, input */
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t across = ((ptrdiff_t)s.out + 31) / 32, tiles = ((ptrdiff_t)s.in + 31) / 32 * across;
    for (ptrdiff_t at = blockIdx.x; at < tiles; at += gridDim.x) {
        const ptrdiff_t i0 = at / across * 32, o0 = at % across * 32;
        for (int o = warp; o < 32 && o0 + o < s.out; o += WARPS)
            if (i0 + lane < s.in) turned[o][lane] = w[(o0 + o) * s.in + i0 + lane];
        __syncthreads();
        for (int i = warp; i < 32 && i0 + i < s.in; i += WARPS)
            if (o0 + lane < s.out) wt[(i0 + i) * s.out + o0 + lane] = turned[lane][i];
        __syncthreads();
    }
}

/* A warp has a row and 32 V outputs. It fetches 32 entries at a time, one a lane, and goes through them. */
template <int V>
static __global__ void __launch_bounds__(BLOCK, 4)
    add_listed_weights(struct snn_linear_shape s, struct snn_lists x, const real *__restrict__ wt /* (in,out) */,
                       const real *__restrict__ b /* (out) or NULL */, real *__restrict__ y /* (rows,out) */) {
    const int lane = (int)(threadIdx.x % 32);
    const ptrdiff_t across = ((ptrdiff_t)s.out + 32 * V - 1) / (32 * V);
    for (ptrdiff_t at = first_item() / 32; at < s.rows * across; at += item_step() / 32) {
        const ptrdiff_t r = at / across, o0 = at % across * (32 * V) + lane;
        const struct snn_entries e = snn_lists_row(&x, r);
        real sum[V];
        for (int k = 0; k < V; ++k) sum[k] = b && o0 + 32 * k < s.out ? b[o0 + 32 * k] : 0;
        for (int32_t first = 0; first < e.count; first += 32) {
            const bool has = first + lane < e.count;
            const int32_t mine = has ? e.index[first + lane] : 0, count = e.count - first < 32 ? e.count - first : 32;
            const real by = has && e.value ? e.value[first + lane] : 1;
            for (int32_t j = 0; j < count; ++j) {
                const real *row = wt + (ptrdiff_t)__shfl_sync(0xffffffffu, mine, j) * s.out + o0;
                const real value = __shfl_sync(0xffffffffu, by, j);
                for (int k = 0; k < V; ++k)
                    if (o0 + 32 * k < s.out) sum[k] += value * row[32 * k];
            }
        }
        for (int k = 0; k < V; ++k)
            if (o0 + 32 * k < s.out) y[r * s.out + o0 + 32 * k] = sum[k];
    }
}

static void linear_lists(const struct snn_cuda *cuda, const struct snn_linear_shape *s, const struct snn_rows *x,
                         const real *w, const real *b, real *y, real *wt) {
    ptrdiff_t tiles = ((ptrdiff_t)s->in + 31) / 32 * (((ptrdiff_t)s->out + 31) / 32);
    LAUNCH(turn_weights, blocks_for(tiles * BLOCK), BLOCK, 0, cuda->compute, *s, w, wt);
    ptrdiff_t outs = s->out > 64 ? 128 : 32, warps = s->rows * ((s->out + outs - 1) / outs);
    if (outs == 128)
        LAUNCH(add_listed_weights<4>, blocks_for(warps * 32), BLOCK, 0, cuda->compute, *s, x->lists, wt, b, y);
    else LAUNCH(add_listed_weights<1>, blocks_for(warps * 32), BLOCK, 0, cuda->compute, *s, x->lists, wt, b, y);
}

/* The sums of a part of the rows for LISTED inputs and 32 outputs. Each warp takes every WARPS-th row and has sums of
 * its own, of which a lane owns those of its output; in the end the warps' are added in order. */
enum { LISTED = 32 };
static __global__ void __launch_bounds__(BLOCK)
    add_listed_gradients(struct snn_linear_shape s, struct pass pass, struct snn_lists x,
                         const real *__restrict__ gy /* (rows,out) */,
                         real *__restrict__ partial /* (parts, i1 - i0, padded) */) {
    __shared__ real sums[WARPS][LISTED][32];
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t inputs = pass.i1 - pass.i0, across = pass.padded / 32, along = (inputs + LISTED - 1) / LISTED;
    for (ptrdiff_t at = blockIdx.x; at < pass.parts * across * along; at += gridDim.x) {
        const ptrdiff_t part = at / (across * along), o = at / along % across * 32 + lane;
        const ptrdiff_t i0 = pass.i0 + at % along * LISTED, begin = part * pass.part_rows;
        const ptrdiff_t end = begin + pass.part_rows < s.rows ? begin + pass.part_rows : s.rows;
        for (int i = 0; i < LISTED; ++i) sums[warp][i][lane] = 0;
        for (ptrdiff_t r = begin + warp; r < end; r += WARPS) {
            const struct snn_entries e = snn_lists_row(&x, r);
            for (int32_t first = 0; first < e.count; first += 32) {
                const bool has = first + lane < e.count;
                const ptrdiff_t mine = has ? e.index[first + lane] - i0 : -1;
                const real by = has && e.value ? e.value[first + lane] : 1;
                uint32_t ours = __ballot_sync(0xffffffffu, mine >= 0 && mine < LISTED);
                const real g = ours && o < s.out ? gy[r * s.out + o] : 0;
                for (; ours; ours &= ours - 1) {
                    const int j = __ffs((int)ours) - 1, i = __shfl_sync(0xffffffffu, (int)mine, j);
                    sums[warp][i][lane] += __shfl_sync(0xffffffffu, by, j) * g;
                }
            }
        }
        __syncthreads();
        for (int i = warp; i < LISTED && i0 + i < pass.i1; i += WARPS) {
            real sum = sums[0][i][lane];
            for (int k = 1; k < WARPS; ++k) sum += sums[k][i][lane];
            partial[(part * inputs + i0 - pass.i0 + i) * pass.padded + o] = sum;
        }
        __syncthreads();
    }
}

static void grad_weight_sparse(const struct snn_cuda *cuda, const struct snn_linear_shape *s, const struct snn_rows *x,
                               const real *gy, real *gw, real *partial) {
    const uint32_t *bits = (const uint32_t *)(const void *)x->bits;
    const struct snn_cuda_linear_plan plan = snn_cuda_linear_plan(s);
    for (ptrdiff_t i0 = 0; i0 < s->in; i0 += plan.slab) {
        const ptrdiff_t i1 = i0 + plan.slab < s->in ? i0 + plan.slab : s->in;
        const struct pass pass = {i0, i1, plan.part_rows, plan.parts, plan.padded};
        const ptrdiff_t along = (i1 - i0 + GROUP * WARPS - 1) / (GROUP * WARPS);
        const unsigned blocks = blocks_for(plan.parts * (plan.padded / plan.outs) * along * BLOCK);
        const ptrdiff_t listed = (i1 - i0 + LISTED - 1) / LISTED * (plan.padded / 32) * plan.parts;
        if (x->lists.row)
            LAUNCH(add_listed_gradients, blocks_for(listed * BLOCK), BLOCK, 0, cuda->compute, *s, pass, x->lists, gy,
                   partial);
        else if (plan.outs == 128)
            LAUNCH(add_gradient_rows<4>, blocks, BLOCK, 0, cuda->compute, *s, pass, bits, x->words, gy, partial);
        else LAUNCH(add_gradient_rows<1>, blocks, BLOCK, 0, cuda->compute, *s, pass, bits, x->words, gy, partial);
        const ptrdiff_t tiles = (i1 - i0 + 31) / 32 * (((ptrdiff_t)s->out + 31) / 32);
        LAUNCH(add_parts, blocks_for(tiles * BLOCK), BLOCK, 0, cuda->compute, *s, pass, partial, gw);
    }
}

/* ---- bias ---- */

static __global__ void __launch_bounds__(BLOCK)
    repeat_bias(ptrdiff_t rows, int32_t out, const real *__restrict__ b /* (out) */,
                real *__restrict__ y /* (rows,out) */) {
    for (ptrdiff_t r = first_row(); r < rows; r += row_step())
        for (ptrdiff_t o = first_item(); o < out; o += item_step()) y[r * out + o] = b[o];
}

/* partial (parts, n) = sums of columns o0 .. o0+n-1 over a part of the rows each. A block has 32 columns; its warps
 * share out the rows. */
static __global__ void __launch_bounds__(BLOCK)
    add_columns(ptrdiff_t rows, int32_t out, ptrdiff_t o0, ptrdiff_t n, const real *__restrict__ gy /* (rows,out) */,
                real *__restrict__ partial) {
    __shared__ real sums[WARPS][32];
    const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    const ptrdiff_t column = (ptrdiff_t)blockIdx.x * 32 + lane;
    real sum = 0;
    for (ptrdiff_t r = (ptrdiff_t)blockIdx.y * WARPS + warp; column < n && r < rows; r += (ptrdiff_t)gridDim.y * WARPS)
        sum += gy[r * out + o0 + column];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp != 0 || column >= n) return;
    for (int k = 1; k < WARPS; ++k) sum += sums[k][lane];
    partial[blockIdx.y * n + column] = sum;
}

static __global__ void __launch_bounds__(BLOCK)
    add_column_parts(ptrdiff_t n, int parts, const real *__restrict__ partial /* (parts, n) */,
                     real *__restrict__ gb /* (n) */) {
    for (ptrdiff_t o = first_item(); o < n; o += item_step()) {
        real sum = 0;
        for (int part = 0; part < parts; ++part) sum += partial[part * n + o];
        gb[o] += sum;
    }
}

static void grad_bias(const struct snn_cuda *cuda, const struct snn_linear_shape *s, const real *gy, real *gb) {
    enum { ROOM = PARTIALS * 2, MOST_COLUMNS = ROOM / 2, MOST_PARTS = 64, LEAST_ROWS = 64 };
    real *partial = (real *)(void *)cuda->partial;
    for (ptrdiff_t o0 = 0; o0 < s->out; o0 += MOST_COLUMNS) {
        ptrdiff_t n = s->out - o0 < MOST_COLUMNS ? s->out - o0 : (ptrdiff_t)MOST_COLUMNS;
        ptrdiff_t parts = (s->rows + LEAST_ROWS - 1) / LEAST_ROWS;
        if (parts > MOST_PARTS) parts = MOST_PARTS;
        if (parts > ROOM / n) parts = ROOM / n;
        LAUNCH(add_columns, dim3((unsigned)((n + 31) / 32), (unsigned)parts), BLOCK, 0, cuda->compute, s->rows, s->out,
               o0, n, gy, partial);
        LAUNCH(add_column_parts, blocks_for(n), BLOCK, 0, cuda->compute, n, (int)parts, partial, gb + o0);
    }
}

/* ---- dense rows ---- */

static ptrdiff_t rows_from(const struct snn_linear_shape *s, ptrdiff_t r0) {
    return s->rows - r0 < MOST_ROWS ? s->rows - r0 : (ptrdiff_t)MOST_ROWS;
}

/* ---- the entries ---- */

size_t snn_cuda_linear_bytes(int threads, const struct snn_linear_shape *shape, enum snn_form x) {
    (void)threads;
    return snn_cuda_linear_scratch(shape, x);
}

void snn_cuda_linear(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                     const real *w, const real *b, real *y, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows < 1) return;
    if (x->lists.row) {
        linear_lists(cuda, s, x, w, b, y, (real *)scratch);
        return;
    }
    if (x->bits) {
        linear_spikes(cuda, s, x, w, b, y);
        return;
    }
    if (b) {
        struct tiling tiling = tiling_for(s->rows, s->out);
        LAUNCH(repeat_bias, tiling.grid, tiling.block, 0, cuda->compute, s->rows, s->out, b, y);
    }
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        product(cuda, false, true, rows_from(s, r0), s->out, s->in, x->dense + r0 * s->in, s->in, w, s->in, b ? 1 : 0,
                y + r0 * s->out, s->out);
}

void snn_cuda_linear_grad_input(struct snn_device *device, const struct snn_linear_shape *s, const real *gy,
                                const real *w, bool adds, real *gx) {
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        product(cuda_of(device), false, false, rows_from(s, r0), s->in, s->out, gy + r0 * s->out, s->out, w, s->in,
                adds ? 1 : 0, gx + r0 * s->in, s->in);
}

void snn_cuda_linear_grad_weight(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                                 const real *gy, real *gw, real *gb, void *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    if (s->rows < 1) return;
    if (gb) grad_bias(cuda, s, gy, gb);
    if (snn_rows_form(x) != SNN_DENSE) {
        grad_weight_sparse(cuda, s, x, gy, gw, (real *)scratch);
        return;
    }
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        product(cuda, true, false, s->out, s->in, rows_from(s, r0), gy + r0 * s->out, s->out, x->dense + r0 * s->in,
                s->in, 1, gw, s->in);
}
