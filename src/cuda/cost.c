/* SPDX-License-Identifier: Apache-2.0
 * cost.c - the kernel tables of the CUDA backend with a declaration of cost in the place of each launch.
 *
 * Every entry walks through the launches of its namesake in the .cu file of the same name and must change with it;
 * tests/test_roofline.c compares the two by name and by number. Bytes are a lower bound for a kernel alone: each array
 * it touches is moved once, and what it reads again is in the cache. Operations are those in single precision that a
 * kernel cannot do without, counted by number it handles; addresses, counts and random bits are free. */
#include "cuda/cost.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "autograd/attention.h"
#include "autograd/binary.h"
#include "autograd/conv.h"
#include "autograd/delay.h"
#include "autograd/loss.h"
#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/mix.h"
#include "autograd/norm.h"
#include "autograd/pool.h"
#include "autograd/regular.h"
#include "autograd/weights.h"
#include "core/status.h"
#include "cuda/sizes.h"
#include "layers/neuron.h"
#include "layers/ultra.h"
#include "optim/optim_kernels.h"
#include "optim/optim_rules.h"

enum { BLOCK = 256, WARPS = BLOCK / 32, PARTIALS = 1 << 16 }; /* backend.h */
enum { NUMBER = sizeof(real), COUNT = sizeof(int32_t), CHOICE = sizeof(uint16_t), WORD = sizeof(uint64_t) };

struct region { /* of addresses */
    void *memory;
    size_t bytes;
};

struct counter { /* the backend's own */
    struct snn_costs *costs;
    struct region *region;
    int regions, room;
};

static struct counter *counter_of(struct snn_device *device) { return device->backend; }
static const struct snn_costs *costs_of(struct snn_device *device) { return counter_of(device)->costs; }

static void launch(struct snn_device *device, const char *kernel, double bytes, double flops) {
    struct snn_costs *costs = counter_of(device)->costs;
    for (int i = 0; i < costs->count; ++i) {
        struct snn_cost *c = &costs->cost[i];
        if (c->bytes != bytes || c->flops != flops || strcmp(c->kernel, kernel) != 0) continue;
        ++c->launches;
        return;
    }
    if (costs->count == costs->room) {
        costs->room = costs->room ? 2 * costs->room : 64;
        costs->cost = realloc(costs->cost, (size_t)costs->room * sizeof *costs->cost);
        SNN_CHECK(costs->cost, "out of memory while costs are counted");
    }
    costs->cost[costs->count++] = (struct snn_cost){kernel, 1, bytes, flops};
}

/* `batch` products C (m,n) = A (m,k) B (k,n), or += when `adds`; `shared`: they have one A. */
static void fill(struct snn_device *device, ptrdiff_t n, real value, real *y) {
    (void)value, (void)y;
    if (n >= 1) launch(device, "math.fill_numbers", NUMBER * (double)n, 0);
}

static void multiply(struct snn_device *device, const char *kernel, double batch, bool shared, double m, double n,
                     double k, bool adds) {
    double a = (shared ? 1 : batch) * m * k, b = batch * k * n, c = batch * m * n;
    launch(device, kernel, NUMBER * (a + b + (adds ? 2 : 1) * c), 2 * batch * m * n * k);
}

static double row_bytes(const struct snn_rows *x, double units) {
    return x->bits ? (double)x->words * WORD : units * NUMBER;
}

/* Of `rows` lists of a share of `units` each. */
static double list_bytes(struct snn_device *device, const struct snn_lists *x, double rows, double units) {
    return rows * (COUNT + costs_of(device)->events * units * (COUNT + (x->value ? sizeof(float) : 0)));
}

/* ---- memory ---- */

static void *reserve(struct snn_device *device, size_t bytes, int protection) {
    struct counter *c = counter_of(device);
    if (c->regions == c->room) {
        int room = c->room ? 2 * c->room : 16;
        struct region *more = realloc(c->region, (size_t)room * sizeof *more);
        if (!more) return NULL;
        c->region = more, c->room = room;
    }
    if (!bytes) bytes = SNN_ALIGN;
    void *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    c->region[c->regions++] = (struct region){memory, bytes};
    return memory;
}

static void *allocate(struct snn_device *device, size_t bytes) { return reserve(device, bytes, PROT_NONE); }
static void *host(struct snn_device *device, size_t bytes) { return reserve(device, bytes, PROT_READ | PROT_WRITE); }

static void release(struct snn_device *device, void *memory) {
    struct counter *c = counter_of(device);
    for (int i = 0; memory && i < c->regions; ++i) {
        if (c->region[i].memory != memory) continue;
        munmap(memory, c->region[i].bytes);
        c->region[i] = c->region[--c->regions];
        return;
    }
    SNN_CHECK(!memory, "memory is given back that was never taken");
}

static void room(struct snn_device *device, size_t *left, size_t *total) {
    (void)device;
    *left = *total = 0;
}

static size_t stage_bytes(struct snn_device *device, const struct snn_batch *shape) {
    (void)device;
    return snn_cuda_stage_bytes(shape);
}

static void zero(struct snn_device *device, void *to, size_t bytes) {
    (void)to;
    if (bytes) launch(device, "memory.cudaMemsetAsync", (double)bytes, 0);
}

static void copy(struct snn_device *device, void *to, const void *from, size_t bytes) {
    (void)to, (void)from;
    if (bytes) launch(device, "memory.cudaMemcpyAsync", 2 * (double)bytes, 0);
}

/* Uploads are a few hundred bytes before a step, and cross another bus. */
static void upload(struct snn_device *device, void *to, const void *from, size_t bytes) {
    (void)device, (void)to, (void)from, (void)bytes;
}

static int download(struct snn_device *device, void *to, const void *from, size_t bytes) {
    (void)device, (void)from;
    if (bytes) memset(to, 0, bytes);
    return SNN_OK;
}

/* Batches are copied beside the work, over another bus. */
static int stage(struct snn_device *device, const struct snn_batch *batch, struct snn_batch *staged) {
    (void)device;
    *staged = *batch;
    return SNN_OK;
}

static int run(struct snn_device *device, const struct snn_work_key *key, void (*work)(void *payload), void *payload) {
    (void)key;
    work(payload);
    ++counter_of(device)->costs->graphs;
    return SNN_OK;
}

static void forget(struct snn_device *device) { (void)device; }

static const struct snn_memory_kernels memory_table = {.allocate = allocate,
                                                       .release = release,
                                                       .host = host,
                                                       .host_release = release,
                                                       .room = room,
                                                       .stage_bytes = stage_bytes,
                                                       .zero = zero,
                                                       .copy = copy,
                                                       .upload = upload,
                                                       .download = download,
                                                       .stage = stage,
                                                       .run = run,
                                                       .forget = forget};

/* ---- linear ---- */

enum { MOST_ROWS = 1 << 30 }; /* of one product */

static size_t linear_scratch(int threads, const struct snn_linear_shape *s, enum snn_form x) {
    (void)threads;
    return snn_cuda_linear_scratch(s, x);
}

static double rows_from(const struct snn_linear_shape *s, ptrdiff_t r0) {
    return s->rows - r0 < MOST_ROWS ? (double)(s->rows - r0) : (double)MOST_ROWS;
}

static void linear(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x, const real *w,
                   const real *b, real *y, void *scratch) {
    double rows = (double)s->rows, in = s->in, out = s->out;
    (void)w, (void)y, (void)scratch;
    if (s->rows < 1) return;
    if (x->lists.row) {
        launch(device, "linear.turn_weights", NUMBER * 2 * in * out, 0);
        launch(device, "linear.add_listed_weights",
               list_bytes(device, &x->lists, rows, in) + NUMBER * (in * out + (b ? out : 0) + rows * out),
               2 * costs_of(device)->events * rows * in * out);
        return;
    }
    if (x->bits) {
        launch(device, "linear.add_weight_rows",
               rows * row_bytes(x, in) + NUMBER * (in * out + (b ? out : 0) + rows * out),
               costs_of(device)->spikes * rows * in * out);
        return;
    }
    if (b) launch(device, "linear.repeat_bias", NUMBER * (out + rows * out), 0);
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        multiply(device, "linear.cublasSgemm", 1, false, rows_from(s, r0), out, in, b != NULL);
}

static void linear_grad_input(struct snn_device *device, const struct snn_linear_shape *s, const real *gy,
                              const real *w, bool adds, real *gx) {
    (void)gy, (void)w, (void)gx;
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        multiply(device, "linear.cublasSgemm", 1, false, rows_from(s, r0), s->in, s->out, adds);
}

static void grad_bias(struct snn_device *device, const struct snn_linear_shape *s) {
    enum { ROOM = PARTIALS * 2, MOST_COLUMNS = ROOM / 2, MOST_PARTS = 64, LEAST_ROWS = 64 };
    for (ptrdiff_t o0 = 0; o0 < s->out; o0 += MOST_COLUMNS) {
        ptrdiff_t n = s->out - o0 < MOST_COLUMNS ? s->out - o0 : MOST_COLUMNS;
        ptrdiff_t parts = (s->rows + LEAST_ROWS - 1) / LEAST_ROWS;
        if (parts > MOST_PARTS) parts = MOST_PARTS;
        if (parts > ROOM / n) parts = ROOM / n;
        double partial = (double)(parts * n), columns = (double)s->rows * (double)n;
        launch(device, "linear.add_columns", NUMBER * (columns + partial), columns);
        launch(device, "linear.add_column_parts", NUMBER * (partial + 2 * (double)n), partial);
    }
}

static void grad_weight_sparse(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x) {
    const struct snn_cuda_linear_plan plan = snn_cuda_linear_plan(s);
    double rows = (double)s->rows, out = s->out, parts = (double)plan.parts;
    for (ptrdiff_t i0 = 0; i0 < s->in; i0 += plan.slab) {
        double inputs = (double)(s->in - i0 < plan.slab ? s->in - i0 : plan.slab);
        double numbers = NUMBER * (rows * out + parts * inputs * (double)plan.padded);
        if (x->lists.row)
            launch(device, "linear.add_listed_gradients", list_bytes(device, &x->lists, rows, s->in) + numbers,
                   2 * costs_of(device)->events * rows * inputs * out);
        else
            launch(device, "linear.add_gradient_rows", rows * inputs / 8 + numbers,
                   costs_of(device)->spikes * rows * inputs * out);
        launch(device, "linear.add_parts", NUMBER * inputs * out * (parts + 2), inputs * out * parts);
    }
}

static void linear_grad_weight(struct snn_device *device, const struct snn_linear_shape *s, const struct snn_rows *x,
                               const real *gy, real *gw, real *gb, void *scratch) {
    (void)gy, (void)gw, (void)scratch;
    if (s->rows < 1) return;
    if (gb) grad_bias(device, s);
    if (snn_rows_form(x) != SNN_DENSE) {
        grad_weight_sparse(device, s, x);
        return;
    }
    for (ptrdiff_t r0 = 0; r0 < s->rows; r0 += MOST_ROWS)
        multiply(device, "linear.cublasSgemm", 1, false, s->out, s->in, rows_from(s, r0), true);
}

/* ---- math ---- */

static void add(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, ptrdiff_t b_n, real *y) {
    (void)a, (void)b, (void)y;
    if (n >= 1) launch(device, "math.add_numbers", NUMBER * (2 * (double)n + (double)b_n), (double)n);
}

static void accumulate(struct snn_device *device, ptrdiff_t n, const real *x, bool adds, real *y) {
    (void)x, (void)y;
    if (n >= 1) launch(device, "math.accumulate_numbers", NUMBER * (double)n * (adds ? 3 : 2), adds ? (double)n : 0);
}

static void sum_over_time(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, bool adds, real *y) {
    double steps = (double)T * (double)n;
    (void)x, (void)y;
    if (n >= 1) launch(device, "math.sum_steps", NUMBER * (steps + (double)n * (adds ? 2 : 1)), steps);
}

static void multiply_pairs(struct snn_device *device, ptrdiff_t n, const real *a, const real *b, bool adds, real *y) {
    (void)a, (void)b, (void)y;
    if (n >= 1)
        launch(device, "math.multiply_numbers", NUMBER * (double)n * (adds ? 4 : 3), (double)n * (adds ? 2 : 1));
}

static void trace(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t units, const struct snn_rows *x,
                  real decay, real gain, const real *before, bool last, real *y) {
    double n = (double)B * (double)units, events = costs_of(device)->events * n;
    (void)decay, (void)gain, (void)y;
    if (T < 1 || B < 1) return;
    if (!x->lists.row) {
        double row = x->bits ? (double)B * x->words * WORD : NUMBER * n;
        launch(device, "math.follow_rows", T * (row + (last ? 0 : NUMBER * n)) + NUMBER * n * ((before != NULL) + last),
               3 * T * n);
        return;
    }
    for (int32_t t = 0; t < T; ++t) {
        launch(device, "math.fade_numbers", NUMBER * n * (t || before ? 2 : 1), n);
        launch(device, "math.add_events",
               events * (COUNT + 2 * NUMBER + (x->lists.value ? sizeof(float) : 0)) + B * 2 * COUNT, 2 * events);
    }
}

static void trace_back(struct snn_device *device, int32_t T, ptrdiff_t n, const real *x, real decay, real gain,
                       real *y) {
    (void)x, (void)decay, (void)gain, (void)y;
    if (T >= 1 && n >= 1)
        launch(device, "math.follow_back", NUMBER * 2 * (double)T * (double)n, 3 * (double)T * (double)n);
}

static double mask_bytes(const struct snn_dropout_shape *s) {
    return (double)s->T * s->B * (double)snn_dropout_words(s) * WORD;
}

static void dropout_mask(struct snn_device *device, const struct snn_dropout_shape *s, const uint32_t *clock,
                         uint32_t layer, const int32_t *sample, const struct snn_dropout *p, uint64_t *mask) {
    (void)clock, (void)layer, (void)sample, (void)p, (void)mask;
    if (s->T >= 1 && s->B >= 1) launch(device, "math.draw_mask", mask_bytes(s) + (double)s->B * COUNT, 0);
}

static void dropout(struct snn_device *device, const struct snn_dropout_shape *s, const uint64_t *mask,
                    const struct snn_dropout *p, const real *x, real *y) {
    double n = (double)s->rows * s->units;
    (void)mask, (void)p, (void)x, (void)y;
    if (s->rows >= 1) launch(device, "math.drop", 2 * NUMBER * n + mask_bytes(s), n);
}

static void count_nonzero(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, int32_t *nonzero) {
    (void)x, (void)nonzero;
    if (rows >= 1) launch(device, "math.count_rows", (double)rows * (NUMBER * (double)units + COUNT), 0);
}

static void add_counts(struct snn_device *device, int32_t T, int32_t B, bool is_static, const int32_t *nonzero,
                       const int32_t *length, int32_t less, int64_t *sum) {
    (void)nonzero, (void)less, (void)sum;
    if (T < 1 || B < 1) return;
    launch(device, "math.add_up_counts", (double)B * COUNT * ((is_static ? 1 : T) + (length ? 1 : 0)), 0);
}

static void cut_lengths(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *length,
                        int32_t *cut_length, uint8_t *mask) {
    (void)t0, (void)length, (void)cut_length, (void)mask;
    if (T >= 1 && B >= 1) launch(device, "math.cut", 2.0 * B * COUNT + (double)T * B, 0);
}

static void load_frames(struct snn_device *device, int32_t T, int32_t B, int32_t stride, ptrdiff_t units,
                        const float *frames, real *y, int32_t *nonzero) {
    double rows = (double)T * B;
    (void)stride, (void)frames, (void)y;
    if (T < 1 || B < 1) return;
    launch(device, "math.take_frames", rows * (2 * NUMBER * (double)units + (nonzero ? COUNT : 0)), 0);
}

static void load_events(struct snn_device *device, int32_t T, ptrdiff_t units, const struct snn_lists *x, real *y,
                        int32_t *nonzero) {
    double rows = (double)T * x->B, events = costs_of(device)->events * (double)units;
    if (rows < 1) return;
    if (!y) {
        if (nonzero) launch(device, "math.count_events", rows * 2 * COUNT, 0);
        return;
    }
    launch(device, "math.take_events",
           rows * (NUMBER * (double)units + events * (COUNT + (x->value ? sizeof(float) : 0)) + COUNT +
                   (nonzero ? COUNT : 0)),
           0);
}

/* Where samples begin and end; for each row the step that it comes to, and where that is. Halving reads little beside:
 * neighbours start from the same entries. */
static void find_rows(struct snn_device *device, int32_t T, int32_t B, int32_t t0, const int32_t *first,
                      const int32_t *step, int32_t *row) {
    (void)t0, (void)first, (void)step, (void)row;
    if (T >= 1 && B >= 1) launch(device, "math.seek_rows", COUNT * B * (2.0 + 2 * (T + 1)), 0);
}

static const struct snn_math_kernels math_table = {linear_scratch,
                                                   linear,
                                                   linear_grad_input,
                                                   linear_grad_weight,
                                                   add,
                                                   accumulate,
                                                   sum_over_time,
                                                   fill,
                                                   multiply_pairs,
                                                   trace,
                                                   trace_back,
                                                   dropout_mask,
                                                   dropout,
                                                   count_nonzero,
                                                   add_counts,
                                                   cut_lengths,
                                                   load_frames,
                                                   load_events,
                                                   find_rows};

/* ---- convolution ---- */

static size_t conv_scratch(int threads, const struct snn_conv_shape *s, ptrdiff_t rows, enum snn_form x) {
    (void)threads;
    return snn_cuda_conv_scratch(s, rows, x);
}

/* Sizes of a chunk of images, and of the products of a group. */
struct chunk {
    ptrdiff_t images;
    double live, columns, taps, channels;
    double in, out; /* numbers of the images on both sides */
};

static struct chunk chunk_at(const struct snn_conv_shape *s, const struct snn_cuda_conv_layout *l, ptrdiff_t rows,
                             ptrdiff_t r0) {
    struct chunk c = {.images = rows - r0 < l->images ? rows - r0 : l->images};
    c.live = (double)(c.images * l->pixels), c.columns = (double)snn_cuda_conv_columns(l, c.images);
    c.taps = (double)l->taps / s->groups, c.channels = (double)s->O / s->groups;
    c.in = (double)c.images * s->C * (double)snn_conv_in_pixels(s), c.out = s->O * c.live;
    return c;
}

static void products(struct snn_device *device, double batch, bool shared, double m, double n, double k, bool adds) {
    enum { MOST_BATCH = 32768 };
    for (double left = batch; left > 0; left -= MOST_BATCH)
        multiply(device, "conv.cublasSgemmStridedBatched", left < MOST_BATCH ? left : MOST_BATCH, shared, m, n, k,
                 adds);
}

static void unfold(struct snn_device *device, const struct snn_rows *x, const struct chunk *c, double taps) {
    double images = (double)c->images;
    if (x->lists.row)
        launch(device, "conv.expand_lists", list_bytes(device, &x->lists, images, c->in / images) + NUMBER * c->in, 0);
    launch(device, "conv.unfold", images * row_bytes(x, c->in / images) + NUMBER * taps * c->columns, 0);
}

static void conv_forward(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                         const struct snn_rows *x, const real *w, const real *b, bool adds, real *y, void *scratch) {
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    double bias = b ? s->O : 0;
    bool in_place = snn_cuda_conv_is_pointwise(s) && snn_rows_form(x) == SNN_DENSE;
    (void)w, (void)y, (void)scratch;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk c = chunk_at(s, &l, rows, r0);
        if (in_place) {
            if (b) launch(device, "conv.scatter_channels", NUMBER * ((adds ? 2 : 1) * c.out + bias), adds ? c.out : 0);
            products(device, (double)c.images, true, s->O, (double)l.pixels, s->C, b || adds);
            continue;
        }
        unfold(device, x, &c, (double)l.taps);
        products(device, s->groups, false, c.channels, c.live, c.taps, false);
        launch(device, "conv.scatter_channels", NUMBER * ((adds ? 3 : 2) * c.out + bias), c.out * ((b != NULL) + adds));
    }
}

static void conv_grad_input(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows, const real *gy,
                            const real *w, const real *b, bool adds, real *gx, void *scratch) {
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    (void)gy, (void)w, (void)gx, (void)scratch;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk c = chunk_at(s, &l, rows, r0);
        if (snn_cuda_conv_is_pointwise(s)) {
            if (b) launch(device, "conv.scatter_channels", NUMBER * ((adds ? 2 : 1) * c.in + s->C), adds ? c.in : 0);
            products(device, (double)c.images, true, s->C, (double)l.pixels, s->O, b || adds);
            continue;
        }
        launch(device, "conv.gather_channels", NUMBER * (c.out + s->O * c.columns), 0);
        products(device, s->groups, false, c.taps, c.live, c.channels, false);
        double unfolded = (double)l.taps * c.live;
        launch(device, "conv.fold", NUMBER * (unfolded + (adds ? 2 : 1) * c.in + (b ? s->C : 0)),
               unfolded + (b ? c.in : 0));
    }
}

static void add_parts(struct snn_device *device, double n, double parts) {
    launch(device, "conv.add_parts", NUMBER * n * (parts + 2), n * parts);
}

static void add_bias_gradient(struct snn_device *device, int32_t O, double columns) {
    enum { MANY_LINES = 1024, LOADS = 16 };
    int32_t parts = (int32_t)columns / (BLOCK * LOADS);
    if (parts > MANY_LINES / O) parts = MANY_LINES / O;
    if (parts < 1) parts = 1;
    launch(device, "conv.sum_lines", NUMBER * O * (columns + (parts > 1 ? parts : 2)), O * columns);
    if (parts > 1) add_parts(device, O, parts);
}

static void conv_grad_weight(struct snn_device *device, const struct snn_conv_shape *s, ptrdiff_t rows,
                             const struct snn_rows *x, const real *gy, real *gw, real *gb, void *scratch) {
    struct snn_cuda_conv_layout l = snn_cuda_conv_layout(s, rows);
    (void)gy, (void)gw, (void)scratch;
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += l.images) {
        struct chunk c = chunk_at(s, &l, rows, r0);
        unfold(device, x, &c, (double)l.taps);
        launch(device, "conv.gather_channels", NUMBER * (c.out + s->O * c.columns), 0);
        double length = c.columns / l.parts;
        if (l.parts == 1) {
            products(device, s->groups, false, c.channels, c.taps, length, true);
        } else {
            for (int32_t group = 0; group < s->groups; ++group)
                products(device, l.parts, false, c.channels, c.taps, length, false);
            add_parts(device, s->O * c.taps, l.parts);
        }
        if (gb) add_bias_gradient(device, s->O, c.columns);
    }
}

static void conv_grad_bias(struct snn_device *device, ptrdiff_t rows, int32_t channels, ptrdiff_t pixels,
                           const real *gy, real *gb) {
    int32_t parts = snn_cuda_conv_bias_parts(rows, channels, pixels);
    double n = (double)rows * channels * (double)pixels;
    (void)gy, (void)gb;
    if (rows < 1) return;
    launch(device, "conv.sum_channels", NUMBER * (n + channels * (parts > 1 ? parts : 2)), n);
    if (parts > 1) add_parts(device, channels, parts);
}

static double temporal_numbers(const struct snn_temporal_shape *s) {
    return (double)s->T * s->B * s->C * (double)s->inner;
}

static double temporal_before(const struct snn_temporal_shape *s, const real *before) {
    return before ? (double)snn_temporal_reach(s) * s->B * s->C * (double)s->inner : 0;
}

static void temporal(struct snn_device *device, const struct snn_temporal_shape *s, const real *x, const real *before,
                     const real *w, const real *b, real *y) {
    double n = temporal_numbers(s), weights = (double)s->C * (s->taps + (b ? 1 : 0));
    (void)x, (void)w, (void)y;
    if (s->T < 1 || s->B < 1) return;
    launch(device, "temporal.convolve", NUMBER * (2 * n + temporal_before(s, before) + weights), 2 * n * s->taps);
}

static void temporal_grad_input(struct snn_device *device, const struct snn_temporal_shape *s, const real *gy,
                                const real *w, bool adds, real *gx) {
    double n = temporal_numbers(s);
    (void)gy, (void)w, (void)gx;
    if (s->T < 1 || s->B < 1) return;
    launch(device, "temporal.convolve_back", NUMBER * ((adds ? 3 : 2) * n + (double)s->C * s->taps), 2 * n * s->taps);
}

static size_t temporal_scratch(const struct snn_temporal_shape *s) {
    (void)s;
    return 0;
}

static void temporal_grad_weight(struct snn_device *device, const struct snn_temporal_shape *s, const real *x,
                                 const real *before, const real *gy, real *gw, void *scratch) {
    double n = temporal_numbers(s), weights = (double)s->C * s->taps;
    (void)x, (void)gy, (void)gw, (void)scratch;
    launch(device, "temporal.weigh", NUMBER * (2 * n + temporal_before(s, before) + 2 * weights), 2 * n * s->taps);
}

static const struct snn_conv_kernels conv_table = {conv_scratch,        conv_forward,     conv_grad_input,
                                                   conv_grad_weight,    conv_grad_bias,   temporal,
                                                   temporal_grad_input, temporal_scratch, temporal_grad_weight};

/* ---- delays ---- */

static void delay_build(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_elements *e,
                        real *kernel) {
    double synapses = (double)snn_delay_synapses(s), elements = synapses * s->count;
    (void)kernel;
    launch(device, "delay.make_kernels",
           NUMBER * ((e->width ? 3 : 2) * elements + (2 * s->count - 1) * synapses * s->taps), 6 * elements * s->taps);
}

static void delay_build_grad(struct snn_device *device, const struct snn_delay_shape *s,
                             const struct snn_delay_elements *e, const real *gkernel, real *gweight, real *gposition,
                             real *gwidth) {
    double synapses = (double)snn_delay_synapses(s), elements = synapses * s->count;
    int written = (gweight != NULL) + (gposition != NULL) + (gwidth != NULL);
    (void)gkernel;
    launch(device, "delay.add_element_gradients",
           NUMBER * ((e->width ? 3 : 2) * elements + 2 * written * elements + synapses * s->taps),
           14 * elements * s->taps);
}

static size_t delay_scratch(int threads, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                            enum snn_form x) {
    (void)threads;
    return x == SNN_DENSE ? 0 : (size_t)span->x * (size_t)span->B * (size_t)s->in * sizeof(real);
}

static void delay_expand(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const struct snn_rows *x,
                         real *y) {
    double n = (double)rows, numbers = n * (double)units;
    (void)y;
    if (rows < 1) return;
    if (x->lists.row)
        launch(device, "delay.expand_lists", list_bytes(device, &x->lists, n, (double)units) + NUMBER * numbers, 0);
    else launch(device, "delay.expand_rows", n * row_bytes(x, (double)units) + NUMBER * numbers, 0);
}

/* A product of (rows, k) and (k, n) for every tap and group over the rows that y and x share; or of (m, rows) and
 * (rows, n). */
static void delay_products(struct snn_device *device, const struct snn_delay_shape *s, ptrdiff_t rows, ptrdiff_t others,
                           ptrdiff_t first_shift, ptrdiff_t shift, bool inner, double n, double k) {
    for (int32_t tap = 0; tap < s->taps; ++tap) {
        ptrdiff_t by = first_shift + tap * shift, r0 = by < 0 ? -by : 0, r1 = others - by < rows ? others - by : rows;
        for (int32_t g = 0; g < s->groups && r0 < r1; ++g)
            if (inner) multiply(device, "delay.cublasSgemm", 1, false, n, k, (double)(r1 - r0), true);
            else multiply(device, "delay.cublasSgemm", 1, false, (double)(r1 - r0), n, k, true);
    }
}

static void delay_forward(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                          const struct snn_rows *x, const real *kernel, real *y, void *scratch) {
    ptrdiff_t B = span->B, rows = span->y * B;
    (void)kernel;
    if (snn_rows_form(x) != SNN_DENSE) delay_expand(device, span->x * B, s->in, x, scratch);
    device->memory->zero(device, y, (size_t)(rows * s->out) * sizeof *y);
    delay_products(device, s, rows, span->x * B, (span->before - (s->taps - 1)) * B, B, false, s->out / s->groups,
                   s->in / s->groups);
}

static void delay_grad_input(struct snn_device *device, const struct snn_delay_shape *s,
                             const struct snn_delay_span *span, const real *gy, const real *kernel, bool adds, real *gx,
                             void *scratch) {
    ptrdiff_t B = span->B, rows = (span->x - span->before) * B;
    (void)gy, (void)kernel, (void)scratch;
    if (!adds) device->memory->zero(device, gx, (size_t)(rows * s->in) * sizeof *gx);
    delay_products(device, s, rows, span->y * B, (s->taps - 1) * B, -B, false, s->in / s->groups, s->out / s->groups);
}

static void delay_grad_kernel(struct snn_device *device, const struct snn_delay_shape *s,
                              const struct snn_delay_span *span, const struct snn_rows *x, const real *gy,
                              real *gkernel, void *scratch) {
    ptrdiff_t B = span->B;
    (void)gy, (void)gkernel;
    if (snn_rows_form(x) != SNN_DENSE) delay_expand(device, span->x * B, s->in, x, scratch);
    delay_products(device, s, span->y * B, span->x * B, (span->before - (s->taps - 1)) * B, B, true, s->out / s->groups,
                   s->in / s->groups);
}

static void delay_shift(struct snn_device *device, const struct snn_shift *s, const real *x, const real *delay,
                        real *y) {
    double n = (double)s->T * s->B * s->C * (double)s->inner;
    (void)x, (void)delay, (void)y;
    launch(device, "delay.shift_rows", NUMBER * (2 * n + s->C), 3 * n);
}

static void delay_shift_grad(struct snn_device *device, const struct snn_shift *s, const real *x, const real *delay,
                             const real *gy, bool adds, real *gx, real *gdelay) {
    double n = (double)s->T * s->B * s->C * (double)s->inner;
    (void)x, (void)delay, (void)gy;
    if (gx) launch(device, "delay.shift_rows_back", NUMBER * ((adds ? 3 : 2) * n + s->C), 3 * n);
    if (gdelay) launch(device, "delay.add_delay_gradients", NUMBER * (2 * n + 3 * s->C), 3 * n);
}

static const struct snn_delay_kernels delay_table = {delay_build,   delay_build_grad, delay_scratch,
                                                     delay_forward, delay_grad_input, delay_grad_kernel,
                                                     delay_expand,  delay_shift,      delay_shift_grad};

/* ---- pooling ---- */

static size_t pool_scratch(int threads, const struct snn_pool_shape *s) {
    (void)threads, (void)s;
    return 0;
}

struct windows { /* numbers of all rows on both sides, and taps of all windows */
    double in, out, taps;
};
static struct windows windows_of(const struct snn_pool_shape *s, ptrdiff_t rows) {
    double out = (double)rows * s->C * s->OH * s->OW;
    return (struct windows){(double)rows * s->C * s->H * s->W, out, out * s->kernel[0] * s->kernel[1]};
}

static void pool_forward(struct snn_device *device, const char *kernel, const struct snn_pool_shape *s, ptrdiff_t rows,
                         const struct snn_rows *x, bool chooses, bool counts) {
    struct windows w = windows_of(s, rows);
    if (rows == 0) return;
    double count = counts ? (double)rows * COUNT : 0;
    if (counts) launch(device, "pool.zero_counts", count, 0);
    launch(device, kernel,
           (double)rows * row_bytes(x, w.in / (double)rows) + NUMBER * w.out + (chooses ? CHOICE * w.out : 0) + count,
           w.taps);
}

static void pool_backward(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, bool chooses,
                          bool adds) {
    struct windows w = windows_of(s, rows);
    if (rows == 0) return;
    launch(device, "pool.gather_windows", NUMBER * (w.out + (adds ? 2 : 1) * w.in) + (chooses ? CHOICE * w.out : 0),
           chooses ? w.out : w.taps);
}

static void average(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, int32_t *nonzero, void *scratch) {
    (void)y, (void)scratch;
    pool_forward(device, "pool.average_windows", s, rows, x, false, nonzero != NULL);
}

static void maximum(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const struct snn_rows *x,
                    real *y, uint16_t *choice, int32_t *nonzero, void *scratch) {
    (void)y, (void)scratch;
    pool_forward(device, "pool.maximum_windows", s, rows, x, choice != NULL, nonzero != NULL);
}

static void average_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         bool adds, real *gx) {
    (void)gy, (void)gx;
    pool_backward(device, s, rows, false, adds);
}

static void maximum_grad(struct snn_device *device, const struct snn_pool_shape *s, ptrdiff_t rows, const real *gy,
                         const uint16_t *choice, bool adds, real *gx) {
    (void)gy, (void)choice, (void)gx;
    pool_backward(device, s, rows, true, adds);
}

static const struct snn_pool_kernels pool_table = {pool_scratch, average, average_grad, maximum, maximum_grad};

/* ---- normalisation ---- */

enum { FILLING = 1024, MOST_PARTS = 64, FIGURES = 3, MOST_LINES = 65535 };
enum { FIGURES_ROOM = PARTIALS * (int)(sizeof(double) / sizeof(float)) };

struct share { /* how the elements of a channel are shared by blocks (norm.cu) */
    ptrdiff_t rows, groups, channels, parts, inner;
};

static struct share share_of(const struct snn_norm_shape *s, bool joint) {
    enum { SEGMENT = 1024 };
    struct share k = {
        .rows = joint ? s->T * s->B : s->B, .groups = joint ? 1 : s->T, .channels = s->C, .inner = s->inner};
    ptrdiff_t width = 1, segments = (s->inner + SEGMENT - 1) / SEGMENT, most = (k.rows * segments + WARPS - 1) / WARPS;
    while (width < 32 && width < s->inner) width *= 2;
    ptrdiff_t blocks = (s->C + 32 / width - 1) / (32 / width) * k.groups;
    k.parts = blocks ? FILLING / blocks : 1;
    if (k.parts > most) k.parts = most;
    if (k.parts > MOST_PARTS) k.parts = MOST_PARTS;
    if (k.parts < 1) k.parts = 1;
    return k;
}

/* The two launches that every slice of channels and groups takes: `part` reads `arrays` of elements and leaves figures,
 * `join` puts them together. */
static void add_up_channels(struct snn_device *device, const struct share *k, const char *part, const char *join,
                            int arrays, double operations) {
    ptrdiff_t most = FIGURES_ROOM / FIGURES / k->parts;
    for (ptrdiff_t c = 0, channels; c < k->channels; c += channels) {
        channels = k->channels - c < most ? k->channels - c : most;
        ptrdiff_t abreast = most / channels < MOST_LINES ? most / channels : MOST_LINES;
        for (ptrdiff_t g = 0, groups; g < k->groups; g += groups) {
            groups = k->groups - g < abreast ? k->groups - g : abreast;
            double lines = (double)(groups * channels), figures = lines * (double)(k->parts * FIGURES);
            double n = lines * (double)k->rows * (double)k->inner;
            launch(device, part, NUMBER * (arrays * n + figures), operations * n);
            launch(device, join, NUMBER * (figures + 2 * lines + 4 * (double)channels), figures);
        }
    }
}

static double elements(const struct snn_norm_shape *s) { return (double)s->T * s->B * s->C * (double)s->inner; }

static void batch(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                  const real *b, const uint8_t *mask, real *running_mean, real *running_var, real *saved, real *y) {
    (void)x, (void)w, (void)b, (void)mask, (void)running_mean, (void)running_var, (void)saved, (void)y;
    if (s->T == 0 || s->B == 0) return;
    struct share all = share_of(s, s->joint);
    add_up_channels(device, &all, "norm.part_statistics", "norm.join_statistics", 1, 5);
    launch(device, "norm.normalise", 2 * NUMBER * elements(s), 2 * elements(s));
}

static void batch_eval(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const real *b, const real *running_mean, const real *running_var, real *y) {
    (void)x, (void)w, (void)b, (void)running_mean, (void)running_var, (void)y;
    if (s->T > 0 && s->B > 0) launch(device, "norm.normalise", 2 * NUMBER * elements(s), 2 * elements(s));
}

static void any_grad(struct snn_device *device, const struct snn_norm_shape *s, bool constant, bool adds) {
    if (s->T == 0 || s->B == 0) return;
    struct share all = share_of(s, constant ? !s->step : s->joint);
    add_up_channels(device, &all, "norm.part_gradient", "norm.join_gradient", 2, 4);
    launch(device, "norm.spread_gradient", NUMBER * elements(s) * (2 + !constant + adds),
           elements(s) * ((constant ? 1 : 4) + adds));
}

static void batch_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const uint8_t *mask, const real *saved, const real *gy, real *partial, real *gw, real *gb,
                       bool adds, real *gx) {
    (void)x, (void)w, (void)mask, (void)saved, (void)gy, (void)partial, (void)gw, (void)gb, (void)gx;
    any_grad(device, s, false, adds);
}

static void batch_eval_grad(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                            const real *running_mean, const real *running_var, const real *gy, real *gw, real *gb,
                            bool adds, real *gx) {
    (void)x, (void)w, (void)running_mean, (void)running_var, (void)gy, (void)gw, (void)gb, (void)gx;
    any_grad(device, s, true, adds);
}

static void rows_forward(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                         const real *b, real *saved, real *y) {
    double groups = (double)s->rows * (double)s->groups, n = groups * (double)s->units;
    double parameters = (double)s->groups * (double)s->units / (double)s->inner * ((w != NULL) + (b != NULL));
    (void)x, (void)saved, (void)y;
    if (s->rows > 0)
        launch(device, "norm.normalise_rows", NUMBER * (2 * n + 2 * groups + parameters), (s->centred ? 8 : 4) * n);
}

static void rows_grad(struct snn_device *device, const struct snn_row_norm_shape *s, const real *x, const real *w,
                      const real *saved, const real *gy, real *gw, real *gb, bool adds, real *gx) {
    ptrdiff_t width = s->groups * s->units, learned = gw || gb ? width : 0;
    (void)x, (void)saved, (void)gy, (void)gx;
    if (s->rows == 0) return;
    ptrdiff_t parts = FILLING / ((width + 31) / 32), most = (s->rows + WARPS - 1) / WARPS;
    if (parts > most) parts = most;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    if (parts < 1) parts = 1;
    ptrdiff_t abreast = FIGURES_ROOM / 2 / parts;
    double groups = (double)s->rows * (double)s->groups;
    for (ptrdiff_t first = 0; first < learned; first += abreast) {
        double count = (double)(width - first < abreast ? width - first : abreast), n = (double)s->rows * count;
        double figures = 2 * count * (double)parts, parameters = count / (double)s->inner;
        launch(device, "norm.units_part", NUMBER * (2 * n + 2 * groups + figures), 5 * n);
        launch(device, "norm.units_join", NUMBER * (figures + 2 * parameters * ((gw != NULL) + (gb != NULL))), figures);
    }
    double n = (double)s->rows * (double)width;
    launch(device, "norm.rows_gradient",
           NUMBER * (n * (adds ? 4 : 3) + 2 * groups + (w ? (double)width / (double)s->inner : 0)),
           n * (adds ? 12 : 11));
}

static const struct snn_norm_kernels norm_table = {batch,           batch_eval,   batch_grad,
                                                   batch_eval_grad, rows_forward, rows_grad};

/* ---- joins, factors, clamps ---- */

static void copy_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t from_step,
                      bool adds, real *to, ptrdiff_t to_step) {
    double read = from_step ? (double)rows * (double)n : (double)n, all = (double)rows * (double)n;
    (void)from, (void)to, (void)to_step;
    if (rows >= 1 && n >= 1) launch(device, "mix.copy_numbers", NUMBER * (read + (adds ? 2 : 1) * all), adds ? all : 0);
}

static void clamp_between(struct snn_device *device, ptrdiff_t n, real low, real high, const real *x, real *y) {
    (void)low, (void)high, (void)x, (void)y;
    if (n >= 1) launch(device, "mix.clamp_between", 2 * NUMBER * (double)n, 2 * (double)n);
}

static void clamp_grad(struct snn_device *device, ptrdiff_t n, real low, real high, const real *y, const real *gy,
                       bool adds, real *gx) {
    (void)low, (void)high, (void)y, (void)gy, (void)gx;
    if (n >= 1) launch(device, "mix.clamp_gradient", NUMBER * (double)n * (3 + adds), (double)n * (2 + adds));
}

static void join(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b, real *y) {
    (void)a, (void)b, (void)y;
    if (n >= 1) launch(device, "mix.join_numbers", 3 * NUMBER * (double)n, (double)n * (1 + (how == SNN_JOIN_IAND)));
}

static void join_grad(struct snn_device *device, enum snn_join how, ptrdiff_t n, const real *a, const real *b,
                      const real *gy, bool adds_a, real *ga, bool adds_b, real *gb) {
    int written = (ga ? 1 + adds_a : 0) + (gb ? 1 + adds_b : 0);
    (void)how, (void)a, (void)b, (void)gy;
    if (n >= 1)
        launch(device, "mix.join_numbers_gradient", NUMBER * (double)n * (3 + written), (double)n * (1 + written));
}

static void scale_by(struct snn_device *device, const struct snn_scale_shape *s, const real *factor, const real *x,
                     bool adds, real *y) {
    double n = (double)s->rows * (double)s->units;
    (void)factor, (void)x, (void)y;
    if (s->rows < 1) return;
    launch(device, "mix.apply_factors", NUMBER * (n * (adds ? 3 : 2) + (double)snn_scale_factors(s)), n * (1 + adds));
}

static void scale_grad(struct snn_device *device, const struct snn_scale_shape *s, const real *x, const real *gy,
                       bool adds, real *gfactor) {
    ptrdiff_t factors = snn_scale_factors(s), parts = snn_cuda_scale_parts(s), room = FIGURES_ROOM / parts;
    (void)x, (void)gy, (void)gfactor;
    if (s->rows < 1) return;
    for (ptrdiff_t first = 0; first < factors; first += room) {
        double count = (double)(factors - first < room ? factors - first : room), figures = count * (double)parts;
        double n = count * (double)(s->share_rows * s->share_units);
        launch(device, "mix.part_factors", NUMBER * (2 * n + figures), 2 * n);
        launch(device, "mix.join_factors", NUMBER * (figures + (adds ? 2 : 1) * count), figures);
    }
}

static void mix_steps(struct snn_device *device, const struct snn_steps_shape *s, const real *w, bool transposed,
                      const real *b, const real *x, real *y) {
    (void)w, (void)transposed, (void)x, (void)y;
    if (s->T < 1 || s->n < 1) return;
    if (b) launch(device, "mix.fill_steps", NUMBER * (s->T + (double)s->T * (double)s->n), 0);
    for (ptrdiff_t i = 0; i < s->n; i += MOST_ROWS)
        multiply(device, "mix.cublasSgemm", 1, false, s->T, (double)(s->n - i < MOST_ROWS ? s->n - i : MOST_ROWS), s->T,
                 b != NULL);
}

static void steps_grad(struct snn_device *device, const struct snn_steps_shape *s, const real *x, const real *gy,
                       real *gw, void *scratch) {
    (void)x, (void)gy, (void)gw, (void)scratch;
    if (s->T < 1) return;
    for (ptrdiff_t i = 0; i < s->n; i += MOST_ROWS)
        multiply(device, "mix.cublasSgemm", 1, false, s->T, s->T, (double)(s->n - i < MOST_ROWS ? s->n - i : MOST_ROWS),
                 true);
}

static void mask_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const uint8_t *mask, const real *x,
                      bool adds, real *y) {
    double all = (double)rows * (double)n;
    (void)mask, (void)x, (void)y;
    if (rows >= 1 && n >= 1)
        launch(device, "mix.mask_some_rows", NUMBER * all * (adds ? 3 : 2) + (double)rows, adds ? all : 0);
}

static void lstm(struct snn_device *device, const struct snn_lstm_step *s) {
    double n = (double)s->B * (double)s->n;
    if (s->B >= 1) launch(device, "mix.lstm_forward", NUMBER * n * (s->reset ? 16 : 15), n * 80);
}

static void lstm_grad(struct snn_device *device, const struct snn_lstm_step *s) {
    double n = (double)s->B * (double)s->n;
    int read = 9 + (s->gm_again != NULL) + (s->reset == SNN_LSTM_ZERO);
    if (s->B >= 1) launch(device, "mix.lstm_backward", NUMBER * n * (read + 4), n * 45);
}

static const struct snn_mix_kernels mix_table = {copy_rows,  clamp_between, clamp_grad, join,
                                                 join_grad,  scale_by,      scale_grad, mix_steps,
                                                 steps_grad, mask_rows,     lstm,       lstm_grad};

/* ---- attention ---- */

static void all_products(struct snn_device *device, const struct snn_products *p, const real *a, const real *b,
                         bool adds, real *y) {
    enum { MOST_BATCH = 32768 };
    (void)a, (void)b, (void)y;
    for (ptrdiff_t left = p->count; left > 0; left -= MOST_BATCH)
        multiply(device, "attention.cublasSgemmStridedBatched", left < MOST_BATCH ? (double)left : MOST_BATCH, false,
                 p->m, p->n, p->k, adds);
}

static void pool_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *x, real *mean,
                      real *largest, int32_t *where) {
    double n = (double)rows * (double)units;
    (void)x, (void)mean, (void)largest, (void)where;
    if (rows >= 1) launch(device, "attention.pool_of_rows", NUMBER * n + (2 * NUMBER + COUNT) * (double)rows, 2 * n);
}

static void spread_rows(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const real *gy, const real *share,
                        const real *gmean, const real *glargest, const int32_t *where, bool adds, real *gx) {
    double n = (double)rows * (double)units;
    (void)gy, (void)share, (void)gmean, (void)glargest, (void)where, (void)gx;
    if (rows >= 1)
        launch(device, "attention.spread_over_rows", NUMBER * n * (adds ? 3 : 2) + (3 * NUMBER + COUNT) * (double)rows,
               n * (2 + adds));
}

static void shares(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask, const real *mean,
                   const real *largest, const real *w1, const real *w2, real *hidden, real *share) {
    double rows = (double)s->T * s->B, weights = (double)s->T * s->hidden, inner = 2.0 * s->B * s->hidden;
    (void)mask, (void)mean, (void)largest, (void)w1, (void)w2, (void)hidden, (void)share;
    if (rows > 0)
        launch(device, "attention.shares_of_steps", NUMBER * (3 * rows + 2 * weights + inner), 7 * s->B * weights);
}

static void shares_grad(struct snn_device *device, const struct snn_shares_shape *s, const uint8_t *mask,
                        const real *mean, const real *largest, const real *w1, const real *w2, const real *hidden,
                        const real *share, const real *gshare, real *scratch, real *gw1, real *gw2, real *gmean,
                        real *glargest) {
    double rows = (double)s->T * s->B, weights = (double)s->T * s->hidden, inner = 2.0 * s->B * s->hidden;
    (void)mask, (void)mean, (void)largest, (void)w1, (void)w2, (void)hidden, (void)share, (void)gshare, (void)scratch;
    (void)gmean, (void)glargest;
    if (rows == 0) return;
    launch(device, "attention.shares_gradient", NUMBER * (5 * rows + 2 * weights + 2 * inner), 8 * s->B * weights);
    if (gw1 || gw2)
        launch(device, "attention.shares_weights",
               NUMBER * (3 * rows + 2 * inner + 2 * weights * ((gw1 != NULL) + (gw2 != NULL))), 7 * s->B * weights);
}

static const struct snn_attention_kernels attention_table = {all_products, pool_rows, spread_rows, shares, shares_grad};

/* ---- weights made of parameters ---- */

static void rescale(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g, real *saved,
                    real *y) {
    double n = (double)how->rows * (double)how->n;
    (void)w, (void)g, (void)saved, (void)y;
    launch(device, "weights.rescale_rows", NUMBER * (2 * n + 3.0 * how->rows), (how->centred ? 6 : 4) * n);
}

static void rescale_grad(struct snn_device *device, const struct snn_rescale *how, const real *w, const real *g,
                         const real *saved, const real *gy, real *gw, real *gg) {
    double n = (double)how->rows * (double)how->n;
    (void)w, (void)g, (void)saved, (void)gy;
    if (gw || gg)
        launch(device, "weights.rescale_rows_gradient", NUMBER * ((gw ? 4 : 2) * n + (gg ? 5.0 : 3.0) * how->rows),
               (gw ? 10 : 3) * n);
}

static const struct snn_weights_kernels weights_table = {rescale, rescale_grad};

/* ---- binary weights and activations; a sine with its cosine takes some 30 operations ---- */

static void periodic(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                     const real *w, const real *alpha, real *y) {
    double n = (double)s->rows * (double)s->n;
    (void)frequency, (void)w, (void)y;
    launch(device, "binary.periodic_rows", NUMBER * (2 * n + 1 + (alpha ? s->rows : 0)), 32 * n);
}

static void periodic_grad(struct snn_device *device, const struct snn_periodic_shape *s, const real *frequency,
                          const real *w, const real *alpha, const real *gy, real *gw, real *galpha) {
    double n = (double)s->rows * (double)s->n, rows = (alpha ? 1.0 : 0) + (galpha ? 2.0 : 0);
    (void)frequency, (void)w, (void)gy;
    if (gw || galpha)
        launch(device, "binary.periodic_rows_gradient", NUMBER * ((gw ? 4 : 2) * n + 1 + rows * s->rows),
               (gw ? 36 : 33) * n);
}

static void sign(struct snn_device *device, const struct snn_sign_shape *s, const real *x, real *saved, real *y) {
    double n = (double)s->rows * (double)s->n;
    (void)x, (void)saved, (void)y;
    if (s->rows)
        launch(device, "binary.sign_rows", NUMBER * (2 * n + (s->scaled ? (double)s->rows : 0)),
               (s->scaled ? 6 : 1) * n);
}

static void sign_grad(struct snn_device *device, const struct snn_sign_shape *s, const real *x, const real *saved,
                      const real *gy, bool adds, real *gx) {
    double n = (double)s->rows * (double)s->n;
    (void)x, (void)saved, (void)gy, (void)gx;
    if (s->rows)
        launch(device, "binary.sign_rows_gradient", NUMBER * ((adds ? 4 : 3) * n + (s->scaled ? (double)s->rows : 0)),
               (s->scaled ? 14 : 4) * n);
}

static const struct snn_binary_kernels binary_table = {periodic, periodic_grad, sign, sign_grad};

/* ---- loss: in double, a small part of a step ---- */

static void evaluate(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss, real *gradient,
                     double *scratch) {
    double n = (double)call->T * call->B * call->C;
    (void)sample_loss, (void)scratch;
    if (call->B == 0) return;
    launch(device, "loss.evaluate_samples",
           NUMBER * n * (gradient ? 2 : 1) + (double)call->B * (sizeof(double) + COUNT) +
               (call->target ? (double)(call->target_stride ? call->T : 1) * call->B * call->C * sizeof(float) : 0),
           n * call->loss->terms * (gradient ? 4 : 2));
}

static void add_losses(struct snn_device *device, int32_t B, const double *sample_loss, double *loss) {
    (void)sample_loss, (void)loss;
    if (B == 0) return;
    launch(device, "loss.sum_losses", (double)B * sizeof(double), B);
}

static void count_correct(struct snn_device *device, const struct snn_loss_call *call, enum snn_decide how,
                          double *running, int64_t *correct, double *scratch) {
    double samples = (double)call->B * call->C, n = call->T * samples;
    (void)how, (void)correct, (void)scratch;
    if (call->B == 0) return;
    launch(device, "loss.decide_samples",
           NUMBER * n + (double)call->B * COUNT + (running ? 2 * samples * sizeof(double) : 0), n);
}

static const struct snn_loss_kernels loss_table = {evaluate, add_losses, count_correct};

/* ---- regularisers: spikes are read once and a gradient is added to; the rest is a number a sample and neuron ---- */

static void regular_count(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const struct snn_rows *x,
                          const uint8_t *mask, real *count) {
    double rows = (double)T * B, n = (double)B * (double)N;
    (void)mask, (void)count;
    if (n < 1) return;
    launch(device, "regular.count_spikes", rows * row_bytes(x, (double)N) + NUMBER * n, rows * (double)N);
}

static void regular_penalise(struct snn_device *device, const struct snn_penalty *p, const real *count, double *sample,
                             bool adds, real *slope) {
    double n = (double)p->B * p->groups * p->size;
    (void)count, (void)sample, (void)slope;
    if (p->B < 1) return;
    launch(device, "regular.penalise_counts", NUMBER * n * (adds ? 3 : 2) + 2.0 * p->B * sizeof(double), 2 * n);
}

static void regular_total(struct snn_device *device, int32_t B, ptrdiff_t N, const real *count, double factor,
                          bool adds, real *total) {
    (void)count, (void)factor, (void)total;
    if (B < 1) return;
    launch(device, "regular.total_counts", NUMBER * (double)B * ((double)N + (adds ? 2 : 1)), (double)B * (double)N);
}

static void regular_spread(struct snn_device *device, int32_t B, ptrdiff_t N, const real *total_slope, double factor,
                           bool adds, real *slope) {
    double n = (double)B * (double)N;
    (void)total_slope, (void)factor, (void)slope;
    if (n < 1) return;
    launch(device, "regular.spread_slope", NUMBER * (n * (adds ? 2 : 1) + B), n);
}

static void regular_push(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const real *slope,
                         const uint8_t *mask, bool adds, real *g) {
    double n = (double)T * B * (double)N;
    (void)slope, (void)mask, (void)g;
    if (n < 1) return;
    launch(device, "regular.push_slopes", NUMBER * (n * (adds ? 2 : 1) + (double)B * (double)N), adds ? n : 0);
}

static void regular_weigh(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n,
                          const real *w, double factor, double *sum) {
    enum { WEIGH_BLOCKS = 1024 };
    (void)kind, (void)omega, (void)w, (void)factor, (void)sum;
    if (n < 1) return;
    double blocks = (double)((n + BLOCK - 1) / BLOCK);
    if (blocks > WEIGH_BLOCKS) blocks = WEIGH_BLOCKS;
    launch(device, "regular.weigh_numbers", NUMBER * (double)n + blocks * sizeof(double), 2 * (double)n);
    launch(device, "regular.add_weighed", (blocks + 2) * sizeof(double), blocks);
}

static void regular_weigh_grad(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n,
                               const real *w, double factor, const double *scale, real *g) {
    (void)kind, (void)omega, (void)w, (void)factor, (void)scale, (void)g;
    if (n > 0) launch(device, "regular.add_weight_slopes", 3 * NUMBER * (double)n, 2 * (double)n);
}

static const struct snn_regular_kernels regular_table = {
    regular_count, regular_penalise, regular_total, regular_spread, regular_push, regular_weigh, regular_weigh_grad};

/* ---- neurons ---- */

/* Planes of membranes, states and noise that a scan keeps. */
static double kept_planes(const struct snn_scan *s) {
    double planes = s->late ? 1 : 0;
    planes += s->noise ? 1 : 0;
    for (int j = 0; j < SNN_CELL_STATES; ++j) planes += s->h[j] ? 1 : 0;
    return planes;
}

static void scan_forward(struct snn_device *device, const struct snn_scan *s) {
    double state = (double)s->B * (double)s->N, steps = s->to - s->from, all = steps * state;
    int states = snn_cell_shapes[s->spec->cell].states;
    if (s->B < 1 || s->N < 1) return;
    double numbers = (s->x_step ? all : state) + kept_planes(s) * all + (s->y ? all : 0) +
                     states * ((s->state_in ? state : 0) + (s->state_out ? state : 0));
    double bits = s->bits ? steps * s->B * s->words * WORD : 0;
    launch(device, "neuron.scan_forward", NUMBER * numbers + bits,
           (2 + 2 * states) * all); /* fire and reset; charges */
}

static void scan_backward(struct snn_device *device, const struct snn_scan *s) {
    double state = (double)s->B * (double)s->N, all = (s->to - s->from) * state;
    const struct snn_cell_shape *shape = &snn_cell_shapes[s->spec->cell];
    if (s->B < 1 || s->N < 1) return;
    double gx = s->gx ? (s->x_step ? all : state) * (s->adds ? 2 : 1) : 0;
    double carried = shape->states * ((s->gstate_in ? state : 0) + (s->gstate_out ? state : 0));
    double sums = s->gcoef ? 2 * __builtin_popcount(s->wanted) * state : 0, x = s->x ? s->x_step ? all : state : 0;
    double numbers = (1 + kept_planes(s) + (s->gstep ? 1 : 0)) * all + gx + x + carried + sums;
    /* surrogate 3, adjoint 3, carry and drive 2 a state; with sums a product and an addition a coefficient */
    launch(device, "neuron.scan_backward", NUMBER * numbers,
           (6 + 2 * shape->states + (s->gcoef ? 2 * shape->coefs : 0)) * all);
}

/* Ten rounds of 8 operations for four numbers, two logarithms of 15 each */
static void draw(struct snn_device *device, const struct snn_noise *noise, real *out) {
    double all = (double)noise->T * noise->B * (double)noise->N;
    (void)out;
    if (all >= 1) launch(device, "neuron.draw_noise", NUMBER * all, 55 * all);
}

static void count(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero) {
    (void)bits, (void)nonzero;
    if (rows >= 1) launch(device, "neuron.count_bits", (double)rows * ((double)words * WORD + COUNT), 0);
}

static void coefficients(struct snn_device *device, const struct snn_coef_learned *how, const real *w, real *out) {
    (void)w, (void)out;
    launch(device, "neuron.make_coefficients", 2 * NUMBER * (double)how->count, 3 * (double)how->count);
}

static void coefficients_grad(struct snn_device *device, const struct snn_coef_learned *how, int32_t B, ptrdiff_t N,
                              const real *w, const real *gcoef, real *gw) {
    (void)w, (void)gcoef, (void)gw;
    double terms = (double)B * (double)N;
    launch(device, "neuron.add_coefficients_grad", NUMBER * (terms + 3 * (double)how->count), terms);
}

static void zero_diagonal(struct snn_device *device, ptrdiff_t n, real *w) {
    (void)w;
    launch(device, "neuron.clear_diagonal", NUMBER * (double)n, 0);
}

/* Bytes of n spikes in each of `rows`. */
static double heard(const struct snn_rows *s, ptrdiff_t rows, ptrdiff_t n) {
    return (double)rows * (s->bits ? WORD * (double)s->words : NUMBER * (double)n);
}

static void itself(struct snn_device *device, int32_t B, ptrdiff_t n, const struct snn_rows *s, const real *w,
                   const real *x, real *out) {
    double all = (double)B * (double)n;
    (void)w, (void)x, (void)out;
    if (all >= 1) launch(device, "neuron.hear_itself", NUMBER * (2 * all + (double)n) + heard(s, B, n), 2 * all);
}

static void itself_grad_input(struct snn_device *device, int32_t B, ptrdiff_t n, const real *w, const real *g,
                              real *gs) {
    double all = (double)B * (double)n;
    (void)w, (void)g, (void)gs;
    if (all >= 1) launch(device, "neuron.hear_itself_back", NUMBER * (3 * all + (double)n), 2 * all);
}

static void itself_grad_weight(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const struct snn_rows *s,
                               const real *g, real *gw) {
    double all = (double)rows * (double)n;
    (void)g, (void)gw;
    if (all >= 1)
        launch(device, "neuron.hear_itself_weights", NUMBER * (all + 2 * (double)n) + heard(s, rows, n), 2 * all);
}

static const struct snn_neuron_kernels neuron_table = {scan_forward,      scan_backward,     draw,          count,
                                                       coefficients,      coefficients_grad, zero_diagonal, itself,
                                                       itself_grad_input, itself_grad_weight};

/* ---- soft neurons: an exponential is counted as 15 operations, a logarithm as 15, a quotient as 1 ---- */

enum { LSE_TWO = 35, LSE_THREE = 60, FIRE = 22 };

static bool couples(const struct snn_ultra_spec *spec) {
    return spec->charge == SNN_ULTRA_DILATE || spec->charge == SNN_ULTRA_SPREAD;
}

static ptrdiff_t ultra_scratch(int threads, const struct snn_ultra_spec *spec, int32_t B, ptrdiff_t N) {
    (void)threads;
    return couples(spec) ? 5 * snn_ultra_items(spec, B, N) * snn_ultra_item(spec, N) : 0;
}

/* Of one unit and step: its charge and what fires, its spike and reset. */
static double ultra_operations(const struct snn_ultra_spec *spec) {
    double reset = spec->reset == SNN_ULTRA_EXCESS ? LSE_TWO : 3;
    if (spec->hard) return 8;
    return FIRE + reset + (couples(spec) ? LSE_THREE : spec->charge == SNN_ULTRA_MAXIMUM ? LSE_TWO : 2);
}

static void ultra_forward(struct snn_device *device, const struct snn_ultra_scan *s) {
    double state = (double)s->B * (double)s->N, all = s->T * state;
    if (s->B < 1 || s->N < 1) return;
    bool rows = couples(s->spec);
    double numbers = (s->x_step ? all : state) +
                     (s->u_step ? all
                      : rows    ? state
                                : 0) +
                     (s->y ? all : 0) + (s->state_in ? state : 0) + state;
    launch(device, rows ? "ultra.scan_rows" : "ultra.scan_apart",
           NUMBER * numbers + (s->bits ? (double)s->T * s->B * s->words * WORD : 0), ultra_operations(s->spec) * all);
}

static void ultra_backward(struct snn_device *device, const struct snn_ultra_scan *s) {
    double state = (double)s->B * (double)s->N, all = s->T * state;
    if (s->B < 1 || s->N < 1) return;
    double gx = s->gx ? (s->x_step ? all : state) * (s->adds ? 2 : 1) : 0;
    double x = s->spec->charge == SNN_ULTRA_MAXIMUM ? s->x_step ? all : state : 0;
    double sums = s->partial ? SNN_ULTRA_SUMS * sizeof(double) * (double)snn_ultra_items(s->spec, s->B, s->N) : 0;
    double rows = couples(s->spec) ? 5 * state : 0;
    launch(device,
           couples(s->spec) ? "ultra.scan_rows_backward"
           : s->partial     ? "ultra.scan_apart_backward_sums"
                            : "ultra.scan_apart_backward",
           NUMBER * (2 * all + gx + x + rows + (s->state_in ? state : 0)) + sums,
           (ultra_operations(s->spec) + FIRE + 20) * all);
}

static void ultra_numbers_of(struct snn_device *device, const struct snn_ultra_learned *learned,
                             struct snn_ultra *out) {
    (void)learned, (void)out;
    launch(device, "ultra.make_numbers", 20 * NUMBER, 60);
}

static void ultra_grad(struct snn_device *device, const struct snn_ultra_learned *learned, const struct snn_ultra *k,
                       const double *partial, ptrdiff_t items) {
    (void)learned, (void)k, (void)partial;
    launch(device, "ultra.add_grad", SNN_ULTRA_SUMS * sizeof(double) * (double)items + 20 * NUMBER,
           SNN_ULTRA_SUMS * (double)items);
}

static const struct snn_ultra_kernels ultra_table = {ultra_scratch, ultra_forward, ultra_backward, ultra_numbers_of,
                                                     ultra_grad};

/* ---- optimiser ---- */

static void step(struct snn_device *device, int rule, ptrdiff_t n, real *restrict value, const real *restrict grad,
                 real *const slot[3], const real *scalar, const struct snn_gate *gate) {
    static const struct {
        const char *kernel;
        int states;
    } rules[] = {
#define ROW(name, states) {"optim.step_" #name, states},
        SNN_OPTIM_RULES(ROW)
#undef ROW
    };
    (void)value, (void)grad, (void)slot, (void)scalar, (void)gate;
    if (n < 1 || rule < 0 || rule >= SNN_RULE_COUNT) return;
    launch(device, rules[rule].kernel, NUMBER * (double)n * (3 + 2 * rules[rule].states),
           (double)n * (2 + 4 * rules[rule].states));
}

static void sum_of_squares(struct snn_device *device, ptrdiff_t n, const real *grad, double *out) {
    enum { SQUARE_BLOCKS = 1024 };
    ptrdiff_t blocks = (n + BLOCK - 1) / BLOCK;
    (void)grad, (void)out;
    if (blocks < 1) blocks = 1;
    if (blocks > SQUARE_BLOCKS) blocks = SQUARE_BLOCKS;
    double partial = (double)blocks * sizeof(double);
    launch(device, "optim.add_squares", NUMBER * (double)n + partial, 2 * (double)n);
    launch(device, "optim.add_partials", partial + sizeof(double), (double)blocks);
}

static void gate(struct snn_device *device, int n, const double *squares, double max_norm, const double *loss,
                 const uint32_t *clock, struct snn_gate *out) {
    (void)squares, (void)max_norm, (void)loss, (void)clock, (void)out;
    launch(device, "optim.close_gate", n * sizeof(double) + sizeof *out, n);
}

/* Most steps are not clipped: the kernel looks at the factor and ends. */
static void scale(struct snn_device *device, ptrdiff_t n, real *grad, const struct snn_gate *gate) {
    (void)grad, (void)gate;
    if (n >= 1) launch(device, "optim.scale_numbers", NUMBER, 0);
}

static void clamp(struct snn_device *device, ptrdiff_t n, real low, real high, real *value,
                  const struct snn_gate *gate) {
    (void)low, (void)high, (void)value;
    if (n >= 1) launch(device, "optim.clamp_numbers", 2 * NUMBER * (double)n + sizeof *gate, 0);
}

static const struct snn_optim_kernels optim_table = {step, sum_of_squares, gate, scale, clamp};

/* ---- opening ---- */

static void close_counter(struct snn_device *device) {
    struct counter *c = counter_of(device);
    for (int i = 0; i < c->regions; ++i) munmap(c->region[i].memory, c->region[i].bytes);
    free(c->costs->cost);
    c->costs->cost = NULL, c->costs->count = c->costs->room = 0;
    free(c->region);
    free(c);
}

int snn_cuda_cost_open(struct snn_costs *costs, struct snn_device *out) {
    enum { STEPS_AHEAD = 32 };
    if (sizeof(real) != sizeof(float)) return snn_error(SNN_EUSAGE, "gradients are checked in double, on the CPU");
    struct counter *c = calloc(1, sizeof *c);
    if (!c) return snn_error(SNN_EFAIL, "out of memory");
    c->costs = costs;
    costs->cost = NULL, costs->count = costs->room = 0, costs->graphs = 0;
    *out = (struct snn_device){.name = "cuda",
                               .variant = "counted",
                               .threads = 1,
                               .interval = STEPS_AHEAD,
                               .backend = c,
                               .close = close_counter,
                               .memory = &memory_table,
                               .math = &math_table,
                               .conv = &conv_table,
                               .delay = &delay_table,
                               .pool = &pool_table,
                               .norm = &norm_table,
                               .weights = &weights_table,
                               .binary = &binary_table,
                               .mix = &mix_table,
                               .attention = &attention_table,
                               .loss = &loss_table,
                               .regular = &regular_table,
                               .neuron = &neuron_table,
                               .ultra = &ultra_table,
                               .optim = &optim_table};
    return SNN_OK;
}
