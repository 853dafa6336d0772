/* SPDX-License-Identifier: Apache-2.0
 * tape.c - recording nodes and replaying them. */
#include "autograd/tape.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "autograd/math.h"
#include "autograd/memory.h"
#include "core/status.h"

static void *grow(void *list, int count, int *room, size_t item) {
    if (count < *room) return list;
    *room = *room ? 2 * *room : 16;
    void *more = realloc(list, (size_t)*room * item);
    SNN_CHECK(more, "out of memory while a model of %d parts is built", count);
    return more;
}

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    SNN_CHECK(memory, "out of memory while a model is built");
    return memory;
}

void snn_tape_init(struct snn_tape *tape, struct snn_params *params) { *tape = (struct snn_tape){.params = params}; }

void snn_tape_free(struct snn_tape *tape) {
    for (int i = 0; i < tape->nodes; ++i) free(tape->node[i]->name), free(tape->node[i]);
    for (int i = 0; i < tape->tensors; ++i) free(tape->tensor[i]->name), free(tape->tensor[i]);
    for (int i = 0; i < tape->aux_count; ++i) free(tape->aux_list[i]);
    free(tape->numbers_host[0]), free(tape->numbers_host[1]);
    free(tape->node), free(tape->tensor), free(tape->aux_list), free(tape->buffer), free(tape->order);
    *tape = (struct snn_tape){0};
}

static struct snn_tensor *add_tensor(struct snn_tape *tape, const char *name, int nd, const int32_t *dim) {
    SNN_CHECK(nd >= 1 && nd <= SNN_ROW_AXES, "%s: a row has 1 to %d axes, not %d", name, SNN_ROW_AXES, nd);
    struct snn_tensor *t = allocate(sizeof *t);
    t->name = strdup(name);
    t->nd = nd;
    t->units = 1;
    for (int i = 0; i < nd; ++i) t->dim[i] = dim[i], t->units *= dim[i];
    t->words = (int32_t)((t->units + 63) / 64);
    t->root = t;
    t->producer = -1;
    tape->tensor = grow(tape->tensor, tape->tensors, &tape->tensor_room, sizeof *tape->tensor);
    tape->tensor[tape->tensors++] = t;
    return t;
}

struct snn_tensor *snn_tape_input(struct snn_tape *tape, int nd, const int32_t *dim, bool is_static) {
    struct snn_tensor *t = add_tensor(tape, "input", nd, dim);
    t->is_static = is_static;
    tape->input = tape->output = t;
    return t;
}

/* A node without its place in the order of the network's outputs. */
static struct snn_node *add_node(struct snn_tape *tape, const struct snn_op *op, const char *name,
                                 struct snn_tensor *in0, struct snn_tensor *in1, int nd, const int32_t *dim,
                                 const void *options, size_t aux_size) {
    struct snn_node *node = allocate(sizeof *node);
    node->op = op;
    node->name = strdup(name);
    node->options = options;
    node->in[0] = in0, node->in[1] = in1;
    if (in0) in0->root->consumers++;
    if (in1) in1->root->consumers++;
    if (aux_size) {
        node->aux = allocate(aux_size);
        tape->aux_list = grow(tape->aux_list, tape->aux_count, &tape->aux_room, sizeof *tape->aux_list);
        tape->aux_list[tape->aux_count++] = node->aux;
    }
    node->out = add_tensor(tape, name, nd, dim);
    node->out->producer = tape->nodes;
    node->out->needs_grad = (in0 && in0->needs_grad) || (in1 && in1->needs_grad);
    tape->node = grow(tape->node, tape->nodes, &tape->node_room, sizeof *tape->node);
    tape->node[tape->nodes++] = node;
    return node;
}

struct snn_node *snn_tape_node(struct snn_tape *tape, const struct snn_op *op, const char *name, struct snn_tensor *in0,
                               struct snn_tensor *in1, int nd, const int32_t *dim, const void *options,
                               size_t aux_size) {
    struct snn_node *node = add_node(tape, op, name, in0, in1, nd, dim, options, aux_size);
    bool inputs_static = in0->is_static && (!in1 || in1->is_static || in1->is_weight);
    node->out->is_static = inputs_static && (op->flags & SNN_OP_TIMELESS);
    node->scope = node->out->is_static ? SNN_SCOPE_BATCH : SNN_SCOPE_CUT;
    node->out->appended = in0->appended;
    tape->output = node->out;
    return node;
}

struct snn_node *snn_tape_weight(struct snn_tape *tape, const struct snn_op *op, const char *name,
                                 struct snn_tensor *in, ptrdiff_t count, const void *options, size_t aux_size) {
    SNN_CHECK((!in || in->is_weight) && count <= INT32_MAX, "%s: a weight is made of weights", name);
    int32_t dim = (int32_t)count;
    struct snn_node *node = add_node(tape, op, name, in, NULL, 1, &dim, options, aux_size);
    node->out->is_weight = node->out->needs_grad = true;
    node->scope = SNN_SCOPE_WEIGHTS;
    return node;
}

struct snn_tensor *snn_tape_view(struct snn_tape *tape, struct snn_tensor *of, int nd, const int32_t *dim) {
    struct snn_tensor *t = add_tensor(tape, of->name, nd, dim);
    SNN_CHECK(t->units == of->units, "a view of %td units as %td", of->units, t->units);
    t->is_static = of->is_static, t->is_spikes = of->is_spikes, t->is_sparse = of->is_sparse;
    t->needs_grad = of->needs_grad;
    t->appended = of->appended;
    t->producer = of->producer;
    t->root = of->root;
    tape->output = t;
    return t;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The late pass of a node whose output has a late gradient, which is on its way to weights: gradients of what lies on
 * the way are the late ones, and those of weights the same as ever. */
static void late_pass(struct snn_node *node, const struct snn_run *run) {
    struct snn_run late = *run;
    real *out = node->out->grad, *in[SNN_NODE_INPUTS] = {0};
    late.late = true;
    node->out->grad = node->out->late;
    for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
        if (!node->in[k] || node->in[k]->is_weight) continue;
        in[k] = node->in[k]->grad;
        node->in[k]->grad = node->in[k]->late;
    }
    node->op->backward(node, &late);
    node->out->grad = out;
    for (int k = 0; k < SNN_NODE_INPUTS; ++k)
        if (node->in[k] && !node->in[k]->is_weight) node->in[k]->grad = in[k];
}

static void backward_pass(struct snn_node *node, const struct snn_run *run) {
    real *in[SNN_NODE_INPUTS] = {0};
    for (int k = 0; k < SNN_NODE_INPUTS; ++k)
        if (node->shut[k]) in[k] = node->in[k]->grad, node->in[k]->grad = NULL;
    node->op->backward(node, run);
    for (int k = 0; k < SNN_NODE_INPUTS; ++k)
        if (node->shut[k]) node->in[k]->grad = in[k];
    if (node->out->late) late_pass(node, run);
}

/* Run one pass of node i, timed when somebody asked for it. */
static void pass(struct snn_tape *tape, int i, const struct snn_run *run, bool backward) {
    struct snn_node *node = tape->node[i];
    double started = tape->profile ? seconds() : 0;
    (backward ? backward_pass : node->op->forward)(node, run);
    if (!tape->profile) return;
    run->device->memory->download(run->device, NULL, NULL, 0); /* wait for it; a failure is seen later */
    tape->profile[2 * i + (backward || run->again)] += seconds() - started;
}

/* The forward pass of a segment, whose last node is i, for its backward pass. */
static void pass_again(struct snn_tape *tape, int i, const struct snn_run *run) {
    struct snn_run again = *run;
    again.again = true;
    for (int j = 0; j <= i; ++j)
        if (tape->node[j]->segment == tape->node[i]->segment) pass(tape, j, &again, false);
}

void snn_tape_prepare(struct snn_tape *tape, struct snn_device *device) {
    unsigned char **host = tape->numbers_host;
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->op->prepare) tape->node[i]->op->prepare(tape->node[i], host[1]);
    if (!tape->numbers_bytes || !memcmp(host[0], host[1], tape->numbers_bytes)) return;
    memcpy(host[0], host[1], tape->numbers_bytes);
    device->memory->upload(device, tape->numbers, host[0], tape->numbers_bytes);
}

/* Blocks of any number: -1. */
static void forward(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope, int block) {
    for (int at = 0; at < tape->nodes; ++at) {
        const struct snn_node *node = tape->node[tape->order[at]];
        if (node->scope != scope || (block >= 0 && node->block != block) || (node->in_training && !run->train))
            continue;
        pass(tape, tape->order[at], run, false);
        if (scope == SNN_SCOPE_WEIGHTS && node->out->grad) /* all who read it add */
            run->device->memory->zero(run->device, node->out->grad, (size_t)node->out->units * sizeof(real));
    }
}

static void backward(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope, int block) {
    int segment = -1;
    for (int at = tape->nodes - 1; at >= 0; --at) {
        const int i = tape->order[at];
        const struct snn_node *node = tape->node[i];
        if (node->scope != scope || (block >= 0 && node->block != block)) continue;
        if (node->segment >= 0 && node->segment != segment) {
            segment = node->segment;
            pass_again(tape, i, run);
        }
        if (node->op->backward && node->out->needs_grad) pass(tape, i, run, true);
    }
}

void snn_tape_forward_scope(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope) {
    forward(tape, run, scope, -1);
}
void snn_tape_backward_scope(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope) {
    backward(tape, run, scope, -1);
}
void snn_tape_forward_block(struct snn_tape *tape, const struct snn_run *run, int block) {
    forward(tape, run, SNN_SCOPE_CUT, block);
}
void snn_tape_backward_block(struct snn_tape *tape, const struct snn_run *run, int block) {
    backward(tape, run, SNN_SCOPE_CUT, block);
}

bool snn_tape_keeps_apart(const struct snn_tape *tape) {
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->scope == SNN_SCOPE_CUT && !(tape->node[i]->op->flags & (SNN_OP_TIMELESS | SNN_OP_APART)))
            return false;
    return true;
}

struct snn_rows snn_node_learns_from(const struct snn_tape *tape, const struct snn_node *node,
                                     const struct snn_run *run) {
    if (!node->trace.on || run->late) return snn_tensor_rows(node->in[0]);
    return (struct snn_rows){.dense = snn_tape_memory(tape, node->traced)};
}

void snn_node_trace(const struct snn_tape *tape, const struct snn_node *node, const struct snn_run *run) {
    const struct snn_tensor *x = node->in[0];
    struct snn_rows rows = snn_tensor_rows(x);
    real *trace = snn_tape_memory(tape, node->traced);
    if (!node->trace.on || !trace || !run->train) return;
    const real *before = run->cut ? trace + (run->before - 1) * run->B * x->units : NULL;
    run->device->math->trace(run->device, run->T, run->B, x->units, &rows, (real)node->trace.decay,
                             (real)node->trace.gain, before, false, trace);
}
