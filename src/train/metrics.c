/* SPDX-License-Identifier: Apache-2.0 */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"
#include "train/operations.h"

static void *zeros(size_t n, size_t size) {
    void *memory = calloc(n ? n : 1, size);
    SNN_CHECK(memory, "out of memory for metrics");
    return memory;
}

void snn_metrics_init(struct snn_metrics *m, const struct snn_network *network, int32_t T, const int32_t *timesteps,
                      int scores) {
    *m = (struct snn_metrics){.scores = timesteps ? scores : 1,
                              .outputs = (int32_t)network->model.tape.output->units,
                              .is_mse = snn_loss_is_mse(&network->loss),
                              .layers = network->model.layers};
    m->classes = network->regression ? 0 : m->outputs;
    m->score = zeros((size_t)m->scores, sizeof *m->score);
    for (int i = 0; i < m->scores; ++i) m->score[i].timesteps = timesteps ? timesteps[i] : T;
    m->confusion = zeros((size_t)m->classes * (size_t)m->classes, sizeof *m->confusion);
    m->layer_spikes = zeros((size_t)m->layers, sizeof *m->layer_spikes);
    m->layer_slots = zeros((size_t)m->layers, sizeof *m->layer_slots);
    m->tally = zeros(1, snn_tally_bytes(network));
    m->samples_most = network->plan.slice;
    size_t numbers = (size_t)m->samples_most * (size_t)m->outputs;
    m->running = zeros(numbers, sizeof *m->running), m->drawn = zeros(numbers, sizeof *m->drawn);
    m->losses = zeros((size_t)m->samples_most, sizeof *m->losses);
}

void snn_metrics_reset(struct snn_metrics *m) {
    m->samples = 0;
    for (int i = 0; i < m->scores; ++i) m->score[i] = (struct snn_score){.timesteps = m->score[i].timesteps};
    memset(m->confusion, 0, (size_t)m->classes * (size_t)m->classes * sizeof *m->confusion);
    for (int i = 0; i < m->layers; ++i) m->layer_spikes[i] = m->layer_slots[i] = 0;
}

void snn_metrics_free(struct snn_metrics *m) {
    free(m->score), free(m->confusion), free(m->layer_spikes), free(m->layer_slots), free(m->tally);
    free(m->running), free(m->drawn), free(m->losses);
    *m = (struct snn_metrics){0};
}

/* Units that are not 0 in row (t,b). */
static double active(const struct snn_tensor *t, const struct snn_cut *cut, int32_t step, int32_t b) {
    return t->seen[(t->is_static ? 0 : (ptrdiff_t)step * cut->batch->B) + b];
}

static void count_spikes(struct snn_metrics *m, const struct snn_network *network, const struct snn_cut *cut) {
    for (int l = 0; l < m->layers; ++l) {
        const struct snn_tensor *t = network->model.layer[l].out->root;
        if (!t->is_spikes) continue;
        for (int32_t b = 0; b < cut->batch->B; ++b) {
            double spikes = 0;
            for (int32_t step = 0; step < snn_cut_length_of(cut, t, b); ++step) spikes += active(t, cut, step, b);
            m->layer_spikes[l] += spikes;
        }
    }
}

/* Of score i: the steps of a batch that it is after, of the outputs. */
static int32_t steps_of(const struct snn_metrics *m, int i, const struct snn_network *network,
                        const struct snn_batch *batch) {
    int32_t n = m->score[i].timesteps;
    int32_t whole = snn_batch_whole(batch);
    return n < whole ? n : whole + network->model.tape.output->appended;
}

/* Steps from the cut's first one on: beyond the cut, or below 0 when it has ended before. */
static int32_t steps_left(const struct snn_metrics *m, int i, const struct snn_network *network,
                          const struct snn_cut *cut) {
    return steps_of(m, i, network, cut->batch) - snn_cut_at(cut);
}

/* Valid steps of sample b's recording, and of its outputs. */
static int32_t input_length(const struct snn_batch *batch, int32_t b) {
    return batch->masked ? batch->length[b] : snn_batch_whole(batch);
}
static int32_t length_of(const struct snn_network *network, const struct snn_batch *batch, int32_t b) {
    return input_length(batch, b) + network->model.tape.output->appended;
}

/* Step t of sample b for a product of that many multiply-adds a row. */
static void add_product(struct snn_score *sum, const struct snn_tensor *x, const struct snn_cut *cut, int32_t t,
                        int32_t b, double macs, bool runs) {
    if (t >= snn_cut_length_of(cut, x, b)) return;
    if (x->is_spikes || x->is_sparse) sum->synops += active(x, cut, t, b) * macs / (double)x->units;
    else if (runs) sum->macs += macs;
}

/* Spikes and operations of step t of the cut, summed over its samples. */
static struct snn_score costs_of(const struct snn_network *network, const struct snn_cut *cut, int32_t t) {
    const struct snn_tape *tape = &network->model.tape;
    struct snn_score sum = {0};
    for (int32_t b = 0; b < cut->batch->B; ++b) {
        if (t >= snn_cut_length_of(cut, tape->output, b)) continue;
        for (int i = 0; i < tape->tensors; ++i)
            if (tape->tensor[i]->is_spikes && tape->tensor[i]->root == tape->tensor[i] &&
                t < snn_cut_length_of(cut, tape->tensor[i], b))
                sum.spikes += active(tape->tensor[i], cut, t, b);
        for (int i = 0; i < tape->nodes; ++i) {
            const struct snn_node *node = tape->node[i];
            bool runs = node->scope == SNN_SCOPE_CUT || snn_cut_at(cut) + t == 0; /* a static layer is computed once */
            const double again = snn_macs_again(node);
            if (node->macs > 0) add_product(&sum, node->in[0]->root, cut, t, b, node->macs, runs);
            if (again > 0) add_product(&sum, node->out->root, cut, t, b, again, true);
        }
    }
    return sum;
}

static void count_costs(struct snn_metrics *m, const struct snn_network *network, const struct snn_cut *cut) {
    for (int32_t t = 0; t < snn_cut_steps(network, cut); ++t) {
        struct snn_score sum = costs_of(network, cut, t);
        for (int i = 0; i < m->scores; ++i) {
            if (snn_cut_at(cut) + t >= steps_of(m, i, network, cut->batch)) continue;
            m->score[i].spikes += sum.spikes, m->score[i].synops += sum.synops, m->score[i].macs += sum.macs;
        }
    }
}

void snn_metrics_expect(struct snn_metrics *m, const struct snn_network *network, const struct snn_batch *batch) {
    double steps = 0;
    for (int32_t b = 0; b < batch->B; ++b) steps += input_length(batch, b);
    for (int l = 0; l < m->layers; ++l) {
        const struct snn_tensor *t = network->model.layer[l].out->root;
        if (t->is_spikes) m->layer_slots[l] += (steps + (double)batch->B * t->appended) * (double)t->units;
    }
    m->samples += batch->B;
}

/* Take the outputs of sample b in this cut; classes are read out where scores end. */
static void decide(struct snn_metrics *m, const struct snn_network *network, const struct snn_cut *cut, int32_t b) {
    const struct snn_batch *batch = cut->batch;
    int32_t C = m->outputs, whole = length_of(network, batch, b), at = 0, T = snn_cut_steps(network, cut),
            valid = snn_cut_length_of(cut, network->model.tape.output, b);
    double *running = m->running + (ptrdiff_t)b * C, *drawn = m->drawn + (ptrdiff_t)b * C;
    const real *output = network->output + (ptrdiff_t)b * C;
    const int32_t t0 = snn_cut_at(cut);
    if (t0 == 0) snn_decide_start(network->decide, C, running);
    for (int i = 0; i <= m->scores; ++i) { /* after the last one: what is left of the cut */
        int32_t left = i < m->scores ? steps_left(m, i, network, cut) : T;
        for (; at < valid && at < left; ++at)
            snn_decide_step(network->decide, t0 + at, C, output + (ptrdiff_t)at * batch->B * C, running);
        if (i == m->scores || left <= 0 || left > T) continue;
        memcpy(drawn, running, (size_t)C * sizeof *drawn);
        snn_decide_end(network->decide, whole < t0 + left ? whole : t0 + left, C, drawn);
        if (!m->classes) continue;
        int32_t choice = snn_first_largest(drawn, C);
        m->score[i].correct += choice == batch->label[b];
        if (i == m->scores - 1) m->confusion[(ptrdiff_t)batch->label[b] * m->classes + choice]++;
    }
}

/* A loss that adds up over steps: the sum is divided where a score ends, by the steps that there are until then. */
static int add_step_losses(struct snn_metrics *m, struct snn_network *network, const struct snn_cut *cut) {
    const struct snn_batch *batch = cut->batch;
    int32_t from = 0, T = snn_cut_steps(network, cut);
    if (snn_cut_at(cut) == 0) memset(m->losses, 0, (size_t)batch->B * sizeof *m->losses);
    for (int i = 0; i < m->scores; ++i) {
        int32_t left = steps_left(m, i, network, cut), to = left < T ? left : T;
        if (to > from) {
            SNN_TRY(snn_network_step_losses(network, cut, from, to, m->losses));
            from = to;
        }
        for (int32_t b = 0; left == to && to > 0 && b < batch->B; ++b) {
            int32_t whole = length_of(network, batch, b), steps = snn_cut_at(cut) + left;
            m->score[i].loss += m->losses[b] / (whole < steps ? whole : steps);
        }
    }
    return SNN_OK;
}

/* The loss of a cut whose forward pass just ran. */
static int add_loss(struct snn_network *network, const struct snn_cut *cut, double *to) {
    double sum;
    snn_network_loss(network, cut, false);
    SNN_TRY(snn_network_loss_sum(network, cut, &sum));
    *to += sum;
    return SNN_OK;
}

/* A loss that wants all steps at once, after n of them: the outputs are in order of time. */
static int add_prefix_loss(struct snn_network *network, const struct snn_cut *cut, int32_t n, double *to) {
    struct snn_batch shorter = *cut->batch, staged;
    struct snn_cut prefix = *cut;
    shorter.T = prefix.T = n - network->model.tape.output->appended; /* so many of the input have as many outputs */
    shorter.whole = 0;
    prefix.batch = &shorter;
    if (cut->staged) staged = *cut->staged, staged.T = shorter.T, staged.whole = 0, prefix.staged = &staged;
    return add_loss(network, &prefix, to);
}

int snn_metrics_add(struct snn_metrics *m, struct snn_network *network, const struct snn_cut *cut, bool costs) {
    const struct snn_batch *batch = cut->batch;
    SNN_CHECK(batch->B <= m->samples_most, "%d samples, and metrics for %d", (int)batch->B, (int)m->samples_most);
    SNN_TRY(snn_network_look(network, cut));
    if (snn_cut_at(cut) == 0) snn_metrics_expect(m, network, batch);
    count_spikes(m, network, cut);
    if (costs) count_costs(m, network, cut);
    for (int32_t b = 0; b < batch->B; ++b) decide(m, network, cut, b);
    if (snn_loss_is_stepwise(&network->loss)) return add_step_losses(m, network, cut);
    for (int i = 0; i < m->scores; ++i)
        SNN_TRY(add_prefix_loss(network, cut, steps_of(m, i, network, batch), &m->score[i].loss));
    return SNN_OK;
}

int snn_metrics_look(struct snn_metrics *m, struct snn_network *network) {
    struct snn_tally *tally = m->tally;
    SNN_TRY(network->device->memory->download(network->device, tally, network->tally, snn_tally_bytes(network)));
    m->score[0].loss = tally->loss, m->score[0].correct = tally->correct;
    for (int l = 0; l < m->layers; ++l) m->layer_spikes[l] = (double)tally->spikes[l];
    return SNN_OK;
}

void snn_metrics_start(const struct snn_metrics *m, struct snn_network *network) {
    struct snn_tally *tally = m->tally;
    tally->loss = m->score[0].loss, tally->correct = m->score[0].correct;
    for (int l = 0; l < m->layers; ++l) tally->spikes[l] = (int64_t)m->layer_spikes[l];
    network->device->memory->upload(network->device, network->tally, tally, snn_tally_bytes(network));
}

double snn_metrics_accuracy(const struct snn_metrics *m) {
    if (!m->classes) return NAN;
    return m->samples ? (double)m->score[m->scores - 1].correct / (double)m->samples : 0;
}
double snn_metrics_loss(const struct snn_metrics *m) {
    return m->samples ? m->score[m->scores - 1].loss / (double)m->samples : 0;
}
double snn_metrics_rmse(const struct snn_metrics *m) {
    return m->is_mse && !m->classes ? sqrt(snn_metrics_loss(m)) : NAN;
}
double snn_metrics_rate(const struct snn_metrics *m, int layer) {
    return m->layer_slots[layer] > 0 ? m->layer_spikes[layer] / m->layer_slots[layer] : NAN;
}
