/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"

const struct snn_trainer_ops *const snn_trainers[] = {
    &snn_trainer_bptt, &snn_trainer_tbptt, &snn_trainer_sltt, &snn_trainer_sltt_k,
    &snn_trainer_ottt, &snn_trainer_stllr, &snn_trainer_tess, NULL};

const char *const snn_update_words[] = {"sequence", "step", NULL};
int32_t snn_update_steps(long long update) { return update == -1 ? 0 : update == -2 ? 1 : (int32_t)update; }

int snn_trainer_read(struct snn_conf *node, struct snn_trainer *out) {
    const char *names[sizeof snn_trainers / sizeof *snn_trainers];
    *out = (struct snn_trainer){0};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) names[i] = snn_trainers[i] ? snn_trainers[i]->name : NULL;
    int which = snn_conf_variant(node, "a learning rule", names);
    SNN_TRY(which);
    out->ops = snn_trainers[which];
    SNN_TRY(snn_conf_read(node, out->ops->keys, &out->options));
    return out->ops->check ? out->ops->check(out, node) : SNN_OK;
}

int snn_refuse_layer(const struct snn_node *node, struct snn_conf *rule, const char *format, ...) {
    char why[600];
    struct snn_conf *at = snn_conf_at(rule->doc, node->name);
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    return at ? snn_conf_error(at, "%s", why) : snn_conf_error(rule, "%s: %s", node->name, why);
}

/* What every rule asks for that cuts the steps: a loss that adds up over cuts, and layers that need no step to come. */
static int check_cuts(const struct snn_trainer *trainer, const struct snn_network *n, struct snn_conf *rule,
                      struct snn_conf *loss) {
    const struct snn_tape *tape = &n->model.tape;
    const char *name = trainer->ops->name;
    if (n->loss.regular.activities) /* also where the loss would add up: its slope does not (regular.c) */
        return snn_conf_error(n->loss.regular.activity[0].config,
                              "the rule %s sees a part of the steps at a time, and a term over activity is of all of "
                              "them: leave it out",
                              name);
    if (!snn_loss_is_stepwise(&n->loss))
        return snn_conf_error(loss,
                              "the rule %s sees a part of the steps at a time, and this loss needs them all: "
                              "expected `over: step`",
                              name);
    for (int i = 0; i < tape->nodes; ++i)
        if (tape->node[i]->op->flags & SNN_OP_COUPLES_STEPS)
            return snn_refuse_layer(
                tape->node[i], rule, "needs all steps at once, and the rule %s sees a part of them at a time%s", name,
                !strcmp(tape->node[i]->op->name, "batch norm") ? " (batchnorm: {over: step} works)" : "");
    return SNN_OK;
}

void snn_trainer_need(const struct snn_trainer *trainer, struct snn_model_input *input) {
    /* What is worked out once a batch would not see the weights change. */
    input->every_step = snn_trainer_update(trainer) > 0;
    if (trainer->ops->need) trainer->ops->need(trainer, input);
}

int32_t snn_trainer_one_step(const struct snn_trainer *trainer, int32_t T) {
    (void)trainer, (void)T;
    return 1;
}

void snn_trainer_pass(struct snn_network *network, int32_t last) {
    struct snn_slice slice;
    for (int32_t first = 0; snn_network_slice(network, &first, &slice);) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        cut.last = last;
        while (snn_slice_next(&slice, network->plan.cut, &cut)) {
            bool errors = snn_cut_has_errors(&cut);
            snn_network_forward(network, &cut); /* traces go on */
            snn_network_loss(network, &cut, errors);
            snn_network_tally(network, &cut);
            if (errors) snn_network_backward(network, &cut);
            snn_network_learn(network, &cut);
        }
        snn_network_backward_batch(network, &cut);
    }
}

int snn_trainer_settle(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule,
                       struct snn_conf *loss) {
    if (!snn_trainer_sees_all(trainer)) SNN_TRY(check_cuts(trainer, network, rule, loss));
    network->model.tape.apart = trainer->ops->apart;
    return trainer->ops->settle ? trainer->ops->settle(trainer, network, rule) : SNN_OK;
}
