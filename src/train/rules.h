/* SPDX-License-Identifier: Apache-2.0
 * rules.h - what rules with traces, and with errors of their own for each block, ask of a network's layers. */
#ifndef SNN_RULES_H
#define SNN_RULES_H

#include "train/trainer.h"

/* ---- weights ---- */

/* Where a weight stands, by what its errors can come through. */
enum snn_place {
    SNN_PLACE_FIRST,  /* what it reads was not made of spikes: the input */
    SNN_PLACE_HIDDEN, /* between spikes */
    SNN_PLACE_READOUT /* no spikes come after it */
};
struct snn_weighing { /* a node that weighs what it reads */
    struct snn_node *node;
    enum snn_place place;
    const struct snn_node *before, *behind; /* the nearest spiking nodes, or a leaky readout behind it; NULL: none */
};

/* Call `each` for every node that weighs what it reads, in order, until it fails. One that cannot learn from a trace is
 * refused: SNN_EUSAGE names the layer. */
int snn_rule_weights(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                     int (*each)(const struct snn_trainer *trainer, const struct snn_weighing *w,
                                 struct snn_conf *rule));

/* ---- traces on both sides of a synapse: S-TLLR, TESS ---- */

struct snn_two_traces {
    double lambda_pre, lambda_post, alpha_pre, alpha_post, readout_trace;
    struct snn_conf *psi;
    long long update;
};
extern const char *const snn_none_word[];
#define SNN_TRACE_KEYS(type, member, alpha_post_default)                                                               \
    {"lambda_pre",                                                                                                     \
     SNN_REAL,                                                                                                         \
     offsetof(type, member.lambda_pre),                                                                                \
     "0.5",                                                                                                            \
     0,                                                                                                                \
     1,                                                                                                                \
     NULL,                                                                                                             \
     "what the trace of a weight's input keeps from step to step"},                                                    \
        {"lambda_post",                                                                                                \
         SNN_REAL,                                                                                                     \
         offsetof(type, member.lambda_post),                                                                           \
         "0.2",                                                                                                        \
         0,                                                                                                            \
         1,                                                                                                            \
         NULL,                                                                                                         \
         "what the trace of a neuron's psi keeps from step to step"},                                                  \
        {"alpha_pre", SNN_REAL, offsetof(type, member.alpha_pre), "1", -1e3, 1e3, NULL, "of the causal term"},         \
        {"alpha_post",                                                                                                 \
         SNN_REAL,                                                                                                     \
         offsetof(type, member.alpha_post),                                                                            \
         alpha_post_default,                                                                                           \
         -1e3,                                                                                                         \
         1e3,                                                                                                          \
         NULL,                                                                                                         \
         "of the term of spikes that come too late; 0: none, and no trace behind the synapse"},                        \
        {"psi",                                                                                                        \
         SNN_NODE,                                                                                                     \
         offsetof(type, member.psi),                                                                                   \
         "surrogate",                                                                                                  \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "how ready a neuron is to spike: `surrogate`, each layer's own, or one for all layers: NAME or {name, "       \
         "keys}"},                                                                                                     \
        {"readout_trace",                                                                                              \
         SNN_REAL,                                                                                                     \
         offsetof(type, member.readout_trace),                                                                         \
         "none",                                                                                                       \
         0,                                                                                                            \
         1,                                                                                                            \
         snn_none_word,                                                                                                \
         "what a trace of the readout's input keeps; none: it learns from the input itself"},                          \
        SNN_UPDATE_KEY(type, member.update)

void snn_two_traces_need(const struct snn_two_traces *traces, struct snn_model_input *input);
int snn_two_traces_mark(const struct snn_two_traces *traces, const struct snn_weighing *w);
/* Let every spiking layer follow its psi (autograd/learning.h), where there is a post term. */
int snn_rule_follow(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                    const struct snn_two_traces *traces);

/* ---- blocks ---- */

/* Divide the network: a block begins with a weight that stands behind spikes, and no gradient passes from one to
 * another. */
int snn_rule_blocks(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule);
/* Errors of the outputs for every block but the last, through fixed random matrices PATH.feedback (classes, units). */
int snn_rule_feedback(struct snn_network *network);
/* A fixed readout for every block but the last, PATH.readout (classes, units), of channels pooled to pool[i] by pool[i]
 * places; the last of `pools` goes for all blocks that follow. */
int snn_rule_readouts(struct snn_network *network, struct snn_conf *rule, const int32_t *pool, int pools);

#endif
