/* SPDX-License-Identifier: Apache-2.0
 * layer_attention.c - attention to steps, and among the places of an image. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

/* ---- steps ---- */

struct temporal_options {
    long long reduction, steps;
};
const struct snn_key snn_temporal_attention_keys[] = {
    {"reduction", SNN_INT, offsetof(struct temporal_options, reduction), "16", 1, 1 << 16, NULL,
     "steps over this are the units between the two layers; at most the steps"},
    SNN_STEPS_KEY(struct temporal_options),
    {0},
};

int snn_build_temporal_attention(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct temporal_options o;
    SNN_TRY(snn_conf_read(node, snn_temporal_attention_keys, &o));
    SNN_TRY(snn_builder_steps(b, node, &o.steps));
    if (o.reduction > o.steps)
        return snn_conf_error(node, "reduction: %lld is more than the %lld steps", o.reduction, o.steps);
    int32_t steps = (int32_t)o.steps, hidden = (int32_t)(o.steps / o.reduction);
    const int32_t dim[3] = {hidden, steps, hidden};
    struct snn_param *w1 = snn_builder_param(b, "weight1", false, 2, dim),
                     *w2 = snn_builder_param(b, "weight2", false, 2, dim + 1);
    w1->bound = 1 / sqrt(steps), w2->bound = 1 / sqrt(hidden); /* as PyTorch's linear layers begin */
    b->x = snn_step_shares(&b->model->tape, b->path, b->x, w1, w2);
    return SNN_OK;
}

/* ---- places ----
 *
 * A row (C,H,W), or (C,L), is read as N = H*W tokens of C channels, and lies as the matrix (C,N). With d = C / heads a
 * head has d rows of it. Q, K and V (d,N) of a head give, with tokens as columns,
 *
 *   Y = scale V (K^T Q) = scale (V K^T) Q
 *
 * which is (Q K^T) V of the paper (Zhou et al. 2023), where tokens are rows. There is no softmax between, so the inner
 * product may be the smaller one: (N,N) or (d,d). */

struct attention_options {
    struct snn_conf *body;
    long long heads;
    double scale;
};
const struct snn_key snn_attention_keys[] = {
    {"body", SNN_NODE, offsetof(struct attention_options, body), NULL, 0, 0, NULL,
     "list of layers, built three times with parameters of their own: queries, keys and values"},
    {"heads", SNN_INT, offsetof(struct attention_options, heads), "8", 1, 1 << 16, NULL,
     "groups of neighbouring channels that attend by themselves; must divide the channels"},
    {"scale", SNN_REAL, offsetof(struct attention_options, scale), "0.125", -1e6, 1e6, NULL, "factor of the products"},
    {0},
};

int snn_build_attention(struct snn_builder *b, struct snn_conf *node, int variant) {
    static const char *const parts[] = {"query", "key", "value"};
    struct attention_options o;
    struct snn_tensor *x = b->x, *of[3];
    char text[48];
    (void)variant;
    SNN_TRY(snn_conf_read(node, snn_attention_keys, &o));
    for (int i = 0; i < 3; ++i) {
        SNN_TRY(snn_build_part(b, o.body, parts[i], x));
        of[i] = b->x;
    }
    int32_t C = of[0]->dim[0], heads = (int32_t)o.heads, d = C / heads, N = (int32_t)(of[0]->units / C);
    if (C % heads)
        return snn_conf_error(node, "heads: the body gives %s, whose %d channels do not divide into %d",
                              snn_shape_text(of[0], text), (int)C, (int)heads);
    struct snn_tape *tape = &b->model->tape;
    int nd = of[0]->nd;
    if (d <= N) {
        const struct snn_product_shape inner =
                                           {.blocks = heads, .m = d, .n = d, .k = N, .transpose_b = true, .alpha = 1},
                                       outer = {.blocks = heads, .m = d, .n = N, .k = d, .alpha = o.scale};
        const int32_t dim[3] = {heads, d, d};
        struct snn_tensor *s = snn_product(tape, b->path, of[2], of[1], &inner, 3, dim);
        b->x = snn_product(tape, b->path, s, of[0], &outer, nd, of[0]->dim);
    } else {
        const struct snn_product_shape inner =
                                           {.blocks = heads, .m = N, .n = N, .k = d, .transpose_a = true, .alpha = 1},
                                       outer = {.blocks = heads, .m = d, .n = N, .k = N, .alpha = o.scale};
        const int32_t dim[3] = {heads, N, N};
        struct snn_tensor *s = snn_product(tape, b->path, of[1], of[0], &inner, 3, dim);
        b->x = snn_product(tape, b->path, of[2], s, &outer, nd, of[0]->dim);
    }
    return SNN_OK;
}
