/* SPDX-License-Identifier: Apache-2.0
 * ottt.c - online training through time (Xiao et al., NeurIPS 2022): SLTT whose weights learn from a trace of what they
 * read.
 *
 *   for t in 1..T:
 *       a[t] = lambda a[t-1] + s[t]          for each weight: of its input
 *       e    = backward of the step's loss   through the layers, at this step alone
 *       dW  += e a[t]^T,   db += e
 *
 * With soft, detached resets the membrane is a linear filter, and a[t] = dU[t]/dW: the gradient of a network's last
 * hidden weights is then exact. As in the authors' code the first weight reads the input itself, and the readout a
 * trace, though it has no membrane that would ask for one; both are options. */
#include <math.h>

#include "core/status.h"
#include "train/rules.h"

struct options {
    double trace;
    int input_trace, readout_trace;
    long long update;
};
static const char *const trace_words[] = {"auto", NULL};
static const char *const yes_no[] = {"false", "true", NULL};
static const struct snn_key keys[] = {
    SNN_KEY_NAME,
    {"trace", SNN_REAL, offsetof(struct options, trace), "auto", 0, 1, trace_words,
     "what a trace keeps from step to step; auto: as much as the membrane that the weight feeds"},
    {"input_trace", SNN_CHOICE, offsetof(struct options, input_trace), "false", 0, 0, yes_no,
     "does the first weight learn from a trace of the input?"},
    {"readout_trace", SNN_CHOICE, offsetof(struct options, readout_trace), "true", 0, 0, yes_no,
     "does the readout learn from a trace of the last spikes?"},
    SNN_UPDATE_KEY(struct options, update),
    {0}};

static const struct options *options_of(const struct snn_trainer *trainer) { return (const void *)&trainer->options; }
static int32_t update(const struct snn_trainer *trainer) { return snn_update_steps(options_of(trainer)->update); }

static void need(const struct snn_trainer *trainer, struct snn_model_input *input) {
    if (options_of(trainer)->input_trace) input->every_step = true; /* a trace of a still image moves */
}

/* Of the membrane that the weight feeds; of a readout without one, of the membranes whose spikes it reads. */
static int leak_of(const struct snn_weighing *w, struct snn_conf *rule, double *leak) {
    const struct snn_node *neuron = w->behind ? w->behind : w->before;
    if (neuron && snn_neuron_leak(neuron, leak)) return SNN_OK;
    return snn_refuse_layer(w->node, rule,
                            "what a trace of its input should keep is not known%s%s: give ottt a number, "
                            "`trace: 0.5`",
                            neuron ? ", since the leak is learned, or is not one number, in " : "",
                            neuron ? neuron->name : "");
}

static int trace(const struct snn_trainer *trainer, const struct snn_weighing *w, struct snn_conf *rule) {
    const struct options *o = options_of(trainer);
    w->node->trace = (struct snn_trace){.on = w->place == SNN_PLACE_FIRST     ? o->input_trace
                                              : w->place == SNN_PLACE_READOUT ? o->readout_trace
                                                                              : true,
                                        .decay = o->trace,
                                        .gain = 1};
    return w->node->trace.on && isnan(o->trace) ? leak_of(w, rule, &w->node->trace.decay) : SNN_OK;
}

static int settle(const struct snn_trainer *trainer, struct snn_network *network, struct snn_conf *rule) {
    return snn_rule_weights(trainer, network, rule, trace);
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    (void)trainer;
    snn_trainer_pass(network, 0); /* in whose forward passes traces go on */
}

const struct snn_trainer_ops snn_trainer_ottt = {.name = "ottt",
                                                 .help = "online training through time: as sltt, and weights learn "
                                                         "from a trace of what they read",
                                                 .keys = keys,
                                                 .need = need,
                                                 .cut = snn_trainer_one_step,
                                                 .settle = settle,
                                                 .apart = true,
                                                 .batch = batch,
                                                 .update = update};
