/* SPDX-License-Identifier: Apache-2.0
 * layer_weight.c - the key `weight` of layers that have one: what is made of the parameter before it is used. To add
 * one: a function and a line in `snn_weight_kinds`. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct snn_weight_making { /* keys of all kinds */
    double eps;
};
static const struct snn_key no_keys[] = {SNN_KEY_NAME, {0}};
static const struct snn_key standardised_keys[] = {
    SNN_KEY_NAME,
    {"eps", SNN_REAL, offsetof(struct snn_weight_making, eps), "1e-4", 1e-12, 1, NULL,
     "added to the variance times the fan-in"},
    {0},
};

/* One a row, of its output. */
static struct snn_param *add_gain(struct snn_builder *b, const struct snn_param *w) {
    return snn_builder_param(b, "gain", false, 1, w->dim);
}

static int make_plain(struct snn_builder *b, struct snn_conf *node, const struct snn_weight_making *m,
                      struct snn_param *w, struct snn_tensor **made) {
    (void)b, (void)node, (void)m, (void)w;
    *made = NULL;
    return SNN_OK;
}

static int make_standardised(struct snn_builder *b, struct snn_conf *node, const struct snn_weight_making *m,
                             struct snn_param *w, struct snn_tensor **made) {
    if (w->count / w->dim[0] < 2)
        return snn_conf_error(node, "one weight an output has no variance: expected a fan-in of 2 or more");
    struct snn_param *gain = add_gain(b, w);
    gain->fill = 1;
    *made = snn_weight_standardised(&b->model->tape, b->path, w, gain, m->eps);
    return SNN_OK;
}

/* The gain begins as the length of the initial weights, so that these are what the layer begins with. */
static int make_norm(struct snn_builder *b, struct snn_conf *node, const struct snn_weight_making *m,
                     struct snn_param *w, struct snn_tensor **made) {
    (void)m;
    if (!(w->bound > 0) && w->fill == 0)
        return snn_conf_error(node, "initial weights that are all 0 have no direction: expected another `init`");
    struct snn_param *gain = add_gain(b, w);
    gain->length_of = w;
    *made = snn_weight_normalised(&b->model->tape, b->path, w, gain);
    return SNN_OK;
}

const struct snn_weight_kind snn_weight_kinds[] = {
    {"plain", "the parameter itself", no_keys, make_plain},
    {"standardised",
     "g (w - mean) / sqrt(var fan_in + eps) by output, unbiased variance, gain g learned (Qiao et al. 2019; Brock et "
     "al. 2021)",
     standardised_keys, make_standardised},
    {"norm", "g w / |w| by output, gain g learned, which begins as |w| (Salimans & Kingma 2016)", no_keys, make_norm},
    {0},
};

int snn_weight_build(struct snn_builder *b, struct snn_conf *node, struct snn_param *w, struct snn_tensor **made) {
    const char *names[sizeof snn_weight_kinds / sizeof *snn_weight_kinds];
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) names[i] = snn_weight_kinds[i].name;
    int which = snn_conf_variant(node, "a kind of weight", names);
    SNN_TRY(which);
    struct snn_weight_making m;
    SNN_TRY(snn_conf_read(node, snn_weight_kinds[which].keys, &m));
    return snn_weight_kinds[which].make(b, node, &m, w, made);
}
