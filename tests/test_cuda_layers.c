/* SPDX-License-Identifier: Apache-2.0
 * test_cuda_layers.c - whole networks on the CPU and on a card (the emulated one, or a real one where
 * SNN_TEST_CUDA=real), layer by layer.
 *
 * A spike that flips changes everything behind it, so both sides get the same input, spikes and weights before every
 * layer: what a layer makes of them, forward and backward, must agree. Spikes must agree to the bit: a flip is only
 * allowed where the membrane is as near to the threshold as the bound, and is counted. */
#include <float.h>
#include <math.h>

#include "autograd/loss.h"
#include "autograd/memory.h"
#include "layers/neuron.h"
#include "rule_rig.h"

/* Bound on a difference, relative to the largest number of the tensor: orders of addition differ. */
#define BOUND 1e-5

enum { CPU, CARD };

static const char *const models[] = {
    "[conv: {out: 4, kernel: 3}, lif: {noise: 0.3}, flatten, linear: 70, lif: {noise: 0.1, learn: [beta, threshold], "
    "recurrent: true, detach_reset: false, reset: subtract}, linear: 9, adlif: {noise: 0.2}, linear: 4]",
    "[conv: {out: 4, kernel: 3, padding: 1, stride: 2}, batchnorm, lif, residual: {body: [conv: {out: 4, kernel: 3, "
    "padding: 1}, if], shortcut: [conv: {out: 4, kernel: 1, bias: false}]}, maxpool: 2, dropout: 0.2, flatten, repeat: "
    "{times: 2, body: [linear: 12, plif: {surrogate: atan}]}, layernorm, linear: 4, li]",
    "[conv: {out: 6, kernel: [3, 2], groups: 2, dilation: 2}, batchnorm: {over: joint}, lif: {reset: subtract, fire: "
    "gt, "
    "surrogate: triangle}, avgpool: 2, flatten, linear: 70, lif: {beta: 0.8, reset_delay: true}, dropout: 0.4, linear: "
    "4]",
    "[flatten, linear: 130, lif: {tau: 3, decay_input: true, detach_reset: true, surrogate: {name: sigmoid, alpha: "
    "3}}, "
    "linear: 65, lif: {reset: none, surrogate: slayer}, linear: 4, lif]",
    "[conv: {out: 6, kernel: 3, groups: 2, weight: standardised}, lif, flatten, linear: {out: 70, weight: norm, bias: "
    "false}, lif, linear: {out: 4, weight: {name: standardised, eps: 0.01}}]",
    "[conv: {out: 6, kernel: 3}, batchnorm, biper: {out: 4, kernel: 3, padding: 1, bias: true}, batchnorm, lif, biper: "
    "{out: 6, kernel: 3, stage: 2}, lif, flatten, biper: {out: 30, scale_activation: false, activation: sign}, biper: "
    "{out: 4, stage: 2, frequency: 7}]",
    "[maxpool: {kernel: 3, stride: 2, padding: 1}, conv: {out: 5, kernel: 3, padding: 1}, if, conv: {out: 3, kernel: "
    "1}, "
    "lif: {reset: value, v_reset: -0.1}, avgpool: {kernel: 3, stride: 1, padding: 1}, flatten, layernorm, linear: 4]",
    "[conv: {out: 4, kernel: 3, stride: 2}, lif, conv_transpose: {out: 6, kernel: 3, stride: 2, groups: 2}, lif, "
    "reshape: "
    "[3, 2, 5, 5], conv3d: {out: 4, kernel: [2, 3, 3], padding: [0, 1, 1], stride: [1, 2, 1]}, lif, reshape: [6, -1], "
    "conv1d: {out: 6, kernel: 3, groups: 6}, lif, temporal_conv: {kernel: 3, dilation: 2}, lif, conv_transpose: {out: "
    "2, kernel: 1}, flatten, linear: 4]",
    "[conv: {out: 3, kernel: 3, padding: 1}, ultradlif: {epsilon: 0.5, learn_threshold: true}, avgpool: 2, flatten, "
    "linear: 70, ultradplif: {reset: excess, slope: 3, learn_slope: true}, linear: 20, ultraplif: {reset: subtract, "
    "leak_offset: eps_log_tau}, linear: 40, lif, linear: 4, ultralif: {membrane: linear, learn_epsilon: softplus, "
    "learn_reset: true}]",
    "[flatten, linear: 30, lif, axonal_delay: {max: 3, high: 3}, shift: 1, delay: {out: 70, kernel: 3, count: 2, "
    "right: half}, batchnorm: {over: joint}, lif: "
    "{tau: 1.005}, "
    "dropout: 0.3, delay: {out: 12, kernel: 5, groups: 2, version: max, learn_sigma: true}, lif, delay: {out: 4, "
    "kernel: 3, version: v1, right: 2}, li]",
    "[lif, delay_conv: {out: 5, kernel: 3, padding: 1, taps: 3, version: all}, lif, delay_conv: {out: 6, kernel: [2, "
    "3], "
    "stride: 2, taps: 5, count: 2, sigma: 1}, batchnorm, delay_conv: {out: 4, kernel: 1, groups: 2, taps: 3, version: "
    "v1, bias: false}, lif, flatten, linear: 4]",
    "[conv: {out: 6, kernel: 3}, bntt, lif, groupnorm: 3, scale: {by: channel, learn: true}, if, conv: {out: 4, "
    "kernel: 1}, "
    "tebn, relu, conv: {out: 4, kernel: 1}, hardtanh: {low: -0.5}, tdbn: {alpha: 0.7}, lif, flatten, scale: 1.5, "
    "rmsnorm, "
    "linear: 4]",
    "[conv: {out: 4, kernel: 3, padding: 1}, dropout: {time_shared: false}, lif, dropout: {channels: true, p: 0.3}, "
    "sumpool: {kernel: 3, stride: 1}, adaptiveavgpool: [3, 5], if, conv: "
    "{out: "
    "8, kernel: 2}, lif, residual: {body: [globalpool: max], shortcut: [globalpool]}, if, voting: 2]",
    "[conv: {out: 4, kernel: 3, padding: 1}, temporal_attention: {reduction: 2}, lif, residual: {join: iand, body: "
    "[conv: "
    "{out: 4, kernel: 1}, lif]}, residual: {join: and, body: [conv: {out: 4, kernel: 1}, lif], shortcut: [conv: {out: "
    "4, "
    "kernel: 1}, lif]}, concat: [[], [avgpool: 3, conv_transpose: {out: 2, kernel: 3, stride: 3}]], attention: {body: "
    "[conv: "
    "{out: 6, kernel: 1}, lif], heads: 2}, lif, pad_channels: 9, avgpool: 3, attention: {body: [conv: {out: 6, kernel: "
    "1}], "
    "heads: 1}, flatten, linear: 4]",
    "[conv: {out: 4, kernel: 3}, scale: 4, psn, avgpool: 2, scale: 4, masked_psn: {k: 2, lambda: 0.4, spikes: "
    "several}, "
    "flatten, linear: 70, scale: 4, sliding_psn: 3, residual: {body: [linear: 70, psn: {steps: 9, spikes: signed}]}, "
    "linear: 4, scale: 3, sliding_psn: 9]",
    "[conv: {out: 4, kernel: 3}, lif, flatten, slstm: {out: 70, threshold: 0.05, reset: subtract}, slstm: {out: 33, "
    "threshold: 0.02, reset: zero, bias: false, fire: gt}, linear: 4, slstm: {out: 4, threshold: 0}]",
};
enum { MODELS = sizeof models / sizeof *models };

struct pair {
    struct made_network of[2];
    struct made_batch made;
    struct snn_slice slice[2];
    struct snn_run run[2];
    int flips;
    long compared;
};

static void open_pair(struct pair *p, int model, bool still, bool masked, bool train) {
    memset(p, 0, sizeof *p);
    open_network(models[model], still, &p->of[CPU]);
    open_network_on("cuda", models[model], still, &p->of[CARD]);
    make_batch(STEPS, still, masked, &p->made);
    for (int d = 0; d < 2; ++d) {
        struct snn_network *n = &p->of[d].net;
        struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true, .slice = SAMPLES};
        ck_ok(snn_network_allocate(n, &plan));
        int32_t first = 0;
        ck_ok(snn_network_stage(n, &p->made.batch));
        snn_network_set_step(n, 5, 9, 1.0 / SAMPLES);
        ck_assert(snn_network_slice(n, &first, &p->slice[d]));
        p->run[d] = (struct snn_run){.device = n->device,
                                     .batch = &p->slice[d].staged,
                                     .T = STEPS,
                                     .B = SAMPLES,
                                     .train = train,
                                     .first_cut = true,
                                     .mask = masked ? n->mask : NULL,
                                     .appended = n->model.tape.output->appended,
                                     .clock = n->controls->clock};
    }
    struct snn_params *params = &p->of[CPU].net.model.params;
    snn_params_init(params, 21, params->value);
    for (ptrdiff_t i = 0; i < params->learned; ++i) params->value[i] *= 2; /* enough to fire */
}

static void close_pair(struct pair *p) { close_network(&p->of[CPU]), close_network(&p->of[CARD]); }

/* Give the card the CPU's numbers. */
static void hand_over(struct pair *p, void *to, const void *from, size_t bytes) {
    if (to && from) p->of[CARD].device.memory->upload(&p->of[CARD].device, to, from, bytes);
}

/* `terms`: size of what was added up to make one number, where sums may cancel. */
static void compare_sums(struct pair *p, const char *what, const char *name, const real *expected, real *on_card,
                         ptrdiff_t n, double terms) {
    if (!expected || !on_card) {
        ck_assert_msg(!expected == !on_card, "%s of %s is on one side only", what, name);
        return;
    }
    real *got = malloc((size_t)n * sizeof *got);
    double most = 0;
    ck_ok(p->of[CARD].device.memory->download(&p->of[CARD].device, got, on_card, (size_t)n * sizeof *got));
    for (ptrdiff_t i = 0; i < n; ++i) most = fmax(most, fabs((double)expected[i]));
    for (ptrdiff_t i = 0; i < n; ++i)
        ck_assert_msg(fabs((double)got[i] - (double)expected[i]) <= BOUND * (most + 1e-6) + FLT_EPSILON * terms,
                      "%s of %s at %td: %.9g on the card, %.9g on the CPU (largest %g)", what, name, i, (double)got[i],
                      (double)expected[i], most);
    p->compared += n;
    free(got);
}

static void compare_numbers(struct pair *p, const char *what, const char *name, const real *expected, real *on_card,
                            ptrdiff_t n) {
    compare_sums(p, what, name, expected, on_card, n, 0);
}

static void compare_bits(struct pair *p, const struct snn_tensor *t, const struct snn_tensor *on_card, ptrdiff_t rows) {
    if (!t->bits) return;
    size_t words = (size_t)rows * (size_t)t->words;
    uint64_t *got = malloc(words * sizeof *got);
    int32_t *counts = malloc((size_t)rows * sizeof *counts);
    struct snn_device *device = &p->of[CARD].device;
    ck_ok(device->memory->download(device, got, on_card->bits, words * sizeof *got));
    ck_ok(device->memory->download(device, counts, on_card->nonzero, (size_t)rows * sizeof *counts));
    for (size_t w = 0; w < words; ++w) p->flips += __builtin_popcountll(got[w] ^ t->bits[w]);
    for (ptrdiff_t r = 0; r < rows; ++r) ck_assert_int_eq(counts[r], t->nonzero[r]);
    free(got), free(counts);
}

static void set_input(struct pair *p) {
    const struct snn_tensor *x[2];
    for (int d = 0; d < 2; ++d) {
        struct snn_network *n = &p->of[d].net;
        struct snn_cut cut = {
            .batch = &p->slice[d].batch, .staged = &p->slice[d].staged, .T = STEPS, .train = p->run[d].train};
        int nodes = n->model.tape.nodes;
        n->model.tape.nodes = 0; /* the input alone */
        snn_network_forward(n, &cut);
        n->model.tape.nodes = nodes;
        snn_tape_prepare(&n->model.tape, n->device);
        x[d] = n->model.tape.input;
    }
    ptrdiff_t rows = snn_run_rows(&p->run[CPU], x[CPU]);
    compare_numbers(p, "input", "the network", x[CPU]->data, x[CARD]->data, rows * x[CPU]->units);
    struct snn_params *params = &p->of[CPU].net.model.params;
    hand_over(p, p->of[CARD].net.model.params.value, params->value, (size_t)params->size * sizeof(real));
}

static void forward_layer(struct pair *p, int i) {
    struct snn_node *node[2];
    for (int d = 0; d < 2; ++d) {
        node[d] = p->of[d].net.model.tape.node[i];
        node[d]->op->forward(node[d], &p->run[d]);
        if (node[d]->out->is_weight && node[d]->out->grad) /* as tape.c does: all who read it add */
            p->of[d].net.device->memory->zero(p->of[d].net.device, node[d]->out->grad,
                                              (size_t)node[d]->out->units * sizeof(real));
    }
    const struct snn_tensor *y = node[CPU]->out, *on_card = node[CARD]->out;
    ptrdiff_t rows = snn_run_rows(&p->run[CPU], y), n = rows * y->units;
    compare_numbers(p, "output", node[CPU]->name, y->data, on_card->data, n);
    compare_bits(p, y, on_card, rows);
    ck_assert_msg(!p->flips, "%s: %d spikes flipped", node[CPU]->name, p->flips);
    hand_over(p, on_card->data, y->data, (size_t)n * sizeof(real));
    if (y->bits) hand_over(p, on_card->bits, y->bits, (size_t)rows * (size_t)y->words * sizeof *y->bits);
}

static void compare_params(struct pair *p, const struct snn_node *node, const struct snn_node *on_card, bool gradients,
                           double terms) {
    for (int k = 0; k < SNN_NODE_PARAMS; ++k) {
        const struct snn_param *a = node->param[k], *b = on_card->param[k];
        if (!a) continue;
        if (gradients && !a->buffer) compare_sums(p, "gradient", a->name, a->grad, b->grad, a->count, terms);
        if (!gradients) compare_numbers(p, "value", a->name, a->value, b->value, a->count);
    }
}

static void loss_gradient(struct pair *p) {
    struct snn_tensor *y[2];
    double sum[2];
    for (int d = 0; d < 2; ++d) {
        struct snn_network *n = &p->of[d].net;
        struct snn_cut cut = {.batch = &p->slice[d].batch, .staged = &p->slice[d].staged, .T = STEPS, .train = true};
        y[d] = n->model.tape.output;
        snn_network_loss(n, &cut, true);
        ck_ok(snn_network_loss_sum(n, &cut, &sum[d]));
        snn_network_zero_gradients(n);
    }
    ptrdiff_t n = snn_run_rows(&p->run[CPU], y[CPU]) * y[CPU]->units;
    ck_assert_msg(fabs(sum[0] - sum[1]) <= 1e-12 * fabs(sum[0]), "loss %.17g, on the card %.17g", sum[0], sum[1]);
    compare_numbers(p, "gradient", "the loss", y[CPU]->grad, y[CARD]->grad, n);
    hand_over(p, y[CARD]->grad, y[CPU]->grad, (size_t)n * sizeof(real));
}

static void backward_layer(struct pair *p, int i) {
    struct snn_node *node[2];
    const struct snn_tensor *y = p->of[CPU].net.model.tape.node[i]->out;
    double terms = 0;
    for (ptrdiff_t k = 0; y->grad && k < snn_run_rows(&p->run[CPU], y) * y->units; ++k)
        terms += fabs((double)y->grad[k]);
    for (int d = 0; d < 2; ++d) {
        node[d] = p->of[d].net.model.tape.node[i];
        if (!node[d]->out->needs_grad) return;
        node[d]->op->backward(node[d], &p->run[d]);
    }
    compare_params(p, node[CPU], node[CARD], true, terms);
    for (int k = 0; k < SNN_NODE_INPUTS && node[CPU]->in[k]; ++k) {
        const struct snn_tensor *x = node[CPU]->in[k], *on_card = node[CARD]->in[k];
        ptrdiff_t n = snn_run_rows(&p->run[CPU], x) * x->units;
        compare_numbers(p, "gradient of the input", node[CPU]->name, x->grad, on_card->grad, n);
        hand_over(p, on_card->grad, x->grad, (size_t)n * sizeof(real));
    }
}

/* Cases: model, static input or events, lengths, training or evaluation. */
START_TEST(layer_by_layer) {
    struct pair p;
    int model = _i / 8;
    bool train = !(_i & 1);
    open_pair(&p, model, _i & 2, _i & 4, train);
    set_input(&p);
    struct snn_tape *tape = &p.of[CPU].net.model.tape;
    long spikes = 0;
    for (int scope = SNN_SCOPE_WEIGHTS; scope >= SNN_SCOPE_CUT; --scope)
        for (int i = 0; i < tape->nodes; ++i)
            if (tape->node[i]->scope == (enum snn_scope)scope) {
                forward_layer(&p, i);
                const struct snn_tensor *y = tape->node[i]->out;
                for (ptrdiff_t r = 0; y->bits && r < snn_run_rows(&p.run[CPU], y); ++r) spikes += y->nonzero[r];
            }
    ck_assert_int_gt(spikes, 50); /* the nets are alive: there is something to compare */
    for (int i = 0; i < tape->nodes; ++i)
        compare_params(&p, tape->node[i], p.of[CARD].net.model.tape.node[i], false, 0); /* running statistics */
    if (train) {
        loss_gradient(&p);
        for (int scope = SNN_SCOPE_CUT; scope <= SNN_SCOPE_WEIGHTS; ++scope)
            for (int i = tape->nodes - 1; i >= 0; --i)
                if (tape->node[i]->scope == (enum snn_scope)scope) backward_layer(&p, i);
    }
    ck_assert_int_gt(p.compared, 3000);
    close_pair(&p);
}
END_TEST

/* ---- forward passes made again ---- */

struct outcome { /* of a training step */
    size_t pool, bytes;
    int segments;
    double loss;
    real *numbers; /* parameters and running statistics, then gradients */
};

static struct outcome take_step(const char *device, const char *model, bool still, int recompute) {
    struct outcome out;
    struct made_network m;
    struct made_batch made;
    struct snn_slice slice;
    int32_t first = 0;
    open_network_on(device, model, still, &m);
    make_batch(STEPS, still, true, &made);
    struct snn_network *n = &m.net;
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true, .slice = SAMPLES};
    n->recompute = recompute;
    ck_ok(snn_network_allocate(n, &plan));
    struct snn_params *params = &n->model.params;
    const struct snn_memory_kernels *memory = n->device->memory;
    size_t values = (size_t)params->size * sizeof(real), gradients = (size_t)params->learned * sizeof(real);
    out.pool = n->model.tape.pool_bytes, out.segments = n->model.tape.segments, out.bytes = values + gradients;
    out.numbers = calloc(1, out.bytes); /* parameters have padding between them */
    snn_params_init(params, 21, out.numbers);
    for (ptrdiff_t i = 0; i < params->learned; ++i) out.numbers[i] *= 2;
    memory->upload(n->device, params->value, out.numbers, values);
    ck_ok(snn_network_stage(n, &made.batch));
    snn_network_set_step(n, 5, 9, 1.0 / SAMPLES);
    ck_assert(snn_network_slice(n, &first, &slice));
    struct snn_cut cut = snn_slice_cut(&slice, true);
    snn_network_zero_gradients(n);
    snn_network_forward(n, &cut);
    snn_network_loss(n, &cut, true);
    snn_network_backward(n, &cut);
    snn_network_backward_batch(n, &cut);
    ck_ok(snn_network_loss_sum(n, &cut, &out.loss));
    ck_ok(memory->download(n->device, out.numbers, params->value, values));
    ck_ok(memory->download(n->device, out.numbers + params->size, params->grad, gradients));
    close_network(&m);
    return out;
}

/* Memory that is given to others in between changes no bit. Cases: model, static input or events, device. */
START_TEST(computed_again) {
    const char *device = _i & 1 ? "cuda" : "cpu", *model = models[_i / 4];
    struct outcome once = take_step(device, model, _i & 2, 0);
    ck_assert_int_eq(once.segments, 0);
    for (int recompute = SNN_RECOMPUTE_AUTO; recompute < 3; ++recompute) {
        struct outcome again = take_step(device, model, _i & 2, recompute);
        ck_assert_msg(again.loss == once.loss && !memcmp(again.numbers, once.numbers, once.bytes),
                      "%s, recompute %d: another result", device, recompute);
        if (recompute == 1) ck_assert_int_gt(again.segments, 0);
        if (recompute == SNN_RECOMPUTE_AUTO) ck_assert_uint_le(again.pool, once.pool);
        free(again.numbers);
    }
    free(once.numbers);
}
END_TEST

/* ---- learning rules ---- */

static const char *const rules[] = {"sltt",
                                    "{name: sltt, update: 2}",
                                    "{name: sltt_k, k: 3}",
                                    "{name: tbptt, k: 3}",
                                    "{name: ottt, input_trace: true, trace: 0.6}",
                                    "{name: stllr, alpha_post: 0.7}",
                                    "{name: stllr, signal: dfa, last: 4, readout_trace: 0.5}",
                                    "{name: tess, pool: [2, 1]}"};
enum { RULES = sizeof rules / sizeof *rules };
static const char *const ruled_models[] = {
    "[conv: {out: 4, kernel: 3, padding: 1, weight: standardised}, lif: {threshold: 0.4}, maxpool: 2, dropout: 0.2, "
    "conv: {out: 5, kernel: 3, bias: false}, batchnorm, lif: {threshold: 0.2, reset: subtract}, flatten, linear: 4]",
    "[flatten, linear: 40, lif: {tau: 3, threshold: 0.4, recurrent: true}, linear: {out: 20, weight: norm}, adlif: "
    "{threshold: 0.2}, linear: 4, li]"};

/* Whole passes: no spike may flip, or gradients would be far apart. */
START_TEST(under_rules) {
    for (int k = 0; k < RULES * 2; ++k)
        for (int masked = 0; masked < 2; ++masked) {
            static struct made_batch made;
            struct ruled r[2];
            make_batch(STEPS, _i, masked && !_i, &made);
            for (int d = 0; d < 2; ++d) {
                open_ruled(d ? "cuda" : "cpu", ruled_models[k % 2], rules[k / 2], _i, STEPS, &r[d]);
                snn_network_zero_gradients(&r[d].of.net);
                pass_ruled(&r[d], &made.batch, 1.0 / SAMPLES);
            }
            double off = apart(&r[0], &r[1], 1, "");
            ck_assert_msg(off <= 1e-4, "%s, network %d, still %d, masked %d: %g apart", rules[k / 2], k % 2, _i, masked,
                          off);
            close_ruled(&r[0]), close_ruled(&r[1]);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda_layers");
    TCase *t = tcase_create("layers");
    if (why_no_card()) {
        printf("1..0 # SKIP %s\n", why_no_card());
        return 0;
    }
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, layer_by_layer, 0, 8 * MODELS);
    tcase_add_loop_test(t, computed_again, 0, 4 * MODELS);
    tcase_add_loop_test(t, under_rules, 0, 2);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
