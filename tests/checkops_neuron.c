/* SPDX-License-Identifier: Apache-2.0
 * checkops_neuron.c - the scan of spiking layers (layers/neuron.h) to the bit: one neuron and one step at a time here,
 * as neurons/affine.h defines them. Surrogates come from surrogates.h; check_backward holds each of them to its formula
 * in long double besides. */
#include "checkops.h"

#include "layers/neuron.h"

enum { RESETS = SNN_RESET_VALUE + 1 };

static const double parameters[SNN_SURROGATE_COUNT][2] = {
#define X(name, alias, p0, d0, p1, d1, help) {d0, d1},
    SNN_SURROGATES(X)
#undef X
};

static real derivative(const struct snn_scan *scan, real x) {
    switch (scan->spec->surrogate) {
#define X(name, ...)                                                                                                   \
    case SNN_SURROGATE_##name:                                                                                         \
        return sg_##name(x, scan->surrogate);
        SNN_SURROGATES(X)
#undef X
    case SNN_SURROGATE_COUNT:
        break;
    }
    return 0;
}

static real smooth_step(const struct snn_scan *scan, real x) {
    switch (scan->spec->surrogate) {
#define X(name, ...)                                                                                                   \
    case SNN_SURROGATE_##name:                                                                                         \
        return (real)step_##name(x, scan->surrogate);
        SNN_SURROGATES(X)
#undef X
    case SNN_SURROGATE_COUNT:
        break;
    }
    return 0;
}

/* ---- the reference ---- */

static real fires(const struct snn_scan *scan, real h) {
    const struct snn_affine *k = scan->coefficients;
    return scan->spec->strict ? h > k->theta : h >= k->theta;
}

static real initial_state(const struct snn_scan *scan) {
    return scan->spec->reset == SNN_RESET_VALUE ? scan->coefficients->v_reset : 0;
}

static real after_reset(const struct snn_scan *scan, real h, real s) {
    const struct snn_affine *k = scan->coefficients;
    if (scan->spec->reset == SNN_RESET_NONE) return h;
    if (scan->spec->reset == SNN_RESET_SUBTRACT) return h - k->theta * s;
    if (s == 0 || s == 1) return s == 0 ? h : k->v_reset;
    return (1 - s) * h + s * k->v_reset;
}

static real charge(const struct snn_scan *scan, real v, real x, real resets) {
    const struct snn_affine *k = scan->coefficients;
    bool delayed = scan->spec->delayed, subtracts = scan->spec->reset == SNN_RESET_SUBTRACT;
    if (delayed && subtracts) return k->lambda * v + k->kappa * x + k->drive - k->theta * resets;
    if (delayed && scan->spec->reset != SNN_RESET_NONE && resets != 0) v = k->v_reset;
    return k->lambda * v + k->kappa * x + k->drive;
}

struct trace { /* (T,B,N), all of them, and (B,N) */
    real *u, *s, *frozen, *state;
};

static void scan_neuron(const struct snn_scan *scan, ptrdiff_t at, const struct trace *out) {
    const struct snn_neuron_spec *spec = scan->spec;
    real v = scan->state_in ? scan->state_in[at] : initial_state(scan);
    for (int32_t t = 0; t < scan->T; ++t) {
        ptrdiff_t i = t * scan->B * scan->N + at;
        bool smooth = scan->smooth && spec->spikes, replays = smooth && scan->smooth == SNN_SMOOTH_REPLAY;
        real r = fires(scan, v), h = charge(scan, v, scan->x[t * scan->x_step + at], replays ? scan->frozen[i] : r);
        real s = smooth ? smooth_step(scan, h - scan->coefficients->theta) : fires(scan, h);
        out->u[i] = h, out->s[i] = s, out->frozen[i] = spec->delayed ? r : s;
        v = spec->delayed ? h : after_reset(scan, h, replays && spec->detached ? scan->frozen[i] : s);
    }
    out->state[at] = v;
}

static void scan_backward(const struct snn_scan *scan, ptrdiff_t at, const real *gy, real *gx, struct ops_sum *sums) {
    const struct snn_neuron_spec *spec = scan->spec;
    const struct snn_affine *k = scan->coefficients;
    bool detached = spec->detached || spec->delayed;
    real gv = 0;
    for (int32_t t = scan->T - 1; t >= 0; --t) {
        ptrdiff_t i = t * scan->B * scan->N + at, before = i - scan->B * scan->N;
        real u = scan->u[i], gs = gy[i], gh = gs + gv, v;
        real s = !scan->smooth || spec->delayed ? fires(scan, u)
                 : detached                     ? scan->frozen[i]
                                                : smooth_step(scan, u - k->theta);
        if (spec->spikes) {
            real sg = derivative(scan, u - k->theta);
            if (spec->reset == SNN_RESET_NONE) gh = gv + gs * sg;
            else if (spec->reset == SNN_RESET_SUBTRACT) gh = gv + (detached ? gs : gs - k->theta * gv) * sg;
            else gh = gv * (1 - s) + (detached ? gs : gs + gv * (k->v_reset - u)) * sg;
        }
        gv = k->lambda * gh;
        if (gx) {
            real *to = &gx[t * scan->x_step + at];
            bool adds = scan->adds || (scan->x_step == 0 && t < scan->T - 1);
            *to = adds ? *to + k->kappa * gh : k->kappa * gh;
        }
        if (!sums) continue;
        v = t == 0 ? scan->state_in ? scan->state_in[at] : initial_state(scan)
                   : after_reset(scan, scan->u[before], fires(scan, scan->u[before]));
        wide x = ((wide)u - (wide)k->lambda * v - k->drive) / k->kappa;
        ops_term(&sums[0], (wide)gh * v);
        ops_term(&sums[1], (wide)gh * x), ops_term(&sums[2], gh);
        /* The kernel finds x in the same way, in reals: what cancels there rounds too. */
        sums[1].terms += fabsl((wide)gh) * (fabsl((wide)u) + fabsl((wide)k->lambda * v) + fabsl((wide)k->drive)) /
                         fabsl((wide)k->kappa);
    }
}

/* ---- cases ---- */

/* What is the same for the cases of a scan: everything but the arrays. */
struct scan_case {
    struct snn_neuron_spec spec;
    int32_t T, B;
    ptrdiff_t N;
    enum snn_smooth smooth;
    bool is_static, carried, adds, in_place, partial;
    bool wants_u, wants_bits, wants_y;
    bool lattice; /* numbers that meet the threshold exactly */
    int32_t cut;  /* steps of a cut; 0: all at once */
};

struct scan {
    struct snn_scan s;
    int32_t cut;
    bool gy_is_gx;
};

static struct snn_affine random_coefficients(struct ops *ops, const struct scan_case *c) {
    struct snn_affine k = {.lambda = (real)0.9, .kappa = (real)0.37, .drive = 0, .theta = (real)0.6, .v_reset = 0};
    if (c->lattice)
        k = (struct snn_affine){.lambda = (real)0.5, .kappa = ops_below(ops, 2) ? 1 : (real)0.5, .theta = 1};
    if (c->spec.reset == SNN_RESET_VALUE) k.v_reset = (real)-0.25, k.drive = k.v_reset * (1 - k.lambda);
    return k;
}

static void fill_numbers(struct ops *ops, real *x, ptrdiff_t n, bool lattice, double most) {
    ops_fill(ops, x, n, -0.5 * most, most);
    for (ptrdiff_t i = 0; i < n && lattice; ++i) x[i] = (real)(floor(4 * (double)x[i]) / 4);
}

/* The scan with its inputs; in place, x is an output as well. */
static struct scan begin_scan(struct ops *ops, const struct scan_case *c) {
    struct scan scan = {.cut = c->cut};
    ops_begin(ops,
              "T %d, B %d, N %td, reset %d, strict %d, detached %d, delayed %d, spikes %d, surrogate %s, smooth %d, "
              "static %d, carried %d, "
              "adds %d, in place %d, cut %d, outputs %d%d%d",
              c->T, c->B, c->N, c->spec.reset, c->spec.strict, c->spec.detached, c->spec.delayed, c->spec.spikes,
              snn_surrogate_names[c->spec.surrogate], c->smooth, c->is_static, c->carried, c->adds, c->in_place, c->cut,
              c->wants_u, c->wants_bits, c->wants_y);
    struct snn_neuron_spec *spec = ops_input(ops, 1, sizeof *spec);
    struct snn_affine *k = ops_input(ops, 1, sizeof *k);
    *spec = c->spec, *k = random_coefficients(ops, c);
    real *p = ops_input(ops, SNN_SURROGATE_PARAMS, sizeof *p);
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) p[i] = (real)parameters[spec->surrogate][i];
    ptrdiff_t step = c->B * c->N, n = c->T * step;
    scan.s = (struct snn_scan){.spec = spec,
                               .T = c->T,
                               .B = c->B,
                               .N = c->N,
                               .coefficients = k,
                               .surrogate = p,
                               .smooth = c->smooth,
                               .adds = c->adds};
    scan.s.x_step = c->is_static ? 0 : step, scan.s.words = (int32_t)((c->N + 63) / 64);
    if (c->carried) {
        real *state = ops_input(ops, step, sizeof *state);
        fill_numbers(ops, state, step, c->lattice, 1.5);
        scan.s.state_in = state;
    }
    real *x = (c->in_place ? ops_output : ops_input)(ops, c->is_static ? step : n, sizeof *x);
    fill_numbers(ops, x, c->is_static ? step : n, c->lattice, 2.5);
    scan.s.x = x;
    if (c->smooth == SNN_SMOOTH_REPLAY) {
        scan.s.frozen = ops_input(ops, n, sizeof *scan.s.frozen);
        for (ptrdiff_t i = 0; i < n; ++i)
            scan.s.frozen[i] = (real)(c->spec.delayed ? ops_below(ops, 2) : ops_unit(ops));
    }
    return scan;
}

static struct trace new_trace(struct ops *ops, const struct snn_scan *scan) {
    ptrdiff_t n = scan->T * scan->B * scan->N;
    return (struct trace){ops_memory(ops, n, sizeof(real)), ops_memory(ops, n, sizeof(real)),
                          ops_memory(ops, n, sizeof(real)), ops_memory(ops, scan->B * scan->N, sizeof(real))};
}

/* Whole, or cut by cut with the state handed on through memory of the call. */
static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct scan *scan = argument;
    ptrdiff_t step = scan->s.B * scan->s.N;
    real *state[2] = {NULL, NULL};
    for (int i = 0; i < 2 && scan->cut; ++i) state[i] = ops_scratch(ops, (size_t)step * sizeof(real));
    for (int32_t t = 0, cut = 0, T = scan->cut ? scan->cut : scan->s.T; t < scan->s.T; t += T, ++cut) {
        struct snn_scan part = scan->s;
        part.T = t + T < scan->s.T ? T : scan->s.T - t;
        part.x += t * part.x_step;
        if (part.u) part.u += t * step;
        if (part.y) part.y += t * step;
        if (part.bits) part.bits += (ptrdiff_t)t * part.B * part.words;
        if (part.frozen) part.frozen += t * step;
        if (cut > 0) part.state_in = state[cut & 1];
        if (t + T < scan->s.T) part.state_out = state[~cut & 1];
        device->neuron->forward(device, &part);
    }
}

static void forward_case(struct ops *ops, const struct scan_case *c) {
    if (c->smooth && ops->on_card) return; /* the gradient check's modes are the CPU's alone */
    struct scan scan = begin_scan(ops, c);
    struct snn_scan *s = &scan.s;
    struct trace trace = new_trace(ops, s);
    ptrdiff_t step = c->B * c->N, n = c->T * step;
    for (ptrdiff_t at = 0; at < step; ++at) scan_neuron(s, at, &trace);
    if (c->in_place) s->u = (real *)s->x;
    else if (c->wants_u) s->u = ops_output(ops, n, sizeof *s->u);
    if (s->u) ops_expect(ops, s->u, trace.u);
    if (c->wants_y || c->smooth) {
        s->y = !c->spec.spikes && s->u ? s->u : ops_output(ops, n, sizeof *s->y); /* the membrane is the output */
        ops_expect(ops, s->y, c->spec.spikes ? trace.s : trace.u);
    }
    if (c->wants_bits) {
        uint64_t *bits = ops_memory(ops, (ptrdiff_t)c->T * c->B * s->words, sizeof *bits);
        for (ptrdiff_t i = 0; i < n; ++i)
            if (trace.s[i] != 0) bits[i / c->N * s->words + i % c->N / 64] |= (uint64_t)1 << (i % c->N % 64);
        s->bits = ops_output(ops, (ptrdiff_t)c->T * c->B * s->words, sizeof *s->bits);
        ops_expect(ops, s->bits, bits);
    }
    if (c->smooth == SNN_SMOOTH_RECORD) {
        s->frozen = ops_output(ops, n, sizeof *s->frozen);
        ops_expect(ops, s->frozen, trace.frozen);
    }
    s->state_out = ops_output(ops, step, sizeof *s->state_out);
    ops_expect(ops, s->state_out, trace.state);
    ops_run(ops, call_forward, &scan);
}

static void call_backward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct scan *scan = argument;
    struct snn_scan s = scan->s;
    (void)ops;
    if (scan->gy_is_gx) s.gy = s.gx;
    device->neuron->backward(device, &s);
}

/* u comes from the reference's forward pass. */
static void backward_case(struct ops *ops, const struct scan_case *c) {
    if (c->smooth && ops->on_card) return;
    struct scan_case apart = *c;
    apart.in_place = false;
    struct scan scan = begin_scan(ops, &apart);
    struct snn_scan *s = &scan.s;
    struct trace trace = new_trace(ops, s);
    ptrdiff_t step = c->B * c->N, n = c->T * step, x_n = c->is_static ? step : n, items = snn_scan_items(c->B, c->N);
    for (ptrdiff_t at = 0; at < step; ++at) scan_neuron(s, at, &trace);
    if (c->smooth == SNN_SMOOTH_RECORD) {
        s->frozen = ops_input(ops, n, sizeof *s->frozen);
        memcpy(s->frozen, trace.frozen, (size_t)n * sizeof *s->frozen);
    }
    s->u = ops_input(ops, n, sizeof *s->u);
    memcpy(s->u, trace.u, (size_t)n * sizeof *s->u);
    s->x = NULL; /* the kernel has to do without: a forward pass in place has overwritten it */
    real *gx = ops_memory(ops, x_n, sizeof *gx);
    s->gx = ops_output(ops, x_n, sizeof *s->gx);
    if (c->in_place || c->adds) ops_fill(ops, s->gx, x_n, -1, 1);
    memcpy(gx, s->gx, (size_t)x_n * sizeof *gx);
    scan.gy_is_gx = c->in_place;
    s->gy = c->in_place ? s->gx : ops_reals(ops, n);
    struct ops_sum *sums = ops_memory(ops, 3 * items, sizeof *sums);
    const real *gy = s->gy;
    for (ptrdiff_t at = 0; at < step; ++at)
        scan_backward(s, at, gy, gx,
                      c->partial ? sums + 3 * (at / c->N * (items / c->B) + at % c->N / SNN_SCAN_CHUNK) : NULL);
    ops_expect(ops, s->gx, gx);
    if (c->partial) {
        s->partial = ops_output(ops, 3 * items, sizeof *s->partial);
        ops_expect_double_sums(ops, s->partial, sums, OPS_EPS);
    }
    ops_run(ops, call_backward, &scan);
}

/* Every convention with every surrogate on a small scan, then shapes, then ways to use the arrays. */
typedef void one_case(struct ops *ops, const struct scan_case *c);

static bool coin(struct ops *ops) { return ops_below(ops, 2); }

static void every_convention(struct ops *ops, one_case *check) {
    for (int k = 0; k < RESETS * 8 * SNN_SURROGATE_COUNT; ++k) {
        struct scan_case c = {
            .T = 4, .B = 2, .N = 67, .wants_u = true, .wants_bits = true, .wants_y = coin(ops), .lattice = coin(ops)};
        c.spec = (struct snn_neuron_spec){
            .reset = k / 8 % RESETS, .strict = k & 1, .delayed = k >> 1 & 1, .detached = k >> 2 & 1, .spikes = true};
        c.spec.surrogate = k / 8 / RESETS, c.carried = coin(ops), c.partial = !c.spec.delayed;
        check(ops, &c);
        for (int smooth = SNN_SMOOTH_RECORD; smooth <= SNN_SMOOTH_REPLAY; ++smooth) {
            struct scan_case d = c;
            d.smooth = smooth, d.wants_bits = false, d.wants_y = true, d.partial = false, d.N = 5, d.T = 3;
            check(ops, &d);
        }
    }
    for (int k = 0; k < 8; ++k) { /* neurons that do not spike */
        struct scan_case c = {.spec = {.reset = SNN_RESET_NONE},
                              .T = 5,
                              .B = 3,
                              .N = 66,
                              .wants_y = true,
                              .wants_u = coin(ops),
                              .lattice = true};
        c.carried = k & 1, c.is_static = k >> 1 & 1, c.in_place = k >> 2 & 1 && !c.is_static;
        check(ops, &c);
    }
}

static void every_shape(struct ops *ops, one_case *check) {
    static const ptrdiff_t units[] = {1,  3,   8,   15,  16,  17,  31,  33,   63,  64,
                                      65, 127, 128, 129, 511, 512, 513, 1024, 1025};
    static const int32_t steps[] = {1, 2, 7};
    for (int k = 0; k < OPS_COUNT(units) * OPS_COUNT(steps) * 2; ++k) {
        struct scan_case c = {.N = units[k / 2 % OPS_COUNT(units)],
                              .T = steps[k / 2 / OPS_COUNT(units)],
                              .is_static = k % 2,
                              .lattice = coin(ops)};
        c.spec = (struct snn_neuron_spec){
            .reset = ops_below(ops, RESETS), .strict = coin(ops), .detached = coin(ops), .spikes = true};
        c.spec.surrogate = ops_below(ops, SNN_SURROGATE_COUNT), c.partial = true, c.B = 1 + (int32_t)ops_below(ops, 3);
        c.wants_u = coin(ops), c.wants_bits = true, c.wants_y = coin(ops);
        check(ops, &c);
    }
}

static void every_use(struct ops *ops, one_case *check) {
    for (int k = 0; k < 256; ++k) {
        struct scan_case c = {
            .T = 5, .B = 2, .N = 130, .spec = {.reset = k % RESETS, .spikes = true}, .lattice = coin(ops)};
        c.is_static = k >> 2 & 1, c.carried = k >> 3 & 1, c.adds = k >> 4 & 1, c.in_place = k >> 5 & 1,
        c.spec.delayed = k >> 6 & 1;
        c.wants_u = k >> 7 & 1, c.cut = (int32_t)ops_below(ops, 5), c.wants_bits = coin(ops), c.wants_y = coin(ops),
        c.spec.strict = coin(ops);
        c.spec.surrogate = ops_below(ops, SNN_SURROGATE_COUNT);
        if (c.in_place && (c.is_static || c.adds)) continue; /* what is read at every step cannot be overwritten */
        check(ops, &c);
    }
}

static void check_forward(struct ops *ops) {
    every_convention(ops, forward_case);
    every_shape(ops, forward_case);
    every_use(ops, forward_case);
}

/* ---- surrogates against their formulas ---- */

static wide formula(enum snn_surrogate which, wide x, wide a, wide c) {
    const wide pi = 3.14159265358979323846264338327950288L;
    wide size = fabsl(x), logistic = 1 / (1 + expl(-a * x));
    switch (which) {
    case SNN_SURROGATE_sigmoid:
        return a * logistic * (1 - logistic);
    case SNN_SURROGATE_atan:
        return a / 2 / (1 + powl(pi * a * x / 2, 2));
    case SNN_SURROGATE_fast_sigmoid:
        return powl(1 + a * size, -2);
    case SNN_SURROGATE_triangle:
        return a - a * a * size > 0 ? a - a * a * size : 0;
    case SNN_SURROGATE_rect:
        return size < 1 / (2 * a) ? a : 0;
    case SNN_SURROGATE_gaussian:
        return expl(-x * x / (2 * a * a)) / (a * sqrtl(2 * pi));
    case SNN_SURROGATE_sine:
        return size <= pi / (2 * a) ? a / 2 * cosl(a * x) : 0;
    case SNN_SURROGATE_erf:
        return a / sqrtl(pi) * expl(-a * a * x * x);
    case SNN_SURROGATE_soft_sign:
        return a / (2 * powl(1 + a * size, 2));
    case SNN_SURROGATE_super_spike:
        return a / powl(1 + size, 2);
    case SNN_SURROGATE_piecewise_exp:
        return a / 2 * expl(-a * size);
    case SNN_SURROGATE_slayer:
        return c * a / 2 * expl(-a * size);
    case SNN_SURROGATE_COUNT:
        break;
    }
    return NAN;
}

/* With one step, kappa 1 and gy 1, gx is the surrogate itself. Within 8 eps of its largest value. */
static void surrogate_case(struct ops *ops, enum snn_surrogate which) {
    enum { POINTS = 1201 };
    struct snn_neuron_spec spec = {.reset = SNN_RESET_NONE, .spikes = true, .surrogate = which};
    ops_begin(ops, "formula of %s", snn_surrogate_names[which]);
    struct snn_affine *k = ops_input(ops, 1, sizeof *k);
    *k = (struct snn_affine){.lambda = (real)0.5, .kappa = 1, .theta = 1};
    real *p = ops_input(ops, SNN_SURROGATE_PARAMS, sizeof *p);
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) p[i] = (real)parameters[which][i];
    real *u = ops_input(ops, POINTS, sizeof *u), *gy = ops_input(ops, POINTS, sizeof *gy);
    struct ops_sum *gx = ops_memory(ops, POINTS, sizeof *gx);
    wide top = formula(which, 0, p[0], p[1]);
    for (int i = 0; i < POINTS; ++i) {
        u[i] = 1 + (real)((i - POINTS / 2) * 0.00503), gy[i] = 1;
        gx[i] = (struct ops_sum){formula(which, (wide)u[i] - 1, p[0], p[1]), top, 3};
    }
    struct scan scan = {.s = {.spec = &spec,
                              .T = 1,
                              .B = 1,
                              .N = POINTS,
                              .coefficients = k,
                              .surrogate = p,
                              .x_step = POINTS,
                              .u = u,
                              .gy = gy}};
    scan.s.gx = ops_output(ops, POINTS, sizeof *scan.s.gx);
    ops_expect_sums(ops, scan.s.gx, gx);
    ops_run(ops, call_backward, &scan);
}

static void check_backward(struct ops *ops) {
    for (int i = 0; i < SNN_SURROGATE_COUNT; ++i) surrogate_case(ops, i);
    every_convention(ops, backward_case);
    every_shape(ops, backward_case);
    every_use(ops, backward_case);
}

/* ---- the rest ---- */

struct other {
    ptrdiff_t rows, items;
    int32_t words;
    const uint64_t *bits;
    int32_t *nonzero;
    struct snn_plif plif;
    const real *w;
    const double *partial;
    struct snn_affine *coefficients;
    real *gw;
};

static void call_count(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->count(device, o->rows, o->words, o->bits, o->nonzero);
}

static void check_count(struct ops *ops) {
    static const int32_t rows[] = {0, 1, 2, 5, 64, 129}, words[] = {1, 2, 3, 7, 8, 9, 16, 17, 33};
    for (int k = 0; k < OPS_COUNT(rows) * OPS_COUNT(words); ++k) {
        struct other o = {.rows = rows[k % OPS_COUNT(rows)], .words = words[k / OPS_COUNT(rows)]};
        ops_begin(ops, "%td rows of %d words", o.rows, o.words);
        uint64_t *bits = ops_input(ops, o.rows * o.words, sizeof *bits);
        int32_t *nonzero = ops_memory(ops, o.rows, sizeof *nonzero);
        for (ptrdiff_t r = 0; r < o.rows; ++r)
            for (int32_t i = 0; i < 64 * o.words; ++i)
                if (!ops_below(ops, r % 3 ? 2 : 20))
                    bits[r * o.words + i / 64] |= (uint64_t)1 << (i % 64), ++nonzero[r];
        o.bits = bits, o.nonzero = ops_output(ops, o.rows, sizeof *o.nonzero);
        ops_expect(ops, o.nonzero, nonzero);
        ops_run(ops, call_count, &o);
    }
}

static void call_plif_coefficients(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->plif_coefficients(device, &o->plif, o->w, o->coefficients);
}

static const double plif_weights[] = {-6, -1, -0.3, 0, 0.5, 2, 8};

static struct other begin_plif(struct ops *ops, int k) {
    struct other o = {.plif = {.decay_input = k & 1}};
    double weight = plif_weights[k / 4], v_reset = k & 2 ? -0.4 : 0;
    ops_begin(ops, "w %g, v_reset %g, decay_input %d", weight, v_reset, o.plif.decay_input);
    real *reset = ops_input(ops, 1, sizeof *reset);
    *reset = (real)v_reset, o.plif.v_reset = reset;
    real *w = ops_input(ops, 1, sizeof *w);
    *w = (real)weight;
    o.w = w;
    return o;
}

static void check_plif_coefficients(struct ops *ops) {
    for (int k = 0; k < 4 * OPS_COUNT(plif_weights); ++k) {
        struct other o = begin_plif(ops, k);
        enum { N = SNN_NEURON_COEFFICIENTS };
        real *out = ops_output(ops, N, sizeof *out); /* struct snn_affine as an array */
        struct ops_sum *sums = ops_memory(ops, N, sizeof *sums);
        wide rate = 1 / (1 + expl(-(wide)*o.w));
        out[3] = (real)1.25, out[4] = (real)-0.5; /* theta and v_reset stay */
        sums[0] = (struct ops_sum){1 - rate, 1, 0}, sums[1] = (struct ops_sum){o.plif.decay_input ? rate : 1, rate, 0};
        sums[2] = (struct ops_sum){*o.plif.v_reset * rate, fabsl(*o.plif.v_reset * rate), 0};
        sums[3] = (struct ops_sum){1.25, 0, -1}, sums[4] = (struct ops_sum){-0.5, 0, -1};
        o.coefficients = (struct snn_affine *)(void *)out;
        ops_expect_sums(ops, out, sums);
        ops_run(ops, call_plif_coefficients, &o);
    }
}

static void call_plif_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->plif_grad(device, &o->plif, o->w, o->partial, o->items, o->gw);
}

/* lambda = 1-k, kappa = k or 1, drive = v_reset k, k = sigmoid(w), dk/dw = k (1-k) */
static void check_plif_grad(struct ops *ops) {
    static const ptrdiff_t items[] = {1, 2, 7, 64, 257};
    for (int k = 0; k < 4 * OPS_COUNT(plif_weights) * OPS_COUNT(items); ++k) {
        struct other o = begin_plif(ops, k % (4 * OPS_COUNT(plif_weights)));
        o.items = items[k / 4 / OPS_COUNT(plif_weights)];
        double *partial = ops_input(ops, 3 * o.items, sizeof *partial);
        struct ops_sum *gw = ops_memory(ops, 1, sizeof *gw);
        wide rate = 1 / (1 + expl(-(wide)*o.w)), slope = rate * (1 - rate);
        o.gw = ops_output(ops, 1, sizeof *o.gw), *o.gw = (real)0.75, o.partial = partial;
        ops_term(gw, *o.gw);
        for (ptrdiff_t i = 0; i < 3 * o.items; ++i) {
            partial[i] = 2 * ops_unit(ops) - 1;
            wide factor = i % 3 == 0 ? -1 : i % 3 == 1 ? o.plif.decay_input : *o.plif.v_reset;
            ops_term(gw, partial[i] * factor * slope);
        }
        ops_expect_sums(ops, o.gw, gw);
        ops_run(ops, call_plif_grad, &o);
    }
}

#define CASES(X) X(forward) X(backward) X(count) X(plif_coefficients) X(plif_grad)
#define OPS_ENTRY_(name) OPS_ROW(snn_neuron_kernels, name)
OPS_TABLE(snn_neuron_kernels, CASES)
OPS_TCASE(neuron)
