/* SPDX-License-Identifier: Apache-2.0
 * layer_biper.c - linear layers and convolutions with binary periodic weights (BiPer, Vargas et al., CVPR 2024). */
#include "layers/biper.h"

#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct biper_options {
    struct snn_periodic_options periodic;
    struct snn_window window;
    int activation;
    bool scale_activation, bias;
    struct snn_conf *init;
};
enum { ACTIVATION_AUTO, ACTIVATION_SIGN, ACTIVATION_NONE };
static const char *const activation_names[] = {"auto", "sign", "none", NULL};

#define BIPER(field) offsetof(struct biper_options, field)
const struct snn_key snn_biper_keys[] = {
    {"out", SNN_INT, BIPER(window.out), NULL, 1, 1 << 20, NULL, "units, or output channels"},
    {"frequency", SNN_REAL, BIPER(periodic.frequency), "20", 1e-3, 1e3, NULL, "omega: b = sin(omega w), or its sign"},
    {"stage", SNN_INT, BIPER(periodic.stage), "1", 1, 2, NULL, "1: the sine; 2: its sign, straight through"},
    {"activation", SNN_CHOICE, BIPER(activation), "auto", 0, 0, activation_names,
     "what becomes of the input: sign, with the slope max(0, 2-2|x|), or none; auto: none for what is made of spikes"},
    {"scale_activation", SNN_BOOL, BIPER(scale_activation), "true", 0, 0, NULL,
     "in training, divide each row by its deviation before its sign is taken, which moves the slope"},
    {"kernel", SNN_SIZES, BIPER(window.kernel), SNN_OPTIONAL, 1, 63, NULL, "of a convolution; without one: linear"},
    {"stride", SNN_SIZES, BIPER(window.stride), "1", 1, 64, NULL, "step of the window"},
    {"padding", SNN_SIZES, BIPER(window.padding), "0", 0, 64, NULL, "zeros on each side"},
    {"dilation", SNN_SIZES, BIPER(window.dilation), "1", 1, 64, NULL, "distance of the taps"},
    {"groups", SNN_INT, BIPER(window.groups), "1", 1, 1 << 16, NULL, "channels are convolved in this many groups"},
    {"bias", SNN_BOOL, BIPER(bias), "false", 0, 0, NULL, "add a learned bias"},
    {"init", SNN_NODE, BIPER(init), "{name: kaiming_normal, a: 0}", 0, 0, NULL,
     "latent weights: NAME or {name, parameters}"},
    {0},
};

struct snn_biper_error snn_biper_error(double z) {
    struct snn_biper_error e = {.A = z / (1 + z * z) / tanh(M_PI / (2 * z)), .S = 2 * z * z / (1 + 4 * z * z)};
    e.plain = 1 - 2 * e.A + e.S, e.best = e.S - e.A * e.A;
    return e;
}

/* Keys of a window where there is none. */
static int check_linear(const struct snn_builder *b, struct snn_conf *node, const struct biper_options *o) {
    static const char *const keys[] = {"stride", "padding", "dilation"};
    const struct snn_sizes *sizes[] = {&o->window.stride, &o->window.padding, &o->window.dilation};
    char text[48];
    for (int i = 0; i < 3; ++i)
        if (sizes[i]->count || sizes[i]->at[0] != (i != 1))
            return snn_conf_key_error(node, snn_conf_get(node, keys[i]), "%s: is of convolutions: give `kernel` too",
                                      keys[i]);
    if (o->window.groups != 1)
        return snn_conf_key_error(node, snn_conf_get(node, "groups"), "groups: is of convolutions: give `kernel` too");
    if (b->x->nd != 1)
        return snn_conf_error(node,
                              "is linear without `kernel`, and needs a flat input, got %s: put `- flatten` "
                              "before it, or give `kernel`",
                              snn_shape_text(b->x, text));
    if (o->window.out * b->x->dim[0] > 1 << 28)
        return snn_conf_error(node, "%lld x %d weights are too many", o->window.out, (int)b->x->dim[0]);
    return SNN_OK;
}

static int binarise(struct snn_builder *b, const struct snn_conf *node, const struct biper_options *o) {
    bool of_spikes = b->x->is_spikes || b->x->is_sparse;
    if (o->activation == ACTIVATION_NONE || (o->activation == ACTIVATION_AUTO && of_spikes)) return SNN_OK;
    if (o->scale_activation && b->x->units < 2)
        return snn_conf_error(node, "one unit has no deviation: expected scale_activation: false");
    b->x = snn_sign(&b->model->tape, b->path, b->x, o->scale_activation);
    return SNN_OK;
}

int snn_build_biper(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct biper_options *o = snn_builder_options(b, sizeof *o);
    struct snn_tape *tape = &b->model->tape;
    struct snn_conv_shape s;
    struct snn_param *w, *alpha, *bias = NULL;
    SNN_TRY(snn_conf_read(node, snn_biper_keys, o));
    snn_builder_bind(b, node, snn_biper_keys, o);
    bool convolves = o->window.kernel.at[0] > 0;
    int32_t out = (int32_t)o->window.out, dim[2] = {out, b->x->dim[0]};
    if (convolves) SNN_TRY(snn_window_read(b, node, &o->window, &s));
    else SNN_TRY(check_linear(b, node, o));
    SNN_TRY(binarise(b, node, o));
    if (convolves) SNN_TRY(snn_conv_weight(b, node, &s, s.O, s.C / s.groups, o->init, &w));
    else {
        w = snn_builder_param(b, "weight", false, 2, dim);
        SNN_TRY(snn_init_read(o->init, dim[1], dim[0], w));
    }
    alpha = snn_builder_param(b, "alpha", false, 1, &out);
    alpha->fill = alpha->bound = 0.5; /* U(0,1) */
    if (o->bias) {
        bias = snn_builder_param(b, "bias", false, 1, &out);
        bias->bound = 1 / sqrt((double)(w->count / out));
    }
    struct snn_tensor *made = snn_weight_periodic(tape, b->path, w, alpha, &o->periodic);
    b->x = convolves ? snn_conv_with(tape, b->path, b->x, &s, made, bias)
                     : snn_linear_with(tape, b->path, b->x, made, bias);
    return SNN_OK;
}
