/* SPDX-License-Identifier: Apache-2.0 */
#include "train/network.h"

#include <stdlib.h>
#include <string.h>

#include "autograd/math.h"
#include "autograd/memory.h"
#include "core/status.h"
#include "train/penalty.h"

size_t snn_tally_bytes(const struct snn_network *n) {
    return sizeof(struct snn_tally) + (size_t)n->model.layers * sizeof(int64_t);
}

/* A rule that keeps steps apart may make any cuts (sltt_k), whatever there is room for. */
static bool passes_in_cuts(const struct snn_network *n) {
    return n->plan.cut < n->plan.T || (n->model.tape.apart && n->plan.T > 1);
}

/* Events of batches that pass in cuts may lie by sample (core/batch.h). */
static bool takes_by_sample(const struct snn_network *n) {
    const struct snn_tensor *x = n->model.tape.input;
    return x->is_sparse && !x->is_static && passes_in_cuts(n);
}

/* Everything that takes memory, in one order for both passes. */
static void take(struct snn_network *n, struct snn_arena *arena) {
    struct snn_model *m = &n->model;
    const struct snn_tensor *out = m->tape.output;
    snn_params_bind(&m->params, arena, n->plan.train);
    if (n->optim && n->plan.train) snn_optim_bind(n->optim, arena);
    snn_tape_bind(&m->tape, arena);
    size_t B = (size_t)n->plan.slice;
    n->controls = snn_arena_alloc(arena, sizeof *n->controls, SNN_MEM_STATE);
    n->tally = snn_arena_alloc(arena, snn_tally_bytes(n), SNN_MEM_STATE);
    n->mask = snn_arena_alloc(arena, (size_t)(n->plan.cut + out->appended) * B, SNN_MEM_STATE);
    n->row = NULL;
    if (takes_by_sample(n))
        n->row = snn_arena_alloc(arena, B * (size_t)(n->plan.cut + 1) * sizeof *n->row, SNN_MEM_STATE);
    n->cut_length = snn_arena_alloc(arena, B * sizeof *n->cut_length, SNN_MEM_STATE);
    n->sample_loss = snn_arena_alloc(arena, B * sizeof *n->sample_loss, SNN_MEM_STATE);
    snn_penalty_bind(n, arena);
    if (snn_loss_class_weights(&n->loss, 0, NULL))
        n->class_weight =
            snn_arena_alloc(arena, (size_t)n->loss.terms * (size_t)out->units * sizeof(double), SNN_MEM_STATE);
    bool in_cuts = passes_in_cuts(n) && n->plan.train && !n->regression;
    n->running = in_cuts ? snn_arena_alloc(arena, B * (size_t)out->units * sizeof *n->running, SNN_MEM_STATE) : NULL;
    n->loss_scratch = snn_arena_alloc(
        arena, (size_t)snn_loss_scratch(n->device->threads, (int32_t)out->units) * sizeof(double), SNN_MEM_SCRATCH);
}

enum { SLICE_LEAST = 4 }; /* samples: fewer do not fill a kernel */

static void lay_out_for(struct snn_network *n, int32_t samples) {
    const struct snn_network_plan *plan = &n->plan;
    struct snn_plan_for what = {.T = plan->cut,
                                .B = samples,
                                .recorded = plan->train,
                                .many_cuts = passes_in_cuts(n),
                                .smooth = plan->smooth,
                                .device = n->device};
    struct snn_tape *tape = &n->model.tape;
    bool again = plan->train && !what.many_cuts;
    if (again && n->recompute > 0) what.recompute = n->recompute;
    snn_tape_plan(tape, &what);
    if (!again || n->recompute != SNN_RECOMPUTE_AUTO) return;
    size_t least = tape->pool_bytes;
    int best = 0;
    for (int spiking = 1; spiking == 1 || tape->segments; spiking += 1 + spiking / 4) { /* 1 2 3 4 6 8 11 14 ... */
        what.recompute = spiking;
        snn_tape_plan(tape, &what);
        if (tape->pool_bytes < least || (best && tape->pool_bytes == least)) least = tape->pool_bytes, best = spiking;
    }
    what.recompute = best;
    snn_tape_plan(tape, &what);
}

static bool passes_whole(const struct snn_tape *tape, bool train) {
    unsigned flags = SNN_OP_WHOLE_BATCH | (train ? SNN_OP_COUPLES_SAMPLES : 0);
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->op->flags & flags) return true;
    return false;
}

enum { APART_ROOM = 1 << 26 }; /* bytes where there is no cache to fill */

/* Steps that learn by themselves may pass together, which changes nothing but the time it takes. */
static void join_steps(struct snn_network *n, const struct snn_network_plan *plan) {
    const struct snn_tape *tape = &n->model.tape;
    size_t room = n->device->cache ? n->device->cache : APART_ROOM;
    if (plan->cut != 1 || !tape->apart || plan->smooth || !snn_tape_keeps_apart(tape)) return;
    for (int32_t steps = SNN_APART_MOST; steps > 1; steps /= 2) {
        while (n->learner.steps % steps) --steps; /* weights change between cuts alone */
        if (steps == 1) break;
        n->plan.cut = steps < plan->T ? steps : plan->T;
        lay_out_for(n, n->plan.slice);
        if (tape->pool_bytes <= room) return;
    }
    n->plan.cut = 1;
}

static void lay_out(struct snn_network *n, const struct snn_network_plan *plan) {
    n->plan = *plan;
    if (!n->plan.slice) n->plan.slice = plan->B;
    join_steps(n, plan);
    lay_out_for(n, n->plan.slice);
    size_t bytes = n->model.tape.pool_bytes;
    size_t cache = n->device->cache;
    if (plan->slice || plan->piece || !cache || n->learner.steps || bytes <= cache || plan->smooth ||
        passes_whole(&n->model.tape, plan->train))
        return;
    int32_t slices = (int32_t)((bytes + cache - 1) / cache), slice = (plan->B + slices - 1) / slices;
    n->plan.slice = slice < SLICE_LEAST ? SLICE_LEAST < plan->B ? SLICE_LEAST : plan->B : slice;
    lay_out_for(n, n->plan.slice);
}

int snn_network_stage(struct snn_network *n, const struct snn_batch *batch) {
    n->batch = batch;
    SNN_TRY(n->device->memory->stage(n->device, batch, &n->staged));
    snn_tape_prepare(&n->model.tape, n->device);
    return SNN_OK;
}

bool snn_network_slice(const struct snn_network *n, int32_t *first, struct snn_slice *slice) {
    int32_t left = n->batch->B - *first, count = left < n->plan.slice ? left : n->plan.slice;
    if (left <= 0) return false;
    slice->batch = snn_batch_slice(n->batch, *first, count);
    slice->staged = snn_batch_slice(&n->staged, *first, count);
    slice->follows = *first > 0, slice->followed = count < left;
    slice->passed = n->batch->t0 ? n->passed : (struct snn_passed){0};
    SNN_CHECK(!snn_batch_is_piece(n->batch) || count == n->batch->B, "slices of recordings in pieces");
    *first += count;
    return true;
}

void snn_network_measure(struct snn_network *n, const struct snn_network_plan *plan, struct snn_arena *arena) {
    *arena = (struct snn_arena){0};
    lay_out(n, plan);
    take(n, arena);
}

/* Copies of what the host looks at: the output, the losses, and the counts of every tensor that has some. */
static int bind_mirror(struct snn_network *n) {
    struct snn_tape *tape = &n->model.tape;
    const struct snn_tensor *out = tape->output;
    size_t output = (size_t)snn_plan_rows(tape, out) * (size_t)out->units * sizeof(real),
           losses = (size_t)n->plan.slice * sizeof(double), bytes = output + losses;
    n->output = out->data, n->losses = n->sample_loss;
    for (int i = 0; i < tape->tensors; ++i) {
        tape->tensor[i]->seen = tape->tensor[i]->nonzero;
        bytes += (size_t)snn_plan_rows(tape, tape->tensor[i]) * sizeof(int32_t);
    }
    if (n->device->shared) return SNN_OK;
    unsigned char *at = n->mirror = n->device->memory->host(n->device, bytes);
    if (!at) return snn_error(SNN_EFAIL, "out of memory: %.1f MB for what is read back", (double)bytes * 1e-6);
    n->losses = (double *)at, at += losses;
    n->output = (real *)at, at += output;
    for (int i = 0; i < tape->tensors; ++i) {
        tape->tensor[i]->seen = (int32_t *)at;
        at += (size_t)snn_plan_rows(tape, tape->tensor[i]) * sizeof(int32_t);
    }
    return SNN_OK;
}

/* Of the batches on their way, which are not in the arena. */
static size_t batch_bytes(const struct snn_network *n) {
    const struct snn_tensor *x = n->model.tape.input;
    struct snn_batch shape = {.form = x->is_static   ? SNN_BATCH_STATIC
                                      : x->is_sparse ? SNN_BATCH_EVENTS
                                                     : SNN_BATCH_FRAMES,
                              .T = n->plan.piece ? n->plan.piece : n->plan.T,
                              .B = n->plan.B,
                              .C = (int32_t)x->units,
                              .H = 1,
                              .W = 1,
                              .by_sample = takes_by_sample(n),
                              .targets = n->targets,
                              .target_steps = n->target_steps};
    return n->device->memory->stage_bytes(n->device, &shape);
}

static int reserve(struct snn_network *n, struct snn_arena *arena) {
    const struct snn_memory_kernels *memory = n->device->memory;
    size_t left, total, size = arena->used, batches = batch_bytes(n);
    memory->room(n->device, &left, &total);
    if (total && size + batches > left)
        return snn_error(SNN_EUSAGE,
                         "%s: %.1f MB are planned, %.1f MB of the card's %.1f MB are free (a smaller "
                         "train.batch needs less; `snntrain plan` shows what takes how much)",
                         n->device->name, (double)(size + batches) * 1e-6, (double)left * 1e-6, (double)total * 1e-6);
    void *base = memory->allocate(n->device, size);
    if (!base)
        return snn_error(SNN_EFAIL, "out of memory: %.1f MB were planned (`snntrain plan CONFIG` shows for what)",
                         (double)size * 1e-6);
    *arena = (struct snn_arena){.base = base, .size = size};
    return SNN_OK;
}

/* Of the loss: the config has them, and device memory wants them. */
static int upload_class_weights(struct snn_network *n) {
    int32_t C = (int32_t)n->model.tape.output->units;
    size_t count = (size_t)n->loss.terms * (size_t)C;
    if (!n->class_weight) return SNN_OK;
    double *weights = malloc(count * sizeof *weights);
    if (!weights) return snn_error(SNN_EFAIL, "out of memory for class weights");
    snn_loss_class_weights(&n->loss, C, weights);
    n->device->memory->upload(n->device, n->class_weight, weights, count * sizeof *weights);
    free(weights);
    return SNN_OK;
}

int snn_network_check(const struct snn_network *n, const struct snn_network_plan *plan) {
    if (plan->cut < plan->T && !snn_loss_is_stepwise(&n->loss))
        return snn_error(SNN_EUSAGE,
                         "train.loss needs all %d steps at once, and they pass in cuts of %d (train.rule): losses with "
                         "`over: step` do not",
                         (int)plan->T, (int)plan->cut);
    for (int i = 0; i < n->model.tape.nodes; ++i) {
        const struct snn_node *node = n->model.tape.node[i];
        if (node->op->flags & SNN_OP_COUPLES_STEPS && plan->cut < plan->T)
            return snn_error(SNN_EUSAGE, "%s needs all %d steps at once, and they pass in cuts of %d (train.rule)",
                             node->name, (int)plan->T, (int)plan->cut);
        int steps = (int)(plan->T + node->out->appended);
        if (node->most_steps && steps > node->most_steps)
            return snn_error(SNN_EUSAGE,
                             "%s has numbers for %d steps, but recordings have up to %d: give it `steps: %d`",
                             node->name, (int)node->most_steps, steps, steps);
    }
    return SNN_OK;
}

int snn_network_allocate(struct snn_network *n, const struct snn_network_plan *plan) {
    SNN_TRY(snn_network_check(n, plan));
    const struct snn_memory_kernels *memory = n->device->memory;
    struct snn_arena old = n->arena, fresh;
    const real *values = n->model.params.value;
    memory->forget(n->device);
    memory->host_release(n->device, n->mirror);
    n->mirror = NULL;
    snn_network_measure(n, plan, &fresh);
    SNN_TRY(reserve(n, &fresh));
    n->arena = fresh;
    take(n, &n->arena);
    if (old.base && values)
        memory->copy(n->device, n->model.params.value, values, (size_t)n->model.params.size * sizeof(real));
    memory->release(n->device, old.base);
    SNN_TRY(upload_class_weights(n));
    return bind_mirror(n);
}

void snn_network_free(struct snn_network *n) {
    snn_optim_close(&n->optim);
    snn_model_free(&n->model);
    if (!n->device || !n->device->memory) return;
    n->device->memory->host_release(n->device, n->mirror);
    n->device->memory->release(n->device, n->arena.base);
    n->mirror = NULL, n->arena = (struct snn_arena){0};
}

static const struct snn_batch *staged(const struct snn_cut *cut) { return cut->staged ? cut->staged : cut->batch; }

static struct snn_run run_of(struct snn_network *n, const struct snn_cut *cut) {
    return (struct snn_run){.device = n->device,
                            .batch = staged(cut),
                            .T = cut->T,
                            .B = cut->batch->B,
                            .t0 = snn_cut_at(cut),
                            .cut = cut->index,
                            .before = cut->before,
                            .train = cut->train,
                            .first_cut = cut->index == 0,
                            .smooth = cut->smooth,
                            .mask = cut->batch->masked ? n->mask : NULL,
                            .appended = n->model.tape.output->appended,
                            .clock = n->controls->clock};
}

/* The rows of a cut. Those of events by sample are found anew for each; backward finds them as forward left them. */
static struct snn_lists lists_of(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = staged(cut);
    int32_t B = batch->B, stride = snn_batch_stride(batch);
    if (!batch->by_sample) {
        const int32_t *row = batch->row + (ptrdiff_t)cut->t0 * stride;
        return (struct snn_lists){row, batch->index, batch->value, B, stride, 1};
    }
    SNN_CHECK(n->row, "events by sample for a plan of all %d steps in one cut", (int)n->plan.T);
    n->device->math->find_rows(n->device, cut->T, B, cut->t0, batch->first, batch->step, n->row);
    return (struct snn_lists){n->row, batch->index, batch->value, B, 1, cut->T + 1};
}

static void load_input(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = staged(cut);
    const struct snn_math_kernels *math = n->device->math;
    struct snn_tensor *x = n->model.tape.input;
    ptrdiff_t units = x->units;
    int32_t B = batch->B, stride = snn_batch_stride(batch);
    SNN_CHECK(units == (ptrdiff_t)batch->C * batch->H * batch->W, "a batch of %d units for an input of %td",
              (int)(batch->C * batch->H * batch->W), units);
    SNN_CHECK(!x->is_listed || batch->form == SNN_BATCH_EVENTS, "frames for an input that is kept as lists of events");
    if (batch->form == SNN_BATCH_EVENTS) {
        struct snn_lists lists = lists_of(n, cut);
        if (x->is_listed) x->lists = lists;
        math->load_events(n->device, cut->T, units, &lists, x->data, x->nonzero);
    } else if (batch->form == SNN_BATCH_FRAMES)
        math->load_frames(n->device, cut->T, B, stride, units, batch->frames + (ptrdiff_t)cut->t0 * stride * units,
                          x->data, x->nonzero);
    else if (cut->index == 0) math->load_frames(n->device, 1, B, stride, units, batch->frames, x->data, x->nonzero);
}

/* Of steps from .. to-1 of the cut's output. */
static void set_lengths_of(struct snn_network *n, const struct snn_cut *cut, int32_t from, int32_t to) {
    const struct snn_batch *batch = staged(cut);
    if (batch->masked)
        n->device->math->cut_lengths(n->device, to - from, batch->B,
                                     snn_cut_at(cut) + from - n->model.tape.output->appended, batch->length,
                                     n->cut_length, n->mask);
}

static void set_lengths(struct snn_network *n, const struct snn_cut *cut) {
    set_lengths_of(n, cut, 0, snn_cut_steps(n, cut));
}

void snn_network_begin(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = cut->batch;
    SNN_CHECK(batch->B <= n->plan.slice && cut->T <= n->plan.cut, "a cut of T=%d B=%d for a plan of T=%d B=%d",
              (int)cut->T, (int)batch->B, (int)n->plan.cut, (int)n->plan.slice);
    SNN_CHECK(snn_cut_is_all(cut) || !n->model.tape.output->appended, "a cut of a batch that delays append steps to");
    n->passed.cuts = cut->index + 1, n->passed.last = cut->T;
    snn_tape_prepare(&n->model.tape, n->device);
    load_input(n, cut);
    set_lengths(n, cut);
    struct snn_run run = run_of(n, cut);
    if (run.first_cut && !cut->follows) snn_tape_forward_scope(&n->model.tape, &run, SNN_SCOPE_WEIGHTS);
    if (run.first_cut) snn_tape_forward_scope(&n->model.tape, &run, SNN_SCOPE_BATCH);
}

void snn_network_forward(struct snn_network *n, const struct snn_cut *cut) {
    snn_network_begin(n, cut);
    struct snn_run run = run_of(n, cut);
    snn_tape_forward_scope(&n->model.tape, &run, SNN_SCOPE_CUT);
}

void snn_network_forward_block(struct snn_network *n, const struct snn_cut *cut, int block) {
    struct snn_run run = run_of(n, cut);
    snn_tape_forward_block(&n->model.tape, &run, block);
}

void snn_network_backward_block(struct snn_network *n, const struct snn_cut *cut, int block) {
    struct snn_run run = run_of(n, cut);
    snn_tape_backward_block(&n->model.tape, &run, block);
}

static struct snn_loss_call loss_call(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = staged(cut);
    const int32_t *length = batch->masked ? n->cut_length : NULL;
    int32_t C = (int32_t)n->model.tape.output->units, rows = batch->target_steps ? snn_batch_stride(batch) : 0;
    SNN_CHECK(!batch->target || batch->targets == C, "a target of %d numbers for %d outputs", (int)batch->targets,
              (int)C);
    return (struct snn_loss_call){.loss = &n->loss,
                                  .T = snn_cut_steps(n, cut),
                                  .B = batch->B,
                                  .C = C,
                                  .output = n->model.tape.output->data,
                                  .label = batch->label,
                                  .target = batch->target ? batch->target + (ptrdiff_t)cut->t0 * rows * C : NULL,
                                  .target_stride = rows,
                                  .length = length,
                                  .total = length && !snn_cut_is_all(cut) ? batch->length : length,
                                  .steps = snn_batch_whole(batch) + n->model.tape.output->appended,
                                  .t0 = snn_cut_at(cut),
                                  .last = cut->last,
                                  .class_weight = n->class_weight,
                                  .scale = &n->controls->scale};
}

void snn_network_loss(struct snn_network *n, const struct snn_cut *cut, bool gradient) {
    SNN_CHECK(snn_cut_is_all(cut) || snn_loss_is_stepwise(&n->loss), "this loss needs all steps at once");
    set_lengths(n, cut);
    struct snn_loss_call call = loss_call(n, cut);
    n->device->loss->evaluate(n->device, &call, n->sample_loss, gradient ? n->model.tape.output->grad : NULL,
                              n->loss_scratch);
    if (cut->train) snn_penalty_loss(n, cut, staged(cut));
}

void snn_network_block_loss(struct snn_network *n, const struct snn_cut *cut, int block) {
    const struct snn_tensor *z = n->readout[block];
    if (!z) {
        snn_network_loss(n, cut, true);
        return;
    }
    struct snn_loss_call call = loss_call(n, cut);
    call.output = z->data;
    n->device->loss->evaluate(n->device, &call, n->sample_loss, z->grad, n->loss_scratch);
}

void snn_network_tally(struct snn_network *n, const struct snn_cut *cut) {
    struct snn_loss_call call = loss_call(n, cut);
    const bool all = snn_cut_is_all(cut);
    SNN_CHECK(all || n->running || n->regression, "cuts of a network that is planned for one");
    n->device->loss->add_losses(n->device, call.B, n->sample_loss, &n->tally->loss);
    if (!n->regression)
        n->device->loss->count_correct(n->device, &call, n->decide, all ? NULL : n->running, &n->tally->correct,
                                       n->loss_scratch);
    for (int l = 0; l < n->model.layers; ++l) {
        const struct snn_tensor *t = n->model.layer[l].out->root;
        if (t->is_spikes)
            n->device->math->add_counts(n->device, cut->T + t->appended, call.B, t->is_static, t->nonzero, call.length,
                                        n->model.tape.output->appended - t->appended, &n->tally->spikes[l]);
    }
}

/* Wait for the losses of the samples. */
static int look_at_losses(struct snn_network *n, const struct snn_cut *cut) {
    if (n->losses == n->sample_loss) return SNN_OK;
    return n->device->memory->download(n->device, (double *)n->losses, n->sample_loss,
                                       (size_t)cut->batch->B * sizeof(double));
}

int snn_network_step_losses(struct snn_network *n, const struct snn_cut *cut, int32_t from, int32_t to, double *sum) {
    struct snn_loss_call call = loss_call(n, cut);
    SNN_CHECK(snn_loss_is_stepwise(&n->loss), "this loss needs all steps at once");
    call.T = to - from, call.t0 += from, call.total = NULL, call.steps = 1;
    call.output += (ptrdiff_t)from * call.B * call.C;
    if (call.target) call.target += (ptrdiff_t)from * call.target_stride * call.C;
    set_lengths_of(n, cut, from, to);
    n->device->loss->evaluate(n->device, &call, n->sample_loss, NULL, n->loss_scratch);
    SNN_TRY(look_at_losses(n, cut));
    for (int32_t b = 0; b < cut->batch->B; ++b) sum[b] += n->losses[b];
    return SNN_OK;
}

int snn_network_loss_sum(struct snn_network *n, const struct snn_cut *cut, double *sum) {
    *sum = 0;
    SNN_TRY(look_at_losses(n, cut));
    for (int32_t b = 0; b < cut->batch->B; ++b) *sum += n->losses[b];
    return SNN_OK;
}

int snn_network_look(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_tape *tape = &n->model.tape;
    const struct snn_memory_kernels *memory = n->device->memory;
    if (n->device->shared) return SNN_OK;
    size_t B = (size_t)cut->batch->B;
    SNN_TRY(memory->download(n->device, (real *)n->output, tape->output->data,
                             (size_t)snn_cut_steps(n, cut) * B * (size_t)tape->output->units * sizeof(real)));
    for (int i = 0; i < tape->tensors; ++i) {
        const struct snn_tensor *t = tape->tensor[i];
        if (t->nonzero && t->root == t)
            SNN_TRY(memory->download(n->device, (int32_t *)t->seen, t->nonzero,
                                     (t->is_static ? 1 : (size_t)(cut->T + t->appended)) * B * sizeof(int32_t)));
    }
    return SNN_OK;
}

void snn_network_backward(struct snn_network *n, const struct snn_cut *cut) {
    struct snn_run run = run_of(n, cut);
    snn_tape_backward_scope(&n->model.tape, &run, SNN_SCOPE_CUT);
}

void snn_network_backward_batch(struct snn_network *n, const struct snn_cut *cut) {
    struct snn_run run = run_of(n, cut);
    if (!snn_batch_ends(cut->batch)) return;
    snn_tape_backward_scope(&n->model.tape, &run, SNN_SCOPE_BATCH);
    if (!cut->followed) snn_tape_backward_scope(&n->model.tape, &run, SNN_SCOPE_WEIGHTS);
    if (!cut->followed) snn_penalty_gradient(n, cut);
}

void snn_network_learn(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_learner *learner = &n->learner;
    const int32_t end = snn_cut_at(cut) + cut->T;
    if (!learner->payload || !learner->steps || snn_cut_ends(cut) || end % learner->steps) return;
    SNN_CHECK(!cut->follows && !cut->followed, "a batch in slices, whose weights change while it passes");
    struct snn_run run = run_of(n, cut);
    snn_tape_backward_scope(&n->model.tape, &run, SNN_SCOPE_WEIGHTS);
    snn_penalty_gradient(n, cut);
    learner->now(learner->payload);
    snn_tape_forward_scope(&n->model.tape, &run, SNN_SCOPE_WEIGHTS);
}

void snn_network_zero_gradients(struct snn_network *n) {
    n->device->memory->zero(n->device, n->model.params.grad, (size_t)n->model.params.learned * sizeof(real));
}

void snn_network_set_step(struct snn_network *n, uint64_t seed, uint32_t step, double scale) {
    struct snn_controls controls = {.clock = {(uint32_t)seed, (uint32_t)(seed >> 32), step}, .scale = scale};
    n->step.seed = seed, n->step.number = step, n->step.scale = scale;
    n->device->memory->upload(n->device, n->controls, &controls, sizeof controls);
}

void snn_network_rescale(struct snn_network *n, double factor) {
    snn_network_set_step(n, n->step.seed, n->step.number, n->step.scale * factor);
}
