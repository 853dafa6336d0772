/* SPDX-License-Identifier: Apache-2.0
 * golden_biper.c - binary periodic weights and binary activations against the paper's equations. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/loss.h"
#include "autograd/ops.h"
#include "golden.h"
#include "layers/biper.h"

/* What the case says in words and what we do must be one thing. */
static bool understands(struct golden *c) {
    const char *activation = golden_text(c, "activation"), *slope = golden_text(c, "weight_grad"),
               *reg = golden_text(c, "reg_kind");
    if (fnmatch("sign(a0), a0 = x/sqrt(var_unbiased over C,H,W per sample + 1e-5)*(training only)*max(0,2-2|a0|)",
                activation, 0))
        return golden_fail(c, "does not understand 'activation'");
    if (fnmatch("omega0\\*cos(omega0 w)\\*gb, straight through*", slope, 0))
        return golden_fail(c, "does not understand 'weight_grad'");
    if (fnmatch("tau\\*mean(sin(omega0 w)^2)*", reg, 0)) return golden_fail(c, "does not understand 'reg_kind'");
    if (golden_number(c, "sign_of_zero") != 0) return golden_fail(c, "does not understand 'sign_of_zero'");
    return true;
}

static bool record(struct golden_net *net, bool convolves, const struct snn_periodic_options *options) {
    struct golden *c = net->c;
    struct snn_tape *tape = &net->network.model.tape;
    struct snn_tensor *x = golden_net_input(net, "x", true);
    struct snn_param *w = golden_net_param(net, "w", false), *alpha = golden_net_param(net, "alpha", false);
    struct snn_conv_shape s;
    if (!x || !w || !alpha || alpha->count != w->dim[0]) return golden_fail(c, "does not understand the shapes");
    if (convolves && !golden_conv_shape(c, false, x, w, &s)) return false;
    if (!convolves && (w->nd != 2 || w->dim[1] != x->units)) return golden_fail(c, "does not understand the shapes");
    struct snn_tensor *a = snn_sign(tape, "sign", x, true);
    struct snn_tensor *made = snn_weight_periodic(tape, "weight", w, alpha, options);
    if (convolves) snn_conv_with(tape, "conv", a, &s, made, NULL);
    else snn_linear_with(tape, "linear", a, made, NULL);
    return true;
}

/* The regulariser, as a config asks for it: its value, and its share of the gradient. */
static void penalise(struct golden_net *net, double frequency, const struct snn_param *w) {
    struct golden *c = net->c;
    double tau = golden_number_or(c, "reg_tau", 0), reg = 0, one = 1;
    char text[200];
    struct snn_loss loss;
    snprintf(text, sizeof text, "loss: [ce, {name: periodic, frequency: %.17g, weight: %.17g, match: w}]\n", frequency,
             tau);
    struct snn_conf *node = golden_parse(c, net, text);
    if (!node || !golden_ok(c, snn_loss_read(node, &loss))) return;
    const struct snn_weight_term *term = &loss.regular.weight[0];
    const struct snn_regular_kernels *kernels = net->device.regular;
    double factor = term->weight / (double)w->count;
    kernels->weigh(&net->device, term->kind, term->frequency, w->count, w->value, factor, &reg);
    kernels->weigh_grad(&net->device, term->kind, term->frequency, w->count, w->value, factor, &one, w->grad);
    golden_compare(c, "reg", &reg, 1, GOLDEN_VALUE);
}

static void compare(struct golden_net *net, bool train, const struct snn_periodic_options *options) {
    struct golden *c = net->c;
    struct snn_params *params = &net->network.model.params;
    const struct snn_tape *tape = &net->network.model.tape;
    const struct snn_tensor *x = tape->input, *y = tape->output, *a = tape->node[0]->out;
    const struct snn_param *w = params->list[0], *alpha = params->list[1];
    size_t rows = (size_t)net->batch.T * (size_t)net->batch.B;
    golden_net_forward(net, train, SNN_HARD);
    golden_compare_real(c, "sa", a->data, rows * (size_t)a->units, GOLDEN_EXACT);
    golden_compare_real(c, "y", y->data, rows * (size_t)y->units, GOLDEN_VALUE);

    /* b without its factor */
    real frequency = (real)options->frequency, *b = golden_own(c, (size_t)w->count, sizeof *b);
    struct snn_periodic_shape shape = {w->dim[0], w->count / w->dim[0], options->stage == 2};
    net->device.binary->periodic(&net->device, &shape, &frequency, w->value, NULL, b);
    golden_compare_real(c, "bw", b, (size_t)w->count, options->stage == 2 ? GOLDEN_EXACT : GOLDEN_VALUE);

    golden_net_backward(net, "gy", train);
    if (c->verdict != GOLDEN_PASS) return;
    penalise(net, options->frequency, w);
    golden_compare_real(c, "gx", x->grad, rows * (size_t)x->units, GOLDEN_GRADIENT);
    golden_compare_real(c, "gw", w->grad, (size_t)w->count, GOLDEN_GRADIENT);
    golden_compare_real(c, "galpha", alpha->grad, (size_t)alpha->count, GOLDEN_GRADIENT);
}

static void layer(struct golden *c, bool convolves) {
    struct golden_net net;
    struct snn_periodic_options options = {golden_number(c, "omega0"), (long long)golden_number(c, "stage")};
    bool train = golden_flag(c, "training", true);
    if (!convolves) golden_has(c, "kernel"), golden_has(c, "stride"), golden_has(c, "padding"); /* say nothing here */
    if (!understands(c) || !golden_net_open(c, &net)) return;
    if (record(&net, convolves, &options) && golden_net_allocate(&net, false)) compare(&net, train, &options);
    golden_net_close(&net);
}

static void quantisation_error(struct golden *c) {
    const struct snn_st_tensor *shape;
    const double *z = golden_tensor(c, "z", &shape);
    if (!z) return;
    size_t n = snn_st_elements(shape);
    double *found[4];
    for (int k = 0; k < 4; ++k) found[k] = golden_own(c, n, sizeof *found[k]);
    for (size_t i = 0; i < n; ++i) {
        struct snn_biper_error e = snn_biper_error(z[i]);
        found[0][i] = e.A, found[1][i] = e.S, found[2][i] = e.plain, found[3][i] = e.best;
    }
    static const char *const names[] = {"A", "S", "qe1", "qe_best"};
    for (int k = 0; k < 4; ++k) golden_compare(c, names[k], found[k], n, GOLDEN_VALUE);
}

void golden_biper(struct golden *c) {
    const char *op = golden_text(c, "op");
    if (!strcmp(op, "biper_conv2d") || !strcmp(op, "biper_linear")) layer(c, op[6] == 'c');
    else if (!strcmp(op, "biper_qe")) quantisation_error(c);
    else golden_fail(c, "does not understand op '%s'", op);
}
