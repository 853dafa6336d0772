/* SPDX-License-Identifier: Apache-2.0
 * trainer.h - learning rules. A rule decides how the time axis is cut, what crosses a cut, and when the errors of a cut
 * are sent back; everything else is shared. What a rule wants of single layers (autograd/learning.h) it settles once,
 * when the model has been built.
 *
 * To add one: a file with a struct snn_trainer_ops and a line in trainer.c. */
#ifndef SNN_TRAINER_H
#define SNN_TRAINER_H

#include "train/network.h"

struct snn_trainer_ops;
enum { SNN_RULE_OPTIONS = 256 };
struct snn_trainer { /* a rule with its keys */
    const struct snn_trainer_ops *ops;
    union { /* as ops->keys fill them */
        unsigned char bytes[SNN_RULE_OPTIONS];
        max_align_t align;
    } options;
};

struct snn_trainer_ops {
    const char *name, *help;
    const struct snn_key *keys;
    /* Judge what was read; NULL: keys say it all. */
    int (*check)(struct snn_trainer *trainer, struct snn_conf *rule);
    /* What the model must be built with; NULL: nothing. */
    void (*need)(const struct snn_trainer *trainer, struct snn_model_input *input);
    /* No gradient passes from a step to the one before: the network may let several pass together. */
    bool apart;
    /* Steps of one cut when a batch has T: the plan's size. */
    int32_t (*cut)(const struct snn_trainer *trainer, int32_t T);
    /* Settle what the rule wants of the layers, or refuse one: SNN_EUSAGE at `rule`, or at the layer in the config.
     * NULL: nothing. */
    int (*settle)(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule);
    /* Queue a pass over the staged batch: its gradients are added to the slab, its figures to the tally. */
    void (*batch)(const struct snn_trainer *trainer, struct snn_network *network);
    /* Steps between changes of the weights within a batch; 0: they change when it is over. NULL: always so. */
    int32_t (*update)(const struct snn_trainer *trainer);
    /* Steps of a batch of T, which passes in cuts of so many, that a backward pass goes over. NULL: all. */
    int32_t (*errors)(const struct snn_trainer *trainer, int32_t T, int32_t cut);
    bool varies; /* what it queues differs between batches of one shape */
};
extern const struct snn_trainer_ops snn_trainer_bptt, snn_trainer_tbptt, snn_trainer_sltt, snn_trainer_sltt_k,
    snn_trainer_ottt, snn_trainer_stllr, snn_trainer_tess;
extern const struct snn_trainer_ops *const snn_trainers[]; /* ended by NULL */

/* Read `train.rule`: NAME or {name, keys}. */
int snn_trainer_read(struct snn_conf *node, struct snn_trainer *out);
/* Can it train this network? Else SNN_EUSAGE, which names the layer and why; and what it wants of layers is settled. */
int snn_trainer_settle(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                       struct snn_conf *loss);
static inline int32_t snn_trainer_cut(const struct snn_trainer *trainer, int32_t T) {
    return trainer->ops->cut(trainer, T);
}
/* Does it see all steps of a recording at once, however many there are? */
static inline bool snn_trainer_sees_all(const struct snn_trainer *trainer) {
    return snn_trainer_cut(trainer, 1 << 20) == 1 << 20;
}
static inline int32_t snn_trainer_update(const struct snn_trainer *trainer) {
    return trainer->ops->update ? trainer->ops->update(trainer) : 0;
}

/* What the model must be built with under the rule. */
void snn_trainer_need(const struct snn_trainer *trainer, struct snn_model_input *input);

/* ---- for rules ---- */

/* One step at a time. */
int32_t snn_trainer_one_step(const struct snn_trainer *trainer, int32_t T);
/* A pass in the plan's cuts: forward, and the errors of each cut back at once; those of the `last` steps of a recording
 * alone, or of all where that is 0. Weights change where they are due to. */
void snn_trainer_pass(struct snn_network *network, int32_t last);

/* The key `update` of rules that can learn while a recording goes on: steps, 0 for the whole sequence. */
#define SNN_UPDATE_KEY(type, member)                                                                                   \
    {                                                                                                                  \
        "update", SNN_INT, offsetof(type, member), "sequence", 1, 1 << 20, snn_update_words,                           \
            "when weights change: at the end of a sequence, after every step, or after every N steps"                  \
    }
extern const char *const snn_update_words[];
int32_t snn_update_steps(long long update);

/* sltt_k with given steps: learns (T). */
void snn_sltt_k_batch(struct snn_network *network, const bool *learns);

/* An error that names the layer of a node: at its place in the config. */
int snn_refuse_layer(const struct snn_node *node, struct snn_conf *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
