/* SPDX-License-Identifier: Apache-2.0
 * ops_delay.c - synapses with delays: a node that makes kernels of weights, positions and widths, and one that
 * convolves with them.
 *
 * Where a batch is more than one cut, the last steps of a cut are kept for the next one, and a cut works on both
 * joined. */
#include "autograd/delay.h"

#include "autograd/memory.h"
#include "autograd/ops.h"

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

static real *gradient_of(const struct snn_param *p) { return p && !p->frozen ? p->grad : NULL; }

static void build_backward(struct snn_node *node, const struct snn_run *run) {
    const struct build *aux = node->aux;
    struct snn_delay_elements e = elements_of(node, run);
    struct snn_param *const *p = node->param;
    run->device->delay->build_grad(run->device, &aux->shape, &e, node->out->grad, gradient_of(p[WEIGHT]),
                                   gradient_of(p[POSITION]), gradient_of(p[WIDTH]));
}

static const struct snn_op build_op = {"delay kernels", 0, build_plan, build_prepare, build_forward, build_backward};

/* ---- the convolution ---- */

struct delay {
    const struct snn_tape *tape;
    struct snn_delay_shape shape;
    int kept,
        joined; /* the last taps - 1 steps of earlier cuts; those and the steps of this cut. -1: one cut a batch */
    int scratch_forward, scratch_backward;
};

static size_t bytes_kept(const struct delay *aux, int32_t B) {
    return (size_t)(aux->shape.taps - 1) * (size_t)B * (size_t)aux->shape.in * sizeof(real);
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct delay *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    bool joins = tape->many_cuts;
    int32_t before = joins ? aux->shape.taps - 1 : 0, steps = snn_plan_steps(tape, x);
    struct snn_delay_span span = {.B = tape->max_B, .before = before, .x = before + steps};
    span.y = snn_plan_steps(tape, node->out);
    size_t step = (size_t)tape->max_B * (size_t)x->units * sizeof(real);
    size_t bytes =
        tape->device->delay->scratch(tape->device->threads, &aux->shape, &span, joins ? SNN_DENSE : snn_plan_form(x));
    aux->tape = tape;
    aux->kept = joins ? snn_tape_buffer(tape, node, bytes_kept(aux, tape->max_B), SNN_LASTING) : -1;
    aux->joined = joins ? snn_tape_buffer(tape, node, (size_t)span.x * step, SNN_KEPT) : -1;
    aux->scratch_forward = snn_tape_buffer(tape, node, bytes, SNN_IN_FORWARD);
    aux->scratch_backward = snn_tape_buffer(tape, node, bytes, SNN_IN_BACKWARD);
}

static struct snn_delay_span span_of(const struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    struct snn_delay_span span = {.B = run->B, .before = aux->joined >= 0 ? aux->shape.taps - 1 : 0};
    span.x = span.before + snn_run_steps(run, node->in[0]), span.y = snn_run_steps(run, node->out);
    return span;
}

static struct snn_rows input_of(const struct snn_node *node) {
    const struct delay *aux = node->aux;
    real *joined = snn_tape_memory(aux->tape, aux->joined);
    return joined ? (struct snn_rows){.dense = joined} : snn_tensor_rows(node->in[0]);
}

/* What was kept, then the steps of this cut; and what of those is to be kept. */
static void join(const struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    const struct snn_tensor *x = node->in[0];
    const struct snn_memory_kernels *memory = run->device->memory;
    struct snn_rows rows = snn_tensor_rows(x);
    real *joined = snn_tape_memory(aux->tape, aux->joined);
    void *kept = snn_tape_memory(aux->tape, aux->kept);
    size_t bytes = bytes_kept(aux, run->B);
    ptrdiff_t before = (ptrdiff_t)(aux->shape.taps - 1) * run->B, now = snn_run_rows(run, x);
    if (run->cut > 0) memory->copy(run->device, joined, kept, bytes);
    else memory->zero(run->device, joined, bytes);
    run->device->delay->expand(run->device, now, x->units, &rows, joined + before * x->units);
    memory->copy(run->device, kept, joined + now * x->units, bytes);
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    struct snn_delay_span span = span_of(node, run);
    if (aux->joined >= 0) join(node, run);
    struct snn_rows x = input_of(node);
    run->device->delay->forward(run->device, &aux->shape, &span, &x, node->in[1]->data, node->out->data,
                                snn_tape_memory(aux->tape, aux->scratch_forward));
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct delay *aux = node->aux;
    struct snn_delay_span span = span_of(node, run);
    struct snn_rows x = input_of(node);
    void *scratch = snn_tape_memory(aux->tape, aux->scratch_backward);
    run->device->delay->grad_kernel(run->device, &aux->shape, &span, &x, node->out->grad, node->in[1]->grad, scratch);
    if (node->in[0]->grad)
        run->device->delay->grad_input(run->device, &aux->shape, &span, node->out->grad, node->in[1]->data,
                                       snn_adds(node, 0, run), node->in[0]->grad, scratch);
}

static const struct snn_op delay_op = {
    "delays", SNN_OP_NEEDS_INPUT | SNN_OP_READS_BITS | SNN_OP_READS_LISTS, plan, NULL, forward, backward};

struct snn_tensor *snn_delay(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_delay_shape *shape, const struct snn_delay_options *options,
                             struct snn_param *weight, struct snn_param *position, struct snn_param *width,
                             int32_t append) {
    ptrdiff_t synapses = snn_delay_synapses(shape);
    struct snn_node *made =
        snn_tape_weight(tape, &build_op, name, NULL, shape->taps * synapses, options, sizeof(struct build));
    ((struct build *)made->aux)->shape = *shape;
    made->param[WEIGHT] = weight, made->param[POSITION] = position, made->param[WIDTH] = width;
    struct snn_node *node =
        snn_tape_node(tape, &delay_op, name, x, made->out, 1, &shape->out, NULL, sizeof(struct delay));
    ((struct delay *)node->aux)->shape = *shape;
    node->out->needs_grad = true;
    node->out->appended += append;
    node->macs = (double)synapses * (options->round ? shape->count : shape->taps);
    return node->out;
}
