/* SPDX-License-Identifier: Apache-2.0
 * metrics.h - what is counted while batches pass: loss, accuracy, spikes, operations.
 *
 * One pass over the data gives the figures for every number of timesteps: what a network has put out after n steps does
 * not depend on the steps that follow. Figures are therefore added as the steps pass, and nothing is kept of them all:
 * batches may come in cuts. Padding does not count. */
#ifndef SNN_METRICS_H
#define SNN_METRICS_H

#include "train/network.h"

struct snn_score { /* after the first `timesteps` steps */
    int32_t timesteps;
    int64_t correct;
    double loss;                 /* sum over samples */
    double spikes, synops, macs; /* sums over samples */
};

struct snn_metrics {
    int64_t samples;
    int scores;
    struct snn_score *score;  /* ascending timesteps; the last one is the whole */
    int32_t outputs, classes; /* numbers that the network gives; as many, or 0 when they are no classes */
    bool is_mse;              /* the loss is a mean squared error, see snn_metrics_rmse */
    int64_t *confusion;       /* (classes, classes): [true][decided], of the last score */
    int layers;
    double *layer_spikes, *layer_slots; /* (layers): spikes, and neurons times steps */
    struct snn_tally *tally;            /* on its way from or to the device */
    /* Of the slice that passes, so far */
    int32_t samples_most;
    double *running; /* (samples, outputs): the scores that the classes will be read out of */
    double *drawn;   /* (samples, outputs): these at the end, after the last score's steps */
    double *losses;  /* (samples): sums over the steps, of a stepwise loss */
};

/* For a network that has its memory. `timesteps` (scores, ascending) or NULL: one score for all T steps. */
void snn_metrics_init(struct snn_metrics *m, const struct snn_network *network, int32_t T, const int32_t *timesteps,
                      int scores);
void snn_metrics_reset(struct snn_metrics *m);
void snn_metrics_free(struct snn_metrics *m);

/* Count the cut whose forward pass just ran; waits for it. Cuts of a slice come in their order. `costs`: count spikes
 * of inputs and operations too. */
int snn_metrics_add(struct snn_metrics *m, struct snn_network *network, const struct snn_cut *cut, bool costs);
/* Sample b of the slice whose last cut was added: what its outputs (outputs) are drawn together to, and its class. */
static inline const double *snn_metrics_drawn(const struct snn_metrics *m, int32_t b) {
    return m->drawn + (ptrdiff_t)b * m->outputs;
}
static inline int32_t snn_metrics_class(const struct snn_metrics *m, int32_t b) {
    return snn_first_largest(snn_metrics_drawn(m, b), m->classes);
}

/* Training counts on the device, in the network's tally, and looks at it now and then: what of a batch is known
 * beforehand, how many samples and slots for spikes, is added here; */
void snn_metrics_expect(struct snn_metrics *m, const struct snn_network *network, const struct snn_batch *batch);
/* loss, accuracy and spikes of all batches since snn_metrics_start are read back here; */
int snn_metrics_look(struct snn_metrics *m, struct snn_network *network);
/* and the tally starts from these metrics: empty ones, or those of the checkpoint that a run goes on from. */
void snn_metrics_start(const struct snn_metrics *m, struct snn_network *network);

double snn_metrics_accuracy(const struct snn_metrics *m); /* NAN where there are no classes */
double snn_metrics_loss(const struct snn_metrics *m);
/* Root mean square error in the targets' own unit; NAN where there are classes, or the loss is something else. */
double snn_metrics_rmse(const struct snn_metrics *m);
/* Mean spikes per neuron and step of a layer, NAN for layers that do not spike. */
double snn_metrics_rate(const struct snn_metrics *m, int layer);

/* Energy of a sample in microjoules by the field's usual constants (45 nm): 4.6 pJ a multiply-add, 0.9 pJ an addition.
 */
static inline double snn_energy_uj(double macs, double synops) { return (4.6 * macs + 0.9 * synops) * 1e-6; }

#endif
