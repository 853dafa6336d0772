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

/* A network given as YAML over 6 units, under cross entropy; `lengths`: some recordings are shorter. */
void snn_check_flat(struct snn_check_suite *s, const char *model, bool lengths);
void snn_check_neurons(struct snn_check_suite *s);

#endif
