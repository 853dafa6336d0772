/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"

struct work {
    struct snn_network *network;
    const struct snn_trainer_ops *trainer;
    const struct snn_step *step;
};

static void queue(void *payload) {
    const struct work *w = payload;
    struct snn_network *n = w->network;
    if (w->step->first) snn_network_zero_gradients(n);
    w->trainer->batch(n);
    if (!w->step->last) return;
    double clip = isnan(w->step->clip) ? INFINITY : w->step->clip;
    snn_optim_clip(n->optim, n->device, clip, &n->tally->loss, n->controls->clock);
    snn_optim_apply(n->optim, n->device);
}

int snn_step(struct snn_network *n, const struct snn_trainer_ops *trainer, const struct snn_batch *batch,
             const struct snn_step *step) {
    struct work w = {n, trainer, step};
    struct snn_work_key key;
    memset(&key, 0, sizeof key);
    key.memory = n->arena.base;
    key.T = batch->T, key.B = batch->B, key.form = (int32_t)batch->form;
    key.masked = batch->masked, key.values = batch->value != NULL, key.targets = batch->target != NULL;
    key.kind = step->first + 2 * step->last;
    SNN_TRY(snn_network_stage(n, batch));
    snn_network_set_step(n, step->seed, (uint32_t)step->number, 1 / step->samples);
    if (step->last) snn_optim_advance(n->optim, n->device, step->rate.factor, step->rate.beta1);
    if (n->model.tape.profile) { /* node by node: what is repeated as a whole has no parts to time */
        queue(&w);
        return SNN_OK;
    }
    return n->device->memory->run(n->device, &key, queue, &w);
}
