/* SPDX-License-Identifier: Apache-2.0
 * check.h - gradients proved in double: analytic against central differences.
 *
 * The step function is replaced by the surrogate's smooth step, of which the surrogate is the exact derivative, so that
 * differences are exact through time and reset; where resets are detached, they use the spikes of the unperturbed run.
 */
#ifndef SNN_TRAIN_CHECK_H
#define SNN_TRAIN_CHECK_H

#include "train/experiment.h"

struct snn_check_report {
    int checks, failed; /* gradients of whole tensors, or directions */
    int left_out;       /* tensors whose gradient is too small for directions to tell */
    double worst;       /* relative error */
    double tolerance;   /* the largest that was allowed */
    void (*failure)(void *payload, const char *what, double error);
    void *payload;
};
#define SNN_CHECK_TOLERANCE 1e-5
/* Along directions: of the millions of neurons and windows that move together, some are always at a kink of a surrogate
 * or of a maximum. */
#define SNN_CHECK_TOLERANCE_ALONG 1e-4

/* Every parameter, and the input, of a network on a synthetic batch of T steps and B samples (events when the model
 * takes them). `lengths`: the second half of the samples is shorter, with masks. `per_tensor` numbers of each are
 * tried, or, with `directions`, all numbers of the network at once along so many random directions, in each of which
 * every tensor weighs the same: what a large network has time for. Only where one of those is wrong, each tensor is
 * tried by itself. `planted` is a relative error put into the analytic gradient (of tensor `planted_in`, counted from
 * 0, where directions are tried): a test of the check. */
enum snn_check_targets {
    SNN_CHECK_LABELS,
    SNN_CHECK_SOFT,        /* shares of all classes that sum to 1 */
    SNN_CHECK_NUMBERS,     /* numbers to be learned */
    SNN_CHECK_NUMBERS_STEP /* numbers for every step */
};
struct snn_check_options {
    const char *what; /* named in failures */
    int32_t T, B;
    bool lengths;
    enum snn_check_targets targets;
    int per_tensor, directions;
    double planted;
    int planted_in;
};
int snn_check_network(struct snn_network *network, const struct snn_check_options *options,
                      struct snn_check_report *report);

/* Build a network from YAML (`model` list and `train.loss` text) for an input shape, and check it. */
int snn_check_yaml(struct snn_device *device, const char *model, const char *loss, const struct snn_model_input *input,
                   const struct snn_check_options *options, struct snn_check_report *report);

/* All layers, neurons, surrogates, resets and losses over their options. */
int snn_check_everything(struct snn_device *device, struct snn_check_report *report);

#endif
