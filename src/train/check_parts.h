/* SPDX-License-Identifier: Apache-2.0
 * check_parts.h - the gradient check of everything, one file a family. */
#ifndef SNN_CHECK_PARTS_H
#define SNN_CHECK_PARTS_H

#include "train/check.h"

struct snn_check_suite {
    struct snn_device *device;
    struct snn_check_report *report;
    int per_tensor; /* numbers of each that are tried */
    int rc;         /* the first failure to build or run a network ends the rest */
};

/* A network given as YAML `model` and `loss`, over that input. */
void snn_check_one(struct snn_check_suite *s, const char *model, const char *loss, struct snn_model_input input,
                   bool lengths, enum snn_check_targets targets);
/* A network given as YAML over 6 units, under cross entropy; `lengths`: some recordings are shorter. */
void snn_check_flat(struct snn_check_suite *s, const char *model, bool lengths);
void snn_check_neurons(struct snn_check_suite *s);
void snn_check_losses(struct snn_check_suite *s);
void snn_check_regularisers(struct snn_check_suite *s);

#endif
