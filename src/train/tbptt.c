/* SPDX-License-Identifier: Apache-2.0
 * tbptt.c - truncated backpropagation through time: cuts of k steps. States cross a cut, gradients do not
 * (Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
 * trajectories"). With k >= T it is BPTT, with k = 1 it is SLTT. */
#include "train/trainer.h"

struct options {
    long long k;
    int update;
};
static const char *const update_names[] = {"sequence", "chunk", NULL};
static const struct snn_key keys[] = {
    SNN_KEY_NAME,
    {"k", SNN_INT, offsetof(struct options, k), "10", 1, 1 << 20, NULL, "steps that a gradient goes back"},
    {"update", SNN_CHOICE, offsetof(struct options, update), "sequence", 0, 0, update_names,
     "when weights change: at the end of a sequence, or after every k steps"},
    {0}};

static const struct options *options_of(const struct snn_trainer *trainer) { return (const void *)&trainer->options; }

static int32_t cut_of(const struct snn_trainer *trainer, int32_t T) {
    long long k = options_of(trainer)->k;
    return k < T ? (int32_t)k : T;
}

static int32_t update(const struct snn_trainer *trainer) {
    return options_of(trainer)->update ? (int32_t)options_of(trainer)->k : 0;
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    (void)trainer;
    snn_trainer_pass(network, 0);
}

const struct snn_trainer_ops snn_trainer_tbptt = {.name = "tbptt",
                                                  .help = "truncated backpropagation through time: k steps back",
                                                  .keys = keys,
                                                  .cut = cut_of,
                                                  .batch = batch,
                                                  .update = update};
