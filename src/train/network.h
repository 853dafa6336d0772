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
    int32_t cut;          /* the most steps of one cut; = T when the batch is one cut */
    int32_t slice;        /* samples that pass through the network together; 0: chosen for the cache (see network.c) */
    bool train;           /* gradients and optimiser */
    bool smooth;          /* gradient check */
};

struct snn_network {
    struct snn_device *device;
    struct snn_model model;
    struct snn_loss loss;
    struct snn_optim *optim; /* NULL when only evaluated */
    struct snn_arena arena;
    struct snn_network_plan plan;

    /* Small arrays in the arena */
    uint32_t *clock;     /* [3], see struct snn_run */
    uint8_t *mask;       /* (cut, B) */
    int32_t *cut_length; /* (B) valid steps within the cut */
    double *sample_loss; /* (B) */
    double *loss_scratch;
};

/* Plan and take memory; may be called again with another plan (parameters keep their values). */
int snn_network_allocate(struct snn_network *network, const struct snn_network_plan *plan);
/* Only the measuring pass: bytes by purpose into `arena` (base stays NULL). */
void snn_network_measure(struct snn_network *network, const struct snn_network_plan *plan, struct snn_arena *arena);
void snn_network_free(struct snn_network *network);

/* The next slice of a batch: `first` counts samples and starts at 0. False when all have passed. */
bool snn_network_slice(const struct snn_network *network, const struct snn_batch *batch, int32_t *first,
                       struct snn_batch *slice);

/* One cut: steps t0 .. t0+T-1 of a slice. */
struct snn_cut {
    const struct snn_batch *batch; /* the slice */
    int32_t t0, T, index;
    bool train;
    enum snn_smooth smooth;
};
/* Valid steps of sample b within a cut. */
static inline int32_t snn_cut_length(const struct snn_cut *cut, int32_t b) {
    int32_t left = (cut->batch->masked ? cut->batch->length[b] : cut->batch->T) - cut->t0;
    return left < 0 ? 0 : left > cut->T ? cut->T : left;
}
/* Load the input and run forward. The output is (T,B,units) in model.tape.output->data. */
void snn_network_forward(struct snn_network *network, const struct snn_cut *cut);
/* The loss of each sample of this cut into sample_loss; with gradient: into output->grad, scaled by `scale`
 * (1/samples). Returns the sum. */
double snn_network_loss(struct snn_network *network, const struct snn_cut *cut, bool gradient, double scale);
/* Backward through the cut; parameters' gradients are added to the slab. */
void snn_network_backward(struct snn_network *network, const struct snn_cut *cut);
/* After the last cut of a batch: the batch-scope nodes' backward. */
void snn_network_backward_batch(struct snn_network *network, const struct snn_cut *cut);

void snn_network_zero_gradients(struct snn_network *network);
void snn_network_set_clock(struct snn_network *network, uint64_t seed, uint32_t step);

#endif
