/* SPDX-License-Identifier: Apache-2.0
 * ultra.c - UltraLIF as a node of the tape. */
#include "layers/ultra.h"

#include <math.h>

#include "autograd/math.h"
#include "core/status.h"
#include "layers/neuron.h"

struct ultra {
    const struct snn_tape *tape;
    bool hard;
    int membrane; /* U */
    int v;        /* where V goes along, when there is one cut; state[] otherwise: read one, write the other */
    int state[2];
    int partial, scratch;
    size_t numbers; /* struct numbers */
};

struct numbers {                  /* in device memory */
    struct snn_ultra_start start; /* of the options, which may be annealed */
    struct snn_ultra now;         /* made of that and of the parameters before each forward pass */
};

static const struct snn_ultra_options *options_of(const struct snn_node *node) { return node->options; }
static bool learns(const struct snn_node *node) {
    for (int i = 0; i < SNN_ULTRA_PARAMS; ++i)
        if (node->param[i]) return true;
    return false;
}

static struct snn_ultra_spec spec_of(const struct snn_node *node) {
    const struct ultra *aux = node->aux;
    const struct snn_ultra_options *o = options_of(node);
    const struct snn_tensor *out = node->out;
    int32_t ring = snn_ultra_models[o->model].couples ? out->dim[out->nd - 1] : 1;
    return (struct snn_ultra_spec){
        .charge = snn_ultra_charge_of(o), .reset = (enum snn_ultra_reset)o->reset, .hard = aux->hard, .ring = ring};
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct ultra *aux = node->aux;
    const struct snn_tensor *out = node->out;
    struct snn_ultra_spec spec = spec_of(node);
    bool keeps = tape->recorded && out->needs_grad;
    size_t step = (size_t)tape->max_B * (size_t)out->units * sizeof(real),
           dense = (size_t)snn_plan_rows(tape, out) * (size_t)out->units * sizeof(real);
    aux->tape = tape;
    aux->membrane =
        keeps ? snn_tape_buffer_over_input(tape, node, dense) : snn_tape_buffer(tape, node, step, SNN_IN_FORWARD);
    aux->v = tape->many_cuts ? -1 : snn_tape_buffer(tape, node, step, SNN_IN_FORWARD);
    for (int i = 0; i < 2; ++i) aux->state[i] = tape->many_cuts ? snn_tape_buffer(tape, node, step, SNN_LASTING) : -1;
    aux->numbers = snn_tape_numbers(tape, sizeof(struct numbers));
    size_t items = (size_t)snn_ultra_items(&spec, tape->max_B, out->units);
    aux->partial = learns(node) && keeps
                       ? snn_tape_buffer(tape, node, items * SNN_ULTRA_SUMS * sizeof(double), SNN_IN_BACKWARD)
                       : -1;
    ptrdiff_t scratch = tape->device->ultra->scratch(tape->device->threads, &spec, tape->max_B, out->units);
    aux->scratch = keeps && scratch ? snn_tape_buffer(tape, node, (size_t)scratch * sizeof(real), SNN_IN_BACKWARD) : -1;
}

static void prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct ultra *aux = node->aux;
    const struct snn_ultra_options *o = options_of(node);
    struct numbers *to = (struct numbers *)(numbers + aux->numbers);
    to->start = (struct snn_ultra_start){.tau = (real)o->tau,
                                         .eps = (real)o->epsilon,
                                         .eps_min = (real)o->epsilon_min,
                                         .eps_max = (real)o->epsilon_max,
                                         .theta = (real)o->threshold,
                                         .v_reset = (real)o->v_reset,
                                         .slope = isnan(o->slope) ? 0 : (real)o->slope};
}

static struct numbers *numbers_of(const struct snn_node *node) {
    const struct ultra *aux = node->aux;
    return snn_tape_numbers_at(aux->tape, aux->numbers);
}

static struct snn_ultra_learned learned_of(const struct snn_node *node) {
    const struct snn_ultra_options *o = options_of(node);
    struct snn_ultra_learned learned = {.start = &numbers_of(node)->start,
                                        .log_leak = o->leak == SNN_ULTRA_LOG,
                                        .eps_offset = o->leak_offset,
                                        .softplus = o->learn_epsilon == SNN_ULTRA_SOFTPLUS,
                                        .offset = snn_ultra_charge_of(o) == SNN_ULTRA_MAXIMUM};
    for (int i = 0; i < SNN_ULTRA_PARAMS; ++i) {
        const struct snn_param *p = node->param[i];
        if (!p) continue;
        learned.value[i] = p->value;
        learned.grad[i] = snn_param_gradient(p);
    }
    return learned;
}

static struct snn_ultra_scan scan_of(const struct snn_node *node, const struct snn_run *run,
                                     const struct snn_ultra_spec *spec) {
    const struct ultra *aux = node->aux;
    const struct snn_tensor *x = node->in[0], *out = node->out;
    ptrdiff_t step = run->B * out->units;
    struct snn_ultra_scan scan = {.spec = spec, .T = snn_run_steps(run, node->out), .B = run->B, .N = out->units};
    scan.numbers = &numbers_of(node)->now;
    scan.x = x->data, scan.x_step = x->is_static ? 0 : step;
    scan.u = snn_tape_memory(aux->tape, aux->membrane);
    scan.u_step = aux->tape->recorded && out->needs_grad ? step : 0;
    scan.state_in = run->cut > 0 ? snn_tape_memory(aux->tape, aux->state[run->cut & 1]) : NULL;
    scan.v = snn_tape_memory(aux->tape, aux->v >= 0 ? aux->v : aux->state[~run->cut & 1]);
    scan.y = out->data, scan.bits = out->bits, scan.words = out->words;
    scan.partial = snn_tape_memory(aux->tape, aux->partial);
    scan.scratch = snn_tape_memory(aux->tape, aux->scratch);
    return scan;
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_ultra_kernels *kernels = run->device->ultra;
    const struct snn_tensor *out = node->out;
    struct snn_ultra_learned learned = learned_of(node);
    struct snn_ultra_spec spec = spec_of(node);
    struct snn_ultra_scan scan = scan_of(node, run, &spec);
    kernels->numbers(run->device, &learned, &numbers_of(node)->now);
    kernels->forward(run->device, &scan);
    ptrdiff_t rows = snn_run_rows(run, out);
    if (out->bits) run->device->neuron->count(run->device, rows, out->words, out->bits, out->nonzero);
    else if (out->nonzero) run->device->math->count_nonzero(run->device, rows, out->units, out->data, out->nonzero);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    struct snn_ultra_spec spec = spec_of(node);
    SNN_CHECK(!spec.hard, "%s: hard spikes have no gradient", node->name);
    struct snn_ultra_scan scan = scan_of(node, run, &spec);
    scan.gy = node->out->grad;
    scan.gx = node->in[0]->grad;
    scan.adds = snn_adds(node, 0, run);
    scan.leak = node->param[SNN_ULTRA_TAU] || options_of(node)->leak_offset; /* then epsilon moves the offset */
    run->device->ultra->backward(run->device, &scan);
    if (!learns(node)) return;
    struct snn_ultra_learned learned = learned_of(node);
    run->device->ultra->grad(run->device, &learned, scan.numbers, scan.partial,
                             snn_ultra_items(&spec, run->B, node->out->units));
}

/* The weights of a soft maximum need both its arguments again, a sum does not. */
static const struct snn_op maximum_op = {"soft maximum neuron",
                                         SNN_OP_SOFT_SPIKES | SNN_OP_GRAD_IN_PLACE | SNN_OP_NEEDS_INPUT,
                                         plan,
                                         prepare,
                                         forward,
                                         backward};
static const struct snn_op sum_op = {"soft neuron", SNN_OP_SOFT_SPIKES | SNN_OP_GRAD_IN_PLACE, plan, prepare, forward,
                                     backward};

struct snn_tensor *snn_ultra(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_ultra_options *options, bool hard,
                             struct snn_param *const param[SNN_ULTRA_PARAMS]) {
    _Static_assert((int)SNN_ULTRA_PARAMS <= (int)SNN_NODE_PARAMS, "a node has room for all");
    const struct snn_op *op = snn_ultra_charge_of(options) == SNN_ULTRA_MAXIMUM ? &maximum_op : &sum_op;
    struct snn_node *node = snn_tape_node(tape, op, name, x, NULL, x->nd, x->dim, options, sizeof(struct ultra));
    ((struct ultra *)node->aux)->hard = hard;
    for (int i = 0; i < SNN_ULTRA_PARAMS; ++i) {
        node->param[i] = param[i];
        if (param[i]) node->out->needs_grad = true;
    }
    node->out->is_spikes = hard;
    return node->out;
}
