/* SPDX-License-Identifier: Apache-2.0
 * roofline.h - what a training step asks of a CUDA card at the least, worked out without one.
 *
 * The step itself runs, through the code that trains, on a device whose kernels only declare the bytes they move and
 * the operations they do. A card cannot do a kernel faster than its memory moves those bytes, nor faster than it does
 * those operations; the sum over the kernels is the floor of a step. What stays in the card's cache from one kernel to
 * the next may pass faster, and launches take time of their own: it is a bound from counted bytes, no measurement. */
#ifndef SNN_ROOFLINE_H
#define SNN_ROOFLINE_H

#include "autograd/cost.h"
#include "train/experiment.h"

struct snn_card {
    const char *name, *title;
    double bandwidth; /* bytes a second of its memory */
    double peak;      /* single-precision operations a second, outside tensor cores */
};
/* As published by the maker; ended by a NULL name. */
extern const struct snn_card snn_cards[];
/* SNN_EUSAGE, with the names there are. */
int snn_card_find(const char *name, const struct snn_card **out);

/* Shares of the neurons that spike and of the events that are there, where nobody says otherwise. */
#define SNN_SPIKES_ASSUMED 0.1
#define SNN_EVENTS_ASSUMED 0.05
/* The device that counts, with these shares. */
int snn_costs_open(struct snn_costs *costs, struct snn_device *out);

/* A batch as the experiment's data make it, without arrays: what memory is planned for. */
struct snn_batch snn_planned_batch(const struct snn_experiment *e);

/* Queue one training step (of all batches that share it) of the experiment's network on `device`, with made-up batches
 * as planned; on the one that counts, the costs are those of that step alone. The network stays on that device. */
int snn_count_step(struct snn_experiment *e, const struct snn_trainer *trainer, struct snn_device *device,
                   struct snn_costs *costs);

struct snn_roof { /* of all launches of a kernel */
    const char *kernel;
    int64_t launches;
    double bytes, flops, seconds;
};
struct snn_roofline {
    struct snn_roof *kernel; /* (kernels), the longest first; freed by snn_roofline_free */
    int kernels;
    struct snn_roof all; /* its kernel is NULL */
};
int snn_roofline(const struct snn_costs *costs, const struct snn_card *card, struct snn_roofline *out);
void snn_roofline_free(struct snn_roofline *roofline);

#endif
