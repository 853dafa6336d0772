/* SPDX-License-Identifier: Apache-2.0
 * ops_norm.c - normalisation by channel over a batch, and of each row by itself. */
#include "autograd/ops.h"

struct norm {
    const struct snn_tape *tape;
    int32_t channels;
    ptrdiff_t inner;
    int saved, partial;
};

static struct snn_norm_shape shape_of(const struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    const struct snn_norm_options *options = node->options;
    bool is_static = node->in[0]->is_static;
    return (struct snn_norm_shape){
        .T = snn_run_steps(run, node->in[0]),
        .B = run->B,
        .C = aux->channels,
        .inner = aux->inner,
        .joint = options->over == SNN_NORM_OVER_JOINT,
        .eps = options->eps,
        .momentum = options->momentum,
        .repeats = is_static && options->over == SNN_NORM_OVER_STEP ? snn_batch_whole(run->batch) : 1,
        .step = options->over == SNN_NORM_OVER_OWN_STEP ? aux->channels : 0};
}

/* A parameter's numbers, or those of its gradient, from the cut's first step on; NULL when there is none. */
static real *of_cut(const struct snn_node *node, const struct snn_run *run, int which, bool gradient) {
    const struct norm *aux = node->aux;
    const struct snn_norm_options *options = node->options;
    const struct snn_param *p = node->param[which];
    real *numbers = !p ? NULL : gradient ? snn_node_gradient(p, run) : p->value;
    return numbers && options->over == SNN_NORM_OVER_OWN_STEP ? numbers + (ptrdiff_t)run->t0 * aux->channels : numbers;
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct norm *aux = node->aux;
    size_t groups = (size_t)snn_plan_steps(tape, node->in[0]);
    aux->tape = tape;
    aux->saved = snn_tape_buffer(tape, node, groups * (size_t)aux->channels * 2 * sizeof(real), SNN_KEPT);
    aux->partial = snn_tape_buffer(tape, node, groups * (size_t)aux->channels * 2 * sizeof(real), SNN_IN_BACKWARD);
}

/* A norm whose parameters are frozen keeps its running statistics, and uses them. */
static bool uses_batch(const struct snn_node *node, const struct snn_run *run) {
    return run->train && !node->param[2]->frozen;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    struct snn_norm_shape s = shape_of(node, run);
    const real *w = of_cut(node, run, 0, false), *b = of_cut(node, run, 1, false);
    real *mean = of_cut(node, run, 2, false), *var = of_cut(node, run, 3, false);
    const uint8_t *mask = snn_run_mask(run, node->in[0]);
    bool keep_running = run->smooth == SNN_HARD;
    if (run->again) s.momentum = 0; /* the same kernel, so that results are the same to the last bit */
    if (uses_batch(node, run))
        run->device->norm->batch(run->device, &s, node->in[0]->data, w, b, mask, keep_running ? mean : NULL, var,
                                 snn_tape_memory(aux->tape, aux->saved), node->out->data);
    else run->device->norm->batch_eval(run->device, &s, node->in[0]->data, w, b, mean, var, node->out->data);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    struct snn_norm_shape s = shape_of(node, run);
    const real *w = of_cut(node, run, 0, false);
    real *gw = of_cut(node, run, 0, true), *gb = of_cut(node, run, 1, true);
    const uint8_t *mask = snn_run_mask(run, node->in[0]);
    if (uses_batch(node, run))
        run->device->norm->batch_grad(
            run->device, &s, node->in[0]->data, w, mask, snn_tape_memory(aux->tape, aux->saved), node->out->grad,
            snn_tape_memory(aux->tape, aux->partial), gw, gb, snn_adds(node, 0, run), node->in[0]->grad);
    else
        run->device->norm->batch_eval_grad(run->device, &s, node->in[0]->data, w, of_cut(node, run, 2, false),
                                           of_cut(node, run, 3, false), node->out->grad, gw, gb, snn_adds(node, 0, run),
                                           node->in[0]->grad);
}

static const struct snn_op batch_op = {
    "batch norm", SNN_OP_COUPLES_SAMPLES | SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, plan, NULL, forward, backward};
static const struct snn_op joint_op = {
    "batch norm", SNN_OP_COUPLES_SAMPLES | SNN_OP_COUPLES_STEPS | SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS,
    plan,         NULL,
    forward,      backward};
static const struct snn_op own_step_op = {
    "batch norm of steps", SNN_OP_COUPLES_SAMPLES | SNN_OP_NEEDS_INPUT | SNN_OP_APART, plan, NULL, forward, backward};

struct snn_tensor *snn_batch_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b,
                                  struct snn_param *mean, struct snn_param *var) {
    bool own = options->over == SNN_NORM_OVER_OWN_STEP;
    if (own) x = snn_every_step(tape, name, x);
    struct snn_node *node = snn_tape_node(tape,
                                          own                                    ? &own_step_op
                                          : options->over == SNN_NORM_OVER_JOINT ? &joint_op
                                                                                 : &batch_op,
                                          name, x, NULL, x->nd, x->dim, options, sizeof(struct norm));
    struct norm *aux = node->aux;
    aux->channels = x->dim[0];
    aux->inner = x->units / x->dim[0];
    node->param[0] = w, node->param[1] = b, node->param[2] = mean, node->param[3] = var;
    if (own) node->most_steps = mean->dim[0];
    node->out->needs_grad = true;
    x->root->needs_grad = x->needs_grad = true; /* the kernel writes the input's gradient in any case */
    return node->out;
}

/* ---- rows ---- */

struct rows {
    const struct snn_tape *tape;
    struct snn_row_norm_shape shape; /* of one row */
    int saved;
};

static struct snn_row_norm_shape row_shape(const struct snn_node *node, const struct snn_run *run) {
    struct snn_row_norm_shape s = ((const struct rows *)node->aux)->shape;
    s.rows = snn_run_rows(run, node->out), s.eps = ((const struct snn_row_norm_options *)node->options)->eps;
    return s;
}

static void plan_rows(struct snn_tape *tape, struct snn_node *node) {
    struct rows *aux = node->aux;
    size_t groups = (size_t)(snn_plan_rows(tape, node->out) * aux->shape.groups);
    aux->tape = tape;
    aux->saved = snn_tape_buffer(tape, node, groups * 2 * sizeof(real), SNN_KEPT);
}

static void forward_rows(struct snn_node *node, const struct snn_run *run) {
    const struct rows *aux = node->aux;
    struct snn_row_norm_shape s = row_shape(node, run);
    run->device->norm->rows(run->device, &s, node->in[0]->data, node->param[0] ? node->param[0]->value : NULL,
                            node->param[1] ? node->param[1]->value : NULL, snn_tape_memory(aux->tape, aux->saved),
                            node->out->data);
}

static void backward_rows(struct snn_node *node, const struct snn_run *run) {
    const struct rows *aux = node->aux;
    struct snn_row_norm_shape s = row_shape(node, run);
    run->device->norm->rows_grad(run->device, &s, node->in[0]->data, node->param[0] ? node->param[0]->value : NULL,
                                 snn_tape_memory(aux->tape, aux->saved), node->out->grad,
                                 snn_node_gradient(node->param[0], run), snn_node_gradient(node->param[1], run),
                                 snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op rows_op = {"row norm",   SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, plan_rows, NULL, forward_rows,
                                      backward_rows};

struct snn_tensor *snn_row_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                const struct snn_row_norm_options *options, struct snn_param *w, struct snn_param *b) {
    ptrdiff_t channel = x->units / x->dim[0];
    struct snn_node *node = snn_tape_node(tape, &rows_op, name, x, NULL, x->nd, x->dim, options, sizeof(struct rows));
    ((struct rows *)node->aux)->shape = (struct snn_row_norm_shape){.groups = options->groups,
                                                                    .units = x->units / options->groups,
                                                                    .inner = options->by_channel ? channel : 1,
                                                                    .centred = options->centred};
    node->param[0] = w, node->param[1] = b;
    node->out->needs_grad = true;
    x->root->needs_grad = x->needs_grad = true; /* the kernel writes the input's gradient in any case */
    return node->out;
}
