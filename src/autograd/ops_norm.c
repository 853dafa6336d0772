/* SPDX-License-Identifier: Apache-2.0
 * ops_norm.c - batch and layer normalisation. */
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
    return (struct snn_norm_shape){.T = snn_run_steps(run, node->in[0]),
                                   .B = run->B,
                                   .C = aux->channels,
                                   .inner = aux->inner,
                                   .joint = options->over == 1,
                                   .eps = options->eps,
                                   .momentum = options->momentum,
                                   .repeats = is_static && options->over == 0 ? run->batch->T : 1};
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
    struct snn_param *const *p = node->param;
    const uint8_t *mask = snn_run_mask(run, node->in[0]);
    bool keep_running = run->smooth == SNN_HARD;
    if (uses_batch(node, run))
        run->device->norm->batch(run->device, &s, node->in[0]->data, p[0]->value, p[1]->value, mask,
                                 keep_running ? p[2]->value : NULL, p[3]->value, snn_tape_memory(aux->tape, aux->saved),
                                 node->out->data);
    else
        run->device->norm->batch_eval(run->device, &s, node->in[0]->data, p[0]->value, p[1]->value, p[2]->value,
                                      p[3]->value, node->out->data);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    struct snn_norm_shape s = shape_of(node, run);
    struct snn_param *const *p = node->param;
    const uint8_t *mask = snn_run_mask(run, node->in[0]);
    if (uses_batch(node, run))
        run->device->norm->batch_grad(run->device, &s, node->in[0]->data, p[0]->value, mask,
                                      snn_tape_memory(aux->tape, aux->saved), node->out->grad,
                                      snn_tape_memory(aux->tape, aux->partial), p[0]->grad, p[1]->grad,
                                      snn_adds(node, 0, run), node->in[0]->grad);
    else
        run->device->norm->batch_eval_grad(run->device, &s, node->in[0]->data, p[0]->value, p[2]->value, p[3]->value,
                                           node->out->grad, p[0]->grad, p[1]->grad, snn_adds(node, 0, run),
                                           node->in[0]->grad);
}

static const struct snn_op batch_op = {
    "batch norm", SNN_OP_COUPLES_SAMPLES | SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, plan, NULL, forward, backward};

struct snn_tensor *snn_batch_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b,
                                  struct snn_param *mean, struct snn_param *var) {
    struct snn_node *node = snn_tape_node(tape, &batch_op, name, x, NULL, x->nd, x->dim, options, sizeof(struct norm));
    struct norm *aux = node->aux;
    aux->channels = x->dim[0];
    aux->inner = x->units / x->dim[0];
    node->param[0] = w, node->param[1] = b, node->param[2] = mean, node->param[3] = var;
    node->out->needs_grad = true;
    x->root->needs_grad = x->needs_grad = true; /* the kernel writes the input's gradient in any case */
    return node->out;
}

static void plan_layer(struct snn_tape *tape, struct snn_node *node) {
    struct norm *aux = node->aux;
    aux->tape = tape;
    aux->saved = snn_tape_buffer(tape, node, (size_t)snn_plan_rows(tape, node->out) * 2 * sizeof(real), SNN_KEPT);
}

static void forward_layer(struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    const struct snn_norm_options *options = node->options;
    run->device->norm->layer(run->device, snn_run_rows(run, node->out), node->out->units, options->eps,
                             node->in[0]->data, node->param[0]->value, node->param[1]->value,
                             snn_tape_memory(aux->tape, aux->saved), node->out->data);
}

static void backward_layer(struct snn_node *node, const struct snn_run *run) {
    const struct norm *aux = node->aux;
    run->device->norm->layer_grad(run->device, snn_run_rows(run, node->out), node->out->units, node->in[0]->data,
                                  node->param[0]->value, snn_tape_memory(aux->tape, aux->saved), node->out->grad,
                                  node->param[0]->grad, node->param[1]->grad, snn_adds(node, 0, run),
                                  node->in[0]->grad);
}

static const struct snn_op layer_op = {
    "layer norm", SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, plan_layer, NULL, forward_layer, backward_layer};

struct snn_tensor *snn_layer_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b) {
    struct snn_node *node = snn_tape_node(tape, &layer_op, name, x, NULL, x->nd, x->dim, options, sizeof(struct norm));
    node->param[0] = w, node->param[1] = b;
    node->out->needs_grad = true;
    x->root->needs_grad = x->needs_grad = true;
    return node->out;
}
