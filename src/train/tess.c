/* SPDX-License-Identifier: Apache-2.0
 * tess.c - TESS (Apolinario, Roy & Frenkel 2025, "TESS: a scalable temporally and spatially local learning rule for
 * spiking neural networks"): S-TLLR's traces, and a learning signal that a block makes itself, so that one layer and
 * one step are on the tape at a time and no weight is carried backwards.
 *
 *   for t in 1..T, for each block: forward one step, and
 *       a  = the block's output, its channels pooled to pool x pool places
 *       z  = B a,  B[c][j] = sign(sin(f_c j)) / n,  j = 0..n-1,  f_c = 50 .. 512 in even steps      fixed
 *       m  = the gradient of the loss at z, back through B and the pool
 *       dW += alpha_pre (m psi[t]) q^T + alpha_post (m h) x[t]^T
 *
 * The loss is the network's own, step by step. The last block is the readout, which learns from its exact gradient. */
#include <stdlib.h>

#include "core/status.h"
#include "train/rules.h"

enum { POOLS = 64 };
struct options {
    struct snn_two_traces traces;
    struct snn_conf *pool;
};
static const struct snn_key keys[] = {SNN_KEY_NAME,
                                      SNN_TRACE_KEYS(struct options, traces, "1"),
                                      {"pool", SNN_NODE, offsetof(struct options, pool), "2", 0, 0, NULL,
                                       "places across that a block's channels are pooled to for its own loss: one "
                                       "number, or one for each block, the last of which goes for all that follow"},
                                      {0}};

static const struct options *options_of(const struct snn_trainer *trainer) { return (const void *)&trainer->options; }
static int32_t update(const struct snn_trainer *trainer) {
    return snn_update_steps(options_of(trainer)->traces.update);
}

static void need(const struct snn_trainer *trainer, struct snn_model_input *input) {
    snn_two_traces_need(&options_of(trainer)->traces, input);
}

static int number_of(struct snn_conf *node, int32_t *out) {
    char *end = NULL;
    long value = node->kind == SNN_CONF_SCALAR ? strtol(node->text, &end, 10) : 0;
    if (!end || *end || value < 1 || value > 1024)
        return snn_conf_error(node, "expected a whole number from 1 to 1024, or a list of them");
    *out = (int32_t)value;
    return SNN_OK;
}

static int pools_of(struct snn_conf *node, int32_t *pool, int *count) {
    *count = 0;
    if (node->kind != SNN_CONF_LIST) {
        *count = 1;
        return number_of(node, pool);
    }
    if (node->count < 1 || node->count > POOLS) return snn_conf_error(node, "expected 1 to %d numbers", POOLS);
    for (struct snn_conf *item = node->first; item; item = item->next) SNN_TRY(number_of(item, &pool[(*count)++]));
    return SNN_OK;
}

static int check(struct snn_trainer *trainer, struct snn_conf *rule) {
    int32_t pool[POOLS];
    int count;
    (void)rule;
    return pools_of(options_of(trainer)->pool, pool, &count);
}

static int trace(const struct snn_trainer *trainer, const struct snn_weighing *w, struct snn_conf *rule) {
    (void)rule;
    return snn_two_traces_mark(&options_of(trainer)->traces, w);
}

static int settle(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule) {
    const struct options *o = options_of(trainer);
    int32_t pool[POOLS];
    int pools;
    SNN_TRY(snn_rule_weights(trainer, network, rule, trace));
    SNN_TRY(snn_rule_follow(trainer, network, rule, &o->traces));
    SNN_TRY(snn_rule_blocks(trainer, network, rule));
    SNN_TRY(pools_of(o->pool, pool, &pools));
    return snn_rule_readouts(network, rule, pool, pools);
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    struct snn_slice slice;
    (void)trainer;
    for (int32_t first = 0; snn_network_slice(network, &first, &slice);) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        while (snn_slice_next(&slice, network->plan.cut, &cut)) {
            snn_network_begin(network, &cut);
            for (int block = 0; block < network->blocks; ++block) {
                snn_network_forward_block(network, &cut, block);
                snn_network_block_loss(network, &cut, block);
                snn_network_backward_block(network, &cut, block);
            }
            snn_network_tally(network, &cut);
            snn_network_learn(network, &cut);
        }
        snn_network_backward_batch(network, &cut);
    }
}

const struct snn_trainer_ops snn_trainer_tess = {.name = "tess",
                                                 .help = "TESS: S-TLLR's traces, and a fixed readout with a loss of "
                                                         "its own for every block",
                                                 .keys = keys,
                                                 .check = check,
                                                 .need = need,
                                                 .cut = snn_trainer_one_step,
                                                 .settle = settle,
                                                 .apart = true,
                                                 .batch = batch,
                                                 .update = update};
