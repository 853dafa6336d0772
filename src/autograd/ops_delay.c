/* SPDX-License-Identifier: Apache-2.0
 * ops_delay.c - synapses with delays: a node that makes kernels of weights, positions and widths, and one that
 * convolves with them. */
#include "autograd/delay.h"

#include "autograd/ops.h"
#include "autograd/past.h"

/* ---- the kernels ---- */

struct build {
    const struct snn_tape *tape;
    struct snn_delay_shape shape;
    size_t sigma; /* real: may be annealed */
};

enum { WEIGHT, POSITION, WIDTH };

static void build_plan(struct snn_tape *tape, struct snn_node *node) {
    struct build *aux = node->aux;
    aux->tape = tape;
    aux->sigma = snn_tape_numbers(tape, sizeof(real));
}

static void build_prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct build *aux = node->aux;
    const struct snn_delay_options *o = node->options;
    *(real *)(void *)(numbers + aux->sigma) = (real)o->sigma;
}

static struct snn_delay_elements elements_of(const struct snn_node *node, const struct snn_run *run) {
    const struct build *aux = node->aux;
    const struct snn_delay_options *o = node->options;
    struct snn_param *const *p = node->param;
    return (struct snn_delay_elements){.version = o->version,
                                       .rounded = o->round && !run->train,
                                       .weight = p[WEIGHT]->value,
                                       .position = p[POSITION]->value,
                                       .width = p[WIDTH] ? p[WIDTH]->value : NULL,
                                       .sigma = snn_tape_numbers_at(aux->tape, aux->sigma)};
}

static void build_forward(struct snn_node *node, const struct snn_run *run) {
    const struct build *aux = node->aux;
    struct snn_delay_elements e = elements_of(node, run);
    run->device->delay->build(run->device, &aux->shape, &e, node->out->data);
}

static void build_backward(struct snn_node *node, const struct snn_run *run) {
    const struct build *aux = node->aux;
    struct snn_delay_elements e = elements_of(node, run);
    struct snn_param *const *p = node->param;
    run->device->delay->build_grad(run->device, &aux->shape, &e, node->out->grad, snn_param_gradient(p[WEIGHT]),
                                   snn_param_gradient(p[POSITION]), snn_param_gradient(p[WIDTH]));
}

static const struct snn_op build_op = {"delay kernels", 0, build_plan, build_prepare, build_forward, build_backward};

/* ---- the convolution ---- */

struct delay {
    struct snn_past past; /* first */
    struct snn_delay_shape shape;
    int scratch_forward, scratch_backward;
};

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct delay *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    snn_past_plan(tape, node, aux->shape.taps - 1);
    struct snn_delay_span span = {.B = tape->max_B, .before = snn_past_steps(node)};
    span.x = span.before + snn_plan_steps(tape, x), span.y = snn_plan_steps(tape, node->out);
    size_t bytes = tape->device->delay->scratch(tape->device->threads, &aux->shape, &span,
                                                span.before ? SNN_DENSE : snn_plan_form(x));
    aux->scratch_forward = snn_tape_buffer(tape, node, bytes, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD);
}

static struct snn_delay_span span_of(const struct snn_node *node, const struct snn_run *run) {
    struct snn_delay_span span = {.B = run->B, .before = snn_past_steps(node)};
    span.x = span.before + snn_run_steps(run, node->in[0]), span.y = snn_run_steps(run, node->out);
    return span;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    struct snn_delay_span span = span_of(node, run);
    snn_past_join(node, run);
    struct snn_rows x = snn_past_rows(node);
    run->device->delay->forward(run->device, &aux->shape, &span, &x, node->in[1]->data, node->out->data,
                                snn_tape_memory(aux->past.tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    struct snn_delay_span span = span_of(node, run);
    struct snn_rows x = snn_past_rows(node);
    void *scratch = snn_tape_memory(aux->past.tape, aux->scratch_backward);
    run->device->delay->grad_kernel(run->device, &aux->shape, &span, &x, node->out->grad, node->in[1]->grad, scratch);
    if (node->in[0]->grad)
        run->device->delay->grad_input(run->device, &aux->shape, &span, node->out->grad, node->in[1]->data,
                                       snn_adds(node, 0, run), node->in[0]->grad, scratch);
}

static const struct snn_op delay_op = {
    "delays", SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS | SNN_OP_WHOLE_BATCH, plan, NULL, forward,
    backward};

struct snn_tensor *snn_delay_kernel(struct snn_tape *tape, const char *name, const struct snn_delay_shape *shape,
                                    const struct snn_delay_options *options, struct snn_param *weight,
                                    struct snn_param *position, struct snn_param *width) {
    struct snn_node *made = snn_tape_weight(tape, &build_op, name, NULL, shape->taps * snn_delay_synapses(shape),
                                            options, sizeof(struct build));
    ((struct build *)made->aux)->shape = *shape;
    made->param[WEIGHT] = weight, made->param[POSITION] = position, made->param[WIDTH] = width;
    return made->out;
}

double snn_delay_taps_used(const struct snn_delay_shape *shape, const struct snn_delay_options *options,
                           const struct snn_param *position) {
    return options->round || position->buffer ? shape->count : shape->taps;
}

struct snn_tensor *snn_delay(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_delay_shape *shape, const struct snn_delay_options *options,
                             struct snn_param *weight, struct snn_param *position, struct snn_param *width,
                             int32_t append) {
    struct snn_tensor *kernel = snn_delay_kernel(tape, name, shape, options, weight, position, width);
    struct snn_node *node = snn_tape_node(tape, &delay_op, name, x, kernel, 1, &shape->out, NULL, sizeof(struct delay));
    ((struct delay *)node->aux)->shape = *shape;
    node->out->needs_grad = true;
    node->out->appended += append;
    node->macs = (double)snn_delay_synapses(shape) * snn_delay_taps_used(shape, options, position);
    return node->out;
}

/* ---- a delay for every channel ---- */

struct shift {
    struct snn_past past; /* first */
    int32_t most;
};

static void shift_plan(struct snn_tape *tape, struct snn_node *node) {
    snn_past_plan(tape, node, ((const struct shift *)node->aux)->most + 1);
}

static struct snn_shift shift_of(const struct snn_node *node, const struct snn_run *run) {
    const struct snn_tensor *y = node->out;
    const struct snn_shift_options *o = node->options;
    return (struct snn_shift){.T = snn_run_steps(run, y),
                              .B = run->B,
                              .before = snn_past_steps(node),
                              .C = y->dim[0],
                              .most = ((const struct shift *)node->aux)->most,
                              .inner = y->units / y->dim[0],
                              .rounded = o->round && !run->train};
}

static void shift_forward(struct snn_node *node, const struct snn_run *run) {
    struct snn_shift s = shift_of(node, run);
    snn_past_join(node, run);
    run->device->delay->shift(run->device, &s, snn_past_rows(node).dense, node->param[0]->value, node->out->data);
}

static void shift_backward(struct snn_node *node, const struct snn_run *run) {
    struct snn_shift s = shift_of(node, run);
    const struct snn_param *p = node->param[0];
    run->device->delay->shift_grad(run->device, &s, snn_past_rows(node).dense, p->value, node->out->grad,
                                   snn_adds(node, 0, run), node->in[0]->grad, snn_param_gradient(p));
}

static const struct snn_op shift_op = {"channel delays", SNN_OP_NEEDS_INPUT, shift_plan, NULL,
                                       shift_forward,    shift_backward};

struct snn_tensor *snn_shift(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_shift_options *options, struct snn_param *delay, int32_t most) {
    struct snn_node *node = snn_tape_node(tape, &shift_op, name, x, NULL, x->nd, x->dim, options, sizeof(struct shift));
    ((struct shift *)node->aux)->most = most;
    node->param[0] = delay;
    if (!delay->frozen) node->out->needs_grad = true;
    node->out->is_sparse = x->is_spikes || x->is_sparse;
    return node->out;
}
