/* SPDX-License-Identifier: Apache-2.0
 * sltt.c - spatial learning through time (Meng et al., ICCV 2023, "Towards memory- and time-efficient backpropagation
 * for training spiking neural networks"): the gradient goes down through the layers at each step, never back in time.
 *
 *   for t in 1..T: forward one step; e = backward of the step's loss; dW += e s[t]^T; only states go on
 *
 * sltt_k draws k of the T steps for each batch; at the others there is no backward pass. The loss stays that of all T
 * steps (divide_by: T), so that gradients come out k/T as large, as in the authors' code; or it is made up for. */
#include <string.h>

#include "core/rng.h"
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

struct picks { /* the steps of a batch that learn, one after the other */
    const struct snn_network *network;
    const bool *given; /* (T) or NULL */
    int32_t k, t;      /* still to come; from step t on */
    int32_t now;       /* the one that is due */
};

/* The next one, or T, all steps of the recordings. Selection sampling (Knuth, TAOCP 2, 3.4.2): step t is taken with the
 * chance k / (T - t), so that nothing has to be kept of steps, and all k-subsets are alike. */
static void next_pick(struct picks *p) {
    const struct snn_batch *batch = p->network->batch;
    const int32_t T = snn_batch_whole(batch);
    p->now = T;
    while (p->t < T && (p->given || p->k > 0)) {
        const int32_t t = p->t++;
        const uint32_t word = snn_rng_u32(p->network->step.seed, SNN_RNG_STEPS, p->network->step.number,
                                          (uint32_t)batch->sample[0], (uint32_t)t);
        if (p->given ? !p->given[t] : (int32_t)snn_rng_below(word, (uint32_t)(T - t)) >= p->k) continue;
        --p->k, p->now = t;
        return;
    }
}

/* Of the present batch; those of a piece go on where the piece before ended. */
static struct picks first_picks(const struct snn_network *network, const bool *given, int32_t k) {
    const int32_t *kept = network->passed.rule;
    struct picks picks = {network, given, k, 0, 0};
    if (network->batch->t0) picks.k = kept[0], picks.t = kept[1], picks.now = kept[2];
    else next_pick(&picks);
    return picks;
}

/* Steps of the next cut: one that learns, or as many as do not until the next one that does. */
static int32_t stretch(const struct snn_network *network, int32_t pick, const struct snn_cut *cut) {
    const int32_t from = snn_cut_at(cut) + (cut->begun ? cut->T : 0), steps = pick > from ? pick - from : 1;
    return steps < network->plan.cut ? steps : network->plan.cut;
}

static void pass_picks(struct snn_network *network, const bool *given, int32_t k) {
    struct snn_slice slice;
    for (int32_t first = 0; snn_network_slice(network, &first, &slice);) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        struct picks picks = first_picks(network, given, k);
        while (snn_slice_next(&slice, stretch(network, picks.now, &cut), &cut)) {
            const bool learns = snn_cut_at(&cut) == picks.now;
            snn_network_forward(network, &cut);
            snn_network_loss(network, &cut, learns);
            snn_network_tally(network, &cut);
            if (!learns) continue;
            snn_network_backward(network, &cut);
            next_pick(&picks);
        }
        const int32_t kept[] = {picks.k, picks.t, picks.now};
        memcpy(network->passed.rule, kept, sizeof kept);
        snn_network_backward_batch(network, &cut);
    }
}

void snn_sltt_k_batch(struct snn_network *network, const bool *learns) { pass_picks(network, learns, 0); }

static int32_t errors(const struct snn_trainer *trainer, int32_t T, int32_t cut) {
    const struct some *o = (const void *)&trainer->options;
    (void)cut;
    return o->k < T ? (int32_t)o->k : T;
}

static void some_batch(const struct snn_trainer *trainer, struct snn_network *network) {
    const struct some *o = (const void *)&trainer->options;
    const int32_t T = snn_batch_whole(network->batch), k = errors(trainer, T, 1);
    if (o->divide_by) snn_network_rescale(network, (double)T / k);
    pass_picks(network, NULL, k);
}

const struct snn_trainer_ops snn_trainer_sltt_k = {.name = "sltt_k",
                                                   .help = "as sltt, at k steps of each batch alone",
                                                   .keys = some_keys,
                                                   .cut = snn_trainer_one_step,
                                                   .apart = true,
                                                   .batch = some_batch,
                                                   .errors = errors,
                                                   .varies = true};
