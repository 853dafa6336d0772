/* SPDX-License-Identifier: Apache-2.0
 * checkops_optim.c - the loops of the optimisers (optim/optim_kernels.h). What a rule does to one weight is compared
 * with PyTorch elsewhere (test_optim); here every weight of a long array must get exactly that. */
#include "checkops.h"

#include "optim/optim_kernels.h"
#include "optim/optim_rules.h"

static const ptrdiff_t lengths[] = {0,  1,  2,   7,   15,    17,    31,    32,           33,
                                    63, 65, 511, 513, 16383, 16384, 16385, 5 * 16384 + 7};

struct optim {
    int rule;
    ptrdiff_t n;
    const real *grad, *scalar;
    real *value, *slot[3];
    double *out, max_norm;
    const double *squares, *loss;
    const uint32_t *clock;
    struct snn_gate *gate;
};

static void call_step(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->step(device, o->rule, o->n, o->value, o->grad, o->slot, o->scalar, o->gate);
}

static const int states_of_rule[] = {
#define X(name, states) states,
    SNN_OPTIM_RULES(X)
#undef X
};

static real apply_rule(int rule, real w, real g, real *s, const real *k) {
    switch ((enum snn_optim_rule)rule) {
#define X(name, states)                                                                                                \
    case SNN_RULE_##name:                                                                                              \
        return snn_rule_##name(w, g, s, k);
        SNN_OPTIM_RULES(X)
#undef X
    case SNN_RULE_COUNT:
        break;
    }
    return 0;
}

static struct snn_gate *gate_of(struct ops *ops, double factor, bool stopped) {
    struct snn_gate *gate = ops_input(ops, 1, sizeof *gate);
    gate->norm = 1, gate->factor = (real)factor, gate->stopped = stopped;
    return gate;
}

static void step_case(struct ops *ops, int rule, ptrdiff_t n, bool stopped) {
    struct optim o = {.rule = rule, .n = n};
    ops_begin(ops, "rule %d, %td weights, stopped %d", rule, n, stopped);
    o.gate = gate_of(ops, 0.5, stopped);
    real *scalar = ops_input(ops, SNN_OPTIM_SCALARS, sizeof *scalar);
    ops_fill(ops, scalar, SNN_OPTIM_SCALARS, 0.01, 1);
    o.scalar = scalar, o.grad = ops_reals(ops, n), o.value = ops_output(ops, n, sizeof *o.value);
    ops_fill(ops, o.value, n, -1, 1);
    real *value = ops_memory(ops, n, sizeof *value), *slot[3] = {0};
    for (int k = 0; k < states_of_rule[rule]; ++k) {
        o.slot[k] = ops_output(ops, n, sizeof *o.slot[k]), slot[k] = ops_memory(ops, n, sizeof *slot[k]);
        ops_fill(ops, o.slot[k], n, 0.1, 1);
        ops_expect(ops, o.slot[k], slot[k]);
    }
    for (ptrdiff_t i = 0; i < n; ++i) {
        real s[3] = {0};
        for (int k = 0; k < states_of_rule[rule]; ++k) s[k] = o.slot[k][i];
        value[i] = stopped ? o.value[i] : apply_rule(rule, o.value[i], o.grad[i], s, scalar);
        for (int k = 0; k < states_of_rule[rule]; ++k) slot[k][i] = s[k];
    }
    ops_expect(ops, o.value, value);
    ops_run(ops, call_step, &o);
}

static void check_step(struct ops *ops) {
    for (int rule = 0; rule < SNN_RULE_COUNT; ++rule)
        for (int i = 0; i < OPS_COUNT(lengths); ++i) {
            step_case(ops, rule, lengths[i], false);
            if (i % 4 == 1) step_case(ops, rule, lengths[i], true);
        }
}

static void call_sum_of_squares(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->sum_of_squares(device, o->n, o->grad, o->out);
}

static void check_sum_of_squares(struct ops *ops) {
    for (int i = 0; i <= OPS_COUNT(lengths); ++i) { /* the last: more blocks than the sums that are kept */
        struct optim o = {.n = i < OPS_COUNT(lengths) ? lengths[i] : 257 * 16384 + 1};
        ops_begin(ops, "%td gradients", o.n);
        real *grad = ops_input(ops, o.n, sizeof *grad);
        for (ptrdiff_t k = 0; k < o.n; ++k) grad[k] = (real)((k * 7919 % 1009 - 500) * 0.001);
        struct ops_sum *sum = ops_memory(ops, 1, sizeof *sum);
        for (ptrdiff_t k = 0; k < o.n; ++k) ops_term(sum, (wide)grad[k] * grad[k]);
        o.grad = grad, o.out = ops_output(ops, 1, sizeof *o.out);
        ops_expect_double_sums(ops, o.out, sum, DBL_EPSILON);
        ops_run(ops, call_sum_of_squares, &o);
    }
}

static void call_scale(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->scale(device, o->n, o->value, o->gate);
}

static void check_scale(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(lengths); ++i) {
        struct optim o = {.n = lengths[i / 2]};
        double factor = i % 2 ? 0.3 : 1;
        ops_begin(ops, "%td gradients by %g", o.n, factor);
        real *scaled = ops_memory(ops, o.n, sizeof *scaled);
        o.gate = gate_of(ops, factor, false), o.value = ops_output(ops, o.n, sizeof *o.value);
        ops_fill(ops, o.value, o.n, -1, 1);
        for (ptrdiff_t k = 0; k < o.n; ++k) scaled[k] = o.value[k] * (real)factor;
        ops_expect(ops, o.value, scaled);
        ops_run(ops, call_scale, &o);
    }
}

static void call_gate(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->gate(device, (int)o->n, o->squares, o->max_norm, o->loss, o->clock, o->gate);
}

static void check_gate(struct ops *ops) {
    static const struct {
        double square[3], loss, max_norm;
        bool was_stopped, stops;
        double norm, factor;
    } cases[] = {
        {{9, 16, 0}, 1, INFINITY, false, false, 5, 1},
        {{9, 16, 0}, 1, 1, false, false, 5, 1 / (5 + 1e-6)},
        {{9, 16, 0}, 1, 5.1, false, false, 5, 1},
        {{0, 0, 0}, 0, 1, false, false, 0, 1},
        {{9, NAN, 0}, 1, 1, false, true, NAN, 1},
        {{9, INFINITY, 0}, 1, 1, false, true, INFINITY, 0},
        {{9, 16, 0}, NAN, 1, false, true, 5, 1 / (5 + 1e-6)},
        {{9, 16, 0}, INFINITY, INFINITY, false, true, 5, 1},
        {{9, 16, 0}, 1, INFINITY, true, true, 5, 1},
    };
    for (int i = 0; i < 2 * OPS_COUNT(cases); ++i) {
        struct optim o = {.n = 3, .max_norm = cases[i / 2].max_norm};
        bool has_loss = i % 2;
        ops_begin(ops, "gate %d, loss %d", i / 2, has_loss);
        double *squares = ops_input(ops, 3, sizeof *squares), *loss = ops_input(ops, 1, sizeof *loss);
        uint32_t *clock = ops_input(ops, 3, sizeof *clock);
        memcpy(squares, cases[i / 2].square, 3 * sizeof *squares);
        *loss = cases[i / 2].loss, clock[2] = 90, o.squares = squares, o.loss = has_loss ? loss : NULL, o.clock = clock;
        struct snn_gate *expected = ops_memory(ops, 1, sizeof *expected);
        o.gate = ops_output(ops, 1, sizeof *o.gate);
        memset(o.gate, 0, sizeof *o.gate);
        o.gate->stopped = cases[i / 2].was_stopped, o.gate->step = cases[i / 2].was_stopped ? 17 : 0;
        bool stops = cases[i / 2].stops && (has_loss || cases[i / 2].was_stopped || !isfinite(cases[i / 2].norm));
        expected->norm = cases[i / 2].norm, expected->factor = (real)cases[i / 2].factor, expected->stopped = stops,
        expected->step = !stops                     ? 0
                         : cases[i / 2].was_stopped ? 17
                                                    : 90;
        ops_expect(ops, o.gate, expected);
        ops_run(ops, call_gate, &o);
    }
}

static void call_clamp(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->clamp(device, o->n, (real)-0.5, (real)0.25, o->value, o->gate);
}

static void check_clamp(struct ops *ops) {
    for (int i = 0; i < 2 * OPS_COUNT(lengths); ++i) {
        struct optim o = {.n = lengths[i / 2]};
        bool stopped = i % 2;
        ops_begin(ops, "%td numbers, stopped %d", o.n, stopped);
        real *expected = ops_memory(ops, o.n, sizeof *expected);
        o.gate = gate_of(ops, 1, stopped), o.value = ops_output(ops, o.n, sizeof *o.value);
        ops_fill(ops, o.value, o.n, -1, 1);
        for (ptrdiff_t k = 0; k < o.n; ++k)
            expected[k] = stopped ? o.value[k] : (real)fmin(fmax((double)o.value[k], -0.5), 0.25);
        ops_expect(ops, o.value, expected);
        ops_run(ops, call_clamp, &o);
    }
}

#define CASES(X) X(step) X(sum_of_squares) X(gate) X(scale) X(clamp)
#define OPS_ENTRY_(name) OPS_ROW(snn_optim_kernels, name)
OPS_TABLE(snn_optim_kernels, CASES)
OPS_TCASE(optim)
