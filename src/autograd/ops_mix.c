/* SPDX-License-Identifier: Apache-2.0
 * ops_mix.c - joins of two branches, concatenation, padding with channels, factors, clamps, and a static tensor made
 * one that is there at every step. */
#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/ops.h"

static bool is_sparse(const struct snn_tensor *t) { return t->is_spikes || t->is_sparse; }

static void count(const struct snn_node *node, const struct snn_run *run) {
    if (node->out->nonzero)
        run->device->math->count_nonzero(run->device, snn_run_rows(run, node->out), node->out->units, node->out->data,
                                         node->out->nonzero);
}

/* ---- every step ---- */

static void every_forward(struct snn_node *node, const struct snn_run *run) {
    run->device->mix->copy_rows(run->device, snn_run_steps(run, node->out), run->B * node->out->units,
                                node->in[0]->data, 0, false, node->out->data, run->B * node->out->units);
    count(node, run);
}

static void every_backward(struct snn_node *node, const struct snn_run *run) {
    if (node->in[0]->grad)
        run->device->math->sum_over_time(run->device, snn_run_steps(run, node->out), run->B * node->out->units,
                                         node->out->grad, snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op every_op = {"every step", SNN_OP_APART, NULL, NULL, every_forward, every_backward};

struct snn_tensor *snn_every_step(struct snn_tape *tape, const char *name, struct snn_tensor *x) {
    if (!x->is_static || x->is_weight) return x;
    struct snn_node *node = snn_tape_node(tape, &every_op, name, x, NULL, x->nd, x->dim, NULL, 0);
    node->out->is_sparse = is_sparse(x);
    return node->out;
}

/* ---- joins ---- */

struct join {
    enum snn_join how;
};

static void join_forward(struct snn_node *node, const struct snn_run *run) {
    const struct join *aux = node->aux;
    run->device->mix->join(run->device, aux->how, snn_run_rows(run, node->out) * node->out->units, node->in[0]->data,
                           node->in[1]->data, node->out->data);
    count(node, run);
}

static void join_backward(struct snn_node *node, const struct snn_run *run) {
    const struct join *aux = node->aux;
    struct snn_tensor *a = node->in[0], *b = node->in[1];
    if (a->grad || b->grad)
        run->device->mix->join_grad(run->device, aux->how, snn_run_rows(run, node->out) * node->out->units, a->data,
                                    b->data, node->out->grad, snn_adds(node, 0, run), a->grad, snn_adds(node, 1, run),
                                    b->grad);
}

static const struct snn_op join_op = {"join",       SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, NULL, NULL, join_forward,
                                      join_backward};

struct snn_tensor *snn_join(struct snn_tape *tape, const char *name, enum snn_join how, struct snn_tensor *a,
                            struct snn_tensor *b) {
    if (a->is_static != b->is_static) a = snn_every_step(tape, name, a), b = snn_every_step(tape, name, b);
    struct snn_node *node = snn_tape_node(tape, &join_op, name, a, b, a->nd, a->dim, NULL, sizeof(struct join));
    ((struct join *)node->aux)->how = how;
    node->out->is_sparse = is_sparse(b) && (how == SNN_JOIN_IAND || is_sparse(a));
    return node->out;
}

/* ---- parts of rows: concatenation and padding ---- */

struct parts {
    ptrdiff_t at[2]; /* where the inputs begin in a row of the output */
};

static void parts_forward(struct snn_node *node, const struct snn_run *run) {
    const struct parts *aux = node->aux;
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units, filled = 0;
    for (int k = 0; k < 2 && node->in[k]; ++k) filled += node->in[k]->units;
    if (filled < units) run->device->memory->zero(run->device, node->out->data, (size_t)(rows * units) * sizeof(real));
    for (int k = 0; k < 2 && node->in[k]; ++k)
        run->device->mix->copy_rows(run->device, rows, node->in[k]->units, node->in[k]->data, node->in[k]->units, false,
                                    node->out->data + aux->at[k], units);
    count(node, run);
}

static void parts_backward(struct snn_node *node, const struct snn_run *run) {
    const struct parts *aux = node->aux;
    for (int k = 1; k >= 0; --k) {
        struct snn_tensor *x = node->in[k];
        if (x && x->grad)
            run->device->mix->copy_rows(run->device, snn_run_rows(run, node->out), x->units,
                                        node->out->grad + aux->at[k], node->out->units, snn_adds(node, k, run), x->grad,
                                        x->units);
    }
}

static const struct snn_op concat_op = {"concat", SNN_OP_TIMELESS, NULL, NULL, parts_forward, parts_backward},
                           pad_op = {"pad channels", SNN_OP_TIMELESS, NULL, NULL, parts_forward, parts_backward};

static struct snn_tensor *parts(struct snn_tape *tape, const struct snn_op *op, const char *name, struct snn_tensor *a,
                                struct snn_tensor *b, int32_t channels, ptrdiff_t first, ptrdiff_t second) {
    int32_t dim[sizeof a->dim / sizeof *a->dim];
    for (int i = 0; i < a->nd; ++i) dim[i] = i ? a->dim[i] : channels;
    struct snn_node *node = snn_tape_node(tape, op, name, a, b, a->nd, dim, NULL, sizeof(struct parts));
    ((struct parts *)node->aux)->at[0] = first, ((struct parts *)node->aux)->at[1] = second;
    node->out->is_sparse = is_sparse(a) && (!b || is_sparse(b));
    return node->out;
}

struct snn_tensor *snn_concat(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b) {
    if (a->is_static != b->is_static) a = snn_every_step(tape, name, a), b = snn_every_step(tape, name, b);
    return parts(tape, &concat_op, name, a, b, a->dim[0] + b->dim[0], 0, a->units);
}

struct snn_tensor *snn_pad_channels(struct snn_tape *tape, const char *name, struct snn_tensor *x, int32_t before,
                                    int32_t after) {
    return parts(tape, &pad_op, name, x, NULL, x->dim[0] + before + after, before * (x->units / x->dim[0]), 0);
}

/* ---- factors ---- */

struct scale {
    const struct snn_tape *tape;
    enum snn_scale_by by;
    size_t number; /* the factor where it is not learned: real */
};

static struct snn_scale_shape scale_shape(const struct snn_node *node, const struct snn_run *run) {
    const struct scale *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    ptrdiff_t rows = snn_run_rows(run, x);
    return (struct snn_scale_shape){.rows = rows,
                                    .units = x->units,
                                    .share_rows = aux->by == SNN_BY_STEP ? run->B : rows,
                                    .share_units = aux->by == SNN_BY_CHANNEL ? x->units / x->dim[0] : x->units};
}

/* Factors of a step begin with the cut's. */
static ptrdiff_t first_factor(const struct snn_node *node, const struct snn_run *run) {
    return ((const struct scale *)node->aux)->by == SNN_BY_STEP ? run->t0 : 0;
}

static const real *factors(const struct snn_node *node, const struct snn_run *run) {
    const struct scale *aux = node->aux;
    return node->param[0] ? node->param[0]->value + first_factor(node, run)
                          : (const real *)snn_tape_numbers_at(aux->tape, aux->number);
}

static void scale_plan(struct snn_tape *tape, struct snn_node *node) {
    struct scale *aux = node->aux;
    aux->tape = tape;
    if (!node->param[0]) aux->number = snn_tape_numbers(tape, sizeof(real));
}

static void scale_prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct scale *aux = node->aux;
    if (!node->param[0]) *(real *)(void *)(numbers + aux->number) = (real) * (const double *)node->options;
}

static void scale_forward(struct snn_node *node, const struct snn_run *run) {
    struct snn_scale_shape s = scale_shape(node, run);
    run->device->mix->scale(run->device, &s, factors(node, run), node->in[0]->data, false, node->out->data);
    count(node, run);
}

static void scale_backward(struct snn_node *node, const struct snn_run *run) {
    struct snn_scale_shape s = scale_shape(node, run);
    real *gfactor = snn_node_gradient(node->param[0], run);
    if (gfactor)
        run->device->mix->scale_grad(run->device, &s, node->in[0]->data, node->out->grad, true,
                                     gfactor + first_factor(node, run));
    if (node->in[0]->grad)
        run->device->mix->scale(run->device, &s, factors(node, run), node->out->grad, snn_adds(node, 0, run),
                                node->in[0]->grad);
}

static const struct snn_op fixed_op = {"scale",       SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS,
                                       scale_plan,    scale_prepare,
                                       scale_forward, scale_backward},
                           scale_op = {"scale",       SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS,
                                       scale_plan,    NULL,
                                       scale_forward, scale_backward},
                           scale_step_op = {"scale of steps", SNN_OP_NEEDS_INPUT, scale_plan, NULL,
                                            scale_forward,    scale_backward};

struct snn_tensor *snn_scale(struct snn_tape *tape, const char *name, struct snn_tensor *x, enum snn_scale_by by,
                             struct snn_param *factor, const double *fixed) {
    if (by == SNN_BY_STEP) x = snn_every_step(tape, name, x);
    const struct snn_op *op = !factor ? &fixed_op : by == SNN_BY_STEP ? &scale_step_op : &scale_op;
    struct snn_node *node = snn_tape_node(tape, op, name, x, NULL, x->nd, x->dim, fixed, sizeof(struct scale));
    ((struct scale *)node->aux)->by = by;
    node->param[0] = factor;
    if (factor) node->out->needs_grad = true;
    if (by == SNN_BY_STEP) node->most_steps = (int32_t)factor->count;
    node->out->is_sparse = is_sparse(x);
    return node->out;
}

/* ---- clamps ---- */

static void clamp_forward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_clamp_options *o = node->options;
    run->device->mix->clamp(run->device, snn_run_rows(run, node->out) * node->out->units, (real)o->low, (real)o->high,
                            node->in[0]->data, node->out->data);
    count(node, run);
}

static void clamp_backward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_clamp_options *o = node->options;
    if (node->in[0]->grad)
        run->device->mix->clamp_grad(run->device, snn_run_rows(run, node->out) * node->out->units, (real)o->low,
                                     (real)o->high, node->out->data, node->out->grad, snn_adds(node, 0, run),
                                     node->in[0]->grad);
}

static const struct snn_op clamp_op = {
    "clamp",       SNN_OP_NEEDS_OUTPUT | SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS,
    NULL,          NULL,
    clamp_forward, clamp_backward};

struct snn_tensor *snn_clamp(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_clamp_options *options) {
    struct snn_node *node = snn_tape_node(tape, &clamp_op, name, x, NULL, x->nd, x->dim, options, 0);
    node->out->is_sparse = is_sparse(x) && options->low <= 0 && options->high >= 0;
    return node->out;
}
