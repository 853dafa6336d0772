/* SPDX-License-Identifier: Apache-2.0 */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"

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
    m->scratch = zeros((size_t)m->outputs, sizeof *m->scratch);
    m->tally = zeros(1, snn_tally_bytes(network));
    m->per_step = zeros(3 * (size_t)(T + network->model.tape.output->appended), sizeof *m->per_step);
}

void snn_metrics_reset(struct snn_metrics *m) {
    m->samples = 0;
    for (int i = 0; i < m->scores; ++i) m->score[i] = (struct snn_score){.timesteps = m->score[i].timesteps};
    memset(m->confusion, 0, (size_t)m->classes * (size_t)m->classes * sizeof *m->confusion);
    for (int i = 0; i < m->layers; ++i) m->layer_spikes[i] = m->layer_slots[i] = 0;
}

void snn_metrics_free(struct snn_metrics *m) {
    free(m->score), free(m->confusion), free(m->layer_spikes), free(m->layer_slots), free(m->scratch),
        free(m->per_step), free(m->tally);
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

/* Spikes and operations of each step, summed over the batch, into per_step. */
static void count_costs(struct snn_metrics *m, const struct snn_network *network, const struct snn_cut *cut) {
    const struct snn_tape *tape = &network->model.tape;
    int32_t T = snn_cut_steps(network, cut);
    double *spikes = m->per_step, *synops = spikes + T, *macs = synops + T;
    memset(m->per_step, 0, 3 * (size_t)T * sizeof *m->per_step);
    for (int32_t b = 0; b < cut->batch->B; ++b)
        for (int32_t t = 0; t < snn_cut_length_of(cut, tape->output, b); ++t) {
            for (int i = 0; i < tape->tensors; ++i)
                if (tape->tensor[i]->is_spikes && tape->tensor[i]->root == tape->tensor[i] &&
                    t < snn_cut_length_of(cut, tape->tensor[i], b))
                    spikes[t] += active(tape->tensor[i], cut, t, b);
            for (int i = 0; i < tape->nodes; ++i) {
                const struct snn_node *node = tape->node[i];
                if (node->macs <= 0) continue;
                const struct snn_tensor *x = node->in[0]->root;
                if (t >= snn_cut_length_of(cut, x, b)) continue;
                if (x->is_spikes || x->is_sparse) synops[t] += active(x, cut, t, b) * node->macs / (double)x->units;
                else if (node->scope == SNN_SCOPE_CUT || t == 0)
                    macs[t] += node->macs; /* a static layer is computed once */
            }
        }
}

void snn_metrics_expect(struct snn_metrics *m, const struct snn_network *network, const struct snn_batch *batch) {
    double steps = 0;
    for (int32_t b = 0; b < batch->B; ++b) steps += batch->masked ? batch->length[b] : batch->T;
    for (int l = 0; l < m->layers; ++l) {
        const struct snn_tensor *t = network->model.layer[l].out->root;
        if (t->is_spikes) m->layer_slots[l] += (steps + (double)batch->B * t->appended) * (double)t->units;
    }
    m->samples += batch->B;
}

/* The loss of a cut whose forward pass just ran. */
static int add_loss(struct snn_network *network, const struct snn_cut *cut, double *to) {
    double sum;
    snn_network_loss(network, cut, false);
    SNN_TRY(snn_network_loss_sum(network, cut, &sum));
    *to += sum;
    return SNN_OK;
}

/* The loss after n steps: the outputs are in order of time. */
static int add_prefix_loss(struct snn_network *network, const struct snn_cut *cut, int32_t n, double *to) {
    struct snn_batch shorter = *cut->batch, staged;
    struct snn_cut prefix = *cut;
    shorter.T = prefix.T = n - network->model.tape.output->appended; /* so many of the input have as many outputs */
    prefix.batch = &shorter;
    if (cut->staged) staged = *cut->staged, staged.T = shorter.T, prefix.staged = &staged;
    return add_loss(network, &prefix, to);
}

int snn_metrics_add(struct snn_metrics *m, struct snn_network *network, const struct snn_cut *cut, bool costs,
                    int32_t *decided) {
    const struct snn_batch *batch = cut->batch;
    SNN_TRY(snn_network_look(network, cut));
    const real *output = network->output;
    const struct snn_tensor *out = network->model.tape.output;
    int32_t T = snn_cut_steps(network, cut);
    snn_metrics_expect(m, network, batch);
    count_spikes(m, network, cut);
    if (costs) count_costs(m, network, cut);
    for (int i = 0; i < m->scores; ++i) {
        struct snn_score *score = &m->score[i];
        bool last = i == m->scores - 1;
        int32_t n = score->timesteps < cut->T ? score->timesteps : T;
        for (int32_t b = 0; m->classes && b < batch->B; ++b) {
            int32_t valid = snn_cut_length_of(cut, out, b), steps = valid < n ? valid : n;
            snn_decide_scores(network->decide, steps, batch->B, m->classes, b, output, m->scratch);
            int32_t choice = snn_first_largest(m->scratch, m->classes);
            score->correct += choice == batch->label[b];
            if (!last) continue;
            m->confusion[(ptrdiff_t)batch->label[b] * m->classes + choice]++;
            if (decided) decided[b] = choice;
        }
        SNN_TRY(n == T ? add_loss(network, cut, &score->loss) : add_prefix_loss(network, cut, n, &score->loss));
        for (int32_t t = 0; costs && t < n; ++t)
            score->spikes += m->per_step[t], score->synops += m->per_step[T + t], score->macs += m->per_step[2 * T + t];
    }
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
