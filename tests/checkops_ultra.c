/* SPDX-License-Identifier: Apache-2.0
 * checkops_ultra.c - the scan of soft spiking layers (layers/ultra.h) to the bit: one step after another over a whole
 * row here, as neurons/ultra.h defines them. That algebra itself is held to formulas in test_ultra.c. */
#include "checkops.h"

#include "layers/ultra.h"

struct ultra_case {
    struct snn_ultra_spec spec;
    int32_t T, B;
    ptrdiff_t N;
    bool is_static, carried, keeps, in_place, adds, partial, leak, wants_y;
    int32_t cut; /* steps of a cut; 0: all at once */
};

struct call {
    struct snn_ultra_scan s;
    int32_t cut;
    bool gy_is_gx;
};

static struct snn_ultra random_numbers(struct ops *ops, const struct snn_ultra_spec *spec) {
    static const double epsilons[] = {1, 0.3, 0.1, 1e-3};
    double eps = epsilons[ops_below(ops, 4)];
    struct snn_ultra k = {.tau = (real)0.9, .offset = (real)-0.1053605, .eps = (real)eps, .rate = (real)(1 / eps)};
    k.theta = (real)(0.25 * ops_below(ops, 4)), k.slope = ops_below(ops, 2) ? k.rate : (real)3;
    k.v_reset = spec->reset == SNN_ULTRA_VALUE && ops_below(ops, 2) ? (real)-0.25 : 0;
    return k;
}

/* ---- the reference ---- */

struct trace { /* (T,B,N) */
    real *u, *m, *s, *v;
};

static ptrdiff_t beside(const struct snn_ultra_scan *s, ptrdiff_t i, int by) {
    ptrdiff_t ring = s->spec->ring, at = i % ring;
    return i - at + (at + ring + by) % ring;
}

/* The largest or soft maximum of a unit of `row` and its neighbours. */
static real around(const struct snn_ultra_scan *s, const real *row, ptrdiff_t i) {
    real l = row[beside(s, i, -1)], c = row[i], r = row[beside(s, i, 1)];
    if (!s->spec->hard) return ultra_three(s->numbers, l, c, r).soft;
    return l > c ? (l > r ? l : r) : (c > r ? c : r);
}

static real charged(const struct snn_ultra_scan *s, const real *v, ptrdiff_t i, real x) {
    const struct snn_ultra *k = s->numbers;
    real leaked = v[i] + k->offset;
    switch (s->spec->charge) {
    case SNN_ULTRA_MAXIMUM:
        if (s->spec->hard) return leaked > x ? leaked : x;
        return ultra_two(k, leaked, x).soft;
    case SNN_ULTRA_DILATE:
        return around(s, v, i) + x;
    default:
        return k->tau * v[i] + x;
    }
}

static real after(const struct snn_ultra_scan *s, real u, real m, real *spike) {
    const struct snn_ultra *k = s->numbers;
    if (!s->spec->hard) {
        struct snn_ultra_spike all = ultra_fire(k, m);
        *spike = all.s;
        return ultra_reset(k, s->spec->reset, u, m, &all);
    }
    *spike = m >= k->theta;
    if (*spike == 0) return u;
    return s->spec->reset == SNN_ULTRA_VALUE      ? k->v_reset
           : s->spec->reset == SNN_ULTRA_SUBTRACT ? u - k->theta
                                                  : u - (m - k->theta);
}

static void initial(const struct snn_ultra_scan *s, ptrdiff_t at, real *v) {
    for (ptrdiff_t i = 0; i < s->N; ++i) v[i] = s->state_in ? s->state_in[at + i] : 0;
}

static void row_forward(const struct snn_ultra_scan *s, int32_t b, real *state, const struct trace *out) {
    ptrdiff_t at = b * s->N, step = s->B * s->N;
    initial(s, at, state);
    for (int32_t t = 0; t < s->T; ++t) {
        ptrdiff_t to = t * step + at;
        real *u = out->u + to;
        for (ptrdiff_t i = 0; i < s->N; ++i) u[i] = charged(s, state, i, s->x[t * s->x_step + at + i]);
        for (ptrdiff_t i = 0; i < s->N; ++i) {
            real m = s->spec->charge == SNN_ULTRA_SPREAD ? around(s, u, i) : u[i];
            state[i] = after(s, u[i], m, &out->s[to + i]);
            out->m[to + i] = m, out->v[to + i] = state[i];
        }
    }
}

/* What unit i gets back from the soft maxima over `row` of itself and its neighbours, whose gradients are g. */
static real returned(const struct snn_ultra_scan *s, const real *row, const real *g, ptrdiff_t i) {
    real sum[3];
    for (int by = -1; by <= 1; ++by) {
        ptrdiff_t j = beside(s, i, by);
        struct snn_three w = ultra_three(s->numbers, row[beside(s, j, -1)], row[j], row[beside(s, j, 1)]);
        sum[by + 1] = g[j] * (by < 0 ? w.right : by > 0 ? w.left : w.own);
    }
    return sum[1] + sum[0] + sum[2];
}

static real entropy_around(const struct snn_ultra_scan *s, const real *row, ptrdiff_t i) {
    return ultra_three(s->numbers, row[beside(s, i, -1)], row[i], row[beside(s, i, 1)]).entropy;
}

static void give_gx(const struct snn_ultra_scan *s, int32_t t, ptrdiff_t at, real g, real *gx) {
    bool adds = s->adds || (s->x_step == 0 && t < s->T - 1);
    gx[t * s->x_step + at] = adds ? gx[t * s->x_step + at] + g : g;
}

/* sums: (items, SNN_ULTRA_SUMS). `row` has room for four. */
static void row_backward(const struct snn_ultra_scan *s, int32_t b, const struct trace *trace, const real *gy, real *gx,
                         real *row, struct ops_sum *sums) {
    const struct snn_ultra *k = s->numbers;
    const struct snn_ultra_spec *spec = s->spec;
    ptrdiff_t at = b * s->N, step = s->B * s->N, N = s->N, unit = snn_ultra_item(spec, N), each = (N + unit - 1) / unit;
    real *gv = row, *v = gv + N, *g = v + N, *gm = g + N;
    for (ptrdiff_t i = 0; i < N; ++i) gv[i] = 0;
    for (int32_t t = s->T - 1; t >= 0; --t) {
        ptrdiff_t to = t * step + at;
        if (t) memcpy(v, trace->v + to - step, (size_t)N * sizeof *v);
        else initial(s, at, v);
        for (ptrdiff_t i = 0; i < N; ++i) {
            real u = trace->u[to + i], m = trace->m[to + i], eps;
            struct snn_ultra_spike spike = ultra_fire(k, m);
            struct snn_ultra_adjoint a = ultra_adjoint(k, spec->reset, u, m, &spike, gy[to + i], gv[i]);
            gm[i] = a.m, g[i] = spec->charge == SNN_ULTRA_SPREAD ? a.u : a.u + a.m;
            eps = a.eps;
            if (spec->charge == SNN_ULTRA_SPREAD) eps += a.m * entropy_around(s, trace->u + to, i);
            if (spec->charge == SNN_ULTRA_DILATE) eps += g[i] * entropy_around(s, v, i);
            if (spec->charge == SNN_ULTRA_MAXIMUM)
                eps += g[i] * ultra_two(k, v[i] + k->offset, s->x[t * s->x_step + at + i]).entropy;
            struct ops_sum *sum = sums + SNN_ULTRA_SUMS * (b * each + i / unit);
            ops_term(&sum[SNN_ULTRA_SUM_EPS], eps), ops_term(&sum[SNN_ULTRA_SUM_THETA], a.theta);
            ops_term(&sum[SNN_ULTRA_SUM_RESET], a.v_reset), ops_term(&sum[SNN_ULTRA_SUM_SLOPE], a.slope);
        }
        for (ptrdiff_t i = 0; i < N; ++i) {
            struct ops_sum *leak = sums + SNN_ULTRA_SUMS * (b * each + i / unit) + SNN_ULTRA_SUM_LEAK;
            struct snn_two w;
            real all;
            switch (spec->charge) {
            case SNN_ULTRA_MAXIMUM:
                w = ultra_two(k, v[i] + k->offset, s->x[t * s->x_step + at + i]);
                give_gx(s, t, at + i, g[i] * w.b, gx);
                gv[i] = g[i] * w.a;
                ops_term(leak, gv[i]);
                break;
            case SNN_ULTRA_DILATE:
                give_gx(s, t, at + i, g[i], gx);
                gv[i] = returned(s, v, g, i);
                break;
            default:
                all = spec->charge == SNN_ULTRA_SPREAD ? g[i] + returned(s, trace->u + to, gm, i) : g[i];
                give_gx(s, t, at + i, all, gx);
                ops_term(leak, all * v[i]);
                gv[i] = k->tau * all;
            }
        }
    }
}

/* ---- cases ---- */

static struct call begin_scan(struct ops *ops, const struct ultra_case *c) {
    struct call call = {.cut = c->cut};
    ops_begin(ops,
              "T %d, B %d, N %td, ring %d, charge %d, reset %d, hard %d, static %d, carried %d, keeps %d, in place %d, "
              "adds %d, y %d, cut %d",
              c->T, c->B, c->N, c->spec.ring, c->spec.charge, c->spec.reset, c->spec.hard, c->is_static, c->carried,
              c->keeps, c->in_place, c->adds, c->wants_y, c->cut);
    struct snn_ultra_spec *spec = ops_input(ops, 1, sizeof *spec);
    struct snn_ultra *k = ops_input(ops, 1, sizeof *k);
    *spec = c->spec, *k = random_numbers(ops, spec);
    ptrdiff_t step = c->B * c->N, n = c->T * step;
    call.s = (struct snn_ultra_scan){.spec = spec, .T = c->T, .B = c->B, .N = c->N, .numbers = k, .adds = c->adds};
    call.s.x_step = c->is_static ? 0 : step, call.s.words = (int32_t)((c->N + 63) / 64);
    if (c->carried) {
        real *state = ops_input(ops, step, sizeof *state);
        ops_fill(ops, state, step, -1, 1);
        call.s.state_in = state;
    }
    real *x = (c->in_place ? ops_output : ops_input)(ops, c->is_static ? step : n, sizeof *x);
    ops_fill(ops, x, c->is_static ? step : n, -1, 1.5);
    for (ptrdiff_t i = 0; i < (c->is_static ? step : n); i += 3) x[i] = (real)(floor(4 * (double)x[i]) / 4); /* ties */
    call.s.x = x;
    return call;
}

static struct trace trace_of(struct ops *ops, const struct snn_ultra_scan *s, real *state) {
    ptrdiff_t n = s->T * s->B * s->N;
    struct trace trace = {ops_memory(ops, n, sizeof(real)), ops_memory(ops, n, sizeof(real)),
                          ops_memory(ops, n, sizeof(real)), ops_memory(ops, n, sizeof(real))};
    for (int32_t b = 0; b < s->B; ++b) row_forward(s, b, state + b * s->N, &trace);
    return trace;
}

/* Whole, or cut by cut with the state handed on through memory of the call. */
static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct call *call = argument;
    ptrdiff_t step = call->s.B * call->s.N;
    real *state[2] = {NULL, NULL}, *one = call->s.u ? NULL : ops_scratch(ops, (size_t)step * sizeof *one);
    for (int i = 0; i < 2 && call->cut; ++i) state[i] = ops_scratch(ops, (size_t)step * sizeof(real));
    for (int32_t t = 0, cut = 0, T = call->cut ? call->cut : call->s.T; t < call->s.T; t += T, ++cut) {
        struct snn_ultra_scan part = call->s;
        part.T = t + T < call->s.T ? T : call->s.T - t;
        part.x += t * part.x_step;
        if (part.u) part.u += t * part.u_step;
        else part.u = one, part.u_step = 0;
        if (part.y) part.y += t * step;
        if (part.bits) part.bits += (ptrdiff_t)t * part.B * part.words;
        if (cut > 0) part.state_in = state[cut & 1];
        if (t + T < call->s.T) part.v = state[~cut & 1];
        device->ultra->forward(device, &part);
    }
}

static void forward_case(struct ops *ops, const struct ultra_case *c) {
    struct call call = begin_scan(ops, c);
    struct snn_ultra_scan *s = &call.s;
    ptrdiff_t step = c->B * c->N, n = c->T * step;
    real *state = ops_memory(ops, step, sizeof *state);
    struct trace trace = trace_of(ops, s, state);
    if (c->in_place) s->u = (real *)s->x;
    else if (c->keeps) s->u = ops_output(ops, n, sizeof *s->u);
    if (s->u) s->u_step = step, ops_expect(ops, s->u, trace.u);
    if (c->wants_y || !c->spec.hard) {
        s->y = ops_output(ops, n, sizeof *s->y);
        ops_expect(ops, s->y, trace.s);
    }
    if (c->spec.hard) {
        uint64_t *bits = ops_memory(ops, (ptrdiff_t)c->T * c->B * s->words, sizeof *bits);
        for (ptrdiff_t i = 0; i < n; ++i)
            if (trace.s[i] != 0) bits[i / c->N * s->words + i % c->N / 64] |= (uint64_t)1 << (i % c->N % 64);
        s->bits = ops_output(ops, (ptrdiff_t)c->T * c->B * s->words, sizeof *s->bits);
        ops_expect(ops, s->bits, bits);
    }
    s->v = ops_output(ops, step, sizeof *s->v);
    ops_expect(ops, s->v, state);
    ops_run(ops, call_forward, &call);
}

static void call_backward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct call *call = argument;
    struct snn_ultra_scan s = call->s;
    ptrdiff_t scratch = device->ultra->scratch(device->threads, s.spec, s.B, s.N);
    if (scratch) s.scratch = ops_scratch(ops, (size_t)scratch * sizeof *s.scratch);
    if (call->gy_is_gx) s.gy = s.gx;
    device->ultra->backward(device, &s);
}

static void backward_case(struct ops *ops, const struct ultra_case *c) {
    if (c->spec.hard) return;
    struct ultra_case apart = *c;
    apart.in_place = false;
    struct call call = begin_scan(ops, &apart);
    struct snn_ultra_scan *s = &call.s;
    ptrdiff_t step = c->B * c->N, n = c->T * step, x_n = c->is_static ? step : n,
              items = snn_ultra_items(&c->spec, c->B, c->N);
    real *state = ops_memory(ops, step, sizeof *state), *row = ops_memory(ops, 4 * c->N, sizeof *row);
    struct trace trace = trace_of(ops, s, state);
    s->u = ops_input(ops, n, sizeof *s->u), s->u_step = step;
    memcpy(s->u, trace.u, (size_t)n * sizeof *s->u);
    real *gx = ops_memory(ops, x_n, sizeof *gx);
    s->gx = ops_output(ops, x_n, sizeof *s->gx);
    call.gy_is_gx = c->in_place && !c->is_static;
    if (call.gy_is_gx || c->adds) ops_fill(ops, s->gx, x_n, -1, 1);
    memcpy(gx, s->gx, (size_t)x_n * sizeof *gx);
    s->gy = call.gy_is_gx ? s->gx : ops_reals(ops, n);
    real *gy = ops_memory(ops, n, sizeof *gy);
    memcpy(gy, s->gy, (size_t)n * sizeof *gy);
    struct ops_sum *sums = ops_memory(ops, SNN_ULTRA_SUMS * items, sizeof *sums);
    for (int32_t b = 0; b < c->B; ++b) row_backward(s, b, &trace, gy, gx, row, sums);
    ops_expect(ops, s->gx, gx);
    s->leak = c->leak;
    if (c->partial) {
        s->partial = ops_output(ops, SNN_ULTRA_SUMS * items, sizeof *s->partial);
        for (ptrdiff_t i = 0; i < items && !c->leak; ++i)
            sums[SNN_ULTRA_SUMS * i + SNN_ULTRA_SUM_LEAK] = (struct ops_sum){0};
        ops_expect_double_sums(ops, s->partial, sums, OPS_EPS);
    }
    if (c->spec.charge != SNN_ULTRA_MAXIMUM) s->x = NULL; /* a forward pass in place has overwritten it */
    ops_run(ops, call_backward, &call);
}

typedef void one_case(struct ops *ops, const struct ultra_case *c);
static bool coin(struct ops *ops) { return ops_below(ops, 2); }

static bool is_coupled(enum snn_ultra_charge charge) {
    return charge == SNN_ULTRA_DILATE || charge == SNN_ULTRA_SPREAD;
}

/* Every variant on small rows, then shapes: rings as long as a row, shorter, and longer than a piece. */
static void every_case(struct ops *ops, one_case *check) {
    static const struct {
        int32_t ring;
        ptrdiff_t N;
    } shapes[] = {{1, 1},   {2, 2},   {3, 3},     {5, 15},    {6, 36},     {64, 64},   {65, 65},
                  {8, 520}, {7, 518}, {512, 512}, {513, 513}, {520, 1040}, {64, 1088}, {1100, 1100}};
    for (int k = 0; k < 4 * 3 * 2 * 16; ++k) {
        struct ultra_case c = {.T = 4, .B = 2, .N = 67};
        c.spec = (struct snn_ultra_spec){.charge = k & 3, .reset = k / 4 % 3, .hard = k / 12 & 1, .ring = 1};
        if (is_coupled(c.spec.charge)) c.spec.ring = (int32_t)(1 + ops_below(ops, 9)), c.N = 7 * c.spec.ring;
        c.is_static = coin(ops), c.carried = coin(ops), c.keeps = coin(ops), c.adds = coin(ops), c.partial = coin(ops);
        c.leak = coin(ops);
        c.in_place = coin(ops) && !c.is_static && c.spec.charge != SNN_ULTRA_MAXIMUM, c.wants_y = coin(ops);
        c.cut = coin(ops) ? (int32_t)(1 + ops_below(ops, 4)) : 0;
        check(ops, &c);
    }
    for (int k = 0; k < OPS_COUNT(shapes) * 4; ++k) {
        struct ultra_case c = {.T = 3, .B = 1 + (int32_t)ops_below(ops, 3), .N = shapes[k / 4].N};
        c.spec = (struct snn_ultra_spec){
            .charge = k & 3, .reset = k % 3, .hard = coin(ops) && coin(ops), .ring = shapes[k / 4].ring};
        if (!is_coupled(c.spec.charge)) c.spec.ring = 1;
        c.keeps = c.partial = c.leak = true, c.is_static = coin(ops), c.T = 1 + (int32_t)ops_below(ops, 4);
        check(ops, &c);
    }
}

static void check_forward(struct ops *ops) { every_case(ops, forward_case); }
static void check_backward(struct ops *ops) { every_case(ops, backward_case); }

/* What backward runs in is exactly this. */
static void check_scratch(struct ops *ops) {
    struct snn_ultra_spec spec = {.charge = SNN_ULTRA_MAXIMUM, .ring = 1};
    ck_assert(ops->device[0].ultra->scratch(2, &spec, 3, 100) == 0);
    spec.charge = SNN_ULTRA_SPREAD, spec.ring = 100;
    ck_assert(ops->device[0].ultra->scratch(2, &spec, 3, 100) >= 100);
}

/* ---- parameters ---- */

struct other {
    struct snn_ultra_learned learned;
    struct snn_ultra *out;
    const struct snn_ultra *numbers;
    const double *partial;
    ptrdiff_t items;
};

struct expected { /* in the widest type */
    wide tau, log_tau, eps, slope, theta, v_reset;
    bool eps_moves, slope_moves; /* within their clamps */
    wide rho;
};

/* Combination k of what is learned and how; `values` (SNN_ULTRA_PARAMS) is where the parameters lie. */
static struct other begin_other(struct ops *ops, int k, struct expected *e) {
    static const double rhos[] = {0, -0.7, -5, 4, 1.2};
    struct other o = {{0}, NULL, NULL, NULL, 0};
    ops_begin(ops, "combination %d", k);
    struct snn_ultra_start *start = ops_input(ops, 1, sizeof *start);
    *start = (struct snn_ultra_start){(real)0.8, (real)0.75, (real)0.125, 20, (real)0.5, (real)-0.25, k & 1 ? 3 : 0};
    o.learned.start = start;
    o.learned.log_leak = k >> 1 & 1, o.learned.eps_offset = k >> 2 & 1, o.learned.softplus = k >> 3 & 1;
    o.learned.offset = k >> 4 & 1;
    unsigned learned = ops_below(ops, 1 << SNN_ULTRA_PARAMS);
    double rho = rhos[ops_below(ops, 5)];
    const double values[SNN_ULTRA_PARAMS] = {-0.25, rho, 0.375, 0.625, k & 32 ? 5 : 0.5};
    for (int i = 0; i < SNN_ULTRA_PARAMS; ++i) {
        if (!(learned >> i & 1)) continue;
        real *value = ops_input(ops, 1, sizeof *value);
        *value = (real)values[i], o.learned.value[i] = value;
    }
    const real *const *p = o.learned.value;
    *e = (struct expected){(real)0.8, logl((real)0.8), (real)0.75, k & 1 ? 3 : 0, 0.5, -0.25, false, false, rho};
    if (p[0]) {
        e->log_tau = o.learned.log_leak ? (wide)*p[0] : -log1pl(expl(-(wide)*p[0]));
        e->tau = expl(e->log_tau);
    }
    if (p[1]) {
        wide r = *p[1], raw = expl(r);
        e->rho = r;
        e->eps = o.learned.softplus ? (wide)0.125 + log1pl(raw) : raw < 0.125L ? 0.125L : raw > 20 ? 20 : raw;
        e->eps_moves = o.learned.softplus || (raw >= 0.125L && raw <= 20);
    }
    if (p[2]) e->theta = *p[2];
    if (p[3]) e->v_reset = *p[3];
    if (p[4]) {
        wide raw = expl((wide)*p[4]);
        e->slope = raw > 50 ? 50 : raw, e->slope_moves = raw <= 50;
    }
    return o;
}

static void call_numbers(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->ultra->numbers(device, &o->learned, o->out);
}

static void check_numbers(struct ops *ops) {
    for (int k = 0; k < 256; ++k) {
        struct expected e;
        struct other o = begin_other(ops, k % 64, &e);
        enum { N = sizeof(struct snn_ultra) / sizeof(real) };
        real *out = ops_output(ops, N, sizeof *out);
        struct ops_sum *sums = ops_memory(ops, N, sizeof *sums);
        wide offset = o.learned.eps_offset ? e.eps * e.log_tau : e.log_tau;
        const wide values[N] = {e.tau, offset, e.eps, 1 / e.eps, e.theta, e.v_reset, e.slope > 0 ? e.slope : 1 / e.eps};
        for (int i = 0; i < N; ++i) sums[i] = (struct ops_sum){values[i], fabsl(values[i]), 1};
        o.out = (struct snn_ultra *)(void *)out;
        ops_expect_sums(ops, out, sums);
        ops_run(ops, call_numbers, &o);
    }
}

static void call_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->ultra->grad(device, &o->learned, o->numbers, o->partial, o->items);
}

static void check_grad(struct ops *ops) {
    static const ptrdiff_t items[] = {1, 2, 7, 64, 257};
    for (int k = 0; k < 64 * OPS_COUNT(items); ++k) {
        struct expected e;
        struct other o = begin_other(ops, k % 64, &e);
        o.items = items[k / 64];
        struct snn_ultra *now = ops_input(ops, 1, sizeof *now);
        wide offset = o.learned.eps_offset ? e.eps * e.log_tau : e.log_tau;
        *now = (struct snn_ultra){(real)e.tau,
                                  (real)offset,
                                  (real)e.eps,
                                  (real)(1 / e.eps),
                                  (real)e.theta,
                                  (real)e.v_reset,
                                  (real)(e.slope > 0 ? e.slope : 1 / e.eps)};
        o.numbers = now;
        double *partial = ops_input(ops, SNN_ULTRA_SUMS * o.items, sizeof *partial);
        o.partial = partial;
        /* d(loss)/d(parameter) = sum over numbers of its sum times d(number)/d(parameter) */
        wide by[SNN_ULTRA_PARAMS][SNN_ULTRA_SUMS] = {{0}};
        wide d_tau = o.learned.log_leak ? e.tau : e.tau * (1 - e.tau);
        wide d_log = o.learned.log_leak ? 1 : 1 - e.tau;
        wide d_eps = !e.eps_moves ? 0 : o.learned.softplus ? 1 / (1 + expl(-e.rho)) : e.eps;
        bool by_eps = o.learned.start->slope == 0; /* slope = 1/eps */
        by[SNN_ULTRA_TAU][SNN_ULTRA_SUM_LEAK] = !o.learned.offset      ? d_tau
                                                : o.learned.eps_offset ? e.eps * d_log
                                                                       : d_log;
        by[SNN_ULTRA_RHO][SNN_ULTRA_SUM_EPS] = d_eps;
        by[SNN_ULTRA_RHO][SNN_ULTRA_SUM_LEAK] = o.learned.offset && o.learned.eps_offset ? e.log_tau * d_eps : 0;
        by[SNN_ULTRA_RHO][SNN_ULTRA_SUM_SLOPE] = by_eps ? -d_eps / (e.eps * e.eps) : 0;
        by[SNN_ULTRA_THETA][SNN_ULTRA_SUM_THETA] = by[SNN_ULTRA_V_RESET][SNN_ULTRA_SUM_RESET] = 1;
        by[SNN_ULTRA_LOG_SLOPE][SNN_ULTRA_SUM_SLOPE] = e.slope_moves ? e.slope : 0;
        struct ops_sum *sums = ops_memory(ops, SNN_ULTRA_PARAMS, sizeof *sums);
        for (ptrdiff_t i = 0; i < SNN_ULTRA_SUMS * o.items; ++i) partial[i] = 2 * ops_unit(ops) - 1;
        for (int p = 0; p < SNN_ULTRA_PARAMS; ++p) {
            if (!o.learned.value[p] || (k + p) % 5 == 0) continue; /* fixed, or frozen */
            o.learned.grad[p] = ops_output(ops, 1, sizeof(real));
            *o.learned.grad[p] = (real)0.75;
            ops_term(&sums[p], (real)0.75);
            for (ptrdiff_t i = 0; i < SNN_ULTRA_SUMS * o.items; ++i)
                ops_term(&sums[p], partial[i] * by[p][i % SNN_ULTRA_SUMS]);
            ops_expect_sums(ops, o.learned.grad[p], &sums[p]);
        }
        ops_run(ops, call_grad, &o);
    }
}

#define CASES(X) X(scratch) X(forward) X(backward) X(numbers) X(grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_ultra_kernels, name)
OPS_TABLE(snn_ultra_kernels, CASES)
OPS_TCASE(ultra)
