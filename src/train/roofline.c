/* SPDX-License-Identifier: Apache-2.0 */
#include "train/roofline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "autograd/memory.h"
#include "core/status.h"
#include "train/step.h"

/* Of src/cuda/cost.h, which this folder may not include: backends are reached by their names, as in device.c. */
int snn_cuda_cost_open(struct snn_costs *costs, struct snn_device *out);

/* ---- cards ---- */

#define GB 1e9
#define TFLOPS 1e12
const struct snn_card snn_cards[] = {
    {"h200", "H200 SXM 141 GB", 4800 * GB, 66.9 * TFLOPS},
    {"h100", "H100 SXM 80 GB", 3350 * GB, 66.9 * TFLOPS},
    {"h100-pcie", "H100 PCIe 80 GB", 2000 * GB, 51.2 * TFLOPS},
    {"a100", "A100 SXM 80 GB", 2039 * GB, 19.5 * TFLOPS},
    {"a100-40gb", "A100 40 GB", 1555 * GB, 19.5 * TFLOPS},
    {"l40s", "L40S", 864 * GB, 91.6 * TFLOPS},
    {"a10", "A10", 600 * GB, 31.2 * TFLOPS},
    {"l4", "L4", 300 * GB, 30.3 * TFLOPS},
    {"t4", "T4", 320 * GB, 8.1 * TFLOPS},
    {"5090", "GeForce RTX 5090", 1792 * GB, 104.8 * TFLOPS},
    {"4090", "GeForce RTX 4090", 1008 * GB, 82.6 * TFLOPS},
    {"3090", "GeForce RTX 3090", 936 * GB, 35.6 * TFLOPS},
    {"3060", "GeForce RTX 3060 12 GB", 360 * GB, 12.7 * TFLOPS},
    {"2080ti", "GeForce RTX 2080 Ti", 616 * GB, 13.4 * TFLOPS},
    {0},
};

int snn_card_find(const char *name, const struct snn_card **out) {
    char names[256] = "";
    size_t n = 0;
    for (const struct snn_card *card = snn_cards; card->name; ++card) {
        if (!strcasecmp(card->name, name)) {
            *out = card;
            return SNN_OK;
        }
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", card->name);
        SNN_CHECK(n < sizeof names, "too many cards");
    }
    return snn_error(SNN_EUSAGE, "--roofline: unknown card '%s'; known are %s", name, names);
}

/* ---- one step, counted ---- */

int snn_costs_open(struct snn_costs *costs, struct snn_device *out) {
    *costs = (struct snn_costs){.spikes = SNN_SPIKES_ASSUMED, .events = SNN_EVENTS_ASSUMED};
    return snn_cuda_cost_open(costs, out);
}

struct snn_batch snn_planned_batch(const struct snn_experiment *e) {
    const struct snn_tensor *x = e->network.model.tape.input;
    bool events = !x->is_static && x->is_sparse;
    return (struct snn_batch){.form = x->is_static   ? SNN_BATCH_STATIC
                                      : x->is_sparse ? SNN_BATCH_EVENTS
                                                     : SNN_BATCH_FRAMES,
                              .by_sample = events && snn_trainer_cut(&e->trainer, e->steps) < e->steps,
                              .T = e->steps,
                              .B = (int32_t)e->train.batch,
                              .C = e->input[0],
                              .H = e->input[1],
                              .W = e->input[2],
                              .targets = e->about.targets,
                              .target_steps = e->about.target_steps};
}

static void free_arrays(struct snn_batch *b) {
    free(b->label), free(b->length), free(b->sample);
    free(b->frames), free(b->row), free(b->first), free(b->step), free(b->index), free(b->value), free(b->target);
}

/* Arrays for a planned batch: recordings of full length, entries spread evenly over the units, with values where counts
 * of events are kept. A batch too large to be held gets fewer entries: costs go by the assumed share, not by them. */
static int make_arrays(const struct snn_experiment *e, double events, struct snn_batch *b) {
    enum { MOST_ENTRIES = 1 << 24 };
    size_t B = (size_t)b->B, rows = (size_t)b->T * B, units = (size_t)b->C * (size_t)b->H * (size_t)b->W;
    size_t each = (size_t)(events * (double)units), most = MOST_ENTRIES / rows;
    if (each > most) each = most;
    bool sparse = b->form == SNN_BATCH_EVENTS,
         counts = sparse && e->about.kind == SNN_RECORDINGS && !e->data.bin.binary;
    b->label = calloc(B, sizeof *b->label), b->length = calloc(B, sizeof *b->length);
    b->sample = calloc(B, sizeof *b->sample);
    if (!sparse) b->frames = calloc(snn_batch_numbers(b), sizeof *b->frames);
    if (b->targets) b->target = calloc(snn_batch_targets(b), sizeof *b->target);
    if (b->by_sample) b->first = calloc(B + 1, sizeof *b->first), b->step = calloc(rows * each + 1, sizeof *b->step);
    else if (sparse) b->row = calloc(rows + 1, sizeof *b->row);
    if (sparse) b->index = calloc(rows * each + 1, sizeof *b->index);
    if (counts) b->value = calloc(rows * each + 1, sizeof *b->value);
    bool laid = b->by_sample ? b->first && b->step : b->row != NULL;
    bool held = b->label && b->length && b->sample && (sparse ? laid && b->index : b->frames != NULL);
    if (!held || (counts && !b->value) || (b->targets && !b->target)) {
        free_arrays(b);
        return snn_error(SNN_EFAIL, "out of memory for a batch of %zu samples", B);
    }
    for (size_t i = 0; i < B; ++i) b->length[i] = b->T, b->sample[i] = (int32_t)i;
    for (size_t r = 0; b->row && r <= rows; ++r) b->row[r] = (int32_t)(r * each);
    for (size_t i = 0; b->first && i <= B; ++i) b->first[i] = (int32_t)(i * (size_t)b->T * each);
    for (size_t i = 0; b->step && i < rows * each; ++i) b->step[i] = (int32_t)(i / each % (size_t)b->T);
    for (size_t i = 0; sparse && i < rows * each; ++i) b->index[i] = (int32_t)(i % each * units / each);
    for (size_t i = 0; counts && i < rows * each; ++i) b->value[i] = 1;
    return SNN_OK;
}

static int queue_step(struct snn_experiment *e, const struct snn_trainer *trainer, const struct snn_batch *batch) {
    int64_t batches = e->train.accumulate;
    for (int64_t i = 0; i < batches; ++i) {
        struct snn_step step = {.seed = e->seed,
                                .samples = (double)batches * batch->B,
                                .first = i == 0,
                                .last = i == batches - 1,
                                .rate = snn_schedule_rate(e->schedule, 0, 0),
                                .clip = e->train.clip};
        SNN_TRY(snn_step(&e->network, trainer, batch, &step));
    }
    return SNN_OK;
}

int snn_count_step(struct snn_experiment *e, const struct snn_trainer *trainer, struct snn_device *device,
                   struct snn_costs *costs) {
    struct snn_batch batch = snn_planned_batch(e);
    struct snn_network_plan plan = {
        .T = batch.T, .B = batch.B, .cut = snn_trainer_cut(trainer, batch.T), .train = true};
    batch.by_sample = batch.form == SNN_BATCH_EVENTS && plan.cut < plan.T;
    SNN_CHECK(!e->network.arena.base || e->network.device == device, "the network has memory of another device");
    e->network.device = device;
    SNN_TRY(snn_network_allocate(&e->network, &plan));
    SNN_TRY(make_arrays(e, costs->events, &batch));
    costs->count = 0, costs->graphs = 0; /* what came before is no part of a step */
    int rc = queue_step(e, trainer, &batch);
    free_arrays(&batch);
    return rc;
}

/* ---- the floor ---- */

static int longest_first(const void *a, const void *b) {
    const struct snn_roof *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds < y->seconds) - (x->seconds > y->seconds)
                                    : strcmp(x->kernel, y->kernel);
}

static void add_to(struct snn_roof *roof, const struct snn_cost *cost, double seconds) {
    double launches = (double)cost->launches;
    roof->launches += cost->launches;
    roof->bytes += launches * cost->bytes, roof->flops += launches * cost->flops;
    roof->seconds += launches * seconds;
}

int snn_roofline(const struct snn_costs *costs, const struct snn_card *card, struct snn_roofline *out) {
    *out = (struct snn_roofline){.kernel = calloc((size_t)costs->count + 1, sizeof *out->kernel)};
    if (!out->kernel) return snn_error(SNN_EFAIL, "out of memory for %d kernels", costs->count);
    for (int i = 0; i < costs->count; ++i) {
        const struct snn_cost *c = &costs->cost[i];
        double moved = c->bytes / card->bandwidth, computed = c->flops / card->peak;
        double seconds = moved > computed ? moved : computed;
        int at = 0;
        while (at < out->kernels && strcmp(out->kernel[at].kernel, c->kernel)) ++at;
        if (at == out->kernels) out->kernel[out->kernels++].kernel = c->kernel;
        add_to(&out->kernel[at], c, seconds);
        add_to(&out->all, c, seconds);
    }
    qsort(out->kernel, (size_t)out->kernels, sizeof *out->kernel, longest_first);
    return SNN_OK;
}

void snn_roofline_free(struct snn_roofline *roofline) {
    free(roofline->kernel);
    *roofline = (struct snn_roofline){0};
}
