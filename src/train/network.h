/* SPDX-License-Identifier: Apache-2.0
 * network.h - a model with its memory: what a trainer and an evaluation work on.
 *
 * Memory is measured first and taken once; snn_network_forward and _backward run one cut and allocate nothing. Where no
 * layer couples the samples of a batch, the batch passes in slices, so that activations stay in the cache and memory is
 * a fraction. */
#ifndef SNN_NETWORK_H
#define SNN_NETWORK_H

#include "autograd/loss.h"
#include "core/batch.h"
#include "layers/layer.h"
#include "optim/optim.h"

struct snn_network_plan { /* what memory is planned for */
    int32_t T, B;         /* the most of one batch */
    int32_t cut;   /* the most steps of one cut; = T when the batch is one cut. Where no gradient passes from step
                      to step (tape.apart), more than were asked for: as many as the cache has room for */
    int32_t slice; /* samples that pass through the network together; 0: chosen for the cache (see network.c) */
    int32_t piece; /* the most steps of a batch where recordings come in pieces; 0: they do not */
    bool train;    /* gradients and optimiser */
    bool smooth;   /* gradient check */
};

struct snn_controls {  /* what changes from step to step */
    uint32_t clock[3]; /* see struct snn_run */
    double scale;      /* of the loss's gradient: 1 / samples of the step */
};

struct snn_tally { /* sums over the training batches of an epoch */
    double loss;
    int64_t correct;
    int64_t spikes[]; /* (layers) */
};

enum { SNN_RECOMPUTE_AUTO = -1, SNN_BLOCKS = 256 };

enum { SNN_APART_MOST = 10 }; /* steps that learn by themselves and pass together */

struct snn_learner { /* changes the weights while a batch is not over: see snn_network_learn */
    int32_t steps;   /* every so many; 0: never */
    void (*now)(void *payload);
    void *payload; /* NULL: nobody does */
};

struct snn_passed {     /* what has passed of recordings that come in pieces */
    int32_t cuts, last; /* how many; steps of the last one */
    int32_t rule[3];    /* what the rule wants to remember of them */
};

struct snn_network {
    struct snn_device *device;
    struct snn_model model;
    struct snn_loss loss;
    enum snn_decide decide;
    bool regression;   /* the outputs are numbers: there are no classes to be right about */
    int32_t targets;   /* numbers of a batch's targets (of a step's when target_steps), as memory is planned; 0: none */
    bool target_steps; /* there is one for every step */
    int recompute; /* layers of spikes of a segment whose forward pass is made again; 0: none; or SNN_RECOMPUTE_AUTO */
    struct snn_optim *optim; /* NULL when only evaluated */
    struct snn_learner learner;
    int blocks; /* of rules whose errors do not come down from block to block (train/rules.h) */
    struct snn_tensor *readout[SNN_BLOCKS]; /* of a block with a loss of its own, or NULL */
    struct snn_arena arena;                 /* over device memory */
    struct snn_network_plan plan;

    /* Small arrays in the arena */
    struct snn_controls *controls;
    struct snn_tally *tally;
    uint8_t *mask;             /* (cut, B) */
    int32_t *row;              /* (B, cut+1) of events by sample, where the present cut's rows begin; or NULL */
    int32_t *cut_length;       /* (B) valid steps within the cut */
    double *sample_loss;       /* (B) */
    real *total, *total_slope; /* (B) of terms over the activity of all layers, or NULL */
    double *class_weight;      /* (terms of the loss, classes), or NULL */
    double *running;           /* (B,units) scores that go on from cut to cut, or NULL: batches are one cut */
    double *loss_scratch;

    struct {
        uint64_t seed;
        uint32_t number;
        double scale;
    } step; /* as snn_network_set_step has it */

    /* The batch, and where its arrays are in device memory */
    const struct snn_batch *batch;
    struct snn_batch staged;
    struct snn_passed passed; /* until now */

    /* What the host can read after snn_network_look: the memory above, or copies of it in `mirror` */
    const real *output; /* (T,B,units) */
    const double *losses;
    void *mirror;
};

/* Plan and take memory; may be called again with another plan (parameters keep their values). SNN_EFAIL when there is
 * not so much, SNN_EUSAGE when a layer cannot work on so many steps. */
int snn_network_allocate(struct snn_network *network, const struct snn_network_plan *plan);
/* SNN_EUSAGE when a layer cannot work on so many steps. */
int snn_network_check(const struct snn_network *network, const struct snn_network_plan *plan);
/* Only the measuring pass: bytes by purpose into `arena` (base stays NULL). */
void snn_network_measure(struct snn_network *network, const struct snn_network_plan *plan, struct snn_arena *arena);
void snn_network_free(struct snn_network *network);

/* Bring a batch, which must stay until the next one, to the device; and numbers that annealing has moved. */
int snn_network_stage(struct snn_network *network, const struct snn_batch *batch);

struct snn_slice {
    struct snn_batch batch, staged; /* in host memory, in device memory */
    bool follows, followed;         /* slices of the same batch stand before and after it */
    struct snn_passed passed;       /* of its recordings, in batches before */
};
/* The next slice of the batch that was staged: `first` counts samples and starts at 0. False when all have passed. */
bool snn_network_slice(const struct snn_network *network, int32_t *first, struct snn_slice *slice);

/* One cut: steps t0 .. t0+T-1 of a slice. */
struct snn_cut {
    const struct snn_batch *batch;  /* the slice */
    const struct snn_batch *staged; /* its arrays in device memory; NULL: it lies there already (CPU) */
    int32_t t0, T;                  /* of the batch */
    int32_t index;                  /* of the recordings, which may come in pieces: their states go on unless it is 0 */
    int32_t before;                 /* steps of the cut before */
    int32_t last; /* the gradient of the loss is that of the last so many steps of a recording; 0: of all */
    bool train;
    bool follows;  /* weights that are made of parameters stay as an earlier slice of the batch left them */
    bool followed; /* their gradient goes on gathering in later slices */
    enum snn_smooth smooth;
    bool begun; /* of snn_slice_next */
};
/* The cut over all steps of a slice. */
static inline struct snn_cut snn_slice_cut(const struct snn_slice *slice, bool train) {
    return (struct snn_cut){.batch = &slice->batch,
                            .staged = &slice->staged,
                            .T = slice->batch.T,
                            .index = slice->passed.cuts,
                            .before = slice->passed.last,
                            .train = train,
                            .follows = slice->follows,
                            .followed = slice->followed};
}
/* The next cut of at most `steps` steps, of a slice whose cut was that over all steps, or the one before. False when
 * there is none. */
static inline bool snn_slice_next(const struct snn_slice *slice, int32_t steps, struct snn_cut *cut) {
    bool begins = cut->T == slice->batch.T && !cut->begun;
    cut->before = begins ? slice->passed.last : cut->T;
    cut->t0 = begins ? 0 : cut->t0 + cut->T, cut->index = begins ? slice->passed.cuts : cut->index + 1;
    cut->begun = true;
    int32_t left = slice->batch.T - cut->t0;
    if (left <= 0) {
        cut->t0 -= cut->T, --cut->index;
        return false;
    }
    cut->T = steps < left ? steps : left;
    return true;
}
/* The step of the recordings that it begins with; do they end with it, and is it all of them? */
static inline int32_t snn_cut_at(const struct snn_cut *cut) { return cut->batch->t0 + cut->t0; }
static inline bool snn_cut_ends(const struct snn_cut *cut) {
    return snn_cut_at(cut) + cut->T == snn_batch_whole(cut->batch);
}
static inline bool snn_cut_is_all(const struct snn_cut *cut) { return cut->T == snn_batch_whole(cut->batch); }
/* Are errors sent at any step of the cut? */
static inline bool snn_cut_has_errors(const struct snn_cut *cut) {
    return !cut->last || cut->batch->masked || snn_cut_at(cut) + cut->T > snn_batch_whole(cut->batch) - cut->last;
}
/* Valid steps of sample b within a cut, of the input and of a tensor t. */
static inline int32_t snn_cut_length(const struct snn_cut *cut, int32_t b) {
    const struct snn_batch *batch = cut->batch;
    int32_t left = (batch->masked ? batch->length[b] : snn_batch_whole(batch)) - snn_cut_at(cut);
    return left < 0 ? 0 : left > cut->T ? cut->T : left;
}
static inline int32_t snn_cut_length_of(const struct snn_cut *cut, const struct snn_tensor *t, int32_t b) {
    return snn_cut_length(cut, b) + t->appended;
}
/* Steps of the output: delays may append some, and then the batch is one cut. */
static inline int32_t snn_cut_steps(const struct snn_network *network, const struct snn_cut *cut) {
    return cut->T + network->model.tape.output->appended;
}
/* Load the input and run forward. The output is (T,B,units) in model.tape.output->data. */
void snn_network_forward(struct snn_network *network, const struct snn_cut *cut);
/* The loss of each sample of this cut into sample_loss; with gradient: into output->grad, scaled by controls->scale. */
void snn_network_loss(struct snn_network *network, const struct snn_cut *cut, bool gradient);
size_t snn_tally_bytes(const struct snn_network *network);
/* Add loss and spikes of this cut to the tally, and right decisions after the last one. Cuts come in their order. */
void snn_network_tally(struct snn_network *network, const struct snn_cut *cut);
/* Wait for the sum of the losses. */
int snn_network_loss_sum(struct snn_network *network, const struct snn_cut *cut, double *sum);
/* Wait for the losses of steps from .. to-1 of the cut's output, each by itself and not divided by their number: what a
 * stepwise loss is the mean of, without regularisers. Added to sum (B). */
int snn_network_step_losses(struct snn_network *network, const struct snn_cut *cut, int32_t from, int32_t to,
                            double *sum);
/* Wait for the output and the counts of this cut: network->output, and tensor->seen of every tensor that counts. */
int snn_network_look(struct snn_network *network, const struct snn_cut *cut);
/* Backward through the cut; parameters' gradients are added to the slab. */
void snn_network_backward(struct snn_network *network, const struct snn_cut *cut);
/* After the last cut of a slice: backward of nodes that are not run by the cut, once recordings are at their end. */
void snn_network_backward_batch(struct snn_network *network, const struct snn_cut *cut);

/* The parts of the forward pass, the loss and the backward pass of a network in blocks, in this order: what comes
 * before any block; and for each block in order. */
void snn_network_begin(struct snn_network *network, const struct snn_cut *cut);
void snn_network_forward_block(struct snn_network *network, const struct snn_cut *cut, int block);
/* The loss at the block's own readout, or of the network where it has none. */
void snn_network_block_loss(struct snn_network *network, const struct snn_cut *cut, int block);
void snn_network_backward_block(struct snn_network *network, const struct snn_cut *cut, int block);
/* After the backward pass of a cut: where weights are due to change before the batch is over, they do. */
void snn_network_learn(struct snn_network *network, const struct snn_cut *cut);

void snn_network_zero_gradients(struct snn_network *network);
/* Of the step to come: its random streams, and the scale of the loss's gradient. */
void snn_network_set_step(struct snn_network *network, uint64_t seed, uint32_t step, double scale);
/* The scale times `factor`, until the next step. */
void snn_network_rescale(struct snn_network *network, double factor);

#endif
