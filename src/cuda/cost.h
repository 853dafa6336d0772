/* SPDX-License-Identifier: Apache-2.0
 * cost.h - the CUDA backend without CUDA: a device whose kernels compute nothing and declare what the real ones cost.
 */
#ifndef SNN_CUDA_COST_H
#define SNN_CUDA_COST_H

#include "autograd/cost.h"
#include "autograd/device.h"

/* Its memory is addresses without bytes behind them, so that networks of any size can be laid out and nobody can read
 * what was never computed. What is queued from now on is added to `costs`, whose shares the caller has set; `out` is
 * given back with out->close. SNN_EUSAGE in the double build, which CUDA has none of. */
int snn_cuda_cost_open(struct snn_costs *costs, struct snn_device *out);

#endif
