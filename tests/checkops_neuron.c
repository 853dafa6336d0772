/* SPDX-License-Identifier: Apache-2.0
 * checkops_neuron.c - the scan of spiking layers (layers/neuron.h) to the bit: one neuron and one step at a time here,
 * by the same equations (layers/cells/), which the gradient check and other frameworks' values hold. Surrogates come
 * from surrogates.h; check_backward holds each of them to its formula in long double besides. */
#include "checkops.h"

#include <math.h>
#include <stdlib.h>

#include "cell_reference.h"

enum { RESETS = SNN_RESET_VALUE + 1, STATES = SNN_CELL_STATES, COEFS = SNN_CELL_COEFS };

/* The defaults of a surrogate, of a neuron with another threshold than 1. */
static const real *parameters(struct ops *ops, enum snn_surrogate which) {
    const struct snn_key *key = snn_surrogate_keys((int)which) + 1;
    struct snn_surrogate_options o = {.which = (int)which};
    for (int i = 0; key->name; ++i, ++key) {
        o.n[i] = (long long)strtod(key->value, NULL);
        o.p[i] = key->choices ? (double)NAN : strtod(key->value, NULL);
    }
    real *p = ops_input(ops, SNN_SURROGATE_PARAMS, sizeof *p);
    snn_surrogate_numbers(&o, 0.8, p);
    return p;
}

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

static const struct snn_cell_shape *shape_of(const struct snn_scan *scan) { return &snn_cell_shapes[scan->spec->cell]; }
static const struct cell_reference *cell_of(const struct snn_scan *scan) { return &cell_references[scan->spec->cell]; }

static real fires(const struct snn_scan *scan, real z) { return scan->spec->strict ? z > 0 : z >= 0; }

/* What comes out at z: hard, smooth, or the derivative. */
static real out_of(const struct snn_scan *scan, real z, real (*step)(const struct snn_scan *scan, real z), bool slope) {
    const struct snn_neuron_spec *spec = scan->spec;
    real s = step(scan, z);
    if (spec->firing == SNN_FIRES_NEVER) return slope ? 1 : z;
    if (spec->firing == SNN_FIRES_ROUNDED) {
        real most = (real)spec->levels;
        real per = 1 / *scan->spacing, within = cell_within(z, per, most);
        return slope ? cell_within_slope(z, per, most) : scan->smooth ? within : r_round(within);
    }
    if (spec->firing == SNN_FIRES_GRADED) {
        real per = 1 / *scan->spacing, fired = scan->smooth ? smooth_step(scan, z) : fires(scan, z);
        return slope ? cell_graded_slope(fired, s, z, per) : cell_graded(fired, z, per);
    }
    if (spec->firing == SNN_FIRES_CHANGES)
        return slope ? 1 : scan->smooth ? z + *scan->spacing : cell_changes(spec->strict, z, *scan->spacing);
    if (spec->firing == SNN_FIRES_COUNTED && step == fires) {
        real many = 0;
        while (many < 1000 && fires(scan, z - many * *scan->spacing) != 0) ++many;
        return many < 1000 ? many : cell_counts(spec->strict, z, *scan->spacing, 1 / *scan->spacing);
    }
    if (spec->firing == SNN_FIRES_SIGNED) {
        real other = step(scan, -z - 2 * *scan->spacing);
        return slope ? s + other : s - other;
    }
    for (int k = 1; spec->firing == SNN_FIRES_LEVELS && k < spec->levels; ++k)
        s += step(scan, z - (real)k * *scan->spacing);
    return s;
}
static real spike_of(const struct snn_scan *scan, real z) {
    return out_of(scan, z, scan->smooth ? smooth_step : fires, false);
}

static void coefficients(const struct snn_scan *scan, int32_t t, ptrdiff_t at, real *c) {
    for (int j = 0; j < shape_of(scan)->coefs; ++j)
        c[j] = scan->coef[j].at[t * scan->coef[j].step + at % scan->N / scan->coef[j].inner];
}

static void states_before(const struct snn_scan *scan, ptrdiff_t at, const real *c, real *v) {
    if (!scan->state_in) cell_of(scan)->start(c, scan->spec->options, v);
    for (int j = 0; scan->state_in && j < shape_of(scan)->states; ++j)
        v[j] = scan->state_in[j * scan->B * scan->N + at];
}

struct trace { /* (states,T,B,N); (T,B,N); (states,B,N) after the last step, and (states,T,B,N) before each */
    real *h[STATES], *before[STATES], *s, *frozen, *late, *state;
};

static void scan_neuron(const struct snn_scan *scan, ptrdiff_t at, const struct trace *out) {
    const struct snn_neuron_spec *spec = scan->spec;
    const struct cell_reference *cell = cell_of(scan);
    ptrdiff_t step = scan->B * scan->N;
    real c[COEFS], v[STATES] = {0};
    coefficients(scan, 0, at, c);
    states_before(scan, at, c, v);
    for (int32_t t = 0; t < scan->T; ++t) {
        coefficients(scan, t, at, c);
        ptrdiff_t i = t * step + at;
        real x = scan->x[t * scan->x_step + at], r = spec->delay ? fires(scan, cell->over(c, spec->options, v)) : 0;
        for (int j = 0; j < shape_of(scan)->states; ++j) out->before[j][i] = v[j];
        cell->charge(c, spec->delay ? (int)spec->reset : SNN_RESET_NONE, spec->options, x, r, v);
        for (int j = 0; j < shape_of(scan)->states; ++j) out->h[j][i] = v[j];
        real s = spike_of(scan, cell->over(c, spec->options, v)), resets = s;
        if (scan->smooth == SNN_SMOOTH_REPLAY && spec->detached) resets = scan->frozen[i];
        out->s[i] = s, out->frozen[i] = s, out->late[i] = r;
        cell->settle(c, spec->delay == SNN_DELAY_NEXT ? SNN_RESET_NONE : (int)spec->reset, spec->options, x, s,
                     spec->delay ? resets - r : resets, v);
    }
    for (int j = 0; j < shape_of(scan)->states; ++j) out->state[j * step + at] = v[j];
}

/* gcoef (coefficients,B,N) or NULL; g (states) enters as the gradient after the last step and leaves as that before the
 * first. */
static void scan_backward(const struct snn_scan *scan, ptrdiff_t at, const struct trace *trace, const real *gy,
                          real *gx, real *g, real *gcoef, real *gstep) {
    const struct snn_neuron_spec *spec = scan->spec;
    const struct cell_reference *cell = cell_of(scan);
    ptrdiff_t step = scan->B * scan->N;
    const int stepped = shape_of(scan)->stepped;
    real c[COEFS], gc[COEFS] = {0};
    for (int32_t t = scan->T - 1; t >= 0; --t) {
        coefficients(scan, t, at, c);
        ptrdiff_t i = t * step + at;
        real h[STATES], v[STATES], gk[COEFS] = {0}, gs = gy[i], gr = 0, in = 0, r = trace->late[i], s = trace->s[i];
        real x = scan->x ? scan->x[t * scan->x_step + at] : 0;
        for (int j = 0; j < shape_of(scan)->states; ++j) h[j] = trace->h[j][i], v[j] = trace->before[j][i];
        cell->settle_adjoint(c, spec->delay == SNN_DELAY_NEXT ? SNN_RESET_NONE : (int)spec->reset, spec->options, h, x,
                             s, spec->delay ? s - r : s, g, &gs, &gr, &in, gk);
        real sg = out_of(scan, cell->over(c, spec->options, h), derivative, true);
        cell->charge_adjoint(c, spec->delay ? (int)spec->reset : SNN_RESET_NONE, spec->options, h, v, x, r,
                             (spec->detached ? gs : gs + gr) * sg, g, &in, gk);
        if (stepped >= 0 && gstep) gstep[i] = gk[stepped];
        for (int j = 0; j < shape_of(scan)->coefs; ++j) gc[j] += j == stepped ? 0 : gk[j];
        if (!gx) continue;
        real *to = &gx[t * scan->x_step + at];
        *to = scan->adds || (scan->x_step == 0 && t < scan->T - 1) ? *to + in : in;
    }
    for (int j = 0; gcoef && j < shape_of(scan)->coefs; ++j) gcoef[j * step + at] += scan->wanted >> j & 1 ? gc[j] : 0;
}

/* ---- cases ---- */

/* What is the same for the cases of a scan: everything but the arrays. */
struct scan_case {
    struct snn_neuron_spec spec;
    int32_t T, B;
    ptrdiff_t N;
    enum snn_smooth smooth;
    bool is_static, carried, adds, in_place, sums, all, several /* coefficients differ */;
    bool wants_h, wants_bits, wants_y;
    bool lattice; /* numbers that meet the threshold exactly */
    int32_t cut;  /* steps of a cut; 0: all at once */
    bool ranges;  /* steps one by one through `from` and `to`, as in a recurrent layer */
};

struct scan {
    struct snn_scan s;
    int32_t cut;
    bool gy_is_gx, ranges;
};

/* Any coefficient that keeps numbers small; thresholds and decays that are exact on the lattice. */
static real random_coefficient(struct ops *ops, const struct scan_case *c, int j) {
    const struct snn_cell_shape *shape = &snn_cell_shapes[c->spec.cell];
    if (j == shape->to) return c->spec.reset == SNN_RESET_VALUE ? (real)-0.25 : 0;
    if (j == shape->floor) return (real)-0.5;
    if (j == shape->theta) return c->lattice ? 1 : (real)0.6;
    return c->lattice ? (real)0.5 : (real)(0.2 + 0.7 * ops_unit(ops));
}

static void fill_numbers(struct ops *ops, real *x, ptrdiff_t n, bool lattice, double most) {
    ops_fill(ops, x, n, -0.5 * most, most);
    for (ptrdiff_t i = 0; i < n && lattice; ++i) x[i] = (real)(floor(4 * (double)x[i]) / 4);
}

/* The scan with its inputs; in place, x is an output as well. */
static struct scan begin_scan(struct ops *ops, const struct scan_case *c) {
    struct scan scan = {.cut = c->cut, .ranges = c->ranges};
    const struct snn_cell_shape *shape = &snn_cell_shapes[c->spec.cell];
    ops_begin(
        ops,
        "cell %d, T %d, B %d, N %td, reset %d, strict %d, detached %d, delay %d, firing %d, options %u, surrogate "
        "%s, smooth %d, static %d, carried %d, adds %d, in place %d, several %d, cut %d, ranges %d, outputs "
        "%d%d%d",
        c->spec.cell, c->T, c->B, c->N, c->spec.reset, c->spec.strict, c->spec.detached, c->spec.delay, c->spec.firing,
        c->spec.options, snn_surrogate_names[c->spec.surrogate], c->smooth, c->is_static, c->carried, c->adds,
        c->in_place, c->several, c->cut, c->ranges, c->wants_h, c->wants_bits, c->wants_y);
    struct snn_neuron_spec *spec = ops_input(ops, 1, sizeof *spec);
    *spec = c->spec;
    const real *p = parameters(ops, spec->surrogate);
    real *spacing = ops_input(ops, 1, sizeof *spacing);
    *spacing = (real)0.5;
    ptrdiff_t step = c->B * c->N, n = c->T * step;
    scan.s = (struct snn_scan){.spec = spec,
                               .T = c->T,
                               .B = c->B,
                               .to = c->T,
                               .N = c->N,
                               .surrogate = p,
                               .spacing = spacing,
                               .smooth = c->smooth,
                               .adds = c->adds};
    scan.s.x_step = c->is_static ? 0 : step, scan.s.words = (int32_t)((c->N + 63) / 64);
    ptrdiff_t each = (shape->coefs + c->T) * c->N; /* one may differ from step to step: the last */
    real *numbers = ops_input(ops, each, sizeof *numbers);
    for (int j = 0; j < shape->coefs; ++j) {
        ptrdiff_t inner = !c->several ? c->N : j % 3 == 0 ? c->N : j % 3 == 1 ? 1 : c->N % 3 == 0 ? 3 : 1;
        ptrdiff_t count = c->N / inner, steps = j == shape->stepped ? c->T : 1;
        scan.s.coef[j] = (struct snn_coef){numbers + j * c->N, inner, steps > 1 ? count : 0};
        for (ptrdiff_t i = 0; i < steps * count; ++i) numbers[j * c->N + i] = random_coefficient(ops, c, j);
    }
    if (c->carried) {
        real *state = ops_input(ops, shape->states * step, sizeof *state);
        fill_numbers(ops, state, shape->states * step, c->lattice, 1.5);
        scan.s.state_in = state;
    }
    real *x = (c->in_place ? ops_output : ops_input)(ops, c->is_static ? step : n, sizeof *x);
    fill_numbers(ops, x, c->is_static ? step : n, c->lattice, 2.5);
    scan.s.x = x;
    if (c->smooth == SNN_SMOOTH_REPLAY) {
        scan.s.frozen = ops_input(ops, n, sizeof *scan.s.frozen);
        for (ptrdiff_t i = 0; i < n; ++i) scan.s.frozen[i] = (real)ops_unit(ops);
    }
    return scan;
}

static struct trace new_trace(struct ops *ops, const struct snn_scan *scan) {
    ptrdiff_t n = scan->T * scan->B * scan->N;
    struct trace trace = {.s = ops_memory(ops, n, sizeof(real)),
                          .frozen = ops_memory(ops, n, sizeof(real)),
                          .late = ops_memory(ops, n, sizeof(real)),
                          .state = ops_memory(ops, STATES * scan->B * scan->N, sizeof(real))};
    for (int j = 0; j < STATES; ++j)
        trace.h[j] = ops_memory(ops, n, sizeof(real)), trace.before[j] = ops_memory(ops, n, sizeof(real));
    return trace;
}

/* Whole, or cut by cut with the states handed on through memory of the call. */
static void call_forward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct scan *scan = argument;
    ptrdiff_t step = scan->s.B * scan->s.N;
    real *state[2] = {NULL, NULL};
    bool parts = scan->cut || scan->ranges;
    for (int i = 0; i < 2 && parts; ++i) state[i] = ops_scratch(ops, STATES * (size_t)step * sizeof(real));
    int32_t T = scan->ranges ? 1 : scan->cut ? scan->cut : scan->s.T;
    for (int32_t t = 0, cut = 0; t < scan->s.T; t += T, ++cut) {
        struct snn_scan part = scan->s;
        int32_t end = t + T < scan->s.T ? t + T : scan->s.T;
        if (scan->ranges) {
            part.from = t, part.to = end;
        } else {
            part.T = part.to = end - t;
            part.x += t * part.x_step;
            for (int j = 0; j < COEFS; ++j)
                if (part.coef[j].step) part.coef[j].at += t * part.coef[j].step;
            for (int j = 0; j < STATES; ++j)
                if (part.h[j]) part.h[j] += t * step;
            if (part.y) part.y += t * step;
            if (part.late) part.late += t * step;
            if (part.bits) part.bits += (ptrdiff_t)t * part.B * part.words;
            if (part.frozen) part.frozen += t * step;
        }
        if (cut > 0) part.state_in = state[cut & 1];
        if (end < scan->s.T) part.state_out = state[~cut & 1];
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
    for (int j = 0; j < shape_of(s)->states; ++j) {
        if (c->in_place && j == 0) s->h[j] = (real *)s->x;
        else if (c->wants_h && !(shape_of(s)->idle(c->spec.options) >> j & 1))
            s->h[j] = ops_output(ops, n, sizeof(real));
        if (s->h[j]) ops_expect(ops, s->h[j], trace.h[j]);
    }
    if (c->wants_h && c->spec.delay == SNN_DELAY_TWICE) {
        s->late = ops_output(ops, n, sizeof *s->late);
        ops_expect(ops, s->late, trace.late);
    }
    if (c->wants_y || c->smooth || c->spec.firing != SNN_FIRES_ONCE) {
        s->y = ops_output(ops, n, sizeof *s->y);
        ops_expect(ops, s->y, trace.s);
    }
    if (c->wants_bits && c->spec.firing == SNN_FIRES_ONCE) {
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
    s->state_out = ops_output(ops, shape_of(s)->states * step, sizeof *s->state_out);
    ops_expect(ops, s->state_out, trace.state);
    ops_run(ops, call_forward, &scan);
}

static void call_backward(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct scan *scan = argument;
    struct snn_scan s = scan->s;
    ptrdiff_t states = shape_of(&s)->states * s.B * s.N;
    real *g[2] = {NULL, NULL}, *end = s.gstate_out;
    if (scan->gy_is_gx) s.gy = s.gx;
    for (int i = 0; i < 2 && scan->ranges; ++i) g[i] = ops_scratch(ops, (size_t)states * sizeof(real));
    for (int32_t t = scan->ranges ? s.T - 1 : 0; t >= 0; --t) {
        if (scan->ranges) {
            s.from = t, s.to = t + 1;
            if (t < s.T - 1) s.gstate_in = g[~t & 1];
            s.gstate_out = t ? g[t & 1] : end;
        }
        device->neuron->backward(device, &s);
    }
}

/* h comes from the reference's forward pass. */
static void backward_case(struct ops *ops, const struct scan_case *c) {
    if (c->smooth && ops->on_card) return;
    struct scan_case apart = *c;
    apart.in_place = false;
    struct scan scan = begin_scan(ops, &apart);
    struct snn_scan *s = &scan.s;
    const struct snn_cell_shape *shape = shape_of(s);
    struct trace trace = new_trace(ops, s);
    ptrdiff_t step = c->B * c->N, n = c->T * step, x_n = c->is_static ? step : n;
    bool all = c->all || c->sums || c->spec.delay || c->spec.options & CELL_HAS_FLOOR;
    for (ptrdiff_t at = 0; at < step; ++at) scan_neuron(s, at, &trace);
    if (c->smooth == SNN_SMOOTH_RECORD) {
        s->frozen = ops_input(ops, n, sizeof *s->frozen);
        memcpy(s->frozen, trace.frozen, (size_t)n * sizeof *s->frozen);
    }
    for (int j = 0; j < shape->states; ++j) {
        if ((!all && !(shape->keeps & 1u << j)) || shape->idle(c->spec.options) >> j & 1) continue;
        s->h[j] = ops_input(ops, n, sizeof(real));
        memcpy(s->h[j], trace.h[j], (size_t)n * sizeof(real));
    }
    if (c->spec.delay == SNN_DELAY_TWICE) {
        s->late = ops_input(ops, n, sizeof *s->late);
        memcpy(s->late, trace.late, (size_t)n * sizeof *s->late);
    }
    if (!c->sums && !shape->reads_x) s->x = NULL; /* a forward pass in place has overwritten it */
    real *gx = ops_memory(ops, x_n, sizeof *gx), *g = ops_memory(ops, STATES * step, sizeof *g);
    s->gx = ops_output(ops, x_n, sizeof *s->gx);
    if (c->in_place || c->adds) ops_fill(ops, s->gx, x_n, -1, 1);
    memcpy(gx, s->gx, (size_t)x_n * sizeof *gx);
    scan.gy_is_gx = c->in_place;
    s->gy = c->in_place ? s->gx : ops_reals(ops, n);
    if (c->carried) {
        s->gstate_in = ops_reals(ops, shape->states * step);
        memcpy(g, s->gstate_in, (size_t)(shape->states * step) * sizeof *g);
    }
    real *gcoef = NULL, *gstep = NULL;
    if (c->sums && shape->stepped >= 0) {
        s->gstep = ops_output(ops, n, sizeof *gstep);
        gstep = ops_memory(ops, n, sizeof *gstep);
        ops_expect(ops, s->gstep, gstep);
    }
    if (c->sums) {
        s->wanted = ops_below(ops, 3) ? 1u << ops_below(ops, 2) : ~0u >> (32 - shape->coefs);
        s->gcoef = ops_output(ops, shape->coefs * step, sizeof *gcoef);
        ops_fill(ops, s->gcoef, shape->coefs * step, -1, 1);
        gcoef = ops_memory(ops, shape->coefs * step, sizeof *gcoef);
        memcpy(gcoef, s->gcoef, (size_t)(shape->coefs * step) * sizeof *gcoef);
    }
    const real *gy = s->gy;
    for (ptrdiff_t at = 0; at < step; ++at) {
        real mine[STATES];
        for (int j = 0; j < shape->states; ++j) mine[j] = g[j * step + at];
        scan_backward(s, at, &trace, gy, gx, mine, c->ranges ? NULL : gcoef, gstep);
        for (int j = 0; j < shape->states; ++j) g[j * step + at] = mine[j];
    }
    ops_expect(ops, s->gx, gx);
    s->gstate_out = ops_output(ops, shape->states * step, sizeof *s->gstate_out);
    ops_expect(ops, s->gstate_out, g);
    if (c->sums) ops_expect(ops, s->gcoef, gcoef);
    ops_run(ops, call_backward, &scan);
}

/* Every convention with every surrogate on a small scan, then shapes, then ways to use the arrays. */
typedef void one_case(struct ops *ops, const struct scan_case *c);

static bool coin(struct ops *ops) { return ops_below(ops, 2); }

/* What a model of the cell always asks of it, which loops are made for. */
static unsigned flags_of_a_model(struct ops *ops, int cell) {
    unsigned flags = 0, seen = 0;
    for (const struct snn_neuron_model *m = snn_neuron_models; m->name; ++m)
        if ((int)m->cell == cell && ops_below(ops, ++seen) == 0) flags = m->flags;
    return flags;
}

/* Any of what a model may ask of a cell. */
static struct snn_neuron_spec random_spec(struct ops *ops, int cell) {
    struct snn_neuron_spec spec = {.cell = cell,
                                   .reset = ops_below(ops, RESETS),
                                   .delay = ops_below(ops, 3),
                                   .strict = coin(ops),
                                   .detached = coin(ops),
                                   .levels = 2 + (int)ops_below(ops, 3),
                                   .surrogate = ops_below(ops, SNN_SURROGATE_COUNT),
                                   .options = coin(ops) ? ops_below(ops, cell == SNN_CELL_nonlinear ? 64 : 8)
                                                        : flags_of_a_model(ops, cell)};
    if (snn_cell_shapes[cell].floor >= 0 && coin(ops)) spec.options |= CELL_HAS_FLOOR;
    if (ops_below(ops, 4) == 0) spec.firing = 1 + ops_below(ops, SNN_FIRES_CHANGES);
    return spec;
}

static void every_convention(struct ops *ops, one_case *check) {
    for (int k = 0; k < SNN_CELL_COUNT * RESETS * 3 * 8; ++k) {
        struct scan_case c = {
            .T = 4, .B = 2, .N = 67, .wants_h = true, .wants_bits = true, .wants_y = coin(ops), .lattice = coin(ops)};
        c.spec = random_spec(ops, k / (RESETS * 3 * 8));
        c.spec.reset = k / 8 % RESETS, c.spec.delay = k / 8 / RESETS % 3, c.spec.strict = k & 1;
        c.spec.detached = k >> 1 & 1, c.sums = k >> 2 & 1, c.carried = coin(ops), c.several = coin(ops);
        check(ops, &c);
        for (int smooth = SNN_SMOOTH_RECORD; smooth <= SNN_SMOOTH_REPLAY; ++smooth) {
            struct scan_case d = c;
            d.smooth = smooth, d.wants_bits = false, d.wants_y = true, d.N = 5, d.T = 3;
            if (check == forward_case || smooth == SNN_SMOOTH_RECORD) check(ops, &d);
        }
    }
    for (int k = 0; k < SNN_SURROGATE_COUNT; ++k) {
        struct scan_case c = {.T = 3, .B = 2, .N = 70, .wants_h = true, .wants_y = true};
        c.spec = random_spec(ops, 0);
        c.spec.surrogate = k;
        check(ops, &c);
    }
    for (int k = 0; k < 8 * SNN_CELL_COUNT; ++k) { /* neurons that do not spike */
        struct scan_case c = {.spec = {.cell = k / 8, .reset = SNN_RESET_NONE, .firing = SNN_FIRES_NEVER},
                              .T = 5,
                              .B = 3,
                              .N = 66,
                              .wants_y = true,
                              .wants_h = coin(ops),
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
        c.spec = random_spec(ops, (int)ops_below(ops, SNN_CELL_COUNT));
        c.sums = coin(ops), c.several = coin(ops), c.B = 1 + (int32_t)ops_below(ops, 3);
        c.wants_h = coin(ops), c.wants_bits = true, c.wants_y = coin(ops);
        check(ops, &c);
    }
}

static void every_use(struct ops *ops, one_case *check) {
    for (int k = 0; k < 256; ++k) {
        struct scan_case c = {.T = 5, .B = 2, .N = 130, .lattice = coin(ops)};
        c.spec = random_spec(ops, k % SNN_CELL_COUNT);
        c.is_static = k >> 2 & 1, c.carried = k >> 3 & 1, c.adds = k >> 4 & 1, c.in_place = k >> 5 & 1;
        c.ranges = k >> 6 & 1, c.wants_h = k >> 7 & 1, c.cut = c.ranges ? 0 : (int32_t)ops_below(ops, 5);
        c.wants_bits = coin(ops), c.wants_y = coin(ops), c.several = coin(ops), c.all = coin(ops);
        c.sums = coin(ops) && !c.ranges;
        if (c.in_place && (c.is_static || c.adds)) continue; /* what is read at every step cannot be overwritten */
        if (c.ranges && c.is_static && check == backward_case) continue; /* a recurrent layer gathers by itself */
        check(ops, &c);
    }
}

static void check_forward(struct ops *ops) {
    every_convention(ops, forward_case);
    every_shape(ops, forward_case);
    every_use(ops, forward_case);
}

/* ---- surrogates against their formulas ---- */

static wide normal(wide x, wide mu, wide sigma) {
    return expl(-(x - mu) * (x - mu) / (2 * sigma * sigma)) /
           (sigma * sqrtl(2 * 3.14159265358979323846264338327950288L));
}

static wide formula(enum snn_surrogate which, wide x, const real *p) {
    const wide pi = 3.14159265358979323846264338327950288L, a = p[0], b = p[1], c = p[2];
    wide size = fabsl(x), logistic = 1 / (1 + expl(-a * x)), sum = 0;
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
        return c * normal(x, b, a);
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
        return b * a / 2 * expl(-a * size);
    case SNN_SURROGATE_piecewise_leaky_relu:
        return size < a ? 1 / (2 * a) : b;
    case SNN_SURROGATE_nonzero_sign_log_abs:
        return 1 / (1 / a + size);
    case SNN_SURROGATE_s2nn:
        return x < 0 ? a * logistic * (1 - logistic) : b / (1 + x);
    case SNN_SURROGATE_q_pseudo_spike:
        return powl(1 + 2 * size / (a - 1), -a);
    case SNN_SURROGATE_leaky_k_relu:
        return x >= 0 ? b : a;
    case SNN_SURROGATE_log_tailed_relu:
        return x <= 0 ? a : x <= 1 ? 1 : 1 / x;
    case SNN_SURROGATE_fake_numerical_gradient:
        return size * a > 1 ? 1 / size : a;
    case SNN_SURROGATE_squarewave_fourier:
        for (int i = 1; i < a; ++i) sum += cosl((2 * i - 1) * 2 * pi * x / b);
        return 4 / b * sum;
    case SNN_SURROGATE_heaviside:
        return x > 0;
    case SNN_SURROGATE_spike_rate_escape:
        return b * expl(-a * fabsl(x - 1));
    case SNN_SURROGATE_sfs:
        return x > b ? powl(1 + a * size, -2) : 0;
    case SNN_SURROGATE_tanh:
        return 1 - powl(tanhl(a * x), 2);
    case SNN_SURROGATE_heavi_erfc:
        return 2 / sqrtl(pi) * expl(-powl(a * x, 2));
    case SNN_SURROGATE_circ:
        return powl(a, 3) / powl(a * a + x * x, 1.5L);
    case SNN_SURROGATE_esser:
        return size < b ? a / b * (1 - size / b) : 0;
    case SNN_SURROGATE_multi_gaussian:
        return p[3] * ((1 + b) * normal(x, p[4], a) - b * normal(x, a, c * a) - b * normal(x, -a, c * a));
    case SNN_SURROGATE_single_exponential:
        return b / (a * c) * expl(-size / (a * c));
    case SNN_SURROGATE_periodic_exponential:
        return b * expl(-(x < 0 ? size : 2 * fabsl(x - c * roundl(x / c))) / a);
    case SNN_SURROGATE_heaviside_window:
        return x >= -a ? 1 / b : 0;
    case SNN_SURROGATE_lava:
        return b / 10 / (200 * a * c) * expl(-size / (100 * a * c));
    case SNN_SURROGATE_COUNT:
        break;
    }
    return NAN;
}

/* With one step, no decay and gy 1, gx is the surrogate itself. Within 8 eps of its largest value. */
static void surrogate_case(struct ops *ops, enum snn_surrogate which) {
    enum { POINTS = 1201 };
    struct snn_neuron_spec spec = {.cell = SNN_CELL_lif, .reset = SNN_RESET_NONE, .surrogate = which};
    ops_begin(ops, "formula of %s", snn_surrogate_names[which]);
    real *k = ops_input(ops, lif_COEFS, sizeof *k);
    k[LIF_BETA] = (real)0.5, k[LIF_KAPPA] = k[LIF_THETA] = 1;
    const real *p = parameters(ops, which);
    real *u = ops_input(ops, POINTS, sizeof *u), *gy = ops_input(ops, POINTS, sizeof *gy);
    struct ops_sum *gx = ops_memory(ops, POINTS, sizeof *gx);
    wide top = 0;
    for (int i = 0; i < POINTS; ++i) {
        u[i] = 1 + (real)((i - POINTS / 2) * 0.00503), gy[i] = 1;
        gx[i] = (struct ops_sum){formula(which, (wide)u[i] - 1, p), 0, 3};
        top = fmaxl(top, fabsl(gx[i].value));
    }
    for (int i = 0; i < POINTS; ++i) gx[i].terms = top;
    struct scan scan = {
        .s = {
            .spec = &spec, .T = 1, .B = 1, .to = 1, .N = POINTS, .surrogate = p, .x_step = POINTS, .h = {u}, .gy = gy}};
    for (int j = 0; j < lif_COEFS; ++j) scan.s.coef[j] = (struct snn_coef){k + j, POINTS, 0};
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
    ptrdiff_t rows, N;
    struct snn_rows rows_of;
    int32_t words, B;
    const uint64_t *bits;
    int32_t *nonzero;
    struct snn_coef_learned how;
    const real *w, *gcoef;
    real *out;
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

static const double numbers[] = {-6, -1, -0.3, 0, 0.5, 0.9, 2, 8, 40};

/* In long double: the coefficient and its slope. */
static wide coefficient(const struct snn_coef_learned *how, wide w, bool slope) {
    wide s = 1 / (1 + expl(-w)), inside = w >= how->low && w <= how->high;
    switch (how->form) {
    case SNN_COEF_CLAMPED:
        return slope ? inside : fminl(fmaxl(w, how->low), how->high);
    case SNN_COEF_LOGISTIC:
        return slope ? s * (1 - s) : s;
    case SNN_COEF_REST:
        return slope ? -s * (1 - s) : 1 - s;
    default:
        if (w < how->low)
            return slope ? 0 : how->form == SNN_COEF_EXP ? expl(-1 / (wide)how->low) : 1 - 1 / (wide)how->low;
        if (how->form == SNN_COEF_EXP) return slope ? expl(-1 / w) / (w * w) : expl(-1 / w);
        return slope ? 1 / (w * w) : 1 - 1 / w;
    }
}

static struct other begin_learned(struct ops *ops, int form, ptrdiff_t count, ptrdiff_t inner) {
    struct other o = {.N = count * inner,
                      .how = {.form = form, .count = count, .inner = inner, .low = 0.25, .high = 0.875}};
    ops_begin(ops, "form %d, %td numbers for %td neurons each", form, count, inner);
    real *w = ops_input(ops, count, sizeof *w);
    for (ptrdiff_t k = 0; k < count; ++k) w[k] = (real)numbers[k % OPS_COUNT(numbers)];
    o.w = w;
    return o;
}

static void call_coefficients(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->coefficients(device, &o->how, o->w, o->out);
}

static void check_coefficients(struct ops *ops) {
    static const ptrdiff_t counts[] = {1, 9, 300};
    for (int k = 0; k < OPS_COUNT(counts) * (SNN_COEF_EULER + 1); ++k) {
        struct other o = begin_learned(ops, k / OPS_COUNT(counts), counts[k % OPS_COUNT(counts)], 2);
        struct ops_sum *sums = ops_memory(ops, o.how.count, sizeof *sums);
        for (ptrdiff_t i = 0; i < o.how.count; ++i)
            sums[i] = (struct ops_sum){coefficient(&o.how, o.w[i], false), 1, 0};
        o.out = ops_output(ops, o.how.count, sizeof *o.out);
        ops_expect_sums(ops, o.out, sums);
        ops_run(ops, call_coefficients, &o);
    }
}

static void call_coefficients_grad(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->coefficients_grad(device, &o->how, o->B, o->N, o->w, o->gcoef, o->out);
}

static void check_coefficients_grad(struct ops *ops) {
    static const ptrdiff_t counts[] = {1, 9, 70}, inners[] = {1, 5, 300};
    for (int k = 0; k < 9 * (SNN_COEF_EULER + 1); ++k) {
        struct other o = begin_learned(ops, k / 9, counts[k % 3], inners[k / 3 % 3]);
        o.B = 1 + (int32_t)ops_below(ops, 4);
        o.gcoef = ops_reals(ops, o.B * o.N);
        o.out = ops_output(ops, o.how.count, sizeof *o.out);
        ops_fill(ops, o.out, o.how.count, -1, 1);
        struct ops_sum *sums = ops_memory(ops, o.how.count, sizeof *sums);
        for (ptrdiff_t i = 0; i < o.how.count; ++i) {
            ops_term(&sums[i], o.out[i]);
            for (ptrdiff_t j = 0; j < o.B * o.how.inner; ++j)
                ops_term(&sums[i], coefficient(&o.how, o.w[i], true) *
                                       o.gcoef[j / o.how.inner * o.N + i * o.how.inner + j % o.how.inner]);
        }
        ops_expect_sums(ops, o.out, sums);
        ops_run(ops, call_coefficients_grad, &o);
    }
}

static void call_zero_diagonal(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->zero_diagonal(device, o->N, o->out);
}

static void check_zero_diagonal(struct ops *ops) {
    static const ptrdiff_t sizes[] = {1, 2, 17, 300};
    for (int k = 0; k < OPS_COUNT(sizes); ++k) {
        struct other o = {.N = sizes[k]};
        ops_begin(ops, "%td by %td", o.N, o.N);
        o.out = ops_output(ops, o.N * o.N, sizeof *o.out);
        real *w = ops_memory(ops, o.N * o.N, sizeof *w);
        ops_fill(ops, o.out, o.N * o.N, -1, 1);
        memcpy(w, o.out, (size_t)(o.N * o.N) * sizeof *w);
        for (ptrdiff_t i = 0; i < o.N; ++i) w[i * o.N + i] = 0;
        ops_expect(ops, o.out, w);
        ops_run(ops, call_zero_diagonal, &o);
    }
}

/* ---- neurons that hear themselves alone ---- */

static void call_itself(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->itself(device, o->B, o->N, &o->rows_of, o->w, o->gcoef, o->out);
}
static void call_itself_grad_input(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->itself_grad_input(device, o->B, o->N, o->w, o->gcoef, o->out);
}
static void call_itself_grad_weight(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct other *o = argument;
    (void)ops;
    device->neuron->itself_grad_weight(device, o->rows, o->N, &o->rows_of, o->gcoef, o->out);
}

/* Rows of spikes, of any size, and as bits or numbers. */
static struct other begin_itself(struct ops *ops, int k, const real **s) {
    static const ptrdiff_t rows[] = {1, 2, 7, 40}, units[] = {1, 3, 31, 33, 64, 129, 700};
    struct other o = {.rows = rows[k / 2 % 4], .N = units[k / 8]};
    ops_begin(ops, "%td rows of %td that hear themselves, %s", o.rows, o.N, k % 2 ? "bits" : "numbers");
    struct ops_rows heard = ops_rows(ops, o.rows, o.N, k % 2 ? 0.4 : -1);
    o.rows_of = heard.rows, o.B = (int32_t)o.rows, *s = heard.dense;
    o.w = ops_reals(ops, o.N), o.gcoef = ops_reals(ops, o.rows * o.N);
    return o;
}
enum { ITSELF_CASES = 8 * 7 };

static void check_itself(struct ops *ops) {
    for (int k = 0; k < ITSELF_CASES; ++k) {
        const real *s;
        struct other o = begin_itself(ops, k, &s);
        real *out = ops_memory(ops, o.rows * o.N, sizeof *out);
        for (ptrdiff_t i = 0; i < o.rows * o.N; ++i) out[i] = o.gcoef[i] + o.w[i % o.N] * s[i];
        o.out = ops_output(ops, o.rows * o.N, sizeof *o.out);
        ops_expect(ops, o.out, out);
        ops_run(ops, call_itself, &o);
    }
}

static void check_itself_grad_input(struct ops *ops) {
    for (int k = 0; k < ITSELF_CASES; k += 2) {
        const real *s;
        struct other o = begin_itself(ops, k, &s);
        real *out = ops_memory(ops, o.rows * o.N, sizeof *out);
        o.out = ops_output(ops, o.rows * o.N, sizeof *o.out);
        ops_fill(ops, o.out, o.rows * o.N, -1, 1);
        for (ptrdiff_t i = 0; i < o.rows * o.N; ++i) out[i] = o.out[i] + o.w[i % o.N] * o.gcoef[i];
        ops_expect(ops, o.out, out);
        ops_run(ops, call_itself_grad_input, &o);
    }
}

static void check_itself_grad_weight(struct ops *ops) {
    for (int k = 0; k < ITSELF_CASES; ++k) {
        const real *s;
        struct other o = begin_itself(ops, k, &s);
        struct ops_sum *sums = ops_memory(ops, o.N, sizeof *sums);
        o.out = ops_output(ops, o.N, sizeof *o.out);
        ops_fill(ops, o.out, o.N, -1, 1);
        for (ptrdiff_t i = 0; i < o.N; ++i) ops_term(&sums[i], o.out[i]);
        for (ptrdiff_t i = 0; i < o.rows * o.N; ++i) ops_term(&sums[i % o.N], (wide)o.gcoef[i] * s[i]);
        ops_expect_sums(ops, o.out, sums);
        ops_run(ops, call_itself_grad_weight, &o);
    }
}

struct noise {
    struct snn_noise of;
    real *out;
};

static void call_draw(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct noise *d = argument;
    (void)ops;
    device->neuron->draw(device, &d->of, d->out);
}

static void check_draw(struct ops *ops) {
    static const ptrdiff_t sizes[] = {1, 2, 3, 4, 5, 33, 127};
    for (int k = 0; k < 3 * OPS_COUNT(sizes); ++k) {
        ptrdiff_t N = sizes[k % OPS_COUNT(sizes)];
        struct noise d = {.of = {.T = 1 + k % 4, .B = 1 + k % 3, .t0 = k % 2 ? 0 : k, .N = N}};
        uint64_t seed = 0x123456789ABCDEFu + (uint64_t)k;
        uint32_t blocks = (uint32_t)((N + 3) / 4);
        ops_begin(ops, "%d steps from %d of %d samples of %td neurons", d.of.T, d.of.t0, d.of.B, N);
        uint32_t *clock = ops_input(ops, 3, sizeof *clock);
        clock[0] = (uint32_t)seed, clock[1] = (uint32_t)(seed >> 32), clock[2] = 40 + (uint32_t)k;
        int32_t *sample = ops_input(ops, d.of.B, sizeof *sample);
        for (int32_t b = 0; b < d.of.B; ++b) sample[b] = (int32_t)ops_below(ops, 60000);
        real *width = ops_input(ops, 1, sizeof *width);
        *width = (real)(0.25 * (1 + k));
        d.of.clock = clock, d.of.sample = sample, d.of.width = width, d.of.purpose = SNN_RNG_NOISE | (uint32_t)k << 8;
        ptrdiff_t rows = d.of.T * d.of.B;
        struct ops_sum *sums = ops_memory(ops, rows * N, sizeof *sums);
        for (ptrdiff_t r = 0; r < rows; ++r)
            for (ptrdiff_t i = 0; i < N; ++i) {
                uint32_t word = snn_rng_u32(seed, d.of.purpose, clock[2], (uint32_t)sample[r % d.of.B],
                                            (uint32_t)(d.of.t0 + r / d.of.B) * blocks * 4 + (uint32_t)i);
                wide u = ((wide)(word >> 9) + 0.5L) / 8388608;
                ops_term(&sums[r * N + i], *width * logl(u)), ops_term(&sums[r * N + i], -*width * logl(1 - u));
            }
        d.out = ops_output(ops, rows * N, sizeof *d.out);
        ops_expect_sums(ops, d.out, sums);
        ops_run(ops, call_draw, &d);
    }
}

#define CASES(X)                                                                                                       \
    X(forward)                                                                                                         \
    X(backward)                                                                                                        \
    X(draw)                                                                                                            \
    X(count)                                                                                                           \
    X(coefficients) X(coefficients_grad) X(zero_diagonal) X(itself) X(itself_grad_input) X(itself_grad_weight)
#define OPS_ENTRY_(name) OPS_ROW(snn_neuron_kernels, name)
OPS_TABLE(snn_neuron_kernels, CASES)
OPS_TCASE(neuron)
