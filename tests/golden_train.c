/* SPDX-License-Identifier: Apache-2.0
 * golden_train.c - optimisers, schedules and whole training steps against PyTorch, SpikingJelly and snnTorch. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "optim/schedule.h"

/* ---- optimisers ---- */

bool golden_put_optimizer(struct golden *c, FILE *yaml, const char *kind, json_t *settings) {
    /* How PyTorch computes, not what; those that are on would change the result. */
    static const char *const how[] = {"capturable", "differentiable", "foreach", "fused"};
    const json_t *decoupled = json_object_get(settings, "decoupled_weight_decay");
    if (json_is_true(decoupled) && !strcmp(kind, "Adam")) kind = "AdamW"; /* the same thing */
    if (decoupled && json_is_true(decoupled) == (strcmp(kind, "AdamW") != 0))
        return golden_fail(c, "does not understand 'decoupled_weight_decay' of %s", kind);
    if (json_is_true(json_object_get(settings, "maximize"))) return golden_fail(c, "does not understand 'maximize'");
    fprintf(yaml, "{name: ");
    for (; *kind; ++kind) fputc(tolower((unsigned char)*kind), yaml);
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value) {
        bool ours = strcmp(key, "kind") && strcmp(key, "maximize") && strcmp(key, "decoupled_weight_decay");
        for (size_t i = 0; i < sizeof how / sizeof *how; ++i) ours = ours && strcmp(key, how[i]);
        if (ours && !strcmp(key, "betas")) {
            golden_put_json(yaml, "beta1", json_array_get(value, 0));
            golden_put_json(yaml, "beta2", json_array_get(value, 1));
        } else if (ours) {
            golden_put_json(yaml, key, value); /* what we do not have is an unknown key there */
        }
    }
    fputc('}', yaml);
    return true;
}

static void feed_gradients(struct golden *c, struct golden_net *net, struct snn_conf *node) {
    struct snn_network *n = &net->network;
    struct snn_param *p = golden_net_param(net, "p0", false);
    const struct snn_st_tensor *shape;
    const double *g = golden_tensor(c, "g", &shape);
    if (!p || !g || shape->nd < 2 || snn_st_elements(shape) != shape->dim[0] * (uint64_t)p->count) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    if (!golden_ok(c, snn_optim_open(node, &n->model.params, &n->optim))) return;
    struct snn_arena *arena = &n->arena;
    for (int pass = 0; pass < 2; ++pass) {
        snn_params_bind(&n->model.params, arena, true);
        snn_optim_bind(n->optim, arena);
        if (pass == 0 && !golden_ok(c, snn_arena_reserve(arena))) return;
    }
    const double *start = golden_tensor(c, "p0", NULL);
    ptrdiff_t steps = (ptrdiff_t)shape->dim[0], count = p->count;
    if ((double)steps != golden_number(c, "steps")) golden_fail(c, "'steps' is not the first axis of g");
    real *path = golden_own(c, (size_t)(steps * count), sizeof *path);
    for (ptrdiff_t i = 0; start && i < count; ++i) p->value[i] = (real)start[i];
    for (ptrdiff_t k = 0; k < steps; ++k) {
        for (ptrdiff_t i = 0; i < count; ++i) p->grad[i] = (real)g[k * count + i];
        snn_optim_step(n->optim, &net->device, 1, NAN);
        memcpy(path + k * count, p->value, (size_t)count * sizeof *path);
    }
    golden_compare_real(c, "p", path, (size_t)(steps * count), GOLDEN_VALUE);
}

void golden_optim(struct golden *c) {
    json_t *defaults = golden_fact(c, "defaults"), *value;
    const char *kind = golden_text(c, "kind"), *key;
    golden_fact(c, "optimizer");                                   /* the case's name */
    golden_find(c, "A"), golden_find(c, "c"), golden_find(c, "p"); /* where the gradients came from */
    if (!json_is_object(defaults) || !*kind) golden_fail(c, "the case does not say 'defaults' and 'kind'");
    json_object_foreach(defaults, key, value) { /* said again outside, when it is not PyTorch's own default */
        const json_t *again = golden_fact(c, key);
        bool numbers = json_is_number(again) && json_is_number(value); /* 0 and 0.0 are the same */
        if (again && (numbers ? json_number_value(again) != json_number_value(value) : !json_equal(again, value)))
            golden_fail(c, "'%s' is said in two ways", key);
    }
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "optimizer: ");
    if (c->verdict == GOLDEN_PASS) golden_put_optimizer(c, yaml, kind, defaults);
    fputc('\n', yaml);
    fclose(yaml);
    struct golden_net net;
    if (c->verdict == GOLDEN_PASS && golden_net_open(c, &net)) {
        struct snn_conf *node = golden_parse(c, &net, text);
        if (node) feed_gradients(c, &net, node);
        golden_net_close(&net);
    }
    free(text);
}

/* ---- schedules ---- */

/* PyTorch's name of a key, ours, and the schedule that it gives away (the last that fits). */
static const struct {
    const char *theirs, *ours, *schedule;
} keys[] = {
    {"gamma", "gamma", "exponential"},
    {"T_max", "t_max", "cosine"},
    {"eta_min", "eta_min", NULL},
    {"step_size", "every", "step"},
    {"milestones", "milestones", "multistep"},
    {"T_0", "t_0", "cosine_restarts"},
    {"T_mult", "t_mult", NULL},
    {"max_lr", "max_lr", "one_cycle"},
    {"total_steps", "total", NULL},
    {"pct_start", "pct_start", NULL},
    {"anneal", "anneal", NULL},
    {"div_factor", "div_factor", NULL},
    {"final_div_factor", "final_div_factor", NULL},
    {"three_phase", "three_phase", NULL},
    {"cycle_momentum", "cycle_momentum", NULL},
    {"base_momentum", "base_momentum", NULL},
    {"max_momentum", "max_momentum", NULL},
    {"patience", "patience", "plateau"},
    {"factor", "factor", NULL},
    {"cooldown", "cooldown", NULL},
    {"min_lr", "min_lr", NULL},
    {"threshold", "threshold", NULL},
};

static bool put_schedule(struct golden *c, FILE *yaml) {
    const char *name = NULL, *warmup = golden_text(c, "warmup");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i)
        if (json_object_get(c->facts, keys[i].theirs) && keys[i].schedule) name = keys[i].schedule;
    if (!name) return golden_fail(c, "does not understand schedule '%s'", golden_text(c, "sched"));
    fprintf(yaml, "schedule: {name: %s", name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i)
        if (golden_has(c, keys[i].theirs)) golden_put_json(yaml, keys[i].ours, golden_fact(c, keys[i].theirs));
    double from;
    int units, end = 0;
    if (*warmup && (sscanf(warmup, "linear from %lf over %d%n", &from, &units, &end) != 2 || warmup[end]))
        return golden_fail(c, "does not understand warmup '%s'", warmup);
    if (*warmup) fprintf(yaml, ", warmup: %d, warmup_from: %.17g", units, from);
    fprintf(yaml, "}\n");
    const char *mode = golden_text(c, "mode"), *kind = golden_text(c, "threshold_mode");
    if ((*mode && strcmp(mode, "min")) || (*kind && strcmp(kind, "rel")))
        return golden_fail(c, "does not understand mode '%s' with threshold '%s'", mode, kind);
    return true;
}

/* The momentum that the case's optimiser is configured with; NAN: not understood. */
static double configured_momentum(const char *optimizer) {
    double momentum;
    if (!*optimizer || !strncmp(optimizer, "Adam", 4)) return 0.9;
    return sscanf(optimizer, "SGD momentum %lf", &momentum) == 1 ? momentum : strcmp(optimizer, "SGD") ? NAN : 0;
}

static void compare_rates(struct golden *c, struct snn_conf *node) {
    const struct snn_st_tensor *shape;
    const double *lr = golden_tensor(c, "lr", &shape), *metric = NULL;
    const struct snn_st_tensor *metrics = golden_find(c, "metric");
    double base = golden_number(c, "base_lr"), momentum = configured_momentum(golden_text(c, "optimizer"));
    if (isnan(momentum)) golden_fail(c, "does not understand optimizer '%s'", golden_text(c, "optimizer"));
    if (!lr) return;
    size_t count = snn_st_elements(shape);
    if (metrics) metric = golden_tensor(c, "metric", NULL);
    if (golden_number_or(c, "steps", (double)count) != (double)count ||
        (metrics && snn_st_elements(metrics) != count)) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    double *rate = golden_own(c, count, sizeof *rate), *beta = golden_own(c, count, sizeof *beta);
    struct snn_schedule *schedule;
    if (!golden_ok(c, snn_schedule_open(node, base, (int64_t)count, 10, &schedule))) return;
    for (size_t k = 0; k < count; ++k) {
        struct snn_rate now = snn_schedule_rate(schedule, (int64_t)k, (int64_t)(10 * k));
        rate[k] = base * now.factor / lr[k]; /* the smallest rates are 1e-8: relative, not to the largest */
        if (lr[k] == 0) rate[k] = fabs(base * now.factor) < 1e-12 ? 1 : INFINITY;
        if (!(fabs(rate[k] - 1) <= 1e-6)) golden_fail(c, "lr[%zu] is %.9g, expected %.9g", k, base * now.factor, lr[k]);
        beta[k] = isnan(now.beta1) ? momentum : now.beta1;
        if (metric) snn_schedule_epoch(schedule, metric[k], NAN);
    }
    snn_schedule_close(&schedule);
    ++c->compared;
    golden_compare(c, "beta1", beta, count, GOLDEN_VALUE);
    golden_compare(c, "momentum", beta, count, GOLDEN_VALUE);
}

void golden_sched(struct golden *c) {
    char *text = NULL;
    size_t size;
    golden_text(c, "sched"); /* the case's name */
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    bool understood = put_schedule(c, yaml);
    fclose(yaml);
    struct golden_net net;
    if (understood && golden_net_open(c, &net)) {
        struct snn_conf *node = golden_parse(c, &net, text);
        if (node) compare_rates(c, node);
        golden_net_close(&net);
    }
    free(text);
}

/* ---- training steps ---- */

enum { LAYERS = 24 };
struct plan {              /* the case's network, read from its one line of text */
    char name[LAYERS][16]; /* of its parameters: conv1, bn1, fc2; "" has none */
    int layers, of_kind[3], linears, leaky;
};

static void name_layer(struct plan *plan, const char *kind, int k) {
    bool alone = !strcmp(kind, "fc") && plan->linears == 1;
    if (alone) snprintf(plan->name[plan->layers], sizeof plan->name[0], "fc");
    else snprintf(plan->name[plan->layers], sizeof plan->name[0], "%s%d", kind, ++plan->of_kind[k]);
}

/* "conv 2-4 k3 p1 (no bias)": what follows the sizes. */
static bool put_conv_keys(struct golden *c, FILE *yaml, const char *rest) {
    int value, read;
    bool bias = true;
    for (; *rest; rest += read) {
        char key;
        read = 0;
        if (sscanf(rest, " (no bias)%n", &read) == 0 && read) bias = false;
        else if (sscanf(rest, " %c%d%n", &key, &value, &read) == 2 && strchr("kspdg", key))
            fprintf(yaml, ", %s: %d",
                    key == 'k'   ? "kernel"
                    : key == 's' ? "stride"
                    : key == 'p' ? "padding"
                    : key == 'd' ? "dilation"
                                 : "groups",
                    value);
        else return golden_fail(c, "does not understand conv '%s'", rest);
    }
    fprintf(yaml, ", bias: %s", bias ? "true" : "false");
    return true;
}

static bool put_layer(struct golden *c, FILE *yaml, struct plan *plan, const char *part) {
    int in, out, read = 0;
    double beta;
    fprintf(yaml, "  - ");
    plan->name[plan->layers][0] = 0;
    if (sscanf(part, "conv %d-%d%n", &in, &out, &read) == 2) {
        name_layer(plan, "conv", 0);
        fprintf(yaml, "conv: {out: %d", out);
        if (!put_conv_keys(c, yaml, part + read)) return false;
    } else if (!strcmp(part, "BN over T*B") || !strcmp(part, "BN")) {
        name_layer(plan, "bn", 1);
        fprintf(yaml, "batchnorm: {over: %s", part[2] ? "joint" : "step");
    } else if (sscanf(part, "linear %d-%d%n", &in, &out, &read) == 2 && !part[read]) {
        name_layer(plan, "fc", 2);
        fprintf(yaml, "linear: {out: %d", out);
    } else if (!strcmp(part, "LIF")) {
        fprintf(yaml, "lif: {tau: %.17g, decay_input: %s, ", golden_number(c, "tau"),
                golden_flag(c, "decay_input", true) ? "true" : "false");
        if (!golden_put_firing(c, yaml)) return false;
    } else if (sscanf(part, "Leaky %lf%n", &beta, &read) == 1 && !part[read]) {
        const json_t *all = golden_fact(c, "beta"),
                     *one = json_is_array(all) ? json_array_get(all, (size_t)plan->leaky) : all;
        ++plan->leaky;
        if (one && json_number_value(one) != beta) return golden_fail(c, "does not understand two betas of one layer");
        fprintf(yaml, "lif: {beta: %.17g, ", beta);
        if (!golden_put_firing(c, yaml)) return false;
    } else if (sscanf(part, "max pool %d%n", &out, &read) == 1 && !part[read]) {
        fprintf(yaml, "maxpool: {kernel: %d", out);
    } else if (sscanf(part, "avg pool %d%n", &out, &read) == 1 && !part[read]) {
        fprintf(yaml, "avgpool: {kernel: %d", out);
    } else if (!strcmp(part, "flatten")) {
        fprintf(yaml, "flatten: {");
    } else {
        return golden_fail(c, "does not understand layer '%s'", part);
    }
    fprintf(yaml, "}\n");
    return ++plan->layers < LAYERS || golden_fail(c, "does not understand so many layers");
}

static bool put_model(struct golden *c, FILE *yaml, struct plan *plan) {
    char *text = strdup(golden_text(c, "network")), *part = text, *next;
    *plan = (struct plan){0};
    for (const char *p = text; (p = strstr(p, "linear ")); ++p) ++plan->linears;
    fprintf(yaml, "model:\n");
    bool ok = true;
    do {
        next = strstr(part, " - ");
        if (next) *next = 0, next += 3;
        ok = put_layer(c, yaml, plan, part);
        part = next;
    } while (ok && part);
    free(text);
    return ok;
}

static bool put_train_loss(struct golden *c, FILE *yaml) {
    const char *kind = golden_text(c, "loss_kind");
    double lambda, target;
    int read = 0;
    if (!strcmp(kind, "CE(mean over T of logits)")) fprintf(yaml, "loss: {name: ce, over: mean}\n");
    else if (!strcmp(kind, "snnTorch ce_rate_loss")) fprintf(yaml, "loss: {name: ce, over: step}\n");
    else if (!strcmp(kind, "snnTorch mse_count_loss"))
        fprintf(yaml, "loss: {name: mse_count, correct: %.17g, incorrect: %.17g}\n", golden_number(c, "correct_rate"),
                golden_number(c, "incorrect_rate"));
    else if (sscanf(kind, "TET lam %lf target %lf%n", &lambda, &target, &read) == 2 && !kind[read])
        fprintf(yaml, "loss: {name: tet, lambda: %.17g, target: %.17g}\n", lambda, target);
    else return golden_fail(c, "does not understand loss_kind '%s'", kind);
    return true;
}

/* Parameter i of the network under the case's name: PREFIX.conv1.weight. False: the case's layer has none of that name.
 */
static void case_name(const struct plan *plan, const struct snn_param *p, const char *prefix, char name[96]) {
    int layer = atoi(p->name + strlen("model."));
    snprintf(name, 96, "%s.%s.%s", prefix, plan->name[layer], strrchr(p->name, '.') + 1);
}

/* Parameters (and running statistics) after `step` steps, or their gradients. */
static void compare_params(struct golden_net *net, const struct plan *plan, int step) {
    const struct snn_params *params = &net->network.model.params;
    char name[96], prefix[16];
    for (int i = 0; i < params->count; ++i) {
        const struct snn_param *p = params->list[i];
        snprintf(prefix, sizeof prefix, "%c%d", p->buffer ? 'b' : 'p', step);
        case_name(plan, p, prefix, name);
        golden_compare_real(net->c, name, p->value, (size_t)p->count, GOLDEN_GRADIENT);
        case_name(plan, p, "g", name);
        if (step == 1 && !p->buffer) golden_compare_real(net->c, name, p->grad, (size_t)p->count, GOLDEN_GRADIENT);
    }
}

static void compare_forward(struct golden_net *net, const char *out) {
    const struct snn_tensor *y = net->network.model.tape.output;
    char name[16];
    golden_compare_real(net->c, out, y->data, (size_t)net->batch.T * (size_t)net->batch.B * (size_t)y->units,
                        y->is_spikes ? GOLDEN_EXACT : GOLDEN_GRADIENT);
    for (int k = 0; k < net->neurons && !strcmp(out, "out"); ++k) {
        snprintf(name, sizeof name, "s%d", k + 1);
        golden_compare(net->c, name, net->seen[k].s, net->seen[k].count, GOLDEN_EXACT);
    }
}

static void train_steps(struct golden_net *net, const struct plan *plan) {
    struct golden *c = net->c;
    struct snn_network *n = &net->network;
    struct snn_cut cut = {.batch = &net->batch, .T = net->batch.T, .train = true};
    double scale = 1.0 / net->batch.B;
    char name[96];
    int steps = (int)golden_number(c, "steps");
    for (int i = 0; i < n->model.params.count; ++i) {
        struct snn_param *p = n->model.params.list[i];
        case_name(plan, p, "p", name);
        const struct snn_st_tensor *shape = NULL;
        const double *start = p->buffer ? NULL : golden_tensor(c, name, &shape);
        if (start && snn_st_elements(shape) != (uint64_t)p->count)
            golden_fail(c, "'%s' does not fit the network", name);
        if (c->verdict != GOLDEN_PASS) return;
        for (ptrdiff_t k = 0; start && k < p->count; ++k) p->value[k] = (real)start[k];
    }
    for (int step = 1; step <= steps; ++step) {
        golden_net_forward(net, true, SNN_HARD);
        double loss;
        snn_network_set_step(n, 0, (uint32_t)step, scale);
        snn_network_loss(n, &cut, true);
        if (!golden_ok(c, snn_network_loss_sum(n, &cut, &loss))) return;
        loss *= scale;
        if (step == 1) compare_forward(net, "out");
        snprintf(name, sizeof name, "loss%d", step - 1);
        golden_compare(c, name, &loss, 1, GOLDEN_GRADIENT);
        golden_net_backward(net, NULL, true);
        snn_optim_step(n->optim, &net->device, 1, NAN);
        compare_params(net, plan, step);
    }
    golden_net_forward(net, false, SNN_HARD);
    compare_forward(net, "out_eval");
}

static bool build(struct golden_net *net, const char *text) {
    struct golden *c = net->c;
    struct snn_network *n = &net->network;
    if (!golden_net_input(net, "x", false)) return false; /* for the batch: the model makes a tape of its own */
    snn_tape_free(&n->model.tape);
    if (!golden_parse(c, net, text)) return false;
    struct snn_conf *root = snn_conf_root(net->doc);
    struct snn_model_input input = {.C = net->batch.C, .H = net->batch.H, .W = net->batch.W};
    return golden_ok(c, snn_model_build(snn_conf_get(root, "model"), &input, 0, &n->model)) &&
           golden_ok(c, snn_loss_read(snn_conf_get(root, "loss"), &n->loss)) &&
           golden_ok(c, snn_optim_open(snn_conf_get(root, "optimizer"), &n->model.params, &n->optim)) &&
           golden_net_allocate(net, false);
}

void golden_train(struct golden *c) {
    struct plan plan;
    char *text = NULL;
    size_t size;
    json_t *settings = golden_fact(c, "optimizer");
    const char *kind = json_string_value(json_object_get(settings, "kind"));
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    golden_fact(c, "gain"),
        golden_fact(c, "spiking"); /* of the initial weights, which are stored; and names of neurons */
    bool understood = put_model(c, yaml, &plan) && put_train_loss(c, yaml);
    fprintf(yaml, "optimizer: ");
    if (understood && !kind) understood = golden_fail(c, "the case does not say the optimizer's 'kind'");
    understood = understood && golden_put_optimizer(c, yaml, kind, settings);
    fputc('\n', yaml);
    fclose(yaml);
    struct golden_net net;
    if (understood && golden_net_open(c, &net)) {
        const struct snn_st_tensor *labels;
        const double *y = golden_tensor(c, "y", &labels);
        if (y && build(&net, text)) {
            if (snn_st_elements(labels) != (uint64_t)net.batch.B) golden_fail(c, "does not understand the shapes");
            for (int32_t b = 0; c->verdict == GOLDEN_PASS && b < net.batch.B; ++b) net.batch.label[b] = (int32_t)y[b];
            if (c->verdict == GOLDEN_PASS) {
                snn_params_init(&net.network.model.params, 1, net.network.model.params.value); /* running statistics */
                train_steps(&net, &plan);
            }
        }
        golden_net_close(&net);
    }
    free(text);
}
