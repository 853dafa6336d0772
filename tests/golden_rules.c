/* SPDX-License-Identifier: Apache-2.0
 * golden_rules.c - weight gradients of a small network under each learning rule, from a config as a user would write
 * it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "train/trainer.h"

enum { MOST_LAYERS = 8 };

struct run {                   /* of one rule */
    const char *rule, *prefix; /* as in a config; of the case's gradients, "sltt." */
    bool attached, detached;   /* the reset, whatever the case says */
    double steps;              /* the case's loss is the sum over so many steps, ours the mean; 1: it is the mean */
};

/* ---- the network ---- */

static int layers_of(struct golden *c, int size[MOST_LAYERS]) {
    json_t *list = golden_fact(c, "layers");
    int count = (int)json_array_size(list);
    if (count < 3 || count > MOST_LAYERS) return golden_fail(c, "does not understand 'layers'"), 0;
    for (int i = 0; i < count; ++i) size[i] = (int)json_integer_value(json_array_get(list, (size_t)i));
    return count;
}

static bool is_factors(struct golden *c) { return json_object_get(c->facts, "factors") != NULL; }

static bool put_neuron(struct golden *c, FILE *yaml, const struct run *run) {
    if (is_factors(c)) { /* S-TLLR and TESS say all of it in words */
        double height;
        int end = 0;
        const char *psi = golden_text(c, "psi");
        if (sscanf(psi, "%lf*max(1-|u-th|,0) from the pre-reset u%n", &height, &end) != 1 || psi[end] || !end)
            return golden_fail(c, "does not understand psi '%s'", psi);
        if (strcmp(golden_text(c, "fire"), ">") || strcmp(golden_text(c, "reset"), "subtract"))
            return golden_fail(c, "does not understand 'fire' and 'reset'");
        fprintf(yaml,
                "  - lif: {beta: %.17g, decay_input: false, threshold: %.17g, fire: gt, reset: subtract, "
                "detach_reset: true, surrogate: {name: esser, gamma: %.17g, threshold: 1}%s}\n",
                golden_number(c, "gamma"), golden_number(c, "threshold"), height,
                golden_flag(c, "recurrent", false) ? ", recurrent: {bias: false}" : "");
        return true;
    }
    /* SpikingJelly's defaults, which these cases do not say, and its name of SLTT's triangle */
    static const struct {
        const char *theirs, *name;
        double alpha;
    } defaults[] = {{"sigmoid", "sigmoid", 4}, {"atan", "atan", 2}, {"triangle", "piecewise_quadratic", 1}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; ++i) {
        if (strcmp(golden_text(c, "surrogate"), defaults[i].theirs)) continue;
        if (!golden_has(c, "alpha")) json_object_set_new(c->facts, "alpha", json_real(defaults[i].alpha));
        json_object_set_new(c->facts, "surrogate", json_string(defaults[i].name));
        break;
    }
    char *keys = NULL;
    size_t size;
    FILE *text = open_memstream(&keys, &size);
    SNN_CHECK(text, "out of memory in a test");
    fprintf(text, "tau: %.17g, decay_input: %s, ", golden_number(c, "tau"),
            golden_flag(c, "decay_input", false) ? "true" : "false");
    bool understood = golden_put_firing(c, text);
    fclose(text);
    char *detach = strstr(keys, "detach_reset: ");
    if (detach && (run->attached || run->detached)) {
        char *rest = strchr(detach, ',');
        fprintf(yaml, "  - lif: {%.*sdetach_reset: %s%s}\n", (int)(detach - keys), keys,
                run->detached ? "true" : "false", rest ? rest : "");
    } else fprintf(yaml, "  - lif: {%s}\n", keys);
    free(keys);
    return understood;
}

static bool put_config(struct golden *c, FILE *yaml, const struct run *run) {
    int size[MOST_LAYERS], layers = layers_of(c, size);
    char name[16];
    fprintf(yaml, "rule: %s\nmodel:\n", run->rule);
    for (int i = 1; i < layers; ++i) {
        snprintf(name, sizeof name, "b%d", i);
        fprintf(yaml, "  - linear: {out: %d, bias: %s}\n", size[i], golden_find(c, name) ? "true" : "false");
        if (i + 1 < layers && !put_neuron(c, yaml, run)) return false;
    }
    if (is_factors(c)) {
        fprintf(yaml, "loss: {name: ce, over: step}\n");
        return layers > 0;
    }
    const char *target = golden_text(c, "mse");
    if (strcmp(target, "one") && strcmp(target, "onehot"))
        return golden_fail(c, "does not understand mse '%s'", target);
    fprintf(yaml, "loss: {name: tet, lambda: %.17g, target: %s}\n", golden_number(c, "lam"),
            target[3] ? "one_hot" : "1");
    return layers > 0;
}

/* The case's name of a parameter: w1, b1, r1, dfa1, with what stands before it. False: it is no number of the case. */
static bool case_name(const struct snn_param *p, const char *before, char name[64]) {
    int item = 0;
    const char *what = strrchr(p->name, '.');
    if (sscanf(p->name, "model.%d.", &item) != 1 || !what) return false;
    const char *kind = strstr(p->name, ".recurrent.") ? "r"
                       : !strcmp(what, ".feedback")   ? "dfa"
                       : !strcmp(what, ".bias")       ? "b"
                       : !strcmp(what, ".weight")     ? "w"
                                                      : NULL;
    if (!kind) return false;
    snprintf(name, 64, "%s%s%d", before, kind, item / 2 + 1);
    return true;
}

/* ---- a pass ---- */

static bool build(struct golden_net *net, const char *text, struct snn_trainer *trainer) {
    struct golden *c = net->c;
    struct snn_network *n = &net->network;
    if (!golden_net_input(net, "x", false)) return false; /* for the batch: the model makes a tape of its own */
    snn_tape_free(&n->model.tape);
    if (!golden_parse(c, net, text)) return false;
    struct snn_conf *root = snn_conf_root(net->doc), *rule = snn_conf_get(root, "rule");
    struct snn_model_input input = {.C = net->batch.C, .H = net->batch.H, .W = net->batch.W};
    if (!golden_ok(c, snn_trainer_read(rule, trainer))) return false;
    snn_trainer_need(trainer, &input);
    return golden_ok(c, snn_loss_read(snn_conf_get(root, "loss"), &n->loss)) &&
           golden_ok(c, snn_model_build(snn_conf_get(root, "model"), &input, 0, &n->model)) &&
           golden_ok(c, snn_trainer_settle(trainer, n, rule, snn_conf_get(root, "loss")));
}

static bool allocate(struct golden_net *net, const struct snn_trainer *trainer) {
    struct golden *c = net->c;
    struct snn_params *params = &net->network.model.params;
    struct snn_network_plan plan = {.T = net->batch.T, .B = net->batch.B, .slice = net->batch.B, .train = true};
    plan.cut = snn_trainer_cut(trainer, plan.T);
    if (!golden_ok(c, snn_network_allocate(&net->network, &plan))) return false;
    snn_params_init(params, 1, params->value); /* of readouts, which are a formula */
    for (int i = 0; i < params->count; ++i) {
        struct snn_param *p = params->list[i];
        const struct snn_st_tensor *shape;
        char name[64];
        if (!case_name(p, "", name)) continue;
        const double *numbers = golden_tensor(c, name, &shape);
        if (!numbers) return false;
        if (snn_st_elements(shape) != (uint64_t)p->count) return golden_fail(c, "'%s' does not fit the network", name);
        for (ptrdiff_t k = 0; k < p->count; ++k) p->value[k] = (real)numbers[k];
    }
    return true;
}

static void compare(struct golden_net *net, const struct run *run) {
    struct golden *c = net->c;
    const struct snn_params *params = &net->network.model.params;
    char name[64], before[40];
    snprintf(before, sizeof before, "%sg", run->prefix);
    for (int i = 0; i < params->count; ++i) {
        const struct snn_param *p = params->list[i];
        if (!p->buffer && case_name(p, before, name))
            golden_compare_real(c, name, p->grad, (size_t)p->count, GOLDEN_GRADIENT);
    }
}

/* Spikes, outputs and loss of the whole sequence, which are the same under every rule. */
static void compare_forward(struct golden_net *net) {
    struct golden *c = net->c;
    const struct snn_tensor *o = net->network.model.tape.output;
    const double steps = net->batch.T, B = net->batch.B;
    struct snn_cut cut = {.batch = &net->batch, .T = net->batch.T, .train = true};
    char name[16];
    double loss;
    golden_net_forward(net, true, SNN_HARD);
    for (int i = 0; i < net->neurons; ++i) {
        snprintf(name, sizeof name, "s%d", i + 1);
        golden_compare(c, name, net->seen[i].s, net->seen[i].count, GOLDEN_EXACT);
    }
    golden_compare_real(c, "o", o->data, (size_t)(steps * B) * (size_t)o->units, GOLDEN_VALUE);
    snn_network_loss(&net->network, &cut, false);
    if (!golden_find(c, "loss") || !golden_ok(c, snn_network_loss_sum(&net->network, &cut, &loss))) return;
    loss /= B;
    golden_compare(c, "loss", &loss, 1, GOLDEN_GRADIENT);
}

static void pass(struct golden *c, const struct run *run, const bool *learns) {
    struct golden_net net;
    struct snn_trainer trainer;
    char *text = NULL;
    size_t size;
    const struct snn_st_tensor *labels;
    const double *y = golden_tensor(c, "y", &labels);
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    bool understood = put_config(c, yaml, run);
    fclose(yaml);
    if (understood && y && golden_net_open(c, &net)) {
        struct snn_network *n = &net.network;
        if (build(&net, text, &trainer) && allocate(&net, &trainer)) {
            if (snn_st_elements(labels) != (uint64_t)net.batch.B) golden_fail(c, "does not understand the shapes");
            for (int32_t b = 0; c->verdict == GOLDEN_PASS && b < net.batch.B; ++b) net.batch.label[b] = (int32_t)y[b];
            snn_network_set_step(n, 0, 0, run->steps / net.batch.B);
            if (golden_ok(c, snn_network_stage(n, &net.batch))) {
                snn_network_zero_gradients(n);
                if (learns) snn_sltt_k_batch(n, learns);
                else trainer.ops->batch(&trainer, n);
                compare(&net, run);
                if (!strcmp(run->rule, "bptt")) compare_forward(&net);
            }
        }
        golden_net_close(&net);
    }
    free(text);
}

/* ---- cases ---- */

static bool says(struct golden *c, const char *key, const char *what) {
    const char *text = golden_text(c, key);
    return !strcmp(text, what) || golden_fail(c, "does not understand %s '%s'", key, text);
}

static void packages(struct golden *c) {
    const int T = (int)golden_number(c, "T");
    says(c, "detached", "bptt.* uses detach_reset as given; sltt and ottt cut v[t-1]");
    says(c, "loss_kind", "sum_t (1/T)[(1-lam)*CE(o[t],y) + lam*MSE(o[t],target)], batch mean");
    says(c, "neuron", "lif");
    says(c, "ottt",
         "hidden weights use trace a=(1-1/tau)*a+s of the layer input; first layer uses the raw input, readout uses "
         "the trace of its input; biases untraced");
    says(c, "readout", "linear on last spikes, every step");
    says(c, "sltt_k_note", "loss still divided by T");
    says(c, "tbptt",
         "chunks of K steps, state detached at each chunk start, losses of a chunk back-propagated together");
    golden_number(c, "K"); /* one of those below */
    pass(c, &(struct run){"bptt", "bptt.", .steps = 1}, NULL);
    if (golden_find(c, "bptt_reset_attached.gw1"))
        pass(c, &(struct run){"bptt", "bptt_reset_attached.", .attached = true, .steps = 1}, NULL);
    if (golden_find(c, "bptt_reset_detached.gw1"))
        pass(c, &(struct run){"bptt", "bptt_reset_detached.", .detached = true, .steps = 1}, NULL);
    for (int k = 1; k <= T; ++k) {
        char rule[48], prefix[24], name[40];
        snprintf(rule, sizeof rule, "{name: tbptt, k: %d}", k);
        snprintf(prefix, sizeof prefix, "tbptt%d.", k);
        snprintf(name, sizeof name, "%sgw1", prefix);
        if (golden_find(c, name)) pass(c, &(struct run){rule, prefix, .steps = 1}, NULL);
    }
    pass(c, &(struct run){"sltt", "sltt.", .steps = 1}, NULL);
    pass(c, &(struct run){"ottt", "ottt.", .steps = 1}, NULL);
    json_t *steps = golden_fact(c, "sltt_k_steps");
    bool *learns = golden_own(c, (size_t)T, sizeof *learns);
    for (size_t i = 0; i < json_array_size(steps); ++i) {
        json_int_t t = json_integer_value(json_array_get(steps, i));
        if (t >= 0 && t < T) learns[t] = true;
        else golden_fail(c, "does not understand 'sltt_k_steps'");
    }
    if (json_array_size(steps)) pass(c, &(struct run){"sltt_k", "sltt_k.", .steps = 1}, learns);
}

static void factors(struct golden *c) {
    json_t *list = golden_fact(c, "factors");
    const char *rule = golden_text(c, "rule"), *spatial = golden_text(c, "spatial");
    const bool tess = !strcmp(rule, "tess");
    double f[4];
    char text[400];
    says(c, "factors_order", "[lambda_post, lambda_pre, alpha_post, alpha_pre]");
    says(c, "loss_kind",
         "sum over the last delay_ls steps of batch-mean CE(o[t],y), no 1/T; readout linear without "
         "bias, memoryless, gradient e s^T");
    says(c, "update",
         "gW=sum_t apre*(m*psi) x q + apost*(m*h_before_adding_psi) x input; q=lpre*q+input first; "
         "h=lpost*h+psi last; m* tensors are the learning signals");
    says(c, "basis",
         "lls: B[c,j]=sign(sin(f_c*j))/n, f=linspace(50,512,C), j from 0; m=B^T(softmax(B a)-y)/batch on "
         "the unpooled output");
    golden_number_or(c, "hi", 0); /* of the inputs, which are stored */
    if (json_array_size(list) != 4) golden_fail(c, "does not understand 'factors'");
    for (size_t i = 0; i < 4; ++i) f[i] = json_number_value(json_array_get(list, i));
    if (strcmp(rule, "s-tllr") && !tess) golden_fail(c, "does not understand rule '%s'", rule);
    if (strcmp(spatial, tess ? "lls" : "bp") && (tess || strcmp(spatial, "dfa")))
        golden_fail(c, "does not understand spatial '%s'", spatial);
    for (int i = 1; i < MOST_LAYERS; ++i) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        golden_without(c, name, "is an error on its way, which gw is made of");
    }
    int written = snprintf(text, sizeof text,
                           "{name: %s, lambda_post: %.17g, lambda_pre: %.17g, alpha_post: %.17g, alpha_pre: %.17g",
                           tess ? "tess" : "stllr", f[0], f[1], f[2], f[3]);
    int last = (int)golden_number(c, "delay_ls"), T = (int)golden_number(c, "T");
    if (tess && last != T) golden_fail(c, "does not understand 'delay_ls' of TESS");
    if (!tess) snprintf(text + written, sizeof text - (size_t)written, ", signal: %s, last: %d}", spatial, last);
    else snprintf(text + written, sizeof text - (size_t)written, "}");
    pass(c, &(struct run){text, "", .steps = T}, NULL);
    pass(c, &(struct run){"bptt", "whole.", .steps = T}, NULL); /* the forward pass */
}

void golden_rules(struct golden *c) {
    if (is_factors(c)) factors(c);
    else packages(c);
}
