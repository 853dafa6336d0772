/* SPDX-License-Identifier: Apache-2.0
 * neuron.c - the spiking layer as a node of the tape. Where its spikes come back (`recurrent`), time is a loop here and
 * each scan has one step: the product with the input was made for all steps at once by the layer below. */
#include "layers/neuron.h"

#include <math.h>
#include <string.h>

#include "autograd/math.h"
#include "autograd/memory.h"
#include "core/status.h"
#include "layers/cells/lif.h"

struct neuron {
    const struct snn_tape *tape;
    int states[SNN_CELL_STATES]; /* H; -1: not kept. [0] is the output itself where it does not spike */
    int late, frozen, gcoef;
    int carry[2];   /* states between cuts: read one, write the other */
    int gstep;      /* the gradient of a coefficient that differs from step to step */
    int learned;    /* coefficients made from parameters: (coefficients, count) */
    int noise;      /* (T,B,N), or -1 */
    size_t numbers; /* struct numbers */
    /* recurrent */
    int current;     /* (B,N), or (T,B,N) where backward reads it */
    int running[2];  /* states from step to step, and then their gradients */
    int last[2];     /* spikes of the last step of the cut before, by cuts in turn: backward hears them once more */
    bool resumed[2]; /* which are numbers then, whatever the layer gives (snn_neuron_resume) */
    int scratch[2];  /* of the product with all neurons, forward and backward; -1: each hears itself alone */
    /* of what the layer follows */
    int psi, ready, sent; /* (T,B,N); (T+1,B,N) h before each step and after the last; (T,B,N) m h, -1: not its own */
};

/* What the kernels read from memory, because options may be annealed. */
struct numbers {
    real coef[SNN_CELL_COEFS], surrogate[SNN_SURROGATE_PARAMS], spacing, noise;
};

/* A node's parameters in its list: those of coefficients in their order, then recurrent weight and bias. */
static const struct snn_neuron_options *options_of(const struct snn_node *node) { return node->options; }
static const struct snn_neuron_model *model_of(const struct snn_node *node) {
    return &snn_neuron_models[options_of(node)->model];
}
static const struct snn_cell_shape *cell_of(const struct snn_node *node) {
    return &snn_cell_shapes[model_of(node)->cell];
}
static struct snn_param *const *recurrent_params(const struct snn_node *node) {
    return node->param + __builtin_popcount(options_of(node)->learned);
}

/* Sets of numbers that coefficient j has. */
static ptrdiff_t steps_of(const struct snn_node *node, int j) {
    return j == cell_of(node)->stepped ? node->most_steps : 1;
}

/* Coefficient j is learned by the parameter that is returned, how->count numbers a step; NULL: it is not. */
static struct snn_param *param_of(const struct snn_node *node, int j, struct snn_coef_learned *how) {
    const struct snn_neuron_options *o = options_of(node);
    if (!(o->learned & 1u << j)) return NULL;
    struct snn_param *p = node->param[__builtin_popcount(o->learned & ((1u << j) - 1))];
    snn_neuron_learned(o, j, how);
    how->count = p->count / steps_of(node, j), how->inner = node->out->units / how->count;
    return p;
}

/* Coefficients whose gradients are wanted, as bits. */
static unsigned wanted_of(const struct snn_node *node) {
    struct snn_coef_learned how;
    unsigned wanted = 0;
    for (int j = 0; j < cell_of(node)->coefs; ++j) {
        const struct snn_param *p = param_of(node, j, &how);
        if (p && !p->frozen) wanted |= 1u << j;
    }
    return wanted;
}

static struct snn_neuron_spec spec_of(const struct snn_node *node) {
    const struct snn_neuron_options *o = options_of(node);
    const struct snn_cell_shape *shape = cell_of(node);
    const struct neuron *aux = node->aux;
    struct snn_neuron_spec spec = {.cell = model_of(node)->cell,
                                   .reset = o->reset,
                                   .delay = o->delay,
                                   .firing = o->spikes,
                                   .strict = o->fire,
                                   .detached = o->detach_reset || o->delay == SNN_DELAY_NEXT,
                                   .apart = o->detach_state || aux->tape->apart,
                                   .levels = (int)o->levels,
                                   .surrogate = o->surrogate.which,
                                   .options = model_of(node)->flags};
    for (int f = 0; f < SNN_CELL_FLAGS; ++f) spec.options |= (unsigned)o->flag[f] << f;
    if (shape->floor >= 0 && isfinite(snn_neuron_number(o, shape->floor))) spec.options |= CELL_HAS_FLOOR;
    return spec;
}

static bool keeps_all(const struct snn_node *node) {
    const struct snn_cell_shape *shape = cell_of(node);
    bool has_floor = shape->floor >= 0 && isfinite(snn_neuron_number(options_of(node), shape->floor));
    return wanted_of(node) || options_of(node)->delay || has_floor;
}

/* Does backward read the input current? */
static bool reads_input_as(const struct snn_neuron_options *o) {
    const struct snn_cell_shape *shape = &snn_cell_shapes[snn_neuron_models[o->model].cell];
    return o->learned & shape->x_of || shape->reads_x;
}
static bool reads_input(const struct snn_node *node) { return reads_input_as(options_of(node)); }

/* A row of `last`: bits or numbers of the samples, and then their counts. */
static size_t last_rows(const struct snn_tensor *out, ptrdiff_t samples) {
    size_t row =
        out->root->bits_buffer >= 0 ? (size_t)out->words * sizeof(uint64_t) : (size_t)out->units * sizeof(real);
    return (size_t)samples * row;
}

static void plan(struct snn_tape *tape, struct snn_node *node) {
    struct neuron *aux = node->aux;
    const struct snn_neuron_options *o = options_of(node);
    const struct snn_cell_shape *shape = cell_of(node);
    const struct snn_tensor *out = node->out;
    size_t row = (size_t)out->units * sizeof(real), dense = (size_t)snn_plan_rows(tape, out) * row;
    size_t states = (size_t)shape->states * (size_t)tape->max_B * row;
    bool keeps = tape->recorded && out->needs_grad, spikes = model_of(node)->spikes;
    const int again = o->recurrent.which;
    aux->tape = tape;
    const unsigned idle = shape->idle(spec_of(node).options);
    for (int j = 0; j < shape->states; ++j) {
        bool kept =
            keeps && !(idle >> j & 1) && (keeps_all(node) || (shape->keeps & 1u << j && (spikes || shape->reads_v)));
        if (!kept) aux->states[j] = -1;
        else if (j == 0 && spikes) aux->states[j] = snn_tape_buffer_over_input(tape, node, dense);
        else aux->states[j] = snn_tape_buffer(tape, node, dense, SNN_KEPT);
    }
    aux->late = keeps && o->delay == SNN_DELAY_TWICE ? snn_tape_buffer(tape, node, dense, SNN_KEPT) : -1;
    for (int i = 0; i < 2; ++i) aux->carry[i] = tape->many_cuts ? snn_tape_buffer(tape, node, states, SNN_LASTING) : -1;
    aux->frozen = tape->smooth && spikes ? snn_tape_buffer(tape, node, dense, SNN_LASTING) : -1;
    aux->noise = o->noise > 0 ? snn_tape_buffer(tape, node, dense, SNN_KEPT) : -1;
    aux->numbers = snn_tape_numbers(tape, sizeof(struct numbers));
    size_t sums = (size_t)shape->coefs * (size_t)tape->max_B * row;
    aux->gcoef = keeps && wanted_of(node) ? snn_tape_buffer(tape, node, sums, SNN_IN_BACKWARD) : -1;
    bool steps = shape->stepped >= 0 && aux->gcoef >= 0;
    aux->gstep = steps ? snn_tape_buffer(tape, node, dense, SNN_IN_BACKWARD) : -1;
    size_t sets =
        (size_t)(shape->coefs + (shape->stepped < 0 ? 0 : node->most_steps - 1)); /* the stepped one is last */
    aux->learned = o->learned ? snn_tape_buffer(tape, node, sets * row, SNN_KEPT) : -1;
    const bool follows = node->post.on && keeps;
    aux->psi = follows ? snn_tape_buffer(tape, node, dense, SNN_IN_FORWARD) : -1;
    aux->ready = follows ? snn_tape_buffer(tape, node, dense + (size_t)tape->max_B * row, SNN_LASTING) : -1;
    aux->sent =
        follows && again && !node->in[0]->root->is_late ? snn_tape_buffer(tape, node, dense, SNN_IN_BACKWARD) : -1;
    aux->current = aux->last[0] = aux->last[1] = -1;
    if (!again) return;
    snn_node_plan_trace(tape, node);
    for (int i = 0; i < 2; ++i) aux->running[i] = snn_tape_buffer(tape, node, states, SNN_KEPT), aux->scratch[i] = -1;
    if (again == SNN_HEARS_ALL) {
        struct snn_linear_shape product = {snn_plan_rows(tape, out), (int32_t)out->units, (int32_t)out->units};
        size_t scratch = tape->device->math->linear_scratch(tape->device->threads, &product, snn_plan_form(out));
        for (int i = 0; i < 2; ++i)
            aux->scratch[i] = snn_tape_buffer(tape, node, scratch, i ? SNN_IN_BACKWARD : SNN_IN_FORWARD);
    }
    aux->current = reads_input(node) ? snn_tape_buffer(tape, node, dense, SNN_KEPT)
                                     : snn_tape_buffer(tape, node, (size_t)tape->max_B * row, SNN_IN_FORWARD);
    size_t last = (size_t)tape->max_B * (row + sizeof(int32_t));
    for (int i = 0; i < (tape->many_cuts ? 2 : 1); ++i) aux->last[i] = snn_tape_buffer(tape, node, last, SNN_LASTING);
}

static struct snn_scan scan_of(const struct snn_node *node, const struct snn_run *run,
                               const struct snn_neuron_spec *spec) {
    const struct neuron *aux = node->aux;
    const struct snn_cell_shape *shape = cell_of(node);
    const struct snn_tensor *x = node->in[0], *out = node->out;
    ptrdiff_t n = out->units;
    struct snn_scan scan = {.spec = spec,
                            .T = snn_run_steps(run, node->out),
                            .B = run->B,
                            .to = snn_run_steps(run, node->out),
                            .N = n,
                            .smooth = run->smooth};
    const struct numbers *numbers = snn_tape_numbers_at(aux->tape, aux->numbers);
    const real *learned = snn_tape_memory(aux->tape, aux->learned);
    for (int j = 0; j < shape->coefs; ++j) {
        struct snn_coef_learned how;
        if (!param_of(node, j, &how)) scan.coef[j] = (struct snn_coef){numbers->coef + j, n, 0};
        else if (j != shape->stepped) scan.coef[j] = (struct snn_coef){learned + j * n, how.inner, 0};
        else scan.coef[j] = (struct snn_coef){learned + j * n + run->t0 * how.count, how.inner, how.count};
    }
    scan.surrogate = numbers->surrogate, scan.spacing = &numbers->spacing;
    scan.noise = snn_tape_memory(aux->tape, aux->noise);
    scan.x = x->data;
    scan.x_step = x->is_static ? 0 : run->B * n;
    bool keeps = run->train || run->smooth;
    for (int j = 0; j < shape->states; ++j) scan.h[j] = keeps ? snn_tape_memory(aux->tape, aux->states[j]) : NULL;
    scan.late = keeps ? snn_tape_memory(aux->tape, aux->late) : NULL;
    scan.bits = out->bits, scan.words = out->words;
    scan.y = out->data;
    scan.state_in = run->cut > 0 ? snn_tape_memory(aux->tape, aux->carry[run->cut & 1]) : NULL;
    scan.state_out = snn_tape_memory(aux->tape, aux->carry[~run->cut & 1]);
    scan.frozen = run->smooth ? snn_tape_memory(aux->tape, aux->frozen) : NULL;
    return scan;
}

static void prepare(const struct snn_node *node, unsigned char *numbers) {
    const struct neuron *aux = node->aux;
    const struct snn_neuron_options *o = options_of(node);
    struct numbers *to = (struct numbers *)(numbers + aux->numbers);
    for (int j = 0; j < cell_of(node)->coefs; ++j) to->coef[j] = (real)snn_neuron_number(o, j);
    int theta = cell_of(node)->theta;
    snn_surrogate_numbers(&o->surrogate, theta < 0 ? 1 : o->number[theta], to->surrogate);
    to->noise = (real)o->noise;
    to->spacing = (real)(!isnan(o->spacing) || theta < 0 ? o->spacing : o->number[theta]);
}

/* ---- recurrence ---- */

static unsigned char *last_of(const struct neuron *aux, int32_t cut) {
    return snn_tape_memory(aux->tape, aux->last[aux->tape->many_cuts ? cut & 1 : 0]);
}

/* Rows of what the layer gave from step t-1 on; for t = 0, in the last step of the cut before. */
static struct snn_rows spikes_before(const struct snn_node *node, const struct snn_run *run, int32_t t) {
    const struct neuron *aux = node->aux;
    const struct snn_tensor *out = node->out;
    struct snn_rows rows = {.words = out->words};
    const unsigned char *last = last_of(aux, run->cut);
    if (!t && aux->resumed[run->cut & 1]) return (struct snn_rows){.dense = (const real *)(const void *)last};
    if (out->bits) rows.bits = t ? out->bits + (ptrdiff_t)(t - 1) * run->B * out->words : (const uint64_t *)last;
    else rows.dense = t ? out->data + (ptrdiff_t)(t - 1) * run->B * out->units : (const real *)last;
    if (out->nonzero)
        rows.nonzero =
            t ? out->nonzero + (ptrdiff_t)(t - 1) * run->B : (const int32_t *)(last + last_rows(out, run->B));
    return rows;
}

/* nonzero of steps from .. to-1 */
static void count_spikes(const struct snn_node *node, const struct snn_run *run, int32_t from, int32_t to) {
    const struct snn_tensor *out = node->out;
    ptrdiff_t first = (ptrdiff_t)from * run->B, rows = (ptrdiff_t)(to - from) * run->B;
    if (!out->nonzero) return;
    if (out->bits)
        run->device->neuron->count(run->device, rows, out->words, out->bits + first * out->words, out->nonzero + first);
    else
        run->device->math->count_nonzero(run->device, rows, out->units, out->data + first * out->units,
                                         out->nonzero + first);
}

/* now (B,N) = x and what comes back from step t-1 */
static void hear(const struct snn_node *node, const struct snn_run *run, int32_t t, const real *x, real *now) {
    const struct neuron *aux = node->aux;
    const struct snn_device *device = run->device;
    struct snn_param *const *p = recurrent_params(node);
    ptrdiff_t n = node->out->units;
    struct snn_rows before = spikes_before(node, run, t);
    if (options_of(node)->recurrent.which == SNN_HEARS_ITSELF) {
        device->neuron->itself(run->device, run->B, n, &before, p[0]->value, x, now);
        return;
    }
    struct snn_linear_shape product = {run->B, (int32_t)n, (int32_t)n};
    device->math->linear(run->device, &product, &before, p[0]->value, p[1] ? p[1]->value : NULL, now,
                         snn_tape_memory(aux->tape, aux->scratch[0]));
    device->math->add(run->device, run->B * n, now, x, run->B * n, now);
}

/* gs (B,N), the gradient of the spikes of a step, gets that of the currents g (B,N) a step later. */
static void hear_back(const struct snn_node *node, const struct snn_run *run, const real *g, real *gs) {
    struct snn_param *const *p = recurrent_params(node);
    ptrdiff_t n = node->out->units;
    struct snn_linear_shape product = {run->B, (int32_t)n, (int32_t)n};
    if (options_of(node)->recurrent.which == SNN_HEARS_ITSELF)
        run->device->neuron->itself_grad_input(run->device, run->B, n, p[0]->value, g, gs);
    else run->device->math->linear_grad_input(run->device, &product, g, p[0]->value, true, gs);
}

static void add_heard(const struct snn_node *node, const struct snn_run *run, ptrdiff_t rows,
                      const struct snn_rows *heard, const real *g, bool late) {
    const struct neuron *aux = node->aux;
    const struct snn_device *device = run->device;
    struct snn_param *const *p = recurrent_params(node);
    ptrdiff_t n = node->out->units;
    struct snn_linear_shape product = {rows, (int32_t)n, (int32_t)n};
    if (options_of(node)->recurrent.which == SNN_HEARS_ITSELF)
        device->neuron->itself_grad_weight(run->device, rows, n, heard, g, p[0]->grad);
    else
        device->math->linear_grad_weight(run->device, &product, heard, g, p[0]->grad,
                                         late ? NULL : snn_param_gradient(p[1]),
                                         snn_tape_memory(aux->tape, aux->scratch[1]));
}

/* The weight's gradient, of the currents g (T,B,N): step 0 hears the cut before; then all others. Or of a trace of all
 * that. */
static void hear_weights(const struct snn_node *node, const struct snn_run *run, const real *g, bool late) {
    const struct neuron *aux = node->aux;
    struct snn_param *const *p = recurrent_params(node);
    const int32_t steps = snn_run_steps(run, node->out);
    ptrdiff_t n = node->out->units;
    struct snn_rows heard = {.dense = late ? NULL : snn_tape_memory(aux->tape, node->traced)};
    if (p[0]->frozen) return;
    if (heard.dense) add_heard(node, run, (ptrdiff_t)steps * run->B, &heard, g, late);
    for (int later = 0; later < 2 && later < steps && !heard.dense; ++later) {
        struct snn_rows before = spikes_before(node, run, later);
        add_heard(node, run, later ? (ptrdiff_t)(steps - 1) * run->B : run->B, &before, g + later * run->B * n, late);
    }
    if (!options_of(node)->recurrent.diagonal) run->device->neuron->zero_diagonal(run->device, n, p[0]->grad);
}

/* The trace takes in what is heard at step t. */
static void trace_heard(const struct snn_node *node, const struct snn_run *run, int32_t t) {
    const struct neuron *aux = node->aux;
    ptrdiff_t row = run->B * node->out->units;
    real *heard = snn_tape_memory(aux->tape, node->traced);
    struct snn_rows before = spikes_before(node, run, t);
    if (!heard || !run->train) return;
    const real *past = t ? heard + (t - 1) * row : run->cut ? heard + (run->before - 1) * row : NULL;
    run->device->math->trace(run->device, 1, run->B, node->out->units, &before, (real)node->trace.decay,
                             (real)node->trace.gain, past, false, heard + t * row);
}

static void forward_again(struct snn_node *node, const struct snn_run *run, struct snn_scan *scan) {
    struct neuron *aux = node->aux;
    const struct snn_device *device = run->device;
    const struct snn_tensor *out = node->out;
    ptrdiff_t step = run->B * out->units;
    size_t last = last_rows(out, run->B), counts = (size_t)run->B * sizeof(int32_t);
    real *running[2] = {snn_tape_memory(aux->tape, aux->running[0]), snn_tape_memory(aux->tape, aux->running[1])};
    real *current = snn_tape_memory(aux->tape, aux->current), *state_out = scan->state_out;
    const real *x = scan->x;
    ptrdiff_t x_step = scan->x_step;
    bool kept = reads_input(node);
    if (run->cut == 0) {
        device->memory->zero(run->device, last_of(aux, 0), last + counts);
        aux->resumed[0] = false;
    }
    for (int32_t t = 0; t < snn_run_steps(run, node->out); ++t) {
        real *now = current + (kept ? t * step : 0);
        hear(node, run, t, x + t * x_step, now);
        trace_heard(node, run, t);
        scan->from = t, scan->to = t + 1;
        scan->x = kept ? current : now, scan->x_step = kept ? step : 0;
        if (t) scan->state_in = running[~t & 1];
        scan->state_out = t == snn_run_steps(run, node->out) - 1 && state_out ? state_out : running[t & 1];
        device->neuron->forward(run->device, scan);
        count_spikes(node, run, t, t + 1);
    }
    if (!aux->tape->many_cuts) return;
    unsigned char *ends = last_of(aux, run->cut + 1);
    aux->resumed[~run->cut & 1] = false;
    struct snn_rows end = spikes_before(node, run, snn_run_steps(run, node->out));
    device->memory->copy(run->device, ends, out->bits ? (const void *)end.bits : end.dense, last);
    if (end.nonzero) device->memory->copy(run->device, ends + last, end.nonzero, counts);
}

/* The gradient of the current takes the place of the output's, step by step. */
static void backward_again(struct snn_node *node, const struct snn_run *run, struct snn_scan *scan) {
    const struct neuron *aux = node->aux;
    const struct snn_math_kernels *math = run->device->math;
    const struct snn_tensor *out = node->out;
    ptrdiff_t step = run->B * out->units;
    real *running[2] = {snn_tape_memory(aux->tape, aux->running[0]), snn_tape_memory(aux->tape, aux->running[1])};
    real *g = out->grad;
    const bool apart = aux->tape->apart;
    if (reads_input(node)) scan->x = snn_tape_memory(aux->tape, aux->current), scan->x_step = step;
    scan->gx = g, scan->adds = false, scan->x_step = step;
    for (int32_t t = snn_run_steps(run, node->out) - 1; t >= 0; --t) {
        scan->from = t, scan->to = t + 1;
        scan->gstate_in = apart || t == snn_run_steps(run, node->out) - 1 ? NULL : running[~t & 1];
        scan->gstate_out = running[t & 1];
        run->device->neuron->backward(run->device, scan);
        if (t && !apart) hear_back(node, run, g + t * step, g + (t - 1) * step);
    }
    hear_weights(node, run, g, false);
    real *gx = node->in[0]->grad;
    if (!gx) return;
    if (node->in[0]->is_static)
        math->sum_over_time(run->device, snn_run_steps(run, node->out), step, g, snn_adds(node, 0, run), gx);
    else if (gx != g)
        math->accumulate(run->device, snn_run_steps(run, node->out) * step, g, snn_adds(node, 0, run), gx);
}

/* ---- noise ---- */

static void draw_noise(const struct snn_node *node, const struct snn_run *run) {
    const struct neuron *aux = node->aux;
    const struct snn_neuron_options *o = options_of(node);
    const struct numbers *numbers = snn_tape_numbers_at(aux->tape, aux->numbers);
    struct snn_noise noise = {.T = snn_run_steps(run, node->out),
                              .B = run->B,
                              .t0 = run->t0,
                              .N = node->out->units,
                              .purpose = SNN_RNG_NOISE | o->draws << 8,
                              .clock = run->clock,
                              .sample = run->batch->sample,
                              .width = &numbers->noise};
    real *to = snn_tape_memory(aux->tape, aux->noise);
    if (to && run->smooth == SNN_HARD) run->device->neuron->draw(run->device, &noise, to);
}

/* ---- what the layer follows (autograd/learning.h) ---- */

/* After the forward scan: psi is what a spike's gradient of 1 comes to at the current of its own step, and h goes on.
 */
static void follow(const struct snn_node *node, const struct snn_run *run, const struct snn_scan *forward_scan,
                   const struct snn_neuron_spec *spec) {
    const struct neuron *aux = node->aux;
    const struct snn_device *device = run->device;
    const int32_t T = snn_run_steps(run, node->out);
    const ptrdiff_t n = node->out->units, row = run->B * n;
    real *psi = snn_tape_memory(aux->tape, aux->psi), *h = snn_tape_memory(aux->tape, aux->ready);
    if (!h || !run->train) return;
    struct snn_neuron_spec alone = *spec;
    alone.apart = true;
    struct snn_scan scan = *forward_scan;
    scan.spec = &alone, scan.from = 0, scan.to = T;
    scan.state_in = run->cut > 0 ? snn_tape_memory(aux->tape, aux->carry[run->cut & 1]) : NULL;
    scan.gy = scan.gx = psi, scan.adds = false, scan.x_step = row;
    if (!reads_input(node)) scan.x = NULL;
    else if (options_of(node)->recurrent.which) scan.x = snn_tape_memory(aux->tape, aux->current);
    device->math->fill(run->device, T * row, 1, psi);
    device->neuron->backward(run->device, &scan);
    struct snn_rows rows = {.dense = psi};
    if (run->cut) device->memory->copy(run->device, h, h + run->before * row, (size_t)row * sizeof *h);
    else device->memory->zero(run->device, h, (size_t)row * sizeof *h);
    device->math->trace(run->device, T, run->B, n, &rows, (real)node->post.decay, (real)node->post.gain, h, false,
                        h + row);
}

/* Before the backward scan takes the place of the spikes' gradient m: m h, of h before each step, is sent down. */
static void send_late(const struct snn_node *node, const struct snn_run *run) {
    const struct neuron *aux = node->aux;
    real *down = node->in[0]->late, *late = down ? down : snn_tape_memory(aux->tape, aux->sent);
    if (!late) return;
    struct snn_run as_late = *run;
    as_late.late = true;
    run->device->math->multiply(run->device, snn_run_rows(run, node->out) * node->out->units, node->out->grad,
                                snn_tape_memory(aux->tape, aux->ready), down && snn_adds(node, 0, &as_late), late);
    if (options_of(node)->recurrent.which) hear_weights(node, run, late, true);
}

/* ---- the node ---- */

static void forward(struct snn_node *node, const struct snn_run *run) {
    const struct neuron *aux = node->aux;
    const struct snn_neuron_kernels *kernels = run->device->neuron;
    struct snn_neuron_spec spec = spec_of(node);
    real *learned = snn_tape_memory(aux->tape, aux->learned);
    for (int j = 0; j < cell_of(node)->coefs; ++j) {
        struct snn_coef_learned how;
        const struct snn_param *p = param_of(node, j, &how);
        how.count = p ? p->count : 0;
        if (p) kernels->coefficients(run->device, &how, p->value, learned + j * node->out->units);
    }
    struct snn_scan scan = scan_of(node, run, &spec);
    draw_noise(node, run);
    if (options_of(node)->recurrent.which) {
        forward_again(node, run, &scan);
    } else {
        kernels->forward(run->device, &scan);
        count_spikes(node, run, 0, snn_run_steps(run, node->out));
    }
    follow(node, run, &scan, &spec);
}

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct neuron *aux = node->aux;
    struct snn_neuron_spec spec = spec_of(node);
    struct snn_scan scan = scan_of(node, run, &spec);
    ptrdiff_t n = node->out->units;
    send_late(node, run);
    scan.gy = node->out->grad;
    scan.gx = node->in[0]->grad;
    scan.adds = snn_adds(node, 0, run);
    scan.gcoef = snn_tape_memory(aux->tape, aux->gcoef);
    scan.gstep = snn_tape_memory(aux->tape, aux->gstep);
    scan.wanted = wanted_of(node);
    if (!reads_input(node)) scan.x = NULL;
    for (int j = 0; scan.gcoef && j < cell_of(node)->coefs; ++j)
        if (scan.wanted >> j & 1)
            run->device->memory->zero(run->device, scan.gcoef + j * run->B * n, (size_t)(run->B * n) * sizeof(real));
    if (options_of(node)->recurrent.which) backward_again(node, run, &scan);
    else run->device->neuron->backward(run->device, &scan);
    for (int j = 0; scan.gcoef && j < cell_of(node)->coefs; ++j) {
        struct snn_coef_learned how;
        const struct snn_param *p = param_of(node, j, &how);
        if (!p || p->frozen) continue;
        if (j == cell_of(node)->stepped)
            for (int32_t t = 0; t < snn_run_steps(run, node->out); ++t) {
                const ptrdiff_t from = (run->t0 + t) * how.count;
                run->device->neuron->coefficients_grad(run->device, &how, run->B, n, p->value + from,
                                                       scan.gstep + t * run->B * n, p->grad + from);
            }
        else
            run->device->neuron->coefficients_grad(run->device, &how, run->B, n, p->value, scan.gcoef + j * run->B * n,
                                                   p->grad);
    }
}

void snn_neuron_resume(const struct snn_node *node, int32_t cut, int32_t B, const real *state, const real *spikes) {
    struct neuron *aux = node->aux;
    ptrdiff_t n = node->out->units;
    SNN_CHECK(cut > 0 && aux->tape->many_cuts, "%s: nothing carries on to cut %d", node->name, (int)cut);
    size_t states = (size_t)cell_of(node)->states * (size_t)B * (size_t)n;
    if (state) memcpy(snn_tape_memory(aux->tape, aux->carry[cut & 1]), state, states * sizeof *state);
    if (!spikes || !options_of(node)->recurrent.which) return;
    memcpy(last_of(aux, cut), spikes, (size_t)B * (size_t)n * sizeof *spikes);
    aux->resumed[cut & 1] = true;
}

static const struct snn_op spiking_op = {
    "spiking neuron", SNN_OP_GRAD_IN_PLACE | SNN_OP_FOLLOWS | SNN_OP_APART, plan, prepare, forward, backward};
static const struct snn_op membrane_op = {
    "membrane", SNN_OP_IN_PLACE | SNN_OP_GRAD_IN_PLACE | SNN_OP_APART, plan, prepare, forward, backward};
static const struct snn_op input_op = {/* one whose backward reads the input again */
                                       "neuron",
                                       SNN_OP_GRAD_IN_PLACE | SNN_OP_NEEDS_INPUT | SNN_OP_FOLLOWS | SNN_OP_APART,
                                       plan,
                                       prepare,
                                       forward,
                                       backward};
static const struct snn_op recurrent_op = {/* keeps the whole current itself */
                                           "recurrent neuron",
                                           SNN_OP_GRAD_IN_PLACE | SNN_OP_NEEDS_OUTPUT | SNN_OP_FOLLOWS | SNN_OP_APART |
                                               SNN_OP_TRACES,
                                           plan,
                                           prepare,
                                           forward,
                                           backward};

static const struct snn_op *op_of(const struct snn_neuron_options *o) {
    const struct snn_neuron_model *m = &snn_neuron_models[o->model];
    if (o->recurrent.which) return &recurrent_op;
    if (reads_input_as(o)) return &input_op;
    return m->spikes ? &spiking_op : &membrane_op;
}

bool snn_neuron_leak(const struct snn_node *node, double *leak) {
    const struct snn_op *op = node->op;
    if (op != &spiking_op && op != &membrane_op && op != &input_op && op != &recurrent_op) return false;
    if (model_of(node)->cell != SNN_CELL_lif || options_of(node)->learned & 1u << LIF_BETA) return false;
    *leak = snn_neuron_number(options_of(node), LIF_BETA);
    return true;
}

int snn_neuron_kept(const struct snn_node *node, bool *reads) {
    const struct neuron *aux = node->aux;
    int kept = aux->late >= 0;
    for (int j = 0; j < cell_of(node)->states; ++j) kept += aux->states[j] >= 0;
    *reads = reads_input(node);
    return kept;
}

struct snn_tensor *snn_neuron(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                              const struct snn_neuron_options *options, const struct snn_neuron_params *params) {
    bool fires = snn_neuron_models[options->model].spikes;
    struct snn_node *node =
        snn_tape_node(tape, op_of(options), name, x, NULL, x->nd, x->dim, options, sizeof(struct neuron));
    int count = 0;
    if (snn_cell_shapes[snn_neuron_models[options->model].cell].stepped >= 0)
        node->most_steps = (int32_t)options->steps;
    _Static_assert(SNN_CELL_COEFS + 2 <= SNN_NODE_PARAMS, "a node has room for every coefficient and the recurrence");
    for (int j = 0; params && j < SNN_CELL_COEFS; ++j)
        if (params->learned[j]) node->param[count++] = params->learned[j];
    SNN_CHECK(count == __builtin_popcount(options->learned), "%s: %d parameters for its coefficients", name, count);
    if (options->recurrent.which)
        node->param[count++] = params->recurrent, node->param[count++] = params->recurrent_bias;
    if (count) node->out->needs_grad = true;
    node->out->is_spikes = fires && options->spikes == SNN_FIRES_ONCE;
    node->out->is_sparse = fires && options->spikes != SNN_FIRES_ONCE;
    return node->out;
}
