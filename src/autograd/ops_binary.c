/* SPDX-License-Identifier: Apache-2.0
 * ops_binary.c - binary periodic weights, and binary activations: see binary.h. */
#include "autograd/ops.h"

/* ---- weights ---- */

struct periodic {
    const struct snn_tape *tape;
    struct snn_periodic_shape shape;
    size_t numbers; /* the frequency */
};

static void plan_periodic(struct snn_tape *tape, struct snn_node *node) {
    struct periodic *aux = node->aux;
    aux->tape = tape;
    aux->numbers = snn_tape_numbers(tape, sizeof(real));
}

static void prepare_periodic(const struct snn_node *node, unsigned char *numbers) {
    const struct periodic *aux = node->aux;
    const struct snn_periodic_options *options = node->options;
    *(real *)(numbers + aux->numbers) = (real)options->frequency;
}

/* The gradient check proves the first stage's sine in the second one too, whose gradient it is. */
static struct snn_periodic_shape periodic_shape(const struct snn_node *node, const struct snn_run *run) {
    struct snn_periodic_shape shape = ((const struct periodic *)node->aux)->shape;
    shape.square = ((const struct snn_periodic_options *)node->options)->stage == 2 && run->smooth == SNN_HARD;
    return shape;
}

static void periodic(struct snn_node *node, const struct snn_run *run) {
    const struct periodic *aux = node->aux;
    struct snn_periodic_shape shape = periodic_shape(node, run);
    run->device->binary->periodic(run->device, &shape, snn_tape_numbers_at(aux->tape, aux->numbers),
                                  node->param[0]->value, node->param[1]->value, node->out->data);
}

static void periodic_grad(struct snn_node *node, const struct snn_run *run) {
    const struct periodic *aux = node->aux;
    struct snn_periodic_shape shape = periodic_shape(node, run);
    run->device->binary->periodic_grad(run->device, &shape, snn_tape_numbers_at(aux->tape, aux->numbers),
                                       node->param[0]->value, node->param[1]->value, node->out->grad,
                                       snn_param_gradient(node->param[0]), snn_param_gradient(node->param[1]));
}

static const struct snn_op periodic_op = {"periodic weight", 0,        plan_periodic,
                                          prepare_periodic,  periodic, periodic_grad};

struct snn_tensor *snn_weight_periodic(struct snn_tape *tape, const char *name, struct snn_param *w,
                                       struct snn_param *alpha, const struct snn_periodic_options *options) {
    struct snn_node *node = snn_tape_weight(tape, &periodic_op, name, NULL, w->count, options, sizeof(struct periodic));
    struct periodic *aux = node->aux;
    aux->shape = (struct snn_periodic_shape){.rows = w->dim[0], .n = w->count / w->dim[0]};
    node->param[0] = w, node->param[1] = alpha;
    return node->out;
}

bool snn_node_is_periodic(const struct snn_node *node) { return node->op == &periodic_op; }

/* ---- activations ---- */

struct sign {
    const struct snn_tape *tape;
    bool scaled;
    int saved;
};

static void plan_sign(struct snn_tape *tape, struct snn_node *node) {
    struct sign *aux = node->aux;
    size_t rows = (size_t)snn_plan_rows(tape, node->in[0]);
    aux->tape = tape;
    aux->saved = snn_tape_buffer(tape, node, aux->scaled ? rows * sizeof(real) : 0, SNN_KEPT);
}

static struct snn_sign_shape sign_shape(const struct snn_node *node, const struct snn_run *run) {
    return (struct snn_sign_shape){.rows = snn_run_rows(run, node->in[0]),
                                   .n = node->in[0]->units,
                                   .scaled = ((const struct sign *)node->aux)->scaled && run->train,
                                   .eps = 1e-5,
                                   .smooth = run->smooth != SNN_HARD};
}

static void sign(struct snn_node *node, const struct snn_run *run) {
    const struct sign *aux = node->aux;
    struct snn_sign_shape shape = sign_shape(node, run);
    run->device->binary->sign(run->device, &shape, node->in[0]->data, snn_tape_memory(aux->tape, aux->saved),
                              node->out->data);
}

static void sign_grad(struct snn_node *node, const struct snn_run *run) {
    const struct sign *aux = node->aux;
    struct snn_sign_shape shape = sign_shape(node, run);
    if (node->in[0]->grad)
        run->device->binary->sign_grad(run->device, &shape, node->in[0]->data, snn_tape_memory(aux->tape, aux->saved),
                                       node->out->grad, snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op sign_op = {
    "sign", SNN_OP_NEEDS_INPUT | SNN_OP_GRAD_IN_PLACE | SNN_OP_TIMELESS, plan_sign, NULL, sign, sign_grad};

struct snn_tensor *snn_sign(struct snn_tape *tape, const char *name, struct snn_tensor *x, bool scaled) {
    struct snn_node *node = snn_tape_node(tape, &sign_op, name, x, NULL, x->nd, x->dim, NULL, sizeof(struct sign));
    ((struct sign *)node->aux)->scaled = scaled;
    return node->out;
}
