/* SPDX-License-Identifier: Apache-2.0
 * linear_cpu.c - linear layers on the CPU: matrix products of dense rows, and sums of rows where the input is sparse.
 *
 * Rows that come as bits or lists never become numbers while they are sparse enough:
 *
 *   forward           y[r] = b + sum over entries (i,v) of row r of  v W^T[i]
 *   weight gradient   gW^T[i] += sum over rows r in which i is not 0 of  v gy[r]
 *
 * Both are one loop, which adds rows of numbers to sums that stay in registers; only loads are left of the memory
 * traffic. So that sums fit in registers and rows in the second-level cache, outputs are taken in panels of PANEL
 * vectors, and W^T, gW^T and a block of gy are laid out panel by panel. The weight gradient first sorts the entries of
 * a block of rows by input. Sums are in a fixed order, the same for any number of threads. */
#include "autograd/linear_cpu.h"

#include <omp.h>
#include <string.h>

#include "autograd/runs_cpu.h"
#include "autograd/vector_cpu.h"

#if defined(__AVX512F__)
enum { PANEL = 16 }; /* vectors of a panel: sums of a row that stay in registers */
#else
enum { PANEL = 8 };
#endif
enum {
    DENSE_ROWS = 256, /* rows of one GEMM call, */
    DENSE_LEAST = 64, /* or fewer, so that threads have blocks to share, */
    DENSE_BLOCKS = 8, /* so many */
    WEIGHT_OUT = 64,  /* a block of the dense weight gradient */
    WEIGHT_IN = 512,
    LIST_ROWS = 512,       /* rows whose entries pass over all panels before the next ones do, */
    BITS_ROWS = 128,       /* the same where the entries have to be listed first, */
    SHARE_ROWS = 32,       /* and where threads would have few such blocks to share */
    SORT_ROWS = 256,       /* rows whose entries are sorted by input together, */
    SORT_LEAST = 32,       /* or fewer when inputs are many: */
    SORT_MOST = 1 << 19,   /* entries */
    TILE = 64,             /* inputs of a tile of a transposition */
    WIDEST = PANEL * LANES /* numbers of a panel's row */
};
_Static_assert((int)WIDEST <= (int)COLUMNS_MOST, "a panel's bias is summed at once");
/* Above this share of entries, expanding the rows and a matrix product are faster than adding rows for each entry. */
#define DENSE_FROM 0.4

/* ---- sums of rows ---- */

#define UNROLL _Pragma("GCC unroll 16")
#define SUMS(N)                                                                                                        \
    /* y = start + entries of one row times rows of the panel (in, N * LANES) */                                       \
    static void add_weights_##N(struct snn_entries e, const real *panel, const real *start, real *y) {                 \
        vec sum[N];                                                                                                    \
        UNROLL for (int v = 0; v < N; ++v) sum[v] = *(const vec *)(start + v * LANES);                                 \
        if (e.value)                                                                                                   \
            for (int32_t k = 0; k < e.count; ++k) {                                                                    \
                const vec *row = (const vec *)(panel + (ptrdiff_t)e.index[k] * (N * LANES));                           \
                real by = (real)e.value[k];                                                                            \
                UNROLL for (int v = 0; v < N; ++v) sum[v] += by * row[v];                                              \
            }                                                                                                          \
        else                                                                                                           \
            for (int32_t k = 0; k < e.count; ++k) {                                                                    \
                const vec *row = (const vec *)(panel + (ptrdiff_t)e.index[k] * (N * LANES));                           \
                UNROLL for (int v = 0; v < N; ++v) sum[v] += row[v];                                                   \
            }                                                                                                          \
        UNROLL for (int v = 0; v < N; ++v) * (vec_unaligned *)(y + v * LANES) = sum[v];                                \
    }                                                                                                                  \
    /* to += values times rows of g (rows, N * LANES) */                                                               \
    static void add_gradients_##N(const uint16_t *r, const real *value, ptrdiff_t count, const real *g, real *to) {    \
        vec sum[N];                                                                                                    \
        UNROLL for (int v = 0; v < N; ++v) sum[v] = (vec){0};                                                          \
        if (value)                                                                                                     \
            for (ptrdiff_t k = 0; k < count; ++k) {                                                                    \
                const vec *row = (const vec *)(g + (ptrdiff_t)r[k] * (N * LANES));                                     \
                UNROLL for (int v = 0; v < N; ++v) sum[v] += value[k] * row[v];                                        \
            }                                                                                                          \
        else                                                                                                           \
            for (ptrdiff_t k = 0; k < count; ++k) {                                                                    \
                const vec *row = (const vec *)(g + (ptrdiff_t)r[k] * (N * LANES));                                     \
                UNROLL for (int v = 0; v < N; ++v) sum[v] += row[v];                                                   \
            }                                                                                                          \
        UNROLL for (int v = 0; v < N; ++v) * (vec *)(to + v * LANES) += sum[v];                                        \
    }
typedef void add_weights_fn(struct snn_entries e, const real *panel, const real *start, real *y);
typedef void add_gradients_fn(const uint16_t *r, const real *value, ptrdiff_t count, const real *g, real *to);

/* clang-format off */
SUMS(1) SUMS(2) SUMS(3) SUMS(4) SUMS(5) SUMS(6) SUMS(7) SUMS(8)
#if defined(__AVX512F__)
SUMS(9) SUMS(10) SUMS(11) SUMS(12) SUMS(13) SUMS(14) SUMS(15) SUMS(16)
#define TABLE(f) {0, f##1, f##2, f##3, f##4, f##5, f##6, f##7, f##8, f##9, f##10, f##11, f##12, f##13, f##14, f##15, f##16}
#else
#define TABLE(f) {0, f##1, f##2, f##3, f##4, f##5, f##6, f##7, f##8}
#endif
    /* clang-format on */
    static add_weights_fn *const add_weights[PANEL + 1] = TABLE(add_weights_);
static add_gradients_fn *const add_gradients[PANEL + 1] = TABLE(add_gradients_);

/* ---- panels ---- */

struct panel {
    ptrdiff_t first, outs; /* columns */
    int vectors;           /* that they take: the last one may be padded with zeros */
    ptrdiff_t width;       /* vectors * LANES */
    ptrdiff_t at;          /* where it starts in a matrix of panels */
};

static ptrdiff_t panels_of(const struct snn_linear_shape *s) { return blocks(s->out, WIDEST); }
static ptrdiff_t padded(const struct snn_linear_shape *s) { return blocks(s->out, LANES) * LANES; }

static struct panel panel_of(const struct snn_linear_shape *s, ptrdiff_t p) {
    struct panel panel = {.first = p * WIDEST, .at = p * WIDEST * s->in};
    panel.outs = least(WIDEST, s->out - panel.first);
    panel.vectors = (int)blocks(panel.outs, LANES), panel.width = (ptrdiff_t)panel.vectors * LANES;
    return panel;
}

/* Work on a matrix of panels is cut into tiles of TILE inputs of a panel. */
static ptrdiff_t tiles_of(const struct snn_linear_shape *s) { return panels_of(s) * blocks(s->in, TILE); }

/* wt = W^T, one tile */
static void turn_tile(const struct snn_linear_shape *s, ptrdiff_t tile, const real *w, real *wt) {
    struct panel p = panel_of(s, tile / blocks(s->in, TILE));
    ptrdiff_t i0 = tile % blocks(s->in, TILE) * TILE, inputs = least(TILE, s->in - i0);
    real *to = wt + p.at + i0 * p.width;
    transpose(w + p.first * s->in + i0, s->in, p.outs, inputs, to, p.width);
    for (ptrdiff_t i = 0; p.outs < p.width && i < inputs; ++i)
        memset(to + i * p.width + p.outs, 0, (size_t)(p.width - p.outs) * sizeof *to);
}

/* gw += gwt^T, one tile */
static void add_tile(const struct snn_linear_shape *s, ptrdiff_t tile, const real *gwt, real *gw) {
    struct panel p = panel_of(s, tile / blocks(s->in, TILE));
    ptrdiff_t i0 = tile % blocks(s->in, TILE) * TILE, inputs = least(TILE, s->in - i0);
    real turned[WIDEST * TILE]; /* (outs, TILE) */
    transpose(gwt + p.at + i0 * p.width, p.width, inputs, p.outs, turned, TILE);
    for (ptrdiff_t o = 0; o < p.outs; ++o) {
        real *restrict to = gw + (p.first + o) * s->in + i0;
        for (ptrdiff_t i = 0; i < inputs; ++i) to[i] += turned[o * TILE + i];
    }
}

/* ---- rows ---- */

/* Set bits in ascending order. */
static struct snn_entries list_bits(const uint64_t *bits, int32_t words, int32_t *index) {
    struct snn_entries e = {.index = index};
    for (int32_t w = 0; w < words; ++w)
        for (uint64_t word = bits[w]; word; word &= word - 1) index[e.count++] = w * 64 + __builtin_ctzll(word);
    return e;
}

/* What is not 0 in row r; `buffer` (in) is used where it has to be listed. */
static struct snn_entries entries_of(const struct snn_rows *x, ptrdiff_t r, int32_t *buffer) {
    return x->lists.row ? snn_lists_row(&x->lists, r) : list_bits(x->bits + r * x->words, x->words, buffer);
}

/* Rows of one GEMM call: the same for any number of threads. */
static ptrdiff_t dense_rows(ptrdiff_t rows) {
    const ptrdiff_t share = blocks(rows, DENSE_BLOCKS);
    return share < DENSE_LEAST ? DENSE_LEAST : least(share, DENSE_ROWS);
}

static bool worth_dense(const struct snn_linear_shape *s, const struct snn_rows *x) {
    int64_t entries = 0;
    if (snn_rows_form(x) == SNN_DENSE) return true;
    if (x->lists.row) entries = snn_lists_entries(&x->lists, s->rows);
    else
        for (ptrdiff_t r = 0; r < s->rows; ++r) entries += x->nonzero[r];
    return (double)entries > DENSE_FROM * (double)s->rows * s->in;
}

/* ---- scratch ---- */

static ptrdiff_t sort_rows(const struct snn_linear_shape *s) {
    ptrdiff_t rows = SORT_MOST / s->in;
    return rows < SORT_LEAST ? SORT_LEAST : rows > SORT_ROWS ? SORT_ROWS : rows;
}

/* Bytes of the parts; each begins at a multiple of 64. What a thread has serves one purpose at a time. */
struct layout {
    size_t matrix, bias;                        /* W^T or its gradient in panels; the bias, padded */
    size_t sums;                                /* of the bias's gradient */
    size_t dense, listed;                       /* of a thread: rows of numbers | entries of rows of bits | */
    size_t start, row, value, gradient, sorted; /* entries by input, and a panel of gy, before these */
    size_t thread;
};

static size_t align_bytes(size_t n) { return (n + 63) / 64 * 64; }

static struct layout layout_of(const struct snn_linear_shape *s, bool lists) {
    struct layout l;
    size_t in = (size_t)s->in, rows = (size_t)least(sort_rows(s), s->rows); /* a batch may have fewer than a block */
    l.matrix = align_bytes(in * (size_t)padded(s) * sizeof(real));
    l.bias = align_bytes((size_t)padded(s) * sizeof(real));
    l.sums = align_bytes((size_t)s->out * sizeof(double));
    l.dense = align_bytes((size_t)least(DENSE_ROWS, s->rows) * in * sizeof(real));
    l.listed = align_bytes((size_t)least(BITS_ROWS, s->rows) * in * sizeof(int32_t));
    l.start = align_bytes(in * sizeof(int32_t));
    l.row = align_bytes(rows * in * sizeof(uint16_t));
    l.value = lists ? align_bytes(rows * in * sizeof(real)) : 0;
    l.gradient = align_bytes(rows * WIDEST * sizeof(real));
    l.sorted = l.start + l.row + l.value + l.gradient + (lists ? 0 : align_bytes(rows * in * sizeof(int32_t)));
    l.thread = l.dense > l.listed ? l.dense : l.listed;
    if (l.sorted > l.thread) l.thread = l.sorted;
    return l;
}

static struct layout layout_for(const struct snn_linear_shape *s, const struct snn_rows *x) {
    return layout_of(s, snn_rows_form(x) == SNN_LISTS);
}

size_t SNN_ISA(snn_linear_scratch)(int threads, const struct snn_linear_shape *s, enum snn_form x) {
    struct layout l = layout_of(s, x == SNN_LISTS);
    return x == SNN_DENSE ? 0 : l.matrix + l.bias + l.sums + (size_t)threads * l.thread;
}

static unsigned char *of_thread(const struct layout *l, void *scratch, ptrdiff_t lane) {
    return (unsigned char *)scratch + l->matrix + l->bias + l->sums + (size_t)lane * l->thread;
}

/* ---- forward ---- */

/* n rows from r0 on, at most LIST_ROWS, or BITS_ROWS of bits, from panels. */
static void forward_rows(const struct snn_linear_shape *s, const struct snn_rows *x, ptrdiff_t r0, ptrdiff_t n,
                         const real *wt, const real *bias, real *y, int32_t *listed) {
    struct snn_entries list[LIST_ROWS];
    real last[WIDEST] __attribute__((aligned(64)));
    for (ptrdiff_t r = 0; r < n; ++r) list[r] = entries_of(x, r0 + r, listed + r * s->in);
    for (ptrdiff_t k = 0; k < panels_of(s); ++k) {
        struct panel p = panel_of(s, k);
        for (ptrdiff_t r = 0; r < n; ++r) {
            real *to = y + (r0 + r) * s->out + p.first;
            bool whole = p.outs == p.width;
            add_weights[p.vectors](list[r], wt + p.at, bias + p.first, whole ? to : last);
            if (!whole) memcpy(to, last, (size_t)p.outs * sizeof *to);
        }
    }
}

/* Rows that a thread takes at once. Steps of a recording differ in their entries by an order of magnitude, and lie side
 * by side in rows: threads take blocks as they get through with them, several each. */
static ptrdiff_t share_of(const struct snn_linear_shape *s, const struct snn_rows *x, int threads) {
    const ptrdiff_t most = x->lists.row ? LIST_ROWS : BITS_ROWS, share = s->rows / (8 * threads);
    return share < SHARE_ROWS ? SHARE_ROWS : least(share, most);
}

static void forward_sparse(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                           const real *w, const real *b, real *y, void *scratch) {
    struct layout l = layout_for(s, x);
    real *wt = scratch, *bias = (real *)((unsigned char *)scratch + l.matrix);
    const ptrdiff_t each = share_of(s, x, device->threads);
    memset(bias, 0, l.bias);
    if (b) memcpy(bias, b, (size_t)s->out * sizeof *b);
#pragma omp parallel num_threads(device->threads)
    {
#pragma omp for schedule(static)
        for (ptrdiff_t tile = 0; tile < tiles_of(s); ++tile) turn_tile(s, tile, w, wt);
#pragma omp for schedule(dynamic)
        for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += each)
            forward_rows(s, x, r0, least(each, s->rows - r0), wt, bias, y,
                         (int32_t *)(void *)of_thread(&l, scratch, omp_get_thread_num()));
    }
}

static void forward_dense(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                          const real *w, const real *b, real *y, void *scratch) {
    struct layout l = layout_for(s, x);
    const ptrdiff_t each = dense_rows(s->rows), count = blocks(s->rows, each);
    bool expands = snn_rows_form(x) != SNN_DENSE;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < device->threads; ++lane)
        for (ptrdiff_t block = lane * count / device->threads; block < (lane + 1) * count / device->threads; ++block) {
            ptrdiff_t r0 = block * each, rows = least(each, s->rows - r0);
            real *out = y + r0 * s->out, *buffer = expands ? (real *)(void *)of_thread(&l, scratch, lane) : NULL;
            const real *from = expands ? buffer : x->dense + r0 * s->in;
            for (ptrdiff_t r = 0; expands && r < rows; ++r) snn_rows_expand(x, r0 + r, s->in, buffer + r * s->in);
            for (ptrdiff_t r = 0; b && r < rows; ++r) memcpy(out + r * s->out, b, (size_t)s->out * sizeof *b);
            snn_gemm(false, true, rows, s->out, s->in, 1, from, s->in, w, s->in, b ? 1 : 0, out, s->out);
        }
}

void SNN_ISA(snn_linear)(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                         const real *w, const real *b, real *y, void *scratch) {
    if (worth_dense(s, x)) forward_dense(device, s, x, w, b, y, scratch);
    else forward_sparse(device, s, x, w, b, y, scratch);
}

/* ---- gradients ---- */

void SNN_ISA(snn_linear_grad_input)(struct snn_device *device, const struct snn_linear_shape *s, const real *gy,
                                    const real *w, bool adds, real *gx) {
    const ptrdiff_t each = dense_rows(s->rows);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += each) {
        const ptrdiff_t rows = least(each, s->rows - r0);
        snn_gemm(false, false, rows, s->in, s->out, 1, gy + r0 * s->out, s->out, w, s->in, adds, gx + r0 * s->in,
                 s->in);
    }
}

struct sorted { /* the entries of a block of rows by input: those of input i end at end[i] and begin where i-1 ends */
    ptrdiff_t rows;
    int32_t *end; /* (in) */
    uint16_t *row;
    real *value;     /* NULL: all are 1 */
    real *gradient;  /* (rows, width) the panel of gy that is being added */
    int32_t *listed; /* (rows, in) of rows of bits */
};

static struct sorted sorted_of(const struct layout *l, const struct snn_rows *x, void *scratch, ptrdiff_t lane) {
    unsigned char *at = of_thread(l, scratch, lane);
    struct sorted e = {.end = (int32_t *)(void *)at};
    e.row = (uint16_t *)(void *)(at += l->start);
    e.value = x->lists.row && x->lists.value ? (real *)(void *)(at + l->row) : NULL;
    e.gradient = (real *)(void *)(at += l->row + l->value);
    e.listed = (int32_t *)(void *)(at + l->gradient);
    return e;
}

static void sort_entries(const struct snn_linear_shape *s, const struct snn_rows *x, ptrdiff_t r0, struct sorted *to) {
    struct snn_entries list[SORT_ROWS];
    memset(to->end, 0, (size_t)s->in * sizeof *to->end);
    for (ptrdiff_t r = 0; r < to->rows; ++r) {
        list[r] = entries_of(x, r0 + r, to->listed + r * s->in);
        for (int32_t k = 0; k < list[r].count; ++k) ++to->end[list[r].index[k]];
    }
    for (ptrdiff_t i = 0, begin = 0; i < s->in; ++i) { /* from counts to beginnings */
        int32_t count = to->end[i];
        to->end[i] = (int32_t)begin, begin += count;
    }
    for (ptrdiff_t r = 0; r < to->rows; ++r)
        for (int32_t k = 0; k < list[r].count; ++k) {
            int32_t at = to->end[list[r].index[k]]++;
            to->row[at] = (uint16_t)r;
            if (to->value) to->value[at] = (real)list[r].value[k];
        }
}

/* gwt += what the sorted rows from r0 on give for the inputs i0 .. i1-1 of a panel; and the sums of gy, where they are
 * wanted. `space` is where the panel of gy goes, if it is not all of gy as it lies. */
static void gather_panel(const struct snn_linear_shape *s, const struct panel *p, const struct sorted *e, ptrdiff_t r0,
                         const real *gy, ptrdiff_t i0, ptrdiff_t i1, real *space, real *gwt, double *sums) {
    const bool whole = p->width == s->out && (uintptr_t)gy % sizeof(vec) == 0;
    const real *panel = whole ? gy + r0 * s->out : space;
    for (ptrdiff_t r = 0; !whole && r < e->rows; ++r) {
        const real *from = gy + (r0 + r) * s->out + p->first;
        real *restrict to = space + r * p->width;
        for (ptrdiff_t o = 0; o < p->outs; ++o) to[o] = from[o];
        for (ptrdiff_t o = p->outs; o < p->width; ++o) to[o] = 0;
    }
    if (sums) add_columns(panel, p->width, e->rows, p->outs, sums + p->first);
    for (ptrdiff_t i = i0; i < i1; ++i) {
        ptrdiff_t begin = i ? e->end[i - 1] : 0, count = e->end[i] - begin;
        if (count)
            add_gradients[p->vectors](e->row + begin, e->value ? e->value + begin : NULL, count, panel,
                                      gwt + p->at + i * p->width);
    }
}

/* What threads have sorted, side by side, from row r0 on. */
struct round {
    struct snn_device *device;
    const struct snn_linear_shape *s;
    const struct snn_rows *x;
    const struct layout *l;
    void *scratch;
    bool bias;
    ptrdiff_t r0;
};

static struct sorted of_round(const struct round *a, ptrdiff_t k) {
    struct sorted e = sorted_of(a->l, a->x, a->scratch, k);
    e.rows = least(sort_rows(a->s), a->s->rows - (a->r0 + k * sort_rows(a->s)));
    return e;
}

/* Work on the inputs before input i: their entries, a little for each input, and the bias, which comes with the first.
 */
static ptrdiff_t work_before(const struct round *a, ptrdiff_t i) {
    ptrdiff_t work = 2 * i;
    for (ptrdiff_t k = 0; i && k < a->device->threads; ++k) {
        const struct sorted e = of_round(a, k);
        if (e.rows > 0) work += e.end[i - 1] + (a->bias ? e.rows : 0);
    }
    return work;
}

/* Where thread `lane` begins, counted in inputs over all panels: inputs differ in their entries, as channels of a
 * cochlea do. */
static ptrdiff_t share_begins(const struct round *a, ptrdiff_t lane) {
    const ptrdiff_t all = work_before(a, a->s->in), work = lane * panels_of(a->s) * all / a->device->threads;
    ptrdiff_t low = 0, high = a->s->in; /* the first input with at least so much before it */
    while (low < high) {
        const ptrdiff_t middle = (low + high) / 2;
        if (work_before(a, middle) < work % all) low = middle + 1;
        else high = middle;
    }
    return work / all * a->s->in + low;
}

/* A thread's share of the panels, for the sorted rows of all threads. */
static void gather_share(const struct round *a, ptrdiff_t lane, const real *gy, double *sums) {
    ptrdiff_t at = share_begins(a, lane), end = share_begins(a, lane + 1);
    real *space = sorted_of(a->l, a->x, a->scratch, lane).gradient;
    while (at < end) {
        struct panel p = panel_of(a->s, at / a->s->in);
        ptrdiff_t i0 = at % a->s->in, i1 = least(a->s->in, i0 + end - at);
        for (ptrdiff_t k = 0; k < a->device->threads; ++k) {
            const struct sorted e = of_round(a, k);
            if (e.rows > 0)
                gather_panel(a->s, &p, &e, a->r0 + k * sort_rows(a->s), gy, i0, i1, space, a->scratch,
                             i0 ? NULL : sums);
        }
        at += i1 - i0;
    }
}

static void grad_weight_sparse(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                               const real *gy, real *gw, real *gb, void *scratch) {
    struct layout l = layout_for(s, x);
    double *sums = gb ? (double *)(void *)((unsigned char *)scratch + l.matrix + l.bias) : NULL; /* (out) */
    ptrdiff_t each = sort_rows(s), matrix = s->in * padded(s);
    if (sums) memset(sums, 0, l.sums);
#pragma omp parallel num_threads(device->threads)
    {
#pragma omp for schedule(static)
        for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
            ptrdiff_t begin = lane * matrix / device->threads, end = (lane + 1) * matrix / device->threads;
            memset((real *)scratch + begin, 0, (size_t)(end - begin) * sizeof(real));
        }
        for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += each * device->threads) {
            const struct round round = {device, s, x, &l, scratch, sums != NULL, r0};
#pragma omp for schedule(static)
            for (ptrdiff_t lane = 0; lane < device->threads; ++lane) {
                struct sorted e = of_round(&round, lane);
                if (e.rows > 0) sort_entries(s, x, r0 + lane * each, &e);
            }
#pragma omp for schedule(static)
            for (ptrdiff_t lane = 0; lane < device->threads; ++lane) gather_share(&round, lane, gy, sums);
        }
#pragma omp for schedule(static)
        for (ptrdiff_t tile = 0; tile < tiles_of(s); ++tile) add_tile(s, tile, scratch, gw);
    }
    for (ptrdiff_t o = 0; gb && o < s->out; ++o) gb[o] += (real)sums[o];
}

static void grad_weight_dense(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                              const real *gy, real *gw, void *scratch) {
    struct layout l = layout_for(s, x);
    bool expands = snn_rows_form(x) != SNN_DENSE;
    real *buffer = expands ? (real *)(void *)of_thread(&l, scratch, 0) : NULL;
    ptrdiff_t outs = blocks(s->out, WEIGHT_OUT), ins = blocks(s->in, WEIGHT_IN), each = expands ? DENSE_ROWS : s->rows;
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += each) {
        ptrdiff_t rows = least(each, s->rows - r0);
        const real *from = expands ? buffer : x->dense;
#pragma omp parallel num_threads(device->threads)
        {
#pragma omp for schedule(static)
            for (ptrdiff_t r = 0; r < (expands ? rows : 0); ++r) snn_rows_expand(x, r0 + r, s->in, buffer + r * s->in);
#pragma omp for schedule(static) collapse(2)
            for (ptrdiff_t o = 0; o < outs; ++o)
                for (ptrdiff_t i = 0; i < ins; ++i) {
                    ptrdiff_t o0 = o * WEIGHT_OUT, i0 = i * WEIGHT_IN;
                    snn_gemm(true, false, least(WEIGHT_OUT, s->out - o0), least(WEIGHT_IN, s->in - i0), rows, 1,
                             gy + r0 * s->out + o0, s->out, from + i0, s->in, 1, gw + o0 * s->in + i0, s->in);
                }
        }
    }
}

void SNN_ISA(snn_linear_grad_weight)(struct snn_device *device, const struct snn_linear_shape *s,
                                     const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    if (!worth_dense(s, x)) {
        grad_weight_sparse(device, s, x, gy, gw, gb, scratch);
        return;
    }
    if (gb) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
        for (ptrdiff_t at = 0; at < s->out; at += COLUMNS_SHARED) sum_columns(s->rows, s->out, at, gy, gb);
    }
    grad_weight_dense(device, s, x, gy, gw, scratch);
}
