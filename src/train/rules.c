/* SPDX-License-Identifier: Apache-2.0
 * rules.c - where weights stand in a network, and their traces. */
#include "train/rules.h"

#include <math.h>
#include <string.h>

#include "core/status.h"

const char *const snn_none_word[] = {"none", NULL};

/* Does it weigh what it reads? */
static bool weighs(const struct snn_node *node) {
    bool has_weight = node->param[0] || (node->in[1] && node->in[1]->is_weight);
    return node->op->flags & SNN_OP_TRACES || (node->macs > 0 && has_weight);
}

static const struct snn_node *maker(const struct snn_tape *tape, const struct snn_tensor *t) {
    return t && !t->is_weight && t->root->producer >= 0 ? tape->node[t->root->producer] : NULL;
}

/* The nearest spiking node that t was made of. */
static const struct snn_node *spikes_before(const struct snn_tape *tape, const struct snn_tensor *t) {
    const struct snn_node *node = maker(tape, t), *found = NULL;
    if (!node || snn_makes_spikes(node)) return node;
    for (int k = 0; k < SNN_NODE_INPUTS && !found; ++k) found = spikes_before(tape, node->in[k]);
    return found;
}

static bool reads(const struct snn_node *node, const struct snn_tensor *t) {
    for (int k = 0; k < SNN_NODE_INPUTS; ++k)
        if (node->in[k] && node->in[k]->root == t->root) return true;
    return false;
}

/* The nearest node behind t that spikes, or that only leaks; `through`: also behind other weights. */
static const struct snn_node *spikes_behind(const struct snn_tape *tape, const struct snn_tensor *t, bool through) {
    const struct snn_node *found = NULL;
    double leak;
    for (int i = 0; i < tape->nodes && !found; ++i) {
        const struct snn_node *node = tape->node[i];
        if (!reads(node, t) || node->in_training) continue;
        if (snn_makes_spikes(node) || (!through && snn_neuron_leak(node, &leak))) return node;
        if (through || !weighs(node)) found = spikes_behind(tape, node->out, through);
    }
    return found;
}

int snn_rule_weights(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                     int (*each)(const struct snn_trainer *trainer, const struct snn_weighing *w,
                                 struct snn_conf *rule)) {
    const struct snn_tape *tape = &network->model.tape;
    for (int i = 0; i < tape->nodes; ++i) {
        struct snn_node *node = tape->node[i];
        struct snn_weighing w = {.node = node, .place = SNN_PLACE_HIDDEN};
        if (!weighs(node)) continue;
        if (!(node->op->flags & SNN_OP_TRACES))
            return snn_refuse_layer(node, rule,
                                    "the rule %s traces what a weight reads, which this layer's weights have no form "
                                    "for: it goes with linear, conv and recurrent layers",
                                    trainer->ops->name);
        w.before = spikes_before(tape, node->in[0]);
        if (snn_makes_spikes(node)) w.behind = node; /* its spikes come back to itself */
        else {
            w.behind = spikes_behind(tape, node->out, false);
            if (!spikes_behind(tape, node->out, true)) w.place = SNN_PLACE_READOUT;
            else if (!w.before) w.place = SNN_PLACE_FIRST;
        }
        SNN_TRY(each(trainer, &w, rule));
    }
    return SNN_OK;
}

/* ---- traces on both sides ---- */

static bool has_psi(const struct snn_two_traces *traces) {
    return traces->psi->kind != SNN_CONF_SCALAR || strcmp(traces->psi->text, "surrogate") != 0;
}

void snn_two_traces_need(const struct snn_two_traces *traces, struct snn_model_input *input) {
    input->every_step = true; /* a trace of a still image differs from step to step */
    input->psi = has_psi(traces) ? traces->psi : NULL;
}

int snn_two_traces_mark(const struct snn_two_traces *traces, const struct snn_weighing *w) {
    if (w->place != SNN_PLACE_READOUT) w->node->trace = (struct snn_trace){true, traces->lambda_pre, traces->alpha_pre};
    else if (!isnan(traces->readout_trace)) w->node->trace = (struct snn_trace){true, traces->readout_trace, 1};
    return SNN_OK;
}

int snn_rule_follow(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                    const struct snn_two_traces *traces) {
    const struct snn_tape *tape = &network->model.tape;
    for (int i = 0; i < tape->nodes; ++i) {
        struct snn_node *node = tape->node[i];
        if (!snn_makes_spikes(node)) continue;
        if (!(node->op->flags & SNN_OP_FOLLOWS) && (traces->alpha_post != 0 || has_psi(traces)))
            return snn_refuse_layer(node, rule,
                                    "the rule %s follows how ready a neuron is to spike, which is not known of this "
                                    "layer (%s works)",
                                    trainer->ops->name, "alpha_post: 0 with psi: surrogate");
        if (traces->alpha_post != 0) node->post = (struct snn_trace){true, traces->lambda_post, traces->alpha_post};
    }
    return SNN_OK;
}
