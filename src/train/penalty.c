/* SPDX-License-Identifier: Apache-2.0 */
#include "train/penalty.h"

#include <fnmatch.h>

#include "core/status.h"
#include "train/operations.h"

/* Weights that a number of t meets, those back to its own layer too. What has no weights of its own (pools, sums) is
 * looked through; there a spike counts once. */
static double fan_out(const struct snn_tape *tape, const struct snn_tensor *t) {
    double sum = t->producer >= 0 ? snn_macs_again(tape->node[t->producer]) / (double)t->units : 0;
    for (int i = 0; i < tape->nodes; ++i) {
        const struct snn_node *node = tape->node[i];
        for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
            if (!node->in[k] || node->in[k]->root != t) continue;
            if (node->macs > 0) sum += node->macs / (double)t->units;
            else if (!snn_makes_spikes(node) && !node->out->is_weight) sum += fan_out(tape, node->out->root);
        }
    }
    return sum;
}

static bool has_weight(const struct snn_weight_term *term, const struct snn_param *p) {
    return !p->buffer && !fnmatch(term->match, p->name, 0);
}

int snn_penalty_settle(struct snn_network *n) {
    struct snn_model *m = &n->model;
    const struct snn_regular *regular = &n->loss.regular;
    for (int w = 0; w < m->watches; ++w) m->watched[w].fan_out = fan_out(&m->tape, m->watched[w].node->in[0]->root);
    for (int i = 0; i < regular->activities; ++i) {
        const struct snn_activity_term *term = &regular->activity[i];
        int layers = 0;
        double weights = 0;
        for (int w = 0; w < m->watches; ++w)
            if (m->watched[w].terms >> i & 1) ++layers, weights += m->watched[w].fan_out;
        const struct snn_conf *at = snn_conf_get(term->config, "layers");
        if (!layers) return snn_conf_error(at, "no spiking layer has a path or name like '%s'", term->layers);
        if (term->of == SNN_OF_NETWORK && !(weights > 0))
            return snn_conf_error(at, "no weights read the spikes of these layers: there are no synaptic operations");
    }
    for (int i = 0; i < regular->weights; ++i) {
        int found = 0;
        for (int k = 0; k < m->params.count; ++k) found += has_weight(&regular->weight[i], m->params.list[k]);
        if (!found)
            return snn_conf_error(snn_conf_get(regular->weight[i].config, "match"), "no parameter has a name like '%s'",
                                  regular->weight[i].match);
    }
    return SNN_OK;
}

void snn_penalty_bind(struct snn_network *n, struct snn_arena *arena) {
    bool any = false;
    for (int i = 0; i < n->loss.regular.activities; ++i) any = any || n->loss.regular.activity[i].of == SNN_OF_NETWORK;
    if (!any || !n->plan.train) return;
    n->total = snn_arena_alloc(arena, (size_t)n->plan.slice * sizeof *n->total, SNN_MEM_STATE);
    n->total_slope = snn_arena_alloc(arena, (size_t)n->plan.slice * sizeof *n->total_slope, SNN_MEM_STATE);
}

static struct snn_penalty penalty_of(const struct snn_network *n, const struct snn_activity_term *term,
                                     const struct snn_tensor *t, const struct snn_batch *batch) {
    int32_t units = t ? (int32_t)t->units : 1, groups = term->of == SNN_OF_NEURON         ? units
                                                        : term->of == SNN_OF_CHANNEL && t ? t->dim[0]
                                                                                          : 1;
    return (struct snn_penalty){.B = batch->B,
                                .groups = groups,
                                .size = units / groups,
                                .side = term->side,
                                .distance = (enum snn_distance)term->distance,
                                .rate = term->rate,
                                .steps = snn_batch_whole(batch),
                                .appended = t ? (int32_t)t->root->appended : 0,
                                .bound = term->bound,
                                .factor = term->weight * (term->sum ? 1 : 1.0 / groups),
                                .length = batch->masked ? batch->length : NULL,
                                .scale = &n->controls->scale};
}

/* A term over the activity of all its layers together: what it costs is relative to its target. */
static void penalise_network(struct snn_network *n, int term, const struct snn_batch *batch) {
    const struct snn_regular_kernels *kernels = n->device->regular;
    struct snn_penalty p = penalty_of(n, &n->loss.regular.activity[term], NULL, batch);
    p.factor /= p.bound * p.bound;
    bool adds = false;
    for (int w = 0; w < n->model.watches; ++w) {
        const struct snn_watched *watched = &n->model.watched[w];
        if (!(watched->terms >> term & 1)) continue;
        kernels->total(n->device, batch->B, watched->node->in[0]->units, snn_watch_count(watched->node),
                       watched->fan_out, adds, n->total);
        adds = true;
    }
    kernels->penalise(n->device, &p, n->total, n->sample_loss, false, n->total_slope);
    for (int w = 0; w < n->model.watches; ++w) {
        struct snn_watched *watched = &n->model.watched[w];
        if (!(watched->terms >> term & 1)) continue;
        kernels->spread(n->device, batch->B, watched->node->in[0]->units, n->total_slope, watched->fan_out,
                        watched->written, snn_watch_slope(watched->node));
        watched->written = true;
    }
}

/* Samples of the whole batch, of which a cut may see a slice. */
static double samples_of(const struct snn_network *n, const struct snn_cut *cut) {
    return n->batch ? n->batch->B : cut->batch->B;
}

static double factor_of(const struct snn_weight_term *term, const struct snn_param *p) {
    return term->weight * (term->sum ? 1 : 1.0 / (double)p->count);
}

void snn_penalty_loss(struct snn_network *n, const struct snn_cut *cut, const struct snn_batch *batch) {
    const struct snn_regular *regular = &n->loss.regular;
    const struct snn_regular_kernels *kernels = n->device->regular;
    const struct snn_model *m = &n->model;
    for (int w = 0; w < m->watches; ++w) n->model.watched[w].written = false;
    for (int i = 0; i < regular->activities; ++i) {
        for (int w = 0; w < m->watches && regular->activity[i].of != SNN_OF_NETWORK; ++w) {
            struct snn_watched *watched = &n->model.watched[w];
            if (!(watched->terms >> i & 1)) continue;
            struct snn_penalty p = penalty_of(n, &regular->activity[i], watched->node->in[0], batch);
            kernels->penalise(n->device, &p, snn_watch_count(watched->node), n->sample_loss, watched->written,
                              snn_watch_slope(watched->node));
            watched->written = true;
        }
        if (regular->activity[i].of == SNN_OF_NETWORK) penalise_network(n, i, batch);
    }
    for (int i = 0; i < regular->weights && cut->index == 0 && !cut->follows; ++i)
        for (int k = 0; k < m->params.count; ++k) {
            const struct snn_weight_term *term = &regular->weight[i];
            const struct snn_param *p = m->params.list[k];
            if (has_weight(term, p))
                kernels->weigh(n->device, term->kind, term->frequency, p->count, p->value,
                               factor_of(term, p) * samples_of(n, cut), n->sample_loss);
        }
}

void snn_penalty_gradient(struct snn_network *n, const struct snn_cut *cut) {
    const struct snn_regular *regular = &n->loss.regular;
    for (int i = 0; i < regular->weights; ++i)
        for (int k = 0; k < n->model.params.count; ++k) {
            const struct snn_weight_term *term = &regular->weight[i];
            const struct snn_param *p = n->model.params.list[k];
            if (has_weight(term, p) && !p->frozen)
                n->device->regular->weigh_grad(n->device, term->kind, term->frequency, p->count, p->value,
                                               factor_of(term, p) * samples_of(n, cut), &n->controls->scale, p->grad);
        }
}
