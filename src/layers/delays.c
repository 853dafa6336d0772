/* SPDX-License-Identifier: Apache-2.0
 * delays.c - see delays.h. */
#include "layers/delays.h"

#include <math.h>

#include "core/status.h"

const char *const snn_half[] = {"half", NULL};

/* ---- positions ---- */

struct position {
    double bound, std, value;
};
static const char *const position_names[] = {"snn_delays", "uniform", "normal", "constant", NULL};
static const struct snn_key snn_delays_keys[] = {SNN_KEY_NAME, {0}};
static const struct snn_key uniform_keys[] = {
    SNN_KEY_NAME,
    {"bound", SNN_REAL, offsetof(struct position, bound), "half", 0, 1e6, snn_half, "uniform in -bound..bound"},
    {0}};
static const struct snn_key normal_keys[] = {
    SNN_KEY_NAME,
    {"std", SNN_REAL, offsetof(struct position, std), "0.5", 0, 1e6, NULL, "standard deviation around the middle"},
    {0}};
static const struct snn_key constant_keys[] = {
    SNN_KEY_NAME, {"value", SNN_REAL, offsetof(struct position, value), "0", -1e6, 1e6, NULL, "of all"}, {0}};

static int read_position(struct snn_conf *node, int32_t taps, struct snn_param *p) {
    static const struct snn_key *const keys[] = {snn_delays_keys, uniform_keys, normal_keys, constant_keys};
    int which = snn_conf_variant(node, "initial positions", position_names);
    SNN_TRY(which);
    struct position o = {NAN, 0, 0};
    SNN_TRY(snn_conf_read(node, keys[which], &o));
    if (which == 1 && isnan(o.bound)) o.bound = taps / 2;
    /* SNN-delays draws from U(-kernel // 2, kernel // 2) with floors, which is not symmetric: U(-13, 12) for 25. */
    const double centre[] = {-0.5, 0, 0, o.value}, spread[] = {0.5 * taps, o.bound, o.std, 0};
    p->fill = centre[which], p->bound = spread[which], p->normal = which == 2;
    p->bounded = true, p->low = -(taps / 2), p->high = taps / 2;
    return SNN_OK;
}

/* ---- for layers ---- */

static bool has_width(const struct snn_delays *d) {
    return d->of.version == SNN_DELAY_GAUSS || d->of.version == SNN_DELAY_MAX;
}

int snn_delays_judge(const struct snn_builder *b, struct snn_conf *node, const struct snn_delays *d, const char *key,
                     long long taps) {
    if (taps % 2 == 0)
        return snn_conf_error(snn_conf_get(node, key),
                              "expected an odd number of steps, got %lld: positions reach as far to both sides of the "
                              "middle, and at the end of an even kernel lie outside of it",
                              taps);
    if (b->steps && taps > b->steps)
        return snn_conf_error(snn_conf_get(node, key),
                              "expected at most the %d steps of a sample (data.timesteps), got %lld", (int)b->steps,
                              taps);
    if (!has_width(d) && (!isnan(d->of.sigma) || d->learn_sigma))
        return snn_conf_error(snn_conf_get(node, isnan(d->of.sigma) ? "learn_sigma" : "sigma"),
                              "takes effect with version: gauss or max only");
    return SNN_OK;
}

int snn_delays_params(struct snn_builder *b, struct snn_conf *node, const struct snn_key *keys, void *options,
                      struct snn_delays *d, const struct snn_delay_shape *s, struct snn_delay_dims weight,
                      struct snn_delay_dims position, int32_t fan_out, struct snn_delay_params *p) {
    if (isnan(d->of.sigma)) d->of.sigma = d->of.version == SNN_DELAY_GAUSS ? s->taps / 2 : 0;
    p->weight = snn_builder_param(b, "weight", false, weight.nd, weight.dim);
    p->position = snn_builder_param(b, "position", false, position.nd, position.dim);
    p->width = NULL;
    SNN_TRY(snn_init_read(d->init, s->in / s->groups * s->count, fan_out, p->weight));
    SNN_TRY(read_position(d->position, s->taps, p->position));
    p->position->whole = p->position->frozen = !d->learn;
    if (d->learn_sigma) {
        p->width = snn_builder_param(b, "sigma", false, position.nd, position.dim);
        p->width->fill = d->of.sigma;
    } else if (has_width(d)) {
        snn_builder_bind(b, node, keys, options);
    }
    return SNN_OK;
}
