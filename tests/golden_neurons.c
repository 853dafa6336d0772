/* SPDX-License-Identifier: Apache-2.0
 * golden_neurons.c - single neurons (spikes, membranes, gradients) and surrogate tables against the frameworks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "layers/neuron.h"

/* ---- surrogates ---- */

static int surrogate_index(const char *name) {
    for (int i = 0; i < SNN_SURROGATE_COUNT; ++i)
        if (!strcmp(name, snn_surrogate_names[i]) || !strcmp(name, snn_surrogate_aliases[i])) return i;
    return -1;
}

/* A surrogate by name with its one parameter `alpha`, or by formula. */
static bool put_surrogate(struct golden *c, FILE *yaml) {
    const char *name = golden_text(c, "surrogate");
    int which = surrogate_index(name);
    if (!strcmp(name, "1/(1+|x|)^2")) {
        golden_fact(c, "alpha"); /* norse 1.1.0 ignores it in the method that this is */
        if (strcmp(golden_text(c, "norse_method"), "super") && golden_has(c, "norse_method"))
            return golden_fail(c, "does not understand surrogate '%s' of method '%s'", name,
                               golden_text(c, "norse_method"));
        fprintf(yaml, ", surrogate: {name: super_spike, alpha: 1}");
    } else if (!strcmp(name, "(1/(w*th))*exp(-|x|/(w*th))")) {
        double width = golden_number(c, "grad_width") * golden_number(c, "threshold");
        fprintf(yaml, ", surrogate: {name: slayer, alpha: %.17g, scale: %.17g}", 1 / width,
                2 * golden_number_or(c, "grad_scale", 1));
    } else if (which >= 0 && !snn_surrogate_keys(which)[2].name) {
        fprintf(yaml, ", surrogate: {name: %s, %s: %.17g}", snn_surrogate_names[which],
                snn_surrogate_keys(which)[1].name, golden_number(c, "alpha"));
    } else {
        return golden_fail(c, "does not understand surrogate '%s'", name);
    }
    return true;
}

/* ---- neurons ---- */

static bool put_reset(struct golden *c, FILE *yaml) {
    const char *reset = golden_text(c, "reset");
    bool number = golden_has(c, "v_reset");
    double to = golden_number_or(c, "v_reset", 0);
    if (!*reset && json_object_get(c->facts, "v_reset"))
        reset = number ? "value" : "subtract"; /* SpikingJelly's convention */
    if (!strcmp(reset, "value")) fprintf(yaml, ", reset: value, v_reset: %.17g", to);
    else if (to != 0) return golden_fail(c, "does not understand reset '%s' with v_reset %g", reset, to);
    else if (!strcmp(reset, "subtract") || !strcmp(reset, "zero") || !strcmp(reset, "none"))
        fprintf(yaml, ", reset: %s", reset);
    else return golden_fail(c, "does not understand reset '%s'", reset);
    return true;
}

bool golden_put_firing(struct golden *c, FILE *yaml) {
    const char *fire = golden_text(c, "fire");
    if (strcmp(fire, ">=") && strcmp(fire, ">")) return golden_fail(c, "does not understand fire '%s'", fire);
    fprintf(yaml, "threshold: %.17g, fire: %s", golden_number(c, "threshold"), fire[1] ? "ge" : "gt");
    if (!put_reset(c, yaml)) return false;
    if (golden_has(c, "reset_delay")) { /* snnTorch: a delayed reset is detached, an immediate one is not */
        bool delay = golden_flag(c, "reset_delay", true);
        fprintf(yaml, ", reset_delay: %s, detach_reset: %s", delay ? "true" : "false", delay ? "true" : "false");
    } else {
        fprintf(yaml, ", detach_reset: %s", golden_flag(c, "detach_reset", false) ? "true" : "false");
    }
    return put_surrogate(c, yaml);
}

bool golden_resets_twice(struct golden *c) {
    if (golden_flag(c, "reset_delay", true) || strcmp(golden_text(c, "reset"), "subtract")) return false;
    const struct snn_st_tensor *shape;
    const double *v = golden_tensor(c, "v", &shape);
    for (uint64_t i = 0; v && i < snn_st_elements(shape); ++i)
        if (v[i] > golden_number(c, "threshold")) return true;
    return false;
}

bool golden_leaks_elsewhere(struct golden *c) {
    bool value = !strcmp(golden_text(c, "reset"), "value");
    double leak = golden_number_or(c, "v_leak", 0), to = golden_number_or(c, "v_reset", 0);
    return leak != (value ? to : 0) || (!value && to != 0);
}

/* Each writes a list of layers, open at the last one's keys: "[{if: {...". */
static void put_if(struct golden *c, FILE *yaml) {
    fprintf(yaml, "[{if: {");
    golden_put_firing(c, yaml);
}

static void put_lif(struct golden *c, FILE *yaml) {
    fprintf(yaml, "[{lif: {tau: %.17g, decay_input: %s, ", golden_number(c, "tau"),
            golden_flag(c, "decay_input", true) ? "true" : "false");
    golden_put_firing(c, yaml);
}

static void put_plif(struct golden *c, FILE *yaml) {
    fprintf(yaml, "[{plif: {tau: %.17g, decay_input: %s, ", golden_number(c, "init_tau"),
            golden_flag(c, "decay_input", true) ? "true" : "false");
    golden_put_firing(c, yaml);
}

static void put_leaky(struct golden *c, FILE *yaml) {
    golden_flag(c, "learn_beta", false),
        golden_flag(c, "learn_threshold", false); /* their values are where they start */
    golden_without(c, "g.beta", "lif does not learn it"), golden_without(c, "g.threshold", "lif does not learn it");
    double beta = golden_number(c, "beta"), threshold = golden_number(c, "threshold");
    golden_compare(c, "p.beta", &beta, 1, GOLDEN_VALUE), golden_compare(c, "p.threshold", &threshold, 1, GOLDEN_VALUE);
    if (!golden_has(c, "reset_delay")) golden_fail(c, "the case does not say 'reset_delay'");
    fprintf(yaml, "[{lif: {beta: %.17g, ", fmin(fmax(beta, 0), 1)); /* snnTorch clamps it */
    golden_put_firing(c, yaml);
}

/* What a time step of Norse keeps. */
static double norse_keep(struct golden *c, const char *rate) {
    return 1 - golden_number(c, "dt") * golden_number(c, rate);
}

static void put_norse_box(struct golden *c, FILE *yaml) {
    golden_number(c, "v_leak"); /* that of the reset: golden_leaks_elsewhere */
    fprintf(yaml, "[{lif: {beta: %.17g, decay_input: true, ", norse_keep(c, "tau_mem_inv"));
    golden_put_firing(c, yaml);
}

static void put_norse_li(struct golden *c, FILE *yaml) {
    golden_number(c, "v_leak");
    fprintf(yaml, "[{li: {beta: %.17g}}, {li: {beta: %.17g, decay_input: true", norse_keep(c, "tau_syn_inv"),
            norse_keep(c, "tau_mem_inv"));
}

static void put_sinabs_tau(struct golden *c, FILE *yaml, const char *layer) {
    fprintf(yaml, "[{%s: {tau: %.17g, decay: exp, decay_input: %s, ", layer, golden_number(c, "tau_mem"),
            golden_flag(c, "norm_input", true) ? "true" : "false");
    golden_without(c, "g.tau_mem", "time constants are not learned");
    double tau = golden_number(c, "tau_mem");
    golden_compare(c, "p.tau_mem", &tau, 1, GOLDEN_VALUE);
}

static void put_sinabs_lif(struct golden *c, FILE *yaml) {
    golden_fact(c, "tau_syn"), golden_fact(c, "min_v_mem"); /* null here: the others are pending */
    put_sinabs_tau(c, yaml, "lif");
    golden_put_firing(c, yaml);
}

static void put_sinabs_iaf(struct golden *c, FILE *yaml) {
    golden_fact(c, "tau_syn");
    put_if(c, yaml);
}

static void put_sinabs_expleak(struct golden *c, FILE *yaml) {
    golden_fact(c, "tau_syn"), golden_fact(c, "min_v_mem");
    put_sinabs_tau(c, yaml, "li");
}

static const struct kind {
    const char *neuron;
    void (*put)(struct golden *c, FILE *yaml);
    bool spikes;
} kinds[] = {
    {"if", put_if, true},
    {"lif", put_lif, true},
    {"plif", put_plif, true},
    {"leaky", put_leaky, true},
    {"norse_lif_box", put_norse_box, true},
    {"norse_li (no firing; y is v)", put_norse_li, false},
    {"sinabs_lif", put_sinabs_lif, true},
    {"sinabs_iaf", put_sinabs_iaf, true},
    {"sinabs_expleak", put_sinabs_expleak, false},
};

/* Layers from [{NAME: {keys}}, ...] on the tape; plif's parameter is the case's p.w. */
static bool record(struct golden_net *net, struct snn_conf *list, struct snn_tensor *x) {
    struct golden *c = net->c;
    struct snn_tape *tape = &net->network.model.tape;
    for (struct snn_conf *item = list->first; item; item = item->next) {
        struct snn_conf *map = item->first;
        int model = 0;
        while (strcmp(snn_neuron_models[model].name, map->key)) ++model;
        struct snn_neuron_options *o = golden_own(c, 1, sizeof *o);
        if (!golden_ok(c, snn_neuron_read(map, model, 0, o))) return false;
        struct snn_param *w = snn_neuron_models[model].learns ? golden_net_param(net, "p.w", false) : NULL;
        if (snn_neuron_models[model].learns && !w) return golden_fail(c, "the case has no tensor 'p.w'");
        x = snn_neuron(tape, map->key, x, o, w);
    }
    return true;
}

static void compare_neuron(struct golden_net *net, const struct kind *kind) {
    struct golden *c = net->c;
    const struct snn_tensor *x = net->network.model.tape.input, *y = net->network.model.tape.output;
    size_t rows = (size_t)net->batch.T * (size_t)net->batch.B, count = rows * (size_t)y->units;
    const double *v = net->seen[net->neurons - 1].v;
    golden_compare(c, "s", net->seen[net->neurons - 1].s, count, GOLDEN_EXACT);
    if (kind->spikes) golden_compare_real(c, "s", y->data, count, GOLDEN_EXACT);
    else golden_compare_real(c, "y", y->data, count, GOLDEN_VALUE);
    golden_compare(c, "v", v, count, GOLDEN_VALUE);
    golden_compare(c, "v_mem", v, count, GOLDEN_VALUE);
    if (net->neurons == 2) { /* the current that Norse stores has decayed already */
        double *i = net->seen[0].v, keep = norse_keep(c, "tau_syn_inv");
        for (size_t k = 0; k < count; ++k) i[k] *= keep;
        golden_compare(c, "i", i, count, GOLDEN_VALUE);
    }
    golden_net_backward(net, "gs", true);
    if (c->verdict != GOLDEN_PASS) return;
    golden_compare_real(c, "gx", x->grad, rows * (size_t)x->units, GOLDEN_GRADIENT);
    const struct snn_param *w = snn_params_find(&net->network.model.params, "p.w");
    if (w) golden_compare_real(c, "g.w", w->grad, (size_t)w->count, GOLDEN_GRADIENT);
}

/* The stored initial parameter is also what the layer itself would start from. */
static void compare_start(struct golden *c) {
    const struct snn_st_tensor *w = golden_find(c, "p.w");
    double start = -log(golden_number(c, "init_tau") - 1);
    if (w) golden_compare(c, "p.w", &start, 1, GOLDEN_VALUE);
}

void golden_neurons(struct golden *c) {
    const char *neuron = golden_text(c, "neuron");
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        if (!strcmp(neuron, kinds[i].neuron)) kind = &kinds[i];
    if (!kind) {
        golden_fail(c, "does not understand neuron '%s'", neuron);
        return;
    }
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "layers: ");
    kind->put(c, yaml);
    fprintf(yaml, "}}]\n");
    fclose(yaml);
    golden_fact(c, "ties"); /* how many there are, not what to do */
    struct golden_net net;
    if (c->verdict == GOLDEN_PASS && golden_net_open(c, &net)) {
        struct snn_conf *list = golden_parse(c, &net, text);
        struct snn_tensor *x = list ? golden_net_input(&net, "x", false) : NULL;
        if (x && record(&net, list, x) && golden_net_allocate(&net, false)) {
            golden_net_forward(&net, true, SNN_HARD);
            compare_neuron(&net, kind);
        }
        if (!strcmp(neuron, "plif")) compare_start(c);
        golden_net_close(&net);
    }
    free(text);
}

/* ---- surrogate tables ---- */

static const struct formula {
    const char *formula, *name, *theirs; /* our surrogate, and what they call its parameter */
} formulas[] = {
    {"a*sg(ax)(1-sg(ax))", "sigmoid", "alpha"},
    {"k exp(-kx)/(1+exp(-kx))^2", "sigmoid", "slope"},
    {"(a/2)/(1+(pi*a*x/2)^2)", "atan", "alpha"},
    {"1/(1+k|x|)^2", "fast_sigmoid", "slope"},
    {"max(0, a-a^2|x|)", "triangle", "alpha"},
    {"a if |x|<1/(2a) else 0", "rect", "alpha"},
    {"scale*N(x;mu,sigma)", "gaussian", "sigma"},
    {"(a/sqrt(pi))exp(-(ax)^2)", "erf", "alpha"},
    {"a/(2(1+a|x|)^2)", "soft_sign", "alpha"},
    {"a/(1+|x|)^2", "super_spike", "alpha"},
    {"1/(1+|x|)^2  (alpha is ignored in norse 1.1.0)", "super_spike", NULL},
    {"(a/2)exp(-a|x|)", "piecewise_exp", "alpha"},
    {"scale/(w*th)*exp(-|x|/(w*th))", "slayer", "grad_width"},
};

static double set_number(const json_t *set, const char *key, double fallback) {
    const json_t *value = json_object_get(set, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

/* Only these keys are understood in a set of parameters. */
static bool understands_set(struct golden *c, json_t *set, const struct formula *f) {
    const char *key;
    json_t *value;
    bool gauss = !strcmp(f->name, "gaussian"), slayer = !strcmp(f->name, "slayer");
    json_object_foreach(set, key, value) {
        bool known = !strcmp(key, f->theirs ? f->theirs : "alpha") ||
                     ((gauss || slayer) && (!strcmp(key, "grad_scale") || !strcmp(key, "threshold"))) ||
                     (gauss && !strcmp(key, "mu"));
        if (!known || !json_is_number(value))
            return golden_fail(c, "does not understand '%s' of formula '%s'", key, f->formula);
    }
    return true;
}

/* A memoryless neuron reads the table: its membrane is its input, and with an upstream gradient of 1 that of its input
 * is the derivative. */
static void one_table(struct golden *c, const struct formula *f, json_t *set, int k) {
    char name[16], primitive[16], text[400], scale[64] = "";
    snprintf(name, sizeof name, "dy%d", k);
    snprintf(primitive, sizeof primitive, "prim%d", k);
    double grad_scale = set_number(set, "grad_scale", 1), p = f->theirs ? set_number(set, f->theirs, NAN) : 1;
    float threshold = (float)set_number(set, "threshold", 0);
    if (isnan(p)) {
        golden_fail(c, "the case does not say '%s' of set %d", f->theirs, k);
        return;
    }
    if (!strcmp(f->name, "slayer")) {
        p = 1 / (p * set_number(set, "threshold", 1));
        snprintf(scale, sizeof scale, ", scale: %.17g", 2 * grad_scale);
    } else if (grad_scale != 1 || set_number(set, "mu", 0) != 0) {
        golden_without(c, name, "gaussian has neither scale nor centre");
        return;
    }
    int which = surrogate_index(f->name);
    const char *fire = golden_text(c, "fire");
    if (strcmp(fire, ">=") && strcmp(fire, ">")) golden_fail(c, "does not understand fire '%s'", fire);
    snprintf(text, sizeof text, "if: {reset: none, threshold: %.17g, fire: %s, surrogate: {name: %s, %s: %.17g%s}}\n",
             (double)threshold, fire[0] && fire[1] ? "ge" : "gt", f->name, snn_surrogate_keys(which)[1].name, p, scale);
    struct golden_net net;
    if (!golden_net_open(c, &net)) return;
    struct snn_conf *map = golden_parse(c, &net, text);
    const struct snn_st_tensor *shape = golden_find(c, "x");
    struct snn_neuron_options options;
    if (map && shape && golden_ok(c, snn_neuron_read(map, 0, 0, &options))) {
        int32_t n = (int32_t)snn_st_elements(shape), zero = 0, one = 1;
        float *x = golden_own(c, (size_t)n, sizeof *x);
        golden_ok(c, snn_st_to_float(shape, x));
        for (int32_t i = 0; i < n; ++i) x[i] += threshold; /* in float, as sinabs has it */
        net.batch = (struct snn_batch){.form = SNN_BATCH_FRAMES,
                                       .T = 1,
                                       .B = 1,
                                       .C = n,
                                       .H = 1,
                                       .W = 1,
                                       .frames = x,
                                       .label = &zero,
                                       .length = &one,
                                       .sample = &zero};
        struct snn_tape *tape = &net.network.model.tape;
        struct snn_tensor *in = snn_tape_input(tape, 1, &n, false);
        in->needs_grad = true;
        snn_neuron(tape, f->name, in, &options, NULL);
        if (golden_net_allocate(&net, false)) {
            golden_net_forward(&net, true, SNN_HARD);
            golden_compare_real(c, "s", tape->output->data, (size_t)n, GOLDEN_EXACT);
            for (int32_t i = 0; i < n; ++i) tape->output->grad[i] = 1;
            golden_net_backward(&net, NULL, true);
            golden_compare_real(c, name, in->grad, (size_t)n, GOLDEN_VALUE);
        }
        if (golden_net_allocate(&net, true)) {
            golden_net_forward(&net, true, SNN_SMOOTH_RECORD);
            golden_compare_real(c, primitive, tape->output->data, (size_t)n, GOLDEN_VALUE);
        }
    }
    golden_net_close(&net);
}

void golden_surrogates(struct golden *c) {
    const char *formula = golden_text(c, "formula");
    const struct formula *f = NULL;
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; ++i)
        if (!strcmp(formula, formulas[i].formula)) f = &formulas[i];
    json_t *sets = golden_fact(c, "params"), *set;
    golden_fact(c, "framework"), golden_fact(c, "framework_name"); /* the formula says it all */
    if (strcmp(golden_text(c, "kind"), "surrogate"))
        golden_fail(c, "does not understand kind '%s'", golden_text(c, "kind"));
    if (!f) golden_fail(c, "does not understand formula '%s'", formula);
    if (!json_array_size(sets)) golden_fail(c, "the case does not say 'params'");
    size_t k;
    json_array_foreach(sets, k, set) if (c->verdict == GOLDEN_PASS && understands_set(c, set, f))
        one_table(c, f, set, (int)k);
}
