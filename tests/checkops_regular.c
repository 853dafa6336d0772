/* SPDX-License-Identifier: Apache-2.0
 * checkops_regular.c - what spikes and weights cost (autograd/regular.h). */
#include "checkops.h"

#include "autograd/regular.h"

static const struct { int32_t T, B, N; } shapes[] = {{1, 1, 1}, {4, 3, 10}, {7, 5, 64}, {3, 2, 129}, {9, 1, 300}};

/* The largest batch is not the one that has most steps: rows of (t,b) with a share of 1s. */
static const uint8_t *mask_of(struct ops *ops, int shape, bool masked) {
    if (!masked) return NULL;
    ptrdiff_t rows = (ptrdiff_t)shapes[shape].T * shapes[shape].B;
    uint8_t *mask = ops_input(ops, rows, sizeof *mask);
    for (ptrdiff_t r = 0; r < rows; ++r) mask[r] = ops_below(ops, 3) > 0;
    return mask;
}

/* ---- count ---- */

struct count {
    int32_t T, B;
    ptrdiff_t N;
    struct snn_rows rows;
    const uint8_t *mask;
    real *count;
};

static void call_count(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct count *c = argument;
    (void)ops;
    device->regular->count(device, c->T, c->B, c->N, &c->rows, c->mask, c->count);
}

static void check_count(struct ops *ops) {
    for (int k = 0; k < 2 * 4 * OPS_COUNT(shapes); ++k) {
        int shape = k / 8;
        double density = ops_densities[k / 2 % 4];
        struct count c = {.T = shapes[shape].T, .B = shapes[shape].B, .N = shapes[shape].N};
        ops_begin(ops, "T %d, B %d, N %d, density %g, masked %d", c.T, c.B, (int)c.N, density, k % 2);
        struct ops_rows x = ops_rows(ops, (ptrdiff_t)c.T * c.B, c.N, density);
        c.rows = x.rows, c.mask = mask_of(ops, shape, k % 2);
        c.count = ops_output(ops, c.B * c.N, sizeof *c.count);
        struct ops_sum *sums = ops_memory(ops, c.B * c.N, sizeof *sums);
        for (int32_t t = 0; t < c.T; ++t)
            for (ptrdiff_t i = 0; i < c.B * c.N; ++i)
                if (!c.mask || c.mask[t * c.B + i / c.N]) ops_term(&sums[i], x.dense[t * c.B * c.N + i]);
        ops_expect_sums(ops, c.count, sums);
        ops_run(ops, call_count, &c);
    }
}

/* ---- penalise ---- */

struct penalise {
    struct snn_penalty p;
    const real *count;
    double *sample;
    bool adds;
    real *slope;
};

static void call_penalise(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct penalise *c = argument;
    (void)ops;
    device->regular->penalise(device, &c->p, c->count, c->sample, c->adds, c->slope);
}

/* f of a group's mean x, and its derivative. */
static wide cost_of(const struct snn_penalty *p, wide x, wide *slope) {
    wide d = x - (wide)p->bound;
    if ((p->side == SNN_SIDE_ABOVE && d < 0) || (p->side == SNN_SIDE_BELOW && d > 0)) d = 0;
    if (p->distance == SNN_DISTANCE_L1) {
        *slope = d == 0 ? 0 : d > 0 ? 1 : -1;
        return fabsl(d);
    }
    bool far = p->distance == SNN_DISTANCE_HUBER && fabsl(d) >= 1;
    wide square = p->distance == SNN_DISTANCE_L2 ? 1 : 0.5L;
    *slope = far ? (d > 0 ? 1 : -1) : 2 * square * d;
    return far ? fabsl(d) - 0.5L : square * d * d;
}

static void penalise_case(struct ops *ops, const struct snn_penalty *penalty, bool lengths, bool adds) {
    struct penalise c = {.p = *penalty, .adds = adds};
    struct snn_penalty *p = &c.p;
    ptrdiff_t N = (ptrdiff_t)p->groups * p->size;
    ops_begin(ops, "B %d, groups %d of %d, side %d, distance %d, rate %d, lengths %d, adds %d", p->B, p->groups,
              p->size, (int)p->side, (int)p->distance, p->rate, lengths, adds);
    real *count = ops_input(ops, p->B * N, sizeof *count);
    for (ptrdiff_t i = 0; i < p->B * N; ++i) count[i] = (real)ops_below(ops, 8) + (real)ops_unit(ops) / 4;
    double *scale = ops_input(ops, 1, sizeof *scale);
    *scale = 0.25, p->scale = scale;
    int32_t *length = ops_input(ops, p->B, sizeof *length);
    for (int32_t b = 0; b < p->B; ++b) length[b] = 1 + (int32_t)ops_below(ops, (uint32_t)p->steps);
    p->length = lengths ? length : NULL;
    c.count = count;
    c.sample = ops_output(ops, p->B, sizeof *c.sample), c.slope = ops_output(ops, p->B * N, sizeof *c.slope);
    struct ops_sum *sample = ops_memory(ops, p->B, sizeof *sample), *slope = ops_memory(ops, p->B * N, sizeof *slope);
    for (int32_t b = 0; b < p->B; ++b) {
        c.sample[b] = ops_unit(ops);
        ops_term(&sample[b], c.sample[b]);
        sample[b].n += N, sample[b].terms += 100 * p->factor;
        wide steps = !p->rate ? 1 : (lengths ? length[b] : p->steps) + p->appended;
        for (int32_t g = 0; g < p->groups; ++g) {
            wide x = 0, d;
            for (int32_t i = 0; i < p->size; ++i) x += count[b * N + g * p->size + i];
            ops_term(&sample[b], (wide)p->factor * cost_of(p, x / p->size / steps, &d));
            for (int32_t i = 0; i < p->size; ++i) {
                ptrdiff_t at = b * N + g * p->size + i;
                if (adds) c.slope[at] = (real)ops_unit(ops), ops_term(&slope[at], c.slope[at]);
                ops_term(&slope[at], 0.25L * (wide)p->factor * d / p->size / steps);
                slope[at].terms += 0.01L * (wide)p->factor; /* of a difference that nearly vanishes */
            }
        }
    }
    ops_expect_double_sums(ops, c.sample, sample, DBL_EPSILON);
    ops_expect_sums(ops, c.slope, slope);
    ops_run(ops, call_penalise, &c);
}

static void check_penalise(struct ops *ops) {
    static const int32_t of[][3] = {{1, 1, 1}, {3, 10, 1}, {2, 300, 1}, {4, 5, 13}, {2, 1, 700}, {3, 3, 64}};
    for (int k = 0; k < 3 * 3 * 2 * OPS_COUNT(of); ++k) {
        const int32_t *shape = of[k / 18];
        struct snn_penalty p = {
            .B = shape[0], .groups = shape[1], .size = shape[2], .steps = 6, .appended = 2, .bound = 3, .factor = 1.5};
        p.side = (enum snn_side)(k % 3), p.distance = (enum snn_distance)(k / 3 % 3), p.rate = k / 9 % 2;
        if (p.rate) p.bound = 0.6;
        for (int option = 0; option < 4; ++option) penalise_case(ops, &p, option & 1, option & 2);
    }
}

/* ---- total, spread ---- */

struct total {
    int32_t B;
    ptrdiff_t N;
    const real *from;
    bool adds;
    real *to;
};

static void call_total(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct total *c = argument;
    (void)ops;
    device->regular->total(device, c->B, c->N, c->from, 12.5, c->adds, c->to);
}
static void call_spread(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct total *c = argument;
    (void)ops;
    device->regular->spread(device, c->B, c->N, c->from, 12.5, c->adds, c->to);
}

static void total_case(struct ops *ops, int shape, bool adds, bool spread) {
    struct total c = {.B = shapes[shape].B, .N = shapes[shape].N, .adds = adds};
    ops_begin(ops, "B %d, N %d, adds %d", c.B, (int)c.N, adds);
    ptrdiff_t n = c.B * c.N, outputs = spread ? n : c.B;
    real *from = ops_reals(ops, spread ? c.B : n);
    c.from = from, c.to = ops_output(ops, outputs, sizeof *c.to);
    struct ops_sum *sums = ops_memory(ops, outputs, sizeof *sums);
    for (ptrdiff_t k = 0; adds && k < outputs; ++k) c.to[k] = (real)ops_unit(ops), ops_term(&sums[k], c.to[k]);
    for (ptrdiff_t k = 0; k < n; ++k) ops_term(&sums[spread ? k : k / c.N], 12.5L * (wide)from[spread ? k / c.N : k]);
    ops_expect_sums(ops, c.to, sums);
    ops_run(ops, spread ? call_spread : call_total, &c);
}

static void check_total(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(shapes); ++k) total_case(ops, k / 2, k % 2, false);
}
static void check_spread(struct ops *ops) {
    for (int k = 0; k < 2 * OPS_COUNT(shapes); ++k) total_case(ops, k / 2, k % 2, true);
}

/* ---- push ---- */

struct push {
    int32_t T, B;
    ptrdiff_t N;
    const real *slope;
    const uint8_t *mask;
    bool adds;
    real *g;
};

static void call_push(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct push *c = argument;
    (void)ops;
    device->regular->push(device, c->T, c->B, c->N, c->slope, c->mask, c->adds, c->g);
}

static void check_push(struct ops *ops) {
    for (int k = 0; k < 4 * OPS_COUNT(shapes); ++k) {
        int shape = k / 4;
        struct push c = {.T = shapes[shape].T, .B = shapes[shape].B, .N = shapes[shape].N, .adds = k % 2};
        ops_begin(ops, "T %d, B %d, N %d, adds %d, masked %d", c.T, c.B, (int)c.N, c.adds, k / 2 % 2);
        ptrdiff_t n = c.B * c.N;
        c.slope = ops_reals(ops, n), c.mask = mask_of(ops, shape, k / 2 % 2);
        c.g = ops_output(ops, c.T * n, sizeof *c.g);
        real *expected = ops_memory(ops, c.T * n, sizeof *expected);
        for (ptrdiff_t i = 0; i < c.T * n; ++i) {
            bool counts = !c.mask || c.mask[i / c.N];
            if (c.adds) c.g[i] = (real)ops_unit(ops);
            expected[i] = c.adds ? counts ? c.g[i] + c.slope[i % n] : c.g[i] : counts ? c.slope[i % n] : 0;
        }
        ops_expect(ops, c.g, expected);
        ops_run(ops, call_push, &c);
    }
}

/* ---- weights ---- */

struct weigh {
    enum snn_weight_penalty kind;
    ptrdiff_t n;
    const real *w;
    const double *scale;
    double *sum;
    real *g;
};
enum { OMEGA = 20 };

static void call_weigh(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct weigh *c = argument;
    (void)ops;
    device->regular->weigh(device, c->kind, OMEGA, c->n, c->w, 0.5, c->sum);
}
static void call_weigh_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct weigh *c = argument;
    (void)ops;
    device->regular->weigh_grad(device, c->kind, OMEGA, c->n, c->w, 0.5, c->scale, c->g);
}

static void weigh_case(struct ops *ops, enum snn_weight_penalty kind, ptrdiff_t n, bool gradient) {
    struct weigh c = {.kind = kind, .n = n};
    ops_begin(ops, "kind %d, n %d", (int)kind, (int)n);
    c.w = ops_reals(ops, n);
    double *scale = ops_input(ops, 1, sizeof *scale);
    *scale = 0.125, c.scale = scale;
    if (gradient) c.g = ops_output(ops, n, sizeof *c.g);
    else c.sum = ops_output(ops, 1, sizeof *c.sum), *c.sum = 3;
    struct ops_sum *sums = ops_memory(ops, gradient ? n : 1, sizeof *sums);
    if (!gradient) ops_term(sums, 3);
    for (ptrdiff_t i = 0; i < n; ++i) {
        wide w = c.w[i], sine = sinl(OMEGA * w), f, slope;
        f = kind == SNN_WEIGHT_L1 ? fabsl(w) : kind == SNN_WEIGHT_L2 ? w * w : sine * sine;
        slope = kind == SNN_WEIGHT_L1 ? (w > 0) - (w < 0) : kind == SNN_WEIGHT_L2 ? 2 * w : OMEGA * sinl(2 * OMEGA * w);
        if (!gradient) ops_term(sums, 0.5L * f);
        if (!gradient) continue;
        c.g[i] = (real)ops_unit(ops);
        ops_term(&sums[i], c.g[i]), ops_term(&sums[i], 0.0625L * slope);
        /* where the sine vanishes, and what rounding the angle does */
        sums[i].terms += kind == SNN_WEIGHT_PERIODIC ? 0.0625L * OMEGA * (1 + 2 * OMEGA * fabsl(w)) : 0;
    }
    if (gradient) ops_expect_sums(ops, c.g, sums);
    else {
        sums->terms += (wide)n; /* each to real's digits, as cosines are */
        ops_expect_double_sums(ops, c.sum, sums, OPS_EPS);
    }
    ops_run(ops, gradient ? call_weigh_grad : call_weigh, &c);
}

static const ptrdiff_t weights[] = {1, 7, 500, 40000};
static void check_weigh(struct ops *ops) {
    for (int k = 0; k < 3 * OPS_COUNT(weights); ++k)
        weigh_case(ops, (enum snn_weight_penalty)(k % 3), weights[k / 3], false);
}
static void check_weigh_grad(struct ops *ops) {
    for (int k = 0; k < 3 * OPS_COUNT(weights); ++k)
        weigh_case(ops, (enum snn_weight_penalty)(k % 3), weights[k / 3], true);
}

#define CASES(X) X(count) X(penalise) X(total) X(spread) X(push) X(weigh) X(weigh_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_regular_kernels, name)
OPS_TABLE(snn_regular_kernels, CASES)
OPS_TCASE(regular)
