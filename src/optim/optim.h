/* SPDX-License-Identifier: Apache-2.0
 * optim.h - optimisers over the parameter slab.
 *
 * A rule is one element-wise function of (value, gradient, its slots, scalars) and a line in the table of rules.
 * Learning rates, bias corrections and the clip factor reach the kernel through memory, so that a captured step can be
 * replayed. */
#ifndef SNN_OPTIM_H
#define SNN_OPTIM_H

#include "autograd/device.h"
#include "autograd/params.h"
#include "core/config.h"
#include "optim/optim_kernels.h"

struct snn_optim;

enum { SNN_OPTIM_SLOTS = 3 };

/* Read `train.optimizer` ({name, lr, ..., groups: [{match, lr, weight_decay, schedule}]}; `match` is a pattern with
 * * over parameter names, which must match at least one) for the parameters of a built model. Frozen parameters are
 * left out.
 */
int snn_optim_open(struct snn_conf *node, struct snn_params *params, struct snn_optim **out);
void snn_optim_close(struct snn_optim **optim);
/* Take the state's memory (zeroed; SNN_MEM_OPTIMIZER); called in the measuring pass and in the real one. */
void snn_optim_bind(struct snn_optim *optim, struct snn_arena *arena);

double snn_optim_base_lr(const struct snn_optim *optim);
/* Can a schedule cycle its momentum (beta1)? Not without one: plain sgd and rmsprop, adagrad, adadelta. */
bool snn_optim_has_momentum(const struct snn_optim *optim);
/* Read the schedules that groups have for themselves, for a run of such lengths; before snn_optim_at. */
int snn_optim_schedules(struct snn_optim *optim, int64_t epochs, int64_t steps_per_epoch);
/* Set the rates of those groups for the step to come. */
void snn_optim_at(struct snn_optim *optim, int64_t epoch, int64_t step);
/* A step from params->grad has two halves, so that the second can be queued by a captured step: snn_optim_advance
 * counts it and brings its scalars to the device, snn_optim_apply changes the weights, unless the gate has stopped.
 * snn_optim_step is both. `lr_factor` multiplies the rate of every
 * group that has no schedule of its own; `beta1` (momentum of SGD and RMSprop,
 * beta1 of the Adam family) replaces the configured one unless it is NAN (one_cycle cycles it; only where there is a
 * momentum). */
void snn_optim_advance(struct snn_optim *optim, struct snn_device *device, double lr_factor, double beta1);
void snn_optim_apply(struct snn_optim *optim, struct snn_device *device);
void snn_optim_step(struct snn_optim *optim, struct snn_device *device, double lr_factor, double beta1);
/* Take the norm of all gradients and scale them so that it is at most max_norm (factor max_norm/(norm+1e-6), as
 * PyTorch; INFINITY: only take it). Frozen parameters do not count. Where the norm or *loss (device memory, may be
 * NULL) is not finite the gradients stay as they are and the gate stops, at the step that `clock` (see struct snn_run)
 * tells. */
void snn_optim_clip(struct snn_optim *optim, struct snn_device *device, double max_norm, const double *loss,
                    const uint32_t *clock);
/* What the gate has seen; waits. */
int snn_optim_gate(struct snn_optim *optim, struct snn_device *device, struct snn_gate *out);

/* State for checkpoints: `slots` arrays of the learned slab's size, and a few numbers. */
int snn_optim_slots(const struct snn_optim *optim);
const char *snn_optim_slot_name(const struct snn_optim *optim, int i); /* "exp_avg" ... */
real *snn_optim_slot(struct snn_optim *optim, int i);                  /* device memory */
enum { SNN_OPTIM_NUMBERS = 4 };
double *snn_optim_numbers(struct snn_optim *optim); /* [SNN_OPTIM_NUMBERS]: step count, NAdam's running product */

extern const struct snn_optim_listing {
    const char *name, *help;
    const struct snn_key *keys;
} snn_optim_list[]; /* for `snntrain list`, ended by NULL */

#endif
