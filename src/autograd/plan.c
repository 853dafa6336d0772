/* SPDX-License-Identifier: Apache-2.0
 * plan.c - which bytes every buffer of a tape gets.
 *
 * Time runs over [batch-scope forward, cut forward, loss, cut backward, batch-scope backward]; a buffer lives from its
 * first write to its last read; one that is computed again has two such lives, at the same place. What makes weights is
 * outside of it: its buffers keep their bytes for all slices of a batch. Buffers are placed largest first at the lowest
 * offset that is free over their lifetime: for the chains that networks are, the result is within a few percent of the
 * largest sum that is alive at once. */
#include <stdlib.h>
#include <string.h>

#include "autograd/tape.h"
#include "core/status.h"

/* Segments: the nodes of a cut up to and with every `spiking`th one that makes spikes. The last is not made again:
 * backward comes right behind it. */
static int divide(struct snn_tape *tape, int spiking) {
    int segment = 0, made = 0, last = -1;
    for (int i = 0; i < tape->nodes; ++i) {
        struct snn_node *node = tape->node[i];
        node->segment = -1;
        if (!spiking || node->scope != SNN_SCOPE_CUT) continue;
        node->segment = last = segment;
        if (snn_makes_spikes(node) && ++made % spiking == 0) ++segment;
    }
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->segment == last) tape->node[i]->segment = -1;
    return last < 0 ? 0 : last;
}

/* Nodes as they run: block after block, each in the order they were recorded in. */
static void put_in_order(struct snn_tape *tape) {
    int at = 0, blocks = 0;
    tape->order = realloc(tape->order, (size_t)(tape->nodes + 1) * sizeof *tape->order);
    SNN_CHECK(tape->order, "out of memory while a plan is made");
    for (int i = 0; i < tape->nodes; ++i) blocks = tape->node[i]->block > blocks ? tape->node[i]->block : blocks;
    for (int block = 0; block <= blocks; ++block)
        for (int i = 0; i < tape->nodes; ++i)
            if (tape->node[i]->block == block) tape->order[at++] = i;
}

/* The backward pass of the nodes of a scope, and of a block of it unless that is -1; a segment runs again before it. */
static int lay_backward(struct snn_tape *tape, int scope, int block, int time) {
    int segment = -1;
    for (int at = tape->nodes - 1; at >= 0; --at) {
        const int i = tape->order[at];
        struct snn_node *node = tape->node[i];
        if ((int)node->scope != scope || (block >= 0 && node->block != block)) continue;
        if (node->segment >= 0 && node->segment != segment) {
            segment = node->segment;
            for (int j = 0; j <= i; ++j)
                if (tape->node[j]->segment == segment) tape->node[j]->again_at = time++;
        }
        node->backward_at = time++;
    }
    return time;
}

/* When what runs: wider scopes come first, and go back last. Under local errors the blocks of a cut go back one by
 * one, each as soon as it has gone forward. */
static void lay_times(struct snn_tape *tape) {
    int time = 1, block = -1; /* 0: the input is filled */
    const bool local = tape->signal == SNN_SIGNAL_LOCAL && tape->recorded;
    for (int scope = SNN_SCOPE_WEIGHTS; scope >= SNN_SCOPE_CUT; --scope)
        for (int at = 0; at < tape->nodes; ++at) {
            struct snn_node *node = tape->node[tape->order[at]];
            if ((int)node->scope != scope) continue;
            if (local && scope == SNN_SCOPE_CUT && node->block != block) {
                if (block >= 0) time = lay_backward(tape, SNN_SCOPE_CUT, block, time + 1);
                block = node->block;
            }
            node->forward_at = time++, node->again_at = -1;
        }
    tape->loss_at = time++;
    for (int scope = SNN_SCOPE_CUT; scope <= SNN_SCOPE_WEIGHTS; ++scope)
        time = lay_backward(tape, scope, local && scope == SNN_SCOPE_CUT ? block : -1, time);
    tape->end_at = time;
}

struct life { /* see struct snn_buffer */
    int birth, death, again, again_death;
};
static const struct life always = {0, 0, -1, -1};

static int later(int a, int b) { return a > b ? a : b; }

static int add_buffer(struct snn_tape *tape, size_t bytes, struct life life) {
    if (tape->buffers == tape->buffer_room) {
        tape->buffer_room = tape->buffer_room ? 2 * tape->buffer_room : 64;
        tape->buffer = realloc(tape->buffer, (size_t)tape->buffer_room * sizeof *tape->buffer);
        SNN_CHECK(tape->buffer, "out of memory while a plan is made");
    }
    bytes = snn_aligned(bytes);
    tape->buffer[tape->buffers] = (struct snn_buffer){.bytes = bytes,
                                                      .birth = life.birth,
                                                      .death = life.death,
                                                      .again = life.again,
                                                      .again_death = life.again_death,
                                                      .alias = -1,
                                                      .purpose = SNN_MEM_ACTIVATIONS,
                                                      .pooled = true};
    return tape->buffers++;
}

/* From a node's forward pass to its backward pass. */
static struct life kept_life(const struct snn_tape *tape, const struct snn_node *node) {
    int fwd = node->forward_at, again = node->again_at;
    if (!tape->recorded || !node->out->needs_grad) return (struct life){fwd, fwd, again, again};
    return again < 0 ? (struct life){fwd, node->backward_at, -1, -1}
                     : (struct life){fwd, fwd, again, node->backward_at};
}

int snn_tape_buffer(struct snn_tape *tape, struct snn_node *node, size_t bytes, enum snn_when when) {
    int fwd = node->forward_at, again = node->again_at, bwd = node->backward_at;
    bool backward = tape->recorded && node->out->needs_grad;
    if (!backward && when == SNN_IN_BACKWARD) bytes = 0;
    struct life life = kept_life(tape, node);
    if (when == SNN_IN_FORWARD) life = (struct life){fwd, fwd, again, again};
    if (when == SNN_IN_BACKWARD) life = (struct life){bwd, bwd, -1, -1};
    if (when == SNN_THROUGH) life = (struct life){fwd, backward ? bwd : later(fwd, again), -1, -1};
    int buffer = add_buffer(tape, bytes, life);
    if (when == SNN_IN_FORWARD || when == SNN_IN_BACKWARD) tape->buffer[buffer].purpose = SNN_MEM_SCRATCH;
    if (when == SNN_LASTING) tape->buffer[buffer].purpose = SNN_MEM_STATE, tape->buffer[buffer].pooled = false;
    if (node->scope == SNN_SCOPE_WEIGHTS) tape->buffer[buffer].pooled = false;
    node->own_bytes += tape->buffer[buffer].bytes;
    return buffer;
}

/* May `node` overwrite the numbers of its input 0? Only when nobody else reads them afterwards. */
static bool may_overwrite(const struct snn_tape *tape, const struct snn_node *node) {
    const struct snn_tensor *x = node->in[0]->root;
    if (x->consumers != 1 || x->producer < 0 || x == tape->output->root ||
        node->in[0]->is_static != node->out->is_static)
        return false;
    if (node->op->flags & SNN_OP_NEEDS_INPUT) return false;
    if (node->segment >= 0 && tape->node[x->producer]->segment != node->segment) return false; /* it reads it again */
    return !(tape->recorded && tape->node[x->producer]->op->flags & SNN_OP_NEEDS_OUTPUT);
}

static int share(struct snn_tape *tape, int buffer, struct life life) {
    while (tape->buffer[buffer].alias >= 0) buffer = tape->buffer[buffer].alias;
    struct snn_buffer *root = &tape->buffer[buffer];
    if (life.birth < root->birth) root->birth = life.birth;
    root->death = later(root->death, life.death);
    if (life.again >= 0 && (root->again < 0 || life.again < root->again)) root->again = life.again;
    root->again_death = later(root->again_death, life.again_death);
    int alias = add_buffer(tape, 0, life);
    tape->buffer[alias].alias = buffer;
    return alias;
}

int snn_tape_buffer_over_input(struct snn_tape *tape, struct snn_node *node, size_t bytes) {
    const struct snn_tensor *x = node->in[0]->root;
    if (!may_overwrite(tape, node) || x->data_buffer < 0) return snn_tape_buffer(tape, node, bytes, SNN_KEPT);
    return share(tape, x->data_buffer, kept_life(tape, node));
}

/* Have all who read t the flag? */
static bool all_read(const struct snn_tape *tape, const struct snn_tensor *t, enum snn_op_flags flag) {
    for (int i = 0; i < tape->nodes; ++i)
        for (int k = 0; k < SNN_NODE_INPUTS; ++k)
            if (tape->node[i]->in[k] && tape->node[i]->in[k]->root == t && !(tape->node[i]->op->flags & flag))
                return false;
    return true;
}

/* Does some consumer need the dense numbers of t? */
static bool needs_dense(const struct snn_tape *tape, const struct snn_tensor *t) {
    if (tape->smooth || t == tape->output->root) return true;
    if (t->is_listed) return false;
    return !t->is_spikes || t->producer < 0 || !all_read(tape, t, SNN_OP_READS_BITS);
}

static int add_lasting(struct snn_tape *tape, size_t bytes) {
    int buffer = add_buffer(tape, bytes, always);
    tape->buffer[buffer].pooled = false;
    return buffer;
}

static void plan_weight(struct snn_tape *tape, struct snn_tensor *t) {
    size_t bytes = (size_t)t->units * sizeof(real);
    t->grad_buffer = t->late_buffer = t->bits_buffer = t->nonzero_buffer = -1;
    t->data_buffer = add_lasting(tape, bytes);
    if (tape->recorded) t->grad_buffer = add_lasting(tape, bytes);
    tape->node[t->producer]->own_bytes += (tape->recorded ? 2 : 1) * bytes;
}

/* Numbers live from their producer to the last who reads them; those that only their own segment reads, twice. */
static struct life data_life(const struct snn_tape *tape, const struct snn_tensor *t) {
    const struct snn_node *producer = t->producer < 0 ? NULL : tape->node[t->producer];
    int birth = producer ? producer->forward_at : 0, death = birth, again = producer ? producer->again_at : -1,
        again_death = again;
    bool inner = again >= 0 && t != tape->output->root;
    for (int i = 0; i < tape->nodes; ++i) {
        const struct snn_node *node = tape->node[i];
        for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
            if (!node->in[k] || node->in[k]->root != t) continue;
            bool backward = tape->recorded && node->out->needs_grad && node->op->flags & SNN_OP_NEEDS_INPUT;
            death = later(death, node->forward_at);
            again_death = later(again_death, later(node->again_at, backward ? node->backward_at : -1));
            inner = inner && node->segment == producer->segment;
        }
    }
    if (tape->recorded && t->needs_grad && producer && producer->op->flags & SNN_OP_NEEDS_OUTPUT)
        again_death = later(again_death, producer->backward_at);
    if (inner) return (struct life){birth, death, again, again_death};
    death = later(death, again_death);
    if (t == tape->output->root) death = tape->end_at; /* read by the loss, and by metrics after the backward pass */
    return (struct life){birth, death, -1, -1};
}

/* A gradient lives from the first who writes it, the last consumer, to the producer's backward pass. */
static struct life gradient_life(const struct snn_tape *tape, const struct snn_tensor *t) {
    const struct snn_node *producer = t->producer < 0 ? NULL : tape->node[t->producer];
    bool output = t == tape->output->root, consumed = false;
    int birth = tape->loss_at, death = producer ? producer->backward_at : tape->end_at;
    if (tape->signal == SNN_SIGNAL_LOCAL && producer && !output)
        birth = producer->forward_at; /* a local loss comes right behind a readout */
    for (int i = 0; i < tape->nodes; ++i) {
        const struct snn_node *node = tape->node[i];
        if (output && node->op->flags & SNN_OP_READS_ERROR) death = later(death, node->backward_at);
        for (int k = 0; k < SNN_NODE_INPUTS && !output; ++k) {
            if (!node->in[k] || node->in[k]->root != t || !tape->recorded || !node->out->needs_grad || node->shut[k])
                continue;
            if (!consumed || node->backward_at < birth) birth = node->backward_at;
            consumed = true;
        }
    }
    return (struct life){birth, death, -1, -1};
}

static void plan_tensor(struct snn_tape *tape, struct snn_tensor *t) {
    struct life life = data_life(tape, t), gradient = gradient_life(tape, t);
    bool recorded = tape->recorded && t->needs_grad;
    if (tape->many_cuts && t->is_static) { /* read and added to by every cut */
        life.death = later(life.death, tape->loss_at + tape->nodes);
        gradient.birth = life.birth;
    }
    struct life counts = {life.birth, tape->end_at, -1, -1};
    size_t rows = (size_t)snn_plan_rows(tape, t), dense = rows * (size_t)t->units * sizeof(real);
    t->data_buffer = t->grad_buffer = t->late_buffer = t->bits_buffer = t->nonzero_buffer = -1;
    t->is_listed = t->producer < 0 && t->is_sparse && !t->is_static && !t->needs_grad && !tape->smooth &&
                   t != tape->output->root && all_read(tape, t, SNN_OP_READS_LISTS);
    t->lists = (struct snn_lists){0};
    /* In place: the output takes the input's bytes. */
    struct snn_node *producer = t->producer >= 0 ? tape->node[t->producer] : NULL;
    bool in_place = producer && producer->op->flags & SNN_OP_IN_PLACE && producer->in[0]->units == t->units;
    size_t own = 0;
    if (needs_dense(tape, t)) {
        const struct snn_tensor *x = in_place ? producer->in[0]->root : NULL;
        if (x && x->data_buffer >= 0 && may_overwrite(tape, producer))
            t->data_buffer = share(tape, x->data_buffer, life);
        else t->data_buffer = add_buffer(tape, dense, life), own += dense;
    }
    if (t->is_spikes && !tape->smooth && t->producer >= 0) {
        t->bits_buffer = add_buffer(tape, rows * (size_t)t->words * sizeof(uint64_t), life);
        own += tape->buffer[t->bits_buffer].bytes;
    }
    if ((t->is_spikes || t->is_sparse)) t->nonzero_buffer = add_buffer(tape, rows * sizeof(int32_t), counts);
    if (recorded) t->grad_buffer = add_buffer(tape, dense, gradient), own += dense;
    if (recorded && t->is_late) t->late_buffer = add_buffer(tape, dense, gradient), own += dense;
    if (producer) producer->own_bytes += own;
}

/* The gradient of an in-place op's input takes the bytes of its output's gradient. */
static void share_gradients(struct snn_tape *tape) {
    for (int i = 0; i < tape->nodes; ++i) {
        const struct snn_node *node = tape->node[i];
        if (node->scope == SNN_SCOPE_WEIGHTS) continue;
        struct snn_tensor *x = node->in[0]->root, *y = node->out->root;
        if (!(node->op->flags & SNN_OP_GRAD_IN_PLACE) || x->grad_buffer < 0 || y->grad_buffer < 0) continue;
        if (x->consumers != 1 || x->units != y->units || x->is_static != y->is_static || x == tape->output->root)
            continue;
        int root = y->grad_buffer;
        while (tape->buffer[root].alias >= 0) root = tape->buffer[root].alias;
        struct snn_buffer *own = &tape->buffer[x->grad_buffer];
        if (own->death > tape->buffer[root].death) tape->buffer[root].death = own->death;
        own->alias = root;
        own->bytes = 0;
    }
}

/* Does node i write a gradient of t, through its input k? */
static bool writes(const struct snn_tape *tape, int i, int k, const struct snn_tensor *t, bool late) {
    const struct snn_node *node = tape->node[i];
    if (!node->in[k] || node->in[k]->root != t || node->shut[k]) return false;
    return !late || node->post.on || node->out->root->is_late;
}

/* Who writes a gradient first, and who adds to it: backward order decides. */
static void order_writers(struct snn_tape *tape) {
    for (int i = 0; i < tape->nodes; ++i) {
        for (int k = 0; k < SNN_NODE_INPUTS; ++k) {
            struct snn_node *node = tape->node[i];
            if (!node->in[k]) continue;
            const struct snn_tensor *x = node->in[k]->root;
            bool twice = k == 0 && node->in[1] && node->in[1]->root == x; /* input 1 is written before input 0 */
            node->adds[k] = x == tape->output->root || twice;
            node->late_adds[k] = twice;
            for (int j = 0; j < tape->nodes; ++j)
                for (int l = 0; l < SNN_NODE_INPUTS; ++l) {
                    if (j == i || tape->node[j]->backward_at >= tape->node[i]->backward_at) continue;
                    if (writes(tape, j, l, x, false)) node->adds[k] = true;
                    if (writes(tape, j, l, x, true)) node->late_adds[k] = true;
                }
        }
    }
}

bool snn_tape_is_current(const struct snn_tape *tape, const struct snn_tensor *t) {
    const struct snn_node *node = t->root->producer < 0 ? NULL : tape->node[t->root->producer];
    if (!node || t->is_weight || snn_makes_spikes(node)) return false;
    if (node->op->flags & SNN_OP_TRACES) return true;
    for (int k = 0; k < SNN_NODE_INPUTS; ++k)
        if (node->in[k] && snn_tape_is_current(tape, node->in[k])) return true;
    return false;
}

/* Tensors on the way from a spiking layer that sends late errors to weights. */
static void find_late(struct snn_tape *tape) {
    for (int i = 0; i < tape->tensors; ++i) tape->tensor[i]->is_late = false;
    for (int i = tape->nodes - 1; i >= 0 && tape->recorded; --i) {
        const struct snn_node *node = tape->node[i];
        for (int k = 0; k < SNN_NODE_INPUTS; ++k)
            if (node->in[k] && (node->post.on || node->out->root->is_late))
                node->in[k]->root->is_late = snn_tape_is_current(tape, node->in[k]);
    }
}

static int larger_first(const void *a, const void *b, void *tape) {
    const struct snn_buffer *buffer = ((const struct snn_tape *)tape)->buffer;
    size_t x = buffer[*(const int *)a].bytes, y = buffer[*(const int *)b].bytes;
    return x != y ? (x < y) - (x > y) : *(const int *)a - *(const int *)b;
}

static bool overlap(int birth, int death, int birth2, int death2) {
    return birth >= 0 && birth2 >= 0 && birth <= death2 && birth2 <= death;
}

static bool meet(const struct snn_buffer *a, const struct snn_buffer *b) {
    return overlap(a->birth, a->death, b->birth, b->death) || overlap(a->birth, a->death, b->again, b->again_death) ||
           overlap(a->again, a->again_death, b->birth, b->death) ||
           overlap(a->again, a->again_death, b->again, b->again_death);
}

static void place(struct snn_tape *tape) {
    int *order = malloc((size_t)(tape->buffers + 1) * sizeof *order), placed = 0;
    SNN_CHECK(order, "out of memory while a plan is made");
    int count = 0;
    for (int i = 0; i < tape->buffers; ++i)
        if (tape->buffer[i].pooled && tape->buffer[i].alias < 0 && tape->buffer[i].bytes) order[count++] = i;
    qsort_r(order, (size_t)count, sizeof *order, larger_first, tape);
    tape->pool_bytes = 0;
    for (; placed < count; ++placed) {
        struct snn_buffer *b = &tape->buffer[order[placed]];
        size_t offset = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (int j = 0; j < placed; ++j) {
                const struct snn_buffer *o = &tape->buffer[order[j]];
                if (meet(b, o) && offset < o->offset + o->bytes && o->offset < offset + b->bytes)
                    offset = o->offset + o->bytes, moved = true;
            }
        }
        b->offset = offset;
        if (offset + b->bytes > tape->pool_bytes) tape->pool_bytes = offset + b->bytes;
    }
    free(order);
}

void snn_node_plan_trace(struct snn_tape *tape, struct snn_node *node) {
    if (!node->trace.on || !tape->recorded) return;
    size_t row = (size_t)node->in[0]->units * sizeof(real);
    node->traced = snn_tape_buffer(tape, node, (size_t)snn_plan_rows(tape, node->in[0]) * row, SNN_LASTING);
}

void snn_tape_plan(struct snn_tape *tape, const struct snn_plan_for *what) {
    tape->max_T = what->T, tape->max_B = what->B;
    tape->recorded = what->recorded, tape->many_cuts = what->many_cuts, tape->smooth = what->smooth;
    tape->device = what->device;
    tape->buffers = 0;
    tape->pool = tape->numbers = NULL;
    tape->numbers_bytes = 0;
    SNN_CHECK(!what->recompute || !what->many_cuts, "what is computed again over several cuts");
    tape->spiking = what->recorded ? what->recompute : 0;
    tape->segments = divide(tape, tape->spiking);
    put_in_order(tape);
    lay_times(tape);
    find_late(tape);
    for (int i = 0; i < tape->nodes; ++i) tape->node[i]->own_bytes = 0, tape->node[i]->traced = -1;
    for (int i = 0; i < tape->tensors; ++i)
        if (tape->tensor[i]->root == tape->tensor[i])
            (tape->tensor[i]->is_weight ? plan_weight : plan_tensor)(tape, tape->tensor[i]);
    if (tape->recorded) share_gradients(tape);
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->op->plan) tape->node[i]->op->plan(tape, tape->node[i]);
    order_writers(tape);
    place(tape);
    for (int i = 0; i < 2; ++i) {
        free(tape->numbers_host[i]);
        tape->numbers_host[i] = calloc(1, tape->numbers_bytes + 1);
        SNN_CHECK(tape->numbers_host[i], "out of memory while a plan is made");
    }
}

size_t snn_tape_numbers(struct snn_tape *tape, size_t bytes) {
    size_t place = tape->numbers_bytes;
    tape->numbers_bytes += snn_aligned(bytes);
    return place;
}

void snn_tape_bind(struct snn_tape *tape, struct snn_arena *arena) {
    tape->numbers = snn_arena_alloc(arena, tape->numbers_bytes, SNN_MEM_STATE);
    memset(tape->numbers_host[0], 0, tape->numbers_bytes); /* as fresh memory */
    tape->pool = snn_arena_alloc(arena, tape->pool_bytes, SNN_MEM_ACTIVATIONS);
    for (int i = 0; i < tape->buffers; ++i) {
        struct snn_buffer *b = &tape->buffer[i];
        if (!b->pooled) b->memory = snn_arena_alloc(arena, b->bytes, b->purpose);
        else if (b->alias < 0) b->memory = tape->pool && b->bytes ? tape->pool + b->offset : NULL;
    }
    for (int i = 0; i < tape->buffers; ++i) {
        int root = i;
        while (tape->buffer[root].alias >= 0) root = tape->buffer[root].alias;
        tape->buffer[i].memory = tape->buffer[root].memory;
    }
    for (int i = 0; i < tape->tensors; ++i) {
        struct snn_tensor *t = tape->tensor[i], *root = t->root;
        t->data = snn_tape_memory(tape, root->data_buffer);
        t->grad = snn_tape_memory(tape, root->grad_buffer);
        t->late = snn_tape_memory(tape, root->late_buffer);
        t->bits = snn_tape_memory(tape, root->bits_buffer);
        t->nonzero = snn_tape_memory(tape, root->nonzero_buffer);
        t->words = root->words;
    }
}

void *snn_tape_memory(const struct snn_tape *tape, int buffer) {
    return buffer < 0 ? NULL : tape->buffer[buffer].memory;
}
