/* SPDX-License-Identifier: Apache-2.0
 * regular.h - terms of a loss that look into the network: at the activity of spiking layers, and at weights.
 *
 * Of activity they see the counts c (B,N): spikes of neuron i within the valid steps of sample b, as they are or
 * divided by the sample's steps, averaged over groups of neurons (each by itself, a channel, a layer), or summed up
 * over the network with the fan-out of every layer. With x of a group, a term adds weight * reduce_groups f(d),   d = x
 * - bound, or only the part of it above or below,   f = |d|, d^2, huber(d) to the loss of the sample, so that all is
 * done when a slice of the batch has passed. The references that average over the batch before they compare (Spyx)
 * differ in that.
 *
 * A node after each spiking layer that a term asks for counts its spikes, and on the way back adds to the gradient of
 * the layer's output what the loss has left there: one number a sample and neuron, the same for all its steps.
 *
 * Of weights a term adds weight * reduce f(w) once a batch: |w|, w^2, or sin^2(omega w) (BiPer, Vargas et al., CVPR
 * 2024: not the layer, only its regulariser). Its gradient goes to the slab. Everything a term knows of weights is
 * here: another function of them is a line of regular_point.h. */
#ifndef SNN_REGULAR_H
#define SNN_REGULAR_H

#include <stdbool.h>
#include <stdint.h>

#include "autograd/device.h"
#include "autograd/tensor.h"
#include "core/config.h"

enum snn_side { SNN_SIDE_BOTH, SNN_SIDE_ABOVE, SNN_SIDE_BELOW };
enum snn_distance { SNN_DISTANCE_L1, SNN_DISTANCE_L2, SNN_DISTANCE_HUBER };
enum snn_activity_of { SNN_OF_NEURON, SNN_OF_CHANNEL, SNN_OF_LAYER, SNN_OF_NETWORK };

struct snn_activity_term {
    enum snn_side side;
    int distance, of; /* enum snn_distance, enum snn_activity_of */
    int rate;         /* of counts: spikes a step */
    int sum;          /* over groups instead of their mean */
    double bound, weight;
    const char *layers;      /* pattern of their paths or names */
    struct snn_conf *config; /* where it was read */
};

enum snn_weight_penalty { SNN_WEIGHT_L1, SNN_WEIGHT_L2, SNN_WEIGHT_PERIODIC };
struct snn_weight_term {
    enum snn_weight_penalty kind;
    int sum; /* over the numbers of a parameter instead of their mean */
    double frequency, weight;
    const char *match; /* pattern of parameters' names */
    struct snn_conf *config;
};

enum { SNN_ACTIVITY_TERMS = 8, SNN_WEIGHT_TERMS = 4 };
struct snn_regular {
    struct snn_activity_term activity[SNN_ACTIVITY_TERMS];
    struct snn_weight_term weight[SNN_WEIGHT_TERMS];
    int activities, weights;
};

extern const struct snn_regular_listing {
    const char *name, *alias, *help;
    const struct snn_key *keys;
    bool of_weights;
    struct snn_activity_term activity; /* what its keys do not say */
    struct snn_weight_term weight;
} snn_regular_list[];
/* Read entry `which` of the list from a map. */
int snn_regular_read(struct snn_conf *node, int which, struct snn_regular *out);
/* Do terms over activity add up over parts of the time axis? */
bool snn_regular_is_stepwise(const struct snn_regular *regular);
/* Bits of the terms over activity that want the layer of that path and name. */
unsigned snn_regular_of_layer(const struct snn_regular *regular, const char *path, const char *title);

struct snn_penalty {         /* a term over activity, of one layer */
    int32_t B, groups, size; /* groups of `size` neurons that lie side by side */
    enum snn_side side;
    enum snn_distance distance;
    bool rate;
    int32_t steps;         /* of a recording without a length of its own */
    int32_t appended;      /* to both, by delays before the layer */
    double bound, factor;  /* of f: the term's weight, by the number of groups where it is a mean */
    const int32_t *length; /* (B) valid steps of whole recordings; NULL: `steps` for all */
    const double *scale;   /* of the gradient, in device memory */
};

struct snn_regular_kernels {
    /* count (B,N) = sum over t of x (T,B,N), steps with mask (T,B) 1; NULL: all. Rows are numbers or bits. */
    void (*count)(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const struct snn_rows *x,
                  const uint8_t *mask, real *count);
    /* sample (B) += the penalty of count (B, groups * size); slope (the same) = its derivative * *scale, or += */
    void (*penalise)(struct snn_device *device, const struct snn_penalty *penalty, const real *count, double *sample,
                     bool adds, real *slope);
    /* total (B) = factor * sum over N of count (B,N), or += */
    void (*total)(struct snn_device *device, int32_t B, ptrdiff_t N, const real *count, double factor, bool adds,
                  real *total);
    /* slope (B,N) = factor * total_slope (B), or += */
    void (*spread)(struct snn_device *device, int32_t B, ptrdiff_t N, const real *total_slope, double factor, bool adds,
                   real *slope);
    /* g (T,B,N) = slope (B,N) in steps with mask 1 and 0 in others, or += */
    void (*push)(struct snn_device *device, int32_t T, int32_t B, ptrdiff_t N, const real *slope, const uint8_t *mask,
                 bool adds, real *g);
    /* *sum += factor * sum over n of f(w) */
    void (*weigh)(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n, const real *w,
                  double factor, double *sum);
    /* g (n) += factor * *scale * f'(w) */
    void (*weigh_grad)(struct snn_device *device, enum snn_weight_penalty kind, double omega, ptrdiff_t n,
                       const real *w, double factor, const double *scale, real *g);
};

#endif
