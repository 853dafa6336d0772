/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include "core/status.h"

const struct snn_trainer_ops *const snn_trainers[] = {&snn_trainer_bptt, NULL};

int snn_trainer_read(struct snn_conf *node, const struct snn_trainer_ops **out) {
    const char *names[sizeof snn_trainers / sizeof *snn_trainers];
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) names[i] = snn_trainers[i] ? snn_trainers[i]->name : NULL;
    int which = snn_conf_variant(node, "a learning rule", names);
    SNN_TRY(which);
    *out = snn_trainers[which];
    return snn_conf_read(node, (*out)->keys, NULL);
}
