/* SPDX-License-Identifier: Apache-2.0
 * blocks.c - a network in blocks whose errors do not come down from one to another: each gets its own, by direct
 * feedback or from a readout of its own. */
#include <math.h>
#include <stdio.h>

#include "autograd/ops.h"
#include "core/status.h"
#include "train/rules.h"

static bool weighs(const struct snn_node *node) { return node->op->flags & SNN_OP_TRACES && !snn_makes_spikes(node); }

/* Does anything of its own block read the output of node i? */
static bool goes_on(const struct snn_tape *tape, int i) {
    for (int j = i + 1; j < tape->nodes; ++j)
        for (int k = 0; k < SNN_NODE_INPUTS; ++k)
            if (tape->node[j]->in[k] && tape->node[j]->in[k]->root == tape->node[i]->out->root &&
                tape->node[j]->block == tape->node[i]->block)
                return true;
    return false;
}

/* The last node of a block, whose output is what comes out of it. */
static int end_of(const struct snn_tape *tape, int block) {
    int end = -1;
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->scope == SNN_SCOPE_CUT && tape->node[i]->block == block && !tape->node[i]->in_training)
            end = i;
    return end;
}

int snn_rule_blocks(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule) {
    struct snn_tape *tape = &network->model.tape;
    const char *name = trainer->ops->name;
    bool fired = false;
    int block = 0;
    for (int i = 0; i < tape->nodes; ++i) {
        struct snn_node *node = tape->node[i];
        if (node->scope != SNN_SCOPE_CUT) continue;
        if (fired && weighs(node)) ++block, fired = false;
        fired = fired || snn_makes_spikes(node);
        node->block = block;
        for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
            const struct snn_tensor *t = node->in[k];
            if (!t || t->is_weight || t->root->producer < 0 || tape->node[t->root->producer]->block == block) continue;
            if (snn_tape_is_current(tape, t))
                return snn_refuse_layer(node, rule,
                                        "adds currents of an earlier layer to its own, and the errors of %s do not "
                                        "pass from block to block: only spikes may",
                                        name);
            node->shut[k] = true;
        }
    }
    network->blocks = block + 1;
    if (network->blocks > SNN_BLOCKS)
        return snn_conf_error(rule, "the network has %d blocks: %s takes up to %d", network->blocks, name, SNN_BLOCKS);
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->scope == SNN_SCOPE_CUT && i != end_of(tape, tape->node[i]->block) && !goes_on(tape, i) &&
            tape->node[i]->out->needs_grad)
            return snn_refuse_layer(tape->node[i], rule,
                                    "what it gives does not reach the end of its block, where the errors of %s begin",
                                    name);
    return SNN_OK;
}

static struct snn_tensor *block_end(const struct snn_tape *tape, int block) {
    return tape->node[end_of(tape, block)]->out;
}

/* A fixed matrix that belongs to the layer that t comes out of. */
static struct snn_param *fixed_matrix(struct snn_network *n, const struct snn_tensor *t, const char *what, int32_t rows,
                                      int32_t columns) {
    char name[600];
    const int32_t dim[2] = {rows, columns};
    snprintf(name, sizeof name, "%s.%s", t->name, what);
    return snn_params_add(&n->model.params, name, true, 2, dim);
}

/* Nodes from `first` on were recorded behind the network, and belong to a block. */
static void belong_to(struct snn_tape *tape, int first, int block) {
    for (int i = first; i < tape->nodes; ++i) tape->node[i]->block = block, tape->node[i]->in_training = true;
}

int snn_rule_feedback(struct snn_network *n) {
    struct snn_tape *tape = &n->model.tape;
    struct snn_tensor *output = tape->output;
    tape->signal = SNN_SIGNAL_FEEDBACK;
    for (int block = 0; block < n->blocks - 1; ++block) {
        struct snn_tensor *end = block_end(tape, block);
        const int first = tape->nodes;
        struct snn_param *matrix = fixed_matrix(n, end, "feedback", (int32_t)output->units, (int32_t)end->units);
        matrix->bound = 1 / sqrt((double)output->units);
        snn_feedback(tape, end->name, end, matrix);
        belong_to(tape, first, block);
    }
    tape->output = output;
    return SNN_OK;
}

/* B[c][j] = sign(sin(f_c j)) / n, f from 50 to 512 */
static double wave(const struct snn_param *p, ptrdiff_t i) {
    const int32_t C = p->dim[0], n = p->dim[1];
    const double f = C > 1 ? 50 + 462.0 * (double)(i / n) / (C - 1) : 50, s = sin(f * (double)(i % n));
    return ((s > 0) - (s < 0)) / (double)n;
}

int snn_rule_readouts(struct snn_network *n, struct snn_conf *rule, const int32_t *pool, int pools) {
    struct snn_tape *tape = &n->model.tape;
    struct snn_tensor *output = tape->output;
    tape->signal = SNN_SIGNAL_LOCAL;
    if (pools >= n->blocks)
        return snn_conf_error(snn_conf_get(rule, "pool"), "expected up to %d numbers, one for each block but the last",
                              n->blocks - 1);
    for (int block = 0; block < n->blocks - 1; ++block) {
        struct snn_tensor *end = block_end(tape, block), *x = end;
        const int first = tape->nodes;
        const int32_t side = pool[block < pools ? block : pools - 1];
        if (x->nd > 1) {
            struct snn_pool_shape s = {.C = x->dim[0], .H = x->nd > 2 ? x->dim[x->nd - 2] : 1, .W = x->dim[x->nd - 1]};
            for (int axis = 1; axis < x->nd - 2; ++axis) s.H *= x->dim[axis];
            s.OH = side < s.H ? side : s.H, s.OW = side < s.W ? side : s.W;
            const int32_t dim = s.C * s.OH * s.OW;
            snn_pool_divide(&s);
            if (dim != x->units) x = snn_average_pool(tape, end->name, x, &s, 1, &dim);
            else x = snn_flatten(tape, x);
        }
        struct snn_param *matrix = fixed_matrix(n, end, "readout", (int32_t)output->units, (int32_t)x->units);
        matrix->fixed = wave;
        n->readout[block] = snn_linear(tape, end->name, x, matrix, NULL);
        belong_to(tape, first, block);
    }
    tape->output = output;
    return SNN_OK;
}
