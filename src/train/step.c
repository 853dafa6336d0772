/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"

struct work {
    struct snn_network *network;
    const struct snn_trainer *trainer;
    const struct snn_step *step;
};

static void apply(const struct work *w) {
    struct snn_network *n = w->network;
    double clip = isnan(w->step->clip) ? INFINITY : w->step->clip;
    snn_optim_clip(n->optim, n->device, clip, &n->tally->loss, n->controls->clock);
    snn_optim_apply(n->optim, n->device);
}

static void queue(void *payload) {
    const struct work *w = payload;
    struct snn_network *n = w->network;
    if (w->step->first) snn_network_zero_gradients(n);
    w->trainer->ops->batch(w->trainer, n);
    if (w->step->last && n->learner.steps)
        snn_optim_advance(n->optim, n->device, w->step->rate.factor, w->step->rate.beta1);
    if (w->step->last) apply(w);
}

/* The same within a batch: the next part of it begins with fresh gradients. */
static void learn(void *payload) {
    const struct work *w = payload;
    struct snn_network *n = w->network;
    snn_optim_advance(n->optim, n->device, w->step->rate.factor, w->step->rate.beta1);
    apply(w);
    snn_network_zero_gradients(n);
}

int snn_step(struct snn_network *n, const struct snn_trainer *trainer, const struct snn_batch *batch,
             const struct snn_step *step) {
    struct work w = {n, trainer, step};
    struct snn_work_key key;
    memset(&key, 0, sizeof key);
    key.memory = n->arena.base;
    key.T = batch->T, key.B = batch->B, key.form = (int32_t)batch->form;
    key.by_sample = batch->by_sample;
    key.masked = batch->masked, key.values = batch->value != NULL, key.targets = batch->target != NULL;
    key.kind = step->first + 2 * step->last;
    SNN_TRY(snn_network_stage(n, batch));
    snn_network_set_step(n, step->seed, (uint32_t)step->number, 1 / step->samples);
    bool varies = trainer->ops->varies || n->learner.steps || snn_batch_is_piece(batch);
    if (step->last && !n->learner.steps) snn_optim_advance(n->optim, n->device, step->rate.factor, step->rate.beta1);
    if (varies ||
        n->model.tape.profile) { /* what is repeated as a whole is always the same, and has no parts to time */
        n->learner.now = learn, n->learner.payload = &w;
        queue(&w);
        n->learner.payload = NULL;
        return SNN_OK;
    }
    return n->device->memory->run(n->device, &key, queue, &w);
}
