/* SPDX-License-Identifier: Apache-2.0
 * stllr.c - S-TLLR (Apolinario & Roy, TMLR 2025): a local rule of three factors. What a synapse remembers of causes
 * (the presynaptic trace, when the neuron is ready to spike) and of what came too late for them (the neuron's trace of
 * its readiness psi, when a spike arrives) meets a learning signal L, the gradient of the step's loss by the spikes.
 *
 *   for t in 1..T:
 *       q    = lambda_pre q + x[t]                                 for each weight: of its input
 *       L    = backward of the step's loss, through the layers at this step, or direct feedback: L = D^T error
 *       dW  += alpha_pre (L psi[t]) q^T + alpha_post (L h) x[t]^T   at the last `last` steps
 *       db  += L psi[t]
 *       h    = lambda_post h + psi[t]                              for each neuron: without the present step, above
 *
 * The readout has no spikes behind it: it learns from the exact gradient of each step's loss, or, with readout_trace,
 * from a trace of what it reads. The post term is the gradient of nothing. */
#include <math.h>

#include "core/status.h"
#include "train/rules.h"

struct options {
    struct snn_two_traces traces;
    int signal;
    long long last;
};
static const char *const signals[] = {"bp", "dfa", NULL}, *const all_word[] = {"all", NULL};
static const struct snn_key keys[] = {
    SNN_KEY_NAME,
    SNN_TRACE_KEYS(struct options, traces, "-1"),
    {"signal", SNN_CHOICE, offsetof(struct options, signal), "bp", 0, 0, signals,
     "how errors reach a layer: back through the weights, or directly through a fixed random matrix"},
    {"last", SNN_INT, offsetof(struct options, last), "all", 1, 1 << 20, all_word,
     "steps at the end of a recording that errors are sent at"},
    {0}};

static const struct options *options_of(const struct snn_trainer *trainer) { return (const void *)&trainer->options; }
static int32_t update(const struct snn_trainer *trainer) {
    return snn_update_steps(options_of(trainer)->traces.update);
}

/* From the first cut on that reaches into the last steps. */
static int32_t errors_at(const struct snn_trainer *trainer, int32_t T, int32_t cut) {
    const long long last = options_of(trainer)->last;
    return last > 0 && last < T ? T - (T - (int32_t)last) / cut * cut : T;
}

static void need(const struct snn_trainer *trainer, struct snn_model_input *input) {
    snn_two_traces_need(&options_of(trainer)->traces, input);
}

static int trace(const struct snn_trainer *trainer, const struct snn_weighing *w, struct snn_conf *rule) {
    (void)rule;
    return snn_two_traces_mark(&options_of(trainer)->traces, w);
}

static int settle(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule) {
    const struct options *o = options_of(trainer);
    SNN_TRY(snn_rule_weights(trainer, network, rule, trace));
    SNN_TRY(snn_rule_follow(trainer, network, rule, &o->traces));
    if (!o->signal) return SNN_OK;
    SNN_TRY(snn_rule_blocks(trainer, network, rule));
    return snn_rule_feedback(network);
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    const struct options *o = options_of(trainer);
    snn_trainer_pass(network, o->last > 0 ? (int32_t)o->last : 0);
}

const struct snn_trainer_ops snn_trainer_stllr = {.name = "stllr",
                                                  .help = "S-TLLR: traces before and behind the synapse, and a "
                                                          "learning signal",
                                                  .keys = keys,
                                                  .need = need,
                                                  .cut = snn_trainer_one_step,
                                                  .settle = settle,
                                                  .apart = true,
                                                  .batch = batch,
                                                  .update = update,
                                                  .errors = errors_at};
