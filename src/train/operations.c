/* SPDX-License-Identifier: Apache-2.0
 * operations.c - the operations of a training step, node by node.
 *
 * A product of m multiply-adds a row, in a batch of B samples of T steps, whose errors are sent at E of them:
 *
 *   forward             m B T, of layers on a still image m B; twice where it runs again (train.recompute)
 *   input's gradient    m B E, where something that learns lies before it and the rule lets errors pass (of still
 *                       images m B, once for all steps)
 *   weight's gradient   m B E, where the weight learns; the same again for the term of spikes that come too late
 *                       (S-TLLR, TESS)
 *   what comes back     of a recurrent layer: as above, but errors go back one step less than a cut has: none where a
 *                       cut is one step
 *   errors of a block   direct feedback m B E; a readout of its own m B T forward and m B E back
 *   traces              a multiply-add for every unit a trace follows, B T times; and for every output of a linear
 *                       layer, whose errors are traced backwards in the place of its input, B E times
 *
 * E is T, for sltt_k its k, for stllr its `last`, or as many as the cuts have that these lie in. Where a product reads
 * spikes or events of which a share r is not 0, its m multiply-adds a row are r m additions: forward, and for the
 * weight's gradient unless that reads a trace, which has few zeros: the trace of a convolution or a recurrence, and of
 * a linear layer what it was before each cut (ops_linear.c). What goes down is of numbers. */
#include "train/operations.h"

#include <math.h>
#include <string.h>

#include "core/status.h"

struct counting {
    const struct snn_network *n;
    const struct snn_rates *rates;
    double T, E;   /* steps: of a batch, and with errors */
    double later;  /* cuts that go back, but for a recording's first */
    double within; /* share of the steps whose errors go back to the step before them */
    struct snn_operations *to;
};

/* ---- shares ---- */

static double share_of(const struct counting *c, const struct snn_tensor *t);

/* Of the innermost layer that has the node. */
static double rate_of(const struct counting *c, int node) {
    const struct snn_model *m = &c->n->model;
    int found = -1;
    for (int l = 0; l < m->layers; ++l) {
        const struct snn_layer *layer = &m->layer[l];
        if (node < layer->first_node || node >= layer->first_node + layer->nodes) continue;
        if (found < 0 || layer->nodes < m->layer[found].nodes) found = l;
    }
    if (!c->rates->layer || found < 0 || isnan(c->rates->layer[found])) return c->rates->spikes;
    return c->rates->layer[found];
}

/* What was made of spikes: a window of r units is 0 when all are, two branches that are added when both are. */
static double passed_on(const struct counting *c, const struct snn_node *node) {
    const double units = (double)node->out->units, a = share_of(c, node->in[0]), in = (double)node->in[0]->units;
    if (!node->in[1] || node->in[1]->is_weight) return in > units ? 1 - pow(1 - a, in / units) : a * in / units;
    const double b = share_of(c, node->in[1]), second = (double)node->in[1]->units;
    return in + second == units ? (a * in + b * second) / units : 1 - (1 - a) * (1 - b);
}

/* Of numbers that are not 0. */
static double share_of(const struct counting *c, const struct snn_tensor *t) {
    t = t->root;
    if (!t->is_spikes && !t->is_sparse) return 1;
    if (t->producer < 0) return c->rates->events;
    const struct snn_node *node = c->n->model.tape.node[t->producer];
    return snn_makes_spikes(node) ? rate_of(c, t->producer) : passed_on(c, node);
}

/* ---- products ---- */

double snn_macs_again(const struct snn_node *node) {
    static const char name[] = ".recurrent.weight";
    for (int k = 0; k < SNN_NODE_PARAMS; ++k) {
        const char *is = node->param[k] ? node->param[k]->name : "";
        size_t n = strlen(is);
        if (n >= sizeof name && !strcmp(is + n - (sizeof name - 1), name)) return (double)node->param[k]->count;
    }
    return 0;
}

static bool learns(const struct snn_param *p) { return p && !p->frozen && !p->buffer; }

static bool weight_learns(const struct snn_node *node) {
    return (node->in[1] && node->in[1]->is_weight) || learns(node->param[0]);
}

/* Its weight learns from a trace as it is, or from the input and errors that are traced backwards. */
static bool reads_trace(const struct snn_node *node) { return node->trace.on && node->traced >= 0; }
static bool traces_errors(const struct snn_node *node) { return node->trace.on && node->traced < 0; }

/* A product over numbers of which a share is not 0. */
static void add(struct counting *c, double macs, double share, double *to, double *synops) {
    *to += macs;
    if (share < 1 && synops) *synops += share * macs;
    else c->to->dense += macs;
}

static void count_forward(struct counting *c, const struct snn_node *node, double macs, double share) {
    double rows = (double)c->n->plan.B * (node->scope == SNN_SCOPE_BATCH ? 1 : c->T + node->out->appended);
    if (node->segment >= 0) rows *= 2;
    add(c, macs * rows, share, node->in_training ? &c->to->signals : &c->to->forward, &c->to->synops_forward);
}

static double rows_back(const struct counting *c, const struct snn_node *node) {
    return (double)c->n->plan.B * (node->scope == SNN_SCOPE_BATCH ? 1 : c->E + node->out->appended);
}

static void count_backward(struct counting *c, const struct snn_node *node, double share) {
    struct snn_operations *to = c->to;
    const double macs = node->macs * rows_back(c, node);
    for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
        const struct snn_tensor *x = node->in[k];
        if (!x || x->is_weight) continue;
        if (x->root->needs_grad && !node->shut[k])
            add(c, macs, 1, node->in_training ? &to->signals : &to->input_gradients, NULL);
        if (node->out->root->is_late && x->root->is_late) add(c, macs, 1, &to->input_gradients, NULL);
    }
    if (!weight_learns(node)) return;
    add(c, macs, reads_trace(node) ? 1 : share, &to->weight_gradients, &to->synops_weights);
    if (traces_errors(node) && node->trace.decay != 0)
        add(c, node->macs * (double)c->n->plan.B * c->later, 1, &to->weight_gradients, NULL);
    if (node->out->root->is_late) add(c, macs, share, &to->weight_gradients, &to->synops_weights);
}

/* What a layer hears of itself. An error goes back within a cut. */
static void count_again(struct counting *c, const struct snn_node *node, double macs, double share, bool weight) {
    struct snn_operations *to = c->to;
    const double rows = rows_back(c, node);
    count_forward(c, node, macs, share);
    add(c, macs * rows * c->within, 1, &to->input_gradients, NULL);
    if (!weight) return;
    add(c, macs * rows, reads_trace(node) ? 1 : share, &to->weight_gradients, &to->synops_weights);
    if (node->post.on) add(c, macs * rows, share, &to->weight_gradients, &to->synops_weights);
}

static void count_node(struct counting *c, int i) {
    const struct snn_node *node = c->n->model.tape.node[i];
    const double again = snn_macs_again(node);
    if (node->op->flags & SNN_OP_READS_ERROR) /* direct feedback */
        add(c, (double)node->param[0]->count * rows_back(c, node), 1, &c->to->signals, NULL);
    if (!strcmp(node->op->name, "LSTM")) count_again(c, node, node->macs, 1, learns(node->param[0]));
    else if (node->macs > 0) {
        const double share = share_of(c, node->in[0]);
        count_forward(c, node, node->macs, share);
        if (node->out->needs_grad) count_backward(c, node, share);
    } else if (again > 0) {
        const struct snn_param *const *p = (const struct snn_param *const *)node->param;
        bool weight = false;
        for (int k = 0; k < SNN_NODE_PARAMS; ++k)
            weight = weight || (p[k] && (double)p[k]->count == again && learns(p[k]));
        count_again(c, node, again, rate_of(c, i), weight);
    }
    const double steps = (double)c->n->plan.B * c->T;
    if (node->trace.on) c->to->traces += steps * (double)(again > 0 ? node->out : node->in[0])->units;
    if (traces_errors(node)) c->to->traces += (double)c->n->plan.B * (c->E + c->later) * (double)node->out->units;
    if (node->post.on) c->to->traces += steps * (double)node->out->units;
}

void snn_count_operations(const struct snn_network *n, const struct snn_trainer *trainer, const struct snn_rates *rates,
                          struct snn_operations *out) {
    *out = (struct snn_operations){0};
    const int32_t T = n->plan.T, cut = snn_trainer_cut(trainer, T), cuts = (T + cut - 1) / cut;
    SNN_CHECK(T > 0 && n->plan.B > 0, "operations of a network that nothing was planned for");
    struct counting c = {.n = n,
                         .rates = rates,
                         .T = (double)T,
                         .E = (double)(trainer->ops->errors ? trainer->ops->errors(trainer, T, n->plan.cut) : T),
                         .within = (double)(T - cuts) / T,
                         .to = out};
    c.later = ceil(c.E / n->plan.cut) - (c.E == c.T);
    for (int i = 0; i < n->model.tape.nodes; ++i) count_node(&c, i);
}
