/* SPDX-License-Identifier: Apache-2.0
 * golden_dcls.c - synapses with learned delays against the DCLS package: kernels and gradients of a layer, steps of a
 * small network of SNN-delays, the schedule of sigma. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/delay.h"
#include "autograd/norm.h"
#include "core/status.h"
#include "golden.h"
#include "train/experiment.h"

/* A network whose device keeps what batch norm gave, which the neurons overwrite. */
struct delay_net {
    struct golden_net net; /* first */
    const struct snn_norm_kernels *real_norm;
    struct snn_norm_kernels norm;
    double *normed;
    size_t count;
};

static void watch_norm(struct snn_device *device, const struct snn_norm_shape *s, const real *x, const real *w,
                       const real *b, const uint8_t *mask, real *mean, real *var, real *saved, real *y) {
    struct delay_net *d = (struct delay_net *)(void *)device;
    d->real_norm->batch(device, s, x, w, b, mask, mean, var, saved, y);
    d->count = (size_t)s->T * (size_t)s->B * (size_t)s->C * (size_t)s->inner;
    d->normed = golden_own(d->net.c, d->count, sizeof *d->normed);
    for (size_t i = 0; i < d->count; ++i) d->normed[i] = (double)y[i];
}

static bool open_net(struct golden *c, struct delay_net *d) {
    *d = (struct delay_net){0};
    if (!golden_net_open(c, &d->net)) return false;
    d->real_norm = d->net.device.norm;
    d->norm = *d->real_norm, d->norm.batch = watch_norm;
    d->net.device.norm = &d->norm;
    return true;
}

/* Keys of a delay layer, open at the end. */
static bool put_delay(struct golden *c, FILE *yaml, int32_t out, bool widths) {
    int taps = (int)golden_number(c, "dilated_kernel_size"), left = (int)golden_number(c, "left_pad");
    const char *version = golden_text(c, "version");
    if (left != taps - 1) return golden_fail(c, "does not understand left_pad %d of a kernel of %d", left, taps);
    fprintf(yaml, "delay: {out: %d, kernel: %d, count: %d, version: %s, right: %d", (int)out, taps,
            (int)golden_number(c, "kernel_count"), version, (int)golden_number(c, "right_pad"));
    if (widths) fprintf(yaml, ", learn_sigma: true");
    return true;
}

static bool build(struct golden *c, struct golden_net *net, const char *text, bool wants_grad) {
    struct snn_network *n = &net->network;
    snn_tape_free(&n->model.tape);
    if (!golden_parse(c, net, text)) return false;
    struct snn_conf *root = snn_conf_root(net->doc), *loss = snn_conf_get(root, "loss"),
                    *optimizer = snn_conf_get(root, "optimizer");
    struct snn_model_input input = {.C = net->batch.C, .H = 1, .W = 1, .wants_grad = wants_grad};
    if (!golden_ok(c, snn_model_build(snn_conf_get(root, "model"), &input, 0, &n->model))) return false;
    if (loss && !golden_ok(c, snn_loss_read(loss, &n->loss))) return false;
    if (optimizer && !golden_ok(c, snn_optim_open(optimizer, &n->model.params, &n->optim))) return false;
    if (!golden_net_allocate(net, false)) return false;
    snn_params_init(&n->model.params, 1, n->model.params.value); /* running statistics; the rest is given */
    return true;
}

/* Parameter `name` becomes the case's tensor `theirs`. */
static struct snn_param *give(struct golden_net *net, const char *name, const char *theirs) {
    struct snn_param *p = snn_params_find(&net->network.model.params, name);
    const struct snn_st_tensor *shape;
    const double *numbers = golden_tensor(net->c, theirs, &shape);
    if (!p) golden_fail(net->c, "the network has no '%s'", name);
    if (!p || !numbers) return NULL;
    if (snn_st_elements(shape) != (uint64_t)p->count) golden_fail(net->c, "'%s' does not fit the network", theirs);
    else
        for (ptrdiff_t i = 0; i < p->count; ++i) p->value[i] = (real)numbers[i];
    return net->c->verdict == GOLDEN_PASS ? p : NULL;
}

static void compare_gradient(struct golden_net *net, const struct snn_param *p, const char *name) {
    if (p) golden_compare_real(net->c, name, p->grad, (size_t)p->count, GOLDEN_GRADIENT);
}

/* ---- a layer ---- */

/* (B,C,T) of the case from rows (T,B,C). */
static void compare_turned(struct golden *c, const char *name, const real *rows, int32_t T, int32_t B, int32_t C,
                           double relative) {
    real *turned = golden_own(c, (size_t)T * (size_t)B * (size_t)C, sizeof *turned);
    for (int32_t t = 0; t < T; ++t)
        for (int32_t b = 0; b < B; ++b)
            for (int32_t i = 0; i < C; ++i)
                turned[((ptrdiff_t)b * C + i) * T + t] = rows[((ptrdiff_t)t * B + b) * C + i];
    golden_compare_real(c, name, turned, (size_t)T * (size_t)B * (size_t)C, relative);
}

/* (out, in/groups, taps) of the case from (taps, out, in/groups). */
static void compare_kernel(struct golden *c, const char *name, const real *kernel, int32_t taps, ptrdiff_t synapses,
                           double relative) {
    compare_turned(c, name, kernel, taps, (int32_t)synapses, 1, relative);
}

static bool layer_batch(struct golden_net *net) {
    struct golden *c = net->c;
    const struct snn_st_tensor *shape;
    const double *x = golden_tensor(c, "x", &shape);
    if (!x || shape->nd != 3) return golden_fail(c, "does not understand the shape of x");
    int32_t B = (int32_t)shape->dim[0], C = (int32_t)shape->dim[1], T = (int32_t)shape->dim[2];
    float *frames = golden_own(c, snn_st_elements(shape), sizeof *frames);
    int32_t *small = golden_own(c, 3 * (size_t)B, sizeof *small);
    for (int32_t b = 0; b < B; ++b) {
        small[B + b] = T, small[2 * B + b] = b;
        for (int32_t i = 0; i < C; ++i)
            for (int32_t t = 0; t < T; ++t)
                frames[((ptrdiff_t)t * B + b) * C + i] = (float)x[((ptrdiff_t)b * C + i) * T + t];
    }
    net->batch = (struct snn_batch){.form = SNN_BATCH_FRAMES,
                                    .T = T,
                                    .B = B,
                                    .C = C,
                                    .H = 1,
                                    .W = 1,
                                    .frames = frames,
                                    .label = small,
                                    .length = small + B,
                                    .sample = small + 2 * B};
    return true;
}

static void run_layer(struct golden_net *net, int32_t taps) {
    struct golden *c = net->c;
    struct snn_param *w = give(net, "model.0.delay.weight", "w"), *p = give(net, "model.0.delay.position", "P"),
                     *sigma = golden_find(c, "SIG") ? give(net, "model.0.delay.sigma", "SIG") : NULL;
    if (c->verdict != GOLDEN_PASS) return;
    const struct snn_tape *tape = &net->network.model.tape;
    const struct snn_tensor *x = tape->input, *y = tape->output, *kernel = tape->node[0]->out;
    int32_t B = net->batch.B, C = (int32_t)y->units, T = net->batch.T + y->appended;
    const struct snn_st_tensor *shape;
    const double *gy = golden_tensor(c, "gy", &shape);
    if (!gy || snn_st_elements(shape) != (uint64_t)T * (uint64_t)B * (uint64_t)C) {
        golden_fail(c, "'gy' does not fit the output");
        return;
    }
    golden_net_forward(net, true, SNN_HARD);
    compare_kernel(c, "K", kernel->data, taps, kernel->units / taps, GOLDEN_VALUE);
    compare_turned(c, "y", y->data, T, B, C, GOLDEN_VALUE);
    for (int32_t t = 0; t < T; ++t)
        for (int32_t b = 0; b < B; ++b)
            for (int32_t i = 0; i < C; ++i)
                y->grad[((ptrdiff_t)t * B + b) * C + i] = (real)gy[((ptrdiff_t)b * C + i) * T + t];
    golden_net_backward(net, NULL, true);
    compare_turned(c, "gx", x->grad, net->batch.T, B, (int32_t)x->units, GOLDEN_GRADIENT);
    compare_kernel(c, "gK", kernel->grad, taps, kernel->units / taps, GOLDEN_GRADIENT);
    compare_gradient(net, w, "gw"), compare_gradient(net, p, "gP"), compare_gradient(net, sigma, "gSIG");
}

static void golden_layer(struct golden *c, struct golden_net *net) {
    const struct snn_st_tensor *w = golden_find(c, "w");
    char *text = NULL;
    size_t size;
    int taps = (int)golden_number(c, "dilated_kernel_size");
    golden_text(c, "sigma_effective"); /* the formula of the version */
    if (!w || w->nd != 3 || !layer_batch(net)) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "model: [{");
    bool understood = put_delay(c, yaml, (int32_t)w->dim[0], golden_find(c, "SIG") != NULL);
    fprintf(yaml, ", groups: %d}}]\n", (int)golden_number_or(c, "groups", 1));
    fclose(yaml);
    if (understood && build(c, net, text, true)) run_layer(net, taps);
    free(text);
}

/* ---- a network ---- */

static bool put_network(struct golden *c, FILE *yaml) {
    json_t *norm = golden_fact(c, "bn"), *w = golden_fact(c, "optimizer_w"), *p = golden_fact(c, "optimizer_P"),
           *clamp = golden_fact(c, "clamp");
    const char *version = golden_text(c, "version"), *over = json_string_value(json_object_get(norm, "over"));
    int taps = (int)golden_number(c, "dilated_kernel_size");
    bool wide = !strcmp(version, "gauss") || !strcmp(version, "max");
    double tau = golden_number(c, "tau"), sigma = golden_number(c, "SIG");
    golden_text(c, "eval"), golden_number(c, "readout_threshold"); /* which nothing reaches */
    if (!over || strcmp(over, "time and batch jointly")) return golden_fail(c, "does not understand 'bn'");
    if (strcmp(golden_text(c, "surrogate"), "atan")) return golden_fail(c, "does not understand 'surrogate'");
    if (strcmp(golden_text(c, "loss_kind"), "cross_entropy(sum_t softmax(v[t]), y)"))
        return golden_fail(c, "does not understand 'loss_kind'");
    if (golden_flag(c, "decay_input", false)) return golden_fail(c, "does not understand 'decay_input'");
    if (golden_number_or(c, "v_reset", 0) != 0) return golden_fail(c, "does not understand 'v_reset'");
    if (json_number_value(json_array_get(clamp, 0)) != -(taps / 2) ||
        json_number_value(json_array_get(clamp, 1)) != taps / 2)
        return golden_fail(c, "does not understand 'clamp'");
    for (int i = 0; i < 2; ++i) {
        fprintf(yaml, i ? "  - " : "model:\n  - ");
        if (!put_delay(c, yaml, (int32_t)golden_number(c, i ? "n_out" : "n_hidden"), false)) return false;
        if (wide) fprintf(yaml, ", sigma: %.17g", sigma);
        fprintf(yaml, "}\n");
        if (i) break;
        fprintf(yaml, "  - batchnorm: {over: joint");
        golden_put_json(yaml, "eps", json_object_get(norm, "eps"));
        golden_put_json(yaml, "momentum", json_object_get(norm, "momentum"));
        fprintf(yaml,
                "}\n  - lif: {tau: %.17g, threshold: %.17g, detach_reset: %s, surrogate: {name: atan, alpha: %.17g}}\n",
                tau, golden_number(c, "threshold"), golden_flag(c, "detach_reset", false) ? "true" : "false",
                golden_number(c, "alpha"));
    }
    fprintf(yaml, "  - li: {tau: %.17g}\nloss: {name: ce, over: softmax_sum}\noptimizer: {name: adam", tau);
    const json_t *betas = json_object_get(w, "betas");
    if (!json_equal(betas, json_object_get(p, "betas")) ||
        json_number_value(json_object_get(w, "eps")) != json_number_value(json_object_get(p, "eps")) ||
        strcmp(json_string_value(json_object_get(w, "kind")), "adam") ||
        strcmp(json_string_value(json_object_get(p, "kind")), "adam"))
        return golden_fail(c, "does not understand two optimisers of different kinds");
    golden_put_json(yaml, "lr", json_object_get(w, "lr"));
    golden_put_json(yaml, "beta1", json_array_get(betas, 0)), golden_put_json(yaml, "beta2", json_array_get(betas, 1));
    golden_put_json(yaml, "eps", json_object_get(w, "eps"));
    golden_put_json(yaml, "weight_decay", json_object_get(w, "weight_decay"));
    fprintf(yaml, ", groups: [{match: '*.position'");
    golden_put_json(yaml, "lr", json_object_get(p, "lr"));
    golden_put_json(yaml, "weight_decay", json_object_get(p, "weight_decay"));
    fprintf(yaml, "}, {match: '*.batchnorm.*'");
    golden_put_json(yaml, "weight_decay", json_object_get(w, "weight_decay_bn"));
    fprintf(yaml, "}]}\n");
    return true;
}

static const struct {
    const char *ours, *theirs;
} params[] = {{"model.0.delay.weight", "w1"},           {"model.0.delay.position", "P1"},
              {"model.1.batchnorm.weight", "bn_w"},     {"model.1.batchnorm.bias", "bn_b"},
              {"model.3.delay.weight", "w2"},           {"model.3.delay.position", "P2"},
              {"model.1.batchnorm.running_mean", NULL}, {"model.1.batchnorm.running_var", NULL}};
enum { PARAMS = sizeof params / sizeof *params };

static void compare_step(struct golden_net *net, int step) {
    char name[64];
    for (int i = 0; i < PARAMS; ++i) {
        const struct snn_param *p = snn_params_find(&net->network.model.params, params[i].ours);
        const char *theirs = params[i].theirs                  ? params[i].theirs
                             : strstr(params[i].ours, "_mean") ? "bn_mean"
                                                               : "bn_var";
        snprintf(name, sizeof name, "%s_after%d", theirs, step);
        golden_compare_real(net->c, name, p->value, (size_t)p->count, GOLDEN_GRADIENT);
        snprintf(name, sizeof name, "g%s", theirs);
        if (step == 1 && !p->buffer) compare_gradient(net, p, name);
    }
}

/* m = sum over time of softmax(v), (B,C) */
static void compare_scores(struct golden_net *net, const char *name) {
    const struct snn_tensor *v = net->network.model.tape.output;
    int32_t B = net->batch.B, C = (int32_t)v->units, T = net->batch.T + v->appended;
    double *m = golden_own(net->c, (size_t)B * (size_t)C, sizeof *m);
    for (int32_t i = 0; i < T * B; ++i)
        snn_decide_step(SNN_DECIDE_SOFTMAX_SUM, i / B, C, v->data + (ptrdiff_t)i * C, m + (ptrdiff_t)(i % B) * C);
    golden_compare(net->c, name, m, (size_t)B * (size_t)C, GOLDEN_GRADIENT);
}

static void train_steps(struct delay_net *d) {
    struct golden_net *net = &d->net;
    struct golden *c = net->c;
    struct snn_network *n = &net->network;
    struct snn_cut cut = {.batch = &net->batch, .T = net->batch.T, .train = true};
    double scale = 1.0 / net->batch.B, loss;
    char name[32];
    const struct snn_tensor *v = n->model.tape.output;
    for (int i = 0; i < PARAMS; ++i)
        if (params[i].theirs && !give(net, params[i].ours, params[i].theirs)) return;
    int steps = (int)golden_number(c, "steps");
    for (int step = 1; step <= steps; ++step) {
        golden_net_forward(net, true, SNN_HARD);
        snn_network_set_step(n, 0, (uint32_t)step, scale);
        snn_network_loss(n, &cut, true);
        if (!golden_ok(c, snn_network_loss_sum(n, &cut, &loss))) return;
        loss *= scale;
        snprintf(name, sizeof name, "loss%d", step - 1);
        golden_compare(c, name, &loss, 1, GOLDEN_GRADIENT);
        if (step == 1) {
            golden_compare(c, "h1", d->normed, d->count, GOLDEN_GRADIENT);
            golden_compare(c, "s1", net->seen[0].s, net->seen[0].count, GOLDEN_EXACT);
            golden_compare_real(c, "v2", v->data,
                                (size_t)(net->batch.T + v->appended) * (size_t)(net->batch.B * v->units),
                                GOLDEN_GRADIENT);
            compare_scores(net, "m");
        }
        golden_net_backward(net, NULL, true);
        snn_optim_step(n->optim, &net->device, 1, NAN);
        compare_step(net, step);
    }
    golden_net_forward(net, false, SNN_HARD);
    golden_compare(c, "s1_eval", net->seen[0].s, net->seen[0].count, GOLDEN_EXACT);
    compare_scores(net, "m_eval");
}

static void golden_network(struct golden *c, struct delay_net *d) {
    struct golden_net *net = &d->net;
    const struct snn_st_tensor *labels;
    const double *y = golden_tensor(c, "y", &labels);
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    bool understood = y && put_network(c, yaml);
    fclose(yaml);
    if (understood && golden_net_input(net, "x", false)) { /* for the batch: the model makes a tape of its own */
        if (net->batch.C != (int)golden_number(c, "n_in") || snn_st_elements(labels) != (uint64_t)net->batch.B)
            golden_fail(c, "does not understand the shapes");
        for (int32_t b = 0; c->verdict == GOLDEN_PASS && b < net->batch.B; ++b) net->batch.label[b] = (int32_t)y[b];
        if (c->verdict == GOLDEN_PASS && build(c, net, text, false)) train_steps(d);
    }
    free(text);
}

/* ---- the schedule of sigma ---- */

static void golden_sigma(struct golden *c) {
    const struct snn_st_tensor *shape;
    const double *sig = golden_tensor(c, "sig", &shape), epochs = golden_number(c, "epochs"),
                 final = golden_number(c, "final_epoch"), start = floor(golden_number(c, "dilated_kernel_size") / 2);
    if (!sig || (double)snn_st_elements(shape) != epochs || epochs < 1) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    struct snn_anneal a = {.from = start, .to = 0.23, .until = final / epochs, .shape = 1, .per = 0};
    double alpha = pow(a.to / start, 1 / final);
    double *found = golden_own(c, (size_t)epochs, sizeof *found);
    for (int e = 0; e < (int)epochs; ++e)
        found[e] = snn_anneal_value(&a, epochs, (e + 0.7) / epochs); /* anywhere in the epoch */
    golden_compare(c, "sig", found, (size_t)epochs, GOLDEN_VALUE);
    if (fabs(alpha - golden_number(c, "alpha")) > 1e-9) golden_fail(c, "does not understand 'alpha'");
}

void golden_dcls(struct golden *c) {
    const char *op = golden_text(c, "op");
    struct delay_net d;
    if (!strcmp(op, "sigma_schedule")) {
        golden_sigma(c);
        return;
    }
    bool layer = !strcmp(op, "dcls1d");
    if (!layer && strcmp(op, "snn_delays_step")) {
        golden_fail(c, "does not understand op '%s'", op);
        return;
    }
    if (!open_net(c, &d)) return;
    if (layer) golden_layer(c, &d.net);
    else golden_network(c, &d);
    golden_net_close(&d.net);
}
