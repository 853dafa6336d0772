/* SPDX-License-Identifier: Apache-2.0
 * golden_neurons.c - single neurons (spikes, membranes, gradients) and surrogate tables against the frameworks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "layers/cells/all.h"
#include "layers/neuron.h"

/* ---- surrogates ---- */

/* What a case calls a surrogate, ours, and our numbers from its facts, each times a factor; without a fact, the factor
 * itself. */
enum { NAMED = 6 }; /* at most, and a NULL */
struct named {
    const char *theirs, *ours;
    struct {
        const char *key, *fact;
        double factor;
    } set[NAMED];
};

static const struct named named[] = {
    {"atan", "atan", {{"alpha", "alpha", 1}}},
    {"sigmoid", "sigmoid", {{"alpha", "alpha", 1}}},
    {"rect", "rect", {{"alpha", "alpha", 1}}},
    {"erf", "erf", {{"alpha", "alpha", 1}}},
    {"piecewise_quadratic", "triangle", {{"alpha", "alpha", 1}}},
    {"piecewise_exp", "piecewise_exp", {{"alpha", "alpha", 1}}},
    {"soft_sign", "soft_sign", {{"alpha", "alpha", 1}}},
    {"super_spike", "super_spike", {{"alpha", "alpha", 1}}},
    {"fast_sigmoid", "fast_sigmoid", {{"slope", "alpha", 1}}},
    {"(1/(w*th))*exp(-|x|/(w*th))",
     "single_exponential",
     {{"grad_width", "grad_width", 1}, {"grad_scale", "grad_scale", 1}, {"threshold", "threshold", 1}}},
    {"periodic_exponential",
     "periodic_exponential",
     {{"grad_width", "grad_width", 1}, {"grad_scale", "grad_scale", 1}, {"threshold", "threshold", 1}}},
    {"c*alpha/2*exp(-alpha|x|)", "slayer", {{"alpha", "alpha_surr", 1}, {"scale", "c", 1}}},
    {"1/(100|x|+1)^2", "fast_sigmoid", {{"slope", NULL, 100}}},
    {"multi-gaussian",
     "multi_gaussian",
     {{"sigma", "sigma", 1}, {"h", "h", 1}, {"s", "s", 1}, {"grad_scale", "gamma", 1}}},
    {"1 for -0.5<x<=0.5", "rect", {{"alpha", NULL, 1}}},
};

/* Norse passes its one alpha to whichever method; 1.1.0 ignores it in `super`. */
static const struct named norse[] = {
    {"super", "super_spike", {{"alpha", NULL, 1}}},
    {"tanh", "tanh", {{"alpha", "alpha", 1}}},
    {"triangle", "esser", {{"gamma", "alpha", 1}, {"threshold", NULL, 1}}},
    {"heavi_erfc", "heavi_erfc", {{"alpha", "alpha", 1}}},
    {"circ", "circ", {{"alpha", "alpha", 1}}},
};

static const struct named *find_named(const struct named *list, size_t count, const char *theirs) {
    for (size_t i = 0; i < count; ++i)
        if (!strcmp(list[i].theirs, theirs)) return &list[i];
    return NULL;
}
#define FIND(list, theirs) find_named(list, sizeof list / sizeof *list, theirs)

static bool put_surrogate(struct golden *c, FILE *yaml) {
    const char *name = golden_text(c, "surrogate");
    bool super = !strcmp(name, "1/(1+|x|)^2");
    const char *method = golden_has(c, "norse_method") ? golden_text(c, "norse_method") : super ? "super" : NULL;
    const struct named *n = method ? FIND(norse, method) : FIND(named, name);
    if (!n || (method && strcmp(name, super ? "1/(1+|x|)^2" : method)))
        return golden_fail(c, "does not understand surrogate '%s' of method '%s'", name, method ? method : "none");
    golden_fact(c, "alpha");
    fprintf(yaml, ", surrogate: {name: %s", n->ours);
    for (int i = 0; i < NAMED && n->set[i].key; ++i) {
        const char *fact = n->set[i].fact;
        bool absent = fact && !strcmp(fact, "grad_scale") && !golden_has(c, fact);
        double value = !fact || absent ? 1 : golden_number(c, fact);
        fprintf(yaml, ", %s: %.17g", n->set[i].key, n->set[i].factor * value);
    }
    fprintf(yaml, "}");
    return true;
}

/* ---- neurons ---- */

/* Some have a reset that no key says, or call it otherwise. */
static bool has_own_reset(struct golden *c) {
    const char *neuron = golden_text(c, "neuron");
    return strstr(neuron, "adlif") || !strcmp(neuron, "Yin ALIF") || !strcmp(neuron, "izhikevich");
}

static bool put_reset(struct golden *c, FILE *yaml) {
    static const char *const words[] = {"value 0, detached", "multiply (1-s), detached"};
    const char *reset = golden_text(c, "reset");
    if (has_own_reset(c)) return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (!strcmp(reset, words[i])) reset = "zero";
    if (!strcmp(reset, "subtract inside leak")) reset = "subtract"; /* the same, a step later */
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
    bool one = json_is_number(golden_fact(c, "threshold")); /* else there is a tensor of them */
    fprintf(yaml, "threshold: %.17g, fire: %s", one ? golden_number(c, "threshold") : golden_number_or(c, "b0", 1),
            fire[1] ? "ge" : "gt");
    if (!put_reset(c, yaml)) return false;
    if (golden_has(c, "reset_delay")) { /* snnTorch: a delayed reset is detached, an immediate one is
                                              not, and is no other reset's where one is due already */
        bool delay = golden_flag(c, "reset_delay", true);
        fprintf(yaml, ", reset_delay: %s, detach_reset: %s", delay ? "true" : "twice", delay ? "true" : "false");
    } else {
        /* sinabs multiplies by (spikes == 0), through which no gradient passes, whatever the case says */
        const char *reset = golden_text(c, "reset");
        bool cut = golden_flag(c, "detach_reset", false) || strstr(reset, "detached") ||
                   (!strncmp(golden_text(c, "neuron"), "sinabs", 6) && !strcmp(reset, "value"));
        if (!has_own_reset(c) || !strcmp(golden_text(c, "neuron"), "izhikevich"))
            fprintf(yaml, ", detach_reset: %s", cut ? "true" : "false");
    }
    return put_surrogate(c, yaml);
}

/* What a kind of neuron writes beside its keys: where its parameters and states are in the case. */
struct layout {
    struct { /* a learned coefficient, by its key; NULL: `tensor` has its gradient under a name of its own */
        const char *key, *tensor, *gradient;
    } learned[8];
    int count;
    /* tensors of a linear layer before and its bias, of the recurrent weight and its bias; and their gradients */
    const char *weight, *wbias, *recurrent, *bias, *gweight, *gwbias, *grecurrent, *gbias;
    const char *start[SNN_CELL_STATES]; /* states before the first step */
    const char *first_spikes;           /* and spikes, which come back in it */
    struct {
        const char *tensor;
        int state;
        bool charged; /* before the step has settled */
        double scale;
    } seen[4];
    int seens;
    bool silent; /* y is the output */
};

static void learns(struct layout *l, const char *key, const char *tensor, const char *gradient) {
    l->learned[l->count].key = key, l->learned[l->count].tensor = tensor, l->learned[l->count++].gradient = gradient;
}

static void shows(struct layout *l, const char *tensor, int state, bool charged, double scale) {
    l->seen[l->seens].tensor = tensor, l->seen[l->seens].state = state;
    l->seen[l->seens].charged = charged, l->seen[l->seens++].scale = scale;
}

/* ", learn: [...], per: ..." for what the case has a tensor of; one number, or one a neuron. */
static void put_learned(struct golden *c, FILE *yaml, struct layout *l) {
    int n = 0;
    bool many = false;
    for (int i = 0; i < l->count; ++i) {
        const struct snn_st_tensor *t = snn_st_find(c->file, l->learned[i].tensor);
        if (!t) continue;
        many = many || snn_st_elements(t) > 1;
        l->learned[n++] = l->learned[i];
    }
    l->count = n;
    for (int i = 0; i < n; ++i) fprintf(yaml, "%s%s", i ? ", " : ", learn: [", l->learned[i].key);
    if (n) fprintf(yaml, "], per: %s", many ? "neuron" : "layer");
}

/* Each writes a list of layers, open at the last one's keys: "[{if: {...". */
static void put_if(struct golden *c, FILE *yaml, struct layout *l) {
    (void)l;
    fprintf(yaml, "[{if: {");
    golden_put_firing(c, yaml);
}

static void put_lif(struct golden *c, FILE *yaml, struct layout *l) {
    (void)l;
    fprintf(yaml, "[{lif: {tau: %.17g, decay_input: %s, ", golden_number(c, "tau"),
            golden_flag(c, "decay_input", true) ? "true" : "false");
    golden_put_firing(c, yaml);
}

static void put_sltt(struct golden *c, FILE *yaml, struct layout *l) {
    put_lif(c, yaml, l);
    if (!strcmp(golden_text(c, "neuron"), "ottt")) golden_without(c, "trace", "is the rule's, a sum over the spikes");
    fprintf(yaml, ", detach_state: true");
}

static void put_plif(struct golden *c, FILE *yaml, struct layout *l) {
    learns(l, "tau", "p.w", "g.w"); /* in any case: no key says so */
    fprintf(yaml, "[{plif: {tau: %.17g, decay_input: %s, ", golden_number(c, "init_tau"),
            golden_flag(c, "decay_input", true) ? "true" : "false");
    golden_put_firing(c, yaml);
}

/* snnTorch's numbers: one, or "tensor" with one a neuron; learned or not, their gradients are there where a p. is. */
static void put_number(struct golden *c, FILE *yaml, const char *key, const char *fact) {
    if (json_is_number(json_object_get(c->facts, fact))) fprintf(yaml, "%s: %.17g, ", key, golden_number(c, fact));
    else golden_text(c, fact);
}

static void put_leaky(struct golden *c, FILE *yaml, struct layout *l) {
    golden_flag(c, "learn_beta", false), golden_flag(c, "learn_threshold", false);
    learns(l, "beta", "p.beta", "g.beta"), learns(l, "threshold", "p.threshold", "g.threshold");
    golden_without(c, "beta", "is p.beta"), golden_without(c, "th", "is p.threshold");
    if (!golden_has(c, "reset_delay")) golden_fail(c, "the case does not say 'reset_delay'");
    fprintf(yaml, "[{lif: {");
    put_number(c, yaml, "beta", "beta");
    if (!json_is_number(json_object_get(c->facts, "beta"))) fprintf(yaml, "beta: 0.5, ");
    golden_put_firing(c, yaml);
    put_learned(c, yaml, l);
}

static void put_rleaky(struct golden *c, FILE *yaml, struct layout *l) {
    learns(l, "beta", "p.beta", "g.beta");
    bool all = golden_flag(c, "all_to_all", true);
    if (all) {
        l->recurrent = "p.recurrent.weight", l->grecurrent = "g.recurrent.weight";
        l->bias = "p.recurrent.bias", l->gbias = "g.recurrent.bias";
        golden_without(c, "wr", "is p.recurrent.weight"), golden_without(c, "br", "is p.recurrent.bias");
        golden_without(c, "V", "is of the other kind");
    } else {
        l->recurrent = "p.V", l->grecurrent = "g.V";
        golden_without(c, "V", "is p.V");
        golden_without(c, "wr", "is of the other kind"), golden_without(c, "br", "is of the other kind");
    }
    fprintf(yaml, "[{lif: {beta: %.17g, drop_input: true, recurrent: {%s}, ", golden_number(c, "beta"),
            all ? "bias: true" : "kind: one");
    golden_put_firing(c, yaml);
    put_learned(c, yaml, l);
}

static void put_lapicque(struct golden *c, FILE *yaml, struct layout *l) {
    (void)l;
    fprintf(yaml, "[{lapicque: {resistance: %.17g, capacitance: %.17g, time_step: %.17g, reset_delay: true, ",
            golden_number(c, "R"), golden_number(c, "C"), golden_number(c, "time_step"));
    golden_put_firing(c, yaml);
}

static void put_synaptic(struct golden *c, FILE *yaml, struct layout *l) {
    learns(l, "alpha", "p.alpha", "g.alpha"), learns(l, "beta", "p.beta", "g.beta");
    shows(l, "syn", SYN_I, false, 1);
    fprintf(yaml, "[{cuba: {alpha: %.17g, beta: %.17g, ", golden_number(c, "alpha_syn"), golden_number(c, "beta"));
    golden_put_firing(c, yaml);
    put_learned(c, yaml, l);
}

static void put_cuba(struct golden *c, FILE *yaml, struct layout *l) {
    (void)l;
    fprintf(yaml, "[{cuba: {alpha: %.17g, beta: %.17g, ", golden_number(c, "c_decay"), golden_number(c, "v_decay"));
    golden_put_firing(c, yaml);
}

static void put_recurrent_lif(struct golden *c, FILE *yaml, struct layout *l) {
    l->recurrent = "w", l->grecurrent = "gw", l->bias = "b", l->gbias = "gb"; /* one matrix on [x; s] */
    if (!golden_flag(c, "bias", true)) golden_fail(c, "does not understand a recurrence without bias");
    fprintf(yaml, "[{lif: {tau: %.17g, decay_input: %s, recurrent: {bias: true}, ", golden_number(c, "tau"),
            golden_flag(c, "decay_input", true) ? "true" : "false");
    golden_put_firing(c, yaml);
}

/* What a time step of Norse keeps. */
static double norse_keep(struct golden *c, const char *rate) {
    return 1 - golden_number(c, "dt") * golden_number(c, rate);
}

static void put_norse_box(struct golden *c, FILE *yaml, struct layout *l) {
    (void)l;
    fprintf(yaml, "[{lif: {beta: %.17g, v_rest: %.17g, v_start: 0, decay_input: true, ", norse_keep(c, "tau_mem_inv"),
            golden_number(c, "v_leak"));
    golden_put_firing(c, yaml);
}

/* The current that Norse stores has decayed already. */
static void put_norse(struct golden *c, FILE *yaml, struct layout *l, const char *layer) {
    double alpha = norse_keep(c, "tau_syn_inv");
    shows(l, "i", SYN_I, true, alpha);
    fprintf(yaml, "[{%s: {alpha: %.17g, beta: %.17g, v_rest: %.17g, v_start: 0, decay_input: true", layer, alpha,
            norse_keep(c, "tau_mem_inv"), golden_number(c, "v_leak"));
}

static void put_norse_li(struct golden *c, FILE *yaml, struct layout *l) {
    l->silent = true;
    put_norse(c, yaml, l, "cuba_li");
}

static void put_norse_lif(struct golden *c, FILE *yaml, struct layout *l) {
    put_norse(c, yaml, l, "cuba");
    fprintf(yaml, ", ");
    golden_put_firing(c, yaml);
}

static void put_norse_recurrent(struct golden *c, FILE *yaml, struct layout *l) {
    l->weight = "w", l->gweight = "gw", l->recurrent = "r", l->grecurrent = "gr";
    put_norse_lif(c, yaml, l);
    fprintf(yaml, ", recurrent: true");
}

static void put_sinabs_tau(struct golden *c, FILE *yaml, struct layout *l, const char *layer) {
    bool synaptic = golden_has(c, "tau_syn");
    learns(l, "tau", "p.tau_mem", "g.tau_mem"), learns(l, "tau_syn", "p.tau_syn", "g.tau_syn");
    if (!snn_st_find(c->file, "p.tau_mem")) golden_without(c, "g.tau_mem", "is not a parameter of the case");
    shows(l, "v_mem", 0, false, 1);
    fprintf(yaml, "[{%s: {tau: %.17g, decay: exp, learn_as: tau, decay_input: %s", layer, golden_number(c, "tau_mem"),
            golden_flag(c, "norm_input", true) ? "true" : "false");
    if (synaptic) fprintf(yaml, ", tau_syn: %.17g, decay_current: true", golden_number(c, "tau_syn"));
    if (golden_has(c, "min_v_mem")) fprintf(yaml, ", v_min: %.17g", golden_number(c, "min_v_mem"));
    put_learned(c, yaml, l);
}

static void put_sinabs_lif(struct golden *c, FILE *yaml, struct layout *l) {
    put_sinabs_tau(c, yaml, l, golden_has(c, "tau_syn") ? "cuba" : "lif");
    const char *spike = golden_text(c, "spike");
    if (*spike && strncmp(spike, "multi: trunc(v/threshold)", 25))
        golden_fail(c, "does not understand spike '%s'", spike);
    fprintf(yaml, "%s, ", *spike ? ", spikes: counted" : "");
    golden_put_firing(c, yaml);
}

static void put_sinabs_recurrent(struct golden *c, FILE *yaml, struct layout *l) {
    l->recurrent = "wr", l->grecurrent = "gwr";
    put_sinabs_tau(c, yaml, l, "lif");
    fprintf(yaml, ", recurrent: true, ");
    golden_put_firing(c, yaml);
}

static void put_sinabs_iaf(struct golden *c, FILE *yaml, struct layout *l) {
    golden_fact(c, "tau_syn");
    shows(l, "v_mem", 0, false, 1);
    put_if(c, yaml, l);
}

static void put_sinabs_expleak(struct golden *c, FILE *yaml, struct layout *l) {
    l->silent = true;
    put_sinabs_tau(c, yaml, l, golden_has(c, "tau_syn") ? "cuba_li" : "li");
}

/* An equation case: its own weight, a tensor a coefficient by the coefficient's name. */
static void put_equation(struct golden *c, FILE *yaml, struct layout *l, const char *layer) {
    l->weight = "w", l->gweight = "gw";
    if (snn_st_find(c->file, "v")) l->recurrent = "v", l->grecurrent = "gv";
    fprintf(yaml, "[{%s: {", layer);
    golden_put_firing(c, yaml);
    if (l->recurrent)
        fprintf(yaml, ", recurrent: %s", strncmp(golden_text(c, "neuron"), "sparch", 6) ? "true" : "{diagonal: false}");
}

static void put_sparch(struct golden *c, FILE *yaml, struct layout *l) {
    bool adaptive = strstr(golden_text(c, "neuron"), "adlif");
    shows(l, "u", 0, true, 1);
    l->first_spikes = "s0";
    learns(l, adaptive ? "alpha" : "beta", "alpha", "galpha");
    l->start[0] = "u0";
    if (adaptive) {
        learns(l, "beta", "beta", "gbeta"), learns(l, "a", "a", "ga"), learns(l, "b", "b", "gb");
        shows(l, "wa", ADLIF_W, true, 1);
        l->start[ADLIF_W] = "w0", l->start[ADLIF_S] = "s0";
        put_equation(c, yaml, l, "adlif");
    } else {
        put_equation(c, yaml, l, "lif");
        fprintf(yaml, ", decay_input: true, decay: exp");
    }
    put_learned(c, yaml, l);
}

static void put_se_adlif(struct golden *c, FILE *yaml, struct layout *l) {
    bool forward = !strncmp(golden_text(c, "neuron"), "EF", 2);
    learns(l, "alpha", "alpha", "galpha"), learns(l, "beta", "beta", "gbeta");
    learns(l, "a", "a", "ga"), learns(l, "b", "b", "gb");
    l->wbias = "bias", l->gwbias = "gbias";
    shows(l, "u", SEADLIF_V, false, 1), shows(l, "wa", SEADLIF_W, forward, 1);
    put_equation(c, yaml, l, "se_adlif");
    fprintf(yaml, ", q: %.17g, euler_forward: %s", golden_number(c, "q"), forward ? "true" : "false");
    put_learned(c, yaml, l);
}

static void put_yin(struct golden *c, FILE *yaml, struct layout *l) {
    learns(l, "beta", "alpha", "galpha"), learns(l, "rho", "rho", "grho");
    shows(l, "u", 0, true, 1);
    golden_without(c, "th", "is b, scaled");
    put_equation(c, yaml, l, "yin_alif");
    fprintf(yaml, ", adapt_scale: %.17g, b_start: %.17g", golden_number(c, "beta"), golden_number(c, "b_init"));
    put_learned(c, yaml, l);
}

static void put_spytorch(struct golden *c, FILE *yaml, struct layout *l) {
    golden_number(c, "dt"), golden_number(c, "tau_mem"),
        golden_number(c, "tau_syn"); /* the factors are made of these */
    shows(l, "u", SPY_U, true, 1), shows(l, "i", SPY_I, true, 1);
    put_equation(c, yaml, l, "spytorch");
    fprintf(yaml, ", alpha: %.17g, beta: %.17g", golden_number(c, "alpha_syn"), golden_number(c, "beta"));
}

static void put_alpha(struct golden *c, FILE *yaml, struct layout *l) {
    golden_text(c, "tau_alpha");
    shows(l, "syn_exc", ALPHA_E, false, 1), shows(l, "syn_inh", ALPHA_N, false, 1);
    fprintf(yaml, "[{alpha: {alpha: %.17g, beta: %.17g, ", golden_number(c, "alpha_syn"), golden_number(c, "beta"));
    golden_put_firing(c, yaml);
}

static void put_klif(struct golden *c, FILE *yaml, struct layout *l) {
    learns(l, "k", "p.k", "g.k");
    fprintf(yaml, "[{klif: {tau: %.17g, k: %.17g, decay_input: %s, scale_reset: %s, ", golden_number(c, "tau"),
            golden_number(c, "k"), golden_flag(c, "decay_input", true) ? "true" : "false",
            golden_flag(c, "scale_reset", false) ? "true" : "false");
    golden_put_firing(c, yaml);
}

/* Every number is a parameter; conduct has one a step and channel. */
static void put_glif(struct golden *c, FILE *yaml, struct layout *l) {
    static const char *const keys[][3] = {{"alpha", "p.alpha", "g.alpha"},
                                          {"beta", "p.beta", "g.beta"},
                                          {"gamma", "p.gamma", "g.gamma"},
                                          {"tau", "p.tau", "g.tau"},
                                          {"threshold", "p.v_threshold", "g.v_threshold"},
                                          {"linear_decay", "p.linear_decay", "g.linear_decay"},
                                          {"v_subreset", "p.v_subreset", "g.v_subreset"},
                                          {"conduct", "p.conduct", "g.conduct"}};
    const struct snn_st_tensor *gates = golden_find(c, "p.alpha"), *conduct = golden_find(c, "p.conduct");
    golden_number(c, "inplane");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) learns(l, keys[i][0], keys[i][1], keys[i][2]);
    if (!gates || !conduct) golden_fail(c, "has no gates");
    else
        fprintf(yaml, "[{glif: {steps: %g, fire: %s", (double)snn_st_elements(conduct) / (double)snn_st_elements(gates),
                strcmp(golden_text(c, "fire"), ">") ? "ge" : "gt");
    put_surrogate(c, yaml);
}

/* ", KEY: NUMBER" for each pair of (key, fact). */
static void put_numbers(struct golden *c, FILE *yaml, const char *const *pairs) {
    for (; *pairs; pairs += 2) fprintf(yaml, ", %s: %.17g", pairs[0], golden_number(c, pairs[1]));
}

static void put_qif(struct golden *c, FILE *yaml, struct layout *l) {
    static const char *const numbers[] = {"tau", "tau", "a0", "a0", "v_critical", "v_c", "v_rest", "v_rest", NULL};
    static const char *const adapts[] = {"tau_adapt", "tau_w", "a", "a", "b", "b", NULL};
    bool adapting = !strcmp(golden_text(c, "neuron"), "izhikevich_sj");
    (void)l;
    fprintf(yaml, "[{%s: {", adapting ? "aqif" : "qif");
    golden_put_firing(c, yaml);
    put_numbers(c, yaml, numbers);
    if (!adapting) return;
    put_numbers(c, yaml, adapts);
    if (golden_number_or(c, "w_rest", 0) != 0) golden_fail(c, "does not understand w_rest");
}

static void put_eif(struct golden *c, FILE *yaml, struct layout *l) {
    static const char *const numbers[] = {"tau",      "tau",    "sharpness", "delta_T", "v_rheobase",
                                          "theta_rh", "v_rest", "v_rest",    NULL};
    (void)l;
    fprintf(yaml, "[{eif: {");
    golden_put_firing(c, yaml);
    put_numbers(c, yaml, numbers);
}

/* 1 / (dt rate) steps */
static double norse_steps(struct golden *c, const char *rate) {
    return 1 / (golden_number(c, "dt") * golden_number(c, rate));
}

static void put_norse_ex(struct golden *c, FILE *yaml, struct layout *l) {
    static const char *const numbers[] = {"sharpness", "delta_T", "v_rheobase", "threshold", "v_rest", "v_leak", NULL};
    static const char *const adapts[] = {"a", "adaptation_current", "b", "adaptation_spike", NULL};
    bool adapting = !strcmp(golden_text(c, "neuron"), "norse_lif_adex");
    shows(l, "i", NL_I, true, norse_keep(c, "tau_syn_inv"));
    if (adapting) shows(l, "a", NL_W, false, 1);
    fprintf(yaml, "[{%s: {tau: %.17g, tau_syn: %.17g, ", adapting ? "adex" : "lif_ex", norse_steps(c, "tau_mem_inv"),
            norse_steps(c, "tau_syn_inv"));
    golden_put_firing(c, yaml);
    put_numbers(c, yaml, numbers);
    if (!adapting) return;
    put_numbers(c, yaml, adapts);
    fprintf(yaml, ", tau_adapt: %.17g", norse_steps(c, "tau_ada_inv"));
}

static void put_izhikevich(struct golden *c, FILE *yaml, struct layout *l) {
    static const char *const numbers[] = {"square", "sq", "linear", "mn", "bias", "bias", "a", "a",
                                          "b",      "b",  "c",      "c",  "d",    "d",    NULL};
    shows(l, "u", NL_W, false, 1);
    golden_number(c, "v0"), golden_number(c, "u0");
    l->start[NL_V] = "=v0", l->start[NL_W] = "=u0";
    fprintf(yaml, "[{izhikevich: {step: %.17g, ", golden_number(c, "dt") * golden_number(c, "tau_inv"));
    golden_put_firing(c, yaml);
    put_numbers(c, yaml, numbers);
}

static void put_norse_lsnn(struct golden *c, FILE *yaml, struct layout *l) {
    golden_text(c, "dynamics");
    shows(l, "i", ALIF_I, false, 1), shows(l, "b", ALIF_B, false, 1);
    if (strstr(golden_text(c, "neuron"), "recurrent"))
        l->weight = "w", l->gweight = "gw", l->recurrent = "r", l->grecurrent = "gr";
    fprintf(yaml, "[{lsnn: {alpha: %.17g, beta: %.17g, rho: %.17g, adapt_scale: %.17g, b_start: %.17g, v_rest: %.17g, ",
            norse_keep(c, "tau_syn_inv"), norse_keep(c, "tau_mem_inv"), norse_keep(c, "tau_adapt_inv"),
            golden_number(c, "beta"), golden_number(c, "b0"), golden_number(c, "v_leak"));
    golden_put_firing(c, yaml);
    if (l->recurrent) fprintf(yaml, ", recurrent: true");
}

static void put_norse_ada(struct golden *c, FILE *yaml, struct layout *l) {
    if (strcmp(golden_text(c, "reset"), "value") || strncmp(golden_text(c, "reset_note"), "soft: v-=z*(threshold-", 22))
        golden_fail(c, "does not understand its reset");
    shows(l, "i", ADA_I, false, 1), shows(l, "b", ADA_B, false, 1);
    l->weight = "w", l->gweight = "gw", l->recurrent = "r", l->grecurrent = "gr";
    fprintf(yaml,
            "[{ada_lif: {alpha: %.17g, beta: %.17g, rho: %.17g, adapt_scale: %.17g, b_start: %.17g, v_rest: %.17g, "
            "v_start: 0, threshold: %.17g, v_reset: %.17g, fire: %s, detach_reset: %s, recurrent: true",
            norse_keep(c, "tau_syn_inv"), norse_keep(c, "tau_mem_inv"), norse_keep(c, "tau_adapt_inv"),
            golden_number(c, "beta"), golden_number(c, "b0"), golden_number(c, "v_leak"), golden_number(c, "threshold"),
            golden_number(c, "v_reset"), strcmp(golden_text(c, "fire"), ">") ? "ge" : "gt",
            golden_flag(c, "detach_reset", false) ? "true" : "false");
    put_surrogate(c, yaml);
}

static void put_sinabs_alif(struct golden *c, FILE *yaml, struct layout *l) {
    double width = golden_number(c, "grad_width");
    learns(l, "tau", "p.tau_mem", "g.tau_mem"), learns(l, "tau_adapt", "p.tau_adapt", "g.tau_adapt");
    learns(l, "tau_syn", "p.tau_syn", "g.tau_syn");
    golden_without(c, "v_mem", "is recorded before the reset, but after the last step"),
        shows(l, "b", ALIF_B, false, 1);
    golden_without(c, "spike_threshold", "is b, scaled");
    if (strcmp(golden_text(c, "surrogate"), "(1/(w*th))*exp(-|x|/(w*th))") || strcmp(golden_text(c, "fire"), ">="))
        golden_fail(c, "does not understand its surrogate");
    fprintf(yaml,
            "[{alif: {tau: %.17g, tau_adapt: %.17g, decay: exp, learn_as: tau, decay_input: %s, relative: true, "
            "detach_threshold: true",
            golden_number(c, "tau_mem"), golden_number(c, "tau_adapt"),
            golden_flag(c, "norm_input", true) ? "true" : "false");
    fprintf(yaml, ", adapt_scale: %.17g, threshold: %.17g, reset: %s, detach_reset: false",
            golden_number(c, "adapt_scale"), golden_number(c, "threshold"), golden_text(c, "reset"));
    fprintf(yaml, ", surrogate: {name: slayer, alpha: %.17g, scale: %.17g}", 1 / width,
            2 * golden_number_or(c, "grad_scale", 1));
    if (golden_has(c, "tau_syn")) fprintf(yaml, ", tau_syn: %.17g, decay_current: true", golden_number(c, "tau_syn"));
    put_learned(c, yaml, l);
}

static void put_filter(struct golden *c, FILE *yaml, struct layout *l) {
    bool learned = golden_flag(c, "learnable", false);
    l->silent = true;
    if (learned) learns(l, "tau", "p.w", "g.w");
    fprintf(yaml, "[{%s: {tau: %.17g", learned ? "learned_synapse_filter" : "synapse_filter", golden_number(c, "tau"));
}

static const struct kind {
    const char *neuron;
    void (*put)(struct golden *c, FILE *yaml, struct layout *l);
} kinds[] = {
    {"if", put_if},
    {"lif", put_lif},
    {"sltt", put_sltt},
    {"ottt", put_sltt},
    {"plif", put_plif},
    {"leaky", put_leaky},
    {"rleaky", put_rleaky},
    {"lapicque", put_lapicque},
    {"synaptic", put_synaptic},
    {"cuba_lif", put_cuba},
    {"recurrent lif", put_recurrent_lif},
    {"norse_lif_box", put_norse_box},
    {"norse_li (no firing; y is v)", put_norse_li},
    {"norse_lif", put_norse_lif},
    {"norse_lif recurrent", put_norse_recurrent},
    {"sinabs_lif", put_sinabs_lif},
    {"sinabs_lif recurrent", put_sinabs_recurrent},
    {"sinabs_iaf", put_sinabs_iaf},
    {"sinabs_expleak", put_sinabs_expleak},
    {"sinabs_alif", put_sinabs_alif},
    {"sparch lif", put_sparch},
    {"sparch rlif", put_sparch},
    {"sparch adlif", put_sparch},
    {"sparch radlif", put_sparch},
    {"SE-adLIF", put_se_adlif},
    {"EF-adLIF", put_se_adlif},
    {"Yin ALIF", put_yin},
    {"spytorch CUBA", put_spytorch},
    {"alpha", put_alpha},
    {"klif", put_klif},
    {"glif", put_glif},
    {"qif", put_qif},
    {"izhikevich_sj", put_qif},
    {"eif", put_eif},
    {"norse_lif_ex", put_norse_ex},
    {"norse_lif_adex", put_norse_ex},
    {"izhikevich", put_izhikevich},
    {"norse ada_lif_step", put_norse_ada},
    {"norse_lsnn", put_norse_lsnn},
    {"norse_lsnn recurrent", put_norse_lsnn},
    {"synapse_filter", put_filter},
};

/* ---- running ---- */

/* The coefficient that a key of model m fills. */
static int coefficient_of(const struct snn_neuron_model *m, const char *key) {
    for (const struct snn_key *k = m->keys; k->name; ++k) {
        size_t number = offsetof(struct snn_neuron_options, number), tau = offsetof(struct snn_neuron_options, tau);
        if (strcmp(k->name, key)) continue;
        if (k->type == SNN_TIME) return (int)((k->field - tau) / sizeof(struct snn_time));
        return (int)((k->field - number) / sizeof(double));
    }
    return -1;
}

/* A tensor of the case, or a part of its columns (SpikingJelly's one matrix on [x; s]), as a parameter. */
static struct snn_param *part_of(struct golden_net *net, const char *tensor, const char *name, int32_t from,
                                 int32_t columns) {
    const struct snn_st_tensor *shape;
    const double *all = golden_tensor(net->c, tensor, &shape);
    if (!all) return NULL;
    int32_t dim[2] = {(int32_t)shape->dim[0], columns};
    (void)from;
    return snn_params_add(&net->network.model.params, name, false, 2, dim);
}

/* One weight with which all neurons hear themselves; here each has a copy. */
static bool is_shared(struct golden *c, const struct layout *l) {
    const struct snn_st_tensor *t = l->recurrent ? snn_st_find(c->file, l->recurrent) : NULL;
    return t && !strcmp(l->recurrent, "p.V") && snn_st_elements(t) == 1;
}

/* Layers from [{NAME: {keys}}] on the tape, with the case's tensors as parameters. */
static bool record(struct golden_net *net, struct snn_conf *list, struct snn_tensor *x, const struct layout *l) {
    struct golden *c = net->c;
    struct snn_tape *tape = &net->network.model.tape;
    struct snn_conf *map = list->first->first;
    struct snn_neuron_params params = {0};
    struct snn_neuron_options *o = golden_own(c, 1, sizeof *o);
    int model = 0;
    while (snn_neuron_models[model].name && strcmp(snn_neuron_models[model].name, map->key)) ++model;
    if (!snn_neuron_models[model].name) return golden_fail(c, "there is no neuron '%s'", map->key);
    if (!golden_ok(c, snn_neuron_read(map, model, 0, o))) return false;
    if (l->weight)
        x = snn_linear(tape, "linear", x, golden_net_param(net, l->weight, false),
                       l->wbias ? golden_net_param(net, l->wbias, false) : NULL);
    for (int i = 0; i < l->count; ++i) {
        int j = coefficient_of(&snn_neuron_models[model], l->learned[i].key);
        params.learned[j] = golden_net_param(net, l->learned[i].tensor, false);
        if (!params.learned[j]) return golden_fail(c, "the case has no tensor '%s'", l->learned[i].tensor);
    }
    if (l->recurrent && !strcmp(l->recurrent, "w")) { /* [x; s]: the columns are parted after the memory is there */
        x = snn_linear(tape, "linear", x, part_of(net, "w", "w.x", 0, (int32_t)x->units), NULL);
        params.recurrent = part_of(net, "w", "w.s", (int32_t)x->units, (int32_t)x->units);
    } else if (l->recurrent && is_shared(c, l)) {
        int32_t n = (int32_t)x->units;
        params.recurrent = snn_params_add(&net->network.model.params, "V.each", false, 1, &n);
    } else if (l->recurrent) {
        params.recurrent = golden_net_param(net, l->recurrent, false);
    }
    if (l->bias) params.recurrent_bias = golden_net_param(net, l->bias, false);
    snn_neuron(tape, map->key, x, o, &params);
    return true;
}

/* The states that a case starts from: a tensor (B,N), or a number for all. LIF starts after its reset. They are what
 * the cut before has left, and so are the spikes that come back. */
static void put_start(struct golden_net *net, const struct layout *l) {
    struct golden *c = net->c;
    const struct snn_tape *tape = &net->network.model.tape;
    size_t step = (size_t)net->batch.B * (size_t)tape->output->units;
    const struct snn_st_tensor *shape;
    real *start = golden_own(c, SNN_CELL_STATES * step, sizeof *start), *spikes = NULL;
    if (!net->carries_on) return;
    for (int j = 0; j < SNN_CELL_STATES; ++j) {
        if (!l->start[j]) continue;
        const double *from = l->start[j][0] == '=' ? NULL : golden_tensor(c, l->start[j], &shape);
        for (size_t i = 0; i < step; ++i)
            start[(size_t)j * step + i] = (real)(from ? from[i] : golden_number(c, l->start[j] + 1));
    }
    const double *s = l->first_spikes ? golden_tensor(c, l->first_spikes, &shape) : NULL;
    if (s) spikes = golden_own(c, step, sizeof *spikes);
    for (size_t i = 0; s && i < step; ++i) {
        spikes[i] = (real)s[i];
        if (!l->start[1]) start[i] -= (real)(golden_number(c, "threshold") * s[i]);
    }
    snn_neuron_resume(tape->node[tape->nodes - 1], 1, net->batch.B, start, spikes);
}

/* A weight without a diagonal, whatever the case has stored there. */
static void clear_diagonal(struct golden_net *net, const struct layout *l) {
    struct snn_param *p = l->recurrent ? snn_params_find(&net->network.model.params, l->recurrent) : NULL;
    if (!p || strncmp(golden_text(net->c, "neuron"), "sparch", 6)) return;
    for (int32_t i = 0; i < p->dim[0]; ++i) p->value[i * p->dim[0] + i] = 0;
}

/* The two halves of SpikingJelly's matrix: into the parameters, or their gradients into one again. */
static void halves(struct golden_net *net, double *gradient) {
    struct snn_param *p[2] = {snn_params_find(&net->network.model.params, "w.x"),
                              snn_params_find(&net->network.model.params, "w.s")};
    const struct snn_st_tensor *shape;
    const double *w = golden_tensor(net->c, "w", &shape);
    for (int k = 0; k < 2; ++k)
        for (int32_t i = 0; i < p[k]->dim[0]; ++i)
            for (int32_t j = 0; j < p[k]->dim[1]; ++j) {
                ptrdiff_t at = (ptrdiff_t)i * 2 * p[k]->dim[1] + k * p[k]->dim[1] + j, mine = i * p[k]->dim[1] + j;
                if (gradient) gradient[at] = (double)p[k]->grad[mine];
                else p[k]->value[mine] = (real)w[at];
            }
}

/* The copies of a shared weight: filled, or the sum of their gradients compared. */
static void shared(struct golden_net *net, const struct layout *l, bool compared) {
    struct snn_param *p = snn_params_find(&net->network.model.params, "V.each");
    const struct snn_st_tensor *shape;
    const double *v = p ? golden_tensor(net->c, l->recurrent, &shape) : NULL;
    double sum = 0;
    for (ptrdiff_t i = 0; v && i < p->count; ++i)
        if (compared) sum += (double)p->grad[i];
        else p->value[i] = (real)*v;
    if (v && compared) golden_compare(net->c, l->grecurrent, &sum, 1, GOLDEN_GRADIENT);
}

static void compare_gradient(struct golden_net *net, const char *tensor, const char *gradient) {
    const struct snn_param *p = tensor ? snn_params_find(&net->network.model.params, tensor) : NULL;
    if (p) golden_compare_real(net->c, gradient, p->grad, (size_t)p->count, GOLDEN_GRADIENT);
}

static void compare_neuron(struct golden_net *net, const struct layout *l) {
    struct golden *c = net->c;
    const struct snn_tensor *x = net->network.model.tape.input, *y = net->network.model.tape.output;
    size_t rows = (size_t)net->batch.T * (size_t)net->batch.B, count = rows * (size_t)y->units;
    const struct golden_seen *seen = &net->seen[0];
    if (!l->silent) golden_compare(c, "s", seen->s, count, GOLDEN_EXACT);
    if (!l->silent) golden_compare_real(c, "s", y->data, count, GOLDEN_EXACT);
    else golden_compare_real(c, "y", y->data, count, GOLDEN_VALUE);
    const struct snn_st_tensor *v = snn_st_find(c->file, "v");
    if (v && snn_st_elements(v) == count) golden_compare(c, "v", seen->v[0], count, GOLDEN_VALUE);
    for (int k = 0; k < l->seens; ++k) {
        const double *state = l->seen[k].charged ? seen->h[l->seen[k].state] : seen->v[l->seen[k].state];
        double *scaled = golden_own(c, count, sizeof *scaled);
        for (size_t i = 0; i < count; ++i) scaled[i] = l->seen[k].scale * state[i];
        golden_compare(c, l->seen[k].tensor, scaled, count, GOLDEN_VALUE);
    }
    golden_net_backward(net, "gs", true);
    if (c->verdict != GOLDEN_PASS) return;
    golden_compare_real(c, "gx", x->grad, rows * (size_t)x->units, GOLDEN_GRADIENT);
    for (int i = 0; i < l->count; ++i) compare_gradient(net, l->learned[i].tensor, l->learned[i].gradient);
    compare_gradient(net, l->weight, l->gweight), compare_gradient(net, l->recurrent, l->grecurrent);
    shared(net, l, true);
    compare_gradient(net, l->bias, l->gbias), compare_gradient(net, l->wbias, l->gwbias);
    if (l->recurrent && !strcmp(l->recurrent, "w")) {
        const struct snn_st_tensor *shape = golden_find(c, "w");
        double *gw = golden_own(c, snn_st_elements(shape), sizeof *gw);
        halves(net, gw);
        golden_compare(c, "gw", gw, snn_st_elements(shape), GOLDEN_GRADIENT);
    }
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
    struct layout layout = {0};
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "layers: ");
    kind->put(c, yaml, &layout);
    fprintf(yaml, "}}]\n");
    fclose(yaml);
    golden_fact(c, "ties"), golden_fact(c, "M"); /* how many there are, not what to do */
    struct golden_net net;
    if (c->verdict == GOLDEN_PASS && golden_net_open(c, &net)) {
        struct snn_conf *list = golden_parse(c, &net, text);
        struct snn_tensor *x = list ? golden_net_input(&net, "x", false) : NULL;
        net.carries_on = layout.start[0];
        if (x && record(&net, list, x, &layout) && golden_net_allocate(&net, false)) {
            if (layout.recurrent && !strcmp(layout.recurrent, "w")) halves(&net, NULL);
            clear_diagonal(&net, &layout);
            shared(&net, &layout, false);
            put_start(&net, &layout);
            golden_net_forward(&net, true, SNN_HARD);
            compare_neuron(&net, &layout);
        }
        if (!strcmp(neuron, "plif")) compare_start(c);
        golden_net_close(&net);
    }
    free(text);
}

/* ---- surrogate tables ---- */

static const struct named formulas[] = {
    {"a*sg(ax)(1-sg(ax))", "sigmoid", {{"alpha", "alpha", 1}}},
    {"k exp(-kx)/(1+exp(-kx))^2", "sigmoid", {{"alpha", "slope", 1}}},
    {"(a/2)/(1+(pi*a*x/2)^2)", "atan", {{"alpha", "alpha", 1}}},
    {"1/(1+k|x|)^2", "fast_sigmoid", {{"slope", "slope", 1}}},
    {"max(0, a-a^2|x|)", "triangle", {{"alpha", "alpha", 1}}},
    {"a if |x|<1/(2a) else 0", "rect", {{"alpha", "alpha", 1}}},
    {"scale*N(x;mu,sigma)", "gaussian", {{"sigma", "sigma", 1}, {"mu", "mu", 1}, {"grad_scale", "grad_scale", 1}}},
    {"(a/sqrt(pi))exp(-(ax)^2)", "erf", {{"alpha", "alpha", 1}}},
    {"a/(2(1+a|x|)^2)", "soft_sign", {{"alpha", "alpha", 1}}},
    {"a/(1+|x|)^2", "super_spike", {{"alpha", "alpha", 1}}},
    {"1/(1+|x|)^2  (alpha is ignored in norse 1.1.0)", "super_spike", {{"alpha", NULL, 1}}},
    {"(a/2)exp(-a|x|)", "piecewise_exp", {{"alpha", "alpha", 1}}},
    {"scale/(w*th)*exp(-|x|/(w*th))",
     "single_exponential",
     {{"grad_width", "grad_width", 1}, {"grad_scale", "grad_scale", 1}}},
    {"scale*exp(-|x~|/w); x~=x below threshold; above, x~=th*(2*frac(v/th-0.5)-1), v=x+th",
     "periodic_exponential",
     {{"grad_width", "grad_width", 1}, {"grad_scale", "grad_scale", 1}}},
    {"(1/th) if x>=-window else 0", "heaviside_window", {{"window", "window", 1}}},
    {"scale*((1+h)N(0,sig)-h N(sig,s*sig)-h N(-sig,s*sig))",
     "multi_gaussian",
     {{"sigma", "sigma", 1}, {"h", "h", 1}, {"s", "s", 1}, {"grad_scale", "grad_scale", 1}, {"mu", "mu", 1}}},
    {"1/(2w) if |x|<w else c", "piecewise_leaky_relu", {{"w", "w", 1}, {"c", "c", 1}}},
    {"1/(1/a+|x|)", "nonzero_sign_log_abs", {{"alpha", "alpha", 1}}},
    {"x<0: a*sg(ax)(1-sg(ax)); x>=0: b/(x+1)", "s2nn", {{"alpha", "alpha", 1}, {"beta", "beta", 1}}},
    {"(1+2|x|/(a-1))^-a", "q_pseudo_spike", {{"alpha", "alpha", 1}}},
    {"k if x>=0 else leak", "leaky_k_relu", {{"leak", "leak", 1}, {"k", "k", 1}}},
    {"1", "leaky_k_relu", {{"leak", NULL, 1}, {"k", NULL, 1}}},
    {"+th if x<0 else -th (not a triangle)", "leaky_k_relu", {{"leak", "threshold", 1}, {"k", "threshold", -1}}},
    {"a if x<=0; 1 if 0<x<=1; 1/x if x>1", "log_tailed_relu", {{"alpha", "alpha", 1}}},
    {"min(sign(x)/x, a), sign(0)=+1", "fake_numerical_gradient", {{"alpha", "alpha", 1}}},
    {"(4/T)sum_{i=1}^{n-1} cos((2i-1)2 pi x/T)", "squarewave_fourier", {{"n", "n", 1}, {"T_period", "T_period", 1}}},
    {"1 if x>0 else 0", "heaviside", {{0}}},
    {"k exp(-b|x-1|)", "spike_rate_escape", {{"beta", "beta", 1}, {"slope", "slope", 1}}},
    {"1/(1+k|x|)^2 if x>B else 0", "sfs", {{"slope", "slope", 1}, {"B", "B", 1}}},
    {"1-tanh(kx)^2", "tanh", {{"alpha", "alpha", 1}}},
    {"2/sqrt(pi) exp(-(kx)^2)", "heavi_erfc", {{"alpha", "alpha", 1}}},
    {"a^3/(a^2+x^2)^1.5", "circ", {{"alpha", "alpha", 1}}},
    {"a*max(0,1-|x|)", "esser", {{"gamma", "alpha", 1}, {"threshold", NULL, 1}}},
};

/* A number of a set that is not one of the surrogate's: sinabs' threshold, which the neuron has. */
static bool takes(const struct named *f, const char *key) {
    for (int i = 0; i < NAMED && f->set[i].key; ++i)
        if (f->set[i].fact && !strcmp(f->set[i].fact, key)) return true;
    return false;
}

/* A memoryless neuron with the surrogate of the set; false: the case was failed. */
static bool put_table(struct golden *c, const struct named *f, const json_t *set, double threshold, FILE *yaml) {
    const char *fire = golden_text(c, "fire"), *key;
    json_t *value;
    if (strcmp(fire, ">=") && strcmp(fire, ">")) return golden_fail(c, "does not understand fire '%s'", fire);
    json_object_foreach((json_t *)set, key, value) {
        bool ignored = !strcmp(f->ours, "super_spike") && !f->set[0].fact && !strcmp(key, "alpha");
        if (!json_is_number(value) || !(takes(f, key) || ignored || !strcmp(key, "threshold")))
            return golden_fail(c, "does not understand '%s' of formula '%s'", key, f->theirs);
    }
    fprintf(yaml, "if: {reset: none, threshold: %.17g, fire: %s, surrogate: {name: %s", threshold,
            fire[1] ? "ge" : "gt", f->ours);
    for (int i = 0; i < NAMED && f->set[i].key; ++i) {
        const json_t *number = f->set[i].fact ? json_object_get(set, f->set[i].fact) : NULL;
        if (f->set[i].fact && !number) return golden_fail(c, "the case does not say '%s' of a set", f->set[i].fact);
        fprintf(yaml, ", %s: %.17g", f->set[i].key, f->set[i].factor * (number ? json_number_value(number) : 1));
    }
    fprintf(yaml, "}}\n");
    return true;
}

/* What the membranes x of the memoryless neuron give: spikes, the derivative (with an upstream gradient of 1, that of
 * the input), and the smooth step. */
static void compare_table(struct golden_net *net, const struct named *f, const json_t *set, float threshold, int k) {
    struct golden *c = net->c;
    char name[16], primitive[16];
    snprintf(name, sizeof name, "dy%d", k);
    snprintf(primitive, sizeof primitive, "prim%d", k);
    struct snn_tape *tape = &net->network.model.tape;
    const float *x = net->batch.frames;
    int32_t n = net->batch.C;
    if (golden_net_allocate(net, false)) {
        golden_net_forward(net, true, SNN_HARD);
        golden_compare_real(c, "s", tape->output->data, (size_t)n, GOLDEN_EXACT);
        for (int32_t i = 0; i < n; ++i) tape->output->grad[i] = 1;
        golden_net_backward(net, NULL, true);
        /* At the very edge of sinabs' window the last bit of the membrane decides; they compare v, we v - threshold. */
        const struct snn_st_tensor *shape;
        const double *theirs = golden_tensor(c, name, &shape), edge = json_number_value(json_object_get(set, "window"));
        for (int32_t i = 0; theirs && !strcmp(f->ours, "heaviside_window") && i < n; ++i)
            if (fabs((double)x[i] - (double)threshold + edge) < 1e-6 && theirs[i] == 0) tape->input->grad[i] = 0;
        golden_compare_real(c, name, tape->input->grad, (size_t)n, GOLDEN_VALUE);
    }
    if (!golden_net_allocate(net, true)) return;
    golden_net_forward(net, true, SNN_SMOOTH_RECORD);
    /* S2NN's primitive has ln(x + 1 + 1e-5), whose derivative its backward is not. */
    double beta = strcmp(f->ours, "s2nn") ? 0 : json_number_value(json_object_get(set, "beta"));
    for (int32_t i = 0; i < n; ++i)
        if (x[i] >= 0) tape->output->data[i] += (real)(beta * log1p(1e-5 / (1 + (double)x[i])));
    golden_compare_real(c, primitive, tape->output->data, (size_t)n, GOLDEN_VALUE);
}

static void one_table(struct golden *c, const struct named *f, const json_t *set, int k) {
    const json_t *neurons = takes(f, "threshold") ? NULL : json_object_get(set, "threshold");
    float threshold = (float)json_number_value(neurons);
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    bool understood = put_table(c, f, set, (double)threshold, yaml);
    fclose(yaml);
    struct golden_net net;
    if (understood && golden_net_open(c, &net)) {
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
            struct snn_tensor *in = snn_tape_input(&net.network.model.tape, 1, &n, false);
            in->needs_grad = true;
            snn_neuron(&net.network.model.tape, f->ours, in, &options, NULL);
            compare_table(&net, f, set, threshold, k);
        }
        golden_net_close(&net);
    }
    free(text);
}

void golden_surrogates(struct golden *c) {
    const char *formula = golden_text(c, "formula");
    const struct named *f = FIND(formulas, formula);
    json_t *sets = golden_fact(c, "params"), *set;
    golden_fact(c, "framework"), golden_fact(c, "framework_name"); /* the formula says it all */
    if (strcmp(golden_text(c, "kind"), "surrogate"))
        golden_fail(c, "does not understand kind '%s'", golden_text(c, "kind"));
    if (!f) golden_fail(c, "does not understand formula '%s'", formula);
    if (!json_array_size(sets)) golden_fail(c, "the case does not say 'params'");
    size_t k;
    json_array_foreach(sets, k, set) if (c->verdict == GOLDEN_PASS) one_table(c, f, set, (int)k);
}
