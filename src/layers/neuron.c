/* SPDX-License-Identifier: Apache-2.0
 * neuron.c - the spiking layer as a node of the tape. */
#include "layers/neuron.h"

#include <math.h>
#include <string.h>

#include "autograd/math.h"
#include "core/status.h"

struct neuron {
    const struct snn_tape *tape;
    int membrane; /* u; -1 when the output itself is the membrane */
    int state[2]; /* between cuts: read one, write the other */
    int frozen, partial;
    size_t numbers; /* struct numbers */
};

/* What the kernels read from memory, because options may be annealed. */
struct numbers {
    struct snn_affine coefficients;
    real surrogate[SNN_SURROGATE_PARAMS];
};

static bool learns(const struct snn_node *node) { return node->param[0] != NULL; }
static const struct snn_neuron_options *options_of(const struct snn_node *node) { return node->options; }
static bool spikes(const struct snn_node *node) { return snn_neuron_models[options_of(node)->model].spikes; }

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct neuron *aux = node->aux;
    const struct snn_tensor *out = node->out;
    size_t dense = (size_t)snn_plan_rows(tape, out) * (size_t)out->units * sizeof(real);
    size_t state = tape->many_cuts ? (size_t)tape->max_B * (size_t)out->units * sizeof(real) : 0;
    bool keeps = tape->recorded && out->needs_grad;
    aux->tape = tape;
    aux->membrane = spikes(node) && keeps ? snn_tape_buffer_over_input(tape, node, dense) : -1;
    for (int i = 0; i < 2; ++i) aux->state[i] = state ? snn_tape_buffer(tape, node, state, SNN_LASTING) : -1;
    aux->frozen = tape->smooth && spikes(node) ? snn_tape_buffer(tape, node, dense, SNN_LASTING) : -1;
    aux->numbers = snn_tape_numbers(tape, sizeof(struct numbers));
    size_t items = (size_t)snn_scan_items(tape->max_B, out->units);
    aux->partial =
        learns(node) && keeps ? snn_tape_buffer(tape, node, items * 3 * sizeof(double), SNN_IN_BACKWARD) : -1;
}

/* lambda = 1 - 1/tau ... from the options, which may be annealed. */
static struct snn_affine coefficients(const struct snn_neuron_options *o) {
    double keep = 1, tau = o->tau.value / (o->tau.seconds ? o->step_seconds : 1);
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    if (!isnan(o->beta)) keep = o->beta;
    else if (!strcmp(m->keys[0].name, "tau")) keep = o->decay ? exp(-1 / tau) : 1 - 1 / tau;
    double v_reset = o->reset == SNN_RESET_VALUE ? o->v_reset : 0;
    return (struct snn_affine){.lambda = (real)keep,
                               .kappa = o->decay_input ? (real)(1 - keep) : 1,
                               .drive = (real)(v_reset * (1 - keep)),
                               .theta = (real)o->threshold,
                               .v_reset = (real)v_reset};
}

static struct snn_plif plif_of(const struct snn_node *node) {
    const struct neuron *aux = node->aux;
    const struct numbers *numbers = snn_tape_numbers_at(aux->tape, aux->numbers);
    return (struct snn_plif){options_of(node)->decay_input, &numbers->coefficients.v_reset};
}

static struct snn_neuron_spec spec_of(const struct snn_neuron_options *o) {
    struct snn_neuron_spec spec = {.reset = o->reset,
                                   .strict = o->fire,
                                   .detached = o->detach_reset,
                                   .delayed = o->reset_delay,
                                   .spikes = snn_neuron_models[o->model].spikes,
                                   .surrogate = o->surrogate.which};
    if (!spec.spikes) spec.reset = SNN_RESET_NONE;
    return spec;
}

static struct snn_scan scan_of(const struct snn_node *node, const struct snn_run *run,
                               const struct snn_neuron_spec *spec) {
    const struct neuron *aux = node->aux;
    const struct snn_tensor *x = node->in[0], *out = node->out;
    ptrdiff_t n = out->units;
    struct snn_scan scan = {.spec = spec, .T = run->T, .B = run->B, .N = n, .smooth = run->smooth};
    const struct numbers *numbers = snn_tape_numbers_at(aux->tape, aux->numbers);
    scan.coefficients = &numbers->coefficients, scan.surrogate = numbers->surrogate;
    scan.x = x->data;
    scan.x_step = x->is_static ? 0 : run->B * n;
    scan.u = aux->membrane >= 0 && (run->train || run->smooth) ? snn_tape_memory(aux->tape, aux->membrane) : NULL;
    if (!spec->spikes) scan.u = out->data;
    scan.bits = out->bits, scan.words = out->words;
    scan.y = out->data;
    scan.state_in = run->cut > 0 ? snn_tape_memory(aux->tape, aux->state[run->cut & 1]) : NULL;
    scan.state_out = snn_tape_memory(aux->tape, aux->state[~run->cut & 1]);
    scan.frozen = run->smooth ? snn_tape_memory(aux->tape, aux->frozen) : NULL;
    scan.partial = snn_tape_memory(aux->tape, aux->partial);
    return scan;
}

static void prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct neuron *aux = node->aux;
    const struct snn_neuron_options *o = options_of(node);
    struct numbers *to = (struct numbers *)(numbers + aux->numbers);
    to->coefficients = coefficients(o);
    for (int i = 0; i < SNN_SURROGATE_PARAMS; ++i) to->surrogate[i] = (real)o->surrogate.p[i];
}

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct neuron *aux = node->aux;
    const struct snn_neuron_kernels *kernels = run->device->neuron;
    struct snn_neuron_spec spec = spec_of(options_of(node));
    if (learns(node)) {
        struct snn_plif plif = plif_of(node);
        struct numbers *numbers = snn_tape_numbers_at(aux->tape, aux->numbers);
        kernels->plif_coefficients(run->device, &plif, node->param[0]->value, &numbers->coefficients);
    }
    struct snn_scan scan = scan_of(node, run, &spec);
    kernels->forward(run->device, &scan);
    ptrdiff_t rows = snn_run_rows(run, node->out);
    if (node->out->bits) kernels->count(run->device, rows, node->out->words, node->out->bits, node->out->nonzero);
    else if (node->out->nonzero)
        run->device->math->count_nonzero(run->device, rows, node->out->units, node->out->data, node->out->nonzero);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    struct snn_neuron_spec spec = spec_of(options_of(node));
    struct snn_scan scan = scan_of(node, run, &spec);
    scan.gy = node->out->grad;
    scan.gx = node->in[0]->grad;
    scan.adds = snn_adds(node, 0, run);
    run->device->neuron->backward(run->device, &scan);
    if (learns(node) && !node->param[0]->frozen) {
        struct snn_plif plif = plif_of(node);
        run->device->neuron->plif_grad(run->device, &plif, node->param[0]->value, scan.partial,
                                       snn_scan_items(run->B, node->out->units), node->param[0]->grad);
    }
}

static const struct snn_op spiking_op = {"spiking neuron", SNN_OP_GRAD_IN_PLACE, plan, prepare, forward, backward};
static const struct snn_op membrane_op = {
    "membrane", SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_NEEDS_OUTPUT, plan, prepare, forward, backward};

struct snn_tensor *snn_neuron(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                              const struct snn_neuron_options *options, struct snn_param *w) {
    bool fires = snn_neuron_models[options->model].spikes;
    struct snn_node *node = snn_tape_node(tape, fires ? &spiking_op : &membrane_op, name, x, NULL, x->nd, x->dim,
                                          options, sizeof(struct neuron));
    node->param[0] = w;
    if (w) node->out->needs_grad = true;
    node->out->is_spikes = fires;
    return node->out;
}
