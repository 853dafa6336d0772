/* SPDX-License-Identifier: Apache-2.0
 * layer_basic.c - linear, conv, pool, norm, dropout, flatten: keys, shape checks, parameters. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

/* ---- initial values ---- */

struct init {
    double a, bound, std, value;
};
static const char *const init_names[] = {"kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
                                         "uniform",         "normal",         "constant",       NULL};
static const struct snn_key kaiming_keys[] = {SNN_KEY_NAME,
                                              {"a", SNN_REAL, offsetof(struct init, a), "2.2360679774997896", 0, 1e6,
                                               NULL, "negative slope: gain = sqrt(2/(1+a^2))"},
                                              {0}};
static const struct snn_key xavier_keys[] = {SNN_KEY_NAME, {0}};
static const struct snn_key uniform_keys[] = {
    SNN_KEY_NAME,
    {"bound", SNN_REAL, offsetof(struct init, bound), NULL, 0, 1e6, NULL, "uniform in -bound..bound"},
    {0}};
static const struct snn_key normal_keys[] = {
    SNN_KEY_NAME, {"std", SNN_REAL, offsetof(struct init, std), NULL, 0, 1e6, NULL, "standard deviation"}, {0}};
static const struct snn_key constant_keys[] = {
    SNN_KEY_NAME, {"value", SNN_REAL, offsetof(struct init, value), NULL, -1e6, 1e6, NULL, "of every weight"}, {0}};

int snn_init_read(struct snn_conf *node, int32_t fan_in, int32_t fan_out, struct snn_param *weight) {
    static const struct snn_key *const keys[] = {kaiming_keys, kaiming_keys, xavier_keys,  xavier_keys,
                                                 uniform_keys, normal_keys,  constant_keys};
    int which = snn_conf_variant(node, "an initialisation", init_names);
    SNN_TRY(which);
    struct init init = {0};
    SNN_TRY(snn_conf_read(node, keys[which], &init));
    double kaiming = sqrt(2 / (1 + init.a * init.a) / fan_in), xavier = sqrt(2.0 / ((double)fan_in + fan_out));
    const double bound[] = {kaiming * sqrt(3), kaiming, xavier * sqrt(3), xavier, init.bound, init.std, 0};
    weight->bound = bound[which];
    weight->normal = which == 1 || which == 3 || which == 5;
    weight->fill = init.value;
    return SNN_OK;
}

#define INIT(type)                                                                                                     \
    {                                                                                                                  \
        "init", SNN_NODE, offsetof(type, init), "kaiming_uniform", 0, 0, NULL,                                         \
            "initial weights: NAME or {name, parameters}"                                                              \
    }

/* ---- linear ---- */

struct linear_options {
    long long out;
    bool bias;
    struct snn_conf *init;
};
const struct snn_key snn_linear_keys[] = {
    {"out", SNN_INT, offsetof(struct linear_options, out), NULL, 1, 1 << 20, NULL, "units"},
    {"bias", SNN_BOOL, offsetof(struct linear_options, bias), "true", 0, 0, NULL, "add a learned bias"},
    INIT(struct linear_options),
    {0},
};

int snn_build_linear(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct linear_options o;
    char shape[48];
    SNN_TRY(snn_conf_read(node, snn_linear_keys, &o));
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, shape));
    int32_t dim[2] = {(int32_t)o.out, b->x->dim[0]};
    if (o.out * b->x->dim[0] > 1 << 28)
        return snn_conf_error(node, "%lld x %d weights are too many", o.out, (int)b->x->dim[0]);
    struct snn_param *w = snn_builder_param(b, "weight", false, 2, dim),
                     *bias = o.bias ? snn_builder_param(b, "bias", false, 1, dim) : NULL;
    SNN_TRY(snn_init_read(o.init, dim[1], dim[0], w));
    if (bias) bias->bound = 1 / sqrt(dim[1]);
    b->x = snn_linear(&b->model->tape, b->path, b->x, w, bias);
    return SNN_OK;
}

/* ---- conv ---- */

struct conv_options {
    long long out, groups;
    int kernel[2], stride[2], padding[2], dilation[2];
    bool bias;
    struct snn_conf *init;
};
#define CONV(field) offsetof(struct conv_options, field)
const struct snn_key snn_conv_keys[] = {
    {"out", SNN_INT, CONV(out), NULL, 1, 1 << 16, NULL, "output channels"},
    {"kernel", SNN_PAIR, CONV(kernel), NULL, 1, 63, NULL, "size, or [height, width]"},
    {"stride", SNN_PAIR, CONV(stride), "1", 1, 64, NULL, "step of the window"},
    {"padding", SNN_PAIR, CONV(padding), "0", 0, 64, NULL, "zeros on each side"},
    {"dilation", SNN_PAIR, CONV(dilation), "1", 1, 64, NULL, "distance of the taps"},
    {"groups", SNN_INT, CONV(groups), "1", 1, 1 << 16, NULL, "channels are convolved in this many separate groups"},
    {"bias", SNN_BOOL, CONV(bias), "true", 0, 0, NULL, "add a learned bias by channel"},
    INIT(struct conv_options),
    {0},
};

int snn_build_conv(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct conv_options o;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_conv_keys, &o));
    if (b->x->nd != 3) return snn_conf_error(node, "needs an input (C,H,W), got %s", snn_shape_text(b->x, text));
    struct snn_conv_shape s = {
        .C = b->x->dim[0], .H = b->x->dim[1], .W = b->x->dim[2], .O = (int32_t)o.out, .groups = (int32_t)o.groups};
    for (int i = 0; i < 2; ++i)
        s.kernel[i] = o.kernel[i], s.stride[i] = o.stride[i], s.padding[i] = o.padding[i],
        s.dilation[i] = o.dilation[i];
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], s.dilation[0]);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], s.dilation[1]);
    if (s.C % s.groups || s.O % s.groups)
        return snn_conf_error(node, "%d input and %d output channels do not divide into %d groups", (int)s.C, (int)s.O,
                              (int)s.groups);
    if (s.OH < 1 || s.OW < 1)
        return snn_conf_error(node, "the kernel does not fit into %s", snn_shape_text(b->x, text));
    int32_t dim[4] = {s.O, s.C / s.groups, s.kernel[0], s.kernel[1]};
    if ((double)dim[0] * dim[1] * dim[2] * dim[3] > 1 << 28)
        return snn_conf_error(node, "the kernel has too many weights");
    int32_t fan_in = dim[1] * dim[2] * dim[3], fan_out = dim[0] / s.groups * dim[2] * dim[3];
    struct snn_param *w = snn_builder_param(b, "weight", false, 4, dim),
                     *bias = o.bias ? snn_builder_param(b, "bias", false, 1, dim) : NULL;
    SNN_TRY(snn_init_read(o.init, fan_in, fan_out, w));
    if (bias) bias->bound = 1 / sqrt(fan_in);
    b->x = snn_conv2d(&b->model->tape, b->path, b->x, &s, w, bias);
    return SNN_OK;
}

/* ---- pool ---- */

struct pool_options {
    int kernel[2], stride[2], padding[2];
};
const struct snn_key snn_pool_keys[] = {
    {"kernel", SNN_PAIR, offsetof(struct pool_options, kernel), NULL, 1, 15, NULL, "window, or [height, width]"},
    {"stride", SNN_PAIR, offsetof(struct pool_options, stride), "0", 0, 64, NULL,
     "step of the window; 0: the window's size"},
    {"padding", SNN_PAIR, offsetof(struct pool_options, padding), "0", 0, 7, NULL,
     "on each side, at most half the window; averages count it as zeros"},
    {0},
};

int snn_build_pool(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct pool_options o;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_pool_keys, &o));
    if (b->x->nd != 3) return snn_conf_error(node, "needs an input (C,H,W), got %s", snn_shape_text(b->x, text));
    struct snn_pool_shape s = {.C = b->x->dim[0], .H = b->x->dim[1], .W = b->x->dim[2]};
    for (int i = 0; i < 2; ++i) {
        s.kernel[i] = o.kernel[i], s.stride[i] = o.stride[i] ? o.stride[i] : o.kernel[i], s.padding[i] = o.padding[i];
        if (2 * o.padding[i] > o.kernel[i])
            return snn_conf_error(node, "padding %d is over half the window %d", o.padding[i], o.kernel[i]);
    }
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], 1);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], 1);
    if (s.OH < 1 || s.OW < 1)
        return snn_conf_error(node, "the window does not fit into %s", snn_shape_text(b->x, text));
    b->x = (variant ? snn_max_pool : snn_average_pool)(&b->model->tape, b->path, b->x, &s);
    return SNN_OK;
}

/* ---- norm ---- */

static const char *const over_names[] = {"step", "joint", NULL};
const struct snn_key snn_batchnorm_keys[] = {
    {"over", SNN_CHOICE, offsetof(struct snn_norm_options, over), "step", 0, 0, over_names,
     "statistics over one step (B) or all steps (T*B)"},
    {"eps", SNN_REAL, offsetof(struct snn_norm_options, eps), "1e-5", 1e-12, 1, NULL, "added to the variance"},
    {"momentum", SNN_REAL, offsetof(struct snn_norm_options, momentum), "0.1", 0, 1, NULL,
     "share of the new statistics in the running ones"},
    {0},
};
const struct snn_key snn_layernorm_keys[] = {
    {"eps", SNN_REAL, offsetof(struct snn_norm_options, eps), "1e-5", 1e-12, 1, NULL, "added to the variance"},
    {0},
};

int snn_build_batchnorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_norm_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_batchnorm_keys, o));
    struct snn_param *w = snn_builder_param(b, "weight", false, 1, b->x->dim),
                     *bias = snn_builder_param(b, "bias", false, 1, b->x->dim);
    struct snn_param *mean = snn_builder_param(b, "running_mean", true, 1, b->x->dim),
                     *var = snn_builder_param(b, "running_var", true, 1, b->x->dim);
    w->fill = var->fill = 1;
    b->x = snn_batch_norm(&b->model->tape, b->path, b->x, o, w, bias, mean, var);
    return SNN_OK;
}

int snn_build_layernorm(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_norm_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_layernorm_keys, o));
    struct snn_param *w = snn_builder_param(b, "weight", false, b->x->nd, b->x->dim),
                     *bias = snn_builder_param(b, "bias", false, b->x->nd, b->x->dim);
    w->fill = 1;
    b->x = snn_layer_norm(&b->model->tape, b->path, b->x, o, w, bias);
    return SNN_OK;
}

/* ---- dropout, flatten ---- */

struct dropout_options {
    double p;
};
const struct snn_key snn_dropout_keys[] = {
    {"p", SNN_REAL, offsetof(struct dropout_options, p), "0.5", 0, 0.99, NULL, "probability of a zero"},
    {0},
};

int snn_build_dropout(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct dropout_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_dropout_keys, o));
    snn_builder_bind(b, node, snn_dropout_keys, o);
    b->x = snn_dropout(&b->model->tape, b->path, b->x, &o->p, b->dropouts++);
    return SNN_OK;
}

int snn_build_flatten(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    static const struct snn_key no_keys[] = {{0}};
    SNN_TRY(snn_conf_read(node, no_keys, NULL));
    b->x = snn_flatten(&b->model->tape, b->x);
    return SNN_OK;
}
