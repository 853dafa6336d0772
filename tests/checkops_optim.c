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
    double *out;
};

static void call_step(struct ops *ops, struct snn_device *device, const void *argument) {
    const struct optim *o = argument;
    (void)ops;
    device->optim->step(device, o->rule, o->n, o->value, o->grad, o->slot, o->scalar);
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

static void step_case(struct ops *ops, int rule, ptrdiff_t n) {
    struct optim o = {.rule = rule, .n = n};
    ops_begin(ops, "rule %d, %td weights", rule, n);
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
        value[i] = apply_rule(rule, o.value[i], o.grad[i], s, scalar);
        for (int k = 0; k < states_of_rule[rule]; ++k) slot[k][i] = s[k];
    }
    ops_expect(ops, o.value, value);
    ops_run(ops, call_step, &o);
}

static void check_step(struct ops *ops) {
    for (int rule = 0; rule < SNN_RULE_COUNT; ++rule)
        for (int i = 0; i < OPS_COUNT(lengths); ++i) step_case(ops, rule, lengths[i]);
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
    device->optim->scale(device, o->n, o->value, o->scalar);
}

static void check_scale(struct ops *ops) {
    for (int i = 0; i < OPS_COUNT(lengths); ++i) {
        struct optim o = {.n = lengths[i]};
        ops_begin(ops, "%td gradients", o.n);
        real *factor = ops_input(ops, 1, sizeof *factor), *scaled = ops_memory(ops, o.n, sizeof *scaled);
        *factor = (real)0.3;
        o.scalar = factor, o.value = ops_output(ops, o.n, sizeof *o.value);
        ops_fill(ops, o.value, o.n, -1, 1);
        for (ptrdiff_t k = 0; k < o.n; ++k) scaled[k] = o.value[k] * *factor;
        ops_expect(ops, o.value, scaled);
        ops_run(ops, call_scale, &o);
    }
}

#define CASES(X) X(step) X(sum_of_squares) X(scale)
#define OPS_ENTRY_(name) OPS_ROW(snn_optim_kernels, name)
OPS_TABLE(snn_optim_kernels, CASES)
OPS_TCASE(optim)
