/* SPDX-License-Identifier: Apache-2.0
 * golden_ops.c - single operations and losses against PyTorch and snnTorch. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/ops.h"
#include "core/status.h"
#include "golden.h"

/* Each records its operation on the tape; false: the case failed. */

static bool op_linear(struct golden_net *net) {
    struct snn_tensor *x = golden_net_input(net, "x", true);
    struct snn_param *w = golden_net_param(net, "w", false), *b = golden_net_param(net, "b", false);
    if (!x || !w || w->nd != 2 || w->dim[1] != x->units) return golden_fail(net->c, "does not understand the shapes");
    snn_linear(&net->network.model.tape, "linear", x, w, b);
    return true;
}

bool golden_conv_shape(struct golden *c, bool transposed, const struct snn_tensor *x, const struct snn_param *w,
                       struct snn_conv_shape *shape) {
    const struct snn_st_tensor *y = golden_find(c, "y");
    int axes = x ? x->nd - 1 : 0, kernel[3], more[3];
    struct snn_conv_shape s = {.groups = (int32_t)golden_number_or(c, "groups", 1)};
    if (axes < 1 || !w || w->nd != x->nd + 1 || !y || y->nd != w->nd || s.groups < 1)
        return golden_fail(c, "does not understand the shapes");
    if (!golden_sizes(c, golden_has(c, "kernel_size") ? "kernel_size" : "kernel", -1, axes, kernel) ||
        !golden_sizes(c, "stride", 1, axes, s.stride) || !golden_sizes(c, "padding", 0, axes, s.padding) ||
        !golden_sizes(c, "dilation", 1, axes, s.dilation) || !golden_sizes(c, "output_padding", 0, axes, more))
        return false;
    int32_t out[3], sizes[3];
    for (int i = 0; i < axes; ++i) {
        s.kernel[i] = w->dim[2 + i], sizes[i] = x->dim[1 + i], out[i] = (int32_t)y->dim[2 + i];
        if (kernel[i] != -1 && kernel[i] != s.kernel[i]) return golden_fail(c, "'kernel' is not that of w");
        if (s.stride[i] < 1) return golden_fail(c, "does not understand 'stride'");
        int32_t size =
            (sizes[i] - 1) * s.stride[i] - 2 * s.padding[i] + s.dilation[i] * (s.kernel[i] - 1) + 1 + more[i];
        if (transposed && size != out[i]) return golden_fail(c, "'output_padding' does not give the shape of y");
    }
    s.C = transposed ? (int32_t)y->dim[1] : x->dim[0], s.O = transposed ? x->dim[0] : w->dim[0];
    snn_conv_complete(&s, axes, transposed ? out : sizes);
    int32_t *const made[] = {&s.OD, &s.OH, &s.OW};
    for (int i = 0; i < axes; ++i) {
        int32_t *size = made[3 - axes + i];
        if (transposed) *size = sizes[i];
        if (*size < 1) return golden_fail(c, "does not understand the shapes");
    }
    if (s.C % s.groups || w->dim[0] != s.O || w->dim[1] != s.C / s.groups)
        return golden_fail(c, "does not understand the shapes");
    *shape = s;
    return true;
}

static bool op_conv(struct golden_net *net) {
    bool transposed = strstr(golden_text(net->c, "op"), "transpose") != NULL;
    struct snn_conv_shape s;
    struct snn_tensor *x = golden_net_input(net, "x", true);
    struct snn_param *w = golden_net_param(net, "w", false), *b = golden_net_param(net, "b", false);
    if (!golden_conv_shape(net->c, transposed, x, w, &s)) return false;
    (transposed ? snn_conv_transpose : snn_conv)(&net->network.model.tape, "conv", x, &s, w, b);
    return true;
}

/* Of a linear layer or a convolution: w tells. */
static bool op_weight_standardisation(struct golden_net *net) {
    struct snn_conv_shape s;
    struct snn_tape *tape = &net->network.model.tape;
    struct snn_tensor *x = golden_net_input(net, "x", true);
    struct snn_param *w = golden_net_param(net, "w", false), *b = golden_net_param(net, "b", false),
                     *gain = golden_net_param(net, "gain", false);
    double eps = golden_number(net->c, "eps");
    if (!x || !w || !gain || gain->count != w->dim[0]) return golden_fail(net->c, "does not understand the shapes");
    if (w->nd == 2 && (w->dim[1] != x->units || golden_number_or(net->c, "padding", 0) != 0))
        return golden_fail(net->c, "does not understand the shapes");
    if (w->nd != 2 && !golden_conv_shape(net->c, false, x, w, &s)) return false;
    struct snn_tensor *made = snn_weight_standardised(tape, "weight", w, gain, eps);
    if (w->nd == 2) snn_linear_with(tape, "linear", x, made, b);
    else snn_conv_with(tape, "conv", x, &s, made, b);
    return true;
}

/* Windows are in the parameters, in the op's name ("max_pool2d_k3s2p1"), or what divides the input into the output. */
static bool op_pool(struct golden_net *net) {
    struct golden *c = net->c;
    const char *op = golden_text(c, "op"), *rest = strchr(op, 'd') + 1; /* "avg_pool2d" | "" */
    struct snn_tensor *x = golden_net_input(net, "x", true);
    const struct snn_st_tensor *y = golden_find(c, "y");
    if (!x || x->nd != 3 || !y || y->nd != 4 || !y->dim[2] || !y->dim[3])
        return golden_fail(c, "does not understand the shapes");
    struct snn_pool_shape s = {.C = x->dim[0], .H = x->dim[1], .W = x->dim[2]};
    const int size[2] = {s.H, s.W};
    int kernel[2], stride[2], padding[2], k = -1, step = -1, pad = 0, read = 0;
    if (*rest && (sscanf(rest, "_k%ds%dp%d%n", &k, &step, &pad, &read) != 3 || rest[read]))
        return golden_fail(c, "does not understand op '%s'", op);
    if (!golden_sizes(c, golden_has(c, "kernel_size") ? "kernel_size" : "kernel", k, 2, kernel) ||
        !golden_sizes(c, "padding", pad, 2, padding))
        return false;
    if (!golden_sizes(c, "stride", step, 2, stride)) return false;
    if (golden_flag(c, "ceil_mode", false) || !golden_flag(c, "count_include_pad", true))
        return golden_fail(c, "does not understand 'ceil_mode' or padding that does not count");
    for (int i = 0; i < 2; ++i) {
        s.kernel[i] = kernel[i] > 0 ? kernel[i] : size[i] / (int32_t)y->dim[2 + i];
        s.stride[i] = stride[i] > 0 ? stride[i] : s.kernel[i];
        s.padding[i] = padding[i];
    }
    s.OH = snn_conv_out(s.H, s.kernel[0], s.stride[0], s.padding[0], 1);
    s.OW = snn_conv_out(s.W, s.kernel[1], s.stride[1], s.padding[1], 1);
    if ((uint64_t)s.OH != y->dim[2] || (uint64_t)s.OW != y->dim[3])
        return golden_fail(c, "does not understand the window");
    const int32_t dim[3] = {s.C, s.OH, s.OW};
    (op[0] == 'a' ? snn_average_pool : snn_max_pool)(&net->network.model.tape, "pool", x, &s, 3, dim);
    return true;
}

/* Its size is in its name, "adaptive_avg_pool2d_7", or is that of y. */
static bool op_adaptive(struct golden_net *net) {
    struct golden *c = net->c;
    const char *op = golden_text(c, "op"), *rest = strstr(op, "2d_");
    struct snn_tensor *x = golden_net_input(net, "x", true);
    const struct snn_st_tensor *y = golden_find(c, "y");
    if (!x || x->nd != 3 || !y || y->nd != 4) return golden_fail(c, "does not understand the shapes");
    if (rest && (strtoul(rest + 3, NULL, 10) != y->dim[2] || y->dim[2] != y->dim[3]))
        return golden_fail(c, "does not understand op '%s'", op);
    struct snn_pool_shape s = {
        .C = x->dim[0], .H = x->dim[1], .W = x->dim[2], .OH = (int32_t)y->dim[2], .OW = (int32_t)y->dim[3]};
    const int32_t dim[3] = {s.C, s.OH, s.OW};
    snn_pool_divide(&s);
    snn_average_pool(&net->network.model.tape, "pool", x, &s, 3, dim);
    return true;
}

static bool batch_norm(struct golden_net *net, const struct snn_norm_options *options) {
    struct snn_tensor *x = golden_net_input(net, "x", false);
    struct snn_param *w = golden_net_param(net, "w", false), *b = golden_net_param(net, "b", false);
    struct snn_param *mean = golden_net_param(net, "running_mean", true),
                     *var = golden_net_param(net, "running_var", true);
    if (!x || !w || !b || !mean || !var || w->count != x->dim[0])
        return golden_fail(net->c, "does not understand the shapes");
    snn_batch_norm(&net->network.model.tape, "norm", x, options, w, b, mean, var);
    return true;
}

static bool op_batch_norm(struct golden_net *net) {
    struct snn_norm_options *o = golden_own(net->c, 1, sizeof *o);
    *o = (struct snn_norm_options){.eps = golden_number(net->c, "eps"), .momentum = golden_number(net->c, "momentum")};
    if (!batch_norm(net, o)) return false;
    if (golden_number(net->c, "steps") != net->batch.T)
        return golden_fail(net->c, "'steps' is not the first axis of x");
    return true;
}

/* alpha and v_th say what w starts from; here w is given. */
static bool op_td_batch_norm(struct golden_net *net) {
    struct snn_norm_options *o = golden_own(net->c, 1, sizeof *o);
    golden_number(net->c, "alpha"), golden_number(net->c, "v_th");
    *o = (struct snn_norm_options){.over = SNN_NORM_OVER_JOINT,
                                   .eps = golden_number_or(net->c, "eps", 1e-5),
                                   .momentum = golden_number_or(net->c, "momentum", 0.1)};
    return batch_norm(net, o);
}

/* Factors of the steps behind it. */
static bool op_te_batch_norm(struct golden_net *net) {
    struct snn_norm_options *o = golden_own(net->c, 1, sizeof *o);
    *o = (struct snn_norm_options){.over = SNN_NORM_OVER_JOINT,
                                   .eps = golden_number_or(net->c, "eps", 1e-5),
                                   .momentum = golden_number_or(net->c, "momentum", 0.1)};
    if (!batch_norm(net, o)) return false;
    struct snn_tape *tape = &net->network.model.tape;
    struct snn_param *scale = golden_net_param(net, "scale", false);
    if (!scale || scale->count != net->batch.T) return golden_fail(net->c, "does not understand the shapes");
    snn_scale(tape, "scale", tape->output, SNN_BY_STEP, scale, NULL);
    return true;
}

static bool op_dropout(struct golden_net *net) {
    struct snn_dropout_options *o = golden_own(net->c, 1, sizeof *o);
    struct snn_tensor *x = golden_net_input(net, "x", false);
    const struct snn_st_tensor *shape;
    net->mask = golden_tensor(net->c, "mask", &shape);
    if (!x || !net->mask || snn_st_elements(shape) != (uint64_t)(net->batch.B * x->units))
        return golden_fail(net->c, "does not understand the shapes");
    *o = (struct snn_dropout_options){.p = golden_number(net->c, "p"), .time_shared = true};
    snn_dropout(&net->network.model.tape, "dropout", x, o, 0);
    return true;
}

/* Tensors NAME are gradients, cNAME the same after clipping. */
static void clip_to(struct golden *c, struct golden_net *net, double max_norm) {
    struct snn_network *n = &net->network;
    struct snn_params *params = &n->model.params;
    for (int pass = 0; pass < 2; ++pass) {
        snn_params_bind(params, &n->arena, true);
        snn_optim_bind(n->optim, &n->arena);
        if (pass == 0 && !golden_ok(c, snn_arena_reserve(&n->arena))) return;
    }
    for (int i = 0; i < params->count; ++i) {
        const double *g = golden_tensor(c, params->list[i]->name, NULL);
        for (ptrdiff_t k = 0; g && k < params->list[i]->count; ++k) params->list[i]->grad[k] = (real)g[k];
    }
    static const uint32_t clock[3];
    struct snn_gate gate;
    snn_optim_clip(n->optim, &net->device, max_norm, NULL, clock);
    if (!golden_ok(c, snn_optim_gate(n->optim, &net->device, &gate))) return;
    golden_compare(c, "norm", &gate.norm, 1, GOLDEN_VALUE);
    for (int i = 0; i < params->count; ++i) {
        const struct snn_param *p = params->list[i];
        char name[96];
        snprintf(name, sizeof name, "c%s", p->name);
        golden_compare_real(c, name, p->grad, (size_t)p->count, GOLDEN_VALUE);
    }
}

static void clip_grad_norm(struct golden *c) {
    struct golden_net net;
    char clipped[96];
    if (!golden_net_open(c, &net)) return;
    for (int i = 0; i < snn_st_count(c->file); ++i) {
        const char *name = snn_st_at(c->file, i)->name;
        snprintf(clipped, sizeof clipped, "c%s", name);
        if (snn_st_find(c->file, clipped)) golden_net_param(&net, name, false);
    }
    struct snn_conf *sgd = golden_parse(c, &net, "optimizer: sgd\n");
    struct snn_network *n = &net.network;
    double max_norm = golden_number(c, "max_norm");
    if (sgd && c->verdict == GOLDEN_PASS && golden_ok(c, snn_optim_open(sgd, &n->model.params, &n->optim)))
        clip_to(c, &net, max_norm);
    golden_net_close(&net);
}

static const struct {
    const char *op; /* a pattern */
    bool (*record)(struct golden_net *net);
} ops[] = {
    {"linear", op_linear},
    {"conv[123]d", op_conv},
    {"conv_transpose[123]d", op_conv},
    {"avg_pool2d*", op_pool},
    {"max_pool2d*", op_pool},
    {"adaptive_avg_pool2d*", op_adaptive},
    {"batch_norm", op_batch_norm},
    {"td_batch_norm", op_td_batch_norm},
    {"te_batch_norm", op_te_batch_norm},
    {"dropout with given mask", op_dropout},
    {"weight standardisation", op_weight_standardisation},
};

/* Training starts from running statistics 0 and 1 and moves them; evaluation uses the stored ones. */
static void reset_statistics(struct golden_net *net, bool train) {
    struct snn_params *params = &net->network.model.params;
    for (int i = 0; train && i < params->count; ++i)
        for (ptrdiff_t k = 0; params->list[i]->buffer && k < params->list[i]->count; ++k)
            params->list[i]->value[k] = !strcmp(params->list[i]->name, "running_var");
}

static void run_op(struct golden_net *net, bool train) {
    struct golden *c = net->c;
    reset_statistics(net, train);
    golden_net_forward(net, train, SNN_HARD);
    struct snn_params *params = &net->network.model.params;
    const struct snn_tensor *x = net->network.model.tape.input, *y = net->network.model.tape.output;
    size_t rows = (size_t)net->batch.T * (size_t)net->batch.B;
    golden_compare_real(c, "y", y->data, rows * (size_t)y->units, GOLDEN_VALUE);
    golden_net_backward(net, "gy", train);
    if (c->verdict != GOLDEN_PASS) return;
    golden_compare_real(c, "gx", x->grad, rows * (size_t)x->units, GOLDEN_GRADIENT);
    for (int i = 0; i < params->count; ++i) {
        const struct snn_param *p = params->list[i];
        char name[64];
        snprintf(name, sizeof name, "g%s", p->name);
        if (p->buffer) golden_compare_real(c, p->name, p->value, (size_t)p->count, GOLDEN_VALUE);
        else golden_compare_real(c, name, p->grad, (size_t)p->count, GOLDEN_GRADIENT);
    }
}

void golden_ops(struct golden *c) {
    const char *op = golden_text(c, "op");
    if (!strcmp(op, "clip_grad_norm")) {
        clip_grad_norm(c);
        return;
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops; ++i) {
        if (fnmatch(ops[i].op, op, 0)) continue;
        struct golden_net net;
        bool train = golden_flag(c, "training", true);
        if (!golden_net_open(c, &net)) return;
        if (ops[i].record(&net) && golden_net_allocate(&net, false)) run_op(&net, train);
        golden_net_close(&net);
        return;
    }
    golden_fail(c, "does not understand op '%s'", op);
}

/* ---- losses ---- */

static const struct {
    const char *loss;             /* a pattern; the first that fits */
    const char *yaml;             /* up to the parameters */
    const char *parameters[2][2]; /* theirs (behind `?` where a case need not say it), ours */
} losses[] = {
    {"ce_mean_logits*", "{name: ce, over: mean", {{0}}},
    {"ce_sum_logits*", "{name: ce, over: sum", {{0}}},
    {"ce_last_logits*", "{name: ce, over: last", {{0}}},
    {"ce_max_over_time*", "{name: ce, over: max", {{0}}},
    {"ce_label_smoothing_sum*", "{name: ce, over: sum", {{"smoothing", "label_smoothing"}}},
    {"ce_label_smoothing*", "{name: ce, over: mean", {{"smoothing", "label_smoothing"}}},
    {"softmax_sum_ce*", "{name: ce, over: softmax_sum", {{0}}},
    {"tet_ce_sj*", "{name: ce, over: step", {{0}}},
    {"tet_*", "{name: tet", {{"lamb", "lambda"}, {"target", "target"}}},
    {"mse_rate_onehot*", "{name: mse, over: mean", {{0}}},
    {"bce_logits_mean*", "{name: bce, over: mean", {{"?smoothing", "label_smoothing"}}},
    {"bce_logits_sum*", "{name: bce, over: sum", {{"?smoothing", "label_smoothing"}}},
    {"bce_logits_step*", "{name: bce, over: step", {{"?smoothing", "label_smoothing"}}},
    {"bce_logits_last*", "{name: bce, over: last", {{"?smoothing", "label_smoothing"}}},
    {"bce_logits_max*", "{name: bce, over: max", {{"?smoothing", "label_smoothing"}}},
    {"smooth_l1_rate*", "{name: smooth_l1, over: mean", {{"?beta", "beta"}}},
    {"snt_ce_count_loss*", "{name: ce_count", {{0}}},
    {"snt_ce_rate_loss*", "{name: ce_rate", {{0}}},
    {"snt_ce_max_membrane_loss*", "{name: ce_max_membrane", {{0}}},
    {"snt_ce_temporal_loss*", "{name: ce_temporal", {{"?inverse", "inverse"}}},
    {"snt_mse_temporal_loss*", "{name: mse_temporal", {{"?on_target", "correct"}, {"?off_target", "incorrect"}}},
    {"snt_mse_count_loss*", "{name: mse_count", {{"correct_rate", "correct"}, {"incorrect_rate", "incorrect"}}},
    {"snt_mse_membrane_loss*", "{name: mse_membrane", {{"on_target", "correct"}, {"off_target", "incorrect"}}},
};

static bool put_loss(struct golden *c, FILE *yaml) {
    const char *name = golden_text(c, "loss");
    size_t i = 0;
    while (i < sizeof losses / sizeof *losses && fnmatch(losses[i].loss, name, 0)) ++i;
    if (i == sizeof losses / sizeof *losses) return golden_fail(c, "does not understand loss '%s'", name);
    fprintf(yaml, "loss: %s", losses[i].yaml);
    for (int k = 0; k < 2 && losses[i].parameters[k][0]; ++k) {
        const char *theirs = losses[i].parameters[k][0];
        const json_t *value = golden_fact(c, theirs + (*theirs == '?'));
        const char *word = json_string_value(value);
        if (!value && *theirs == '?') continue;
        if (!value) return golden_fail(c, "the case does not say '%s'", theirs);
        if (word && !strcmp(word, "onehot")) fprintf(yaml, ", %s: one_hot", losses[i].parameters[k][1]);
        else if (word && !strcmp(losses[i].parameters[k][1], "inverse")) fprintf(yaml, ", inverse: %s", word);
        else if (json_is_number(value)) golden_put_json(yaml, losses[i].parameters[k][1], value);
        else return golden_fail(c, "does not understand '%s'", losses[i].parameters[k][0]);
    }
    fprintf(yaml, "}\n");
    return true;
}

static void evaluate_loss(struct golden *c, struct golden_net *net, const struct snn_loss *loss) {
    const struct snn_st_tensor *shape, *labels;
    const double *o = golden_tensor(c, "o", &shape), *y = golden_tensor(c, "y", &labels);
    if (!o || !y) return;
    if (shape->nd != 3 || snn_st_elements(labels) != shape->dim[1]) {
        golden_fail(c, "does not understand the shapes");
        return;
    }
    int32_t T = (int32_t)shape->dim[0], B = (int32_t)shape->dim[1], C = (int32_t)shape->dim[2];
    size_t count = (size_t)T * (size_t)B * (size_t)C;
    real *output = golden_own(c, count, sizeof *output), *gradient = golden_own(c, count, sizeof *gradient);
    int32_t *label = golden_own(c, (size_t)B, sizeof *label);
    double *sample = golden_own(c, (size_t)B, sizeof *sample), mean = 0;
    for (size_t i = 0; i < count; ++i) output[i] = (real)o[i];
    for (int32_t b = 0; b < B; ++b) label[b] = (int32_t)y[b];
    const double scale = 1.0 / B;
    struct snn_loss_call call = {
        .loss = loss, .T = T, .B = B, .C = C, .output = output, .label = label, .steps = T, .scale = &scale};
    double *scratch = golden_own(c, (size_t)snn_loss_scratch(net->device.threads, C), sizeof *scratch);
    net->device.loss->evaluate(&net->device, &call, sample, gradient, scratch);
    for (int32_t b = 0; b < B; ++b) mean += sample[b] / B;
    golden_compare(c, "loss", &mean, 1, GOLDEN_VALUE);
    golden_compare_real(c, "go", gradient, count, GOLDEN_GRADIENT);
}

void golden_losses(struct golden *c) {
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    bool understood = put_loss(c, yaml);
    fclose(yaml);
    struct golden_net net;
    struct snn_loss loss;
    if (understood && golden_net_open(c, &net)) {
        struct snn_conf *node = golden_parse(c, &net, text);
        if (node && golden_ok(c, snn_loss_read(node, &loss))) evaluate_loss(c, &net, &loss);
        golden_net_close(&net);
    }
    free(text);
}
