/* SPDX-License-Identifier: Apache-2.0
 * tape.h - reverse-mode autodiff over whole sequences: one node a layer, not one a layer and step.
 *
 * The tape is recorded once, when the model is built, and replayed for any (T,B) up to the plan's. A batch is one or
 * more CUTS of the time axis: forward over the cut, then backward in reverse. Nodes whose inputs do not depend on time
 * (layers on a static image) have BATCH scope: they run once before the first cut, gather gradient over all cuts, and
 * run backward once at the end. Nodes that make weights out of parameters (delays, binary weights, standardised ones)
 * have WEIGHTS scope: they know no samples either, and run once for all slices of a batch. A learning rule is a choice
 * of cuts and of what crosses them (src/train/).
 *
 * Memory: every buffer has a lifetime in the order [forward..., loss, ...backward]; plan.c gives buffers whose
 * lifetimes do not overlap the same bytes. Nothing is allocated while a batch runs.
 *
 * Recomputation (Chen et al. 2016, "Training deep nets with sublinear memory cost"): the nodes of a cut may be divided
 * into SEGMENTS, each ending behind a layer of spikes. What only a segment itself reads is forgotten after its forward
 * pass, which is made again when backward comes to it; between segments mostly bits are kept. */
#ifndef SNN_TAPE_H
#define SNN_TAPE_H

#include "autograd/device.h"
#include "autograd/learning.h"
#include "autograd/params.h"
#include "autograd/tensor.h"
#include "core/arena.h"
#include "core/batch.h"

enum { SNN_NODE_INPUTS = 2, SNN_NODE_PARAMS = 16 };

enum snn_smooth {                    /* the gradient check replaces the step function by the surrogate's primitive */
                  SNN_HARD,          /* normal operation */
                  SNN_SMOOTH_RECORD, /* smooth; the spikes that detached resets use are recorded */
                  SNN_SMOOTH_REPLAY  /* smooth; detached resets use the recorded spikes */
};

struct snn_run { /* one cut of one batch, as the nodes see it */
    struct snn_device *device;
    const struct snn_batch *batch; /* its arrays are in device memory */
    int32_t T, B;                  /* steps of this cut, samples */
    int32_t t0, cut;               /* first step of this cut in the batch, and which cut it is */
    int32_t before;                /* steps of the cut before */
    bool train;                    /* batch statistics, dropout; membranes are kept */
    bool first_cut;                /* gradients of batch-scope tensors start here */
    bool again;                    /* a forward pass made again for backward: running statistics have moved already */
    bool late;                     /* a backward pass of the late errors: see learning.h */
    enum snn_smooth smooth;
    const uint8_t *mask;   /* (appended + T, B) of this cut: see snn_run_mask; NULL: all steps are within recordings */
    int32_t appended;      /* steps that all delays together put behind the last one; the batch is then one cut */
    const uint32_t *clock; /* device memory: [0] seed low, [1] seed high, [2] optimiser step */
};

struct snn_node;
struct snn_tape;

enum snn_op_flags {
    SNN_OP_NEEDS_INPUT = 1,      /* backward reads the inputs' numbers */
    SNN_OP_NEEDS_OUTPUT = 2,     /* backward reads the output's numbers */
    SNN_OP_READS_BITS = 4,       /* takes spikes as bits: needs no dense copy */
    SNN_OP_READS_LISTS = 128,    /* takes events as lists, likewise */
    SNN_OP_IN_PLACE = 8,         /* the output may overwrite input 0 */
    SNN_OP_GRAD_IN_PLACE = 16,   /* the gradient of input 0 may overwrite the output's */
    SNN_OP_TIMELESS = 32,        /* maps rows to rows: a static input gives a static output */
    SNN_OP_COUPLES_STEPS = 256,  /* a step's result depends on later ones: all must be there at once */
    SNN_OP_COUPLES_SAMPLES = 64, /* in training, a sample's result depends on the others of its batch */
    SNN_OP_SOFT_SPIKES = 2048,   /* the output stands for spikes: 0 to 1 */
    SNN_OP_WHOLE_BATCH = 1024,   /* each slice costs more than its samples (spectra of kernels): batches pass whole */
    SNN_OP_TRACES = 4096,        /* its weight can learn from a trace of what it reads (learning.h) */
    SNN_OP_FOLLOWS = 8192,       /* it spikes, and can follow its psi */
    SNN_OP_APART = 32768,        /* can keep the steps of a cut apart (struct snn_tape) */
    SNN_OP_READS_ERROR = 16384   /* backward reads the gradient of the network's output */
};

struct snn_op {
    const char *name;
    unsigned flags;
    void (*plan)(struct snn_tape *tape, struct snn_node *node); /* declare buffers; NULL: none */
    /* Write what was declared with snn_tape_numbers; NULL: nothing was. */
    void (*prepare)(const struct snn_node *node, unsigned char *numbers);
    void (*forward)(struct snn_node *node, const struct snn_run *run);
    void (*backward)(struct snn_node *node, const struct snn_run *run); /* NULL: never needs one */
};

enum snn_scope { SNN_SCOPE_CUT, SNN_SCOPE_BATCH, SNN_SCOPE_WEIGHTS };

struct snn_node {
    const struct snn_op *op;
    struct snn_tensor *in[SNN_NODE_INPUTS], *out; /* in[0] is NULL where only parameters are read */
    struct snn_param *param[SNN_NODE_PARAMS];
    bool adds[SNN_NODE_INPUTS];      /* a later node has already written this input's gradient: accumulate */
    bool late_adds[SNN_NODE_INPUTS]; /* the same of its late gradient */
    bool shut[SNN_NODE_INPUTS];      /* no gradient passes */
    struct snn_trace trace, post;    /* learning.h */
    int traced;                      /* buffer of the trace: (T,B,units) */
    int block;                       /* of a rule whose errors do not come down: in order */
    bool in_training;                /* it has nothing to do in evaluation */
    enum snn_scope scope;
    const void *options; /* the op's own attributes, owned by the model's layers; read at every run so that they may be
                            annealed */
    void *aux;           /* the op's buffers and derived sizes, owned by the tape */
    char *name;          /* "model.2.lif" */
    int32_t most_steps;  /* of a batch: it has numbers of its own for every step. 0: any */
    int segment;         /* of the plan, in order; -1: never made again */
    int forward_at, again_at, backward_at; /* the plan's times of its passes; again_at -1: forward is made once */
    double macs;                           /* dense multiply-adds of one row; 0 for layers without weights */
    size_t own_bytes;                      /* bytes of its buffers, before sharing (for `plan`) */
};

struct snn_buffer {
    size_t bytes;
    int birth, death;       /* first write and last read */
    int again, again_death; /* the same of a second life, when it is computed again; again -1: none */
    int alias;              /* shares this buffer's bytes; -1: its own */
    size_t offset;
    unsigned char *memory;
    enum snn_purpose_of_memory purpose;
    bool pooled; /* false: has memory of its own that outlives the batch */
};

struct snn_tape {
    struct snn_params *params;
    struct snn_node **node;
    struct snn_tensor **tensor;
    int nodes, tensors, node_room, tensor_room;
    struct snn_tensor *input, *output;

    /* What the plan is a function of. */
    int32_t max_T, max_B; /* of a cut */
    bool recorded;        /* backward will run */
    bool many_cuts;
    bool smooth;
    const struct snn_device *device;
    struct snn_buffer *buffer;
    int buffers, buffer_room;
    int *order; /* (nodes): as they run */
    enum snn_signal signal;
    bool apart;            /* no gradient passes from a step to the one before, within a cut either */
    int loss_at, end_at;   /* times of the plan */
    int segments, spiking; /* that are computed again; layers of spikes of each */
    size_t pool_bytes;
    unsigned char *pool;
    size_t numbers_bytes;                     /* the block of numbers that annealing moves: */
    unsigned char *numbers, *numbers_host[2]; /* in device memory; what lies there, and what should */
    void **aux_list;
    double *profile; /* (nodes, 2): seconds spent in forward and backward are added here; NULL: not measured */
    int aux_count, aux_room;
};

/* ---- building ---- */
void snn_tape_init(struct snn_tape *tape, struct snn_params *params);
void snn_tape_free(struct snn_tape *tape);
/* The network's input: (T,B,dim...) or, when `is_static`, (B,dim...). */
struct snn_tensor *snn_tape_input(struct snn_tape *tape, int nd, const int32_t *dim, bool is_static);
/* Record a node; its output has shape dim. `aux_size` zeroed bytes come with it. */
struct snn_node *snn_tape_node(struct snn_tape *tape, const struct snn_op *op, const char *name, struct snn_tensor *in0,
                               struct snn_tensor *in1, int nd, const int32_t *dim, const void *options,
                               size_t aux_size);
/* Record a node that makes `count` numbers to be used as a weight, out of parameters (which the caller sets) and, where
 * `in` is not NULL, of another such tensor. Its output has one row; gradients are always added to it. */
struct snn_node *snn_tape_weight(struct snn_tape *tape, const struct snn_op *op, const char *name,
                                 struct snn_tensor *in, ptrdiff_t count, const void *options, size_t aux_size);
/* The same memory in another shape. */
struct snn_tensor *snn_tape_view(struct snn_tape *tape, struct snn_tensor *of, int nd, const int32_t *dim);

/* ---- planning (plan.c) ---- */
struct snn_plan_for {
    int32_t T, B; /* the most of one cut */
    bool recorded, many_cuts, smooth;
    int recompute; /* layers of spikes of a segment; 0: nothing is computed again. Not with many cuts */
    const struct snn_device *device;
};
/* Lay out all buffers; call again to change what is planned for. Then snn_tape_bind takes the memory. */
void snn_tape_plan(struct snn_tape *tape, const struct snn_plan_for *what);
/* Take the pool and the lasting buffers from the arena (measuring pass: counts only). */
void snn_tape_bind(struct snn_tape *tape, struct snn_arena *arena);

/* Lifetimes for an op's own buffers. */
enum snn_when {
    SNN_IN_FORWARD,  /* scratch of the forward pass */
    SNN_IN_BACKWARD, /* scratch of the backward pass */
    SNN_KEPT,        /* from forward to backward; forgotten in between where forward is made again */
    SNN_THROUGH,     /* from forward to backward in any case */
    SNN_LASTING      /* over cuts and batches: state */
};
/* From an op's plan(): declare a buffer; the index gives its memory through snn_tape_memory after binding. */
int snn_tape_buffer(struct snn_tape *tape, struct snn_node *node, size_t bytes, enum snn_when when);
/* A buffer that takes over input 0's numbers in place where that is allowed, else a SNN_KEPT one of the same size. */
int snn_tape_buffer_over_input(struct snn_tape *tape, struct snn_node *node, size_t bytes);
void *snn_tape_memory(const struct snn_tape *tape, int buffer);
/* From an op's plan(): room for numbers that its kernels read from device memory, because they may change between
 * batches (a replayed CUDA graph freezes arguments). The result is a place for prepare() and snn_tape_numbers_at. */
size_t snn_tape_numbers(struct snn_tape *tape, size_t bytes);
static inline void *snn_tape_numbers_at(const struct snn_tape *tape, size_t place) {
    return tape->numbers ? tape->numbers + place : NULL;
}
/* Bring the numbers to device memory where options have changed. */
void snn_tape_prepare(struct snn_tape *tape, struct snn_device *device);
/* Steps and rows of a tensor in a plan or a run. */
static inline int32_t snn_plan_steps(const struct snn_tape *tape, const struct snn_tensor *t) {
    return t->is_static ? 1 : tape->max_T + t->appended;
}
static inline int32_t snn_run_steps(const struct snn_run *run, const struct snn_tensor *t) {
    return t->is_static ? 1 : run->T + t->appended;
}
static inline ptrdiff_t snn_plan_rows(const struct snn_tape *tape, const struct snn_tensor *t) {
    return t->is_weight ? 1 : (ptrdiff_t)tape->max_B * snn_plan_steps(tape, t);
}
/* As what kernels will get the rows of a tensor that has been planned. */
static inline enum snn_form snn_plan_form(const struct snn_tensor *t) {
    return t->root->is_listed ? SNN_LISTS : t->root->bits_buffer >= 0 ? SNN_BITS : SNN_DENSE;
}
static inline ptrdiff_t snn_run_rows(const struct snn_run *run, const struct snn_tensor *t) {
    return t->is_weight ? 1 : (ptrdiff_t)run->B * snn_run_steps(run, t);
}
/* (steps, B): 1 for the steps of t that are within the recording, whose end delays have moved on with t's. */
static inline const uint8_t *snn_run_mask(const struct snn_run *run, const struct snn_tensor *t) {
    return run->mask && !t->is_static ? run->mask + (ptrdiff_t)(run->appended - t->appended) * run->B : NULL;
}
/* 1 when gradient must be added to what input k's gradient holds, 0 when it is the first to be written. */
static inline int snn_adds(const struct snn_node *node, int k, const struct snn_run *run) {
    bool batch_input = node->in[k]->is_static && node->scope == SNN_SCOPE_CUT;
    return (run->late ? node->late_adds : node->adds)[k] || node->in[k]->is_weight || (batch_input && !run->first_cut);
}

/* The weight of a layer: what a node of WEIGHTS scope made of parameters (its input 1), else its first parameter. */
struct snn_weight {
    const real *value;
    real *grad; /* is added to; NULL: frozen, or no gradients are kept */
};
static inline struct snn_weight snn_node_weight(const struct snn_node *node) {
    const struct snn_tensor *made = node->in[1];
    if (made && made->is_weight) return (struct snn_weight){made->data, made->grad};
    const struct snn_param *p = node->param[0];
    return (struct snn_weight){p->value, snn_param_gradient(p)};
}

/* Is t a current: is there a weight between it and the spikes or the input that it is made of? */
bool snn_tape_is_current(const struct snn_tape *tape, const struct snn_tensor *t);

/* Can the steps of a cut be kept apart? */
bool snn_tape_keeps_apart(const struct snn_tape *tape);

/* What the weight's gradient is to read, and where a bias' or any other parameter's goes: learning.h. */
struct snn_rows snn_node_learns_from(const struct snn_tape *tape, const struct snn_node *node,
                                     const struct snn_run *run);
static inline real *snn_node_gradient(const struct snn_param *p, const struct snn_run *run) {
    return run->late ? NULL : snn_param_gradient(p);
}
/* From an op's plan(): room for the trace of input 0. */
void snn_node_plan_trace(struct snn_tape *tape, struct snn_node *node);
/* From its forward(), in training: the trace takes in the present cut. */
void snn_node_trace(const struct snn_tape *tape, const struct snn_node *node, const struct snn_run *run);

/* Are spikes made here, one a step or several or soft ones, rather than passed on? */
static inline bool snn_makes_spikes(const struct snn_node *node) {
    const struct snn_tensor *x = node->in[0] ? node->in[0]->root : NULL, *y = node->out->root;
    return node->op->flags & SNN_OP_SOFT_SPIKES || y->is_spikes ||
           (y->is_sparse && x && !x->is_spikes && !x->is_sparse);
}

/* ---- running ---- */
/* The nodes of one scope, in order; and back, from output->grad, which the loss has written: gradients of parameters
 * are added to the slab. */
void snn_tape_forward_scope(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope);
void snn_tape_backward_scope(struct snn_tape *tape, const struct snn_run *run, enum snn_scope scope);
/* One block of a cut, where nodes have been given blocks. */
void snn_tape_forward_block(struct snn_tape *tape, const struct snn_run *run, int block);
void snn_tape_backward_block(struct snn_tape *tape, const struct snn_run *run, int block);

#endif
