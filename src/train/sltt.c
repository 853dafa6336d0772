/* SPDX-License-Identifier: Apache-2.0
 * sltt.c - spatial learning through time (Meng et al., ICCV 2023, "Towards memory- and time-efficient backpropagation
 * for training spiking neural networks"): the gradient goes down through the layers at each step, never back in time.
 *
 *   for t in 1..T: forward one step; e = backward of the step's loss; dW += e s[t]^T; only states go on
 *
 * sltt_k draws k of the T steps for each batch; at the others there is no backward pass. The loss stays that of all T
 * steps (divide_by: T), so that gradients come out k/T as large, as in the authors' code; or it is made up for. */
#include <stdlib.h>

#include "core/rng.h"
#include "core/status.h"
#include "train/trainer.h"

/* ---- every step ---- */

struct options {
    long long update;
};
static const struct snn_key keys[] = {SNN_KEY_NAME, SNN_UPDATE_KEY(struct options, update), {0}};

static int32_t update(const struct snn_trainer *trainer) {
    return snn_update_steps(((const struct options *)(const void *)&trainer->options)->update);
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    (void)trainer;
    snn_trainer_pass(network, 0);
}

const struct snn_trainer_ops snn_trainer_sltt = {.name = "sltt",
                                                 .help = "spatial learning through time: each step's error goes down "
                                                         "through the layers, not back in time",
                                                 .keys = keys,
                                                 .cut = snn_trainer_one_step,
                                                 .apart = true,
                                                 .batch = batch,
                                                 .update = update};

/* ---- some steps ---- */

struct some {
    long long k;
    int divide_by;
};
static const char *const divisors[] = {"T", "k", NULL};
static const struct snn_key some_keys[] = {
    SNN_KEY_NAME,
    {"k", SNN_INT, offsetof(struct some, k), "4", 1, 1 << 20, NULL,
     "steps of a batch that learn, drawn anew each time"},
    {"divide_by", SNN_CHOICE, offsetof(struct some, divide_by), "T", 0, 0, divisors,
     "what the sum of their losses is divided by: all steps, as the authors have it, or those k"},
    {0}};

/* Step t is one of the k that a shuffle of T steps begins with: the same for all samples of the batch. */
static void draw_steps(const struct snn_network *network, int32_t T, int32_t k, bool *learns) {
    int32_t *order = malloc((size_t)T * sizeof *order);
    SNN_CHECK(order, "out of memory for %d steps", (int)T);
    snn_rng_shuffle(network->step.seed, SNN_RNG_STEPS, network->step.number, (uint32_t)network->batch->sample[0], order,
                    T);
    for (int32_t i = 0; i < T; ++i) learns[order[i]] = i < k;
    free(order);
}

/* Steps of the next cut: one that learns, or as many as do not until the next one that does. */
static int32_t stretch(const struct snn_network *network, const bool *learns, int32_t T, const struct snn_cut *cut) {
    const int32_t from = cut->begun ? cut->t0 + cut->T : 0;
    int32_t steps = 1;
    while (from < T && !learns[from] && from + steps < T && !learns[from + steps] && steps < network->plan.cut) ++steps;
    return steps;
}

void snn_sltt_k_batch(struct snn_network *network, const bool *learns) {
    struct snn_slice slice;
    for (int32_t first = 0; snn_network_slice(network, &first, &slice);) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        while (snn_slice_next(&slice, stretch(network, learns, slice.batch.T, &cut), &cut)) {
            snn_network_forward(network, &cut);
            snn_network_loss(network, &cut, learns[cut.t0]);
            snn_network_tally(network, &cut);
            if (learns[cut.t0]) snn_network_backward(network, &cut);
        }
        snn_network_backward_batch(network, &cut);
    }
}

static int32_t errors(const struct snn_trainer *trainer, int32_t T, int32_t cut) {
    const struct some *o = (const void *)&trainer->options;
    (void)cut;
    return o->k < T ? (int32_t)o->k : T;
}

static void some_batch(const struct snn_trainer *trainer, struct snn_network *network) {
    const struct some *o = (const void *)&trainer->options;
    const int32_t T = network->batch->T, k = errors(trainer, T, 1);
    bool *learns = malloc((size_t)T * sizeof *learns);
    SNN_CHECK(learns, "out of memory for %d steps", (int)T);
    draw_steps(network, T, k, learns);
    if (o->divide_by) snn_network_rescale(network, (double)T / k);
    snn_sltt_k_batch(network, learns);
    free(learns);
}

const struct snn_trainer_ops snn_trainer_sltt_k = {.name = "sltt_k",
                                                   .help = "as sltt, at k steps of each batch alone",
                                                   .keys = some_keys,
                                                   .cut = snn_trainer_one_step,
                                                   .apart = true,
                                                   .batch = some_batch,
                                                   .errors = errors,
                                                   .varies = true};
