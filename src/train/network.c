/* SPDX-License-Identifier: Apache-2.0 */
#include "train/network.h"

#include <string.h>

#include "autograd/math.h"
#include "core/status.h"

/* Everything that takes memory, in one order for both passes. */
static void take(struct snn_network *n, struct snn_arena *arena) {
    struct snn_model *m = &n->model;
    const struct snn_tensor *out = m->tape.output;
    snn_params_bind(&m->params, arena, n->plan.train);
    if (n->optim && n->plan.train) snn_optim_bind(n->optim, arena);
    snn_tape_bind(&m->tape, arena);
    size_t B = (size_t)n->plan.slice;
    n->clock = snn_arena_alloc(arena, 3 * sizeof *n->clock, SNN_MEM_STATE);
    n->mask = snn_arena_alloc(arena, (size_t)n->plan.cut * B, SNN_MEM_STATE);
    n->cut_length = snn_arena_alloc(arena, B * sizeof *n->cut_length, SNN_MEM_STATE);
    n->sample_loss = snn_arena_alloc(arena, B * sizeof *n->sample_loss, SNN_MEM_STATE);
    n->loss_scratch = snn_arena_alloc(
        arena, (size_t)snn_loss_scratch(n->device->threads, (int32_t)out->units) * sizeof(double), SNN_MEM_SCRATCH);
}

/* Activations of this many bytes stay in the last-level cache of most machines beside the weights: on the reference
 * workload slices of 8 samples train 15 % faster than the whole batch of 64, in an eighth of the memory. A constant, so
 * that results do not depend on the machine. */
enum { SLICE_BYTES = 12 << 20, SLICE_LEAST = 4 };

static void lay_out_for(struct snn_network *n, int32_t samples) {
    const struct snn_network_plan *plan = &n->plan;
    struct snn_plan_for what = {.T = plan->cut,
                                .B = samples,
                                .recorded = plan->train,
                                .many_cuts = plan->cut < plan->T,
                                .smooth = plan->smooth,
                                .device = n->device};
    snn_tape_plan(&n->model.tape, &what);
}

static bool couples_samples(const struct snn_tape *tape) {
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->op->flags & SNN_OP_COUPLES_SAMPLES) return true;
    return false;
}

static void lay_out(struct snn_network *n, const struct snn_network_plan *plan) {
    n->plan = *plan;
    if (!n->plan.slice) n->plan.slice = plan->B;
    lay_out_for(n, n->plan.slice);
    size_t bytes = n->model.tape.pool_bytes;
    if (plan->slice || bytes <= SLICE_BYTES || plan->smooth || (plan->train && couples_samples(&n->model.tape))) return;
    int32_t slices = (int32_t)((bytes + SLICE_BYTES - 1) / SLICE_BYTES), slice = (plan->B + slices - 1) / slices;
    n->plan.slice = slice < SLICE_LEAST ? SLICE_LEAST < plan->B ? SLICE_LEAST : plan->B : slice;
    lay_out_for(n, n->plan.slice);
}

bool snn_network_slice(const struct snn_network *n, const struct snn_batch *batch, int32_t *first,
                       struct snn_batch *slice) {
    int32_t left = batch->B - *first;
    if (left <= 0) return false;
    *slice = snn_batch_slice(batch, *first, left < n->plan.slice ? left : n->plan.slice);
    *first += slice->B;
    return true;
}

void snn_network_measure(struct snn_network *n, const struct snn_network_plan *plan, struct snn_arena *arena) {
    *arena = (struct snn_arena){0};
    lay_out(n, plan);
    take(n, arena);
}

int snn_network_allocate(struct snn_network *n, const struct snn_network_plan *plan) {
    struct snn_arena old = n->arena, fresh;
    const real *values = n->model.params.value;
    snn_network_measure(n, plan, &fresh);
    SNN_TRY(snn_arena_reserve(&fresh));
    n->arena = fresh;
    take(n, &n->arena);
    if (old.base && values) memcpy(n->model.params.value, values, (size_t)n->model.params.size * sizeof(real));
    snn_arena_free(&old);
    return SNN_OK;
}

void snn_network_free(struct snn_network *n) {
    snn_optim_close(&n->optim);
    snn_model_free(&n->model);
    snn_arena_free(&n->arena);
}

static struct snn_run run_of(struct snn_network *n, const struct snn_cut *cut) {
    return (struct snn_run){.device = n->device,
                            .batch = cut->batch,
                            .T = cut->T,
                            .B = cut->batch->B,
                            .t0 = cut->t0,
                            .cut = cut->index,
                            .train = cut->train,
                            .first_cut = cut->index == 0,
                            .smooth = cut->smooth,
                            .mask = cut->batch->masked ? n->mask : NULL,
                            .clock = n->clock};
}

static void load_input(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = cut->batch;
    const struct snn_math_kernels *math = n->device->math;
    struct snn_tensor *x = n->model.tape.input;
    ptrdiff_t units = x->units;
    int32_t B = batch->B, stride = snn_batch_stride(batch);
    SNN_CHECK(units == (ptrdiff_t)batch->C * batch->H * batch->W, "a batch of %d units for an input of %td",
              (int)(batch->C * batch->H * batch->W), units);
    if (batch->form == SNN_BATCH_EVENTS)
        math->load_events(n->device, cut->T, B, stride, units, batch->row + (ptrdiff_t)cut->t0 * stride, batch->index,
                          batch->value, x->data, x->nonzero);
    else if (batch->form == SNN_BATCH_FRAMES)
        math->load_frames(n->device, cut->T, B, stride, units, batch->frames + (ptrdiff_t)cut->t0 * stride * units,
                          x->data, x->nonzero);
    else if (cut->index == 0) math->load_frames(n->device, 1, B, stride, units, batch->frames, x->data, x->nonzero);
}

void snn_network_forward(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_batch *batch = cut->batch;
    SNN_CHECK(batch->B <= n->plan.slice && cut->T <= n->plan.cut, "a cut of T=%d B=%d for a plan of T=%d B=%d",
              (int)cut->T, (int)batch->B, (int)n->plan.cut, (int)n->plan.slice);
    load_input(n, cut);
    for (int32_t t = 0; batch->masked && t < cut->T; ++t)
        for (int32_t b = 0; b < batch->B; ++b) n->mask[(ptrdiff_t)t * batch->B + b] = t < snn_cut_length(cut, b);
    struct snn_run run = run_of(n, cut);
    if (run.first_cut) snn_tape_forward_scope(&n->model.tape, &run, true);
    snn_tape_forward_scope(&n->model.tape, &run, false);
}

double snn_network_loss(struct snn_network *n, const struct snn_cut *cut, bool gradient, double scale) {
    struct snn_tensor *out = n->model.tape.output;
    const struct snn_batch *batch = cut->batch;
    bool whole = cut->T == batch->T;
    SNN_CHECK(whole || snn_loss_is_stepwise(&n->loss), "this loss needs all steps at once");
    for (int32_t b = 0; b < batch->B; ++b) n->cut_length[b] = snn_cut_length(cut, b);
    struct snn_loss_call call = {.loss = &n->loss,
                                 .T = cut->T,
                                 .B = batch->B,
                                 .C = (int32_t)out->units,
                                 .output = out->data,
                                 .label = batch->label,
                                 .length = n->cut_length,
                                 .total = !batch->masked ? NULL
                                          : whole        ? n->cut_length
                                                         : batch->length,
                                 .steps = batch->T,
                                 .scale = scale};
    n->device->loss->evaluate(n->device, &call, n->sample_loss, gradient ? out->grad : NULL, n->loss_scratch);
    double sum = 0;
    for (int32_t b = 0; b < batch->B; ++b) sum += n->sample_loss[b];
    return sum;
}

void snn_network_backward(struct snn_network *n, const struct snn_cut *cut) {
    struct snn_run run = run_of(n, cut);
    snn_tape_backward_scope(&n->model.tape, &run, false);
}

void snn_network_backward_batch(struct snn_network *n, const struct snn_cut *cut) {
    struct snn_run run = run_of(n, cut);
    snn_tape_backward_scope(&n->model.tape, &run, true);
}

void snn_network_zero_gradients(struct snn_network *n) {
    memset(n->model.params.grad, 0, (size_t)n->model.params.learned * sizeof(real));
}

void snn_network_set_clock(struct snn_network *n, uint64_t seed, uint32_t step) {
    n->clock[0] = (uint32_t)seed, n->clock[1] = (uint32_t)(seed >> 32), n->clock[2] = step;
}
